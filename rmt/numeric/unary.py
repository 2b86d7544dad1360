"""Operations on one law of the numeric system, each one line in the right coordinates (see `rmt.numeric.node`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet
from rmt.numeric.node import Linearised, Node, continued_log_z, jet_of_r
from rmt.numeric.tails import added_tails, multiplied_tails, own_log_z
from rmt.numeric.tracking import strain_of_log_z, tracked
from rmt.results import PreconditionError

__all__ = [
    "CompressionNode",
    "PowerNode",
    "ScaledNode",
    "ShiftedNode",
    "SquareNode",
    "SumPowerNode",
    "SymmetrisedRootNode",
    "UnaryNode",
]

FloatArray = npt.NDArray[np.float64]


class UnaryNode(Node):
    """A law whose unknowns and parameter are those of its only child."""

    def __init__(self, child: Node) -> None:
        self.child = child
        self.size = child.size
        self.unbounded, self.full = child.unbounded, child.full

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        return self.child.spread(lin.inner, eps)

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        return self.child.strain(u, du)


class ScaledNode(UnaryNode):
    """Law of scale * X, scale > 0: S -> S/scale."""

    def __init__(self, child: Node, scale: float) -> None:
        super().__init__(child)
        self.scale = scale
        self.mean, self.variance, self.positive = scale * child.mean, scale**2 * child.variance, child.positive
        self.tracked, self.hard, self.reach, self.gapless = child.tracked, child.hard, child.reach, child.gapless

    def tail(self) -> tuple[float, complex]:
        a, b = self.child.tail()
        return a, b + a * np.log(self.scale)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(z / self.scale, log_z - np.log(self.scale))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        return Linearised(Jet(j.m, j.w, j.log_s - np.log(self.scale), j.dm, j.dlog_s, j.native_log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u, lin.inner)


class ShiftedNode(UnaryNode):
    """Law of X + shift: g is common, R -> R + shift."""

    def __init__(self, child: Node, shift: float, positive: bool) -> None:
        super().__init__(child)
        self.shift = shift
        self.mean, self.variance, self.positive = child.mean + shift, child.variance, positive

    @property
    def radius(self) -> float:
        return self.child.radius

    def tail(self) -> tuple[float, complex]:
        moved = (1.0, np.log(complex(self.shift)).conjugate())
        return added_tails([self.child.tail(), moved], self.variance)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(z - self.shift, continued_log_z(z - self.shift))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        return Linearised(jet_of_r(j.g, j.dlog_g, j.r + self.shift, j.dr, self.positive), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u, lin.inner)


class PowerNode(UnaryNode):
    """Multiplicative free power: log S -> exponent log S at fixed m."""

    positive = tracked = True

    def __init__(self, child: Node, exponent: float) -> None:
        super().__init__(tracked(child))
        self.exponent = exponent
        self.hard, self.reach = None if child.hard is None else exponent * child.hard, child.reach
        self.gapless = exponent >= 1 and child.gapless  # as in a product
        try:
            self.mean = child.mean**exponent
            # S = 1/m_1 - var/m_1^3 m + …: relative variances add.
            self.variance = self.mean**2 * exponent * child.variance / child.mean**2
        except OverflowError:
            raise PreconditionError(
                f"free power {exponent:g} of a law of mean {child.mean:g}: its scale overflows; divide the law by its "
                "mean first, and in a deep network choose sigma_w closer to criticality"
            ) from None

    def tail(self) -> tuple[float, complex]:
        return multiplied_tails([self.child.tail()], [self.exponent])

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        log_own = own_log_z(self.tail(), self.child.tail(), log_z)
        return self.child.start(np.exp(log_own), log_own)

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j, t = lin.jet, self.exponent
        return Linearised(Jet(j.m, j.w, t * j.log_s, j.dm, t * j.dlog_s, j.log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.exponent * self.child.potential(u, lin.inner)


class SumPowerNode(UnaryNode):
    """Additive free power: R -> exponent R at fixed g."""

    def __init__(self, child: Node, exponent: float) -> None:
        super().__init__(child)
        self.exponent = exponent
        self.mean, self.variance, self.positive = exponent * child.mean, exponent * child.variance, child.positive

    def tail(self) -> tuple[float, complex]:
        a, b = self.child.tail()
        return a, b + np.log(self.exponent)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        moved = z - (self.exponent - 1) * self.child.mean
        return self.child.start(moved, continued_log_z(moved))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j, t = lin.jet, self.exponent
        return Linearised(jet_of_r(j.g, j.dlog_g, t * j.r, t * j.dr, self.positive), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.exponent * self.child.potential(u, lin.inner)


class CompressionNode(UnaryNode):
    """Free compression by a projection of trace ``ratio``: R(g) -> R(ratio g), i.e. m and g both divided by it."""

    def __init__(self, child: Node, ratio: float) -> None:
        super().__init__(child)
        self.ratio = ratio
        self.mean, self.variance, self.positive = child.mean, ratio * child.variance, child.positive

    def tail(self) -> tuple[float, complex]:
        a, b = self.child.tail()
        return a, b + (a - 1) * np.log(self.ratio)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        moved = (z - self.mean) / self.ratio + self.mean
        return self.child.start(moved, continued_log_z(moved))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j, c = lin.jet, self.ratio
        return Linearised(jet_of_r(j.g / c, j.dlog_g, j.r, j.dr, self.positive), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u, lin.inner) / self.ratio


class SymmetrisedRootNode(UnaryNode):
    """Symmetric law of ±sqrt(X), X on [0, oo): the child is met at z**2, m is common."""

    positive = False

    def __init__(self, child: Node) -> None:
        super().__init__(tracked(child))
        self.mean, self.variance = 0.0, child.mean
        self.unbounded, self.full = (child.unbounded[1], child.unbounded[1]), False

    def tail(self) -> tuple[float, complex]:
        a, b = self.child.tail()
        return 2 * a, b

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(z * z, 2 * log_z)

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        log_s = (j.log_s - j.log_eta) / 2
        dlog_s = (j.dlog_s - j.dlog_eta) / 2
        return Linearised(Jet(j.m, j.w, log_s, j.dm, dlog_s, j.log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        out: ComplexArray = (self.child.potential(u, lin.inner) + lin.inner.jet.log_w) / 2
        return out


class SquareNode(Node):
    """Law of X**2 for X symmetric: the child is met at sqrt(z), m is common.

    log z is an unknown besides: next to 0 ``w = sqrt(z) g`` is small, and made of the child's m, or of its z, it would
    have lost its digits.
    """

    positive = tracked = True

    def __init__(self, child: Node) -> None:
        self.child = child
        self.size = child.size + 1
        self.mean = child.variance
        self.variance = 2 * child.variance**2  # only the scale of the start matters
        self.unbounded = (False, any(child.unbounded))

    def tail(self) -> tuple[float, complex]:
        a, b = self.child.tail()
        return a / 2, b

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return np.concatenate([self.child.start(np.exp(log_z / 2), log_z / 2), log_z[np.newaxis]])

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u[:-1])
        j = lin.jet
        root = np.exp(u[-1] / 2)
        gap, rate = root - j.z, root / 2
        # moves (c0 + c1 eps) of the child and (e0 + e1 eps) of log z; the parameter is that of what moves sqrt(z) less
        own = np.abs(rate) <= np.abs(j.dz)
        c0, c1 = np.where(own, gap / j.dz, 0), np.where(own, rate / j.dz, 1)
        e0, e1 = np.where(own, 0, -gap / rate), np.where(own, 1, j.dz / rate)
        log_root = (u[-1] + e0) / 2
        log_s = j.log_s + j.dlog_s * c0
        dlog_s = j.dlog_s * c1
        jet = Jet(
            m=j.m + j.dm * c0,
            w=np.exp(log_root) * j.g * (1 + j.dlog_g * c0),
            log_s=log_s - log_root,
            dm=j.dm * c1,
            dlog_s=dlog_s - e1 / 2,
            native_log_eta=-log_s - log_root,
        )
        return Linearised(jet, (lin, c0, c1, e0, e1))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, c0, c1, e0, e1 = lin.inner
        return np.concatenate([self.child.spread(inner, c0 + c1 * eps), (e0 + e1 * eps)[np.newaxis]])

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return 2 * self.child.potential(u[:-1], lin.inner[0]) - lin.jet.log_w

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        out: FloatArray = np.maximum(self.child.strain(u[:-1], du[:-1]), strain_of_log_z(du[-1]))
        return out
