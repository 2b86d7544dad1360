"""The law of φ'(h)² for a Gaussian pre-activation: what one activation does to the squared singular values."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.numeric.node import Node
from rmt.numeric.quadrature import QuadratureLeaf
from rmt.parameters import check_number
from rmt.support import Edge
from theory.activations import get_activation
from theory.gaussian import panel_rule
from theory.nonlinearity import Nonlinearity

__all__ = ["GainLaw", "gain_law"]

FloatArray = npt.NDArray[np.float64]

# Pre-activations beyond this many standard deviations carry no mass in double precision.
_REACH = 8.6
# A signal weaker than this has died out: the pre-activation is 0.
_DEAD = 1e-280
# A squared slope this small is 0; by how much the logarithm of a density falls where its integral ends.
_ZERO, _FALLS = 1e-12, 1.0
_DIFFERENCE = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])


def gain_law(nonlinearity: Nonlinearity, q: float) -> Law:
    """Law of φ'(√q Z)²: `Discrete` for piecewise-linear activations, `GainLaw` otherwise."""
    masses = nonlinearity.slope_masses(q)
    if masses is not None:
        return Discrete(masses)
    if q < _DEAD:
        return _at_zero(nonlinearity)
    return GainLaw(nonlinearity.name, q, nonlinearity.parameters)


def _at_zero(nonlinearity: Nonlinearity) -> Law:
    """The limit q -> 0: the squared slopes on the two sides of 0."""
    sides = [float(nonlinearity.dphi(h)) ** 2 for h in (-1e-150, 1e-150)]
    half = Fraction(1, 2)
    return Discrete({sides[0]: 1}) if sides[0] == sides[1] else Discrete({sides[0]: half, sides[1]: half})


