"""Noncommutative sympy expressions as words: what `rmt.polynomial_law` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

__all__ = ["check_variables", "words_of"]


def check_variables(variables: Mapping[Any, Any]) -> tuple[Any, ...]:
    """The symbols of a mapping symbol -> law, checked to be noncommutative sympy symbols.

    Raises
    ------
    ValueError
        Naming the symbol and how to make it noncommutative.
    """
    for symbol in variables:
        if not isinstance(symbol, sp.Symbol) or symbol.is_commutative:
            raise ValueError(
                f"variables: {symbol!r} is not a noncommutative symbol; make it with "
                f'sympy.symbols("{symbol}", commutative=False)'
            )
    return tuple(variables)


def words_of(expression: Any, symbols: Sequence[Any]) -> dict[tuple[int, ...], Any]:
    """Word (tuple of indices into ``symbols``, empty for the constant) -> coefficient, int, Fraction, float or complex.

    Raises
    ------
    ValueError
        If the expression is text, is no polynomial in the symbols, or has a coefficient that is not a number.
    """
    if isinstance(expression, str):
        raise ValueError(
            f"expression={expression!r}: text is not evaluated; build it from sympy.symbols(..., commutative=False)"
        )
    if not isinstance(expression, sp.Expr | int | float | complex | Fraction):
        raise ValueError(f"expression={expression!r}: expected a sympy expression in noncommutative symbols")
    index = {symbol: k for k, symbol in enumerate(symbols)}
    out: dict[tuple[int, ...], Any] = {}
    for term in sp.Add.make_args(sp.expand(_as_sympy(expression))):
        commutative, factors = term.args_cnc()
        word: list[int] = []
        for factor in factors:
            base, exponent = factor.as_base_exp()
            if base not in index or not (exponent.is_Integer and exponent > 0):
                raise ValueError(
                    f"expression: the factor {factor} of {term} is not a positive power of one of the variables "
                    f"{', '.join(map(str, symbols))}; give a polynomial, and a law for each of its symbols"
                )
            word += [index[base]] * int(exponent)
        key = tuple(word)
        out[key] = out.get(key, 0) + _number(sp.Mul(*commutative), term)
    return {word: c for word, c in out.items() if c != 0}


def _as_sympy(value: Any) -> Any:
    return sp.Rational(value.numerator, value.denominator) if isinstance(value, Fraction) else sp.sympify(value)


def _number(coefficient: Any, term: Any) -> Any:
    if coefficient.free_symbols or not coefficient.is_number:
        raise ValueError(
            f"expression: the coefficient {coefficient} of {term} is not a number; substitute its symbols, and make "
            "the variables noncommutative"
        )
    real, imaginary = coefficient.as_real_imag()
    if imaginary != 0:
        return complex(coefficient)
    if real.is_Integer:
        return int(real)
    return Fraction(int(real.p), int(real.q)) if real.is_Rational else float(real)
