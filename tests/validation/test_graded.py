"""Graded products: every log singular value against exact products in high precision; ranks; when they are taken."""

import functools

import mpmath
import numpy as np
import pytest
from scipy.stats import ks_2samp

from theory.network import (
    Activation,
    BatchNorm,
    Chain,
    Dense,
    Dropout,
    LayerNorm,
    OrthogonalFilterNet,
    Repeat,
    Residual,
    ResNet,
    Scale,
    Sequential,
    blocks,
)
from validation import Experiment
from validation.backend import get_backend
from validation.chunk import Chunk
from validation.graded import GradedProduct, log_singular_values_of_rows
from validation.jacobian import Jacobian
from validation.log_range import predicted_log_range
from validation.methods.forward import draw_dense
from validation.methods.graded import graded_spectrum
from validation.networks import Sampler, Signal, advance, initial_signal, sample_jacobian

NUMPY = get_backend("numpy")


def sampler(seed):
    return Sampler(np.random.default_rng(seed), NUMPY)


def exact_log_singular_values(factors, digits):
    """Of the exact product of matrices of doubles."""
    with mpmath.workdps(digits):
        product = mpmath.eye(factors[0].shape[1])
        for factor in factors:
            if np.array_equal(factor, np.diag(np.diagonal(factor))):
                for i, gate in enumerate(np.diagonal(factor).tolist()):
                    product[i, :] *= gate
            else:
                product = mpmath.matrix(factor.tolist()) * product
        if product.rows < product.cols:
            product = product.T
        singular = mpmath.svd_r(product, compute_uv=False)
        return np.array(sorted((float(mpmath.log(s)) for s in singular if s != 0), reverse=True))


def factors_of(net, x, seed):
    """The Jacobian of every elementary layer of the network that `seed` draws."""
    draws = sampler(seed)
    signal = initial_signal(net, x, draws)
    factors = []
    for layer in blocks(net):
        signal = advance(layer, Signal(signal.x, Jacobian(NUMPY, len(signal.x)), len(signal.x)), draws)
        factors.append(signal.jacobian.array())
    return factors


ACCURATE = {
    # name: network, width, digits that hold its range
    "linear chain": (Chain(500, "linear"), 5, 360),
    "tanh chain": (Chain(150, "tanh", 1.6, 0.1), 6, 230),
    "orthogonal chain": (Chain(500, "tanh", 1.4, 0.2, "orthogonal"), 5, 230),
    "relu chain": (Chain(25, "relu", 2**0.5), 18, 50),
    "rectangular": (Repeat([Dense(width_ratio=1.5), Dense(width_ratio=0.5), Dense(width_ratio=4 / 3)], 60), 8, 260),
    "residual": (ResNet(60, "tanh", 1.3, 0.1), 12, 50),
    "contracting filters": (OrthogonalFilterNet(100, "tanh", 0.5, 0.5), 8, 200),
}


@functools.cache
def accurate(name):
    """Network, input, and exact log singular values."""
    net, width, digits = ACCURATE[name]
    x = np.random.default_rng(11).standard_normal(width)
    return net, x, exact_log_singular_values(factors_of(net, x, 5), digits)


@pytest.mark.parametrize("name", ACCURATE)
def test_every_log_singular_value_is_right_to_1e_10(name):
    net, x, exact = accurate(name)
    spectrum = graded_spectrum(net, x, sampler(5))[1]
    exact = exact[: spectrum.rank]
    assert spectrum.rank == spectrum.resolved >= 1
    np.testing.assert_allclose(spectrum.values[: spectrum.rank], exact, rtol=0, atol=1e-10)
    assert np.all(spectrum.values[spectrum.rank :] == -np.inf)


def test_the_dense_product_would_have_failed_there():
    net, x, exact = accurate("tanh chain")
    _, spectrum = draw_dense(net, x, sampler(5))
    assert spectrum.resolved < spectrum.rank
    assert np.abs(spectrum.values - exact).max() > 100


