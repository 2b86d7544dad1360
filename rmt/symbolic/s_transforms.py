"""S-transforms of laws in closed form, one rule a node.

Conventions: m = zG - 1, S(m) = (1+m)/(m z(m)). A rule returns the transform together with the steps that lead to it; a
node without a rule raises NotImplementedError with what to do instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce, singledispatch
from typing import Any

import sympy as sp

from rmt import series
from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.free_jacobi import FreeJacobi
from rmt.laws.free_multiplicative_brownian import FreeMultiplicativeBrownian
from rmt.laws.free_multiplicative_poisson import FreeMultiplicativePoisson
from rmt.laws.free_poisson import FreePoisson
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic.derivation import Step, to_sympy
from rmt.symbolic.letters import m
from rmt.symbolic.products import Factors, merge, power, to_expression

__all__ = [
    "STransform",
    "multiply_transforms",
    "raise_transform",
    "residual_transform",
    "s_transform",
    "unavailable",
    "universal_parameters",
]

_S = sp.Function("S")(m)
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


@singledispatch
def s_transform(law: Any) -> STransform:
    """S-transform of a law, one rule a node.

    Raises
    ------
    NotImplementedError
        If the law has no closed form that we know.
    """
    raise unavailable(law, "S-transform", "use law.moments(n), or rmt.symbolic.polynomial(law) where it is algebraic")


@s_transform.register
def _(law: MarchenkoPastur) -> STransform:
    c = to_sympy(law.ratio)
    step = Step(
        "S-transform of the Marchenko-Pastur law",
        sp.Eq(_S, 1 / (1 + c * m), evaluate=False),
        "All free cumulants of $X X^T$ are $c^{n-1}$, hence $R(g) = 1/(1 - c g)$; then $m = g R(g)$ "
        "and $S(m) = 1/R(g)$.",
        "Nica, Speicher 2006, lecture 18",
    )
    return STransform(
        factors=merge(((1 + c * m, sp.Integer(-1)),)),
        mean=sp.Integer(1),
        coefficients=lambda n: [(-c) ** k for k in range(n)],
        steps=(step,),
        domain=_relations(c > 0),
    )


@s_transform.register
def _(law: FussCatalan) -> STransform:
    depth = to_sympy(law.order)
    step = Step(
        "S-transform of the Fuss-Catalan law",
        sp.Eq(_S, (1 + m) ** -depth, evaluate=False),
        "It is a free product of Marchenko-Pastur laws of ratio 1, each with $S(m) = 1/(1+m)$, and S multiplies.",
        VOICULESCU_S,
    )
    return STransform(
        factors=((1 + m, -depth),),
        mean=sp.Integer(1),
        coefficients=lambda n: series.power(_linear(1, n), -depth),
        steps=(step,),
        domain=_relations(depth > 0),
    )


@s_transform.register
def _(law: UniversalResNet) -> STransform:
    c, a, prefactor = universal_parameters(law)
    step = Step(
        "S-transform of infinitely many residual blocks",
        sp.Eq(_S, prefactor**-1 * sp.exp(-c / a**2 * (1 + 2 * m)), evaluate=False),
        "One block $a + Y/L^{1/2}$ has $S(m) = a^{-2} [1 - (c/(a^2 L)) (1 + 2m) + O(1/L^2)]$, c the effective "
        "cumulant; S multiplies over the free blocks, and the product of $L$ factors tends to the exponential.",
        "Tarnowski et al. 2018, arXiv:1809.08848",
    )
    rate = c / a**2
    return STransform(
        factors=merge(((prefactor, -sp.Integer(1)), (sp.E, -rate * (1 + 2 * m)))),
        mean=prefactor * sp.exp(rate),
        coefficients=lambda n: series.exp([0, -2 * rate, *[0] * n][:n]),
        steps=(step,),
        domain=_relations(c > 0, a > 0),
    )


@s_transform.register
def _(law: FreeMultiplicativeBrownian) -> STransform:
    time = to_sympy(law.time)
    step = Step(
        "S-transform of the free multiplicative Brownian motion",
        sp.Eq(_S, sp.exp(-time * (m + sp.Rational(1, 2))), evaluate=False),
        "$b_t$ is a product of many free factors $1 + (t/(2L))^{1/2} X_l$; S multiplies, and each tends to "
        "$1 - (t/L)(m + 1/2)$.",
        "Biane 1997",
    )
    return STransform(
        factors=((sp.E, -time * (m + sp.Rational(1, 2))),),
        mean=sp.exp(time / 2),
        coefficients=lambda n: series.exp([0, -time, *[0] * n][:n]),
        steps=(step,),
        domain=_relations(time > 0),
    )


@s_transform.register
def _(law: FreeJacobi) -> STransform:
    s, t = to_sympy(law.trace_p), to_sympy(law.trace_q)
    one = sp.Integer(1)
    factors = merge(((1 + s * m, one), (t + s * m, -one)))
    step = Step(
        "S-transform of the free Jacobi law",
        sp.Eq(_S, (1 + s * m) / (t + s * m), evaluate=False),
        "$PQP$ is a free product of projections, $S = (1+m)/(s+m)$ and $(1+m)/(t+m)$; in the algebra cut down by $P$, "
        "$m$ becomes $s m$ and S is multiplied by $(s + s m)/(1 + s m)$.",
        "Collins 2005, arXiv:math/0406560; derived here",
    )
    return STransform(
        factors=factors,
        mean=t,
        coefficients=lambda n: series.multiply([1, s, *[0] * n][:n], [(-s / t) ** k for k in range(n)]),
        steps=(step,),
        domain=_relations(s > 0, s < 1, t > 0, t < 1),
    )


@s_transform.register
def _(law: FreePoisson) -> STransform:
    if not law._is_fixed():
        raise unavailable(law, "S-transform", "jumps that vary have an explicit R-transform instead")
    return s_transform(law._scaled())


@s_transform.register
def _(law: Discrete) -> STransform:
    atoms = [(to_sympy(x), to_sympy(p)) for x, p in law.masses]
    mean = sp.factor(sp.Add(*(p * x for x, p in atoms)))
    if mean == 0:
        raise unavailable(law, "S-transform", "its mean is 0; use its Cauchy transform, which is rational")

    def coefficients(n: int) -> list[Any]:
        normalised = [sp.factor(sp.Add(*(p * (x / mean) ** k for x, p in atoms))) for k in range(1, n + 1)]
        return [sp.Integer(1), *series.moments_to_s_series(normalised)[1:]]

    nonzero = [(x, p) for x, p in atoms if x != 0]
    unknown = sp.Symbol("w")
    psi = sp.Add(*(p * x / (unknown - x) for x, p in nonzero))
    definition = Step(
        "Moment transform of a discrete law",
        sp.Eq(m, psi, evaluate=False),
        "$m = w G(w) - 1$ at the spectral variable $w$ of this law, and $G$ is the sum of $p/(w-x)$.",
        "definition",
    )
    one = sp.Integer(1)
    if len(nonzero) == 1:
        ((x, p),) = nonzero
        factors = merge(((1 + m, one), (p + m, -one), (x, -one)))
        reason = "Solved for $w$; $S(m) = (1+m)/(m w)$."
        step = _s_step("S-transform of a discrete law", factors, reason, "derived here", definition.formula)
        positive = not x.is_negative
        return STransform(
            factors, mean, coefficients, (definition, *step), _relations(p > 0, p <= 1, x > 0), positive=positive
        )
    factors = ((1 + m, one), (m, -one), (unknown, -one))
    radicals: Factors | None = None
    if len(nonzero) == 2:
        (x, p), (y, q) = nonzero
        b = m * (x + y) + p * x + q * y
        # the root w -> ∞ as m -> 0, which is the one with + for a positive mean
        root = sp.sqrt(sp.expand(b**2 - 4 * m * x * y * (m + p + q)))
        radicals = ((1 + m, one), (sp.Rational(1, 2) * (b + root), -one))
    reason = "By definition, with $w(m)$ the solution that tends to infinity as $m$ tends to 0."
    step = _s_step("S-transform of a discrete law", radicals or factors, reason, "derived here", definition.formula)
    constraints = {unknown: sp.Eq(m, psi, evaluate=False)}
    return STransform(
        factors,
        mean,
        coefficients,
        (definition, *step),
        constraints=constraints,
        starts={unknown: mean / m},
        positive=not any(x.is_negative for x, _ in nonzero),
        radicals=radicals,
    )


@s_transform.register
def _(law: Affine) -> STransform:
    scale, shift = to_sympy(law.scale), to_sympy(law.shift)
    if shift != 0:
        raise unavailable(
            law, "S-transform", "a shift has no simple S-transform; use the R-transform or the polynomial"
        )
    return scale_transform(s_transform(law.law), scale)


@s_transform.register
def _(law: FreeProduct) -> STransform:
    return multiply_transforms([s_transform(factor) for factor in law.laws])


@s_transform.register
def _(law: FreePower) -> STransform:
    return raise_transform(s_transform(law.law), to_sympy(law.exponent))


@s_transform.register
def _(law: Square) -> STransform:
    inner = law.law
    while isinstance(inner, Symmetrized):
        inner = inner.law
    if isinstance(inner, Sqrt):
        return s_transform(inner.law)
    if not (isinstance(inner, Semicircle) and semicircle_parameters(inner)[1] == 0):
        raise unavailable(law, "S-transform", "only squares of square roots and of centred semicircles have one here")
    variance = semicircle_parameters(inner)[0]
    factors = merge(((1 + m, sp.Integer(-1)), (variance, sp.Integer(-1))))
    step = _s_step(
        "Square of a centred semicircle",
        factors,
        "It is the Marchenko-Pastur law of ratio 1, scaled by the variance.",
        "Nica, Speicher 2006, lecture 12",
    )
    return STransform(factors, variance, lambda n: [(-1) ** k for k in range(n)], step, _relations(variance > 0))


@s_transform.register
def _(law: ResidualSum) -> STransform:
    return residual_transform(s_transform(law.branch), to_sympy(law.skip))


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
        *_s_step("S-transform of the block", factors, "$S(m) = t / (m (1 + m))$.", "derived here", constraint),
    )
    inner = {unknown: c.subs(m, m0) for unknown, c in branch.constraints.items()}
    return STransform(
        factors,
        mean,
        coefficients,
        steps,
        (*branch.domain, *_relations(a > 0)),
        constraints={m0: constraint, **inner},
        starts={m0: share, **{unknown: start.subs(m, share) for unknown, start in branch.starts.items()}},
        positive=branch.positive,
    )


def scale_transform(inner: STransform, scale: Any) -> STransform:
    """S-transform of a law scaled by a factor."""
    factor = ((scale, sp.Integer(-1)),)
    scaled = replace(
        inner,
        factors=merge(inner.factors, factor),
        radicals=None if inner.radicals is None else merge(inner.radicals, factor),
        mean=scale * inner.mean,
        domain=(*inner.domain, *_relations(scale > 0)),
        positive=inner.positive and not scale.is_negative,
    )
    reason = "Scaling a law divides its S by the factor."
    step = _s_step("Scale", scaled.readable, reason, "definition", inner.steps[-1].formula)
    return replace(scaled, steps=(*inner.steps, *step))


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
    step = _s_step("Free product", product.readable, "S multiplies over free factors.", VOICULESCU_S, before)
    return replace(product, steps=(*steps, *step))


def raise_transform(inner: STransform, exponent: Any) -> STransform:
    """S-transform of a free multiplicative power; the exponent may be a symbol."""
    raised = replace(
        inner,
        factors=power(inner.factors, exponent),
        radicals=None if inner.radicals is None else power(inner.radicals, exponent),
        mean=sp.expand_power_base(inner.mean**exponent),
        coefficients=lambda n: series.power(inner.coefficients(n), exponent),
        domain=(*inner.domain, *_relations(exponent > 1)),
    )
    reason = "S multiplies over free factors, so that a free power raises S to the same power."
    step = _s_step("Free power", raised.readable, reason, VOICULESCU_S, inner.steps[-1].formula)
    return replace(raised, steps=(*inner.steps, *step))


@s_transform.register
def _(law: FreeMultiplicativePoisson) -> STransform:
    rate = to_sympy(law.rate)
    step = Step(
        "S-transform of the free multiplicative Poisson law",
        sp.Eq(_S, sp.exp(rate / (1 + m)), evaluate=False),
        "A projection of trace $p = 1 - λ/n$ has $S = (1+m)/(m+p)$; S multiplies, and the n-th power tends to the "
        "exponential.",
        "Bercovici, Voiculescu 1992",
    )
    return STransform(
        factors=((sp.E, rate / (1 + m)),),
        mean=sp.exp(-rate),
        coefficients=lambda n: series.exp([0, *((-1) ** k * rate for k in range(1, n + 1))][:n]),
        steps=(step,),
    )


def universal_parameters(law: UniversalResNet) -> tuple[Any, Any, Any]:
    """(c, a, a^(2L)) of a universal law; depth enters only beside a skip other than 1."""
    if law.skip == 1:  # also the float 1.0, which sympy does not take for the integer
        return to_sympy(law.c), sp.Integer(1), sp.Integer(1)
    a = to_sympy(law.skip)
    return to_sympy(law.c), a, a ** (2 * to_sympy(law.depth))


def semicircle_parameters(law: Semicircle) -> tuple[Any, Any]:
    """(variance, mean) of a semicircle law."""
    return to_sympy(law.variance), to_sympy(law.mean_value)


def _s_step(title: str, factors: Factors, reason: str, source: str, before: Any = ()) -> tuple[Step, ...]:
    return (Step(title, sp.Eq(_S, to_expression(factors), evaluate=False), reason, source, before),)


def _linear(slope: Any, n: int) -> list[Any]:
    return [1, slope, *[0] * n][:n]


def _relations(*conditions: Any) -> tuple[Any, ...]:
    """Conditions that depend on symbols; those of numbers were checked when the law was made."""
    return tuple(c for c in conditions if c not in (sp.true, sp.false))
