"""The free multiplicative Poisson law: closed forms against series, solver, high precision and finite products."""

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import rmt
from rmt import series

RATES = [0.3, 1, 2.5]


@pytest.mark.parametrize("rate", RATES)
def test_closed_forms_against_the_solver(rate):
    law = rmt.FreeMultiplicativePoisson(rate)
    x = law.support().intervals[0][1] * np.array([1e-200, 1e-6, 0.01, 0.3, 0.9, 1 - 1e-6])
    np.testing.assert_allclose(law.pdf(x), law.pdf(x, method="subordination"), rtol=1e-8)
    np.testing.assert_allclose(law.cdf(x), law.cdf(x, method="subordination"), atol=1e-12)
    z = np.array([-0.3, 0.4 + 0.2j, 2.0, 1e4 + 1j])
    np.testing.assert_allclose(law.cauchy(z), law.cauchy(z, method="subordination"), rtol=1e-11)
    for m in (-0.6, 0.2):
        assert law.s_transform(m) == pytest.approx(math.exp(rate / (1 + m)), rel=1e-11)
    step = 1e-5 * x[3]
    assert (law.cdf(x[3] + step) - law.cdf(x[3] - step)) / (2 * step) == pytest.approx(law.pdf(x[3]), rel=1e-8)
    assert law.moments(4) == pytest.approx(law.moments(4, method="quadrature"), rel=1e-9)


@pytest.mark.parametrize("rate", RATES)
def test_high_precision_next_to_the_edge(rate):
    law = rmt.FreeMultiplicativePoisson(rate)
    edge = law.support().intervals[0][1]
    with mp.workdps(40):
        for distance in (1e-12, 1e-7, 4e-4, 1e-3, 0.02):
            x = edge * (1 - distance)
            w = mp.lambertw(-mp.mpf(rate) * mp.exp(-mp.mpf(rate)) / x)
            exact = float(rate * w.imag / (mp.pi * x * abs(rate + w) ** 2))
            # the edge itself is rounded to 1e-16
            assert law.pdf(x) == pytest.approx(exact, rel=1e-12 + 3e-16 / distance)


def test_moments_are_those_of_the_s_transform():
    rate = sp.Symbol("r", positive=True)
    law = rmt.FreeMultiplicativePoisson(rate)
    # S = e^r exp(-r m/(1 + m)), mean exp(-r)
    s = series.exp([0, *((-1) ** k * rate for k in range(1, 6))])
    expected = series.s_series_to_moments(s)
    for k, (x, y) in enumerate(zip(law.moments(6), expected, strict=True), 1):
        assert sp.expand(x * sp.exp(k * rate) - y) == 0
    numbers = [float(x.subs(rate, 2)) for x in law.moments(3)]
    assert rmt.FreeMultiplicativePoisson(2).moments(3) == pytest.approx(numbers, rel=1e-14)


@pytest.mark.parametrize("rate", [0.3, 2.5])
def test_limit_of_products_of_projections(rate):
    law, x = rmt.FreeMultiplicativePoisson(rate), np.array([0.01, 0.1, 0.4])
    errors = []
    for n in (100, 200):
        product = rmt.Discrete({0: rate / n, 1: 1 - rate / n}).free_power(n)
        errors.append(product.cdf(x) - law.cdf(x))
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.05)
    assert rmt.FreeMultiplicativePoisson(rate).log_moment() == -math.inf


def test_atom_edges_and_mass():
    law = rmt.FreeMultiplicativePoisson(Fraction(1, 4))
    assert law.support().atoms == {1: Fraction(3, 4)}
    ((lower, upper),) = law.support().intervals
    assert (lower, upper) == (0, pytest.approx(math.exp(0.75) / 4, rel=1e-15))
    assert law.cdf([upper, 0.99, 1.0]).tolist() == pytest.approx([0.25, 0.25, 1.0])
    assert rmt.FreeMultiplicativePoisson(1).support().atoms == {}
    assert rmt.FreeMultiplicativePoisson(1).support().intervals[0][1] == pytest.approx(1)
    with pytest.raises(ValueError, match="rate=0"):
        rmt.FreeMultiplicativePoisson(0)


def test_rates_add_in_free_products_and_curves_are_checked():
    a, b = rmt.FreeMultiplicativePoisson(0.5), rmt.FreeMultiplicativePoisson(1.1)
    x = np.array([0.05, 0.3, 0.7])
    np.testing.assert_allclose((a @ b).pdf(x), rmt.FreeMultiplicativePoisson(1.6).pdf(x), rtol=1e-9)
    np.testing.assert_allclose(a.free_power(3.2).pdf(x), rmt.FreeMultiplicativePoisson(1.6).pdf(x), rtol=1e-9)
    assert b.curve(points=60).status == rmt.Status.OK
    assert eval(repr(a), {"FreeMultiplicativePoisson": rmt.FreeMultiplicativePoisson}) == a
