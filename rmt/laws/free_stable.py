"""Free stable laws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.node import Node
from rmt.numeric.unary import ShiftedNode
from rmt.numeric.unbounded import PositiveStableLeaf, StableLeaf
from rmt.parameters import as_float, check_number, normalised
from rmt.results import PreconditionError
from rmt.support import Edge

__all__ = ["FreeStable"]

FloatArray = npt.NDArray[np.float64]

# Slack of the bounds of rho where alpha and rho are floats.
_ROUNDING = 1e-12

# The series of the tail is used where its k-th term is below this to the power -k, so that these terms suffice.
_FAR = 100.0
_TERMS = np.arange(1, 11)


@dataclass(frozen=True, repr=False)
class FreeStable(Law):
    """Strictly free stable law of index ``alpha``: ``R(g) = location - exp(i pi alpha rho) scale**alpha g**(alpha-1)``.

    g lies in the lower half-plane, with the principal power. ``rho`` is P(X > 0) at location 0; it may be any number of
    [0, 1] for alpha < 1, of (0, 1) for alpha = 1, and of [1 - 1/alpha, 1/alpha] for alpha > 1. alpha = 2 is the
    semicircle law of variance scale**2, alpha = 1 the Cauchy law of scale ``sin(pi rho)`` at ``-cos(pi rho)``, and
    alpha = 1/2, rho = 1 has the density ``sqrt(4 x - 1)/(2 pi x**2)``. Tails fall as ``|x|**(-alpha-1)``; a moment of
    order k exists for k < alpha only (all for alpha = 2).

    Bercovici and Pata, Ann. Math. 149 (1999), with an appendix by Biane; in the parameters of Hasebe and Kuznetsov,
    arXiv:1404.2981. Density (equivalent to theirs, derived here from Im z = 0 with 1/g = r exp(i t)), 0 < t < pi:
    ``r**alpha = sin(f)/sin(t)``, ``f = pi alpha rho + (1 - alpha) t``, ``x = r sin(alpha (pi rho - t))/sin(f)``,
    ``pdf = sin(t)/(pi r)``, ``cdf = 1 - t/pi + (1 - 1/alpha) x pdf``. Far out, by Lagrange inversion of
    ``z g - 1 = -exp(i pi alpha rho) g**alpha``, ``P(X > x) = sum_k (-1)**(k-1) gamma(alpha k) sin(pi alpha rho k)
    x**(-alpha k)/(pi k! gamma(2 + (alpha - 1) k))``, which converges beyond the scale alpha |1 - alpha|**(1/alpha - 1).

    Raises
    ------
    ValueError
        If a parameter lies outside its range.
    """

    alpha: Any
    rho: Any = Fraction(1, 2)
    scale: Any = 1
    location: Any = 0

    def __post_init__(self) -> None:
        alpha = as_float(check_number("alpha", self.alpha, above=0, at_most=2), "alpha")
        rho = as_float(check_number("rho", self.rho), "rho")
        low, high = (0.0, 1.0) if alpha <= 1 else (1 - 1 / alpha, 1 / alpha)
        if not low - _ROUNDING <= rho <= high + _ROUNDING or (alpha == 1 and rho in (0, 1)):
            allowed = f"in ({low:g}, {high:g})" if alpha == 1 else f"in [{low:.6g}, {high:.6g}]"
            raise ValueError(f"rho={self.rho!r}: expected a number {allowed} for alpha={self.alpha!r}")
        check_number("scale", self.scale, above=0)
        check_number("location", self.location)

    def _numbers(self) -> tuple[float, float, float, float]:
        return (
            as_float(self.alpha, "alpha"),
            as_float(self.rho, "rho"),
            as_float(self.scale, "scale"),
            as_float(self.location, "location"),
        )

    def _bounded(self) -> tuple[bool, bool]:
        """Whether the law is bounded below, and above."""
        alpha, rho, _, _ = self._numbers()
        if alpha < 1:
            return rho > 1 - _ROUNDING, rho < _ROUNDING
        return abs(alpha * (1 - rho) - 1) < _ROUNDING, abs(alpha * rho - 1) < _ROUNDING

    def _node(self) -> Node:
        alpha, rho, scale, location = self._numbers()
        below, above = self._bounded()
        log_c = complex(alpha * math.log(scale), math.pi * (alpha * rho - 1))
        if alpha < 1 and below:
            node: Node = PositiveStableLeaf(alpha, complex(log_c.real, math.pi * (alpha - 1)))
        else:
            node = StableLeaf(alpha, log_c, (not below, not above))
        return node if location == 0 else ShiftedNode(node, location, below and float(self._edges()[0].position) >= 0)

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        alpha = as_float(self.alpha, "alpha")
        if alpha == 2:
            from rmt.laws.semicircle import Semicircle

            return Semicircle(self.scale**2, self.location).moments(n)
        if n < alpha:
            return [self.location] * n
        raise PreconditionError(
            f"moments of {self!r}: only those of order < alpha exist; ask for quantiles, or for `expectation` of a "
            "bounded function"
        )

    def _edges(self) -> tuple[Edge, ...]:
        below, above = self._bounded()
        half = Fraction(1, 2)
        # alpha |1 - alpha|**(1/alpha - 1): the parametric x at the end of its range
        alpha: Any = self.alpha
        power: Any = 1 / (Fraction(alpha) if isinstance(alpha, int) else alpha) - 1
        if isinstance(power, Fraction) and power.denominator == 1:
            power = int(power)
        base = abs(1 - alpha)
        reach: Any = self.scale * normalised(alpha * (base if base == 1 else base**power)) if below or above else 0
        lower = Edge(self.location + (reach if alpha < 1 else -reach), half, "lower") if below else None
        upper = Edge(self.location + (-reach if alpha < 1 else reach), half, "upper") if above else None
        return (lower or Edge(-math.inf, None, "lower"), upper or Edge(math.inf, None, "upper"))

    def _side(self, x: FloatArray, rho: float) -> tuple[FloatArray, FloatArray]:
        """(density, P(X > x)) of the standard law at points x > 0 of its support."""
        alpha = as_float(self.alpha, "alpha")
        reach = alpha * math.log(alpha) + ((1 - alpha) * math.log(abs(1 - alpha)) if alpha != 1 else 0)
        far = alpha * np.log(x) > math.log(_FAR) + reach
        density, beyond = np.empty(x.shape), np.empty(x.shape)
        density[far], beyond[far] = self._tail(x[far], rho)
        from_edge = np.full(x.shape, alpha > 1 and abs(alpha * rho - 1) < _ROUNDING)
        if alpha < 1 and rho > 1 - _ROUNDING:
            # up to the middle of the range of t
            middle = math.pi * alpha / 2
            from_edge = x < math.sin(middle) * math.cos(middle) ** (1 / alpha - 1)
        for edge in (False, True):
            here = ~far & (from_edge == edge)
            density[here], beyond[here] = self._parametric(x[here], rho, edge)
        return density, beyond

    def _tail(self, x: FloatArray, rho: float) -> tuple[FloatArray, FloatArray]:
        """`_side` by the series of the tail, with no angle to find."""
        from scipy.special import gammaln, rgamma

        alpha = as_float(self.alpha, "alpha")
        sizes = np.exp(gammaln(alpha * _TERMS) - gammaln(_TERMS + 1)) * rgamma(2 + (alpha - 1) * _TERMS)
        # sin(pi alpha rho k) with its sign (-1)**(k-1), from the nearer of the two ends alpha rho = 0 and 1
        turn = alpha * rho
        alternating = (-1.0) ** (_TERMS - 1) if turn < 0.5 else 1.0
        sines = alternating * np.sin(np.pi * min(turn, 1 - turn) * _TERMS)
        terms = sizes * sines / np.pi * x[:, np.newaxis] ** (-alpha * _TERMS)
        return np.sum(alpha * _TERMS * terms, axis=1) / x, np.sum(terms, axis=1)

    def _parametric(self, x: FloatArray, rho: float, from_edge: bool) -> tuple[FloatArray, FloatArray]:
        """`_side` by the angle t.

        The t of each point by Newton steps in its logarithm, kept inside a bracket. ``from_edge``: of a law that is
        bounded on this side, or of the points near the edge of one that lives on it alone; sines of angles near pi are
        then written as those of the small differences.
        """
        alpha = as_float(self.alpha, "alpha")
        alone = from_edge and alpha < 1  # then t is counted from pi, where the edge is
        target = np.log(x)
        low, high = np.full(x.shape, -740.0), np.full(x.shape, math.log(math.pi * (1.0 if alone else rho)))
        s: FloatArray = high - 1
        for _ in range(200):
            t = np.exp(s)
            sine = np.log(np.sin(t))
            if from_edge:
                f, rest, by_f, by_rest = abs(1 - alpha) * t, alpha * t, abs(1 - alpha), alpha
            else:
                f, rest = math.pi * alpha * rho + (1 - alpha) * t, alpha * (math.pi * rho - t)
                by_f, by_rest = 1 - alpha, -alpha
            value = (1 / alpha - 1) * np.log(np.sin(f)) - sine / alpha + np.log(np.sin(rest)) - target
            slope = t * (
                (1 / alpha - 1) * by_f / np.tan(f) - 1 / (alpha * np.tan(t)) + by_rest / np.tan(rest)
            )
            before = (value < 0) if alone else (value > 0)  # x falls as t grows, but grows with t counted from pi
            low, high = np.where(before, s, low), np.where(before, high, s)
            new = s - value / slope
            new = np.where((new > low) & (new < high), new, (low + high) / 2)
            if np.all(np.abs(new - s) <= 4e-16 * np.maximum(1, np.abs(s))):
                break
            s = new
        t = np.exp(s)
        f = abs(1 - alpha) * t if from_edge else math.pi * alpha * rho + (1 - alpha) * t
        density = np.sin(t) / (np.pi * (np.sin(f) / np.sin(t)) ** (1 / alpha))
        angle = math.pi - t if alone else t
        return density, angle / math.pi - (1 - 1 / alpha) * x * density

    def _pdf_and_cdf(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        _, rho, scale, location = self._numbers()
        y = (x - location) / scale
        density = np.full(x.shape, math.sin(math.pi * rho) / math.pi)  # at 0, where r = 1
        below = np.full(x.shape, 1 - rho)
        ends = [float(edge.position - self.location) / scale for edge in self._edges()]
        inside = (y > ends[0]) & (y < ends[1])
        density[~inside], below[y <= ends[0]], below[y >= ends[1]] = 0.0, 0.0, 1.0
        # the law of -X has 1 - rho for rho: each side is seen from 0 outwards
        for sign, own in ((1, rho), (-1, 1 - rho)):
            side = inside & (sign * y > 0)
            if np.any(side):
                with np.errstate(all="ignore"):
                    density[side], tail = self._side(np.abs(y[side]), own)
                below[side] = 1 - tail if sign > 0 else tail
        return density / scale, below

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        return self._pdf_and_cdf(x)[0]

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        return self._pdf_and_cdf(x)[1]
