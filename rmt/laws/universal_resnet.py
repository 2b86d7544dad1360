"""The universal law of residual networks at infinite depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.laws.free_multiplicative_brownian import (
    angle_of_log_x,
    float_moments,
    log_upper_edge,
    symbolic_edges,
    symbolic_moments,
)
from rmt.numeric.leaves import ExplicitSLeaf
from rmt.numeric.log_s import LogS
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, is_symbolic
from rmt.results import PreconditionError
from rmt.support import Edge

__all__ = ["UniversalResNet"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class UniversalResNet(Law):
    """Law of J Jᵀ of a ResNet at infinite depth, with effective cumulant ``c`` (Tarnowski et al., arXiv:1809.08848).

    ``a**(2 L) G = (zG - 1) exp((c/a**2) (1 - 2 z G))`` with skip a and depth L, that is
    ``S(m) = a**(-2 L) exp(-(c/a**2)(1 + 2 m))``. For a = 1 the edges are
    ``(1 + c ± sqrt(c (c + 2))) exp(± sqrt(c (c + 2)))`` and 1/X has the law of X. It is the law of
    `FreeMultiplicativeBrownian` at time ``2 c/a**2``, scaled by ``a**(2 L)``.

    Parameters
    ----------
    c : number > 0
        ``(1/L) sum_l sigma_w**2 <phi'(h_l)**2>``.
    skip : number > 0
        The factor a of the identity path.
    depth : integer, optional
        L; needed only if ``skip`` is not 1 (it sets the scale ``a**(2 L)``).

    Raises
    ------
    ValueError
        If a parameter is out of range, or ``depth`` is missing where it is needed.
    """

    c: Any
    skip: Any = 1
    depth: Any = None

    def __post_init__(self) -> None:
        check_number("c", self.c, above=0)
        check_number("skip", self.skip, above=0)
        if self.depth is not None:
            check_number("depth", self.depth, at_least=1)
        elif is_symbolic(self.skip) or self.skip != 1:
            raise PreconditionError(f"depth=None: with skip={self.skip} the law's scale skip**(2 depth) needs a depth")

    def _exponents(self) -> tuple[Any, Any]:
        """(log of the scale a^(2L) as (base, power), c/a^2)."""
        ratio: Any
        if isinstance(self.c, int) and isinstance(self.skip, int):
            ratio = Fraction(self.c, self.skip**2)
        else:
            ratio = self.c / self.skip**2
        return (1 if self.depth is None else self.skip ** (2 * self.depth)), ratio

    def _numbers(self) -> tuple[float, float]:
        skip = as_float(self.skip, "skip")
        log_scale = 0.0 if self.depth is None else 2 * as_float(self.depth, "depth") * math.log(skip)
        return log_scale, as_float(self.c, "c") / skip**2

    def _node(self) -> Node:
        log_scale, c = self._numbers()
        return ExplicitSLeaf(LogS(constant=-log_scale - c, slope=-2 * c))

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _is_symbolic(self) -> bool:
        return any(hasattr(value, "free_symbols") for value in (self.c, self.skip, self.depth))

    def _moments_series(self, n: int) -> list[Any]:
        if self._is_symbolic():
            return symbolic_moments(*self._exponents(), n)
        log_scale, c = self._numbers()
        if log_scale > 700 / n or c > 700 / n:
            raise PreconditionError(f"moments({n}) of {self!r} exceed the range of floats; ask for fewer")
        return float_moments(log_scale, c, n)

    def _edges(self) -> tuple[Edge, ...]:
        half = Fraction(1, 2)
        if self._is_symbolic():
            scale, c = self._exponents()
            lower, upper = (edge * scale for edge in symbolic_edges(c))
        else:
            log_scale, c = self._numbers()
            end = log_upper_edge(c)
            lower, upper = math.exp(log_scale - end), math.exp(log_scale + end)
        return (Edge(lower, half, "lower"), Edge(upper, half, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        log_scale, c = self._numbers()
        return angle_of_log_x(np.log(x) - log_scale, c) / (np.pi * x)

    def _log_moment(self) -> float:
        return self._numbers()[0]
