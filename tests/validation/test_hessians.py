"""Hessians of sampled losses: products against differences, against the exact matrix, and the decay with depth."""

import math

import numpy as np
import pytest
from scipy.stats import t as student

import theory
from rmt.results import PreconditionError
from theory.hessian import extreme_hessian_eigenvalues
from validation import SampledLoss, hessian_decay

KINDS = {
    "plain": {},
    "leaky": {"activation": "leaky_relu"},
    "skip": {"skip": 0.9, "branch": 0.5},
    "normalised": {"normalise": True},
    "smooth": {"activation": "tanh", "sigma_w": 1.5},
    "smooth skip": {"activation": "erf", "sigma_w": 2.0, "skip": 0.9, "branch": 0.5},
    "smooth normalised": {"activation": "gelu", "sigma_w": 1.2, "normalise": True},
    "normalised skip": {"normalise": True, "skip": 1.0, "branch": 0.3, "activation": "hard_tanh"},
}


def drawn(kind, depth=3, width=5, seed=0):
    return SampledLoss.draw(depth, width, np.random.default_rng(seed), **KINDS[kind])


def value(loss, weights):
    return 0.5 * (loss._forward(weights)[0] - loss.y) ** 2


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_and_products_against_differences(kind):
    loss, rng = drawn(kind), np.random.default_rng(3)
    move, step = rng.standard_normal(loss.weights.shape), 1e-5
    ahead, behind = loss.weights + step * move, loss.weights - step * move
    slope = (value(loss, ahead) - value(loss, behind)) / (2 * step)
    assert np.sum(loss.gradient() * move) == pytest.approx(slope, rel=1e-7, abs=1e-9)
    bend = (loss._gradient(ahead) - loss._gradient(behind)) / (2 * step)
    np.testing.assert_allclose(loss.hessian_product(move), bend, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_trace_and_extremes_against_the_matrix(kind):
    loss, rng = drawn(kind, seed=4), np.random.default_rng(8)
    size = loss.weights.size
    matrix = np.array([loss.hessian_product(e).ravel() for e in np.eye(size)])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-13)
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert loss.extreme_eigenvalues(rng) == pytest.approx((eigenvalues[0], eigenvalues[-1]), rel=1e-6)
    # the variance of a probe is twice the squared norm off the diagonal
    error = math.sqrt(2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)) / 300)
    assert loss.trace(300, rng) == pytest.approx(np.trace(matrix), abs=5 * error)
    if not loss.normalise and not kind.startswith("smooth"):  # f is linear in every W_k
        assert loss.trace(1, rng) == pytest.approx(np.trace(matrix), rel=1e-10)


def test_the_plain_network_by_another_implementation():
    loss = drawn("plain", 4, 6, seed=2)
    # signs of a layer are those of the columns of the next
    signs = np.concatenate([np.ones((1, 6)), loss.signs[:-1]])[:, np.newaxis]
    other = extreme_hessian_eigenvalues(list(loss.weights * signs), loss.signs[-1] * loss.readout, loss.x, loss.y)
    assert loss.extreme_eigenvalues(np.random.default_rng(0)) == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "tolerance", "depths"), [("plain", 0.0, (3, 11)), ("skip", 0.004, (3, 11)), ("smooth", 0.004, (8, 20))]
)
def test_the_gradient_falls_at_the_predicted_rate(kind, tolerance, depths):
    width, count = 24, 400
    samples = [
        np.array([math.log(drawn(kind, depth, width, 1000 * depth + k).block_norms()[0]) for k in range(count)])
        for depth in depths
    ]
    rate = theory.hessian_rate(width, **KINDS[kind])
    span = depths[1] - depths[0]
    found = (samples[1].mean() - samples[0].mean()) / span
    error = math.sqrt(sum(s.var(ddof=1) / count for s in samples)) / span
    limit = student.isf(5e-7, 2 * count - 2) * error + tolerance
    assert abs(found - rate) < limit
    assert abs(found - (rate - 0.12)) > limit


