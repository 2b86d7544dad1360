"""Sample variance: recursions against quadrature, the constant of the decay, and sampled networks."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.stats import t as student

from theory.activations import get_activation
from theory.angles import norm_spread_step
from theory.sample_variance import (
    batch_norm_correlation,
    batch_norm_gain,
    decay_constant,
    finite_width_ratio,
    layer_norm_gain,
    rms_ratio,
    split_variance,
)

FALSE_ALARM = 1e-6


def agrees(samples, expected):
    """Two-sided t-test of independent replicas at the false-alarm rate."""
    z = (samples.mean() - expected) / (samples.std(ddof=1) / math.sqrt(len(samples)))
    return abs(z) < student.isf(FALSE_ALARM / 2, len(samples) - 1)


def test_relu_recursion_in_multiple_precision():
    found = split_variance(60, correlation0=0.2)
    with mp.workdps(40):
        c = mp.mpf("0.2")
        for l in range(61):
            assert found.variance[l] == pytest.approx(float(1 - c), rel=1e-13)
            assert found.squared_mean[l] == pytest.approx(float(c), rel=1e-12)
            c = (mp.sqrt(1 - c * c) + c * (mp.pi - mp.acos(c))) / mp.pi
    np.testing.assert_allclose(found.total, 1, rtol=1e-13)
    assert found.ratio[-1] == pytest.approx(math.sqrt(found.correlation[-1] / (1 - found.correlation[-1])), rel=1e-12)


def test_leaky_relu_with_bias_against_the_kernel():
    phi = get_activation("leaky_relu", alpha=0.3)
    found = split_variance(5, phi, sigma_w=1.1, sigma_b=0.4, q0=0.7, correlation0=-0.3)
    q, c = 0.7, -0.3
    for l in range(6):
        assert (found.total[l], found.correlation[l]) == (pytest.approx(q), pytest.approx(c))
        q, m = 1.21 * phi.second_moment(q) + 0.16, 1.21 * phi.cross_moment(q, c) + 0.16
        c = m / q


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "sin"])
def test_any_activation_against_the_correlation_map(name):
    phi = get_activation(name)
    found = split_variance(4, name, sigma_w=1.4, sigma_b=0.1, correlation0=0.6)
    q, c = 1.0, 0.6
    for _ in range(4):
        q, m = 1.96 * phi.second_moment(q) + 0.01, 1.96 * phi.cross_moment(q, c) + 0.01
        c = m / q
    assert (found.total[-1], found.correlation[-1]) == (pytest.approx(q, rel=1e-12), pytest.approx(c, rel=1e-11))


def test_smooth_activation_keeps_digits_of_a_small_variance():
    # v'² = χ v² to first order: an ordered phase forgets its input exponentially, below the rounding of c
    phi = get_activation("tanh")
    found = split_variance(60, phi, sigma_w=0.6, sigma_b=0.3)
    q = found.total[-2]
    assert found.variance[-1] / found.variance[-2] == pytest.approx(0.36 * phi.gain(q), rel=1e-10)
    assert 0 < found.variance[-1] < 1e-20


def test_constant_of_the_decay():
    assert decay_constant() == pytest.approx(4.390, abs=5e-4)
    for start, alpha in ((0.0, 0.0), (-0.7, 0.0), (0.3, 0.4)):
        constant = decay_constant(start, alpha=alpha)
        kappa = (1 - alpha) ** 2 / (math.pi * (1 + alpha**2))
        # the definition, at two depths: the error is O(ln l/l) with the coefficient 9/4
        phi = get_activation("leaky_relu", alpha=alpha)
        found = split_variance(20_000, phi, correlation0=start)
        for l in (2_000, 20_000):
            u = math.sqrt(found.total[l] / found.variance[l]) * 3 / (math.sqrt(2) * kappa)
            assert u - l - 1.5 * math.log(l) == pytest.approx(constant, abs=3 * (math.log(l) + abs(constant)) / l)
    # additive: starting one layer later adds 1
    later = split_variance(1, correlation0=0.1).correlation[1]
    assert decay_constant(later) - decay_constant(0.1) == pytest.approx(1, abs=1e-11)


def test_v_over_sigma_decays_like_the_inverse_depth():
    found = split_variance(4000)
    l = 4000
    predicted = 3 * math.pi / (math.sqrt(2) * (l + 1.5 * math.log(l) + decay_constant()))
    assert math.sqrt(found.variance[-1] / found.total[-1]) == pytest.approx(predicted, rel=1e-5)


def test_sampled_networks():
    # correlated Gaussian inputs of high dimension: σ² and v² of replicas, and the ratio of the means
    n, samples, depth, replicas, c0 = 200, 12, 3, 80, 0.3
    expected = split_variance(depth, correlation0=c0)
    rng = np.random.default_rng(14)
    totals, variances, squares = [], [], []
    for _ in range(replicas):
        common = rng.standard_normal(n)
        y = math.sqrt(c0) * common + math.sqrt(1 - c0) * rng.standard_normal((samples, n))
        for _ in range(depth):
            y = np.maximum(y, 0) @ (rng.standard_normal((n, n)) * math.sqrt(2 / n))
        totals.append(np.mean(y**2))
        variances.append(np.mean(np.var(y, axis=0, ddof=1)))
        squares.append(rms_ratio(y) ** 2 * variances[-1])
    assert agrees(np.array(totals), expected.total[-1])
    assert agrees(np.array(variances), expected.variance[-1])
    assert not agrees(np.array(variances), expected.variance[-2])
    assert agrees(np.array(squares), expected.squared_mean[-1])  # the ratio takes off what 12 samples add
    assert not agrees(np.array(squares) + np.array(variances) / samples, expected.total[-1])


def test_ratio_saturates_at_finite_width():
    n, samples, depth, replicas = 60, 16, 80, 100
    predicted, infinite = finite_width_ratio(depth, n), split_variance(depth).ratio
    rng = np.random.default_rng(30)
    y = rng.standard_normal((replicas, samples, n))
    for _ in range(depth):
        y = np.maximum(y, 0) @ (rng.standard_normal((replicas, n, n)) * math.sqrt(2 / n))
    # v²/m² of each network, 1/(m/v)²; leading order in 1/n
    inverse = np.array([rms_ratio(one) ** -2 for one in y])
    error = 6 * inverse.std() / math.sqrt(replicas)
    assert abs(inverse.mean() - predicted[-1] ** -2) < error + 0.15 * predicted[-1] ** -2
    assert inverse.mean() - infinite[-1] ** -2 > 2 * error  # power: infinite width is far off
    assert predicted[-1] - predicted[-10] < 0.02 * predicted[-1]
    # n -> oo at a fixed depth is the recursion of wide networks; the limit at great depth is of order √n
    np.testing.assert_allclose(finite_width_ratio(20, 10**7)[1:], split_variance(20).ratio[1:], rtol=1e-4)
    wide, wider = (finite_width_ratio(40 * k, 10 * k)[-1] for k in (40, 160))
    assert wider / wide == pytest.approx(2, rel=0.1)
    assert finite_width_ratio(0, 8, spread0=0.0, correlation0=0.5)[0] == pytest.approx(1, rel=1e-14)


def test_norms_of_two_signals_part_at_the_rate():
    n, count, theta = 400, 4000, 0.7
    rng = np.random.default_rng(31)
    g, k = rng.standard_normal((2, count, n))
    a, b = np.maximum(g, 0), np.maximum(math.cos(theta) * g + math.sin(theta) * k, 0)
    logs = np.log(np.sum(a**2, axis=1) / np.sum(b**2, axis=1))
    assert agrees(logs**2, norm_spread_step(theta, n))
    assert not agrees(logs**2, 1.3 * norm_spread_step(theta, n))
    assert norm_spread_step(math.pi / 2, n) == pytest.approx(10 / n, rel=1e-13)
    # E relu(g)² relu(h)² in closed form
    both = ((math.pi - theta) * (1 + 2 * math.cos(theta) ** 2) + 3 * math.sin(theta) * math.cos(theta)) / (2 * math.pi)
    assert norm_spread_step(theta, n) == pytest.approx((12 - 8 * both) / n, rel=1e-12)


def test_rms_ratio():
    y = np.array([[1.0, 2.0], [3.0, 2.0]])  # means 2, 2; variances 2, 0
    assert rms_ratio(y) == pytest.approx(math.sqrt(4 / 1 - 1 / 2))
    with pytest.raises(ValueError, match="all samples are equal"):
        rms_ratio(np.ones((3, 2)))
    with pytest.raises(ValueError, match="two or more samples"):
        rms_ratio(np.ones((1, 2)))


def test_gains_of_normalisation():
    assert batch_norm_gain() == pytest.approx(math.pi / (math.pi - 1), rel=1e-14)
    assert batch_norm_gain(scale=3.0) == pytest.approx(math.pi / (math.pi - 1), rel=1e-13)
    assert batch_norm_gain("linear") == pytest.approx(1, rel=1e-14)
    assert layer_norm_gain() == pytest.approx(1, rel=1e-14)
    assert layer_norm_gain(after=True) == batch_norm_gain()
    for name in ("tanh", "gelu", "sigmoid"):
        phi = get_activation(name)
        mean, second, slope = (
            float(mp.quad(lambda h, f=f, k=k: f(1.5 * float(h)) ** k * mp.npdf(h), [-9, 0, 9]))
            for f, k in ((phi.phi, 1), (phi.phi, 2), (phi.dphi, 2))
        )
        assert batch_norm_gain(name, 1.5) == pytest.approx(2.25 * slope / (second - mean**2), rel=1e-8)
        assert layer_norm_gain(name, 1.5) == pytest.approx(2.25 * slope / second, rel=1e-8)
        assert batch_norm_gain(name, 1.5) > 1  # Poincaré


def test_correlations_under_batch_normalisation():
    assert batch_norm_correlation(0.0) == pytest.approx(0, abs=1e-15)
    assert batch_norm_correlation(1.0) == pytest.approx(1, rel=1e-14)
    assert batch_norm_correlation(1e-5) / 1e-5 == pytest.approx(math.pi / (2 * (math.pi - 1)), rel=1e-4)
    assert (1 - batch_norm_correlation(1 - 1e-6)) / 1e-6 == pytest.approx(batch_norm_gain(), rel=2e-3)
    # the fixed point 0 attracts
    c = 0.9
    for _ in range(60):
        c = batch_norm_correlation(c, "gelu")
    assert abs(c) < 1e-6


def test_gradients_through_batch_normalisation():
    # one layer, h = batch-normalised W relu(.), exact Jacobian of the normalisation: replicas over networks
    n, batch, replicas = 200, 200, 24
    rng = np.random.default_rng(15)
    factors, squares = [], []
    for _ in range(replicas):
        h = rng.standard_normal((batch, n))
        y = np.maximum(h, 0)
        w = rng.standard_normal((n, n)) / math.sqrt(n)
        z = y @ w
        deviation = z.std(axis=0)
        normal = (z - z.mean(axis=0)) / deviation
        g = rng.standard_normal((batch, n))
        gz = (g - g.mean(axis=0) - normal * np.mean(g * normal, axis=0)) / deviation
        gh = (gz @ w.T) * (h > 0)
        factors.append(np.sum(gh**2) / np.sum(g**2))
        squares.append(np.mean(np.var(normal, axis=0)))
    assert squares == pytest.approx([1] * replicas, rel=1e-12)
    factors = np.array(factors) / ((1 - 2 / batch) * batch / (batch - 1))  # two of `batch` directions are projected out
    assert agrees(factors, math.pi / (math.pi - 1))
    assert not agrees(factors, 1.06 * math.pi / (math.pi - 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_variance(-1), "depth=-1"),
        (lambda: split_variance(3, "tanh"), "give one"),
        (lambda: split_variance(3, correlation0=1.5), "correlation0=1.5"),
        (lambda: decay_constant(1.0), "correlation0=1"),
        (lambda: decay_constant(alpha=1), "alpha=1"),
        (lambda: batch_norm_gain("relu", 0.0), "scale=0"),
        (lambda: batch_norm_correlation(2.0), "correlation=2"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
