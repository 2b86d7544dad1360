"""The largest and the smallest singular value alone, for less than the cost of all.

Golub–Kahan steps of the matrix for the largest, of its inverse by an LU decomposition for the smallest: a few tens of
products with vectors, until the error of the value, quadratic in the residual of its vectors, is rounding (Golub and
Van Loan, Matrix Computations, 4th ed., section 10.4).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from validation.backend import Backend
from validation.lanczos import bidiagonalise
from validation.spectrum import LogSpectrum, log_resolution, log_singular_values

__all__ = ["extreme_columns", "extreme_log_singular_values"]

FloatArray = npt.NDArray[np.float64]
Product = Callable[[FloatArray], FloatArray]

# Smaller matrices are decomposed whole.
SMALLEST = 600
# Relative error of an extreme singular value at which the iteration ends.
ACCURACY = 1e-14
# Products after which it has not settled, and the matrix is decomposed whole.
MAX_STEPS = 300
CHECK_EVERY = 4


def extreme_log_singular_values(
    matrix: FloatArray, backend: Backend, rank: int, rows: int | None = None
) -> LogSpectrum:
    """The largest and the smallest non-zero log singular value of J, in `LogSpectrum.values` of shape (2,).

    Parameters are those of `validation.spectrum.log_singular_values`, with which the values agree to rounding. Matrices
    that are small, on a device, of less than full rank or worse conditioned than is resolved are decomposed whole.
    """
    on_the_processor = backend.name == "numpy" and backend.dtype == "float64"
    if on_the_processor and SMALLEST <= rank == min(matrix.shape):
        pair = _extremes(matrix)
        if pair is not None:
            floor = np.log(pair[0]) + log_resolution(rows or len(matrix), matrix.shape[1])
            return LogSpectrum(np.log(pair), rank, rank, float(floor))
    spectrum = log_singular_values(matrix, backend, rank, rows)
    values = spectrum.values[[0, max(rank, 1) - 1]]
    return LogSpectrum(values, spectrum.rank, spectrum.resolved, spectrum.log_floor)


def extreme_columns(log_singular_values: FloatArray) -> FloatArray:
    """Of spectra, shape (replicas, n_out), the largest and the smallest non-zero value, shape (replicas, 2).

    Of what is already that, itself.
    """
    last = np.maximum(np.isfinite(log_singular_values).sum(axis=1), 1) - 1
    pairs: FloatArray = np.stack(
        [log_singular_values[:, 0], log_singular_values[np.arange(len(last)), last]], axis=1
    )
    return pairs


def _extremes(matrix: FloatArray) -> FloatArray | None:
    """Largest and smallest singular value of a matrix of full rank, None if the iteration does not settle."""
    from scipy.linalg import lu_factor, lu_solve

    rows, columns = matrix.shape
    square = matrix
    if rows != columns:
        square = np.asarray(np.linalg.qr(matrix if rows > columns else matrix.T, mode="r"), dtype=np.float64)
    largest = _largest(lambda x: square @ x, lambda x: square.T @ x, len(square))
    factors = lu_factor(square, check_finite=False)
    inverse = _largest(
        lambda x: lu_solve(factors, x, check_finite=False),
        lambda x: lu_solve(factors, x, trans=1, check_finite=False),
        len(square),
    )
    if largest is None or inverse is None or log_resolution(rows, columns) > -np.log(largest * inverse):
        return None
    return np.array([largest, 1.0 / inverse])


def _largest(apply: Product, transposed: Product, size: int) -> float | None:
    """The largest singular value of a square matrix, None if the iteration does not settle."""
    # fixed, so that the answer depends on the matrix alone
    start = np.random.default_rng(0).standard_normal(size)
    steps = min(MAX_STEPS, size)
    for b in bidiagonalise(apply, transposed, start, steps):
        k = len(b) - 1
        if k % CHECK_EVERY or not k:
            continue
        if not np.isfinite(b).all():
            return None
        # of the leading block, whose residual the next row tells
        _, values, vectors = np.linalg.svd(b[:k, :k])
        residual = b[k, k - 1] * abs(vectors[0, -1])
        gap = values[0] - values[1]
        if residual * min(1.0, residual / gap if gap > 0.0 else 1.0) <= ACCURACY * values[0]:
            return float(values[0])
    return float(np.linalg.norm(b, 2)) if len(b) < steps or steps == size else None
