"""Variance over samples against variance over networks: how a deep network forgets which input it was given.

After Luther and Seung, arXiv:1902.04942. The mean square of a pre-activation over networks and samples splits into the
squared mean over samples and the variance over samples,

    σ² = m² + v²,    m² = σ² c,    v² = σ² (1 - c),

with the correlation c of the signals of two samples, both averaged over networks. Preserving σ² (He) lets v² decay like
1/depth² in ReLU networks. Batch normalisation preserves v², and pays with growing gradients.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmt.parameters import check_number
from theory.activations import get_activation
from theory.angles import angle_step, norm_spread_step
from theory.gaussian import smooth_rule
from theory.log_law import check_count
from theory.nonlinearity import Nonlinearity

__all__ = [
    "SampleVariance",
    "batch_norm_correlation",
    "batch_norm_gain",
    "decay_constant",
    "finite_width_ratio",
    "layer_norm_gain",
    "rms_ratio",
    "split_variance",
]

FloatArray = npt.NDArray[np.float64]

_SERIES = 12
_FAR = 400.0
_SMALL = 1e-10


@dataclass(frozen=True, eq=False)
class SampleVariance:
    """The decomposition layer by layer; arrays of shape (depth + 1,), the input first.

    Attributes
    ----------
    total : array
        σ²: mean square of a pre-activation over networks and samples.
    variance : array
        v²: variance over samples, averaged over networks.
    """

    total: FloatArray
    variance: FloatArray

    @property
    def squared_mean(self) -> FloatArray:
        """m² = σ² - v²: squared mean over samples, averaged over networks."""
        return self.total - self.variance

    @property
    def correlation(self) -> FloatArray:
        """Correlation c = m²/σ² of the signals of two samples."""
        return 1 - self.variance / self.total

    @property
    def ratio(self) -> FloatArray:
        """m/v, what `rms_ratio` estimates in a network."""
        return np.sqrt(np.maximum(self.squared_mean, 0.0) / self.variance)


def split_variance(
    depth: int,
    activation: str | Nonlinearity = "relu",
    *,
    sigma_w: float | None = None,
    sigma_b: float = 0.0,
    q0: float = 1.0,
    correlation0: float = 0.0,
) -> SampleVariance:
    """Total variance and sample variance of the pre-activations of a wide network, for any activation.

    q' = σ_w² <φ²> + σ_b² and v'² = σ_w² (<φ²> - E φ(h₁)φ(h₂)), over Gaussians of variance q and correlation 1 - v²/q;
    for ReLU, c' = [√(1-c²) + c (π - arccos c)]/π (arXiv:1902.04942, the arc-cosine kernel). v² is followed itself, so
    that it keeps its digits when c tends to 1 (activations with kinks other than (leaky) ReLU: to 1e-12 of the total).

    Parameters
    ----------
    depth : int
        Number of layers.
    activation : str or Nonlinearity
        See `get_activation`.
    sigma_w : float, optional
        Standard deviation of the weights times the root of the width. By default the one that preserves the total
        variance, for activations with φ(λh) = λφ(h).
    sigma_b : float
        Standard deviation of the biases.
    q0, correlation0 : float
        Mean square of the first pre-activations, and the correlation of two samples, in [-1, 1]: 0 for independent
        inputs of mean 0 and high dimension.

    Raises
    ------
    ValueError
        If an argument is out of range, or sigma_w is missing where there is no such default.
    """
    depth = check_count("depth", depth, 0)
    phi = get_activation(activation)
    check_number("q0", q0, above=0)
    check_number("correlation0", correlation0, at_least=-1, at_most=1)
    check_number("sigma_b", sigma_b, at_least=0)
    low = _negative_slope(phi)
    if sigma_w is None:
        if low is None:
            raise ValueError(f"sigma_w=None: no value preserves the variance at every scale for {phi.name}; give one")
        sigma_w = math.sqrt(2 / (1 + low * low))
    check_number("sigma_w", sigma_w, above=0)
    q, v = float(q0), float(q0) * (1 - correlation0)
    rows = [(q, v)]
    for _ in range(depth):
        v = sigma_w**2 * _spread(phi, low, q, v)
        q = sigma_w**2 * phi.second_moment(q) + sigma_b**2
        rows.append((q, v))
    table = np.array(rows)
    return SampleVariance(table[:, 0], table[:, 1])


def _negative_slope(phi: Nonlinearity) -> float | None:
    """α of φ(h) = h for h > 0, α h for h < 0, if it is of this kind."""
    if phi.name in ("linear", "relu", "leaky_relu"):
        return float(dict(phi.parameters).get("alpha", 1.0 if phi.name == "linear" else 0.0))
    return None


def _spread(phi: Nonlinearity, low: float | None, q: float, v: float) -> float:
    """<φ²> - E φ(h₁)φ(h₂) = E (φ(h₁) - φ(h₂))²/2 for q - E h₁h₂ = v."""
    if v == 0:
        return 0.0
    if low is not None:
        return q * (1 + low * low) / 2 * _kinked_map(v / q, _strength(low))
    if phi.kinks:
        return phi.second_moment(q) - phi.cross_moment(q, max(-1.0, 1 - v / q))
    if v < _SMALL * q:  # next order: v of the whole, while differences of φ lose their digits
        return v * phi.gain(q)
    # h = x ± y with x, y independent of variances q - v/2 and v/2
    level = 1 if q <= 10 else 2
    x, weight_x = smooth_rule(max(q - v / 2, 1e-300), level)
    y, weight_y = smooth_rule(v / 2, level)
    difference = phi.value(x[:, None] + y) - phi.value(x[:, None] - y)
    return float(weight_x @ difference**2 @ weight_y) / 2


def _strength(low: float) -> float:
    """κ of 1 - c' = (1 - c) - κ (sin θ - θ cos θ), c = cos θ: 1/π for ReLU, (1-α)²/(π(1+α²)) for leaky ReLU."""
    return (1 - low) ** 2 / (math.pi * (1 + low * low))


