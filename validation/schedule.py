"""How many replicas a task gets: what takes about a second, learnt while the experiment runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["Schedule"]

# Long against what an executor costs a task (2 ms at worst, dask), short against what a killed run should lose.
TASK_SECONDS = 1.0
# The last tasks are shorter, so that all workers end together, but not so short that the executor is felt.
LEAST_TASK_SECONDS = 0.2
# A task's log singular values fit in 32 MB, however little time they take.
TASK_VALUES = 1 << 22

Span = tuple[int, int, int]


class Schedule:
    """Deals out what is missing as spans ``(width, start, stop)`` of replicas.

    A range of replicas is dealt to all widths in turn, the narrowest first, before the next range is: estimates that
    need every width are then at hand early. How long the ranges are depends on the times observed, and has no influence
    on the numbers.

    Parameters
    ----------
    done : mapping from width to bool array
        Which replicas need not be dealt.
    workers : int
        How many will share the work.
    chunk_size : int, optional
        Length of a range; by default what takes the widest networks about a second.
    """

    def __init__(self, done: Mapping[int, npt.NDArray[np.bool_]], workers: int, chunk_size: int | None = None) -> None:
        self.workers = workers
        self._chunk_size = chunk_size
        self._todo = {width: ~done[width] for width in sorted(done)}
        self._left = {width: int(todo.sum()) for width, todo in self._todo.items()}  # not observed yet
        self._widest = max(done)
        self._seconds: dict[int, float] = {}  # a replica, by width, as last observed

    def __iter__(self) -> Iterator[Span]:
        any_width = np.logical_or.reduce(list(self._todo.values()))
        while any_width.any():
            start = int(any_width.argmax())
            stop = min(start + self._range(int(any_width.sum())), len(any_width))
            any_width[start:stop] = False
            for width, todo in self._todo.items():
                edges = np.flatnonzero(np.diff(todo[start:stop], prepend=False, append=False)) + start
                yield from ((width, int(first), int(last)) for first, last in edges.reshape(-1, 2))

    def observe(self, width: int, replicas: int, seconds: float) -> None:
        """Note that a task is finished, and how long it took its worker.

        The last observation counts: the first of each worker often contains compilation.
        """
        self._left[width] -= replicas
        self._seconds[width] = max(seconds, 1e-7) / replicas

    def seconds_left(self) -> float:
        """How long the rest would take one worker; 0 before anything was observed."""
        return sum(count * self._pace(width) for width, count in self._left.items())

    def _pace(self, width: int) -> float:
        """Seconds a replica, scaled from the nearest width observed: decompositions are cubic in the width."""
        if not self._seconds:
            return 0.0
        known = min(self._seconds, key=lambda other: abs(other - width))
        return self._seconds[known] * (width / known) ** 3

    def _range(self, left: int) -> int:
        if self._chunk_size is not None:
            return self._chunk_size
        if not self._seconds:
            return 1
        pace = self._pace(self._widest)
        shared = max(left / (2 * self.workers), LEAST_TASK_SECONDS / pace)
        return max(1, int(min(TASK_SECONDS / pace, shared, TASK_VALUES / self._widest)))
