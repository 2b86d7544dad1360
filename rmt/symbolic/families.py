"""Derivations of the named families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sympy as sp

from rmt.laws.arcsine import Arcsine
from rmt.laws.cauchy import Cauchy
from rmt.laws.discrete import Discrete
from rmt.laws.empirical import Empirical
from rmt.laws.free_jacobi import FreeJacobi
from rmt.laws.free_multiplicative_brownian import FreeMultiplicativeBrownian
from rmt.laws.free_multiplicative_poisson import FreeMultiplicativePoisson
from rmt.laws.free_stable import FreeStable
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.gaussian import Gaussian
from rmt.laws.kesten_mckay import KestenMcKay
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.uniform import Uniform
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic import densities
from rmt.symbolic.derivation import Derivation, ParametricDensity, Step, to_sympy
from rmt.symbolic.dispatch import derive
from rmt.symbolic.forms import in_r, in_s, small_root
from rmt.symbolic.letters import G, R, S, g, m, z
from rmt.symbolic.r_transforms import r_transform
from rmt.symbolic.routes import (
    derive_from_r,
    derive_from_s,
    edges_step,
    moments_step,
)
from rmt.symbolic.s_algebra import STransform
from rmt.symbolic.s_transforms import s_transform, universal_parameters
from rmt.symbolic.special import Faddeeva

__all__ = ["density_of_edges", "explicit"]

# Beyond so many atoms a sum is written with an index.
_MOST_ATOMS = 40


@derive.register
def _(law: UniversalResNet) -> Derivation:
    c, a, prefactor = universal_parameters(law)
    return _exponential(repr(law), s_transform(law), c / a**2, prefactor)


@derive.register
def _(law: FreeMultiplicativeBrownian) -> Derivation:
    return _exponential(repr(law), s_transform(law), to_sympy(law.time) / 2, sp.Integer(1))


@derive.register
def _(law: FreeMultiplicativePoisson) -> Derivation:
    rate = to_sympy(law.rate)
    w = sp.LambertW(-rate * sp.exp(-rate) / z)
    solution = sp.Eq(G, rate / (z * (rate + w)), evaluate=False)
    step = Step(
        "Solution",
        solution,
        "With $u = m/(1+m)$ the equation of z is $z u = e^{λ (u - 1)}$, solved by Lambert's W, principal branch. For "
        "$λ < 1$ the point $z = 1$ is a pole: W is $-λ$ there, the atom has the mass $1 - λ$.",
        "Pennington, Schoenholz, Ganguli 2018, arXiv:1802.09979",
    )
    return derive_from_s(
        repr(law),
        s_transform(law),
        equation=sp.Eq(G, (z * G - 1) * sp.exp(rate / (z * G))),
        edges=(sp.Integer(0), rate * sp.exp(1 - rate)),
        closed_form=solution.rhs,
        more_steps=(step,),
    )


def _exponential(subject: str, transform: STransform, c: Any, prefactor: Any) -> Derivation:
    """S(m) = exp(-c (1 + 2m))/prefactor."""
    root = sp.sqrt(c * (c + 2))
    edges = tuple(prefactor * (1 + c + sign * root) * sp.exp(sign * root) for sign in (-1, 1))
    equation = sp.Eq(prefactor * G, (z * G - 1) * sp.exp(c * (1 - 2 * z * G)))
    density = densities.exponential(c, prefactor)
    return derive_from_s(
        subject, transform, equation=equation, edges=edges, pieces=density, more_steps=(densities.step(density),)
    )


@derive.register
def _(law: FussCatalan) -> Derivation:
    depth = to_sympy(law.order)
    edges = (sp.Integer(0), (depth + 1) ** (depth + 1) / depth**depth)
    if depth.is_integer is not False:
        equation = sp.Eq(z**depth * G ** (depth + 1) - z * G + 1, 0)
    else:
        equation = sp.Eq(G * (z * G) ** depth, z * G - 1)
    density = densities.fuss_catalan(depth)
    return derive_from_s(
        repr(law),
        s_transform(law),
        equation=equation,
        edges=edges,
        pieces=density,
        more_steps=(densities.step(density),),
    )


@derive.register
def _(law: Semicircle) -> Derivation:
    derivation = derive_from_r(repr(law), r_transform(law))
    variance = to_sympy(law.variance)
    return replace(derivation, pieces=density_of_edges(derivation.edges, lambda _x, r: r / (2 * sp.pi * variance)))


@derive.register
def _(law: MarchenkoPastur) -> Derivation:
    ratio = to_sympy(law.ratio)
    root = sp.sqrt(ratio)
    edges = ((1 - root) ** 2, (1 + root) ** 2)
    return derive_from_s(
        repr(law),
        s_transform(law),
        edges=edges,
        r_expression=r_transform(law).expression,
        pieces=density_of_edges(edges, lambda x, r: r / (2 * sp.pi * ratio * x)),
    )


@derive.register
def _(law: FreeJacobi) -> Derivation:
    s, t = to_sympy(law.trace_p), to_sympy(law.trace_q)
    centre, radius = s * (1 - t) + t * (1 - s), 2 * sp.sqrt(s * t * (1 - s) * (1 - t))
    edges = (centre - radius, centre + radius)
    return derive_from_s(
        repr(law),
        s_transform(law),
        edges=edges,
        pieces=density_of_edges(edges, lambda x, r: r / (2 * sp.pi * s * x * (1 - x))),
        moments=lambda n: [sp.factor(to_sympy(x)) for x in law.moments(n)],
    )


def density_of_edges(edges: tuple[Any, ...], of: Callable[[Any, Any], Any]) -> tuple[ParametricDensity, ...]:
    """The density of(x, sqrt((x - x_1)(x_2 - x))) between two edges."""
    x = sp.Symbol("x", real=True)
    lower, upper = edges
    root = sp.sqrt((x - lower) * (upper - x))
    return (ParametricDensity(x, x, of(x, root), lower, upper),)


# --- laws whose Cauchy transform is a formula ------------------------------------------------------------------------


def explicit(
    subject: str,
    equation: Any,
    solution: Any,
    reason: str,
    source: str,
    *,
    edges: tuple[Any, ...],
    moments: Callable[[int], list[Any]],
    pieces: tuple[ParametricDensity, ...] = (),
    r_expression: Any = None,
    s_expression: Any = None,
    steps: tuple[Step, ...] = (),
) -> Derivation:
    """Derivation of a law with explicit G; R and S where they follow from an equation of degree at most 2."""
    first = Step("Cauchy transform", sp.Eq(G, solution, evaluate=False), reason, source)
    cleared: tuple[Step, ...] = ()
    if equation.rhs == 0:
        cleared = (
            Step("Equation of the Cauchy transform", equation, "The root removed.", "derived here", first.formula),
        )
    try:
        mean = to_sympy(moments(1)[0])
        closing: tuple[Step, ...] = (moments_step(moments),)
    except ValueError:  # without moments
        mean, closing = None, ()
    if equation.rhs == 0 and mean is not None:
        r_expression = small_root(in_r(equation), R, g, mean) if r_expression is None else r_expression
        if s_expression is None and mean != 0:
            s_expression = small_root(in_s(equation), S, m, 1 / mean)
    finite = edges and not any(isinstance(edge, sp.Eq) or edge.is_infinite for edge in edges)
    return Derivation(
        subject=subject,
        steps=(first, *cleared, *steps, *((edges_step(edges),) if finite else ()), *closing),
        equation=equation,
        s_transform=s_expression,
        r_transform=r_expression,
        edges=edges,
        moment_rule=moments,
        closed_form=solution,
        pieces=pieces,
    )


@derive.register
def _(law: Discrete) -> Derivation:
    return _atomic(repr(law), [(to_sympy(x), to_sympy(p)) for x, p in law.masses], law)


def _atomic(subject: str, atoms: list[tuple[Any, Any]], law: Any) -> Derivation:
    equation = sp.Eq(G, sp.Add(*(p / (z - x) for x, p in atoms)))
    small = len(atoms) <= 2
    transform = s_transform(law) if small and sp.factor(sp.Add(*(p * x for x, p in atoms))) != 0 else None
    return explicit(
        subject,
        equation,
        equation.rhs,
        "The sum of mass over distance; there is no continuous part.",
        "definition",
        edges=(),
        moments=lambda n: [sp.Add(*(p * x**k for x, p in atoms)) for k in range(1, n + 1)],
        r_expression=r_transform(law).expression if small else None,
        s_expression=None if transform is None else transform.expression,
    )


@derive.register
def _(law: Empirical) -> Derivation:
    if law.bandwidth is not None:
        width = to_sympy(law.bandwidth)
        bare = Empirical(law.samples)
        return replace(derive(bare + Semicircle(width**2)), subject=repr(law))
    size = sp.Integer(len(law.samples))
    if len(law._counts) > _MOST_ATOMS:
        samples, index = sp.IndexedBase("x"), sp.Symbol("k", integer=True)
        solution = sp.Sum(1 / (z - samples[index]), (index, 1, size)) / size
        return explicit(
            f"Empirical of {size} samples x[k]",
            sp.Eq(G, solution),
            solution,
            "The average over the samples; there is no continuous part.",
            "definition",
            edges=(),
            moments=lambda n: [to_sympy(x) for x in law.moments(n)],
        )
    atoms = [(to_sympy(x), sp.Integer(count) / size) for x, count in law._counts.items()]
    return _atomic(repr(law), atoms, Discrete(dict(atoms)))


@derive.register
def _(law: Uniform) -> Derivation:
    a, b = to_sympy(law.a), to_sympy(law.b)
    # no cancellation far away, unlike log(z - a) - log(z - b)
    solution = 2 * sp.atanh((b - a) / (2 * z - a - b)) / (b - a)
    x = sp.Symbol("x", real=True)
    transform = r_transform(law)
    return explicit(
        repr(law),
        sp.Eq(G, solution, evaluate=False),
        solution,
        "The integral of $1/((b-a)(z-x))$ over $[a, b]$, $log((z-a)/(z-b))/(b-a)$.",
        "definition",
        edges=(a, b),
        moments=lambda n: [to_sympy(v) for v in law.moments(n)],
        pieces=(ParametricDensity(x, x, 1 / (b - a), a, b),),
        r_expression=transform.expression,
        steps=transform.steps,
    )


@derive.register
def _(law: Arcsine) -> Derivation:
    a, b = to_sympy(law.a), to_sympy(law.b)
    edges = (a, b)
    equation = sp.Eq(sp.collect(sp.expand((z - a) * (z - b)), z) * G**2 - 1, 0)
    return explicit(
        repr(law),
        equation,
        1 / (sp.sqrt(z - a) * sp.sqrt(z - b)),
        "The integral of the density $1/(π ((x-a)(b-x))^{1/2})$; each root has its cut below its own end.",
        "Nica, Speicher 2006, lecture 1",
        edges=edges,
        moments=lambda n: [to_sympy(v) for v in law.moments(n)],
        pieces=density_of_edges(edges, lambda _x, r: 1 / (sp.pi * r)),
    )


@derive.register
def _(law: KestenMcKay) -> Derivation:
    d = to_sympy(law.degree)
    radius = 2 * sp.sqrt(d - 1)
    edges = (-radius, radius)
    equation = sp.Eq((d**2 - z**2) * G**2 - (d - 2) * z * G + d - 1, 0, evaluate=False)
    coin = r_transform(law)
    derivation = explicit(
        repr(law),
        equation,
        2 * (d - 1) / ((d - 2) * z + d * sp.sqrt(z - radius) * sp.sqrt(z + radius)),
        "The free sum of $d$ coins on $± 1$: $z = R(G) + 1/G$ with $d$ times the R of a coin, solved for $G$.",
        "Kesten 1959; McKay 1981",
        edges=edges,
        moments=lambda n: [to_sympy(v) for v in law.moments(n)],
        pieces=density_of_edges(
            edges, lambda x, r: d * r / (2 * sp.pi * (d**2 - x**2))
        ),
        r_expression=coin.expression,
    )
    return replace(derivation, steps=(*coin.steps, *derivation.steps))


@derive.register
def _(law: Cauchy) -> Derivation:
    location, scale = to_sympy(law.location), to_sympy(law.scale)
    x = sp.Symbol("x", real=True)
    solution = 1 / (z - location + sp.I * scale)
    return explicit(
        repr(law),
        sp.Eq(G, solution, evaluate=False),
        solution,
        "The pole of the density in the lower half-plane, by residues, for Im z > 0. No moment exists.",
        "Bercovici, Voiculescu 1993",
        edges=(-sp.oo, sp.oo),
        moments=law.moments,
        pieces=(ParametricDensity(x, x, scale / (sp.pi * (scale**2 + (x - location) ** 2)), -sp.oo, sp.oo),),
        r_expression=location - sp.I * scale,
    )


@derive.register
def _(law: Gaussian) -> Derivation:
    variance, mean = to_sympy(law.variance), to_sympy(law.mean_value)
    x = sp.Symbol("x", real=True)
    solution = -sp.I * sp.sqrt(sp.pi / (2 * variance)) * Faddeeva((z - mean) / sp.sqrt(2 * variance))
    density = sp.exp(-((x - mean) ** 2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)
    return explicit(
        repr(law),
        sp.Eq(G, solution, evaluate=False),
        solution,
        "The Hilbert transform of a Gaussian is Faddeeva's function $w(x) = exp(-x^2) erfc(-i x)$.",
        "DLMF 7.7.2",
        edges=(-sp.oo, sp.oo),
        moments=lambda n: [to_sympy(v) for v in law.moments(n)],
        pieces=(ParametricDensity(x, x, density, -sp.oo, sp.oo),),
    )


@derive.register
def _(law: FreeStable) -> Derivation:
    transform = r_transform(law)
    equation = sp.Eq(z, transform.expression.subs(g, G) + 1 / G, evaluate=False)
    density = densities.free_stable(*(to_sympy(v) for v in (law.alpha, law.rho, law.scale, law.location)))
    edges = tuple(to_sympy(edge.position) for edge in law._edges())
    steps = (
        *transform.steps,
        Step(
            "Equation of the Cauchy transform",
            equation,
            "$R(G) + 1/G = z$, with the principal power, as $G$ lies in the lower half-plane.",
            "Bercovici, Pata 1999",
            transform.steps[-1].formula,
        ),
        densities.step(density),
    )
    return Derivation(
        subject=repr(law),
        steps=steps,
        equation=equation,
        s_transform=None,
        r_transform=transform.expression,
        edges=edges,
        moment_rule=lambda n: [to_sympy(v) for v in law.moments(n)],
        pieces=density,
    )
