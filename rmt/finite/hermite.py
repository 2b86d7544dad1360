"""Sums over oscillator functions: density and tail of the Gaussian ensembles, in one pass of stable recurrences.

``phi_k(y) = H_k(y) exp(-y**2/2) / sqrt(sqrt(pi) 2**k k!)``. A pass carries ``phi_k exp(y**2/2)`` and integrals of it,
with an exponent of two for each point: nothing overflows, and what is subtracted at the end, y**2 and the exponent, is
subtracted in two parts, so that sizes of several thousands lose no digits to it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx

from rmt.finite.scaling import RESCALE_EVERY, exponent_with_square, rescaling

__all__ = ["hermite_functions", "orthogonal_sums", "unitary_sums"]

FloatArray = npt.NDArray[np.float64]

_PHI_0 = math.pi**-0.25


def hermite_functions(y: FloatArray, n: int) -> FloatArray:
    """phi_0 … phi_(n-1) at the points, shape (n, …); of the sizes 1e-300 and below nothing is kept."""
    flat = np.ravel(y)
    out = np.zeros((n, flat.size))
    exponent = np.zeros(flat.shape)
    before, here = np.zeros(flat.shape), np.full(flat.shape, _PHI_0)
    for k in range(n):
        out[k] = here * np.exp(exponent_with_square(exponent, flat) / 2)
        before, here = here, math.sqrt(2 / (k + 1)) * flat * here - math.sqrt(k / (k + 1)) * before
        if (k + 1) % RESCALE_EVERY == 0:
            factor = rescaling(here, exponent)
            before, here = before * factor, here * factor
    return out.reshape(n, *np.shape(y))


def unitary_sums(y: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """``K(y) = sum_(k<n) phi_k(y)**2`` and ``integral of K over (y, oo)``, for y >= 0.

    The tail follows from ``I_k = I_(k-1) + phi_k phi_(k-1)/sqrt(2 k)``, ``I_k`` the integral of phi_k**2 over (y, oo)
    (derived here, from phi_k = (y - d/dy) phi_(k-1)/sqrt(2 k)); beyond the last zero all terms are positive.
    """
    exponent = np.zeros(y.shape)
    before, here = np.zeros(y.shape), np.full(y.shape, _PHI_0)
    density, tail = np.zeros(y.shape), np.zeros(y.shape)
    one = erfcx(y) / 2  # I_0 exp(y**2)
    for k in range(n):
        density += here * here
        tail += one
        before, here = here, math.sqrt(2 / (k + 1)) * y * here - math.sqrt(k / (k + 1)) * before
        one = one + here * before / math.sqrt(2 * (k + 1))
        if (k + 1) % RESCALE_EVERY == 0:
            factor = rescaling(here, exponent)
            before, here = before * factor, here * factor
            square = factor * factor
            density, tail, one = density * square, tail * square, one * square
    weight = np.exp(exponent_with_square(exponent, y))
    return density * weight, tail * weight


def orthogonal_sums(y: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Level density of n levels with weights exp(-y**2/2) and |Vandermonde|, and its integral over (y, oo), y >= 0.

    ``K(y) + phi_(n-1)(y) (c - sqrt(n/2) E_n(y))``, with ``E_k`` the integral of phi_k over (y, oo) and
    ``c = sqrt(n/8) E_n(-oo)`` for even n, ``1/E_(n-1)(-oo)`` for odd n (Mehta 2004, eq. 7.2.32). The tail needs the
    integral ``J_n`` of phi_(n-1) E_n, which follows by parts from ``J_(n-1)`` (derived here).
    """
    exponent = np.zeros(y.shape)
    before, here = np.zeros(y.shape), np.full(y.shape, _PHI_0)
    density, tail = np.zeros(y.shape), np.zeros(y.shape)
    one = erfcx(y) / 2
    integral_before, integral = np.zeros(y.shape), math.sqrt(math.pi / 2) * _PHI_0 * erfcx(y / math.sqrt(2))
    mixed = np.zeros(y.shape)
    for k in range(n):
        up, down = math.sqrt(2 / (k + 1)), math.sqrt(k / (k + 1))
        density += here * here
        tail += one
        mixed = down * (integral * integral_before - mixed) + up * one
        integral_before, integral = integral, down * integral_before + up * here
        before, here = here, up * y * here - down * before
        one = one + here * before / math.sqrt(2 * (k + 1))
        if (k + 1) % RESCALE_EVERY == 0:
            factor = rescaling(here, exponent)
            before, here = before * factor, here * factor
            integral_before, integral = integral_before * factor, integral * factor
            square = factor * factor
            density, tail, one, mixed = density * square, tail * square, one * square, mixed * square
    half = np.exp(exponent_with_square(exponent, y) / 2)
    order = n if n % 2 == 0 else n - 1
    whole = math.sqrt(2) * math.exp((math.lgamma((order + 1) / 2) - math.lgamma(order / 2 + 1)) / 2)
    constant = math.sqrt(n / 8) * whole if n % 2 == 0 else 1 / whole
    root = math.sqrt(n / 2)
    density = density * half * half + before * half * (constant - root * integral * half)
    tail = tail * half * half + constant * integral_before * half - root * mixed * half * half
    return density, tail
