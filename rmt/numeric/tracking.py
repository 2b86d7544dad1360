"""Laws that keep log z as an unknown, for its argument or for its digits.

A law on [0, oo) is met at arg z in [0, 2 pi). The leaves know the arguments of its transforms from their unknowns. A
sum of such laws does not: on a gap of the real axis its children can be in the same state whether z came from above or
from below, although log z, log w and log eta differ by 2 pi i.

Next to z = 0 a law whose z is made of terms that cancel has no digits of z, nor of w = z g. As a factor it is asked for
them: where the product has a hard edge at 0, its own z is a higher power of the factor's.
"""

from __future__ import annotations

import numpy as np

from rmt.numeric.jet import ComplexArray, Jet, log_lower, log_upper
from rmt.numeric.node import FloatArray, Linearised, Node

__all__ = ["TrackedNode", "strain_of_log_z", "tracked"]


# Where z is this share of its derivative by the child's parameter, it has begun to lose digits.
_NEXT_TO_ZERO = 1e-2


def tracked(node: Node) -> Node:
    """The node, with its arguments tracked beyond arg z = pi, and its digits next to z = 0."""
    return node if node.tracked else TrackedNode(node)


def strain_of_log_z(step: ComplexArray) -> FloatArray:
    """Size of an increment of log z as an unknown.

    Next to 0 and far away a node is linear in it, however far; elsewhere a second large step betrays a first one. How
    far z turns must not be lost.
    """
    out: FloatArray = np.maximum(np.minimum(np.abs(step), 0.5), np.abs(step.imag))
    return out


class TrackedNode(Node):
    """The law of the child, with log z as an unknown besides: it remembers how far z has turned, and all its digits."""

    tracked = True

    def __init__(self, child: Node) -> None:
        self.child, self.positive = child, child.positive
        self.size = child.size + 1
        self.mean, self.variance, self.unbounded = child.mean, child.variance, child.unbounded
        self.gapless, self.full = child.gapless, child.full
        self.hard, self.reach = child.hard, child.reach

    def tail(self) -> tuple[float, complex]:
        return self.child.tail()

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return np.concatenate([self.child.start(z, log_z), log_z[np.newaxis]])

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u[:-1])
        j = lin.jet
        if not self.positive:
            return self._next_to_zero(u[-1], lin)
        raw = np.log(j.z)
        turned = raw + 2j * np.pi * np.round((u[-1] - raw).imag / (2 * np.pi))
        z = np.exp(u[-1])
        # Moves (c0 + c1 eps) of the child and (e0 + e1 eps) of log z; the parameter is that of what moves z less. Next
        # to 0 in a gap that is log z: the child makes its z there of terms that cancel, and w of it has no digits.
        own = np.abs(z) <= np.abs(j.dz)
        c0, c1 = np.where(own, (z - j.z) / j.dz, 0), np.where(own, z / j.dz, 1)
        e0, e1 = np.where(own, 0, turned - u[-1]), np.where(own, 1, j.dz / j.z)
        w = np.where(own, z * j.g * (1 + j.dlog_g * c0), j.w)
        # S lies in the upper half-plane while z does
        log_s = -np.where(u[-1].imag < np.pi, log_lower(j.m / j.g), log_upper(j.m / j.g)) + j.dlog_s * c0
        jet = Jet(j.m + j.dm * c0, w, log_s, j.dm * c1, j.dlog_s * c1, -log_s - u[-1] - e0)
        return Linearised(jet, (lin, c0, c1, e0, e1))

    def _next_to_zero(self, log_z: ComplexArray, lin: Linearised) -> Linearised:
        """The child's own jet but for points next to 0, where log z leads."""
        j = lin.jet
        z = np.exp(log_z)
        own = np.abs(z) <= _NEXT_TO_ZERO * np.abs(j.dz)
        e0, e1 = log_upper(j.z) - log_z, j.dz / j.z
        if not np.any(own):
            return Linearised(j, (lin, 0.0, 1.0, e0, e1))
        c0, c1 = np.where(own, (z - j.z) / j.dz, 0), np.where(own, z / j.dz, 1)
        e0, e1 = np.where(own, 0, e0), np.where(own, 1, e1)
        w = np.where(own, z * j.g * (1 + j.dlog_g * c0), j.w)
        jet = Jet(j.m + j.dm * c0, w, j.log_s + j.dlog_s * c0, j.dm * c1, j.dlog_s * c1)
        return Linearised(jet, (lin, c0, c1, e0, e1))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, c0, c1, e0, e1 = lin.inner
        return np.concatenate([self.child.spread(inner, c0 + c1 * eps), (e0 + e1 * eps)[np.newaxis]])

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u[:-1], lin.inner[0])

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        out: FloatArray = np.maximum(self.child.strain(u[:-1], du[:-1]), strain_of_log_z(du[-1]))
        return out
