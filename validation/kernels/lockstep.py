"""Triangular products and singular values of small matrices, LANES of them at a time.

A processor multiplies as fast as it likes, but waits for roots, quotients and branches: one small matrix keeps it
waiting most of the time. Here the same step is taken for LANES matrices of equal size before the next one. Arrays have
their lanes last; a lane's numbers do not depend on what is in the others.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from validation.kernels.compilation import kernel

__all__ = ["LANES", "multiply_lanes", "singular_values_of_lanes"]

LANES = 32

# Squares of singular values start below this, which leaves room for a range of e^600 and for their reciprocals.
_BIG = 2.0**400
_LEAST = 2.0**-1000
_EPS = 2.0**-53
# So many sweeps for one singular value are needed by entries only that are not finite.
_SWEEPS = 500

# The work space is rows of LANES numbers: what a sweep carries from column to column, ...
_D, _SLOPE, _CURVE, _FIRST, _SECOND = 0, LANES, 2 * LANES, 3 * LANES, 4 * LANES
# ... sums up to the last column but one, the shift to come, the sum of shifts, which lanes move, the scale, ...
_LEADING, _LEADING_2, _UNIT, _SHIFT, _SHIFTED, _MOVES, _SCALE = (row * LANES for row in range(5, 12))
# ... and q_1, e_1, q_2, e_2, ...
_Q = 12 * LANES


@kernel(inner=True, ordered=True)
def multiply_lanes(factor: Any, product: Any, size: int) -> None:
    """``product <- factor @ product`` for upper triangular matrices in arrays of shape (size, size, LANES) or larger."""
    for i in range(size):
        for c in range(i, size):
            for lane in range(LANES):
                product[i, c, lane] *= factor[i, i, lane]
        for j in range(i + 1, size):
            for c in range(j, size):
                for lane in range(LANES):
                    product[i, c, lane] += factor[i, j, lane] * product[j, c, lane]


@kernel(inner=True, ordered=True)
def _reflection(pivots: Any, squares: Any, entries: Any, taus: Any, scales: Any) -> None:
    """The reflection of vectors to multiples of the first unit vector, by their first entries and squares of the others.

    It is ``1 - tau u u'`` with u = (1, scale times the others); `entries` gets the multiples.
    """
    for lane in range(LANES):
        pivot, square = pivots[lane], squares[lane]
        norm = -math.copysign(math.sqrt(pivot * pivot + square), pivot)
        nothing = square == 0.0
        entries[lane] = pivot if nothing else norm
        taus[lane] = 0.0 if nothing else (norm - pivot) / norm
        scales[lane] = 0.0 if nothing else 1.0 / (pivot - norm)


@kernel(inner=True, ordered=True)
def _bidiagonal(a: Any, size: int, diagonal: Any, above: Any, work: Any) -> None:
    """Householder reduction of upper triangular matrices, which are destroyed, to upper bidiagonal ones."""
    squares, taus, scales = work[size], work[size + 1], work[size + 2]
    for k in range(size):
        if k == 0:
            for lane in range(LANES):
                diagonal[k, lane] = a[k, k, lane]
        else:
            # column k: a reflection of the rows k, k+1, ...
            for lane in range(LANES):
                squares[lane] = 0.0
            for i in range(k + 1, size):
                for lane in range(LANES):
                    squares[lane] += a[i, k, lane] * a[i, k, lane]
            _reflection(a[k, k], squares, diagonal[k], taus, scales)
            for c in range(k + 1, size):
                for lane in range(LANES):
                    work[c, lane] = a[k, c, lane]
            for i in range(k + 1, size):
                for lane in range(LANES):
                    a[i, k, lane] *= scales[lane]
                for c in range(k + 1, size):
                    for lane in range(LANES):
                        work[c, lane] += a[i, k, lane] * a[i, c, lane]
            for c in range(k + 1, size):
                for lane in range(LANES):
                    work[c, lane] *= taus[lane]
                    a[k, c, lane] -= work[c, lane]
            for i in range(k + 1, size):
                for c in range(k + 1, size):
                    for lane in range(LANES):
                        a[i, c, lane] -= a[i, k, lane] * work[c, lane]
        if k + 1 >= size:
            break
        # row k: a reflection of the columns k+1, k+2, ...
        for lane in range(LANES):
            squares[lane] = 0.0
        for c in range(k + 2, size):
            for lane in range(LANES):
                squares[lane] += a[k, c, lane] * a[k, c, lane]
        _reflection(a[k, k + 1], squares, above[k], taus, scales)
        for lane in range(LANES):
            work[k + 1, lane] = 1.0
        for c in range(k + 2, size):
            for lane in range(LANES):
                work[c, lane] = a[k, c, lane] * scales[lane]
        for i in range(k + 1, size):
            dots = squares
            for lane in range(LANES):
                dots[lane] = 0.0
            for c in range(k + 1, size):
                for lane in range(LANES):
                    dots[lane] += work[c, lane] * a[i, c, lane]
            for lane in range(LANES):
                dots[lane] *= taus[lane]
            for c in range(k + 1, size):
                for lane in range(LANES):
                    a[i, c, lane] -= dots[lane] * work[c, lane]


@kernel(inline=True, ordered=True)
def _bound(first: float, second: float, n: int) -> Any:
    """Laguerre's lower bound of n positive numbers, by the sums of their reciprocals and of the squares of those.

    Roundings of its own, and of the sweep that uses it, are allowed for. Where squares over- or underflow, Newton's.
    """
    square = first * first
    root = math.sqrt((n - 1.0) * (max(n * second - square, 0.0) + n * n * 128.0 * _EPS * square))
    fine = (root < math.inf) & (square > _LEAST)
    bound = (1.0 - 64.0 * _EPS * n) * (n if fine else 1.0) / (first + (root if fine else 0.0))
    return bound if bound > 0.0 else 0.0


@kernel(inner=True, ordered=True)
def _sweep(z: Any, n: int) -> Any:
    """A step of the differential qd algorithm with shifts; how many lanes are not done with the last of n columns.

    With B bidiagonal of squares q on and e above the diagonal, ``B B' - shift`` becomes ``B' B``.
    """
    bottom = z[_Q + (2 * n - 2) * LANES : _Q + (2 * n - 1) * LANES]
    for lane in range(LANES):
        z[_D + lane] = max(z[_Q + lane] - z[_SHIFT + lane], _LEAST)
        unit = bottom[lane] if z[_MOVES + lane] > 0.0 else z[_UNIT + lane]
        z[_UNIT + lane] = unit
        z[_SLOPE + lane] = -unit
        z[_CURVE + lane] = z[_FIRST + lane] = z[_SECOND + lane] = 0.0
    for k in range(n - 1):
        here = z[_Q + 2 * k * LANES : _Q + (2 * k + 3) * LANES]
        for lane in range(LANES):
            d, slope, curve, moves = z[_D + lane], z[_SLOPE + lane], z[_CURVE + lane], z[_MOVES + lane] > 0.0
            q, e, after = here[lane], here[LANES + lane], here[2 * LANES + lane]
            shift, unit, first, second = z[_SHIFT + lane], z[_UNIT + lane], z[_FIRST + lane], z[_SECOND + lane]
            new = d + e
            inverse = 1.0 / new
            part = slope * inverse
            below = after * (e * inverse)
            ratio = below * inverse
            here[lane] = new if moves else q
            here[LANES + lane] = below if moves else e
            z[_FIRST + lane] = first - part
            z[_SECOND + lane] = second + (part * part - curve * inverse)
            z[_D + lane] = max(after * (d * inverse) - shift, _LEAST)
            z[_SLOPE + lane] = ratio * slope - unit
            z[_CURVE + lane] = ratio * (curve - 2.0 * slope * part)
    last = z[_Q + (2 * n - 3) * LANES : _Q + (2 * n - 1) * LANES]
    moving = 0
    for lane in range(LANES):
        moves = z[_MOVES + lane] > 0.0
        d, first, second = z[_D + lane], z[_FIRST + lane], z[_SECOND + lane]
        e, shift, shifted = last[lane], z[_SHIFT + lane], z[_SHIFTED + lane]
        inverse = 1.0 / d
        part = z[_SLOPE + lane] * inverse
        following = z[_UNIT + lane] * _bound(first - part, second + (part * part - z[_CURVE + lane] * inverse), n)
        shifted = shifted + shift if moves else shifted
        least = shifted + following
        q = d if moves else last[LANES + lane]
        last[LANES + lane] = q
        z[_LEADING + lane] = first if moves else z[_LEADING + lane]
        z[_LEADING_2 + lane] = second if moves else z[_LEADING_2 + lane]
        z[_SHIFTED + lane] = shifted
        z[_SHIFT + lane] = following
        small = _EPS * least
        moves = moves and not (e <= _EPS * small or (e <= small and e * (q / least) <= _EPS * small))
        z[_MOVES + lane] = 1.0 if moves else 0.0
        moving += 1 if moves else 0
    return moving


@kernel(inner=True, ordered=True)
def singular_values_of_lanes(a: Any, size: int, values: Any, z: Any) -> None:
    """Singular values of upper triangular matrices, decreasing, into ``values[:size]``; the matrices are destroyed.
    """
    rows = z.reshape((-1, LANES))
    qd = rows[_Q // LANES :]
    _bidiagonal(a, size, qd[0::2], qd[1::2], values)
    for lane in range(LANES):
        z[_SCALE + lane] = 0.0
    for k in range(2 * size - 1):
        for lane in range(LANES):
            z[_SCALE + lane] += abs(qd[k, lane])
    for lane in range(LANES):
        scale = _BIG / z[_SCALE + lane]
        z[_SCALE + lane] = scale
        z[_SHIFT + lane] = 0.0
        z[_SHIFTED + lane] = 0.0
    for k in range(2 * size - 1):
        for lane in range(LANES):
            x = z[_SCALE + lane] * qd[k, lane]
            qd[k, lane] = x * x
    for n in range(size, 2, -1):
        for lane in range(LANES):
            z[_MOVES + lane] = 1.0 if 0.0 < z[_SCALE + lane] < math.inf else 0.0
        for _ in range(_SWEEPS):
            if _sweep(z, n) == 0:
                break
        for lane in range(LANES):
            values[n - 1, lane] = z[_SHIFTED + lane] + qd[2 * n - 2, lane]
            z[_SHIFT + lane] = z[_UNIT + lane] * _bound(z[_LEADING + lane], z[_LEADING_2 + lane], n - 1)
    if size > 1:
        for lane in range(LANES):
            x, e, y = qd[0, lane], qd[1, lane], qd[2, lane]
            gap = abs(x - y) + e
            share = 4.0 * (min(x, y) / gap) * (e / gap)
            large = 0.5 * (x + y + e + (gap * math.sqrt(1.0 + share) if gap > 0.0 else 0.0))
            values[0, lane] = z[_SHIFTED + lane] + large
            values[1, lane] = z[_SHIFTED + lane] + x * (y / large)
    elif size > 0:
        for lane in range(LANES):
            values[0, lane] = qd[0, lane]
    for i in range(size):
        for lane in range(LANES):
            values[i, lane] = math.sqrt(values[i, lane]) / z[_SCALE + lane]
    # values come out nearly in order
    for last in range(size - 1, 0, -1):
        for i in range(last):
            for lane in range(LANES):
                x, y = values[i, lane], values[i + 1, lane]
                values[i, lane], values[i + 1, lane] = max(x, y), min(x, y)
