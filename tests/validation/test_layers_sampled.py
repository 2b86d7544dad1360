"""Layers beyond dense ones with activations, sampled and judged against their laws, with a power test each."""

from fractions import Fraction

import pytest

import rmt
import theory
from theory.network import (
    Activation,
    BatchNorm,
    Chain,
    DeltaOrthogonal,
    Dense,
    Dropout,
    LayerNorm,
    OrthogonalFilterNet,
    Repeat,
    Residual,
    ResNet,
    Sequential,
    Sparse,
)
from validation.compare import compare
from validation.experiment import Experiment

pytestmark = pytest.mark.slow

NETS = {
    "filters": OrthogonalFilterNet(6, "hard_tanh", 0.8, 0.5, 1.1, 0.2),
    "layer norm": Repeat(Residual([LayerNorm(), Dense(0.6), Activation("leaky_relu"), Dropout(0.1)], 0.9), 4),
    "batch norm": Repeat([Dense(1.2, 0.1), BatchNorm(), Activation("relu")], 3),
    "widths": Sequential(
        [
            Dense(width_ratio=Fraction(1, 2)),
            Activation("leaky_relu"),
            Dense(1.1, weights="orthogonal", width_ratio=Fraction(3, 2)),
            Activation("hard_tanh"),
        ]
    ),
    "convolution": Repeat([DeltaOrthogonal(2, 1.3, 0.2), Activation("hard_tanh")], 2),
    "uniform": ResNet(2, "tanh", 1.3, 0.2, 0.9, "uniform"),
    "sparse": Chain(2, "tanh", 1.2, 0.1, Sparse(0.3)),
    "a law of weights": Chain(2, "erf", 1.3, 0.1, rmt.Discrete({0: 0.2, 0.5: 0.2, 1.5: 0.6})),
}


ENSEMBLES = ("convolution", "uniform", "sparse", "a law of weights")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.exhaustive) if name == "layer norm" else name for name in NETS]
)
def test_real_networks(name):
    net = NETS[name]
    law = theory.jacobian_law(net)
    width = 96 if name in ENSEMBLES else 160
    run = Experiment(net, width=width, replicas=40, seed=30 + list(NETS).index(name)).run(workers=1)
    assert compare(run, law).passed
    assert not compare(run, 1.4 * law).passed
