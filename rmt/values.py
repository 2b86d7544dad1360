"""What is known of a law at some points, and its interpolation across an atom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["STENCIL", "AroundAtom", "Values"]

FloatArray = npt.NDArray[np.float64]

# Points beside an atom that the continuous part is interpolated from, in units of the innermost distance.
STENCIL = np.array([-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0])

_COLUMNS = ("density", "tail", "error", "residual")


class Values:
    """Density, P(X > x) off the potential, error of the density and residual at some points; NaN where unresolved."""

    def __init__(self, count: int) -> None:
        self.density, self.error, self.residual = (np.zeros(count) for _ in range(3))
        self.tail = np.full(count, np.nan)

    def put(self, index: npt.NDArray[np.bool_ | np.intp], other: Values) -> None:
        """Take over the values of another set at some places."""
        for name in _COLUMNS:
            getattr(self, name)[index] = getattr(other, name)

    def chosen(self, index: npt.NDArray[np.bool_]) -> Values:
        """The values at some of the points."""
        out = Values(int(np.sum(index)))
        for name in _COLUMNS:
            setattr(out, name, getattr(self, name)[index])
        return out


@dataclass(frozen=True)
class AroundAtom:
    """The continuous part solved at ``STENCIL * unit`` beside an atom of this mass, without that mass in the tail."""

    unit: float
    mass: float
    stencil: Values

    def interpolated(self, distance: FloatArray) -> Values:
        """The continuous part, and P(X > x), at signed distances from the atom."""
        t = distance / self.unit
        weights, coarse = _lagrange(STENCIL, t), np.zeros((t.size, STENCIL.size))
        coarse[:, 1:-1] = _lagrange(STENCIL[1:-1], t)
        out = Values(t.size)
        out.density = weights @ self.stencil.density
        out.tail = weights @ self.stencil.tail + self.mass * (t < 0)
        out.error = np.max(self.stencil.error) + np.abs((weights - coarse) @ self.stencil.density)
        out.residual[:] = np.max(self.stencil.residual)
        return out


def _lagrange(nodes: FloatArray, t: FloatArray) -> FloatArray:
    """Weights, shape (t, nodes), of the polynomial interpolation from the nodes to t."""
    out = np.ones((t.size, nodes.size))
    for k, node in enumerate(nodes):
        others = np.delete(nodes, k)
        out[:, k] = np.prod((t[:, np.newaxis] - others) / (node - others), axis=1)
    return out
