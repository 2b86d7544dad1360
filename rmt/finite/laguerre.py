"""Sums over Laguerre functions: density and tails of the Wishart ensembles, in one pass of stable recurrences.

``psi_k(y) = sqrt(k!/Gamma(k + a + 1)) y**(a/2) exp(-y/2) L_k^(a)(y)``, orthonormal on (0, oo); below
``b_k = sqrt(k (k + a))``, ``K_k = sum_(j<k) psi_j**2``, ``v_k = psi_k/sqrt(y)``.

Integrals are taken from y to the nearer end, the side s = +1 for (y, oo) and s = -1 for (0, y), so that both tails keep
their digits. The identities, derived here from ``2 y psi_k' = -psi_k + b_(k+1) psi_(k+1) - b_k psi_(k-1)``:

    (y K_k)' = b_k psi_k psi_(k-1),          (2 sqrt(y) psi_k)' = b_(k+1) v_(k+1) - b_k v_(k-1),
    I_k = I_(k-1) + s y (K_k/b_k**2 - psi_k psi_(k-1)/b_k)                  for I_k, the integral of psi_k**2,
    e_(k+1) = (b_k e_(k-1) - 2 s sqrt(y) psi_k)/b_(k+1)                     for e_k, the integral of v_k,
    Z_k = b_(k-1)/b_k (e_(k-2) e_(k-1) - Z_(k-1)) + 2 s/b_k (I_(k-1) - sqrt(y) psi_(k-1) e_(k-1))
                                                                            for Z_k, the integral of v_k e_(k-1).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincc

from rmt.finite.scaling import LN2_HIGH, LN2_LOW, RESCALE_EVERY, rescaling

__all__ = ["laguerre_functions", "orthogonal_sums", "unitary_sums"]

FloatArray = npt.NDArray[np.float64]


def _log_weight(y: FloatArray, a: int, exponent: FloatArray) -> FloatArray:
    """``a log y - y - log Gamma(a + 1) + 2 exponent ln 2``: the large parts are taken from each other first."""
    turned = 2 * exponent * LN2_HIGH - (y - a), 2 * exponent * LN2_LOW
    if a == 0:
        return np.asarray(turned[0] + turned[1])
    ratio = (y - a) / a
    with np.errstate(divide="ignore"):
        logarithm = np.where(ratio > -0.5, np.log1p(np.maximum(ratio, -0.5)), np.log(y / a))
    if a < 20:
        rest = math.lgamma(a + 1) - a * math.log(a) + a
    else:  # Stirling's series, DLMF 5.11.1
        rest = math.log(2 * math.pi * a) / 2 + 1 / (12 * a) - 1 / (360 * a**3) + 1 / (1260 * a**5) - 1 / (1680 * a**7)
    return np.asarray((turned[0] + a * logarithm) + (turned[1] - rest))


class _Recurrence:
    """psi_k without its weight, ``q_k = sqrt(C_k) l_k``, ``l_k = L_k(y)/L_k(0)``, ``C_k = binomial(k + a, k)``.

    Next to y = 0 the terms of the three-term recurrence cancel; the step to the next one, kept as a number of its own,
    does not: ``(k + 1 + a) (l_(k+1) - l_k) = k (l_k - l_(k-1)) - y l_k``.
    """

    def __init__(self, y: FloatArray, a: int) -> None:
        self.y, self.a, self.k = y, a, 0
        self.exponent = np.zeros(y.shape)
        self.before, self.here, self.step = np.zeros(y.shape), np.ones(y.shape), np.zeros(y.shape)

    def advance(self) -> FloatArray | None:
        """To the next index; every few steps the factors by which all that hangs on the values must be multiplied."""
        k, a = self.k, self.a
        grown = math.sqrt((k + 1 + a) / (k + 1))
        step = (k * self.step - self.y * self.here) / (k + 1 + a)
        self.before, self.here, self.step = self.here, (self.here + step) * grown, step * grown
        self.k += 1
        if self.k % RESCALE_EVERY:
            return None
        factor = rescaling(self.here, self.exponent)
        self.before, self.here, self.step = self.before * factor, self.here * factor, self.step * factor
        return factor

    def weight(self) -> FloatArray:
        """The square of what the values must be multiplied by."""
        out: FloatArray = np.exp(_log_weight(self.y, self.a, self.exponent))
        return out

    def root_weight(self) -> FloatArray:
        """What the values must be multiplied by."""
        out: FloatArray = np.exp(_log_weight(self.y, self.a, self.exponent) / 2)
        return out


def laguerre_functions(y: FloatArray, n: int, a: int) -> FloatArray:
    """psi_0 … psi_(n-1) at the points y > 0, shape (n, …); of the sizes 1e-300 and below nothing is kept."""
    walk = _Recurrence(np.ravel(y), a)
    out = np.zeros((n, walk.y.size))
    for k in range(n):
        out[k] = walk.here * walk.root_weight()
        walk.advance()
    return out.reshape(n, *np.shape(y))


def unitary_sums(y: FloatArray, n: int, a: int, side: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``K_n(y)`` and its integral to the end on the given side (+1: oo, -1: 0), for y > 0."""
    walk = _Recurrence(y, a)
    density, gained, tail = np.zeros(y.shape), np.zeros(y.shape), np.zeros(y.shape)
    for k in range(n):
        density += walk.here * walk.here
        tail += gained
        b = math.sqrt((k + 1) * (k + 1 + a))
        factor = walk.advance()
        if factor is not None:
            square = factor * factor
            density, gained, tail = density * square, gained * square, tail * square
        gained = gained + side * y * (density / b - walk.here * walk.before) / b
    weight = walk.weight()
    return density * weight, n * _first(y, a + 1, side) + tail * weight


