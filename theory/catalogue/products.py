"""Products of random matrices: Fuss–Catalan laws and the largest eigenvalues of critical chains.

After Penson, Życzkowski 2011, Haagerup, Möller 2013 and Pennington, Schoenholz, Ganguli, arXiv:1802.09979.
This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from fractions import Fraction

import mpmath
import numpy as np
import sympy as sp

import rmt
from rmt.laws.fuss_catalan import FussCatalan
from rmt.symbolic.derivation import G, Step, m, z
from theory.catalogue.chains import slopes_law
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import free_product, haar, lowest
from theory.derivation import derive
from theory.network import Chain

__all__ = ["build"]

L = sp.Symbol("L", positive=True, integer=True)
p, sigma, x_max, x, k = sp.symbols("p sigma_w x_max x k", positive=True)
S, variance = sp.symbols("S Var")
_WIDE = "Infinite width: the weights are free of the slopes."


def _fuss_catalan_moments() -> Entry:
    moment = sp.Symbol("m_k")

    def witnesses() -> Iterator[Witness]:
        catalan = [math.comb(2 * j, j) // (j + 1) for j in range(1, 6)]
        for depth in (1, 2, 3):
            for order, value in enumerate(free_product(*(depth * [catalan])), 1):
                yield {L: depth, k: order, moment: value}

    return Entry(
        key="fuss-catalan-moments",
        title="Moments of products of Gaussian matrices",
        statement=(eq(moment, sp.binomial(k * (L + 1), k) / (k * L + 1)),),
        hypotheses=("$J$ is a product of $L$ square Gaussian matrices with entries of variance $1/N$, $N$ infinite.",),
        source=(("PensonZyczkowski2011", ""), ("Pennington2018", "")),
        derivation_of=lambda: rmt.derive(FussCatalan(L)),
        law=lambda order: FussCatalan(order),
        arguments=({"order": 2}, {"order": 5}),
        steps=(
            Step(
                "Lagrange inversion",
                (eq(moment, sp.Symbol("[m^(k-1)]") * (1 + m) ** (k * (L + 1)) / k),),
                "The coefficient of $m^{k-1}$, a binomial.",
                "Nica, Speicher 2006, lecture 18",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="free cumulants of words, 5 moments of 1, 2 and 3 factors",
        tolerance=0,
    )


def _fuss_catalan_edge() -> Entry:
    def witnesses() -> Iterator[Witness]:
        for depth in (1, 3, 10):
            low = lowest(lambda y: (1 + y) ** (depth + 1) / y, 1 / mpmath.mpf(depth))
            yield {L: depth, x_max: low}

    return Entry(
        key="fuss-catalan-edge",
        title="Largest squared singular value of a product of Gaussian matrices",
        statement=(eq(x_max, (L + 1) ** (L + 1) / L**L),),
        hypotheses=("$J$ is a product of $L$ square Gaussian matrices with entries of variance $1/N$, $N$ infinite.",),
        source=(("PensonZyczkowski2011", ""), ("Pennington2018", "")),
        derivation_of=lambda: rmt.derive(FussCatalan(L)),
        law=lambda order: FussCatalan(order),
        arguments=({"order": 3},),
        witnesses=witnesses,
        witnessed_by="a numeric minimum of z(m) on the positive axis",
    )


def _fuss_catalan_density() -> Entry:
    phi, density = sp.symbols("phi rho", positive=True)

    def witnesses() -> Iterator[Witness]:
        for depth, point in ((1, 1.7), (3, 0.2), (3, 6.0), (6, 11.5)):
            law = FussCatalan(depth)
            cauchy = law.cauchy(point, method="subordination")
            yield {L: depth, x: point, phi: -cmath.phase(cauchy), density: -cauchy.imag / math.pi, G: cauchy, z: point}

    ratio = sp.sin((L + 1) * phi)
    return Entry(
        key="fuss-catalan-density",
        title="Density of products of Gaussian matrices",
        statement=(
            eq(x, ratio ** (L + 1) / (sp.sin(phi) * sp.sin(L * phi) ** L)),
            eq(density, sp.sin(phi) ** 2 * sp.sin(L * phi) ** (L - 1) / (sp.pi * ratio**L)),
        ),
        hypotheses=("$0 < φ < π/(L+1)$; one angle gives one point of the curve.",),
        source=(("HaagerupMoller2013", ""),),
        derivation_of=lambda: rmt.derive(FussCatalan(L)),
        law=lambda order: FussCatalan(order),
        arguments=({"order": 3},),
        steps=(
            Step(
                "Angles",
                (eq(z * G, ratio * sp.exp(-sp.I * phi) / sp.sin(L * phi)),),
                "On the axis from above $G = |G| e^{-iφ}$; the equation fixes $|G|$ and $z$ in terms of $φ$.",
                "Haagerup, Möller 2013",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the Cauchy transform by continuation of the equation from infinity",
        tolerance=1e-9,
    )


def _largest_orthogonal() -> Entry:
    mass = sp.Symbol("mass", nonnegative=True)
    top = sp.Symbol("x_top", positive=True)

    def witnesses() -> Iterator[Witness]:
        for slope, depth in ((mpmath.mpf(1) / 2, 4), (mpmath.mpf(4) / 5, 9)):
            chain = lambda y: (1 + y) / y * ((y + slope) / ((1 + y) * slope)) ** depth
            yield {p: slope, L: depth, x_max: lowest(chain, mpmath.mpf(1))}
        # real projections in 60 dimensions: what no layer cuts keeps the full weight
        rng = np.random.default_rng(7)
        n, cut, depth = 60, 6, 3
        jacobian = np.eye(n)
        for _ in range(depth):
            gates = np.arange(n) >= cut
            jacobian = np.sqrt(n / (n - cut)) * gates[:, np.newaxis] * (haar(n, rng) @ jacobian)
        values = np.linalg.svd(jacobian, compute_uv=False) ** 2
        untouched = values[values > values[0] * (1 - 1e-9)]
        yield {p: Fraction(n - cut, n), L: depth, top: float(untouched[0]), mass: Fraction(len(untouched), n)}

    return Entry(
        key="largest-eigenvalue-orthogonal",
        title="Largest eigenvalue of critical orthogonal chains",
        statement=(
            eq(x_max, (1 - p) / p * L**L / (L - 1) ** (L - 1)),
            eq(top, p ** (-L)),
            eq(mass, 1 - L * (1 - p)),
        ),
        hypotheses=(
            _WIDE,
            "Slopes 1 with probability $p$ and 0 otherwise, at criticality, $σ_w^2 p = 1$.",
            "The edge $x_{max}$ if $L(1-p) > 1$; otherwise the atom $x_{top}$ with its mass.",
        ),
        source=(("Pennington2018", ""),),
        steps=(
            Step(
                "Critical point",
                (eq(z, (1 + m) / m * ((m + p) / (p * (1 + m))) ** L), eq(m, p / (L * (1 - p) - 1))),
                "$z = (1+m)/(m S)$ is least there for $m > 0$, if $L(1-p) > 1$.",
                "derived here",
            ),
        ),
        derivation_of=lambda: derive(Chain(L, "hard_tanh", sigma_w=sigma, weights="orthogonal")),
        law=lambda depth, p: slopes_law("orthogonal", depth, p, 1 / p),
        arguments=({"depth": 4, "p": 0.6},),
        witnesses=witnesses,
        witnessed_by="a numeric minimum of z(m); singular values of random orthogonal matrices and projections",
    )


def _largest_gaussian() -> Entry:
    point = sp.Symbol("m_crit", positive=True)

    def witnesses() -> Iterator[Witness]:
        for slope, depth in ((mpmath.mpf("0.5"), 4), (mpmath.mpf("0.9"), 1), (mpmath.mpf("0.3"), 12)):
            chain = lambda y: (1 + y) / y * ((y + slope) / slope) ** depth
            slope_at = lambda y: mpmath.diff(lambda u: mpmath.log(chain(u)), y)
            where = mpmath.findroot(slope_at, (mpmath.mpf(slope) / depth, mpmath.mpf(slope) / depth * 1.2))
            yield {p: slope, L: depth, point: where, x_max: lowest(chain, where)}

    return Entry(
        key="largest-eigenvalue-gaussian",
        title="Largest eigenvalue of critical Gaussian chains",
        statement=(
            eq(point, (-(L - 1) + sp.sqrt((L - 1) ** 2 + 4 * L * p)) / (2 * L)),
            eq(x_max, (1 + point) / point * ((point + p) / p) ** L),
        ),
        hypotheses=(_WIDE, "Slopes 1 with probability $p$ and 0 otherwise, at criticality, $σ_w^2 p = 1$."),
        source=(("Pennington2018", ""),),
        steps=(
            Step(
                "Critical point",
                (eq(L * point**2 + (L - 1) * point - p, sp.Integer(0)),),
                "The derivative of $\\log z$, $z = (1+m) (m+p)^L/(m p^L)$, cleared of denominators.",
                "derived here",
            ),
        ),
        derivation_of=lambda: derive(Chain(L, "hard_tanh", sigma_w=sigma)),
        law=lambda depth, p: slopes_law("gaussian", depth, p, 1 / p),
        arguments=({"depth": 4, "p": 0.5},),
        witnesses=witnesses,
        witnessed_by="a numeric root and a numeric minimum of z(m)",
        tolerance=1e-9,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _fuss_catalan_moments(),
        _fuss_catalan_edge(),
        _fuss_catalan_density(),
        _largest_orthogonal(),
        _largest_gaussian(),
    )
