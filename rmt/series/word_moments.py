"""Exact moments of polynomials in free variables, from the variables' free cumulants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.parameters import normalised
from rmt.series.power_series import lowest_terms

__all__ = ["polynomial_moments"]

_Matrix = npt.NDArray[Any]
# Power of t -> matrix.
_Graded = dict[int, _Matrix]


def polynomial_moments(
    terms: Mapping[tuple[int, ...], Any], cumulants: Sequence[Sequence[Any]], n: int
) -> list[Any]:
    """Moments m_1 … m_n of the self-adjoint polynomial ``Σ c w`` over the words w of ``terms`` in free variables.

    The generating function of the powers of p is a corner of the resolvent of an automaton that reads p letter by
    letter and multiplies by t when a word is complete; its expectation G solves the matrix-valued moment-cumulant
    relation ``G = 1 + Σ_i Σ_k κ_k(x_i) (A_i G)^k`` (Speicher 1998), which is expanded by the number of letters.

    Parameters
    ----------
    terms : mapping
        Word (tuple of indices of variables) -> coefficient, int, Fraction, float or complex.
    cumulants : sequence of sequences
        Free cumulants κ_1, κ_2, … of each variable, as many as letters of that variable in p^n.
    n : int
        Number of moments.

    Returns
    -------
    list
        Exact where coefficients and cumulants are (complex coefficients too, if their parts are integers), else floats.

    Examples
    --------
    >>> polynomial_moments({(0, 1): 1, (1, 0): 1}, [[0, 1], [0, 1]], 4)  # the anticommutator of two semicirculars
    [0, 2, 0, 10]
    """
    terms = dict(terms)
    constant = terms.pop((), 0)
    shift = _whole(constant.real) if isinstance(constant, complex) else constant
    raw = _automaton_moments(terms, cumulants, n) if terms else [1] + [0] * n
    out = [sum(math.comb(k, j) * shift ** (k - j) * raw[j] for j in range(k + 1)) for k in range(1, n + 1)]
    return [normalised(lowest_terms(value)) for value in out]


def _whole(value: float) -> Any:
    return int(value) if value == int(value) else value


def _planar(value: Any, plane: int) -> list[list[Any]]:
    """A coefficient as a real matrix: a + bi is [[a, -b], [b, a]]."""
    if plane == 1:
        return [[value]]
    a, b = (_whole(value.real), _whole(value.imag)) if isinstance(value, complex) else (value, 0)
    return [[a, -b], [b, a]]


def _automaton_moments(
    terms: Mapping[tuple[int, ...], Any], cumulants: Sequence[Sequence[Any]], n: int
) -> list[Any]:
    """[1, m_1, …, m_n] of a polynomial without constant term."""
    prefixes = sorted({word[:k] for word in terms for k in range(1, len(word))})
    states = {prefix: k for k, prefix in enumerate([(), *prefixes])}
    plane = 2 if any(isinstance(c, complex) for c in terms.values()) else 1
    numbers = [*(x for c in terms.values() for x in _planar(c, plane)[0]), *(x for row in cumulants for x in row)]
    kind: Any = float if any(isinstance(x, float) for x in numbers) else object

    def step(origin: tuple[int, ...], target: tuple[int, ...], value: Any) -> _Matrix:
        where = np.zeros((len(states), len(states)), dtype=int).astype(kind)
        where[states[origin], states[target]] = 1
        return np.asarray(np.kron(where, np.array(_planar(value, plane), dtype=kind)), dtype=kind)

    steps: list[_Graded] = [{} for _ in cumulants]
    for prefix in prefixes:
        _add(steps[prefix[-1]], 0, step(prefix[:-1], prefix, 1))
    for word, coefficient in terms.items():
        _add(steps[word[-1]], 1, step(word[:-1], (), coefficient))

    orders = [max((k for k, value in enumerate(row, start=1) if value != 0), default=0) for row in cumulants]
    g: list[_Graded] = [{0: np.eye(plane * len(states), dtype=int).astype(kind)}]
    # chains[i][k][l]: the part of (A_i G)^(k + 1) with l + 1 letters
    chains: list[list[list[_Graded]]] = [[[] for _ in range(order)] for order in orders]
    for length in range(n * max(len(word) for word in terms)):
        total: _Graded = {}
        for row, letter, chain in zip(cumulants, steps, chains, strict=True):
            for k, parts in enumerate(chain):
                part: _Graded = {}
                if k == 0:
                    _add_product(part, letter, g[length], n)
                for first in range(length if k else 0):
                    _add_product(part, chain[0][first], chain[k - 1][length - 1 - first], n)
                parts.append(part)
                if row[k] != 0:
                    for power, matrix in part.items():
                        _add(total, power, row[k] * matrix)
        g.append(total)
    corner = [sum(part[k][0, 0] for part in g if k in part) for k in range(1, n + 1)]
    return [1, *(float(x) if kind is float else x for x in corner)]


def _add(into: _Graded, power: int, matrix: _Matrix) -> None:
    into[power] = into[power] + matrix if power in into else matrix


def _add_product(into: _Graded, a: _Graded, b: _Graded, n: int) -> None:
    """Add a b, truncated behind t^n; zero matrices are dropped."""
    for p, left in a.items():
        for q, right in b.items():
            if p + q <= n:
                matrix = left @ right
                if np.any(matrix != 0):
                    _add(into, p + q, matrix)
