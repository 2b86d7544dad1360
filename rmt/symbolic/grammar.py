"""Expressions typed in a shell: numbers, symbols and laws, read by recursive descent into exact objects.

    number    sqrt(2), 3/4, 0.25, 2*c + 1, sigma^2, pi, exp(-c)
    law       semicircle(1) + mp(1/2);  mp(c) @ discrete(0: 1/2, 1: 1/2);  power(mp(1), L);  2*uniform(0, 1) - 1

Decimals are read as the fractions that they are. Names that are no function stand for positive symbols. Nothing is
evaluated: what is not in the tables below does not exist, attributes and calls of anything else included. Length,
nesting, digits and exponents are bounded, so that no text can keep the machine busy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

import sympy as sp

from rmt.algebra.free_power import FreePower, FreeSumPower
from rmt.algebra.inverse import Inverse
from rmt.algebra.mixture import Mixture
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.law import Law
from rmt.laws.arcsine import Arcsine
from rmt.laws.cauchy import Cauchy
from rmt.laws.discrete import Discrete
from rmt.laws.free_jacobi import FreeJacobi
from rmt.laws.free_multiplicative_brownian import FreeMultiplicativeBrownian
from rmt.laws.free_poisson import FreePoisson
from rmt.laws.free_stable import FreeStable
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.gaussian import Gaussian
from rmt.laws.kesten_mckay import KestenMcKay
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.uniform import Uniform
from rmt.laws.universal_resnet import UniversalResNet

__all__ = ["FAMILIES", "OPERATIONS", "GrammarError", "parse_law", "parse_number"]

_LENGTH, _DEPTH, _DIGITS, _LARGEST_EXPONENT, _BITS = 400, 24, 40, 1000, 4000
_RESERVED = frozenset("GzmgSRwI")
_NOT_NUMBERS = frozenset(("nan", "inf", "infinity", "oo", "zoo"))  # a symbol of such a name would be a slip of the pen
_TOKEN = re.compile(r"\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)|([A-Za-z]\w*)|(\*\*|[-+*/@^(),:]))")

_FUNCTIONS: Final[Mapping[str, Callable[[Any], Any]]] = {"sqrt": sp.sqrt, "exp": sp.exp, "log": sp.log}
_CONSTANTS: Final[Mapping[str, Any]] = {"pi": sp.pi}

# name -> (constructor, least and most number of arguments)
FAMILIES: Final[Mapping[str, tuple[Callable[..., Law], int, int]]] = {
    "semicircle": (Semicircle, 0, 2),
    "mp": (MarchenkoPastur, 1, 1),
    "uniform": (Uniform, 0, 2),
    "arcsine": (Arcsine, 0, 2),
    "gaussian": (Gaussian, 0, 2),
    "cauchy": (Cauchy, 0, 2),
    "free_poisson": (FreePoisson, 1, 2),
    "fuss_catalan": (FussCatalan, 0, 1),
    "free_jacobi": (FreeJacobi, 2, 2),
    "kesten_mckay": (KestenMcKay, 0, 1),
    "free_stable": (FreeStable, 1, 4),
    "brownian": (FreeMultiplicativeBrownian, 0, 1),
    "resnet": (UniversalResNet, 1, 3),
}
OPERATIONS: Final[Mapping[str, tuple[Callable[..., Law], int, int]]] = {
    "power": (FreePower, 2, 2),
    "sum_power": (FreeSumPower, 2, 2),
    "compress": (lambda law, ratio: law.compress(ratio), 2, 2),
    "sqrt": (lambda law: law.sqrt(), 1, 1),
    "square": (lambda law: law.square(), 1, 1),
    "inverse": (Inverse, 1, 1),
    "symmetrized": (lambda law: law.symmetrized(), 1, 1),
    "residual": (ResidualSum, 2, 2),
    "rectangular": (lambda first, second, ratio: RectangularSum((first, second), ratio), 3, 3),
}


class GrammarError(ValueError):
    """A text that is not in the grammar; the message says where, and what is allowed there."""


def parse_number(text: str, *, integer: bool = False) -> Any:
    """Read a number or an expression in symbols: int or Fraction where it is one, a sympy expression otherwise.

    Parameters
    ----------
    text : str
    integer : bool
        Whether its symbols stand for integers, and a number must be one.

    Raises
    ------
    GrammarError
        If the text is not in the grammar, not real and finite, or too large.

    Examples
    --------
    >>> parse_number("3/4"), parse_number("sqrt(2)*sigma"), parse_number("0.1")
    (Fraction(3, 4), sqrt(2)*sigma, Fraction(1, 10))
    """
    parser = _Parser(text, integer=integer)
    value = parser.whole()
    if isinstance(value, Law):
        raise GrammarError(f"{text!r}: expected a number, not a law")
    out = _plain(value)
    if integer and not isinstance(out, int) and not value.free_symbols:
        raise GrammarError(f"{text!r}: expected an integer or a symbol")
    return out


def parse_law(text: str) -> Law:
    """Read a law.

    Raises
    ------
    GrammarError
        If the text is not in the grammar, or is a number.
    ValueError
        If a law refuses its parameters.

    Examples
    --------
    >>> parse_law("semicircle(1) + mp(1/2)")
    FreeSum(laws=(Semicircle(variance=1, mean=0), MarchenkoPastur(ratio=Fraction(1, 2))))
    """
    value = _Parser(text, integer=False).whole()
    if not isinstance(value, Law):
        raise GrammarError(f"{text!r}: expected a law, such as semicircle(1) + mp(1/2); the names are {_names()}")
    return value


def _names() -> str:
    return ", ".join([*FAMILIES, "discrete", "mixture", *OPERATIONS])


class _Parser:
    """Recursive descent over tokens (kind, text, position)."""

    def __init__(self, text: str, *, integer: bool) -> None:
        self.text, self.integer = text, integer
        if len(text) > _LENGTH:
            raise GrammarError(f"expression of {len(text)} characters: at most {_LENGTH} are read")
        self.tokens: list[tuple[str, str, int]] = []
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                at = place + len(text[place:]) - len(text[place:].lstrip())
                raise self._error(at, f"{text[at]!r} is no part of an expression")
            kind = ("number", "name", "sign")[(match.lastindex or 1) - 1]
            self.tokens.append((kind, match.group(match.lastindex or 1), match.start(match.lastindex or 1)))
            place = match.end()
        self.tokens.append(("end", "", len(text)))
        self.index = self.depth = 0

    def _error(self, place: int, message: str) -> GrammarError:
        shown = self.text if len(self.text) <= 60 else f"{self.text[:57]}..."
        return GrammarError(f"{shown!r}, column {place + 1}: {message}")

    def _peek(self) -> str:
        return self.tokens[self.index][1] if self.tokens[self.index][0] == "sign" else ""

    def _take(self) -> tuple[str, str, int]:
        token = self.tokens[self.index]
        self.index = min(self.index + 1, len(self.tokens) - 1)
        return token

    def _expect(self, sign: str) -> None:
        kind, text, place = self._take()
        if kind != "sign" or text != sign:
            raise self._error(place, f"expected {sign!r}, found {text or 'the end'!r}")

    def whole(self) -> Any:
        value = self._sum()
        kind, text, place = self.tokens[self.index]
        if kind != "end":
            raise self._error(place, f"expected an operator, found {text!r}")
        return value

    def _sum(self) -> Any:
        self.depth += 1
        if self.depth > _DEPTH:
            raise self._error(self.tokens[self.index][2], f"nested deeper than {_DEPTH}")
        value = self._product()
        while self._peek() in ("+", "-"):
            _, sign, place = self._take()
            value = self._apply(sign, value, self._product(), place)
        self.depth -= 1
        return value

    def _product(self) -> Any:
        value = self._signed()
        while self._peek() in ("*", "/", "@"):
            _, sign, place = self._take()
            value = self._apply(sign, value, self._signed(), place)
        return value

    def _signed(self) -> Any:
        negative = False
        while self._peek() in ("+", "-"):
            negative ^= self._take()[1] == "-"
        value = self._power()
        return _negative(value) if negative else value

    def _power(self) -> Any:
        base = self._atom()
        if self._peek() not in ("^", "**"):
            return base
        _, _, place = self._take()
        self.depth += 1
        if self.depth > _DEPTH:
            raise self._error(place, f"nested deeper than {_DEPTH}")
        exponent = self._signed()
        self.depth -= 1
        if isinstance(base, Law) or isinstance(exponent, Law):
            raise self._error(place, "a law has two powers: power(law, t) of the product, sum_power(law, t) of the sum")
        if exponent.is_number and abs(sp.N(exponent)) > _LARGEST_EXPONENT:
            raise self._error(place, f"exponents are at most {_LARGEST_EXPONENT}")
        if base.is_Rational and exponent.is_Rational:
            bits = max(int(base.p).bit_length(), int(base.q).bit_length()) * abs(exponent)
            if bits > _BITS:
                raise self._error(place, "the power has too many digits")
        return self._finite(base**exponent, place)

    def _atom(self) -> Any:
        kind, text, place = self._take()
        if kind == "number":
            digits = re.split("[eE]", text)
            if len(digits[0]) > _DIGITS or (len(digits) > 1 and abs(int(digits[1])) > _DIGITS):
                raise self._error(place, f"numbers have at most {_DIGITS} digits")
            exact = Fraction(text)
            return sp.Rational(exact.numerator, exact.denominator)
        if kind == "name":
            return self._named(text, place)
        if text == "(":
            value = self._sum()
            self._expect(")")
            return value
        raise self._error(place, f"expected a number, a name or '(', found {text or 'the end'!r}")

    def _named(self, name: str, place: int) -> Any:
        if self._peek() != "(":
            if name in _CONSTANTS:
                return _CONSTANTS[name]
            if name.lower() in _NOT_NUMBERS:
                raise self._error(place, f"{name!r} is no finite number")
            if name in _RESERVED:
                raise self._error(place, f"{name!r} names a variable of the formulas; choose another name")
            if name in FAMILIES or name in OPERATIONS or name in ("discrete", "mixture"):
                raise self._error(place, f"{name!r} names a law: write its arguments in parentheses")
            return sp.Symbol(name, positive=True, integer=True if self.integer else None)
        self._take()
        if name in ("discrete", "mixture"):
            return self._weighted(name, place)
        arguments = [] if self._peek() == ")" else [self._sum()]
        while self._peek() == ",":
            self._take()
            arguments.append(self._sum())
        self._expect(")")
        if name in _FUNCTIONS and len(arguments) == 1 and not isinstance(arguments[0], Law):
            return self._finite(_FUNCTIONS[name](self._tame(arguments[0], place)), place)
        if name not in FAMILIES and name not in OPERATIONS:
            raise self._error(place, f"there is no {name!r}; the names are {', '.join(_FUNCTIONS)}, {_names()}")
        build, least, most = FAMILIES[name] if name in FAMILIES else OPERATIONS[name]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise self._error(place, f"{name}: expected {wanted} argument{'s' * (most > 1)}, found {len(arguments)}")
        laws = {"rectangular": 2, "free_poisson": 0}.get(name, 0 if name in FAMILIES else 1)
        for position, argument in enumerate(arguments):
            is_law = isinstance(argument, Law)
            if is_law != (position < laws) and not (name == "free_poisson" and position == 1):
                raise self._error(place, f"{name}: argument {position + 1} must be {'a number' if is_law else 'a law'}")
        return build(*(_plain(argument) for argument in arguments))

    def _weighted(self, name: str, place: int) -> Law:
        """``discrete(x: p, ...)`` or ``mixture(law: p, ...)``."""
        parts: list[tuple[Any, Any]] = []
        while True:
            key = self._sum()
            self._expect(":")
            weight = self._sum()
            if isinstance(weight, Law) or isinstance(key, Law) != (name == "mixture"):
                raise self._error(place, f"{name} takes pairs {'law' if name == 'mixture' else 'position'}: mass")
            parts.append((_plain(key), _plain(weight)))
            if self._peek() != ",":
                break
            self._take()
        self._expect(")")
        return Mixture(parts) if name == "mixture" else Discrete(dict(parts))

    def _apply(self, sign: str, left: Any, right: Any, place: int) -> Any:
        laws = isinstance(left, Law), isinstance(right, Law)
        if not any(laws):
            if sign == "@":
                raise self._error(place, "'@' is the free product of laws; write '*' between numbers")
            if sign == "/" and right == 0:
                raise self._error(place, "division by 0")
            combined = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right}.get(
                sign, lambda: left / right
            )()
            return self._finite(combined, place)
        if all(laws):
            if sign in "*/":
                raise self._error(place, "write '@' for the free product of laws, inverse(law) for 1/law")
            return {"+": lambda: left + right, "-": lambda: left - right, "@": lambda: left @ right}[sign]()
        law, number = (left, _plain(right)) if laws[0] else (right, _plain(left))
        if sign == "@" or (sign == "/" and not laws[0]):
            raise self._error(place, f"{sign!r} between a law and a number: write number*law, or inverse(law)")
        if sign == "*":
            return number * law
        if sign == "/":
            if number == 0:
                raise self._error(place, "division by 0")
            return (Fraction(1) / number if isinstance(number, int | Fraction) else 1 / number) * law
        if sign == "+":
            return law + number
        return law + -number if laws[0] else (-1) * law + number

    def _tame(self, value: Any, place: int) -> Any:
        if value.is_number and abs(sp.N(value)) > 10**6:
            raise self._error(place, "the argument is too large")
        return value

    def _finite(self, value: Any, place: int) -> Any:
        if value.has(sp.zoo, sp.oo, sp.nan) or value.has(sp.I):
            raise self._error(place, "this is not a finite real number")
        if value.is_Rational and max(int(value.p).bit_length(), int(value.q).bit_length()) > _BITS:
            raise self._error(place, "the number has too many digits")
        return value


def _negative(value: Any) -> Any:
    return (-1) * value if isinstance(value, Law) else -value


def _plain(value: Any) -> Any:
    """Sympy rationals as int or Fraction; symbols and roots stay sympy's."""
    if isinstance(value, Law) or not value.is_Rational:
        return value
    return int(value.p) if value.q == 1 else Fraction(int(value.p), int(value.q))
