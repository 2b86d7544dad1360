"""Laws of finite size: level densities, Tracy–Widom laws, largest eigenvalues, each computed in a second way."""

import itertools
import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import airy, gammaincc, ndtr

import rmt
from rmt import GOE, GUE, Affine, LargestEigenvalue, MarchenkoPastur, Semicircle, TracyWidom, Wishart, edge_scaling
from rmt.finite.levels import graded_log_moment
from rmt.finite.soft_edge import by_determinant, by_painleve

ENSEMBLES = [GUE(1), GUE(6), GUE(31), GOE(1), GOE(2), GOE(7), GOE(30), Wishart(1, 1), Wishart(3, 7), Wishart(6, 5)]
ENSEMBLES += [Wishart(8, 8), Wishart(20, 60), Wishart(1, 3, 2), Wishart(4, 4, 2), Wishart(9, 5, 2), Wishart(20, 50, 2)]
TW = {beta: TracyWidom(beta) for beta in (1, 2, 4)}


# --- level densities --------------------------------------------------------------------------------------------------


def hermite_density(n, x):
    """Density of GUE(n) at x, summed in 30 digits."""
    with mp.workdps(30):
        y = mp.mpf(x) * mp.sqrt(mp.mpf(n) / 2)
        terms = [mp.hermite(k, y) ** 2 / (mp.sqrt(mp.pi) * 2**k * mp.factorial(k)) for k in range(n)]
        return float(sum(terms) * mp.exp(-y * y) / mp.sqrt(2 * n))


def laguerre_density(p, n, x):
    """Density of the continuous part of Wishart(p, n, 2) at x, summed in 30 digits."""
    with mp.workdps(30):
        y, a = mp.mpf(x) * n, abs(p - n)
        terms = [mp.factorial(k) / mp.factorial(k + a) * mp.laguerre(k, a, y) ** 2 for k in range(min(p, n))]
        return float(sum(terms) * y**a * mp.exp(-y) * n / p)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20])
def test_gue_is_the_sum_over_oscillator_functions(n):
    x = np.array([-2.3, -0.4, 0.0, 0.9, 1.7, 2.6, 5.0])
    np.testing.assert_allclose(GUE(n).pdf(x), [hermite_density(n, v) for v in x], rtol=1e-13)


@pytest.mark.parametrize(("p", "n"), [(1, 1), (2, 2), (3, 5), (5, 3), (20, 20), (20, 33)])
def test_complex_wishart_is_the_sum_over_laguerre_functions(p, n):
    x = np.array([1e-6, 0.02, 0.3, 1.1, 2.9, 6.0])
    np.testing.assert_allclose(Wishart(p, n, 2).pdf(x), [laguerre_density(p, n, v) for v in x], rtol=5e-14)


def level_of_pair(weight, x, low, high):
    """Unnormalised density of one of two levels x, y with joint density weight(x) weight(y) |x - y|."""
    return weight(x) * sum(
        quad(lambda y: weight(y) * abs(x - y), a, b, epsabs=0, epsrel=1e-12)[0] for a, b in ((low, x), (x, high))
    )


def test_two_real_levels_by_direct_integration():
    def check(law, weight, low, high, points):
        density = [level_of_pair(weight, x, low, high) for x in points]
        np.testing.assert_allclose(law.pdf(points) / law.pdf(points[0]), np.array(density) / density[0], rtol=1e-10)

    # GOE(2): exp(-Tr H²/2); Wishart(2, n): x^((n-3)/2) exp(-n x/2)
    check(GOE(2), lambda x: math.exp(-x * x / 2), -12, 12, np.array([0.1, -1.3, 0.8, 2.5]))
    for n in (3, 4, 6):
        points = np.array([0.7, 0.05, 3.0])
        check(Wishart(2, n), lambda x, n=n: x ** ((n - 3) / 2) * math.exp(-n * x / 2), 0, 25, points)


def test_three_real_levels_by_direct_integration():
    t, w = np.polynomial.legendre.leggauss(40)

    def between(a, b):
        x = (a + b) / 2 + (b - a) / 2 * t
        return x, (b - a) / 2 * w * np.exp(-0.75 * x * x)

    def level(x):
        # the kinks of the distances lie at the borders of the cells
        total = 0.0
        for low, high in ((-9.0, x), (x, 9.0)):
            for yk, wk in zip(*between(low, high), strict=True):
                cuts = sorted({-9.0, float(x), float(yk), 9.0})
                for a, b in itertools.pairwise(cuts):
                    z, v = between(a, b)
                    total += wk * abs(x - yk) * np.sum(v * np.abs(x - z) * np.abs(yk - z))
        return total * math.exp(-0.75 * x * x)

    law = GOE(3)  # exp(-(3/4) Tr H²)
    assert law.pdf(1.1) / law.pdf(0.2) == pytest.approx(level(1.1) / level(0.2), rel=1e-10)


