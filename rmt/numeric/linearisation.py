"""Self-adjoint linearisation: a polynomial in noncommuting variables as a Schur complement of a linear pencil.

``z - p(x)`` is the Schur complement of ``z E_11 - A_0 - Σ A_i x_i`` with Hermitian matrices, so that the Cauchy
transform of p is the corner of the inverse of the pencil (Haagerup and Thorbjørnsen 2005; Anderson 2013). The pencil
is read off the Hankel matrix of the coefficients instead of being built monomial by monomial (derived here, after the
minimal realisations of Fliess 1974): for nonempty words u, w let ``H[u, w]`` be the coefficient of ``reverse(u) w``
in p and ``H_i[u, w]`` that of ``reverse(u) x_i w``. All are Hermitian exactly when p is self-adjoint. Choose words S
such that ``K = H[S, S]`` is invertible and has the rank of H, and let ``B_i = H_i[S, S]``, ``η_i = H[S, x_i]``; then

    p = c + Σ ℓ_i x_i + Σ_ij x_i η_i* (K - Σ_k B_k x_k)^{-1} η_j x_j .

No self-adjoint pencil of this form is smaller than 1 + rank H: 3 for the (anti)commutator of two variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray

__all__ = ["Pencil", "equilibrate", "linearise_polynomial"]

# Pivots of the Hankel matrix below this share of the largest entry are rounding of the coefficients.
_RANK_TOLERANCE = 1e-13


@dataclass(frozen=True)
class Pencil:
    """``A_0 + Σ A_i x_i``, matrices of shape (N, N), Hermitian; real arrays where all of them are real.

    ``constant`` is A_0 = c ⊕ (-K).
    """

    constant: ComplexArray
    coefficients: tuple[ComplexArray, ...]

    @property
    def is_real(self) -> bool:
        """Whether all matrices are real, hence symmetric."""
        return not any(np.any(np.imag(a)) for a in (self.constant, *self.coefficients))


def linearise_polynomial(
    terms: Mapping[tuple[int, ...], complex], scales: Sequence[float]
) -> Pencil:
    """Minimal Hermitian pencil of a self-adjoint polynomial.

    Parameters
    ----------
    terms : mapping
        Word (tuple of variable indices, empty for the constant) -> coefficient; ``terms[reversed] = conj``.
    scales : sequence of float
        A typical size of each variable; it decides only what counts as rounding, and how the pencil is scaled.
    """
    scaled = {word: complex(c) * float(np.prod([scales[i] for i in word])) for word, c in terms.items()}
    words = sorted({word[k:] for word in scaled for k in range(1, len(word))}, key=lambda word: (len(word), word))

    def hankel(middle: tuple[int, ...]) -> ComplexArray:
        return np.array(
            [[scaled.get(u[::-1] + middle + w, 0.0) for w in words] for u in words], dtype=complex
        ).reshape(len(words), len(words))

    whole = hankel(())
    kept = _pivots(whole)
    states = [words[k] for k in kept]
    size = 1 + len(states)
    inner = whole[np.ix_(kept, kept)]
    weight = np.ones(size)
    weight[1:] = 1 / equilibrate(inner[np.newaxis])[0]
    constant = np.zeros((size, size), dtype=complex)
    constant[0, 0] = scaled.get((), 0.0).real
    constant[1:, 1:] = -inner
    outer = np.outer(weight, weight).astype(complex)
    coefficients: list[ComplexArray] = []
    for i, scale in enumerate(scales):
        matrix = np.zeros((size, size), dtype=complex)
        matrix[0, 0] = scaled.get((i,), 0.0).real
        if (i,) in words:
            border = whole[kept, words.index((i,))]
            matrix[1:, 0], matrix[0, 1:] = -border, -border.conj()
        matrix[1:, 1:] = hankel((i,))[np.ix_(kept, kept)]
        coefficients.append(matrix * (outer / complex(scale)))
    return Pencil(constant * outer, tuple(coefficients))


def equilibrate(matrices: ComplexArray) -> npt.NDArray[np.float64]:
    """Weights w, shape (n, N), with which ``matrix / (w w^T)`` has rows of largest entry about 1, (n, N, N)."""
    size = np.abs(matrices)
    weight = np.ones(size.shape[:2])
    for _ in range(3):
        scaled = size / (weight[:, :, np.newaxis] * weight[:, np.newaxis, :])
        weight = weight * np.sqrt(np.maximum(np.max(scaled, axis=2, initial=0.0), 1e-150))
    return weight


def _pivots(matrix: ComplexArray) -> list[int]:
    """Rows whose principal submatrix of a Hermitian matrix is invertible and of full rank (Bunch and Parlett 1971)."""
    rest = matrix.copy()
    left = list(range(matrix.shape[0]))
    out: list[int] = []
    limit = _RANK_TOLERANCE * np.max(np.abs(matrix), initial=0.0)
    while left:
        block = np.abs(rest[np.ix_(left, left)])
        row, column = np.unravel_index(np.argmax(block), block.shape)
        single = int(np.argmax(np.diagonal(block)))
        if block[row, column] <= limit:
            break
        chosen = [single] if block[single, single] >= 0.64 * block[row, column] else sorted({int(row), int(column)})
        pivot = [left[k] for k in chosen]
        update = rest[:, pivot] @ np.linalg.solve(rest[np.ix_(pivot, pivot)], rest[pivot, :])
        rest = rest - update
        out += pivot
        left = [k for k in left if k not in pivot]
    return sorted(out)
