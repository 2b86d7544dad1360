"""Infinite depth: which networks have a limit law, with which parameters, and that finite depths approach it."""

import itertools
import math

import numpy as np
import pytest
from scipy import special

import rmt
from rmt.results import PreconditionError
from theory.jacobian import jacobian_law
from theory.limits import limit_law
from theory.network import Activation, Chain, Dense, Repeat, Residual, ResNet, Sequential
from theory.propagation import effective_cumulant, propagate
from theory.tuning import tune

ORTHOGONAL = Dense(weights="orthogonal")
LAYER = (Dense(0.1, 0.2), Activation("tanh"))


def test_resnet():
    net = ResNet(50, "gelu", sigma_w=1.2, sigma_b=0.3, weights="orthogonal")
    law = limit_law(net, 0.7)
    assert isinstance(law, rmt.UniversalResNet)
    assert law == rmt.UniversalResNet(effective_cumulant(net, 0.7))
    assert law != limit_law(net, 2.0)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["relu", "tanh", "silu"])
def test_activations_of_equal_cumulant_share_the_law(name, weights):
    law = limit_law(tune(ResNet(30, name, sigma_b=0.1, weights=weights), c=0.4))
    assert law.moments(3) == pytest.approx(rmt.UniversalResNet(0.4).moments(3), rel=1e-10)


def test_skip_other_than_one():
    net = ResNet(12, "relu", sigma_w=0.8, skip=0.95)
    law = limit_law(net)
    assert law == rmt.UniversalResNet(effective_cumulant(net), 0.95, 12)
    # S(m) = a^(-2L) exp(-(c/a²)(1 + 2m))
    m = np.array([-0.5, 0.1])
    expected = 0.95**-24 * np.exp(-0.32 / 0.95**2 * (1 + 2 * m))
    np.testing.assert_allclose(law.s_transform(m), expected, rtol=1e-12)


def test_sign_of_the_skip_is_immaterial():
    assert limit_law(ResNet(9, "relu", skip=-1.0)) == limit_law(ResNet(9, "relu", skip=1.0))
    assert limit_law(ResNet(9, "relu", skip=-0.9)) == limit_law(ResNet(9, "relu", skip=0.9))


def test_grammar_of_layers():
    net = ResNet(20, "tanh", sigma_w=0.1 * math.sqrt(20), sigma_b=0.2)
    same = Sequential([Repeat(Residual(LAYER), 20)])
    assert limit_law(same, 0.5).c == pytest.approx(limit_law(net, 0.5).c, rel=1e-13)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Chain(10, "tanh"), r"jacobian_law\(net\) at its depth"),
        (Sequential([Dense(), Residual(LAYER)]), "one common skip"),
        (Sequential([Residual(LAYER, 1.0), Residual(LAYER, 0.9)]), "one common skip"),
        (ResNet(10, "tanh", skip=0), "skip=0"),
        (ResNet(10, "tanh", sigma_w=0), "choose sigma_w > 0"),
    ],
)
def test_networks_without_a_limit(net, message):
    with pytest.raises(PreconditionError, match=message):
        limit_law(net)


def test_bad_q0():
    with pytest.raises(ValueError, match="q0="):
        limit_law(ResNet(10, "tanh"), -1)


@pytest.mark.parametrize("skip", [1.0, 0.999])
def test_finite_depths_approach_the_limit(skip):
    distances = []
    for depth in (40, 80, 160):
        net = ResNet(depth, "leaky_relu", sigma_w=1.0, skip=skip)
        law, limit = jacobian_law(net), limit_law(net)
        x = limit.ppf(np.array([0.1, 0.5, 0.9]))
        distances.append(np.abs(law.cdf(x) - limit.cdf(x)).max())
    assert distances[0] > 1e-4
    for coarse, fine in itertools.pairwise(distances):
        assert coarse / fine == pytest.approx(2, rel=0.05)


# --- plain chains ----------------------------------------------------------------------------------------------------


def spread(net, q0):
    """σ_0² by the moments of the gains, layer by layer."""
    return sum(
        net.nonlinearity.gain_moment(2, q) / net.nonlinearity.gain(q) ** 2 - 1 for q in propagate(net, q0).q.tolist()
    )


@pytest.mark.parametrize("name", ["tanh", "erf", "hard_tanh"])
def test_chains_keep_mean_and_variance(name):
    net = Chain(60, name, sigma_w=1.05, sigma_b=0.05, weights="orthogonal")
    law, exact = limit_law(net, 0.05), jacobian_law(net, 0.05)
    assert law.moments(2) == pytest.approx(exact.moments(2), rel=1e-9)
    assert law.var() / law.mean() ** 2 == pytest.approx(spread(net, 0.05), rel=1e-9)
    m = np.array([-0.4, 0.3])
    expected = -spread(net, 0.05) * (m / (1 + m) if name == "hard_tanh" else m)
    np.testing.assert_allclose(np.log(law.s_transform(m) * law.mean()), expected, rtol=1e-9)
    same = Sequential([Repeat([Dense(1.05, 0.05, weights="orthogonal"), Activation(name)], 60)])
    assert limit_law(same, 0.05).moments(3) == pytest.approx(law.moments(3), rel=1e-12)


def test_published_largest_eigenvalues_at_unit_spread():
    smooth = math.exp(-0.5) * rmt.FreeMultiplicativeBrownian(1)
    bernoulli = math.e * rmt.FreeMultiplicativePoisson(1)
    assert smooth.support().intervals[-1][1] == pytest.approx(4.857178, abs=1e-6)
    assert bernoulli.support().intervals[-1][1] == pytest.approx(2.718282, abs=1e-6)


def test_deep_chains_approach_their_class():
    """Critical hard tanh chains of constant q such that σ_0² = 1/2: the distance of the laws falls like 1/L."""
    distances = []
    for depth in (50, 100):
        p = 1 / (1 + 0.5 / depth)
        q = 1 / (2 * special.erfinv(p) ** 2)  # P(|h| < 1) = p
        net = Chain(depth, "hard_tanh", sigma_w=p**-0.5, weights="orthogonal")
        # the fixed point of q by the bias
        bias = math.sqrt(q - net.sigma_w**2 * net.nonlinearity.second_moment(q))
        net = Chain(depth, "hard_tanh", sigma_w=p**-0.5, sigma_b=bias, weights="orthogonal")
        start = net.nonlinearity.second_moment(q)
        law, limit = jacobian_law(net, start), limit_law(net, start)
        ((position, mass),) = limit.support().atoms.items()
        assert (position, mass) == pytest.approx((math.exp(0.5), 0.5), rel=1e-9)
        x = limit.ppf(np.array([0.1, 0.3, 0.45]))
        distances.append(np.abs(law.cdf(x) - limit.cdf(x)).max())
    assert distances[0] / distances[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Chain(10, "relu", weights="orthogonal"), "'relu' has no limit"),
        (Chain(10, "selu", weights="orthogonal"), "'selu' has no limit"),
        (Chain(10, "linear", weights="orthogonal"), "multiple of an isometry"),
        (Chain(10, "hard_tanh"), "weights='orthogonal'"),
        (Chain(10, "tanh", sigma_w=0, weights="orthogonal"), "sigma_w > 0"),
        (Sequential([ORTHOGONAL, ORTHOGONAL, Activation("tanh")]), "Dense layer before"),
        (Sequential([ORTHOGONAL, Activation("tanh"), ORTHOGONAL, Activation("erf")]), "one activation"),
    ],
)
def test_chains_without_a_limit(net, message):
    with pytest.raises(PreconditionError, match=message):
        limit_law(net)
