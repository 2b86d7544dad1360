"""S-transforms in closed form, and what free operations do to them.

Conventions: m = zG - 1, S(m) = (1+m)/(m z(m)).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce
from typing import Any

import sympy as sp

from rmt import series
from rmt.symbolic.derivation import Step, to_sympy
from rmt.symbolic.letters import m
from rmt.symbolic.products import Factors, merge, power, to_expression

__all__ = [
    "VOICULESCU_S",
    "STransform",
    "multiply_transforms",
    "raise_transform",
    "relations",
    "residual_transform",
    "s_step",
    "scale_transform",
    "unavailable",
    "widen_transform",
]

VOICULESCU_S = "Voiculescu 1987, theorem 2.6"


def unavailable(law: Any, question: str, advice: str) -> NotImplementedError:
    """The error of a reading that a node lacks."""
    return NotImplementedError(f"{type(law).__name__} has no {question} in closed form: {advice}")


@dataclass(frozen=True)
class STransform:
    """S(m) as a product of powers, with its Taylor series.

    Attributes
    ----------
    factors : tuple of (base, exponent)
        S(m) = Π base^exponent.
    mean : sympy expression
        1/S(0).
    coefficients : callable
        n -> the first n coefficients of S(m)/S(0).
    domain : tuple of sympy relations
        What the parameters must satisfy.
    constraints : mapping of symbol to sympy.Eq
        The auxiliary unknowns of the factors, each with its equation.
    starts : mapping of symbol to expression in m
        The auxiliary unknowns as m tends to 0.
    positive : bool
        Whether the law lives on [0, oo).
    radicals : tuple of (base, exponent), or None
        S(m) without auxiliary unknowns but with square roots, where `factors` have unknowns instead: a formula to
        read, correct on the branch at small m only.
    steps : tuple of Step
        How S was found; the last step gives S itself.
    """

    factors: Factors
    mean: Any
    coefficients: Callable[[int], list[Any]] = field(repr=False)
    steps: tuple[Step, ...]
    domain: tuple[Any, ...] = ()
    constraints: Mapping[Any, Any] = field(default_factory=dict)
    starts: Mapping[Any, Any] = field(default_factory=dict)
    positive: bool = True
    radicals: Factors | None = None

    @property
    def readable(self) -> Factors:
        """The factors to show: with radicals rather than auxiliary unknowns where there is the choice."""
        return self.factors if self.radicals is None else self.radicals

    @property
    def expression(self) -> Any:
        """S(m) as one expression."""
        return to_expression(self.readable)

    def moments(self, n: int) -> list[Any]:
        """Moments m_1 … m_n by Lagrange inversion, m_k = (1/k) [m^{k-1}] ((1+m)/S(m))^k."""
        normalised = series.s_series_to_moments([to_sympy(c) for c in self.coefficients(n)])
        # The polynomial part is factored apart from mean^k: factoring e^{ck} as well is slow and ugly.
        return [self.mean**k * sp.factor(to_sympy(x)) for k, x in enumerate(normalised, 1)]


def scale_transform(inner: STransform, scale: Any) -> STransform:
    """S-transform of a law scaled by a factor."""
    factor = ((scale, sp.Integer(-1)),)
    scaled = replace(
        inner,
        factors=merge(inner.factors, factor),
        radicals=None if inner.radicals is None else merge(inner.radicals, factor),
        mean=scale * inner.mean,
        domain=(*inner.domain, *relations(scale > 0)),
        positive=inner.positive and not scale.is_negative,
    )
    reason = "Scaling a law divides its S by the factor."
    step = s_step("Scale", scaled.readable, reason, "definition", inner.steps[-1].formula)
    return replace(scaled, steps=(*inner.steps, *step))


def widen_transform(inner: STransform, ratio: Any, *, isometric: bool) -> STransform:
    """S-transform of W X Wᵀ, W with ``ratio`` times as many rows as columns.

    The entries of W have variance 1/columns: Gaussian, or (isometric) an isometry times sqrt(ratio) or, for fewer rows
    than columns, orthonormal rows.
    """
    one = sp.Integer(1)
    moved = ratio * m

    def dilated(factors: Factors) -> Factors:
        parts = [((ratio, e), (m, e)) if b == m else ((b.subs(m, moved), e.subs(m, moved)),) for b, e in factors]
        return merge(*parts)

    if not isometric:
        extra: Factors = ((1 + moved, -one),)
        reason = (
            "$W X W^T$ has the nonzero spectrum of $X W^T W$, whose $W^T W$ has $S = 1/(r + m)$; at the width of the "
            "output, $r$ times that of the input, it is met at $r m$."
        )
    elif (ratio - 1).is_negative:
        extra, reason = (), "Orthonormal rows cut out a corner of relative size $r$: a free compression, $S(r m)$."
    elif (ratio - 1).is_nonnegative:
        extra = ((1 + m, one), (1 + moved, -one))
        reason = "An isometry keeps the nonzero spectrum, here times $r$; the width of the output is $r$ times larger."
    else:
        raise NotImplementedError(
            f"width_ratio={ratio} of orthogonal weights: the formula depends on whether it exceeds 1; give a number"
        )
    factors = merge(dilated(inner.factors), extra)

    def coefficients(n: int) -> list[Any]:
        own = [ratio**k * c for k, c in enumerate(inner.coefficients(n))]
        for base, exponent in extra:
            slope = sp.diff(base, m)
            geometric = [(-slope) ** k for k in range(n)]
            own = series.multiply(own, geometric if exponent == -1 else [1, slope, *[0] * n][:n])
        return own

    source = "Chhaibi, Daouda, Kahn 2022; derived here"
    step = s_step("Change of width", factors, reason, source, inner.steps[-1].formula)
    return replace(
        inner,
        factors=factors,
        radicals=None if inner.radicals is None else merge(dilated(inner.radicals), extra),
        coefficients=coefficients,
        constraints={unknown: c.subs(m, moved) for unknown, c in inner.constraints.items()},
        starts={unknown: start.subs(m, moved) for unknown, start in inner.starts.items()},
        steps=(*inner.steps, *step),
    )


def multiply_transforms(transforms: Sequence[STransform]) -> STransform:
    """S-transform of a free product: the product of the factors', auxiliary unknowns kept apart."""
    constraints: dict[Any, Any] = {}
    starts: dict[Any, Any] = {}
    parts: list[Factors] = []
    for transform in transforms:
        renamed: dict[Any, Any] = {}
        for unknown, constraint in transform.constraints.items():
            if constraints.get(unknown, constraint) != constraint:
                names = (sp.Symbol(f"{unknown.name}_{k}") for k in itertools.count(1))
                taken = {*constraints, *transform.constraints, *renamed.values()}
                renamed[unknown] = next(name for name in names if name not in taken)
        constraints |= {renamed.get(u, u): c.subs(renamed) for u, c in transform.constraints.items()}
        starts |= {renamed.get(u, u): start for u, start in transform.starts.items()}
        parts.append(tuple((b.subs(renamed), e.subs(renamed)) for b, e in transform.factors))
    # radicals replace all unknowns or none
    has_radicals = all(t.radicals is not None or not t.constraints for t in transforms) and bool(constraints)
    steps = tuple(dict.fromkeys(step for transform in transforms for step in transform.steps))
    product = STransform(
        factors=merge(*parts),
        mean=sp.Mul(*(t.mean for t in transforms)),
        coefficients=lambda n: reduce(series.multiply, (t.coefficients(n) for t in transforms)),
        steps=steps,
        domain=tuple(dict.fromkeys(r for t in transforms for r in t.domain)),
        constraints=constraints,
        starts=starts,
        positive=all(t.positive for t in transforms),
        radicals=merge(*(t.readable for t in transforms)) if has_radicals else None,
    )
    before = tuple(t.steps[-1].formula for t in transforms)
    step = s_step("Free product", product.readable, "S multiplies over free factors.", VOICULESCU_S, before)
    return replace(product, steps=(*steps, *step))


