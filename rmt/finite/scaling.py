"""Exponents of two for three-term recurrences whose values leave the range of floats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LN2_HIGH", "LN2_LOW", "RESCALE_EVERY", "exponent_with_square", "rescaling"]

FloatArray = npt.NDArray[np.float64]

# ln 2 in two parts, the first with so many trailing zeros that its products with exponents are exact (Cody and Waite)
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Values are brought down when they pass 2**200. Between two looks they grow by less than 1e40 for the sizes met here,
# so that their squares, which are summed, stay below 1e220.
RESCALE_EVERY = 8
_STEP = 200
_LIMIT, _DOWN = 2.0**_STEP, 2.0**-_STEP


def rescaling(values: FloatArray, exponent: FloatArray) -> FloatArray:
    """Factors that bring the large values down; `exponent` (of two, of the values) is moved in place."""
    large = np.abs(values) > _LIMIT
    exponent[large] += _STEP
    return np.where(large, _DOWN, 1.0)


def exponent_with_square(exponent: FloatArray, y: FloatArray) -> FloatArray:
    """``2 exponent ln 2 - y**2``, a small difference of large numbers, with the rounding of y**2 accounted for."""
    square = y * y
    # Dekker's product: the digits of y**2 that do not fit
    high = y * 134217729.0
    high = high - (high - y)
    low = y - high
    lost = ((high * high - square) + 2 * high * low) + low * low
    return (2 * exponent * LN2_HIGH - square) + (2 * exponent * LN2_LOW - lost)
