"""Free additive convolution."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from rmt.law import Law
from rmt.numeric.node import Node
from rmt.numeric.operations import SumNode, SumPowerNode
from rmt.series import free_cumulants_to_moments

__all__ = ["FreeSum"]


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
        nodes = [law.numeric if k == 1 else SumPowerNode(law.numeric, float(k)) for law, k in groups.items()]
        return nodes[0] if len(nodes) == 1 else SumNode(nodes)

    def _atoms(self) -> dict[Any, Any]:
        # at most one combination per law can have an excess, so heavy atoms suffice
        heavy = [list(law._atoms().items()) for law in self.laws]
        out: dict[Any, Any] = {}
        for choice in itertools.product(*heavy):
            excess = sum(p for _, p in choice) - (len(choice) - 1)
            if excess > 0 and not (isinstance(excess, float) and excess < 1e-13):
                out[sum(x for x, _ in choice)] = excess
        return out

    def _moments_series(self, n: int) -> list[Any]:
        cumulants = [law.free_cumulants(n) for law in self.laws]
        return free_cumulants_to_moments([sum(parts) for parts in zip(*cumulants, strict=True)])
