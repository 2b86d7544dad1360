"""Laws of networks whose width changes: the published S-transform, exact moments, ranks, and sampled matrices."""

from fractions import Fraction
from itertools import accumulate
from operator import mul

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import rmt
import theory
from theory.jacobian import jacobian_law
from theory.network import Activation, Dense, Repeat, Residual, Sequential
from theory.propagation import propagate

RATIOS = [(Fraction(1, 2), Fraction(3), Fraction(2, 3)), (Fraction(5, 2),), (Fraction(1, 3), 1), (2, 0.25, 0.75)]


def chain(ratios, activation="leaky_relu", weights="gaussian", sigma_w=Fraction(6, 5)):
    kinds = [weights] * len(ratios) if isinstance(weights, str) else weights
    layers = [
        [Dense(sigma_w, weights=kind, width_ratio=ratio), Activation(activation)]
        for ratio, kind in zip(ratios, kinds, strict=True)
    ]
    return Sequential([item for pair in layers for item in pair])


def without_zeros(law):
    """The law of the nonzero eigenvalues and their share."""
    share = 1 - float(law.support().atoms.get(0, 0))
    return [m / share for m in map(float, law.moments(6))], share


@pytest.mark.parametrize("ratios", RATIOS)
@pytest.mark.parametrize("activation", ["leaky_relu", "relu"])
def test_published_s_transform(ratios, activation):
    # Chhaibi, Daouda, Kahn (NeurIPS 2022) for JᵀJ with entries of variance σ²/N_l; here σ_w²/N_(l-1)
    law = jacobian_law(chain(ratios, activation))
    widths = list(accumulate([1.0, *map(float, ratios)], mul))
    slopes = {"relu": rmt.Discrete({0: 0.5, 1: 0.5}), "leaky_relu": rmt.Discrete({1e-4: 0.5, 1: 0.5})}[activation]
    n = 7
    coefficients = np.eye(n)[0]  # of S(m) Π σ_l², a series in m
    for width, ratio in zip(widths[1:], map(float, ratios), strict=True):
        inverse = 1 / width  # Λ_l = N_0/N_l
        s_d = np.array(rmt.series.moments_to_s_series([float(x) for x in slopes.moments(n)]), dtype=float)
        factor = np.convolve(s_d * inverse ** np.arange(n), (-inverse) ** np.arange(n))[:n]
        coefficients = np.convolve(coefficients, factor / (1.44 * ratio))[:n]
    # moments of JᵀJ over N_0 against those of J Jᵀ over N_L
    expected = np.array(rmt.series.s_series_to_moments(coefficients.tolist()), dtype=float) / widths[-1]
    np.testing.assert_allclose([float(x) for x in law.moments(n)], expected, rtol=1e-10)
    assert float(law.moment(1)) == pytest.approx(np.prod(propagate(chain(ratios, activation)).chi), rel=1e-12)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_rank(weights):
    ratios = (Fraction(3, 2), Fraction(1, 2), Fraction(2))
    mass = jacobian_law(chain(ratios, "relu", weights)).support().atoms[0]
    # widths 1, 3/2, 3/4, 3/2 with half of the units alive: the bottleneck of 3/8 within 3/2
    assert mass == Fraction(3, 4)
    wide = jacobian_law(chain((4,), "relu", weights)).support().atoms[0]
    assert wide == Fraction(3, 4)  # of 4 units to an input 2 are alive, and the rank is 1


def test_linear_gaussian_bottleneck_is_a_product_of_wishart_matrices():
    law = jacobian_law(chain((Fraction(1, 2), Fraction(4)), "linear", sigma_w=1))
    # W_2 W_1: the nonzero part at width 1/2 is (W_2ᵀ W_2)(W_1 W_1ᵀ), two independent Wishart matrices
    core = 4 * (rmt.MarchenkoPastur(Fraction(1, 4)) @ rmt.MarchenkoPastur(Fraction(1, 2)))
    assert law.moments(6) == [Fraction(1, 4) * m for m in core.moments(6)]
    assert law.support().atoms == {0: Fraction(3, 4)}
    x = np.linspace(0.5, 9, 7)
    np.testing.assert_allclose(law.pdf(x), 0.25 * core.pdf(x), rtol=1e-12)


def test_orthogonal_chain_that_only_widens_is_an_isometry():
    law = jacobian_law(chain((2, Fraction(3, 2)), "linear", "orthogonal", sigma_w=1))
    assert law == rmt.Discrete({3: Fraction(1, 3), 0: Fraction(2, 3)})


