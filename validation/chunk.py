"""A chunk of replicas: what is sent to a worker, whatever the method that samples it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theory.network import Layer

__all__ = ["Chunk", "replica_seed", "sample_input"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chunk:
    """Replicas ``start`` to ``stop - 1`` at one width; carries all a worker needs (see `Experiment` for the fields).

    `method` is the name of one of `validation.planner.METHODS`. If `extremes` is true, no more is wanted of a spectrum
    than its largest and its smallest non-zero value; a method may give all of them all the same.
    """

    net: Layer
    width: int
    start: int
    stop: int
    seed: int
    backend: str
    x: tuple[float, ...] | None
    q0: float
    method: str = "forward"
    dtype: str = "float64"
    extremes: bool = False

    @property
    def work(self) -> float:
        """Relative cost: matrix products and decompositions are cubic in the width."""
        return float(self.stop - self.start) * self.width**3


def replica_seed(chunk: Chunk, replica: int) -> np.random.SeedSequence:
    """The seed of a replica: a function of the experiment's seed, the width and the replica's number alone."""
    return np.random.SeedSequence(chunk.seed, spawn_key=(chunk.width, replica))


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