@pytest.mark.parametrize("law", ENSEMBLES, ids=repr)
def test_mass_and_distribution_function_against_quadrature(law):
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-13)
    positive = isinstance(law, Wishart)
    atom = float(sum(law.support().atoms.values()))

    def mass(low, high):
        if positive:  # in sqrt(x), where the density is smooth at 0
            low, high = math.sqrt(low), math.sqrt(high)
            return quad(lambda s: 2 * s * law.pdf(s * s), low, high, epsabs=0, epsrel=1e-12, limit=400)[0]
        return quad(law.pdf, low, high, epsabs=0, epsrel=1e-12, limit=400)[0]

    for x in (0.013, 0.4, 1.6):
        assert law.cdf(x) - (atom if positive else 0.5) == pytest.approx(mass(0, x), rel=2e-11, abs=1e-14)
    far = mass(2.5, 60.0 if positive else 12.0)
    assert 1 - law.cdf(2.5) == pytest.approx(far, rel=1e-10, abs=1e-15)
    if not positive:
        assert law.cdf(-2.5) == pytest.approx(far, rel=1e-10), "the lower tail keeps its digits"


def test_tails_keep_their_digits():
    # GUE(n) to the left by symmetry; Wishart next to its soft lower edge, 45 decades down, both parities
    assert GUE(2).cdf(-9.0) == pytest.approx(quad(lambda u: GUE(2).pdf(-9.0 - u), 0, 5, epsabs=0)[0], rel=1e-11)
    for law in (Wishart(50, 500), Wishart(51, 500), Wishart(51, 500, 2)):
        below = quad(law.pdf, 0.05, 0.2, epsabs=0, epsrel=1e-12, limit=400)[0]
        assert below < 1e-40
        assert law.cdf(0.2) == pytest.approx(below, rel=1e-11)


def test_large_sizes():
    x = np.array([0.0, 0.9, 1.97])
    with mp.workdps(40):
        for point in x:
            y = mp.mpf(float(point)) * mp.sqrt(1000)
            before, here, total = mp.mpf(0), mp.pi ** mp.mpf(-0.25) * mp.exp(-y * y / 2), mp.mpf(0)
            for k in range(2000):
                total += here**2
                before, here = here, mp.sqrt(mp.mpf(2) / (k + 1)) * y * here - mp.sqrt(mp.mpf(k) / (k + 1)) * before
            assert GUE(2000).pdf(float(point)) == pytest.approx(float(total / mp.sqrt(4000)), rel=2e-13)
    np.testing.assert_allclose(GOE(3000).pdf(x), Semicircle().pdf(x), atol=5e-3)
    np.testing.assert_allclose(Wishart(2000, 4000).pdf([0.5, 1.5]), MarchenkoPastur(0.5).pdf([0.5, 1.5]), atol=5e-3)
    assert GUE(3000).pdf(40.0) == 0
    assert Wishart(2000, 4000).pdf(100.0) == 0


def test_symmetry_and_points_outside():
    law = GOE(5)
    assert law.pdf(-1.3) == law.pdf(1.3)
    assert law.cdf(0.0) == pytest.approx(0.5, abs=1e-15)
    assert law.support().intervals == ((-math.inf, math.inf),)
    tall = Wishart(6, 4)
    np.testing.assert_array_equal(tall.pdf([-1.0, -1e-9]), 0)
    np.testing.assert_array_equal(tall.cdf([-1e-9, 0.0, 1e9]), [0, 1 / 3, 1])
    assert tall.support().atoms == {0: Fraction(1, 3)}
    # density at the hard edge: exponents (|p - n| - 1)/2 and |p - n|
    assert Wishart(3, 3).pdf(0.0) == math.inf
    assert Wishart(3, 4).pdf(0.0) == pytest.approx(Wishart(3, 4).pdf(1e-12), rel=1e-9)
    assert Wishart(3, 3, 2).pdf(0.0) == pytest.approx(3)
    assert Wishart(3, 5).pdf(0.0) == 0
    assert [edge.exponent for edge in Wishart(3, 6).support().edges] == [1, None]


