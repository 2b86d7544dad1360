"""Real networks of finite width: sampled weights, a forward pass of an input, and the Jacobian met on the way.

One rule a layer type, registered on `advance`. A rule maps the signal before the layer to the signal after it. The
Jacobian is accumulated from the left, one matrix product a weight layer, ``J <- diag(phi'(h)) (W J)``, so no layer's
matrix is kept. Dropout masks and orthogonal shortcuts are drawn like weights.
"""

from __future__ import annotations

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
    Layer,
    LayerNorm,
    Repeat,
    Residual,
    Scale,
    Sequential,
    sees_a_batch,
)
from validation.backend import Backend
from validation.ensembles import weight_matrix, weight_rank

__all__ = ["Sampler", "Signal", "advance", "layer_types", "sample_jacobian"]


# Inputs beside the one asked about that the statistics of `BatchNorm` are taken over.
_BATCH = 512


@dataclass(frozen=True)
class Sampler:
    """Where random numbers come from and where arrays live.

    `input_square` is the mean square of the components of a batch's inputs.
    """

    generator: Any
    backend: Backend
    input_square: float = 1.0


@dataclass(frozen=True, eq=False)
class Signal:
    """What reaches a layer.

    Attributes
    ----------
    x : array of shape (n,)
        The forward signal.
    jacobian : array of shape (n, n_0) or None
        Derivative of `x` by the network's input; None stands for the identity, which is not formed.
    rank : int
        Rank of the Jacobian, exact with probability 1: the smallest number of columns, rows or units with non-zero
        derivative met so far (generic factors lose no further rank; a skip connection restores what its branch loses).
        An upper bound where several sparse matrices have rows or columns that are empty.
    shared : bool
        Whether a skip connection holds the same Jacobian array, which must then not be written into.
    alive : array of bool of shape (n,) or None
        Rows of the Jacobian that gates and masks since the last weights have left; None stands for all.
    batch : array of shape (n, B) or None
        Other inputs on their way through the same network, for its `BatchNorm` layers; None without any.
    """

    x: Any
    jacobian: Any
    rank: int
    shared: bool = False
    alive: Any = None
    batch: Any = None


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
    xp = sampler.backend.xp
    vector = xp.asarray(x, dtype=xp.float64)
    batch = None
    if sees_a_batch(net):
        batch = sampler.input_square**0.5 * sampler.generator.standard_normal((len(vector), _BATCH))
    signal = advance(net, Signal(vector, None, len(vector), batch=batch), sampler)
    if signal.jacobian is None:
        return replace(signal, jacobian=xp.eye(len(vector)))
    return signal


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


@advance.register
def _dense(layer: Dense, signal: Signal, sampler: Sampler) -> Signal:
    n_in = len(signal.x)
    n_out = max(1, round(n_in * float(layer.width_ratio)))
    weights = weight_matrix(layer.weights, n_out, n_in, sampler.generator, sampler.backend)
    rank = min(signal.rank, weight_rank(layer.weights, weights, sampler.backend))
    weights *= float(layer.sigma_w)
    preactivation = weights @ signal.x
    batch = None if signal.batch is None else weights @ signal.batch
    if layer.sigma_b:
        bias = float(layer.sigma_b) * sampler.generator.standard_normal(n_out)
        preactivation += bias
        batch = None if batch is None else batch + bias[:, None]
    jacobian = weights if signal.jacobian is None else weights @ signal.jacobian
    return Signal(preactivation, jacobian, rank, batch=batch)


@advance.register
def _activation(layer: Activation, signal: Signal, sampler: Sampler) -> Signal:
    function = layer.nonlinearity
    slope = sampler.backend.elementwise(function.dphi, signal.x)
    x = sampler.backend.elementwise(function.phi, signal.x)
    batch = None if signal.batch is None else sampler.backend.elementwise(function.phi, signal.batch)
    return _gated(replace(signal, x=x, batch=batch), slope, sampler)


@advance.register
def _scale(layer: Scale, signal: Signal, sampler: Sampler) -> Signal:
    factor = float(layer.factor)
    batch = None if signal.batch is None else factor * signal.batch
    gate = sampler.backend.xp.full(len(signal.x), factor)
    return _gated(replace(signal, x=factor * signal.x, batch=batch), gate, sampler)


@advance.register
def _dropout(layer: Dropout, signal: Signal, sampler: Sampler) -> Signal:
    kept = 1.0 - float(layer.rate)
    if kept == 1.0:
        return signal
    mask = (sampler.generator.random(len(signal.x)) < kept) / kept
    batch = signal.batch
    if batch is not None:  # each input has masks of its own
        batch = batch * (sampler.generator.random(batch.shape) < kept) / kept
    return _gated(replace(signal, x=mask * signal.x, batch=batch), mask, sampler)


