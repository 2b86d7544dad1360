"""The free compound Poisson law of the numeric system."""

from __future__ import annotations

import numpy as np

from rmt.numeric.jet import ComplexArray, Jet, continued_log, log_lower
from rmt.numeric.node import Linearised, Node, continued_log_z, logs_of_m_and_eta
from rmt.numeric.tracking import tracked
from rmt.numeric.unary import UnaryNode

__all__ = ["CompoundPoissonNode"]


class CompoundPoissonNode(UnaryNode):
    """Free compound Poisson law: ``R(g) = rate E[J/(1 - g J)]``, J with the law of the child.

    ``g R(g) = rate E[g J/(1 - g J)]`` is ``rate`` times the moment transform of J at 1/g: the child is met at
    ``zeta = 1/g``, which lies in the upper half-plane as z does, and ``m = rate m_J(zeta)``.

    Gamma, derived here: dPhi = g dz gives ``dGamma = dm - m dlog g`` for every law. Here it is
    ``rate (dm_J + m_J dlog zeta)``, while for J itself, with g_J = w_J/zeta, it is ``dGamma_J = dlog w_J + m_J dlog
    zeta``; both vanish at infinity, so ``Gamma = rate (Gamma_J + m_J - log w_J)``.
    """

    def __init__(self, child: Node, rate: float) -> None:
        super().__init__(tracked(child) if child.positive else child)
        self.rate, self.positive = rate, child.positive
        self.mean, self.variance = rate * child.mean, rate * (child.variance + child.mean**2)

    def tail(self) -> tuple[float, complex]:
        a, b = self.child.tail()
        return a, b + np.log(self.rate)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        zeta = z - self.mean
        return self.child.start(zeta, continued_log_z(zeta))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        m, dm = self.rate * j.m, self.rate * j.dm
        # the second form next to a hard edge, where m_J -> -1
        w = np.where(np.abs(j.w) > 0.5, 1 + m, (1 - self.rate) + self.rate * j.w)
        dlog_s = -j.dlog_z - j.dm / j.m
        if not self.positive:
            log_s = -log_lower(m * j.z)  # m/g, in the lower half-plane
            return Linearised(Jet(m, w, log_s, dm, dlog_s), lin)
        log_m, log_eta = logs_of_m_and_eta(m, w)
        return Linearised(Jet(m, w, continued_log(1 / j.z) - log_m, dm, dlog_s, log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        inner = lin.inner
        out: ComplexArray = self.rate * (self.child.potential(u, inner) + inner.jet.m - inner.jet.log_w)
        return out
