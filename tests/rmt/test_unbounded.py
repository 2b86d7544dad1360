"""Laws with unbounded support, alone and inside free operations, against closed forms and high precision."""

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

from rmt import (
    Cauchy,
    Discrete,
    FreePoisson,
    FreeStable,
    Gaussian,
    MarchenkoPastur,
    PolynomialLaw,
    PreconditionError,
    Semicircle,
    Status,
    Uniform,
)
from rmt.numeric.continuation import solve

INF = math.inf
MP = MarchenkoPastur


def assert_close(actual, desired, tolerance):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance)


# --- the Gaussian transform in high precision -----------------------------------------------------------------------


def normal(t):
    """G and m = t G - 1 of the standard normal law, continued downwards."""
    t = mp.mpc(t)
    zeta = t / mp.sqrt(2)
    g = -1j * mp.sqrt(mp.pi / 2) * mp.exp(-zeta * zeta) * mp.erfc(-1j * zeta)
    return g, t * g - 1


def root(equation, scale=1.0):
    """The solution in the upper half-plane, where a subordination function is unique."""
    with mp.workdps(30):
        for start in (0.3 + 0.5j, 1 + 0.5j, 2 + 0.3j, -0.3 + 0.5j, -1 + 0.5j, -2 + 0.3j, 4 + 0.1j, -4 + 0.1j, 2j):
            try:
                found = mp.findroot(equation, mp.mpc(start * scale), tol=1e-45)
            except (ValueError, ZeroDivisionError):
                continue
            if found.imag > 1e-20:
                return found
    raise AssertionError("no solution in the upper half-plane was found")


POINTS = [0.3 + 0.2j, 0.01, 1.2, 5, 8.9, 9.1, -9.1, 20, -4 + 3j, -30 + 1e-3j, 1e3 + 5j, 2j, 9.1j, 30 + 200j, 2 - 0.3j]


@pytest.mark.parametrize("mean", [0, 0.5])
@pytest.mark.parametrize("t", POINTS)
def test_gaussian_leaf_keeps_the_digits_of_g_and_m(t, mean):
    node = Gaussian(2.25, mean).numeric
    with mp.workdps(60):
        g, m = normal(mp.mpc(t))
        expected = complex(g / 1.5), complex(m + mp.mpf(mean) * g / 1.5)
        # G' = -m for the standard law, and m' = (t G)'
        slope = complex((g - t * m - mp.mpf(mean) * m / 1.5) / 1.5)
    jet = node.linearise(np.array([[mean + 1.5 * t]], dtype=complex)).jet
    assert jet.g[0] == pytest.approx(expected[0], rel=1e-14, abs=0)
    assert jet.m[0] == pytest.approx(expected[1], rel=3e-13, abs=0)
    assert jet.dm[0] == pytest.approx(slope, rel=2e-11, abs=0)
    if t == 9.1:  # the density far out, below the rounding of Re G
        assert jet.g[0].imag == pytest.approx(expected[0].imag, rel=1e-12, abs=0)


def test_gaussian_distribution_function_off_the_potential():
    law = Gaussian(2.25, -0.3)
    x = np.array([-40.0, -8.0, -3.1, -0.3, 0.2, 1.9, 7.5, 13.0, 60.0])
    for question in (law.pdf, law.cdf):
        assert_close(question(x, method="subordination"), question(x, method="closed_form"), 1e-15)
    assert law.cauchy(0.4 + 0.3j) == pytest.approx(law.cauchy(0.4 + 0.3j, method="subordination"), rel=1e-14)
    # E log|X| of the standard law
    assert Gaussian().log_moment() == pytest.approx(-(np.euler_gamma + math.log(2)) / 2, abs=1e-14)
    shifted = float(mp.quad(lambda x: mp.log(abs(x)) * mp.npdf(x, -0.3, 1.5), [-mp.inf, -5, -0.3, 0, 1, 5, mp.inf]))
    assert law.log_moment() == pytest.approx(shifted, abs=1e-12)


