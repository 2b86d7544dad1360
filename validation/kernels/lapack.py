"""Singular values and triangular products inside kernels, by the LAPACK and BLAS that scipy brings.

The functions are registered as symbols of the process before anything is compiled, and kernels refer to them by name:
such kernels can be cached on disk, which a pointer in their code would forbid. Matrices are stored by rows; a BLAS
routine, which reads columns, sees the transpose, of equal singular values.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from numba import types
from numba.extending import get_cython_function_address

from validation.kernels.compilation import kernel

__all__ = ["divide_by_joint_factor", "multiply_triangular", "singular_values"]

_DOUBLES = types.CPointer(types.float64)
_INTS = types.CPointer(types.int32)
_CHARS = types.CPointer(types.uint8)


def _routine(library: str, name: str, *arguments: Any) -> Any:
    """A routine of ``scipy.linalg.cython_blas`` or ``cython_lapack``, all of whose arguments are pointers."""
    symbol = f"validation_{name}"
    llvmlite.binding.add_symbol(symbol, get_cython_function_address(f"scipy.linalg.cython_{library}", name))
    return types.ExternalFunction(symbol, types.void(*arguments))


_dtrmm = _routine(
    "blas", "dtrmm", _CHARS, _CHARS, _CHARS, _CHARS, _INTS, _INTS, _DOUBLES, _DOUBLES, _INTS, _DOUBLES, _INTS
)
_dgesdd = _routine(
    "lapack", "dgesdd", _CHARS, _INTS, _INTS, _DOUBLES, _INTS, _DOUBLES, _DOUBLES, _INTS, _DOUBLES, _INTS,
    _DOUBLES, _INTS, _INTS, _INTS,
)  # fmt: skip
_dtrsm = _routine(
    "blas", "dtrsm", _CHARS, _CHARS, _CHARS, _CHARS, _INTS, _INTS, _DOUBLES, _DOUBLES, _INTS, _DOUBLES, _INTS
)
_dtpqrt = _routine(
    "lapack", "dtpqrt", _INTS, _INTS, _INTS, _INTS, _DOUBLES, _INTS, _DOUBLES, _INTS, _DOUBLES, _INTS, _DOUBLES, _INTS
)

_BLOCK = 64


@kernel()
def multiply_triangular(factor: Any, product: Any, size: int) -> None:
    """``product <- factor @ product`` for the upper triangular matrices in the first `size` rows and columns."""
    one = np.ones(1)
    dims = np.empty(3, np.int32)
    dims[2] = product.shape[1]
    letters = np.empty(4, np.uint8)
    letters[0], letters[1], letters[2], letters[3] = 82, 76, 78, 78  # R, L, N, N
    for first in range(0, size, _BLOCK):
        # what is in these columns of the product are the rows above their end
        last = min(first + _BLOCK, size)
        dims[0], dims[1] = last - first, last
        _dtrmm(
            letters[0:].ctypes, letters[1:].ctypes, letters[2:].ctypes, letters[3:].ctypes, dims[0:].ctypes,
            dims[1:].ctypes, one.ctypes, factor.ctypes, dims[2:].ctypes, product[0, first:].ctypes, dims[2:].ctypes,
        )  # fmt: skip


@kernel(inner=True)
def divide_by_joint_factor(factor: Any, rest: Any, rows: int, size: int) -> None:
    """``factor <- factor @ inv(C)``, C the triangular factor of `factor` on top of the first `rows` rows of `rest`.

    Both are upper triangular, and C has a positive diagonal if `factor` has.
    """
    # LAPACK's matrices: by columns
    joint, below = np.zeros((size, size)), np.zeros((size, rows))
    for i in range(size):
        for c in range(i, size):
            joint[c, i] = factor[i, c]
    for i in range(rows):
        for c in range(i, size):
            below[c, i] = rest[i, c]
    dims, info, one = np.empty(5, np.int32), np.zeros(1, np.int32), np.ones(1)
    dims[0], dims[1], dims[2], dims[4] = rows, size, min(32, size), factor.shape[1]
    reflectors, work = np.empty((size, dims[2])), np.empty((size, dims[2]))
    _dtpqrt(
        dims.ctypes, dims[1:].ctypes, dims.ctypes, dims[2:].ctypes, joint.ctypes, dims[1:].ctypes, below.ctypes,
        dims.ctypes, reflectors.ctypes, dims[2:].ctypes, work.ctypes, info.ctypes,
    )  # fmt: skip
    letters = np.empty(4, np.uint8)
    letters[0], letters[1], letters[2], letters[3] = 76, 85, 84, 78  # L, U, T, N
    for first in range(0, size, _BLOCK):
        # these rows of the result begin with the diagonal
        last = min(first + _BLOCK, size)
        for i in range(first, last):
            for c in range(first, i):
                factor[i, c] = 0.0
        dims[0], dims[3] = size - first, last - first
        _dtrsm(
            letters[0:].ctypes, letters[1:].ctypes, letters[2:].ctypes, letters[3:].ctypes, dims.ctypes,
            dims[3:].ctypes, one.ctypes, joint[first, first:].ctypes, dims[1:].ctypes, factor[first, first:].ctypes,
            dims[4:].ctypes,
        )  # fmt: skip
    for k in range(size):
        if joint[k, k] < 0.0:
            for i in range(k + 1):
                factor[i, k] = -factor[i, k]


@kernel()
def singular_values(a: Any, size: int, values: Any, work: Any) -> Any:
    """Singular values of ``a[:size, :size]``, decreasing, into ``values[:size]``; the matrix is destroyed.

    Parameters
    ----------
    a : array of two dimensions
    work : array
        At least ``max(8 size, 200)`` long, better ``72 size``.

    Returns
    -------
    bool
        False if an iteration did not converge, which needs entries that are not finite.
    """
    info = np.zeros(1, np.int32)
    dims = np.empty(4, np.int32)
    dims[0], dims[1], dims[2], dims[3] = size, a.shape[1], work.size, 1
    job = np.empty(1, np.uint8)
    job[0] = 78  # N: no vectors
    integers = np.empty(8 * size, np.int32)
    _dgesdd(
        job.ctypes, dims.ctypes, dims.ctypes, a.ctypes, dims[1:].ctypes, values.ctypes, work.ctypes, dims[3:].ctypes,
        work.ctypes, dims[3:].ctypes, work.ctypes, dims[2:].ctypes, integers.ctypes, info.ctypes,
    )  # fmt: skip
    return info[0] == 0
