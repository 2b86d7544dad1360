"""The Kesten–McKay law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.jet import ComplexArray
from rmt.numeric.leaves import DiscreteLeaf
from rmt.numeric.node import Node
from rmt.numeric.resolvent import sqrt_upper
from rmt.numeric.unary import SumPowerNode
from rmt.parameters import as_float, check_number, exact_sqrt
from rmt.series import free_cumulants_to_moments
from rmt.support import Edge

__all__ = ["KestenMcKay"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class KestenMcKay(Law):
    """Spectrum of the infinite regular tree: limit of random d-regular graphs, d = ``degree``.

    Normalisation: the adjacency operator itself, variance d, support ``±2 sqrt(d - 1)``. Density
    ``d sqrt(4 (d - 1) - x**2)/(2 pi (d**2 - x**2))`` (Kesten 1959; McKay 1981). It is the free sum of d coins on ±1,
    ``R(g) = d (sqrt(1 + 4 g**2) - 1)/(2 g)``, which defines it for every real d >= 2; d = 2 is the arcsine law on
    [-2, 2], and an even d is the law of the sum of d/2 free Haar unitaries and their adjoints.

    Raises
    ------
    ValueError
        If ``degree`` is not a finite number >= 2.
    """

    degree: Any = 3

    def __post_init__(self) -> None:
        check_number("degree", self.degree, at_least=2)

    def _number(self) -> float:
        return as_float(self.degree, "degree")

    def _node(self) -> Node:
        return SumPowerNode(DiscreteLeaf([-1.0, 1.0], [0.5, 0.5]), self._number())

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        # kappa_2j of a coin: (-1)^(j-1) Catalan_(j-1)
        coin = [0 if k % 2 else -((-1) ** (k // 2)) * math.comb(k - 2, k // 2 - 1) // (k // 2) for k in range(1, n + 1)]
        return free_cumulants_to_moments([self.degree * k for k in coin])

    def _edges(self) -> tuple[Edge, ...]:
        radius = 2 * exact_sqrt(self.degree - 1)
        half = Fraction(-1 if self.degree == 2 else 1, 2)
        return (Edge(-radius, half, "lower"), Edge(radius, half, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        d = self._number()
        radius = 2 * math.sqrt(d - 1)
        # at d = 2 the root is that of the denominator
        bulk = (radius - x) * (radius + x)
        out: FloatArray = d * np.sqrt(np.maximum(bulk, 0)) / (2 * np.pi * ((d - 2) ** 2 + bulk))
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        d = self._number()
        radius = 2 * math.sqrt(d - 1)
        t = np.clip(x, -radius, radius)
        root = np.sqrt((radius - t) * (radius + t))
        # McKay's arcsin and arctan, as angles of points that stay off 0 at the edges
        turn = d * np.arctan2(t, root) - (d - 2) * np.arctan2((d - 2) * t, d * root)
        out: FloatArray = 0.5 + turn / (2 * np.pi)
        return out

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        d = self._number()
        radius = 2 * math.sqrt(d - 1)
        out: ComplexArray = 2 * (d - 1) / ((d - 2) * z + d * sqrt_upper(z - radius) * sqrt_upper(z + radius))
        return out

    def _log_moment(self) -> float:
        # Re Phi(0), from Gamma = d Gamma_coin at the coin's subordination point i sqrt(d - 1)
        d = self._number()
        return ((d - 1) * math.log(d - 1) - (d - 2) * math.log(d)) / 2