# --- moments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ENSEMBLES, ids=repr)
def test_moments_by_recursion_and_by_quadrature(law):
    exact = law.moments(9)
    assert all(isinstance(m, int | Fraction) for m in exact)
    numbers = np.array([float(m) for m in exact])
    np.testing.assert_allclose(law.moments(9, method="quadrature"), numbers, rtol=1e-12, atol=1e-12)
    assert law.mean() == exact[0]
    assert law.var() == exact[1] - exact[0] ** 2


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_low_moments_of_gaussian_ensembles(n):
    # genus expansions of Harer and Zagier; GOE: Ledoux 2009, §3
    assert GUE(n).moments(6) == [0, 1, 0, 2 + Fraction(1, n**2), 0, 5 + Fraction(10, n**2)]
    assert GOE(n).moments(4) == [0, Fraction(n + 1, n), 0, Fraction(2 * n**2 + 5 * n + 5, n**2)]
    assert GOE(n).moment(6) == Fraction(5 * n**3 + 22 * n**2 + 52 * n + 41, n**3)


@pytest.mark.parametrize(("p", "n"), [(1, 1), (1, 4), (3, 5), (7, 2)])
def test_low_moments_of_wishart_ensembles(p, n):
    # E Tr W^k by counting of Wick pairings
    assert Wishart(p, n, 2).moments(3) == [1, Fraction(p + n, n), Fraction(n * n + 3 * n * p + p * p + 1, n * n)]
    assert Wishart(p, n).moments(3) == [
        1,
        Fraction(p + n + 1, n),
        Fraction(n * n + p * p + 3 * n * p + 3 * n + 3 * p + 4, n * n),
    ]


def test_moments_converge_at_the_stated_rates():
    limit = [float(m) for m in Semicircle().moments(8)]
    marchenko = [float(m) for m in MarchenkoPastur(Fraction(1, 2)).moments(8)]
    for make, target, power in (
        (GUE, limit, 2),
        (GOE, limit, 1),
        (lambda n: Wishart(n, 2 * n, 2), marchenko, 2),
        (lambda n: Wishart(n, 2 * n), marchenko, 1),
    ):
        gaps = [abs(float(make(n).moment(8)) - target[7]) for n in (200, 400)]
        assert gaps[0] / gaps[1] == pytest.approx(2**power, rel=0.05)


def test_distribution_functions_converge_to_the_limit():
    x = np.linspace(-1.9, 1.9, 39)
    y = np.linspace(0.15, 2.8, 39)
    for make, target, points in (
        (GUE, Semicircle(), x),
        (lambda n: Wishart(n, 2 * n, 2), MarchenkoPastur(0.5), y),
        (GOE, Semicircle(), x),
        (lambda n: Wishart(2 * n, n), MarchenkoPastur(2), y),
    ):
        rate = edge_scaling(make(2)).beta
        gaps = [np.max(np.abs(make(n).cdf(points) - target.cdf(points))) * n**rate for n in (50, 200, 800)]
        assert max(gaps) < 3 * min(gaps) < 10


# --- samples ----------------------------------------------------------------------------------------------------------


def random_levels(ensemble, count, rng):
    """One eigenvalue, chosen at random, of each of `count` matrices."""
    if isinstance(ensemble, Wishart):
        shape = (count, ensemble.p, ensemble.n)
        x = rng.standard_normal(shape)
        if ensemble.beta == 2:
            x = (x + 1j * rng.standard_normal(shape)) / math.sqrt(2)
        matrices = x @ np.conj(np.swapaxes(x, 1, 2)) / ensemble.n
    else:
        x = rng.standard_normal((count, ensemble.n, ensemble.n))
        if isinstance(ensemble, GUE):
            x = (x + 1j * rng.standard_normal(x.shape)) / math.sqrt(2)
        matrices = (x + np.conj(np.swapaxes(x, 1, 2))) / math.sqrt(2 * ensemble.n)
    levels = np.linalg.eigvalsh(matrices)
    return levels[np.arange(count), rng.integers(levels.shape[1], size=count)], levels[:, -1]


def distance(sample, cdf):
    x = np.sort(sample)
    steps = np.arange(x.size + 1) / x.size
    values = cdf(x)
    return max(np.max(np.abs(values - steps[1:])), np.max(np.abs(values - steps[:-1])))


# Dvoretzky–Kiefer–Wolfowitz: false alarms at a rate of 1e-6 a comparison
COUNT = 20_000
BOUND = math.sqrt(math.log(2 / 1e-6) / (2 * COUNT))


