"""Every result of the catalogue held against samples: `rmt suite quick` and `rmt suite full`.

A result about a mean, a spectrum, an edge or an exponent is sampled and judged with errors over independent batches; a
result that holds for every matrix is put to random ones; the few that speak of no sampled quantity run the catalogue's
own check. The false-alarm rate of a whole run is `ALPHA`, shared equally by the checks that depend on chance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from theory import catalogue
from validation.suite.check import Algebra, Check, Effort, Identity, Mean, Outcome, Spectrum, judge
from validation.suite.identities import CHECKS as IDENTITIES
from validation.suite.scalars import CHECKS as SCALARS
from validation.suite.spectra import CHECKS as SPECTRA

__all__ = [
    "ALPHA",
    "EFFORTS",
    "Algebra",
    "Check",
    "Effort",
    "Identity",
    "Mean",
    "Outcome",
    "Spectrum",
    "checks",
    "run_suite",
]

ALPHA: Final = 1e-6
EFFORTS: Final = {
    "quick": Effort(draws=10_000, replicas=64, size=96),
    "full": Effort(batches=64, draws=40_000, replicas=96, size=160),
}


def checks() -> dict[str, Check]:
    """The check of every entry of the catalogue, in its order.

    Raises
    ------
    ValueError
        If an entry has none or more than one, or a check has no entry.
    """
    families = (SCALARS, SPECTRA, IDENTITIES)
    keys = catalogue.keys()
    counts = {key: sum(key in family for family in families) for key in (*keys, *SCALARS, *SPECTRA, *IDENTITIES)}
    wrong = [key for key in counts if counts[key] != 1 or key not in keys]
    if wrong:
        raise ValueError(f"suite: every entry of the catalogue needs exactly one check; look at {', '.join(wrong)}")
    merged = SCALARS | SPECTRA | IDENTITIES
    return {key: merged[key] for key in keys}


def run_suite(
    effort: Effort,
    keys: Iterable[str] | None = None,
    *,
    alpha: float = ALPHA,
    progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Judge the entries of the catalogue.

    Parameters
    ----------
    effort : Effort
        One of `EFFORTS`, or your own.
    keys : iterable of str, optional
        Entries to judge; all if None.
    alpha : float
        Probability that a run over the whole catalogue raises a false alarm.
    progress : callable, optional
        Gets ``(done, total)``.

    Returns
    -------
    list of Outcome
        In the order of the catalogue.
    """
    every = checks()
    chosen = list(every) if keys is None else [catalogue.entry(key).key for key in keys]
    share = alpha / sum(isinstance(check, Mean | Spectrum) for check in every.values())
    outcomes = []
    for done, key in enumerate(chosen, start=1):
        began = time.perf_counter()
        outcome = judge(every[key], catalogue.entry(key), effort, share)
        outcomes.append(replace(outcome, seconds=time.perf_counter() - began))
        if progress is not None:
            progress(done, len(chosen))
    return outcomes


def least_p_value(outcomes: Iterable[Outcome]) -> float:
    """The smallest p-value, NaN if none of the checks is a test of chance."""
    return min((o.p_value for o in outcomes if not math.isnan(o.p_value)), default=math.nan)
