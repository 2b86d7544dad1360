"""Leaves of the numeric system: laws with one unknown each."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet, log1p, log_lower
from rmt.numeric.log_s import LogS
from rmt.numeric.node import Leaf, Linearised, continued_log_z, distance_in_log, log1p_like_1_over_w, log_like_w

__all__ = ["DiscreteLeaf", "ExplicitSLeaf", "SemicircleLeaf", "SeriesSLeaf"]

FloatArray = npt.NDArray[np.float64]


class ExplicitSLeaf(Leaf):
    """A law on [0, oo) with an explicit S-transform (see `rmt.numeric.log_s`).

    The unknown is log eta of the part away from 0: next to an atom at 0 the m of the law forgets how far z has turned,
    while the eta of that part remembers.
    """

    positive = True

    def __init__(self, s: LogS) -> None:
        self.s = s
        self.mean, self.variance = s.mean, s.variance
        if s.mass == 1:
            self.hard = -sum(exponent for root, exponent in s.factors if root == 1)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        out: ComplexArray = (np.log(self.mean / self.s.mass) - log_z)[np.newaxis]
        return out

    def linearise(self, u: ComplexArray) -> Linearised:
        log = log_like_w(u[0].imag)
        m, own_w, log_s, slope = self.s.at(np.exp(u[0]), log)
        q = self.s.mass
        dm = m * own_w
        if q == 1:
            return Linearised(Jet(m, own_w, log_s, dm, slope * dm, u[0]), own_w)
        w = (1 - q) + q * own_w
        log_eta = u[0] + np.log(q) + log(own_w) - log(w)
        return Linearised(Jet(m, w, log_s, dm, slope * dm, log_eta), own_w)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.s.gamma(lin.jet.m, lin.inner, log_like_w(u[0].imag))

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        # far from |eta| = 1 on either side the logarithms of m, w and S are nearly linear in log eta
        out: FloatArray = np.abs(du[0]) / np.maximum(1.0, np.abs(u[0].real) / 2)
        return out


class SeriesSLeaf(Leaf):
    """A law on (0, oo) next to a point mass: ``log S(m) = sum_k coefficients[k] m**k``; the unknown is log eta.

    The series stands for S where abs(m) <= reach.
    """

    positive = True
    hard = 0.0

    def __init__(self, coefficients: Sequence[float], reach: float) -> None:
        k = np.arange(len(coefficients))
        self.reach = reach
        self._log_s = np.polynomial.Polynomial(coefficients)
        self._slope = self._log_s.deriv()
        # Gamma is the integral of -m d log S
        self._gamma = np.polynomial.Polynomial(np.concatenate([[0.0], -k / (k + 1.0) * coefficients]))
        self.mean = float(np.exp(-coefficients[0]))
        self.variance = -(self.mean**2) * coefficients[1]

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        out: ComplexArray = (np.log(self.mean) - log_z)[np.newaxis]
        return out

    def linearise(self, u: ComplexArray) -> Linearised:
        eta = np.exp(u[0])
        w = 1 / (1 - eta)
        m = eta * w
        dm = m * w
        return Linearised(Jet(m, w, self._log_s(m), dm, self._slope(m) * dm, u[0]))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        out: ComplexArray = self._gamma(lin.jet.m)
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        # log z is nearly minus the unknown: where it is not, the increments tell
        out: FloatArray = np.abs(du[0]) / np.maximum(16.0, np.abs(u[0].real) / 2)
        return out


class SemicircleLeaf(Leaf):
    """Semicircle law; the unknown is log g, z = variance g + 1/g + mean."""

    positive = tracked = False

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
        return Linearised(
            Jet(m, 1 + m, -log_lower(ratio), m + self.variance * g * g, -self.variance * g / ratio)
        )

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
        with np.errstate(divide="ignore"):
            self.log_x = np.log(self.x) if self.positive else np.empty(0)
        self.mean = float(np.sum(self.p * self.x))
        self.variance = float(np.sum(self.p * (self.x - self.mean) ** 2))
        if np.all(self.x > 0):
            self.hard = 0.0

    @staticmethod
    def stacked(leaves: Sequence[DiscreteLeaf]) -> DiscreteLeaf:
        """Laws of as many atoms as one node, whose arrays have an axis for them before that of the points."""
        out = copy.copy(leaves[0])
        for name in ("x", "p", "log_x"):
            setattr(out, name, np.stack([getattr(leaf, name) for leaf in leaves], axis=1))
        out.mean = np.array([[leaf.mean] for leaf in leaves])  # type: ignore[assignment]
        return out

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return log_z[np.newaxis] if self.positive else z[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        z = np.exp(u[0]) if self.positive else u[0]
        kernel = self.p / (z - self.x)
        # far away the mean is split off: a centred law has m ~ variance/z^2
        near = np.sum(kernel * self.x, axis=0)
        far = (self.mean + np.sum(kernel * self.x**2, axis=0)) / z
        m = np.where(np.abs(z) > 3 * np.max(np.abs(self.x), axis=0), far, near)
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
        return Linearised(Jet(m, z * g, -log_lower(m / g), slope, dg / g - slope / m))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        if self.positive:
            # Phi - log z and log w are both small when z is far from the atoms
            centred = log1p_like_1_over_w(-self.x / np.exp(u[0]), u[0].imag)
            out: ComplexArray = np.sum(self.p * centred, axis=0) + lin.inner
            return out
        phi: ComplexArray = np.sum(self.p * continued_log_z(u[0] - self.x), axis=0)
        return phi + lin.jet.log_g

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        apart = distance_in_log(u[0], self.log_x) if self.positive else np.min(np.abs(u[0] - self.x), axis=0)
        out: FloatArray = np.abs(du[0]) / apart
        return out
