"""Wide networks and ill-conditioned products: run with ``pytest tests/benchmarks --benchmark-enable`` and compare
within one group of one run (on a busy machine with ``--benchmark-timer=time.process_time`` besides).

Without that option each case runs once, small. ``extra_info`` has what the times do not tell: peak memory in GiB,
errors against a whole decomposition, how many singular values are resolved.
"""

import resource

import numpy as np
import pytest

from theory.network import Chain, ResNet
from validation.backend import get_backend
from validation.extremes import extreme_log_singular_values
from validation.methods.conditioned import conditioned_sampler
from validation.methods.forward import draw_dense
from validation.methods.graded import graded_spectrum
from validation.methods.lanczos import deferred_spectrum
from validation.networks import Sampler, sample_jacobian
from validation.runner import one_blas_thread
from validation.spectrum import log_singular_values

NUMPY = get_backend("numpy")


@pytest.fixture(autouse=True)
def one_thread():
    with one_blas_thread():
        yield


def size(benchmark, full, small):
    """The width where times are taken, and where they are not."""
    return full if benchmark.enabled else small


def draw(method, net, width):
    generator = np.random.Generator(np.random.SFC64(0))
    return method(net, generator.standard_normal(width), Sampler(generator, NUMPY))


def peak_memory():
    """Of this process so far, GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


@pytest.mark.benchmark(group="residual network of width 10^4 and depth 100, deferred decisions")
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_deferred(benchmark, activation):
    net, width = ResNet(100 if benchmark.enabled else 3, activation), size(benchmark, 10_000, 100)
    draw(deferred_spectrum, net, 50)  # compiled
    _, spectrum = benchmark.pedantic(draw, args=(deferred_spectrum, net, width), rounds=3)
    benchmark.extra_info.update(peak_GiB=peak_memory())
    assert spectrum.weights.sum() == pytest.approx(1.0)


@pytest.mark.benchmark(group="residual network of width 2000 and depth 10")
@pytest.mark.parametrize("method", [draw_dense, deferred_spectrum], ids=["dense", "deferred"])
def test_dense_against_deferred(benchmark, method):
    benchmark.pedantic(draw, args=(method, ResNet(10, "tanh"), size(benchmark, 2000, 50)), rounds=1)


def graded(net, x, sampler):
    return graded_spectrum(net, x, conditioned_sampler(sampler))


CHAINS = {"linear": Chain(20, "linear"), "relu": Chain(20, "relu", 2**0.5), "tanh": Chain(20, "tanh", 1.2, 0.1)}


@pytest.mark.parametrize("method", [draw_dense, graded], ids=["dense", "graded"])
@pytest.mark.parametrize("width", [100, 500, 1000])
@pytest.mark.parametrize("name", CHAINS)
def test_graded(benchmark, name, width, method):
    benchmark.group = f"{name} chain of depth 20, width {width}"
    width = size(benchmark, width, 20)
    draw(method, CHAINS[name], width)
    _, spectrum = benchmark.pedantic(draw, args=(method, CHAINS[name], width), rounds=2)
    benchmark.extra_info.update(rank=spectrum.rank, resolved=spectrum.resolved)
    assert method is draw_dense or spectrum.resolved == spectrum.rank


def jacobian(net, width):
    generator = np.random.Generator(np.random.SFC64(0))
    return sample_jacobian(net, generator.standard_normal(width), Sampler(generator, NUMPY)).jacobian


@pytest.mark.parametrize("values", ["all", "extremes"])
@pytest.mark.parametrize("name", ["resnet", "gaussian"])
def test_extremes(benchmark, name, values):
    benchmark.group = f"singular values of a {name} Jacobian, width 2000"
    width = size(benchmark, 2000, 100)
    matrix = jacobian(ResNet(5, "tanh") if name == "resnet" else Chain(1, "linear"), width)
    function = log_singular_values if values == "all" else extreme_log_singular_values
    spectrum = benchmark.pedantic(function, args=(matrix, NUMPY, width), rounds=2)
    if values == "extremes" and benchmark.enabled:
        ends = log_singular_values(matrix, NUMPY, width).values[[0, -1]]
        benchmark.extra_info.update(error=np.abs(spectrum.values - ends).tolist())
    assert np.isfinite(spectrum.values).all()
