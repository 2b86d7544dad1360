"""The activation functions by name: φ, φ', their Gaussian averages under h ~ N(0, q), and the law of φ'(h)².

Closed forms are those of Tarnowski, Warchoł, Jastrzębski, Tabor, Nowak (arXiv:1809.08848, appendix) and of Pennington,
Schoenholz, Ganguli (arXiv:1711.04735), rewritten where the published form cancels or overflows:
``exp(x²) erfc(x)`` is `scipy.special.erfcx`, its differences are summed as a power series for small x, and
``asin(s/(1+s))`` is ``atan2(s, sqrt(1+2s))``.  tanh, sigmoid, silu and softplus have no closed form and are integrated
by `theory.gaussian`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theory.gaussian import composite_legendre, smooth_rule
from theory.nonlinearity import ClosedForms, Nonlinearity

__all__ = ["ACTIVATION_NAMES", "Nonlinearity", "get_activation"]

FloatArray = npt.NDArray[np.float64]

SELU_LAMBDA: Final = 1.0507009873554804934193349852946
SELU_ALPHA: Final = 1.6732632423543772848170429916717
_SILU_STEEPEST: Final = 2.3993572805154676678327396972823  # h tanh(h/2) = 2, where silu'' = 0
_SQRT_2: Final = math.sqrt(2.0)
_SQRT_PI: Final = math.sqrt(math.pi)


def get_activation(name: str | Nonlinearity, **parameters: Any) -> Nonlinearity:
    """Find an activation by name.

    Parameters
    ----------
    name : str or Nonlinearity
        One of `ACTIVATION_NAMES`; a `Nonlinearity` is returned as it is.  ``"erf"`` is erf(√π h/2), which has slope 1
        at 0 (erf(h/√2) is another scaling found in the literature); ``"gelu"`` is the exact h Φ(h); ``"silu"`` is
        h/(1+e^{-h}).
    **parameters
        ``alpha``: slope of leaky_relu on h < 0 (default 0.01), or scale of the exponential of elu (default 1, > 0).
        Of ``"custom"``, a function of yours with bounded slopes: ``phi``, a sympy expression in one symbol or a Python
        function of a numpy array; ``dphi``, its derivative (found by itself for an expression); ``kinks``, a tuple of
        the points where it is not smooth (likewise); ``periodic=True`` if it oscillates all along the real line.

    Raises
    ------
    ValueError
        Unknown name (the message lists the known ones), or a parameter that the family does not have or allow.
    """
    if isinstance(name, Nonlinearity):
        if parameters:
            raise ValueError(f"{name!r} has its parameters already: give its name together with {parameters}")
        return name
    if name == "custom":
        from theory.custom import custom_nonlinearity

        unknown = set(parameters) - {"phi", "dphi", "kinks", "periodic"}
        if unknown or "phi" not in parameters:
            raise ValueError("activation 'custom' takes phi and possibly dphi, kinks, periodic")
        return custom_nonlinearity(**parameters)
    if name not in _FAMILIES:
        raise ValueError(f"unknown activation {name!r}: choose one of {', '.join(ACTIVATION_NAMES)}, or 'custom'")
    defaults = _FAMILIES[name][1]
    for key, value in parameters.items():
        if key not in defaults:
            allowed = f"only {', '.join(defaults)}" if defaults else "none"
            raise ValueError(f"activation {name!r} has no parameter {key!r} (allowed: {allowed})")
        if not _is_finite_number(value):
            raise ValueError(f"activation {name!r}: {key}={value!r} is not a finite number")
    values = {key: parameters.get(key, default) for key, default in defaults.items()}
    return _build(name, tuple(values.items()), tuple(map(type, values.values())))


@functools.lru_cache(maxsize=256)
def _build(name: str, parameters: Parameters, _types: tuple[type, ...]) -> Nonlinearity:
    # the types are part of the key: Fraction(1, 2) == 0.5, but only one of the two gives exact slope masses
    return _FAMILIES[name][0](name, parameters)


def _is_finite_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):
        return False


# ---------------------------------------------------------------------------------------------------------------------
# the families: each builds a Nonlinearity from its name and parameters
# ---------------------------------------------------------------------------------------------------------------------
Parameters = tuple[tuple[str, Any], ...]


def _linear(name: str, parameters: Parameters) -> Nonlinearity:
    forms = ClosedForms(
        mean=lambda _q: 0.0,
        second_moment=lambda q: q,
        gain=lambda _q: 1.0,
        gain_moment=lambda _k, _q: 1.0,
        cross_moment=lambda q, rho: q * rho,
        slope_masses=lambda _q: {1: 1},
    )
    return Nonlinearity(name, parameters, lambda h: h.copy(), np.ones_like, forms, (1.0, 1.0))


def _leaky_relu(name: str, parameters: Parameters) -> Nonlinearity:
    """Leaky ReLU; relu is the one of slope 0."""
    exact = dict(parameters).get("alpha", 0)
    alpha = float(exact)
    square = alpha * alpha
    half = Fraction(1, 2)

    def cross_moment(q: float, rho: float) -> float:
        # φ = α h + (1-α) relu, with the arc-cosine kernel of Cho and Saul (NIPS 2009, eq. 6) for relu
        kernel = q * (math.sqrt((1 - rho) * (1 + rho)) + rho * (math.pi - math.acos(rho))) / (2 * math.pi)
        return alpha * q * rho + (1 - alpha) ** 2 * kernel

    masses = {1: 1} if exact * exact == 1 else {exact * exact: half, 1: half}
    forms = ClosedForms(
        mean=lambda q: (1 - alpha) * math.sqrt(q / (2 * math.pi)),
        second_moment=lambda q: 0.5 * q * (1 + square),
        gain=lambda _q: 0.5 * (1 + square),
        gain_moment=lambda k, _q: 0.5 * (1 + square**k),
        cross_moment=cross_moment,
        slope_masses=lambda _q: masses,
    )
    return Nonlinearity(
        name,
        parameters,
        lambda h: np.where(h > 0, h, alpha * h),
        lambda h: np.where(h > 0, 1.0, alpha),
        forms,
        (min(1.0, square), max(1.0, square)),
        kinks=() if alpha == 1 else (0.0,),
    )


def _hard_tanh(name: str, parameters: Parameters) -> Nonlinearity:
    def inside(q: float) -> float:
        return math.erf(1 / math.sqrt(2 * q))

    def outside(q: float) -> float:
        return math.erfc(1 / math.sqrt(2 * q))

    def second_moment(q: float) -> float:
        from scipy.special import gammainc

        # <h²; |h|<1> = q P(3/2, 1/(2q)): the published q e - √(2q/π) e^{-1/2q} cancels at large q
        return float(q * gammainc(1.5, 0.5 / q)) + outside(q)

    def cross_moment(q: float, rho: float) -> float:
        # Price's theorem twice: F(ρ) = E φφ has F(0) = 0, F'(0) = q <φ'>², and F'' is a sum of four bivariate normal
        # densities at (±1, ±1).  With r = cos t the remainder ∫(ρ-r)F''(r)dr has a smooth integrand.
        if q < 1e-3:  # all within [-1, 1]: the densities are below e^{-500}
            return q * rho
        size = abs(rho)
        t, weights = composite_legendre(_halving_towards(math.acos(size)))
        density = np.exp(-0.5 / (q * np.cos(0.5 * t) ** 2)) - np.exp(-0.5 / (q * np.sin(0.5 * t) ** 2))
        remainder = q / math.pi * float(weights @ ((size - np.cos(t)) * density))
        return math.copysign(size * q * inside(q) ** 2 + remainder, rho)

    forms = ClosedForms(
        mean=lambda _q: 0.0,
        second_moment=second_moment,
        gain=inside,
        gain_moment=lambda _k, q: inside(q),
        cross_moment=cross_moment,
        slope_masses=lambda q: {1: inside(q), 0: outside(q)},
    )
    return Nonlinearity(
        name,
        parameters,
        lambda h: np.clip(h, -1.0, 1.0),
        lambda h: np.where(np.abs(h) < 1, 1.0, 0.0),
        forms,
        (0.0, 1.0),
        kinks=(-1.0, 1.0),
    )


def _halving_towards(start: float) -> FloatArray:
    """Breaks of [start, π/2], start >= 0: halvings of π/2 down to start, as the integrand varies on the scale of t."""
    cuts = 0.5 * math.pi * 0.5 ** np.arange(24.0, -1.0, -1.0)
    return np.concatenate(([start], cuts[cuts > start]))


def _erf(name: str, parameters: Parameters) -> Nonlinearity:
    """erf(√π h/2) (Pennington, Schoenholz, Ganguli, arXiv:1711.04735, eq. 22 ff.)."""

    def value(h: FloatArray) -> FloatArray:
        from scipy.special import erf

        values: FloatArray = erf(0.5 * _SQRT_PI * h)
        return values

    def arcsine(q: float, rho: float) -> float:
        # (2/π) asin(ρ s/(1+s)) with s = πq/2 (Williams 1997), as an arctangent: asin loses half the digits near 1
        s = 0.5 * math.pi * q
        return 2 / math.pi * math.atan2(rho * s, math.sqrt((1 + s - rho * s) * (1 + s + rho * s)))

    forms = ClosedForms(
        mean=lambda _q: 0.0,
        second_moment=lambda q: arcsine(q, 1.0),
        gain=lambda q: 1 / math.sqrt(1 + math.pi * q),
        gain_moment=lambda k, q: 1 / math.sqrt(1 + math.pi * k * q),
        cross_moment=arcsine,
    )
    return Nonlinearity(name, parameters, value, lambda h: np.exp(-0.25 * math.pi * h * h), forms, (0.0, 1.0))


def _sin(name: str, parameters: Parameters) -> Nonlinearity:
    def gain_moment(k: int, q: float) -> float:
        # cos^{2k} h = 4^{-k} [C(2k,k) + 2 Σ_j C(2k,k-j) cos 2jh], and <cos 2jh> = e^{-2j²q}
        harmonics = (math.comb(2 * k, k - j) * math.exp(-2 * j * j * q) for j in range(1, k + 1))
        return float((math.comb(2 * k, k) + 2 * math.fsum(harmonics)) / 4**k)

    forms = ClosedForms(
        mean=lambda _q: 0.0,
        second_moment=lambda q: -0.5 * math.expm1(-2 * q),
        gain=lambda q: 0.5 * (1 + math.exp(-2 * q)),
        gain_moment=gain_moment,
        # e^{-q} sinh(qρ)
        cross_moment=lambda q, rho: math.copysign(
            -0.5 * math.exp(-q * (1 - abs(rho))) * math.expm1(-2 * q * abs(rho)), rho
        ),
    )
    return Nonlinearity(name, parameters, np.sin, np.cos, forms, (0.0, 1.0), periodic=True)


def _tanh(name: str, parameters: Parameters) -> Nonlinearity:
    def slope(h: FloatArray) -> FloatArray:
        e = np.exp(-2 * np.abs(h))
        slopes: FloatArray = 4 * e / (1 + e) ** 2
        return slopes

    return Nonlinearity(name, parameters, np.tanh, slope, ClosedForms(mean=lambda _q: 0.0), (0.0, 1.0))


def _logistic(h: FloatArray) -> FloatArray:
    e = np.exp(-np.abs(h))
    values: FloatArray = np.where(h >= 0, 1.0, e) / (1 + e)
    return values


def _logistic_slope(h: FloatArray) -> FloatArray:
    e = np.exp(-np.abs(h))
    slopes: FloatArray = e / (1 + e) ** 2
    return slopes


def _sigmoid(name: str, parameters: Parameters) -> Nonlinearity:
    forms = ClosedForms(mean=lambda _q: 0.5)
    return Nonlinearity(name, parameters, _logistic, _logistic_slope, forms, (0.0, 0.0625), value_at_zero=0.5)


def _silu(name: str, parameters: Parameters) -> Nonlinearity:
    def slope(h: FloatArray) -> FloatArray:
        return _logistic(h) + h * _logistic_slope(h)

    def mean(q: float) -> float:
        # Stein's identity <h σ(h)> = q <σ'(h)>: the odd part of silu cancels exactly
        nodes, weights = smooth_rule(q)
        return q * float(weights @ _logistic_slope(nodes))

    steepest = float(slope(np.array(_SILU_STEEPEST)))
    return Nonlinearity(name, parameters, lambda h: h * _logistic(h), slope, ClosedForms(mean=mean), (0.0, steepest**2))


def _softplus(name: str, parameters: Parameters) -> Nonlinearity:
    def value(h: FloatArray) -> FloatArray:
        return np.logaddexp(0.0, h)

    return Nonlinearity(name, parameters, value, _logistic, ClosedForms(), (0.0, 1.0), value_at_zero=math.log(2.0))


def _gelu(name: str, parameters: Parameters) -> Nonlinearity:
    def cdf(h: FloatArray) -> FloatArray:
        from scipy.special import ndtr

        values: FloatArray = ndtr(h)
        return values

    def slope(h: FloatArray) -> FloatArray:
        return cdf(h) + h * np.exp(-0.5 * h * h) / math.sqrt(2 * math.pi)

    def quadrant(q: float) -> float:
        return 0.25 + math.atan2(q, math.sqrt(1 + 2 * q)) / (2 * math.pi)

    def second_moment(q: float) -> float:
        return q * (quadrant(q) + q / (math.pi * (1 + q) * math.sqrt(1 + 2 * q)))

    def gain(q: float) -> float:
        root = math.sqrt(1 + 2 * q)
        return quadrant(q) + q / (math.pi * (1 + q) * root) + q / (2 * math.pi * root**3)

    forms = ClosedForms(mean=lambda q: q / math.sqrt(2 * math.pi * (1 + q)), second_moment=second_moment, gain=gain)
    # gelu'' = (2-h²) e^{-h²/2}/√(2π) vanishes at √2
    steepest = float(slope(np.array(_SQRT_2)))
    return Nonlinearity(name, parameters, lambda h: h * cdf(h), slope, forms, (0.0, steepest**2))


# erfcx(x) = Σ (-x)^n / Γ(n/2+1)
_ERFCX_SERIES: Final = tuple((-1) ** n / math.gamma(n / 2 + 1) for n in range(32))


def _selu(name: str, parameters: Parameters) -> Nonlinearity:
    """λ h for h > 0, λ α (e^h - 1) for h < 0; elu has λ = 1."""
    if name == "selu":
        scale, alpha = SELU_LAMBDA, SELU_ALPHA
    else:
        scale, alpha = 1.0, float(dict(parameters)["alpha"])
        if not alpha > 0:
            raise ValueError(f"activation 'elu': alpha={alpha!r} must be > 0")

    def value(h: FloatArray) -> FloatArray:
        return scale * np.where(h > 0, h, alpha * np.expm1(np.minimum(h, 0.0)))

    def slope(h: FloatArray) -> FloatArray:
        return scale * np.where(h > 0, 1.0, alpha * np.exp(np.minimum(h, 0.0)))

    def mean(q: float) -> float:
        # √(q/2π) + (α/2)[erfcx(x) - 1], x = √(q/2)
        x = math.sqrt(0.5 * q)
        if x < 0.25:
            return scale * (x * (1 - alpha) / _SQRT_PI + 0.5 * alpha * _tail(x, lambda _n: 1.0))
        return scale * (x / _SQRT_PI + 0.5 * alpha * (_erfcx(x) - 1))

    def second_moment(q: float) -> float:
        # q/2 + (α²/2)[erfcx(2x) - 2 erfcx(x) + 1]
        x = math.sqrt(0.5 * q)
        bracket = _tail(x, lambda n: 2.0**n - 2.0) if x < 0.25 else _erfcx(2 * x) - 2 * _erfcx(x) + 1
        return scale**2 * 0.5 * (q + alpha**2 * bracket)

    def gain_moment(k: int, q: float) -> float:
        return scale ** (2 * k) * 0.5 * (1 + alpha ** (2 * k) * _erfcx(k * math.sqrt(2 * q)))

    forms = ClosedForms(
        mean=mean, second_moment=second_moment, gain=lambda q: gain_moment(1, q), gain_moment=gain_moment
    )
    return Nonlinearity(name, parameters, value, slope, forms, (0.0, (scale * max(1.0, alpha)) ** 2), kinks=(0.0,))


def _erfcx(x: float) -> float:
    from scipy.special import erfcx

    return float(erfcx(x))


def _tail(x: float, factor: Callable[[int], float]) -> float:
    """Σ_{n>=2} factor(n) (-x)^n/Γ(n/2+1), for x < 1/4 and factor(n) of order 2^n: what is left after a cancellation."""
    total = 0.0
    for n in range(31, 1, -1):
        total += factor(n) * _ERFCX_SERIES[n] * x**n
    return total


_FAMILIES: Final[dict[str, tuple[Callable[[str, Parameters], Nonlinearity], dict[str, Any]]]] = {
    "linear": (_linear, {}),
    "relu": (_leaky_relu, {}),
    "leaky_relu": (_leaky_relu, {"alpha": 0.01}),
    "hard_tanh": (_hard_tanh, {}),
    "tanh": (_tanh, {}),
    "erf": (_erf, {}),
    "sigmoid": (_sigmoid, {}),
    "silu": (_silu, {}),
    "gelu": (_gelu, {}),
    "elu": (_selu, {"alpha": 1.0}),
    "selu": (_selu, {}),
    "softplus": (_softplus, {}),
    "sin": (_sin, {}),
}

ACTIVATION_NAMES: Final = tuple(_FAMILIES)
