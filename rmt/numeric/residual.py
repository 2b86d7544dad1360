"""Residual sums in the coordinates of the solver."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet, log1p, log_of_w
from rmt.numeric.node import Linearised, Node
from rmt.numeric.tails import added_tails
from rmt.numeric.tracking import tracked

__all__ = ["ResidualNode"]

FloatArray = npt.NDArray[np.float64]


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

    def tail(self) -> tuple[float, complex]:
        return added_tails([self.child.tail(), (1.0, complex(self.log_a2))], self.variance)

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
