"""Laws of networks of 10⁴ layers, all different: 1000 points of the curve, law included.

Run with ``pytest tests/benchmarks/test_networks.py --benchmark-enable``; otherwise each runs once, at depth 24.
"""

import numpy as np
import pytest

import theory

NETS = {
    "resnet": lambda depth: theory.ResNet(depth, "tanh", sigma_w=1.3),
    "filters": lambda depth: theory.OrthogonalFilterNet(depth, "tanh", 1 - 1 / depth, 5 / depth, 1.1, 0.1),
    "chain at the edge of chaos": lambda depth: theory.Chain(depth, "tanh", weights="orthogonal"),
    "chain of Gaussian weights": lambda depth: theory.Chain(depth, "tanh", weights="gaussian"),
}


@pytest.mark.parametrize("name", NETS)
def test_deep_networks_whose_layers_differ(benchmark, name):
    enabled = not benchmark.disabled
    net = NETS[name](10_000 if enabled else 24)
    points = 1000 if enabled else 20
    curve = benchmark.pedantic(lambda: theory.jacobian_law(net, q0=2.0).curve(points=points), rounds=1)
    assert np.all(curve.error <= 1e-9 * (1 + curve.density))
