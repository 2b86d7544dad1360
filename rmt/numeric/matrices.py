"""Stacks of small matrices, shape (n, N, N): linear algebra at n points at once, that survives bad ones among them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray

__all__ = ["Packing", "eigen_of_pairs", "eigenvalues_of_each", "inverse_of_each", "matching", "solve_each"]


class Packing:
    """Matrices (n, N, N), symmetric or not, as vectors (n, size) of their independent entries."""

    def __init__(self, width: int, symmetric: bool) -> None:
        grid = np.arange(width * width).reshape(width, width)
        self.width, self.symmetric = width, symmetric
        self.rows = grid[np.triu_indices(width)] if symmetric else grid.ravel()
        self.mirror = grid.T.ravel()[self.rows]
        self.size = self.rows.size
        self.places = np.empty(width * width, dtype=np.intp)
        if symmetric:
            self.places[self.mirror] = np.arange(self.size)
        self.places[self.rows] = np.arange(self.size)

    def vectors(self, matrices: Any) -> Any:
        return matrices.reshape(matrices.shape[0], self.width**2)[:, self.rows]

    def adjoint(self, forms: Any) -> Any:
        """Linear forms on matrices, (…, N, N), as forms on the independent entries, (…, size)."""
        flat = forms.reshape(*forms.shape[:-2], self.width**2)
        out = flat[..., self.rows]
        if self.symmetric:
            off = self.rows != self.mirror
            out[..., off] += flat[..., self.mirror[off]]
        return out

    def matrices(self, vectors: ComplexArray) -> ComplexArray:
        return vectors[:, self.places].reshape(vectors.shape[0], self.width, self.width)


def solve_each(matrix: ComplexArray, right: ComplexArray) -> ComplexArray:
    """Batched solve; NaN where it fails, so that a refused trial step does not stop the others."""
    try:
        return np.asarray(np.linalg.solve(matrix, right), dtype=complex)
    except np.linalg.LinAlgError:
        out = np.full(right.shape, np.nan, dtype=complex)
        for k in range(matrix.shape[0]):
            try:
                out[k] = np.linalg.solve(matrix[k], right[k])
            except np.linalg.LinAlgError:
                continue
        return out


def inverse_of_each(matrix: ComplexArray) -> ComplexArray:
    """Batched inverse, rows and columns scaled first."""
    rows = 1 / np.maximum(np.max(np.abs(matrix), axis=2, keepdims=True), 1e-150)
    columns = 1 / np.maximum(np.max(np.abs(matrix * rows), axis=1, keepdims=True), 1e-150)
    identity = np.broadcast_to(np.eye(matrix.shape[1]) + 0j, matrix.shape)
    out: ComplexArray = columns.swapaxes(1, 2) * solve_each(matrix * rows * columns, identity) * rows.swapaxes(1, 2)
    return out


def eigenvalues_of_each(matrix: ComplexArray) -> ComplexArray:
    """Batched eigenvalues; NaN for matrices that are not finite."""
    usable = np.all(np.isfinite(matrix), axis=(1, 2))[:, np.newaxis, np.newaxis]
    values = np.linalg.eigvals(np.where(usable, matrix, 0))
    out: ComplexArray = np.where(usable[:, 0], values, np.nan).astype(complex)
    return out


def eigen_of_pairs(t: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Eigenvalues and eigenvectors of stacked two-by-two matrices (LAPACK is four times slower on them)."""
    (a, b), (c, d) = np.moveaxis(t, 0, -1)
    half = (a - d) / 2
    root = np.sqrt(half * half + b * c)
    root = np.where((root * half.conj()).real < 0, -root, root)  # half + root does not cancel
    far = half + root
    values = np.stack([d + far, a - far], axis=1)
    whole = far != 0
    vectors = np.empty_like(t)
    vectors[:, 0, 0], vectors[:, 1, 0] = np.where(whole, far, 1), np.where(whole, c, 0)
    vectors[:, 0, 1], vectors[:, 1, 1] = np.where(whole, -b, 0), np.where(whole, far, 1)
    return values, vectors


def matching(values: ComplexArray, wanted: ComplexArray) -> npt.NDArray[np.intp]:
    """Order (n, r) in which ``values`` come closest to ``wanted``: exhaustive up to three, greedy beyond."""
    rank = values.shape[1]
    distance = np.abs(values[:, np.newaxis, :] - wanted[:, :, np.newaxis])  # [wanted, value]
    distance = np.where(np.isfinite(distance), distance, 0.0)
    if rank <= 3:
        orders = np.array(list(itertools.permutations(range(rank))))
        cost = np.stack([np.sum(distance[:, np.arange(rank), order] ** 2, axis=1) for order in orders])
        best: npt.NDArray[np.intp] = orders[np.argmin(cost, axis=0)]
        return best
    order = np.empty(values.shape, dtype=np.intp)
    points = np.arange(values.shape[0])
    for _ in range(rank):
        flat = np.argmin(distance.reshape(points.size, -1), axis=1)
        row, column = np.divmod(flat, rank)
        order[points, row] = column
        distance[points, row, :] = np.inf
        distance[points, :, column] = np.inf
    return order
