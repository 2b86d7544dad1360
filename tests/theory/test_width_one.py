"""Chains of width one: derivatives against multiple precision, laws against exact ones and samples, escape times."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.stats import chi2, norm
from scipy.stats import t as student

from rmt.results import ConvergenceError, PreconditionError
from theory.escape import descend, escape_steps, flow_time, gradient_flow
from theory.width_one import (
    ChainProduct,
    chain_gradient,
    chain_hessian,
    critical_scale,
    decay_rate,
    hessian_inertia,
)

FALSE_ALARM = 1e-6


def agrees(samples, expected):
    """Two-sided t-test of independent replicas at the false-alarm rate."""
    z = (samples.mean() - expected) / (samples.std(ddof=1) / math.sqrt(len(samples)))
    return abs(z) < student.isf(FALSE_ALARM / 2, len(samples) - 1)


def same_quantiles(samples, law, levels=(0.02, 0.3, 0.5, 0.9)):
    """Binomial tests at four quantiles, the false-alarm rate shared among them."""
    q = np.array(levels)
    z = (np.mean(samples[:, None] <= law.ppf(q), axis=0) - q) / np.sqrt(q * (1 - q) / len(samples))
    return bool(np.all(np.abs(z) < norm.isf(FALSE_ALARM / 2 / len(q))))


# --- derivatives ------------------------------------------------------------------------------------------------------
CHAINS = [
    ((0.7, -1.3, 0.4), 1.4, 0.9),
    ((0.7, -1.3, -0.4, 2.0), -0.6, 0.9),
    ((0.3, 0.2, 0.8, 1.1, 0.5), 1.0, 1.0),
    ((1.2, 1.1, 1.3), 1.0, 1.0),
    ((0.0, -1.3, 0.4), 1.4, 0.9),
    ((0.0, 0.0, 0.4, 2.0), 1.4, 0.9),
    ((0.0, 0.0, 0.0, 2.0), 1.4, 0.9),
    ((0.6,), 1.4, 0.9),
    ((0.0,), 1.4, 0.9),
    ((0.9, 0.0), 1.4, 0.0),
]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("weights", "x", "y"), CHAINS)
def test_derivatives_against_multiple_precision(weights, x, y, residual):
    w = np.array(weights) - (1 if residual else 0)
    shift = 1 if residual else 0

    def loss(*v):
        return (x * mp.fprod(u + shift for u in v) - y) ** 2 / 2

    depth = len(w)
    with mp.workdps(40):
        gradient = [mp.diff(loss, tuple(w), tuple(int(i == k) for i in range(depth))) for k in range(depth)]
        hessian = [
            [
                mp.diff(loss, tuple(w), tuple(int(i == k) + int(i == l) for i in range(depth)))
                for l in range(depth)
            ]
            for k in range(depth)
        ]
    np.testing.assert_allclose(chain_gradient(w, x, y, residual=residual), np.array(gradient, float), atol=1e-13)
    np.testing.assert_allclose(chain_hessian(w, x, y, residual=residual), np.array(hessian, float), atol=1e-13)
    values = np.linalg.eigvalsh(np.array(hessian, float))
    counts = np.count_nonzero(values > 1e-9), np.count_nonzero(abs(values) < 1e-9), np.count_nonzero(values < -1e-9)
    assert hessian_inertia(w, x, y, residual=residual) == counts


def test_inertia_of_random_chains_covers_all_cases():
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(60):
        w, x, y = rng.standard_normal(4), *rng.standard_normal(2)
        values = np.linalg.eigvalsh(chain_hessian(w, x, y))
        expected = np.count_nonzero(values > 0), 0, np.count_nonzero(values < 0)
        assert hessian_inertia(w, x, y) == expected
        seen.add(expected)
    assert seen == {(1, 0, 3), (4, 0, 0), (3, 0, 1)}
    # on the border: at 7 xP = 3 y one eigenvalue is 0; at the minimum the Hessian has rank 1
    assert hessian_inertia([1, 1, 1, 3.0], 1.0, 7.0) == (3, 1, 0)
    assert hessian_inertia([1, 1, 1, 2.0], 1.0, 2.0) == (1, 3, 0)
    # P far below the smallest float
    assert hessian_inertia(np.full(2000, 0.1), 1.0, 1.0) == (1999, 0, 1)


@pytest.mark.parametrize("weights", [[], [[1.0]], [math.nan], [math.inf, 1]])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="weights of shape"):
        chain_gradient(weights, 1, 1)


# --- the law of the product -------------------------------------------------------------------------------------------
def test_published_values():
    assert math.exp(ChainProduct(10, "uniform", math.sqrt(3)).median()) == pytest.approx(0.01536515, abs=5e-9)
    assert critical_scale("uniform", residual=True) == pytest.approx(2.504296, abs=5e-7)
    assert critical_scale("gaussian", residual=True) == pytest.approx(1.556036, abs=5e-7)
    assert critical_scale("uniform") == pytest.approx(math.e, rel=1e-14)
    assert critical_scale("gaussian") == pytest.approx(math.exp((np.euler_gamma + math.log(2)) / 2), rel=1e-14)
    assert ChainProduct(1, residual=True).mean() == pytest.approx(-0.208496, abs=5e-7)
    assert ChainProduct(1, "uniform", residual=True).mean() == pytest.approx(math.log(2) - 1, rel=1e-13)


def density_of_weight(weights, scale):
    if weights == "uniform":
        return (lambda _w: mp.mpf(1) / (2 * scale)), [-scale, scale]
    return (lambda w: mp.npdf(w, 0, scale)), [-12 * scale, -3 * scale, 0, 3 * scale, 12 * scale]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("weights", "scale"),
    [("uniform", 0.3), ("uniform", 1.0), ("uniform", 1.9), ("gaussian", 0.06), ("gaussian", 0.3), ("gaussian", 1.7)],
)
def test_moments_of_one_factor_against_quadrature(weights, scale, residual):
    law = ChainProduct(3, weights, scale, residual=residual)
    density, ends = density_of_weight(weights, mp.mpf(scale))
    shift = 1 if residual else 0
    zero = [mp.mpf(-shift)] if ends[0] < -shift < ends[-1] else []
    cuts = sorted({*map(mp.mpf, ends), *zero})

    def average(f):
        return float(mp.quad(lambda w: density(w) * f(abs(w + shift)) if w + shift else 0, cuts, maxdegree=9))

    mean = average(mp.log)
    assert law.mean() == pytest.approx(3 * mean, rel=1e-9, abs=1e-11)
    assert law.var() == pytest.approx(3 * average(lambda v: (mp.log(v) - mean) ** 2), rel=1e-7)
    for power in (1, 2, 2.5):
        expected = 3 * math.log(average(lambda v, k=power: v**k))
        assert law.log_moment(power) == pytest.approx(expected, rel=1e-9, abs=1e-11)
    # an imaginary power is the characteristic function of the logarithm
    z = 1.5 + 2j
    expected = average(lambda v: (v**1.5) * mp.cos(2 * mp.log(v))) + 1j * average(
        lambda v: (v**1.5) * mp.sin(2 * mp.log(v))
    )
    assert np.exp(law.log_moment(z)) == pytest.approx(expected**3, rel=1e-8)


def test_inversion_against_exact_distribution_functions():
    t = np.array([-8.0, -2.0, -0.3, 0.1, 0.7, 1.4])
    # one Gaussian factor, plain and residual
    law = ChainProduct(1, "gaussian", 1.3)
    np.testing.assert_allclose(law.cdf(t), chi2.cdf((np.exp(t) / 1.3) ** 2, 1), rtol=1e-12)
    np.testing.assert_allclose(law.sf(t), chi2.sf((np.exp(t) / 1.3) ** 2, 1), rtol=1e-11)
    for scale in (0.05, 0.11, 0.4, 1.7):
        law = ChainProduct(1, "gaussian", scale, residual=True)
        expected = norm.cdf((np.exp(t) - 1) / scale) - norm.cdf((-np.exp(t) - 1) / scale)
        np.testing.assert_allclose(law.cdf(t), expected, atol=1e-13)
    # two: |w1 w2| has the survival function (2/π) ∫_x^∞ K0
    law = ChainProduct(2)
    expected = [float(2 / mp.pi * mp.quad(lambda v: mp.besselk(0, v), [math.exp(x), 10, mp.inf])) for x in t[1::2]]
    np.testing.assert_allclose(law.sf(t[1::2]), expected, rtol=1e-12)
    # uniform factors: Gamma, by the closed form and by inversion; deep tails keep their digits
    for depth in (3, 40):
        law = ChainProduct(depth, "uniform", 1.7)
        t = law.mean() + math.sqrt(depth) * np.array([-9.0, -3, -1, 0.2, 1.5, 3])
        found = law._inversion.tails(t) if depth > 3 else None
        closed = law._tails(t)
        gamma = [float(mp.gammainc(depth, max(0, depth * mp.log(1.7) - x), mp.inf, regularized=True)) for x in t]
        np.testing.assert_allclose(closed[1], gamma, rtol=1e-11)
        if found is not None:
            for one, other in zip(found, closed, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9)
    # residual uniform factors: piecewise closed form against inversion, for an interval with 0 and one without
    for scale in (0.6, 1.0, 2.2):
        law = ChainProduct(6, "uniform", scale, residual=True)
        t = law.ppf(np.array([0.01, 0.4, 0.95]))
        found = law._inversion.tails(t)
        for one, other in zip(found, law._tails(t), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize(
    "law",
    [
        ChainProduct(7, "gaussian", 0.8),
        ChainProduct(300, "gaussian", 1.9),
        ChainProduct(5, "gaussian", 0.4, residual=True),
        ChainProduct(12, "uniform", 0.4, residual=True),
        ChainProduct(4, "uniform", 2.5, residual=True),
        ChainProduct(9, "uniform", 2.0, relu=True),
    ],
    ids=repr,
)
def test_law_is_consistent_and_agrees_with_samples(law):
    q = np.array([1e-6, 0.03, 0.5, 0.97, 1 - 1e-6])
    t = law.ppf(q)
    np.testing.assert_allclose(law.cdf(t), q, rtol=1e-7)
    np.testing.assert_allclose(law.cdf(t) + law.sf(t), 1, rtol=1e-14)
    step = 1e-3 * math.sqrt(law.var())
    inner = t[1:4]
    near, far = (law.cdf(inner + k * step) - law.cdf(inner - k * step) for k in (1, 2))
    slope = 8 * near - far
    np.testing.assert_allclose(law.pdf(inner), slope / (12 * step), rtol=1e-7)
    samples = law.rvs(20_000, rng=11)
    assert agrees(samples, law.mean())
    assert agrees((samples - law.mean()) ** 2, law.var())
    assert same_quantiles(samples, law)
    # power: five hundredths of a standard deviation are seen
    assert not same_quantiles(samples + 0.06 * math.sqrt(law.var()), law)


def test_vanishing_while_the_second_moment_stays():
    law = ChainProduct(60)
    assert law.log_moment(2) == pytest.approx(0, abs=1e-12)
    assert math.exp(law.median()) < 1e-15
    assert law.median() / 60 == pytest.approx(law.mean() / 60, abs=0.01)
    assert decay_rate() == pytest.approx(-(np.euler_gamma + math.log(2)) / 2, rel=1e-14)
    assert decay_rate("uniform", 3.0) == pytest.approx(2 * (math.log(3) - 1), rel=1e-13)


def test_relu_survival():
    law = ChainProduct(3, relu=True)
    assert law.survival == 1 / 8
    rng = np.random.default_rng(5)
    signal = np.ones(40_000)
    for _ in range(3):
        signal = np.maximum(0, rng.standard_normal(len(signal)) * signal)
    alive = signal > 0
    assert agrees(alive.astype(float), law.survival)
    assert same_quantiles(np.log(signal[alive]), law)


@pytest.mark.parametrize("scale", [0.5, 2.5])
def test_gradient_and_hessian_norms_decay_at_the_rate(scale):
    depth, rate = 400, decay_rate("gaussian", scale)
    rng = np.random.default_rng(2)
    gradients, hessians = [], []
    for _ in range(12):
        w = scale * rng.standard_normal(depth)
        # exact scaling keeps the derivatives inside floats: the rates of the loss for x -> ε x, y -> ε y are the same
        logs = np.log(np.abs(w))
        total = logs.sum()
        error = total if rate > 0 else 0.0
        gradients.append(error + total + 0.5 * np.logaddexp.reduce(-2 * logs))
        small = np.sort(logs)[:2]
        hessians.append(error + total - small.sum())
    spread = math.sqrt(depth * math.pi**2 / 8) * (2 if rate > 0 else 1)
    for values in (np.array(gradients), np.array(hessians)):
        # up to ln L from the smallest weights, and the spread of twelve chains at five standard errors
        assert abs(values.mean() - rate * depth) < 5 * spread / math.sqrt(12) + 2 * math.log(depth)
    few = 0.9 * rng.standard_normal(30)
    exact = chain_gradient(few, 1.0, 1.0)
    logs = np.log(np.abs(few))
    expected = logs.sum() + 0.5 * np.logaddexp.reduce(-2 * logs) + math.log(abs(np.prod(few) - 1))
    assert math.log(np.linalg.norm(exact)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"depth": 0}, "depth=0"),
        ({"depth": 2.5}, "depth=2.5"),
        ({"depth": 3, "weights": "cauchy"}, "choose one of gaussian, uniform"),
        ({"depth": 3, "scale": 0}, "scale=0"),
        ({"depth": 3, "residual": True, "relu": True}, "use one"),
    ],
)
def test_bad_laws(arguments, error):
    with pytest.raises(ValueError, match=error):
        ChainProduct(**arguments)


def test_bad_questions():
    law = ChainProduct(3)
    with pytest.raises(ValueError, match="probabilities in"):
        law.ppf(1.0)
    with pytest.raises(ValueError, match="order > -1"):
        law.log_moment(-1)
    # two factors of a narrow interval: a density with corners, whose transform decays like 1/z²
    with pytest.raises(ConvergenceError, match="deeper product"):
        ChainProduct(2, "uniform", 0.001, residual=True).cdf(0.0)


# --- escape -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("depth", "start", "end"), [(1, 0.1, 0.9), (2, 0.05, 0.9), (3, 0.2, 0.99), (12, 0.6, 0.995)])
def test_flow_time_is_the_integral_and_the_trajectory(depth, start, end):
    time = flow_time(depth, start, end)
    integral = mp.quad(lambda w: 1 / (w ** (depth - 1) * (1 - w**depth)), [start, (start + end) / 2, end])
    assert time == pytest.approx(float(integral), rel=1e-10)
    path = gradient_flow(np.full(depth, start), [time / 2, time])
    np.testing.assert_allclose(path[-1], end, rtol=1e-8)
    assert path[0, 0] < end
    # another scale of the data
    scaled = flow_time(depth, start, end * 0.9, x=0.7, y=0.7 * 0.9**depth * 1.2)
    np.testing.assert_allclose(
        gradient_flow(np.full(depth, start), [scaled], x=0.7, y=0.7 * 0.9**depth * 1.2)[0], 0.9 * end, rtol=1e-8
    )


def test_flow_takes_exponentially_long_and_sign_descent_does_not():
    depths = np.array([6, 12, 24, 48])
    times = np.array([flow_time(int(d), 0.5, 0.8) for d in depths])
    np.testing.assert_allclose(times[2:], 0.5 ** -(depths[2:] - 2.0) / (depths[2:] - 2), rtol=1e-4)
    for depth in depths:
        path = descend(np.full(depth, 0.5), "sign", 1e-2, 40)
        assert np.argmax(path[:, 0] >= 0.8 - 1e-12) == escape_steps(0.5, 0.8, 1e-2, "sign", depth=int(depth))[0] == 30


def test_flow_conserves_differences_of_squares():
    start = np.array([0.4, 0.9, 0.2])
    for residual in (False, True):
        path = gradient_flow(start, [0.5, 3.0, 20.0], residual=residual, x=1.2, y=6.0) + (1 if residual else 0)
        squares = path**2
        first = (start + (1 if residual else 0)) ** 2
        np.testing.assert_allclose(squares - squares[:, :1], np.tile(first - first[0], (3, 1)), atol=1e-8)
        assert np.prod(path[-1]) * 1.2 == pytest.approx(6.0, rel=1e-6)


@pytest.mark.parametrize("depth", [2, 5, 40])
@pytest.mark.parametrize("method", ["sign", "rmsprop", "adam"])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)])
def test_steps_lie_between_the_bounds(depth, method, betas):
    end = 0.99 * ((depth - 1) / (2 * depth - 1)) ** (1 / depth)
    low, high = escape_steps(0.45, end, 1e-2, method, depth=depth, beta1=betas[0], beta2=betas[1])
    path = descend(np.full(depth, 0.45), method, 1e-2, high, beta1=betas[0], beta2=betas[1])[:, 0]
    steps = int(np.argmax(path >= end - 1e-12))
    assert low <= steps <= high
    assert steps > 0


def test_adam_is_the_algorithm_written_out():
    w = np.array([0.3, -0.8, 1.1])
    path = descend(w, "adam", 0.05, 3, x=1.2, y=0.4, beta1=0.7, beta2=0.95, epsilon=1e-3)
    m = v = np.zeros(3)
    for t in range(1, 4):
        g = chain_gradient(w, 1.2, 0.4)
        m, v = 0.7 * m + 0.3 * g, 0.95 * v + 0.05 * g**2
        w = w - 0.05 * (m / (1 - 0.7**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)
        np.testing.assert_allclose(path[t], w, rtol=1e-12)
    plain = descend([0.3, -0.8], "gradient", 0.1, 1)
    np.testing.assert_allclose(plain[1], plain[0] - 0.1 * chain_gradient(plain[0], 1, 1), rtol=1e-14)
    # a dead gradient stays, squares that underflow do not matter
    assert np.array_equal(descend([0.0, 0.0, 0.0], "rmsprop", 0.1, 2)[-1], np.zeros(3))
    flat = descend(np.full(3, 1e-120), "adam", 0.1, 1)
    np.testing.assert_allclose(flat[1], 0.1, rtol=1e-12)


def test_bad_descents():
    with pytest.raises(ValueError, match="choose one of gradient, sign"):
        descend([0.1], "sgd", 0.1, 3)
    with pytest.raises(ValueError, match="flow_time"):
        escape_steps(0.1, 0.5, 0.1, "gradient", depth=3)
    with pytest.raises(PreconditionError, match="stop there"):
        escape_steps(0.1, 0.95, 0.1, "adam", depth=3)
    with pytest.raises(ValueError, match="end=1"):
        flow_time(3, 0.1, 1.0)
    with pytest.raises(ValueError, match="increasing"):
        gradient_flow([0.1, 0.2], [1.0, 0.5])
