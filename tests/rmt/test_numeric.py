"""The solvers alone: landing on the real axis, residuals, the distribution function, edges, quadrature."""

import math

import mpmath as mp
import numpy as np
import pytest

from rmt import Discrete, FussCatalan, MarchenkoPastur, ResidualSum, Semicircle, UniversalResNet
from rmt.numeric.continuation import newton_to, solve
from rmt.numeric.intervals import find_intervals
from rmt.numeric.quadrature import QuadratureLeaf, gauss_rule

GATES = Discrete({0: 0.25, 1: 0.35, 3: 0.4})
SYSTEMS = {
    "leaf": UniversalResNet(c=0.6),
    "sum": Semicircle(0.7, 0.3) + Discrete({-1: 0.3, 2: 0.7}),
    "product": MarchenkoPastur(0.4) @ GATES,
    "power": GATES.free_power(25.5),
    "residual": ResidualSum(MarchenkoPastur(0.4) @ GATES, 0.8),
    "nested": (MarchenkoPastur(0.3) @ GATES).free_power(2.5) + 0.4 * MarchenkoPastur(0.5),
}
systems = pytest.mark.parametrize("law", [pytest.param(law, id=name) for name, law in SYSTEMS.items()])


def grid(law, n=41):
    """Points of both sides of every edge, and everywhere between, off the edges themselves."""
    support = law.support()
    low, high = support.lower, support.upper
    theta = np.pi * (np.arange(n) + 0.5) / n
    x = (low + high) / 2 - 0.6 * (high - low) * np.cos(theta)
    if law.numeric.positive:
        x = x[x > 1e-3 * high]
    ends = [float(e.position) for e in support.edges] + [float(a) for a in support.atoms]
    return x[np.min(np.abs(x[:, np.newaxis] - ends), axis=1) > 1e-4 * (high - low)]


# --- continuation ---------------------------------------------------------------------------------------------------


@systems
def test_real_points_are_met_exactly(law):
    x = grid(law)
    solution = solve(law.numeric, x)
    assert np.all(solution.converged)
    assert np.max(solution.residual) < 1e-12
    # no smoothing: m and g agree with the real z to rounding, and the limit from above is continuous
    np.testing.assert_allclose(x * solution.g - 1, solution.m, atol=1e-11)
    above = solve(law.numeric, x + 1e-9j)
    np.testing.assert_allclose(above.g, solution.g, rtol=1e-4, atol=1e-6)
    assert np.all(solution.g.imag < 1e-12 * np.abs(solution.g) + 1e-15)


@systems
def test_the_branch_does_not_depend_on_the_company_of_other_points(law):
    x = grid(law, n=11)
    together = solve(law.numeric, x).g
    alone = np.array([solve(law.numeric, [point]).g[0] for point in x])
    np.testing.assert_allclose(together, alone, rtol=1e-10)


@systems
def test_the_potential_is_an_antiderivative_of_the_cauchy_transform(law):
    deviation = math.sqrt(float(law.var()))
    z = complex(law.mean()) + deviation * np.array([0.8j, 1.5 + 0.5j, -0.6 + 0.4j])
    step = 1e-4 * deviation
    left, right = solve(law.numeric, z - step), solve(law.numeric, z + step)
    slope = (right.potential - left.potential) / (2 * step)
    np.testing.assert_allclose(slope, solve(law.numeric, z).g, rtol=1e-5)
    # and Phi - log z -> 0
    far = np.array([1e7j]) * abs(float(law.mean()))
    assert abs(solve(law.numeric, far).potential[0] - np.log(far[0])) < 1e-6


@systems
def test_newton_follows_any_coordinate(law):
    z = complex(law.mean()) + 3j * math.sqrt(float(law.var()))
    start = solve(law.numeric, [z])
    target = start.g * 1.02
    unknowns, lin, ok = newton_to(
        law.numeric, start.unknowns, lambda lin: (np.log(lin.jet.g), lin.jet.dlog_g), np.log(target)
    )
    assert ok[0]
    np.testing.assert_allclose(lin.jet.g, target, rtol=1e-12)
    again = solve(law.numeric, lin.jet.z)
    np.testing.assert_allclose(again.g, target, rtol=1e-11)
    np.testing.assert_allclose(again.unknowns, unknowns, rtol=1e-9, atol=1e-9)


def test_a_newton_step_too_long_is_refused():
    law = SYSTEMS["product"]
    start = solve(law.numeric, [1.5 + 1j])
    *_, ok = newton_to(law.numeric, start.unknowns, lambda lin: (lin.jet.z, lin.jet.dz), np.array([1e9 + 1j]))
    assert not ok[0]


def test_an_edge_itself_is_not_taken_for_resolved():
    # a double root: Newton converges slowly, and the error estimate says so
    law = MarchenkoPastur(0.4)
    edge = law.support().upper
    solution = solve(law.numeric, [edge, edge * (1 + 1e-3)])
    assert solution.converged[1]
    assert not solution.converged[0] or solution.error[0] > 1e-10 or abs(solution.g[0].imag) < 1e-6


def test_deep_powers_meet_points_over_many_decades():
    law = FussCatalan(50)
    x = law.support().upper * 10.0 ** -np.array([0.5, 3, 10, 20])
    solution = solve(law.numeric, x)
    assert np.max(solution.residual) < 1e-11
    np.testing.assert_allclose(-solution.g.imag / np.pi, law.pdf(x, method="closed_form"), rtol=1e-9)


