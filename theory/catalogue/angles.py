"""Angles between two signals in ReLU networks of finite width.

After Jakub, Nica, arXiv:2302.09712, with the exact law of small angles derived here. This module loads sympy: import it
inside functions only.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import mpmath
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.angles import small_angle_step
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import extrapolated

__all__ = ["build"]

JAKUB = "Jakub, Nica 2023, arXiv:2302.09712"
n, k = sp.symbols("n k", positive=True, integer=True)
theta = sp.Symbol("theta", positive=True)


def _small_angles() -> Entry:
    mean, variance, drift, diffusion = sp.symbols("E_log Var_log drift diffusion", real=True)

    def open_neurons(size: int) -> Iterator[int]:
        """Number of open neurons of each of the 2^n patterns, where two or more are open."""
        return (count for pattern in itertools.product((0, 1), repeat=size) if (count := sum(pattern)) > 1)

    def log_ratio(count: int) -> tuple[Any, Any]:
        """Mean and mean square of ln sin² of the angle of two Gaussian vectors of that dimension, over its cosine.

        ln(|b_⊥|²/|a|²) for b_⊥ orthogonal to a: the Mellin transform of the ratio, differentiated.
        """
        # u = |b_⊥|²/|a|² has the density u^{(k-3)/2} (1+u)^{-(2k-1)/2}, here in ln u
        density = lambda t: mpmath.exp(t * (count - 1) / 2 - (2 * count - 1) * mpmath.log1p(mpmath.exp(t)) / 2)
        cuts = [-160, -40, -10, -3, 0, 3, 10, 40, 160]
        moments = [mpmath.quad(lambda t: density(t) * t**j, cuts) for j in range(3)]
        return moments[1] / moments[0], moments[2] / moments[0]

    def witnesses() -> Iterator[Witness]:
        for size in (2, 5, 9):
            counts = list(open_neurons(size))
            found = {count: log_ratio(count) for count in set(counts)}
            first, second = (sum(found[count][j] for count in counts) / len(counts) for j in (0, 1))
            yield {n: size, mean: first, variance: second - first**2}
        limits = extrapolated(lambda size: size * mpmath.matrix(small_angle_step(int(size))), 100, 6)
        yield {drift: limits[0], diffusion: limits[1]}

    choose = sp.binomial(n, k)
    patterns = 2**n - n - 1
    center = sp.digamma((k - 1) / 2) - sp.digamma(k / 2)
    spread = sp.polygamma(1, (k - 1) / 2) + sp.polygamma(1, k / 2)
    return Entry(
        key="small-angles-relu",
        title="Small angles between signals in ReLU networks of finite width",
        statement=(
            eq(mean, sp.Sum(choose * center, (k, 2, n)) / patterns),
            eq(variance, sp.Sum(choose * (spread + center**2), (k, 2, n)) / patterns - mean**2),
            eq(drift, sp.Integer(-2)),
            eq(diffusion, sp.Integer(8)),
        ),
        hypotheses=(
            "Gaussian weights, ReLU, width $n$; mean and variance of the change of $\\log \\sin^2 θ$ in one layer as "
            "$θ → 0$, given that two neurons or more are open.",
            "Mean and variance are $drift/n$ and $diffusion/n$ up to terms of order $1/n^2$: angles vanish like "
            "$e^{-l/n}$ in deep networks.",
        ),
        source=(("JakubNica2023", ""), ("", "derived here")),
        steps=(
            Step(
                "One layer",
                (eq(sp.Symbol("sin2_next") / sp.Symbol("sin2"), sp.Symbol("chi2_(k-1)") / sp.Symbol("chi2_k")),),
                "Both signals open the same $k$ of $n$ neurons, each with probability 1/2. What the weights make of "
                "the difference is independent of the signal and has $k - 1$ components orthogonal to it.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="enumeration of gates with quadrature of the law of the ratio; for the limits, "
        "`theory.angles.small_angle_step` extrapolated in 1/n",
        tolerance=1e-9,
    )


def _angles() -> Entry:
    names = sp.symbols("a_1 b_0 b_1 d_0 d_1", real=True)
    shift, drift, drift_slope, diffusion, diffusion_slope = names

    @functools.cache
    def step(inverse: Any) -> tuple[Any, Any, Any]:
        """At θ = 1/inverse: change of ln sin² at infinite width, and n times what a width n adds to mean and variance.

        1 - C²/(A B) for the means A, B, C over n neurons of 2a², 2b², 2ab, a = relu(g) and b = relu(h), to second
        order in their deviations; averages over g and h in polar coordinates.
        """
        angle, half = 1 / mpmath.mpf(inverse), mpmath.pi / 2

        def average(i: int, j: int) -> Any:
            low, high = (-half if j == 0 else angle - half), (half + angle if i == 0 else half)
            turn = lambda x: mpmath.cos(x) ** i * mpmath.cos(x - angle) ** j
            radial = {2: 2, 4: 8}[i + j]
            return radial * mpmath.quad(turn, [low, (low + high) / 2, high]) / (2 * mpmath.pi)

        powers = ((2, 0), (0, 2), (1, 1))
        means = [2 * average(*power) for power in powers]
        c = means[2]
        first = mpmath.matrix([c * c, c * c, -2 * c]) / (1 - c * c)
        # second derivatives of ln(A B - C²) - ln A - ln B at A = B = 1
        r = 1 - c * c
        bent = mpmath.matrix(
            [
                [1 - 1 / r**2, 1 / r - 1 / r**2, 2 * c / r**2],
                [1 / r - 1 / r**2, 1 - 1 / r**2, 2 * c / r**2],
                [2 * c / r**2, 2 * c / r**2, -2 / r - 4 * c * c / r**2],
            ]
        )
        pairs = list(itertools.product(range(3), repeat=2))
        spread = {
            (i, j): 4 * average(*(x + y for x, y in zip(powers[i], powers[j], strict=True))) - means[i] * means[j]
            for i, j in pairs
        }
        bias = sum(bent[i, j] * spread[i, j] for i, j in pairs) / 2
        square = sum(first[i] * first[j] * spread[i, j] for i, j in pairs)
        return mpmath.log(r / mpmath.sin(angle) ** 2), bias, square

    def witnesses() -> Iterator[Witness]:
        with mpmath.workdps(30):
            limits = extrapolated(lambda size: mpmath.matrix(step(size)), 8, 7)
            slopes = extrapolated(lambda size: size * (mpmath.matrix(step(size)) - limits), 8, 7)
        yield dict(zip(names, (slopes[0], limits[1], slopes[1], limits[2], slopes[2]), strict=True))

    mean, variance = sp.symbols("E_log Var_log")
    return Entry(
        key="angle-step-relu",
        title="How a ReLU layer of finite width changes angles",
        statement=(
            eq(shift, -2 / (3 * sp.pi)),
            eq(drift, sp.Integer(-2)),
            eq(drift_slope, -8 / (15 * sp.pi)),
            eq(diffusion, sp.Integer(8)),
            eq(diffusion_slope, -64 / (15 * sp.pi)),
        ),
        hypotheses=(
            "Gaussian weights, ReLU, width $n$. The change of $\\log \\sin^2 θ$ in one layer has the mean "
            "$a_1 θ + (b_0 + b_1 θ)/n$ and the variance $(d_0 + d_1 θ)/n$, up to terms of order $θ^2$ and $1/n^2$.",
        ),
        source=(("JakubNica2023", ""), ("", "derived here")),
        steps=(
            Step(
                "Delta method",
                (
                    eq(mean, shift * theta + (drift + drift_slope * theta) / n),
                    eq(variance, (diffusion + diffusion_slope * theta) / n),
                ),
                "$\\sin^2 θ' = 1 - C^2/(A B)$ with means over the neurons of $2 a^2$, $2 b^2$ and $2 a b$, where $a$ "
                "and $b$ are the rectified pre-activations of the two signals.",
                JAKUB,
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the delta method by quadrature at 30 digits, extrapolated in θ",
        tolerance=1e-9,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (_small_angles(), _angles())
