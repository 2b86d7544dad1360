"""Next to 0 and far away, where numbers made of larger ones lose their digits, and where heavy tails decide.

Each case once ended in an error, or took minutes; each is compared with something that is known by other means.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt import Discrete, FussCatalan, MarchenkoPastur, ResidualSum
from rmt.numeric.continuation import solve


def test_square_of_a_law_off_zero_keeps_its_digits_next_to_zero():
    # of a product with a square Gaussian matrix the density next to 0 is sqrt(E 1/A / x)/pi, and E X^-2 is known
    ratio = 0.94
    law = MarchenkoPastur(ratio).square() @ MarchenkoPastur()
    x = np.array([1e-18, 1e-24, 1e-30])
    solved = solve(law.numeric, x)
    assert np.all(solved.converged)
    wanted = (1 - ratio) ** -1.5 / (math.pi * np.sqrt(x))
    np.testing.assert_allclose(-solved.g.imag / math.pi, wanted, rtol=1e-9)


@pytest.mark.parametrize("law", [MarchenkoPastur(0.5).compress(0.7), MarchenkoPastur(0.5) + MarchenkoPastur(0.3)])
def test_inverse_keeps_its_digits_far_away(law):
    inverse = law.inverse()
    x = np.array([1e6, 1e12, 1e18])
    answer = solve(inverse.numeric, x)
    assert np.all(answer.converged)
    first, second = (float(m) for m in inverse.moments(2))
    np.testing.assert_allclose(answer.m.real * x, first + second / x, rtol=1e-10)


def test_residual_sum_of_a_branch_of_infinite_mean():
    location, scale = 0.94, 0.31
    branch = rmt.Cauchy(location, scale).square()
    law = ResidualSum(branch, 1.06)
    # the free sum of the symmetrised singular laws, squared
    singular = rmt.Mixture([(rmt.Cauchy(side * location, scale), 0.5) for side in (-1, 1)]) + Discrete(
        {-1.06: 0.5, 1.06: 0.5}
    )
    x = np.array([1e-12, 1e-6, 0.3, 2.0, 40.0, 1e8])
    below, inside = (1 - solve(a.numeric, b).potential.imag / math.pi for a, b in ((law, x), (singular, np.sqrt(x))))
    np.testing.assert_allclose(below, 2 * inside - 1, rtol=1e-9, atol=1e-14)


def test_heavy_tails_of_rectangular_and_residual_sums_add():
    heavy = rmt.FreeStable(0.73, rho=1, scale=0.4)
    x = np.array([1e15, 1e20])
    tail = solve(heavy.numeric, x).potential.imag
    for law in (rmt.RectangularSum((MarchenkoPastur(0.5), heavy), 0.46), ResidualSum(heavy, 1.45)):
        assert law.numeric.tail()[0] == 0.73
        answer = solve(law.numeric, x)
        assert np.all(answer.converged)
        np.testing.assert_allclose(answer.potential.imag, tail, rtol=1e-9, atol=1e-15)
        # in a product the start is that of the tails
        product = (law @ FussCatalan(2)).numeric
        assert np.all(solve(product, 10.0 ** np.arange(0, 19, 3)).converged)


def test_mixture_of_compound_laws_beyond_the_negative_axis():
    inner = rmt.FreePoisson(1.7, jump=Discrete({0: 0.1, 1.1: 0.9}))
    jump = rmt.Mixture([(inner, 0.35), (MarchenkoPastur(0.6), 0.65)])
    law = rmt.FreePoisson(1.004, jump=jump).sqrt().symmetrized()
    z = np.array([2.4 + 0.3j, 1.9 + 0.05j, 0.4 + 0.2j])
    np.testing.assert_allclose(law.cauchy(-z.conj()), -law.cauchy(z).conj(), rtol=1e-12)


def test_law_by_its_r_transform_far_away():
    g = sp.Symbol("g")
    law = rmt.FreeStable(0.75, rho=1, scale=2.0) - rmt.ImplicitLaw(r=1.7 * g - 1 / (1 + 0.52 * g))
    x = np.array([1e25, 1e60])
    alone = rmt.FreeStable(0.75, rho=1, scale=2.0)
    answer = solve(law.numeric, x)
    assert np.all(answer.converged)
    # relative to its own size, although it is 1e-45 of the real part
    np.testing.assert_allclose(answer.g.imag, solve(alone.numeric, x).g.imag, rtol=1e-9)

