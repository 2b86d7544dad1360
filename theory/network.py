"""Networks as data: layers, the ways they compose, and the two standard architectures.

A network maps x to f(x); this module says what it is made of and computes nothing.  Numbers may be sympy symbols (for
`theory.derive`): what has free symbols is taken as it is, without checks.

Conventions
-----------
A dense layer with n inputs has weights of variance sigma_w²/n and biases of variance sigma_b², so that the variance of
its outputs is ``q = sigma_w² <x²> + sigma_b²`` whatever its shape.  ``"orthogonal"`` weights are Haar: sigma_w O for
square layers; for `width_ratio` r = outputs/inputs < 1 orthonormal rows times sigma_w, for r > 1 orthonormal columns
times sigma_w √r, which gives the entries the same variance.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias

from rmt.parameters import is_symbolic
from rmt.results import PreconditionError
from theory.activations import Nonlinearity, get_activation

__all__ = [
    "SHORTCUTS",
    "WEIGHTS",
    "Activation",
    "BatchNorm",
    "Chain",
    "Dense",
    "Dropout",
    "Elementary",
    "Layer",
    "LayerNorm",
    "OrthogonalFilterNet",
    "Repeat",
    "ResNet",
    "Residual",
    "Scale",
    "Sequential",
    "blocks",
    "describe",
    "sees_a_batch",
    "width_ratio",
]

WEIGHTS: Final = ("gaussian", "orthogonal")
SHORTCUTS: Final = ("identity", "orthogonal")


@dataclass(frozen=True)
class Dense:
    """A fully connected layer h = W x + b.

    Parameters
    ----------
    sigma_w, sigma_b : number
        Standard deviations, >= 0: weights have variance sigma_w²/(number of inputs), biases sigma_b².
    weights : str
        ``"gaussian"`` or ``"orthogonal"``.
    width_ratio : number
        Number of outputs over number of inputs, > 0.
    """

    sigma_w: Any = 1.0
    sigma_b: Any = 0.0
    weights: str = "gaussian"
    width_ratio: Any = 1

    def __post_init__(self) -> None:
        _check_weights(self.sigma_w, self.sigma_b, self.weights)
        if not is_symbolic(self.width_ratio) and not _number("width_ratio", self.width_ratio) > 0:
            raise ValueError(f"width_ratio={self.width_ratio!r} must be > 0 (outputs over inputs)")


@dataclass(frozen=True, init=False, repr=False)
class Activation:
    """A nonlinearity applied to each component; ``Activation("leaky_relu", alpha=0.2)``.

    Parameters
    ----------
    name : str or Nonlinearity
        One of `theory.activations.ACTIVATION_NAMES`, or what `get_activation` returned.
    **parameters
        Parameters of the family; the others have their defaults.
    """

    name: str
    parameters: tuple[tuple[str, Any], ...]

    def __init__(self, name: str | Nonlinearity, **parameters: Any) -> None:
        function = get_activation(name, **parameters)
        object.__setattr__(self, "name", function.name)
        object.__setattr__(self, "parameters", function.parameters)

    def __repr__(self) -> str:
        arguments = "".join(f", {key}={value!r}" for key, value in self.parameters)
        return f"Activation({self.name!r}{arguments})"

    @functools.cached_property
    def nonlinearity(self) -> Nonlinearity:
        """φ, φ' and their Gaussian averages."""
        return get_activation(self.name, **dict(self.parameters))


@dataclass(frozen=True)
class Scale:
    """Multiplication of the signal by a constant, x -> factor x.

    Parameters
    ----------
    factor : number
        Real; 0 ends the signal.
    """

    factor: Any

    def __post_init__(self) -> None:
        if not is_symbolic(self.factor):
            _number("factor", self.factor)


@dataclass(frozen=True)
class Dropout:
    """Dropout as in training: a component is 0 with probability `rate`, and divided by 1 - rate otherwise.

    Masks are independent of each other and of everything else, also between two inputs of the same network.

    Parameters
    ----------
    rate : number
        In [0, 1).
    """

    rate: Any

    def __post_init__(self) -> None:
        if not is_symbolic(self.rate) and not 0 <= _number("rate", self.rate) < 1:
            raise ValueError(f"rate={self.rate!r} must be in [0, 1): the probability that a component is dropped")


@dataclass(frozen=True)
class LayerNorm:
    """Normalisation over the components of a layer, x -> (x - mean(x))/std(x); gain 1 and bias 0, as at initialisation.

    In a wide network it divides the signal by its standard deviation; what it projects out of the Jacobian has rank 2.
    """


