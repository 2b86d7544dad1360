"""Laws given by quadrature: Gauss rules of discrete measures, and the leaf of a law that is an integral over atoms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet
from rmt.numeric.node import Leaf, Linearised, log1p_like_1_over_w, log_like_w

__all__ = ["QuadratureLeaf", "gauss_rule"]

FloatArray = npt.NDArray[np.float64]

# Sixteen Gauss–Legendre nodes integrate 1/(z - x) to rounding when z is this many node spacings away from the panel
# (Bernstein ellipse of parameter 3).
_CLEARANCE = 11.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_MAX_HALVINGS = 45
_BLOCK = 256  # points at a time: bounds the memory of (points, panels, nodes)
# Gauss rule of the law itself, used far from the support: error rho^(-2 n), rho the ellipse parameter of z.
_FAR_NODES = 16
_FAR_ELLIPSE = 3.4


def gauss_rule(x: npt.ArrayLike, weights: npt.ArrayLike, n: int) -> tuple[FloatArray, FloatArray]:
    """Gauss quadrature of the discrete measure ``sum weights_k delta_(x_k)``: n nodes, exact to degree 2n - 1.

    Lanczos with full reorthogonalisation (Gragg and Harwood 1984; Gautschi 2004, §2.2). Fewer nodes come back when
    the measure has fewer than n distinct points.
    """
    points = np.asarray(x, dtype=float)
    mass = np.asarray(weights, dtype=float)
    total = mass.sum()
    centre, scale = (points.max() + points.min()) / 2, (points.max() - points.min()) / 2
    if scale == 0 or n == 1:
        return np.array([np.sum(points * mass) / total]), np.array([total])
    t = (points - centre) / scale
    basis = [np.sqrt(mass / total)]
    diagonal: list[float] = []
    off: list[float] = []
    for _ in range(n):
        v = t * basis[-1]
        diagonal.append(float(v @ basis[-1]))
        for _repeat in range(2):
            for q in basis:
                v = v - (v @ q) * q
        norm = float(np.linalg.norm(v))
        if len(diagonal) == n or norm < 1e-13:
            break
        off.append(norm)
        basis.append(v / norm)
    k = len(diagonal)
    jacobi = np.diag(diagonal) + np.diag(off[: k - 1], 1) + np.diag(off[: k - 1], -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    return centre + scale * nodes, total * vectors[0] ** 2


class QuadratureLeaf(Leaf):
    """A law on [0, oo) carried by a function: that of x(t), t with density ``weight`` on the panels; unknown log z.

    ``x`` and ``weight`` are functions of t, analytic on every panel ``(left, right)``. Gauss–Legendre on each panel is
    exact to rounding for 1/(z - x(t)) while z stays a few node spacings away from the values on that panel; where it
    comes closer the panel is halved, for that point only, so the integral sees its pole however close to the real axis
    it lies. Far away a short Gauss rule of the whole law takes over.
    """

    positive = True

    def __init__(
        self,
        x: Callable[[FloatArray], FloatArray],
        weight: Callable[[FloatArray], FloatArray],
        panels: Sequence[tuple[float, float]],
    ) -> None:
        self.x, self.weight = x, weight
        self.panels = np.asarray(panels, dtype=float)
        values, masses = self._sample(self.panels)
        self.norm = float(masses.sum())
        self.values, self.masses = values, masses / self.norm
        self.spacing = _spacing(values)
        self.mean = float(np.sum(self.masses * values))
        self.variance = float(np.sum(self.masses * (values - self.mean) ** 2))
        self.lower, self.upper = float(values.min()), float(values.max())
        self.far = gauss_rule(values.ravel(), self.masses.ravel(), _FAR_NODES)

    def _sample(self, panels: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and masses at the nodes of panels, shapes (k, 16)."""
        half = (panels[:, 1:] - panels[:, :1]) / 2
        t = panels[:, :1] + half * (1 + _NODES)
        return self.x(t), half * _WEIGHTS * self.weight(t)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return log_z[np.newaxis]

    def _integrate(self, z: ComplexArray, integrand: Callable[[ComplexArray, FloatArray], list[ComplexArray]]) -> Any:
        """Integrals over the law of functions of (z, x), each of shape (n,)."""
        centre, half = (self.upper + self.lower) / 2, max((self.upper - self.lower) / 2, 1e-300)
        y = (z - centre) / half
        near = np.flatnonzero(np.abs(y + np.sqrt(y - 1) * np.sqrt(y + 1)) < _FAR_ELLIPSE)
        x, p = self.far
        out = [np.sum(p * value, axis=1) for value in integrand(z[:, np.newaxis], x)]
        if near.size == 0:
            return out
        for first in range(0, near.size, _BLOCK):
            index = near[first : first + _BLOCK]
            points = z[index]
            distance = np.abs(points[:, np.newaxis, np.newaxis] - self.values)
            close = np.any(distance < _CLEARANCE * self.spacing, axis=2)  # (points, panels)
            weights = np.where(close[:, :, np.newaxis], 0.0, self.masses)
            at = points[:, np.newaxis, np.newaxis]
            sums = [np.sum(weights * value, axis=(1, 2)) for value in integrand(at, self.values)]
            row, column = np.nonzero(close)
            panels = self.panels[column]
            for _ in range(_MAX_HALVINGS):
                if row.size == 0:
                    break
                middle = panels.mean(axis=1, keepdims=True)
                panels = np.concatenate(
                    [np.concatenate([panels[:, :1], middle], axis=1), np.concatenate([middle, panels[:, 1:]], axis=1)]
                )
                row = np.concatenate([row, row])
                values, masses = self._sample(panels)
                here = points[row][:, np.newaxis]
                fine = np.all(np.abs(here - values) >= _CLEARANCE * _spacing(values), axis=1)
                for target, value in zip(sums, integrand(here[fine], values[fine]), strict=True):
                    np.add.at(target, row[fine], np.sum(masses[fine] / self.norm * value, axis=1))
                row, panels = row[~fine], panels[~fine]
            else:
                for target in sums:
                    target[np.unique(row)] = np.nan
            for target, value in zip(out, sums, strict=True):
                target[index] = value
        return out

    def linearise(self, u: ComplexArray) -> Linearised:
        z = np.exp(u[0])

        def integrand(z: ComplexArray, x: FloatArray) -> list[ComplexArray]:
            resolvent = 1 / (z - x)
            kernel = x * resolvent
            return [kernel, z * resolvent, -z * kernel * resolvent]

        m, w, dm = self._integrate(z, integrand)
        log = log_like_w(-u[0].imag)
        log_w = log(w)
        log_s = log_w - log(z * m)
        return Linearised(Jet(m, w, log_s, dm, dm / w - dm / m - 1, -u[0] - log_s), log_w)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        # past arg z = pi the logarithms turn the other way
        turned = u[0].imag > np.pi
        z = np.where(turned, np.exp(u[0].conj()), np.exp(u[0]))

        def integrand(z: ComplexArray, x: FloatArray) -> list[ComplexArray]:
            return [log1p_like_1_over_w(-x / z, np.zeros(1))]

        (centred,) = self._integrate(z, integrand)
        out: ComplexArray = np.where(turned, centred.conj(), centred) + lin.inner
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        z = np.exp(u[0])
        # distance to the support, a segment: the law looks linear over a part of it
        beyond = np.maximum(np.maximum(z.real - self.upper, self.lower - z.real), 0.0)
        distance = np.hypot(beyond, z.imag)
        out: FloatArray = np.maximum(np.abs(du[0]), np.abs(du[0] * z) / np.maximum(distance, 1e-3 * self.upper))
        return out


def _spacing(values: FloatArray) -> FloatArray:
    """Local spacing of the values along each panel, shape (k, 16)."""
    return np.maximum(np.abs(np.gradient(values, axis=1)), 1e-300)
