"""The Marchenko–Pastur law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.leaves import ExplicitSLeaf
from rmt.numeric.log_s import LogS
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, exact_sqrt, is_symbolic, normalised
from rmt.support import Edge

__all__ = ["MarchenkoPastur"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class MarchenkoPastur(Law):
    """Law of X Xᵀ, X of shape (p, n) with entries of variance 1/n, ratio = p/n; mean 1.

    ``S(m) = 1/(1 + ratio m)``, edges ``(1 ± sqrt(ratio))**2``, atom ``1 - 1/ratio`` at 0 for ratio > 1
    (Marchenko and Pastur 1967).

    Raises
    ------
    ValueError
        If ``ratio`` is not a positive finite number.
    """

    ratio: Any = 1

    def __post_init__(self) -> None:
        check_number("ratio", self.ratio, above=0)

    def _node(self) -> Node:
        return ExplicitSLeaf(LogS(factors=((1 / as_float(self.ratio, "ratio"), -1.0),)))

    def _atoms(self) -> dict[Any, Any]:
        if is_symbolic(self.ratio) or self.ratio <= 1:
            return {}
        return {0: 1 - (Fraction(1) / self.ratio if isinstance(self.ratio, int | Fraction) else 1 / self.ratio)}

    def _moments_series(self, n: int) -> list[Any]:
        # Narayana numbers
        return [
            sum(math.comb(k, j) * math.comb(k - 1, j) // (j + 1) * self.ratio**j for j in range(k))
            for k in range(1, n + 1)
        ]

    def _edges(self) -> tuple[Edge, ...]:
        root = exact_sqrt(self.ratio)
        hard = self.ratio == 1
        lower = 0 if hard else normalised((1 - root) ** 2)
        half = Fraction(1, 2)
        return (Edge(lower, -half if hard else half, "lower"), Edge(normalised((1 + root) ** 2), half, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        c = as_float(self.ratio, "ratio")
        root = math.sqrt(c)
        lower, upper = (1 - root) ** 2, (1 + root) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            out: FloatArray = np.sqrt(np.maximum((x - lower) * (upper - x), 0)) / (2 * np.pi * c * x)
        return out

    def _log_moment(self) -> float:
        c = as_float(self.ratio, "ratio")
        # Gamma at m = -1, where log g - log(-1/|z|)-terms cancel: E log x = -1 - (1 - c)/c log(1 - c)
        return -1.0 if c == 1 else -1 - (1 - c) / c * math.log1p(-c)