@pytest.mark.parametrize("ensemble", [GUE(3), GOE(2), GOE(3), Wishart(2, 3), Wishart(3, 3), Wishart(2, 4, 2)], ids=repr)
def test_levels_of_sampled_matrices(ensemble):
    levels, largest = random_levels(ensemble, COUNT, np.random.default_rng(7))
    assert distance(levels, ensemble.cdf) < BOUND
    assert distance(1.12 * levels, ensemble.cdf) > BOUND, "the comparison must see 12 % in the scale"
    if edge_scaling(ensemble).beta == 2:
        exact, few = ensemble.largest(method="exact"), largest[:1500]
        bound = math.sqrt(math.log(2 / 1e-6) / (2 * few.size))
        assert distance(few, exact.cdf) < bound
        assert distance(few + 0.2, exact.cdf) > bound


def test_atom_of_sampled_matrices():
    levels, _ = random_levels(Wishart(4, 3), COUNT, np.random.default_rng(3))
    at_zero = np.abs(levels) < 1e-12
    # exact binomial law: 6 standard deviations
    assert abs(np.mean(at_zero) - 0.25) < 6 * math.sqrt(0.25 * 0.75 / COUNT)
    assert distance(levels[~at_zero], lambda x: (Wishart(4, 3).cdf(x) - 0.25) / 0.75) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ensemble", "error"),
    [(GOE(20), 0.01), pytest.param(Wishart(60, 100), 0.02, marks=pytest.mark.exhaustive)],
    ids=repr,
)
def test_largest_eigenvalues_of_sampled_real_matrices(ensemble, error):
    rng = np.random.default_rng(11)
    largest = np.concatenate([random_levels(ensemble, 250, rng)[1] for _ in range(40)])
    bound = math.sqrt(math.log(2 / 1e-6) / (2 * largest.size)) + error  # of the limit
    assert distance(largest, ensemble.largest().cdf) < bound
    # the constants of the leading order are too far off: n instead of n - 1/2
    scaling = edge_scaling(GUE(20) if isinstance(ensemble, GOE) else Wishart(60, 100, 2))
    assert distance(largest, (TW[1] * scaling.scale + scaling.centre).cdf) > bound


# --- quantiles, transforms, logarithms --------------------------------------------------------------------------------


LAWS = [*ENSEMBLES, *TW.values(), GUE(400), Wishart(300, 300), GOE(30).largest(), LargestEigenvalue(GUE(8))]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_quantiles(law):
    atom = float(sum(law.support().atoms.values()))
    levels = np.array([1e-7, 0.02, 0.31, 0.5, 0.7, 0.97, 1 - 1e-10])
    levels = atom + (1 - atom) * levels
    np.testing.assert_allclose(law.cdf(law.ppf(levels)), levels, rtol=2e-12 if law is not LAWS[-1] else 1e-7)
    assert law.ppf(0.0) == law.support().lower
    assert law.ppf(1.0) == math.inf
    draws = law.rvs((2, 3), rng=5)
    np.testing.assert_array_equal(draws, law.ppf(np.random.default_rng(5).random((2, 3))))


def test_extreme_quantiles():
    for law in (GUE(4), GOE(4), Wishart(3, 3), Wishart(5, 9, 2), TW[1], TW[2], TW[4]):
        q = np.array([1e-120, 1e-30])
        np.testing.assert_allclose(law.cdf(law.ppf(q)), q, rtol=1e-11)
    assert Wishart(4, 3).ppf(0.25) == 0


@pytest.mark.parametrize("law", [GUE(1), GUE(9), GOE(4), GOE(9), TracyWidom(1), TracyWidom(4)], ids=repr)
def test_cauchy_transform_up_to_the_axis(law):
    x = np.array([-2.2, -0.3, 0.77])
    boundary = law.cauchy(x)
    np.testing.assert_allclose(-boundary.imag / np.pi, law.pdf(x), atol=3e-14)
    nodes, weights = law._quadrature_rule()
    h = 1e-3j
    # harmonic: the value at a point is the mean over a circle around it
    z = 0.2 + 0.5j
    circle = z + 0.4 * np.exp(2j * np.pi * np.arange(64) / 64)
    assert law.cauchy(z) == pytest.approx(np.mean(law.cauchy(circle)), abs=1e-13)
    assert law.cauchy(z.conjugate()) == pytest.approx(law.cauchy(z).conjugate())
    assert law.cauchy(3 + 4j) == pytest.approx(np.sum(weights / (3 + 4j - nodes)), abs=1e-13)
    assert abs(law.cauchy(x[1] + h) - boundary[1]) < 5e-3


