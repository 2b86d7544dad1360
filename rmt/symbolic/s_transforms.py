"""S-transforms of laws in closed form, one rule a node.

Conventions: m = zG - 1, S(m) = (1+m)/(m z(m)). A rule returns the transform together with the steps that lead to it; a
node without a rule raises NotImplementedError with what to do instead.
"""

from __future__ import annotations

from functools import singledispatch
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
from rmt.symbolic.products import Factors, merge
from rmt.symbolic.s_algebra import (
    VOICULESCU_S,
    STransform,
    multiply_transforms,
    raise_transform,
    relations,
    residual_transform,
    s_step,
    scale_transform,
    unavailable,
)

__all__ = ["s_transform", "semicircle_parameters", "universal_parameters"]

_S = sp.Function("S")(m)


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
        domain=relations(c > 0),
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
        domain=relations(depth > 0),
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
        domain=relations(c > 0, a > 0),
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
        domain=relations(time > 0),
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
        domain=relations(s > 0, s < 1, t > 0, t < 1),
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
        step = s_step("S-transform of a discrete law", factors, reason, "derived here", definition.formula)
        positive = not x.is_negative
        return STransform(
            factors, mean, coefficients, (definition, *step), relations(p > 0, p <= 1, x > 0), positive=positive
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
    step = s_step("S-transform of a discrete law", radicals or factors, reason, "derived here", definition.formula)
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
    step = s_step(
        "Square of a centred semicircle",
        factors,
        "It is the Marchenko-Pastur law of ratio 1, scaled by the variance.",
        "Nica, Speicher 2006, lecture 12",
    )
    return STransform(factors, variance, lambda n: [(-1) ** k for k in range(n)], step, relations(variance > 0))


@s_transform.register
def _(law: ResidualSum) -> STransform:
    return residual_transform(s_transform(law.branch), to_sympy(law.skip))


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


def _linear(slope: Any, n: int) -> list[Any]:
    return [1, slope, *[0] * n][:n]
