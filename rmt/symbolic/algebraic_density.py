"""Cauchy transform and density of an algebraic law on its right branch, with proof, at any degree.

The branch is fixed at infinity, where G = 1/z + m_1/z² + …, and followed through the upper half-plane, where G has no
singularity, to the real axis. A step is proved by Rouché's theorem. With P expanded at a point,
``P(m_0 + u, z_0 + v) = sum T_kl u^k v^l``, if

    |T_10| rho > |T_00| + sum_(k>=2) |T_k0| rho^k + sum_(k, l>=1) |T_kl| rho^k h^l,

then for every |v| <= h exactly one root lies within rho of m_0; it is an analytic function of v. Where the disc so found
at the next point lies in the last one, the root in it is the continuation of the last one. Rounding is part of the
bound: every T_kl carries the error of its evaluation. Where double precision proves nothing, the step is repeated with
more digits by mpmath. Along the real axis the same holds: a disc free of branch points continues the boundary value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

from rmt.results import ConvergenceError
from rmt.symbolic.bivariate import Bivariate

__all__ = ["BranchWalk", "CertifiedValues", "algebraic_cauchy", "algebraic_density"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Radii and steps that are tried, in units about |m_0| and |z_0|, which may be small by chance.
_RADII = 2.0 ** np.arange(30, -50, -1)
_STEPS = 2.0 ** np.arange(40.0, -53.0, -0.5)
# Digits of the arithmetic, tried in turn: 0 is double precision.
_DIGITS = (0, 30, 60, 120, 240)
# A leg of the path is given up after so many steps; one along the axis where the steps have shrunk by this factor, which
# they do in front of a branch point.
_LIMIT = 20000
_SHRUNK = 1 / 64
_SLACK = 1 + 1e-9
# Relative radius of an answer beyond which more digits are taken.
_ACCURACY = 1e-9
# Units are not made smaller than this power of 2: a root may be 0 by symmetry.
_SMALLEST = -60


@dataclass(frozen=True)
class CertifiedValues:
    """Values with proved error bounds.

    Attributes
    ----------
    values : ndarray
        The values, in the shape of the argument.
    radius : ndarray
        The true value lies within this distance.
    """

    values: Any
    radius: Any


def algebraic_density(law: Bivariate, x: npt.ArrayLike) -> CertifiedValues:
    """Density of the continuous part of an algebraic law at real x, proved to be on the law's branch.

    Parameters
    ----------
    law : Bivariate
        Without parameters, with a power series at infinity: see `rmt.symbolic.bivariate`.
    x : array_like
        Real points, not singular ones (edges, atoms).

    Returns
    -------
    CertifiedValues
        ``values`` and ``radius`` in the shape of x; where the root is proved real the density is 0 exactly.

    Raises
    ------
    ValueError
        If the polynomial has symbols, or the law no power series at infinity.
    ConvergenceError
        If a point is, or is too close to, a singular one.

    Examples
    --------
    >>> import rmt
    >>> from rmt.symbolic import bivariate
    >>> found = algebraic_density(bivariate(rmt.FussCatalan(order=10)), [1.0, 30.0])
    >>> found.values
    array([0.03838781, 0.        ])
    """
    points = np.asarray(x)
    if np.iscomplexobj(points):
        raise ValueError("x: complex; the density lives on the real axis, ask `algebraic_cauchy`")
    g = algebraic_cauchy(law, points)
    values = -np.imag(g.values) / np.pi
    radius = np.where(values == 0, 0.0, g.radius / np.pi)
    return CertifiedValues(values + 0.0, radius) if points.ndim else CertifiedValues(float(values), float(radius))


def algebraic_cauchy(law: Bivariate, z: npt.ArrayLike) -> CertifiedValues:
    """G(z) of an algebraic law with proof, for Im z >= 0; real z means the limit from above.

    Raises
    ------
    ValueError
        If the polynomial has symbols, the law no power series at infinity, or a point lies below the axis.
    ConvergenceError
        If a point is, or is too close to, a singular one.
    """
    points = np.asarray(z, dtype=complex)
    if np.any(points.imag < 0):
        raise ValueError("z: below the real axis; take the conjugate of the value at the conjugate point")
    branch = BranchWalk(law)
    flat = points.ravel()
    values, radius = np.empty(flat.shape, dtype=complex), np.empty(flat.shape)
    for k in np.lexsort((flat.imag, flat.real))[::-1]:
        values[k], radius[k] = branch.value(complex(flat[k]))
    shaped = values.reshape(points.shape), radius.reshape(points.shape)
    return CertifiedValues(*shaped) if points.ndim else CertifiedValues(complex(values[0]), float(radius[0]))


class _LostError(ArithmeticError):
    """A step that these digits cannot prove."""


@dataclass(frozen=True)
class _Place:
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
        rho, h = _step(self.t, self.error)
        return rho * self.units[0], h * self.units[1]


class BranchWalk:
    """The branch of a law, at the place where it was asked for last.

    Parameters
    ----------
    law : Bivariate
        Without parameters, with a power series at infinity.

    Raises
    ------
    ValueError
        If the polynomial has symbols, or the law no power series at infinity.
    """

    def __init__(self, law: Bivariate) -> None:
        if law.parameters:
            raise ValueError(f"law={law!r}: has the symbols {law.parameters}; give them values by `at`")
        if law.seeds is None:
            raise ValueError(f"law={law!r}: its branch is no power series at infinity (heavy tails); use law.pdf(x)")
        inner = law.to("m")
        mean, second = (Fraction(x) for x in law.moments(2))
        self._unit = math.frexp(float(abs(mean)) + math.sqrt(float(second - mean**2)))[1] if second else 0
        self._models: dict[int, _Expansion] = {}
        self._terms = {e[:2]: c for e, c in inner.ring.terms(inner.element).items()}
        self._law = law
        self._here = self._from_infinity()

    def value(self, z: complex) -> tuple[complex, float]:
        """G at a point of the closed upper half-plane and its error bound.

        Raises
        ------
        ConvergenceError
            If the point is, or is too close to, a singular one.
        """
        scale = math.ldexp(1.0, self._unit)
        target = complex(z / scale)  # exact: a power of 2
        here = self._here
        last = complex(here.z)
        legs: list[list[complex]] = []
        if last.imag == 0 and target.imag == 0 and last != target:
            legs.append([target])
        height = max(abs(target.real - last.real), abs(target.imag), abs(last.imag), 1e-3 * abs(target))
        legs.append([complex(last.real, height), complex(target.real, height), target])
        for leg in legs:
            try:
                place = here
                for stop in leg:
                    place = self._walk(place, stop, _SHRUNK if len(leg) == 1 else 0)
                value, radius = self._answer(self._sharpened(place))
            except _LostError:
                continue
            self._here = place
            return -value / scale, radius / scale
        raise ConvergenceError(
            f"the branch of {self._law!r} is singular at z = {z:.17g}, or too close to a singular point; move the point"
        )

    def along(self, start: complex, path: Sequence[complex]) -> tuple[complex, float]:
        """Continuation of G from a point along segments, which may leave the upper half-plane, and its error bound.

        Raises
        ------
        ConvergenceError
            If the path meets a singular point.
        """
        self.value(start)
        scale = math.ldexp(1.0, self._unit)
        place = self._here
        try:
            for stop in path:
                place = self._walk(place, complex(stop / scale), 0)
        except _LostError as error:
            raise ConvergenceError(f"the path {list(path)} meets a singular point of {self._law!r}; move it") from error
        return -complex(place.m) / scale, (place.radius + 4e-16 * abs(complex(place.m))) / scale

    def _sharpened(self, place: _Place) -> _Place:
        """The same root with more digits where the proved radius is large beside what is asked for."""
        for digits in _DIGITS:
            wanted = abs(complex(place.m).imag) if complex(place.z).imag == 0 else float(abs(place.m))
            alone = place.units[0] * _isolation(place.t, place.error)
            real = complex(place.z).imag == 0 and 2 * wanted + place.radius < alone
            if real or place.radius <= _ACCURACY * wanted:
                break
            if digits > place.digits:
                try:
                    place = _settle(self._model(digits), place, place.m, place.z, place.step()[0])
                except _LostError:
                    continue
        return place

    def passes(self, m: complex, z: float) -> bool:
        """Whether -G is the analytic branch through a simple root m at a real z.

        Raises
        ------
        ConvergenceError
            If the root is not simple.
        """
        scale = math.ldexp(1.0, self._unit)
        try:
            place = _settle(self._model(0), None, m * scale, complex(z / scale), math.inf)
            rho, h = place.step()
        except _LostError as error:
            raise ConvergenceError(f"m={m!r}: no simple root of {self._law!r} at z = {z}") from error
        value, radius = self.value(complex(z, 0.5 * h * scale))
        return bool(abs(-value * scale - complex(place.m)) + radius * scale < rho)

    def _answer(self, place: _Place) -> tuple[complex, float]:
        m = complex(place.m)
        # complex() has rounded what was found with more digits
        radius = place.radius + (4e-16 * abs(m) if place.digits else 0.0)
        if complex(place.z).imag == 0:
            alone = place.units[0] * _isolation(place.t, place.error)
            if 2 * abs(m.imag) + place.radius < alone:
                return complex(m.real), radius  # the conjugate root is the same one
            if abs(m.imag) <= place.radius:
                raise _LostError
        return m, radius

    def _model(self, digits: int) -> _Expansion:
        if digits not in self._models:
            self._models[digits] = _Expansion(self._terms, self._unit, digits)
        return self._models[digits]

    def _walk(self, place: _Place, target: complex, shrunk: float) -> _Place:
        """Follow the root along a segment; give up where steps have shrunk by a factor."""
        first = 0.0
        for _ in range(_LIMIT):
            if complex(place.z) == target:
                return place
            first = first or place.step()[1]
            place = self._step(place, target, shrunk * first)
        raise _LostError

    def _step(self, place: _Place, target: complex, least: float) -> _Place:
        """One step, by the fewest digits that prove it."""
        for digits in _DIGITS:
            model = self._model(digits)
            try:
                here = place if place.digits == digits else _settle(model, place, place.m, place.z, math.inf)
            except _LostError:
                continue
            rho, h = here.step()
            left = target - complex(here.z)
            if h < least and h < abs(left):
                raise _LostError
            fraction = 1.0 if abs(left) <= h else 0.9 * h / abs(left)
            slope = complex(here.t[0, 1]) * here.units[0] / here.units[1]
            while h > 0 and fraction * abs(left) > 1e-16 * abs(here.z):
                z = target if fraction == 1 else complex(here.z) + fraction * left
                try:
                    return _settle(model, here, here.m - slope * (z - complex(here.z)), z, rho)
                except _LostError:
                    fraction /= 4
        raise _LostError

    def _from_infinity(self) -> _Place:
        """The first place: high up, in the disc around infinity where one branch is the law's."""
        law = self._law.at_infinity
        ring, seeds = law.ring, [Fraction(s) for s in law.seeds or ()]
        k = len(seeds)
        below = math.lcm(1, *(s.denominator for s in seeds))
        y, x = ring.gens[0], ring.gens[1]
        known = sum((x**j * int(c * below) for j, c in enumerate([Fraction(1), *seeds])), ring.constant(0))
        # M = 1 + m_1 x + … + m_K x^K + x^K u, with a simple root u = 0 at x = 0
        element = ring.substitute(
            law.element, (known + y * x**k * below, ring.constant(below)), (x, ring.constant(1))
        )
        element = ring.without_monomials(element, (1,))
        terms = {e[:2]: c for e, c in ring.terms(element).items()}
        for digits in _DIGITS:
            try:
                return self._start(terms, seeds, digits)
            except _LostError:
                continue
        raise ConvergenceError(f"the branch of {self._law!r} at infinity was not resolved; report this law")

    def _start(self, terms: dict[tuple[int, int], int], seeds: Sequence[Fraction], digits: int) -> _Place:
        # x = 1/z in units of the scale, and u in those of the moment that it stands for
        k = len(seeds)
        model = _Expansion(terms, -self._unit, digits, order=k)
        t, error, _, _ = model.at(0, 0)
        rho, h = _step(t, error)
        if h == 0:
            raise _LostError
        z = 1j / (0.9 * h)
        known = sum(float(c) * math.ldexp(1.0, -self._unit * j) * z ** (-j)
                    for j, c in enumerate([Fraction(1), *seeds]))
        main = self._model(digits)
        place = _settle(main, None, -known / z, z, math.inf)
        y = -complex(place.m) * z
        off = abs(y - known) * abs(z) ** k
        if not (off + place.radius * abs(z) ** (k + 1)) * _SLACK + 1e-12 * abs(z) ** k < rho:
            raise _LostError
        return place


