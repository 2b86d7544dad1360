"""Golub–Kahan bidiagonalisation of a matrix known by its products with vectors, and the quadrature that follows.

After k steps from the unit vector u, ``Jᵀ U = V Bᵀ`` with orthonormal U, V and a lower bidiagonal B whose singular
values and left singular vectors are the Gauss quadrature of the spectral measure of J Jᵀ in u: for polynomials f of
degree below 2k, ``uᵀ f(J Jᵀ) u = sum of w_i f(s_i²)`` (Golub and Meurant, Matrices, Moments and Quadrature, 2010,
chapters 6 and 7). For a uniform random direction u its expectation is the mean of f over the spectrum, zeros included
(stochastic Lanczos quadrature).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["QuadratureSpectrum", "bidiagonalise", "lanczos_quadrature"]

FloatArray = npt.NDArray[np.float64]
Product = Callable[[FloatArray], FloatArray]

# A new direction below this, relatively to the largest so far, is rounding: the Krylov space is complete.
COMPLETE = 1e-13


def bidiagonalise(apply: Product, transposed: Product, start: FloatArray, steps: int) -> Iterator[FloatArray]:
    """The lower bidiagonal matrix B as it grows, with full reorthogonalisation.

    Parameters
    ----------
    apply, transposed : callable
        ``J v`` and ``Jᵀ u``.
    start : array of shape (n_out,)
        Not zero.
    steps : int
        The largest size of B: so many products with Jᵀ, one less with J.

    Yields
    ------
    array of shape (k, k)
        For k = 1, 2, … up to `steps`, or until the Krylov space is complete; the last column of the last one is zero if
        it has met the kernel of Jᵀ.
    """
    left = np.empty((steps, len(start)))
    right: FloatArray | None = None
    b = np.zeros((steps, steps))
    left[0] = start / np.linalg.norm(start)
    for k in range(steps):
        v = transposed(left[k])
        if right is None:
            right = np.empty((steps, len(v)))
        else:
            v = v - b[k, k - 1] * right[k - 1]
            for _ in range(2):
                v -= (right[:k] @ v) @ right[:k]
        b[k, k] = np.linalg.norm(v)
        if b[k, k] <= COMPLETE * b.max():
            b[k, k] = 0.0
        yield b[: k + 1, : k + 1]
        if b[k, k] == 0.0 or k + 1 == steps:
            return
        right[k] = v / b[k, k]
        u = apply(right[k]) - b[k, k] * left[k]
        for _ in range(2):
            u -= (left[: k + 1] @ u) @ left[: k + 1]
        b[k + 1, k] = np.linalg.norm(u)
        if b[k + 1, k] <= COMPLETE * b.max():
            return
        left[k + 1] = u / b[k + 1, k]


@dataclass(frozen=True, eq=False)
class QuadratureSpectrum:
    """A spectrum known by the averages of functions over it: a Gauss quadrature in one random direction.

    Attributes
    ----------
    nodes : array of shape (steps,)
        log s in decreasing order; ``-inf`` for zeros.
    weights : array of shape (steps,)
        They sum to 1.
    rank, dimension : int
        Numbers of non-zero singular values, and of rows, of the matrix.
    """

    nodes: FloatArray
    weights: FloatArray
    rank: int
    dimension: int

    def columns(self) -> dict[str, Any]:
        """The row of a replica in the columns of `validation.quadrature.WidthQuadrature`."""
        return {
            "log_singular_values": self.nodes,
            "weights": self.weights,
            "dimension": self.dimension,
            "rank": self.rank,
            "resolved": self.rank,
            "log_floor": -np.inf,
        }


def lanczos_quadrature(
    apply: Product, transposed: Product, start: FloatArray, steps: int
) -> tuple[FloatArray, FloatArray]:
    """Log singular values of the Gauss quadrature in `start`, decreasing, and weights that sum to 1, `steps` of each.

    The parameters are those of `bidiagonalise`. A complete Krylov space makes the quadrature exact with fewer nodes;
    the others are ``-inf`` with weight 0.
    """
    *_, b = bidiagonalise(apply, transposed, start, steps)
    vectors, singular, _ = np.linalg.svd(b)
    if b[-1, -1] == 0.0:
        singular[-1] = 0.0
    nodes, weights = np.full(steps, -np.inf), np.zeros(steps)
    np.log(singular, out=nodes[: len(b)], where=singular > 0.0)
    weights[: len(b)] = vectors[0] ** 2
    return nodes, weights
