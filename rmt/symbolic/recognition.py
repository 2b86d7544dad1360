"""Named laws recognised from their bivariate polynomials, with exact parameters."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import sympy as sp

from rmt import series
from rmt.algebra.affine import Affine
from rmt.law import Law
from rmt.laws.arcsine import Arcsine
from rmt.laws.discrete import Discrete
from rmt.laws.free_jacobi import FreeJacobi
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.kesten_mckay import KestenMcKay
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.symbolic.bivariate import Bivariate
from rmt.symbolic.derivation import to_sympy
from rmt.symbolic.polynomial import bivariate

__all__ = ["recognise"]

_z = sp.Dummy("z")


def recognise(found: Any) -> Law | None:
    """The named law with this polynomial, or None.

    Known, up to affine maps: point masses (Discrete), Semicircle, MarchenkoPastur, FussCatalan (rational order),
    Arcsine, KestenMcKay, FreeJacobi (Wachter's law). Parameters are read off the coefficients, or off three moments,
    and the law is returned only if its own polynomial is the given one.

    Parameters
    ----------
    found : Bivariate, or sympy expression or Poly in (m, z)
        The polynomial; parameters may be symbols, which are taken to lie where a law exists.

    Returns
    -------
    Law or None
        Point masses and scales of reflected laws may be negative.

    Examples
    --------
    >>> import rmt
    >>> from fractions import Fraction
    >>> wishart = rmt.MarchenkoPastur(Fraction(1, 3))
    >>> recognise(bivariate(rmt.Discrete({0: Fraction(1, 2), 1: Fraction(1, 2)}).compress(Fraction(1, 2))))
    Arcsine(a=0, b=1)
    >>> recognise(bivariate(wishart + wishart))
    Affine(law=MarchenkoPastur(ratio=Fraction(1, 6)), scale=2, shift=0)
    """
    given = found if isinstance(found, Bivariate) else Bivariate.from_expression(found)
    given = given.to("m")
    if given.seeds is None:  # heavy tails: none of these laws has them
        return None
    for law in _candidates(given):
        try:
            own = bivariate(law)
        except NotImplementedError:  # an irrational scale, with branches that its moments do not tell apart
            continue
        if _is_same(own, given):
            return law
    return None


def _candidates(given: Bivariate) -> Iterator[Law]:
    rule = {1: _discrete, 2: _quadratic}.get(given.degrees[0], _fuss_catalan)
    try:
        yield from rule(given)
    except (ArithmeticError, ValueError):  # heavy tails, or parameters outside the range of the law
        return


def _is_same(a: Bivariate, b: Bivariate) -> bool:
    """Equal up to a factor, and on the same branch."""
    p, q = (sp.Poly(x.expression, *x.variables) for x in (a, b))
    if set(p.monoms()) != set(q.monoms()):
        return False
    proportional = all(sp.simplify(x * q.LC() - y * p.LC()) == 0 for x, y in zip(p.coeffs(), q.coeffs(), strict=True))
    n = max(len(a.seeds or ()), len(b.seeds or ()))
    return proportional and all(
        sp.simplify(to_sympy(x) - to_sympy(y)) == 0 for x, y in zip(a.moments(n + 1), b.moments(n + 1), strict=True)
    )


def _coefficients(given: Bivariate) -> list[Any]:
    """Of the powers of m, the highest first, in a symbol that no parameter has."""
    m, z = given.variables
    return list(sp.Poly(given.expression.subs(z, _z), m).all_coeffs())


def _discrete(given: Bivariate) -> Iterator[Law]:
    a, b = _coefficients(given)  # G = b/a
    masses: dict[Any, Any] = {}
    for factor, _ in sp.factor_list(a, _z)[1]:
        poly = sp.Poly(factor, _z)
        if poly.degree() > 2:
            return
        for x in _zeros(poly):
            masses[_number(x)] = _number(sp.simplify((b / sp.diff(a, _z)).subs(_z, x)))
    yield Discrete(masses)


def _quadratic(given: Bivariate) -> Iterator[Law]:
    a, b, c = (sp.Poly(x, _z) for x in _coefficients(given))
    if b.degree() > 1 or c.degree() > 0:
        return
    b1, b0, c0 = b.coeff_monomial(_z), b.coeff_monomial(1), c.as_expr()
    if a.degree() == 0 and b1 == c0:
        yield Semicircle(_number(a.as_expr() / c0), _number(-b0 / c0))
    elif a.degree() == 1 and b1 == c0:
        # c a (z - b) m² + (z - b + a (c - 1)) m + 1 for a X + b, X Marchenko-Pastur of ratio c
        slope = sp.cancel(a.LC() / c0)
        shift = sp.cancel(-a.coeff_monomial(1) / a.LC())
        factor = sp.cancel(slope - shift - b0 / c0)
        yield _affine(MarchenkoPastur(_number(sp.cancel(slope / factor))), factor, shift)
    elif a.degree() == 2:
        yield from _jacobi(a, b0, c0)


def _jacobi(a: Any, b0: Any, c0: Any) -> Iterator[Law]:
    # l s (z - x)(z - x - w) m² + l ((2s - 1)(z - x) + w (t - s)) m + l (s - 1) for w X + x, X free Jacobi of (s, t)
    k = a.LC()
    total = sp.cancel(k - c0)
    first, second = _zeros(a)
    s, width = sp.cancel(k / total), sp.simplify(second - first)
    t = sp.simplify((b0 / total + (2 * s - 1) * first) / width + s)
    half = sp.Rational(1, 2)
    if (s, t) == (half, half):
        yield Arcsine(_number(first), _number(second))
    if t == half and first == -second and sp.simplify(second * s - 1) == 0:
        yield KestenMcKay(_number(1 / s))
    yield _affine(FreeJacobi(_number(s), _number(t)), width, first)


def _fuss_catalan(given: Bivariate) -> Iterator[Law]:
    k1, k2, k3 = (to_sympy(k) for k in series.moments_to_free_cumulants([to_sympy(m) for m in given.moments(3)]))
    # the cumulants of a X + b: a + b, a² L, a³ L (3L - 1)/2
    order = sp.Symbol("order")
    square = sp.cancel(k3**2 / k2**3)
    for found in sp.roots(9 * order**2 - (6 + 4 * square) * order + 1, order):
        if not (found.is_Rational and found > 0):
            continue
        scales = [sp.cancel(2 * k3 / (k2 * (3 * found - 1)))] if 3 * found != 1 else [sp.sqrt(3 * k2), -sp.sqrt(3 * k2)]
        for scale in scales:
            yield _affine(FussCatalan(_number(found)), scale, sp.cancel(k1 - scale))


def _zeros(poly: Any) -> list[Any]:
    """Zeros of a polynomial of degree 1 or 2, the smaller one first where they are numbers."""
    if poly.degree() == 1:
        return [sp.cancel(-poly.coeff_monomial(1) / poly.LC())]
    zeros = [x for x, k in sp.roots(poly).items() for _ in range(k)]
    if any(x.is_real is False for x in zeros):
        raise ValueError("complex zeros")
    return sorted(zeros, key=float) if not any(x.free_symbols for x in zeros) else zeros


def _affine(law: Law, scale: Any, shift: Any) -> Law:
    return law if scale == 1 and shift == 0 else Affine(law, _number(scale), _number(shift))


def _number(value: Any) -> Any:
    """Int or Fraction of a rational number; anything else as it is."""
    value = sp.sympify(value)
    if value.is_Integer:
        return int(value)
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else value
