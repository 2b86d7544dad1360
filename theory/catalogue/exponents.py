"""Deep products at finite width: Lyapunov exponents, singular values of Ginibre products, narrow residual networks.

After Newman 1986, Akemann and Ipsen, arXiv:1502.01667, and Li, Nica, Roy, arXiv:2106.04013. This module loads sympy:
import it inside functions only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import extrapolated, gaussian_matrices

__all__ = ["build"]

NEWMAN = "Newman 1986"
N, k, M, d = sp.symbols("N k M d", positive=True, integer=True)
exponent, growth = sp.symbols("lambda_k growth", real=True)
_QR = Step(
    "QR decomposition",
    (eq(sp.Symbol("R_kk^2"), sp.Symbol("chi^2_(N-k+1)")),),
    "The $k$-th column of a Gaussian matrix, orthogonal to those before, has $N - k + 1$ independent components; the "
    "product's volumes grow by factors that are independent from layer to layer.",
    NEWMAN,
)


def _log_chi(freedom: int) -> Any:
    """E log|g| of a Gaussian vector with `freedom` components, by quadrature over the logarithm of its square."""
    weight = lambda u: mpmath.exp(u * freedom / mpmath.mpf(2) - mpmath.exp(u) / 2)
    cuts = [-140, -40, -10, -3, 0, 1, 2, 5]
    return mpmath.quad(lambda u: weight(u) * u, cuts) / mpmath.quad(weight, cuts) / 2


def _log_sine(dimension: int) -> Any:
    """E log sin θ between two independent directions in a space of this dimension."""
    weight = lambda u: mpmath.sin(u) ** (dimension - 2)
    cuts = [0, 1e-6, 0.1, mpmath.pi / 2]
    return mpmath.quad(lambda u: weight(u) * mpmath.log(mpmath.sin(u)), cuts) / mpmath.quad(weight, cuts)


def _second_exponent(active: int) -> Any:
    """E log of the second factor of the area of two Gaussian vectors: |g| sin θ."""
    return _log_chi(active) + _log_sine(active)


def _gaussian() -> Entry:
    def witnesses() -> Iterator[Witness]:
        for size in (2, 5):
            scale = -mpmath.log(size) / 2
            yield {N: size, k: 1, exponent: _log_chi(size) + scale}
            yield {N: size, k: 2, exponent: _second_exponent(size) + scale}
        # the determinant of a 2 × 2 Gaussian matrix has the Laplace law e^{-|x|}/2
        total = mpmath.quad(lambda u: mpmath.exp(u - mpmath.exp(u)) * u, [-80, -20, -4, 0, 2, 4.5])
        yield {N: 2, k: 2, exponent: total - mpmath.log(2) - (_log_chi(2) - mpmath.log(2) / 2)}

    return Entry(
        key="lyapunov-gaussian",
        title="Lyapunov exponents of Gaussian products",
        statement=(eq(exponent, (sp.polygamma(0, (N - k + 1) / 2) + sp.log(2 / N)) / 2),),
        hypotheses=(
            "Real $N × N$ matrices with entries of variance $1/N$. $λ_1 ≥ λ_2 ≥ …$ are the rates at "
            "which the logarithms "
            "of singular values grow per layer.",
        ),
        source=(("Newman1986", ""), ("AkemannIpsen2015", "")),
        steps=(_QR,),
        witnesses=witnesses,
        witnessed_by="quadrature over lengths and angles, and the Laplace law of a determinant",
        tolerance=1e-9,
    )


def _relu() -> Entry:
    j = sp.Symbol("j", integer=True)

    def witnesses() -> Iterator[Witness]:
        for size in (2, 4):
            scale = mpmath.log(2 / mpmath.mpf(size)) / 2
            for order, factor in ((1, _log_chi), (2, _second_exponent)):
                weights = {active: math.comb(size, active) for active in range(order, size + 1)}
                mean = sum(w * factor(active) for active, w in weights.items()) / sum(weights.values())
                yield {N: size, k: order, exponent: mean + scale}

    weight = sp.binomial(N, j)
    term = (sp.polygamma(0, (j - k + 1) / 2) + sp.log(4 / N)) / 2
    return Entry(
        key="lyapunov-relu",
        title="Lyapunov exponents of ReLU networks",
        statement=(eq(exponent, sp.Sum(weight * term, (j, k, N)) / sp.Sum(weight, (j, k, N))),),
        hypotheses=(
            "ReLU, Gaussian weights of variance $2/N$, no biases; the number $K$ of active neurons is "
            "binomial $(N, 1/2)$ "
            "in each layer, given that it is at least $k$.",
        ),
        source=(("", "derived here"), ("Newman1986", "")),
        steps=(
            Step(
                "Active rows",
                (eq(exponent, sp.Symbol("E_K")),),
                "The gates leave $K$ independent rows: the $k$-th factor is $χ^2_{K-k+1}$, times $2/N$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature over lengths and angles, given the number of active neurons",
        tolerance=1e-9,
    )


def _triangle() -> Entry:
    level, squared = sp.symbols("y s_2", positive=True)

    def witnesses() -> Iterator[Witness]:
        for fraction in (mpmath.mpf("0.25"), mpmath.mpf("0.75")):
            with mpmath.workdps(30):
                rate = extrapolated(lambda s: mpmath.exp(_rate(s, fraction * s)), 64, 6)
            yield {level: fraction, squared: rate}

    return Entry(
        key="triangle-law",
        title="The triangle law of deep and wide products",
        statement=(eq(squared, 1 - level),),
        hypotheses=(
            "First depth $M → ∞$, then $N → ∞$: $s_2 = s^{2/M}$ of the singular value of rank $k = y N$ "
            "is $1 - y$, so that "
            "$s^{2/M}$ is uniform on $[0, 1]$.",
        ),
        source=(("Newman1986", ""), ("AkemannIpsen2015", "")),
        steps=(
            Step(
                "Large argument",
                (eq(sp.Symbol("exp(2 lambda_k)"), (N - k + 1) / N),),
                "$ψ(x) = \\log x + O(1/x)$ in the exponents.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the exponents at sizes 64 to 2048, extrapolated in 1/N",
    )


def _rate(size: Any, order: Any) -> Any:
    return mpmath.digamma((size - order + 1) / 2) + mpmath.log(2 / size)


def _resolution() -> Entry:
    ratio, beta, nu = sp.symbols("r beta nu", positive=True)

    def witnesses() -> Iterator[Witness]:
        for index in (1, 2):
            # log χ²_{βν}/2: its variance a layer, and the distance to the next exponent
            def square(freedom: Any, b: int = index) -> Any:
                spacing = (mpmath.digamma(b * freedom / 2) - mpmath.digamma(b * (freedom - 1) / 2)) / 2
                return mpmath.psi(1, b * freedom / 2) / 4 / spacing**2 / freedom  # tends to a constant

            with mpmath.workdps(30):
                limit = extrapolated(square, 64, 6)
            yield {beta: index, nu: 3, M: 7, ratio: mpmath.sqrt(limit * 3 / 7)}

    return Entry(
        key="exponent-resolution",
        title="When single singular values of deep products are resolved",
        statement=(eq(ratio, sp.sqrt(2 * nu / (beta * M))),),
        hypotheses=(
            "$r$ is the standard deviation of $λ_k$ over $M$ layers, divided by the distance to $λ_{k+1}$, for large "
            "$ν = N - k + 1$; real ($β = 1$) or complex ($β = 2$) Gaussian matrices. Resolved means depth above width.",
        ),
        source=(("", "derived here"), ("AkemannIpsen2015", "")),
        steps=(
            Step(
                "One layer",
                (
                    eq(sp.Symbol("Var"), sp.polygamma(1, beta * nu / 2) / 4),
                    eq(
                        sp.Symbol("spacing"),
                        (sp.polygamma(0, beta * nu / 2) - sp.polygamma(0, beta * (nu - 1) / 2)) / 2,
                    ),
                ),
                "$\\log R_{kk}$ is half the logarithm of a chi-square variable; for large $ν$ the "
                "variance is $1/(2 β ν)$ "
                "and the spacing $1/(2 ν)$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="polygamma functions, extrapolated in $1/ν$",
    )


def _ginibre() -> Entry:
    x, density, trace = sp.symbols("x R_1 I_r", positive=True)
    order, j = sp.symbols("k j", integer=True, nonnegative=True)
    r = sp.Symbol("r", integer=True, positive=True)

    def witnesses() -> Iterator[Witness]:
        # two factors as a polynomial ensemble: powers of x against Bessel weights, and the inverse of their Gram matrix
        for size in (1, 2, 3):
            gram = mpmath.matrix(size, size)
            for a, b in itertools.product(range(size), repeat=2):
                gram[a, b] = mpmath.gamma(a + 1) * mpmath.gamma(a + b + 1)
            inverse = gram**-1
            for point in (mpmath.mpf("0.4"), mpmath.mpf("2.5")):
                root = mpmath.sqrt(point)
                bessel = [2 * root**b * mpmath.besselk(b, 2 * root) for b in range(size)]
                total = sum(bessel[b] * inverse[b, a] * point**a for a, b in itertools.product(range(size), repeat=2))
                yield {N: size, x: point, density: total}
        for power, value in enumerate(_ginibre_traces(3), 1):
            yield {M: 2, N: 2, r: power, trace: value}
        for size in (2, 4):
            yield {M: 1, N: size, r: 2, trace: 2 * size**3}
            yield {M: 3, N: size, r: 1, trace: size**4}

    def term(factors: Any) -> Any:
        """Coefficient of x^j in P_k, over (k!)^(M+1)."""
        return (-1) ** (order + j) / sp.factorial(j) ** (factors + 1) / sp.factorial(order - j)

    bessel = sp.meijerg([[], [-order]], [[0, 0, 0], []], x)
    return Entry(
        key="ginibre-products",
        title="Singular values of products of complex Gaussian matrices at finite size",
        statement=(
            eq(density, sp.Sum(sp.Sum(term(2) * x**j, (j, 0, order)) * bessel, (order, 0, N - 1))),
            eq(
                trace,
                sp.Sum(
                    sp.Sum(
                        term(M) * sp.gamma(j + r + 1) ** (M + 1) * sp.ff(j + r, order) / sp.gamma(j + r + 1),
                        (j, 0, order),
                    ),
                    (order, 0, N - 1),
                ),
            ),
        ),
        hypotheses=(
            "$X$ is a product of $M$ complex $N × N$ Ginibre matrices, entries of variance 1. $R_1$ is "
            "the level density "
            "of $X X^*$ (of integral $N$) for $M = 2$, $I_r$ the mean of the trace of $(X X^*)^r$ for any $M$.",
            "In general $R_1$ is the sum of $P_k Q_k/(k!)^{M+1}$ with the Meijer function of $M + 1$ zeros.",
        ),
        source=(("AkemannIpsen2015", ""),),
        steps=(
            Step(
                "Biorthogonal functions",
                (eq(sp.Symbol("Int_PkQl"), sp.factorial(order) ** (M + 1) * sp.KroneckerDelta(order, sp.Symbol("l"))),),
                "Multiplication by a Ginibre matrix maps the weights by a convolution, of Mellin transform $Γ(s)$.",
                "Akemann, Ipsen 2015",
            ),
            Step(
                "Mellin transform",
                (eq(sp.Symbol("Int_x^(s-1)Q_k"), sp.gamma(x) ** (M + 1) / sp.gamma(x - order)),),
                "Here $x$ stands for $s$: a Meijer function, and the traces by inserting $P_k$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="a polynomial ensemble with Bessel weights, and integrals over singular values and one angle",
        tolerance=1e-9,
    )


def _ginibre_traces(count: int) -> list[float]:
    """E tr (XX*)^r, r = 1 … count, for X = G_1 G_2 of size 2, over the singular values of both and one angle."""
    nodes, weights = np.polynomial.laguerre.laggauss(8)
    angles, masses = np.polynomial.legendre.leggauss(6)
    cosines, masses = (angles + 1) / 2, masses / 2  # |U_11|² of a Haar matrix is uniform
    a1, a2, b1, b2, c = np.meshgrid(nodes, nodes, nodes, nodes, cosines, indexing="ij")
    w = np.einsum("i,j,k,l,m->ijklm", weights, weights, weights, weights, masses) * (a1 - a2) ** 2 * (b1 - b2) ** 2
    w /= w.sum()
    traces = (a1 * b1 + a2 * b2) * c + (a1 * b2 + a2 * b1) * (1 - c)
    determinant = a1 * a2 * b1 * b2
    powers = [2 * np.ones_like(traces), traces]
    for _ in range(count - 1):
        powers.append(traces * powers[-1] - determinant * powers[-2])
    return [float(np.sum(w * p)) for p in powers[1:]]


def _balanced() -> Entry:
    alpha, lam, n, variance, mean = sp.symbols("alpha lambda n Var_log E_log", real=True)

    def witnesses() -> Iterator[Witness]:
        for a in (0.8, 0.6):
            strength = math.sqrt(1 - a * a)
            # one layer at width 2, z Gaussian: exact averages of a polynomial of degree 4 (even in each entry)
            weights, masses = gaussian_matrices(2)
            fourth = norm = 0.0
            rule = ((-math.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (math.sqrt(3.0), 1 / 6))
            for (z1, p1), (z2, p2) in itertools.product(rule, repeat=2):
                for signs in itertools.product((1, -1), repeat=2):
                    # independent signs: the layer sees them, the skip does not
                    active = np.maximum([signs[0] * z1, signs[1] * z2], 0)
                    out = a * np.array([z1, z2]) + strength * (weights @ active)
                    fourth += p1 * p2 / 4 * float(masses @ np.sum(out**2, axis=1) ** 2)
                norm += p1 * p2 * (z1 * z1 + z2 * z2) ** 2
            yield {alpha: a, lam: strength, n: 2, growth: fourth / norm}
            yield {alpha: a, lam: strength, d: 3, n: 50, **_log_statistics(a, strength, 3, 50, variance, mean)}

    return Entry(
        key="balanced-relu-resnet",
        title="Log-Gaussian norms in balanced ReLU residual networks",
        statement=(
            eq(growth, 1 + (5 * lam**4 + 4 * alpha**2 * lam**2) / n),
            eq(variance, (5 * lam**4 + 4 * alpha**2 * lam**2) * d / n),
            eq(mean, -variance / 2),
        ),
        hypotheses=(
            "$z' = α z + λ \\sqrt{2/n} W relu(ε z)$ with independent signs $ε$, $α^2 + λ^2 = 1$, "
            "standard Gaussian $W$. The "
            "growth is that of the mean of $|z|^4$ per layer, $z$ Gaussian.",
            "Mean and variance of $\\log|z|^2$ after $d$ layers are to first order in $1/n$.",
        ),
        source=(("LiNicaRoy2021", ""),),
        steps=(
            Step(
                "One layer",
                (
                    eq(
                        sp.Symbol("|z'|^2/|z|^2"),
                        alpha**2
                        + lam**2 * sp.Symbol("X") * sp.Symbol("Y")
                        + 2 * alpha * lam * sp.sqrt(sp.Symbol("X") / n) * sp.Symbol("g"),
                    ),
                ),
                "$X$, the active share, has variance $3/n$, $Y = χ^2_n/n$ variance $2/n$, and $g$ is N(0, 1); the mean "
                "square is kept, which fixes the mean of the logarithm.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="exact averages at width 2, and quadrature over the three variables of a "
        "layer, "
        "extrapolated in 1/n",
        tolerance=1e-8,
    )


def _log_statistics(a: float, strength: float, layers: int, width: int, variance: Any, mean: Any) -> dict[Any, Any]:
    """First order in 1/n of the statistics of the logarithm, from a Gauss-Hermite rule over X, Y and g."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()
    x, y, g = np.meshgrid(nodes, nodes, nodes, indexing="ij")
    w = weights[:, None, None] * weights[None, :, None] * weights[None, None, :]

    def moments(n: Any) -> tuple[float, float]:
        n = float(n)
        share = 1 + math.sqrt(3 / n) * x
        logs = np.log1p(
            strength**2 * (share * (1 + math.sqrt(2 / n) * y) - 1) + 2 * a * strength * np.sqrt(share / n) * g
        )
        first = float(np.sum(w * logs))
        return n * first, n * float(np.sum(w * (logs - first) ** 2))

    drift, spread = (extrapolated(lambda n: moments(n)[j], 10**4, 4, 4) for j in (0, 1))
    return {mean: drift * layers / width, variance: spread * layers / width}


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (_gaussian(), _relu(), _triangle(), _resolution(), _ginibre(), _balanced())
