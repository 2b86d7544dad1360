"""Finite width: exact laws against enumeration, quadrature and sampled networks."""

import itertools
import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from scipy.special import digamma, polygamma
from scipy.stats import norm
from scipy.stats import t as student

import rmt
from rmt.finite.wishart import Wishart
from rmt.results import PreconditionError
from theory.angles import angle_step, small_angle_step
from theory.finite_width import LogNormLaw
from theory.ginibre_products import GinibreProduct
from theory.lyapunov import lyapunov_spectrum
from theory.norm_growth import (
    fourth_moments,
    log_normal_norm,
    minimum_width,
    resnet_fourth_moments,
    resnet_log_normal_norm,
    vanishing_bound,
)

FALSE_ALARM = 1e-6
F = Fraction


def agrees(samples, expected):
    """Two-sided t-test of independent replicas at the false-alarm rate."""
    z = (samples.mean() - expected) / (samples.std(ddof=1) / math.sqrt(len(samples)))
    return abs(z) < student.isf(FALSE_ALARM / 2, len(samples) - 1)


def same_quantiles(samples, law, levels=(0.02, 0.3, 0.5, 0.9)):
    """Binomial tests at four quantiles, the false-alarm rate shared among them."""
    q = np.array(levels)
    z = (np.mean(samples[:, None] <= law.ppf(q), axis=0) - q) / np.sqrt(q * (1 - q) / len(samples))
    return bool(np.all(np.abs(z) < norm.isf(FALSE_ALARM / 2 / len(q))))


# --- laws of log norms ------------------------------------------------------------------------------------------------
def test_published_values_and_expansions():
    law = LogNormLaw(32, 1, "relu")
    assert (law.mean(), law.var()) == (pytest.approx(-0.082540, abs=5e-7), pytest.approx(0.177498, abs=5e-7))
    n = 400
    assert LogNormLaw(n, 3, "relu").mean() == pytest.approx(3 * (-5 / (2 * n) - 49 / (12 * n**2)), rel=1e-4)
    assert LogNormLaw(n, 3, "relu").var() == pytest.approx(15 / n, rel=0.02)
    assert LogNormLaw(5, 7).mean() == pytest.approx(7 * (digamma(2.5) - math.log(2.5)), rel=1e-13)
    assert LogNormLaw(5, 7).var() == pytest.approx(7 * polygamma(1, 2.5), rel=1e-13)
    assert LogNormLaw(4, 3, "relu").survival == pytest.approx((1 - 2**-4) ** 3, rel=1e-13)


def forward(rng, count, widths, activation, alpha=0.0, keep=1.0):
    """Log squared norms of sampled networks, weights with E|a|² preserved; -inf where a signal died."""
    low = {"linear": 1.0, "relu": 0.0, "leaky_relu": alpha}[activation]
    p = keep * (1 + low**2) / 2
    a = np.ones((count, 3)) / math.sqrt(3)
    for n in widths:
        h = np.einsum("cij,cj->ci", rng.standard_normal((count, n, a.shape[1])), a) / math.sqrt(p * n)
        a = np.where(h > 0, h, low * h) * (rng.random((count, n)) < keep)
    with np.errstate(divide="ignore"):
        return np.log(np.sum(a**2, axis=1))


CASES = [
    ((4, 6, 2), "linear", 0.0, 1.0),
    ((3, 5, 3), "relu", 0.0, 1.0),
    ((2, 3), "leaky_relu", 0.1, 1.0),
    ((5, 4), "relu", 0.0, 0.6),
    ((4, 4, 4), "linear", 0.0, 0.7),
    ((3, 4), "leaky_relu", 0.4, 0.8),
]


