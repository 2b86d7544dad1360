"""Moments, free and Boolean cumulants, and the S-transform, as exact conversions between lists.

Conventions, for a law mu with moments m_k:

- moment series ``M(x) = 1 + Σ m_k x^k`` and ``ψ(x) = M(x) - 1``;
- free cumulants ``R(g) = Σ κ_n g^{n-1}``, that is ``C(x) = 1 + Σ κ_n x^n`` with ``C(x M(x)) = M(x)``;
- S-transform ``S(m) = (1+m) χ(m) / m`` with χ the compositional inverse of ψ;
- Boolean cumulants ``1 - 1/M(x) = Σ b_n x^n``;
- classical cumulants ``log Σ m_n t^n/n! = Σ c_n t^n/n!``;
- rectangular cumulants of ratio c: ψ(x) as a series in ``h = x (1 + ψ) (1 + c ψ)`` (Benaych-Georges, 2009), which add
  where rectangular bi-invariant matrices do.

Lists of moments and cumulants begin at order 1, the series of S at order 0; n numbers give n numbers. The formulas are
Lagrange inversions of these definitions (Nica, Speicher, Lectures on the Combinatorics of Free Probability, 2006,
lectures 10, 11 and 18), O(n^3) operations in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from rmt.series.power_series import (
    compose,
    divide,
    in_lowest_terms,
    integer_grading,
    lowest_terms,
    multiply,
    power,
    reciprocal,
)

__all__ = [
    "boolean_cumulants_to_moments",
    "classical_cumulants_to_moments",
    "free_cumulants_to_moments",
    "moments_to_boolean_cumulants",
    "moments_to_classical_cumulants",
    "moments_to_free_cumulants",
    "moments_to_rectangular_cumulants",
    "moments_to_s_series",
    "product_moments",
    "rectangular_cumulants_to_moments",
    "s_series_to_moments",
]


@in_lowest_terms
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

    return graded(convert, m)


@in_lowest_terms
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

    return graded(convert, k)


@in_lowest_terms
def moments_to_boolean_cumulants(m: Sequence[Any]) -> list[Any]:
    """Boolean cumulants b_1 … b_n from the moments m_1 … m_n: Σ b_n x^n = 1 - 1/M(x).

    Examples
    --------
    >>> moments_to_boolean_cumulants([0, 1, 0, 1])  # the symmetric Bernoulli law is Boolean Gaussian
    [0, 1, 0, 0]
    """
    return graded(lambda m: [-x for x in reciprocal([1, *m])[1:]], m)


@in_lowest_terms
def boolean_cumulants_to_moments(b: Sequence[Any]) -> list[Any]:
    """Moments m_1 … m_n from the Boolean cumulants b_1 … b_n: M(x) = 1 / (1 - Σ b_n x^n).

    Examples
    --------
    >>> boolean_cumulants_to_moments([0, 1, 0, 0])
    [0, 1, 0, 1]
    """
    return graded(lambda b: reciprocal([1, *(-x for x in b)])[1:], b)


@in_lowest_terms
def moments_to_classical_cumulants(m: Sequence[Any]) -> list[Any]:
    """Classical cumulants c_1 … c_n from the moments: c_n = m_n - Σ_k binom(n-1, k-1) c_k m_{n-k}.

    Examples
    --------
    >>> moments_to_classical_cumulants([1, 2, 5, 15])  # the Poisson law
    [1, 1, 1, 1]
    """

    def convert(m: Sequence[Any]) -> list[Any]:
        out: list[Any] = []
        for n, moment in enumerate(m, 1):
            known = (math.comb(n - 1, k - 1) * (c * m[n - k - 1]) for k, c in enumerate(out, 1))
            out.append(lowest_terms(moment - sum(known)))
        return out

    return graded(convert, m)


@in_lowest_terms
def classical_cumulants_to_moments(c: Sequence[Any]) -> list[Any]:
    """Moments m_1 … m_n from the classical cumulants.

    Examples
    --------
    >>> classical_cumulants_to_moments([0, 1, 0, 0])  # the normal law
    [0, 1, 0, 3]
    """

    def convert(c: Sequence[Any]) -> list[Any]:
        out: list[Any] = [1]
        for n in range(1, len(c) + 1):
            terms = (math.comb(n - 1, k - 1) * (c[k - 1] * out[n - k]) for k in range(1, n + 1))
            out.append(lowest_terms(sum(terms)))
        return out[1:]

    return graded(convert, c)


@in_lowest_terms
def moments_to_rectangular_cumulants(m: Sequence[Any], ratio: Any) -> list[Any]:
    """Rectangular cumulants r_1 … r_n from the moments of the squared singular values.

    r_k = (1/k) [x^{k-1}] ψ'(x) ((1 + ψ)(1 + ratio ψ))^{-k} (Lagrange).

    Examples
    --------
    >>> moments_to_rectangular_cumulants([1, 2, 5, 14], 1)  # Gaussian matrices
    [1, 0, 0, 0]
    """
    return _rectangular_graded(m, ratio, -1)


@in_lowest_terms
def rectangular_cumulants_to_moments(r: Sequence[Any], ratio: Any) -> list[Any]:
    """Moments m_1 … m_n from the rectangular cumulants: m_k = (1/k) [h^{k-1}] C'(h) ((1 + C)(1 + ratio C))^k.

    Examples
    --------
    >>> rectangular_cumulants_to_moments([1, 0, 0, 0], 1)
    [1, 2, 5, 14]
    """
    return _rectangular_graded(r, ratio, 1)


def _rectangular_graded(values: Sequence[Any], ratio: Any, sign: int) -> list[Any]:
    if not isinstance(ratio, int | Fraction):
        return _rectangular(values, ratio, sign)  # whole numbers do not stay whole
    return graded(lambda whole: _rectangular(whole, ratio, sign), values, divisor=int(ratio.denominator))


def _rectangular(values: Sequence[Any], ratio: Any, sign: int) -> list[Any]:
    scaled = [_exact_product(ratio, value) for value in values]
    factor = multiply([1, *values], [1, *scaled])
    slope = [k * value for k, value in enumerate(values, 1)]
    out = []
    for k in range(1, len(values) + 1):
        powers = power(factor[:k], sign * k)
        out.append(divide(sum((slope[j] * powers[k - 1 - j] for j in range(k)), 0), k))
    return out


def _exact_product(ratio: Any, value: Any) -> Any:
    """Ratio * value, an integer where it is one."""
    if isinstance(ratio, int | Fraction) and isinstance(value, int):
        whole, rest = divmod(value * ratio.numerator, ratio.denominator)
        if rest == 0:
            return whole
    return ratio * value


@in_lowest_terms
def moments_to_s_series(m: Sequence[Any]) -> list[Any]:
    """Coefficients s_0 … s_{n-1} of S(m) from the moments m_1 … m_n: s_0 = 1/m_1.

    Raises
    ------
    ValueError
        If m_1 is 0: the law then has no S-transform that is a power series (see `moments_to_centred_s_series`).

    Examples
    --------
    >>> [int(s) for s in moments_to_s_series([1, 2, 5, 14])]  # Marchenko-Pastur of ratio 1: S = 1/(1+m)
    [1, -1, 1, -1]
    """
    if not m:
        return []
    if m[0] == 0:
        raise ValueError(
            "m[0]=0: the S-transform of a law of mean 0 is no power series in m; use moments_to_centred_s_series"
        )
    d, scaled = 1, list(m)
    rational = all(isinstance(v, int | Fraction) for v in m)
    if rational:
        # mean 1 and integers: the k-th moment times d^(k-1), see `graded`
        d, scaled = integer_grading([Fraction(v) / m[0] ** k for k, v in enumerate(m, 1)])
    # χ(m)/m by Lagrange; the moments themselves are the series ψ(x)/x.
    quotient = [divide(power(scaled[:n], -n)[n - 1], n) for n in range(1, len(m) + 1)]
    if rational:
        quotient = [q / (m[0] * d**k) for k, q in enumerate(quotient)]
    return multiply([1, 1, *[0] * len(m)], quotient)


@in_lowest_terms
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
    if not all(isinstance(v, int | Fraction) for v in s):
        quotient = multiply([1, 1, *[0] * len(s)], reciprocal(s))
        return [divide(power(quotient[:k], k)[k - 1], k) for k in range(1, len(s) + 1)]
    # mean 1 and integers, see `graded`
    d, scaled = integer_grading([Fraction(v) / s[0] for v in s])
    quotient = multiply([1, d, *[0] * len(s)], power(scaled, -1))
    powers = (power(quotient[:k], k)[k - 1] for k in range(1, len(s) + 1))
    moments = [Fraction(value, k * d ** (k - 1)) / s[0] ** k for k, value in enumerate(powers, 1)]
    return [int(v) for v in moments] if all(isinstance(v, int) for v in s) and s[0] == 1 else moments


@in_lowest_terms
def product_moments(m: Sequence[Any], s: Sequence[Any]) -> list[Any]:
    """Moments of a free product from the moments of one factor, of any mean, and the S-series of the other one.

    ``1/z = x S(ψ(x))`` and ``m = ψ(x)`` with ψ of the first factor, so that m_k = (1/k) [x^{k-1}] ψ'(x) S(ψ(x))^{-k}
    (Lagrange, derived here): no root of the S-transform of a centred law is needed.

    Examples
    --------
    >>> [int(v) for v in product_moments([0, 1, 0, 2], [1, -1, 1, -1])]  # semicircle and Marchenko-Pastur
    [0, 1, 0, 4]
    """
    inner = compose(s, [0, *m[:-1]])
    slope = [k * value for k, value in enumerate(m, 1)]
    out = []
    for k in range(1, len(m) + 1):
        powers = power(inner[:k], -k)
        out.append(divide(lowest_terms(sum((slope[j] * powers[k - 1 - j] for j in range(k)), 0)), k))
    return out


def graded(convert: Callable[[Sequence[Any]], list[Any]], values: Sequence[Any], divisor: int = 1) -> list[Any]:
    """Apply a conversion that is homogeneous of degree k in the k-th entry, on integers where all are rational.

    The gcds of Fraction arithmetic cost ten times the arithmetic; scaling the variable by a number d such that every
    d^k times the k-th entry is an integer avoids them. Integers stay integers. ``divisor`` divides d.
    """
    if not all(isinstance(v, int | Fraction) for v in values):
        return [lowest_terms(v) for v in convert(values)]
    d, whole = integer_grading([0, *(v * divisor**k for k, v in enumerate(values, 1))])
    d *= divisor
    scaled = convert(whole[1:])
    if d == 1:
        return [int(v) if v.denominator == 1 else v for v in scaled]
    return [Fraction(v) / d**k for k, v in enumerate(scaled, 1)]
