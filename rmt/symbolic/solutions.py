"""G(z) in closed form from an equation of degree at most 3 in G, on the physical branch.

Degree 2: with P = a G² + b G + c, P' at G ~ 1/z is asymptotically λ z^d and the discriminant λ² z^(2d), so that
``G = (-b + λ Π (z - r) Π sqrt(z - e))/(2a)``, r the double and e the simple zeros of the discriminant. Each
``sqrt(z - e)`` with real e is analytic on the upper half-plane and behaves as sqrt(z) at infinity: the branch is right
everywhere there. Degree 3: Cardano's formula, each of whose branches has cuts; one is taken only if it agrees with the
root followed from infinity at points that cover the half-plane.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import sympy as sp

from rmt.symbolic.letters import G, z

__all__ = ["explicit_solution"]

_POINTS = 12


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
        return _quadratic(*poly.all_coeffs())
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
    constant, factors = sp.factor_list(discriminant, z)
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
    return (-b + leading * root) / (2 * a)


def _cubic(poly: Any) -> Any:
    from rmt.symbolic.system import System, compiled

    a, b, c, d = poly.all_coeffs()
    inner = sp.factor(b**2 - 3 * a * c)
    outer = sp.factor(2 * b**3 - 9 * a * b * c + 27 * a**2 * d)
    square = sp.factor(outer**2 - 4 * inner**3)
    if inner == 0:
        return None
    points, scale = _cover(sp.discriminant(poly.as_expr(), G))
    expected = System((G,), (poly.as_expr(),), (1 / z,), G).cauchy(points, {}, scale)
    unity = sp.Rational(-1, 2) + sp.sqrt(3) * sp.I / 2
    fine = np.isfinite(expected)
    for sign, turned, flipped, k in itertools.product((1, -1), (False, True), (False, True), range(3)):
        root = sp.I * sp.sqrt(-square) if turned else sp.sqrt(square)
        inside = (outer + sign * root) / 2
        cube = unity**k * (-sp.cbrt(-inside) if flipped else sp.cbrt(inside))
        candidate = -(b + cube + inner / cube) / (3 * a)
        with np.errstate(all="ignore"):
            values = compiled((z,), candidate)(points)
        if np.all(np.abs(values - expected)[fine] < 1e-6 * np.abs(expected[fine])):
            return candidate
    return None


def _cover(discriminant: Any) -> tuple[Any, float]:
    """Points over the upper half-plane, dense where the branch points are, and the size of the support."""
    roots = np.array([complex(r) for r in sp.Poly(sp.sqf_part(discriminant), z).nroots(n=20, maxsteps=200)])
    real = np.unique(np.round(roots[np.abs(roots.imag) < 1e-9].real, 9))
    scale = float(np.max(np.abs(real), initial=1.0))
    ends = np.concatenate([[-2 * scale], real, [2 * scale]])
    middles = np.concatenate([lo + (hi - lo) * np.linspace(0.03, 0.97, _POINTS) for lo, hi in itertools.pairwise(ends)])
    heights = scale * np.geomspace(1e-6, 3, _POINTS)
    return (middles[:, np.newaxis] + 1j * heights).ravel(), scale
