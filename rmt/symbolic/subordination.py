"""Equations of free operations on laws without R, S or polynomial in closed form: the equations of the parts, each at
its own spectral variable.

- Sum: all parts have the same G, and ``Σ w_k = z + (n-1)/G`` (Voiculescu 1993; Biane 1998).
- Product: all parts have the same m, and ``Π w_k = z ((1+m)/m)^(n-1)``, which is S = Π S_k with w_k = (1+m)/(m S_k).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp

from rmt.results import PreconditionError
from rmt.symbolic.derivation import Derivation, Step, to_sympy
from rmt.symbolic.letters import G, g, m, z
from rmt.symbolic.r_transforms import RTransform
from rmt.symbolic.routes import moments_step
from rmt.symbolic.s_algebra import STransform

__all__ = ["Part", "derive_product", "derive_sum", "exact_moments", "finish", "part_of", "renamed", "written_in_m"]

BIANE = "Biane 1998; Belinschi, Bercovici 2007"


@dataclass(frozen=True)
class Part:
    """The equation of a law, ready to be taken at another point.

    Attributes
    ----------
    equation : sympy.Eq in G and z
    constraints, starts
        As in `Derivation`, the unknowns renamed.
    steps : tuple of Step
        Where it comes from.
    """

    equation: Any
    constraints: tuple[Any, ...] = ()
    starts: dict[Any, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    def at(self, cauchy: Any, point: Any) -> tuple[Any, ...]:
        """The equation and its constraints with G -> cauchy and z -> point."""
        put = {G: cauchy, z: point}
        return tuple(
            sp.Eq(*(side.subs(put, simultaneous=True) for side in e.args), evaluate=False)
            for e in (self.equation, *self.constraints)
        )

    def starts_at(self, point: Any) -> dict[Any, Any]:
        """The unknowns where the part's own spectral variable is `point`."""
        return {unknown: start.subs(z, point) for unknown, start in self.starts.items()}


def part_of(derivation: Derivation, label: str, *, explicit: bool = True) -> Part:
    """A derivation as a part; its unknowns get the label, an explicit G takes the place of an equation.

    Where the part is taken at an unknown that becomes real, the cuts of an explicit G would be decided by rounding:
    then its equation is better, unless that is G itself.
    """
    if derivation.solution is not None and (explicit or derivation.equation.lhs == G):
        return Part(sp.Eq(G, derivation.solution, evaluate=False), steps=derivation.steps)
    names = {u: sp.Symbol(f"{u.name}_{label}") for u in derivation.unknowns}
    return Part(
        renamed(derivation.equation, names),
        tuple(renamed(c, names) for c in derivation.constraints),
        {names[u]: start for u, start in derivation.starts.items()},
        derivation.steps,
    )


def renamed(equation: Any, names: Mapping[Any, Any]) -> Any:
    """An equation with other symbols, left unevaluated."""
    return sp.Eq(*(side.xreplace(names) for side in equation.args), evaluate=False)


def exact_moments(law: Any) -> Callable[[int], list[Any]]:
    """Moments of a law as sympy objects."""
    return lambda n: [sp.factor_terms(sp.expand(to_sympy(x))) for x in law.moments(n)]


def finish(
    law: Any,
    equation: Any,
    constraints: Sequence[Any],
    starts: dict[Any, Any],
    steps: Sequence[Step],
    **more: Any,
) -> Derivation:
    """A derivation from equations: edges as the equation of the critical points, moments from the law's series."""
    moments = exact_moments(law)
    derivation = Derivation(
        subject=repr(law),
        steps=tuple(dict.fromkeys(steps)),
        equation=equation,
        s_transform=more.pop("s_transform", None),
        r_transform=more.pop("r_transform", None),
        edges=(),
        moment_rule=more.pop("moment_rule", moments),
        constraints=tuple(constraints),
        starts=starts,
        **more,
    )
    added: list[Step] = []
    edges: tuple[Any, ...] = ()
    if len(starts) < 2 and not any(e.has(sp.MatrixSymbol, sp.Sum, sp.Integral) for e in (equation, *constraints)):
        rows = [[sp.diff(e.lhs - e.rhs, u) for u in (G, *starts)] for e in (equation, *constraints)]
        # sympy's determinant would expand
        jacobian = rows[0][0] if len(rows) == 1 else rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
        solved = jacobian.is_number  # G as a function of z: no branch of an equation to tell edges by
        edges = () if solved else (sp.Eq(jacobian, 0, evaluate=False),)
        reason = "Edges of the support are where the solution branches: the Jacobian of the equations vanishes."
        added += [Step("Critical points", edge, reason, "derived here", (equation, *constraints)) for edge in edges]
    with contextlib.suppress(PreconditionError):  # heavy tails: no moments to state
        added.append(moments_step(derivation.moment_rule))
    return replace(derivation, steps=(*derivation.steps, *added), edges=edges)


