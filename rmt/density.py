"""Numbers on the support of a law: pdf, cdf, quantiles, quadrature and curves, written once for every law."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.continuation import solve
from rmt.parameters import as_float
from rmt.results import ConvergenceError, Curve, Status

if TYPE_CHECKING:
    from rmt.law import Law

__all__ = ["Density"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Inside this share of an interval's width next to an edge the density is scaled from the border of that zone by the
# edge's exponent: at the edge itself the system has a double root.
_EDGE_ZONE = 1e-11
_HARD_ZONE = 3e-8
# Intervals whose ends differ by more than this factor are gridded in log x.
_WIDE = 50.0
_SMALLEST = 1e-300
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


@dataclass(frozen=True)
class _Piece:
    """One interval of the support, with the map from an angle in (0, pi) to x."""

    lower: float
    upper: float
    lower_exponent: float | None
    upper_exponent: float | None

    def grid(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """x(theta) and |dx/dtheta|, chosen such that density * dx/dtheta is smooth and periodic."""
        lo, hi = self.lower, self.upper
        down = _stretch(self.lower_exponent)
        up = _stretch(self.upper_exponent)
        if lo > 0 and hi / lo > _WIDE and down == up == 1:
            middle, half = (np.log(hi) + np.log(lo)) / 2, (np.log(hi) - np.log(lo)) / 2
            x = np.exp(middle - half * np.cos(theta))
            return x, x * half * np.sin(theta)
        s = np.sin(theta / 2) ** 2  # in (0, 1)
        rest = np.cos(theta / 2) ** 2
        rate = np.sin(theta) / 2
        if up == 1:
            with np.errstate(under="ignore"):
                return lo + (hi - lo) * s**down, (hi - lo) * down * s ** (down - 1) * rate
        if down == 1:
            with np.errstate(under="ignore"):
                return hi - (hi - lo) * rest**up, (hi - lo) * up * rest ** (up - 1) * rate
        # singular at both ends: each end in its half, joined by the incomplete-beta-like blend s^d/(s^d + r^u)
        a, b = s**down, rest**up
        slope = (down * s ** (down - 1) * b + a * up * rest ** (up - 1)) / (a + b) ** 2
        return lo + (hi - lo) * a / (a + b), (hi - lo) * slope * rate


    def distances(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distances of x(theta) from both ends, with all their digits (for pieces that are not gridded in log x)."""
        a = np.sin(theta / 2) ** (2 * _stretch(self.lower_exponent))
        b = np.cos(theta / 2) ** (2 * _stretch(self.upper_exponent))
        if _stretch(self.upper_exponent) == 1:
            b = 1 - a
        elif _stretch(self.lower_exponent) == 1:
            a = 1 - b
        width = self.upper - self.lower
        return width * a / (a + b), width * b / (a + b)


def _stretch(exponent: float | None) -> float:
    """Power that makes an edge of density exponent e < 0 regular in the stretched variable."""
    if exponent is None:
        return 4.0
    return 1.0 if exponent >= 0 else 1 / (1 + exponent)


