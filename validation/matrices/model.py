"""From a law to a random matrix: the two questions, and what their rules draw with.

`random_matrix` has one rule a law or operation (`validation.matrices.leaves`, `validation.matrices.operations`);
`eigenvalues` has cheaper ones where they exist and diagonalises the matrix elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law

__all__ = [
    "REFUSALS",
    "Draw",
    "blocks",
    "draw_eigenvalues",
    "draw_matrix",
    "eigenvalues",
    "gram",
    "hermitian",
    "matrix_rule",
    "random_matrix",
    "spectrum_rule",
]

FloatArray = npt.NDArray[np.float64]
Matrix = npt.NDArray[Any]

_RULES = ("validation.matrices.leaves", "validation.matrices.operations")


@dataclass(frozen=True)
class Draw:
    """Where randomness comes from, and whether entries are real (`beta` 1) or complex (2)."""

    generator: np.random.Generator
    beta: int = 1

    def gaussian(self, rows: int, columns: int) -> Matrix:
        """Independent Gaussian entries of mean 0 and ``E|x|² = 1``."""
        real = self.generator.standard_normal((rows, columns))
        if self.beta == 1:
            return real
        matrix: Matrix = (real + 1j * self.generator.standard_normal((rows, columns))) / np.sqrt(2.0)
        return matrix

    def isometry(self, rows: int, columns: int) -> Matrix:
        """The first `rows` <= `columns` rows of a Haar orthogonal or unitary matrix (Mezzadri, math-ph/0609050)."""
        q, r = np.linalg.qr(self.gaussian(columns, rows))
        diagonal = np.diagonal(r)
        isometry: Matrix = (q * (diagonal / np.abs(diagonal))).conj().T
        return isometry

    def rotated(self, spectrum: FloatArray) -> Matrix:
        """A matrix of that spectrum in a Haar-distributed basis: free of everything else as the size grows."""
        basis = self.isometry(len(spectrum), len(spectrum))
        return hermitian((basis.conj().T * spectrum) @ basis)

    def count(self, size: float) -> int:
        """A size as a whole number, rounded at random so that its mean is right, at least 1."""
        floor = int(np.floor(size))
        return max(1, floor + int(self.generator.random() < size - floor))

    def levels(self, n: int) -> FloatArray:
        """Evenly spaced points of (0, 1) with one random offset; averages over them are unbiased integrals."""
        return (np.arange(n) + self.generator.uniform(1e-12, 1.0 - 1e-12)) / n


def random_matrix(law: Law, n: int, rng: np.random.Generator | int | None = None, *, beta: int = 1) -> Matrix:
    """A random Hermitian n×n matrix whose spectrum tends to the law as n grows.

    Gaussian matrices, products of them, random rotations, quantiles on the diagonal where a law is but a law: the rules
    say which. Factors and summands of free operations stand in independent Haar-distributed bases. The basis of the
    result is that of the model: matrices of two calls are free only after a rotation (`rmt.FreeSum` and the others
    see to it). Normalisation of Gaussian matrices: ``E|H_ij|² = variance/n`` off the diagonal and twice that on it for
    real entries (GOE), once for complex ones (GUE).

    Parameters
    ----------
    law : Law
        Parameters must be numbers.
    n : int
        At least 2.
    rng : Generator or int, optional
        Generator or seed.
    beta : int
        1 for real, 2 for complex entries. The bias of averages over the spectrum is O(1/n) for 1, mostly O(1/n²) for 2.

    Returns
    -------
    array of shape (n, n)
        Real for ``beta=1``, unless the law is a polynomial with complex coefficients.

    Raises
    ------
    NotImplementedError
        If no matrix is known for a law in the expression; the message names it and says what to do.
    ValueError
        If an argument is out of its range.
    """
    return draw_matrix(law, _size(n), _draw(rng, beta))


def eigenvalues(law: Law, n: int, rng: np.random.Generator | int | None = None, *, beta: int = 1) -> FloatArray:
    """The eigenvalues of a matrix of `random_matrix`, in increasing order; the same law, other random numbers.

    Gaussian, Wishart and Jacobi matrices are drawn in tridiagonal form, O(n²) in all; functions, mixtures and
    multiples of laws come from the eigenvalues of their parts; what else there is is diagonalised, O(n³).

    Parameters and errors are those of `random_matrix`.
    """
    return np.sort(draw_eigenvalues(law, _size(n), _draw(rng, beta)))


def _size(n: int) -> int:
    if n != int(n) or n < 2:
        raise ValueError(f"n={n!r} must be an integer >= 2: the number of rows of the matrix")
    return int(n)


def _draw(rng: np.random.Generator | int | None, beta: int) -> Draw:
    if beta not in (1, 2):
        raise ValueError(f"beta={beta!r} must be 1 (real entries) or 2 (complex entries)")
    return Draw(np.random.default_rng(rng), beta)


def draw_matrix(law: Law, n: int, draw: Draw) -> Matrix:
    """The matrix of a law, by its rule."""
    _load_rules()
    return matrix_rule(law, n, draw)


def draw_eigenvalues(law: Law, n: int, draw: Draw) -> FloatArray:
    """The eigenvalues of a matrix of a law, by its rule, in no particular order."""
    _load_rules()
    return spectrum_rule(law, n, draw)


@functools.cache
def _load_rules() -> None:
    for module in _RULES:
        import_module(module)


@functools.singledispatch
def matrix_rule(law: Law, _n: int, _draw: Draw) -> Matrix:
    """Draw the matrix of a law; registered by the modules of rules."""
    name = type(law).__name__
    why = REFUSALS.get(name, "no random matrix is known for it here")
    raise NotImplementedError(
        f"random_matrix: {name}: {why}; where its quantiles will do, take a diagonal matrix of them: "
        "rmt.Empirical(law.ppf((np.arange(n) + 0.5) / n))"
    )


@functools.singledispatch
def spectrum_rule(law: Law, n: int, draw: Draw) -> FloatArray:
    """Draw the eigenvalues of a law; by default those of its matrix."""
    return np.linalg.eigvalsh(matrix_rule(law, n, draw))


# The laws without a rule, and why.
REFUSALS = {
    "ImplicitLaw": "a law known by a transform alone comes from no known matrix",
    "TracyWidom": "it is the limit law of one eigenvalue, not of a spectrum; take rmt.LargestEigenvalue(rmt.GUE(n))",
}


def hermitian(matrix: Matrix) -> Matrix:
    """The matrix without the rounding that keeps it from being Hermitian."""
    return (matrix + matrix.conj().T) / 2.0


def gram(matrix: Matrix) -> Matrix:
    """``X X*`` of X."""
    return hermitian(matrix @ matrix.conj().T)


def blocks(n: int, weights: Sequence[float], draw: Draw) -> list[int]:
    """Sizes that add up to n and have the given shares of it in the mean."""
    ends = np.floor(n * np.cumsum(weights) + draw.generator.random())
    ends[-1] = n
    return [int(size) for size in np.diff(np.concatenate(([0.0], np.clip(ends, 0, n))))]
