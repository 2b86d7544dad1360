"""What real networks cost: run with ``pytest tests/benchmarks/test_real_networks.py --benchmark-enable`` (on a busy
machine with ``--benchmark-timer=time.process_time`` besides) and compare within one run, one BLAS thread.

Each group has three cases: what one would write in numpy, every weight drawn and multiplied, for the same law; the
reference sampler of this package; and the method that the planner takes. All of them draw an input, a network, its
Jacobian and the singular values. Without the option each case runs once, in miniature.
"""

import numpy as np
import pytest
from scipy.stats import ortho_group

from theory import Chain, OrthogonalFilterNet, ResNet
from validation.chunk import Chunk
from validation.planner import METHODS, make_plan
from validation.runner import one_blas_thread


def naive_resnet(width, depth, rng):
    x, jacobian = rng.standard_normal(width), np.eye(width)
    for _ in range(depth):
        weights = rng.standard_normal((width, width)) * (width * depth) ** -0.5
        h = weights @ x
        x = x + np.maximum(h, 0.0)
        jacobian = jacobian + ((h > 0)[:, None] * weights) @ jacobian
    return np.linalg.svd(jacobian, compute_uv=False)


def naive_relu(width, depth, rng):
    x, jacobian = rng.standard_normal(width), np.eye(width)
    for _ in range(depth):
        weights = rng.standard_normal((width, width)) * (2.0 / width) ** 0.5
        h = weights @ x + 0.1 * rng.standard_normal(width)
        x = np.maximum(h, 0.0)
        jacobian = ((h > 0)[:, None] * weights) @ jacobian
    return np.linalg.svd(jacobian, compute_uv=False)


def naive_orthogonal(width, depth, rng):
    x, jacobian = rng.standard_normal(width), np.eye(width)
    for _ in range(depth):
        weights = 1.1 * ortho_group.rvs(width, random_state=rng)
        x = np.tanh(weights @ x)
        jacobian = ((1.0 - x * x)[:, None] * weights) @ jacobian
    return np.linalg.svd(jacobian, compute_uv=False)


def naive_filters(width, depth, rng):
    x, jacobian = rng.standard_normal(width), np.eye(width)
    for _ in range(depth):
        weights, rotation = rng.standard_normal((width, width)) * width**-0.5, ortho_group.rvs(width, random_state=rng)
        h = weights @ x
        x = 0.8 * (rotation @ x) + 0.5 * np.maximum(h, 0.0)
        jacobian = 0.8 * (rotation @ jacobian) + 0.5 * ((h > 0)[:, None] * weights) @ jacobian
    return np.linalg.svd(jacobian, compute_uv=False)


# name: naive code, network of a depth, width, depth
CASES = {
    "resnet": (naive_resnet, lambda depth: ResNet(depth, "relu"), 500, 50),
    "relu with bias": (naive_relu, lambda depth: Chain(depth, "relu", 2.0**0.5, 0.1), 1000, 10),
    "orthogonal chain": (naive_orthogonal, lambda depth: Chain(depth, "tanh", 1.1, 0.0, "orthogonal"), 500, 10),
    "orthogonal filters": (naive_filters, lambda depth: OrthogonalFilterNet(depth, "relu", 0.8, 0.5), 500, 10),
}


@pytest.mark.parametrize("how", ["naive", "forward", "planned", "planned, single precision"])
@pytest.mark.parametrize("name", CASES)
def test_network_and_spectrum(benchmark, name, how):
    naive, described, width, depth = CASES[name]
    if benchmark.disabled:
        width, depth = 20, 2
    net = described(depth)
    benchmark.group = f"{name}, width {width}, depth {depth}"
    if how == "naive":
        rng = np.random.default_rng(0)

        def sample(_replica):
            return naive(width, depth, rng)
    else:
        dtype = "float32" if how.endswith("single precision") else "float64"
        if dtype == "float32" and name in ("relu with bias", "orthogonal chain"):
            pytest.skip("single precision is not for chains")
        asked = Chunk(net, width, 0, 0, 1, "numpy", None, 1.0, dtype=dtype)
        method = make_plan(asked, "forward" if how == "forward" else None).method
        benchmark.extra_info["method"] = method

        def sample(replica):
            chunk = Chunk(net, width, replica, replica + 1, 1, "numpy", None, 1.0, method, dtype)
            return METHODS[method].sample(chunk)["log_singular_values"][0]

    replicas = iter(range(1000))
    with one_blas_thread():
        sample(next(replicas))  # compiled kernels are loaded once a process
        singular = benchmark.pedantic(lambda: sample(next(replicas)), rounds=5, iterations=1)
    assert singular.shape == (width,)