def test_gaussian_moments_are_exact():
    even = [Fraction(1, 2), Fraction(3, 4), Fraction(15, 8), Fraction(105, 16)]
    assert Gaussian(Fraction(1, 2)).moments(8)[1::2] == even
    assert Gaussian(Fraction(1, 2)).moments(7)[::2] == [0, 0, 0, 0]
    assert Gaussian(4, 3).moments(4) == [3, 13, 63, 3**4 + 6 * 9 * 4 + 3 * 16]
    # connected pairings: A000699
    assert Gaussian().free_cumulants(10)[1::2] == [1, 1, 4, 27, 248]
    law = Gaussian(0.7, 0.4)
    assert law.moments(6, method="quadrature") == pytest.approx(law.moments(6), rel=1e-12)


# --- the Gaussian law in free operations ----------------------------------------------------------------------------


def test_semicircle_plus_gaussian():
    law = Semicircle() + Gaussian()
    assert law.support().intervals == ((-INF, INF),)
    assert law.pdf(0.0) == pytest.approx(0.239302674659, abs=1e-12)
    x = np.array([-6.0, -2.2, 0.0, 0.7, 1.9, 3.5, 5.1])
    # g = G_N(x - g), solved in the point t = x - g
    expected = []
    for point in x:
        t = root(lambda t, point=point: t + normal(t)[0] - point, max(1.0, abs(point) / 2))
        expected.append(float(-normal(t)[0].imag / mp.pi))
    assert_close(law.pdf(x), expected, 1e-14)
    assert law.moments(6, method="quadrature") == pytest.approx(law.moments(6), rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("t", [1.4, 3.5])
def test_free_powers_and_compressions_of_gaussian(t):
    # t R(g) + 1/g = z with z_N = R(g) + 1/g; the compression by 1/t is the power, scaled down
    power, corner = Gaussian(1, 0.3).free_sum_power(t), Gaussian(1, 0.3).compress(1 / t)
    x = t * 0.3 + np.array([-3.0, -1.1, 0.0, 0.6, 2.4])
    for point in x:

        def equation(s, point=point):
            g = normal(s - mp.mpf(0.3))[0]
            return t * (s - 1 / g) + 1 / g - point

        g = normal(root(equation) - mp.mpf(0.3))[0]
        assert power.pdf(point) == pytest.approx(float(-g.imag / mp.pi), abs=1e-14)
        assert corner.pdf(point / t) == pytest.approx(t * float(-g.imag / mp.pi), abs=1e-13)
    assert power.expectation(np.ones_like) == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize(
    "ratio", [pytest.param(0.4, marks=pytest.mark.slow), pytest.param(1.0, marks=pytest.mark.slow), 2.5]
)
def test_products_of_gaussian_with_marchenko_pastur(ratio):
    # z = z_N (1 + ratio m), with m of the Gaussian law at z_N, or of its square at z_N = s**2
    signed, square = Gaussian() @ MP(ratio), Gaussian().square() @ MP(ratio)
    for point in (0.35, 0.9, 1.7, 2.6):
        s = root(lambda s, point=point: s * (1 + ratio * normal(s)[1]) - point)
        g = (1 + normal(s)[1]) / point
        assert signed.pdf(point) == pytest.approx(float(-g.imag / mp.pi), abs=2e-13)
        s = root(lambda s, point=point: s * s * (1 + ratio * normal(s)[1]) - point**2)
        g = (1 + normal(s)[1]) / point**2
        assert square.pdf(point**2) == pytest.approx(float(-g.imag / mp.pi), abs=2e-13 / point**2)
    for law in (signed, square):
        assert law.moments(4, method="quadrature") == pytest.approx(law.moments(4), rel=2e-9, abs=1e-9)
    lower = square.support().edges[0]
    assert (lower.position == 0) == (ratio <= 1)
    assert square.support().atoms == pytest.approx({} if ratio <= 1 else {0: 1 - 1 / ratio})
    if ratio < 1:
        assert lower.exponent == pytest.approx(-0.5, abs=1e-4)


@pytest.mark.slow
def test_a_sum_with_a_law_of_full_support_has_no_gaps():
    # the density between the two bumps is far below rounding
    law = Gaussian(0.01) + Discrete({-20: 0.5, 10: 0.5})
    assert law.support().intervals == ((-INF, INF),)
    assert law.pdf(-5.3) == pytest.approx(0, abs=1e-15)
    assert law.cdf(-5.3) == pytest.approx(0.5, abs=1e-14)
    assert law.pdf(-20.0) == pytest.approx(law.pdf(10.0), rel=1e-3)
    assert law.expectation(lambda x: x) == pytest.approx(-5, abs=1e-10)


# --- Cauchy: the free sum is the classical one ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "law",
    [
        MP(0.5),
        MP(Fraction(5, 2)),
        Discrete({-2: 0.3, 1: 0.7}),
        Semicircle(0.7, 0.3),
        Gaussian(0.5, -1),
        MP(0.4) @ Discrete({0: 0.25, 1: 0.35, 3: 0.4}),
    ],
    ids=repr,
)
def test_cauchy_shifts_the_argument_into_the_half_plane(law):
    location, scale = 0.4, 0.15
    total = Cauchy(location, scale) + law
    assert total.support().intervals == ((-INF, INF),)
    assert total.support().atoms == {}
    z = np.array([-30.0, -2.1, -0.3, 0.4, 1.0, 2.7, 11.0, 0.3 + 1j])
    assert_close(total.cauchy(z), law.cauchy(z - location + 1j * scale), 3e-14)
    # P(X <= x) is the average of the arguments at which the half-line is seen
    if isinstance(law, Discrete):
        x = np.array([-100.0, -1.7, 0.5, 3.0])
        seen = sum(p * np.arctan2(scale, location + a - x) / np.pi for a, p in law.masses)
        assert_close(total.cdf(x), seen, 1e-14)


