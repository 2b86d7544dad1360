"""Gradients and Hessians of networks of finite width.

After Orvieto et al., arXiv:2106.03763, with exact laws derived here.
This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.catalogue.published import Entry, Witness, eq
from theory.norm_growth import resnet_fourth_moments

__all__ = ["build"]

n, L = sp.symbols("n L", positive=True, integer=True)
p = sp.Symbol("p", real=True)


def _linear_network(seed: int, depth: int, width: int) -> tuple[list[Any], Any, Any]:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(width, width)) for _ in range(depth)]
    return weights, rng.normal(size=width), rng.normal(size=width)


def _product(weights: list[Any], width: int) -> Any:
    out = np.eye(width)
    for matrix in weights:
        out = matrix @ out
    return out


def _weight_gradient() -> Entry:
    squared, backward, forward, mean = sp.symbols("G_k b_k2 a_k2 E_logG", real=True)

    def witnesses() -> Iterator[Witness]:
        weights, signal, readout = _linear_network(2, 4, 3)
        for layer in (0, 2):
            # f is linear in every weight matrix: differences of size 1 are derivatives
            base = readout @ _product(weights, 3) @ signal
            gradient = np.empty((3, 3))
            for i, j in itertools.product(range(3), repeat=2):
                moved = [matrix.copy() for matrix in weights]
                moved[layer][i, j] += 1
                gradient[i, j] = readout @ _product(moved, 3) @ signal - base
            back = readout @ _product(weights[layer + 1 :], 3)
            front = _product(weights[:layer], 3) @ signal
            yield {squared: float(np.sum(gradient**2)), backward: float(back @ back), forward: float(front @ front)}
        for size, depth in ((1, 5), (3, 2)):
            weight = lambda u: mpmath.exp(u * size / mpmath.mpf(2) - size * mpmath.exp(u) / 2)
            cuts = [-140, -40, -10, -3, 0, 1, 2, 5]
            one = mpmath.quad(lambda u: weight(u) * u, cuts) / mpmath.quad(weight, cuts)
            yield {n: size, L: depth, mean: (depth - 1) * one}

    return Entry(
        key="weight-gradient-law",
        title="Gradients by the weights of a linear network",
        statement=(
            eq(squared, backward * forward),
            eq(mean, (L - 1) * (sp.polygamma(0, n / 2) - sp.log(n / 2))),
        ),
        hypotheses=(
            "$f = v^T W_L ⋯ W_1 x$. $G_k$ is the squared norm of the gradient by $W_k$, $a_k$ the signal before $W_k$, "
            "$b_k$ the vector behind it.",
            "Gaussian weights of variance $1/n$: $G_k/(|v|^2 |x|^2)$ is a product of $L - 1$ independent factors "
            "$χ^2_n/n$, whatever $k$; the mean of its logarithm.",
        ),
        source=(("Orvieto2021", ""), ("", "derived here")),
        steps=(
            Step(
                "Chain rule",
                (eq(sp.Symbol("df/dW_k"), sp.Symbol("b_k") * sp.Symbol("a_k^T")),),
                "A matrix of rank one; $k - 1$ factors before it and $L - k$ behind.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="differences of a random network, and quadrature over the chi-square density",
    )


def _hessian_blocks() -> Entry:
    second, back, between, front = sp.symbols("H b_i M_jp a_q", real=True)

    def witnesses() -> Iterator[Witness]:
        weights, signal, readout = _linear_network(4, 5, 3)
        low, high = 1, 3
        for i, j, r, s in ((0, 1, 2, 0), (2, 2, 1, 1)):
            values = []
            for first, other in itertools.product((0, 1), repeat=2):
                moved = [matrix.copy() for matrix in weights]
                moved[high][i, j] += first
                moved[low][r, s] += other
                values.append(readout @ _product(moved, 3) @ signal)
            yield {
                second: float(values[3] - values[2] - values[1] + values[0]),
                back: float((readout @ _product(weights[high + 1 :], 3))[i]),
                between: float(_product(weights[low + 1 : high], 3)[j, r]),
                front: float((_product(weights[:low], 3) @ signal)[s]),
            }

    return Entry(
        key="hessian-blocks",
        title="Hessian of the output of a linear network",
        statement=(eq(second, back * between * front),),
        hypotheses=(
            "$H$ is the second derivative by entry $(i, j)$ of $W_l$ and entry $(p, q)$ of $W_k$, $k < l$: with $b_l$ "
            "behind, the product $M$ of the layers between, and the signal $a_{k-1}$ before. The "
            "exponential rate is that "
            "of the gradient.",
        ),
        source=(("Orvieto2021", ""),),
        steps=(
            Step(
                "Chain rule twice",
                (
                    eq(
                        sp.Symbol("d^2f"),
                        sp.Symbol("b_l^T") * sp.Symbol("dW_l") * sp.Symbol("M") * sp.Symbol("dW_k") * sp.Symbol("a_k"),
                    ),
                ),
                "The output is linear in each layer's weights.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="second differences of a random network",
    )


def _hessian_rate() -> Entry:
    rate, skip, branch, n = sp.symbols("r alpha lambda n", positive=True)

    def witnesses() -> Iterator[Witness]:
        for width, a, b in ((10**6, Fraction(1), Fraction(1, 3)), (4 * 10**6, Fraction(3, 5), Fraction(4, 5))):
            # exact fourth moment of a block on a signal of typical kurtosis: of a log-normal variable
            # ln E x² - 2 ln E x is the variance of ln x, and ln E x - half of it the mean
            fourth, _ = resnet_fourth_moments(width, 1, skip=a, branch=b, fourth_norm=Fraction(3, width))
            mean = mpmath.mpf((a * a + b * b).numerator) / (a * a + b * b).denominator
            square = mpmath.mpf(fourth.numerator) / fourth.denominator
            value = mpmath.log(mean) - (mpmath.log(square) - 2 * mpmath.log(mean)) / 2
            # the part of order 1/n, judged by itself: the rest of the rate hides it
            yield {n: width, skip: a, branch: b, rate: (value - mpmath.log(mean)) * width}

    correction = -(5 * branch**4 + 4 * skip**2 * branch**2) / (2 * (skip**2 + branch**2) ** 2)
    return Entry(
        key="hessian-rate",
        title="Rate at which gradients and Hessians vanish with depth (ReLU, with and without skips)",
        statement=(eq(rate, correction),),
        hypotheses=(
            "Blocks $z' = α z + λ √(2/n) W relu(z)$ of width $n$. A squared block of gradient or Hessian changes "
            "typically by $\\exp(\\log(α^2 + λ^2) + r/n)$ a layer, an eigenvalue of the Hessian by the root of it, to "
            "first order in $1/n$. $r = -5/2$ without a skip; $λ^2 = 1/L$ beside $α = 1$ keeps the sum over the layers "
            "of order $1/n$.",
        ),
        source=(("LiNicaRoy2021", ""), ("Orvieto2021", ""), ("", "derived here")),
        steps=(
            Step(
                "Mean of a log-normal variable",
                (eq(sp.Symbol("E ln x"), sp.Symbol("ln E x") - sp.Symbol("Var ln x") / 2),),
                "The blocks are independent products over L - 1 and L - 2 layers, each near 1.",
                "Li, Nica, Roy 2021, arXiv:2106.04013",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="exact fourth moments of a block at a large finite width",
        tolerance=3e-5,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _weight_gradient(),
        _hessian_blocks(),
        _hessian_rate(),
    )
