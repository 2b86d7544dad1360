"""Triangular products and singular values of small matrices, LANES of them at a time.

One small matrix keeps a processor waiting, for roots, quotients and branches. Here each step is taken for LANES
matrices of one size before the next step, in vector registers. The lanes are the last axis of every array; the numbers
of a lane do not depend on those of the others.

Singular values come from a Householder reduction to bidiagonal matrices and the differential qd algorithm with shifts
(Fernando and Parlett, Numer. Math. 67 (1994) 191), which keeps every digit of the small ones. Shifts are Laguerre's, as
in von Matt, SIAM J. Sci. Comput. 18 (1997) 1163: lower bounds of the least value, which converge with third order, so
that no step has to be taken back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from validation.kernels.compilation import kernel

__all__ = ["LANES", "bidiagonal_values", "multiply_lanes", "triangular_values"]

LANES = 32

# Squares start below the square of _BIG, and none falls below _LEAST: room for ratios of singular values of e^600.
_BIG = 2.0**400
_LEAST = 2.0**-1000
_EPS = 2.0**-53
# Few singular values need more than ten; the limit is that of Newton's shifts where squares of reciprocals overflow.
_SWEEPS = 2000

# Work space of the qd algorithm, rows of LANES numbers. What a sweep carries from column to column: d, its derivatives
# by the shift, and the sums of the bound, ...
_D, _SLOPE, _CURVE, _FIRST, _SECOND = (row * LANES for row in range(5))
# ... the sums without the last column, the unit of shifts in them, the next shift, all shifts, 1 where they go on, ...
_LEADING, _LEADING_2, _UNIT, _SHIFT, _SHIFTED, _MOVES, _SCALE = (row * LANES for row in range(5, 12))
# ... and q_1, e_1, q_2, e_2, ...: in one array, a compiler sees that the rows do not overlap.
_Q = 12 * LANES


# Loops take the number of lanes from an array, as loops of a known length are unrolled before they can be vectorised.
@kernel(ordered=True)
def multiply_lanes(factor: Any, product: Any, size: int) -> None:
    """``product <- factor @ product`` for upper triangular matrices in arrays of shape (size, size, LANES) or larger.

    Only the upper triangles are touched.
    """
    lanes = product.shape[2]
    for i in range(size):
        for c in range(i, size):
            for lane in range(lanes):
                product[i, c, lane] *= factor[i, i, lane]
        for j in range(i + 1, size):
            for c in range(j, size):
                for lane in range(lanes):
                    product[i, c, lane] += factor[i, j, lane] * product[j, c, lane]


@kernel(inner=True, ordered=True)
def _reflect(pivots: Any, squares: Any, entries: Any, taus: Any, scales: Any) -> None:
    """Reflections ``1 - tau u u'`` that leave of a vector only its first entry: ``u = (1, scale * others)``.

    Of the vectors are given the first entries, `pivots`, and the sums of squares of the others; `entries` is what the
    first ones become.
    """
    for lane in range(pivots.size):
        pivot, square = pivots[lane], squares[lane]
        norm = -math.copysign(math.sqrt(pivot * pivot + square), pivot)
        nothing = square == 0.0
        entries[lane] = pivot if nothing else norm
        taus[lane] = 0.0 if nothing else (norm - pivot) / norm
        scales[lane] = 0.0 if nothing else 1.0 / (pivot - norm)


@kernel(inner=True, ordered=True)
def _bidiagonal(a: Any, size: int, diagonal: Any, above: Any) -> None:
    """Householder reduction of upper triangular matrices, which are destroyed, to upper bidiagonal ones."""
    lanes = a.shape[2]
    work, sums, taus, scales = np.empty((size, lanes)), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    for k in range(size):
        # column k: a reflection of the rows k, k+1, ...; the first has nothing to reflect
        if k == 0:
            for lane in range(lanes):
                diagonal[k, lane] = a[k, k, lane]
        else:
            for lane in range(lanes):
                sums[lane] = 0.0
            for i in range(k + 1, size):
                for lane in range(lanes):
                    sums[lane] += a[i, k, lane] * a[i, k, lane]
            _reflect(a[k, k], sums, diagonal[k], taus, scales)
            for c in range(k + 1, size):
                for lane in range(lanes):
                    work[c, lane] = a[k, c, lane]
            for i in range(k + 1, size):
                for lane in range(lanes):
                    a[i, k, lane] *= scales[lane]
                for c in range(k + 1, size):
                    for lane in range(lanes):
                        work[c, lane] += a[i, k, lane] * a[i, c, lane]
            for c in range(k + 1, size):
                for lane in range(lanes):
                    work[c, lane] *= taus[lane]
                    a[k, c, lane] -= work[c, lane]
            for i in range(k + 1, size):
                for c in range(k + 1, size):
                    for lane in range(lanes):
                        a[i, c, lane] -= a[i, k, lane] * work[c, lane]
        if k + 1 >= size:
            break
        # row k: a reflection of the columns k+1, k+2, ...
        for lane in range(lanes):
            sums[lane] = 0.0
        for c in range(k + 2, size):
            for lane in range(lanes):
                sums[lane] += a[k, c, lane] * a[k, c, lane]
        _reflect(a[k, k + 1], sums, above[k], taus, scales)
        for lane in range(lanes):
            work[k + 1, lane] = 1.0
        for c in range(k + 2, size):
            for lane in range(lanes):
                work[c, lane] = a[k, c, lane] * scales[lane]
        for i in range(k + 1, size):
            for lane in range(lanes):
                sums[lane] = 0.0
            for c in range(k + 1, size):
                for lane in range(lanes):
                    sums[lane] += work[c, lane] * a[i, c, lane]
            for lane in range(lanes):
                sums[lane] *= taus[lane]
            for c in range(k + 1, size):
                for lane in range(lanes):
                    a[i, c, lane] -= sums[lane] * work[c, lane]


@kernel(inline=True, ordered=True)
def _bound(first: float, second: float, n: int) -> Any:
    """Laguerre's lower bound of n positive numbers, by the sums of their reciprocals and of the squares of those.

    It allows for roundings of its own and of the sweep that takes it for its shift. Newton's where a square leaves the
    range, and 0 where a sum does.
    """
    square = first * first
    root = math.sqrt((n - 1.0) * (max(n * second - square, 0.0) + n * n * 128.0 * _EPS * square))
    fine = (root < math.inf) & (square > _LEAST)
    bound = (1.0 - 64.0 * _EPS * n) * (n if fine else 1.0) / (first + (root if fine else 0.0))
    return bound if (bound > 0.0) & (first > _LEAST) else 0.0


@kernel(inner=True, ordered=True)
def _sweep(z: Any, n: int, lanes: int) -> Any:
    """A step of the differential qd algorithm where `_MOVES`; how many lanes then go on with n columns.

    The bidiagonal B with squares q on and e above the diagonal is replaced by that with ``B'B = BB' - shift``. A lane
    is done when the last e is so small that no singular value would notice its absence.
    """
    last = z[_Q + (2 * n - 3) * LANES : _Q + (2 * n - 1) * LANES]
    for lane in range(lanes):
        # sums of reciprocals are in units of the last q, an upper bound of the least value: squares rarely overflow
        unit = last[LANES + lane] if z[_MOVES + lane] > 0.0 else z[_UNIT + lane]
        z[_UNIT + lane] = unit
        z[_SLOPE + lane] = -unit
        z[_CURVE + lane] = z[_FIRST + lane] = z[_SECOND + lane] = 0.0
        z[_D + lane] = max(z[_Q + lane] - z[_SHIFT + lane], _LEAST)
    for k in range(n - 1):
        here = z[_Q + 2 * k * LANES : _Q + (2 * k + 3) * LANES]
        for lane in range(lanes):
            d, slope, curve, moves = z[_D + lane], z[_SLOPE + lane], z[_CURVE + lane], z[_MOVES + lane] > 0.0
            q, e, following = here[lane], here[LANES + lane], here[2 * LANES + lane]
            shift, unit, first, second = z[_SHIFT + lane], z[_UNIT + lane], z[_FIRST + lane], z[_SECOND + lane]
            new = d + e
            inverse = 1.0 / new
            part = slope * inverse
            above = following * (e * inverse)
            ratio = above * inverse
            here[lane] = new if moves else q
            here[LANES + lane] = above if moves else e
            # first and second derivative of minus log det(BB' - shift)
            z[_FIRST + lane] = first - part
            z[_SECOND + lane] = second + (part * part - curve * inverse)
            z[_D + lane] = max(following * (d * inverse) - shift, _LEAST)
            z[_SLOPE + lane] = ratio * slope - unit
            z[_CURVE + lane] = ratio * (curve - 2.0 * slope * part)
    moving = 0
    for lane in range(lanes):
        moves = z[_MOVES + lane] > 0.0
        d, first, second, e = z[_D + lane], z[_FIRST + lane], z[_SECOND + lane], last[lane]
        inverse = 1.0 / d
        part = z[_SLOPE + lane] * inverse
        shift = z[_UNIT + lane] * _bound(first - part, second + (part * part - z[_CURVE + lane] * inverse), n)
        shifted = z[_SHIFTED + lane] + (z[_SHIFT + lane] if moves else 0.0)
        q = d if moves else last[LANES + lane]
        last[LANES + lane] = q
        z[_LEADING + lane] = first if moves else z[_LEADING + lane]
        z[_LEADING_2 + lane] = second if moves else z[_LEADING_2 + lane]
        z[_SHIFTED + lane] = shifted
        z[_SHIFT + lane] = shift
        # without e, BB' changes by at most e + sqrt(q e): next to nothing for the least of the values, shifts included
        least = shifted + shift
        small = _EPS * least
        done = (e <= _EPS * small) | ((e <= small) & (e * (q / least) <= _EPS * small))
        z[_MOVES + lane] = 1.0 if moves & ~done else 0.0
        moving += 1 if moves & ~done else 0
    return moving


@kernel(ordered=True)
def bidiagonal_values(diagonal: Any, above: Any, size: int, values: Any) -> None:
    """Singular values of upper bidiagonal matrices, decreasing, to high relative accuracy.

    That is, of those above e^-350 times the largest one; e^-600, if rows decrease in size like those of products.

    Parameters
    ----------
    diagonal, above : arrays of shape (size, LANES) or longer
        The last row of `above` is not read.
    values : array of shape (size, LANES) or longer
        NaN in lanes that are 0 or have entries that are not finite.
    """
    lanes = values.shape[1]
    z = np.zeros(_Q + max(2 * size, 1) * LANES)
    for k in range(size):
        for lane in range(lanes):
            z[_SCALE + lane] += abs(diagonal[k, lane]) + (abs(above[k, lane]) if k + 1 < size else 0.0)
    for lane in range(lanes):
        z[_SCALE + lane] = 1.0 / z[_SCALE + lane]
    for k in range(size):
        q, e = z[_Q + 2 * k * LANES :], z[_Q + (2 * k + 1) * LANES :]
        for lane in range(lanes):
            x = z[_SCALE + lane] * diagonal[k, lane] * _BIG
            q[lane] = max(x * x, _LEAST) if x * x >= 0.0 else math.nan
            x = z[_SCALE + lane] * above[k, lane] * _BIG if k + 1 < size else 0.0
            e[lane] = x * x
    for n in range(size, 2, -1):
        for lane in range(lanes):
            z[_MOVES + lane] = 1.0 if 0.0 < z[_SCALE + lane] < math.inf else 0.0
        for _ in range(_SWEEPS):
            if _sweep(z, n, lanes) == 0:
                break
        q = z[_Q + (2 * n - 2) * LANES :]
        for lane in range(lanes):
            values[n - 1, lane] = z[_SHIFTED + lane] + q[lane] if z[_MOVES + lane] == 0.0 else math.nan
            z[_SHIFT + lane] = z[_UNIT + lane] * _bound(z[_LEADING + lane], z[_LEADING_2 + lane], n - 1)
    if size > 1:
        for lane in range(lanes):
            x, e, y = z[_Q + lane], z[_Q + LANES + lane], z[_Q + 2 * LANES + lane]
            gap = abs(x - y) + e
            root = gap * math.sqrt(1.0 + 4.0 * (min(x, y) / gap) * (e / gap)) if gap > 0.0 else 0.0
            large = 0.5 * (x + y + e + root)
            values[0, lane] = z[_SHIFTED + lane] + large
            values[1, lane] = z[_SHIFTED + lane] + min(x, y) * (max(x, y) / large)
    elif size > 0:
        for lane in range(lanes):
            values[0, lane] = z[_Q + lane]
    for i in range(size):
        for lane in range(lanes):
            values[i, lane] = math.sqrt(values[i, lane]) / _BIG / z[_SCALE + lane]
    for last in range(size - 1, 0, -1):
        for i in range(last):
            for lane in range(lanes):
                x, y = values[i, lane], values[i + 1, lane]
                values[i, lane], values[i + 1, lane] = max(x, y), min(x, y)


@kernel(ordered=True)
def triangular_values(a: Any, size: int, values: Any) -> None:
    """Singular values, decreasing, of the upper triangular ``a[:size, :size]``, which is destroyed.

    Parameters
    ----------
    a : array of shape (size, size, LANES) or larger
        With zeros below the diagonal.
    values : array of shape (size, LANES) or longer
        As by `bidiagonal_values`.
    """
    lanes = a.shape[2]
    scales = np.zeros(lanes)
    for i in range(size):
        for c in range(i, size):
            for lane in range(lanes):
                scales[lane] += abs(a[i, c, lane])
    for lane in range(lanes):
        scales[lane] = 1.0 / scales[lane]
    # reflections square entries, of which none that counts may vanish
    for i in range(size):
        for c in range(i, size):
            for lane in range(lanes):
                a[i, c, lane] = a[i, c, lane] * scales[lane] * _BIG
    diagonal, above = np.empty((size, lanes)), np.empty((size, lanes))
    _bidiagonal(a, size, diagonal, above)
    bidiagonal_values(diagonal, above, size, values)
    for i in range(size):
        for lane in range(lanes):
            values[i, lane] = values[i, lane] / _BIG / scales[lane]
