"""Transforms that a user wrote as sympy expressions: numeric functions, and exact power series."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from rmt import series
from rmt.numeric.analytic import Analytic
from rmt.parameters import normalised
from rmt.series.power_series import divide

__all__ = [
    "analytic",
    "has_pole",
    "near_the_end",
    "one_plus",
    "one_plus_at_infinity",
    "series_at_infinity",
    "series_at_zero",
    "variable",
]

ComplexArray = npt.NDArray[np.complex128]
# valuation and coefficients of a Laurent (or Puiseux) series
Expansion = tuple[Any, list[Any]]


def variable(expression: Any) -> Any:
    """The only free symbol of an expression.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    symbols = sorted(expression.free_symbols, key=str)
    if len(symbols) != 1:
        names = ", ".join(map(str, symbols)) or "none"
        raise ValueError(
            f"{expression}: expected one free symbol, the variable of the transform, but found {names}; "
            "substitute numbers for parameters (a constant transform is that of a point mass: use Discrete)"
        )
    return symbols[0]


def analytic(expression: Any) -> Analytic:
    """Numeric function of an expression and its exact derivative."""
    x = variable(expression)
    return Analytic(_compiled(x, expression), _compiled(x, sp.diff(expression, x)))


def near_the_end(s: Any, mass: Any) -> Analytic:
    """S as a function of w at ``m = mass (w - 1)``, sums expanded so that 1 + m/mass is w itself."""
    x = variable(s)
    share = sp.Rational(mass.numerator, mass.denominator) if isinstance(mass, int | Fraction) else sp.Float(mass)
    moved = s.subs(x, share * (x - 1)).replace(lambda e: e.is_Add, sp.expand)
    return Analytic(_compiled(x, moved), _compiled(x, sp.diff(moved, x)))


def one_plus(expression: Any) -> Analytic:
    """1 + expression over a common denominator, so that it loses no digits where it is small."""
    return _common(variable(expression), 1 + expression)


def one_plus_at_infinity(r: Any) -> Analytic:
    """1 + g R(g) as a function of t = 1/g."""
    x = variable(r)
    return _common(x, 1 + r.subs(x, 1 / x) / x)


def _common(x: Any, total: Any) -> Analytic:
    total = sp.together(total)
    if total.is_rational_function(x):
        total = sp.cancel(total)
    return Analytic(_compiled(x, total), _compiled(x, sp.diff(total, x)))


def has_pole(expression: Any, place: Fraction) -> bool:
    """Whether the reciprocal of an expression vanishes exactly at a rational number."""
    value = (1 / expression).subs(variable(expression), sp.Rational(place.numerator, place.denominator))
    return bool(value == 0)


def _compiled(x: Any, expression: Any) -> Callable[[ComplexArray], ComplexArray]:
    function = sp.lambdify(x, expression, cse=True)

    def call(values: ComplexArray) -> ComplexArray:
        out: ComplexArray = np.broadcast_to(np.asarray(function(values), dtype=complex), values.shape).copy()
        return out

    return call


def series_at_zero(expression: Any, n: int) -> list[Any]:
    """The coefficients c_0 … c_(n-1) at 0, exact where the expression is (int, Fraction or sympy numbers).

    Raises
    ------
    ValueError
        If the expression is not analytic at 0.
    """
    x = variable(expression)
    for extra in (0, 4, 16, 64):  # cancellation of leading terms costs orders
        expansion = _expand(expression, x, n + extra)
        if expansion is None:
            break
        valuation, c = _stripped(expansion)
        if valuation < 0:
            raise ValueError(f"{expression} is singular at {x} = 0")
        if valuation + len(c) >= n and valuation == int(valuation):
            return [normalised(v) for v in ([0] * int(valuation) + c)[:n]]
    truncated = sp.series(expression, x, 0, n).removeO()
    coefficients = [truncated.coeff(x, k) for k in range(n)]
    if sp.simplify(truncated - sum(c * x**k for k, c in enumerate(coefficients))) != 0:
        raise ValueError(f"{expression} is not analytic at {x} = 0")
    return [_exact(c) for c in coefficients]


def series_at_infinity(expression: Any, n: int) -> list[Any]:
    """The coefficients of z**0, z**-1, …, z**-(n-1) at infinity."""
    x = variable(expression)
    return series_at_zero(expression.subs(x, 1 / x), n)


def _exact(value: Any) -> Any:
    """Rational numbers as int or Fraction, floats as float; other numbers stay sympy's."""
    if value.is_Rational:
        return normalised(Fraction(int(value.p), int(value.q)))
    return float(value) if value.is_Float else value


def _expand(e: Any, x: Any, n: int) -> Expansion | None:
    """Series in x of n terms, or None for functions that have no rule here."""
    if not e.has(x):
        return 0, [_exact(e), *[0] * (n - 1)]
    if e == x:
        return 1, [1, *[0] * (n - 1)]
    if e.is_Add or e.is_Mul:
        parts = [_expand(a, x, n) for a in e.args]
        out = parts[0]
        for part in parts[1:]:
            if out is None or part is None:
                return None
            out = _added(out, part) if e.is_Add else _multiplied(out, part)
        return out
    if e.is_Pow and not e.exp.has(x):
        inner = _expand(e.base, x, n)
        if inner is None:
            return None
        valuation, c = _stripped(inner)
        if not c or not e.exp.is_Rational:
            return None if not c or valuation != 0 else _power(valuation, c, _exact(e.exp), e.exp)
        return _power(valuation, c, _exact(e.exp), e.exp)
    if isinstance(e, sp.exp | sp.log):
        inner = _expand(e.args[0], x, n)
        if inner is None:
            return None
        valuation, c = inner if isinstance(e, sp.exp) else _stripped(inner)
        if valuation < 0 or (isinstance(e, sp.log) and valuation != 0):
            return None
        if valuation != int(valuation):
            return None
        c = ([0] * int(valuation) + c)[:n]
        if isinstance(e, sp.exp):
            factor = _exact(sp.exp(sp.sympify(c[0])))
            return 0, [factor * v for v in series.exp([0, *c[1:]])]
        return 0, [_exact(sp.log(sp.sympify(c[0]))), *series.log([1, *(divide(v, c[0]) for v in c[1:])])[1:]]
    return None


def _power(valuation: Any, c: list[Any], exponent: Any, symbol: Any) -> Expansion:
    # the leading coefficient apart, so that its root stays exact
    leading = _exact(sp.sympify(c[0]) ** symbol)
    unit = series.power([1, *(divide(v, c[0]) for v in c[1:])], exponent)
    return valuation * exponent, [leading * v for v in unit]


def _multiplied(a: Expansion, b: Expansion) -> Expansion:
    return a[0] + b[0], [_exact(sp.expand(v)) if hasattr(v, "free_symbols") else v for v in series.multiply(a[1], b[1])]


def _added(a: Expansion, b: Expansion) -> Expansion | None:
    (v, first), (w, second) = sorted((a, b), key=lambda part: part[0])
    if w - v != int(w - v):
        return None
    return v, series.add(first, ([0] * int(w - v) + second)[: len(first)])


def _stripped(expansion: Expansion) -> Expansion:
    """Without leading zeros."""
    valuation, c = expansion
    k = 0
    while k < len(c) and (c[k] == 0 or (hasattr(c[k], "equals") and c[k].equals(0))):
        k += 1
    return (valuation + k, c[k:]) if k < len(c) else (valuation + len(c), [])
