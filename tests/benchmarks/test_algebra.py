"""How long exact algebra takes: run with ``--benchmark-enable``. Fifty moments are wanted in a second."""

from fractions import Fraction

import pytest
import sympy as sp

import rmt
import theory
from rmt import series
from theory.corrections import _terms_and_edges

FOUR = {Fraction(1, 3): Fraction(1, 4), 1: Fraction(1, 3), 2: Fraction(1, 6), Fraction(7, 2): Fraction(1, 4)}


@pytest.mark.benchmark(group="moments")
@pytest.mark.parametrize("kind", ["free_poisson", "squared_semicircle", "semicircle"])
def test_fifty_moments_of_a_product_of_three_laws(benchmark, kind):
    third = {
        "free_poisson": rmt.FreePoisson(rate=Fraction(3, 2), jump=rmt.Discrete({1: Fraction(1, 2), 3: Fraction(1, 2)})),
        "squared_semicircle": rmt.Semicircle(variance=Fraction(2, 3)).square(),
        "semicircle": rmt.Semicircle(variance=Fraction(2, 3)),
    }[kind]
    moments = benchmark(lambda: (rmt.MarchenkoPastur(Fraction(1, 2)) @ rmt.Discrete(FOUR) @ third).moments(50))
    assert len(moments) == 50


@pytest.mark.benchmark(group="parameters")
def test_ten_moments_of_a_product_with_two_parameters(benchmark):
    c, p = sp.symbols("c p", positive=True)
    moments = benchmark(lambda: (rmt.MarchenkoPastur(c) @ rmt.Discrete({0: 1 - p, 1: p})).moments(10))
    assert len(moments) == 10


@pytest.mark.benchmark(group="parameters")
def test_ten_free_cumulants_of_ten_symbols(benchmark):
    cumulants = benchmark(series.moments_to_free_cumulants, list(sp.symbols("m1:11")))
    assert len(cumulants) == 10


@pytest.mark.benchmark(group="derivations")
def test_corrections_of_a_residual_network(benchmark):
    a, depth = sp.symbols("a L", positive=True)
    net = theory.ResNet(depth=depth, activation="relu", skip=a)

    def expand():
        _terms_and_edges.cache_clear()
        return theory.finite_depth_corrections(net)

    assert len(benchmark(expand).terms) == 3


@pytest.mark.parametrize("what", ["universal law", "ReLU block", "ReLU ResNet"])
def test_derivations_in_symbols(benchmark, what):
    """All parameters symbolic: 2 s allowed for the universal law, 5 s for a residual block."""
    a, c, sigma_w, depth = sp.symbols("a c sigma_w L", positive=True)
    relu = theory.Activation("relu")

    def derive():
        if what == "universal law":
            return rmt.derive(rmt.UniversalResNet(c=c, skip=a, depth=depth)).moments(4)
        if what == "ReLU block":
            return theory.derive(theory.Residual([theory.Dense(sigma_w), relu], skip=a)).moments(4)
        return theory.derive(theory.ResNet(depth=depth, activation="relu", sigma_w=sigma_w, skip=a)).moments(4)

    assert len(benchmark.pedantic(derive, rounds=3)) == 4
