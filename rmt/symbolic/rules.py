"""From a law to its derivation: one rule a node, three routes.

- S-route: S(m) known, equation G = (zG-1) S(zG-1);
- R-route: R(g) known, equation z = R(G) + 1/G;
- polynomial route: the law is algebraic, equation P(G, z) = 0 by elimination.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.free_sum_power import FreeSumPower
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic.derivation import Derivation, G, Step, g, m, to_sympy, z
from rmt.symbolic.polynomial import moments_from_polynomial, polynomial
from rmt.symbolic.products import (
    critical_polynomial,
    inverse_moment_factors,
    physical_edges,
    product_equation,
    shortest,
    to_expression,
)
from rmt.symbolic.r_transforms import RTransform, r_transform
from rmt.symbolic.s_transforms import STransform, s_transform, unavailable, universal_parameters

__all__ = ["derive", "derive_from_s"]


@singledispatch
def derive(law: Any) -> Derivation:
    """Derivation of a law: equation of its Cauchy transform, transforms, edges and moments, step by step.

    Parameters of the law may be sympy symbols or numbers; exact parameters give exact formulas.

    Raises
    ------
    NotImplementedError
        If no route leads to an equation; the message says what to do instead.

    Examples
    --------
    >>> import rmt
    >>> print(derive(rmt.Semicircle(variance=2)).equation)
    Eq(2*G**2 - G*z + 1, 0)
    """
    raise unavailable(law, "derivation", "only laws of rmt have one; for a network use theory.derive(net)")


@derive.register
def _(law: UniversalResNet) -> Derivation:
    transform = s_transform(law)
    c, a, prefactor = universal_parameters(law)
    c = c / a**2
    root = sp.sqrt(c * (c + 2))
    edges = tuple(prefactor * (1 + c + sign * root) * sp.exp(sign * root) for sign in (-1, 1))
    equation = sp.Eq(prefactor * G, (z * G - 1) * sp.exp(c * (1 - 2 * z * G)))
    return derive_from_s(repr(law), transform, equation=equation, edges=edges)


@derive.register
def _(law: FussCatalan) -> Derivation:
    depth = to_sympy(law.order)
    edges = (sp.Integer(0), (depth + 1) ** (depth + 1) / depth**depth)
    if depth.is_integer is not False:
        equation = sp.Eq(z**depth * G ** (depth + 1) - z * G + 1, 0)
    else:
        equation = sp.Eq(G * (z * G) ** depth, z * G - 1)
    return derive_from_s(repr(law), s_transform(law), equation=equation, edges=edges)


@derive.register
def _(law: Semicircle) -> Derivation:
    return _derive_from_r(repr(law), r_transform(law))


@derive.register
def _(law: Discrete) -> Derivation:
    cauchy = sp.Add(*(to_sympy(p) / (z - to_sympy(x)) for x, p in law.masses))
    equation = sp.Eq(G, cauchy)
    step = Step(
        "Cauchy transform", equation, "The sum of mass over distance; there is no continuous part.", "definition"
    )
    transform = _closed_s(law)
    return Derivation(
        subject=repr(law),
        steps=(step,),
        equation=equation,
        s_transform=None if transform is None else transform.expression,
        r_transform=r_transform(law).expression if len(law.masses) <= 2 else None,
        edges=(),
        moment_rule=lambda n: [
            sp.Add(*(to_sympy(p) * to_sympy(x) ** k for x, p in law.masses)) for k in range(1, n + 1)
        ],
    )


@derive.register
def _(law: MarchenkoPastur) -> Derivation:
    root = sp.sqrt(to_sympy(law.ratio))
    edges = ((1 - root) ** 2, (1 + root) ** 2)
    return derive_from_s(repr(law), s_transform(law), edges=edges, r_expression=r_transform(law).expression)


@derive.register(FreeProduct)
@derive.register(FreePower)
@derive.register(Square)
def _(law: Any) -> Derivation:
    transform = _closed_s(law)
    return _derive_from_polynomial(law) if transform is None else derive_from_s(repr(law), transform)


@derive.register
def _(law: ResidualSum) -> Derivation:
    return derive_from_s(repr(law), s_transform(law))


@derive.register(FreeSum)
@derive.register(FreeSumPower)
@derive.register(Compression)
def _(law: Any) -> Derivation:
    try:
        transform = r_transform(law)
    except NotImplementedError:
        return _derive_from_polynomial(law)
    return _derive_from_r(repr(law), transform)


@derive.register
def _(law: Affine) -> Derivation:
    transform = _closed_s(law)
    if transform is not None:
        return derive_from_s(repr(law), transform)
    inner = derive(law.law)
    a, b = to_sympy(law.scale), to_sympy(law.shift)
    equation = inner.equation.subs({G: a * G, z: (z - b) / a}, simultaneous=True)
    if equation.rhs == 0 and equation.lhs.is_polynomial(G, z):
        equation = sp.Eq(sp.collect(sp.expand(equation.lhs), G), 0)
    step = Step("Scale and shift", equation, "The law of $a X + b$ has $G((z-b)/a)/a$.", "definition")
    edges = inner.edges
    if not any(isinstance(edge, sp.Eq) for edge in edges):
        edges = tuple(a * edge + b for edge in edges)
        edges = edges[::-1] if a.is_negative else edges

    def moments(n: int) -> list[Any]:
        raw = [sp.Integer(1), *inner.moments(n)]
        return [
            sp.factor_terms(sp.expand(sum(sp.binomial(k, j) * a**j * b ** (k - j) * raw[j] for j in range(k + 1))))
            for k in range(1, n + 1)
        ]

    try:
        r_expression = r_transform(law).expression
    except NotImplementedError:
        r_expression = None
    return Derivation(repr(law), (*inner.steps, step), equation, None, r_expression, edges, moments, inner.constraints)


@derive.register
def _(law: Symmetrized) -> Derivation:
    if not isinstance(law.law, Sqrt):
        raise unavailable(
            law, "derivation", "derive law.square(), or symmetrise a law of singular values, law.sqrt().symmetrized()"
        )
    inner = derive(law.law.law)
    equation = inner.equation.subs({G: G / z, z: z**2}, simultaneous=True)
    step = Step(
        "Symmetrised square root",
        equation,
        "The law of $± x^{1/2}$ has the Cauchy transform $z G(z^2)$.",
        "definition",
    )
    edges = inner.edges
    if not any(isinstance(edge, sp.Eq) for edge in edges):
        roots = [sp.sqrt(edge) for edge in edges]
        # an inner edge at 0 lies in the middle of the symmetric law, where two halves meet
        outer = [root for root in roots if root != 0]
        edges = (*(-root for root in reversed(outer)), *outer)

    def moments(n: int) -> list[Any]:
        even = inner.moments(n // 2) if n > 1 else []
        return [sp.Integer(0) if k % 2 else even[k // 2 - 1] for k in range(1, n + 1)]

    return Derivation(repr(law), (*inner.steps, step), equation, None, None, edges, moments, inner.constraints)


@derive.register
def _(law: Sqrt) -> Derivation:
    raise unavailable(
        law, "derivation", "derive the law of the squares, or law.symmetrized(), whose equation is that of z G(z^2)"
    )


def derive_from_s(
    subject: str,
    transform: STransform,
    *,
    equation: Any = None,
    edges: tuple[Any, ...] | None = None,
    r_expression: Any = None,
) -> Derivation:
    """Derivation from a closed form of S: inverse moment transform, equation, edges, moments.

    `equation` and `edges` replace what the general procedure finds by equivalent, more readable forms.

    Raises
    ------
    NotImplementedError
        If only the series of S is known.
    """
    if transform.factors is None:
        raise NotImplementedError(f"{subject} has no S-transform in closed form: use its moments, law.moments(n)")
    z_expression = to_expression(inverse_moment_factors(transform.factors))
    constraints = tuple(c.subs(m, z * G - 1) for c in transform.constraints.values())
    equation = product_equation(transform.factors, transform.constraints) if equation is None else equation
    polynomial_in_m = None if constraints else critical_polynomial(transform.factors)
    if edges is None and constraints:
        edges = _parametric_edges(transform)
    elif edges is None:
        edges = () if polynomial_in_m is None else physical_edges(transform.factors, transform.domain)
    steps = [
        *transform.steps,
        Step(
            "Inverse moment transform",
            sp.Eq(z, z_expression, evaluate=False),
            "By definition $S(m) = (1+m)/(m z)$ with $m = zG - 1$, solved for $z$.",
            "Voiculescu 1987",
        ),
        Step(
            "Equation of the Cauchy transform",
            (equation, *constraints),
            "Put $m = zG - 1$, that is $(1+m)/z = G$. The law is the solution with $G$ ~ $1/z$ at infinity.",
            "derived here",
        ),
    ]
    if polynomial_in_m is not None and polynomial_in_m.degree() > 0:
        steps.append(
            Step(
                "Critical points",
                sp.Eq(polynomial_in_m.as_expr(), 0, evaluate=False),
                "Edges of the support are critical values of $z(m)$: there $dz/dm = 0$ and $G$ has a square root.",
                "derived here",
            )
        )
    if edges and not any(isinstance(edge, sp.Eq) for edge in edges):
        steps.append(_edges_step(edges))
    steps.append(_moments_step(transform.moments(2)))
    return Derivation(
        subject=subject,
        steps=tuple(steps),
        equation=equation,
        s_transform=transform.expression,
        r_transform=r_expression,
        edges=edges,
        moment_rule=transform.moments,
        constraints=constraints,
    )


def _closed_s(law: Any) -> STransform | None:
    """S-transform where it has a closed form, else None."""
    try:
        transform = s_transform(law)
    except NotImplementedError:
        return None
    return None if transform.factors is None else transform


def _parametric_edges(transform: STransform) -> tuple[Any, ...]:
    """Equation of the critical points of z where one auxiliary unknown beside m is left; in m and that unknown."""
    if transform.factors is None or len(transform.constraints) != 1:
        return ()
    ((unknown, constraint),) = transform.constraints.items()
    relation = constraint.lhs - constraint.rhs
    slope = -sp.diff(relation, m) / sp.diff(relation, unknown)  # d unknown / d m along the constraint
    logarithm = sp.Add(*(e * sp.log(b) for b, e in inverse_moment_factors(transform.factors)))
    return (sp.Eq(sp.diff(logarithm, m) + sp.factor(slope) * sp.diff(logarithm, unknown), 0),)


def _derive_from_r(subject: str, transform: RTransform) -> Derivation:
    expression = transform.expression
    inverse = expression + 1 / g
    equation = sp.Eq(z, inverse.subs(g, G), evaluate=False)
    if expression.is_rational_function(g):
        cleared = sp.numer(sp.together(expression + 1 / g - z)).subs(g, G)
        cleared = sp.collect(sp.expand(cleared), G)
        equation = sp.Eq(cleared, 0)
    steps = [
        *transform.steps,
        Step(
            "Equation of the Cauchy transform",
            equation,
            "$R(G) + 1/G = z$ by definition of R. The law is the solution with $G$ ~ $1/z$ at infinity.",
            "Voiculescu 1986",
        ),
    ]
    slope = sp.numer(sp.together(sp.diff(inverse, g)))
    edges: tuple[Any, ...] = ()
    if slope.is_polynomial(g):
        critical = sp.Eq(sp.expand(slope), 0, evaluate=False)
        steps.append(
            Step(
                "Critical points",
                critical,
                "Edges of the support are critical values of $z(g) = R(g) + 1/g$.",
                "derived here",
            )
        )
        edges = _edges_from_r(inverse, sp.Poly(slope, g), critical)
        if edges and not isinstance(edges[0], sp.Eq):
            steps.append(_edges_step(edges))
    steps.append(_moments_step(transform.moments(2)))
    return Derivation(
        subject=subject,
        steps=tuple(steps),
        equation=equation,
        s_transform=_s_from_r(expression),
        r_transform=expression,
        edges=edges,
        moment_rule=transform.moments,
    )


def _derive_from_polynomial(law: Any) -> Derivation:
    poly = polynomial(law)
    in_g = sp.collect(sp.expand(poly.as_expr().subs(m, -G)), G)
    equation = sp.Eq(in_g, 0)
    discriminant = sp.discriminant(in_g, G)
    critical = sp.Eq(sp.sqf_part(discriminant), 0) if discriminant.has(z) else None
    steps = [
        Step(
            "Polynomial of the law",
            sp.Eq(poly.as_expr(), 0, evaluate=False),
            "Eliminated by resultants from those of its parts, with $m = -G$ in this step; the factor is the one with "
            "the law's expansion at infinity.",
            "Rao, Edelman 2008",
        ),
        Step("Equation of the Cauchy transform", equation, "The same in $G$.", "definition"),
    ]
    if critical is not None:
        steps.append(
            Step(
                "Branch points",
                critical,
                "Edges of the support are among the zeros of the discriminant.",
                "Rao, Edelman 2008",
            )
        )
    return Derivation(
        subject=repr(law),
        steps=tuple(steps),
        equation=equation,
        s_transform=None,
        r_transform=None,
        edges=() if critical is None else (critical,),
        moment_rule=lambda n: moments_from_polynomial(poly, n),
    )


def _edges_from_r(inverse: Any, slope: Any, critical: Any) -> tuple[Any, ...]:
    """Critical values of z(g) in increasing order where they are two; else the equation of the critical points."""
    if slope.degree() != 2:
        return () if slope.degree() < 1 else (critical,)
    a, b, c = slope.all_coeffs()
    root = sp.sqrt(sp.factor(b**2 - 4 * a * c))
    points = [(-b - root) / (2 * a), (-b + root) / (2 * a)]
    values = [shortest(inverse.subs(g, point)) for point in points]
    # any positive values of the parameters tell the order
    sample = {symbol: sp.Rational(1, 3 + k) for k, symbol in enumerate(sorted(inverse.free_symbols - {g}, key=str))}
    return tuple(sorted(values, key=lambda value: float(sp.re(value.subs(sample)))))


def _s_from_r(expression: Any) -> Any:
    """S(m) = g/m with m = g R(g), where that is an equation of degree at most 2; None otherwise."""
    relation = sp.numer(sp.together(g * expression - m))
    if not relation.is_polynomial(g):
        return None
    poly = sp.Poly(relation, g)
    if poly.degree() == 1:
        a, b = poly.all_coeffs()
        return sp.cancel(-b / (a * m))
    if poly.degree() != 2:
        return None
    a, b, c = poly.all_coeffs()
    if b == 0:
        return sp.sqrt(sp.cancel(-c / (a * m**2)))
    if b.subs(m, 0).is_positive:  # then the root g -> 0 as m -> 0 is this one
        return sp.cancel(-2 * c / m) / (b + sp.sqrt(sp.expand(b**2 - 4 * a * c)))
    return None


def _edges_step(edges: tuple[Any, ...]) -> Step:
    formula = tuple(sp.Eq(sp.Symbol(f"x_{k}"), edge, evaluate=False) for k, edge in enumerate(edges, 1))
    return Step(
        "Edges of the support", formula, "The critical values of $z$ that bound the continuous part.", "derived here"
    )


def _moments_step(moments: list[Any]) -> Step:
    formula = tuple(sp.Eq(sp.Symbol(f"m_{k}"), x, evaluate=False) for k, x in enumerate(moments, 1))
    return Step(
        "Moments",
        formula,
        "Lagrange inversion of the transform, term by term.",
        "Nica, Speicher 2006, lectures 12 and 18",
    )
