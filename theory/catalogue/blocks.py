"""Residual networks at finite depth: signal propagation, one block, gated layers, the outlier.

After Tarnowski et al., arXiv:1809.08848, with the law of a block derived here.
This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

import rmt
from rmt.algebra.free_power import FreePower
from rmt.algebra.gated import GatedLayer
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.symbolic.derivation import Step, m
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import average, extrapolated, free_product, gaussian_matrices, outcomes
from theory.network import Activation, Dense, Gate, Layer, Repeat, Residual, ResNet, Scale, Sequential
from theory.phases import stable_resnet
from theory.propagation import propagate

__all__ = ["build"]

TARNOWSKI = "Tarnowski et al. 2018, arXiv:1809.08848"
a, x, q, sigma, sigma_b, L = sp.symbols("a x q sigma_w sigma_b L", positive=True)
k = sp.Symbol("k", positive=True, integer=True)
S, variance = sp.symbols("S Var")


def _propagation() -> Entry:
    old, old_mean, new, new_mean, square, mean = sp.symbols("X mu X_next mu_next phi_2 phi_1", real=True)

    def witnesses() -> Iterator[Witness]:
        relu = lambda y: max(y, 0)
        for skip, depth, signal, weights, bias in ((0.8, 5, (0.3, 1.9), 1.4, 0.3), (1.0, 2, (-1.0, 2.0), 0.7, 0.0)):
            # two equally likely components of x, as many samples of h as quadrature takes
            before = sum(y * y for y in signal) / 2
            width = mpmath.mpf(weights) ** 2 * before / depth + mpmath.mpf(bias) ** 2
            after = [sum(average(lambda h: (relu(h) + skip * y) ** j, width) for y in signal) / 2 for j in (1, 2)]
            # the weights' second moment is enumerated: h of one neuron from n inputs, signs times sigma_w/sqrt(n L)
            scale = weights / math.sqrt(2 * depth)
            spread = sum(
                float(mass) * (scale * (s[0] * signal[0] + s[1] * signal[1]) + s[2] * bias) ** 2
                for s, mass in outcomes({-1: Fraction(1, 2), 1: Fraction(1, 2)}, 3)
            )
            yield {
                a: skip,
                L: depth,
                sigma: weights,
                sigma_b: bias,
                old: before,
                old_mean: sum(signal) / 2,
                q: spread,
                new: after[1],
                new_mean: after[0],
                square: average(lambda h: relu(h) ** 2, width),
                mean: average(relu, width),
            }

    return Entry(
        key="resnet-propagation",
        title="Signal propagation in residual networks",
        statement=(
            eq(q, sigma_b**2 + sigma**2 * old / L),
            eq(new, square + 2 * a * old_mean * mean + a**2 * old),
            eq(new_mean, mean + a * old_mean),
        ),
        hypotheses=(
            "Infinite width. $X$ and $μ$ are the mean square and the mean of the signal before the block, "
            "$φ_2$ and $φ_1$ those of $φ(h)$, $h$ of law N(0, q).",
        ),
        source=(("Tarnowski2018", "eqs. 20-23"), ("YangSchoenholz2017", "")),
        steps=(
            Step(
                "One block",
                (eq(sp.Symbol("x_next"), sp.Function("phi")(sp.Symbol("h")) + a * x),),
                "$h$ and $x$ of one neuron are independent at infinite width: the cross term is a product of means.",
                TARNOWSKI,
            ),
        ),
        network=lambda depth, sigma_w, skip: ResNet(depth, "relu", sigma_w=sigma_w, skip=skip),
        witnesses=witnesses,
        witnessed_by="quadrature over the neuron's outputs, and enumeration of random signs for the weights",
        tolerance=1e-9,
    )


def _block() -> Entry:
    m0, t, strength = sp.symbols("m_0 t s")

    def witnesses() -> Iterator[Witness]:
        for skip, s in ((1.0, 0.7), (0.6, 2.5)):
            branch = MarchenkoPastur(1) @ Discrete({0: 0.5, s: 0.5})
            # the free sum of the symmetrised singular laws, solved by its own subordination
            both = Discrete({-skip: 0.5, skip: 0.5}) + branch.sqrt().symmetrized()
            for point in (1.1 + 0.8j, 2.6 + 0.3j):
                cauchy = both.cauchy(point)
                first = (1 + cmath.sqrt(1 + 4 * skip**2 * cauchy**2)) / (2 * cauchy)
                if abs(first - point) > abs((1 - cmath.sqrt(1 + 4 * skip**2 * cauchy**2)) / (2 * cauchy) - point):
                    raise ArithmeticError("the other root of the discrete summand: choose points farther out")
                moment = point * cauchy - 1
                yield {
                    a: skip,
                    strength: s,
                    m: moment,
                    m0: (point + 1 / cauchy - first) * cauchy - 1,
                    t: cauchy**2,
                    S: (1 + moment) / (moment * point**2),
                }

    return Entry(
        key="residual-block",
        title="S-transform of a residual block",
        statement=(
            eq(t, m0 * (1 + m0) / (strength * (m0 + sp.Rational(1, 2)))),
            eq(m, m0 + (sp.sqrt(1 + 4 * a**2 * t) - 1) / 2),
            eq(S, t / (m * (1 + m))),
        ),
        hypotheses=(
            "$J = a O + D W$ with $O$ Haar, or the identity for a single block; $D W$ is bi-invariant.",
            "Here ReLU gates and Gaussian weights of variance $s/N$: $S_Y(m) = 1/(s (m + 1/2))$; in general "
            "$t = m_0 (1 + m_0) S_Y(m_0)$.",
        ),
        source=(("", "derived here"), ("NicaSpeicher2006", "lecture 15")),
        steps=(
            Step(
                "Free sum of symmetrised singular laws",
                (eq(sp.Function("mu_J")(x), sp.Symbol("mu_a") + sp.Symbol("mu_Y")),),
                "$a O$ and $Y$ are R-diagonal and free: $(δ_a + δ_{-a})/2$ and the symmetrised law of $Y$ add freely.",
                "Nica, Speicher 2006, lecture 15",
            ),
            Step(
                "Subordination",
                (eq((m - m0) * (m - m0 + 1), a**2 * t),),
                "$t$ is the square of the Cauchy transform, common to the sum and its terms; $m - m_0$ comes from the "
                "two atoms.",
                "Belinschi, Bercovici 2007",
            ),
        ),
        derivation_of=lambda: rmt.derive(
            ResidualSum(
                sp.Symbol("s", positive=True) * (MarchenkoPastur(1) @ Discrete({0: Fraction(1, 2), 1: Fraction(1, 2)})),
                a,
            )
        ),
        law=lambda skip, s: ResidualSum(MarchenkoPastur(1) @ Discrete({0: Fraction(1, 2), s: Fraction(1, 2)}), skip),
        arguments=({"skip": 1.0, "s": 0.7},),
        witnesses=witnesses,
        witnessed_by="subordination of the free sum of symmetrised singular laws",
        tolerance=1e-9,
    )


def _three_blocks() -> Entry:
    names = {weights: sp.symbols(f"m_1_{weights} m_2_{weights} m_3_{weights}") for weights in ("gaussian", "haar")}

    def witnesses() -> Iterator[Witness]:
        half, s = Fraction(1, 2), Fraction(7, 10)
        gaussian = GatedLayer({(1, 0): half, (1, 1): half}, s).moments(3)
        # Haar weights: moments of (1 + Y)(1 + Y)ᵀ for R-diagonal Y with determining cumulants of its own
        haar = ResidualSum(Discrete({0: half, s: half}), 1).moments(3)
        yield dict(zip(names["gaussian"], free_product(gaussian, gaussian, gaussian), strict=True)) | dict(
            zip(names["haar"], free_product(haar, haar, haar), strict=True)
        )

    relations = []
    for weights, slope in (("gaussian", -1), ("haar", 0)):
        b1 = 1 + sp.Rational(7, 20)
        relations.append(eq(names[weights][0], b1**3))
        second = _block_second_moment(slope)
        relations.append(eq(names[weights][1], b1**6 * (1 + 3 * (second / b1**2 - 1))))
    return Entry(
        key="three-relu-blocks",
        title="Moments of three ReLU residual blocks",
        statement=tuple(relations),
        hypotheses=("$L = 3$ blocks $1 + D W$, ReLU gates, $σ_w^2 = 0.7$ in each block, free of each other.",),
        source=(("", "derived here"),),
        quoted={names["gaussian"][2]: "136.899419", names["haar"][2]: "109.363305"},
        steps=(
            Step(
                "Relative variances add",
                (eq(variance / sp.Symbol("m_1") ** 2, 3 * (sp.Symbol("b_2") / sp.Symbol("b_1") ** 2 - 1)),),
                "From the first two terms of $\\log S$; $b_k$ are the moments of a block.",
                "derived here",
            ),
            Step(
                "One block",
                (eq(sp.Symbol("b_2"), 1 + 4 * sp.Symbol("y_1") + sp.Symbol("y_2")),),
                "$y_k$ are the moments of the branch, $y_1 = 0.35$ and $y_2 = 0.49/2$ or, for Gaussian weights, "
                "$0.49 · 3/4$.",
                "derived here",
            ),
        ),
        law=lambda s: FreePower(
            ResidualSum(MarchenkoPastur(1) @ Discrete({0: Fraction(1, 2), s: Fraction(1, 2)}), 1), 3
        ),
        arguments=({"s": 0.7},),
        witnesses=witnesses,
        witnessed_by="free cumulants of words, from the moments of one block by the gated-layer fixed point",
    )


def _block_second_moment(slope: int) -> Any:
    """1 + 4 y_1 + y_2 with y_1 = s/2, y_2 = s² (1/2 - slope/4), s = 7/10."""
    s = sp.Rational(7, 10)
    return 1 + 2 * s + s**2 * (sp.Rational(1, 2) - sp.Rational(slope, 4))


def _gated() -> Entry:
    skip_2, skip_4, gate_2, gate_4, mixed, s, m_1, m_2 = sp.symbols("d_2 d_4 e_2 e_4 c_22 s m_1 m_2", positive=True)

    def witnesses() -> Iterator[Witness]:
        law = {(0.4, 1.3): 0.25, (1.5, 0.6): 0.75}
        strength = 0.7
        found = []
        for n in (1, 2, 3):
            matrices, weights = gaussian_matrices(n)
            total = np.zeros(2)
            for gates, mass in outcomes(law, n):
                first, second = np.array(gates).T
                jacobians = np.diag(first) + second[:, np.newaxis] * matrices * math.sqrt(strength / n)
                gram = jacobians @ jacobians.swapaxes(1, 2)
                traces = [np.trace(gram, axis1=1, axis2=2), np.sum(gram * gram, axis=(1, 2))]
                total += float(mass) * np.array([weights @ trace / n for trace in traces])
            found.append(total)
        # quadratic in 1/n: the value at 1/n = 0 from n = 1, 2, 3
        limit = (found[0] - 8 * found[1] + 9 * found[2]) / 2
        mean = lambda j, i: sum(w * d**j * e**i for (d, e), w in law.items())
        yield {
            skip_2: mean(2, 0),
            skip_4: mean(4, 0),
            gate_2: mean(0, 2),
            gate_4: mean(0, 4),
            mixed: mean(2, 2),
            s: strength,
            m_1: float(limit[0]),
            m_2: float(limit[1]),
        }

    return Entry(
        key="gated-layer-moments",
        title="Moments of a gated layer",
        statement=(
            eq(m_1, skip_2 + s * gate_2),
            eq(m_2, skip_4 + 2 * s * (mixed + skip_2 * gate_2) + s**2 * (gate_2**2 + gate_4)),
        ),
        hypotheses=(
            "$J = D_1 + D_2 W$, $W$ Gaussian of variance $s/N$; $D_1$, $D_2$ diagonal with any "
            "joint "
            "law, $N$ infinite.",
            "$d_k$, $e_k$ are the means of $D_1^k$, $D_2^k$, and $c_{22}$ that of $D_1^2 D_2^2$.",
        ),
        source=(("", "derived here"), ("ChenPenningtonSchoenholz2018", "")),
        steps=(
            Step(
                "Wick's theorem over the diagonal",
                (
                    eq(sp.Symbol("E"), sp.Symbol("D_1^4") + 2 * s * (sp.Symbol("D_1^2D_2^2") + skip_2 * gate_2)),
                    eq(sp.Symbol("E_4"), s**2 * (gate_2**2 + gate_4)),
                ),
                "Planar pairings of the weights in the trace of $(J J^T)^2$: with two weights and with four.",
                "derived here",
            ),
        ),
        law=lambda s: GatedLayer({(0.4, 1.3): 0.25, (1.5, 0.6): 0.75}, s),
        arguments=({"s": 0.7},),
        witnesses=witnesses,
        witnessed_by="exact averages over matrices of size 1, 2, 3, extrapolated in 1/N",
    )


def _gate() -> Entry:
    old, old_mean, new, new_mean, chi, s = sp.symbols("X mu X_next mu_next chi s", real=True)
    u_1, u_2, k_1, k_2, mixed = sp.symbols("u_1 u_2 k_1 k_2 c", real=True)
    slope_2, rest, rest_2 = sp.symbols("v_2 e f_2", real=True)

    def witnesses() -> Iterator[Witness]:
        logistic = lambda h: 1 / (1 + mpmath.exp(-h))
        for signal, width, strength, shift in (((0.3, 1.9), 1.3, 0.8, 0.5), ((-1.0, 2.0), 0.4, 1.7, -1.0)):
            u = lambda h, shift=shift: logistic(h + shift)
            kept = lambda h, u=u: (1 - u(h)) * mpmath.tanh(h)
            output = lambda h, y, u=u: u(h) * y + (1 - u(h)) * mpmath.tanh(h)
            du = lambda h, u=u: u(h) * (1 - u(h))
            fixed = lambda h, u=u, du=du: (1 - u(h)) / mpmath.cosh(h) ** 2 - du(h) * mpmath.tanh(h)
            square = lambda h, y, output=output: output(h, y) ** 2
            # the slope by h as a difference of outputs
            norm = lambda h, y, u=u, s=strength, f=output: u(h) ** 2 + s * mpmath.diff(lambda p: f(p, y), h) ** 2
            # two equally likely components of x
            both = [sum(average(functools.partial(f, y=y), width) for y in signal) / 2 for f in (square, output, norm)]
            yield {
                old: sum(y * y for y in signal) / 2,
                old_mean: sum(signal) / 2,
                s: strength,
                new: both[0],
                new_mean: both[1],
                chi: both[2],
                u_1: average(u, width),
                u_2: average(lambda h: u(h) ** 2, width),
                k_1: average(kept, width),
                k_2: average(lambda h: kept(h) ** 2, width),
                mixed: average(lambda h: u(h) * kept(h), width),
                slope_2: average(lambda h: du(h) ** 2, width),
                rest: average(lambda h: du(h) * fixed(h), width),
                rest_2: average(lambda h: fixed(h) ** 2, width),
            }

    return Entry(
        key="gate-layer",
        title="Signal and gain of a gated layer",
        statement=(
            eq(new, u_2 * old + 2 * mixed * old_mean + k_2),
            eq(new_mean, u_1 * old_mean + k_1),
            eq(chi, u_2 + s * (slope_2 * old + 2 * rest * old_mean + rest_2)),
        ),
        hypotheses=(
            "$u x + (1-u) φ(h)$, $u$ a function of $h = W x + b$, the entries of $W$ of variance $s$ over the width, "
            "infinite width; $X$ and $μ$ are the mean square and the mean of $x$, $χ$ is the mean square of the "
            "singular values of the Jacobian.",
            "$u_k$, $k_k$, $c$ are the means of $u^k$, $((1-u) φ)^k$ and $u (1-u) φ$; $v_2$, $e$, $f_2$ those of "
            "$u'^2$, $u' f$ and $f^2$ with $f = (1-u) φ' - u' φ$.",
        ),
        source=(("", "derived here"), ("ChenPenningtonSchoenholz2018", "")),
        steps=(
            Step(
                "One row of the Jacobian",
                (
                    eq(
                        sp.Symbol("J_ij"),
                        sp.Symbol("u") * sp.Symbol("delta_ij")
                        + (sp.Symbol("uprime") * x + sp.Symbol("f")) * sp.Symbol("W_ij"),
                    ),
                ),
                "The gate depends on $h$ too. $x_i$ is one of many inputs of $h_i$, and independent of it.",
                "derived here",
            ),
        ),
        network=lambda sigma_w: Gate("tanh", sigma_w=sigma_w),
        witnesses=witnesses,
        witnessed_by="quadrature of the output and its numerical derivative, for components of two sizes",
        tolerance=1e-9,
    )


def _outlier() -> Entry:
    top, output, squared_input, along = sp.symbols("x_top f_2 x_2 Jx_2", positive=True)

    def witnesses() -> Iterator[Witness]:
        rng = np.random.default_rng(3)
        for n, depth, skip in ((30, 6, 1.0), (1, 2, 0.7)):
            signal = start = np.abs(rng.normal(size=n))
            jacobian = np.eye(n)
            for _ in range(depth):
                weights = np.abs(rng.normal(size=(n, n))) if n == 1 else rng.normal(size=(n, n)) / np.sqrt(n * depth)
                pre = weights @ signal
                jacobian = ((pre > 0)[:, np.newaxis] * weights + skip * np.eye(n)) @ jacobian
                signal = np.maximum(pre, 0) + skip * signal
            yield {
                top: float(np.linalg.svd(jacobian, compute_uv=False)[0] ** 2),
                output: float(signal @ signal),
                squared_input: float(start @ start),
                along: float(np.sum((jacobian @ start) ** 2)),
            }

    return Entry(
        key="relu-resnet-outlier",
        title="The largest eigenvalue of a ReLU residual network without biases",
        statement=(eq(along, output), sp.Ge(top, output / squared_input)),
        hypotheses=(
            "ReLU or another homogeneous activation, no biases: $f(t x) = t f(x)$ for $t > 0$.",
            "$f_2$, $x_2$ and $J x_2$ are the squared norms of $f(x)$, $x$ and $J x$; any width and weights.",
        ),
        source=(("", "derived here"),),
        steps=(
            Step(
                "Euler's identity",
                (eq(sp.Symbol("J") * x, sp.Function("f")(x)),),
                "The derivative of $f(t x) = t f(x)$ at $t = 1$. No bulk edge may be quoted as the spectral norm.",
                "derived here",
            ),
        ),
        network=lambda depth, sigma_w: ResNet(depth, "relu", sigma_w=sigma_w),
        witnesses=witnesses,
        witnessed_by="forward passes and Jacobians of random networks, one of width 1, where the bound is sharp",
    )


def _growth() -> Entry:
    rate, along = sp.symbols("rho kappa", positive=True)

    def witnesses() -> Iterator[Witness]:
        for strength, layers in ((0.4, 300), (1.0, 120), (2.5, 60)):
            block = Residual([Dense(strength), Activation("relu")])
            table = propagate(Repeat(block, layers), q0=0.7)
            yield {sigma: strength, rate: table.second_moment[-1] / table.second_moment[-2]}

    return Entry(
        key="residual-growth-relu",
        title="Growth of the signal in ReLU residual networks whose branches are not scaled down",
        statement=(eq((rate - 1 - sigma**2 / 2) * (sp.sqrt(rate) - 1), sigma**2 / sp.pi),),
        hypotheses=(
            "Blocks $x + relu(W x)$, weights of variance $σ_w^2/N$, no biases; infinite width, then $l → ∞$.",
            "The mean square of the signal grows by the factor $ρ$ a layer, that of gradients by $1 + σ_w^2/2$.",
        ),
        source=(("YangSchoenholz2017", ""), ("", "derived here")),
        steps=(
            Step(
                "Mean and mean square grow together",
                (
                    eq(along * (sp.sqrt(rate) - 1), sigma / sp.sqrt(2 * sp.pi)),
                    eq(rate, 1 + 2 * along * sigma / sp.sqrt(2 * sp.pi) + sigma**2 / 2),
                ),
                "$μ/√X$ tends to $κ$, as $μ' = μ + √(q/2π)$ and $X' = X + 2 μ √(q/2π) + q/2$ with $q = σ_w^2 X$.",
                "derived here",
            ),
        ),
        network=lambda sigma_w: Repeat(Residual([Dense(sigma_w), Activation("relu")]), 1),
        witnesses=witnesses,
        witnessed_by="signal propagation through up to 300 layers",
    )


def _stable() -> Entry:
    decreasing, uniform, rate = sp.symbols("growth growth_uniform rate", positive=True)
    l = sp.Symbol("l", positive=True, integer=True)

    def after(scales: Iterable[float], strength: float, order: int = 1) -> Any:
        inner: list[Layer] = [Activation("relu"), Dense(strength)]
        branches = [[*inner[::order], Scale(scale)] for scale in scales]
        return propagate(Sequential([Dense(1.0), *(Residual(branch) for branch in branches)]))

    def of_signal(strength: float, depth: Any) -> float:
        return float(after([float(depth) ** -0.5] * int(depth), strength).second_moment[-1])

    def of_gradients(strength: float, depth: Any) -> float:
        return float(np.prod(after([float(depth) ** -0.5] * int(depth), strength, -1).chi[1:]))

    def coherent(root: Any, strength: float) -> float:
        """Logarithm of X, over √L, of x + relu(W x)/√L behind L = root² blocks, with mean over deviation."""
        scale = strength / float(root)
        ratio = total = 0.0
        for _ in range(round(root) ** 2):
            growth = 1 + 2 * ratio * scale / math.sqrt(2 * math.pi) + scale**2 / 2
            ratio = (ratio + scale / math.sqrt(2 * math.pi)) / math.sqrt(growth)
            total += math.log(growth)
        return total / float(root)

    def witnesses() -> Iterator[Witness]:
        for strength, depth in ((1.2, 9), (0.7, 40)):
            table = after((1 / (math.sqrt(j) * math.log(j + 1)) for j in range(1, depth + 1)), strength)
            for found in (table.second_moment[-1] / table.second_moment[0], float(np.prod(table.chi[1:]))):
                yield {sigma: strength, L: depth, decreasing: found}
            signal = extrapolated(functools.partial(of_signal, strength), 8, 6)
            behind = extrapolated(functools.partial(of_gradients, strength), 8, 6)
            yield from ({sigma: strength, uniform: limit} for limit in (signal, behind))
        yield {sigma: 1.5, rate: extrapolated(lambda n: coherent(n, 1.5), 30, 5)}

    return Entry(
        key="stable-resnet",
        title="Residual networks whose branches are scaled down",
        statement=(
            eq(decreasing, sp.exp(sp.Sum(sp.log(1 + sigma**2 / (2 * l * sp.log(l + 1) ** 2)), (l, 1, L)))),
            eq(uniform, sp.exp(sigma**2 / 2)),
            eq(rate, sigma * sp.sqrt(2 / sp.pi)),
        ),
        hypotheses=(
            "ReLU, weights of variance $σ_w^2/N$, no biases, infinite width. In blocks $x + λ_l W relu(x)$ the mean "
            "squares of the signal and of gradients grow by the same factor: for $λ_l = 1/(√l \\log(l+1))$ as stated "
            "after $L$ blocks, and bounded in $L$; for $λ_l = 1/√L$ it tends to $growth_{uniform}$.",
            "In blocks $x + relu(W x)/√L$ gradients do the same, but the means of ReLU add up: $\\log(X_L)/√L$ tends "
            "to $rate$.",
        ),
        source=(("Hayou2021", ""), ("", "derived here")),
        steps=(
            Step(
                "One block",
                (eq(sp.Symbol("X_next"), sp.Symbol("X") * (1 + sp.Symbol("lambda_l") ** 2 * sigma**2 / 2)),),
                "$W relu(x)$ has no mean and is independent of $x$; half of the squares pass ReLU. Since the $λ_l^2$ "
                "have a finite sum, so has the logarithm.",
                "Hayou et al. 2021, arXiv:2010.12859",
            ),
            Step(
                "ReLU behind the weights",
                (
                    eq(
                        sp.Symbol("X_next"),
                        sp.Symbol("X") * (1 + 2 * sp.Symbol("kappa") * sigma / sp.sqrt(2 * sp.pi * L)),
                    ),
                ),
                "As in `residual-growth-relu`, with $σ_w/√L$: $κ = μ/√X$ tends to 1.",
                "derived here",
            ),
        ),
        network=lambda depth, sigma_w: stable_resnet(depth, "relu", sigma_w),
        witnesses=witnesses,
        witnessed_by="signal propagation, and the recursion of mean and mean square, extrapolated in the depth",
        tolerance=1e-8,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _propagation(),
        _block(),
        _three_blocks(),
        _gated(),
        _gate(),
        _outlier(),
        _growth(),
        _stable(),
    )
