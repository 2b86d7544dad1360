"""The residual sum: what a skip connection does to singular values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt.law import Law
from rmt.numeric.continuation import solve
from rmt.numeric.convolutions import SumNode
from rmt.numeric.leaves import DiscreteLeaf
from rmt.numeric.node import Node
from rmt.numeric.residual import ResidualNode
from rmt.numeric.unary import SquareNode, SymmetrisedRootNode
from rmt.parameters import as_float, check_number, is_symbolic
from rmt.results import PreconditionError
from rmt.series import moments_to_rectangular_cumulants, rectangular_cumulants_to_moments

__all__ = ["ResidualSum"]


@dataclass(frozen=True, repr=False)
class ResidualSum(Law):
    """Law of ``|a O + Y|**2`` for a bi-invariant (R-diagonal) branch Y free of O (identity or Haar).

    ``branch`` is the law of Y Yᵀ and ``skip`` is a. The symmetrised singular laws add freely:
    ``(delta_a + delta_-a)/2 ⊞ sym(Y)`` (Nica and Speicher, R-diagonal elements, 1997); derived here in the form
    ``S(m) = t/(m (1 + m))``, ``t = m0 (1 + m0) S_Y(m0)``, ``m = m0 + (sqrt(1 + 4 a**2 t) - 1)/2``.

    The only atom can sit at a**2, with mass ``2 P(Y = 0) - 1``.

    Raises
    ------
    ValueError
        If ``skip`` is not a positive number.
    PreconditionError
        When numbers are asked for and the branch leaves [0, oo).
    """

    branch: Law
    skip: Any = 1

    def __post_init__(self) -> None:
        check_number("skip", self.skip, above=0)

    def _node(self) -> Node:
        node = self.branch.numeric
        if not node.positive:
            raise PreconditionError("branch: the law of Y Yᵀ lives on [0, oo); this one has negative support")
        skip = as_float(self.skip, "skip")
        # The spectrum keeps off 0 if the ring of eigenvalues of the R-diagonal Y does not reach the circle of radius a.
        # (where E |Y|^2 is infinite it does, and the tail falls more slowly than 1/z)
        if node.mean < skip**2 and node.tail()[0] == 1:
            return ResidualNode(node, skip)
        beside = solve(node, np.array([-1e-5 * skip**2]))
        # (a branch that tracks its arguments also keeps the digits of 1 + m next to 0)
        if node.tracked and beside.converged[0] and -beside.g.real[0] * skip**2 < 1 - 1e-4:  # E 1/|Y|^2 < 1/a^2
            return ResidualNode(node, skip, branch_leads=True)
        # otherwise the free sum itself, solved for +-sqrt(x), where the law is regular next to 0
        return SquareNode(SumNode([DiscreteLeaf([-skip, skip], [0.5, 0.5]), SymmetrisedRootNode(node)]))

    def _atoms(self) -> dict[Any, Any]:
        at_zero = next((p for x, p in self.branch._atoms().items() if not is_symbolic(x) and float(x) == 0), 0)
        mass = 2 * at_zero - 1
        return {self.skip**2: mass} if mass > 0 and not (isinstance(mass, float) and mass < 1e-13) else {}

    def _moments_series(self, n: int) -> list[Any]:
        # square matrices: rectangular cumulants of ratio 1 add
        skip = moments_to_rectangular_cumulants([self.skip ** (2 * k) for k in range(1, n + 1)], 1)
        branch = moments_to_rectangular_cumulants(self.branch.moments(n), 1)
        return rectangular_cumulants_to_moments([x + y for x, y in zip(skip, branch, strict=True)], 1)
