"""Operations on laws as operations on their bivariate polynomials, exact over Q and over Q(parameters).

The table of A. Rao and A. Edelman, The Polynomial Method for Random Matrices (Found. Comput. Math. 8, 2008), and what
follows from the same idea. Every function takes and returns `Bivariate`; numbers are int, Fraction or sympy
expressions. Operations that change the variables rationally, and can be undone, keep a polynomial irreducible; the
others eliminate a variable by a resultant, and `physical_factor` picks the factor of the law by its moments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

from rmt import series
from rmt.symbolic.bivariate import Bivariate, physical_factor
from rmt.symbolic.derivation import to_sympy
from rmt.symbolic.exact_coefficients import common_ring
from rmt.symbolic.variable_changes import (
    augment,
    compress,
    free_sum_power,
    inverse,
    moebius,
    moments_of,
    plus_wigner,
    plus_wishart,
    scale,
    series_or_none,
    shift,
    signal_plus_noise,
    times_wishart,
    transpose,
    value_of,
)

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
    "mixture",
    "moebius",
    "plus_cauchy",
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


def free_sum(a: Bivariate, *others: Bivariate) -> Bivariate:
    """Law of the sum of free variables: r-transforms add, one resultant for each pair."""

    def pair(a: Bivariate, b: Bivariate) -> Bivariate:
        def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
            parts = [series.moments_to_free_cumulants(moments_of(x, n, point)) for x in (a, b)]
            return series.free_cumulants_to_moments([x + y for x, y in zip(*parts, strict=True)])

        ring, parameters, _, (p, q) = common_ring([a.to("r"), b.to("r")])
        element = _sum_resultant(ring, p, q)
        return physical_factor(ring, element, "r", parameters, series_or_none((a, b), moments))

    return reduce(pair, others, a)


def free_product(a: Bivariate, *others: Bivariate) -> Bivariate:
    """Law of the product of free variables: s-transforms multiply, one resultant for each pair.

    One factor may be signed, and centred too: its S-transform then is a series in sqrt(y), both signs of which satisfy
    the polynomial.
    """

    def pair(a: Bivariate, b: Bivariate) -> Bivariate:
        def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
            first, second = (moments_of(x, n, point) for x in (a, b))
            if second[0] == 0:
                first, second = second, first
            return series.product_moments(first, series.moments_to_s_series(second))

        ring, parameters, _, (p, q) = common_ring([a.to("s"), b.to("s")])
        degree = ring.degree(q, 0)
        # q at s/w, cleared of w
        q = ring.from_terms({(e[0], e[1], degree - e[0], *e[3:]): c for e, c in ring.terms(q).items()})
        element = ring.resultant(ring.renamed(p, {0: 2}), q, 2)
        return physical_factor(ring, element, "s", parameters, series_or_none((a, b), moments))

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
        power = series.power(series.moments_to_s_series(moments_of(a, n, point)), Fraction(int(t.p), int(t.q)))
        return series.s_series_to_moments(power)

    return physical_factor(ring, element, "s", a.parameters, series_or_none((a,), moments))


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
        c = value_of(share, point)
        return [c * x + (1 - c) * y for x, y in zip(moments_of(a, n, point), moments_of(b, n, point), strict=True)]

    ring, parameters, (c,), (p, q) = common_ring([a.to("m"), b.to("m")], [share])
    m, z, w, one = ring.gens[0], ring.gens[1], ring.gens[2], ring.constant(1)
    q = ring.substitute(q, (m * c[1] - c[0] * w, c[1] - c[0]), (z, one))
    element = ring.resultant(ring.renamed(p, {0: 2}), q, 2)
    return physical_factor(ring, element, "m", parameters, series_or_none((a, b), moments))


def square(a: Bivariate) -> Bivariate:
    """Law of X²: G(x²) = (g(x) - g(-x))/2x with g that of X."""

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        return moments_of(a, 2 * n, point)[1::2]

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
    return physical_factor(ring, element, "m", a.parameters, series_or_none((a,), moments))


def symmetrize(a: Bivariate) -> Bivariate:
    """Law of ±X, each sign with probability 1/2."""
    return block(a, scale(a, -1), Fraction(1, 2))


def symmetric_root(a: Bivariate) -> Bivariate:
    """Law of ±sqrt(X), X >= 0: G(z) = z g(z²)."""

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        inner = moments_of(a, max(1, n // 2), point)
        return [0 if k % 2 else inner[k // 2 - 1] for k in range(1, n + 1)]

    source, ring = a.to("m"), a.ring
    m, z, one = ring.gens[0], ring.gens[1], ring.constant(1)
    element = ring.substitute(source.element, (m, z), (z * z, one))
    return physical_factor(ring, element, "m", a.parameters, series_or_none((a,), moments))


def rectangular_sum(a: Bivariate, b: Bivariate, ratio: Any) -> Bivariate:
    """Law of (A + B)(A + B)ᵀ from those of A Aᵀ and B Bᵀ, p×n and bi-invariant, ratio = p/n.

    psi = zG - 1 as a function of h = (1 + psi)(1 + ratio psi)/z adds (Benaych-Georges, Rectangular random matrices,
    related convolution, 2009).
    """

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        c = value_of(ratio, point)
        parts = [series.moments_to_rectangular_cumulants(moments_of(x, n, point), c) for x in (a, b)]
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
    return physical_factor(ring, back, "m", parameters, series_or_none((a, b), moments))


def residual_sum(branch: Bivariate, skip: Any) -> Bivariate:
    """Law of |a O + Y|² from that of Y Yᵀ, Y bi-invariant, a = skip.

    In s and y: the branch at its own moment transform w, where t = y (1 + y) s = w (1 + w) s_Y(w) and
    (y - w)(y - w + 1) = a² t.
    """

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        a = value_of(skip, point)
        parts = [
            series.moments_to_rectangular_cumulants(x, 1)
            for x in ([a ** (2 * k) for k in range(1, n + 1)], moments_of(branch, n, point))
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
        ring, ring.resultant(at_w, link, 2), "s", parameters, series_or_none((branch,), moments)
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


def free_poisson(jump: Bivariate, rate: Any) -> Bivariate:
    """Free compound Poisson law, cumulants rate E J^n: r(g) = rate psi_J(1/g)/g."""

    # the jump's m and z, at z = 1/g: psi = r g/rate, m = -(1 + psi)/z
    def change(r: Any, g: Any, e: Any, t: Fractional) -> tuple[Fractional, Fractional]:
        return (-g * (t[0] + r * g * t[1]), t[0]), (e, g)

    ring, parameters, (t,), (element,) = common_ring([jump.to("m")], [rate])
    r, g, one = ring.gens[0], ring.gens[1], ring.constant(1)
    element = ring.without(ring.substitute(element, *change(r, g, one, t)), g)

    def moments(n: int, point: Mapping[Any, Fraction] | None) -> Moments:
        return series.free_cumulants_to_moments([value_of(rate, point) * x for x in moments_of(jump, n, point)])

    return physical_factor(ring, element, "r", parameters, None if jump.seeds is None else moments)


def _sum_resultant(ring: Any, p: Any, q: Any) -> Any:
    """The polynomial of u + u' at equal v, by elimination of u."""
    u, v, w = ring.gens[:3]
    shifted = ring.compose(q, (u - w, v, w, ring.gens[3], *ring.gens[4:]))
    return ring.resultant(ring.renamed(p, {0: 2}), shifted, 2)
