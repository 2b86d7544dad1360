"""The Tracy–Widom laws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.finite.levels import check_beta, graded_log_moment, no_node, quantiles_by_tails, sinc_cauchy, upper_tail
from rmt.finite.soft_edge import LEFT_END, MEETING_POINT, by_determinant, by_painleve
from rmt.law import Law
from rmt.numeric.node import Node
from rmt.support import Edge

__all__ = ["TracyWidom"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Borders of the panels of the table, from where F is 0 in floats to where 1 - F is below 1e-285.
_BORDERS = (LEFT_END, -20.0, -12.0, -7.0, -4.0, MEETING_POINT, 0.0, 2.0, 5.0, 10.0, 20.0, 40.0)
_LAST = {1: 98.0, 2: 62.0, 4: 62.0}
_DEGREE = 17


@dataclass(frozen=True, repr=False)
class TracyWidom(Law):
    """Law of the largest eigenvalue of a large random matrix, centred and scaled: GOE (beta 1), GUE (2), GSE (4).

    Convention (Bornemann 2010; Forrester): with joint density of the eigenvalues proportional to
    ``prod |y_i - y_j|**beta prod exp(-beta y_i**2/2)``, P(y_max <= sqrt(2 n) + x/(sqrt(2) n^(1/6))) tends to F_beta(x)
    for beta = 1 and 2. In terms of q, the solution of Painlevé II that behaves as Ai (Tracy and Widom 1994, 1996),

        F_2(x) = exp(-integral_x^oo (s - x) q(s)**2 ds),   F_1 = sqrt(F_2) exp(-A),   F_4(x/sqrt(2)) = sqrt(F_2) cosh A,

    with ``A(x) = integral_x^oo q(s)/2 ds``. Two other scalings of beta = 4 are in use: multiply by sqrt(2) for the one
    in which ``F_4 = (F_1 + F_2/F_1)/2`` at the same argument (mean -3.2624), and by 2^(-1/6) for the one of the
    stochastic Airy operator and of tridiagonal models, in which ``P(X > x) ~ exp(-2 beta x**(3/2)/3)`` for all beta
    (Ramírez, Rider and Virág 2011; mean -2.0552); ``TracyWidom(4) * 2**0.5`` is such a law.

    Values come from a table of log F and of the derivative, made once a process from Fredholm determinants (Bornemann
    2010) and, to the left, from the boundary value problem of q: relative errors of about 1e-14 of F, of 1 - F (see
    `sf`) and of the density in the bulk, growing as log F in the far tails (1e-12 at F = 1e-300).

    Raises
    ------
    ValueError
        If beta is not 1, 2 or 4.

    Examples
    --------
    >>> law = TracyWidom(2)
    >>> f"{law.mean():.10f} {law.var():.10f}"
    '-1.7710868074 0.8131947928'
    """

    beta: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", check_beta(self.beta, (1, 2, 4)))

    def _node(self) -> Node:
        raise no_node(repr(self), "the limit law of the matrix whose largest eigenvalue this is")

    def _has(self, question: str, method: str) -> bool:
        return method == ("quadrature" if question == "moments" else "closed_form")

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _edges(self) -> tuple[Edge, ...]:
        return (Edge(-math.inf, None, "lower"), Edge(math.inf, None, "upper"))

    def _moments_series(self, n: int) -> list[Any]:
        raise NotImplementedError(f"the moments of {self!r} have no closed form; use method='quadrature'")

    @property
    def _stretch(self) -> float:
        """What x is multiplied by to be the argument of the determinants."""
        return math.sqrt(2) if self.beta == 4 else 1.0

    def _logarithms(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pairs (log F, (log F)')."""
        s = x * self._stretch
        last = _LAST[self.beta]
        inside = np.clip(s, LEFT_END, last)
        minus_log, slope = _look_up(self.beta, inside)
        log_cdf = np.where(s < LEFT_END, -np.inf, np.where(s > last, 0.0, -np.exp(minus_log)))
        return log_cdf, np.where(s == inside, np.exp(slope), 0.0) * self._stretch

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        log_cdf, slope = self._logarithms(x)
        out: FloatArray = np.exp(log_cdf) * slope
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        out: FloatArray = np.exp(self._logarithms(x)[0])
        return out

    def sf(self, x: npt.ArrayLike) -> Any:
        """P(X > x), with all its digits however small (same shape as ``x``): the p-value of a largest eigenvalue."""
        return upper_tail(lambda points: self._logarithms(points)[0], x)

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        grid = np.concatenate([np.linspace(LEFT_END, -6, 80), np.linspace(-5.9, 5.9, 119), np.linspace(6, 98, 200)])
        return quantiles_by_tails(self._logarithms, grid / self._stretch, q, -math.inf)

    @cached_property
    def _rule(self) -> tuple[FloatArray, FloatArray]:
        # the trapezoidal rule: the Fourier transform of the density falls below 1e-17 at 12
        x = np.arange(-16.0, 24.0, 0.2)
        return x, 0.2 * self._pdf_closed_form(x)

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        return self._rule

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        return sinc_cauchy(z, *self._rule)

    def _log_moment(self) -> float:
        return graded_log_moment(self._pdf_closed_form, -16.0, 24.0, 24)


@cache
def _tables() -> dict[int, tuple[FloatArray, FloatArray, FloatArray]]:
    """Borders of the panels and Chebyshev coefficients of log(-log F) and of log (log F)' on them, by beta.

    Both functions are smooth over the whole line, and they keep relative accuracy in both tails.
    """
    count = _DEGREE + 1
    t = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    to_coefficients: FloatArray = np.linalg.inv(np.polynomial.chebyshev.chebvander(t, _DEGREE)).astype(float)
    lower = np.array([*_BORDERS[:-1], _BORDERS[-1], _BORDERS[-1]])
    upper = np.array([*_BORDERS[1:], _LAST[1], _LAST[2]])
    s = lower + (upper - lower) / 2 * (1 + t[:, np.newaxis])
    left = s < MEETING_POINT
    sides = (left, by_painleve(s[left])), (~left, by_determinant(s[~left]))
    out = {}
    for beta in (1, 2, 4):
        kept = upper != _LAST[2 if beta == 1 else 1]
        minus_log, slope = np.empty(s.shape), np.empty(s.shape)
        for where, values in sides:
            with np.errstate(divide="ignore"):  # beyond the last border of this beta
                minus_log[where], slope[where] = np.log(-values.log_cdf(beta)), values.log_slope(beta)
        borders = np.array([*_BORDERS, _LAST[beta]])
        out[beta] = borders, to_coefficients @ minus_log[:, kept], to_coefficients @ slope[:, kept]
    return out


def _look_up(beta: int, s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """log(-log F) and log (log F)' at points of the table, by Clenshaw's recurrence."""
    borders, *series = _tables()[beta]
    panel = np.clip(np.searchsorted(borders, s, side="right") - 1, 0, borders.size - 2)
    low, high = borders[panel], borders[panel + 1]
    t = (2 * s - low - high) / (high - low)
    results = []
    for coefficients in series:
        after, here = np.zeros(s.shape), np.zeros(s.shape)
        for row in coefficients[:0:-1]:
            after, here = here, row[panel] + 2 * t * here - after
        results.append(coefficients[0][panel] + t * here - after)
    return results[0], results[1]
