"""Fast paths against the general solver and high precision: compiled walks, continued intervals, bent panels."""

import math
import subprocess
import sys
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

import rmt
import theory
from rmt import Discrete, FussCatalan, MarchenkoPastur, Semicircle, UniversalResNet
from rmt.numeric import axis
from rmt.numeric.continuation import solve
from rmt.numeric.convolutions import ProductNode
from rmt.numeric.explicit import explicit_interval, explicit_s
from rmt.numeric.family import FamilyNode, with_families
from rmt.numeric.intervals import find_intervals
from rmt.numeric.log_s import LogS
from rmt.numeric.quadrature import QuadratureLeaf
from rmt.numeric.roots import bracketed_root
from rmt.piece import Piece
from theory.activations import get_activation
from theory.gain import gain_law

GATES = Discrete({0: 0.3, 2: 0.7})

EXPLICIT = {
    "two equal": MarchenkoPastur(1).free_power(2),
    "ten equal": MarchenkoPastur(1).free_power(10),
    "fifty equal": MarchenkoPastur(1).free_power(50),
    "very deep": MarchenkoPastur(1).free_power(10**5),
    "wide and tall": MarchenkoPastur(0.5) @ MarchenkoPastur(2),
    "tall": MarchenkoPastur(2.5) @ MarchenkoPastur(1),
    "very tall": MarchenkoPastur(40) @ MarchenkoPastur(0.02),
    "mask": GATES @ MarchenkoPastur(0.4) @ MarchenkoPastur(1),
    "two masks": GATES @ Discrete({0: 0.4, 1: 0.6}),
    "mask of the mass that is left": Discrete({0: 0.5, 3: 0.5}) @ MarchenkoPastur(2),
    "light atom at the top": Discrete({0: 0.1, 1: 0.9}).free_power(3),
    "real order": FussCatalan(2.5) @ MarchenkoPastur(0.7),
    "universal": UniversalResNet(0.7) @ MarchenkoPastur(0.3),
    "universal, skip": UniversalResNet(0.6, 0.9, 7).free_power(1.5),
    "jacobi": rmt.FreeJacobi(0.6, 0.3) @ MarchenkoPastur(0.8),
    "scaled": (3 * MarchenkoPastur(0.5)) @ MarchenkoPastur(1),
    "relu chain": theory.jacobian_law(theory.Chain(depth=6, activation="relu", sigma_w=1.3)),
    "leaky chain": theory.jacobian_law(theory.Chain(depth=1, activation="leaky_relu", sigma_w=1.3)),
    "orthogonal hard tanh": theory.jacobian_law(
        theory.Chain(depth=3, activation="hard_tanh", sigma_w=1.1, weights="orthogonal")
    ),
}
EXPLICIT = {name: law for name, law in EXPLICIT.items() if "explicit" in law.methods("pdf")}


def grid(law, count=41):
    """Points inside every interval, crowded at its edges, of any size that a density can have."""
    points = []
    for piece in law._density.pieces:
        x = piece.grid((np.arange(count) + 0.5) * np.pi / count)[0]
        points.append(x[x > 1e-280])
    return np.concatenate(points)


@pytest.fixture(params=EXPLICIT.values(), ids=EXPLICIT.keys())
def law(request):
    return request.param


# --- explicit S-transforms ---------------------------------------------------------------------------------------


def test_which_laws_are_explicit():
    assert len(EXPLICIT) == 18
    for other in (
        Semicircle(1) @ MarchenkoPastur(1),
        Discrete({0: 0.2, 1: 0.5, 2: 0.3}) @ MarchenkoPastur(1),
        Discrete({1: 0.5, 2: 0.5}) @ MarchenkoPastur(1),
        MarchenkoPastur(1) + MarchenkoPastur(0.5),
    ):
        assert "explicit" not in other.methods("pdf")
        assert explicit_s(other.numeric) is None