@pytest.mark.parametrize(("widths", "activation", "alpha", "keep"), CASES)
def test_law_agrees_with_networks_and_its_own_sampler(widths, activation, alpha, keep):
    law = LogNormLaw(widths, activation=activation, alpha=alpha, keep=keep)
    logs = forward(np.random.default_rng(8), 20_000, widths, activation, alpha, keep)
    alive = np.isfinite(logs)
    if law.survival < 1:
        assert agrees(alive.astype(float), law.survival)
    else:
        assert np.all(alive)
    for samples in (logs[alive], law.rvs(20_000, rng=4)):
        assert agrees(samples, law.mean())
        assert agrees((samples - law.mean()) ** 2, law.var())
        assert same_quantiles(samples, law)
        assert not same_quantiles(samples + 0.07 * math.sqrt(law.var()), law)  # power
    # the mean square is kept, deaths included
    assert law.log_moment(1) + math.log(law.survival) == pytest.approx(0, abs=1e-11)
    t = law.ppf(np.array([1e-5, 0.4, 0.999]))
    np.testing.assert_allclose(law.cdf(t), [1e-5, 0.4, 0.999], rtol=1e-7)


def test_leaky_layer_against_quadrature():
    # one neuron: ln(s² g²) with s = 1 or α; two: density of g² + α² h² by convolution
    alpha = 0.3
    p = (1 + alpha**2) / 2
    law = LogNormLaw(1, 1, "leaky_relu", alpha)
    x = np.array([-3.0, 0.2, 1.5])
    size = np.exp(x / 2) * math.sqrt(p)
    expected = (2 * norm.cdf(size) - 1 + 2 * norm.cdf(size / alpha) - 1) / 2
    np.testing.assert_allclose(law.cdf(x), expected, rtol=1e-11)
    law = LogNormLaw(2, 1, "leaky_relu", alpha)

    def below(v):  # P(a g² + b h² <= v), a and b each 1 or α²
        total = mp.mpf(0)
        for a, b in itertools.product((1.0, alpha), repeat=2):

            def inner(g, a=a, b=b):
                return mp.npdf(g) * mp.erf(mp.sqrt(max(v - a * a * g * g, 0)) / (b * mp.sqrt(2)))

            total += 2 * mp.quad(inner, [0, mp.sqrt(v) / a / 2, mp.sqrt(v) / a]) / 4
        return float(total)

    for point in (-2.0, 0.5):
        assert law.cdf(point) == pytest.approx(below(mp.exp(point) * 2 * p), rel=1e-7)


def test_gradients_of_all_weight_matrices_have_the_same_law():
    widths, count = (5, 5, 5, 5), 8000
    rng = np.random.default_rng(12)
    law = LogNormLaw(5, 3, "relu")  # f = v a^4, four layers: three factors, and |D_4 v|
    w = rng.standard_normal((4, count, 5, 5)) / math.sqrt(2.5)
    a, gates = [np.tile(np.eye(5)[0], (count, 1))], []
    for k in range(4):
        h = np.einsum("cij,cj->ci", w[k], a[-1])
        gates.append(h > 0)
        a.append(np.maximum(h, 0))
    back = rng.choice([-1, 1], (count, 5)) / math.sqrt(5)
    norms = {}
    for k in reversed(range(4)):
        back = back * gates[k]
        norms[k] = np.sum(back**2, axis=1) * np.sum(a[k] ** 2, axis=1)
        back = np.einsum("cij,ci->cj", w[k], back)
    # divided by |D_4 v|²; what is left is the law of three layers
    for k in range(4):
        last = np.mean(gates[3], axis=1)
        alive = (norms[k] > 0) & (last > 0)
        samples = np.log(norms[k][alive] / last[alive])
        # with the last layer's mask conditioned on being open, the other masks are free
        assert same_quantiles(samples, law), k
        assert not same_quantiles(samples, LogNormLaw(5, 4, "relu"))
    assert len(widths) == len(norms)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0, "depth": 3}, "width=0"),
        ({"width": 3}, "give depth"),
        ({"width": (3, 4), "depth": 2}, "drop it"),
        ({"width": ()}, "empty"),
        ({"width": 3, "depth": 2, "activation": "tanh"}, "choose one of linear, relu, leaky_relu"),
        ({"width": 3, "depth": 2, "keep": 0.0}, "keep=0"),
    ],
)
def test_bad_laws(arguments, message):
    with pytest.raises(ValueError, match=message):
        LogNormLaw(**arguments)


