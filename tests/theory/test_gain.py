"""The law of φ'(h)²: every number of it against multiple precision or against quantiles of the Gaussian."""

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from scipy.special import ndtri

import rmt
from theory.activations import ACTIVATION_NAMES, get_activation
from theory.gain import GainLaw, gain_law

SMOOTH = ("tanh", "erf", "sigmoid", "silu", "gelu", "elu", "selu", "softplus", "sin")
PIECEWISE_LINEAR = ("linear", "relu", "leaky_relu", "hard_tanh")
VARIANCES = (0.05, 0.8, 6.0)

SELU_SCALE, SELU_ALPHA = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")


def sigmoid(h):
    return 1 / (1 + mp.exp(-h))


# φ' in multiple precision, written independently of the package
SLOPES = {
    "tanh": lambda h: mp.sech(h) ** 2,
    "erf": lambda h: mp.exp(-mp.pi * h * h / 4),
    "sigmoid": lambda h: sigmoid(h) * sigmoid(-h),
    "silu": lambda h: sigmoid(h) + h * sigmoid(h) * sigmoid(-h),
    "gelu": lambda h: mp.ncdf(h) + h * mp.npdf(h),
    "elu": lambda h: mp.mpf(1) if h > 0 else mp.exp(h),
    "selu": lambda h: SELU_SCALE * (1 if h > 0 else SELU_ALPHA * mp.exp(h)),
    "softplus": sigmoid,
    "sin": mp.cos,
}


def test_all_activations_are_covered():
    assert set(SMOOTH) | set(PIECEWISE_LINEAR) == set(ACTIVATION_NAMES)


def average(name, q, function, marks=()):
    """E f(φ'(√q Z)²) in multiple precision, cut at the kink and at the given points."""
    s = mp.sqrt(q)
    cuts = sorted({-10 * s, mp.mpf(0), 10 * s} | {x * s for x in (-4, -2, -1, 1, 2, 4)} | set(marks))
    return mp.quad(
        lambda h: function(SLOPES[name](h) ** 2) * mp.exp(-h * h / (2 * q)), [x for x in cuts if abs(x) <= 10 * s]
    ) / mp.sqrt(2 * mp.pi * q)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("name", SMOOTH)
def test_moments_by_formula_by_density_and_in_multiple_precision(name, q):
    law = gain_law(get_activation(name), q)
    moments = law.moments(3)
    for k, moment in enumerate(moments, start=1):
        assert moment == pytest.approx(float(average(name, q, lambda x, k=k: x**k)), rel=2e-12)
    # Cauchy transform far away: m_k as coefficients
    radius, turn = 40.0, np.exp(2j * np.pi * (np.arange(32) + 0.5) / 32)
    g = law.cauchy(radius * turn)
    for k, moment in enumerate(moments, start=1):
        assert np.mean(g * (radius * turn) ** (k + 1)).real == pytest.approx(moment, rel=1e-6)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("name", SMOOTH)
def test_distribution_function_against_gaussian_quantiles(name, q):
    law = gain_law(get_activation(name), q)
    n = 200_000
    h = math.sqrt(q) * ndtri((np.arange(n) + 0.5) / n)
    squares = np.sort(get_activation(name).dphi(h) ** 2)
    x = np.quantile(squares, [0.003, 0.02, 0.2, 0.4, 0.7, 0.95, 0.997]) * (1 - 1e-7)
    expected = np.searchsorted(squares, x, side="right") / n
    # a set of h bounded by p points is counted to p/n
    np.testing.assert_allclose(law.cdf(x), expected, atol=6 / n)
    assert law.cdf(-1e-9) == 0
    assert law.cdf(squares[-1] * (1 + 1e-6)) == pytest.approx(1, abs=6 / n)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("name", SMOOTH)
