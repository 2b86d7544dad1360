"""Bivariate polynomials of algebraic laws in every encoding, and the choice of the factor that a law satisfies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from rmt.symbolic.algebraic_series import expansion, order_on, valuation
from rmt.symbolic.derivation import to_sympy
from rmt.symbolic.elimination import VARIABLES, Ring, make_ring
from rmt.symbolic.encodings import ENCODINGS, contracted_in_m, encoding_of
from rmt.symbolic.exact_coefficients import as_fraction, integer_terms, ring_elements

__all__ = ["Bivariate", "Series", "physical_factor"]

Series = Callable[[int, Mapping[Any, Fraction] | None], list[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Bivariate:
    """An irreducible polynomial that a law satisfies, in one of the encodings, and the branch that is the law.

    Every encoding is a rational change of the variables (m, z) and back, so that conversions are exact and keep
    irreducibility. With G the Cauchy transform, x = 1/z and m_k the moments:

    ========== ========= =============================================================
    encoding   variables meaning
    ========== ========= =============================================================
    m          m, z      ``m = -G(z)``
    G          G, z      Cauchy transform
    r          r, g      R-transform, ``z = r(g) + 1/g`` at ``g = G(z)``
    s          s, y      S-transform, ``z = (1 + y)/(y s(y))`` at ``y = zG(z) - 1``
    T          T, y      ``1/s``
    psi        psi, z    ``zG(z) - 1``
    moment     M, x      ``1 + sum m_k x**k = zG(z)``
    eta        eta, x    ``1 - 1/M``, whose coefficients are the Boolean cumulants
    tulino_verdu  eta, x ``E 1/(1 + x X)``, the eta-transform of wireless communication
    ========== ========= =============================================================

    Made by `rmt.symbolic.bivariate` from a law, by `Bivariate.from_expression`, and by the operations of
    `rmt.symbolic.polynomial_operations`.

    Attributes
    ----------
    ring : Ring
        Where the element lives: FLINT, or sympy where python-flint is missing.
    element : element of the ring
        In the ring's u and v (the two variables of the encoding) and one variable a parameter; primitive.
    encoding : str
        One of the above.
    parameters : tuple of sympy expressions
        What the ring's parameters stand for: symbols, and irrational numbers as if they were symbols.
    seeds : tuple or None
        The first moments, as many as it takes to tell the branch from the others at infinity, mostly none; None where
        the branch is no power series there with coefficients in the field (heavy tails; inverses).
    """

    ring: Ring
    element: Any
    encoding: str = "m"
    parameters: tuple[Any, ...] = ()
    seeds: tuple[Any, ...] | None = ()

    def __post_init__(self) -> None:
        element = self.ring.primitive(self.element)
        if self.ring.leading_coefficient(element) < 0:
            element = -element
        object.__setattr__(self, "element", element)

    # --- in and out ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_expression(
        cls,
        expression: Any,
        encoding: str = "m",
        *,
        variables: Sequence[Any] | None = None,
        moments: Sequence[Any] | Callable[[int], Sequence[Any]] = (),
        backend: str | None = None,
    ) -> Bivariate:
        """A polynomial of sympy, read in an encoding.

        Parameters
        ----------
        expression : sympy expression or Poly
            Polynomial in the two variables; other symbols are parameters. Of several factors that one is kept whose
            expansion at infinity begins as that of a law.
        encoding : str
            How it is to be read.
        variables : two symbols, optional
            By default the symbols of the table above.
        moments : sequence, or callable
            First moments m_1, m_2, … (or a function of how many), where more than one branch or factor behaves like
            a law at infinity.
        backend : {"flint", "sympy"}, optional
            What does the algebra.

        Raises
        ------
        ValueError
            If it is no polynomial, has floats, or the factor or the branch is not determined.
        """
        names = encoding_of(encoding).variables
        symbols = tuple(variables) if variables is not None else tuple(sp.Symbol(name) for name in names)
        ring, parameters, (element,) = ring_elements([expression], symbols, backend)

        def series(n: int, point: Mapping[Any, Fraction] | None) -> list[Any]:
            given = [to_sympy(x) for x in (moments(n) if callable(moments) else moments)]
            if n > len(given):
                raise ValueError(
                    f"expression={expression!r}: its factor or branch is not determined by {len(given)} moments; give "
                    "more of `moments`"
                )
            if point is None:
                return given[:n]
            values = {p: to_sympy(x) for p, x in point.items()}
            return [as_fraction(x.xreplace(values)) for x in given[:n]]

        try:
            found = physical_factor(ring, element, encoding, parameters, series)
            known = [] if callable(moments) else [to_sympy(x) for x in moments]
            if known and [sp.simplify(a - b) for a, b in zip(known, found.moments(len(known)), strict=True)] != [
                0 for _ in known
            ]:
                raise ArithmeticError("no factors of the polynomial have these moments")
            return found
        except ArithmeticError as error:
            raise ValueError(f"expression={expression!r}: {error}; check it, and the encoding") from error

    @property
    def variables(self) -> tuple[Any, Any]:
        """The two symbols of the encoding, with an underscore where a parameter has that name."""
        taken = {str(p) for p in self.parameters}
        first, second = (f"{name}_" if name in taken else name for name in encoding_of(self.encoding).variables)
        return sp.Symbol(first), sp.Symbol(second)

    @cached_property
    def poly(self) -> Any:
        """The polynomial as a sympy Poly in `variables`: primitive, the leading coefficient positive."""
        grouped: dict[tuple[int, ...], Any] = {}
        for e, c in self.ring.terms(self.element).items():
            powers = (p**k for p, k in zip(self.parameters, e[VARIABLES:], strict=True) if k)
            grouped[e[:2]] = grouped.get(e[:2], 0) + (sp.Mul(c, *powers) if self.parameters else c)
        poly = sp.Poly.from_dict(grouped, *self.variables, **({} if self.parameters else {"domain": sp.ZZ}))
        return -poly if poly.LC().could_extract_minus_sign() else poly

    @property
    def expression(self) -> Any:
        """The polynomial as a sympy expression."""
        return self.poly.as_expr()

    @property
    def degrees(self) -> tuple[int, int]:
        """Degrees in the two variables."""
        return self.ring.degree(self.element, 0), self.ring.degree(self.element, 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bivariate) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        # the law, whatever the encoding it is written in
        inner = self.to("m")
        return frozenset(inner.ring.terms(inner.element).items()), self.parameters, self.seeds

    def __repr__(self) -> str:
        return f"<Bivariate {self.encoding}: {sp.sstr(self.expression)} = 0>"

    # --- encodings ----------------------------------------------------------------------------------------------------

    def to(self, encoding: str) -> Bivariate:
        """The same law in another encoding, exactly.

        Raises
        ------
        ValueError
            If there is no such encoding, or the law is the point mass at 0, which has no S-transform.
        """
        target = encoding_of(encoding)
        if encoding == self.encoding:
            return self
        if encoding != "m" and self.encoding != "m":
            return self.to("m").to(encoding)
        u, v, one = self.ring.gens[0], self.ring.gens[1], self.ring.constant(1)
        if encoding == "m":
            source = ENCODINGS[self.encoding]
            element = self.ring.substitute(self.element, *source.from_m(u, v, one))
            element = _without(self.ring, element, contracted_in_m(self.encoding, u, v, one))
        else:
            element = self.ring.substitute(self.element, *target.to_m(u, v, one))
            element = _without(self.ring, element, target.lost(u, v, one))
        if element is None:
            raise ValueError(f'encoding="{encoding}": {self!r} has none; the point mass at 0 has no S-transform')
        return replace(self, element=element, encoding=encoding)

    @cached_property
    def at_infinity(self) -> Bivariate:
        """The same in the encoding "moment", where infinity is x = 0 and the law is the branch through M = 1."""
        return self.to("moment")

    # --- the branch at infinity ---------------------------------------------------------------------------------------

    def at(self, point: Mapping[Any, Any]) -> Bivariate:
        """The polynomial with all its parameters replaced by rational numbers, parameter -> value.

        It may be reducible there, but its branch at infinity stays determined.

        Raises
        ------
        ArithmeticError
            If the branch is not determined at these values, or the polynomial vanishes there.
        """
        ring = make_ring(0, self.ring.backend)
        values = [as_fraction(to_sympy(point[p])) for p in self.parameters]
        out: dict[tuple[int, ...], Fraction] = {}
        for e, c in self.ring.terms(self.element).items():
            value = Fraction(c)
            for x, k in zip(values, e[VARIABLES:], strict=True):
                value *= x**k
            out[e[:VARIABLES]] = out.get(e[:VARIABLES], Fraction(0)) + value
        terms = integer_terms({e: c for e, c in out.items() if c})
        if not terms:
            raise ArithmeticError(f"{self!r} vanishes at {dict(point)}")
        substitution = dict(zip(self.parameters, (to_sympy(x) for x in values), strict=True))
        seeds = self.seeds and tuple(as_fraction(to_sympy(s).subs(substitution)) for s in self.seeds)
        return Bivariate(ring, ring.from_terms(terms), self.encoding, (), seeds)

    def moments(self, n: int) -> list[Any]:
        """Moments m_1 … m_n of the law by Newton's iteration on power series, exact.

        Returns
        -------
        list
            int and Fraction without parameters, factored sympy expressions otherwise.

        Raises
        ------
        ArithmeticError
            If the law has no power series at infinity (heavy tails).
        """
        if self.seeds is None:
            raise ArithmeticError(
                f"moments of {self!r}: not determined by the polynomial (heavy tails, or an inverse); ask the law"
            )
        inner = self.at_infinity
        if not self.parameters:
            seeds = [as_fraction(to_sympy(s)) for s in self.seeds]
            return [_plain(x) for x in expansion(_columns(self.ring, inner.element), n, seeds)]
        symbols = tuple(sp.Symbol(name) for name in self.ring.names[VARIABLES:])
        back = dict(zip(symbols, self.parameters, strict=True))
        field = sp.QQ.frac_field(*symbols)
        columns: list[list[Any]] = [[field.zero] * (inner.degrees[1] + 1) for _ in range(inner.degrees[0] + 1)]
        for e, c in self.ring.coefficients(inner.element).items():
            columns[e[0]][e[1]] = field.from_sympy(
                sp.Add(*(sp.Mul(k, *(s**d for s, d in zip(symbols, f[VARIABLES:], strict=True)))
                         for f, k in self.ring.terms(c).items()))
            )
        forth = {p: s for s, p in back.items()}
        seeds = [field.from_sympy(to_sympy(s).subs(forth)) for s in self.seeds]
        series = expansion(columns, n, seeds)
        return [sp.factor(field.to_sympy(field.convert(c)).subs(back)) for c in series]


# --- the factor that the law satisfies ----------------------------------------------------------------------------


def physical_factor(
    ring: Ring, element: Any, encoding: str, parameters: tuple[Any, ...], series: Series | None
) -> Bivariate:
    """The irreducible factor that a law satisfies, of a polynomial that it is known to satisfy.

    The ring of power series has no zero divisors, so exactly one irreducible factor vanishes on the law's expansion
    at infinity; a factor with a nonzero coefficient of any order is refuted. The order is raised until one factor is
    left. That ends: if two coprime factors F_1 and F_2 in (M, x) both vanish to order N, so does their resultant, of
    degree at most ``deg_M F_1 deg_x F_2 + deg_x F_1 deg_M F_2``. With parameters the coefficients are computed at
    rational values of them: a coefficient that is not 0 there is not 0.

    Parameters
    ----------
    series : callable or None
        (n, point) -> moments m_1 … m_n of the law, at rational values of the parameters, or symbolic for None. None
        where there are no moments; then only one factor may behave like G = 1/z.

    Raises
    ------
    ArithmeticError
        If no factor is satisfied: the polynomial is not one of the law.
    """
    candidates = []
    for factor, _ in ring.factor(element):
        if ring.degree(factor, 0) == 0 and ring.degree(factor, 1) == 0:
            continue
        try:
            candidate = Bivariate(ring, factor, encoding, parameters)
            begins = _begins_as_a_law(candidate)
        except ValueError:  # a curve that the encoding contracts
            continue
        if begins:
            candidates.append(candidate)
    if len(candidates) > 1 and series is not None:
        candidates = _refuted(candidates, series)
    if len(candidates) != 1:
        count = len(candidates) or "no"
        raise ArithmeticError(f"{count} factors of the polynomial behave like the law at infinity")
    if series is not None:
        return _with_branch(candidates[0], series)
    return replace(candidates[0], seeds=() if _is_single(candidates[0].at_infinity, []) else None)


def _begins_as_a_law(law: Bivariate) -> bool:
    """Whether zG = 1 is a solution at infinity."""
    inner = law.at_infinity
    if inner.degrees[0] == 0:
        return False
    one, zero = inner.ring.constant(1), inner.ring.constant(0)
    _, _, w, t, *parameters = inner.ring.gens
    return bool(inner.ring.compose(inner.element, (one, zero, w, t, *parameters)) == zero)


def _refuted(candidates: list[Bivariate], series: Series) -> list[Bivariate]:
    """The candidates less those that do not vanish on the moments."""
    parameters = candidates[0].parameters
    degrees = [c.at_infinity.degrees for c in candidates]
    bound = max((a[0] * b[1] + a[1] * b[0] for a in degrees for b in degrees), default=0)
    for attempt in range(8):
        point = {p: Fraction(3 * k + 2 + attempt, 7 + k + attempt) for k, p in enumerate(parameters)}
        left, order = candidates, 2
        try:
            while len(left) > 1 and order <= 2 * bound + 2:
                moments = [1, *series(order, point)]
                left = [c for c in left if order_on(_columns_at(c, point), moments) is None]
                order *= 2
        except (ArithmeticError, ZeroDivisionError):  # these values of the parameters are special
            if not parameters:
                raise
            continue
        if len(left) <= 1:
            return left
    return left


def _with_branch(law: Bivariate, series: Series) -> Bivariate:
    """The polynomial with as many moments as it takes to single out the branch at infinity."""
    inner = law.at_infinity
    count = 0
    limit = 2 * inner.degrees[0] * inner.degrees[1] + 2
    while count <= limit:
        moments = list(series(count, None)) if count else []
        if _is_single(inner, moments):
            return replace(law, seeds=tuple(moments))
        count += 1
    raise ArithmeticError(f"the expansions at infinity do not tell the branches of {law!r} apart")


def _is_single(inner: Bivariate, moments: Sequence[Any]) -> bool:
    if not moments:
        ring = inner.ring
        _, _, w, t, *parameters = ring.gens
        slope = ring.derivative(inner.element, 0)
        return bool(ring.compose(slope, (ring.constant(1), ring.constant(0), w, t, *parameters)) != ring.constant(0))
    if not inner.parameters:
        y = [1, *(as_fraction(to_sympy(m)) for m in moments)]
        return valuation(_columns(inner.ring, inner.element), y) is not None
    # a slope that is not 0 at one point is not 0
    point = {p: Fraction(5 * k + 3, 11 + k) for k, p in enumerate(inner.parameters)}
    values = {p: to_sympy(x) for p, x in point.items()}
    y = [1, *(as_fraction(to_sympy(m).subs(values)) for m in moments)]
    return valuation(_columns_at(inner, point), y) is not None


def _columns_at(law: Bivariate, point: Mapping[Any, Fraction]) -> list[list[Any]]:
    inner = law.at_infinity.at(point) if law.parameters else law.at_infinity
    return _columns(inner.ring, inner.element)


def _columns(ring: Ring, element: Any) -> list[list[Any]]:
    columns = [[0] * (ring.degree(element, 1) + 1) for _ in range(ring.degree(element, 0) + 1)]
    for e, c in ring.terms(element).items():
        columns[e[0]][e[1]] = c
    return columns


# --- small change -------------------------------------------------------------------------------------------------


def _without(ring: Ring, element: Any, factors: Sequence[Any]) -> Any:
    """The element without these factors; None where nothing is left."""
    for factor in factors:
        element = ring.without(element, factor)
    return element if ring.degree(element, 0) or ring.degree(element, 1) else None


def _plain(value: Any) -> Any:
    value = Fraction(value)
    return int(value) if value.denominator == 1 else value
