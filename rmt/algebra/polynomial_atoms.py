"""Atoms of polynomials in free variables, read off matrices in general position."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.parameters import normalised

__all__ = ["atoms_of_polynomial"]

ComplexArray = npt.NDArray[np.complex128]
Counts = list[list[int]]

_SIZE = 120
# Eigenvalues closer than this share of the norm are one.
_EQUAL = 1e-9
_LIGHT = 1e-12


def atoms_of_polynomial(
    terms: Mapping[tuple[int, ...], Any], atoms: Sequence[Mapping[Any, Any]]
) -> dict[Any, Any]:
    """Position -> mass of the atoms of a self-adjoint polynomial in free variables with the given atoms.

    The atoms are those of matrices in general position whose eigenvalues have the multiplicities that the atoms
    prescribe and are simple otherwise (Arizmendi, Cébron, Speicher and Yin, *Universality of free random variables*,
    2024). Their multiplicities are piecewise linear in the prescribed ones, with integer coefficients; these are
    found by changing one multiplicity at a time, so that exact masses give exact masses.
    """
    used = sorted({index for word in terms for index in word})
    known = [dict(atoms[index]) for index in used]
    if len(used) < 2:
        return _image(terms, used, known)
    if not any(known):
        return {}
    words = {tuple(used.index(index) for index in word): complex(c) for word, c in terms.items()}
    model = _Model(words, known)
    base: Counts = [[round(_SIZE * float(p)) for p in row.values()] for row in known]
    found = model.multiplicities(base)
    if not found:
        return {}
    slopes: dict[float, list[list[int]]] = {x: [] for x in found}
    for i, counts in enumerate(base):
        for x in found:
            slopes[x].append([])
        for j in range(len(counts)):
            # a change of two, up or down, keeps parities
            change = 2 if sum(counts) + 2 <= _SIZE else -2
            if counts[j] + change < 0:
                for x in found:
                    slopes[x][i].append(0)
                continue
            moved = [list(row) for row in base]
            moved[i][j] += change
            there = model.multiplicities(moved)
            for x, count in found.items():
                match = [c for y, c in there.items() if abs(x - y) < 10 * model.tolerance]
                slopes[x][i].append(((match[0] if match else 0) - count) // change)
    out: dict[Any, Any] = {}
    for x, count in found.items():
        mass: Any = Fraction(count, _SIZE)
        for i, row in enumerate(known):
            for j, p in enumerate(row.values()):
                if slopes[x][i][j]:
                    mass = mass + slopes[x][i][j] * (p - Fraction(base[i][j], _SIZE))
        if float(mass) > _LIGHT:
            out[_position(x, terms, used, known, model.tolerance)] = normalised(mass)
    return out


def _image(
    terms: Mapping[tuple[int, ...], Any], used: Sequence[int], atoms: Sequence[Mapping[Any, Any]]
) -> dict[Any, Any]:
    """Atoms of a polynomial in at most one variable."""
    if not used:
        return {normalised(_evaluated(terms, {})): 1}
    out: dict[Any, Any] = {}
    for x, p in atoms[0].items():
        value = normalised(_evaluated(terms, {used[0]: x}))
        out[value] = out.get(value, 0) + p
    return out


class _Model:
    """The polynomial at matrices in general position."""

    def __init__(self, words: Mapping[tuple[int, ...], complex], atoms: Sequence[Mapping[Any, Any]]) -> None:
        self.words = words
        self.positions = [[float(x) for x in row] for row in atoms]
        rng = np.random.default_rng(20)
        self.bases: list[ComplexArray] = []
        self.fillings = []
        for row in self.positions:
            square = rng.normal(size=(2, _SIZE, _SIZE))
            self.bases.append(np.linalg.qr(square[0] + 1j * square[1])[0])
            spread = max([1.0, *map(abs, row)])
            self.fillings.append(spread * rng.uniform(-1, 1, size=_SIZE))
        self.tolerance = _EQUAL * sum(
            abs(c) * float(np.prod([np.max(np.abs(self.fillings[i])) for i in word])) for word, c in words.items()
        )

    def multiplicities(self, counts: Counts) -> dict[float, int]:
        """Multiple eigenvalues of the polynomial -> multiplicity."""
        matrices = []
        for basis, filling, row, count in zip(self.bases, self.fillings, self.positions, counts, strict=True):
            fixed = np.repeat(row, count)[:_SIZE]
            values = np.concatenate([fixed, filling[: _SIZE - fixed.size]])
            matrices.append((basis * values) @ basis.conj().T)
        total = np.zeros((_SIZE, _SIZE), dtype=complex)
        for word, c in self.words.items():
            product = np.eye(_SIZE, dtype=complex)
            for index in word:
                product = product @ matrices[index]
            total += c * product
        values = np.linalg.eigvalsh((total + total.conj().T) / 2)
        groups = np.split(values, np.flatnonzero(np.diff(values) > self.tolerance) + 1)
        return {float(np.mean(group)): group.size for group in groups if group.size > 1}


def _position(
    x: float,
    terms: Mapping[tuple[int, ...], Any],
    used: Sequence[int],
    atoms: Sequence[Mapping[Any, Any]],
    tolerance: float,
) -> Any:
    """The exact position where it is the value of the polynomial at atoms, whatever the variables without atoms are."""
    for choice in itertools.product(*([*row, None] for row in atoms)):
        # None stands for any number: 0 and a generic one must give the same
        generic, zero = (
            dict(zip(used, (fill if value is None else value for value in choice), strict=True)) for fill in (0.7193, 0)
        )
        if abs(x - float(_evaluated(terms, generic))) < 10 * tolerance:
            return normalised(_evaluated(terms, zero))
    return x


def _evaluated(terms: Mapping[tuple[int, ...], Any], values: Mapping[int, Any]) -> Any:
    products = ((c, math.prod(values[index] for index in word)) for word, c in terms.items())
    return sum((c.real if isinstance(c, complex) else c) * product for c, product in products)
