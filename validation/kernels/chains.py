"""Whole chunks of replicas of masked chains in one call; `validation.methods` says why they have the right law.

Both kernels take the replicas ``start``, ``start + 1``, ... and fill one row of each result a replica. Entries of
`values` beyond the rank are left as they are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from validation.kernels.compilation import kernel
from validation.kernels.factors import draw_dimensions, draw_gains, draw_gaussian, draw_orthogonal
from validation.kernels.graded import graded_singular_values
from validation.kernels.lapack import multiply_triangular, singular_values
from validation.kernels.lockstep import LANES, multiply_lanes, triangular_values
from validation.kernels.random import (
    active_units,
    fill_above_diagonal,
    fill_chis,
    fill_factors,
    fill_normals,
    seed_replica,
)

__all__ = ["absorb_gaussian", "sample_deep", "sample_norms", "sample_triangular"]

# Up to this size replicas of one size are treated together, which is faster than one after the other by LAPACK.
_TOGETHER = 32
# A term this far below the row it is added to is not: e^-46 = 1e-20.
_NEGLIGIBLE = 46.0


@kernel(inline=True)
def _combine(product: Any, i: int, j: int, k: int, v: float, x: float, y: float, first: int, size: int) -> None:
    """Row i becomes v times itself plus x times row j plus y times row k, from column `first` on."""
    # in blocks of four columns that are all read before one is written: no tests for overlap
    for c in range(first - first % 4, size, 4):
        p0 = v * product[i, c] + x * product[j, c] + y * product[k, c]
        p1 = v * product[i, c + 1] + x * product[j, c + 1] + y * product[k, c + 1]
        p2 = v * product[i, c + 2] + x * product[j, c + 2] + y * product[k, c + 2]
        p3 = v * product[i, c + 3] + x * product[j, c + 3] + y * product[k, c + 3]
        product[i, c], product[i, c + 1], product[i, c + 2], product[i, c + 3] = p0, p1, p2, p3


@kernel(inner=True)
def _least(numbers: Any) -> Any:
    least = numbers[0]
    for number in numbers:
        least = min(least, number)
    return least


@kernel(inner=True)
def _rescale(product: Any) -> Any:
    """Divide an upper triangular matrix by its first entry where that is far from 1, and return its logarithm."""
    rows, columns = product.shape
    top = product[0, 0] if rows > 0 else 1.0
    if 1e-30 < top < 1e30:
        return 0.0
    for i in range(rows):
        for c in range(i, columns):
            product[i, c] /= top
    return math.log(top)


@kernel(inner=True)
def _draw_factor(state: Any, freedom: int, total: int, size: int, factor: Any, rest: Any, work: Any) -> Any:
    """The triangular factor of a layer (see `sample_triangular`), unless it is the identity: then False."""
    if total == 0:
        draw_gaussian(state, freedom, size, factor, work)
    elif total > freedom:
        draw_orthogonal(state, freedom, total - freedom, size, factor, rest, work)
    return total == 0 or total > freedom


@kernel(inner=True)
def _sample_alone(
    state: Any, freedom: Any, others: Any, log_scale: float, product: Any, factor: Any, rest: Any, work: Any, logs: Any
) -> None:
    """Log singular values of one replica, whose dimensions are drawn, by BLAS and LAPACK."""
    size = logs.size
    for i in range(size):
        for c in range(size):
            product[i, c] = 0.0
        product[i, i] = 1.0
    shift = log_scale
    for layer in range(freedom.size):
        if _draw_factor(state, freedom[layer], others[layer], size, factor, rest, work):
            multiply_triangular(factor, product, size)
            shift += _rescale(product[:size, :size])
    if not singular_values(product, size, logs, work):
        logs[0] = math.nan
    for i in range(size):
        logs[i] = math.log(logs[i]) + shift


@kernel()
def sample_triangular(
    key: Any, start: int, widths: Any, keep: Any, others: Any, log_scale: float, fixed: float, variance: float,
    values: Any, rank: Any, squares: Any,
) -> None:  # fmt: skip
    """Replicas by products of triangular factors, decomposed in double precision.

    Those of small factors wait until there are LANES of their size, or no more to come.

    Parameters
    ----------
    key : array of 8 words
    start : int
        Number of the first replica.
    widths : integer array of shape (L + 1,)
    keep : array of shape (L,)
        Probability that a unit of a layer is active.
    others : integer array of shape (L,)
        Larger dimension of the Haar matrix of an orthogonal layer, 0 for a Gaussian one.
    log_scale : float
        Logarithm of the factor of the whole product.
    fixed, variance : float
        Square of the input, or -1 and the variance of its components.
    values : array of shape (replicas, n_out)
        Log singular values, decreasing.
    rank : integer array of shape (replicas,)
    squares : array of shape (replicas, 2)
        Squares of input and output.
    """
    widest = _least(widths)
    together = min(widest, _TOGETHER)
    # rows of a length that is no large power of two, which caches dislike
    stride = widest + 4 - widest % 4
    product, factor = np.empty((widest, stride)), np.empty((widest, stride))
    rest, work = np.empty((widest, stride)), np.empty(max(72 * widest, 200))
    products, factors = np.zeros((together, together, LANES)), np.zeros((together, together, LANES))
    spectra, shifts = np.empty((together, LANES)), np.empty(LANES)
    # the replicas that wait, by size
    waiting = np.zeros(together + 1, np.int64)
    rows = np.empty((together + 1, LANES), np.int64)
    states = np.empty((together + 1, LANES, 4), np.uint64)
    freedoms = np.empty((together + 1, keep.size, LANES), np.int64)
    state, freedom = np.empty(4, np.uint64), np.empty(keep.size, np.int64)
    for step in range(rank.size + together + 1):
        if step < rank.size:
            size = draw_dimensions(key, start + step, widths, keep, state, freedom)
            rank[step] = size
            if size > together:
                logs = values[step, :size]
                _sample_alone(state, freedom, others, log_scale, product, factor, rest, work, logs)
                squares[step, 0], squares[step, 1] = draw_gains(state, logs, widths[0], fixed, variance, work)
                continue
            place = waiting[size]
            waiting[size] += 1
            rows[size, place] = step
            for i in range(4):
                states[size, place, i] = state[i]
            for layer in range(keep.size):
                freedoms[size, layer, place] = freedom[layer]
            if waiting[size] < LANES:
                continue
        else:
            size = step - rank.size
            if waiting[size] == 0:
                continue
        count = waiting[size]
        waiting[size] = 0
        for i in range(size):
            for c in range(size):
                for lane in range(LANES):
                    products[i, c, lane] = 0.0
        for lane in range(count):
            shifts[lane] = log_scale
        for layer in range(keep.size):
            target = products if layer == 0 else factors
            if others[layer] == 0:
                fill_factors(states[size], freedoms[size, layer], target, size, count)
            else:
                for lane in range(count):
                    drawn = _draw_factor(
                        states[size, lane], freedoms[size, layer, lane], others[layer], size, factor, rest, work
                    )
                    for i in range(size):
                        for c in range(i, size):
                            target[i, c, lane] = factor[i, c] if drawn else (1.0 if c == i else 0.0)
            if layer > 0:
                multiply_lanes(factors, products, size)
            for lane in range(count if size > 0 else 0):
                if not 1e-30 < products[0, 0, lane] < 1e30:
                    shifts[lane] += _rescale(products[:size, :size, lane])
        triangular_values(products, size, spectra)
        for lane in range(count):
            row = rows[size, lane]
            logs = values[row, :size]
            for i in range(size):
                logs[i] = math.log(spectra[i, lane]) + shifts[lane]
            squares[row, 0], squares[row, 1] = draw_gains(states[size, lane], logs, widths[0], fixed, variance, work)


@kernel()
def absorb_gaussian(state: Any, freedom: int, size: int, levels: Any, product: Any, work: Any) -> None:
    """Multiply diag(e^levels) X from the left by a Gaussian factor; X is upper triangular with unit diagonal.

    With R the factor, the levels rise by log R_ii, and row i of X gets R_ij/R_ii e^(levels_j - levels_i) times row j.
    A term below e^-46 is not drawn. The rows of X have room for a multiple of four entries; `work` for 3 `size`.
    """
    diagonal, highest, drawn = work[:size], work[size : 2 * size], work[2 * size : 3 * size]
    fill_chis(state, freedom, diagonal, size)
    top = -math.inf
    for j in range(size - 1, -1, -1):
        top = max(top, levels[j])
        highest[j] = top
    for i in range(size):
        reach = i + 1
        while reach < size and highest[reach] > levels[i] - _NEGLIGIBLE:
            reach += 1
        if reach > i + 1:
            fill_normals(state, drawn, reach - i - 1)
            for j in range(i + 1, reach):
                drawn[j - i - 1] *= math.exp(levels[j] - levels[i]) / diagonal[i]
            for j in range(i + 1, reach - 1, 2):
                _combine(product, i, j, j + 1, 1.0, drawn[j - i - 1], drawn[j - i], j, size)
            if (reach - i) % 2 == 0:
                _combine(product, i, reach - 1, reach - 1, 1.0, drawn[reach - i - 2], 0.0, reach - 1, size)
        levels[i] += math.log(diagonal[i])


@kernel()
def sample_deep(
    key: Any, start: int, widths: Any, keep: Any, log_scale: float, fixed: float, variance: float, values: Any,
    rank: Any, squares: Any,
) -> None:  # fmt: skip
    """Replicas by products of Gaussian triangular factors whose rows carry their scales; see `sample_triangular`."""
    widest = _least(widths)
    levels = np.empty(widest)
    work = np.empty(max(3 * widest, 1))
    freedom = np.empty(keep.size, np.int64)
    state = np.empty(4, np.uint64)
    for row in range(rank.size):
        size = draw_dimensions(key, start + row, widths, keep, state, freedom)
        matrix = np.zeros((size, size + 4 - size % 4))
        for i in range(size):
            matrix[i, i] = 1.0
            levels[i] = log_scale
        for layer in range(keep.size):
            absorb_gaussian(state, freedom[layer], size, levels, matrix, work)
        logs = values[row, :size]
        if size > 0:
            graded_singular_values(matrix, levels, logs, work)
        rank[row] = size
        squares[row, 0], squares[row, 1] = draw_gains(state, logs, widths[0], fixed, variance, work)


@kernel()
def sample_norms(key: Any, start: int, widths: Any, keep: Any, others: Any, log_scale: float, values: Any) -> None:
    """Logarithms of the squares of J e_1, ..., J e_m into a row of `values` a replica; ``-inf`` for what died.

    Of the m vectors only their triangular factor is propagated. Orthogonal layers (see `sample_triangular`) take m = 1.
    """
    columns = values.shape[1]
    product, factor = np.empty((columns, columns)), np.empty((columns, columns))
    work, rest = np.empty(max(columns, 1)), np.empty(1)
    state = np.empty(4, np.uint64)
    for row in range(values.shape[0]):
        seed_replica(key, start + row, state)
        for i in range(columns):
            for c in range(columns):
                product[i, c] = 0.0
            product[i, i] = 1.0
        rank, shift = columns, log_scale
        for layer in range(keep.size):
            active = active_units(state, widths[layer + 1], keep[layer])
            kept = min(rank, active)
            fill_chis(state, active, work, kept)
            if others[layer] > active and kept > 0:
                fill_chis(state, others[layer] - active, rest, kept)
                work[0] /= math.hypot(work[0], rest[0])
            elif others[layer] > 0:
                work[0] = 1.0
            fill_above_diagonal(state, factor, kept, rank)
            for i in range(kept):
                for c in range(i, columns):
                    total = work[i] * product[i, c]
                    for j in range(i + 1, rank):
                        total += factor[i, j] * product[j, c]
                    product[i, c] = total
            rank = kept
            shift += _rescale(product[:rank, :columns])
        for c in range(columns):
            square = 0.0
            for i in range(min(c + 1, rank)):
                square += product[i, c] * product[i, c]
            values[row, c] = math.log(square) + 2.0 * shift if square > 0.0 else -math.inf
