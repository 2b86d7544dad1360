"""Plain chains at large width: criticality, S-transforms, variances.

After Pennington, Schoenholz, Ganguli, arXiv:1711.04735 and 1802.09979. This module loads sympy: import it inside
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

from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.symbolic.derivation import Derivation, Step, m, z
from theory.activations import get_activation
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import average, free_product, s_at
from theory.derivation import derive
from theory.network import Chain

__all__ = ["build", "slopes_law"]

L = sp.Symbol("L", positive=True, integer=True)
p, q, sigma, sigma_b, chi, x, k = sp.symbols("p q sigma_w sigma_b chi x k", positive=True)
S, variance = sp.symbols("S Var")
_WIDE = "Infinite width: the weights are free of the slopes."
_TINY = sp.Rational(1, 1000)


def _fixed_point() -> Entry:
    """χ is the slope of the correlation map at 1, which needs no φ' at all."""
    length, gain = sp.symbols("phi_2 c_2", positive=True)

    def witnesses() -> Iterator[Witness]:
        for name, sigma_value, bias in (("erf", 1.3, 0.2), ("sin", 1.1, 0.4)):
            function = get_activation(name)
            fixed = 1.0
            for _ in range(400):
                fixed = sigma_value**2 * function.second_moment(fixed) + bias**2

            def correlation(c: float, f: Any = function, fixed: float = fixed, s: float = sigma_value, b: float = bias):  # type: ignore[no-untyped-def]
                return (s**2 * f.cross_moment(fixed, c) + b**2) / fixed

            step = 1e-3  # one-sided differences of order 4
            weights = np.array([25, -48, 36, -16, 3]) / (12 * step)
            slope = float(weights @ [correlation(1 - j * step) for j in range(5)])
            yield {
                q: fixed,
                sigma: sigma_value,
                sigma_b: bias,
                chi: slope,
                length: average(lambda y: function.phi(float(y)) ** 2, fixed),
                gain: average(lambda y: function.dphi(float(y)) ** 2, fixed),
            }

    return Entry(
        key="chain-criticality",
        title="Length map and edge of chaos",
        statement=(eq(q, sigma**2 * length + sigma_b**2), eq(chi, sigma**2 * gain)),
        hypotheses=(_WIDE, "$q$ is at its fixed point; the chain is critical where $χ = 1$."),
        source=(("Poole2016", ""), ("Pennington2017", "")),
        steps=(
            Step(
                "Slope of the correlation map",
                (
                    eq(
                        sp.Symbol("dC/dc"),
                        sigma**2 * sp.Symbol("c_2"),
                    ),
                ),
                "Price's theorem: the derivative of the average of $φ(h) φ(h')$ by the correlation is $q$ times the "
                "average of $φ'(h) φ'(h')$; at correlation 1 that is $φ'(h)^2$.",
                "Poole et al. 2016",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the iterated length map, and differences of the correlation map",
        tolerance=1e-8,
    )


def _tanh_critical() -> Entry:
    strength, length, gain = sp.symbols("sigma_w2 phi_2 c_2", positive=True)

    def witnesses() -> Iterator[Witness]:
        def bias(value: Any) -> Any:
            return value - average(lambda y: mpmath.tanh(y) ** 2, value) / average(lambda y: mpmath.sech(y) ** 4, value)

        with mpmath.workdps(15):
            found = mpmath.findroot(lambda value: bias(value) - mpmath.mpf("0.05"), (0.5, 0.6), tol=1e-20)
            slope = average(lambda y: mpmath.sech(y) ** 4, found)
            yield {
                strength: 1 / slope,
                q: found,
                gain: slope,
                sigma_b: sp.sqrt(sp.Rational(1, 20)),
                length: average(lambda y: mpmath.tanh(y) ** 2, found),
            }

    return Entry(
        key="tanh-critical-point",
        title="Edge of chaos of tanh at σ_b² = 0.05",
        statement=(eq(strength * gain, sp.Integer(1)), eq(q, strength * length + sp.Rational(1, 20))),
        hypotheses=(_WIDE, "$σ_b^2 = 0.05$; all averages at $q$."),
        source=(("Pennington2017", ""),),
        steps=(
            Step(
                "The curve of critical points",
                (eq(sigma_b**2, q - length / gain),),
                "Eliminate $σ_w^2$ from the length map and $χ = 1$: a curve with $q$ as its parameter.",
                "Poole et al. 2016",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="adaptive quadrature and a root of one variable",
        quoted={strength: "1.7609546", q: ".5700479"},
    )


def _slope_transform() -> Entry:
    def witnesses() -> Iterator[Witness]:
        # ψ of (1-p) δ_0 + p δ_1 is p/(z-1): every z > 1 gives one point of S
        for share, point in ((Fraction(1, 2), 3), (Fraction(5, 7), Fraction(11, 10)), (Fraction(1, 9), -2)):
            moment = share / (point - 1)
            yield {p: share, z: point, m: moment, S: (1 + moment) / (moment * point)}

    return Entry(
        key="bernoulli-s-transform",
        title="S-transform of the slopes of ReLU and hard tanh",
        statement=(eq(S, (1 + m) / (p + m)),),
        hypotheses=("$φ'$ is 1 with probability $p$ and 0 otherwise; $D^2$ is free of what it multiplies.",),
        source=(("Pennington2017", ""),),
        steps=(
            Step("Moment transform", (eq(m, p / (z - 1)),), "$z G - 1$ of $(1-p) δ_0 + p δ_1$.", "definition"),
            Step("Its inverse", (eq(z, 1 + p / m),), "$S = (1+m)/(m z)$.", "definition"),
        ),
        witnesses=witnesses,
        witnessed_by="the moment transform of two atoms, in fractions",
        tolerance=0,
    )


def slopes_law(weights: str, depth: Any, slope: Any, strength: Any) -> Any:
    """Law of a chain whose slopes are 1 with probability `slope` and 0 otherwise."""
    slopes = Discrete({0: 1 - slope, 1: slope})
    layer = FreeProduct((MarchenkoPastur(1), slopes)) if weights == "gaussian" else slopes
    return FreePower(Affine(layer, strength, 0), depth)


def _piecewise(weights: str) -> Entry:
    gaussian = weights == "gaussian"
    inverse = (1 if gaussian else 1 + m) / (m + p)
    spread = L / p if gaussian else L * (1 - p) / p

    def witnesses() -> Iterator[Witness]:
        for slope, depth, strength in ((Fraction(3, 5), 2, Fraction(9, 4)), (Fraction(1, 2), 3, Fraction(2))):
            one = [strength**j * slope for j in range(1, 8)]
            catalan = [math.comb(2 * j, j) // (j + 1) for j in range(1, 8)]
            factors = [one, catalan] if gaussian else [one]
            moments = free_product(*(depth * factors))
            critical = moments[1] / moments[0] ** 2 - 1
            yield {
                p: slope,
                L: depth,
                sigma: sp.sqrt(sp.Rational(strength)),
                m: _TINY,
                variance: critical,
                S: s_at(moments, Fraction(1, 1000)),
            }

    return Entry(
        key=f"chain-{weights}",
        title=f"Chains of {'Gaussian' if gaussian else 'orthogonal'} layers with slopes 0 and 1",
        statement=(eq(S, sigma ** (-2 * L) * inverse**L), eq(variance, spread)),
        hypotheses=(
            _WIDE,
            "The variance is that at criticality, $σ_w^2 p = 1$.",
            "$p$ is the same in all layers.",
        ),
        source=(("Pennington2018", ""),),
        derivation_of=lambda: derive(Chain(L, "hard_tanh", sigma_w=sigma, weights=weights)),
        law=lambda depth, p, sigma_w: slopes_law(weights, depth, p, sigma_w**2),
        network=lambda depth, sigma_w: Chain(depth, "hard_tanh", sigma_w=sigma_w, weights=weights),
        arguments=({"depth": 3, "p": 0.7, "sigma_w": 1.1},),
        witnesses=witnesses,
        witnessed_by="free cumulants of words, 7 moments",
    )


def _variance_at_criticality() -> Entry:
    mu_1, mu_2, s_1 = sp.symbols("mu_1 mu_2 s_1", real=True)

    def witnesses() -> Iterator[Witness]:
        for depth in (1, 3):
            for values in ([Fraction(1, 2), Fraction(2, 5)], [Fraction(2), Fraction(9, 2)]):
                for catalan in ([1, 1], [1, 2]):
                    moments = free_product(*(depth * (values, catalan)))
                    yield {
                        L: depth,
                        mu_1: values[0],
                        mu_2: values[1],
                        s_1: catalan[0] - catalan[1],
                        variance: Fraction(moments[1]) / moments[0] ** 2 - 1,
                    }

    return Entry(
        key="variance-at-criticality",
        title="Variance of the spectrum of critical chains",
        statement=(eq(variance, L * (mu_2 / mu_1**2 - 1 - s_1)),),
        hypotheses=(
            _WIDE,
            "$μ_k$ is the mean of $φ'(h)^{2k}$, and $S_W = σ_w^{-2}(1 + s_1 m + …)$: $s_1 = -1$ "
            "for Gaussian weights "
            "and 0 for orthogonal ones; $σ_w^2 μ_1 = 1$.",
        ),
        source=(("Pennington2018", ""),),
        steps=(
            Step(
                "Slope of S",
                (eq(sp.Symbol("S'(0)/S(0)"), L * (s_1 - (mu_2 / mu_1**2 - 1))),),
                "$S(m) = 1/m_1 - (m_2 - m_1^2) m/m_1^3 + …$ for each factor; logarithms of S add.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="free cumulants of words",
        tolerance=0,
    )


def _erf_moments() -> Entry:
    mu_k = sp.Symbol("mu_k", positive=True)

    def witnesses() -> Iterator[Witness]:
        for order, value in ((1, 0.3), (2, 2.5), (5, 0.8)):
            slope = lambda y: mpmath.exp(-mpmath.pi * y * y * order / 2)
            yield {k: order, q: mpmath.mpf(value), mu_k: average(slope, mpmath.mpf(value))}

    return Entry(
        key="erf-slope-moments",
        title="Moments of the slopes of erf(√π h/2)",
        statement=(eq(mu_k, (1 + sp.pi * k * q) ** sp.Rational(-1, 2)),),
        hypotheses=("$h$ is N(0, q); $μ_k$ is the mean of $φ'(h)^{2k}$.",),
        source=(("Pennington2018", ""),),
        steps=(
            Step(
                "Gaussian integral",
                (
                    eq(
                        mu_k,
                        sp.Integral(
                            sp.exp(-sp.pi * k * x**2 / 2 - x**2 / (2 * q)) / sp.sqrt(2 * sp.pi * q), (x, -sp.oo, sp.oo)
                        ),
                    ),
                ),
                "$φ'(h)^2 = e^{-π h^2/2}$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="adaptive quadrature",
    )


def _erf_lerch() -> Entry:
    psi = sp.Symbol("psi")

    def witnesses() -> Iterator[Witness]:
        for value, point in ((0.6, 1.7),):
            slope = lambda y: mpmath.exp(-mpmath.pi * y * y / 2)
            found = average(lambda y: slope(y) / (point - slope(y)), mpmath.mpf(value))
            yield {q: mpmath.mpf(value), z: mpmath.mpf(point), psi: found}

    return Entry(
        key="erf-moment-transform",
        title="Moment transform of the slopes of erf(√π h/2)",
        statement=(
            eq(psi, sp.lerchphi(1 / z, sp.Rational(1, 2), (1 + sp.pi * q) / (sp.pi * q)) / (z * sp.sqrt(sp.pi * q))),
        ),
        hypotheses=("$h$ is N(0, q); $ψ(z)$ is the sum of $μ_k z^{-k}$ over $k$ from 1.",),
        source=(("Pennington2018", ""),),
        steps=(
            Step(
                "Sum over the moments",
                (
                    eq(
                        psi,
                        sp.Sum(
                            (1 + sp.pi * q * sp.Symbol("j")) ** sp.Rational(-1, 2) * z ** -sp.Symbol("j"),
                            (sp.Symbol("j"), 1, sp.oo),
                        ),
                    ),
                ),
                "Lerch's transcendent is the sum of $w^j/(j + a)^s$ over $j$ from 0.",
                "definition",
            ),
        ),
        derivation_of=_erf_chain,
        witnesses=witnesses,
        witnessed_by="adaptive quadrature of $φ'^2/(z - φ'^2)$",
    )


def _erf_chain() -> Derivation:
    return derive(Chain(L, "erf", sigma_w=sigma, weights="orthogonal"))


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _fixed_point(),
        _tanh_critical(),
        _slope_transform(),
        _piecewise("gaussian"),
        _piecewise("orthogonal"),
        _variance_at_criticality(),
        _erf_moments(),
        _erf_lerch(),
    )
