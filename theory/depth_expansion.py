"""Expansion of a law in its depth: from log S, term by term, to the edges and the moments.

A law whose S-transform has the expansion

    log S(m) = log S_scale + A_0(m) + A_1(m) ε + A_2(m) ε² + …,   ε = L^(-step),

has ``log z = log(1+m) - log m - log S``; an edge is a stationary value of it, a moment is
``m_k = (1/k) [m^(k-1)] (1+m)^k S^(-k)`` (Lagrange), and both follow order by order. This module loads sympy: import it
inside functions only.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from rmt import series
from rmt.series.power_series import divide
from rmt.symbolic.derivation import Derivation, Step, m

__all__ = ["DepthExpansion", "collected", "edge_corrections", "stationary_value"]


@dataclass(frozen=True, eq=False)
class DepthExpansion:
    """What `theory.finite_depth_corrections` returns: plain sympy expressions, each to the order asked for.

    Attributes
    ----------
    depth : sympy object
        L of the network, a number or a symbol.
    step : sympy.Rational
        The expansion is in powers of ``L**(-step)``: 1, or 1/2 for plain chains of smooth activations.
    scale : sympy expression
        The law is that of ``scale`` times a variable with the S-transform exp(A_0 + A_1 ε + …): ``a**(2 L)`` of a
        ResNet, ``χ**L`` of a chain.
    pure_terms, pure_log_edges : tuple, tuple of tuples
        `terms` and `log_edges` before `parameters` are put in.
    subject : str
        The network.
    equation : sympy.Eq
        What G of the limit satisfies.
    steps : tuple of rmt.symbolic.Step
        How the limit and the corrections are found.
    parameters : mapping of symbol to expression
        What stands in the results in place of a symbol of the pure ones: c/a² for c, with a skip a.
    definitions : tuple of sympy.Eq
        What the symbols stand for in the network.
    """

    depth: Any
    step: Any
    scale: Any
    pure_terms: tuple[Any, ...]
    pure_log_edges: tuple[tuple[Any, ...], ...]
    subject: str
    equation: Any
    steps: tuple[Step, ...] = ()
    parameters: Mapping[Any, Any] = field(default_factory=dict)
    definitions: tuple[Any, ...] = ()

    @property
    def terms(self) -> tuple[Any, ...]:
        """(A_0, A_1, …), functions of m."""
        return self._with_parameters(self.pure_terms)

    @property
    def log_edges(self) -> tuple[tuple[Any, ...], ...]:
        """For each edge, in increasing order, the coefficients (E_0, E_1, …) of log(edge/scale) in powers of ε."""
        return tuple(self._with_parameters(edge) for edge in self.pure_log_edges)

    @property
    def order(self) -> int:
        """Number of corrections."""
        return len(self.pure_terms) - 1

    @property
    def log_s(self) -> Any:
        """Log S(m), the remainder of order ``L**(-step*(order+1))`` left out."""
        return -sp.log(self.scale) + self._sum(self.terms)

    @property
    def edges(self) -> tuple[Any, ...]:
        """The edges, to the same order relative to themselves."""
        return tuple(self.scale * sp.exp(e[0]) * sp.exp(self._sum((sp.S.Zero, *e[1:]))) for e in self.log_edges)

    def moments(self, n: int) -> list[Any]:
        """[m_1, …, m_n], to the same order relative to ``scale**k exp(-k A_0(0))``."""
        out = []
        for k, coefficients in enumerate(self.moment_coefficients(n), 1):
            leading = self.scale**k * sp.exp(-k * self.terms[0].subs(m, 0))
            out.append(leading * self._sum(coefficients))
        return out

    def moment_coefficients(self, n: int) -> list[tuple[Any, ...]]:
        """For each k = 1 … n the coefficients (P_0, P_1, …) of m_k/(scale**k exp(-k A_0(0))) in powers of ε."""
        return [self._with_parameters(_moment_coefficients(self.pure_terms, k)) for k in range(1, n + 1)]

    def _with_parameters(self, expressions: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(x.xreplace(self.parameters) for x in expressions) if self.parameters else expressions

    def _sum(self, coefficients: Sequence[Any]) -> Any:
        return sp.Add(*(x * self.depth ** (-self.step * k) for k, x in enumerate(coefficients)))

    @property
    def derivation(self) -> Derivation:
        """The steps, with the corrected S-transform, edges and moments; the equation is that of the limit."""
        return Derivation(
            subject=self.subject,
            steps=self.steps,
            equation=self.equation,
            s_transform=sp.exp(self.log_s),
            r_transform=None,
            edges=self.edges,
            moment_rule=self.moments,
            definitions=self.definitions,
        )


@functools.lru_cache(maxsize=256)
def _moment_coefficients(terms: tuple[Any, ...], k: int) -> tuple[Any, ...]:
    """(1/k) [m^(k-1)] (1+m)^k exp(-k (A_0(m) - A_0(0) + A_1 ε + …)), in powers of ε."""
    taylor = [_taylor(term, k) for term in terms]
    constant = [0, *(-k * x for x in taylor[0][1:])]
    leading = series.multiply([sp.binomial(k, j) for j in range(k)], series.exp(constant))
    # exp of a series in ε whose coefficients are series in m: n E_n = Σ j (-k A_j) E_(n-j)
    parts = [leading]
    for n in range(1, len(terms)):
        total: list[Any] = [sp.S.Zero] * k
        for j in range(1, n + 1):
            total = series.add(total, series.multiply([sp.Rational(-k * j, n) * x for x in taylor[j]], parts[n - j]))
        parts.append(total)
    return tuple(_tidy(part[k - 1] / sp.Integer(k)) for part in parts)


def _taylor(expression: Any, n: int) -> list[Any]:
    numerator, denominator = sp.fraction(sp.together(expression))
    top, bottom = (([sp.S.Zero] * n + sp.Poly(x, m).all_coeffs())[: -n - 1 : -1] for x in (numerator, denominator))
    return top if bottom == [1] + [0] * (n - 1) else series.multiply(top, series.reciprocal(bottom))


def _tidy(expression: Any) -> Any:
    return sp.factor(sp.expand(expression))


def edge_corrections(terms: Sequence[Any], rate: Any) -> list[tuple[Any, Any]]:
    """Corrections of the logarithms of both edges of a law whose log S begins with A_0 = constant - 2 rate m.

    The edges of the limit stand at m (1 + m) = 1/(2 rate), 1 + 2m = ±ρ, ρ = sqrt(1 + 2/rate), where the derivatives of
    log((1 + m)/m) are polynomials in m and rate; everything is computed with polynomials in ρ, reduced by ρ².

    Parameters
    ----------
    terms : sequence of sympy expressions
        A_0, A_1, …; polynomials in m.
    rate : sympy expression in one symbol

    Returns
    -------
    list of (u, w)
        E_k = u ± w ρ for the upper and the lower edge, k = 1, 2, …
    """
    order = len(terms) - 1
    symbols = sorted(set().union(*(term.free_symbols for term in terms[1:])) - {m} - rate.free_symbols, key=str)
    field = sp.QQ.frac_field(*rate.free_symbols)
    ring, root, *_ = sp.ring([sp.Symbol("rho"), *symbols], field)
    c = ring.ground_new(field.from_sympy(rate))
    square = root**2 - ring.ground_new(field.from_sympy(1 + 2 / rate))

    def tidy(element: Any) -> Any:
        return element.rem([square]) if hasattr(element, "rem") else ring(element)

    point = (root - 1) / 2
    powers = [ring(1)]  # of the point, and of 1 + point
    others = [ring(1)]
    for _ in range(max(order + 1, *(sp.degree(term, m) for term in terms))):
        powers.append(tidy(powers[-1] * point))
        others.append(tidy(others[-1] * (1 + point)))
    leading = [ring(0), ring(0)]  # without the value of the limit; the slope is 0
    for j in range(2, order + 2):
        leading.append(tidy((-1) ** (j - 1) * math.factorial(j - 1) * (2 * c) ** j * (powers[j] - others[j])))
    rows = [leading]
    for term in terms[1:]:
        row = [-ring.from_expr(x) for x in reversed(sp.Poly(term, m).all_coeffs())]
        values = []
        for _ in range(order + 2):
            values.append(tidy(sum((x * powers[k] for k, x in enumerate(row)), ring(0))))
            row = [k * x for k, x in enumerate(row)][1:]
        rows.append(values)
    # F_0'' = 4 rate² ρ
    inverse_curvature = root * ring.ground_new(field.from_sympy(1 / (4 * rate**2 + 8 * rate)))
    out = []
    for value in stationary_value(rows, inverse_curvature, tidy)[1:]:
        parts: list[list[Any]] = [[], []]
        for (degree, *powers_of), coefficient in ring(value).terms():
            monomial = sp.Mul(*(x**k for x, k in zip(symbols, powers_of, strict=True)))
            parts[degree].append(sp.factor(coefficient.as_expr()) * monomial)
        out.append((sp.Add(*parts[0]), sp.Add(*parts[1])))
    return out


def collected(expression: Any, symbols: Sequence[Any]) -> Any:
    """The coefficient of every monomial in the symbols factored."""
    present = [x for x in symbols if expression.has(x)]
    if not present:
        return sp.factor(expression)
    return sp.Add(
        *(
            sp.Mul(sp.factor(factor), *(x**k for x, k in zip(present, powers, strict=True)))
            for powers, factor in sp.Poly(expression, *present).terms()
        )
    )


def stationary_value(
    derivatives: Sequence[Sequence[Any]], inverse_curvature: Any, tidy: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Value of F = F_0 + ε F_1 + … at its stationary point next to one of F_0, in powers of ε.

    Parameters
    ----------
    derivatives : sequence of sequences of elements of a ring
        ``derivatives[n][j]`` is the j-th derivative of F_n at the stationary point of F_0, j up to the number of
        corrections + 1.
    inverse_curvature : element of the ring
        1/F_0'' there.
    tidy : callable
        Normal form of elements.

    Returns
    -------
    tuple
        The first three are F_0, F_1 and ``F_2 - F_1'**2/(2 F_0'')``.
    """
    order = len(derivatives) - 1
    move: list[Any] = [0] * (order + 1)  # of the stationary point

    def coefficient(k: int, shift: int) -> Any:
        """[ε^k] of the derivative of F of order ``shift`` at the moved point."""
        power, total = [1] + [0] * order, 0
        for j in range(order + 1):
            total += sum(row[j + shift] * power[k - n] for n, row in enumerate(derivatives[: k + 1]))
            power = [tidy(divide(x, j + 1)) for x in series.multiply(power, move)]
        return tidy(total)

    # an error of the point enters the value squared
    for k in range(1, order // 2 + 1):
        move[k] = tidy(-coefficient(k, 1) * inverse_curvature)
    return tuple(coefficient(k, 0) for k in range(order + 1))
