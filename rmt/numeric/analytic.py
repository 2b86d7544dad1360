"""Analytic functions that a user wrote: values, derivatives, Taylor series, integrals along paths.

A Python function is differentiated by Cauchy's integral: the mean over a small circle, which converges geometrically
and, unlike a difference, loses almost no digits. The circle shrinks where the Fourier coefficients on it do not decay,
that is next to a singularity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray

__all__ = ["Analytic", "gauss_panel", "log_panel", "path_integral", "power_series_end", "taylor", "upper_jet"]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]
Panel = Callable[[IndexArray, FloatArray, float], tuple[ComplexArray, FloatArray]]
Function = Callable[[ComplexArray], ComplexArray]

_NODES = 12
_CIRCLE = np.exp(2j * np.pi * (np.arange(_NODES) + 0.5) / _NODES)
# Row k takes the values on the circle of radius 1 to the Taylor coefficient of order k.
_TO_TAYLOR = _CIRCLE[np.newaxis, :] ** -np.arange(_NODES)[:, np.newaxis] / _NODES
_SHRINK, _SHRINKAGES = 0.2, 6
# Taylor terms of this order, relative to the first, tell whether the circle is small enough.
_DECAY = 3e-3
_LEGENDRE, _WEIGHTS = (np.polynomial.legendre.leggauss(16)[0] + 1) / 2, np.polynomial.legendre.leggauss(16)[1] / 2
_HALVINGS, _TOLERANCE = 12, 1e-13
_RATE_RADIUS = 0.05


@dataclass(frozen=True)
class Analytic:
    """A function of one complex variable with its exact derivative where that is known.

    It is real on the real axis, or else ``below``: known in the closed lower half-plane only.
    """

    function: Function
    derivative: Function | None = None
    below: bool = False

    def __call__(self, x: ComplexArray) -> ComplexArray:
        return self.function(x)

    def jet(self, x: ComplexArray, radius: FloatArray) -> tuple[ComplexArray, ComplexArray]:
        """(value, derivative) at ``x``, shape (n,); ``radius`` is a first guess of a circle free of singularities."""
        value = self.function(x)
        if self.derivative is not None:
            return value, self.derivative(x)
        if self.below:
            continued, slope, _ = upper_jet(lambda y: self.function(y.conj()).conj(), x.conj(), radius)
            return np.where(x.imag <= 0, value, continued.conj()), slope.conj()
        return value, _circle_jet(self.function, x, radius)


def _circle_jet(function: Function, x: ComplexArray, radius: FloatArray) -> ComplexArray:
    """Derivative at ``x`` by Cauchy's integral over circles around it."""
    slope = np.full(x.shape, np.nan, dtype=complex)
    live = np.arange(x.size)
    size = radius.copy()
    for _ in range(_SHRINKAGES):
        values = function((x[live] + size[live] * _CIRCLE[:, np.newaxis]).ravel()).reshape(_NODES, -1)
        taylor = _TO_TAYLOR[1:8] @ values
        slope[live] = taylor[0] / size[live]
        wide = np.max(np.abs(taylor[4:]), axis=0) > _DECAY * np.abs(taylor[0]) + 1e-14 * np.max(np.abs(values), axis=0)
        live = live[wide | ~np.isfinite(slope[live])]
        if live.size == 0:
            break
        size[live] *= _SHRINK
    return slope


def upper_jet(
    function: Function, z: ComplexArray, radius: FloatArray
) -> tuple[ComplexArray, ComplexArray, FloatArray]:
    """(value, derivative, radius used) from values in the upper half-plane only, continued analytically to ``z``.

    The circle around ``z`` is lifted until it lies above the real axis, where a transform has its cut; its Taylor
    series reaches back to ``z``, and a little below the axis as well.
    """
    size = radius.copy()
    value = np.full(z.shape, np.nan, dtype=complex)
    slope = value.copy()
    live = np.arange(z.size)
    powers = np.arange(_NODES)[:, np.newaxis]
    for _ in range(2 * _SHRINKAGES):
        r = size[live]
        centre = z[live].real + 1j * np.maximum(z[live].imag, 1.05 * r)
        values = function((centre + r * _CIRCLE[:, np.newaxis]).ravel()).reshape(_NODES, -1)
        taylor = _TO_TAYLOR @ values
        # beyond the circle the series is used as far as the last terms say that it is worth something
        step = (z[live] - centre) / r
        step = step / np.maximum(1, np.abs(step) / 2)
        monomials = step ** powers
        value[live] = np.sum(taylor * monomials, axis=0)
        slope[live] = np.sum(powers[1:] * taylor[1:] * monomials[:-1], axis=0) / r
        scale = np.max(np.abs(values), axis=0)
        wide = np.max(np.abs(taylor[7:]), axis=0) > 1e-10 * scale
        live = live[wide | ~np.isfinite(value[live])]
        if live.size == 0:
            break
        size[live] *= _SHRINK
    return value, slope, size


def path_integral(panel: Panel, count: int) -> ComplexArray:
    """Integrals over (0, 1) of ``count`` functions, by panels that are halved where the halves disagree with the whole.

    ``panel(index, left, size)`` is the integral of the function of each ``index`` over (left, left + size), and the
    size of what cancels in it.
    """
    total = np.zeros(count, dtype=complex)
    index, left, size = np.arange(count), np.zeros(count), 1.0
    whole, _ = panel(index, left, size)
    for _ in range(_HALVINGS):
        size /= 2
        first, first_size = panel(index, left, size)
        second, second_size = panel(index, left + size, size)
        better = first + second
        rough = np.abs(whole - better) > _TOLERANCE * (0.1 + first_size + second_size)
        np.add.at(total, index[~rough], better[~rough])
        index, left = np.tile(index[rough], 2), np.concatenate([left[rough], left[rough] + size])
        whole = np.concatenate([first[rough], second[rough]])
        if index.size == 0:
            break
    np.add.at(total, index, whole)
    return total


