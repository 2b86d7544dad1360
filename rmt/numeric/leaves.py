"""Leaves of the numeric system: laws with one unknown each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet, continued_log, log1p
from rmt.numeric.node import Leaf, Linearised, continued_log_z, log1p_like_1_over_w, log_like_w

__all__ = ["DiscreteLeaf", "ExplicitSLeaf", "SemicircleLeaf"]

FloatArray = npt.NDArray[np.float64]


class ExplicitSLeaf(Leaf):
    """A law on [0, oo) of which the part away from 0 has an explicit S-transform; the unknown is its log eta.

    The law is ``mass * nu + (1 - mass) * delta_0``. For nu, ``log_s(m, w, log)`` returns (log S, d log S/dm) and
    ``gamma(m, w, log)`` returns Gamma, the integral from 0 to m of -m d log S. ``log`` is the logarithm to use for
    quantities that, like w, turn through the lower half-plane as z turns through the upper one. nu has no atom at 0:
    next to such an atom m forgets how far z has turned, while the eta of nu remembers.
    """

    positive = True

    def __init__(self, log_s: Any, gamma: Any, mean: float, variance: float, mass: float = 1.0) -> None:
        self.log_s, self.gamma, self.mass = log_s, gamma, mass
        self.nu_mean = mean
        self.mean = mass * mean
        self.variance = mass * (variance + mean**2) - self.mean**2

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        out: ComplexArray = (np.log(self.nu_mean) - log_z)[np.newaxis]
        return out

    def linearise(self, u: ComplexArray) -> Linearised:
        log = log_like_w(u[0].imag)
        eta = np.exp(u[0])
        w = 1 / (1 - eta)
        m = eta * w
        log_s, slope = self.log_s(m, w, log)
        dm = m * w
        if self.mass == 1:
            return Linearised(Jet(m, w, log_s, dm, slope * dm, u[0]), (m, w))
        whole = (1 - self.mass) + self.mass * w
        # m is divided by 1/mass at fixed z: S changes by the ratio of w/m
        excess = log(whole) - log(w) - np.log(self.mass)
        rate = self.mass * dm / whole - dm / w
        jet = Jet(self.mass * m, whole, log_s + excess, self.mass * dm, slope * dm + rate, u[0] - excess)
        return Linearised(jet, (m, w))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        log = log_like_w(u[0].imag)
        m, w = lin.inner
        gamma: ComplexArray = self.gamma(m, w, log)
        if self.mass == 1:
            return gamma
        return self.mass * (gamma - log(w)) + log(lin.jet.w)


class SemicircleLeaf(Leaf):
    """Semicircle law; the unknown is log g, z = variance g + 1/g + mean."""

    positive = False

    def __init__(self, variance: float, mean: float) -> None:
        self.variance, self.mean = variance, mean

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return -np.log(z - self.mean)[np.newaxis]

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        # a step in g itself: next to a cusp of a sum, where the children's g must agree to second order, a step in
        # log g would leave a mismatch that the near-singular system blows up
        return log1p(eps)[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        g = np.exp(u[0])
        ratio = self.variance * g + self.mean  # = m/g = 1/S
        m = g * ratio
        w = 1 + m
        dm, dlog_s = m + self.variance * g * g, -self.variance * g / ratio
        if self.mean == 0:
            # m = variance g^2 turns twice as far as g: only the unknown knows its argument
            log_variance = np.log(self.variance)
            log_eta = log_variance + 2 * u[0] - np.log(w)
            return Linearised(Jet(m, w, -log_variance - u[0], dm, dlog_s, log_eta))
        return Linearised(Jet(m, w, -np.log(ratio), dm, dlog_s))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        g = np.exp(u[0])
        out: ComplexArray = self.variance * g * g / 2
        return out


class DiscreteLeaf(Leaf):
    """Finitely many atoms. The unknown is log z for laws on [0, oo), z itself otherwise."""

    def __init__(self, positions: Sequence[float], masses: Sequence[float]) -> None:
        self.x = np.asarray(positions, dtype=float)[:, np.newaxis]
        self.p = np.asarray(masses, dtype=float)[:, np.newaxis]
        self.positive = bool(np.all(self.x >= 0))
        self.mean = float(np.sum(self.p * self.x))
        self.variance = float(np.sum(self.p * (self.x - self.mean) ** 2))

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return log_z[np.newaxis] if self.positive else z[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        z = np.exp(u[0]) if self.positive else u[0]
        kernel = self.p / (z - self.x)
        m = np.sum(kernel * self.x, axis=0)
        slope = -np.sum(kernel * self.x / (z - self.x), axis=0)  # dm/dz
        if self.positive:
            w = z * np.sum(kernel, axis=0)
            zm = z * m
            log = log_like_w(-u[0].imag)
            log_w = log(w)
            log_s = log_w - log(zm)
            dm = z * slope
            return Linearised(Jet(m, w, log_s, dm, dm / w - dm / m - 1, -u[0] - log_s), log_w)
        g = np.sum(kernel, axis=0)
        dg = -np.sum(kernel / (z - self.x), axis=0)
        w = z * g
        # m ~ mean/z, or variance/z^2: its argument follows that of z
        log_z = continued_log_z(z)
        if abs(self.mean) > 1e-14 * np.sqrt(self.variance):
            log_m = np.log(z * m / self.mean) + np.log(abs(self.mean)) - log_z - (1j * np.pi if self.mean < 0 else 0)
        else:
            log_m = np.log(z * z * m) - 2 * log_z
        return Linearised(Jet(m, w, continued_log(g) - log_m, slope, dg / g - slope / m, log_m - np.log(w)))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        if self.positive:
            # Phi - log z and log w are both small when z is far from the atoms
            centred = log1p_like_1_over_w(-self.x / np.exp(u[0]), u[0].imag)
            out: ComplexArray = np.sum(self.p * centred, axis=0) + lin.inner
            return out
        phi: ComplexArray = np.sum(self.p * continued_log_z(u[0] - self.x), axis=0)
        return phi + continued_log(lin.jet.g)

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        z = np.exp(u[0]) if self.positive else u[0]
        step = np.abs(du[0] * (z if self.positive else 1))
        gap = np.min(np.abs(z - self.x), axis=0)
        out: FloatArray = np.maximum(step / gap, np.abs(du[0]) if self.positive else 0.0)
        return out
