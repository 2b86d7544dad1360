"""Random weight matrices, one rule an ensemble.

Normalisation (one for all kinds): entries of a matrix with `n_in` columns have mean 0 and variance ``1/n_in``, so that
``sigma_w`` times it keeps the mean square of a signal up to ``sigma_w**2``, whatever the shape. A generator that draws
for many replicas at once puts their axis before the matrix's two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt import Law
from theory.network import Sparse
from theory.weights import Weights
from validation.backend import Backend

__all__ = ["WEIGHTS", "bi_invariant", "gaussian", "haar", "sparse", "uniform", "weight_matrix", "weight_rank"]


def gaussian(n_out: int, n_in: int, generator: Any, _backend: Backend) -> Any:
    """Independent N(0, 1/n_in) entries (real Ginibre), shape (..., n_out, n_in)."""
    matrix = generator.standard_normal((n_out, n_in))
    matrix *= n_in**-0.5
    return matrix


def haar(n_out: int, n_in: int, generator: Any, backend: Backend) -> Any:
    """A Haar-distributed orthogonal matrix; a scaled Haar isometry or its transpose where the shape is rectangular.

    QR of a Ginibre matrix, with the signs of diag R moved into Q, without which Q is not Haar (Mezzadri,
    arXiv:math-ph/0609050, section 5). A tall matrix is scaled by ``sqrt(n_out/n_in)`` to give entries of variance
    ``1/n_in``; a wide one has it already.
    """
    tall, narrow = max(n_out, n_in), min(n_out, n_in)
    xp = backend.xp
    q, r = xp.linalg.qr(generator.standard_normal((tall, narrow)))
    diagonal = xp.sum(r * xp.eye(narrow, dtype=r.dtype), axis=-1)
    q *= xp.copysign(xp.ones_like(diagonal), diagonal)[..., None, :]
    if n_out < n_in:
        return xp.linalg.matrix_transpose(q)
    if n_out > n_in:
        q *= (n_out / n_in) ** 0.5
    return q


def uniform(n_out: int, n_in: int, generator: Any, _backend: Backend) -> Any:
    """Independent entries, uniform on an interval around 0, of variance 1/n_in."""
    matrix = generator.random((n_out, n_in))
    matrix -= 0.5
    matrix *= (12 / n_in) ** 0.5
    return matrix


def sparse(density: float, n_out: int, n_in: int, generator: Any, backend: Backend) -> Any:
    """Gaussian entries kept with probability `density`, of variance 1/n_in in all."""
    matrix = gaussian(n_out, n_in, generator, backend)
    matrix *= density**-0.5
    matrix *= generator.random((n_out, n_in)) < density
    return matrix


def bi_invariant(law: Law, size: int, generator: Any, backend: Backend) -> Any:
    """Two independent Haar matrices around the roots of the eigenvalues of W Wᵀ, which are quantiles of the law."""
    roots = backend.xp.asarray(np.sqrt(_quantiles(law, size)))
    left, right = haar(size, size, generator, backend), haar(size, size, generator, backend)
    return (left * roots) @ right


@functools.lru_cache(maxsize=32)
def _quantiles(law: Law, size: int) -> npt.NDArray[np.float64]:
    levels = (np.arange(size) + 0.5) / size
    return np.maximum(np.asarray(law.ppf(levels), dtype=np.float64), 0.0)


# Rows and columns with so many entries at least make no singular matrix but with negligible probability.
_FEW = 10

WEIGHTS: dict[str, Callable[[int, int, Any, Backend], Any]] = {
    "gaussian": gaussian,
    "orthogonal": haar,
    "uniform": uniform,
}


def weight_matrix(weights: Weights, n_out: int, n_in: int, generator: Any, backend: Backend) -> Any:
    """A weight matrix of that ensemble at unit ``sigma_w``, shape (n_out, n_in).

    Raises
    ------
    ValueError
        If the ensemble is unknown.
    """
    match weights:
        case Sparse():
            return sparse(float(weights.density), n_out, n_in, generator, backend)
        case Law():
            return bi_invariant(weights, n_out, generator, backend)
    try:
        rule = WEIGHTS[weights]
    except KeyError:
        raise ValueError(f"weights={weights!r} is unknown; choose one of {', '.join(WEIGHTS)}") from None
    return rule(n_out, n_in, generator, backend)


def weight_rank(weights: Weights, matrix: Any, backend: Backend) -> int:
    """Rank of a weight matrix: lowered by eigenvalues 0 of a law, or by rows and columns that are all but empty."""
    match weights:
        case Sparse():
            kept = matrix != 0
            if min(int(kept.sum(axis=axis).min()) for axis in (-2, -1)) < _FEW:
                return int(backend.xp.linalg.matrix_rank(matrix))
        case Law():
            return int(np.count_nonzero(_quantiles(weights, matrix.shape[-2]) > 0))
    return int(min(matrix.shape[-2:]))