@pytest.mark.parametrize("m", [-0.21, 0.3, -0.1 - 0.2j])
def test_algebra_of_explicit_s_transforms(m):
    # tall Marchenko–Pastur 1/(1 + 2.5 m), mask (1 + m)/(2 (0.7 + m)), universal exp(-0.6 (1 + 2 m))
    law = (3 * MarchenkoPastur(2.5)) @ GATES.free_power(1.5) @ UniversalResNet(0.6)
    s = explicit_s(law.numeric)
    assert s.mass == pytest.approx(0.4)
    eta = np.array([m / (m + s.mass) + 0j])
    value, _, log_s, slope = s.at(eta, np.log)
    expected = 1 / (3 * (1 + 2.5 * m)) * ((1 + m) / (2 * (0.7 + m))) ** 1.5 * np.exp(-0.6 * (1 + 2 * m))
    assert value[0] == pytest.approx(m, rel=1e-14)
    assert np.exp(log_s[0]) == pytest.approx(expected, rel=1e-13)
    by_hand = -2.5 / (1 + 2.5 * m) + 1.5 * (1 / (1 + m) - 1 / (0.7 + m)) - 1.2
    assert slope[0] == pytest.approx(by_hand, rel=1e-13)
    assert s.mean == pytest.approx(float(law.mean()), rel=1e-13)
    assert s.variance == pytest.approx(float(law.var()), rel=1e-12)
    h = 1e-6
    moved = [s.gamma(m + k * h, np.array([1 + (m + k * h) / s.mass]), np.log)[0] for k in (-1, 1)]
    assert (moved[1] - moved[0]) / (2 * h) == pytest.approx(-m * by_hand, rel=1e-8)


@pytest.mark.parametrize("name", ["ten equal", "very tall", "two masks", "universal, skip", "jacobi", "relu chain"])
def test_interval_of_an_explicit_law_is_that_of_the_general_search(name):
    law = EXPLICIT[name]
    own = explicit_interval(law._explicit.s)
    (found,) = find_intervals(law.numeric, {float(x): float(p) for x, p in law.support().atoms.items()})
    np.testing.assert_allclose([own.lower, own.upper], [found.lower, found.upper], rtol=1e-11)
    np.testing.assert_allclose(
        [own.lower_exponent, own.upper_exponent], [found.lower_exponent, found.upper_exponent], atol=1e-6
    )


@pytest.mark.parametrize("order", [1, 2, 50, 10**5])
def test_edge_and_exponent_of_deep_products(order):
    lower, upper = MarchenkoPastur(1).free_power(order).support().edges if order > 1 else FussCatalan(1).support().edges
    assert float(upper.position) == pytest.approx(math.exp(order * math.log1p(1 / order)) * (order + 1), rel=1e-13)
    assert (lower.position, lower.exponent) == (0, pytest.approx(-order / (order + 1), rel=1e-14))


def test_equal_factors_are_merged():
    s = LogS(factors=((1.0, -2.0), (0.5, -1.0), (1.0, 2.0), (0.5, -0.5)))
    assert s.factors == ((0.5, -1.5),)
    chain = theory.jacobian_law(theory.Chain(depth=10**5, activation="relu", sigma_w=2**0.5))
    assert explicit_s(chain.numeric).factors == ((0.5, -1e5),)


def test_strategies_agree(law):
    x = grid(law)
    by_walk, by_solver = (law.pdf(x, method=method) for method in ("explicit", "subordination"))
    # next to the edges the root that both take doubles the error of x itself
    edge = np.min([np.abs(1 - x / float(e.position)) for e in law.support().edges if e.position > 0], axis=0)
    np.testing.assert_allclose(by_walk, by_solver, rtol=1e-12 + np.max(2e-15 / edge), atol=1e-12 * np.median(by_walk))
    assert np.all(np.abs(by_walk / by_solver - 1) < 1e-11 + 1e-14 / edge)
    by_walk, by_solver = (law.cdf(x, method=method) for method in ("explicit", "subordination"))
    np.testing.assert_allclose(by_walk, by_solver, rtol=0, atol=1e-12)