def _kinked_map(deficit: float, strength: float) -> float:
    """1 - c -> 1 - c' of (leaky) ReLU, without cancellation."""
    theta = 2 * math.asin(min(1.0, math.sqrt(deficit / 2)))
    if theta > 0.3:
        rest = math.sin(theta) - theta * math.cos(theta)
    else:
        terms = ((-1) ** (k + 1) * 2 * k * theta ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(1, 9))
        rest = math.fsum(terms)
    return deficit - strength * rest


def decay_constant(correlation0: float = 0.0, *, alpha: float = 0.0) -> float:
    """The constant C of σ/v = (√2 κ/3) (l + (3/2) ln l + C) + O(ln l/l), for (leaky) ReLU networks of great depth.

    κ = (1-α)²/(π(1+α²)), so that ReLU has the factor √2/(3π) and v²/σ² ~ 9π²/(2l²) (Luther and Seung, arXiv:1902.04942,
    who give C = 4.39 for inputs without correlation). From Abel's function of the recursion, a series in the inverse of
    U = 3/(κ √(2(1-c))), for which U' = U + 1 + 3/(2U) + …; to about 1e-12 (derived here).

    Parameters
    ----------
    correlation0 : float
        Correlation of two samples at l = 0, in [-1, 1).
    alpha : float
        Slope on the negative side, not 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(decay_constant(), 6)
    4.389847
    """
    check_number("correlation0", correlation0, at_least=-1, below=1)
    check_number("alpha", alpha)
    if alpha == 1:
        raise ValueError("alpha=1: a linear network keeps its correlations; choose another slope")
    strength = _strength(float(alpha))
    deficit, layers = 1 - float(correlation0), 0
    while (size := 3 / (strength * math.sqrt(2 * deficit))) < _FAR:
        deficit = _kinked_map(deficit, strength)
        layers += 1
    series = _abel_series(strength)
    return size - 1.5 * math.log(size) + math.fsum(a * size**-k for k, a in enumerate(series, 1)) - layers


