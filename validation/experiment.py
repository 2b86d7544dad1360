"""Experiments: which network, which width, how many replicas; sampled anywhere, always the same numbers."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, fields
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from theory.network import Layer
from validation.backend import get_backend
from validation.chunk import Chunk
from validation.description import network_from_json, network_to_json
from validation.planner import Plan, make_plan
from validation.runner import available_processors, map_unordered, one_blas_thread
from validation.sampling import ReplicaTable, sample_chunk
from validation.store import ChunkStore, Columns, write_atomically

__all__ = ["Experiment", "Run", "WidthSample"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Progress = bool | Callable[[int, int], None]

# Changes whenever the same experiment would give other numbers: stores of an older version are then refused.
STREAM_VERSION = 2
CHUNKS_PER_WIDTH = 64
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
    companion : bool
        Sample the same network at half the width too (an eighth of the work), so that `compare` can remove the bias of
        finite width by extrapolation in 1/width.
    method : str, optional
        How the spectra are sampled: a name of `validation.planner.METHODS`. Default: the planner's choice, which `plan`
        shows. All methods draw from the same law, but not the same numbers.

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
    companion: bool = True
    method: str | None = None

    def __post_init__(self) -> None:
        _check_integer("width", self.width, 4 if self.companion else 1)
        _check_integer("replicas", self.replicas, 1)
        _check_integer("seed", self.seed, 0)
        get_backend(self.backend)
        object.__setattr__(self, "q0", _positive("q0", self.q0))
        if self.x is not None:
            object.__setattr__(self, "x", _input_vector(self.x, self.width))
        network_to_json(self.net)  # refuses symbolic parameters and unknown layers now rather than in a worker
        self.plan()  # refuses a method that cannot sample this network

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths that are sampled: `width` and, with a companion, half of it."""
        return (self.width, self.width // 2) if self.companion else (self.width,)

    def plan(self) -> tuple[Plan, ...]:
        """Which method samples each width, why, and why not the others; prints as a table a width."""
        return tuple(self._plan(width) for width in self.widths)

    def _plan(self, width: int) -> Plan:
        return make_plan(self._chunk(width, 0, 0), self.method)

    def _chunk(self, width: int, start: int, stop: int, method: str = "") -> Chunk:
        x = None if self.x is None else tuple(float(value) for value in self.x)
        return Chunk(self.net, width, start, stop, self.seed, self.backend, x, self.q0, method)

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
            "companion": self.companion,
            "method": self.method,
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
    ) -> Run:
        """Sample all replicas.

        Parameters
        ----------
        executor : concurrent.futures.Executor, optional
            Where to run: processes, threads, dask, MPI. It stays open. Default: own worker processes, or the calling
            process if the whole takes no longer than starting them.
        progress : bool or callable
            True shows a progress bar; a callable gets ``(done, total)`` replicas.
        store : path, optional
            Folder for checkpoints, one a chunk. A run that was killed resumes from it and nothing is counted twice.
        workers : int, optional
            Number of worker processes (default: all processors); 1 runs in the calling process. With `executor`, how
            many workers to keep supplied.
        chunk_size : int, optional
            Replicas a task (default: a 64th of them). It has no influence on the numbers.

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
        if workers is not None:
            _check_integer("workers", workers, 1)
        if chunk_size is not None:
            _check_integer("chunk_size", chunk_size, 1)
        started = time.perf_counter()
        tables = {width: ReplicaTable(self.replicas) for width in self.widths}
        chunks = None if store is None else ChunkStore(Path(store), self._identity())
        if chunks is not None:
            for width, start, stop, columns in chunks.chunks():
                if width in tables and stop <= self.replicas:
                    tables[width].fill(start, stop, columns)
        resumed = sum(int(table.done.sum()) for table in tables.values())
        size = chunk_size or math.ceil(self.replicas / CHUNKS_PER_WIDTH)
        plans = {plan.width: plan.method for plan in self.plan()}
        # narrow networks first: they tell early how long the rest will take
        tasks = [
            self._chunk(width, start, stop, plans[width])
            for width in sorted(tables)
            for start, stop in tables[width].missing_ranges(size)
        ]
        with (
            # the calling process works too, or shares its BLAS with worker threads: one thread each
            one_blas_thread(),
            _Reporter(progress, resumed, self.replicas * len(tables)) as report,
            closing(_results(tasks, executor, workers)) as results,
        ):
            for task, columns in results:
                tables[task.width].fill(task.start, task.stop, columns)
                if chunks is not None:
                    chunks.write(task.width, task.start, task.stop, columns)
                report.advance(task.stop - task.start)
        return Run(
            experiment=self,
            samples=tuple(WidthSample(width=width, **tables[width].columns) for width in self.widths),
            metadata={
                "versions": versions(),
                "platform": platform.platform(),
                "wall_seconds": time.perf_counter() - started,
                "resumed_replicas": resumed,
                "executor": "default" if executor is None else type(executor).__name__,
                "methods": {str(width): method for width, method in plans.items()},
            },
        )

    def _identity(self) -> dict[str, Any]:
        """What a store must agree with: all that the numbers of one replica at one width depend on.

        How many replicas, and whether the companion is sampled, is not of it: a store can be continued with more.
        """
        identity = self.to_json()
        del identity["replicas"], identity["companion"]
        # the methods themselves, not "planned": another version's planner may choose others
        methods = [self._plan(width).method for width in (self.width, max(1, self.width // 2))]
        return {"stream": STREAM_VERSION, **identity, "method": methods}


def _results(
    tasks: list[Chunk], executor: Executor | None, workers: int | None
) -> Generator[tuple[Chunk, Columns], None, None]:
    """Run the tasks; left to itself, time the first and start worker processes only where they pay."""
    if tasks and executor is None and workers is None:
        first, *tasks = tasks
        began = time.perf_counter()
        columns = sample_chunk(first)
        pace = (time.perf_counter() - began) / first.work
        yield first, columns
        if pace * sum(task.work for task in tasks) < POOL_START_SECONDS:
            workers = 1
    yield from map_unordered(sample_chunk, tasks, executor, workers or available_processors())


class _Reporter:
    """Progress as a bar, as calls, or not at all."""

    def __init__(self, progress: Progress, done: int, total: int) -> None:
        self._bar = tqdm(total=total, initial=done, unit="net") if progress is True else None
        self._call = progress if callable(progress) else None
        self._done, self._total = done, total

    def __enter__(self) -> _Reporter:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int) -> None:
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        if self._call is not None:
            self._call(self._done, self._total)


@dataclass(frozen=True, eq=False)
class WidthSample:
    """What was sampled at one width; the first axis of every array is the replica.

    Attributes
    ----------
    width : int
        Input width.
    log_singular_values : array of shape (replicas, n_out)
        log s in decreasing order, ``-inf`` for exact zeros. Squares of s are the eigenvalues of J Jᵀ.
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
    log_singular_values: FloatArray
    rank: IntArray
    resolved: IntArray
    log_floor: FloatArray
    input_square: FloatArray
    output_square: FloatArray
    seconds: FloatArray

    @property
    def replicas(self) -> int:
        """Number of independent networks."""
        return len(self.log_singular_values)

    @property
    def eigenvalues(self) -> FloatArray:
        """Eigenvalues of J Jᵀ, shape (replicas, n_out), decreasing."""
        return np.exp(2.0 * self.log_singular_values)


