"""Singular values of sampled Jacobians, as logarithms.

What is resolved when.

* Of a dense *product* J in double precision, decomposed by LAPACK ``gesdd`` (backward stable), each singular value has
  an absolute error of a few ``eps * s_max``: the logarithms are right while ``s > n * eps * s_max``, that is for
  condition numbers up to about 1e13 at width 500, and mean nothing beyond 1e16. What lies below this floor was lost
  when the product was formed and no decomposition brings it back. Such values are counted as unresolved, never passed
  off as resolved, and the comparison treats them as "somewhere below the floor". Chains of some ten layers and more
  reach it; residual networks do not.
* A product kept graded (`validation.graded`) or triangular (`validation.methods.triangular`) resolves all of them.
* A Jacobian that is not formed at all (`validation.lanczos`) gives nodes and weights of a quadrature instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from validation.backend import Backend

__all__ = ["SQUARED", "LogSpectrum", "log_resolution", "log_singular_values", "log_spectrum", "singular_values"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LogSpectrum:
    """The log singular values of one matrix.

    Attributes
    ----------
    values : array of shape (rows of the matrix,)
        log s in decreasing order: half the logarithms of the eigenvalues of J Jᵀ. Exact zeros are ``-inf``.
    rank : int
        Number of non-zero singular values.
    resolved : int
        How many of these exceed the floor.
    log_floor : float
        Logarithm of the smallest resolvable singular value, ``n * eps * s_max``; ``-inf`` for the zero matrix.
    """

    values: FloatArray
    rank: int
    resolved: int
    log_floor: float

    def columns(self) -> dict[str, Any]:
        """The row of a replica in the columns of `validation.samples.WidthSample`."""
        return {
            "log_singular_values": self.values,
            "rank": self.rank,
            "resolved": self.resolved,
            "log_floor": self.log_floor,
        }


# Smallest ratio of eigenvalues of J Jᵀ of which they are taken: the error of log s is then at most half of
# n * eps / SQUARED, 1e-8 at n = 1000, and some hundredth of that in practice.
SQUARED = 1e-5


def log_resolution(rows: int, columns: int, dtype: str = "float64") -> float:
    """Logarithm of the smallest ratio of singular values that a dense product and its decomposition resolve."""
    return math.log(max(rows, columns) * float(np.finfo(dtype).eps))


def log_singular_values(
    matrix: Any, backend: Backend, rank: int | None = None, rows: int | None = None, squared: bool = False
) -> LogSpectrum:
    """Log singular values of J, one for each row (eigenvalue of J Jᵀ).

    Parameters
    ----------
    matrix : array of shape (n_out, n_in)
        J, in the backend's namespace.
    backend : Backend
        Where the decomposition runs.
    rank : int, optional
        The exact rank, where the caller knows it (from the number of active units a layer); the values beyond it are
        exact zeros, ``-inf``. Without it, values below the floor ``max(n_out, n_in) * eps * s_max`` count as zeros,
        which is right for matrices that are either well conditioned or exactly rank deficient, and wrong for products
        whose condition number passes 1e13: pass the rank there.
    rows : int, optional
        Number of rows of J, of which those that `matrix` lacks are zeros. Default: those of `matrix`.
    squared : bool
        Try the eigenvalues of J Jᵀ first, which cost a third of the decomposition of J and lose twice the digits. They
        are taken if the smallest exceeds `SQUARED` times the largest; else J itself is decomposed. For residual
        networks.

    Returns
    -------
    LogSpectrum

    Raises
    ------
    ValueError
        If the matrix has entries that are not finite.
    """
    computed = singular_values(matrix[None, ...], backend, squared)[0]
    return log_spectrum(computed, rows or matrix.shape[0], matrix.shape[1], rank, backend.dtype)


def log_spectrum(
    computed: FloatArray, rows: int, columns: int, rank: int | None = None, dtype: str = "float64"
) -> LogSpectrum:
    """Logarithms, rank and floor of the decreasing singular values of a matrix that was formed in this precision."""
    singular = np.zeros(rows)
    singular[: len(computed)] = computed
    floor = math.exp(log_resolution(rows, columns, dtype)) * float(singular[0])
    above_floor = int(np.count_nonzero(singular > floor))
    rank = above_floor if rank is None else int(rank)
    singular[rank:] = 0.0
    values = np.full(rows, -np.inf)
    np.log(singular, out=values, where=singular > 0.0)
    return LogSpectrum(
        values=values,
        rank=rank,
        resolved=min(rank, above_floor),
        log_floor=float(np.log(floor)) if floor > 0.0 else -np.inf,
    )


def singular_values(matrices: Any, backend: Backend, squared: bool = False) -> FloatArray:
    """Decreasing singular values of each matrix of a stack, as in `log_singular_values`."""
    if not bool(backend.xp.all(backend.xp.isfinite(matrices))):
        raise ValueError(
            "the Jacobian has entries that are not finite: the network's gain exceeds the range of the precision; "
            "reduce its depth or sigma_w"
        )
    matrices = backend.xp.asarray(matrices, dtype=backend.xp.float64)
    if not squared or matrices.shape[-2] > matrices.shape[-1]:
        return backend.singular_values(matrices)
    squares = backend.eigenvalues(matrices @ backend.xp.linalg.matrix_transpose(matrices))[:, ::-1]
    values: FloatArray = np.sqrt(np.maximum(squares, 0.0))
    for i in np.flatnonzero(squares[:, -1] <= SQUARED * squares[:, 0]):
        values[i] = backend.singular_values(matrices[int(i), ...])
    return values
