"""What an import costs, and that every public name exists and is documented."""

import importlib
import subprocess
import sys

import pytest

PACKAGES = ("rmt", "theory", "validation")
# heavy: 0.1 s to 1 s each, wanted only by some questions
HEAVY = {"sympy", "scipy.stats", "numba", "matplotlib"}


def modules_after(statement):
    """Names in sys.modules of a fresh interpreter after a statement."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_import_is_light(package):
    loaded = modules_after(f"import {package}")
    assert package in loaded
    assert not loaded & HEAVY


def test_help_is_light():
    loaded = modules_after(
        "import contextlib, io, validation.cli\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try:\n        validation.cli.main(['--help'])\n    except SystemExit:\n        pass"
    )
    assert "validation.cli" in loaded
    assert not loaded & HEAVY


def test_layers_below_do_not_load_those_above():
    assert not modules_after("import rmt") & {"theory", "validation"}
    assert "validation" not in modules_after("import theory")


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_exist_and_are_documented(package):
    module = importlib.import_module(package)
    assert module.__doc__
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        thing = getattr(module, name)
        if callable(thing):
            assert thing.__doc__, f"{package}.{name} has no docstring"


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_not_hidden_by_modules_of_the_same_name(package):
    module = importlib.import_module(package)
    first = {name: getattr(module, name) for name in module.__all__}
    assert {name: getattr(module, name) for name in module.__all__} == first


PROMISED = {
    "rmt": "Semicircle MarchenkoPastur Discrete FussCatalan UniversalResNet load_curve derive symbolic "
    "PreconditionError ConvergenceError",
    "theory": "ResNet Chain Sequential Dense Activation Repeat Residual jacobian_law limit_law effective_cumulant "
    "propagate critical_sigma_w tune outlier derive",
    "validation": "Experiment compare report",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_promised_names(package):
    module = importlib.import_module(package)
    missing = [name for name in PROMISED[package].split() if not hasattr(module, name)]
    assert not missing
