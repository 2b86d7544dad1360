"""Curves: density and distribution function at points chosen for the law, and checked."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmt.density import on_atoms
from rmt.piece import LARGEST, SMALLEST, Piece
from rmt.quadrature import Panels
from rmt.results import ConvergenceError, Curve, PreconditionError, Status

if TYPE_CHECKING:
    from rmt.density import Density
    from rmt.law import Law

__all__ = ["draw_curve"]

FloatArray = npt.NDArray[np.float64]

# From this many points on an interval, half of them are placed where straight lines between the others miss most mass.
_FEWEST = 24
_ROUNDS = 3
_COLUMNS = ("theta", "x", "rate", "density", "cdf", "level", "error", "residual")
# Disagreements above this (of the mass; of the largest density per angle; of a moment's scale) are errors.
_MASS = 1e-7
_DENSITY = 1e-6
_MOMENT = 1e-7
# Panels of an image of laws that were halved down to this angle contain a singularity of one of these laws.
_NARROW = 1e-3


@dataclasses.dataclass
class _Part:
    """The points on one interval, by increasing angle."""

    piece: Piece
    mass: float
    theta: FloatArray
    x: FloatArray
    rate: FloatArray
    density: FloatArray
    cdf: FloatArray
    level: FloatArray  # of the continuous part within the interval
    error: FloatArray
    residual: FloatArray

    def merged(self, other: _Part) -> _Part:
        """Both sets of points."""
        both = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _COLUMNS}
        return _Part(self.piece, self.mass, **both).chosen(np.argsort(both["theta"]))

    def chosen(self, index: npt.NDArray[Any]) -> _Part:
        """Some of the points."""
        return _Part(self.piece, self.mass, **{name: getattr(self, name)[index] for name in _COLUMNS})

    def cells(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Left ends, right ends, and the mass that a straight line of the density per angle misses in each cell."""
        height = np.where(np.isfinite(self.density), self.density * self.rate, 0.0)
        theta = np.concatenate([[0.0], self.theta, [np.pi]])
        height = np.concatenate([[0.0], height, [0.0]])
        level = np.concatenate([[0.0], self.level, [self.mass]])
        missed = np.abs(np.diff(level) - np.diff(theta) * (height[1:] + height[:-1]) / 2)
        # where nothing is missed to speak of, the widest cells come first
        return theta[:-1], theta[1:], np.nan_to_num(missed) + 1e-12 * np.diff(theta) ** 3


def draw_curve(density: Density, points: int, tol: float) -> Curve:
    """The curve of a law; see `Law.curve`."""
    law = density.law
    typical = sum(mass / piece.extent for piece, mass in zip(density.pieces, density.masses, strict=True))
    parts = _placed(density, points, tol, typical)
    names = ("x", "density", "cdf", "error", "residual")
    empty = np.empty(0)
    x, rho, cdf, error, residual = (
        np.concatenate([getattr(part, name) for part in parts]) if parts else empty for name in names
    )
    size = np.maximum(typical, rho)
    unresolved = ~(error <= tol * size)
    masses = _check_masses(density, parts, cdf)
    moments = _check_moments(law, density)
    support = law.support()
    metadata = {
        "law": repr(law),
        "method": law.methods("pdf")[0],
        "tol": tol,
        "atoms": {repr(float(a)): float(p) for a, p in support.atoms.items()},
        # an unbounded end is None
        "intervals": [[_finite(a), _finite(b)] for a, b in support.intervals],
        "edge_exponents": [None if e.exponent is None else float(e.exponent) for e in support.edges],
        "mean": moments[0],
        "mass_below_grid": float(cdf[0]) if cdf.size else 0.0,
        "mass_above_grid": float(1 - cdf[-1]) if cdf.size else 0.0,
        "density_against_cdf": masses,
        "moments_against_series": moments[1],
        # relative to the density, or to the mean height where that is larger
        "largest_error": float(np.nanmax(error / size, initial=0.0)),
        "largest_residual": max([float(np.nanmax(residual, initial=0.0)), *_inner_residuals(law)]),
        "unresolved": int(np.sum(unresolved)),
    }
    status = Status.UNRESOLVED if np.any(unresolved) else Status.OK
    return Curve(x, np.where(unresolved, np.nan, rho), cdf, error, status, metadata)


def _finite(position: Any) -> float | None:
    return float(position) if math.isfinite(float(position)) else None


