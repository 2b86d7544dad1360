"""Pointwise numbers of a law: density, distribution function and quantiles, written once for every law."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rmt.numeric.axis import IntervalCurve
from rmt.numeric.continuation import solve
from rmt.parameters import as_float
from rmt.piece import SMALLEST, Piece
from rmt.quadrature import Quadrature
from rmt.results import ConvergenceError, Curve
from rmt.transforms import stieltjes_density
from rmt.values import STENCIL, AroundAtom, Values

if TYPE_CHECKING:
    from rmt.law import Law

__all__ = ["Density", "on_atoms"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Within this share of an interval's width around an atom inside it, the continuous part is interpolated from points on
# both sides, `STENCIL` times a quarter of that distance away: G has a pole at the atom. Where these do not follow the
# density at the probes, the distance is shorter by these factors.
_ATOM_ZONE = 2e-3
_PROBES = np.array([-0.5, 0.0, 0.5])
_FINER = 0.25 ** np.arange(10.0)
# Relative error from which the interpolation is doubted.
_FITS = 1e-9
# Powers of the distance to an atom that are told from a finite density, and from a simple fraction.
_INFINITE = 1e-2
_CLOSE = 1e-4
# A tail of this mass has ended; one below this mass shows its power.
_ENDED, _SHOWS = 1e-15, 1e-5
# How the end of a tail next to 0 is looked for: points, a factor exp(step) apart, and the mass that may lie below it.
_TAIL_POINTS, _TAIL_STEP, _TAIL_MASS = 24, 4.0, 1e-13
# Where the value of a density at a jump at 0 is asked for, in widths of the interval.
_INSIDE = 1e-17
# By what the zones next to edges grow where the solution is not resolved at their borders.
_WIDER = (1e2, 1e4)


class Density:
    """Pointwise numbers of one law. Holds caches; the law itself stays immutable."""

    def __init__(self, law: Law) -> None:
        self.law = law
        self._curves: dict[Piece, IntervalCurve] = {}
        self._atom_zones: dict[tuple[Piece, float], AroundAtom] = {}
        self.largest_residual = 0.0

    # --- pieces -----------------------------------------------------------------------------------------------

    @cached_property
    def _ends(self) -> list[Piece]:
        """Intervals of the support as floats, scales of unbounded ones not yet known."""
        number = [
            (as_float(e.position, "edge"), None if e.exponent is None else as_float(e.exponent, "exponent"))
            for e in self.law.support().edges
        ]
        pieces = [Piece(a, b, ea, eb) for (a, ea), (b, eb) in zip(number[::2], number[1::2], strict=True)]
        # at a cusp at 0, unlike at a hard edge there, the solution loses digits as at any other soft edge
        cusp = any(a.upper == b.lower == 0 and (b.lower_exponent or 0) > 0 for a, b in itertools.pairwise(pieces))
        pieces = [replace(piece, cusp_at_zero=cusp) for piece in pieces]
        return [part for piece in pieces for part in self._cut_at_atoms(piece)]

    def _cut_at_atoms(self, piece: Piece) -> list[Piece]:
        """The parts of an interval between the atoms inside it next to which the density is infinite."""
        positions = self.atoms[0]
        inner = positions[(positions > piece.lower) & (positions < piece.upper)]
        solved = "subordination" in self.law.methods("pdf") and self.law._explicit is None
        if inner.size == 0 or not solved or not piece.bounded:
            return [piece]
        cuts = [(float(x), self._slope(x, -piece.extent), self._slope(x, piece.extent)) for x in np.sort(inner)]
        # nan, where it was not resolved, is no cut
        cuts = [(x, below, above) for x, below, above in cuts if below < 0 and above < 0]
        lower = [(piece.lower, piece.lower_exponent), *((x, above) for x, _, above in cuts)]
        upper = [*((x, below) for x, below, _ in cuts), (piece.upper, piece.upper_exponent)]
        return [
            replace(piece, lower=a, lower_exponent=ea, upper=b, upper_exponent=eb)
            for (a, ea), (b, eb) in zip(lower, upper, strict=True)
        ]

    def _slope(self, atom: float, size: float) -> float:
        """Exponent below 0 of the density on one side (the sign of ``size``) of an atom; 0 if finite, or nan."""
        solution = solve(self.law.numeric, atom + size * 10.0 ** np.arange(-6.0, -10.0, -1.0), insist=False)
        if not np.all(solution.converged) or not np.all(solution.g.imag < 0):
            return math.nan
        slopes = -np.diff(np.log10(-solution.g.imag))
        if np.max(slopes) > -_INFINITE:
            return 0.0
        first, second = np.diff(slopes)
        # corrections are powers themselves: Aitken's extrapolation
        limit = slopes[2] - second**2 / (second - first) if 0 < second / (first or math.inf) < 0.9 else slopes[2]
        simple = float(Fraction(float(limit)).limit_denominator(24))
        return max(simple if abs(simple - limit) < _CLOSE else float(limit), -1 + 1e-3)

    @cached_property
    def pieces(self) -> list[Piece]:
        """Intervals of the support."""
        out, below = [], 0.0
        for piece, mass in zip(self._ends, self.masses, strict=True):
            out.append(self._ended(piece, below) if piece.bounded else self._scaled(piece, below, mass))
            below += mass
        return out

    @cached_property
    def atoms(self) -> tuple[FloatArray, FloatArray]:
        """Positions and masses."""
        atoms = self.law.support().atoms
        masses = [as_float(p, "mass") for p in atoms.values()]
        return np.array([as_float(x, "atom") for x in atoms]), np.array(masses)

    def jumps(self, x: FloatArray) -> FloatArray:
        """Mass of the atoms at or below each point."""
        positions, masses = self.atoms
        out: FloatArray = np.concatenate([[0.0], np.cumsum(masses)])[np.searchsorted(positions, x, side="right")]
        return out

    @cached_property
    def masses(self) -> FloatArray:
        """Mass of each interval: the distribution function in the gaps, read off the potential."""
        total = 1 - self.atoms[1].sum()
        if len(self._ends) <= 1:
            return np.full(len(self._ends), total)
        below = np.array([self._between(a, b) for a, b in itertools.pairwise(self._ends)])
        if np.any(np.isnan(below)):
            raise ConvergenceError(f"masses of the intervals of {self.law!r}: the gaps between them were not resolved")
        out: FloatArray = np.diff(np.concatenate([[0.0], below, [total]]))
        return out

    def _between(self, a: Piece, b: Piece) -> float:
        """Mass of the continuous part below the gap between two intervals."""
        if a.upper < b.lower:
            # off the middle, where symmetric laws have g = 0 and the subordination functions a pole
            return float(self._continuous(np.array([a.upper + 0.382 * (b.lower - a.upper)]))[0])
        if "closed_form" in self.law.methods("cdf") or "pushforward" in self.law.methods("cdf"):
            return float(self._continuous(np.array([a.upper]))[0])
        # they touch at a cusp, or where the density is infinite: from a little below, and the rest by the exponent
        # (next to 0 points keep their digits, and the closer they are the better one power alone is the density)
        steps = [1e-80, 1e-60, 1e-40, 1e-20] if a.upper == 0 else []
        x = a.upper - (a.extent if a.bounded else 1.0) * np.array([*steps, 1e-12, 1e-10, 1e-8, 1e-6])
        solution = solve(self.law.numeric, x)
        if not np.any(solution.converged):
            return math.nan
        k = int(np.argmax(solution.converged))
        rest = -solution.g.imag[k] / np.pi * (a.upper - x[k]) / (1 + (a.upper_exponent or 0.0))
        return float(1 - solution.potential.imag[k] / np.pi - self.jumps(x[k : k + 1])[0] + rest)

    def _continuous(self, x: FloatArray) -> FloatArray:
        """Mass of the continuous part below points, before the masses of the intervals are known; NaN if unresolved."""
        method = self.law.methods("cdf")[0]
        if method == "pushforward":
            return self.law._cdf_pushforward(x) - self.jumps(x)
        if method == "closed_form":
            return self.law._cdf_closed_form(x) - self.jumps(x)
        solution = solve(self.law.numeric, x)
        return np.where(solution.converged, 1 - solution.potential.imag / np.pi, np.nan) - self.jumps(x)

    def _ended(self, piece: Piece, below: float) -> Piece:
        """A bounded interval with the end of its tail, where the density falls to 0 at 0 faster than any power."""
        if piece.lower != 0 or piece.lower_exponent is not None or self.law.methods("cdf")[0] != "subordination":
            return piece
        x = piece.extent * np.exp(-_TAIL_STEP * np.arange(1.0, _TAIL_POINTS))
        light = self._continuous(x) - below < _TAIL_MASS
        return replace(piece, tail_end=float(x[np.argmax(light)])) if np.any(light) else piece

    def _scaled(self, piece: Piece, below: float, mass: float) -> Piece:
        """An unbounded interval with its scale: looked for over many decades, then between its first and last tenth."""
        try:
            middle, scale = self.law.numeric.mean, math.sqrt(self.law.numeric.variance)
        except NotImplementedError:
            middle, scale = 0.0, 1.0
        anchors = [middle, *(edge for edge in (piece.lower, piece.upper) if math.isfinite(edge))]
        seen, levels = np.empty(0), np.empty(0)

        def look(x: FloatArray) -> None:
            nonlocal seen, levels
            x = np.setdiff1d(x[(x > piece.lower) & (x < piece.upper)], [*self.atoms[0], *seen])
            level = (self._continuous(x) - below) / mass
            fine = ~np.isnan(level)
            seen, levels = np.concatenate([seen, x[fine]]), np.concatenate([levels, level[fine]])
            order = np.argsort(seen)
            seen, levels = seen[order], levels[order]

        steps = scale * 4.0 ** np.arange(-12.0, 4.0)
        look(np.concatenate([anchor + side * steps for anchor in anchors for side in (-1, 1)]))
        # outwards until a tail has ended; where its power does not show by then, as far as numbers go
        reaches = [4.0 ** np.arange(k, k + 4.0) for k in range(4, 36, 4)] + [10.0 ** np.arange(30.0, 290.0, 20.0)]
        for side in (-1, 1):
            for reach in reaches:
                rest = levels[0] if side < 0 else 1 - levels[-1]
                if rest < _ENDED or (reach[-1] > 1e30 and rest < _SHOWS):
                    break
                look(middle + side * scale * reach)
        first = max(int(np.searchsorted(levels, 0.1)) - 1, 0)
        last = min(int(np.searchsorted(levels, 0.9)), seen.size - 1)
        look(np.linspace(seen[first], seen[last], 35)[1:-1])
        return piece.scaled(seen, levels)

    # --- density ----------------------------------------------------------------------------------------------

    def pdf(self, x: FloatArray, method: str) -> FloatArray:
        """Density at ``x``; NaN where unresolved."""
        if method == "pushforward":
            return self.law._pdf_pushforward(x)
        if method == "stieltjes":
            return stieltjes_density(self.law, x)
        return self.values(x, method, tail=False).density

    def values(self, x: FloatArray, method: str, tail: bool = True) -> Values:
        """What ``closed_form``, ``explicit`` or ``subordination`` says at points (density 0 outside the intervals)."""
        out = Values(x.size)
        for piece in self.pieces:
            inside = (x > piece.lower) & (x < piece.upper)
            for edge, exponent in ((piece.lower, piece.lower_exponent), (piece.upper, piece.upper_exponent)):
                at_edge = (x == edge) & math.isfinite(edge)
                out.density[at_edge & ~inside] = 0.0 if exponent is not None and exponent > 0 else np.inf
                if exponent == 0:  # a jump: the value inside
                    inside |= at_edge
            if method != "closed_form":
                for dark, below in ((x < piece.dark_below, True), (x > piece.dark_above, False)):
                    # the tail that falls faster than any power has ended: rounding, and nothing to solve for
                    out.tail[dark] = self.atoms[1].sum() - self.jumps(x[dark]) + (self.masses.sum() if below else 0.0)
                    out.error[dark] = np.finfo(float).eps / np.abs(x[dark])
                    inside &= ~dark
            if not np.any(inside):
                continue
            points, factor, _, _ = piece.off_edges(x[inside])
            if method == "closed_form":
                density = self.law._pdf_closed_form(points)
                lost = np.isnan(density)  # a form whose digits end next to an edge
                if np.any(lost) and self.solver in self.law.methods("pdf"):
                    density[lost] = self._solved(piece, points[lost], self.solver, tail=False).density
                out.density[inside] = density * factor
                continue
            # a jump at 0 is met from inside, where the distance from 0 keeps its digits
            if 0 in (piece.lower, piece.upper):
                points[points == 0] = _INSIDE * piece.extent * (1 if piece.lower == 0 else -1)
            own = self._solved_around_atoms(piece, points, method, tail)
            if np.any(np.isnan(own.density)):
                self._beside_edges(piece, points, method, own)
            own.density *= factor
            own.error *= factor
            out.put(inside, own)
        return out

    def _beside_edges(self, piece: Piece, x: FloatArray, method: str, own: Values) -> None:
        """Fill in what was not resolved next to the edges, by their exponents from where it was, farther inside."""
        middle = (piece.lower + piece.upper) / 2
        for side, edge, exponent in ((1, piece.lower, piece.lower_exponent), (-1, piece.upper, piece.upper_exponent)):
            beyond = [other.lower >= edge for other in self.pieces]
            for wider in _WIDER:
                lost = np.flatnonzero(np.isnan(own.density) & ((x < middle) == (side > 0)))
                lost = lost[piece.off_edges(x[lost], wider)[0] != x[lost]]
                if lost.size == 0 or exponent is None:
                    break
                near, far = (self._by_exponent(piece, x[lost], method, factor * wider) for factor in (1.0, 4.0))
                # the power is the first term of a series
                rest = (near.density - far.density) / 3
                own.density[lost], own.error[lost] = near.density + rest, near.error + np.abs(rest)
                own.residual[lost] = near.residual
                at_edge = self.atoms[1].sum() - self.jumps(x[lost]) + self.masses[beyond].sum()
                own.tail[lost] = at_edge + own.density[lost] * (edge - x[lost]) / (1 + exponent)

    def _by_exponent(self, piece: Piece, x: FloatArray, method: str, wider: float) -> Values:
        """The density inside edge zones of ``wider`` times their width, from the borders of these."""
        points, factor, _, _ = piece.off_edges(x, wider)
        out = self._solved(piece, points, method, tail=False)
        out.density *= factor
        out.error *= factor
        return out

    def _solved_around_atoms(self, piece: Piece, x: FloatArray, method: str, tail: bool) -> Values:
        """`_solved`, with the continuous part interpolated next to atoms inside the interval, where G has poles."""
        positions = self.atoms[0]
        inner = positions[(positions > piece.lower) & (positions < piece.upper)]
        out, within, solved = Values(x.size), np.zeros(x.shape, dtype=bool), np.ones(x.shape, dtype=bool)
        nearest = inner[np.argmin(np.abs(x[:, np.newaxis] - inner), axis=1)] if inner.size else np.full(x.shape, np.inf)
        close = np.abs(x - nearest) < _ATOM_ZONE * piece.extent / 4
        for atom in np.unique(nearest[close]):
            around = self._around(piece, float(atom), method)
            here = close & (nearest == atom) & (np.abs(x - atom) < around.unit)
            own = around.interpolated(x[here] - atom)
            out.put(here, own)
            # where the polynomial does not fit, what is solved at the point itself is better, noise of the pole and all
            solved[here] = ~(own.error <= _FITS * own.density) & (x[here] != atom)
            within |= here
        if np.any(solved):
            direct = self._solved(piece, x[solved], method, tail)
            better = ~within[solved] | (~np.isnan(direct.density) & ~(direct.error >= out.error[solved]))
            out.put(np.flatnonzero(solved)[better], direct.chosen(better))
        return out

    def _around(self, piece: Piece, atom: float, method: str) -> AroundAtom:
        """The continuous part around an atom: points as far apart as the density is a polynomial there.

        The density may vary over distances far below the interval's, beside a faint atom for instance. But the closer
        the points, the more digits the pole of G takes from them.
        """
        if (piece, atom) not in self._atom_zones:
            positions, masses = self.atoms
            heavy = float(masses[positions == atom].sum())
            trials: list[tuple[float, AroundAtom]] = []
            for unit in _ATOM_ZONE / 4 * piece.extent * _FINER:
                stencil = self._solved(piece, atom + unit * STENCIL, method, tail=True)
                stencil.tail -= heavy * (STENCIL < 0)  # smooth
                around = AroundAtom(float(unit), heavy, stencil)
                error = float(np.max(around.interpolated(unit * _PROBES).error))
                trials.append((math.inf if math.isnan(error) else error, around))
                if error <= _FITS * float(np.max(stencil.density)):
                    break
            self._atom_zones[piece, atom] = min(trials, key=lambda trial: trial[0])[1]
        return self._atom_zones[piece, atom]

    def _solved(self, piece: Piece, x: FloatArray, method: str, tail: bool) -> Values:
        """By the compiled walk, if asked for, and by the general solver where that does not reach.

        The potential that P(X > x) is read off costs as much as the rest for some laws: ``tail`` says if it is wanted.
        """
        out = Values(x.size)
        missed = np.ones(x.shape, dtype=bool)
        if method == "explicit" and self.law._explicit is not None:
            out.density, out.tail, out.error = self.law._explicit(x, piece.lower, piece.upper)
            missed = np.isnan(out.density)
        if not np.any(missed):
            return out
        if piece not in self._curves:
            self._curves[piece] = IntervalCurve(self.law.numeric, piece.at_places)
        x = x[missed]
        solution = self._curves[piece](x, piece.places(x), tail)
        rest = Values(x.size)
        rest.density = np.where(solution.converged, np.maximum(-solution.g.imag / np.pi, 0.0), np.nan)
        rest.tail = np.where(solution.converged, solution.potential.imag / np.pi, np.nan)
        # relative to what the continuous part alone contributes to g
        at_zero = float(self.atoms[1][self.atoms[0] == 0].sum())
        with np.errstate(invalid="ignore", divide="ignore"):  # G is infinite at an atom, and may be where unresolved
            own = np.abs(solution.g - at_zero / x) if at_zero else np.abs(solution.g)
            rest.error = (solution.error + 4 * np.finfo(float).eps) * own / np.pi
        rest.residual = np.where(solution.converged, solution.residual, np.nan)
        self.largest_residual = max(self.largest_residual, float(np.nanmax(rest.residual, initial=0.0)))
        out.put(missed, rest)
        return out

    @cached_property
    def solver(self) -> str:
        """The best strategy that knows density and distribution function together."""
        return "explicit" if "explicit" in self.law.methods("pdf") else "subordination"

    # --- distribution function ----------------------------------------------------------------------------------

    def cdf(self, x: FloatArray, method: str) -> FloatArray:
        """P(X <= x)."""
        if method in ("pushforward", "closed_form"):
            x = on_atoms(x, self.atoms[0], np.abs(self.atoms[0]))
            if method == "pushforward":
                return self.law._cdf_pushforward(x)
            out = self.law._cdf_closed_form(x)
            lost = np.isnan(out)
            if np.any(lost) and self.solver in self.law.methods("cdf"):  # next to an edge, which has a zone there
                out[lost] = self.assembled(x[lost], self.values(x[lost], self.solver).tail)
            return out
        tail = self.values(x, method).tail if method in ("explicit", "subordination") else None
        return self.assembled(x, tail)

    def continuous(self, x: FloatArray, method: str) -> FloatArray:
        """Mass of the continuous part at or below points."""
        x = on_atoms(x, self.atoms[0], np.abs(self.atoms[0]))
        return self.cdf(x, method) - self.jumps(x)

    def assembled(self, x: FloatArray, upper_tail: FloatArray | None) -> FloatArray:
        """Distribution function from its values inside the intervals (integrated if not given)."""
        out = self.jumps(x)
        for piece, mass in zip(self.pieces, self.masses, strict=True):
            inside = (x > piece.lower) & (x < piece.upper)
            if upper_tail is None:
                out[inside] += self.quadrature.below(piece, x[inside])
            else:
                out[inside] += self._own(piece, mass, x[inside], upper_tail[inside])
            out[x >= piece.upper] += mass
        clipped: FloatArray = np.minimum(out, 1.0)
        return clipped

    def _own(self, piece: Piece, mass: float, x: FloatArray, upper_tail: FloatArray) -> FloatArray:
        """Mass of the interval below points inside it, from P(X > x)."""
        above = self.atoms[1].sum() - self.jumps(x)
        later = self.masses[[other.lower >= piece.upper for other in self.pieces]].sum()
        own = np.clip(mass - (upper_tail - above - later), 0.0, mass)
        _, _, from_lower, from_upper = piece.off_edges(x)
        out: FloatArray = np.where(from_lower < 1, own * from_lower, mass - (mass - own) * from_upper)
        return out

    # --- quantiles ------------------------------------------------------------------------------------------------

    def ppf(self, q: FloatArray) -> FloatArray:
        """Quantiles; images of other laws map theirs where they can."""
        own = getattr(self.law, "_ppf_pushforward", None)
        return self.inverted(q) if own is None else own(q)

    def inverted(self, q: FloatArray) -> FloatArray:
        """Quantiles: atoms by their jumps, intervals by safeguarded Newton steps on the distribution function."""
        positions, masses = self.atoms
        # (position, mass, interval, mass of the interval below this part of it)
        parts: list[tuple[float, float, Piece | None, float]] = [
            (x, p, None, 0.0) for x, p in zip(positions, masses, strict=True)
        ]
        for piece, mass in zip(self.pieces, self.masses, strict=True):
            inner = positions[(positions > piece.lower) & (positions < piece.upper)]
            cuts = self._level(piece, mass, inner)[0] if inner.size else np.empty(0)
            levels = [0.0, *cuts, mass]
            for start, (low, high) in zip([piece.lower, *inner], itertools.pairwise(levels), strict=True):
                parts.append((start, high - low, piece, low))
        # at equal positions an atom comes first: it sits at the lower end of what follows it
        parts.sort(key=lambda part: (part[0], part[2] is not None))
        out = np.full(q.shape, self.law.support().upper)  # what rounding of the masses leaves over
        below = 0.0
        for position, mass, part_of, start in parts:
            here = (q > below) & (q <= below + mass) if below > 0 else (q <= mass)
            if part_of is None:
                out[here] = position
            elif np.any(here):
                out[here] = self._invert(part_of, q[here] - below + start)
            below += mass
        return out

    def _level(self, piece: Piece, mass: float, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mass of the interval below points inside it, and the density there."""
        if self.law.methods("pdf")[0] == "pushforward":
            earlier = self.masses[[other.upper <= piece.lower for other in self.pieces]].sum()
            level = np.clip(self.continuous(x, self.law.methods("cdf")[0]) - earlier, 0.0, mass)
            return level, self.law._pdf_pushforward(x)
        values = self.values(x, self.solver)
        return self._own(piece, mass, x, values.tail), values.density

    def _invert(self, piece: Piece, level: FloatArray) -> FloatArray:
        """Where the mass of the interval has reached a level."""
        mass = float(self.masses[self.pieces.index(piece)])

        def points(t: FloatArray) -> tuple[FloatArray, FloatArray]:
            x, rate = piece.along(t)
            return np.maximum(x, SMALLEST) if piece.lower == 0 else x, rate

        def own(x: FloatArray) -> tuple[FloatArray, FloatArray]:
            reached, density = self._level(piece, mass, x)
            # beside a hard edge away from 0 points round onto it
            return np.where(x <= piece.lower, 0.0, np.where(x >= piece.upper, mass, reached)), density

        grid = piece.coordinates(129)
        levels = np.concatenate([[0.0], own(points(grid[1:-1])[0])[0], [mass]])
        seen = ~np.isnan(levels)
        grid, levels = grid[seen], np.maximum.accumulate(levels[seen])
        place = np.clip(np.searchsorted(levels, level), 1, levels.size - 1)
        low, high = grid[place - 1], grid[place]
        span = np.maximum(levels[place] - levels[place - 1], SMALLEST)
        t = low + (high - low) * np.clip((level - levels[place - 1]) / span, 0, 1)
        gap = np.zeros(level.shape)
        live = np.arange(level.size)
        for _ in range(60):
            x, rate = points(t[live])
            reached, density = own(x)
            gap[live] = reached - level[live]
            now, miss = t[live], gap[live]
            low[live], high[live] = np.where(miss <= 0, now, low[live]), np.where(miss > 0, now, high[live])
            with np.errstate(all="ignore"):
                step = now - miss / (density * rate)
            usable = np.isfinite(step) & (step > low[live]) & (step < high[live])
            new = np.where(usable, step, (low[live] + high[live]) / 2)
            done = (np.abs(miss) < 2e-15) | (np.abs(new - now) < 1e-15 * np.maximum(1.0, np.abs(now)))
            t[live] = np.where(done, now, new)
            live = live[~done]
            if live.size == 0:
                break
        x, _ = piece.along(t)
        x = np.where(np.isnan(gap), np.nan, x)
        return np.where(level <= 0, piece.lower, np.where(level >= mass, piece.upper, x))

    # --- integrals ------------------------------------------------------------------------------------------------

    @cached_property
    def quadrature(self) -> Quadrature:
        """The panels of the law's integrals."""
        return Quadrature(self)

    @property
    def rule(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights of expectations, atoms included."""
        return self.quadrature.rule

    def expectation(self, f: Callable[[FloatArray], npt.ArrayLike]) -> float:
        """E f(X)."""
        x, w = self.law._quadrature_rule()
        return float(np.sum(np.asarray(f(x)) * w))

    def cauchy(self, z: ComplexArray) -> ComplexArray:
        """G by quadrature; meaningful away from the support only."""
        x, w = self.law._quadrature_rule()
        return np.array([np.sum(w / (point - x)) for point in z])

    def curve(self, points: int, tol: float) -> Curve:
        """See `Law.curve`."""
        from rmt.curves import draw_curve

        return draw_curve(self, points, tol)


def on_atoms(x: FloatArray, positions: FloatArray, size: FloatArray) -> FloatArray:
    """Points within a few roundings of an atom moved onto it; ``size`` of the numbers that the points came from."""
    if positions.size == 0:
        return x
    nearest = np.abs(x[:, np.newaxis] - positions).argmin(axis=1)
    rounding = 4 * np.finfo(float).eps * size[nearest]
    return np.where(np.abs(x - positions[nearest]) <= rounding, positions[nearest], x)
