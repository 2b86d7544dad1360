"""Checks of parameters, and exact arithmetic on numbers that may be int, float, Fraction or sympy objects."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any

from rmt.results import PreconditionError

__all__ = ["as_float", "check_interval", "check_number", "exact_sqrt", "is_symbolic", "normalised", "parameter_repr"]


def is_symbolic(value: Any) -> bool:
    """Whether ``value`` contains free symbols."""
    return bool(getattr(value, "free_symbols", None))


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Any:
    """Return ``value`` if it is a symbol or a finite real number within the bounds.

    Raises
    ------
    ValueError
        Naming the argument, the value and what is allowed.
    """
    if is_symbolic(value):
        return value
    bounds = []
    if above is not None:
        bounds.append(f"> {above:g}")
    if at_least is not None:
        bounds.append(f">= {at_least:g}")
    if at_most is not None:
        bounds.append(f"<= {at_most:g}")
    if below is not None:
        bounds.append(f"< {below:g}")
    allowed = "a finite real number" + (" " + " and ".join(bounds) if bounds else "")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}={value!r}: expected {allowed}") from None
    fine = (
        math.isfinite(number)
        and (above is None or number > above)
        and (at_least is None or number >= at_least)
        and (at_most is None or number <= at_most)
        and (below is None or number < below)
    )
    if not fine:
        raise ValueError(f"{name}={value!r}: expected {allowed}")
    return value


def check_interval(a: Any, b: Any) -> None:
    """Refuse what are not the ends ``a < b`` of a bounded interval (symbols are taken at their word).

    Raises
    ------
    ValueError
        Naming the argument, the value and what is allowed.
    """
    check_number("a", a)
    check_number("b", b)
    if not is_symbolic(a) and not is_symbolic(b) and not a < b:
        raise ValueError(f"a={a!r}, b={b!r}: expected a < b; a point mass is Discrete({{a: 1}})")


def as_float(value: Any, name: str) -> float:
    """Float of a parameter; a symbol is refused with the next step."""
    if is_symbolic(value):
        raise PreconditionError(
            f"{name}={value} is symbolic: numbers are needed here; substitute them, or ask `rmt.derive(law)`"
        )
    return float(value)


def exact_sqrt(value: Any) -> Any:
    """Square root that stays exact where it can: sympy objects, squares of rationals; float otherwise."""
    if hasattr(value, "free_symbols"):
        return sys.modules["sympy"].sqrt(value)
    if isinstance(value, int | Fraction):
        fraction = Fraction(value)
        top, bottom = math.isqrt(fraction.numerator), math.isqrt(fraction.denominator)
        if top * top == fraction.numerator and bottom * bottom == fraction.denominator:
            return normalised(Fraction(top, bottom))
    return math.sqrt(value)


def normalised(value: Any) -> Any:
    """A Fraction that is an integer as int; everything else unchanged."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    return value


def parameter_repr(value: Any) -> str:
    """Executable representation of a parameter (sympy's own repr of a rational would evaluate to a float)."""
    if hasattr(value, "free_symbols"):
        return str(sys.modules["sympy"].srepr(value))
    if isinstance(value, tuple):
        inner = ", ".join(parameter_repr(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if type(value).__module__ == "numpy":
        return repr(value.item())
    return repr(value)
