"""Gated layers: minimal recurrent and highway networks, in which gate and activation see the same pre-activation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rmt.algebra.gated import GatedLayer
from rmt.parameters import check_number
from rmt.results import ConvergenceError
from theory.gaussian import panel_rule

__all__ = ["gated_layer_law"]

FloatArray = npt.NDArray[np.float64]
Gate = Callable[[FloatArray], FloatArray]

_LEVELS = 4
_AGREEMENT = 1e-11
# Where the Cauchy transforms of two discretisations are compared, in units of the mean: close to the bulk, on C+.
_PROBES = np.array([0.05 + 0.05j, 0.3 + 0.1j, 1 + 0.1j, 2 + 0.2j, -0.1 + 0.1j])


def gated_layer_law(
    skip: Gate, branch: Gate, q: float, sigma_w: float = 1.0, *, kinks: tuple[float, ...] = ()
) -> GatedLayer:
    """Law of J Jᵀ for the layer Jacobian ``J = D1 + D2 W``, D1 = skip(h), D2 = branch(h), h ~ N(0, q).

    W has Gaussian entries of variance sigma_w²/width. The joint law of the two diagonals, which are functions of the
    same pre-activation, is discretised by a rule that is refined until the law no longer changes. With a constant skip
    and branch = φ' it is the residual block of `theory.jacobian_law`.

    Parameters
    ----------
    skip, branch : callable
        Vectorised functions, analytic between the kinks.
    q : float
        Variance of the pre-activation.
    sigma_w : float
        Standard deviation of the weights times the root of the width.
    kinks : tuple of float
        Where skip or branch are not smooth.

    Raises
    ------
    ValueError
        For q or sigma_w <= 0, or gates that are not finite.
    ConvergenceError
        If the discretisation does not settle, as with a kink that is not named.

    Examples
    --------
    >>> import numpy as np
    >>> law = gated_layer_law(lambda h: 1 / (1 + np.exp(-h)), lambda h: 1 / (1 + np.exp(h)), q=1.0)
    >>> round(float(law.mean()), 12)
    0.586758071716
    """
    check_number("q", q, above=0)
    check_number("sigma_w", sigma_w, above=0)
    previous: npt.NDArray[np.complex128] | None = None
    for level in range(_LEVELS):
        h, weights = panel_rule(q, kinks, level)
        kept = weights > 1e-19
        h, weights = h[kept], weights[kept] / weights[kept].sum()
        pairs = np.broadcast_arrays(skip(h), branch(h), weights)
        gates: dict[tuple[float, float], float] = {}
        for first, second, mass in zip(*(part.tolist() for part in pairs), strict=True):
            gates[first, second] = gates.get((first, second), 0.0) + mass
        law = GatedLayer(gates, sigma_w**2)
        values = np.asarray(law.cauchy(_PROBES * law.numeric.mean))
        if previous is not None and np.all(np.abs(values - previous) < _AGREEMENT * np.abs(values)):
            return law
        previous = values
    raise ConvergenceError("gated_layer_law: the averages over the gates did not settle; name the kinks of the gates")
