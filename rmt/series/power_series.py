"""Truncated power series over any ring of coefficients.

A series is the plain list ``[c_0, c_1, ..., c_{n-1}]`` of the coefficients of ``c_0 + c_1 x + ... + O(x^n)``; its
length is its order of truncation, and a result is as long as its shortest argument. Coefficients may be int,
Fraction, float, complex or sympy expressions. Exact coefficients stay exact: a division of integers gives a Fraction,
never a float. Expressions are computed with as elements of a field Q(parameters), so that they are in lowest terms.

Every function is a recurrence of O(n^2) ring operations (`compose` and `reversion`: O(n^3)).
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from numbers import Integral, Rational
from typing import Any, TypeVar, cast

__all__ = [
    "add",
    "compose",
    "divide",
    "exp",
    "in_lowest_terms",
    "integer_grading",
    "lagrange_inversion",
    "log",
    "lowest_terms",
    "multiply",
    "power",
    "reciprocal",
    "reversion",
]

Series = Sequence[Any]
_Function = TypeVar("_Function", bound=Callable[..., Any])


def divide(a: Any, b: Any) -> Any:
    """Quotient of two coefficients, a Fraction where both are integers."""
    if isinstance(a, Integral) and isinstance(b, Integral):
        return Fraction(int(a), int(b))
    return a / b


def lowest_terms(a: Any) -> Any:
    """Coefficient in the form that keeps recurrences small: symbolic expressions cancel, numbers are left alone."""
    # Without this, symbolic coefficients grow exponentially in size, and a zero may fail to be recognised.
    return a.cancel() if getattr(a, "free_symbols", None) else a


def in_lowest_terms(function: _Function) -> _Function:
    """Decorate a function of series so that symbolic coefficients go through a field of fractions (see the module).

    Where floats stand among them there is no such field; the function then runs on the expressions themselves.
    """

    @functools.wraps(function)
    def wrapped(*arguments: Any) -> Any:
        if any(_is_symbolic(x) for a in arguments for x in (a if isinstance(a, list | tuple) else [a])):
            from rmt.symbolic.coefficient_field import in_a_field

            result = in_a_field(function, arguments)
            if result is not None:
                return result
        return function(*arguments)

    return cast(_Function, wrapped)


def _is_symbolic(x: Any) -> bool:
    return bool(getattr(x, "free_symbols", None))


@in_lowest_terms
def add(a: Series, b: Series) -> list[Any]:
    """Sum of two series.

    Examples
    --------
    >>> add([1, 2, 3], [0, 1, 1])
    [1, 3, 4]
    """
    return [lowest_terms(x + y) for x, y in zip(a, b, strict=False)]


@in_lowest_terms
def multiply(a: Series, b: Series) -> list[Any]:
    """Product of two series.

    Examples
    --------
    >>> multiply([1, 1, 0, 0], [1, 1, 0, 0])
    [1, 2, 1, 0]
    """
    n = min(len(a), len(b))
    return [lowest_terms(sum((a[j] * b[k - j] for j in range(k + 1)), 0)) for k in range(n)]


@in_lowest_terms
def reciprocal(a: Series) -> list[Any]:
    """Series of 1/a; a[0] must be invertible.

    Raises
    ------
    ValueError
        If a[0] is 0.

    Examples
    --------
    >>> reciprocal([1, -1, 0, 0])
    [Fraction(1, 1), Fraction(1, 1), Fraction(1, 1), Fraction(1, 1)]
    """
    if not a:
        return []
    _require_constant_term(a, "reciprocal")
    inverse = divide(1, a[0])
    result = [inverse]
    for k in range(1, len(a)):
        total = sum((a[j] * result[k - j] for j in range(1, k + 1)), 0)
        result.append(lowest_terms(-total * inverse))
    return result


def power(a: Series, t: Any) -> list[Any]:
    """Series of a**t for any exponent t (int, Fraction, float or symbolic); a[0] must not be 0.

    The recurrence of J. C. P. Miller costs O(n^2) whatever t, so that the depth of a network (t = 10^5, or a symbol)
    is free (Knuth, The Art of Computer Programming, volume 2, section 4.7, equation 9).

    A rational a[0] whose power is irrational becomes a float; everything else exact stays exact.

    Raises
    ------
    ValueError
        If a[0] is 0.
    OverflowError
        If a[0]**t exceeds the range of floats: take a[0] out of the series and keep its logarithm.

    Examples
    --------
    >>> power([1, 1, 0, 0], Fraction(1, 2))
    [1, Fraction(1, 2), Fraction(-1, 8), Fraction(1, 16)]
    """
    if not a:
        return []
    _require_constant_term(a, "power")
    if isinstance(t, Rational) and all(isinstance(c, int | Fraction) for c in a):
        return _rational_power(a, Fraction(int(t.numerator), int(t.denominator)))
    if _is_symbolic(t) or any(_is_symbolic(c) for c in a):
        head = a[0] ** t
        return [c if head == 1 else lowest_terms(head * c) for c in _unit_power([divide(c, a[0]) for c in a], t)]
    return _unit_power(a, t)


@in_lowest_terms
def _unit_power(a: Series, t: Any) -> list[Any]:
    """The recurrence of `power`; a[0] is 1 where a coefficient is symbolic, so that its power stays in the field."""
    constant = a[0]
    result = [constant**0 if constant == 1 and not isinstance(t, float | complex) else _scalar_power(constant, t)]
    terms = [j for j in range(1, len(a)) if a[j] != 0]
    # elements of a field know whole numbers, not fractions
    p, q = (t.numerator, t.denominator) if isinstance(t, Fraction) else (t, 1)
    for k in range(1, len(a)):
        total = sum((((p + q) * j - q * k) * (a[j] * result[k - j]) for j in terms if j <= k), 0)
        result.append(lowest_terms(divide(total, q * k * constant)))
    return result


def _rational_power(a: Series, t: Fraction) -> list[Any]:
    """The recurrence of `power` on integers: the gcds of Fraction arithmetic cost ten times the arithmetic.

    With a_0 = 1, a(d x) of integer coefficients and t = p/q, the coefficients of a(d q^2 x)^t are integers.
    """
    p, q = t.numerator, t.denominator
    head = _scalar_power(a[0], t)
    plain = a[0] == 1 and all(isinstance(c, int) for c in a)
    d, scaled = (1, list(a)) if plain else integer_grading([Fraction(c) / a[0] for c in a])
    if q > 1:
        scaled = [c * q ** (2 * j) for j, c in enumerate(scaled)]
        d *= q * q
    terms = [(j, c) for j, c in enumerate(scaled) if j > 0 and c != 0]
    out = [1]
    for k in range(1, len(a)):
        total = sum(((p + q) * j - q * k) * c * out[k - j] for j, c in terms if j <= k)
        out.append(total // (q * k))
    if d == 1:
        return out if head == 1 else [head * c for c in out]
    return [head, *(head * Fraction(c, d**k) for k, c in enumerate(out[1:], 1))]


def integer_grading(values: Sequence[Any]) -> tuple[int, list[int]]:
    """(d, integers d**k v_k) for rational v_0 (an integer), v_1, …, with d small where they are graded."""
    # the lcm of the denominators would do, but those of cumulants grow like d^k and the lcm would be d^n
    d = 1
    for k, v in enumerate(values):
        if k > 0:
            d *= v.denominator // math.gcd(v.denominator, d**k)
    return d, [int(v * d**k) for k, v in enumerate(values)]


@in_lowest_terms
def exp(a: Series) -> list[Any]:
    """Series of exp(a).

    Raises
    ------
    ValueError
        If a[0] is exact and not 0, for then exp(a[0]) leaves the ring: take it out as a factor.

    Examples
    --------
    >>> exp([0, 1, 0, 0])
    [1, Fraction(1, 1), Fraction(1, 2), Fraction(1, 6)]
    """
    if not a:
        return []
    if isinstance(a[0], float | complex):
        result: list[Any] = [cmath.exp(a[0]) if isinstance(a[0], complex) else math.exp(a[0])]
    elif a[0] == 0:
        result = [1]
    else:
        raise ValueError(f"a[0]={a[0]} in exp: an exact constant term must be 0; take the factor exp(a[0]) out")
    for k in range(1, len(a)):
        total = sum((j * a[j] * result[k - j] for j in range(1, k + 1)), 0)
        result.append(lowest_terms(divide(total, k)))
    return result


@in_lowest_terms
def log(a: Series) -> list[Any]:
    """Series of log(a), principal branch at a[0].

    Raises
    ------
    ValueError
        If a[0] is 0, or exact and not 1, for then log(a[0]) leaves the ring: divide by a[0] first.

    Examples
    --------
    >>> log([1, 1, 0, 0])
    [0, Fraction(1, 1), Fraction(-1, 2), Fraction(1, 3)]
    """
    if not a:
        return []
    _require_constant_term(a, "log")
    constant = a[0]
    if isinstance(constant, float | complex):
        result: list[Any] = [
            math.log(constant) if isinstance(constant, float) and constant > 0 else cmath.log(constant)
        ]
    elif constant == 1:
        result = [0]
    else:
        raise ValueError(f"a[0]={constant} in log: an exact constant term must be 1; divide the series by a[0]")
    for k in range(1, len(a)):
        total = sum((j * result[j] * a[k - j] for j in range(1, k)), 0)
        result.append(lowest_terms(divide(k * a[k] - total, k * constant)))
    return result


@in_lowest_terms
def compose(a: Series, b: Series) -> list[Any]:
    """Series of a(b(x)); b[0] must be 0.

    Raises
    ------
    ValueError
        If b[0] is not 0.

    Examples
    --------
    >>> compose([1, 1, 1, 1], [0, 1, 1, 0])
    [1, 1, 2, 3]
    """
    n = min(len(a), len(b))
    if n == 0:
        return []
    if b[0] != 0:
        raise ValueError(f"b[0]={b[0]} in compose: the inner series must vanish at 0; shift the outer series instead")
    rational = all(isinstance(c, int | Fraction) for c in (*a[:n], *b[:n]))
    if rational and not all(isinstance(c, int) for c in (*a[:n], *b[:n])):
        # on integers, see `_rational_power`
        d, inner = integer_grading(b[:n])
        common = math.lcm(*(c.denominator for c in a[:n]))
        outer = [int(c * common) for c in a[:n]]
        return [Fraction(c, common * d**k) for k, c in enumerate(compose(outer, inner))]
    result: list[Any] = [a[n - 1]] + [0] * (n - 1)
    for k in range(n - 2, -1, -1):  # Horner
        result = multiply(result, b[:n])
        result[0] = a[k]
    return result


@in_lowest_terms
def reversion(a: Series) -> list[Any]:
    """Series of the compositional inverse of a; a[0] must be 0 and a[1] invertible.

    Lagrange: [x^n] a^{-1} = (1/n) [x^{n-1}] (a(x)/x)^{-n}.

    Raises
    ------
    ValueError
        If a[0] is not 0 or a[1] is 0.

    Examples
    --------
    >>> reversion([0, 1, 1, 1, 1])
    [0, Fraction(1, 1), Fraction(-1, 1), Fraction(1, 1), Fraction(-1, 1)]
    """
    if not a:
        return []
    if a[0] != 0:
        raise ValueError(f"a[0]={a[0]} in reversion: the series must vanish at 0; subtract its constant term")
    quotient = a[1:]
    if quotient:
        _require_constant_term(quotient, "reversion", index=1)
    return [0, *(divide(power(quotient[:n], -n)[n - 1], n) for n in range(1, len(a)))]


@in_lowest_terms
def lagrange_inversion(outer: Series, inner: Series) -> list[Any]:
    """Series of H(w(x)) with w the compositional inverse of ``inner``, w + O(w²) up to a factor, and H = ``outer``.

    [x^n] H(w(x)) = (1/n) [w^(n-1)] H'(w) (w/inner(w))^n (Lagrange, Bürmann), O(n^3) operations; the inverse itself is
    the case H(w) = w.

    Raises
    ------
    ValueError
        If inner[0] is not 0 or inner[1] is 0.

    Examples
    --------
    >>> lagrange_inversion([0, 1, 0, 0, 0], [0, 1, -1, 0, 0])  # w = x + w²: the Catalan numbers
    [0, Fraction(1, 1), Fraction(1, 1), Fraction(2, 1), Fraction(5, 1)]
    """
    n = min(len(outer), len(inner))
    if n == 0:
        return []
    if inner[0] != 0:
        raise ValueError(f"inner[0]={inner[0]} in lagrange_inversion: the series must vanish at 0; shift its variable")
    _require_constant_term(inner[1:n], "lagrange_inversion", index=1)
    quotient = inner[1:n]
    slope = [k * outer[k] for k in range(1, n)]
    out = [outer[0]]
    for k in range(1, n):
        powers = power(quotient[:k], -k)
        out.append(divide(sum((slope[j] * powers[k - 1 - j] for j in range(k) if slope[j] != 0), 0), k))
    return out


def _require_constant_term(a: Series, name: str, index: int = 0) -> None:
    if a and a[0] == 0:
        raise ValueError(f"a[{index}]=0 in {name}: this coefficient must be invertible; factor the leading power out")


def _scalar_power(base: Any, exponent: Any) -> Any:
    if not isinstance(base, Rational):
        return base**exponent
    value = Fraction(int(base.numerator), int(base.denominator))
    if value == 1 and not isinstance(exponent, float | complex):
        return 1  # also where the exponent is a symbol
    if not isinstance(exponent, Rational):
        return base**exponent
    degree = int(exponent.denominator)
    root = value if degree == 1 else _exact_root(value, degree)
    if root is not None:
        return root ** int(exponent.numerator)
    return (float(value) if value > 0 else complex(value)) ** float(exponent)


def _exact_root(value: Fraction, degree: int) -> Fraction | None:
    """The rational root of a positive rational number, or None where it has none."""
    if value <= 0:
        return None
    parts = [_integer_root(part, degree) for part in (value.numerator, value.denominator)]
    root = Fraction(parts[0], parts[1])
    return root if root**degree == value else None


def _integer_root(value: int, degree: int) -> int:
    """Largest integer r with r**degree <= value, by Newton on integers (a float root is wrong beyond 2^53)."""
    r = 1 << -(-value.bit_length() // degree)
    while True:
        s = ((degree - 1) * r + value // r ** (degree - 1)) // degree
        if s >= r:
            return r
        r = s