def test_sums_of_cauchy_laws_are_cauchy():
    total = Cauchy(1, 0.5) + Cauchy(-2, 1.5) + Cauchy(-2, 1.5)
    x = np.array([-1e6, -50.0, -3.0, 0.1, 40.0])
    # far out Im G is Re G times 3.5/|x|, and has as many digits less
    np.testing.assert_allclose(total.pdf(x), Cauchy(-3, 3.5).pdf(x), rtol=5e-10)
    np.testing.assert_allclose(total.pdf(x[1:]), Cauchy(-3, 3.5).pdf(x[1:]), rtol=1e-12)
    assert_close(total.cdf(x), Cauchy(-3, 3.5).cdf(x), 1e-15)
    g = np.array([0.1 - 0.2j, -0.5 - 0.01j])
    assert_close(Cauchy(1, 0.5).r_transform(g), 1 - 0.5j, 1e-12)


def test_cauchy_closed_forms():
    law = Cauchy(1, 2)
    assert law.cdf(1) == 0.5
    assert law.cdf([-INF, INF]).tolist() == [0, 1]
    assert law.pdf([-INF, INF, 1]).tolist() == [0, 0, pytest.approx(1 / (2 * math.pi))]
    assert law.ppf([0, 1]).tolist() == [-INF, INF]
    q = np.array([1e-6, 0.01, 0.3, 0.5, 0.75, 1 - 1e-9])
    np.testing.assert_allclose(law.ppf(q), 1 - 2 / np.tan(np.pi * q), rtol=2e-6, atol=1e-12)
    np.testing.assert_allclose(law.ppf(q[1:-1]), 1 - 2 / np.tan(np.pi * q[1:-1]), rtol=1e-12, atol=1e-13)
    # 1/(1 + x**2) = -Im 1/(x + i), the Poisson kernel: its mean is (1 + scale)/(location**2 + (1 + scale)**2)
    assert law.expectation(lambda x: 1 / (1 + x**2)) == pytest.approx(3 / 10, abs=1e-13)
    assert law.log_moment() == pytest.approx(math.log(math.sqrt(5)))
    assert law.cauchy(0.3 + 0.1j, method="subordination") == pytest.approx(law.cauchy(0.3 + 0.1j), rel=1e-14)
    assert law.cauchy(2 + 3j, method="quadrature") == pytest.approx(law.cauchy(2 + 3j), rel=1e-12)
    moved = -2 * law + 1
    assert moved.support().intervals == ((-INF, INF),)
    assert_close(moved.pdf([-7.0, 2.0]), Cauchy(-1, 4).pdf([-7.0, 2.0]), 1e-15)
    assert_close((moved + MP(0.5)).pdf([-7.0, 2.0]), (Cauchy(-1, 4) + MP(0.5)).pdf([-7.0, 2.0]), 1e-14)


# --- free stable laws -------------------------------------------------------------------------------------------------

