"""The ways from transforms to a derivation.

- S known: equation G = (zG-1) S(zG-1), critical points of z(m) = (1+m)/(m S(m));
- R rational: equation z = R(G) + 1/G, critical points of z(g) = R(g) + 1/g;
- one discrete term beside a rational R: subordination;
- any algebraic law: equation P(G, z) = 0 by elimination, zeros of its discriminant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from rmt import series
from rmt.laws.discrete import Discrete
from rmt.symbolic.derivation import Derivation, ParametricDensity, Step, to_sympy
from rmt.symbolic.forms import in_r, in_s, small_root
from rmt.symbolic.letters import G, R, S, g, m, z
from rmt.symbolic.polynomial import moments_from_polynomial, polynomial
from rmt.symbolic.products import (
    critical_polynomial,
    inverse_moment_factors,
    logarithm,
    physical_edges,
    product_equation,
    shortest,
    to_expression,
)
from rmt.symbolic.r_transforms import RTransform
from rmt.symbolic.s_algebra import STransform

__all__ = [
    "derive_by_subordination",
    "derive_from_polynomial",
    "derive_from_r",
    "derive_from_s",
    "edges_step",
    "moments_step",
    "solution_step",
]


# Up to this degree in G it is worth looking for R and S in closed form.
_SMALL = 4


def derive_from_s(
    subject: str,
    transform: STransform,
    *,
    equation: Any = None,
    edges: tuple[Any, ...] | None = None,
    r_expression: Any = None,
    closed_form: Any = None,
    pieces: tuple[ParametricDensity, ...] = (),
    more_steps: tuple[Step, ...] = (),
    moments: Callable[[int], list[Any]] | None = None,
) -> Derivation:
    """Derivation from a closed form of S: inverse moment transform, equation, edges, moments.

    `equation` and `edges` replace what the general procedure finds by equivalent, more readable forms; `closed_form`,
    `pieces` and the steps that explain them come from the rule of the law.
    """
    z_expression = to_expression(inverse_moment_factors(transform.factors))
    constraints = tuple(c.subs(m, z * G - 1) for c in transform.constraints.values())
    if equation is None:
        equation = product_equation(transform.factors, transform.constraints)
    polynomial_in_m = None if constraints else critical_polynomial(transform.factors)
    if edges is None and constraints:
        edges = _parametric_edges(transform)
    elif edges is None:
        is_positive = polynomial_in_m is not None and not transform.mean.is_negative
        edges = physical_edges(transform.factors, transform.domain) if is_positive else ()
    steps = [
        *transform.steps,
        Step(
            "Inverse moment transform",
            sp.Eq(z, z_expression, evaluate=False),
            "By definition $S(m) = (1+m)/(m z)$ with $m = zG - 1$, solved for $z$.",
            "Voiculescu 1987",
            transform.steps[-1].formula,
        ),
        Step(
            "Equation of the Cauchy transform",
            (equation, *constraints),
            "Put $m = zG - 1$, that is $(1+m)/z = G$. The law is the solution with $G$ ~ $1/z$ at infinity.",
            "derived here",
            sp.Eq(z, z_expression, evaluate=False),
        ),
    ]
    if polynomial_in_m is not None and polynomial_in_m.degree() > 0:
        steps.append(
            Step(
                "Critical points",
                sp.Eq(polynomial_in_m.as_expr(), 0, evaluate=False),
                "Edges of the support are critical values of $z(m)$: there $dz/dm = 0$ and $G$ has a square root.",
                "derived here",
                sp.Eq(z, z_expression, evaluate=False),
            )
        )
    if edges and not any(isinstance(edge, sp.Eq) for edge in edges):
        steps.append(edges_step(edges))
    moment_rule = transform.moments if moments is None else moments
    steps += [*more_steps, moments_step(moment_rule)]
    mean_start = transform.mean / z
    inverse = inverse_moment_factors(transform.factors)
    if transform.positive and not constraints:
        # m lies in the lower half-plane, and so do the linear factors: logarithms reject the false roots of high powers
        residual: Any = logarithm(inverse) - sp.log(z)
    else:
        residual = to_expression(inverse) / z - 1
    if r_expression is None and not constraints and equation.rhs == 0:
        r_expression = small_root(in_r(equation), R, g, transform.mean)
    return Derivation(
        subject=subject,
        steps=tuple(steps),
        equation=equation,
        s_transform=transform.expression,
        r_transform=r_expression,
        edges=edges,
        moment_rule=moment_rule,
        constraints=constraints,
        starts={unknown: start.subs(m, mean_start) for unknown, start in transform.starts.items()},
        residual=(residual, mean_start),
        closed_form=closed_form,
        pieces=pieces,
    )


def _parametric_edges(transform: STransform) -> tuple[Any, ...]:
    """Equation of the critical points of z, in m and the auxiliary unknowns: dz vanishes along the constraints."""
    unknowns = list(transform.constraints)
    if len(unknowns) > 2:
        return ()  # a determinant that nobody reads
    relations = [c.lhs - c.rhs for c in transform.constraints.values()]
    logarithm_of_z = logarithm(inverse_moment_factors(transform.factors))
    if len(unknowns) == 1:
        (unknown,), (relation,) = unknowns, relations
        slope = -sp.diff(relation, m) / sp.diff(relation, unknown)  # d unknown / d m along the constraint
        return (sp.Eq(sp.diff(logarithm_of_z, m) + sp.factor(slope) * sp.diff(logarithm_of_z, unknown), 0),)
    rows = [[sp.diff(f, v) for v in (m, *unknowns)] for f in (logarithm_of_z, *relations)]
    (a, b, c), (d, e, f), (g_, h, i) = rows
    determinant = a * (e * i - f * h) - b * (d * i - f * g_) + c * (d * h - e * g_)
    return (sp.Eq(determinant, 0, evaluate=False),)


def derive_from_r(subject: str, transform: RTransform) -> Derivation:
    """Derivation from R: equation z = R(G) + 1/G, edges, moments."""
    expression = transform.expression
    inverse = expression + 1 / g
    if not expression.is_rational_function(g):
        return _derive_from_general_r(subject, transform, inverse)
    cleared = sp.numer(sp.together(inverse - z)).subs(g, G)
    equation = sp.Eq(sp.collect(sp.expand(cleared), G), 0)
    steps = [
        *transform.steps,
        Step(
            "Equation of the Cauchy transform",
            equation,
            "$R(G) + 1/G = z$ by definition of R. The law is the solution with $G$ ~ $1/z$ at infinity.",
            "Voiculescu 1986",
            transform.steps[-1].formula,
        ),
    ]
    slope = sp.numer(sp.together(sp.diff(inverse, g)))
    critical = sp.Eq(sp.expand(slope), 0, evaluate=False)
    reason = "Edges of the support are critical values of $z(g) = R(g) + 1/g$."
    steps.append(Step("Critical points", critical, reason, "derived here", sp.Eq(z, inverse, evaluate=False)))
    edges = _edges_from_r(inverse, sp.Poly(slope, g), critical)
    if edges and not isinstance(edges[0], sp.Eq):
        steps.append(edges_step(edges))
    steps.append(moments_step(transform.moments))
    return Derivation(
        subject=subject,
        steps=tuple(steps),
        equation=equation,
        s_transform=_s_from_r(expression),
        r_transform=expression,
        edges=edges,
        moment_rule=transform.moments,
    )


def _derive_from_general_r(subject: str, transform: RTransform, inverse: Any) -> Derivation:
    equation = sp.Eq(z, inverse.subs(g, G), evaluate=False)
    critical = sp.Eq(sp.diff(inverse, g), 0, evaluate=False)
    given = transform.steps[-1].formula
    steps = (
        *transform.steps,
        Step("Equation of the Cauchy transform", equation, "$R(G) + 1/G = z$.", "Voiculescu 1986", given),
        Step(
            "Critical points",
            critical,
            "Edges of the support are critical values of $z(g) = R(g) + 1/g$.",
            "derived here",
            sp.Eq(z, inverse, evaluate=False),
        ),
        moments_step(transform.moments),
    )
    return Derivation(subject, steps, equation, None, transform.expression, (critical,), transform.moments)


def derive_by_subordination(subject: str, discrete: Discrete, rest: RTransform) -> Derivation:
    """Derivation of the free sum of a discrete law and a law of rational R: G(z) = G_discrete(z - R(G))."""
    atoms = [(to_sympy(x), to_sympy(p)) for x, p in discrete.masses]
    shifted = z - rest.expression.subs(g, G)
    exact = sp.Eq(G, sp.Add(*(p / (shifted - x) for x, p in atoms)), evaluate=False)
    cleared = sp.expand(sp.numer(sp.together(exact.lhs - exact.rhs)))
    equation = sp.Eq(sp.collect(cleared, G), 0)
    discriminant = sp.discriminant(cleared, G) if cleared.free_symbols <= {G, z} and not cleared.has(sp.Float) else None
    edges = () if discriminant is None else (sp.Eq(sp.sqf_part(discriminant), 0),)

    def moments(n: int) -> list[Any]:
        raw = [sp.Add(*(p * x**k for x, p in atoms)) for k in range(1, n + 1)]
        total = [a + b for a, b in zip(series.moments_to_free_cumulants(raw), rest.cumulants(n), strict=True)]
        return [sp.factor_terms(sp.expand(x)) for x in series.free_cumulants_to_moments(total)]

    steps = (
        *rest.steps,
        Step(
            "Subordination",
            exact,
            "With $R$ of the other terms, $G(z) = G_D(z - R(G(z)))$; $G_D$ of the discrete law is a sum of $p/(z-x)$. "
            "The law is the solution with $G$ ~ $1/z$ at infinity.",
            "Voiculescu 1986; Belinschi, Bercovici 2007",
        ),
        Step("Equation of the Cauchy transform", equation, "The same, cleared of denominators.", "derived here"),
        *(
            Step("Branch points", edge, "Edges of the support are among the zeros of the discriminant.", "derived here")
            for edge in edges
        ),
        moments_step(moments),
    )
    return Derivation(subject, steps, equation, None, None, edges, moments)


def derive_from_polynomial(law: Any) -> Derivation:
    """Derivation of an algebraic law by elimination: equation P(G, z) = 0 and its branch points."""
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
        Step(
            "Equation of the Cauchy transform",
            equation,
            "The same in $G$.",
            "definition",
            sp.Eq(poly.as_expr(), 0, evaluate=False),
        ),
    ]
    if critical is not None:
        steps.append(
            Step(
                "Branch points",
                critical,
                "Edges of the support are among the zeros of the discriminant.",
                "Rao, Edelman 2008",
                equation,
            )
        )
    edges = () if critical is None else _two_edges(critical)
    if edges and not isinstance(edges[0], sp.Eq):
        steps.append(edges_step(edges))

    def moments(n: int) -> list[Any]:
        return moments_from_polynomial(poly, n)

    steps.append(moments_step(moments))
    r_expression = s_expression = None
    if poly.degree(poly.gens[0]) <= _SMALL:
        (mean,) = moments(1)
        r_expression = small_root(in_r(equation), R, g, mean)
        s_expression = None if mean == 0 else small_root(in_s(equation), S, m, 1 / mean)
    return Derivation(
        subject=repr(law),
        steps=tuple(steps),
        equation=equation,
        s_transform=s_expression,
        r_transform=r_expression,
        edges=edges,
        moment_rule=moments,
    )


def _two_edges(critical: Any) -> tuple[Any, ...]:
    """Both zeros of a quadratic discriminant, edges as there is no other branch point; or the equation."""
    discriminant = sp.Poly(critical.lhs, z)
    if discriminant.degree() != 2:
        return (critical,)
    leading, half, constant = discriminant.all_coeffs()
    centre = sp.factor(-half / (2 * leading))
    radius = sp.sqrt(sp.factor(centre**2 - constant / leading))
    return (centre - radius, centre + radius)


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


def solution_step(solution: Any, reason: str) -> Step:
    """The step that states G in closed form."""
    return Step("Solution", sp.Eq(G, solution, evaluate=False), reason, "derived here")


def edges_step(edges: tuple[Any, ...]) -> Step:
    """The step that states edges in closed form."""
    formula = tuple(sp.Eq(sp.Symbol(f"x_{k}"), edge, evaluate=False) for k, edge in enumerate(edges, 1))
    return Step(
        "Edges of the support", formula, "The critical values of $z$ that bound the continuous part.", "derived here"
    )


def moments_step(rule: Callable[[int], list[Any]]) -> Step:
    """The step that states the first two moments."""
    formula = tuple(sp.Eq(sp.Symbol(f"m_{k}"), x, evaluate=False) for k, x in enumerate(rule(2), 1))
    return Step(
        "Moments",
        formula,
        "Lagrange inversion of the transform, term by term.",
        "Nica, Speicher 2006, lectures 12 and 18",
    )