def test_logarithmic_moments():
    for n in (1, 2, 3, 8):
        law = GUE(n)
        assert law.log_moment() == pytest.approx(graded_log_moment(law._pdf_closed_form, -16.0, 16.0, 60), abs=1e-13)
    # E log|x| of N(0, 2), and of GOE(2), whose determinant is (t² - r²)/4 with t normal, r Rayleigh
    assert GOE(1).log_moment() == pytest.approx((math.log(2) - math.log(2) - np.euler_gamma) / 2, abs=1e-13)
    for law in (Wishart(3, 8), Wishart(4, 9, 2)):
        assert law.log_moment() == pytest.approx(law.expectation(np.log), abs=1e-10)
    assert Wishart(5, 4).log_moment() == -math.inf
    assert Wishart(300, 600).log_moment() == pytest.approx(MarchenkoPastur(0.5).log_moment(), abs=2e-3)
    reference = sum(quad(lambda x: math.log(abs(x)) * TW[2].pdf(x), *ends)[0] for ends in ((-9, 0), (0, 9)))
    assert TW[2].log_moment() == pytest.approx(reference, abs=1e-8)


# --- Tracy–Widom ------------------------------------------------------------------------------------------------------


def hastings_mcleod(targets, start=12.0, digits=34, order=40, step=0.5):
    """log F_2, A, R = (log F_2)' and q at targets on the grid, by Taylor steps in high precision from the right."""
    with mp.workdps(digits):
        s = mp.mpf(start)
        q, slope = mp.airyai(s), mp.airyai(s, derivative=1)
        # integrals from start to oo of the linear solution: (x - s) Ai², Ai², Ai/2
        r = slope**2 - s * q**2
        log_f2 = -(2 * s**2 * q**2 - 2 * s * slope**2 - q * slope) / 3
        with mp.workdps(digits + 30):
            a = (mp.mpf(1) / 3 - mp.airyai(s, derivative=-1)) / 2
        found = {}
        while s > min(targets) - step / 2:
            c = [q, slope]
            square, cube = [], []
            for k in range(order):
                square.append(sum(c[i] * c[k - i] for i in range(k + 1)))
                cube.append(sum(square[i] * c[k - i] for i in range(k + 1)))
                c.append((s * c[k] + (c[k - 1] if k else 0) + 2 * cube[k]) / ((k + 1) * (k + 2)))
            h = -mp.mpf(step)
            q, slope = (
                sum(v * h**k for k, v in enumerate(c)),
                sum(k * v * h ** (k - 1) for k, v in enumerate(c) if k),
            )
            log_f2 += r * h - sum(v * h ** (k + 2) / ((k + 1) * (k + 2)) for k, v in enumerate(square))
            r -= sum(v * h ** (k + 1) / (k + 1) for k, v in enumerate(square))
            a -= sum(v * h ** (k + 1) / (k + 1) for k, v in enumerate(c[:order])) / 2
            s += h
            if float(s) in targets:
                found[float(s)] = (log_f2, a, r, q)
        return [found[t] for t in targets]


def test_against_painleve_in_high_precision():
    points = [4.0, 2.0, 1.0, 0.0, -1.0, -2.0, -3.0, -4.5, -6.0]
    for s, (log_f2, a, r, q) in zip(points, hastings_mcleod(points), strict=True):
        with mp.workdps(40):
            f1, f2, f4 = mp.exp(log_f2 / 2 - a), mp.exp(log_f2), mp.exp(log_f2 / 2) * mp.cosh(a)
            d1, d2 = f1 * (r + q) / 2, f2 * r
            d4 = mp.exp(log_f2 / 2) * (r * mp.cosh(a) - q * mp.sinh(a)) / 2
            upper = [float(1 - f) for f in (f1, f2, f4)]
        x4 = s / math.sqrt(2)
        values = [float(f) for f in (f1, f2, f4)]
        np.testing.assert_allclose([TW[1].cdf(s), TW[2].cdf(s), TW[4].cdf(x4)], values, rtol=5e-14)
        np.testing.assert_allclose(
            [TW[1].pdf(s), TW[2].pdf(s), TW[4].pdf(x4)], [float(d1), float(d2), float(d4 * mp.sqrt(2))], rtol=3e-13
        )
        np.testing.assert_allclose([TW[1].sf(s), TW[2].sf(s), TW[4].sf(x4)], upper, rtol=2e-13)


