"""Variance over samples against variance over networks, and orthogonal additive filters.

After Luther, Seung, arXiv:1902.04942, and Ceni, arXiv:2210.01245. This module loads sympy: import it inside functions
only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreePower
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.free_multiplicative_brownian import FreeMultiplicativeBrownian
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.symbolic.derivation import Step, m
from theory.activations import get_activation
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import average, extrapolated, gaussian_matrices, haar
from theory.gaussian import pair_average

__all__ = ["build"]

CENI = "Ceni 2022, arXiv:2210.01245"
rho, rho_next, total = sp.symbols("rho rho_next sigma_2", real=True)
a, b, c, s, L, chi, t = sp.symbols("a b c s L chi t", positive=True)
S = sp.Symbol("S")


def _relu_kernel(correlation: float) -> float:
    """2 E relu(h) relu(h') for standard Gaussians, by quadrature over sectors."""
    return 2 * pair_average(get_activation("relu").value, 1.0, correlation, kinks=(0.0,))


def _map() -> Entry:
    mean_2, variance = sp.symbols("m_2 v_2", positive=True)

    def witnesses() -> Iterator[Witness]:
        for correlation in (0.0, 0.3, 0.85):
            after = _relu_kernel(correlation)
            # over many samples: squared mean and variance of a neuron's pre-activation of variance 1
            yield {rho: correlation, rho_next: after, mean_2: 2.5 * after, variance: 2.5 - 2.5 * after, total: 2.5}

    return Entry(
        key="sample-correlation-map",
        title="Sample mean and sample variance of ReLU networks",
        statement=(
            eq(rho_next, (sp.sqrt(1 - rho**2) + rho * (sp.pi - sp.acos(rho))) / sp.pi),
            eq(mean_2, total * rho_next),
            eq(variance, total * (1 - rho_next)),
        ),
        hypotheses=(
            "ReLU, weights of variance $2/n$, infinite width. $ρ = m_2/σ_2$ is the correlation of "
            "two "
            "samples: $m_2$ is "
            "the squared mean over samples, $v_2$ the variance over samples, averaged over networks; $σ_2 = m_2 + v_2$ "
            "stays constant.",
        ),
        source=(("LutherSeung2019", ""), ("ChoSaul2009", "eq. 6")),
        steps=(
            Step(
                "Arc-cosine kernel",
                (
                    eq(rho, sp.cos(sp.Symbol("theta"))),
                    eq(
                        sp.Symbol("2E"),
                        (sp.sin(sp.Symbol("theta")) + (sp.pi - sp.Symbol("theta")) * sp.cos(sp.Symbol("theta")))
                        / sp.pi,
                    ),
                ),
                "Twice the average of $relu(h) relu(h')$: an integral over the sector in which both are active.",
                "Cho, Saul 2009",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature over the bivariate Gaussian",
    )


def _decay() -> Entry:
    depth, constant = sp.symbols("l C", positive=True)
    inverse = sp.Symbol("R", positive=True)

    def witnesses() -> Iterator[Witness]:
        # 1 - ρ = 2 sin²(θ/2), with θ' from 1 - cos θ' = ((π - θ)(1 - cos θ) + θ - sin θ)/π
        theta, found = math.pi / 2, {}
        for layer in range(1, 3 * 10**5 + 1):
            half = math.sin(theta / 2)
            rest = theta**3 / 6 * (1 - theta**2 / 20 * (1 - theta**2 / 42)) if theta < 0.1 else theta - math.sin(theta)
            gap = ((math.pi - theta) * 2 * half * half + rest) / math.pi
            theta = 2 * math.asin(math.sqrt(gap / 2))
            if layer in (3 * 10**4, 3 * 10**5):
                found[layer] = 1 / math.sqrt(gap)
        offsets = {
            layer: 3 * math.pi / math.sqrt(2) * value - layer - 1.5 * math.log(layer) for layer, value in found.items()
        }
        # what is left falls like log(l)/l
        (near, far) = offsets
        weights = math.log(near) / near, math.log(far) / far
        limit = (offsets[far] * weights[0] - offsets[near] * weights[1]) / (weights[0] - weights[1])
        yield {constant: limit, depth: far, inverse: found[far]}

    return Entry(
        key="sample-variance-decay",
        title="How slowly the sample variance of ReLU networks decays",
        statement=(eq(inverse, sp.sqrt(2) / (3 * sp.pi) * (depth + sp.Rational(3, 2) * sp.log(depth) + constant)),),
        hypotheses=(
            "$R = σ/v$ after $l$ layers, from uncorrelated samples: $v^2/σ^2$ falls like $9 π^2/(2 "
            "l^2)$. Up to terms of "
            "order $\\log(l)/l$.",
        ),
        source=(("LutherSeung2019", ""), ("", "derived here")),
        quoted={constant: "4.390"},
        steps=(
            Step(
                "Close to correlation 1",
                (eq(sp.Symbol("theta_next"), sp.Symbol("theta") - sp.Symbol("theta") ** 2 / (3 * sp.pi)),),
                "The map of angles to second order; its inverse grows by $1/3π$ a layer, and the next order gives the "
                "logarithm. $1 - ρ = θ^2/2$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="300000 iterations of the map in the angle",
        tolerance=1e-7,
    )


def _batch_norm() -> Entry:
    factor = sp.Symbol("factor", positive=True)

    def witnesses() -> Iterator[Witness]:
        first = average(lambda h: max(h, 0))
        second = average(lambda h: max(h, 0) ** 2)
        # the layer's variance over samples is divided out; the slopes keep 1/2 of the squares
        yield {factor: second / (second - first**2)}

    return Entry(
        key="batch-norm-gradient",
        title="Batch normalisation makes gradients of ReLU networks explode",
        statement=(eq(factor, sp.pi / (sp.pi - 1)),),
        hypotheses=(
            "Normalised pre-activations, infinite width and many samples: squared gradients grow by "
            "this factor per layer.",
        ),
        source=(("LutherSeung2019", ""),),
        steps=(
            Step(
                "Variance of a rectified Gaussian",
                (eq(sp.Symbol("Var"), sp.Rational(1, 2) - 1 / (2 * sp.pi)),),
                "Dividing by the sample variance of the next pre-activations, $w^2$ times this, multiplies squared "
                "gradients, $w^2$ times $1/2$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature",
    )


# --- orthogonal additive filters -------------------------------------------------------------------------------------


def _bounds() -> Entry:
    low, high, s_1, s_2 = sp.symbols("s_min s_max s_1 s_2", nonnegative=True)

    def witnesses() -> Iterator[Witness]:
        rng = np.random.default_rng(8)
        for gain, branch in ((0.7, 0.3), (0.4, 0.9)):
            layers = []
            for _ in range(2):
                matrix = rng.normal(size=(6, 6)) / 3
                layers.append((gain * haar(6, rng) + branch * matrix, float(np.linalg.norm(matrix, 2))))
            values = np.linalg.svd(layers[1][0] @ layers[0][0], compute_uv=False)
            yield {a: gain, b: branch, s_1: layers[0][1], s_2: layers[1][1], low: values[-1], high: values[0]}
        # sharp: branches along the filter, one way and the other
        first, second = haar(4, rng), haar(4, rng)
        for sign in (1, -1):
            jacobian = (0.7 * second + sign * 0.3 * 0.8 * second) @ (0.7 * first + sign * 0.3 * 1.5 * first)
            values = np.linalg.svd(jacobian, compute_uv=False)
            yield {a: 0.7, b: 0.3, s_1: 1.5, s_2: 0.8, low: values[-1], high: values[0]}
        # a strong branch can cancel its filter in one direction
        cancelling, plain = np.diag([-0.7 / 0.3, 3.0]), np.diag([0.5, -0.5])
        for norms, pair in (((3.0, 0.5), (plain, cancelling)), ((0.5, 3.0), (cancelling, plain))):
            values = np.linalg.svd((0.7 * np.eye(2) + 0.3 * pair[0]) @ (0.7 * np.eye(2) + 0.3 * pair[1]))[1]
            yield {a: 0.7, b: 0.3, s_1: norms[0], s_2: norms[1], low: values[-1], high: values[0]}

    return Entry(
        key="additive-filter-bounds",
        title="Bounds on singular values behind orthogonal filters",
        statement=(
            sp.Ge(low, sp.Max(0, a - b * s_1) * sp.Max(0, a - b * s_2)),
            sp.Le(high, (a + b * s_1) * (a + b * s_2)),
        ),
        hypotheses=(
            "$J_l = a O_l + b D_l W_l$ with $O_l$ orthogonal and $s_l$ the norm of $D_l W_l$; the "
            "product of two layers, and "
            "of more likewise. No independence: recurrent networks included.",
        ),
        source=(("Ceni2022", ""),),
        steps=(
            Step(
                "Weyl's inequality",
                (sp.Le(sp.Symbol("s_i") - a, b * sp.Symbol("s_l")),),
                "All singular values of $a O$ are $a$; a perturbation of norm $b s_l$ moves them by at "
                "most that. Extreme "
                "singular values of products are at most (at least) the products.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="singular values of random layers, and of layers for which the bounds are sharp",
        tolerance=1e-9,
    )


def _infinite_depth_bounds() -> Entry:
    lower, upper, low_limit, high_limit = sp.symbols("B_min B_max B_min_inf B_max_inf", positive=True)

    def witnesses() -> Iterator[Witness]:
        for strength, norm in ((0.8, 0.6), (0.5, 1.7)):
            # the extreme products over layers of equal norm
            product = lambda depth, sign: (1 - strength / depth * (1 - sign * norm)) ** depth
            for depth in (1, 3, 50):
                yield {c: strength, s: norm, L: depth, lower: product(depth, -1), upper: product(depth, 1)}
            with mpmath.workdps(30):
                limits = [extrapolated(lambda d: product(d, j), 1000, 6, 4) for j in (-1, 1)]
            yield {c: strength, s: norm, low_limit: limits[0], high_limit: limits[1]}

    return Entry(
        key="additive-filter-infinite-depth",
        title="Singular values behind orthogonal filters at any depth",
        statement=(
            sp.Le(upper, sp.exp(-c * (1 - s))),
            eq(lower, (1 - c * (1 + s) / L) ** L),
            eq(low_limit, sp.exp(-c * (1 + s))),
            eq(high_limit, sp.exp(-c * (1 - s))),
        ),
        hypotheses=(
            "$a = 1 - b$, $b = c/L$, all $s_l ≤ s$. $B_{min} ≤ σ_i ≤ B_{max}$ at depth $L > c (1 + s)$, "
            "with the limits "
            "of infinite depth. The upper limit bounds every depth; the lower one is not reached from above: at finite "
            "depth $B_{min}$ lies below it.",
        ),
        source=(("Ceni2022", ""), ("", "derived here")),
        steps=(
            Step(
                "Products of equal factors",
                (eq(upper, (1 - c * (1 - s) / L) ** L),),
                "The bounds of `additive-filter-bounds` with $a ± b s$; $(1 - x/L)^L ≤ e^{-x}$.",
                CENI,
            ),
        ),
        witnesses=witnesses,
        witnessed_by="products of extreme layers, and their extrapolation in 1/L",
    )


def _mean() -> Entry:
    mean = sp.Symbol("m_1", positive=True)

    def witnesses() -> Iterator[Witness]:
        for gain, branch, slopes in ((0.8, 0.5, (1.0, 0.3)), (0.3, 1.1, (0.6, 0.2))):
            # two layers of size 2: every gate assignment, exact averages over Gaussian weights, rotations by a quarter
            matrices, weights = gaussian_matrices(2)
            rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
            layers, masses = [], []
            for gates in itertools.product(slopes, repeat=2):
                layers.append(gain * rotation + branch * np.array(gates)[:, np.newaxis] * matrices / math.sqrt(2))
                masses.append(weights / 4)
            first, mass = np.concatenate(layers), np.concatenate(masses)
            inner = np.einsum("k,kij,kil->jl", mass, first, first)  # E J_1ᵀ J_1 of the second layer
            total_mean = np.einsum("k,kij,il,klj->", mass, first.swapaxes(1, 2), inner, first.swapaxes(1, 2)) / 2
            yield {a: gain, b: branch, chi: sum(g * g for g in slopes) / 2, L: 2, mean: float(total_mean)}

    return Entry(
        key="additive-filter-law",
        title="Law of networks with orthogonal filters",
        statement=(eq(mean, (a**2 + b**2 * chi) ** L),),
        hypotheses=(
            "$χ$ is the mean squared singular value of $D W$; independent layers. The law is that of "
            "`residual-block` with "
            "skip $a$: the filter changes eigenvalues and signals, not the form of the law of singular values.",
        ),
        source=(("Ceni2022", ""), ("", "derived here")),
        steps=(
            Step(
                "One layer",
                (eq(sp.Symbol("E_JJ"), a**2 + b**2 * chi),),
                "The cross term is linear in the weights and averages to 0; means of $J_l J_l^T$ are multiples of 1.",
                "derived here",
            ),
        ),
        law=lambda a, b, L: FreePower(
            ResidualSum(b**2 * (MarchenkoPastur(1) @ Discrete({0: Fraction(1, 2), 2: Fraction(1, 2)})), a), L
        ),
        arguments=({"a": 0.9, "b": 0.4, "L": 3},),
        witnesses=witnesses,
        witnessed_by="exact averages over Gaussian weights and gates at size 2",
    )


def _critical() -> Entry:
    def witnesses() -> Iterator[Witness]:
        with mpmath.workdps(50):
            for time, point in (("0.7", "0.4"), ("2", "1.5")):
                number, where = mpmath.mpf(time), mpmath.mpf(point)

                def exact(depth: Any, number: Any = number, where: Any = where) -> Any:
                    # ReLU gates with slopes √2, Gaussian weights: S_Y(m) = 1/(2 b² (m + 1/2))
                    branch, skip = number / depth, 1 - number / depth
                    solve = lambda y: (where - y) * (where - y + 1) - skip * y * (1 + y) / (2 * branch * (y + 0.5))
                    m0 = mpmath.findroot(solve, branch * where * (1 + where))
                    block = m0 * (1 + m0) / (2 * branch * (m0 + mpmath.mpf(1) / 2)) / (where * (1 + where))
                    return block**depth

                yield {t: number, m: where, S: extrapolated(exact, 10**5, 5, 4)}

    return Entry(
        key="additive-filter-critical",
        title="Deep critical networks with orthogonal filters",
        statement=(eq(S, sp.exp(-2 * t * m)),),
        hypotheses=("$b = \\sqrt{t/L}$, $a^2 + b^2 = 1$, $χ = 1$, $L → ∞$: free multiplicative Brownian motion.",),
        source=(("Ceni2022", ""), ("", "derived here")),
        steps=(
            Step(
                "The universal law with skip a",
                (eq((1 - t / L) ** (-L) * sp.exp(-t * (1 + 2 * m)), S),),
                "$a^{2L} → e^{-t}$ and $c → t$ in `universal-resnet-law`.",
                "Tarnowski et al. 2018",
            ),
        ),
        law=lambda t: Affine(FreeMultiplicativeBrownian(2 * t), math.exp(-t)),
        arguments=({"t": 0.7},),
        witnesses=witnesses,
        witnessed_by="exact ReLU blocks of finite depth, extrapolated in 1/L",
    )


def _log_width() -> Entry:
    spread = sp.Symbol("std_log", positive=True)

    def witnesses() -> Iterator[Witness]:
        for strength, gain in ((0.6, 1.0), (1.3, 0.4)):

            def width(depth: Any, f: float = strength, g: float = gain) -> Any:
                # relative variance of L free blocks: L times that of one, from y_1 = b² χ, y_2 = 2 y_1² · 3/2 (ReLU)
                branch, skip = mpmath.mpf(f) / depth, 1 - mpmath.mpf(f) / depth
                first = branch**2 * g
                second = 3 * first**2
                mean = skip**2 + first
                relative = (skip**4 + 4 * skip**2 * first + second) / mean**2 - 1
                return mpmath.sqrt(depth * depth * relative) / 2

            with mpmath.workdps(30):
                limit = extrapolated(width, 1000, 5, 4)
            yield {c: strength, chi: gain, L: 100, spread: limit / 10}

    return Entry(
        key="additive-filter-log-width",
        title="Width of the logarithmic spectrum behind weak orthogonal filters",
        statement=(eq(spread, c * sp.sqrt(chi / (2 * L))),),
        hypotheses=(
            "$b = c/L$, $a = 1 - b$, to leading order in $1/L$: the standard deviation of the logarithm "
            "of the singular "
            "values, half the relative one of the squares.",
        ),
        source=(("Ceni2022", ""), ("", "derived here")),
        steps=(
            Step(
                "Relative variances add",
                (eq(sp.Symbol("Var_x") / sp.Symbol("m_1") ** 2, 2 * L * b**2 * chi),),
                "A block has $b_2 = a^4 + 4 a^2 b^2 χ + O(b^4)$; a narrow law has the same relative "
                "variance and variance "
                "of the logarithm.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the exact second moments of ReLU blocks, extrapolated in 1/L",
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (_map(), _decay(), _batch_norm(), _bounds(), _infinite_depth_bounds(), _mean(), _critical(), _log_width())