# --- fourth moments ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu"])
def test_fourth_moments_by_enumeration(activation):
    # weights ±1 with probability r/2 each, else 0: kurtosis 1/r
    r, alpha = F(2, 3), F(1, 2)
    low = {"linear": F(1), "relu": F(0), "leaky_relu": alpha}[activation]
    x = (F(3), F(-1))
    square = sum(v * v for v in x)
    scale = 1 / (2 * (1 + low * low) / 2)  # 1/(m_2 n), a weight of variance 1 each
    first = second = F(0)
    weights = {F(0): 1 - r, F(1): r / 2, F(-1): r / 2}
    for entries in itertools.product(weights, repeat=4):
        mass = math.prod(weights[e] for e in entries)
        h = (entries[0] * x[0] + entries[1] * x[1], entries[2] * x[0] + entries[3] * x[1])
        # a pre-activation of 0 has the slope of neither side: a coin, as for a continuous law
        squares = [v * v if v > 0 else low * low * v * v for v in h]
        first += mass * sum(squares) ** 2
        second += mass * sum(s * s for s in squares)
    unit = (scale / r) ** 2 / square**2
    flatness = sum(v**4 for v in x) / square**2
    found = fourth_moments(
        2, 1, kurtosis=1 / r, activation=activation, alpha=alpha, fourth_norm=flatness
    )
    assert found == (first * unit, second * unit)


def test_growth_of_fourth_moments():
    s, _ = fourth_moments(8, 5, activation="relu")
    assert s == (1 + F(5, 8)) ** 5
    assert fourth_moments((8, 4))[0] == (1 + F(2, 8)) * (1 + F(2, 4))
    assert fourth_moments(8, 5, activation="relu", keep=F(1, 2))[0] == (1 + F(11, 8)) ** 5
    # and the exact law has the same second moment
    law = LogNormLaw((7, 5), activation="leaky_relu", alpha=0.3)
    exact = fourth_moments((7, 5), activation="leaky_relu", alpha=0.3)[0]
    assert law.log_moment(2) == pytest.approx(math.log(exact), rel=1e-11)
    # a Gaussian sampled network with kurtotic first weights, by replicas of a bounded statistic
    with pytest.raises(ValueError, match=r"kurtosis=0\.5"):
        fourth_moments(3, 2, kurtosis=0.5)


def test_log_normal_limit():
    # exact mean and variance of two widths extrapolate to the constants
    for activation, p in (("linear", 1.0), ("relu", 0.5)):
        mean, beta = log_normal_norm(10, 4, activation=activation)
        assert beta == pytest.approx((3 / p - 1) * 4 / 10, rel=1e-14)
        assert mean == -beta / 2
        for which, target in (("mean", -(3 / p - 1) / 2), ("var", 3 / p - 1)):
            values = [getattr(LogNormLaw(n, 1, activation), which)() * n for n in (2000, 4000)]
            assert 2 * values[1] - values[0] == pytest.approx(target, rel=1e-5)
    # the kurtosis of the first layer: ln E|a|⁴ grows by (κ-3)/(p n) Σ u⁴
    base, more = (fourth_moments((10**5, 10**5), kurtosis=k, activation="relu", fourth_norm=0.4)[0] for k in (3, 9))
    change = log_normal_norm((10**5, 10**5), kurtosis=9, activation="relu", fourth_norm=0.4)[1]
    change -= log_normal_norm((10**5, 10**5), activation="relu")[1]
    assert math.log(more / base) == pytest.approx(change, rel=1e-3)


def test_vanishing_bound_is_a_bound_and_the_published_one():
    n, depth, delta = 16, 100, 0.5
    m = math.sqrt(2 / n) * math.gamma((n + 1) / 2) / math.gamma(n / 2)
    assert vanishing_bound(delta, n, depth) == pytest.approx(m**depth / delta, rel=1e-11)
    for activation in ("linear", "relu"):
        law = LogNormLaw(n, depth, activation)
        exact = law.survival * law.sf(2 * math.log(delta))
        best = vanishing_bound(delta, n, depth, activation=activation, power=None)
        assert exact < best <= vanishing_bound(delta, n, depth, activation=activation) < 1
    assert vanishing_bound(1e-9, n, 2) == 1


