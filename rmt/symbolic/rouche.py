"""Roots of bivariate polynomials with proof: expansions with bounds of their rounding, and Rouché's theorem on them.

With P expanded at a point, ``P(m_0 + u, z_0 + v) = sum T_kl u^k v^l``, if

    |T_10| rho > |T_00| + sum_(k>=2) |T_k0| rho^k + sum_(k, l>=1) |T_kl| rho^k h^l,

then for every |v| <= h exactly one root lies within rho of m_0; it is an analytic function of v.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

__all__ = ["SLACK", "Expansion", "LostError", "Place", "isolation", "largest_step", "settle"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Radii and steps that are tried, in units about |m_0| and |z_0|, which may be small by chance.
_RADII = 2.0 ** np.arange(30, -50, -1)
_STEPS = 2.0 ** np.arange(40.0, -53.0, -0.5)
# Comparisons of radii leave room for their own rounding.
SLACK = 1 + 1e-9
# Units are not made smaller than this power of 2: a root may be 0 by symmetry.
_SMALLEST = -60


class LostError(ArithmeticError):
    """A step that these digits cannot prove."""


@dataclass(frozen=True)
class Place:
    """A root m of P(., z) with its expansion, in units of the scale: proved to lie within ``radius`` of m."""

    m: Any
    z: Any
    t: ComplexArray
    error: FloatArray
    units: tuple[float, float]
    radius: float
    digits: int

    def step(self) -> tuple[float, float]:
        """(rho, h): one root within rho of m for all points within h of z."""
        rho, h = largest_step(self.t, self.error)
        return rho * self.units[0], h * self.units[1]


class Expansion:
    """Taylor coefficients of a polynomial at a point with bounds of their rounding, by doubles or by mpmath.

    Units are powers of 2, u in units of 2^p and v in units of 2^q, so that scaling is exact and nothing overflows.
    """

    def __init__(self, terms: Mapping[tuple[int, ...], int], unit: int, digits: int, order: int = -1) -> None:
        self.digits = digits
        self._context = mpmath.mp.clone() if digits else None
        if self._context is not None:
            self._context.dps = digits
        # rows and columns that are not 0: polynomials of deep products have few
        self._rows, self._columns = (sorted({e[axis] for e in terms}) for axis in (0, 1))
        shape = len(self._rows), len(self._columns)
        # m = m'/2^unit, z = 2^unit z' (order -1); u = 2^(unit order) u' for the series at infinity
        self._exponents = np.zeros(shape, dtype=np.int64)
        self._mantissas = np.zeros(shape, dtype=object if digits else float)
        for (i, j), c in terms.items():
            place = self._rows.index(i), self._columns.index(j)
            shift = c.bit_length()
            value: Any = Fraction(c, 1 << shift)
            if self._context is not None:
                value = self._context.mpf(value.numerator) / value.denominator
            self._mantissas[place] = float(value) if not digits else value
            self._exponents[place] = shift + unit * (j + order * i)
        self._m_table = _Binomials(self._rows, digits)
        self._z_table = _Binomials(self._columns, digits)
        epsilon = 10.0 ** (1 - digits) if digits else float(np.finfo(float).eps)
        self._rounding = epsilon * (4 * max(self._rows) + 4 * max(self._columns) + 16)

    def number(self, value: Any) -> Any:
        """A complex number in the arithmetic of the expansion."""
        return complex(value) if self._context is None else self._context.mpc(value)

    def _weighted(self, p: int, q: int) -> Any:
        """The coefficients in units 2^p of m and 2^q of z, the largest about 1."""
        exponents = self._exponents + np.add.outer(np.multiply(self._rows, p), np.multiply(self._columns, q))
        exponents -= exponents[self._mantissas != 0].max()
        if self._context is None:
            return np.ldexp(self._mantissas, np.clip(exponents, -2000, 0))
        two = self._context.mpf(2)
        return self._mantissas * np.array([[two ** int(e) for e in row] for row in exponents], dtype=object)

    def at(self, m: Any, z: Any) -> tuple[ComplexArray, FloatArray, int, int]:
        """(T_kl/T_10, bounds of their errors, p, q).

        Raises
        ------
        LostError
            If T_10 is lost in rounding.
        """
        m, z = self.number(m), self.number(z)
        p, q = _exponent(m), _exponent(z)
        core = self._weighted(p, q)
        with np.errstate(all="ignore"):
            left = self._m_table.expanded(m * self.number(2.0**-p))
            right = self._z_table.expanded(z * self.number(2.0**-q)).T
            t = left @ core @ right
            bound = np.abs(left) @ np.abs(core) @ np.abs(right)
            slope = t[1, 0]
            if not abs(slope) > 10 * self._rounding * bound[1, 0]:
                raise LostError
            out = (t / slope).astype(complex)
            error = self._rounding * (bound / abs(slope)).astype(float)
        if not (np.all(np.isfinite(out)) and np.all(np.isfinite(error))):
            raise LostError
        return out, error + 1e-15 * np.abs(out), p, q

    def newton(self, m: Any, z: Any) -> Any:
        """A root near m, to the precision of the arithmetic."""
        m, z = self.number(m), self.number(z)
        p, q = _exponent(m), _exponent(z)
        unit = self.number(2.0**p)
        column = self._weighted(p, q) @ _powers(z * self.number(2.0**-q), max(self._columns) + 1)[self._columns]
        dense: list[Any] = [0] * (max(self._rows) + 1)
        for row, c in zip(self._rows, column, strict=True):
            dense[row] = c
        dense.reverse()
        m = m / unit
        best = math.inf
        for _ in range(60):
            value: Any = 0
            slope: Any = 0
            for c in dense:
                slope = slope * m + value
                value = value * m + c
            size = float(abs(value / slope)) if slope != 0 else math.nan
            if not math.isfinite(size):
                raise LostError
            m = m - value / slope
            if size == 0 or (size >= best / 2 and size < 1e-3 * float(abs(m))):
                break
            best = min(best, size)
        return m * unit


class _Binomials:
    """binom(i, k) x^(i-k) as a matrix over k and the exponents i of a polynomial."""

    def __init__(self, exponents: Sequence[int], digits: int) -> None:
        orders = range(max(exponents) + 1)
        kind = object if digits else float
        self._table = np.array([[math.comb(i, k) for i in exponents] for k in orders], dtype=kind)
        self._index = np.maximum(np.array([[i - k for i in exponents] for k in orders]), 0)

    def expanded(self, x: Any) -> Any:
        """The matrix at x."""
        return self._table * _powers(x, max(int(self._index.max()), 0) + 1)[self._index]


def _exponent(x: Any) -> int:
    """P with 2^p <= |x| < 2^(p+1); 0 for 0, where the unit is that of the law."""
    return max(math.frexp(float(abs(x)))[1] - 1, _SMALLEST) if x != 0 else 0


def _powers(x: Any, n: int) -> Any:
    out = [x**0]
    for _ in range(n - 1):
        out.append(out[-1] * x)
    return np.array(out, dtype=complex if isinstance(x, complex | float) else object)


def settle(model: Expansion, last: Place | None, guess: Any, z: Any, room: float) -> Place:
    """The root near a guess, proved to lie within ``room`` of the last place."""
    m = model.newton(guess, z)
    t, error, p, q = model.at(m, z)
    small = (float(abs(t[0, 0])) + error[0, 0]) * 2 + 1e-300
    if not _gap(t, error, small ** np.arange(t.shape[0])[None, :])[0] > 0:
        raise LostError
    place = Place(m, z, t, error, (2.0**p, 2.0**q), small * 2.0**p, model.digits)
    if last is not None and not (float(abs(m - model.number(last.m))) + place.radius) * SLACK < room:
        raise LostError
    return place


@cache
def _radius_powers(n: int) -> FloatArray:
    with np.errstate(over="ignore"):
        out: FloatArray = np.power.outer(_RADII, np.arange(n, dtype=float))
    return out


@cache
def _step_powers(n: int) -> FloatArray:
    with np.errstate(over="ignore"):
        out: FloatArray = np.power.outer(_STEPS, np.arange(1.0, n)).T
    return out


def _gap(t: ComplexArray, error: FloatArray, powers: FloatArray) -> FloatArray:
    """By how much Rouché's inequality holds at v = 0, for several radii given by their powers."""
    upper = np.abs(t[:, 0]) + error[:, 0]
    upper[1] = error[1, 0] - 1  # |T_10| = 1
    with np.errstate(all="ignore"):
        out: FloatArray = -(powers @ upper)
    return out


def isolation(t: ComplexArray, error: FloatArray) -> float:
    """The largest radius tried that holds one root only."""
    good = _RADII[_gap(t, error, _radius_powers(t.shape[0])) > 0]
    return float(good.max()) if good.size else 0.0


def largest_step(t: ComplexArray, error: FloatArray) -> tuple[float, float]:
    """(rho, h) of Rouché's inequality with the largest h of those tried; h = 0 where none is proved."""
    powers = _radius_powers(t.shape[0])
    gap = _gap(t, error, powers)
    useful = gap > 0
    if not useful.any():
        return 0.0, 0.0
    upper = np.abs(t[:, 1:]) + error[:, 1:]
    with np.errstate(all="ignore"):
        total = (powers[useful] @ upper) @ _step_powers(t.shape[1])
    good = total < 0.99 * gap[useful][:, None]
    first = np.where(good.any(axis=1), good.argmax(axis=1), len(_STEPS))
    k = int(first.argmin())
    if first[k] == len(_STEPS):
        return 0.0, 0.0
    return float(_RADII[useful][k]), float(_STEPS[first[k]])
