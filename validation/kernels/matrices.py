"""Matrices of independent normals, triangular ones."""

from __future__ import annotations

from typing import Any

from validation.kernels.compilation import kernel
from validation.kernels.random import fill_normals

__all__ = ["fill_lower", "fill_upper"]


@kernel()
def fill_upper(state: Any, out: Any) -> None:
    """Independent N(0, 1) on and above the diagonal of a matrix of C order; zeros below."""
    flat, columns = out.reshape(out.size), out.shape[1]
    for i in range(out.shape[0]):
        first = min(i, columns)
        out[i, :first] = 0.0
        fill_normals(state, flat[i * columns + first :], columns - first)


@kernel()
def fill_lower(state: Any, out: Any) -> None:
    """Independent N(0, 1) below the diagonal of a matrix of C order; zeros on and above it."""
    flat, columns = out.reshape(out.size), out.shape[1]
    for i in range(out.shape[0]):
        last = min(i, columns)
        fill_normals(state, flat[i * columns :], last)
        out[i, last:] = 0.0
