"""Free powers with real exponents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmt.law import Law
from rmt.numeric.continuation import solve
from rmt.numeric.endpoints import find_atoms
from rmt.numeric.node import Node
from rmt.numeric.unary import PowerNode, SumPowerNode
from rmt.numeric.validity import moment_violation, transform_violation
from rmt.parameters import as_float, check_number, is_symbolic, normalised
from rmt.results import PreconditionError
from rmt.series import free_cumulants_to_moments, moments_to_s_series, power, s_series_to_moments

__all__ = ["FreePower", "FreeSumPower"]

# Moments that are tested where the exponent is below 1, and the one that bounds the search for atoms.
_TESTED, _REACH = 14, 24
_CELLS = 1000


@dataclass(frozen=True, repr=False)
class FreePower(Law):
    """Multiplicative free power: ``S -> S**exponent``, exponent > 0 real and as large as you like.

    Depth enters a network law only here, so it costs nothing. Exists for every law on [0, oo) and exponent >= 1
    (Belinschi and Bercovici, Int. Math. Res. Not. 2005, 65); below 1 only for some laws, the freely infinitely
    divisible ones among them, which is tested when numbers are asked for. A power of a power is one power. An atom at
    x > 0 of mass p becomes one at x**t of mass ``t p + 1 - t`` if that is positive; the mass at 0 stays.

    Raises
    ------
    ValueError
        If ``exponent`` is not positive.
    PreconditionError
        When numbers are asked for and the law leaves [0, oo), or its power below 1 is no law.
    """

    law: Law
    exponent: Any

    def __post_init__(self) -> None:
        check_number("exponent", self.exponent, above=0)
        if isinstance(self.law, FreePower):
            object.__setattr__(self, "exponent", normalised(self.law.exponent * self.exponent))
            object.__setattr__(self, "law", self.law.law)

    def _node(self) -> Node:
        node = self.law.numeric
        if not node.positive:
            raise PreconditionError(
                "free_power: the law has negative support, where S**t is not defined; use the law of a square"
            )
        exponent = as_float(self.exponent, "exponent")
        out = PowerNode(node, exponent)
        if exponent < 1:
            # the narrower a law, the larger its m, in the end as for free multiplicative Brownian motion
            if out.reach < 0.5 + math.sqrt(0.25 + out.mean**2 / out.variance):
                raise PreconditionError(
                    f"free_power({exponent:g}): the law is known by a series of log S to abs(m) <= {out.reach:.3g}, "
                    "and so narrow a power needs more; take the power of the network's layers, or a larger exponent"
                )
            _test(self, "free_power", out, self.law)
        return out

    @cached_property
    def _known_atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        t = self.exponent
        for x, p in self.law._atoms().items():
            if not is_symbolic(x) and float(x) == 0:
                out[0] = p
            elif _is_left(mass := t * p + (1 - t)):
                out[x**t] = mass
        return out if is_symbolic(t) or t >= 1 else out | _new_atoms(self, out)

    def _atoms(self) -> dict[Any, Any]:
        return dict(self._known_atoms)

    def _moments_series(self, n: int) -> list[Any]:
        series = moments_to_s_series(self.law.moments(n))
        return s_series_to_moments(power(series, self.exponent))

    def _log_moment(self) -> float:
        return as_float(self.exponent, "exponent") * self.law.log_moment()


@dataclass(frozen=True, repr=False)
class FreeSumPower(Law):
    """Additive free power: ``R -> exponent R``, exponent > 0 real.

    Exists for every law and exponent >= 1 (Nica and Speicher 1996); below 1 only for some laws, the freely infinitely
    divisible ones among them (semicircle, Marchenko–Pastur, Cauchy), which is tested when numbers are asked for. A
    power of a power is one power. An atom at x of mass p becomes one at ``t x`` of mass ``t p + 1 - t`` if that is
    positive.

    Raises
    ------
    ValueError
        If ``exponent`` is not positive.
    PreconditionError
        When numbers are asked for and the power below 1 is no law.
    """

    law: Law
    exponent: Any

    def __post_init__(self) -> None:
        check_number("exponent", self.exponent, above=0)
        if isinstance(self.law, FreeSumPower):
            object.__setattr__(self, "exponent", normalised(self.law.exponent * self.exponent))
            object.__setattr__(self, "law", self.law.law)

    def _node(self) -> Node:
        exponent = as_float(self.exponent, "exponent")
        node = SumPowerNode(self.law.numeric, exponent)
        if exponent < 1:
            if node.positive:
                # a law on [0, oo) may reach below 0 when its terms become fewer: semicircle(1) + 2 does
                node.positive = False
                node.positive = _starts_at_zero(node)
            _test(self, "free_sum_power", node, self.law)
        return node

    @cached_property
    def _known_atoms(self) -> dict[Any, Any]:
        t = self.exponent
        out = {t * x: mass for x, p in self.law._atoms().items() if _is_left(mass := t * p + (1 - t))}
        return out if is_symbolic(t) or t >= 1 else out | _new_atoms(self, out)

    def _atoms(self) -> dict[Any, Any]:
        return dict(self._known_atoms)

    def _moments_series(self, n: int) -> list[Any]:
        return free_cumulants_to_moments([self.exponent * k for k in self.law.free_cumulants(n)])


def _is_left(mass: Any) -> bool:
    """Whether a mass is positive beyond rounding."""
    return bool(mass > 0) and not (isinstance(mass, float) and mass < 1e-13)


def _test(power: FreePower | FreeSumPower, name: str, node: Node, law: Law) -> None:
    """Refuse a power that is no law."""
    try:
        moments = [float(m) for m in power.moments(_TESTED, method="series")]
    except PreconditionError:  # heavy tails: the transforms decide alone
        violation = None
    else:
        violation = moment_violation(moments, node.positive)
    if violation is None and node.variance > 0:
        violation = transform_violation(node)
    if violation is not None:
        raise PreconditionError(
            f"{name}({power.exponent}) of {law!r} is no law: {violation}; every exponent >= 1 gives a law"
        )


def _starts_at_zero(node: Node) -> bool:
    """Whether a law has no mass below 0."""
    solution = solve(node, np.array([-1e-9 * np.sqrt(node.variance)]))
    return bool(solution.converged[0] and 1 - solution.potential.imag[0] / np.pi < 1e-9)


def _new_atoms(power: FreePower | FreeSumPower, known: Mapping[Any, Any]) -> dict[Any, Any]:
    """Atoms of a power below 1 that the law itself has lost: (mu ⊞ mu)^(1/2) has those of mu."""
    try:
        moments = [float(m) for m in power.moments(_REACH, method="series")]
    except PreconditionError:
        return {}
    reach = 1.5 * (moments[-1] ** (1 / _REACH) + moments[1] ** 0.5)
    found = find_atoms(lambda z: solve(power.numeric, z, insist=False).g, 0.0, reach, _CELLS)
    return {
        x: round(p, 9) for x, p in found if not any(abs(x - float(other)) < 1e-6 * reach for other in known)
    }
