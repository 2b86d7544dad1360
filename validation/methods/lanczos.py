"""Very wide networks, of which neither weights nor Jacobian are formed: quadratures of their spectra.

The weights answer questions (`validation.deferred`), the first of which is the forward pass of the input; `STEPS`
questions more, along the Krylov space of J Jᵀ from a random direction, give a quadrature of the spectrum
(`validation.lanczos`). Cost and memory are O(depth * width * STEPS) instead of cubic and quadratic in the width: a
residual network of width 10^4 and depth 100 takes some seconds and half a GiB.

The noise is another one than that of a full spectrum. An average over the spectrum of one network, known exactly,
fluctuates by 1/width between networks; in one random direction it fluctuates by 1/sqrt(width). Averages over replicas
have the same expectation, and their errors are what the replicas say they are. The nodes resolve no single singular
values, and of a spectrum over many decades only the top: for chains this method is no use.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from theory.network import DeltaOrthogonal, Dense, Layer, parts, sees_a_batch
from validation.chunk import Chunk
from validation.deferred import DeferredGaussian, DeferredHaar, Tape, TapedJacobian
from validation.generator import CompiledGenerator
from validation.jacobian import Weights
from validation.lanczos import QuadratureSpectrum, lanczos_quadrature
from validation.log_range import predicted_log_range
from validation.methods.forward import sample_networks
from validation.methods.method import Method
from validation.networks import Sampler, Signal, advance, initial_signal

__all__ = ["METHOD", "STEPS", "deferred_spectrum", "deferred_weights"]

# Nodes of a quadrature. More of them would resolve more of the spectrum's shape, not reduce the noise.
STEPS = 20
# Widths from which matrices that are formed take minutes a network, and gigabytes.
WIDE = 5000
# Decades of singular values that so few nodes see.
DECADES = 3.0

KINDS = {"gaussian": DeferredGaussian, "orthogonal": DeferredHaar}


def deferred_weights(
    ensemble: Any, scale: float, n_out: int, n_in: int, _signal: Signal, sampler: Sampler
) -> Weights:
    """Weights that answer questions; for one network on the processor."""
    return KINDS[ensemble](scale, n_out, n_in, sampler.generator, STEPS + 1)


def deferred_spectrum(net: Layer, x: Any, sampler: Sampler) -> tuple[Signal, QuadratureSpectrum]:
    """Draw as much of a network as the output for `x` and a quadrature of the Jacobian's spectrum need.

    The signal that is returned has no Jacobian any more.
    """
    sampler = replace(sampler, generator=CompiledGenerator(sampler.generator), weights=deferred_weights)
    signal = advance(net, replace(initial_signal(net, x, sampler), jacobian=TapedJacobian(Tape())), sampler)
    jacobian = signal.jacobian.formed()
    direction = sampler.generator.standard_normal((len(signal.x),))
    nodes, weights = lanczos_quadrature(jacobian.apply, jacobian.transposed, direction, STEPS)
    # the tape holds all answers of all weights: it must not outlive them
    signal = replace(signal, jacobian=None)
    return signal, QuadratureSpectrum(nodes, weights, int(signal.rank), len(signal.x))


def _obstacle(chunk: Chunk) -> str | None:
    if chunk.extremes:
        return "the nodes of a quadrature are not the extreme singular values (needed: values='all')"
    if chunk.backend != "numpy":
        return "its questions are short, which needs backend='numpy'"
    for part in parts(chunk.net):
        if isinstance(part, DeltaOrthogonal):
            return "a convolution has no answers without a matrix (needed: Dense layers)"
        if isinstance(part, Dense) and (not isinstance(part.weights, str) or part.weights not in KINDS):
            return f"weights={part.weights!r} have no answers without a matrix (needed: gaussian or orthogonal ones)"
    if sees_a_batch(chunk.net):
        return "BatchNorm asks the weights about a batch of inputs, more than the Jacobian does"
    if (decades := predicted_log_range(chunk) / math.log(10.0)) > DECADES:
        return f"the singular values span some {decades:.0f} decades, of which a quadrature sees the top"
    return None


def _merit(chunk: Chunk) -> str | None:
    if chunk.width < WIDE:
        return None
    return "neither the weights nor the Jacobian of so wide a network are formed; its spectrum is known by averages"


METHOD = Method(
    name="lanczos",
    summary="weights that answer questions and are never formed: a quadrature of the spectrum in a random direction",
    obstacle=_obstacle,
    merit=_merit,
    sample=lambda chunk: sample_networks(chunk, deferred_spectrum),
)
