"""Residual networks of infinite depth: the universal law and its first correction.

After Tarnowski, Warchoł, Jastrzębski, Tabor, Nowak, arXiv:1809.08848. This module loads sympy: import it inside
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

from rmt import series
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic.derivation import Derivation, G, Step, m, z
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import extrapolated
from theory.derivation import derive
from theory.network import ResNet

__all__ = ["build"]

a, c, v, x, sigma, L = sp.symbols("a c v x sigma_w L", positive=True)
k = sp.Symbol("k", positive=True, integer=True)
S, variance = sp.symbols("S Var")
_LIMIT = (
    "Infinite width, then $L → ∞$ with $c = σ_w^2 ⟨φ'^2⟩$ fixed, averaged over the layers.",
    "Weights of variance $σ_w^2/(N L)$, Gaussian or orthogonal; the law is that of the bulk.",
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
        source=(("Tarnowski2018", "eq. 16"), ("Biane1997", "")),
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
        for gain in (Fraction(1, 3), Fraction(7, 4)):
            exponential = series.exp([Fraction(0), -2 * gain, *([Fraction(0)] * 3)])
            plain = series.s_series_to_moments(exponential)
            found = [math.exp(gain * j) * float(value) for j, value in enumerate(plain, 1)]
            for j, value in enumerate(found, 1):
                yield {k: j, c: gain, moment: value}
            yield {c: gain, variance: found[1] - found[0] ** 2}

    return Entry(
        key="universal-resnet-moments",
        title="Moments of the universal law",
        statement=(
            eq(moment, sp.exp(c * k) / k * sp.assoc_laguerre(k - 1, 1, -2 * c * k)),
            eq(variance, 2 * c * sp.exp(2 * c)),
        ),
        hypotheses=(*_LIMIT, "$a = 1$."),
        source=(("Biane1997", ""), ("Tarnowski2018", "")),
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
        witnessed_by="exact power series of S, 5 moments",
        tolerance=1e-12,
    )


def _edges() -> Entry:
    low, high = sp.symbols("x_min x_max", positive=True)

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
        source=(("Tarnowski2018", ""),),
        derivation_of=_universal_of_skip_one,
        law=lambda c: UniversalResNet(c),
        arguments=({"c": 1.2},),
        witnesses=witnesses,
        witnessed_by="numeric critical points of z(m)",
        tolerance=1e-9,
    )


def _inversion() -> Entry:
    density, mirrored = sp.symbols("rho rho_inv", positive=True)

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
        source=(("Tarnowski2018", ""),),
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
    t, u, density = sp.symbols("t u rho", real=True)

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


# --- one block -------------------------------------------------------------------------------------------------------


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _law(),
        _moments(),
        _edges(),
        _inversion(),
        _density(),
        _first_correction(),
    )
