"""The uniform law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.jet import ComplexArray, log_upper
from rmt.numeric.node import Node
from rmt.numeric.resolvent import node_on_interval
from rmt.parameters import as_float, check_interval, normalised
from rmt.series.power_series import divide
from rmt.support import Edge

__all__ = ["Uniform"]

FloatArray = npt.NDArray[np.float64]

# Beyond 1/_NEAR half-widths from the centre the transforms are summed as series in half-width/(z - centre).
_NEAR = 0.3
_TERMS = 16


@dataclass(frozen=True, repr=False)
class Uniform(Law):
    """Uniform law on [a, b]: ``G(z) = log((z - a)/(z - b))/(b - a)``, ``R(g) = c + h coth(h g) - 1/g``.

    c is the centre and h the half-width; R is the inverse of G, solved here. The density jumps at both edges
    (exponent 0).

    Parameters
    ----------
    a, b : number
        The ends, a < b.

    Raises
    ------
    ValueError
        If an end is not a finite number, or a >= b.
    """

    a: Any = 0
    b: Any = 1

    def __post_init__(self) -> None:
        check_interval(self.a, self.b)

    def _numbers(self) -> tuple[float, float]:
        return as_float(self.a, "a"), as_float(self.b, "b")

    def _node(self) -> Node:
        a, b = self._numbers()
        return node_on_interval(_transforms, _phi, a, b, variance=(b - a) ** 2 / 12)

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        # (b^(k+1) - a^(k+1))/((k+1)(b-a)), the division by b - a carried out
        out, powers = [], [1]
        for k in range(1, n + 1):
            powers = [self.b * powers[0], *(self.a * p for p in powers)]
            out.append(normalised(divide(sum(powers), k + 1)))
        return out

    def _edges(self) -> tuple[Edge, ...]:
        return (Edge(self.a, 0, "lower"), Edge(self.b, 0, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        a, b = self._numbers()
        return np.full(x.shape, 1 / (b - a))

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        a, b = self._numbers()
        return np.clip((x - a) / (b - a), 0.0, 1.0)

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        return _transforms(z, *self._numbers())[0]

    def _log_moment(self) -> float:
        a, b = self._numbers()
        return (_x_log_x(b) - _x_log_x(a)) / (b - a) - 1


def _x_log_x(x: float) -> float:
    return x * math.log(abs(x)) if x else 0.0


def _transforms(z: ComplexArray, a: float, b: float) -> tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]:
    """(G, dG/dz, m, dm/dz); far away, with x = h/(z - c): G = artanh(x)/h, m = c G + artanh(x)/x - 1."""
    c, h = (a + b) / 2, (b - a) / 2
    g: ComplexArray = (log_upper(z - a) - log_upper(z - b)) / (2 * h)
    dg: ComplexArray = -1 / ((z - a) * (z - b))
    m: ComplexArray = z * g - 1
    dm: ComplexArray = g + z * dg
    far = np.abs(z - c) > h / _NEAR
    if np.any(far):
        t = z[far] - c
        x = h / t
        square = x * x
        # artanh(x)/x - 1 = sum x^2k/(2k+1), and x d/dx of it
        rest, slope = np.zeros_like(x), np.zeros_like(x)
        for k in range(_TERMS, 0, -1):
            rest = square * (rest + 1 / (2 * k + 1))
            slope = square * (slope + 2 * k / (2 * k + 1))
        g[far] = (1 + rest) / t
        m[far] = c * g[far] + rest
        dm[far] = c * dg[far] - slope / t
    return g, dg, m, dm


def _phi(z: ComplexArray, a: float, b: float) -> ComplexArray:
    """E log(z - X)."""
    c, h = (a + b) / 2, (b - a) / 2
    phi: ComplexArray = (_z_log_z(z - a) - _z_log_z(z - b)) / (2 * h) - 1
    far = np.abs(z - c) > h / _NEAR
    if np.any(far):
        square = (h / (z[far] - c)) ** 2
        tail = np.zeros_like(square)
        for k in range(_TERMS, 0, -1):
            tail = square * (tail + 1 / (2 * k * (2 * k + 1)))
        phi[far] = log_upper(z[far] - c) - tail
    return phi


def _z_log_z(z: ComplexArray) -> ComplexArray:
    out: ComplexArray = z * log_upper(np.where(z == 0, 1, z))
    return out
