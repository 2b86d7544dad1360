"""What an entry of the catalogue is: a published result, how it is derived, and what makes it true here.

A statement is a tuple of relations between symbols. Its *witnesses* are values of these symbols found without the
statement (quadrature, enumeration, exact series, linear algebra, another law of the toolkit): the check puts them into
both sides. This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import mpmath
import sympy as sp

from rmt.references import cite
from rmt.symbolic.derivation import Derivation, Step, to_sympy

__all__ = ["Agreement", "Entry", "Witness", "eq", "evaluate"]

Witness: TypeAlias = Mapping[Any, Any]

_DIGITS = 30


def eq(left: Any, right: Any) -> Any:
    """An equation that stays as it is written."""
    return sp.Eq(left, right, evaluate=False)


@dataclass(frozen=True)
class Agreement:
    """One relation at one witness: both sides, and whether they agree.

    Attributes
    ----------
    relation : sympy relation
    left, right : number or sympy expression
        The two sides at the witness.
    passed : bool
        Whether the relation holds there within the tolerance.
    """

    relation: Any
    left: Any
    right: Any
    passed: bool


@dataclass(frozen=True, eq=False)
class Entry:
    """A published result.

    Attributes
    ----------
    key : str
        Stable name, as in ``rmt catalogue show KEY``.
    title : str
        What the result says, in a few words.
    statement : tuple of sympy relations
        The formulas.
    hypotheses : tuple of str
        What must hold for them; inline mathematics stands between dollar signs.
    source : tuple of (key, place)
        Keys of the bibliography (`rmt.cite`) with the equation or section where that was looked up, else ""; what was
        derived here has an empty key and says so.
    steps : tuple of Step
        How the statement follows, where no object of the toolkit carries it.
    witnesses : callable
        Returns values of the statement's symbols, found without the statement. A relation is judged at all witnesses
        that name all its symbols.
    witnessed_by : str
        How the witnesses are found.
    tolerance : float
        Relative difference (absolute below 1) up to which both sides agree; 0 for exact fractions.
    quoted : mapping of symbol to str
        Published decimal values of symbols; they are part of the statement and hold to their last digit.
    derivation_of : callable or None
        Returns the derivation of the law or network of the toolkit that carries the result.
    law : callable or None
        Parameters -> Law, where the result is about a law of the toolkit.
    network : callable or None
        Parameters -> network, where the result is about one.
    arguments : tuple of mappings
        Numeric arguments of `law`, at which the tests compare curves with the statement.
    """

    key: str
    title: str
    statement: tuple[Any, ...]
    hypotheses: tuple[str, ...]
    source: tuple[tuple[str, str], ...]
    witnesses: Callable[[], Iterable[Witness]]
    witnessed_by: str
    steps: tuple[Step, ...] = ()
    tolerance: float = 1e-10
    quoted: Mapping[Any, str] = field(default_factory=dict)
    derivation_of: Callable[[], Derivation] | None = None
    law: Callable[..., Any] | None = None
    network: Callable[..., Any] | None = None
    arguments: tuple[Mapping[str, Any], ...] = ()

    @property
    def relations(self) -> tuple[Any, ...]:
        """The statement with the published decimal values."""
        return self.statement + tuple(eq(symbol, sp.Float(value, "")) for symbol, value in self.quoted.items())

    def derivation(self) -> Derivation:
        """The steps that lead to the statement, the statement last; those of the toolkit's object come first.

        Its `moments` are those of the law, where the result is about one, and raise NotImplementedError elsewhere.
        """
        last = Step("Result", self.relations, " ".join((*self.hypotheses, self.verified())), self.sources())
        if self.derivation_of is not None:
            carrier = self.derivation_of()
            return replace(carrier, subject=self.title, steps=(*carrier.steps, *self.steps, last))
        return Derivation(
            subject=self.title,
            steps=(*self.steps, last),
            equation=self.statement[0],
            s_transform=None,
            r_transform=None,
            edges=(),
            moment_rule=self._no_moments,
        )

    def sources(self) -> str:
        """The sources in words: key and place, separated by semicolons."""
        return "; ".join(", ".join(filter(None, pair)) for pair in self.source)

    def bibtex(self) -> str:
        """BibTeX of the sources."""
        return "\n\n".join(cite(key) for key, _ in self.source if key)

    def check(self) -> tuple[Agreement, ...]:
        """Every relation at every witness that names its symbols.

        Raises
        ------
        ValueError
            If a relation has no witness.
        """
        found: list[Agreement] = []
        for relation in self.relations:
            judged = self.judge(relation)
            if not judged:
                raise ValueError(f"{self.key}: no witness names all symbols of {relation}")
            found.extend(judged)
        return tuple(found)

    @cached_property
    def evidence(self) -> tuple[Witness, ...]:
        """The witnesses as sympy numbers, found once."""
        return tuple({symbol: _number(value) for symbol, value in witness.items()} for witness in self.witnesses())

    def judge(self, relation: Any) -> tuple[Agreement, ...]:
        """A relation at every witness that names its symbols; empty where there is none."""
        named = (witness for witness in self.evidence if relation.free_symbols <= witness.keys())
        return tuple(self._agreement(relation, witness) for witness in named)

    def _agreement(self, relation: Any, witness: Witness) -> Agreement:
        left, right = (side.xreplace(witness) for side in relation.args)
        if self.tolerance == 0:
            return Agreement(relation, left, right, bool(left == right))
        a, b = evaluate(left), evaluate(right)
        left, right = (side.real if side.imag == 0 else side for side in (a, b))
        slack = _last_digit(self.quoted[relation.lhs]) if relation.lhs in self.quoted and b.imag == 0 else 0.0
        if slack == 0 or relation in self.statement:
            slack = self.tolerance * max(1.0, abs(a), abs(b))
        if isinstance(relation, sp.Eq):
            passed = abs(a - b) <= slack
        else:
            excess = a.real - b.real if isinstance(relation, sp.Le | sp.Lt) else b.real - a.real
            passed = excess <= slack
        return Agreement(relation, left, right, bool(passed))

    def verified(self) -> str:
        """What the statement is checked against, and how closely, in a sentence."""
        bound = "exactly" if self.tolerance == 0 else f"to {self.tolerance:.0e}"
        return f"Checked {bound} against {self.witnessed_by}."

    def _no_moments(self, _n: int) -> list[Any]:
        raise NotImplementedError(f"{self.key} is no law: its formulas are its statement")


def _number(value: Any) -> Any:
    """A witness as a sympy number or expression, with all its digits."""
    if isinstance(value, mpmath.mpf):
        return sp.Float(value, _DIGITS)
    if isinstance(value, complex | mpmath.mpc):
        return _number(mpmath.mpf(value.real)) + sp.I * _number(mpmath.mpf(value.imag))
    return to_sympy(value)


def evaluate(expression: Any) -> Any:
    """Number of an expression without symbols."""
    number = sp.N(_evaluated(expression), _DIGITS)
    if not number.is_number or number.has(sp.nan, sp.zoo):
        raise ValueError(f"{expression} is no number: its witness leaves something open")
    return complex(number) if abs(number) < 1e300 else mpmath.mpmathify(number)


def _evaluated(expression: Any) -> Any:
    """Finite sums term by term and integrals by quadrature: sympy would look for closed forms."""
    if isinstance(expression, sp.Integral):
        variable, lower, upper = expression.limits[0]
        integrand = sp.lambdify(variable, expression.function, "mpmath")
        return _number(
            mpmath.quad(integrand, sorted({float(lower), min(max(0.0, float(lower)), float(upper)), float(upper)}))
        )
    if isinstance(expression, sp.Sum):
        *inner, (index, lower, upper) = expression.limits
        inside = sp.Sum(expression.function, *inner) if inner else expression.function
        if upper == sp.oo:
            return _number(mpmath.nsum(sp.lambdify(index, inside, "mpmath"), [int(lower), mpmath.inf]))
        terms = (inside.xreplace({index: sp.Integer(j)}) for j in range(int(lower), int(upper) + 1))
        return sp.Add(*(_evaluated(term) for term in terms))
    if expression.has(sp.Sum, sp.Integral):
        return expression.func(*map(_evaluated, expression.args))
    return expression


def _last_digit(text: str) -> float:
    """Somewhat more than half a unit of the last digit of a decimal."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return 0.55 * math.pow(10.0, int(exponent or 0) - digits)