def test_minimum_width():
    cases = ((20, 0.9, 0.5, "relu"), (20, 0.8, 0.7, "linear"), (3, 0.97, 0.2, "relu"))
    for depth, probability, threshold, activation in cases:
        n = minimum_width(depth, probability, threshold=threshold, activation=activation)
        kept = []
        for width in (n - 1, n):
            law = LogNormLaw(width, depth, activation)
            kept.append(law.survival * law.sf(2 * math.log(threshold)))
        assert kept[0] < probability <= kept[1]
    # proportional to the depth, by the log-normal limit: ln θ² = -β/2 - z √β
    n = minimum_width(400, 0.9)
    z = norm.isf(0.1)
    beta = (-z + math.sqrt(z * z - 2 * 2 * math.log(0.5))) ** 2
    assert n == pytest.approx(5 * 400 / beta, rel=0.01)
    with pytest.raises(PreconditionError, match="lower it"):
        minimum_width(3, 0.9, threshold=0.999999)


# --- residual networks ------------------------------------------------------------------------------------------------
def test_resnet_fourth_moments_by_quadrature_over_signs():
    # n = 2, one block, Gaussian weights: average over the four sign patterns of an explicit Gaussian moment
    a, b = F(3, 5), F(4, 5)
    x = (F(2), F(1))
    norm2 = sum(v * v for v in x)
    first = second = F(0)
    for signs in itertools.product((1, -1), repeat=2):
        v = b * b * F(2, 2) * sum((s * u) ** 2 for s, u in zip(signs, x, strict=True) if s * u > 0)
        means = [a * u for u in x]  # z_i ~ N(a x_i, v), independent given the signs
        fourths = [m**4 + 6 * m * m * v + 3 * v * v for m in means]
        squares = [m * m + v for m in means]
        first += F(1, 4) * (sum(fourths) + 2 * squares[0] * squares[1])
        second += F(1, 4) * sum(fourths)
    flat = sum(u**4 for u in x) / norm2**2
    assert resnet_fourth_moments(2, 1, skip=a, branch=b, fourth_norm=flat) == (first / norm2**2, second / norm2**2)


def test_resnet_log_normal_constants():
    a, b = math.sqrt(0.7), math.sqrt(0.3)
    n = 10**7
    growth = math.log(resnet_fourth_moments(n, 400, skip=a, branch=b)[0])
    mean, beta = resnet_log_normal_norm(n, 400, skip=a, branch=b)
    assert growth == pytest.approx(beta, rel=1e-2)  # ln E|z|⁴ = 2 mean + 2 var of the logarithm, plus the start of Q
    later = math.log(resnet_fourth_moments(n, 800, skip=a, branch=b)[0])
    assert (later - growth) * n / 400 == pytest.approx(5 * b**4 + 4 * a**2 * b**2, rel=1e-5)
    assert mean == -beta / 2
    assert resnet_log_normal_norm(10, 3, skip=2.0, branch=0.5)[0] > 3 * math.log(4.2) - 3 * 5 / 20
    with pytest.raises(ValueError, match="cut"):
        resnet_log_normal_norm(10, 3, skip=0.0, branch=0.0)


def test_sampled_balanced_resnets():
    n, depth, a, b = 40, 12, 0.8, 0.6
    rng = np.random.default_rng(1)
    count = 3000
    z = np.full((count, n), 1 / math.sqrt(n))
    for _ in range(depth):
        active = np.maximum(z * rng.choice([-1, 1], (count, n)), 0)
        # W relu(s z) is Gaussian of variance |relu|² in every coordinate
        z = a * z + b * math.sqrt(2 / n) * np.linalg.norm(active, axis=1)[:, None] * rng.standard_normal((count, n))
    square = np.sum(z**2, axis=1)
    assert agrees(square, 1.0)
    assert agrees(square**2, float(resnet_fourth_moments(n, depth, skip=a, branch=b)[0]))
    assert agrees(np.sum(z**4, axis=1), float(resnet_fourth_moments(n, depth, skip=a, branch=b)[1]))
    mean, beta = resnet_log_normal_norm(n, depth, skip=a, branch=b)
    logs = np.log(square)
    assert logs.mean() == pytest.approx(mean, abs=5 * math.sqrt(beta / count) + 0.05 * beta)
    assert logs.var() == pytest.approx(beta, rel=0.15)
    assert not agrees(square, 1.08)  # power
    assert not agrees(square**2, 1.4 * float(resnet_fourth_moments(n, depth, skip=a, branch=b)[0]))


