"""A polynomial of a single variable as a change of variables: branch by branch between its real critical points."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.continuation import solve
from rmt.results import ConvergenceError
from rmt.support import Edge

__all__ = ["PolynomialImage"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PolynomialImage:
    """Law of p(X), ``coefficients`` of p from the constant upwards (real, the last one not 0)."""

    coefficients: tuple[float, ...]
    law: Law

    def value(self, x: npt.ArrayLike) -> FloatArray:
        """p(x); infinite arguments give infinite values."""
        points = np.asarray(x, dtype=float)
        with np.errstate(invalid="ignore"):
            inside = np.polynomial.polynomial.polyval(points, self.coefficients)
        degree = len(self.coefficients) - 1
        end = math.copysign(math.inf, self.coefficients[-1]) * np.sign(points) ** degree
        return np.where(np.isinf(points), end, inside)

    def slope(self, x: FloatArray) -> FloatArray:
        """p'(x)."""
        out: FloatArray = np.polynomial.polynomial.polyval(x, np.polynomial.polynomial.polyder(self.coefficients))
        return out

    def _turns(self) -> list[float]:
        """Real critical points, in increasing order."""
        if len(self.coefficients) <= 2:
            return []
        roots = np.polynomial.polynomial.polyroots(np.polynomial.polynomial.polyder(self.coefficients))
        return sorted(set(roots.real[np.abs(roots.imag) <= 1e-7 * (1 + np.abs(roots))].tolist()))

    def edges(self) -> tuple[Edge, ...]:
        """Ends of the union of the images; singularities inside another image are no edges."""
        pieces: list[tuple[float, float | None, float, float | None]] = []
        ends = self.law.support().edges
        for lower, upper in zip(ends[::2], ends[1::2], strict=True):
            a, b = float(lower.position), float(upper.position)
            marks = [(a, lower.exponent), *((t, 0) for t in self._turns() if a < t < b), (b, upper.exponent)]
            for left, right in itertools.pairwise(marks):
                images = [(float(self.value(x)), self._exponent(x, e)) for x, e in (left, right)]
                (low, low_exponent), (high, high_exponent) = sorted(images, key=lambda image: image[0])
                pieces.append((low, low_exponent, high, high_exponent))
        merged: list[list[float | None]] = []
        for piece in sorted(pieces, key=lambda piece: piece[0]):
            last = merged[-1][2] if merged else None
            if last is not None and piece[0] <= last:
                if piece[2] > last:
                    merged[-1][2:] = piece[2:]
            else:
                merged.append(list(piece))
        return tuple(
            edge
            for low, low_exponent, high, high_exponent in merged
            for edge in (Edge(low, low_exponent, "lower"), Edge(high, high_exponent, "upper"))
        )

    def _exponent(self, x: float, exponent: float | None) -> float | None:
        """Exponent of the image's density at p(x): a critical point of order k makes u**e into v**((e + 1)/k - 1)."""
        if exponent is None or math.isinf(x):
            return None
        series = np.polynomial.Polynomial(self.coefficients)
        scale = max(abs(c) for c in self.coefficients) * max(1.0, abs(x)) ** (len(self.coefficients) - 1)
        order = 1
        while abs(series.deriv(order)(x)) < 1e-9 * scale * math.factorial(order):
            order += 1
        return (float(exponent) + 1) / order - 1

    def _branches(self, x: FloatArray) -> list[tuple[float, float, bool, FloatArray, npt.NDArray[np.bool_]]]:
        """For each monotone branch: (left, right, rising, the point of it with p = x, whether there is one)."""
        support = self.law.support()
        lower, upper = support.lower, support.upper
        out = []
        marks = [lower, *(t for t in self._turns() if lower < t < upper), upper]
        for left, right in itertools.pairwise(marks):
            at_left, at_right = float(self.value(left)), float(self.value(right))
            rising = at_right > at_left
            inside = (x > min(at_left, at_right)) & (x < max(at_left, at_right))
            low, high = (np.full(x.shape, end) for end in (left, right))
            reach = np.ones(x.shape)
            for _ in range(1100):
                # an infinite end is approached by doubling
                middle = np.where(np.isinf(low), np.where(np.isinf(high), 0.0, high - reach), (low + high) / 2)
                middle = np.where(np.isinf(high) & ~np.isinf(low), low + reach, middle)
                reach = np.where(np.isinf(low) | np.isinf(high), 2 * reach, reach)
                below = (self.value(middle) < x) == rising
                new_low, new_high = np.where(below, middle, low), np.where(below, high, middle)
                if np.all((new_low == low) & (new_high == high) | ~inside):
                    break
                low, high = new_low, new_high
            out.append((left, right, rising, (low + high) / 2, inside))
        return out

    def pdf(self, x: FloatArray) -> FloatArray:
        """Density: sum over the branches of the density over |p'|."""
        method = self.law.methods("pdf")[0]
        out = np.zeros(x.shape)
        for _, _, _, root, inside in self._branches(x):
            if np.any(inside):
                at = root[inside]
                with np.errstate(divide="ignore"):
                    out[inside] += self.law._density.pdf(at, method) / np.abs(self.slope(at))
        return out

    def cdf(self, x: FloatArray) -> FloatArray:
        """P(p(X) <= x): mass of the continuous part on each branch, and the atoms."""
        positions, masses = self.law._density.atoms
        images = self.value(positions)

        def continuous(t: FloatArray) -> FloatArray:
            at: FloatArray = self.law._density.cdf(t, self.law.methods("cdf")[0])
            return at - np.array([masses[positions <= point].sum() for point in t])

        out = np.array([masses[images <= point].sum() for point in x], dtype=float)
        for left, right, rising, root, inside in self._branches(x):
            below, above = (0.0 if math.isinf(end) else continuous(np.array([end]))[0] for end in (left, right))
            above = 1 - masses.sum() if math.isinf(right) else above
            full = x >= max(float(self.value(left)), float(self.value(right)))
            out[full] += above - below
            if np.any(inside):
                at = continuous(root[inside])
                out[inside] += at - below if rising else above - at
        return np.clip(out, 0.0, 1.0)

    def log_moment(self) -> float:
        """E log|p(X)|, a sum of E log|X - r| over the roots r."""
        roots = np.polynomial.polynomial.polyroots(self.coefficients)
        solution = solve(self.law.numeric, np.where(roots.imag < 0, roots.conj(), roots))
        if not np.all(solution.converged):
            raise ConvergenceError("log_moment of a polynomial: a root falls on an edge of the variable's law")
        return float(math.log(abs(self.coefficients[-1])) + solution.potential.real.sum())