STABLE = [
    FreeStable(0.3, 0.8, 2, 1),
    FreeStable(Fraction(1, 2), 1),
    FreeStable(0.7, 0),
    FreeStable(0.7, 0.3),
    FreeStable(1, 0.3),
    FreeStable(1.2, 0.4, 0.5),
    FreeStable(1.5, Fraction(2, 3)),
    FreeStable(1.8, 0.5, 1, -2),
    FreeStable(1.5, Fraction(1, 3), 3),
]


@pytest.mark.parametrize("law", STABLE, ids=repr)
def test_free_stable_laws_by_both_readings(law):
    scale, location = float(law.scale), float(law.location)
    x = location + scale * np.array([-1e4, -8.0, -1.3, -0.2, 1e-3, 0.4, 1.1, 3.0, 50.0, 1e6])
    lower, upper = law.support().lower, law.support().upper
    inside = x[(x > lower) & (x < upper)]
    by_system = law.pdf(inside, method="subordination")
    np.testing.assert_allclose(law.pdf(inside), by_system, rtol=1e-9, atol=1e-15 / scale)
    assert_close(law.cdf(x), law.cdf(x, method="subordination"), 1e-14)
    # R as it is defined, at points of the half-plane
    g = law.cauchy(location + scale * np.array([0.3 + 0.4j, -2 + 1j, 5 + 0.1j]))
    alpha, rho = float(law.alpha), float(law.rho)
    z = 1 / g + location - np.exp(1j * np.pi * alpha * rho) * scale**alpha * g ** (alpha - 1)
    assert_close(z, location + scale * np.array([0.3 + 0.4j, -2 + 1j, 5 + 0.1j]), 1e-12 * scale)
    # the positivity parameter, and the total mass
    assert law.cdf(location) == pytest.approx(1 - rho, abs=1e-14)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize(("alpha", "rho"), [(0.4, 0.2), (1.0, 0.6), (1.7, 0.5)])
def test_free_sums_of_stable_laws_are_stable(alpha, rho):
    total = FreeStable(alpha, rho) + FreeStable(alpha, rho, 2)
    expected = FreeStable(alpha, rho, (1 + 2**alpha) ** (1 / alpha))
    x = np.array([-300.0, -2.0, -0.3, 0.5, 4.0, 1e4])
    np.testing.assert_allclose(total.pdf(x), expected.pdf(x), rtol=1e-9, atol=1e-16)
    reflected = -1 * FreeStable(alpha, rho)
    assert_close(reflected.pdf(x), FreeStable(alpha, 1 - rho).pdf(x), 1e-15)
    assert_close((reflected + Semicircle()).pdf(x), (FreeStable(alpha, 1 - rho) + Semicircle()).pdf(x), 1e-14)


def test_special_stable_laws():
    x = np.array([-1.7, -0.4, 0.0, 0.6, 1.99])
    assert_close(FreeStable(2, 0.5, 1.5, 1).pdf(x), Semicircle(2.25, 1).pdf(x), 1e-15)
    assert FreeStable(2, Fraction(1, 2), 3, 1).moments(4) == Semicircle(9, 1).moments(4)
    assert FreeStable(2).support() == Semicircle().support()
    assert_close(FreeStable(1).pdf(x), Cauchy().pdf(x), 1e-15)
    one = FreeStable(1, 0.3)
    expected = Cauchy(-math.cos(0.3 * math.pi), math.sin(0.3 * math.pi))
    assert_close(one.pdf(x), expected.pdf(x), 1e-14)
    half = FreeStable(Fraction(1, 2), 1)
    assert half.support().intervals == ((Fraction(1, 4), INF),)
    x = np.array([0.2500001, 0.3, 1.0, 7.0, 1e5])
    np.testing.assert_allclose(half.pdf(x), np.sqrt(4 * x - 1) / (2 * np.pi * x**2), rtol=1e-9)
    # the law of 1/X for X of Marchenko and Pastur's law of square matrices
    np.testing.assert_allclose(half.pdf(x), MP().pdf(1 / x) / x**2, rtol=1e-9)


def stable_tail(alpha, rho, x):
    """(density, P(X > x)) from ``z g - 1 = -exp(i pi alpha rho) g**alpha`` at z = x + i0, to 200 digits and more."""
    with mp.workdps(250):
        alpha, rho, x = mp.mpf(alpha), mp.mpf(rho), mp.mpf(x)
        c = -mp.exp(1j * mp.pi * alpha * rho)
        g = mp.mpc(1 / x)
        for _ in range(200):
            step = (x * g - 1 - c * g**alpha) / (x - c * alpha * g ** (alpha - 1))
            g -= step
            if abs(step) < abs(g) * mp.mpf(10) ** -230:
                break
        potential = (1 - 1 / alpha) * c * g**alpha - mp.log(g)
        return -mp.im(g) / mp.pi, mp.im(potential) / mp.pi


