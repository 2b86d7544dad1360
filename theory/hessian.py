"""Gradients and Hessians of deep networks at initialisation: how fast their blocks vanish with depth.

The network is f(x) = v·a^L, a^k = D_k W_k a^{k-1}, the loss the mean of (f - y)²/2, trained in the W_k. As f is linear
in every single W_k, the Hessian of f has no diagonal blocks, and

    ∂f/∂W_k = b_k ⊗ a^{k-1},    ∂²f/∂W_k∂W_l = b_l ⊗ (D_{l-1} W_{l-1} … W_{k+1} D_k) ⊗ a^{k-1}    (k < l),

with b_k the signal sent back. Blocks are products over disjoint layers: L - 1 of them for the gradient and L - 2 for
the Hessian, whatever k and l (Orvieto et al., arXiv:2106.03763, for the decay; norms and laws derived here). Mean
squares are kept by the right variance of the weights; medians fall exponentially, like those of `LogNormLaw`.

Where φ is smooth, φ'' adds diagonal blocks b_k φ''(h_k) ⊗ a^{k-1} ⊗ a^{k-1}, and the signal settles at a size of its
own, so that the blocks of the last layers stay as they are; the gradient by the first layer still changes
exponentially, see `hessian_rate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rmt.parameters import check_number
from rmt.results import PreconditionError
from theory.activations import Nonlinearity, get_activation
from theory.finite_width import LogNormLaw, check_layers, check_slopes
from theory.log_law import check_count
from theory.norm_growth import resnet_log_normal_norm
from theory.phases import fixed_point

__all__ = [
    "BlockMeans",
    "block_means",
    "directional_hessian_law",
    "extreme_hessian_eigenvalues",
    "hessian_rate",
    "hessian_vector_product",
]

FloatArray = npt.NDArray[np.float64]


class BlockMeans(NamedTuple):
    """E|∂f/∂W_k|_F², shape (L,), and E|∂²f/∂W_k∂W_l|_F², shape (L, L), over |v|²|x|²."""

    gradient: FloatArray
    hessian: FloatArray


def block_means(
    width: int | Sequence[int], depth: int | None = None, *, activation: str = "relu", alpha: float = 0.01
) -> BlockMeans:
    """Mean squared Frobenius norms of the blocks of gradient and Hessian of f at initialisation, exact at finite width.

    Weights are independent and symmetric, of variance 1/(p n_k) in layer k, p = E s² of the slopes, which keeps E|a|²;
    the readout v has independent random signs. Then E|a^{k-1}|² = |x|², E|b_k|² = p |v|² n_k/n_L and E|D_{l-1} W_{l-1}
    … D_k|_F² = p n_k, all independent:

        E|∂f/∂W_k|² = p n_k/n_L,    E|∂²f/∂W_k∂W_l|² = p² n_k n_l/n_L    (times |v|²|x|²).

    Neither decays with depth: it is the typical size that does, see `LogNormLaw` and `directional_hessian_law`.

    Parameters
    ----------
    width, depth, activation, alpha
        As in `LogNormLaw`.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    n = np.array(check_layers(width, depth), dtype=float)
    p = (1 + check_slopes(activation, alpha, 1.0) ** 2) / 2
    hessian = p * p * np.outer(n, n) / n[-1]
    np.fill_diagonal(hessian, 0.0)
    return BlockMeans(p * n / n[-1], hessian)


