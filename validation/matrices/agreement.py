"""Do the sampled matrices have the law? A test with errors over replicas, for any law on the real line."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.results import PreconditionError
from validation.matrices.model import eigenvalues, random_matrix
from validation.statistics import MeanTest, extrapolation_weights, mean_test

__all__ = ["law_agreement"]

FloatArray = npt.NDArray[np.float64]

# Of the correction made by extrapolation, the part (times size^-1/2) that the next order may contribute.
NEXT_ORDER = 2.0


def law_agreement(
    sampled: Law,
    law: Law | None = None,
    *,
    n: int = 128,
    replicas: int = 32,
    seed: int = 1,
    beta: int = 1,
    dense: bool = False,
) -> MeanTest:
    """Test that random matrices of one law have another law's (or the same law's) spectrum.

    The Cauchy transform of the spectrum is averaged over replicas at three points above the support, half a standard
    deviation from the real axis, where the transform determines the law and needs no density. Replicas of size n and
    n/2 are extrapolated in 1/size, and Hotelling's test asks whether the mean is the law's; the next order of the bias
    is allowed for as in `validation.compare`.

    Parameters
    ----------
    sampled : Law
        What is drawn.
    law : Law, optional
        What it is compared with; `sampled` if None.
    n : int
        Size, even.
    replicas : int
        At least 8.
    seed : int
        Replica r of size n is drawn from ``(seed, n, r)`` alone.
    beta : int
        As in `random_matrix`.
    dense : bool
        Diagonalise the matrices of `random_matrix`, also where `eigenvalues` has a cheaper way.

    Returns
    -------
    MeanTest
        Its `p_value` is the probability of a deviation as large if the law is right.

    Raises
    ------
    ValueError
        If n is odd or there are too few replicas.
    NotImplementedError
        If there is no matrix for the law.
    """
    if n % 2 or n < 8 or replicas < 8:
        raise ValueError(f"n={n!r}, replicas={replicas!r}: n must be even, and both at least 8")
    law = sampled if law is None else law
    points = _points(law)
    scale = float(points[1].imag) / 0.5
    sizes = (n, n // 2)
    curves = [_transforms(sampled, size, points, replicas, seed, beta, dense) * scale for size in sizes]
    weights = extrapolation_weights(sizes)
    limit = weights[0] * curves[0] + weights[1] * curves[1]
    expected = np.asarray(law.cauchy(points)) * scale
    correction = np.abs(limit.mean(axis=0) - curves[0].mean(axis=0))
    typical = math.sqrt(float(np.mean(correction**2)))
    # the last term: what two sizes cannot tell apart from a term in 1/size
    allowance = NEXT_ORDER / math.sqrt(n) * np.maximum(correction, typical) + n**-1.5
    return mean_test(limit, np.concatenate((expected.real, expected.imag)), allowance)


def _points(law: Law) -> npt.NDArray[np.complex128]:
    try:
        mean, square = (float(value) for value in law.moments(2))
        spread = math.sqrt(square - mean**2) if square > mean**2 else abs(mean)
        if not math.isfinite(spread):
            raise ValueError("no second moment")
    except (ValueError, PreconditionError, NotImplementedError):
        lower, mean, upper = (float(value) for value in law.ppf(np.array([0.25, 0.5, 0.75])))
        spread = upper - lower
    return mean + spread * (np.array([-1.0, 0.0, 1.0]) + 0.5j)


def _transforms(
    law: Law, size: int, points: npt.NDArray[np.complex128], replicas: int, seed: int, beta: int, dense: bool
) -> FloatArray:
    """Real and imaginary parts of the Cauchy transform at the points, a row a replica."""
    rows = []
    for replica in range(replicas):
        generator = np.random.default_rng((seed, size, replica))
        if dense:
            spectrum = np.linalg.eigvalsh(random_matrix(law, size, generator, beta=beta))
        else:
            spectrum = eigenvalues(law, size, generator, beta=beta)
        values = (1.0 / (points - spectrum[:, None])).mean(axis=0)
        rows.append(np.concatenate((values.real, values.imag)))
    return np.stack(rows)
