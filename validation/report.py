"""One self-contained HTML page from comparisons: verdicts, pictures, tables, derivations, and how to reproduce them."""

from __future__ import annotations

import math
import re
import shlex
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import theory
from theory.network import Layer
from validation.page import Html, definitions, details, element, join, page, picture, table

if TYPE_CHECKING:
    from rmt import Curve
    from validation.comparison import Comparison

__all__ = ["check_writable", "report", "reproduction", "short_name"]

# Beyond this many bins a histogram of some hundred networks shows its noise.
_BINS = 70
_FARTHEST_OUTLIER = 2.5  # in lengths of the bulk's axis
_MAX_LATEX = 20_000  # characters of one formula that a reader may want to copy


def report(comparisons: Iterable[Comparison], path: str | Path, title: str | None = None) -> Path:
    """Write one HTML page that needs nothing else: no script, no network, no other file.

    Per comparison: the verdict, the predicted density over the histogram in linear and logarithmic scale, the table of
    quantities with their errors, the predicted support and outlier, the derivation with sources, the parameters of the
    experiment, versions, and the command that reproduces it.

    Parameters
    ----------
    comparisons : iterable of Comparison
        What `validation.compare` returned, at least one.
    path : path
        Where to write; an existing file is replaced.
    title : str, optional
        Heading of the page.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If there is no comparison, or the path cannot be written.
    """
    path = check_writable(path)
    chosen = list(comparisons)
    if not chosen:
        raise ValueError("comparisons is empty; give at least one that validation.compare returned")
    curves = [item.law.curve() for item in chosen]  # each is drawn three times
    heading = title or ("Spectrum of a network's Jacobian" if len(chosen) == 1 else "Spectra of networks' Jacobians")
    numbered = enumerate(zip(chosen, curves, strict=True), 1)
    sections = [_section(item, curve, number) for number, (item, curve) in numbered]
    text = page(heading, _summary(chosen, curves), *sections)
    path.write_text(text, encoding="utf-8")
    return path


