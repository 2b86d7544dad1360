"""Consequences of finite width: fourth moments, log-normal limits, the vanishing bound and the width a depth asks for.

After Hanin and Nica, arXiv:1812.05994 (products of masked matrices), Li, Nica and Roy, arXiv:2106.04013 (residual
networks), with exact recursions for the fourth moments derived here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from rmt.parameters import check_number
from rmt.results import PreconditionError
from theory.finite_width import LogNormLaw, check_layers, check_slopes
from theory.log_law import check_count

__all__ = [
    "fourth_moments",
    "log_normal_norm",
    "minimum_width",
    "resnet_fourth_moments",
    "resnet_log_normal_norm",
    "vanishing_bound",
]

_LARGEST_WIDTH = 10**6


def _moments_of_slope(activation: str, alpha: Any, keep: Any) -> tuple[Any, Any]:
    """E s², E s⁴ of the slope of a neuron, exact for exact parameters."""
    check_slopes(activation, alpha, keep)
    low = {"linear": 1, "relu": 0, "leaky_relu": alpha}[activation]
    half = Fraction(1, 2)
    return keep * (1 + low**2) * half, keep * (1 + low**4) * half


def fourth_moments(
    width: int | Sequence[int],
    depth: int | None = None,
    *,
    kurtosis: Any = 3,
    activation: str = "linear",
    alpha: Any = 0.01,
    keep: Any = 1,
    fourth_norm: Any = None,
) -> tuple[Any, Any]:
    """E|a^L|⁴/|x|⁴ and E Σ_i (a^L_i)⁴/|x|⁴ of a chain that keeps E|a|², for symmetric weights of any kurtosis.

    With S = E|a|⁴, Q = E Σ a_i⁴, weights of variance σ² = 1/(m_2 n) and kurtosis κ into a layer of width n, and
    m_k = E s^k of the slopes (derived here; Hanin and Nica bound the same quantity),

        S' = σ⁴ [m_2² n(n-1) S + n m_4 (3S + (κ-3) Q)],    Q' = σ⁴ n m_4 (3S + (κ-3) Q).

    Gaussian weights grow by 1 + 2/n (linear) or 1 + 5/n (ReLU) a layer. A sparse matrix, with entries kept with
    probability ρ, has the kurtosis κ/ρ.

    Parameters
    ----------
    width, depth : int, or sequence of int and None
        As in `LogNormLaw`.
    kurtosis : number
        E w⁴/(E w²)² >= 1: 3 for Gaussian, 9/5 for uniform weights.
    activation, alpha, keep
        As in `LogNormLaw`.
    fourth_norm : number, optional
        Σ x_i⁴/|x|⁴ of the input, in (0, 1]; by default 1/n, a flat input as wide as the first layer.

    Returns
    -------
    (number, number)
        Exact for exact parameters.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    layers = check_layers(width, depth)
    check_number("kurtosis", kurtosis, at_least=1)
    second, fourth = _moments_of_slope(activation, alpha, keep)
    s: Any = 1
    q: Any = Fraction(1, layers[0]) if fourth_norm is None else check_number(
        "fourth_norm", fourth_norm, above=0, at_most=1
    )
    for n in layers:
        share = fourth * (3 * s + (kurtosis - 3) * q) / (second * second * n)
        s, q = Fraction(n - 1, n) * s + share, share
    return s, q


def log_normal_norm(
    width: int | Sequence[int],
    depth: int | None = None,
    *,
    kurtosis: float = 3,
    activation: str = "linear",
    alpha: float = 0.01,
    keep: float = 1,
    fourth_norm: float | None = None,
) -> tuple[float, float]:
    """Mean and variance of the normal law that ln(|J u|²) tends to: (-β/2, β), for unit vectors u.

    β = (3/p - 1) Σ_j 1/n_j + (κ - 3)/(p n_1) Σ u_i⁴ (Hanin and Nica, arXiv:1812.05994, Theorem 1, with 1/p = m_4/m_2²
    for other slopes than 0 and 1). The error is O(Σ 1/n_j²) in both; `LogNormLaw` is exact for Gaussian weights.
    Parameters and errors as for `fourth_moments`.
    """
    layers = check_layers(width, depth)
    check_number("kurtosis", kurtosis, at_least=1)
    second, fourth = _moments_of_slope(activation, alpha, keep)
    inverse = float(fourth / second**2)
    u = 1 / layers[0] if fourth_norm is None else check_number("fourth_norm", fourth_norm, above=0, at_most=1)
    beta = (3 * inverse - 1) * math.fsum(1 / n for n in layers) + (kurtosis - 3) * inverse * float(u) / layers[0]
    return -beta / 2, beta


