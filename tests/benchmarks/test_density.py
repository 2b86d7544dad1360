"""How long a density takes: run with ``pytest tests/benchmarks --benchmark-enable`` and compare within one run (on a
busy machine with ``--benchmark-timer=time.process_time`` besides).

Without that option each case runs once, as a test that the points are resolved. The cases of one group belong beside
each other: a depth beside another depth, a compiled walk beside the general solver, and all beside what one would write
without this package, which is written out here: all roots of the polynomial and a pick, a compiled homotopy from above
the axis, the subordination fixed point. ``extra_info`` has the time a point and how far the densities are off.
"""

import os
import subprocess
import sys

import numba
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


def note(benchmark, points, **more):
    benchmark.extra_info.update(points=points, **more)
    if benchmark.stats:
        benchmark.extra_info["us/point"] = round(1e6 * benchmark.stats["min"] / points, 3)


def measure(benchmark, law, method=None):
    x = inside(law)
    law.pdf(x, method=method)  # what is computed once a law, or compiled once a process
    density = benchmark(law.pdf, x, method=method)
    note(benchmark, x.size)
    assert np.all(density > 0)


def measure_baseline(benchmark, baseline, law):
    x = inside(law)
    baseline(x[:2])  # compiled
    density = benchmark(baseline, x)
    exact = law.pdf(x)
    note(benchmark, x.size, error=float(np.nanmax(np.abs(density - exact)) / exact.max()))


def roots_and_a_pick(coefficients, x):
    """Density from the root that is farthest below the axis of a polynomial in G, all roots of which are found."""
    return np.array([max(-np.roots(coefficients(point)).imag) / np.pi for point in x])


def of_a_product(depth):
    """Coefficients of z^L G^(L+1) - z G + 1 = 0, the law of the product of L Marchenko-Pastur laws."""
    return lambda x: np.concatenate([[x**depth], np.zeros(depth - 1), [-x, 1.0]])


@numba.njit
def homotopy(x, depth, height):
    """The same law from above: (1 + m)^(L+1) = z m by Newton's method down to the axis, the height halved each time."""
    density = np.empty(x.size)
    for i in range(x.size):
        m = 1 / complex(x[i], height)
        h = height
        while True:
            z = complex(x[i], h)
            for _ in range(50):
                power = (1 + m) ** depth
                step = (power * (1 + m) / m - z) * m * m / (power * (depth * m - 1))
                m -= step
                if abs(step) <= 1e-15 * abs(m):
                    break
            if h == 0.0:
                break
            h = 0.5 * h if h > 1e-9 else 0.0
        density[i] = -m.imag / (np.pi * x[i])
    return density


def subordination_fixed_point(x):
    """The free sum of a semicircle and a coin on {-2, 2}, by iteration a little above the axis."""
    z, g = x + 1e-8j, np.full(x.shape, -1j)
    for _ in range(10000):
        new = (g + 0.5 / (z - g - 2) + 0.5 / (z - g + 2)) / 2
        if np.max(np.abs(new - g)) < 1e-12:
            break
        g = new
    return -new.imag / np.pi


@pytest.mark.benchmark(group="explicit")
@pytest.mark.parametrize("depth", [2, 50, 10**5])
def test_product_of_marchenko_pastur_laws(benchmark, depth):
    measure(benchmark, rmt.MarchenkoPastur(1).free_power(depth))


@pytest.mark.benchmark(group="explicit")
@pytest.mark.parametrize("depth", [2, 50, 10**5])
def test_relu_chain(benchmark, depth):
    measure(benchmark, theory.jacobian_law(theory.Chain(depth=depth, activation="relu", sigma_w=2**0.5)))


@pytest.mark.benchmark(group="explicit")
@pytest.mark.parametrize("depth", [2, 50])
def test_product_by_all_roots(benchmark, depth):
    def baseline(x):
        return roots_and_a_pick(of_a_product(depth), x)

    measure_baseline(benchmark, baseline, rmt.MarchenkoPastur(1).free_power(depth))


@pytest.mark.benchmark(group="explicit")
@pytest.mark.parametrize("depth", [2, 50])
def test_product_by_a_compiled_homotopy(benchmark, depth):
    law = rmt.MarchenkoPastur(1).free_power(depth)
    measure_baseline(benchmark, lambda x: homotopy(x, depth, 20 * float(law.support().upper)), law)


@pytest.mark.benchmark(group="explicit")
def test_product_of_marchenko_pastur_laws_by_the_general_solver(benchmark):
    measure(benchmark, rmt.MarchenkoPastur(1).free_power(2), method="subordination")


@pytest.mark.benchmark(group="explicit")
def test_distribution_function(benchmark):
    law = rmt.MarchenkoPastur(1).free_power(2)
    levels = benchmark(law.cdf, inside(law))
    note(benchmark, POINTS)
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
    solution = benchmark(solve, law.numeric, inside(law), from_afar=True)
    note(benchmark, POINTS)
    assert np.all(solution.converged)


@pytest.mark.benchmark(group="general")
def test_sum_by_all_roots(benchmark):
    # G = (z - G)/((z - G)**2 - 4)
    def baseline(x):
        return roots_and_a_pick(lambda z: [1.0, -2 * z, z * z - 3, -z], x)

    measure_baseline(benchmark, baseline, GENERAL["sum"]())


@pytest.mark.benchmark(group="general")
def test_sum_by_the_subordination_fixed_point(benchmark):
    measure_baseline(benchmark, subordination_fixed_point, GENERAL["sum"]())


FIRST_CURVE = {
    "import alone": "import rmt",
    "relu chain": "import theory; theory.jacobian_law(theory.Chain(depth=10, activation='relu')).curve()",
    "product": "import rmt; (rmt.MarchenkoPastur(0.5) @ rmt.MarchenkoPastur(0.3)).curve()",
    "sum": "import rmt; (rmt.Semicircle(1) + rmt.MarchenkoPastur(0.5)).curve()",
    "tanh chain": "import theory; theory.jacobian_law(theory.Chain(depth=5, activation='tanh', sigma_w=1.1)).curve()",
    "tanh resnet": "import theory; theory.jacobian_law(theory.ResNet(depth=50, activation='tanh')).curve()",
}


@pytest.mark.slow
@pytest.mark.skipif("not config.getoption('benchmark_enable')", reason="a new process each: only where it is timed")
@pytest.mark.benchmark(group="first curve of a process")
@pytest.mark.parametrize("cache", ["warm", "empty"])
@pytest.mark.parametrize("name", FIRST_CURVE)
def test_first_curve(benchmark, tmp_path, name, cache):
    def run(directory):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(directory)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
        subprocess.run([sys.executable, "-c", FIRST_CURVE[name]], check=True, env=environment)

    if cache == "warm":
        run(tmp_path)
        benchmark.pedantic(run, args=(tmp_path,), rounds=3)
    else:
        rounds = iter(range(100))
        benchmark.pedantic(run, setup=lambda: ((tmp_path / str(next(rounds)),), {}), rounds=3)
