"""Experiments: which network, which widths, how many replicas; sampled anywhere, always the same numbers."""

from __future__ import annotations

import itertools
import math
import platform
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata as distributions
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from theory.network import Dense, Layer, blocks
from validation.backend import get_backend
from validation.chunk import Chunk
from validation.description import network_from_json, network_to_json
from validation.planner import Plan, make_plan
from validation.progress import Progress, Reporter
from validation.run import Run
from validation.runner import available_processors, expected_workers, map_unordered, one_blas_thread
from validation.sampling import KEEP, Collector, Keep, common_end, sample_chunk
from validation.schedule import Schedule
from validation.store import ChunkStore, Columns

__all__ = ["Experiment"]

# Changes whenever the same experiment would give other numbers: stores of an older version are then refused.
STREAM_VERSION = 3
# Layers with weights outside residual blocks that single precision may have.
SINGLE_LAYERS = 3
# Starting worker processes takes about this long; shorter experiments finish sooner in the calling process.
POOL_START_SECONDS = 2.0


@dataclass(frozen=True)
class Experiment:
    """Independent replicas of a network at finite width, described as data.

    Replica r at width n draws weights, biases and input from a generator seeded by ``(seed, n, r)`` alone: the numbers
    do not depend on executor, number of workers, chunks or order, nor on how many replicas there are.

    Parameters
    ----------
    net : Layer
        A description from `theory`.
    width : int
        Length of the input; inner widths follow from the layers' width ratios.
    replicas : int
        Independent networks, each with its own input.
    seed : int
        Not negative.
    backend : str
        ``"numpy"`` or ``"cupy"``.
    x : sequence of float, optional
        One input for all replicas, of length `width`. At the companion width its components are thinned out evenly and
        rescaled to the same mean square. Default: Gaussian inputs of variance `q0`.
    q0 : float
        Variance of the Gaussian input components, > 0. Not used with `x`.
    companion : bool or sequence of int
        Sample the same network at half the width too (an eighth of the work), so that `compare` can remove the bias of
        finite width by extrapolation in 1/width; or at these widths, smaller than `width`: with two of them the second
        order in 1/width is removed too, with more it is fitted by least squares. False samples no other width.
    method : str, optional
        How the spectra are sampled: a name of `validation.planner.METHODS`. Default: the planner's choice, which `plan`
        shows. All methods draw from the same law, but not the same numbers.
    dtype : str
        Precision of the products, ``"float64"`` or ``"float32"``: twice the speed on a processor and more on a GPU, for
        singular values of which those below ``width * 1e-7`` times the largest are lost. That is safe for residual
        networks and for moments; networks with more than three layers outside residual blocks are refused.
    values : str
        ``"all"`` singular values, or the ``"extremes"``: the largest and the smallest that is not zero, which cost less
        where a wide matrix would have to be decomposed. Spectra of two values are no sample of a law.

    Raises
    ------
    ValueError
        For any argument out of its range; the message names it.
    """

    net: Layer
    width: int = 400
    replicas: int = 64
    seed: int = 1
    backend: str = "numpy"
    x: Sequence[float] | npt.NDArray[Any] | None = field(default=None, repr=False)
    q0: float = 1.0
    companion: bool | Sequence[int] = True
    method: str | None = None
    dtype: str = "float64"
    values: Literal["all", "extremes"] = "all"

    def __post_init__(self) -> None:
        _check_integer("width", self.width, 4 if self.companion is True else 1)
        if not isinstance(self.companion, bool):
            object.__setattr__(self, "companion", _companion_widths(self.companion, self.width))
        _check_integer("replicas", self.replicas, 1)
        _check_integer("seed", self.seed, 0)
        get_backend(self.backend, self.dtype)
        _check_precision(self.net, self.dtype)
        object.__setattr__(self, "q0", _positive("q0", self.q0))
        if self.x is not None:
            object.__setattr__(self, "x", _input_vector(self.x, self.width))
        if self.values not in ("all", "extremes"):
            raise ValueError(f"values={self.values!r} is unknown; choose 'all' or 'extremes'")
        network_to_json(self.net)  # refuses symbolic parameters and unknown layers now rather than in a worker
        self.plan()  # refuses a method that cannot sample this network

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths that are sampled, decreasing: `width` and its companions."""
        if isinstance(self.companion, bool):
            return (self.width, self.width // 2) if self.companion else (self.width,)
        return (self.width, *self.companion)

    def plan(self) -> tuple[Plan, ...]:
        """Which method samples each width, why, and why not the others; prints as a table a width."""
        return tuple(self._plan(width) for width in self.widths)

    def _plan(self, width: int) -> Plan:
        return make_plan(self._chunk(width, 0, 0), self.method)

    def _chunk(self, width: int, start: int, stop: int, method: str = "") -> Chunk:
        x = None if self.x is None else tuple(float(value) for value in self.x)
        extremes = self.values == "extremes"
        return Chunk(self.net, width, start, stop, self.seed, self.backend, x, self.q0, method, self.dtype, extremes)

    def to_json(self) -> dict[str, Any]:
        """The description as JSON values; `from_json` reads it back."""
        return {
            "net": network_to_json(self.net),
            "width": self.width,
            "replicas": self.replicas,
            "seed": self.seed,
            "backend": self.backend,
            "x": None if self.x is None else [float(value) for value in self.x],
            "q0": self.q0,
            "companion": self.companion if isinstance(self.companion, bool) else list(self.companion),
            "method": self.method,
            "dtype": self.dtype,
            "values": self.values,
        }

    @classmethod
    def from_json(cls, description: Mapping[str, Any]) -> Experiment:
        """The experiment of a description written by `to_json`."""
        return cls(**{**description, "net": network_from_json(description["net"])})

    def run(
        self,
        executor: Executor | None = None,
        progress: Progress = False,
        store: str | Path | None = None,
        workers: int | None = None,
        chunk_size: int | None = None,
        keep: Keep = "spectra",
    ) -> Run:
        """Sample all replicas.

        Parameters
        ----------
        executor : concurrent.futures.Executor, optional
            Where to run: processes, threads, dask, MPI. It stays open. Default: own worker processes, or the calling
            process if the whole takes no longer than starting them.
        progress : bool or callable
            True shows a progress bar with the mean of J Jᵀ's eigenvalues so far and its error; a callable gets
            ``(done, total)`` replicas.
        store : path, optional
            Folder for checkpoints, one a chunk. A run that was killed resumes from it and nothing is counted twice.
        workers : int, optional
            Number of worker processes (default: all processors, or 1 with a GPU); 1 runs in the calling process. With
            `executor`, how many workers to keep supplied (default: what it tells, else the processors of this machine).
        chunk_size : int, optional
            Replicas a task (default: what takes about a second). It has no influence on the numbers.
        keep : str
            ``"spectra"`` keeps every singular value; ``"summary"`` some numbers a replica and histograms, whose memory
            does not grow with the width (`validation.summary` says which, and what that costs a verdict);
            ``"stored"`` the same in memory, but every singular value in the store.

        Returns
        -------
        Run

        Raises
        ------
        ValueError
            If an argument is out of range, or if `store` belongs to another experiment.
        RuntimeError
            If worker processes died and died again.
        """
        *_, last = self.stream(executor, progress, store, workers, chunk_size, keep, every=math.inf)
        return last

    def stream(
        self,
        executor: Executor | None = None,
        progress: Progress = False,
        store: str | Path | None = None,
        workers: int | None = None,
        chunk_size: int | None = None,
        keep: Keep = "spectra",
        every: float = 1.0,
    ) -> Iterator[Run]:
        """Sample all replicas, and give running results meanwhile.

        Each is the complete run of an experiment with fewer replicas, the first ones: ready for `compare`, and equal
        bit for bit to what that experiment gives on its own. The last is what `run` returns. Leaving the loop early
        ends the sampling. (Looking at many p-values until one pleases is not a test at the stated false-alarm rate.)

        Parameters
        ----------
        executor, progress, store, workers, chunk_size, keep
            As in `run`.
        every : float
            At least so many seconds between results, >= 0.

        Yields
        ------
        Run

        Raises
        ------
        ValueError, RuntimeError
            As `run` does, when the first result is asked for.
        """
        if workers is not None:
            _check_integer("workers", workers, 1)
        if chunk_size is not None:
            _check_integer("chunk_size", chunk_size, 1)
        if keep not in KEEP:
            raise ValueError(f"keep={keep!r} is unknown; choose 'spectra', 'summary' or 'stored'")
        if keep != "spectra" and self.values == "extremes":
            raise ValueError(f"keep={keep!r}: two values a replica need no summary; use keep='spectra'")
        if keep == "stored" and store is None:
            raise ValueError("keep='stored' puts the spectra into store=, which is missing; give a folder")
        if not every >= 0.0:
            raise ValueError(f"every={every!r} must be a number of seconds >= 0")
        started = reported = time.perf_counter()
        plans = {plan.width: plan.method for plan in self.plan()}
        collectors = {width: Collector(width, self.replicas, keep != "spectra") for width in self.widths}
        chunks = None if store is None else ChunkStore(Path(store), self._identity(), plans)
        if chunks is not None:
            for width, start, stop, columns in chunks.chunks(keep != "summary"):
                if width in collectors and stop <= self.replicas:
                    collectors[width].fill(start, stop, columns)
                    common_end(list(collectors.values()))
        resumed = sum(int(collector.done.sum()) for collector in collectors.values())

        def result() -> Run:
            samples: Any = tuple(collectors[width].sample() for width in self.widths)
            metadata = {
                "versions": versions(),
                "platform": platform.platform(),
                "wall_seconds": time.perf_counter() - started,
                "resumed_replicas": resumed,
                "executor": "default" if executor is None else type(executor).__name__,
                "methods": {str(width): method for width, method in plans.items()},
            }
            return Run(replace(self, replicas=samples[0].replicas), samples, metadata)

        free = executor is None and workers is None  # to start processes or not
        own = 1 if self.backend == "cupy" else available_processors()  # processes would compete for the GPU
        workers = workers or (own if executor is None else expected_workers(executor))
        schedule = Schedule({width: each.done for width, each in collectors.items()}, workers, chunk_size)
        tasks = (self._chunk(width, start, stop, plans[width]) for width, start, stop in schedule)
        sample = partial(sample_chunk, keep=keep)
        complete = common_end(list(collectors.values()))
        with (
            # the calling process works too, or shares its BLAS with worker threads: one thread each
            one_blas_thread(),
            Reporter(progress, resumed, self.replicas * len(collectors)) as report,
            closing(_results(sample, tasks, schedule if free else None, executor, workers)) as results,
        ):
            for task, columns in results:
                schedule.observe(task.width, task.stop - task.start, float(columns["seconds"].sum()))
                collectors[task.width].fill(task.start, task.stop, columns)
                if chunks is not None:
                    chunks.write(task.width, task.start, task.stop, columns)
                report.advance(task.stop - task.start, columns if task.width == self.width else None)
                before, complete = complete, common_end(list(collectors.values()))
                now = time.perf_counter()
                if before < complete < self.replicas and now - reported >= every:
                    reported = now
                    yield result()
        yield result()

    def _identity(self) -> dict[str, Any]:
        """What a store must agree with: all that the numbers of one replica at one width depend on.

        How many replicas, and which companions are sampled, is not of it: a store can be continued with more. The
        method is, but each chunk names its own, since another version's planner may choose others.
        """
        identity = self.to_json()
        del identity["replicas"], identity["companion"], identity["method"]
        return {"stream": STREAM_VERSION, **identity}


def _results(
    sample: partial[Columns],
    tasks: Iterator[Chunk],
    schedule: Schedule | None,
    executor: Executor | None,
    workers: int,
) -> Generator[tuple[Chunk, Columns], None, None]:
    """Run the tasks; given the schedule, start worker processes only where they pay."""
    if schedule is not None:
        began = time.perf_counter()
        for number, task in enumerate(tasks, 1):
            yield task, sample(task)
            # by then the time has been observed; that of the first task may have been compilation
            known = number >= 2 or time.perf_counter() - began > POOL_START_SECONDS
            if known and schedule.seconds_left() > POOL_START_SECONDS:
                break
    yield from map_unordered(sample, tasks, executor, workers)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that have a part in the numbers."""
    names = ("rmt-toolkit", "numpy", "scipy")
    return {"python": platform.python_version(), **{name: distributions.version(name) for name in names}}


