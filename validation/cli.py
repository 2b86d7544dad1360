"""The command ``rmt``: what is typed, checked and answered in a shell. The work is in `commands`, `demo`, `doctor`.

Exit codes: 0 done, 1 a verdict or a check failed, 2 bad input (one line on stderr says what to change), 3 a numerical
answer was not reached, 130 interrupted.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import rmt
from theory.activations import ACTIVATION_NAMES
from theory.weights import WEIGHTS
from validation.backend import BACKENDS

__all__ = ["build_parser", "main"]

_NUMBER_LENGTH = 64  # no number that a person types is longer; int() of a million digits would take minutes


class _UsageError(Exception):
    """The command line cannot be understood; the message is complete."""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line with the next step, instead of the usage and an error."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{self.prog}: {message}; see '{self.prog} --help'")


def _number(text: str) -> int | float | Fraction:
    """Read ``3``, ``0.5``, ``1e-3`` or ``3/4``; integers and fractions stay exact."""
    text = text.strip()
    allowed = f"{text[:_NUMBER_LENGTH]!r} is not a finite number; write it as 2, 0.5, 1e-3 or 3/4"
    if len(text) > _NUMBER_LENGTH:
        raise argparse.ArgumentTypeError(allowed)
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if re.fullmatch(r"[+-]?\d+/\d*[1-9]\d*", text):
        return Fraction(text)
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(allowed) from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(allowed)
    return value


def _whole(text: str) -> int:
    """Read an integer."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text.strip()):
        raise argparse.ArgumentTypeError(f"{text[:_NUMBER_LENGTH]!r} is not a whole number")
    return int(text)


def _positive(text: str) -> int:
    """Read an integer that is at least 1."""
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not allowed; it must be at least 1")
    return value


def _natural(text: str) -> int:
    """Read an integer that is at least 0."""
    value = _whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is not allowed; it must be at least 0")
    return value


def _expression(text: str) -> Any:
    """Read a number, or an expression in symbols: ``sqrt(2)``, ``sigma``, ``2*c``."""
    from rmt.symbolic.grammar import GrammarError, parse_number

    try:
        return _number(text)
    except argparse.ArgumentTypeError:
        pass
    try:
        return parse_number(text)
    except GrammarError as error:
        raise argparse.ArgumentTypeError(f"neither a finite number nor an expression in symbols: {error}") from None


def _whole_expression(text: str) -> Any:
    """Read an integer, or a symbol for one."""
    from rmt.symbolic.grammar import GrammarError, parse_number

    try:
        return _whole(text)
    except argparse.ArgumentTypeError:
        pass
    try:
        return parse_number(text, integer=True)
    except GrammarError as error:
        raise argparse.ArgumentTypeError(f"neither a whole number nor a symbol for one: {error}") from None


def _add_network(parser: argparse.ArgumentParser, *, symbolic: bool = False) -> None:
    number, whole = (_expression, _whole_expression) if symbolic else (_number, _whole)
    if symbolic:
        parser.add_argument(
            "network",
            choices=("resnet", "chain", "law"),
            help="residual network, plain chain of layers, or a law given by an expression",
        )
        parser.add_argument(
            "expression",
            nargs="?",
            metavar="EXPR",
            help="after law: semicircle(1) + mp(1/2), mp(c) @ discrete(0: 1/2, 1: 1/2), power(mp(1), L), ...",
        )
    else:
        parser.add_argument("network", choices=("resnet", "chain"), help="residual network, or plain chain of layers")
    group = parser.add_argument_group("the network")
    group.add_argument(
        "--activation", default="relu", metavar="NAME", help=f"one of {', '.join(ACTIVATION_NAMES)} (relu)"
    )
    group.add_argument("--depth", type=whole, metavar="L", help="number of layers or blocks (resnet 50, chain 10)")
    group.add_argument(
        "--sigma-w",
        type=number,
        default=1,
        metavar="S",
        help="weights have variance S^2/width, in a resnet S^2/(width*depth) (1)",
    )
    group.add_argument("--sigma-b", type=number, default=0, metavar="S", help="biases have variance S^2 (0)")
    group.add_argument("--skip", type=number, metavar="A", help="factor of the skip connection, resnet only (1)")
    group.add_argument("--weights", choices=WEIGHTS, default="gaussian", help="(gaussian)")


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--q0", type=_number, default=1, metavar="Q", help="mean square of the input's components, positive (1)"
    )


