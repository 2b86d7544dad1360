"""From chunks of replicas to a table: the task that a worker runs, and what collects the answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from validation.chunk import Chunk
from validation.planner import METHODS
from validation.runner import one_blas_thread
from validation.store import Columns

__all__ = ["ReplicaTable", "sample_chunk"]


def sample_chunk(chunk: Chunk) -> Columns:
    """Sample a chunk's replicas by its method, with one BLAS thread.

    One thread, because bits of a product depend on the number of threads, and because two threads a worker are many
    times slower than one where other processes are busy.

    Returns
    -------
    dict of arrays
        The columns of `validation.experiment.WidthSample`, a row a replica.
    """
    with one_blas_thread():
        return METHODS[chunk.method].sample(chunk)


class ReplicaTable:
    """Rows of replicas as they come in, in whatever order."""

    def __init__(self, replicas: int) -> None:
        self.done: npt.NDArray[np.bool_] = np.zeros(replicas, dtype=bool)
        self.columns: Columns = {}

    def fill(self, start: int, stop: int, columns: Columns) -> None:
        """Enter the replicas ``start`` to ``stop - 1``."""
        for name, column in columns.items():
            if name not in self.columns:
                self.columns[name] = np.empty((len(self.done), *column.shape[1:]), dtype=column.dtype)
            self.columns[name][start:stop] = column
        self.done[start:stop] = True

    def missing_ranges(self, size: int) -> list[tuple[int, int]]:
        """Ranges of at most `size` replicas that cover what is missing."""
        missing = np.flatnonzero(~self.done)
        runs = np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1) if len(missing) else []
        return [
            (int(run[i]), int(run[min(i + size, len(run)) - 1]) + 1) for run in runs for i in range(0, len(run), size)
        ]
