"""Laws on bounded intervals: closed forms against the solver, published identities, mpmath, exact numbers."""

import itertools
import math
import re
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import rmt
from rmt import (
    Arcsine,
    Discrete,
    FreeJacobi,
    FreeMultiplicativeBrownian,
    FreeMultiplicativePoisson,
    FreePoisson,
    FussCatalan,
    KestenMcKay,
    Law,
    MarchenkoPastur,
    PreconditionError,
    Semicircle,
    Status,
    Uniform,
    UniversalResNet,
)
from rmt.numeric.continuation import solve

CLOSED = [
    Uniform(0, 1),
    Uniform(-1.2, 2.5),
    Uniform(1, 2),
    Uniform(-3, -0.5),
    Arcsine(),
    Arcsine(0, 1.5),
    Arcsine(0.5, 3),
    Arcsine(-3, -1),
    KestenMcKay(2),
    KestenMcKay(3),
    KestenMcKay(7.3),
    FreeJacobi(0.3, 0.6),
    FreeJacobi(0.6, 0.3),
    FreeJacobi(0.6, 0.8),
    FreeJacobi(0.8, 0.4),
    FreeJacobi(0.3, 0.3),
    FreeJacobi(0.3, 0.7),
    FreePoisson(0.4, 2),
    FreePoisson(2.5, -3),
    FreeMultiplicativeBrownian(0.7),
    FreeMultiplicativeBrownian(3),
    FreeMultiplicativePoisson(0.4),
    FussCatalan(0.4),
    FussCatalan(2.5),
]
COMPOUND = [
    FreePoisson(0.3, Discrete({-1: 0.5, 2: 0.5})),
    FreePoisson(3, Discrete({-1: 0.5, 2: 0.5})),
    FreePoisson(1.7, Discrete({1: 0.3, 2: 0.5, 5: 0.2})),
    FreePoisson(1.9, Discrete({0: 0.25, 1: 0.25, 3: 0.5})),
    FreePoisson(0.4, Uniform(1, 2)),
    FreePoisson(4, Uniform(-1, 2)),
    FreePoisson(0.6, Uniform(-2, -1)),
    FreePoisson(3, MarchenkoPastur(2)),
    FreePoisson(0.7, FreePoisson(0.5)),
]


def named(laws):
    return [pytest.param(law, id=repr(law)) for law in laws]


def interior(law, shares=(0.03, 0.21, 0.47, 0.68, 0.95)):
    return np.array([float(a) + (float(b) - float(a)) * s for a, b in law.support().intervals for s in shares])


def size(law):
    return max(abs(law.support().lower), abs(law.support().upper))


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def assert_close(actual, desired, tolerance):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance)


def assert_same_law(one, other, tolerance=1e-11):
    x = interior(one)
    peak = np.max(other.pdf(x, method="subordination"))
    assert_close(one.pdf(x, method="subordination"), other.pdf(x, method="subordination"), tolerance * peak)
    assert_close(one.cdf(x, method="subordination"), other.cdf(x, method="subordination"), tolerance)


# --- closed forms against the solver --------------------------------------------------------------------------------


@pytest.mark.parametrize("law", named(CLOSED))
def test_closed_forms_agree_with_the_solver(law):
    x = interior(law)
    assert law.methods("pdf")[0] == "closed_form"
    for method in law.methods("pdf")[1:]:
        np.testing.assert_allclose(law.pdf(x), law.pdf(x, method=method), rtol=1e-11)
    for method in law.methods("cdf"):
        assert_close(law.cdf(x, method=method), law.cdf(x, method="subordination"), 2e-12)
    z = size(law) * np.array([0.3 + 0.8j, -0.7 + 0.1j, 1.4 + 0.02j, 60 + 30j])
    np.testing.assert_allclose(law.cauchy(z), law.cauchy(z, method="subordination"), rtol=1e-12)
    np.testing.assert_allclose(law.cauchy(z[:2]), law.cauchy(z[:2], method="quadrature"), rtol=1e-10)


@pytest.mark.parametrize("law", named(CLOSED + COMPOUND))
def test_mass_moments_and_log_moment_by_quadrature(law):
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-11)
    series = np.array([float(m) for m in law.moments(6)]) / size(law) ** np.arange(1, 7)
    quadrature = np.array(law.moments(6, method="quadrature")) / size(law) ** np.arange(1, 7)
    assert_close(series, quadrature, 1e-11)
    if law.log_moment() > -np.inf and not law.support().lower < 0 < law.support().upper:
        by_quadrature = law.expectation(lambda x: np.log(np.abs(x)))
        assert law.log_moment() == pytest.approx(by_quadrature, abs=1e-6 if law.support().lower == 0 else 1e-11)


