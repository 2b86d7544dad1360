"""Networks of which only what is needed is drawn: exact identities, and the law of the networks drawn whole."""

from dataclasses import replace

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
    Sequential,
)
from validation import Experiment, conditional
from validation.backend import get_backend
from validation.conditional import ConditionedGaussian
from validation.generator import CompiledGenerator
from validation.jacobian import Jacobian
from validation.methods.conditioned import conditioned_weights
from validation.networks import Sampler, advance, initial_signal
from validation.reflectors import HaarReflectors, Reflectors
from validation.spectrum import log_singular_values

NUMPY = get_backend("numpy")
REPLICAS = 200
# Each network is judged by seven statistics; the false-alarm rate of each is this.
ALPHA = 1e-6


def generator(seed=0):
    return CompiledGenerator(np.random.default_rng(seed))


def send(net, x, seed=0, shared=False):
    sampler = Sampler(generator(seed), NUMPY, weights=conditioned_weights)
    signal = initial_signal(net, x, sampler)
    return advance(net, replace(signal, jacobian=replace(signal.jacobian, shared=shared)), sampler)


# --- exact identities ------------------------------------------------------------------------------------------------

HOMOGENEOUS = {
    "resnet": ResNet(4, "relu", 1.5),
    "orthogonal resnet": ResNet(3, "relu", 1.5, weights="orthogonal", skip=0.6),
    "two layers": Repeat(Residual([Dense(1.2), Activation("relu"), Dense(0.8)], skip=0.7), 2),
    "filters": OrthogonalFilterNet(3, "relu", 0.8, 0.6, 1.2),
    "nested": Residual(
        [Dense(), Activation("relu"), Residual([Dense(0.5), Activation("relu")], 0.5)], 1.2, "orthogonal"
    ),
    "chain": Chain(4, "relu", 1.4),
    "orthogonal chain": Chain(4, "relu", 1.4, weights="orthogonal"),
    "dropout": Sequential([Dropout(0.3), Dense(), Dropout(0.4), Activation("leaky_relu", alpha=0.0), Dense()]),
    "rectangular": Sequential(
        [
            *(Dense(1.2, width_ratio=2), Activation("relu"), Dense(1.1, 0, "orthogonal", 0.25), Activation("relu")),
            *(Dense(1.0, 0, "orthogonal", 3), Activation("relu"), Dense(width_ratio=0.5)),
        ]
    ),
    "other weights": Sequential([Dense(weights="uniform"), Activation("relu"), Dense(weights="uniform")]),
}


@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_jacobian_times_input_is_the_output_of_a_homogeneous_network(name):
    net, x = HOMOGENEOUS[name], np.random.default_rng(3).standard_normal(12)
    for seed in range(3):
        signal = send(net, x, seed, shared=True)
        np.testing.assert_allclose(signal.jacobian.array() @ x, signal.x, rtol=0, atol=1e-12)


def test_first_axis_of_the_turned_input_space_is_the_signal():
    x = np.random.default_rng(3).standard_normal(12)
    signal = send(Chain(3, "relu", 1.4), x)
    matrix = signal.jacobian.array()
    assert matrix.shape[1] < 12
    np.testing.assert_allclose(matrix[:, 0] * np.linalg.norm(x), signal.x, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 2), (7, 7), (90, 90), (90, 40), (9, 1)])
def test_reflectors_have_orthonormal_columns_and_transpose(n, k):
    haar = Reflectors(n, k, generator(n))
    q = haar.times(np.eye(k))
    np.testing.assert_allclose(q.T @ q, np.eye(k), atol=1e-13)
    np.testing.assert_allclose(haar.transpose_times(np.eye(n)), q.T, atol=1e-13)
    v = np.arange(1.0, k + 1.0)
    np.testing.assert_allclose(haar.times(v), q @ v, atol=1e-11)
    assert haar.times(np.empty((k, 0))).shape == (n, 0)


def test_reflectors_are_the_q_of_a_ginibre_matrix():
    vectors = np.zeros((6, 6))
    vectors[np.triu_indices(6)] = generator(5).standard_normal((21,))
    q = Reflectors(6, 6, generator(5)).times(np.eye(6))
    first = vectors[0] / np.linalg.norm(vectors[0])
    np.testing.assert_allclose(q[:, 0], first, atol=1e-14)
    # the second column is the second vector, reflected by the first reflector, which maps the first column to an axis
    sign = -np.copysign(1.0, vectors[0, 0])
    u = first - sign * np.eye(6)[0]
    second = np.concatenate([[0.0], vectors[1, 1:] / np.linalg.norm(vectors[1, 1:])])
    np.testing.assert_allclose(q[:, 1], second - 2 * u * (u @ second) / (u @ u), atol=1e-14)


SHAPES = [(8, 8, 5), (8, 8, 8), (4, 8, 6), (4, 8, 2), (12, 8, 5), (8, 8, 1)]


@pytest.mark.parametrize(("n_out", "n_in", "count"), SHAPES)
def test_haar_weights_see_the_signal_outside_the_rows_of_the_jacobian(n_out, n_in, count):
    rng = np.random.default_rng(n_out + count)
    rows, x = np.sort(rng.permutation(n_in)[:count]), rng.standard_normal(n_in)
    weights = HaarReflectors(1.3, n_out, n_in, generator(1), rows, x)
    held = Jacobian(NUMPY, n_in, np.eye(count), rows, shared=True)
    block, image = weights.times(held, None, None), weights.image(x)
    if n_out >= n_in:  # an isometry up to its factor: W x has the inner products of x
        square = 1.3**2 * n_out / n_in
        np.testing.assert_allclose(block.T @ image, square * x[rows], atol=1e-12)
        np.testing.assert_allclose(image @ image, square * (x @ x), rtol=1e-12)
    else:
        assert np.linalg.norm(image) <= 1.3 * np.linalg.norm(x) + 1e-12
    some = np.array([0, n_out - 1])
    gate = np.array([2.0, -3.0])
    np.testing.assert_allclose(weights.times(held, gate, some), gate[:, None] * block[some], atol=1e-14)


