"""`rmt doctor`: healthy here, and not where a foreign package of one of our three names comes first."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import validation
from validation import doctor
from validation.cli import main
from validation.doctor import diagnose


def test_healthy_in_this_environment(capsys):
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for word in (
        "rmt-toolkit",
        "package rmt",
        "package theory",
        "package validation",
        "numpy",
        "flint",
        "GPUs",
        "BLAS",
    ):
        assert word in out
    assert "healthy" in out
    assert "\x1b" not in out


def test_json_is_the_same_diagnosis(capsys):
    assert main(["doctor", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(diagnose()))
    assert Path(printed["packages"]["validation"]) == Path(validation.__file__).resolve().parent


def test_missing_optional_library_is_no_problem(monkeypatch):
    monkeypatch.setitem(doctor._OPTIONAL, "no_such_library", ("no-such-library", "nothing"))
    found = diagnose()
    assert found["optional"]["no_such_library"] is None
    assert not found["problems"]


def fake_cupy(monkeypatch, count):
    """A module in cupy's place with so many devices, or whose driver is missing."""

    def device_count():
        if count is None:
            raise RuntimeError("driver is missing")
        return count

    runtime = SimpleNamespace(
        getDeviceCount=device_count,
        getDeviceProperties=lambda number: {"name": f"card {number}".encode(), "totalGlobalMem": 8 * 2**30},
    )
    fake = SimpleNamespace(__version__="14.0", cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", fake)


@pytest.mark.parametrize(
    ("count", "line"),
    [(2, "14.0, card 0, 8 GiB, card 1, 8 GiB"), (0, "14.0, no device (none found)"), (None, "driver is missing")],
)
def test_gpu_library_and_devices_are_told(count, line, monkeypatch, capsys):
    fake_cupy(monkeypatch, count)
    assert main(["doctor"]) == 0
    assert line in capsys.readouterr().out


def test_a_missing_gpu_library_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(["doctor"]) == 0
    assert "not installed (optional: spectra on a GPU)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["theory", "rmt"])
def test_foreign_package_is_found(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("ResNet = Law = None\n")
    (tmp_path / name / "py.typed").touch()
    # the check itself, without the rest of the package that a foreign one would break on import
    code = (
        f"import sys\nimport validation.doctor as d\n"
        f"del sys.modules[{name!r}]\nsys.path.insert(0, {str(tmp_path)!r})\n"
        f"sys.exit(d.run_doctor(type('A', (), {{'json': False}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / name) in done.stderr
    assert "foreign" in done.stderr


def test_overwritten_package_is_found(monkeypatch):
    monkeypatch.delattr(validation, "Experiment")
    (problem,) = diagnose()["problems"]
    assert "validation" in problem
    assert "reinstall" in problem