# --- Lyapunov exponents -----------------------------------------------------------------------------------------------
def test_lyapunov_exponents_of_two_by_two_matrices():
    # E ln|W e| = ½ E ln χ²_2 - ½ ln 2 and the sum of both exponents E ln|det W|
    spectrum = lyapunov_spectrum(2)

    def chi(k):
        integral = mp.quad(lambda v: mp.log(v) * v ** (k / 2 - 1) * mp.exp(-v / 2), [0, 1, 10, 80])
        return integral / (2 ** (k / 2) * mp.gamma(k / 2))

    assert spectrum.exponents[0] == pytest.approx(float(chi(mp.mpf(2)) - mp.log(2)) / 2, rel=1e-8)
    assert spectrum.exponents[1] == pytest.approx(float(chi(mp.mpf(1)) - mp.log(2)) / 2, rel=1e-6)
    complex_ = lyapunov_spectrum(3, "complex")
    np.testing.assert_allclose(complex_.exponents, 0.5 * (digamma([3, 2, 1]) - math.log(3)), rtol=1e-14)
    np.testing.assert_allclose(complex_.variances, 0.25 * polygamma(1, [3, 2, 1]), rtol=1e-14)
    # real exponents are those of χ² with half the degrees of freedom
    np.testing.assert_allclose(spectrum.variances, 0.25 * polygamma(1, [1.0, 0.5]), rtol=1e-14)


def test_large_matrices_have_the_triangular_law():
    levels = np.exp(2 * lyapunov_spectrum(2000).exponents)
    np.testing.assert_allclose(levels, 1 - np.arange(2000) / 2000, atol=1e-3)
    masked = np.exp(2 * lyapunov_spectrum(2000, open_probability=0.5).exponents[:900])
    np.testing.assert_allclose(masked, 1 - 2 * np.arange(900) / 2000, atol=4e-3)


def test_resolution():
    n, depth = 300, 9000
    k = np.array([1, 100, 200])
    for ensemble, factor in (("real", 2), ("complex", 1)):
        found = lyapunov_spectrum(n, ensemble).resolution(depth)[k - 1]
        np.testing.assert_allclose(found, np.sqrt(factor * (n - k + 1) / depth), rtol=0.02)


@pytest.mark.parametrize("p", [1.0, 0.7])
def test_lyapunov_exponents_of_sampled_products(p):
    n, depth = 5, 3000
    spectrum = lyapunov_spectrum(n, open_probability=p)
    rng = np.random.default_rng(6)
    q, _ = np.linalg.qr(rng.standard_normal((n, 3)))
    increments = []
    for _ in range(depth):
        w = rng.standard_normal((n, n)) * (rng.random((n, 1)) < p) / math.sqrt(p * n)
        if np.count_nonzero(w[:, 0]) < 3:
            continue  # the law is given that the rank is kept, for the third exponent
        q, r = np.linalg.qr(w @ q)
        increments.append(np.log(np.abs(np.diag(r))))
    increments = np.array(increments)
    assert agrees(increments[:, 2], spectrum.exponents[2])
    assert agrees((increments[:, 2] - spectrum.exponents[2]) ** 2, spectrum.variances[2])
    ranks = np.array([math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(n + 1)])
    np.testing.assert_allclose(spectrum.rank, [ranks[k:].sum() for k in range(1, n + 1)], rtol=1e-12)
    assert not agrees(increments[:, 2], spectrum.exponents[1])


def test_bad_spectra():
    with pytest.raises(ValueError, match="choose real or complex"):
        lyapunov_spectrum(3, "quaternion")
    with pytest.raises(ValueError, match="open_probability=0"):
        lyapunov_spectrum(3, open_probability=0)