def test_no_point_is_left_to_the_general_solver(law):
    x = grid(law, 300)
    for piece in law._density.pieces:
        inside = x[(x > piece.lower) & (x < piece.upper)]
        inside = piece.off_edges(inside)[0]
        density, tail, error = law._explicit(inside, piece.lower, piece.upper)
        assert np.all(density > 0)
        assert np.all(np.diff(tail) < 1e-13)
        assert np.all(error < 1e-7 * density)


def test_points_that_the_walk_misses_are_solved(monkeypatch):
    law = MarchenkoPastur(0.5) @ MarchenkoPastur(0.3)
    lower, upper = law.support().intervals[0]
    x = np.linspace(lower, upper, 9)[1:-1]
    expected = law.pdf(x)
    walk = law._explicit

    def lame(points, *ends):
        out = walk(points, *ends)
        for values in out:
            values[::2] = np.nan
        return out

    monkeypatch.setitem(law.__dict__, "_explicit", lame)
    np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-12)
    assert not np.isnan(law.cdf(x)).any()


def test_order_shape_and_place_of_points():
    law = MarchenkoPastur(0.5) @ MarchenkoPastur(2)
    (lower, upper), = law.support().intervals
    x = np.linspace(lower, upper, 30)[1:-1]
    shuffled = np.random.default_rng(1).permutation(x.size)
    np.testing.assert_array_equal(law.pdf(x[shuffled]), law.pdf(x)[shuffled])
    np.testing.assert_allclose([law.pdf(point) for point in x], law.pdf(x), rtol=1e-12)
    assert law.pdf(np.empty(0)).shape == law.cdf(np.empty((0, 3))).shape[:1] == (0,)
    assert law.pdf(x.reshape(4, 7)).shape == (4, 7)
    outside = np.array([-1.0, 0.0, lower / 2, upper * 1.01, 1e9])
    np.testing.assert_array_equal(law.pdf(outside), 0)
    np.testing.assert_allclose(law.cdf(outside), [0, 0.5, 0.5, 1, 1], atol=1e-15)
    np.testing.assert_allclose(law.pdf(np.array([x[3], x[3], x[3]])), law.pdf(x[3]), rtol=1e-13)


# --- against high precision --------------------------------------------------------------------------------------


def product_density(order, x):
    """Density of the product of ``order`` square Marchenko–Pastur laws, by bisection in its angle (40 digits)."""
    with mp.workdps(40):
        n, target = mp.mpf(order), mp.log(mp.mpf(x))
        low, high = mp.mpf(10) ** -38, mp.pi / (n + 1) - mp.mpf(10) ** -39

        def log_x(t):
            return (n + 1) * mp.log(mp.sin((n + 1) * t)) - mp.log(mp.sin(t)) - n * mp.log(mp.sin(n * t))

        for _ in range(128):
            middle = (low + high) / 2
            low, high = (middle, high) if log_x(middle) > target else (low, middle)
        t = (low + high) / 2
        log_density = 2 * mp.log(mp.sin(t)) + (n - 1) * mp.log(mp.sin(n * t)) - n * mp.log(mp.sin((n + 1) * t))
        return float(mp.exp(log_density) / mp.pi)


@pytest.mark.parametrize("order", [2, 4, 10, 50])
def test_hard_edge_and_bulk_of_products(order):
    law = MarchenkoPastur(1).free_power(order)
    upper = float(law.support().upper)
    x = upper * np.concatenate([np.geomspace(1e-6, 0.9, 20), 1 - np.geomspace(1e-6, 0.1, 6)])
    exact = np.array([product_density(order, point) for point in x])
    density = law.pdf(x)
    np.testing.assert_allclose(density[:20], exact[:20], rtol=2e-14)
    np.testing.assert_allclose(density, exact, rtol=1e-9)


def test_deep_product_over_hundreds_of_decades():
    law = MarchenkoPastur(1).free_power(1500)
    x = float(law.support().upper) * np.geomspace(1e-280, 0.5, 12)
    exact = np.array([product_density(1500, point) for point in x])
    np.testing.assert_allclose(law.pdf(x), exact, rtol=1e-11)


