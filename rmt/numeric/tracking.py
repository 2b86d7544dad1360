"""Arguments of the transforms of a law on [0, oo) that is met at arg z in [0, 2 pi).

The leaves know them from their unknowns. A sum of such laws does not: on a gap of the real axis its children can be in
the same state whether z came from above or from below, although log z, log w and log eta differ by 2 pi i.
"""

from __future__ import annotations

import numpy as np

from rmt.numeric.jet import ComplexArray, Jet, log_lower, log_upper
from rmt.numeric.node import FloatArray, Linearised, Node

__all__ = ["TrackedNode", "tracked"]


def tracked(node: Node) -> Node:
    """The node, with its arguments tracked beyond arg z = pi."""
    return node if node.tracked else TrackedNode(node)


class TrackedNode(Node):
    """The law of the child, with log z as an unknown besides: it remembers how far z has turned."""

    positive = tracked = True

    def __init__(self, child: Node) -> None:
        self.child = child
        self.size = child.size + 1
        self.mean, self.variance, self.unbounded = child.mean, child.variance, child.unbounded

    def tail(self) -> tuple[float, complex]:
        return self.child.tail()

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return np.concatenate([self.child.start(z, log_z), log_z[np.newaxis]])

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u[:-1])
        j = lin.jet
        raw = np.log(j.z)
        log_z = raw + 2j * np.pi * np.round((u[-1] - raw).imag / (2 * np.pi))
        # S lies in the upper half-plane while z does
        log_s = -np.where(u[-1].imag < np.pi, log_lower(j.m / j.g), log_upper(j.m / j.g))
        jet = Jet(j.m, j.w, log_s, j.dm, j.dlog_s, -log_s - log_z)
        return Linearised(jet, (lin, log_z - u[-1], j.dz / j.z))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, mismatch, rate = lin.inner
        return np.concatenate([self.child.spread(inner, eps), (mismatch + rate * eps)[np.newaxis]])

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u[:-1], lin.inner[0])

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        out: FloatArray = np.maximum(self.child.strain(u[:-1], du[:-1]), np.abs(du[-1]))
        return out
