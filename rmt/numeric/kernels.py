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


@numba.njit(cache=True, error_model="numpy", fastmath=_SUMS)
def _straight_sums(z_re: float, z_im: float, x: Any, p: Any, clearance: Any) -> Any:
    """Sums of p/(z - x), p x/(z - x) and p x/(z - x)^2 over real nodes, and whether z keeps clear of all of them.

    ``clearance`` holds 1/(the distance to keep)**2.
    """
    g_re = g_im = m_re = m_im = d_re = d_im = 0.0
    height = max(z_im, 0.0) ** 2  # a little below the axis is as near as on it
    close = 0.0
    for k in range(x.size):
        a = z_re - x[k]
        inverse = 1.0 / (a * a + z_im * z_im)
        re, im = a * inverse, -z_im * inverse
        q = p[k] * x[k]
        g_re += p[k] * re
        g_im += p[k] * im
        m_re += q * re
        m_im += q * im
        d_re += q * (re * re - im * im)
        d_im += 2.0 * q * re * im
        close += 1.0 if (a * a + height) * clearance[k] < 1.0 else 0.0
    return g_re, g_im, m_re, m_im, d_re, d_im, close == 0.0


@numba.njit(cache=True, error_model="numpy", fastmath=_SUMS)
def _bent_sums(z_re: float, z_im: float, x_re: Any, x_im: Any, p_re: Any, p_im: Any) -> Any:
    """The sums of `_straight_sums` over complex nodes and masses."""
    g_re = g_im = m_re = m_im = d_re = d_im = 0.0
    for k in range(x_re.size):
        a, b = z_re - x_re[k], z_im - x_im[k]
        inverse = 1.0 / (a * a + b * b)
        re, im = a * inverse, -b * inverse
        r_re, r_im = p_re[k] * re - p_im[k] * im, p_re[k] * im + p_im[k] * re
        q_re, q_im = r_re * x_re[k] - r_im * x_im[k], r_re * x_im[k] + r_im * x_re[k]
        g_re += r_re
        g_im += r_im
        m_re += q_re
        m_im += q_im
        d_re += q_re * re - q_im * im
        d_im += q_re * im + q_im * re
    return g_re, g_im, m_re, m_im, d_re, d_im


@numba.njit(cache=True, error_model="numpy")
def _log_sum(z_re: float, z_im: float, x_re: Any, x_im: Any, p_re: Any, p_im: Any) -> Any:
    """Sum of p log(1 - x/z), the argument continued from the upper half-plane."""
    out_re = out_im = 0.0
    size = z_re * z_re + z_im * z_im
    for k in range(x_re.size):
        a = (x_re[k] * z_re + x_im[k] * z_im) / size
        b = (x_im[k] * z_re - x_re[k] * z_im) / size
        re = 0.5 * math.log1p(a * (a - 2.0) + b * b)
        im = math.atan2(0.0 if b == 0.0 else -b, 1.0 - a)
        if im < -0.5 * _PI:
            im += 2.0 * _PI
        out_re += p_re[k] * re - p_im[k] * im
        out_im += p_re[k] * im + p_im[k] * re
    return out_re, out_im


