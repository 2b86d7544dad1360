"""``rmt demo``, the main job on an embedded default: derive, draw, sample, compare, report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

import theory
from validation.commands import print_json
from validation.compare import compare
from validation.comparison import Comparison
from validation.experiment import Experiment
from validation.report import check_writable, report, short_name
from validation.runner import available_processors, process_pool
from validation.tables import text_table

__all__ = ["CUMULANT", "demo_networks", "run_demo"]

CUMULANT = 0.25
_RESNET_DEPTH = 50
_CHAIN_DEPTH = 5
_CHAIN_BIAS = 0.1


@dataclass(frozen=True)
class _Outcome:
    comparison: Comparison
    cumulant: float | None


def demo_networks() -> list[Any]:
    """Four ResNets tuned to one effective cumulant, and one orthogonal hard-tanh chain at the edge of chaos."""
    resnets = [
        theory.tune(theory.ResNet(depth=_RESNET_DEPTH, activation=activation), c=CUMULANT)
        for activation in ("relu", "tanh", "hard_tanh", "selu")
    ]
    chain = theory.Chain(
        depth=_CHAIN_DEPTH,
        activation="hard_tanh",
        sigma_w=theory.critical_sigma_w("hard_tanh", sigma_b=_CHAIN_BIAS),
        sigma_b=_CHAIN_BIAS,
        weights="orthogonal",
    )
    return [*resnets, chain]


def run_demo(args: Any) -> int:
    """Run the main job and print its table; 1 if a verdict fails."""
    path = check_writable(args.report)
    started = time.perf_counter()
    networks = demo_networks()
    workers = args.workers or available_processors()
    outcomes = []
    # one pool for all: starting processes costs more than sampling a small network
    pool_context = nullcontext() if workers == 1 else process_pool(workers)
    with pool_context as pool, tqdm(total=2 * args.replicas * len(networks), unit="net") as bar:
        for net in networks:
            bar.set_description(short_name(net))
            experiment = Experiment(net, width=args.width, replicas=args.replicas, seed=args.seed)
            run = experiment.run(executor=pool, workers=workers, progress=_advance(bar))
            comparison = compare(run, theory.jacobian_law(net))
            cumulant = theory.effective_cumulant(net) if isinstance(net, theory.ResNet) else None
            outcomes.append(_Outcome(comparison, cumulant))
        bar.set_description("report")
        written = report(
            [outcome.comparison for outcome in outcomes], path, title="rmt demo: four tuned ResNets and a chain"
        )
    seconds = time.perf_counter() - started
    if args.json:
        print_json(_as_json(outcomes, written, seconds))
    else:
        print(_as_text(outcomes))
        print(f"\nreport   {written.resolve()}\ntime     {seconds:.0f} s")
    return 0 if all(outcome.comparison.passed for outcome in outcomes) else 1


def _advance(bar: Any) -> Callable[[int, int], None]:
    """A progress callback that moves a bar shared by several runs."""
    start = bar.n
    return lambda done, _total: bar.update(start + done - bar.n)


def _as_text(outcomes: list[_Outcome]) -> str:
    header = ("network", "sigma_w", "c", "mean", "edges", "outlier: theory", "sample", "W1", "p-value", "verdict")
    return text_table([_cells(outcome) for outcome in outcomes], header)


def _cells(outcome: _Outcome) -> tuple[str, ...]:
    found = _numbers(outcome)
    edges = " ".join(f"[{lower:.5g}, {upper:.5g}]" for lower, upper in found["intervals"])
    return (
        short_name(outcome.comparison.run.experiment.net),
        f"{found['sigma_w']:.5f}",
        _optional(found["c"], ".4f"),
        f"{found['mean']:.5f}",
        edges,
        _optional(found["outlier"], ".4f"),
        _optional(found["outlier_sample"], ".4f"),
        f"{found['W1']:.4f}",
        f"{found['p_value']:.2g}",
        "passed" if outcome.comparison.passed else "FAILED",
    )


def _numbers(outcome: _Outcome) -> dict[str, Any]:
    comparison = outcome.comparison
    net: Any = comparison.run.experiment.net
    rows = {row.quantity: row for row in comparison.table()}
    return {
        "network": repr(net),
        "sigma_w": float(net.sigma_w),
        "c": outcome.cumulant,
        "mean": float(comparison.law.moments(1)[0]),
        "intervals": [[float(lower), float(upper)] for lower, upper in comparison.law.support().intervals],
        "outlier": comparison.outlier,
        "outlier_sample": rows["outlier"].sample if "outlier" in rows else None,
        "W1": rows["W1 distance"].sample if "W1 distance" in rows else math.nan,
        "p_value": comparison.p_value,
        "passed": comparison.passed,
    }


def _optional(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _as_json(outcomes: list[_Outcome], written: Path, seconds: float) -> dict[str, Any]:
    return {"comparisons": [_numbers(outcome) for outcome in outcomes], "report": str(written), "seconds": seconds}
