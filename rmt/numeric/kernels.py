"""Compiled loops of the numeric core; the only module here that imports numba, itself imported at first use.

Every kernel is a plain function of numbers and arrays, so it also runs, slowly, with ``NUMBA_DISABLE_JIT=1``.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

__all__ = ["integrate_resolvent", "walk_explicit"]

_PI = math.pi
# A step may reach this share of the way to the nearest singularity of log z; Newton must contract by _CONTRACTION.
_REACH = 0.5
_CONTRACTION = 0.3
# Newton's third-order steps leave the cube of the last one.
_SMALL = 1e-5
_EPS = 2.220446049250313e-16
_MOST_STEPS = 4000
# Sums may be reordered (that makes them four times faster); NaN and infinity keep their meaning.
_SUMS = {"contract", "nsz", "reassoc"}
# What only compiled code calls needs no other entry, which would take as long to compile as itself.
_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@numba.njit(cache=True, error_model="numpy", inline="always")
def _expand(s: float, angle: float, shift: float, bend: float, ratios: Any, powers: Any) -> Any:
    """Log z, its first two derivatives by u = s + i angle, and the distance to the nearest singularity.

    log z = shift - u + sum c log(1 - t eta) - bend eta/(1 - eta), eta = exp(u).
    """
    size = math.exp(s)
    a, b = size * math.cos(angle), size * math.sin(angle)
    value_re, value_im = shift - s, -angle
    first_re, first_im = -1.0, 0.0
    second_re, second_im = 0.0, 0.0
    reach = 1.0
    for k in range(ratios.size):
        t, c = ratios[k], powers[k]
        ta, tb = t * a, t * b
        x = 1.0 - ta
        square = x * x + tb * tb
        if c != 0.0:
            small = ta * (ta - 2.0) + tb * tb  # |1 - t eta|^2 - 1
            value_re += c * (0.5 * math.log1p(small) if abs(small) < 0.5 else 0.5 * math.log(square))
            value_im += c * math.atan2(-tb, x)
            # t eta/(1 - t eta) and t eta/(1 - t eta)^2
            p, q = (ta * x - tb * tb) / square, tb / square
            first_re -= c * p
            first_im -= c * q
            second_re -= c * (p + p * p - q * q)
            second_im -= c * (q + 2.0 * p * q)
            reach = min(reach, math.sqrt(square) / math.hypot(ta, tb))
    if bend != 0.0:
        x = 1.0 - a
        square = x * x + b * b
        p, q = (a * x - b * b) / square, b / square
        p2, q2 = p + p * p - q * q, q + 2.0 * p * q  # eta/(1 - eta)^2
        value_re -= bend * p
        value_im -= bend * q
        first_re -= bend * p2
        first_im -= bend * q2
        second_re -= bend * (p2 + 2.0 * (p2 * p - q2 * q))
        second_im -= bend * (q2 + 2.0 * (p2 * q + q2 * p))
        reach = min(reach, math.sqrt(square / (a * a + b * b)))
    return value_re, value_im, first_re, first_im, second_re, second_im, reach


@numba.njit(cache=True, error_model="numpy", inline="always")
def _step(gap_re: float, gap_im: float, d1_re: float, d1_im: float, d2_re: float, d2_im: float) -> Any:
    """Root of gap = d1 h + d2 h^2/2 that is small where gap is: regular next to an edge, where d1 vanishes."""
    re = d1_re * d1_re - d1_im * d1_im + 2.0 * (d2_re * gap_re - d2_im * gap_im)
    im = 2.0 * (d1_re * d1_im + d2_re * gap_im + d2_im * gap_re)
    size = math.hypot(re, im)
    root_re = math.sqrt(0.5 * (size + abs(re)))
    root_im = 0.5 * im / root_re if root_re > 0.0 else 0.0
    if re < 0.0:
        root_re, root_im = abs(root_im), math.copysign(root_re, im)
    if root_re * d1_re + root_im * d1_im < 0.0:
        root_re, root_im = -root_re, -root_im
    den_re, den_im = d1_re + root_re, d1_im + root_im
    scale = 2.0 / (den_re * den_re + den_im * den_im)
    return scale * (gap_re * den_re + gap_im * den_im), scale * (gap_im * den_re - gap_re * den_im)


@numba.njit(cache=True, error_model="numpy")
def walk_explicit(
    x: Any,
    middle: int,
    start: complex,
    shift: float,
    bend: float,
    spread: float,
    ratios: Any,
    powers: Any,
    turns: Any,
    mass: float,
    density: Any,
    tail: Any,
    error: Any,
) -> None:
    """Density, P(X > x) of the continuous part and error at ascending x inside one interval, walking both ways.

    ``start`` is u near x[middle] or at any point from which a path inside the interval leads there. Points that are
    not reached are left as they are (NaN). ``spread`` is the sum of the exponents of log S.
    """
    n = x.size
    for way in (1, -1):
        s, angle = start.real, start.imag
        f_re, f_im, d1_re, d1_im, d2_re, d2_im, reach = _expand(s, angle, shift, bend, ratios, powers)
        if abs(f_im) > 0.1:
            return
        position = f_re
        i = middle if way == 1 else middle - 1
        while 0 <= i < n:
            target = math.log(x[i])
            goal = target
            # what the last point leaves open is part of the first increment
            for _ in range(_MOST_STEPS):
                h_re, h_im = _step(goal - f_re, -f_im, d1_re, d1_im, d2_re, d2_im)
                new_s, new_angle = s + h_re, angle + h_im
                size = math.hypot(h_re, h_im)
                accepted = size < _REACH * reach and new_angle < 0.0 and new_angle > -_PI
                if accepted:
                    last = size
                    accepted = False
                    for _ in range(12):
                        g_re, g_im, e1_re, e1_im, e2_re, e2_im, new_reach = _expand(
                            new_s, new_angle, shift, bend, ratios, powers
                        )
                        h_re, h_im = _step(goal - g_re, -g_im, e1_re, e1_im, e2_re, e2_im)
                        size = math.hypot(h_re, h_im)
                        if not size <= max(_CONTRACTION * last, 1e-13):
                            break
                        new_s, new_angle = new_s + h_re, new_angle + h_im
                        if not (-_PI < new_angle < 0.0):
                            break
                        if size < _SMALL * new_reach:
                            accepted = True
                            break
                        last = size
                if accepted:
                    # the expansion is that of the point one increment before: moved along by its own terms
                    s, angle, reach = new_s, new_angle, new_reach
                    f_re, f_im = goal, 0.0
                    d1_re, d1_im = e1_re + e2_re * h_re - e2_im * h_im, e1_im + e2_re * h_im + e2_im * h_re
                    d2_re, d2_im = e2_re, e2_im
                    position = goal
                    if goal == target:
                        break
                    goal = target
                else:
                    goal = 0.5 * (position + goal)
                    if abs(goal - position) < 1e-12:
                        break
            if position != target:
                break
            eta = math.exp(s)
            a, b = eta * math.cos(angle), eta * math.sin(angle)
            square = (1.0 - a) * (1.0 - a) + b * b
            m_re, m_im = mass * (a * (1.0 - a) - b * b) / square, mass * b / square
            turn = 0.0
            terms = abs(s) + abs(shift)
            for k in range(ratios.size):
                part = math.atan2(-ratios[k] * b, 1.0 - ratios[k] * a)
                turn += turns[k] * part
                terms += abs(powers[k] * part)
            density[i] = -m_im / (_PI * x[i])
            tail[i] = (turn - (bend / mass * m_re + spread) * m_im) / _PI
            slope = math.hypot(d1_re, d1_im)
            error[i] = _EPS * (1.0 + terms / slope) * mass * eta / (square * _PI * x[i])
            i += way


@numba.njit(cache=True, error_model="numpy", fastmath=_SUMS, **_INNER)
def _is_near(z_re: float, z_im: float, row: Any) -> bool:
    """Whether z is too close to a node of a straight panel."""
    height = max(z_im, 0.0) ** 2  # a little below the axis is as near as on it
    close = 0.0
    for k in range(row.shape[1]):
        a = z_re - row[0, k]
        close += 1.0 if (a * a + height) * row[2, k] < 1.0 else 0.0
    return close > 0.0


@numba.njit(cache=True, error_model="numpy", fastmath=_SUMS, **_INNER)
def _straight_sums(z_re: float, z_im: float, row: Any, out: Any) -> None:
    """Sums of p/(z - x), p x/(z - x) and p x/(z - x)^2 over the nodes of a straight panel."""
    g_re = g_im = m_re = m_im = d_re = d_im = 0.0
    for k in range(row.shape[1]):
        a = z_re - row[0, k]
        inverse = 1.0 / (a * a + z_im * z_im)
        re, im = a * inverse, -z_im * inverse
        p = row[1, k]
        q = p * row[0, k]
        g_re += p * re
        g_im += p * im
        m_re += q * re
        m_im += q * im
        d_re += q * (re * re - im * im)
        d_im += 2.0 * q * re * im
    out[0], out[1], out[2], out[3], out[4], out[5] = g_re, g_im, m_re, m_im, d_re, d_im


@numba.njit(cache=True, error_model="numpy", fastmath=_SUMS, **_INNER)
def _bent_sums(z_re: float, z_im: float, row: Any, out: Any) -> None:
    """The sums of `_straight_sums` over the complex nodes and masses of a bent panel."""
    g_re = g_im = m_re = m_im = d_re = d_im = 0.0
    for k in range(row.shape[1]):
        x_re, x_im = row[0, k], row[1, k]
        a, b = z_re - x_re, z_im - x_im
        inverse = 1.0 / (a * a + b * b)
        re, im = a * inverse, -b * inverse
        r_re, r_im = row[2, k] * re - row[3, k] * im, row[2, k] * im + row[3, k] * re
        q_re, q_im = r_re * x_re - r_im * x_im, r_re * x_im + r_im * x_re
        g_re += r_re
        g_im += r_im
        m_re += q_re
        m_im += q_im
        d_re += q_re * re - q_im * im
        d_im += q_re * im + q_im * re
    out[0], out[1], out[2], out[3], out[4], out[5] = g_re, g_im, m_re, m_im, d_re, d_im


@numba.njit(cache=True, error_model="numpy", **_INNER)
def _add_logs(z_re: float, z_im: float, x_re: Any, x_im: Any, p_re: Any, p_im: Any, out: Any) -> None:
    """Adds the sum of p log(1 - x/z) to out[6:8], the argument continued from the upper half-plane."""
    size = z_re * z_re + z_im * z_im
    for k in range(x_re.size):
        a = (x_re[k] * z_re + x_im[k] * z_im) / size
        b = (x_im[k] * z_re - x_re[k] * z_im) / size
        re = 0.5 * math.log1p(a * (a - 2.0) + b * b)
        im = math.atan2(0.0 if b == 0.0 else -b, 1.0 - a)
        if im < -0.5 * _PI:
            im += 2.0 * _PI
        out[6] += p_re[k] * re - p_im[k] * im
        out[7] += p_re[k] * im + p_im[k] * re


@numba.njit(cache=True, error_model="numpy", **_INNER)
def _chosen_rows(
    z_re: float, z_im: float, layout: Any, panels: int, straight: Any, rows: Any, near: Any
) -> int:
    """Panels to sum over, in order, and whether z is near to each; how many, or -1 where z is near a branch end."""
    count = 0
    for branch in range(layout.shape[0]):
        first, stop = layout[branch, 0], layout[branch, 1]
        # as many shrinking panels at each end as leave z clear of the remainder
        for end in range(2):
            levels, row = layout[branch, 2 + 2 * end], layout[branch, 3 + 2 * end]
            level = 0
            while _is_near(z_re, z_im, straight[row + level]):
                level += 1
                if level > levels:
                    return -1
            if end == 0:
                first -= level
                rows[count] = row + level
            else:
                stop += level
                rows[count + 1 + stop - first] = row + level
        for row in range(first, stop):
            rows[count + 1 + row - first] = row
        count += stop - first + 2
    for row in range(panels, straight.shape[0] - 1):  # atoms
        rows[count] = row
        count += 1
    for k in range(count):
        near[k] = _is_near(z_re, z_im, straight[rows[k]])
    return count


@numba.njit(cache=True, error_model="numpy")
def integrate_resolvent(
    z: Any, potential: bool, foci: Any, layout: Any, straight: Any, both: Any, up: Any, down: Any, out: Any
) -> None:
    """Integrals of x/(z - x), z/(z - x), -z x/(z - x)^2 and (if asked for) log(1 - x/z); see `QuadratureLeaf`.

    ``straight`` (rows, 3, nodes) holds positions, masses and 1/(the distance to keep)**2, the bent panels (rows, 4,
    nodes) real and imaginary parts of positions and masses. ``layout`` tells the panels of each branch; after the
    panels ``straight`` has the atoms, and a last row that takes the place of all others outside the ellipse ``foci =
    (focus, focus, length of the major axis)``. NaN where z is closer to a branch end than the smallest panel there.
    """
    last = straight.shape[0] - 1
    rows = np.empty(last + 1, dtype=np.int64)
    near = np.zeros(last + 1, dtype=np.bool_)
    sums, total = np.empty(6), np.empty(8)
    nothing = np.zeros(straight.shape[2])
    for i in range(z.size):
        z_re, z_im = z[i].real, z[i].imag
        far = math.hypot(z_re - foci[0], z_im) + math.hypot(z_re - foci[1], z_im) > foci[2]
        if far:
            rows[0], near[0], count = last, False, 1
        else:
            count = _chosen_rows(z_re, z_im, layout, both.shape[0], straight, rows, near)
        if count < 0:
            for j in range(4):
                out[j, i] = complex(math.nan, math.nan)
            continue
        for j in range(8):
            total[j] = 0.0
        for k in range(count):
            row = rows[k]
            lifted_left, lifted_right = k > 0 and near[k - 1], k < count - 1 and near[k + 1]
            if near[k] or lifted_left or lifted_right:
                if near[k] or (lifted_left and lifted_right):
                    bent = both[row]
                elif lifted_right:
                    bent = up[row]
                else:
                    bent = down[row]
                _bent_sums(z_re, z_im, bent, sums)
                if potential:
                    _add_logs(z_re, z_im, bent[0], bent[1], bent[2], bent[3], total)
            else:
                _straight_sums(z_re, z_im, straight[row], sums)
                if potential:
                    _add_logs(z_re, z_im, straight[row, 0], nothing, straight[row, 1], nothing, total)
            for j in range(6):
                total[j] += sums[j]
        out[0, i] = complex(total[2], total[3])
        out[1, i] = complex(z_re * total[0] - z_im * total[1], z_re * total[1] + z_im * total[0])
        out[2, i] = complex(z_im * total[5] - z_re * total[4], -z_re * total[5] - z_im * total[4])
        out[3, i] = complex(total[6], total[7])
