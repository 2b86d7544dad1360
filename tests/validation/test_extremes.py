"""Extreme singular values alone: against a whole decomposition, at the corners, through an experiment."""

import numpy as np
import pytest

import rmt
from theory.network import Chain, Dense, ResNet, Sequential
from validation import Experiment, compare
from validation.backend import get_backend
from validation.extremes import extreme_columns, extreme_log_singular_values
from validation.spectrum import log_singular_values

NUMPY = get_backend("numpy")


@pytest.fixture
def small(monkeypatch):
    """Small matrices are iterated on too."""
    monkeypatch.setattr("validation.extremes.SMALLEST", 2)


def never(*_arguments):
    raise AssertionError("the matrix was decomposed whole")


MATRICES = {
    "square": lambda rng: rng.standard_normal((80, 80)),
    "wide": lambda rng: rng.standard_normal((40, 70)),
    "tall": lambda rng: rng.standard_normal((70, 40)),
    "cluster": lambda rng: np.linalg.qr(rng.standard_normal((50, 50)))[0] * np.repeat([3.0, 2.0, 0.5], [20, 10, 20]),
    "orthogonal": lambda rng: np.linalg.qr(rng.standard_normal((30, 30)))[0],
    "graded": lambda rng: np.diag(np.geomspace(1e5, 1e-5, 60)) @ rng.standard_normal((60, 60)),
    "tiny": lambda rng: rng.standard_normal((2, 2)),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", MATRICES)
def test_equal_to_the_ends_of_a_whole_decomposition(name, monkeypatch):
    matrix = MATRICES[name](np.random.default_rng(3))
    rank = min(matrix.shape)
    whole = log_singular_values(matrix, NUMPY, rank)
    monkeypatch.setattr("validation.extremes.log_singular_values", never)
    pair = extreme_log_singular_values(matrix, NUMPY, rank)
    condition = np.exp(whole.values[0] - whole.values[rank - 1])
    np.testing.assert_allclose(pair.values[0], whole.values[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(pair.values[1], whole.values[rank - 1], rtol=0, atol=1e-14 + 1e-15 * condition)
    assert (pair.rank, pair.resolved) == (rank, rank)
    assert pair.log_floor == pytest.approx(whole.log_floor, abs=1e-12)


@pytest.mark.usefixtures("small")
def test_what_an_iteration_cannot_tell_is_decomposed_whole():
    rng = np.random.default_rng(4)
    deficient = rng.standard_normal((9, 4)) @ rng.standard_normal((4, 9))
    pair = extreme_log_singular_values(deficient, NUMPY, 4)
    np.testing.assert_allclose(pair.values, np.log(np.linalg.svd(deficient, compute_uv=False)[[0, 3]]), atol=1e-12)
    singular = np.diag([1.0, 1e-3, 1e-20])
    pair = extreme_log_singular_values(singular, NUMPY, 3)
    assert (pair.rank, pair.resolved) == (3, 2)
    np.testing.assert_array_equal(extreme_log_singular_values(np.zeros((3, 3)), NUMPY, 0).values, [-np.inf, -np.inf])


def test_ends_of_spectra():
    spectra = np.array([[3.0, 2.0, -1.0], [3.0, 1.0, -np.inf], [-np.inf, -np.inf, -np.inf]])
    pairs = extreme_columns(spectra)
    np.testing.assert_array_equal(pairs, [[3.0, -1.0], [3.0, 1.0], [-np.inf, -np.inf]])
    np.testing.assert_array_equal(extreme_columns(pairs), pairs)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("net", "method"),
    [
        (ResNet(3, "relu"), "conditioned"),
        (ResNet(3, "tanh"), "forward"),
        (Sequential([Dense(), Dense(0.9, 0.1)]), "forward"),
        (Chain(30, "tanh"), "graded"),
    ],
)
def test_experiments_give_the_ends_of_the_same_spectra(net, method):
    def run(values):
        return Experiment(net, width=24, replicas=3, method=method, values=values, companion=False).run(workers=1)

    extremes, spectra = run("extremes"), run("all")
    assert extremes.log_singular_values.shape == (3, 2)
    expected = extreme_columns(spectra.log_singular_values)
    np.testing.assert_allclose(extremes.log_singular_values, expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(extremes.samples[0].rank, spectra.samples[0].rank)
    assert Experiment.from_json(extremes.experiment.to_json()) == extremes.experiment


def test_what_extremes_are_not_for():
    experiment = Experiment(ResNet(2, "tanh"), width=8, replicas=8, values="extremes")
    with pytest.raises(ValueError, match="extreme singular values alone; a verdict needs Experiment"):
        compare(experiment.run(workers=1), rmt.MarchenkoPastur(1))
    with pytest.raises(ValueError, match=r"keep='summary': two values a replica need no summary"):
        experiment.run(keep="summary")
    with pytest.raises(ValueError, match="values='some' is unknown; choose 'all' or 'extremes'"):
        Experiment(ResNet(2, "tanh"), values="some")
    wide = Experiment(ResNet(2, "tanh"), width=10_000, companion=False, values="extremes").plan()[0]
    assert "not the extreme singular values" in wide.rejected["lanczos"]
