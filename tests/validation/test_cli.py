"""The shell says what the library says: text, JSON, files, exit codes."""

import contextlib
import json
from fractions import Fraction

import numpy as np
import pytest

import rmt
import theory
from validation.cli import build_parser, main
from validation.tables import text_table

RESNET = ("resnet", "--activation", "hard_tanh", "--depth", "3", "--sigma-w", "3/4", "--q0", "1.3")
NET = theory.ResNet(depth=3, activation="hard_tanh", sigma_w=Fraction(3, 4))


@pytest.fixture
def shell(capsys):
    """Run a command that must succeed and return what it printed."""

    def run(*argv, code=0):
        assert main(argv) == code
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("-2", -2), ("0.5", 0.5), ("1e-3", 1e-3), ("3/4", Fraction(3, 4)), (" 7 ", 7)]
)
def test_numbers_keep_their_kind(text, number):
    parsed = build_parser().parse_args(["curve", "chain", f"--sigma-w={text}"]).sigma_w
    assert parsed == number
    assert type(parsed) is type(number)


def test_help_of_every_command(capsys):
    names = ("demo", "derive", "curve", "validate", "tune", "catalogue", "doctor")
    for command in ([], *([name] for name in names), ["catalogue", "show"]):
        with contextlib.suppress(SystemExit):
            assert main([*command, "--help"]) == 0
        out, err = capsys.readouterr()
        assert "usage: rmt" in out
        assert err == ""
        if command:
            assert "--json" in out


def test_curve_to_every_format(shell, tmp_path):
    law = theory.jacobian_law(NET, q0=1.3)
    for suffix in (".csv", ".json", ".npz"):
        path = tmp_path / f"curve{suffix}"
        out = shell("curve", *RESNET, "-o", str(path), "--points", "50")
        assert str(path) in out
        curve = rmt.load_curve(path)
        expected = law.curve(points=50)
        np.testing.assert_array_equal(curve.x, expected.x)
        # a law that has answered before starts its walks elsewhere
        np.testing.assert_allclose(curve.density, expected.density, rtol=1e-11)


def test_curve_on_stdout(shell):
    header, *rows = shell("curve", *RESNET, "--points", "20", "--singular-values").splitlines()
    assert header == "x,density,cdf,error"
    law = theory.jacobian_law(NET, q0=1.3).sqrt()
    for row in rows:
        x, density, cdf, _ = map(float, row.split(","))
        assert density == pytest.approx(law.pdf(x), abs=1e-8)
        assert cdf == pytest.approx(law.cdf(x), abs=1e-8)


def test_curve_as_json_and_picture(shell, tmp_path):
    out = shell("curve", *RESNET, "--points", "20", "--json", "--plot", str(tmp_path / "curve.svg"))
    found = json.loads(out)
    ((lower, upper),) = theory.jacobian_law(NET, q0=1.3).support().intervals
    assert found["intervals"] == [[pytest.approx(float(lower)), pytest.approx(float(upper))]]
    assert found["status"] == "OK"
    assert "<svg" in (tmp_path / "curve.svg").read_text(encoding="utf-8")


def test_tune(shell):
    found = json.loads(shell("tune", "resnet", "--activation", "selu", "--depth", "7", "--c", "0.25", "--json"))
    tuned = theory.ResNet(depth=7, activation="selu", sigma_w=found["sigma_w"])
    assert theory.effective_cumulant(tuned) == pytest.approx(0.25, rel=1e-9)
    assert found["network"] == repr(
        theory.tune(theory.ResNet(depth=7, activation="selu", sigma_w=1, sigma_b=0, skip=1), c=0.25)
    )
    text = shell("tune", "resnet", "--activation", "selu", "--depth", "7", "--c", "0.25")
    assert repr(found["sigma_w"]) in text


def test_derive(shell):
    chain = ("chain", "--activation", "relu", "--depth", "2", "--sigma-w", "3/2")
    derivation = theory.derive(theory.Chain(depth=2, activation="relu", sigma_w=Fraction(3, 2), sigma_b=0))
    assert shell("derive", *chain) == f"{derivation}\n"
    assert shell("derive", *chain, "--latex") == f"{derivation.latex()}\n"
    assert shell("derive", *chain, "--markdown") == f"{derivation.to_markdown()}\n"
    found = json.loads(shell("derive", *chain, "--json"))
    assert found["moments"] == [str(moment) for moment in derivation.moments(4)]
    assert found["equation"] == str(derivation.equation)


