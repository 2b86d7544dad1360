"""The four ways in which a result of the catalogue is held against samples, and how each is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from theory.catalogue.published import Entry, eq, evaluate
from validation.matrices import eigenvalues, law_agreement
from validation.statistics import estimate, extrapolation_weights, mean_test, student_p_value

__all__ = ["Algebra", "Check", "Effort", "Identity", "Mean", "Outcome", "Spectrum", "judge"]

FloatArray = npt.NDArray[np.float64]
Values: TypeAlias = Mapping[str, Any]
Rng: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Effort:
    """How much is sampled: batches of `draws` draws, `replicas` matrices of size `size`."""

    batches: int = 32
    draws: int = 4000
    replicas: int = 24
    size: int = 96
    seed: int = 1


@dataclass(frozen=True)
class Mean:
    """Averages over draws are what the statement says.

    Attributes
    ----------
    given : mapping of symbol name to number
        Parameters of the statement.
    draw : callable
        ``draw(rng, count)`` returns, for names of symbols, values of which the mean is stated: arrays of `count`
        draws, or one unbiased estimate from them.
    expected : callable or None
        Expected means by name, computed from the entry where the names are not symbols of its own.
    bias : float
        Systematic deviation that is forgiven, relative to the expected value: that of finite matrices.
    share : float
        Part of an effort's draws that is taken, for draws that cost more.
    """

    given: Values
    draw: Callable[[Rng, int], Values]
    expected: Callable[[Entry], Values] | None = None
    bias: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class Identity:
    """The statement holds in every draw, to rounding: derivatives, ranks, bounds.

    Attributes
    ----------
    draw : callable
        ``draw(rng)`` returns values of symbols by name.
    tolerance : float
        Relative.
    count : int
        Number of draws.
    """

    draw: Callable[[Rng], Values]
    tolerance: float = 1e-8
    count: int = 12


@dataclass(frozen=True)
class Spectrum:
    """Random matrices have the law of the result, and their extreme eigenvalues tend to the stated edges.

    The matrices are complex: averages over their spectra are mostly off by O(1/n²) only.

    Attributes
    ----------
    arguments : mapping
        Of the entry's law.
    edges : mapping of symbol name to -1 or 0
        Symbols of the statement that are the largest (-1) or smallest (0) eigenvalue.
    given : mapping
        Symbols of the statement, for the edges; the arguments have the names of symbols otherwise.
    sampled : callable or None
        ``sampled(law)``, the law that is drawn; the entry's law itself if None.
    spectrum : callable or None
        ``spectrum(rng, n)``, eigenvalues of a matrix of one's own of size n, instead of those of a law.
    """

    arguments: Mapping[str, Any]
    edges: Mapping[str, int] | None = None
    given: Values | None = None
    sampled: Callable[[Law], Law] | None = None
    spectrum: Callable[[Rng, int], FloatArray] | None = None


@dataclass(frozen=True)
class Algebra:
    """Nothing to sample, for the stated reason; the entry's own check runs instead."""

    reason: str


Check: TypeAlias = Mean | Identity | Spectrum | Algebra


@dataclass(frozen=True)
class Outcome:
    """What came out of one check.

    Attributes
    ----------
    key, title : str
        The entry.
    kind : str
        The way it was checked.
    quantities : tuple of str
        What was compared.
    p_value : float
        Probability of a deviation as large if the statement holds; NaN for what is no test of chance.
    alpha : float
        False-alarm rate of this check.
    passed : bool
        The verdict.
    note : str
        Relative error of what was compared, or how it was checked.
    seconds : float
        Time it took.
    """

    key: str
    title: str
    kind: str
    quantities: tuple[str, ...]
    p_value: float
    alpha: float
    passed: bool
    note: str
    seconds: float = math.nan


@singledispatch
def judge(check: Any, entry: Entry, effort: Effort, alpha: float, wrong: float = 0.0) -> Outcome:
    """Check an entry and say what came out.

    Parameters
    ----------
    check : Mean, Identity, Spectrum or Algebra
    entry : Entry
        Of the catalogue.
    effort : Effort
        How much to sample.
    alpha : float
        False-alarm rate.
    wrong : float
        Relative error put into the expectation on purpose, to see whether the check finds it.
    """
    raise NotImplementedError(f"suite: no rule for {type(check).__name__}")


