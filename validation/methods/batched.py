"""Many networks at once, in arrays with an axis of replicas: the dense product for GPUs, in the array API.

The rules are those of `validation.methods.forward`, and so is the law; the numbers come from counters
(`validation.philox`), the same on every backend. Equal matrices give results equal up to rounding; on a GPU, rounding
may also depend on how many replicas share a call, since its libraries choose their algorithms by that.

In single precision the weights are those of double precision, rounded, and so is every product; decompositions are in
double precision. A singular value s then carries an error of some ``n * 6e-8 * s_max``. That is little for residual
networks, whose condition number stays small, and for the moments of any network; of a chain it leaves only the top, and
more with each layer. What lies below that floor counts as unresolved.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from theory.network import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Gate,
    LayerNorm,
    Residual,
    Scale,
    parts,
)
from validation.backend import Backend, get_backend
from validation.chunk import Chunk, replica_seed, sample_input
from validation.methods.method import Method
from validation.networks import Sampler, advance, initial_signal, is_residual
from validation.philox import PhiloxGenerator
from validation.spectrum import log_spectrum, singular_values
from validation.store import Columns

__all__ = ["METHOD", "sample_batch"]

# So many arrays of shape (replicas, width, width) are alive at once, and may take so many bytes together.
_ARRAYS = 8
_BYTES = 2**31


def _obstacle(chunk: Chunk) -> str | None:
    for layer in parts(chunk.net):
        if not isinstance(layer, Dense | Activation | Scale | Dropout | LayerNorm | BatchNorm | Gate | Residual):
            return f"it has no batches of {type(layer).__name__} layers"
        if isinstance(layer, Dense) and layer.weights not in ("gaussian", "orthogonal"):
            return "it draws Gaussian and orthogonal weights only"
    return None


def _merit(chunk: Chunk) -> str | None:
    if chunk.backend != "numpy":
        return "many replicas in one call are what a GPU is good at"
    return None


def sample_batch(chunk: Chunk, backend: Backend) -> Columns:
    """All replicas of a chunk at once, as the columns of `Method.sample`."""
    began = time.perf_counter()
    xp = backend.xp
    seeds = [replica_seed(chunk, replica).spawn(2) for replica in range(chunk.start, chunk.stop)]
    inputs = np.stack([sample_input(chunk, seed) for _, seed in seeds])
    keys = xp.asarray(np.array([seed.generate_state(1, np.uint64)[0] for seed, _ in seeds]))
    sampler = Sampler(PhiloxGenerator(keys, backend), backend, chunk.q0)
    signal = advance(chunk.net, initial_signal(chunk.net, inputs, sampler), sampler)
    jacobians = signal.jacobian.array()
    if jacobians.ndim == 2:  # a network without layers that act
        jacobians = jacobians + xp.zeros((len(seeds), 1, 1), dtype=backend.real)
    computed = singular_values(jacobians, backend, squared=is_residual(chunk.net))
    ranks = np.broadcast_to(backend.to_numpy(xp.asarray(signal.rank)), len(seeds))
    rows, columns = jacobians.shape[-2:]
    spectra = [
        log_spectrum(computed[i], rows, columns, int(ranks[i]), backend.dtype).columns() for i in range(len(seeds))
    ]
    return {
        **{name: np.array([spectrum[name] for spectrum in spectra]) for name in spectra[0]},
        "input_square": (inputs * inputs).mean(axis=-1),
        "output_square": (backend.to_numpy(signal.x).astype(np.float64) ** 2).mean(axis=-1),
        "seconds": np.full(len(seeds), (time.perf_counter() - began) / len(seeds)),
    }


def _sample(chunk: Chunk) -> Columns:
    backend = get_backend(chunk.backend, chunk.dtype)
    widenings = (max(1.0, float(layer.width_ratio)) for layer in parts(chunk.net) if isinstance(layer, Dense))
    widest = chunk.width * math.prod(widenings)
    size = max(1, int(_BYTES / (_ARRAYS * np.dtype(chunk.dtype).itemsize * widest * widest)))
    pieces = [
        sample_batch(replace(chunk, start=first, stop=min(first + size, chunk.stop)), backend)
        for first in range(chunk.start, chunk.stop, size)
    ]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


METHOD = Method(
    name="batched",
    summary="many replicas in one array: every weight drawn by counters, dense products, for GPUs",
    obstacle=_obstacle,
    merit=_merit,
    sample=_sample,
    precisions=("float64", "float32"),
)
