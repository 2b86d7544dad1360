"""Gated layers ``x -> u x + (1 - u) φ(h)`` on Gaussian pre-activations: averages of the signal and of the Jacobian.

Row i of the Jacobian is ``u δ_ij + D2 W_ij`` with ``D2 = u' (x - φ(h)) + (1 - u) φ'(h)`` where the gate sees h itself;
where it has weights V of its own it is ``u δ_ij + u' (x - φ(h)) V_ij + (1 - u) φ'(h) W_ij``, a Gaussian row of the
summed variances. x_i is one of many inputs of h_i, and independent of it in a wide network (derived here).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.results import PreconditionError
from theory.gaussian import gaussian_average, pair_average
from theory.layers import Dense, Gate
from theory.nonlinearity import ArrayFunction, Nonlinearity
from theory.weights import describe_weights, has_independent_entries, is_isometric

__all__ = ["GateOnGaussians", "check_gate_weights"]

FloatArray = npt.NDArray[np.float64]

# Below, a variance counts as this: the limit of vanishing pre-activations.
_TINY = 1e-300


@dataclass(frozen=True)
class GateOnGaussians:
    """A gated layer and the variances that it meets.

    Attributes
    ----------
    layer : Gate
        With numbers as parameters.
    second_moment : float
        X = <x²>.

    Raises
    ------
    PreconditionError
        For a symbolic parameter, or a signal that overflows.
    """

    layer: Gate
    second_moment: float

    def __post_init__(self) -> None:
        numbers = [self.layer.gate_bias, *(x for dense in self.layer.denses for x in (dense.sigma_w, dense.sigma_b))]
        symbol = next((x for x in numbers if getattr(x, "free_symbols", ())), None)
        if symbol is not None:
            raise PreconditionError(f"{symbol} in a Gate is symbolic: substitute a number")
        if not max(self.variance, self.gate_variance) < 1e150:
            raise PreconditionError(
                f"the signal overflows (mean square {self.second_moment!r} at a Gate): reduce sigma_w or the depth"
            )

    @property
    def shared(self) -> bool:
        """Whether the gate sees the pre-activations of the layer itself."""
        return self.layer.gate_dense is None

    @property
    def variance(self) -> float:
        """Variance q of h."""
        return _variance(self.layer.denses[0], self.second_moment)

    @property
    def gate_variance(self) -> float:
        """Variance of what the gate sees."""
        return _variance(self.layer.denses[-1], self.second_moment)

    @property
    def activation(self) -> Nonlinearity:
        """φ."""
        return self.layer.activation.nonlinearity

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where φ or its slope are not smooth."""
        return self.activation.kinks

    @property
    def gate_kinks(self) -> tuple[float, ...]:
        """Where u or its slope are not smooth."""
        return tuple(k - float(self.layer.gate_bias) for k in self.layer.gate.nonlinearity.kinks)

    @property
    def common_kinks(self) -> tuple[float, ...]:
        """All of them, where both are functions of h."""
        return tuple(sorted({*self.kinks, *self.gate_kinks}))

    def u(self, h: FloatArray) -> FloatArray:
        """The gate, as a function of what it sees."""
        return self.layer.gate.nonlinearity.value(h + float(self.layer.gate_bias))

    def du(self, h: FloatArray) -> FloatArray:
        """Its slope."""
        return self.layer.gate.nonlinearity.slope(h + float(self.layer.gate_bias))

    def _of_h(self, f: ArrayFunction) -> Any:
        """Averages over h of functions of h alone."""
        periodic = self.activation.periodic or self.layer.gate.nonlinearity.periodic
        kinks = self.common_kinks if self.shared else self.kinks
        return gaussian_average(f, max(self.variance, _TINY), kinks=kinks, entire=periodic)

    def _of_gate(self, f: ArrayFunction) -> Any:
        """Averages over the gate's own pre-activation."""
        periodic = self.layer.gate.nonlinearity.periodic
        return gaussian_average(f, max(self.gate_variance, _TINY), kinks=self.gate_kinks, entire=periodic)

    @cached_property
    def _averages(self) -> tuple[float, ...]:
        """<u>, <u²>, <(1-u)φ>, <u(1-u)φ>, <(1-u)²φ²> and, of D2² per weight, the terms of order 0, 1 and 2 in x."""
        phi, dphi = self.activation.value, self.activation.slope
        strength = float(self.layer.sigma_w) ** 2
        if self.shared:

            def rows(h: FloatArray) -> FloatArray:
                u, du, f = self.u(h), self.du(h), phi(h)
                fixed = (1 - u) * dphi(h) - du * f
                kept = (1 - u) * f
                slopes = strength * np.array([fixed * fixed, 2 * du * fixed, du * du])
                return np.concatenate([np.array([u, u * u, kept, u * kept, kept * kept]), slopes])

            return tuple(self._of_h(rows).tolist())

        def gate_rows(h: FloatArray) -> FloatArray:
            u, du = self.u(h), self.du(h)
            return np.array([u, u * u, 1 - u, u * (1 - u), (1 - u) ** 2, du * du])

        def own_rows(h: FloatArray) -> FloatArray:
            f, slope = phi(h), dphi(h)
            return np.array([f, f * f, slope * slope])

        u, u2, closed, mixed, closed2, du2 = self._of_gate(gate_rows).tolist()
        f, f2, slope2 = self._of_h(own_rows).tolist()
        assert self.layer.gate_dense is not None
        own = float(self.layer.gate_dense.sigma_w) ** 2 * du2
        return u, u2, closed * f, mixed * f, closed2 * f2, own * f2 + strength * closed2 * slope2, -2 * own * f, own

    def joint_moments(self, n: int) -> dict[tuple[int, int], float]:
        """<D1^(2i) D2^(2j)> for i + j <= n and centred Gaussian inputs, D2² summed over both kinds of weights."""
        pairs = [(i, j) for i in range(n + 1) for j in range(n + 1 - i)]
        x2, strength = self.second_moment, float(self.layer.sigma_w) ** 2
        phi, dphi = self.activation.value, self.activation.slope
        if self.shared:

            def rows(h: FloatArray) -> FloatArray:
                u, du = self.u(h), self.du(h)
                fixed = (1 - u) * dphi(h) - du * phi(h)
                powers = [strength**j * _even_moment(fixed, du * du * x2, j) for j in range(n + 1)]
                return np.array([u ** (2 * i) * powers[j] for i, j in pairs])

            return dict(zip(pairs, self._of_h(rows).tolist(), strict=True))
        # D2² is a sum of two terms, and its powers of products of functions of the two pre-activations
        terms = [(i, j, k) for i, j in pairs for k in range(j + 1)]

        def gate_rows(h: FloatArray) -> FloatArray:
            u, du = self.u(h), self.du(h)
            return np.array([u ** (2 * i) * du ** (2 * k) * (1 - u) ** (2 * (j - k)) for i, j, k in terms])

        def own_rows(h: FloatArray) -> FloatArray:
            f, slope = phi(h), dphi(h)
            return np.array(
                [_even_moment(f, x2, k) * slope ** (2 * (j - k)) for j in range(n + 1) for k in range(j + 1)]
            )

        assert self.layer.gate_dense is not None
        gate_strength = float(self.layer.gate_dense.sigma_w) ** 2
        by_gate = self._of_gate(gate_rows).tolist()
        own = dict(
            zip(((j, k) for j in range(n + 1) for k in range(j + 1)), self._of_h(own_rows).tolist(), strict=True)
        )
        total = dict.fromkeys(pairs, 0.0)
        for (i, j, k), value in zip(terms, by_gate, strict=True):
            total[i, j] += math.comb(j, k) * gate_strength**k * strength ** (j - k) * value * own[j, k]
        return total

    def signal(self, mean: float) -> tuple[float, float, float]:
        """(<x'>, <x'²>, mean squared singular value of the Jacobian) for inputs of that mean.

        ``<x'²> = <u²> X + 2 <u (1-u) φ> μ + <(1-u)² φ²>`` and ``<u²> + <D2²>``, D2² summed over both kinds of weights.
        """
        u, u2, kept, mixed, kept2, fixed, linear, square = self._averages
        x2 = self.second_moment
        return u * mean + kept, u2 * x2 + 2 * mixed * mean + kept2, u2 + fixed + linear * mean + square * x2

    def covariance(self, mean: float, covariance: float) -> float:
        """<x' y'> for a second input y of the same norm and mean with <x y> = covariance."""
        dense, gate = self.layer.denses[0], self.layer.denses[-1]
        rho, gate_rho = (self._correlation(part, covariance) for part in (dense, gate))
        phi = self.activation.value
        q, gate_q = max(self.variance, _TINY), max(self.gate_variance, _TINY)
        if self.shared:
            kinks = self.common_kinks

            def kept(h: FloatArray) -> FloatArray:
                return (1 - self.u(h)) * phi(h)

            both = _pair(self.u, q, rho, kinks)
            # E f g' of an exchangeable pair, from E (f ± g)(f ± g)'
            plus = _pair(lambda h: self.u(h) + kept(h), q, rho, kinks)
            minus = _pair(lambda h: self.u(h) - kept(h), q, rho, kinks)
            return both * covariance + (plus - minus) / 2 * mean + _pair(kept, q, rho, kinks)
        u, kept_mean = self._averages[0], self._averages[2]
        both = _pair(self.u, gate_q, gate_rho, self.gate_kinks)
        closed = 1 - 2 * u + both
        mean_phi = kept_mean / (1 - u) if u != 1 else 0.0
        cross = self.activation.cross_moment(self.variance, rho)
        return both * covariance + 2 * (u - both) * mean_phi * mean + closed * cross

    def correlation(self, covariance: float) -> float:
        """Correlation of h at two inputs of that covariance."""
        return self._correlation(self.layer.denses[0], covariance)

    def _correlation(self, dense: Dense, covariance: float) -> float:
        q = _variance(dense, self.second_moment)
        common = float(dense.sigma_w) ** 2 * covariance + float(dense.sigma_b) ** 2
        return min(1.0, max(-1.0, common / q)) if q > 0 else 1.0


