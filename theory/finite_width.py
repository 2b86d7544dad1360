"""Norms in networks of finite width: their exact logarithmic laws.

The signal a^k = D_k W_k a^{k-1} of a fully connected network with Gaussian weights has norms whose ratios are
independent: ln(|a^L|²/|x|²) is a sum of independent terms with a known law, at every width. Weights of variance 1/(p n)
keep E|a|², p the mean square of the slopes in D (1 for linear, 1/2 for ReLU, p for a sparse mask), yet the median
decays like exp(-β/2), β = (3/p - 1) Σ 1/n_j: a network must be about as wide as it is deep.

After Hanin and Nica, arXiv:1812.05994; the exact laws are derived here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln, loggamma, polygamma

from rmt.parameters import check_number
from theory.log_law import Inversion, LogLaw, Tails, check_count

__all__ = ["LogNormLaw"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
Mixture = tuple[FloatArray, FloatArray, FloatArray]

_ACTIVATIONS = ("linear", "relu", "leaky_relu")


def check_slopes(activation: str, alpha: float, keep: float) -> float:
    """Slope of the negative side.

    Raises
    ------
    ValueError
        For an unknown activation, alpha that is no number, or keep outside (0, 1].
    """
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation={activation!r}: choose one of {', '.join(_ACTIVATIONS)}")
    check_number("keep", keep, above=0, at_most=1)
    check_number("alpha", alpha)
    return {"linear": 1.0, "relu": 0.0, "leaky_relu": abs(float(alpha))}[activation]


def check_layers(width: int | Sequence[int], depth: int | None) -> tuple[int, ...]:
    """The width of every layer, from one width and a depth or from a sequence.

    Raises
    ------
    ValueError
        If both or neither are given, or one is no positive integer.
    """
    if not isinstance(width, int):
        if depth is not None:
            raise ValueError(f"depth={depth!r} with width={width!r}: widths of all layers tell the depth; drop it")
        if not len(width):
            raise ValueError("width is an empty sequence: expected the width of every layer")
        return tuple(check_count("width", n) for n in width)
    if depth is None:
        raise ValueError(f"width={width!r}: give depth as well, or the widths of all layers")
    return (check_count("width", width),) * check_count("depth", depth)


@dataclass(frozen=True)
class LogNormLaw(LogLaw):
    """Law of ln(|a^L|²/|x|²), exact at finite width, given that the signal survives.

    Gaussian weights of variance 1/(p n) into a layer of width n, no bias. A layer multiplies the squared norm by

    * linear: χ²_n/n;
    * ReLU: (2/n) χ²_K, K ~ Bin(n, 1/2); the signal dies with K = 0, probability 2^-n;
    * sparse (each neuron kept with probability `keep`): K ~ Bin(n, keep/2), or Bin(n, keep) for linear neurons;
    * leaky ReLU: (χ²_K + α² χ²_{n-K})/(p n), which is χ²_n/(p n) times an independent Beta mixture.

    The same law, with one layer less, is that of |∂f/∂W_k|²/|D_L v|² for every k, f = v·a^L with v of independent
    random signs: the gradient by a weight matrix is the product of the signal in front of it and of the one sent back
    behind it, whose layers are disjoint.

    Parameters
    ----------
    width : int or sequence of int
        Width of every layer; one number with `depth`, or one a layer.
    depth : int, optional
        Number L of layers, if `width` is a number.
    activation : str
        ``"linear"``, ``"relu"`` or ``"leaky_relu"``.
    alpha : float
        Slope of leaky_relu on the negative side.
    keep : float
        Probability that a neuron is kept.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> law = LogNormLaw(32, 1, "relu")
    >>> round(law.mean(), 6), round(law.var(), 6)
    (-0.08254, 0.177498)
    """

    width: int | tuple[int, ...]
    depth: int | None = None
    activation: str = "linear"
    alpha: float = 0.01
    keep: float = 1.0

    def __post_init__(self) -> None:
        check_slopes(self.activation, self.alpha, self.keep)
        layers = check_layers(self.width, self.depth)
        if not isinstance(self.width, int):
            object.__setattr__(self, "width", layers)

    @cached_property
    def _layers(self) -> tuple[tuple[int, int], ...]:
        """Pairs (width, number of layers of that width)."""
        return tuple(sorted(Counter(check_layers(self.width, self.depth)).items()))

    @property
    def _low(self) -> float:
        return check_slopes(self.activation, self.alpha, self.keep)

    @cached_property
    def _mixtures(self) -> dict[int, Mixture]:
        """For each width: probabilities, orders and shifts of the mixture of ln(χ²_order) + shift."""
        return {n: _mixture(n, self._low, self.keep) for n, _ in self._layers}

    def mean(self) -> float:
        """E ln(|a^L|²/|x|²); linear: ψ(n/2) - ln(n/2) a layer, ReLU: -5/(2n) - 49/(12n²) + …."""
        return math.fsum(count * _mean_var(self._mixtures[n])[0] for n, count in self._layers)

    def var(self) -> float:
        """Variance; linear: ψ'(n/2) a layer, ReLU: 5/n + …."""
        return math.fsum(count * _mean_var(self._mixtures[n])[1] for n, count in self._layers)

    @property
    def survival(self) -> float:
        """Probability that no layer is silent: (1 - 2^-n)^L for ReLU."""
        return math.exp(sum(count * math.log1p(-self._silent(n)) for n, count in self._layers))

    def _silent(self, n: int) -> float:
        open_ = self.keep if self._low else self.keep / 2
        return (1 - open_) ** n

    @cached_property
    def _strip(self) -> tuple[float, float]:
        return -min(float(self._mixtures[n][1].min()) for n, _ in self._layers) / 2, math.inf

    def log_moment(self, power: Any) -> Any:
        """Logarithm of E (|a^L|²/|x|²)^power given survival; see `LogLaw`."""
        z = np.asarray(power, dtype=complex)
        if np.any(z.real <= self._strip[0]):
            raise ValueError(f"power={power!r}: moments of order > {self._strip[0]:g} are finite only")
        out = self._log_mgf(np.atleast_1d(z)).reshape(z.shape)
        return out if np.iscomplexobj(power) else float(out.real) if np.ndim(power) == 0 else out.real

    def _log_mgf(self, z: ComplexArray) -> ComplexArray:
        total = np.zeros(z.shape, dtype=complex)
        for n, count in self._layers:
            probability, order, shift = self._mixtures[n]
            half, where = np.unique(order / 2, return_inverse=True)
            gammas = loggamma(half[:, np.newaxis] + z) - gammaln(half)[:, np.newaxis]
            exponents = np.log(probability)[:, np.newaxis] + gammas[where] + np.multiply.outer(shift + math.log(2), z)
            top = np.max(exponents.real, axis=0)
            total += count * (top + np.log(np.sum(np.exp(exponents - top), axis=0)))
        return total

    @cached_property
    def _inversion(self) -> Inversion:
        return Inversion(self._log_mgf, self._strip, self.mean(), math.sqrt(self.var()))

    def _tails(self, t: FloatArray) -> Tails:
        return self._inversion.tails(t)

    def rvs(self, size: int | tuple[int, ...], *, rng: np.random.Generator | int | None = None) -> FloatArray:
        """Samples given survival; see `LogLaw`. Numbers of active neurons and chi squares are drawn layer by layer."""
        generator = np.random.default_rng(rng)
        total = np.zeros(size)
        for n, count in self._layers:
            p = self.keep * (1 + self._low**2) / 2
            for _ in range(count):
                if self._low:
                    kept = _positive_binomial(generator, n, self.keep, size)
                    active = generator.binomial(kept, 0.5)
                else:
                    active = kept = _positive_binomial(generator, n, self.keep / 2, size)
                square = 2 * generator.standard_gamma(active / 2)
                if self._low:
                    square = square + self._low**2 * 2 * generator.standard_gamma((kept - active) / 2)
                total += np.log(square / (p * n))
        return total


