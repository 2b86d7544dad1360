"""The Gaussian law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.node import Node
from rmt.numeric.unbounded import GaussianLeaf, standard_normal
from rmt.parameters import as_float, check_number
from rmt.support import Edge

__all__ = ["Gaussian"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Gaussian(Law):
    """Gaussian law N(mean, variance), as the law of a diagonal matrix or of the spectrum of a random Toeplitz-like sum.

    ``G(z) = -i sqrt(pi/2)/sigma w((z - mean)/(sigma sqrt 2))`` with Faddeeva's entire function w, so that the
    continuation past the real axis is the function itself. It is freely infinitely divisible (Belinschi, Bożejko,
    Lehner and Speicher, arXiv:0910.4263).

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

        return f"Gaussian(variance={parameter_repr(self.variance)}, mean={parameter_repr(self.mean_value)})"

    def _numbers(self) -> tuple[float, float]:
        return as_float(self.variance, "variance"), as_float(self.mean_value, "mean")

    def _node(self) -> Node:
        return GaussianLeaf(*self._numbers())

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        # E Z^2j = (2j - 1)!! = (2j)!/(2^j j!)
        return [
            sum(
                math.comb(k, 2 * j)
                * (math.factorial(2 * j) // (2**j * math.factorial(j)))
                * self.variance**j
                * (self.mean_value ** (k - 2 * j) if k > 2 * j else 1)
                for j in range(k // 2 + 1)
            )
            for k in range(1, n + 1)
        ]

    def _edges(self) -> tuple[Edge, ...]:
        return (Edge(-math.inf, None, "lower"), Edge(math.inf, None, "upper"))

    def _standardised(self, x: npt.NDArray[Any]) -> tuple[Any, float]:
        variance, mean = self._numbers()
        sigma = math.sqrt(variance)
        return (x - mean) / sigma, sigma

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        t, sigma = self._standardised(x)
        with np.errstate(over="ignore"):
            out: FloatArray = np.exp(-t * t / 2) / (sigma * math.sqrt(2 * math.pi))
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        from scipy.special import ndtr

        out: FloatArray = ndtr(self._standardised(x)[0])
        return out

    def _cauchy_closed_form(self, z: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        t, sigma = self._standardised(z)
        return standard_normal(t)[0] / sigma
