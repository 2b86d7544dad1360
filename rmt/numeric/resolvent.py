"""The leaf of a law whose Cauchy transform is an explicit function of the spectral argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rmt.numeric.conjugate import ReflectedNode
from rmt.numeric.endpoints import Tail
from rmt.numeric.jet import ComplexArray, Jet, log_lower
from rmt.numeric.node import Leaf, Linearised, Node, log_like_w

__all__ = ["ResolventLeaf", "node_on_interval", "sqrt_upper"]

FloatArray = npt.NDArray[np.float64]

Transforms = tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]


class ResolventLeaf(Leaf):
    """A law given by explicit transforms; the unknown is z, or log z for a law on [0, oo).

    The transforms are asked for in the closed upper half-plane and, because Newton overshoots the real axis, also a
    little below it, where they must be the analytic continuations from above, across the support as well. Logarithms
    with their cut along -i (`rmt.numeric.jet.log_upper`) and square roots of the same kind (`sqrt_upper`) are such
    continuations. Where a law on [0, oo) is met beyond arg z = pi, they are asked for at conj(z).

    Parameters
    ----------
    transforms : function of z, shape (n,)
        Returns (G, dG/dz, m, dm/dz). m = z G - 1 is asked for separately, as far away ``z G - 1`` has no digits left.
    phi : function of z, shape (n,)
        Phi(z) = E log(z - X), arguments in [0, pi].
    singular : sequence of float
        Real points where G is singular (edges, atoms): steps are measured by the distance to them.
    mean, variance : float
        Of the law.
    positive : bool
        Whether it lives on [0, oo).
    far : Tail, optional
        The tail of a law whose m is not analytic at infinity.
    """

    def __init__(
        self,
        transforms: Callable[[ComplexArray], Transforms],
        phi: Callable[[ComplexArray], ComplexArray],
        *,
        singular: Sequence[float],
        mean: float,
        variance: float,
        positive: bool,
        far: Tail | None = None,
    ) -> None:
        self.transforms, self.phi, self.far = transforms, phi, far
        self.singular = np.asarray(singular, dtype=float)[:, np.newaxis]
        self.mean, self.variance, self.positive = mean, variance, positive
        if far is not None:
            self.unbounded = far.unbounded

    def tail(self) -> tuple[float, complex]:
        return super().tail() if self.far is None else (self.far.order, self.far.log_scale)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return (log_z if self.positive else z)[np.newaxis].copy()

    def linearise(self, u: ComplexArray) -> Linearised:
        if not self.positive:
            g, dg, m, dm = self.transforms(u[0])
            # m/g = z - 1/g lies in the lower half-plane
            return Linearised(Jet(m, u[0] * g, -log_lower(m / g), dm, dg / g - dm / m))
        z = np.exp(u[0])
        turned = u[0].imag > np.pi
        g, _, m, dm = (np.where(turned, x.conj(), x) for x in self.transforms(np.where(turned, z.conj(), z)))
        w, dm = z * g, z * dm
        log = log_like_w(-u[0].imag)
        log_w = log(w)
        log_s = log_w - log(z * m)
        return Linearised(Jet(m, w, log_s, dm, dm / w - dm / m - 1, -u[0] - log_s), log_w)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        if not self.positive:
            return self.phi(u[0]) + lin.jet.log_g
        z = np.exp(u[0])
        turned = u[0].imag > np.pi
        phi = self.phi(np.where(turned, z.conj(), z))
        phi = np.where(turned, phi.conj() + 2j * np.pi, phi)
        out: ComplexArray = phi - u[0] + lin.inner
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        if self.positive:
            # in log z the point 0 is infinitely far away, and every other one appears once a turn
            places = np.log(self.singular[self.singular > 0])[:, np.newaxis]
            places = np.concatenate([places + 0j, places + 2j * np.pi])
        else:
            places = self.singular
        out: FloatArray = np.abs(du[0]) / np.min(np.abs(u[0] - places), axis=0)
        return out


def sqrt_upper(value: ComplexArray) -> ComplexArray:
    """Square root of a value in the upper half-plane, argument in [0, pi/2] up to overshoots of a quarter turn."""
    root = np.sqrt(value)
    return np.where(root.imag < -root.real, -root, root)


def node_on_interval(
    transforms: Callable[[ComplexArray, float, float], Transforms],
    phi: Callable[[ComplexArray, float, float], ComplexArray],
    a: float,
    b: float,
    variance: float,
) -> Node:
    """The node of a law on [a, b], symmetric about its centre, that is singular at the ends only.

    ``transforms`` and ``phi`` are those of `ResolventLeaf`, with the ends behind z.
    """
    if b <= 0:
        # so that the law of -X, on [0, oo), is followed by its log z
        return ReflectedNode(node_on_interval(transforms, phi, -b, -a, variance))
    return ResolventLeaf(
        lambda z: transforms(z, a, b),
        lambda z: phi(z, a, b),
        singular=(a, b),
        mean=(a + b) / 2,
        variance=variance,
        positive=a >= 0,
    )
