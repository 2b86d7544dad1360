"""G(z) in closed form from an equation of degree at most 3 in G, on the physical branch.

Degree 2: with P = a G² + b G + c, P' at G ~ 1/z is asymptotically λ z^d and the discriminant λ² z^(2d), so that
``G = (-b + λ Π (z - r) Π sqrt(z - e))/(2a)``, r the double and e the simple zeros of the discriminant. Each
``sqrt(z - e)`` with real e is analytic on the upper half-plane and behaves as sqrt(z) at infinity: the branch is right
everywhere there. Degree 3: Cardano's formula, each of whose branches has cuts; one is taken only if it agrees with the
root followed from infinity at points that cover the half-plane. On the real axis there is always a formula for the
density.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import sympy as sp

from rmt.symbolic.letters import G, z
from rmt.symbolic.system import System, compiled

__all__ = ["cubic_density", "explicit_solution"]

_POINTS = 6


def explicit_solution(equation: Any) -> Any:
    """G(z) on the upper half-plane, or None."""
    difference = equation.lhs - equation.rhs
    if equation.lhs == G and not equation.rhs.has(G):
        return equation.rhs
    if not difference.is_rational_function(G, z):
        return None
    poly = sp.Poly(sp.numer(sp.together(difference)), G)
    if poly.degree() == 1:
        a, b = poly.all_coeffs()
        return sp.factor(-b / a)
    if poly.degree() == 2:
        exact = [_exact(c) for c in poly.all_coeffs()]
        found = _quadratic(*exact)
        return found if found is None or not difference.has(sp.Float) else sp.N(found, 17)
    if poly.degree() == 3 and difference.free_symbols == {G, z} and not difference.has(sp.Float):
        return _cubic(poly)
    return None


def _quadratic(a: Any, b: Any, c: Any) -> Any:
    discriminant = sp.factor(b**2 - 4 * a * c)
    slope = sp.Poly(sp.expand(z * b + 2 * a), z)  # z P'(1/z)
    if not discriminant.is_polynomial(z) or slope.is_zero:
        return None
    degree = sp.degree(discriminant, z)
    if degree != 2 * (slope.degree() - 1):  # the root at infinity is a double one
        return None
    _, factors = sp.factor_list(discriminant, z)
    leading = slope.LC()
    root = sp.Integer(1)
    for factor, multiplicity in factors:
        if not factor.has(z):
            continue
        zeros = sp.roots(sp.Poly(factor, z))
        if sum(zeros.values()) != sp.degree(factor, z):
            return None
        for zero, order in zeros.items():
            if zero.is_real is False:
                return None
            exponent = order * multiplicity
            shifted = z - sp.factor_terms(zero)
            root *= shifted ** (exponent // 2) * sp.sqrt(shifted) ** (exponent % 2)
    if not c.has(z):  # without cancellation at infinity, where G is small
        return 2 * c / (-b - leading * root)
    return (-b + leading * root) / (2 * a)


def _cubic(poly: Any) -> Any:
    a, b, inner, outer, square = _cardano(poly)
    if inner == 0:
        return None
    points, scale = _cover(poly)
    expected = _followed(poly, points, scale)
    unity = sp.Rational(-1, 2) + sp.sqrt(3) * sp.I / 2
    # the numbers of the formula once, so that its cuts can be tried quickly
    numbers = compiled((z,), [3 * a + 0 * z, b + 0 * z, inner + 0 * z, outer + 0 * z, square + 0 * z])(points)
    n_a, n_b, n_inner, n_outer, n_square = (np.broadcast_to(v, points.shape).astype(complex) for v in numbers)
    turn = complex(unity)
    for sign, turned, flipped, k in itertools.product((1, -1), (False, True), (False, True), range(3)):
        with np.errstate(all="ignore"):
            n_inside = (n_outer + sign * (1j * np.sqrt(-n_square) if turned else np.sqrt(n_square))) / 2
            n_cube = turn**k * (-((-n_inside) ** (1 / 3)) if flipped else n_inside ** (1 / 3))
            values = -(n_b + n_cube + n_inner / n_cube) / n_a
        if np.all(np.abs(values - expected) < 1e-6 * np.abs(expected)):
            inside = (outer + sign * (sp.I * sp.sqrt(-square) if turned else sp.sqrt(square))) / 2
            cube = unity**k * (-sp.cbrt(-inside) if flipped else sp.cbrt(inside))
            return -(b + cube + inner / cube) / (3 * a)
    return None


def cubic_density(equation: Any) -> tuple[tuple[Any, Any, Any, Any], ...]:
    """Pieces (x, density, lower, upper) of a law whose G solves a cubic equation with numbers for coefficients.

    On the support G is one of the two complex roots: ``π rho = sqrt(3) |c - D/c|/(6 |a|)`` with
    ``c = ((|E| + sqrt(E² - 4 D³))/2)^(1/3)``, D = b² - 3ac and E = 2b³ - 9abc + 27a²d, without cancellation. Where the
    support is, between the real zeros of the discriminant, is decided by following the root from infinity.
    """
    difference = equation.lhs - equation.rhs
    if difference.free_symbols != {G, z} or not difference.is_rational_function(G, z) or difference.has(sp.I):
        return ()
    poly = sp.Poly(sp.numer(sp.together(_exact(difference))), G)
    if poly.degree() != 3:
        return ()
    a, _, inner, outer, square = _cardano(poly)
    x = sp.Symbol("x", real=True)
    c = sp.cbrt((sp.Abs(outer) + sp.sqrt(square)) / 2)
    value = sp.sqrt(3) * sp.Abs(c - inner / c) / (6 * sp.pi * sp.Abs(a))
    discriminant = sp.Poly(sp.sqf_part(sp.discriminant(poly.as_expr(), G)), z)
    ends = sp.real_roots(discriminant)
    middles = np.array([float(lo + hi) / 2 for lo, hi in itertools.pairwise(ends)], dtype=complex)
    if middles.size == 0:
        return ()
    values = _followed(poly, middles, float(max(abs(e) for e in ends)))
    inside = np.abs(values.imag) > 1e-9 * np.abs(values)
    return tuple(
        (x, value.subs(z, x), lo, hi) for (lo, hi), here in zip(itertools.pairwise(ends), inside, strict=True) if here
    )


def _cardano(poly: Any) -> tuple[Any, Any, Any, Any, Any]:
    a, b, c, d = poly.all_coeffs()
    inner = sp.factor(b**2 - 3 * a * c)
    outer = sp.factor(2 * b**3 - 9 * a * b * c + 27 * a**2 * d)
    return a, b, inner, outer, sp.factor(outer**2 - 4 * inner**3)


def _followed(poly: Any, points: Any, scale: float) -> Any:
    return System((G,), (poly.as_expr(),), (1 / z,), G).cauchy(points, {}, scale)


def _exact(expression: Any) -> Any:
    """Floats as the fractions that they are."""
    return expression.xreplace({f: sp.Rational(f) for f in expression.atoms(sp.Float)})


def _cover(poly: Any) -> tuple[Any, float]:
    """Points over the upper half-plane, dense where the branch points are, and the size of the support."""
    discriminant = sp.Poly(sp.sqf_part(sp.discriminant(poly.as_expr(), G)), z)
    roots = np.array([complex(r) for r in discriminant.nroots(n=20, maxsteps=200)])
    real = np.unique(np.round(roots[np.abs(roots.imag) < 1e-9].real, 9))
    scale = float(np.max(np.abs(real), initial=1.0))
    ends = np.concatenate([[-2 * scale], real, [2 * scale]])
    middles = np.concatenate([lo + (hi - lo) * np.linspace(0.05, 0.95, _POINTS) for lo, hi in itertools.pairwise(ends)])
    heights = scale * np.geomspace(1e-4, 3, _POINTS)
    return (middles[:, np.newaxis] + 1j * heights).ravel(), scale