def _inner_residuals(law: Law) -> list[float]:
    """Largest residuals met so far by the laws that a law is the image of."""
    if law.methods("pdf")[0] != "pushforward":
        return []
    return [r for inner in _inner(law) for r in (inner.largest_residual, *_inner_residuals(inner.law))]


def _inner(law: Law) -> list[Density]:
    """The laws that a law is the image of."""
    values: list[Any] = [getattr(law, f.name) for f in dataclasses.fields(law)]  # type: ignore[arg-type]
    found = []
    while values:
        value = values.pop(0)
        if isinstance(value, tuple):
            values.extend(value)
        elif hasattr(value, "_density"):
            found.append(value._density)
    return found


# --- points ---------------------------------------------------------------------------------------------------------


def _placed(density: Density, points: int, tol: float, typical: float) -> list[_Part]:
    """Half of the points at equidistant angles, the others where they are wanted most.

    Of the latter those that fall on a singularity (a cusp, say) and are not resolved are left out.
    """
    pieces = density.pieces
    each = max(8, points // max(1, len(pieces)))
    first = each if each < _FEWEST else each // 2
    ranges = [piece.resolvable(tol) for piece in pieces]
    before = np.concatenate([[0.0], np.cumsum(density.masses)])
    parts = []
    for index, (low, high) in enumerate(ranges):
        theta = low + (np.arange(first) + 0.5) * (high - low) / first
        parts.append(_evaluated(density, index, before[index], theta))
    rest = (each - first) * len(pieces)
    for rounds_left in range(_ROUNDS, 0, -1):
        if rest == 0:
            break
        wanted = rest // rounds_left
        rest -= wanted
        for index, theta in enumerate(_wanted(parts, ranges, wanted)):
            if theta.size:
                new = _evaluated(density, index, before[index], theta)
                parts[index] = parts[index].merged(new.chosen(new.error <= tol * np.maximum(typical, new.density)))
    return parts


def _wanted(parts: list[_Part], ranges: list[tuple[float, float]], count: int) -> list[FloatArray]:
    """Angles of ``count`` new points: the cells that miss most are split, as often as their share of it asks for.

    Halving a cell leaves each half an eighth of what it misses, so that k points in it leave 1/(k + 1)**3 a cell.
    """
    cells = [part.cells() for part in parts]
    left, right, missed = (np.concatenate([cell[k] for cell in cells]) for k in range(3))
    owner = np.repeat(np.arange(len(parts)), [cell[0].size for cell in cells])
    bounds = np.array(ranges)[owner]
    left, right = np.maximum(left, bounds[:, 0]), np.minimum(right, bounds[:, 1])
    missed = np.where(right - left > 1e-9, missed, 0.0)
    splits = np.zeros(missed.size, dtype=np.intp)
    for _ in range(count):
        worst = int(np.argmax(missed / (splits + 1.0) ** 3))
        splits[worst] += 1
    out: list[list[float]] = [[] for _ in parts]
    for cell in np.flatnonzero(splits):
        inner = np.linspace(left[cell], right[cell], splits[cell] + 2)[1:-1]
        out[owner[cell]].extend(inner.tolist())
    return [np.array(sorted(angles)) for angles in out]


def _evaluated(density: Density, index: int, before: float, theta: FloatArray) -> _Part:
    law, piece, mass = density.law, density.pieces[index], float(density.masses[index])
    x, rate = piece.grid(theta)
    kept = (np.abs(x) > SMALLEST) & (np.abs(x) < LARGEST) & (x > piece.lower) & (x < piece.upper)
    theta, x, rate = theta[kept], x[kept], rate[kept]
    method = law.methods("pdf")[0]
    if method in ("explicit", "subordination"):
        values = density.values(x, method)
        rho, error, residual = values.density, values.error, values.residual
        cdf = density.assembled(x, values.tail)
        level = cdf - density.jumps(x) - before
    else:
        rho = density.pdf(x, method)
        error, residual = 16 * np.finfo(float).eps * rho, np.zeros(x.shape)
        cdf = density.cdf(x, law.methods("cdf")[0])
        positions = density.atoms[0]
        level = cdf - density.jumps(on_atoms(x, positions, np.abs(positions))) - before
    return _Part(piece, mass, theta, x, rate, rho, cdf, level, error, residual)


# --- checks ---------------------------------------------------------------------------------------------------------


def _check_masses(density: Density, parts: list[_Part], cdf: FloatArray) -> float:
    """Largest difference between masses by the density and by the distribution function, over panels and points.

    Raises
    ------
    ConvergenceError
        Naming the region, if they disagree.
    """
    worst = 0.0
    image = "pushforward" in density.law.methods("pdf")
    for inner in _inner(density.law) if image else []:
        worst = max(worst, _check_masses(inner, [], np.empty(0)))
    fitted = density.quadrature.panels
    for piece, panels in zip(density.pieces, fitted, strict=True):
        kept = _decided(piece, panels, image)
        defect = np.where(kept, np.nan_to_num(panels.defect), 0.0)
        k = int(np.argmax(defect))
        if defect[k] > _MASS:
            ends = piece.grid(np.array([panels.left[k], panels.right[k]]))[0]
            raise _disagreement(density, "density and distribution function", float(defect[k]), ends)
        worst = max(worst, float(defect[k]))
    for part, panels in zip(parts, fitted, strict=bool(parts)):
        worst = max(worst, _check_points(density, part, panels, _decided(part.piece, panels, image)))
    fall = np.flatnonzero(np.diff(cdf) < -1e-9)
    if fall.size:
        beside = np.concatenate([part.x for part in parts])[fall[0] : fall[0] + 2]
        raise _disagreement(density, "distribution function and monotony", float(-np.diff(cdf)[fall[0]]), beside)
    return worst


def _decided(piece: Piece, panels: Panels, image: bool) -> npt.NDArray[np.bool_]:
    """Panels that decide about a law: for an image of others those where x has its digits and the density is smooth.

    Beside a hard edge that was moved away from 0, or that lies inside the interval, only the law behind can tell.
    """
    if not image:
        return np.ones(panels.left.shape, dtype=bool)
    beside = piece.beside_hard_edge(panels.left) | piece.beside_hard_edge(panels.right)
    return ~beside & (panels.right - panels.left > _NARROW)


def _check_points(density: Density, part: _Part, panels: Panels, decided: npt.NDArray[np.bool_]) -> float:
    """The points against the panels' polynomials, which were solved elsewhere."""
    height, level = panels.interpolated(part.theta)
    where = np.clip(np.searchsorted(panels.left, part.theta, side="right") - 1, 0, panels.left.size - 1)
    height, level = (np.where(decided[where], values, np.nan) for values in (height, level))
    scale = float(np.nanmax(panels.density, initial=0.0))
    allowed = _DENSITY * scale + 10 * part.error * part.rate
    off = np.nan_to_num(np.abs(part.density * part.rate - height)) / np.maximum(allowed, 1e-300)
    shifted = np.nan_to_num(np.abs(part.level - level))
    for wrong, size in ((off > 1, off * _DENSITY), (shifted > _MASS, shifted)):
        if np.any(wrong):
            k = int(np.argmax(np.where(wrong, size, 0)))
            beside = part.x[max(k - 1, 0) : k + 2]
            raise _disagreement(density, "curve and quadrature", float(size[k]), beside)
    return float(np.max(shifted, initial=0.0))


def _check_moments(law: Law, density: Density) -> tuple[float | None, float | None]:
    """The mean, and the largest difference of the first two moments from the series, relative to their scale.

    Raises
    ------
    ConvergenceError
        If they disagree.
    """
    try:
        mean, second = (float(m) for m in law.moments(2))
    except PreconditionError:  # they do not exist
        try:
            return float(law.mean()), None
        except PreconditionError:
            return None, None
    x, weights = law._quadrature_rule()
    size = float(np.sum(weights * np.abs(x)))
    off_mean = abs(np.sum(weights * x) - mean) / max(size, SMALLEST)
    off_second = abs(np.sum(weights * x * x) - second) / max(second, SMALLEST)
    worst = float(max(off_mean, off_second))
    if worst > _MOMENT:
        ends = np.array([law.support().lower, law.support().upper])
        raise _disagreement(density, ("mean" if off_mean > _MOMENT else "second moment") + " and series", worst, ends)
    return mean, worst


def _disagreement(density: Density, what: str, size: float, ends: FloatArray) -> ConvergenceError:
    return ConvergenceError(
        f"curve of {density.law!r}: {what} disagree by {size:.2g} on [{float(ends[0]):.9g}, {float(ends[-1]):.9g}]. "
        "This is a bug: please report the law; meanwhile compare `law.pdf(x, method=...)` over `law.methods('pdf')`"
    )
