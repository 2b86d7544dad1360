"""The soft edge of random matrices: Fredholm determinants of the Airy kernel, continued to the left by Painlevé II.

With V_s the operator of kernel ``Ai(x + y + s)`` on (0, oo) (Ferrari and Spohn 2005), ``D± = det(1 ± V_s)`` and q the
solution of Painlevé II that behaves as Ai (Hastings and McLeod 1980):

    log(D+ D-) = L,  log(D+/D-)/2 = A,      L' = R = q'^2 - s q^2 - q^4,  A' = -q/2,
    F_1 = D- = exp(L/2 - A),   F_2 = D+ D- = exp(L),   F_4 = (D+ + D-)/2 = exp(L/2) cosh A   (Tracy and Widom 1996).

To the right the determinants are those of Gauss–Legendre quadrature (Bornemann 2010): exponentially convergent, and
through the eigenvalues of V_s and the components of ``Ai(x + s)`` along its eigenvectors every quantity comes as a sum
without cancellation, small tails and derivatives included. To the left 1 - V_s is close to singular and determinants
keep an absolute accuracy only; there q is the solution of a boundary value problem, which is well conditioned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import airy, airye

__all__ = ["LEFT_END", "MEETING_POINT", "SoftEdge", "by_determinant", "by_painleve", "gauss_legendre"]

FloatArray = npt.NDArray[np.float64]

LEFT_END = -32.0  # log F_1 = -1400 there
MEETING_POINT = -2.0
_ORDER = 36  # of the Gauss–Legendre rule
_DECAY = 62.0  # the kernel is cut where exp(-2/3 x^(3/2)) has fallen by exp(-2/3 * 62) = 1e-18
_SCALED_FROM = 2.1  # the scaled function of scipy is the more accurate one from here on
_COLLOCATION = 120
_INTEGRATION = 64


@dataclass(frozen=True)
class SoftEdge:
    """Quantities at the points s, arrays of shape (n,): see the module. ``slope_4`` is F_4'/F_4."""

    log_f2: FloatArray
    half_log_ratio: FloatArray
    r: FloatArray
    q: FloatArray
    log_f4: FloatArray
    slope_4: FloatArray

    def log_cdf(self, beta: int) -> FloatArray:
        """The logarithm of F, with a small relative error however close to 0 it is."""
        if beta == 1:
            return self.log_f2 / 2 - self.half_log_ratio
        if beta == 2:
            return self.log_f2
        return self.log_f4

    def log_slope(self, beta: int) -> FloatArray:
        """The logarithm of F'/F."""
        if beta == 1:
            return np.log((self.r + self.q) / 2)
        if beta == 2:
            return np.log(self.r)
        return np.log(self.slope_4)


@cache
def gauss_legendre(order: int) -> tuple[FloatArray, FloatArray]:
    """Gauss–Legendre rule on (-1, 1), weights to the last digit: in extended precision where there is any."""
    x: Any = np.asarray(np.polynomial.legendre.leggauss(order)[0], dtype=np.longdouble)
    for _ in range(2):
        before, here = x**0, x
        for k in range(2, order + 1):
            before, here = here, ((2 * k - 1) * x * here - (k - 1) * before) / k
        slope = order * (x * here - before) / (x * x - 1)
        x = x - here / slope
    return x.astype(float), (2 / ((1 - x * x) * slope * slope)).astype(float)


def by_determinant(s: FloatArray) -> SoftEdge:
    """Fredholm determinants at the points s, for s >= -2 to 1e-14 (F_4, whose tail is the finest: 1e-13 at s = 8).

    With eigenvalues l_j of V_s and c_j the components of ``Ai(x + s)``: ``L = sum log(1 - l_j^2)``,
    ``A = sum artanh l_j``, ``R = sum c_j^2/(1 - l_j^2)``, ``q = Ai(s) + sum c_j^2 l_j/(1 - l_j^2)``: the derivative of
    ``log det(1 - V_s)`` is half the resolvent ``V_s (1 - V_s)^(-1)`` at (0, 0) (derived here by partial integration).
    ``F_4 - 1`` is the sum of the elementary symmetric functions of the l_j of even degree, and
    ``dl_j/ds = -c_j^2/(2 l_j)``.
    """
    nodes, weights = gauss_legendre(_ORDER)
    length = (np.maximum(s, 0) ** 1.5 + _DECAY) ** (2 / 3) - s
    half = length[:, np.newaxis] / 2
    x, root = half * (1 + nodes), np.sqrt(half * weights)
    rows, columns = np.nonzero(np.tri(_ORDER) * (nodes[:, np.newaxis] + nodes <= 0))  # beyond, it is below rounding
    kernel = np.zeros((s.size, _ORDER, _ORDER))
    kernel[:, rows, columns] = root[:, rows] * root[:, columns] * _relative_airy(x[:, rows] + x[:, columns], s)
    unit = np.where(s > _SCALED_FROM, np.exp(-2 / 3 * np.maximum(s, 0) ** 1.5), 1.0)
    values, vectors = np.linalg.eigh(kernel, UPLO="L")
    values = values * unit[:, np.newaxis]
    components = np.einsum("nij,ni->nj", vectors, root * _relative_airy(x, s) * unit[:, np.newaxis]) ** 2
    regular = components / (1 - values**2)
    log_f2 = np.sum(np.log1p(-(values**2)), axis=1)
    half_log_ratio = np.sum(np.arctanh(values), axis=1)
    r, q = np.sum(regular, axis=1), airy(s)[0] + np.sum(values * regular, axis=1)
    # dl_j/ds = -c_j^2/(2 l_j)
    small = np.abs(values) < 1e-16 * np.max(np.abs(values), axis=1, keepdims=True)
    changes = np.where(small, 0.0, -components / (2 * np.where(small, 1.0, values)))
    order = np.argsort(np.abs(values), axis=1)
    even, odd, even_change, odd_change = (np.zeros(s.shape) for _ in range(4))
    for value, change in zip(
        np.take_along_axis(values, order, axis=1).T, np.take_along_axis(changes, order, axis=1).T, strict=True
    ):
        even_change, odd_change = (
            even_change + value * odd_change + change * odd,
            odd_change + value * even_change + change * (1 + even),
        )
        even, odd = even + value * odd, odd + value * (1 + even)
    return SoftEdge(log_f2, half_log_ratio, r, q, np.log1p(even), even_change / (1 + even))


