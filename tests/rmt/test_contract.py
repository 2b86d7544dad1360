"""What holds for every law: mass, distribution function, quantiles, moments, transforms, affine maps, repr."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rmt
from rmt import Discrete, FussCatalan, MarchenkoPastur, Semicircle, Status, UniversalResNet


def width(law):
    return law.support().upper - law.support().lower


def interior(law, shares=(0.04, 0.21, 0.47, 0.68, 0.93)):
    """Points inside every interval of the continuous part, away from the edges and from atoms."""
    points = np.array([float(a) + (float(b) - float(a)) * s for a, b in law.support().intervals for s in shares])
    atoms = [float(x) for x in law.support().atoms]
    return np.array([x for x in points if all(abs(x - a) > 1e-3 * width(law) for a in atoms)])


def off_axis(law):
    """Points of the upper half-plane around the support."""
    low, size = law.support().lower, width(law)
    return low + size * np.array([-0.3 + 0.5j, 0.5 + 0.9j, 0.2 + 0.4j, 1.3 + 0.3j])


def assert_close(actual, desired, tolerance):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance)


# --- mass and distribution function ---------------------------------------------------------------------------------


def test_total_mass_with_atoms_is_one(law):
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-11)
    support = law.support()
    assert law.cdf(support.upper) == pytest.approx(1, abs=1e-13)
    assert law.cdf(support.lower - 1e-6 * width(law)) == pytest.approx(0, abs=1e-13)


def test_atoms_are_the_jumps_of_the_distribution_function(law):
    for position, mass in law.support().atoms.items():
        x = float(position)
        below = law.cdf(x - 1e-14 * (1 + abs(x)))  # the image of an atom is known up to a few roundings
        assert law.cdf(x) - below == pytest.approx(float(mass), abs=1e-7), "cdf must be right-continuous"
    continuous = 1 - sum(map(float, law.support().atoms.values()))
    ends = [(float(a), float(b)) for a, b in law.support().intervals]
    rises = sum(law.cdf(b) - law.cdf(a) for a, b in ends)
    inside = sum(float(p) for x, p in law.support().atoms.items() for a, b in ends if a < float(x) <= b)
    assert rises - inside == pytest.approx(continuous, abs=1e-9)


def test_density_is_the_derivative_of_the_distribution_function(law):
    nodes, weights = np.polynomial.legendre.leggauss(16)
    for x in interior(law):
        half = 2e-3 * width(law)
        rise = law.cdf(x + half) - law.cdf(x - half)
        jumps = sum(float(p) for a, p in law.support().atoms.items() if x - half < float(a) <= x + half)
        area = half * np.sum(weights * law.pdf(x + half * nodes))
        assert area + jumps == pytest.approx(rise, abs=1e-10)


def test_density_vanishes_outside_and_is_positive_inside(law):
    support = law.support()
    outside = np.array([support.lower - 0.1, support.upper + 0.1])
    assert_close(law.pdf(outside), 0, 0)
    assert_close(law.cdf(outside), [0, 1], 1e-14)
    inside = interior(law)
    assert np.all(law.pdf(inside) > 0)
    assert np.all(np.diff(law.cdf(np.sort(inside))) > 0)


def test_quantiles_invert_the_distribution_function(law):
    levels = np.array([0.013, 0.11, 0.32, 0.5, 0.77, 0.93, 0.9991])
    x = law.ppf(levels)
    at_atom = np.array([any(abs(v - float(a)) < 1e-9 for a in law.support().atoms) for v in x])
    reached = law.cdf(x)
    assert_close(reached[~at_atom], levels[~at_atom], 1e-12)
    assert np.all(reached[at_atom] >= levels[at_atom] - 1e-12)
    assert np.all(np.diff(x) >= 0)
    assert law.ppf(0) == pytest.approx(law.support().lower, abs=1e-12)
    assert law.ppf(1) == pytest.approx(law.support().upper, rel=1e-12)


def test_quantile_of_a_probability_only(law):
    for q in (-0.1, 1.2, math.nan):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            law.ppf(q)


def test_draws_have_the_law(law):
    draws = law.rvs(100, rng=5)
    np.testing.assert_array_equal(draws, law.rvs(100, rng=np.random.default_rng(5)))
    # Dvoretzky–Kiefer–Wolfowitz: P(sup |F_n - F| > e) <= 2 exp(-2 n e²); at an atom F is compared on both sides
    bound = math.sqrt(math.log(2 / 1e-6) / (2 * 100))
    x = np.sort(draws)
    empirical = np.searchsorted(x, x, side="right") / 100
    assert np.max(np.abs(empirical - law.cdf(x))) < bound


# --- moments --------------------------------------------------------------------------------------------------------


def test_moments_by_series_and_by_quadrature(law):
    series = np.array([float(m) for m in law.moments(6)])
    quadrature = np.array(law.moments(6, method="quadrature"))
    size = max(abs(law.support().lower), abs(law.support().upper))
    assert_close(series / size ** np.arange(1, 7), quadrature / size ** np.arange(1, 7), 1e-11)
    assert float(law.mean()) == pytest.approx(series[0], rel=1e-12, abs=1e-12 * size)
    assert float(law.var()) == pytest.approx(law.expectation(lambda x: (x - series[0]) ** 2), rel=1e-9)
    assert law.moment(0) == 1
    assert float(law.moment(3)) == pytest.approx(series[2], rel=1e-12, abs=1e-12 * size**3)


def test_log_moment(law):
    if any(float(x) == 0 for x in law.support().atoms):
        assert law.log_moment() == -math.inf
    elif any(a < 0 < b for a, b in law.support().intervals):
        pytest.skip("log|x| is singular inside the support: closed forms are checked in test_laws")
    else:
        hard = any(a == 0 for a, _ in law.support().intervals)
        quadrature = law.expectation(lambda x: np.log(np.abs(x)))
        assert law.log_moment() == pytest.approx(quadrature, abs=1e-5 if hard else 1e-11)


def test_bad_orders_of_moments(law):
    with pytest.raises(ValueError, match="n=0"):
        law.moments(0)


# --- strategies agree -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["pdf", "cdf"])
def test_every_method_gives_the_same_numbers(law, question):
    x = interior(law, shares=(0.11, 0.52, 0.83))
    if x.size == 0:
        pytest.skip("atoms only")
    ask = getattr(law, question)
    default = ask(x)
    assert len(law.methods(question)) >= 1
    for method in law.methods(question):
        np.testing.assert_allclose(ask(x, method=method), default, rtol=1e-10, atol=1e-12, err_msg=method)


def test_every_method_gives_the_same_cauchy_transform(law):
    z = off_axis(law)
    by_quadrature = law.cauchy(z, method="quadrature")
    for method in law.methods("cauchy"):
        assert_close(law.cauchy(z, method=method) * width(law), by_quadrature * width(law), 1e-10)


def test_unknown_methods_are_named(law):
    with pytest.raises(NotImplementedError, match="available: "):
        law.pdf(0.5, method="guess")
    with pytest.raises(ValueError, match="expected one of"):
        law.methods("spectrum")


# --- transforms -----------------------------------------------------------------------------------------------------


def test_cauchy_transform_is_nevanlinna(law):
    z = off_axis(law)
    g = law.cauchy(z)
    assert np.all(g.imag < 0)
    np.testing.assert_allclose(law.cauchy(z.conj()), g.conj(), rtol=1e-14)
    far = law.support().lower + 1e6 * width(law) * np.exp(1j * np.array([0.4, 1.4, 2.9]))
    np.testing.assert_allclose(far * law.cauchy(far), 1 + float(law.mean()) / far, atol=1e-11)
    assert_close(law.moment_transform(z), z * g - 1, 1e-11)


def test_density_is_the_boundary_value_of_the_cauchy_transform(law):
    if "subordination" not in law.methods("cauchy"):
        pytest.skip("no analytic curve: the transform is an integral over the density")
    x = interior(law)
    np.testing.assert_allclose(-law.cauchy(x).imag / np.pi, law.pdf(x), rtol=1e-10)


def test_r_transform_inverts_the_cauchy_transform(law):
    if "subordination" not in law.methods("cauchy"):
        pytest.skip("no analytic curve")
    z = complex(law.mean()) + 2.5 * width(law) * np.exp(1j * np.array([0.5, 1.3, 2.4]))
    g = law.cauchy(z)
    np.testing.assert_allclose(law.r_transform(g) + 1 / g, z, rtol=1e-11)
    small = 1e-3 / width(law)
    series = sum(float(k) * small**j for j, k in enumerate(law.free_cumulants(5)))
    assert law.r_transform(small) == pytest.approx(series, abs=1e-11 * width(law))


def test_s_transform_inverts_the_moment_transform(law):
    if "subordination" not in law.methods("cauchy") or abs(float(law.mean())) < 1e-9:
        pytest.skip("no analytic curve, or no S-transform at mean 0")
    z = 4 * (width(law) + abs(float(law.mean()))) * np.exp(1j * np.array([0.5, 1.3, 2.4]))
    m = law.moment_transform(z)
    np.testing.assert_allclose(law.s_transform(m), (1 + m) / (m * z), rtol=1e-10)


# --- support and curves ---------------------------------------------------------------------------------------------


def test_edges_have_the_stated_exponents(law):
    for edge in law.support().edges:
        position, exponent = float(edge.position), float(edge.exponent)
        if position != 0 and exponent < 0:
            continue  # the distance from such an edge has no digits in x
        inwards = 1 if edge.side == "lower" else -1
        steps = width(law) * np.array([1e-6, 1e-8])
        # |x - edge| with the rounding of x
        x = position + inwards * steps
        near, nearer = law.pdf(x)
        distance = np.abs(x - position)
        slope = math.log(near / nearer) / math.log(distance[0] / distance[1])
        assert slope == pytest.approx(exponent, abs=0.02)


def test_edges_pair_into_disjoint_intervals(law):
    support = law.support()
    flat = [float(x) for pair in support.intervals for x in pair]
    assert flat == sorted(flat)
    assert [float(e.position) for e in support.edges] == flat
    assert [e.side for e in support.edges] == ["lower", "upper"] * len(support.intervals)


def test_curve_is_resolved_and_consistent(law):
    curve = law.curve(points=48)
    assert curve.status is Status.OK
    assert np.all(np.diff(curve.x) > 0)
    assert np.all(np.diff(curve.cdf) >= -1e-12)
    np.testing.assert_allclose(curve.density, law.pdf(curve.x), rtol=1e-9)
    if len(curve):
        assert curve.metadata["density_against_cdf"] < 1e-8
    assert curve.metadata["law"] == repr(law)


def test_repr_evaluates_to_the_law(law):
    names = {name: getattr(rmt, name) for name in rmt.__all__} | {"Fraction": Fraction}
    again = eval(repr(law), names)
    assert again == law
    assert hash(again) == hash(law)
    assert again.support() == law.support()


def test_laws_are_immutable_and_final(law):
    with pytest.raises(AttributeError):
        law.some_new_field = 1
    with pytest.raises(TypeError, match="final"):
        type("Wider", (type(law),), {})


# --- affine covariance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "shift"), [(0.7, 0.0), (-1.5, 0.0), (1, -0.4), (-0.6, 1.3)])
def test_affine_covariance(leaf, scale, shift):
    image = scale * leaf + shift
    assert float(image.mean()) == pytest.approx(scale * float(leaf.mean()) + shift, rel=1e-12)
    assert float(image.var()) == pytest.approx(scale**2 * float(leaf.var()), rel=1e-10)
    ends = sorted(scale * np.array([leaf.support().lower, leaf.support().upper]) + shift)
    assert [image.support().lower, image.support().upper] == pytest.approx(ends, rel=1e-13, abs=1e-13)
    x = interior(leaf)
    assert_close(image.pdf(scale * x + shift), leaf.pdf(x) / abs(scale), 1e-10)
    below = leaf.cdf(x)
    assert_close(image.cdf(scale * x + shift), below if scale > 0 else 1 - below, 1e-12)
    z = off_axis(leaf)
    moved = scale * z + shift
    assert_close(image.cauchy(moved), leaf.cauchy(z) / scale, 1e-11)
    assert_close(image.cauchy(moved, method="quadrature"), leaf.cauchy(z) / scale, 1e-9)
    atoms = {float(position): float(mass) for position, mass in image.support().atoms.items()}
    assert atoms == pytest.approx({scale * float(a) + shift: float(p) for a, p in leaf.support().atoms.items()})
    # kappa_n -> scale^n kappa_n, and the shift adds to the first
    own = [float(k) for k in leaf.free_cumulants(5)]
    expected = [scale**n * k + (shift if n == 1 else 0) for n, k in enumerate(own, start=1)]
    assert [float(k) for k in image.free_cumulants(5)] == pytest.approx(expected, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(("scale", "shift"), [(-1.5, 0.4), pytest.param(2.0, -1.0, marks=pytest.mark.exhaustive)])
def test_sums_commute_with_affine_maps(scale, shift):
    a, b = Semicircle(0.7, 0.3), Discrete({-1: 0.3, 2: 0.7})
    one, other = scale * (a + b) + shift, scale * a + (scale * b + shift)
    x = interior(one)
    np.testing.assert_allclose(one.pdf(x), other.pdf(x), rtol=1e-11)
    np.testing.assert_allclose(one.support().intervals, other.support().intervals, rtol=1e-9)
    inner = (scale * (a + b)) + Semicircle(0.1)  # the affine map inside a free operation
    outer = scale * (a + b + Semicircle(0.1 / scale**2))
    np.testing.assert_allclose(inner.cauchy(off_axis(outer)), outer.cauchy(off_axis(outer)), rtol=1e-11)


# --- random laws ----------------------------------------------------------------------------------------------------

tenths = st.integers(1, 30).map(lambda k: k / 10)
shares = st.integers(1, 9).map(lambda k: k / 10)

positive_leaves = st.one_of(
    st.builds(MarchenkoPastur, tenths),
    st.builds(FussCatalan, st.integers(1, 3)),
    st.builds(UniversalResNet, shares),
    st.builds(lambda p, x: Discrete({0: 1 - p, x: p}), shares, tenths),
    st.builds(lambda p, x, y: Discrete({x: p, x + y: 1 - p}), shares, tenths, tenths),
)
leaves = st.one_of(positive_leaves, st.builds(Semicircle, tenths, st.integers(-2, 2)))


def critical(law):
    """Whether masses of atoms are so close to the threshold that the law has a cusp or a nearly closed gap."""
    parts = getattr(law, "laws", ())
    if any(critical(part) for part in parts):
        return True
    masses = [[float(p) for p in part.support().atoms.values()] or [0.0] for part in parts]
    return any(abs(sum(choice) - len(choice) + 1) < 0.06 for choice in itertools.product(*masses)) if parts else False


compositions = st.one_of(
    st.builds(lambda a, b: a + b, leaves, leaves),
    st.builds(lambda a, b: a @ b, positive_leaves, positive_leaves),
    st.builds(lambda a, b, t: (a @ b).free_power(t), positive_leaves, positive_leaves, st.sampled_from([1.5, 7, 40.5])),
    st.builds(lambda a, t: a.free_power(t), positive_leaves, st.sampled_from([1.5, 7, 40.5])),
    st.builds(lambda a, t: a.free_sum_power(t), leaves, st.sampled_from([1.5, 4.25])),
    st.builds(lambda a, c: a.compress(c), leaves, st.sampled_from([0.3, 0.85])),
    st.builds(rmt.ResidualSum, positive_leaves, st.sampled_from([0.5, 1, 1.5])),
)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(compositions)
def test_random_compositions_have_a_nevanlinna_transform_with_the_right_moments(law):
    assume(not critical(law))
    mean, variance = float(law.mean()), float(law.var())
    scale = abs(mean) + math.sqrt(variance)
    z = mean + scale * (1 + variance / scale**2) * np.array([0.7j, -1.2 + 0.4j, 2 + 0.2j, 40 + 30j])
    g = law.cauchy(z)
    assert np.all(g.imag < 0)
    assert np.all(np.abs(g) <= 1 / z.imag)  # |G| <= 1/Im z
    far = mean + 1e4 * (scale + law.numeric.variance / scale) * np.exp(1j * np.array([0.7, 2.2]))
    m = law.moment_transform(far)
    np.testing.assert_allclose(m * far, mean + (variance + mean**2) / far, rtol=1e-5, atol=1e-6 * scale)


@settings(deadline=None, max_examples=12, derandomize=True)
@given(compositions)
def test_random_compositions_have_mass_one_and_the_moments_of_their_series(law):
    assume(not critical(law))
    support = law.support()
    assume(support.upper < 1e4)  # quadrature of a law spread over many decades is not what is tested here
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-8)
    series = [float(m) for m in law.moments(3)]
    size = max(abs(support.lower), abs(support.upper))
    for k, value in enumerate(law.moments(3, method="quadrature"), start=1):
        assert value / size**k == pytest.approx(series[k - 1] / size**k, abs=1e-8)
