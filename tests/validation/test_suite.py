"""The suite: every result of the catalogue is judged once, what is right passes, and what is wrong fails."""

import json
import math

import numpy as np
import pytest
import sympy as sp

from theory import catalogue
from theory.catalogue.published import Entry, eq
from validation import suite
from validation.cli import main
from validation.suite import Effort, Identity, Mean, Spectrum, checks, run_suite
from validation.suite.check import judge
from validation.suite.report import as_json, summary, write_page

SMALL = Effort(batches=24, draws=1500, replicas=20, size=48)
# Each kind of check and of draw once; the whole is `rmt suite quick`.
SUBSET = [
    "averages-selu",
    "log-norm-relu",
    "chain-criticality",
    "ginibre-products",
    "rectangular-chain",
    "free-sum",
    "marchenko-pastur",
    "polynomial-moebius",
    "relu-resnet-outlier",
    "width-one-inertia",
    "moments-from-s",
    "weights-of-any-law",
    "weights-kurtosis",
    "delta-orthogonal-covariance",
]


def test_every_result_is_judged_exactly_once():
    every = checks()
    assert tuple(every) == catalogue.keys()
    sampled = [key for key, check in every.items() if not isinstance(check, suite.Algebra)]
    assert len(sampled) >= 88
    families = (suite.SCALARS, suite.SPECTRA, suite.IDENTITIES)
    assert sum(map(len, families)) == len(every)


@pytest.mark.parametrize("change", ["missing", "twice", "unknown"])
def test_gaps_and_doubles_are_named(change, monkeypatch):
    scalars = dict(suite.SCALARS)
    if change == "missing":
        scalars.pop("kernel-erf")
    else:
        scalars["free-sum" if change == "twice" else "no-such-result"] = scalars["kernel-erf"]
    monkeypatch.setattr(suite, "SCALARS", scalars)
    with pytest.raises(ValueError, match=r"exactly one check; look at (kernel-erf|free-sum|no-such-result)$"):
        checks()


def test_results_pass():
    outcomes = run_suite(SMALL, SUBSET)
    chance = sum(isinstance(check, Mean | Spectrum) for check in checks().values())
    assert [outcome.key for outcome in outcomes] == SUBSET
    assert [outcome.key for outcome in outcomes if not outcome.passed] == []
    for outcome in outcomes:
        assert outcome.quantities
        assert outcome.seconds > 0
        assert math.isnan(outcome.p_value) == (outcome.kind in ("algebra", "identity"))
        # the rate of a run is shared by the checks of chance
        assert outcome.alpha == pytest.approx(1e-6 / chance)


# bounds and algebra apart: an error of a fifth in what is stated
@pytest.mark.parametrize("key", SUBSET)
def test_wrong_results_fail(key):
    outcome = judge(checks()[key], catalogue.entry(key), SMALL, 1e-8, wrong=0.2)
    assert not outcome.passed


def test_numbers_depend_on_the_seed_and_the_result_alone():
    (alone,) = run_suite(SMALL, ["kernel-erf"])
    together = run_suite(SMALL, ["erf-slope-moments", "kernel-erf"])
    assert alone.p_value == together[1].p_value
    (other,) = run_suite(Effort(24, 1500, 20, 48, seed=2), ["kernel-erf"])
    assert other.p_value != alone.p_value


def entry(*statement):
    return Entry("k", "t", statement, ("h",), (("", "derived here"),), lambda: [], "nothing")


def test_means_take_what_is_stated_from_the_statement():
    a, b, c = sp.symbols("a b c")
    chained = entry(eq(b, 2 * a), eq(c, b + 1))

    def draw(rng, count):
        return {"b": 2.0 + rng.standard_normal(count), "c": 3.0 + rng.standard_normal(count)}

    found = judge(Mean({"a": 1}, draw), chained, SMALL, 1e-8)
    assert (found.quantities, found.passed) == (("b", "c"), True)
    # c is 3 although the sampled b would make it 13
    shifted = Mean({"a": 1}, lambda rng, count: {**draw(rng, count), "b": np.full(count, 12.0)})
    assert not judge(shifted, chained, SMALL, 1e-8).passed
    with pytest.raises(ValueError, match="k: no equation between the given and the sampled symbols"):
        judge(Mean({}, lambda _rng, _count: {"a": 1.0}), entry(eq(a, b)), SMALL, 1e-8)
    with pytest.raises(ValueError, match="k: the statement has no symbols d"):
        judge(Mean({}, lambda _rng, _count: {"d": 1.0}), chained, SMALL, 1e-8)


def test_identities_hold_in_every_draw_or_fail():
    x, y = sp.symbols("x y")
    square = entry(eq(y, x**2))
    assert judge(Identity(lambda rng: {"x": (v := float(rng.random())), "y": v * v}), square, SMALL, 1e-8).passed
    once = iter([0.1] + [0.0] * 50)
    wrong = Identity(lambda _rng: {"x": 0.5, "y": 0.25 + next(once)})
    assert not judge(wrong, square, SMALL, 1e-8).passed
    # nothing compared is nothing shown
    assert not judge(Identity(lambda _rng: {"x": 0.5}), square, SMALL, 1e-8).passed
    with pytest.raises(ValueError, match="k has no law"):
        judge(Spectrum({}), square, SMALL, 1e-8)
    with pytest.raises(NotImplementedError, match="no rule for int"):
        judge(1, square, SMALL, 1e-8)


def test_false_alarms_are_rare_and_means_uniform():
    """p-values of a right statement are uniform: of 200 some 20 below 0.1."""
    x = sp.Symbol("x")
    found = [
        judge(
            Mean({}, lambda rng, count: {"x": 1.0 + rng.standard_normal(count)}),
            entry(eq(x, 1)),
            Effort(batches=16, draws=5, seed=seed),
            1e-8,
        ).p_value
        for seed in range(200)
    ]
    assert 5 <= sum(p < 0.1 for p in found) <= 42


def test_the_outcome_is_written(tmp_path):
    outcomes = run_suite(SMALL, ["kernel-erf", "moments-from-s"])
    assert json.loads(json.dumps(as_json(outcomes[:1], 1e-6)))["passed"] is True
    assert summary(outcomes, 1e-6).startswith("2 results (1 by mean, 1 by algebra): all passed; false-alarm rate")
    text = write_page(outcomes, tmp_path / "s.html", alpha=1e-6, conditions=[("seed", "1")]).read_text()
    assert "Correlation map of erf" in text
    assert "http" not in text.replace("http-equiv", "")
    with pytest.raises(ValueError, match="outcomes is empty"):
        write_page([], tmp_path / "s.html", alpha=1e-6, conditions=[])


def test_the_command_prints_and_exits_by_the_verdict(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(suite.EFFORTS, "quick", SMALL)
    report = tmp_path / "suite.html"
    only = ["--only", "kernel-erf", "--only", "hessian-blocks"]
    assert main(["suite", "quick", *only, "--report", str(report)]) == 0
    printed = capsys.readouterr()
    assert "kernel-erf" in printed.out
    assert "2 results (1 by mean, 1 by identity): all passed" in printed.out
    assert report.exists()
    wrong = Mean({"q": 0.7, "rho": 0.9}, suite.SCALARS["kernel-erf"].draw)
    monkeypatch.setattr(suite, "SCALARS", {**suite.SCALARS, "kernel-erf": wrong})
    assert main(["suite", "quick", *only, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [outcome["passed"] for outcome in found["outcomes"]] == [False, True]
    assert main(["suite", "quick", "--only", "kernel-erv"]) == 2
    assert "did you mean kernel-erf" in capsys.readouterr().err