@pytest.mark.parametrize(
    ("alpha", "rho"),
    [(0.85, 1), (0.75, 1), (0.05, 1), (0.999, 1), (0.3, 0.8), (0.85, 0.3), (1, 0.3), (1.2, 0.4), (1.9, 0.5)],
)
def test_tails_of_free_stable_laws_far_out(alpha, rho):
    law = FreeStable(alpha, rho)
    for x in (3.0, 30.0, 300.0, 1e4, 1e10, 1e18, 1e30, 1e60):
        for sign, own in ((1, rho), (-1, 1 - rho)):
            if own == 0:
                assert law.pdf(sign * x) == law.cdf(sign * x) == 0
                continue
            density, beyond = stable_tail(alpha, own, x)
            assert float(abs(law.pdf(sign * x) / density - 1)) < 1e-12
            # the lower tail keeps its digits
            wrong = 1 - beyond - law.cdf(x) if sign > 0 else law.cdf(-x) / beyond - 1
            assert float(abs(wrong)) < 1e-13


def test_heavy_tails_under_inversion():
    law = FreeStable(0.75, rho=1).inverse()
    curve = law.curve()
    assert curve.status is Status.OK
    x = np.array([1e-30, 1e-18, 1e-8])
    expected = [float(stable_tail(0.75, 1, 1 / t)[0] / mp.mpf(t) ** 2) for t in x]
    np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-12)


def test_products_of_stable_laws_are_stable():
    """S(m) = (-m)**(1/alpha - 1) of positive stable laws, a constant for Cauchy, m**(-1/2) for the semicircle."""
    x = np.array([0.2, 0.5, 1.4, 30.0, 1e4])
    positive = FreeStable(0.5, 1) @ FreeStable(Fraction(4, 5), 1)
    gamma = 1 / (2 + 5 / 4 - 1)
    np.testing.assert_allclose(positive.pdf(x), FreeStable(gamma, 1).pdf(x), rtol=1e-9)
    assert positive.support().lower == pytest.approx(FreeStable(gamma, 1).support().lower, rel=1e-12)
    both = np.concatenate([-x, x])
    with_cauchy = FreeStable(0.5, 1) @ Cauchy()
    np.testing.assert_allclose(with_cauchy.pdf(both), FreeStable(0.5).pdf(both), rtol=1e-9)
    with_semicircle = FreeStable(0.5, 1) @ Semicircle()
    np.testing.assert_allclose(with_semicircle.pdf(both), FreeStable(Fraction(2, 3)).pdf(both), rtol=1e-9)
    power = FreeStable(0.5, 1).free_power(2.5)
    np.testing.assert_allclose(power.pdf(x), FreeStable(1 / 3.5, 1).pdf(x), rtol=1e-9)


def test_hard_edge_and_heavy_tail_together():
    # the free analogue of Fisher's F: density 1/(pi sqrt(x) (1 + x))
    law = FreeStable(Fraction(1, 2), 1) @ MP()
    x = np.array([1e-20, 1e-6, 0.03, 1.0, 9.0, 1e8])
    np.testing.assert_allclose(law.pdf(x), 1 / (np.pi * np.sqrt(x) * (1 + x)), rtol=1e-11)
    assert_close(law.cdf(x), 2 / np.pi * np.arctan(np.sqrt(x)), 1e-13)
    (lower, upper) = law.support().edges
    assert (lower.position, upper.position) == (0, INF)
    assert lower.exponent == pytest.approx(-0.5, abs=1e-6)
    q = np.array([0.01, 0.4, 0.9, 0.999])
    np.testing.assert_allclose(law.ppf(q), np.tan(np.pi * q / 2) ** 2, rtol=1e-10)


