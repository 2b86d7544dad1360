"""Network -> law: every rule against a second way of getting the same law."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
import theory.jacobian
from rmt.numeric.continuation import solve
from rmt.results import PreconditionError
from theory.activations import get_activation
from theory.gain import gain_law
from theory.jacobian import jacobian_law
from theory.network import Activation, Chain, Dense, Repeat, Residual, ResNet, Sequential
from theory.propagation import preactivation_variances, propagate

M = np.array([-0.8, -0.35, 0.04])


# --- chains -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["relu", "hard_tanh"])
def test_chain_of_masks_in_closed_form(name, weights):
    depth, sigma_w, q0 = 4, 1.3, 0.6
    net = Chain(depth, name, sigma_w=sigma_w, sigma_b=0.2, weights=weights)
    function = get_activation(name)
    q, expected = q0, np.ones(M.shape)
    for _ in range(depth):
        q = sigma_w**2 * (function.second_moment(q) if q != q0 else q0) + 0.04
        p = function.gain(q)
        expected = expected * (1 + M if weights == "orthogonal" else 1) / (sigma_w**2 * (p + M))
    # S is defined where the mass at 0 leaves m: m > -p of the last layer
    inside = -0.9 * p < M
    law = jacobian_law(net, q0)
    np.testing.assert_allclose(law.s_transform(M[inside]), expected[inside], rtol=1e-11)


def test_first_layer_sees_the_input():
    law = jacobian_law(Chain(1, "tanh", sigma_w=0.9, weights="orthogonal"), q0=2.3)
    assert law.mean() == pytest.approx(0.81 * get_activation("tanh").gain(0.81 * 2.3), rel=1e-13)
    assert jacobian_law(Chain(1, "tanh"), 0.1).mean() > jacobian_law(Chain(1, "tanh"), 5.0).mean()


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "softplus", "leaky_relu"])
def test_moments_of_chains_by_the_s_transform(name, weights):
    depth, sigma_w = 3, 1.2
    net = Chain(depth, name, sigma_w=sigma_w, sigma_b=0.3, weights=weights)
    function = get_activation(name)
    mean, spread = 1.0, 0.0
    for q in preactivation_variances(net, 0.7):
        one, two = function.gain_moment(1, q), function.gain_moment(2, q)
        mean *= sigma_w**2 * one
        # relative variances add: log S = -log m_1 - (m_2/m_1² - 1) m + …
        spread += two / one**2 - 1 + (1 if weights == "gaussian" else 0)
    law = jacobian_law(net, 0.7)
    assert law.mean() == pytest.approx(mean, rel=1e-12)
    assert law.var() == pytest.approx(mean**2 * spread, rel=1e-12)


@pytest.mark.parametrize(("weights", "s_1"), [("gaussian", -1), ("orthogonal", 0)])
@pytest.mark.parametrize("depth", [1, 7, 400])
@pytest.mark.parametrize("name", ["erf", "hard_tanh"])
def test_variance_at_criticality(name, weights, s_1, depth):
    # at the fixed point with χ = 1: L (μ_2/μ_1² - 1 - s_1)   (Pennington, Schoenholz, Ganguli, arXiv:1711.04735)
    q = 0.35
    function = get_activation(name)
    sigma_w = 1 / math.sqrt(function.gain(q))
    sigma_b = math.sqrt(q - sigma_w**2 * function.second_moment(q))
    net = Chain(depth, name, sigma_w=sigma_w, sigma_b=sigma_b, weights=weights)
    # an input at the fixed point of the length map
    law = jacobian_law(net, q0=(q - sigma_b**2) / sigma_w**2)
    ratio = function.gain_moment(2, q) / function.gain_moment(1, q) ** 2
    if name == "erf":
        assert ratio == pytest.approx((1 + math.pi * q) / math.sqrt(1 + 2 * math.pi * q), rel=1e-12)
    assert law.mean() == pytest.approx(1, rel=1e-9)
    assert law.var() == pytest.approx(depth * (ratio - 1 - s_1), rel=1e-8)


def test_linear_gaussian_chain_is_exact():
    law = jacobian_law(Chain(3, "linear", sigma_w=Fraction(1, 2)))
    for k, moment in enumerate(law.moments(5), start=1):
        assert moment == Fraction(math.comb(4 * k, k), (3 * k + 1) * 64**k)
    assert jacobian_law(Chain(3, "relu", sigma_w=Fraction(3, 2), weights="orthogonal")).moments(1) == [
        Fraction(9, 8) ** 3
    ]


def test_orthogonal_linear_chain_is_a_point():
    law = jacobian_law(Chain(5, "linear", sigma_w=0.9, weights="orthogonal"))
    assert law.support().intervals == ()
    assert law.mean() == pytest.approx(0.9**10, rel=1e-13)
    assert law.cdf(law.mean() * np.array([1 - 1e-9, 1 + 1e-9])).tolist() == [0, 1]


def test_silent_network():
    assert jacobian_law(Chain(2, "tanh", sigma_w=0.0, sigma_b=0.5)) == rmt.Discrete({0: 1})
    assert jacobian_law(Chain(2, "gelu", sigma_w=0.0)) == rmt.Discrete({0: 1})
    law = jacobian_law(ResNet(4, "tanh", sigma_w=0.0, skip=0.5))
    assert law.mean() == pytest.approx(0.5**8)
    assert law.var() == pytest.approx(0, abs=1e-18)


def test_signal_that_dies_out():
    # q_l underflows; φ' is then φ'(0)
    net = Chain(6000, "tanh", sigma_w=0.9, weights="orthogonal")
    assert preactivation_variances(net)[-1] == 0
    with np.errstate(under="ignore"):
        assert jacobian_law(net).mean() < 1e-300


def test_two_dense_layers_and_a_bare_activation():
    net = Sequential([Activation("tanh"), Dense(1.2), Dense(0.7, 0.1, "orthogonal"), Activation("relu")])
    law = jacobian_law(net, 0.4)
    gain = gain_law(get_activation("tanh"), 0.4)
    by_hand = gain @ rmt.MarchenkoPastur(1) @ rmt.Discrete({0: 0.5, 1.44 * 0.49: 0.5})
    np.testing.assert_allclose(law.moments(4), by_hand.moments(4), rtol=1e-12)


def test_repeat_is_repetition():
    layers = [Dense(1.3, 0.1), Activation("tanh")]
    np.testing.assert_allclose(
        jacobian_law(Sequential([Repeat(layers, 3)]), 0.9).moments(4),
        jacobian_law(Chain(3, "tanh", sigma_w=1.3, sigma_b=0.1), 0.9).moments(4),
        rtol=1e-13,
    )


# --- residual blocks ------------------------------------------------------------------------------------------------

BRANCHES = {
    "gaussian relu": (Dense(0.8), Activation("relu")),
    "orthogonal hard_tanh": (Dense(1.4, 0.2, "orthogonal"), Activation("hard_tanh")),
    "gaussian linear": (Dense(0.6),),
    "two layers": (Dense(0.9), Activation("relu"), Dense(1.1, 0.0, "orthogonal")),
}


def by_free_sum(branch, skip, q0):
    """The block as the square of a free sum of symmetrised singular laws (Nica and Speicher)."""
    signs = rmt.Discrete({skip: Fraction(1, 2), -skip: Fraction(1, 2)})
    return (signs + jacobian_law(Sequential(branch), q0).sqrt().symmetrized()).square()


@pytest.mark.parametrize("skip", [0.7, 1.0])
@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_moments_of_a_residual_block_by_the_free_sum(branch, skip):
    law, other = jacobian_law(Residual(branch, skip), 0.8), by_free_sum(branch, skip, 0.8)
    np.testing.assert_allclose([float(m) for m in law.moments(6)], [float(m) for m in other.moments(6)], rtol=1e-11)
    z = np.array([0.5 + 0.4j, 2.0 + 1.0j, -1.0 + 0.1j])
    np.testing.assert_allclose(law.cauchy(z), other.cauchy(z), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("skip", [0.7, 1.0])
@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_density_of_a_residual_block_by_the_free_sum(branch, skip):
    law, other = jacobian_law(Residual(branch, skip), 0.8), by_free_sum(branch, skip, 0.8)
    (lower, upper) = law.support().intervals[-1]
    x = lower + (upper - lower) * np.array([0.11, 0.3, 0.52, 0.77, 0.96])
    # the curve of the other on the axis itself, without a look for its support
    solution = solve(other.numeric, x)
    assert np.all(solution.converged)
    np.testing.assert_allclose(law.pdf(x), -solution.g.imag / math.pi, rtol=1e-8)
    np.testing.assert_allclose(law.cdf(x), 1 - solution.potential.imag / math.pi, atol=1e-9)


def test_residual_block_by_the_formula_of_the_block():
    # ψ̂(w) of the gate, t = G(w), m = m0 + (√(1+4a²t) - 1)/2, S = t/(m(1+m)), at one real w outside the gate's support
    a, s, p, w = 0.8, 0.49, 0.5, 1.7
    law = jacobian_law(Residual((Dense(0.7), Activation("relu")), a))
    g = (1 - p) / w + p / (w - s)
    m0 = w * g - 1
    m = m0 + (math.sqrt(1 + 4 * a * a * g) - 1) / 2
    assert law.s_transform(m) == pytest.approx(g / (m * (1 + m)), rel=1e-11)


def test_sign_of_the_skip_is_immaterial():
    branch = BRANCHES["gaussian relu"]
    assert jacobian_law(Residual(branch, -0.7)) == jacobian_law(Residual(branch, 0.7))


def test_without_a_skip_a_residual_block_is_its_branch():
    branch = BRANCHES["two layers"]
    assert jacobian_law(Residual(branch, 0)) == jacobian_law(Sequential(branch))


def test_nested_residual_blocks():
    inner = Residual(BRANCHES["gaussian linear"], 0.5)
    law = jacobian_law(Residual((Dense(0.9, 0.0, "orthogonal"), inner), 0.8))
    # mean squared singular values: a² + σ²(b² + s²)
    assert float(law.mean()) == pytest.approx(0.64 + 0.81 * (0.25 + 0.36), rel=1e-12)
    one = jacobian_law(inner)
    signs = rmt.Discrete({0.8: 0.5, -0.8: 0.5})
    other = (signs + (0.81 * one).sqrt().symmetrized()).square()
    np.testing.assert_allclose(np.array(law.moments(5), float), np.array(other.moments(5), float), rtol=1e-11)


def test_resnet_mean_is_the_product_of_its_blocks():
    net = ResNet(6, "tanh", sigma_w=1.4, sigma_b=0.2, skip=0.9)
    assert jacobian_law(net, 1.7).mean() == pytest.approx(np.prod(propagate(net, 1.7).chi), rel=1e-12)


def test_equal_blocks_are_a_power():
    law = jacobian_law(ResNet(30, "relu", sigma_w=0.8))
    assert isinstance(law, rmt.FreePower)
    assert law.exponent == 30
    block = jacobian_law(Residual((Dense(0.8 / math.sqrt(30)), Activation("relu"))))
    assert law.s_transform(-0.4) == pytest.approx(block.s_transform(-0.4) ** 30, rel=1e-11)


def test_relu_resnet_with_biases_is_a_power_too():
    # the slope looks at the sign of h only, whatever q_l
    law = jacobian_law(ResNet(200, "relu", sigma_w=0.8, sigma_b=0.3))
    assert law.s_transform(-0.4) == pytest.approx(jacobian_law(ResNet(200, "relu", sigma_w=0.8)).s_transform(-0.4))


# --- many different blocks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "q0"),
    [
        pytest.param(ResNet(200, "tanh", sigma_w=1.1, sigma_b=0.2), 1.3, marks=pytest.mark.slow),
        (ResNet(40, "hard_tanh", sigma_w=1.5), 0.7),
        pytest.param(ResNet(60, "gelu", sigma_w=1.5, weights="orthogonal"), 0.7, marks=pytest.mark.slow),
        (Chain(40, "erf", sigma_w=1.1, sigma_b=0.1, weights="orthogonal"), 4.0),
    ],
    ids=["tanh", "hard_tanh", "gelu", "erf chain"],
)
def test_compressed_families_are_the_product(net, q0, monkeypatch):
    compressed = jacobian_law(net, q0)
    monkeypatch.setattr(theory.jacobian, "_EXACT", 10**9)
    exact = jacobian_law(net, q0)
    assert len(repr(compressed)) < len(repr(exact)) / 2
    np.testing.assert_allclose(compressed.moments(6), exact.moments(6), rtol=1e-11)
    z = np.array([0.8 + 0.05j, 2.0 + 0.3j])
    np.testing.assert_allclose(compressed.cauchy(z), exact.cauchy(z), rtol=1e-9)


def layer_by_layer(net, q0, m):
    """z(m) = (1+m)/m Π 1/S_l(m) of a ResNet of Gaussian weights and skip 1, every layer solved by Newton's method."""
    q = propagate(net, q0).q[:, np.newaxis]
    h, weights = np.polynomial.hermite_e.hermegauss(80)
    gains = net.sigma_w**2 / net.depth * (1 - np.tanh(np.sqrt(q) * h) ** 2) ** 2
    weights = weights / weights.sum()
    w = np.full(len(q), 1 / (m * (1 + m)))  # the limit of infinite depth
    for _ in range(20):
        kernel = gains / (w[:, np.newaxis] - gains)
        m0, slope = kernel @ weights, -(kernel / (w[:, np.newaxis] - gains)) @ weights
        t = (1 + m0) / w
        residual = (m - m0) * (m + 1 - m0) - t
        w = w - residual / (-(2 * m + 1 - 2 * m0) * slope - slope / w + t / w)
    assert np.abs(residual).max() < 1e-12 * abs(m * (1 + m))
    return (1 + m) / m * np.exp(-np.log(t / (m * (1 + m))).sum())


