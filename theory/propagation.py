"""Signal propagation at infinite width: the variance, mean and correlation of the signal, layer by layer.

The rules are those of arXiv:1809.08848 (eqs. 20-23) for residual networks and of Poole et al. (arXiv:1606.05340) for
chains, written once per kind of layer so that they apply to any composition:

* dense: q = σ_w² X + σ_b²; the outputs are centred Gaussians of variance q;
* activation, on a centred Gaussian of variance q: X = <φ²>, μ = <φ>;
* residual block x -> a x + f(x): X' = X_f + 2 a μ μ_f + a² X, μ' = μ_f + a μ; x -> a O x + f(x) with a Haar O, which
  leaves no mean: X' = X_f + a² X, μ' = μ_f;
* gated layer x -> u x + (1-u) φ(h) on inputs of any law: X' = <u²> X + 2 <u (1-u) φ> μ + <(1-u)² φ²>,
  μ' = <u> μ + <(1-u) φ>, averages over h (`theory.gates`);
* scale x -> s x: X' = s² X, μ' = s μ; dropout of rate p: X' = X/(1-p), μ' = μ; layer normalisation: X' = 1, μ' = 0;
  batch normalisation: the same, and no covariance with another input is left.

X = <x²> and μ = <x> are averages over the components of the signal.  The input has Gaussian components of variance q0,
hence X = q0 and μ = 0.

Walking a network: `advance(layer, signal)` is the signal behind a layer.  It is a single-dispatch function with a rule
per layer class, recursive over residual branches; a `Signal` also carries ``gain``, the mean squared singular value of
the Jacobian accumulated since the signal was made.  A reading of the network that needs the q of every activation
walks the layers itself, in the order of `theory.network.blocks`, calls `advance` to move on, and reads
``signal.second_moment``, which is q, in front of each `Activation`; `start(q0)` is the signal to begin with, and inside
a residual block the branch begins with the signal in front of the block.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.results import PreconditionError
from theory.gates import GateOnGaussians
from theory.network import (
    Activation,
    Architecture,
    BatchNorm,
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

__all__ = ["Propagation", "Signal", "advance", "effective_cumulant", "preactivation_variances", "propagate", "start"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Signal:
    """State of the mean-field signal between two layers.

    Attributes
    ----------
    second_moment : float
        X = <x²>; where `gaussian` is true this is the variance q that an activation sees.
    mean : float
        μ = <x>.
    gaussian : bool
        True if the components are centred Gaussians: the input, behind a `Dense` layer, and sums of such signals.
    gain : float
        Mean squared singular value of the Jacobian since the signal was made (E|Jv|² per component over that of v).
    covariance : float or None
        <x y> for a second input y of the same norm, if one is followed.
    variance : float
        q of the last Gaussian pre-activation met; NaN before the first.
    overlap : float
        Correlation of the two inputs at that pre-activation; NaN if no second input is followed.
    """

    second_moment: float
    mean: float = 0.0
    gaussian: bool = True
    gain: float = 1.0
    covariance: float | None = None
    variance: float = math.nan
    overlap: float = math.nan


def start(q0: float, correlation: float | None = None) -> Signal:
    """Signal of a network input of mean square q0, and of a second input with that correlation to it.

    Raises
    ------
    ValueError
        Unless q0 > 0 is finite and the correlation is in [-1, 1].
    """
    if not 0 < q0 < math.inf:
        raise ValueError(f"q0={q0!r} must be a finite number > 0: the mean square of the input's components")
    if correlation is None:
        return Signal(float(q0))
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation={correlation!r} must be in [-1, 1]")
    return Signal(float(q0), covariance=correlation * float(q0))


def _start(net: Layer, q0: float) -> Signal:
    return start(q0, 0.0 if sees_a_batch(net) else None)


@functools.singledispatch
def advance(layer: Any, signal: Signal) -> Signal:
    """Propagate the signal through a layer.

    Raises
    ------
    PreconditionError
        An activation whose input is not Gaussian, a symbolic parameter, or a signal that overflows.
    """
    raise NotImplementedError(
        f"{type(layer).__name__} has no rule for signal propagation: build the network from Dense, Activation, "
        "Residual, Repeat, Sequential, Chain, ResNet"
    )


@advance.register
def _(layer: Dense, signal: Signal) -> Signal:
    sigma_w, sigma_b = layer.sigma_w, layer.sigma_b
    if not isinstance(sigma_w, float) or not isinstance(sigma_b, float):
        sigma_w, sigma_b = _numeric("sigma_w", sigma_w), _numeric("sigma_b", sigma_b)
    gain = sigma_w * sigma_w
    q = gain * signal.second_moment + sigma_b * sigma_b
    if signal.covariance is None:
        return Signal(q, 0.0, True, signal.gain * gain, None, q)
    covariance = gain * signal.covariance + sigma_b * sigma_b
    overlap = _clipped(covariance / q) if q > 0 else math.nan
    return Signal(q, 0.0, True, signal.gain * gain, covariance, q, overlap)


@advance.register
def _(layer: Activation, signal: Signal) -> Signal:
    if not signal.gaussian:
        raise PreconditionError(f"the input of activation {layer.name!r} is not Gaussian: add a Dense layer before it")
    q = signal.second_moment
    if not q < 1e150:
        raise PreconditionError(
            f"the signal overflows (pre-activation variance q={q!r} at activation {layer.name!r}): "
            "reduce sigma_w or the depth"
        )
    mean, second_moment, gain = layer.nonlinearity.averages(q)
    if signal.covariance is None:
        return Signal(second_moment, mean, False, signal.gain * gain, None, q)
    overlap = _clipped(signal.covariance / q) if q > 0 else 1.0
    covariance = layer.nonlinearity.cross_moment(q, overlap)
    return Signal(second_moment, mean, False, signal.gain * gain, covariance, q, overlap)


@advance.register
def _(layer: Scale, signal: Signal) -> Signal:
    return _scaled(signal, _numeric("factor", layer.factor))


@advance.register
def _(layer: Dropout, signal: Signal) -> Signal:
    kept = 1 - _numeric("rate", layer.rate)
    # masks are independent, so that the mean and the covariance with another input stay
    return replace(
        signal,
        second_moment=signal.second_moment / kept,
        gain=signal.gain / kept,
        gaussian=signal.gaussian and kept == 1,
    )


@advance.register
def _(_layer: LayerNorm, signal: Signal) -> Signal:
    square = signal.mean * signal.mean
    centred = replace(
        signal,
        second_moment=signal.second_moment - square,
        mean=0.0,
        covariance=None if signal.covariance is None else signal.covariance - square,
    )
    if not centred.second_moment > 0:
        raise PreconditionError("LayerNorm of a signal without variance: choose sigma_w or sigma_b > 0 before it")
    return _scaled(centred, 1 / math.sqrt(centred.second_moment))


@advance.register
def _(_layer: BatchNorm, signal: Signal) -> Signal:
    # what is common to all inputs is the mean over the batch
    variance = _batch_variance(signal)
    centred = replace(signal, second_moment=variance, mean=0.0, covariance=0.0)
    return _scaled(centred, 1 / math.sqrt(variance))


def _batch_variance(signal: Signal) -> float:
    if signal.covariance is None:
        raise PreconditionError("BatchNorm needs a second input of the batch: give propagate a correlation, such as 0")
    variance = signal.second_moment - signal.covariance
    if not variance > 1e-14 * signal.second_moment:
        raise PreconditionError("BatchNorm of a signal that does not vary over the batch: give inputs that differ")
    return variance


@advance.register
def _(layer: Gate, signal: Signal) -> Signal:
    here = GateOnGaussians(layer, signal.second_moment)
    mean, second_moment, gain = here.signal(signal.mean)
    if signal.covariance is None:
        return Signal(second_moment, mean, False, signal.gain * gain, None, here.variance)
    overlap = here.correlation(signal.covariance)
    covariance = here.covariance(signal.mean, signal.covariance)
    return Signal(second_moment, mean, False, signal.gain * gain, covariance, here.variance, overlap)


@advance.register
def _(layer: Residual, signal: Signal) -> Signal:
    return _through_residual(layer, signal)[0]


@advance.register(Repeat)
@advance.register(Sequential)
@advance.register(Architecture)
def _(layer: Repeat | Sequential | Architecture, signal: Signal) -> Signal:
    for block in blocks(layer):
        signal = advance(block, signal)
    return signal


@dataclass(frozen=True, eq=False, repr=False)
class Propagation:
    """Signal propagation as a table with one row a layer; every column is an array of shape (n,).

    A layer is a residual block, or a gated layer or dense layers with all that stands behind them (activation,
    normalisation, scale, dropout) up to the next dense layer, gated layer or residual block.

    Attributes
    ----------
    layer : array of int
        1 … n.
    q : array
        Variance of the layer's pre-activations (of the last ones, in a branch with several activations).
    mean, second_moment : array
        μ = <x> and X = <x²> of the signal that leaves the layer.
    chi : array
        Mean squared singular value of the layer's Jacobian: σ_w²<φ'²> in a chain, a² + (σ_w²/L)<φ'²> in a ResNet. The
        product over layers is the mean of the law of J Jᵀ.
    c_2 : array
        Effective variance of the layer. In a chain the same as chi. For a residual block, the mean squared singular
        value of its branch times the number of residual blocks: σ_w²<φ'²> in a ResNet, so that the effective cumulant
        is the mean of c_2 over the residual blocks, as in arXiv:1809.08848.
    residual : array of bool
        Whether the layer is a residual block.
    correlation : array or None
        Correlation between the pre-activations of two inputs, if an initial correlation was given.
    """

    layer: npt.NDArray[np.int64]
    q: FloatArray
    mean: FloatArray
    second_moment: FloatArray
    chi: FloatArray
    c_2: FloatArray
    residual: npt.NDArray[np.bool_]
    correlation: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.layer)

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns as lists; `correlation` only where it was followed."""
        columns = {name: getattr(self, name).tolist() for name in ("layer", *_COLUMNS, "residual")}
        return columns if self.correlation is None else columns | {"correlation": self.correlation.tolist()}

    def __repr__(self) -> str:
        names = _COLUMNS if self.correlation is None else (*_COLUMNS, "correlation")
        header = f"{'layer':>7}" + "".join(f"{name:>15}" for name in names)
        columns = [getattr(self, name) for name in names]
        shown = list(range(len(self))) if len(self) <= 20 else [*range(8), -1, *range(len(self) - 8, len(self))]
        rows = [
            f"{'…':>7}" if i < 0 else f"{self.layer[i]:>7}" + "".join(f"{column[i]:>15.8g}" for column in columns)
            for i in shown
        ]
        return "\n".join([header, *rows])


