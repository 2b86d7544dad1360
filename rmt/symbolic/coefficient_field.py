"""Series with symbolic coefficients, computed in a field Q(generators) instead of on expression trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.polys.fields import FracElement, sfield

__all__ = ["in_a_field"]


def in_a_field(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """``function(*arguments)`` with every expression in the arguments as an element of one field of fractions.

    The generators are what sympy's polynomials take them to be: symbols, and their roots, powers and functions. In the
    field every sum is in lowest terms and 0 is recognised, 10 to 100 times faster than by cancelling expressions.

    Parameters
    ----------
    function : callable
        Uses the operations of a field only.
    arguments : sequence
        Numbers, expressions, and lists of them. Whole numbers stay what they are: they may be exponents.

    Returns
    -------
    object
        The result, its elements as expressions; None where there is no such field (floats among the coefficients).
    """
    flat = [x for a in arguments for x in (a if _is_series(a) else [a])]
    expressions = [_rational(x) for x in flat if not isinstance(x, int)]
    field, elements = sfield(expressions)
    if not (field.domain.is_ZZ or field.domain.is_QQ):
        return None
    replaced = iter(elements)

    def convert(x: Any) -> Any:
        return x if isinstance(x, int) else next(replaced)

    converted = [[convert(x) for x in a] if _is_series(a) else convert(a) for a in arguments]
    return _expression(function(*converted))


def _is_series(a: Any) -> bool:
    return isinstance(a, list | tuple)


def _rational(x: Any) -> Any:
    return sp.Rational(x.numerator, x.denominator) if isinstance(x, Fraction) else sp.sympify(x)


def _expression(value: Any) -> Any:
    if isinstance(value, list):
        return [_expression(v) for v in value]
    return value.as_expr() if isinstance(value, FracElement) else value
