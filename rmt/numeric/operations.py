"""Operations of the numeric system, each one line in the right coordinates (see `rmt.numeric.node`)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rmt.numeric.conjugate import ReflectedNode
from rmt.numeric.jet import ComplexArray, Jet, log1p, log_lower, log_of_w, log_upper
from rmt.numeric.node import Linearised, Node, continued_log_z, jet_of_r
from rmt.numeric.tracking import tracked

__all__ = [
    "CompressionNode",
    "ManyNode",
    "PowerNode",
    "ProductNode",
    "ResidualNode",
    "ScaledNode",
    "ShiftedNode",
    "SquareNode",
    "SumNode",
    "SumPowerNode",
    "SymmetrisedRootNode",
    "added_tails",
    "leading_child",
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
        self.tracked = child.tracked

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
        self.mean = child.mean**exponent
        # S = 1/m_1 - var/m_1^3 m + …: relative variances add.
        self.variance = self.mean**2 * exponent * child.variance / child.mean**2

    def tail(self) -> tuple[float, complex]:
        return _multiplied([self.child.tail()], [self.exponent])

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        log_own = _own_log_z(self.tail(), self.child.tail(), log_z)
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
        # on paths in log z the node is linear in it, however far; elsewhere a second large step betrays a first one
        out: FloatArray = np.maximum(self.child.strain(u[:-1], du[:-1]), np.minimum(np.abs(du[-1]), 0.5))
        return out


class ResidualNode(Node):
    """Law of |a O + Y|**2, Y an R-diagonal branch whose |Y|**2 is the child; O identity or Haar.

    The symmetrised singular laws add freely: (delta_a + delta_-a)/2 ⊞ sym(Y). With d := psi of the skip at its
    subordination point, the matching condition is ``d (1 + d) = a**2 m0 (1 + m0) S_Y(m0)`` and ``m = m0 + d``,
    ``S = d (1 + d)/(a**2 m (1 + m))``. The second unknown is log(d/(1 + d)); with it the condition is single-valued
    (the square root of the quadratic in d never appears).

    One summand must keep the law off 0; the result is written as a perturbation of it. With log1p 10^5 blocks next to
    the identity then lose no digits, and neither does 1 + m next to 0. ``branch_leads`` says that it is the branch.
    """

    positive = tracked = True

    def __init__(self, child: Node, skip: float, branch_leads: bool = False) -> None:
        self.child, self.branch_leads = tracked(child), branch_leads
        self.size = self.child.size + 1
        self.log_a2 = 2 * np.log(skip)
        a2 = skip**2
        self.mean = a2 + child.mean
        self.variance = child.variance + 2 * a2 * child.mean
        self.unbounded = child.unbounded

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return np.concatenate([self.child.start(z, log_z), (self.log_a2 - log_z)[np.newaxis]])

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u[:-1])
        j = lin.jet
        eta = np.exp(u[-1])
        one = 1 / (1 - eta)  # 1 + d
        d = eta * one
        log_one = log_of_w(one, u[-1].imag)
        mismatch = self.log_a2 + j.log_eta + j.log_s - u[-1] + 2 * (j.log_w - log_one)
        by_child = j.dlog_eta + 2 * j.dm / j.w + j.dlog_s
        by_eta = 1 + 2 * d
        # Moves (c0 + c1 eps) of the child and (e0 + e1 eps) of log eta that close the mismatch. The parameter is that
        # of the one that binds less: by_eta vanishes where the skip's subordination point passes i a, on the negative
        # axis of z.
        child_leads = np.abs(by_eta) >= np.abs(by_child)
        c0 = np.where(child_leads, 0, -mismatch / by_child)
        c1 = np.where(child_leads, 1, by_eta / by_child)
        e0 = np.where(child_leads, mismatch / by_eta, 0)
        e1 = np.where(child_leads, by_child / by_eta, 1)
        dd = d * one  # of d and of 1 + d, by log eta
        if self.branch_leads:
            large, large_w, small = j.m, j.w, d
            log_s, log_eta = j.log_s + j.dlog_s * c0, j.log_eta + j.dlog_eta * c0
            dlog_s = j.dlog_s * c1
            moves = [(j.dm * c, dd * e) for c, e in ((c0, e0), (c1, e1))]
        else:
            large, large_w, small = d, one, j.m
            log_s, log_eta = np.full(d.shape, -self.log_a2, dtype=complex), u[-1] + e0
            dlog_s = np.zeros_like(d)
            moves = [(dd * e, j.dm * c) for c, e in ((c0, e0), (c1, e1))]
        ratio, ratio_w = small / large, small / large_w
        # first-order changes of log(1 + ratio) and log(1 + ratio_w)
        (shift, shift_w), (rate, rate_w) = [
            [(dsmall - r * dlarge) / (x * (1 + r)) for r, x in ((ratio, large), (ratio_w, large_w))]
            for dlarge, dsmall in moves
        ]
        log_ratio, log_ratio_w = log1p(ratio) + shift, log1p(ratio_w) + shift_w
        change, rate_m = (dlarge + dsmall for dlarge, dsmall in moves)
        jet = Jet(
            m=large + small + change,
            w=large_w + small + change,
            log_s=log_s - log_ratio - log_ratio_w,
            dm=rate_m,
            dlog_s=dlog_s - rate - rate_w,
            native_log_eta=log_eta + log_ratio - log_ratio_w,
        )
        beside = log_one if self.branch_leads else j.log_w
        return Linearised(jet, (lin, c0, c1, e0, e1, beside - log_ratio_w))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, c0, c1, e0, e1, _ = lin.inner
        return np.concatenate([self.child.spread(inner, c0 + c1 * eps), (e0 + e1 * eps)[np.newaxis]])

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        # Gamma_Y + log(1 + m0) + log(1 + d) - log(1 + m)
        out: ComplexArray = self.child.potential(u[:-1], lin.inner[0]) + lin.inner[-1]
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        # d and 1 + d are singular at eta = 1 only, and exponential in log eta far from there
        apart = u[-1] - 2j * np.pi * np.round(u[-1].imag / (2 * np.pi))
        own = np.abs(du[-1]) / np.maximum(np.abs(apart), 1.0)
        out: FloatArray = np.maximum(self.child.strain(u[:-1], du[:-1]), own)
        return out


class ManyNode(Node):
    """A law built from children that share one coordinate."""

    def __init__(self, children: Sequence[Node]) -> None:
        self.children = tuple(children)
        ends = np.cumsum([0, *(child.size for child in self.children)]).tolist()
        self.size = ends[-1]
        self._rows = [slice(a, b) for a, b in itertools.pairwise(ends)]

    def _split(self, u: ComplexArray) -> list[ComplexArray]:
        return [u[rows] for rows in self._rows]

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        return np.concatenate(
            [
                child.spread(inner, shift + eps * rate)
                for child, (inner, shift, rate) in zip(self.children, lin.inner, strict=True)
            ]
        )

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        parts = zip(self.children, self._split(u), lin.inner, strict=True)
        out: ComplexArray = np.sum([child.potential(part, inner[0]) for child, part, inner in parts], axis=0)
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        parts = zip(self.children, self._split(u), self._split(du), strict=True)
        out: FloatArray = np.max([child.strain(a, b) for child, a, b in parts], axis=0)
        return out


class ProductNode(ManyNode):
    """Free multiplicative convolution; at most one factor may leave [0, oo)."""

    tracked = True

    def __init__(self, children: Sequence[Node]) -> None:
        super().__init__([tracked(child) if child.positive else child for child in children])
        self.positive = all(child.positive for child in self.children)
        self.mean = float(np.prod([child.mean for child in self.children]))
        if any(child.mean == 0 for child in self.children):
            centred = next(child for child in self.children if child.mean == 0)
            others = [child.mean for child in self.children if child is not centred]
            self.variance = centred.variance * float(np.prod(others)) ** 2
        else:
            self.variance = self.mean**2 * sum(child.variance / child.mean**2 for child in self.children)
        signed = [child for child in self.children if not child.positive]
        far_up = any(child.unbounded[1] for child in self.children if child.positive)
        self.unbounded = (False, far_up)
        if signed:
            low, high = signed[0].unbounded
            self.unbounded = (low or far_up, high or (far_up and not _is_negative(signed[0])))
            self.full = signed[0].full

    def tail(self) -> tuple[float, complex]:
        return _multiplied([child.tail() for child in self.children], [1.0] * len(self.children))

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        tail = self.tail()
        logs = [_own_log_z(tail, child.tail(), log_z) for child in self.children]
        return np.concatenate([child.start(np.exp(log), log) for child, log in zip(self.children, logs, strict=True)])

    def linearise(self, u: ComplexArray) -> Linearised:
        lins = [child.linearise(part) for child, part in zip(self.children, self._split(u), strict=True)]
        # Next to an atom at 0 one child alone knows how far m is from its limit, and the others, matched to it, do not
        # care: it is the one whose m moves least.
        rates = [lin.jet.dlog_eta for lin in lins]
        leading = leading_child(np.array(rates))
        log_eta = leading([lin.jet.log_eta for lin in lins])
        dlog_eta = leading(rates)
        m, w = leading([lin.jet.m for lin in lins]), leading([lin.jet.w for lin in lins])
        log_s = np.zeros_like(m)
        dlog_s = np.zeros_like(m)
        inner = []
        for lin in lins:
            j = lin.jet
            rate = dlog_eta / j.dlog_eta
            shift = (log_eta - j.log_eta) / j.dlog_eta
            log_s = log_s + (j.log_s + j.dlog_s * shift)
            dlog_s = dlog_s + j.dlog_s * rate
            inner.append((lin, shift, rate))
        jet = Jet(m, w, log_s, leading([lin.jet.dm for lin in lins]), dlog_s, log_eta)
        if not self.positive:
            # the arguments must add up to that of a point of the upper half-plane: no other sheet
            sheet = np.abs(jet.log_z.imag - log_upper(jet.z).imag) < 1
            jet = Jet(np.where(sheet, m, np.nan), w, log_s, jet.dm, dlog_s)
        return Linearised(jet, inner)


class SumNode(ManyNode):
    """Free additive convolution."""

    def __init__(self, children: Sequence[Node]) -> None:
        super().__init__(children)
        self.positive = all(child.positive for child in self.children)
        self.mean = sum(child.mean for child in self.children)
        self.variance = sum(child.variance for child in self.children)
        low, high = zip(*(child.unbounded for child in self.children), strict=True)
        self.unbounded = (any(low), any(high))
        # where a subordination function is real, G would be one that is not
        self.full = any(child.full for child in self.children)

    @property
    def radius(self) -> float:
        return sum(child.radius for child in self.children)

    def tail(self) -> tuple[float, complex]:
        return added_tails([child.tail() for child in self.children], self.variance)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        parts = []
        for child in self.children:
            moved = z - (self.mean - child.mean)
            parts.append(child.start(moved, continued_log_z(moved)))
        return np.concatenate(parts)

    def linearise(self, u: ComplexArray) -> Linearised:
        lins = [child.linearise(part) for child, part in zip(self.children, self._split(u), strict=True)]
        leading = leading_child(np.array([lin.jet.dlog_g for lin in lins]))
        g, dlog_g = leading([lin.jet.g for lin in lins]), leading([lin.jet.dlog_g for lin in lins])
        r, dr, z, dz, inner = [], [], [], [], []
        for lin in lins:
            j = lin.jet
            rate = dlog_g / j.dlog_g
            shift = (g / j.g - 1) / j.dlog_g
            r.append(j.r + j.dr * shift)
            dr.append(j.dr * rate)
            z.append(j.z + j.dz * shift)
            dz.append(j.dz * rate)
            inner.append((lin, shift, rate))
        # z is z_k plus the R of the others: where g is nearly 0 inside the support one R, nearly -1/g, would drown them
        lead = np.arange(len(lins))[:, np.newaxis] == np.argmax(np.abs(np.array(r)), axis=0)
        total, dtotal = np.sum(r, axis=0), np.sum(dr, axis=0)
        z_sum, dz_sum = np.where(lead, z, r).sum(axis=0), np.where(lead, dz, dr).sum(axis=0)
        return Linearised(jet_of_r(g, dlog_g, total, dtotal, self.positive, z_sum, dz_sum), inner)


def leading_child(rates: ComplexArray) -> Callable[[Sequence[ComplexArray]], ComplexArray]:
    """Picks, point by point, the value of the child whose shared coordinate moves least with its own parameter.

    That child's parameter becomes the node's: the others can follow it, it could not follow them.
    """
    least = np.argmin(np.abs(rates), axis=0)
    places = least * least.size + np.arange(least.size).reshape(least.shape)

    def pick(values: Sequence[ComplexArray]) -> ComplexArray:
        out: ComplexArray = np.take(np.asarray(values), places)
        return out

    return pick


def _is_negative(node: Node) -> bool:
    """Whether the law is known to live on (-oo, 0]."""
    return isinstance(node, ReflectedNode) and node.child.positive


def added_tails(tails: Sequence[tuple[float, complex]], variance: float) -> tuple[float, complex]:
    """Tail of a free sum: R ~ exp(b) g**(a - 1) at small g, and the smallest a outweighs the others."""
    a = min(order for order, _ in tails)
    parts = np.array([np.exp(b) for order, b in tails if order == a])
    leading = parts.sum()
    if a == 1 and abs(leading) < 1e-14 * np.abs(parts).sum():  # means that cancel
        return 2.0, complex(np.log(variance))
    return a, complex(log_lower(np.array(leading, dtype=complex)))


def _multiplied(tails: Sequence[tuple[float, complex]], exponents: Sequence[float]) -> tuple[float, complex]:
    """Tail of a free product of powers: log S ~ (1/a - 1) log m - b/a, and these add."""
    a = 1 / (1 + sum(t * (1 / order - 1) for t, (order, _) in zip(exponents, tails, strict=True)))
    return a, a * sum(t * b / order for t, (order, b) in zip(exponents, tails, strict=True))


def _own_log_z(whole: tuple[float, complex], own: tuple[float, complex], log_z: ComplexArray) -> ComplexArray:
    """Where a factor has, far away, the m of the whole product at z."""
    log_m = whole[1] - whole[0] * log_z
    out: ComplexArray = (own[1] - log_m) / own[0]
    return out