def rng_of(key: str, effort: Effort, number: int) -> Rng:
    """A generator of its own for every batch of every entry; it depends on nothing else."""
    return np.random.default_rng((effort.seed, number, *key.encode()))


@judge.register
def _algebra(check: Algebra, entry: Entry, _effort: Effort, alpha: float, wrong: float = 0.0) -> Outcome:
    found = _perturbed(entry, wrong).check()
    passed = all(agreement.passed for agreement in found)
    names = tuple(dict.fromkeys(str(agreement.relation.lhs) for agreement in found))
    note = f"{check.reason}; {entry.verified()}"
    return Outcome(entry.key, entry.title, "algebra", names, math.nan, alpha, passed, note)


@judge.register
def _identity(check: Identity, entry: Entry, effort: Effort, alpha: float, wrong: float = 0.0) -> Outcome:
    draws = [_by_symbol(entry, check.draw(rng_of(entry.key, effort, number))) for number in range(check.count)]
    sampled = replace(_perturbed(entry, wrong), witnesses=lambda: draws, tolerance=check.tolerance, quoted={})
    found = [agreement for relation in sampled.statement for agreement in sampled.judge(relation)]
    passed = bool(found) and all(agreement.passed for agreement in found)
    names = tuple(dict.fromkeys(str(agreement.relation.lhs) for agreement in found))
    note = f"{len(found)} comparisons in {check.count} draws, to {check.tolerance:.0e}"
    return Outcome(entry.key, entry.title, "identity", names, math.nan, alpha, passed, note)


@judge.register
def _mean(check: Mean, entry: Entry, effort: Effort, alpha: float, wrong: float = 0.0) -> Outcome:
    count = max(1, round(effort.draws * check.share))
    rows = [check.draw(rng_of(entry.key, effort, number), count) for number in range(effort.batches)]
    means = {name: np.array([float(np.mean(row[name])) for row in rows]) for name in rows[0]}
    if check.expected is not None:
        stated: Values = check.expected(entry)
        sides = {name: (means[name], np.full(effort.batches, float(stated[name]))) for name in means}
    else:
        sides = _stated_sides(entry, check.given, means)
    left, right = (np.stack([side[index] for side in sides.values()], axis=1) for index in (0, 1))
    scale = np.maximum(np.abs(right.mean(axis=0)), 1e-300)
    residual = left - right * (1.0 + wrong)
    test = mean_test(residual, np.zeros(residual.shape[1]), check.bias * scale)
    errors = residual.std(axis=0, ddof=1) / math.sqrt(effort.batches)
    relative = float(np.median(errors / np.where(scale > 1e-12, scale, 1.0)))
    note = f"{effort.batches * count} draws, relative standard error {relative:.1g}"
    return Outcome(entry.key, entry.title, "mean", tuple(sides), test.p_value, alpha, bool(test.p_value >= alpha), note)


