"""The shell commands derive, curve, validate, tune, catalogue and suite: from parsed arguments to text or JSON."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable
from typing import Any, Final

import theory
from validation.tables import text_table

__all__ = ["COMMANDS", "network_from", "print_json"]

_DEFAULT_DEPTH = {"resnet": 50, "chain": 10}
_CURVE_SUFFIXES = (".csv", ".json", ".npz")
_PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


def network_from(args: Any, **changed: Any) -> Any:
    """Return the network that the arguments describe, with some of its parameters replaced."""
    parameters: dict[str, Any] = {
        "depth": _DEFAULT_DEPTH[args.network] if args.depth is None else args.depth,
        "activation": args.activation,
        "sigma_w": args.sigma_w,
        "sigma_b": args.sigma_b,
        "weights": args.weights,
    }
    if args.network == "chain":
        if args.skip is not None:
            raise ValueError("--skip: a chain has no skip connection; leave it out, or ask for a resnet")
        return theory.Chain(**parameters | changed)
    return theory.ResNet(skip=1 if args.skip is None else args.skip, **parameters | changed)


def derive(args: Any) -> int:
    """Print the derivation of the network's law, or of a law."""
    derivation = _derivation(args)
    if args.json:
        print_json(
            {
                "equation": str(derivation.equation),
                "s_transform": str(derivation.s_transform),
                "edges": [str(edge) for edge in derivation.edges],
                "moments": [str(moment) for moment in derivation.moments(4)],
                "latex": derivation.latex(),
                "markdown": derivation.to_markdown(),
            }
        )
    else:
        forms = {"latex": derivation.latex, "markdown": derivation.to_markdown, "c_source": derivation.to_c}
        print(next((write() for name, write in forms.items() if getattr(args, name)), derivation))
    return 0


def _derivation(args: Any) -> Any:
    if args.network == "law":
        from rmt.symbolic import derive as derive_law
        from rmt.symbolic.grammar import parse_law

        if args.expression is None:
            raise ValueError("law: an expression is missing; for instance: rmt derive law 'semicircle(1) + mp(1/2)'")
        return derive_law(parse_law(args.expression))
    if args.expression is not None:
        raise ValueError(f"{args.expression!r}: only 'rmt derive law' takes an expression; give options instead")
    from sympy import Symbol

    changed = {"sigma_w": Symbol("sigma_w", positive=True)} if args.symbolic else {}
    return theory.derive(network_from(args, **changed), exact=args.exact)


def curve(args: Any) -> int:
    """Compute a curve; write it, draw it, or print it."""
    from validation.report import check_writable

    for option, path, suffixes in (
        ("--output", args.output, _CURVE_SUFFIXES),
        ("--plot", args.plot, _PICTURE_SUFFIXES),
    ):
        if path is not None:
            if path.suffix not in suffixes:
                raise ValueError(f"{option} {str(path)!r}: the suffix must be one of {', '.join(suffixes)}")
            check_writable(path)
    net = network_from(args)
    law = theory.jacobian_law(net, q0=args.q0)
    shown = law.sqrt() if args.singular_values else law
    computed = shown.curve(points=args.points)
    written = [] if args.output is None else [computed.save(args.output)]
    if args.plot is not None:
        from rmt.plotting import plot_law, save

        axes = plot_law(law, singular_values=args.singular_values, curve=computed)
        axes.set_title(repr(net), fontsize="small")
        save(axes, args.plot)
        written.append(args.plot)
    support = shown.support()
    if args.json:
        print_json(
            {
                "network": repr(net),
                "variable": "singular value of J" if args.singular_values else "eigenvalue of J J^T",
                "intervals": [[float(lo), float(hi)] for lo, hi in support.intervals],
                "atoms": [[float(x), float(mass)] for x, mass in support.atoms.items()],
                "status": computed.status.name,
                "files": [str(path) for path in written],
                "x": computed.x.tolist(),
                "density": computed.density.tolist(),
                "cdf": computed.cdf.tolist(),
                "error": computed.error.tolist(),
            }
        )
    elif written:
        print(f"network  {net!r}")
        print("support  " + " ".join(f"[{float(lo):.6g}, {float(hi):.6g}]" for lo, hi in support.intervals))
        for position, mass in support.atoms.items():
            print(f"atom     at {float(position):.6g}, mass {float(mass):.6g}")
        for path in written:
            print(f"written  {path}")
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("x", "density", "cdf", "error"))
        writer.writerows(
            [repr(float(v)) for v in row]
            for row in zip(computed.x, computed.density, computed.cdf, computed.error, strict=True)
        )
    return 0


def validate(args: Any) -> int:
    """Sample real networks, compare, print the verdict, write the report; 1 if the verdict fails."""
    import validation
    from validation.report import check_writable

    if args.report is not None:
        check_writable(args.report)
    net = network_from(args)
    experiment = validation.Experiment(
        net,
        width=args.width,
        replicas=args.replicas,
        seed=args.seed,
        q0=args.q0,
        method=args.method,
        backend=args.backend,
    )
    if args.plan:
        plans = experiment.plan()
        if args.json:
            print_json({str(plan.width): {"method": plan.method, "reason": plan.reason} for plan in plans})
        else:
            print("\n\n".join(map(str, plans)))
        return 0
    law = theory.jacobian_law(net, q0=args.q0)
    run = experiment.run(progress=True, store=args.store, workers=args.workers)
    comparison = validation.compare(run, law)
    written = None if args.report is None else validation.report([comparison], args.report)
    if args.json:
        print_json(
            {
                "network": repr(net),
                **comparison.to_json(),
                "report": None if written is None else str(written),
            }
        )
    else:
        print(comparison)
        if written is not None:
            print(f"report: {written}")
    return 0 if comparison.passed else 1


