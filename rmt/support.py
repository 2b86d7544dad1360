"""The support of a law: intervals of the continuous part, atoms, edges with their exponents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Edge", "Support"]


@dataclass(frozen=True)
class Edge:
    """An end of an interval of the support.

    Attributes
    ----------
    position : number
        Where; exact if the law's parameters are exact and a closed form exists. ``-inf`` or ``inf`` (with exponent
        None) where the law is unbounded.
    exponent : number or None
        The density behaves as ``|x - position|**exponent`` inside: 1/2 at a soft edge, -L/(L+1) at the hard edge of a
        product of L square Gaussian matrices. None where it is not a pure power, or not known.
    side : str
        ``"lower"`` or ``"upper"`` end of its interval.
    """

    position: Any
    exponent: Any
    side: str


@dataclass(frozen=True)
class Support:
    """Where a law lives.

    Attributes
    ----------
    intervals : tuple of (lo, hi)
        Intervals of the absolutely continuous part, in increasing order.
    atoms : dict
        Position -> mass of each atom.
    edges : tuple of Edge
        The ends of the intervals, in increasing order of position.
    """

    intervals: tuple[tuple[Any, Any], ...] = ()
    atoms: Mapping[Any, Any] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()

    @classmethod
    def from_edges(cls, edges: tuple[Edge, ...], atoms: Mapping[Any, Any]) -> Support:
        """Pair the ends (lower, upper, lower, upper, …) into intervals."""
        pairs = tuple((lo.position, hi.position) for lo, hi in zip(edges[::2], edges[1::2], strict=True))
        return cls(pairs, dict(atoms), edges)

    @property
    def lower(self) -> float:
        """The smallest point of the support, atoms included."""
        return min([float(lo) for lo, _ in self.intervals] + [float(x) for x in self.atoms])

    @property
    def upper(self) -> float:
        """The largest point of the support, atoms included."""
        return max([float(hi) for _, hi in self.intervals] + [float(x) for x in self.atoms])
