"""Operations on laws as operations on their bivariate polynomials, exact over Q and over Q(parameters).

The table of A. Rao and A. Edelman, The Polynomial Method for Random Matrices (Found. Comput. Math. 8, 2008), and what
follows from the same idea. Every function takes and returns `Bivariate`; numbers are int, Fraction or sympy
expressions. Operations that change the variables rationally, and can be undone, keep a polynomial irreducible; the
others eliminate a variable by a resultant, and `physical_factor` picks the factor of the law by its moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from rmt import series
from rmt.symbolic.algebraic_density import BranchWalk
from rmt.symbolic.bivariate import Bivariate, Series, common_ring, physical_factor
from rmt.symbolic.derivation import to_sympy

__all__ = [
    "augment",
    "block",
    "compress",
    "correlated_wishart",
    "free_poisson",
    "free_power",
    "free_product",
    "free_sum",
    "free_sum_power",
    "inverse",
    "plus_cauchy",
    "mixture",
    "moebius",
    "plus_wigner",
    "plus_wishart",
    "rectangular_sum",
    "residual_sum",
    "scale",
    "shift",
    "signal_plus_noise",
    "square",
    "symmetric_root",
    "symmetrize",
    "times_wishart",
    "transpose",
]

Fractional = tuple[Any, Any]
Moments = list[Any]


# --- rational changes of variables ---------------------------------------------------------------------------------------


def shift(a: Bivariate, by: Any) -> Bivariate:
    """Law of X + by: z -> z - by."""

    def moments(inner: Moments, b: Any) -> Moments:
        return _affine_moments(inner, 1, b)

    return _changed(a, "m", lambda m, z, e, b: ((m, e), (z * b[1] - b[0], b[1])), moments, by)


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

    return _changed(a, "m", lambda m, z, e, f: ((m * f[0], f[1]), (z * f[1], f[0])), moments, factor)


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
        raise ValueError(f"inverse of {a!r}: it has an atom at 0, where 1/x is infinite; take the part away from 0 first")
    if found.seeds is not None:
        # one branch only is finite at z = 0: it may be another one than the law's
        root = -Fraction(terms.get((0, 0), 0), terms[1, 0])
        found = found if walk.passes(complex(root), 0.0) else replace(found, seeds=None)
    return found


def _has_atom_at_zero(walk: BranchWalk, terms: Mapping[tuple[int, int], int]) -> bool:
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

    return _changed(a, "m", lambda m, z, e, c: ((m * z * c[1] + (c[1] - c[0]), c[0] * z), (z, e)), moments, ratio)


def augment(a: Bivariate, share: Any, at: Any = 0) -> Bivariate:
    """Law of a matrix whose block of relative size share has the law and whose other eigenvalues are all `at`.

    G -> share G + (1 - share)/(z - at).
    """

    def change(m: Any, z: Any, e: Any, c: Fractional, x: Fractional) -> tuple[Fractional, Fractional]:
        there = z * x[1] - x[0]
        return (m * there * c[1] + (c[1] - c[0]) * x[1], c[0] * there), (z, e)

    def moments(inner: Moments, c: Any, x: Any) -> Moments:
        return [c * y + (1 - c) * x**k for k, y in enumerate(inner, 1)]

    return _changed(a, "m", change, moments, share, at)


def times_wishart(a: Bivariate, ratio: Any) -> Bivariate:
    """Law of A W, W Wishart with the law MarchenkoPastur(ratio): m -> alpha m, z -> z/alpha, alpha = 1-c-c z m."""

    def change(m: Any, z: Any, e: Any, c: Fractional) -> tuple[Fractional, Fractional]:
        alpha = c[1] - c[0] - c[0] * z * m
        return (m * alpha, c[1]), (z * c[1], alpha)

    def moments(inner: Moments, c: Any) -> Moments:
        return series.product_moments(inner, [(-c) ** k for k in range(len(inner))])

    return _changed(a, "m", change, moments, ratio)


def plus_wishart(a: Bivariate, ratio: Any) -> Bivariate:
    """Law of A + W, W Wishart with the law MarchenkoPastur(ratio): z -> z - 1/(1 + c m)."""

    def change(m: Any, z: Any, e: Any, c: Fractional) -> tuple[Fractional, Fractional]:
        below = c[1] + c[0] * m
        return (m, e), (z * below - c[1], below)

    def moments(inner: Moments, c: Any) -> Moments:
        return _with_cumulants(inner, lambda k, n: k + c ** (n - 1))

    return _changed(a, "m", change, moments, ratio)


def plus_wigner(a: Bivariate, variance: Any) -> Bivariate:
    """Law of A + a Wigner matrix with the law Semicircle(variance): z -> z + variance m."""

    def moments(inner: Moments, s: Any) -> Moments:
        return _with_cumulants(inner, lambda k, n: k + s if n == 2 else k)

    return _changed(a, "m", lambda m, z, e, s: ((m, e), (z * s[1] + s[0] * m, s[1])), moments, variance)


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

    return _changed(a, "m", change, moments, ratio, variance)


def compress(a: Bivariate, ratio: Any) -> Bivariate:
    """Law of the corner of relative size ratio of the randomly rotated matrix: r(g) -> r(ratio g)."""

    def moments(inner: Moments, c: Any) -> Moments:
        return _with_cumulants(inner, lambda k, n: k * c ** (n - 1))

    return _changed(a, "r", lambda r, g, e, c: ((r, e), (g * c[0], c[1])), moments, ratio)


def free_sum_power(a: Bivariate, exponent: Any) -> Bivariate:
    """The free sum of `exponent` copies: r -> r/exponent; the exponent may be any number, or a symbol."""

    def moments(inner: Moments, t: Any) -> Moments:
        return _with_cumulants(inner, lambda k, n: t * k)

    return _changed(a, "r", lambda r, g, e, t: ((r * t[1], t[0]), (g, e)), moments, exponent)


def free_poisson(jump: Bivariate, rate: Any) -> Bivariate:
    """Free compound Poisson law, cumulants rate E J^n: r(g) = rate psi_J(1/g)/g."""

    # the jump's m and z, at z = 1/g: psi = r g/rate, m = -(1 + psi)/z
    def change(r: Any, g: Any, e: Any, t: Fractional) -> tuple[Fractional, Fractional]:
        return (-g * (t[0] + r * g * t[1]), t[0]), (e, g)

    ring, parameters, (t,), (element,) = common_ring([jump.to("m")], [rate])
    r, g, one = ring.gens[0], ring.gens[1], ring.constant(1)
    element = ring.without(ring.substitute(element, *change(r, g, one, t)), g)

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        return series.free_cumulants_to_moments([_value(rate, point) * x for x in _moments(jump, n, point)])

    return physical_factor(ring, element, "r", parameters, None if jump.seeds is None else moments)


# --- eliminations --------------------------------------------------------------------------------------------------------


def free_sum(a: Bivariate, *others: Bivariate) -> Bivariate:
    """Law of the sum of free variables: r-transforms add, one resultant for each pair."""

    def pair(a: Bivariate, b: Bivariate) -> Bivariate:
        def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
            parts = [series.moments_to_free_cumulants(_moments(x, n, point)) for x in (a, b)]
            return series.free_cumulants_to_moments([x + y for x, y in zip(*parts, strict=True)])

        ring, parameters, _, (p, q) = common_ring([a.to("r"), b.to("r")])
        element = _sum_resultant(ring, p, q)
        return physical_factor(ring, element, "r", parameters, _series_or_none((a, b), moments))

    return reduce(pair, others, a)


def free_product(a: Bivariate, *others: Bivariate) -> Bivariate:
    """Law of the product of free variables: s-transforms multiply, one resultant for each pair.

    One factor may be signed, and centred too: its S-transform then is a series in sqrt(y), both signs of which satisfy
    the polynomial.
    """

    def pair(a: Bivariate, b: Bivariate) -> Bivariate:
        def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
            first, second = (_moments(x, n, point) for x in (a, b))
            if second[0] == 0:
                first, second = second, first
            return series.product_moments(first, series.moments_to_s_series(second))

        ring, parameters, _, (p, q) = common_ring([a.to("s"), b.to("s")])
        degree = ring.degree(q, 0)
        # q at s/w, cleared of w
        q = ring.from_terms({(e[0], e[1], degree - e[0], *e[3:]): c for e, c in ring.terms(q).items()})
        element = ring.resultant(ring.renamed(p, {0: 2}), q, 2)
        return physical_factor(ring, element, "s", parameters, _series_or_none((a, b), moments))

    return reduce(pair, others, a)


def free_power(a: Bivariate, exponent: Any) -> Bivariate:
    """The free product of `exponent` copies, a positive rational number p/q: s -> s^(p/q).

    The power is taken in the field of the law's own S-transform, by one resultant of its polynomial with s^q - w^p:
    the degree in s stays that of the law, whatever the exponent. Pairwise products of equal laws would multiply it.

    Raises
    ------
    ValueError
        If the exponent is not a positive rational number.
    """
    t = to_sympy(exponent)
    if not (t.is_Rational and t > 0):
        raise ValueError(f"exponent={exponent!r}: expected a positive rational number; other powers are not algebraic")
    mean = a.moments(1)[0] if not t.is_Integer and a.seeds is not None else 1
    if mean != 1:  # the power of the mean may be irrational, that of the law of mean 1 is not
        return scale(free_power(scale(a, 1 / to_sympy(mean)), t), to_sympy(mean) ** t)
    source = a.to("s")
    ring, s, w = a.ring, a.ring.gens[0], a.ring.gens[2]
    element = ring.resultant(ring.renamed(source.element, {0: 2}), s ** int(t.q) - w ** int(t.p), 2)

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        power = series.power(series.moments_to_s_series(_moments(a, n, point)), Fraction(int(t.p), int(t.q)))
        return series.s_series_to_moments(power)

    return physical_factor(ring, element, "s", a.parameters, _series_or_none((a,), moments))


def mixture(parts: Sequence[tuple[Bivariate, Any]]) -> Bivariate:
    """Law of a block-diagonal matrix, (law, share) for each block: G is the mean of the laws' G."""

    def pair(first: tuple[Bivariate, Any], second: tuple[Bivariate, Any]) -> tuple[Bivariate, Any]:
        (a, p), (b, q) = first, second
        total = to_sympy(p) + to_sympy(q)
        return block(a, b, (to_sympy(p) / total).cancel()), total.cancel()

    return reduce(pair, parts)[0]