# --- edges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "exponents"),
    [
        (MarchenkoPastur(0.4), (0.5, 0.5)),
        (MarchenkoPastur(2.5), (0.5, 0.5)),
        (MarchenkoPastur(), (-0.5, 0.5)),
        (FussCatalan(3), (-0.75, 0.5)),
        (FussCatalan(2.5), (-2.5 / 3.5, 0.5)),
        (UniversalResNet(c=0.25), (0.5, 0.5)),
        (UniversalResNet(c=3), (0.5, 0.5)),
        (Semicircle(0.7, 0.3), (0.5, 0.5)),
    ],
)
def test_numerical_support_is_the_closed_form(law, exponents):
    atoms = {float(x): float(p) for x, p in law.support().atoms.items()}
    (found,) = find_intervals(law.numeric, atoms)
    low, high = (float(x) for x in law.support().intervals[0])
    assert (found.lower, found.upper) == pytest.approx((low, high), rel=1e-9, abs=1e-12)
    assert (found.lower_exponent, found.upper_exponent) == pytest.approx(exponents, abs=1e-4)


def test_gap_of_two_separated_bulks():
    # Semicircle(v) + (δ_a + δ_-a)/2: in u = w², (a² - u)² = v (a² + u) and z = w (1 - v/(a² - u)), w real in the gap
    v, a = 0.5, 1.2
    b = a * a
    u = [((2 * b + v) + sign * math.sqrt(v * v + 8 * b * v)) / 2 for sign in (-1, 1)]
    ends = sorted(abs(math.sqrt(w) * (1 - v / (b - w))) for w in u)
    (first, second) = find_intervals((Semicircle(v) + Discrete({-a: 0.5, a: 0.5})).numeric, {})
    assert (second.lower, second.upper) == pytest.approx(ends, rel=1e-9)
    assert (first.lower, first.upper) == pytest.approx((-ends[1], -ends[0]), rel=1e-9)


def test_narrow_gap_is_found():
    # as above with v = .64 (a² - v)/a² just above 0: the gap is 2 % of the support, and 0, where g = 0, lies in it
    law = Semicircle(0.5) + Discrete({-0.8: 0.5, 0.8: 0.5})
    assert len(law.support().intervals) == 2
    assert law.pdf(0.01) == 0


def test_atoms_alone_have_no_interval():
    assert find_intervals(GATES.numeric, {0.0: 0.25, 1.0: 0.35, 3.0: 0.4}) == []


# --- Gauss rules and laws given by quadrature -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_gauss_rule_is_exact_to_its_degree(n):
    rng = np.random.default_rng(3)
    x, weights = 40 + rng.random(60), rng.random(60)
    nodes, masses = gauss_rule(x, weights, n)
    assert nodes.size == n
    assert np.all(masses > 0)
    assert x.min() < nodes.min() <= nodes.max() < x.max()
    t, s = x - 40.5, nodes - 40.5
    for degree in range(2 * n):
        assert np.sum(masses * s**degree) == pytest.approx(np.sum(weights * t**degree), abs=2e-12)
    # and not beyond: the rule has no spare accuracy
    assert abs(np.sum(masses * s ** (2 * n)) - np.sum(weights * t ** (2 * n))) > 1e-12


def test_gauss_rule_of_few_points_returns_them():
    nodes, masses = gauss_rule([2.0, -1.0, 5.0], [0.5, 0.2, 0.3], 8)
    assert nodes == pytest.approx([-1, 2, 5])
    assert masses == pytest.approx([0.2, 0.5, 0.3])
    nodes, masses = gauss_rule([2.0, 2.0], [0.5, 0.25], 3)
    assert (nodes.tolist(), masses.tolist()) == ([2.0], [0.75])


UNIFORM = QuadratureLeaf(lambda t: t, np.ones_like, [(0.5, 1.0), (1.0, 2.5)])


def test_quadrature_leaf_has_the_moments_of_its_law():
    assert UNIFORM.mean == pytest.approx(1.5, rel=1e-14)
    assert UNIFORM.variance == pytest.approx(1 / 3, rel=1e-13)


@pytest.mark.parametrize("z", [3 + 0.1j, 1.3 + 1e-3j, 0.7 + 1e-8j, 0.4, 2.6, -5.0, 0.9 + 40j])
def test_quadrature_leaf_sees_its_pole(z):
    solution = solve(UNIFORM, [z])
    g = complex(mp.log((mp.mpc(z) - 0.5) / (mp.mpc(z) - 2.5)) / 2)
    assert solution.converged[0]
    assert abs(solution.g[0] - g) < 1e-9 * abs(g)
    low, high = z - 0.5, z - 2.5
    log = [np.log(complex(v)) if complex(v).imag or v > 0 else math.log(-v) + 1j * math.pi for v in (low, high)]
    potential = (low * log[0] - high * log[1]) / 2 - 1
    assert abs(solution.potential[0] - potential) < 1e-8 * max(1, abs(potential))


def test_quadrature_leaf_is_resolved_on_its_own_support():
    solution = solve(UNIFORM, [0.51, 1.1, 2.3])
    assert np.all(solution.converged)
    np.testing.assert_allclose(solution.g.imag, -np.pi / 2, rtol=1e-13)


def test_quadrature_leaf_in_a_product_agrees_with_many_atoms():
    # 400 atoms at Gauss nodes: the same law off the axis
    from rmt.numeric.convolutions import ProductNode

    nodes, weights = np.polynomial.legendre.leggauss(400)
    atoms = Discrete(dict(zip(1.5 + nodes, weights / 2, strict=True)))
    other = MarchenkoPastur(0.4)
    z = np.array([1 + 0.7j, 4 + 0.5j, 0.2 + 0.6j])
    smooth = solve(ProductNode([UNIFORM, other.numeric]), z)
    np.testing.assert_allclose(smooth.g, (atoms @ other).cauchy(z), rtol=1e-11)
