"""Mean level densities of the Wishart ensembles of finite size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from rmt.finite.laguerre import laguerre_functions, orthogonal_sums, unitary_sums
from rmt.finite.largest import largest_law
from rmt.finite.levels import BEYOND, check_beta, check_size, invert, no_node, panels
from rmt.law import Law
from rmt.numeric.node import Node
from rmt.parameters import normalised
from rmt.support import Edge

__all__ = ["Wishart"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Wishart(Law):
    """Mean level density of ``X X*``, X of shape (p, n) with independent Gaussian entries of variance 1/n.

    The law of one of the p eigenvalues chosen at random; tends to ``MarchenkoPastur(ratio=p/n)``, moments with error
    O(1/n²) for complex entries, O(1/n) for real ones. For p > n it has the atom ``1 - n/p`` at 0, exactly.

    Complex entries: ``sum psi_k(y)**2``, ``y = n x``, over the first min(p, n) Laguerre functions of parameter |p - n|
    (Bronk 1965; Mehta 2004, ch. 19), moments by the recursion of Haagerup and Thorbjørnsen (2003). Real entries: one
    more term (Widom 1999; Adler, Forrester, Nagao and van Moerbeke 2000), moments by a recursion derived here. O(p) a
    point in both cases.

    Parameters
    ----------
    p, n : int
        Rows and columns of X.
    beta : int
        1 for real entries, 2 for complex ones with ``E|X_ij|**2 = 1/n``.

    Raises
    ------
    ValueError
        If a size is not an integer >= 1, or beta is neither 1 nor 2.
    """

    p: int
    n: int
    beta: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", check_size("p", self.p))
        object.__setattr__(self, "n", check_size("n", self.n))
        object.__setattr__(self, "beta", check_beta(self.beta, (1, 2)))

    @property
    def _levels(self) -> tuple[int, int]:
        """Number of eigenvalues that are not 0, and the parameter of the Laguerre functions."""
        return min(self.p, self.n), abs(self.p - self.n)

    def _node(self) -> Node:
        raise no_node(repr(self), f"MarchenkoPastur(ratio={self.p / self.n:g})")

    def _has(self, question: str, method: str) -> bool:
        if question in ("pdf", "cdf"):
            return method == "closed_form"
        return method == "quadrature" or (question == "moments" and method == "series")

    def _atoms(self) -> dict[Any, Any]:
        return {} if self.p <= self.n else {0: 1 - Fraction(self.n, self.p)}

    def _edges(self) -> tuple[Edge, ...]:
        a = self._levels[1]
        exponent = a if self.beta == 2 else normalised(Fraction(a - 1, 2))
        return (Edge(0, exponent, "lower"), Edge(math.inf, None, "upper"))

    def _moments_series(self, n: int) -> list[Any]:
        size, a = self._levels
        traces = (laguerre_moments if self.beta == 2 else _real_moments)(size, a, n)
        return [normalised(traces[k] / (self.p * Fraction(self.n) ** k)) for k in range(1, n + 1)]

    def _sums(self, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Number of levels per unit of y and beyond y on the nearer side, and the side."""
        size, a = self._levels
        side = np.where(y < size + a, -1.0, 1.0)
        return *(unitary_sums if self.beta == 2 else orthogonal_sums)(y, size, a, side), side

    @property
    def _end(self) -> float:
        """sqrt(y) beyond which densities vanish in floats."""
        size, a = self._levels
        return math.sqrt(size) + math.sqrt(size + a) + BEYOND

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        out = np.zeros(x.shape)
        y = np.maximum(x * self.n, 1e-300)  # at 0 itself the limit
        inside = (x >= 0) & (y < self._end**2)
        out[inside] = self._sums(y[inside])[0] * (self.n / self.p)
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        out = np.where(x < 0, 0.0, 1.0)
        y = x * self.n
        atom = max(self.p - self.n, 0) / self.p
        inside = (y > 0) & (y < self._end**2)
        _, tail, side = self._sums(y[inside])
        tail = tail / self.p
        out[inside] = np.where(side < 0, atom + tail, 1 - tail)
        out[x == 0] = atom
        return out

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        size, a = self._levels
        atom = max(self.p - self.n, 0) / self.p
        out = np.where(q <= atom, 0.0, math.inf)
        middle = float(size + a)
        below = float(self._sums(np.array([np.nextafter(middle, 0)]))[1][0]) / self.p

        def log_tail(u: FloatArray) -> tuple[FloatArray, FloatArray]:
            # u = log y, in which the tail next to 0 is a straight line
            y = np.exp(u)
            density, tail, side = self._sums(y)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(tail / self.p), -side * density * y / tail

        lower = (q > atom) & (q - atom < below)
        upper = (q >= atom + below) & (q < 1)
        top = math.log(np.nextafter(middle, 0))
        falling = top - (top + 700) * np.linspace(1, 0, 400) ** 2
        rising = np.log(np.linspace(middle, self._end**2, 400))
        for chosen, grid, tail in ((lower, falling, q - atom), (upper, rising, 1 - q)):
            if np.any(chosen):
                out[chosen] = np.exp(invert(log_tail, grid, np.log(tail[chosen]))) / self.n
        return out

    @cached_property
    def _rule(self) -> tuple[FloatArray, FloatArray]:
        # in s = sqrt(y) the density is analytic from 0 on, with sqrt(N) waves a unit
        size, a = self._levels
        end = math.sqrt(size) + math.sqrt(size + a) + 10
        s, w = panels(0.0, end, math.ceil(end * (math.sqrt(size) / 2 + 1)))
        x = s * s / self.n
        weights = w * 2 * s / self.n * self._pdf_closed_form(x)
        if self.p <= self.n:
            return x, weights
        return np.append(x, 0.0), np.append(weights, 1 - self.n / self.p)

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        return self._rule

    def _log_moment(self) -> float:
        # the determinant is distributed as a product of independent chi-square variables (Bartlett)
        half = self.beta / 2
        orders = half * (self.n - np.arange(self.p))
        return float(np.mean(digamma(orders)) - math.log(half * self.n))

    def largest(self, *, method: str = "limit") -> Law:
        """Law of the largest eigenvalue.

        ``limit``: the Tracy–Widom law of the same index with the centre and the scale of `edge_scaling`; the error of
        the distribution function is O(min(p, n)^(-2/3)) (Ma 2012 for real, El Karoui 2006 for complex entries).
        ``exact`` (complex entries): the Fredholm determinant of the kernel of min(p, n) levels
        (`LargestEigenvalue`).
        """
        return largest_law(self, method)

    def _edge_constants(self) -> tuple[int, float, float]:
        shift = 0.5 if self.beta == 1 else 0.0
        rows, columns = math.sqrt(self.p - shift), math.sqrt(self.n - shift)
        total = rows + columns
        return self.beta, total**2 / self.n, total * (1 / rows + 1 / columns) ** (1 / 3) / self.n

    def _orbitals(self, x: FloatArray) -> FloatArray:
        """Orthonormal functions of x whose squares add up to p times the density (complex entries), shape (k, …)."""
        return laguerre_functions(x * self.n, *self._levels) * math.sqrt(self.n)