@pytest.mark.parametrize(
    ("law", "density"),
    [
        # as functions of x and of the product of the distances from both edges
        (KestenMcKay(3), lambda x, bulk: 3 * mp.sqrt(bulk) / (2 * mp.pi * (9 - x * x))),
        (KestenMcKay(2.25), lambda x, bulk: 2.25 * mp.sqrt(bulk) / (2 * mp.pi * (mp.mpf(2.25) ** 2 - x * x))),
        (Arcsine(-1, 2), lambda _, bulk: 1 / (mp.pi * mp.sqrt(bulk))),
        (FreeJacobi(Fraction(1, 5), Fraction(1, 2)), lambda x, bulk: 5 * mp.sqrt(bulk) / (2 * mp.pi * x * (1 - x))),
        (FreeJacobi(0.5, 0.5), lambda _, bulk: 1 / (mp.pi * mp.sqrt(bulk))),
    ],
)
def test_density_and_distribution_function_by_mpmath(law, density):
    low, high = (mp.mpf(float(x)) for x in law.support().intervals[0])
    middle, half = (low + high) / 2, (high - low) / 2

    def per_angle(a):  # x = middle - half cos(a)
        return density(middle - half * mp.cos(a), (half * mp.sin(a)) ** 2) * half * mp.sin(a)

    for share in (0.1, 0.35, 0.8):
        end = mp.acos(1 - 2 * mp.mpf(share))
        x = float(middle - half * mp.cos(end))
        assert law.pdf(x) == pytest.approx(float(per_angle(end) / (half * mp.sin(end))), rel=1e-12)
        assert law.cdf(x) == pytest.approx(float(mp.quad(per_angle, [0, end])), abs=1e-13)


def test_log_moments_in_closed_form_against_the_potential():
    for law in [*CLOSED, Arcsine(-1, 3), Uniform(-1, 1), KestenMcKay(5)]:
        # (of 1/(x log(x)**2) the numerical rule, which is for powers, does not know that it diverges)
        known = all(edge.exponent != -1 for edge in law.support().edges)
        if known and 0 not in law.support().atoms and law.support().upper > 0:
            tolerance = 1e-7 if law.support().lower == 0 else 1e-11
            assert law.log_moment() == pytest.approx(Law._log_moment(law), abs=tolerance)
    assert Uniform(0, 1).log_moment() == -1
    assert Arcsine(-2, 2).log_moment() == 0
    assert Uniform(-3, 0).log_moment() == pytest.approx(math.log(3) - 1, rel=1e-15)
    assert FreePoisson(0.5).log_moment() == -math.inf
    # E log|x| of the 3-regular tree: 2 log 2 / 2 - log(3)/2
    assert KestenMcKay(3).log_moment() == pytest.approx(math.log(2) - math.log(3) / 2, rel=1e-14)


# --- transforms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "r"),
    [
        (Uniform(-1, 3), lambda g: 1 + 2 / np.tanh(2 * g) - 1 / g),
        (Arcsine(-1, 5), lambda g: 2 + (np.sqrt(1 + 9 * g * g) - 1) / g),
        (KestenMcKay(2.5), lambda g: 2.5 * (np.sqrt(1 + 4 * g * g) - 1) / (2 * g)),
        (FreePoisson(0.3, Discrete({-1: 0.5, 2: 0.5})), lambda g: 0.15 * (-1 / (1 + g) + 2 / (1 - 2 * g))),
        (FreePoisson(2, Uniform(1, 2)), lambda g: 2 * (np.log((1 - g) / (1 - 2 * g)) / g - 1) / g),
    ],
)
def test_r_transforms(law, r):
    g = np.array([-0.11, 0.05, 0.2])
    np.testing.assert_allclose(law.r_transform(g), r(g), rtol=1e-10)


@pytest.mark.parametrize(
    ("law", "s"),
    [
        (FreeJacobi(0.3, 0.6), lambda m: (1 + 0.3 * m) / (0.6 + 0.3 * m)),
        (FreeJacobi(0.8, 0.4), lambda m: (1 + 0.8 * m) / (0.4 + 0.8 * m)),
        (Arcsine(0, 3), lambda m: (2 + m) / (3 * (1 + m))),
        (FreeMultiplicativeBrownian(0.7), lambda m: np.exp(-0.7 * (m + 0.5))),
        (FussCatalan(0.4), lambda m: (1 + m) ** -0.4),
        (FreePoisson(0.5, 3), lambda m: 1 / (3 * (0.5 + m))),
    ],
)
def test_s_transforms(law, s):
    m = np.array([-0.32, -0.1, 0.08])
    np.testing.assert_allclose(law.s_transform(m), s(m), rtol=1e-10)


@pytest.mark.parametrize("law", named([*CLOSED[:10], COMPOUND[0], COMPOUND[2], COMPOUND[5]]))
def test_potential_is_an_integral_of_the_cauchy_transform(law):
    # Gamma = Phi + log g is derived for each node: dPhi = g dz from far outside, over the bulk, down to the real axis
    low, high = (float(x) for x in law.support().intervals[0])
    width, t, weights = high - low, *np.polynomial.legendre.leggauss(30)
    corners = [low - 3 * width, low + width * (-0.6 + 0.4j), low + width * (0.37 + 0.4j)]
    corners += [low + width * (0.37 + 0.05j), low + width * 0.37]
    integral = 0
    for start, end in itertools.pairwise(corners):
        g = law.cauchy(start + (end - start) * (1 + t) / 2, method="subordination")
        integral += (end - start) * np.sum(weights * g) / 2
    ends = solve(law.numeric, np.array([corners[0], corners[-1]])).potential
    assert_close(ends[1] - ends[0], integral, 1e-11)
    # E log(z - X) = log z - m_1/z - m_2/(2 z^2) - …
    z = np.array([(300 + 400j) * size(law)])
    far = np.log(z) - sum(float(m) / (k * z**k) for k, m in enumerate(law.moments(5), 1))
    assert_close(solve(law.numeric, z).potential, far, 1e-12)


