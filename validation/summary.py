"""Spectra in a memory that does not grow with the width: some numbers a replica, and histograms on a fixed grid.

The grid. Bin j holds the log singular values with ``(j - 1/2) h <= u < (j + 1/2) h``, h = 1/256, where
``u = 16 arcsinh(log s / 16)`` is log s near 0 and grows like a logarithm beyond, so that ten thousand layers do not
need a million bins. Counts are integers: their sums are exact, in whatever order they come.

The groups. Replica r belongs to group r mod 64, and each group has a histogram. The groups are independent, so errors
over groups are what errors over replicas are (the method of batch means); with at most 64 replicas each is its own.

What binning costs a verdict. In the coordinate v of a law, a bin is an interval [a, b], and an eigenvalue in it is
given the average of the test function over [a, b]. Under the law the expectation of that is exactly ``∫ phi dv``,
whatever the grid: the verdict keeps its false-alarm rate. It is blind only to what happens inside a bin, 1/128 of an
e-fold of eigenvalues wide; of smooth deviations it loses a part of order h². Moments, extreme eigenvalues, ranks and
log-determinants do not come from the histogram and are exact; distribution functions are exact at the edges of bins,
where they are compared. An atom away from zero counts all of its bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from validation.coordinate import BulkCoordinate, binned_cosines
from validation.samples import WidthRecord

__all__ = ["GROUPS", "LogHistogram", "WidthSummary", "summarize"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]

GROUPS = 64
BIN = 1.0 / 256.0
LINEAR = 16.0
TOP = 3
POWERS = 4
# How many points stand for a histogram in a picture.
POINTS = 20_000


def bin_of(log_s: FloatArray) -> IntArray:
    """The bins of finite log singular values."""
    return np.floor(np.arcsinh(log_s / LINEAR) * (LINEAR / BIN) + 0.5).astype(np.int64)


def upper_edge(number: npt.NDArray[np.int64]) -> FloatArray:
    """The upper edges of bins as log s; that of bin j - 1 is the lower edge of j."""
    edges: FloatArray = LINEAR * np.sinh((number + 0.5) * (BIN / LINEAR))
    return edges


@dataclass(frozen=True, eq=False)
class LogHistogram:
    """Counts of log singular values: ``counts[g, i]`` of group g in bin ``first + i``."""

    first: int
    counts: IntArray

    @classmethod
    def empty(cls) -> LogHistogram:
        """No counts, no bins."""
        return cls(0, np.zeros((GROUPS, 0), dtype=np.int64))

    def plus(self, group: IntArray, number: IntArray, count: IntArray) -> LogHistogram:
        """With further counts, given as triples; this histogram's array is used again where it is long enough."""
        if not len(number):
            return self
        bins = self.counts.shape[1]
        first, last = int(number.min()), int(number.max())
        if bins:
            first, last = min(first, self.first), max(last, self.first + bins - 1)
        counts = self.counts
        if last - first + 1 > bins:
            counts = np.zeros((GROUPS, last - first + 1), dtype=np.int64)
            counts[:, self.first - first : self.first - first + bins] = self.counts
        np.add.at(counts, (group, number - first), count)
        return LogHistogram(first, counts)

    @property
    def log_edges(self) -> FloatArray:
        """Edges of the bins as log s, one more than bins."""
        return upper_edge(np.arange(self.first - 1, self.first + self.counts.shape[1]))


def summarize(columns: Columns, start: int) -> Columns:
    """What a summary keeps of full columns of replicas from `start` on.

    Returns
    -------
    dict of arrays
        Columns with a row a replica, and the triples ``histogram_group``, ``histogram_bin``, ``histogram_count``.
    """
    logs = columns["log_singular_values"]
    replicas, n_out = logs.shape
    rank = columns["rank"]
    finite = np.isfinite(logs)
    kept = {name: column for name, column in columns.items() if name not in ("log_singular_values",)}
    top = np.full((replicas, TOP), -np.inf)
    top[:, : min(TOP, n_out)] = logs[:, :TOP]
    with np.errstate(over="ignore"):  # a power beyond the range of doubles is inf, and says so in the table
        bulk = np.exp(2.0 * logs[:, 1:])
        powers = accumulate(repeat(bulk, POWERS), np.multiply)  # without pow, which is slow
        sums = np.stack([power.sum(axis=1) for power in powers], axis=1)
    groups = np.broadcast_to(((start + np.arange(replicas)) % GROUPS)[:, None], logs.shape)[finite]
    bins = bin_of(logs[finite])
    first = int(bins.min()) if len(bins) else 0
    span = int(bins.max()) - first + 1 if len(bins) else 1
    counts = np.bincount(groups * span + (bins - first), minlength=0)
    occupied = np.flatnonzero(counts)
    return kept | {
        "dimension": np.full(replicas, n_out),
        "log_largest": top,
        "log_smallest": logs[np.arange(replicas), np.maximum(rank, 1) - 1],
        "log_sum": np.where(finite, logs, 0.0).sum(axis=1),
        "power_sums": sums,
        "histogram_group": occupied // span,
        "histogram_bin": occupied % span + first,
        "histogram_count": counts[occupied],
    }


