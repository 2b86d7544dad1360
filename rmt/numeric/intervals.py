"""The intervals of the continuous part of a law: the map of gaps.

It comes from a scan of the real axis; two scan points between which the distribution function rises, although both lie
in gaps, betray an interval that the scan stepped over. From the gap points `rmt.numeric.edges` walks to the edges.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmt.numeric.continuation import Solution, solve
from rmt.numeric.edges import REAL, RISE, GapPoint, edge_of_gap, hard_exponent, outside_bulk, true_edge, walk
from rmt.numeric.node import Node

__all__ = ["Interval", "find_intervals"]

FloatArray = npt.NDArray[np.float64]

_SCAN = 161
# Steep cells that are scanned again, a sweep.
_MOST_STEEP = 40
_CUSP = 1 / 3
# Shares of imaginary parts below this multiple of the error may be rounding.
_ROUNDING = 100.0
# Share of the imaginary part below which a transform next to 0 is nearly real.
_NEARLY_REAL = 0.1
# The smallest point scanned above 0, relative to the scale of the law.
_PROBE = 1e-250

_Minima = tuple[list[GapPoint], list[float]]  # gaps, a point of each, and cusps


@dataclass(frozen=True)
class Interval:
    """One interval of the continuous part with the exponents of the density at its ends (None: not a pure power)."""

    lower: float
    upper: float
    lower_exponent: float | None = 0.5
    upper_exponent: float | None = 0.5


def find_intervals(node: Node, atoms: Mapping[float, float]) -> list[Interval]:
    """Intervals of the continuous part of the law of ``node``, whose atoms are known.

    Raises
    ------
    ArithmeticError
        If an edge could not be located; the message says near which point.
    """
    if sum(atoms.values()) > 1 - 1e-12:
        return []
    with np.errstate(all="ignore"):  # next to poles numbers overflow; what is not finite is refused where it is used
        minima: dict[Interval, _Minima] = {}
        if node.full:
            found = [Interval(-np.inf, np.inf, None, None)]
        elif node.gapless:
            found = [Interval(0.0, np.inf, hard_exponent(node, atoms.get(0.0, 0.0)), None)]
        elif any(node.unbounded):
            found = _unbounded_intervals(node, atoms)
        else:
            found = _bounded_intervals(node, atoms, minima)
        if not node.positive:
            found = _split_at_zero(node, found)
        return [part for piece in found for part in _split_at_cusps(node, piece, minima)]


def _bounded_intervals(node: Node, atoms: Mapping[float, float], minima: dict[Interval, _Minima]) -> list[Interval]:
    """`find_intervals` of a law with bounded support; fills in what the minima of the density hide."""
    right = _far_point(node, +1)
    high = max([walk(node, right, -1, atoms)[0], *atoms])
    atom_at_zero = atoms.get(0.0, 0.0)
    if node.positive:
        scale = node.mean + node.variance / node.mean
        # Next to an atom at 0 the bulk shows as a small change of m, which is lost below some x.
        smallest = scale * (1e-30 if atom_at_zero == 0 else 1e-20)
        grid = _scan_grid(0.0, high, atoms, np.exp(np.linspace(np.log(smallest), np.log(high), _SCAN)[:-1]))
        gaps, hard_edge = _scan(node, grid, atom_at_zero)
        if hard_edge and atom_at_zero == 0:
            deeper, hard_edge = _scan(node, np.exp(np.linspace(np.log(scale * _PROBE), np.log(smallest), 12)), 0.0, 1)
            gaps = [*deeper, *gaps]
        gaps = _above_rounding(gaps, 1e-6 * scale, atom_at_zero)
    else:
        left = _far_point(node, -1)
        low = min([walk(node, left, +1, atoms)[0], *atoms])
        gaps, hard_edge = _scan(node, _scan_grid(low, high, atoms, np.empty(0)), 0.0, atoms=atoms)
        gaps = [left, *gaps]
        hard_edge = False
    gaps = [*gaps, right]
    found = _between(node, gaps, hard_edge, atoms)
    minima |= {piece: _minima(node, piece) for piece in found}
    hidden = [point for gap_points, _ in minima.values() for point in gap_points]
    if hidden:
        found = _between(node, sorted([*gaps, *hidden], key=lambda point: point.x), hard_edge, atoms)
    return found


def _between(node: Node, gaps: list[GapPoint], hard_edge: bool, atoms: Mapping[float, float]) -> list[Interval]:
    """The intervals between gap points, by walks to their edges; ``hard_edge``: the first one begins at 0."""
    atom_at_zero = atoms.get(0.0, 0.0)
    found: list[Interval] = []
    if hard_edge:
        upper, exponent = edge_of_gap(node, gaps, 0, -1, atoms)
        found.append(Interval(0.0, upper, hard_exponent(node, atom_at_zero), exponent))
    for k, (lo, hi) in enumerate(itertools.pairwise(gaps)):
        between = sum(p for x, p in atoms.items() if lo.x < x < hi.x)
        if hi.cdf - lo.cdf - between > RISE and (between > 0 or _bulk_between(node, lo, hi)):
            upper, exponent = edge_of_gap(node, gaps, k + 1, -1, atoms)
            # A law on [0, oo) may thin out towards 0 faster than any power; in double precision the far tail looks
            # like a gap without a proper edge.
            tail = node.positive and not found and lo.x <= 1e-6 * upper and lo.cdf - atom_at_zero <= 1e-9
            try:
                lower, lower_exponent = edge_of_gap(node, gaps, k, +1, atoms, doubtful=tail)
            except ArithmeticError:
                if not tail:
                    raise
                lower, lower_exponent = 0.0, None
            if not (lo.x <= lower or lower == 0) or not lower < upper <= hi.x:
                raise ArithmeticError(f"the edges {lower:.9g}, {upper:.9g} are not between {lo.x:.9g} and {hi.x:.9g}")
            found.append(Interval(lower, upper, lower_exponent, exponent))
    return found


def _above_rounding(gaps: list[GapPoint], size: float, atom_at_zero: float) -> list[GapPoint]:
    """Gap points, those so close to 0 that their distribution function is mostly rounding set to the mass at 0."""
    return [
        GapPoint(point.x, point.unknowns, atom_at_zero)
        if point.x < size and abs(point.cdf - atom_at_zero) < 1e-2
        else point
        for point in gaps
    ]


def _bulk_between(node: Node, lo: GapPoint, hi: GapPoint) -> bool:
    """Whether the rise of the distribution function between two gap points is due to a bulk, and not to rounding.

    Where g nearly is 0, or an unknown infinite, the function has few digits.
    """
    low, high, levels = lo.x, hi.x, (lo.cdf, hi.cdf)
    for _ in range(5 if hi.cdf - lo.cdf < 1e-6 else 12):
        x = _cell(low, high)
        s = solve(node, x, insist=False)
        real = outside_bulk(s)
        if np.any(s.converged & (s.error < REAL) & ~real) or not np.any(real):
            return True
        x = x[real]
        cdf = np.concatenate([levels[:1], 1 - s.potential.imag[real] / np.pi, levels[1:]])
        k = int(np.argmax(np.diff(cdf)))
        if cdf[k + 1] - cdf[k] < RISE:
            return False
        x = np.concatenate([[low], x, [high]])
        low, high, levels = x[k], x[k + 1], (cdf[k], cdf[k + 1])
    return False


def _unbounded_intervals(node: Node, atoms: Mapping[float, float]) -> list[Interval]:
    """`find_intervals` of a law whose continuous part reaches -oo or +oo.

    Where a density falls faster than any power, a tail and the middle between two far bumps look like gaps. A gap is
    believed if the walks from it end at edges on both sides.
    """
    far: dict[int, GapPoint] = {}
    ends = {-1: 0.0}  # of a law on [0, oo)
    for side, free in zip((-1, +1), node.unbounded, strict=True):
        if free:
            ends[side] = _reach(node, side)
        elif side > 0 or not node.positive:
            far[side] = _far_point(node, side)
            ends[side] = walk(node, far[side], -side, atoms)[0]
    low, high = ends[-1], ends[+1]
    atom_at_zero = atoms.get(0.0, 0.0) if node.positive else 0.0
    hard_edge = False
    if node.positive:
        smallest = (node.mean + node.variance / node.mean) * (1e-30 if atom_at_zero == 0 else 1e-20)
        spread = np.exp(np.linspace(np.log(smallest), np.log(high), 2 * _SCAN))
        gaps, hard_edge = _scan(node, _scan_grid(0.0, high, atoms, spread), atom_at_zero)
    else:
        scale = np.sqrt(node.variance)
        first, last = (float(np.arcsinh((end - node.mean) / scale)) for end in (low, high))
        spread = node.mean + scale * np.sinh(np.linspace(first, last, 2 * _SCAN))
        gaps, _ = _scan(node, _scan_grid(low, high, atoms, spread), 0.0, atoms=atoms)
        gaps = [*([far[-1]] if -1 in far else []), *gaps]
    gaps = [*gaps, *([far[+1]] if +1 in far else [])]
    total = sum(atoms.values())

    def below(point: GapPoint) -> float:
        """Mass of the continuous part below a point."""
        return point.cdf - sum(p for x, p in atoms.items() if x < point.x)

    # each inner gap by its edges; the outer ones bound the support where it is bounded
    start: tuple[float, float | None] = (-np.inf, None)
    if node.positive:
        start = (0.0, hard_exponent(node, atom_at_zero) if hard_edge else None)
    found: list[Interval] = []
    for _, group in itertools.groupby(range(len(gaps)), key=lambda k: round(below(gaps[k]) / (100 * RISE))):
        members = list(group)
        mass = below(gaps[members[0]])
        outermost = mass < 100 * RISE, mass > 1 - total - 100 * RISE
        if (outermost[0] and node.unbounded[0]) or (outermost[1] and node.unbounded[1]):
            continue
        try:
            upper = None if outermost[0] else true_edge(node, [gaps[k] for k in members], -1, atoms)
            lower = None if outermost[1] else true_edge(node, [gaps[k] for k in reversed(members)], +1, atoms)
        except ArithmeticError:
            continue
        if upper is not None:
            found.append(Interval(start[0], upper[0], start[1], upper[1]))
        start = lower if lower is not None else (np.inf, None)
    if start[0] < np.inf:
        found.append(Interval(start[0], np.inf, start[1], None))
    return found


def _reach(node: Node, side: int) -> float:
    """A point beyond which, above (+1) or below (-1), a law has next to no mass, or that is very far away."""
    unresolved = 0
    for first in range(1, 31, 3):
        x = node.mean + side * np.sqrt(node.variance) * 4.0 ** np.arange(first, first + 3)
        s = solve(node, x, insist=False)
        above = s.potential.imag / np.pi
        light = s.converged & ((above if side > 0 else 1 - above) < 1e-7)
        if np.any(light):
            return float(x[np.argmax(light)])
        unresolved = 0 if np.any(s.converged) else unresolved + 1
        if unresolved == 2:
            raise ArithmeticError(f"the tail beyond x = {x[0]:.6g} was not resolved")
    return float(x[-1])


def _far_point(node: Node, side: int) -> GapPoint:
    """A real point far outside, above (+1) or below (-1) the support."""
    spread = np.sqrt(node.variance) + abs(node.mean)
    for factor in 4.0 ** np.arange(2, 24):
        x = np.array([node.mean + side * factor * spread])
        s = solve(node, x)
        cdf = float(1 - s.potential.imag[0] / np.pi)
        if s.converged[0] and abs(cdf - (side + 1) / 2) < 1e-9:
            return GapPoint(float(x[0]), s.unknowns, cdf)
    raise ArithmeticError(f"no point {'above' if side > 0 else 'below'} the support was found: is it bounded?")


def _scan_grid(low: float, high: float, atoms: Mapping[float, float], extra: FloatArray) -> FloatArray:
    """Points at which to look for gaps: all over [low, high], beside each atom, and the extra ones."""
    theta = (np.arange(_SCAN) + 0.5) / _SCAN * np.pi
    spread = (high + low) / 2 - (high - low) / 2 * np.cos(theta)
    beside = [np.abs(spread - x) < 1e-7 * (high - low) for x in atoms]  # where g is the pole and little else
    grid = [spread[~np.any(beside, axis=0)] if atoms else spread, extra]
    grid += [x + (high - low) * np.array([-1e-3, -1e-6, 1e-6, 1e-3]) for x in atoms]
    points = np.unique(np.concatenate(grid))
    points = points[(points > low) & (points < high)]
    return points[~np.isin(points, list(atoms))]


def _scan(
    node: Node, grid: FloatArray, atom_at_zero: float, sweeps: int = 4, atoms: Mapping[float, float] | None = None
) -> tuple[list[GapPoint], bool]:
    """Gap points among (and, where the density is steep, between) the grid points; is the lowest point in the bulk.

    ``atoms`` are those of a law that is not on [0, oo), which may lie inside the bulk.

    A narrow gap makes the density around it steep, so steep cells are scanned again, finer each time.
    """
    gaps: list[GapPoint] = []
    lowest_in_bulk = True
    for sweep in range(sweeps):
        s = solve(node, grid, insist=False)
        density = np.where(s.converged, -s.g.imag, np.nan)
        real = outside_bulk(s)
        clear = np.ones(grid.size, dtype=bool)
        if atoms:
            # next to an atom g is large and nearly real, in the bulk too, and beside it all else is rounding
            poles = np.array([p / (grid - x) for x, p in atoms.items()])
            own, noise = np.abs(s.g - poles.sum(axis=0)), 1e-12 * np.abs(poles).sum(axis=0)
            clear = np.min(np.abs(grid - np.array(list(atoms))[:, np.newaxis]), axis=0) > 1e-9 * np.sqrt(node.variance)
            real &= clear & (np.abs(s.g.imag) <= REAL * own + noise)
        if atom_at_zero:
            # next to an atom at 0 the bulk shows in m + 1 - atom only, and not at all once that is rounding
            distance = np.abs(s.m + 1 - atom_at_zero)
            decided = s.converged & (distance > 1e-9)
            real &= decided & (np.abs(s.m.imag) <= 10 * REAL * distance)
        else:
            # nor does it beside 0 where the imaginary part of g is rounding, too large for a gap
            share = np.abs(s.g.imag) / np.abs(s.g)
            decided = s.converged & clear & ~((share > REAL) & (share < _ROUNDING * s.error))
        if sweep == 0 and node.positive and not atom_at_zero:
            decided[: _rounded_hard_edge(s, real)] = False
        if sweep == 0 and np.any(decided):
            lowest_in_bulk = not real[np.flatnonzero(decided)[0]]
        cdf = 1 - s.potential.imag / np.pi
        gaps += [GapPoint(float(grid[i]), s.unknowns[:, i : i + 1], float(cdf[i])) for i in np.flatnonzero(real)]
        bulk = ~(real[:-1] & real[1:]) & decided[:-1] & decided[1:]
        # an unresolved point can be one where g = 0, amid a gap
        lost = (~s.converged[:-1] ^ ~s.converged[1:]) & clear[:-1] & clear[1:] & (sweep == 0)
        # (in a tail that thins out towards the lower end all cells are steep, and there is nothing to find)
        bulk &= ~(cdf[1:] - atom_at_zero < RISE)
        steep = np.flatnonzero((_steep(density) & bulk) | lost)
        if steep.size == 0:
            break
        steep = steep[:_MOST_STEEP]
        cells = [_cell(grid[i], grid[i + 1]) for i in steep]
        grid = np.unique(np.concatenate(cells))
    return sorted(gaps, key=lambda point: point.x), lowest_in_bulk


def _rounded_hard_edge(s: Solution, real: npt.NDArray[np.bool_]) -> int:
    """How many of the lowest points, up to the first one in a gap, look like a hard edge at 0 by rounding only.

    A density that grows towards 0 leaves no transform nearly real there; one that falls does, but falls.
    """
    first = int(np.argmax(real)) if np.any(real) else 0
    below = np.flatnonzero(s.converged[:first])
    if below.size < 2:
        return 0
    height = np.abs(s.g.imag[below])
    grows = height[0] >= height[-1] and np.all(height < _NEARLY_REAL * np.abs(s.g[below]))
    return first if grows else 0


def _cell(low: float, high: float) -> FloatArray:
    """Points inside a cell, geometric where it spans scales."""
    spaced = np.geomspace if low > 0 and high > 3 * low else np.linspace
    out: FloatArray = spaced(low, high, 18)[1:-1]
    return out


def _steep(density: FloatArray) -> npt.NDArray[np.bool_]:
    """Cells in which a narrow gap could hide: the density changes a lot across them, or they flank a dip."""
    with np.errstate(all="ignore"):
        step = np.abs(np.log(density[1:] / density[:-1]))
    steep = (step > 0.4) & np.isfinite(density[1:]) & np.isfinite(density[:-1])
    dip = np.flatnonzero((density[1:-1] < 0.7 * density[:-2]) & (density[1:-1] < 0.7 * density[2:]))
    steep[dip] = steep[dip + 1] = True
    out: npt.NDArray[np.bool_] = steep
    return out


def _split_at_cusps(node: Node, piece: Interval, minima: Mapping[Interval, _Minima]) -> list[Interval]:
    """Cut an interval where its density touches 0 like a cube root, as when two intervals just have met."""
    if not np.isfinite(piece.upper - piece.lower):
        return [piece]
    _, cusps = minima[piece] if piece in minima else _minima(node, piece)
    ends = [(piece.lower, piece.lower_exponent), *((x, _CUSP) for x in cusps), (piece.upper, piece.upper_exponent)]
    return [Interval(a, b, ea, eb) for (a, ea), (b, eb) in itertools.pairwise(ends)]


def _minima(node: Node, piece: Interval) -> _Minima:
    """Gaps, a point of each, and cusps that hide in the minima of the density on an interval."""
    size = piece.upper - piece.lower
    theta = (np.arange(_SCAN) + 0.5) / _SCAN * np.pi
    grid = piece.lower + size * (1 - np.cos(theta)) / 2
    height = _height(solve(node, grid, insist=False))
    low = (height[1:-1] < 0.8 * height[:-2]) & (height[1:-1] < 0.8 * height[2:])
    found = [_zoom(node, float(grid[k]), float(grid[k + 2])) for k in np.flatnonzero(low)]
    cusps = [0.0 if abs(x) < 1e-10 * size else x for x in found if isinstance(x, float)]
    return [point for point in found if isinstance(point, GapPoint)], cusps


def _height(s: Solution) -> FloatArray:
    """The density up to a factor; 0 where it is not resolved, as at a cusp."""
    return np.where(s.converged, np.maximum(-s.g.imag, 0.0), 0.0)


def _zoom(node: Node, left: float, right: float) -> GapPoint | float | None:
    """A point of the gap, or the cusp, in a bracket of a minimum of the density; None if it is an ordinary one."""
    size, lowest = right - left, [np.inf] * 3
    while right - left > 1e-9 * size:
        x = np.linspace(left, right, 18)
        s = solve(node, x, insist=False)
        gap = np.flatnonzero(outside_bulk(s) & (s.error < 1e-9))
        if gap.size:
            k = gap[gap.size // 2]
            return GapPoint(float(x[k]), s.unknowns[:, k : k + 1], float(1 - s.potential.imag[k] / np.pi))
        heights = _height(s)
        k = int(np.clip(np.argmin(heights), 1, x.size - 2))
        # a cube root falls by 2 a round on average; how the grid meets it varies
        seen = np.min(heights[heights > 0], initial=np.inf)
        if seen > 0.6 * lowest[-3]:
            return None
        left, right = float(x[k - 1]), float(x[k + 1])
        lowest.append(seen)
    middle = (left + right) / 2
    steps = size * np.array([-1e-5, 1e-5, -1e-3, 1e-3])
    heights = _height(solve(node, middle + steps, insist=False))
    near, far = heights[:2], heights[2:]
    slopes = np.log(far / near) / np.log(100.0)
    if np.any(np.abs(slopes - _CUSP) > 0.02):
        return None
    # density**3 is linear on both sides
    return float(middle + size * 1e-5 * (near[0] ** 3 - near[1] ** 3) / (near[0] ** 3 + near[1] ** 3))


def _split_at_zero(node: Node, intervals: list[Interval]) -> list[Interval]:
    """Cut an interval at 0 where the density is infinite there, as in products of a signed law with a hard edge."""
    out: list[Interval] = []
    for piece in intervals:
        if not piece.lower < 0 < piece.upper:
            out.append(piece)
            continue
        size = np.sqrt(node.variance)
        height = -solve(node, size * np.array([1e-9, 1e-7, 1e-5]), insist=False).g.imag
        exponents: list[float | None] = [None, None]
        if height[0] > 1.01 * height[1] > 1.01**2 * height[2]:
            exponents = [hard_exponent(node, 0.0, side) for side in (-1, 1)]
        if any(e is None or e > -1e-3 for e in exponents):
            out.append(piece)
        else:
            out.append(Interval(piece.lower, 0.0, piece.lower_exponent, exponents[0]))
            out.append(Interval(0.0, piece.upper, exponents[1], piece.upper_exponent))
    return out
