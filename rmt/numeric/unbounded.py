"""Leaves of laws with unbounded support: free stable laws (the Cauchy law among them) and the Gaussian law."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
from scipy.special import dawsn, erfc, wofz

from rmt.numeric.jet import ComplexArray, Jet, log1p, log_lower, log_upper
from rmt.numeric.node import Leaf, Linearised, log_like_w

__all__ = ["GaussianLeaf", "PositiveStableLeaf", "StableLeaf", "normal_log_potential", "standard_normal"]

FloatArray = npt.NDArray[np.float64]

# Beyond this |t|**2 the asymptotic series of the standard normal law has reached rounding: exp(-t**2/2) < 1e-17.
_FAR = 80.0
_TERMS = np.arange(1, 41)
# From which |t|**2 on how many of its terms are enough.
_SERIES = ((_FAR, 40), (4 * _FAR, 14), (60 * _FAR, 6), (5e6, 3))
# This close to the real axis the exponentially small part of the transform is half of what it is below it.
_ON_AXIS = 1e-6
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


class StableLeaf(Leaf):
    """The law with R(g) = exp(log_c) g**(alpha - 1); the unknown is log g.

    ``alpha`` in (0, 2], ``log_c`` with an argument such that R lies in the lower half-plane for g there
    (``log R = log_c + (alpha - 1) log g`` is the continued logarithm: no branch is chosen). Gamma is the integral of
    g dR, ``(1 - 1/alpha) exp(log_c) g**alpha`` (derived here).
    """

    positive = False
    tracked = False

    def __init__(self, alpha: float, log_c: complex, unbounded: tuple[bool, bool]) -> None:
        self.alpha, self.log_c = alpha, log_c
        self.unbounded, self.full = unbounded, all(unbounded)
        self.mean, self.variance = 0.0, _stable_size(alpha, log_c) ** 2

    def tail(self) -> tuple[float, complex]:
        return self.alpha, self.log_c

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return -log_z[np.newaxis]

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        # a step in g itself, as for the semicircle law
        return log1p(eps)[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        log_r = self.log_c + (self.alpha - 1) * u[0]
        m = np.exp(log_r + u[0])
        return Linearised(Jet(m, 1 + m, -log_r, self.alpha * m, np.full_like(m, 1 - self.alpha)), m)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        out: ComplexArray = (1 - 1 / self.alpha) * lin.inner
        return out


class PositiveStableLeaf(Leaf):
    """`StableLeaf` of a law on [0, oo), alpha < 1: ``log S = (1/alpha - 1) log m - log_c/alpha``.

    The unknown is log eta: below the edge of the law log g is the same for z from above and from below, and next to
    z = 0, where m = -1, it has no digits left for w = 1 + m.
    """

    positive = True
    unbounded = (False, True)

    def __init__(self, alpha: float, log_c: complex) -> None:
        self.alpha, self.log_c = alpha, log_c
        self.mean = _stable_size(alpha, log_c)
        self.variance = self.mean**2

    def tail(self) -> tuple[float, complex]:
        return self.alpha, self.log_c

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return (self.log_c - self.alpha * log_z)[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        w = 1 / (1 - np.exp(u[0]))
        log_m = u[0] + log_like_w(u[0].imag)(w)
        m, power = np.exp(log_m), 1 / self.alpha - 1
        return Linearised(Jet(m, w, power * log_m - self.log_c / self.alpha, m * w, power * w, u[0]))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        out: ComplexArray = (1 - 1 / self.alpha) * lin.jet.m
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        # as for every explicit S-transform
        out: FloatArray = np.abs(du[0]) / np.maximum(1.0, np.abs(u[0].real) / 2)
        return out


def _stable_size(alpha: float, log_c: complex) -> float:
    """Where |m| has fallen to 1/5 is an eighth of the way to far away: neither mean nor variance exists in general."""
    return math.exp(log_c.real / alpha) * (1.0 if alpha == 2 else max(1.0, 5 ** (1 / alpha) / 8))


class GaussianLeaf(Leaf):
    """Gaussian law; the unknown is z. ``G(z) = -i sqrt(pi/2) w(t/sqrt(2))/sigma``, ``t = (z - mean)/sigma``.

    Faddeeva's w is entire, so that the continuation past the real axis is the function itself.
    """

    positive = False
    unbounded = (True, True)
    full = True

    def __init__(self, variance: float, mean: float) -> None:
        self.variance, self.mean, self.sigma = variance, mean, math.sqrt(variance)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return z[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        t = (u[0] - self.mean) / self.sigma
        g, m, dm = standard_normal(t)
        g, dg, dm = g / self.sigma, -m / self.variance, dm / self.sigma  # dG/dt = -m for the standard law
        m, dm = m + self.mean * g, dm + self.mean * dg
        # w is z g, which keeps its digits next to z = 0, where m -> -1
        return Linearised(Jet(m, u[0] * g, -log_lower(m / g), dm, dg / g - dm / m))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        t = (u[0] - self.mean) / self.sigma
        out: ComplexArray = normal_log_potential(t) + math.log(self.sigma) + lin.jet.log_g
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        t = np.abs(u[0] - self.mean) / self.sigma
        out: FloatArray = np.abs(du[0]) / (self.sigma * np.maximum(1.0, t))
        return out


def standard_normal(t: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """G, m = t G - 1 and dm/dt of the standard normal law, continued to the lower half-plane."""
    g, m, dm = np.empty_like(t), np.empty_like(t), np.empty_like(t)
    square = t.real**2 + t.imag**2
    near = ~(square > _FAR)
    s = t[near]
    g[near] = -1j * math.sqrt(math.pi / 2) * wofz(s / math.sqrt(2))
    m[near] = s * g[near] - 1
    dm[near] = g[near] - s * m[near]
    for (start, count), (end, _) in itertools.pairwise((*_SERIES, (math.inf, 0))):
        far = (square > start) & (square <= end)
        if not np.any(far):
            continue
        # m by its own series, m_2k = (2k - 1)!!, as t G - 1 loses the digits; its k-th term over the one before is
        # (2k - 1)/t**2, and the k-th of t dm/dt is -2k times it
        s = t[far]
        inverse = 1 / (s * s)
        value, weighted = np.zeros_like(s), np.zeros_like(s)
        for k in range(count, 0, -1):
            ratio = (2 * k - 1) * inverse
            value, weighted = ratio * (1 + value), ratio * (k + weighted)
        small = -1j * math.sqrt(math.pi / 2) * _small_exponential(s)
        g[far] = (1 + value) / s + small
        m[far] = value + s * small
        dm[far] = -2 * weighted / s + (1 - s * s) * small
    return g, m, dm


def _small_exponential(t: ComplexArray) -> ComplexArray:
    """What of exp(-t**2/2) belongs to the series: nothing above the axis, half of it on the axis, all of it below."""
    out = np.zeros_like(t)
    seen = t.imag <= _ON_AXIS
    s = t[seen]
    out[seen] = np.where(s.imag < -_ON_AXIS, 2.0, 1.0) * np.exp(-s * s / 2)
    return out


def normal_log_potential(t: ComplexArray) -> ComplexArray:
    """Phi(t) = integral of log(t - x) over the standard normal law, t in the closed upper half-plane."""
    out = np.empty_like(t)
    far = np.abs(t) ** 2 > _FAR
    out[far] = _far_potential(t[far])
    # near the axis Phi = i pi/2 erfc(t/sqrt 2) + a real function with derivative sqrt 2 D(t/sqrt 2), D Dawson's
    near = ~far & (t.imag < 1.5)
    s = t[near]
    nodes = s[:, np.newaxis] / 2 * (1 + _NODES)
    real = s / math.sqrt(2) * np.sum(_WEIGHTS * dawsn(nodes / math.sqrt(2)), axis=1)
    out[near] = 0.5j * math.pi * erfc(s / math.sqrt(2)) + real - (np.euler_gamma + math.log(2)) / 2
    # above it by the integral of G inwards from where the series holds
    above = ~far & ~near
    s = t[above]
    outer = s * np.sqrt(_FAR + 1) / np.abs(s)
    half = ((s - outer) / 2)[:, np.newaxis]
    g = -1j * math.sqrt(math.pi / 2) * wofz((outer[:, np.newaxis] + half * (1 + _NODES)) / math.sqrt(2))
    out[above] = _far_potential(outer) + np.sum(_WEIGHTS * half * g, axis=1)
    return out


def _far_potential(t: ComplexArray) -> ComplexArray:
    """The same by its asymptotic series: log t - sum of m_2k t**-2k/(2k), and on the axis the mass of the tail."""
    series = np.zeros_like(t)
    for k in _TERMS[::-1]:
        # the terms without 1/(2k) are built up inwards
        series = (2 * k - 1) / t**2 * (1 / (2 * k) + series)
    tail = np.zeros_like(t)
    on_axis = np.abs(t.imag) <= _ON_AXIS
    x = t[on_axis]
    side = np.where(x.real >= 0, 1.0, -1.0)
    tail[on_axis] = 0.5j * math.pi * side * erfc(side * x / math.sqrt(2))
    out: ComplexArray = log_upper(t) - series + tail
    return out
