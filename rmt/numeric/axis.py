"""Many points of one interval: a few solved from infinity, the others continued from them along the real axis.

`continuation.solve` chooses the branch at a few points. Between solved points the unknowns are interpolated in the
place, log tan(angle/2), where the angle is that in which both edges of the interval are regular, and Newton's method is
run at the point itself. An answer is kept only under the conditions of a step of the continuation: a first increment
that is small against the distance over which the system is close to linear, and increments that contract at once. As
the interpolation leans on neighbours from both sides, a neighbour on a wrong branch would make that first increment
large. What is refused (next to edges, cusps and singularities) is tried again from the points that were accepted beside
it, and then goes back to `solve`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rmt.numeric.continuation import Solution, cauchy_far_away, solve, unsolved
from rmt.numeric.jet import ComplexArray
from rmt.numeric.node import Node

__all__ = ["IntervalCurve"]

FloatArray = npt.NDArray[np.float64]

# Fewer points than this do not pay for the knots.
_FEWEST = 24
# Knots between these places; towards the ends more are added in growing steps, as far as points ask for them.
_KNOTS = 65
_BULK = 3.6
_STEPS = np.array([0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.4, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, *[15.0] * 20])
_MOST_KNOTS = 400
# Knots that are solved from infinity to begin with.
_COARSE = 9
# Knots that the interpolation leans on.
_NEIGHBOURS = 10
_REACH = 0.3
_CONTRACTION = 0.2
# Newton is quadratic: after an increment this small the next one is rounding.
_LAST = 1e-8
_MOST_STEPS = 8
_ROUNDS = 3


class IntervalCurve:
    """The solution of a node inside one interval of its support, with the knots solved so far.

    ``grid`` maps places, log tan(angle/2), to points of the interval, ascending. Towards an end the unknowns become
    constant or linear in the place, at hard edges and in tails too.
    """

    def __init__(self, node: Node, grid: Callable[[FloatArray], FloatArray]) -> None:
        self.node, self.grid = node, grid
        self._built = False
        self._reached = [0, 0]  # steps taken towards the lower and the upper end
        self.places = np.empty(0)
        self.unknowns = np.empty((node.size, 0), dtype=complex)

    def __call__(self, x: FloatArray, places: FloatArray, potential: bool = True) -> Solution:
        """The answer of ``solve(node, x)`` at points inside the interval, given with their places, in any order.

        Without ``potential`` that is left out (NaN) where it takes another pass.
        """
        if x.size >= _FEWEST and not self._built:
            self._build()
        if self.places.size < _NEIGHBOURS:
            return solve(self.node, x)
        self._extend(places)
        answer = _continued(self.node, x, places, self.places, self.unknowns)
        kept, refused = np.flatnonzero(answer.converged), np.flatnonzero(~answer.converged)
        if potential and kept.size:
            u = answer.unknowns[:, kept]
            lin = self.node.linearise(u)
            answer.potential[kept] = self.node.potential(u, lin) - lin.jet.log_g
        if refused.size:
            answer.take(refused, solve(self.node, x[refused]))
            self._add(places[refused], answer, refused)
        return answer

    def _build(self) -> None:
        """Knots: a few solved from infinity, then each level between the ones before."""
        self._built = True
        places = np.linspace(-_BULK, _BULK, _KNOTS)
        points = self.grid(places)
        stride = (_KNOTS - 1) // (_COARSE - 1)
        chosen = np.arange(0, _KNOTS, stride)
        self._add(places[chosen], solve(self.node, points[chosen], insist=False), np.arange(chosen.size))
        while stride > 1 and self.places.size > 1:
            new = np.arange(stride // 2, _KNOTS, stride)
            answer = _continued(self.node, points[new], places[new], self.places, self.unknowns)
            refused = np.flatnonzero(~answer.converged)
            if refused.size:
                answer.take(refused, solve(self.node, points[new[refused]], insist=False))
            self._add(places[new], answer, np.arange(new.size))
            stride //= 2

    def _extend(self, wanted: FloatArray) -> None:
        """Knots towards the ends, until beyond the wanted places or where they are refused."""
        for end, sign, farthest in ((0, -1, -np.min(wanted)), (1, 1, np.max(wanted))):
            while self._reached[end] < _STEPS.size:
                place = _BULK + np.sum(_STEPS[: self._reached[end] + 1])
                if place - _STEPS[self._reached[end]] > farthest:
                    break
                knot = np.array([sign * place])
                answer = _continued(self.node, self.grid(knot), knot, self.places, self.unknowns)
                self._add(knot, answer, np.arange(1))
                self._reached[end] = self._reached[end] + 1 if answer.converged[0] else _STEPS.size

    def _add(self, places: FloatArray, answer: Solution, index: npt.NDArray[np.intp]) -> None:
        """Take over those of the points ``index`` of an answer that converged; ``places`` are theirs."""
        good = np.flatnonzero(answer.converged[index])
        room = max(_MOST_KNOTS - self.places.size, 0)
        good = good[:: max(1, math.ceil(good.size / room))] if room else good[:0]
        merged, order = np.unique(np.concatenate([self.places, places[good]]), return_index=True)
        unknowns = np.concatenate([self.unknowns, answer.unknowns[:, index[good]]], axis=1)
        self.places, self.unknowns = merged, unknowns[:, order]


def _continued(
    node: Node, x: FloatArray, places: FloatArray, knots: FloatArray, unknowns: ComplexArray
) -> Solution:
    """The solution continued from the knots, where it is accepted."""
    answer = unsolved(node, x.size)
    todo = np.arange(x.size)
    with np.errstate(all="ignore"):  # refused steps may overflow; they are recognised by their NaN
        for _ in range(_ROUNDS):
            guess = _interpolated(knots, unknowns, places[todo])
            answer.take(todo, _newton(node, guess, x[todo]))
            accepted = answer.converged[todo]
            if np.all(accepted) or not np.any(accepted):
                break
            new = todo[accepted]
            knots, index = np.unique(np.concatenate([knots, places[new]]), return_index=True)
            unknowns = np.concatenate([unknowns, answer.unknowns[:, new]], axis=1)[:, index]
            todo = todo[~accepted]
    return answer


def _interpolated(knots: FloatArray, unknowns: ComplexArray, places: FloatArray) -> ComplexArray:
    """Unknowns by Lagrange interpolation over the nearest knots; linear beyond the last one."""
    out = np.empty((unknowns.shape[0], places.size), dtype=complex)
    within = (places >= knots[0]) & (places <= knots[-1])
    for chosen, most in ((within, _NEIGHBOURS), (~within, 2)):
        count = min(most, knots.size)
        wanted = places[chosen]
        first = np.clip(np.searchsorted(knots, wanted) - count // 2, 0, knots.size - count)
        window = first[:, np.newaxis] + np.arange(count)
        # barycentric weights of each window of knots, in units of its length
        runs = np.lib.stride_tricks.sliding_window_view(knots, count)
        apart = (runs[:, :, np.newaxis] - runs[:, np.newaxis, :]) / np.ptp(runs, axis=1)[:, np.newaxis, np.newaxis]
        inverse = 1 / np.prod(apart + np.eye(count), axis=2)
        distance = wanted[:, np.newaxis] - knots[window]
        weights = inverse[first] / np.where(distance == 0, 1e-30, distance)
        weights /= weights.sum(axis=1)[:, np.newaxis]
        total = np.zeros((unknowns.shape[0], wanted.size), dtype=complex)
        for k in range(count):
            total += weights[:, k] * unknowns[:, window[:, k]]
        out[:, chosen] = total
    return out


def _newton(node: Node, u: ComplexArray, x: FloatArray) -> Solution:
    """Newton from nearby unknowns at real points, under the conditions of a continuation step."""
    answer = unsolved(node, x.size)
    live = np.flatnonzero(np.all(np.isfinite(u), axis=0))
    last = np.full(x.size, _REACH / _CONTRACTION)
    wanted = np.log(x) if node.positive else x
    for _ in range(_MOST_STEPS):
        here = u[:, live]
        lin = node.linearise(here)
        jet = lin.jet
        gap, slope = (wanted[live] - jet.log_z, jet.dlog_z) if node.positive else (wanted[live] - jet.z, jet.dz)
        du = node.spread(lin, gap / slope)
        size = node.strain(here, du)
        settled = last[live] < _LAST
        if np.any(settled):
            g = jet.w / x[live] if node.positive else cauchy_far_away(jet, x[live])
            residual = np.abs(gap) / (1.0 if node.positive else np.sqrt(node.variance) + np.abs(x[live]))
            fine = settled & (size < _LAST) & (residual < 1e-9) & np.isfinite(g) & (g.imag <= 0)
            blank = np.full(live.size, np.nan, dtype=complex)
            # where m is small g is 1/z with all its digits, and only the small part is in doubt
            error = size * np.minimum(1.0, np.abs(jet.m / jet.w)) if node.positive else size
            answer.take(live, Solution(here, g, jet.m, blank, residual, error, fine))
        going = ~settled & (size <= _CONTRACTION * last[live])
        u[:, live[going]] = here[:, going] + du[:, going]
        last[live] = size
        live = live[going]
        if live.size == 0:
            break
    return answer
