"""Real networks of which only what is needed is drawn: conditioned Gaussian weights, Haar weights as reflectors.

The forward pass is the real one, with biases, any activation, residual blocks, filters, normalisations and masks. Three
things are left out, and none of them changes the law of the singular values:

* Gaussian weights are drawn after their pre-activations and given these (`validation.conditional`), Haar weights are
  reflectors that are applied and never multiplied out (`validation.reflectors`).
* Rows of a weight matrix behind a unit of slope 0 (ReLU, hard tanh, dropout) are neither drawn nor multiplied, nor are
  columns that meet such rows of the layer before. A residual block adds to the active rows alone.
* Where no skip connection holds the network's input, its space is turned so that the first layer is triangular.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.network import Activation, Dense, Dropout, Layer, Residual, parts
from validation.chunk import Chunk
from validation.conditional import ConditionedGaussian
from validation.ensembles import weight_matrix, weight_rank
from validation.extremes import extreme_log_singular_values
from validation.generator import CompiledGenerator
from validation.jacobian import FormedWeights, Weights
from validation.methods.forward import sample_networks
from validation.methods.method import Method
from validation.networks import Sampler, Signal, advance, initial_signal, is_residual
from validation.reflectors import HaarReflectors
from validation.spectrum import LogSpectrum, log_singular_values
from validation.store import Columns

__all__ = ["METHOD", "conditioned_sampler", "conditioned_weights"]


def conditioned_weights(
    ensemble: Any, scale: float, n_out: int, n_in: int, signal: Signal, sampler: Sampler
) -> Weights:
    """Weights given what they make of the signal; drawn whole where nobody knows how, or where a batch met them.

    For one network on the processor.
    """
    generator: CompiledGenerator = sampler.generator
    jacobian = signal.jacobian
    if ensemble == "orthogonal":
        rows = jacobian.rows if jacobian.weights is None and signal.batch is None else None
        return HaarReflectors(scale, n_out, n_in, generator, rows, signal.x)
    if ensemble == "gaussian" and signal.batch is None:
        return ConditionedGaussian(scale, n_out, n_in, generator)
    matrix = weight_matrix(ensemble, n_out, n_in, generator, sampler.backend)
    matrix *= scale
    return FormedWeights(matrix, weight_rank(ensemble, matrix, sampler.backend), partial=True)


def conditioned_sampler(sampler: Sampler) -> Sampler:
    """A sampler that draws such weights."""
    generator = CompiledGenerator(sampler.generator, sampler.backend.dtype)
    return replace(sampler, generator=generator, weights=conditioned_weights)


# Below this width calls cost more than what they leave out.
_NARROW = 64


def _obstacle(chunk: Chunk) -> str | None:
    if chunk.backend != "numpy":
        return "it leaves out other rows in each replica, which needs backend='numpy'"
    return None


def _merit(chunk: Chunk) -> str | None:
    if any(_is_orthogonal(layer) for layer in parts(chunk.net)):
        return "orthogonal weights are applied as reflectors and never formed"
    if chunk.dtype == "float32":
        return "it computes in single precision"
    if chunk.width < _NARROW:
        return None
    if any(_has_zeros(layer) for layer in parts(chunk.net)):
        return "rows of weights behind units of slope 0 are neither drawn nor multiplied"
    return "its random numbers are compiled"


def _is_orthogonal(layer: Layer) -> bool:
    if isinstance(layer, Residual):
        return layer.shortcut == "orthogonal"
    return isinstance(layer, Dense) and layer.weights == "orthogonal"


def _has_zeros(layer: Layer) -> bool:
    if isinstance(layer, Dropout):
        return float(layer.rate) > 0.0
    if isinstance(layer, Activation):
        masses = layer.nonlinearity.closed_forms.slope_masses
        return masses is not None and float(masses(1.0).get(0, 0.0)) > 0.0
    return False


def _sample(chunk: Chunk) -> Columns:
    residual = is_residual(chunk.net)

    def draw(net: Layer, x: npt.NDArray[np.float64], sampler: Sampler) -> tuple[Signal, LogSpectrum]:
        sampler = conditioned_sampler(sampler)
        signal = advance(net, initial_signal(net, x, sampler), sampler)
        jacobian = signal.jacobian.formed()
        matrix = jacobian.array() if jacobian.matrix is None else jacobian.matrix
        if chunk.extremes:
            return signal, extreme_log_singular_values(matrix, sampler.backend, int(signal.rank), jacobian.height)
        return signal, log_singular_values(matrix, sampler.backend, signal.rank, jacobian.height, squared=residual)

    return sample_networks(chunk, draw)


METHOD = Method(
    name="conditioned",
    summary="pre-activations first, then the active rows of the weights alone; Haar weights as reflectors",
    obstacle=_obstacle,
    merit=_merit,
    sample=_sample,
    precisions=("float64", "float32"),
)
