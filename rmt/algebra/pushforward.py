"""Square, square root and symmetrisation."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.algebra.mixture import second_moment, union
from rmt.density import on_atoms
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.numeric.conjugate import ReflectedNode
from rmt.numeric.mixture import MixtureNode
from rmt.numeric.node import Node
from rmt.numeric.unary import SquareNode, SymmetrisedRootNode
from rmt.parameters import exact_sqrt
from rmt.results import PreconditionError
from rmt.support import Edge

__all__ = ["Sqrt", "Square", "Symmetrized", "has_pushforward", "is_symmetric"]

FloatArray = npt.NDArray[np.float64]


def is_symmetric(law: Law) -> bool:
    """Whether the law is known to be symmetric about 0 by its construction (False also means: not known)."""
    from rmt.algebra.affine import Affine
    from rmt.algebra.free_power import FreeSumPower
    from rmt.algebra.free_sum import FreeSum
    from rmt.laws.cauchy import Cauchy
    from rmt.laws.free_stable import FreeStable
    from rmt.laws.gaussian import Gaussian
    from rmt.laws.semicircle import Semicircle

    if isinstance(law, Symmetrized):
        return True
    if isinstance(law, Semicircle | Gaussian):
        return bool(law.mean_value == 0)
    if isinstance(law, Cauchy):
        return bool(law.location == 0)
    if isinstance(law, FreeStable):
        return bool(law.location == 0 and 2 * law.rho == 1)
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


def has_pushforward(question: str, method: str, subordination: bool) -> bool:
    """Strategies of a law that is the image of another one: a change of variables, and what its node allows."""
    if method == "pushforward":
        return question in ("pdf", "cdf")
    if method == "subordination":
        return subordination
    return method not in ("closed_form", "explicit")


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
        # G_sqrt(z) = E 1/(z - sqrt X) is not a function of E 1/(z**2 - X) alone
        raise NotImplementedError(
            "Sqrt inside a free operation: its Cauchy transform is not one analytic curve of its child's; use "
            "law.sqrt().symmetrized(), which is, or work with the law of the squares"
        )

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
        x, w = self._quadrature_rule()
        odd = {k: float(np.sum(w * x**k)) for k in range(1, n + 1, 2)}
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
        positions = self.law._density.atoms[0]
        squares = on_atoms(np.maximum(x, 0) ** 2, positions, np.abs(positions))
        return np.where(x < 0, 0.0, self.law._density.cdf(squares, self.law.methods("cdf")[0]))

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        # mapped: a law that is an image itself may have edges inside its intervals
        self._check()
        x, w = self.law._quadrature_rule()
        return np.sqrt(x), w

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
        node = self.law.numeric
        if is_symmetric(self.law):
            return node
        return MixtureNode([node, ReflectedNode(node)], [0.5, 0.5], second_moment=lambda: second_moment(self.law))

    def _has(self, question: str, method: str) -> bool:
        subordination = isinstance(self.law, Sqrt) or "subordination" in self.law.methods("cauchy")
        return has_pushforward(question, method, subordination)

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
        mirrored = [Edge(-e.position, e.exponent, "upper" if e.side == "lower" else "lower") for e in reversed(edges)]
        return union([*zip(edges[::2], edges[1::2], strict=True), *zip(mirrored[::2], mirrored[1::2], strict=True)])

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

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        # mapped: the edges of one half may lie inside the other
        x, w = self.law._quadrature_rule()
        return np.concatenate([x, -x]), np.concatenate([w, w]) / 2

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        if is_symmetric(self.law):
            return self.law._density.ppf(q)
        if self.law.support().lower < 0:
            return self._density.inverted(q)
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
        if isinstance(self.law, Sqrt):
            return self.law.law.numeric
        if isinstance(self.law, Discrete):  # with no mean to cancel far away
            return Discrete(self._atoms()).numeric
        return SquareNode(Symmetrized(self.law).numeric)

    def _has(self, question: str, method: str) -> bool:
        subordination = isinstance(self.law, Sqrt) or "subordination" in self.law.methods("cauchy")
        return has_pushforward(question, method, subordination)

    def _atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for x, p in self.law._atoms().items():
            out[x**2] = out.get(x**2, 0) + p
        return out

    def _edges(self) -> tuple[Edge, ...]:
        pieces = []
        edges = self.law.support().edges
        for lower, upper in zip(edges[::2], edges[1::2], strict=True):
            low, high = _squared(lower, "lower"), _squared(upper, "upper")
            if float(lower.position) >= 0:
                pieces.append((low, high))
            elif float(upper.position) <= 0:
                pieces.append((_squared(upper, "lower"), _squared(lower, "upper")))
            else:
                zero = Edge(0, Fraction(-1, 2), "lower")
                pieces += [(zero, _squared(lower, "upper")), (zero, high)]
        return union(pieces)

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
        positions, masses = self.law._density.atoms
        root = np.sqrt(np.maximum(x, 0))
        upper, lower = (on_atoms(s, positions, np.abs(positions)) for s in (root, -root))
        at_lower = np.array([masses[positions == point].sum() for point in lower], dtype=float)
        inner = self.law._density.cdf(upper, method) - self.law._density.cdf(lower, method) + at_lower
        return np.where(x < 0, 0.0, inner)

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        if is_symmetric(self.law):
            return self._density.rule
        # mapped: the edge of one side may lie inside the image of the other
        x, w = self.law._quadrature_rule()
        return x * x, w

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        if self.law.support().lower >= 0:
            return self.law._density.ppf(q) ** 2
        if is_symmetric(self.law):
            return self.law._density.ppf((1 + q) / 2) ** 2
        return self._density.inverted(q)

    def _log_moment(self) -> float:
        return 2 * self.law.log_moment()


def _squared(edge: Edge, side: str) -> Edge:
    exponent = edge.exponent
    if exponent is not None and edge.position == 0:
        exponent = (exponent - 1) / 2
    return Edge(edge.position**2, exponent, side)
