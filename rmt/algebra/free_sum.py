"""Free additive convolution."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rmt.law import Law
from rmt.numeric.convolutions import SumNode
from rmt.numeric.far import seen_from_afar
from rmt.numeric.leaves import DiscreteLeaf
from rmt.numeric.node import Node
from rmt.numeric.unary import ShiftedNode, SumPowerNode
from rmt.parameters import is_symbolic
from rmt.series import free_cumulants_to_moments

__all__ = ["FreeSum", "heavy_atoms", "joint_mass", "nodes_of"]


@dataclass(frozen=True, repr=False)
class FreeSum(Law):
    """Law of a_1 + … + a_n for free a_i with the given laws: R-transforms add (Voiculescu 1986).

    Nested sums are flattened. Atoms follow Bercovici and Voiculescu (1998): x is an atom iff x = sum x_i with
    ``sum mu_i{x_i} > n - 1``, and that excess is its mass.
    """

    laws: tuple[Law, ...]

    def __init__(self, laws: tuple[Law, ...]) -> None:
        flat: list[Law] = []
        for law in laws:
            flat.extend(law.laws if isinstance(law, FreeSum) else [law])
        if len(flat) < 2:
            raise ValueError(f"laws={laws!r}: expected at least two laws")
        object.__setattr__(self, "laws", tuple(flat))

    def _node(self) -> Node:
        groups: dict[Law, int] = {}
        for law in self.laws:
            groups[law] = groups.get(law, 0) + 1
        # the R of a point mass is a constant, by which no g is found: point masses are a shift of the others' sum
        points = [law for law in groups if law.numeric.variance == 0]
        shift = sum(groups.pop(law) * law.numeric.mean for law in points)
        if not groups:
            return DiscreteLeaf([shift], [1.0])
        parts = zip(nodes_of(list(groups)), groups.values(), strict=True)
        nodes = [node if k == 1 else SumPowerNode(node, float(k)) for node, k in parts]
        node = nodes[0] if len(nodes) == 1 else SumNode(nodes)
        return node if shift == 0 else ShiftedNode(node, shift, positive=node.positive and shift > 0)

    def _atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for choice in itertools.product(*heavy_atoms([list(law._atoms().items()) for law in self.laws])):
            excess = joint_mass([p for _, p in choice])
            if excess > 0 and not (isinstance(excess, float) and excess < 1e-13):
                out[sum(x for x, _ in choice)] = excess
        return out

    def _moments_series(self, n: int) -> list[Any]:
        cumulants = [law.free_cumulants(n) for law in self.laws]
        return free_cumulants_to_moments([sum(parts) for parts in zip(*cumulants, strict=True)])


def nodes_of(laws: list[Law]) -> list[Node]:
    """The nodes of the laws of a free sum or product: beside an unbounded law, those of the others are met far away."""
    if not any(any(law.numeric.unbounded) for law in laws):
        return [law.numeric for law in laws]

    def moments(law: Law) -> Callable[[int], list[float]]:
        return lambda n: [float(m) for m in law.moments(n)]

    return [seen_from_afar(law.numeric, moments(law)) for law in laws]


def joint_mass(masses: list[Any]) -> Any:
    """``sum masses - (n - 1)``, where masses of 1 cost the others no digits."""
    proper = [p for p in masses if p != 1]
    return sum(proper) - (len(proper) - 1)


def heavy_atoms(atoms: list[list[tuple[Any, Any]]]) -> list[list[tuple[Any, Any]]]:
    """Of each law the atoms that can take part in one of a free sum or product, whose masses must exceed n - 1."""
    if any(is_symbolic(p) for part in atoms for _, p in part):
        return atoms
    heaviest = [max((p for _, p in part), default=0) for part in atoms]
    lacking = len(atoms) - 1 - sum(heaviest)
    return [[(x, p) for x, p in part if p + 1e-12 > top + lacking] for part, top in zip(atoms, heaviest, strict=True)]
