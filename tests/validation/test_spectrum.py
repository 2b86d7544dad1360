"""Log singular values: accuracy, zeros, the floor of double precision."""

import numpy as np
import pytest

from validation.backend import get_backend
from validation.spectrum import log_singular_values

NUMPY = get_backend("numpy")


def matrix_with(singular, n_out: int, n_in: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((n_out, n_out)))[0]
    right = np.linalg.qr(rng.standard_normal((n_in, n_in)))[0]
    core = np.zeros((n_out, n_in))
    np.fill_diagonal(core, singular)
    return left @ core @ right


def test_well_conditioned_values_are_accurate():
    singular = np.geomspace(40.0, 1e-6, 20)
    spectrum = log_singular_values(matrix_with(singular, 20, 20), NUMPY)
    np.testing.assert_allclose(spectrum.values, np.log(singular), atol=1e-7)
    assert (spectrum.rank, spectrum.resolved) == (20, 20)


@pytest.mark.parametrize(("n_out", "n_in"), [(12, 5), (5, 12), (5, 5)])
def test_one_value_a_row_and_zeros_are_minus_infinity(n_out, n_in):
    singular = np.array([3.0, 2.0, 0.5, 0.0, 0.0])
    spectrum = log_singular_values(matrix_with(singular, n_out, n_in), NUMPY)
    assert spectrum.values.shape == (n_out,)
    np.testing.assert_allclose(np.exp(spectrum.values[:3]), singular[:3], rtol=1e-12)
    assert np.all(spectrum.values[3:] == -np.inf)
    assert spectrum.rank == spectrum.resolved == 3


def test_known_rank_counts_unresolved_values_and_keeps_exact_zeros():
    singular = np.array([1.0, 1e-3, 1e-20, 1e-25, 0.0, 0.0])
    spectrum = log_singular_values(matrix_with(singular, 6, 6), NUMPY, rank=4)
    assert (spectrum.rank, spectrum.resolved) == (4, 2)
    assert np.all(np.isfinite(spectrum.values[:4]))
    assert np.all(spectrum.values[4:] == -np.inf)
    # what is not resolved is known to lie below the floor, and is reported so
    assert np.all(spectrum.values[2:4] <= spectrum.log_floor)
    assert spectrum.log_floor == pytest.approx(np.log(6 * np.finfo(float).eps), abs=1e-12)


def test_zero_matrix():
    spectrum = log_singular_values(np.zeros((3, 3)), NUMPY)
    assert np.all(spectrum.values == -np.inf)
    assert (spectrum.rank, spectrum.log_floor) == (0, -np.inf)


def test_matrix_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match=r"not finite.*reduce its depth or sigma_w"):
        log_singular_values(np.array([[1.0, np.inf], [0.0, 1.0]]), NUMPY)
