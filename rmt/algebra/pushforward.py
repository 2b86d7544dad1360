"""Square, square root and symmetrisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.node import Node
from rmt.numeric.operations import SquareNode, SymmetrisedRootNode
from rmt.parameters import exact_sqrt
from rmt.results import PreconditionError
from rmt.support import Edge

__all__ = ["Sqrt", "Square", "Symmetrized", "is_symmetric"]

FloatArray = npt.NDArray[np.float64]


def is_symmetric(law: Law) -> bool:
    """Whether the law is known to be symmetric about 0 by its construction (False also means: not known)."""
    from rmt.algebra.affine import Affine
    from rmt.algebra.free_power import FreeSumPower
    from rmt.algebra.free_sum import FreeSum
    from rmt.laws.discrete import Discrete
    from rmt.laws.semicircle import Semicircle

    if isinstance(law, Symmetrized):
        return True
    if isinstance(law, Semicircle):
        return bool(law.mean_value == 0)
    if isinstance(law, Discrete):
        masses = dict(law.masses)
        return all(masses.get(-x) == p for x, p in law.masses)
    if isinstance(law, Affine):
        return bool(law.shift == 0) and is_symmetric(law.law)
    if isinstance(law, FreeSum):
        return all(is_symmetric(part) for part in law.laws)
    if isinstance(law, FreeSumPower):
        return is_symmetric(law.law)
    return False


def _no_node(name: str, advice: str) -> NotImplementedError:
    return NotImplementedError(
        f"{name} inside a free operation: its Cauchy transform is not one analytic curve of its child's; {advice}"
    )


def _union(pieces: list[tuple[float, float]], at_zero: float) -> tuple[Edge, ...]:
    """Edges of a union of intervals that overlap; ``at_zero`` is the exponent at a lower end 0."""
    merged: list[list[float]] = []
    for lo, hi in sorted(pieces):
        if merged and lo <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], hi)
        else:
            merged.append([lo, hi])
    return tuple(
        edge
        for lo, hi in merged
        for edge in (Edge(lo, at_zero if lo == 0 else 0.5, "lower"), Edge(hi, 0.5, "upper"))
    )


@dataclass(frozen=True, repr=False)
class Sqrt(Law):
    """Law of sqrt(X) for X >= 0; ``rho_s(s) = 2 s rho_x(s**2)``. Singular values of J from eigenvalues of J Jᵀ.

    Raises
    ------
    PreconditionError
        If the law has negative support.
    """

    law: Law

    def _node(self) -> Node:
        raise _no_node("Sqrt", "use law.sqrt().symmetrized(), which is, or work with the law of the squares")

    def _check(self) -> None:
        if self.law.support().lower < 0:
            raise PreconditionError("sqrt: the law has negative support; use law.square().sqrt() for |X|")

    def _atoms(self) -> dict[Any, Any]:
        self._check()
        return {exact_sqrt(x): p for x, p in self.law._atoms().items()}

    def _edges(self) -> tuple[Edge, ...]:
        self._check()
        out = []
        for edge in self.law.support().edges:
            exponent = edge.exponent
            if edge.position == 0 and exponent is not None:
                exponent = 2 * exponent + 1
            out.append(Edge(exact_sqrt(edge.position), exponent, edge.side))
        return tuple(out)

    def _moments_series(self, n: int) -> list[Any]:
        self._check()
        inner = self.law.moments(max(1, n // 2))
        x, w = self.law._quadrature_rule()
        odd = {k: float(np.sum(w * x ** (k / 2))) for k in range(1, n + 1, 2)}
        return [inner[k // 2 - 1] if k % 2 == 0 else odd[k] for k in range(1, n + 1)]

    def _pdf_pushforward(self, x: FloatArray) -> FloatArray:
        self._check()
        out = np.zeros(x.shape)
        inside = x > 0
        s = x[inside]
        inner = self.law._density.pdf(s * s, self.law.methods("pdf")[0])
        out[inside] = 2 * s * inner
        at_zero = x == 0
        if np.any(at_zero):
            edge = next((e for e in self._edges() if float(e.position) == 0), None)
            exponent = 1.0 if edge is None or edge.exponent is None else float(edge.exponent)
            small = 1e-140
            limit = 2 * small * self.law._density.pdf(np.array([small**2]), self.law.methods("pdf")[0])[0]
            out[at_zero] = 0.0 if exponent > 0 else np.inf if exponent < 0 else limit
        return out

    def _cdf_pushforward(self, x: FloatArray) -> FloatArray:
        self._check()
        inner = self.law._density.cdf(np.maximum(x, 0) ** 2, self.law.methods("cdf")[0])
        return np.where(x < 0, 0.0, inner)

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        self._check()
        return np.sqrt(self.law._density.ppf(q))

    def _log_moment(self) -> float:
        return self.law.log_moment() / 2


@dataclass(frozen=True, repr=False)
class Symmetrized(Law):
    """Law of ±X, each sign with probability 1/2."""

    law: Law

    def _node(self) -> Node:
        if isinstance(self.law, Sqrt):
            return SymmetrisedRootNode(self.law.law.numeric)
        if is_symmetric(self.law):
            return self.law.numeric
        raise _no_node("Symmetrized", "symmetrise the square root of a law on [0, oo): law.sqrt().symmetrized()")

    def _has(self, question: str, method: str) -> bool:
        if method == "pushforward":
            return question in ("pdf", "cdf")
        if method == "subordination":
            return isinstance(self.law, Sqrt) or is_symmetric(self.law)
        return method != "closed_form"

    def _atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for x, p in self.law._atoms().items():
            half = p / 2 if not isinstance(p, int) else p * 0.5
            for sign in (1, -1):
                out[sign * x] = out.get(sign * x, 0) + half
        return out

    def _edges(self) -> tuple[Edge, ...]:
        edges = self.law.support().edges
        if is_symmetric(self.law):
            return edges
        if any(float(e.position) < 0 for e in edges):
            pieces = [(float(lo), float(hi)) for lo, hi in self.law.support().intervals]
            return _union([*pieces, *((-hi, -lo) for lo, hi in pieces)], at_zero=0.5)
        other = {"lower": "upper", "upper": "lower"}
        mirrored = [Edge(-e.position, e.exponent, other[e.side]) for e in reversed(edges)]
        if edges and float(edges[0].position) == 0 and edges[0].exponent == 0:
            return (*mirrored[:-1], *edges[1:])  # the two halves join smoothly at 0
        return (*mirrored, *edges)

    def _moments_series(self, n: int) -> list[Any]:
        inner = self.law.law.moments(max(1, n // 2)) if isinstance(self.law, Sqrt) else None
        if inner is not None:
            return [inner[k // 2 - 1] if k % 2 == 0 else 0 for k in range(1, n + 1)]
        return [m if k % 2 == 0 else 0 for k, m in enumerate(self.law.moments(n), start=1)]

    def _pdf_pushforward(self, x: FloatArray) -> FloatArray:
        method = self.law.methods("pdf")[0]
        return (self.law._density.pdf(x, method) + self.law._density.pdf(-x, method)) / 2

    def _cdf_pushforward(self, x: FloatArray) -> FloatArray:
        method = self.law.methods("cdf")[0]
        positions, masses = self.law._density.atoms
        mirrored = np.array([masses[positions == -point].sum() for point in x], dtype=float)
        both: FloatArray = self.law._density.cdf(x, method) + 1 - self.law._density.cdf(-x, method) + mirrored
        return both / 2

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        if is_symmetric(self.law):
            return self.law._density.ppf(q)
        if self.law.support().lower < 0:
            return self._density._ppf_by_bisection(q)
        upper = q > 0.5
        inner = self.law._density.ppf(np.where(upper, 2 * q - 1, 1 - 2 * q))
        return np.where(upper, inner, -inner)

    def _log_moment(self) -> float:
        return self.law.log_moment()


@dataclass(frozen=True, repr=False)
class Square(Law):
    """Law of X**2; ``rho(y) = (rho_x(sqrt y) + rho_x(-sqrt y))/(2 sqrt y)``."""

    law: Law

    def _node(self) -> Node:
        if is_symmetric(self.law):
            return SquareNode(self.law.numeric)
        if isinstance(self.law, Sqrt):
            return self.law.law.numeric
        raise _no_node("Square", "square a symmetric law, or a square root")

    def _has(self, question: str, method: str) -> bool:
        if method == "pushforward":
            return question in ("pdf", "cdf")
        if method == "subordination":
            return isinstance(self.law, Sqrt) or is_symmetric(self.law)
        return method != "closed_form"

    def _atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for x, p in self.law._atoms().items():
            out[x**2] = out.get(x**2, 0) + p
        return out

    def _edges(self) -> tuple[Edge, ...] | None:
        edges = self.law.support().edges
        if edges and float(edges[0].position) >= 0:
            out = []
            for e in edges:
                exponent = e.exponent
                if e.position == 0 and exponent is not None:
                    exponent = (exponent - 1) / 2
                out.append(Edge(e.position**2, exponent, e.side))
            return tuple(out)
        if is_symmetric(self.law):
            upper = [e for e in edges if float(e.position) > 0]
            squared = [Edge(e.position**2, e.exponent, e.side) for e in upper]
            if len(upper) % 2:  # an interval around 0: the density of the square has a hard edge there
                return (Edge(0, -0.5, "lower"), *squared)
            return tuple(squared)
        return self._folded_edges()

    def _folded_edges(self) -> tuple[Edge, ...]:
        """Union of the squared intervals; inner ends where the two folds overlap are not edges of the union."""
        pieces = []
        for lo, hi in self.law.support().intervals:
            a, b = float(lo), float(hi)
            if a < 0 < b:
                pieces += [(0.0, a * a), (0.0, b * b)]
            else:
                pieces.append((min(a * a, b * b), max(a * a, b * b)))
        return _union(pieces, at_zero=-0.5)

    def _moments_series(self, n: int) -> list[Any]:
        return self.law.moments(2 * n)[1::2]

    def _pdf_pushforward(self, x: FloatArray) -> FloatArray:
        method = self.law.methods("pdf")[0]
        out = np.zeros(x.shape)
        inside = x > 0
        s = np.sqrt(x[inside])
        both = self.law._density.pdf(s, method) + self.law._density.pdf(-s, method)
        out[inside] = both / (2 * s)
        return out

    def _cdf_pushforward(self, x: FloatArray) -> FloatArray:
        method = self.law.methods("cdf")[0]
        s = np.sqrt(np.maximum(x, 0))
        positions, masses = self.law._density.atoms
        at_lower = np.array([masses[positions == -point].sum() for point in s], dtype=float)
        inner = self.law._density.cdf(s, method) - self.law._density.cdf(-s, method) + at_lower
        return np.where(x < 0, 0.0, inner)

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        if self.law.support().lower >= 0:
            return self.law._density.ppf(q) ** 2
        if is_symmetric(self.law):
            return self.law._density.ppf((1 + q) / 2) ** 2
        return self._density._ppf_by_bisection(q)

    def _log_moment(self) -> float:
        return 2 * self.law.log_moment()
