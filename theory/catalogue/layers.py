"""What ensembles of weights and convolutions contribute to a layer.

This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterator

import mpmath
import numpy as np
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.catalogue.published import Entry, Witness, eq

__all__ = ["build"]

L = sp.Symbol("L", positive=True, integer=True)
mu_1, mu_2, w_2, m_2 = sp.symbols("mu_1 mu_2 w_2 m_2", positive=True)
spread = sp.Symbol("Var", positive=True)


def _weights_of_any_law() -> Entry:
    def witnesses() -> Iterator[Witness]:
        for gains, eigenvalues in (((0.2, 1.0, 0.7), (0.5, 1.5)), ((1.0, 0.0), (0.0, 1.0, 2.0))):
            mean, square = np.mean(gains), np.mean(np.square(gains))
            second = np.mean(np.square(eigenvalues))
            yield {mu_1: mean, mu_2: square, w_2: second, m_2: _haar_average(gains, eigenvalues)}
            for depth in (1, 4):
                law = _chain_variance(gains, eigenvalues, depth)
                yield {mu_1: mean, mu_2: square, w_2: second, L: depth, spread: law}

    return Entry(
        key="weights-of-any-law",
        title="Layers whose weights have singular values of any law",
        statement=(
            eq(m_2, mu_2 + mu_1**2 * (w_2 - 1)),
            eq(spread, L * (mu_2 / mu_1**2 + w_2 - 2)),
        ),
        hypotheses=(
            "$W = O\\,diag(√λ)\\,O'$ with independent Haar matrices, $λ$ of mean 1 and mean square $w_2$; $μ_k$ the "
            "moments of $φ'^2$. $m_2$ is the second moment of one layer, $Var$ the variance of $L$ layers over the "
            "squared mean.",
            "$w_2 = 1$ for orthogonal weights, 2 for independent entries of any law.",
        ),
        source=(("Pennington2018", ""), ("", "derived here")),
        steps=(
            Step(
                "S of a layer",
                (eq(sp.Symbol("S"), sp.Symbol("S_D") * sp.Symbol("S_W")),),
                "Haar matrices make the weights free of the gates; S multiplies, and so adds the relative variances.",
                "Voiculescu 1987, theorem 2.6",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="Haar averages by Weingarten's formula at a finite size, extrapolated; moments of free products",
        tolerance=1e-9,
    )


def _haar_average(gains: tuple[float, ...], eigenvalues: tuple[float, ...]) -> float:
    """Lim tr(A U B U* A U B U*)/N of Haar unitary U, from Weingarten's formula at two sizes (Collins 2003)."""
    a1, a2 = np.mean(gains), np.mean(np.square(gains))
    b1, b2 = np.mean(eigenvalues), np.mean(np.square(eigenvalues))

    def exact(n: int) -> float:
        # E Σ A_i A_k B_j B_l U_ij U*_kj U_kl U*_il with Wg(1) = 1/(n²-1), Wg(-1) = -1/(n(n²-1))
        same, other = 1 / (n * n - 1), -1 / (n * (n * n - 1))
        aa, bb, a_, b_ = n * a2, n * b2, (n * a1) ** 2, (n * b1) ** 2
        return float((same * (aa * b_ + a_ * bb) + other * (a_ * b_ + aa * bb)) / n)

    # corrections are even in 1/n
    low, high = exact(10**4), exact(2 * 10**4)
    return high + (high - low) / 3


def _chain_variance(gains: tuple[float, ...], eigenvalues: tuple[float, ...], depth: int) -> float:
    """The relative variance of the free product of all layers, from its moments."""
    from rmt.algebra.free_power import FreePower
    from rmt.algebra.free_product import FreeProduct
    from rmt.laws.discrete import Discrete

    def law(values: tuple[float, ...]) -> Discrete:
        return Discrete({x: values.count(x) / len(values) for x in values})

    layer = FreeProduct((law(gains), law(eigenvalues)))
    first, second = (layer if depth == 1 else FreePower(layer, depth)).moments(2)
    return float(second / first**2 - 1)