@pytest.mark.slow
def test_gaps_of_unbounded_laws():
    law = FreeStable(0.5, 1) @ Discrete({1: 0.5, 1e6: 0.5})
    (first, second) = law.support().intervals
    assert second[1] == INF
    gap = (first[1] + second[0]) / 2
    assert law.pdf(gap) == 0
    assert law.cdf(gap) == pytest.approx(law.cdf(first[1]), abs=1e-12)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-10)
    assert law.curve(60).status is Status.OK
    # reflected, the other side is unbounded
    other = (-1 * law).compress(0.9)
    assert other.support().intervals[0][0] == -INF
    assert other.support().upper < 0


def test_a_gap_around_zero_between_two_unbounded_intervals():
    law = FreeStable(0.5, 1).sqrt().symmetrized() + Semicircle(0.01)
    (_, left), (right, _) = law.support().intervals

    def g(w):
        """G of the first law in its gap: w G(w**2) with 1/G = s**2, s**2 - i s = w**2."""
        s = (1j + 1j * mp.sqrt(1 - 4 * w * w)) / 2
        return (w / s**2).real

    # the edge is where z = w + 0.01 G(w) turns
    w = mp.findroot(lambda w: 1 + 0.01 * mp.diff(g, w), (0.45, 0.49999999), solver="bisect", tol=1e-15)
    assert right == pytest.approx(float(w + 0.01 * g(w)), abs=1e-10)
    assert left == pytest.approx(-right, abs=1e-12)
    assert law.pdf([-0.3, 0.2]).tolist() == [0, 0]
    assert law.cdf(0.1) == pytest.approx(0.5, abs=1e-13)


def test_unbounded_law_with_an_atom_inside():
    law = FreeStable(1.5) @ Discrete({0: 0.25, 1: 0.75})
    assert law.support().atoms == {0: 0.25}
    assert law.cdf(0.0) - law.cdf(np.nextafter(0, -1)) == pytest.approx(0.25, abs=1e-12)
    assert law.cdf(0.0) == pytest.approx(0.625, abs=1e-12)
    # the compressed part: R(g) -> R(0.75 g), stable again
    part = FreeStable(1.5, 0.5, 0.75 ** (1 / 3))
    x = np.array([-4.0, -0.01, -1e-4, 0.0, 1e-9, 3e-4, 0.3, 2.0])
    assert_close(law.pdf(x), 0.75 * part.pdf(x), 1e-12)
    assert_close(law.cdf(x), 0.75 * part.cdf(x) + 0.25 * (x >= 0), 1e-12)
    assert law.ppf([0.4, 0.5, 0.62]).tolist() == [0, 0, 0]
    q = np.array([0.05, 0.3, 0.7, 0.99])
    assert_close(law.cdf(law.ppf(q)), q, 1e-12)
    assert law.curve(60).status is Status.OK


# --- numbers that do not exist, and arguments that are none ----------------------------------------------------------


@pytest.mark.parametrize(
    "law", [Cauchy(), FreeStable(0.5, 1), FreeStable(1.5), Cauchy() + MP(0.5), 2 * Cauchy() + 1], ids=repr
)
def test_moments_that_do_not_exist(law):
    for ask in (lambda: law.moments(2), lambda: law.var(), lambda: law.free_cumulants(3)):
        with pytest.raises(PreconditionError, match="exist"):
            ask()


def test_transforms_off_their_domain():
    for law in (Gaussian(), Cauchy(), FreeStable(0.5, 1)):
        with pytest.raises(PreconditionError, match="off the real axis"):
            law.r_transform(0.1)
    # bounded on the other side
    assert FreeStable(0.5, 1).r_transform(-0.1) == pytest.approx(0.1**-0.5, rel=1e-12)


@pytest.mark.parametrize("location", [0, 1, -1])
def test_the_s_transform_of_a_cauchy_law_is_a_constant(location):
    law = Cauchy(location, 0.5)
    m = np.array([-0.3 - 0.1j, -0.3 + 0.1j])
    above, below = 1 / complex(location, -0.5), 1 / complex(location, 0.5)
    np.testing.assert_allclose(law.s_transform(m), [below, above] if location < 0 else [above, below], rtol=1e-15)
    with pytest.raises(PreconditionError, match="real m"):
        law.s_transform(-0.2)
    # S(m) = (1 + m)/(m z): where z is in the upper half-plane its m comes back
    z = (1 + m) / (m * law.s_transform(m))
    np.testing.assert_allclose(law.moment_transform(z), m, rtol=1e-13)