@pytest.mark.parametrize(("depth", "sigma_w"), [(1, 1.7), (4, 2**0.5), (30, 1.3)])
def test_relu_chain_in_high_precision(depth, sigma_w):
    # S = sigma_w^(-2 L) (1/2 + m)^-L, so x m (1 + m)^-1 = sigma_w^(2 L) (1/2 + m)^L
    law = theory.jacobian_law(theory.Chain(depth=depth, activation="relu", sigma_w=sigma_w))
    x = grid(law, 12)
    started = solve(law.numeric, x)
    with mp.workdps(40):
        exact = []
        for point, start in zip(x, started.m, strict=True):
            m = mp.findroot(
                lambda m, point=point: mp.log(1 + m) - mp.log(m) + depth * mp.log((0.5 + m) * mp.mpf(sigma_w) ** 2)
                - mp.log(mp.mpf(point)), mp.mpc(start)
            )  # fmt: skip
            exact.append(float(-m.imag / (mp.pi * mp.mpf(point))))
    np.testing.assert_allclose(law.pdf(x), exact, rtol=1e-11)


# --- intervals continued along the axis ----------------------------------------------------------------------------

GENERAL = {
    "one cut": Semicircle(1) + Discrete({-0.9: 0.5, 0.9: 0.5}),
    "cusp": Semicircle(1) + Discrete({-1: 0.5, 1: 0.5}),
    "two cuts": Semicircle(1) + Discrete({-2: 0.5, 2: 0.5}),
    "narrow gap": Semicircle(0.5) + Discrete({-0.8: 0.5, 0.8: 0.5}),
    "three cuts": Semicircle(1) + Discrete({-3: 0.3, 0: 0.4, 2: 0.3}),
    "four atoms": MarchenkoPastur(0.5) @ Discrete({1: 0.25, 2: 0.25, 5: 0.25, 9: 0.25}),
    "nearly split": MarchenkoPastur(0.05) @ Discrete({1: 0.5, 3: 0.5}),
    "signed product": Semicircle(1, 1) @ MarchenkoPastur(0.5),
    "atoms alone": Discrete({0: 0.5, 1: 0.5}) + Discrete({0: 0.3, 2: 0.7}),
    "one residual block": theory.jacobian_law(theory.ResNet(1, "relu", sigma_w=0.7)),
    "residual blocks": theory.jacobian_law(theory.ResNet(50, "relu", sigma_w=0.7)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if "residual" in name else name for name in GENERAL]
)
def test_continued_interval_is_that_of_the_solver(name, monkeypatch):
    law = GENERAL[name]
    solved = []
    monkeypatch.setattr(axis, "solve", lambda node, x, **kwargs: solved.append(len(x)) or solve(node, x, **kwargs))
    for piece in law._density.pieces:
        x = np.linspace(piece.lower, piece.upper, 152)[1:-1]
        curve = axis.IntervalCurve(law.numeric, piece.at_places)
        answer = curve(x, piece.places(x))
        expected = solve(law.numeric, x)
        both = answer.converged & expected.converged
        assert np.all(answer.converged >= expected.converged)
        assert np.sum(both) >= x.size - 1
        peak = np.abs(expected.g.imag[both]).max()
        assert np.abs(answer.g - expected.g)[both].max() < 1e-12 * peak
        assert np.abs(answer.potential - expected.potential)[both].max() < 1e-12
        # and again, with the knots that are there now, in another order
        again = curve(x[::-1], piece.places(x[::-1]))
        assert np.abs(again.g[::-1] - expected.g)[both].max() < 1e-12 * peak
    assert sum(solved) < 70 * len(law._density.pieces)


