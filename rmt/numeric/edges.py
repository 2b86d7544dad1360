"""Edges of the continuous part: critical points of z(g) on the real axis outside the support.

Outside the support everything is real and z is a monotone function of g; an edge is where dz/dg = 0. The walk towards
an edge starts from a real point that `continuation.solve` reached from above, so it is on the physical branch, and it
is driven by log g, in which no square root occurs at the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rmt.numeric.continuation import Solution, newton_to, solve
from rmt.numeric.jet import ComplexArray
from rmt.numeric.node import Linearised, Node
from rmt.numeric.roots import bracketed_root

__all__ = ["REAL", "RISE", "GapPoint", "edge_of_gap", "hard_exponent", "outside_bulk", "true_edge", "walk"]

# Below this share an imaginary part is rounding.
REAL = 1e-7
# What a distribution function must rise between two gaps that are not the same.
RISE = 1e-9

Coordinate = Callable[[Linearised], tuple[ComplexArray, ComplexArray]]


@dataclass(frozen=True)
class GapPoint:
    """A real point outside the continuous part, with the unknowns and the distribution function there."""

    x: float
    unknowns: ComplexArray
    cdf: float
    #: what `walk` met from here, by direction
    met: dict[int, tuple[float, float | None]] = field(default_factory=dict, compare=False)


def outside_bulk(s: Solution) -> npt.NDArray[np.bool_]:
    """Which resolved points lie outside the continuous part."""
    # g shows the bulk at small x, m at the upper edge of a deep product, where m is small and g is 1/z anyway
    of_m = np.where(np.abs(s.m) < 0.5, np.abs(s.m.imag) / np.abs(s.m), 0.0)
    share = np.maximum(np.abs(s.g.imag) / np.abs(s.g), of_m)
    out: npt.NDArray[np.bool_] = s.converged & (share <= REAL)
    return out


def edge_of_gap(
    node: Node, gaps: list[GapPoint], k: int, direction: int, atoms: Mapping[float, float], doubtful: bool = False
) -> tuple[float, float | None]:
    """Walk to the edge from gap point k, or, if that lies too close to walk, from points farther into the gap.

    ``doubtful`` says that there may be no edge: fewer points are tried.
    """
    for step in (0, 2, 16) if doubtful else (0, 1, 2, 4, 8, 16, 32):
        index = k - direction * step
        if not 0 <= index < len(gaps) or abs(gaps[index].cdf - gaps[k].cdf) > 1e-9:
            break
        try:
            return walk(node, gaps[index], direction, atoms)
        except ArithmeticError as error:
            failure = error
    raise failure


def true_edge(
    node: Node, gap: list[GapPoint], direction: int, atoms: Mapping[float, float]
) -> tuple[float, float | None]:
    """Edge of a gap, whose points are given from that edge inwards, with nothing but gap before it."""
    for start in gap[:1] + gap[1:32:6]:
        try:
            edge, exponent = walk(node, start, direction, atoms)
        except ArithmeticError:
            continue
        between = edge + (start.x - edge) * np.array([1e-3, 0.1, 0.5])
        s = solve(node, between)
        same = np.abs(1 - s.potential.imag / np.pi - start.cdf) < RISE
        if (edge - start.x) * direction > 0 and np.all(s.converged & same & (np.abs(s.g.imag) <= 1e-5 * np.abs(s.g))):
            return edge, exponent
    raise ArithmeticError(f"no edge was met from x = {gap[0].x:.6g}: the density is only too small to be seen there")


def walk(node: Node, start: GapPoint, direction: int, atoms: Mapping[float, float]) -> tuple[float, float | None]:
    """What one meets from a gap point when z moves in ``direction``: (edge, exponent), or an isolated atom and None."""
    if direction not in start.met:
        start.met[direction] = _walk(node, start, direction, atoms)
    return start.met[direction]


def _walk(node: Node, start: GapPoint, direction: int, atoms: Mapping[float, float]) -> tuple[float, float | None]:
    # log m for laws on [0, oo): when their logarithm spreads over depth, z and 1/g have their critical points together;
    # for others what is g near its zeros and log g where it is large
    scale = np.sqrt(node.variance)

    def coordinate(lin: Linearised) -> tuple[ComplexArray, ComplexArray]:
        if node.positive:
            return lin.jet.log_eta + lin.jet.log_w, lin.jet.dm / lin.jet.m
        g = scale * lin.jet.g
        return np.arcsinh(g), g * lin.jet.dlog_g / np.sqrt(1 + g * g)

    def outwards() -> bool:
        """Whether m or g grows."""
        return way > 0 if node.positive else way * t[0].real > 0

    u = start.unknowns
    lin = node.linearise(u)
    t = coordinate(lin)[0]
    slope = _slope(lin, coordinate)
    way = float(np.sign(slope) * direction)  # of the coordinate
    h = 0.25
    decay = np.nan  # of the slope, by the coordinate: z - edge ~ g^-decay where g grows without bound
    z = start.x
    for _ in range(2000):
        wanted = t + way * h
        moved, after, ok = newton_to(node, u, coordinate, wanted)
        z_there = after.jet.z[0]  # as numpy's number: where Newton failed it may overflow
        # beyond an edge z leaves the axis
        real = np.isfinite(z_there) and abs(z_there.imag) <= REAL * (abs(z_there) + scale)
        new_slope = _slope(after, coordinate) if ok[0] and real else np.nan
        reached = float(z_there.real)
        if np.isfinite(new_slope):
            # z must have moved by what its slope says: else the step went over an edge and a pole behind it
            off = abs(reached - z - way * h * (slope + new_slope) / 2)
            if off > 0.2 * h * (abs(slope) + abs(new_slope)) and h > 1e-4:
                h /= 4
                continue
            if outwards() and abs(new_slope) < 1e-9 * (abs(z) + scale) and 0.2 < decay < 6:
                break
            falls = -np.log(new_slope / slope) / h if np.sign(new_slope) == np.sign(slope) else np.nan
            if not outwards() and abs(new_slope) < 1e-6 * (abs(z) + scale) and 0.8 < falls < 1.25:
                # m vanishes amid the gap, at an ordinary point of z(m)
                z, h, new_slope = reached, 0.0, np.nan
            elif np.sign(new_slope) != np.sign(slope):
                try:
                    return _refine(node, u, coordinate, t, wanted), 0.5
                except ArithmeticError:
                    # the step went past the edge and past a fold of the coordinate as well, or over a pole
                    new_slope = np.nan
        if not np.isfinite(new_slope):
            h /= 4
            if h > 1e-7:
                continue
            if any(abs(z - x) < 1e-5 * (abs(x) + scale) for x in atoms):
                break
            # A subordination point of a law on [0, oo) passes 0 or infinity: go round.
            beyond = _beyond(node, z, direction, start.cdf)
            if beyond is None:
                break
            u, z = beyond.unknowns, beyond.x
            lin = node.linearise(u)
            t, slope = coordinate(lin)[0], _slope(lin, coordinate)
            way, h = float(np.sign(slope) * direction), 0.25
            continue
        u, t, slope, z, decay = moved, wanted, new_slope, reached, falls
        h = min(2 * h, 0.5)
    # m and g grow without bound: an atom outside the bulk, or a hard edge
    for x in atoms:
        if abs(z - x) < 1e-5 * (abs(x) + scale):
            return x, None
    if outwards() and 0.2 < decay < 6:
        return float(z + way * slope / decay), round(float(-1 / decay), 3)
    # A leaf may be singular at the very edge; the last steps already show where dz would vanish.
    if decay >= 6 and abs(slope) / decay < 1e-6 * (abs(z) + scale):
        return float(z + way * slope / (2 * decay)), 0.5
    raise ArithmeticError(f"the walk to the edge from x = {start.x:.6g} stopped near {z:.6g}")


def _beyond(node: Node, z: float, direction: int, cdf: float) -> GapPoint | None:
    """The farthest of a few points past ``z`` that is still in the same gap."""
    steps = (abs(z) + np.sqrt(node.variance)) * 10.0 ** np.arange(-1.0, -9.0, -0.5)
    x = z + direction * steps
    s = solve(node, x, insist=False)
    same = s.converged & (np.abs(s.g.imag) <= REAL * np.abs(s.g)) & (np.abs(1 - s.potential.imag / np.pi - cdf) < 1e-9)
    if node.positive:
        same &= x > 0
    index = np.flatnonzero(same)
    return None if index.size == 0 else GapPoint(float(x[index[0]]), s.unknowns[:, index[:1]], cdf)


def _slope(lin: Linearised, coordinate: Coordinate) -> float:
    """Derivative of z by the coordinate."""
    return float((lin.jet.dz / coordinate(lin)[1]).real[0])


def _move(
    node: Node, u: ComplexArray, coordinate: Coordinate, start: ComplexArray, end: ComplexArray, depth: int = 8
) -> tuple[ComplexArray, Linearised, bool]:
    """Newton from the coordinate ``start`` to ``end``, in halves where one step is too long."""
    moved, lin, ok = newton_to(node, u, coordinate, end)
    if ok[0] or depth == 0:
        return moved, lin, bool(ok[0])
    middle = (start + end) / 2
    moved, lin, fine = _move(node, u, coordinate, start, middle, depth - 1)
    return _move(node, moved, coordinate, middle, end, depth - 1) if fine else (moved, lin, False)


def _refine(node: Node, u: ComplexArray, coordinate: Coordinate, t0: ComplexArray, t1: ComplexArray) -> float:
    """Root of dz between the coordinates t0 (unknowns ``u``) and t1; returns z there."""
    here, position = t0, np.nan

    def slope(s: float) -> float:
        nonlocal u, here, position
        wanted = t0 + s * (t1 - t0)
        u, lin, ok = _move(node, u, coordinate, here, wanted)
        here, position = wanted, float(lin.jet.z.real[0])
        if not ok:
            raise ArithmeticError(f"Newton failed between two points around an edge near {position:.6g}")
        return _slope(lin, coordinate)

    try:
        root = bracketed_root(slope, 0.0, 1.0, 1e-13)
    except ValueError as error:  # walked there and back in other steps, the ends have the same sign: a fold between
        raise ArithmeticError(f"no change of sign around an edge near {position:.6g}") from error
    # dz also changes sign through a pole, which is no edge
    if abs(slope(root)) > 1e-5 * (abs(position) + np.sqrt(node.variance)):
        raise ArithmeticError(f"a pole instead of an edge near {position:.6g}")
    return position


def hard_exponent(node: Node, atom: float, side: int = 1) -> float | None:
    """Exponent of the density at 0 on one side, from its slope in log x as deep as it can be told from rounding."""
    if node.hard and not atom:  # z ~ (1 + m)**(1 + r), and the density is Im m/x
        return float(Fraction(1 / (1 + node.hard) - 1).limit_denominator(10**6))
    scale = node.mean + node.variance / node.mean if node.positive else np.sqrt(node.variance)
    # the deeper, the closer to the power; beside an atom, and where z itself is matched, digits end sooner
    decades = np.arange(4.0, 40.0, 2.0)
    if not atom and node.positive:
        decades = np.concatenate([np.arange(4.0, 100.0, 6.0), np.arange(100.0, 290.0 + np.log10(scale), 12.0)])
    s = solve(node, side * scale * 10.0**-decades, insist=False)
    fine = s.converged & (s.error * np.abs(s.g) < 1e-7 * np.abs(s.g.imag)) & (s.g.imag < 0)
    depth, height = decades[fine] * np.log(10.0), np.log(-s.g.imag[fine])
    if depth.size < 3:
        return None
    slopes = -np.diff(height) / np.diff(depth)
    change = np.abs(np.diff(slopes))
    best = int(np.argmin(change))
    exponent, doubt = float(slopes[best + 1]), float(change[best])
    # logarithmic corrections: the slope drifts ever more slowly, and has no limit that could be read off
    drifting = best > 0 and doubt > max(1e-7, 0.5 * change[best - 1])
    if doubt > 1e-2 or drifting:
        return None
    simple = float(Fraction(exponent).limit_denominator(64))
    return simple if abs(simple - exponent) < min(max(1e-8, 10 * doubt), 1e-5) else exponent