class _Expansion:
    """Taylor coefficients of a polynomial at a point with bounds of their rounding, by doubles or by mpmath.

    Units are powers of 2, u in units of 2^p and v in units of 2^q, so that scaling is exact and nothing overflows.
    """

    def __init__(self, terms: dict[tuple[int, int], int], unit: int, digits: int, order: int = -1) -> None:
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
        _LostError
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
                raise _LostError
            out = (t / slope).astype(complex)
            error = self._rounding * (bound / abs(slope)).astype(float)
        if not (np.all(np.isfinite(out)) and np.all(np.isfinite(error))):
            raise _LostError
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
                raise _LostError
            m = m - value / slope
            if size == 0 or (size >= best / 2 and size < 1e-3 * float(abs(m))):
                break
            best = min(best, size)
        return m * unit


class _Binomials:
    """binom(i, k) x^(i-k) as a matrix over k and the exponents i of a polynomial."""

    def __init__(self, exponents: Sequence[int], digits: int) -> None:
        orders = range(max(exponents) + 1)
        self._table = np.array([[math.comb(i, k) for i in exponents] for k in orders], dtype=object if digits else float)
        self._index = np.maximum(np.array([[i - k for i in exponents] for k in orders]), 0)

    def expanded(self, x: Any) -> Any:
        return self._table * _powers(x, max(int(self._index.max()), 0) + 1)[self._index]