def _relative_airy(x: FloatArray, s: FloatArray) -> FloatArray:
    """``Ai(x + s)`` over ``exp(-2/3 s^(3/2))`` where s > _SCALED_FROM, for x >= 0 of shape (n, k) and s of shape (n,).

    The exponents are taken from each other before they are rounded: the small eigenvalues of V_s, on which the tail of
    F_4 rests, feel the relative errors of the kernel.
    """
    out = np.empty(x.shape)
    right = s > _SCALED_FROM
    out[~right] = airy(x[~right] + s[~right, np.newaxis])[0]
    x, start = x[right], s[right, np.newaxis]
    end = x + start
    gained = x * (end + np.sqrt(end * start) + start) / (np.sqrt(end) + np.sqrt(start))  # end^(3/2) - start^(3/2)
    out[right] = airye(end)[0] * np.exp(-2 / 3 * gained)
    return out


def by_painleve(s: FloatArray) -> SoftEdge:
    """The same for LEFT_END <= s <= MEETING_POINT, from the Hastings–McLeod solution; relative accuracy 1e-13."""
    q, r = _left_side(s)
    start = by_determinant(np.array([MEETING_POINT]))
    # integrals up to the meeting point, with an error relative to their length
    nodes, weights = gauss_legendre(_INTEGRATION)
    length = MEETING_POINT - s
    q_between, r_between = _left_side(MEETING_POINT - length[:, np.newaxis] * (nodes + 1) / 2)
    log_f2 = start.log_f2 - length * (r_between @ weights) / 2
    half_log_ratio = start.half_log_ratio + length * (q_between @ weights) / 4
    log_f4 = log_f2 / 2 + half_log_ratio + np.log1p(np.exp(-2 * half_log_ratio)) - math.log(2)
    return SoftEdge(log_f2, half_log_ratio, r, q, log_f4, (r - q * np.tanh(half_log_ratio)) / 2)


def _left_side(s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The functions q and ``R = q'^2 - s q^2 - q^4``."""
    t = 2 * (s - LEFT_END) / (MEETING_POINT - LEFT_END) - 1
    q, slope = (np.asarray(np.polynomial.chebyshev.chebval(t, c), dtype=float) for c in _hastings_mcleod())
    return q, slope**2 - s * q**2 - q**4


@cache
def _hastings_mcleod() -> tuple[FloatArray, FloatArray]:
    """Chebyshev coefficients of q and q' on (LEFT_END, MEETING_POINT).

    Collocation for q'' rather than q: integration is well conditioned where differentiation is not.
    """
    chebyshev = np.polynomial.chebyshev
    n = _COLLOCATION
    t = -np.cos(np.pi * np.arange(n) / (n - 1))
    to_coefficients = np.linalg.inv(chebyshev.chebvander(t, n - 1))
    scale = (MEETING_POINT - LEFT_END) / 2
    s = LEFT_END + scale * (t + 1)
    # values -> coefficients of the integral from the left end
    integral = np.column_stack([chebyshev.chebint(c, lbnd=-1, scl=scale) for c in to_coefficients.T])[:n]
    once = chebyshev.chebvander(t, n - 1) @ integral
    twice = once @ once
    start = by_determinant(np.array([MEETING_POINT]))
    ends = _left_asymptotics(LEFT_END), float(start.q[0])
    share = (t + 1) / 2
    from_ends = ends[0] + share * (ends[1] - ends[0])
    green = twice - np.outer(share, twice[-1])  # q'' -> q with 0 at both ends
    q = np.sqrt(-s / 2)
    curvature = s * q + 2 * q**3
    for _ in range(20):
        q = from_ends + green @ curvature
        step = np.linalg.solve(
            np.eye(n) - (s + 6 * q**2)[:, np.newaxis] * green, s * q + 2 * q**3 - curvature
        )
        curvature = curvature + step
        if np.max(np.abs(step)) < 1e-14:
            break
    q = from_ends + green @ curvature
    slope = once @ curvature + (ends[1] - ends[0] - twice[-1] @ curvature) / (2 * scale)
    return to_coefficients @ q, to_coefficients @ slope


def _left_asymptotics(s: float) -> float:
    """The function q far to the left: ``sqrt(-s/2) (1 + 1/(8 s^3) - 73/(128 s^6) + …)`` (Deift and Zhou 1995)."""
    cube = s**-3
    series = 1 + cube * (1 / 8 + cube * (-73 / 128 + cube * (10657 / 1024 - cube * 13912277 / 32768)))
    return math.sqrt(-s / 2) * series