@pytest.mark.parametrize("law", named([Uniform(-1, 2), Uniform(1, 3), Arcsine(-1, 2), Arcsine(1, 3)]))
def test_leaves_continue_past_the_axis_and_keep_their_digits_far_away(law):
    leaf = law.numeric
    x = interior(law)

    def unknown(z):
        return (np.log(z) if leaf.positive else z)[np.newaxis]

    def values(z):
        jet = leaf.linearise(unknown(z)).jet
        return np.array([jet.g, jet.m, jet.log_s, jet.log_z])

    # no jump across the support: the change over it is that of the tangent
    h = 1e-6
    above, here, below = (values(x + 1j * k * h) for k in (1, 0, -1))
    assert_close((above - here) - (here - below), 0, 1e-8)
    # m = z G - 1 and S = (1 + m)/(m z), 1e8 half-widths away
    z = 1e8 * np.exp(1j * np.array([0.3, 1.6, 3.0]))
    jet = leaf.linearise(unknown(z)).jet
    m1, m2, m3 = (float(m) for m in law.moments(3))
    np.testing.assert_allclose(jet.m, m1 / z + m2 / z**2 + m3 / z**3, rtol=1e-14)
    np.testing.assert_allclose(jet.log_z, np.log(z), rtol=1e-14)
    if leaf.positive:
        # beyond arg z = pi the transforms are the conjugates, and the arguments go on
        u = np.array([[0.4 + 4.1j, -3 + 6.0j, 9 + 5.0j]])
        jet, mirror = leaf.linearise(u).jet, leaf.linearise(u.conj() + 2j * np.pi).jet
        np.testing.assert_allclose(jet.g, mirror.g.conj(), rtol=1e-13)
        np.testing.assert_allclose(jet.log_z, u[0], rtol=1e-14)
        np.testing.assert_allclose(jet.log_eta, mirror.log_eta.conj() - 2j * np.pi, rtol=1e-13)
        # derivatives by the unknown
        d = 1e-6
        up, down = (leaf.linearise(u + k * d).jet for k in (1, -1))
        np.testing.assert_allclose((up.m - down.m) / (2 * d), jet.dm, rtol=1e-8)
        np.testing.assert_allclose((up.log_s - down.log_s) / (2 * d), jet.dlog_s, rtol=1e-7, atol=1e-10)


def test_hard_edge_far_down():
    # G = (log z - log(z - 1)), density 1; G = z^-1/2 (z - 1)^-1/2
    x = 10.0 ** -np.arange(1, 200, 18)
    assert np.all(Uniform(0, 1).pdf(x, method="subordination") == pytest.approx(1, rel=1e-12))
    root = Arcsine(0, 1).pdf(x, method="subordination")
    np.testing.assert_allclose(root, 1 / (np.pi * np.sqrt(x * (1 - x))), rtol=1e-12)
    assert Uniform(0, 1).cdf(1e-150, method="closed_form") == 1e-150


# --- identities -----------------------------------------------------------------------------------------------------


def test_arcsine_is_the_free_sum_of_two_coins_and_a_free_jacobi_law():
    coin = Discrete({-1: 0.5, 1: 0.5})
    assert_same_law(Arcsine(), coin + coin)
    assert_same_law(Arcsine(1, 4), coin * 0.75 + coin * 0.75 + 2.5)
    assert_same_law(Arcsine(0, 3), 3 * FreeJacobi(0.5, 0.5))
    exact = Discrete({Fraction(-1, 6): Fraction(1, 2), 1: Fraction(1, 2)}).free_sum_power(2)
    assert Arcsine(Fraction(-1, 3), 2).moments(7) == exact.moments(7)


def test_kesten_mckay_is_a_sum_of_free_unitaries_and_counts_walks():
    # u + u* + v + v* in the free group on two generators
    assert_same_law(KestenMcKay(4), Arcsine(-2, 2) + Arcsine(-2, 2))
    assert KestenMcKay(2).moments(8) == Arcsine(-2, 2).moments(8)
    for d in (3, 4, 7):
        walks = [1]  # by distance from the root, after each step
        counted = []
        for _ in range(10):
            moved = [0] * (len(walks) + 1)
            for k, ways in enumerate(walks):
                moved[k + 1] += ways * (d if k == 0 else d - 1)
                if k:
                    moved[k - 1] += ways
            walks = moved
            counted.append(walks[0])
        assert KestenMcKay(d).moments(10) == counted


@pytest.mark.parametrize(("s", "t"), [(0.7, 0.2), (0.8, 0.7), slow(0.3, 0.6), slow(0.6, 0.8), slow(0.5, 0.25)])
def test_free_jacobi_is_a_compressed_projection(s, t):
    law = FreeJacobi(s, t)
    q = Discrete({0: 1 - t, 1: t})
    compressed = q.compress(s)
    assert_same_law(law, compressed)
    atoms = {float(x): float(p) for x, p in compressed.support().atoms.items()}
    assert {float(x): float(p) for x, p in law.support().atoms.items()} == pytest.approx(atoms)
    # in the whole algebra: PQP = s times this law, and an atom at 0 besides
    product = Discrete({0: 1 - s, 1: s}) @ q
    x = interior(law)
    np.testing.assert_allclose(product.pdf(x), s * law.pdf(x), rtol=1e-11)
    assert_close(product.cdf(x), 1 - s + s * law.cdf(x), 1e-12)
    np.testing.assert_allclose(np.array(product.support().intervals), np.array(law.support().intervals), rtol=1e-9)
    np.testing.assert_allclose([s * m for m in law.moments(6)], product.moments(6), rtol=1e-12)


