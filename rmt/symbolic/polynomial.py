"""Bivariate polynomials P(m, z) = 0 of algebraic laws, with m = -G(z) as in the random-matrix literature.

The method is that of Rao and Edelman, The Polynomial Method for Random Matrices (Found. Comput. Math. 8, 2008): every
node acts on polynomials, free sums and products by resultants in the (r, g) and (s, y) encodings, y = zG - 1. A
resultant also carries false factors; the one that the law satisfies is found from its expansion at infinity.
"""

from __future__ import annotations

from functools import reduce, singledispatch
from typing import Any

import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower, FreeSumPower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.symbolic.derivation import to_sympy
from rmt.symbolic.s_transforms import semicircle_parameters, unavailable

__all__ = ["moments_from_polynomial", "polynomial"]

_m, _z = sp.symbols("m z")
_r, _s, _t, _x, _y, _other, _inner = (sp.Dummy(name) for name in ("r", "s", "t", "x", "y", "other", "m0"))
# Expansion orders compared when two factors of a resultant both have a solution G ~ 1/z.
_ORDERS = 8


def polynomial(law: Any) -> Any:
    """Bivariate polynomial of an algebraic law.

    Parameters
    ----------
    law : Law
        Built from Semicircle, MarchenkoPastur, Discrete and FussCatalan (of integer order) by affine maps, free sums
        and products, rational powers, compression, squares, symmetrised square roots and residual sums. Parameters are
        exact numbers or sympy symbols.

    Returns
    -------
    sympy.Poly
        In the generators (m, z), m = -G: irreducible, with coprime integer (or symbolic) coefficients, the leading one
        positive.

    Raises
    ------
    NotImplementedError
        If the law is not algebraic, or a node has no rule.
    ValueError
        If a parameter is a float: elimination needs exact numbers.

    Examples
    --------
    >>> import rmt
    >>> from fractions import Fraction
    >>> polynomial(rmt.Semicircle() + rmt.MarchenkoPastur(ratio=Fraction(1, 2))).as_expr()
    m**3 + m**2*z + 2*m**2 + 2*m*z - m + 2
    """
    return _physical_factor(_eliminate(law), law)


def moments_from_polynomial(poly: Any, n: int) -> list[Any]:
    """Moments m_1 … m_n of the solution -m = G = 1/z + m_1/z² + … of P(m, z) = 0.

    Raises
    ------
    ArithmeticError
        If two solutions agree at infinity, so that the expansion is not determined term by term.
    """
    w, y = sp.Dummy("w"), sp.Dummy("y")
    q = _at_infinity(poly, w, y)
    slope = sp.diff(q, y).subs({w: 0, y: 1})
    if slope == 0:
        raise ArithmeticError("the polynomial has a double solution at infinity; ask the law for its moments instead")
    expansion, moments = sp.Integer(1), []
    for k in range(1, n + 1):
        coefficient = sp.Poly(q.subs(y, expansion), w).coeff_monomial(w**k)
        moments.append(sp.factor(-coefficient / slope))
        expansion += moments[-1] * w**k
    return moments


@singledispatch
def _eliminate(law: Any) -> Any:
    """A polynomial in (_m, _z) that the law satisfies, possibly among false factors; one rule a node."""
    raise unavailable(law, "polynomial", "it is not algebraic, or has no rule; use rmt.derive(law) for its equation")


@_eliminate.register
def _(law: Semicircle) -> Any:
    variance, mean = semicircle_parameters(law)
    return variance * _m**2 + (_z - mean) * _m + 1


@_eliminate.register
def _(law: MarchenkoPastur) -> Any:
    c = to_sympy(law.ratio)
    return c * _z * _m**2 + (_z + c - 1) * _m + 1


@_eliminate.register
def _(law: Discrete) -> Any:
    return _numerator(_m + sp.Add(*(to_sympy(p) / (_z - to_sympy(x)) for x, p in law.masses)))


@_eliminate.register
def _(law: FussCatalan) -> Any:
    order = to_sympy(law.order)
    if not order.is_Integer:
        raise unavailable(law, "polynomial", "the order must be an integer; rmt.derive(law) has its equation")
    return _z**order * (-_m) ** (order + 1) + _z * _m + 1


@_eliminate.register
def _(law: Affine) -> Any:
    a, b = to_sympy(law.scale), to_sympy(law.shift)
    return _numerator(_eliminate(law.law).subs({_m: a * _m, _z: (_z - b) / a}, simultaneous=True))


@_eliminate.register
def _(law: FreeSum) -> Any:
    return _from_r(reduce(_sum_resultant, (_to_r(polynomial(term).as_expr()) for term in law.laws)))


@_eliminate.register
def _(law: FreeSumPower) -> Any:
    t = to_sympy(law.exponent)
    return _from_r(_numerator(_to_r(polynomial(law.law).as_expr()).subs(_r, _r / t)))


@_eliminate.register
def _(law: Compression) -> Any:
    return _from_r(_to_r(polynomial(law.law).as_expr()).subs(_m, to_sympy(law.ratio) * _m))


@_eliminate.register
def _(law: FreeProduct) -> Any:
    return _from_s(reduce(_product_resultant, (_to_s(polynomial(factor).as_expr()) for factor in law.laws)))


