"""The law of ``(D1 + D2 W)(D1 + D2 W)ᵀ`` for Gaussian or Haar W and commuting, correlated D1, D2."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmt.numeric.gates import Averages, Gates
from rmt.numeric.jet import ComplexArray, log1p
from rmt.numeric.node import Linearised, Node, jet_of_r

__all__ = ["GatedNode"]

FloatArray = npt.NDArray[np.float64]


class GatedNode(Node):
    """Squared singular values of ``D1 + D2 W``, W Gaussian with entries of variance ``variance``/N, or Haar.

    With averages over the pairs (D1, D2), ``den = y - D1² - t D2²``, ``A = <1/den>``, ``B = <D2²/den>`` the law is

        t (1 + s B) = s y A,    z = y (1 + s B),    G = A/(1 + s B) = t/(s y),    m = <(D1² + t D2²)/den>

    (derived here from the two-by-two matrix-valued Dyson equation of the hermitised matrix: its diagonal entries, h and
    g of the literature's form ``h = <D2² G1>``, ``g = <G2>``, are ``ω p`` and ``ω q`` with q = G and p = B/(1 + s B)).
    The potential is ``Φ = <log den> + s z p q``, stationary in p and q. The unknowns are log y and log t; the
    parameter is the distance along the curve in them, which is regular at the edges.

    For σ times a Haar matrix the self-energies are ``s g`` and ``s h`` as before, with ``s = R(h g)/(h g)`` of the
    hermitised Haar matrix, ``s² h g + s = σ²`` (free from the diagonals with amalgamation over the two-by-two matrices;
    derived here). As ``h g = t B/s``, s is explicit, ``s = σ²/(1 + t B)``, and ``Φ = <log den> + log(1 + t B)``.
    """

    size = 2
    positive = True

    def __init__(self, gates: Gates, variance: float, haar: bool = False) -> None:
        self.gates, self.s, self.haar = gates, variance, haar
        a, b, s = gates.first, gates.second, variance
        second = gates.first_square + 2 * s * (gates.product + a * b) + s * s * gates.second_square
        self.mean = a + s * b
        self.variance = second + (0 if haar else s * s * b * b) - self.mean**2
        self.unbounded = (False, not gates.bounded)
        # D2 takes all values: no real y and t with t > 0 > y - D1² - t D2² belong to a z > 0, and no others keep off
        # the zeros of den
        self.gapless = not gates.bounded

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        # B ~ <D2²>/z, t ~ s
        return np.stack([log_z - log1p(self.s * self.gates.second / z), np.full(z.shape, np.log(self.s) + 0j)])

    def _averages(self, u: ComplexArray) -> Averages:
        mirrored = u[0].imag > np.pi
        own = self.gates.averages(*_upper(u, mirrored))
        if not np.any(mirrored):
            return own
        pairs = zip(vars(own).values(), vars(own.conj()).values(), strict=True)
        return Averages(*(np.where(mirrored, other, value) for value, other in pairs))

    def linearise(self, u: ComplexArray) -> Linearised:
        y, t = np.exp(u[0]), np.exp(u[1])
        v = self._averages(u)
        # s and the derivatives of log s by log y and log t
        turn = 1 + t * v.b if self.haar else np.ones_like(y)
        s = self.s / turn
        s_y, s_t = (-t * v.b_y / turn, -t * (v.b + v.b_t) / turn) if self.haar else (0, 0)
        # by the condition 1 + s B = s y A/t, which does not cancel next to a hard edge, where both sides vanish
        w = y * v.a
        rise = s * w / t
        a_y, a_t = v.a_y / v.a, v.a_t / v.a
        f_y = s * (v.b_y + s_y * v.b) - rise * (1 + a_y + s_y)
        f_t = s * (v.b_t + s_t * v.b) - rise * (a_t - 1 + s_t)
        norm = np.abs(f_y) ** 2 + np.abs(f_t) ** 2
        inner = (rise - 1 - s * v.b) * np.stack([f_y.conj(), f_t.conj()]) / norm
        along = np.stack([f_t, -f_y]) / np.sqrt(norm)

        def moved(step: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
            """Changes of log g, m and log z."""
            dlog_g = (-1 - s_y) * step[0] + (1 - s_t) * step[1]
            dlog_z = (2 + a_y + s_y) * step[0] + (a_t - 1 + s_t) * step[1]
            return dlog_g, v.m_y * step[0] + v.m_t * step[1], dlog_z

        (g0, m0, z0), (dlog_g, dm, dlog_z) = moved(inner), moved(along)
        g, m, z = t / (s * y) * (1 + g0), v.m + m0, y * rise * (1 + z0)
        r = m / g
        jet = jet_of_r(g, dlog_g, r, dm / g - r * dlog_g, True, z, z * dlog_z)
        return Linearised(jet, (inner, along, np.log(turn) if self.haar else w - t / s))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, along = lin.inner[:2]
        out: ComplexArray = inner + along * eps
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        mirrored = u[0].imag > np.pi
        (log_y, log_t), step = _upper(u, mirrored), np.where(mirrored, du.conj(), du)
        out: FloatArray = np.maximum(np.max(np.abs(du), axis=0), self.gates.strain(log_y, log_t, step))
        return out

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        mirrored = u[0].imag > np.pi
        log_den = self.gates.log_den(*_upper(u, mirrored))
        log_den = np.where(mirrored, log_den.conj() + 2j * np.pi, log_den)
        out: ComplexArray = log_den + lin.inner[2] + lin.jet.log_g
        return out


def _upper(u: ComplexArray, mirrored: npt.NDArray[np.bool_]) -> ComplexArray:
    """(log y, log t) at the complex conjugate of z where that lies beyond arg z = pi."""
    shift = np.array([[2j * np.pi], [0]])
    return np.where(mirrored, u.conj() + shift, u)
