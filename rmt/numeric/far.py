"""A law of bounded support as seen from very far away: by its moments.

In a sum or product with a law that has heavy tails, a bounded law is met at any distance. Its own system may lose its
digits there: the m of a square is half the sum of two nearly opposite numbers, and the small entries of a pencil's
matrix drown in the rounding of the large ones. Its moments know m = m_1/z + m_2/z**2 + … better the farther away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rmt.numeric.jet import ComplexArray, Jet, log_upper
from rmt.numeric.node import FloatArray, Linearised, Node, jet_of_r
from rmt.numeric.operator_valued import PencilNode
from rmt.numeric.tracking import tracked
from rmt.numeric.unary import SquareNode

__all__ = ["FarNode", "seen_from_afar"]

# Beyond this distance, in units of the law's size, four moments are exact.
_FAR = 1e5
_MOMENTS = 4


def seen_from_afar(node: Node, moments: Callable[[int], Sequence[float]]) -> Node:
    """The node of a law of bounded support, far away by its moments if its own system loses digits there."""
    if any(node.unbounded) or not _fades(node):
        return node
    return FarNode(node, moments(_MOMENTS))


def _fades(node: Node) -> bool:
    """Whether digits are lost far away: nodes hold their parts as ``child`` or ``children``."""
    if isinstance(node, FarNode):
        return False
    parts = [*getattr(node, "children", ()), *([node.child] if hasattr(node, "child") else [])]
    return isinstance(node, PencilNode | SquareNode) or any(_fades(part) for part in parts)


class FarNode(Node):
    """The law of the child, with log z as an unknown besides, which is the parameter far away.

    There the child's unknowns rest; on the way in they start anew at the border.

    Parameters
    ----------
    child : Node
        Of a law of bounded support.
    moments : sequence of float
        m_1 … m_4.
    """

    def __init__(self, child: Node, moments: Sequence[float]) -> None:
        self.child = tracked(child) if child.positive else child
        self.size = self.child.size + 1
        self.mean, self.variance, self.positive = child.mean, child.variance, child.positive
        self.tracked = self.child.tracked
        self.orders = np.arange(1.0, len(moments) + 1)[:, np.newaxis]
        self.moments = np.array(moments, dtype=float)[:, np.newaxis]
        self.log_size = float(np.log(np.max(np.abs(self.moments) ** (1 / self.orders))))
        self.border = self.log_size + float(np.log(_FAR))

    @property
    def radius(self) -> float:
        return self.child.radius

    def tail(self) -> tuple[float, complex]:
        return self.child.tail()

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        far = log_z.real > self.border
        log = np.where(far, self.border + 1j * log_z.imag, log_z)
        return np.concatenate([self.child.start(np.where(far, np.exp(log), z), log), log_z[np.newaxis]])

    def linearise(self, u: ComplexArray) -> Linearised:
        far = u[-1].real > self.border
        with np.errstate(all="ignore"):  # where the child rests its numbers may be none, and are not used
            inner = self.child.linearise(u[:-1])
            jet = inner.jet
        if not np.any(far):
            return Linearised(jet, (inner, far, u))
        own = self._series(np.where(far, u[-1], self.border))
        names = ["m", "w", "log_s", "dm", "dlog_s"] + (["native_log_eta"] if self.positive else [])
        both = Jet(*(np.where(far, getattr(own, name), getattr(jet, name)) for name in names))
        return Linearised(both, (inner, far, u))

    def _series(self, log_z: ComplexArray) -> Jet:
        """The jet by the moments, with log z as the parameter."""
        terms = self.moments * np.exp((1 - self.orders) * log_z)  # of z m
        z, total = np.exp(log_z), terms.sum(axis=0)
        m, dm = total / z, -(self.orders * terms).sum(axis=0) / z
        r = total / (1 + m)
        dr = ((1 - self.orders) * terms).sum(axis=0) / (1 + m) - r * dm / (1 + m)
        return jet_of_r((1 + m) / z, dm / (1 + m) - 1, r, dr, self.positive)

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, far, u = lin.inner
        jet = inner.jet
        with np.errstate(all="ignore"):
            log_z = jet.log_z + jet.dlog_z * eps if self.positive else log_upper(jet.z + jet.dz * eps)
            moves = self.child.spread(inner, eps)
        after = np.where(far, u[-1] + eps, log_z)
        moves[:, far] = 0
        entering = np.flatnonzero(far & (after.real <= self.border))
        if entering.size:
            log = after[entering]
            moves[:, entering] = self.child.start(np.exp(log), log) - u[:-1, entering]
        return np.concatenate([moves, (after - u[-1])[np.newaxis]])

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        inner, far, _ = lin.inner
        log_z = np.where(far, u[-1], self.border)
        own = log_z - np.sum(self.moments * np.exp(-self.orders * log_z) / self.orders, axis=0) + lin.jet.log_g
        with np.errstate(all="ignore"):
            out: ComplexArray = np.where(far, own, self.child.potential(u[:-1], inner))
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        # far away the logarithms are linear, as far as the law's size
        far, distance = u[-1].real > self.border, np.maximum(u[-1].real - self.log_size, 1.0)
        with np.errstate(all="ignore"):
            out: FloatArray = np.where(far, np.abs(du[-1]) / distance, self.child.strain(u[:-1], du[:-1]))
        return out