@dataclass(frozen=True)
class BatchNorm:
    """Normalisation of each component over a batch, x_i -> (x_i - mean_i)/std_i; gain 1, bias 0, as at initialisation.

    The batch is large and its inputs are independent: the statistics are those of the population, which one input does
    not move, so that the Jacobian by one input is diagonal. In a wide network all components have the same variance
    over the batch, that of the signal less its covariance between two inputs.
    """


@dataclass(frozen=True, init=False)
class Residual:
    """A block x -> skip O x + branch(x), O the identity or a Haar orthogonal matrix.

    Parameters
    ----------
    branch : layer or sequence of layers
        Must keep the width and contain a `Dense` layer of its own: the weights make the branch bi-invariant, on which
        the free-probability rule of the skip connection rests.
    skip : number
        Factor a of the skip connection; 0 is allowed.
    shortcut : str
        ``"identity"``, or ``"orthogonal"``: a random orthogonal filter of its own in each block (Ceni,
        arXiv:2210.01245).

    Raises
    ------
    PreconditionError
        If the branch changes the width or has no `Dense` layer outside nested residual blocks.
    """

    branch: tuple[Layer, ...]
    skip: Any
    shortcut: str

    def __init__(self, branch: Layer | Iterable[Layer], skip: Any = 1.0, shortcut: str = "identity") -> None:
        object.__setattr__(self, "branch", _as_layers("branch", branch))
        object.__setattr__(self, "skip", skip)
        object.__setattr__(self, "shortcut", shortcut)
        if shortcut not in SHORTCUTS:
            raise ValueError(f"unknown shortcut {shortcut!r}: choose one of {', '.join(SHORTCUTS)}")
        if not is_symbolic(self.skip):
            _number("skip", self.skip)
        if not any(_contains_dense(layer) for layer in self.branch):
            raise PreconditionError("the branch of Residual has no Dense layer of its own: add one to the branch")
        ratio = width_ratio(self.branch)
        if not is_symbolic(ratio) and abs(ratio - 1) > 1e-12:
            raise PreconditionError(
                f"skip with unequal widths: the branch multiplies the width by {ratio}; "
                "choose width_ratio of its Dense layers with product 1"
            )


@dataclass(frozen=True, init=False)
class Repeat:
    """The same layers `times` times, with fresh independent weights each time.

    Parameters
    ----------
    layers : layer or sequence of layers
    times : int
        At least 1.
    """

    layers: tuple[Layer, ...]
    times: Any

    def __init__(self, layers: Layer | Iterable[Layer], times: Any) -> None:
        object.__setattr__(self, "layers", _as_layers("layers", layers))
        object.__setattr__(self, "times", _count("times", times))


@dataclass(frozen=True, init=False)
class Sequential:
    """Layers one after the other, the first acting first.

    Parameters
    ----------
    layers : layer or sequence of layers
        Not empty.
    """

    layers: tuple[Layer, ...]

    def __init__(self, layers: Layer | Iterable[Layer]) -> None:
        object.__setattr__(self, "layers", _as_layers("layers", layers))


@dataclass(frozen=True)
class Chain:
    """Plain feed-forward network: `depth` times (Dense, Activation), all of the same width.

    Parameters
    ----------
    depth : int
        Number of layers, >= 1.
    activation : str or Activation
        A name, or an `Activation` with parameters.
    sigma_w, sigma_b : number
        Weights have variance sigma_w²/width, biases sigma_b².
    weights : str
        ``"gaussian"`` or ``"orthogonal"``.
    """

    depth: Any
    activation: str | Activation
    sigma_w: Any = 1.0
    sigma_b: Any = 0.0
    weights: str = "gaussian"

    def __post_init__(self) -> None:
        _check_architecture(self)

    @property
    def nonlinearity(self) -> Nonlinearity:
        """The activation function of every layer."""
        return _as_activation(self.activation).nonlinearity

    def expand(self) -> Sequential:
        """The same network in the grammar of layers."""
        layer = (Dense(self.sigma_w, self.sigma_b, self.weights), _as_activation(self.activation))
        return Sequential((Repeat(layer, self.depth),))


