"""Mixtures of laws, and unions of supports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.mixture import MixtureNode
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, is_symbolic, parameter_repr
from rmt.results import PreconditionError
from rmt.support import Edge

__all__ = ["Mixture", "second_moment", "union"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True, repr=False)
class Mixture(Law):
    """Law of a number drawn from the law mu_i with probability p_i: ``Mixture({mu_1: p_1, mu_2: p_2, ...})``.

    The empirical law of a block-diagonal matrix whose blocks have these laws and shares. G, moments, density and
    distribution function are averages; so is the potential, and a mixture may stand inside free operations.

    Attributes
    ----------
    parts : tuple of (law, weight)
        Parts of weight 0 are dropped; equal laws are joined.

    Raises
    ------
    ValueError
        If a weight is negative, or they do not add up to 1.
    """

    parts: tuple[tuple[Law, Any], ...]

    def __init__(self, parts: Mapping[Law, Any] | Iterable[tuple[Law, Any]]) -> None:
        joined: dict[Law, Any] = {}
        for law, weight in parts.items() if isinstance(parts, Mapping) else parts:
            if not isinstance(law, Law):
                raise ValueError(f"parts: {law!r} is no law; give {{law: weight}}")
            check_number(f"weight of {law!r}", weight, at_least=0)
            joined[law] = joined[law] + weight if law in joined else weight
        total = sum(joined.values())
        if not is_symbolic(total) and abs(float(total) - 1) > 1e-12:
            weights = list(joined.values())
            raise ValueError(f"weights {weights!r} add up to {float(total):.15g}, expected 1; rescale them")
        object.__setattr__(self, "parts", tuple((a, p) for a, p in joined.items() if is_symbolic(p) or p != 0))

    def __repr__(self) -> str:
        return f"Mixture({{{', '.join(f'{law!r}: {parameter_repr(p)}' for law, p in self.parts)}}})"

    def _numbers(self) -> list[tuple[float, Law]]:
        return [(as_float(p, "weight"), law) for law, p in self.parts]

    def _node(self) -> Node:
        if len(self.parts) == 1:
            return self.parts[0][0].numeric
        nodes = [(p, law.numeric) for p, law in self._numbers()]
        proper = [(p, node) for p, node in nodes if node.mean != 0 or node.variance != 0]
        at_zero = sum(p for p, node in nodes if node.mean == 0 and node.variance == 0)
        weights = [p for p, _ in proper]
        return MixtureNode([node for _, node in proper], weights, at_zero, second_moment=lambda: second_moment(self))

    def _has(self, question: str, method: str) -> bool:
        if method == "pushforward":
            return question in ("pdf", "cdf")
        if method == "subordination" or (question, method) == ("cauchy", "closed_form"):
            return all(method in law.methods("cauchy") for law, _ in self.parts)
        return method not in ("closed_form", "explicit")

    def _atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for law, p in self.parts:
            for x, mass in law._atoms().items():
                out[x] = out.get(x, 0) + p * mass
        return out

    def _edges(self) -> tuple[Edge, ...]:
        pairs = []
        for law, _ in self.parts:
            edges = law.support().edges
            pairs += list(zip(edges[::2], edges[1::2], strict=True))
        return union(pairs)

    def _moments_series(self, n: int) -> list[Any]:
        moments = [[p * m for m in law.moments(n)] for law, p in self.parts]
        return [sum(terms) for terms in zip(*moments, strict=True)]

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        # of the parts: the edges of one lie inside the others
        rules = [(p, law._quadrature_rule()) for p, law in self._numbers()]
        return np.concatenate([x for _, (x, _) in rules]), np.concatenate([p * w for p, (_, w) in rules])

    def _pdf_pushforward(self, x: FloatArray) -> FloatArray:
        out: FloatArray = np.sum([p * law._density.pdf(x, law.methods("pdf")[0]) for p, law in self._numbers()], axis=0)
        return out

    def _cdf_pushforward(self, x: FloatArray) -> FloatArray:
        out: FloatArray = np.sum([p * law._density.cdf(x, law.methods("cdf")[0]) for p, law in self._numbers()], axis=0)
        return out

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        out: ComplexArray = np.sum([p * law._cauchy_closed_form(z) for p, law in self._numbers()], axis=0)
        return out

    def _log_moment(self) -> float:
        return sum(p * law.log_moment() for p, law in self._numbers())


def second_moment(law: Law) -> float | None:
    """E X**2, or None unless the first four moments exist: m follows its first terms far away."""
    try:
        return as_float(law.moments(4)[1], "moment")
    except PreconditionError:
        return None


def union(intervals: Iterable[tuple[Edge, Edge]]) -> tuple[Edge, ...]:
    """Edges of a union of intervals.

    Intervals that overlap are one, and what lies inside is no edge; of two ends at one place the one where the density
    is larger counts. Intervals that only touch stay two, unless the density is finite and positive there on both sides.
    """
    merged: list[tuple[Edge, Edge]] = []
    for lower, upper in sorted(intervals, key=lambda pair: (float(pair[0].position), float(pair[1].position))):
        if merged and _overlap(merged[-1], lower):
            first, last = merged[-1]
            merged[-1] = (_dominant(first, lower, outwards=-1), _dominant(last, upper, outwards=1))
        else:
            merged.append((lower, upper))
    return tuple(edge for pair in merged for edge in pair)


def _overlap(piece: tuple[Edge, Edge], lower: Edge) -> bool:
    here, end = float(lower.position), float(piece[1].position)
    return here < end or (here == end and lower.exponent == 0 and piece[1].exponent == 0)


def _dominant(one: Edge, other: Edge, outwards: int) -> Edge:
    a, b = float(one.position), float(other.position)
    if a != b:
        return one if (a - b) * outwards > 0 else other
    if one.exponent is None or other.exponent is None:
        return one if one.exponent is None else other
    return one if float(one.exponent) <= float(other.exponent) else other
