"""How ill conditioned a network's Jacobian will be, by its description: what the planner asks before anything is drawn.

A rough lower estimate, from the Lyapunov exponents of products of independent matrices. A Gaussian layer with n rows
left alive, in a product of rank r, spreads the logarithms of the singular values by the difference of the first and the
r-th exponent, ``(psi(n/2) - psi((n-r+1)/2))/2`` with the digamma function psi (Newman, Commun. Math. Phys. 103 (1986)
121-126); slopes s of an activation add ``log <s²>/2 - <log |s|>``; a residual block whose branch has mean squared
singular value g² against the skip's a² adds ``artanh(g²/a²)``, the logarithm of the ratio of the radii between which
the eigenvalues of ``a O + g G`` lie (Guionnet, Krishnapur and Zeitouni, Ann. Math. 174 (2011) 1189-1217), and no more
than a Gaussian layer. The slopes are those of Gaussian pre-activations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np

from theory.gates import GateOnGaussians
from theory.network import (
    Activation,
    BatchNorm,
    Chain,
    Dense,
    Dropout,
    Gate,
    Layer,
    LayerNorm,
    OrthogonalFilterNet,
    Repeat,
    Residual,
    ResNet,
    Scale,
    Sequential,
)
from validation.chunk import Chunk

__all__ = ["predicted_log_range"]

QUANTILES = 64
# Standard deviations beyond this end in a network that cannot be sampled; here their squares stay finite.
LARGEST = 1e70
# Repetitions whose signal is followed one by one.
FOLLOWED = 16


@dataclass(frozen=True)
class _State:
    """Behind a layer: width, rows alive since the last weights, rank; mean square of the signal; what was gathered.

    `gain` is the mean squared singular value, `log_range` the spread of log s in e-folds, of which the last Gaussian
    weights contributed `last_range`, as long as no mask has closed rows of them.
    """

    width: int
    alive: float
    rank: float
    square: float
    gain: float = 1.0
    log_range: float = 0.0
    last_range: float = 0.0


def predicted_log_range(chunk: Chunk) -> float:
    """Rough estimate of ``log(s_max/s_min)`` of a chunk's Jacobians, s_min the smallest non-zero singular value."""
    square = chunk.q0 if chunk.x is None else float(np.mean(np.square(chunk.x)))
    width = chunk.width
    return _extend(chunk.net, _State(width, width, width, square)).log_range


@singledispatch
def _extend(_layer: Any, state: _State) -> _State:
    """The state behind a layer; a layer without a rule is taken for well conditioned."""
    return state


@_extend.register
def _dense(layer: Dense, state: _State) -> _State:
    variance, offset = (min(float(sigma), LARGEST) ** 2 for sigma in (layer.sigma_w, layer.sigma_b))
    n_out = max(1, round(state.width * float(layer.width_ratio)))
    rank = min(state.rank, n_out)
    spread = 0.0 if layer.weights == "orthogonal" else _exponent_range(n_out, rank)
    return _State(
        width=n_out,
        alive=n_out,
        rank=rank,
        square=min(variance * state.square + offset, LARGEST**2),
        gain=state.gain * variance * state.width / n_out,
        log_range=state.log_range + spread,
        last_range=spread,
    )


def _exponent_range(rows: float, rank: float) -> float:
    """Difference of the first and the `rank`-th Lyapunov exponent of products of Gaussian matrices of so many rows."""
    from scipy.special import digamma

    return 0.5 * float(digamma(0.5 * rows) - digamma(0.5 * (max(rows - rank, 0.0) + 1.0)))


@_extend.register
def _activation(layer: Activation, state: _State) -> _State:
    from scipy.special import ndtri

    nodes = math.sqrt(state.square) * ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
    slopes = np.abs(layer.nonlinearity.dphi(nodes))
    open_slopes = slopes[slopes > 0.0]
    if not len(open_slopes):
        return replace(state, rank=0.0, gain=0.0)
    mean_square = float(np.mean(open_slopes**2))
    kept = len(open_slopes) / QUANTILES
    state = _masked(state, kept)
    return replace(
        state,
        square=float(np.mean(layer.nonlinearity.phi(nodes) ** 2)),
        gain=state.gain * kept * mean_square,
        log_range=state.log_range + 0.5 * math.log(mean_square) - float(np.mean(np.log(open_slopes))),
    )


