"""Exact polynomials over the integers: resultants, factors and substitutions. Alone imports python-flint.

A `Ring` has four working variables u, v, w, t and as many parameters as wanted. Where python-flint is installed its
elements are FLINT's multivariate polynomials, otherwise those of sympy's sparse rings: the same answers, some hundred
times slower. Elements support + - * and integer powers; everything else is asked of the ring, so that a computation
stays in one representation from its first step to its last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sympy as sp
from sympy.polys.rings import ring as sympy_ring

try:
    import flint
except ImportError:
    flint = None

__all__ = ["VARIABLES", "Ring", "has_flint", "make_ring"]

VARIABLES = 4
_NAMES = ("u", "v", "w", "t")
Terms = Mapping[tuple[int, ...], Any]


def has_flint() -> bool:
    """Whether python-flint does the algebra."""
    return flint is not None


def make_ring(parameters: int, backend: str | None = None) -> Ring:
    """The ring Z[u, v, w, t, p_0, …] with a number of parameters; equal arguments give the same object.

    Parameters
    ----------
    parameters : int
        Number of parameters.
    backend : {"flint", "sympy"}, optional
        By default FLINT where python-flint is installed.

    Raises
    ------
    ModuleNotFoundError
        If FLINT is asked for and python-flint is not installed.
    """
    chosen = backend or ("flint" if has_flint() else "sympy")
    if chosen == "flint" and not has_flint():
        raise ModuleNotFoundError('backend="flint": python-flint is not installed; pip install "rmt-toolkit[exact]"')
    return _rings(parameters, chosen)


@cache
def _rings(parameters: int, backend: str) -> Ring:
    names = (*_NAMES, *(f"p{k}" for k in range(parameters)))
    return FlintRing(names) if backend == "flint" else SympyRing(names)


class Ring(ABC):
    """Polynomials with integer coefficients in named variables, in lexicographic order."""

    backend: str

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.gens: tuple[Any, ...] = ()

    # --- what a backend does --------------------------------------------------------------------------------------

    @abstractmethod
    def from_terms(self, terms: Terms) -> Any:
        """The element with these coefficients, exponents -> integer."""

    @abstractmethod
    def terms(self, p: Any) -> dict[tuple[int, ...], int]:
        """Exponents -> integer coefficient."""

    @abstractmethod
    def resultant(self, p: Any, q: Any, variable: int) -> Any:
        """The resultant, free of the variable with this index."""

    @abstractmethod
    def factor(self, p: Any) -> list[tuple[Any, int]]:
        """Irreducible factors with multiplicities, integers left out."""

    @abstractmethod
    def content(self, p: Any) -> int:
        """The positive divisor of all integer coefficients."""

    @abstractmethod
    def leading_coefficient(self, p: Any) -> int:
        """The integer coefficient of the first term in lexicographic order."""

    @abstractmethod
    def gcd(self, p: Any, q: Any) -> Any:
        """Greatest common divisor over the integers."""

    @abstractmethod
    def quotient(self, p: Any, q: Any) -> Any:
        """p/q, or None where q does not divide p."""

    @abstractmethod
    def derivative(self, p: Any, variable: int) -> Any:
        """Partial derivative."""

    @abstractmethod
    def compose(self, p: Any, images: Sequence[Any]) -> Any:
        """The polynomial with every variable, parameters included, replaced by its image."""

    # --- what follows ---------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return len(self.names) - VARIABLES

    def constant(self, value: int) -> Any:
        """An integer as an element."""
        return self.from_terms({(0,) * len(self.names): value} if value else {})

    def degree(self, p: Any, variable: int) -> int:
        """Degree in one variable, 0 for the zero polynomial."""
        return max((exponents[variable] for exponents in self.terms(p)), default=0)

    def renamed(self, p: Any, places: Mapping[int, int]) -> Any:
        """The polynomial with variables moved to other places, index -> new index."""
        if all(old == new for old, new in places.items()):
            return p
        out: dict[tuple[int, ...], int] = {}
        for exponents, c in self.terms(p).items():
            moved = [0 if k in places else e for k, e in enumerate(exponents)]
            for old, new in places.items():
                moved[new] += exponents[old]
            out[tuple(moved)] = out.get(tuple(moved), 0) + c
        return self.from_terms(out)

    def substitute(self, p: Any, first: tuple[Any, Any], second: tuple[Any, Any]) -> Any:
        """The numerator of p(u = a/b, v = c/d), for p in u, v and the parameters; common factors are left in."""
        # homogenised, u -> u/w and v -> v/t, so that one composition does it
        terms = self.terms(p)
        rows = max((e[0] for e in terms), default=0)
        columns = max((e[1] for e in terms), default=0)
        homogeneous = self.from_terms({(e[0], e[1], rows - e[0], columns - e[1], *e[VARIABLES:]): c
                                       for e, c in terms.items()})
        return self.compose(homogeneous, (first[0], second[0], first[1], second[1], *self.gens[VARIABLES:]))

    def without(self, p: Any, factor: Any) -> Any:
        """The polynomial with all powers of a factor divided out."""
        powers = [factor]
        while (q := self.quotient(p, powers[-1])) is not None:
            p = q
            powers.append(powers[-1] * powers[-1])
        for power in reversed(powers[:-1]):
            if (q := self.quotient(p, power)) is not None:
                p = q
        return p

    def coefficients(self, p: Any) -> dict[tuple[int, ...], Any]:
        """Exponents of u, v, w, t -> coefficient, a polynomial in the parameters."""
        grouped: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
        for e, c in self.terms(p).items():
            grouped.setdefault(e[:VARIABLES], {})[(0,) * VARIABLES + e[VARIABLES:]] = c
        return {e: self.from_terms(terms) for e, terms in grouped.items()}

    def without_monomials(self, p: Any, variables: Sequence[int]) -> Any:
        """The polynomial divided by all powers of some variables."""
        terms = self.terms(p)
        low = [min(e[k] for e in terms) if k in variables else 0 for k in range(len(self.names))]
        if not any(low):
            return p
        return self.from_terms({tuple(a - b for a, b in zip(e, low, strict=True)): c for e, c in terms.items()})

    def primitive(self, p: Any) -> Any:
        """The polynomial in u, v, w, t divided by the common divisor of its coefficients in Z[parameters]."""
        one = self.constant(1)
        common = self.constant(self.content(p))
        if self.parameters:
            common = self.constant(0)
            for c in self.coefficients(p).values():
                common = self.gcd(common, c)
                if common == one:
                    return p
        return p if common == one else self.quotient(p, common)

    def discriminant(self, p: Any, variable: int) -> Any:
        """Resultant of p and its derivative: the discriminant times the leading coefficient, up to a sign."""
        return self.resultant(p, self.derivative(p, variable), variable)


class FlintRing(Ring):
    """The ring by FLINT's `fmpz_mpoly`."""

    backend = "flint"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self._context = flint.fmpz_mpoly_ctx.get(names, "lex")
        self.gens = tuple(self._context.gens())

    def from_terms(self, terms: Terms) -> Any:
        return self._context.from_dict(dict(terms))

    def terms(self, p: Any) -> dict[tuple[int, ...], int]:
        return {tuple(map(int, e)): int(c) for e, c in p.to_dict().items()}

    def degree(self, p: Any, variable: int) -> int:
        return max(int(p.degrees()[variable]), 0)

    def resultant(self, p: Any, q: Any, variable: int) -> Any:
        return p.resultant(q, self.names[variable])

    def factor(self, p: Any) -> list[tuple[Any, int]]:
        return [(f, int(e)) for f, e in p.factor()[1]]

    def content(self, p: Any) -> int:
        return int(p.content())

    def leading_coefficient(self, p: Any) -> int:
        return int(p.leading_coefficient())

    def gcd(self, p: Any, q: Any) -> Any:
        return p.gcd(q)

    def quotient(self, p: Any, q: Any) -> Any:
        try:
            return p / q
        except flint.utils.flint_exceptions.DomainError:
            return None

    def derivative(self, p: Any, variable: int) -> Any:
        return p.derivative(variable)

    def compose(self, p: Any, images: Sequence[Any]) -> Any:
        return p.compose(*images, ctx=self._context)