MILD = {
    "nested": Repeat(Residual([Dense(0.6), Activation("silu"), Residual([Dense(0.5, 0.1), Activation("relu")])]), 3),
    "batch": Residual([BatchNorm(), Dense(1.3, 0.2), Dropout(0.2), Activation("tanh")], 0.5, "orthogonal"),
    "normalised": Sequential([Dense(1.3, 0.2), LayerNorm(), Activation("tanh"), LayerNorm(), Dense(0.8)]),
    "dead rows": Sequential([Dropout(0.3), Dense(1.1), Activation("relu"), Dropout(0.2), Dense(width_ratio=2)]),
    "bottleneck": Sequential([Dense(width_ratio=0.3), Dense(width_ratio=3), Activation("relu"), Dense()]),
    "skip 0": Repeat(Residual([Dense(1.5), Activation("relu"), Dense(), Scale(-2.0)], skip=0), 2),
    "gates alone": Sequential([Activation("relu"), Scale(3.0)]),
    "nothing": Dropout(0),
    "silent": Sequential([Dense(), Scale(0.0), Dense()]),
}


@pytest.mark.parametrize("name", MILD)
def test_same_network_same_spectrum_as_the_dense_product_where_that_is_right(name):
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal(20)
        reference, dense = draw_dense(MILD[name], x, sampler(seed))
        same, spectrum = graded_spectrum(MILD[name], x, sampler(seed))
        np.testing.assert_array_equal(same.x, reference.x)
        matrix = sample_jacobian(MILD[name], x, sampler(seed)).jacobian
        assert spectrum.rank == dense.rank == np.linalg.matrix_rank(matrix)
        np.testing.assert_allclose(spectrum.values, dense.values, rtol=0, atol=1e-10)


def test_several_factors_are_multiplied_only_where_their_condition_allows():
    # an orthogonal stretch, during which many factors are taken at once, then singular values apart by 1e7 a factor
    rng = np.random.default_rng(3)
    rotations = [np.linalg.qr(rng.standard_normal((6, 6)))[0] for _ in range(80)]
    stretch = np.diag(10.0 ** np.array([3.0, 2.0, 1.0, 0.0, -2.0, -4.0]))
    factors = rotations[:40] + [stretch @ q for q in rotations[40:]]
    product = GradedProduct()
    for factor in factors:
        product.multiply(factor, 6)
    exact = exact_log_singular_values(factors, 400)
    # a factor of condition 1e7 is itself known to eps 1e7 only
    np.testing.assert_allclose(product.log_singular_values(6).values, exact, rtol=0, atol=2e-8)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_rows_of_any_scale(size):
    rng = np.random.default_rng(size)
    scales = rng.uniform(-900, 700, size)
    scales[2::3] = scales[0]  # a cluster
    x = np.triu(rng.standard_normal((size, size + 1)), 1) / size + np.eye(size, size + 1)
    with mpmath.workdps(800):
        matrix = mpmath.diag([mpmath.exp(s) for s in scales.tolist()]) * mpmath.matrix(x.tolist())
        exact = [float(mpmath.log(s)) for s in mpmath.svd_r(matrix.T, compute_uv=False)]
    np.testing.assert_allclose(log_singular_values_of_rows(scales, x), sorted(exact)[::-1], rtol=0, atol=1e-12)


def test_wide_ranges_are_cut_into_blocks_without_a_seam(monkeypatch):
    # singular values over 300 e-folds without a gap to cut at: other cuts must give the same
    rng = np.random.default_rng(0)
    scales, x = np.linspace(150, -150, 200), rng.standard_normal((200, 220))
    values = log_singular_values_of_rows(scales, x)
    assert np.all(np.diff(values) < 0)
    for core in (30.0, 70.0):
        monkeypatch.setattr("validation.graded.CORE", core)
        np.testing.assert_allclose(log_singular_values_of_rows(scales, x), values, rtol=0, atol=1e-11)
    monkeypatch.setattr("validation.graded.MARGIN", 0.0)
    assert np.abs(log_singular_values_of_rows(scales, x) - values).max() > 1e-6


