"""The free Jacobi law: Wachter's limit of MANOVA matrices, the compression of one free projection by another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.jet import ComplexArray
from rmt.numeric.leaves import ExplicitSLeaf
from rmt.numeric.log_s import LogS
from rmt.numeric.node import Node
from rmt.numeric.resolvent import sqrt_upper
from rmt.parameters import as_float, check_number, exact_sqrt, is_symbolic, normalised
from rmt.series.power_series import divide
from rmt.support import Edge

__all__ = ["FreeJacobi"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class FreeJacobi(Law):
    """Law of P Q P in the algebra cut down by P, for free projections P and Q of given traces.

    For P = 1 on p and Q = 1 on n_1 coordinates of an n-dimensional space, one of them randomly rotated, it is the limit
    for the p×p corner of Q: squared cosines of the angles between two random subspaces. It is also the limit of the
    MANOVA (beta) matrix ``(A + B)**(-1/2) A (A + B)**(-1/2)``, A and B independent p×p Wishart with n_1 and n_2
    degrees of freedom, n = n_1 + n_2:

        trace_p = p/(n_1 + n_2),  trace_q = n_1/(n_1 + n_2) (the mean);

    `FreeJacobi.manova` takes the ratios p/n_1 and p/n_2 instead. With s = trace_p, t = trace_q:

        S(m) = (1 + s m)/(t + s m),  density sqrt((x - x_-)(x_+ - x))/(2 pi s x (1 - x)),
        x_± = (sqrt(s (1 - t)) ± sqrt(t (1 - s)))**2,

    an atom ``1 - t/s`` at 0 if t < s (p > n_1), and ``1 - (1 - t)/s`` at 1 if 1 - t < s (p > n_2). Wachter 1980;
    Collins 2005 (arXiv:math/0406560); the S-transform from those of the projections, (1 + m)/(trace + m), derived here.

    Parameters
    ----------
    trace_p, trace_q : number
        Normalised ranks of P and Q, between 0 and 1.

    Raises
    ------
    ValueError
        If a trace is not in (0, 1).
    """

    trace_p: Any
    trace_q: Any

    def __post_init__(self) -> None:
        check_number("trace_p", self.trace_p, above=0, below=1)
        check_number("trace_q", self.trace_q, above=0, below=1)

    @classmethod
    def manova(cls, ratio_1: Any, ratio_2: Any) -> FreeJacobi:
        """Limit of ``(A + B)**(-1/2) A (A + B)**(-1/2)``, ratio_i = p/n_i, for p×p Wishart matrices A and B.

        Raises
        ------
        ValueError
            If a ratio is not positive, or p >= n_1 + n_2, where A + B has no inverse.
        """
        check_number("ratio_1", ratio_1, above=0)
        check_number("ratio_2", ratio_2, above=0)
        both = ratio_1 + ratio_2
        trace_p = divide(ratio_1 * ratio_2, both)
        if not is_symbolic(trace_p) and trace_p >= 1:
            raise ValueError(
                f"ratio_1={ratio_1!r}, ratio_2={ratio_2!r}: expected 1/ratio_1 + 1/ratio_2 > 1 (p < n_1 + n_2), "
                "or A + B is not invertible"
            )
        return cls(trace_p, divide(ratio_2, both))

    def _numbers(self) -> tuple[float, float]:
        return as_float(self.trace_p, "trace_p"), as_float(self.trace_q, "trace_q")

    def _node(self) -> Node:
        s, t = self._numbers()
        return ExplicitSLeaf(LogS(constant=-math.log(t), factors=((1 / s, 1.0), (t / s, -1.0))))

    def _atoms(self) -> dict[Any, Any]:
        if is_symbolic(self.trace_p) or is_symbolic(self.trace_q):
            return {}
        masses = {0: 1 - divide(self.trace_q, self.trace_p), 1: 1 - divide(1 - self.trace_q, self.trace_p)}
        return {x: p for x, p in masses.items() if p > 0}

    def _moments_series(self, n: int) -> list[Any]:
        # s (z - 1) m² + (z - s - t) m = t, the equation of S, in powers of 1/z
        s, t = self.trace_p, self.trace_q
        moments = [t]
        before: Any = 0
        for k in range(1, n):
            square = sum(moments[i] * moments[k - 1 - i] for i in range(k))
            moments.append((s + t) * moments[-1] + s * (before - square))
            before = square
        return moments

    def _edges(self) -> tuple[Edge, ...]:
        s, t = self.trace_p, self.trace_q
        centre, radius = s * (1 - t) + t * (1 - s), 2 * exact_sqrt(s * t * (1 - s) * (1 - t))
        half = Fraction(1, 2)
        hard_lower, hard_upper = s == t, s + t == 1
        # the product of the edges is (s - t)², that of their distances from 1 is (1 - s - t)²
        upper = 1 if hard_upper else normalised(centre + radius)
        lower = 0 if hard_lower else normalised(divide((s - t) ** 2, centre + radius))
        return (
            Edge(lower, -half if hard_lower else half, "lower"),
            Edge(upper, -half if hard_upper else half, "upper"),
        )

    def _ends(self) -> tuple[float, float]:
        lower, upper = self._edges()
        return float(lower.position), float(upper.position)

    def _moment_transform(self, z: ComplexArray) -> ComplexArray:
        s, t = self._numbers()
        lower, upper = self._ends()
        out: ComplexArray = 2 * t / (z - s - t + sqrt_upper(z - lower) * sqrt_upper(z - upper))
        return out

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        s, _ = self._numbers()
        lower, upper = self._ends()
        # at a hard edge one root cancels against x or 1 - x
        out: FloatArray = np.sqrt((x - lower) * (upper - x)) / (2 * np.pi * s * x * (1 - x))
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        # 1 - Im Phi/pi with Phi = Gamma - log g, m explicit, and the argument of 1 + m taken from S: m -> -1 at 0
        s, t = self._numbers()
        lower, upper = self._ends()
        atoms = self._atoms()
        at_zero, at_one = float(atoms.get(0, 0)), float(atoms.get(1, 0))
        inside = (x > lower) & (x < upper)
        m = self._moment_transform(x[inside].astype(complex))
        above = ((1 - s) * np.angle(1 + s * m) - (t - s) * np.angle(t + s * m)) / s - np.angle(m)
        out = np.where(x >= upper, 1 - at_one * (x < 1), at_zero * (x >= 0))
        out[inside] = np.clip(1 - above / np.pi, at_zero, 1 - at_one)
        return out

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        return (1 + self._moment_transform(z)) / z

    def _log_moment(self) -> float:
        s, t = self._numbers()
        # Gamma at m = -1, less log |g|, g -> S(-1)
        excess = (t - s) * math.log(t - s) if t > s else 0.0
        return ((1 - s) * math.log1p(-s) + t * math.log(t) - excess) / s
