"""Progress of a run: a bar in the terminal or notebook, calls, or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from validation.store import Columns

__all__ = ["Progress", "Reporter"]

FloatArray = npt.NDArray[np.float64]
Progress = bool | Callable[[int, int], None]


class Reporter:
    """Progress as a bar, as calls ``(done, total)``, or not at all.

    Parameters
    ----------
    progress : bool or callable
    done, total : int
        Replicas, all widths together.
    """

    def __init__(self, progress: Progress, done: int, total: int) -> None:
        self._bar = tqdm(total=total, initial=done, unit="net") if progress is True else None
        self._call = progress if callable(progress) else None
        self._done, self._total = done, total
        self._mean = _RunningMean()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int, columns: Columns | None) -> None:
        """Count replicas as done; `columns` are those of the widest networks, for the mean of the eigenvalues."""
        self._done += count
        if self._bar is not None:
            moments = None if columns is None else _first_moments(columns)
            if moments is not None:
                self._mean.add(moments)
                self._bar.set_postfix_str(f"m_1 = {self._mean}", refresh=False)
            self._bar.update(count)
        if self._call is not None:
            self._call(self._done, self._total)


def _first_moments(columns: Columns) -> FloatArray | None:
    """Mean eigenvalue of J Jᵀ of each replica, outliers included; None where only some eigenvalues are there."""
    with np.errstate(over="ignore"):
        if "power_sums" in columns:
            largest = np.exp(2.0 * columns["log_largest"][:, 0])
            return np.asarray((columns["power_sums"][:, 0] + largest) / columns["dimension"])
        eigenvalues = np.exp(2.0 * columns["log_singular_values"])
    if "weights" in columns:  # a quadrature
        return np.asarray((columns["weights"] * eigenvalues).sum(axis=1))
    complete = int(columns["rank"].max()) <= eigenvalues.shape[1]
    return np.asarray(eigenvalues.mean(axis=1)) if complete else None


class _RunningMean:
    """Mean and standard error of values that come in batches (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._squares = 0.0

    def add(self, values: FloatArray) -> None:
        count = len(values)
        mean = float(values.mean())
        shift = mean - self._mean
        self._squares += float(((values - mean) ** 2).sum()) + shift**2 * self._count * count / (self._count + count)
        self._count += count
        self._mean += shift * count / self._count

    def __str__(self) -> str:
        error = math.sqrt(self._squares / (self._count * (self._count - 1))) if self._count > 1 else math.nan
        return f"{self._mean:.4g} ± {error:.1g}" if math.isfinite(error) else f"{self._mean:.4g}"
