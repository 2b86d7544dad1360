"""What the laws of finite size share: sizes, refusals, quantiles by logarithmic Newton steps, quadrature."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BEYOND",
    "check_beta",
    "check_size",
    "graded_log_moment",
    "invert",
    "no_node",
    "panels",
    "quantiles_by_tails",
    "sinc_cauchy",
    "upper_tail",
]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# This far beyond the edge of the bulk, in units in which the levels of GUE(n) fill |y| < sqrt(2 n), densities
# are below 1e-340.
BEYOND = 40.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def check_size(name: str, value: Any) -> int:
    """A matrix size as an int.

    Raises
    ------
    ValueError
        If it is no integer, or below 1.
    """
    try:
        size = operator.index(value)
    except TypeError:
        size = 0
    if size < 1:
        raise ValueError(f"{name}={value!r}: expected an integer >= 1, a matrix size")
    return size


def check_beta(value: Any, allowed: tuple[int, ...]) -> int:
    """Dyson's index as an int.

    Raises
    ------
    ValueError
        If it is not one of the allowed numbers.
    """
    if isinstance(value, bool) or value not in allowed:
        meaning = {1: "1 (real)", 2: "2 (complex)", 4: "4 (quaternion)"}
        raise ValueError(f"beta={value!r}: expected {' or '.join(meaning[beta] for beta in allowed)}")
    return int(value)


def no_node(name: str, instead: str) -> NotImplementedError:
    """The error of a free operation on a law of finite size."""
    return NotImplementedError(
        f"{name} is a law of finite size and does not take part in free operations, which hold in the limit of large "
        f"matrices; use {instead}"
    )


def invert(
    log_tail: Callable[[FloatArray], tuple[FloatArray, FloatArray]], grid: FloatArray, targets: FloatArray
) -> FloatArray:
    """Solve ``log_tail(u) = targets`` for u; ``log_tail`` gives a monotone function (-inf allowed) and its derivative.

    Newton steps within brackets, first from the table on the increasing `grid`, which must hold the targets.
    """
    table = log_tail(grid)[0]
    rising = bool(table[-1] >= table[0])
    place = np.searchsorted(table if rising else -table, targets if rising else -targets)
    place = np.clip(place, 1, grid.size - 1)
    low, high = grid[place - 1], grid[place]
    a, b = table[place - 1], table[place]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (targets - a) / (b - a)
    u = low + (high - low) * np.where(np.isfinite(share) & (share > 0) & (share < 1), share, 0.5)
    active, last = np.arange(u.size), np.full(u.shape, np.inf)
    for _ in range(200):
        value, slope = log_tail(u[active])
        gap = value - targets[active]
        above = (gap > 0) == rising
        at = u[active]
        low[active] = np.where(above, low[active], at)
        high[active] = np.where(above, at, high[active])
        with np.errstate(invalid="ignore", divide="ignore"):
            step = at - gap / slope
        usable = np.isfinite(step) & (step >= low[active]) & (step <= high[active])
        new = np.where(gap == 0, at, np.where(usable, step, (low[active] + high[active]) / 2))
        # close to the end Newton's steps are those of rounding: they stop to improve
        rounding = (np.abs(gap) < 1e-9) & (np.abs(gap) >= 0.9 * last[active])
        u[active] = np.where(rounding, at, new)
        last[active] = np.abs(gap)
        active = active[~rounding & (np.abs(new - at) > 4e-16 * np.maximum(np.abs(at), 1e-3))]
        if active.size == 0:
            break
    return u


def upper_tail(log_cdf: Callable[[FloatArray], FloatArray], x: npt.ArrayLike) -> Any:
    """P(X > x) with all its digits, from a function that gives log F with its own (same shape as ``x``)."""
    points = np.asarray(x, dtype=float)
    values = -np.expm1(log_cdf(points.ravel())).reshape(points.shape)
    return float(values) if points.ndim == 0 else values


def quantiles_by_tails(
    logarithms: Callable[[FloatArray], tuple[FloatArray, FloatArray]], grid: FloatArray, q: FloatArray, lower: float
) -> FloatArray:
    """Quantiles from log F and its derivative: by the logarithm of the tail that is the smaller one.

    ``grid`` is that of `invert`; the law lives on (lower, oo).
    """

    def log_sf(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        below, slope = logarithms(x)
        beyond = -np.expm1(below)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(beyond), -slope * np.exp(below) / beyond

    out = np.where(q <= 0, lower, math.inf)
    for chosen, log_tail, tail in (((q > 0) & (q < 0.5), logarithms, q), ((q >= 0.5) & (q < 1), log_sf, 1 - q)):
        if np.any(chosen):
            out[chosen] = invert(log_tail, grid, np.log(tail[chosen]))
    return out


def panels(lower: float, upper: float, count: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of 16-point Gauss–Legendre rules on `count` equal panels."""
    half = (upper - lower) / (2 * count)
    centres = lower + half * (2 * np.arange(count)[:, np.newaxis] + 1)
    return (centres + half * _NODES).ravel(), np.tile(half * _WEIGHTS, count)


def sinc_cauchy(z: ComplexArray, x: FloatArray, masses: FloatArray) -> ComplexArray:
    """``integral f(x)/(z - x) dx`` for Im z >= 0 from ``masses = h f(x)`` on equidistant points of step h.

    The series of sinc functions of a band-limited f, transformed term by term: exact to rounding up to the axis itself
    as soon as the step resolves f (Stenger 1993, §3; each term is ``(1 - exp(i pi t))/t``).
    """
    step = x[1] - x[0]
    out = np.empty(z.shape, dtype=complex)
    for index, point in np.ndenumerate(z):
        t = (point - x) / step
        near = t == 0
        term = np.where(near, -1j * np.pi, -np.expm1(1j * np.pi * t) / np.where(near, 1, t))
        out[index] = np.sum(masses * term) / step
    return out


def graded_log_moment(density: Callable[[FloatArray], FloatArray], lower: float, upper: float, count: int) -> float:
    """E log|X| for a density that is smooth at 0: panels that halve towards 0, equal ones (`count` on each side)."""
    total = 0.0
    for end, sign in ((upper, 1.0), (-lower, -1.0)):
        first = end / count
        x, w = panels(first, end, count)
        ends = first * 0.5 ** np.arange(60)
        half = ends / 4
        inner = (3 * half[:, np.newaxis] + half[:, np.newaxis] * _NODES).ravel()
        x = np.concatenate([x, inner])
        w = np.concatenate([w, (half[:, np.newaxis] * _WEIGHTS).ravel()])
        total += float(np.sum(w * np.log(x) * density(sign * x)))
    return total
