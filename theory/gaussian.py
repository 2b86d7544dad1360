"""Gaussian averages E f(√q Z) and E f(h₁)g(h₂): quadrature rules chosen by the variance q.

A nonlinearity varies on the scale 1 of its argument h, the Gaussian on the scale √q, and q runs over many orders of
magnitude in a deep network.  Three rules cover it, each exact to rounding for the functions named:

* smooth f, q ≤ `SMALL_VARIANCE`: trapezoidal rule in z = h/√q, which converges geometrically for analytic f;
* smooth f, larger q: trapezoidal rule in t, h = 1.5 sinh t.  It resolves both scales with O(log q) nodes, and its nodes
  do not depend on q, so that f needs to be evaluated at them only once.  The strip |Im t| < π/4 maps to a region that
  stays clear of poles on the imaginary axis beyond ±1.06i (tanh has its first at ±iπ/2, the logistic function at ±iπ);
* f with kinks: Gauss–Legendre panels that end at the kinks and grow geometrically away from them.

Gauss–Hermite nodes across a kink converge like n^{-1/2} only and are not used anywhere.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.results import ConvergenceError

__all__ = [
    "SMALL_VARIANCE",
    "composite_legendre",
    "gaussian_average",
    "pair_average",
    "panel_rule",
    "sinh_nodes",
    "sinh_tier",
    "smooth_rule",
]

FloatArray = npt.NDArray[np.float64]

SMALL_VARIANCE = 0.15
_Z_STEP = 0.5
_Z_MAX = 9.0  # the Gaussian weight is 2.6e-18 of its peak there
_T_STEP = 0.125
_T_SCALE = 1.5
_LEGENDRE_NODES = 20
_MAX_REFINEMENTS = 8


def gaussian_average(
    f: Callable[[FloatArray], npt.NDArray[Any]],
    q: float,
    *,
    kinks: tuple[float, ...] = (),
    entire: bool = False,
    tol: float = 1e-13,
) -> Any:
    """Average E f(√q Z) over a standard Gaussian Z, refined until two successive rules agree.

    Parameters
    ----------
    f : callable
        Takes an array of shape (n,), returns real or complex values of shape (..., n): several functions at once.
    q : float
        Variance, q > 0.
    kinks : tuple of floats
        Points at which f or one of its derivatives jumps; f is analytic elsewhere.
    entire : bool
        True for an f that oscillates all along the real line (sin): equally spaced nodes are used at every q.
    tol : float
        Allowed difference of two successive rules, relative to the average of ``|f|``.

    Raises
    ------
    ConvergenceError
        If the finest rule (2⁸ times as many nodes as the first) still disagrees with the one before.
    """
    previous = None
    for level in range(_MAX_REFINEMENTS + 1):
        if kinks:
            nodes, weights = panel_rule(q, kinks, level)
        elif entire:
            nodes, weights = _uniform_rule(q, min(_Z_STEP, 0.2 / math.sqrt(q)) / 2**level)
        else:
            nodes, weights = smooth_rule(q, level)
        values = np.asarray(f(nodes))
        current = values @ weights
        if previous is not None and np.all(np.abs(current - previous) <= tol * (np.abs(values) @ weights)):
            return current
        previous = current
    raise ConvergenceError(
        f"the Gaussian average at q={q!r} did not converge to tol={tol!r}: give the jumps of f as `kinks`, "
        "or move a pole of f away from the real axis"
    )


def smooth_rule(q: float, level: int = 0) -> tuple[FloatArray, FloatArray]:
    """Nodes h and weights of E f(√q Z) for f analytic near the real axis; each level halves the step."""
    if q <= SMALL_VARIANCE:
        return _uniform_rule(q, _Z_STEP / 2**level)
    nodes, jacobian, minus_half_square = sinh_nodes(sinh_tier(q), level)
    return nodes, jacobian * np.exp(minus_half_square / q) / math.sqrt(q)


def sinh_tier(q: float) -> int:
    """Number of the node table that reaches 9√q: few tables, so that values of f can be kept with each."""
    return 0 if q <= 10.0 else 1 if q <= 1e4 else 2 if q <= 1e12 else 3


@functools.cache
def sinh_nodes(tier: int, level: int = 0) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Nodes h = 1.5 sinh t, the weights dh/√(2π) without the Gaussian factor, and -h²/2."""
    step = _T_STEP / 2**level
    largest_q = (10.0, 1e4, 1e12, 1e200)[tier]
    count = math.ceil(math.asinh(_Z_MAX * math.sqrt(largest_q) / _T_SCALE) / step)
    t = step * np.arange(-count, count + 1)
    h = _T_SCALE * np.sinh(t)
    tables = (h, _T_SCALE * step / math.sqrt(2 * math.pi) * np.cosh(t), -0.5 * h * h)
    for table in tables:
        table.flags.writeable = False
    return tables