def _add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")


def _add_experiment(parser: argparse.ArgumentParser, *, width: int, replicas: int) -> None:
    parser.add_argument("--width", type=_positive, default=width, metavar="N", help=f"width of the networks ({width})")
    parser.add_argument(
        "--replicas",
        type=_positive,
        default=replicas,
        metavar="R",
        help=f"number of independent networks, at least 8 for a verdict ({replicas})",
    )
    parser.add_argument("--seed", type=_natural, default=1, metavar="N", help="seed of all randomness (1)")
    parser.add_argument(
        "--workers", type=_positive, metavar="P", help="parallel processes; the numbers do not depend on it (all cores)"
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command ``rmt``."""
    parser = _Parser(
        prog="rmt",
        description="Random-matrix theory for deep networks: from a network to the formula of its Jacobian's "
        "spectrum, the curve, a sample of real networks, and a verdict.",
        epilog="Every command has --help. Exit codes: 0 done, 1 a verdict failed, 2 bad input, 3 not converged.",
    )
    parser.add_argument("--version", action="version", version=f"rmt-toolkit {version('rmt-toolkit')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo",
        help="the main job: derive, draw, sample and judge five networks, in under a minute",
        description="Four ResNets with different activations, tuned to the same effective cumulant, and one orthogonal "
        "chain: derives each spectrum, samples real networks, compares, and writes one HTML report.",
    )
    demo.add_argument(
        "-o", "--report", type=Path, default=Path("report.html"), metavar="PATH", help="where to write (report.html)"
    )
    _add_experiment(demo, width=320, replicas=24)
    _add_json(demo)

    derive = commands.add_parser(
        "derive",
        help="the formula: equation, S-transform, edges, moments, step by step",
        description="Derives the law of J J^T (the squared singular values of the input-output Jacobian) at infinite "
        "width, or a law given by an expression, step by step with reasons and sources. Whole numbers and fractions "
        "(3/4) stay exact; sqrt(2) and symbols (--sigma-w sigma --depth L) are welcome.",
    )
    _add_network(derive, symbolic=True)
    derive.add_argument("--symbolic", action="store_true", help="keep sigma_w as a symbol")
    derive.add_argument(
        "--exact", action="store_true", help="a resnet at its own depth instead of the limit of infinite depth"
    )
    form = derive.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="print LaTeX instead of plain text")
    form.add_argument("--markdown", action="store_true", help="print Markdown instead of plain text")
    form.add_argument("--c-source", action="store_true", help="print C99 source of the equation instead")
    _add_json(form)

    curve = commands.add_parser(
        "curve",
        help="the density and distribution function, on a grid",
        description="Computes the limiting density of the eigenvalues of J J^T, or of the singular values of J. "
        "Without -o the table is printed as CSV.",
    )
    _add_network(curve)
    _add_input(curve)
    curve.add_argument("-o", "--output", type=Path, metavar="PATH", help="write to a .csv, .json or .npz file")
    curve.add_argument("--plot", type=Path, metavar="PATH", help="also draw it, to a .png, .svg or .pdf file")
    curve.add_argument("--points", type=_positive, default=400, metavar="N", help="number of points (400)")
    curve.add_argument("--singular-values", action="store_true", help="the law of s = sqrt(x) instead of x")
    _add_json(curve)

    validate = commands.add_parser(
        "validate",
        help="sample real networks and judge the law against them",
        description="Draws real networks of finite width, computes the spectra of their Jacobians, and compares them "
        "with the predicted law. Exit code 1 if the verdict fails.",
    )
    _add_network(validate)
    _add_input(validate)
    _add_experiment(validate, width=400, replicas=64)
    validate.add_argument("--store", type=Path, metavar="DIR", help="keep finished replicas here, and resume from here")
    validate.add_argument("--report", type=Path, metavar="PATH", help="also write a self-contained HTML report")
    validate.add_argument("--method", metavar="NAME", help="how to sample (the planner's choice; see --plan)")
    validate.add_argument("--backend", choices=BACKENDS, default="numpy", help="cupy: on a GPU (numpy)")
    validate.add_argument("--plan", action="store_true", help="only print how the networks would be sampled, and why")
    _add_json(validate)

    tune = commands.add_parser(
        "tune",
        help="the sigma_w that gives a wanted c, chi or lambda_max",
        description="Solves for sigma_w, everything else of the network held fixed.",
    )
    _add_network(tune)
    _add_input(tune)
    target = tune.add_mutually_exclusive_group(required=True)
    target.add_argument("--c", type=_number, metavar="C", help="effective cumulant of a ResNet")
    target.add_argument("--chi", type=_number, metavar="CHI", help="mean squared gain of the last layer; 1 is critical")
    target.add_argument("--lambda-max", type=_number, metavar="X", help="largest eigenvalue of J J^T, outlier included")
    _add_json(tune)

    catalogue = commands.add_parser(
        "catalogue",
        help="the published results: list them, derive one, check them",
        description="Lists the published results that the toolkit carries, topic by topic. Every one has a derivation "
        "and a check against something found another way.",
    )
    form = catalogue.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print all formulas as the page of the documentation")
    form.add_argument("--check", action="store_true", help="check every result; exit code 1 if one fails")
    _add_json(form)
    show = catalogue.add_subparsers(dest="action", metavar="ACTION").add_parser(
        "show",
        help="derive one result",
        description="Prints the derivation of one result: steps, formulas, hypotheses, sources.",
    )
    show.add_argument("key", metavar="KEY", help="as in the list")
    form = show.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="print LaTeX instead of plain text")
    # without a default of its own, as the option stands before the action too
    form.add_argument(
        "--markdown", action="store_true", default=argparse.SUPPRESS, help="print Markdown instead of plain text"
    )
    form.add_argument(
        "--check", action="store_true", default=argparse.SUPPRESS, help="print both sides of every comparison instead"
    )
    form.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")

    suite = commands.add_parser(
        "suite",
        help="the published results held against samples: quick or full",
        description="Samples what every result of the catalogue speaks of (means, spectra, edges, exponents, "
        "identities) and judges it, errors over independent batches. Exit code 1 if a verdict fails; a whole run "
        "raises a false alarm with probability 1e-6.",
    )
    suite.add_argument("effort", choices=("quick", "full"), help="quick: a minute or two; full: some ten times as much")
    suite.add_argument(
        "--only", action="append", metavar="KEY", help="judge this result of 'rmt catalogue' alone; may be repeated"
    )
    suite.add_argument("--seed", type=_natural, default=1, metavar="N", help="seed of all randomness (1)")
    suite.add_argument("--report", type=Path, metavar="PATH", help="also write a self-contained HTML page")
    _add_json(suite)

    doctor = commands.add_parser(
        "doctor",
        help="versions, optional libraries, import paths, GPU",
        description="Shows what this installation consists of. Exit code 1 if one of the three packages is foreign.",
    )
    _add_json(doctor)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``rmt`` and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the name of the command; those of the process if None.

    Returns
    -------
    int
        0 done, 1 a verdict or a check failed, 2 bad input, 3 not converged, 130 interrupted.
    """
    try:
        args = build_parser().parse_args(argv)
        code = _dispatch(args)
        sys.stdout.flush()  # a reader that has gone away shows here, not at interpreter shutdown
    except _UsageError as error:
        return _fail(str(error), 2)
    except KeyboardInterrupt:
        return _fail("rmt: interrupted", 130)
    except BrokenPipeError:
        # The reader (head, less) has what it wanted; what is left in the buffer must not be flushed into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"rmt {args.command}: {error.filename}: {error.strerror}" if error.filename else str(error), 2)
    except (ValueError, NotImplementedError) as error:
        return _fail(f"rmt {args.command}: {error}", 2)
    except rmt.ConvergenceError as error:
        return _fail(f"rmt {args.command}: {error}", 3)
    return code


def _dispatch(args: Any) -> int:
    # Each command is imported when it is asked for: --help must not wait for sympy, numba or matplotlib.
    match args.command:
        case "demo":
            from validation.demo import run_demo

            return run_demo(args)
        case "doctor":
            from validation.doctor import run_doctor

            return run_doctor(args)
        case _:
            from validation import commands

            return commands.COMMANDS[args.command](args)


def _fail(message: str, code: int) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
