"""Derivations of operations on laws: each chooses the route that gives the simplest equation.

The ladder: an explicit S or R; the polynomial of an algebraic law with exact parameters; otherwise the equations of the
parts, each at its own spectral variable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower, FreeSumPower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.inverse import Inverse
from rmt.algebra.mixture import Mixture
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized, is_symmetric
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.results import PreconditionError
from rmt.symbolic import images
from rmt.symbolic.derivation import Derivation, Step, to_sympy
from rmt.symbolic.dispatch import derive
from rmt.symbolic.letters import G, g, m, z
from rmt.symbolic.products import merge, power
from rmt.symbolic.r_transforms import RTransform, add_transforms, r_transform
from rmt.symbolic.routes import derive_by_subordination, derive_from_polynomial, derive_from_r, derive_from_s
from rmt.symbolic.s_transforms import STransform, multiply_transforms, s_transform, unavailable
from rmt.symbolic.subordination import derive_product, derive_sum, exact_moments, finish, part_of, written_in_m

__all__: list[str] = []


# --- free sums -------------------------------------------------------------------------------------------------------


@derive.register
def _(law: FreeSum) -> Derivation:
    known = [(term, _r_or_none(term)) for term in law.laws]
    rest = [transform for _, transform in known if transform is not None]
    others = [term for term, transform in known if transform is None]
    total = None if not rest else rest[0] if len(rest) == 1 else add_transforms(rest)
    if not others:
        assert total is not None
        return derive_from_r(repr(law), total)
    rational = total is not None and total.expression.is_rational_function(g) and _has_moments(law)
    if len(others) == 1 and isinstance(others[0], Discrete) and total is not None and rational:
        return derive_by_subordination(repr(law), others[0], total)
    return _algebraic(law) or derive_sum(law, _parts(others), total)


@derive.register
def _(law: FreeSumPower) -> Derivation:
    transform = _r_or_none(law)
    if transform is not None:
        return derive_from_r(repr(law), transform)
    t = to_sympy(law.exponent)
    reason = "R is multiplied by $t$, so that the law's own $G$ is that of the part at $w = (z + (t-1)/G)/t$."
    return _algebraic(law) or _substituted(law, G, (z + (t - 1) / G) / t, "Power of the free sum", reason)


@derive.register
def _(law: Compression) -> Derivation:
    transform = _r_or_none(law)
    if transform is not None:
        return derive_from_r(repr(law), transform)
    t = to_sympy(law.ratio)
    reason = "$R(g)$ becomes $R(t g)$: $t G$ is that of the part at $w = z + (1/t - 1)/G$."
    return _algebraic(law) or _substituted(law, t * G, z + (1 / t - 1) / G, "Free compression", reason)


def _substituted(law: Any, cauchy: Any, point: Any, title: str, reason: str) -> Derivation:
    """An operation that takes the equation of its law at another point, without a new unknown."""
    inner = derive(law.law)
    part = part_of(inner, "1")
    equation, *constraints = part.at(cauchy, point)
    step = Step(title, (equation, *constraints), reason, "Nica, Speicher 2006, lecture 14", inner.equation)
    return finish(law, equation, constraints, part.starts, (*inner.steps, step))


# --- free products ---------------------------------------------------------------------------------------------------


@derive.register
def _(law: FreeProduct) -> Derivation:
    transform = _s_or_none(law)
    if transform is not None:
        return derive_from_s(repr(law), transform)
    found = _algebraic(law)
    if found is not None:
        return found
    known = [(factor, _s_or_none(factor)) for factor in law.laws]
    rest = [t for _, t in known if t is not None and not t.constraints]
    others = [factor for factor, t in known if t is None or t.constraints]
    total = None if not rest else rest[0] if len(rest) == 1 else multiply_transforms(rest)
    moments = [factor.moments(2) for factor in others]
    means = [to_sympy(first) for first, _ in moments]
    variances = [to_sympy(second - first**2) for first, second in moments]
    return derive_product(law, _parts(others), means, variances, total)


@derive.register
def _(law: FreePower) -> Derivation:
    transform = _s_or_none(law)
    if transform is not None:
        return derive_from_s(repr(law), transform)
    found = _algebraic(law)
    if found is not None:
        return found
    t = to_sympy(law.exponent)
    inner = derive(law.law)
    part, w = part_of(inner, "1"), sp.Symbol("w")
    constraints = part.at(z * G / w, w)
    # 1/S = m w/(1+m) of the part, to the power t
    equation = sp.Eq(z, (z * G / (z * G - 1)) * ((z * G - 1) * w / (z * G)) ** t, evaluate=False)
    mean = to_sympy(law.law.mean())
    step = Step(
        "Free power",
        (equation, *constraints),
        "S is raised to the power $t$: with $w = (1+m)/(m S_1(m))$ the spectral variable of the part, "
        "$z = ((1+m)/m) (m w/(1+m))^t$.",
        "Voiculescu 1987, theorem 2.6",
        inner.equation,
    )
    begin = z * mean ** (1 - t)
    starts = {w: begin, **part.starts_at(begin)}
    residual = written_in_m(equation, mean**t / z)
    return finish(law, equation, constraints, starts, (*inner.steps, step), residual=residual)


@derive.register
def _(law: ResidualSum) -> Derivation:
    transform = _s_or_none(law)
    if transform is not None:
        return derive_from_s(repr(law), transform)
    found = _algebraic(law)
    if found is not None:
        return found
    a = to_sympy(law.skip)
    inner = derive(law.branch)
    part, m0 = part_of(inner, "Y"), sp.Symbol("m_0")
    point = (1 + m0) ** 2 / (z * G**2)
    constraints = part.at((1 + m0) / point, point)
    equation = sp.Eq((z * G - 1 - m0) * (z * G - m0), a**2 * z * G**2, evaluate=False)
    mean = to_sympy(law.branch.mean())
    step = Step(
        "Residual sum",
        (equation, *constraints),
        "With $m_0$ the moment transform of the branch and $t = z G^2$: the free sum of the symmetrised singular laws "
        "is $(m - m_0)(m - m_0 + 1) = a^2 t$, and the branch is taken where its own $t = (1 + m_0)^2/w$ is the same.",
        "Nica, Speicher 2006, lecture 15; derived here",
        inner.equation,
    )
    starts = {m0: mean / z, **part.starts_at(z)}
    residual = written_in_m(equation, (mean + a**2) / z)
    return finish(law, equation, constraints, starts, (*inner.steps, step), residual=residual)


@derive.register
def _(law: RectangularSum) -> Derivation:
    c = to_sympy(law.ratio)
    own = [sp.Symbol(f"m_{k}") for k, _ in enumerate(law.laws, 1)]
    total = sp.Add(*own)
    h = (1 + total) * (1 + c * total) / z
    parts = _parts(law.laws)
    constraints: list[Any] = []
    starts: dict[Any, Any] = {}
    for name, part, term in zip(own, parts, law.laws, strict=True):
        point = (1 + name) * (1 + c * name) / h
        constraints += part.at((1 + name) / point, point)
        starts |= {name: to_sympy(term.mean()) / z, **part.starts_at(z)}
    equation = sp.Eq(G, (1 + total) / z, evaluate=False)
    step = Step(
        "Rectangular free convolution",
        (equation, *constraints),
        "$h = (1+m)(1+c m)/z$ is common to all, and the $m_k$ as functions of $h$, the rectangular R-transforms, add.",
        "Benaych-Georges 2009",
        tuple(part.steps[-1].formula for part in parts if part.steps)[:3],
    )
    return finish(law, equation, constraints, starts, (*(s for p in parts for s in p.steps), step))


# --- images and mixtures ---------------------------------------------------------------------------------------------


@derive.register
def _(law: Affine) -> Derivation:
    a, b = to_sympy(law.scale), to_sympy(law.shift)
    transform = _s_or_none(law)
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

    transform_r = _r_or_none(law)
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
    transform = _s_or_none(law)
    if transform is not None:
        return derive_from_s(repr(law), transform)
    if isinstance(law.law, Sqrt):
        return replace(derive(law.law.law), subject=repr(law))
    found = _algebraic(law)
    if found is not None:
        return found
    if not is_symmetric(law.law):
        return images.derive_polynomial_image(law, (sp.Integer(0), sp.Integer(0), sp.Integer(1)), law.law)
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
    transform = _s_or_none(law.law)
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
    parts = _parts([part for part, _ in law.parts])
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
    return finish(law, equation, constraints, starts, (*(s for p in parts for s in p.steps), step))


# --- which route -----------------------------------------------------------------------------------------------------


def _parts(laws: Sequence[Law]) -> list[Any]:
    return [part_of(derive(law), str(k)) for k, law in enumerate(laws, 1)]


def _algebraic(law: Law) -> Derivation | None:
    """The polynomial route, where the law is algebraic and its parameters are exact."""
    if _has_floats(law):
        return None
    try:
        return derive_from_polynomial(law)
    except NotImplementedError:
        return None


def _has_floats(value: Any) -> bool:
    if isinstance(value, float):
        return True
    if isinstance(value, sp.Basic):
        return bool(value.has(sp.Float))
    if isinstance(value, tuple):
        return any(_has_floats(item) for item in value)
    if isinstance(value, Law):
        return any(_has_floats(getattr(value, f.name)) for f in dataclasses.fields(value))  # type: ignore[arg-type]
    return False


def _has_moments(law: Law) -> bool:
    try:
        law.moments(1)
    except PreconditionError:
        return False
    return True


def _s_or_none(law: Any) -> STransform | None:
    try:
        return s_transform(law)
    except NotImplementedError:
        return None


def _r_or_none(law: Any) -> RTransform | None:
    """R-transform of a law where its formula holds for all values of G, which one with square roots does not."""
    try:
        transform = r_transform(law)
    except NotImplementedError:
        return None
    return transform if transform.everywhere else None
