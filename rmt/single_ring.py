"""Eigenvalues of R-diagonal elements: the single-ring theorem."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.continuation import solve
from rmt.numeric.jet import Jet
from rmt.results import ConvergenceError, PreconditionError

if TYPE_CHECKING:
    from rmt.law import Law

__all__ = ["SingleRing"]

FloatArray = npt.NDArray[np.float64]

# Decades of -z over which the ring is tabulated on both sides of the law's own scale, and points of the table.
_DECADES = 30.0
_POINTS = 481
_STEPS = 40


@dataclass(frozen=True)
class SingleRing:
    """Radial law of the eigenvalues of an R-diagonal J, given the law of J Jᵀ (``law``).

    The Brown measure is rotationally symmetric, supported on a ring, and ``P(|lambda| <= r) = 1 + m`` where
    ``S(m) = 1/r**2``, m in (-1, 0) (Haagerup and Larsen, Brown's spectral distribution measure for R-diagonal elements,
    2000; Feinberg and Zee 1997; for matrices Guionnet, Krishnapur and Zeitouni, The single ring theorem, 2011).

    Attributes
    ----------
    inner, outer : float
        Radii ``(E 1/x)**(-1/2)`` (0 where that is infinite) and ``(E x)**(1/2)``.
    atom : float
        Mass at the origin, that of J Jᵀ at 0.
    """

    law: Law

    def __post_init__(self) -> None:
        if not self.law.numeric.positive:
            raise PreconditionError("single_ring: the law of J Jᵀ lives on [0, oo); this one has negative support")

    @cached_property
    def atom(self) -> float:
        """Mass at the origin."""
        return float(sum(p for x, p in self.law._atoms().items() if float(x) == 0))

    @cached_property
    def outer(self) -> float:
        """Outer radius."""
        return math.sqrt(float(self.law.mean()))

    @cached_property
    def inner(self) -> float:
        """Inner radius."""
        if self.atom > 0:
            return 0.0
        try:
            return 1 / math.sqrt(float(self.law.inverse().moment(1)))
        except PreconditionError:  # E 1/x is infinite
            return 0.0

    @cached_property
    def _thin(self) -> bool:
        """Whether the ring is a circle: J is a multiple of a Haar matrix."""
        return self.outer - self.inner < 1e-12 * self.outer

    @cached_property
    def _table(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """log(-z), log r and log(P(|lambda| <= r) - atom) along the negative axis, each increasing."""
        size = math.log(float(self.law.mean()))
        t = size + np.linspace(-_DECADES, _DECADES, _POINTS) * math.log(10)
        jet, resolved = self._at(t, insist=False)
        log_r = -jet.log_s.real / 2
        share = jet.w.real - self.atom
        good = resolved & np.isfinite(log_r) & (share > 1e-15)
        keep = np.flatnonzero(good)
        return t[keep], np.maximum.accumulate(log_r[keep]), np.maximum.accumulate(np.log(share[keep]))

    def _at(self, t: FloatArray, insist: bool = True) -> tuple[Jet, npt.NDArray[np.bool_]]:
        solution = solve(self.law.numeric, -np.exp(t) + 0j, insist=insist)
        return self.law.numeric.linearise(solution.unknowns).jet, solution.converged

    def _located(self, wanted: FloatArray, by_radius: bool) -> Jet:
        """The law's jet where the radius, or the share of the mass, has the wanted value: safeguarded Newton steps."""
        table_t, table_r, table_share = self._table
        table = table_r if by_radius else table_share
        place = np.clip(np.searchsorted(table, wanted), 1, table.size - 1)
        low, high = table_t[place - 1], table_t[place]
        t = np.clip(np.interp(wanted, table, table_t), low, high)
        live = np.arange(wanted.size)
        for _ in range(_STEPS):
            jet, resolved = self._at(t[live])
            if not np.all(resolved):
                raise ConvergenceError(f"single_ring of {self.law!r}: the negative axis was not resolved")
            dlog_z = jet.dlog_z.real
            if by_radius:
                value, slope = -jet.log_s.real / 2, -(jet.dlog_s.real / 2) / dlog_z
            else:
                share = jet.w.real - self.atom
                value, slope = np.log(share), jet.dm.real / dlog_z / share
            gap = wanted[live] - value
            low[live], high[live] = np.where(gap > 0, t[live], low[live]), np.where(gap > 0, high[live], t[live])
            with np.errstate(all="ignore"):
                step = t[live] + gap / slope
            inside = (step >= low[live]) & (step <= high[live])
            new = np.where(inside, step, (low[live] + high[live]) / 2)
            moving = (np.abs(new - t[live]) > 4e-15 * np.maximum(1.0, np.abs(new))) & (np.abs(gap) > 1e-15)
            t[live] = new
            live = live[moving]
            if live.size == 0:
                break
        return self._at(t)[0]

    def cdf(self, r: npt.ArrayLike) -> Any:
        """P(|lambda| <= r), same shape as ``r``."""
        radii = np.asarray(r, dtype=float)
        flat = radii.ravel()
        out = np.where(flat >= self.outer, 1.0, np.where(flat >= 0, self.atom, 0.0))
        within = (flat > self.inner) & (flat < self.outer)
        if np.any(within) and not self._thin:
            jet = self._located(np.log(flat[within]), by_radius=True)
            out[within] = np.clip(jet.w.real, 0.0, 1.0)
        return float(out[0]) if radii.ndim == 0 else out.reshape(radii.shape)

    def pdf(self, r: npt.ArrayLike) -> Any:
        """Density of the modulus at ``r`` (same shape), without the atom; that in the plane is ``pdf(r)/(2 pi r)``."""
        radii = np.asarray(r, dtype=float)
        flat = radii.ravel()
        out = np.zeros(flat.shape)
        within = (flat > self.inner) & (flat < self.outer)
        if np.any(within) and not self._thin:
            jet = self._located(np.log(flat[within]), by_radius=True)
            # dF = dm and d log S = -2 dr/r
            out[within] = -2 * (jet.dm / jet.dlog_s).real / flat[within]
        return float(out[0]) if radii.ndim == 0 else out.reshape(radii.shape)

    def ppf(self, q: npt.ArrayLike) -> Any:
        """Quantiles of the modulus (same shape as ``q``): ``S(q - 1)**(-1/2)`` above the atom."""
        levels = np.asarray(q, dtype=float)
        if not np.all((levels >= 0) & (levels <= 1)):
            raise ValueError("q: probabilities must lie in [0, 1]")
        flat = levels.ravel()
        out = np.where(flat <= self.atom, 0.0 if self.atom else self.inner, self.outer)
        within = (flat > self.atom) & (flat < 1)
        if np.any(within) and not self._thin:
            jet = self._located(np.log(flat[within] - self.atom), by_radius=False)
            out[within] = np.clip(np.exp(-jet.log_s.real / 2), self.inner, self.outer)
        return float(out[0]) if levels.ndim == 0 else out.reshape(levels.shape)

    def rvs(
        self, size: int | tuple[int, ...] | None = None, *, rng: np.random.Generator | int | None = None
    ) -> Any:
        """Independent complex numbers with this law (not eigenvalues of one matrix: those repel)."""
        generator = np.random.default_rng(rng)
        angle = 2 * np.pi * generator.random(size)
        return self.ppf(generator.random(size)) * np.exp(1j * angle)
