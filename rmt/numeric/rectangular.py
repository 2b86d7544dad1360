"""Rectangular free convolution in the coordinates of the solver."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rmt.numeric.convolutions import ManyNode, leading_child
from rmt.numeric.jet import ComplexArray, Jet, log_of_w
from rmt.numeric.node import FloatArray, Linearised, Node, continued_log_z
from rmt.numeric.tails import added_tails
from rmt.numeric.tracking import strain_of_log_z, tracked

__all__ = ["RectangularNode"]


class RectangularNode(ManyNode):
    """Law of (A + B + …)(A + B + …)ᵀ for free bi-invariant rectangular matrices: h is common, m adds.

    With c = rows/columns, ``wt = 1 + c m = z G(z)`` of the law of the transposed product, ``h = w wt/z`` and
    ``S = h/(m wt)``, m as a function of h is the rectangular R-transform (Benaych-Georges, Rectangular random matrices,
    related convolution, 2009: his ``T(m) = w wt`` and ``C(h) = m``).

    Gamma, derived here: ``dPhi = w dlog z`` and ``log z = log w + log wt - log h`` give
    ``Phi - 2 m + (1/c - 1) log wt + log h = -∫ m dlog h``, which adds, and ``h = g wt``, so that
    ``Gamma - 2 m + log(wt)/c`` adds.

    log z is an unknown besides: in a gap the children may sit on the negative axis, from where the side on which z lies
    cannot be told (cf. `rmt.numeric.tracking`).
    """

    positive = tracked = True

    def __init__(self, children: Sequence[Node], ratio: float) -> None:
        super().__init__([tracked(child) for child in children])
        self.size += 1
        self.ratio = ratio
        self.mean = sum(child.mean for child in self.children)
        # m = c_1 h + c_2 h^2 + … with c_1 the mean and c_2 = m_2 - (1 + c) m_1^2, and these add
        cumulant = sum(child.variance - ratio * child.mean**2 for child in self.children)
        self.variance = cumulant + ratio * self.mean**2
        self.unbounded = (False, any(child.unbounded[1] for child in self.children))

    def tail(self) -> tuple[float, complex]:
        return added_tails([child.tail() for child in self.children], self.variance)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        parts = []
        for child in self.children:
            moved = z - (1 + self.ratio) * (self.mean - child.mean)
            # next to the positive axis only the given logarithm tells the side
            log_moved = continued_log_z(moved)
            turns = np.round((log_z - log_moved).imag / (2 * np.pi))
            parts.append(child.start(moved, log_moved + 2j * np.pi * turns))
        return np.concatenate([*parts, log_z[np.newaxis]])

    def linearise(self, u: ComplexArray) -> Linearised:
        lins = [child.linearise(part) for child, part in zip(self.children, self._split(u[:-1]), strict=True)]
        jets = [lin.jet for lin in lins]
        own_log_wt = [self._log_wt(j) for j in jets]
        rates = [j.dm / j.m + self.ratio * j.dm / (1 + self.ratio * j.m) + j.dlog_s for j in jets]
        leading = leading_child(np.array(rates))
        log_h = leading([j.log_eta + j.log_w + wt + j.log_s for j, wt in zip(jets, own_log_wt, strict=True)])
        dlog_h = leading(rates)
        m, dm = np.zeros_like(log_h), np.zeros_like(log_h)
        inner = []
        for lin, wt, dlog in zip(lins, own_log_wt, rates, strict=True):
            j = lin.jet
            rate = dlog_h / dlog
            shift = (log_h - (j.log_eta + j.log_w + wt + j.log_s)) / dlog
            m, dm = m + (j.m + j.dm * shift), dm + j.dm * rate
            inner.append((lin, shift, rate))
        beyond = u[-1].imag > np.pi
        side = np.where(beyond, -2 * np.pi, 0.0)
        # the moves (c0 + c1 eps) of the children and (e0 + e1 eps) of log z, as in `TrackedNode`
        z, h = np.exp(u[-1]), np.exp(log_h)
        w, wt = 1 + m, 1 + self.ratio * m
        own_z, dz = w * wt / h, (dm * (wt + self.ratio * w) - w * wt * dlog_h) / h
        own = np.abs(z) <= np.abs(dz)
        c0, c1 = np.where(own, (z - own_z) / dz, 0), np.where(own, z / dz, 1)
        m, wt = m + dm * c0, wt + self.ratio * dm * c0
        log_h, log_wt = log_h + dlog_h * c0, log_of_w(wt, side)
        w = np.where(own, z * np.exp(log_h) / wt, w)
        log_w, log_m = log_of_w(w, side), _log_of_m(m, beyond)
        e0, e1 = np.where(own, 0, log_w + log_wt - log_h - u[-1]), np.where(own, 1, dz / own_z)
        dm, dlog_h = dm * c1, dlog_h * c1
        log_eta = log_m - np.where(own, u[-1] + log_h - log_wt, log_w)
        jet = Jet(m, w, log_h - log_m - log_wt, dm, dlog_h - dm / m - self.ratio * dm / wt, log_eta)
        return Linearised(jet, (inner, c0, c1, e0, e1, log_wt))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, c0, c1, e0, e1, _ = lin.inner
        moves = super().spread(Linearised(lin.jet, inner), c0 + c1 * eps)
        return np.concatenate([moves, (e0 + e1 * eps)[np.newaxis]])

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        inner, *_, log_wt = lin.inner
        out: ComplexArray = -log_wt / self.ratio
        for child, part, (own, _, _) in zip(self.children, self._split(u[:-1]), inner, strict=True):
            out = out + child.potential(part, own) + self._log_wt(own.jet) / self.ratio
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        out: FloatArray = np.maximum(super().strain(u[:-1], du[:-1]), strain_of_log_z(du[-1]))
        return out

    def _log_wt(self, jet: Jet) -> ComplexArray:
        """Logarithm of 1 + ratio m, which turns as w does."""
        return log_of_w(1 + self.ratio * jet.m, jet.log_eta.imag)


def _log_of_m(m: ComplexArray, beyond: npt.NDArray[np.bool_]) -> ComplexArray:
    """Logarithm of m, argument in [-pi, 0] while arg z <= pi and in [-2 pi, -pi] beyond, up to overshoots."""
    out = np.log(-m)
    wrong = np.where(beyond, out.imag > np.pi / 2, out.imag < -np.pi / 2)
    return out - 1j * np.pi - 2j * np.pi * np.where(wrong, np.where(beyond, 1.0, -1.0), 0.0)
