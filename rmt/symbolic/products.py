"""Transforms kept as products of powers, so that free products and powers only add exponents.

A transform S(m) = Π base^exponent stays readable whatever the depth: the ReLU chain is {σ: -2L, m+p: -L}, and common
factors of the layers cancel by themselves. The base E carries exponentials.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sympy as sp

from rmt.symbolic.letters import G, m, z

__all__ = [
    "Factors",
    "critical_polynomial",
    "evaluate",
    "inverse_moment_factors",
    "logarithm",
    "merge",
    "physical_edges",
    "power",
    "product_equation",
    "shortest",
    "to_expression",
]

Factors = tuple[tuple[Any, Any], ...]

# Values tried for the parameters where a statement about signs is needed: every domain of our laws contains some.
_SAMPLES = tuple(sp.Rational(p, q) for p, q in ((1, 3), (3, 1), (1, 1), (7, 1), (1, 7)))


def merge(*factors: Factors) -> Factors:
    """Product of several products: equal bases merged, trivial factors dropped, (σ²)^L written σ^(2L) where σ > 0."""
    exponents: dict[Any, Any] = {}
    for base, exponent in itertools.chain.from_iterable(factors):
        if base.is_Pow and base.base.is_positive and base.base != sp.E:
            base, exponent = base.base, base.exp * exponent
        exponents[base] = exponents.get(base, sp.Integer(0)) + exponent
    exponents = {b: e if b == sp.E else sp.expand(e) for b, e in exponents.items()}
    return tuple((b, e) for b, e in exponents.items() if e != 0 and b != 1)


def power(factors: Factors, exponent: Any) -> Factors:
    """A product to a power."""
    return merge(tuple((b, e * exponent) for b, e in factors))


def to_expression(factors: Factors) -> Any:
    """The product as one sympy expression."""
    return sp.Mul(*(b**e for b, e in factors))


def inverse_moment_factors(s_factors: Factors) -> Factors:
    """Factors of z(m) = (1+m)/(m S(m))."""
    one = sp.Integer(1)
    return merge(((1 + m, one), (m, -one)), power(s_factors, -one))


def logarithm(factors: Factors) -> Any:
    """The logarithm of the product, factor by factor: an exponential gives its exponent."""
    return sp.Add(*(e if b == sp.E else e * sp.log(b) for b, e in factors))


def product_equation(s_factors: Factors, unknowns: Iterable[Any] = ()) -> Any:
    """Equation of G and z for S = Π base^exponent: G = (zG-1) S(zG-1), negative powers moved to the left.

    Where everything is a polynomial of small degree without auxiliary unknowns, it is brought to the form P(G, z) = 0.
    """
    left, right = [G], []
    for base, exponent in merge(((m, sp.Integer(1)),), s_factors):
        at_g = base.subs(m, z * G - 1)
        if base == sp.E:
            right.append(sp.exp(sp.factor(sp.expand(exponent.subs(m, z * G - 1)))))
        elif exponent.could_extract_minus_sign():
            left.append(at_g ** (-exponent))
        else:
            right.append(at_g**exponent)
    lhs, rhs = sp.Mul(*left), sp.Mul(*right)
    is_short = sum(abs(e) for b, e in s_factors if b.has(m) and e.is_Integer) <= 3
    if is_short and not tuple(unknowns) and (lhs - rhs).is_polynomial(G, z):
        return sp.Eq(sp.collect(sp.expand(lhs - rhs), G), 0)
    return sp.Eq(lhs, rhs)


def critical_polynomial(s_factors: Factors) -> Any:
    """Polynomial in m whose roots are the critical points of z(m); None where dz/dm is not rational in m."""
    slope = sp.Add(*(sp.diff(e, m) if b == sp.E else e * sp.diff(b, m) / b for b, e in s_factors))
    numerator = sp.numer(sp.cancel(sp.together(1 / (1 + m) - 1 / m - slope)))
    return sp.Poly(numerator, m) if numerator.is_polynomial(m) else None


def physical_edges(s_factors: Factors, domain: Sequence[Any]) -> tuple[Any, ...]:
    """Outer edges of the continuous part, for S a product of powers of linear factors and exponentials.

    Only some critical points of z(m) are edges. Above the support m runs over (0, m*) with m* the smallest positive
    critical point; where there is none, m passes through infinity at an atom and returns from -∞ to the first
    critical point. Below the support m starts at (mass at 0) - 1, the largest negative zero of z(m), and falls to the
    first critical point where the zero is simple; where it is not, the density diverges at the hard edge 0.

    Returns
    -------
    tuple
        Expressions in increasing order; the equation of all critical points in m where their degree exceeds 2;
        empty where the law has no continuous part.
    """
    polynomial = critical_polynomial(s_factors)
    if polynomial is None:
        return ()
    if polynomial.degree() > 2:
        return (sp.Eq(polynomial.as_expr(), 0),)
    z_factors = inverse_moment_factors(s_factors)
    symbols = to_expression(z_factors).free_symbols - {m}
    sample = _sample_point(symbols, domain)
    if sample is None:
        return (sp.Eq(polynomial.as_expr(), 0),)
    roots = sorted(_roots(polynomial), key=lambda root: float(sp.re(root.subs(sample))))
    positions = [float(sp.re(root.subs(sample))) for root in roots]
    start, order = _first_zero(z_factors, sample)
    positive = [root for root, x in zip(roots, positions, strict=True) if x > 0]
    below = [root for root, x in zip(roots, positions, strict=True) if x < start]
    is_hard = order != 1
    value = shortest if all(e in (-2, -1, 1, 2) for _, e in z_factors) else _identity
    lower = [sp.Integer(0)] if is_hard else [value(evaluate(z_factors, root)) for root in below[-1:]]
    if positive:
        upper = [value(evaluate(z_factors, positive[0]))]
    elif below and (is_hard or len(below) > 1):
        upper = [value(evaluate(z_factors, below[0]))]
    elif is_hard and sum(e for b, e in z_factors if b.has(m)) == 0:
        # the critical point sits at m = ∞
        upper = [sp.Mul(*((sp.Poly(b, m).LC() if b.has(m) else b) ** e for b, e in z_factors))]
    else:
        upper = []
    return (*lower, *upper) if upper else ()


def evaluate(factors: Factors, point: Any) -> Any:
    """The product at a value of m; powers of common factors cancel, also where the exponents are symbols."""
    collected: dict[Any, Any] = {}
    for base, exponent in factors:
        if base == sp.E:
            collected[base] = sp.simplify(exponent.subs(m, point))
            continue
        numerator, denominator = sp.fraction(sp.together(base.subs(m, point)))
        parts = [*_signed_factors(numerator), *((f, -k) for f, k in _signed_factors(denominator))]
        for factor, multiplicity in parts:
            collected[factor] = sp.expand(collected.get(factor, sp.Integer(0)) + multiplicity * exponent)
    if collected.get(sp.Integer(-1)) == 1:  # 1 - p rather than -(p - 1)
        for factor, exponent in collected.items():
            if factor.is_Add and exponent == 1:
                del collected[sp.Integer(-1)], collected[factor]
                collected[-factor] = exponent
                break
    return sp.Mul(*(b**e for b, e in collected.items()))


def shortest(value: Any) -> Any:
    """The shortest of a few equivalent forms of a number with square roots."""
    simple = sp.simplify(value)
    forms = [simple, sp.expand(sp.radsimp(simple)), sp.factor(simple), sp.simplify(sp.radsimp(simple))]
    return min(forms, key=lambda form: form.count_ops())


def _identity(value: Any) -> Any:
    return value


def _roots(polynomial: Any) -> list[Any]:
    """Roots of a polynomial of degree at most 2, in closed form."""
    if polynomial.degree() < 1:
        return []
    if polynomial.degree() == 1:
        a, b = polynomial.all_coeffs()
        return [sp.factor(-b / a)]
    a, b, c = polynomial.all_coeffs()
    root = sp.sqrt(sp.factor(b**2 - 4 * a * c))
    return [(-b - root) / (2 * a), (-b + root) / (2 * a)]


def _first_zero(z_factors: Factors, sample: dict[Any, Any]) -> tuple[float, Any]:
    """The largest negative zero of z(m) at a sample point of the parameters, with its order."""
    zeros: dict[Any, Any] = {}
    for base, exponent in z_factors:
        if base.has(m) and base != m:
            (root,) = sp.roots(sp.Poly(base.subs(sample), m))  # all bases are linear in m
            zeros[root] = zeros.get(root, sp.Integer(0)) + exponent.subs(sample)
    root = max(root for root, order in zeros.items() if order > 0 and root < 0)
    return float(root), zeros[root]


def _signed_factors(expression: Any) -> Iterator[tuple[Any, int]]:
    """Factors with multiplicity, each with the sign that sympy prints first, and -1 as a factor of its own."""
    if not expression.is_polynomial():  # square roots: factoring would not help
        yield expression, 1
        return
    constant, factors = sp.factor_list(expression)
    if constant.is_negative:
        yield sp.Integer(-1), 1
        constant = -constant
    if constant != 1:
        yield constant, 1
    for factor, multiplicity in factors:
        if factor.could_extract_minus_sign():
            yield sp.Integer(-1), multiplicity
            factor = -factor
        yield factor, multiplicity


def _sample_point(symbols: Iterable[Any], domain: Sequence[Any]) -> dict[Any, Any] | None:
    """Values of the symbols inside a domain given by inequalities; None where the few values tried all fail."""
    names = sorted(symbols, key=str)
    for values in itertools.islice(itertools.product(_SAMPLES, repeat=len(names)), 2000):
        point = dict(zip(names, values, strict=True))
        if all(condition.subs(point) == sp.true for condition in domain):
            return point
    return None
