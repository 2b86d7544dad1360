"""Signals in deep chains: how many layers they survive, and what dropout makes of them.

After Schoenholz, Gilmer, Ganguli, Sohl-Dickstein, arXiv:1611.01232. This module loads sympy: import it inside functions
only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import average, outcomes
from theory.network import Activation, Dense, Dropout, LayerNorm, Repeat, Scale
from theory.propagation import propagate

__all__ = ["build"]

SCHOENHOLZ = "Schoenholz et al. 2017, arXiv:1611.01232"
q, sigma, sigma_b, chi, c_2, phi_2 = sp.symbols("q sigma_w sigma_b chi c_2 phi_2", positive=True)


# --- depth scales -----------------------------------------------------------------------------------------------------


def _settled(step: Callable[[Any], Any], value: Any) -> Any:
    """Fixed point of a map that contracts, to all digits."""
    for _ in range(2000):
        value, before = step(value), value
        if abs(value - before) < mpmath.mpf(10) ** (5 - mpmath.mp.dps):
            return value
    raise ArithmeticError("the map does not contract")


def _layers_per_e(step: Callable[[Any], Any], fixed: Any) -> Any:
    """Number of layers in which a small deviation from a fixed point shrinks by e, from ten layers."""
    start = fixed - mpmath.mpf("1e-25")
    value = start
    for _ in range(10):
        value = step(value)
    return 10 / mpmath.log(abs((start - fixed) / (value - fixed)))


def _pair_average(function: Callable[[Any], Any], variance: float, correlation: float) -> float:
    """<f(h₁) f(h₂)> by Gauss's rule in two independent variables."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(140)
    weights = weights / weights.sum()
    first = np.sqrt(variance) * nodes[:, np.newaxis]
    second = np.sqrt(variance) * (correlation * nodes[:, np.newaxis] + np.sqrt(1 - correlation**2) * nodes)
    return float(weights @ (function(first) * function(second)) @ weights)


def _sine_kernel(variance: Any, correlation: Any) -> Any:
    return mpmath.exp(-variance) * mpmath.sinh(variance * correlation)


def _erf_kernel(variance: Any, correlation: Any) -> Any:
    return 2 / mpmath.pi * mpmath.asin(correlation * mpmath.pi * variance / (2 + mpmath.pi * variance))


def _bell(y: Any) -> Any:
    """Slope of erf(√π y/2)."""
    return np.exp(-np.pi * y * y / 4)


def _bent_erf(y: Any) -> Any:
    """φφ'' of erf(√π y/2)."""
    half = mpmath.sqrt(mpmath.pi) * y / 2
    return -mpmath.pi / 2 * y * mpmath.exp(-half * half) * mpmath.erf(half)


def _depth_scales() -> Entry:
    xi_q, xi_c, mixed, pair = sp.symbols("xi_q xi_c f_02 c_11", real=True)
    slope_q, slope_c = sp.symbols("V_1 C_1", real=True)
    # kernel, φ', φφ'', weights, biases, correlation to begin with: twice chaos, once order
    sine, error_function = (_sine_kernel, np.cos, lambda y: -(mpmath.sin(y) ** 2)), (_erf_kernel, _bell, _bent_erf)
    cases = ((*sine, "1.8", "0.4", "0.5"), (*sine, "0.8", "0.3", "1"), (*error_function, "2.1", "0.3", "0.5"))

    def witnesses() -> Iterator[Witness]:
        for kernel, slope, bent, strength, bias, begin in cases:
            with mpmath.workdps(70):
                weight, shift = mpmath.mpf(strength) ** 2, mpmath.mpf(bias) ** 2
                length = lambda v, k=kernel, w=weight, s=shift: w * k(v, 1) + s
                variance = _settled(length, mpmath.mpf(1))
                angle = lambda c, k=kernel, w=weight, s=shift, v=variance: (w * k(v, c) + s) / v
                fixed = _settled(angle, mpmath.mpf(begin))
                yield {
                    sigma: mpmath.mpf(strength),
                    xi_q: _layers_per_e(length, variance),
                    xi_c: _layers_per_e(angle, fixed),
                    slope_q: mpmath.diff(length, variance),
                    slope_c: mpmath.diff(angle, fixed),
                    c_2: _pair_average(slope, float(variance), 1.0),
                    mixed: average(bent, mpmath.mpf(float(variance))),
                    pair: _pair_average(slope, float(variance), float(fixed)),
                }

    return Entry(
        key="depth-scales",
        title="Depth scales of signals in chains",
        statement=(
            eq(slope_q, sigma**2 * (c_2 + mixed)),
            eq(slope_c, sigma**2 * pair),
            eq(xi_q, -1 / sp.log(slope_q)),
            eq(xi_c, -1 / sp.log(slope_c)),
        ),
        hypotheses=(
            "Infinite width. Deviations from the fixed points $q^*$ and $c^*$ of the length map $V$ and the "
            "correlation map $C$ fall like $e^{-l/ξ}$; $V_1$ and $C_1$ are the slopes there.",
            "At $q^*$: $c_2$ is the mean of $φ'^2$, $f_{02}$ that of $φ φ''$, and $c_{11}$ that of $φ'(h_1) φ'(h_2)$ "
            "at correlation $c^*$. In the ordered phase $c^* = 1$ and $C_1 = χ$.",
        ),
        source=(("Schoenholz2017", ""), ("Poole2016", "")),
        steps=(
            Step(
                "Slopes of Gaussian averages",
                (
                    eq(sp.Symbol("dV/dq"), sigma**2 * (c_2 + mixed)),
                    eq(sp.Symbol("dC/dc"), sigma**2 * pair),
                ),
                "The heat equation: the derivative of the average of $φ^2$ by the variance is half that of "
                "$(φ^2)'' = 2(φ'^2 + φ φ'')$. Price's theorem: that of the average of $φ(h_1) φ(h_2)$ by the "
                "correlation is $q$ times the average of $φ'(h_1) φ'(h_2)$.",
                SCHOENHOLZ,
            ),
        ),
        witnesses=witnesses,
        witnessed_by="iterated maps of sin and erf at 70 digits, derivatives of these maps, and Gauss's rule",
    )