def test_the_s_transform_of_an_unbounded_law_of_negative_mean():
    law = Cauchy(-1, 0.1) + Semicircle(0.1)
    m = np.array([-0.2 - 0.05j, 0.1 + 0.1j])
    z = (1 + m) / (m * law.s_transform(m))
    np.testing.assert_allclose(law.moment_transform(z), m, rtol=1e-10)


def test_the_mean_exists_where_the_tail_allows():
    assert FreeStable(1.5, 0.4, 1, 3).mean() == 3
    with pytest.raises(PreconditionError, match="order < alpha"):
        FreeStable(0.9).mean()


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Cauchy(0, 0), "scale=0"),
        (lambda: Cauchy(math.nan), "location=nan"),
        (lambda: Gaussian(0), "variance=0"),
        (lambda: Gaussian(1, INF), "mean=inf"),
        (lambda: FreeStable(0), "alpha=0"),
        (lambda: FreeStable(2.1), "alpha=2.1"),
        (lambda: FreeStable(0.5, 1.2), "rho=1.2"),
        (lambda: FreeStable(1, 1), "rho=1"),
        (lambda: FreeStable(1.5, 0.2), "rho=0.2"),
        (lambda: FreeStable(2, 0.4), "rho=0.4"),
        (lambda: FreeStable(1.5, 0.5, -1), "scale=-1"),
    ],
)
def test_bad_parameters(build, named):
    with pytest.raises(ValueError, match=named):
        build()


# --- quantiles, draws, curves ----------------------------------------------------------------------------------------

LAWS = [
    Gaussian(0.5, 2),
    Cauchy(-1, 0.2),
    FreeStable(0.6, 0.7),
    FreeStable(1.4, Fraction(5, 7)),
    Semicircle() + Gaussian(),
    Cauchy() + MP(0.5),
    FreeStable(1.5, 0.4) + Discrete({-1: 0.5, 2: 0.5}),
    Gaussian() @ MP(0.5),
    Cauchy(1, 0.5) @ Discrete({0: 0.2, 1: 0.8}),
    Gaussian(1, 0.3).compress(0.4),
    FreeStable(0.5, 1) @ MP(0.5),
    Gaussian().square(),
    -1 * Gaussian().square(),
    FreeStable(0.5, 1).sqrt(),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_quantiles_draws_and_curves(law):
    levels = np.array([1e-4, 0.03, 0.4, 0.77, 0.9999])
    x = law.ppf(levels)
    at_atom = np.isin(x, [float(a) for a in law.support().atoms])
    assert_close(law.cdf(x)[~at_atom], levels[~at_atom], 1e-12)
    draws = np.sort(law.rvs(300, rng=3))
    # Dvoretzky–Kiefer–Wolfowitz
    bound = math.sqrt(math.log(2 / 1e-7) / 600)
    empirical = np.searchsorted(draws, draws, side="right") / 300
    assert np.max(np.abs(empirical - law.cdf(draws))) < bound
    curve = law.curve(points=64)
    assert curve.status is Status.OK
    assert np.all(np.diff(curve.x) > 0)
    assert curve.metadata["mass_below_grid"] + curve.metadata["mass_above_grid"] < 0.01
    assert curve.metadata["largest_residual"] < 1e-10
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-10)
    plotted = law.plot(points=40)
    assert len(plotted.lines) >= 1


def test_the_system_is_solved_however_slowly_the_tail_decays():
    law = FreeStable(0.1, 0.5) + FreeStable(0.25, 1) + Semicircle()
    x = np.array([-1e8, -3.0, 0.2, 1.7, 1e12])
    s = solve(law.numeric, x)
    assert np.all(s.converged)
    # R adds
    g = s.g
    z = 1 / g + g - np.exp(0.05j * np.pi) * g**-0.9 - np.exp(0.25j * np.pi) * g**-0.75
    np.testing.assert_allclose(z.real, x, rtol=1e-9, atol=1e-9)


# --- what random compositions have found ------------------------------------------------------------------------------


def test_next_to_zero_a_positive_stable_law_keeps_its_digits():
    # m = -(-scale g)**alpha is -1 at z = 0: E 1/X = -G(0) = 1/scale
    law = FreeStable(0.59, rho=1, scale=1.3)
    sizes = np.array([1e-3, 1e-6, 1e-9, 1e-12])
    reciprocal = -law.cauchy(sizes * np.exp(3.0j), method="subordination")
    assert np.all(np.abs(reciprocal - 1 / 1.3) < 2 * sizes + 1e-14)
    # the atom at 0 of a compound law over it, from above
    heights = np.array([1e-4, 1e-6, 1e-8])
    seen = -heights * FreePoisson(0.3, jump=law).sqrt().symmetrized().cauchy(1j * heights).imag
    assert np.all(np.abs(seen - 0.7) < 1e-7)


