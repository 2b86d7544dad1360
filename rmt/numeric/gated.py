"""The law of ``(D1 + D2 W)(D1 + D2 W)ᵀ`` for Gaussian W and commuting, correlated D1, D2."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, log1p, log_upper
from rmt.numeric.node import Linearised, Node, jet_of_g

__all__ = ["GatedNode"]

FloatArray = npt.NDArray[np.float64]

# Beyond arg z = pi by more than rounding and Newton's overshoot.
_OVERSHOOT = 0.1


class GatedNode(Node):
    """Squared singular values of ``D1 + D2 W``, entries of W of variance ``variance``/N.

    With averages over the pairs (D1, D2), ``den = y - D1² - t D2²``, ``A = <1/den>``, ``B = <D2²/den>`` the law is

        t (1 + s B) = s y A,    z = y (1 + s B),    G = A/(1 + s B),    m = <(D1² + t D2²)/den>

    (derived here from the two-by-two matrix-valued Dyson equation of the hermitised matrix: its diagonal entries, h and
    g of the literature's form ``h = <D2² G1>``, ``g = <G2>``, are ``ω p`` and ``ω q`` with q = G and p = B/(1 + s B)).
    The potential is ``Φ = <log den> + s z p q``, stationary in p and q. The unknowns are log y and log t; the
    parameter is the distance along the curve in them, which is regular at the edges.
    """

    size = 2
    positive = True

    def __init__(self, skips: FloatArray, branches: FloatArray, masses: FloatArray, variance: float) -> None:
        self.a, self.b, self.p = (np.asarray(v, dtype=float)[:, np.newaxis] for v in (skips**2, branches**2, masses))
        self.s = variance
        a, b, s = float(np.sum(self.p * self.a)), float(np.sum(self.p * self.b)), self.s
        second = float(np.sum(self.p * (self.a**2 + 2 * s * self.a * self.b + s * s * self.b**2)))
        self.mean = a + s * b
        self.variance = second + 2 * s * a * b + s * s * b * b - self.mean**2

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        # B ~ <D2²>/z, t ~ s
        return np.stack([log_z - log1p(self.s * np.sum(self.p * self.b) / z), np.full(z.shape, np.log(self.s) + 0j)])

    def linearise(self, u: ComplexArray) -> Linearised:
        y, t, s = np.exp(u[0]), np.exp(u[1]), self.s
        weight = self.a + t * self.b
        kernel = self.p / (y - weight)
        square = kernel / (y - weight)
        big_a, big_b = np.sum(kernel, axis=0), np.sum(kernel * self.b, axis=0)
        m = np.sum(kernel * weight, axis=0)
        rise = 1 + s * big_b
        # derivatives by log y and log t
        a_y, a_t = -y * np.sum(square, axis=0), t * np.sum(square * self.b, axis=0)
        b_y, b_t = -y * np.sum(square * self.b, axis=0), t * np.sum(square * self.b**2, axis=0)
        m_y = -y * np.sum(square * weight, axis=0)
        m_t = t * np.sum((kernel + square * weight) * self.b, axis=0)
        # the condition in the form log t + log(1 + s B) = log s + log(y A), w = y A
        w = y * big_a
        gap = t * rise / (s * w) - 1
        f_y, f_t = s * b_y / rise - 1 - a_y / big_a, 1 + s * b_t / rise - a_t / big_a
        norm = np.abs(f_y) ** 2 + np.abs(f_t) ** 2
        inner = -gap * np.stack([f_y.conj(), f_t.conj()]) / norm
        along = np.stack([f_t, -f_y]) / np.sqrt(norm)
        g = big_a / rise

        def moved(step: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
            dg = g * ((a_y * step[0] + a_t * step[1]) / big_a - s * (b_y * step[0] + b_t * step[1]) / rise)
            return dg, m_y * step[0] + m_t * step[1]

        (g0, m0), (dg, dm) = moved(inner), moved(along)
        jet = jet_of_g(g + g0, dg, m + m0, dm, positive=True)
        return Linearised(jet, (inner, along, y - weight, rise, w))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, along = lin.inner[:2]
        out: ComplexArray = inner + along * eps
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        y, t = np.exp(u)
        distance = np.abs(y - self.a - t * self.b)
        nearest = np.min(distance / (np.abs(y * du[0]) + np.abs(t * self.b * du[1]) + 1e-300), axis=0)
        out: FloatArray = np.maximum(np.max(np.abs(du), axis=0), 1 / nearest)
        return out

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        _, _, den, rise, w = lin.inner
        # den (1 + s B) and 1/(1 + s B) lie in the upper half-plane when z does; beyond pi the conjugates do
        beyond = lin.jet.log_z.imag > np.pi + _OVERSHOOT
        den, rise, w = (np.where(beyond, value.conj(), value) for value in (den, rise, w))
        log_rise = -log_upper(1 / rise)
        phi = np.sum(self.p * (log_upper(den * rise) - log_rise), axis=0) + w * (1 - 1 / rise)
        phi = np.where(beyond, phi.conj() + 2j * np.pi, phi)
        out: ComplexArray = phi + lin.jet.log_g
        return out
