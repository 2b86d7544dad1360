"""Where a law is hard to solve: beside atoms and hard edges, very far away, where digits cancel; and at no points."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import scipy.special
import sympy as sp

import rmt
from rmt import (
    Arcsine,
    Discrete,
    FreePoisson,
    FreeStable,
    FussCatalan,
    Gaussian,
    MarchenkoPastur,
    Mixture,
    ResidualSum,
    Semicircle,
    UniversalResNet,
)
from rmt.density import Density
from rmt.numeric import continuation
from rmt.numeric.continuation import solve
from rmt.numeric.edges import GapPoint, walk
from rmt.numeric.jet import continued_log
from rmt.numeric.node import Linearised, Node
from rmt.transforms import _beside_atoms


def test_no_points():
    x, y = sp.symbols("x y", commutative=False)
    law = rmt.polynomial_law(x * y + y * x, {x: MarchenkoPastur(1), y: UniversalResNet(c=0.5)})
    for node in (law.numeric, MarchenkoPastur(2).numeric, (law.free_sum_power(2) + rmt.Cauchy()).numeric):
        answer = solve(node, [])
        assert answer.unknowns.shape == (node.size, 0)
        assert answer.g.shape == answer.converged.shape == (0,)


def test_quantiles_of_an_image_keep_their_digits_next_to_a_hard_edge():
    # the density is x**(-5/6): the level 1e-9 is reached at 1e-53, the width of the support is 14
    one, other = MarchenkoPastur(1), FussCatalan(5)
    law = Mixture({one: 0.5, other: 0.5})
    q = np.array([1e-9, 1e-5, 0.3, 0.9])
    x = law.ppf(q)
    np.testing.assert_allclose((one.cdf(x) + other.cdf(x)) / 2, q, rtol=1e-8)
    assert 1e-54 < x[0] < 1e-51
    # both sides of 0 overlap with different weights: X**2 for X on [-1, 2]
    square = rmt.Uniform(-1, 2).square()
    q = np.array([0, 1e-5, 0.1, 2 / 3, 0.7, 1])
    np.testing.assert_allclose(square.ppf(q), np.where(q <= 2 / 3, 1.5 * q, 3 * q - 1) ** 2, rtol=1e-9)


def test_cauchy_transform_next_to_an_isolated_atom():
    # what is left to do where the solver gives up, held against the solver where it does not: on [0, oo) beside an atom
    # at 0, and on both sides of 0 beside an atom at 1
    laws = [Discrete({0: 0.8, 5: 0.2}) + FreePoisson(0.3), Discrete({-4: 0.4, 1: 0.6}) + Discrete({0: 0.75, 0.5: 0.25})]
    for law, atom in zip(laws, (0, 1), strict=True):
        assert atom in law.support().atoms
        z = atom + np.array([2e-3j, 1e-3 + 1e-3j, -1e-4 + 1e-5j, 3])
        solution = solve(law.numeric, z)
        wanted = solution.g.copy()
        solution.g[:] = 0
        solution.converged[:] = False
        _beside_atoms(law, z, solution)
        assert solution.converged.tolist() == [True, True, True, False]  # the last one is far away
        np.testing.assert_allclose(solution.g[:3], wanted[:3], rtol=1e-11)
        mass = float(law.support().atoms[atom])
        rest = (solution.g - mass / (z - atom))[:3]
        np.testing.assert_allclose(rest, (wanted - mass / (z - atom))[:3], rtol=1e-7)
        assert np.ptp(rest.real) < 0.1 * np.abs(rest[0])  # analytic there


def test_a_factor_that_shows_its_tail_only_very_far_away():
    # m of the first factor is -20/z + c z**-0.9, whose second term wins beyond |z| = 1e18
    first, second = FreeStable(0.9, rho=1, scale=0.3) - 20, FreeStable(0.7, rho=1)
    law = first @ second
    z1 = 50 * np.exp(1j * np.array([0.4, 1.3, 2.6]))
    m = z1 * first.cauchy(z1) - 1
    # S of the second is a power, here from its value at one point; z = z1/S(m) for a product
    z0 = 3 + 4j
    m0 = z0 * second.cauchy(z0) - 1
    log_s = np.log((1 + m0) / (m0 * z0)) + (1 / 0.7 - 1) * (continued_log(m) - np.log(m0))
    z = z1 * np.exp(-log_s)
    up = z.imag > 0
    assert np.sum(up) >= 2
    np.testing.assert_allclose(law.cauchy(z[up]), ((1 + m) / z)[up], rtol=1e-12)


def test_bounded_laws_met_very_far_away():
    # a square there is half the sum of two nearly opposite numbers, the small entries of a pencil drown in the large
    heavy = FreeStable(0.6, rho=1)
    x, y = sp.symbols("x y", commutative=False)
    commuted = rmt.polynomial_law(x * y + y * x, {x: MarchenkoPastur(0.5), y: FussCatalan(2)})
    first, second = (float(k) for k in commuted.free_cumulants(2))
    far = np.array([1e4, 1e9, 1e12, 1e30, 1e80]) * np.exp(1j * np.array([0.3, 1.0, 2.0, 0.7, 1.5]))
    g = heavy.cauchy(far)
    z = far + first + second * g  # R adds, and that of the bounded law is a line to 1/abs(z)**2
    m = heavy.moment_transform(far) + first * g + second * g * g
    np.testing.assert_allclose((heavy + commuted).moment_transform(z), m, rtol=1e-6)
    np.testing.assert_allclose((heavy + commuted).moment_transform(z)[2:], m[2:], rtol=1e-12)
    # S multiplies: 1/(m_1 (1 + m (m_2 - m_1**2)/m_1**2)) near m = 0, by that of the stable law at the same m
    square = (Semicircle(1) + Discrete({1: 0.5, 4: 0.5})).square()
    first, second = (float(k) for k in square.moments(2))
    m = heavy.moment_transform(far[1:])
    z = far[1:] * first * (1 + m * (second - first**2) / first**2)
    np.testing.assert_allclose((heavy @ square).moment_transform(z)[1:], m[1:], rtol=1e-9)


def test_rounding_next_to_zero_is_no_hard_edge():
    # a square is bounded below by 0.02; far below that the two halves of its g cancel, and leave an imaginary part
    square = MarchenkoPastur(0.39).square()
    law = square.free_power(2.23)
    ((low, high),) = law.support().intervals
    assert [e.exponent for e in law.support().edges] == [0.5, 0.5]
    # the ends of the inverse's support, S_inv(m) = 1/S(-1 - m): another walk
    ((last, first),) = square.inverse().free_power(2.23).support().intervals
    np.testing.assert_allclose([low, high], [1 / float(first), 1 / float(last)], rtol=1e-9)
    assert law.cdf(0.5 * float(low)) == 0
    assert law.pdf(1.01 * float(low)) > 0


class _Overflowing(Node):
    """A node whose z has finite parts and an infinite modulus away from a point."""

    def __init__(self, node: Node, u: np.ndarray) -> None:
        self.node, self.u = node, u
        self.size, self.mean, self.variance, self.positive = node.size, node.mean, node.variance, node.positive

    def start(self, z, log_z):
        return self.node.start(z, log_z)

    def linearise(self, u):
        lin = self.node.linearise(u)
        if np.any(np.abs(u - self.u) > 0.1):
            jet = dataclasses.replace(lin.jet)
            jet.__dict__["z"] = np.full(jet.m.shape, 1.5e308 + 1.5e308j)
            return Linearised(jet, lin.inner)
        return lin

    def spread(self, lin, eps):
        return self.node.spread(lin, eps)

    def potential(self, u, lin):
        return self.node.potential(u, lin)


def test_a_trial_step_of_the_walk_to_an_edge_may_overflow():
    node = MarchenkoPastur(2).numeric
    edge = (1 + 2**0.5) ** 2
    u = solve(node, [edge + 1e-3]).unknowns
    found, exponent = walk(_Overflowing(node, u), GapPoint(edge + 1e-3, u, 1.0), -1, {})
    np.testing.assert_allclose(found, edge, rtol=1e-9)
    assert exponent == 0.5


@pytest.mark.parametrize("spread", [1e2, 1e4])
def test_quantiles_of_a_wide_part_beside_a_narrow_one(spread):
    # the angle of the narrow part has no digits where the wide one ends, 1e4 times as far away
    law = Mixture({Gaussian(): 0.9, Gaussian(spread**2): 0.1})
    q = np.array([0.001, 0.2, 0.93, 0.98, 0.999, 1 - 1e-9])
    x = law.ppf(q)
    exact = 0.9 * scipy.special.ndtr(x) + 0.1 * scipy.special.ndtr(x / spread)
    assert exact == pytest.approx(q, abs=1e-12)


@pytest.mark.exhaustive
def test_rounding_of_a_square_next_to_zero_is_no_hard_edge():
    # an R-diagonal branch whose law is a square: next to 0 Im G is rounding that grows like a hard edge, x**-0.5
    branch, skip = Arcsine(1, Fraction(10, 3)).free_power(7.3).square(), 1.1789031
    law = ResidualSum(branch, skip)
    assert next(iter(law.support().edges)).position > 1
    # the free sum itself does without the perturbation that loses the digits
    whole = (Discrete({-skip: 0.5, skip: 0.5}) + branch.sqrt().symmetrized()).square()
    np.testing.assert_allclose(law.support().intervals, whole.support().intervals, rtol=1e-9)


def test_a_zero_of_m_in_a_gap_is_no_edge():
    jumps = Discrete({0.15: 0.2812561988300215, 0.67: 0.407416381660287, 1.59: 0.31132741950969156})
    factor = Discrete({0.15: 0.50712875, 0.63: 0.21852755, 1.61: 0.17773807, 3.05: 0.09660563})
    law = factor @ FreePoisson(Fraction(35, 12), jump=jumps)
    (_, edge), _ = law.support().intervals
    inside, _, outside = height = -solve(law.numeric, edge * (1 + np.array([-4e-7, -1e-7, 1e-7]))).g.imag
    assert abs(outside) < 1e-9
    np.testing.assert_allclose(height[1] / inside, 0.5, rtol=1e-4)


def test_what_is_not_resolved_beside_an_edge_follows_its_exponent(monkeypatch):
    law = MarchenkoPastur(0.3)
    solved = Density._solved

    def gives_up(self, piece, x, method, tail):
        out = solved(self, piece, x, method, tail)
        lost = np.minimum(x - piece.lower, piece.upper - x) < 1e-10
        for name in ("density", "tail", "error", "residual"):
            getattr(out, name)[lost] = np.nan
        return out

    monkeypatch.setattr(Density, "_solved", gives_up)
    for edge, inwards in ((law.support().lower, 1), (law.support().upper, -1)):
        x = float(edge) + inwards * np.array([1e-15, 1e-13, 1e-11, 5e-11])
        for method in ("subordination", "explicit"):
            np.testing.assert_allclose(law.pdf(x, method=method), law.pdf(x, method="closed_form"), rtol=1e-6)
        distance = np.abs(x - float(edge))
        mass = law.pdf(x, method="closed_form") * distance / 1.5
        level = law.cdf(x, method="subordination")
        np.testing.assert_allclose(level if inwards > 0 else 1 - level, mass, atol=1e-15)


@pytest.mark.parametrize(
    "law",
    [
        MarchenkoPastur(0.4) @ Discrete({0.2: 0.3, 1: 0.4, 5: 0.3}),
        ResidualSum(MarchenkoPastur(1) @ Discrete({0: 0.5, 0.6: 0.5}), 0.9),
        MarchenkoPastur(1) @ FreeStable(0.7, 1, 1.2),
        Semicircle(0.2) + Discrete({-2: 0.3, -0.4: 0.4, 2: 0.3}),  # gaps, a narrow one among them
    ],
    ids=["product", "residual", "tail", "sum"],
)
def test_the_way_to_a_point_does_not_matter(law):
    # from points of the negative axis or of the bulk solved before, or from infinity
    used = law.numeric
    lower, size = (1e-3, 30) if used.positive else (-4, 4)
    solve(used, np.geomspace(lower, size, 40) if used.positive else np.linspace(lower, size, 40))
    assert used.waypoints is not None
    for row in (used.waypoints.turned, used.waypoints.bulk) if used.positive else (used.waypoints.bulk,):
        assert row.places.size >= 10
        jet = used.linearise(row.unknowns).jet
        reached = jet.log_z if used.positive else jet.z
        np.testing.assert_allclose(reached, row.places + 1j * row.imag, rtol=1e-9, atol=1e-9)
    z = np.array([1e-9, 1e-3, 0.04, 0.3, 0.99, 2.7, 11, 1e4, 0.3 + 1e-5j, -1 + 2j, -1e-7, -1.3, -2.6, -30])
    near = solve(used, z)
    assert np.all(near.converged)
    for k, point in enumerate(z):
        fresh = dataclasses.replace(law).numeric
        assert fresh.waypoints is None
        far = solve(fresh, point)
        np.testing.assert_allclose(near.g[k], far.g[0], rtol=1e-11)
        np.testing.assert_allclose(near.potential[k], far.potential[0], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("pace", [continuation._BRISK, continuation._CAREFUL], ids=["brisk", "careful"])
def test_every_route_leads_to_the_same_point(pace):
    z = np.array([0.03, 0.7, 2.2, 1.1 + 0.4j, -0.8 + 0.01j])
    for law in (MarchenkoPastur(0.4) @ Discrete({0.2: 0.3, 1: 0.4, 5: 0.3}), MarchenkoPastur(0.5) + FussCatalan(2)):
        with np.errstate(all="ignore"):  # as in `solve`
            answers = [
                continuation._continue(dataclasses.replace(law).numeric, z.copy(), route, pace)
                for route in continuation._Route
            ]
        for s in answers:
            assert np.all(s.converged)
            np.testing.assert_allclose(s.g, answers[0].g, rtol=1e-12)
            np.testing.assert_allclose(s.potential, answers[0].potential, rtol=1e-12, atol=1e-13)


def test_a_hard_edge_of_a_law_on_both_sides_of_0_over_all_decades():
    # R of a Cauchy law is a constant c, and so is its S = 1/c: z -> z/c turns m of the other factor into that of both
    location, scale = -0.46, 2 / 3
    law = rmt.Cauchy(location, scale) @ MarchenkoPastur(1)
    x = np.outer([-1, 1], 10.0 ** -np.array([9.0, 17, 33, 70, 250])).ravel()
    zeta = x / (location - 1j * scale)
    g = (zeta - np.sqrt(zeta) * np.sqrt(zeta - 4)) / 2 / x
    assert np.all(g.imag < 0)
    np.testing.assert_allclose(law.pdf(x), -g.imag / np.pi, rtol=1e-11)
    below = law.cdf(x) - law.cdf(0)
    np.testing.assert_allclose(below[[0, 5]], (-2 * x * g.imag / np.pi)[[0, 5]], rtol=1e-4)  # the density is x**-0.5
    np.testing.assert_allclose(np.delete(below, [0, 5]), np.delete(-2 * x * g.imag / np.pi, [0, 5]), atol=1e-14)
    y = np.array([-2.2e69, 3e120])
    np.testing.assert_allclose(law.inverse().pdf(y), law.pdf(1 / y) / y**2, rtol=1e-12)
    np.testing.assert_allclose(law.inverse().cdf(y), [0, 1], atol=1e-14)


def test_a_hard_edge_beside_a_factor_that_knows_its_z_by_terms_that_cancel():
    # next to z = 0, m = -1, S of the sum is pi i f(0) and that of the other 1/w: z = w**2/G(0), derived here
    factor = Semicircle(1.7) + Discrete({-1: 0.5, 1: 0.5})
    node = (factor @ MarchenkoPastur(1)).numeric
    x = np.array([-1e-80, 1e-50, 1e-40])
    density = -solve(node, x).g.imag / np.pi
    np.testing.assert_allclose(density, np.sqrt(factor.pdf(0) / (2 * np.pi * np.abs(x))), rtol=1e-9)


def test_the_median_of_a_symmetric_law_where_its_density_is_infinite():
    law = FreeStable(1.8, rho=Fraction(1, 2)) @ MarchenkoPastur(1)
    lower, median, upper = law.ppf([0.5 - 1e-7, 0.5, 0.5 + 1e-7])
    assert abs(median) < 1e-25
    assert upper == pytest.approx(-lower, rel=1e-6)
    assert 0 < upper < 1e-12


def test_a_narrow_peak_at_0():
    m = sp.Symbol("m")
    s = 1 / ((1 + m / 2) * (1 + sp.Rational(61, 100) * m))
    variance = 0.3217
    law = Semicircle(variance) @ rmt.ImplicitLaw(s=s).free_power(2)
    # G = m S, and S of the semicircle law is i/sigma at m = -1
    assert law.pdf(0) == pytest.approx(float(s.subs(m, -1)) ** 2 / np.sqrt(variance) / np.pi, rel=1e-12)
    assert law.cdf(0) == pytest.approx(0.5, abs=1e-14)
    # narrower still; S of a law with a gap at 0 is its mean of 1/x there
    block = ResidualSum(rmt.ImplicitLaw(s=s), 1.2454280281733734)
    law = Semicircle(2.09) @ block
    assert law.pdf(0) == pytest.approx(-block.cauchy(-1e-12).real / np.sqrt(2.09) / np.pi, rel=1e-10)
    assert law.cdf(0) == pytest.approx(0.5, abs=1e-14)


def test_squares_very_far_away():
    z = -(10.0 ** np.array([9.0, 14, 25, 60, 120]))
    gaussian, again = Gaussian(1.9, mean=-0.2), Semicircle(1).square() - 1.25
    for law, second in ((gaussian, 1.94), (again, 2 - 2 * 1.25 + 1.25**2)):
        np.testing.assert_allclose(z * solve(law.square().numeric, z).m, second, rtol=1e-8)
    # far away the S of a factor of finite mean is one over that
    heavy = FreeStable(0.55, rho=1)
    x = np.array([1e57, 1e75])
    np.testing.assert_allclose((gaussian.square() @ heavy).pdf(x), heavy.pdf(x / 1.94) / 1.94, rtol=1e-10)
    # parts of infinite variance have no second moment to go by
    stable = FreeStable(1.5, rho=Fraction(1, 2))
    m = solve(((stable + 1).symmetrized()).numeric, 1j * np.array([1e8, 1e14])).m
    assert np.log(np.abs(m[0] / m[1])) / np.log(1e6) == pytest.approx(1.5, rel=1e-4)


_BESIDE = np.array([-1e-2, -3e-4, -1e-6, -1e-9, -1e-12, 1e-13, 1e-10, 1e-7, 1e-5, 2e-3])


def test_beside_an_atom_with_a_needle_of_the_density_around_it():
    # rate E[g J/(1 - g J)] = z g - 1 with E[1/(zeta - J)] = 1/(zeta - location + i scale): a quadratic equation in g
    rate, location, scale = 0.968, 0.02, 2.0
    law = FreePoisson(rate, jump=rmt.Cauchy(location, scale))
    assert law.support().intervals == ((-np.inf, np.inf),)
    c, p = complex(-location, scale), 1 - rate
    roots = np.array([np.roots([x * c, x - p * c, -1]) for x in _BESIDE])
    density = np.max(-roots.imag, axis=1) / np.pi
    np.testing.assert_allclose(law.pdf(_BESIDE), density, rtol=1e-8)
    assert law.cdf(1e-10) - law.cdf(-1e-10) == pytest.approx(p, abs=2e-9)
    assert law.curve(points=64).status is rmt.Status.OK


def test_beside_a_faint_atom():
    # just beyond the weight 1 - 1/t that an atom loses in a free power t, the density peaks next to what is left of it
    weight, place, t = 0.0951, 0.4, 1.1
    law = Mixture([(Semicircle(), 1 - weight), (Discrete({place: 1}), weight)]).free_sum_power(t)
    (atom, mass), *_ = law.support().atoms.items()
    assert (atom, mass) == pytest.approx((t * place, 1 - t * (1 - weight)))
    points = float(atom) + _BESIDE

    def density(x):  # omega with t omega - (t - 1)/G(omega) = x in the upper half-plane, where there is only one
        with mp.workdps(30):
            w, a, s = mp.mpf(weight), mp.mpf(place), mp.mpf(t)

            def cauchy(omega):
                return (1 - w) * (omega - mp.sqrt(omega - 2) * mp.sqrt(omega + 2)) / 2 + w / (omega - a)

            for k in range(16):
                start = mp.mpf(x) / s + 1j * mp.mpf(10) ** -k
                try:
                    omega = mp.findroot(lambda omega: s * omega - (s - 1) / cauchy(omega) - mp.mpf(x), start)
                except (ValueError, ZeroDivisionError):
                    continue
                if omega.imag > 0:
                    return float(-cauchy(omega).imag / mp.pi)
            raise AssertionError(f"no root for x = {x}")

    np.testing.assert_allclose(law.pdf(points), [density(x) for x in points], rtol=2e-7)
    near = float(atom) + 1e-8 * np.array([-1, 1])
    assert np.diff(law.cdf(near))[0] - mass == pytest.approx(2e-8 * density(near[0]), abs=1e-11)


def test_much_mass_of_a_light_tail_far_outside_the_bulk():
    # a fifth of the mass reaches 175 times as far as the quartiles, and a Gaussian law makes all of it one tail
    share, size, ratio, variance = 0.2, 60, 0.5, 0.01
    mixture = Mixture([(Semicircle(), 1 - share), (size * MarchenkoPastur(ratio), share)])
    law = mixture + Gaussian(variance)
    assert law.support().intervals == ((-np.inf, np.inf),)
    assert law.curve(points=32).status is rmt.Status.OK
    # free cumulants add: kappa_2 alone moves, to kappa_2 + variance
    first, second = share * size, 1 - share + share * size**2 * (1 + ratio)
    third = share * size**3 * (1 + 3 * ratio + ratio**2)
    moments = [1, first, second + variance, third + 3 * variance * first]
    np.testing.assert_allclose([law.expectation(lambda x, k=k: x**k) for k in range(4)], moments, rtol=1e-10)