@dataclass(frozen=True, repr=False)
class GainLaw(Law):
    """Law of φ'(√q Z)², Z standard normal, for an activation that is not piecewise linear.

    The density is a sum over the branches of the inverse of φ'²; the Cauchy transform is a quadrature over Z that is
    refined where its pole comes near (`rmt.numeric.quadrature`). Intervals of constant slope (elu and selu above 0)
    are atoms.

    Raises
    ------
    ValueError
        For an unknown activation or q <= 0.
    """

    activation: str
    q: float
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check_number("q", self.q, above=0)
        get_activation(self.activation, **dict(self.parameters))

    @cached_property
    def nonlinearity(self) -> Nonlinearity:
        """φ and its averages."""
        return get_activation(self.activation, **dict(self.parameters))

    def _squared_slope(self, h: FloatArray) -> FloatArray:
        slope = self.nonlinearity.dphi(np.asarray(h, dtype=float))
        return slope * slope

    def _node(self) -> Node:
        q = self.q
        reach = _REACH * math.sqrt(q)
        width = min(1.0, 1.5 * math.sqrt(q))
        probe = np.linspace(0.01, 1, 97) * reach
        even = bool(np.array_equal(self._squared_slope(probe), self._squared_slope(-probe)))
        turns = {end for branch in self._branches[0] for end in branch}
        marks = sorted({-reach, reach, *turns, *(k for k in self.nonlinearity.kinks if abs(k) < reach)})
        if even:
            marks = [0.0, *(mark for mark in marks if mark > 1e-12 * reach)]
        panels: list[tuple[float, float]] = []
        for left, right in itertools.pairwise(marks):
            cuts = np.linspace(left, right, math.ceil((right - left) / width) + 1)
            panels += [(float(a), float(b)) for a, b in itertools.pairwise(cuts)]

        def weight(h: FloatArray) -> FloatArray:
            out: FloatArray = np.exp(-0.5 * h * h / q) / math.sqrt(2 * math.pi * q)
            return out

        leaf = QuadratureLeaf(self._squared_slope, weight, panels)
        leaf.hard = 0.0 if self._keeps_off_zero() else None
        return leaf

    def _keeps_off_zero(self) -> bool:
        """Whether E 1/X is known to be finite, so that S(-1) is."""
        interior = [
            end for branch in self._branches[0] for end in branch if abs(end) < 0.999 * _REACH * math.sqrt(self.q)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):  # a slope that underflows tells nothing
            bottom = np.min(self._squared_slope(np.array([0.0, *interior])))
            # the logarithm of the integrand, far out on both sides
            far = np.outer([-1.0, 1.0], np.array([8.0, 16.0, 32.0]))
            tails = -far * far / 2 - np.log(self._squared_slope(far * math.sqrt(self.q)))
            return bool(bottom > _ZERO and np.all(np.diff(tails, axis=1) < -_FALLS))

    @cached_property
    def _branches(self) -> tuple[list[tuple[float, float]], dict[float, float]]:
        """Intervals of h on which φ'² is strictly monotone, and the atoms {value: mass} where it is constant."""
        reach = _REACH * math.sqrt(self.q)
        cuts = [-reach, *(k for k in self.nonlinearity.kinks if abs(k) < reach), reach]
        branches: list[tuple[float, float]] = []
        atoms: dict[float, float] = {}
        for left, right in itertools.pairwise(cuts):
            inside = left + (right - left) * np.linspace(0, 1, 4097)[1:-1]
            f = self._squared_slope(inside)
            if np.ptp(f) == 0:
                mass = _normal_mass(left, right, self.q)
                atoms[float(f[0])] = atoms.get(float(f[0]), 0.0) + mass
                continue
            # rounding makes saturated tails flicker: only turns that rise above it count
            moving = np.flatnonzero(np.abs(np.diff(f)) > 1e-14 * f.max())
            signs = np.sign(np.diff(f))[moving]
            turns = [int(moving[k + 1]) for k in np.flatnonzero(np.diff(signs) != 0)]
            ends = [left, *(self._extremum(inside[k - 1], inside[k + 1]) for k in turns), right]
            branches += list(itertools.pairwise(ends))
        return branches, atoms

    def _extremum(self, low: float, high: float) -> float:
        """Point between at which φ'² turns: root of its derivative."""
        sign = np.sign(self._derivative(np.array([low]))[0])
        for _ in range(60):
            middle = (low + high) / 2
            if np.sign(self._derivative(np.array([middle]))[0]) == sign:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    def _derivative(self, h: FloatArray) -> FloatArray:
        """d(φ'²)/dh by eighth-order differences, one-sided steps avoided by staying off the kinks."""
        distance = np.full(h.shape, np.inf)
        for kink in self.nonlinearity.kinks:
            distance = np.minimum(distance, np.abs(h - kink))
        step = np.minimum(0.01, distance / 5)
        nodes = h[:, np.newaxis] + step[:, np.newaxis] * np.arange(-4, 5)
        out: FloatArray = self._squared_slope(nodes) @ _DIFFERENCE / step
        return out

    def _atoms(self) -> dict[Any, Any]:
        return dict(self._branches[1])

    def _edges(self) -> tuple[Edge, ...]:
        low, high = math.inf, -math.inf
        for left, right in self._branches[0]:
            # just inside: at a kink φ' has the slope of one side only
            ends = self._squared_slope(left + (right - left) * np.array([1e-15, 1 - 1e-15]))
            low, high = min(low, float(ends.min())), max(high, float(ends.max()))
        bottom, top = self.nonlinearity.slope_range
        # tails beyond the reach of double precision belong to the support
        low = bottom if low - bottom < 1e-3 * (top - bottom) and bottom not in self._branches[1] else low
        return (Edge(low, None, "lower"), Edge(high, None, "upper"))

    def _moments_series(self, n: int) -> list[Any]:
        return [self.nonlinearity.gain_moment(k, self.q) for k in range(1, n + 1)]

    def _preimages(self, x: FloatArray) -> list[tuple[float, float, bool, FloatArray, npt.NDArray[np.bool_]]]:
        """For each branch: (left, right, rising, h with φ'(h)² = x, whether x lies in the branch's range)."""
        out = []
        for left, right in self._branches[0]:
            width = right - left
            ends = self._squared_slope(left + width * np.array([1e-15, 1 - 1e-15]))
            rising = bool(ends[1] > ends[0])
            inside = (x > ends.min()) & (x < ends.max())
            low, high = np.full(x.shape, left), np.full(x.shape, right)
            for _ in range(64):
                middle = (low + high) / 2
                below = (self._squared_slope(middle) < x) == rising
                low, high = np.where(below, middle, low), np.where(below, high, middle)
            out.append((left, right, rising, (low + high) / 2, inside))
        return out

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        density = np.zeros(x.shape)
        for _, _, _, h, inside in self._preimages(x):
            weight = np.exp(-0.5 * h * h / self.q) / math.sqrt(2 * math.pi * self.q)
            with np.errstate(divide="ignore", invalid="ignore"):
                density += np.where(inside, weight / np.abs(self._derivative(h)), 0.0)
        return density

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        total = np.array([sum(p for value, p in self._atoms().items() if value <= point) for point in x], dtype=float)
        for left, right, rising, h, inside in self._preimages(x):
            ends = self._squared_slope(left + (right - left) * np.array([1e-15, 1 - 1e-15]))
            edge = np.where(inside, h, np.where(x >= ends.max(), right if rising else left, left if rising else right))
            lower, upper = (np.full(x.shape, left), edge) if rising else (edge, np.full(x.shape, right))
            total += np.array([_normal_mass(a, b, self.q) for a, b in zip(lower, upper, strict=True)])
        clipped: FloatArray = np.minimum(total, 1.0)
        return clipped

    def _log_moment(self) -> float:
        h, weights = panel_rule(self.q, self.nonlinearity.kinks, 3)
        return float(np.sum(weights * np.log(self._squared_slope(h))))


def _normal_mass(left: float, right: float, q: float) -> float:
    """P(left < √q Z < right) without cancellation in either tail."""
    a, b = left / math.sqrt(2 * q), right / math.sqrt(2 * q)
    if a > 0:
        return (math.erfc(a) - math.erfc(b)) / 2
    return (math.erfc(-b) - math.erfc(-a)) / 2 if b < 0 else (math.erf(b) - math.erf(a)) / 2
