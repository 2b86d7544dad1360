"""Many layers that differ by one number, replaced by few: quadrature over the layers of a deep network.

The log S-transform of a network is the sum over its layers of log S(m; q_l), and analytic in q. A Gauss rule of the
measure sum_l delta(q_l) leads to the same sum with a few values of q, each with a real multiplicity: layers need not be
solved one by one. The rule is checked on the first three coefficients of log S, whose own sum over the layers is taken
with a Chebyshev interpolant in log q.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.quadrature import gauss_rule
from rmt.series import log as log_series
from rmt.series import moments_to_s_series

__all__ = ["representatives"]

FloatArray = npt.NDArray[np.float64]
Function: TypeAlias = Callable[[FloatArray], FloatArray]

# So few layers are taken one by one.
_FEW = 8
_NODES = (6, 8, 10, 12, 14, 16, 18, 20)
_ONE = 1e-11
_AGREEMENT = 1e-13
# Shares of the layers that one rule is tried for, the others getting rules of their own.
_SHARES = (1.0, 0.98, 0.9, 0.5)
_DEGREES = (24, 48, 96)


def representatives(family: Callable[[float], Law], q: FloatArray, counts: FloatArray) -> list[tuple[float, float]]:
    """Values of q with real multiplicities >= 1 whose product of laws is that of all layers.

    Parameters
    ----------
    family : callable
        q -> the law of one layer, analytic in q.
    q : array of shape (n,)
        Different values, increasing.
    counts : array of shape (n,)
        How many layers have each.
    """
    if len(q) <= _FEW or q[0] <= 0:
        return list(zip(q.tolist(), counts.tolist(), strict=True))
    coefficients = _interpolant(family, q)
    if coefficients is None:
        half = len(q) // 2
        return representatives(family, q[:half], counts[:half]) + representatives(family, q[half:], counts[half:])
    return _divided(coefficients, q, counts)


def _divided(coefficients: Function, q: FloatArray, counts: FloatArray) -> list[tuple[float, float]]:
    """The largest part of the layers that one rule integrates, and the rest by rules of its own."""
    n = len(q)
    if n <= _FEW:
        return list(zip(q.tolist(), counts.tolist(), strict=True))
    table = coefficients(q)
    for share in _SHARES:
        size = max(n // 2, round(share * n))
        for part in (slice(0, size), slice(n - size, n)):
            found = _rule(coefficients, table[part], q[part], counts[part])
            if found is not None:
                rest = slice(size, n) if part.start == 0 else slice(0, n - size)
                return found + (_divided(coefficients, q[rest], counts[rest]) if size < n else [])
    half = n // 2
    return _divided(coefficients, q[:half], counts[:half]) + _divided(coefficients, q[half:], counts[half:])


def _rule(
    coefficients: Function, table: FloatArray, q: FloatArray, counts: FloatArray
) -> list[tuple[float, float]] | None:
    """A Gauss rule that integrates the coefficients to rounding, if there is one.

    In which variable the layers are closest to a polynomial depends on whether the spread of q lies in the linear or
    the saturated range of the activation, so several are tried.
    """
    exact = counts @ table
    for n in _NODES:
        if n >= len(q):
            break
        for variable, inverse in _VARIABLES:
            nodes, masses = gauss_rule(variable(q), counts, n)
            masses = np.where(np.abs(masses - 1) < _ONE, 1.0, masses)  # an outlying layer, a node of its own
            if np.any(masses < 1):  # free powers below 1 need not exist
                continue
            values = np.clip(inverse(nodes), q[0], q[-1])
            if np.all(np.abs(masses @ coefficients(values) - exact) <= _AGREEMENT * (1 + np.abs(exact))):
                return list(zip(values.tolist(), masses.tolist(), strict=True))
    return None


_VARIABLES: tuple[tuple[Function, Function], ...] = (
    (lambda q: q, lambda x: x),
    (np.log, np.exp),
    (np.sqrt, np.square),
    (np.log1p, np.expm1),
)


def _interpolant(family: Callable[[float], Law], q: FloatArray) -> Function | None:
    """(log mean, relative variance, relative third cumulant) of a layer: the coefficients of log S, which add."""

    def coefficients(values: FloatArray) -> FloatArray:
        rows = [log_series(moments_to_s_series(family(float(value)).moments(3))) for value in values]
        return np.array(rows, dtype=float).reshape(-1, 3)

    low, high = np.log(q[0]), np.log(q[-1])
    for degree in _DEGREES:
        if 2 * degree > len(q):
            return coefficients
        t = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        values = coefficients(np.exp(low + (high - low) * (t + 1) / 2))
        series = np.polynomial.chebyshev.chebfit(t, values, degree)
        if np.all(np.abs(series[-4:]) <= 1e-15 * (1 + np.abs(values).max(axis=0))):

            return functools.partial(_evaluate, np.asarray(series, dtype=np.float64), float(low), float(high))
    return None


def _evaluate(series: FloatArray, low: float, high: float, values: FloatArray) -> FloatArray:
    """A Chebyshev series in log q between the given ends."""
    arguments = 2 * (np.log(values) - low) / (high - low) - 1
    return np.asarray(np.polynomial.chebyshev.chebval(arguments, series).T, dtype=np.float64)