# --- angles -----------------------------------------------------------------------------------------------------------
def test_angle_step_against_closed_forms():
    # the moments E relu(g)^a relu(h)^b in closed form, and the delta method in other variables
    theta, n = mp.mpf("0.8"), 250
    with mp.workdps(30):
        c, s, rest = mp.cos(theta), mp.sin(theta), mp.pi - theta
        product = (s + rest * c) / mp.pi  # 2 E relu relu
        both = (rest * (1 + 2 * c**2) + 3 * s * c) / (2 * mp.pi)
        skew = 4 / mp.pi * (c * (3 * rest / 8 + mp.sin(2 * theta) / 4 - mp.sin(4 * theta) / 32) + s**5 / 4)
        cov = mp.matrix(
            [
                [5, 4 * both - 1, 4 * skew - product],
                [4 * both - 1, 5, 4 * skew - product],
                [4 * skew - product, 4 * skew - product, 4 * both - product**2],
            ]
        )
        at = (1, 1, product)

        def f(a, b, p):
            return mp.log(1 - p**2 / (a * b))

        def unit(*k):
            return tuple(sum(int(i == j) for j in k) for i in range(3))

        gradient = [mp.diff(f, at, unit(i)) for i in range(3)]
        mean = f(*at) + sum(mp.diff(f, at, unit(i, j)) * cov[i, j] for i in range(3) for j in range(3)) / (2 * n)
        variance = sum(gradient[i] * gradient[j] * cov[i, j] for i in range(3) for j in range(3)) / n
    step = angle_step(0.8, n)
    assert step.mean == pytest.approx(float(mean), rel=1e-12)
    assert step.variance == pytest.approx(float(variance), rel=1e-12)
    assert angle_step(0.8).mean == pytest.approx(float(mp.log(1 - product**2)), rel=1e-13)
    assert angle_step(0.8).variance == 0


def test_small_angles():
    # the constants of order θ⁰ and θ¹
    for power in (3, 4, 5):
        t = 10.0**-power
        infinite, one = angle_step(t), angle_step(t, 1.0)
        assert infinite.mean - 2 * math.log(math.sin(t)) == pytest.approx(-2 * t / (3 * math.pi), rel=0.01)
        assert one.mean - infinite.mean == pytest.approx(-2 - 8 * t / (15 * math.pi), abs=30 * t * t + 1e-9)
        assert one.variance == pytest.approx(8 - 64 * t / (15 * math.pi), abs=30 * t)
    exact = small_angle_step(2000)
    assert exact.mean * 2000 == pytest.approx(-2, rel=5e-3)
    assert exact.variance * 2000 == pytest.approx(8, rel=5e-3)
    # by quadrature over the Beta law of the ratio: sin² = χ²_1/χ²_2 for n = 2
    two = small_angle_step(2)
    assert two.mean == pytest.approx(digamma(0.5) - digamma(1), rel=1e-13)
    with pytest.raises(ValueError, match="theta=0"):
        angle_step(0.0)


@pytest.mark.parametrize(("theta", "n", "count"), [(1e-4, 12, 6000), (0.4, 60, 6000), (2.0, 1500, 1500)])
def test_sampled_angles(theta, n, count):
    rng = np.random.default_rng(9)
    g, k = rng.standard_normal((2, count, n))
    # h - g without cancellation
    change = -2 * math.sin(theta / 2) ** 2 * g + math.sin(theta) * k
    a = np.maximum(g, 0)
    d = np.maximum(g + change, 0) - a
    aa, dd, ad = (np.sum(u * v, axis=1) for u, v in ((a, a), (d, d), (a, d)))
    alive = np.count_nonzero(a, axis=1) > 1
    logs = np.log((aa * dd - ad**2)[alive] / (aa * (aa + 2 * ad + dd))[alive])
    if theta < 1e-3:
        step = small_angle_step(n)
        logs = logs - 2 * math.log(math.sin(theta))
        assert agrees((logs - step.mean) ** 2, step.variance)
        assert not agrees(logs, 0.8 * step.mean)
    else:
        step = angle_step(theta, n)  # its bias, O(1/n²), is below the resolution of the replicas
        assert logs.var() == pytest.approx(step.variance, rel=5 * math.sqrt(2 / count) + 6 / math.sqrt(n) ** 1.5)
        assert not agrees(logs, step.mean + 7 * math.sqrt(step.variance / count))
    assert agrees(logs, step.mean)
    assert n > 60 or not agrees(logs, angle_step(theta).mean)


