"""Derivations of operations on laws: each chooses the route that gives the simplest equation.

The ladder: an explicit S or R; the polynomial of an algebraic law with exact parameters; otherwise the equations of the
parts, each at its own spectral variable.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower, FreeSumPower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.symbolic.choice import algebraic, by_one_equation, has_moments, parts_of, r_or_none, s_or_none
from rmt.symbolic.derivation import Derivation, Step, to_sympy
from rmt.symbolic.dispatch import derive
from rmt.symbolic.letters import G, g, z
from rmt.symbolic.r_transforms import add_transforms
from rmt.symbolic.routes import derive_by_subordination, derive_from_r
from rmt.symbolic.s_algebra import multiply_transforms
from rmt.symbolic.subordination import derive_product, derive_sum, finish, part_of, written_in_m

__all__: list[str] = []


# --- free sums -------------------------------------------------------------------------------------------------------


@derive.register
def _(law: FreeSum) -> Derivation:
    known = [(term, r_or_none(term)) for term in law.laws]
    rest = [transform for _, transform in known if transform is not None]
    others = [term for term, transform in known if transform is None]
    total = None if not rest else rest[0] if len(rest) == 1 else add_transforms(rest)
    if not others:
        assert total is not None
        return derive_from_r(repr(law), total)
    rational = total is not None and total.expression.is_rational_function(g) and has_moments(law)
    if len(others) == 1 and isinstance(others[0], Discrete) and total is not None and rational:
        return derive_by_subordination(repr(law), others[0], total)
    return algebraic(law) or derive_sum(law, parts_of(others), total)


@derive.register
def _(law: FreeSumPower) -> Derivation:
    transform = r_or_none(law)
    if transform is not None:
        return derive_from_r(repr(law), transform)
    t = to_sympy(law.exponent)
    reason = "R is multiplied by $t$, so that the law's own $G$ is that of the part at $w = (z + (t-1)/G)/t$."
    return algebraic(law) or _substituted(law, G, (z + (t - 1) / G) / t, "Power of the free sum", reason)


@derive.register
def _(law: Compression) -> Derivation:
    transform = r_or_none(law)
    if transform is not None:
        return derive_from_r(repr(law), transform)
    t = to_sympy(law.ratio)
    reason = "$R(g)$ becomes $R(t g)$: $t G$ is that of the part at $w = z + (1/t - 1)/G$."
    return algebraic(law) or _substituted(law, t * G, z + (1 / t - 1) / G, "Free compression", reason)


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
    found = by_one_equation(law)
    if found is not None:
        return found
    known = [(factor, s_or_none(factor)) for factor in law.laws]
    rest = [t for _, t in known if t is not None and not t.constraints]
    others = [factor for factor, t in known if t is None or t.constraints]
    total = None if not rest else rest[0] if len(rest) == 1 else multiply_transforms(rest)
    moments = [factor.moments(2) for factor in others]
    means = [to_sympy(first) for first, _ in moments]
    variances = [to_sympy(second - first**2) for first, second in moments]
    return derive_product(law, parts_of(others), means, variances, total)


@derive.register
def _(law: FreePower) -> Derivation:
    found = by_one_equation(law)
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
    found = by_one_equation(law)
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
    parts = parts_of(law.laws)
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
