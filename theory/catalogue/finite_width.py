"""Networks of finite width: fourth moments, exact laws of norms, gradients and Hessians.

After Hanin and Nica, arXiv:1812.05994, with exact laws derived here. This module loads sympy: import it inside
functions only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import extrapolated, outcomes

__all__ = ["build"]

HANIN = "Hanin, Nica 2018, arXiv:1812.05994"
n, L = sp.symbols("n L", positive=True, integer=True)
p, kappa, log_mean, log_variance = sp.symbols("p kappa E_log Var_log", real=True)
_HE = (
    "Independent weights of variance $1/(p n)$, $p = 1$ for linear layers and $1/2$ for ReLU: the mean square is kept."
)


def _fourth_moments() -> Entry:
    square, quartic, square_next, quartic_next, growth = sp.symbols("S Q S_next Q_next growth", positive=True)

    def one_layer(signal: tuple[int, ...], law: dict[Any, Any], relu: bool) -> tuple[Any, Any]:
        """E|a|^4 and E|a|_4^4 behind a layer with unscaled weights, by enumeration."""
        size = len(signal)
        totals = [Fraction(0), Fraction(0)]
        for weights, mass in outcomes(law, size * size):
            rows = [sum(w * s for w, s in zip(weights[i::size], signal, strict=True)) for i in range(size)]
            squares = [max(h, 0) ** 2 if relu else h * h for h in rows]
            totals[0] += mass * sum(squares) ** 2
            totals[1] += mass * sum(s * s for s in squares)
        return totals[0], totals[1]

    def witnesses() -> Iterator[Witness]:
        flat = {-1: Fraction(1, 2), 1: Fraction(1, 2)}
        heavy = {-2: Fraction(1, 8), 0: Fraction(3, 4), 2: Fraction(1, 8)}  # unit variance, kurtosis 4
        for signal, law, kurtosis in (((3, 1), flat, 1), ((2, -1), heavy, 4)):
            for slope, relu in ((Fraction(1), False), (Fraction(1, 2), True)):
                size = len(signal)
                scale = 1 / (slope * size)  # σ²
                after = [value * scale**2 for value in one_layer(signal, law, relu)]
                yield {
                    n: size,
                    p: slope,
                    kappa: kurtosis,
                    square: sum(s * s for s in signal) ** 2,
                    quartic: sum(s**4 for s in signal),
                    square_next: after[0],
                    quartic_next: after[1],
                }
        gaussian = {-3: Fraction(1, 6), 0: Fraction(2, 3), 3: Fraction(1, 6)}  # three times the Gauss rule over √3
        for slope, relu in ((Fraction(1), False), (Fraction(1, 2), True)):
            after, _ = one_layer((1, 2), gaussian, relu)
            yield {n: 2, p: slope, growth: after / 9 / (slope * 2) ** 2 / 25}

    inside = 3 * square + (kappa - 3) * quartic
    return Entry(
        key="fourth-moment-recursion",
        title="Fourth moments at finite width",
        statement=(
            eq(square_next, (p**2 * n * (n - 1) * square + p * n * inside) / (p * n) ** 2),
            eq(quartic_next, p * n * inside / (p * n) ** 2),
            eq(growth, 1 + (3 / p - 1) / n),
        ),
        hypotheses=(
            _HE,
            "$S$ and $Q$ are the means of $|a|^4$ and of the sum of $a_i^4$, $κ$ the kurtosis of the "
            "weights (symmetric). "
            "The growth of $S$ is that for Gaussian weights: $1 + 2/n$ for linear layers, $1 + 5/n$ for ReLU.",
        ),
        source=(("HaninNica2018", ""), ("", "derived here")),
        steps=(
            Step(
                "One neuron",
                (eq(sp.Symbol("E_h4"), inside / (p * n) ** 2),),
                "Neurons are independent given the layer before; by symmetry a neuron is active with probability $p$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="enumeration of discrete weights at width 2, in fractions",
        tolerance=0,
    )


def _log_linear() -> Entry:
    def witnesses() -> Iterator[Witness]:
        for size in (1, 2, 7):
            # χ²_n/n by the density of its logarithm
            weight = lambda u: mpmath.exp(u * size / mpmath.mpf(2) - size * mpmath.exp(u) / 2)
            moments = [mpmath.quad(lambda u: weight(u) * u**j, [-140, -40, -10, -3, 0, 1, 2, 5]) for j in range(3)]
            mean = moments[1] / moments[0]
            yield {n: size, log_mean: mean, log_variance: moments[2] / moments[0] - mean**2}

    return Entry(
        key="log-norm-linear",
        title="Norms in linear networks of finite width: the exact law",
        statement=(
            eq(log_mean, sp.polygamma(0, n / 2) - sp.log(n / 2)),
            eq(log_variance, sp.polygamma(1, n / 2)),
        ),
        hypotheses=(
            "Gaussian weights of variance $1/n$. $\\log(|a_L|^2/|x|^2)$ is a sum of $L$ independent "
            "terms, $χ^2_n/n$ in "
            "law; mean and variance of one.",
        ),
        source=(("HaninNica2018", ""), ("", "derived here")),
        steps=(
            Step(
                "Rotation invariance",
                (eq(sp.Symbol("|W a|^2"), sp.Symbol("|a|^2") * sp.Symbol("chi^2_n") / n),),
                "The factor does not depend on the direction of $a$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature over the chi-square density",
    )


def _relu_mixture(size: Any) -> tuple[Any, Any]:
    """Mean and variance of log((2/n) χ²_K), K binomial(n, 1/2) given K > 0, by polygamma functions."""
    weights = [mpmath.binomial(size, j) for j in range(1, int(size) + 1)]
    total = sum(weights)
    means = [mpmath.digamma(mpmath.mpf(j) / 2) + mpmath.log(4 / mpmath.mpf(size)) for j in range(1, int(size) + 1)]
    seconds = [mpmath.psi(1, mpmath.mpf(j) / 2) + mu**2 for j, mu in enumerate(means, 1)]
    mean = sum(w * mu for w, mu in zip(weights, means, strict=True)) / total
    return mean, sum(w * s for w, s in zip(weights, seconds, strict=True)) / total - mean**2


def _log_relu() -> Entry:
    j = sp.Symbol("j", integer=True)
    mean_32, variance_32 = sp.symbols("E_log_32 Var_log_32", real=True)

    def witnesses() -> Iterator[Witness]:
        for size in (2, 5):
            yield {n: size, **dict(zip((log_mean, log_variance), _rectified_log_moments(size), strict=True))}
        yield dict(zip((mean_32, variance_32), _rectified_log_moments(32), strict=True))

    weight = sp.binomial(n, j) / (2**n - 1)
    term = sp.polygamma(0, j / 2) + sp.log(4 / n)
    return Entry(
        key="log-norm-relu",
        title="Norms in ReLU networks of finite width: the exact law",
        statement=(
            eq(log_mean, sp.Sum(weight * term, (j, 1, n))),
            eq(log_variance, sp.Sum(weight * (sp.polygamma(1, j / 2) + (term - log_mean) ** 2), (j, 1, n))),
        ),
        hypotheses=(
            "Gaussian weights of variance $2/n$, no biases. $\\log(|a_L|^2/|x|^2)$ is a sum of $L$ independent terms, "
            "$(2/n) χ^2_K$ in law, $K$ the number of active neurons: binomial $(n, 1/2)$, given that it is not 0.",
        ),
        source=(("HaninNica2018", ""), ("", "derived here")),
        quoted={mean_32: "-.082540", variance_32: ".177498"},
        steps=(
            Step(
                "Active neurons",
                (eq(sp.Symbol("P(K=j)"), weight),),
                "Signs and squares of the pre-activations are independent; all neurons die with probability $2^{-n}$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature over the density of the squared norm of rectified Gaussians",
        tolerance=1e-8,
    )


def _rectified_log_moments(size: int) -> tuple[float, float]:
    """Mean and variance of log((2/n) Σ relu(g_i)²), given that it is not 0, from its Laplace transform.

    E log X = ∫ (e^{-t} - E e^{-tX}) dt/t; and E log² X from the same integral with -2 (log t + γ) as a weight.
    """
    death = 2.0**-size
    u = np.linspace(-40.0, 160.0, 200001)
    t = np.exp(u)
    transform = (((1 + 1 / np.sqrt(1 + 4 * t / size)) / 2) ** size - death) / (1 - death)
    difference = np.exp(-t) - transform
    step = u[1] - u[0]
    mean = float(np.sum(difference) * step)
    # ∫ (e^{-t} - e^{-tx}) log t dt/t = -γ log x - log²(x)/2
    weighted = float(np.sum(difference * u) * step)
    second = -2 * (weighted + float(np.euler_gamma) * mean)
    return mean, second - mean**2


def _relu_asymptotics() -> Entry:
    first, second, leading = sp.symbols("a_1 a_2 b_1", real=True)

    def witnesses() -> Iterator[Witness]:
        def mean(size: Any) -> Any:
            return _relu_mixture(size)[0]

        with mpmath.workdps(40):
            linear = extrapolated(lambda s: s * mean(s), 16, 5)
            yield {
                first: linear,
                second: extrapolated(lambda s: s * (s * mean(s) + mpmath.mpf(5) / 2), 16, 5),
                leading: extrapolated(lambda s: s * _relu_mixture(s)[1], 16, 5),
            }

    return Entry(
        key="log-norm-relu-asymptotics",
        title="Drift and diffusion of norms in ReLU networks",
        statement=(
            eq(first, sp.Rational(-5, 2)),
            eq(second, sp.Rational(-49, 12)),
            eq(leading, sp.Integer(5)),
        ),
        hypotheses=(
            "As for `log-norm-relu`: a layer has mean $a_1/n + a_2/n^2 + …$ and variance $b_1/n + …$. "
            "The median of the "
            "squared norm is $e^{-5L/2n}$: the width must grow at least like the depth.",
        ),
        source=(("HaninNica2018", ""), ("", "derived here")),
        steps=(
            Step(
                "Expansion about the mean of K",
                (eq(sp.Symbol("psi(K/2)"), sp.log(sp.Symbol("K") / 2) - 1 / sp.Symbol("K")),),
                "$K$ has mean $n/2$ and variance $n/4$; expand in $1/n$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the exact law at widths 16 to 256, extrapolated in 1/n",
        tolerance=1e-4,
    )


def _small_norms() -> Entry:
    mean_norm, probability, delta = sp.symbols("m prob delta", positive=True)

    def witnesses() -> Iterator[Witness]:
        from scipy.stats import chi

        for size in (1, 4):
            norm = chi(size, scale=1 / math.sqrt(size))
            yield {n: size, mean_norm: float(norm.expect(lambda r: r))}
            grid, step = np.linspace(0, 8, 40001, retstep=True)
            middle = (grid[1:] + grid[:-1]) / 2
            for level in (0.5, 0.9, 1.2):
                yield {n: size, L: 1, delta: level, probability: float(norm.sf(level)), mean_norm: float(norm.mean())}
                two = float(np.sum(norm.pdf(middle) * norm.sf(level / middle)) * step)
                yield {n: size, L: 2, delta: level, probability: two, mean_norm: float(norm.mean())}

    return Entry(
        key="norm-tail-bound",
        title="Signals of linear networks die with depth",
        statement=(
            eq(mean_norm, sp.sqrt(2 / n) * sp.gamma((n + 1) / 2) / sp.gamma(n / 2)),
            sp.Le(probability, mean_norm**L / delta),
        ),
        hypotheses=("Gaussian weights of variance $1/n$; the probability that $|a_L| ≥ δ |x|$.",),
        source=(("", "derived here"),),
        steps=(
            Step(
                "Markov's inequality",
                (sp.Le(probability, sp.Symbol("E_norm") ** L / delta),),
                "The norms' ratios are independent, each of mean $m < 1$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the chi law and its products by quadrature",
        tolerance=1e-7,
    )


def _log_normal_limit() -> Entry:
    beta, mean, mu_4, u_4 = sp.symbols("beta E_log mu_4 u_4", real=True)

    def witnesses() -> Iterator[Witness]:
        for slope, kurtosis, quartic, depth in ((1, 4, 0.6, 3), (0.5, 1, 1.0, 2), (0.5, 3, 0.3, 5)):
            slope_number = mpmath.mpf(slope)

            def growth(size: Any, s: Any = slope_number, kk: int = kurtosis, u: float = quartic, d: int = depth) -> Any:
                squared, fourth = mpmath.mpf(1), mpmath.mpf(u)
                for _ in range(d):
                    inside = 3 * squared + (kk - 3) * fourth
                    squared, fourth = (
                        (s**2 * size * (size - 1) * squared + s * size * inside) / (s * size) ** 2,
                        s * size * inside / (s * size) ** 2,
                    )
                return size * mpmath.log(squared)

            with mpmath.workdps(40):
                limit = extrapolated(growth, 1000, 6, 4)
            yield {p: slope, mu_4: kurtosis, u_4: mpmath.mpf(quartic), L: depth, beta: limit}
        with mpmath.workdps(30):
            drift = extrapolated(lambda s: s * (mpmath.digamma(s / 2) - mpmath.log(s / 2)), 1000, 5, 4)
            yield {
                p: 1,
                mu_4: 3,
                u_4: 1,
                L: 1,
                mean: drift,
                beta: extrapolated(lambda s: s * mpmath.psi(1, s / 2), 1000, 5, 4),
            }

    return Entry(
        key="log-normal-limit",
        title="Log-normal norms at large width",
        statement=(eq(beta, (3 / p - 1) * L + (mu_4 - 3) / p * u_4), eq(mean, -beta / 2)),
        hypotheses=(
            _HE,
            "$\\log|M u|^2$ is close to $N(-β'/2, β')$, $β' = β/n$, for $L$ layers of width $n$ and "
            "$|u| = 1$; for other "
            "widths $L/n$ is the sum of $1/n_j$. $μ_4$ is the kurtosis of the weights and $u_4$ the sum of $u_i^4$.",
        ),
        source=(("HaninNica2018", ""),),
        steps=(
            Step(
                "Second moment of a log-normal variable",
                (eq(sp.Symbol("E_S"), sp.exp(beta / n)),),
                "The mean of $|M u|^2$ is 1 and that of its square $e^{β'}$; only the first layer sees $u_4$.",
                HANIN,
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the exact recursion of fourth moments and the exact law of linear networks, extrapolated in 1/n",
        tolerance=1e-8,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _fourth_moments(),
        _log_linear(),
        _log_relu(),
        _relu_asymptotics(),
        _small_norms(),
        _log_normal_limit(),
    )
