"""Nodes of the flattened system of a law: one unknown per leaf, one matching condition per operation.

A node holds ``size`` complex unknowns (rows of an array of shape (size, n)). It answers

    start(z)          unknowns at large |z|, from the first moments;
    linearise(u)      the Jet of its law after one elimination of its inner conditions, and what `spread` needs;
    spread(lin, eps)  the Newton increments of all its unknowns when its own parameter moves by eps;
    potential(u)      Gamma = Phi + log g, Phi(z) = integral of log(z - x) over the law.

Each operation is one line in the right coordinates (Voiculescu's R and S):

    free sum       g common, m adds
    free product   m common, log S adds
    free powers    the same with a real factor,

and Gamma adds in all of them (derived here: dPhi = g dz, integrated along the curve). The distribution function is
read off it, F(x) = 1 - Im Phi(x + i0)/pi, atoms included, with no quadrature; Re Phi is the log moment.

Because `linearise` eliminates upwards and `spread` substitutes downwards, a Newton step for the whole expression costs
one pass over the tree; there are no nested fixed points.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt.numeric.jet import ComplexArray, Jet, continued_log, log1p, log_of_w

__all__ = [
    "CompressionNode",
    "DiscreteLeaf",
    "ExplicitSLeaf",
    "Linearised",
    "Node",
    "PowerNode",
    "ProductNode",
    "ReflectedNode",
    "ResidualNode",
    "ScaledNode",
    "SemicircleLeaf",
    "ShiftedNode",
    "SquareNode",
    "SumNode",
    "SumPowerNode",
    "SymmetrisedRootNode",
]


@dataclass(frozen=True)
class Linearised:
    """A Jet and the data for the substitution back (inner mismatches and the children's linearisations)."""

    jet: Jet
    inner: Any = None


class Node(ABC):
    """A law as seen by the solver; see the module's docstring for the protocol.

    ``mean`` and ``variance`` are floats (used only to start far away); ``positive`` says that the law lives on
    [0, oo).
    """

    size: int
    mean: float
    variance: float
    positive: bool

    @abstractmethod
    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        """Unknowns, shape (size, n), to first order at large |z| (``log_z`` is the continued logarithm)."""

    @abstractmethod
    def linearise(self, u: ComplexArray) -> Linearised:
        """Jet at the unknowns ``u``, inner conditions eliminated to first order."""

    @abstractmethod
    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        """Increments of all unknowns, shape (size, n), for the parameter increment ``eps``."""

    @abstractmethod
    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        """Gamma = Phi + log g at a solution."""

    def strain(self, u: ComplexArray, du: ComplexArray) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Size of an increment in units of the distance over which the node is close to linear, shape (n,)."""
        return np.max(np.abs(du), axis=0)


# --- leaves ---------------------------------------------------------------------------------------------------


class Leaf(Node):
    """One unknown, which is also the parameter of the jet."""

    size = 1

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        return eps[np.newaxis]


class ExplicitSLeaf(Leaf):
    """A law on [0, oo) of which the part away from 0 has an explicit S-transform; the unknown is its log eta.

    The law is ``mass * nu + (1 - mass) * delta_0``. For nu, ``log_s(m, w, log)`` returns (log S, d log S/dm) and
    ``gamma(m, w, log)`` returns Gamma, the integral from 0 to m of -m d log S. ``log`` is the logarithm to use for
    quantities that, like w, turn through the lower half-plane as z turns through the upper one. nu has no atom at 0:
    next to such an atom m forgets how far z has turned, while the eta of nu remembers.
    """

    positive = True

    def __init__(self, log_s: Any, gamma: Any, mean: float, variance: float, mass: float = 1.0) -> None:
        self.log_s, self.gamma, self.mass = log_s, gamma, mass
        self.nu_mean = mean
        self.mean = mass * mean
        self.variance = mass * (variance + mean**2) - self.mean**2

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return (np.log(self.nu_mean) - log_z)[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        log = log_like_w(u[0].imag)
        eta = np.exp(u[0])
        w = 1 / (1 - eta)
        m = eta * w
        log_s, slope = self.log_s(m, w, log)
        dm = m * w
        if self.mass == 1:
            return Linearised(Jet(m, w, log_s, dm, slope * dm, u[0]), (m, w))
        whole = (1 - self.mass) + self.mass * w
        # m is divided by 1/mass at fixed z: S changes by the ratio of w/m
        excess = log(whole) - log(w) - np.log(self.mass)
        rate = self.mass * dm / whole - dm / w
        jet = Jet(self.mass * m, whole, log_s + excess, self.mass * dm, slope * dm + rate, u[0] - excess)
        return Linearised(jet, (m, w))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        log = log_like_w(u[0].imag)
        m, w = lin.inner
        gamma: ComplexArray = self.gamma(m, w, log)
        if self.mass == 1:
            return gamma
        return self.mass * (gamma - log(w)) + log(lin.jet.w)


class SemicircleLeaf(Leaf):
    """Semicircle law; the unknown is log g, z = variance g + 1/g + mean."""

    positive = False

    def __init__(self, variance: float, mean: float) -> None:
        self.variance, self.mean = variance, mean

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return -np.log(z - self.mean)[np.newaxis]

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        # a step in g itself: next to a cusp of a sum, where the children's g must agree to second order, a step in
        # log g would leave a mismatch that the near-singular system blows up
        return log1p(eps)[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        g = np.exp(u[0])
        ratio = self.variance * g + self.mean  # = m/g = 1/S
        m = g * ratio
        w = 1 + m
        dm, dlog_s = m + self.variance * g * g, -self.variance * g / ratio
        if self.mean == 0:
            # m = variance g^2 turns twice as far as g: only the unknown knows its argument
            log_variance = np.log(self.variance)
            log_eta = log_variance + 2 * u[0] - np.log(w)
            return Linearised(Jet(m, w, -log_variance - u[0], dm, dlog_s, log_eta))
        return Linearised(Jet(m, w, -np.log(ratio), dm, dlog_s))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        g = np.exp(u[0])
        return self.variance * g * g / 2


class DiscreteLeaf(Leaf):
    """Finitely many atoms. The unknown is log z for laws on [0, oo), z itself otherwise."""

    def __init__(self, positions: Sequence[float], masses: Sequence[float]) -> None:
        self.x = np.asarray(positions, dtype=float)[:, np.newaxis]
        self.p = np.asarray(masses, dtype=float)[:, np.newaxis]
        self.positive = bool(np.all(self.x >= 0))
        self.mean = float(np.sum(self.p * self.x))
        self.variance = float(np.sum(self.p * (self.x - self.mean) ** 2))

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return log_z[np.newaxis] if self.positive else z[np.newaxis]

    def linearise(self, u: ComplexArray) -> Linearised:
        z = np.exp(u[0]) if self.positive else u[0]
        kernel = self.p / (z - self.x)
        m = np.sum(kernel * self.x, axis=0)
        slope = -np.sum(kernel * self.x / (z - self.x), axis=0)  # dm/dz
        if self.positive:
            w = z * np.sum(kernel, axis=0)
            zm = z * m
            log = log_like_w(-u[0].imag)
            log_w = log(w)
            log_s = log_w - log(zm)
            dm = z * slope
            return Linearised(Jet(m, w, log_s, dm, dm / w - dm / m - 1, -u[0] - log_s), log_w)
        g = np.sum(kernel, axis=0)
        dg = -np.sum(kernel / (z - self.x), axis=0)
        w = z * g
        # m ~ mean/z, or variance/z^2: its argument follows that of z
        log_z = continued_log_z(z)
        if abs(self.mean) > 1e-14 * np.sqrt(self.variance):
            log_m = np.log(z * m / self.mean) + np.log(abs(self.mean)) - log_z - (1j * np.pi if self.mean < 0 else 0)
        else:
            log_m = np.log(z * z * m) - 2 * log_z
        return Linearised(Jet(m, w, continued_log(g) - log_m, slope, dg / g - slope / m, log_m - np.log(w)))

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        if self.positive:
            # Phi - log z and log w are both small when z is far from the atoms
            return np.sum(self.p * log1p_like_1_over_w(-self.x / np.exp(u[0]), u[0].imag), axis=0) + lin.inner
        phi: ComplexArray = np.sum(self.p * continued_log_z(u[0] - self.x), axis=0)
        return phi + continued_log(lin.jet.g)

    def strain(self, u: ComplexArray, du: ComplexArray) -> np.ndarray[Any, np.dtype[np.float64]]:
        z = np.exp(u[0]) if self.positive else u[0]
        step = np.abs(du[0] * (z if self.positive else 1))
        gap = np.min(np.abs(z - self.x), axis=0)
        return np.maximum(step / gap, np.abs(du[0]) if self.positive else 0.0)


# --- operations of one law ------------------------------------------------------------------------------------


class UnaryNode(Node):
    """A law whose unknowns and parameter are those of its only child."""

    def __init__(self, child: Node) -> None:
        self.child = child
        self.size = child.size

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        return self.child.spread(lin.inner, eps)

    def strain(self, u: ComplexArray, du: ComplexArray) -> np.ndarray[Any, np.dtype[np.float64]]:
        return self.child.strain(u, du)


class ScaledNode(UnaryNode):
    """Law of scale * X, scale > 0: S -> S/scale."""

    def __init__(self, child: Node, scale: float) -> None:
        super().__init__(child)
        self.scale = scale
        self.mean, self.variance, self.positive = scale * child.mean, scale**2 * child.variance, child.positive

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(z / self.scale, log_z - np.log(self.scale))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        return Linearised(Jet(j.m, j.w, j.log_s - np.log(self.scale), j.dm, j.dlog_s, j.native_log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u, lin.inner)


class ReflectedNode(UnaryNode):
    """Law of -X for X on [0, oo): the child is met at -z, whose argument lies in (pi, 2 pi)."""

    positive = False

    def __init__(self, child: Node) -> None:
        super().__init__(child)
        self.mean, self.variance = -child.mean, child.variance

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(-z, log_z + 1j * np.pi)

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        return Linearised(Jet(j.m, j.w, j.log_s + 1j * np.pi, j.dm, j.dlog_s, j.native_log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u, lin.inner)


class ShiftedNode(UnaryNode):
    """Law of X + shift: g is common, m -> m + shift g."""

    def __init__(self, child: Node, shift: float, positive: bool) -> None:
        super().__init__(child)
        self.shift = shift
        self.mean, self.variance, self.positive = child.mean + shift, child.variance, positive

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(z - self.shift, continued_log_z(z - self.shift))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        g, dg = j.g, j.g * j.dlog_g
        m, dm = j.m + self.shift * g, j.dm + self.shift * dg
        return Linearised(_jet_of_g(g, dg, m, dm), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u, lin.inner)


class PowerNode(UnaryNode):
    """Multiplicative free power: log S -> exponent log S at fixed m."""

    positive = True

    def __init__(self, child: Node, exponent: float) -> None:
        super().__init__(child)
        self.exponent = exponent
        self.mean = child.mean**exponent
        # S = 1/m_1 - var/m_1^3 m + …: relative variances add.
        self.variance = self.mean**2 * exponent * child.variance / child.mean**2

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        shift = (1 - self.exponent) * np.log(self.child.mean)
        return self.child.start(z * np.exp(shift), log_z + shift)

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j, t = lin.jet, self.exponent
        return Linearised(Jet(j.m, j.w, t * j.log_s, j.dm, t * j.dlog_s, j.log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.exponent * self.child.potential(u, lin.inner)


class SumPowerNode(UnaryNode):
    """Additive free power: m -> exponent m at fixed g."""

    def __init__(self, child: Node, exponent: float) -> None:
        super().__init__(child)
        self.exponent = exponent
        self.mean, self.variance, self.positive = exponent * child.mean, exponent * child.variance, child.positive

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        moved = z - (self.exponent - 1) * self.child.mean
        return self.child.start(moved, continued_log_z(moved))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j, t = lin.jet, self.exponent
        return Linearised(Jet(t * j.m, 1 + t * j.m, j.log_s - np.log(t), t * j.dm, j.dlog_s), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.exponent * self.child.potential(u, lin.inner)


class CompressionNode(UnaryNode):
    """Free compression by a projection of trace ``ratio``: R(g) -> R(ratio g), i.e. m and g both divided by it."""

    def __init__(self, child: Node, ratio: float) -> None:
        super().__init__(child)
        self.ratio = ratio
        self.mean, self.variance, self.positive = child.mean, ratio * child.variance, child.positive

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        moved = (z - self.mean) / self.ratio + self.mean
        return self.child.start(moved, continued_log_z(moved))

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j, c = lin.jet, self.ratio
        return Linearised(Jet(j.m / c, 1 + j.m / c, j.log_s, j.dm / c, j.dlog_s), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return self.child.potential(u, lin.inner) / self.ratio


class SymmetrisedRootNode(UnaryNode):
    """Symmetric law of ±sqrt(X), X on [0, oo): the child is met at z**2, m is common."""

    positive = False

    def __init__(self, child: Node) -> None:
        super().__init__(child)
        self.mean, self.variance = 0.0, child.mean

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(z * z, 2 * log_z)

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        log_s = (j.log_s - j.log_eta) / 2
        dlog_s = (j.dlog_s - j.dlog_eta) / 2
        return Linearised(Jet(j.m, j.w, log_s, j.dm, dlog_s, j.log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return (self.child.potential(u, lin.inner) + lin.inner.jet.log_w) / 2


class SquareNode(UnaryNode):
    """Law of X**2 for X symmetric: the child is met at sqrt(z), m is common."""

    positive = True

    def __init__(self, child: Node) -> None:
        super().__init__(child)
        self.mean = child.variance
        self.variance = 2 * child.variance**2  # only the scale of the start matters

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.child.start(np.exp(log_z / 2), log_z / 2)

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u)
        j = lin.jet
        return Linearised(Jet(j.m, j.w, 2 * j.log_s + j.log_eta, j.dm, 2 * j.dlog_s + j.dlog_eta, j.log_eta), lin)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        return 2 * self.child.potential(u, lin.inner) - lin.jet.log_w


class ResidualNode(Node):
    """Law of |a O + Y|**2, Y an R-diagonal branch whose |Y|**2 is the child; O identity or Haar.

    The symmetrised singular laws add freely: (delta_a + delta_-a)/2 ⊞ sym(Y). With d := psi of the skip at its
    subordination point, the matching condition is ``d (1 + d) = a**2 m0 (1 + m0) S_Y(m0)`` and ``m = m0 + d``,
    ``S = d (1 + d)/(a**2 m (1 + m))``. The second unknown is log(d/(1 + d)); with it the condition is single-valued
    (the square root of the quadratic in d never appears), and with log1p 10^5 blocks next to the identity lose no
    digits.
    """

    positive = True

    def __init__(self, child: Node, skip: float) -> None:
        self.child = child
        self.size = child.size + 1
        self.log_a2 = 2 * np.log(skip)
        a2 = skip**2
        self.mean = a2 + child.mean
        self.variance = child.variance + 2 * a2 * child.mean

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return np.concatenate([self.child.start(z, log_z), (self.log_a2 - log_z)[np.newaxis]])

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.child.linearise(u[:-1])
        j = lin.jet
        eta = np.exp(u[-1])
        one = 1 / (1 - eta)  # 1 + d
        d = eta * one
        mismatch = self.log_a2 + j.log_eta + j.log_s - u[-1] + 2 * (j.log_w - log_of_w(one, u[-1].imag))
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
        ratio, ratio1 = j.m / d, j.m / one

        def moved(c: ComplexArray, e: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
            """First-order changes of log(1 + ratio) and log(1 + ratio1)."""
            dm = j.dm * c
            return (dm - ratio * dd * e) / (d * (1 + ratio)), (dm - ratio1 * dd * e) / (one * (1 + ratio1))

        shift, shift1 = moved(c0, e0)
        rate, rate1 = moved(c1, e1)
        log_ratio, log_ratio1 = log1p(ratio) + shift, log1p(ratio1) + shift1
        dm0 = j.dm * c0 + dd * e0
        jet = Jet(
            m=d + j.m + dm0,
            w=one + j.m + dm0,
            log_s=-self.log_a2 - log_ratio - log_ratio1,
            dm=j.dm * c1 + dd * e1,
            dlog_s=-rate - rate1,
            native_log_eta=u[-1] + e0 + log_ratio - log_ratio1,
        )
        return Linearised(jet, (lin, c0, c1, e0, e1, log_ratio1))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, c0, c1, e0, e1, _ = lin.inner
        return np.concatenate([self.child.spread(inner, c0 + c1 * eps), (e0 + e1 * eps)[np.newaxis]])

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        inner, log_ratio1 = lin.inner[0], lin.inner[-1]
        out: ComplexArray = self.child.potential(u[:-1], inner) + inner.jet.log_w - log_ratio1
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.maximum(self.child.strain(u[:-1], du[:-1]), np.abs(du[-1]))


# --- operations of several laws -------------------------------------------------------------------------------


class ManyNode(Node):
    """A law built from children that share one coordinate."""

    def __init__(self, children: Sequence[Node]) -> None:
        self.children = tuple(children)
        self.size = sum(child.size for child in self.children)

    def _split(self, u: ComplexArray) -> list[ComplexArray]:
        cuts = np.cumsum([child.size for child in self.children])[:-1]
        return np.split(u, cuts)

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

    def strain(self, u: ComplexArray, du: ComplexArray) -> np.ndarray[Any, np.dtype[np.float64]]:
        parts = zip(self.children, self._split(u), self._split(du), strict=True)
        return np.max([child.strain(a, b) for child, a, b in parts], axis=0)


class ProductNode(ManyNode):
    """Free multiplicative convolution; at most one factor may leave [0, oo)."""

    def __init__(self, children: Sequence[Node]) -> None:
        super().__init__(children)
        self.positive = all(child.positive for child in self.children)
        self.mean = float(np.prod([child.mean for child in self.children]))
        if any(child.mean == 0 for child in self.children):
            centred = next(child for child in self.children if child.mean == 0)
            others = [child.mean for child in self.children if child is not centred]
            self.variance = centred.variance * float(np.prod(others)) ** 2
        else:
            self.variance = self.mean**2 * sum(child.variance / child.mean**2 for child in self.children)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        if self.mean != 0:
            # a negative mean turns z by pi, in the direction that keeps arg z of the others in [0, 2 pi)
            shifts = [np.log(abs(child.mean)) - (1j * np.pi if child.mean < 0 else 0) for child in self.children]
            logs = [log_z - sum(shifts) + own for own in shifts]
            return np.concatenate(
                [child.start(np.exp(lz), lz) for child, lz in zip(self.children, logs, strict=True)]
            )
        # One centred factor: m ~ variance_A / z_A^2 with z_A = z / (product of the other means), z_B = mean_B / m.
        centred = next(child for child in self.children if child.mean == 0)
        others = sum(np.log(child.mean) for child in self.children if child is not centred)
        log_centred = log_z - others
        log_m = np.log(centred.variance) - 2 * log_centred
        parts = []
        for child in self.children:
            lz = log_centred if child is centred else np.log(child.mean) - log_m
            parts.append(child.start(np.exp(lz), lz))
        return np.concatenate(parts)

    def linearise(self, u: ComplexArray) -> Linearised:
        lins = [child.linearise(part) for child, part in zip(self.children, self._split(u), strict=True)]
        # Next to an atom at 0 one child alone knows how far m is from its limit, and the others, matched to it, do not
        # care: it is the one whose m moves least.
        rates = [lin.jet.dlog_eta for lin in lins]
        leading = _leading(np.array(rates))
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
        return Linearised(Jet(m, w, log_s, leading([lin.jet.dm for lin in lins]), dlog_s, log_eta), inner)


class SumNode(ManyNode):
    """Free additive convolution."""

    def __init__(self, children: Sequence[Node]) -> None:
        super().__init__(children)
        self.positive = all(child.positive for child in self.children)
        self.mean = sum(child.mean for child in self.children)
        self.variance = sum(child.variance for child in self.children)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        parts = []
        for child in self.children:
            moved = z - (self.mean - child.mean)
            parts.append(child.start(moved, continued_log_z(moved)))
        return np.concatenate(parts)

    def linearise(self, u: ComplexArray) -> Linearised:
        lins = [child.linearise(part) for child, part in zip(self.children, self._split(u), strict=True)]
        leading = _leading(np.array([lin.jet.dlog_g for lin in lins]))
        g, dlog_g = leading([lin.jet.g for lin in lins]), leading([lin.jet.dlog_g for lin in lins])
        m = np.zeros_like(g)
        dm = np.zeros_like(g)
        inner = []
        for lin in lins:
            j = lin.jet
            rate = dlog_g / j.dlog_g
            shift = (g / j.g - 1) / j.dlog_g
            m = m + (j.m + j.dm * shift)
            dm = dm + j.dm * rate
            inner.append((lin, shift, rate))
        return Linearised(_jet_of_g(g, g * dlog_g, m, dm), inner)


# --- shared formulas ------------------------------------------------------------------------------------------


def continued_log_z(z: ComplexArray) -> ComplexArray:
    """Logarithm of a spectral argument, arg in [0, 2 pi)."""
    return -continued_log(1 / np.asarray(z, dtype=complex))


def _leading(rates: ComplexArray) -> Callable[[Sequence[ComplexArray]], ComplexArray]:
    """Picks, point by point, the value of the child whose shared coordinate moves least with its own parameter.

    That child's parameter becomes the node's: the others can follow it, it could not follow them.
    """
    least = np.argmin(np.abs(rates), axis=0)[np.newaxis]

    def pick(values: Sequence[ComplexArray]) -> ComplexArray:
        out: ComplexArray = np.take_along_axis(np.array(values), least, axis=0)[0]
        return out

    return pick


def log_like_w(arg_eta: np.ndarray[Any, np.dtype[np.float64]]) -> Callable[[ComplexArray], ComplexArray]:
    return lambda value: log_of_w(value, arg_eta)


def log1p_like_1_over_w(x: ComplexArray, arg_z: np.ndarray[Any, np.dtype[np.float64]]) -> ComplexArray:
    """log(1 + x) for x = -a/z, a > 0: continued across the negative axis from the side of arg z (cf. `log_of_w`)."""
    out = log1p(x)
    upper = arg_z < np.pi
    turns = np.where(upper & (out.imag < -np.pi / 2), 1.0, np.where(~upper & (out.imag > np.pi / 2), -1.0, 0.0))
    return out + 2j * np.pi * turns


def _jet_of_g(g: ComplexArray, dg: ComplexArray, m: ComplexArray, dm: ComplexArray) -> Jet:
    """Jet of a law known by its g and m: S = g/m."""
    return Jet(m, 1 + m, continued_log(g) - continued_log(m), dm, dg / g - dm / m)
