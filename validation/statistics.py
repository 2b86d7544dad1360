"""Errors over replicas, extrapolation in the width, and a test of a mean vector with a stated false-alarm rate.

Eigenvalues of one matrix repel each other and share one forward pass: only replicas are independent, so every error
here is a standard error over replicas of a per-replica statistic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Estimate",
    "MeanTest",
    "estimate",
    "extrapolation_weights",
    "mean_test",
    "multiplier_norms",
    "student_p_value",
]

FloatArray = npt.NDArray[np.float64]

# A covariance below this is rounding: keeps the test defined for spectra that do not fluctuate at all.
COVARIANCE_FLOOR = 1e-18
# Relative deviations below this are no deviations.
ROUNDING = 1e-11


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error over `replicas` independent values."""

    value: float
    error: float
    replicas: int

    def z(self, theory: float, allowance: float = 0.0) -> float:
        """Deviation from `theory` in standard errors, after an `allowance` in either direction."""
        distance = self.value - theory
        rounding = ROUNDING * max(abs(self.value), abs(theory))
        beyond = max(abs(distance) - allowance - rounding, 0.0)
        if beyond == 0.0:
            return 0.0
        return math.copysign(beyond / self.error if self.error > 0.0 else math.inf, distance)


@dataclass(frozen=True)
class MeanTest:
    """Outcome of `mean_test`: the statistic T² and the probability of one so large if the means are as expected."""

    statistic: float
    p_value: float
    components: int


def extrapolation_weights(widths: Sequence[int], exponent: float = 1.0) -> FloatArray:
    """Weights that sum to 1 and cancel a term in ``width**-exponent``, for one width or two.

    With widths N and N/2 and exponent 1 these are 2 and -1. One width gets weight 1: nothing is cancelled.

    Raises
    ------
    ValueError
        If there are more than two widths, or two equal ones.
    """
    if len(widths) == 1:
        return np.ones(1)
    if len(widths) != 2 or widths[0] == widths[1]:
        raise ValueError(f"widths={tuple(widths)!r}: extrapolation takes one width or two different ones")
    wide, narrow = (float(width) ** -exponent for width in widths)
    weights: FloatArray = np.array([narrow, -wide]) / (narrow - wide)
    return weights


def estimate(values: FloatArray) -> Estimate:
    """Mean and standard error of values, one a replica."""
    count = len(values)
    error = float(np.std(values, ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return Estimate(float(np.mean(values)), error, count)


def mean_test(vectors: FloatArray, expected: FloatArray, allowance: FloatArray) -> MeanTest:
    """Hotelling's T² test that independent vectors have the expected mean up to an allowance.

    ``T² = d' (C/R + diag(allowance²))^-1 d`` with d the deviation of the mean and C the covariance over the R replicas.
    For Gaussian vectors and no allowance, ``T² (R-K)/(K(R-1))`` follows Fisher's F(K, R-K) exactly, so the p-value
    holds at any R > K, not only for many replicas; the allowance only lowers T². Averages over a spectrum are close to
    Gaussian (the tests measure the false-alarm rate).

    Parameters
    ----------
    vectors : array of shape (replicas, components)
        One row a replica; more replicas than components.
    expected, allowance : arrays of shape (components,)
        Means under the hypothesis, and the systematic deviation (one standard deviation) that is forgiven.
    """
    from scipy.special import betainc

    replicas, components = vectors.shape
    deviation = vectors.mean(axis=0) - expected
    covariance = np.atleast_2d(np.cov(vectors, rowvar=False)) / replicas
    covariance += np.diag(allowance**2 + COVARIANCE_FLOOR)
    statistic = float(deviation @ np.linalg.solve(covariance, deviation))
    # P(F > f) of F(K, R-K) as an incomplete beta function, which keeps its relative accuracy in the tail
    freedom = replicas - components
    tail = float(betainc(0.5 * freedom, 0.5 * components, (replicas - 1) / (replicas - 1 + statistic)))
    return MeanTest(statistic, tail, components)


def student_p_value(z: float, replicas: int) -> float:
    """Two-sided p-value of a deviation in standard errors estimated from `replicas` values (Student's t)."""
    from scipy.special import betainc

    if replicas < 2 or math.isnan(z):
        return math.nan
    if math.isinf(z):
        return 0.0
    freedom = replicas - 1
    return float(betainc(0.5 * freedom, 0.5, freedom / (freedom + z * z)))


def multiplier_norms(
    curves: FloatArray, steps: FloatArray, draws: int = 200, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Null distribution of sup and L1 norms of a mean curve, by the Gaussian multiplier bootstrap over replicas.

    The centred curves are averaged with random Gaussian signs: what the norms of the mean's deviation would be if its
    expectation vanished.

    Parameters
    ----------
    curves : array of shape (replicas, points)
        One curve a replica.
    steps : array of shape (points,)
        Length that each point stands for in the L1 norm.
    draws, seed : int
        Number of bootstrap draws, and their seed.

    Returns
    -------
    sup, l1 : arrays of shape (draws,)
    """
    replicas = len(curves)
    centred = curves - curves.mean(axis=0)
    multipliers = np.random.default_rng(seed).standard_normal((draws, replicas))
    means = np.abs(multipliers @ centred) / math.sqrt(replicas * max(replicas - 1, 1))
    return means.max(axis=1), means @ steps