_COLUMNS = ("q", "mean", "second_moment", "chi", "c_2")


def propagate(net: Layer, q0: float = 1.0, correlation: float | None = None) -> Propagation:
    """Signal propagation through a network, one row a layer.

    Parameters
    ----------
    net : layer or network
    q0 : float
        Mean square of the input's components.
    correlation : float, optional
        Correlation in [-1, 1] of a second input of the same norm, which is then followed as well; also that of the
        inputs of a batch, which are taken to be independent if it is not given.

    Raises
    ------
    ValueError
        Bad q0 or correlation.
    PreconditionError
        An activation whose input is not Gaussian, a symbolic parameter, or a signal that overflows.

    Examples
    --------
    >>> from theory.network import ResNet
    >>> table = propagate(ResNet(depth=4, activation="relu", sigma_w=0.5))
    >>> table.c_2.tolist()
    [0.125, 0.125, 0.125, 0.125]
    """
    signals: list[Signal] = []
    branch_gains: list[float] = []
    for signal, branch_gain in _rows(net, _start(net, q0) if correlation is None else start(q0, correlation)):
        signals.append(signal)
        branch_gains.append(branch_gain)
    branch = np.array(branch_gains)
    residual = ~np.isnan(branch)
    chi = np.array([s.gain for s in signals])
    return Propagation(
        layer=np.arange(1, len(signals) + 1),
        q=np.array([s.variance for s in signals]),
        mean=np.array([s.mean for s in signals]),
        second_moment=np.array([s.second_moment for s in signals]),
        chi=chi,
        c_2=np.where(residual, np.count_nonzero(residual) * branch, chi),
        residual=residual,
        correlation=None if correlation is None else np.array([s.overlap for s in signals]),
    )


