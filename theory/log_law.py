"""Laws of the logarithm of a product of independent factors, by inversion of its Mellin transform.

The norm of a signal, a width-one chain and a gradient are products of many independent positive factors, so their
logarithm has the moment generating function ``M(z) = E exp(z X)``, a power of one known function. Density and tails are
one integral each along a vertical line,

    f(t) = (1/2πi) ∫ M(z) e^{-zt} dz,    P(X > t) = (1/2πi) ∫ M(z) e^{-zt} dz/z  (Re z > 0),

and the same with the other sign left of 0. The line runs near the saddle point, where the integrand does not
oscillate, so that tails keep their relative accuracy, and the trapezoidal rule converges geometrically.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.parameters import check_number
from rmt.results import ConvergenceError

__all__ = ["Inversion", "LogLaw", "Tails", "check_count"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
LogMgf = Callable[[ComplexArray], ComplexArray]
Tails = tuple[FloatArray, FloatArray, FloatArray]

_EPSILON = 40.0  # -log of what is neglected
_BLOCK = 32
_LARGEST_NODES = 2**17


class LogLaw(abc.ABC):
    """Law of X = ln of a positive random quantity, unbounded and with a density.

    If the quantity can vanish, the law is that given that it does not, which has the probability `survival`.
    """

    @abc.abstractmethod
    def mean(self) -> float:
        """E X."""

    @abc.abstractmethod
    def var(self) -> float:
        """Variance of X."""

    @abc.abstractmethod
    def log_moment(self, power: Any) -> Any:
        """Logarithm of E e^{power X}, the moment of that order of the quantity itself.

        Parameters
        ----------
        power : float, complex or array of them
            Real part in the interval where the moment exists.

        Raises
        ------
        ValueError
            If the moment is infinite.
        """

    @property
    @abc.abstractmethod
    def survival(self) -> float:
        """Probability that the quantity is not 0."""

    @abc.abstractmethod
    def _tails(self, t: FloatArray) -> Tails:
        """Density, P(X <= t) and P(X > t)."""

    @abc.abstractmethod
    def rvs(self, size: int | tuple[int, ...], *, rng: np.random.Generator | int | None = None) -> FloatArray:
        """Independent samples of X given survival: the factors are drawn and multiplied, nothing is inverted.

        Parameters
        ----------
        size : int or tuple of int
            Shape of what comes back.
        rng : Generator, int or None
            Source of randomness, or its seed.
        """

    def pdf(self, t: Any) -> Any:
        """Density of X at t (scalar or array)."""
        return self._ask(0, t)

    def cdf(self, t: Any) -> Any:
        """P(X <= t); accurate relative to itself in the lower tail."""
        return self._ask(1, t)

    def sf(self, t: Any) -> Any:
        """P(X > t); accurate relative to itself in the upper tail."""
        return self._ask(2, t)

    def _ask(self, which: int, t: Any) -> Any:
        points = np.asarray(t, dtype=float)
        out = self._tails(points.ravel())[which].reshape(points.shape)
        return out if points.ndim else float(out)

    def median(self) -> float:
        """The median of X; its exponential is the median of the quantity."""
        return float(self.ppf(0.5))

    def ppf(self, q: Any) -> Any:
        """Quantile: the t with P(X <= t) = q.

        Raises
        ------
        ValueError
            If a q is not in (0, 1).
        """
        levels = np.asarray(q, dtype=float)
        if not np.all((levels > 0) & (levels < 1)):
            raise ValueError(f"q={q!r}: expected probabilities in (0, 1); the law is unbounded")
        flat = levels.ravel()
        out = _quantiles(self._tails, flat, self.mean(), math.sqrt(self.var())).reshape(levels.shape)
        return out if levels.ndim else float(out)


def _quantiles(tails: Callable[[FloatArray], Tails], q: FloatArray, mean: float, sd: float) -> FloatArray:
    """Newton steps in the logarithm of the smaller tail, inside a bracket that only shrinks."""
    low, high = np.full(q.shape, mean - sd), np.full(q.shape, mean + sd)
    for ends, sign in ((low, -1.0), (high, 1.0)):
        reach = sd
        while True:
            _, cdf, sf = tails(ends)
            outside = cdf > q if sign < 0 else sf > 1 - q
            if not np.any(outside):
                break
            reach *= 2
            ends[outside] = mean + sign * reach
    t: FloatArray = (low + high) / 2
    lower = q < 0.5
    for _ in range(80):
        pdf, cdf, sf = tails(t)
        below = np.where(lower, cdf < q, sf > 1 - q)
        low, high = np.where(below, t, low), np.where(below, high, t)
        with np.errstate(all="ignore"):
            step = np.where(lower, -cdf / pdf * np.log(cdf / q), sf / pdf * np.log(sf / (1 - q)))
        trial = t + step
        good = np.isfinite(trial) & (trial > low) & (trial < high)
        following: FloatArray = np.where(good, trial, (low + high) / 2)
        done = np.abs(following - t) <= 1e-9 * sd  # the next step would be the square of it
        t = following
        if np.all(done):
            break
    return t


class Inversion:
    """Density, distribution function and survival function from ``K(z) = log E exp(z X)``.

    Parameters
    ----------
    log_mgf : callable
        K on arrays of complex z; any branch of the logarithm will do, as only its exponential is used.
    strip : (float, float)
        Real parts between which K is finite, a < 0 < b (infinite ones allowed).
    mean, sd : float
        Mean and standard deviation of X: the scales of the contour.
    floor : float
        Tails below e^-floor are returned as 0.
    """

    def __init__(
        self, log_mgf: LogMgf, strip: tuple[float, float], mean: float, sd: float, floor: float = 740.0
    ) -> None:
        self._log_mgf, self._mean, self._sd, self._floor = log_mgf, mean, sd, floor
        self._lines = _ladder(strip, sd)
        self._real = log_mgf(self._lines.astype(complex)).real
        # near a pole the step must be small: such lines are taken for deep tails only
        margin = np.minimum(np.abs(self._lines), np.minimum(self._lines - strip[0], strip[1] - self._lines)) * sd
        self._cost = -1.5 * np.log(np.minimum(margin, 1.0))
        self._values: dict[tuple[int, int], tuple[FloatArray, ComplexArray]] = {}

    def tails(self, t: FloatArray) -> Tails:
        """Density, P(X <= t) and P(X > t) at t of shape (n,).

        Raises
        ------
        ConvergenceError
            If the transform decays too slowly along vertical lines, as for laws with a jump in their density.
        """
        # of Chernoff's bound, minimal at the saddle point
        exponents = self._real[:, np.newaxis] - self._lines[:, np.newaxis] * t
        chosen = np.argmin(exponents + self._cost[:, np.newaxis], axis=0)
        pdf, near = np.zeros(t.shape), np.zeros(t.shape)
        seen = np.min(exponents, axis=0, initial=math.inf) > -self._floor
        for k in np.unique(chosen[seen]):
            group = np.flatnonzero(seen & (chosen == k))
            pdf[group], near[group] = self._integrate(int(k), exponents[:, group], t[group])
        right = self._lines[chosen] > 0
        near = np.clip(near, 0.0, 1.0)
        return np.maximum(pdf, 0.0), np.where(right, 1 - near, near), np.where(right, near, 1 - near)

    def _integrate(self, k: int, exponents: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Integrals along Re z = c of M e^{-zt} (the density) and of ± M e^{-zt}/z (the tail on the side of c)."""
        c, top = float(self._lines[k]), float(self._real[k])
        period = max(_period(k, self._lines, exponents), float(np.max(np.abs(t - self._mean))) + 20 * self._sd)
        level = math.ceil(2 * math.log2(period / self._sd))  # a ladder of steps, so that lines are used again
        if (k, level) not in self._values:
            self._values[k, level] = self._line(c, top, 2 * math.pi / (2 ** (level / 2) * self._sd))
        s, weight = self._values[k, level]
        waves = np.exp(-1j * np.outer(t, s)) * weight
        scale = np.exp(top - c * t) * (s[1] - s[0]) / math.pi
        return scale * waves.real.sum(axis=1), scale * math.copysign(1.0, c) * (waves / (c + 1j * s)).real.sum(axis=1)

    def _line(self, c: float, top: float, step: float) -> tuple[FloatArray, ComplexArray]:
        """Nodes s of the trapezoidal rule on c + i s, s >= 0, and M there over M(c)."""
        nodes, weights = [], []
        for first in range(0, _LARGEST_NODES, _BLOCK):
            s = step * np.arange(first, first + _BLOCK)
            k = self._log_mgf(np.asarray(c + 1j * s, dtype=np.complex128)) - top
            nodes.append(s)
            weights.append(np.exp(k))
            if np.all(k.real[-6:] < -32):  # the rounding of a mixture of many terms is at -33
                weights[0][0] /= 2
                return np.concatenate(nodes), np.concatenate(weights)
        raise ConvergenceError(
            "the Mellin transform decays too slowly for its inversion: the density of so few factors has jumps; "
            "ask for a deeper product or for rvs"
        )


