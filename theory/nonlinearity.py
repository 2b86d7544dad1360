"""A scalar activation function with its Gaussian averages: closed forms where known, quadrature otherwise."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt

from theory.gaussian import SMALL_VARIANCE, gaussian_average, pair_average, sinh_nodes, sinh_tier, smooth_rule

__all__ = ["ClosedForms", "Nonlinearity"]

FloatArray = npt.NDArray[np.float64]
ArrayFunction = Callable[[FloatArray], FloatArray]

_TINY: Final = 1e-300  # below, q counts as 0
_HUGE: Final = 1e150  # above, φ² overflows


@dataclass(frozen=True)
class ClosedForms:
    """What is known in closed form of one nonlinearity, as functions of q > 0; None means quadrature.

    `gain_moment` takes (k, q), `cross_moment` takes (q, ρ).
    """

    mean: Callable[[float], float] | None = None
    second_moment: Callable[[float], float] | None = None
    gain: Callable[[float], float] | None = None
    gain_moment: Callable[[int, float], float] | None = None
    cross_moment: Callable[[float, float], float] | None = None
    slope_masses: Callable[[float], Mapping[Any, Any]] | None = None


@dataclass(frozen=True, repr=False)
class Nonlinearity:
    """A scalar activation function φ with the averages that mean-field theory needs; obtained by `get_activation`.

    Two nonlinearities are equal when name and parameters are.  Averages <.> are over a pre-activation h ~ N(0, q);
    q = 0 means the limit q -> 0.

    Attributes
    ----------
    name : str
        One of `ACTIVATION_NAMES`.
    parameters : tuple of (name, value)
        Parameters of the family, in the order of its signature.
    kinks : tuple of floats
        Points at which φ' jumps or is not smooth; φ is analytic elsewhere.
    slope_range : (float, float)
        Infimum and supremum of φ'(h)² over the real line.
    periodic : bool
        True if φ oscillates all along the real line.
    """

    name: str
    parameters: tuple[tuple[str, Any], ...]
    value: ArrayFunction = field(compare=False)
    slope: ArrayFunction = field(compare=False)
    closed_forms: ClosedForms = field(compare=False)
    slope_range: tuple[float, float] = field(compare=False)
    value_at_zero: float = field(compare=False, default=0.0)
    kinks: tuple[float, ...] = field(compare=False, default=())
    periodic: bool = field(compare=False, default=False)

    def __repr__(self) -> str:
        arguments = "".join(f", {key}={value!r}" for key, value in self.parameters)
        return f"get_activation({self.name!r}{arguments})"

    def __reduce__(self) -> tuple[Any, ...]:
        # the functions are closures: a copy in another process is rebuilt from its name
        from theory.activations import get_activation

        return functools.partial(get_activation, self.name, **dict(self.parameters)), ()

    @property
    def piecewise_linear(self) -> bool:
        """True if φ' takes finitely many values, so that the law of φ'(h)² is discrete."""
        return self.closed_forms.slope_masses is not None

    @overload
    def phi(self, h: float) -> float: ...
    @overload
    def phi(self, h: npt.NDArray[Any]) -> FloatArray: ...
    def phi(self, h: float | npt.NDArray[Any]) -> float | FloatArray:
        """φ(h), elementwise; no overflow at large ``|h|``."""
        values = self.value(np.asarray(h, dtype=np.float64))
        return values if isinstance(h, np.ndarray) else float(values)

    @overload
    def dphi(self, h: float) -> float: ...
    @overload
    def dphi(self, h: npt.NDArray[Any]) -> FloatArray: ...
    def dphi(self, h: float | npt.NDArray[Any]) -> float | FloatArray:
        """φ'(h), elementwise; at a kink the slope on its left (0 for relu at 0), and 0 at ±1 for hard_tanh."""
        values = self.slope(np.asarray(h, dtype=np.float64))
        return values if isinstance(h, np.ndarray) else float(values)

    def mean(self, q: float) -> float:
        """<φ>."""
        if not _TINY <= q <= _HUGE:
            return self._limit(q, self.value_at_zero)
        formula = self.closed_forms.mean
        return formula(q) if formula else self._by_quadrature(q)[0]

    def second_moment(self, q: float) -> float:
        """<φ²>."""
        if not _TINY <= q <= _HUGE:
            return self._limit(q, self.value_at_zero**2)
        formula = self.closed_forms.second_moment
        return formula(q) if formula else self._by_quadrature(q)[1]

    def gain(self, q: float) -> float:
        """<φ'²>, the mean squared slope."""
        formula = self.closed_forms.gain
        if not _TINY <= q <= _HUGE:
            q = self._limit(q, _TINY)
        return formula(q) if formula else self._by_quadrature(q)[2]

    def gain_moment(self, k: int, q: float) -> float:
        """<φ'^{2k}> for an integer k >= 1."""
        if not _TINY <= q <= _HUGE:
            q = self._limit(q, _TINY)
        formula = self.closed_forms.gain_moment
        if formula:
            return formula(k, q)
        return float(self.average(lambda h: self.slope(h) ** (2 * k), q))

    def averages(self, q: float) -> tuple[float, float, float]:
        """(<φ>, <φ²>, <φ'²>) at one q, in one pass over the nodes where there is no closed form."""
        forms = self.closed_forms
        if forms.gain is None and _TINY <= q <= _HUGE:
            mean, second, gain = self._by_quadrature(q)
            return forms.mean(q) if forms.mean else mean, second, gain
        return self.mean(q), self.second_moment(q), self.gain(q)

    def average(self, f: ArrayFunction, q: float) -> Any:
        """E f(√q Z) for f analytic where φ is, by quadrature split at the kinks of φ.

        f takes an array of shape (n,) and returns real or complex values of shape (..., n).

        Raises
        ------
        ConvergenceError
            If the quadrature does not settle (a pole of f close to the real axis).
        """
        if not _TINY <= q <= _HUGE:
            q = self._limit(q, _TINY)
        return gaussian_average(f, q, kinks=self.kinks, entire=self.periodic)

    def cross_moment(self, q: float, rho: float) -> float:
        """E φ(h₁)φ(h₂) for two pre-activations of variance q and correlation rho in [-1, 1].

        Relative accuracy about 1e-12 for q up to 10³ (relu, leaky_relu, erf, sin, linear: any q).

        Raises
        ------
        ValueError
            If rho is outside [-1, 1].
        ConvergenceError
            If a rule by quadrature is asked for at q > 10⁴.
        """
        if not -1.0 <= rho <= 1.0:
            raise ValueError(f"rho={rho!r} is not a correlation: choose a number in [-1, 1]")
        if not _TINY <= q <= _HUGE:
            return self._limit(q, self.value_at_zero**2)
        if rho == 1.0:
            return self.second_moment(q)
        formula = self.closed_forms.cross_moment
        return formula(q, rho) if formula else pair_average(self.value, q, rho, kinks=self.kinks)

    def slope_masses(self, q: float) -> dict[Any, Any] | None:
        """Law of φ'(h)² as ``{value: probability}`` if φ is piecewise linear, else None; exact where exact.

        Values of probability 0 are left out.
        """
        if not _TINY <= q <= _HUGE:
            q = self._limit(q, _TINY)
        masses = self.closed_forms.slope_masses
        return {x: p for x, p in masses(q).items() if p != 0} if masses else None

    def _by_quadrature(self, q: float) -> tuple[float, float, float]:
        if q <= SMALL_VARIANCE:
            nodes, weights = smooth_rule(q)
            values, slopes = self.value(nodes), self.slope(nodes)
            return float(weights @ values), float(weights @ (values * values)), float(weights @ (slopes * slopes))
        tier = sinh_tier(q)
        weights = np.exp(sinh_nodes(tier)[2] / q)
        mean, second, gain = (_weighted_table(self, tier) @ weights).tolist()
        scale = 1.0 / math.sqrt(q)
        return mean * scale, second * scale, gain * scale

    def _limit(self, q: float, value: float) -> float:
        if not 0 <= q < _TINY:
            raise ValueError(f"q={q!r} is not a variance of pre-activations: choose a number in [0, {_HUGE:g}]")
        return value


@functools.lru_cache(maxsize=64)
def _weighted_table(function: Nonlinearity, tier: int) -> FloatArray:
    """φ, φ², φ'² at the sinh nodes times the node weights: a row each."""
    nodes, weights, _ = sinh_nodes(tier)
    values, slopes = function.value(nodes), function.slope(nodes)
    table: FloatArray = np.array([values, values * values, slopes * slopes]) * weights
    return table