def test_values_of_the_literature():
    # Bornemann 2010, §2 and Tables; moments also Prähofer's tables
    assert TW[2].cdf(-2.0) == pytest.approx(0.41322414250512257485, abs=1e-14)
    wanted = {
        1: (-1.2065335745820, 1.607781034581, 0.29346452408, 0.1652429384),
        2: (-1.7710868074, 0.8131947928, 0.224084203610, 0.0934480876),
        4: (-2.306884893241, 0.5177237207726, 0.16550949435, 0.0491951565),
    }
    for beta, (mean, variance, skewness, kurtosis) in wanted.items():
        law = TW[beta]
        m1 = law.mean()
        central = [law.expectation(lambda x, k=k: (x - m1) ** k) for k in (2, 3, 4)]  # noqa: B023
        assert m1 == pytest.approx(mean, abs=1e-10)
        assert law.var() == pytest.approx(variance, abs=1e-10)
        assert central[1] / central[0] ** 1.5 == pytest.approx(skewness, abs=2e-10)
        assert central[2] / central[0] ** 2 - 3 == pytest.approx(kurtosis, abs=2e-10)
    # the two other scalings of index 4
    assert (TW[4] * math.sqrt(2)).mean() == pytest.approx(-3.2624279, abs=1e-6)
    assert TW[4].mean() / 2 ** (1 / 6) == pytest.approx(-2.0552, abs=1e-4)


def test_the_table_reproduces_what_it_is_made_of():
    s = np.random.default_rng(4).uniform(-31.9, -2.01, 40)
    t = np.random.default_rng(5).uniform(-1.99, 15, 40)
    for beta, law in TW.items():
        root = math.sqrt(2) if beta == 4 else 1
        for points, exact in ((s, by_painleve(s)), (t, by_determinant(t))):
            logarithm = np.log(-exact.log_cdf(beta))
            log_cdf, slope = law._logarithms(points / root)
            np.testing.assert_allclose(np.log(-log_cdf), logarithm, atol=2e-13)
            np.testing.assert_allclose(np.log(slope / root), exact.log_slope(beta), atol=5e-13)


def test_determinants_and_painleve_agree_where_both_hold():
    s = np.linspace(-4, -2, 9)
    one, other = by_determinant(s), by_painleve(s)
    for beta in (1, 2, 4):
        np.testing.assert_allclose(np.exp(one.log_cdf(beta)), np.exp(other.log_cdf(beta)), atol=2e-14)
        np.testing.assert_allclose(one.log_slope(beta), other.log_slope(beta), atol=1e-11)


def test_left_tail():
    # Deift, Its and Krasovsky 2008; Baik, Buckingham and DiFranco 2008: constants and first corrections
    zeta = float(mp.zeta(-1, derivative=1))
    for s in (-12.0, -20.0):
        a = abs(s)
        two = -(a**3) / 12 - math.log(a) / 8 + math.log(2) / 24 + zeta + 3 / (64 * a**3) + 2025 / (8192 * a**6)
        one = -(a**3) / 24 - a**1.5 / (3 * math.sqrt(2)) - math.log(a) / 16 - 11 / 48 * math.log(2) + zeta / 2
        assert math.log(TW[2].cdf(s)) == pytest.approx(two, abs=3e-9 if s < -15 else 5e-7)
        assert math.log(TW[1].cdf(s)) == pytest.approx(one - 1 / (24 * math.sqrt(2) * a**1.5), abs=3e-5)
    assert 0 < TW[2].cdf(-19.9) < 1e-280
    np.testing.assert_array_equal([law.cdf(-60.0) for law in TW.values()], 0)
    np.testing.assert_array_equal([law.pdf(-60.0) for law in TW.values()], 0)


def test_right_tail():
    with mp.workdps(120):
        for s in (8.0, 15.0, 40.0):
            x = mp.mpf(s)
            ai, slope = mp.airyai(x), mp.airyai(x, derivative=1)
            trace = (2 * x**2 * ai**2 - 2 * x * slope**2 - ai * slope) / 3
            assert TW[2].sf(s) == pytest.approx(float(trace), rel=1e-10 if s < 10 else 2e-12)
            assert TW[2].pdf(s) == pytest.approx(float(slope**2 - x * ai**2), rel=1e-10 if s < 10 else 2e-12)
            half = (mp.mpf(1) / 3 - mp.airyai(x, derivative=-1)) / 2
            assert TW[1].sf(s) == pytest.approx(float(half), rel=1e-9)
    # to leading order 1 - F_4 is minus the sum over pairs of eigenvalues of V_s: an integral of 2 by 2 determinants
    for s in (6.0, 10.0):
        x, w = np.polynomial.legendre.leggauss(60)
        x, w = 6 * (1 + x), 6 * w
        kernel = airy(x[:, np.newaxis] + x + s)[0]
        diagonal = np.diag(kernel)
        pairs = -np.sum(np.outer(w, w) * (np.outer(diagonal, diagonal) - kernel**2)) / 2
        assert TW[4].sf(s / math.sqrt(2)) == pytest.approx(pairs, rel=1e-9)
    assert TW[1].sf(200.0) == 0
    assert TW[2].cdf(200.0) == 1


