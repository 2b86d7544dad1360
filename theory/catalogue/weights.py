"""Products of random weights: logarithms, exact laws, vanishing signals, with and without skip connections.

After Orvieto et al., arXiv:2106.03763, with exact laws derived here.
This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import average

__all__ = ["build"]

L = sp.Symbol("L", positive=True, integer=True)
P, w, w_k, tau, sigma, t = sp.symbols("P w w_k tau sigma t", real=True)
spread = sp.Symbol("sigma", positive=True)
log_mean, log_variance = sp.symbols("E_log Var_log", real=True)
_EULER_GAMMA_LN2 = (sp.EulerGamma + sp.log(2)) / 2


def _log_gaussian() -> Entry:
    critical = sp.Symbol("sigma_0", positive=True)

    def witnesses() -> Iterator[Witness]:
        mean = _log_average(lambda u: mpmath.log(u))
        square = _log_average(lambda u: mpmath.log(u) ** 2)
        yield {log_mean: mean, log_variance: square - mean**2, critical: mpmath.exp(-mean)}

    return Entry(
        key="log-weight-gaussian",
        title="Logarithm of a Gaussian weight",
        statement=(
            eq(log_mean, -_EULER_GAMMA_LN2),
            eq(log_variance, sp.pi**2 / 8),
            eq(critical, sp.exp(_EULER_GAMMA_LN2)),
        ),
        hypotheses=(
            "$w$ is N(0, 1); mean and variance of $\\log|w|$. At $σ_0$ the logarithm of $σ_0 |w|$ has mean 0.",
        ),
        source=(("Orvieto2021", ""), ("", "derived here")),
        steps=(
            Step(
                "Moments of |w|",
                (eq(sp.Symbol("M(s)"), 2 ** (t / 2) * sp.gamma((1 + t) / 2) / sp.sqrt(sp.pi)),),
                "The mean of $|w|^t$; the derivatives of its logarithm at $t = 0$ are mean and variance.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature",
    )


def _log_average(function: Any) -> Any:
    """E f(|w|) for w of N(0, 1) and f with a logarithm at 0, in the variable log|w|."""
    weight = lambda u: mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(u - mpmath.exp(2 * u) / 2)
    return mpmath.quad(lambda u: weight(u) * function(mpmath.exp(u)), [-60, -20, -6, -2, 0, 1, 2.6])


def _log_uniform() -> Entry:
    bound, critical = sp.symbols("tau tau_0", positive=True)

    def witnesses() -> Iterator[Witness]:
        for value in ("0.7", "3"):
            top = mpmath.log(mpmath.mpf(value))
            # u = log|w| has density e^(u - top) below top
            mean = mpmath.quad(lambda u: mpmath.exp(u - top) * u, [top - 70, top - 8, top])
            square = mpmath.quad(lambda u: mpmath.exp(u - top) * u**2, [top - 70, top - 8, top])
            yield {bound: mpmath.mpf(value), log_mean: mean, log_variance: square - mean**2}
            yield {critical: mpmath.exp(top - mean)}

    return Entry(
        key="log-weight-uniform",
        title="Logarithm of a uniform weight",
        statement=(eq(log_mean, sp.log(bound) - 1), eq(log_variance, sp.Integer(1)), eq(critical, sp.E)),
        hypotheses=("$w$ is uniform on $[-τ, τ]$. At $τ_0$ the mean of $\\log|w|$ is 0.",),
        source=(("Orvieto2021", ""), ("", "derived here")),
        steps=(
            Step(
                "Exponential law",
                (eq(sp.Symbol("density"), sp.exp(-t)),),
                "$t = \\log τ - \\log|w|$ is exponential of mean 1.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature",
    )


def _gamma_law() -> Entry:
    survival, median = sp.symbols("F median", positive=True)
    quantile = sp.Symbol("t_half", positive=True)
    level = sp.Symbol("t", positive=True)

    def witnesses() -> Iterator[Witness]:
        for depth, value in ((1, 0.8), (2, 2.5), (3, 2.0)):
            yield {L: depth, level: value, survival: _uniform_product_below(mpmath.exp(-mpmath.mpf(value)), depth)}
        # the median of ten weights of unit variance: the cdf of a sum of exponentials, as a Poisson probability
        total = lambda u: mpmath.exp(-u) * sum(u**j / mpmath.factorial(j) for j in range(10)) - mpmath.mpf(1) / 2
        half = mpmath.findroot(total, (9, 10))
        yield {L: 10, quantile: half, median: 3**5 * mpmath.exp(-half)}

    return Entry(
        key="uniform-chain-gamma-law",
        title="Product of uniform weights: the exact law",
        statement=(
            eq(survival, sp.uppergamma(L, level) / sp.gamma(L)),
            eq(sp.uppergamma(10, quantile) / sp.gamma(10), sp.Rational(1, 2)),
            eq(median, sp.sqrt(3) ** 10 * sp.exp(-quantile)),
        ),
        hypotheses=(
            "$L$ independent weights, uniform on $[-τ, τ]$; $F$ is the probability that $|P| ≤ τ^L e^{-t}$.",
            "The median of $|P|$ is for $L = 10$ and unit variance, $τ = \\sqrt{3}$.",
        ),
        source=(("", "derived here"),),
        quoted={median: ".01536515"},
        steps=(
            Step(
                "Sum of exponentials",
                (eq(sp.Symbol("-log(|P|/tau^L)"), sp.Symbol("e_1") + sp.Symbol("⋯") + sp.Symbol("e_L")),),
                "Each term is exponential of mean 1; the sum has the Gamma law of shape $L$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="nested quadrature over the weights, and a Poisson sum",
        tolerance=1e-9,
    )


def _uniform_product_below(level: Any, depth: int) -> Any:
    """P(|u_1 ⋯ u_L| <= level) for uniform u in [0, 1], one weight a quadrature."""
    if depth == 1:
        return level
    if depth == 2:
        return level + mpmath.quad(lambda u: level / u, [level, 1])
    inner = lambda u: _uniform_product_below(level / u, depth - 1)
    return level + mpmath.quad(inner, [level, (1 + level) / 2, 1])


def _vanishing() -> Entry:
    second, log_second = sp.symbols("E_P2 E_logP2", real=True)

    def witnesses() -> Iterator[Witness]:
        mean = _log_average(lambda u: 2 * mpmath.log(u))
        square = average(lambda u: u * u)
        for depth in (1, 7):
            yield {L: depth, second: square**depth, log_second: depth * mean}

    return Entry(
        key="width-one-vanishing",
        title="Vanishing gradients at width one",
        statement=(eq(second, sp.Integer(1)), eq(log_second, -L * (sp.EulerGamma + sp.log(2)))),
        hypotheses=(
            "Independent N(0, 1) weights: the mean of $P^2$ stays 1 while the median of $P^2$ decays "
            "like $e^{-1.27 L}$.",
        ),
        source=(("Orvieto2021", ""),),
        steps=(
            Step(
                "Law of large numbers",
                (eq(sp.Symbol("log P^2"), 2 * L * sp.Symbol("E_log")),),
                "$\\log P^2$ is a sum of independent terms, and so is that of $P^2/w_k^2$, with one "
                "term less: gradients "
                "and Hessians decay at the same rate.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature",
    )


def _residual_gaussian() -> Entry:
    drift, unit = sp.symbols("E_log E_log_1", real=True)
    threshold = sp.Symbol("sigma_0", positive=True)

    def witnesses() -> Iterator[Witness]:
        def by_quadrature(scale: Any) -> Any:
            # the logarithm at w = -1/scale, one side at a time
            hole = -1 / scale
            weight = lambda u: mpmath.exp(-u * u / 2) / mpmath.sqrt(2 * mpmath.pi)
            f = lambda u: weight(u) * mpmath.log(abs(1 + scale * u))
            return mpmath.quad(f, [-14, hole - 1, hole, hole + 1, 14])

        for value in ("0.4", "1", "2.5"):
            scale = mpmath.mpf(value)
            found = by_quadrature(scale)
            yield {spread: scale, drift: found, **({unit: found} if value == "1" else {})}
        with mpmath.workdps(15):
            yield {threshold: mpmath.findroot(by_quadrature, (1.5, 1.6), tol=1e-20)}

    series_part = sp.hyper((1, 1), (sp.Rational(3, 2), 2), -1 / (2 * spread**2)) / (2 * spread**2)
    return Entry(
        key="residual-width-one-gaussian",
        title="Drift of residual chains of width one with Gaussian weights",
        statement=(eq(drift, sp.log(spread) - _EULER_GAMMA_LN2 + series_part),),
        hypotheses=(
            "The mean of $\\log|1 + σ w|$, $w$ of law N(0, 1). Gradients vanish for $σ < σ_0$, where it is negative.",
        ),
        source=(("", "derived here"), ("Orvieto2021", "")),
        quoted={unit: "-0.208496", threshold: "1.556036"},
        steps=(
            Step(
                "Noncentral chi-square",
                (
                    eq(
                        sp.Symbol("E_logZ2"),
                        -sp.EulerGamma - sp.log(2) + t**2 * sp.hyper((1, 1), (sp.Rational(3, 2), 2), -(t**2) / 2),
                    ),
                ),
                "The mean of $\\log Z^2$, $Z$ of law N(t, 1), by the Poisson mixture of chi-square laws; $t = 1/σ$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature on both sides of the logarithmic singularity",
        tolerance=1e-9,
    )


def _residual_uniform() -> Entry:
    drift, unit = sp.symbols("E_log E_log_1", real=True)
    bound, threshold = sp.symbols("tau tau_0", positive=True)

    def witnesses() -> Iterator[Witness]:
        def by_quadrature(top: Any) -> Any:
            cuts = [-top, *([-1] if top > 1 else []), 0, top]
            return mpmath.quad(lambda u: mpmath.log(abs(1 + u)), cuts) / (2 * top)

        for value in ("0.6", "1", "3"):
            found = by_quadrature(mpmath.mpf(value))
            yield {bound: mpmath.mpf(value), unit: found} if value == "1" else {bound: mpmath.mpf(value), drift: found}
        with mpmath.workdps(15):
            yield {threshold: mpmath.findroot(by_quadrature, (2.4, 2.6), tol=1e-20)}

    return Entry(
        key="residual-width-one-uniform",
        title="Drift of residual chains of width one with uniform weights",
        statement=(
            eq(drift, ((1 + bound) * sp.log(1 + bound) - (1 - bound) * sp.log(sp.Abs(1 - bound))) / (2 * bound) - 1),
            eq(unit, sp.log(2) - 1),
        ),
        hypotheses=(
            "The mean of $\\log|1 + w|$, $w$ uniform on $[-τ, τ]$; at $τ = 1$ the second formula. Gradients vanish for "
            "$τ < τ_0$; for $w$ of order $1/\\sqrt{L}$ they do not.",
        ),
        source=(("", "derived here"), ("Orvieto2021", "")),
        quoted={threshold: "2.504296"},
        steps=(
            Step(
                "Elementary integral",
                (eq(sp.Integral(sp.log(t), t), t * sp.log(t) - t),),
                "On both sides of $w = -1$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature on both sides of the logarithmic singularity",
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _log_gaussian(),
        _log_uniform(),
        _gamma_law(),
        _vanishing(),
        _residual_gaussian(),
        _residual_uniform(),
    )
