"""Derivations of polynomial images: G is a sum over the preimages of z."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from rmt.algebra.polynomial_image import PolynomialImage
from rmt.symbolic.derivation import Derivation, Step, to_sympy
from rmt.symbolic.dispatch import derive
from rmt.symbolic.letters import G, z
from rmt.symbolic.subordination import Part, finish, part_of, renamed

__all__ = ["derive_polynomial_image"]

_Y = sp.Symbol("y")


@derive.register
def _(law: PolynomialImage) -> Derivation:
    return derive_polynomial_image(law, tuple(to_sympy(c) for c in law.coefficients), law.law)


def derive_polynomial_image(law: Any, coefficients: tuple[Any, ...], inner_law: Any) -> Derivation:
    """Derivation of the law of p(X), p(x) = Σ coefficients[k] x**k: G(z) = Σ_j G_X(y_j)/p'(y_j), p(y_j) = z."""
    inner = derive(inner_law)
    polynomial = sp.Add(*(c * _Y**k for k, c in enumerate(coefficients)))
    slope = sp.diff(polynomial, _Y)
    constraints: list[Any] = []
    starts: dict[Any, Any] = {}
    terms: list[Any] = []
    for j, (point, start, unknown) in enumerate(_preimages(coefficients), 1):
        if unknown:
            starts[point] = start
            constraints.append(sp.Eq(polynomial.subs(_Y, point), z, evaluate=False))
        part = part_of(inner, str(j), explicit=not unknown)
        if _below(start):
            part = _mirrored(part)
        if part.equation.lhs == G and not part.equation.rhs.has(G):
            value = part.equation.rhs.subs(z, point)
        else:
            value = sp.Symbol(f"G_{j}")
            constraints += part.at(value, point)
            starts |= {value: 1 / start, **part.starts_at(start)}
        terms.append(value / slope.subs(_Y, point))
    equation = sp.Eq(G, sp.Add(*terms), evaluate=False)
    step = Step(
        "Polynomial image",
        (equation, *constraints),
        "As a function of $x$, $1/(z - p(x))$ has simple poles at the preimages $y_j$ of $z$, with residues "
        "$-1/p'(y_j)$; the mean of each term is a value of $G_X$.",
        "derived here",
        inner.equation,
    )
    return finish(law, equation, constraints, starts, (*inner.steps, step))


def _preimages(coefficients: tuple[Any, ...]) -> list[tuple[Any, Any, bool]]:
    """(preimage, its behaviour at infinity, whether it is an unknown)."""
    degree = len(coefficients) - 1
    leading, second = coefficients[-1], coefficients[-2]
    centre = -second / (degree * leading)
    # a power of z for which z in the upper half-plane leads to well-separated arguments
    size = (z / leading) ** sp.Rational(1, degree) if not leading.is_negative else None
    if size is None:
        size = (z / -leading) ** sp.Rational(1, degree) * sp.exp(-sp.I * sp.pi / degree)
    turns = [sp.exp(2 * sp.pi * sp.I * k / degree) for k in range(degree)]
    if degree == 2:
        lowest = coefficients[0] - second**2 / (4 * leading)
        root = sp.sqrt(z - lowest) / sp.sqrt(abs(leading)) * (-sp.I if leading.is_negative else 1)
        return [(centre + sign * root, sign * size, False) for sign in (1, -1)]
    return [(sp.Symbol(f"y_{k}"), size * turn + centre, True) for k, turn in enumerate(turns, 1)]


def _below(start: Any) -> bool:
    """Whether a preimage of points of the upper half-plane lies in the lower one; p is real, so none crosses."""
    point = start.subs({z: 10**6 * sp.I} | dict.fromkeys(start.free_symbols - {z}, 1))
    return bool(sp.im(sp.N(point)) < 0)


def _mirrored(part: Part) -> Part:
    """The equation of G on the lower half-plane, where it takes conjugate values."""
    swap = {sp.I: -sp.I}
    return replace(
        part, equation=renamed(part.equation, swap), constraints=tuple(renamed(c, swap) for c in part.constraints)
    )