def gauss_panel(integrand: Callable[[IndexArray, FloatArray], ComplexArray]) -> Panel:
    """Panel for `path_integral` of functions given by their values, ``integrand(index, s)`` at s."""

    def panel(index: IndexArray, left: FloatArray, size: float) -> tuple[ComplexArray, FloatArray]:
        s = left[:, np.newaxis] + size * _LEGENDRE
        values = integrand(np.repeat(index, s.shape[1]), s.ravel()).reshape(s.shape)
        return size * (values @ _WEIGHTS), size * (np.abs(values) @ _WEIGHTS)

    return panel


def log_panel(point: Callable[[IndexArray, FloatArray], tuple[ComplexArray, ComplexArray, ComplexArray]]) -> Panel:
    """Panel for the integral of x d log f along a path, where ``point(index, s)`` is (x, dx/ds, f) at s.

    By parts, so that no derivative of f is wanted; the logarithm is followed from node to node.
    """

    def panel(index: IndexArray, left: FloatArray, size: float) -> tuple[ComplexArray, FloatArray]:
        s = left[:, np.newaxis] + size * _LOBATTO
        x, dx, f = (v.reshape(s.shape) for v in point(np.repeat(index, s.shape[1]), s.ravel()))
        rise = np.zeros(s.shape, dtype=complex)
        rise[:, 1:] = np.cumsum(np.log(f[:, 1:] / f[:, :-1]), axis=1)
        end = x[:, -1] * rise[:, -1]
        return end - size * ((rise * dx) @ _LOBATTO_WEIGHTS), np.abs(end) + np.abs(x[:, -1])

    return panel


def _lobatto(count: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of Gauss–Lobatto quadrature on (0, 1), ends included."""
    basis = np.polynomial.legendre.Legendre.basis(count - 1)
    nodes = np.concatenate([[-1.0], np.sort(basis.deriv().roots().real), [1.0]])
    return (nodes + 1) / 2, 1 / (count * (count - 1) * basis(nodes) ** 2)


_LOBATTO, _LOBATTO_WEIGHTS = _lobatto(18)


def taylor(function: Function, count: int, radius: float) -> list[float] | None:
    """The first ``count`` Taylor coefficients at 0 of a function that is real on the real axis.

    Sampled on half circles in the lower half-plane (the other half is the complex conjugate), from small ones to the
    first with a singularity inside, at most of radius ``radius``. On a circle the coefficient c_k has the error
    ``eps max|f| / r**k``; each order is taken from the circle on which that is least (Bornemann, arXiv:0910.1841). None
    where no circle is free of singularities: the function is not analytic at 0, or not real on the real axis.
    """
    half = max(256, 8 * count)
    points = np.exp(-1j * np.pi * (np.arange(half) + 0.5) / half)
    orders = np.arange(2 * half)
    turn = np.exp(1j * np.pi * orders / (2 * half))
    best, bound = np.zeros(count), np.full(count, np.inf)
    for r in radius * 0.85 ** np.arange(400)[::-1]:
        with np.errstate(all="ignore"):
            values = function(r * points)
            size = np.max(np.abs(values))
            error = size * r ** -orders[:count].astype(float)
        free = bool(np.all(np.isfinite(error)))
        if free:
            scaled = np.fft.ifft(np.concatenate([values, values[::-1].conj()])) * turn
            # beyond the middle the coefficients are those of negative powers
            free = bool(np.max(np.abs(scaled[half // 2 :])) <= 1e-14 * size)
        if not free:
            if np.isfinite(bound[0]):
                break
            continue  # on the smallest circles a function may lose its digits
        better = error < bound
        best[better] = scaled.real[:count][better] * r ** -orders[:count][better].astype(float)
        bound[better] = error[better]
    return [float(c) for c in best] if np.isfinite(bound[0]) else None


def power_series_end(function: Function, count: int = 24) -> tuple[Analytic, float] | None:
    """A function ``x**a (c_0 + c_1 x + …)``, c_0 != 0, by its series at 0, and the radius within which to use that.

    Written so, it keeps its digits where those of an argument such as ``-1 + x`` are lost. None where the function is
    not of this kind.
    """
    given = Analytic(function)
    with np.errstate(all="ignore"):
        rate = taylor(lambda x: x * np.divide(*given.jet(x, _RATE_RADIUS * np.abs(x))[::-1]), 1, 0.5)
    if rate is None:
        return None
    # an exponent is most often a simple fraction, of which rounding has left a neighbour
    simple = float(Fraction(rate[0]).limit_denominator(1000))
    exponent = simple if abs(rate[0] - simple) < 1e-11 else rate[0]
    regular = taylor(lambda x: function(x) * x**-exponent, count, 0.5)
    if regular is None or regular[0] == 0:
        return None
    c = np.array(regular)
    orders = np.arange(count)
    with np.errstate(divide="ignore"):
        # the terms fall like 4**-k within this radius
        radius = 0.25 * float(np.min(np.abs(c[0] / c[1:]) ** (1 / orders[1:])))

    def value(x: ComplexArray) -> ComplexArray:
        out: ComplexArray = np.exp(exponent * np.log(x)) * np.polynomial.polynomial.polyval(x, c)
        return out

    def derivative(x: ComplexArray) -> ComplexArray:
        out: ComplexArray = np.exp((exponent - 1) * np.log(x)) * np.polynomial.polynomial.polyval(
            x, c * (exponent + orders)
        )
        return out

    return Analytic(value, derivative), min(radius, 0.5)
