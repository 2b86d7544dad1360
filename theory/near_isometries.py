"""Many layers that are close to multiples of isometries, as one law: a power series of log S.

A layer of relative spread s has ``log S(m) = c_0 + c_1 m + c_2 m² + …`` with ``c_k = O(s^(k+1))``, and over the layers
these coefficients add. On the support of a product abs(m) is at most of the order of one over its relative spread, or
of 1, so that with thousands of layers the series ends after a few terms: they cost no more than one layer, and no
digits are lost to a sum over logarithms close to 0. The asymptotic nature of the series (the gains of a smooth
activation have tails) does not matter as long as its terms fall below rounding first.

The coefficients are made of central moments, never of plain ones, whose differences have no digits here. With the free
cumulants κ_n of X over its mean, ``c_k = [g^k] (1 + κ_2 g + κ_3 g² + …)^(-k)/k`` (Lagrange), and for a residual block
``|a + Y|²`` with the S-transform of ``Y Yᵀ``

    log S = -2 log a + log(1 - (1+m) t) + log(1 - m t),  a² t (1+m_0) S_Y(m_0) = (1 - (1+m) t)(1 - m t)

with m_0 = m (1+m) t (see `rmt.algebra.residual`), where t = O(E Y Yᵀ) is found by iteration. Derived here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt import series
from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.residual import ResidualSum
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.numeric.jet import log1p
from rmt.numeric.leaves import SeriesSLeaf
from rmt.numeric.node import Node
from rmt.parameters import as_float
from theory.gain import GainLaw
from theory.gaussian import panel_rule

__all__ = ["NearIsometries", "log_s_series", "near_isometries"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Terms of log S that are kept.
_ORDER = 20
# What the neglected ones may add to it, and what a term must to be kept.
_NEGLECTED, _UNFELT = 1e-15, 1e-18
# By how much abs(m) may exceed its bound on the support.
_MARGIN = 1.25
# Degrees of the interpolants in log q, and what their last coefficients may be, relative and summed over the layers.
_DEGREES = (8, 16, 32)
_RELATIVE, _ABSOLUTE = 2e-15, 1e-14
_ROUNDING = float(np.finfo(float).eps)
# Values that are worth it, and those that the spread is estimated from.
_FEWEST, _SAMPLES = 32, 12
# The circle on which a residual block is solved, with how many points, in how many rounds at most, and how large the
# share of its branch may be there.
_CIRCLE, _POINTS, _MOST_ROUNDS, _WEAK = 8.0, 64, 40, 0.1


@dataclass(frozen=True, repr=False)
class NearIsometries(Law):
    """Law of a product of many free factors close to multiples of isometries: ``log S(m) = Σ coefficients[k] m^k``.

    The series stands for S where abs(m) <= ``reach``.
    """

    coefficients: tuple[float, ...]
    reach: float

    def compressed(self, ratio: float) -> NearIsometries:
        """The free compression, S(ratio m)."""
        powers = ratio ** np.arange(len(self.coefficients))
        return NearIsometries(tuple((powers * self.coefficients).tolist()), self.reach / ratio)

    def _node(self) -> Node:
        return SeriesSLeaf(self.coefficients, self.reach)

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        known = [*self.coefficients[:n], *[0.0] * (n - len(self.coefficients))]
        return series.s_series_to_moments(series.exp(known))


def near_isometries(
    family: Callable[[float], Law], q: FloatArray, counts: FloatArray, others: Sequence[tuple[Law, int]] = ()
) -> tuple[NearIsometries, int] | None:
    """The product of the layers of the smallest q, as many as have a series, and how many of the values these are.

    Parameters
    ----------
    family : callable
        q -> the law of one layer, analytic in q, whose relative spread grows with q.
    q : array of shape (n,)
        Different values, increasing.
    counts : array of shape (n,)
        How many layers have each.
    others : sequence of (law, count)
        What these layers are multiplied with.

    Returns
    -------
    (law, size) or None
        ``law`` is that of ``q[:size]``; None if there are too few to be worth it.
    """
    if q.size < _FEWEST or q[0] <= 0:
        return None
    # all layers, each as narrow as the next sample of a few below it
    apart = np.unique(np.geomspace(1, q.size, _SAMPLES).astype(int))
    places = q.size - apart[::-1]
    sampled = [
        (family(float(x)), float(count)) for x, count in zip(q[places], np.add.reduceat(counts, places), strict=True)
    ]
    expected = _MARGIN * _largest_m([*sampled, *others])
    low, high = 0, q.size  # of how many values the largest has a series by itself
    while low < high:
        middle = (low + high + 1) // 2
        row = log_s_series([family(float(q[middle - 1]))], _ORDER)
        low, high = (middle, high) if row is not None and _reach(row[0]) >= expected else (low, middle - 1)
    if low < _FEWEST:
        return None
    rows = _coefficients(family, q[:low], float(np.sum(counts[:low])), expected)
    if rows is None:
        return None
    sums = np.cumsum(counts[:low, np.newaxis] * rows, axis=0)
    size = int(np.searchsorted(-_reach(sums), -expected, side="right"))
    if size < _FEWEST:
        return None
    total = np.sum(counts[:size, np.newaxis] * rows[:size], axis=0)
    reach = float(_reach(total))
    felt = np.abs(total) * reach ** np.arange(_ORDER + 1) > _UNFELT
    return NearIsometries(tuple(total[: np.flatnonzero(felt)[-1] + 1].tolist()), reach), size


def _largest_m(factors: Sequence[tuple[Law, float]]) -> float:
    """A bound of abs(m) on the support of a product of laws, each with its multiplicity.

    At the upper edge 1/(m (1 + m)) is the slope of -log S, which falls as m grows; at the lower edge m is at least
    minus 1 + the m of the upper edge of a law as narrow.
    """
    slopes = [(_slope(law), count) for law, count in factors]
    for m in np.geomspace(0.25, 64.0, 24):
        if m * (1 + m) * math.fsum(count * slope(float(m)) for slope, count in slopes) >= 1:
            return 1 + float(m)
    return math.inf


def _slope(law: Law) -> Callable[[float], float]:
    """The function m -> -d log S/dm at m > 0, or one below it."""
    if isinstance(law, MarchenkoPastur):
        ratio = as_float(law.ratio, "ratio")
        return lambda m: ratio / (1 + ratio * m)
    row = log_s_series([law], _ORDER)
    known = 0.0 if row is None else float(_reach(row[0]))
    derivative = None if row is None else np.polynomial.polynomial.polyder(row[0])
    inner = law.law if isinstance(law, Affine) and law.shift == 0 else law
    measure = _atoms(inner) if isinstance(inner, GainLaw | Discrete) else None

    def slope(m: float) -> float:
        if derivative is not None and m <= known:
            return float(-np.polynomial.polynomial.polyval(m, derivative))
        return 0.0 if measure is None else _slope_of_measure(*measure, m)

    return slope


def _slope_of_measure(x: FloatArray, masses: FloatArray, m: float) -> float:
    """-d log S/dm at m > 0 of the law with these atoms."""
    low, high = float(np.max(x)), float(np.max(x)) * (1 + 1 / m)  # E x/(z - x) is above m, and below
    for _ in range(100):
        z = (low + high) / 2
        low, high = (z, high) if masses @ (x / np.maximum(z - x, 1e-300)) > m else (low, z)
    falls = float(masses @ (x / np.maximum(high - x, 1e-300) ** 2))
    return 1 / m - 1 / (1 + m) - 1 / (high * falls)


def _reach(coefficients: FloatArray) -> FloatArray:
    """Largest abs(m) for which the last terms, and with them what is neglected, stay below rounding."""
    k = np.arange(_ORDER + 1)[-4:]
    last = np.maximum(np.abs(coefficients[..., -4:]), 1e-300)
    return np.asarray(np.min((_NEGLECTED / last) ** (1 / k), axis=-1), dtype=np.float64)


def _coefficients(family: Callable[[float], Law], q: FloatArray, layers: float, reach: float) -> FloatArray | None:
    """Coefficients of log S at each q, by interpolation in log q; None where there are none."""
    low, high = math.log(q[0]), math.log(q[-1])
    for degree in _DEGREES:
        if 2 * degree > q.size:
            break
        nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        values = log_s_series([family(float(x)) for x in np.exp(low + (high - low) * (nodes + 1) / 2)], _ORDER)
        if values is None:
            return None
        fitted = np.polynomial.chebyshev.chebfit(nodes, values, degree)
        allowed = _RELATIVE * np.abs(values).max(axis=0) + _ABSOLUTE / (layers * reach ** np.arange(_ORDER + 1))
        allowed[0] += _ROUNDING  # of the logarithm of a mean next to 1
        if np.all(np.abs(fitted[-3:]) <= allowed):
            places = (2 * np.log(q) - low - high) / (high - low)
            return np.asarray(np.polynomial.chebyshev.chebvander(places, degree) @ fitted, dtype=np.float64)
    return None


def log_s_series(laws: Sequence[Law], n: int) -> FloatArray | None:
    """c_0 … c_n of ``log S(m) = Σ c_k m^k``, shape (laws, n + 1), each with digits of its own; None if not known.

    The laws must be of one shape, as layers that differ by a number are.
    """
    first = laws[0]
    if isinstance(first, Discrete | GainLaw):
        rows = [_of_measure(*_atoms(law), n) for law in laws]
        known = [row for row in rows if row is not None]
        return np.array(known) if len(known) == len(rows) else None
    if isinstance(first, MarchenkoPastur):
        ratios = np.array([as_float(law.ratio, "ratio") for law in laws if isinstance(law, MarchenkoPastur)])
        k = np.arange(1, n + 1)
        return np.hstack([np.zeros((ratios.size, 1)), (-ratios[:, np.newaxis]) ** k / k])
    if isinstance(first, Affine) and first.shift == 0:
        parts = [law for law in laws if isinstance(law, Affine)]
        inner = log_s_series([law.law for law in parts], n)
        scales = np.array([as_float(law.scale, "scale") for law in parts])
        if inner is None or np.any(scales <= 0):
            return None
        inner[:, 0] -= np.log(scales)
        return inner
    if isinstance(first, FreePower):
        powers = [law for law in laws if isinstance(law, FreePower)]
        inner = log_s_series([law.law for law in powers], n)
        exponents = np.array([[as_float(law.exponent, "exponent")] for law in powers])
        return None if inner is None else np.asarray(exponents * inner, dtype=np.float64)
    if isinstance(first, FreeProduct):
        factors = zip(*(law.laws for law in laws if isinstance(law, FreeProduct)), strict=True)
        sums = [log_s_series(members, n) for members in factors]
        known_sums = [part for part in sums if part is not None]
        return np.sum(known_sums, axis=0) if len(known_sums) == len(sums) else None
    if isinstance(first, ResidualSum):
        return _of_residual([law for law in laws if isinstance(law, ResidualSum)], n)
    return None


def _atoms(law: Law) -> tuple[FloatArray, FloatArray]:
    """A measure on points that stands for a law."""
    if isinstance(law, GainLaw):
        h, weights = panel_rule(law.q, law.nonlinearity.kinks, 2)
        return law.nonlinearity.dphi(h) ** 2, weights
    assert isinstance(law, Discrete)
    positions, masses = zip(*law.masses, strict=True)
    return np.array(positions, dtype=float), np.array(masses, dtype=float)


def _of_measure(x: FloatArray, masses: FloatArray, n: int) -> list[float] | None:
    mean = float(masses @ x)
    if mean <= 0:
        return None
    y = (x - mean) / mean
    central = [0.0, *(float(masses @ y**k) for k in range(2, n + 2))]
    r = [1.0, *series.moments_to_free_cumulants(central)[1:]]
    return [-math.log(mean), *(series.power(r[: k + 1], -k)[k] / k for k in range(1, n + 1))]


def _of_residual(laws: Sequence[ResidualSum], n: int) -> FloatArray | None:
    branch = log_s_series([law.branch for law in laws], n)
    if branch is None:
        return None
    log_a2 = 2 * np.log([as_float(law.skip, "skip") for law in laws])
    share = np.exp(-branch[:, 0] - log_a2)
    if np.any(share * _CIRCLE**2 > _WEAK):
        return None
    # t at points of a circle, one row a law; its coefficients by Fourier transform
    m = _CIRCLE * np.exp(2j * np.pi * np.arange(_POINTS) / _POINTS)
    shape = branch - [(-1.0) ** k / k if k else 0.0 for k in range(n + 1)]  # of log((1 + y) S_Y(y))
    shape[:, 0] = 0.0
    share = share[:, np.newaxis]
    t = np.broadcast_to(share, (share.size, m.size)).astype(complex)
    for _ in range(_MOST_ROUNDS):
        m0 = m * (1 + m) * t
        moved = share * (1 - (1 + m) * t) * (1 - m * t) * np.exp(-_horner(shape, m0))
        done = bool(np.all(np.abs(moved - t) <= _RELATIVE * share))
        t = moved
        if done:
            values = log1p(-(1 + m) * t) + log1p(-m * t)
            out = np.fft.fft(values, axis=1).real[:, : n + 1] / (_POINTS * _CIRCLE ** np.arange(n + 1.0))
            out[:, 0] = -log_a2 - np.log1p(share[:, 0])
            return np.asarray(out, dtype=np.float64)
    return None


def _horner(coefficients: FloatArray, x: ComplexArray) -> ComplexArray:
    """Polynomials, a row each, at points of the same rows."""
    out = np.zeros_like(x)
    for column in coefficients.T[::-1]:
        out = out * x + column[:, np.newaxis]
    return out