@dataclass(frozen=True)
class ResNet:
    """Residual network x -> skip x + φ(W x + b), `depth` times; branch weights of variance sigma_w²/(width depth).

    The scaling of arXiv:1809.08848, in which the spectrum has a limit at infinite depth.

    Parameters
    ----------
    depth : int
        Number of residual blocks, >= 1.
    activation : str or Activation
        A name, or an `Activation` with parameters.
    sigma_w, sigma_b : number
        Weights have variance sigma_w²/(width depth), biases sigma_b².
    skip : number
        Factor a of the skip connections.
    weights : str
        ``"gaussian"`` or ``"orthogonal"``.
    """

    depth: Any
    activation: str | Activation
    sigma_w: Any = 1.0
    sigma_b: Any = 0.0
    skip: Any = 1.0
    weights: str = "gaussian"

    def __post_init__(self) -> None:
        _check_architecture(self)
        if not is_symbolic(self.skip):
            _number("skip", self.skip)

    @property
    def nonlinearity(self) -> Nonlinearity:
        """The activation function of every block."""
        return _as_activation(self.activation).nonlinearity

    def expand(self) -> Sequential:
        """The same network in the grammar of layers."""
        branch = (
            Dense(_over_root(self.sigma_w, self.depth), self.sigma_b, self.weights),
            _as_activation(self.activation),
        )
        return Sequential((Repeat(Residual(branch, self.skip), self.depth),))


@dataclass(frozen=True)
class OrthogonalFilterNet:
    """Network of orthogonal additive filters x -> filter_gain O x + branch_gain φ(W x + b), `depth` times.

    Each layer has a Haar orthogonal filter O of its own (Ceni, arXiv:2210.01245, eq. 8, whose α and β are the two
    gains); weights are not scaled by the depth.

    Parameters
    ----------
    depth : int
        Number of layers, >= 1.
    activation : str or Activation
        A name, or an `Activation` with parameters.
    filter_gain, branch_gain : number
        Factors of the filter and of the branch; gains that add up to 1 keep the singular values of J within bounds at
        every depth.
    sigma_w, sigma_b : number
        Weights have variance sigma_w²/width, biases sigma_b².
    weights : str
        ``"gaussian"`` or ``"orthogonal"``.
    """

    depth: Any
    activation: str | Activation
    filter_gain: Any
    branch_gain: Any
    sigma_w: Any = 1.0
    sigma_b: Any = 0.0
    weights: str = "gaussian"

    def __post_init__(self) -> None:
        _check_architecture(self)
        for name in ("filter_gain", "branch_gain"):
            if not is_symbolic(getattr(self, name)):
                _number(name, getattr(self, name))

    @property
    def nonlinearity(self) -> Nonlinearity:
        """The activation function of every layer."""
        return _as_activation(self.activation).nonlinearity

    def expand(self) -> Sequential:
        """The same network in the grammar of layers."""
        branch = (
            Dense(self.sigma_w, self.sigma_b, self.weights), _as_activation(self.activation), Scale(self.branch_gain)
        )
        return Sequential((Repeat(Residual(branch, self.filter_gain, "orthogonal"), self.depth),))


Elementary: TypeAlias = Dense | Activation | Scale | Dropout | LayerNorm | BatchNorm | Residual
Architecture: TypeAlias = Chain | ResNet | OrthogonalFilterNet
Layer: TypeAlias = Elementary | Repeat | Sequential | Architecture


def blocks(net: Layer | Iterable[Layer]) -> Iterator[Elementary]:
    """Walk over the elementary items in order of application, lazily; residual blocks are not opened."""
    match net:
        case Dense() | Activation() | Scale() | Dropout() | LayerNorm() | BatchNorm() | Residual():
            yield net
        case Repeat():
            for _ in range(_numeric_times(net)):
                yield from blocks(net.layers)
        case Sequential():
            yield from blocks(net.layers)
        case Chain() | ResNet() | OrthogonalFilterNet():
            yield from blocks(net.expand())
        case _:
            for layer in net:
                yield from blocks(layer)


def sees_a_batch(net: Layer | Iterable[Layer]) -> bool:
    """Whether the network has a `BatchNorm` layer, for which other inputs must be followed beside one's own."""
    match net:
        case BatchNorm():
            return True
        case Dense() | Activation() | Scale() | Dropout() | LayerNorm() | Chain() | ResNet() | OrthogonalFilterNet():
            return False
        case Residual():
            return sees_a_batch(net.branch)
        case Repeat() | Sequential():
            return sees_a_batch(net.layers)
        case _:
            return any(sees_a_batch(layer) for layer in net)


def describe(net: Layer) -> str:
    """Text of several lines: what the network is, one layer a line, nested by indentation."""
    return "\n".join(_lines(net))


