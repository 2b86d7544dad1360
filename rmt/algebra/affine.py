"""Affine maps of a law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt import functionals
from rmt.density import on_atoms
from rmt.law import Law
from rmt.numeric.conjugate import ReflectedNode
from rmt.numeric.node import Node
from rmt.numeric.unary import ScaledNode, ShiftedNode
from rmt.parameters import as_float, check_number
from rmt.support import Edge

__all__ = ["Affine"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Affine(Law):
    """Law of ``scale * X + shift``: R(g) -> scale R(scale g) + shift; S -> S/scale for shift 0.

    Raises
    ------
    ValueError
        If ``scale`` is 0 or a parameter is not finite.
    """

    law: Law
    scale: Any = 1
    shift: Any = 0

    def __post_init__(self) -> None:
        check_number("scale", self.scale)
        check_number("shift", self.shift)
        if self.scale == 0:
            raise ValueError("scale=0: the law would be a point mass; use Discrete({shift: 1})")
        if isinstance(self.law, Affine):
            inner = self.law
            object.__setattr__(self, "shift", self.scale * inner.shift + self.shift)
            object.__setattr__(self, "scale", self.scale * inner.scale)
            object.__setattr__(self, "law", inner.law)

    def _numbers(self) -> tuple[float, float]:
        return as_float(self.scale, "scale"), as_float(self.shift, "shift")

    def _node(self) -> Node:
        scale, shift = self._numbers()
        node = self.law.numeric
        if scale < 0:
            # a mean below 0 is cheap to see; only then is the support worth its price
            below = not node.positive and node.mean < 0 and self.law.support().upper <= 0
            node = ReflectedNode(node, positive=below)
        if abs(scale) != 1:
            node = ScaledNode(node, abs(scale))
        if shift != 0:
            node = ShiftedNode(node, shift, positive=self.support().lower >= 0)
        return node

    def _atoms(self) -> dict[Any, Any]:
        return {self.scale * x + self.shift: p for x, p in self.law._atoms().items()}

    def _moments_series(self, n: int) -> list[Any]:
        inner = [1, *self.law.moments(n)]
        return [
            sum(math.comb(k, j) * self.scale**j * inner[j] * self.shift ** (k - j) for j in range(k + 1))
            for k in range(1, n + 1)
        ]

    def _edges(self) -> tuple[Edge, ...]:
        edges = self.law.support().edges
        flipped = as_float(self.scale, "scale") < 0
        other = {"lower": "upper", "upper": "lower"}
        moved = [
            Edge(self.scale * e.position + self.shift, e.exponent, other[e.side] if flipped else e.side) for e in edges
        ]
        return tuple(reversed(moved)) if flipped else tuple(moved)

    def _has(self, question: str, method: str) -> bool:
        # pdf and cdf are those of the law at the point that is mapped here, by any of its methods
        if method == "pushforward":
            return question in ("pdf", "cdf")
        if method in ("closed_form", "subordination"):
            return method in self.law.methods(question)
        return method != "explicit"

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        # mapped, not made anew: beside a shifted hard edge the nodes would round onto the edge
        scale, shift = self._numbers()
        x, w = self.law._quadrature_rule()
        return scale * x + shift, w

    def _back(self, x: FloatArray) -> FloatArray:
        scale, shift = self._numbers()
        # atoms and edges exactly: beside a hard edge there is mass within a rounding
        edges = np.array([float(edge.position) for edge in self.law.support().edges])
        positions = np.concatenate([self.law._density.atoms[0], edges[np.isfinite(edges)]])
        return on_atoms((x - shift) / scale, positions, np.abs(positions) + abs(shift / scale))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        return self.law._pdf_closed_form(self._back(x)) / abs(self._numbers()[0])

    def _pdf_pushforward(self, x: FloatArray) -> FloatArray:
        return self.law._density.pdf(self._back(x), self.law.methods("pdf")[0]) / abs(self._numbers()[0])

    def _cdf_any(self, x: FloatArray, method: str) -> FloatArray:
        y = self._back(x)
        density = self.law._density
        if self._numbers()[0] > 0:
            return density.cdf(y, method)
        # P(-X <= x) = 1 - P(X < -x): right-continuity needs the atom at the point itself
        positions, masses = density.atoms
        here = np.array([masses[positions == point].sum() for point in y], dtype=float)
        out: FloatArray = 1 - density.cdf(y, method) + here
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        return self._cdf_any(x, "closed_form")

    def _cdf_pushforward(self, x: FloatArray) -> FloatArray:
        return self._cdf_any(x, self.law.methods("cdf")[0])

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        scale, shift = self._numbers()
        inner = self.law._density.ppf(q if scale > 0 else 1 - q)
        return scale * inner + shift

    def _cauchy_closed_form(self, z: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        scale, shift = self._numbers()
        back = (z - shift) / scale
        if scale > 0:
            return self.law._cauchy_closed_form(back) / scale
        return self.law._cauchy_closed_form(back.conj()).conj() / scale

    def _log_moment(self) -> float:
        scale, shift = self._numbers()
        if shift == 0:
            return math.log(abs(scale)) + self.law.log_moment()
        return functionals.log_moment(self)

    # next to a shifted hard edge points would round onto it

    def _entropy(self) -> float:
        return self.law._entropy() + math.log(abs(self._numbers()[0]))

    def _log_energy(self) -> float:
        return self.law._log_energy() + math.log(abs(self._numbers()[0]))