def _ladder(strip: tuple[float, float], sd: float) -> FloatArray:
    """Real parts among which the line is chosen: steps of √2 away from 0, and towards the ends of the strip."""
    sides = []
    for end, sign in ((strip[0], -1.0), (strip[1], 1.0)):
        start = 0.5 / sd
        steps = start * 2.0 ** (0.5 * np.arange(22))
        if math.isfinite(end):
            size = abs(end)
            steps = steps[steps < 0.5 * size]
            gaps = 0.5 * size * 2.0 ** (-0.5 * np.arange(12))
            steps = np.concatenate((steps, size - gaps))
        sides.append(sign * steps)
    return np.concatenate((sides[0][::-1], sides[1]))


def _period(k: int, ladder: FloatArray, exponents: FloatArray) -> float:
    """2π over the step of the trapezoidal rule: the images of the tails at that distance must be negligible.

    With Chernoff's bound on another line c' they are less than exp(K(c') - c' t) exp(-|c' - c| period), and the pole at
    0 counts as a line of exponent 0.
    """
    c = ladder[k]
    lines = np.append(ladder, 0.0)
    values = np.vstack((exponents, np.zeros(exponents.shape[1])))
    worst = 0.0
    for side in (lines < c, lines > c):
        if not np.any(side):  # the last line of the ladder: t is out of reach of any mass
            continue
        distance = np.abs(lines[side] - c)[:, np.newaxis]
        needed = (values[side] - exponents[k] + _EPSILON) / distance
        worst = max(worst, float(np.max(np.min(np.maximum(needed, 0.0), axis=0))))
    pole = (_EPSILON - exponents[k]) / abs(c)  # always there: the tail on the far side of 0 tends to 1
    return max(worst, float(np.max(pole)))


def check_count(name: str, value: Any, at_least: int = 1) -> int:
    """An integer >= at_least.

    Raises
    ------
    ValueError
        Naming the argument, the value and what is allowed.
    """
    check_number(name, value, at_least=at_least)
    if int(value) != value or isinstance(value, bool):
        raise ValueError(f"{name}={value!r}: expected an integer >= {at_least}")
    return int(value)
