"""Ways to find a number without the formula under test: quadrature, free cumulants, enumeration, extrapolation.

This module loads sympy through the entries that use it, not by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

from rmt.series import moments_to_free_cumulants, moments_to_s_series
from rmt.series.word_moments import polynomial_moments

__all__ = ["average", "extrapolated", "free_product", "gaussian_matrices", "haar", "lowest", "outcomes", "s_at"]

FloatArray = npt.NDArray[np.float64]


def average(function: Callable[[Any], Any], variance: Any = 1, kinks: Sequence[Any] = (0,)) -> Any:
    """<function> over N(0, variance) by adaptive quadrature, split at the kinks."""
    reach = 14 * mpmath.sqrt(variance)
    weight = lambda x: mpmath.exp(-x * x / (2 * variance)) / mpmath.sqrt(2 * mpmath.pi * variance)
    cuts = sorted({-reach, -1, 0, 1, reach, *kinks})
    return mpmath.quad(lambda x: weight(x) * function(x), cuts)


def free_product(*factors: Sequence[Any]) -> list[Any]:
    """Moments of a free product from those of its factors, by the moment-cumulant relation for words, without S."""
    moments = list(factors[0])
    for other in factors[1:]:
        n = len(moments)
        cumulants = [moments_to_free_cumulants(moments), moments_to_free_cumulants(other)]
        moments = polynomial_moments({(0, 1): 1}, cumulants, n)
    return moments


def s_at(moments: Sequence[Any], m: Any) -> Any:
    """S(m) from as many terms of its series as there are moments; m small."""
    return sum(coefficient * m**k for k, coefficient in enumerate(moments_to_s_series(moments)))


def extrapolated(function: Callable[[Any], Any], first: int, count: int, ratio: int = 2) -> Any:
    """Limit at infinity of a function that is a power series in 1/n, from n = first ratio^k (Neville's scheme)."""
    sizes = [mpmath.mpf(first) * ratio**k for k in range(count)]
    table = [function(n) for n in sizes]
    for order in range(1, count):
        table = [
            (sizes[k + order] * table[k + 1] - sizes[k] * table[k]) / (sizes[k + order] - sizes[k])
            for k in range(count - order)
        ]
    return table[0]


def lowest(function: Callable[[Any], Any], guess: Any) -> Any:
    """Least value over m > 0 of a function with one minimum, by golden section in log m around a guess.

    The value is good to the square of what m is good to.
    """
    with mpmath.workdps(40):
        low, high = mpmath.log(guess) - 3, mpmath.log(guess) + 3
        golden = (mpmath.sqrt(5) - 1) / 2
        for _ in range(90):
            left, right = high - golden * (high - low), low + golden * (high - low)
            if function(mpmath.exp(left)) < function(mpmath.exp(right)):
                high = right
            else:
                low = left
        return function(mpmath.exp((low + high) / 2))


def outcomes(law: dict[Any, Any], n: int) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """All values of n independent variables of a discrete law, each with its probability."""
    for values in itertools.product(law, repeat=n):
        probability: Any = Fraction(1)
        for value in values:
            probability *= law[value]
        yield values, probability


def haar(n: int, rng: np.random.Generator) -> FloatArray:
    """A Haar orthogonal matrix: Q of a Gaussian matrix, its columns with the signs of R's diagonal."""
    rotation, upper = np.linalg.qr(rng.normal(size=(n, n)))
    return rotation * np.sign(np.diag(upper))


def gaussian_matrices(n: int, columns: int | None = None) -> tuple[FloatArray, FloatArray]:
    """Matrices and weights that average polynomials of degree up to 5 in each Gaussian entry exactly.

    The three-point Gauss rule of N(0, 1) in each of the n × columns entries.
    """
    columns = n if columns is None else columns
    grids = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=n * columns)))
    weights = np.prod(np.where(grids == 0, 2 / 3, 1 / 6), axis=1)
    return (np.sqrt(3.0) * grids).reshape(-1, n, columns), weights