# --- complex Ginibre products -----------------------------------------------------------------------------------------
def test_one_factor_is_wishart():
    law, wishart = GinibreProduct(3, 1), Wishart(3, 3, 2)
    assert law.moments(5) == wishart.moments(5)
    x = np.array([0.2, 0.4, 1.7, 5.0])
    np.testing.assert_allclose(law.pdf(x), wishart.pdf(x), rtol=1e-13)
    np.testing.assert_allclose(law.cdf(x), wishart.cdf(x), rtol=1e-13)
    assert law.pdf(0.0) == 3


def test_one_by_one_matrices_are_meijer_functions():
    # |g1 g2|² has the density 2 K0(2√x), |g1 g2 g3|² the Meijer G-function G^{3,0}_{0,3}
    x = np.array([0.05, 0.7, 4.0])
    np.testing.assert_allclose(GinibreProduct(1, 2).pdf(x), [float(2 * mp.besselk(0, 2 * mp.sqrt(v))) for v in x])
    expected = [float(mp.meijerg([[], []], [[0, 0, 0], []], v)) for v in x]
    np.testing.assert_allclose(GinibreProduct(1, 3).pdf(x), expected, rtol=1e-12)
    tail = [float(2 * mp.sqrt(v) * mp.besselk(1, 2 * mp.sqrt(v))) for v in x]
    np.testing.assert_allclose(1 - GinibreProduct(1, 2).cdf(x), tail, rtol=1e-12)


def test_moments_and_density_of_products():
    n = 2
    law = GinibreProduct(n, 2)
    # E tr P P* = 1; the second one given the first factor:
    assert law.moments(1) == [1]
    # E Tr (B S B*)² = Tr S² + (Tr S)²/N, with E Tr S² = 2N + 0 and Tr S ~ Gamma(N²)/N for one complex Wishart matrix S
    trace_of_square = n * Wishart(n, n, 2).moments(2)[1]
    square_of_trace = F(n * n + n**4, n * n)
    expected = (trace_of_square + square_of_trace / n) / n
    assert law.moments(2)[1] == expected
    x, w = np.polynomial.legendre.leggauss(20)
    # in u = x^{1/4} the density is smooth but for logarithms
    u = (x + 1) / 2 * 3.1
    values = law.pdf(u**4) * 4 * u**3 * w * 3.1 / 2
    for k, moment in enumerate([1, *law.moments(2)]):
        assert np.sum(values * u ** (4 * k)) == pytest.approx(float(moment), rel=2e-4)
    large = GinibreProduct(12, 2).moments(3)
    assert [float(m) for m in large] == pytest.approx([float(m) for m in rmt.FussCatalan(2).moments(3)], rel=0.1)


def test_sampled_ginibre_products():
    n, m, count = 3, 2, 4000
    rng = np.random.default_rng(10)
    product = np.tile(np.eye(n, dtype=complex), (count, 1, 1))
    for _ in range(m):
        w = (rng.standard_normal((count, n, n)) + 1j * rng.standard_normal((count, n, n))) / math.sqrt(2 * n)
        product = w @ product
    squares = np.linalg.svd(product, compute_uv=False) ** 2
    law = GinibreProduct(n, m)
    for x in (0.05, 0.6, 2.5):
        shares = np.mean(squares <= x, axis=1)  # one number a matrix: its levels are not independent
        assert agrees(shares, law.cdf(x))
        assert not agrees(shares, law.cdf(1.15 * x))


def test_bad_ginibre_products():
    with pytest.raises(ValueError, match="size=0"):
        GinibreProduct(0, 2)
    with pytest.raises(NotImplementedError, match="FussCatalan"):
        (GinibreProduct(2, 2) + rmt.Semicircle()).pdf(1.0)
