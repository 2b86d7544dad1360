"""Power series of an algebraic law at infinity: y = zG = 1 + m_1 x + m_2 x² + … with x = 1/z, from F(y, x) = 0.

F is given by its columns: ``columns[i][j]`` is the coefficient of ``y**i x**j``, in any field (Fraction, or elements of
a field of rational functions).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rmt.series import multiply, reciprocal

__all__ = ["expansion", "order_on", "valuation"]

Columns = Sequence[Sequence[Any]]


def expansion(columns: Columns, n: int, seeds: Sequence[Any] = ()) -> list[Any]:
    """Moments m_1 … m_n by Newton's iteration on power series, quadratically convergent.

    With K correct coefficients (the constant 1 and the seeds) and v the order of F_y on them, an error O(x^K) becomes
    O(x^(2K - v)); K > v is needed, so that one branch only continues the seeds (Hensel).

    Raises
    ------
    ArithmeticError
        If several branches continue the seeds, or none does.
    """
    y = [1, *seeds]
    v = valuation(columns, y)
    if v is None:
        raise ArithmeticError(
            f"{len(y)} branches or more agree to order {len(y) - 1} at infinity; give more moments of the law"
        )
    first = order_on(columns, [*y, *[0] * v])
    if first is not None and first < len(y) + v:
        raise ArithmeticError(f"no branch of the polynomial begins with the moments {list(seeds)}")
    derivative = _derivative(columns)
    known = len(y)
    while known <= n:
        target = min(2 * known - v, n + 1)
        y = [*y[:known], *[0] * (target + v - known)]
        value = _evaluate(columns, y)[v:]
        slope = _evaluate(derivative, y)[v:]
        step = multiply(value[:target], reciprocal(slope[:target]))
        y = [a - b for a, b in zip(y, step, strict=False)]
        known = target
    return y[1 : n + 1]


def valuation(columns: Columns, y: Sequence[Any]) -> int | None:
    """Order v of F_y on a series known to len(y) coefficients; None unless v < len(y), where it is certain."""
    slope = _evaluate(_derivative(columns), list(y))
    return next((k for k, c in enumerate(slope) if c != 0), None)


def order_on(columns: Columns, y: Sequence[Any]) -> int | None:
    """Order of F(y(x), x); None where all coefficients that y determines vanish."""
    return next((k for k, c in enumerate(_evaluate(columns, list(y))) if c != 0), None)


def _derivative(columns: Columns) -> list[list[Any]]:
    return [[i * c for c in column] for i, column in enumerate(columns)][1:]


def _evaluate(columns: Columns, y: list[Any]) -> list[Any]:
    """F(y(x), x) to len(y) coefficients, by Horner's rule in y."""
    n = len(y)
    total: list[Any] = [0] * n
    for column in reversed(columns):
        total = multiply(total, y) if any(c != 0 for c in total) else total
        total = [a + (column[k] if k < len(column) else 0) for k, a in enumerate(total)]
    return total