def test_density_is_the_derivative_of_the_distribution_function(name, q):
    law = gain_law(get_activation(name), q)
    atoms = list(law.support().atoms)
    top = float(law.support().upper)
    x = np.linspace(0.03, 0.97, 24) * top
    x = x[[all(abs(point - atom) > 0.01 * top for atom in atoms) for point in x]]
    step = 1e-4 * x
    slope = (8 * (law.cdf(x + step) - law.cdf(x - step)) - law.cdf(x + 2 * step) + law.cdf(x - 2 * step)) / (12 * step)
    # a branch that ends inside the support makes a step or a square-root singularity: not across it
    smooth = np.abs(law.pdf(x + 3 * step) - law.pdf(x - 3 * step)) < 0.02 * law.pdf(x) + 1e-9
    assert np.count_nonzero(smooth) > 0.7 * len(x)
    np.testing.assert_allclose(law.pdf(x)[smooth], slope[smooth], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("height", [1e-2, 1e-5, 1e-9])
@pytest.mark.parametrize("name", SMOOTH)
def test_cauchy_transform_next_to_the_real_axis(name, height):
    q = 0.8
    law = gain_law(get_activation(name), q)
    x = 0.37 * float(law.support().upper)
    # the pole's neighbours on the h axis, where the quadrature must be cut
    h = np.linspace(-9, 9, 20_001)
    above = get_activation(name).dphi(h) ** 2 > x
    marks = []
    for i in np.flatnonzero(np.diff(above)):
        if name in ("elu", "selu") and h[i] >= -1e-3:  # the step at the kink
            continue
        with mp.workdps(30):
            root = mp.findroot(lambda t: SLOPES[name](t) ** 2 - x, float(h[i]), tol=1e-40)
            marks += [root + sign * mp.mpf(10) ** -k for k in range(1, 12) for sign in (-1, 1)] + [root]
    assert marks
    with mp.workdps(30):  # the integrand is large and of both signs on either side of the pole
        z = mp.mpc(x, height)
        expected = average(name, q, lambda f: 1 / (z - f), marks)
    # z - φ'² next to the pole has the relative rounding eps/height
    assert abs(law.cauchy(complex(z)) - complex(expected)) < (1e-11 + 3e-17 / height) * abs(complex(expected))
    assert law.cauchy(complex(z).conjugate()) == law.cauchy(complex(z)).conjugate()


@pytest.mark.parametrize("name", SMOOTH)
def test_cauchy_transform_tends_to_the_density(name):
    law = gain_law(get_activation(name), 1.3)
    x = 0.61 * float(law.support().upper)
    first, second = (-law.cauchy(x * (1 + 1j * h)).imag / math.pi for h in (2e-4, 1e-4))
    assert 2 * second - first == pytest.approx(float(law.pdf(x)), rel=1e-5)


@pytest.mark.parametrize("q", VARIANCES)
def test_atoms_where_the_slope_is_constant(q):
    assert gain_law(get_activation("elu"), q).support().atoms == {1.0: pytest.approx(0.5)}
    ((position, mass),) = gain_law(get_activation("selu"), q).support().atoms.items()
    assert position == pytest.approx(float(SELU_SCALE**2), rel=1e-14)
    assert mass == pytest.approx(0.5)
    law = gain_law(get_activation("elu", alpha=0.7), q)
    assert law.cdf(1.0) - law.cdf(1.0 - 1e-12) == pytest.approx(0.5)
    # below the kink φ' = α e^h only reaches α
    assert float(law.support().intervals[0][1]) == pytest.approx(0.49, rel=1e-12)
    assert law.cdf(0.5) == pytest.approx(0.5)
    for name in ("tanh", "gelu", "sin", "softplus"):
        assert gain_law(get_activation(name), q).support().atoms == {}


def test_piecewise_linear_activations_are_discrete():
    half = Fraction(1, 2)
    assert gain_law(get_activation("linear"), 0.4) == rmt.Discrete({1: 1})
    assert gain_law(get_activation("relu"), 0.4) == rmt.Discrete({0: half, 1: half})
    slow = gain_law(get_activation("leaky_relu", alpha=Fraction(1, 5)), 0.4)
    assert slow.moments(2) == [Fraction(13, 25), Fraction(313, 625)]
    inside = math.erf(1 / math.sqrt(0.8))
    assert gain_law(get_activation("hard_tanh"), 0.4).support().atoms == {
        0: pytest.approx(1 - inside, rel=1e-12),
        1: pytest.approx(inside, rel=1e-14),
    }


@pytest.mark.parametrize("name", SMOOTH)
def test_support_is_the_range_of_the_squared_slope(name):
    law = gain_law(get_activation(name), 2.0)
    h = np.linspace(-12, 12, 400_001)
    squares = get_activation(name).dphi(h) ** 2
    support = law.support()
    assert float(support.lower) == pytest.approx(squares.min(), abs=1e-7)
    assert max([float(support.upper), *support.atoms]) == pytest.approx(squares.max(), rel=2e-3)


def test_log_moment():
    # E log φ'² of sin would have a singular integrand; erf is exact: -π q/2
    assert gain_law(get_activation("erf"), 0.6).log_moment() == pytest.approx(-math.pi * 0.3, rel=1e-12)
    # elu: log φ'² = 2 h below 0
    assert gain_law(get_activation("elu"), 0.6).log_moment() == pytest.approx(
        -2 * math.sqrt(0.6 / (2 * math.pi)), rel=1e-12
    )


def test_representation_and_equality():
    law = gain_law(get_activation("elu", alpha=0.7), 0.6)
    assert isinstance(law, GainLaw)
    assert eval(repr(law)) == law
    assert law != gain_law(get_activation("elu"), 0.6)
    assert hash(law) == hash(gain_law(get_activation("elu", alpha=0.7), 0.6))


@pytest.mark.parametrize("q", [0.0, -1.0, math.nan, math.inf])
def test_bad_variance(q):
    with pytest.raises(ValueError, match="q="):
        GainLaw("tanh", q)


def test_unknown_activation():
    with pytest.raises(ValueError, match="unknown activation"):
        GainLaw("swish", 1.0)
