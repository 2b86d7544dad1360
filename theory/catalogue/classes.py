"""Limits of deep plain chains in which the spectrum stays of order one, and chains whose layers change the width.

After Pennington, Schoenholz, Ganguli, arXiv:1802.09979, and Chhaibi, Daouda, Kahn, arXiv:2111.00841. This module loads
sympy: import it inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from rmt import series
from rmt.algebra.affine import Affine
from rmt.laws.free_multiplicative_brownian import FreeMultiplicativeBrownian
from rmt.laws.implicit import ImplicitLaw
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic.derivation import Step, m, to_sympy, z
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import extrapolated, free_product, lowest, s_at

__all__ = ["build"]

PENNINGTON = "Pennington, Schoenholz, Ganguli 2018, arXiv:1802.09979"
s_0, x_max, c, k = sp.symbols("s_0 x_max c k", positive=True)
L = sp.Symbol("L", positive=True, integer=True)
S = sp.Symbol("S")
_DEEP = (
    "Orthogonal weights, infinite width, criticality $σ_w^2 μ_1 = 1$, and then $L → ∞$ with "
    "$s_0 = L (μ_2/μ_1^2 - 1)$ fixed."
)
# at s_0 = 1, to be told apart from the general edge
smooth_edge, bernoulli_edge = sp.symbols("x_1smooth x_1Bernoulli", positive=True)


def _two_gains(depth: Any, spread: Any) -> Callable[[Any], Any]:
    """z(m) of L layers whose squared slopes are 1 ± sqrt(spread/L), each with probability 1/2: a smooth class."""

    def place(moment: Any) -> Any:
        # ψ(w) = moment is a quadratic equation for w
        w = (1 + 2 * moment + mpmath.sqrt(1 + 4 * moment * (1 + moment) * spread / depth)) / (2 * moment)
        return (1 + moment) / moment * ((moment * w) / (1 + moment)) ** depth

    return place


def _two_atoms(depth: Any, spread: Any) -> Callable[[Any], Any]:
    """z(m) of L layers of slopes 0 and 1 with (1-p)/p = spread/L."""
    p = 1 / (1 + spread / depth)
    return lambda moment: (1 + moment) / moment * ((moment + p) / (p * (1 + moment))) ** depth


def _witnesses(chain: Callable[..., Any], spreads: tuple[Any, ...]) -> Iterator[Witness]:
    """S and the edge of a class as limits of chains of finite depth."""
    with mpmath.workdps(40):
        for spread in spreads:
            number = mpmath.mpf(spread)
            moment = mpmath.mpf("0.37")
            limit = extrapolated(lambda n: chain(n, number)(moment), 10**5, 4, 4)
            edge = extrapolated(lambda n: lowest(chain(n, number), 1 / number), 10**5, 4, 4)
            yield {s_0: number, m: moment, z: limit, S: (1 + moment) / (moment * limit), x_max: edge}


def _smooth() -> Entry:
    root = (-1 + sp.sqrt(1 + 4 / s_0)) / 2

    def witnesses() -> Iterator[Witness]:
        for witness in _witnesses(_two_gains, ("0.5", "3", "1")):
            yield {**witness, smooth_edge: witness[x_max]} if witness[s_0] == 1 else witness

    return Entry(
        key="smooth-class",
        title="The smooth class of deep orthogonal chains",
        statement=(eq(S, sp.exp(-s_0 * m)), eq(x_max, (1 + root) / root * sp.exp(s_0 * root))),
        hypotheses=(_DEEP, "The slopes concentrate at one value, as for smooth activations with small $q$."),
        source=(("Pennington2018", ""),),
        quoted={smooth_edge: "4.857178"},
        steps=(
            Step(
                "One layer",
                (eq(sp.Symbol("S_1"), 1 - s_0 * m / L + sp.Order(L**-2, (L, sp.oo))),),
                "The law of $D^2$ has mean 1, variance $s_0/L$ and higher cumulants of higher order.",
                PENNINGTON,
            ),
            Step(
                "Critical point",
                (eq(m * (1 + m), 1 / s_0),),
                "$\\log z = \\log(1+m) - \\log m + s_0 m$.",
                "derived here",
            ),
        ),
        law=lambda s_0: Affine(FreeMultiplicativeBrownian(s_0), math.exp(-s_0 / 2)),
        arguments=({"s_0": 0.5}, {"s_0": 2.0}),
        witnesses=witnesses,
        witnessed_by="chains of finite depth with two slopes, extrapolated in 1/L",
        tolerance=1e-9,
    )


def _bernoulli() -> Entry:
    mass, top = sp.symbols("mass x_top", positive=True)

    def witnesses() -> Iterator[Witness]:
        yield from _witnesses(_two_atoms, ("1.5", "3"))
        for spread in (Fraction(1, 4), Fraction(1)):
            # at finite depth: mass 1 - L(1-p) at p^-L
            with mpmath.workdps(40):
                number = mpmath.mpf(spread.numerator) / spread.denominator
                slope = lambda n: 1 / (1 + number / n)
                found = extrapolated(lambda n: slope(n) ** (-n), 10**5, 4, 4)
                yield {
                    s_0: spread,
                    mass: extrapolated(lambda n: 1 - n * (1 - slope(n)), 10**5, 4, 4),
                    top: found,
                    **({bernoulli_edge: found} if spread == 1 else {}),
                }

    return Entry(
        key="bernoulli-class",
        title="The Bernoulli class of deep orthogonal chains",
        statement=(
            eq(S, sp.exp(-s_0 * m / (1 + m))),
            eq(m / (1 + m), -sp.LambertW(-s_0 / z) / s_0),
            eq(x_max, s_0 * sp.E),
            eq(mass, 1 - s_0),
            eq(top, sp.exp(s_0)),
        ),
        hypotheses=(
            _DEEP,
            "Slopes 0 and 1, as for hard tanh with small $q$: $s_0 = L (1-p)/p$.",
            "The edge $x_{max}$ for $s_0 ≥ 1$; for $s_0 < 1$ an atom at $x_{top}$ with its mass. The "
            "branch of Lambert's "
            "function that is 0 at $z = ∞$.",
        ),
        source=(("Pennington2018", ""),),
        quoted={bernoulli_edge: "2.718282"},
        steps=(
            Step(
                "Many layers",
                (eq(((m + 1 / (1 + s_0 / L)) * (1 + s_0 / L) / (1 + m)) ** L, sp.Symbol("1/S")),),
                "$S = ((1+m)/(m+p))^L p^L$ at criticality; the power tends to an exponential.",
                PENNINGTON,
            ),
            Step(
                "Lambert's equation",
                (eq(z * sp.Symbol("y"), sp.exp(s_0 * sp.Symbol("y"))),),
                "$z = (1+m)/(m S)$ with $y = m/(1+m)$.",
                "derived here",
            ),
        ),
        law=lambda s_0: ImplicitLaw(s=sp.exp(-to_sympy(s_0) * m / (1 + m))),
        arguments=({"s_0": 2.0},),
        witnesses=witnesses,
        witnessed_by="chains of finite depth with slopes 0 and 1, extrapolated in 1/L",
        tolerance=1e-9,
    )


def _resnet_is_smooth() -> Entry:
    resnet, smooth = sp.symbols("m_k m_smooth", positive=True)

    def witnesses() -> Iterator[Witness]:
        for gain in (sp.Rational(1, 3), sp.Rational(5, 2)):
            exponential = series.exp([sp.Integer(0), -2 * gain, *([sp.Integer(0)] * 3)])
            plain = series.s_series_to_moments(exponential)
            for order, (left, right) in enumerate(zip(UniversalResNet(gain).moments(5), plain, strict=True), 1):
                yield {c: gain, k: order, resnet: left, smooth: right}

    return Entry(
        key="universal-resnet-is-smooth",
        title="The universal law of residual networks is a law of the smooth class",
        statement=(eq(resnet, sp.exp(c * k) * smooth),),
        hypotheses=(
            "$m_{smooth}$ is the $k$-th moment of the smooth class at $s_0 = 2c$, $m_k$ that of the "
            "universal law with $a = 1$.",
        ),
        source=(("", "derived here"),),
        steps=(
            Step(
                "The same S-transform up to a factor",
                (eq(sp.exp(-c * (1 + 2 * m)), sp.exp(-c) * sp.exp(-2 * c * m)),),
                "A factor $1/λ$ of S scales the variable by $λ$.",
                "definition",
            ),
        ),
        law=lambda c: UniversalResNet(c),
        arguments=({"c": 0.7},),
        witnesses=witnesses,
        witnessed_by="exact series of the one and Laguerre polynomials of the other",
    )


def _rectangular() -> Entry:
    p_1, p_2, l_1, l_2, strength_1, strength_2 = sp.symbols("p_1 p_2 Lambda_1 Lambda_2 sigma_1 sigma_2", positive=True)

    def witnesses() -> Iterator[Witness]:
        for n0, n1, n2, first, second in (
            (2, 3, 4, Fraction(4, 5), Fraction(1, 2)),
            (5, 3, 4, Fraction(1), Fraction(2, 3)),
        ):
            s1, s2 = Fraction(3, 2), Fraction(2, 3)
            # W2ᵀ D2² W2 is a sum of free rank-one terms, and so is W1ᵀ A W1 with A = D1 (W2ᵀ D2² W2) D1
            inner = _rank_one_sum(Fraction(n2, n1), s2**2, [second] * 10)
            gated = free_product(inner, [first] * 10)
            outer = _rank_one_sum(Fraction(n1, n0), s1**2, gated)
            yield {
                p_1: first,
                p_2: second,
                l_1: Fraction(n0, n1),
                l_2: Fraction(n0, n2),
                strength_1: s1,
                strength_2: s2,
                m: Fraction(1, 3000),
                S: s_at(outer, Fraction(1, 3000)),
            }

    def layer(p: Any, ratio: Any, strength: Any) -> Any:
        return (1 + ratio * m) / (p + ratio * m) / (strength**2 * (1 + ratio * m))

    return Entry(
        key="rectangular-chain",
        title="Chains whose layers change the width",
        statement=(eq(S, layer(p_1, l_1, strength_1) * layer(p_2, l_2, strength_2)),),
        hypotheses=(
            "$J = D_2 W_2 D_1 W_1$, widths $N_0, N_1, N_2$ infinite with $Λ_l = N_0/N_l$; the law is that of $J^T J$.",
            "Weights of variance $σ_l^2/N_l$; slopes 1 with probability $p_l$, 0 otherwise. In "
            "general the factor of a "
            "layer is $S_{D^2}(Λ_l m)/(σ_l^2 (1 + Λ_l m))$.",
        ),
        source=(("ChhaibiDaoudaKahn2022", ""),),
        steps=(
            Step(
                "From one size to another",
                (eq(sp.Symbol("m_B"), sp.Symbol("Lambda_l") * m),),
                "$A^T A$ and $A A^T$ have the same nonzero eigenvalues: their moment transforms differ by the ratio of "
                "the sizes.",
                "definition",
            ),
            Step(
                "One layer",
                (eq(sp.Symbol("S_W"), 1 / (sp.Symbol("sigma_l") ** 2 * (1 + sp.Symbol("Lambda_l") * m))),),
                "The Marchenko-Pastur law of the layer, seen from width $N_0$.",
                "Marchenko, Pastur 1967",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="free cumulants of sums of rank-one terms, 10 moments",
    )


def _rank_one_sum(rate: Any, strength: Any, moments: list[Any]) -> list[Any]:
    """Moments of WᵀAW, W with `rate` rows a column and entries of variance strength/(number of rows): free Poisson."""
    jump = strength / rate
    return series.free_cumulants_to_moments([rate * jump**j * value for j, value in enumerate(moments, 1)])


def _rank() -> Entry:
    zero, p_1, p_2, l_1, l_2 = sp.symbols("mass_0 p_1 p_2 Lambda_1 Lambda_2", positive=True)

    def witnesses() -> Iterator[Witness]:
        rng = np.random.default_rng(11)
        for n0, n1, n2, kept_1, kept_2 in ((20, 30, 40, 24, 12), (24, 40, 32, 16, 30), (10, 30, 30, 20, 20)):
            jacobian = (np.arange(n2) < kept_2)[:, np.newaxis] * rng.normal(size=(n2, n1))
            jacobian = jacobian @ ((np.arange(n1) < kept_1)[:, np.newaxis] * rng.normal(size=(n1, n0)))
            rank = int(np.linalg.matrix_rank(jacobian))
            yield {
                p_1: Fraction(kept_1, n1),
                p_2: Fraction(kept_2, n2),
                l_1: Fraction(n0, n1),
                l_2: Fraction(n0, n2),
                zero: 1 - Fraction(rank, n0),
            }

    return Entry(
        key="rectangular-chain-rank",
        title="Mass at zero of chains whose layers change the width",
        statement=(eq(zero, 1 - sp.Min(1, p_1 / l_1, p_2 / l_2)),),
        hypotheses=("As for `rectangular-chain`; $p_l$ is the probability that $φ' ≠ 0$ in layer $l$.",),
        source=(("ChhaibiDaoudaKahn2022", ""), ("BercoviciVoiculescu1998", "")),
        steps=(
            Step(
                "Ranks",
                (eq(sp.Symbol("rank"), sp.Min(sp.Symbol("N_0"), p_1 * sp.Symbol("N_1"), p_2 * sp.Symbol("N_2"))),),
                "Matrices in general position: the rank of a product is the least rank of its factors.",
                "Bercovici, Voiculescu 1998",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="ranks of random products",
        tolerance=0,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (_smooth(), _bernoulli(), _resnet_is_smooth(), _rectangular(), _rank())
