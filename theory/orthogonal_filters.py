"""Residual networks with orthogonal filters: x_l = a O_l x_{l-1} + b φ(W_l x_{l-1} + b_l), convex for a = 1 - b.

After Ceni, Random orthogonal additive filters, arXiv:2210.01245. The Jacobian is the product of a O_l + b D_l W_l with
O_l orthogonal, so that all its singular values lie between two products, whatever the matrices are: signals and
gradients neither vanish nor explode when b = c/L.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rmt.law import Law
from rmt.laws.universal_resnet import UniversalResNet
from rmt.parameters import check_number
from theory.log_law import check_count
from theory.weights import Weights, check_ensemble, is_isometric, weights_law

__all__ = [
    "FilterComparison",
    "balanced_filter_law",
    "branch_norm",
    "compare_filter_with_resnet",
    "filter_bounds",
    "filter_law",
    "filter_limit_bounds",
    "log_spread",
]


def filter_bounds(
    depth: int, filter_gain: float, branch_gain: float, norms: float | Sequence[float]
) -> tuple[float, float]:
    """Bounds of every singular value of the Jacobian: Π (a - b s_l)₊ <= σ <= Π (a + b s_l), s_l >= ‖D_l W_l‖.

    Ceni, arXiv:2210.01245, Theorem 1; by the triangle inequality, so for any orthogonal O_l and any W_l, shared or not:
    in the recurrent network with one O and one W as in the feedforward one. Attained by O = 1, D W = ± s.

    Parameters
    ----------
    depth : int
        L.
    filter_gain, branch_gain : float
        a > 0 and b >= 0.
    norms : float or sequence of float
        Upper bounds s_l of the spectral norms, one for all layers or one each (`branch_norm` has those of wide random
        layers; for a recurrent network max φ' times ‖W‖).

    Returns
    -------
    (float, float)

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    depth = check_count("depth", depth)
    check_number("filter_gain", filter_gain, above=0)
    check_number("branch_gain", branch_gain, at_least=0)
    values = np.broadcast_to(np.asarray(norms, dtype=float), (depth,)) if np.ndim(norms) == 0 else np.asarray(norms)
    if values.shape != (depth,) or not np.all(np.isfinite(values)) or np.any(values < 0):
        raise ValueError(f"norms={norms!r}: expected one number >= 0, or {depth} of them")
    relative = branch_gain * values / filter_gain
    lower = math.exp(depth * math.log(filter_gain) + float(np.sum(np.log1p(-relative)))) if relative.max() < 1 else 0.0
    return lower, math.exp(depth * math.log(filter_gain) + float(np.sum(np.log1p(relative))))


def filter_limit_bounds(strength: float, norm: float) -> tuple[float, float]:
    """Bounds e^{-c(1+s)} <= σ <= e^{-c(1-s)} at infinite depth, for a = 1 - c/L, b = c/L.

    The upper one holds at every depth. The lower one is the limit of (1 - c(1+s)/L)₊^L, which increases with L: at
    finite depth singular values can lie below e^{-c(1+s)}, and `filter_bounds` is the bound.

    Parameters
    ----------
    strength : float
        c = b L >= 0.
    norm : float
        s >= ‖D_l W_l‖ for all l.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_number("strength", strength, at_least=0)
    check_number("norm", norm, at_least=0)
    return math.exp(-strength * (1 + norm)), math.exp(-strength * (1 - norm))


def branch_norm(activation: str, sigma_w: float = 1.0, q: float = 1.0, *, weights: Weights = "gaussian") -> float:
    """‖D W‖ of one wide layer: the root of the upper edge of the law of D W Wᵀ D at pre-activations N(0, q).

    Parameters
    ----------
    activation : str
        See `get_activation`.
    sigma_w : float
        Standard deviation of the weights times the root of the width.
    q : float
        Variance of the pre-activations.
    weights : str, Sparse or Law
        As for `theory.Dense`.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    from theory.activations import get_activation
    from theory.gain import gain_law

    check_number("sigma_w", sigma_w, above=0)
    check_number("q", q, above=0)
    phi = get_activation(activation)
    check_ensemble(weights)
    if is_isometric(weights):
        return float(sigma_w * math.sqrt(phi.slope_range[1]))
    return float(sigma_w * math.sqrt(float((gain_law(phi, q) @ weights_law(weights)).support().upper)))


def filter_law(depth: int, strength: float, chi: float = 1.0) -> Law:
    """Law of J Jᵀ for a = 1 - c/L, b = c/L, to leading order in 1/L: the universal law with L b² χ, scaled by a^{2L}.

    The filter turns the eigenvalues and the signal, not the singular law, which is that of a ResNet with the branch
    gain b/a. As L -> oo it shrinks to e^{-2c}, with the spread `log_spread`. A recurrent linear network, with one O and
    one W for all layers, has the same law: a Haar O makes a O + b W R-diagonal, and powers of such have the law of a
    product of free copies (Haagerup and Larsen 2000).

    Parameters
    ----------
    depth : int
        L.
    strength : float
        c in (0, L).
    chi : float
        Mean over the layers of σ_w² <φ'²>.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    depth, gain = _convex(depth, strength, chi)
    return UniversalResNet(depth * gain**2 * chi, 1 - gain, depth)


def balanced_filter_law(time: float, chi: float = 1.0) -> Law:
    """Law of J Jᵀ at infinite depth for b = √(t/L), a² + b² = 1: S(m) = e^{t(1-χ)} e^{-2tχm}; mean 1 for χ = 1.

    Parameters
    ----------
    time : float
        t > 0.
    chi : float
        Mean over the layers of σ_w² <φ'²>.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_number("time", time, above=0)
    check_number("chi", chi, above=0)
    return math.exp(-time) * UniversalResNet(time * chi)


def log_spread(depth: int, strength: float, chi: float = 1.0) -> float:
    """Standard deviation of ln σ over the singular values, c √(χ/(2L)) to leading order, for a = 1 - c/L, b = c/L.

    The symmetric part of each relative branch (b/a) Oᵀ D W has the mean square b² χ/2, and L of them add up (derived
    here). Parameters and errors as for `filter_law`.
    """
    depth, gain = _convex(depth, strength, chi)
    return gain / (1 - gain) * math.sqrt(depth * chi / 2)


def _convex(depth: int, strength: float, chi: float) -> tuple[int, float]:
    depth = check_count("depth", depth)
    check_number("strength", strength, above=0, below=depth)
    check_number("chi", chi, above=0)
    return depth, strength / depth


class FilterComparison(NamedTuple):
    """Filter network and plain ResNet (skip 1) with the same branch gain b = c/L, or a ResNet with b = c/√L.

    Mean of σ² over the singular values, and standard deviation of ln σ.
    """

    filter_mean: float
    filter_spread: float
    resnet_mean: float
    resnet_spread: float
    root_resnet_mean: float
    root_resnet_spread: float


def compare_filter_with_resnet(depth: int, strength: float, chi: float = 1.0) -> FilterComparison:
    """Filter network against plain ResNets at equal strength c.

    Means are exact at infinite width, (a² + b²χ)^L; spreads to leading order in b. At the same gain c/L both contract
    their spectra like 1/√L, the filter around e^{-2c} and the ResNet around 1; at the gain c/√L of the universal law
    the spread stays c √(χ/2) at every depth. Parameters and errors as for `filter_law`.
    """
    depth, gain = _convex(depth, strength, chi)
    root = strength / math.sqrt(depth)
    return FilterComparison(
        ((1 - gain) ** 2 + gain**2 * chi) ** depth,
        log_spread(depth, strength, chi),
        (1 + gain**2 * chi) ** depth,
        gain * math.sqrt(depth * chi / 2),
        (1 + root**2 * chi) ** depth,
        root * math.sqrt(depth * chi / 2),
    )
