"""How long the polynomial method takes: run with ``pytest tests/benchmarks --benchmark-enable``, compare in one run.

Each case includes resultant, factorisation, the choice of the factor and the conversion to a sympy Poly in (m, z).
"""

from fractions import Fraction

import numpy as np
import pytest

import rmt
from rmt.algebra.residual import ResidualSum
from rmt.symbolic import Bivariate, algebraic_density, bivariate, elimination, moment_recurrence, polynomial
from rmt.symbolic import polynomial_operations as operations

half = Fraction(1, 2)
needs_flint = pytest.mark.skipif(not elimination.has_flint(), reason="python-flint is missing")


def atoms(count, backend):
    """Two laws with as many atoms, of unequal weights."""
    total = count * (count + 1) // 2
    first = rmt.Discrete({k * k + 1: Fraction(k + 1, total) for k in range(count)})
    second = rmt.Discrete({3 * k + 2: Fraction(1, count) for k in range(count)})
    return [Bivariate.from_expression(polynomial(law), backend=backend) for law in (first, second)]


@pytest.mark.benchmark(group="sums and products of laws with n atoms")
@pytest.mark.parametrize("operation", [operations.free_sum, operations.free_product])
@pytest.mark.parametrize(
    ("count", "backend"),
    [(3, "sympy"), pytest.param(3, "flint", marks=needs_flint), pytest.param(6, "flint", marks=needs_flint)],
)
def test_laws_with_atoms(benchmark, operation, count, backend):
    pair = atoms(count, backend)
    poly = benchmark(lambda: operation(*pair).to("m").poly)
    assert poly.degree(0) > count


@pytest.mark.benchmark(group="twenty residual blocks")
@pytest.mark.parametrize("gate", ["linear", "relu"])
def test_deep_residual_networks(benchmark, gate):
    branch = rmt.MarchenkoPastur(1)
    if gate == "relu":
        branch = branch @ rmt.Discrete({0: half, 1: half})
    block = bivariate(ResidualSum(Fraction(1, 20) * branch, 1), "s")
    power = benchmark(operations.free_power, block, 20)
    assert power.degrees[0] == block.degrees[0]


@pytest.mark.benchmark(group="density with proof, 1000 points")
@pytest.mark.parametrize("depth", [4, 10, 50])
def test_density_of_deep_products(benchmark, depth):
    law = bivariate(rmt.FussCatalan(depth))
    x = float(Fraction((depth + 1) ** (depth + 1), depth**depth)) * np.arange(1, 1001) / 1001
    found = benchmark(algebraic_density, law, x)
    assert np.all(found.values > 0)


@pytest.mark.benchmark(group="exact moments")
@pytest.mark.parametrize("way", ["newton", "recurrence"])
def test_moments_of_three_laws(benchmark, way):
    law = rmt.MarchenkoPastur(half) @ rmt.MarchenkoPastur(Fraction(1, 3)) @ rmt.MarchenkoPastur(2)
    found = bivariate(law)
    ask = found.moments if way == "newton" else moment_recurrence(found).moments
    assert len(benchmark(ask, 50)) == 50
