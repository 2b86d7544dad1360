"""Laws with an explicit S-transform (`LogS`): the whole curve by one compiled walk along the real axis.

Where log z is an explicit function of one unknown u there is nothing to match: starting from one point inside an
interval (which `continuation.solve` reached from infinity, so the branch is chosen there and nowhere else), each point
is reached from its neighbour by the derivatives of log z(u) and a few Newton steps of third order. log z is solved with
its argument, which must be exactly 0 on the upper side of the support; that rejects the false solutions that z alone
admits. A step is taken back and halved when it is large against the distance to the nearest singularity or does not
contract. What is not reached stays NaN and is left to the general solver.
"""

from __future__ import annotations

import itertools
import operator
from functools import reduce

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial

from rmt.numeric.continuation import solve
from rmt.numeric.convolutions import ProductNode
from rmt.numeric.intervals import Interval
from rmt.numeric.leaves import DiscreteLeaf, ExplicitSLeaf
from rmt.numeric.log_s import LogS
from rmt.numeric.node import Node
from rmt.numeric.unary import CompressionNode, PowerNode, ScaledNode

__all__ = ["ExplicitCurve", "explicit_interval", "explicit_s"]

FloatArray = npt.NDArray[np.float64]

_ROUNDING = 1e-14


def explicit_s(node: Node) -> LogS | None:
    """The S-transform of a node if it belongs to the family of `LogS`, otherwise None."""
    match node:
        case ExplicitSLeaf():
            return node.s
        case ScaledNode():
            inner = explicit_s(node.child)
            return None if inner is None else inner.scaled(node.scale)
        case PowerNode():
            inner = explicit_s(node.child)
            return None if inner is None else inner.power(node.exponent)
        case CompressionNode():
            inner = explicit_s(node.child)
            return None if inner is None else inner.compressed(node.ratio)
        case ProductNode():
            parts = [explicit_s(child) for child in node.children]
            known = [part for part in parts if part is not None]
            return reduce(LogS.times, known) if len(known) == len(parts) else None
        case DiscreteLeaf():
            return _mask(node.x[:, 0], node.p[:, 0])
    return None


def _mask(x: FloatArray, p: FloatArray) -> LogS | None:
    """One atom, or one beside an atom at 0: S = (1 + m)/(x (p + m))."""
    if x.size == 1 and x[0] > 0:
        return LogS(-float(np.log(x[0])))
    if x.size == 2 and x[0] == 0 and x[1] > 0:
        return LogS(-float(np.log(x[1] * p[1])), factors=((1.0, 1.0), (float(p[1]), -1.0)))
    return None


def explicit_interval(s: LogS) -> Interval | None:
    """The continuous part from the critical points of log z on the real axis where it is one interval, otherwise None.

    Outside the support z is real, positive and falls as eta > 0 grows, and the logarithms of those ``1 - t eta`` that
    have become negative, each with argument pi, cancel. So z(eta) falls from oo at eta = 0 to its first critical point,
    the upper edge, and from its last one, the lower edge, to 0 at eta = oo. If it does not fall there, the edge is a
    hard one: ``z ~ eta**-rate``, density ``~ x**(1/rate - 1)``. Derived here.
    """
    ratios, powers, _ = s.terms
    # real exponents that add up to 0 do so but for rounding
    felt = np.abs(powers) > _ROUNDING * np.sum(np.abs(powers))
    ratios, powers = ratios[felt], powers[felt]
    bend = s.slope * s.mass

    def falls(eta: float) -> bool:
        slope = -1 - np.sum(powers * ratios * eta / (1 - ratios * eta))
        if bend:
            slope -= bend * eta / (1 - eta) ** 2
        return bool(slope < 0 and abs(np.sum(powers[ratios * eta > 1])) < 1e-9)

    # the numerator of the slope as a polynomial in a multiple of eta that is of order one at the upper edge
    unit = 1 / max(1.0, float(np.max(np.abs(powers * ratios), initial=0.0)), abs(bend))
    curved = int(bend != 0)
    factors = [Polynomial([1, -t * unit]) for t in ratios] + [Polynomial([1, -unit]) ** 2] * curved
    poles = [*(powers * ratios * unit), *[bend * unit] * curved]
    numerator = -reduce(operator.mul, factors, Polynomial([1]))
    for k, residue in enumerate(poles):
        numerator -= reduce(operator.mul, factors[:k] + factors[k + 1 :], Polynomial([0, residue]))
    roots = unit * np.asarray(numerator.roots(), dtype=complex)
    critical = roots.real[(np.abs(roots.imag) < 1e-7 * np.abs(roots)) & (roots.real > 0)]
    singular = np.concatenate([1 / ratios[ratios > 0], [1.0] * curved])
    marks = np.unique(np.concatenate([critical, singular]))
    if critical.size == 0 or marks[0] in singular or not falls(marks[0] / 2):
        return None
    if any(falls(np.sqrt(a * b)) for a, b in itertools.pairwise(marks)):
        return None  # another gap, or an atom that parts the bulk
    upper, lower, rate = s.position(marks[0]), s.position(marks[-1]), 1 - float(np.sum(powers))
    if not 0 < upper < np.inf:
        return None
    if falls(2 * marks[-1]):
        return Interval(lower, upper) if 0 < lower < upper and marks[-1] not in singular else None
    return Interval(0.0, upper, 1 / rate - 1) if rate > 1 else None


class ExplicitCurve:
    """The curve of one law with an explicit S-transform, with a start on each interval asked for."""

    def __init__(self, node: Node, s: LogS) -> None:
        self.node, self.s = node, s
        self._starts: dict[tuple[float, float], tuple[float, complex]] = {}

    def _start(self, lower: float, upper: float) -> tuple[float, complex]:
        """A point inside the interval and u there."""
        if (lower, upper) not in self._starts:
            x = np.sqrt(lower * upper) if lower > 0 else upper / 2
            solution = solve(self.node, [x])
            u = np.nan
            if solution.converged[0]:
                m = solution.m[0]
                u = np.log(m / (m + self.s.mass))
            self._starts[lower, upper] = (float(x), complex(u))
        return self._starts[lower, upper]

    def __call__(self, x: FloatArray, lower: float, upper: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(density, P(X > x), error of the density) at points inside the interval, in any order; NaN where not reached.

        P(X > x) counts the atoms above x.
        """
        from rmt.numeric.kernels import walk_explicit

        middle, start = self._start(lower, upper)
        out = np.full((3, x.size), np.nan)
        if np.isnan(start):
            return out[0], out[1], out[2]
        order = None if np.all(x[1:] >= x[:-1]) else np.argsort(x)
        ascending = np.ascontiguousarray(x) if order is None else x[order]
        ratios, powers, turns = self.s.terms
        q = self.s.mass
        walk_explicit(
            ascending,
            int(np.searchsorted(ascending, middle)),
            start,
            -self.s.constant - np.log(q),
            self.s.slope * q,
            sum(exponent for _, exponent in self.s.factors),
            ratios,
            powers,
            turns,
            q,
            *out,
        )
        if order is not None:
            out[:, order] = out.copy()
        return out[0], out[1], out[2]
