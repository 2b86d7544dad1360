"""Exact numbers and symbols as coefficients: from sympy into one ring, for several polynomials at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy as sp

from rmt.symbolic.derivation import to_sympy
from rmt.symbolic.elimination import VARIABLES, Ring, make_ring

if TYPE_CHECKING:
    from rmt.symbolic.bivariate import Bivariate

__all__ = ["as_fraction", "common_ring", "integer_terms", "ring_elements"]

Fractional = tuple[Any, Any]


def common_ring(
    laws: Sequence[Bivariate], scalars: Sequence[Any] = (), backend: str | None = None
) -> tuple[Ring, tuple[Any, ...], list[Fractional], list[Any]]:
    """One ring for several polynomials and numbers.

    Returns
    -------
    ring, parameters, scalars, elements
        The numbers and expressions as fractions of ring elements, and the polynomials' elements carried over.

    Raises
    ------
    ValueError
        If a number is a float.
    """
    parts = []
    for value in scalars:
        expression = to_sympy(value)
        if expression.has(sp.Float):
            raise ValueError(f"parameter {value!r}: a polynomial needs exact parameters; give Fraction or "
                             "sympy.Rational, not floats")
        numerator, denominator = expression.as_numer_denom() if expression.is_Rational else sp.fraction(
            sp.cancel(sp.together(expression))
        )
        parts.append((numerator, denominator))
    found: dict[Any, None] = {p: None for law in laws for p in law.parameters}
    marker = sp.Dummy()
    for value in (x for pair in parts for x in pair if not x.is_Integer):
        found |= {g: None for g in sp.Poly(value * marker).gens if g != marker}
    parameters = _ordered(found)
    ring = make_ring(len(parameters), backend or (laws[0].ring.backend if laws else None))
    place = {p: VARIABLES + k for k, p in enumerate(parameters)}
    elements = []
    for law in laws:
        if law.parameters == parameters and law.ring is ring:
            elements.append(law.element)
            continue
        terms: dict[tuple[int, ...], int] = {}
        for e, c in law.ring.terms(law.element).items():
            moved = [*e[:VARIABLES], *[0] * len(parameters)]
            for p, k in zip(law.parameters, e[VARIABLES:], strict=True):
                moved[place[p]] = k
            terms[tuple(moved)] = c
        elements.append(ring.from_terms(terms))
    return ring, parameters, [_ratio(ring, parameters, *pair) for pair in parts], elements


def _ratio(ring: Ring, parameters: tuple[Any, ...], numerator: Any, denominator: Any) -> Fractional:
    if numerator.is_Integer and denominator.is_Integer:
        return ring.constant(int(numerator)), ring.constant(int(denominator))
    polys = [sp.Poly(x, *parameters) for x in (numerator, denominator)]
    terms = [{(0,) * VARIABLES + e: as_fraction(c) for e, c in poly.terms()} for poly in polys]
    scale = math.lcm(*(c.denominator for part in terms for c in part.values()))
    a, b = (ring.from_terms({e: int(c * scale) for e, c in part.items()}) for part in terms)
    return a, b


def ring_elements(
    expressions: Sequence[Any], symbols: Sequence[Any], backend: str | None = None
) -> tuple[Ring, tuple[Any, ...], list[Any]]:
    """Numerators of sympy expressions as elements of one ring, whose u, v, w, t are the symbols given.

    Returns
    -------
    ring, parameters, elements
        Other symbols, and irrational numbers, are parameters.

    Raises
    ------
    ValueError
        If an expression has floats, vanishes, or is not rational in the symbols.
    """
    numerators = []
    for expression in expressions:
        plain = expression.as_expr()
        if plain.has(sp.Float):
            raise ValueError(f"{expression!r}: elimination needs exact parameters; give Fraction or sympy.Rational")
        numerator = plain if isinstance(expression, sp.Poly) else sp.expand(sp.numer(sp.together(plain)))
        if not numerator.is_polynomial(*symbols) or numerator.is_zero:
            raise ValueError(f"{expression!r}: no polynomial in {', '.join(map(str, symbols))}; name the variables")
        numerators.append(numerator)
    polys = [sp.Poly(x, *symbols) for x in numerators]
    found: dict[Any, None] = {}
    for poly, numerator in zip(polys, numerators, strict=True):
        if any(not c.is_Rational for c in poly.coeffs()):
            found |= {g: None for g in sp.Poly(numerator * sp.Mul(*symbols)).gens if g not in symbols}
    parameters = _ordered(found)
    ring = make_ring(len(parameters), backend)
    full = [sp.Poly(x, *symbols, *parameters) for x in numerators] if parameters else polys
    gap = (0,) * (VARIABLES - len(symbols))
    elements = []
    for poly in full:
        terms = {(*e[: len(symbols)], *gap, *e[len(symbols) :]): as_fraction(c) for e, c in poly.terms()}
        elements.append(ring.from_terms(integer_terms(terms)))
    return ring, parameters, elements


def _ordered(parameters: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(parameters, key=lambda p: (sp.default_sort_key(p), str(p))))


def as_fraction(value: Any) -> Fraction:
    """A rational number as a Fraction; ArithmeticError for any other."""
    if isinstance(value, Fraction | int):
        return Fraction(value)
    if not value.is_Rational:
        raise ArithmeticError(f"{value} is not rational")
    return Fraction(int(value.p), int(value.q))


def integer_terms(terms: Mapping[tuple[int, ...], Fraction]) -> dict[tuple[int, ...], int]:
    """The terms times the least common denominator."""
    scale = math.lcm(*(c.denominator for c in terms.values()))
    return {e: int(c * scale) for e, c in terms.items()}