def _exponent(x: Any) -> int:
    """p with 2^p <= |x| < 2^(p+1); 0 for 0, where the unit is that of the law."""
    return max(math.frexp(float(abs(x)))[1] - 1, _SMALLEST) if x != 0 else 0


def _powers(x: Any, n: int) -> Any:
    out = [x**0]
    for _ in range(n - 1):
        out.append(out[-1] * x)
    return np.array(out, dtype=complex if isinstance(x, complex | float) else object)


def _settle(model: _Expansion, last: _Place | None, guess: Any, z: Any, room: float) -> _Place:
    """The root near a guess, proved to lie within ``room`` of the last place."""
    m = model.newton(guess, z)
    t, error, p, q = model.at(m, z)
    small = (float(abs(t[0, 0])) + error[0, 0]) * 2 + 1e-300
    if not _gap(t, error, small ** np.arange(t.shape[0])[None, :])[0] > 0:
        raise _LostError
    place = _Place(m, z, t, error, (2.0**p, 2.0**q), small * 2.0**p, model.digits)
    if last is not None and not (float(abs(m - model.number(last.m))) + place.radius) * _SLACK < room:
        raise _LostError
    return place


@cache
def _radius_powers(n: int) -> FloatArray:
    with np.errstate(over="ignore"):
        out: FloatArray = _RADII[:, None] ** np.arange(n)
    return out


@cache
def _step_powers(n: int) -> FloatArray:
    with np.errstate(over="ignore"):
        out: FloatArray = _STEPS ** np.arange(1, n)[:, None]
    return out


def _gap(t: ComplexArray, error: FloatArray, powers: FloatArray) -> FloatArray:
    """By how much Rouché's inequality holds at v = 0, for several radii given by their powers."""
    upper = np.abs(t[:, 0]) + error[:, 0]
    upper[1] = error[1, 0] - 1  # |T_10| = 1
    with np.errstate(all="ignore"):
        out: FloatArray = -(powers @ upper)
    return out


def _isolation(t: ComplexArray, error: FloatArray) -> float:
    """The largest radius tried that holds one root only."""
    good = _RADII[_gap(t, error, _radius_powers(t.shape[0])) > 0]
    return float(good.max()) if good.size else 0.0


def _step(t: ComplexArray, error: FloatArray) -> tuple[float, float]:
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