def _masked(state: _State, kept: float) -> _State:
    alive = state.alive * kept
    # the rank is the smallest of several binomial numbers
    smallest = alive - 2.0 * math.sqrt(alive * (1.0 - kept))
    rank = max(min(state.rank, smallest), 0.0)
    spread = _exponent_range(alive, rank) if state.last_range else 0.0
    log_range = state.log_range + spread - state.last_range
    return replace(state, alive=alive, rank=rank, log_range=log_range, last_range=spread)


@_extend.register
def _dropout(layer: Dropout, state: _State) -> _State:
    kept = 1.0 - float(layer.rate)
    return replace(_masked(state, kept), square=state.square / kept, gain=state.gain / kept)


@_extend.register
def _scale(layer: Scale, state: _State) -> _State:
    square = min(abs(float(layer.factor)), LARGEST) ** 2
    return replace(state, square=min(state.square * square, LARGEST**2), gain=state.gain * square)


@_extend.register(LayerNorm)
@_extend.register(BatchNorm)
def _norm(_layer: LayerNorm | BatchNorm, state: _State) -> _State:
    return replace(state, square=1.0, gain=state.gain / state.square) if state.square > 0.0 else state


@_extend.register
def _residual(layer: Residual, state: _State) -> _State:
    branch = _in_turn(layer.branch, replace(state, gain=1.0, log_range=0.0, last_range=0.0))
    skip = float(layer.skip) ** 2
    if skip == 0.0:
        return replace(branch, gain=state.gain * branch.gain, log_range=state.log_range + branch.log_range)
    ratio = branch.gain / skip
    spread = math.atanh(ratio) if ratio < 1.0 else math.inf
    return replace(
        state,
        square=skip * state.square + branch.square,
        gain=state.gain * (skip + branch.gain),
        log_range=state.log_range + min(spread, _exponent_range(state.width, state.rank)),
    )


@_extend.register
def _gate(layer: Gate, state: _State) -> _State:
    from scipy.special import ndtri

    # as if the signal were centred; the weights against the diagonal as in a residual block
    here = GateOnGaussians(layer, min(state.square, LARGEST))
    _, square, gain = here.signal(0.0)
    kept = np.abs(here.u(math.sqrt(here.gate_variance) * ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)))
    kept = kept[kept > 0.0]
    skip = float(np.mean(kept**2)) if len(kept) else 0.0
    ratio = max(gain - skip, 0.0) / skip if skip > 0.0 else math.inf
    spread = math.atanh(ratio) if ratio < 1.0 else math.inf
    log_range = state.log_range + (0.5 * math.log(skip) - float(np.mean(np.log(kept))) if skip > 0.0 else 0.0)
    return replace(
        state,
        square=min(square, LARGEST**2),
        gain=state.gain * gain,
        log_range=log_range + min(spread, _exponent_range(state.width, state.rank)),
        last_range=0.0,
    )


@_extend.register
def _repeat(layer: Repeat, state: _State) -> _State:
    for done in range(1, layer.times + 1):
        before, state = state, _in_turn(layer.layers, state)
        if done == FOLLOWED:  # the signal has settled, or changes so slowly that it does not matter
            rest = (layer.times - done) * (state.log_range - before.log_range)
            return replace(state, log_range=state.log_range + rest)
    return state


@_extend.register
def _sequential(layer: Sequential, state: _State) -> _State:
    return _in_turn(layer.layers, state)


@_extend.register(Chain)
@_extend.register(ResNet)
@_extend.register(OrthogonalFilterNet)
def _architecture(layer: Chain | ResNet | OrthogonalFilterNet, state: _State) -> _State:
    return _extend(layer.expand(), state)


def _in_turn(layers: tuple[Layer, ...], state: _State) -> _State:
    for layer in layers:
        state = _extend(layer, state)
    return state
