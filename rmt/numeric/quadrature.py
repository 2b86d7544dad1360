"""Laws given by quadrature: Gauss rules of discrete measures, and the leaf of a law that is an integral over atoms."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet
from rmt.numeric.nodes import Leaf, Linearised, log1p_like_1_over_w, log_like_w

__all__ = ["QuadratureLeaf", "gauss_rule"]

FloatArray = npt.NDArray[np.float64]

# A composite Gauss–Legendre rule with 16 nodes a panel integrates 1/(z - x) to rounding when z is this many local
# node spacings away (Bernstein ellipse of parameter 3).
_CLEARANCE = 11.0
_MAX_LEVEL = 9
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
    """A law on [0, oo) known as an integral over atoms; the unknown is log z.

    ``rule(level)`` returns positions and masses, the positions ordered along the curve that they sample, twice as
    dense at each next level. For each point the level is chosen by its distance to the nearest position in units of
    the spacing there, so the integral sees its pole; far away a short Gauss rule of the whole law takes over.
    """

    positive = True

    def __init__(self, rule: Callable[[int], tuple[FloatArray, FloatArray]]) -> None:
        self.rule = cache(rule)
        x, p = self.rule(0)
        self.mean = float(np.sum(p * x))
        self.variance = float(np.sum(p * (x - self.mean) ** 2))
        self.lower, self.upper = float(x.min()), float(x.max())
        self.far = gauss_rule(x, p, _FAR_NODES)
        self.spacing = np.maximum(np.abs(np.gradient(x)), 1e-300)

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return log_z[np.newaxis]

    def _levels(self, z: ComplexArray) -> npt.NDArray[np.int64]:
        centre, half = (self.upper + self.lower) / 2, (self.upper - self.lower) / 2
        y = (z - centre) / half
        root = np.sqrt(y - 1) * np.sqrt(y + 1)
        ellipse = np.abs(y + root)
        near = np.flatnonzero(ellipse < _FAR_ELLIPSE)
        levels = np.full(z.shape, -1)
        x, _ = self.rule(0)
        # Nodes crowd where the sampled curve is flat (an extremum or a saturation of the function that carries the
        # law): there the spacing is small and so is its reach.
        clearance = np.array([np.min(np.abs(zk - x) / self.spacing) for zk in z[near]])
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = np.ceil(np.log2(_CLEARANCE / clearance))
        levels[near] = np.clip(np.nan_to_num(wanted, nan=_MAX_LEVEL, posinf=_MAX_LEVEL), 0, _MAX_LEVEL)
        return levels

    def _by_level(
        self, z: ComplexArray, integrand: Callable[[ComplexArray, FloatArray, FloatArray], tuple[ComplexArray, ...]]
    ) -> list[ComplexArray]:
        """Evaluate integrands at points grouped by the level that each needs."""
        levels = self._levels(z)
        out: list[ComplexArray] = []
        for level in np.unique(levels):
            index = np.flatnonzero(levels == level)
            x, p = self.far if level < 0 else self.rule(int(level))
            values = integrand(z[index], x[:, np.newaxis], p[:, np.newaxis])
            if not out:
                out = [np.empty(z.shape, dtype=complex) for _ in values]
            for target, value in zip(out, values, strict=True):
                target[index] = value
        return out

    def linearise(self, u: ComplexArray) -> Linearised:
        z = np.exp(u[0])

        def integrand(z: ComplexArray, x: FloatArray, p: FloatArray) -> tuple[ComplexArray, ...]:
            resolvent = 1 / (z - x)
            kernel = p * resolvent
            weighted = x * kernel
            return np.sum(weighted, axis=0), z * np.sum(kernel, axis=0), -z * np.sum(weighted * resolvent, axis=0)

        m, w, dm = self._by_level(z, integrand)
        log = log_like_w(-u[0].imag)
        log_w = log(w)
        log_s = log_w - log(z * m)
        return Linearised(Jet(m, w, log_s, dm, dm / w - dm / m - 1, -u[0] - log_s), log_w)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        arg = u[0].imag

        def integrand(z: ComplexArray, x: FloatArray, p: FloatArray) -> tuple[ComplexArray, ...]:
            turned = np.mod(np.angle(z), 2 * np.pi) if np.any(arg > np.pi) else np.angle(z)
            return (np.sum(p * log1p_like_1_over_w(-x / z, turned), axis=0),)

        (centred,) = self._by_level(np.exp(u[0]), integrand)
        out: ComplexArray = centred + lin.inner
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> np.ndarray[Any, np.dtype[np.float64]]:
        z = np.exp(u[0])
        # distance to the support, a segment: the law looks linear over a part of it
        beyond = np.maximum(np.maximum(z.real - self.upper, self.lower - z.real), 0.0)
        distance = np.hypot(beyond, z.imag)
        return np.maximum(np.abs(du[0]), np.abs(du[0] * z) / np.maximum(distance, 1e-3 * self.upper))
