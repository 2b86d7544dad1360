"""Bad input in the shell: exit code 2, nothing on stdout, one line on stderr that says what to change."""

import pytest

from theory.activations import ACTIVATION_NAMES
from validation.cli import main

NETWORKS = [["derive"], ["curve"], ["validate", "--width", "20", "--replicas", "8"], ["tune", "--c", "0.25"]]


@pytest.fixture
def complaint(capsys):
    """Run the command and return its one line of complaint."""

    def run(*argv):
        assert main(argv) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert "Traceback" not in err
        return err

    return run


@pytest.mark.parametrize("command", NETWORKS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--activation", "rleu"], ["rleu", *ACTIVATION_NAMES]),
        (["--depth", "0"], ["depth", "0"]),
        (["--depth", "2.5"], ["--depth", "2.5", "whole number"]),
        (["--sigma-w", "-1"], ["sigma_w", "-1"]),
        (["--sigma-b", "-0.5"], ["sigma_b", "-0.5"]),
        (["--sigma-w", "nan"], ["--sigma-w", "nan"]),
        (["--sigma-w", "1e999"], ["--sigma-w", "1e999"]),
        (["--sigma-w", "1/0"], ["--sigma-w", "1/0"]),
        (["--sigma-w", "__import__('os')"], ["--sigma-w", "finite number"]),
        (["--skip", "inf"], ["--skip", "inf"]),
        (["--q0", "0"], ["q0", "0"]),
        (["--q0", "-2"], ["q0", "-2"]),
        (["--weights", "sparse"], ["weights", "sparse", "gaussian", "orthogonal"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_parameters(complaint, command, options, words):
    name, *rest = command
    line = complaint(name, "resnet", *rest, *options)
    for word in words:
        assert word in line


def test_skip_of_a_chain(complaint):
    assert "--skip" in complaint("curve", "chain", "--skip", "1")


def test_unknown_command_and_network(complaint):
    assert "demo" in complaint("dmeo")
    assert "COMMAND" in complaint()
    assert "resnet" in complaint("curve", "rnn")


def test_every_complaint_of_the_parser_points_to_help(complaint):
    assert "rmt curve --help" in complaint("curve", "resnet", "--point", "many")


@pytest.mark.parametrize(
    "argv",
    [
        ("curve", "resnet", "--depth", "5", "-o"),
        ("validate", "resnet", "--report"),
        ("demo", "--report"),
        ("curve", "resnet", "--plot"),
    ],
    ids=lambda argv: f"{argv[0]} {argv[-1]}",
)
def test_unwritable_path_before_any_work(complaint, monkeypatch, tmp_path, argv):
    def work(*_args, **_kwargs):
        raise AssertionError("work was begun before the output path was checked")

    monkeypatch.setattr("theory.jacobian_law", work)
    monkeypatch.setattr("validation.Experiment", work)
    for suffix in (".csv", ".html", ".svg"):
        absent = str(tmp_path / "absent" / f"file{suffix}")
        line = complaint(*argv, absent)
        if f"must be {suffix}" not in line and "suffix" not in line:
            assert absent in line
    assert str(tmp_path) in complaint(*argv, str(tmp_path))


def test_unknown_suffix(complaint, tmp_path):
    for option in ("-o", "--plot"):
        assert ".xls" in complaint("curve", "resnet", option, str(tmp_path / "curve.xls"))


def test_tune_to_an_unreachable_c(complaint):
    # the gain of a bounded activation cannot grow without end, nor can c be negative
    assert "c=" in complaint("tune", "resnet", "--activation", "tanh", "--c", "-1").replace(" ", "")
    assert "target" in complaint("tune", "resnet").replace("--c", "target")


def test_few_replicas(complaint):
    assert "replicas" in complaint("validate", "resnet", "--replicas", "0")
