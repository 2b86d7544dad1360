"""Networks whose Jacobian is beyond double precision: a real forward pass, and the product of the layers kept graded.

Weights are drawn as in `validation.methods.conditioned`, rows behind closed gates left out; but each layer's Jacobian
is a factor of its own, a residual block one as a whole, and the factors are multiplied as a
`validation.graded.GradedProduct`: every singular value is resolved, however small.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from theory.network import Dense, Gate, Layer, Residual, blocks
from validation.chunk import Chunk
from validation.graded import GradedProduct
from validation.jacobian import Jacobian
from validation.log_range import predicted_log_range
from validation.methods.conditioned import conditioned_sampler
from validation.methods.forward import sample_networks
from validation.methods.method import Method
from validation.networks import Sampler, Signal, advance, initial_signal
from validation.spectrum import LogSpectrum, log_resolution

__all__ = ["METHOD", "graded_spectrum"]

# A forward signal below this is about to leave the range of doubles, and the slopes of the layers behind mean nothing.
SMALLEST_SIGNAL = 1e-290


def graded_spectrum(net: Layer, x: Any, sampler: Sampler) -> tuple[Signal, LogSpectrum]:
    """Draw a network and send `x` through it: the output, and all singular values of the Jacobian.

    Raises
    ------
    ValueError
        If the forward signal or a layer's Jacobian leaves the range of doubles.
    """
    product = GradedProduct()
    signal = initial_signal(net, x, sampler)

    def take(jacobian: Jacobian) -> None:
        formed = jacobian.formed()
        matrix = formed.array() if formed.matrix is None else formed.matrix
        product.multiply(matrix, int(signal.rank), formed.rows)

    def fresh() -> Jacobian:
        # the product holds the basis of a factor's input space, which must not be turned
        return Jacobian(sampler.backend, len(signal.x), shared=True)

    signal = replace(signal, jacobian=fresh())
    begun = False
    for layer in blocks(net):
        if isinstance(layer, Dense | Gate | Residual) and begun:
            take(signal.jacobian)
            signal = replace(signal, jacobian=fresh())
        begun = True
        signal = advance(layer, signal, sampler)
        largest = float(np.abs(signal.x).max())
        if not largest < math.inf or 0.0 < largest < SMALLEST_SIGNAL:
            raise ValueError(
                "the forward signal leaves the range of doubles; bring sigma_w closer to critical, or reduce the depth"
            )
    take(signal.jacobian)
    return signal, product.log_singular_values(len(signal.x))


def _obstacle(chunk: Chunk) -> str | None:
    return None if chunk.backend == "numpy" else "its decompositions need backend='numpy'"


def _merit(chunk: Chunk) -> str | None:
    log_range = predicted_log_range(chunk)
    if log_range < -log_resolution(chunk.width, chunk.width):
        return None
    return f"singular values span some {log_range / math.log(10.0):.0f} decades, more than a dense product resolves"


def _draw(net: Layer, x: Any, sampler: Sampler) -> tuple[Signal, LogSpectrum]:
    return graded_spectrum(net, x, conditioned_sampler(sampler))


METHOD = Method(
    name="graded",
    summary="a real forward pass, the product of the layers kept as Q exp(t) X: every singular value resolved",
    obstacle=_obstacle,
    merit=_merit,
    sample=lambda chunk: sample_networks(chunk, _draw),
)
