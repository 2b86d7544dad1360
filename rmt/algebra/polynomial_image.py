"""A polynomial of a single variable as a change of variables: branch by branch between its real critical points."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.continuation import solve
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, normalised
from rmt.results import ConvergenceError
from rmt.support import Edge

__all__ = ["PolynomialImage"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class PolynomialImage(Law):
    """Law of p(X), ``p(x) = Σ coefficients[k] x**k``: the density is a sum over the monotone branches of p.

    Raises
    ------
    ValueError
        If p is constant or a coefficient is not a finite number.
    """

    coefficients: tuple[Any, ...]
    law: Law

    def __init__(self, coefficients: tuple[Any, ...], law: Law) -> None:
        kept = list(coefficients)
        for c in kept:
            check_number("coefficient", c)
        while kept and kept[-1] == 0:
            kept.pop()
        if len(kept) < 2:
            raise ValueError(f"coefficients={tuple(coefficients)!r}: a constant; use Discrete({{value: 1}})")
        object.__setattr__(self, "coefficients", tuple(kept))
        object.__setattr__(self, "law", law)

    @cached_property
    def _floats(self) -> FloatArray:
        return np.array([as_float(c, "coefficient") for c in self.coefficients])

    def _value(self, x: npt.ArrayLike) -> FloatArray:
        """p(x); infinite arguments give infinite values."""
        points = np.asarray(x, dtype=float)
        with np.errstate(invalid="ignore"):
            inside = np.polynomial.polynomial.polyval(points, self._floats)
        sign = np.where(np.isinf(points), np.sign(points), 1.0) ** (self._floats.size - 1)
        out: FloatArray = np.where(np.isinf(points), math.copysign(math.inf, self._floats[-1]) * sign, inside)
        return out

    def _node(self) -> Node:
        from rmt.algebra.polynomial_law import PolynomialLaw

        terms = tuple((c, (0,) * k) for k, c in enumerate(self.coefficients))
        return PolynomialLaw(terms, (self.law,)).numeric

    def _has(self, question: str, method: str) -> bool:
        if method == "pushforward":
            return question in ("pdf", "cdf")
        return method in ("quadrature", "series") or (method == "subordination" and question == "cauchy")

    def _atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for x, p in self.law._atoms().items():
            value = sum(c * x**k for k, c in enumerate(self.coefficients))
            out[value] = out.get(value, 0) + p
        return out

    def _moments_series(self, n: int) -> list[Any]:
        raw = [1, *self.law.moments(n * (len(self.coefficients) - 1))]
        power: list[Any] = [1]
        out = []
        for _ in range(n):
            longer: list[Any] = [0] * (len(power) + len(self.coefficients) - 1)
            for i, a in enumerate(power):
                for j, c in enumerate(self.coefficients):
                    longer[i + j] += a * c
            power = longer
            out.append(normalised(sum(a * m for a, m in zip(power, raw, strict=False))))
        return out

    def _turns(self) -> list[float]:
        """Real critical points, in increasing order."""
        if self._floats.size <= 2:
            return []
        roots = np.polynomial.polynomial.polyroots(np.polynomial.polynomial.polyder(self._floats))
        return sorted(set(roots.real[np.abs(roots.imag) <= 1e-7 * (1 + np.abs(roots))].tolist()))

    def _edges(self) -> tuple[Edge, ...]:
        """Ends of the union of the images; singularities inside another image are no edges."""
        pieces: list[tuple[float, float | None, float, float | None]] = []
        ends = self.law.support().edges
        for lower, upper in zip(ends[::2], ends[1::2], strict=True):
            a, b = float(lower.position), float(upper.position)
            marks = [(a, lower.exponent), *((t, 0) for t in self._turns() if a < t < b), (b, upper.exponent)]
            for left, right in itertools.pairwise(marks):
                images = [(float(self._value(x)), self._exponent(x, e)) for x, e in (left, right)]
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
        series = np.polynomial.Polynomial(self._floats)
        scale = np.max(np.abs(self._floats)) * max(1.0, abs(x)) ** (self._floats.size - 1)
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
            at_left, at_right = float(self._value(left)), float(self._value(right))
            rising = at_right > at_left
            inside = (x > min(at_left, at_right)) & (x < max(at_left, at_right))
            low, high = (np.full(x.shape, end) for end in (left, right))
            reach = np.ones(x.shape)
            for _ in range(1100):
                # an infinite end is approached by doubling
                middle = np.where(np.isinf(low), np.where(np.isinf(high), 0.0, high - reach), (low + high) / 2)
                middle = np.where(np.isinf(high) & ~np.isinf(low), low + reach, middle)
                reach = np.where(np.isinf(low) | np.isinf(high), 2 * reach, reach)
                below = (self._value(middle) < x) == rising
                new_low, new_high = np.where(below, middle, low), np.where(below, high, middle)
                if np.all((new_low == low) & (new_high == high) | ~inside):
                    break
                low, high = new_low, new_high
            out.append((left, right, rising, (low + high) / 2, inside))
        return out

    def _pdf_pushforward(self, x: FloatArray) -> FloatArray:
        """Density: sum over the branches of the density over |p'|."""
        method = self.law.methods("pdf")[0]
        slope = np.polynomial.polynomial.polyder(self._floats)
        out = np.zeros(x.shape)
        for _, _, _, root, inside in self._branches(x):
            if np.any(inside):
                at = root[inside]
                with np.errstate(divide="ignore"):
                    out[inside] += self.law._density.pdf(at, method) / np.abs(
                        np.polynomial.polynomial.polyval(at, slope)
                    )
        return out

    def _cdf_pushforward(self, x: FloatArray) -> FloatArray:
        """P(p(X) <= x): mass of the continuous part on each branch, and the atoms."""
        positions, masses = self.law._density.atoms
        images = self._value(positions)

        def continuous(t: FloatArray) -> FloatArray:
            atoms = np.array([masses[positions <= point].sum() for point in t], dtype=float)
            out: FloatArray = self.law._density.cdf(t, self.law.methods("cdf")[0]) - atoms
            return out

        out = np.array([masses[images <= point].sum() for point in x], dtype=float)
        for left, right, rising, root, inside in self._branches(x):
            below, above = (0.0 if math.isinf(end) else continuous(np.array([end]))[0] for end in (left, right))
            above = 1 - masses.sum() if math.isinf(right) else above
            full = x >= max(float(self._value(left)), float(self._value(right)))
            out[full] += above - below
            if np.any(inside):
                at = continuous(root[inside])
                out[inside] += at - below if rising else above - at
        clipped: FloatArray = np.clip(out, 0.0, 1.0)
        return clipped

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        x, weights = self.law._quadrature_rule()
        return self._value(x), weights

    def _log_moment(self) -> float:
        """E log|p(X)|, a sum of E log|X - r| over the roots r."""
        roots = np.polynomial.polynomial.polyroots(self._floats)
        solution = solve(self.law.numeric, np.where(roots.imag < 0, roots.conj(), roots))
        if not np.all(solution.converged):
            raise ConvergenceError("log_moment of a polynomial: a root falls on an edge of the variable's law")
        return float(math.log(abs(self._floats[-1])) + solution.potential.real.sum())
