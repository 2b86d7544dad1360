"""What it costs to sample a spectrum: run with ``pytest tests/benchmarks --benchmark-enable``, one BLAS thread.

Without that option each case runs once, at a small size. Each case is timed in turns with what one would write in
numpy, ``J = (D[:, None] * W) @ J`` and ``svd``, in processor time and within one run, so that a busy machine slows
both: ``extra_info["ratio"]`` is how many times faster the method is, least time against least time. Decompositions,
random numbers and masks are part of both.
"""

import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import validation
from theory import Chain
from validation.chunk import Chunk
from validation.kernels.random import fill_normals, seed_replica
from validation.sampling import sample_chunk


def naive(net, width, replicas, seed=0):
    """Log singular values of a relu chain, one network after the other, masks drawn."""
    rng = np.random.default_rng(seed)
    out = np.empty((replicas, width))
    for row in out:
        jacobian = None
        for _ in range(net.depth):
            weights = rng.standard_normal((width, width))
            weights *= net.sigma_w / width**0.5
            weights *= (rng.random(width) < 0.5)[:, None]
            jacobian = weights if jacobian is None else weights @ jacobian
        row[:] = np.linalg.svd(jacobian, compute_uv=False)
    return out


def naive_batch(net, width, replicas, seed=0):
    """The same, all networks at once: numpy's loops over a stack of small matrices."""
    rng = np.random.default_rng(seed)
    jacobian = None
    for _ in range(net.depth):
        weights = rng.standard_normal((replicas, width, width))
        weights *= net.sigma_w / width**0.5
        weights *= (rng.random((replicas, width)) < 0.5)[:, :, None]
        jacobian = weights if jacobian is None else weights @ jacobian
    return np.linalg.svd(jacobian, compute_uv=False)


def haar(net, width, replicas):
    """An orthogonal relu chain by scipy's Haar matrices."""
    from scipy.stats import ortho_group

    rng = np.random.default_rng(0)
    for _ in range(replicas):
        jacobian = np.eye(width)
        for _ in range(net.depth):
            mask = net.sigma_w * (rng.random(width) < 0.5)
            jacobian = (mask[:, None] * ortho_group.rvs(width, random_state=rng)) @ jacobian
        np.linalg.svd(jacobian, compute_uv=False)


def seconds(function):
    began = time.process_time()
    function()
    return time.process_time() - began


def against(benchmark, fast, slow, per_fast, per_slow, turns):
    """Time `fast`, and in turns with it `slow`; note the ratio of processor times a network."""
    with threadpool_limits(1):
        fast()  # compiled
        benchmark.pedantic(fast, rounds=1, iterations=1)
        pairs = [(seconds(fast) / per_fast, seconds(slow) / per_slow) for _ in range(turns)]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    benchmark.extra_info.update({"ratio": round(theirs / ours, 1), "us": 1e6 * ours, "us by numpy": 1e6 * theirs})


def sampled(net, width, replicas, method):
    columns = sample_chunk(Chunk(net, width, 0, replicas, 1, "numpy", None, 1.0, method))
    assert not np.isnan(columns["log_singular_values"]).any()


@pytest.mark.parametrize(
    ("width", "depth", "replicas", "other", "turns"),
    [
        (16, 10, 10_000, naive_batch, 9),
        (64, 10, 400, naive_batch, 9),
        (200, 10, 20, naive, 9),
        (1000, 100, 1, naive, 3),
    ],
)
def test_relu_chain(benchmark, width, depth, replicas, other, turns):
    if benchmark.disabled:
        width, depth, replicas, turns = 4, 2, 50, 1
    net = Chain(depth, "relu", 2**0.5)
    fewer = max(1, replicas // 20)
    against(
        benchmark,
        lambda: sampled(net, width, replicas, "triangular"),
        lambda: other(net, width, fewer),
        replicas,
        fewer,
        turns,
    )


def test_orthogonal_relu_chain(benchmark):
    width, turns = (4, 1) if benchmark.disabled else (200, 5)
    net = Chain(10 if width > 4 else 2, "relu", 2**0.5, weights="orthogonal")
    against(benchmark, lambda: sampled(net, width, 5, "triangular"), lambda: haar(net, width, 1), 5, 1, turns)


def test_deep_relu_chain(benchmark):
    """No competitor: the dense product has one singular value left of a hundred. Target: 0.2 s a network."""
    width, depth = (4, 20) if benchmark.disabled else (200, 10_000)
    net = Chain(depth, "relu", 2**0.5)
    with threadpool_limits(1):
        sampled(net, width, 1, "deep")
        benchmark.pedantic(lambda: sampled(net, width, 1, "deep"), rounds=3, iterations=1)
        times = [seconds(lambda: sampled(net, width, 1, "deep")) for _ in range(1 if benchmark.disabled else 5)]
    benchmark.extra_info["s/network"] = round(min(times), 4)


def test_norms_of_a_relu_chain(benchmark):
    width, depth, replicas = (10, 3, 20) if benchmark.disabled else (1000, 100, 2000)
    net = Chain(depth, "relu", 2**0.5)

    def vectors():
        rng = np.random.default_rng(0)
        x = rng.standard_normal(width)
        for _ in range(depth):
            x = np.maximum(rng.standard_normal((width, width)) @ x * (2 / width) ** 0.5, 0)
        return x @ x

    against(benchmark, lambda: validation.log_norms(net, width, replicas), vectors, replicas, 1, 3)


def test_normals(benchmark):
    """Nanoseconds a normal, against numpy's fastest generator."""
    count = 1000 if benchmark.disabled else 1_000_000
    state, out = np.empty(4, np.uint64), np.empty(count)
    seed_replica(np.arange(8, dtype=np.uint64), 0, state)
    rng = np.random.Generator(np.random.SFC64(0))
    against(
        benchmark,
        lambda: fill_normals(state, out, count),
        lambda: rng.standard_normal(count),
        count,
        count,
        15,
    )
    benchmark.extra_info["ns"] = round(
        1e9 * min(seconds(lambda: fill_normals(state, out, count)) for _ in range(5)) / count, 2
    )