@functools.cache
def _abel_series(strength: float) -> tuple[float, ...]:
    """Coefficients a_k of A(U) = U - (3/2) ln U + Σ a_k U^-k with A(U') = A(U) + 1."""
    n = _SERIES
    # w = √(2(1-c)) = 2 sin(θ/2):  g(w) = sin θ - θ cos θ = Σ g_i w^{2i+3}
    theta = [math.comb(2 * i, i) / (16**i * (2 * i + 1)) for i in range(n + 2)]
    root = [1.0]  # √(1 - w²/4) in powers of w²
    for i in range(1, n + 2):
        root.append(root[-1] * (i - 1.5) / i / 4)
    g = [root[i] - theta[i] + (theta[i - 1] / 2 if i else 0) for i in range(n + 2)][1:]
    # with t = 1/U, w = 3t/κ:  U'/U = (1 - 2κ g/w²)^{-1/2}
    inside = np.zeros(n + 3)
    for i, coefficient in enumerate(g):
        if 2 * i + 1 < n + 3:
            inside[2 * i + 1] = 2 * strength * coefficient * (3 / strength) ** (2 * i + 1)
    growth, term = np.zeros(n + 3), np.zeros(n + 3)
    growth[0] = term[0] = 1.0
    logarithm, power = np.zeros(n + 3), np.zeros(n + 3)
    power[0] = 1.0
    for k in range(1, n + 3):
        term = np.convolve(term, inside)[: n + 3] * (k - 0.5) / k
        growth += term
        power = np.convolve(power, inside)[: n + 3]
        logarithm += power / (2 * k)  # ln(U'/U) = -½ ln(1 - inside)
    # A(U') - A(U) - 1 in powers of t, solved from the lowest one: a_k enters with -k a_k t^{k+1}
    rest = -1.5 * logarithm
    rest[:-1] += growth[1:]
    rest[0] -= 1.0
    inverse = np.zeros(n + 3)  # U/U'
    inverse[0] = 1.0
    for k in range(1, n + 3):
        inverse[k] = -float(growth[1 : k + 1] @ inverse[k - 1 :: -1][:k])
    out: list[float] = []
    powers = inverse.copy()
    for k in range(1, n + 1):
        shift = powers.copy()
        shift[0] -= 1.0
        a = -rest[k + 1] / shift[1]
        rest[k:] += a * shift[: n + 3 - k]
        out.append(float(a))
        powers = np.convolve(powers, inverse)[: n + 3]
    return tuple(out)


def rms_ratio(signals: npt.ArrayLike) -> float:
    """m/v of a network: √(mean_i <y_i>² / mean_i var(y_i)), averages over samples inside, over neurons outside.

    At finite width the ratio of a single neuron has heavy tails, while the ratio of the means converges; it is compared
    with `SampleVariance.ratio` while depth << width, and with `finite_width_ratio`. The variance is unbiased, and the
    bias v²/B of the squared mean over B samples is taken off.

    Parameters
    ----------
    signals : array of shape (samples, neurons)
        At least two samples.

    Raises
    ------
    ValueError
        If the shape is another, or all samples are equal.
    """
    y = np.asarray(signals, dtype=float)
    if y.ndim != 2 or y.shape[0] < 2 or not y.shape[1]:
        raise ValueError(f"signals of shape {y.shape}: expected (samples, neurons) with two or more samples")
    variance = float(np.mean(np.var(y, axis=0, ddof=1)))
    if variance == 0:
        raise ValueError("signals: all samples are equal; the ratio is infinite")
    return math.sqrt(max(0.0, float(np.mean(np.mean(y, axis=0) ** 2)) / variance - 1 / len(y)))


