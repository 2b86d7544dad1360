"""Residual networks at finite depth as an expansion in 1/depth, to any order (derived here).

With ``ε = 1/L`` the gains of a block's branch are ε times numbers with free cumulants c, v, κ_3, … The equation of the
block (mathematics of `theory.resnet_derivation`, step "Hermitisation of the block") is ``m_0 = ε f(m_0)`` with

    f(y) = (m - y)(m + 1 - y) F(y)/a²,   1/F = S_D for Gaussian weights, (1 + y) S_D for orthogonal ones,

S_D that of the gains times L, and ``a² S_block = (m - m_0)(m + 1 - m_0)/(m (1 + m))``. Lagrange's inversion gives every
order at once:

    [ε^n] log(a² S_block) = -(1/n) a^(-2n) [y^(n-1)] (2m + 1 - 2y) ((m - y)(m + 1 - y))^(n-1) F(y)^n.

This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import functools
from typing import Any

import sympy as sp

from rmt import series
from rmt.results import PreconditionError
from rmt.symbolic.derivation import Step, m
from theory.activation_formulas import ActivationFormulas, parameter
from theory.depth_expansion import DepthExpansion, collected, edge_corrections
from theory.jacobian import branch_laws
from theory.network import Layer, ResNet
from theory.propagation import propagate
from theory.weights import is_standard

__all__ = [
    "TARNOWSKI",
    "average_symbol",
    "averages",
    "block_term",
    "branch_definitions",
    "c",
    "correction_steps",
    "gain_cumulants",
    "gain_definitions",
    "limit_steps",
    "positive_skip",
    "residual_expansion",
    "v",
]

c = sp.Symbol("c", positive=True)
v = sp.Symbol("v", nonnegative=True)
TARNOWSKI = "Tarnowski et al. 2018, arXiv:1809.08848"
_ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth")


def gain_cumulants(n: int) -> list[Any]:
    """The symbols c, v, κ_3, …, κ_n of the free cumulants of ``σ_w² φ'(h)²``, three of them classical too."""
    return [c, v, *(sp.Symbol(f"kappa_{k}", real=True) for k in range(3, n + 1))][:n]


def gain_definitions(formulas: ActivationFormulas, sigma_w: Any, n: int) -> tuple[Any, ...]:
    """What c, v, κ_3, …, κ_n are for an activation, in q."""
    moments = [sp.Symbol(f"mu_{k}") for k in range(1, n + 1)]
    values = {x: formulas.moment(k) for k, x in enumerate(moments, 1)}
    cumulants = series.moments_to_free_cumulants(moments)
    return tuple(
        sp.Eq(symbol, sigma_w ** (2 * k) * x.subs(values), evaluate=False)
        for k, (symbol, x) in enumerate(zip(gain_cumulants(n), cumulants, strict=True), 1)
    )


def branch_definitions(depth: Any, n: int) -> tuple[Any, ...]:
    """What c, v, κ_3, …, κ_n are for a branch Y of any kind: L^k times the rectangular cumulants of Y Yᵀ at ratio 1.

    They are the coefficients of ``(1/k) [y^(k-1)] ((1 + y) S_Y(y))^(-k)``, so that a branch of Gaussian weights has the
    free cumulants of its gains.
    """
    moments = [sp.Symbol(f"m_{{Y,{k}}}", positive=True) for k in range(1, n + 1)]
    cumulants = series.moments_to_rectangular_cumulants(moments, 1)
    return tuple(
        sp.Eq(symbol, depth**k * x, evaluate=False)
        for k, (symbol, x) in enumerate(zip(gain_cumulants(n), cumulants, strict=True), 1)
    )


def block_term(n: int, weights: str) -> Any:
    """[ε^n] of log S of one block of skip 1, a polynomial in m and the cumulants; see the module.

    ``weights`` may be "any": then the cumulants are those of `branch_definitions`. A skip a divides the n-th cumulant
    by a^(2n) and S by a².
    """
    # m = g R(g) is the inverse of g = m S(m), for the gains
    f = series.reciprocal(series.reversion([0, *gain_cumulants(n)])[1:])
    if weights == "orthogonal":
        f = series.multiply(f, [(-1) ** k for k in range(n)])
    block = [m * (m + 1), -(2 * m + 1), sp.S.One, *[sp.S.Zero] * n][:n]
    slope = [2 * m + 1, sp.Integer(-2), *[sp.S.Zero] * n][:n]
    product = series.multiply(series.multiply(slope, series.power(block, n - 1)), series.power(f, n))
    return sp.expand(-product[n - 1] / sp.Integer(n))


def average_symbol(monomial: Any) -> Any:
    """The symbol of the average over the layers of a product of cumulants; c, v, … are averages themselves."""
    return monomial if monomial.is_Symbol else sp.Symbol(rf"\overline{{{sp.latex(monomial)}}}", positive=True)


def _averaged(term: Any, n: int) -> Any:
    """A term with every monomial in the cumulants of one layer replaced by its average over the layers."""
    return sp.Add(*(factor * average_symbol(monomial) for monomial, factor in _monomials(term, n)))