def test_orthogonal_contraction_is_a_corner():
    law = jacobian_law(chain((1, Fraction(1, 2)), "relu", "orthogonal", sigma_w=1))
    mask = rmt.Discrete({0: Fraction(1, 2), 1: Fraction(1, 2)})
    expected = mask @ mask.compress(Fraction(1, 2))
    assert law.moments(6) == expected.moments(6)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from([Fraction(1, 3), Fraction(1, 2), 1, Fraction(3, 2), 2, 3]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["gaussian", "orthogonal"]), min_size=5, max_size=5),
)
def test_transposed_networks_have_the_same_nonzero_spectrum(ratios, kinds):
    """J and Jᵀ: the chain run backwards with its linear layers transposed, exactly."""
    kinds = kinds[: len(ratios)]
    forward = jacobian_law(chain(ratios, "linear", kinds, sigma_w=1))
    backward = jacobian_law(chain([1 / Fraction(r) for r in reversed(ratios)], "linear", kinds[::-1], sigma_w=1))
    ratio = Fraction(1)
    for r in ratios:
        ratio *= r
    # traces: N_L m_k of J Jᵀ = N_0 m_k of JᵀJ; the entries of W and Wᵀ differ by the ratio of the widths
    assert [m * ratio for m in forward.moments(5)] == [ratio**k * m for k, m in enumerate(backward.moments(5), 1)]


@pytest.mark.parametrize("kinds", [("gaussian", "orthogonal", "gaussian"), ("orthogonal", "gaussian", "orthogonal")])
def test_sampled_matrices(kinds):
    """First moments of sampled rectangular products, within 5 standard errors, exact zeros counted."""
    ratios, width, replicas = (Fraction(2), Fraction(1, 4), Fraction(3)), 120, 120
    rng = np.random.default_rng(5)
    found = []
    for _ in range(replicas):
        j = np.eye(width)
        for ratio, kind in zip(ratios, kinds, strict=True):
            n_in, n_out = len(j), round(len(j) * float(ratio))
            w = rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)
            if kind == "orthogonal":
                u, _, v = np.linalg.svd(w, full_matrices=False)
                w = np.sqrt(max(1, n_out / n_in)) * u @ v
            j = rng.integers(0, 2, (n_out, 1)) * (w @ j)
        eigenvalues = np.linalg.svd(j, compute_uv=False) ** 2
        one, two = (np.sum(eigenvalues**k) / len(j) for k in (1, 2))
        found.append([one, two / one**2])  # the second hardly feels how many units are alive
    found = np.array(found)
    error = found.std(axis=0) / np.sqrt(replicas)

    def deviations(other):
        one, two = map(float, jacobian_law(chain(ratios, "relu", other, sigma_w=1)).moments(2))
        return np.abs(found.mean(axis=0) - [one, two / one**2]) / error

    assert np.all(deviations(kinds) < 5)
    assert deviations(("gaussian",) * 3)[1] > 7


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("ratios", RATIOS)
def test_derivation(ratios, weights):
    exact = [Fraction(ratio) for ratio in ratios]
    net = chain(exact, "relu", weights)
    derivation = theory.derive(net)
    assert [Fraction(str(m)) for m in derivation.moments(6)] == jacobian_law(net).moments(6)
    block = Residual([Dense(0.5, width_ratio=2), Activation("relu"), Dense(0.5, weights=weights, width_ratio=0.5)])
    assert [float(m) for m in theory.derive(block).moments(4)] == pytest.approx(jacobian_law(block).moments(4))


def test_derived_density():
    net = chain((Fraction(1, 2), Fraction(3)), "relu")
    law, x = jacobian_law(net), np.array([0.4, 1.1, 5.0])
    np.testing.assert_allclose(theory.derive(net).lambdify()(x), law.pdf(x), rtol=1e-9)


def test_derivation_in_symbols():
    r, sigma_w = sp.symbols("r sigma_w", positive=True)
    wide = theory.derive(Dense(sigma_w, width_ratio=r))
    assert sp.simplify(wide.s_transform - 1 / (sigma_w**2 * (1 + r * wide.m))) == 0
    assert sp.expand(wide.moments(2)[1] - sigma_w**4 * (1 + r)) == 0
    pair = [Dense(1, width_ratio=r), Activation("relu")]
    assert theory.derive(Sequential([*pair, Dense(1, width_ratio=1 / r)])).mean == sp.Rational(1, 2)
    halves = Repeat([Dense(1, width_ratio=Fraction(1, 2)), Activation("relu")], 2)
    assert theory.derive(halves).moments(3) == [sp.Rational(str(m)) for m in jacobian_law(halves).moments(3)]
    with pytest.raises(NotImplementedError, match="whether it exceeds 1"):
        theory.derive(Dense(1, weights="orthogonal", width_ratio=r))
    with pytest.raises(NotImplementedError, match="repeated L times"):
        theory.derive(Repeat(pair, sp.Symbol("L", positive=True, integer=True)))


def test_residual_block_with_a_wide_hidden_layer():
    half = Fraction(1, 2)
    branch = [Dense(half, width_ratio=4), Activation("relu"), Dense(half, width_ratio=Fraction(1, 4))]
    law = jacobian_law(Residual(branch, skip=1))
    inner = jacobian_law(Sequential(branch))
    assert law == rmt.ResidualSum(inner, 1)
    assert law.support().atoms == {}
    plain = jacobian_law(Residual([*branch[:2], Dense(half, width_ratio=0.25)], skip=1))
    assert plain.moments(3) == law.moments(3)