def test_wrong_knots_are_not_believed():
    law = GENERAL["four atoms"]
    (piece,) = law._density.pieces
    x = np.linspace(piece.lower, piece.upper, 102)[1:-1]
    curve = axis.IntervalCurve(law.numeric, piece.at_places)
    right = curve(x, piece.places(x))
    # the complex conjugate of the solution solves the equations too
    curve.unknowns[:, 20:45] = curve.unknowns[:, 20:45].conj()
    answer = curve(x, piece.places(x))
    assert np.all(answer.converged)
    np.testing.assert_allclose(answer.g, right.g, rtol=1e-11)


@pytest.mark.slow
def test_hard_edge_of_a_smooth_chain_is_continued_over_many_decades():
    law = theory.jacobian_law(theory.Chain(depth=3, activation="tanh", sigma_w=1.2))
    (piece,) = law._density.pieces
    x = piece.upper * np.geomspace(1e-60, 0.9, 60)
    curve = axis.IntervalCurve(law.numeric, piece.at_places)
    answer = curve(x, piece.places(x))
    expected = solve(law.numeric, x)
    both = answer.converged & expected.converged
    assert np.all(answer.converged)
    assert np.sum(both) > 30
    np.testing.assert_allclose(answer.g[both], expected.g[both], rtol=1e-11)
    # three square Gaussian factors: x**(-3/4) at 0
    log_density = np.log(-answer.g.imag)
    assert (log_density[1] - log_density[0]) / np.log(x[1] / x[0]) == pytest.approx(-0.75, abs=1e-5)


# --- laws carried by a function ------------------------------------------------------------------------------------

UNIFORM = QuadratureLeaf(lambda t: t, np.ones_like, [(0.5, 1.0), (1.0, 2.5)])


def uniform_transform(z):
    """log((z - 1/2)/(z - 5/2))/2, continued from the upper half-plane across (1/2, 5/2)."""
    with mp.workdps(30):
        z = mp.mpc(z)
        upper = mp.log(z - 2.5) if z.imag >= 0 else mp.log(2.5 - z) + 1j * mp.pi
        return complex((mp.log(z - 0.5) - upper) / 2)


@pytest.mark.parametrize(
    "z", [3 + 0.1j, 1 + 0.3j, 1.3 + 1e-3j, 0.7 + 1e-8j, 1.1, 1.0, 0.50001, 2.4999, 1.3 - 1e-3j, 1.6 - 0.02j, 40j]
)
def test_carried_law_on_and_past_the_axis(z):
    m, w, dm, _ = UNIFORM._sums(np.log(np.array([z + 0j])), potential=False)[:, 0]
    g = uniform_transform(z)
    # the rounding of x counts where z is close to an end
    tolerance = 2e-14 + 1e-16 / min(abs(z - 0.5), abs(z - 2.5))
    assert w / z == pytest.approx(g, rel=tolerance)
    assert m == pytest.approx(complex(mp.mpc(z) * g - 1), rel=10 * tolerance)
    slope = -1 / ((z - 0.5) * (z - 2.5))  # of G
    assert dm == pytest.approx(z * (g + z * slope), rel=1e4 * tolerance)


def test_carried_law_met_from_below():
    u = np.log(1.3 + 0.4j) + np.array([0.0, 0.7])
    above = UNIFORM._sums(u, potential=True)
    below = UNIFORM._sums(2j * np.pi + u.conj(), potential=True)
    np.testing.assert_allclose(below, above.conj(), rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "q"),
    [("tanh", 0.3), ("tanh", 3), ("erf", 2), ("sigmoid", 1), ("silu", 0.3), ("gelu", 0.5), ("sin", 1), ("elu", 0.7)],
)
def test_gain_law_on_its_own_support(name, q):
    law = gain_law(get_activation(name), q)
    lower, upper = (float(end) for end in law.support().intervals[0])
    x = lower + (upper - lower) * np.linspace(0.01, 0.97, 60)
    _, w, _, potential = law.numeric._sums(np.log(x + 0j), potential=True)
    exact = law.pdf(x, method="closed_form")
    # the closed form takes the slope of the activation by differences
    np.testing.assert_allclose(-w.imag / (np.pi * x), exact, rtol=1e-8, atol=1e-12 * np.median(exact))
    tail = (potential + np.log(x)).imag / np.pi
    np.testing.assert_allclose(1 - tail, law.cdf(x, method="closed_form"), atol=3e-14)


