"""Mean level densities of the Gaussian ensembles of finite size."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from rmt.finite.hermite import hermite_functions, orthogonal_sums, unitary_sums
from rmt.finite.largest import largest_law
from rmt.finite.levels import BEYOND, check_size, graded_log_moment, invert, no_node, sinc_cauchy
from rmt.law import Law
from rmt.numeric.node import Node
from rmt.parameters import normalised
from rmt.support import Edge

__all__ = ["GOE", "GUE"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

_LINE = (Edge(-math.inf, None, "lower"), Edge(math.inf, None, "upper"))


@dataclass(frozen=True, repr=False)
class GaussianEnsemble(ABC):
    """What the level densities of `GUE` and `GOE` share: sums of oscillator functions of ``y = sqrt(n/2) x``."""

    n: int

    #: units of y beyond the edge of the bulk where the density is below rounding
    _margin: ClassVar[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", check_size("n", self.n))

    def _node(self) -> Node:
        raise no_node(repr(self), "Semicircle(variance=1)")

    def _has(self, question: str, method: str) -> bool:
        return method == "closed_form" or (question == "moments" and method in ("series", "quadrature"))

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _edges(self) -> tuple[Edge, ...]:
        return _LINE

    @staticmethod
    @abstractmethod
    def _sums(y: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
        """Number of levels per unit of y >= 0, and beyond y."""

    def _on_line(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Density at x, and the mass beyond |x|."""
        n = self.n
        density, tail = np.zeros(x.shape), np.zeros(x.shape)
        y = np.abs(x) * math.sqrt(n / 2)
        inside = y < math.sqrt(2 * n) + BEYOND
        levels, above = self._sums(y[inside], n)
        density[inside], tail[inside] = levels / math.sqrt(2 * n), above / n
        return density, tail

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        return self._on_line(x)[0]

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        tail = self._on_line(x)[1]
        return np.where(x < 0, tail, 1 - tail)

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        n, lower = self.n, q < 0.5
        tail = np.where(lower, q, 1 - q)
        out = np.full(q.shape, math.inf)
        inside = tail > 0

        def log_tail(y: FloatArray) -> tuple[FloatArray, FloatArray]:
            density, above = self._sums(y, n)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(above / n), -density / above

        edge = math.sqrt(2 * n)
        grid = np.concatenate([np.linspace(0, edge, 129)[:-1], edge + np.linspace(0, BEYOND, 161)])
        out[inside] = invert(log_tail, grid, np.log(tail[inside])) * math.sqrt(2 / n)
        return np.where(lower, -out, out)

    @property
    def _end(self) -> float:
        """Where next to no mass is left on the right."""
        return (math.sqrt(2 * self.n) + self._margin) * math.sqrt(2 / self.n)

    @cached_property
    def _rule(self) -> tuple[FloatArray, FloatArray]:
        # the trapezoidal rule, exact to rounding as the Fourier transform of the density dies out past 2 sqrt(2 n)
        half = math.ceil(self._end * math.sqrt(self.n / 2) * (2 * math.sqrt(2 * self.n) + 12) / math.pi)
        step = self._end / half
        x = np.linspace(0.5 - half, half - 0.5, 2 * half) * step
        return x, step * self._on_line(x)[0]

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        return self._rule

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        return sinc_cauchy(z, *self._rule)


