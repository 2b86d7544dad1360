"""Infinite depth: which networks have a limit law, with which parameters, and that finite depths approach it."""

import itertools
import math

import numpy as np
import pytest

import rmt
from rmt.results import PreconditionError
from theory.jacobian import jacobian_law
from theory.limits import limit_law
from theory.network import Activation, Chain, Dense, Repeat, Residual, ResNet, Sequential
from theory.propagation import effective_cumulant
from theory.tuning import tune

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
