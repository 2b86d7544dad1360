"""Recurrences of the moments: an algebraic function solves a linear differential equation (Abel; Comtet 1964)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from rmt.symbolic.bivariate import Bivariate
from rmt.symbolic.derivation import to_sympy

__all__ = ["MomentRecurrence", "moment_recurrence"]

_x, _y, _n = sp.Dummy("x"), sp.Dummy("M"), sp.Symbol("n")


@dataclass(frozen=True)
class MomentRecurrence:
    """``sum_k coefficients[k](n) m_(n+k) = 0`` for all n >= start, m_0 = 1.

    Attributes
    ----------
    coefficients : tuple of sympy.Poly in n
        Polynomials, over Z or Z[parameters]; the last one does not vanish for n >= start.
    start : int
        From where it holds.
    initial : tuple
        m_0 … m_(start + order - 1), by Newton's iteration.
    """

    coefficients: tuple[Any, ...]
    start: int
    initial: tuple[Any, ...]

    @property
    def order(self) -> int:
        """How many moments determine the next one."""
        return len(self.coefficients) - 1

    def moments(self, n: int) -> list[Any]:
        """Moments m_1 … m_n, in a number of operations proportional to n."""
        out = list(self.initial)
        parts = [[_number(c) for c in poly.all_coeffs()] for poly in self.coefficients]
        for k in range(self.start, n + 1 - self.order):
            values = [_horner(part, k) for part in parts]
            total = sum((c * out[k + j] for j, c in enumerate(values[:-1]) if c != 0), Fraction(0))
            value = -total / values[-1]
            out.append(value if isinstance(value, Fraction) else sp.factor(value))
        return [int(m) if isinstance(m, Fraction) and m.denominator == 1 else m for m in out[1 : n + 1]]


def moment_recurrence(law: Bivariate) -> MomentRecurrence:
    """The recurrence of the moments of an algebraic law, derived, not guessed.

    The derivatives of M in x = 1/z are elements of the field Q(x)[M]/P of dimension d; so 1, M, M', …, M^(d-1) are
    linearly dependent. The dependency is a differential equation, its coefficient of x^n the recurrence.

    Raises
    ------
    ArithmeticError
        If the law has no power series at infinity (heavy tails).

    Examples
    --------
    >>> import rmt
    >>> from rmt.symbolic import bivariate
    >>> found = moment_recurrence(bivariate(rmt.MarchenkoPastur(1)))
    >>> [c.as_expr() for c in found.coefficients]
    [-4*n - 2, n + 2]
    >>> found.moments(8)
    [1, 2, 5, 14, 42, 132, 429, 1430]
    """
    inner = law.to("moment")
    field = sp.QQ.frac_field(*law.parameters, _x)
    p = sp.Poly(inner.expression.xreplace(dict(zip(inner.variables, (_y, _x), strict=True))), _y, domain=field)
    # M' = -P_x/P_M in the field
    slope = (-_derivative_in_x(p, field) * p.diff(_y).invert(p)).rem(p)
    degree = p.degree()
    rows = [sp.Poly(1, _y, domain=field), sp.Poly(_y, _y, domain=field).rem(p)]
    while True:
        relation = _dependency(rows, degree, field)
        if relation is not None:
            break
        last = rows[-1]
        rows.append((_derivative_in_x(last, field) + last.diff(_y) * slope).rem(p))
    free, *coefficients = relation
    shifts: dict[int, Any] = {}
    for j, a in enumerate(coefficients):
        for (i,), c in sp.Poly(a, _x).terms():
            # x^i M^(j): the coefficient of x^n is (n-i+j)(n-i+j-1)…(n-i+1) m_(n-i+j)
            shifts[j - i] = shifts.get(j - i, 0) + c * sp.Mul(*(_n - i + j - k for k in range(j)))
    shifts = {s: poly for s, c in shifts.items() if not (poly := sp.Poly(sp.expand(c), _n)).is_zero}
    low, high = min(shifts), max(shifts)
    raw = [shifts.get(s, sp.Poly(0, _n)).compose(sp.Poly(_n - low, _n)) for s in range(low, high + 1)]
    content = sp.gcd_list([c for poly in raw for c in poly.all_coeffs() if c != 0])
    if raw[-1].LC().could_extract_minus_sign():
        content = -content
    polys = tuple(sp.Poly(sp.cancel(poly.as_expr() / content), _n) for poly in raw)
    roots = [int(r) for r in polys[-1].ground_roots() if r.is_Integer]
    start = max([0, *(r + 1 for r in roots), sp.Poly(free, _x).degree() + low + 1 if free != 0 else 0])
    start = int(max(start, low))
    initial = [1, *law.moments(max(1, start + len(polys) - 2))][: start + len(polys) - 1]
    return MomentRecurrence(polys, start, tuple(_number(to_sympy(m)) for m in initial))


def _derivative_in_x(poly: Any, field: Any) -> Any:
    return sp.Poly.from_list(
        [field.from_sympy(sp.diff(field.to_sympy(c), _x)) for c in poly.rep.to_list()], _y, domain=field
    )


def _dependency(rows: list[Any], degree: int, field: Any) -> list[Any] | None:
    """Coefficients, polynomials in x without common factor, of a vanishing combination of the rows."""
    columns = [[*([field.zero] * (degree - len(c := row.rep.to_list()))), *c] for row in rows]
    matrix = DomainMatrix(columns, (len(rows), degree), field).transpose()
    kernel = matrix.nullspace()
    if kernel.shape[0] == 0:
        return None
    entries = [field.to_sympy(c) for c in kernel.to_list()[0]]
    denominator = sp.lcm_list([sp.denom(sp.together(e)) for e in entries])
    plain = [sp.cancel(e * denominator) for e in entries]
    common = sp.gcd_list([e for e in plain if e != 0])
    return [sp.expand(sp.cancel(e / common)) for e in plain]


def _number(value: Any) -> Any:
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else value


def _horner(coefficients: list[Any], n: int) -> Any:
    total: Any = Fraction(0)
    for c in coefficients:
        total = total * n + c
    return total
