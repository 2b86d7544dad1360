"""Chains of width one: f(x) = w_L … w_1 x, its gradient and Hessian in closed form, and the law of its gain.

After Orvieto, Kohler, Pavllo, Hofmann, Lucchi, arXiv:2106.03763 (vanishing curvature), with the exact laws derived
here. The loss is (f - y)²/2, P the product of the weights. A residual chain multiplies by 1 + w_k instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaincc, gammaln, loggamma, polygamma

from rmt.parameters import check_number
from rmt.results import PreconditionError
from theory.log_law import Inversion, LogLaw, Tails, check_count

__all__ = ["ChainProduct", "chain_gradient", "chain_hessian", "critical_scale", "decay_rate", "hessian_inertia"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

_FAMILIES = ("gaussian", "uniform")
# Residual factors 1 + sigma Z: below, 0 is ten standard deviations away and a rule in Z sees a smooth logarithm.
_SMOOTH_SCALE = 0.1
# Products of at most so many residual uniform factors are summed as piecewise polynomials times exponentials.
_FEW = 6
_LOST_DIGITS = 1e4


# ---------------------------------------------------------------------------------------------------------------------
# gradient, Hessian, inertia
# ---------------------------------------------------------------------------------------------------------------------
def _factors(weights: npt.ArrayLike, residual: bool) -> FloatArray:
    w = np.asarray(weights, dtype=float)
    if w.ndim != 1 or not len(w) or not np.all(np.isfinite(w)):
        raise ValueError(f"weights of shape {w.shape}: expected a vector of one or more finite numbers")
    return w + 1 if residual else w


def _without_each(v: FloatArray) -> FloatArray:
    """Products of all factors but the k-th, without division: factors may be 0."""
    before = np.concatenate(([1.0], np.cumprod(v[:-1])))
    after = np.concatenate((np.cumprod(v[:0:-1])[::-1], [1.0]))
    return before * after


def chain_gradient(weights: npt.ArrayLike, x: float, y: float, *, residual: bool = False) -> FloatArray:
    """Gradient of (P x - y)²/2 by the weights: component k is x (P x - y) Π_{i≠k} w_i.

    Orvieto et al., arXiv:2106.03763. With u_k = 1/w_k it is c u, c = x P (x P - y).

    Parameters
    ----------
    weights : array of shape (L,)
        w_1 … w_L; zeros are allowed.
    x, y : float
        Input and target.
    residual : bool
        Take the factors 1 + w_k.

    Returns
    -------
    array of shape (L,)

    Raises
    ------
    ValueError
        If the weights are not a vector of finite numbers.
    """
    v = _factors(weights, residual)
    return x * (x * math.prod(v) - y) * _without_each(v)


def chain_hessian(weights: npt.ArrayLike, x: float, y: float, *, residual: bool = False) -> FloatArray:
    """Hessian of (P x - y)²/2 by the weights, shape (L, L).

    diag(u) [(x²P² + c) 11ᵀ - c I] diag(u) with u_k = 1/w_k and c = x P (x P - y) where no factor is 0
    (arXiv:2106.03763), and in general ``x² P_k P_l + (k≠l) x (x P - y) P_kl``, the products without the k-th, and
    without the k-th and the l-th factor. Arguments and errors as for `chain_gradient`.
    """
    v = _factors(weights, residual)
    depth = len(v)
    single = _without_each(v)
    pairs = np.zeros((depth, depth))
    for k in range(depth):
        others = np.delete(v, k)
        if len(others):
            pairs[k, np.arange(depth) != k] = _without_each(others)
    return x * x * np.outer(single, single) + x * (x * math.prod(v) - y) * pairs


def hessian_inertia(weights: npt.ArrayLike, x: float, y: float, *, residual: bool = False) -> tuple[int, int, int]:
    """Numbers of positive, zero and negative eigenvalues of `chain_hessian`, by formula.

    With all factors non-zero and c = x P (x P - y), the Hessian is congruent to (x²P² + c) 11ᵀ - c I: L - 1 eigenvalues
    of the sign of -c, and one of the sign of ``x P [(2L-1) x P - (L-1) y]`` (arXiv:2106.03763). One or two zero factors
    leave the rank 2 and the signature 0, three or more leave nothing (derived here). Arguments and errors as for
    `chain_gradient`.
    """
    v = _factors(weights, residual)
    depth = len(v)
    zeros = int(np.count_nonzero(v == 0))
    if zeros:
        if depth == 1:  # the loss (x w - y)²/2 itself
            return (1, 0, 0) if x else (0, 1, 0)
        if zeros > 2 or x == 0 or (y == 0 and zeros == 2):
            return 0, depth, 0
        return (1, depth - 2, 1) if y else (1, depth - 1, 0)
    if x == 0:
        return 0, depth, 0
    output, target = x * math.prod(v), float(y)
    if y and not 1e-290 < abs(output) < 1e290:  # P is beyond floats: its sign, and a size on the same side of y
        log_size = float(np.sum(np.log(np.abs(v)))) + math.log(abs(x)) - math.log(abs(y))
        output = math.copysign(math.exp(min(max(log_size, -600.0), 600.0)), x * float(np.prod(np.sign(v))))
        target = math.copysign(1.0, y)
    elif not output:
        output = x * float(np.prod(np.sign(v)))
    many = -np.sign(output) * np.sign(output - target)
    last = np.sign(output) * np.sign((2 * depth - 1) * output - (depth - 1) * target)
    counts = {1.0: 0, 0.0: 0, -1.0: 0}
    counts[float(many)] += depth - 1
    counts[float(last)] += 1
    return counts[1.0], counts[0.0], counts[-1.0]


# ---------------------------------------------------------------------------------------------------------------------
# the law of the product
# ---------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class ChainProduct(LogLaw):
    """Law of ln|P| for a chain of width one with independent weights, P = Π w_k (residual: P = Π (1 + w_k)).

    Uniform weights: ``-ln(|P|/scale^L)`` is Gamma(L, 1), exactly. Gaussian weights: by inversion of the Mellin
    transform ``E|w|^z = (√2 scale)^z Γ((1+z)/2)/√π`` (a Meijer G-function). Residual Gaussian factors are a Poisson
    mixture of chi variables. The median of |P| is ``exp(law.median())``, its moments ``exp(law.log_moment(power))``:
    the mean square can be 1 while the median decays exponentially with depth, which is how gradients vanish.

    Parameters
    ----------
    depth : int
        Number L of factors. Gradients have L - 1 of them, Hessian entries L - 2.
    weights : str
        ``"gaussian"`` or ``"uniform"``, both centred.
    scale : float
        Standard deviation, or the half-width of the interval.
    residual : bool
        Factors 1 + w_k.
    relu : bool
        A ReLU after each weight: a positive signal survives with probability 2^-L, and its law given survival is that
        of the linear chain.

    Raises
    ------
    ValueError
        For a bad depth, scale or family.
    PreconditionError
        For a residual chain with ReLU, whose factors 1 + max(w, 0) have no density.

    Examples
    --------
    >>> import math
    >>> round(math.exp(ChainProduct(10, "uniform", math.sqrt(3)).median()), 8)
    0.01536515
    """

    depth: int
    weights: str = "gaussian"
    scale: float = 1.0
    residual: bool = False
    relu: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", check_count("depth", self.depth))
        if self.weights not in _FAMILIES:
            raise ValueError(f"weights={self.weights!r}: choose one of {', '.join(_FAMILIES)}")
        check_number("scale", self.scale, above=0)
        if self.residual and self.relu:
            raise PreconditionError("residual=True with relu=True: factors 1 + max(w, 0) have an atom at 1; use one")

    def mean(self) -> float:
        """E ln|P| = L E ln|w|: for N(0,1) -(γ + ln 2)/2 per factor, for U[-τ, τ] ln τ - 1."""
        return self.depth * self._factor_moments[0]

    def var(self) -> float:
        """Variance of ln|P|: π²/8 per Gaussian factor, 1 per uniform one."""
        return self.depth * self._factor_moments[1]

    @property
    def survival(self) -> float:
        """Probability that P is not 0: 2^-L with ReLU, else 1."""
        return 0.5**self.depth if self.relu else 1.0

    def log_moment(self, power: Any) -> Any:
        """Logarithm of E|P|^power given survival; see `LogLaw`."""
        z = np.asarray(power, dtype=complex)
        if np.any(z.real <= self._strip[0]):
            raise ValueError(f"power={power!r}: |P| has moments of order > {self._strip[0]:g} only")
        out = self._log_mgf(np.atleast_1d(z)).reshape(z.shape)
        return out if np.iscomplexobj(power) else float(out.real) if np.ndim(power) == 0 else out.real

    def rvs(self, size: int | tuple[int, ...], *, rng: np.random.Generator | int | None = None) -> FloatArray:
        """Samples of ln|P| given survival; see `LogLaw`."""
        generator = np.random.default_rng(rng)
        total = np.zeros(size)
        for _ in range(self.depth):
            w = generator.standard_normal(size) if self.weights == "gaussian" else generator.uniform(-1, 1, size)
            total += np.log(np.abs(self.scale * w + (1 if self.residual else 0)))
        return total

    @property
    def _strip(self) -> tuple[float, float]:
        if self.residual and self.weights == "uniform" and self.scale < 1:
            return -math.inf, math.inf
        if self.residual and self.weights == "gaussian" and self.scale < _SMOOTH_SCALE:
            # the pole at -1 has the residue e^{-1/2 scale²}, below rounding until (1 + scale Z)^z makes up for it
            values = self._components[1]
            farthest = (values[0] - 1) / self.scale
            return (0.5 * farthest**2 - 44) / math.log(values[0]), math.inf
        return -1.0, math.inf

    @cached_property
    def _components(self) -> tuple[FloatArray, FloatArray]:
        """Probabilities of the mixture that a residual Gaussian factor is, and what it mixes.

        The half numbers of degrees of freedom 1/2 + j of (1 + scale Z)²/scale², or the values 1 + scale Z_j.
        """
        s = self.scale
        if s < _SMOOTH_SCALE:
            z = np.arange(-min(38.0, 0.95 / s), 38.0, 0.1)
            p = np.exp(-0.5 * z * z)
            return p / p.sum(), 1 + s * z
        rate = 0.5 / s**2
        # up to j where the terms of the largest moments asked for (some hundred) have decayed as well
        j = np.arange(math.ceil(rate + 30 * math.sqrt(rate) + 100))
        return np.asarray(np.exp(j * math.log(rate) - rate - gammaln(j + 1))), np.asarray(0.5 + j)

    @cached_property
    def _factor_moments(self) -> tuple[float, float]:
        """Mean and variance of the logarithm of one factor."""
        s = self.scale
        if not self.residual:
            if self.weights == "uniform":
                return math.log(s) - 1, 1.0
            return math.log(s) - 0.5 * (np.euler_gamma + math.log(2)), math.pi**2 / 8
        if self.weights == "gaussian":
            p, values = self._components
            if s < _SMOOTH_SCALE:
                means, variance = np.log(values), 0.0
            else:
                means = 0.5 * (digamma(values) + math.log(2)) + math.log(s)
                variance = float(p @ polygamma(1, values)) / 4
            mean = float(p @ means)
            return mean, variance + float(p @ (means - mean) ** 2)
        if s < 0.5:
            nodes, w = np.polynomial.legendre.leggauss(40)
            logs = np.log1p(s * nodes)
            mean = float(w @ logs) / 2
            return mean, float(w @ (logs - mean) ** 2) / 2
        ends = np.array([1 + s, 1 - s])
        logs = np.log(np.abs(np.where(ends == 0, 1.0, ends)))
        first = float(np.diff((ends * (logs - 1))[::-1])[0]) / (2 * s)
        second = float(np.diff((ends * (logs**2 - 2 * logs + 2))[::-1])[0]) / (2 * s)
        return first, second - first**2

    def _log_mgf(self, z: ComplexArray) -> ComplexArray:
        s = self.scale
        if not self.residual:
            if self.weights == "uniform":
                return self.depth * (z * math.log(s) - np.log(1 + z))
            return self.depth * (z * math.log(math.sqrt(2) * s) + loggamma((1 + z) / 2) - 0.5 * math.log(math.pi))
        if self.weights == "gaussian":
            return self.depth * self._gaussian_residual(z)
        # (A^{1+z} ∓ B^{1+z})/(2 s (1+z)), A = 1 + s, B = |1 - s|: minus when the interval does not hold 0
        a, b = math.log(1 + s), math.log(abs(1 - s)) if s != 1 else -math.inf
        lead, other = np.where(z.real > -1, a, b), np.where(z.real > -1, b, a)
        sign = -1.0 if s < 1 else 1.0
        with np.errstate(invalid="ignore"):
            ratio = np.where(np.isneginf(other), 0.0, np.exp((1 + z) * np.where(np.isneginf(other), 0, other - lead)))
        flip = np.where((z.real > -1) | (s > 1), 1.0, -1.0)
        inside = flip * (1 + sign * ratio) / (2 * s * (1 + z))
        return self.depth * ((1 + z) * lead + np.log(inside))

    def _gaussian_residual(self, z: ComplexArray) -> ComplexArray:
        """Logarithm of E|1 + s Z|^z."""
        p, values = self._components
        if self.scale < _SMOOTH_SCALE:
            exponents = np.log(p)[:, np.newaxis] + np.multiply.outer(np.log(values), z)
            top = np.max(exponents.real, axis=0)
            return np.asarray(top + np.log(np.sum(np.exp(exponents - top), axis=0)))
        # Γ(1/2 + j + z/2)/Γ(1/2 + j) by its recursion, relative to j = 0
        exponents = np.zeros((len(p), *z.shape), dtype=complex)
        np.cumsum(np.log(1 + 0.5 * z / values[:-1, np.newaxis]), axis=0, out=exponents[1:])
        with np.errstate(divide="ignore"):
            exponents += np.log(p)[:, np.newaxis]
        top = np.max(exponents.real, axis=0)
        mixed = top + np.log(np.sum(np.exp(exponents - top), axis=0))
        single = z * math.log(math.sqrt(2) * self.scale) + loggamma((1 + z) / 2) - 0.5 * math.log(math.pi)
        return np.asarray(single + mixed)

    @cached_property
    def _inversion(self) -> Inversion:
        rule = self.residual and self.weights == "gaussian" and self.scale < _SMOOTH_SCALE
        floor = 40.0 if rule else 740.0  # the rule is blind to tails beyond its ends
        return Inversion(self._log_mgf, self._strip, self.mean(), math.sqrt(self.var()), floor)

    def _tails(self, t: FloatArray) -> Tails:
        if self.weights == "gaussian":
            return self._inversion.tails(t)
        s = self.scale
        if self.residual and (self.depth > _FEW or s ** -self.depth > _LOST_DIGITS):
            inside = t < self.depth * math.log(1 + s)
            if s < 1:
                inside &= t > self.depth * math.log(1 - s)
            out = np.zeros(t.shape), np.where(t > self.mean(), 1.0, 0.0), np.where(t > self.mean(), 0.0, 1.0)
            found = self._inversion.tails(t[inside])
            for whole, part in zip(out, found, strict=True):
                whole[inside] = part
            return out
        return self._gamma_sum(t)

    def _gamma_sum(self, t: FloatArray) -> Tails:
        """Uniform factors: the L-th power of (A^{1+z} ∓ B^{1+z})/(1+z) is a sum of shifted Gamma transforms."""
        n, s = self.depth, self.scale
        if not self.residual:
            y = n * math.log(s) - t
            beyond = np.maximum(y, 0.0)
            with np.errstate(divide="ignore"):
                log_pdf = np.where(y > 0, (n - 1) * np.log(beyond) if n > 1 else 0.0, -np.inf) - beyond - gammaln(n)
            lower = gammaincc(n, beyond)
            return np.exp(log_pdf), lower, 1 - lower if n > 200 else _gamma_below(n, beyond)
        a, b = math.log(1 + s), math.log(abs(1 - s)) if s != 1 else -math.inf
        pdf, cdf = np.zeros(t.shape), np.zeros(t.shape)
        for j in range(n + 1 if s != 1 else 1):
            end = (n - j) * a + (j * b if j else 0.0)
            weight = math.comb(n, j) * (-1.0 if s < 1 else 1.0) ** j / (2 * s) ** n
            beyond = np.maximum(end - t, 0.0)
            power = beyond ** (n - 1) if n > 1 else (end > t).astype(float)
            pdf += weight * np.exp(t) * power / math.gamma(n)
            cdf += weight * math.exp(end) * gammaincc(n, beyond)
        cdf = np.clip(cdf, 0.0, 1.0)
        return np.maximum(pdf, 0.0), cdf, 1 - cdf


def _gamma_below(n: int, y: FloatArray) -> FloatArray:
    from scipy.special import gammainc

    return np.asarray(gammainc(n, y))


def critical_scale(weights: str = "gaussian", *, residual: bool = False) -> float:
    """Scale of the weights at which ln|P| has no drift: below it P vanishes with depth, above it explodes.

    Plain chains: e^{(γ + ln 2)/2} = 1.887361 (Gaussian), e (uniform). Residual chains: 1.556036 and 2.504296; weights
    of order one still vanish there, while weights of order 1/√L do not (arXiv:2106.03763; the numbers are solved for
    here).

    Raises
    ------
    ValueError
        For an unknown family.
    """
    if not residual:
        return math.exp(-ChainProduct(1, weights).mean())
    from scipy.optimize import brentq

    return float(brentq(lambda s: ChainProduct(1, weights, s, residual=True).mean(), 1.0, 4.0, xtol=1e-14))


def decay_rate(weights: str = "gaussian", scale: float = 1.0, *, residual: bool = False) -> float:
    """Limit of (1/L) ln|∇loss|, and of (1/L) ln‖Hessian‖, of a chain of width one at initialisation.

    With μ = E ln|w| (residual: ln|1 + w|) it is μ where the chain vanishes (the error P x - y stays of order one) and
    2μ where it explodes (the error grows like P): gradient and Hessian at the same rate (arXiv:2106.03763 for μ < 0).

    Raises
    ------
    ValueError
        For a bad family or scale.
    """
    drift = ChainProduct(1, weights, scale, residual=residual).mean()
    return drift if drift < 0 else 2 * drift
