"""Free Poisson and free compound Poisson laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.algebra.affine import Affine
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.numeric.compound import CompoundPoissonNode
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, is_symbolic
from rmt.series import free_cumulants_to_moments
from rmt.series.power_series import divide
from rmt.support import Edge

__all__ = ["FreePoisson"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class FreePoisson(Law):
    """Free compound Poisson law: free cumulants ``rate E[J**n]``, ``R(g) = rate E[J/(1 - J g)]``.

    The limit of X T Xᵀ, X of shape (p, n) with entries of variance 1/p, T of shape (n, n) with the law of J,
    rate = n/p (Marchenko and Pastur 1967; Nica and Speicher 2006, proposition 12.15). For J = x fixed it is
    ``rate x MarchenkoPastur(1/rate)``; for J >= 0, ``m = rate m'`` at equal z, m' that of
    ``MarchenkoPastur(rate) @ J``. The only atom is at 0, of mass ``1 - rate P(J != 0)`` where that is positive.

    Parameters
    ----------
    rate : number > 0
    jump : Law or number, optional
        Law of J; a number x stands for the point mass ``Discrete({x: 1})``.

    Raises
    ------
    ValueError
        If ``rate`` is not positive, or the jump is 0.
    """

    rate: Any
    jump: Any = 1

    def __post_init__(self) -> None:
        check_number("rate", self.rate, above=0)
        if not isinstance(self.jump, Law):
            check_number("jump", self.jump)
            object.__setattr__(self, "jump", Discrete({self.jump: 1}))
        if self.jump == Discrete({0: 1}):
            raise ValueError("jump=0: the law would be the point mass at 0; give jumps that are not all 0")

    def _is_fixed(self) -> bool:
        """Whether J is a constant."""
        return isinstance(self.jump, Discrete) and len(self.jump.masses) == 1

    def _scaled(self) -> Law:
        """The same law as a scaled Marchenko–Pastur law, for a constant J."""
        return Affine(MarchenkoPastur(divide(1, self.rate)), self.rate * self.jump.masses[0][0])

    def _node(self) -> Node:
        rate, jump = as_float(self.rate, "rate"), self.jump
        if isinstance(jump, Discrete):
            # the jumps that are 0 do nothing, but would cost digits next to 0
            kept = 1 - sum(p for x, p in jump.masses if x == 0)
            if kept != 1:
                rate, jump = rate * kept, Discrete({x: divide(p, kept) for x, p in jump.masses if x != 0})
        return CompoundPoissonNode(jump.numeric, float(rate))

    def _atoms(self) -> dict[Any, Any]:
        at_zero = [p for x, p in self.jump._atoms().items() if not is_symbolic(x) and float(x) == 0]
        mass = 1 - self.rate * (1 - sum(at_zero))
        if is_symbolic(mass) or mass <= 0 or (isinstance(mass, float) and mass < 1e-13):
            return {}
        return {0: mass}

    def _moments_series(self, n: int) -> list[Any]:
        return free_cumulants_to_moments([self.rate * m for m in self.jump.moments(n)])

    def _edges(self) -> tuple[Edge, ...] | None:
        return self._scaled()._edges() if self._is_fixed() else None

    def _has(self, question: str, method: str) -> bool:
        if method == "closed_form" and not self._is_fixed():
            return False
        return super()._has(question, method)

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        return self._scaled()._pdf_closed_form(x)