def _monomials(term: Any, n: int) -> list[tuple[Any, Any]]:
    """The monomials in the first n cumulants with their coefficients."""
    symbols = gain_cumulants(n)
    return [
        (sp.Mul(*(x**k for x, k in zip(symbols, powers, strict=True))), factor)
        for powers, factor in sp.Poly(term, *symbols).terms()
    ]


def _weights_of_symbols(order: int) -> dict[Any, int]:
    """Symbol -> n, for the cumulants and the averages of their products of degree n in the gains."""
    degree = {x: k for k, x in enumerate(gain_cumulants(order + 1), 1)}
    products = {
        average_symbol(monomial): n
        for n in range(1, order + 2)
        for monomial, _ in _monomials(block_term(n, "gaussian"), n)
    }
    return degree | products


def averages(net: Layer, q0: float, order: int) -> dict[Any, float]:
    """See `theory.layer_averages`."""
    n = order + 1
    rows = _gain_rows(net, q0, n) if isinstance(net, ResNet) and is_standard(net.weights) else _branch_rows(net, q0, n)
    products = {x for k in range(1, n + 1) for x, _ in _monomials(block_term(k, "gaussian"), k)}
    out: dict[Any, float] = {}
    for product in (*gain_cumulants(n), *sorted(products - set(gain_cumulants(n)), key=str)):
        value = sp.lambdify(gain_cumulants(n), product)
        out[average_symbol(product)] = float(sum(share * value(*cumulants) for share, cumulants in rows))
    return out


def _gain_rows(net: ResNet, q0: float, n: int) -> list[tuple[float, list[Any]]]:
    """(share of the layers, the first n cumulants) for each variance of the pre-activations."""
    layers: dict[float, int] = {}
    for q in propagate(net, q0).q.tolist():
        layers[q] = layers.get(q, 0) + 1
    variance = float(net.sigma_w) ** 2
    rows = []
    for q, count in layers.items():
        gains = [variance**k * net.nonlinearity.gain_moment(k, q) for k in range(1, n + 1)]
        rows.append((count / net.depth, series.moments_to_free_cumulants(gains)))
    return rows


def _branch_rows(net: Layer, q0: float, n: int) -> list[tuple[float, list[Any]]]:
    """The same for branches of any kind."""
    laws = branch_laws(net, q0)
    depth = sum(count for _, count in laws)
    rows = []
    for law, count in laws:
        moments = [depth**k * float(x) for k, x in enumerate(law.moments(n), 1)]
        rows.append((count / depth, series.moments_to_rectangular_cumulants(moments, 1)))
    return rows


def positive_skip(skip: Any) -> Any:
    """The skip as a sympy object, without its sign: only a² enters, and a^(2L) reads better in abs(a).

    Raises
    ------
    PreconditionError
        If the skip is 0.
    """
    if not getattr(skip, "free_symbols", None) and skip == 0:
        raise PreconditionError("skip=0: the universal law needs blocks close to the identity; use Chain for no skip")
    a = parameter(skip)
    return -a if a.is_negative else a


def residual_expansion(
    subject: str, a: Any, depth: Any, weights: str, definitions: tuple[Any, ...], order: int, equal_layers: bool
) -> DepthExpansion:
    """The expansion of a residual network without equation and steps; see `theory.finite_depth_corrections`."""
    terms, *log_edges = _terms_and_edges(weights, order, equal_layers)
    return DepthExpansion(
        depth=depth,
        step=sp.S.One,
        scale=a ** (2 * depth),
        pure_terms=terms,
        pure_log_edges=tuple(log_edges),
        subject=subject,
        equation=None,
        # J/a has skip 1 and gains divided by a²
        parameters={} if a == 1 else {x: x / a ** (2 * n) for x, n in _weights_of_symbols(order).items()},
        definitions=definitions,
    )


@functools.lru_cache(maxsize=64)
def _terms_and_edges(weights: str, order: int, equal_layers: bool) -> tuple[tuple[Any, ...], ...]:
    """The terms, and the coefficients of the lower and of the upper edge."""
    terms = [block_term(k, weights) for k in range(1, order + 2)]
    if not equal_layers:
        terms = [_averaged(term, k) for k, term in enumerate(terms, 1)]
    symbols = sorted(set().union(*(term.free_symbols for term in terms)) - {m}, key=str)
    readable = tuple(collected(term, symbols) for term in terms)
    return readable, *_log_edges(readable)


