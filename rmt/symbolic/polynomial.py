"""Bivariate polynomials P(m, z) = 0 of algebraic laws, with m = -G(z) as in the random-matrix literature.

One rule a law: a leaf writes its equation down, a node applies its operation (`rmt.symbolic.polynomial_operations`) to
the polynomials of its children. Everything stays in one representation (FLINT's, where python-flint is installed)
until the answer is converted.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower, FreeSumPower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.gated import GatedLayer
from rmt.algebra.inverse import Inverse
from rmt.algebra.mixture import Mixture
from rmt.algebra.polynomial_image import PolynomialImage
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.laws.arcsine import Arcsine
from rmt.laws.cauchy import Cauchy
from rmt.laws.discrete import Discrete
from rmt.laws.free_jacobi import FreeJacobi
from rmt.laws.free_poisson import FreePoisson
from rmt.laws.free_stable import FreeStable
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.implicit import ImplicitLaw
from rmt.laws.kesten_mckay import KestenMcKay
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.symbolic import polynomial_operations as operations
from rmt.symbolic.bivariate import Bivariate, physical_factor
from rmt.symbolic.derivation import to_sympy
from rmt.symbolic.exact_coefficients import ring_elements
from rmt.symbolic.s_algebra import unavailable
from rmt.symbolic.s_transforms import semicircle_parameters
from rmt.symbolic.variable_changes import value_of

__all__ = ["bivariate", "moments_from_polynomial", "polynomial"]

# not the symbols of the answer: a parameter may have the same name
_m, _z, _s, _y = (sp.Dummy(name) for name in ("m", "z", "s", "y"))


def polynomial(law: Any) -> Any:
    """Bivariate polynomial of an algebraic law.

    Parameters
    ----------
    law : Law
        Any law whose Cauchy transform is an algebraic function: see `bivariate`. Parameters are exact numbers or
        sympy symbols.

    Returns
    -------
    sympy.Poly
        In the generators (m, z), m = -G: irreducible, with coprime integer (or symbolic) coefficients, the leading one
        positive. Irrational numbers count as symbols.

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
    return bivariate(law).poly


def bivariate(law: Any, encoding: str = "m") -> Bivariate:
    """Polynomial of an algebraic law, in any encoding, with the branch that is the law.

    The equations of the leaves Semicircle, MarchenkoPastur, Discrete, FussCatalan (rational order), FreeJacobi,
    KestenMcKay, Arcsine, FreePoisson, Cauchy, FreeStable (rational index) and ImplicitLaw (algebraic transform) are
    carried through affine maps, free sums and products, powers (equal laws are one power), compressions, inverses,
    mixtures, squares, quadratic images, symmetrised laws and roots, rectangular and residual sums, and gated layers.

    Parameters
    ----------
    law : Law
        With exact parameters or symbols.
    encoding : str
        One of the encodings of `Bivariate`. In "s" the degree of a deep product is that of one layer.

    Raises
    ------
    NotImplementedError
        If the law is not algebraic, or a node has no rule.
    ValueError
        If a parameter is a float.

    Examples
    --------
    >>> import rmt
    >>> layer = rmt.MarchenkoPastur() @ rmt.Discrete({0: sp.Rational(1, 2), 1: sp.Rational(1, 2)})
    >>> bivariate(layer.free_power(20), "s").degrees
    (1, 20)
    """
    try:
        return _rule(law).to(encoding)
    except ArithmeticError as error:
        raise unavailable(law, "polynomial", f"{error}; use rmt.derive(law) for its equation") from error


def moments_from_polynomial(poly: Any, n: int) -> list[Any]:
    """Moments m_1 … m_n of the solution -m = G = 1/z + m_1/z² + … of P(m, z) = 0.

    Raises
    ------
    ValueError
        If two solutions agree at infinity, so that the expansion is not determined term by term, or none is a law's.
    """
    return [to_sympy(x) for x in Bivariate.from_expression(poly, variables=poly.gens).moments(n)]


@singledispatch
def _rule(law: Any) -> Bivariate:
    """The polynomial of a law in m; one rule a node."""
    raise unavailable(law, "polynomial", "it is not algebraic, or has no rule; use rmt.derive(law) for its equation")


# --- leaves -------------------------------------------------------------------------------------------------------


def _leaf(law: Any, expression: Any, encoding: str = "m") -> Bivariate:
    """An equation as it is written; where it has factors, the law's moments tell which."""
    variables = (_s, _y) if encoding == "s" else (_m, _z)
    return Bivariate.from_expression(expression, encoding, variables=variables, moments=law.moments).to("m")


@_rule.register
def _(law: Semicircle) -> Bivariate:
    variance, mean = semicircle_parameters(law)
    return _leaf(law, variance * _m**2 + (_z - mean) * _m + 1)


@_rule.register
def _(law: MarchenkoPastur) -> Bivariate:
    c = to_sympy(law.ratio)
    return _leaf(law, c * _z * _m**2 + (_z + c - 1) * _m + 1)


