"""The Jacobian on its way through a network: what a layer does to it, and how late a product is formed.

A Jacobian J = d signal / d input is a value with the few operations that the rules of `validation.networks` need. The
product with a weight matrix waits for what follows it: where a gate with zeros follows, weights that can leave rows out
are asked for the others alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from validation.backend import Backend

__all__ = ["FormedWeights", "Jacobian", "Weights"]


class Weights(ABC):
    """A random weight matrix W, known by what it does.

    Attributes
    ----------
    n_out : int
        Number of its rows.
    rank : int
        Its rank.
    partial : bool
        Whether rows that are not asked for cost nothing: gates with zeros then leave rows out.
    """

    n_out: int
    rank: Any
    partial: bool

    @abstractmethod
    def image(self, x: Any) -> Any:
        """W x, for the signal x of shape (..., n_in) that these weights were made for. Asked before `times`."""

    @abstractmethod
    def images(self, batch: Any) -> Any:
        """W X, for a batch X of shape (..., n_in, B)."""

    @abstractmethod
    def times(self, held: Jacobian, gate: Any, rows: Any) -> Any:
        """diag(gate) W J for a Jacobian J without pending weights, as a new array.

        Parameters
        ----------
        held : Jacobian
            J; as far as it is not `shared`, the columns of the answer may be in another orthonormal basis of the input
            space, or be fewer by as many zeros as there are.
        gate : array of shape (..., rows) or None
            One factor a row of the answer; None stands for ones.
        rows : integer array or None
            The rows that are asked for; None stands for all.
        """


class FormedWeights(Weights):
    """Weights whose matrix has been drawn, of shape (..., n_out, n_in).

    `partial` says whether rows behind closed gates are left out of products.
    """

    def __init__(self, matrix: Any, rank: Any, partial: bool = False) -> None:
        self.matrix, self.rank, self.partial = matrix, rank, partial
        self.n_out = int(matrix.shape[-2])

    def image(self, x: Any) -> Any:
        """A matrix times a vector."""
        return self.matrix @ x if x.ndim == 1 else (self.matrix @ x[..., None])[..., 0]

    def images(self, batch: Any) -> Any:
        """A matrix times a matrix."""
        return self.matrix @ batch

    def times(self, held: Jacobian, gate: Any, rows: Any) -> Any:
        """The dense product."""
        matrix = self.matrix if rows is None else self.matrix[rows]
        if held.matrix is None:
            return matrix * (1.0 if gate is None else gate[..., None])
        product = (matrix if held.rows is None else matrix[:, held.rows]) @ held.matrix
        if gate is not None:
            product *= gate[..., None]
        return product


@dataclass(frozen=True, eq=False)
class Jacobian:
    """J = W E M: weights that wait, rows of zeros, and a matrix.

    Attributes
    ----------
    backend : Backend
        Where its arrays live.
    height : int
        Number of rows of E M, zeros included.
    matrix : array of shape (..., len(rows), columns) or None
        M, the rows of E M that are not zero; None stands for the identity.
    rows : integer array or None
        Which rows those are; None stands for all.
    weights : Weights or None
        W; None stands for the identity.
    shared : bool
        Whether somebody else holds E M too, a skip connection say: it must not be written into, nor its input space
        turned.
    """

    backend: Backend
    height: int
    matrix: Any = None
    rows: Any = None
    weights: Weights | None = None
    shared: bool = False

    def weighted(self, weights: Weights) -> Jacobian:
        """W J, not yet multiplied."""
        return replace(self.formed(), weights=weights)

    def formed(self) -> Jacobian:
        """The same without waiting weights."""
        return self if self.weights is None else self._multiplied(self.weights, None, None)

    def _multiplied(self, weights: Weights, gate: Any, rows: Any) -> Jacobian:
        product = weights.times(replace(self, weights=None), gate, rows)
        return Jacobian(self.backend, weights.n_out, product, rows)

    def gated(self, gate: Any) -> Jacobian:
        """diag(gate) J, for a gate with one component a row."""
        xp, rows = self.backend.xp, None
        if self.weights is not None:
            if self.weights.partial and not bool(xp.all(gate)):
                rows = xp.nonzero(gate)[0]
                gate = gate[rows]
            return self._multiplied(self.weights, gate, rows)
        if self.rows is not None:
            is_open = gate[self.rows] != 0
            rows = self.rows[is_open]
            return Jacobian(self.backend, self.height, gate[rows][:, None] * self.matrix[is_open], rows)
        matrix = xp.eye(self.height, dtype=self.backend.real) if self.matrix is None else self.matrix
        return Jacobian(self.backend, self.height, gate[..., None] * matrix)

    def plus(self, skip: float, held: Jacobian) -> Jacobian:
        """J + skip H, for a J whose matrix nobody else holds; written into H where that is free too."""
        branch = self.formed()
        if branch.rows is None:
            total = branch.matrix
            total += held.array() if skip == 1.0 else skip * held.array()
        else:
            free = held.matrix is not None and held.rows is None and not held.shared
            total = held.array() if free and skip == 1.0 else skip * held.array()
            from validation.kernels.real import add_rows

            add_rows(total, branch.rows, branch.matrix)
        return Jacobian(self.backend, branch.height, total)

    def normalised(self, x: Any, std: Any) -> Jacobian:
        """The Jacobian behind x = (h - mean(h))/std(h), over the components of h: ``(J - mean(J) - x (x J)/n)/std``."""
        # the derivative of std(h) by h is x/n, that of mean(h) is 1/n
        xp, dense = self.backend.xp, self.array()
        dense = dense - xp.mean(dense, axis=-2, keepdims=True) - x[..., None] * (x[..., None, :] @ dense) / self.height
        return Jacobian(self.backend, self.height, dense / std[..., None])

    def array(self) -> Any:
        """The dense matrix of shape (..., rows, columns)."""
        xp, formed = self.backend.xp, self.formed()
        if formed.matrix is None:
            return xp.eye(formed.height, dtype=self.backend.real)
        if formed.rows is None:
            return formed.matrix
        dense = xp.zeros((formed.height, formed.matrix.shape[-1]), dtype=self.backend.real)
        dense[formed.rows] = formed.matrix
        return dense