def effective_cumulant(net: Layer, q0: float = 1.0) -> float:
    """Effective cumulant c of a residual network: the sum over its residual blocks of the branch's gain.

    For a `ResNet` this is ``c = (1/L) Σ_l σ_w² <φ'(√q_l Z)²>`` (arXiv:1809.08848, eq. 17). In general the gain is the
    mean squared singular value of the branch's Jacobian; plain layers between the blocks do not contribute.

    Raises
    ------
    PreconditionError
        If the network has no residual block at its top level, or its signal cannot be propagated.
    ValueError
        Bad q0.
    """
    gains = [branch_gain for _, branch_gain in _rows(net, _start(net, q0)) if not math.isnan(branch_gain)]
    if not gains:
        raise PreconditionError(
            "effective_cumulant needs residual blocks, and this network has none: for a plain chain look at the column "
            "chi of theory.propagate(net), or at theory.jacobian_law(net)"
        )
    return math.fsum(gains)


def preactivation_variances(net: Layer, q0: float = 1.0) -> FloatArray:
    """Variance q in front of every activation, and that by which every normalisation divides, in order of application.

    At a gated layer, the mean square of its input.

    Those inside branches are included. Inputs of a batch are taken to be independent.

    Raises
    ------
    ValueError
        Bad q0.
    PreconditionError
        If the signal cannot be propagated.
    """
    found: list[float] = []

    def walk(layers: Iterable[Layer], signal: Signal) -> Signal:
        for block in blocks(layers):
            if isinstance(block, Residual):
                walk(block.branch, signal)
            elif isinstance(block, Activation | Gate):
                found.append(signal.second_moment)
            elif isinstance(block, LayerNorm):
                found.append(signal.second_moment - signal.mean**2)
            elif isinstance(block, BatchNorm):
                found.append(_batch_variance(signal))
            signal = advance(block, signal)
        return signal

    walk((net,), _start(net, q0))
    return np.array(found)


