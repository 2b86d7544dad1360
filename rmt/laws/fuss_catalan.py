"""Fuss–Catalan laws: products of independent square Gaussian matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.leaves import ExplicitSLeaf
from rmt.numeric.log_s import LogS
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, is_symbolic, normalised
from rmt.support import Edge

__all__ = ["FussCatalan"]

FloatArray = npt.NDArray[np.float64]

# Up to this order the upper edge is an exact fraction; beyond it the fraction has thousands of digits.
_EXACT = 1000


@dataclass(frozen=True, repr=False)
class FussCatalan(Law):
    """Free product of ``order`` Marchenko–Pastur laws of ratio 1; ``order`` > 0 may be real.

    ``S(m) = (1 + m)**-order``, moments ``binom(k (order + 1), k)/(k order + 1)``, upper edge
    ``(order+1)**(order+1)/order**order``, density ``x**(-order/(order+1))`` at 0. Parametric density: Haagerup and
    Möller, arXiv:1211.4457; Forrester and Liu, arXiv:1404.5783.

    Raises
    ------
    ValueError
        If ``order`` is not a positive finite number.
    """

    order: Any = 1

    def __post_init__(self) -> None:
        check_number("order", self.order, above=0)

    def _node(self) -> Node:
        return ExplicitSLeaf(LogS(factors=((1.0, -as_float(self.order, "order")),)))

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        if isinstance(self.order, int):
            return [math.comb(k * (self.order + 1), k) // (k * self.order + 1) for k in range(1, n + 1)]
        out = []
        for k in range(1, n + 1):
            # binom(k s + k, k)/(k s + 1) = prod_(j=2..k) (k s + j) / k!
            value: Any = Fraction(1, math.factorial(k)) if not isinstance(self.order, float) else 1 / math.factorial(k)
            if hasattr(self.order, "free_symbols"):
                value = self.order**0 / math.factorial(k)
            for j in range(2, k + 1):
                value = value * (k * self.order + j)
            out.append(normalised(value))
        return out

    def _edges(self) -> tuple[Edge, ...]:
        s = self.order
        exponent: Any
        if isinstance(s, int):
            upper: Any = normalised(Fraction((s + 1) ** (s + 1), s**s)) if s <= _EXACT else _upper_edge(s)
            exponent = Fraction(-s, s + 1)
        elif is_symbolic(s) or hasattr(s, "free_symbols"):
            upper, exponent = (s + 1) ** (s + 1) / s**s, -s / (s + 1)
        else:
            upper = _upper_edge(float(s))
            exponent = -s / (s + 1)
        return (Edge(0, exponent, "lower"), Edge(upper, Fraction(1, 2), "upper"))

    def _angles(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The angle t in (0, pi/(order+1)) of the parametric density, and ``turn = pi - (order + 1) t``.

        Newton steps kept inside a bracket, for log x from the hard edge (unknown: turn) or from the upper edge
        (unknown: t), whichever is nearer: each loses its digits at the other end.
        """
        s = as_float(self.order, "order")
        top, upper = np.pi / (s + 1), float(self._edges()[1].position)
        hard = x < upper * np.exp(_log_share(np.array(top / 2), s))
        target = np.where(hard, np.log(x), np.log1p((x - upper) / upper))
        # to first order log x is (order + 1) log(turn/sin(top)) here and log upper - order (order + 1) t**2/2 there
        start = np.where(hard, np.exp(target / (s + 1)) * np.sin(top) / (s + 1), np.sqrt(-2 * target / (s * (s + 1))))
        angle = np.minimum(start, top / 2)
        low, high = np.zeros(x.shape), np.full(x.shape, top / 2)
        moving = np.ones(x.shape, dtype=bool)
        for _ in range(100 if x.size else 0):
            t = np.where(hard, top - angle, angle)
            turn = (s + 1) * np.where(hard, angle, top - angle)
            excess = np.where(hard, _log_x(t, turn, s), _log_share(t, s)) - target
            slope = -((s + 1) ** 2) / np.tan(turn) - 1 / np.tan(t) + s**2 / np.tan(t + turn)  # of log x by t
            beyond = (excess > 0) ^ hard  # log x falls as t grows
            low, high = np.where(beyond, angle, low), np.where(beyond, high, angle)
            # Newton in the logarithm of the angle, in which the hard edge is linear
            step = excess / (np.where(hard, -slope, slope) * angle)
            moving &= np.abs(step) > 2e-16
            new = angle * np.exp(-step)
            new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
            angle = np.where(moving, new, angle)
            if not np.any(moving):
                break
        return np.where(hard, top - angle, angle), (s + 1) * np.where(hard, angle, top - angle)

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        s = as_float(self.order, "order")
        with np.errstate(all="ignore"):
            t, turn = self._angles(x)
            log_rho = 2 * np.log(np.sin(t)) + (s - 1) * np.log(np.sin(t + turn)) - s * np.log(np.sin(turn))
            out: FloatArray = np.exp(log_rho) / np.pi
        return np.where(np.isfinite(out), out, 0.0)

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        # 1 - Im Phi/pi with Phi = Gamma - log g, m = exp(-i (s+1) t) sin t/sin st, Gamma = s (m - log(1 + m))
        s = as_float(self.order, "order")
        upper = float(self._edges()[1].position)
        inside = (x > 0) & (x < upper)
        with np.errstate(all="ignore"):
            t, turn = self._angles(np.where(inside, x, upper / 2))
            below: FloatArray = (turn + s * np.sin(t) * np.sin(turn) / np.sin(t + turn)) / np.pi
        return np.where(inside, below, (x > 0).astype(float))

    def _log_moment(self) -> float:
        return -as_float(self.order, "order")


def _upper_edge(s: float) -> float:
    """``(s + 1) (1 + 1/s)**s``."""
    return (s + 1) * math.exp(s * (math.log1p(1 / s) if s > 1 else math.log1p(s) - math.log(s)))


def _log_x(t: FloatArray, turn: FloatArray, s: float) -> FloatArray:
    """Log x at the angle t = (pi - turn)/(s + 1), where s t = pi - t - turn."""
    out: FloatArray = (s + 1) * np.log(np.sin(turn)) - np.log(np.sin(t)) - s * np.log(np.sin(t + turn))
    return out


def _log_share(t: FloatArray, s: float) -> FloatArray:
    """The same as a share of the upper edge, where t = 0."""
    powers = ((s + 1, s + 1), (1.0, -1.0), (s, -s))
    out: FloatArray = np.sum([power * np.log(np.sinc(factor * t / np.pi)) for factor, power in powers], axis=0)
    return out
