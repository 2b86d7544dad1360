"""From chunks of replicas to samples: the task that a worker runs, and what collects the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from validation.chunk import Chunk
from validation.extremes import extreme_columns
from validation.planner import METHODS
from validation.quadrature import WidthQuadrature
from validation.runner import one_blas_thread
from validation.samples import WidthSample
from validation.store import Columns
from validation.summary import LogHistogram, WidthSummary, summarize

__all__ = ["KEEP", "Collector", "Keep", "common_end", "sample_chunk"]

Keep = Literal["spectra", "summary", "stored"]
KEEP: tuple[Keep, ...] = ("spectra", "summary", "stored")

Sample: TypeAlias = WidthSample | WidthSummary | WidthQuadrature

HISTOGRAM = ("histogram_group", "histogram_bin", "histogram_count")


def sample_chunk(chunk: Chunk, keep: Keep = "spectra") -> Columns:
    """Sample a chunk's replicas by its method, with one BLAS thread.

    One thread, because bits of a product depend on the number of threads, and because two threads a worker are many
    times slower than one where other processes are busy.

    Returns
    -------
    dict of arrays
        The columns of `validation.samples.WidthSample`, a row a replica; of `validation.summary.summarize`; or both,
        if `keep` is ``"stored"``. Of a method that gives quadratures, those of `validation.quadrature.WidthQuadrature`.
    """
    with one_blas_thread():
        columns = METHODS[chunk.method].sample(chunk)
        if chunk.extremes:
            columns["log_singular_values"] = extreme_columns(columns["log_singular_values"])
        if keep == "spectra" or "weights" in columns:  # a quadrature is as short as a summary
            return columns
        summary = summarize(columns, chunk.start)
        return summary if keep == "summary" else columns | summary


class Collector:
    """The replicas at one width as they come in, in whatever order; each is counted once.

    Parameters
    ----------
    replicas : int
        How many are wanted.
    summaries : bool
        Whether to keep summaries instead of spectra.
    """

    def __init__(self, width: int, replicas: int, summaries: bool) -> None:
        self.width = width
        self.done: npt.NDArray[np.bool_] = np.zeros(replicas, dtype=bool)
        self._kind: type[Sample] = WidthSummary if summaries else WidthSample
        self._columns: Columns = {}
        self._histogram = LogHistogram.empty()
        self._merged = 0  # replicas below this are in the histogram, and no others
        self._pieces: dict[int, tuple[int, list[npt.NDArray[Any]]]] = {}  # start -> stop, counts not merged yet

    def fill(self, start: int, stop: int, columns: Columns) -> None:
        """Enter the replicas ``start`` to ``stop - 1``; nothing happens if one of them is there already."""
        if self.done[start:stop].any():
            return
        if "weights" in columns:  # of a quadrature there is no summary
            self._kind = WidthQuadrature
        summarized = self._kind is WidthSummary
        if summarized and HISTOGRAM[0] not in columns:
            columns = summarize(columns, start)
        for name in {field.name for field in fields(self._kind)} & columns.keys():
            column = columns[name]
            if name not in self._columns:
                self._columns[name] = np.empty((len(self.done), *column.shape[1:]), dtype=column.dtype)
            self._columns[name][start:stop] = column
        self.done[start:stop] = True
        self._pieces[start] = stop, [columns[name] for name in HISTOGRAM] if summarized else []

    def ends(self) -> set[int]:
        """All n for which replicas 0 to n - 1 are there as whole pieces, as far as they are not merged."""
        end = self._merged
        ends = {end}
        while end in self._pieces:
            end = self._pieces[end][0]
            ends.add(end)
        return ends

    def merge(self, replicas: int) -> None:
        """Count the pieces of the first `replicas`, one of `ends`."""
        while self._merged < replicas:
            stop, counts = self._pieces.pop(self._merged)
            if counts:
                self._histogram = self._histogram.plus(*counts)
            self._merged = stop

    def sample(self) -> Sample:
        """What is merged, as a sample that does not change any more."""
        columns: dict[str, Any] = {name: column[: self._merged] for name, column in self._columns.items()}
        if self._kind is WidthSummary:
            columns["histogram"] = LogHistogram(self._histogram.first, self._histogram.counts.copy())
        return self._kind(width=self.width, **columns)


def common_end(collectors: Sequence[Collector]) -> int:
    """Merge as many of the first replicas as are there at every width; how many these are."""
    replicas = max(set.intersection(*(collector.ends() for collector in collectors)))
    for collector in collectors:
        collector.merge(replicas)
    return replicas