def finite_width_ratio(
    depth: int, width: int, *, correlation0: float = 0.0, spread0: float | None = None
) -> FloatArray:
    """m/v of a ReLU network of width n at every layer, to leading order in 1/n: it saturates.

    At infinite width m/v grows like the depth. At finite width angles vanish, typically along `angle_step`, but the
    norms of two signals that have become parallel keep a ratio, whose logarithm has collected the variance s² from the
    layers in which they were not (`norm_spread_step`). So C/(1-C) is the limit of (m/v)², with C = cos θ exp(-s²/8),
    and s² of order 1/n: m/v stays below √(8/s²), of order √n (derived here; the saturation was observed by Luther and
    Seung, arXiv:1902.04942).

    Parameters
    ----------
    depth : int
        Number of layers.
    width : int
        n.
    correlation0 : float
        cos θ of two inputs, in [-1, 1).
    spread0 : float, optional
        Variance of ln(|x|²/|x'|²) of two inputs; by default 4/n, Gaussian inputs of dimension n.

    Returns
    -------
    array of shape (depth + 1,)

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    depth, width = check_count("depth", depth, 0), check_count("width", width, 2)
    check_number("correlation0", correlation0, at_least=-1, below=1)
    spread = 4 / width if spread0 is None else float(check_number("spread0", spread0, at_least=0))
    theta = math.acos(correlation0)
    out = np.zeros(depth + 1)
    for layer in range(depth + 1):
        # 1 - C without cancellation when both parts are small
        rest = 2 * math.sin(theta / 2) ** 2 - math.cos(theta) * math.expm1(-spread / 8)
        out[layer] = math.sqrt(max(0.0, 1 - rest) / rest)
        spread += norm_spread_step(theta, width)
        theta = math.asin(min(1.0, math.exp(angle_step(theta, width).mean / 2)))
    return out


def batch_norm_gain(activation: str | Nonlinearity = "relu", scale: float = 1.0) -> float:
    """Factor by which batch normalisation multiplies squared gradients, per layer, on their way back.

    Pre-activations are divided by their deviation over samples and multiplied by `scale`: <φ'²> scale²/(<φ²> - <φ>²),
    at variance scale². It is π/(π-1) = 1.467 for ReLU (Luther and Seung, arXiv:1902.04942), and never below 1, the
    inequality of Poincaré: only a linear network keeps its gradients.

    Raises
    ------
    ValueError
        For an unknown activation or a scale that is not > 0.
    """
    phi, q = _normalised(activation, scale)
    return phi.gain(q) * q / _centred(phi, q)


def layer_norm_gain(activation: str | Nonlinearity = "relu", scale: float = 1.0, *, after: bool = False) -> float:
    """The same for layer normalisation, over the neurons of a layer.

    Of the pre-activations (default), whose mean over neurons is 0 at large width, it is <φ'²> scale²/<φ²>: 1 for ReLU,
    the same network as without, so that v² decays. After the activation it takes off <φ> and divides by the deviation
    over neurons, with the gain of `batch_norm_gain`.

    Raises
    ------
    ValueError
        For an unknown activation or a scale that is not > 0.
    """
    phi, q = _normalised(activation, scale)
    return phi.gain(q) * q / (_centred(phi, q) if after else phi.second_moment(q))


def batch_norm_correlation(correlation: float, activation: str | Nonlinearity = "relu", scale: float = 1.0) -> float:
    """Correlation of two samples after a layer with batch normalisation: (E φφ' - <φ>²)/(<φ²> - <φ>²).

    Independent samples stay independent, 0 -> 0: the decay of the sample variance has stopped. The slope is
    <φ'>² scale²/(<φ²> - <φ>²) <= 1 there, π/(2(π-1)) = .733 for ReLU, so that 0 attracts.

    Parameters
    ----------
    correlation : float
        In [-1, 1].
    activation, scale
        As in `batch_norm_gain`.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_number("correlation", correlation, at_least=-1, at_most=1)
    phi, q = _normalised(activation, scale)
    return (phi.cross_moment(q, float(correlation)) - phi.mean(q) ** 2) / _centred(phi, q)


def _normalised(activation: str | Nonlinearity, scale: float) -> tuple[Nonlinearity, float]:
    return get_activation(activation), float(check_number("scale", scale, above=0)) ** 2


def _centred(phi: Nonlinearity, q: float) -> float:
    mean, second, _ = phi.averages(q)
    return second - mean * mean
