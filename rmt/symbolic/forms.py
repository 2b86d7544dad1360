"""One equation in every encoding: (G, z), (m, z), (S, m), (R, g), (eta, w), each brought to its shortest form.

m = zG - 1; S = (1+m)/(m z); R = z - 1/g at g = G; eta = 1 - 1/(zG) at w = 1/z.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from rmt.symbolic.letters import G, R, S, eta, g, m, w, z

__all__ = ["eta_of", "in_eta", "in_m", "in_r", "in_s", "small_root", "tidied"]


def in_m(equation: Any) -> Any:
    """The equation of m = zG - 1 in (m, z)."""
    return tidied(_put(equation, {G: (1 + m) / z}), m)


def in_s(equation: Any) -> Any:
    """The equation of S(m) in (S, m)."""
    return tidied(_put(equation, {G: m * S, z: (1 + m) / (m * S)}), S)


def in_r(equation: Any) -> Any:
    """The equation of R(g) in (R, g)."""
    return tidied(_put(equation, {G: g, z: R + 1 / g}), R)


def in_eta(equation: Any) -> Any:
    """The equation of eta(w) in (eta, w)."""
    return tidied(_put(equation, {G: w / (1 - eta), z: 1 / w}), eta)


def eta_of(solution: Any) -> Any:
    """Eta(w) of an explicit G(z)."""
    return 1 - w / solution.subs(z, 1 / w)


def _put(equation: Any, values: dict[Any, Any]) -> Any:
    return sp.Eq(*(side.subs(values, simultaneous=True) for side in equation.args), evaluate=False)


def tidied(equation: Any, variable: Any) -> Any:
    """A polynomial equation cleared of denominators and of factors that do not matter; others as they are.

    Factors without the variable, and roots at 0 of the variable, are dropped: no transform of a law vanishes
    identically.
    """
    difference = equation.lhs - equation.rhs
    if equation.rhs != 0 or not difference.is_rational_function(*difference.free_symbols):
        # a product of high powers, or a transcendental equation, reads best as it stands
        return sp.Eq(*(sp.powsimp(sp.factor_terms(side)) for side in equation.args), evaluate=False)
    numerator = sp.numer(sp.cancel(sp.together(difference)))
    kept = [f for f, _ in sp.factor_list(numerator)[1] if f.has(variable) and f != variable]
    # several factors would mean that the equation was not irreducible: they stay
    return sp.Eq(sp.collect(sp.expand(sp.Mul(*kept)), variable), 0, evaluate=False)


def small_root(equation: Any, variable: Any, at: Any, value: Any) -> Any:
    """The root of a polynomial equation of degree 1 or 2 in `variable` that is `value` at `at` = 0; None otherwise.

    With P = a y² + b y + c and δ = P'(value) at 0, the discriminant is δ² there, and the root is
    (-b + δ sqrt(disc/δ²))/(2a) with the principal square root next to 0.
    """
    expression = equation.lhs - equation.rhs
    if not expression.is_polynomial(variable):
        return None
    poly = sp.Poly(expression, variable)
    if poly.degree() == 1:
        a, b = poly.all_coeffs()
        return sp.factor(sp.cancel(-b / a))
    if poly.degree() != 2 or not expression.is_polynomial(at):
        return None
    a, b, c = poly.all_coeffs()
    slope = sp.factor((2 * a * value + b).subs(at, 0))
    if slope == 0:
        return None
    discriminant = sp.expand(sp.cancel((b**2 - 4 * a * c) / slope**2))
    if not any(x.has(sp.Float) for x in (a, b, c)):
        discriminant = sp.factor(discriminant)
    return (-b + slope * sp.sqrt(discriminant)) / (2 * a)
