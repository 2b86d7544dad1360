"""Chunks of replicas: the task sent to a worker, what it draws, and the table that collects the answers."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.network import Layer
from validation.backend import get_backend
from validation.networks import Sampler, sample_jacobian
from validation.runner import one_blas_thread
from validation.spectrum import log_singular_values
from validation.store import Columns

__all__ = ["Chunk", "ReplicaTable", "sample_chunk", "sample_input"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chunk:
    """Replicas ``start`` to ``stop - 1`` at one width; carries all a worker needs (see `Experiment` for the fields)."""

    net: Layer
    width: int
    start: int
    stop: int
    seed: int
    backend: str
    x: tuple[float, ...] | None
    q0: float

    @property
    def work(self) -> float:
        """Relative cost: matrix products and decompositions are cubic in the width."""
        return float(self.stop - self.start) * self.width**3


def sample_chunk(chunk: Chunk) -> Columns:
    """Sample a chunk's replicas with one BLAS thread.

    One thread, because bits of a product depend on the number of threads, and because two threads a worker are many
    times slower than one where other processes are busy.

    Returns
    -------
    dict of arrays
        The columns of `validation.experiment.WidthSample`, a row a replica.
    """
    backend = get_backend(chunk.backend)
    rows: list[dict[str, Any]] = []
    with one_blas_thread():
        for replica in range(chunk.start, chunk.stop):
            began = time.perf_counter()
            seed = np.random.SeedSequence(chunk.seed, spawn_key=(chunk.width, replica))
            weights_seed, input_seed = seed.spawn(2)
            x = sample_input(chunk, input_seed)
            signal = sample_jacobian(chunk.net, x, Sampler(backend.generator(weights_seed), backend, chunk.q0))
            spectrum = log_singular_values(signal.jacobian, backend, rank=signal.rank)
            rows.append(
                {
                    "log_singular_values": spectrum.values,
                    "rank": spectrum.rank,
                    "resolved": spectrum.resolved,
                    "log_floor": spectrum.log_floor,
                    "input_square": float(x @ x) / len(x),
                    "output_square": float((signal.x * signal.x).mean()),
                    "seconds": time.perf_counter() - began,
                }
            )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def sample_input(chunk: Chunk, seed: np.random.SeedSequence) -> FloatArray:
    """The input of one replica, of length ``chunk.width``: Gaussian of variance q0, or the given one.

    A given input of another length (the companion's case) is thinned out evenly and rescaled to the same mean square.
    """
    if chunk.x is None:
        # drawn on the host in every backend, so that all backends see the same inputs
        normals = np.random.Generator(np.random.SFC64(seed)).standard_normal(chunk.width)
        return math.sqrt(chunk.q0) * normals
    x = np.asarray(chunk.x, dtype=np.float64)
    if chunk.width == len(x):
        return x
    thinned = x[np.linspace(0, len(x) - 1, chunk.width).round().astype(np.int64)]
    square = float(thinned @ thinned)
    if square == 0.0:  # an input with few non-zero components: keep its mean square, spread evenly
        thinned, square = np.ones(chunk.width), float(chunk.width)
    scaled: FloatArray = thinned * math.sqrt(float(x @ x) / len(x) * chunk.width / square)
    return scaled


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
