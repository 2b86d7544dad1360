"""The law of given eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.laws.semicircle import Semicircle
from rmt.numeric.convolutions import SumNode
from rmt.numeric.empirical import EmpiricalLeaf, smoothed, smoothed_intervals
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, normalised, parameter_repr
from rmt.results import PreconditionError
from rmt.series import free_cumulants_to_moments, moments_to_free_cumulants
from rmt.support import Edge

__all__ = ["Empirical"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Spacings over which "auto" smooths, see `Empirical`.
_AUTO_SPACINGS = 5.0


@dataclass(frozen=True, repr=False)
class Empirical(Law):
    """Law of measured eigenvalues: an atom of mass 1/n at each, equal ones merged, smoothed on demand.

    Smoothing is the free sum with a semicircle law of standard deviation ``smoothing``: the law of the matrix plus a
    free Gaussian matrix of that size, hence a law as any other, with a density. At a place of density rho it averages
    over ``pi smoothing**2 rho`` (the imaginary part of the subordination point), more where eigenvalues are dense; the
    variance grows by ``smoothing**2``. Eigenvalues on [0, oo) may be smoothed below 0.

    Parameters
    ----------
    samples : array_like of n real numbers
        In any order and shape. Integers, fractions and sympy numbers stay exact.
    smoothing : number > 0, or "auto", optional
        Standard deviation of the semicircle law; "auto" takes ``2 iqr sqrt(5/(pi n))``, iqr the distance of the
        quartiles, which averages over five spacings of eigenvalues at the density 1/(2 iqr).

    Raises
    ------
    ValueError
        If there is no sample, one is not a finite real number, or ``smoothing`` is not positive.
    PreconditionError
        If ``smoothing="auto"`` and half of the samples are equal.

    Examples
    --------
    >>> law = Empirical([3, 1, 1, 2])
    >>> law.mean(), law.cdf(1)
    (Fraction(7, 4), 0.5)
    """

    samples: tuple[Any, ...]
    smoothing: Any = None

    def __init__(self, samples: Iterable[Any], smoothing: Any = None) -> None:
        values = np.ravel(samples).tolist() if isinstance(samples, np.ndarray) else _flat(samples)
        if not values:
            raise ValueError("samples: empty; give at least one eigenvalue")
        for index, value in enumerate(values):
            check_number(f"samples[{index}]", value)
        if smoothing is not None and not (isinstance(smoothing, str) and smoothing == "auto"):
            check_number("smoothing", smoothing, above=0)
        object.__setattr__(self, "samples", tuple(sorted(values, key=float)))
        object.__setattr__(self, "smoothing", smoothing)

    def __repr__(self) -> str:
        values = ", ".join(parameter_repr(x) for x in self.samples)
        return f"Empirical([{values}]{'' if self.smoothing is None else f', smoothing={self.smoothing!r}'})"

    @cached_property
    def _counts(self) -> dict[Any, int]:
        out: dict[Any, int] = {}
        for x in self.samples:
            out[x] = out.get(x, 0) + 1
        return out

    @cached_property
    def _numbers(self) -> tuple[FloatArray, FloatArray]:
        positions = np.array([as_float(x, "samples") for x in self._counts])
        return positions, np.array(list(self._counts.values())) / len(self.samples)

    @cached_property
    def bandwidth(self) -> float | None:
        """Standard deviation of the semicircle law that smooths, or None."""
        if self.smoothing is None:
            return None
        if self.smoothing != "auto":
            return as_float(self.smoothing, "smoothing")
        positions, masses = self._numbers
        lower, upper = positions[np.searchsorted(np.cumsum(masses), [0.25 - 1e-12, 0.75 - 1e-12])]
        if lower == upper:
            raise PreconditionError(
                'smoothing="auto": half of the samples are equal, which gives no scale; give a number'
            )
        return float(2 * (upper - lower) * math.sqrt(_AUTO_SPACINGS / (math.pi * len(self.samples))))

    def _node(self) -> Node:
        return self._leaf if self.bandwidth is None else SumNode([self._leaf, Semicircle(self.bandwidth**2).numeric])

    def _atoms(self) -> dict[Any, Any]:
        if self.smoothing is not None:
            return {}
        n = len(self.samples)
        return {x: count / n if isinstance(x, float) else normalised(Fraction(count, n)) for x, count in
                self._counts.items()}

    def _moments_series(self, n: int) -> list[Any]:
        size = len(self.samples)
        moments: list[Any] = []
        for k in range(1, n + 1):
            if all(isinstance(x, float) for x in self._counts):
                moments.append(math.fsum(count * x**k for x, count in self._counts.items()) / size)
            else:
                moments.append(normalised(sum(count * x**k for x, count in self._counts.items()) * Fraction(1, size)))
        if self.bandwidth is None:
            return moments
        cumulants = moments_to_free_cumulants(moments)
        return free_cumulants_to_moments([k + (self.bandwidth**2 if i == 1 else 0) for i, k in enumerate(cumulants)])

    @cached_property
    def _intervals(self) -> list[tuple[float, float, float]]:
        """(lower, upper, mass) of each interval of the smoothed law."""
        return [] if self.bandwidth is None else smoothed_intervals(*self._numbers, self.bandwidth**2)

    def _edges(self) -> tuple[Edge, ...]:
        half = Fraction(1, 2)
        return tuple(
            edge
            for lower, upper, _ in self._intervals
            for edge in (Edge(lower, half, "lower"), Edge(upper, half, "upper"))
        )

    @cached_property
    def _leaf(self) -> EmpiricalLeaf:
        return EmpiricalLeaf(*self._numbers)

    def _has(self, question: str, method: str) -> bool:
        if (question, method) == ("cauchy", "closed_form") and self.smoothing is not None:
            return False
        return super()._has(question, method)

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        if self.bandwidth is None:
            return np.zeros(x.shape)
        g, _, resolved = smoothed(self._leaf, self.bandwidth**2, x)
        return np.where(resolved, -g.imag / np.pi, np.nan)

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        if self.bandwidth is None:
            positions, _ = self._numbers
            counts = np.concatenate([[0], np.cumsum(list(self._counts.values()))])
            return np.asarray(counts[np.searchsorted(positions, x, side="right")] / len(self.samples))
        lower, upper, masses = (np.array(column) for column in zip(*self._intervals, strict=True))
        place = np.searchsorted(upper, x, side="right")
        out = np.concatenate([[0.0], np.cumsum(masses)])[place]
        inside = x > np.append(lower, np.inf)[place]
        if np.any(inside):
            _, cdf, resolved = smoothed(self._leaf, self.bandwidth**2, x[inside])
            out[inside] = np.where(resolved, cdf, np.nan)
        return np.asarray(out)

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        return self._leaf.sums(z)[0]

    def _log_moment(self) -> float:
        if self.bandwidth is not None:
            return super()._log_moment()
        x, p = self._numbers
        return float(p @ np.log(np.abs(x)))


def _flat(values: Iterable[Any]) -> list[Any]:
    """A list of numbers, nested or not; exact numbers keep their type."""
    out: list[Any] = []
    for value in values:
        if isinstance(value, np.generic):
            out.append(value.item())
        elif isinstance(value, Iterable) and not isinstance(value, str):
            out.extend(_flat(value))
        else:
            out.append(value)
    return out