def _rows(net: Layer, signal: Signal) -> Iterator[tuple[Signal, float]]:
    """Signal behind each layer, its gain that of the layer alone, and the branch's gain (NaN for a plain layer)."""
    empty, complete = True, False  # a layer is complete once something stands behind its dense layers
    for block in blocks(net):
        if not empty and (isinstance(block, Residual | Gate) or (complete and isinstance(block, Dense))):
            yield signal, math.nan
            empty, complete = True, False
        if isinstance(block, Residual):
            signal, branch_gain = _through_residual(block, _restarted(signal))
            yield signal, branch_gain
            continue
        signal = advance(block, _restarted(signal) if empty else signal)
        empty, complete = False, complete or not isinstance(block, Dense)
    if not empty:
        yield signal, math.nan


def _restarted(signal: Signal) -> Signal:
    return Signal(signal.second_moment, signal.mean, signal.gaussian, 1.0, signal.covariance)


def _through_residual(layer: Residual, signal: Signal) -> tuple[Signal, float]:
    """Signal behind a residual block, and the gain of its branch (not as a difference of gains, which would cancel)."""
    skip = layer.skip if isinstance(layer.skip, float) else _numeric("skip", layer.skip)
    out = _restarted(signal)
    for inner in layer.branch:
        out = advance(inner, out)
    # branch and skip are correlated through their means only: the branch has centred weights of its own
    mean = signal.mean if layer.shortcut == "identity" else 0.0
    cross = 2 * skip * mean * out.mean
    covariance = None
    if signal.covariance is not None and out.covariance is not None:
        covariance = out.covariance + cross + skip * skip * signal.covariance
    behind = Signal(
        out.second_moment + cross + skip * skip * signal.second_moment,
        out.mean + skip * mean,
        out.gaussian and (signal.gaussian or layer.shortcut == "orthogonal"),
        signal.gain * (skip * skip + out.gain),
        covariance,
        out.variance,
        out.overlap,
    )
    return behind, out.gain


def _scaled(signal: Signal, factor: float) -> Signal:
    square = factor * factor
    return replace(
        signal,
        second_moment=square * signal.second_moment,
        mean=factor * signal.mean,
        gain=square * signal.gain,
        covariance=None if signal.covariance is None else square * signal.covariance,
    )


def _clipped(correlation: float) -> float:
    return min(1.0, max(-1.0, correlation))


def _numeric(name: str, value: Any) -> float:
    if getattr(value, "free_symbols", ()):
        raise PreconditionError(f"{name}={value} is symbolic: substitute a number before propagating a signal")
    return float(value)
