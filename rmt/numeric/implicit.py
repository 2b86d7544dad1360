"""Leaves of laws given by an S-, R- or moment transform that a user wrote.

Each transform is a function in the plane, real on the real axis, that is analytic where the law needs it: S on the
values of m, R on those of g (both in the lower half-plane), psi on the upper half-plane. The potentials are integrals
along paths that are straight in a logarithm, so that hard edges and far tails cost no more than the bulk (derived
here).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rmt.numeric.analytic import Analytic, gauss_panel, log_panel, path_integral, upper_jet
from rmt.numeric.endpoints import Tail
from rmt.numeric.jet import ComplexArray, Jet, continued_log, log1p, log_lower, log_of_w, log_upper
from rmt.numeric.node import Leaf, Linearised, log_like_w
from rmt.numeric.resolvent import ResolventLeaf

__all__ = ["RLeaf", "SLeaf", "psi_leaf"]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

# Radius of the circles of derivatives, relative to the distance from the singularities that are always there.
_RADIUS = 0.05
_REACH = 0.2
_ROUNDING = 1e-6
# The part of a vertical ray below this share of the other lengths contributes nothing.
_LOWEST = 1e-18
# A fractional power of s at the start of a path is smooth enough in v, s = v to this power.
_SMOOTHING = 8
# Beyond this many spectral radii the potential is the series in the moments.
_FAR = 6.0
_ON_AXIS = 1e-15
# Below this size of psi = z G - 1 its tail, a power, is as good as its digits.
_FEW_DIGITS = 1e-8


class SLeaf(Leaf):
    """A law on [0, oo) with S-transform ``s`` and the mass ``1 - mass`` at 0.

    ``near``, if there is one, is a pair: S as a function of w at ``m = mass (w - 1)``, which loses no digits at w = 0,
    where the law has a hard edge or its atom, and the |w| below which to use it. As in
    `rmt.numeric.leaves.ExplicitSLeaf`, the unknown is log eta of the part away from 0, ``eta = m/(m + mass)``, and w
    here is the w of that part. ``far`` is the tail of an S that is not analytic at 0.
    """

    positive = True

    def __init__(
        self,
        s: Analytic,
        near: tuple[Analytic, float] | None,
        mean: float,
        variance: float,
        mass: float,
        far: Tail | None = None,
    ) -> None:
        self.s, self.near, self.mass, self.far = s, near, mass, far
        self.mean, self.variance = mean, variance
        if far is not None:
            self.unbounded = far.unbounded

    def tail(self) -> tuple[float, complex]:
        return super().tail() if self.far is None else (self.far.order, self.far.log_scale)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        order, log_scale = self.tail()
        out: ComplexArray = (log_scale - np.log(self.mass) - order * log_z)[np.newaxis]
        return out

    def _value(self, w: ComplexArray) -> ComplexArray:
        """S for w in the lower half-plane."""
        near, below = self.near or (self.s, 0.0)
        close = np.abs(w) < below
        out = self.s(self.mass * (w - 1))
        out[close] = near(w[close])
        return out

    def _jet(self, w: ComplexArray, w_less_one: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
        """(S, d log S/dm) for w in the lower half-plane; w - 1 is given with all its digits."""
        value, slope = np.empty_like(w), np.empty_like(w)
        near, below = self.near or (None, 0.0)
        close = np.abs(w) < below
        if near is not None and np.any(close):
            value[close], by_w = near.jet(w[close], _RADIUS * np.abs(w[close]))
            slope[close] = by_w / self.mass
        if not np.all(close):
            m, room = self.mass * w_less_one[~close], np.abs(w[~close])
            if self.far is not None:
                room = np.minimum(room, np.abs(w_less_one[~close]))
            value[~close], slope[~close] = self.s.jet(m, _RADIUS * self.mass * room)
        return value, slope / value

    def linearise(self, u: ComplexArray) -> Linearised:
        log = log_like_w(u[0].imag)
        # beyond arg z = pi everything is the complex conjugate of what it is on this side
        mirrored = u[0].imag < -np.pi
        eta = np.exp(np.where(mirrored, u[0].conj(), u[0]))
        own_w = 1 / (1 - eta)
        value, rate = self._jet(own_w, eta * own_w)
        own_w, value, rate = (np.where(mirrored, x.conj(), x) for x in (own_w, value, rate))
        q = self.mass
        m = q * np.exp(u[0]) * own_w
        w = np.asarray(own_w if q == 1 else (1 - q) + q * own_w, dtype=complex)
        log_eta = u[0] if q == 1 else u[0] + np.log(q) + log(own_w) - log(w)
        dm = m * own_w
        return Linearised(Jet(m, w, -log(1 / value), dm, rate * dm, log_eta), own_w)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        # Gamma, the integral of -m d log S along own_w = exp(s L), 0 < s < 1, which starts at m = 0
        length = log_like_w(u[0].imag)(lin.inner)
        mirrored = u[0].imag < -np.pi
        length = np.where(mirrored, length.conj(), length)
        if self.far is not None:

            def integrand(index: IndexArray, v: FloatArray) -> ComplexArray:
                path = v**_SMOOTHING * length[index]
                w, w_less_one = np.exp(path), np.expm1(path)
                _, rate = self._jet(w, w_less_one)
                values: ComplexArray = w_less_one * rate * w * length[index] * (_SMOOTHING * v ** (_SMOOTHING - 1))
                return values

            gamma = -(self.mass**2) * path_integral(gauss_panel(integrand), length.size)
            return np.where(mirrored, gamma.conj(), gamma)

        def point(index: IndexArray, s: FloatArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
            path = s * length[index]
            w = np.exp(path)
            return np.expm1(path), length[index] * w, self._value(w)

        gamma = -self.mass * path_integral(log_panel(point), length.size)
        return np.where(mirrored, gamma.conj(), gamma)

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        # next to m = -mass the logarithms are linear in log eta, as for every explicit S-transform
        out: FloatArray = np.abs(du[0]) / np.maximum(1.0, u[0].real / 8)
        return out


class RLeaf(Leaf):
    """A law with R-transform ``r``; the unknown is log g, z = R(g) + 1/g.

    ``near``, if there is one, is a pair: 1 + g R(g) as a function of 1/g, which loses no digits where it is small, and
    the |1/g| below which to use it. ``far`` are the tails of an R that is not analytic and real at 0.
    """

    tracked = False

    def __init__(
        self,
        r: Analytic,
        near: tuple[Analytic, float] | None,
        mean: float,
        variance: float,
        positive: bool,
        far: Tail | None = None,
    ) -> None:
        self.r, self.near, self.far = r, near, far
        self.mean, self.variance, self.positive = mean, variance, positive
        if far is not None:
            self.unbounded = far.unbounded
        self.scale = 1 / np.sqrt(variance)

    def tail(self) -> tuple[float, complex]:
        return super().tail() if self.far is None or self.far.mean else (self.far.order, self.far.log_scale)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return -(log_z + log1p(-self.mean / z))[np.newaxis]

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        return log1p(eps)[np.newaxis]  # a step in g itself, as in the semicircle's leaf

    def _mirrored(self, u: ComplexArray) -> npt.NDArray[np.bool_]:
        """Where g has gone beyond the negative axis; there everything is the complex conjugate of what it is before.

        Not so in a tail, which R continues.
        """
        beyond: npt.NDArray[np.bool_] = (u[0].imag < -np.pi) & (self.positive or self.far is None)
        return beyond

    def linearise(self, u: ComplexArray) -> Linearised:
        mirrored = self._mirrored(u)
        g = np.exp(np.where(mirrored, u[0].conj(), u[0]))
        r, slope = self.r.jet(g, _RADIUS * (np.abs(g) + (self.scale if self.far is None else 0)))
        m = g * r
        w, dm = 1 + m, m + g * g * slope
        if self.near is not None:
            near, below = self.near
            away = (np.abs(g) * below > 1) & (np.abs(w) < 0.5)
            t = 1 / g[away]
            w[away], by_t = near.jet(t, _RADIUS * np.abs(t))
            dm[away] = -t * by_t
        g, r, slope, m, w, dm = (np.where(mirrored, x.conj(), x) for x in (g, r, slope, m, w, dm))
        if not self.positive:
            return Linearised(Jet(m, w, -log_lower(r), dm, -slope * g / r))
        # on a gap g does not tell from which side z came, as in `rmt.numeric.node.jet_of_r`
        log_m = continued_log(m)
        log_eta = log_m - log_of_w(w, log_m.imag + _ROUNDING)
        return Linearised(Jet(m, w, continued_log(g) - log_m, dm, -slope * g / r, log_eta))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        # Gamma = g R(g) - integral of R from 0 to g, along g = i c (1 - exp(s L)), which stays in the lower half-plane
        mirrored = self._mirrored(u)
        g = np.exp(np.where(mirrored, u[0].conj(), u[0]))
        length = log1p(1j * g / self.scale)
        power = 1 if self.far is None else max(_SMOOTHING, math.ceil(4 / self.far.order))

        def integrand(index: IndexArray, v: FloatArray) -> ComplexArray:
            path = v**power * length[index]
            values: ComplexArray = self.r(-1j * self.scale * np.expm1(path)) * np.exp(path) * (power * v ** (power - 1))
            return values

        integral = -1j * self.scale * length * path_integral(gauss_panel(integrand), g.size)
        out: ComplexArray = lin.jet.m - np.where(mirrored, integral.conj(), integral)
        return out


def psi_leaf(
    psi: Analytic,
    w: Analytic | None,
    far: Sequence[float] | Tail,
    *,
    mean: float,
    variance: float,
    positive: bool,
    singular: Sequence[float],
) -> ResolventLeaf:
    """Leaf of a law with moment transform ``psi`` on the upper half-plane, continued from there past the real axis.

    ``w(z)`` is 1 + psi(z), written such that it loses no digits where it is small; None where only psi is known.
    ``far`` tells what the law is like far away: the moments m_1 … m_n, n even and large enough for the series of the
    potential `_FAR` away (24, say), or its tail; ``singular`` are the edges and atoms.
    """
    size = np.sqrt(variance)
    tail = far if isinstance(far, Tail) else None
    hole = min([abs(x) for x in singular] if tail is None else [size, *(abs(x) for x in singular)])
    distance = far.distance(_FEW_DIGITS) if isinstance(far, Tail) else _FAR * (far[-1] ** (1 / len(far)) + size)

    def from_log(z: ComplexArray) -> ComplexArray:
        """Log z - Phi at that distance."""
        if isinstance(far, Tail):
            return np.asarray(far.m(z) / far.order)
        series = np.array(far) / np.arange(1, len(far) + 1)
        powers: ComplexArray = z[:, np.newaxis] ** -np.arange(1.0, len(series) + 1)
        return np.asarray(powers @ series)

    def cauchy(z: ComplexArray) -> ComplexArray:
        out: ComplexArray = (1 + psi(z) if w is None else w(z)) / z
        return out

    def transforms(z: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]:
        above = np.where(z.imag >= 0, z, z.real)
        m, g = psi(above), cauchy(above)
        radius = _REACH * (np.abs(z) if positive else size + np.abs(z - mean))
        if psi.derivative is None or np.any(z.imag < 0):
            value, dm, _ = upper_jet(psi, z, radius)
            # (what is below by rounding only is on the axis)
            below = z.imag < -_ON_AXIS * (size + np.abs(z))
            m = np.where(below, value, m)
            g = np.where(below, (1 + value) / z, g)
        else:
            dm = psi.derivative(z)
        dg = (dm - g) / z
        # 1 + psi vanishes at a regular point 0, and its quotient by z has lost its digits: the Taylor series has not
        close = np.abs(z) < 0.1 * hole
        if np.any(close):
            g[close], dg[close], _ = upper_jet(cauchy, z[close], np.full(int(close.sum()), _REACH * hole))
        if tail is not None and tail.shows:  # of z G - 1 as a user writes it few digits are left far away
            away = np.abs(z) > distance
            m[away] = tail.m(z[away])
            dm[away], g[away] = -tail.order * m[away] / z[away], (1 + m[away]) / z[away]
            dg[away] = (dm[away] - g[away]) / z[away]
        return g, dg, m, dm

    def phi(z: ComplexArray) -> ComplexArray:
        # the series far above z minus the integral of G over the vertical ray from z to there
        highest = np.log(distance + np.maximum(0, np.abs(z) - distance))
        lowest = np.log(_LOWEST * np.minimum(size, np.maximum(1 / np.abs(cauchy(z)), 1e-280)))

        def integrand(index: IndexArray, s: FloatArray) -> ComplexArray:
            heights = np.exp(lowest[index] + s * (highest - lowest)[index])
            values: ComplexArray = cauchy(z[index] + 1j * heights) * heights
            return values

        top = z + 1j * np.exp(highest)
        integral = 1j * (highest - lowest) * path_integral(gauss_panel(integrand), z.size)
        out: ComplexArray = log_upper(top) - from_log(top) - integral
        return out

    # a law whose density is positive on the whole axis is singular nowhere
    places = [*(x for x in singular if np.isfinite(x)), np.inf]
    return ResolventLeaf(transforms, phi, singular=places, mean=mean, variance=variance, positive=positive, far=tail)
