"""How long a density takes: run with ``pytest tests/benchmarks --benchmark-enable`` and compare within one run.

Without that option each case runs once, as a test that the points are resolved. The cases of one group belong beside
each other: a depth beside another depth, a compiled walk beside the general solver.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

import rmt
import theory
from rmt.numeric.continuation import solve

POINTS = 1000


def inside(law, points=POINTS):
    """Equidistant points inside the widest interval."""
    lower, upper = max(law.support().intervals, key=lambda ends: float(ends[1]) - float(ends[0]))
    return np.linspace(float(lower), float(upper), points + 2)[1:-1]


def measure(benchmark, law, method=None):
    x = inside(law)
    law.pdf(x, method=method)  # what is computed once a law, or compiled once a process
    density = benchmark(law.pdf, x, method=method)
    benchmark.extra_info["points"] = x.size
    assert np.all(density > 0)


@pytest.mark.benchmark(group="explicit")
@pytest.mark.parametrize("depth", [2, 50, 10**5])
def test_product_of_marchenko_pastur_laws(benchmark, depth):
    measure(benchmark, rmt.MarchenkoPastur(1).free_power(depth))


@pytest.mark.benchmark(group="explicit")
@pytest.mark.parametrize("depth", [2, 50, 10**5])
def test_relu_chain(benchmark, depth):
    measure(benchmark, theory.jacobian_law(theory.Chain(depth=depth, activation="relu", sigma_w=2**0.5)))


@pytest.mark.benchmark(group="explicit")
def test_product_of_marchenko_pastur_laws_by_the_general_solver(benchmark):
    measure(benchmark, rmt.MarchenkoPastur(1).free_power(2), method="subordination")


@pytest.mark.benchmark(group="explicit")
def test_distribution_function(benchmark):
    law = rmt.MarchenkoPastur(1).free_power(2)
    levels = benchmark(law.cdf, inside(law))
    assert np.all(np.diff(levels) > 0)


GENERAL = {
    "sum": lambda: rmt.Semicircle(1) + rmt.Discrete({-2: 0.5, 2: 0.5}),
    "sum of continuous laws": lambda: rmt.Semicircle(1) + rmt.MarchenkoPastur(0.5),
    "product": lambda: rmt.MarchenkoPastur(0.5) @ rmt.Discrete({1: 0.25, 2: 0.25, 5: 0.25, 9: 0.25}),
    "signed product": lambda: rmt.Semicircle(1, 1) @ rmt.MarchenkoPastur(0.5),
    "relu resnet": lambda: theory.jacobian_law(theory.ResNet(50, "relu", sigma_w=0.7)),
    "tanh layer": lambda: theory.jacobian_law(theory.Chain(depth=1, activation="tanh", sigma_w=1.2)),
    "tanh chain of different layers": lambda: theory.jacobian_law(
        theory.Chain(depth=5, activation="tanh", sigma_w=1.2, sigma_b=0.1)
    ),
    "tanh resnet of different blocks": lambda: theory.jacobian_law(theory.ResNet(50, "tanh", sigma_w=0.7)),
}


@pytest.mark.benchmark(group="general")
@pytest.mark.parametrize("name", GENERAL)
def test_general_law(benchmark, name):
    measure(benchmark, GENERAL[name]())


@pytest.mark.benchmark(group="general")
def test_sum_point_by_point_from_infinity(benchmark):
    law = GENERAL["sum"]()
    solution = benchmark(solve, law.numeric, inside(law))
    assert np.all(solution.converged)


FIRST_CURVE = {
    "import alone": "import rmt",
    "relu chain": "import theory; theory.jacobian_law(theory.Chain(depth=10, activation='relu')).curve()",
    "product": "import rmt; (rmt.MarchenkoPastur(0.5) @ rmt.MarchenkoPastur(0.3)).curve()",
    "sum": "import rmt; (rmt.Semicircle(1) + rmt.MarchenkoPastur(0.5)).curve()",
    "tanh layer": "import theory; theory.jacobian_law(theory.Chain(depth=1, activation='tanh')).curve()",
}


@pytest.mark.slow
@pytest.mark.benchmark(group="first curve of a process")
@pytest.mark.parametrize("cache", ["warm", "empty"])
@pytest.mark.parametrize("name", FIRST_CURVE)
def test_first_curve(benchmark, tmp_path, name, cache):
    def run(directory):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(directory)}
        subprocess.run([sys.executable, "-c", FIRST_CURVE[name]], check=True, env=environment)

    if cache == "warm":
        run(tmp_path)
        benchmark.pedantic(run, args=(tmp_path,), rounds=3)
    else:
        rounds = iter(range(100))
        benchmark.pedantic(run, setup=lambda: ((tmp_path / str(next(rounds)),), {}), rounds=3)
