"""The reference: every weight drawn, a real forward pass, the dense product of the layers' Jacobians, a dense SVD."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.network import Layer
from validation.backend import get_backend
from validation.chunk import Chunk, replica_seed, sample_input
from validation.extremes import extreme_log_singular_values
from validation.lanczos import QuadratureSpectrum
from validation.methods.method import Method
from validation.networks import Sampler, Signal, sample_jacobian
from validation.spectrum import LogSpectrum, log_singular_values
from validation.store import Columns

__all__ = ["METHOD", "draw_dense", "sample_networks"]

Draw = Callable[[Layer, npt.NDArray[np.float64], Sampler], tuple[Signal, LogSpectrum | QuadratureSpectrum]]


def sample_networks(chunk: Chunk, draw: Draw) -> Columns:
    """The columns of a chunk whose replicas are real networks with inputs of their own.

    Parameters
    ----------
    chunk : Chunk
    draw : callable
        Of network, input and sampler: draws the network, and returns its output and the spectrum of its Jacobian.
    """
    backend = get_backend(chunk.backend, chunk.dtype)
    rows: list[dict[str, Any]] = []
    for replica in range(chunk.start, chunk.stop):
        began = time.perf_counter()
        weights_seed, input_seed = replica_seed(chunk, replica).spawn(2)
        x = sample_input(chunk, input_seed)
        signal, spectrum = draw(chunk.net, x, Sampler(backend.generator(weights_seed), backend, chunk.q0))
        rows.append(
            {
                **spectrum.columns(),
                "input_square": float(x @ x) / len(x),
                "output_square": float((signal.x * signal.x).mean()),
                "seconds": time.perf_counter() - began,
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def draw_dense(net: Layer, x: npt.NDArray[np.float64], sampler: Sampler) -> tuple[Signal, LogSpectrum]:
    """A network's output and Jacobian, as `sample_jacobian`, and the spectrum of the Jacobian by a dense SVD."""
    signal = sample_jacobian(net, x, sampler)
    return signal, log_singular_values(signal.jacobian, sampler.backend, rank=signal.rank)


def _draw_extremes(net: Layer, x: npt.NDArray[np.float64], sampler: Sampler) -> tuple[Signal, LogSpectrum]:
    signal = sample_jacobian(net, x, sampler)
    return signal, extreme_log_singular_values(signal.jacobian, sampler.backend, int(signal.rank))


METHOD = Method(
    name="forward",
    summary="every weight drawn, a real forward pass, the dense product, a dense SVD: the reference for all others",
    obstacle=lambda _chunk: None,
    merit=lambda _chunk: "no cheaper method has the law of this network",
    sample=lambda chunk: sample_networks(chunk, _draw_extremes if chunk.extremes else draw_dense),
)
