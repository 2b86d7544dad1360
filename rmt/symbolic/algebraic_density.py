"""Cauchy transform and density of an algebraic law on its right branch, with proof, at any degree.

The branch is fixed at infinity, where G = 1/z + m_1/z² + …, and followed through the upper half-plane, where G has no
singularity, to the real axis. A step is proved by Rouché's theorem (`rmt.symbolic.rouche`): one root lies in a disc,
for all points of a step; where the disc found at the next point lies in it, the root in that is its continuation.
Rounding is part of the bound. Where double precision proves nothing, the step is repeated with more digits by mpmath.
Along the real axis the same holds: a disc free of branch points continues the boundary value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.results import ConvergenceError
from rmt.symbolic.bivariate import Bivariate
from rmt.symbolic.rouche import SLACK, Expansion, LostError, Place, isolation, largest_step, settle

__all__ = ["BranchWalk", "CertifiedValues", "algebraic_cauchy", "algebraic_density"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Digits of the arithmetic, tried in turn: 0 is double precision.
_DIGITS = (0, 30, 60, 120, 240)
# A leg of the path is given up after so many steps; one along the axis where the steps have shrunk by this factor,
# which they do in front of a branch point.
_LIMIT = 20000
_SHRUNK = 1 / 64
# Relative radius of an answer beyond which more digits are taken.
_ACCURACY = 1e-9


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
    array([0.05656582, 0.        ])
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
            raise ValueError(
                f"law={law!r}: its branch at infinity is not determined (heavy tails, or an inverse); use law.pdf(x)"
            )
        inner = law.to("m")
        mean, second = (Fraction(x) for x in law.moments(2))
        self._unit = math.frexp(float(abs(mean)) + math.sqrt(float(second - mean**2)))[1] if second else 0
        self._models: dict[int, Expansion] = {}
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
            except LostError:
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
        except LostError as error:
            raise ConvergenceError(f"the path {list(path)} meets a singular point of {self._law!r}; move it") from error
        return -complex(place.m) / scale, (place.radius + 4e-16 * abs(complex(place.m))) / scale

    def _sharpened(self, place: Place) -> Place:
        """The same root with more digits where the proved radius is large beside what is asked for."""
        for digits in _DIGITS:
            wanted = abs(complex(place.m).imag) if complex(place.z).imag == 0 else float(abs(place.m))
            alone = place.units[0] * isolation(place.t, place.error)
            real = complex(place.z).imag == 0 and 2 * wanted + place.radius < alone
            if real or place.radius <= _ACCURACY * wanted:
                break
            if digits > place.digits:
                try:
                    place = settle(self._model(digits), place, place.m, place.z, place.step()[0])
                except LostError:
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
            place = settle(self._model(0), None, m * scale, complex(z / scale), math.inf)
            rho, h = place.step()
        except LostError as error:
            raise ConvergenceError(f"m={m!r}: no simple root of {self._law!r} at z = {z}") from error
        value, radius = self.value(complex(z, 0.5 * h * scale))
        return bool(abs(-value * scale - complex(place.m)) + radius * scale < rho)

    def _answer(self, place: Place) -> tuple[complex, float]:
        m = complex(place.m)
        # complex() has rounded what was found with more digits
        radius = place.radius + (4e-16 * abs(m) if place.digits else 0.0)
        if complex(place.z).imag == 0:
            alone = place.units[0] * isolation(place.t, place.error)
            if 2 * abs(m.imag) + place.radius < alone:
                return complex(m.real), radius  # the conjugate root is the same one
            if abs(m.imag) <= place.radius:
                raise LostError
        return m, radius

    def _model(self, digits: int) -> Expansion:
        if digits not in self._models:
            self._models[digits] = Expansion(self._terms, self._unit, digits)
        return self._models[digits]

    def _walk(self, place: Place, target: complex, shrunk: float) -> Place:
        """Follow the root along a segment; give up where steps have shrunk by a factor."""
        first = 0.0
        for _ in range(_LIMIT):
            if complex(place.z) == target:
                return place
            first = first or place.step()[1]
            place = self._step(place, target, shrunk * first)
        raise LostError

    def _step(self, place: Place, target: complex, least: float) -> Place:
        """One step, by the fewest digits that prove it."""
        for digits in _DIGITS:
            model = self._model(digits)
            try:
                here = place if place.digits == digits else settle(model, place, place.m, place.z, math.inf)
            except LostError:
                continue
            rho, h = here.step()
            left = target - complex(here.z)
            if h < least and h < abs(left):
                raise LostError
            fraction = 1.0 if abs(left) <= h else 0.9 * h / abs(left)
            slope = complex(here.t[0, 1]) * here.units[0] / here.units[1]
            while h > 0 and fraction * abs(left) > 1e-16 * abs(here.z):
                z = target if fraction == 1 else complex(here.z) + fraction * left
                try:
                    return settle(model, here, here.m - slope * (z - complex(here.z)), z, rho)
                except LostError:
                    fraction /= 4
        raise LostError

    def _from_infinity(self) -> Place:
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
            except LostError:
                continue
        raise ConvergenceError(f"the branch of {self._law!r} at infinity was not resolved; report this law")

    def _start(self, terms: Mapping[tuple[int, ...], int], seeds: Sequence[Fraction], digits: int) -> Place:
        # x = 1/z in units of the scale, and u in those of the moment that it stands for
        k = len(seeds)
        model = Expansion(terms, -self._unit, digits, order=k)
        t, error, _, _ = model.at(0, 0)
        rho, h = largest_step(t, error)
        if h == 0:
            raise LostError
        z = 1j / (0.9 * h)
        known = sum(float(c) * math.ldexp(1.0, -self._unit * j) * z ** (-j)
                    for j, c in enumerate([Fraction(1), *seeds]))
        main = self._model(digits)
        place = settle(main, None, -known / z, z, math.inf)
        y = -complex(place.m) * z
        off = abs(y - known) * abs(z) ** k
        if not (off + place.radius * abs(z) ** (k + 1)) * SLACK + 1e-12 * abs(z) ** k < rho:
            raise LostError
        return place