@advance.register
def _layer_norm(_layer: LayerNorm, signal: Signal, sampler: Sampler) -> Signal:
    xp, width = sampler.backend.xp, len(signal.x)
    centred = signal.x - signal.x.mean()
    std = float((centred * centred).mean()) ** 0.5
    if std == 0.0:
        raise ValueError("LayerNorm: all components of its input are equal; choose sigma_w or sigma_b > 0 before it")
    x = centred / std
    jacobian = xp.eye(width) if signal.jacobian is None else signal.jacobian
    # the derivative of std(x) by x is x/(width std), that of mean(x) is 1/width
    jacobian = (jacobian - jacobian.mean(axis=0) - xp.outer(x, x @ jacobian) / width) / std
    batch = signal.batch
    if batch is not None:
        batch = batch - batch.mean(axis=0)
        batch /= (batch * batch).mean(axis=0) ** 0.5
    return Signal(x, jacobian, min(signal.rank, width - 2), batch=batch)


@advance.register
def _batch_norm(_layer: BatchNorm, signal: Signal, sampler: Sampler) -> Signal:
    mean = signal.batch.mean(axis=1)
    centred = signal.batch - mean[:, None]
    std = (centred * centred).mean(axis=1) ** 0.5
    if not bool((std > 0).all()):
        raise ValueError("BatchNorm: a unit has the same value for every input; choose sigma_w > 0 before it")
    normalised = replace(signal, x=(signal.x - mean) / std, batch=centred / std[:, None])
    return _gated(normalised, 1 / std, sampler)


def _gated(signal: Signal, gate: Any, sampler: Sampler) -> Signal:
    """The signal, whose x is done, with a diagonal matrix multiplied to its Jacobian."""
    xp = sampler.backend.xp
    if signal.jacobian is None:
        jacobian = xp.diag(gate)
    elif signal.shared:
        jacobian = gate[:, None] * signal.jacobian
    else:
        jacobian = signal.jacobian
        jacobian *= gate[:, None]
    alive = gate != 0 if signal.alive is None else signal.alive & (gate != 0)
    rank = min(signal.rank, int(xp.count_nonzero(alive)))
    return Signal(signal.x, jacobian, rank, alive=alive, batch=signal.batch)


@advance.register
def _residual(layer: Residual, signal: Signal, sampler: Sampler) -> Signal:
    skip = float(layer.skip)
    branch = _in_turn(layer.branch, replace(signal, shared=True), sampler)
    width = len(signal.x)
    if len(branch.x) != width:
        raise ValueError(
            f"Residual: at width {width} the branch returns width {len(branch.x)}; choose a width whose "
            "multiples by the branch's width ratios are whole numbers"
        )
    x, held, others = signal.x, signal.jacobian, signal.batch
    if layer.shortcut == "orthogonal":
        rotation = weight_matrix("orthogonal", width, width, sampler.generator, sampler.backend)
        x, held = rotation @ x, rotation if held is None else rotation @ held
        others = None if others is None else rotation @ others
    # a branch has a Dense layer, so its Jacobian is an array of its own and may be written into
    jacobian = branch.jacobian
    if held is None:
        diagonal = jacobian.reshape(-1)[:: width + 1]
        diagonal += skip
    else:
        jacobian += held if skip == 1.0 else skip * held
    batch = None if others is None else branch.batch + skip * others
    return Signal(branch.x + skip * x, jacobian, signal.rank if skip else branch.rank, batch=batch)


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
    xp, width = sampler.backend.xp, len(signal.x)
    if width % layer.positions:
        raise ValueError(f"DeltaOrthogonal: the width {width} is no multiple of positions={layer.positions}")
    channels = width // layer.positions
    centre = weight_matrix("orthogonal", channels, channels, sampler.generator, sampler.backend)
    centre *= float(layer.sigma_w)

    def convolved(array: Any) -> Any:
        return (centre @ array.reshape(channels, -1)).reshape(array.shape)

    x = convolved(signal.x)
    batch = None if signal.batch is None else convolved(signal.batch)
    if layer.sigma_b:
        bias = xp.repeat(float(layer.sigma_b) * sampler.generator.standard_normal(channels), layer.positions)
        x += bias
        batch = None if batch is None else batch + bias[:, None]
    jacobian = xp.kron(centre, xp.eye(layer.positions)) if signal.jacobian is None else convolved(signal.jacobian)
    return Signal(x, jacobian, signal.rank, batch=batch)


def _in_turn(layers: tuple[Layer, ...], signal: Signal, sampler: Sampler) -> Signal:
    for layer in layers:
        signal = advance(layer, signal, sampler)
    return signal
