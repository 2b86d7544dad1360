"""Curves: where their points lie, what they report, what they check, and that a wrong number is an error."""

import json
import math
import re

import numpy as np
import pytest

from rmt import (
    Cauchy,
    ConvergenceError,
    Discrete,
    Gaussian,
    MarchenkoPastur,
    ResidualSum,
    Semicircle,
    Status,
    load_curve,
)
from rmt.density import Density
from rmt.piece import Piece

INF = math.inf


def fresh():
    """A law of two intervals that has computed nothing yet."""
    return Semicircle(0.3) + Discrete({-1: 0.4, 2: 0.6})


# --- what a curve reports -------------------------------------------------------------------------------------------


def test_every_curve_has_status_residual_and_error():
    for law in (fresh(), MarchenkoPastur(0.5), 2 * fresh() + 1, fresh().square().sqrt(), Cauchy() + MarchenkoPastur(2)):
        curve = law.curve(40)
        assert curve.status is Status.OK
        assert curve.error.shape == curve.x.shape
        assert np.all(curve.error >= 0)
        assert 0 <= curve.metadata["largest_residual"] < 1e-12
        assert 0 < curve.metadata["largest_error"] <= 1e-10
        assert 0 <= curve.metadata["density_against_cdf"] < 1e-10
    # what was solved shows, through images of laws too
    assert fresh().curve(40).metadata["largest_residual"] > 0
    assert (2 * fresh() + 1).curve(40).metadata["largest_residual"] > 0


def test_checks_of_moments_are_reported_where_moments_exist():
    assert fresh().curve(40).metadata["moments_against_series"] < 1e-12
    metadata = Cauchy().curve(40).metadata
    assert metadata["moments_against_series"] is None
    assert metadata["mean"] is None


@pytest.mark.parametrize("suffix", [".csv", ".json", ".npz"])
def test_curves_of_unbounded_laws_survive_their_files(tmp_path, suffix):
    curve = (Semicircle() + Gaussian()).curve(32)
    again = load_curve(curve.save(tmp_path / f"c{suffix}"))
    np.testing.assert_array_equal(again.x, curve.x)
    np.testing.assert_array_equal(again.density, curve.density)
    assert again.metadata == curve.metadata
    assert again.metadata["intervals"] == [[None, None]]
    if suffix == ".json":
        text = (tmp_path / "c.json").read_text()
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


# --- where the points lie --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [16, 61, 200])
def test_the_number_of_points_is_the_one_asked_for(points):
    assert len(MarchenkoPastur(0.3).curve(points)) == points
    assert len(Gaussian().curve(points)) == points
    two = len(fresh().curve(points))
    assert points - 1 <= two <= points


def test_narrow_peaks_get_points():
    law = Cauchy(0, 1e-3) + Discrete({-1: 0.5, 1: 0.5})
    curve = law.curve(200)
    for peak in (-1, 1):
        assert np.sum(np.abs(curve.x - peak) < 5e-3) >= 20
    assert np.max(curve.density) == pytest.approx(law.pdf(1.0), rel=0.01)
    # straight lines between the points, against the distribution function
    rise = np.diff(curve.x) * (curve.density[1:] + curve.density[:-1]) / 2
    assert np.max(np.abs(rise - np.diff(curve.cdf))) < 3e-3


def test_a_cusp_gets_points_but_none_on_itself():
    curve = (Semicircle() + Discrete({-1: 0.5, 1: 0.5})).curve(100)
    assert curve.status is Status.OK
    assert 0 < np.min(np.abs(curve.x)) < 0.02
    assert np.sum(np.abs(curve.x) < 0.05) >= 4


@pytest.mark.parametrize("depth", [30, 1000, 100000])
def test_deep_products_are_resolved_over_their_decades(depth):
    curve = MarchenkoPastur().free_power(depth).curve(120)
    assert curve.status is Status.OK
    assert len(curve) == 120
    assert math.log10(curve.x[-1] / curve.x[0]) > 0.7 * min(4 * depth, 290)
    # the density per log x is resolved: steps of the distribution function are small on the whole range
    assert np.max(np.diff(curve.cdf)) < 0.06
    # the top of the spectrum, where the moments sit
    upper = (depth + 1) * (1 + 1 / depth) ** depth
    assert curve.x[-1] == pytest.approx(upper, rel=0.05)
    assert curve.metadata["moments_against_series"] < 1e-9


def test_points_keep_away_from_a_hard_edge_that_rounds():
    law = ResidualSum(Discrete({0: 0.5, 1: 0.5}) @ MarchenkoPastur(1), 1)
    curve = law.curve(100)
    assert curve.status is Status.OK
    (edge,) = [e for e in law.support().edges if e.exponent is not None and e.exponent < 0]
    assert edge.position == pytest.approx(1, abs=1e-10)
    assert edge.exponent == pytest.approx(-0.5, abs=1e-3)
    nearest = np.min(np.abs(curve.x - 1))
    assert 1e-6 < nearest < 1e-2
    # a looser tolerance comes closer
    assert np.min(np.abs(law.curve(100, tol=1e-6).x - 1)) < nearest


# --- atoms inside an interval ----------------------------------------------------------------------------------------


