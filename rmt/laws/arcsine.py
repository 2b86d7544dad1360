"""The arcsine law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.jet import ComplexArray
from rmt.numeric.node import Node
from rmt.numeric.resolvent import node_on_interval, sqrt_upper
from rmt.parameters import as_float, check_interval, normalised
from rmt.series.power_series import divide
from rmt.support import Edge

__all__ = ["Arcsine"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Arcsine(Law):
    """Arcsine law on [a, b]: density ``1/(pi sqrt((x - a)(b - x)))``, ``G(z) = 1/sqrt((z - a)(z - b))``.

    With centre c and half-width h, ``R(g) = c + (sqrt(1 + h**2 g**2) - 1)/g``. It is the free sum of two coins on
    {a/2, b/2}; on [-2, 2] it is the law of u + u* for a Haar unitary u (Nica and Speicher 2006, example 1.14 and
    lecture 12).

    Parameters
    ----------
    a, b : number
        The ends, a < b.

    Raises
    ------
    ValueError
        If an end is not a finite number, or a >= b.
    """

    a: Any = -2
    b: Any = 2

    def __post_init__(self) -> None:
        check_interval(self.a, self.b)

    def _numbers(self) -> tuple[float, float]:
        return as_float(self.a, "a"), as_float(self.b, "b")

    def _node(self) -> Node:
        a, b = self._numbers()
        return node_on_interval(_transforms, _phi, a, b, variance=(b - a) ** 2 / 8)

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        # E (c + h Y)^k, E Y^2j = binom(2j, j)/4^j
        c, square = divide(self.a + self.b, 2), divide((self.b - self.a) ** 2, 16)
        return [
            normalised(sum(math.comb(k, 2 * j) * math.comb(2 * j, j) * c ** (k - 2 * j) * square**j
                           for j in range(k // 2 + 1)))
            for k in range(1, n + 1)
        ]

    def _edges(self) -> tuple[Edge, ...]:
        exponent = divide(-1, 2)
        return (Edge(self.a, exponent, "lower"), Edge(self.b, exponent, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        a, b = self._numbers()
        out: FloatArray = 1 / (np.pi * np.sqrt((x - a) * (b - x)))
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        a, b = self._numbers()
        out: FloatArray = 2 / np.pi * np.arcsin(np.sqrt(np.clip((x - a) / (b - a), 0.0, 1.0)))
        return out

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        a, b = self._numbers()
        out: ComplexArray = 1 / (sqrt_upper(z - a) * sqrt_upper(z - b))
        return out

    def _log_moment(self) -> float:
        # log |(z - c + sqrt((z - a)(z - b)))/2| at z = 0
        a, b = self._numbers()
        if a < 0 < b:
            return math.log((b - a) / 4)
        return 2 * math.log((math.sqrt(abs(a)) + math.sqrt(abs(b))) / 2)


def _transforms(z: ComplexArray, a: float, b: float) -> tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]:
    """(G, dG/dz, m, dm/dz), without cancellation far away."""
    c = (a + b) / 2
    root = sqrt_upper(z - a) * sqrt_upper(z - b)
    g = 1 / root
    # next to a hard edge at 0 the cube of g overflows long before dm does; dG/dz is not used there
    with np.errstate(over="ignore", invalid="ignore"):
        cube = g * g * g
        dg = (c - z) * cube
        dm = -c * g / (z - b) if a == 0 else (a * b - c * z) * cube
    return g, dg, (2 * c * z - a * b) * g / (z + root), dm


def _phi(z: ComplexArray, a: float, b: float) -> ComplexArray:
    """E log(z - X)."""
    out: ComplexArray = 2 * np.log((sqrt_upper(z - a) + sqrt_upper(z - b)) / 2)
    return out