@pytest.mark.parametrize("x", [1e20, -1e60])
def test_far_tails_of_sums_with_inverses_and_symmetric_squares(x):
    # the density of 1/S at x is that of S at 1/x over x**2, and a bounded summand changes it by 1/x
    heavy = Semicircle(2).inverse() + Discrete({-1: Fraction(1, 2), 1: Fraction(1, 2)})
    expected = float(Semicircle(2).pdf(0.0)) / x**2
    assert heavy.cdf(x) == pytest.approx(float(x > 0), abs=2e-3)
    if x > 0:
        assert heavy.pdf(x) == pytest.approx(expected, rel=1e-5 if x < 1e15 else 0.02)
    both = MP(0.5).square() + FreeStable(1.81)
    assert both.cdf(x) == pytest.approx(float(x > 0), abs=1e-4)


def test_a_jump_at_zero_with_an_atom_there():
    law = FreePoisson(Fraction(1, 2), jump=Uniform(0, 3))
    assert law.support().edges[0].exponent == 0
    assert law.cdf(0.0) == pytest.approx(0.5, abs=1e-14)
    assert law.pdf(0.0) == pytest.approx(law.pdf(1e-12), rel=1e-9)


def test_moments_of_the_modulus_of_a_signed_law():
    s, m = math.sqrt(1.07), 0.25
    mean = s * math.sqrt(2 / math.pi) * math.exp(-m * m / (2 * s * s)) + m * math.erf(m / (s * math.sqrt(2)))
    assert Gaussian(1.07, m).square().sqrt().mean() == pytest.approx(mean, rel=1e-12)


def test_quantiles_of_a_tail_of_tiny_index():
    # F(1/x) ~ x**(-1/54.29): next to none of the tail is within reach of a scale of the law
    law = MP(1).free_power(50).inverse()
    q = np.array([0.3, 0.9, 0.99])
    assert_close(law.cdf(law.ppf(q)), q, 1e-9)
    assert law.law.support().edges[0].exponent == pytest.approx(-50 / 51, abs=1e-6)


@pytest.mark.parametrize(
    ("word", "sides"),
    [("xy+yx", (True, True)), ("i(xy-yx)", (True, True)), ("xyx+y", (False, True)), ("xx+y", (False, True))],
)
def test_polynomials_know_which_ends_of_their_support_are_infinite(word, sides):
    terms = {
        "xy+yx": ((1, (0, 1)), (1, (1, 0))),
        "i(xy-yx)": ((1j, (0, 1)), (-1j, (1, 0))),
        "xyx+y": ((1, (0, 1, 0)), (1, (1,))),
        "xx+y": ((1, (0, 0)), (1, (1,))),
    }[word]
    law = PolynomialLaw(terms, (Gaussian(1), MP(0.5)))
    assert law.numeric.unbounded == sides


def test_the_commutator_of_a_gaussian_law_adds_up():
    law = PolynomialLaw(((1j, (0, 1)), (-1j, (1, 0))), (Gaussian(0.5), Semicircle(1)))
    x, w = law._quadrature_rule()
    assert [float(np.sum(w * x**k)) for k in (0, 2, 4)] == pytest.approx([1, *law.moments(4)[1::2]], rel=1e-9)


def test_inverse_of_two_intervals_one_of_which_holds_zero():
    law = Semicircle(0.05) + Discrete({-2: Fraction(1, 3), 0.1: Fraction(1, 3), 2: Fraction(1, 3)})
    ends = [float(x) for pair in law.support().intervals for x in pair]
    assert len(ends) == 6
    inverse = law.inverse()
    expected = [(-INF, 1 / ends[2]), (1 / ends[1], 1 / ends[0]), (1 / ends[5], 1 / ends[4]), (1 / ends[3], INF)]
    np.testing.assert_allclose([[float(x) for x in pair] for pair in inverse.support().intervals], expected)
    assert inverse.expectation(np.ones_like) == pytest.approx(1, abs=1e-11)