def tune(args: Any) -> int:
    """Solve for sigma_w."""
    ((target, wanted),) = (
        (name, value) for name in ("c", "chi", "lambda_max") if (value := getattr(args, name)) is not None
    )
    tuned = theory.tune(network_from(args), **{target: wanted}, q0=args.q0)
    sigma_w = float(tuned.sigma_w)
    if args.json:
        print_json({"target": {target: float(wanted)}, "sigma_w": sigma_w, "network": repr(tuned)})
    else:
        print(f"sigma_w  {sigma_w!r}")
        print(f"network  {tuned!r}")
    return 0


def catalogue(args: Any) -> int:
    """List the published results, or show one; with --check, 1 if one fails."""
    from theory import catalogue as results

    if args.action == "show":
        return _show(results.entry(args.key), args)
    if args.markdown:
        from theory.catalogue.page import markdown

        print(markdown(), end="")
    elif args.json:
        listed = {topic: [_summary(entry) for entry in results.entries(topic)] for topic in results.TOPICS}
        print_json({"topics": listed})
    elif args.check:
        return max(_check(entry, []) for entry in results.entries())
    else:
        for topic in results.TOPICS:
            print(topic)
            print(text_table([("", entry.key, entry.title) for entry in results.entries(topic)]))
        print(f"{len(results.keys())} results; 'rmt catalogue show KEY' derives one")
    return 0


def suite(args: Any) -> int:
    """Hold the catalogue against samples; 1 if a verdict fails."""
    import time
    from dataclasses import replace

    from tqdm.auto import tqdm

    from validation.experiment import versions
    from validation.report import check_writable
    from validation.suite import ALPHA, EFFORTS, run_suite
    from validation.suite.report import as_json, as_text, summary, write_page

    if args.report is not None:
        check_writable(args.report)
    began = time.perf_counter()
    effort = replace(EFFORTS[args.effort], seed=args.seed)
    with tqdm(unit="result", disable=args.json) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        outcomes = run_suite(effort, args.only or None, progress=progress)
    seconds = time.perf_counter() - began
    conditions = [
        ("effort", f"{args.effort}: {effort.batches} batches of {effort.draws} draws, {effort.replicas} matrices of "
                   f"size {effort.size}, complex"),
        ("seed", str(effort.seed)),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions().items())),
        ("time", f"{seconds:.0f} s"),
    ]  # fmt: skip
    written = (
        None if args.report is None else write_page(outcomes, args.report, alpha=ALPHA, conditions=conditions)
    )
    passed = all(outcome.passed for outcome in outcomes)
    if args.json:
        found = as_json(outcomes, ALPHA)
        print_json({**found, "seconds": seconds, "report": None if written is None else str(written)})
    else:
        print(as_text(outcomes))
        print(f"\n{summary(outcomes, ALPHA)}\ntime    {seconds:.0f} s")
        if written is not None:
            print(f"report  {written.resolve()}")
    return 0 if passed else 1


def _show(entry: Any, args: Any) -> int:
    derivation = entry.derivation()
    if args.json:
        print_json(
            {
                **_summary(entry),
                "statement": [str(relation) for relation in entry.relations],
                "hypotheses": list(entry.hypotheses),
                "bibtex": entry.bibtex(),
                "latex": derivation.latex(),
                "markdown": derivation.to_markdown(),
                "checked_against": entry.witnessed_by,
                "passed": all(agreement.passed for agreement in entry.check()),
            }
        )
    elif args.check:
        return _check(entry, entry.check())
    else:
        print(derivation.latex() if args.latex else derivation.to_markdown() if args.markdown else derivation)
    return 0


def _summary(entry: Any) -> dict[str, Any]:
    return {"key": entry.key, "title": entry.title, "source": entry.sources()}


def _check(entry: Any, shown: Any) -> int:
    """Print the verdict on an entry, after both sides of the comparisons to show; 1 if it fails."""
    if shown:
        rows = [(str(a.relation), str(a.left), str(a.right), "ok" if a.passed else "FAILED") for a in shown]
        print(text_table(rows, header=("relation", "left side", "right side", "")))
    agreements = entry.check()
    passed = all(agreement.passed for agreement in agreements)
    print(f"{'ok' if passed else 'FAILED':6}  {entry.key} ({len(agreements)} comparisons): {entry.verified()}")
    return 0 if passed else 1


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object; what is not finite becomes null, which JSON has, unlike NaN."""
    print(json.dumps(_finite(value), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value


COMMANDS: Final[dict[str, Callable[[Any], int]]] = {
    "derive": derive,
    "curve": curve,
    "validate": validate,
    "tune": tune,
    "catalogue": catalogue,
    "suite": suite,
}