def test_free_jacobi_of_manova_matrices():
    rng = np.random.default_rng(3)
    p, n1, n2 = 240, 180, 320
    law = FreeJacobi.manova(Fraction(p, n1), Fraction(p, n2))
    assert law == FreeJacobi(Fraction(p, n1 + n2), Fraction(n1, n1 + n2))
    a, b = (x @ x.T for x in (rng.standard_normal((p, n)) for n in (n1, n2)))
    values, vectors = np.linalg.eigh(a + b)
    root = vectors / np.sqrt(values) @ vectors.T
    spectrum = np.linalg.eigvalsh(root @ a @ root)
    assert law.support().atoms == {0: Fraction(p - n1, p)}
    assert np.sum(spectrum < 1e-9) == p - n1
    for k, m in enumerate(law.moments(4), 1):
        assert np.mean(spectrum**k) == pytest.approx(float(m), abs=4 / p)
    low, high = (float(x) for x in law.support().intervals[0])
    assert spectrum[p - n1] == pytest.approx(low, abs=0.03)
    assert spectrum[-1] == pytest.approx(high, abs=0.03)
    both = FreeJacobi.manova(Fraction(4, 3), Fraction(3, 2))
    assert both.support().atoms == {0: Fraction(1, 4), 1: Fraction(1, 3)}


@pytest.mark.parametrize("rate", [0.3, 1, 2.5])
def test_free_poisson_of_constant_jumps_is_a_scaled_marchenko_pastur_law(rate):
    assert_same_law(FreePoisson(rate), rate * MarchenkoPastur(1 / rate))
    assert_same_law(FreePoisson(rate, 0.7), 0.7 * rate * MarchenkoPastur(1 / rate))
    assert_same_law(FreePoisson(rate, -2), -2 * rate * MarchenkoPastur(1 / rate))
    expected = {0: pytest.approx(1 - rate)} if rate < 1 else {}
    assert FreePoisson(rate).support().atoms == expected


@pytest.mark.parametrize(
    ("rate", "jump"),
    [
        (0.5, Uniform(1, 2)),
        slow(2.5, Discrete({1: 0.3, 4: 0.7})),
        slow(3, MarchenkoPastur(2)),
        slow(1, Discrete({0: 0.2, 1: 0.8})),
    ],
)
def test_compound_free_poisson_against_the_product_with_marchenko_pastur(rate, jump):
    # X T X^T and the companion of its other side
    law, companion = FreePoisson(rate, jump), MarchenkoPastur(rate) @ jump
    z = size(law) * np.array([0.2 + 0.3j, 0.7 + 0.05j, -0.4 + 0.1j, 0.31])
    np.testing.assert_allclose(law.moment_transform(z), rate * companion.moment_transform(z), rtol=1e-11)
    np.testing.assert_allclose(np.array(law.support().intervals), np.array(companion.support().intervals), rtol=1e-9)
    mine, other = (float(x.support().atoms.get(0, 0)) for x in (law, companion))
    assert mine == pytest.approx(1 - rate * (1 - other), abs=1e-12)
    mine, other = ([float(m) for m in part.moments(5)] for part in (law, companion))
    np.testing.assert_allclose(mine, rate * np.array(other), rtol=1e-11)


def test_compound_free_poisson_laws_add():
    jump = Discrete({-1: 0.5, 2: 0.5})
    assert_same_law(FreePoisson(0.7, jump) + FreePoisson(1.1, jump), FreePoisson(1.8, jump))
    assert_same_law(FreePoisson(0.7, jump).free_sum_power(2.5), FreePoisson(1.75, jump))
    one, other = FreePoisson(0.6, Uniform(1, 2)), FreePoisson(0.9, Uniform(-2, 0))
    mixed = one + other
    assert mixed.support().atoms == {}
    cumulants = [a + b for a, b in zip(one.free_cumulants(6), other.free_cumulants(6), strict=True)]
    np.testing.assert_allclose([float(k) for k in mixed.free_cumulants(6)], [float(k) for k in cumulants], rtol=1e-12)
    # many small jumps: the semicircle law
    x = np.array([-1.5, 0.2, 1.1])
    many = FreePoisson(1e12, Uniform(-1, 1)).numeric
    solution = solve(many, x * math.sqrt(many.variance))
    density = -solution.g.imag / np.pi * math.sqrt(many.variance)
    np.testing.assert_allclose(density, Semicircle().pdf(x), rtol=1e-11)


def test_atoms_of_compound_free_poisson_laws():
    thirds = Fraction(1, 3)
    law = FreePoisson(Fraction(3, 4), Discrete({0: thirds, -1: thirds, 2: thirds}))
    assert law.support().atoms == {0: Fraction(1, 2)}
    assert FreePoisson(Fraction(3, 2), Discrete({0: thirds, 1: 2 * thirds})).support().atoms == {}
    assert FreePoisson(0.7, FreePoisson(0.5)).support().atoms == {0: pytest.approx(0.65)}
    tall = FreePoisson(Fraction(1, 2), MarchenkoPastur(4))
    assert tall.support().atoms == {0: Fraction(7, 8)}
    # the jumps that are 0 do nothing
    hard = FreePoisson(2, Discrete({0: 0.5, 1: 0.5}))
    assert_same_law(FreePoisson(1), hard)
    assert hard.support().edges[0].exponent == pytest.approx(-0.5, abs=1e-6)