def _positive_binomial(
    generator: np.random.Generator, n: int, p: float, size: int | tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """Binomial numbers given that they are not 0."""
    out = np.asarray(generator.binomial(n, p, size))
    while np.any(out == 0):
        out[out == 0] = generator.binomial(n, p, np.count_nonzero(out == 0))
    return out


def _mean_var(mixture: Mixture) -> tuple[float, float]:
    probability, order, shift = mixture
    means = digamma(order / 2) + math.log(2) + shift
    mean = float(probability @ means)
    return mean, float(probability @ (polygamma(1, order / 2) + (means - mean) ** 2))


def _binomial(n: int, p: float) -> FloatArray:
    k = np.arange(n + 1)
    if p == 1:
        return np.asarray(k == n, dtype=float)
    choices = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(np.exp(choices + k * math.log(p) + (n - k) * math.log1p(-p)))


def _mixture(n: int, low: float, keep: float) -> Mixture:
    """The factor of one layer as a mixture of χ²_order e^shift, given survival."""
    scale = -math.log(keep * (1 + low**2) / 2 * n)
    if low in (0.0, 1.0):
        p = _binomial(n, keep * (0.5 if low == 0 else 1.0))
        orders = np.arange(1.0, n + 1)
        alive = p[1:] > 1e-30
        weights = p[1:][alive]
        return weights / weights.sum(), orders[alive], np.full(len(weights), scale)
    parts: list[Mixture] = []
    for kept, outer in enumerate(_binomial(n, keep)):
        if kept == 0 or outer < 1e-30:
            continue
        for active, inner in enumerate(_binomial(kept, 0.5)):
            if outer * inner < 1e-22:
                continue
            # χ²_K + α² χ²_{m-K} = χ²_m (B + α² (1-B)), B ~ Beta(K/2, (m-K)/2) independent of χ²_m
            values, masses = _beta_rule(active, kept - active, low**2)
            parts.append((outer * inner * masses, np.full(len(values), float(kept)), scale + np.log(values)))
    probability, order, shift = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return probability / probability.sum(), order, shift


def _beta_rule(first: int, second: int, low: float) -> tuple[FloatArray, FloatArray]:
    """Values of B + low (1 - B), B ~ Beta(first/2, second/2), and their masses: a rule for functions of the logarithm.

    Trapezoidal rule in s, ln(B/(1-B)) = s, where everything is analytic for |Im s| < π, low as small as it may be.
    """
    if first == 0 or second == 0:
        return np.array([1.0 if second == 0 else low]), np.array([1.0])
    a, b = first / 2, second / 2
    centre, width = float(digamma(a) - digamma(b)), math.sqrt(float(polygamma(1, a) + polygamma(1, b)))
    step = min(0.25, width / 3)
    s = np.arange(centre - 45 / min(a, 1) - 10 * width, centre + 45 / min(b, 1) + 10 * width, step)
    log_first, log_second = -np.logaddexp(0, -s), -np.logaddexp(0, s)
    log_weight = a * log_first + b * log_second
    kept = log_weight > log_weight.max() - 46
    masses = np.exp(log_weight[kept] - log_weight.max())
    values = np.exp(log_first[kept]) + low * np.exp(log_second[kept])
    return values, masses / masses.sum()
