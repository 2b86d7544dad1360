"""Residual networks: the universal law of infinite depth, its corrections, signal propagation, one block.

After Tarnowski, Warchoł, Jastrzębski, Tabor, Nowak, arXiv:1809.08848. This module loads sympy: import it inside
functions only.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

import rmt
from rmt import series
from rmt.algebra.free_power import FreePower
from rmt.algebra.gated import GatedLayer
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic.derivation import Derivation, G, Step, m, z
from theory.catalogue.published import Entry, Witness, eq, symbols
from theory.catalogue.witnesses import average, extrapolated, free_product, gaussian_matrices, outcomes
from theory.derivation import derive
from theory.network import ResNet

__all__ = ["build"]

TARNOWSKI = "Tarnowski et al. 2018, arXiv:1809.08848"
a, c, v, x, q, sigma, sigma_b, L = symbols("a c v x q sigma_w sigma_b L", positive=True)
k = sp.Symbol("k", positive=True, integer=True)
S, variance = symbols("S Var")
_LIMIT = (
    "Infinite width, then $L → ∞$ with $c = \\sigma_w^2 \\langle φ'^2 \\rangle$ fixed, averaged over the layers.",
    "Weights of variance $\\sigma_w^2/(N L)$, Gaussian or orthogonal; the law is that of the bulk.",
)


def _universal() -> Derivation:
    return derive(ResNet(depth=L, activation="tanh", sigma_w=sigma, skip=a))


def _universal_of_skip_one() -> Derivation:
    return derive(ResNet(depth=L, activation="tanh", sigma_w=sigma))


def _law() -> Entry:
    def witnesses() -> Iterator[Witness]:
        # G far out as a Laurent series in Biane's moments
        for skip, gain, depth in ((1, Fraction(1, 2), 1), (Fraction(9, 10), Fraction(1, 5), 4)):
            ratio = gain / skip**2
            scale = skip ** (2 * depth)
            moments = [math.exp(ratio * j) * scale**j * float(_brownian_moment(j, ratio)) for j in range(1, 60)]
            for point in (40 + 9j, -30 + 2j):
                cauchy = sum(mu * point ** (-j - 1) for j, mu in enumerate([1.0, *moments]))
                psi = point * cauchy - 1
                yield {
                    a: skip,
                    c: gain,
                    L: depth,
                    z: point,
                    G: cauchy,
                    m: psi,
                    S: (1 + psi) / (psi * point),
                }

    return Entry(
        key="universal-resnet-law",
        title="The universal law of deep residual networks",
        statement=(
            eq(a ** (2 * L) * G, (z * G - 1) * sp.exp(c / a**2 * (1 - 2 * z * G))),
            eq(S, a ** (-2 * L) * sp.exp(-c / a**2 * (1 + 2 * m))),
        ),
        hypotheses=_LIMIT,
        source=(("Tarnowski2018", "eq. 16"), ("Biane1997", "section 4")),
        derivation_of=_universal,
        law=lambda c, skip, depth: UniversalResNet(c, skip, depth),
        network=lambda depth, sigma_w, skip: ResNet(depth, "tanh", sigma_w=sigma_w, skip=skip),
        arguments=({"c": 0.4, "skip": 1, "depth": 1}, {"c": 1.7, "skip": 0.9, "depth": 3}),
        witnesses=witnesses,
        witnessed_by="the Laurent series of G in the moments of free multiplicative Brownian motion",
    )


def _brownian_moment(order: int, ratio: Any) -> Any:
    """m_k e^{-ck} of free multiplicative Brownian motion at time 2c, as Biane's sum."""
    rest = (
        Fraction(math.comb(order, j + 1) * order ** (j - 1) * 2**j, math.factorial(j)) * ratio**j
        for j in range(1, order)
    )
    return 1 + sum(rest, Fraction(0))