@dataclass(frozen=True, eq=False)
class Run:
    """The outcome of an experiment.

    Attributes
    ----------
    experiment : Experiment
        What was asked for, seed included.
    samples : tuple of WidthSample
        One a width, the widest first.
    metadata : mapping
        Versions of the libraries, platform, wall time, how many replicas came from a store.
    """

    experiment: Experiment
    samples: tuple[WidthSample, ...]
    metadata: Mapping[str, Any]

    @property
    def log_singular_values(self) -> FloatArray:
        """Log singular values at the experiment's width, shape (replicas, n_out)."""
        return self.samples[0].log_singular_values

    @property
    def eigenvalues(self) -> FloatArray:
        """Eigenvalues of J Jᵀ at the experiment's width, shape (replicas, n_out)."""
        return self.samples[0].eigenvalues

    def save(self, path: str | Path) -> Path:
        """Write the run to an ``.npz`` file (arrays and a JSON header, no pickle); `load` reads it back.

        Raises
        ------
        ValueError
            If the suffix is another, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"path={str(path)!r}: the suffix must be .npz")
        header = {
            "experiment": self.experiment.to_json(),
            "widths": [sample.width for sample in self.samples],
            "metadata": dict(self.metadata),
        }
        columns: Columns = {"header": np.array(json.dumps(header))}
        for sample in self.samples:
            for name in _COLUMN_NAMES:
                columns[f"{name}_{sample.width}"] = getattr(sample, name)
        try:
            write_atomically(path, columns)
        except OSError as error:
            raise ValueError(f"path={str(path)!r} cannot be written ({error}); choose another") from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run written by `save`."""
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(str(stored["header"]))
            samples = tuple(
                WidthSample(width=width, **{name: stored[f"{name}_{width}"] for name in _COLUMN_NAMES})
                for width in header["widths"]
            )
        return cls(Experiment.from_json(header["experiment"]), samples, header["metadata"])


_COLUMN_NAMES = tuple(column.name for column in fields(WidthSample) if column.name != "width")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that have a part in the numbers."""
    names = ("rmt-toolkit", "numpy", "scipy")
    return {"python": platform.python_version(), **{name: distributions.version(name) for name in names}}


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
