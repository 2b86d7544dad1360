"""Monotone cumulants: the cumulants of Muraki's monotone convolution, exact both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rmt.series.cumulants import graded
from rmt.series.power_series import divide, in_lowest_terms, lowest_terms

__all__ = ["moments_to_monotone_cumulants", "monotone_cumulants_to_moments"]


@in_lowest_terms
def monotone_cumulants_to_moments(h: Sequence[Any]) -> list[Any]:
    """Moments m_1 … m_n from the monotone cumulants h_1 … h_n.

    The moments m_n(t) of the t-fold monotone convolution power are polynomials in t with

        dm_n/dt = Σ_(k=1..n) (n - k + 1) h_k m_(n-k)(t),   m_0 = 1,  m_n(0) = 0,

    taken at t = 1 (Hasebe, Saigo, arXiv:0907.4896, theorem 5.3); O(n^3) operations.

    Examples
    --------
    >>> monotone_cumulants_to_moments([0, 2, 0, 0])  # the arcsine law is monotone Gaussian
    [0, 2, 0, 6]
    """
    return graded(lambda h: [lowest_terms(sum(m)) for m in _flow(h, given_moments=False)[0]], h)


@in_lowest_terms
def moments_to_monotone_cumulants(m: Sequence[Any]) -> list[Any]:
    """Monotone cumulants h_1 … h_n from the moments m_1 … m_n: the same flow, whose only new term at order n is h_n.

    Examples
    --------
    >>> moments_to_monotone_cumulants([0, 2, 0, 6])
    [0, 2, 0, 0]
    """
    return graded(lambda m: _flow(m, given_moments=True)[1], m)


def _flow(values: Sequence[Any], given_moments: bool) -> tuple[list[list[Any]], list[Any]]:
    """(the coefficients of m_n(t)/t, in t, for each n; the cumulants)."""
    flow: list[list[Any]] = [[1]]  # m_0
    cumulants: list[Any] = []
    for n, value in enumerate(values, 1):
        slope = [0] * n
        for k, h in enumerate(cumulants, 1):
            if h != 0:
                # m_j(t) starts with t for j > 0
                for power, c in enumerate(flow[n - k], 1):
                    slope[power] += (n - k + 1) * h * c
        moment = [divide(c, power) for power, c in enumerate(slope, 1)]
        cumulants.append(lowest_terms(value - sum(moment)) if given_moments else value)
        moment[0] += cumulants[-1]
        flow.append(moment)
    return flow[1:], cumulants
