"""Free powers with real exponents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rmt.law import Law
from rmt.numeric.node import Node
from rmt.numeric.operations import PowerNode, SumPowerNode
from rmt.parameters import as_float, check_number, is_symbolic
from rmt.results import PreconditionError
from rmt.series import free_cumulants_to_moments, moments_to_s_series, power, s_series_to_moments

__all__ = ["FreePower", "FreeSumPower"]


@dataclass(frozen=True, repr=False)
class FreePower(Law):
    """Multiplicative free power: ``S -> S**exponent``, exponent >= 1 real and as large as you like.

    Depth enters a network law only here, so it costs nothing. Exists for every law on [0, oo) and exponent >= 1
    (Belinschi and Bercovici, arXiv:math/0402370). An atom at x > 0 of mass p survives as x**t with mass
    ``t p - (t - 1)`` if that is positive; the mass at 0 stays.

    Raises
    ------
    ValueError
        If ``exponent`` < 1.
    PreconditionError
        When numbers are asked for and the law leaves [0, oo).
    """

    law: Law
    exponent: Any

    def __post_init__(self) -> None:
        check_number("exponent", self.exponent, at_least=1)

    def _node(self) -> Node:
        node = self.law.numeric
        if not node.positive:
            raise PreconditionError(
                "free_power: the law has negative support, where S**t is not defined; use the law of a square"
            )
        return PowerNode(node, as_float(self.exponent, "exponent"))

    def _atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        t = self.exponent
        for x, p in self.law._atoms().items():
            if not is_symbolic(x) and float(x) == 0:
                out[0] = p
                continue
            mass = t * p - (t - 1)
            if mass > 0 and not (isinstance(mass, float) and mass < 1e-13):
                out[x**t] = mass
        return out

    def _moments_series(self, n: int) -> list[Any]:
        series = moments_to_s_series(self.law.moments(n))
        return s_series_to_moments(power(series, self.exponent))

    def _log_moment(self) -> float:
        return as_float(self.exponent, "exponent") * self.law.log_moment()


@dataclass(frozen=True, repr=False)
class FreeSumPower(Law):
    """Additive free power: ``R -> exponent R``, exponent >= 1 real (Nica and Speicher 1996).

    An atom at x of mass p survives at ``exponent x`` with mass ``t p - (t - 1)`` if that is positive.

    Raises
    ------
    ValueError
        If ``exponent`` < 1.
    """

    law: Law
    exponent: Any

    def __post_init__(self) -> None:
        check_number("exponent", self.exponent, at_least=1)

    def _node(self) -> Node:
        return SumPowerNode(self.law.numeric, as_float(self.exponent, "exponent"))

    def _atoms(self) -> dict[Any, Any]:
        t = self.exponent
        masses = {t * x: t * p - (t - 1) for x, p in self.law._atoms().items()}
        return {x: p for x, p in masses.items() if p > 0 and not (isinstance(p, float) and p < 1e-13)}

    def _moments_series(self, n: int) -> list[Any]:
        return free_cumulants_to_moments([self.exponent * k for k in self.law.free_cumulants(n)])

