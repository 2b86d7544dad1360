"""The one place where a branch is chosen: continuation from infinity, where every law has only one solution.

Laws on [0, oo) are followed in ``log z``, with exact arguments, from far out on the negative axis inwards and then by
rotating ``arg z`` from pi to 0 (or, where that stalls next to 0, down a vertical line of ``sqrt z``); other laws are
followed down vertical lines, and next to 0 in ``log z`` too, in along the imaginary axis. On these paths everything is
analytic and the solution is unique, so the branch is right as long as no step jumps: a step is taken back and halved
unless Newton's increments are small against the distance over which the system is close to linear and contract at once.
The path ends on the real axis itself: inside the support the system stays analytic there, so there is no smoothing
by an imaginary part (the condition that separates this from fixed-point codes).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet
from rmt.numeric.node import Linearised, Node, continued_log_z
from rmt.numeric.waypoints import Waypoints

__all__ = ["Solution", "cauchy_far_away", "newton_to", "solve", "unsolved"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

@dataclass(frozen=True)
class _Pace:
    """How boldly to step.

    A trial step is refused when its first increment exceeds ``reach`` (in units of the distance to the nearest
    singularity that a node reports) or when an increment is larger than ``contraction`` times the one before it. On
    the way, increments below ``tolerance`` are good enough to stay on the branch. After each increment the inner
    conditions are settled ``settle`` times by themselves: next to a cusp or a singularity of a sum, where z hardly
    depends on the common g, their second-order mismatch would otherwise be blown up.
    """

    reach: float
    contraction: float
    tolerance: float
    settle: int
    smallest_step: float


_BRISK = _Pace(reach=0.7, contraction=0.35, tolerance=1e-2, settle=0, smallest_step=1e-6)
_CAREFUL = _Pace(reach=0.4, contraction=0.25, tolerance=1e-6, settle=2, smallest_step=1e-13)
_LANDING_TOLERANCE = 1e-7  # the landing is where branches are close to each other
_START_REACH = 1.5
# The part of the longest step that would pass to try next, by what a refused step is shortened at most, and by what an
# accepted one grows at least and at most.
_MARGIN = 0.65
_SHORTER = 1 / 3
_LONGER = (1.25, 2.0)
_NEXT_TO_ZERO = 1e-9  # of a law's size: where a law on the whole axis is followed in log z too
_FINAL_TOLERANCE = 3e-15
# Factors by which the way to the points begins farther out, tried one after the other: a law with the tail z**-0.9 that
# was shifted by 100 looks like its tail where that is larger than the shift, beyond 100**10.
_FARTHER = (1.0, 16.0, 256.0, 4096.0, 2.0**20, 2.0**40, 2.0**80, 2.0**120)
_BESIDE = (1e-4, 1e-6, 1e-8)  # relative distances of the neighbours of a point that is solved from both sides
_SHAKE = 3 * np.finfo(float).eps
_FEW = 32  # such points are isolated
_LARGEST_ERROR = 1e-5
_INFINITE = 1e12
_FAR = 1e-3  # of m
_MAX_SWEEPS = 400
# For so many points waypoints are laid on the negative axis, at this distance in log |z|.
_MANY = 24
_SPACING = 1.0
# Waypoints of the bulk: the largest error, the smallest share of the imaginary part, and how much the unknowns may turn
# over the distance on which a bulk changes.
_KEPT_ERROR = 1e-10
_KEPT_SHARE = 1e-3
_KEPT_RATE = 8.0


@dataclass(frozen=True)
class Solution:
    """Where the system was solved, arrays of shape (n,).

    ``unknowns`` (size, n) is the solution itself; ``residual`` the last mismatch (of log z, or of z relative to its
    scale); ``error`` the estimated relative error of the Cauchy transform; ``converged`` says where to trust it.
    """

    unknowns: ComplexArray
    g: ComplexArray
    m: ComplexArray
    potential: ComplexArray
    residual: FloatArray
    error: FloatArray
    converged: BoolArray

    def take(self, index: npt.NDArray[np.intp], other: Solution) -> None:
        """Replace the points at ``index`` by those of another solution where that converged and this did not."""
        better = other.converged & ~self.converged[index]
        for name in ("unknowns", "g", "m", "potential", "residual", "error", "converged"):
            getattr(self, name)[..., index[better]] = getattr(other, name)[..., better]


class _Route(enum.Enum):
    """The coordinate in which a path is straight and Newton's mismatch is measured."""

    LINE = "z"  # down a vertical line: laws on the whole axis
    LOG = "log z"  # in along the negative (for laws on both sides of 0 the imaginary) axis, then round: many decades
    ROOT = "sqrt z"  # down a vertical line of sqrt z: laws that are regular there at 0, as squares are


