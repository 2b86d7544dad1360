"""Derivations of laws given by a transform: compound free Poisson laws, and what a user writes."""

from __future__ import annotations

from typing import Any

import sympy as sp

from rmt import series
from rmt.laws.discrete import Discrete
from rmt.laws.free_poisson import FreePoisson
from rmt.laws.implicit import ImplicitLaw
from rmt.symbolic import densities
from rmt.symbolic.derivation import Derivation, Step, to_sympy
from rmt.symbolic.dispatch import derive
from rmt.symbolic.families import explicit
from rmt.symbolic.letters import G, g, m, z
from rmt.symbolic.products import Factors, merge
from rmt.symbolic.r_transforms import RTransform, r_transform
from rmt.symbolic.routes import derive_from_r, derive_from_s, solution_step
from rmt.symbolic.s_algebra import STransform, unavailable
from rmt.symbolic.subordination import finish, part_of

__all__: list[str] = []


@derive.register
def _(law: FreePoisson) -> Derivation:
    rate = to_sympy(law.rate)
    if isinstance(law.jump, Discrete):
        return derive_from_r(repr(law), r_transform(law))
    inner = derive(law.jump)
    # R(g) = rate (w G_J(w) - 1)/g at w = 1/g, with H = G_J(1/G)
    H = sp.Symbol("H")
    equation = sp.Eq(z * G, 1 + rate * (H / G - 1), evaluate=False)
    part = part_of(inner, "J")
    constraints = part.at(H, 1 / G)
    starts = {H: 1 / z, **part.starts}
    steps = (
        *inner.steps,
        Step(
            "Compound free Poisson law",
            (equation, *constraints),
            "Free cumulants are rate times the moments of the jump: $R(g) = λ (G_J(1/g)/g - 1)/g$; $H = G_J(1/G)$.",
            "Nica, Speicher 2006, proposition 12.15",
            inner.equation,
        ),
    )
    return finish(law, equation, constraints, starts, steps)


@derive.register
def _(law: ImplicitLaw) -> Derivation:
    transform = law._transform
    if not hasattr(transform, "free_symbols"):
        raise unavailable(
            law, "derivation", "a Python function is no formula; give the transform as a sympy expression instead"
        )
    (variable,) = transform.free_symbols

    def moments(n: int) -> list[Any]:
        return [to_sympy(x) for x in law.moments(n)]

    if law.psi is not None:
        psi = transform.subs(variable, z)
        solution = (1 + psi) / z
        return explicit(
            repr(law),
            sp.Eq(G, solution, evaluate=False),
            solution,
            "The moment transform is given, and $G = (1 + psi)/z$.",
            "definition",
            edges=(),
            moments=moments,
        )
    if law.r is not None:
        expression = transform.subs(variable, g)
        given = Step("R-transform", sp.Eq(sp.Function("R")(g), expression, evaluate=False), "Given.", "definition")
        return derive_from_r(repr(law), RTransform(expression, law.free_cumulants, (given,)))
    expression = transform.subs(variable, m)
    given = Step("S-transform", sp.Eq(sp.Function("S")(m), expression, evaluate=False), "Given.", "definition")
    mean = moments(1)[0]
    factors = _factors_of(expression)
    rule = STransform(
        factors=factors,
        mean=mean,
        coefficients=lambda n: series.moments_to_s_series([x / mean**k for k, x in enumerate(moments(n), 1)]),
        steps=(given,),
    )
    solution = densities.lambert(factors)
    reason = "Solved by the principal branch of Lambert's W."
    steps = () if solution is None else (solution_step(solution, reason),)
    return derive_from_s(
        repr(law),
        rule,
        edges=(),
        closed_form=solution,
        more_steps=steps,
        moments=moments,
    )


def _factors_of(expression: Any) -> Factors:
    """A product of powers; exponentials with the base E."""
    parts = []
    for factor in sp.Mul.make_args(sp.powsimp(expression)):
        base, exponent = (sp.E, factor.exp) if isinstance(factor, sp.exp) else factor.as_base_exp()
        parts.append((base, exponent))
    return merge(tuple(parts))
