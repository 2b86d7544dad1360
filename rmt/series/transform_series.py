"""The transforms of a law as exact power series, from its moments and back; S-transforms of centred laws.

A law enters by its moments m_1 … m_n and a transform by the list of its coefficients, both ways without loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from rmt.series.cumulants import (
    boolean_cumulants_to_moments,
    classical_cumulants_to_moments,
    free_cumulants_to_moments,
    graded,
    moments_to_boolean_cumulants,
    moments_to_classical_cumulants,
    moments_to_free_cumulants,
    moments_to_s_series,
    s_series_to_moments,
)
from rmt.series.monotone import moments_to_monotone_cumulants, monotone_cumulants_to_moments
from rmt.series.power_series import divide, in_lowest_terms, multiply, power, reciprocal, reversion

__all__ = [
    "centred_s_series_to_moments",
    "convert_cumulants",
    "moments_to_centred_s_series",
    "moments_to_transform",
    "multiply_centred_s_series",
    "transform_to_moments",
]

_Conversion = Callable[[Sequence[Any]], list[Any]]


def _without(lead: int, inverse: _Conversion) -> _Conversion:
    return lambda a: inverse(a[lead:])


def _divided(values: Sequence[Any], sign: int = 1) -> list[Any]:
    return [0, *(divide(sign * v, k) for k, v in enumerate(values, 1))]


def _multiplied(values: Sequence[Any], sign: int = 1) -> list[Any]:
    return [sign * k * v for k, v in enumerate(values)][1:]


def _chi_to_moments(a: Sequence[Any]) -> list[Any]:
    return reversion(a)[1:]


# kind -> (from moments, to moments)
_TRANSFORMS: dict[str, tuple[_Conversion, _Conversion]] = {
    "cauchy": (lambda m: [0, 1, *m], _without(2, list)),
    "psi": (lambda m: [0, *m], _without(1, list)),
    "eta": (lambda m: [0, *moments_to_boolean_cumulants(m)], _without(1, boolean_cumulants_to_moments)),
    "self_energy": (moments_to_boolean_cumulants, boolean_cumulants_to_moments),
    "log_potential": (lambda m: _divided(m, -1), lambda a: _multiplied(a, -1)),
    "chi": (lambda m: reversion([0, *m]), _chi_to_moments),
    "s": (moments_to_s_series, s_series_to_moments),
    "t": (lambda m: reciprocal(moments_to_s_series(m)), lambda a: s_series_to_moments(reciprocal(a))),
    "r": (moments_to_free_cumulants, free_cumulants_to_moments),
    "free_energy": (
        lambda m: _divided(moments_to_free_cumulants(m)),
        lambda a: free_cumulants_to_moments(_multiplied(a)),
    ),
}


def moments_to_transform(m: Sequence[Any], kind: str) -> list[Any]:
    """Coefficients, in increasing order, of a transform of the law with moments m_1 … m_n.

    ================= ================================================ ========= ======================
    kind              transform                                        variable  first coefficients
    ================= ================================================ ========= ======================
    ``cauchy``        G(z) = E 1/(z - X)                               1/z       0, 1, m_1, m_2, …
    ``psi``           m = z G(z) - 1                                   1/z       0, m_1, m_2, …
    ``eta``           m/(1 + m)                                        1/z       0, b_1, b_2, …
    ``self_energy``   Boolean K(z) = z - 1/G(z)                        1/z       b_1, b_2, …
    ``log_potential`` E log(1 - X/z)                                   1/z       0, -m_1, -m_2/2, …
    ``chi``           1/z, the inverse of psi                          m         0, 1/m_1, …
    ``s``             S(m) = (1 + m)/(m z)                             m         1/m_1, …
    ``t``             T(m) = 1/S(m)                                    m         m_1, …
    ``r``             R(g) = z - 1/g at G(z) = g                       g         κ_1, κ_2, …
    ``free_energy``   integral of R from 0 to g                        g         0, κ_1, κ_2/2, …
    ================= ================================================ ========= ======================

    b are the Boolean, κ the free cumulants. The integral of R is the limit of (1/N) log of the rank-one
    Harish-Chandra–Itzykson–Zuber integral E exp(N g u*Au), u uniform on the complex unit sphere (Guionnet, Maïda,
    arXiv:math/0406121).

    Raises
    ------
    ValueError
        For another kind; for chi, s and t of a law of mean 0 (see `moments_to_centred_s_series`).

    Examples
    --------
    >>> moments_to_transform([0, 1, 0, 2], "r"), moments_to_transform([0, 1, 0, 2], "eta")
    ([0, 1, 0, 0], [0, 0, 1, 0, 1])
    """
    return _chosen(kind, _TRANSFORMS, "kind")[0](m)


def transform_to_moments(coefficients: Sequence[Any], kind: str) -> list[Any]:
    """Moments of the law with the given transform: the inverse of `moments_to_transform`.

    Raises
    ------
    ValueError
        For another kind; if a coefficient that must not vanish does.

    Examples
    --------
    >>> transform_to_moments([1, 1, 1], "r")
    [1, 2, 5]
    """
    return _chosen(kind, _TRANSFORMS, "kind")[1](coefficients)


_CUMULANTS: dict[str, tuple[_Conversion, _Conversion]] = {
    "moments": (list, list),
    "free": (moments_to_free_cumulants, free_cumulants_to_moments),
    "boolean": (moments_to_boolean_cumulants, boolean_cumulants_to_moments),
    "classical": (moments_to_classical_cumulants, classical_cumulants_to_moments),
    "monotone": (moments_to_monotone_cumulants, monotone_cumulants_to_moments),
}


def convert_cumulants(values: Sequence[Any], source: str, target: str) -> list[Any]:
    """Cumulants of one kind from those of another; the kinds are free, boolean, classical, monotone, and moments.

    Between free and Boolean by one Lagrange inversion, ``b_n = [x^n] C(x)^(n-1)/(n-1)`` with C = 1 + Σ κ_n x^n and
    ``κ_n = -[x^n] (1 - B(x))^(n-1)/(n-1)`` with B = Σ b_n x^n (derived here); otherwise through the moments. The law
    whose free cumulants are the Boolean (classical) ones of another is its Bercovici–Pata image.

    Raises
    ------
    ValueError
        For another kind.

    Examples
    --------
    >>> convert_cumulants([0, 1, 0, 0], "free", "boolean")  # the semicircle law
    [0, 1, 0, 1]
    """
    out = _chosen(source, _CUMULANTS, "source")[1]
    into = _chosen(target, _CUMULANTS, "target")[0]
    if source == target:
        return list(values)
    if {source, target} == {"free", "boolean"}:
        return _free_and_boolean(values, 1 if source == "free" else -1)
    return into(out(values))


@in_lowest_terms
def _free_and_boolean(values: Sequence[Any], sign: int) -> list[Any]:
    def convert(values: Sequence[Any]) -> list[Any]:
        series = [1, *(sign * v for v in values)]
        return [*values[:1], *(divide(sign * power(series[: n + 1], n - 1)[n], n - 1) for n in range(2, len(series)))]

    return graded(convert, values)


@in_lowest_terms
def moments_to_centred_s_series(m: Sequence[Any]) -> list[Any]:
    """S of a law of mean 0 as a Puiseux series: coefficients s_0 … s_(n-2) of ``S(m) = (1/w) Σ s_k w^k``.

    With ``w = sqrt(m/m_2)`` every coefficient lies in the field of the moments, and s_0 = 1/m_2. The other root,
    w -> -w, is the other branch of S (Rao, Speicher, arXiv:0706.0323); both give the same law.

    Raises
    ------
    ValueError
        If m_1 is not 0 or m_2 is 0.

    Examples
    --------
    >>> [int(s) for s in moments_to_centred_s_series([0, 1, 0, 2, 0, 5])]  # semicircle: S = 1/sqrt(m)
    [1, 0, 0, 0, 0]
    """
    if len(m) < 2:
        return []
    if m[0] != 0:
        raise ValueError(f"m[0]={m[0]}: the mean is not 0, so that S is a power series; use moments_to_s_series")
    if m[1] == 0:
        raise ValueError("m[1]=0: the law is the point mass at 0 and has no S-transform")
    # w = x sqrt(1 + m_3 x/m_2 + …) with x = 1/z; S = (1 + m) x(w)/m
    root = power([divide(v, m[1]) for v in m[1:]], Fraction(1, 2))
    position = reversion([0, *root])[1:]
    return [divide(s, m[1]) for s in multiply([1, 0, m[1], *[0] * len(m)], position)]


@in_lowest_terms
def centred_s_series_to_moments(s: Sequence[Any]) -> list[Any]:
    """Moments m_1 = 0, m_2 … m_n from the coefficients s_0 … s_(n-2) of `moments_to_centred_s_series`.

    Raises
    ------
    ValueError
        If s_0 is 0.

    Examples
    --------
    >>> [int(m) for m in centred_s_series_to_moments([1, 0, 0, 0, 0])]
    [0, 1, 0, 2, 0, 5]
    """
    if not s:
        return []
    if s[0] == 0:
        raise ValueError("s[0]=0: it is 1/variance; give the coefficients of w S in increasing powers of w")
    variance = divide(1, s[0])
    position = multiply([variance * c for c in s], reciprocal([1, 0, variance, *[0] * len(s)]))
    root = reversion([0, *position])[1:]
    return [0, *(variance * c for c in multiply(root, root))]


@in_lowest_terms
def multiply_centred_s_series(s: Sequence[Any], t: Sequence[Any]) -> list[Any]:
    """S of the free product of a centred law with one on [0, oo), from the series of either S in its own variable.

    S(m) T(m) with m = w²/s_0, rewritten in ``w t_0``, the square root of m over the product's variance.

    Examples
    --------
    >>> s, t = [1, 0, 0, 0], [1, -1, 1, -1]
    >>> [int(m) for m in centred_s_series_to_moments(multiply_centred_s_series(s, t))]  # semicircle, Marchenko–Pastur
    [0, 1, 0, 4, 0]
    """
    inner = [x for k, c in enumerate(t) for x in (divide(c, s[0] ** k), 0)]
    product = multiply(s, inner)
    return [c * t[0] * divide(1, t[0] ** k) for k, c in enumerate(product)]


def _chosen(kind: str, table: dict[str, tuple[_Conversion, _Conversion]], name: str) -> tuple[_Conversion, _Conversion]:
    if kind not in table:
        raise ValueError(f"{name}={kind!r}: expected one of {', '.join(table)}")
    return table[kind]
