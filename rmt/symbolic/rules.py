"""From a law to its derivation: one rule a node, which chooses the route."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower, FreeSumPower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic.derivation import Derivation, G, Step, g, to_sympy, z
from rmt.symbolic.r_transforms import RTransform, add_transforms, r_transform
from rmt.symbolic.routes import derive_by_subordination, derive_from_polynomial, derive_from_r, derive_from_s
from rmt.symbolic.s_transforms import STransform, s_transform, unavailable, universal_parameters

__all__ = ["derive"]


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
    raise unavailable(law, "derivation", "its numbers are there (cauchy, …); for a network use theory.derive(net)")


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
    return derive_from_r(repr(law), r_transform(law))


@derive.register
def _(law: Discrete) -> Derivation:
    cauchy = sp.Add(*(to_sympy(p) / (z - to_sympy(x)) for x, p in law.masses))
    equation = sp.Eq(G, cauchy)
    step = Step(
        "Cauchy transform", equation, "The sum of mass over distance; there is no continuous part.", "definition"
    )
    transform = _s_or_none(law)
    return Derivation(
        subject=repr(law),
        steps=(step,),
        equation=equation,
        s_transform=None if transform is None or len(law.masses) > 2 else transform.expression,
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
    transform = _s_or_none(law)
    return derive_from_polynomial(law) if transform is None else derive_from_s(repr(law), transform)


@derive.register
def _(law: ResidualSum) -> Derivation:
    return derive_from_s(repr(law), s_transform(law))


@derive.register
def _(law: FreeSum) -> Derivation:
    discrete = [term for term in law.laws if isinstance(term, Discrete) and len(term.masses) > 1]
    if len(discrete) == 1:
        rest = _rational_r_or_none(*(term for term in law.laws if term is not discrete[0]))
        if rest is not None:
            return derive_by_subordination(repr(law), discrete[0], rest)
    transform = _rational_r_or_none(*law.laws)
    return derive_from_polynomial(law) if transform is None else derive_from_r(repr(law), transform)


@derive.register(FreeSumPower)
@derive.register(Compression)
def _(law: Any) -> Derivation:
    transform = _rational_r_or_none(law)
    return derive_from_polynomial(law) if transform is None else derive_from_r(repr(law), transform)


@derive.register
def _(law: Affine) -> Derivation:
    a, b = to_sympy(law.scale), to_sympy(law.shift)
    transform = _s_or_none(law)
    if transform is not None and not a.is_negative:
        return derive_from_s(repr(law), transform)
    inner = derive(law.law)
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

    transform_r = _rational_r_or_none(law)
    return Derivation(
        subject=repr(law),
        steps=(*inner.steps, step),
        equation=equation,
        s_transform=None if transform is None else transform.expression,
        r_transform=None if transform_r is None else transform_r.expression,
        edges=edges,
        moment_rule=moments,
        constraints=tuple(c.subs({G: a * G, z: (z - b) / a}, simultaneous=True) for c in inner.constraints),
    )


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

    constraints = tuple(c.subs({G: G / z, z: z**2}, simultaneous=True) for c in inner.constraints)
    return Derivation(repr(law), (*inner.steps, step), equation, None, None, edges, moments, constraints)


@derive.register
def _(law: Sqrt) -> Derivation:
    raise unavailable(
        law, "derivation", "derive the law of the squares, or law.symmetrized(), whose equation is that of z G(z^2)"
    )


def _s_or_none(law: Any) -> STransform | None:
    try:
        return s_transform(law)
    except NotImplementedError:
        return None


def _rational_r_or_none(*terms: Any) -> RTransform | None:
    """R-transform of a free sum where it is rational; square roots would hold on one branch only."""
    try:
        transform = add_transforms([r_transform(term) for term in terms]) if len(terms) > 1 else r_transform(terms[0])
    except NotImplementedError:
        return None
    return transform if transform.expression.is_rational_function(g) else None
