"""Moments, free and Boolean cumulants, and the S-transform, as exact conversions between lists.

Conventions, for a law mu with moments m_k:

- moment series ``M(x) = 1 + Σ m_k x^k`` and ``ψ(x) = M(x) - 1``;
- free cumulants ``R(g) = Σ κ_n g^{n-1}``, that is ``C(x) = 1 + Σ κ_n x^n`` with ``C(x M(x)) = M(x)``;
- S-transform ``S(m) = (1+m) χ(m) / m`` with χ the compositional inverse of ψ;
- Boolean cumulants ``1 - 1/M(x) = Σ b_n x^n``.

Lists of moments and cumulants begin at order 1, the series of S at order 0; n numbers give n numbers. The formulas are
Lagrange inversions of these definitions (Nica, Speicher, Lectures on the Combinatorics of Free Probability, 2006,
lectures 10, 11 and 18), O(n^3) operations in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from rmt.series.power_series import divide, lowest_terms, multiply, power, reciprocal

__all__ = [
    "boolean_cumulants_to_moments",
    "free_cumulants_to_moments",
    "moments_to_boolean_cumulants",
    "moments_to_free_cumulants",
    "moments_to_s_series",
    "s_series_to_moments",
]


def moments_to_free_cumulants(m: Sequence[Any]) -> list[Any]:
    """Free cumulants κ_1 … κ_n from the moments m_1 … m_n: κ_n = -[x^n] M(x)^{1-n} / (n-1).

    Examples
    --------
    >>> moments_to_free_cumulants([0, 1, 0, 2, 0, 5])  # the semicircle law
    [0, 1, 0, 0, 0, 0]
    """

    def convert(m: Sequence[Any]) -> list[Any]:
        series = [1, *m]
        return [m[0], *(divide(power(series[: n + 1], 1 - n)[n], 1 - n) for n in range(2, len(m) + 1))] if m else []

    return _graded(convert, m)


def free_cumulants_to_moments(k: Sequence[Any]) -> list[Any]:
    """Moments m_1 … m_n from the free cumulants κ_1 … κ_n: m_n = [x^n] C(x)^{n+1} / (n+1).

    Examples
    --------
    >>> free_cumulants_to_moments([1, 1, 1, 1])  # Marchenko-Pastur of ratio 1: the Catalan numbers
    [1, 2, 5, 14]
    """

    def convert(k: Sequence[Any]) -> list[Any]:
        series = [1, *k]
        return [divide(power(series[: n + 1], n + 1)[n], n + 1) for n in range(1, len(k) + 1)]

    return _graded(convert, k)


def moments_to_boolean_cumulants(m: Sequence[Any]) -> list[Any]:
    """Boolean cumulants b_1 … b_n from the moments m_1 … m_n: Σ b_n x^n = 1 - 1/M(x).

    Examples
    --------
    >>> moments_to_boolean_cumulants([0, 1, 0, 1])  # the symmetric Bernoulli law is Boolean Gaussian
    [0, 1, 0, 0]
    """
    return _graded(lambda m: [-x for x in reciprocal([1, *m])[1:]], m)


def boolean_cumulants_to_moments(b: Sequence[Any]) -> list[Any]:
    """Moments m_1 … m_n from the Boolean cumulants b_1 … b_n: M(x) = 1 / (1 - Σ b_n x^n).

    Examples
    --------
    >>> boolean_cumulants_to_moments([0, 1, 0, 0])
    [0, 1, 0, 1]
    """
    return _graded(lambda b: reciprocal([1, *(-x for x in b)])[1:], b)


def moments_to_s_series(m: Sequence[Any]) -> list[Any]:
    """Coefficients s_0 … s_{n-1} of S(m) from the moments m_1 … m_n: s_0 = 1/m_1.

    Raises
    ------
    ValueError
        If m_1 is 0: the law then has no S-transform that is a power series.

    Examples
    --------
    >>> [int(s) for s in moments_to_s_series([1, 2, 5, 14])]  # Marchenko-Pastur of ratio 1: S = 1/(1+m)
    [1, -1, 1, -1]
    """
    if not m:
        return []
    if m[0] == 0:
        raise ValueError("m[0]=0: a law of mean 0 has no S-transform as a power series; shift it, or use its square")
    # χ(m)/m by Lagrange; the moments themselves are the series ψ(x)/x.
    quotient = [divide(power(m[:n], -n)[n - 1], n) for n in range(1, len(m) + 1)]
    return multiply([1, 1, *[0] * len(m)], quotient)


def s_series_to_moments(s: Sequence[Any]) -> list[Any]:
    """Moments m_1 … m_n from the coefficients s_0 … s_{n-1} of S(m): m_k = (1/k) [m^{k-1}] ((1+m)/S(m))^k.

    Raises
    ------
    ValueError
        If s_0 is 0: no law has such a transform.

    Examples
    --------
    >>> [int(m) for m in s_series_to_moments([1, -1, 1, -1])]
    [1, 2, 5, 14]
    """
    if not s:
        return []
    if s[0] == 0:
        raise ValueError("s[0]=0: S(0) = 1/mean cannot vanish; give the coefficients of S(m) in increasing order")
    quotient = multiply([1, 1, *[0] * len(s)], reciprocal(s))
    return [divide(power(quotient[:k], k)[k - 1], k) for k in range(1, len(s) + 1)]


def _graded(convert: Callable[[Sequence[Any]], list[Any]], values: Sequence[Any]) -> list[Any]:
    """Apply a conversion that is homogeneous of degree k in the k-th entry, on integers where all are rational.

    The gcds of Fraction arithmetic cost ten times the arithmetic; scaling the variable by a number d such that every
    d^k times the k-th entry is an integer avoids them. Integers stay integers.
    """
    if not all(isinstance(v, int | Fraction) for v in values):
        return [lowest_terms(v) for v in convert(values)]
    # The lcm of the denominators would do, but those of cumulants grow like d^k and the lcm would be d^n.
    d = 1
    for k, v in enumerate(values, 1):
        d *= v.denominator // math.gcd(v.denominator, d**k)
    scaled = convert([int(v * d**k) for k, v in enumerate(values, 1)])
    if all(isinstance(v, int) for v in values):
        return [int(v) for v in scaled]
    return [Fraction(v) / d**k for k, v in enumerate(scaled, 1)]