def _check_precision(net: Layer, dtype: str) -> None:
    if dtype != "float32":
        return
    bare = (layer for layer in blocks(net) if isinstance(layer, Dense))
    if len(list(itertools.islice(bare, SINGLE_LAYERS + 1))) > SINGLE_LAYERS:
        raise ValueError(
            f"dtype='float32' loses the spectrum of more than {SINGLE_LAYERS} layers without skip connections; "
            "choose dtype='float64'"
        )


def _check_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}={value!r} must be an integer >= {least}")


def _positive(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 < number < math.inf:
        raise ValueError(f"{name}={value!r} must be a finite number > 0")
    return number


def _input_vector(x: Any, width: int) -> tuple[float, ...]:
    vector = np.asarray(x, dtype=np.float64)
    if vector.shape != (width,):
        raise ValueError(f"x has shape {vector.shape}; it must have shape ({width},), the experiment's width")
    if not np.isfinite(vector).all() or not vector.any():
        raise ValueError("x must have finite components, not all of them zero")
    return tuple(vector.tolist())


def _companion_widths(widths: Any, width: int) -> tuple[int, ...]:
    try:
        chosen = tuple(widths)
    except TypeError:
        raise ValueError(f"companion={widths!r} must be True, False, or widths smaller than width={width}") from None
    for one in chosen:
        _check_integer("companion", one, 1)
    if len(set(chosen)) < len(chosen) or any(one >= width for one in chosen):
        raise ValueError(f"companion={chosen!r} must be different widths, all smaller than width={width}")
    return tuple(sorted((int(one) for one in chosen), reverse=True))