def block(a: Bivariate, b: Bivariate, share: Any) -> Bivariate:
    """Law of the matrix with two blocks, of laws a and b, a's of relative size share."""

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        c = _value(share, point)
        return [c * x + (1 - c) * y for x, y in zip(_moments(a, n, point), _moments(b, n, point), strict=True)]

    ring, parameters, (c,), (p, q) = common_ring([a.to("m"), b.to("m")], [share])
    m, z, w, one = ring.gens[0], ring.gens[1], ring.gens[2], ring.constant(1)
    q = ring.substitute(q, (m * c[1] - c[0] * w, c[1] - c[0]), (z, one))
    element = ring.resultant(ring.renamed(p, {0: 2}), q, 2)
    return physical_factor(ring, element, "m", parameters, _series_or_none((a, b), moments))


def square(a: Bivariate) -> Bivariate:
    """Law of X²: G(x²) = (g(x) - g(-x))/2x with g that of X."""

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        return _moments(a, 2 * n, point)[1::2]

    source = a.to("m")
    ring = a.ring
    m, z, w, t, one = *ring.gens[:4], ring.constant(1)
    mirrored = ring.substitute(source.element, (-m, one), (-z, one))
    if ring.terms(mirrored).keys() == ring.terms(source.element).keys() and mirrored in (
        source.element, -source.element
    ):
        # g is odd: G(x²) = g(x)/x, and what is left is even in x
        element = ring.without_monomials(ring.substitute(source.element, (m * z, one), (z, one)), (1,))
        element = ring.from_terms({(e[0], e[1] // 2, *e[2:]): c for e, c in ring.terms(element).items()})
    else:
        # w = -g(-x), t = x
        right = ring.compose(source.element, (2 * t * m + w, t, w, t, *ring.gens[4:]))
        left = ring.compose(source.element, (w, -t, w, t, *ring.gens[4:]))
        in_x = ring.resultant(right, left, 2)
        for factor in (t, m):
            in_x = ring.without(in_x, factor)
        product = ring.constant(1)
        for factor, _ in ring.factor(in_x):
            product = product * factor
        element = ring.resultant(product, z - t * t, 3)
    return physical_factor(ring, element, "m", a.parameters, _series_or_none((a,), moments))


def symmetrize(a: Bivariate) -> Bivariate:
    """Law of ±X, each sign with probability 1/2."""
    return block(a, scale(a, -1), Fraction(1, 2))


def symmetric_root(a: Bivariate) -> Bivariate:
    """Law of ±sqrt(X), X >= 0: G(z) = z g(z²)."""

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        inner = _moments(a, max(1, n // 2), point)
        return [0 if k % 2 else inner[k // 2 - 1] for k in range(1, n + 1)]

    source, ring = a.to("m"), a.ring
    m, z, one = ring.gens[0], ring.gens[1], ring.constant(1)
    element = ring.substitute(source.element, (m, z), (z * z, one))
    return physical_factor(ring, element, "m", a.parameters, _series_or_none((a,), moments))


def rectangular_sum(a: Bivariate, b: Bivariate, ratio: Any) -> Bivariate:
    """Law of (A + B)(A + B)ᵀ from those of A Aᵀ and B Bᵀ, p×n and bi-invariant, ratio = p/n.

    psi = zG - 1 as a function of h = (1 + psi)(1 + ratio psi)/z adds (Benaych-Georges, Rectangular random matrices,
    related convolution, 2009).
    """

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        c = _value(ratio, point)
        parts = [series.moments_to_rectangular_cumulants(_moments(x, n, point), c) for x in (a, b)]
        return series.rectangular_cumulants_to_moments([x + y for x, y in zip(*parts, strict=True)], c)

    ring, parameters, (c,), elements = common_ring([a.to("m"), b.to("m")], [ratio])
    m, z, one = ring.gens[0], ring.gens[1], ring.constant(1)

    def to_h(p: Any) -> Any:
        psi, h = m, z
        # z = (1 + psi)(1 + c psi)/h, m = -(1 + psi)/z
        height = c[1] + c[0] * psi
        p = ring.substitute(p, (-h * c[1], height), ((psi + one) * height, h * c[1]))
        for factor in (h, psi + one, height):
            p = ring.without(p, factor)
        return p

    summed = _sum_resultant(ring, *(to_h(p) for p in elements))
    psi = -z * m - one
    back = ring.substitute(summed, (psi, one), ((psi + one) * (c[1] + c[0] * psi), z * c[1]))
    return physical_factor(ring, back, "m", parameters, _series_or_none((a, b), moments))


def residual_sum(branch: Bivariate, skip: Any) -> Bivariate:
    """Law of |a O + Y|² from that of Y Yᵀ, Y bi-invariant, a = skip.

    In s and y: the branch at its own moment transform w, where t = y (1 + y) s = w (1 + w) s_Y(w) and
    (y - w)(y - w + 1) = a² t.
    """

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        a = _value(skip, point)
        parts = [
            series.moments_to_rectangular_cumulants(x, 1)
            for x in ([a ** (2 * k) for k in range(1, n + 1)], _moments(branch, n, point))
        ]
        return series.rectangular_cumulants_to_moments([x + y for x, y in zip(*parts, strict=True)], 1)

    ring, parameters, (a,), (p,) = common_ring([branch.to("s")], [skip])
    s, y, w, one = *ring.gens[:3], ring.constant(1)
    t = y * (y + one) * s
    at_w = ring.without_monomials(ring.substitute(p, (t, w * (w + one)), (w, one)), (0, 1))
    for factor in (w, w + one, y + one):
        at_w = ring.without(at_w, factor)
    link = (y - w) * (y - w + one) * a[1] ** 2 - a[0] ** 2 * t
    return physical_factor(
        ring, ring.resultant(at_w, link, 2), "s", parameters, _series_or_none((branch,), moments)
    )


def correlated_wishart(a: Bivariate, b: Bivariate, ratio: Any) -> Bivariate:
    """Law of A^(1/2) N B Nᵀ A^(1/2), N p×n with entries of variance 1/n, ratio = p/n: correlated rows and columns."""
    c = to_sympy(ratio)
    return free_product(a, scale(free_poisson(b, 1 / c), c))


def plus_cauchy(a: Bivariate, location: Any, height: Any) -> Bivariate:
    """Law of X + C, C a Cauchy variable of this location and scale: G(z - location + i height) for Im z > 0.

    The polynomial has both that branch and its conjugate; it has no power series at infinity.
    """
    moved = shift(a, location)
    ring, parameters, (h,), (p,) = common_ring([moved.to("m")], [height])
    m, z, w, one = *ring.gens[:3], ring.constant(1)
    # w² = -1
    turned = ring.substitute(p, (m, one), (z * h[1] + h[0] * w, h[1]))
    return physical_factor(ring, ring.resultant(turned, w * w + one, 2), "m", parameters, None)


# --- shared --------------------------------------------------------------------------------------------------------------


def _changed(
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

    def changed(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        return moments(_moments(a, n, point), *(_value(x, point) for x in numbers))

    return physical_factor(ring, element, encoding, parameters, _series_or_none((a,), changed))


def _moments(a: Bivariate, n: int, point: Mapping[Any, Fraction] | None) -> Moments:
    """Moments of a law, at values of the parameters or symbolic."""
    if point is None:
        return [to_sympy(x) for x in a.moments(n)] if a.parameters else a.moments(n)
    return a.at(point).moments(n)


def _value(number: Any, point: Mapping[Any, Fraction] | None) -> Any:
    """A number of an operation, at values of the parameters or as it is."""
    value = to_sympy(number)
    if point is not None:
        value = value.xreplace({p: to_sympy(x) for p, x in point.items()})
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else value


def _series_or_none(laws: Sequence[Bivariate], moments: Series) -> Series | None:
    """The moments of a result, None where a law has none."""
    return None if any(law.seeds is None for law in laws) else moments


def _affine_moments(inner: Moments, a: Any, b: Any) -> Moments:
    full = [1, *inner]
    return [sum(math.comb(k, j) * a**j * full[j] * b ** (k - j) for j in range(k + 1)) for k in range(1, len(full))]


def _with_cumulants(inner: Moments, change: Callable[[Any, int], Any]) -> Moments:
    cumulants = series.moments_to_free_cumulants(inner)
    return series.free_cumulants_to_moments([change(k, n) for n, k in enumerate(cumulants, 1)])


def _sum_resultant(ring: Any, p: Any, q: Any) -> Any:
    """The polynomial of u + u' at equal v, by elimination of u."""
    u, v, w = ring.gens[:3]
    shifted = ring.compose(q, (u - w, v, w, ring.gens[3], *ring.gens[4:]))
    return ring.resultant(ring.renamed(p, {0: 2}), shifted, 2)
