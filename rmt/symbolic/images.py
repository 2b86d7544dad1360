"""Derivations of images and mixtures: the equation of the law at another point, or a sum over the preimages of z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.inverse import Inverse
from rmt.algebra.mixture import Mixture
from rmt.algebra.polynomial_image import PolynomialImage
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized, is_symmetric
from rmt.symbolic.choice import algebraic, parts_of, r_or_none, s_or_none
from rmt.symbolic.derivation import Derivation, Step, to_sympy
from rmt.symbolic.dispatch import derive
from rmt.symbolic.letters import G, m, z
from rmt.symbolic.products import merge, power
from rmt.symbolic.routes import derive_from_s
from rmt.symbolic.s_algebra import STransform, unavailable
from rmt.symbolic.subordination import Part, exact_moments, finish, part_of, renamed

__all__ = ["derive_polynomial_image"]

_Y = sp.Symbol("y")


@derive.register
def _(law: Affine) -> Derivation:
    a, b = to_sympy(law.scale), to_sympy(law.shift)
    transform = s_or_none(law)
    if transform is not None and not a.is_negative:
        return derive_from_s(repr(law), transform)
    inner = derive(law.law)
    back = {G: a * G, z: (z - b) / a}
    equation = sp.Eq(*(side.subs(back, simultaneous=True) for side in inner.equation.args), evaluate=False)
    if equation.rhs == 0 and equation.lhs.is_polynomial(G, z):
        equation = sp.Eq(sp.collect(sp.expand(equation.lhs), G), 0)
    step = Step(
        "Scale and shift", equation, "The law of $a X + b$ has $G((z-b)/a)/a$.", "definition", inner.equation
    )
    edges = inner.edges
    if any(isinstance(edge, sp.Eq) for edge in edges):
        edges = tuple(_edge_equation(edge, back) for edge in edges)
    else:
        edges = tuple(a * edge + b for edge in edges)
        edges = edges[::-1] if a.is_negative else edges

    def moments(n: int) -> list[Any]:
        raw = [sp.Integer(1), *inner.moments(n)]
        return [
            sp.factor_terms(sp.expand(sum(sp.binomial(k, j) * a**j * b ** (k - j) * raw[j] for j in range(k + 1))))
            for k in range(1, n + 1)
        ]

    transform_r = r_or_none(law)
    constraints = tuple(sp.Eq(*(e.subs(back, simultaneous=True) for e in c.args)) for c in inner.constraints)
    solution = None
    if inner.closed_form is not None and a.is_positive:
        solution = inner.closed_form.subs(z, (z - b) / a) / a
    return Derivation(
        subject=repr(law),
        steps=(*inner.steps, step),
        equation=equation,
        s_transform=None if transform is None else transform.expression,
        r_transform=None if transform_r is None else transform_r.expression,
        edges=edges,
        moment_rule=moments,
        constraints=constraints,
        starts={unknown: start.subs(z, (z - b) / a) for unknown, start in inner.starts.items()},
        closed_form=solution,
        image=(inner, (z - b) / a, G / a) if a.is_number and b.is_number else None,
    )


def _edge_equation(edge: Any, back: dict[Any, Any]) -> Any:
    """An equation of critical points in terms of the image; those in m or g alone stay those of the law itself."""
    return sp.Eq(*(side.subs(back, simultaneous=True) for side in edge.args), evaluate=False)


@derive.register
def _(law: Symmetrized) -> Derivation:
    if not isinstance(law.law, Sqrt):
        if is_symmetric(law.law):
            return replace(derive(law.law), subject=repr(law))
        half = sp.Rational(1, 2)
        return replace(derive(Mixture({law.law: half, Affine(law.law, -1): half})), subject=repr(law))
    inner = derive(law.law.law)
    back = {G: G / z, z: z**2}
    equation = inner.equation.subs(back, simultaneous=True)
    step = Step(
        "Symmetrised square root",
        equation,
        "The law of $± x^{1/2}$ has the Cauchy transform $z G(z^2)$.",
        "definition",
        inner.equation,
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

    constraints = tuple(c.subs(back, simultaneous=True) for c in inner.constraints)
    return Derivation(
        subject=repr(law),
        steps=(*inner.steps, step),
        equation=equation,
        s_transform=None,
        r_transform=None,
        edges=edges,
        moment_rule=moments,
        constraints=constraints,
        starts={unknown: start.subs(z, z**2) for unknown, start in inner.starts.items()},
        image=(inner, z**2, z * G),
    )


@derive.register
def _(law: Square) -> Derivation:
    transform = s_or_none(law)
    if transform is not None:
        return derive_from_s(repr(law), transform)
    if isinstance(law.law, Sqrt):
        return replace(derive(law.law.law), subject=repr(law))
    found = algebraic(law)
    if found is not None:
        return found
    if not is_symmetric(law.law):
        return derive_polynomial_image(law, (sp.Integer(0), sp.Integer(0), sp.Integer(1)), law.law)
    inner = derive(law.law)
    part, root = part_of(inner, "1"), sp.sqrt(z)
    equation, *constraints = part.at(root * G, root)
    step = Step(
        "Square of a symmetric law",
        (equation, *constraints),
        "$G(z) = G_X(z^{1/2})/z^{1/2}$ where $X$ and $-X$ have the same law.",
        "definition",
        inner.equation,
    )
    return finish(law, equation, constraints, part.starts_at(root), (*inner.steps, step))


@derive.register
def _(law: Sqrt) -> Derivation:
    raise unavailable(
        law,
        "derivation",
        "its Cauchy transform, the mean of 1/(z - sqrt(x)), is no function of that of x; derive the law of the "
        "squares, or law.symmetrized(), whose equation is that of z G(z^2) and whose density for s > 0 is half of this",
    )


@derive.register
def _(law: Inverse) -> Derivation:
    law._check()
    transform = s_or_none(law.law)
    back = -1 - m
    if transform is not None and not transform.constraints and transform.positive:
        factors = power(merge(tuple((b.subs(m, back), e.subs(m, back)) for b, e in transform.factors)), sp.Integer(-1))
        reciprocal = sp.Mul(*(b**e for b, e in factors)).subs(m, 0)
        if reciprocal != 0:
            step = Step(
                "Inverse",
                sp.Eq(sp.Function("S")(m), sp.Mul(*(b**e for b, e in factors)), evaluate=False),
                "$m$ of $1/X$ at $1/z$ is $-1 - m$ of $X$ at $z$, so that $S(m)$ is $1/S_X(-1 - m)$.",
                "Haagerup, Schultz 2007",
                transform.steps[-1].formula,
            )
            moments = exact_moments(law)
            own = STransform(factors, sp.factor(1 / reciprocal), lambda _n: [], (*transform.steps, step))
            return derive_from_s(repr(law), own, edges=_inverse_edges(law), moments=moments)
    inner = derive(law.law)
    back_map = {G: z * (1 - z * G), z: 1 / z}
    equation, *constraints = (
        sp.Eq(*(side.subs(back_map, simultaneous=True) for side in e.args), evaluate=False)
        for e in (inner.equation, *inner.constraints)
    )
    reason = "$1/(z - 1/x) = 1/z - 1/(z^2 (1/z - x))$, so that $G(z) = (1 - G_X(1/z)/z)/z$."
    step = Step("Inverse", (equation, *constraints), reason, "definition", inner.equation)
    return Derivation(
        subject=repr(law),
        steps=(*inner.steps, step),
        equation=equation,
        s_transform=None,
        r_transform=None,
        edges=(),
        moment_rule=exact_moments(law),
        constraints=tuple(constraints),
        starts=dict(inner.starts),
        image=(inner, 1 / z, (1 - G / z) / z),
    )


def _inverse_edges(law: Inverse) -> tuple[Any, ...]:
    edges = derive(law.law).edges
    if not edges or any(isinstance(edge, sp.Eq) for edge in edges):
        return ()
    return tuple(sp.oo if edge == 0 else 1 / edge for edge in reversed(edges))


@derive.register
def _(law: Mixture) -> Derivation:
    parts = parts_of([part for part, _ in law.parts])
    weights = [to_sympy(p) for _, p in law.parts]
    terms: list[Any] = []
    constraints: list[Any] = []
    starts: dict[Any, Any] = {}
    for k, (part, weight) in enumerate(zip(parts, weights, strict=True), 1):
        if part.equation.lhs == G and not part.equation.rhs.has(G):
            terms.append(weight * part.equation.rhs)
            continue
        own = sp.Symbol(f"G_{k}")
        terms.append(weight * own)
        constraints += part.at(own, z)
        starts |= {own: 1 / z, **part.starts}
    equation = sp.Eq(G, sp.Add(*terms), evaluate=False)
    step = Step(
        "Mixture",
        (equation, *constraints),
        "$G$ is an average over the law: that of a mixture is the mixture of those of its parts.",
        "definition",
        tuple(part.equation for part in parts)[:3],
    )
    derivation = finish(law, equation, constraints, starts, (*(s for p in parts for s in p.steps), step))
    edges = _union([derive(part).edges for part, _ in law.parts])
    return replace(derivation, edges=edges) if edges else derivation


def _union(edges: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Edges of a union of supports.

    Empty where an edge has no closed form, symbols leave the order open, or two supports touch, where only the
    densities tell whether there is an edge.
    """
    ends = [edge for part in edges for edge in part]
    if any(isinstance(edge, sp.Eq) or not edge.is_number for edge in ends):
        return ()
    merged: list[tuple[Any, Any]] = []
    pairs = [pair for part in edges for pair in zip(part[::2], part[1::2], strict=True)]
    for low, high in sorted(pairs, key=lambda pair: float(pair[0])):
        if merged and low == merged[-1][1]:
            return ()
        if merged and low < merged[-1][1]:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return tuple(edge for pair in merged for edge in pair)


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