def test_layers_that_all_differ_against_layer_by_layer():
    net = ResNet(1500, "tanh", sigma_w=1.3)
    law = jacobian_law(net, 2.0)
    for z in (1.2 + 0.02j, 4.0 + 0.5j, 0.1 + 0.01j):
        m = z * complex(law.cauchy(z)) - 1
        assert abs(layer_by_layer(net, 2.0, m) / z - 1) < 1e-10
    # the mean value of q instead of the rule would be found out
    wrong = jacobian_law(ResNet(1500, "tanh", sigma_w=1.299), 2.0)
    z = 1.2 + 0.02j
    assert abs(layer_by_layer(net, 2.0, z * complex(wrong.cauchy(z)) - 1) / z - 1) > 1e-5


def test_a_chaotic_chain_that_explodes_says_so():
    law = jacobian_law(Chain(5000, "erf", sigma_w=1.6, sigma_b=0.1, weights="orthogonal"))
    with pytest.raises(PreconditionError, match=r"scale overflows.*choose sigma_w closer to criticality"):
        law.support()


def test_depth_costs_nothing():
    law, shallow = (jacobian_law(ResNet(depth, "relu", sigma_w=0.8)) for depth in (100_000, 2))
    assert float(law.mean()) == pytest.approx((1 + 0.32 / 100_000) ** 100_000, rel=1e-9)
    assert law.numeric.size == shallow.numeric.size


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q0", [0, -1.0, math.nan, math.inf])
def test_bad_q0(q0):
    with pytest.raises(ValueError, match="q0="):
        jacobian_law(Chain(2, "tanh"), q0)


def test_symbols_are_for_derive():
    with pytest.raises(PreconditionError, match="symbolic"):
        jacobian_law(Chain(2, "tanh", sigma_w=sp.Symbol("s", positive=True)))


def test_activation_of_an_activation():
    with pytest.raises(PreconditionError, match="not Gaussian"):
        jacobian_law(Sequential([Dense(), Activation("tanh"), Activation("relu")]))


def test_signal_that_overflows():
    with pytest.raises(PreconditionError, match="overflows"):
        jacobian_law(Chain(5000, "relu", sigma_w=3.0))
