"""Finitely many atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.leaves import DiscreteLeaf
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, is_symbolic, parameter_repr
from rmt.support import Edge

__all__ = ["Discrete"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Discrete(Law):
    """Law with finitely many atoms, ``Discrete({position: mass, ...})``.

    Attributes
    ----------
    masses : tuple of (position, mass)
        Sorted by position; atoms of mass 0 are dropped.

    Raises
    ------
    ValueError
        If a mass is negative, a position is not finite, or the masses do not add up to 1.
    """

    masses: tuple[tuple[Any, Any], ...]

    def __init__(self, masses: Mapping[Any, Any] | tuple[tuple[Any, Any], ...]) -> None:
        items = list(masses.items()) if isinstance(masses, Mapping) else list(masses)
        for position, mass in items:
            check_number("position", position)
            check_number(f"mass at {position}", mass, at_least=0)
        total = sum(mass for _, mass in items)
        if not is_symbolic(total) and abs(float(total) - 1) > 1e-12:
            raise ValueError(f"masses={dict(items)!r}: they add up to {float(total):.15g}, expected 1; rescale them")
        if not any(is_symbolic(position) for position, _ in items):
            items.sort(key=lambda item: float(item[0]))
        object.__setattr__(self, "masses", tuple((x, p) for x, p in items if is_symbolic(p) or p != 0))

    def __repr__(self) -> str:
        inside = ", ".join(f"{parameter_repr(x)}: {parameter_repr(p)}" for x, p in self.masses)
        return f"Discrete({{{inside}}})"

    def _numbers(self) -> tuple[FloatArray, FloatArray]:
        positions = np.array([as_float(x, "position") for x, _ in self.masses])
        return positions, np.array([as_float(p, "mass") for _, p in self.masses])

    def _node(self) -> Node:
        x, p = self._numbers()
        return DiscreteLeaf(x.tolist(), p.tolist())

    def _atoms(self) -> dict[Any, Any]:
        return dict(self.masses)

    def _moments_series(self, n: int) -> list[Any]:
        return [sum(p * x**k for x, p in self.masses) for k in range(1, n + 1)]

    def _edges(self) -> tuple[Edge, ...]:
        return ()

    def _cauchy_closed_form(self, z: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        x, p = self._numbers()
        out: npt.NDArray[np.complex128] = np.sum(p / (z[:, np.newaxis] - x), axis=1)
        return out

    def _log_moment(self) -> float:
        x, p = self._numbers()
        return float(np.sum(p * np.log(np.abs(x))))
