"""Free multiplicative Brownian motion."""

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
from rmt.parameters import as_float, check_number
from rmt.results import PreconditionError
from rmt.support import Edge

__all__ = [
    "FreeMultiplicativeBrownian",
    "angle_of_log_x",
    "float_moments",
    "log_upper_edge",
    "symbolic_edges",
    "symbolic_moments",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class FreeMultiplicativeBrownian(Law):
    """Law of ``b_t b_t*`` for the free multiplicative Brownian motion b at ``time`` t: ``S(m) = exp(-t (m + 1/2))``.

    The limit of G Gᵀ for the product G of L near-identities ``1 + sqrt(t/(2 L)) X_l``, X_l with entries of variance
    1/N (Biane 1997). E log X = 0, 1/X has the law of X, the mean is ``exp(t/2)``. With c = t/2 the edges are
    ``(1 + c ± sqrt(c (c + 2))) exp(± sqrt(c (c + 2)))``. `UniversalResNet` is its scaling.

    Raises
    ------
    ValueError
        If ``time`` is not a positive finite number.
    """

    time: Any = 1

    def __post_init__(self) -> None:
        check_number("time", self.time, above=0)

    def _half(self) -> float:
        return as_float(self.time, "time") / 2

    def _node(self) -> Node:
        c = self._half()
        return ExplicitSLeaf(LogS(constant=-c, slope=-2 * c))

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        if hasattr(self.time, "free_symbols"):
            return symbolic_moments(1, self.time / 2, n)
        c = self._half()
        if c > 700 / n:
            raise PreconditionError(f"moments({n}) of {self!r} exceed the range of floats; ask for fewer")
        return float_moments(0.0, c, n)

    def _edges(self) -> tuple[Edge, ...]:
        half = Fraction(1, 2)
        if hasattr(self.time, "free_symbols"):
            lower, upper = symbolic_edges(self.time / 2)
        else:
            end = log_upper_edge(self._half())
            lower, upper = math.exp(-end), math.exp(end)
        return (Edge(lower, half, "lower"), Edge(upper, half, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        """See `angle_of_log_x`."""
        return angle_of_log_x(np.log(x), self._half()) / (np.pi * x)

    def _log_moment(self) -> float:
        return 0.0


def float_moments(log_scale: float, c: float, n: int) -> list[float]:
    """m_k = (e^(c k)/k) L^(1)_(k-1)(-2 c k) exp(k log_scale), all terms positive (Biane 1997)."""
    out = []
    for k in range(1, n + 1):
        laguerre = sum(math.comb(k, k - 1 - j) * (2 * c * k) ** j / math.factorial(j) for j in range(k))
        out.append(math.exp((log_scale + c) * k) * laguerre / k)
    return out


def symbolic_moments(scale: Any, c: Any, n: int) -> list[Any]:
    """The same as sympy expressions."""
    import sympy

    return [scale**k * sympy.exp(c * k) / k * sympy.assoc_laguerre(k - 1, 1, -2 * c * k) for k in range(1, n + 1)]


def log_upper_edge(c: float) -> float:
    """Logarithm of the upper edge; 1 + c + r = exp(acosh(1 + c)), without cancellation."""
    return 2 * math.asinh(math.sqrt(c / 2)) + math.sqrt(c * (c + 2))


def symbolic_edges(c: Any) -> tuple[Any, Any]:
    """Both edges as sympy expressions."""
    import sympy

    root = sympy.sqrt(c * (c + 2))
    lower, upper = ((1 + c + sign * root) * sympy.exp(sign * root) for sign in (-1, 1))
    return lower, upper


def angle_of_log_x(log_x: FloatArray, c: float) -> FloatArray:
    """The angle t = pi x rho(x), 0 outside the support, from a parametric form (derived here).

    With m = u - i t: ``u = -1/2 ± sqrt(1/4 - t² + t cot 2ct)``, ``x = |(1+m)/m| exp(c (1 + 2u))``; the branch + belongs
    to x > 1. t(x) is found by bisection in log x, which is monotone in t on each branch.
    """
    target = np.abs(log_x)  # X and 1/X have the same law: the density of log x is even
    low, high = np.zeros(target.shape), np.full(target.shape, _largest_angle(c))
    inside = target < log_upper_edge(c)

    def size(t: FloatArray) -> FloatArray:
        v = np.sqrt(np.maximum(0.25 - t * t + t / np.tan(2 * c * t), 0.0))  # u + 1/2 >= 0
        out: FloatArray = np.log(np.hypot(v + 0.5, t)) - np.log(np.hypot(v - 0.5, t)) + 2 * c * v
        return out

    with np.errstate(all="ignore"):
        for _ in range(80):
            middle = (low + high) / 2
            beyond = size(middle) > target  # log x falls from the edge at t = 0 to 0 at the largest t
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    return np.where(inside, (low + high) / 2, 0.0)


def _largest_angle(c: float) -> float:
    """The t at x = 1: root of 1/4 - t² + t cot 2ct in (0, pi/(2c))."""
    low, high = 0.0, math.pi / (2 * c)
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if 0.25 - middle * middle + middle / math.tan(2 * c * middle) > 0:
            low = middle
        else:
            high = middle
    return low
