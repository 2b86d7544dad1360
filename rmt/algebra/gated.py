"""Gated layers: a diagonal plus a gated Gaussian matrix, with correlated gates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt.law import Law
from rmt.numeric.gated import GatedNode
from rmt.numeric.gates import DiscreteGates
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, is_symbolic, normalised, parameter_repr

__all__ = ["GatedLayer", "atoms_of_closed_rows", "gated_moments"]


@dataclass(frozen=True, repr=False)
class GatedLayer(Law):
    """Law of J Jᵀ, ``J = D1 + D2 W``: ``GatedLayer({(d1, d2): mass, ...}, variance)``.

    D1 and D2 are diagonal with the given joint law of their entries, W is square Gaussian with entries of variance
    ``variance``/N: one layer of a minimal recurrent or highway network. Exact at infinite width, also where D1 and D2
    are correlated (unlike a free sum). With D1 = a everywhere it is `ResidualSum(branch, a)`.

    The atoms are at d1² for pairs (d1, 0): with mass ``p(d1, 0) - P(D2 ≠ 0)`` where that is positive, and at 0 with
    the mass of (0, 0), by interlacing: the other rows have rank P(D2 ≠ 0) and are in general position (derived here).

    Attributes
    ----------
    gates : tuple of ((d1, d2), mass)
        Joint law of the entries.
    variance : number
        N times the variance of the entries of W.

    Raises
    ------
    ValueError
        If masses are negative or do not add up to 1, D2 vanishes, or a parameter is not finite.
    """

    gates: tuple[tuple[tuple[Any, Any], Any], ...]
    variance: Any = 1

    def __init__(
        self, gates: Mapping[tuple[Any, Any], Any] | tuple[tuple[tuple[Any, Any], Any], ...], variance: Any = 1
    ) -> None:
        items = list(gates.items()) if isinstance(gates, Mapping) else list(gates)
        for pair, mass in items:
            if len(tuple(pair)) != 2:
                raise ValueError(f"gates: {pair!r} is not a pair (d1, d2)")
            for value in pair:
                check_number(f"gate in {pair}", value)
            check_number(f"mass at {pair}", mass, at_least=0)
        items = [(pair, mass) for pair, mass in items if is_symbolic(mass) or mass != 0]
        total = sum(mass for _, mass in items)
        if not is_symbolic(total) and abs(float(total) - 1) > 1e-12:
            raise ValueError(f"gates: the masses add up to {float(total):.15g}, expected 1; rescale them")
        if all(pair[1] == 0 for pair, _ in items):
            raise ValueError("gates: D2 is 0 everywhere, so the law is discrete; use Discrete({d1**2: mass, ...})")
        object.__setattr__(self, "gates", tuple(items))
        object.__setattr__(self, "variance", check_number("variance", variance, above=0))

    def __repr__(self) -> str:
        inside = ", ".join(f"{parameter_repr(pair)}: {parameter_repr(mass)}" for pair, mass in self.gates)
        return f"GatedLayer({{{inside}}}, variance={parameter_repr(self.variance)})"

    def _node(self) -> Node:
        skips = np.array([as_float(pair[0], "gate") for pair, _ in self.gates])
        branches = np.array([as_float(pair[1], "gate") for pair, _ in self.gates])
        masses = np.array([as_float(mass, "mass") for _, mass in self.gates])
        return GatedNode(DiscreteGates(skips, branches, masses), as_float(self.variance, "variance"))

    def _atoms(self) -> dict[Any, Any]:
        return atoms_of_closed_rows((skip**2, mass) for (skip, branch), mass in self.gates if branch == 0)

    def _moments_series(self, n: int) -> list[Any]:
        def joint(i: int, j: int) -> Any:
            return sum(mass * skip ** (2 * i) * branch ** (2 * j) for (skip, branch), mass in self.gates)

        return gated_moments(joint, self.variance, n)


def gated_moments(joint: Callable[[int, int], Any], variance: Any, n: int, haar: bool = False) -> list[Any]:
    """[m_1, …, m_n] of J Jᵀ, ``J = D1 + D2 W``, from the joint moments of the diagonals; exact where these are.

    ``m = <(D1² + t D2²)/den>`` of `rmt.numeric.gated` with y and t as series in v = 1/z, found order by order.

    Parameters
    ----------
    joint : callable
        (i, j) -> <D1^(2i) D2^(2j)>, asked for i + j <= n.
    variance : number
        N times the variance of the entries of W.
    n : int
        At least 1.
    haar : bool
        Whether W is a multiple of a Haar matrix, and not Gaussian.
    """
    from rmt.series import multiply, reciprocal

    table = {(i, j): joint(i, j) for i in range(n + 1) for j in range(n + 1 - i)}
    one = [1, *([0] * n)]
    # v y, t and s
    y, t, s = one, [variance, *([0] * n)], [variance, *([0] * n)]

    def average(power: int, y: list[Any], t: list[Any]) -> list[Any]:
        """Series of <D2^(2 power)/(v den)>, v den = v y - v D1² - v t D2²."""
        inverse = reciprocal(y)
        powers_of_t = [one]
        for _ in range(n):
            powers_of_t.append(multiply(powers_of_t[-1], t))
        total, scale = [0] * (n + 1), inverse
        for k in range(n + 1 - power):
            # terms of order k in D1² + t D2², which bring v^k
            part = [
                sum(math.comb(k, j) * table[k - j, j + power] * powers_of_t[j][i] for j in range(k + 1))
                for i in range(n + 1 - k)
            ]
            total = [x + z for x, z in zip(total, [*([0] * k), *multiply(part, scale[: n + 1 - k])], strict=True)]
            scale = multiply(scale, inverse)
        return total

    for _ in range(n + 1):
        b = [0, *average(1, y, t)[:n]]  # B
        if haar:
            s = [variance * x for x in reciprocal([x + z for x, z in zip(one, multiply(t, b), strict=True)])]
        rise = [x + z for x, z in zip(one, multiply(s, b), strict=True)]  # z = y (1 + s B)
        y = reciprocal(rise)
        t = multiply(s, multiply(multiply(y, average(0, y, t)), y))  # t = s y A/(1 + s B)
    return [normalised(x) for x in multiply(y, average(0, y, t))[1:]]


def atoms_of_closed_rows(rows: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Atoms of a gated layer by its rows without weights, pairs (D1², mass); the rank of the others takes from each."""
    closed: dict[Any, Any] = {}
    for square, mass in rows:
        closed[square] = closed.get(square, 0) + mass
    rank = 1 - sum(closed.values())
    excess = {x: p if x == 0 else p - rank for x, p in closed.items()}
    return {x: normalised(p) for x, p in excess.items() if p > 0 and not (isinstance(p, float) and p < 1e-13)}
