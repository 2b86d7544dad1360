"""Derivation of the law of plain chains at finite depth, independent or orthogonal weights, any activation.

After Pennington, Schoenholz, Ganguli, arXiv:1711.04735 and 1802.09979. This module loads sympy: import it inside
functions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

import rmt.symbolic
from rmt import series
from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.laws.discrete import Discrete
from rmt.results import PreconditionError
from rmt.symbolic.derivation import Derivation, G, Step, m, to_sympy, z
from theory.activation_formulas import ActivationFormulas, activation_formulas, gaussian_average, parameter, q
from theory.chain_expansion import expand_chain
from theory.network import Chain
from theory.weights import Weights, describe_weights, has_independent_entries, is_isometric, weights_law

__all__ = ["derive_chain"]

PENNINGTON = "Pennington, Schoenholz, Ganguli 2018, arXiv:1802.09979"
p = sp.Symbol("p", positive=True)
w = sp.Symbol("w")
l = sp.Symbol("l", integer=True)


def derive_chain(net: Chain) -> Derivation:
    """Derivation of a plain chain; see `theory.derive`."""
    formulas = activation_formulas(net.nonlinearity)
    depth, sigma_w, sigma_b = (parameter(x) for x in (net.depth, net.sigma_w, net.sigma_b))
    steps = (*_network_steps(net, depth), _fixed_point_step(formulas, sigma_w, sigma_b))
    if formulas.slope_masses is None:
        return _derive_smooth(net, formulas, steps)
    masses, definitions = _named_probability(formulas.slope_masses)
    derivation = rmt.symbolic.derive(_chain_law(masses, net.weights, sigma_w**2, depth))
    steps += (
        Step(
            "Slopes",
            definitions or tuple(sp.Eq(sp.Function("P")(x), mass, evaluate=False) for x, mass in masses.items()),
            "$φ'(h)^2$ takes finitely many values: $D^2$ has a discrete law. $p$ is the probability of slope 1."
            if definitions
            else "$φ'(h)^2$ takes finitely many values $x$, with probabilities $P(x)$: $D^2$ has a discrete law.",
            PENNINGTON,
        ),
        Step(
            "Freeness",
            sp.Eq(sp.Function("S")(m), (sp.Function("S_D")(m) * sp.Function("S_W")(m)) ** depth, evaluate=False),
            "$J J^T$ is a free product of the layers' $D^2$ and $W W^T$ in the limit of large width; S multiplies.",
            PENNINGTON,
        ),
    )
    return replace(
        derivation,
        subject=repr(net),
        steps=(*steps, *derivation.steps, *_atom_steps(masses, net.weights, depth), *_limit_steps(net)),
        definitions=definitions,
        criterion=_criterion(formulas, sigma_w),
    )


def _limit_steps(net: Chain) -> tuple[Step, ...]:
    """The double-scaling limit with its corrections, where the chain has one."""
    try:
        return expand_chain(net, 2, equal_layers=True).steps
    except PreconditionError:
        return ()


def _chain_law(masses: Mapping[Any, Any], weights: Weights, variance: Any, depth: Any) -> Any:
    """Law of J Jᵀ for slopes of a discrete law."""
    slopes = Discrete(dict(masses))
    layer = slopes if is_isometric(weights) else FreeProduct((weights_law(weights), slopes))
    return FreePower(Affine(layer, variance, 0), depth)


def _named_probability(masses: Mapping[Any, Any]) -> tuple[dict[Any, Any], tuple[Any, ...]]:
    """The probability of slope 1 as a symbol p where it depends on q, with its definition."""
    one = sp.Integer(1)
    if not masses[one].has(q):
        return dict(masses), ()
    return {sp.Integer(0): 1 - p, one: p}, (sp.Eq(p, masses[one], evaluate=False),)


def _network_steps(net: Chain, depth: Any) -> tuple[Step, ...]:
    x, pre, bias = (sp.IndexedBase(name) for name in ("x", "h", "b"))
    gates, matrices = (sp.IndexedBase(name) for name in ("D", "W"))
    return (
        Step(
            "The network",
            (
                sp.Eq(x[l], sp.Function("phi")(pre[l]), evaluate=False),
                sp.Eq(pre[l], matrices[l] * x[l - 1] + bias[l], evaluate=False),
            ),
            f"Entries of the {describe_weights(net.weights)} have variance $σ_w^2/N$ at width $N$, biases $σ_b^2$.",
            PENNINGTON,
        ),
        Step(
            "Its Jacobian",
            sp.Eq(sp.Symbol("J"), sp.Product(gates[l] * matrices[l], (l, 1, depth)), evaluate=False),
            "Chain rule; $D_l$ is the diagonal matrix of the slopes $φ'(h_l)$. The law sought is that of $J J^T$.",
            PENNINGTON,
        ),
    )


def _fixed_point_step(formulas: ActivationFormulas, sigma_w: Any, sigma_b: Any) -> Step:
    return Step(
        "Length map and gain",
        (
            sp.Eq(q, sigma_b**2 + sigma_w**2 * formulas.second_moment, evaluate=False),
            sp.Eq(sp.Symbol("chi"), sigma_w**2 * formulas.moment(1), evaluate=False),
        ),
        "In a wide network $h$ is N(0, q); $q$ is taken at its fixed point, the same in every layer. $χ$ is the mean "
        "squared singular value of a layer, and 1 at criticality. Before the fixed point, S is a product over layers, "
        "each with its own $q$.",
        "Pennington, Schoenholz, Ganguli 2017, arXiv:1711.04735",
    )


def _criterion(formulas: ActivationFormulas, sigma_w: Any) -> Any:
    """Criticality: the mean squared singular value of a layer is 1."""
    return sp.Eq(sigma_w**2 * formulas.moment(1), 1, evaluate=False)


def _atom_steps(masses: Mapping[Any, Any], weights: Weights, depth: Any) -> tuple[Step, ...]:
    zero = sp.Integer(0)
    if masses.get(zero, zero) == 0:
        return ()
    at_zero = Step(
        "Atom at 0",
        sp.Eq(sp.Symbol("mass_0"), masses[zero], evaluate=False),
        "The mass at 0 is that of the slopes: the rank of a free product is the smallest rank of its factors.",
        "Bercovici, Voiculescu 1998",
    )
    if not is_isometric(weights):
        return (at_zero,)
    top = 1 - depth * masses[zero]
    return (
        at_zero,
        Step(
            "Atom at the top",
            sp.Eq(sp.Symbol("mass_top"), sp.Max(0, top), evaluate=False),
            "At $σ_w^{2L}$ stand the directions that no layer cuts: mass $1 - L(1-p)$ where this is positive.",
            "Pennington, Schoenholz, Ganguli 2018, arXiv:1802.09979",
        ),
    )


# --- smooth activations: S has no closed form ------------------------------------------------------------------------


def _derive_smooth(net: Chain, formulas: ActivationFormulas, steps: tuple[Step, ...]) -> Derivation:
    depth, sigma_w = parameter(net.depth), parameter(net.sigma_w)
    is_gaussian = has_independent_entries(net.weights)
    has_closed_moments = formulas.gain_moment is not None and not formulas.moment(2).has(sp.Integral)
    names = [sp.Symbol(f"mu_{k}", positive=True) for k in (1, 2, 3)]
    definitions = tuple(sp.Eq(name, formulas.moment(k), evaluate=False) for k, name in enumerate(names, 1))
    psi = _moment_transform(net, formulas)
    constraint = sp.Eq(z * G - 1, psi, evaluate=False)
    # S_D(m) = (1+m)/(m w): one layer has S = S_D S_W / σ², the chain its L-th power, and G = m S(m) by definition.
    layer = (1 + m) / (m * w) / (1 + m if is_gaussian else 1) / sigma_w**2
    equation = sp.Eq(G, (m * layer**depth).subs(m, z * G - 1), evaluate=False)

    def coefficients(n: int, moments: list[Any]) -> list[Any]:
        s_layer = series.moments_to_s_series([x / moments[0] ** k for k, x in enumerate(moments, 1)])
        if is_gaussian:
            s_layer = series.multiply(s_layer, [(-1) ** k for k in range(n)])
        return series.power(s_layer, depth)

    def moment_rule(n: int) -> list[Any]:
        moments = [sp.Symbol(f"mu_{k}", positive=True) for k in range(1, n + 1)]
        raw = series.s_series_to_moments(coefficients(n, moments))
        mean = sigma_w ** (2 * depth) * moments[0] ** depth
        values = [mean**k * sp.factor(to_sympy(x)) for k, x in enumerate(raw, 1)]
        if not has_closed_moments:
            return values
        return [x.subs({name: formulas.moment(k) for k, name in enumerate(moments, 1)}) for x in values]

    s_series = [sp.factor(to_sympy(x)) for x in coefficients(3, names)]
    prefactor = (sigma_w**2 * names[0]) ** (-depth)
    slope = sp.Integer(-1 if is_gaussian else 0)
    variance = depth * (names[1] / names[0] ** 2 - 1 - slope)
    steps += (
        Step(
            "Moments of the slopes",
            definitions,
            "$μ_k$ is the mean of $φ'(h)^{2k}$.",
            "Pennington, Schoenholz, Ganguli 2017, arXiv:1711.04735",
        ),
        Step(
            "S-transform as a series",
            sp.Eq(
                sp.Function("S")(m),
                prefactor * (sum(x * m**k for k, x in enumerate(s_series)) + sp.Order(m**3)),
                evaluate=False,
            ),
            "S of $D^2$ has no closed form; its series follows from the moments. S multiplies over $D^2$, $W W^T$ "
            "and the layers.",
            PENNINGTON,
        ),
        Step(
            "Parametric equation",
            (equation, constraint),
            "With $w$ the spectral variable of $D^2$: $S_D = (1+m)/(m w)$ where $m = ψ_D(w)$. Eliminating $w$ "
            "numerically gives $G(z)$, exactly at this depth.",
            "derived here",
        ),
        Step(
            "Variance at criticality",
            sp.Eq(sp.Symbol("Var"), variance, evaluate=False),
            "From the first two terms of the series, with $σ_w^2 μ_1 = 1$.",
            PENNINGTON,
        ),
        *_limit_steps(net),
    )
    return Derivation(
        subject=repr(net),
        steps=steps,
        equation=equation,
        s_transform=None,
        r_transform=None,
        edges=(),
        moment_rule=moment_rule,
        constraints=(constraint,),
        starts={w: names[0] * z / (sigma_w**2 * names[0]) ** depth},
        definitions=definitions,
        criterion=_criterion(formulas, sigma_w),
    )


def _moment_transform(net: Chain, formulas: ActivationFormulas) -> Any:
    """ψ of φ'(h)² at w: Lerch's transcendent for erf, a Gaussian integral otherwise."""
    if net.nonlinearity.name == "erf":
        ratio = (1 + sp.pi * q) / (sp.pi * q)
        return sp.lerchphi(1 / w, sp.Rational(1, 2), ratio) / (w * sp.sqrt(sp.pi * q))
    return gaussian_average(formulas.slope**2 / (w - formulas.slope**2))