def test_the_spectrum_vanishes_with_depth_and_not_with_scaled_skips_or_width():
    options = {"replicas": 8, "probes": 1, "seed": 1}
    narrow = hessian_decay([4, 20], 6, **options)
    wide = hessian_decay([4, 20], 14, **options)
    skips = hessian_decay([4, 20], 6, skip=1.0, branch=0.2, **options)
    normalised = hessian_decay([4, 20], 6, normalise=True, **options)
    falls = [decay.high[1] / decay.high[0] for decay in (narrow, wide, skips, normalised)]
    # a layer costs 5/(4 width) of ln λ; blocks are many, which adds powers of the depth
    assert falls[0] < 0.3
    assert falls[0] < 0.5 * falls[1]
    assert falls[2] > 1
    assert falls[3] > 3 * falls[0]
    assert np.all(narrow.low < 0)
    assert np.isnan(normalised.predicted_high).all()
    assert wide.predicted_gradient[1] / wide.gradient[0] == pytest.approx(math.exp(16 * theory.hessian_rate(14)))


def backward_rates(activation, sigma_w, width, layers, count, rng):
    """Mean over inner layers of ln of what one does to the squared norm sent back, for each of many networks."""
    phi = theory.get_activation(activation)
    z = rng.standard_normal((count, width))
    z *= math.sqrt(width * theory.fixed_point(activation, sigma_w).q) / sigma_w / np.linalg.norm(z, axis=1)[:, None]
    weights, slopes = [], []
    for _ in range(layers):
        weights.append(sigma_w / math.sqrt(width) * rng.standard_normal((count, width, width)))
        h = np.einsum("cij,cj->ci", weights[-1], z)
        slopes.append(phi.dphi(h))
        z = phi.phi(h)
    back, logs = rng.standard_normal((count, width)), []
    for w, slope in zip(reversed(weights), reversed(slopes), strict=True):
        back = np.einsum("cij,ci->cj", w, slope * back)
        logs.append(np.log(np.sum(back**2, axis=1)))
    return (logs[-7] - logs[6]) / (layers - 13)


@pytest.mark.parametrize(("activation", "sigma_w"), [("tanh", 1.5), ("erf", 2.0)])
def test_the_rate_of_smooth_networks_to_first_order_in_the_width(activation, sigma_w):
    width, count = 16, 1500
    found = backward_rates(activation, sigma_w, width, 27, count, np.random.default_rng(6))
    error = found.std(ddof=1) / math.sqrt(count)
    limit = student.isf(5e-7, count - 1) * error + 1.5 / width**2
    rate = theory.hessian_rate(width, activation=activation, sigma_w=sigma_w)
    assert abs(found.mean() - rate) < limit
    # what a wide network would do, and an error of half a unit over the width, would be seen
    assert abs(found.mean() - math.log(theory.fixed_point(activation, sigma_w).chi)) > 3 * limit
    assert abs(found.mean() - (rate + 0.5 / width)) > limit


def test_rates_of_smooth_activations():
    # at large width χ alone
    wide = theory.hessian_rate(10**9, activation="tanh", sigma_w=1.5)
    assert wide == pytest.approx(math.log(theory.fixed_point("tanh", 1.5).chi), abs=1e-8)
    # a dying signal ends in the linear network
    linear = theory.hessian_rate(20, activation="linear")
    assert theory.hessian_rate(20, activation="tanh", sigma_w=0.8) == pytest.approx(linear + 2 * math.log(0.8))


def test_smooth_networks_keep_the_last_blocks():
    options = {"activation": "tanh", "sigma_w": 1.5, "replicas": 6, "probes": 1, "seed": 2}
    decay = hessian_decay([6, 20], 8, **options)
    assert decay.high[1] > 0.2 * decay.high[0]
    assert np.isnan(decay.predicted_high).all()
    dying = hessian_decay([6, 20], 8, **(options | {"sigma_w": 0.7}))
    assert dying.high[1] < 0.05 * dying.high[0]
    # the number of blocks adds a power of the depth
    assert 1 < dying.high[1] / dying.predicted_high[1] < 20
    assert 1 / 6 < dying.gradient[1] / dying.predicted_gradient[1] < 6


def test_what_is_refused():
    with pytest.raises(PreconditionError, match="smooth on both sides of a kink"):
        SampledLoss.draw(2, 3, np.random.default_rng(0), activation="elu", sigma_w=1.0)
    with pytest.raises(ValueError, match="sigma_w=None with activation='tanh': give a number"):
        SampledLoss.draw(2, 3, np.random.default_rng(0), activation="tanh")
    with pytest.raises(ValueError, match="give sigma_w"):
        theory.hessian_rate(8, activation="tanh")
    with pytest.raises(PreconditionError, match="with a skip: the rate is known for relu"):
        theory.hessian_rate(8, activation="linear", skip=1.0)
    with pytest.raises(ValueError, match="branch=0"):
        theory.hessian_rate(8, branch=0)
