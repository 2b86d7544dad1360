"""Plain chains of orthogonal weights around their double-scaling limits, as an expansion in the depth.

With the relative variance of a layer's gains V = μ_2/μ_1² - 1 and ``σ_0² = L V`` fixed as L -> oo:

- Bernoulli class (gains 0 or 1): ``S = χ^-L (1 + (σ_0²/L) m/(1+m))^-L`` exactly;
- smooth class: the free cumulants of the normalised gains scale as ``κ_n = γ_n V^(n/2)``, so that
  ``log S + L log χ = -σ_0² m - γ_3 σ_0³ m²/sqrt(L) + …``.

Where the layers differ log S is a sum over them: χ becomes a geometric mean, σ_0² = sum V, and every monomial in σ_0
and the γ_n of one layer its average over the layers.

The limits are those of Pennington, Schoenholz, Ganguli, arXiv:1802.09979; the corrections are derived here. This module
loads sympy: import it inside functions only.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import sympy as sp

from rmt import series
from rmt.symbolic.derivation import G, Step, m, z
from theory.activation_formulas import activation_formulas, parameter
from theory.depth_expansion import DepthExpansion, edge_corrections, stationary_value
from theory.limits import chain_class
from theory.network import Chain
from theory.propagation import propagate

__all__ = ["chain_averages", "expand_chain"]

PENNINGTON = "Pennington, Schoenholz, Ganguli 2018, arXiv:1802.09979"
s = sp.Symbol("sigma_0", positive=True)
chi = sp.Symbol("chi", positive=True)


def expand_chain(net: Chain, order: int, equal_layers: bool) -> DepthExpansion:
    """See `theory.finite_depth_corrections`."""
    kind = chain_class(net.nonlinearity, {net.weights})
    depth, sigma_w = parameter(net.depth), parameter(net.sigma_w)
    symbol = depth if depth.is_Symbol else sp.Symbol("L", positive=True)
    terms, log_edges = (_smooth if kind == "smooth" else _bernoulli)(order, equal_layers)
    formulas = activation_formulas(net.nonlinearity)
    highest = order + 2 if kind == "smooth" else 2
    definitions = (
        sp.Eq(chi, sigma_w**2 * _mu(1), evaluate=False),
        sp.Eq(s**2, depth * (_mu(2) / _mu(1) ** 2 - 1), evaluate=False),
        *(_shape_definition(n) for n in range(3, highest + 1)),
        *(sp.Eq(_mu(k), formulas.moment(k), evaluate=False) for k in range(1, highest + 1)),
    )
    scale = chi**depth
    m_of_g = z * G - 1
    expansion = DepthExpansion(
        depth=depth,
        step=sp.Rational(1, 2) if kind == "smooth" else sp.S.One,
        scale=scale,
        pure_terms=terms,
        pure_log_edges=log_edges,
        subject=repr(net),
        # G = m S
        equation=sp.Eq(G, m_of_g * sp.exp(terms[0].subs(m, m_of_g)) / scale, evaluate=False),
        definitions=definitions,
    )
    return replace(expansion, steps=(_class_step(net, definitions), *_steps(expansion, kind, symbol)))


def _mu(k: int) -> Any:
    return sp.Symbol(f"mu_{k}", positive=True)


def _shape(n: int) -> Any:
    return sp.Symbol(f"gamma_{n}", real=True)


def _shape_definition(n: int) -> Any:
    """γ_n: free cumulant n of the gains over the power n/2 of their variance."""
    cumulants = series.moments_to_free_cumulants([_mu(k) for k in range(1, n + 1)])
    return sp.Eq(_shape(n), cumulants[-1] / cumulants[1] ** sp.Rational(n, 2), evaluate=False)


def chain_averages(net: Chain, q0: float, order: int) -> dict[Any, float]:
    """See `theory.layer_averages`."""
    kind = chain_class(net.nonlinearity, {net.weights})
    highest = order + 2 if kind == "smooth" else 2
    symbols = [s, *(_shape(n) for n in range(3, highest + 1))]
    layers, log_chi = [], []
    for q in propagate(net, q0).q.tolist():
        moments = [net.nonlinearity.gain_moment(k, q) for k in range(1, highest + 1)]
        log_chi.append(2 * math.log(net.sigma_w) + math.log(moments[0]))
        cumulants = series.moments_to_free_cumulants([x / moments[0] ** k for k, x in enumerate(moments, 1)])
        spread = math.sqrt(cumulants[1])
        shapes = [x / spread**n for n, x in enumerate(cumulants[2:], 3)]
        layers.append([math.sqrt(net.depth) * spread, *shapes])

    def average(monomial: Any) -> float:
        value = sp.lambdify(symbols, monomial)
        return float(math.fsum(value(*layer) for layer in layers) / net.depth)

    sigma = math.sqrt(average(s**2))
    out = {chi: math.exp(math.fsum(log_chi) / net.depth), s: sigma}
    for n, shape in enumerate(symbols[1:], 3):
        out[shape] = average(shape * s**n) / sigma**n
    for term in (_smooth if kind == "smooth" else _bernoulli)(order, True)[0][1:]:
        for monomial, _ in _monomials(term):
            out[_average(monomial)] = average(monomial)
    return out


def _average(monomial: Any) -> Any:
    """The symbol of the average over the layers of a monomial in σ_0 and the γ_n of one; that of σ_0² is σ_0²."""
    return monomial if monomial == s**2 else sp.Symbol(rf"\overline{{{sp.latex(monomial)}}}", real=True)


def _monomials(term: Any) -> list[tuple[Any, Any]]:
    """The monomials in σ_0 and the γ_n with their coefficients, functions of m."""
    symbols = sorted(term.free_symbols - {m}, key=str)
    return [
        (sp.Mul(*(x**k for x, k in zip(symbols, powers, strict=True))), factor)
        for powers, factor in sp.Poly(term, *symbols).terms()
    ]


def _averaged(terms: tuple[Any, ...]) -> tuple[Any, ...]:
    """Terms of log S with the averages over the layers in them."""
    return tuple(sp.Add(*(factor * _average(x) for x, factor in _monomials(term))) for term in terms)


@functools.lru_cache(maxsize=16)
def _smooth(order: int, equal_layers: bool) -> tuple[tuple[Any, ...], tuple[tuple[Any, ...], ...]]:
    """Terms in powers of δ = L^(-1/2), and the edges."""
    d = sp.Symbol("d")
    # free cumulants γ_n (σ_0 δ)^n of the gains of mean 1; m = g R(g) is the inverse of g = m S
    cumulants = [sp.S.One, (s * d) ** 2, *(_shape(n) * (s * d) ** n for n in range(3, order + 3))]
    log_s = series.log(series.reversion([0, *cumulants])[1:])
    whole = sp.Poly(sp.expand(sum(c * m**k for k, c in enumerate(log_s)) / d**2), d)
    terms = tuple(sp.factor(whole.coeff_monomial(d**k)) for k in range(order + 1))
    if not equal_layers:
        terms = _averaged(terms)

    # log S begins with -σ_0² m
    corrections = edge_corrections(terms, s**2 / 2)
    edges = []
    for root in (-sp.sqrt(s**2 + 4) / s, sp.sqrt(s**2 + 4) / s):
        first = sp.log(1 + s**2 * (1 + root) / 2) + s**2 * (root - 1) / 2
        edges.append((first, *(u + w * root for u, w in corrections)))
    return terms, tuple(edges)


@functools.lru_cache(maxsize=16)
def _bernoulli(order: int, equal_layers: bool) -> tuple[tuple[Any, ...], tuple[tuple[Any, ...], ...]]:
    """Terms in powers of 1/L, and the upper edge of the continuous part (the lower one is 0)."""
    u = m / (1 + m)
    terms = tuple((-1) ** (k + 1) * (s**2 * u) ** (k + 1) / (k + 1) for k in range(order + 1))
    if not equal_layers:
        terms = _averaged(terms)
        return terms, (_bernoulli_edge(terms),)
    # z = (1 + σ_0² u/L)^L/u is stationary at u = L/((L - 1) σ_0²), where log z = log σ_0² + (1 - L) log(1 - 1/L)
    values = (sp.log(s**2) + 1, *(sp.Rational(1, k + 1) - sp.Rational(1, k) for k in range(1, order + 1)))
    return terms, (values,)


def _bernoulli_edge(terms: tuple[Any, ...]) -> tuple[Any, ...]:
    """The stationary value of log z = -log u - log S, u = m/(1 + m), next to that of the limit, at u = 1/σ_0²."""
    u, order = sp.Symbol("u", positive=True), len(terms) - 1
    functions = [-sp.log(u), *[sp.S.Zero] * order]
    rows = []
    for function, term in zip(functions, terms, strict=True):
        value = function - sp.expand(sp.simplify(term.subs(m, u / (1 - u))))
        rows.append([sp.diff(value, u, j).subs(u, s**-2) for j in range(order + 2)])
    return tuple(sp.expand(x) for x in stationary_value(rows, s**-4, sp.expand))


def _class_step(net: Chain, definitions: tuple[Any, ...]) -> Step:
    return Step(
        "Double scaling",
        definitions,
        f"A chain of orthogonal weights and activation {net.nonlinearity.name}: the law of $J J^T$ has the mean $χ^L$ "
        "and the relative variance $σ_0^2$. As $L$ grows $σ_0$ is kept, so that the layers come close to isometries; "
        "$μ_k$ is the mean of $φ'(h)^{2k}$.",
        PENNINGTON,
    )


def _steps(expansion: DepthExpansion, kind: str, depth: Any) -> tuple[Step, ...]:
    log_s = sp.Symbol("log S")
    shift = depth * sp.log(chi)
    step, order, s_gain = expansion.step, expansion.order, sp.Function("S_D")

    def series_of(coefficients: tuple[Any, ...]) -> Any:
        known = sp.Add(*(x * depth ** (-step * k) for k, x in enumerate(coefficients)))
        return known + sp.Order(depth ** (-step * (order + 1)), (depth, sp.oo))

    if kind == "smooth":
        layer = Step(
            "One layer of nearly equal gains",
            sp.Eq(
                sp.log(s_gain(m)),
                -(s**2) * m / depth + sp.Order(depth ** sp.Rational(-3, 2), (depth, sp.oo)),
                evaluate=False,
            ),
            "$S_D$ is that of the gains over their mean. Their free cumulants are $γ_n (σ_0^2/L)^{n/2}$, as for gains "
            "that are a smooth function of $h$ of small variance; S is the inverse of $m = g R(g)$, over $m$.",
            "derived here",
        )
        limit = "The smooth class"
    else:
        layer = Step(
            "One layer of gains 0 or 1",
            sp.Eq(s_gain(m), 1 / (1 + s**2 * m / (depth * (1 + m))), evaluate=False),
            "$p (1+m)/(m+p)$, the S-transform of the mask over its mean, with $1/p = 1 + σ_0^2/L$; exact.",
            PENNINGTON,
        )
        limit = "The Bernoulli class"
    steps = [
        layer,
        Step(
            limit,
            (
                sp.Eq(sp.Limit(log_s + shift, depth, sp.oo), expansion.terms[0], evaluate=False),
                expansion.equation,
            ),
            "S multiplies over the layers; $L$ times the logarithm of one factor at fixed $σ_0$.",
            PENNINGTON,
        ),
    ]
    x = z / chi**depth
    if kind == "smooth":
        solution: tuple[Any, ...] = (sp.Eq((1 + m) / m * sp.exp(s**2 * m), x, evaluate=False),)
        reason = "Scaled by $e^{σ_0^2/2}$ it is the law of free multiplicative Brownian motion at time $σ_0^2$."
    else:
        w = sp.LambertW(-(s**2) / x)
        solution = (
            sp.Eq(m / (1 + m), -w / s**2, evaluate=False),
            sp.Eq(G, s**2 / (z * (s**2 + w)), evaluate=False),
            sp.Eq(sp.Symbol("mass_top"), sp.Max(0, 1 - s**2), evaluate=False),
        )
        reason = (
            "With $u = m/(1+m)$ the equation is $u e^{-σ_0^2 u} = χ^L/z$, solved by Lambert's W. Where $σ_0 < 1$ an "
            "atom of mass $1 - σ_0^2$ stands at $χ^L e^{σ_0^2}$: W = $-σ_0^2$ there, a pole of G."
        )
    names = sp.symbols("log(x_-) log(x_+)") if kind == "smooth" else (sp.Symbol("log(x_+)"),)
    return (
        *steps,
        Step("Solution of the limit", solution, reason, PENNINGTON),
        Step(
            "Corrections of log S",
            sp.Eq(log_s + shift, series_of(expansion.terms), evaluate=False),
            "The next orders of the same expansion, for $L$ equal layers; where they differ, $χ$ is the geometric "
            "mean, $σ_0^2$ the sum of the relative variances, and other products of one layer's numbers are averages.",
            "derived here",
        ),
        Step(
            "Edges at finite depth",
            tuple(
                sp.Eq(name - shift, series_of(e), evaluate=False)
                for name, e in zip(names, expansion.log_edges, strict=True)
            ),
            "Stationary values of log z = log(1+m) - log m - log S."
            if kind == "smooth"
            else "The stationary value of log z = -log u - log S, of equal layers exactly $σ_0^2 (L/(L-1))^{L-1}$ "
            "times $χ^L$; the lower edge is 0. Where $σ_0 < 1$ the atom stands above it.",
            "derived here",
        ),
        Step(
            "Moments at finite depth",
            tuple(
                sp.Eq(sp.Symbol(f"m_{k}") / chi ** (depth * k), series_of(p), evaluate=False)
                for k, p in enumerate(expansion.moment_coefficients(3), 1)
            ),
            "$m_k = [m^{k-1}] (1+m)^k S(m)^{-k}/k$ by Lagrange's inversion.",
            "derived here",
        ),
    )