@pytest.mark.parametrize("time", [0.3, 2.6])
def test_free_multiplicative_brownian_motion_and_the_universal_law(time):
    law, universal = FreeMultiplicativeBrownian(time), UniversalResNet(c=time / 2)
    x = interior(law)
    np.testing.assert_array_equal(law.pdf(x), universal.pdf(x))
    assert law.moments(6) == universal.moments(6)
    assert law.support().intervals == universal.support().intervals
    assert_same_law(law, universal)
    assert_same_law(0.9**14 * law, UniversalResNet(c=0.81 * time / 2, skip=0.9, depth=7))
    assert_same_law(law @ law, FreeMultiplicativeBrownian(2 * time))
    assert law.expectation(lambda v: 1 / v) == pytest.approx(law.mean(), rel=1e-11)


@pytest.mark.parametrize("order", [slow(0.05), 0.6, 1, 2.5, 7.25])
def test_fuss_catalan_of_real_order(order):
    law = FussCatalan(order)
    assert float(law.support().upper) == pytest.approx((order + 1) ** (order + 1) / order**order, rel=1e-13)
    moments = [
        math.gamma(k * (order + 1) + 1) / math.gamma(k * order + 2) / math.factorial(k) for k in range(1, 6)
    ]
    np.testing.assert_allclose(law.moments(5), moments, rtol=1e-12)
    assert law.support().edges[0].exponent == pytest.approx(-order / (order + 1))
    # Raney: FussCatalan(s) @ FussCatalan(t) = FussCatalan(s + t)
    if order < 1:
        assert_same_law(FussCatalan(order / 3) @ FussCatalan(2 * order / 3), law)
    with mp.workdps(40):
        s = mp.mpf(order)
        for share in ("1e-9", "0.02", "0.5", "0.9", "0.9999"):
            t = mp.mpf(share) * mp.pi / (s + 1)
            x = mp.sin((s + 1) * t) ** (s + 1) / (mp.sin(t) * mp.sin(s * t) ** s)
            rho = mp.sin(t) ** 2 * mp.sin(s * t) ** (s - 1) / (mp.pi * mp.sin((s + 1) * t) ** s)
            below = 1 - ((s + 1) * t - s * mp.sin(t) * mp.sin((s + 1) * t) / mp.sin(s * t)) / mp.pi
            if share != "1e-9":
                assert law.pdf(float(x)) == pytest.approx(float(rho), rel=1e-11)
            assert law.cdf(float(x), method="closed_form") == pytest.approx(float(below), rel=1e-12, abs=1e-15)


def test_fuss_catalan_deep_in_the_hard_edge():
    law = FussCatalan(1)
    x = 10.0 ** -np.arange(2.0, 280, 30)
    np.testing.assert_allclose(law.pdf(x), np.sqrt((4 - x) / x) / (2 * np.pi), rtol=1e-12)
    np.testing.assert_allclose(law.cdf(x[1:]), 2 * np.sqrt(x[1:]) / np.pi, rtol=1e-12)
    for order in (0.3, 4.7):
        limit = math.sin(math.pi / (order + 1)) / math.pi
        assert FussCatalan(order).pdf(1e-250) * 1e-250 ** (order / (order + 1)) == pytest.approx(limit, rel=1e-10)


# --- compositions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [0.1, 1, 5])
def test_edge_of_semicircle_plus_uniform(m):
    law = Semicircle() + Uniform(-m, m)
    edge = math.asinh(m) / m + math.sqrt(1 + m * m)
    assert law.support().intervals == ((pytest.approx(-edge, rel=1e-13), pytest.approx(edge, rel=1e-13)),)
    assert [e.exponent for e in law.support().edges] == [0.5, 0.5]


def test_edges_of_marchenko_pastur_times_uniform():
    law = MarchenkoPastur(0.1) @ Uniform(1, 2)
    assert_close(law.support().intervals[0], (0.6193299929159, 2.8397762188129), 1e-12)


def follow(equation, path, start):
    """Root of ``equation(g, z)`` at the end of a path of z, from 30-digit Newton steps along it."""
    g = start
    for z in path:
        g = mp.findroot(lambda g, z=z: equation(g, z), g)
    return g


def lowered(x, high=8, steps=40):
    """From x + i high down to x."""
    return [mp.mpc(x, high * (mp.mpf(1) - mp.mpf(k) / steps) ** 3) for k in range(steps + 1)]