def test_gain_law_against_high_precision():
    q, z = 0.5, 0.45 + 1e-5j
    law = gain_law(get_activation("tanh"), q)
    with mp.workdps(30):
        pole = mp.acosh(mp.mpc(z) ** -0.25).real

        def integrand(t):
            return 2 * mp.exp(-t * t / (2 * q)) / mp.sqrt(2 * mp.pi * q) / (mp.mpc(z) - mp.sech(t) ** 4)

        near = [pole + k * mp.mpf(10) ** -e for e in range(6) for k in (-1, 1)]
        cuts = sorted({mp.mpf(0), pole, mp.mpf(8), mp.mpf(16), *(t for t in near if t > 0)})
        exact = complex(mp.quad(integrand, cuts))
    _, w, _, _ = law.numeric._sums(np.log(np.array([z])), potential=False)
    assert w[0] / z == pytest.approx(exact, rel=3e-13)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_smooth_chain_has_its_mass_and_moments(weights):
    law = theory.jacobian_law(theory.Chain(depth=2, activation="tanh", sigma_w=1.2, weights=weights))
    x, w = law._density.rule
    assert w.sum() == pytest.approx(1, abs=1e-11)
    for k, moment in enumerate(law.moments(4), 1):
        assert np.sum(w * x**k) == pytest.approx(float(moment), rel=1e-10)


# --- without a compiler --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_kernels_run_as_plain_python():
    code = (
        "import sys, numpy as np, rmt, theory\n"
        "law = rmt.MarchenkoPastur(0.5) @ rmt.MarchenkoPastur(0.3)\n"
        "x = np.array([0.2, 0.5, 1.5])\n"
        "chain = theory.jacobian_law(theory.Chain(depth=1, activation='tanh', sigma_w=1.2))\n"
        "from rmt.numeric.continuation import solve\n"
        "from rmt.numeric.kernels import walk_explicit\n"
        "print(hasattr(walk_explicit, 'py_func'), *law.pdf(x), *solve(chain.numeric, x[1:2]).g)\n"
    )

    def run(**environment):
        import os

        out = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
        ).stdout.split()
        return out[0], [complex(value) for value in out[1:]]

    compiled, fast = run(NUMBA_DISABLE_JIT="0")
    plain, slow = run(NUMBA_DISABLE_JIT="1")
    assert (compiled, plain) == ("True", "False")
    np.testing.assert_allclose(fast, slow, rtol=1e-13)
    assert all(math.isfinite(value.real) for value in fast)


# --- families -------------------------------------------------------------------------------------------------------


def members(kind):
    """Laws of one shape: gains of different variances, scaled and raised, and residual blocks of gates."""
    if kind == "gains":
        gains = [gain_law(get_activation("tanh"), q) for q in (0.3, 0.8, 2.0)]
        numbers = zip(gains, (1.1, 1.2, 0.7), (2, 1.5, 3), strict=True)
        return [(scale * gain).free_power(exponent) for gain, scale, exponent in numbers]
    atoms = ({0: 0.3, 1: 0.2, 2: 0.5}, {0: 0.25, 0.5: 0.25, 3: 0.5}, {0: 0.1, 1: 0.3, 1.5: 0.6})
    branches = [MarchenkoPastur(0.4) @ Discrete(masses) for masses in atoms]
    return [rmt.ResidualSum(branch, skip) for branch, skip in zip(branches, (4, 3.9, 4.2), strict=True)]


