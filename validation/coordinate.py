"""The coordinate in which spectra are compared: v = the law's distribution function without its atom at zero.

Eigenvalues that follow the law are uniform in v on [0, 1] whatever the law, hard edges and ten decades included; those
at zero sit at v = 0. Averages over a spectrum of the test functions ``phi_k(v) = sqrt(2) cos(k pi v)``, k = 1, 2, …,
vanish for the uniform part (Neyman's smooth test in the cosine basis). Cosines and this v are chosen for what they do
to the bias of finite width:

* An atom at zero has the mass of a rank that fluctuates: ``N - rank`` is the largest of several binomials, so the mass
  of the atom has a bias of order N^(-1/2), which extrapolation in 1/N does not remove. But the eigenvalues that drop to
  zero come from the bottom of the spectrum, where v is continuous and phi_k flat: what remains is of order 1/N, without
  a logarithm. (Legendre polynomials, whose slopes at the ends grow like k², keep one: for a ReLU chain of depth 3 at
  width 128 their bias after extrapolation is six times larger.)
* An outlier above the bulk sits at v = 1 at every width: exactly 1/N.
* At a soft edge 1 - v is of order ``N^(-2/3 * 3/2) = 1/N`` over O(1) eigenvalues and phi_k is flat: beyond 1/N² nothing
  is felt.
* Eigenvalues in a gap of the support: v is constant across the gap.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["BulkCoordinate", "SpectralLaw", "binned_cosines", "cosines"]

FloatArray = npt.NDArray[np.float64]

# Eigenvalues this close to an atom, relatively, belong to it: rounding of a decomposition, squared, with room to spare.
ATOM_WIDTH = 1e-8
POINTS_PER_INTERVAL = 192
POINTS_PER_E_FOLD = 4


class SpectralLaw(Protocol):
    """What a comparison asks of a law of J Jᵀ; every `rmt.Law` on [0, ∞) has it."""

    def cdf(self, x: Any, /) -> Any:
        """Right-continuous distribution function, atoms included."""

    def support(self) -> Any:
        """Intervals, atoms and edges."""

    def moments(self, n: int, /) -> Any:
        """The first n moments."""


def _end_of_tail(law: SpectralLaw) -> float:
    """A point beyond which an unbounded law has next to no mass."""
    x = float(law.moments(1)[0])
    for _ in range(200):
        x *= 2.0
        if float(law.cdf(x)) > 1.0 - 1e-10:
            return x
    raise ValueError("law has a tail that is too heavy for a comparison: it still has mass at 2^200 times its mean")


def cosines(v: FloatArray, count: int) -> FloatArray:
    """phi_k(v) = sqrt(2) cos(k pi v), k = 1 … count, in a new first axis."""
    orders = np.arange(1, count + 1).reshape((-1,) + (1,) * v.ndim)
    values: FloatArray = math.sqrt(2.0) * np.cos(math.pi * orders * v)
    return values


class BulkCoordinate:
    """v(x) = (F(x) - F(0)) / (1 - F(0)), by interpolation of the law's distribution function F.

    F is evaluated on a grid of each interval of the support that is dense at its ends in log x, where square-root and
    power-law edges become smooth, and joined by a monotone cubic (error below 1e-5). Atoms other than that at zero are
    steps; v takes the middle of the step there.

    Parameters
    ----------
    law : SpectralLaw
        A law on [0, ∞).
    smallest : float
        Smallest positive eigenvalue that will be asked for.
    floor : float
        Eigenvalues below it are not resolved numerically; they, and zero, count as "at most the floor" and get the v of
        the floor. 0 if all are resolved.

    Raises
    ------
    ValueError
        If the law has mass on the negative axis.
    """

    def __init__(self, law: SpectralLaw, smallest: float, floor: float = 0.0) -> None:
        support = law.support()
        atoms = {float(position): float(mass) for position, mass in support.atoms.items() if float(mass) > 0.0}
        intervals = [
            (float(lo), float(hi) if math.isfinite(hi) else _end_of_tail(law))
            for lo, hi in support.intervals
            if float(hi) > float(lo)
        ]
        if min([*atoms, *(lo for lo, _ in intervals)], default=0.0) < 0.0:
            raise ValueError(
                "law has mass on the negative axis; compare takes the law of J Jᵀ, of squared singular values"
            )
        self.zero_mass = atoms.pop(0.0, 0.0)
        self.atoms = dict(sorted(atoms.items()))
        self.intervals = intervals
        self.floor = floor
        self._positive_mass = max(1.0 - self.zero_mass, np.finfo(np.float64).tiny)
        self._pieces = self._tabulate(law, max(smallest, floor))
        self.floor_position = float(self(np.array(floor))) if floor > 0.0 else 0.0

    def _tabulate(self, law: SpectralLaw, smallest: float) -> list[tuple[float, float, Any, float]]:
        """For each interval: its ends in log x, interpolant in the angle, mass of the continuous part up to its end."""
        from scipy.interpolate import PchipInterpolator

        def continuous_cdf(x: FloatArray) -> FloatArray:
            below = sum((mass * (x >= position) for position, mass in self.atoms.items()), np.zeros_like(x))
            part: FloatArray = np.asarray(law.cdf(x), dtype=np.float64) - self.zero_mass - below
            return part

        continuous_mass = self._positive_mass - sum(self.atoms.values())
        pieces = []
        start = 0.0
        for index, (lo, hi) in enumerate(self.intervals):
            from_zero = lo <= 0.0
            bottom = math.log(min(smallest, 0.5 * hi) if from_zero else lo)
            top = math.log(hi)
            count = POINTS_PER_INTERVAL + int(POINTS_PER_E_FOLD * (top - bottom))
            angles = np.linspace(0.0, math.pi, count)
            x = np.exp(bottom + (top - bottom) * 0.5 * (1.0 - np.cos(angles[1:-1])))
            if index + 1 < len(self.intervals):
                end = float(continuous_cdf(np.array([0.5 * (hi + self.intervals[index + 1][0])]))[0])
            else:
                end = continuous_mass
            # the ends need no evaluation of F at an edge, its hardest points, except above a hard edge at zero
            first = float(continuous_cdf(np.array([math.exp(bottom)]))[0]) if from_zero else start
            values = np.clip(np.concatenate(([first], continuous_cdf(x), [end])), start, end)
            pieces.append((bottom, top, PchipInterpolator(angles, np.maximum.accumulate(values)), end))
            start = end
        return pieces

    def __call__(self, x: FloatArray) -> FloatArray:
        """The coordinate of eigenvalues, any shape."""
        x = np.maximum(np.asarray(x, dtype=np.float64), self.floor)
        log_x = np.full(x.shape, -np.inf)
        np.log(x, out=log_x, where=x > 0.0)
        mass = np.zeros(x.shape)
        for bottom, top, interpolant, end in self._pieces:
            inside = (log_x >= bottom) & (log_x < top)
            fraction = (log_x[inside] - bottom) / (top - bottom)
            mass[inside] = interpolant(np.arccos(1.0 - 2.0 * fraction))
            mass[log_x >= top] = end
        for position, weight in self.atoms.items():
            at_atom = np.abs(x - position) <= ATOM_WIDTH * position
            mass += weight * np.where(at_atom, 0.5, x > position)
        return mass / self._positive_mass

    def expected_cosines(self, count: int) -> FloatArray:
        """Exact averages of phi_1 … phi_count under the law, atoms and floor included."""
        zero_and_floor = self.zero_mass + self._positive_mass * self.floor_position
        total = zero_and_floor * cosines(np.array(self.floor_position), count)
        # the antiderivative of phi_k is sin(k pi v) sqrt(2)/(k pi); the steps of the atoms are left out of the integral
        start = self.floor_position
        orders = np.arange(1, count + 1)
        for position, weight in self.atoms.items():
            if position <= self.floor:
                continue
            middle = float(self(np.array(position)))
            half_step = 0.5 * weight / self._positive_mass
            total = total + weight * cosines(np.array(middle), count)
            total = total + self._positive_mass * _integral(orders, start, middle - half_step)
            start = middle + half_step
        total = total + self._positive_mass * _integral(orders, start, 1.0)
        return np.asarray(total, dtype=np.float64)

    def quantile(self, v: FloatArray) -> FloatArray:
        """Positions at given v in (0, 1) by inversion of the table; inside the step of an atom, its position."""
        knots: list[FloatArray] = [np.array(list(self.atoms))]
        for bottom, top, interpolant, _ in self._pieces:
            knots.append(np.exp(bottom + (top - bottom) * 0.5 * (1.0 - np.cos(interpolant.x))))
        x = np.sort(np.concatenate(knots))
        steps = np.array([self.atoms.get(position, 0.0) for position in x.tolist()]) / (2.0 * self._positive_mass)
        middle = self(x)
        levels = np.stack([middle - steps, middle + steps], axis=1).ravel()
        return np.asarray(np.interp(v, levels, np.repeat(x, 2)), dtype=np.float64)


def binned_cosines(
    coordinate: BulkCoordinate, edges: FloatArray, count: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The cosines for eigenvalues of which only the bin is known: averaged over the bin in v.

    Their expectation under the law is the integral of phi_k over v whatever the bins: binning makes no bias.

    Parameters
    ----------
    coordinate : BulkCoordinate
        Its floor, if any, must be an edge, or lie below or above all of them.
    edges : array of shape (bins + 1,)
        Increasing.
    count : int
        Number of cosines.

    Returns
    -------
    binned : array of shape (count, bins)
    at_zero : array of shape (count,)
        The values for eigenvalues at zero.
    expected : array of shape (count,)
        Exact averages under the law, bins below and above the edges included.
    """
    v = coordinate(edges)
    # the average of cos(k pi v) over [a, b] is its value in the middle times sinc(k (b - a)/2)
    orders = np.arange(1, count + 1)[:, None]
    binned: FloatArray = cosines(0.5 * (v[1:] + v[:-1]), count) * np.sinc(0.5 * orders * np.diff(v))
    floor = coordinate.floor_position
    at_zero = cosines(np.array(floor), count)
    inside = _integral(orders.ravel(), floor, 1.0)
    expected = (coordinate.zero_mass + (1.0 - coordinate.zero_mass) * floor) * at_zero
    return binned, at_zero, expected + (1.0 - coordinate.zero_mass) * inside


def _integral(orders: npt.NDArray[np.int64], start: float, stop: float) -> FloatArray:
    scaled = math.pi * orders
    values: FloatArray = math.sqrt(2.0) * (np.sin(scaled * stop) - np.sin(scaled * start)) / scaled
    return values
