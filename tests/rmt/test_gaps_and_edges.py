"""Gaps, their edges and what lies next to 0, where a coordinate that loses its digits shows first."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from rmt import (
    Discrete,
    FreeMultiplicativeBrownian,
    FreePoisson,
    FreeStable,
    FussCatalan,
    MarchenkoPastur,
    RectangularSum,
    ResidualSum,
    Semicircle,
    Uniform,
)
from rmt.numeric.continuation import solve

_SUM = MarchenkoPastur(0.819).free_sum_power(7.3)
_RECTANGULAR = RectangularSum((_SUM, Discrete({1.33: 0.3, 3.16: 0.7})), 0.75)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("branch", "skip"), [(_SUM, 0.66), (_RECTANGULAR, 0.7)])
def test_a_gap_at_zero_of_a_strong_branch(branch, skip):
    """Down to 1e-200 the system says: no mass below, m = -1, and G is that of the symmetrised singular values."""
    law = ResidualSum(branch, skip)
    s = solve(law.numeric, 10.0 ** np.array([-30, -14, -9, -4]))
    assert np.all(s.converged)
    assert np.max(np.abs(1 - s.potential.imag / np.pi)) < 1e-13
    assert np.max(np.abs(s.m + 1)) < 2e-4
    assert abs(s.m[0] + 1) < 1e-15
    # the symmetrised singular laws of branch and skip add freely: another system, without log z
    singular = branch.sqrt().symmetrized() + Discrete({-skip: Fraction(1, 2), skip: Fraction(1, 2)})
    positive = [x for pair in singular.support().intervals for x in map(float, pair) if x > 0]
    assert [x for pair in law.support().intervals for x in map(float, pair)] == pytest.approx(
        [x**2 for x in positive], rel=1e-12
    )


@pytest.mark.parametrize(
    ("rate", "jump"),
    [
        (0.76, FreePoisson(2.1, jump=Discrete({0.15: 0.3, 0.73: 0.3, 3.04: 0.4}))),
        (Fraction(5, 12), RectangularSum((MarchenkoPastur(0.53), FussCatalan(1.5)), 0.38)),
    ],
)
def test_the_gap_above_the_atom_of_a_free_poisson_law(rate, jump):
    """Below the jumps z = zeta (1 + rate psi(zeta)) rises to the edge; from 0 the edge is a step over a pole away."""
    law = FreePoisson(rate, jump=jump)
    lowest = float(jump.support().lower)
    best = minimize_scalar(
        lambda zeta: -zeta * (1 + float(rate) * float(np.real(jump.moment_transform(zeta)))),
        bounds=(1e-6 * lowest, (1 - 1e-9) * lowest),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert float(law.support().intervals[0][0]) == pytest.approx(-best.fun, rel=1e-9)
    assert law.cdf(0.9 * -best.fun) == pytest.approx(1 - float(rate), abs=1e-13)


def test_a_mirrored_product_far_from_zero():
    """A vertical path that ends above -X must begin far away from 0 as well, not only from the mean."""
    law = ResidualSum(Discrete({0.15: 0.95, 1.39: 0.05}).free_power(2.5), 0.81)
    z = np.array([0.66 + 0.153j, 0.4 + 0.01j, 1.2 + 0.3j])
    mirrored = -Fraction(4, 3) * law - 0.04
    there = -4 / 3 * z.conj() - 0.04
    assert mirrored.cauchy(there) == pytest.approx(-3 / 4 * law.cauchy(z).conj(), rel=1e-12)


def test_a_square_whose_first_moments_tell_little():
    """Far out the square of a law with a large mean is reached only from farther out still."""
    law = (-0.61 * FussCatalan(3.5).compress(0.51) + 1.62).square().free_sum_power(1.1)
    edge = float(law.support().lower)
    assert edge > 0.01
    s = solve(law.numeric, edge * np.array([1e-3, 0.1, 0.9, 1.1]), insist=False)
    assert np.all(s.converged)
    assert np.all(np.abs(s.g.imag[:3]) < 1e-12)
    assert s.g.imag[3] < -0.1
    x, weights = law._quadrature_rule()
    assert [np.sum(weights), np.sum(weights * x)] == pytest.approx([1, float(law.mean())], rel=1e-9)


def test_a_needle_inside_the_support():
    """The panels follow a density that is finite and a million times narrower than its support."""
    law = FussCatalan(3).sqrt().symmetrized() + Semicircle(1e-13)
    x, weights = law._quadrature_rule()
    assert law.pdf(0.0) > 100
    assert [np.sum(weights), np.sum(weights * x * x)] == pytest.approx([1, 1 + 1e-13], abs=1e-10)


def test_the_point_of_an_atom_amid_a_bulk():
    """The distribution function is asked at the atom itself, where the density beside it is steep."""
    positive = Fraction(5, 6) * MarchenkoPastur() + Fraction(5, 6)
    jump = positive - FreeMultiplicativeBrownian(1.89) - Discrete({-0.42: Fraction(1, 2), 0.42: Fraction(1, 2)})
    law = FreePoisson(0.32, jump=jump)
    below, at, above = law.cdf([-1e-9, 0.0, 1e-9])
    assert at - below == pytest.approx(0.68, abs=1e-6)
    assert at <= above < at + 1e-6
    assert np.isfinite(law.pdf(0.0))


def test_a_density_that_jumps_at_zero_beside_an_atom():
    law = FreePoisson(Fraction(1, 2), jump=Uniform(0, 3))
    assert law.cdf(0.0) == pytest.approx(0.5, abs=1e-14)
    assert law.pdf(0.0) == pytest.approx(float(law.pdf(1e-9)), rel=1e-6)


@pytest.mark.exhaustive
def test_a_walk_round_a_subordination_point_at_infinity():
    """In the gap below this sum the uniform law is met at infinity, where its unknown is."""
    heavy = RectangularSum((Uniform(0.2, 0.78), FreeStable(0.82, rho=1, scale=1.54)), 0.867)
    law = heavy + Discrete({-0.75: Fraction(1, 2), 0.75: Fraction(1, 2)})
    edge = float(law.support().intervals[0][0])
    assert -0.3 < edge < -0.29
    assert law.cdf(edge + 1e-9) < 1e-9
    assert law.pdf(edge + 2e-6) / law.pdf(edge + 1e-6) == pytest.approx(2**0.5, rel=1e-3)
