"""The layers of a network and the ways they compose, as data.

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
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rmt.law import Law
from rmt.parameters import is_symbolic
from rmt.results import PreconditionError
from theory.activations import Nonlinearity, get_activation
from theory.weights import Weights, check_ensemble

__all__ = [
    "SHORTCUTS",
    "Activation",
    "Architecture",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Elementary",
    "Gate",
    "Layer",
    "LayerNorm",
    "Repeat",
    "Residual",
    "Scale",
    "Sequential",
    "check_count",
    "check_finite",
    "check_weights",
    "width_ratio",
]

SHORTCUTS: Final = ("identity", "orthogonal")


@dataclass(frozen=True)
class Dense:
    """A fully connected layer h = W x + b.

    Parameters
    ----------
    sigma_w, sigma_b : number
        Standard deviations, >= 0: weights have variance sigma_w²/(number of inputs), biases sigma_b².
    weights : str, Sparse or Law
        ``"gaussian"``, ``"orthogonal"``, ``"uniform"`` (independent entries on an interval), `Sparse(density)`, or a
        law of mean 1: that of W Wᵀ at sigma_w = 1, W = O diag(√λ) O' with independent Haar matrices O, O'.
    width_ratio : number
        Number of outputs over number of inputs, > 0.

    Raises
    ------
    ValueError
        Parameters out of range.
    PreconditionError
        A law as `weights` where the width changes.
    """

    sigma_w: Any = 1.0
    sigma_b: Any = 0.0
    weights: Weights = "gaussian"
    width_ratio: Any = 1

    def __post_init__(self) -> None:
        check_weights(self.sigma_w, self.sigma_b, self.weights)
        if not is_symbolic(self.width_ratio) and not check_finite("width_ratio", self.width_ratio) > 0:
            raise ValueError(f"width_ratio={self.width_ratio!r} must be > 0 (outputs over inputs)")
        if isinstance(self.weights, Law) and self.width_ratio != 1:
            raise PreconditionError(
                f"width_ratio={self.width_ratio!r} with a law as weights: the law of W Wᵀ is that of square matrices; "
                "put a Dense layer of gaussian or orthogonal weights beside it for the change of width"
            )


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
            check_finite("factor", self.factor)


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
        if not is_symbolic(self.rate) and not 0 <= check_finite("rate", self.rate) < 1:
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
class Gate:
    """A gated layer ``x -> u x + (1 - u) φ(h)``, h = W x + b, with the gate u = g(h + gate_bias) in each component.

    The gate sees the pre-activations of the layer itself, as in minimal recurrent networks, or has weights of its own,
    as in highway networks (Srivastava, Greff and Schmidhuber, arXiv:1505.00387, whose transform gate is 1 - u and whose
    bias is - gate_bias for the logistic function): then u = g(h_g + gate_bias) with h_g the outputs of `gate_dense`.

    Parameters
    ----------
    activation : str or Activation
        φ.
    gate : str or Activation
        g, the share of x that is kept.
    sigma_w, sigma_b, weights
        As for `Dense`; sigma_w > 0.
    gate_bias : number
        What is added to each pre-activation of the gate; large values leave the layer open (u = 1) or closed (u = 0).
    gate_dense : Dense or None
        The gate's own weights and biases, which keep the width.

    Raises
    ------
    ValueError
        Parameters out of range.
    """

    activation: Activation
    gate: Activation
    sigma_w: Any
    sigma_b: Any
    weights: Weights
    gate_bias: Any
    gate_dense: Dense | None

    def __init__(
        self,
        activation: str | Activation,
        gate: str | Activation = "sigmoid",
        sigma_w: Any = 1.0,
        sigma_b: Any = 0.0,
        weights: Weights = "gaussian",
        gate_bias: Any = 0.0,
        gate_dense: Dense | None = None,
    ) -> None:
        for name, function in (("activation", activation), ("gate", gate)):
            object.__setattr__(self, name, function if isinstance(function, Activation) else Activation(function))
        numbers = {"sigma_w": sigma_w, "sigma_b": sigma_b, "weights": weights, "gate_bias": gate_bias}
        for name, value in (*numbers.items(), ("gate_dense", gate_dense)):
            object.__setattr__(self, name, value)
        check_weights(sigma_w, sigma_b, weights)
        if not is_symbolic(sigma_w) and float(sigma_w) == 0:
            raise ValueError(f"sigma_w={sigma_w!r} must be > 0 in a Gate, which mixes its input with φ(W x + b)")
        if not is_symbolic(gate_bias):
            check_finite("gate_bias", gate_bias)
        own: Any = gate_dense
        if own is not None and not (isinstance(own, Dense) and own.width_ratio == 1):
            raise ValueError(f"gate_dense={gate_dense!r} must be a Dense layer of width_ratio 1, or None")

    @property
    def denses(self) -> tuple[Dense, ...]:
        """The dense layer of h, and that of the gate if it has its own."""
        own = Dense(self.sigma_w, self.sigma_b, self.weights)
        return (own,) if self.gate_dense is None else (own, self.gate_dense)


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
            check_finite("skip", self.skip)
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
        object.__setattr__(self, "times", check_count("times", times))


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


class Architecture(ABC):
    """A network that is built from other layers by a rule."""

    @abstractmethod
    def expand(self) -> Layer:
        """The same network in the grammar of layers."""


Elementary: TypeAlias = Dense | Activation | Scale | Dropout | LayerNorm | BatchNorm | Gate | Residual
Layer: TypeAlias = Elementary | Repeat | Sequential | Architecture


def check_finite(name: str, value: Any) -> float:
    """Check that a non-symbolic `value` is a finite real number and return it as a float."""
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}={value!r} is not a finite real number: give a number or a sympy symbol")
    return number


def check_count(name: str, value: Any) -> Any:
    """An integer >= 1 as an int; a symbol as it is.

    Raises
    ------
    ValueError
        Naming the argument and the value.
    """
    if is_symbolic(value):
        return value
    try:
        count = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = None
    if count is None or count < 1:
        raise ValueError(f"{name}={value!r} must be an integer >= 1")
    return count


def check_weights(sigma_w: Any, sigma_b: Any, weights: Any) -> None:
    """Check what a dense layer is made of.

    Raises
    ------
    ValueError
        For a negative standard deviation or an unknown ensemble of weights.
    """
    for name, value in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        if not is_symbolic(value) and check_finite(name, value) < 0:
            raise ValueError(f"{name}={value!r} must be >= 0: it is a standard deviation")
    check_ensemble(weights)


def _as_layers(name: str, layers: Any) -> tuple[Layer, ...]:
    items = (layers,) if isinstance(layers, Layer) else tuple(layers) if isinstance(layers, Iterable) else None
    if items is None or not all(isinstance(item, Layer) for item in items):
        raise ValueError(f"{name}={layers!r} must be a layer or a sequence of layers (Dense, Activation, Residual, …)")
    if not items:
        raise ValueError(f"{name} is empty: give at least one layer")
    return items


def _contains_dense(layer: Layer) -> bool:
    match layer:
        case Dense():
            return True
        case Repeat() | Sequential():
            return any(_contains_dense(inner) for inner in layer.layers)
        case Architecture():
            return _contains_dense(layer.expand())
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