@_rule.register
def _(law: Discrete) -> Bivariate:
    masses = [(to_sympy(x), to_sympy(p)) for x, p in law.masses]
    return _leaf(law, _m + sp.Add(*(p / (_z - x) for x, p in masses)))


@_rule.register
def _(law: Arcsine) -> Bivariate:
    return _leaf(law, (_z - to_sympy(law.a)) * (_z - to_sympy(law.b)) * _m**2 - 1)


@_rule.register
def _(law: KestenMcKay) -> Bivariate:
    d = to_sympy(law.degree)
    return _leaf(law, (_z**2 - d**2) * _m**2 - (d - 2) * _z * _m - (d - 1))


@_rule.register
def _(law: FreeJacobi) -> Bivariate:
    s, t = to_sympy(law.trace_p), to_sympy(law.trace_q)
    return _leaf(law, s * _z * (_z - 1) * _m**2 + ((2 * s - 1) * _z + t - s) * _m + s - 1)


@_rule.register
def _(law: FussCatalan) -> Bivariate:
    order = to_sympy(law.order)
    if not order.is_Rational:
        raise unavailable(law, "polynomial", "the order must be a rational number; rmt.derive(law) has its equation")
    return _leaf(law, _s**order.q * (1 + _y) ** order.p - 1, "s")


@_rule.register
def _(law: FreePoisson) -> Bivariate:
    return operations.free_poisson(_rule(law.jump), law.rate)


@_rule.register
def _(law: Cauchy) -> Bivariate:
    x, height = to_sympy(law.location), to_sympy(law.scale)
    return _without_moments(((_z - x) * _m + 1) ** 2 + height**2 * _m**2)


@_rule.register
def _(law: FreeStable) -> Bivariate:
    alpha, rho = to_sympy(law.alpha), to_sympy(law.rho)
    turns = alpha.p * rho if alpha.is_Rational else None
    if turns is None or not (2 * turns).is_integer:
        raise unavailable(
            law,
            "polynomial",
            "alpha must be a fraction p/q with 2 p rho a whole number; rmt.derive(law) has its equation",
        )
    # ((z - location) G - 1)^q = (-1)^q exp(i pi p rho) scale^p G^p
    left = (-(_z - to_sympy(law.location)) * _m - 1) ** alpha.q
    right = (-1) ** alpha.q * to_sympy(law.scale) ** alpha.p * (-_m) ** alpha.p
    if turns.is_integer:
        return _without_moments(left - (-1) ** turns * right)
    return _without_moments(left**2 + right**2)  # exp(i pi p rho) = ±i: with the conjugate branch


def _without_moments(expression: Any) -> Bivariate:
    ring, parameters, (element,) = ring_elements([expression], (_m, _z))
    return physical_factor(ring, element, "m", parameters, None)


@_rule.register
def _(law: ImplicitLaw) -> Bivariate:
    kind = next(kind for kind in ("s", "r", "psi") if getattr(law, kind) is not None)
    transform = getattr(law, kind)
    if not hasattr(transform, "free_symbols"):
        raise unavailable(law, "polynomial", "its transform is a Python function; give a sympy expression")
    symbols = sp.Dummy(kind), sp.Dummy("argument")
    expression = transform.xreplace(dict.fromkeys(transform.free_symbols, symbols[1]))
    radicals: dict[tuple[Any, int], Any] = {}
    equation = sp.numer(sp.together(symbols[0] - _without_radicals(expression, radicals)))
    for (base, q), root in reversed(radicals.items()):  # outer ones first
        equation = sp.resultant(equation, sp.numer(sp.together(root**q - base)), root)
    if not sp.expand(equation).is_polynomial(*symbols):
        raise unavailable(law, "polynomial", "its transform is not algebraic; use rmt.derive(law)")
    return Bivariate.from_expression(equation, kind, variables=symbols, moments=law.moments).to("m")


def _without_radicals(expression: Any, radicals: dict[tuple[Any, int], Any]) -> Any:
    """The expression with q-th roots replaced by symbols; ``radicals`` gets (base, q) -> symbol, inner ones first."""
    if not expression.args:
        return expression
    inner = expression.func(*(_without_radicals(part, radicals) for part in expression.args))
    if inner.is_Pow and inner.exp.is_Rational and not inner.exp.is_Integer and inner.base.free_symbols:
        return radicals.setdefault((inner.base, inner.exp.q), sp.Dummy()) ** inner.exp.p
    return inner


# --- nodes --------------------------------------------------------------------------------------------------------


@_rule.register
def _(law: Affine) -> Bivariate:
    inner = _rule(law.law)
    return operations.shift(operations.scale(inner, law.scale), law.shift)