@dataclass(frozen=True, repr=False)
class GUE(GaussianEnsemble, Law):
    """Mean level density of an n×n complex Hermitian Gaussian matrix with ``E|H_ij|**2 = 1/n``.

    The law of one eigenvalue chosen at random; tends to ``Semicircle(variance=1)``, moments with error O(1/n²).
    ``rho(x) = sum_(k<n) phi_k(y)**2/sqrt(2 n)``, ``y = sqrt(n/2) x``, phi_k the oscillator functions (Mehta 2004,
    ch. 6), summed in O(n) a point; moments by the recursion of Harer and Zagier (1986); the logarithm of the
    determinant by Mehta and Normand (1998).

    Raises
    ------
    ValueError
        If ``n`` is not an integer >= 1.
    """

    _margin = 7.0
    _sums = staticmethod(unitary_sums)

    def _moments_series(self, n: int) -> list[Any]:
        even = gue_moments(self.n, n // 2)
        return [0 if k % 2 else normalised(even[k // 2] / self.n ** (k // 2 + 1)) for k in range(1, n + 1)]

    def _log_moment(self) -> float:
        # |det| is distributed as a product of independent chi variables
        orders = np.arange(1, self.n + 1) // 2 + 0.5
        return float(np.mean(digamma(orders)) + math.log(2) - math.log(self.n)) / 2

    def largest(self, *, method: str = "limit") -> Law:
        """Law of the largest eigenvalue.

        ``limit``: the Tracy–Widom law of index 2 with centre 2 and scale n^(-2/3), error of the distribution function
        O(n^(-2/3)). ``exact``: the Fredholm determinant of the kernel of n levels (`LargestEigenvalue`).
        """
        return largest_law(self, method)

    @property
    def _levels(self) -> tuple[int, int]:
        """Number of orthonormal functions, and their parameter, of which there is none."""
        return self.n, 0

    def _edge_constants(self) -> tuple[int, float, float]:
        return 2, 2.0, self.n ** (-2 / 3)

    def _orbitals(self, x: FloatArray) -> FloatArray:
        """Orthonormal functions of x whose squares add up to n times the density, shape (n, …)."""
        return np.asarray(hermite_functions(x * math.sqrt(self.n / 2), self.n) * (self.n / 2) ** 0.25)


@dataclass(frozen=True, repr=False)
class GOE(GaussianEnsemble, Law):
    """Mean level density of an n×n real symmetric Gaussian matrix, variances 1/n off the diagonal and 2/n on it.

    The law of one eigenvalue chosen at random; tends to ``Semicircle(variance=1)``, moments with error O(1/n): the
    variance is ``1 + 1/n``. Closed form of Mehta (2004, §7.2), summed in O(n) a point. Moments by a recursion derived
    here (the same numbers as Ledoux 2009): with ``y = sqrt(n/2) x``, M_k and D_k the integrals of y^k against
    ``sum_(j<n) phi_j**2`` and ``phi_n**2``, the moments A_k of the difference between the two ensembles satisfy
    ``A_(k+1) = B_k - k A_(k-1) - k M_(k-1)/2``, ``B_(k+1) = k B_(k-1) + 2 n A_k + n D_k``, A_0 = B_0 = 0.

    Raises
    ------
    ValueError
        If ``n`` is not an integer >= 1.
    """

    _margin = 10.0
    _sums = staticmethod(orthogonal_sums)

    def _moments_series(self, n: int) -> list[Any]:
        # in units in which all is rational: y**2 = n x**2/2
        half = n // 2
        unitary = [m / 2**k for k, m in enumerate(gue_moments(self.n, half))]
        more = [m / 2**k for k, m in enumerate(gue_moments(self.n + 1, half))]
        moments, odd = [Fraction(0)], Fraction(0)  # A_0, A_2, … and the last B of odd index
        for k in range(half):
            odd = 2 * k * odd + 2 * self.n * moments[k] + self.n * (more[k] - unitary[k])
            moments.append(odd - (2 * k + 1) * (moments[k] + unitary[k] / 2))
        units = [Fraction(2**k, self.n ** (k + 1)) for k in range(half + 1)]
        even = [(a + m) * unit for a, m, unit in zip(moments, unitary, units, strict=True)]
        return [0 if k % 2 else normalised(even[k // 2]) for k in range(1, n + 1)]

    def _log_moment(self) -> float:
        return graded_log_moment(self._pdf_closed_form, -self._end, self._end, self.n + 16)

    def largest(self, *, method: str = "limit") -> Law:
        """Law of the largest eigenvalue: the Tracy–Widom law of index 1, centre and scale from `edge_scaling`.

        The error of the distribution function is O(n^(-2/3)) (Johnstone and Ma 2012). There is no ``exact`` method.
        """
        return largest_law(self, method)

    def _edge_constants(self) -> tuple[int, float, float]:
        return 1, 2 * math.sqrt(1 - 0.5 / self.n), self.n**-0.5 * (self.n - 0.5) ** (-1 / 6)


def gue_moments(n: int, order: int) -> list[Fraction]:
    """E Tr H^0, H^2, …, H^(2 order) for E|H_ij|**2 = 1: the three-term recursion of Harer and Zagier (1986)."""
    out = [Fraction(n), Fraction(n * n)]
    for k in range(2, order + 1):
        following = (4 * k - 2) * n * out[k - 1] + (k - 1) * (2 * k - 1) * (2 * k - 3) * out[k - 2]
        out.append(following / (k + 1))
    return out[: order + 1]
