"""Activation functions as formulas: φ' and its Gaussian averages in closed form, as sympy expressions in q.

The averages are over a pre-activation h ~ N(0, q). Sources: Tarnowski, Warchoł, Jastrzębski, Tabor, Nowak,
arXiv:1809.08848, appendix; Pennington, Schoenholz, Ganguli, arXiv:1711.04735; elu and gelu derived here. This module
loads sympy: import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from rmt.symbolic.derivation import to_sympy
from theory.activations import SELU_ALPHA, SELU_LAMBDA, Nonlinearity

__all__ = ["ActivationFormulas", "activation_formulas", "gaussian_average", "h", "parameter", "q"]

q = sp.Symbol("q", positive=True)
h = sp.Symbol("h", real=True)


@dataclass(frozen=True)
class ActivationFormulas:
    """Closed forms of one activation; None where there is none.

    Attributes
    ----------
    value, slope : sympy expression in h
        φ(h) and φ'(h).
    mean, second_moment : sympy expression in q
        <φ> and <φ²>; Gaussian integrals where there is no closed form.
    gain_moment : callable k -> sympy expression in q, or None
        <φ'^{2k}>.
    slope_masses : mapping of sympy expression to sympy expression, or None
        The law of φ'(h)² where it is discrete: position -> probability.
    """

    value: Any
    slope: Any
    mean: Any
    second_moment: Any
    gain_moment: Callable[[int], Any] | None = None
    slope_masses: Mapping[Any, Any] | None = None

    def moment(self, k: int) -> Any:
        """<φ'^{2k}> in closed form, or as a Gaussian integral."""
        return gaussian_average(self.slope ** (2 * k)) if self.gain_moment is None else self.gain_moment(k)


def parameter(value: Any) -> Any:
    """Parameter of a network as a sympy object; a float that is an integer (the default 1.0) is that integer."""
    return sp.Integer(int(value)) if isinstance(value, float) and value.is_integer() else to_sympy(value)


def gaussian_average(function: Any) -> Any:
    """Average of a function of h ~ N(0, q), as an unevaluated integral."""
    density = sp.exp(-(h**2) / (2 * q)) / sp.sqrt(2 * sp.pi * q)
    return sp.Integral(density * function, (h, -sp.oo, sp.oo))


def activation_formulas(nonlinearity: Nonlinearity) -> ActivationFormulas:
    """Closed forms of an activation.

    Raises
    ------
    NotImplementedError
        If the activation has no formulas here.
    """
    if nonlinearity.name not in _FAMILIES:
        raise NotImplementedError(
            f"activation {nonlinearity.name!r} has no formulas: theory.jacobian_law(net) has its law by quadrature"
        )
    parameters = {name: parameter(value) for name, value in nonlinearity.parameters}
    return _FAMILIES[nonlinearity.name](**parameters)


def _linear() -> ActivationFormulas:
    one = sp.Integer(1)
    return ActivationFormulas(h, one, sp.Integer(0), q, lambda _k: one, {one: one})


def _leaky_relu(alpha: Any = 0) -> ActivationFormulas:
    alpha = sp.sympify(alpha)
    half = sp.Rational(1, 2)
    masses = {sp.Integer(1): sp.Integer(1)} if alpha**2 == 1 else {alpha**2: half, sp.Integer(1): half}
    return ActivationFormulas(
        value=sp.Piecewise((h, h > 0), (alpha * h, True)),
        slope=sp.Piecewise((1, h > 0), (alpha, True)),
        mean=(1 - alpha) * sp.sqrt(q / (2 * sp.pi)),
        second_moment=q * (1 + alpha**2) / 2,
        gain_moment=lambda k: (1 + alpha ** (2 * k)) / 2,
        slope_masses=masses,
    )


def _hard_tanh() -> ActivationFormulas:
    inside = sp.erf(1 / sp.sqrt(2 * q))
    return ActivationFormulas(
        value=sp.Max(-1, sp.Min(1, h)),
        slope=sp.Piecewise((1, sp.Abs(h) < 1), (0, True)),
        mean=sp.Integer(0),
        second_moment=q * inside - sp.sqrt(2 * q / sp.pi) * sp.exp(-1 / (2 * q)) + 1 - inside,
        gain_moment=lambda _k: inside,
        slope_masses={sp.Integer(0): 1 - inside, sp.Integer(1): inside},
    )


