"""What real networks need beyond products: reflectors of Haar matrices, and rows added in place."""

from __future__ import annotations

import math
from typing import Any

from validation.kernels.compilation import kernel
from validation.kernels.random import fill_normals

__all__ = ["add_rows", "draw_reflectors"]


@kernel()
def draw_reflectors(state: Any, vectors: Any, factors: Any, signs: Any) -> None:
    """Householder reflectors ``H_j = 1 - factors[j] u uᵀ`` of a Ginibre matrix, in LAPACK's storage.

    Row j of `vectors`, of shape (k, n) with k <= n, gets zeros and, from column j on, where it is 1, u. `signs` gets
    those of the diagonal of R. With a Gaussian vector v for each u, ``H v = -sign(v_1) |v| e_1``, so that
    ``u = v + sign(v_1) |v| e_1`` before it is scaled has no cancellation.
    """
    n = vectors.shape[1]
    for j in range(vectors.shape[0]):
        vectors[j, :j] = 0.0
        u = vectors[j, j:]
        fill_normals(state, u, n - j)
        square = 0.0
        for i in range(n - j):
            square += u[i] * u[i]
        length = math.copysign(math.sqrt(square), u[0])
        pivot = u[0] + length
        signs[j] = -math.copysign(1.0, u[0])
        # a vector of length 1 has nothing to reflect: R has its sign
        factors[j] = pivot / length if j < n - 1 else 0.0
        if j == n - 1:
            signs[j] = -signs[j]
        scale = 1.0 / pivot
        for i in range(1, n - j):
            u[i] *= scale
        u[0] = 1.0


@kernel()
def add_rows(total: Any, rows: Any, matrix: Any) -> None:
    """Add row i of a matrix to row ``rows[i]`` of another."""
    for i in range(len(rows)):
        row = total[rows[i]]
        for c in range(len(row)):
            row[c] += matrix[i, c]
