"""Sampled quadratures of spectra at one width: what a comparison asks of them, by weighted averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from validation.coordinate import ATOM_WIDTH, BulkCoordinate, cosines
from validation.samples import WidthRecord

__all__ = ["WidthQuadrature"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# How many points of a replica stand for its spectrum in a picture.
POINTS = 400


@dataclass(frozen=True, eq=False, kw_only=True)
class WidthQuadrature(WidthRecord):
    """Nodes and weights at one width, and what `WidthRecord` has; the rank is that of the whole spectrum.

    Answers what `WidthSample` answers, where single eigenvalues are not needed: averages over the spectrum, and an
    outlier, on which the first node settles; the other extreme nodes lie inside the spectrum.

    Attributes
    ----------
    log_singular_values : array of shape (replicas, nodes)
        Nodes as log s in decreasing order, ``-inf`` for zeros.
    weights : array of shape (replicas, nodes)
        The mean of f over the spectrum is estimated by the sum of ``weights * f(nodes)``.
    dimension : integer array of shape (replicas,)
        Number of eigenvalues, the same for all.
    """

    log_singular_values: FloatArray
    weights: FloatArray
    dimension: IntArray

    @property
    def n_out(self) -> int:
        """Number of eigenvalues of a replica."""
        return int(self.dimension[0])

    @property
    def nodes(self) -> FloatArray:
        """Nodes among the eigenvalues of J Jᵀ, shape (replicas, nodes), decreasing."""
        return np.exp(2.0 * self.log_singular_values)

    def largest(self, count: int) -> FloatArray:
        """The `count` largest nodes, shape (replicas, at most count); of an outlier, its position."""
        return np.exp(2.0 * self.log_singular_values[:, :count])

    def moments(self, count: int, *, without_largest: bool) -> FloatArray:
        """Means of x^k, k = 1 … count, shape (replicas, count); the largest node counted as 0 or not."""
        first = int(without_largest)
        nodes, weights = self.nodes[:, first:], self.weights[:, first:]
        return np.stack([(weights * nodes**k).sum(axis=1) for k in range(1, count + 1)], axis=1)

    def log_determinants(self) -> FloatArray:
        """Mean of log x over the non-zero part of each spectrum, counted as a part of the whole, shape (replicas,)."""
        logs = np.where(np.isfinite(self.log_singular_values), self.log_singular_values, 0.0)
        means: FloatArray = 2.0 * (self.weights * logs).sum(axis=1)
        return means

    def resolution(self, floor: float) -> tuple[float, float]:
        """Smallest positive node, and the floor."""
        nodes = self.nodes
        return float(np.min(nodes, where=nodes > 0.0, initial=1.0)), floor

    def shape_vectors(self, coordinate: BulkCoordinate, components: int) -> tuple[FloatArray, FloatArray]:
        """Averages of the cosines over each spectrum, shape (replicas, components), and what the law expects."""
        shapes: FloatArray = (self.weights * cosines(coordinate(self.nodes), components)).sum(axis=-1).T
        return shapes, coordinate.expected_cosines(components)

    def fraction_at(self, atom: float) -> FloatArray:
        """Weight of each quadrature at a position, shape (replicas,)."""
        at_atom = np.abs(self.nodes - atom) <= ATOM_WIDTH * atom
        fractions: FloatArray = np.where(at_atom, self.weights, 0.0).sum(axis=1)
        return fractions

    def bulk(self, *, without_largest: bool, atoms: FloatArray) -> tuple[FloatArray, float]:
        """Points that stand for the eigenvalues away from the atoms, and the number that the whole would have."""
        points = []
        for nodes, levels in self._curves():
            if without_largest:
                nodes, levels = nodes[:-1], levels[:-1]
            steps = (np.arange(POINTS) + 0.5) / POINTS
            inside = (steps > levels[0]) & (steps < levels[-1])
            points.append(np.exp(2.0 * np.interp(steps[inside], levels, nodes)))
        spread = np.concatenate(points)
        at_atom = (np.abs(spread[:, None] - atoms) <= ATOM_WIDTH * atoms).any(axis=-1)
        return spread[~at_atom], float(self.replicas * POINTS)

    def _curves(self) -> list[tuple[FloatArray, FloatArray]]:
        """For each replica: increasing log s of the nodes that are not zero, and the fraction of the spectrum below.

        A node has half its weight on either side: by the Chebyshev–Markov–Stieltjes inequalities the distribution
        function passes the step of each.
        """
        curves = []
        for logs, weights in zip(self.log_singular_values[:, ::-1], self.weights[:, ::-1], strict=True):
            positive = np.isfinite(logs)
            levels = np.cumsum(weights) - 0.5 * weights
            curves.append((logs[positive], levels[positive]))
        return curves
