"""S-transforms with an explicit logarithm: a family closed under free products, free powers and scaling.

    log S(m) = constant + slope m + sum_i e_i log(1 + m/r_i),    r_i real

holds Marchenko–Pastur laws, masks, Fuss–Catalan and free Jacobi laws, free multiplicative Brownian motion, and all
their free products and powers, deep linear and ReLU chains among them. Equal roots are merged, so that the cost does
not depend on the number of factors.

The mass away from 0 is q = min(1, r_i > 0 with e_i < 0). With the logarithm u of ``eta = m/(m + q)`` as coordinate,

    1 + m/r = (1 - t eta)/(1 - eta),  t = 1 - q/r,
    log z   = -constant - log q - u + sum_t c_t log(1 - t eta) - slope m,

and neither m nor m + q loses digits where the other is small (derived here). On the upper side of the support eta lies
in the lower half-plane, so principal logarithms of ``1 - t eta`` are the continued ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray

__all__ = ["LogS"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogS:
    """``log S(m) = constant + slope m + sum e log(1 + m/root)`` over ``factors = ((root, e), …)``.

    For S ~ 1 + m put root 1, for the pole of a mass q away from 0 put root q; a positive zero or pole has a negative
    root. Factors with equal roots are merged.
    """

    constant: float = 0.0
    slope: float = 0.0
    factors: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", _merged(self.factors))

    @property
    def mass(self) -> float:
        """Mass away from 0."""
        return min([1.0, *(root for root, exponent in self.factors if root > 0 and exponent < 0)])

    @property
    def mean(self) -> float:
        """1/S(0)."""
        return math.exp(-self.constant)

    @property
    def variance(self) -> float:
        """The second coefficient: S = 1/mean - variance m/mean**3 + O(m**2)."""
        return -self.mean**2 * (self.slope + math.fsum(exponent / root for root, exponent in self.factors))

    def scaled(self, scale: float) -> LogS:
        """S of scale * X."""
        return LogS(self.constant - math.log(scale), self.slope, self.factors)

    def power(self, exponent: float) -> LogS:
        """S**exponent."""
        factors = tuple((root, exponent * e) for root, e in self.factors)
        return LogS(exponent * self.constant, exponent * self.slope, factors)

    def compressed(self, ratio: float) -> LogS:
        """S(ratio m), the S-transform of a free compression (Nica and Speicher 1996)."""
        return LogS(self.constant, ratio * self.slope, tuple((root / ratio, e) for root, e in self.factors))

    def times(self, other: LogS) -> LogS:
        """Product of two S-transforms."""
        return LogS(self.constant + other.constant, self.slope + other.slope, self.factors + other.factors)

    def at(
        self, eta: ComplexArray, log: Callable[[ComplexArray], ComplexArray]
    ) -> tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]:
        """(m, (m + q)/q, log S, d log S/dm) at ``eta = m/(m + q)``.

        ``log`` is the logarithm to use for quantities that turn as w = 1 + m does.
        """
        w = 1 / (1 - eta)
        m = self.mass * eta * w
        log_s = self.constant + self.slope * m
        slope = np.full_like(m, self.slope)
        for root, exponent in self.factors:
            log_s += exponent * self._log_factor(root, w, log)
            slope += exponent / (root * self._factor(root, w))
        return m, w, log_s, slope

    def gamma(self, m: ComplexArray, w: ComplexArray, log: Callable[[ComplexArray], ComplexArray]) -> ComplexArray:
        """The integral from 0 to m of -m d log S, with ``w = (m + q)/q`` (see `rmt.numeric.node` on Gamma)."""
        out: ComplexArray = -self.slope / 2 * m * m
        for root, exponent in self.factors:
            out -= exponent * (m - root * self._log_factor(root, w, log))
        return out

    def _factor(self, root: float, w: ComplexArray) -> ComplexArray:
        """1 + m/root."""
        share = self.mass / root
        return (1 - share) + share * w

    def _log_factor(
        self, root: float, w: ComplexArray, log: Callable[[ComplexArray], ComplexArray]
    ) -> ComplexArray:
        value = self._factor(root, w)
        return log(value) if root > 0 else log(value.conj()).conj()  # 1 - m/|root| turns against w

    @cached_property
    def terms(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(t, c_t, k_t): the terms of log z in the module's docstring, and those of Phi.

        ``Im Phi = sum k_t arg(1 - t eta) - slope Im(m**2)/2 - E Im m`` with E the sum of the exponents. Terms with
        t = 0 vanish and are left out.
        """
        q = self.mass
        total = math.fsum(exponent for _, exponent in self.factors)
        weight = math.fsum(exponent * root for root, exponent in self.factors)
        by_ratio: dict[float, list[float]] = {1.0: [total, 1 - weight]}
        parts = [(1 - q / root, -exponent, exponent * root) for root, exponent in self.factors]
        for ratio, power, turn in [(1 - q, 1.0, -1.0), *parts]:
            entry = by_ratio.setdefault(ratio, [0.0, 0.0])
            entry[0] += power
            entry[1] += turn
        table = np.array([(t, c, k) for t, (c, k) in sorted(by_ratio.items()) if t != 0]).T
        return table[0].copy(), table[1].copy(), table[2].copy()


    def position(self, eta: float) -> float:
        """|z| at a real eta."""
        ratios, powers, _ = self.terms
        bend = self.slope * self.mass * eta / (1 - eta) if self.slope else 0.0
        with np.errstate(divide="ignore", over="ignore"):
            logs = np.where(
                np.abs(ratios * eta) < 0.5, np.log1p(-np.minimum(ratios * eta, 0.5)), np.log(np.abs(1 - ratios * eta))
            )
            total = np.sum(powers[powers != 0] * logs[powers != 0])
            return float(np.exp(total - self.constant - bend) / (self.mass * eta))


def _merged(factors: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    exponents: dict[float, float] = {}
    for root, exponent in factors:
        exponents[root] = exponents.get(root, 0.0) + exponent
    return tuple(sorted((root, exponent) for root, exponent in exponents.items() if exponent != 0))
