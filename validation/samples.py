"""Sampled spectra at one width, and what a comparison asks of them replica by replica."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from validation.coordinate import ATOM_WIDTH, BulkCoordinate, cosines

__all__ = ["WidthRecord", "WidthSample"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class WidthRecord:
    """What every way of keeping the spectra at one width knows; the first axis of every array is the replica.

    Attributes
    ----------
    width : int
        Input width.
    rank, resolved : integer arrays of shape (replicas,)
        Number of non-zero singular values, and how many of them exceed the floor of double precision.
    log_floor : array of shape (replicas,)
        Logarithm of that floor.
    input_square, output_square : arrays of shape (replicas,)
        Mean squares of the components of input and output.
    seconds : array of shape (replicas,)
        Time each replica took.
    """

    width: int
    rank: IntArray
    resolved: IntArray
    log_floor: FloatArray
    input_square: FloatArray
    output_square: FloatArray
    seconds: FloatArray

    @property
    def replicas(self) -> int:
        """Number of independent networks."""
        return len(self.rank)

    @property
    def group_sizes(self) -> IntArray:
        """How many replicas share a row of shape vectors and distribution functions: one."""
        return np.ones(self.replicas, dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class WidthSample(WidthRecord):
    """Sampled spectra at one width: every singular value, and what `WidthRecord` has.

    Attributes
    ----------
    log_singular_values : array of shape (replicas, n_out)
        log s in decreasing order, ``-inf`` for exact zeros. Squares of s are the eigenvalues of J Jᵀ.
    """

    log_singular_values: FloatArray

    @property
    def n_out(self) -> int:
        """Number of eigenvalues of a replica."""
        return int(self.log_singular_values.shape[1])

    @property
    def eigenvalues(self) -> FloatArray:
        """Eigenvalues of J Jᵀ, shape (replicas, n_out), decreasing."""
        return np.exp(2.0 * self.log_singular_values)

    def largest(self, count: int) -> FloatArray:
        """The `count` largest eigenvalues, shape (replicas, at most count)."""
        return np.exp(2.0 * self.log_singular_values[:, :count])

    def smallest_positive(self) -> FloatArray:
        """The smallest eigenvalue that is not zero, shape (replicas,); of a zero matrix 0."""
        last = self.log_singular_values[np.arange(self.replicas), np.maximum(self.rank, 1) - 1]
        smallest: FloatArray = np.exp(2.0 * last)
        return smallest

    def moments(self, count: int, *, without_largest: bool) -> FloatArray:
        """Mean of x^k, k = 1 … count, over each spectrum, shape (replicas, count); the largest counted as 0 or not."""
        bulk = self.eigenvalues[:, int(without_largest) :]
        return np.stack([(bulk**k).sum(axis=1) for k in range(1, count + 1)], axis=1) / self.n_out

    def log_determinants(self) -> FloatArray:
        """Mean of log x over the non-zero part of each spectrum, counted as a part of the whole, shape (replicas,)."""
        logs = np.where(np.isfinite(self.log_singular_values), self.log_singular_values, 0.0)
        means: FloatArray = 2.0 * logs.mean(axis=1)
        return means

    def resolution(self, floor: float) -> tuple[float, float]:
        """Smallest positive eigenvalue, and the floor: what lies below it counts as at the floor."""
        positive = self.log_singular_values[np.isfinite(self.log_singular_values)]
        return math.exp(2.0 * float(positive.min())) if len(positive) else 1.0, floor

    def shape_vectors(self, coordinate: BulkCoordinate, components: int) -> tuple[FloatArray, FloatArray]:
        """Averages of the cosines over each spectrum, shape (replicas, components), and what the law expects."""
        shapes: FloatArray = cosines(coordinate(self.eigenvalues), components).mean(axis=-1).T
        return shapes, coordinate.expected_cosines(components)

    def fraction_at(self, atom: float) -> FloatArray:
        """Fraction of each spectrum at a position, shape (replicas,)."""
        fractions: FloatArray = (np.abs(self.eigenvalues - atom) <= ATOM_WIDTH * atom).mean(axis=1)
        return fractions

    def grid(self, x: FloatArray) -> FloatArray:
        """Positions near x where the distribution functions are known exactly: x."""
        return x

    def distribution_functions(self, x: FloatArray) -> FloatArray:
        """Fraction of each spectrum at or below the increasing positions x > 0, shape (replicas, points)."""
        increasing = self.eigenvalues[:, ::-1]
        counts = np.stack([np.searchsorted(row, x, side="right") for row in increasing])
        fractions: FloatArray = counts / self.n_out
        return fractions

    def bulk(self, *, without_largest: bool, atoms: FloatArray) -> tuple[FloatArray, float]:
        """Eigenvalues away from the atoms, of all replicas, and the number that the whole spectrum would have."""
        eigenvalues = self.eigenvalues[:, int(without_largest) :]
        at_atom = (np.abs(eigenvalues[..., None] - atoms) <= ATOM_WIDTH * atoms).any(axis=-1)
        return eigenvalues[~at_atom], float(self.replicas * self.n_out)
