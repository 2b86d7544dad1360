"""Is it a law? Necessary conditions on moments, and Nevanlinna's condition on a solved system.

A function G is the Cauchy transform of a probability law iff it is analytic on the upper half-plane with Im G <= 0
there and z G -> 1 (Akhiezer, The classical moment problem, 1965, chapter 3). A system that is continued from infinity,
where z G -> 1, is tested on lines through the upper half-plane, down to the real axis: that it has a solution, that
Im G <= 0 (on [0, oo) also Im z G <= 0), and that its potential changes by the integral of G, which fails between two
points on different branches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rmt.numeric.continuation import Solution, solve
from rmt.numeric.jet import ComplexArray
from rmt.numeric.node import Node

__all__ = ["moment_violation", "transform_violation"]

FloatArray = npt.NDArray[np.float64]

# Rounding of moments that were computed in floats, relative.
_ROUNDING = 1e-12
_SIGN = 1e-8
_JUMP = 1e-4
_REFINEMENTS = 3
# Steps of the distribution function that are looked into, and how often the worst cell is divided by 16.
_STEP = 5e-3
_SEARCHES = 9
# Heights of the lines in standard deviations, angles of the rays of laws on [0, oo).
_HEIGHTS = (0.6, 0.12)
_ANGLES = (2.0, 0.3)


def moment_violation(moments: Sequence[float], positive: bool) -> str | None:
    """What forbids that numbers are the moments m_1, m_2, … of a law (on [0, oo) if ``positive``), or None.

    They are moments iff no Hankel determinant of (m_(i+j)) is negative, on [0, oo) nor of (m_(i+j+1)) (Stieltjes).
    """
    mean = Fraction(moments[0])
    if positive and mean <= 0:
        return f"the mean is {moments[0]:.6g}, and that of a law on [0, oo) is positive"
    raw = [Fraction(1), *(Fraction(m) for m in moments)]
    central = [
        sum((math.comb(k, j) * raw[j] * (-mean) ** (k - j) for j in range(k + 1)), Fraction(0)) for k in range(len(raw))
    ]
    noise = [
        _ROUNDING * float(sum(math.comb(k, j) * abs(raw[j] * mean ** (k - j)) for j in range(k + 1)))
        for k in range(len(raw))
    ]
    if central[2] < -noise[2]:
        return f"the variance is {float(central[2]):.6g}"
    order = _first_negative(central, noise)
    if order is not None:
        return f"the Hankel determinant of the moments m_0 … m_{2 * order} is negative"
    if positive:
        order = _first_negative(raw[1:], [_ROUNDING * abs(float(m)) for m in raw[1:]])
        if order is not None:
            return f"the Hankel determinant of the moments m_1 … m_{2 * order + 1}, of a law on [0, oo), is negative"
    return None


def _first_negative(moments: Sequence[Fraction], noise: Sequence[float]) -> int | None:
    """Order of the first Hankel determinant that is negative beyond the noise of the moments; exact elimination."""
    size = (len(moments) + 1) // 2
    rows: list[list[Fraction]] = []  # of the inverse of the unit lower triangular factor
    pivots: list[Fraction] = []
    for k in range(size):
        row = [Fraction(0)] * k + [Fraction(1)]
        for previous, pivot in zip(rows, pivots, strict=True):
            weight = sum((c * moments[k + i] for i, c in enumerate(previous)), Fraction(0)) / pivot
            for i, c in enumerate(previous):
                row[i] -= weight * c
        # the pivot is the mean square of the k-th orthogonal polynomial, whose coefficients are this row
        pivot = sum((a * b * moments[i + j] for i, a in enumerate(row) for j, b in enumerate(row)), Fraction(0))
        doubt = sum(abs(float(a * b)) * noise[i + j] for i, a in enumerate(row) for j, b in enumerate(row))
        if pivot < -doubt:
            return k
        if pivot <= doubt:
            return None  # finitely many atoms, or no digits left
        rows.append(row)
        pivots.append(pivot)
    return None


def transform_violation(node: Node) -> str | None:
    """What forbids that a system is that of a law, and where, or None."""
    paths = _lines(node) + (_rays(node) if node.positive else [])
    points = np.concatenate(paths)
    s = solve(node, points, insist=False, from_afar=True)
    lost = np.flatnonzero(~s.converged & (points.imag > 0))
    if lost.size:
        # a few of them with all means: if these are found, so are the others
        few = lost[np.linspace(0, lost.size - 1, min(3, lost.size)).astype(np.intp)]
        missing = points[few[~solve(node, points[few], from_afar=True).converged]]
        if missing.size:
            return f"no solution could be followed to z = {_number(missing[0])}: the transform is not analytic above it"
    sign = _sign_violation(points, s, node)
    if sign is not None:
        return sign
    ends = np.cumsum([path.size for path in paths])
    for path, end in zip(paths, ends, strict=True):
        here = slice(end - path.size, end)
        if path[0].imag == 0:
            violation = _step(node, path, s.g[here], s.potential[here], s.converged[here])
        else:
            violation = _jump(node, path, s.g[here], s.potential[here], s.converged[here])
        if violation is not None:
            return violation
    return None


def _lines(node: Node) -> list[ComplexArray]:
    """Horizontal lines, dense in the middle, an odd number of points each; the last is on the real axis."""
    size = np.sqrt(node.variance)
    out = []
    for height in (*_HEIGHTS, 0.0):
        s = np.linspace(-4, 4, 2 * int(4 / (height or 0.04)) + 1)
        out.append(node.mean + size * (np.sinh(s) + 1j * height))
    return out


def _rays(node: Node) -> list[ComplexArray]:
    """Rays from 0, equidistant in the logarithm, an odd number of points each; the last is the positive axis."""
    top = np.log(30 * (node.mean + node.variance / node.mean))
    out = []
    for angle in (*_ANGLES, 0.0):
        s = np.linspace(top - 16, top, 2 * int(8 / (angle or 0.12)) + 1)
        out.append(np.exp(s) * (np.exp(1j * angle) if angle else 1))
    return out


def _jump(
    node: Node, path: ComplexArray, g: ComplexArray, potential: ComplexArray, seen: npt.NDArray[np.bool_]
) -> str | None:
    """A place on a path in the open upper half-plane where the potential does not change by the integral of G."""
    for sweep in range(_REFINEMENTS):
        left, middle, right = path[:-2:2], path[1::2], path[2::2]
        integral = _quadratic_integral(left, middle, right, g[:-2:2], g[1::2], g[2::2])
        jumps = np.abs(potential[2::2] - potential[:-2:2] - integral)
        jumps[~(seen[:-2:2] & seen[1::2] & seen[2::2])] = 0
        cell = int(np.argmax(jumps))
        if jumps[cell] < _JUMP:
            return None
        if sweep == _REFINEMENTS - 1:
            break
        path = left[cell] + (right[cell] - left[cell]) * np.linspace(0, 1, 33)
        s = solve(node, path, insist=False, from_afar=True)
        g, potential, seen = s.g, s.potential, s.converged
    return f"G jumps near z = {_number(middle[cell])}: the transform is not analytic above the support"


def _step(
    node: Node, path: ComplexArray, g: ComplexArray, potential: ComplexArray, seen: npt.NDArray[np.bool_]
) -> str | None:
    """A point of the real axis where the distribution function steps although there is no atom."""
    seen = seen & np.isfinite(potential)
    x, cdf, density = path.real[seen], 1 - potential.imag[seen] / np.pi, -g.imag[seen] / np.pi
    for _ in range(_SEARCHES):
        unexplained = np.abs(np.diff(cdf) - np.diff(x) * (density[1:] + density[:-1]) / 2)
        if node.positive:
            unexplained[(x[:-1] <= 0) & (x[1:] >= 0)] = 0  # an atom or a hard edge at 0
        cell = int(np.argmax(unexplained))
        if unexplained[cell] < _STEP:
            return None
        x = np.linspace(x[cell], x[cell + 1], 17)
        s = solve(node, x, insist=False, from_afar=True)
        fine = s.converged & np.isfinite(s.potential)  # not on an atom
        x, cdf, density = (v[fine] for v in (x, 1 - s.potential.imag / np.pi, -s.g.imag / np.pi))
        if x.size < 2:
            return None
    height, centre = x[-1] - x[0], (x[0] + x[-1]) / 2
    above = solve(node, np.array([centre + 1j * height]), from_afar=True)
    if -height * above.g.imag[0] > unexplained[cell] / 2:
        return None  # an atom
    return f"its distribution function steps by {unexplained[cell]:.3g} at x = {centre:.6g}, where it has no atom"


def _quadratic_integral(
    a: ComplexArray, b: ComplexArray, c: ComplexArray, fa: ComplexArray, fb: ComplexArray, fc: ComplexArray
) -> ComplexArray:
    """Integral from a to c of the parabola through three points on a path."""
    first, second = b - a, c - b
    slope, curvature = (fb - fa) / first, ((fc - fb) / second - (fb - fa) / first) / (c - a)
    length = c - a
    out: ComplexArray = length * (fa + slope * length / 2 + curvature * length * (length / 3 - first / 2))
    return out


def _sign_violation(points: ComplexArray, s: Solution, node: Node) -> str | None:
    # where G nearly vanishes, as in the middle of a symmetric law, its sign is rounding
    for name, values, floor in [
        ("G(z)", s.g, 1e-3 / np.sqrt(node.variance)),
        *([("z G(z)", 1 + s.m, 1e-3)] if node.positive else []),
    ]:
        share = np.where(s.converged, values.imag / np.maximum(np.abs(values), floor), 0.0)
        k = int(np.argmax(share))
        if share[k] > _SIGN:
            return f"Im {name} = {values.imag[k]:.3g} > 0 at z = {_number(points[k])}"
    return None


def _number(z: complex) -> str:
    return f"{z.real:.4g}" if z.imag == 0 else f"{z.real:.4g}{z.imag:+.4g}j"
