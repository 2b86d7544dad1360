"""Random features: the spectrum of the Gram matrix behind one nonlinear layer.

After Pennington, Worah, 2017. This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

import rmt
from rmt import series
from rmt.laws.free_poisson import FreePoisson
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.symbolic.derivation import G, Step, z
from theory.activations import get_activation
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import average

__all__ = ["build"]

WORAH = "Pennington, Worah 2017"
eta, zeta, phi, psi = sp.symbols("eta zeta phi psi", positive=True)
P, t = sp.symbols("P t")


def _feature_law(eta: Any, zeta: Any, phi: Any, psi: Any) -> Any:
    """Law of Y Yᵀ/m for Y = √ζ W X + √(η-ζ) Z: what f(W X) is equivalent to."""
    # W B Wᵀ, B = X Xᵀ/m, is a sum of ψ n_1 free terms of rank one and size b/ψ
    linear = zeta * FreePoisson(psi, MarchenkoPastur(phi) * (1 / psi))
    ratio = phi / psi
    return rmt.RectangularSum((linear, (eta - zeta) * MarchenkoPastur(ratio)), ratio)


def _law() -> Entry:
    def witnesses() -> Iterator[Witness]:
        for numbers in ((1.0, 0.6, 0.5, 1.5), (0.7, 0.2, 0.3, 0.8)):
            second, slope, first_ratio, second_ratio = numbers
            order = 40
            wishart = _narayana(first_ratio, order)
            jumps = [value / second_ratio**k for k, value in enumerate(wishart, 1)]
            linear = series.free_cumulants_to_moments([second_ratio * value for value in jumps])
            ratio = first_ratio / second_ratio
            signal = series.moments_to_rectangular_cumulants([slope**k * v for k, v in enumerate(linear, 1)], ratio)
            signal[0] += second - slope  # the noise has one rectangular cumulant, its variance
            moments = series.rectangular_cumulants_to_moments(signal, ratio)
            for point in (60.0 + 11j, -45.0 + 3j):
                cauchy = sum(v * point ** (-k - 1) for k, v in enumerate([1.0, *moments]))
                yield {
                    eta: second,
                    zeta: slope,
                    phi: first_ratio,
                    psi: second_ratio,
                    z: point,
                    G: cauchy,
                    t: 1 / (point * second_ratio),
                    P: (point * cauchy - 1 + second_ratio) / second_ratio,
                }

    p_phi, p_psi = 1 + (P - 1) * phi, 1 + (P - 1) * psi
    product = p_phi * p_psi * t
    return Entry(
        key="random-features",
        title="Spectrum of random features",
        statement=(
            eq(P, 1 + (eta - zeta) * product + product * zeta / (1 - product * zeta)),
            eq(G, psi / z * P + (1 - psi) / z),
            eq(t, 1 / (z * psi)),
        ),
        hypotheses=(
            "$Y = f(W X)$, $M = Y Y^T/m$: $X$ of shape $n_0 × m$ with N(0, 1) entries, $W$ of shape $n_1 × n_0$ with "
            "entries of variance $1/n_0$, $φ = n_0/m$, $ψ = n_0/n_1$, all infinite.",
            "$η = ⟨f^2⟩$, $ζ = ⟨f'⟩^2$, $⟨f⟩ = 0$, over N(0, 1).",
        ),
        source=(("PenningtonWorah2017", "theorem 1"),),
        steps=(
            Step(
                "Equivalent linear features",
                (eq(sp.Symbol("Y"), sp.sqrt(zeta) * sp.Symbol("W X") + sp.sqrt(eta - zeta) * sp.Symbol("Z")),),
                "To leading order $f(W X)$ acts as its linear part plus independent noise.",
                WORAH,
            ),
            Step(
                "Information plus noise",
                (eq(sp.Symbol("M"), sp.Symbol("Y") * sp.Symbol("Y^T") / sp.Symbol("m")),),
                "The rectangular free sum of a product of Wishart matrices and a Wishart matrix, see "
                "`polynomial-grammian`.",
                "derived here",
            ),
        ),
        law=_feature_law,
        arguments=({"eta": 1.0, "zeta": 0.6, "phi": 0.5, "psi": 1.5},),
        witnesses=witnesses,
        witnessed_by="rectangular cumulants of linear features plus noise, 40 moments",
        tolerance=1e-9,
    )


def _narayana(ratio: float, order: int) -> list[float]:
    """Moments of a Marchenko-Pastur law from its free cumulants."""
    return [float(v) for v in series.free_cumulants_to_moments([ratio**k for k in range(order)])]


def _nonlinearity() -> Entry:
    mean_slope, linear_part = sp.symbols("f_1 f_h", real=True)

    def witnesses() -> Iterator[Witness]:
        for name in ("tanh", "gelu"):
            function = get_activation(name)
            value = lambda h: function.phi(float(h))
            slope = lambda h: function.dphi(float(h))
            yield {mean_slope: average(slope), linear_part: average(lambda h: value(h) * h)}

    return Entry(
        key="random-features-slope",
        title="The linear part of a random feature",
        statement=(eq(linear_part, mean_slope),),
        hypotheses=("$f_1 = ⟨f'⟩$ and $f_h = ⟨h f(h)⟩$ over N(0, 1): $ζ = f_1^2$.",),
        source=(("PenningtonWorah2017", ""),),
        steps=(
            Step(
                "Stein's identity",
                (
                    eq(
                        sp.Symbol("h") * sp.exp(-(sp.Symbol("h") ** 2) / 2),
                        -sp.Derivative(sp.exp(-(sp.Symbol("h") ** 2) / 2), sp.Symbol("h")),
                    ),
                ),
                "By parts: $\\sqrt{ζ}$ is the coefficient of the linear Hermite polynomial in $f$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature",
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (_law(), _nonlinearity())