def laguerre_moments(size: int, a: int, order: int) -> list[Fraction]:
    """E Tr W^0, …, W^order for W = B B*, B of shape (size, size + a) with E|B_ij|**2 = 1.

    Three-term recursion of Haagerup and Thorbjørnsen (2003), Theorem 8.2 (Hanlon, Stanley and Stembridge 1992).
    """
    size = max(size, 0)
    other = size + a if size else 0
    out = [Fraction(size), Fraction(size * other)]
    for k in range(1, order):
        following = (2 * k + 1) * (size + other) * out[k] + (k - 1) * (k * k - a * a) * out[k - 1]
        out.append(following / (k + 2))
    return out[: order + 1]


def _real_moments(size: int, a: int, order: int) -> list[Fraction]:
    """Moments of the level density of `laguerre.orthogonal_sums`: those of K and of the last term, A_k.

    Partial integration of y^(k+1/2) times psi_(size-1) U and psi_(size-2) U, U the bracket of that term (derived
    here); C_k are the moments with psi_(size-2) in the place of psi_(size-1), times b.
    """
    inner, less = laguerre_moments(size - 1, a, order), laguerre_moments(size - 2, a, order)
    square, twice = (size - 1) * (size - 1 + a), 2 * (size - 1) + a
    extra, other = Fraction(1), Fraction(0)
    out = [inner[0] + extra]
    for k in range(order):
        following = (twice + 2 * k + 1) * extra - 2 * other + k * inner[k]
        other = (twice - 2 * k - 1) * other - 2 * square * extra + square * (inner[k] - less[k])
        extra = following
        out.append(inner[k + 1] + extra)
    return out
