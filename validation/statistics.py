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
    "student_quantile",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A covariance below this is rounding: keeps the test defined for spectra that do not fluctuate at all.
COVARIANCE_FLOOR = 1e-18
# Relative deviations below this are no deviations.
ROUNDING = 1e-11
# Of polynomials in 1/width: a third order would amplify the noise more than it could remove of the bias.
MAX_DEGREE = 2


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


def extrapolation_weights(widths: Sequence[int], exponent: float = 1.0, *, logarithm: bool = False) -> FloatArray:
    """Weights of the values at several widths that sum to the value at infinite width.

    The values are fitted by a polynomial in ``width**-exponent``, of degree 0 for one width, 1 for two, 2 for more; by
    least squares where there are more than three, with errors in proportion to 1/width, as those of averages over a
    spectrum are. The weights do not depend on the values, so the fit can be made replica by replica, and errors over
    replicas are those of the limit. With widths N and N/2 and exponent 1 they are 2 and -1. With `logarithm` the term
    of second degree is ``log(width) * width**-exponent`` instead.

    Raises
    ------
    ValueError
        If two widths are equal.
    """
    if len(set(widths)) < len(widths):
        raise ValueError(f"widths={tuple(widths)!r}: extrapolation takes different widths")
    degree = min(len(widths) - 1, MAX_DEGREE)
    relative = np.array(widths, dtype=np.float64) / max(widths)
    powers = relative[:, None] ** (-exponent * np.arange(degree + 1))
    if logarithm:
        powers[:, 2:] = powers[:, 1:2] * np.log(relative)[:, None]
    # value at infinite width = first coefficient of the least-squares fit of the rows scaled by 1/error
    weights: FloatArray = np.linalg.pinv(powers * relative[:, None])[0] * relative
    return weights


def estimate(values: FloatArray, sizes: IntArray | None = None) -> Estimate:
    """Mean and standard error of independent values.

    Parameters
    ----------
    values : array of shape (rows,)
        One a replica, or means over groups of replicas.
    sizes : integer array of shape (rows,), optional
        Replicas in each group; by default 1. Variances are taken in proportion to 1/size.
    """
    rows = len(values)
    weights = np.ones(rows) if sizes is None else np.asarray(sizes, dtype=np.float64)
    mean = float(weights @ values / weights.sum())
    if rows < 2:
        return Estimate(mean, math.nan, rows)
    variance = float(weights @ (values - mean) ** 2) / (rows - 1)
    return Estimate(mean, math.sqrt(variance / weights.sum()), rows)


def mean_test(
    vectors: FloatArray, expected: FloatArray, allowance: FloatArray, sizes: IntArray | None = None
) -> MeanTest:
    """Hotelling's T² test that independent vectors have the expected mean up to an allowance.

    ``T² = d' (C/R + diag(allowance²))^-1 d`` with d the deviation of the mean and C the covariance over the R replicas.
    For Gaussian vectors and no allowance, ``T² (R-K)/(K(R-1))`` follows Fisher's F(K, R-K) exactly, so the p-value
    holds at any R > K, not only for many replicas; the allowance only lowers T². Averages over a spectrum are close to
    Gaussian (the tests measure the false-alarm rate). Rows that are means over groups of n_i replicas have covariance
    ``C/n_i``; with mean and C weighted by n_i the law is the same, R then being the number of groups.

    Parameters
    ----------
    vectors : array of shape (rows, components)
        One row a replica or group; more rows than components.
    expected, allowance : arrays of shape (components,)
        Means under the hypothesis, and the systematic deviation (one standard deviation) that is forgiven.
    sizes : integer array of shape (rows,), optional
        Replicas in each group; by default 1.
    """
    from scipy.special import betainc

    rows, components = vectors.shape
    weights = np.ones(rows) if sizes is None else np.asarray(sizes, dtype=np.float64)
    mean = weights @ vectors / weights.sum()
    centred = (vectors - mean) * np.sqrt(weights)[:, None]
    covariance = centred.T @ centred / ((rows - 1) * weights.sum())
    covariance += np.diag(allowance**2 + COVARIANCE_FLOOR)
    deviation = mean - expected
    statistic = float(deviation @ np.linalg.solve(covariance, deviation))
    # P(F > f) of F(K, R-K) as an incomplete beta function, which keeps its relative accuracy in the tail
    freedom = rows - components
    tail = float(betainc(0.5 * freedom, 0.5 * components, (rows - 1) / (rows - 1 + statistic)))
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


def student_quantile(level: float, replicas: int) -> float:
    """How many standard errors, estimated from `replicas` values, a two-sided interval of that level reaches."""
    from scipy.special import stdtrit

    return float(stdtrit(replicas - 1, 0.5 + 0.5 * level)) if replicas > 1 else math.nan


def multiplier_norms(
    curves: FloatArray, steps: FloatArray, sizes: IntArray | None = None, draws: int = 200, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Null distribution of sup and L1 norms of a mean curve, by the Gaussian multiplier bootstrap over replicas.

    The centred curves are averaged with random Gaussian signs: what the norms of the mean's deviation would be if its
    expectation vanished.

    Parameters
    ----------
    curves : array of shape (rows, points)
        One curve a replica, or means over groups of replicas.
    steps : array of shape (points,)
        Length that each point stands for in the L1 norm.
    sizes : integer array of shape (rows,), optional
        Replicas in each group; by default 1.
    draws, seed : int
        Number of bootstrap draws, and their seed.

    Returns
    -------
    sup, l1 : arrays of shape (draws,)
    """
    rows = len(curves)
    weights = np.ones(rows) if sizes is None else np.asarray(sizes, dtype=np.float64)
    total = weights.sum()
    centred = (curves - weights @ curves / total) * np.sqrt(weights)[:, None]
    multipliers = np.random.default_rng(seed).standard_normal((draws, rows))
    means = np.abs(multipliers @ centred) / math.sqrt(total * max(rows - 1, 1))
    return means.max(axis=1), means @ steps
