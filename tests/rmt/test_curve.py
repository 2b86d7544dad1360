"""Curves: where their points lie, what they report, what they check, and that a wrong number is an error."""

import json
import math
import re

import numpy as np
import pytest

from rmt import (
    Arcsine,
    Cauchy,
    ConvergenceError,
    Discrete,
    Empirical,
    FreeJacobi,
    FussCatalan,
    Gaussian,
    Inverse,
    MarchenkoPastur,
    Mixture,
    ResidualSum,
    Semicircle,
    Status,
    load_curve,
)
from rmt.density import Density
from rmt.piece import Piece

INF = math.inf


TWO = Semicircle(0.3) + Discrete({-1: 0.4, 2: 0.6})


def fresh():
    """A law of two intervals that has computed nothing yet but its support, which is the same for all tests."""
    law = Semicircle(0.3) + Discrete({-1: 0.4, 2: 0.6})
    law.__dict__["_support"] = TWO.support()
    return law


# --- what a curve reports -------------------------------------------------------------------------------------------


def test_every_curve_has_status_residual_and_error():
    for law in (fresh(), MarchenkoPastur(0.5), 2 * fresh() + 1, fresh().square().sqrt(), Cauchy() + MarchenkoPastur(2)):
        curve = law.curve(40)
        assert curve.status is Status.OK
        assert curve.error.shape == curve.x.shape
        assert np.all(curve.error >= 0)
        # what was solved shows, through images of laws too
        assert (curve.metadata["largest_residual"] > 0) is not isinstance(law, MarchenkoPastur)
        assert 0 <= curve.metadata["largest_residual"] < 1e-12
        assert 0 < curve.metadata["largest_error"] <= 1e-10
        assert 0 <= curve.metadata["density_against_cdf"] < 1e-10


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


# --- next to edges and atoms ------------------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_density_beside_an_atom_inside_where_it_is_infinite():
    law = ResidualSum(MarchenkoPastur(2.5).free_power(3), 0.5)
    assert len(law.support().intervals) == 1
    atom, mass = 0.25, 0.2
    x = atom + np.array([-1e-3, -1e-4, 1e-4, 1e-3])
    np.testing.assert_allclose(law.pdf(x), law.pdf(x, method="stieltjes"), rtol=1e-6)
    # the mass between two points, by a power of the distance in which the density is smooth
    nodes, weights = np.polynomial.legendre.leggauss(30)
    t = (1 + nodes) / 2 * 1e-3 ** (1 / 3)
    for side in (-1, 1):
        between = np.sum(weights / 2 * 1e-3 ** (1 / 3) * 3 * t**2 * law.pdf(atom + side * t**3))
        assert abs(law.cdf(atom + side * 1e-3) - (0.6 if side > 0 else 0.4)) == pytest.approx(between, rel=1e-5)
    assert law.cdf(atom) == pytest.approx(0.4 + mass, abs=1e-8)
    assert law.ppf(0.5) == atom
    x = atom + np.array([-1e-7, 1e-9])
    assert np.all(law.pdf(x) > 100)
    assert np.nanmax(np.diff(law.curve(150).cdf)) < 0.25


ATOMS = [
    2.28 * MarchenkoPastur(1.51).free_power(7.3) + 0.58009,
    -0.7 * MarchenkoPastur(1.51).free_power(7.3) + 0.3,
    Discrete({0.1: 0.25, 0.3: 0.5, 0.7: 0.25}).sqrt(),
    0.1 * Discrete({0.1: 0.25, 0.3: 0.5, 0.7: 0.25}).sqrt() - 0.03,
    Discrete({0.1: 0.25, 0.3: 0.5, 0.7: 0.25}).sqrt().symmetrized(),
    (0.3 * Discrete({-0.1: 0.25, 0.3: 0.5, 0.7: 0.25}) - 0.1).square(),
    Inverse(-1.3 * Discrete({-0.1: 0.25, 0.3: 0.5, 0.7: 0.25}) + 0.03),
]


@pytest.mark.parametrize("law", ATOMS, ids=repr)
def test_the_distribution_function_jumps_by_the_masses(law):
    atoms = {float(x): float(p) for x, p in law.support().atoms.items()}
    x = np.array(sorted(atoms))
    continuous = 1 - sum(atoms.values())
    below = 0.0 if np.all(x < sum(law.support().intervals, (x[0],))[-1]) else continuous
    expected = below + np.cumsum([atoms[point] for point in x])
    np.testing.assert_allclose(law.cdf(x), expected, atol=1e-12)
    if not continuous > 1e-9:
        np.testing.assert_allclose(law.cdf(x - 1e-9), expected - [atoms[point] for point in x], atol=1e-12)


def test_a_cusp_at_0():
    law = Semicircle() + Discrete({-1: 0.5, 1: 0.5})
    x = np.array([4.552e-13, 6.2e-16, 1e-12])
    # G**3 -> z at the cusp, so that the density is sin(pi/3) x**(1/3)/pi
    expected = np.sin(np.pi / 3) / np.pi * np.cbrt(x)
    np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-5)
    np.testing.assert_allclose(law.pdf(-x), expected, rtol=1e-5)
    assert law.pdf(0) == 0


MOVED = [
    1.38 * FussCatalan(3) + 0.351,
    Mixture([(FreeJacobi(0.8, 0.71), 0.5), (Arcsine(-1.8, 0.7), 0.5)]),
    -0.75 * Arcsine(-1.8, 0.24).square() - 1.36,
]


@pytest.mark.parametrize("law", MOVED, ids=repr)
def test_curves_beside_moved_hard_edges(law):
    curve = law.curve(100)
    assert curve.status is Status.OK
    np.testing.assert_allclose(curve.cdf, law.cdf(curve.x), atol=1e-14)
    assert curve.metadata["moments_against_series"] < 1e-8


def test_one_rounding_inside_an_edge():
    law = Empirical([-0.8, -0.64, -0.12, 1.65], smoothing=0.37)
    support = law.support()
    for image in (law, Mixture([(law, 0.5), (Semicircle(0.1), 0.5)]), law.symmetrized()):
        for edge in support.edges:
            for side in (-9, 9):
                x = np.nextafter(float(edge.position), side)
                assert image.cdf(x) == pytest.approx(image.cdf(x + np.sign(side) * 1e-9), abs=1e-8)
    assert law.cdf(np.nextafter(support.lower, 9)) == pytest.approx(0, abs=1e-12)
    assert law.cdf(np.nextafter(support.upper, -9)) == pytest.approx(1, abs=1e-12)


def test_quantiles_of_an_inverse_at_its_ends():
    inner = Arcsine(0.2, 1.34)
    law = Inverse(inner)
    np.testing.assert_allclose(law.ppf([0, 1]), [1 / 1.34, 5], rtol=1e-12)
    q = np.array([1e-9, 1e-3, 0.5, 0.999])
    quantile = (0.2 + 1.34) / 2 - (1.34 - 0.2) / 2 * np.cos(np.pi * (1 - q))
    np.testing.assert_allclose(law.ppf(q), 1 / quantile, rtol=1e-10)
    np.testing.assert_allclose(law.symmetrized().ppf([0, 0.5, 1]), [-5, -1 / 1.34, 5], rtol=1e-12)
    both = Inverse(Discrete({-1: 0.5, 2: 0.5}) + Semicircle(0.01))
    np.testing.assert_allclose(both.ppf([0, 1]), [both.support().lower, both.support().upper])
