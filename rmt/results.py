"""What comes back from numerical work: statuses that say what to do next, curves, and the exceptions."""

from __future__ import annotations

import csv
import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ConvergenceError", "Curve", "PreconditionError", "Status", "load_curve"]

FloatArray = npt.NDArray[np.float64]


class PreconditionError(ValueError):
    """A hypothesis of the mathematics is violated; the message says which, and what to do instead."""


class ConvergenceError(RuntimeError):
    """A numerical answer was not reached to the stated accuracy; the message says what to try."""


class Status(enum.Enum):
    """How a numerical answer was reached; the value is the sentence shown to the user."""

    OK = "The answer meets the requested tolerance."
    UNRESOLVED = (
        "Some points were not resolved to the requested tolerance (their density is NaN). "
        "Move them away from edges and atoms of the support, or ask for a larger `tol`."
    )


@dataclass(frozen=True, eq=False)
class Curve:
    """Density and distribution function of a law on a grid.

    Attributes
    ----------
    x, density, cdf : arrays of shape (n,)
        Positions (increasing), the density of the continuous part, and the right-continuous distribution function
        with the jumps of the atoms.
    error : array of shape (n,)
        Estimated absolute error of `density`.
    status : Status
        `Status.OK`, or what is wrong and what to do.
    metadata : mapping
        The law and how it was solved (``law``, ``method``, ``tol``); the atoms and edges of its support (an unbounded
        end is None); ``largest_residual`` of the solved system (0 where nothing was solved) and ``largest_error`` of
        the density, relative to it or to its mean height; the checks that were passed: ``density_against_cdf`` (mass)
        and ``moments_against_series`` (relative; None where moments do not exist); the mass beside the grid.
    """

    x: FloatArray
    density: FloatArray
    cdf: FloatArray
    error: FloatArray
    status: Status = Status.OK
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def save(self, path: str | Path) -> Path:
        """Write the curve to ``.csv``, ``.json`` or ``.npz`` (by suffix); `load_curve` reads each back.

        Raises
        ------
        ValueError
            If the suffix is none of the three.
        OSError
            If the file cannot be written.
        """
        path = Path(path)
        _check_suffix(path)
        columns = {"x": self.x, "density": self.density, "cdf": self.cdf, "error": self.error}
        header = {"status": self.status.name, "metadata": dict(self.metadata)}
        if path.suffix == ".npz":
            np.savez(path, allow_pickle=False, header=np.array(json.dumps(header)), **columns)
        elif path.suffix == ".json":
            payload = header | {name: [_json_number(v) for v in column] for name, column in columns.items()}
            path.write_text(json.dumps(payload, indent=1) + "\n", encoding="utf-8")
        else:
            with path.open("w", newline="", encoding="utf-8") as stream:
                stream.write("# " + json.dumps(header) + "\n")
                writer = csv.writer(stream)
                writer.writerow(columns)
                # repr of a float round-trips exactly
                writer.writerows([repr(float(v)) for v in row] for row in zip(*columns.values(), strict=True))
        return path


def load_curve(path: str | Path) -> Curve:
    """Read a curve written by `Curve.save`."""
    path = Path(path)
    _check_suffix(path)
    names = ("x", "density", "cdf", "error")
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(str(stored["header"]))
            columns = {name: np.asarray(stored[name], dtype=np.float64) for name in names}
    elif path.suffix == ".json":
        header = json.loads(path.read_text(encoding="utf-8"))
        columns = {
            name: np.array([math.nan if v is None else v for v in header[name]], dtype=np.float64) for name in names
        }
    else:
        with path.open(newline="", encoding="utf-8") as stream:
            header = json.loads(stream.readline().removeprefix("# "))
            rows = list(csv.DictReader(stream))
        columns = {name: np.array([float(row[name]) for row in rows], dtype=np.float64) for name in names}
    return Curve(**columns, status=Status[header["status"]], metadata=header["metadata"])


def _check_suffix(path: Path) -> None:
    if path.suffix not in (".csv", ".json", ".npz"):
        raise ValueError(f"path={str(path)!r}: the suffix must be .csv, .json or .npz; choose one of these three")


def _json_number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
