"""R-transforms and rational Cauchy transforms of laws in closed form, one rule a node.

Convention: R(g) = G^{-1}(g) - 1/g = Σ κ_n g^{n-1}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import sympy as sp

from rmt import series
from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreeSumPower
from rmt.algebra.free_sum import FreeSum
from rmt.laws.cauchy import Cauchy
from rmt.laws.discrete import Discrete
from rmt.laws.free_poisson import FreePoisson
from rmt.laws.free_stable import FreeStable
from rmt.laws.kesten_mckay import KestenMcKay
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.uniform import Uniform
from rmt.symbolic.derivation import Step, to_sympy
from rmt.symbolic.letters import g
from rmt.symbolic.s_algebra import unavailable
from rmt.symbolic.s_transforms import semicircle_parameters

__all__ = ["RTransform", "add_transforms", "r_transform"]

_R = sp.Function("R")(g)
VOICULESCU_R = "Voiculescu 1986"


@dataclass(frozen=True)
class RTransform:
    """R(g) with its free cumulants.

    Attributes
    ----------
    expression : sympy expression in g, or None
        R(g), None where only the cumulants are known.
    cumulants : callable
        n -> [κ_1, ..., κ_n].
    steps : tuple of Step
        How R was found; the last step gives R itself.
    everywhere : bool
        Whether the expression is R at all values of G, not only next to g = 0 (a square root may have to change sign).
    """

    expression: Any
    cumulants: Callable[[int], list[Any]] = field(repr=False)
    steps: tuple[Step, ...]
    everywhere: bool = True

    def moments(self, n: int) -> list[Any]:
        """Moments m_1 … m_n from the free cumulants."""
        return [sp.factor_terms(sp.expand(to_sympy(x))) for x in series.free_cumulants_to_moments(self.cumulants(n))]


@singledispatch
def r_transform(law: Any) -> RTransform:
    """R-transform of a law, one rule a node.

    Raises
    ------
    NotImplementedError
        If the law has no closed form that we know.
    """
    raise unavailable(
        law, "R-transform", "use law.free_cumulants(n), or rmt.symbolic.polynomial(law) where it is algebraic"
    )


@r_transform.register
def _(law: Semicircle) -> RTransform:
    variance, mean = semicircle_parameters(law)
    step = _r_step(
        "R-transform of the semicircle law",
        mean + variance * g,
        "Its only free cumulants are the mean and the variance.",
        "Nica, Speicher 2006, lecture 11",
    )
    return RTransform(mean + variance * g, lambda n: [mean, variance, *[sp.Integer(0)] * n][:n], (step,))


@r_transform.register
def _(law: MarchenkoPastur) -> RTransform:
    c = to_sympy(law.ratio)
    step = _r_step(
        "R-transform of the Marchenko-Pastur law",
        1 / (1 - c * g),
        "All free cumulants of $X X^T$ are $c^{n-1}$.",
        "Nica, Speicher 2006, lecture 12",
    )
    return RTransform(1 / (1 - c * g), lambda n: [c**k for k in range(n)], (step,))


@r_transform.register
def _(law: Discrete) -> RTransform:
    atoms = [(to_sympy(x), to_sympy(p)) for x, p in law.masses]
    if len(atoms) == 1:
        expression = atoms[0][0]
    elif len(atoms) == 2:
        (x, p), (y, q) = atoms
        # g (z-x)(z-y) = z - (p y + q x), the root z ~ 1/g
        total = x + y
        root = sp.sqrt(sp.expand((1 + g * total) ** 2 - 4 * g * (g * x * y + p * y + q * x)))
        expression = (g * total - 1 + root) / (2 * g)
    else:
        raise unavailable(
            law, "R-transform", "three atoms and more need a root of a cubic; its Cauchy transform is rational"
        )

    def cumulants(n: int) -> list[Any]:
        return series.moments_to_free_cumulants([sp.Add(*(p * x**k for x, p in atoms)) for k in range(1, n + 1)])

    step = _r_step("R-transform of a discrete law", expression, "$G(z) = g$ solved for $z - 1/g$.", "derived here")
    return RTransform(expression, cumulants, (step,), everywhere=len(atoms) == 1)


@r_transform.register
def _(law: Uniform) -> RTransform:
    a, b = to_sympy(law.a), to_sympy(law.b)
    centre, half = (a + b) / 2, (b - a) / 2
    expression = centre + half * sp.coth(half * g) - 1 / g
    step = _r_step(
        "R-transform of the uniform law",
        expression,
        "$G(z) = g$ is $(z-a)/(z-b) = exp((b-a) g)$, solved for $z - 1/g$; $z$ is a function of $g$ everywhere.",
        "derived here",
    )
    return RTransform(expression, lambda n: [to_sympy(k) for k in law.free_cumulants(n)], (step,))


@r_transform.register
def _(law: KestenMcKay) -> RTransform:
    d = to_sympy(law.degree)
    expression = d * (sp.sqrt(1 + 4 * g**2) - 1) / (2 * g)
    step = _r_step(
        "R-transform of the regular tree",
        expression,
        "$d$ times that of a coin on $± 1$: $G = z/(z^2 - 1) = g$ solved for $z - 1/g$.",
        "Kesten 1959; McKay 1981",
    )
    return RTransform(expression, lambda n: [to_sympy(k) for k in law.free_cumulants(n)], (step,), everywhere=False)


@r_transform.register
def _(law: Cauchy) -> RTransform:
    expression = to_sympy(law.location) - sp.I * to_sympy(law.scale)
    step = _r_step(
        "R-transform of the Cauchy law", expression, "$G = 1/(z - x_0 + i s)$ solved for $z - 1/G$.", "definition"
    )
    return RTransform(expression, law.free_cumulants, (step,))


@r_transform.register
def _(law: FreeStable) -> RTransform:
    alpha, rho, scale, location = (to_sympy(v) for v in (law.alpha, law.rho, law.scale, law.location))
    # the power of i g, whose argument keeps off the cut for g in the closed lower half-plane
    turn = sp.exp(sp.I * sp.pi * (alpha * rho - (alpha - 1) / 2))
    expression = location - turn * scale**alpha * (sp.I * g) ** (alpha - 1)
    step = _r_step(
        "R-transform of a free stable law",
        expression,
        "Stability under free sums leaves a power of $g$; for $g$ in the lower half-plane that of $i g$ is principal.",
        "Bercovici, Pata 1999",
    )
    return RTransform(expression, law.free_cumulants, (step,))


@r_transform.register
def _(law: FreePoisson) -> RTransform:
    if not isinstance(law.jump, Discrete):
        raise unavailable(law, "R-transform", "only discrete jumps make it rational; rmt.derive(law) has its equation")
    rate = to_sympy(law.rate)
    jumps = [(to_sympy(x), to_sympy(p)) for x, p in law.jump.masses]
    expression = sp.Add(*(rate * p * x / (1 - x * g) for x, p in jumps))
    step = _r_step(
        "R-transform of a compound free Poisson law",
        expression,
        "Free cumulants are the rate times the moments of the jump.",
        "Nica, Speicher 2006, proposition 12.15",
    )
    return RTransform(
        expression, lambda n: [rate * sp.Add(*(p * x**k for x, p in jumps)) for k in range(1, n + 1)], (step,)
    )


@r_transform.register
def _(law: Affine) -> RTransform:
    inner = r_transform(law.law)
    a, b = to_sympy(law.scale), to_sympy(law.shift)
    expression = sp.factor_terms(b + a * inner.expression.subs(g, a * g))

    def cumulants(n: int) -> list[Any]:
        scaled = [a**k * to_sympy(x) for k, x in enumerate(inner.cumulants(n), 1)]
        return [scaled[0] + b, *scaled[1:]]

    reason = "R(g) becomes $a R(a g) + b$."
    step = _r_step("Scale and shift", expression, reason, "definition", inner.steps[-1].formula)
    return RTransform(expression, cumulants, (*inner.steps, step), inner.everywhere)


@r_transform.register
def _(law: FreeSum) -> RTransform:
    return add_transforms([r_transform(term) for term in law.laws])


@r_transform.register
def _(law: FreeSumPower) -> RTransform:
    inner = r_transform(law.law)
    t = to_sympy(law.exponent)
    step = _r_step(
        "Power of the free sum",
        t * inner.expression,
        "R adds over free terms, so that a power multiplies R.",
        VOICULESCU_R,
        inner.steps[-1].formula,
    )
    return RTransform(
        t * inner.expression, lambda n: [t * k for k in inner.cumulants(n)], (*inner.steps, step), inner.everywhere
    )


@r_transform.register
def _(law: Compression) -> RTransform:
    inner = r_transform(law.law)
    t = to_sympy(law.ratio)
    expression = inner.expression.subs(g, t * g)
    step = _r_step(
        "Free compression",
        expression,
        "The corner of relative size $t$ has $R(t g)$.",
        "Nica, Speicher 2006, corollary 14.13",
        inner.steps[-1].formula,
    )
    return RTransform(
        expression,
        lambda n: [t ** (k - 1) * x for k, x in enumerate(inner.cumulants(n), 1)],
        (*inner.steps, step),
        inner.everywhere,
    )


def add_transforms(transforms: list[RTransform]) -> RTransform:
    """R-transform of a free sum: the sum of the terms'."""
    expression = sp.Add(*(t.expression for t in transforms))
    steps = tuple(dict.fromkeys(step for t in transforms for step in t.steps))
    before = tuple(t.steps[-1].formula for t in transforms)
    step = _r_step("Free sum", expression, "R adds over free terms.", VOICULESCU_R, before)
    return RTransform(
        expression,
        lambda n: [sp.Add(*terms) for terms in zip(*(t.cumulants(n) for t in transforms), strict=True)],
        (*steps, step),
        all(t.everywhere for t in transforms),
    )


def _r_step(title: str, expression: Any, reason: str, source: str, before: Any = ()) -> Step:
    return Step(title, sp.Eq(_R, expression, evaluate=False), reason, source, before)
