"""Real networks of finite width: sampled weights, a forward pass of an input, and the Jacobian met on the way.

One rule a layer type, registered on `advance`. A rule maps the signal before the layer to the signal after it. The
Jacobian is accumulated from the left, one matrix product a weight layer, ``J <- diag(phi'(h)) (W J)``, so no layer's
matrix is kept. Dropout masks and orthogonal shortcuts are drawn like weights.

How weights are drawn and multiplied is the sampler's business (`Sampler.weights`), and so is whether it draws one
network or many: the rules hold for arrays with leading axes of replicas too, in any namespace of the array API.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy.typing as npt

from theory.network import (
    LAYER_TYPES,
    Activation,
    Architecture,
    BatchNorm,
    DeltaOrthogonal,
    Dense,
    Dropout,
    Gate,
    Layer,
    LayerNorm,
    Repeat,
    Residual,
    Scale,
    Sequential,
    blocks,
    sees_a_batch,
)
from validation.backend import Backend
from validation.ensembles import weight_matrix, weight_rank
from validation.jacobian import FormedWeights, Jacobian, Weights

__all__ = [
    "Sampler",
    "Signal",
    "advance",
    "formed_weights",
    "initial_signal",
    "is_residual",
    "layer_types",
    "sample_jacobian",
]


# Inputs beside the one asked about that the statistics of `BatchNorm` are taken over.
_BATCH = 512


@dataclass(frozen=True, eq=False)
class Signal:
    """What reaches a layer.

    Attributes
    ----------
    x : array of shape (..., n)
        The forward signal, behind axes of replicas if the sampler draws many networks at once.
    jacobian : Jacobian
        Derivative of `x` by the network's input; of what `sample_jacobian` returns, the matrix.
    rank : int or array of shape (...)
        Rank of the Jacobian, exact with probability 1: the smallest number of columns, rows or units with non-zero
        derivative met so far (generic factors lose no further rank; a skip connection restores what its branch loses).
        An upper bound where several sparse matrices have rows or columns that are empty.
    alive : array of bool of shape (..., n) or None
        Rows of the Jacobian that gates and masks since the last weights have left; None stands for all.
    batch : array of shape (..., n, B) or None
        Other inputs on their way through the same network, for its `BatchNorm` layers; None without any.
    """

    x: Any
    jacobian: Any
    rank: Any
    alive: Any = None
    batch: Any = None


def formed_weights(ensemble: Any, scale: float, n_out: int, n_in: int, _signal: Signal, sampler: Sampler) -> Weights:
    """Weights whose matrix is drawn at once and multiplied as it is: what all other ways are judged by."""
    matrix = weight_matrix(ensemble, n_out, n_in, sampler.generator, sampler.backend)
    matrix *= scale
    return FormedWeights(matrix, weight_rank(ensemble, matrix, sampler.backend))


@dataclass(frozen=True)
class Sampler:
    """Where random numbers come from, where arrays live, and how weights are drawn.

    Attributes
    ----------
    generator : object
        Has ``standard_normal(shape)`` and ``random(shape)``, which put the axes of replicas before the shape.
    backend : Backend
    input_square : float
        Mean square of the components of a batch's inputs.
    weights : callable
        ``(ensemble, scale, n_out, n_in, signal, sampler)`` to `Weights` with entries of variance ``scale**2 / n_in``
        for that signal.
    """

    generator: Any
    backend: Backend
    input_square: float = 1.0
    weights: Callable[[Any, float, int, int, Signal, Sampler], Weights] = formed_weights


def sample_jacobian(net: Layer, x: npt.ArrayLike, sampler: Sampler) -> Signal:
    """Draw a network's weights and biases, send `x` through it, and return output and Jacobian.

    Parameters
    ----------
    net : Layer
        A description from `theory`; its parameters are converted to floats.
    x : array of shape (n,)
        The input; its length is the width of the network's first layer.
    sampler : Sampler
        The draws depend on the generator alone and not on `x`: the same generator state with another input is the same
        network.

    Returns
    -------
    Signal
        ``x`` the output, ``jacobian`` the matrix J = d output / d input of shape (n_out, n).
    """
    signal = advance(net, initial_signal(net, x, sampler), sampler)
    return replace(signal, jacobian=signal.jacobian.array())


def initial_signal(net: Layer, x: Any, sampler: Sampler) -> Signal:
    """The signal in front of a network: the input, and a batch of others if one of the layers looks at one.

    `x` is an array of shape (..., n) or a sequence of n numbers.
    """
    x = sampler.backend.xp.asarray(x, dtype=sampler.backend.real)
    width = x.shape[-1]
    batch = None
    if sees_a_batch(net):
        batch = sampler.input_square**0.5 * sampler.generator.standard_normal((width, _BATCH))
    return Signal(x, Jacobian(sampler.backend, width), width, batch=batch)


@singledispatch
def advance(layer: Any, signal: Signal, sampler: Sampler) -> Signal:
    """The signal after a layer whose weights are drawn here."""
    raise NotImplementedError(
        f"sampling: no rule for the layer type {type(layer).__name__}; describe the network by "
        f"{', '.join(sorted(kind.__name__ for kind in layer_types()))}"
    )


def layer_types() -> tuple[type, ...]:
    """The layer types that have a sampling rule."""
    return tuple(kind for kind in LAYER_TYPES if advance.dispatch(kind) is not advance.dispatch(object))


def is_residual(net: Layer) -> bool:
    """Whether all is residual blocks with a skip: that keeps the condition number of their product small, as a rule."""
    return all(isinstance(layer, Residual) and float(layer.skip) != 0.0 for layer in blocks(net))


@advance.register
def _dense(layer: Dense, signal: Signal, sampler: Sampler) -> Signal:
    n_in = signal.x.shape[-1]
    n_out = max(1, round(n_in * float(layer.width_ratio)))
    weights = sampler.weights(layer.weights, float(layer.sigma_w), n_out, n_in, signal, sampler)
    return _affine(weights, float(layer.sigma_b), n_out, signal, sampler)


def _affine(weights: Weights, sigma_b: float, channels: int, signal: Signal, sampler: Sampler) -> Signal:
    """W x + b, one bias a channel of neighbouring components."""
    x = weights.image(signal.x)
    batch = None if signal.batch is None else weights.images(signal.batch)
    if sigma_b:
        bias = sigma_b * sampler.generator.standard_normal((channels,))
        if channels < weights.n_out:
            positions = sampler.backend.xp.ones(weights.n_out // channels, dtype=sampler.backend.real)
            bias = sampler.backend.xp.reshape(bias[..., None] * positions, (*bias.shape[:-1], weights.n_out))
        x += bias
        batch = None if batch is None else batch + bias[..., None]
    rank = _smaller(sampler, signal.rank, weights.rank)
    return Signal(x, signal.jacobian.weighted(weights), rank, batch=batch)


@advance.register
def _activation(layer: Activation, signal: Signal, sampler: Sampler) -> Signal:
    function = layer.nonlinearity
    slope = sampler.backend.elementwise(function.slope, signal.x)
    x = sampler.backend.elementwise(function.value, signal.x)
    batch = None if signal.batch is None else sampler.backend.elementwise(function.value, signal.batch)
    return _gated(replace(signal, x=x, batch=batch), slope, sampler)


@advance.register
def _scale(layer: Scale, signal: Signal, sampler: Sampler) -> Signal:
    factor = float(layer.factor)
    batch = None if signal.batch is None else factor * signal.batch
    gate = sampler.backend.xp.full_like(signal.x, factor)
    return _gated(replace(signal, x=factor * signal.x, batch=batch), gate, sampler)


@advance.register
def _dropout(layer: Dropout, signal: Signal, sampler: Sampler) -> Signal:
    kept = 1.0 - float(layer.rate)
    if kept == 1.0:
        return signal

    def mask(width: int, *inputs: int) -> Any:
        uniform = sampler.generator.random((width, *inputs))
        return sampler.backend.xp.asarray(uniform < kept, dtype=sampler.backend.real) / kept

    gate = mask(signal.x.shape[-1])
    batch = signal.batch
    if batch is not None:  # each input has masks of its own
        batch = batch * mask(*batch.shape[-2:])
    return _gated(replace(signal, x=gate * signal.x, batch=batch), gate, sampler)


@advance.register
def _layer_norm(_layer: LayerNorm, signal: Signal, sampler: Sampler) -> Signal:
    xp, width = sampler.backend.xp, signal.x.shape[-1]
    centred = signal.x - xp.mean(signal.x, axis=-1, keepdims=True)
    std = xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True))
    if not bool(xp.all(std > 0.0)):
        raise ValueError("LayerNorm: all components of its input are equal; choose sigma_w or sigma_b > 0 before it")
    x = centred / std
    batch = signal.batch
    if batch is not None:
        batch = batch - xp.mean(batch, axis=-2, keepdims=True)
        batch = batch / xp.sqrt(xp.mean(batch * batch, axis=-2, keepdims=True))
    rank = _smaller(sampler, signal.rank, width - 2)
    return Signal(x, signal.jacobian.normalised(x, std), rank, batch=batch)


@advance.register
def _batch_norm(_layer: BatchNorm, signal: Signal, sampler: Sampler) -> Signal:
    xp = sampler.backend.xp
    mean = xp.mean(signal.batch, axis=-1)
    centred = signal.batch - mean[..., None]
    std = xp.sqrt(xp.mean(centred * centred, axis=-1))
    if not bool(xp.all(std > 0.0)):
        raise ValueError("BatchNorm: a unit has the same value for every input; choose sigma_w > 0 before it")
    normalised = replace(signal, x=(signal.x - mean) / std, batch=centred / std[..., None])
    return _gated(normalised, 1 / std, sampler)


def _gated(signal: Signal, gate: Any, sampler: Sampler) -> Signal:
    """The signal, whose x is done, with a diagonal matrix multiplied to its Jacobian."""
    xp = sampler.backend.xp
    alive = gate != 0 if signal.alive is None else signal.alive & (gate != 0)
    rank = _smaller(sampler, signal.rank, xp.count_nonzero(alive, axis=-1))
    return replace(signal, jacobian=signal.jacobian.gated(gate), rank=rank, alive=alive)


def _smaller(sampler: Sampler, first: Any, second: Any) -> Any:
    """The smaller of two ranks, each one number or one a replica."""
    if isinstance(first, int) and isinstance(second, int):
        return min(first, second)
    xp = sampler.backend.xp
    return xp.minimum(xp.asarray(first), xp.asarray(second))


@advance.register
def _gate(layer: Gate, signal: Signal, sampler: Sampler) -> Signal:
    xp, width, shift = sampler.backend.xp, signal.x.shape[-1], float(layer.gate_bias)
    held = signal.jacobian.formed()
    # the input stays in use beside its images
    before = replace(signal, jacobian=replace(held, shared=True), alive=None)
    images = [advance(dense, before, sampler) for dense in layer.denses]
    branch, seen = images[0], images[-1]
    act, gate = layer.activation.nonlinearity, layer.gate.nonlinearity

    def both(function: Any, of: Any, offset: float = 0.0) -> Any:
        return sampler.backend.elementwise(function, of + offset)

    u, closed = both(gate.value, seen.x, shift), both(act.value, branch.x)
    slope, share = both(gate.slope, seen.x, shift) * (signal.x - closed), (1 - u) * both(act.slope, branch.x)
    batch = None
    if signal.batch is not None:
        open_to = both(gate.value, seen.batch, shift)
        batch = open_to * signal.batch + (1 - open_to) * both(act.value, branch.batch)
    if len(images) == 1:
        slope = share = slope + share
        total = branch.jacobian.gated(slope)
    else:
        total = branch.jacobian.gated(share).plus(1.0, seen.jacobian.gated(slope))
    dead = xp.count_nonzero((u == 0) & (slope == 0) & (share == 0), axis=-1)
    rank = _smaller(sampler, signal.rank, width - dead)
    return Signal(u * signal.x + (1 - u) * closed, total.plus(1.0, held.gated(u)), rank, batch=batch)


@advance.register
def _residual(layer: Residual, signal: Signal, sampler: Sampler) -> Signal:
    skip, width = float(layer.skip), signal.x.shape[-1]
    held = signal.jacobian.formed()
    shared = replace(held, shared=True)
    branch = _in_turn(layer.branch, replace(signal, jacobian=shared), sampler)
    if branch.x.shape[-1] != width:
        raise ValueError(
            f"Residual: at width {width} the branch returns width {branch.x.shape[-1]}; choose a width whose "
            "multiples by the branch's width ratios are whole numbers"
        )
    x, others = signal.x, signal.batch
    if layer.shortcut == "orthogonal":
        rotation = sampler.weights("orthogonal", 1.0, width, width, signal, sampler)
        x, others = rotation.image(x), None if others is None else rotation.images(others)
        held = shared.weighted(rotation).formed()
    batch = None if others is None else branch.batch + skip * others
    rank = signal.rank if skip else branch.rank
    return Signal(branch.x + skip * x, branch.jacobian.plus(skip, held), rank, batch=batch)


@advance.register
def _repeat(layer: Repeat, signal: Signal, sampler: Sampler) -> Signal:
    for _ in range(layer.times):
        signal = _in_turn(layer.layers, signal, sampler)
    return signal


@advance.register
def _sequential(layer: Sequential, signal: Signal, sampler: Sampler) -> Signal:
    return _in_turn(layer.layers, signal, sampler)


@advance.register
def _architecture(layer: Architecture, signal: Signal, sampler: Sampler) -> Signal:
    return advance(layer.expand(), signal, sampler)


@advance.register
def _convolution(layer: DeltaOrthogonal, signal: Signal, sampler: Sampler) -> Signal:
    xp, width, positions = sampler.backend.xp, signal.x.shape[-1], layer.positions
    if width % positions:
        raise ValueError(f"DeltaOrthogonal: the width {width} is no multiple of positions={positions}")
    channels = width // positions
    centre = weight_matrix("orthogonal", channels, channels, sampler.generator, sampler.backend)
    # the same matrix at every position: the positions of a channel stand side by side
    apart = xp.eye(positions, dtype=sampler.backend.real)
    matrix = float(layer.sigma_w) * centre[..., :, None, :, None] * apart[:, None, :]
    weights = FormedWeights(xp.reshape(matrix, (*matrix.shape[:-4], width, width)), width)
    return _affine(weights, float(layer.sigma_b), channels, signal, sampler)


def _in_turn(layers: tuple[Layer, ...], signal: Signal, sampler: Sampler) -> Signal:
    for layer in layers:
        signal = advance(layer, signal, sampler)
    return signal