def written_in_m(equation: Any, start: Any) -> tuple[Any, Any]:
    """The `residual` of a derivation: the equation in m = zG - 1, which keeps the digits that zG - 1 loses far away."""
    return (equation.lhs - equation.rhs).subs(G, (1 + m) / z), start


def derive_sum(law: Any, parts: Sequence[Part], rest: RTransform | None) -> Derivation:
    """Derivation of a free sum of parts and of terms with a known R."""
    shift = sp.Integer(0) if rest is None else rest.expression.subs(g, G)
    unknowns = [sp.Symbol(f"w_{k}") for k in range(1, len(parts))]
    points = [*unknowns, z - shift + (len(parts) - 1) / G - sp.Add(*unknowns)]
    equations: list[Any] = []
    starts = dict.fromkeys(unknowns, z)
    for part, point in zip(parts, points, strict=True):
        equations += part.at(G, point)
        starts |= part.starts
    first, *constraints = _leading(parts, equations)
    formula = tuple(equations)
    before = (*(p.steps[-1].formula for p in parts if p.steps), *((rest.steps[-1].formula,) if rest else ()))
    step = Step(
        "Subordination",
        formula,
        "Each part is taken at its own spectral variable $w_k = R_k(G) + 1/G$, where it has the $G$ of the sum; as R "
        "adds, the variables add up to $z + (n-1)/G$. The law is the solution with $G$ ~ $1/z$ at infinity.",
        BIANE,
        before[:3],
    )
    steps = (*(s for p in parts for s in p.steps), *(rest.steps if rest else ()), step)
    return finish(law, first, constraints, starts, steps)


def _leading(parts: Sequence[Part], equations: Sequence[Any]) -> list[Any]:
    """The equations, that of the last part first: it is the one in z."""
    position = len(equations) - 1 - len(parts[-1].constraints)
    return [equations[position], *equations[:position], *equations[position + 1 :]]


def derive_product(
    law: Any, parts: Sequence[Part], means: Sequence[Any], variances: Sequence[Any], rest: STransform | None
) -> Derivation:
    """Derivation of a free product of parts, with their means and variances, and of factors with a known S."""
    known = sp.Integer(1) if rest is None else rest.expression.subs(m, z * G - 1)
    known_mean = sp.Integer(1) if rest is None else rest.mean
    in_m = z * G - 1
    unknowns = [sp.Symbol(f"w_{k}") for k in range(1, len(parts))]
    last = z * known * (z * G / in_m) ** (len(parts) - 1) / sp.Mul(*unknowns)
    # far away m ~ mean/z; where one factor is centred, m ~ variance/w² with its own w ~ z/others
    centred = [k for k, mean in enumerate(means) if mean == 0]
    others = sp.Mul(known_mean, *(mean for mean in means if mean != 0))
    small = variances[centred[0]] * others**2 / z**2 if centred else others / z
    begin = [z / others if mean == 0 else mean / small for mean in means]
    equations: list[Any] = []
    starts = dict(zip(unknowns, begin, strict=False))
    for part, point, start in zip(parts, [*unknowns, last], begin, strict=True):
        equations += part.at(z * G / point, point)
        starts |= part.starts_at(start)
    first, *constraints = _leading(parts, equations)
    before = (*(p.steps[-1].formula for p in parts if p.steps), *((rest.steps[-1].formula,) if rest else ()))
    step = Step(
        "Subordination",
        tuple(equations),
        "Each part is taken at its own spectral variable $w_k = (1+m)/(m S_k(m))$, where it has the $m = zG - 1$ of "
        "the product, hence the Cauchy transform $zG/w_k$; as S multiplies, the product of the variables is "
        "$z ((1+m)/m)^{n-1}$. The law is the solution with $G$ ~ $1/z$ at infinity.",
        BIANE,
        before[:3],
    )
    steps = (*(s for p in parts for s in p.steps), *(rest.steps if rest else ()), step)
    return finish(law, first, constraints, starts, steps, residual=written_in_m(first, small))
