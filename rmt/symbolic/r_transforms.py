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
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.symbolic.derivation import Step, g, to_sympy
from rmt.symbolic.s_transforms import semicircle_parameters, unavailable

__all__ = ["RTransform", "r_transform"]

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
    """

    expression: Any
    cumulants: Callable[[int], list[Any]] = field(repr=False)
    steps: tuple[Step, ...]

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
    return RTransform(expression, cumulants, (step,))


@r_transform.register
def _(law: Affine) -> RTransform:
    inner = r_transform(law.law)
    a, b = to_sympy(law.scale), to_sympy(law.shift)
    expression = sp.factor_terms(b + a * inner.expression.subs(g, a * g))

    def cumulants(n: int) -> list[Any]:
        scaled = [a**k * to_sympy(x) for k, x in enumerate(inner.cumulants(n), 1)]
        return [scaled[0] + b, *scaled[1:]]

    step = _r_step("Scale and shift", expression, "R(g) becomes $a R(a g) + b$.", "definition")
    return RTransform(expression, cumulants, (*inner.steps, step))


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
    )
    return RTransform(t * inner.expression, lambda n: [t * k for k in inner.cumulants(n)], (*inner.steps, step))


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
    )
    return RTransform(
        expression, lambda n: [t ** (k - 1) * x for k, x in enumerate(inner.cumulants(n), 1)], (*inner.steps, step)
    )


def add_transforms(transforms: list[RTransform]) -> RTransform:
    """R-transform of a free sum: the sum of the terms'."""
    expression = sp.Add(*(t.expression for t in transforms))
    steps = tuple(dict.fromkeys(step for t in transforms for step in t.steps))
    step = _r_step("Free sum", expression, "R adds over free terms.", VOICULESCU_R)
    return RTransform(
        expression,
        lambda n: [sp.Add(*terms) for terms in zip(*(t.cumulants(n) for t in transforms), strict=True)],
        (*steps, step),
    )


def _r_step(title: str, expression: Any, reason: str, source: str) -> Step:
    return Step(title, sp.Eq(_R, expression, evaluate=False), reason, source)
