"""The semicircle law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.leaves import SemicircleLeaf
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, exact_sqrt
from rmt.series import free_cumulants_to_moments
from rmt.support import Edge

__all__ = ["Semicircle"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Semicircle(Law):
    """Semicircle law: R(g) = mean + variance g; limit of Wigner matrices with entries of variance variance/N.

    Support ``mean ± 2 sqrt(variance)``, density ``sqrt(4 v - (x - mean)**2)/(2 pi v)`` (Wigner 1955).

    Raises
    ------
    ValueError
        If ``variance`` is not positive, or a parameter is not a finite number.
    """

    variance: Any = 1
    mean_value: Any = 0

    def __init__(self, variance: Any = 1, mean: Any = 0) -> None:
        object.__setattr__(self, "variance", check_number("variance", variance, above=0))
        object.__setattr__(self, "mean_value", check_number("mean", mean))

    def __repr__(self) -> str:
        from rmt.parameters import parameter_repr

        return f"Semicircle(variance={parameter_repr(self.variance)}, mean={parameter_repr(self.mean_value)})"

    def _numbers(self) -> tuple[float, float]:
        return as_float(self.variance, "variance"), as_float(self.mean_value, "mean")

    def _node(self) -> Node:
        return SemicircleLeaf(*self._numbers())

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        return free_cumulants_to_moments(([self.mean_value, self.variance] + [0] * n)[:n])

    def _edges(self) -> tuple[Edge, ...]:
        from fractions import Fraction

        radius = 2 * exact_sqrt(self.variance)
        half = Fraction(1, 2)
        return (Edge(self.mean_value - radius, half, "lower"), Edge(self.mean_value + radius, half, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        v, mean = self._numbers()
        r = 2 * np.sqrt(v)
        t = x - mean
        out: FloatArray = np.sqrt(np.maximum((r - t) * (r + t), 0)) / (2 * np.pi * v)
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        v, mean = self._numbers()
        t = np.clip((x - mean) / (2 * np.sqrt(v)), -1, 1)
        out: FloatArray = 0.5 + (t * np.sqrt((1 - t) * (1 + t)) + np.arcsin(t)) / np.pi
        return out

    def _cauchy_closed_form(self, z: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        v, mean = self._numbers()
        t = z - mean
        # sqrt(t - r) sqrt(t + r) has its cut on the support only
        root = np.sqrt(t - 2 * np.sqrt(v)) * np.sqrt(t + 2 * np.sqrt(v))
        out: npt.NDArray[np.complex128] = 2 / (t + root)
        return out
