"""The angle between two signals in a ReLU network of finite width: mean and variance of one layer's change.

After Jakub and Nica, arXiv:2302.09712, who study ln sin²θ layer by layer. The exact law at small angles and the delta
method for the others are derived here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln, polygamma

from rmt.parameters import check_number
from theory.log_law import check_count

__all__ = ["AngleStep", "angle_step", "norm_spread_step", "small_angle_step"]

FloatArray = npt.NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)


class AngleStep(NamedTuple):
    """Mean and variance of ln sin²θ after a layer, given θ before it (small angles: of its change)."""

    mean: float
    variance: float


def small_angle_step(width: int) -> AngleStep:
    """Change of ln sin²θ in one ReLU layer of width n in the limit θ -> 0, exact at finite n, given two open neurons.

    Two signals at a small angle open the same K ~ Bin(n, 1/2) neurons; the component of the second that is orthogonal
    to the first after the layer has K - 1 degrees of freedom: sin²θ'/sin²θ -> χ²_{K-1}/χ²_K with independent numerator
    and denominator (derived here). The mean is -2/n + O(1/n²) and the variance 8/n + O(1/n²), the constants of Jakub
    and Nica: angles vanish like e^{-L/n} in deep networks, faster than the 1/L of infinite width.

    Parameters
    ----------
    width : int
        n >= 2.

    Raises
    ------
    ValueError
        If the width is not an integer >= 2.
    """
    n = check_count("width", width, 2)
    k = np.arange(2, n + 1)
    mass = np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * math.log(2))
    mass /= mass.sum()
    means = digamma((k - 1) / 2) - digamma(k / 2)
    mean = float(mass @ means)
    return AngleStep(mean, float(mass @ (polygamma(1, (k - 1) / 2) + polygamma(1, k / 2) + (means - mean) ** 2)))


def angle_step(theta: float, width: float = math.inf) -> AngleStep:
    """Mean and variance of ln sin²θ' after one ReLU layer of width n, to order 1/n, for signals at the angle θ.

    At infinite width cos θ' = [sin θ + (π - θ) cos θ]/π (Cho and Saul 2009). At finite width sin²θ' = 1 - C²/(AB), with
    A, B, C the means of relu(g)², relu(h)² and relu(g) relu(h) over n independent pairs of correlation cos θ; mean and
    variance follow from the covariances of the three by the delta method (derived here). Errors are O(1/n²). For small
    θ they are ln sin²θ - 2θ/(3π) - (2 + 8θ/(15π))/n + … and (8 - 64θ/(15π))/n + …

    Parameters
    ----------
    theta : float
        In (0, π].
    width : float
        n >= 1, or inf.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    t = float(check_number("theta", theta, above=0, at_most=math.pi))
    if width != math.inf:
        check_number("width", width, at_least=1)
    means, covariance = _statistics(t)
    _, f, h = means
    p = f - h * h  # A F - H² at A = 1, and B = A + 2H + F = 1
    if width == math.inf:
        return AngleStep(math.log(p), 0.0)
    gradient = np.array([f / p - 2, 1 / p - 1, -2 * h / p - 2])
    aa, ff, hh = 2 - (f / p) ** 2, 1 - 1 / p**2, 4 - 2 / p - (2 * h / p) ** 2
    af, ah, fh = 1 - (h / p) ** 2, 2 + 2 * f * h / p**2, 2 + 2 * h / p**2
    hessian = np.array([[aa, af, ah], [af, ff, fh], [ah, fh, hh]])
    mean = math.log(p) + float(np.sum(hessian * covariance)) / (2 * width)
    return AngleStep(mean, float(gradient @ covariance @ gradient) / width)


def norm_spread_step(theta: float, width: float) -> float:
    """Variance that a ReLU layer adds to ln(|a|²/|b|²) of two signals at the angle θ, to order 1/n.

    The variance of 2 relu(g)² - 2 relu(h)² over n (derived here): 10/n for orthogonal signals, of order θ²/n for small
    angles, so that signals that have become parallel keep the ratio of their norms.

    Parameters
    ----------
    theta : float
        In (0, π].
    width : float
        n >= 1.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    t = float(check_number("theta", theta, above=0, at_most=math.pi))
    check_number("width", width, at_least=1)
    change = np.array([0.0, 1.0, 2.0])  # B - A = F + 2H
    return float(change @ _statistics(t)[1] @ change) / width


def _statistics(t: float) -> tuple[FloatArray, FloatArray]:
    """Means and covariance, per neuron, of A = 2a², F = 2(b-a)² and H = 2a(b-a), a = relu(g), b = relu(h).

    In polar coordinates a = r cos φ and b = r cos(φ-θ) where positive. On each of the three arcs where one or both are
    open the integrands are trigonometric polynomials, for which the rule is exact, and b - a has no cancellation.
    """
    half = math.pi / 2
    arcs = ((-half, t - half), (t - half, half), (half, half + t))
    values, weights = [], []
    for number, (left, right) in enumerate(arcs):
        phi = left + (right - left) * (_NODES + 1) / 2
        a = np.cos(phi) if number < 2 else np.zeros_like(phi)
        change = (-np.cos(phi), 2 * np.sin(phi - t / 2) * math.sin(t / 2), np.cos(phi - t))[number]
        values.append(np.array([2 * a * a, 2 * change**2, 2 * a * change]))
        weights.append(_WEIGHTS * (right - left) / (4 * math.pi))
    table, weight = np.concatenate(values, axis=1), np.concatenate(weights)
    means = 2 * table @ weight  # E r² = 2, E r⁴ = 8
    return means, 8 * (table * weight) @ table.T - np.outer(means, means)
