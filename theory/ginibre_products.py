"""The density of the singular values of products of complex Ginibre matrices of finite size.

After Akemann, Kieburg and Wei, arXiv:1303.5694, with Meijer G-functions as weights.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.node import Node
from rmt.parameters import normalised
from rmt.support import Edge
from theory.log_law import check_count

__all__ = ["GinibreProduct"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class GinibreProduct(Law):
    """Mean level density of ``P P*``, P a product of M complex N × N matrices with entries of variance 1/N.

    With y = N^M x the N squared singular values of the unnormalised product have the density ``Σ_k p_k(y) q_k(y)/h_k``,
    k < N, of the biorthogonal

        p_k(y) = Σ_j (-1)^{k-j} C(k,j) (k!/j!)^M y^j,    ∫ y^{s-1} q_k(y) dy = Γ(s)^{M+1}/Γ(s-k),    h_k = (k!)^{M+1},

    so that q_k is the Meijer G-function G^{M+1,0}_{1,M+1}(-k; 0,…,0 | y) (Akemann, Kieburg and Wei 2013). It tends to
    ``FussCatalan(M)`` for large N, and is `rmt.finite` Wishart's for M = 1. Moments are exact. The weights are
    integrals along a vertical line, in as many digits as the sum over k cancels: some 50 ms a point for N M = 20 after
    the tables.

    Parameters
    ----------
    size : int
        N.
    factors : int
        M.

    Raises
    ------
    ValueError
        If one is not an integer >= 1.

    Examples
    --------
    >>> GinibreProduct(2, 2).moments(3)
    [1, Fraction(13, 4), Fraction(279, 16)]
    """

    size: int
    factors: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_count("size", self.size))
        object.__setattr__(self, "factors", check_count("factors", self.factors))

    def _node(self) -> Node:
        raise NotImplementedError(
            f"{self!r} is a law of finite size and does not take part in free operations, which hold in the limit of "
            f"large matrices; use rmt.FussCatalan({self.factors})"
        )

    def _has(self, question: str, method: str) -> bool:
        if question in ("pdf", "cdf"):
            return method == "closed_form"
        return method == "quadrature" or (question == "moments" and method == "series")

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _edges(self) -> tuple[Edge, ...]:
        # for M = 1 the density is N at 0, for more factors it has the logarithms of the weights there
        return (Edge(0, 0 if self.factors == 1 else None, "lower"), Edge(math.inf, None, "upper"))

    @functools.cached_property
    def _coefficients(self) -> list[list[int]]:
        m = self.factors
        return [
            [(-1) ** (k - j) * math.comb(k, j) * (math.factorial(k) // math.factorial(j)) ** m for j in range(k + 1)]
            for k in range(self.size)
        ]

    def _moments_series(self, n: int) -> list[Any]:
        out = []
        for order in range(1, n + 1):
            total = Fraction(0)
            for k, row in enumerate(self._coefficients):
                for j, c in enumerate(row):
                    if j + order >= k:
                        mellin = Fraction(
                            math.factorial(j + order) ** (self.factors + 1), math.factorial(j + order - k)
                        )
                        total += c * mellin / math.factorial(k) ** (self.factors + 1)
            out.append(normalised(total / (self.size * Fraction(self.size) ** (self.factors * order))))
        return out

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        return self._integrals(x)[0]

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        return self._integrals(x)[1]

    def _integrals(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        out = np.zeros((2, *x.shape))
        for index, point in enumerate(x):
            if point > 0:
                out[:, index] = self._at(float(point))
            elif point == 0 and self.factors > 1:
                out[0, index] = math.inf
            elif point == 0:
                out[0, index] = float(self.size)
        return out[0], out[1]

    def _at(self, x: float) -> tuple[float, float]:
        """Density and distribution function at one x > 0."""
        import mpmath as mp

        n = self.size
        with mp.workdps(self._digits):
            y = mp.mpf(x) * mp.mpf(n) ** self.factors
            # to the right of all poles, or left of those of the integrated density, whose residues add up to its mass
            centre = mp.mpf(n + 1) if y > 1 else mp.mpf(1) / 2
            step, inner, outer = self._contour(y > 1)
            wave, turn = y**-centre, mp.expj(-step * mp.log(y))
            waves = []
            for _ in range(len(inner[0])):
                waves.append(wave)
                wave *= turn
            cosines, sines = [w.real for w in waves], [-w.imag for w in waves]
            density, tail = (
                mp.fsum(
                    y**power * (mp.fdot(cosines, [a.real for a in row]) + mp.fdot(sines, [a.imag for a in row]))
                    for power, row in enumerate(rows, first)
                )
                for rows, first in ((inner, 0), (outer, 1))
            )
            scale = step / mp.pi / n
            return float(scale * density * mp.mpf(n) ** self.factors), float(scale * -tail + (1 if y > 1 else 0))

    @property
    def _digits(self) -> int:
        """Decimal digits to work in: those that the sums over k and along the line cancel, and 20 more."""
        return 25 + 2 * self.size + self.size * self.factors

    @functools.cache  # noqa: B019 - an immutable value: its tables live as long as it
    def _contour(self, right: bool) -> tuple[Any, list[list[Any]], list[list[Any]]]:
        """Step of the rule, and per power y^j the values on the line of what is multiplied by y^{-s}.

        ``Σ_k c_kj/h_k Γ(s)^M Π_{i<=k}(s-i)`` for the density, divided by s - j - 1 for the tail.
        """
        import mpmath as mp

        n, m = self.size, self.factors
        with mp.workdps(self._digits):
            centre = mp.mpf(n + 1) if right else mp.mpf(1) / 2
            goal = mp.mpf(10) ** -self._digits
            step = 2 * mp.pi * (centre - (n if right else 0)) / (mp.log(10) * self._digits)
            inner: list[list[Any]] = [[] for _ in range(n)]
            outer: list[list[Any]] = [[] for _ in range(n)]
            largest = mp.mpf(0)
            size = mp.mpf(1)
            t = 0
            while size > goal * largest:
                s = mp.mpc(centre, t * step)
                factor = mp.exp(m * mp.loggamma(s)) * (mp.mpf(1) / 2 if t == 0 else 1)
                sums = [mp.mpc(0)] * n
                for k, row in enumerate(self._coefficients):
                    factor *= (s - k) if k else 1
                    part = factor / mp.factorial(k) ** (m + 1)
                    for j, c in enumerate(row):
                        sums[j] += c * part
                for j, value in enumerate(sums):
                    inner[j].append(value)
                    outer[j].append(value / (s - j - 1))
                size = max(abs(value) for value in sums)
                largest = max(largest, size)
                t += 1
        return step, inner, outer