def _moments() -> Entry:
    moment = sp.Symbol("m_k")

    def witnesses() -> Iterator[Witness]:
        order = 5
        exponential = series.exp([sp.Integer(0), -2 * c, *([sp.Integer(0)] * (order - 2))])
        found = [sp.exp(c * j) * value for j, value in enumerate(series.s_series_to_moments(exponential), 1)]
        for j, value in enumerate(found, 1):
            yield {k: j, c: c, moment: sp.expand(value)}
        yield {c: c, variance: sp.expand(found[1] - found[0] ** 2)}

    return Entry(
        key="universal-resnet-moments",
        title="Moments of the universal law",
        statement=(
            eq(moment, sp.exp(c * k) / k * sp.assoc_brownian_moment(k - 1, 1, -2 * c * k)),
            eq(variance, 2 * c * sp.exp(2 * c)),
        ),
        hypotheses=(*_LIMIT, "$a = 1$."),
        source=(("Biane1997", "section 4"), ("Tarnowski2018", "section 3")),
        derivation_of=_universal_of_skip_one,
        law=lambda c: UniversalResNet(c),
        arguments=({"c": 0.4},),
        steps=(
            Step(
                "Lagrange inversion",
                (eq(moment, sp.Symbol("[m^(k-1)]") * sp.exp(c * k * (1 + 2 * m)) * (1 + m) ** k / k),),
                "The generating function of Laguerre polynomials.",
                "Nica, Speicher 2006, lecture 18",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="exact power series of S, 5 moments in the symbol c",
        tolerance=0,
    )


def _edges() -> Entry:
    low, high = symbols("x_min x_max", positive=True)

    def witnesses() -> Iterator[Witness]:
        for value in ("0.25", "3"):
            with mpmath.workdps(25):
                gain = mpmath.mpf(value)
                place = lambda y: (1 + y) / y * mpmath.exp(gain * (1 + 2 * y))
                slope = lambda y: mpmath.diff(lambda u: mpmath.log(abs(place(u))), y)
                outer = mpmath.findroot(slope, (0.05, 1.5), solver="anderson")
                inner = mpmath.findroot(slope, (-2.5, -1.05), solver="anderson")
                yield {c: gain, low: place(inner), high: place(outer)}

    root = sp.sqrt(c * (c + 2))
    return Entry(
        key="universal-resnet-edges",
        title="Edges of the universal law",
        statement=(
            eq(low, (1 + c - root) * sp.exp(-root)),
            eq(high, (1 + c + root) * sp.exp(root)),
            eq(low * high, sp.Integer(1)),
        ),
        hypotheses=(*_LIMIT, "$a = 1$."),
        source=(("Tarnowski2018", "eq. 18"),),
        derivation_of=_universal_of_skip_one,
        law=lambda c: UniversalResNet(c),
        arguments=({"c": 1.2},),
        witnesses=witnesses,
        witnessed_by="numeric critical points of z(m)",
        tolerance=1e-9,
    )


def _inversion() -> Entry:
    density, mirrored = symbols("rho rho_inv", positive=True)

    def witnesses() -> Iterator[Witness]:
        for gain, point in ((0.3, 1.7), (2.0, 9.0)):
            law = UniversalResNet(gain)
            values = law.pdf(np.array([point, 1 / point]), method="subordination")
            yield {x: point, density: float(values[0]), mirrored: float(values[1])}

    return Entry(
        key="universal-resnet-inversion",
        title="The universal law is its own inverse",
        statement=(eq(mirrored, x**2 * density),),
        hypotheses=(*_LIMIT, "$a = 1$; $ρ_{inv}$ is the density at $1/x$: $x$ and $1/x$ have the same law."),
        source=(("Tarnowski2018", "section 3"),),
        derivation_of=_universal_of_skip_one,
        law=lambda c: UniversalResNet(c),
        arguments=({"c": 0.6},),
        steps=(
            Step(
                "The inverse variable",
                (eq(sp.exp(-c * (1 + 2 * m)) * sp.exp(-c * (1 + 2 * (-1 - m))), sp.Integer(1)),),
                "$1/x$ has the S-transform $1/S(-1-m)$, which is $S(m)$ here.",
                "Haagerup, Schultz 2007",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the density at both points by continuation from infinity",
        tolerance=1e-9,
    )


def _density() -> Entry:
    t, u, density = symbols("t u rho", real=True)

    def witnesses() -> Iterator[Witness]:
        for gain, point in ((0.25, 0.6), (0.25, 3.0), (1.5, 12.0)):
            law = UniversalResNet(gain)
            cauchy = law.cauchy(point, method="subordination")
            psi = point * cauchy - 1
            yield {c: gain, x: point, u: psi.real, t: -psi.imag, density: law.pdf(point, method="subordination")}

    modulus = sp.sqrt(((1 + u) ** 2 + t**2) / (u**2 + t**2))
    return Entry(
        key="universal-resnet-density",
        title="Density of the universal law without root finding",
        statement=(
            eq((u + sp.Rational(1, 2)) ** 2, sp.Rational(1, 4) - t**2 + t * sp.cot(2 * c * t)),
            eq(x, modulus * sp.exp(c * (1 + 2 * u))),
            eq(density, t / (sp.pi * x)),
        ),
        hypotheses=(*_LIMIT, "$a = 1$; $0 < t < t_{max}$, where the right side of the first equation vanishes."),
        source=(("", "derived here"),),
        derivation_of=_universal_of_skip_one,
        law=lambda c: UniversalResNet(c),
        arguments=({"c": 0.25},),
        steps=(
            Step(
                "Real and imaginary part",
                (eq(m, u - sp.I * t), eq(sp.log(z), sp.log(1 + m) - sp.log(m) + c * (1 + 2 * m))),
                "$z$ is real on the support: the argument of $(1+m)/m$ is $2 c t$, its modulus gives $x$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the Cauchy transform by continuation from infinity",
        tolerance=1e-9,
    )


def _first_correction() -> Entry:
    bend = sp.Symbol("B")

    def exact(depth: Any, gains: Any, point: Any) -> Any:
        """L (log S + c (1+2m)) of L equal blocks with two gains, each with probability 1/2, at m = point."""
        strengths = [g / depth for g in gains]
        gain = sum(gains) / 2

        def mismatch(w: Any) -> Any:
            m0 = sum(g / (w - g) for g in strengths) / 2
            return (point - m0) * (point - m0 + 1) - (1 + m0) / w

        w = mpmath.findroot(mismatch, 1 / (point * (1 + point)))
        t = (1 + sum(g / (w - g) for g in strengths) / 2) / w
        return depth * (depth * mpmath.log(t / (point * (1 + point))) + gain * (1 + 2 * point))

    def witnesses() -> Iterator[Witness]:
        with mpmath.workdps(50):
            for gains, point in (((0.4, 1.2), 0.3), ((1.5, 1.5), 0.7), ((0, 1), -1.6)):
                numbers = [mpmath.mpf(str(g)) for g in gains]
                where = mpmath.mpf(str(point))
                limit = extrapolated(lambda n: exact(n, numbers, where), 10**6, 3, 10)
                yield {
                    c: sum(numbers) / 2,
                    v: ((numbers[0] - numbers[1]) / 2) ** 2,
                    m: where,
                    bend: limit,
                }

    return Entry(
        key="resnet-first-correction",
        title="First correction of the universal law at finite depth",
        statement=(eq(bend, c**2 * (1 + 6 * m + 6 * m**2) / 2 - v * m * (1 + m) * (1 + 2 * m)),),
        hypotheses=(
            "$L$ equal blocks, $a = 1$, Gaussian weights, gains of mean $c/L$ and variance $v/L^2$.",
            "$\\log S = -c(1+2m) + B/L$ up to terms of order $1/L^2$.",
        ),
        source=(("", "derived here"),),
        derivation_of=_universal_of_skip_one,
        network=lambda depth, sigma_w: ResNet(depth, "tanh", sigma_w=sigma_w),
        witnesses=witnesses,
        witnessed_by="the exact block, extrapolated in 1/L at 50 digits",
    )


def _propagation() -> Entry:
    old, old_mean, new, new_mean, square, mean = symbols("X mu X_next mu_next phi_2 phi_1", real=True)

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
        source=(("Tarnowski2018", "eqs. 20-23"), ("YangSchoenholz2017", "section 3")),
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


def _outlier() -> Entry:
    top, output, squared_input, along = symbols("x_top f_2 x_2 Jx_2", positive=True)

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


# --- one block -------------------------------------------------------------------------------------------------------


def _block() -> Entry:
    m0, t, strength = symbols("m_0 t s")

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
    names = {weights: symbols(f"m_1_{weights} m_2_{weights} m_3_{weights}") for weights in ("gaussian", "haar")}

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
        hypotheses=("$L = 3$ blocks $1 + D W$, ReLU gates, $\\sigma_w^2 = 0.7$ in each block, free of each other.",),
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
    skip_2, skip_4, gate_2, gate_4, mixed, s, m_1, m_2 = symbols("d_2 d_4 e_2 e_4 d_2e_2 s m_1 m_2", positive=True)

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
            "$d_k$, $e_k$ are the means of $D_1^k$, $D_2^k$, and $d_2 e_2$ (one symbol) that of $D_1^2 D_2^2$.",
        ),
        source=(("", "derived here"), ("ChenPenningtonSchoenholz2018", "section 4")),
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


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _propagation(),
        _block(),
        _three_blocks(),
        _gated(),
        _law(),
        _moments(),
        _edges(),
        _inversion(),
        _density(),
        _first_correction(),
        _outlier(),
    )
