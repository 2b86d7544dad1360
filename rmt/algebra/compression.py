"""Free compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rmt.law import Law
from rmt.numeric.node import Node
from rmt.numeric.unary import CompressionNode
from rmt.parameters import as_float, check_number
from rmt.series import free_cumulants_to_moments

__all__ = ["Compression"]


@dataclass(frozen=True, repr=False)
class Compression(Law):
    """Law of p a p in the algebra cut down by a free projection p of trace ``ratio``: R(g) -> R(ratio g).

    The limit of a square corner, of relative size ``ratio``, of a randomly rotated matrix (Nica and Speicher 1996).
    An atom of mass q becomes one of mass ``(q - (1 - ratio))/ratio`` if that is positive.

    Raises
    ------
    ValueError
        If ``ratio`` is not in (0, 1].
    """

    law: Law
    ratio: Any

    def __post_init__(self) -> None:
        check_number("ratio", self.ratio, above=0, at_most=1)

    def _node(self) -> Node:
        return CompressionNode(self.law.numeric, as_float(self.ratio, "ratio"))

    def _atoms(self) -> dict[Any, Any]:
        masses = {x: (p - (1 - self.ratio)) / self.ratio for x, p in self.law._atoms().items()}
        return {x: p for x, p in masses.items() if p > 0 and not (isinstance(p, float) and p < 1e-13)}

    def _moments_series(self, n: int) -> list[Any]:
        cumulants = self.law.free_cumulants(n)
        return free_cumulants_to_moments([k * self.ratio**j for j, k in enumerate(cumulants)])