def test_experiments_take_it_where_the_dense_product_fails_and_resolve_all():
    experiment = Experiment(Chain(60, "tanh", 1.3, 0.1), width=40, replicas=2)
    assert [plan.method for plan in experiment.plan()] == ["graded", "graded"]
    assert "decades, more than a dense product resolves" in str(experiment.plan()[0])
    for sample in experiment.run(workers=1).samples:
        np.testing.assert_array_equal(sample.resolved, sample.rank)
        assert np.all(sample.log_floor == -np.inf)
    assert Experiment(ResNet(60, "tanh"), width=40).plan()[0].method == "forward"


@pytest.mark.parametrize(
    ("net", "width"),
    [
        (Chain(12, "linear"), 60),
        (Chain(8, "tanh", 1.5, 0.1), 60),
        (Chain(10, "relu", 1.4), 90),
        (ResNet(40, "tanh", 3.0), 60),
        (ResNet(100, "relu", 2.0), 60),
        (OrthogonalFilterNet(60, "tanh", 0.5, 0.5), 40),
        (Repeat([Dense(width_ratio=2), Dense(width_ratio=0.5)], 8), 50),
    ],
)
def test_predicted_range_is_of_the_right_size(net, width):
    spread = []
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal(width)
        spectrum = graded_spectrum(net, x, sampler(seed))[1]
        # the largest is an outlier of residual networks whose activation has a mean
        spread.append(spectrum.values[1] - spectrum.values[spectrum.rank - 1])
    predicted = predicted_log_range(Chunk(net, width, 0, 0, 0, "numpy", None, 1.0))
    assert 0.25 < predicted / np.mean(spread) < 1.7


@pytest.mark.parametrize("net", [Chain(2, "tanh", 1e200), ResNet(3, "gelu", 1e90, 1e200), Scale(0)])
def test_absurd_scales_can_be_planned(net):
    assert Experiment(net, width=20).plan()[0].method in {"forward", "graded"}


def test_what_leaves_the_range_of_doubles_is_refused():
    x = np.ones(6)
    with pytest.raises(ValueError, match=r"forward signal leaves the range of doubles; bring sigma_w"):
        graded_spectrum(Chain(3000, "linear", 0.5), x, sampler(0))
    with pytest.raises(ValueError, match=r"not finite.*reduce sigma_w"):
        graded_spectrum(Chain(2, "linear", 1e160), x, sampler(0))


def test_gains_of_any_size_add_up():
    # well conditioned, so that many factors are multiplied before a decomposition
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    for gain in (1e-60, 1e70):
        product = GradedProduct()
        for _ in range(50):
            product.multiply(gain * rotation, 5)
        np.testing.assert_allclose(product.log_singular_values(5).values, 50 * np.log(gain), rtol=1e-14)


def test_same_law_as_the_dense_product():
    # two-sample tests at 1e-6 each; 0.7 e-folds in one layer are found
    def statistics(sigma_w, method, seed):
        net = Sequential([Dense(sigma_w, 0.3), Activation("relu"), Repeat([Dense(1.4, 0.3), Activation("relu")], 3)])
        experiment = Experiment(net, width=10, replicas=250, seed=seed, method=method, companion=False)
        sample = experiment.run(workers=1).samples[0]
        logs = sample.log_singular_values
        alive = sample.rank > 0
        return [logs[alive, 0], sample.smallest_positive()[alive], sample.rank, sample.output_square]

    graded = statistics(1.4, "graded", 1)
    for mine, reference in zip(graded, statistics(1.4, "forward", 2), strict=True):
        assert ks_2samp(mine, reference).pvalue > 1e-6
    assert ks_2samp(graded[0], statistics(1.4 * np.exp(0.7), "forward", 3)[0]).pvalue < 1e-6
