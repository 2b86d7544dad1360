"""Hessians of deep networks: products against differences, block norms against replicas, and the decay with depth."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from rmt.results import PreconditionError
from theory.finite_width import LogNormLaw
from theory.hessian import block_means, directional_hessian_law, extreme_hessian_eigenvalues, hessian_vector_product
from theory.width_one import chain_hessian

FALSE_ALARM = 1e-6
ONES = np.ones((2, 3))


def agrees(samples, expected):
    """Two-sided t-test of independent replicas at the false-alarm rate."""
    z = (samples.mean() - expected) / (samples.std(ddof=1) / math.sqrt(len(samples)))
    return abs(z) < student.isf(FALSE_ALARM / 2, len(samples) - 1)


def network(rng, widths, slope=0.0):
    p = (1 + slope**2) / 2
    weights = [rng.standard_normal((n, m)) / math.sqrt(p * n) for m, n in itertools.pairwise(widths)]
    return weights, rng.choice([-1.0, 1.0], widths[-1]) / math.sqrt(widths[-1])


def loss(weights, readout, x, y, slope):
    a = x
    for w in weights:
        h = a @ w.T
        a = np.where(h > 0, h, slope * h)
    return np.mean((a @ readout - y) ** 2) / 2


def dense(weights, readout, x, y, slope):
    size = sum(w.size for w in weights)
    ends = np.cumsum([w.size for w in weights])[:-1]
    columns = []
    for i in range(size):
        parts = [p.reshape(w.shape) for p, w in zip(np.split(np.eye(size)[i], ends), weights, strict=True)]
        product = hessian_vector_product(weights, readout, x, y, parts, negative_slope=slope)
        columns.append(np.concatenate([p.ravel() for p in product]))
    return np.array(columns)


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_product_against_differences_of_the_loss(slope):
    rng = np.random.default_rng(20)
    weights, readout = network(rng, (3, 4, 2, 3), slope)
    x, y = rng.standard_normal((5, 3)), rng.standard_normal(5)
    matrix = dense(weights, readout, x, y, slope)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-13)
    for _ in range(4):
        move = [rng.standard_normal(w.shape) for w in weights]
        step = 1e-3  # the loss is a polynomial until a gate turns
        moved = ([w + s * step * m for w, m in zip(weights, move, strict=True)] for s in range(-3, 4))
        values = [loss(point, readout, x, y, slope) for point in moved]
        second = np.dot([2, -27, 270, -490, 270, -27, 2], values) / (180 * step**2)
        flat = np.concatenate([m.ravel() for m in move])
        assert flat @ matrix @ flat == pytest.approx(second, rel=1e-6, abs=1e-7)
    # the trace is the mean of |∇f|²: the Hessian with all errors 0 is the Gauss–Newton matrix
    fitted = x
    for w in weights:
        h = fitted @ w.T
        fitted = np.where(h > 0, h, slope * h)
    assert np.trace(matrix) == pytest.approx(np.trace(dense(weights, readout, x, fitted @ readout, slope)), rel=1e-12)
    low, high = extreme_hessian_eigenvalues(weights, readout, x, y, negative_slope=slope)
    values = np.linalg.eigvalsh(matrix)
    assert (low, high) == (pytest.approx(values[0], rel=1e-9), pytest.approx(values[-1], rel=1e-9))


def test_width_one_is_the_chain():
    w = np.array([0.7, -1.3, 0.4, 1.1])
    matrix = dense([np.array([[v]]) for v in w], np.array([1.0]), np.array([[1.4]]), np.array([0.9]), 1.0)
    np.testing.assert_allclose(matrix, chain_hessian(w, 1.4, 0.9), atol=1e-13)


@pytest.mark.parametrize("slope", [0.0, 1.0, 0.5])
def test_mean_squares_of_blocks(slope):
    widths, replicas = (3, 4, 3, 5), 4000
    activation = {0.0: "relu", 1.0: "linear", 0.5: "leaky_relu"}[slope]
    expected = block_means(widths[1:], activation=activation, alpha=slope)
    rng = np.random.default_rng(21)
    x = np.array([1.0, -0.5, 0.2])
    gradients, blocks = [], []
    for _ in range(replicas):
        weights, readout = network(rng, widths, slope)
        signals, gates = [x], []
        for w in weights:
            h = w @ signals[-1]
            gates.append(np.where(h > 0, 1.0, slope))
            signals.append(gates[-1] * h)
        back = [gates[2] * readout]
        for k in (1, 0):
            back.insert(0, gates[k] * (weights[k + 1].T @ back[0]))
        middle = gates[1][:, None] * weights[1] * gates[0]  # D_2 W_2 D_1
        gradients.append(np.sum(back[1] ** 2) * np.sum(signals[1] ** 2))
        blocks.append(
            [
                np.sum(back[1] ** 2) * np.sum(gates[0] ** 2) * np.sum(x**2),
                np.sum(back[2] ** 2) * np.sum(middle**2) * np.sum(x**2),
            ]
        )
    gradients, blocks = np.array(gradients) / np.sum(x**2), np.array(blocks) / np.sum(x**2)
    assert agrees(gradients, expected.gradient[1])
    assert agrees(blocks[:, 0], expected.hessian[0, 1])
    assert agrees(blocks[:, 1], expected.hessian[0, 2])
    assert not agrees(blocks[:, 1], 1.4 * expected.hessian[0, 2])
    assert np.all(np.diag(expected.hessian) == 0)


def test_directional_blocks_all_have_one_law():
    n, depth, count = 4, 5, 8000
    law = directional_hessian_law(n, depth)
    assert law == LogNormLaw(4, 3)
    rng = np.random.default_rng(22)
    w = rng.standard_normal((depth + 1, count, n, n)) / math.sqrt(n)  # w[1] … w[5]
    unit = np.tile(np.eye(n)[0], (count, 1))
    for k, l in ((1, 2), (2, 5), (1, 5)):
        forward, middle, back = unit, unit, unit
        for j in range(1, k):
            forward = np.einsum("cij,cj->ci", w[j], forward)
        for j in range(k + 1, l):
            middle = np.einsum("cij,cj->ci", w[j], middle)
        for j in range(depth, l, -1):
            back = np.einsum("cij,ci->cj", w[j], back)
        samples = sum(np.log(np.sum(part**2, axis=1)) for part in (forward, middle, back))
        q = np.array([0.05, 0.5, 0.9])
        z = (np.mean(samples[:, None] <= law.ppf(q), axis=0) - q) / np.sqrt(q * (1 - q) / count)
        assert np.all(np.abs(z) < norm.isf(FALSE_ALARM / 6))
        assert agrees(samples, law.mean())
        assert not agrees(samples, LogNormLaw(4, 4).mean())


def test_extreme_eigenvalues_vanish_with_depth_and_not_with_width():
    rng = np.random.default_rng(23)
    x = np.ones((1, 4)) / 2

    def typical(width, depth):
        sizes = []
        for _ in range(12):
            weights, readout = network(rng, (4, *[width] * depth))
            sizes.append(max(map(abs, extreme_hessian_eigenvalues(weights, readout, x, np.array([1.0])))))
        return np.median(np.log(np.array(sizes) + 1e-300))

    deep, shallow, wide = typical(5, 24), typical(5, 3), typical(40, 24)
    rate = LogNormLaw(5, 1, "relu").mean() / 2  # of a block of the Hessian, not squared
    assert deep - shallow < 0.4 * 21 * rate
    assert wide > shallow - 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hessian_vector_product([ONES], np.ones(2), np.ones(4), 1.0, [ONES]), r"weights\[0\]"),
        (lambda: hessian_vector_product([ONES], np.ones(3), np.ones(3), 1.0, [ONES]), "readout"),
        (lambda: hessian_vector_product([ONES], np.ones(2), np.ones(3), 1.0, [ONES.T]), "vector of"),
        (lambda: directional_hessian_law(4, 2), "depth=2"),
        (lambda: block_means(4, 3, activation="tanh"), "choose one of"),
    ],
)
def test_bad_networks(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    with pytest.raises(PreconditionError, match="too small"):
        extreme_hessian_eigenvalues([np.ones((1, 1))], [1.0], [1.0], [1.0])