@pytest.mark.parametrize("kind", ["gains", "blocks"])
def test_a_family_is_the_product_of_its_members(kind):
    laws = members(kind)
    nodes = [law.numeric for law in laws]
    family, product = FamilyNode(nodes), ProductNode(nodes)
    z = product.mean * np.array([-3 + 0.5j, 0.4 + 1j, 2 + 0.7j, 9 + 0.1j])
    u = solve(product, z).unknowns
    du = 1e-3 * u
    one, other = family.linearise(u), product.linearise(u)
    for name in ("m", "w", "log_s", "dm", "dlog_s", "log_eta"):
        np.testing.assert_allclose(getattr(one.jet, name), getattr(other.jet, name), rtol=1e-12, atol=1e-14)
    eps = np.array([1e-3, 2e-3j, -1e-3, 1e-4])
    np.testing.assert_allclose(family.spread(one, eps), product.spread(other, eps), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(family.potential(u, one), product.potential(u, other), rtol=1e-12)
    np.testing.assert_allclose(family.strain(u, du), product.strain(u, du), rtol=1e-12)
    np.testing.assert_allclose(solve(family, z).g, solve(product, z).g, rtol=1e-12)


def test_what_is_stacked():
    gain = gain_law(get_activation("tanh"), 0.8)
    mixed = [*members("gains"), MarchenkoPastur(0.4), Discrete({1: 0.2, 2: 0.8}), gain, *members("blocks")]
    kinds = [type(node).__name__ for node in with_families([law.numeric for law in mixed])]
    assert kinds == ["FamilyNode", "ExplicitSLeaf", "DiscreteLeaf", "QuadratureLeaf", "FamilyNode"]
    # explicit S-transforms stay explicit
    masks = [Discrete({0: p, 1: 1 - p}).numeric for p in (0.2, 0.4)]
    assert len(with_families(masks)) == 2


# --- places and roots -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece",
    [
        Piece(0.3, 2, 0.5, 0.5),
        Piece(1e-18, 2, 0.5, 0.5),
        Piece(0, 3, -0.5, 0.5),
        Piece(-3, 0, 0.5, -0.75),
        Piece(-3, 1, -0.5, -0.5),
        Piece(-1, 1, -0.5, -0.75),
        Piece(0, 1, None, 0.5),
        Piece(-1, 2, 1 / 3, 0.5),
        Piece(-math.inf, 2, None, 0.5),
    ],
    ids=str,
)
def test_places_invert_the_grid(piece):
    place = np.linspace(-2.5, 2.5, 41)
    found = piece.places(piece.at_places(place))
    # an unbounded piece is searched; beside a hard edge away from 0 points have few digits
    np.testing.assert_allclose(found, place, rtol=0, atol=2e-8)
    if piece.bounded:
        np.testing.assert_allclose(found[10:31], place[10:31], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "root"),
    [
        (lambda x: x**3 - 0.3, 0.3 ** (1 / 3)),
        (lambda x: math.tanh(50 * (x - 0.123)), 0.123),
        (lambda x: (x - 0.7) ** 3, 0.7),
        (lambda x: x, 0.0),
        (lambda x: 1 - x, 1.0),
        (lambda x: math.exp(9 * x) - 2, math.log(2) / 9),
    ],
)
def test_bracketed_root(function, root):
    asked = []
    found = bracketed_root(lambda x: asked.append(x) or function(x), 0.0, 1.0, 1e-13)
    assert found == pytest.approx(root, abs=3e-13 if root != 0.7 else 1e-5)
    assert len(asked) < 60
    assert all(0 <= x <= 1 for x in asked)


def test_bracketed_root_needs_a_change_of_sign():
    for function in (lambda x: x + 1, lambda _: math.nan):
        with pytest.raises(ValueError, match="no change of sign"):
            bracketed_root(function, 0.0, 1.0)


def test_orthogonal_relu_chains_at_criticality():
    # the critical points of four layers lie at the inverse of each other, so that eta = 1 is asked about
    half = Fraction(1, 2)
    for depth in (2, 3, 4, 5):
        law = rmt.FreePower(rmt.Affine(rmt.Discrete({0: half, 1: half}), 2, 0), depth)
        support = law.support()
        assert float(support.upper) == pytest.approx(depth**depth / (depth - 1) ** (depth - 1), rel=1e-13)
        assert float(support.edges[0].exponent) == pytest.approx(1 / depth - 1, rel=1e-12)