@_rule.register
def _(law: FreeSum) -> Bivariate:
    groups: dict[Any, int] = {}
    for term in law.laws:
        groups[term] = groups.get(term, 0) + 1
    # equal laws are one power: their sum is in the field of one of them
    parts = [operations.free_sum_power(_rule(term), n) if n > 1 else _rule(term) for term, n in groups.items()
             if not isinstance(term, Cauchy)]
    heights = [(term, n) for term, n in groups.items() if isinstance(term, Cauchy)]
    if not parts:
        return _rule(Cauchy(sum(n * c.location for c, n in heights), sum(n * c.scale for c, n in heights)))
    total = operations.free_sum(*parts)
    for term, n in heights:
        total = operations.plus_cauchy(total, n * term.location, n * term.scale)
    return total


@_rule.register
def _(law: FreeSumPower) -> Bivariate:
    return operations.free_sum_power(_rule(law.law), law.exponent)


@_rule.register
def _(law: Compression) -> Bivariate:
    return operations.compress(_rule(law.law), law.ratio)


@_rule.register
def _(law: FreeProduct) -> Bivariate:
    groups = law._groups()
    scale = sp.Integer(1)
    for point in [x for x in groups if isinstance(x, Discrete) and len(x.masses) == 1]:
        scale *= to_sympy(point.masses[0][0]) ** groups.pop(point)
    if not groups:
        return _rule(Discrete({scale: 1}))
    parts = [operations.free_power(_rule(factor), n) if n > 1 else _rule(factor) for factor, n in groups.items()]
    return operations.scale(operations.free_product(*parts), scale)


@_rule.register
def _(law: FreePower) -> Bivariate:
    exponent = to_sympy(law.exponent)
    if not exponent.is_Rational or exponent <= 0:
        raise unavailable(law, "polynomial", "the exponent must be a positive rational number; use rmt.derive(law)")
    return operations.free_power(_rule(law.law), exponent)


@_rule.register
def _(law: Inverse) -> Bivariate:
    return operations.inverse(_rule(law.law))


@_rule.register
def _(law: Mixture) -> Bivariate:
    return operations.mixture([(_rule(part), share) for part, share in law.parts])


@_rule.register
def _(law: Square) -> Bivariate:
    return _rule(law.law.law) if isinstance(law.law, Sqrt) else operations.square(_rule(law.law))


@_rule.register
def _(law: PolynomialImage) -> Bivariate:
    if isinstance(law.law, Discrete):
        masses: dict[Any, Any] = {}
        for x, p in law.law.masses:
            y = sum(c * x**k for k, c in enumerate(law.coefficients))
            masses[y] = masses.get(y, 0) + p
        return _rule(Discrete(masses))
    if len(law.coefficients) != 3:
        raise unavailable(law, "polynomial", "images of degree 3 or more have no rule; use law.moments(n), law.pdf(x)")
    c, b, a = (to_sympy(x) for x in law.coefficients)
    centred = operations.shift(_rule(law.law), b / (2 * a))
    return operations.shift(operations.scale(operations.square(centred), a), c - b**2 / (4 * a))


@_rule.register
def _(law: Sqrt) -> Bivariate:
    raise unavailable(law, "polynomial", "G of sqrt(X) is not algebraic; take law.sqrt().symmetrized(), or the squares")


@_rule.register
def _(law: Symmetrized) -> Bivariate:
    if isinstance(law.law, Sqrt):
        return operations.symmetric_root(_rule(law.law.law))
    return operations.symmetrize(_rule(law.law))


@_rule.register
def _(law: RectangularSum) -> Bivariate:
    first, *others = (_rule(part) for part in law.laws)
    for other in others:
        first = operations.rectangular_sum(first, other, law.ratio)
    return first


@_rule.register
def _(law: ResidualSum) -> Bivariate:
    return operations.residual_sum(_rule(law.branch), law.skip)


@_rule.register
def _(law: GatedLayer) -> Bivariate:
    # <1/den> y = zG and y + s y <D2²/den> = z with den = y - D1² - s y G D2²; y is eliminated (derived from the fixed
    # point of `rmt.numeric.gated`)
    s = to_sympy(law.variance)
    terms = [(to_sympy(p), to_sympy(d2) ** 2, _y - to_sympy(d1) ** 2 + s * _y * _m * to_sympy(d2) ** 2)
             for (d1, d2), p in law.gates]
    first = sp.Add(*(p * _y / den for p, _, den in terms)) + _z * _m
    second = _y - _z + s * _y * sp.Add(*(p * square / den for p, square, den in terms))
    ring, parameters, (a, b) = ring_elements([first, second], (_m, _z, _y))
    element = ring.resultant(ring.without(a, ring.gens[2]), ring.without(b, ring.gens[2]), 2)

    def moments(n: int, point: Any) -> list[Any]:
        exact = [to_sympy(x) for x in law.moments(n)]
        if point is None:
            return exact
        return [value_of(x, point) for x in exact]

    return physical_factor(ring, element, "m", parameters, moments)