def _erf() -> ActivationFormulas:
    return ActivationFormulas(
        value=sp.erf(sp.sqrt(sp.pi) * h / 2),
        slope=sp.exp(-sp.pi * h**2 / 4),
        mean=sp.Integer(0),
        second_moment=2 / sp.pi * sp.asin(sp.pi * q / (2 + sp.pi * q)),
        gain_moment=lambda k: 1 / sp.sqrt(1 + sp.pi * k * q),
    )


def _sin() -> ActivationFormulas:
    def gain_moment(k: int) -> Any:
        harmonics = sp.Add(*(sp.binomial(2 * k, k - j) * sp.exp(-2 * j**2 * q) for j in range(1, k + 1)))
        return (sp.binomial(2 * k, k) + 2 * harmonics) / sp.Integer(4) ** k

    return ActivationFormulas(sp.sin(h), sp.cos(h), sp.Integer(0), (1 - sp.exp(-2 * q)) / 2, gain_moment)


def _exponential_unit(scale: Any, alpha: Any) -> ActivationFormulas:
    def tail(k: Any) -> Any:
        """2 <e^{kh}; h < 0>."""
        return sp.exp(k**2 * q / 2) * sp.erfc(k * sp.sqrt(q / 2))

    return ActivationFormulas(
        value=scale * sp.Piecewise((h, h > 0), (alpha * (sp.exp(h) - 1), True)),
        slope=scale * sp.Piecewise((1, h > 0), (alpha * sp.exp(h), True)),
        mean=scale * (sp.sqrt(q / (2 * sp.pi)) + alpha / 2 * (tail(1) - 1)),
        second_moment=scale**2 * (q / 2 + alpha**2 / 2 * (tail(2) - 2 * tail(1) + 1)),
        gain_moment=lambda k: scale ** (2 * k) / 2 * (1 + alpha ** (2 * k) * tail(2 * k)),
    )


def _selu() -> ActivationFormulas:
    return _exponential_unit(sp.Float(SELU_LAMBDA), sp.Float(SELU_ALPHA))


def _elu(alpha: Any) -> ActivationFormulas:
    return _exponential_unit(sp.Integer(1), alpha)


def _gelu() -> ActivationFormulas:
    normal_cdf = (1 + sp.erf(h / sp.sqrt(2))) / 2
    quadrant = sp.Rational(1, 4) + sp.asin(q / (1 + q)) / (2 * sp.pi)
    root = sp.sqrt(1 + 2 * q)
    gain = quadrant + q / (sp.pi * (1 + q) * root) + q / (2 * sp.pi * root**3)
    slope = normal_cdf + h * sp.exp(-(h**2) / 2) / sp.sqrt(2 * sp.pi)
    return ActivationFormulas(
        value=h * normal_cdf,
        slope=slope,
        mean=q / sp.sqrt(2 * sp.pi * (1 + q)),
        second_moment=q * quadrant + q**2 / (sp.pi * (1 + q) * root),
        gain_moment=lambda k: gain if k == 1 else gaussian_average(slope ** (2 * k)),
    )


def _by_integrals(value: Any, mean: Any = None) -> ActivationFormulas:
    """An activation without closed forms."""
    mean = gaussian_average(value) if mean is None else sp.sympify(mean)
    return ActivationFormulas(value, sp.diff(value, h), mean, gaussian_average(value**2))


_LOGISTIC = 1 / (1 + sp.exp(-h))
_FAMILIES: Mapping[str, Callable[..., ActivationFormulas]] = {
    "linear": _linear,
    "relu": _leaky_relu,
    "leaky_relu": _leaky_relu,
    "hard_tanh": _hard_tanh,
    "erf": _erf,
    "sin": _sin,
    "selu": _selu,
    "elu": _elu,
    "gelu": _gelu,
    "tanh": lambda: _by_integrals(sp.tanh(h), mean=0),
    "sigmoid": lambda: _by_integrals(_LOGISTIC, mean=sp.Rational(1, 2)),
    "silu": lambda: _by_integrals(h * _LOGISTIC),
    "softplus": lambda: _by_integrals(sp.log(1 + sp.exp(h))),
}