def _lines(net: Layer) -> list[str]:
    match net:
        case Dense():
            ratio = "" if net.width_ratio == 1 else f", outputs/inputs = {net.width_ratio}"
            bias = "no bias" if net.sigma_b == 0 else f"bias variance {net.sigma_b}²"
            return [f"dense, {net.weights} weights of variance {net.sigma_w}²/inputs, {bias}{ratio}"]
        case Activation():
            arguments = ", ".join(f"{key} = {value}" for key, value in net.parameters)
            return [f"activation {net.name}" + (f" ({arguments})" if arguments else "")]
        case Scale():
            return [f"multiplication by {net.factor}"]
        case Dropout():
            return [f"dropout of rate {net.rate}"]
        case LayerNorm():
            return ["normalisation over the layer"]
        case BatchNorm():
            return ["normalisation over the batch"]
        case Residual():
            haar = "" if net.shortcut == "identity" else " times a random orthogonal matrix"
            return [f"residual block, skip {net.skip}{haar}, branch:", *_indented(net.branch)]
        case Repeat():
            return [f"{net.times} times:", *_indented(net.layers)]
        case Sequential():
            return ["in sequence:", *_indented(net.layers)]
        case Chain() | ResNet() | OrthogonalFilterNet():
            return [f"{_KINDS[type(net)]} of depth {net.depth}:", *_indented(net.expand().layers)]


_KINDS: Final = {
    Chain: "chain",
    ResNet: "residual network",
    OrthogonalFilterNet: "network of orthogonal additive filters",
}


def _indented(layers: tuple[Layer, ...]) -> list[str]:
    return ["  " + line for layer in layers for line in _lines(layer)]


# ---------------------------------------------------------------------------------------------------------------------
# checks
# ---------------------------------------------------------------------------------------------------------------------
def _number(name: str, value: Any) -> float:
    """Check that a non-symbolic `value` is a finite real number and return it as a float."""
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}={value!r} is not a finite real number: give a number or a sympy symbol")
    return number


def _count(name: str, value: Any) -> Any:
    if is_symbolic(value):
        return value
    try:
        count = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = None
    if count is None or count < 1:
        raise ValueError(f"{name}={value!r} must be an integer >= 1")
    return count


def _check_weights(sigma_w: Any, sigma_b: Any, weights: str) -> None:
    for name, value in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        if not is_symbolic(value) and _number(name, value) < 0:
            raise ValueError(f"{name}={value!r} must be >= 0: it is a standard deviation")
    if weights not in WEIGHTS:
        raise ValueError(f"unknown weights {weights!r}: choose one of {', '.join(WEIGHTS)}")


def _check_architecture(net: Architecture) -> None:
    object.__setattr__(net, "depth", _count("depth", net.depth))
    _check_weights(net.sigma_w, net.sigma_b, net.weights)
    if not isinstance(net.activation, str):  # a string stays as it was typed
        object.__setattr__(net, "activation", _as_activation(net.activation))
    _as_activation(net.activation)


def _as_activation(activation: Any) -> Activation:
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str | Nonlinearity):
        return Activation(activation)
    raise ValueError(f"activation={activation!r} must be a name or an Activation")


def _as_layers(name: str, layers: Any) -> tuple[Layer, ...]:
    items = (layers,) if isinstance(layers, Layer) else tuple(layers) if isinstance(layers, Iterable) else None
    if items is None or not all(isinstance(item, Layer) for item in items):
        raise ValueError(f"{name}={layers!r} must be a layer or a sequence of layers (Dense, Activation, Residual, …)")
    if not items:
        raise ValueError(f"{name} is empty: give at least one layer")
    return items


def _contains_dense(layer: Layer) -> bool:
    match layer:
        case Dense() | Chain():
            return True
        case Repeat() | Sequential():
            return any(_contains_dense(inner) for inner in layer.layers)
        case _:
            return False


def width_ratio(layers: tuple[Layer, ...]) -> Any:
    """Outputs over inputs of a sequence of layers; residual blocks keep the width."""
    ratio: Any = 1
    for layer in layers:
        match layer:
            case Dense():
                ratio = ratio * layer.width_ratio
            case Repeat():
                ratio = ratio * width_ratio(layer.layers) ** layer.times
            case Sequential():
                ratio = ratio * width_ratio(layer.layers)
            case _:
                pass
    return ratio


def _numeric_times(net: Repeat) -> int:
    if is_symbolic(net.times):
        raise PreconditionError(f"times={net.times} is symbolic: substitute an integer to walk over the layers")
    return int(net.times)


def _over_root(sigma_w: Any, depth: Any) -> Any:
    """sigma_w/√depth; exact if one of the two is a sympy object."""
    # a Fraction as exponent keeps sympy exact, whereas 0.5 would not
    if hasattr(depth, "free_symbols"):
        return sigma_w / depth ** Fraction(1, 2)
    if hasattr(sigma_w, "free_symbols"):
        return (sigma_w**2 / depth) ** Fraction(1, 2)
    return sigma_w / math.sqrt(depth)
