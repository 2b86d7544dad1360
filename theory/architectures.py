"""The standard architectures, and convolutions: networks built from layers by a rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rmt.parameters import is_symbolic
from theory.activations import Nonlinearity
from theory.layers import (
    Activation,
    Architecture,
    Dense,
    Repeat,
    Residual,
    Scale,
    Sequential,
    check_count,
    check_finite,
    check_weights,
)
from theory.weights import Weights

__all__ = ["Chain", "DeltaOrthogonal", "OrthogonalFilterNet", "ResNet"]


@dataclass(frozen=True)
class Chain(Architecture):
    """Plain feed-forward network: `depth` times (Dense, Activation), all of the same width.

    Parameters
    ----------
    depth : int
        Number of layers, >= 1.
    activation : str or Activation
        A name, or an `Activation` with parameters.
    sigma_w, sigma_b : number
        Weights have variance sigma_w²/width, biases sigma_b².
    weights : str, Sparse or Law
        As for `Dense`.
    """

    depth: Any
    activation: str | Activation
    sigma_w: Any = 1.0
    sigma_b: Any = 0.0
    weights: Weights = "gaussian"

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
class ResNet(Architecture):
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
    weights : str, Sparse or Law
        As for `Dense`.
    """

    depth: Any
    activation: str | Activation
    sigma_w: Any = 1.0
    sigma_b: Any = 0.0
    skip: Any = 1.0
    weights: Weights = "gaussian"

    def __post_init__(self) -> None:
        _check_architecture(self)
        if not is_symbolic(self.skip):
            check_finite("skip", self.skip)

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
class OrthogonalFilterNet(Architecture):
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
    weights : str, Sparse or Law
        As for `Dense`.
    """

    depth: Any
    activation: str | Activation
    filter_gain: Any
    branch_gain: Any
    sigma_w: Any = 1.0
    sigma_b: Any = 0.0
    weights: Weights = "gaussian"

    def __post_init__(self) -> None:
        _check_architecture(self)
        for name in ("filter_gain", "branch_gain"):
            if not is_symbolic(getattr(self, name)):
                check_finite(name, getattr(self, name))

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


@dataclass(frozen=True)
class DeltaOrthogonal(Architecture):
    """A convolution at its delta-orthogonal initialisation (Xiao et al., arXiv:1806.05393, algorithm 1).

    The kernel is 0 but at its centre, where it is sigma_w times a Haar orthogonal matrix between channels, so that the
    same matrix acts at every position, whatever the size of the kernel. The Jacobian of a network of such layers and of
    activations falls into one block a position, each with the law of the fully connected network; the covariance of the
    signal between two positions follows the map of two inputs (`theory.propagate(net, correlation=…)`), without mixing
    with other positions. The signal has channels times positions components, the positions of a channel side by side.

    Parameters
    ----------
    positions : int
        Number of positions, >= 1; sampled widths must be multiples of it.
    sigma_w, sigma_b : number
        Scale of the orthogonal matrix, and standard deviation of the biases, of which each channel has one.
    """

    positions: int
    sigma_w: Any = 1.0
    sigma_b: Any = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", check_count("positions", self.positions))
        check_weights(self.sigma_w, self.sigma_b, "orthogonal")

    def expand(self) -> Sequential:
        """The fully connected layer that it acts as at every position."""
        return Sequential((Dense(self.sigma_w, self.sigma_b, "orthogonal"),))


def _check_architecture(net: Any) -> None:
    object.__setattr__(net, "depth", check_count("depth", net.depth))
    check_weights(net.sigma_w, net.sigma_b, net.weights)
    if not isinstance(net.activation, str):  # a string stays as it was typed
        object.__setattr__(net, "activation", _as_activation(net.activation))
    _as_activation(net.activation)


def _as_activation(activation: Any) -> Activation:
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str | Nonlinearity):
        return Activation(activation)
    raise ValueError(f"activation={activation!r} must be a name or an Activation")


def _over_root(sigma_w: Any, depth: Any) -> Any:
    """sigma_w/√depth; exact if one of the two is a sympy object."""
    # a Fraction as exponent keeps sympy exact, whereas 0.5 would not
    if hasattr(depth, "free_symbols"):
        return sigma_w / depth ** Fraction(1, 2)
    if hasattr(sigma_w, "free_symbols"):
        return (sigma_w**2 / depth) ** Fraction(1, 2)
    return sigma_w / math.sqrt(depth)