def vanishing_bound(
    threshold: float,
    width: int | Sequence[int],
    depth: int | None = None,
    *,
    activation: str = "linear",
    alpha: float = 0.01,
    keep: float = 1.0,
    power: float | None = 1.0,
) -> float:
    """Upper bound on P(|a^L| >= threshold |x|): E|a^L|^power/threshold^power, Markov's inequality, at most 1.

    At power 1 it is m^L/threshold with m = √(2/n) Γ((n+1)/2)/Γ(n/2) < 1 for a linear chain: signals vanish
    exponentially, at a rate of 1/(4n) a layer, although E|a|² stays. ``power=None`` takes the best power in (0, 2)
    (Chernoff's bound). The probability itself is that of `LogNormLaw`.

    Parameters
    ----------
    threshold : float
        > 0.
    width, depth, activation, alpha, keep
        As in `LogNormLaw`.
    power : float, optional
        > 0.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_number("threshold", threshold, above=0)
    law = LogNormLaw(_tuple(width), depth, activation, alpha, keep)

    def log_bound(k: float) -> float:
        return float(law.log_moment(k / 2)) + math.log(law.survival) - k * math.log(threshold)

    if power is None:
        from scipy.optimize import minimize_scalar

        best = min(float(minimize_scalar(log_bound, bounds=(1e-6, 2.0), method="bounded").fun), log_bound(2.0))
    else:
        best = log_bound(check_number("power", power, above=0))
    return math.exp(min(best, 0.0))


def _tuple(width: int | Sequence[int]) -> int | tuple[int, ...]:
    return width if isinstance(width, int) else tuple(width)


def minimum_width(
    depth: int,
    probability: float,
    *,
    threshold: float = 0.5,
    activation: str = "relu",
    alpha: float = 0.01,
    keep: float = 1.0,
) -> int:
    """The smallest width at which P(|a^L| >= threshold |x|) >= probability, with E|a|² kept.

    From the exact law at each width. As ln|a^L|² is near N(-β/2, β) with β = 5L/n (ReLU), the answer is proportional to
    the depth. The same width keeps the gradient of every weight matrix above the threshold.

    Parameters
    ----------
    depth : int
        Number of layers.
    probability : float
        In (0, 1).
    threshold : float
        In (0, 1): how much of the norm has to be left.
    activation, alpha, keep
        As in `LogNormLaw`.

    Raises
    ------
    ValueError
        If an argument is out of range.
    PreconditionError
        If more than a million neurons a layer were needed.

    Examples
    --------
    >>> minimum_width(50, 0.9), minimum_width(100, 0.9)
    (376, 748)
    """
    depth = check_count("depth", depth)
    check_number("probability", probability, above=0, below=1)
    check_number("threshold", threshold, above=0, below=1)

    def enough(n: int) -> bool:
        law = LogNormLaw(n, depth, activation, alpha, keep)
        return law.survival > probability and law.survival * law.sf(2 * math.log(threshold)) >= probability

    high = 1
    while not enough(high):
        high *= 2
        if high > _LARGEST_WIDTH:
            raise PreconditionError(
                f"probability={probability!r}: more than {_LARGEST_WIDTH} neurons a layer are needed; "
                "lower it, or the threshold or the depth"
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def resnet_fourth_moments(
    width: int, depth: int, *, skip: Any = 1, branch: Any = 1, fourth_norm: Any = None
) -> tuple[Any, Any]:
    """E|z^d|⁴/|x|⁴ and E Σ (z^d_i)⁴/|x|⁴ of a balanced ReLU ResNet, exact at finite width.

    z' = α z + λ √(2/n) W relu(s z), W with standard Gaussian entries and s independent signs, so that the active half
    is drawn anew in every layer ("balanced", Li, Nica and Roy, arXiv:2106.04013). With 2|relu(s z)|² of mean |z|² and
    mean square |z|⁴ + Σ z_i⁴ (derived here),

        S' = (α⁴ + 2α²λ² + 4α²λ²/n) S + λ⁴ (1 + 2/n)(S + Q),    Q' = α⁴ Q + 6α²λ² S/n + 3λ⁴ (S + Q)/n.

    Parameters
    ----------
    width, depth : int
        n and the number of blocks d.
    skip, branch : number
        α and λ; E|z|² is multiplied by α² + λ² in each block.
    fourth_norm : number, optional
        Σ x_i⁴/|x|⁴ of the input; by default 1/n.

    Returns
    -------
    (number, number)
        Exact for exact parameters.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    n, depth = check_count("width", width), check_count("depth", depth)
    a, b = check_number("skip", skip) ** 2, check_number("branch", branch) ** 2
    s: Any = 1
    q: Any = Fraction(1, n) if fourth_norm is None else check_number("fourth_norm", fourth_norm, above=0, at_most=1)
    for _ in range(depth):
        spread = b * b * (s + q)
        s, q = (
            (a * a + 2 * a * b) * s + 4 * a * b * s / n + spread * Fraction(n + 2, n),
            a * a * q + (6 * a * b * s + 3 * spread) / n,
        )
    return s, q


def resnet_log_normal_norm(width: int, depth: int, *, skip: float = 1.0, branch: float = 1.0) -> tuple[float, float]:
    """Mean and variance of the normal law of ln(|z^d|²/|x|²) of a balanced ReLU ResNet, d and n large at a fixed ratio.

    With weights normalised to α² + λ² = 1 the variance is β = (5λ⁴ + 4α²λ²) d/n and the mean -β/2 (Li, Nica and Roy,
    arXiv:2106.04013, the balanced case); otherwise d ln(α² + λ²) is added to the mean. λ = O(1/√d) keeps β of order
    1/n. Parameters and errors as for `resnet_fourth_moments`.
    """
    n, depth = check_count("width", width), check_count("depth", depth)
    a, b = float(check_number("skip", skip)) ** 2, float(check_number("branch", branch)) ** 2
    if a + b == 0:
        raise ValueError("skip=0 and branch=0: the signal is cut; give one of them")
    beta = (5 * b * b + 4 * a * b) / (a + b) ** 2 * depth / n
    return depth * math.log(a + b) - beta / 2, beta
