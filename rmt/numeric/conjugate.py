"""Reflection and inversion: the two maps of the line that turn the half-planes over.

-x and 1/x map the upper half-plane to the lower one, where no node is met; but G is real, ``G(conj z) = conj G(z)``, so
the child is met at the complex conjugate of the mapped point, in the upper half-plane, and what it says is conjugated
back. Unknowns are kept conjugated for the same reason: as functions of this node's spectral argument they are analytic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rmt.numeric.continuation import solve
from rmt.numeric.jet import ComplexArray, Jet, log_lower, log_upper
from rmt.numeric.node import FloatArray, Linearised, Node, jet_of_g
from rmt.numeric.tracking import tracked

__all__ = ["InverseNode", "ReflectedNode", "SignedInverseNode"]

# Decades beyond the typical size of 1/X at which its tail is read off.
_FAR = 12


class _ConjugateNode(Node):
    """A law whose unknowns are the conjugates of its child's."""

    def __init__(self, child: Node) -> None:
        self.child = child
        self.size = child.size

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        return self.child.spread(lin.inner, eps.conj()).conj()

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        return self.child.strain(u.conj(), du.conj())


class ReflectedNode(_ConjugateNode):
    """Law of -X: the child is met at ``zeta = -conj(z)``; m, w and Gamma are conjugated, g = -conj(g).

    ``positive`` says that X lives on (-oo, 0]. Beyond ``arg z = pi`` zeta then passes, above the support of X, into the
    lower half-plane, where the child's values are still right while its logarithms need not be: they are made anew from
    the values, and Gamma is the conjugate of the one at the point mirrored at the axis.
    """

    def __init__(self, child: Node, positive: bool = False) -> None:
        super().__init__(child)
        self.mean, self.variance, self.positive = -child.mean, child.variance, positive
        self.unbounded, self.full = (child.unbounded[1], child.unbounded[0]), child.full

    def tail(self) -> tuple[float, complex]:
        a, b = self.child.tail()
        return a, complex(log_lower(np.array(np.exp(complex(b).conjugate() + 1j * np.pi * a))))

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(-z.conj(), log_z.conj() + 1j * np.pi).conj()

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u.conj())
        j = lin.jet
        m, w, dm, dlog_s = (value.conj() for value in (j.m, j.w, j.dm, j.dlog_s))
        if self.positive:
            g = -j.g.conj()
            return Linearised(jet_of_g(g, g * j.dlog_g.conj(), m, dm, True), lin)
        # m/g = -conj(m/g) of the child: both lie in the lower half-plane
        return Linearised(Jet(m, w, j.log_s.conj() + 1j * np.pi, dm, dlog_s), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        gamma = self.child.potential(u.conj(), lin.inner).conj()
        if not self.positive:
            return gamma
        mirrored = self.child.potential(u, self.child.linearise(u))
        return np.where(lin.jet.log_eta.imag < -np.pi - 1e-6, mirrored, gamma)


class InverseNode(_ConjugateNode):
    """Law of 1/X for X without atom at 0: the child is met at ``zeta = conj(1/z)``.

    ``m = -conj(w)``, ``w = -conj(m)``, ``S(m) = 1/S_X(-1 - m)``. For X > 0 zeta and z have the same argument, and so
    have eta and the child's.

    Gamma, derived here: for x > 0 ``z - 1/x = -(z/x)(1/z - x)``, so that ``Phi(z) = log z + conj(Phi(zeta)) -
    E log|X| + i pi P(X > 0)`` with every argument in [0, pi], and for X > 0 ``log g = log w - log z`` with
    ``log w = conj(log m) - i pi``.

    Parameters
    ----------
    child : Node
        Of the law of X.
    mean, variance : float
        Of 1/X; where they are infinite, a location and a squared scale.
    log_moment : float
        E log|X|.
    above : float
        P(X > 0).
    unbounded : pair of bool
        Whether the density of X reaches 0 from below, and from above.
    order : float
        The power a of ``m ~ exp(b) z**-a`` far away: 1 where E 1/X is finite.
    """

    def __init__(
        self,
        child: Node,
        *,
        mean: float,
        variance: float,
        log_moment: float,
        above: float,
        unbounded: tuple[bool, bool] = (False, False),
        order: float = 1.0,
    ) -> None:
        # far away here is next to 0 there, where z made of other unknowns would have lost its digits
        super().__init__(tracked(child) if child.positive else child)
        self.mean, self.variance, self.positive, self.tracked = mean, variance, child.positive, child.positive
        self.log_moment, self.above, self.unbounded, self.order = log_moment, above, unbounded, order
        self.full = child.full

    def tail(self) -> tuple[float, complex]:
        if not any(self.unbounded):
            return super().tail()
        # read off next to 0, on the negative axis where the support of X has its end there
        log_z = _FAR * np.log(10) - self.log_moment + (1j * np.pi if self.positive else 0.5j * np.pi)
        z = np.array([np.exp(log_z)])
        log_m = log_lower(self.linearise(self.start(z, np.array([log_z]))).jet.m * np.exp(1j * self.order * log_z.imag))
        return self.order, complex(log_m[0] + self.order * log_z.real)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        # far away here is next to 0 there, where the child has no asymptotic form: it is solved
        with np.errstate(all="ignore"):
            return solve(self.child, (1 / z).conj()).unknowns.conj()

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u.conj())
        j = lin.jet
        m, w, dm = -j.w.conj(), -j.m.conj(), -j.dm.conj()
        return Linearised(Jet(m, w, -j.log_s.conj(), dm, -j.dlog_s.conj(), -j.log_eta.conj()), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        gamma = self.child.potential(u.conj(), lin.inner)
        out: ComplexArray = (gamma - lin.inner.jet.log_s).conj() - self.log_moment
        return out


class SignedInverseNode(InverseNode):
    """`InverseNode` of a law that leaves [0, oo).

    log z is an unknown besides: far away ``m = -conj(zeta g)`` is small, and zeta, made of the child's unknowns next to
    0, would have lost its digits.
    """

    def __init__(self, child: Node, **parameters: Any) -> None:
        super().__init__(child, **parameters)
        self.size = child.size + 1

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return np.concatenate([super().start(z, log_z), log_upper(z)[np.newaxis]])

    def linearise(self, u: ComplexArray) -> Linearised:
        own = u.conj()  # as the child sees everything
        lin = self.child.linearise(own[:-1])
        j = lin.jet
        zeta = np.exp(-own[-1])
        gap, rate = zeta - j.z, -zeta
        # moves (c0 + c1 eps) of the child and (e0 + e1 eps) of log z; the parameter is that of what moves zeta less
        leads = np.abs(rate) <= np.abs(j.dz)
        c0, c1 = np.where(leads, gap / j.dz, 0), np.where(leads, rate / j.dz, 1)
        e0, e1 = np.where(leads, 0, -gap / rate), np.where(leads, 1, j.dz / rate)
        zeta = zeta * (1 - e0)
        m, dm = j.m + j.dm * c0, j.dm * c1
        g = -(m * zeta).conj()
        dg = g * (dm / m - e1).conj()
        jet = jet_of_g(g, dg, -(zeta * j.g * (1 + j.dlog_g * c0)).conj(), -dm.conj(), False)
        return Linearised(jet, (lin, c0, c1, e0, e1))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, c0, c1, e0, e1 = lin.inner
        step = eps.conj()
        moves = [self.child.spread(inner, c0 + c1 * step), (e0 + e1 * step)[np.newaxis]]
        return np.concatenate(moves).conj()

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        inner = lin.inner[0]
        gamma = self.child.potential(u[:-1].conj(), inner)
        phi: ComplexArray = (gamma - inner.jet.log_g).conj() + u[-1] - self.log_moment + 1j * np.pi * self.above
        return phi + lin.jet.log_g

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        out: FloatArray = np.maximum(self.child.strain(u[:-1].conj(), du[:-1].conj()), np.abs(du[-1]))
        return out