@numba.njit(cache=True, error_model="numpy")
def integrate_resolvent(
    z: Any,
    potential: bool,
    centre: float,
    half: float,
    far_ellipse: float,
    far: Any,
    atoms: Any,
    layout: Any,
    straight: Any,
    both: Any,
    up: Any,
    down: Any,
    out: Any,
) -> None:
    """Integrals of x/(z - x), z/(z - x), -z x/(z - x)^2 and (if asked for) log(1 - x/z); see `QuadratureLeaf`.

    The rows of ``far`` and ``atoms`` are positions and masses; ``straight`` (rows, 3, nodes) holds positions, masses
    and 1/(the distance to keep)**2, the bent panels (rows, 4, nodes) real and imaginary parts of positions and masses.
    NaN where z is closer to a branch end than the smallest panel there.
    """
    longest = straight.shape[0] + 2
    rows = np.empty(longest, dtype=np.int64)
    near = np.empty(longest, dtype=np.bool_)
    sums = np.empty((longest, 6))
    total = np.empty(6)
    nothing = np.zeros(max(far.shape[1], atoms.shape[1], straight.shape[2]))
    for i in range(z.size):
        z_re, z_im = z[i].real, z[i].imag
        y = (z[i] - centre) / half
        if abs(y + np.sqrt(y - 1.0) * np.sqrt(y + 1.0)) > far_ellipse:
            g_re, g_im, m_re, m_im, d_re, d_im, _ = _straight_sums(z_re, z_im, far[0], far[1], nothing)
            logs = complex(0.0, 0.0)
            if potential:
                part_re, part_im = _log_sum(z_re, z_im, far[0], nothing, far[1], nothing)
                logs = complex(part_re, part_im)
            total[0], total[1], total[2], total[3], total[4], total[5] = g_re, g_im, m_re, m_im, d_re, d_im
            resolved = True
        else:
            g_re, g_im, m_re, m_im, d_re, d_im, _ = _straight_sums(z_re, z_im, atoms[0], atoms[1], nothing)
            total[0], total[1], total[2], total[3], total[4], total[5] = g_re, g_im, m_re, m_im, d_re, d_im
            logs = complex(0.0, 0.0)
            if potential:
                part_re, part_im = _log_sum(z_re, z_im, atoms[0], nothing, atoms[1], nothing)
                logs = complex(part_re, part_im)
            resolved = True
            for branch in range(layout.shape[0]):
                first, stop = layout[branch, 0], layout[branch, 1]
                # as many shrinking panels at each end as leave z clear of the remainder
                for end in range(2):
                    levels, rest = layout[branch, 2 + 2 * end], layout[branch, 3 + 2 * end]
                    level = 0
                    while True:
                        row = rest + level
                        g_re, g_im, m_re, m_im, d_re, d_im, clear = _straight_sums(
                            z_re, z_im, straight[row, 0], straight[row, 1], straight[row, 2]
                        )
                        if clear or level == levels:
                            break
                        level += 1
                    resolved = resolved and clear
                    if end == 0:
                        first -= level
                        place = 0
                    else:
                        stop += level
                        place = stop - first + 1
                    rows[place], near[place] = row, False
                    sums[place, 0], sums[place, 1], sums[place, 2] = g_re, g_im, m_re
                    sums[place, 3], sums[place, 4], sums[place, 5] = m_im, d_re, d_im
                count = stop - first + 2
                for k in range(1, count - 1):
                    row = first + k - 1
                    g_re, g_im, m_re, m_im, d_re, d_im, clear = _straight_sums(
                        z_re, z_im, straight[row, 0], straight[row, 1], straight[row, 2]
                    )
                    rows[k], near[k] = row, not clear
                    sums[k, 0], sums[k, 1], sums[k, 2] = g_re, g_im, m_re
                    sums[k, 3], sums[k, 4], sums[k, 5] = m_im, d_re, d_im
                for k in range(count):
                    row = rows[k]
                    lifted_left, lifted_right = k > 0 and near[k - 1], k < count - 1 and near[k + 1]
                    if near[k] or (lifted_left and lifted_right):
                        bent = both[row]
                    elif lifted_right:
                        bent = up[row]
                    elif lifted_left:
                        bent = down[row]
                    else:
                        for j in range(6):
                            total[j] += sums[k, j]
                        if potential:
                            flat = straight[row]
                            part_re, part_im = _log_sum(z_re, z_im, flat[0], nothing, flat[1], nothing)
                            logs += complex(part_re, part_im)
                        continue
                    g_re, g_im, m_re, m_im, d_re, d_im = _bent_sums(z_re, z_im, bent[0], bent[1], bent[2], bent[3])
                    total[0] += g_re
                    total[1] += g_im
                    total[2] += m_re
                    total[3] += m_im
                    total[4] += d_re
                    total[5] += d_im
                    if potential:
                        part_re, part_im = _log_sum(z_re, z_im, bent[0], bent[1], bent[2], bent[3])
                        logs += complex(part_re, part_im)
        if resolved:
            out[0, i] = complex(total[2], total[3])
            out[1, i] = z[i] * complex(total[0], total[1])
            out[2, i] = -z[i] * complex(total[4], total[5])
            out[3, i] = logs
        else:
            out[:, i] = np.nan