def test_derive_with_a_symbol(shell):
    out = shell("derive", "chain", "--activation", "linear", "--depth", "2", "--symbolic", "--json")
    assert "sigma_w" in json.loads(out)["s_transform"]


def test_derive_a_law(shell):
    derivation = rmt.derive(rmt.Semicircle(1) + rmt.MarchenkoPastur(Fraction(1, 2)))
    assert shell("derive", "law", "semicircle(1) + mp(1/2)") == f"{derivation}\n"
    assert shell("derive", "law", "semicircle(1) + mp(1/2)", "--c-source") == f"{derivation.to_c()}\n"


def test_derive_with_expressions(shell):
    import sympy as sp

    a, depth = sp.Symbol("a", positive=True), sp.Symbol("L", positive=True, integer=True)
    net = theory.ResNet(depth=depth, activation="relu", sigma_w=sp.sqrt(2), sigma_b=0, skip=a)
    options = ("--depth", "L", "--sigma-w", "sqrt(2)", "--skip", "a")
    assert shell("derive", "resnet", *options, "--exact") == f"{theory.derive(net, exact=True)}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("law",), "an expression is missing"),
        (("law", "mp(1) * mp(2)"), "write '@' for the free product"),
        (("resnet", "mp(1)"), "only 'rmt derive law'"),
        (("chain", "--sigma-w", "__import__('os')"), "'_' is no part of an expression"),
        (("chain", "--depth", "1/2"), "expected an integer"),
    ],
)
def test_wrong_expressions_are_bad_input(capsys, arguments, message):
    assert main(["derive", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_validate(shell, tmp_path):
    experiment = ("--width", "24", "--replicas", "8", "--seed", "5", "--workers", "1")
    report, store = tmp_path / "report.html", tmp_path / "store"
    found = json.loads(
        shell("validate", *RESNET, *experiment, "--report", str(report), "--store", str(store), "--json")
    )
    assert found["passed"] is True
    assert found["experiment"]["seed"] == 5
    assert found["experiment"]["q0"] == 1.3
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(store.iterdir())
    text = shell("validate", *RESNET, *experiment)
    assert f"p = {found['p_value']:.2g}" in text


def test_plan_and_method(shell, capsys):
    network = ("validate", "chain", "--activation", "relu", "--depth", "3", "--width", "20")
    text = shell(*network, "--plan")
    assert "width 20" in text
    assert "width 10" in text
    assert "taken: a masked chain" in text
    plans = json.loads(shell(*network, "--method", "forward", "--plan", "--json"))
    assert plans == {width: {"method": "forward", "reason": "asked for"} for width in ("20", "10")}
    assert main((*network, "--method", "fast")) == 2
    assert "method='fast' is unknown; choose one of" in capsys.readouterr().err


def test_failed_verdict_is_exit_code_1(shell, monkeypatch):
    wrong = theory.jacobian_law(theory.ResNet(depth=3, activation="hard_tanh", sigma_w=2.0))
    monkeypatch.setattr("theory.jacobian_law", lambda *_args, **_kwargs: wrong)
    out = shell("validate", *RESNET, "--width", "32", "--replicas", "24", "--workers", "1", code=1)
    assert "FAILED" in out


def test_not_converged_is_exit_code_3(capsys, monkeypatch):
    def give_up(*_args, **_kwargs):
        raise rmt.ConvergenceError("no convergence; try another method")

    monkeypatch.setattr("theory.jacobian_law", give_up)
    assert main(["curve", *RESNET]) == 3
    assert capsys.readouterr().err == "rmt curve: no convergence; try another method\n"


def test_interrupt_is_exit_code_130(capsys, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("theory.jacobian_law", interrupt)
    assert main(["curve", *RESNET]) == 130
    assert capsys.readouterr().err == "rmt: interrupted\n"


@pytest.mark.exhaustive
def test_small_demo(capsys, tmp_path):
    path = tmp_path / "demo.html"
    assert main(["demo", "-o", str(path), "--width", "40", "--replicas", "8", "--workers", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found["comparisons"]
    assert len(rows) == 5
    assert [row["c"] for row in rows] == [pytest.approx(0.25)] * 4 + [None]
    # the outlier of uncentred activations, and of no other
    assert [row["outlier"] is not None for row in rows] == [True, False, False, True, False]
    assert path.stat().st_size > 50_000


def test_tables_are_aligned():
    table = text_table([("a", "-1.25", "x"), ("long name", "10", "")], ("name", "value", "note"))
    assert table.splitlines() == [
        "name       value  note",
        "---------  -----  ----",
        "a          -1.25  x",
        "long name     10",
    ]
    assert text_table([]) == ""
