"""Named families against independent formulas: mpmath integrals, published closed forms, exact numbers."""

import math
import re
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from rmt import (
    Affine,
    Compression,
    Discrete,
    FreePower,
    FreeProduct,
    FreeSum,
    FreeSumPower,
    FussCatalan,
    MarchenkoPastur,
    PreconditionError,
    ResidualSum,
    Semicircle,
    UniversalResNet,
)


def relative(actual, desired):
    return abs(complex(actual) - complex(desired)) / abs(complex(desired))


# --- semicircle -----------------------------------------------------------------------------------------------------


def test_semicircle_moments_are_catalan_numbers_moved_and_scaled():
    variance, mean = Fraction(3, 7), Fraction(-2, 5)
    centred = [math.comb(k, k // 2) // (k // 2 + 1) * variance ** (k // 2) if k % 2 == 0 else 0 for k in range(9)]
    expected = [sum(math.comb(n, k) * centred[k] * mean ** (n - k) for k in range(n + 1)) for n in range(1, 9)]
    law = Semicircle(variance, mean)
    assert law.moments(8) == expected
    assert law.free_cumulants(5) == [mean, variance, 0, 0, 0]
    assert (law.mean(), law.var()) == (mean, variance)


def test_semicircle_distribution_function_by_mpmath():
    law = Semicircle(0.7, 0.3)
    for x in (-1.1, 0.05, 0.3, 1.9):
        variance, mean = mp.mpf(0.7), mp.mpf(0.3)
        radius = 2 * mp.sqrt(variance)
        # in the angle of t = mean - radius cos(a) there is no root
        end = mp.acos((mean - x) / radius)
        area = mp.quad(lambda a: radius**2 * mp.sin(a) ** 2 / (2 * mp.pi * variance), [0, end])  # noqa: B023
        assert law.cdf(x) == pytest.approx(float(area), rel=1e-12)


def test_semicircle_log_moment():
    # E log|x| of the unit semicircle is -1/2; inside the support, so no quadrature helps
    for variance in (1, 0.3, 6.5):
        assert Semicircle(variance).log_moment() == pytest.approx(math.log(variance) / 2 - 0.5, rel=1e-13)


# --- Marchenko–Pastur -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", ["0.4", "1", "2.5"])
def test_marchenko_pastur_against_mpmath(ratio):
    c = mp.mpf(ratio)
    law = MarchenkoPastur(float(c))
    low, high = (1 - mp.sqrt(c)) ** 2, (1 + mp.sqrt(c)) ** 2

    def density(x):
        return mp.sqrt((x - low) * (high - x)) / (2 * mp.pi * c * x)

    for k in range(1, 4):
        assert float(law.moment(k)) == pytest.approx(float(mp.quad(lambda x, k=k: x**k * density(x), [low, high])))
    for share in (0.02, 0.4, 0.97):
        x = low + share * (high - low)
        assert law.pdf(float(x)) == pytest.approx(float(density(x)), rel=1e-11)
    z = mp.mpc(1.3, 0.8)
    own = (z + c - 1 - mp.sqrt(z - low) * mp.sqrt(z - high)) / (2 * c * z)
    assert relative(law.cauchy(complex(z)), own) < 1e-14
    assert law.s_transform(-0.3) == pytest.approx(1 / (1 - 0.3 * float(c)), rel=1e-12)
    assert law.support().atoms == ({0: pytest.approx(0.6)} if ratio == "2.5" else {})


def test_marchenko_pastur_log_moment_by_mpmath():
    for ratio in (0.2, 0.85):
        low, high = (1 - mp.sqrt(ratio)) ** 2, (1 + mp.sqrt(ratio)) ** 2
        expected = mp.quad(
            lambda x, a=low, b=high, c=ratio: mp.log(x) * mp.sqrt((x - a) * (b - x)) / (2 * mp.pi * c * x), [low, high]
        )
        assert MarchenkoPastur(ratio).log_moment() == pytest.approx(float(expected), rel=1e-12)
    assert MarchenkoPastur(1).log_moment() == -1


def test_exact_parameters_stay_exact():
    law = MarchenkoPastur(sp.Rational(1, 2))
    root = sp.sqrt(2) / 2
    lower, upper = law.support().intervals[0]
    assert sp.simplify(lower - (1 - root) ** 2) == sp.simplify(upper - (1 + root) ** 2) == 0
    assert law.moments(3) == [1, sp.Rational(3, 2), sp.Rational(11, 4)]
    tall = MarchenkoPastur(Fraction(9, 4))
    assert tall.support().intervals == ((Fraction(1, 4), Fraction(25, 4)),)
    assert tall.support().atoms == {0: Fraction(5, 9)}
    for own in (tall, FussCatalan(4), Semicircle(Fraction(1, 3)), Discrete({0: Fraction(1, 3), 5: Fraction(2, 3)})):
        assert all(isinstance(m, int | Fraction) for m in own.moments(6)), own
    assert all(isinstance(m, float) for m in MarchenkoPastur(0.5).moments(4)[1:])


def test_symbols_give_formulas_and_refuse_numbers():
    c = sp.Symbol("c", positive=True)
    law = MarchenkoPastur(c)
    assert sp.expand(law.moment(3) - (1 + 3 * c + c**2)) == 0
    with pytest.raises(PreconditionError, match="symbolic"):
        law.pdf(1.0)


# --- discrete -------------------------------------------------------------------------------------------------------


def test_discrete_law_is_sorted_and_drops_empty_atoms():
    law = Discrete({2: 0.25, -1: 0.75, 5: 0})
    assert law.masses == ((-1, 0.75), (2, 0.25))
    assert law == Discrete({-1: 0.75, 2: 0.25})
    assert law.moments(3) == [-0.25, 1.75, 1.25]
    np.testing.assert_array_equal(law.cdf([-1.5, -1, 0, 2]), [0, 0.75, 0.75, 1])
    np.testing.assert_array_equal(law.ppf([0, 0.75, 0.76, 1]), [-1, -1, 2, 2])
    assert law.pdf(0.5) == 0
    assert law.cauchy(1j) == pytest.approx(0.75 / (1j + 1) + 0.25 / (1j - 2))
    assert law.log_moment() == pytest.approx(0.25 * math.log(2))


# --- Fuss–Catalan ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 5, 10, 20, 50])
def test_fuss_catalan_density_by_its_parametric_form(order):
    law = FussCatalan(order)
    upper = law.support().edges[-1].position
    assert upper == Fraction((order + 1) ** (order + 1), order**order)
    with mp.workdps(30):
        points, densities = [], []
        for share in (0.08, 0.35, 0.6, 0.9):
            t = mp.mpf(share) * mp.pi / (order + 1)
            points.append(mp.sin((order + 1) * t) ** (order + 1) / (mp.sin(t) * mp.sin(order * t) ** order))
            densities.append(
                mp.sin(t) ** 2 * mp.sin(order * t) ** (order - 1) / (mp.pi * mp.sin((order + 1) * t) ** order)
            )
    x, rho = np.array(points, dtype=float), np.array(densities, dtype=float)
    np.testing.assert_allclose(law.pdf(x), rho, rtol=1e-11)
    np.testing.assert_allclose(law.pdf(x, method="subordination"), rho, rtol=1e-11)
    chain = MarchenkoPastur().free_power(order)
    np.testing.assert_allclose(chain.pdf(x), rho, rtol=1e-11)
    assert chain.support().upper == pytest.approx(float(upper), rel=1e-10)


def test_fuss_catalan_moments_and_hard_edge():
    assert FussCatalan(2).moments(5) == [1, 3, 12, 55, 273]  # OEIS A001764
    law = FussCatalan(4)
    assert law.support().edges[0].exponent == Fraction(-4, 5)
    # rho ~ sin(pi/(s+1))/pi x^(-s/(s+1)), from m ~ -1 + (-x)^(1/(s+1))
    x = 1e-30
    assert law.pdf(x) * x**0.8 == pytest.approx(math.sin(math.pi / 5) / math.pi, rel=1e-5)
    assert law.pdf(0) == math.inf
    assert law.log_moment() == -4
    real = FussCatalan(2.5)
    assert real.moments(4) == pytest.approx(
        [math.gamma(3.5 * k + 1) / math.gamma(2.5 * k + 2) / math.factorial(k) for k in range(1, 5)], rel=1e-13
    )


# --- the universal law of residual networks -------------------------------------------------------------------------


def test_universal_law_published_numbers():
    edges = UniversalResNet(c=0.25).support().intervals[0]
    assert edges == pytest.approx((0.236183, 4.234000), abs=5e-7)
    assert UniversalResNet(c=1).moments(2) == pytest.approx([2.718282, 22.167168], abs=5e-7)


@pytest.mark.parametrize("c", [0.01, 0.25, 1, 4])
def test_universal_law_three_ways(c):
    law = UniversalResNet(c=c)
    low, high = law.support().intervals[0]
    x = low * (high / low) ** np.array([0.001, 0.1, 0.35, 0.5, 0.77, 0.95, 0.999])
    closed = law.pdf(x, method="closed_form")
    solved = law.pdf(x, method="subordination")
    np.testing.assert_allclose(closed, solved, rtol=1e-10)
    # the published equation, at the solution and to 30 digits from it
    g = law.cauchy(x)
    np.testing.assert_allclose(g, (x * g - 1) * np.exp(c * (1 - 2 * x * g)), rtol=1e-12 * (1 + 4 * c))
    with mp.workdps(30):
        for point, start in zip(x[1:-1], g[1:-1], strict=True):
            z = mp.mpf(float(point))
            root = mp.findroot(lambda h, z=z: h - (z * h - 1) * mp.exp(c * (1 - 2 * z * h)), complex(start))
            assert abs(complex(root) - start) < 1e-12 * abs(start) * (1 + 4 * c)


@pytest.mark.parametrize("c", [0.25, 2.0])
def test_universal_law_of_the_inverse_is_the_law(c):
    law = UniversalResNet(c=c)
    x = law.ppf(np.array([0.02, 0.2, 0.6, 0.99]))
    np.testing.assert_allclose(law.cdf(1 / x), 1 - law.cdf(x), atol=1e-13)
    np.testing.assert_allclose(law.pdf(1 / x) / x**2, law.pdf(x), rtol=1e-10)
    assert law.expectation(lambda v: 1 / v) == pytest.approx(math.exp(c), rel=1e-11)
    assert law.log_moment() == 0


def test_universal_law_moments_and_transform():
    law = UniversalResNet(c=0.6)
    laguerre = [math.exp(0.6 * k) / k * float(mp.laguerre(k - 1, 1, -1.2 * k)) for k in range(1, 7)]
    assert law.moments(6) == pytest.approx(laguerre, rel=1e-13)
    assert law.s_transform(-0.4) == pytest.approx(math.exp(-0.6 * 0.2), rel=1e-12)
    assert law.var() == pytest.approx(1.2 * math.exp(1.2))
    c = sp.Symbol("c", positive=True)
    assert sp.simplify(UniversalResNet(c=c).moment(2) - (1 + 2 * c) * sp.exp(2 * c)) == 0


def test_universal_law_with_a_skip_is_scaled():
    law, plain = UniversalResNet(c=0.6, skip=0.9, depth=7), UniversalResNet(c=0.6 / 0.81)
    scale = 0.9**14
    x = law.ppf([0.1, 0.5, 0.93])
    np.testing.assert_allclose(law.pdf(x), plain.pdf(x / scale) / scale, rtol=1e-11)
    assert law.mean() == pytest.approx(scale * plain.mean(), rel=1e-13)


# --- bad parameters -------------------------------------------------------------------------------------------------

NAN = float("nan")


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Semicircle(variance=0), "variance=0"),
        (lambda: Semicircle(variance=-1.5), "variance=-1.5"),
        (lambda: Semicircle(mean=math.inf), "mean=inf"),
        (lambda: Semicircle(variance="wide"), "variance='wide'"),
        (lambda: MarchenkoPastur(0), "ratio=0"),
        (lambda: MarchenkoPastur(NAN), "ratio=nan"),
        (lambda: MarchenkoPastur(None), "ratio=None"),
        (lambda: FussCatalan(-2), "order=-2"),
        (lambda: UniversalResNet(c=0), "c=0"),
        (lambda: UniversalResNet(c=0.3, skip=0), "skip=0"),
        (lambda: UniversalResNet(c=0.3, skip=0.9), "depth=None"),
        (lambda: UniversalResNet(c=0.3, skip=0.9, depth=0), "depth=0"),
        (lambda: Discrete({0: 0.5, 1: 0.6}), "expected 1"),
        (lambda: Discrete({0: -0.5, 1: 1.5}), "mass at 0=-0.5"),
        (lambda: Discrete({NAN: 1}), "position=nan"),
        (lambda: Affine(Semicircle(), 0, 1), "scale=0"),
        (lambda: Affine(Semicircle(), NAN, 1), "scale=nan"),
        (lambda: FreePower(MarchenkoPastur(), -0.5), "exponent=-0.5"),
        (lambda: FreeSumPower(MarchenkoPastur(), 0), "exponent=0"),
        (lambda: Compression(MarchenkoPastur(), 0), "ratio=0"),
        (lambda: Compression(MarchenkoPastur(), 1.2), "ratio=1.2"),
        (lambda: ResidualSum(MarchenkoPastur(), 0), "skip=0"),
        (lambda: FreeSum((Semicircle(),)), "at least two"),
        (lambda: FreeProduct((Semicircle(),)), "at least two"),
    ],
)
def test_bad_parameters_are_one_clear_value_error(build, named):
    with pytest.raises(ValueError, match=re.escape(named)) as caught:
        build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Semicircle().free_power(2).pdf(0.5),
        lambda: (Semicircle() @ Semicircle(2)).pdf(0.5),
        lambda: Semicircle().sqrt().pdf(0.5),
        lambda: ResidualSum(Semicircle()).pdf(0.5),
        lambda: Semicircle().s_transform(0.1),
        lambda: (Discrete({0: 1}) @ MarchenkoPastur()).pdf(0.5),
    ],
)
def test_violated_hypotheses_are_named(ask):
    with pytest.raises(PreconditionError) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_points_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        Semicircle().pdf([0.1, NAN])
    with pytest.raises(ValueError, match="points=3"):
        Semicircle().curve(points=3)
    with pytest.raises(ValueError, match="tol=0"):
        Semicircle().curve(tol=0)
    with pytest.raises(TypeError, match="ambiguous"):
        Semicircle() * MarchenkoPastur()


def test_shapes_follow_the_argument():
    law = MarchenkoPastur(0.3)
    assert isinstance(law.pdf(0.7), float)
    assert isinstance(law.cauchy(0.7 + 1j), complex)
    grid = np.full((2, 3), 0.7)
    for ask in (law.pdf, law.cdf, law.cauchy, law.moment_transform):
        assert ask(grid).shape == (2, 3)
    assert law.ppf(np.full((4, 1), 0.5)).shape == (4, 1)
    assert law.rvs((2, 5), rng=1).shape == (2, 5)
    assert isinstance(law.rvs(rng=1), float)