def test_a_dead_network_has_rank_zero():
    net = Chain(2, "relu", sigma_w=1e-3, sigma_b=0.0)
    x = np.zeros(6)
    for weights in ("gaussian", "orthogonal"):
        signal = send(replace(net, weights=weights), x)
        assert signal.rank == 0
        assert not signal.jacobian.array().any()


def test_no_batch_for_conditioned_weights():
    with pytest.raises(NotImplementedError, match="one input only; use FormedWeights"):
        ConditionedGaussian(1.0, 2, 2, generator()).images(np.ones((2, 3)))


# --- laws ------------------------------------------------------------------------------------------------------------

LAWS = {
    "relu with bias": Chain(3, "relu", 1.4, 0.5),
    "hard tanh with bias": Chain(3, "hard_tanh", 1.5, 0.2),
    "tanh chain": Chain(3, "tanh", 1.3, 0.2),
    "relu resnet": ResNet(3, "relu", 1.5, 0.3),
    "tanh resnet": ResNet(3, "tanh", 1.5),
    "two-layer branch": Repeat(Residual([Dense(1.2, 0.2), Activation("relu"), Dense(0.8)], skip=0.7), 2),
    "filters": OrthogonalFilterNet(3, "relu", 0.8, 0.6, 1.2, 0.1),
    "orthogonal tanh chain": Chain(3, "tanh", 1.3, 0.2, "orthogonal"),
    "orthogonal hard tanh chain": Chain(3, "hard_tanh", 1.6, 0.3, "orthogonal"),
    "layer norm": Sequential([Dense(1.2, 0.3), LayerNorm(), Activation("relu"), Dense(1.1), Activation("relu")]),
}
WITH_A_BATCH = Sequential([Dense(1.2, 0.3), BatchNorm(), Activation("relu"), Dense(weights="orthogonal"), Dropout(0.3)])


def statistics(net, method, seed, width, replicas):
    """Seven numbers a replica; the last shows how output and Jacobian go together."""
    run = Experiment(net, width, replicas, seed, companion=False, method=method).run(workers=1)
    sample = run.samples[0]
    # rounded, since eigenvalues at an atom differ by rounding alone
    eigenvalues = np.round(run.eigenvalues, 9)
    return [
        *eigenvalues.T[:3],
        eigenvalues.sum(axis=1),
        (eigenvalues**2).sum(axis=1),
        sample.output_square,
        eigenvalues[:, 0] * sample.input_square / (sample.output_square + 1e-3),
    ]


def smallest_p(net, width=5, replicas=REPLICAS):
    """The smallest p-value of two-sample tests against networks drawn whole."""
    pairs = zip(*(statistics(net, method, 1, width, replicas) for method in ("forward", "conditioned")), strict=True)
    return min(ks_2samp(*pair, method="asymp").pvalue for pair in pairs)


@pytest.mark.parametrize("name", LAWS)
def test_law_is_that_of_networks_drawn_whole(name):
    assert smallest_p(LAWS[name]) > ALPHA


def test_law_with_a_batch_is_that_of_networks_drawn_whole():
    assert smallest_p(WITH_A_BATCH, replicas=200) > ALPHA


def test_power_without_the_rank_one_term(monkeypatch):
    monkeypatch.setattr(conditional, "_plus_outer", lambda matrix, _column, _row: matrix)
    assert smallest_p(ResNet(2, "relu", 4.0), 3) < ALPHA


def test_power_without_the_signs(monkeypatch):
    def unsigned(self, *arguments):
        original(self, *arguments)
        self._signs = np.ones_like(self._signs)

    original = Reflectors.__init__
    monkeypatch.setattr(Reflectors, "__init__", unsigned)
    assert smallest_p(ResNet(1, "tanh", weights="orthogonal"), 3) < ALPHA


def test_plan_takes_it_where_it_is_faster():
    relu, smooth, orthogonal = ResNet(3, "relu"), Chain(3, "tanh"), Chain(3, "tanh", weights="orthogonal")
    for net, narrow in ((relu, "forward"), (smooth, "forward"), (orthogonal, "conditioned")):
        assert [plan.method for plan in Experiment(net, width=100).plan()] == ["conditioned", narrow]


def test_bits_depend_on_the_replica_alone():
    net = Chain(3, "relu", sigma_b=0.3)
    runs = [Experiment(net, 6, 5, seed=3, method="conditioned").run(workers=1, chunk_size=size) for size in (1, 3)]
    np.testing.assert_array_equal(runs[0].log_singular_values, runs[1].log_singular_values)


def test_eigenvalues_of_the_square_are_taken_only_where_they_are_right():
    x = np.random.default_rng(0).standard_normal(30)
    matrix = send(ResNet(5, "relu"), x).jacobian.array()
    exact, squared = (log_singular_values(matrix, NUMPY, 30, squared=choice) for choice in (False, True))
    assert not np.array_equal(exact.values, squared.values)
    np.testing.assert_allclose(squared.values, exact.values, rtol=0, atol=1e-13)
    stretched = np.geomspace(1.0, 1e-4, 30)[:, None] * matrix
    exact, squared = (log_singular_values(stretched, NUMPY, 30, squared=choice) for choice in (False, True))
    np.testing.assert_array_equal(exact.values, squared.values)