class SympyRing(Ring):
    """The ring by sympy's sparse polynomials over ZZ."""

    backend = "sympy"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self._ring, *gens = sympy_ring(names, sp.ZZ)
        self.gens = tuple(gens)

    def from_terms(self, terms: Terms) -> Any:
        return self._ring.from_dict({e: sp.ZZ(int(c)) for e, c in terms.items() if c})

    def terms(self, p: Any) -> dict[tuple[int, ...], int]:
        return {e: int(c) for e, c in p.items()}

    def resultant(self, p: Any, q: Any, variable: int) -> Any:
        # sympy eliminates the first variable of a ring; unused variables would only be carried along
        used = [variable, *(k for k in range(len(self.names))
                            if k != variable and (self.degree(p, k) or self.degree(q, k)))]
        if len(used) == 1:
            used.append((variable + 1) % len(self.names))
        inner = sympy_ring([self.names[k] for k in used], sp.ZZ)[0]
        a, b = (inner.from_dict({tuple(e[k] for k in used): c for e, c in x.items()}) for x in (p, q))
        out: dict[tuple[int, ...], Any] = {}
        for e, c in a.resultant(b).items():
            full = [0] * len(self.names)
            for place, exponent in zip(used[1:], e, strict=True):
                full[place] = exponent
            out[tuple(full)] = c
        return self.from_terms(out)

    def factor(self, p: Any) -> list[tuple[Any, int]]:
        return [(f, int(e)) for f, e in p.factor_list()[1]]

    def content(self, p: Any) -> int:
        return int(p.content())

    def leading_coefficient(self, p: Any) -> int:
        return int(p.LC)

    def gcd(self, p: Any, q: Any) -> Any:
        return p.gcd(q)

    def quotient(self, p: Any, q: Any) -> Any:
        ratio, remainder = divmod(p, q)
        return None if remainder else ratio

    def derivative(self, p: Any, variable: int) -> Any:
        return p.diff(self.gens[variable])

    def compose(self, p: Any, images: Sequence[Any]) -> Any:
        return p.compose(list(zip(self.gens, images, strict=True)))
