"""Networks as data: layers, the ways they compose, the standard architectures, and what every network is asked.

A network maps x to f(x); `theory.layers` and `theory.architectures` say what it is made of and compute nothing; this
module collects their names.  Numbers may be sympy symbols (for `theory.derive`): what has free symbols is taken as it
is, without checks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rmt.parameters import is_symbolic
from rmt.results import PreconditionError
from theory.architectures import Chain, DeltaOrthogonal, OrthogonalFilterNet, ResNet
from theory.layers import (
    SHORTCUTS,
    Activation,
    Architecture,
    BatchNorm,
    Dense,
    Dropout,
    Elementary,
    Gate,
    Layer,
    LayerNorm,
    Repeat,
    Residual,
    Scale,
    Sequential,
    width_ratio,
)
from theory.weights import WEIGHTS, Sparse, describe_weights

__all__ = [
    "LAYER_TYPES",
    "SHORTCUTS",
    "WEIGHTS",
    "Activation",
    "Architecture",
    "BatchNorm",
    "Chain",
    "DeltaOrthogonal",
    "Dense",
    "Dropout",
    "Elementary",
    "Gate",
    "Layer",
    "LayerNorm",
    "OrthogonalFilterNet",
    "Repeat",
    "ResNet",
    "Residual",
    "Scale",
    "Sequential",
    "Sparse",
    "blocks",
    "describe",
    "describe_lines",
    "parts",
    "sees_a_batch",
    "width_ratio",
]


# Every kind of layer: what each reading of a network must have a rule for.
LAYER_TYPES: Final = (
    *(Dense, Activation, Scale, Dropout, LayerNorm, BatchNorm, Gate, Residual, Repeat, Sequential),
    *(Chain, ResNet, OrthogonalFilterNet, DeltaOrthogonal),
)


def blocks(net: Layer | Iterable[Layer]) -> Iterator[Elementary]:
    """Walk over the elementary items in order of application, lazily; residual blocks are not opened."""
    match net:
        case Dense() | Activation() | Scale() | Dropout() | LayerNorm() | BatchNorm() | Gate() | Residual():
            yield net
        case Repeat():
            for _ in range(_numeric_times(net)):
                yield from blocks(net.layers)
        case Sequential():
            yield from blocks(net.layers)
        case Architecture():
            yield from blocks(net.expand())
        case _:
            for layer in net:
                yield from blocks(layer)


def parts(net: Layer | Iterable[Layer]) -> Iterator[Layer]:
    """Each layer that acts once, however often it is repeated: residual blocks and gates, and what is inside them."""
    match net:
        case Dense() | Activation() | Scale() | Dropout() | LayerNorm() | BatchNorm() | DeltaOrthogonal():
            yield net
        case Gate():
            yield net
            yield from net.denses
        case Residual():
            yield net
            yield from parts(net.branch)
        case Repeat() | Sequential():
            yield from parts(net.layers)
        case Architecture():
            yield from parts(net.expand())
        case _:
            for layer in net:
                yield from parts(layer)


def sees_a_batch(net: Layer | Iterable[Layer]) -> bool:
    """Whether the network has a `BatchNorm` layer, for which other inputs must be followed beside one's own."""
    return any(isinstance(part, BatchNorm) for part in parts(net))


def describe(net: Layer) -> str:
    """Text of several lines: what the network is, one layer a line, nested by indentation."""
    return "\n".join(describe_lines(net))


@functools.singledispatch
def describe_lines(layer: Any) -> list[str]:
    """The lines of `describe`, one rule a kind of layer."""
    raise NotImplementedError(f"{type(layer).__name__} has no description: build the network from theory's layers")


@describe_lines.register
def _(layer: Dense) -> list[str]:
    ratio = "" if layer.width_ratio == 1 else f", outputs/inputs = {layer.width_ratio}"
    bias = "no bias" if layer.sigma_b == 0 else f"bias variance {layer.sigma_b}²"
    return [f"dense, {describe_weights(layer.weights)} of variance {layer.sigma_w}²/inputs, {bias}{ratio}"]


@describe_lines.register
def _(layer: Activation) -> list[str]:
    arguments = ", ".join(f"{key} = {value}" for key, value in layer.parameters)
    return [f"activation {layer.name}" + (f" ({arguments})" if arguments else "")]


@describe_lines.register
def _(layer: Scale) -> list[str]:
    return [f"multiplication by {layer.factor}"]


@describe_lines.register
def _(layer: Dropout) -> list[str]:
    return [f"dropout of rate {layer.rate}"]


@describe_lines.register
def _(_layer: LayerNorm) -> list[str]:
    return ["normalisation over the layer"]


@describe_lines.register
def _(_layer: BatchNorm) -> list[str]:
    return ["normalisation over the batch"]


@describe_lines.register
def _(layer: Gate) -> list[str]:
    dense, *own = (line for part in layer.denses for line in describe_lines(part))
    branch, gate = (line for part in (layer.activation, layer.gate) for line in describe_lines(part))
    shift = "" if layer.gate_bias == 0 else f", shifted by {layer.gate_bias}"
    seen = own[0] if own else "the same pre-activations"
    return [f"gated layer: {dense}", f"  {branch}", f"  gate: {gate}{shift}, of {seen}"]


@describe_lines.register
def _(layer: Residual) -> list[str]:
    haar = "" if layer.shortcut == "identity" else " times a random orthogonal matrix"
    return [f"residual block, skip {layer.skip}{haar}, branch:", *_indented(layer.branch)]


@describe_lines.register
def _(layer: Repeat) -> list[str]:
    return [f"{layer.times} times:", *_indented(layer.layers)]


@describe_lines.register
def _(layer: Sequential) -> list[str]:
    return ["in sequence:", *_indented(layer.layers)]


@describe_lines.register
def _(layer: Chain) -> list[str]:
    return [f"chain of depth {layer.depth}:", *_indented(layer.expand().layers)]


@describe_lines.register
def _(layer: DeltaOrthogonal) -> list[str]:
    bias = "no bias" if layer.sigma_b == 0 else f"bias variance {layer.sigma_b}²"
    return [f"delta-orthogonal convolution over {layer.positions} positions, scale {layer.sigma_w}, {bias}"]


@describe_lines.register
def _(layer: ResNet) -> list[str]:
    return [f"residual network of depth {layer.depth}:", *_indented(layer.expand().layers)]


@describe_lines.register
def _(layer: OrthogonalFilterNet) -> list[str]:
    return [f"network of orthogonal additive filters of depth {layer.depth}:", *_indented(layer.expand().layers)]


def _indented(layers: tuple[Layer, ...]) -> list[str]:
    return ["  " + line for layer in layers for line in describe_lines(layer)]


def _numeric_times(net: Repeat) -> int:
    if is_symbolic(net.times):
        raise PreconditionError(f"times={net.times} is symbolic: substitute an integer to walk over the layers")
    return int(net.times)
