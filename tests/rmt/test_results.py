"""Curves, their files, statuses, the exceptions and the support."""

import json
from fractions import Fraction

import numpy as np
import pytest

import rmt
from rmt import (
    ConvergenceError,
    Curve,
    Discrete,
    Edge,
    MarchenkoPastur,
    PreconditionError,
    Semicircle,
    Status,
    Support,
    load_curve,
)


@pytest.fixture
def curve():
    return (MarchenkoPastur(2.5) @ Discrete({0.5: 0.5, 2: 0.5})).curve(points=40)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".npz"])
def test_curve_survives_its_file(curve, tmp_path, suffix):
    density = curve.density.copy()
    density[3] = np.nan  # unresolved points must stay unresolved
    marked = Curve(curve.x, density, curve.cdf, curve.error, Status.UNRESOLVED, curve.metadata)
    path = marked.save(tmp_path / f"curve{suffix}")
    assert path.exists()
    again = load_curve(path)
    for name in ("x", "density", "cdf", "error"):
        np.testing.assert_array_equal(getattr(again, name), getattr(marked, name))
    assert again.status is Status.UNRESOLVED
    assert again.metadata == marked.metadata
    assert len(again) == len(curve) == curve.x.size


def test_files_are_plain_text_or_plain_arrays(curve, tmp_path):
    lines = curve.save(tmp_path / "c.csv").read_text().splitlines()
    assert json.loads(lines[0].removeprefix("# "))["status"] == "OK"
    assert lines[1] == "x,density,cdf,error"
    assert float(lines[2].split(",")[0]) == curve.x[0]
    with np.load(curve.save(tmp_path / "c.npz"), allow_pickle=False) as stored:
        assert set(stored.files) == {"header", "x", "density", "cdf", "error"}


def test_json_is_valid_json_even_with_missing_points(curve, tmp_path):
    broken = Curve(curve.x, np.full(curve.x.shape, np.nan), curve.cdf, curve.error, Status.UNRESOLVED, {})
    text = broken.save(tmp_path / "c.json").read_text()
    payload = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert payload["density"] == [None] * curve.x.size


def test_paths_that_cannot_be_used(curve, tmp_path):
    with pytest.raises(ValueError, match=r"\.csv, \.json or \.npz"):
        curve.save(tmp_path / "curve.txt")
    with pytest.raises(ValueError, match="suffix"):
        load_curve(tmp_path / "curve")
    with pytest.raises(OSError, match="missing"):
        curve.save(tmp_path / "missing" / "c.csv")
    with pytest.raises(OSError, match="nothing"):
        load_curve(tmp_path / "nothing.json")


def test_curve_holds_the_atom_and_the_mass(curve):
    assert curve.metadata["atoms"] == {"0.0": pytest.approx(0.6)}
    assert curve.cdf[0] == pytest.approx(0.6, abs=1e-3)
    assert curve.metadata["mass_below_grid"] == curve.cdf[0]
    assert curve.metadata["mean"] == pytest.approx(1.25)
    assert curve.metadata["unresolved"] == 0
    # the density adds up to the rise of the distribution function
    rise = np.sum(np.diff(curve.x) * (curve.density[1:] + curve.density[:-1]) / 2)
    assert rise == pytest.approx(curve.cdf[-1] - curve.cdf[0], abs=2e-3)


def test_a_tolerance_that_cannot_be_met_is_reported():
    curve = (Semicircle(0.5) + Discrete({-1: 0.5, 1: 0.5})).curve(points=40, tol=1e-17)
    assert curve.status is Status.UNRESOLVED
    assert np.any(np.isnan(curve.density))
    assert curve.metadata["unresolved"] == np.sum(np.isnan(curve.density))


def test_statuses_say_what_to_do():
    assert Status.OK.value.endswith(".")
    assert len(Status.UNRESOLVED.value.split(". ")) >= 2


def test_exceptions_are_of_the_built_in_kinds():
    assert issubclass(PreconditionError, ValueError)
    assert issubclass(ConvergenceError, RuntimeError)
    for at_its_atom in (MarchenkoPastur(2.5) @ Discrete({0.5: 0.5, 2: 0.5}), Discrete({0: 0.3, 1: 0.7})):
        with pytest.raises(ConvergenceError, match="move the point"):
            at_its_atom.cauchy(0.0)


def test_support_pairs_edges():
    edges = tuple(
        Edge(x, Fraction(1, 2), side)
        for x, side in [(-2, "lower"), (-1, "upper"), (Fraction(1, 3), "lower"), (4, "upper")]
    )
    support = Support.from_edges(edges, {7: 0.25, -3: 0.1})
    assert support.intervals == ((-2, -1), (Fraction(1, 3), 4))
    assert (support.lower, support.upper) == (-3.0, 7.0)
    assert Support.from_edges(edges[:2], {}).upper == -1.0
    with pytest.raises(ValueError, match="argument"):
        Support.from_edges(edges[:3], {})


def test_names_are_all_there():
    for name in rmt.__all__:
        assert getattr(rmt, name) is not None
    assert set(rmt.__all__) <= set(dir(rmt))
    with pytest.raises(AttributeError, match="no attribute 'Lorentz'"):
        _ = rmt.Lorentz
