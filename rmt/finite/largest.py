"""The largest eigenvalue of an ensemble of finite size: Tracy–Widom limits with good constants, and exact laws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmt.finite.levels import no_node, panels, quantiles_by_tails, upper_tail
from rmt.finite.soft_edge import gauss_legendre
from rmt.finite.tracy_widom import TracyWidom
from rmt.law import Law
from rmt.numeric.node import Node
from rmt.results import PreconditionError
from rmt.support import Edge

if TYPE_CHECKING:
    from rmt.finite.gaussian import GOE, GUE
    from rmt.finite.wishart import Wishart

__all__ = ["EdgeScaling", "LargestEigenvalue", "edge_scaling", "largest_law"]

FloatArray = npt.NDArray[np.float64]

_ORDER = 60  # of the Gauss–Legendre rule of the determinants
_DECAY = 41.0  # the kernel is cut where the density has fallen by exp(-41) = 1e-18
_MEMORY = 4_000_000  # numbers held at a time


@dataclass(frozen=True)
class EdgeScaling:
    """The largest eigenvalue is close to ``centre + scale * X``, X with the law ``TracyWidom(beta)``."""

    beta: int
    centre: float
    scale: float

    def standardised(self, x: npt.ArrayLike) -> Any:
        """Largest eigenvalues in Tracy–Widom units, ``(x - centre)/scale`` (same shape)."""
        return (np.asarray(x, dtype=float) - self.centre) / self.scale


def edge_scaling(ensemble: GUE | GOE | Wishart) -> EdgeScaling:
    """Centre and scale of the largest eigenvalue of `GUE`, `GOE` or `Wishart`.

    The constants are those for which the distribution function is within O(n^(-2/3)) of its limit, n the (smaller)
    size. GUE: 2 and n^(-2/3). GOE: ``2 sqrt(1 - 1/(2 n))`` and ``n^(-1/2) (n - 1/2)^(-1/6)`` (Johnstone and Ma 2012).
    Complex Wishart: ``(sqrt p + sqrt n)^2/n`` and ``(sqrt p + sqrt n) (1/sqrt p + 1/sqrt n)^(1/3)/n`` (Johansson 2000;
    El Karoui 2006). Real Wishart: the same with p - 1/2 and n - 1/2 but for the division by n (Ma 2012, after
    Johnstone 2001). For p-values far below 1e-16 ask ``TracyWidom(beta).sf`` at the standardised eigenvalue.

    Raises
    ------
    TypeError
        For anything else.
    """
    constants = getattr(ensemble, "_edge_constants", None)
    if constants is None:
        raise TypeError(f"ensemble={ensemble!r}: expected GUE(n), GOE(n) or Wishart(p, n, beta)")
    return EdgeScaling(*constants())


def largest_law(ensemble: GUE | GOE | Wishart, method: str) -> Law:
    """Law of the largest eigenvalue by one of two methods, ``limit`` or ``exact``.

    Raises
    ------
    ValueError
        For another method.
    PreconditionError
        If ``exact`` is asked of a real ensemble.
    """
    if method == "exact":
        return LargestEigenvalue(ensemble)  # type: ignore[arg-type]  # which refuses real ensembles
    if method != "limit":
        raise ValueError(f"method={method!r}: expected 'limit' or 'exact'")
    scaling = edge_scaling(ensemble)
    return TracyWidom(scaling.beta) * scaling.scale + scaling.centre


@dataclass(frozen=True, repr=False)
class LargestEigenvalue(Law):
    """Exact law of the largest eigenvalue of ``GUE(n)`` or ``Wishart(p, n, beta=2)``.

    ``P(largest <= x) = det(1 - K)`` on (x, oo), ``K(x, y) = sum f_k(x) f_k(y)`` over the orthonormal functions of the
    ensemble, by Gauss–Legendre quadrature (Bornemann 2010), the density from the resolvent at x. The upper tail, `sf`,
    keeps its digits; the lower one has an absolute error of about 1e-15.

    Raises
    ------
    PreconditionError
        If the ensemble has real entries: its distribution function is no determinant of a scalar kernel.
    """

    ensemble: GUE | Wishart

    def __post_init__(self) -> None:
        if edge_scaling(self.ensemble).beta != 2:
            raise PreconditionError(
                f"the exact law of the largest eigenvalue of {self.ensemble!r} is not available: complex entries only; "
                "use method='limit'"
            )

    def _node(self) -> Node:
        raise no_node(repr(self), "the limit law of the matrix whose largest eigenvalue this is")

    def _has(self, question: str, method: str) -> bool:
        if question in ("pdf", "cdf"):
            return method == "closed_form"
        return method == "quadrature"

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _edges(self) -> tuple[Edge, ...]:
        lower, levels = self._lower, self.ensemble._levels
        # all levels next to 0: their density and their repulsion
        exponent = None if lower < 0 else levels[0] * (levels[0] + levels[1]) - 1
        return (Edge(lower, exponent, "lower"), Edge(math.inf, None, "upper"))

    def _moments_series(self, n: int) -> list[Any]:
        raise NotImplementedError(f"the moments of {self!r} have no closed form; use method='quadrature'")

    @property
    def _lower(self) -> float:
        return self.ensemble.support().lower if not self.ensemble._atoms() else 0.0

    @cached_property
    def _range(self) -> tuple[float, float]:
        """Where the mass lies but for 1e-18."""
        scaling = edge_scaling(self.ensemble)
        low = max(self._lower, scaling.centre - 11 * scaling.scale)
        return low, float(self._cut(np.array([scaling.centre]))[0])

    @cached_property
    def _fall(self) -> tuple[FloatArray, FloatArray]:
        """Points from the centre of the edge outwards, and how far the logarithm of the level density has fallen."""
        scaling = edge_scaling(self.ensemble)
        x = scaling.centre + scaling.scale * np.concatenate([np.arange(0, 20, 0.25), 20 * 1.05 ** np.arange(200)])
        density = self.ensemble._pdf_closed_form(x)
        kept = density > 0
        return x[kept], -np.log(density[kept] / density[0])

    def _cut(self, x: FloatArray) -> FloatArray:
        """Where the kernel has become negligible against its value at x."""
        at, fall = self._fall
        out: FloatArray = np.interp(np.interp(x, at, fall) + _DECAY, fall, at)
        return out

    def _logarithms(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pairs (log F, (log F)')."""
        log_cdf, slope = np.full(x.shape, -np.inf), np.zeros(x.shape)
        low, last = self._range[0], self._fall[0][-1]
        log_cdf[x >= last] = 0.0
        inside = np.flatnonzero((x > low) & (x < last))
        size = max(1, _MEMORY // (_ORDER * self.ensemble._levels[0]))
        for first in range(0, inside.size, size):
            block = inside[first : first + size]
            log_cdf[block], slope[block] = self._determinants(x[block])
        return log_cdf, slope

    def _determinants(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        nodes, weights = gauss_legendre(_ORDER)
        half = ((self._cut(x) - x) / 2)[:, np.newaxis]
        points = np.concatenate([x[:, np.newaxis], x[:, np.newaxis] + half * (1 + nodes)], axis=1)
        scale = np.concatenate([np.ones((x.size, 1)), np.sqrt(half * weights)], axis=1)
        functions = np.moveaxis(self.ensemble._orbitals(points) * scale, 0, -1)
        kernel = functions @ np.swapaxes(functions, 1, 2)
        values, vectors = np.linalg.eigh(kernel[:, 1:, 1:])
        values = np.minimum(values, np.nextafter(1, 0))
        log_cdf = np.sum(np.log1p(-values), axis=1)
        components = np.einsum("nij,ni->nj", vectors, kernel[:, 1:, 0]) ** 2
        return log_cdf, kernel[:, 0, 0] + np.sum(components / (1 - values), axis=1)

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        log_cdf, slope = self._logarithms(x)
        out: FloatArray = np.exp(log_cdf) * slope
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        out: FloatArray = np.exp(self._logarithms(x)[0])
        return out

    def sf(self, x: npt.ArrayLike) -> Any:
        """P(largest > x), with all its digits however small (same shape as ``x``): a p-value."""
        return upper_tail(lambda points: self._logarithms(points)[0], x)

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        scaling = edge_scaling(self.ensemble)
        low, last = self._range[0], self._fall[0][-1]
        grid = np.unique(np.concatenate([np.linspace(low, scaling.centre, 40), self._fall[0][4::8], [last]]))
        return quantiles_by_tails(self._logarithms, grid, q, self._lower)

    @cached_property
    def _rule(self) -> tuple[FloatArray, FloatArray]:
        x, w = panels(*self._range, 12)
        return x, w * self._pdf_closed_form(x)

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        return self._rule