def directional_hessian_law(width: int, depth: int) -> LogNormLaw:
    """Law of ln of the squared change of ∂f/∂W_l when W_k moves along a unit matrix u âᵀ, â = a^{k-1}/|a^{k-1}|.

    It is |b_l|² |W_{l-1} … W_{k+1} u|² |a^{k-1}|², L - 2 independent layers of a linear Gaussian network with |x| = |v|
    = 1: the same law for every pair of layers. The whole block has the same exponential rate, since a product of many
    layers is dominated by its largest singular value (`lyapunov_spectrum`).

    Parameters
    ----------
    width : int
        Width of every layer.
    depth : int
        L >= 3.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    return LogNormLaw(check_count("width", width), check_count("depth", depth, 3) - 2)


def hessian_rate(
    width: int,
    *,
    activation: str = "relu",
    sigma_w: float | None = None,
    skip: float = 0.0,
    branch: float = 1.0,
    alpha: float = 0.01,
) -> float:
    """Exponential rate a layer at which squared blocks of gradient and Hessian change, typically, with the depth.

    Block z' = a z + b φ(W z), weights of variance 1/(p n), p = E s² of the slopes. The gradient by any W_k has L - 1
    independent factors, a block of the Hessian of f L - 2 of them, so that ln|∂f/∂W_k|² falls at this rate and
    ln|λ|, λ an extreme eigenvalue of the Hessian, at half of it: to 0 at any fixed width, for a plain network like
    e^{-5L/2n} and e^{-5L/4n} (ReLU), slower by the width, and not at all for branches of order b² = 1/L beside a = 1.

    Other activations have no scale of their own: weights of variance σ_w²/n lead to a fixed point q of the signal, with
    χ and the slope ρ of the length map there (`theory.fixed_point`). The gradient by W_1 then changes at the rate

        ln χ(q) + <δq> (ln χ)' + <δq²> (ln χ)''/2 + ((τ - 1) w - 1 - 3 (<φ'⁴>/<φ'²>² - 1)/2)/n,

    to first order in 1/n (derived here): δq is the stationary fluctuation of the signal, ``<δq²> = σ_w⁴ (<φ⁴> -
    <φ²>²)/(n (1 - ρ²))``, ``<δq> = V'' <δq²>/(2 (1 - ρ))``; τ/n is the share of what is sent back that lies along the
    signal, ``τ = (<h²φ'²>/<φ²> - ρ²)/(χ - ρ²)``, and ``w = <φ²φ'²>/(<φ²> <φ'²>)``. At q = 0 the network is linear in
    the end. Where q > 0 blocks far apart fall at this rate, and those of the last layers not at all.

    Parameters
    ----------
    width : int
    activation, alpha
        As in `LogNormLaw`, or any other without a skip; a skip needs ``"relu"``.
    sigma_w : float
        For the other activations: weights have the variance sigma_w²/width, there are no biases.
    skip, branch : float
        a and b. Without a skip the rate is exact, ln b² + E ln of one layer's factor; with one it is that of
        `resnet_log_normal_norm`, to first order in 1/width.

    Raises
    ------
    ValueError
        If an argument is out of range.
    PreconditionError
        For a skip beside another activation than relu, and for a signal that grows without bound, stays between fixed
        points, or dies out at a kink of the activation.

    Examples
    --------
    >>> round(hessian_rate(32), 6), round(hessian_rate(32, skip=1.0, branch=0.1), 6)
    (-0.08254, 0.00933)
    """
    if skip == 0 and activation not in ("linear", "relu", "leaky_relu"):
        if sigma_w is None or branch != 1:
            raise ValueError(
                f"activation={activation!r} with sigma_w={sigma_w!r}, branch={branch!r}: give sigma_w, on which the "
                "signal of such a network depends, and leave branch=1"
            )
        return _rate_at_fixed_point(check_count("width", width), get_activation(activation), sigma_w)
    if sigma_w is not None:
        raise ValueError(
            f"sigma_w={sigma_w!r}: the weights of a {activation} network have variance 1/(p n); leave it out"
        )
    if skip == 0:
        check_number("branch", branch, above=0)
        return 2 * math.log(branch) + LogNormLaw(check_count("width", width), 1, activation, alpha).mean()
    if activation != "relu":
        raise PreconditionError(f"activation={activation!r} with a skip: the rate is known for relu; use skip=0")
    return resnet_log_normal_norm(width, 1, skip=skip, branch=branch)[0]


def _rate_at_fixed_point(width: int, function: Nonlinearity, sigma_w: float) -> float:
    """See `hessian_rate`."""
    point = fixed_point(function, sigma_w)
    q, chi, slope = point.q, point.chi, point.q_slope
    if q == 0:
        if 0.0 in function.kinks:
            raise PreconditionError(
                f"the signal of {function.name} dies out at its kink: choose sigma_w={sigma_w:g} larger"
            )
        return math.log(chi) + LogNormLaw(width, 1, "linear").mean()
    if not (abs(slope) < 1 and chi > slope**2):
        raise PreconditionError(
            f"the signal of {function.name} does not settle at sigma_w={sigma_w:g} (slopes {slope:.6g} and {chi:.6g}): "
            "choose another sigma_w"
        )
    phi, dphi = function.phi, function.dphi

    def average(h: FloatArray) -> FloatArray:
        """Averages of φ², φ'², φ⁴, φ'⁴, h²φ'², φ²φ'² and, twice, the first two as their derivatives by q ask for."""
        square, gain, t = phi(h) ** 2, dphi(h) ** 2, h * h / q
        first, second = (t - 1) / (2 * q), (t * t - 6 * t + 3) / (4 * q * q)
        return np.array(
            [
                *(square, gain, square**2, gain**2, h * h * gain, square * gain),
                *(first * gain, second * gain, second * square),
            ]
        )

    square, gain, fourth, gains, backward, both, by_q, twice, bend = function.average(average, q)
    variance = sigma_w**4 * (fourth - square**2) / (width * (1 - slope**2))
    shift = sigma_w**2 * bend * variance / (2 * (1 - slope))
    log_slope = by_q / gain
    along = (backward / square - slope**2) / (chi - slope**2)
    of_width = (along - 1) * both / (square * gain) - 1 - 1.5 * (gains / gain**2 - 1)
    curvature = twice / gain - log_slope**2
    return float(math.log(chi) + log_slope * shift + curvature * variance / 2 + of_width / width)


def _check_network(
    weights: Sequence[npt.ArrayLike], readout: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike
) -> tuple[list[FloatArray], FloatArray, FloatArray, FloatArray]:
    layers = [np.asarray(w, dtype=float) for w in weights]
    v, inputs = np.asarray(readout, dtype=float), np.atleast_2d(np.asarray(x, dtype=float))
    targets = np.atleast_1d(np.asarray(y, dtype=float))
    size = inputs.shape[1]
    for k, w in enumerate(layers):
        if w.ndim != 2 or w.shape[1] != size:
            raise ValueError(f"weights[{k}] of shape {w.shape}: expected (any, {size}), the width of what it is fed")
        size = w.shape[0]
    if not layers or v.shape != (size,) or targets.shape != (len(inputs),):
        raise ValueError(
            f"{len(layers)} layers, readout of shape {v.shape}, y of shape {targets.shape}: expected one or more "
            f"layers, ({size},) and ({len(inputs)},)"
        )
    return layers, v, inputs, targets


def hessian_vector_product(
    weights: Sequence[npt.ArrayLike],
    readout: npt.ArrayLike,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    vector: Sequence[npt.ArrayLike],
    *,
    negative_slope: float = 0.0,
) -> list[FloatArray]:
    """Hessian of the loss times a direction in the weights, without the matrix, at the cost of two gradients.

    Forward and backward sweep are differentiated along the direction (Pearlmutter 1994); the gates, constant almost
    everywhere, are not.

    Parameters
    ----------
    weights : sequence of arrays of shape (n_k, n_{k-1})
        W_1 … W_L.
    readout : array of shape (n_L,)
        v, not trained.
    x, y : arrays of shape (samples, n_0) and (samples,), or one sample
        Inputs and targets.
    vector : sequence of arrays
        The direction, with the shapes of the weights.
    negative_slope : float
        Slope of the activation below 0: 0 for ReLU, 1 for a linear network.

    Returns
    -------
    list of arrays
        With the shapes of the weights.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    check_number("negative_slope", negative_slope)
    layers, v, inputs, targets = _check_network(weights, readout, x, y)
    moves = [np.asarray(m, dtype=float) for m in vector]
    if [m.shape for m in moves] != [w.shape for w in layers]:
        raise ValueError(f"vector of shapes {[m.shape for m in moves]}: expected those of the weights")
    signals, changes, slopes = [inputs], [np.zeros_like(inputs)], []
    for w, move in zip(layers, moves, strict=True):
        h = signals[-1] @ w.T
        slope = np.where(h > 0, 1.0, negative_slope)
        changes.append(slope * (signals[-1] @ move.T + changes[-1] @ w.T))
        signals.append(slope * h)
        slopes.append(slope)
    error, error_change = (signals[-1] @ v - targets)[:, None], (changes[-1] @ v)[:, None]
    back, back_change = slopes[-1] * v, np.zeros_like(slopes[-1])
    out = []
    for k in reversed(range(len(layers))):
        varying = error_change * back + error * back_change
        out.append((varying.T @ signals[k] + (error * back).T @ changes[k]) / len(inputs))
        if k:
            back_change = slopes[k - 1] * (back @ moves[k] + back_change @ layers[k])
            back = slopes[k - 1] * (back @ layers[k])
    return out[::-1]


def extreme_hessian_eigenvalues(
    weights: Sequence[npt.ArrayLike],
    readout: npt.ArrayLike,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    negative_slope: float = 0.0,
) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian of the loss, by Lanczos iterations without the matrix.

    Its trace needs no sampling: as every f is linear in each W_k, it is the mean over samples of |∇f|². Parameters and
    errors as for `hessian_vector_product`.

    Raises
    ------
    PreconditionError
        If the network has fewer than three weights: use the formulas.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    layers, v, inputs, targets = _check_network(weights, readout, x, y)
    ends = np.cumsum([w.size for w in layers])
    if ends[-1] < 3:
        raise PreconditionError(f"a network of {ends[-1]} weights is too small for Lanczos; use chain_hessian")

    def apply(flat: FloatArray) -> FloatArray:
        parts = np.split(np.asarray(flat).ravel(), ends[:-1])
        direction = [part.reshape(w.shape) for part, w in zip(parts, layers, strict=True)]
        found = hessian_vector_product(layers, v, inputs, targets, direction, negative_slope=negative_slope)
        return np.concatenate([part.ravel() for part in found])

    operator = LinearOperator((int(ends[-1]),) * 2, matvec=apply, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(int(ends[-1]))
    if not np.any(apply(start)):  # the signal has died: every derivative is 0
        return 0.0, 0.0
    low, high = eigsh(operator, k=2, which="BE", v0=start, return_eigenvectors=False)
    return float(low), float(high)