class _Path:
    """The way to the target points: ``tau`` falls from 1 to 0; ``gap`` is the mismatch with what a node offers.

    It is straight in the coordinate of the route, or arches up by ``height`` in the middle.
    """

    def __init__(
        self,
        node: Node,
        target: ComplexArray,
        origin: ComplexArray,
        route: _Route,
        points: ComplexArray,
        height: FloatArray | float = 0.0,
    ) -> None:
        self.target, self.origin, self.route, self.points = target, origin, route, points
        self.arch = 4j * np.broadcast_to(height, target.shape)
        self.size = float(np.sqrt(node.variance))
        scale = {
            _Route.LINE: np.sqrt(node.variance) + np.abs(target),
            _Route.LOG: np.ones(target.shape),
            _Route.ROOT: np.abs(target) + 1e-3 * np.sqrt(np.abs(node.mean)),
        }
        self.scale = scale[route]

    def at(self, tau: FloatArray, index: npt.NDArray[np.intp]) -> ComplexArray:
        # exact at tau = 0: the target itself, so that a real target is met with an exactly real number
        away: ComplexArray = tau * (self.origin[index] - self.target[index] + (1 - tau) * self.arch[index])
        return np.where(tau == 0, self.target[index], self.target[index] + away)

    def arrived(self, tau: FloatArray, index: npt.NDArray[np.intp]) -> BoolArray:
        """Whether the points at ``tau`` cannot be told from the target."""
        target = self.target[index]
        out: BoolArray = np.abs(self.at(tau, index) - target) <= np.finfo(float).eps * np.abs(target)
        return out

    def mismatch(self, lin: Linearised, wanted: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
        """(mismatch, derivative of the coordinate by the node's parameter)."""
        jet = lin.jet
        if self.route is _Route.LOG:
            return wanted - jet.log_z, jet.dlog_z
        if self.route is _Route.ROOT:
            root = np.exp(jet.log_z / 2)
            return wanted - root, root * jet.dlog_z / 2
        return wanted - jet.z, jet.dz


def unsolved(node: Node, n: int) -> Solution:
    """The answer at n points, none of which has been solved."""
    g, m, potential = np.full((3, n), np.nan, dtype=complex)
    residual, error = np.full((2, n), np.inf)
    unknowns = np.zeros((node.size, n), dtype=complex)
    return Solution(unknowns, g, m, potential, residual, error, np.zeros(n, dtype=bool))


def solve(node: Node, z: npt.ArrayLike, *, insist: bool = True, from_afar: bool = False) -> Solution:
    """Solve the system of ``node`` at points ``z`` of the closed upper half-plane, shape (n,).

    Real points mean the limit from above. What a first, brisk continuation leaves unresolved is done again by other
    routes and with short steps (unless ``insist`` is False); points at which all stop are marked in ``converged``.
    Where it is known to be the system of a law, points solved before may be starts, unless it is to be ``from_afar``.
    """
    points = np.atleast_1d(np.asarray(z, dtype=complex))
    if points.size == 0:
        return unsolved(node, 0)
    routes = (_Route.LOG, _Route.ROOT) if node.positive else (_Route.LINE, _Route.LOG)
    plans = [(route, pace) for pace in (_BRISK, _CAREFUL) for route in routes]
    with np.errstate(all="ignore"):  # refused trial steps may overflow; they are recognised by their NaN
        if node.waypoints is None:
            node.waypoints = Waypoints(node.size)
        answer = _continue(node, points, *plans[0], None if from_afar else node.waypoints)
        for route, pace in plans[1:] if insist else plans[1 : len(routes)]:
            again = np.flatnonzero(~answer.converged & _suits(node, points, route))
            if again.size:
                answer.take(again, _continue(node, points[again], route, pace))
        # Unknowns are infinite at points where G is regular, such as z = 0 in a product with a signed factor.
        for step in _BESIDE if insist else ():
            again = np.flatnonzero(~answer.converged & ((points != 0) | (not node.positive)))
            if 0 < again.size <= _FEW:
                answer.take(again, _from_both_sides(node, points[again], step))
    return answer


def _suits(node: Node, points: ComplexArray, route: _Route) -> BoolArray:
    """Whether points may be reached on a route."""
    if node.positive or route is _Route.LINE:
        return np.ones(points.shape, dtype=bool)
    out: BoolArray = node.tracked & (np.abs(points) < _NEXT_TO_ZERO * np.sqrt(node.variance))
    return out


def _from_both_sides(node: Node, points: ComplexArray, step: float) -> Solution:
    """The solution interpolated between neighbours on both sides of each point, where G is regular there."""
    scale = np.abs(points) if node.positive else np.sqrt(node.variance) * np.ones(points.shape)
    route = _Route.LOG if node.positive else _Route.LINE
    far, near, other, beyond = (_continue(node, points + k * step * scale, route, _BRISK) for k in (-2, -1, 1, 2))

    def middle(name: str) -> ComplexArray:
        inner, outer = (getattr(a, name) + getattr(b, name) for a, b in ((near, other), (far, beyond)))
        out: ComplexArray = (4 * inner - outer) / 6
        return out

    g = middle("g")
    # an edge, an atom or any other singularity shows in the second difference
    size = np.maximum(np.abs(g), 1 / scale)
    bend = np.abs(near.g - 2 * g + other.g) / size
    converged = far.converged & near.converged & other.converged & beyond.converged & (bend < 3e3 * step**2 + 1e-12)
    error = (near.error + other.error) + bend**2
    residual = np.maximum(near.residual, other.residual)
    return Solution(near.unknowns, g, middle("m"), middle("potential"), residual, error, converged)


def _continue(
    node: Node, points: ComplexArray, route: _Route, pace: _Pace, waypoints: Waypoints | None = None
) -> Solution:
    """Follow the system to the points, from far away or from waypoints, which then are added to."""
    if waypoints and node.positive and waypoints.turned.places.size == 0 and points.size >= _MANY:
        _lay_waypoints(node, waypoints, points)
    target = _log_z(points) if route is _Route.LOG else points.copy()
    u, height = np.zeros((node.size, points.size), dtype=complex), np.zeros(points.size)
    origin, ok = np.full(points.size, np.nan, dtype=complex), np.ones(points.size, dtype=bool)
    if waypoints:
        origin, u, height = waypoints.nearest(target, _reference(node))
    new = np.flatnonzero(np.isnan(origin))
    if new.size:
        # (the square root of z is a coordinate of its own)
        u[:, new], ok[new], (target[new], origin[new]) = _departed(node, points[new], route, pace)
    path = _Path(node, target, origin, route, points, height)
    u, fine = _follow(node, u, path, pace)
    solution = _polish(node, u, path, ok & fine, pace)
    if waypoints:
        _keep(node, waypoints, path, solution)
    return solution


def _reference(node: Node) -> float:
    """The distance, in log z or in z, over which a bulk changes."""
    return 1.0 if node.positive else float(np.sqrt(node.variance))


def _lay_waypoints(node: Node, waypoints: Waypoints, points: ComplexArray) -> None:
    """Solve on the negative axis, all along the distances of the points from 0."""
    places = np.unique(np.round(_log_z(points).real / _SPACING)) * _SPACING
    u, ok, _ = _departed(node, -np.exp(places) + 0j, _Route.LOG, _BRISK)
    waypoints.turned = waypoints.turned.with_more(places[ok], u[:, ok])


def _keep(node: Node, waypoints: Waypoints, path: _Path, s: Solution) -> None:
    """Make waypoints of what was solved inside the bulk, and not next to an edge.

    There unknowns turn so fast that the tolerance on the way is no guard against the other sheet.
    """
    inside = s.converged & (s.error < _KEPT_ERROR) & (path.target.imag == 0) & (-s.g.imag > _KEPT_SHARE * np.abs(s.g))
    index = np.flatnonzero(inside)
    if index.size == 0:
        return
    u = s.unknowns[:, index]
    lin = node.linearise(u)
    _, slope = path.mismatch(lin, path.target[index])
    step = 1e-3 * _reference(node)
    rate = node.strain(u, node.spread(lin, step / slope)) / 1e-3
    index, u = index[rate < _KEPT_RATE], u[:, rate < _KEPT_RATE]
    waypoints.bulk = waypoints.bulk.with_more(path.target.real[index], u)


_Leg = tuple[ComplexArray, ComplexArray]  # target and origin


def _departed(
    node: Node, points: ComplexArray, route: _Route, pace: _Pace
) -> tuple[ComplexArray, BoolArray, _Leg]:
    """The unknowns at the start of the last leg to the points, where they were found, and that leg.

    Where the first moments do not tell enough for Newton to land, the way begins farther out.
    """
    everywhere = np.arange(points.size)
    u, ok = np.zeros((node.size, points.size), dtype=complex), np.zeros(points.size, dtype=bool)
    legs: list[_Leg] = []
    for farther in _FARTHER:
        again = everywhere[~ok]
        if again.size == 0 and legs:
            break
        start, new = _start(node, points[again], route, farther)
        origin = new[0][1]
        u[:, again], ok[again] = _follow(node, start, _Path(node, origin, origin, route, points[again]), pace)
        legs = legs or new
        for (target, source), (own_target, own_source) in zip(legs, new, strict=True):
            target[again], source[again] = own_target, own_source
    for target, source in legs[:-1]:
        u, fine = _follow(node, u, _Path(node, target, source, route, points), pace)
        ok &= fine
    return u, ok, legs[-1]


def _start(node: Node, points: ComplexArray, route: _Route, farther: float) -> tuple[ComplexArray, list[_Leg]]:
    """Unknowns to first order, and the legs of the way to the points, of which the first begins there."""
    if route is _Route.LINE:
        height = farther * (20 * (node.radius + 1e-300) + 2 * np.abs(points - node.mean))
        far = points + 1j * height
        return node.start(far, continued_log_z(far)), [(points.copy(), far)]
    if route is _Route.ROOT:
        root = np.exp(continued_log_z(points) / 2)
        far = root + 1j * np.exp((_log_far(node) + np.log(farther)) / 2)
        return node.start(far * far, 2 * np.log(far)), [(root, far)]
    log_z = _log_z(points)
    log_far, angle = (_log_far(node), np.pi) if node.positive else (np.log(20 * node.radius), np.pi / 2)
    outside: ComplexArray = np.asarray(
        np.maximum(log_z.real, log_far) + np.log(farther) + 1j * angle, dtype=complex
    )
    turn: ComplexArray = np.asarray(log_z.real + 1j * angle, dtype=complex)
    return node.start(np.exp(outside), outside), [(turn, outside), (log_z, turn.copy())]


def _log_z(points: ComplexArray) -> ComplexArray:
    """Continued log z, of a number next to 0 for 0 itself."""
    return np.where(points == 0, -690.0 + 1j * np.pi, continued_log_z(points))


def newton_to(
    node: Node,
    u: ComplexArray,
    coordinate: Callable[[Linearised], tuple[ComplexArray, ComplexArray]],
    wanted: ComplexArray,
) -> tuple[ComplexArray, Linearised, BoolArray]:
    """Newton from nearby unknowns to a wanted value of any coordinate of the jet (log eta, log g, z, …).

    Returns the unknowns, the linearisation there, and where it converged.
    """
    with np.errstate(all="ignore"):
        ok, done = np.ones(wanted.shape, dtype=bool), np.zeros(wanted.shape, dtype=bool)
        last = np.full(wanted.shape, np.inf)
        for iteration in range(40):
            lin = node.linearise(u)
            value, slope = coordinate(lin)
            du = node.spread(lin, (wanted - value) / slope)
            size = node.strain(u, du)
            if iteration == 0:
                ok &= size < _BRISK.reach
            ok &= np.isfinite(size)
            u = np.where(np.isfinite(du) & ~done, u + du, u)
            done |= (size < 1e-14) | (size >= last) | ~ok
            if np.all(done):
                break
            last = size
        lin = node.linearise(u)
        value, _ = coordinate(lin)
        ok &= np.abs(wanted - value) < 1e-9 * (1 + np.abs(wanted))
    return u, lin, ok


def _log_far(node: Node) -> float:
    """Log |z| beyond which the law looks like its first two moments."""
    return float(np.log(30.0) + np.log(node.mean + np.sqrt(node.variance)) + np.log1p(node.variance / node.mean**2))


def _follow(node: Node, u: ComplexArray, path: _Path, pace: _Pace) -> tuple[ComplexArray, BoolArray]:
    """Continue the unknowns along the path, each point with its own step length."""
    n = path.target.shape[0]
    # the first call (origin = target) only lands Newton from the asymptotic start
    stationary = np.array_equal(path.target, path.origin)
    tau = np.ones(n)
    step = np.full(n, 1.0 if stationary else 0.25)
    ok = np.ones(n, dtype=bool)
    todo = np.arange(n)
    for sweep in range(_MAX_SWEEPS):
        trial = np.maximum(tau[todo] * (1 - step[todo]), 0.0)
        start = u[:, todo]
        moved, load = _trial(node, start, path, trial, todo, pace, _START_REACH if stationary else pace.reach)
        accepted = load <= 1
        u[:, todo] = np.where(accepted, moved, start)
        tau[todo] = np.where(accepted, trial, tau[todo])
        # Increments and their ratios mostly grow in proportion to a step, so that the load tells the longest one that
        # would pass; where they do not, it is found by trying.
        change = np.where(accepted, np.clip(_MARGIN / load, *_LONGER), np.maximum(_MARGIN / load, _SHORTER))
        step[todo] = np.minimum(step[todo] * change, 1.0)
        stuck = (step[todo] < pace.smallest_step) | ((tau[todo] > 0.9) & (3 * sweep > _MAX_SWEEPS))
        # at the target but for rounding, and yet refused there: digits are missing, and no shorter step finds them
        stuck |= ~accepted & (trial == 0) & path.arrived(tau[todo], todo)
        ok[todo[stuck]] = False
        todo = todo[~stuck & (tau[todo] > 0)]
        if todo.size == 0:
            return u, ok
    ok[todo] = False
    return u, ok


def _trial(
    node: Node,
    u: ComplexArray,
    path: _Path,
    tau: FloatArray,
    index: npt.NDArray[np.intp],
    pace: _Pace,
    reach: float,
) -> tuple[ComplexArray, FloatArray]:
    """Newton from ``u`` to the path at ``tau``: (unknowns, load). The first increment is the Euler predictor.

    The load is the largest of the increments relative to what is allowed; a step with more than 1 is refused.
    """
    wanted = path.at(tau, index)
    tolerance = np.where(tau > 0, pace.tolerance, min(pace.tolerance, _LANDING_TOLERANCE))
    u = u.copy()
    load = np.zeros(index.size)
    live = np.arange(index.size)
    last = np.full(index.size, reach)
    for iteration in range(7):
        here = u[:, live]
        lin = node.linearise(here)
        gap, slope = path.mismatch(lin, wanted[live])
        du = node.spread(lin, gap / slope)
        size = node.strain(here, du)
        share = size / (reach if iteration == 0 else pace.contraction * last[live])
        # so small an increment need not contract further: rounding stops it
        done = size < tolerance[live]
        share[done] = 0.0
        load[live] = np.fmax(load[live], np.where(np.isfinite(size), share, np.inf))
        fine = load[live] <= 1
        u[:, live[fine]] = _settled(node, here[:, fine] + du[:, fine], pace.settle)
        last[live] = size
        live = live[fine & ~done]
        if live.size == 0:
            break
    load[live] = np.inf
    return u, load


def _settled(node: Node, u: ComplexArray, times: int) -> ComplexArray:
    """Unknowns with the inner conditions solved again at the same place on the curve."""
    for _ in range(times):
        lin = node.linearise(u)
        u = u + node.spread(lin, np.zeros_like(lin.jet.m))
    return u


def _polish(node: Node, u: ComplexArray, path: _Path, ok: BoolArray, pace: _Pace) -> Solution:
    """Newton at the target until the increments stop falling, then read off the answer with its error."""
    n = path.target.shape[0]
    everywhere = np.arange(n)
    wanted = path.at(np.zeros(n), everywhere)
    last = np.full(n, np.inf)
    live = everywhere
    for _ in range(12):
        here = u[:, live]
        lin = node.linearise(here)
        gap, slope = path.mismatch(lin, wanted[live])
        du = node.spread(lin, gap / slope)
        size = node.strain(here, du)
        better = np.isfinite(size) & (size < last[live])
        u[:, live[better]] = _settled(node, here[:, better] + du[:, better], pace.settle)
        last[live[better]] = size[better]
        live = live[better & (size > _FINAL_TOLERANCE)]
        if live.size == 0:
            break
    lin = node.linearise(u)
    gap, _ = path.mismatch(lin, wanted)
    residual = np.abs(gap) / path.scale
    potential = node.potential(u, lin) - lin.jet.log_g
    g = _cauchy(lin.jet, path)
    # What rounding of the unknowns alone does to the answer: increments do not tell where an unknown has no digits
    # left for what z depends on.
    shaken = u * (1 + _SHAKE)
    beside = node.linearise(shaken)
    gap, slope = path.mismatch(beside, wanted)
    again = _cauchy(node.linearise(shaken + node.spread(beside, gap / slope)).jet, path)
    error = np.maximum(last, np.abs(again - g) / np.abs(g))
    small = np.maximum(1.0, 1 / (np.abs(g) * np.sqrt(node.variance)))  # next to zeros of g, at cusps, only absolutely
    converged = ok & (residual < 1e-9) & (error < _LARGEST_ERROR * small) & np.isfinite(g)
    return Solution(u, g, lin.jet.m, potential, residual, error, converged)


def cauchy_far_away(jet: Jet, z: npt.NDArray[Any]) -> ComplexArray:
    """The Cauchy transform of a jet at z; where m is small, the imaginary part is that of m, not rounding of 1/z."""
    far = np.abs(jet.m) < _FAR
    return np.where(far, (1 + jet.m) / np.where(far, z, 1), jet.g)


def _cauchy(jet: Jet, path: _Path) -> ComplexArray:
    """The Cauchy transform at the end of a path."""
    # where an atom at 0 makes g large and nearly real, its imaginary part keeps its digits in w/z with the exact z
    z = path.points
    if path.route is _Route.LINE:
        return cauchy_far_away(jet, z)
    w = np.where(np.abs(jet.m) < _FAR, 1 + jet.m, jet.w)
    g = np.where((np.abs(w) > 1e-2) & (z != 0), w / np.where(z == 0, 1, z), jet.g)
    # an atom or a hard edge at 0, met exactly
    return np.where((z == 0) & (np.abs(g) * path.size > _INFINITE), np.inf, g)