@judge.register
def _spectrum(check: Spectrum, entry: Entry, effort: Effort, alpha: float, wrong: float = 0.0) -> Outcome:
    law = entry.law(**check.arguments) if entry.law is not None else None
    if law is None:
        raise ValueError(f"{entry.key} has no law")
    sampled = law if check.sampled is None else check.sampled(law)

    def draw(rng: Rng, n: int) -> FloatArray:
        return eigenvalues(sampled, n, rng, beta=2) if check.spectrum is None else np.sort(check.spectrum(rng, n))

    expected = law if wrong == 0.0 else (1.0 + wrong) * law
    test = law_agreement(draw, expected, n=effort.size, replicas=effort.replicas, seed=effort.seed)
    p_values = [test.p_value]
    names = ["Cauchy transform"]
    for name, position in (check.edges or {}).items():
        stated = _stated(entry, name, check.given or check.arguments) * (1.0 + wrong)
        sizes = (effort.size, effort.size // 2)
        ends = [
            np.array([draw(rng_of(entry.key, effort, 2 * r + k), n)[position] for r in range(effort.replicas)])
            for k, n in enumerate(sizes)
        ]
        weights = extrapolation_weights(sizes, 2.0 / 3.0)
        limit = estimate(weights[0] * ends[0] + weights[1] * ends[1])
        # Tracy–Widom: the mean extreme eigenvalue is off by n^(-2/3), after extrapolation by O(1/n)
        allowance = EDGE_BIAS / effort.size * abs(stated)
        p_values.append(student_p_value(limit.z(stated, allowance), effort.replicas))
        names.append(name)
    p_value = min(1.0, len(p_values) * min(p_values))
    note = f"{effort.replicas} matrices of size {effort.size} and {effort.size // 2}"
    return Outcome(entry.key, entry.title, "spectrum", tuple(names), p_value, alpha, p_value >= alpha, note)


EDGE_BIAS = 5.0


# --- sides of a statement ---------------------------------------------------------------------------------------------


def _perturbed(entry: Entry, wrong: float) -> Entry:
    """The entry with the right sides of its equations multiplied by 1 + wrong."""
    if wrong == 0.0:
        return entry
    changed = tuple(
        relation.func(relation.lhs, relation.rhs * (1 + wrong), evaluate=False) for relation in entry.statement
    )
    return replace(entry, statement=changed, quoted={})


def _by_symbol(entry: Entry, values: Values) -> dict[Any, Any]:
    symbols = {str(symbol): symbol for relation in entry.statement for symbol in relation.free_symbols}
    unknown = set(values) - set(symbols)
    if unknown:
        raise ValueError(f"{entry.key}: the statement has no symbols {', '.join(sorted(unknown))}")
    return {symbols[name]: value for name, value in values.items()}


def _definitions(entry: Entry) -> dict[Any, Any]:
    """Symbols that the statement defines: those that stand alone on a left side."""
    return {
        relation.lhs: relation.rhs for relation in entry.statement if relation.lhs.is_Symbol and _is_equation(relation)
    }


def _is_equation(relation: Any) -> bool:
    return isinstance(relation, type(eq(0, 1)))


def _stated(entry: Entry, name: str, given: Values) -> float:
    """Value that the statement gives a symbol, from the given ones."""
    import sympy as sp

    definitions = _definitions(entry)
    (target,) = (symbol for symbol in definitions if str(symbol) == name)
    named = {str(symbol) for relation in entry.statement for symbol in relation.free_symbols}
    values = _by_symbol(entry, {key: value for key, value in given.items() if key in named})
    known = {symbol: sp.sympify(value) for symbol, value in values.items()}
    return float(_resolved(definitions[target], definitions, known))


def _resolved(expression: Any, definitions: Mapping[Any, Any], known: Mapping[Any, Any]) -> Any:
    """The expression with known symbols, and those that the statement defines, replaced; a number if none is left."""
    import sympy as sp

    defined = {
        symbol: _resolved(definitions[symbol], definitions, known)
        for symbol in expression.free_symbols & definitions.keys() - known.keys()
    }
    replaced = expression.xreplace({**known, **defined})
    return replaced if replaced.free_symbols else sp.Float(evaluate(replaced).real)


def _stated_sides(entry: Entry, given: Values, means: Mapping[str, FloatArray]) -> dict[str, tuple[Any, Any]]:
    """Both sides of every equation between given and sampled symbols, an array over batches each.

    On the right, what the statement defines comes from the statement and not from the sample.
    """
    import sympy as sp

    definitions = _definitions(entry)
    known = {s: sp.sympify(v) for s, v in _by_symbol(entry, given).items()}
    sampled = _by_symbol(entry, means)
    found = {}
    for relation in entry.statement:
        if not _is_equation(relation):
            continue
        left, right = relation.lhs.xreplace(known), _resolved(relation.rhs, definitions, known)
        if not left.free_symbols <= sampled.keys() or not right.free_symbols <= sampled.keys():
            continue
        if left.free_symbols | right.free_symbols:
            found[str(relation.lhs)] = (_over_batches(left, sampled), _over_batches(right, sampled))
    if not found:
        raise ValueError(f"{entry.key}: no equation between the given and the sampled symbols")
    return found


def _over_batches(side: Any, sampled: Mapping[Any, FloatArray]) -> FloatArray:
    import sympy as sp

    count = len(next(iter(sampled.values())))
    symbols = sorted(side.free_symbols, key=str)
    if not symbols:
        return np.full(count, float(evaluate(side).real))
    values = sp.lambdify(symbols, side, "numpy")(*(sampled[symbol] for symbol in symbols))
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (count,))