def orthogonal_sums(y: FloatArray, n: int, a: int, side: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Level density of n levels with weights ``y**((a-1)/2) exp(-y/2)`` and |Vandermonde|, and its integral.

    ``K_(n-1) + v_(n-1) (kappa + s b_(n-1)/2 e_(n-2))``; for s = +1 ``kappa = 1/T_(n-1)`` for odd n and
    ``-b_(n-1) T_(n-2)/4`` for even n, ``T_k`` the integral of v_k over (0, oo) (derived here: the level kernel is
    the projection onto the first n functions along the orthogonal complement of the first n - 1 and one function more;
    equivalent to Adler, Forrester, Nagao and van Moerbeke 2000, §4). For s = -1 and even n kappa changes its sign.
    """
    walk = _Recurrence(y, a)
    root = np.sqrt(y)
    zero = np.zeros(y.shape)
    density, gained, tail = zero.copy(), zero.copy(), zero.copy()
    # e_k = share_k e_0 + w_k and Z_k = s zeta_k I_0 + along_k e_0 + z_k, all but e_0 and I_0 in units of the weight
    w_before, w = zero, zero
    share_before, share = 0.0, 1.0
    zeta, along, z = 0.0, zero, zero
    b = 0.0
    for k in range(n - 1):
        density += walk.here * walk.here
        tail += gained
        following = math.sqrt((k + 1) * (k + 1 + a))
        ratio, twice = b / following, 2 / following
        here = root * walk.here
        zeta = twice - ratio * zeta
        along = ratio * (share_before * w + share * w_before - along) - side * (twice * share) * here
        z = ratio * (w_before * w - z) + side * twice * (gained - here * w)
        w_before, w = w, ratio * w_before - side * twice * here
        share_before, share = share, ratio * share_before
        b = following
        factor = walk.advance()
        if factor is not None:
            square = factor * factor
            density, gained, tail, z = density * square, gained * square, tail * square, z * square
            w_before, w, along = w_before * factor, w * factor, along * factor
        gained = gained + side * y * (density / b - walk.here * walk.before) / b
    unit = walk.root_weight()
    whole = math.exp((a + 1) / 2 * math.log(2) + math.lgamma((a + 1) / 2) - math.lgamma(a + 1) / 2)
    if n % 2:
        kappa: FloatArray | float = 1 / (whole * share)
    else:
        kappa = -side * (b * whole * share_before / 4)
    first, square = _first(y, a + 1, side), whole * _first(y / 2, (a + 1) / 2, side)
    last_but_one, last = share_before * square + w_before * unit, share * square + w * unit
    mixed = side * zeta * first + along * square * unit + z * unit * unit
    weight = unit * unit
    density = density * weight + walk.here * unit / root * (kappa + side * (b / 2) * last_but_one)
    tail = (n - 1) * first + tail * weight + kappa * last + side * (b / 2) * mixed
    return density, tail


def _first(y: FloatArray, order: float, side: FloatArray) -> FloatArray:
    """Integral of the normalised weight ``y**(order-1) exp(-y)`` to the end on the given side."""
    out: FloatArray = np.where(side > 0, gammaincc(order, y), gammainc(order, y))
    return out