def test_relations_between_the_laws():
    s = np.linspace(-6, 4, 21)
    f1, f2 = TW[1].cdf(s), TW[2].cdf(s)
    np.testing.assert_allclose(TW[4].cdf(s / math.sqrt(2)), (f1 + f2 / f1) / 2, rtol=1e-12)
    # (log F_1)' - (log F_2)'/2 = q/2, and q'' = s q + 2 q³: by central differences
    q = 2 * TW[1].pdf(s) / f1 - TW[2].pdf(s) / f2
    h = 1e-3
    shifted = [2 * TW[1].pdf(s + d) / TW[1].cdf(s + d) - TW[2].pdf(s + d) / TW[2].cdf(s + d) for d in (-h, h)]
    np.testing.assert_allclose((shifted[0] - 2 * q + shifted[1]) / h**2, s * q + 2 * q**3, atol=2e-6)


def test_density_is_the_derivative():
    nodes, weights = np.polynomial.legendre.leggauss(40)
    for law in TW.values():
        for low, high in ((-6.0, -3.0), (-2.5, 0.5), (2.0, 4.0)):
            x = (low + high) / 2 + (high - low) / 2 * nodes
            area = (high - low) / 2 * np.sum(weights * law.pdf(x))
            assert area == pytest.approx(law.cdf(high) - law.cdf(low), rel=1e-12, abs=1e-15)


# --- largest eigenvalues ----------------------------------------------------------------------------------------------


def test_single_levels_have_elementary_laws():
    x = np.array([-3.0, -1.0, 0.0, 1.0, 4.0, 8.0])
    law = LargestEigenvalue(GUE(1))
    np.testing.assert_allclose(law.cdf(x), ndtr(x), atol=2e-15)
    np.testing.assert_allclose(law.sf(x), ndtr(-x), rtol=1e-13)
    np.testing.assert_allclose(law.pdf(x), np.exp(-x * x / 2) / math.sqrt(2 * math.pi), rtol=1e-12, atol=1e-15)
    y = np.array([0.01, 0.5, 3.0, 30.0])
    for n in (1, 4):
        law = LargestEigenvalue(Wishart(1, n, 2))
        np.testing.assert_allclose(law.sf(y), gammaincc(n, n * y), rtol=1e-12)
        np.testing.assert_allclose(LargestEigenvalue(Wishart(n, 1, 2)).sf(y), gammaincc(n, y), rtol=1e-12)


def test_two_levels_by_direct_integration():
    # GUE(2): exp(-x² - y²) (x - y)²; P(both <= t) by moments of the half-line
    t = 0.9
    m = [quad(lambda x, k=k: x**k * math.exp(-x * x), -10, t, epsabs=0)[0] for k in range(3)]
    whole = [quad(lambda x, k=k: x**k * math.exp(-x * x), -10, 10, epsabs=1e-14)[0] for k in range(3)]
    exact = (m[0] * m[2] - m[1] ** 2) / (whole[0] * whole[2] - whole[1] ** 2)
    assert LargestEigenvalue(GUE(2)).cdf(t) == pytest.approx(exact, rel=1e-12)


def test_exact_and_limiting_laws_of_the_largest_eigenvalue():
    s = np.linspace(-5, 2, 15)
    for make in (GUE, lambda n: Wishart(n, 2 * n, 2), lambda n: Wishart(2 * n, n, 2)):
        gaps = []
        for n in (40, 320):
            scaling = edge_scaling(make(n))
            x = scaling.centre + scaling.scale * s
            gaps.append(np.max(np.abs(make(n).largest(method="exact").cdf(x) - make(n).largest().cdf(x))))
        assert gaps[0] / gaps[1] == pytest.approx(8 ** (2 / 3), rel=0.1)