@_eliminate.register
def _(law: FreePower) -> Any:
    exponent = to_sympy(law.exponent)
    if not exponent.is_Rational or exponent <= 0:
        raise unavailable(law, "polynomial", "the exponent must be a positive rational number; use rmt.derive(law)")
    inner = _to_s(polynomial(law.law).as_expr())
    return _from_s(sp.resultant(inner.subs(_s, _other), _s**exponent.q - _other**exponent.p, _other))


@_eliminate.register
def _(law: Square) -> Any:
    # G of x² at x² is (G(x) - G(-x)) / 2x
    inner = polynomial(law.law).as_expr()
    right = inner.subs({_m: 2 * _x * _m + _other, _z: _x}, simultaneous=True)
    left = inner.subs({_m: _other, _z: -_x}, simultaneous=True)
    in_x = sp.sqf_part(sp.resultant(right, left, _other), _m, _x)
    return sp.resultant(in_x, _z - _x**2, _x)


@_eliminate.register
def _(law: Symmetrized) -> Any:
    if isinstance(law.law, Sqrt):
        return _numerator(polynomial(law.law.law).as_expr().subs({_m: _m / _z, _z: _z**2}, simultaneous=True))
    inner = polynomial(law.law).as_expr()
    right = inner.subs(_m, 2 * _m + _other)
    return sp.resultant(right, inner.subs({_m: _other, _z: -_z}, simultaneous=True), _other)


@_eliminate.register
def _(law: ResidualSum) -> Any:
    a = to_sympy(law.skip)
    branch = _to_s(polynomial(law.branch).as_expr())
    # With t = z G² and y = zG - 1: the branch at its own moment transform m0, and (y - m0)(y - m0 + 1) = a² t.
    t, y = _z * _m**2, -_z * _m - 1
    at_m0 = _numerator(branch.subs({_s: t / (_inner * (1 + _inner)), _y: _inner}, simultaneous=True))
    return sp.resultant(at_m0, sp.expand((y - _inner) * (y - _inner + 1) - a**2 * t), _inner)


# --- encodings -------------------------------------------------------------------------------------------------------


def _to_r(expression: Any) -> Any:
    """(m, z) to (r, g): z = r + 1/g; the symbol of m is kept for -g."""
    return _numerator(expression.subs(_z, _r - 1 / _m))


def _from_r(expression: Any) -> Any:
    return _numerator(expression.subs(_r, _z + 1 / _m))


def _to_s(expression: Any) -> Any:
    """(m, z) to (s, y): z = (1+y)/(y s), G = y s."""
    return _numerator(expression.subs({_m: -_y * _s, _z: (1 + _y) / (_y * _s)}, simultaneous=True))


def _from_s(expression: Any) -> Any:
    y = -_z * _m - 1
    return _numerator(expression.subs({_s: -_m / y, _y: y}, simultaneous=True))


def _sum_resultant(a: Any, b: Any) -> Any:
    return sp.resultant(a.subs(_r, _other), sp.expand(b.subs(_r, _r - _other)), _other)


def _product_resultant(a: Any, b: Any) -> Any:
    return sp.resultant(a.subs(_s, _other), _numerator(b.subs(_s, _s / _other)), _other)


def _numerator(expression: Any) -> Any:
    return sp.expand(sp.numer(sp.together(expression)))


# --- the factor that the law satisfies -------------------------------------------------------------------------------


def _physical_factor(expression: Any, law: Any) -> Any:
    if expression.has(sp.Float):
        raise ValueError(
            f"law={law!r}: a polynomial needs exact parameters; give Fraction or sympy.Rational, not floats"
        )
    w, y = sp.Dummy("w"), sp.Dummy("y")
    candidates = []
    for factor, _multiplicity in sp.factor_list(expression, _m, _z)[1]:
        poly = sp.Poly(factor, _m, _z)
        if poly.degree(_m) > 0 and sp.expand(_at_infinity(poly, w, y).subs({w: 0, y: 1})) == 0:
            candidates.append(poly)
    if len(candidates) > 1:  # zG = 1 solves every equation in the (s, y) encoding, where y = 0
        candidates = [poly for poly in candidates if poly.as_expr() != _m * _z + 1]
    if len(candidates) > 1:
        moments = [to_sympy(x) for x in law.moments(_ORDERS)]
        expansion = sp.Add(1, *(x * w**k for k, x in enumerate(moments, 1)))
        candidates = [poly for poly in candidates if _vanishes(_at_infinity(poly, w, y).subs(y, expansion), w)]
    if len(candidates) != 1:
        raise unavailable(
            law, "polynomial", f"{len(candidates)} factors of the resultant fit its expansion at infinity"
        )
    poly = candidates[0].primitive()[1]
    return -poly if poly.LC().could_extract_minus_sign() else poly


def _at_infinity(poly: Any, w: Any, y: Any) -> Any:
    """P(-w y, 1/w), cleared of denominators: G = w y with y = 1 + m_1 w + … at w = 1/z -> 0."""
    terms = {(i, j): c for (i, j), c in poly.terms()}
    shift = max(j - i for i, j in terms)
    return sp.Add(*(c * (-y) ** i * w ** (i - j + shift) for (i, j), c in terms.items()))


def _vanishes(expression: Any, w: Any) -> bool:
    poly = sp.Poly(expression, w)
    return all(sp.expand(poly.coeff_monomial(w**k)) == 0 for k in range(_ORDERS + 1))