@pytest.mark.parametrize(
    ("law", "z_of"),
    [
        (Semicircle(0.3) + Uniform(-1, 2), lambda g: 1 / g + 0.3 * g + r_uniform(g, -1, 2)),
        (Uniform(0, 1).free_sum_power(1.7), lambda g: 1 / g + 1.7 * r_uniform(g, 0, 1)),
        (FreePoisson(0.4, Uniform(1, 2)), lambda g: 1 / g + 0.4 * r_poisson(g, 1, 2)),
        (FreePoisson(2.2, Uniform(-1, 2)), lambda g: 1 / g + 2.2 * r_poisson(g, -1, 2)),
        (KestenMcKay(3) + Semicircle(0.5), lambda g: 1 / g + 0.5 * g + 3 * (mp.sqrt(1 + 4 * g * g) - 1) / (2 * g)),
    ],
)
def test_density_of_sums_to_thirty_digits(law, z_of):
    points = interior(law, (0.02, 0.3, 0.77))
    densities = []
    with mp.workdps(30):
        for x in points:
            path = lowered(float(x))
            g = follow(lambda g, z: z_of(g) - z, path, 1 / (path[0] - float(law.mean())))
            densities.append(float(-g.imag / mp.pi))
    assert_close(law.pdf(points, method="subordination"), densities, 1e-12 * max(densities))


def r_uniform(g, a, b):
    a, b = mp.mpf(a), mp.mpf(b)
    return (a + b) / 2 + (b - a) / 2 * mp.coth((b - a) / 2 * g) - 1 / g


def r_poisson(g, a, b):
    """E J/(1 - J g) for J uniform on [a, b]."""
    # G_J(1/g) with the logarithms of the upper half-plane: 1 - x g turns clockwise around 0 as g does
    log = (mp.log((1 / g - a) * -1j) - mp.log((1 / g - b) * -1j)) / (b - a)
    return (log / g - 1) / g


def test_density_of_a_product_to_thirty_digits():
    law = MarchenkoPastur(0.1) @ Uniform(1, 2)
    points = interior(law, (0.02, 0.3, 0.77))
    densities = []
    with mp.workdps(30):
        c = mp.mpf(0.1)

        # unknown zeta, the subordination point of the uniform factor: m = zeta G_U(zeta) - 1, z = zeta (1 + c m)
        def equation(zeta, z):
            return zeta * (1 + c * m_of(zeta)) - z

        def m_of(zeta):
            return zeta * (mp.log((zeta - 1) * -1j) - mp.log((zeta - 2) * -1j)) - 1

        for x in points:
            path = lowered(float(x), high=20)
            zeta = follow(equation, path, path[0])
            densities.append(float(-((1 + m_of(zeta)) / mp.mpf(float(x))).imag / mp.pi))
    assert_close(law.pdf(points), densities, 1e-12 * max(densities))


COMPOSED = [
    Semicircle(0.01) + Arcsine(-1, 2),
    Uniform(1, 2).free_power(2.5),
    FreeJacobi(0.8, 0.9).free_power(1.5),
    -1 * Uniform(-1, 2) + FreePoisson(0.5, Uniform(1, 2)),
    FreePoisson(1.5, FreePoisson(0.8, Arcsine(0.5, 2))),
]
COMPOSED_SLOW = [
    Uniform(-1, 1) + Discrete({-2: 0.5, 2: 0.5}),
    Uniform(0, 1) @ Uniform(1, 2),
    Arcsine(1, 3).compress(0.4),
    Arcsine(0, 1) @ Arcsine(1, 3),
    Uniform(-1, 2) @ MarchenkoPastur(2),
    KestenMcKay(3) @ MarchenkoPastur(0.5),
    Semicircle(0.2) - FreeJacobi(0.8, 0.4),
    -2 * Uniform(1, 2) + MarchenkoPastur(0.4),
    FreePoisson(0.5, Uniform(1, 2)) @ MarchenkoPastur(0.5),
    FreePoisson(3, Discrete({1: 0.5, 4: 0.5})).sqrt().symmetrized() + Semicircle(0.1),
    (-1 * FreePoisson(1.5, Uniform(-2, -1))) @ MarchenkoPastur(0.5),
    FreePoisson(0.3, Discrete({-1: 0.5, 2: 0.5})) + Uniform(0, 0.2),
]


@pytest.mark.parametrize(
    "law", [*named(COMPOSED), *(pytest.param(law, id=repr(law), marks=pytest.mark.slow) for law in COMPOSED_SLOW)]
)
def test_inside_compositions(law):
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-9)
    scale = size(law) ** np.arange(1, 6)
    series = np.array([float(m) for m in law.moments(5)])
    assert_close(series / scale, np.array(law.moments(5, method="quadrature")) / scale, 1e-9)
    curve = law.curve(points=40)
    assert curve.status is Status.OK
    assert curve.metadata["density_against_cdf"] < 1e-9


@pytest.mark.parametrize("shift", [0, 2, Fraction(-3, 2)])
def test_a_free_sum_with_a_point_mass_is_a_shift(shift):
    point = Discrete({shift: 1})
    x = np.array([-1.7, -0.4, 0.3, 1.1, 2.6])
    for law in (Semicircle(), MarchenkoPastur(2), Semicircle() + MarchenkoPastur(0.5)):
        total, expected = law + point, law + shift
        assert_close(total.pdf(x), expected.pdf(x), 1e-12)
        assert_close(total.cdf(x), expected.cdf(x), 1e-12)
        assert_close(np.array(total.moments(4), float), np.array(expected.moments(4), float), 1e-12)
        assert total.support().atoms == expected.support().atoms
        np.testing.assert_allclose(
            np.array(total.support().intervals, float), np.array(expected.support().intervals, float), atol=1e-12
        )