def check_writable(path: str | Path) -> Path:
    """Return the path if a file can be written there, and leave no trace; to be called before long work.

    Raises
    ------
    ValueError
        If it is a folder, its folder does not exist, or writing is not allowed.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        if path.exists():
            with path.open("r+b"):
                pass
        else:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
    except OSError as error:
        reason = f"the folder {path.parent} does not exist" if not path.parent.exists() else error.strerror or error
        raise ValueError(
            f"path {str(path)!r} cannot be written ({reason}); choose a file in a folder you can write to"
        ) from error
    return path


def short_name(net: Any) -> str:
    """A name of the network for headings and tables: ``tanh ResNet, depth 50``."""
    if isinstance(net, theory.Chain | theory.ResNet):
        activation = net.activation if isinstance(net.activation, str) else net.activation.name
        ensemble = net.weights if isinstance(net.weights, str) else type(net.weights).__name__
        weights = "" if ensemble == "gaussian" else f"{ensemble} "
        return f"{weights}{activation} {type(net).__name__}, depth {net.depth}"
    return type(net).__name__


def reproduction(comparison: Comparison) -> tuple[str, str | None]:
    """The same comparison again: as Python code, and as a shell command where the shell can say it (else None)."""
    experiment = comparison.run.experiment
    if experiment.backend == "torch":
        module = str(comparison.run.experiment.to_json()["module"]).replace("\n", "\n# ")
        companion = ", companion=(half, x_half)" if experiment.companion else ""
        return (
            "from theory import from_torch, jacobian_law\nfrom validation import compare, sample_module\n\n"
            f"# make() returns this module afresh, initialised at random:\n# {module}\n"
            f"run = sample_module(make, x, replicas={experiment.replicas}, seed={experiment.seed}{companion})\n"
            f"print(compare(run, jacobian_law(from_torch(make()), q0={experiment.q0!r})))\n"
        ), None
    names = sorted(set(re.findall(r"\b([A-Z]\w+)\(", repr(experiment.net))))
    laws = sorted(name for name in names if not hasattr(theory, name))
    imports = f"from rmt import {', '.join(laws)}\n" if laws else ""
    imports += f"from theory import {', '.join(name for name in names if name not in laws)}, jacobian_law\n"
    given = f", width={experiment.width}, replicas={experiment.replicas}, seed={experiment.seed}, q0={experiment.q0!r}"
    if experiment.x is not None:
        given += ", x=x"
    if experiment.companion is not True:
        given += f", companion={experiment.companion!r}"
    for name, usual in (("backend", "numpy"), ("method", None), ("dtype", "float64")):
        if (value := getattr(experiment, name)) != usual:
            given += f", {name}={value!r}"
    code = (
        f"{imports}from validation import Experiment, compare\n\n"
        f"net = {experiment.net!r}\nrun = Experiment(net{given}).run()\n"
        f"print(compare(run, jacobian_law(net, q0={experiment.q0!r})))\n"
    )
    return code, _shell_command(experiment)


def _shell_command(experiment: Any) -> str | None:
    net = experiment.net
    if not isinstance(net, theory.Chain | theory.ResNet):
        return None
    if not isinstance(net.activation, str) or not isinstance(net.weights, str):
        return None
    if experiment.x is not None or experiment.companion is not True or experiment.dtype != "float64":
        return None
    options = {"activation": net.activation, "depth": net.depth, "sigma-w": net.sigma_w, "sigma-b": net.sigma_b}
    if isinstance(net, theory.ResNet):
        options["skip"] = net.skip
    options |= {"weights": net.weights, "q0": experiment.q0}
    options |= {"width": experiment.width, "replicas": experiment.replicas, "seed": experiment.seed}
    if experiment.method is not None:
        options["method"] = experiment.method
    if experiment.backend != "numpy":
        options["backend"] = experiment.backend
    words = ["rmt", "validate", type(net).__name__.lower()]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    return shlex.join(words)


def _summary(comparisons: Sequence[Comparison], curves: Sequence[Curve]) -> Html:
    failed = sum(not comparison.passed for comparison in comparisons)
    count = len(comparisons)
    outcome = "1 comparison" if count == 1 else f"{count} comparisons"
    sentence = f"{outcome}, {'all passed' if not failed else f'{failed} failed'}." if count > 1 else f"{outcome}."
    rows = []
    for number, item in enumerate(comparisons, 1):
        link = element("a", short_name(item.run.experiment.net), href=f"#comparison-{number}")
        rows.append((link, _scale(item), f"{float(item.law.moments(1)[0]):.5g}", _edges(item), *_outlier_cells(item),
                     f"{item.p_value:.2g}", _badge(item)))  # fmt: skip
    header = ("network", "σ_w", "mean of JJᵀ", "edges", "outlier, theory", "outlier, sample", "p-value", "verdict")
    parts = [
        element("p", sentence, " The law of JJᵀ, the squared singular values of the input–output Jacobian at infinite "
                "width, against real networks with sampled weights."),
        table(header, rows),
    ]  # fmt: skip
    if count > 1:
        parts.append(_overview(comparisons, curves))
    rate = max(comparison.alpha for comparison in comparisons)
    parts.append(
        element("p", "A verdict fails if the p-value is below the stated false-alarm rate "
                f"({rate:g} for each comparison): a correct law fails that rarely.", class_="soft")
    )  # fmt: skip
    return join(parts)


def _overview(comparisons: Sequence[Comparison], curves: Sequence[Curve]) -> Html:
    from rmt.plotting import new_axes, plot_histogram, plot_law

    axes = new_axes(9.5, 3.8)
    for number, (item, curve) in enumerate(zip(comparisons, curves, strict=True)):
        color = f"C{number}"
        name = short_name(item.run.experiment.net)
        values, total = item.continuous_part()
        plot_histogram(axes, values, bins=_BINS, log=True, total=total, color=color, fill=False, alpha=0.75,
                       linewidth=1.0, label=name)  # fmt: skip
        plot_law(item.law, axes, log=True, curve=curve, color=color, linewidth=1.6)
    axes.set_xlabel("x, eigenvalue of JJᵀ")
    axes.legend(frameon=False, fontsize="small")
    figure = picture(axes.figure, "Densities of ln x of all networks: laws as lines, samples as outlined histograms")
    caption = element("figcaption", "All spectra, density of ln x: laws as lines, samples as outlines.")
    return element("figure", figure, caption)


def _section(comparison: Comparison, curve: Curve, number: int) -> Html:
    experiment = comparison.run.experiment
    heading = element("h2", short_name(experiment.net), " ", _badge(comparison))
    sentence = comparison.verdict
    return element(
        "section",
        heading,
        element("p", sentence[:1].upper() + sentence[1:] + "."),
        _pictures(comparison, curve),
        element(
            "div",
            element("div", element("h3", "Theory against sample"), _quantities(comparison)),
            element("div", element("h3", "What the theory says"), _prediction(comparison)),
            class_="figures",
        ),
        _derivation(experiment.net),
        element("h3", "The experiment"),
        _experiment(comparison),
        id=f"comparison-{number}",
    )


def _pictures(comparison: Comparison, curve: Curve) -> Html:
    name = short_name(comparison.run.experiment.net)
    figures = []
    for log, caption in (
        (False, "Density of the eigenvalues x of JJᵀ: law as line, sample as histogram."),
        (True, "The same on a logarithmic axis, density of ln x."),
    ):
        image = picture(_panel(comparison, curve, log=log), f"{name}: {caption}")
        figures.append(element("figure", image, element("figcaption", caption)))
    return element("div", *figures, class_="figures")


def _panel(comparison: Comparison, curve: Curve, *, log: bool) -> Any:
    from rmt.plotting import new_axes

    axes = new_axes(6.0, 3.7)
    comparison.plot(axes, log=log, curve=curve, color="#c4381a", linewidth=1.6)
    axes.set_title("")
    axes.set_xlabel("x, eigenvalue of JJᵀ")
    if comparison.has_outlier:
        _mark_outlier(axes, comparison, log=log)
    return axes.figure


def _mark_outlier(axes: Any, comparison: Comparison, *, log: bool) -> None:
    bulk = axes.get_xlim()
    mean = float(comparison.run.samples[0].largest(1).mean())
    transform = axes.get_xaxis_transform()
    axes.plot([mean], [0.03], transform=transform, marker="v", color="#1f5fa8", linestyle="none",
              label=f"outlier, sample mean {mean:.4g}")  # fmt: skip
    if comparison.outlier is not None:
        axes.plot([comparison.outlier] * 2, [0.0, 0.5], transform=transform, color="#1f5fa8", linestyle=":",
                  label=f"outlier, theory {comparison.outlier:.4g}")  # fmt: skip
    axes.legend(frameon=False, fontsize="small")
    # an outlier far away must not press the bulk flat; the legend says where it is
    if not log and axes.get_xlim()[1] > _FARTHEST_OUTLIER * bulk[1]:
        axes.set_xlim(bulk)


def _quantities(comparison: Comparison) -> Html:
    header = ("quantity", "theory", "sample", "standard error", "95 % interval", "z")
    notes = [f"{note[:1].upper()}{note[1:]}." for note in comparison.notes]
    notes.append(
        "z is the deviation in standard errors over replicas. For the two distances, theory and error are mean and "
        "spread of what a correct law gives."
    )
    rows = [row.cells() for row in comparison.table()]
    return join([table(header, rows), *(element("p", note, class_="soft note") for note in notes)])


def _prediction(comparison: Comparison) -> Html:
    support = comparison.law.support()
    pairs: list[tuple[str, str]] = [("continuous part", _edges(comparison) or "none")]
    pairs += [("edge exponents", ", ".join(f"{_edge_exponent(edge)} at {_short(edge.position)}"
                                           for edge in support.edges))] if support.edges else []  # fmt: skip
    pairs += [(f"atom at {_short(x)}", f"mass {_short(mass)}") for x, mass in support.atoms.items()]
    moments = [float(moment) for moment in comparison.law.moments(4)]
    pairs.append(("moments m_1 … m_4", ", ".join(f"{moment:.8g}" for moment in moments)))
    if comparison.outlier is not None:
        pairs.append(("outlier", f"{comparison.outlier:.6g}, one eigenvalue above the bulk"))
    pairs.append(("law", element("code", repr(comparison.law))))
    return definitions(pairs)


def _derivation(net: Any) -> Html:
    if not isinstance(net, Layer):
        return element("p", "Derivation in closed form: the module could not be read as a network", class_="soft")
    try:
        derivation = theory.derive(net)
    except (NotImplementedError, ValueError) as error:
        return element("p", f"Derivation in closed form: {error}", class_="soft")
    from sympy import latex

    from validation.inline_math import prose
    from validation.mathml import mathml

    steps = []
    sources = []
    for step in derivation.steps:
        source = element("span", f" ({step.source})", class_="soft") if step.source else ""
        formulas = [element("div", Html(mathml(formula)), class_="formula") for formula in step.formulas]
        text = Html(prose(step.reason))
        steps.append(element("li", element("strong", step.title, "."), " ", text, source, *formulas))
        sources += [latex(formula) for formula in step.formulas]
    shown = [source for source in sources if len(source) <= _MAX_LATEX]
    return details(
        "Derivation, step by step",
        element("ol", *steps, class_="steps"),
        details("LaTeX source of the formulas", element("pre", "\n\n".join(shown))),
    )


def _experiment(comparison: Comparison) -> Html:
    run = comparison.run
    experiment = run.experiment
    widths = ", ".join(f"{sample.width} ({sample.replicas} networks)" for sample in run.samples)
    given = f"given vector of mean square {_mean_square(experiment.x):.6g}"
    pairs: list[tuple[str, str]] = [
        ("network", element("code", repr(experiment.net))),
        ("widths", widths),
        ("input", given if experiment.x is not None else f"Gaussian, mean square q0 = {experiment.q0:g}"),
        ("seed", str(experiment.seed)),
        ("array library", experiment.backend),
        ("versions", ", ".join(f"{name} {number}" for name, number in run.metadata.get("versions", {}).items())),
        ("platform", str(run.metadata.get("platform", ""))),
    ]
    if "methods" in run.metadata:
        by_width = ", ".join(f"{method} (width {width})" for width, method in run.metadata["methods"].items())
        pairs.append(("sampled by", by_width))
    if "wall_seconds" in run.metadata:
        pairs.append(("sampling time", f"{run.metadata['wall_seconds']:.1f} s"))
    code, command = reproduction(comparison)
    again = ([element("p", "In the shell:"), element("pre", command)] if command else []) + [
        element("p", "In Python:"),
        element("pre", code),
    ]
    return join([definitions(pairs), details("Reproduce", *again)])


def _mean_square(x: Any) -> float:
    return math.nan if x is None else sum(float(value) ** 2 for value in x) / len(x)


def _badge(comparison: Comparison) -> Html:
    return element("span", "passed" if comparison.passed else "FAILED",
                   class_="verdict pass" if comparison.passed else "verdict fail")  # fmt: skip


def _scale(comparison: Comparison) -> str:
    sigma_w = getattr(comparison.run.experiment.net, "sigma_w", None)
    return "" if sigma_w is None else f"{float(sigma_w):.6g}"


def _edges(comparison: Comparison) -> str:
    intervals = comparison.law.support().intervals
    return " ∪ ".join(f"[{_short(lower)}, {_short(upper)}]" for lower, upper in intervals)


def _outlier_cells(comparison: Comparison) -> tuple[str, str]:
    predicted = "" if comparison.outlier is None else f"{comparison.outlier:.5g}"
    sampled = [row for row in comparison.table() if row.quantity == "outlier"]
    return predicted or "none", f"{sampled[0].sample:.5g} ± {sampled[0].error:.2g}" if sampled else "none"


def _edge_exponent(edge: Any) -> str:
    return "unknown" if edge.exponent is None else f"{edge.exponent}"


def _short(value: Any) -> str:
    return f"{float(value):.6g}"
