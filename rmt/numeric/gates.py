"""Joint laws of the squared diagonals (D1², D2²) of a gated layer, as far as `rmt.numeric.gated` asks for them.

With ``den = y - D1² - t D2²`` it asks for ``A = <1/den>``, ``B = <D2²/den>``, ``m = <(D1² + t D2²)/den>``, their
derivatives by log y and log t, and ``<log den>``. There y lies in the upper half-plane, and den does not vanish for any
real D1 and D2, as the resolvent exists of which it is a determinant.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, log_lower, log_upper
from rmt.numeric.unbounded import normal_log_potential, standard_normal

__all__ = ["Averages", "DiscreteGates", "Gates", "GaussianGates"]

FloatArray = npt.NDArray[np.float64]

# Standard deviations below this share of the root mean square of D2 are this: the law is the same in double precision.
_NARROW = 1e-30
# Beyond this |t| the transforms of the two halves of an even law are added by their first terms.
_APART = 3.0


@dataclass(frozen=True)
class Averages:
    """A, B and m with their derivatives by log y and by log t, arrays of shape (n,)."""

    a: ComplexArray
    b: ComplexArray
    m: ComplexArray
    a_y: ComplexArray
    a_t: ComplexArray
    b_y: ComplexArray
    b_t: ComplexArray
    m_y: ComplexArray
    m_t: ComplexArray

    def conj(self) -> Averages:
        """The same at the complex conjugates of y and t."""
        return Averages(*(np.conj(value) for value in vars(self).values()))


class Gates(ABC):
    """A joint law of (D1², D2²).

    Attributes
    ----------
    first, second, first_square, product, second_square : float
        <D1²>, <D2²>, <D1⁴>, <D1² D2²> and <D2⁴>.
    bounded : bool
        Whether D2 is.
    """

    first: float
    second: float
    first_square: float
    product: float
    second_square: float
    bounded: bool

    @abstractmethod
    def averages(self, log_y: ComplexArray, log_t: ComplexArray) -> Averages:
        """A, B, m and their derivatives."""

    @abstractmethod
    def log_den(self, log_y: ComplexArray, log_t: ComplexArray) -> ComplexArray:
        """<log den>, continued from y -> +oo, where it is real."""

    @abstractmethod
    def strain(self, log_y: ComplexArray, log_t: ComplexArray, du: ComplexArray) -> FloatArray:
        """Size of the increments of (log y, log t) against the distance of the singularities."""


def _log_difference(log_y: ComplexArray, log_t: ComplexArray, a: FloatArray, b: FloatArray) -> ComplexArray:
    """log((y - a)/t - b) for a, b >= 0, with an argument in (0, 2π) up to overshoots of a quarter turn.

    It is never real and positive, and tends to -a/t for large a, so that the argument of ``(y - a)/t`` is that of
    y - a, in (0, π), less that of t, in (-π, π). Taking away b leaves it on its side of the real axis.
    """
    log_ratio = log_upper(np.asarray(np.exp(log_y) - a, dtype=complex)) - log_t
    value = np.asarray(np.exp(log_ratio) - b, dtype=complex)
    out: ComplexArray = np.where(log_ratio.imag < np.pi, log_upper(value), log_lower(value) + 2j * np.pi)
    return out


class DiscreteGates(Gates):
    """Finitely many pairs (D1, D2)."""

    bounded = True

    def __init__(self, skips: FloatArray, branches: FloatArray, masses: FloatArray) -> None:
        self.a, self.b, self.p = (np.asarray(v, dtype=float)[:, np.newaxis] for v in (skips**2, branches**2, masses))
        self.first, self.second = float(np.sum(self.p * self.a)), float(np.sum(self.p * self.b))
        self.first_square = float(np.sum(self.p * self.a**2))
        self.product = float(np.sum(self.p * self.a * self.b))
        self.second_square = float(np.sum(self.p * self.b**2))

    def averages(self, log_y: ComplexArray, log_t: ComplexArray) -> Averages:
        y, t = np.exp(log_y), np.exp(log_t)
        weight = self.a + t * self.b
        kernel = self.p / (y - weight)
        square = kernel / (y - weight)
        return Averages(
            a=np.sum(kernel, axis=0),
            b=np.sum(kernel * self.b, axis=0),
            m=np.sum(kernel * weight, axis=0),
            a_y=-y * np.sum(square, axis=0),
            a_t=t * np.sum(square * self.b, axis=0),
            b_y=-y * np.sum(square * self.b, axis=0),
            b_t=t * np.sum(square * self.b**2, axis=0),
            m_y=-y * np.sum(square * weight, axis=0),
            m_t=t * np.sum((kernel + square * weight) * self.b, axis=0),
        )

    def log_den(self, log_y: ComplexArray, log_t: ComplexArray) -> ComplexArray:
        out: ComplexArray = np.sum(self.p * _log_difference(log_y, log_t, self.a, self.b), axis=0) + log_t
        return out

    def strain(self, log_y: ComplexArray, log_t: ComplexArray, du: ComplexArray) -> FloatArray:
        y, t = np.exp(log_y), np.exp(log_t)
        distance = np.abs(y - self.a - t * self.b)
        nearest = np.min(distance / (np.abs(y * du[0]) + np.abs(t * self.b * du[1]) + 1e-300), axis=0)
        out: FloatArray = 1 / nearest
        return out


class GaussianGates(Gates):
    """Finitely many cases, in each of which D1 is fixed and ``D2² = floor + X²`` with X ~ N(mean, deviation²).

    With ``ζ = (y - D1²)/t - floor = w²``, w in the upper half-plane, the average over X is that of

        1/(ζ - X²) = (1/(w - X) + 1/(w + X))/(2 w),

    two Cauchy transforms of Gaussian laws (`rmt.Gaussian`), which are entire in w (derived here). No root is chosen:
    the argument of ζ is known, see `_log_difference`.
    """

    bounded = False

    def __init__(
        self, skips: FloatArray, floors: FloatArray, means: FloatArray, deviations: FloatArray, masses: FloatArray
    ) -> None:
        square = means**2 + deviations**2
        scale = math.sqrt(float(np.sum(masses * (floors + square))))
        self.a, self.c, self.mu, self.p = (v[:, np.newaxis] for v in (skips**2, floors, means, masses))
        self.sigma = np.maximum(deviations, _NARROW * scale)[:, np.newaxis]
        fourth = means**4 + 6 * means**2 * deviations**2 + 3 * deviations**4
        self.first = float(np.sum(masses * skips**2))
        self.second = float(np.sum(masses * (floors + square)))
        self.first_square = float(np.sum(masses * skips**4))
        self.product = float(np.sum(masses * skips**2 * (floors + square)))
        self.second_square = float(np.sum(masses * (floors**2 + 2 * floors * square + fourth)))

    def _root(self, log_y: ComplexArray, log_t: ComplexArray) -> ComplexArray:
        """w, of shape (cases, n)."""
        out: ComplexArray = np.exp(_log_difference(log_y, log_t, self.a, self.c) / 2)
        return out

    def averages(self, log_y: ComplexArray, log_t: ComplexArray) -> Averages:
        y, t = np.exp(log_y), np.exp(log_t)
        w = self._root(log_y, log_t)
        mu, sigma, c = self.mu, self.sigma, self.c
        up, down = (w - mu) / sigma, (w + mu) / sigma
        g_up, m_up, dm_up = standard_normal(up)
        g_down, m_down, dm_down = standard_normal(down)
        # far from both means the sum and the difference of the two transforms by their first terms, which cancel
        apart = (np.abs(up) > _APART) & (np.abs(down) > _APART)
        product = np.where(apart, up * down, 1.0)
        total = np.where(apart, 2 * w / (sigma * product) + m_up / up + m_down / down, g_up + g_down)
        rest = np.where(apart, 2 * mu / (sigma * product) + m_up / up - m_down / down, g_up - g_down)
        f = total / (2 * sigma * w)  # E 1/(ζ - X²)
        r = (m_up + m_down + mu / sigma * rest) / 2  # E X²/(ζ - X²)
        # derivatives by ζ: d/dζ = (d/dw)/(2 w)
        df = -(f + (m_up + m_down) / (2 * sigma**2)) / (2 * w * w)
        dr = ((dm_up + dm_down) / sigma - mu / sigma**2 * (m_up - m_down)) / (4 * w)
        dzr = r + w * w * dr  # of ζ r
        # 1/den = 1/(t (ζ - X²)); averages of 1/den², D2²/den² and D2⁴/den² times t², D2² = c + X²
        p = self.p
        one, two, four = -df, -c * df - dr, -c * c * df - 2 * c * dr - dzr
        kernel, branch = p * f / t, p * (c * f + r) / t
        square, mixed, quartic = p * one / t**2, p * two / t**2, p * four / t**2
        a = self.a
        return Averages(
            a=np.sum(kernel, axis=0),
            b=np.sum(branch, axis=0),
            m=np.sum(a * kernel + t * branch, axis=0),
            a_y=-y * np.sum(square, axis=0),
            a_t=t * np.sum(mixed, axis=0),
            b_y=-y * np.sum(mixed, axis=0),
            b_t=t * np.sum(quartic, axis=0),
            m_y=-y * np.sum(a * square + t * mixed, axis=0),
            m_t=t * np.sum(branch + a * mixed + t * quartic, axis=0),
        )

    def log_den(self, log_y: ComplexArray, log_t: ComplexArray) -> ComplexArray:
        w = self._root(log_y, log_t)
        halves = normal_log_potential((w - self.mu) / self.sigma) + normal_log_potential((w + self.mu) / self.sigma)
        out: ComplexArray = np.sum(self.p * (halves + 2 * np.log(self.sigma)), axis=0) + log_t
        return out

    def strain(self, log_y: ComplexArray, log_t: ComplexArray, du: ComplexArray) -> FloatArray:
        y, t = np.exp(log_y), np.exp(log_t)
        w = self._root(log_y, log_t)
        moved = np.abs((y * du[0] - (y - self.a) * du[1]) / (2 * w * t))
        apart = self.sigma + np.minimum(np.abs(w - self.mu), np.abs(w + self.mu))
        out: FloatArray = np.max(moved / np.minimum(apart, np.abs(w)), axis=0)
        return out