@dataclass(frozen=True, eq=False, kw_only=True)
class WidthSummary(WidthRecord):
    """What was kept of the spectra at one width, and what `WidthRecord` has.

    Answers what `WidthSample` answers, where single eigenvalues are not needed.

    Attributes
    ----------
    dimension : integer array of shape (replicas,)
        Number of eigenvalues, the same for all.
    log_largest : array of shape (replicas, 3)
        The largest log singular values, decreasing; ``-inf`` where there are fewer.
    log_smallest : array of shape (replicas,)
        The smallest that is not zero.
    log_sum : array of shape (replicas,)
        Sum of those that are not zero: half the log-determinant of J Jᵀ.
    power_sums : array of shape (replicas, 4)
        Sums of x, x², x³, x⁴ over all eigenvalues x of J Jᵀ but the largest.
    histogram : LogHistogram
        Of all that are not zero, by group.
    """

    dimension: IntArray
    log_largest: FloatArray
    log_smallest: FloatArray
    log_sum: FloatArray
    power_sums: FloatArray
    histogram: LogHistogram

    @property
    def n_out(self) -> int:
        """Number of eigenvalues of a replica."""
        return int(self.dimension[0])

    @property
    def group_sizes(self) -> IntArray:
        """How many replicas share a row of shape vectors and distribution functions."""
        sizes: IntArray = np.bincount(np.arange(self.replicas) % GROUPS)
        return sizes

    def largest(self, count: int) -> FloatArray:
        """The `count` <= 3 largest eigenvalues, shape (replicas, at most count)."""
        return np.exp(2.0 * self.log_largest[:, : min(count, self.n_out)])

    def smallest_positive(self) -> FloatArray:
        """The smallest eigenvalue that is not zero, shape (replicas,); of a zero matrix 0."""
        return np.exp(2.0 * self.log_smallest)

    def moments(self, count: int, *, without_largest: bool) -> FloatArray:
        """Mean of x^k, k = 1 … count <= 4, over each spectrum; the largest counted as 0 or not."""
        sums = self.power_sums[:, :count]
        if not without_largest:
            sums = sums + np.exp(2.0 * self.log_largest[:, :1]) ** np.arange(1, count + 1)
        return sums / self.n_out

    def log_determinants(self) -> FloatArray:
        """Mean of log x over the non-zero part of each spectrum, counted as a part of the whole, shape (replicas,)."""
        return 2.0 * self.log_sum / self.n_out

    def resolution(self, floor: float) -> tuple[float, float]:
        """Lower edge of the lowest bin, and the upper edge of the floor's bin: all below counts as at the floor."""
        smallest = math.exp(2.0 * float(self.histogram.log_edges[0]))
        if floor > 0.0:
            floor = math.exp(2.0 * float(upper_edge(bin_of(np.array(0.5 * math.log(floor))))))
        return smallest, floor

    def shape_vectors(self, coordinate: BulkCoordinate, components: int) -> tuple[FloatArray, FloatArray]:
        """Averages of the binned cosines over each group, shape (groups, components), and their expectation."""
        phi, at_zero, expected = binned_cosines(coordinate, np.exp(2.0 * self.histogram.log_edges), components)
        groups = len(self.group_sizes)
        counts = self.histogram.counts[:groups]
        totals = self.group_sizes * self.n_out
        zeros = totals - counts.sum(axis=1)
        shapes: FloatArray = (counts @ phi.T + np.outer(zeros, at_zero)) / totals[:, None]
        return shapes, expected

    def fraction_at(self, atom: float) -> FloatArray:
        """Fraction of each group's spectra in the bin of a position, shape (groups,)."""
        groups = len(self.group_sizes)
        index = int(bin_of(np.array(0.5 * math.log(atom)))) - self.histogram.first
        counts = self.histogram.counts[:groups]
        inside = counts[:, index] if 0 <= index < counts.shape[1] else np.zeros(groups)
        fractions: FloatArray = inside / (self.group_sizes * self.n_out)
        return fractions

    def grid(self, x: FloatArray) -> FloatArray:
        """The edges of bins nearest to x, increasing, each once."""
        below = bin_of(0.5 * np.log(x)) - 1
        lower, upper = upper_edge(below), upper_edge(below + 1)
        nearest = np.where(0.5 * np.log(x) - lower < upper - 0.5 * np.log(x), below, below + 1)
        return np.exp(2.0 * upper_edge(np.unique(nearest)))

    def distribution_functions(self, x: FloatArray) -> FloatArray:
        """Fraction of each group's spectra below edges of bins x, shape (groups, points)."""
        groups = len(self.group_sizes)
        counts = self.histogram.counts[:groups]
        totals = (self.group_sizes * self.n_out)[:, None]
        below = np.concatenate([np.zeros((groups, 1), dtype=np.int64), counts.cumsum(axis=1)], axis=1)
        # the middle of the bin above the edge tells its number whatever the rounding of x
        above = np.floor(np.arcsinh(0.5 * np.log(x) / LINEAR) * (LINEAR / BIN) + 1.0).astype(np.int64)
        index = np.clip(above - self.histogram.first, 0, counts.shape[1])
        fractions: FloatArray = (totals - below[:, -1:] + below[:, index]) / totals
        return fractions

    def bulk(self, *, without_largest: bool, atoms: FloatArray) -> tuple[FloatArray, float]:
        """Points that stand for the eigenvalues away from the atoms, and the number that the whole would have."""
        counts = self.histogram.counts.sum(axis=0)
        if without_largest:
            np.subtract.at(counts, bin_of(self.log_largest[:, 0]) - self.histogram.first, 1)
        at_atom = bin_of(0.5 * np.log(atoms[atoms > 0.0])) - self.histogram.first
        counts[at_atom[(at_atom >= 0) & (at_atom < len(counts))]] = 0
        cumulated = np.concatenate([[0], counts.cumsum()])
        points = min(POINTS, int(cumulated[-1]))
        levels = (np.arange(points) + 0.5) * (cumulated[-1] / max(points, 1))
        spread = np.exp(2.0 * np.interp(levels, cumulated, self.histogram.log_edges))
        return spread, float(self.replicas * self.n_out) * points / max(int(cumulated[-1]), 1)
