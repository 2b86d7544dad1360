"""Mixtures: laws that share the spectral argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from rmt.numeric.convolutions import ManyNode, leading_child
from rmt.numeric.jet import ComplexArray, Jet, log_upper
from rmt.numeric.node import Linearised, Node, jet_of_r, log_like_w
from rmt.numeric.tails import added_tails
from rmt.numeric.tracking import tracked

__all__ = ["MixtureNode"]

# Below this share of its terms a sum that decays faster than each of them, as far away as that, is given by its first
# two moments: one is wrong by this share squared, the other by rounding over this share.
_CANCELLED = 1e-5
_ROUNDING = 1e-14  # of means that cancel


class MixtureNode(ManyNode):
    """Law sum p_i mu_i + at_zero delta_0: z is common, and g, m, w and Phi are averages.

    The point mass at 0, whose m vanishes everywhere and so is no coordinate, is no child. ``second_moment`` is asked
    for E X**2, exactly, once digits are missing far away; it answers None where higher moments are infinite.
    """

    def __init__(
        self,
        children: Sequence[Node],
        weights: Sequence[float],
        at_zero: float = 0.0,
        *,
        second_moment: Callable[[], float | None],
    ) -> None:
        self.positive = self.tracked = all(child.positive for child in children)
        # children that share log z must agree on how far z has turned
        super().__init__([tracked(child) for child in children] if self.positive else children)
        self.weights, self.at_zero, self._ask = tuple(weights), at_zero, second_moment
        pairs = list(zip(self.weights, self.children, strict=True))
        self.mean = sum(p * child.mean for p, child in pairs)
        if abs(self.mean) < _ROUNDING * sum(p * abs(child.mean) for p, child in pairs):
            self.mean = 0.0
        self.variance = sum(p * (child.variance + (child.mean - self.mean) ** 2) for p, child in pairs)
        self.variance += at_zero * self.mean**2
        low, high = zip(*(child.unbounded for child in self.children), strict=True)
        self.unbounded, self.full = (any(low), any(high)), any(child.full for child in self.children)

    @cached_property
    def _second_moment(self) -> float | None:
        return self._ask()

    def tail(self) -> tuple[float, complex]:
        tails = [(a, np.log(p) + b) for p, (a, b) in zip(self.weights, [c.tail() for c in self.children], strict=True)]
        return added_tails(tails, self.variance)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return np.concatenate([child.start(z, log_z) for child in self.children])

    def linearise(self, u: ComplexArray) -> Linearised:
        lins = [child.linearise(part) for child, part in zip(self.children, self._split(u), strict=True)]
        jets = [lin.jet for lin in lins]
        leading = leading_child(np.array([j.dlog_z if self.positive else j.dz for j in jets]))
        log_z, dlog_z = leading([j.log_z for j in jets]), leading([j.dlog_z for j in jets])
        z, dz = leading([j.z for j in jets]), leading([j.dz for j in jets])
        m, w, dm = np.zeros_like(z), np.full_like(z, self.at_zero), np.zeros_like(z)
        inner = []
        for p, lin in zip(self.weights, lins, strict=True):
            j = lin.jet
            if self.positive:
                shift, rate = (log_z - j.log_z) / j.dlog_z, dlog_z / j.dlog_z
            else:
                shift, rate = (z - j.z) / j.dz, dz / j.dz
            m, w, dm = m + p * (j.m + j.dm * shift), w + p * (j.w + j.dm * shift), dm + p * j.dm * rate
            inner.append((lin, shift, rate))
        if not self.positive:
            # far away the means of a symmetric mixture cancel in m, and leave rounding
            size = np.sum([p * np.abs(lin.jet.m) for p, lin in zip(self.weights, lins, strict=True)], axis=0)
            lost = (np.abs(m) < _CANCELLED * size) & (np.abs(z) > np.sqrt(self.variance) / _CANCELLED)
            if np.any(lost) and self._second_moment is not None:
                far, second = z[lost], self._second_moment
                m[lost] = (self.mean + second / far) / far
                dm[lost] = -(self.mean + 2 * second / far) / far * (dz[lost] / far)
            elif np.any(m == 0):  # the tail is not told exactly where means cancel, but no m is 0
                lost = m == 0
                order, log_c = self.tail()
                m[lost] = np.exp(log_c - order * log_upper(z[lost]))
                dm[lost] = -order * m[lost] * dz[lost] / z[lost]
            g, dlog_g = w / z, dm / w - dz / z
            return Linearised(jet_of_r(g, dlog_g, m / g, (dm - m * dlog_g) / g, False, z, dz), inner)
        # as functions of z, w and z m both turn through the lower half-plane while z turns through the upper one
        log = log_like_w(-log_z.imag)
        log_s = log(w) - log(np.exp(log_z) * m)
        return Linearised(Jet(m, w, log_s, dm, dm / w - dm / m - dlog_z, -log_z - log_s), inner)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        parts = zip(self.weights, self.children, self._split(u), lin.inner, strict=True)
        phi = [p * (child.potential(part, inner[0]) - inner[0].jet.log_g) for p, child, part, inner in parts]
        out: ComplexArray = np.sum(phi, axis=0) + self.at_zero * lin.jet.log_z + lin.jet.log_g
        return out
