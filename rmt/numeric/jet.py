"""The spectral curve of a law at a set of points, with its direction: what every node of the numeric system exchanges.

A law is an analytic curve ``z -> G(z)``. Near a point the curve is one-dimensional, so it is carried as a value and a
derivative by one complex parameter ``eps`` that each node chooses. Conventions (z the spectral argument):

    g = G(z),  w = z g,  m = w - 1,  eta = m / w,  S = (1 + m)/(m z) = g/m,   log z = -log eta - log S.

Logarithms are those continued from ``z -> +infinity`` through the upper half-plane. A law on [0, oo) may be met at
``arg z`` in [0, 2 pi) (beyond pi inside symmetrised laws and beside a signed factor); ``arg eta`` then runs over
(-2 pi, 0] and its node keeps track of it. Any other law is met in the upper half-plane only, where g and
``m/g = z - 1/g`` lie in the lower half-plane: their arguments, and so those of everything else, follow from the values.
No node ever takes a square root with a chosen branch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["ComplexArray", "Jet", "continued_log", "log1p", "log_lower", "log_of_w", "log_upper"]

ComplexArray = npt.NDArray[np.complex128]

# Points on the positive real axis belong to arg = 0, and Newton may overshoot it: the cut lies a little beyond.
_CUT = 0.05


def continued_log(value: ComplexArray) -> ComplexArray:
    """Logarithm with argument in (-2 pi, 0], up to the overshoot `_CUT`."""
    out = _log(-value)
    out.imag -= np.pi
    return _turned(out, out.imag < -2 * np.pi + _CUT, 2 * np.pi)


def log_lower(value: ComplexArray) -> ComplexArray:
    """Logarithm of a value in the lower half-plane, argument in [-pi, 0] up to overshoots of a quarter turn."""
    out = _log(value)
    return _turned(out, out.imag > np.pi / 2, -2 * np.pi)


def log_upper(value: ComplexArray) -> ComplexArray:
    """Logarithm of a value in the upper half-plane, argument in [0, pi] up to overshoots of a quarter turn."""
    out = _log(value)
    return _turned(out, out.imag < -np.pi / 2, 2 * np.pi)


def log1p(x: ComplexArray) -> ComplexArray:
    """log(1 + x) with a small relative error in both parts (numpy's complex log1p loses it in the real part)."""
    x = np.asarray(x, dtype=complex)
    out = np.empty_like(x)
    out.real = np.log1p(x.real * (2 + x.real) + x.imag**2) / 2
    out.imag = np.arctan2(x.imag, 1 + x.real)
    return out


def log_of_w(w: ComplexArray, arg_eta: npt.NDArray[np.float64] | float) -> ComplexArray:
    """Logarithm of w = z g, continued: arg w lies in [-pi, 0] while arg z <= pi, in [0, pi] beyond (arg eta < -pi).

    The cut is put on the imaginary axis that w stays away from, so that Newton may overshoot the negative axis, where
    w ends for real z below the support.
    """
    out = _log(w)
    left = np.abs(out.imag) > np.pi / 2
    if not left.any():
        return out
    way = np.where(np.asarray(arg_eta) > -np.pi, 2 * np.pi, -2 * np.pi)
    return _turned(out, left & (out.imag * way > 0), -way)


def _log(value: ComplexArray) -> ComplexArray:
    """Principal logarithm, six times as fast as numpy's; where abs(value) is nearly 1 its real part is absolute."""
    out = np.empty(value.shape, dtype=complex)
    np.log(np.abs(value), out=out.real)
    np.arctan2(value.imag, value.real, out=out.imag)
    return out


def _turned(logarithm: ComplexArray, chosen: npt.NDArray[np.bool_], angle: npt.ArrayLike) -> ComplexArray:
    """The logarithm, its argument moved by an angle in the chosen places (which are few, or none)."""
    if chosen.any():
        logarithm.imag[chosen] += np.broadcast_to(angle, chosen.shape)[chosen]
    return logarithm


@dataclass(frozen=True)
class Jet:
    """First-order expansion of the curve of one law, arrays of shape (n,).

    ``m``, ``w`` (= 1 + m, kept apart because it loses its digits near a hard edge where m -> -1) and ``log_s`` are
    values; ``dm`` and ``dlog_s`` are derivatives by the node's parameter. ``native_log_eta`` is the continued
    logarithm of m/w, which laws on [0, oo) always give.
    """

    m: ComplexArray
    w: ComplexArray
    log_s: ComplexArray
    dm: ComplexArray
    dlog_s: ComplexArray
    native_log_eta: ComplexArray | None = None

    @cached_property
    def log_eta(self) -> ComplexArray:
        """Continued logarithm of eta = m/w."""
        if self.native_log_eta is not None:
            return self.native_log_eta
        return -self.log_s - log_upper(self.z)

    @cached_property
    def log_w(self) -> ComplexArray:
        """Continued logarithm of w, argument in [-pi, pi]; on the negative axis the side is that of the path."""
        if self.native_log_eta is not None:
            return log_of_w(self.w, self.native_log_eta.imag)
        return log_upper(self.z) + log_lower(self.g)

    @cached_property
    def log_g(self) -> ComplexArray:
        """Continued logarithm of the Cauchy transform."""
        if self.native_log_eta is None:
            return log_lower(self.g)
        return self.native_log_eta + self.log_w + self.log_s

    @cached_property
    def dlog_eta(self) -> ComplexArray:
        """Derivative of `log_eta` by the node's parameter."""
        return self.dm / (self.m * self.w)

    @cached_property
    def log_z(self) -> ComplexArray:
        """Continued logarithm of the spectral argument."""
        return -self.log_eta - self.log_s

    @cached_property
    def dlog_z(self) -> ComplexArray:
        """Derivative of `log_z`."""
        return -self.dlog_eta - self.dlog_s

    @cached_property
    def g(self) -> ComplexArray:
        """The Cauchy transform."""
        return self.m * np.exp(self.log_s)

    @cached_property
    def dlog_g(self) -> ComplexArray:
        """Derivative of log g."""
        return self.dm / self.m + self.dlog_s

    @cached_property
    def r(self) -> ComplexArray:
        """R at g, that is z - 1/g = m/g."""
        return np.exp(-self.log_s)

    @cached_property
    def dr(self) -> ComplexArray:
        """Derivative of `r`."""
        return -self.r * self.dlog_s

    @cached_property
    def z(self) -> ComplexArray:
        """The spectral argument."""
        return self.w / self.g

    @cached_property
    def dz(self) -> ComplexArray:
        """Derivative of `z`."""
        return self.dm / self.g - self.z * self.dlog_g