def check_gate_weights(layer: Gate) -> None:
    """Refuse weights with which the law of a gated layer is not known.

    Raises
    ------
    PreconditionError
        Unless all entries are independent, or the weights orthogonal and the gate has none of its own.
    """
    for dense in layer.denses:
        if not has_independent_entries(dense.weights) and not (
            layer.gate_dense is None and is_isometric(dense.weights)
        ):
            raise PreconditionError(
                f"the law of a Gate with {describe_weights(dense.weights)} is not known here: take weights of "
                "independent entries, or orthogonal ones without gate_dense"
            )


def _variance(dense: Dense, second_moment: float) -> float:
    return float(dense.sigma_w) ** 2 * second_moment + float(dense.sigma_b) ** 2


def _even_moment(mean: FloatArray, variance: Any, j: int) -> FloatArray:
    """E X^(2j), X normal."""
    total = np.zeros_like(mean)
    for k in range(j + 1):
        odd_factorial = math.prod(range(1, 2 * k, 2))
        total = total + math.comb(2 * j, 2 * k) * odd_factorial * variance**k * mean ** (2 * (j - k))
    return total


def _pair(f: ArrayFunction, q: float, rho: float, kinks: tuple[float, ...]) -> float:
    """E f(h₁) f(h₂)."""
    if rho == 1 or math.sqrt(q) < 1e-8:
        return float(gaussian_average(lambda h: f(h) ** 2, q, kinks=kinks))
    return pair_average(f, q, rho, kinks=kinks)
