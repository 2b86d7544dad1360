import math
import pickle
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmt.results import ConvergenceError
from theory.activations import ACTIVATION_NAMES, get_activation
from theory.gaussian import gaussian_average

SELU = (mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717"))


def sigmoid(h):
    return 1 / (1 + mp.exp(-h))


# name -> (parameters, φ, φ'), written independently of the package, in multiple precision
REFERENCE = {
    "linear": ({}, lambda h: h, lambda _: mp.mpf(1)),
    "relu": ({}, lambda h: max(h, mp.mpf(0)), lambda h: mp.mpf(h > 0)),
    "leaky_relu": ({"alpha": 0.25}, lambda h: h if h > 0 else h / 4, lambda h: 1 if h > 0 else mp.mpf("0.25")),
    "hard_tanh": ({}, lambda h: max(min(h, mp.mpf(1)), mp.mpf(-1)), lambda h: mp.mpf(abs(h) < 1)),
    "tanh": ({}, mp.tanh, lambda h: mp.sech(h) ** 2),
    "erf": ({}, lambda h: mp.erf(mp.sqrt(mp.pi) * h / 2), lambda h: mp.exp(-mp.pi * h * h / 4)),
    "sigmoid": ({}, sigmoid, lambda h: sigmoid(h) * sigmoid(-h)),
    "silu": ({}, lambda h: h * sigmoid(h), lambda h: sigmoid(h) + h * sigmoid(h) * sigmoid(-h)),
    "gelu": ({}, lambda h: h * mp.ncdf(h), lambda h: mp.ncdf(h) + h * mp.npdf(h)),
    "elu": (
        {"alpha": 0.7},
        lambda h: h if h > 0 else mp.mpf(0.7) * mp.expm1(h),
        lambda h: 1 if h > 0 else mp.mpf(0.7) * mp.exp(h),
    ),
    "selu": (
        {},
        lambda h: SELU[0] * (h if h > 0 else SELU[1] * mp.expm1(h)),
        lambda h: SELU[0] * (1 if h > 0 else SELU[1] * mp.exp(h)),
    ),
    "softplus": ({}, lambda h: mp.log1p(mp.exp(-abs(h))) + max(h, mp.mpf(0)), sigmoid),
    "sin": ({}, mp.sin, mp.cos),
}
VARIANCES = (1e-3, 0.3, 1.0, 2.7, 40.0)


def activation(name):
    return get_activation(name, **REFERENCE[name][0])


def mp_average(f, q, kinks):
    """E f(√q Z) by multiple-precision quadrature, cut at the kinks and at scales 1 and √q."""
    s = mp.sqrt(q)
    scales = {x for w in (1, 4, 16) for x in (-w, w)} | {x * s for w in (2, 5) for x in (-w, w)}
    cuts = sorted({-11 * s, mp.mpf(0), 11 * s} | {mp.mpf(x) for x in scales | set(kinks) if abs(x) < 11 * s})
    return mp.quad(lambda h: f(h) * mp.exp(-h * h / (2 * q)), cuts) / mp.sqrt(2 * mp.pi * q)


def test_every_activation_has_a_reference():
    assert set(REFERENCE) == set(ACTIVATION_NAMES)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_averages_against_multiple_precision(name, q):
    act, (_, phi, dphi) = activation(name), REFERENCE[name]
    with mp.workdps(20):
        mean = float(mp_average(phi, q, act.kinks))
        second = float(mp_average(lambda h: phi(h) ** 2, q, act.kinks))
        gain = float(mp_average(lambda h: dphi(h) ** 2, q, act.kinks))
        gain_2 = float(mp_average(lambda h: dphi(h) ** 4, q, act.kinks))
    # the mean vanishes for odd functions, and for selu at q = 1
    assert act.mean(q) == pytest.approx(mean, rel=2e-14, abs=1e-15 if abs(mean) < 1e-15 else 0)
    assert act.second_moment(q) == pytest.approx(second, rel=2e-14)
    assert act.gain(q) == pytest.approx(gain, rel=2e-14)
    assert act.gain_moment(1, q) == pytest.approx(gain, rel=2e-14)
    assert act.gain_moment(2, q) == pytest.approx(gain_2, rel=2e-13)
    assert act.averages(q) == (act.mean(q), act.second_moment(q), act.gain(q))


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
@pytest.mark.parametrize("q", [1e-12, 1e-5, 0.1499, 0.1501, 9.99, 10.01, 1e4, 1e6])
def test_closed_forms_against_quadrature_at_extreme_variances(name, q):
    act = activation(name)
    scale = math.sqrt(act.second_moment(q))
    assert act.average(act.phi, q) == pytest.approx(act.mean(q), rel=1e-12, abs=1e-14 * scale)
    assert act.average(lambda h: act.phi(h) ** 2, q) == pytest.approx(act.second_moment(q), rel=1e-12)
    assert act.average(lambda h: act.dphi(h) ** 2, q) == pytest.approx(act.gain(q), rel=1e-12)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_values_and_slopes(name):
    act, (_, phi, dphi) = activation(name), REFERENCE[name]
    h = np.array([-1e3, -37.0, -3.3, -0.8, -1e-9, 1e-9, 0.4, 2.2, 40.0, 1e3])
    with mp.workdps(30):
        values = np.array([float(phi(mp.mpf(x))) for x in h])
        slopes = np.array([float(dphi(mp.mpf(x))) for x in h])
        # φ' is also the derivative of φ, not only what was typed above
        differences = np.array([float(mp.diff(phi, mp.mpf(x))) for x in h[2:-2] if abs(x) > 1e-6])
    np.testing.assert_allclose(act.phi(h), values, rtol=3e-14, atol=1e-300)
    np.testing.assert_allclose(act.dphi(h), slopes, rtol=3e-14, atol=1e-300)
    np.testing.assert_allclose(act.dphi(h[2:-2][np.abs(h[2:-2]) > 1e-6]), differences, rtol=1e-12)
    assert isinstance(act.phi(0.4), float)
    assert isinstance(act.dphi(0.4), float)
    assert act.phi(0.4) == act.phi(h)[6]
    assert act.phi(h.reshape(2, 5)).shape == act.dphi(h.reshape(2, 5)).shape == (2, 5)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_slope_range_is_attained_and_never_left(name):
    act = activation(name)
    lo, hi = act.slope_range
    h = np.concatenate((np.linspace(-40, 40, 400_001), [-1e3, 1e3]))
    squares = act.dphi(h) ** 2
    assert squares.min() >= lo
    assert squares.max() <= hi * (1 + 1e-15)
    assert squares.min() == pytest.approx(lo, abs=1e-8)
    assert squares.max() == pytest.approx(hi, rel=1e-8)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_kinks_are_where_the_slope_is_not_smooth(name):
    act = activation(name)
    step = 1e-4
    h = np.arange(-30_000, 30_001) * step + step / 3  # no node on a kink
    # a smooth φ' has second differences of order step²; a kink of φ'  at least of order step
    jumps = np.abs(np.diff(act.dphi(h), 2)) > 0.1 * step
    found = {float(round(x)) for x in h[1:-1][jumps]}
    assert found == set(act.kinks)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_variance_zero_is_the_limit(name):
    act = activation(name)
    near = act.averages(1e-14)
    assert act.averages(0) == pytest.approx(near, rel=1e-6, abs=1e-6)
    assert act.averages(0)[0] == act.phi(0.0)


@pytest.mark.parametrize("q", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_variance_out_of_range(name, q):
    act = get_activation(name)
    for ask in (act.mean, act.second_moment, act.gain, act.averages, lambda q: act.gain_moment(2, q), act.slope_masses):
        with pytest.raises(ValueError, match="q="):
            ask(q)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_slope_masses_are_the_law_of_the_squared_slope(name):
    act = activation(name)
    for q in (1e-3, 0.5, 3.0):
        masses = act.slope_masses(q)
        assert (masses is not None) == act.piecewise_linear
        if masses is not None:
            assert sum(masses.values()) == pytest.approx(1, abs=1e-15)
            for k in (1, 2, 3):
                assert sum(p * x**k for x, p in masses.items()) == pytest.approx(act.gain_moment(k, q), rel=1e-14)


def test_slope_masses_stay_exact():
    assert get_activation("linear").slope_masses(2.0) == {1: 1}
    relu = get_activation("relu").slope_masses(2.0)
    assert relu == {0: Fraction(1, 2), 1: Fraction(1, 2)}
    leaky = get_activation("leaky_relu", alpha=Fraction(1, 3)).slope_masses(2.0)
    assert leaky == {Fraction(1, 9): Fraction(1, 2), 1: Fraction(1, 2)}
    assert all(isinstance(p, Fraction) for p in (*relu.values(), *leaky.values()))
    # equal numbers of other types do not share what was computed for the exact one
    assert isinstance(min(get_activation("leaky_relu", alpha=1 / 4).slope_masses(1.0)), float)
    assert isinstance(min(get_activation("leaky_relu", alpha=Fraction(1, 4)).slope_masses(1.0)), Fraction)
    assert get_activation("leaky_relu", alpha=-1).slope_masses(2.0) == {1: 1}
    assert get_activation("hard_tanh").slope_masses(1e-4) == {1: 1.0}


def selu_as_published(q, lam, alpha):
    c1, c2 = math.exp(q / 2) * math.erfc(math.sqrt(q / 2)), math.exp(2 * q) * math.erfc(math.sqrt(2 * q))
    return (
        lam * (math.sqrt(q / (2 * math.pi)) + alpha / 2 * (c1 - 1)),
        lam**2 * (q / 2 + alpha**2 / 2 * (c2 - 2 * c1 + 1)),
        lam**2 / 2 * (1 + alpha**2 * c2),
    )


def hard_tanh_as_published(q):
    e = math.erf(1 / math.sqrt(2 * q))
    return 0, q * e - math.sqrt(2 * q / math.pi) * math.exp(-1 / (2 * q)) + 1 - e, e


def gelu_as_published(q):
    half, root = 0.25 + math.asin(q / (1 + q)) / (2 * math.pi), math.sqrt(1 + 2 * q)
    return (
        q / math.sqrt(2 * math.pi * (1 + q)),
        q * half + q**2 / (math.pi * (1 + q) * root),
        half + q / (math.pi * (1 + q) * root) + q / (2 * math.pi * root**3),
    )


# name -> (<φ>, <φ²>, <φ'²>) as printed in arXiv:1809.08848 and arXiv:1711.04735
PUBLISHED = {
    "relu": lambda q: (math.sqrt(q / (2 * math.pi)), q / 2, 0.5),
    "leaky_relu": lambda q: (0.75 * math.sqrt(q / (2 * math.pi)), q * (1 + 1 / 16) / 2, (1 + 1 / 16) / 2),
    "hard_tanh": hard_tanh_as_published,
    "erf": lambda q: (
        0,
        2 / math.pi * math.asin(math.pi * q / (2 + math.pi * q)),
        (1 + math.pi * q) ** -0.5,
    ),
    "sin": lambda q: (0, (1 - math.exp(-2 * q)) / 2, (1 + math.exp(-2 * q)) / 2),
    "selu": lambda q: selu_as_published(q, float(SELU[0]), float(SELU[1])),
    "elu": lambda q: selu_as_published(q, 1, 0.7),
    "gelu": gelu_as_published,
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("q", VARIANCES)
def test_published_closed_forms(name, q):
    assert activation(name).averages(q) == pytest.approx(PUBLISHED[name](q), rel=1e-11, abs=1e-14)


def test_known_identities():
    tanh, sigma = get_activation("tanh"), get_activation("sigmoid")
    for q in (1e-3, 0.4, 6.0, 300.0):
        assert sigma.gain(q) == pytest.approx(tanh.gain(q / 4) / 16, rel=1e-14)
        assert sigma.second_moment(q) == pytest.approx((1 + tanh.second_moment(q / 4)) / 4, rel=1e-14)
        # <φ'> = <h φ>/q (Stein)
        for name in ACTIVATION_NAMES:
            act = activation(name)
            stein = act.average(lambda h, phi=act.phi: h * phi(h), q) / q
            assert act.average(act.dphi, q) == pytest.approx(stein, rel=1e-12, abs=1e-12)
    # the fixed point for which selu was made: mean 0 and variance 1 reproduce themselves
    selu = get_activation("selu")
    assert selu.mean(1.0) == pytest.approx(0, abs=1e-15)
    assert selu.second_moment(1.0) == pytest.approx(1, abs=1e-15)


def legendre(cuts):
    x, w = np.polynomial.legendre.leggauss(16)
    cuts = np.unique(cuts)
    half, centre = 0.5 * np.diff(cuts), 0.5 * (cuts[1:] + cuts[:-1])
    return (centre[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()


def pair_by_conditioning(phi, q, rho, kinks):
    """E φ(h₁)φ(h₂) = E φ(h₁) E[φ(h₂)|h₁] by nested panels, cut where either argument meets a kink."""
    s, spread = math.sqrt(q), math.sqrt((1 - rho) * (1 + rho))
    uniform = np.linspace(-9, 9, 37)
    # the inner average varies on the scale `spread` near the kinks of h₂
    near = [k / s / rho + d for k in kinks for d in (-3 * spread, -spread, 0, spread, 3 * spread)]
    z, w = legendre(np.clip(np.concatenate((uniform, near, [k / s for k in kinks])), -9, 9))
    total = 0.0
    for z1, w1 in zip(z, w * np.exp(-z * z / 2) / (2 * math.pi), strict=True):
        inner = np.clip(np.concatenate((uniform, [(k / s - rho * z1) / spread for k in kinks])), -9, 9)
        y, v = legendre(inner)
        total += w1 * phi(s * z1) * (v @ (np.exp(-y * y / 2) * phi(s * (rho * z1 + spread * y))))
    return total


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
@pytest.mark.parametrize(("q", "rho"), [(0.05, 0.9), (2.3, -0.8), (40.0, 0.45)])
def test_cross_moment_by_conditioning(name, q, rho):
    act = activation(name)
    reference = pair_by_conditioning(act.phi, q, rho, act.kinks)
    assert act.cross_moment(q, rho) == pytest.approx(reference, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
@pytest.mark.parametrize("q", [1e-6, 0.05, 0.9, 30.0, 900.0])
def test_cross_moment_by_price_theorem_and_limits(name, q):
    act = activation(name)
    second = act.second_moment(q)
    assert act.cross_moment(q, 1.0) == second
    assert act.cross_moment(q, 1 - 1e-12) == pytest.approx(second, rel=1e-5)
    assert act.cross_moment(q, 0.0) == pytest.approx(act.mean(q) ** 2, rel=1e-11, abs=1e-12 * second)
    # d/dρ E φφ = q <φ'>² at ρ = 0 (Price)
    slope = (act.cross_moment(q, 1e-4) - act.cross_moment(q, -1e-4)) / 2e-4
    assert slope == pytest.approx(q * act.average(act.dphi, q) ** 2, rel=1e-5, abs=1e-7 * second)
    # E φ(h)φ(-h) at ρ = -1
    opposite = act.average(lambda h: act.phi(h) * act.phi(-h), q)
    assert act.cross_moment(q, -1.0) == pytest.approx(opposite, rel=1e-9, abs=1e-11 * second)


@given(rho=st.floats(-1, 1), q=st.floats(1e-4, 1e2))
@settings(deadline=None, max_examples=30)
def test_cross_moment_by_sectors_equals_the_arc_cosine_kernel(rho, q):
    from theory.gaussian import pair_average

    relu = get_activation("relu")
    by_quadrature = pair_average(relu.phi, q, rho, kinks=relu.kinks)
    assert by_quadrature == pytest.approx(relu.cross_moment(q, rho), rel=1e-11, abs=1e-14 * q)


@given(rho=st.floats(-1, 1), q=st.floats(1e-4, 1e2))
@settings(deadline=None, max_examples=30)
def test_cross_moment_of_smooth_functions_equals_the_arc_sine_law(rho, q):
    from theory.gaussian import pair_average

    erf = get_activation("erf")
    assert pair_average(erf.phi, q, rho) == pytest.approx(erf.cross_moment(q, rho), rel=1e-12, abs=1e-15)


def test_cross_moment_bad_input():
    with pytest.raises(ValueError, match=r"rho=1\.5"):
        get_activation("relu").cross_moment(1.0, 1.5)
    with pytest.raises(ConvergenceError, match="reduce sigma_w"):
        get_activation("tanh").cross_moment(1e5, 0.5)


def test_average_of_several_complex_functions():
    tanh = get_activation("tanh")
    q, w = 0.8, 1.3 + 0.2j
    resolvent, ones = tanh.average(lambda h: np.array([1 / (w - tanh.dphi(h) ** 2), np.ones_like(h)]), q)
    with mp.workdps(20):
        reference = complex(mp_average(lambda h: 1 / (mp.mpc(w) - mp.sech(h) ** 4), q, ()))
    assert resolvent == pytest.approx(reference, rel=1e-13)
    assert ones == pytest.approx(1, rel=1e-14)


def test_average_that_does_not_converge_says_so():
    with pytest.raises(ConvergenceError, match="kinks"):
        gaussian_average(lambda h: np.sign(h - 0.1), 1.0)


def test_lookup():
    with pytest.raises(ValueError, match="unknown activation 'swish'") as caught:
        get_activation("swish")
    assert all(name in str(caught.value) for name in ACTIVATION_NAMES)
    with pytest.raises(ValueError, match="no parameter 'slope'"):
        get_activation("leaky_relu", slope=0.1)
    with pytest.raises(ValueError, match="alpha=nan"):
        get_activation("leaky_relu", alpha=math.nan)
    with pytest.raises(ValueError, match="alpha='steep'"):
        get_activation("leaky_relu", alpha="steep")
    with pytest.raises(ValueError, match="alpha"):
        get_activation("elu", alpha=0)
    tanh = get_activation("tanh")
    assert get_activation(tanh) is tanh
    with pytest.raises(ValueError, match="parameters already"):
        get_activation(tanh, alpha=1)
    assert get_activation("leaky_relu", alpha=0.2) != get_activation("leaky_relu")


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_copies(name):
    act = activation(name)
    assert eval(repr(act)) == act
    copy = pickle.loads(pickle.dumps(act))
    assert copy == act
    assert hash(copy) == hash(act)
    assert copy.gain(0.3) == act.gain(0.3)


def test_gauss_hermite_across_a_kink_is_refused():
    # 201 nodes of the rule for smooth functions are off in the second digit; a rule split at the kink is exact
    nodes, weights = np.polynomial.hermite_e.hermegauss(201)
    share = float(weights @ (nodes > 0.05)) / float(weights.sum())
    exact = 0.5 * math.erfc(0.05 / math.sqrt(2))
    assert abs(share - exact) > 5e-3
    with pytest.raises(ConvergenceError, match="kinks"):
        gaussian_average(lambda h: 1.0 * (h > 0.05), 1.0)
    assert gaussian_average(lambda h: 1.0 * (h > 0.05), 1.0, kinks=(0.05,)) == pytest.approx(exact, rel=1e-13)