def test_free_operations_of_point_masses_only():
    total, product = Discrete({2: 1}) + Discrete({-2: 1}) + Discrete({0: 1}), Discrete({2: 1}) @ Discrete({-3: 1})
    for law, place in ((total, 0), (product, -6)):
        assert law.support().atoms == {place: 1}
        assert law.support().intervals == ()
        assert law.moments(3) == [place, place**2, place**3]
        assert_close(law.cdf(np.array([place - 1.0, place, place + 1.0])), [0, 1, 1], 1e-15)


@pytest.mark.parametrize("scale", [1, 3, -2])
def test_a_free_product_with_a_point_mass_is_a_scale(scale):
    x = np.array([-3.3, -1.4, 0.3, 1.1, 2.6])
    for law in (Semicircle(1, 1), MarchenkoPastur(2)):
        product, expected = Discrete({scale: 1}) @ law, scale * law
        assert_close(product.pdf(x), expected.pdf(x), 1e-12)
        assert_close(product.cdf(x), expected.cdf(x), 1e-12)
        assert product.support().atoms == expected.support().atoms
        assert product.moments(3) == expected.moments(3)


def test_a_point_mass_costs_a_small_atom_no_digits():
    law = Discrete({0: 1e-9, 1: 1 - 1e-9})
    assert (law + Discrete({1: 1}))._atoms() == {1: 1e-9, 2: 1 - 1e-9}
    assert (law @ Discrete({2: 1}))._atoms() == {0: 1e-9, 2: 1 - 1e-9}


def test_arcsine_transforms_deep_in_the_hard_edge():
    for law in (Arcsine(0, 2.25), -1.12 * Arcsine(0, 2.25).symmetrized() - 1.28):
        assert law.curve().status is Status.OK
    with mp.workdps(60):
        for z in (1e-120 + 1e-121j, 1e-200 + 0j, -1e-300 + 0j, 0.7 + 0.1j):
            g, _, _, dm = Arcsine(0, 2.25).numeric.transforms(np.array([z]))
            b = mp.mpf(2.25)
            root = mp.sqrt(mp.mpc(z)) * 1j * mp.sqrt(b - mp.mpc(z))
            assert abs(complex(g[0] * root - 1)) < 1e-14
            assert abs(complex(dm[0] / (-b * mp.mpc(z) / 2 / root**3) - 1)) < 1e-14


def test_fuss_catalan_of_a_huge_order():
    law = FussCatalan(100_000)
    assert law.cdf(np.empty(0)).shape == law.pdf(np.empty(0)).shape == (0,)
    with mp.workdps(30):
        upper = float(mp.mpf(100_001) * (1 + mp.mpf(1) / 100_000) ** 100_000)
    assert float(law.support().upper) == pytest.approx(upper, rel=1e-13)
    # the angle by mpmath: x = sin(turn)**(s+1)/(sin t sin(s t)**s), turn = (s + 1) t
    s = 100_000
    with mp.workdps(40):
        turn = mp.mpf(1) / 3
        t = (mp.pi - turn) / (s + 1)
        x = mp.sin(turn) ** (s + 1) / (mp.sin(t) * mp.sin(s * t) ** s)
        below = (turn + s * mp.sin(t) * mp.sin(turn) / mp.sin(s * t)) / mp.pi
    assert law.cdf(float(x)) == pytest.approx(float(below), rel=1e-9)


def test_reflections_are_mirror_images():
    for law in (Uniform(-1, 2), FreePoisson(2.5, Uniform(-2, -1))):
        direct, mirrored = law + Semicircle(0.3), (-1 * law) + Semicircle(0.3)
        x = interior(direct)
        np.testing.assert_allclose(mirrored.pdf(-x), direct.pdf(x), rtol=1e-10)
        assert_close(mirrored.cdf(-x), 1 - direct.cdf(x), 1e-12)


# --- support, exact numbers, representation -------------------------------------------------------------------------


def test_edges_and_exponents():
    half = Fraction(1, 2)

    def edges(law):
        return [(e.position, e.exponent) for e in law.support().edges]

    assert edges(Uniform(Fraction(1, 3), 2)) == [(Fraction(1, 3), 0), (2, 0)]
    assert edges(Arcsine(-1, 3)) == [(-1, -half), (3, -half)]
    assert edges(KestenMcKay(2)) == [(-2, -half), (2, -half)]
    assert edges(KestenMcKay(5)) == [(-4, half), (4, half)]
    assert edges(FreeJacobi(Fraction(1, 5), Fraction(1, 2))) == [(Fraction(1, 10), half), (Fraction(9, 10), half)]
    assert edges(FreeJacobi(half, half)) == [(0, -half), (1, -half)]
    assert edges(FreeJacobi(Fraction(1, 3), Fraction(1, 3))) == [(0, -half), (Fraction(8, 9), half)]
    assert edges(FreeJacobi(Fraction(1, 3), Fraction(2, 3))) == [(Fraction(1, 9), half), (1, -half)]
    assert edges(FreePoisson(4, half)) == [(half, half), (Fraction(9, 2), half)]
    assert edges(FreePoisson(1, -1)) == [(-4, half), (0, -half)]
    root = sp.sqrt(5)
    lower, upper = FreeMultiplicativeBrownian(sp.Integer(1)).support().intervals[0]
    assert sp.simplify(upper - (3 + root) / 2 * sp.exp(root / 2)) == 0
    assert sp.simplify(lower * upper) == 1


