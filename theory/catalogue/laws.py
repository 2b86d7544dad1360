"""Explicit laws: Marchenko–Pastur, semicircle plus uniform, singular values, single rings.

This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import mpmath
import numpy as np
import sympy as sp

import rmt
from rmt.laws.discrete import Discrete
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.uniform import Uniform
from rmt.symbolic.derivation import G, Step, m, z
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import lowest

__all__ = ["build"]

c, x, density = sp.symbols("c x rho", positive=True)
S, R = sp.symbols("S R")


def _singular_values() -> Entry:
    singular, log_singular, log_value = sp.symbols("rho_s rho_u u", real=True)
    value = sp.Symbol("s", positive=True)

    def witnesses() -> Iterator[Witness]:
        law = MarchenkoPastur(1)
        for point in (0.3, 1.7):
            squared = law.pdf(point**2, method="subordination")
            quarter = math.sqrt(4 - point**2) / math.pi
            yield {
                value: point,
                log_value: math.log(point),
                density: squared,
                singular: quarter,
                log_singular: point * quarter,
            }

    return Entry(
        key="singular-value-densities",
        title="Densities of singular values and of their logarithms",
        statement=(eq(singular, 2 * value * density), eq(log_singular, 2 * sp.exp(2 * log_value) * density)),
        hypotheses=("$ρ$ is the density of $J J^T$ at $x = s^2 = e^{2u}$.",),
        source=(("", "derived here"),),
        steps=(
            Step(
                "Change of variables", (eq(sp.Symbol("dx"), 2 * value * sp.Symbol("ds")),), "$x = s^2$.", "definition"
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the quarter circle, which is the law of singular values of a Gaussian matrix",
        tolerance=1e-9,
    )


def _marchenko_pastur() -> Entry:
    low, high, mass = sp.symbols("x_min x_max mass_0", nonnegative=True)

    def witnesses() -> Iterator[Witness]:
        for ratio in (0.3, 2.5):
            place = lambda y: (1 + y) * (1 + ratio * y) / y
            slope = lambda y: mpmath.diff(place, y)
            top = mpmath.findroot(slope, (0.8 / ratio**0.5, 1.3 / ratio**0.5), tol=1e-15)
            bottom = mpmath.findroot(slope, (-0.8 / ratio**0.5, -1.3 / ratio**0.5), tol=1e-15)
            law = MarchenkoPastur(ratio)
            for point in (1.3 + 0.9j, -0.7 + 0.2j):
                yield {
                    c: ratio,
                    z: point,
                    G: law.cauchy(point, method="quadrature"),
                    low: place(bottom),
                    high: place(top),
                }
        # the rank of a real matrix
        rng = np.random.default_rng(1)
        for rows, columns in ((30, 12), (10, 20)):
            values = np.linalg.eigvalsh((lambda y: y @ y.T)(rng.normal(size=(rows, columns))))
            yield {c: Fraction(rows, columns), mass: Fraction(int(np.sum(values < 1e-9)), rows)}

    return Entry(
        key="marchenko-pastur",
        title="The Marchenko-Pastur law",
        statement=(
            eq(c * z * G**2 + (1 - c - z) * G + 1, sp.Integer(0)),
            eq(low, (1 - sp.sqrt(c)) ** 2),
            eq(high, (1 + sp.sqrt(c)) ** 2),
            eq(mass, sp.Max(0, 1 - 1 / c)),
        ),
        hypotheses=("$X X^T$ for $X$ of shape $p × n$ with entries of variance $1/n$, $c = p/n$, both infinite.",),
        source=(("MarchenkoPastur1967", ""),),
        derivation_of=lambda: rmt.derive(MarchenkoPastur(c)),
        law=lambda c: MarchenkoPastur(c),
        arguments=({"c": 0.3}, {"c": 2.5}),
        witnesses=witnesses,
        witnessed_by="quadrature of the density, critical values of z(m), ranks of random matrices",
        tolerance=1e-8,
    )


def _single_ring() -> Entry:
    share, radius, inner, outer, mean, inverse = sp.symbols("F r r_min r_max m_1 m_-1", positive=True)

    def witnesses() -> Iterator[Witness]:
        # products of L Ginibre matrices: the radial law is known from their determinantal process
        for depth, r in ((1, 0.4), (3, 0.7)):
            moment = r ** (2 / depth) - 1
            yield {radius: r, share: r ** (2 / depth), m: moment, S: FussCatalan(depth).s_transform(moment)}
        # truncated Haar matrices, a share q of rows and columns kept: P(|λ| <= r) = (1/q - 1) r²/(1 - r²)
        kept, r = 0.4, 0.5
        law = Discrete({0: 1 - kept, 1: kept}).compress(kept)
        disc = (1 / kept - 1) * r**2 / (1 - r**2)
        yield {radius: r, share: disc, m: disc - 1, S: law.s_transform(disc - 1)}
        # the ends, from S = G/m of two atoms far to the left of them and next to 0
        cauchy = lambda u: (1 / (u - 1) + 1 / (u - 4)) / 2
        with mpmath.workdps(40):
            ends = [mpmath.sqrt((u * cauchy(u) - 1) / cauchy(u)) for u in (mpmath.mpf("-1e-12"), mpmath.mpf("-1e12"))]
        yield {mean: Fraction(5, 2), inverse: Fraction(5, 8), inner: ends[0], outer: ends[1]}

    return Entry(
        key="single-ring",
        title="Eigenvalues of bi-invariant matrices: the single ring",
        statement=(
            eq(share, 1 + m),
            eq(S, radius ** (-2)),
            eq(inner, 1 / sp.sqrt(inverse)),
            eq(outer, sp.sqrt(mean)),
        ),
        hypotheses=(
            "$J$ is R-diagonal with law of $J J^*$ of S-transform $S$: $F$ is the share of eigenvalues "
            "in $|λ| ≤ r$, and $m$ "
            "solves $S(m) = r^{-2}$ in $(-1, 0)$. $m_{-1}$ is the mean of $1/x$.",
        ),
        source=(
            ("HaagerupLarsen2000", "theorem 4.4"),
            ("GuionnetKrishnapurZeitouni2011", "theorem 1"),
            ("ZyczkowskiSommers2000", ""),
        ),
        steps=(
            Step(
                "Ends of the ring",
                (eq(sp.Symbol("S(0)"), 1 / mean), eq(sp.Symbol("S(-1)"), inverse)),
                "$F$ is 1 where $m = 0$ and 0 where $m = -1$.",
                "Haagerup, Larsen 2000",
            ),
        ),
        law=lambda order: FussCatalan(order),
        arguments=({"order": 3},),
        witnesses=witnesses,
        witnessed_by="the radial laws of products of Ginibre matrices and of truncated Haar matrices, known otherwise",
        tolerance=1e-8,
    )


def _uniform_edge() -> Entry:
    half, edge = sp.symbols("m x_max", positive=True)

    def witnesses() -> Iterator[Witness]:
        for value in ("0.5", "2"):
            width = mpmath.mpf(value)
            # z = ω + G_U(ω) outside the interval, least where it has its minimum
            place = lambda y: width + y + mpmath.log((2 * width + y) / y) / (2 * width)
            yield {half: width, edge: lowest(place, mpmath.mpf("0.3"))}
        law = Semicircle(1) + Uniform(-1.3, 1.3)
        yield {half: 1.3, edge: float(law.support().upper)}

    return Entry(
        key="semicircle-plus-uniform-edge",
        title="Edge of a semicircle law plus a uniform law",
        statement=(eq(edge, sp.asinh(half) / half + sp.sqrt(1 + half**2)),),
        hypotheses=("Free sum of the semicircle law of variance 1 and the uniform law on $[-m, m]$.",),
        source=(("", "derived here"), ("Voiculescu1986", "")),
        steps=(
            Step(
                "Subordination",
                (
                    eq(
                        z,
                        sp.Symbol("omega")
                        + sp.log((sp.Symbol("omega") + half) / (sp.Symbol("omega") - half)) / (2 * half),
                    ),
                ),
                "$G(z) = G_U(ω)$ and $z = ω + G$.",
                "Biane 1997",
            ),
            Step(
                "Critical point",
                (eq(sp.Symbol("omega") ** 2, 1 + half**2),),
                "$dz/dω = 1 - 1/(ω^2 - m^2)$.",
                "derived here",
            ),
        ),
        law=lambda m: Semicircle(1) + Uniform(-m, m),
        arguments=({"m": 1.3},),
        witnesses=witnesses,
        witnessed_by="a numeric minimum, and the support of the free sum",
        tolerance=1e-9,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _singular_values(),
        _marchenko_pastur(),
        _single_ring(),
        _uniform_edge(),
    )
