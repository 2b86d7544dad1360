"""The leaf of a law with many atoms: sums over atoms as matrix products, in blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet, log_upper
from rmt.numeric.node import Leaf, Linearised, jet_of_g, log1p_like_1_over_w, log_like_w

__all__ = ["EmpiricalLeaf", "smoothed", "smoothed_intervals"]

FloatArray = npt.NDArray[np.float64]

# Numbers in a block.
_BLOCK = 1 << 17
_WARM_UP, _ITERATIONS = 6, 120
_NEIGHBOURS = 40


class EmpiricalLeaf(Leaf):
    """Atoms at increasing positions. The unknown is log z for laws on [0, oo), z itself otherwise.

    The formulas of `rmt.numeric.leaves.DiscreteLeaf`, for thousands of atoms.
    """

    def __init__(self, positions: FloatArray, masses: FloatArray) -> None:
        self.x, self.p = positions, masses
        self.positive = self.tracked = bool(positions[0] >= 0)
        self.mean = float(masses @ positions)
        self.variance = float(masses @ (positions - self.mean) ** 2)
        self.weights = np.stack([masses, masses * positions], axis=1)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return log_z[np.newaxis] if self.positive else z[np.newaxis]

    def blocks(self, count: int) -> Sequence[slice]:
        """Points to be treated together."""
        size = max(1, _BLOCK // self.x.size)
        return [slice(start, start + size) for start in range(0, count, size)]

    def sums(self, z: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]:
        """(G, m, dG/dz, dm/dz) of the atoms at ``z``, shape (n,)."""
        first = np.empty((z.size, 2), dtype=complex)
        second = np.empty_like(first)
        for block in self.blocks(z.size):
            height = z[block, np.newaxis].imag
            # in real numbers, a third of the time: 1/(z - x) = r (d - i h) with r = 1/(d**2 + h**2)
            d = z[block, np.newaxis].real - self.x
            r = d * d
            r += height * height
            np.reciprocal(r, out=r)
            d *= r
            inverse_square = r @ self.weights
            first[block] = d @ self.weights - 1j * height * inverse_square
            r *= d
            mixed = r @ self.weights
            d *= d
            # (z - x)**-2 = 2 (r d)**2 - r - 2 i h r**2 d
            second[block] = 2 * (d @ self.weights) - inverse_square - 2j * height * mixed
        return first[:, 0], first[:, 1], -second[:, 0], -second[:, 1]

    def linearise(self, u: ComplexArray) -> Linearised:
        z = np.exp(u[0]) if self.positive else u[0]
        g, m, dg, slope = self.sums(z)
        if not self.positive:
            return Linearised(jet_of_g(g, dg, m, slope, positive=False))
        log = log_like_w(-u[0].imag)
        w = z * g
        log_w = log(w)
        log_s = log_w - log(z * m)
        dm = z * slope
        return Linearised(Jet(m, w, log_s, dm, dm / w - dm / m - 1, -u[0] - log_s), log_w)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        out = np.empty(u.shape[1], dtype=complex)
        for block in self.blocks(out.size):
            part = u[0][block, np.newaxis]
            if self.positive:
                # Phi - log z and log w are both small when z is far from the atoms
                terms = log1p_like_1_over_w(-self.x / np.exp(part), part.imag)
            else:
                terms = log_upper(part - self.x)
            out[block] = terms @ self.p
        return out + (lin.inner if self.positive else lin.jet.log_g)

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        z = np.exp(u[0]) if self.positive else u[0]
        step = np.abs(du[0] * (z if self.positive else 1))
        after = np.clip(np.searchsorted(self.x, z.real), 1, self.x.size - 1) if self.x.size > 1 else np.zeros(1, int)
        gap = np.minimum(np.abs(z - self.x[after]), np.abs(z - self.x[after - 1]))
        out: FloatArray = np.maximum(step / gap, np.abs(du[0]) if self.positive else 0.0)
        return out


def smoothed(
    leaf: EmpiricalLeaf, variance: float, x: FloatArray
) -> tuple[ComplexArray, FloatArray, npt.NDArray[np.bool_]]:
    """(G, P(X <= x), resolved) of the free sum of the atoms and a centred semicircle law, at points of its intervals.

    The subordination point w solves ``w + variance G(w) = x``, and there is only one solution with Im w > 0 (Biane
    1997): whatever Newton finds there is right. Where it leaves the upper half-plane the step is one of the averaged
    fixed-point iteration, which does not.
    """
    w = x + 1j * np.sqrt(variance)
    live = np.arange(x.size)
    for iteration in range(_ITERATIONS):
        here = w[live]
        g, _, dg, _ = leaf.sums(here)
        target = x[live] - variance * g
        newton = here + (target - here) / (1 + variance * dg)
        safe = (newton.imag > 0.1 * here.imag) & (iteration >= _WARM_UP)
        w[live] = np.where(safe, newton, (here + target) / 2)
        live = live[~(safe & (np.abs(w[live] - here) < 1e-14 * np.abs(here)))]
        if live.size == 0:
            break
    g, _, dg, _ = leaf.sums(w)
    error = np.abs((x - w - variance * g) / (1 + variance * dg))
    resolved = error < 1e-9 * w.imag
    potential = np.empty(x.size, dtype=complex)
    for block in leaf.blocks(x.size):
        potential[block] = log_upper(w[block, np.newaxis] - leaf.x) @ leaf.p
    return g, 1 - (potential + variance * g * g / 2).imag / np.pi, resolved


def smoothed_intervals(x: FloatArray, p: FloatArray, variance: float) -> list[tuple[float, float, float]]:
    """Intervals (lower, upper, mass) of the free sum of atoms (increasing ``x``, masses ``p``) and a semicircle law.

    With the subordination point w on the real axis, ``z = w + variance G(w)`` and ``dz/dw = 1 - variance A(w)``,
    ``A = sum p/(w - x)**2`` convex between neighbouring atoms: outside the intervals A < 1/variance, so that an edge is
    where A = 1/variance (derived here; Biane 1997).
    """
    limit = 1 / variance

    def a(w: FloatArray, power: int) -> FloatArray:
        out = np.empty(w.shape)
        size = max(1, 2 * _BLOCK // x.size)
        for start in range(0, w.size, size):
            block = slice(start, start + size)
            inverse = 1 / (w[block, np.newaxis] - x)
            values = inverse.copy()
            for _ in range(power - 1):
                values *= inverse
            out[block] = values @ p
        return out

    def root(inside: FloatArray, outside: FloatArray, value: FloatArray | float, power: int) -> FloatArray:
        """Where the sum crosses a value between points at which it is above (``inside``) and below it."""
        for _ in range(64):
            middle = (inside + outside) / 2
            above = a(middle, power) > value
            inside, outside = np.where(above, middle, inside), np.where(above, outside, middle)
        return outside

    # a lower bound of A on each gap, from the two neighbours and some more on each side: few gaps remain
    least = 8 * np.minimum(p[1:], p[:-1]) / (x[1:] - x[:-1]) ** 2
    for k in range(1, min(_NEIGHBOURS, x.size - 1)):
        least[k:] += p[: -k - 1] / (x[k + 1 :] - x[: -k - 1]) ** 2
        least[:-k] += p[k + 1 :] / (x[k + 1 :] - x[: -k - 1]) ** 2
    wide = np.flatnonzero(least < limit)
    low, high = x[wide], x[wide + 1]
    # A' = -2 sum p/(w - x)**3 rises from -oo to oo in each
    lowest = root(low.copy(), high.copy(), 0.0, 3) if wide.size else low
    open_ = a(lowest, 2) < limit if wide.size else np.zeros(0, dtype=bool)
    low, high, lowest = low[open_], high[open_], lowest[open_]
    reach = np.sqrt(variance)
    starts = np.concatenate([root(x[:1], x[:1] - 1.001 * reach, limit, 2), root(high, lowest, limit, 2)])
    ends = np.concatenate([root(low, lowest, limit, 2), root(x[-1:], x[-1:] + 1.001 * reach, limit, 2)])

    def z(w: FloatArray) -> FloatArray:
        return w + variance * a(w, 1)

    # an interval has the mass of the atoms it came from
    below = np.concatenate([[0.0], np.cumsum(p)])
    masses = below[np.searchsorted(x, ends)] - below[np.searchsorted(x, starts)]
    return list(zip(z(starts).tolist(), z(ends).tolist(), masses.tolist(), strict=True))
