"""Self-adjoint polynomials in free variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreeSumPower
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.polynomial_atoms import atoms_of_polynomial
from rmt.algebra.polynomial_image import PolynomialImage
from rmt.algebra.polynomial_tails import unbounded_sides
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.numeric.channels import RationalR
from rmt.numeric.intervals import find_intervals
from rmt.numeric.leaves import DiscreteLeaf
from rmt.numeric.linearisation import linearise_polynomial
from rmt.numeric.node import Node
from rmt.numeric.operator_valued import PencilNode
from rmt.parameters import as_float
from rmt.results import ConvergenceError
from rmt.series.word_moments import polynomial_moments
from rmt.support import Edge

__all__ = ["PolynomialLaw", "polynomial_law"]

FloatArray = npt.NDArray[np.float64]
Word = tuple[int, ...]

# Hard edges closer than this to the constant term, relative to the scale of the law, are at the constant term.
_SNAP = 1e-8


@dataclass(frozen=True, repr=False)
class PolynomialLaw(Law):
    """Law of a self-adjoint polynomial in free self-adjoint variables; built by `polynomial_law`.

    The polynomial is linearised by a minimal Hermitian pencil (`rmt.numeric.linearisation`), whose matrix-valued
    Cauchy transform is solved together with the variables' own curves as one system (`rmt.numeric.operator_valued`;
    Belinschi, Mai and Speicher 2017). The law may be used in further free operations.

    Atoms: a polynomial in variables without atoms has none unless it is constant (Shlyakhtenko and Skoufranis 2015);
    otherwise they depend on the atoms of the variables only, as for matrices in general position (Arizmendi, Cébron,
    Speicher and Yin 2024).

    Attributes
    ----------
    terms : tuple of (coefficient, word)
        Words are tuples of indices into ``laws``, in increasing order of length; () is the constant.
    laws : tuple of Law
        Of the variables.
    names : tuple of str
        What the variables are called.

    Raises
    ------
    ValueError
        If the polynomial is constant or not self-adjoint (naming a monomial that shows it).
    """

    terms: tuple[tuple[Any, Word], ...]
    laws: tuple[Law, ...]
    names: tuple[str, ...]

    def __init__(
        self, terms: tuple[tuple[Any, Word], ...], laws: tuple[Law, ...], names: tuple[str, ...] | None = None
    ) -> None:
        names = tuple(f"x_{k}" for k in range(1, len(laws) + 1)) if names is None else tuple(names)
        collected: dict[Word, Any] = {}
        for coefficient, word in terms:
            collected[tuple(word)] = collected.get(tuple(word), 0) + coefficient
        collected = {word: c for word, c in collected.items() if c != 0}
        size = max((abs(c) for c in collected.values()), default=0)
        for word, c in collected.items():
            other = collected.get(word[::-1], 0)
            if abs(c - other.conjugate()) > 1e-14 * size:
                mirrored = _monomial(word[::-1], names)
                raise ValueError(
                    f"expression: not self-adjoint: the monomial {_monomial(word, names)} has the coefficient {c}, its "
                    f"adjoint {mirrored} has {other} instead of {c.conjugate()}; symmetrise, (p + p*)/2"
                )
        if not any(collected):
            raise ValueError("expression: a constant has no law to compute; use Discrete({value: 1})")
        ordered = sorted(collected.items(), key=lambda item: (len(item[0]), item[0]))
        object.__setattr__(self, "terms", tuple((c, word) for word, c in ordered))
        object.__setattr__(self, "laws", tuple(laws))
        object.__setattr__(self, "names", names)

    @cached_property
    def _reduced(self) -> dict[Word, Any]:
        """Word -> coefficient, powers of variables with k atoms only brought below k by their minimal polynomial."""
        out: dict[Word, Any] = {word: c for c, word in self.terms}
        for index, law in enumerate(self.laws):
            if not isinstance(law, Discrete):
                continue
            minimal = [1]  # coefficients of the minimal polynomial, highest power first
            for x, _ in law.masses:
                minimal = [a - x * b for a, b in zip([*minimal, 0], [0, *minimal], strict=True)]
            degree = len(law.masses)
            run = (index,) * degree
            while long := [word for word in out if any(word[k : k + degree] == run for k in range(len(word)))]:
                for word in long:
                    coefficient = out.pop(word)
                    place = next(k for k in range(len(word)) if word[k : k + degree] == run)
                    for j in range(1, degree + 1):
                        shorter = word[:place] + (index,) * (degree - j) + word[place + degree :]
                        out[shorter] = out.get(shorter, 0) - minimal[j] * coefficient
        size = max((abs(c) for c in out.values()), default=0)
        return {word: c for word, c in out.items() if abs(c) > 1e-15 * size or word == ()}

    def _node(self) -> Node:
        used = sorted({index for word in self._reduced for index in word})
        if not used:
            return DiscreteLeaf([float(self._reduced.get((), 0).real)], [1.0])
        words = {tuple(used.index(i) for i in word): complex(c) for word, c in self._reduced.items()}
        laws = [self.laws[index] for index in used]
        scales = [math.sqrt(as_float(law.moments(2)[1], "second moment")) for law in laws]
        m1, m2 = (as_float(m, "moment") for m in self.moments(2))
        variables = [_rational_r(law) or law.numeric for law in laws]
        ends = [(False, False) if isinstance(v, RationalR) else v.unbounded for v in variables]
        unbounded = (False, False)
        if any(map(any, ends)):

            def tau(word: Word) -> Any:
                cumulants = [law.free_cumulants(max(1, len(word))) for law in laws]
                return polynomial_moments({word: 1}, cumulants, 1)[0] if word else 1

            unbounded = unbounded_sides(words, ends, scales, tau)
        return PencilNode(linearise_polynomial(words, scales), variables, m1, m2 - m1 * m1, unbounded)

    def _edges(self) -> tuple[Edge, ...]:
        """Edges found numerically; hard ones next to the constant term are at the constant term."""
        atoms = {float(x): float(p) for x, p in self._atoms().items()}
        try:
            intervals = find_intervals(self.numeric, atoms)
        except ArithmeticError as error:
            raise ConvergenceError(
                f"support of {self!r}: {error}; change the parameters slightly (a critical case), or report this law"
            ) from error
        constant = self._reduced.get((), 0)
        constant = constant.real if isinstance(constant, complex) else constant
        size = abs(self.numeric.mean) + math.sqrt(self.numeric.variance)

        def edge(position: float, exponent: float | None, side: str) -> Edge:
            hard = exponent is None or exponent < 0
            snapped = hard and abs(position - float(constant)) < _SNAP * size
            return Edge(constant if snapped else position, exponent, side)

        return tuple(
            e
            for piece in intervals
            for e in (
                edge(piece.lower, piece.lower_exponent, "lower"),
                edge(piece.upper, piece.upper_exponent, "upper"),
            )
        )

    def _atoms(self) -> dict[Any, Any]:
        return atoms_of_polynomial(self._reduced, [law._atoms() for law in self.laws])

    def _moments_series(self, n: int) -> list[Any]:
        letters = [max(word.count(index) for _, word in self.terms) for index in range(len(self.laws))]
        cumulants = [law.free_cumulants(n * k) if k else [] for law, k in zip(self.laws, letters, strict=True)]
        return polynomial_moments({word: c for c, word in self.terms}, cumulants, n)


def polynomial_law(expression: Any, variables: Mapping[Any, Law]) -> Law:
    """Law of a self-adjoint polynomial in free self-adjoint variables.

    A polynomial of a single variable is an `Affine` map or a `PolynomialImage`, all others are a `PolynomialLaw`.

    Parameters
    ----------
    expression : sympy expression
        Polynomial in noncommutative symbols, ``x, y = sympy.symbols("x y", commutative=False)``; coefficients may be
        complex, as in the commutator ``I*(x*y - y*x)``.
    variables : mapping
        Symbol -> law; symbols with the same law are different, free variables.

    Raises
    ------
    ValueError
        If the expression is not a polynomial in these symbols, is constant, or is not self-adjoint; the message names
        the term.

    Examples
    --------
    >>> import rmt, sympy
    >>> x, y = sympy.symbols("x y", commutative=False)
    >>> rmt.polynomial_law(x*y + y*x, {x: rmt.Semicircle(), y: rmt.MarchenkoPastur(1)}).moments(4)
    [0, 6, 0, 124]
    """
    from rmt.symbolic.words import check_variables, words_of

    symbols = check_variables(variables)
    for symbol, law in variables.items():
        if not isinstance(law, Law):
            raise ValueError(f"variables: {symbol} is given {law!r}; expected a law")
    words = words_of(expression, symbols)
    used = sorted({index for word in words for index in word})
    if len(used) == 1:
        return _of_one_variable(words, variables[symbols[used[0]]])
    terms = tuple((c, tuple(used.index(index) for index in word)) for word, c in words.items())
    return PolynomialLaw(terms, tuple(variables[symbols[k]] for k in used), tuple(symbols[k].name for k in used))


def _of_one_variable(words: Mapping[Word, Any], law: Law) -> Law:
    coefficients = [words.get((word[0],) * k, 0) for word in [max(words, key=len)] for k in range(len(word) + 1)]
    for k, c in enumerate(coefficients):
        if isinstance(c, complex):
            raise ValueError(f"expression: not self-adjoint: the power {k} has the coefficient {c}; it must be real")
    return Affine(law, coefficients[1], coefficients[0]) if len(coefficients) == 2 else PolynomialImage(
        tuple(coefficients), law
    )


def _monomial(word: Word, names: tuple[str, ...]) -> str:
    return "*".join(names[index] for index in word) or "1"


def _rational_r(law: Law) -> RationalR | None:
    """R-transform of laws for which it is rational without a choice of branch."""
    if isinstance(law, Semicircle):
        return RationalR(as_float(law.mean_value, "mean"), as_float(law.variance, "variance"))
    if isinstance(law, MarchenkoPastur):
        return RationalR(0.0, 0.0, ((1.0, as_float(law.ratio, "ratio")),))
    if isinstance(law, Affine):
        inner = _rational_r(law.law)
        if inner is None:
            return None
        a, b = as_float(law.scale, "scale"), as_float(law.shift, "shift")
        return RationalR(a * inner.constant + b, a * a * inner.slope, tuple((a * w, a * c) for w, c in inner.poles))
    if isinstance(law, FreeSumPower):
        inner = _rational_r(law.law)
        t = as_float(law.exponent, "exponent")
        return inner and RationalR(t * inner.constant, t * inner.slope, tuple((t * w, c) for w, c in inner.poles))
    if isinstance(law, FreeSum):
        parts = [_rational_r(part) for part in law.laws]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        poles = tuple(pole for part in known for pole in part.poles)
        return RationalR(sum(part.constant for part in known), sum(part.slope for part in known), poles)
    return None
