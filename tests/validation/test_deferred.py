"""Weights that answer questions: the joint law of the answers, the Jacobian on a tape, quadratures of its spectrum."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

import theory
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
)
from validation import Experiment, Run, WidthQuadrature, compare
from validation.backend import get_backend
from validation.deferred import DeferredGaussian, DeferredHaar, Tape, TapedJacobian
from validation.ensembles import weight_matrix
from validation.lanczos import bidiagonalise, lanczos_quadrature
from validation.methods.lanczos import STEPS, deferred_weights
from validation.networks import Sampler, advance, initial_signal, sample_jacobian

NUMPY = get_backend("numpy")
# False-alarm rate of each test of a law.
ALPHA = 1e-6


def questioned(weights, n_in, rng):
    """A deferred matrix of shape (n_out, n_in): questions that follow from earlier answers, then all columns."""
    vector = rng.standard_normal(n_in)
    for _ in range(3):
        vector = weights.transposed(np.tanh(weights.image(vector)) + 0.1)
        vector /= np.linalg.norm(vector)
    return np.array([weights.image(e) for e in np.eye(n_in)]).T


@pytest.mark.parametrize("kind", [DeferredGaussian, DeferredHaar])
@pytest.mark.parametrize(("n_out", "n_in"), [(7, 7), (9, 4), (4, 9), (1, 3)])
def test_answers_are_those_of_one_matrix(kind, n_out, n_in):
    rng = np.random.default_rng(n_out)
    weights = kind(1.3, n_out, n_in, rng, 2)
    matrix = questioned(weights, n_in, rng)
    for _ in range(5):
        v, u = rng.standard_normal(n_in), rng.standard_normal(n_out)
        np.testing.assert_allclose(weights.image(v), matrix @ v, atol=1e-12)
        np.testing.assert_allclose(weights.transposed(u), matrix.T @ u, atol=1e-12)
    if kind is DeferredHaar:
        gram = matrix @ matrix.T if n_out <= n_in else matrix.T @ matrix
        scale = 1.3**2 * max(n_out / n_in, 1.0)
        np.testing.assert_allclose(gram, scale * np.eye(len(gram)), atol=1e-12)


def test_gaussian_answers_have_the_joint_law():
    def draws(scale):
        rng = np.random.default_rng(2)
        return np.array([questioned(DeferredGaussian(scale, 3, 4, rng, 4), 4, rng) for _ in range(800)])

    matrices = draws(1.0)
    normal = (2.0 * matrices).reshape(-1, 12)
    for entry in normal.T:
        assert kstest(entry, "norm").pvalue > ALPHA
    # entries are independent: products of two, and of four around a rectangle, vanish on average
    products = np.einsum("ri,rj->rij", normal, normal)[:, *np.triu_indices(12, 1)]
    assert np.abs(products.mean(axis=0)).max() < 6 / np.sqrt(len(normal))
    minors = 16 * matrices[:, 0, 0] * matrices[:, 0, 1] * matrices[:, 1, 0] * matrices[:, 1, 1]
    assert abs(minors.mean()) < 6 / np.sqrt(len(normal))
    assert kstest((2.0 * draws(1.2)).ravel(), "norm").pvalue < ALPHA  # power


def test_haar_answers_have_the_joint_law():
    # moments of Haar measure on O(5): E tr O = 0, E (tr O)² = 1, E tr O² = 1, and of a corner, E O_11² = 1/5
    rng = np.random.default_rng(3)
    draws = np.array([questioned(DeferredHaar(1.0, 5, 5, rng, 4), 5, rng) for _ in range(800)])
    for matrices in (draws, np.roll(np.eye(5), 1, axis=0) @ draws):
        trace, square = np.trace(matrices, axis1=1, axis2=2), np.trace(matrices @ matrices, axis1=1, axis2=2)
        for values, expected in ((trace, 0), (trace**2, 1), (square, 1), (matrices[:, 0, 0] ** 2, 0.2)):
            assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(len(values))


def test_rows_that_are_not_wanted_are_forgotten():
    rng = np.random.default_rng(4)
    weights = DeferredGaussian(1.0, 6, 5, rng, 8)
    v = rng.standard_normal(5)
    answer = weights.image(v)
    weights.keep(np.array([1, 4]))
    np.testing.assert_allclose(weights.image(v), answer[[1, 4]], rtol=1e-13)
    matrix = questioned(weights, 5, rng)
    assert matrix.shape == (2, 5)
    np.testing.assert_allclose(matrix @ v, answer[[1, 4]], rtol=1e-12)


def test_products_are_refused():
    weights = DeferredGaussian(1.0, 3, 3, np.random.default_rng(0), 2)
    with pytest.raises(NotImplementedError, match="DeferredGaussian answers W v and Wᵀ u alone"):
        weights.times(None, None, None)


class Known:
    """A drawn matrix behind the questions of a deferred one."""

    def __init__(self, matrix, partial):
        self.matrix, self.partial = matrix, partial
        self.n_out, self.rank = len(matrix), min(matrix.shape)

    def image(self, x):
        return self.matrix @ x

    def images(self, batch):
        return self.matrix @ batch

    def transposed(self, u):
        return self.matrix.T @ u

    def keep(self, rows):
        self.matrix = self.matrix[rows]


def known_weights(ensemble, scale, n_out, n_in, _signal, sampler):
    matrix = scale * weight_matrix(ensemble, n_out, n_in, sampler.generator, sampler.backend)
    return Known(matrix, partial=ensemble == "gaussian")


def taped(net, x, sampler):
    signal = advance(net, replace(initial_signal(net, x, sampler), jacobian=TapedJacobian(Tape())), sampler)
    return signal, signal.jacobian.formed()


NETS = {
    "relu resnet": ResNet(4, "relu", sigma_w=1.7, sigma_b=0.2, skip=0.8),
    "filters": OrthogonalFilterNet(3, "gelu", 0.8, 0.4, 1.2, 0.1),
    "nested": Repeat(Residual([Dense(0.6), Activation("relu"), Residual([Dense(0.5, 0.1)], skip=0.5)], skip=1.2), 2),
    "rectangular": Sequential([Dense(width_ratio=2), Activation("hard_tanh"), Dense(0.7, 0.3, "orthogonal", 0.5)]),
    "normalised": Sequential([Residual([LayerNorm(), Dense(), Activation("relu")]), LayerNorm(), Dense()]),
    "masks": Sequential([Dropout(0.3), Dense(1.1), Dropout(0.4), Activation("relu"), Scale(-0.7), Dense()]),
    "batch": Residual([BatchNorm(), Dense(1.3, 0.2), BatchNorm(), Activation("tanh")], 0.5, "orthogonal"),
}


@pytest.mark.parametrize("name", NETS)
def test_tape_plays_the_jacobian_of_the_same_network(name):
    x = np.random.default_rng(5).standard_normal(6)
    dense = sample_jacobian(NETS[name], x, Sampler(np.random.default_rng(6), NUMPY))
    signal, jacobian = taped(NETS[name], x, Sampler(np.random.default_rng(6), NUMPY, weights=known_weights))
    np.testing.assert_allclose(signal.x, dense.x, rtol=1e-12)
    assert signal.rank == dense.rank
    np.testing.assert_allclose([jacobian.apply(e) for e in np.eye(6)], dense.jacobian.T, atol=1e-12)
    rows = [jacobian.transposed(e) for e in np.eye(len(signal.x))]
    np.testing.assert_allclose(rows, dense.jacobian, atol=1e-12)


def test_quadrature_is_exact_for_polynomials():
    rng = np.random.default_rng(7)
    matrix, u = rng.standard_normal((30, 20)), rng.standard_normal(30)
    nodes, weights = lanczos_quadrature(lambda v: matrix @ v, lambda v: matrix.T @ v, u, 5)
    u /= np.linalg.norm(u)
    power = u
    for degree in range(10):
        moment = float(weights @ np.exp(2.0 * degree * nodes))
        assert moment == pytest.approx(float(u @ power), rel=1e-11)
        power = matrix @ (matrix.T @ power)
    assert float(weights @ np.exp(20.0 * nodes)) != pytest.approx(float(u @ power), rel=1e-6)


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_complete_krylov_spaces_end_in_the_spectrum_itself(rank):
    rng = np.random.default_rng(rank)
    matrix = rng.standard_normal((9, rank)) @ rng.standard_normal((rank, 12))
    left, singular, _ = np.linalg.svd(matrix)
    u = rng.standard_normal(9)
    nodes, weights = lanczos_quadrature(lambda v: matrix @ v, lambda v: matrix.T @ v, u, 15)
    np.testing.assert_allclose(np.exp(nodes[:rank]), singular[:rank], rtol=1e-9)
    overlaps = (left.T @ u) ** 2 / (u @ u)
    np.testing.assert_allclose(weights[:rank], overlaps[:rank], rtol=1e-7, atol=1e-12)
    assert np.all(nodes[rank:] == -np.inf)
    assert weights.sum() == pytest.approx(1.0, abs=1e-13)
    np.testing.assert_array_equal(weights[rank + 1 :], 0.0)


def test_zero_matrix_and_identity():
    nodes, weights = lanczos_quadrature(np.zeros_like, np.zeros_like, np.ones(4), 3)
    assert np.all(nodes == -np.inf)
    np.testing.assert_array_equal(weights, [1.0, 0.0, 0.0])
    nodes, weights = lanczos_quadrature(np.copy, np.copy, np.ones(4), 3)
    np.testing.assert_allclose(nodes, [0.0, -np.inf, -np.inf], atol=1e-15)
    np.testing.assert_allclose(weights, [1.0, 0.0, 0.0], atol=1e-15)


@pytest.mark.parametrize("net", [ResNet(6, "relu"), Chain(2, "relu"), OrthogonalFilterNet(3, "hard_tanh", 0.7, 0.5)])
def test_as_many_steps_as_units_do_no_harm(net):
    # all of a layer's active units are asked about: nothing new is left to draw
    rng = np.random.default_rng(8)
    for _ in range(5):
        _, jacobian = taped(net, rng.standard_normal(24), Sampler(rng, NUMPY, weights=deferred_weights))
        matrix = np.array([jacobian.apply(e) for e in np.eye(24)]).T
        u = rng.standard_normal(24)
        nodes, weights = lanczos_quadrature(jacobian.apply, jacobian.transposed, u, 30)
        assert not np.isnan(nodes).any()
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        square = np.linalg.norm(matrix.T @ u) ** 2 / (u @ u)
        assert float(weights @ np.exp(2.0 * nodes)) == pytest.approx(square, rel=1e-10)


def coefficients(net, width, steps, count, weights, seed):
    """Entries of the bidiagonal matrices of many networks, shape (count, 2 steps - 1)."""
    rows = []
    for number in range(count):
        rng = np.random.Generator(np.random.SFC64([seed, number]))
        _, jacobian = taped(net, rng.standard_normal(width), Sampler(rng, NUMPY, weights=weights))
        *_, b = bidiagonalise(jacobian.apply, jacobian.transposed, rng.standard_normal(width), steps)
        rows.append(np.concatenate([np.diagonal(b), np.diagonal(b, -1)]))
    return np.array(rows)


@pytest.mark.parametrize(
    "net", [ResNet(3, "relu", sigma_b=0.3), OrthogonalFilterNet(2, "tanh", 0.8, 0.6), Chain(2, "tanh", 1.5, 0.2)]
)
def test_bidiagonal_matrices_have_the_law_of_drawn_weights(net):
    # a net of 200 units, nine coefficients; drawn weights against answers
    drawn = coefficients(net, 200, 5, 60, known_weights, 1)
    answered = coefficients(net, 200, 5, 60, deferred_weights, 2)
    for first, second in zip(drawn.T, answered.T, strict=True):
        assert ks_2samp(first, second).pvalue > ALPHA


def test_a_wrong_variance_is_found_in_the_bidiagonal_matrices():
    drawn = coefficients(ResNet(3, "relu"), 200, 4, 60, known_weights, 1)
    wrong = coefficients(ResNet(3, "relu", sigma_w=1.25), 200, 4, 60, deferred_weights, 2)
    assert min(ks_2samp(*pair).pvalue for pair in zip(drawn.T, wrong.T, strict=True)) < ALPHA


def test_the_planner_takes_it_for_wide_networks_of_moderate_condition():
    plan = Experiment(ResNet(100, "relu"), width=10_000, companion=False).plan()[0]
    assert plan.method == "lanczos"
    assert "neither the weights nor the Jacobian" in plan.reason
    assert Experiment(ResNet(100, "relu"), width=2000).plan()[0].method != "lanczos"

    def why_not(net):
        return Experiment(net, width=10_000, companion=False).plan()[0].rejected["lanczos"]

    assert "decades, of which a quadrature sees the top" in why_not(Chain(20, "tanh"))
    assert "BatchNorm asks the weights" in why_not(Residual([BatchNorm(), Dense(0.5)]))
    with pytest.raises(ValueError, match=r"method='lanczos' cannot sample this network: .* decades"):
        Experiment(Chain(20, "tanh"), method="lanczos")


@pytest.fixture(scope="module")
def wide_run():
    net = Sequential([Dense(width_ratio=2), Dense(width_ratio=0.25)])
    return Experiment(net, width=200, replicas=24, method="lanczos").run(workers=1)


def test_verdict_by_quadratures(wide_run):
    right = compare(wide_run, theory.jacobian_law(wide_run.experiment.net))
    assert right.p_value > 1e-3
    assert abs(right.table()["m_2"].z) < 5
    assert abs(right.table()["mean log"].z) < 5
    assert {row.quantity for row in right.rows} == {"m_1", "m_2", "m_3", "m_4", "mean log"}
    assert any("quadratures in a random direction" in note for note in right.notes)
    wrong = theory.jacobian_law(Sequential([Dense(width_ratio=2), Dense(1.3, width_ratio=0.25)]))
    assert not compare(wide_run, wrong).passed


def test_quadratures_are_kept_saved_and_pictured(wide_run, tmp_path):
    sample = wide_run.samples[0]
    assert isinstance(sample, WidthQuadrature)
    assert sample.log_singular_values.shape == sample.weights.shape == (24, STEPS)
    assert sample.n_out == 100
    np.testing.assert_allclose(sample.weights.sum(axis=1), 1.0, rtol=1e-12)
    again = Run.load(wide_run.save(tmp_path / "run.npz")).samples[1]
    np.testing.assert_array_equal(again.weights, wide_run.samples[1].weights)
    with pytest.raises(ValueError, match=r"quadratures, not spectra: samples\[0\] holds their nodes"):
        _ = wide_run.log_singular_values
    points, total = sample.bulk(without_largest=False, atoms=np.array([0.0]))
    law = theory.jacobian_law(wide_run.experiment.net)
    assert len(points) == pytest.approx(total, rel=0.1)
    # points spread between nodes follow the law as far as so few nodes tell
    assert np.abs((points < 1.0).mean() - float(law.cdf(1.0))) < 0.05
    experiment = replace(wide_run.experiment, replicas=3)
    for keep in ("summary", "spectra"):
        same = experiment.run(workers=1, keep=keep, store=tmp_path / keep).samples[0]
        np.testing.assert_array_equal(same.weights, sample.weights[:3])