# --- dropout and layer normalisation ----------------------------------------------------------------------------------


def _dropout() -> Entry:
    p, alike, stays, covariance, pair = sp.symbols("p rho_1 c_fix C phi_11", positive=True)

    def enumerated(scale: Fraction, share: Fraction, bias: Fraction, values: Any, slopes: Any) -> Witness:
        """Means over a neuron behind two: every sign of its weights ±scale and of its bias, all masks."""
        first, second = values
        names = (q, covariance, alike, chi)
        means = dict.fromkeys(names, Fraction(0))
        signs, masks = {-1: Fraction(1, 2), 1: Fraction(1, 2)}, {0: 1 - share, 1 / share: share}
        for (*weights, side), mass in outcomes(signs, 3):
            for kept, chance in outcomes(masks, 4):
                inner = lambda mask, signal: (
                    scale * sum(w * k * x for w, k, x in zip(weights, mask, signal, strict=True))
                )
                one, two, again = inner(kept[:2], first), inner(kept[2:], second), inner(kept[2:], first)
                shift = side * bias
                products = ((one + shift) ** 2, (one + shift) * (two + shift), (one + shift) * (again + shift))
                for name, value in zip(names, (*products, inner(kept[:2], slopes) ** 2), strict=True):
                    means[name] += mass * chance * value
        means[alike] /= means[q]
        half = Fraction(1, 2)
        return {
            **means,
            p: share,
            sigma: sp.sqrt(2) * sp.Rational(scale),
            sigma_b: bias,
            phi_2: half * sum(x * x for x in first),
            pair: half * sum(x * y for x, y in zip(first, second, strict=True)),
            c_2: half * sum(x * x for x in slopes),
        }

    def witnesses() -> Iterator[Witness]:
        half = Fraction(1, 2)
        yield enumerated(Fraction(4, 3), Fraction(3, 5), half, ((1, 3), (2, -1)), (1, half))
        yield enumerated(half, Fraction(1, 4), Fraction(2), ((half, -2), (-1, 1)), (2, -1))
        for share in (0.9, 0.4):
            strength = math.sqrt(2 * share)  # lengths stay; the correlation does not depend on it
            net = Repeat([Dense(strength), Activation("relu"), Dropout(1 - share)], 400)
            correlations = propagate(net, q0=1.0, correlation=0.3).to_dict()["correlation"]
            yield {p: share, stays: correlations[-1]}

    return Entry(
        key="dropout",
        title="Dropout: lengths, correlations and gradients",
        statement=(
            eq(q, sigma**2 * phi_2 / p + sigma_b**2),
            eq(covariance, sigma**2 * pair + sigma_b**2),
            eq(alike, 1 - (1 - p) / p * sigma**2 * phi_2 / q),
            eq(chi, sigma**2 * c_2 / p),
            eq(sp.pi * stays / p, sp.sqrt(1 - stays**2) + (sp.pi - sp.acos(stays)) * stays),
        ),
        hypotheses=(
            "Infinite width. Each component is kept with probability $p$ and divided by it, or set to 0, with masks of "
            "its own for each input; $φ_2$, $φ_{11}$ and $c_2$ are the means of $φ(h)^2$, of $φ(h) φ(h')$ and of "
            "$φ'(h)^2$ before it.",
            "$q$ and $C$ are variance and covariance of two inputs behind the next weights, $ρ_1$ the correlation of "
            "an input with itself, which is below 1: no network with dropout is critical. $χ$ is the factor of squared "
            "gradients. $c_{fix}$ is what every correlation tends to in ReLU networks without biases.",
        ),
        source=(("Schoenholz2017", ""), ("", "derived here")),
        steps=(
            Step(
                "Independent masks",
                (eq(sp.Symbol("E_mask2"), 1 / p), eq(sp.Symbol("E_mask"), sp.Integer(1))),
                "The square of a mask $0$ or $1/p$ has the mean $1/p$; the product of two independent masks has the "
                "mean 1.",
                SCHOENHOLZ,
            ),
            Step(
                "ReLU",
                (eq(pair / phi_2, (sp.sqrt(1 - stays**2) + (sp.pi - sp.acos(stays)) * stays) / sp.pi),),
                "The arc-cosine kernel at the correlation $c_{fix}$; the next one is $C/q$.",
                "Cho, Saul 2009",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="enumeration of masks and signs at width 2 in fractions, and signal propagation to 400 layers",
    )


def _square_of(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda y: function(y) ** 2


def _layer_norm() -> Entry:
    before, after, scale, phi_1 = sp.symbols("g_before g_after s phi_1", positive=True)
    relu_before, relu_after = sp.symbols("relu_before relu_after", positive=True)

    def third_layer(strength: float, *behind: Any) -> float:
        """Factor of squared gradients in the third of three equal layers."""
        return float(propagate(Repeat([Dense(strength), *behind], 3), q0=0.4).chi[2])

    def of_weights(name: str, strength: float, factor: float) -> float:
        return third_layer(strength, LayerNorm(), Scale(factor), Activation(name))

    def of_values(name: str, factor: float) -> float:
        return third_layer(factor, Activation(name), LayerNorm())

    def witnesses() -> Iterator[Witness]:
        cases: tuple[tuple[str, Any, Any, float], ...] = (
            ("sin", mpmath.sin, mpmath.cos, 1.3),
            ("sigmoid", lambda y: 1 / (1 + mpmath.exp(-y)), lambda y: mpmath.sech(y / 2) ** 2 / 4, 0.8),
        )
        for name, function, slope, factor in cases:
            variance = mpmath.mpf(factor) ** 2
            means = {
                scale: factor,
                phi_1: average(function, variance),
                phi_2: average(_square_of(function), variance),
                c_2: average(_square_of(slope), variance),
            }
            yield from ({before: of_weights(name, strength, factor), **means} for strength in (0.6, 1.7))
            yield {after: of_values(name, factor), **means}
        yield {relu_before: of_weights("relu", 0.7, 1.4), relu_after: of_values("relu", 0.7)}

    return Entry(
        key="layer-norm-gradient",
        title="Layer normalisation and gradients",
        statement=(
            eq(before, scale**2 * c_2 / phi_2),
            eq(after, scale**2 * c_2 / (phi_2 - phi_1**2)),
            eq(relu_before, sp.Integer(1)),
            eq(relu_after, sp.pi / (sp.pi - 1)),
        ),
        hypotheses=(
            "Infinite width, no biases. $g$ is the factor of squared gradients a layer, with the averages at variance "
            "$s^2$: of $φ(s \\, n(W x))$ (before) whatever the weights, and of $n(φ(W x))$ with $σ_w = s$ (after), "
            "where $n$ takes off the mean over the neurons and divides by the deviation.",
        ),
        source=(("LutherSeung2019", ""), ("", "derived here")),
        steps=(
            Step(
                "What is divided out",
                (eq(before, sp.Symbol("sigma_w") ** 2 * scale**2 * c_2 / (sp.Symbol("sigma_w") ** 2 * phi_2)),),
                "Pre-activations have no mean and the variance $σ_w^2 φ_2$; behind the activation the variance is "
                "$φ_2 - φ_1^2$. What $n$ projects out is one direction or two of many.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="signal propagation, layer by layer, and quadrature",
        tolerance=1e-9,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (_depth_scales(), _dropout(), _layer_norm())