def test_a_jump_has_its_value_at_the_edge():
    np.testing.assert_array_equal(Uniform(0, 2).pdf([-0.1, 0, 1, 2, 2.1]), [0, 0.5, 0.5, 0.5, 0])
    np.testing.assert_array_equal(Uniform(0, 2).cdf([-0.1, 0, 1, 2, 2.1]), [0, 0, 0.5, 1, 1])
    assert Arcsine().pdf(2) == math.inf
    np.testing.assert_allclose(Uniform(-1, 3).ppf([0, 0.25, 1]), [-1, 0, 3], atol=1e-14)


def test_exact_in_exact_out():
    laws = [
        Uniform(Fraction(-1, 3), 2),
        Arcsine(0, Fraction(5, 2)),
        KestenMcKay(3),
        KestenMcKay(Fraction(7, 2)),
        FreeJacobi(Fraction(2, 7), Fraction(3, 5)),
        FreePoisson(Fraction(3, 2), Discrete({1: Fraction(1, 4), -2: Fraction(3, 4)})),
        FreePoisson(2, Uniform(0, 1)),
        FussCatalan(Fraction(5, 2)),
    ]
    for law in laws:
        moments = law.moments(6)
        assert all(isinstance(m, int | Fraction) for m in moments), law
        assert [float(m) for m in moments] == pytest.approx(law.moments(6, method="quadrature"), rel=1e-9, abs=1e-9)
    assert Uniform(0, 1).moments(3) == [Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)]
    assert Arcsine().moments(6) == [0, 2, 0, 6, 0, 20]
    assert FreePoisson(1).moments(5) == [1, 2, 5, 14, 42]
    assert FreeJacobi(Fraction(1, 2), Fraction(1, 2)).moments(3) == [Fraction(1, 2), Fraction(3, 8), Fraction(5, 16)]
    assert all(isinstance(m, float) for m in FreeJacobi(0.3, 0.6).moments(4))


def test_symbols_give_formulas_and_refuse_numbers():
    a, b, d, t = sp.symbols("a b d t", positive=True)
    assert sp.expand(Uniform(a, b).var() - (b - a) ** 2 / 12) == 0
    assert sp.expand(Arcsine(a, b).var() - (b - a) ** 2 / 8) == 0
    assert sp.expand(KestenMcKay(d).moment(6) - (5 * d**3 - 6 * d**2 + 2 * d)) == 0
    assert sp.expand(FreeJacobi(a, b).var() - a * b * (1 - b)) == 0
    assert sp.expand(FreePoisson(t, Uniform(0, 1)).moment(2) - t**2 / 4 - t / 3) == 0
    assert sp.simplify(FreeMultiplicativeBrownian(t).moment(2) - (1 + t) * sp.exp(t)) == 0
    for law in (Uniform(a, 2), KestenMcKay(d), FreeJacobi(a, b), FreePoisson(t), FreeMultiplicativeBrownian(t)):
        with pytest.raises(PreconditionError, match="symbolic"):
            law.pdf(0.5)


@pytest.mark.parametrize(
    "law",
    named(
        [
            *CLOSED,
            *COMPOUND,
            Uniform(Fraction(1, 3), sp.Rational(5, 2)),
            FreePoisson(sp.Symbol("t", positive=True), Fraction(1, 3)),
            FreeJacobi.manova(Fraction(1, 2), 3),
        ]
    ),
)
def test_repr_evaluates_to_the_law(law):
    names = {name: getattr(rmt, name) for name in rmt.__all__} | {"Fraction": Fraction} | vars(sp)
    names |= {name: getattr(rmt, name) for name in ("Uniform", "Arcsine", "Discrete", "FreePoisson")}
    assert eval(repr(law), names) == law
    assert hash(law) == hash(law)
    assert rmt.cite(law) or isinstance(law, Uniform)


NAN = float("nan")


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Uniform(1, 1), "a=1, b=1"),
        (lambda: Uniform(2, 1), "a < b"),
        (lambda: Uniform(0, math.inf), "b=inf"),
        (lambda: Arcsine("low", 1), "a='low'"),
        (lambda: Arcsine(3, 2), "a=3, b=2"),
        (lambda: KestenMcKay(1.5), "degree=1.5"),
        (lambda: KestenMcKay(NAN), "degree=nan"),
        (lambda: FreeJacobi(0, 0.5), "trace_p=0"),
        (lambda: FreeJacobi(0.5, 1), "trace_q=1: expected a finite real number > 0 and < 1"),
        (lambda: FreeJacobi.manova(-1, 1), "ratio_1=-1"),
        (lambda: FreeJacobi.manova(2, 2), "p < n_1 + n_2"),
        (lambda: FreePoisson(0), "rate=0"),
        (lambda: FreePoisson(1, 0), "jump=0"),
        (lambda: FreePoisson(1, Discrete({0: 1})), "jump=0"),
        (lambda: FreePoisson(1, "big"), "jump='big'"),
        (lambda: FreeMultiplicativeBrownian(0), "time=0"),
        (lambda: FussCatalan(0), "order=0"),
    ],
)
def test_bad_parameters_are_one_clear_value_error(build, named):
    with pytest.raises(ValueError, match=re.escape(named)) as caught:
        build()
    assert "\n" not in str(caught.value)
