"""How long a density takes: run with ``pytest tests/benchmarks --benchmark-enable`` and compare within one run.

Without that option each case runs once, as a test that the points are resolved.
"""

import numpy as np
import pytest

import rmt
import theory

POINTS = 1000


@pytest.mark.parametrize("depth", [2, 50, 10**5])
def test_product_of_marchenko_pastur_laws(benchmark, depth):
    law = rmt.MarchenkoPastur(1).free_power(depth)
    x = np.linspace(0, float(law.support().upper), POINTS + 2)[1:-1]
    density = benchmark(law.pdf, x)
    assert np.all(density > 0)


@pytest.mark.parametrize("depth", [1, 50, 10**5])
def test_relu_resnet(benchmark, depth):
    law = theory.jacobian_law(theory.ResNet(depth, "relu", sigma_w=0.7))
    lower, upper = law.support().intervals[-1]
    density = benchmark(law.pdf, np.linspace(lower, upper, POINTS + 2)[1:-1])
    assert np.all(density > 0)


def test_tanh_resnet_of_different_blocks(benchmark):
    law = theory.jacobian_law(theory.ResNet(50, "tanh", sigma_w=0.7))
    lower, upper = law.support().intervals[0]
    density = benchmark(law.pdf, np.linspace(lower, upper, POINTS + 2)[1:-1])
    assert np.all(density > 0)


def test_free_sum(benchmark):
    law = rmt.Semicircle(1) + rmt.Discrete({-2: 0.5, 2: 0.5})
    lower, upper = law.support().intervals[1]
    density = benchmark(law.pdf, np.linspace(lower, upper, POINTS + 2)[1:-1])
    assert np.all(density > 0)
