"""Gaussian, Wishart and Jacobi eigenvalues from tridiagonal matrices: O(n) random numbers, O(n²) time.

The models of Dumitriu and Edelman (J. Math. Phys. 43, 2002, table 1: Hermite and Laguerre) and of Edelman and Sutton
(Found. Comput. Math. 8, 2008: Jacobi), which have the joint law of the eigenvalues of the full matrices exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["gaussian_eigenvalues", "jacobi_eigenvalues", "wishart_eigenvalues"]

FloatArray = npt.NDArray[np.float64]


def gaussian_eigenvalues(n: int, beta: int, generator: np.random.Generator) -> FloatArray:
    """Eigenvalues of the n×n GOE (beta 1) or GUE (2) with ``E|H_ij|² = 1/n`` off the diagonal."""
    off = np.sqrt(generator.chisquare(beta * np.arange(n - 1, 0, -1)) / (beta * n))
    return _tridiagonal(generator.standard_normal(n) * np.sqrt(2.0 / (beta * n)), off)


def wishart_eigenvalues(p: int, n: int, beta: int, generator: np.random.Generator) -> FloatArray:
    """Eigenvalues of X X*, X of shape (p, n) with Gaussian entries of ``E|x|² = 1/n``; p - n zeros where p > n."""
    rows, columns = min(p, n), max(p, n)
    diagonal = generator.chisquare(beta * np.arange(columns, columns - rows, -1.0))
    below = generator.chisquare(beta * np.arange(rows - 1, 0, -1.0))
    found = _of_bidiagonal(np.sqrt(diagonal), np.sqrt(below)) / (beta * n)
    return np.concatenate((np.zeros(p - rows), found))


def jacobi_eigenvalues(p: int, q: int, n: int, beta: int, generator: np.random.Generator) -> FloatArray:
    """Eigenvalues of the p×p corner of a randomly rotated projection of rank q in n dimensions, p and q < n."""
    if p > q:
        return np.concatenate((np.zeros(p - q), jacobi_eigenvalues(q, p, n, beta, generator)))
    if p > n - q:
        return 1.0 - jacobi_eigenvalues(p, n - q, n, beta, generator)
    a, b = q - p, n - q - p
    orders = np.arange(p, 0, -1.0)
    cosines = generator.beta(beta / 2 * (a + orders), beta / 2 * (b + orders))
    others = generator.beta(beta / 2 * orders[1:], beta / 2 * (a + b + 1 + orders[1:]))
    diagonal = np.sqrt(cosines * np.concatenate(([1.0], 1.0 - others)))
    return _of_bidiagonal(diagonal, np.sqrt((1.0 - cosines[:-1]) * others))


def _of_bidiagonal(diagonal: FloatArray, below: FloatArray) -> FloatArray:
    """Squared singular values of a bidiagonal matrix with that diagonal and first subdiagonal."""
    square = diagonal**2
    square[1:] += below**2
    return np.maximum(_tridiagonal(square, diagonal[:-1] * below), 0.0)


def _tridiagonal(diagonal: FloatArray, off: FloatArray) -> FloatArray:
    from scipy.linalg import eigvalsh_tridiagonal

    return np.asarray(eigvalsh_tridiagonal(diagonal, off), dtype=np.float64)
