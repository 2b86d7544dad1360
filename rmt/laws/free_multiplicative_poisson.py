"""The free multiplicative Poisson law: a product of many projections that cut little each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.jet import ComplexArray, log_upper
from rmt.numeric.node import Node
from rmt.numeric.resolvent import ResolventLeaf, sqrt_upper
from rmt.parameters import as_float, check_number
from rmt.support import Edge

__all__ = ["FreeMultiplicativePoisson"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class FreeMultiplicativePoisson(Law):
    """Limit of free products of n projections of trace ``1 - rate/n``: ``S(m) = exp(rate/(1 + m))``.

    The law of P_1 P_2 … P_n … P_2 P_1 (Bercovici and Voiculescu 1992, the multiplicative Poisson law of jump 0). With
    Lambert's W, principal branch, and ``w = W(-rate exp(-rate)/z)``,

        G(z) = rate/(z (rate + w)),  m/(1 + m) = -w/rate,  density (rate/(pi x)) Im w/abs(rate + w)**2,

    an interval (0, ``rate exp(1 - rate)``), where the density grows like 1/(x log(x)**2) at 0, and for rate < 1 an atom
    ``1 - rate`` at 1, the directions that nothing cuts. Moments ``exp(-k rate)/k sum_j (k - j) (k rate)**j/j!``; the
    mean of log X is -oo. The density, the distribution function ``1 - Im(w + (1 - rate) log(1 + w/rate))/pi`` and the
    moments are derived here. Scaled by exp(rate) it is the Bernoulli class of deep networks (Pennington, Schoenholz,
    Ganguli, arXiv:1802.09979).

    Parameters
    ----------
    rate : number > 0
        Expected number of cuts, n times the share that one projection cuts.

    Raises
    ------
    ValueError
        If ``rate`` is not a positive finite number.
    """

    rate: Any = 1

    def __post_init__(self) -> None:
        check_number("rate", self.rate, above=0)

    def _node(self) -> Node:
        rate = as_float(self.rate, "rate")
        return ResolventLeaf(
            lambda z: _transforms(z, rate),
            lambda z: _phi(z, rate),
            singular=(0.0, rate * math.exp(1 - rate), 1.0) if rate < 1 else (0.0, rate * math.exp(1 - rate)),
            mean=math.exp(-rate),
            variance=rate * math.exp(-2 * rate),
            positive=True,
        )

    def _atoms(self) -> dict[Any, Any]:
        if hasattr(self.rate, "free_symbols") and not self.rate.is_number:
            import sympy

            return {1: sympy.Max(0, 1 - self.rate)}
        return {1: 1 - self.rate} if self.rate < 1 else {}

    def _moments_series(self, n: int) -> list[Any]:
        out = []
        for k in range(1, n + 1):
            weights = (Fraction(k - j, k * math.factorial(j)) for j in range(k))
            if hasattr(self.rate, "free_symbols"):
                import sympy

                terms = (sympy.Rational(w) * (k * self.rate) ** j for j, w in enumerate(weights))
                out.append(sympy.exp(-k * self.rate) * sympy.Add(*terms))
            else:
                rate = as_float(self.rate, "rate")
                out.append(math.exp(-k * rate) * math.fsum(float(w) * (k * rate) ** j for j, w in enumerate(weights)))
        return out

    def _edges(self) -> tuple[Edge, ...]:
        if hasattr(self.rate, "free_symbols"):
            import sympy

            upper = self.rate * sympy.exp(1 - self.rate)
        else:
            upper = self.rate * math.exp(1 - self.rate)
        half = Fraction(1, 2)
        if not hasattr(self.rate, "free_symbols") and self.rate == 1:
            half = -half  # the atom dissolves in the edge
        return (Edge(0, -1, "lower"), Edge(upper, half, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        rate = as_float(self.rate, "rate")
        w = _lambert(x.astype(complex), rate)
        out: FloatArray = rate * w.imag / (np.pi * x * np.abs(rate + w) ** 2)
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        rate = as_float(self.rate, "rate")
        inside = (x > 0) & (x < rate * math.exp(1 - rate))
        w = _lambert(np.where(inside, x, 1.0).astype(complex), rate)
        below: FloatArray = 1 - (w.imag + (1 - rate) * np.angle(rate + w)) / np.pi
        top = np.where(x >= 1, 1.0, min(1.0, rate)) if rate < 1 else 1.0
        return np.where(inside, below, np.where(x > 0, top, 0.0))

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        return _transforms(z, as_float(self.rate, "rate"))[0]

    def _log_moment(self) -> float:
        return -math.inf


# Up to this |p| the series of W at its branch point, of which the last term is below rounding.
_NEAR = 0.03
_AT_BRANCH = (-1.0, 1.0, -1 / 3, 11 / 72, -43 / 540, 769 / 17280, -221 / 8505, 680863 / 43545600, -1963 / 204120)


def _lambert(z: ComplexArray, rate: float) -> ComplexArray:
    """W(-rate exp(-rate)/z), continued from above through the support, where it leaves the principal branch."""
    from scipy.special import lambertw

    edge = rate * math.exp(1 - rate)
    argument = -rate * math.exp(-rate) / z
    beyond = (z.imag < 0) & (z.real > 0) & (z.real < edge)
    argument = np.where(z.imag == 0, argument.real + 0j, argument)  # on the upper side of the cut
    out: ComplexArray = np.where(beyond, lambertw(argument, 1), lambertw(argument, 0))
    # next to the edge the argument has no digits left, the distance to the edge has
    p = sqrt_upper(2 * (z - edge) / z)
    near = np.abs(p) < _NEAR
    out[near] = np.polyval(_AT_BRANCH[::-1], p[near])
    return out


def _transforms(z: ComplexArray, rate: float) -> tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]:
    """(G, dG/dz, m, dm/dz)."""
    w = _lambert(z, rate)
    m = -w / (rate + w)
    g = (1 + m) / z
    dm = rate * w / (z * (1 + w) * (rate + w) ** 2)
    with np.errstate(over="ignore", invalid="ignore"):  # next to 0, where dG/dz is not used
        return g, (dm - g) / z, m, dm


def _phi(z: ComplexArray, rate: float) -> ComplexArray:
    """E log(z - X) = log z + w + (1 - rate) log(1 + w/rate)."""
    w = _lambert(z, rate)
    out: ComplexArray = log_upper(z) + w + (1 - rate) * np.log((rate + w) / rate)
    return out