def _log_edges(terms: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Coefficients of the logarithms of the lower and of the upper edge, for skip 1."""
    corrections = [(u, sp.factor_terms(w / c)) for u, w in edge_corrections(terms, c)]
    lower, upper = (
        (sp.log(1 + c + root) + root, *(u + w * root for u, w in corrections))
        for root in (-sp.sqrt(c * (c + 2)), sp.sqrt(c * (c + 2)))
    )
    return lower, upper


def limit_steps(a: Any, weights: str, depth: Any) -> tuple[Step, ...]:
    """From the exact equation of a block to the limit of the whole network."""
    epsilon, k, y, m0 = sp.Symbol("epsilon"), sp.Symbol("n", integer=True), sp.Symbol("y"), sp.Symbol("m_0")
    gain, f = sp.Function("S_D"), sp.Function("f")
    log_s, block = sp.Symbol("log S"), sp.Symbol("log S_block")
    inner = {
        "gaussian": gain(y),
        "orthogonal": (1 + y) * gain(y),
        "any": (1 + y) * sp.Function("S_Y")(y) / depth,
    }[weights]
    branch = "$S_Y$ that of the branch" if weights == "any" else "$S_D$ now that of the gains $σ_w^2 D^2$"
    part = sp.Function("coeff")((2 * m + 1 - 2 * y) * f(y) ** k / ((m - y) * (m + 1 - y)), y, k - 1)
    return (
        Step(
            "The network at finite depth",
            sp.Eq(log_s, depth * block, evaluate=False),
            "The blocks are free and S multiplies: exact at every depth, $L$ equal blocks. Where the layers differ, "
            "log S is a sum over them, and every coefficient below becomes an average over the layers.",
            "derived here",
        ),
        Step(
            "The block solved in powers of 1/depth",
            (
                sp.Eq(m0, epsilon * f(m0), evaluate=False),
                sp.Eq(f(y), (m - y) * (m + 1 - y) / (a**2 * inner), evaluate=False),
                sp.Eq(
                    block + 2 * sp.log(a),
                    -sp.Sum(epsilon**k / k * part, (k, 1, sp.oo)),
                    evaluate=False,
                ),
            ),
            f"With $ε = 1/L$ the equation of the block has this form, {branch}; "
            "Lagrange's inversion of log[$(m - m_0)(m + 1 - m_0)$] gives log S of the block to every order; coeff is "
            "the coefficient of $y^{n-1}$.",
            "Lagrange 1770; derived here",
        ),
        Step(
            "The limit of infinite depth",
            sp.Eq(sp.Limit(log_s + 2 * depth * sp.log(a), depth, sp.oo), -c * (1 + 2 * m) / a**2, evaluate=False),
            "$L$ times the term $n = 1$, at fixed $c$: whatever the law of the gains and the kind of the weights.",
            TARNOWSKI,
        ),
    )


def correction_steps(expansion: DepthExpansion, a: Any, depth: Any) -> tuple[Step, ...]:
    """The corrections of log S, of the edges and of the moments, and what they are corrections of."""
    log_s, log_x = sp.Symbol("log S"), sp.symbols("log(x_-) log(x_+)")
    fourth, (identity, haar) = sp.Function("m_4"), sp.symbols("identity Haar")
    shift = 2 * depth * sp.log(a)

    def series_of(coefficients: tuple[Any, ...], last: int) -> Any:
        known = sp.Add(*(x / depth**k for k, x in enumerate(coefficients[: last + 1])))
        return known + sp.Order(depth ** (-last - 1), (depth, sp.oo))

    names = ", ".join(f"${x}$" for x in ("v", *(f"κ_{k}" for k in range(3, expansion.order + 2))))
    steps = [
        Step(
            f"{_ORDINALS[n - 1] if n <= len(_ORDINALS) else f'{n}th'} correction in 1/depth",
            sp.Eq(log_s + shift, series_of(expansion.terms, n), evaluate=False),
            f"$L$ times the terms up to $n = {n + 1}$. Beside $c$ the gains enter through {names}: their variance and "
            "next free cumulants."
            if n > 1
            else "The next order of the same expansion, for $L$ equal blocks; $v$ is the variance of the gains.",
            "derived here",
        )
        for n in range(1, expansion.order + 1)
    ]
    last = expansion.order
    return (
        *steps,
        Step(
            "Edges at finite depth",
            tuple(
                sp.Eq(x - shift, series_of(e, last), evaluate=False)
                for x, e in zip(log_x, expansion.log_edges, strict=True)
            ),
            "An edge is a stationary value of log z = log(1+m) - log m - log S: to first order the correction of log S "
            "at the old stationary point, $m (1+m) = a^2/(2c)$; to second order this point moves.",
            "derived here",
        ),
        Step(
            "Moments at finite depth",
            tuple(
                sp.Eq(
                    sp.Symbol(f"m_{k}") * sp.exp(-k * c / a**2) / a ** (2 * depth * k),
                    series_of(p, last),
                    evaluate=False,
                )
                for k, p in enumerate(expansion.moment_coefficients(2), 1)
            ),
            "$m_k = [m^{k-1}] (1+m)^k S(m)^{-k}/k$ by Lagrange's inversion.",
            "derived here",
        ),
        Step(
            "What the corrections are exact for",
            sp.Eq(fourth(identity) - fourth(haar), sp.Order(depth**-2, (depth, sp.oo)), evaluate=False),
            "They are those of the free law, to which networks with a Haar skip converge at every depth. With the "
            "identity as skip the gates of all blocks are diagonal in one basis: $m_1$ to $m_3$ are still exact, and "
            "from $m_4$ on the network itself deviates from the free law by $O(1/L^2)$.",
            "derived here",
        ),
    )
