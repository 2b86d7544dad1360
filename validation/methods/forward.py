"""The reference: every weight drawn, a real forward pass, the dense product of the layers' Jacobians, a dense SVD."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from validation.backend import get_backend
from validation.chunk import Chunk, replica_seed, sample_input
from validation.jacobian import Weights
from validation.methods.method import Method
from validation.networks import Sampler, formed_weights, send
from validation.spectrum import log_singular_values
from validation.store import Columns

__all__ = ["METHOD", "sample_replicas"]


def sample_replicas(
    chunk: Chunk, weights: Callable[..., Weights] = formed_weights, squared: bool = False
) -> Columns:
    """Send one input through each replica; the spectra of their Jacobians.

    Parameters
    ----------
    chunk : Chunk
    weights : callable
        As in `validation.networks.Sampler`.
    squared : bool
        As in `validation.spectrum.log_singular_values`.
    """
    backend = get_backend(chunk.backend)
    rows: list[dict[str, Any]] = []
    for replica in range(chunk.start, chunk.stop):
        began = time.perf_counter()
        weights_seed, input_seed = replica_seed(chunk, replica).spawn(2)
        x = sample_input(chunk, input_seed)
        sampler = Sampler(backend.generator(weights_seed), backend, chunk.q0, weights)
        signal = send(chunk.net, backend.xp.asarray(x), sampler)
        jacobian = signal.jacobian.formed()
        matrix = jacobian.array() if jacobian.matrix is None else jacobian.matrix
        spectrum = log_singular_values(matrix, backend, int(signal.rank), jacobian.height, squared)
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


METHOD = Method(
    name="forward",
    summary="every weight drawn, a real forward pass, the dense product, a dense SVD: the reference for all others",
    obstacle=lambda _chunk: None,
    merit=lambda _chunk: "no cheaper method has the law of this network",
    sample=sample_replicas,
)
