"""The outcome of a comparison: rows of quantities, and the verdict, as text, HTML, JSON and picture."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from validation.run import Run
from validation.statistics import MeanTest, student_quantile
from validation.tables import text_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "Row", "Table"]

HEADER = ("quantity", "theory", "sample", "error", "95 % interval", "z")


@dataclass(frozen=True)
class Row:
    """One quantity: its value by the law, the sample's, the sample's standard error, the deviation in errors.

    NaN where something does not apply. For the distances to the law, `theory` and `error` are mean and standard
    deviation of what a correct law gives. `replicas` is the number of independent values behind the error, 0 for
    distances, which have no interval.
    """

    quantity: str
    theory: float
    sample: float
    error: float
    z: float
    replicas: int = 0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the quantity at infinite width, by Student's t; (nan, nan) where there is none.

        Raises
        ------
        ValueError
            If the level is not in (0, 1).
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level={level!r} must be in (0, 1); 0.95 gives the 95 % interval")
        reach = student_quantile(level, self.replicas) * self.error
        return self.sample - reach, self.sample + reach

    def cells(self) -> tuple[str, ...]:
        """The row as text, numbers to the digits that their errors warrant."""
        decimals = _decimals(self)
        numbers = [_text(value, decimals) for value in (self.theory, self.sample, self.error)]
        lower, upper = (_text(value, decimals) for value in self.interval())
        interval = f"{lower} … {upper}" if lower else ""
        return (self.quantity, *numbers, interval, "" if math.isnan(self.z) else f"{self.z:+.1f}")


@dataclass(frozen=True)
class Table:
    """Rows that print as an aligned table."""

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, quantity: str) -> Row:
        """The row of that quantity.

        Raises
        ------
        KeyError
            If there is none; the message lists what there is.
        """
        for row in self.rows:
            if row.quantity == quantity:
                return row
        raise KeyError(f"{quantity!r}: the rows are {', '.join(row.quantity for row in self.rows)}")

    def __str__(self) -> str:
        return text_table([row.cells() for row in self.rows], HEADER)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in HEADER)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row.cells()) + "</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """A sample against a law; made by `compare`.

    Attributes
    ----------
    run : Run
        The sample.
    law : Law
        The law of J Jᵀ it was compared with.
    name : str
        What was compared, for titles.
    alpha : float
        False-alarm rate of the verdict: the probability that a correct law fails.
    p_value : float
        Probability of a deviation as large as the sample's if the law is right, all tests of the verdict together.
    bulk : MeanTest
        Test of the shape of the spectrum.
    outlier_p_value : float
        p-value of the predicted outlier; NaN if none was predicted.
    outlier : float or None
        The predicted outlier.
    has_outlier : bool
        Whether the sample's largest eigenvalues stand apart; they are then left out of moments and edges of the bulk.
    rows : tuple of Row
        The quantities, for `table`.
    notes : tuple of str
        What the reader must know about this comparison: extrapolation or allowance, unresolved eigenvalues.
    """

    run: Run
    law: Law
    name: str
    alpha: float
    p_value: float
    bulk: MeanTest
    outlier_p_value: float
    outlier: float | None
    has_outlier: bool
    rows: tuple[Row, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether the sample is compatible with the law at the false-alarm rate `alpha`."""
        return bool(self.p_value >= self.alpha)

    @property
    def verdict(self) -> str:
        """The verdict in a sentence."""
        relation = "compatible with" if self.passed else "NOT compatible with"
        return (
            f"{'passed' if self.passed else 'FAILED'}: the sample is {relation} the law "
            f"(p = {self.p_value:.2g}, false-alarm rate {self.alpha:.0e})"
        )

    def table(self) -> Table:
        """Quantity, theory, sample, error and z, a row each."""
        return Table(self.rows)

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON values; what does not apply is None."""
        return {
            "name": self.name,
            "law": repr(self.law),
            "passed": self.passed,
            "p_value": self.p_value,
            "alpha": self.alpha,
            "bulk_statistic": self.bulk.statistic,
            "outlier": self.outlier,
            "rows": [{key: _json_value(value) for key, value in asdict(row).items()} for row in self.rows],
            "notes": list(self.notes),
            "experiment": self.run.experiment.to_json(),
            "metadata": dict(self.run.metadata),
        }

    def continuous_part(self) -> tuple[npt.NDArray[np.float64], float]:
        """The sample's eigenvalues of J Jᵀ without outlier and those at the law's atoms, for pictures.

        Returns
        -------
        values : array
            Of all replicas. Of a run that kept summaries, points spread as its histogram is.
        total : float
            How many they would be with outlier and atoms.
        """
        atoms = np.array([float(position) for position in self.law.support().atoms], dtype=np.float64)
        return self.run.samples[0].bulk(without_largest=self.has_outlier, atoms=atoms)

    def plot(self, ax: Axes | None = None, *, log: bool = False, **line_kw: Any) -> Axes:
        """Draw the histogram of the sample's eigenvalues and the law's density over it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure if None.
        log : bool
            Logarithmic horizontal axis.
        **line_kw
            Passed to the line of the law.

        Returns
        -------
        matplotlib Axes
        """
        from rmt.plotting import new_axes, plot_histogram, plot_law

        axes = new_axes() if ax is None else ax
        values, total = self.continuous_part()
        plot_histogram(axes, values, log=log, total=total, alpha=0.4)
        plot_law(self.law, axes, log=log, **line_kw)
        axes.set_title(self.name)
        return axes

    def __str__(self) -> str:
        return "\n".join([self.name, str(self.table()), *self.notes, self.verdict])

    def __repr__(self) -> str:
        return f"<Comparison {self.name!r}: {self.verdict}>"

    def _repr_html_(self) -> str:
        notes = "".join(f"<br>{html.escape(note)}" for note in self.notes)
        return (
            f"<p><b>{html.escape(self.name)}</b>{notes}<br>{html.escape(self.verdict)}</p>{self.table()._repr_html_()}"
        )


def _decimals(row: Row) -> int | None:
    """Two digits of the error; None for scientific notation."""
    scale = row.error if row.error > 0.0 else 1e-6 * abs(row.sample)
    if not 0.0 < scale < math.inf:
        return 6
    digits = 1 - math.floor(math.log10(scale))
    largest = max((abs(value) for value in (row.theory, row.sample) if math.isfinite(value)), default=0.0)
    return max(digits, 0) if digits <= 8 and largest < 1e7 else None


def _text(value: float, decimals: int | None) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.5e}" if decimals is None else f"{value:.{decimals}f}"


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