class Density:
    """Pointwise numbers of one law. Holds caches; the law itself stays immutable."""

    def __init__(self, law: Law) -> None:
        self.law = law

    @cached_property
    def pieces(self) -> list[_Piece]:
        """Intervals of the support as floats."""
        edges = self.law.support().edges
        number = [
            (as_float(e.position, "edge"), None if e.exponent is None else as_float(e.exponent, "exponent"))
            for e in edges
        ]
        return [_Piece(a, b, ea, eb) for (a, ea), (b, eb) in zip(number[::2], number[1::2], strict=True)]

    @cached_property
    def atoms(self) -> tuple[FloatArray, FloatArray]:
        """Positions and masses."""
        atoms = self.law.support().atoms
        masses = [as_float(p, "mass") for p in atoms.values()]
        return np.array([as_float(x, "atom") for x in atoms]), np.array(masses)

    @cached_property
    def masses(self) -> FloatArray:
        """Mass of each interval: the distribution function in the gaps, read off the potential."""
        x, p = self.atoms
        total = 1 - p.sum()
        if len(self.pieces) <= 1:
            return np.full(len(self.pieces), total)
        # off the middle, where symmetric laws have g = 0 and the subordination functions a pole
        gaps = np.array([a.upper + 0.382 * (b.lower - a.upper) for a, b in itertools.pairwise(self.pieces)])
        if self.law.methods("cdf")[0] == "pushforward":
            below = self.cdf(gaps, "pushforward") - np.array([p[x <= gap].sum() for gap in gaps])
            return np.diff(np.concatenate([[0.0], below, [total]]))
        solution = solve(self.law.numeric, gaps)
        if not np.all(solution.converged):
            raise ConvergenceError(f"masses of the intervals of {self.law!r}: the gaps between them were not resolved")
        below = 1 - solution.potential.imag / np.pi - np.array([p[x <= gap].sum() for gap in gaps])
        out: FloatArray = np.diff(np.concatenate([[0.0], below, [total]]))
        return out

    # --- density ----------------------------------------------------------------------------------------------

    def pdf(self, x: FloatArray, method: str) -> FloatArray:
        """Density at ``x``; NaN where unresolved."""
        if method == "pushforward":
            return self.law._pdf_pushforward(x)
        return self._interior(x, method)[0]

    def _interior(self, x: FloatArray, method: str) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(density, P(X > x) from the potential or NaN, error of the density), 0 density outside the intervals."""
        density = np.zeros(x.shape)
        upper_tail = np.full(x.shape, np.nan)
        error = np.zeros(x.shape)
        for piece in self.pieces:
            inside = (x > piece.lower) & (x < piece.upper)
            for edge, exponent in ((piece.lower, piece.lower_exponent), (piece.upper, piece.upper_exponent)):
                density[(x == edge) & ~inside] = 0.0 if exponent is not None and exponent > 0 else np.inf
            if not np.any(inside):
                continue
            points = x[inside]
            moved, factor, _, _ = _leave_edges(piece, points)
            if method == "closed_form":
                density[inside] = self.law._pdf_closed_form(moved) * factor
                continue
            solution = solve(self.law.numeric, moved)
            rho = np.where(solution.converged, np.maximum(-solution.g.imag / np.pi, 0.0), np.nan)
            density[inside] = rho * factor
            upper_tail[inside] = np.where(solution.converged, solution.potential.imag / np.pi, np.nan)
            # relative to what the continuous part alone contributes to g
            at_zero = float(self.atoms[1][self.atoms[0] == 0].sum())
            own = np.abs(solution.g - at_zero / moved) if at_zero else np.abs(solution.g)
            error[inside] = (solution.error + 4 * np.finfo(float).eps) * own / np.pi * factor
        return density, upper_tail, error

    def cdf(self, x: FloatArray, method: str) -> FloatArray:
        """P(X <= x)."""
        if method == "pushforward":
            return self.law._cdf_pushforward(x)
        if method == "closed_form":
            return self.law._cdf_closed_form(x)
        tail = self._interior(x, "subordination")[1] if method == "subordination" else None
        return self._assembled(x, tail)

    def _assembled(self, x: FloatArray, upper_tail: FloatArray | None) -> FloatArray:
        """Distribution function from its values inside the intervals (integrated if not given)."""
        positions, masses = self.atoms
        out = np.array([masses[positions <= point].sum() for point in x], dtype=float)
        for piece, mass in zip(self.pieces, self.masses, strict=True):
            inside = (x > piece.lower) & (x < piece.upper)
            if upper_tail is None:
                out[inside] += self._integrated(piece, x[inside])
            else:
                above = np.array([masses[positions > point].sum() for point in x[inside]])
                later = self.masses[[other.lower >= piece.upper for other in self.pieces]].sum()
                own = np.clip(mass - (upper_tail[inside] - above - later), 0.0, mass)
                _, _, from_lower, from_upper = _leave_edges(piece, x[inside])
                own = np.where(from_lower < 1, own * from_lower, mass - (mass - own) * from_upper)
                out[inside] += own
            out[x >= piece.upper] += mass
        clipped: FloatArray = np.minimum(out, 1.0)
        return clipped

    def _integrated(self, piece: _Piece, x: FloatArray) -> FloatArray:
        """Mass of (piece.lower, x] by quadrature of the density."""
        method = self.law.methods("pdf")[0]
        order = np.argsort(x)
        theta = np.array([_angle(piece, value) for value in x[order]])
        out = np.empty(x.shape)
        out[order] = np.cumsum(self._cell_masses(piece, np.concatenate([[0.0], theta[:-1]]), theta, method))
        return out

    def _cell_masses(self, piece: _Piece, left: FloatArray, right: FloatArray, method: str) -> FloatArray:
        """Integral of the density over each cell of angles; cells are halved until the halves agree with the whole."""
        total = np.zeros(left.shape)
        owner = np.arange(left.size)
        whole = self._panel_masses(piece, left, right, method)
        for _ in range(8):
            middle = (left + right) / 2
            first = self._panel_masses(piece, left, middle, method)
            second = self._panel_masses(piece, middle, right, method)
            split = np.abs(whole - first - second) > 1e-13
            np.add.at(total, owner[~split], (first + second)[~split])
            if not np.any(split):
                return total
            left, right = np.concatenate([left[split], middle[split]]), np.concatenate([middle[split], right[split]])
            owner, whole = np.tile(owner[split], 2), np.concatenate([first[split], second[split]])
        np.add.at(total, owner, whole)
        return total

    def _panel_masses(self, piece: _Piece, left: FloatArray, right: FloatArray, method: str) -> FloatArray:
        """Gauss–Legendre integral of the density over each panel of angles."""
        half = (right - left)[:, np.newaxis] / 2
        angles = left[:, np.newaxis] + half * (1 + _NODES)
        _, density = self._per_angle(piece, angles.ravel(), method)
        out: FloatArray = np.sum(density.reshape(angles.shape) * half * _WEIGHTS, axis=1)
        return out

    def _per_angle(self, piece: _Piece, theta: FloatArray, method: str) -> tuple[FloatArray, FloatArray]:
        """Points at the angles and the density per unit of angle there."""
        x, rate = piece.grid(theta)
        factor = np.ones(x.shape)
        points = x.copy()
        # next to a hard edge away from 0 the distance has no digits in x, but it has in the angle
        distances = piece.distances(theta)
        for edge, exponent, inwards, distance in (
            (piece.lower, piece.lower_exponent, 1.0, distances[0]),
            (piece.upper, piece.upper_exponent, -1.0, distances[1]),
        ):
            if edge == 0 or exponent is None or exponent >= 0:
                continue
            border = _HARD_ZONE * (piece.upper - piece.lower) + 4 * np.finfo(float).eps * abs(edge)
            close = distance < border
            points[close] = edge + inwards * border
            factor[close] = (distance[close] / abs(points[close] - edge)) ** exponent
        out = factor * rate
        if piece.lower == 0 and piece.lower_exponent is not None and piece.lower_exponent < 0:
            # where x underflows the density per unit of s = sin(theta/2)**2, x ~ s**power, has reached its limit
            power = _stretch(piece.lower_exponent)
            tiny = x < _SMALLEST
            points[tiny] = _SMALLEST
            s = (_SMALLEST / piece.upper) ** (1 / power)
            out[tiny] = _SMALLEST * power / s * np.sin(theta[tiny]) / 2
        else:
            points = np.maximum(points, _SMALLEST) if piece.lower == 0 else points
        return x, self.pdf(points, method) * out

    # --- quantiles ------------------------------------------------------------------------------------------------

    def ppf(self, q: FloatArray) -> FloatArray:
        """Quantiles: atoms by their jumps, intervals by safeguarded Newton steps on the distribution function."""
        if self.law.methods("pdf")[0] == "pushforward" or hasattr(self.law, "_ppf_pushforward"):
            return self.law._ppf_pushforward(q)  # type: ignore[attr-defined, no-any-return]
        positions, masses = self.atoms
        parts: list[tuple[float, float, Any]] = [(x, p, None) for x, p in zip(positions, masses, strict=True)]
        parts += [(piece.lower, mass, piece) for piece, mass in zip(self.pieces, self.masses, strict=True)]
        # at equal positions an atom comes first: it sits at the lower end of the interval
        parts.sort(key=lambda part: (part[0], part[2] is not None))
        if any(piece is not None and np.any((positions > piece.lower) & (positions < piece.upper))
               for _, _, piece in parts):
            return self._ppf_by_bisection(q)
        out = np.full(q.shape, self.law.support().upper)  # what rounding of the masses leaves over
        below = 0.0
        for position, mass, piece in parts:
            here = (q > below) & (q <= below + mass) if below > 0 else (q <= mass)
            if piece is None:
                out[here] = position
            elif np.any(here):
                out[here] = self._invert(piece, below, mass, q[here])
            below += mass
        return out

    def _invert(self, piece: _Piece, below: float, mass: float, q: FloatArray) -> FloatArray:
        theta = np.linspace(0, np.pi, 129)
        grid, _ = piece.grid(theta[1:-1])
        grid = np.maximum(grid, _SMALLEST) if piece.lower == 0 else grid
        levels = np.concatenate([[below], self.cdf(grid, self.law.methods("cdf")[0]), [below + mass]])
        seen = ~np.isnan(levels)
        theta, levels = theta[seen], np.maximum.accumulate(levels[seen])
        place = np.clip(np.searchsorted(levels, q), 1, levels.size - 1)
        low, high = theta[place - 1], theta[place]
        span = np.maximum(levels[place] - levels[place - 1], _SMALLEST)
        angle = low + (high - low) * np.clip((q - levels[place - 1]) / span, 0, 1)
        for _ in range(60):
            x, rate = piece.grid(angle)
            x = np.maximum(x, _SMALLEST) if piece.lower == 0 else x
            density, tail, _ = self._interior(x, "subordination")
            gap = self._assembled(x, tail) - q
            low, high = np.where(gap <= 0, angle, low), np.where(gap > 0, angle, high)
            with np.errstate(all="ignore"):
                step = angle - gap / (density * rate)
            usable = np.isfinite(step) & (step > low) & (step < high)
            new = np.where(usable, step, (low + high) / 2)
            done = (np.abs(gap) < 2e-15) | (np.abs(new - angle) < 1e-15)
            angle = np.where(done, angle, new)
            if np.all(done):
                break
        x, _ = piece.grid(angle)
        x = np.where(np.isnan(gap), np.nan, x)
        return np.where(q <= below, piece.lower, np.where(q >= below + mass, piece.upper, x))

    def _ppf_by_bisection(self, q: FloatArray) -> FloatArray:
        """Quantiles of a law with atoms inside its intervals."""
        support = self.law.support()
        low, high = np.full(q.shape, support.lower), np.full(q.shape, support.upper)
        method = self.law.methods("cdf")[0]
        at_bottom = self.cdf(low, method) >= q
        for _ in range(80):
            middle = (low + high) / 2
            reached = self.cdf(middle, method) >= q
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        for x in self.atoms[0]:
            high = np.where(np.abs(high - x) < 1e-12 * (1 + abs(x)), x, high)
        unresolved = np.isnan(self.cdf(high, method))
        return np.where(at_bottom, support.lower, np.where(unresolved, np.nan, high))

    # --- integrals --------------------------------------------------------------------------------------------------

    @cached_property
    def rule(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights (density included): Gauss–Legendre panels in the angle, in which both ends are regular."""
        method = self.law.methods("pdf")[0]
        nodes, weights = [], []
        for piece, mass in zip(self.pieces, self.masses, strict=True):
            for panels in (8, 32, 128):
                half = np.pi / (2 * panels)
                theta = (half * (2 * np.arange(panels)[:, np.newaxis] + 1 + _NODES)).ravel()
                x, density = self._per_angle(piece, theta, method)
                if np.any(np.isnan(density)):
                    raise ConvergenceError(f"quadrature of {self.law!r}: unresolved points in the density")
                w = density * half * np.tile(_WEIGHTS, panels)
                if abs(w.sum() - mass) < 1e-12:
                    break
            else:
                if abs(w.sum() - mass) > 1e-6:
                    raise ConvergenceError(
                        f"quadrature of {self.law!r}: the density on [{piece.lower:.6g}, {piece.upper:.6g}] adds up to "
                        f"{w.sum():.12g} instead of {mass:.12g}; use `cdf`, which needs no quadrature"
                    )
            nodes.append(x)
            weights.append(w)
        return np.concatenate([*nodes, self.atoms[0]]), np.concatenate([*weights, self.atoms[1]])

    def expectation(self, f: Callable[[FloatArray], npt.ArrayLike]) -> float:
        """E f(X)."""
        x, w = self.law._quadrature_rule()
        return float(np.sum(np.asarray(f(x)) * w))

    def cauchy(self, z: ComplexArray) -> ComplexArray:
        """G by quadrature; meaningful away from the support only."""
        x, w = self.law._quadrature_rule()
        return np.array([np.sum(w / (point - x)) for point in z])

    def _disagreement(self, thetas: list[FloatArray], cdf: FloatArray, method: str) -> float:
        """Largest difference between the mass of a few cells by Gauss quadrature of the density and by the cdf.

        The two share no formula past the solved system, so a point on a wrong branch shows; the cells at the ends of
        an interval show an edge in the wrong place.
        """
        positions, masses = self.atoms
        worst, start, below = 0.0, 0, 0.0
        for piece, mass, theta in zip(self.pieces, self.masses, thetas, strict=True):
            angles = np.concatenate([[0.0], theta, [np.pi]])
            before = below + masses[positions <= piece.lower].sum()
            below += mass
            after = below + masses[positions < piece.upper].sum()
            levels = np.concatenate([[before], cdf[start : start + theta.size], [after]])
            start += theta.size
            cells = np.unique(np.linspace(0, angles.size - 2, 9).astype(np.intp))
            low, high = angles[cells], angles[cells + 1]
            edges = piece.grid(angles)[0]
            jumps = np.array(
                [masses[(positions > edges[i]) & (positions <= edges[i + 1])].sum() for i in cells]
            )
            rises = np.diff(levels)[cells] - jumps
            gaps = np.abs(self._panel_masses(piece, low, high, method) - rises)
            doubtful = gaps > 1e-9  # a kink within the cell, or a real difference
            if np.any(doubtful):
                refined = self._cell_masses(piece, low[doubtful], high[doubtful], method)
                gaps[doubtful] = np.abs(refined - rises[doubtful])
            worst = max(worst, float(np.nanmax(gaps)) if np.any(~np.isnan(gaps)) else 0.0)
        return worst

    # --- curves -----------------------------------------------------------------------------------------------------

    def curve(self, points: int, tol: float) -> Curve:
        """See `Law.curve`."""
        method = self.law.methods("pdf")[0]
        count = max(8, points // max(1, len(self.pieces)))
        theta = (np.arange(count) + 0.5) * np.pi / count
        xs = [piece.grid(theta)[0] for piece in self.pieces]
        kept = [np.abs(points) > _SMALLEST for points in xs]
        thetas = [theta[keep] for keep in kept]
        x = np.concatenate([points[keep] for points, keep in zip(xs, kept, strict=True)]) if xs else np.empty(0)
        if method == "subordination":
            density, tail, error = self._interior(x, method)
            cdf = self._assembled(x, tail)
        else:
            density = self.pdf(x, method)
            error = 16 * np.finfo(float).eps * density
            cdf = self.cdf(x, self.law.methods("cdf")[0])
        typical = sum(mass / (piece.upper - piece.lower) for piece, mass in zip(self.pieces, self.masses, strict=True))
        unresolved = ~(error <= tol * np.maximum(typical, density))
        density = np.where(unresolved, np.nan, density)
        worst = self._disagreement(thetas, cdf, method)
        consistent = bool(np.all(np.diff(cdf) >= -1e-9)) and worst < 1e-7
        status = Status.UNRESOLVED if np.any(unresolved) else Status.OK if consistent else Status.INCONSISTENT
        support = self.law.support()
        metadata = {
            "law": repr(self.law),
            "method": method,
            "tol": tol,
            "atoms": {repr(float(a)): float(p) for a, p in support.atoms.items()},
            "intervals": [[float(a), float(b)] for a, b in support.intervals],
            "edge_exponents": [None if e.exponent is None else float(e.exponent) for e in support.edges],
            "mean": float(self.law.mean()),
            "mass_below_grid": float(cdf[0]) if cdf.size else 0.0,
            "mass_above_grid": float(1 - cdf[-1]) if cdf.size else 0.0,
            "density_against_cdf": worst,
            "largest_error": float(np.nanmax(error)) if error.size else 0.0,
            "unresolved": int(np.sum(unresolved)),
        }
        return Curve(x, density, cdf, error, status, metadata)


def _leave_edges(piece: _Piece, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Points moved out of the edge zones, and how density and mass scale on the way back.

    Returns the points, the factors of the density, and the shares of the mass beyond the lower and beyond the upper
    edge zone's border that remain (1 outside the zones).
    """
    moved, factor = x.copy(), np.ones(x.shape)
    shares = (np.ones(x.shape), np.ones(x.shape))
    ends = ((piece.lower, piece.lower_exponent, 1.0), (piece.upper, piece.upper_exponent, -1.0))
    for (edge, exponent, inwards), share in zip(ends, shares, strict=True):
        if edge == 0 or exponent is None:
            continue  # near 0 the distance is x itself, which loses no digits
        distance = (x - edge) * inwards
        # an edge far below the others (deep chains: 1e-18 next to 10) has a neighbourhood of its own size
        size = min(piece.upper - piece.lower, abs(edge)) if piece.lower > 0 else piece.upper - piece.lower
        zone = (_EDGE_ZONE if exponent > 0 else _HARD_ZONE) * size
        width = zone + 4 * np.finfo(float).eps * abs(edge)
        close = (distance < width) & (distance > 0)
        moved[close] = edge + inwards * width
        factor[close] = (distance[close] / width) ** exponent
        share[close] = (distance[close] / width) ** (1 + exponent)
    return moved, factor, *shares


def _angle(piece: _Piece, x: float) -> float:
    """The angle of a point, by bisection (the map is monotone)."""
    low, high = 0.0, np.pi
    for _ in range(60):
        middle = (low + high) / 2
        if piece.grid(np.array([middle]))[0][0] < x:
            low = middle
        else:
            high = middle
    return (low + high) / 2