def test_exact_law_is_consistent():
    for ensemble in (GUE(12), Wishart(3, 4, 2), Wishart(5, 2, 2)):
        law = ensemble.largest(method="exact")
        assert law == LargestEigenvalue(ensemble)
        assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-13)
        low, high = law.ppf([0.2, 0.8])
        assert quad(law.pdf, low, high, epsabs=1e-12)[0] == pytest.approx(0.6, abs=1e-11)
        # level density and largest eigenvalue have the same upper tail
        x = law.ppf(1 - 1e-9)
        count = ensemble.p if isinstance(ensemble, Wishart) else ensemble.n
        assert count * (1 - ensemble.cdf(x)) == pytest.approx(law.sf(x), rel=1e-6)
        scaling = edge_scaling(ensemble)
        assert law.mean() == pytest.approx(float(scaling.centre - 1.77 * scaling.scale), abs=scaling.scale)


def test_constants_of_the_real_edge():
    # expected number of levels beyond the edge: n times the tail, against that of the limit process of index 1
    def limit(s):
        def density(u):
            ai, slope, _, _ = airy(u)
            return slope**2 - u * ai**2 + ai * (1 - quad(lambda v: airy(v)[0], u, u + 16)[0]) / 2

        return quad(density, s, s + 12)[0]

    target = limit(1.0)
    for make in (GOE, lambda n: Wishart(n, 3 * n), lambda n: Wishart(n, n)):
        errors = []
        for n in (40, 320):
            scaling = edge_scaling(make(n))
            levels = n * (1 - make(n).cdf(scaling.centre + scaling.scale))
            errors.append(abs(levels / target - 1))
        assert errors[0] / errors[1] == pytest.approx(8 ** (2 / 3), rel=0.15), "second order: n^(-2/3), not n^(-1/3)"


def test_largest_is_an_affine_tracy_widom_law():
    scaling = edge_scaling(GOE(50))
    law = GOE(50).largest()
    assert law == Affine(TracyWidom(1), scaling.scale, scaling.centre)
    assert law.mean() == pytest.approx(scaling.centre + scaling.scale * TW[1].mean())
    assert scaling.standardised(law.ppf(0.9)) == pytest.approx(TW[1].ppf(0.9))
    assert edge_scaling(GUE(27)).scale == pytest.approx(1 / 9)
    assert edge_scaling(Wishart(4, 9, 2)).centre == pytest.approx(25 / 9)
    assert Wishart(4, 9).largest().law == TracyWidom(1)


# --- surface ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [GUE(3), GOE(4), Wishart(2, 5), TracyWidom(2), LargestEigenvalue(GUE(3))], ids=repr)
def test_free_operations_are_refused_with_a_reason(law):
    for compound in (law + Semicircle(), law.free_sum_power(2)):
        with pytest.raises(NotImplementedError, match="finite size and does not take part in free operations"):
            compound.pdf(0.3)
    assert "subordination" not in law.methods("pdf")
    assert law.methods("pdf")[0] == law.methods("cdf")[0] == "closed_form"


@pytest.mark.parametrize("law", [GUE(3), Wishart(2, 5), TracyWidom(4), LargestEigenvalue(Wishart(2, 5, 2))], ids=repr)
def test_repr_is_executable(law):
    names = ("GUE", "Wishart", "TracyWidom", "LargestEigenvalue")
    assert eval(repr(law), {name: getattr(rmt, name) for name in names}) == law


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GUE(0), r"n=0: expected an integer >= 1"),
        (lambda: GOE(2.5), r"n=2.5: expected an integer >= 1"),
        (lambda: Wishart(-1, 4), r"p=-1: expected an integer >= 1"),
        (lambda: Wishart(3, 4, 4), r"beta=4: expected 1 \(real\) or 2 \(complex\)"),
        (lambda: TracyWidom(3), r"beta=3: expected 1 \(real\) or 2 \(complex\) or 4 \(quaternion\)"),
        (lambda: GUE(3).largest(method="best"), r"method='best': expected 'limit' or 'exact'"),
        (lambda: GOE(3).largest(method="exact"), r"complex entries only; use method='limit'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_edge_scaling_of_something_else():
    with pytest.raises(TypeError, match=r"expected GUE\(n\), GOE\(n\) or Wishart"):
        edge_scaling(Semicircle())


def test_citations():
    assert "{Bornemann2010," in rmt.cite(GOE(9).largest())
    assert "{HarerZagier1986," in rmt.cite(GUE(9).largest(method="exact"))


def test_curves():
    for law in (GUE(8), GOE(3), Wishart(4, 6), Wishart(6, 4, 2), TracyWidom(1), GOE(20).largest()):
        curve = law.curve(80)
        assert curve.status is rmt.Status.OK
        assert np.all(curve.density >= 0)
        assert np.max(curve.error) < 1e-10
