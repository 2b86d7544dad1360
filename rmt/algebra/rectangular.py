"""Rectangular free convolution: singular values of sums of rectangular matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rmt.law import Law
from rmt.numeric.convolutions import SumNode
from rmt.numeric.node import Node
from rmt.numeric.rectangular import RectangularNode
from rmt.numeric.unary import SquareNode, SymmetrisedRootNode
from rmt.parameters import as_float, check_number, is_symbolic
from rmt.results import PreconditionError
from rmt.series import moments_to_rectangular_cumulants, rectangular_cumulants_to_moments

__all__ = ["RectangularSum"]


@dataclass(frozen=True, repr=False)
class RectangularSum(Law):
    """Law of ``(A + B + …)(A + B + …)ᵀ`` for large independent bi-invariant p × n matrices, ratio = p/n <= 1.

    ``laws`` are those of A Aᵀ, B Bᵀ, …. Only all but one need be bi-invariant: ``A + sigma G`` (information plus noise,
    Dozier and Silverstein 2007) is ``RectangularSum((law, sigma**2 * MarchenkoPastur(ratio)), ratio)``, G of shape
    (p, n) with entries of variance 1/n. At ratio 1 it is the square of the free sum of the symmetrised singular laws,
    and with ``Discrete({a**2: 1})`` for one law it is `ResidualSum`. For p > n transpose.

    Rectangular R-transforms add (Benaych-Georges, Rectangular random matrices, related convolution, 2009). The mass at
    0 is what the ranks leave over, ``sum of the masses at 0 - (number of laws - 1)``, and an atom of mass q at x > 0
    keeps ``q - 2 (sum over the other laws of 1 - mass at 0)`` (dimension counts of both singular spaces, derived here),
    each if positive.

    Raises
    ------
    ValueError
        If ``ratio`` is not in (0, 1], or fewer than two laws are given.
    PreconditionError
        When numbers are asked for and a law leaves [0, oo).
    """

    laws: tuple[Law, ...]
    ratio: Any

    def __post_init__(self) -> None:
        check_number("ratio", self.ratio, above=0, at_most=1)
        flat: list[Law] = []
        for law in self.laws:
            flat.extend(law.laws if isinstance(law, RectangularSum) and law.ratio == self.ratio else [law])
        if len(flat) < 2:
            raise ValueError(f"laws={self.laws!r}: expected at least two laws")
        object.__setattr__(self, "laws", tuple(flat))

    def _node(self) -> Node:
        nodes = [law.numeric for law in self.laws]
        if not all(node.positive for node in nodes):
            raise PreconditionError("laws: the law of A Aᵀ lives on [0, oo), and one of these has negative support")
        if self.ratio == 1:
            # the free sum itself, solved for +-sqrt(x), where the law is regular next to 0
            return SquareNode(SumNode([SymmetrisedRootNode(node) for node in nodes]))
        return RectangularNode(nodes, as_float(self.ratio, "ratio"))

    def _atoms(self) -> dict[Any, Any]:
        atoms = [law._atoms() for law in self.laws]
        ranks = [1 - sum(p for x, p in part.items() if not is_symbolic(x) and float(x) == 0) for part in atoms]
        out = {0: 1 - sum(ranks)}
        for k, part in enumerate(atoms):
            others = sum(rank for j, rank in enumerate(ranks) if j != k)
            out |= {x: p - 2 * others for x, p in part.items() if is_symbolic(x) or float(x) != 0}
        return {x: p for x, p in out.items() if p > 0 and not (isinstance(p, float) and p < 1e-13)}

    def _moments_series(self, n: int) -> list[Any]:
        cumulants = [moments_to_rectangular_cumulants(law.moments(n), self.ratio) for law in self.laws]
        return rectangular_cumulants_to_moments([sum(parts) for parts in zip(*cumulants, strict=True)], self.ratio)
