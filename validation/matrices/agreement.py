"""Do the sampled matrices have the law? A test with errors over replicas, for any law on the real line."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from validation.matrices.model import eigenvalues, random_matrix
from validation.statistics import MeanTest, extrapolation_weights, mean_test

__all__ = ["law_agreement"]

FloatArray = npt.NDArray[np.float64]

# Of the correction made by extrapolation, the part (times size^-1/2) that the next order may contribute.
NEXT_ORDER = 2.0
# Distance of the points from the real axis, in lengths of the spectrum.
HEIGHT = 0.25


def law_agreement(
    sampled: Law | Callable[[np.random.Generator, int], FloatArray],
    law: Law | None = None,
    *,
    n: int = 128,
    replicas: int = 32,
    seed: int = 1,
    beta: int = 1,
    dense: bool = False,
) -> MeanTest:
    """Test that random matrices of one law have another law's (or the same law's) spectrum.

    The Cauchy transform of the spectrum is averaged over replicas at three points above the real axis, which needs no
    density, distribution function or moments, and sees the whole law. The points stand above the middle and the flanks
    of the spectrum of one more matrix, which is not used otherwise. Replicas of size n and n/2 are extrapolated in
    1/size, and Hotelling's test asks whether the mean is the law's; the next order of the bias is allowed for as in
    `validation.compare`.

    Parameters
    ----------
    sampled : Law or callable
        What is drawn: the random matrices of a law, or the eigenvalues ``sampled(rng, n)``.
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
    if law is None:
        if not isinstance(sampled, Law):
            raise ValueError("law is missing: give the law that the sampled eigenvalues are compared with")
        law = sampled

    def spectrum(rng: np.random.Generator, size: int) -> FloatArray:
        if not isinstance(sampled, Law):
            return sampled(rng, size)
        if dense:
            return np.linalg.eigvalsh(random_matrix(sampled, size, rng, beta=beta))
        return eigenvalues(sampled, size, rng, beta=beta)

    points, scale = _points(spectrum(np.random.default_rng((seed, n, *b"points")), n))
    sizes = (n, n // 2)
    curves = [_transforms(spectrum, size, points, replicas, seed) * scale for size in sizes]
    weights = extrapolation_weights(sizes)
    limit = weights[0] * curves[0] + weights[1] * curves[1]
    expected = np.asarray(law.cauchy(points)) * scale
    correction = np.abs(limit.mean(axis=0) - curves[0].mean(axis=0))
    typical = math.sqrt(float(np.mean(correction**2)))
    # the last term: what two sizes cannot tell apart from a term in 1/size
    allowance = NEXT_ORDER / math.sqrt(n) * np.maximum(correction, typical) + n**-1.5
    return mean_test(limit, np.concatenate((expected.real, expected.imag)), allowance)


def _points(pilot: FloatArray) -> tuple[npt.NDArray[np.complex128], float]:
    """Three points above a spectrum, and the length that the transform is made dimensionless with."""
    lower, middle, upper = np.quantile(pilot, (0.15, 0.5, 0.85))
    # half of a spectrum, or all of it, may sit in an atom
    spread = max(float(upper - lower), float(np.std(pilot)) / 4.0) or abs(float(middle)) or 1.0
    return np.array([lower, middle, upper]) + HEIGHT * spread * 1j, spread


def _transforms(
    spectrum: Callable[[np.random.Generator, int], FloatArray],
    size: int,
    points: npt.NDArray[np.complex128],
    replicas: int,
    seed: int,
) -> FloatArray:
    """Real and imaginary parts of the Cauchy transform at the points, a row a replica."""
    rows = []
    for replica in range(replicas):
        found = spectrum(np.random.default_rng((seed, size, replica)), size)
        values = (1.0 / (points - found[:, None])).mean(axis=0)
        rows.append(np.concatenate((values.real, values.imag)))
    return np.stack(rows)
