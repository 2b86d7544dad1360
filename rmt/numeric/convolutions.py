"""Free sums and products in the coordinates of the solver: the children share g, and R adds, or m, and log S adds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rmt.numeric.conjugate import ReflectedNode
from rmt.numeric.jet import ComplexArray, Jet, log_upper
from rmt.numeric.node import Linearised, Node, continued_log_z, jet_of_r
from rmt.numeric.tails import added_tails, multiplied_tails, own_log_z
from rmt.numeric.tracking import tracked

__all__ = ["ManyNode", "ProductNode", "SumNode", "leading_child"]

FloatArray = npt.NDArray[np.float64]


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
        super().__init__([tracked(child) for child in children])
        self.positive = all(child.positive for child in self.children)
        self.mean = float(np.prod([child.mean for child in self.children]))
        if any(child.mean == 0 for child in self.children):
            centred = next(child for child in self.children if child.mean == 0)
            others = [child.mean for child in self.children if child is not centred]
            self.variance = centred.variance * float(np.prod(others)) ** 2
        else:
            self.variance = self.mean**2 * sum(child.variance / child.mean**2 for child in self.children)
        signed = [child for child in self.children if not child.positive]
        rates = [child.hard for child in self.children if child.hard is not None]
        self.hard = sum(rates) if len(rates) == len(self.children) else None
        self.reach = min(child.reach for child in self.children)
        # in a gap at z > 0 the subordination functions are real and positive, and lie in gaps of the children
        self.gapless = self.positive and any(child.gapless for child in self.children)
        far_up = any(child.unbounded[1] for child in self.children if child.positive)
        self.unbounded = (False, far_up)
        if signed:
            low, high = signed[0].unbounded
            self.unbounded = (low or far_up, high or (far_up and not _is_negative(signed[0])))
            self.full = signed[0].full

    def tail(self) -> tuple[float, complex]:
        return multiplied_tails([child.tail() for child in self.children], [1.0] * len(self.children))

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        tail = self.tail()
        logs = [own_log_z(tail, child.tail(), log_z) for child in self.children]
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
    least = np.abs(rates).argmin(axis=0)
    places = least * least.size + np.arange(least.size).reshape(least.shape)

    def pick(values: Sequence[ComplexArray]) -> ComplexArray:
        out: ComplexArray = np.asarray(values).take(places)
        return out

    return pick


def _is_negative(node: Node) -> bool:
    """Whether the law is known to live on (-oo, 0]."""
    return isinstance(node, ReflectedNode) and node.child.positive
