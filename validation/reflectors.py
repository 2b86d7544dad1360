"""Haar orthogonal weights as products of Householder reflectors that are applied and never multiplied out.

Stewart (SIAM J. Numer. Anal. 17, 1980, section 3): the Householder vectors of the QR decomposition of a Ginibre matrix
are built from independent Gaussian vectors of lengths n, n-1, ..., since what is left after a reflection is Ginibre
again. With the signs of diag R moved into Q (Mezzadri, arXiv:math-ph/0609050, section 5), ``Q = H_1 ... H_k S`` is
Haar, or the first k columns of a Haar matrix, from half as many normals, and LAPACK's ``dormqr`` applies it by matrix
products for the price of one dense product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from validation.generator import CompiledGenerator
from validation.jacobian import Jacobian, Weights

__all__ = ["HaarReflectors", "Reflectors"]

FloatArray = npt.NDArray[np.float64]

# LAPACK applies at most so many reflectors at once.
_PANEL = 64


class Reflectors:
    """An n x k matrix Q with orthonormal columns, Haar distributed, as k reflectors and k signs.

    Parameters
    ----------
    n, k : int
        ``1 <= k <= n``.
    generator : CompiledGenerator
    """

    def __init__(self, n: int, k: int, generator: CompiledGenerator) -> None:
        self.n, self.k = n, k
        self._vectors, self._tau, self._signs = generator.reflectors(n, k)

    def times(self, matrix: FloatArray) -> FloatArray:
        """Q X for X of shape (k, c) or (k,)."""
        padded = np.zeros((self.n, *matrix.shape[1:]), dtype=matrix.dtype)
        signs = self._signs if matrix.ndim == 1 else self._signs[:, None]
        np.multiply(signs, matrix, out=padded[: self.k])
        return self._apply(padded, transpose=False)

    def transpose_times(self, matrix: FloatArray) -> FloatArray:
        """Qᵀ X for X of shape (n, c) or (n,)."""
        product = self._apply(np.array(matrix), transpose=True)[: self.k]
        product *= self._signs if matrix.ndim == 1 else self._signs[:, None]
        return product

    def _apply(self, matrix: FloatArray, transpose: bool) -> FloatArray:
        """H_1 ... H_k X, or its transpose, in place: dormqr from the right on Xᵀ, which needs no copy of C order."""
        from scipy.linalg.lapack import dormqr, sormqr

        columns = matrix.reshape(self.n, matrix[0].size).T
        count = len(columns)
        if count == 0:
            return matrix
        # dormqr takes its panels and their triangular factors from the work space; without it, one reflector after the
        # other, which is cheaper for a vector
        work = count if count == 1 else count * _PANEL + _PANEL * (_PANEL + 1)
        ormqr = dormqr if matrix.dtype == np.float64 else sormqr
        product, _work, _info = ormqr(
            "R", "N" if transpose else "T", self._vectors.T, self._tau, columns, work, overwrite_c=1
        )
        return np.asarray(product).T.reshape(matrix.shape)


class HaarReflectors(Weights):
    """Haar orthogonal weights of one network with entries of variance ``scale**2 / n_in``; see `Reflectors`.

    Columns of W that meet rows of zeros of J are not drawn: the input of W is turned so that the other rows come first,
    and after them, in one direction, what else the signal has. Where nobody else holds the input space and J is the
    identity, that space is turned by W itself, which leaves a multiple of the identity.

    Parameters
    ----------
    scale : float
    n_out, n_in : int
    generator : CompiledGenerator
    rows : integer array or None
        The rows that J will have; None for all, or where `images` will be asked for.
    x : array of shape (n_in,)
        The signal that `image` will be asked for.
    """

    partial = True

    def __init__(
        self, scale: float, n_out: int, n_in: int, generator: CompiledGenerator, rows: Any, x: FloatArray
    ) -> None:
        self.n_out, self.rank = n_out, min(n_out, n_in)
        larger = max(n_out, n_in)
        self._factor = scale * (larger / n_in) ** 0.5
        self._rows, self._columns, self._dtype = rows, n_in, x.dtype
        if rows is not None:
            rest = np.array(x)
            rest[rows] = 0.0
            self._rest = float(rest @ rest) ** 0.5
            self._columns = len(rows) + (self._rest > 0.0)
        # a block of n_out rows and these columns of a Haar matrix of the larger size
        self._transposed = n_out < min(larger, self._columns)
        self._reflectors = Reflectors(larger, n_out if self._transposed else max(1, self._columns), generator)

    def image(self, x: Any) -> Any:
        """W x, one reflector after the other."""
        if self._rows is None:
            return self._factor * self._product(x)
        return self._factor * self._product(np.append(x[self._rows], self._rest).astype(self._dtype))

    def images(self, batch: Any) -> Any:
        """W X, by panels of reflectors."""
        return self._factor * self._product(batch)

    def times(self, held: Jacobian, gate: Any, rows: Any) -> Any:
        """Apply the reflectors to J, then take the rows that are asked for."""
        factor = self._factor if gate is None else self._factor * gate[:, None]
        if held.matrix is None and not held.shared and self.n_out <= held.height:
            return factor * np.eye(self.n_out if rows is None else len(rows), dtype=self._dtype)
        product = self._product(np.eye(held.height, dtype=self._dtype) if held.matrix is None else held.matrix)
        product = product if rows is None else product[rows]
        product *= factor
        return product

    def _product(self, matrix: FloatArray) -> FloatArray:
        """The block times a matrix that has zeros for the rows it lacks."""
        reflectors = self._reflectors
        size = reflectors.n if self._transposed else reflectors.k
        if len(matrix) != size:
            matrix, short = np.zeros((size, *matrix.shape[1:]), dtype=matrix.dtype), matrix[:size]
            matrix[: len(short)] = short
        return reflectors.transpose_times(matrix) if self._transposed else reflectors.times(matrix)[: self.n_out]