def raise_transform(inner: STransform, exponent: Any) -> STransform:
    """S-transform of a free multiplicative power; the exponent may be a symbol."""
    raised = replace(
        inner,
        factors=power(inner.factors, exponent),
        radicals=None if inner.radicals is None else power(inner.radicals, exponent),
        mean=sp.expand_power_base(inner.mean**exponent),
        coefficients=lambda n: series.power(inner.coefficients(n), exponent),
        domain=(*inner.domain, *relations(exponent > 1)),
    )
    reason = "S multiplies over free factors, so that a free power raises S to the same power."
    step = s_step("Free power", raised.readable, reason, VOICULESCU_S, inner.steps[-1].formula)
    return replace(raised, steps=(*inner.steps, *step))


def residual_transform(branch: STransform, a: Any) -> STransform:
    """S-transform of |a O + Y|² from that of the branch Y Yᵀ (the block formula of a residual network)."""
    taken = {str(unknown) for unknown in branch.constraints}
    m0 = next(name for k in itertools.count() if str(name := sp.Symbol(f"m_{k}")) not in taken)
    at_m0 = tuple((b.subs(m, m0), e.subs(m, m0)) for b, e in branch.factors)
    one = sp.Integer(1)
    t_factors = merge(((m0, one), (1 + m0, one)), at_m0)
    t = to_expression(t_factors)
    constraint = sp.Eq((m - m0) * (m - m0 + 1), a**2 * t, evaluate=False)
    factors = merge(t_factors, ((m, -one), (1 + m, -one)))
    mean = a**2 + branch.mean

    def coefficients(n: int) -> list[Any]:
        s0 = 1 / branch.mean
        inner = [0, *(s0 * to_sympy(c) for c in branch.coefficients(n))]  # m0 S_Y(m0)
        t_series = series.multiply(inner, [1, 1, *[0] * n])
        root = series.power(series.add([1, *[0] * n], [4 * a**2 * c for c in t_series]), Fraction(1, 2))
        m_series = series.add([0, 1, *[0] * n], [c / sp.Integer(2) for c in series.add([-1, *[0] * n], root)])
        t_of_m = series.compose(t_series, series.reversion(m_series))
        quotient = series.multiply(t_of_m[1:], [(-1) ** k for k in range(n)])  # t / (m (1+m))
        return [c * mean for c in quotient]

    share = m * branch.mean / mean  # m0 for small m
    before = branch.steps[-1].formula
    steps = (
        *branch.steps,
        Step(
            "Branch in bipolar form",
            sp.Eq(sp.Symbol("t"), t, evaluate=False),
            f"$t = {m0} (1 + {m0}) S_Y({m0})$ parametrises the branch $Y$ by its own moment transform ${m0}$.",
            "derived here",
            before,
        ),
        Step(
            "Residual sum",
            constraint,
            "The symmetrised singular law of $a O + Y$, $Y$ bi-invariant, is the free sum of those of $a O$ "
            f"(two atoms) and of $Y$; eliminating its R-transform leaves $(m - {m0})(m - {m0} + 1) = a^2 t$.",
            "Nica, Speicher 2006, lecture 15; derived here",
            sp.Eq(sp.Symbol("t"), t, evaluate=False),
        ),
        *s_step("S-transform of the block", factors, "$S(m) = t / (m (1 + m))$.", "derived here", constraint),
    )
    inner = {unknown: c.subs(m, m0) for unknown, c in branch.constraints.items()}
    return STransform(
        factors,
        mean,
        coefficients,
        steps,
        (*branch.domain, *relations(a > 0)),
        constraints={m0: constraint, **inner},
        starts={m0: share, **{unknown: start.subs(m, share) for unknown, start in branch.starts.items()}},
        positive=branch.positive,
    )


def s_step(title: str, factors: Factors, reason: str, source: str, before: Any = ()) -> tuple[Step, ...]:
    """The step that states S."""
    return (Step(title, sp.Eq(sp.Function("S")(m), to_expression(factors), evaluate=False), reason, source, before),)


def relations(*conditions: Any) -> tuple[Any, ...]:
    """Conditions that depend on symbols; those of numbers were checked when the law was made."""
    return tuple(c for c in conditions if c not in (sp.true, sp.false))
