"""Triangular factors of random matrices, and how many rows of each are active.

Of an upper triangular matrix only the upper part is touched.
"""

from __future__ import annotations

import math
from typing import Any

from validation.kernels.compilation import kernel
from validation.kernels.lapack import divide_by_joint_factor
from validation.kernels.random import active_units, fill_above_diagonal, fill_chis, fill_normals, seed_replica

__all__ = ["draw_dimensions", "draw_gains", "draw_gaussian", "draw_orthogonal"]

# Up to this size the factor of an orthogonal layer is found faster in loops than by LAPACK.
_LOOPS = 64


@kernel(inner=True)
def draw_dimensions(key: Any, replica: int, widths: Any, keep: Any, state: Any, freedom: Any) -> Any:
    """Seed a replica and draw its masks: the size of its triangular factors, and the freedom of each.

    Of the numbers of active units k_0 = n_0, k_1, ... k_L the least is the size; the others, in order, are the degrees
    of freedom of the L factors.

    Parameters
    ----------
    key : array of 8 words
    replica : int
    widths : integer array of shape (L + 1,)
    keep : array of shape (L,)
        Probability that a unit of a layer is active.
    state : array of 4 words
        Overwritten.
    freedom : integer array of shape (L,)
        Overwritten.

    Returns
    -------
    int
    """
    seed_replica(key, replica, state)
    least, place = widths[0], 0
    for layer in range(keep.size):
        freedom[layer] = active_units(state, widths[layer + 1], keep[layer])
        if freedom[layer] < least:
            least, place = freedom[layer], layer + 1
    # the layers before the narrowest place have the active units before them, those after it the ones behind them
    for layer in range(place - 1, 0, -1):
        freedom[layer] = freedom[layer - 1]
    if place > 0:
        freedom[0] = widths[0]
    return least


@kernel(inner=True)
def draw_gaussian(state: Any, freedom: int, size: int, factor: Any, work: Any) -> None:
    """Bartlett's factor R of a (freedom x size) matrix of independent N(0, 1), into ``factor[:size, :size]``."""
    fill_chis(state, freedom, work, size)
    for i in range(size):
        factor[i, i] = work[i]
    fill_above_diagonal(state, factor, size, size)


@kernel()
def draw_orthogonal(state: Any, freedom: int, others: int, size: int, factor: Any, rest: Any, work: Any) -> None:
    """The factor R of `freedom` rows and `size` columns of a Haar orthogonal matrix with `others` > 0 more rows.

    The columns are those of a Gaussian matrix (X; Y) times C^-1, C its own triangular factor; so R = R_X C^-1, where C
    is that of the factors of X and Y on top of each other.
    """
    rows = min(others, size)
    draw_gaussian(state, freedom, size, factor, work)
    fill_chis(state, others, work, rows)
    for i in range(rows):
        rest[i, i] = work[i]
    fill_above_diagonal(state, rest, rows, size)
    if size > _LOOPS:
        divide_by_joint_factor(factor, rest, rows, size)
        return
    for k in range(size):
        # a reflection takes column k of the lower block into row k of C, which is done with afterwards
        deep = min(k + 1, rows)
        square = 0.0
        for i in range(deep):
            square += rest[i, k] * rest[i, k]
        pivot = factor[k, k]
        norm = math.sqrt(pivot * pivot + square)
        v = -square / (pivot + norm)
        tau = 2.0 * v * v / (v * v + square)
        for c in range(k + 1, size):
            work[c] = factor[k, c]
        for i in range(deep):
            u = rest[i, k] / v
            rest[i, k] = u
            for c in range(k + 1, size):
                work[c] += u * rest[i, c]
        for c in range(k + 1, size):
            work[c] *= tau
        for i in range(deep):
            u = rest[i, k]
            for c in range(k + 1, size):
                rest[i, c] -= u * work[c]
        # row k of C is now (norm, factor - work); column k of R_X is divided by norm, and those after it take it in
        for i in range(k + 1):
            x = factor[i, k] / norm
            factor[i, k] = x
            if i < k:
                for c in range(k + 1, size):
                    factor[i, c] -= x * (factor[k, c] - work[c])
        x = factor[k, k]
        for c in range(k + 1, size):
            factor[k, c] -= x * (factor[k, c] - work[c])


@kernel(inner=True)
def draw_gains(state: Any, logs: Any, width: int, fixed: float, variance: float, work: Any) -> Any:
    """Squares of input and output: abs2(x) and abs2(J x) for J of right singular vectors that are Haar.

    Parameters
    ----------
    logs : array
        Logarithms of the non-zero singular values.
    width : int
        Columns of J.
    fixed : float
        Square of the input; negative for a Gaussian input with components of that `variance`.
    """
    square = fixed
    one = min(width, 1)  # a literal 1 would compile the filler a second time
    if square < 0.0:
        fill_chis(state, width, work, one)
        square = variance * work[0] * work[0]
    size = logs.size
    fill_normals(state, work, size)
    length, gained = 0.0, 0.0
    for i in range(size):
        share = work[i] * work[i]
        length += share
        gained += share * math.exp(2.0 * logs[i])
    if width > size:
        fill_chis(state, width - size, work, one)
        length += work[0] * work[0]
    return square, square * gained / length
