"""Real networks of width 800 against the predicted law: residual networks, and plain chains of every activation.

One BLAS thread and one process a test: run with ``pytest -n 2``. The seeds differ from case to case, because equal
seeds are equal weights and would make the deviations of all cases one deviation.
"""

import pytest

import theory
from theory.activations import ACTIVATION_NAMES
from theory.network import Chain, ResNet
from validation.compare import compare
from validation.experiment import Experiment

pytestmark = pytest.mark.slow

WIDTH = 800
# Biases where signal propagation with them is not trivial; the others are homogeneous, odd without them, or both.
BIASED = {"tanh": 0.3, "hard_tanh": 0.3, "selu": 0.2, "softplus": 0.1, "sin": 0.3, "sigmoid": 0.5}
ORTHOGONAL_CHAINS = {"leaky_relu", "hard_tanh", "elu"}
EVERY_TIME = {"linear", "relu", "leaky_relu", "hard_tanh", "tanh"}


def more(case):
    return pytest.param(case, marks=pytest.mark.exhaustive)


def distances_are_noise(comparison, errors):
    """Whether the distances, extrapolated in 1/width, are what the fluctuation between replicas makes them.

    ``theory`` and ``error`` of these rows are mean and spread of the distance that noise alone gives.
    """
    table = comparison.table()
    return all(table[f"{name} distance"].z < errors for name in ("KS", "W1"))


def resnet(name):
    return theory.tune(ResNet(50, name, sigma_b=BIASED.get(name, 0.0)), c=0.25)


# every activation is met in the chains below, at several times less cost
@pytest.mark.parametrize("name", ["relu", *map(more, ["tanh", "hard_tanh", "selu", "softplus", "sin"])])
def test_residual_networks(name):
    net = resnet(name)
    run = Experiment(net, width=WIDTH, replicas=8, seed=100 + ACTIVATION_NAMES.index(name)).run(workers=1)
    comparison = compare(run, theory.jacobian_law(net))
    assert comparison.passed, str(comparison)
    assert distances_are_noise(comparison, 6), str(comparison)
    # far below the distance between neighbouring laws
    assert comparison.table()["KS distance"].sample < 0.01
    if name == "tanh":  # power: 10 % in c, 5 % in the scale
        assert not compare(run, theory.jacobian_law(theory.tune(net, c=0.275))).passed
        assert not compare(run, 1.05 * theory.jacobian_law(net)).passed


@pytest.mark.parametrize("name", [name if name in EVERY_TIME else more(name) for name in ACTIVATION_NAMES])
def test_chains(name):
    weights = "orthogonal" if name in ORTHOGONAL_CHAINS else "gaussian"
    net = theory.tune(Chain(5, name, sigma_b=BIASED.get(name, 0.0), weights=weights), chi=1.0)
    run = Experiment(net, width=WIDTH, replicas=12, seed=200 + ACTIVATION_NAMES.index(name)).run(workers=1)
    comparison = compare(run, theory.jacobian_law(net))
    assert comparison.passed, str(comparison)
    # where the rank fluctuates (an atom at 0) or an outlier carries most of the noise, 1/width is not all of the bias
    assert distances_are_noise(comparison, 9), str(comparison)
    if name == "linear":  # power: one layer more
        assert not compare(run, theory.jacobian_law(Chain(6, name))).passed


@pytest.mark.parametrize("weights", ["gaussian", more("orthogonal")])
def test_outlier_of_relu_residual_networks(weights):
    net = theory.tune(ResNet(50, "relu", weights=weights), c=0.25)
    run = Experiment(net, width=200, replicas=200, seed=7).run(workers=1)
    law = theory.jacobian_law(net)
    comparison = compare(run, law)
    row = comparison.table()["outlier"]
    assert comparison.has_outlier
    assert row.theory > 5 * float(law.support().upper)
    # found and predicted within 3 %, beyond three errors of the mean
    assert row.error < 0.03 * row.theory
    assert abs(row.sample - row.theory) < 0.03 * row.theory + 3 * row.error
    assert comparison.passed, str(comparison)
    # without it the largest eigenvalue would be the bulk's edge
    assert not compare(run, law, outlier=float(law.support().upper)).passed
