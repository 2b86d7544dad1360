"""Singular values of graded matrices diag(e^levels) X, in logarithms: no range is too wide.

`validation.graded` finds the same numbers, to rounding, by decompositions of blocks. These cannot be called from
compiled loops over replicas and take 0.15 ms at 10 rows, rotations 0.01 to 0.03 ms; they take half the time from 100
rows on, less where neighbouring values are close, which the few decompositions of deep chains do not notice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from validation.kernels.compilation import kernel

__all__ = ["graded_singular_values"]

# Cosines of the angle between two rows below this are rounding.
_ORTHOGONAL = 4e-16
_SWEEPS = 60


@kernel(inner=True)
def _lower_factor(x: Any, work: Any) -> None:
    """Replace a square matrix by L of X = L Q: Householder reflections of its columns, row by row."""
    size = x.shape[0]
    for k in range(size - 1):
        row = x[k]
        square = 0.0
        for c in range(k + 1, size):
            square += row[c] * row[c]
        if square == 0.0:
            continue
        norm = -math.copysign(math.sqrt(row[k] * row[k] + square), row[k])
        work[k] = row[k] - norm
        for c in range(k + 1, size):
            work[c] = row[c]
            row[c] = 0.0
        tau = -1.0 / (norm * work[k])
        row[k] = norm
        for i in range(k + 1, size):
            other = x[i]
            dot = 0.0
            for c in range(k, size):
                dot += work[c] * other[c]
            dot *= tau
            for c in range(k, size):
                other[c] -= dot * work[c]


@kernel(inner=True)
def _normalised(row: Any) -> Any:
    """The length of a row, which is divided by it."""
    square = 0.0
    for c in range(row.size):
        square += row[c] * row[c]
    norm = math.sqrt(square)
    scale = 1.0 / norm
    for c in range(row.size):
        row[c] *= scale
    return norm


@kernel(inner=True)
def _descending(numbers: Any, size: int) -> Any:
    """Places of the first numbers from the largest to the smallest; quick where they are nearly in order."""
    order = np.arange(size)
    for i in range(1, size):
        j = i
        while j > 0 and numbers[order[j - 1]] < numbers[i]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i
    return order


@kernel()
def graded_singular_values(x: Any, levels: Any, logs: Any, work: Any) -> None:
    """Logarithms of the singular values of diag(e^levels) X, decreasing, into `logs`; `x` and `levels` are overwritten.

    An LQ factorisation of X, which the rows' scales do not touch, makes the rows nearly orthogonal; one-sided Jacobi
    rotations do the rest, with rows of unit length whose scales are kept apart as logarithms. The relative error of
    every singular value is that of X alone, a modest multiple of its condition number times the rounding unit, however
    wide the range of the levels (Demmel and Veselić, SIAM J. Matrix Anal. Appl. 13 (1992) 1204).

    Parameters
    ----------
    x : array of shape (size, size) or wider
    levels, logs : arrays, at least `size` long
    work : array, at least `size` long
    """
    size = x.shape[0]
    _lower_factor(x, work)
    for i in range(size):
        levels[i] += math.log(_normalised(x[i]))
    # rotations want the larger row first
    order = _descending(levels, size)
    rows, scales = np.empty((size, size)), np.empty(size)
    for i in range(size):
        scales[i] = levels[order[i]]
        for c in range(size):
            rows[i, c] = x[order[i], c]
    for _ in range(_SWEEPS):
        rotated = False
        for i in range(size - 1):
            upper = rows[i]
            for j in range(i + 1, size):
                lower = rows[j]
                cosine = 0.0
                for c in range(size):
                    cosine += upper[c] * lower[c]
                if abs(cosine) <= _ORTHOGONAL * math.sqrt(size):
                    continue
                rotated = True
                ratio = math.exp(min(scales[j] - scales[i], 300.0))
                gap = 1.0 - ratio * ratio
                # lower - turn * upper, and upper + ratio^2 turn * lower: the tangent of the angle is ratio * turn
                root = math.hypot(gap, 2.0 * ratio * cosine)
                turn = 2.0 * cosine / (gap + root if gap >= 0.0 else gap - root)
                back = ratio * ratio * turn
                secant = 1.0 / math.sqrt(1.0 + ratio * ratio * turn * turn)
                for c in range(size):
                    a, b = upper[c], lower[c]
                    upper[c] = secant * (a + back * b)
                    lower[c] = secant * (b - turn * a)
                scales[i] += math.log(_normalised(upper))
                scales[j] += math.log(_normalised(lower))
        if not rotated:
            break
    order = _descending(scales, size)
    for i in range(size):
        logs[i] = scales[order[i]]
