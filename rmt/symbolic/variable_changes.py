"""Operations that change the variables of a bivariate polynomial rationally, and so keep it irreducible.

The rows without elimination of the table of A. Rao and A. Edelman, The Polynomial Method for Random Matrices (Found.
Comput. Math. 8, 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from rmt import series
from rmt.symbolic.algebraic_density import BranchWalk
from rmt.symbolic.bivariate import Bivariate, Series, physical_factor
from rmt.symbolic.derivation import to_sympy
from rmt.symbolic.exact_coefficients import common_ring

__all__ = [
    "augment",
    "changed",
    "compress",
    "free_sum_power",
    "inverse",
    "moebius",
    "moments_of",
    "plus_wigner",
    "plus_wishart",
    "scale",
    "series_or_none",
    "shift",
    "signal_plus_noise",
    "times_wishart",
    "transpose",
    "value_of",
]

Fractional = tuple[Any, Any]
Moments = list[Any]


def shift(a: Bivariate, by: Any) -> Bivariate:
    """Law of X + by: z -> z - by."""

    def moments(inner: Moments, b: Any) -> Moments:
        return _affine_moments(inner, 1, b)

    return changed(a, "m", lambda m, z, e, b: ((m, e), (z * b[1] - b[0], b[1])), moments, by)


def scale(a: Bivariate, factor: Any) -> Bivariate:
    """Law of factor X, factor not 0: m -> factor m, z -> z/factor.

    Raises
    ------
    ValueError
        If the factor is 0.
    """
    if factor == 0:
        raise ValueError("factor=0: the law would be the point mass at 0, which needs no polynomial")

    def moments(inner: Moments, f: Any) -> Moments:
        return _affine_moments(inner, f, 0)

    return changed(a, "m", lambda m, z, e, f: ((m * f[0], f[1]), (z * f[1], f[0])), moments, factor)


def inverse(a: Bivariate) -> Bivariate:
    """Law of 1/X for X without atom at 0: m -> -z - z² m, z -> 1/z.

    Where 0 belongs to the support the result has no power series at infinity, and its branch is left open. With
    symbols the law is taken to have no atom at 0.

    Raises
    ------
    ValueError
        If the law has an atom at 0.
    """
    ring, z = a.ring, a.ring.gens[1]
    one = ring.constant(1)
    source = a.to("m")
    element = ring.substitute(source.element, (-z - z * z * ring.gens[0], one), (one, z))
    found = physical_factor(ring, ring.without_monomials(element, (0, 1)), "m", a.parameters, None)
    if a.parameters or a.seeds is None:
        return found if a.seeds is not None else replace(found, seeds=None)
    walk = BranchWalk(source)
    terms = {e[:2]: c for e, c in ring.terms(source.element).items()}
    if _has_atom_at_zero(walk, terms):
        raise ValueError(f"inverse of {a!r}: it has an atom at 0, where 1/x is infinite; take the other part first")
    if found.seeds is not None:
        # one branch only is finite at z = 0: it may be another one than the law's
        root = -Fraction(terms.get((0, 0), 0), terms[1, 0])
        found = found if walk.passes(complex(root), 0.0) else replace(found, seeds=None)
    return found


def _has_atom_at_zero(walk: BranchWalk, terms: Mapping[tuple[int, ...], int]) -> bool:
    """Whether zG has a limit other than 0 at z = 0: the limits of all branches are the zeros of a polynomial."""
    lowest = min(j - i for i, j in terms)
    limits = {i: (-1) ** i * c for (i, j), c in terms.items() if j - i == lowest}
    masses = [r for r in np.roots([float(limits.get(i, 0)) for i in range(max(limits), -1, -1)]) if abs(r) > 1e-9]
    if not masses:
        return False
    z = 1e-12j
    here = z * walk.value(z)[0]
    return bool(min(abs(here - r) for r in masses) < abs(here) / 2)


def moebius(a: Bivariate, p: Any, q: Any, r: Any, s: Any) -> Bivariate:
    """Law of (pX + q)/(rX + s): a shift, an inverse and a shift again.

    Raises
    ------
    ValueError
        If ps - qr = 0, where the map is constant.
    """
    p, q, r, s = (to_sympy(x) for x in (p, q, r, s))
    determinant = (p * s - q * r).expand()
    if determinant == 0:
        raise ValueError(f"p s - q r = 0 for p={p}, q={q}, r={r}, s={s}: the map is constant")
    if r == 0:
        return shift(scale(a, p / s), q / s)
    return shift(scale(inverse(shift(scale(a, r), s)), -determinant / r), p / r)


def transpose(a: Bivariate, ratio: Any) -> Bivariate:
    """Law of Xᵀ X (n×n) from that of X Xᵀ (p×p), ratio = p/n: G -> ratio G + (1 - ratio)/z."""

    def moments(inner: Moments, c: Any) -> Moments:
        return [c * x for x in inner]

    return changed(a, "m", lambda m, z, e, c: ((m * z * c[1] + (c[1] - c[0]), c[0] * z), (z, e)), moments, ratio)


def augment(a: Bivariate, share: Any, at: Any = 0) -> Bivariate:
    """Law of a matrix whose block of relative size share has the law and whose other eigenvalues are all `at`.

    G -> share G + (1 - share)/(z - at).
    """

    def change(m: Any, z: Any, e: Any, c: Fractional, x: Fractional) -> tuple[Fractional, Fractional]:
        there = z * x[1] - x[0]
        return (m * there * c[1] + (c[1] - c[0]) * x[1], c[0] * there), (z, e)

    def moments(inner: Moments, c: Any, x: Any) -> Moments:
        return [c * y + (1 - c) * x**k for k, y in enumerate(inner, 1)]

    return changed(a, "m", change, moments, share, at)


def times_wishart(a: Bivariate, ratio: Any) -> Bivariate:
    """Law of A W, W Wishart with the law MarchenkoPastur(ratio): m -> alpha m, z -> z/alpha, alpha = 1-c-c z m."""

    def change(m: Any, z: Any, e: Any, c: Fractional) -> tuple[Fractional, Fractional]:
        alpha = c[1] - c[0] - c[0] * z * m
        return (m * alpha, c[1]), (z * c[1], alpha)

    def moments(inner: Moments, c: Any) -> Moments:
        return series.product_moments(inner, [(-c) ** k for k in range(len(inner))])

    return changed(a, "m", change, moments, ratio)


def plus_wishart(a: Bivariate, ratio: Any) -> Bivariate:
    """Law of A + W, W Wishart with the law MarchenkoPastur(ratio): z -> z - 1/(1 + c m)."""

    def change(m: Any, z: Any, e: Any, c: Fractional) -> tuple[Fractional, Fractional]:
        below = c[1] + c[0] * m
        return (m, e), (z * below - c[1], below)

    def moments(inner: Moments, c: Any) -> Moments:
        return _with_cumulants(inner, lambda k, n: k + c ** (n - 1))

    return changed(a, "m", change, moments, ratio)


def plus_wigner(a: Bivariate, variance: Any) -> Bivariate:
    """Law of A + a Wigner matrix with the law Semicircle(variance): z -> z + variance m."""

    def moments(inner: Moments, s: Any) -> Moments:
        return _with_cumulants(inner, lambda k, n: k + s if n == 2 else k)

    return changed(a, "m", lambda m, z, e, s: ((m, e), (z * s[1] + s[0] * m, s[1])), moments, variance)


def signal_plus_noise(a: Bivariate, ratio: Any, variance: Any) -> Bivariate:
    """Law of (A + sqrt(s) N)(A + sqrt(s) N)ᵀ from that of A Aᵀ, N p×n with entries of variance 1/n, ratio c = p/n.

    With alpha = 1 + s c m: m -> m/alpha, z -> alpha² z + alpha s (c - 1) (Dozier and Silverstein 2007; Rao and
    Edelman's Grammian).
    """

    def change(m: Any, z: Any, e: Any, c: Fractional, s: Fractional) -> tuple[Fractional, Fractional]:
        unit = s[1] * c[1]
        alpha = unit + s[0] * c[0] * m  # times unit
        return (m * unit, alpha), (alpha * alpha * z + alpha * s[0] * (c[0] - c[1]), unit * unit)

    def moments(inner: Moments, c: Any, s: Any) -> Moments:
        cumulants = series.moments_to_rectangular_cumulants(inner, c)
        return series.rectangular_cumulants_to_moments([cumulants[0] + s, *cumulants[1:]], c)

    return changed(a, "m", change, moments, ratio, variance)


def compress(a: Bivariate, ratio: Any) -> Bivariate:
    """Law of the corner of relative size ratio of the randomly rotated matrix: r(g) -> r(ratio g)."""

    def moments(inner: Moments, c: Any) -> Moments:
        return _with_cumulants(inner, lambda k, n: k * c ** (n - 1))

    return changed(a, "r", lambda r, g, e, c: ((r, e), (g * c[0], c[1])), moments, ratio)


def free_sum_power(a: Bivariate, exponent: Any) -> Bivariate:
    """The free sum of `exponent` copies: r -> r/exponent; the exponent may be any number, or a symbol."""

    def moments(inner: Moments, t: Any) -> Moments:
        return _with_cumulants(inner, lambda k, n: t * k)

    return changed(a, "r", lambda r, g, e, t: ((r * t[1], t[0]), (g, e)), moments, exponent)


# --- for all operations ---


def changed(
    a: Bivariate,
    encoding: str,
    change: Callable[..., tuple[Fractional, Fractional]],
    moments: Callable[..., Moments],
    *numbers: Any,
) -> Bivariate:
    """A rational change of variables in an encoding; what it contracts is divided out with the denominators."""
    ring, parameters, scalars, (element,) = common_ring([a.to(encoding)], list(numbers))
    first, second = change(ring.gens[0], ring.gens[1], ring.constant(1), *scalars)
    element = ring.substitute(element, first, second)
    for denominator in (first[1], second[1]):
        for factor, _ in ring.factor(denominator):
            if ring.degree(factor, 0) or ring.degree(factor, 1):
                element = ring.without(element, factor)

    def series_of_result(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        return moments(moments_of(a, n, point), *(value_of(x, point) for x in numbers))

    return physical_factor(ring, element, encoding, parameters, series_or_none((a,), series_of_result))


def moments_of(a: Bivariate, n: int, point: Mapping[Any, Fraction] | None) -> Moments:
    """Moments of a law, at values of the parameters or symbolic."""
    if point is None:
        return [to_sympy(x) for x in a.moments(n)] if a.parameters else a.moments(n)
    return a.at(point).moments(n)


def value_of(number: Any, point: Mapping[Any, Fraction] | None) -> Any:
    """A number of an operation, at values of the parameters or as it is."""
    value = to_sympy(number)
    if point is not None:
        value = value.xreplace({p: to_sympy(x) for p, x in point.items()})
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else value


def series_or_none(laws: Sequence[Bivariate], moments: Series) -> Series | None:
    """The moments of a result, None where a law has none."""
    return None if any(law.seeds is None for law in laws) else moments


def _affine_moments(inner: Moments, a: Any, b: Any) -> Moments:
    full = [1, *inner]
    return [sum(math.comb(k, j) * a**j * full[j] * b ** (k - j) for j in range(k + 1)) for k in range(1, len(full))]


def _with_cumulants(inner: Moments, change: Callable[[Any, int], Any]) -> Moments:
    cumulants = series.moments_to_free_cumulants(inner)
    return series.free_cumulants_to_moments([change(k, n) for n, k in enumerate(cumulants, 1)])
