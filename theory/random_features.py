"""Random features: the law of Y Yᵀ/m for Y = f(W X), W and X Gaussian (Pennington and Worah 2017).

Entry by entry the nonlinearity acts like a linear map plus independent noise, Y ~ √ζ W X/√q + √(η-ζ) Z, as far as the
spectrum goes: η = Var f(h), ζ = (E h f(h))²/q, h ~ N(0, q). So the law is a rectangular free convolution of the law of
a product of two Gaussian matrices with that of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rmt.algebra.mixture import Mixture
from rmt.algebra.rectangular import RectangularSum
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.free_poisson import FreePoisson
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.parameters import check_number
from rmt.results import PreconditionError
from theory.activations import get_activation
from theory.gaussian import gaussian_average
from theory.nonlinearity import Nonlinearity

if TYPE_CHECKING:
    import sympy as sp

__all__ = ["FeatureMoments", "feature_moments", "random_features_equation", "random_features_law"]

FloatArray = npt.NDArray[np.float64]
Function = Callable[[FloatArray], FloatArray]


class FeatureMoments(NamedTuple):
    """η = Var f(h), and ζ = (E h f(h))²/q = q (E f'(h))², for h ~ N(0, q); 0 <= ζ <= η."""

    eta: float
    zeta: float


def feature_moments(
    activation: str | Nonlinearity | Function, q: float = 1.0, *, kinks: tuple[float, ...] = ()
) -> FeatureMoments:
    """The two numbers of a nonlinearity that the law depends on.

    Parameters
    ----------
    activation : str, Nonlinearity or callable
        A name (`get_activation`), or a vectorised function, analytic between its kinks. Its mean is taken off: it would
        add one large eigenvalue, and nothing to the law.
    q : float
        Variance of the entries of W X.
    kinks : tuple of float
        Where a function that is given is not smooth.

    Raises
    ------
    ValueError
        If q is not > 0, or the activation is unknown.
    ConvergenceError
        If the averages do not settle, as with a kink that is not named.

    Examples
    --------
    >>> eta, zeta = feature_moments("relu")
    >>> round(eta, 6), round(zeta, 6)
    (0.340845, 0.25)
    """
    check_number("q", q, above=0)
    if callable(activation) and not isinstance(activation, Nonlinearity):
        function, entire = activation, False
    else:
        phi = get_activation(activation)
        function, kinks, entire = phi.value, phi.kinks, phi.periodic

    def integrand(h: FloatArray) -> FloatArray:
        value = np.asarray(function(h), dtype=float)
        return np.array([value, value * value, h * value])

    mean, second, slope = gaussian_average(integrand, q, kinks=kinks, entire=entire).tolist()
    eta, zeta = second - mean**2, slope**2 / q
    if not eta > 1e-14 * second:
        raise ValueError(f"activation={activation!r} is constant: its features have no variance")
    return FeatureMoments(eta, min(zeta, eta))


def random_features_law(
    activation: str | Nonlinearity | Function,
    phi: Any,
    psi: Any,
    *,
    q: float = 1.0,
    kinks: tuple[float, ...] = (),
) -> Law:
    """Law of Y Yᵀ/m, of shape n1 × n1, for Y = f(W X) with independent Gaussian W (n1 × n0) and X (n0 × m).

    Pennington and Worah, Nonlinear random matrix theory for deep learning (NeurIPS 2017), Theorem 1, written as a free
    convolution: the law of (A + B)(A + B)ᵀ with A Aᵀ of the law ζ FreePoisson(rate=ψ, jump=MP(φ)/ψ) and B Bᵀ of the law
    (η-ζ) MP(φ/ψ). It solves the quartic `random_features_equation`. At ζ = 0 it is Marchenko–Pastur, as if the features
    were independent.

    Parameters
    ----------
    activation, kinks
        As in `feature_moments`.
    phi : number
        n0/m, inputs by samples.
    psi : number
        n0/n1, inputs by features.
    q : float
        Variance of the entries of W X: σ_w² σ_x² for weights of variance σ_w²/n0.

    Raises
    ------
    ValueError
        If a ratio is not > 0, or as in `feature_moments`.

    Examples
    --------
    >>> law = random_features_law("relu", phi=0.5, psi=1.0)
    >>> round(float(law.mean()), 6)
    0.340845
    """
    check_number("phi", phi, above=0)
    check_number("psi", psi, above=0)
    eta, zeta = feature_moments(activation, q, kinks=kinks)
    return _law(eta, zeta, phi, psi)


def _law(eta: float, zeta: float, phi: Any, psi: Any) -> Law:
    ratio = phi / psi
    if ratio > 1:
        # n1 > m: the m × m matrix YᵀY, with the roles of W and X exchanged, and n1 - m zeros
        return Mixture({ratio * _law(eta, zeta, psi, phi): 1 / ratio, Discrete({0: 1}): 1 - 1 / ratio})
    linear = FreePoisson(rate=psi, jump=MarchenkoPastur(ratio=phi) / psi)
    noise = MarchenkoPastur(ratio=ratio)
    if zeta < 1e-14 * eta:
        return eta * noise
    if eta - zeta < 1e-14 * eta:
        return eta * linear
    return RectangularSum((zeta * linear, (eta - zeta) * noise), ratio)


def random_features_equation(eta: Any = None, zeta: Any = None, phi: Any = None, psi: Any = None) -> sp.Eq:
    """The algebraic equation of the Cauchy transform G(z) of `random_features_law`, of degree 4 in G.

    Parameters
    ----------
    eta, zeta, phi, psi : number or sympy expression, optional
        As in the law; by default symbols of these names.

    Returns
    -------
    sympy.Eq
        A polynomial in the symbols G and z (and the parameters) equal to 0.

    Raises
    ------
    PreconditionError
        If numbers violate 0 <= zeta <= eta.
    """
    if eta is not None and zeta is not None:
        numbers = [value for value in (eta, zeta) if not getattr(value, "free_symbols", None)]
        if len(numbers) == 2 and not 0 <= zeta <= eta:
            raise PreconditionError(f"eta={eta}, zeta={zeta}: 0 <= zeta <= eta holds for every f; see feature_moments")
    from theory.random_features_derivation import quartic

    return quartic(eta, zeta, phi, psi)
