"""Points solved before, from which the way to others is short.

Two rows of them: of the negative axis (laws on [0, oo)), and inside the bulk on the real axis, where every law is
analytic from above. Both border the upper half-plane, in which the way to any point does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray

__all__ = ["Waypoints"]

FloatArray = npt.NDArray[np.float64]

_MOST = 2048
_MOST_NUMBERS = 2**20


@dataclass(frozen=True)
class _Row:
    """Coordinates (log z, or z) with a common imaginary part, sorted, and the unknowns there, (size, k)."""

    imag: float
    places: FloatArray
    unknowns: ComplexArray

    def nearest(self, target: ComplexArray) -> tuple[npt.NDArray[np.intp], FloatArray]:
        """Index of and distance from the nearest of the points."""
        last = self.places.size - 1
        right = np.clip(np.searchsorted(self.places, target.real), 1, max(last, 1))
        left = right - 1
        right = np.minimum(right, last)
        to_left, to_right = np.abs(target.real - self.places[left]), np.abs(target.real - self.places[right])
        index = np.where(to_left <= to_right, left, right)
        distance: FloatArray = np.hypot(np.minimum(to_left, to_right), target.imag - self.imag)
        return index, distance

    def with_more(self, places: FloatArray, unknowns: ComplexArray) -> _Row:
        """The row with more points, as many as there is room for."""
        room = min(_MOST, _MOST_NUMBERS // unknowns.shape[0]) - self.places.size
        if room <= 0 or places.size == 0:
            return self
        every = -(-places.size // room)
        both, index = np.unique(np.concatenate([self.places, places[::every]]), return_index=True)
        values = np.concatenate([self.unknowns, unknowns[:, ::every]], axis=1)
        return _Row(self.imag, both, values[:, index])


class Waypoints:
    """The waypoints of one node of ``size`` unknowns; a row is replaced as a whole, so that threads may share them."""

    def __init__(self, size: int) -> None:
        self.turned, self.bulk = (
            _Row(imag, np.empty(0), np.empty((size, 0), dtype=complex)) for imag in (np.pi, 0.0)
        )

    def nearest(self, target: ComplexArray, far: float) -> tuple[ComplexArray, ComplexArray, FloatArray]:
        """(origin, unknowns there, how high to arch the way) of points nearest to targets, arrays of n points.

        Those of the bulk count up to the distance ``far``; where there is none origins are NaN.
        """
        n = target.size
        origin = np.full(n, np.nan, dtype=complex)
        unknowns = np.zeros((self.bulk.unknowns.shape[0], n), dtype=complex)
        height, best = np.zeros(n), np.full(n, np.inf)
        # a way along the real axis goes around the edges in between
        for row, limit, arch in ((self.turned, np.inf, 0.0), (self.bulk, far, 0.25)):
            if row.places.size:
                index, distance = row.nearest(target)
                better = (distance < best) & (distance <= limit)
                best[better] = distance[better]
                origin[better] = row.places[index[better]] + 1j * row.imag
                unknowns[:, better] = row.unknowns[:, index[better]]
                height[better] = arch * distance[better]
        return origin, unknowns, height