def _kurtosis() -> Entry:
    density, uniform, sparse = sp.symbols("p kappa_uniform kappa_sparse", positive=True)

    def witnesses() -> Iterator[Witness]:
        moment = lambda k: mpmath.quad(lambda x: x**k / 2, [-1, 1])
        yield {uniform: moment(4) / moment(2) ** 2}
        for share in (sp.Rational(1, 10), sp.Rational(2, 3)):
            kept = mpmath.mpf(share.p) / share.q
            normal = lambda k: mpmath.quad(lambda x: x**k * mpmath.npdf(x), [-mpmath.inf, 0, mpmath.inf])
            yield {density: share, sparse: kept * normal(4) / (kept * normal(2)) ** 2}

    return Entry(
        key="weights-kurtosis",
        title="Kurtosis of uniform and of sparse weights",
        statement=(eq(uniform, sp.Rational(9, 5)), eq(sparse, 3 / density)),
        hypotheses=(
            "Fourth moment of an entry over its squared variance: uniform on an interval around 0, and Gaussian kept "
            "with probability $p$. The law of $J J^T$ at infinite width does not see it; the fourth moments of the "
            "signal at finite width do.",
        ),
        source=(("HaninNica2018", ""), ("", "derived here")),
        steps=(
            Step(
                "Moments of a masked variable",
                (eq(sp.Symbol("E x^k"), density * sp.Symbol("E g^k")),),
                "A mask multiplies every moment by $p$.",
                "definition",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature",
    )


def _delta_orthogonal() -> Entry:
    q, rho, sigma_w, sigma_b, c_next = sp.symbols("q rho sigma_w sigma_b C", positive=True)

    def witnesses() -> Iterator[Witness]:
        for variance, overlap, weight, bias in ((0.8, 0.3, 1.4, 0.2), (2.0, 0.9, 0.7, 0.5)):
            s, r = mpmath.sqrt(variance), mpmath.mpf(overlap)
            # the plane in polar coordinates: both pre-activations are positive in a wedge of angle π - arccos ρ
            wedge = lambda t: mpmath.cos(t) * mpmath.cos(t - mpmath.acos(r))
            angular = mpmath.quad(wedge, [mpmath.acos(r) - mpmath.pi / 2, mpmath.pi / 2])
            radial = mpmath.quad(lambda u: u**3 * mpmath.exp(-(u**2) / 2), [0, mpmath.inf]) / (2 * mpmath.pi)
            product = s**2 * angular * radial
            yield {
                q: mpmath.mpf(variance),
                rho: r,
                sigma_w: mpmath.mpf(weight),
                sigma_b: mpmath.mpf(bias),
                c_next: mpmath.mpf(bias) ** 2 + mpmath.mpf(weight) ** 2 * product,
            }

    kernel = (sp.sqrt(1 - rho**2) + rho * (sp.pi - sp.acos(rho))) / (2 * sp.pi)
    return Entry(
        key="delta-orthogonal-covariance",
        title="Covariance between positions of a delta-orthogonal convolution (ReLU)",
        statement=(eq(c_next, sigma_b**2 + sigma_w**2 * q * kernel),),
        hypotheses=(
            "Kernel 0 but at its centre, where it is $σ_w$ times a Haar orthogonal matrix; many channels. The "
            "pre-activations at two positions have variance $q$ and correlation $ρ$; $C$ is the covariance behind the "
            "next convolution. The Jacobian has one block a position, each with the law of the connected network.",
        ),
        source=(("Xiao2018", ""), ("ChoSaul2009", "")),
        steps=(
            Step(
                "The same matrix at every position",
                (eq(sp.Symbol("h_alpha"), sp.Symbol("W") * sp.Symbol("x_alpha") + sp.Symbol("b")),),
                "Positions do not mix, and two of them are two inputs of one connected layer.",
                "Xiao et al. 2018, arXiv:1806.05393",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature in polar coordinates of the plane of both pre-activations",
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (_weights_of_any_law(), _kurtosis(), _delta_orthogonal())
