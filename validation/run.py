"""The outcome of an experiment: samples at every width, saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from validation.quadrature import WidthQuadrature
from validation.samples import WidthSample
from validation.store import Columns, write_atomically
from validation.summary import LogHistogram, WidthSummary

if TYPE_CHECKING:
    from validation.experiment import Experiment

__all__ = ["Run"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """The outcome of an experiment.

    Attributes
    ----------
    experiment : Experiment
        What was asked for, seed included.
    samples : tuple of WidthSample, WidthSummary or WidthQuadrature
        One a width, the widest first; summaries where the run kept no more, quadratures where the method gives these.
    metadata : mapping
        Versions of the libraries, platform, wall time, how many replicas came from a store.
    """

    experiment: Experiment
    samples: tuple[WidthSample | WidthSummary | WidthQuadrature, ...]
    metadata: Mapping[str, Any]

    @property
    def log_singular_values(self) -> FloatArray:
        """Log singular values at the experiment's width, shape (replicas, n_out), or (replicas, 2) of extremes.

        Raises
        ------
        ValueError
            If the run kept summaries, or its method gives quadratures.
        """
        return self._spectra().log_singular_values

    @property
    def eigenvalues(self) -> FloatArray:
        """Eigenvalues of J Jᵀ at the experiment's width, shape (replicas, n_out).

        Raises
        ------
        ValueError
            If the run kept summaries, or its method gives quadratures.
        """
        return self._spectra().eigenvalues

    def _spectra(self) -> WidthSample:
        sample = self.samples[0]
        if isinstance(sample, WidthSummary):
            raise ValueError("this run kept summaries, not spectra; run(keep='spectra') keeps every singular value")
        if isinstance(sample, WidthQuadrature):
            raise ValueError(
                "this run has quadratures, not spectra: samples[0] holds their nodes and weights; Experiment(method=) "
                "with another method, slow at this width, gives every singular value"
            )
        return sample

    def save(self, path: str | Path) -> Path:
        """Write the run to an ``.npz`` file (arrays and a JSON header, no pickle); `load` reads it back.

        Raises
        ------
        ValueError
            If the suffix is another, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"path={str(path)!r}: the suffix must be .npz")
        header = {
            "experiment": self.experiment.to_json(),
            "widths": [sample.width for sample in self.samples],
            "metadata": dict(self.metadata),
        }
        columns: Columns = {"header": np.array(json.dumps(header))}
        for sample in self.samples:
            columns |= {f"{name}_{sample.width}": column for name, column in _columns_of(sample).items()}
        try:
            write_atomically(path, columns)
        except OSError as error:
            raise ValueError(f"path={str(path)!r} cannot be written ({error}); choose another") from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run written by `save`."""
        from validation.experiment import Experiment

        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(str(stored["header"]))
            samples: Any = tuple(
                _sample_of(width, {name: stored[name] for name in stored.files}) for width in header["widths"]
            )
        return cls(Experiment.from_json(header["experiment"]), samples, header["metadata"])


def _columns_of(sample: WidthSample | WidthSummary | WidthQuadrature) -> Columns:
    columns = {field.name: getattr(sample, field.name) for field in fields(sample)}
    del columns["width"]
    if isinstance(sample, WidthSummary):
        histogram = columns.pop("histogram")
        columns |= {"histogram_first": np.array(histogram.first), "histogram_counts": histogram.counts}
    return columns


def _sample_of(width: int, stored: Columns) -> WidthSample | WidthSummary | WidthQuadrature:
    suffix = f"_{width}"
    columns: dict[str, Any] = {
        name.removesuffix(suffix): column for name, column in stored.items() if name.endswith(suffix)
    }
    if "weights" in columns:
        return WidthQuadrature(width=width, **columns)
    if "histogram_counts" not in columns:
        return WidthSample(width=width, **columns)
    histogram = LogHistogram(int(columns.pop("histogram_first")), columns.pop("histogram_counts"))
    return WidthSummary(width=width, histogram=histogram, **columns)