def test_an_atom_inside_an_interval():
    """p s p of a semicircular s: an atom at 0 and a semicircle around it."""
    law = Semicircle(1) @ Discrete({0: 0.25, 1: 0.75})
    part = Semicircle(0.75)
    assert law.support().atoms == {0: 0.25}
    assert len(law.support().intervals) == 1
    x = np.array([-1.2, -0.3, -1e-3, -1e-7, 0.0, 1e-12, 2e-4, 0.05, 1.6])
    np.testing.assert_allclose(law.pdf(x), 0.75 * part.pdf(x), rtol=1e-11)
    np.testing.assert_allclose(law.cdf(x), 0.75 * part.cdf(x) + 0.25 * (x >= 0), atol=1e-12)
    np.testing.assert_allclose(law.ppf([0.3749, 0.3751, 0.5, 0.6249]), [part.ppf(0.3749 / 0.75), 0, 0, 0], atol=1e-9)
    q = np.array([0.01, 0.2, 0.37, 0.63, 0.8, 0.999])
    np.testing.assert_allclose(law.cdf(law.ppf(q)), q, atol=1e-12)
    assert np.mean(law.rvs(400, rng=1) == 0) == pytest.approx(0.25, abs=0.08)
    curve = law.curve(101)  # an odd number puts a point at the atom
    assert curve.status is Status.OK
    np.testing.assert_allclose(curve.density, 0.75 * part.pdf(curve.x), rtol=1e-9)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-13)
    moved = (-2 * law + 1).curve(40)
    assert moved.status is Status.OK


# --- breaking the numbers on purpose --------------------------------------------------------------------------------


def region(message):
    """The region that an error names."""
    low, high = re.search(r"on \[([-\d.e+]+), ([-\d.e+]+)\]", message).groups()
    return float(low), float(high)


def broken(monkeypatch, name, change):
    """Solved values inside [1.6, 1.7] changed."""
    honest = Density._solved

    def solved(self, piece, x, *options):
        values = honest(self, piece, x, *options)
        wrong = (x > 1.6) & (x < 1.7)
        getattr(values, name)[wrong] = change(getattr(values, name)[wrong])
        return values

    monkeypatch.setattr(Density, "_solved", solved)


@pytest.mark.parametrize(
    ("name", "change"),
    [("density", lambda rho: 1.01 * rho), ("tail", lambda tail: tail + 1e-4), ("density", lambda rho: rho * 0)],
)
def test_a_wrong_branch_is_an_error_with_its_region(monkeypatch, name, change):
    broken(monkeypatch, name, change)
    with pytest.raises(ConvergenceError, match=r"disagree by .* on \[.*report the law") as caught:
        fresh().curve(100)
    low, high = region(str(caught.value))
    assert 1.5 < low <= high < 1.8


def test_one_wrong_point_of_the_curve_is_an_error(monkeypatch):
    law = fresh()
    law._density.quadrature.panels  # noqa: B018 -- solved honestly, before the points
    at = law.curve(60).x[40]
    honest = Density._solved

    def solved(self, piece, x, *options):
        values = honest(self, piece, x, *options)
        values.density[x == at] *= 1 + 1e-4
        return values

    monkeypatch.setattr(Density, "_solved", solved)
    with pytest.raises(ConvergenceError, match="curve and quadrature") as caught:
        law.curve(60)
    low, high = region(str(caught.value))
    assert low <= at <= high


@pytest.mark.parametrize(("factors", "named"), [((1.001, 1), "mean"), ((1, 1.001), "second moment")])
def test_moments_that_disagree_are_an_error(monkeypatch, factors, named):
    law = fresh()
    honest = type(law)._moments_series
    monkeypatch.setattr(
        type(law), "_moments_series", lambda self, n: [f * m for f, m in zip(factors, honest(self, n), strict=False)]
    )
    with pytest.raises(ConvergenceError, match=named):
        law.curve(40)


def test_unresolved_points_are_marked(monkeypatch):
    honest = Density._solved

    def solved(self, piece, x, *options):
        values = honest(self, piece, x, *options)
        values.error[(x > 1.6) & (x < 1.7)] = 1.0
        return values

    monkeypatch.setattr(Density, "_solved", solved)
    curve = fresh().curve(60)
    marked = (curve.x > 1.6) & (curve.x < 1.7)
    assert curve.status is Status.UNRESOLVED
    np.testing.assert_array_equal(np.isnan(curve.density), marked)
    assert curve.metadata["unresolved"] == np.sum(marked) > 0


# --- the map from the angle -------------------------------------------------------------------------------------------

PIECES = [
    Piece(-1.0, 2.0, 0.5, 0.5),
    Piece(0.0, 3.0, -0.5, 0.5),
    Piece(-2.0, 0.0, 0.5, -0.75),
    Piece(1.0, 4.0, -0.5, -0.3),
    Piece(1e-8, 5.0, 0.5, 0.5),
    Piece(-INF, INF, None, None, 0.3, 2.0, 0.0, 0.0),
    Piece(-INF, INF, None, None, -1.0, 0.5, 1.5, 0.7),
    Piece(0.0, INF, -0.5, None, 0.0, 2.0, 0.0, 0.4),
    Piece(0.25, INF, 0.5, None, 0.0, 1.0, 0.0, 2.0),
    Piece(-INF, -1.0, None, -0.4, 0.0, 1.0, 0.0, 0.0),
]


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_the_map_of_the_angle(piece):
    theta = np.linspace(0.02, np.pi - 0.02, 41)
    x, rate = piece.grid(theta)
    assert np.all(np.diff(x) > 0)
    assert np.all((x > piece.lower) & (x < piece.upper))
    step = 1e-6
    slope = (piece.grid(theta + step)[0] - piece.grid(theta - step)[0]) / (2 * step)
    np.testing.assert_allclose(rate, slope, rtol=3e-5, atol=1e-12)
    below, above = piece.distances(theta)
    if math.isfinite(piece.lower):
        np.testing.assert_allclose(piece.lower + below, x, rtol=1e-12, atol=1e-14)
    if math.isfinite(piece.upper):
        np.testing.assert_allclose(piece.upper - above, x, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(piece.angles(x), theta, atol=1e-9)
