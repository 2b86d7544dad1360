"""Integrals over a law: Gauss–Legendre panels in the angle of each interval, checked against the distribution function.

The density and the distribution function of a solved system share no formula past the solution itself, so that a point
on a wrong branch, or an edge in the wrong place, shows as a panel whose two masses differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rmt.piece import SMALLEST, Piece
from rmt.results import ConvergenceError

if TYPE_CHECKING:
    from rmt.density import Density

__all__ = ["Panels", "Quadrature"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_ORDER = 32
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(_ORDER)
# Legendre coefficients of the polynomial through the values at the nodes.
_TO_COEFFICIENTS = (
    (2 * np.arange(_ORDER)[:, np.newaxis] + 1) / 2 * np.polynomial.legendre.legvander(_NODES, _ORDER - 1).T * _WEIGHTS
)
_FIRST_PANELS = 8
_MOST_HALVINGS = 40
# Halvings of any number of panels; after these only as many are halved as singularities inside an interval ask for.
_HALVINGS = 14
_SINGULAR = 8
# A panel is fine when its mass agrees with the distribution function to this, or when its polynomial has converged to
# this share of the largest density per angle.
_MASS_TOLERANCE = 1e-13
_TAIL_TOLERANCE = 1e-12
_MOMENT_TOLERANCE = 1e-11
# What lies below the smallest number is left out where it is less than this share of the angle's range.
_NEGLIGIBLE = 1e-14
# Beside a hard edge away from 0 the rounding of x shows in the density.
_NOISE = 1e-9
# Below this share of its largest coefficient a polynomial's last ones tell that it follows the density everywhere.
_FAITHFUL = 1e-9


@dataclass(frozen=True)
class Panels:
    """Panels of one interval, in increasing order; arrays of shape (panels,) or (panels, nodes).

    ``left`` and ``right`` are angles, ``density`` is per unit of angle, ``level`` the distribution function of the
    continuous part, within the interval, at the left ends (NaN where it is not known). ``defect`` is the difference of
    the two masses of each panel.
    """

    left: FloatArray
    right: FloatArray
    x: FloatArray
    density: FloatArray
    level: FloatArray
    defect: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Weights of expectations, shape (panels, nodes)."""
        out: FloatArray = self.density * _WEIGHTS * ((self.right - self.left) / 2)[:, np.newaxis]
        return out

    def interpolated(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Density per unit of angle and mass below, by the panels' polynomials; NaN where these do not fit."""
        where = np.clip(np.searchsorted(self.left, theta, side="right") - 1, 0, self.left.size - 1)
        coefficients = self.density @ _TO_COEFFICIENTS.T
        largest = np.max(np.abs(coefficients), axis=1)
        faithful = np.max(np.abs(coefficients[:, -4:]), axis=1) <= _FAITHFUL * largest
        half = (self.right - self.left) / 2
        t = (theta - self.left[where]) / half[where] - 1
        basis = np.polynomial.legendre.legvander(t, _ORDER)
        density = np.sum(basis[:, :-1] * coefficients[where], axis=1)
        # the integral of P_n from -1 is (P_(n+1) - P_(n-1))/(2n + 1)
        integrals = np.empty((t.size, _ORDER))
        integrals[:, 0] = 1 + t
        n = np.arange(1, _ORDER)
        integrals[:, 1:] = (basis[:, 2:] - basis[:, :-2]) / (2 * n + 1)
        level = self.level[where] + half[where] * np.sum(integrals * coefficients[where], axis=1)
        fits = faithful[where]
        return np.where(fits, density, np.nan), np.where(fits, level, np.nan)


@dataclass(frozen=True)
class _Bottom:
    """Where x underflows at a hard edge at 0: the mass to the edge is ``linear s + square s**2``, nearly linear.

    ``upper`` says that the edge is the upper end of the interval, whose mass is ``whole``.
    """

    upper: bool
    whole: float
    linear: float
    square: float

    def variable(self, theta: FloatArray) -> FloatArray:
        """The s of angles: |x| ~ s**power."""
        out: FloatArray = (np.cos if self.upper else np.sin)(theta / 2) ** 2
        return out


class Quadrature:
    """Integrals over the continuous part of one law, and over the law."""

    def __init__(self, density: Density) -> None:
        self._density = density
        self._method = density.law.methods("pdf")[0]
        self._known: dict[float, float] = {}
        self._bottoms: dict[Piece, _Bottom | None] = {}

    @cached_property
    def panels(self) -> list[Panels]:
        """Panels of each interval, halved until they fit."""
        masses = self._density.masses
        before = np.concatenate([[0.0], np.cumsum(masses)])
        pieces = self._density.pieces
        return [self._fitted(piece, mass, below) for piece, mass, below in zip(pieces, masses, before, strict=False)]

    @cached_property
    def rule(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights of expectations, atoms included.

        Raises
        ------
        ConvergenceError
            If the density was not resolved, or does not add up to the mass of an interval.
        """
        for piece, mass, panels in zip(self._density.pieces, self._density.masses, self.panels, strict=True):
            if np.any(np.isnan(panels.density)):
                bad = panels.x[np.isnan(panels.density)][0]
                raise ConvergenceError(
                    f"quadrature of {self._density.law!r}: the density was not resolved near x = {bad:.9g}; use `cdf`, "
                    "which needs no quadrature"
                )
            total = panels.weights.sum()
            if abs(total - mass) > 1e-6:
                raise ConvergenceError(
                    f"quadrature of {self._density.law!r}: the density on [{piece.lower:.6g}, {piece.upper:.6g}] adds "
                    f"up to {total:.12g} instead of {mass:.12g}; use `cdf`, which needs no quadrature"
                )
        positions, masses = self._density.atoms
        nodes = [panels.x.ravel() for panels in self.panels]
        weights = [panels.weights.ravel() for panels in self.panels]
        return np.concatenate([*nodes, positions]), np.concatenate([*weights, masses])

    def below(self, piece: Piece, x: FloatArray) -> FloatArray:
        """Mass of (piece.lower, x], by the density alone."""
        before = float(self._density.masses[: self._density.pieces.index(piece)].sum())
        order = np.argsort(x)
        theta = piece.angles(x[order])
        out = np.empty(x.shape)
        out[order] = np.cumsum(self._cell_masses(piece, np.concatenate([[0.0], theta[:-1]]), theta, before))
        return out

    # --- panels -------------------------------------------------------------------------------------------------

    def _fitted(self, piece: Piece, mass: float, before: float) -> Panels:
        borders = np.linspace(0, np.pi, _FIRST_PANELS + 1)
        if piece.lower < 0 < piece.upper:  # powers of |x| have a kink there
            zero = piece.angles(np.zeros(1))[0]
            borders = np.sort([*borders[np.abs(borders - zero) > 1e-6], zero])
        levels = np.concatenate([[0.0], self._levels(piece, borders[1:-1], before), [mass]])
        left, right, low, high = borders[:-1], borders[1:], levels[:-1], levels[1:]
        x, density = self._at(piece, left, right, before)
        for halvings in range(_MOST_HALVINGS):
            split = self._misfit(piece, left, right, x, density, high - low)
            if not np.any(split) or (halvings >= _HALVINGS and np.sum(split) > _SINGULAR):
                break
            middle = (left + right)[split] / 2
            between = self._levels(piece, middle, before)
            parts = [np.concatenate([left[split], middle]), np.concatenate([middle, right[split]])]
            new_x, new_density = self._at(piece, parts[0], parts[1], before)
            left, right = np.concatenate([left[~split], parts[0]]), np.concatenate([right[~split], parts[1]])
            low = np.concatenate([low[~split], low[split], between])
            high = np.concatenate([high[~split], between, high[split]])
            x, density = np.concatenate([x[~split], new_x]), np.concatenate([density[~split], new_density])
            order = np.argsort(left)
            left, right, low, high, x, density = (a[order] for a in (left, right, low, high, x, density))
        defect = np.abs(self._sums(right - left, density) - (high - low))
        return Panels(left, right, x, density, low, defect)

    def _misfit(
        self, piece: Piece, left: FloatArray, right: FloatArray, x: FloatArray, density: FloatArray, rise: FloatArray
    ) -> BoolArray:
        """Panels that must be halved: for their mass, or (where the tails allow) for that of their second moment."""
        width = right - left
        noisy = piece.beside_hard_edge(left) | piece.beside_hard_edge(right)
        off = ~(np.abs(self._sums(width, density) - rise) <= np.where(noisy, _NOISE, _MASS_TOLERANCE))
        out: BoolArray = off & ~_converged(width, density, np.where(noisy, _NOISE, _TAIL_TOLERANCE))
        if piece.light:
            scale = np.max(np.abs(x[density > 0]), initial=0.0)
            if scale > 0:
                out |= ~_converged(width, density * (x / scale) ** 2, np.where(noisy, _NOISE, _MOMENT_TOLERANCE))
        return out

    @staticmethod
    def _sums(width: FloatArray, density: FloatArray) -> FloatArray:
        out: FloatArray = density @ _WEIGHTS * width / 2
        return out

    def _levels(self, piece: Piece, theta: FloatArray, before: float) -> FloatArray:
        """Mass of the interval below some angles, by the distribution function; NaN if that is unknown."""
        method = self._density.law.methods("cdf")[0]
        if method == "quadrature":
            return np.full(theta.shape, np.nan)
        x, _ = piece.grid(theta)
        bottom = self._bottom(piece, before)
        tiny = (np.abs(x) < SMALLEST) & (bottom is not None)
        out = np.empty(x.shape)
        x = x[~tiny]
        if x.size:
            out[~tiny] = self._density.continuous(x, method) - before
        if bottom is not None:
            s = bottom.variable(theta[tiny])
            mass = bottom.linear * s + bottom.square * s * s
            out[tiny] = bottom.whole - mass if bottom.upper else mass
        return out

    def _bottom(self, piece: Piece, before: float) -> _Bottom | None:
        """What lies between a hard edge at 0 and the smallest number, fitted to mass and density at the latter."""
        if piece not in self._bottoms:
            self._bottoms[piece] = None
            end = piece.underflow()
            if end is not None and end[1] > _NEGLIGIBLE:
                upper, s, rate = end
                whole = float(self._density.masses[self._density.pieces.index(piece)])
                x = np.array([-SMALLEST if upper else SMALLEST])
                slope = float(self._density.pdf(x, self._method)[0]) * rate
                method = self._density.law.methods("cdf")[0]
                mass = slope * s
                if method != "quadrature":
                    mass = float((self._density.cdf(x, method) - self._density.jumps(x))[0]) - before
                    mass = whole - mass if upper else mass
                self._bottoms[piece] = _Bottom(upper, whole, 2 * mass / s - slope, (slope - mass / s) / s)
        return self._bottoms[piece]

    def _at(self, piece: Piece, left: FloatArray, right: FloatArray, before: float) -> tuple[FloatArray, FloatArray]:
        """Points and density per unit of angle at the nodes of panels, shape (panels, nodes)."""
        theta = left[:, np.newaxis] + (right - left)[:, np.newaxis] / 2 * (1 + _NODES)
        angles = theta.ravel()
        x, points, factor = piece.at_angles(angles)
        # the borders of zones next to edges are asked for many times
        known = np.isin(points, list(self._known))
        new, place, count = np.unique(points[~known], return_inverse=True, return_counts=True)
        values = self._density.pdf(new, self._method)
        self._known.update(zip(new[count > 1].tolist(), values[count > 1].tolist(), strict=True))
        density = np.empty(x.shape)
        density[~known] = values[place]
        density[known] = [self._known[point] for point in points[known].tolist()]
        with np.errstate(invalid="ignore", over="ignore"):
            per_angle = np.where(density == 0, 0.0, density * factor)
        tiny = np.abs(x) < SMALLEST
        bottom = self._bottom(piece, before) if np.any(tiny) else None
        if bottom is not None:
            slope = bottom.linear + 2 * bottom.square * bottom.variable(angles[tiny])
            per_angle[tiny] = slope * np.sin(angles[tiny]) / 2
        return x.reshape(theta.shape), per_angle.reshape(theta.shape)

    def _cell_masses(self, piece: Piece, left: FloatArray, right: FloatArray, before: float) -> FloatArray:
        """Integral of the density over each cell of angles; cells are halved until the halves agree with the whole."""
        total = np.zeros(left.shape)
        owner = np.arange(left.size)
        whole = self._sums(right - left, self._at(piece, left, right, before)[1])
        for _ in range(_HALVINGS):
            middle = (left + right) / 2
            first = self._sums(middle - left, self._at(piece, left, middle, before)[1])
            second = self._sums(right - middle, self._at(piece, middle, right, before)[1])
            split = np.abs(whole - first - second) > 1e-13
            np.add.at(total, owner[~split], (first + second)[~split])
            if not np.any(split):
                return total
            left, right = np.concatenate([left[split], middle[split]]), np.concatenate([middle[split], right[split]])
            owner, whole = np.tile(owner[split], 2), np.concatenate([first[split], second[split]])
        np.add.at(total, owner, whole)
        return total


def _converged(width: FloatArray, values: FloatArray, tolerance: float | FloatArray) -> BoolArray:
    """Panels whose polynomial's last coefficients weigh next to nothing against the whole integral."""
    last = np.max(np.abs(values @ _TO_COEFFICIENTS[-4:].T), axis=1)
    whole = np.sum(np.abs(values) @ _WEIGHTS * width)
    out: BoolArray = last * width <= tolerance * whole
    return out