@functools.lru_cache(maxsize=32)
def _trapezoid(step: float) -> tuple[FloatArray, FloatArray]:
    count = math.ceil(_Z_MAX / step)
    z = np.arange(-count, count + 1, dtype=np.float64) * step
    weights: FloatArray = np.exp(-0.5 * z * z)
    weights /= weights.sum()
    return z, weights


def _uniform_rule(q: float, step: float) -> tuple[FloatArray, FloatArray]:
    z, weights = _trapezoid(step)
    return math.sqrt(q) * z, weights


@functools.cache
def _legendre() -> tuple[FloatArray, FloatArray]:
    x, w = np.polynomial.legendre.leggauss(_LEGENDRE_NODES)
    return np.asarray(x, dtype=np.float64), np.asarray(w, dtype=np.float64)


def composite_legendre(breaks: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gauss–Legendre nodes and weights on every panel between successive `breaks`, each array of shape (n,)."""
    x, w = _legendre()
    half = 0.5 * np.diff(breaks)
    centre = 0.5 * (breaks[1:] + breaks[:-1])
    return (centre[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()


def panel_rule(q: float, kinks: tuple[float, ...], level: int) -> tuple[FloatArray, FloatArray]:
    """Nodes h (increasing) and weights of E f(√q Z) for f analytic between the kinks; each level halves the panels."""
    sigma = math.sqrt(q)
    reach = _Z_MAX * sigma
    # outwards from each kink and from 0: panels of 1, the scale of f, doubling up to 1.5 sigma, that of the weight
    offsets, width = [0.0], min(1.0, 1.5 * sigma)
    while offsets[-1] < 2 * reach:
        offsets.append(offsets[-1] + width)
        width = min(2 * width, 1.5 * sigma)
    steps = np.array(offsets)
    centres = np.array([k for k in (0.0, *kinks) if abs(k) < reach])
    cuts = (centres[:, None] + np.concatenate((-steps, steps))).ravel()
    cuts = np.unique(np.concatenate((cuts[np.abs(cuts) < reach], [-reach, reach])))
    for _ in range(level):
        cuts = np.sort(np.concatenate((cuts, 0.5 * (cuts[1:] + cuts[:-1]))))
    nodes, weights = composite_legendre(cuts)
    weights = weights * np.exp(-0.5 * nodes * nodes / q)
    return nodes, weights / weights.sum()


def pair_average(
    f: Callable[[FloatArray], FloatArray], q: float, rho: float, *, kinks: tuple[float, ...] = ()
) -> float:
    """Average E f(h₁) f(h₂) for (h₁, h₂) Gaussian of variance q and correlation rho.

    f is smooth between its kinks.

    Raises
    ------
    ConvergenceError
        If q > 10⁴ and f is smooth: the tensor rule would need more than about 10⁷ nodes.
    """
    if not kinks:
        return _pair_average_smooth(f, q, rho)
    return _pair_average_by_sectors(f, q, rho) if kinks == (0.0,) else _pair_average_piecewise(f, q, rho, kinks)


def _pair_average_smooth(f: Callable[[FloatArray], FloatArray], q: float, rho: float) -> float:
    # With h₁, h₂ = x ± y, x and y are independent of variances q(1±ρ)/2, and the trapezoidal rule in each converges
    # geometrically however close ρ is to ±1.
    if q > 1e4:
        raise ConvergenceError(
            f"the correlation at pre-activation variance q={q:.3g} needs too fine a rule (q <= 1e4): reduce sigma_w"
        )
    rules = []
    for variance in (0.5 * q * (1.0 + rho), 0.5 * q * (1.0 - rho)):
        # a step of at most 1/4 in h for poles at distance π/2, from a ladder of steps so that cached tables are reused
        halvings = max(0, math.ceil(math.log2(4 * _Z_STEP * math.sqrt(variance)))) if variance > 0 else 0
        rules.append(_uniform_rule(variance, _Z_STEP / 2**halvings))
    (x, weight_x), (y, weight_y) = rules
    middle = len(y) // 2  # the product is even in y
    y, weight_y = y[middle:], np.concatenate(([weight_y[middle]], 2 * weight_y[middle + 1 :]))
    products = f(x[:, None] + y) * f(x[:, None] - y)
    return float(weight_x @ products @ weight_y)


def _pair_average_by_sectors(f: Callable[[FloatArray], FloatArray], q: float, rho: float) -> float:
    # In polar coordinates h₁ = √q r sin t, h₂ = √q r sin(t+ψ), cos ψ = ρ, the kinks lie on the rays t = 0, π-ψ, π and
    # 2π-ψ; the two sectors of width ψ are each other's mirror image.
    psi = math.acos(rho)
    sigma = math.sqrt(q)
    halvings = 2 + max(0, math.ceil(math.log2(sigma)))  # panels shrink to where √q r sin t is of order 1
    radius, radial_weight = composite_legendre(np.append(0.0, _Z_MAX * 0.5 ** np.arange(halvings, -1.0, -1.0)))
    radial_weight = radial_weight * radius * np.exp(-0.5 * radius**2) / (2 * math.pi)
    total = 0.0
    for start, width, multiplicity in ((0.0, math.pi - psi, 1), (math.pi, math.pi - psi, 1), (math.pi - psi, psi, 2)):
        grading = 0.5 ** np.arange(halvings, 0.0, -1.0)
        fractions = np.concatenate(([0.0], grading, 1 - grading[-2::-1], [1.0]))
        angle, angular_weight = composite_legendre(start + width * fractions)
        first = f(sigma * radius[:, None] * np.sin(angle))
        second = f(sigma * radius[:, None] * np.sin(angle + psi))
        total += multiplicity * float(radial_weight @ (first * second) @ angular_weight)
    return total


def _pair_average_piecewise(
    f: Callable[[FloatArray], FloatArray], q: float, rho: float, kinks: tuple[float, ...]
) -> float:
    # With h₁, h₂ = x ± y as in the smooth case: at given x the product has kinks at y = |k - x|, between which it is
    # integrated exactly; what is left is a function of x with kinks where two of these meet.
    if rho == -1.0:
        mirrored = tuple(sorted({*kinks, *(-kink for kink in kinks)}))
        return float(gaussian_average(lambda h: f(h) * f(-h), q, kinks=mirrored))
    spread = math.sqrt(0.5 * q * (1.0 - rho))
    reach = _Z_MAX * spread
    shares, weights = composite_legendre(np.linspace(0.0, 1.0, max(8, math.ceil(reach)) + 1))

    def given(x: FloatArray) -> FloatArray:
        meetings = np.sort(np.clip(np.abs(np.array(kinks)[:, None] - x), 0.0, reach), axis=0)
        cuts = [np.zeros_like(x), *meetings, np.full_like(x, reach)]
        total = np.zeros_like(x)
        for low, high in itertools.pairwise(cuts):
            y = low + (high - low) * shares[:, None]
            products = f(x + y) * f(x - y) * np.exp(-0.5 * (y / spread) ** 2)
            total += (high - low) * (weights @ products)
        return total * math.sqrt(2 / math.pi) / spread

    places = tuple(sorted({0.5 * (a + b) for a in kinks for b in kinks}))
    return float(gaussian_average(given, 0.5 * q * (1.0 + rho), kinks=places, tol=1e-12))
