"""What came out of the suite, as text, JSON and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rmt.results import PreconditionError
from validation.page import Html, definitions, element, page, table
from validation.suite.check import Outcome
from validation.tables import text_table

__all__ = ["as_json", "as_text", "summary", "write_page"]

_HEADER = ("result", "checked by", "quantities", "p-value", "verdict", "how")


def summary(outcomes: Sequence[Outcome], alpha: float) -> str:
    """One sentence: how many, how many failed, at what false-alarm rate."""
    failed = [outcome.key for outcome in outcomes if not outcome.passed]
    kinds = [outcome.kind for outcome in outcomes]
    counts = ", ".join(f"{kinds.count(kind)} by {kind}" for kind in dict.fromkeys(kinds))
    verdict = f"FAILED: {', '.join(failed)}" if failed else "all passed"
    return f"{len(outcomes)} results ({counts}): {verdict}; false-alarm rate of a whole run {alpha:.0e}"


def as_text(outcomes: Sequence[Outcome]) -> str:
    """An aligned table, a line a result."""
    rows = [(*_cells(outcome)[:5], f"{outcome.seconds:.1f} s") for outcome in outcomes]
    return text_table(rows, header=(*_HEADER[:5], "time"))


def as_json(outcomes: Sequence[Outcome], alpha: float) -> dict[str, Any]:
    """JSON values; what does not apply is not a number."""
    return {
        "passed": all(outcome.passed for outcome in outcomes),
        "alpha": alpha,
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }


def write_page(outcomes: Sequence[Outcome], path: Path, *, alpha: float, conditions: Sequence[tuple[str, str]]) -> Path:
    """Write one HTML page that needs nothing else."""
    if not outcomes:
        raise PreconditionError("outcomes is empty: run at least one check")
    rows = []
    for outcome in outcomes:
        *cells, verdict = _cells(outcome)[:5]
        badge = element("span", verdict, class_="verdict pass" if outcome.passed else "verdict fail")
        rows.append([Html(f"{element('strong', outcome.title)}<br>{element('code', cells[0])}"),
                     *cells[1:], badge, outcome.note])  # fmt: skip
    intro = element(
        "p",
        "Every result of the catalogue against samples. Means and spectra are judged with errors over independent "
        "batches and matrices; identities hold in every draw, to rounding; results that speak of no sampled quantity "
        "run the catalogue's own check. The false-alarm rate is that of the whole run, shared by the tests of chance.",
        class_="soft",
    )
    text = page(
        "Suite: the catalogue against samples",
        element("p", summary(outcomes, alpha)),
        intro,
        definitions(list(conditions)),
        table(_HEADER, rows),
    )
    path.write_text(text, encoding="utf-8")
    return path


def _cells(outcome: Outcome) -> tuple[str, str, str, str, str, str]:
    return (
        outcome.key,
        outcome.kind,
        ", ".join(outcome.quantities),
        "" if math.isnan(outcome.p_value) else f"{outcome.p_value:.2g}",
        "passed" if outcome.passed else "FAILED",
        outcome.note,
    )
