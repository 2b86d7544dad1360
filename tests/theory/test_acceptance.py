"""The numbers that the whole chain network -> law must reproduce, without any sampling."""

import itertools
import math

import numpy as np
import pytest
import sympy as sp

import rmt
import theory
from theory.network import Chain, ResNet


def quadrature(law, function=np.ones_like, n=400, power=1):
    """∫ f of the continuous part by Gauss–Legendre in an angle, which knows nothing of the law but its pdf.

    A density ~ x^(1/power - 1) at 0 is made smooth by x ~ s^power.
    """
    nodes, weights = np.polynomial.legendre.leggauss(n)
    theta = (nodes + 1) * math.pi / 2
    total = 0.0
    for lower, upper in law.support().intervals:
        lo, hi = float(lower), float(upper)
        hi = (
            1.0 if abs(hi - 1) < 1e-9 else hi
        )  # the edge skip² of one block with dead gates: the density diverges there
        if lo > 0:  # square-root edges, in log x
            middle, half = math.log(hi * lo) / 2, math.log(hi / lo) / 2
            x = np.exp(middle - half * np.cos(theta))
            rate = x * half * np.sin(theta)
        else:
            s = np.sin(theta / 2) ** 2
            x = hi * s**power
            rate = hi * power * s ** (power - 1) * np.sin(theta) / 2
        total += float(np.sum(weights * math.pi / 2 * rate * law.pdf(x) * function(x)))
    return total


# --- the universal law -----------------------------------------------------------------------------------------------


def test_edges_and_moments_of_the_universal_law():
    law = theory.limit_law(theory.tune(ResNet(50, "tanh", sigma_b=0.1), c=0.25))
    assert law.support().intervals[0] == (pytest.approx(0.236183, abs=1e-6), pytest.approx(4.234, abs=1e-6))
    assert rmt.UniversalResNet(c=1).moments(2) == pytest.approx([2.718282, 22.167168], abs=1e-6)
    assert [sp.simplify(m) for m in rmt.UniversalResNet(c=sp.Integer(1)).moments(2)] == [sp.E, 3 * sp.E**2]


@pytest.mark.parametrize("c", [0.25, 1.0, 2.6])
def test_curve_equation_and_moments_of_the_universal_law_agree(c):
    law = rmt.UniversalResNet(c)
    lower, upper = law.support().intervals[0]
    x = lower * (upper / lower) ** np.array([0.04, 0.2, 0.45, 0.6, 0.85, 0.97])
    by_formula, by_solver = (law.pdf(x, method=method) for method in ("closed_form", "subordination"))
    np.testing.assert_allclose(by_formula, by_solver, rtol=1e-11)
    z = np.concatenate([x + 0j, np.array([1 + 1j, -3.0 + 0.1j])])
    g = law.cauchy(z)
    residual = g - (z * g - 1) * np.exp(c * (1 - 2 * z * g))
    assert np.all(np.abs(residual) < 1e-12 * (np.abs(g) + np.abs(z * g * g)))
    np.testing.assert_allclose(-g[: len(x)].imag / np.pi, by_formula, rtol=1e-11)
    for k, moment in enumerate(law.moments(4), start=1):
        assert quadrature(law, lambda t, k=k: t**k) == pytest.approx(moment, rel=1e-11)


def test_derivation_of_the_universal_law():
    net = theory.tune(ResNet(50, "relu"), c=0.25)
    derivation = rmt.derive(theory.limit_law(net))
    g, z = derivation.G, derivation.z
    assert isinstance(derivation.equation, sp.Equality)
    c = sp.Rational(1, 4)
    published = sp.Eq(g, (z * g - 1) * sp.exp(c * (1 - 2 * z * g)))
    # the same curve: both hold at points of it
    for point in (0.7 + 0.4j, 3.0 + 0.01j):
        values = {z: point, g: rmt.UniversalResNet(0.25).cauchy(point)}
        for equation in (published, derivation.equation):
            mismatch = complex((equation.lhs - equation.rhs).subs(values).evalf())
            assert abs(mismatch) < 1e-10
    assert len(derivation.steps) >= 3


# --- finite depth ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "expected"),
    [("gaussian", (2.460375, 15.469915, 136.899418)), ("orthogonal", (2.460375, 14.249262, 109.363305))],
)
def test_moments_of_three_relu_blocks(weights, expected):
    # gates of variance 0.7: sigma_w²/L = 0.7
    law = theory.jacobian_law(ResNet(3, "relu", sigma_w=math.sqrt(2.1), weights=weights))
    assert [float(m) for m in law.moments(3)] == pytest.approx(expected, abs=2e-6)
    for k in (1, 2, 3):
        assert quadrature(law, lambda x, k=k: x**k) == pytest.approx(expected[k - 1], abs=3e-6)


# --- plain chains ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 5, 13, 50])
def test_linear_gaussian_chains_are_fuss_catalan(depth):
    law = theory.jacobian_law(Chain(depth, "linear"))
    (lower, upper) = law.support().intervals[0]
    assert float(lower) == 0
    assert float(upper) == pytest.approx(
        math.exp((depth + 1) * math.log(depth + 1) - depth * math.log(depth)), rel=1e-11
    )
    phi = np.linspace(0.06, 0.94, 9) * math.pi / (depth + 1)
    x = np.sin((depth + 1) * phi) ** (depth + 1) / (np.sin(phi) * np.sin(depth * phi) ** depth)
    density = np.sin(phi) ** 2 * np.sin(depth * phi) ** (depth - 1) / (math.pi * np.sin((depth + 1) * phi) ** depth)
    np.testing.assert_allclose(law.pdf(x), density, rtol=1e-9)
    for k in range(1, 5):
        assert law.moment(k) == math.comb(k * (depth + 1), k) // (k * depth + 1)


@pytest.mark.parametrize("depth", [2, 3, 10, 100, 10_000])
def test_edges_of_critical_relu_chains(depth):
    p = 0.5
    m = (-(depth - 1) + math.sqrt((depth - 1) ** 2 + 4 * depth * p)) / (2 * depth)
    expected = math.log((1 + m) / m) + depth * math.log1p(m / p)
    law = theory.jacobian_law(Chain(depth, "relu", sigma_w=math.sqrt(2)))
    assert math.log(law.support().intervals[-1][1]) == pytest.approx(expected, rel=1e-10)
    assert law.support().atoms == {0: pytest.approx(0.5)}
    law = theory.jacobian_law(Chain(depth, "relu", sigma_w=math.sqrt(2), weights="orthogonal"))
    if depth > 2:  # at depth 2 the mass 1 - L(1-p) of the atom at p^-L just vanishes
        expected = math.log((1 - p) / p) + depth * math.log(depth) - (depth - 1) * math.log(depth - 1)
        assert math.log(law.support().intervals[-1][1]) == pytest.approx(expected, rel=1e-10)
        assert set(law.support().atoms) == {0}


def critical_hard_tanh(depth, q):
    """Orthogonal hard-tanh chain at its fixed point q* = q with χ = 1, the input that starts there, and p."""
    function = theory.get_activation("hard_tanh")
    p = function.gain(q)
    variance = q - function.second_moment(q) / p
    net = Chain(depth, "hard_tanh", sigma_w=1 / math.sqrt(p), sigma_b=math.sqrt(variance), weights="orthogonal")
    return net, (q - variance) * p, p


@pytest.mark.parametrize("depth", [2, 6, 20])
def test_atom_of_orthogonal_hard_tanh_chains(depth):
    net, q0, p = critical_hard_tanh(depth, 0.2)
    assert depth * (1 - p) < 1
    law = theory.jacobian_law(net, q0)
    atoms = dict(law.support().atoms)
    assert atoms.pop(0) == pytest.approx(1 - p, rel=1e-6)
    ((position, mass),) = atoms.items()
    assert position == pytest.approx(p**-depth, rel=1e-6)
    assert mass == pytest.approx(1 - depth * (1 - p), rel=1e-5)
    # z ~ (m + p)^L next to the atom at 0
    assert quadrature(law, n=200, power=depth) + mass + 1 - p == pytest.approx(1, abs=1e-9)
    assert law.cdf(position * (1 - 1e-9)) == pytest.approx(1 - mass, abs=1e-7)


@pytest.mark.parametrize("depth", [10, 300])
def test_edge_of_orthogonal_hard_tanh_chains_without_the_atom(depth):
    net, q0, p = critical_hard_tanh(depth, 0.6)
    assert depth * (1 - p) > 1
    law = theory.jacobian_law(net, q0)
    assert set(law.support().atoms) == {0}
    expected = math.log((1 - p) / p) + depth * math.log(depth) - (depth - 1) * math.log(depth - 1)
    assert math.log(law.support().intervals[-1][1]) == pytest.approx(expected, abs=1e-5)


# --- residual networks of every depth --------------------------------------------------------------------------------


DEPTHS = (1, 10, 100, 1000, 100_000)


@pytest.mark.parametrize("weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("depth", DEPTHS)
def test_mass_of_relu_resnets(depth, weights):
    law = theory.jacobian_law(ResNet(depth, "relu", sigma_w=0.8, weights=weights))
    support = law.support()
    # one block has the density |1 - x|^(-1/2) below skip² = 1, where points come too close to it with more nodes
    mass = quadrature(law, n=70 if depth == 1 else 400)
    assert mass + sum(float(p) for p in support.atoms.values()) == pytest.approx(1, abs=1e-9)
    assert law.cdf(float(support.upper) * (1 + 1e-9)) == pytest.approx(1, abs=1e-12)
    x = np.linspace(float(support.lower), float(support.upper), 40)[1:-1]
    slope = (law.cdf(x * (1 + 1e-5)) - law.cdf(x * (1 - 1e-5))) / (2e-5 * x)
    atoms = np.array([float(a) for a in support.atoms])
    away = np.all(np.abs(x[:, np.newaxis] - atoms) > 2e-5 * x[:, np.newaxis], axis=1)
    np.testing.assert_allclose(law.pdf(x)[away], slope[away], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "selu"])
@pytest.mark.parametrize("depth", DEPTHS[:4])
def test_mass_of_resnets(depth, name):
    law = theory.jacobian_law(theory.tune(ResNet(depth, name, sigma_b=0.2), c=0.4))
    atoms = sum(float(p) for p in law.support().atoms.values())
    assert quadrature(law, n=250) + atoms == pytest.approx(1, abs=1e-9)


def first_correction(net, m):
    """L (log S - log S_universal) at infinite depth, mathematics of the first correction in 1/L."""
    table = theory.propagate(net)
    gains = [net.nonlinearity.gain_moment(k, q) for k in (1, 2) for q in table.q]
    one, two = np.array(gains[: len(table)]), np.array(gains[len(table) :])
    variance = float(np.mean(net.sigma_w**4 * (two - one**2)))
    square = float(np.mean(table.c_2**2))  # c² where all blocks are alike
    haar = square * m * (1 + m) * (1 + 2 * m) if net.weights == "orthogonal" else 0.0
    return square * (1 + 6 * m + 6 * m**2) / 2 - variance * m * (1 + m) * (1 + 2 * m) + haar


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_first_correction_of_log_s(name, weights):
    m = np.array([-0.7, -0.3, -0.05, 0.03])
    deviations = []
    for depth in (100, 1000, 10_000):
        net = ResNet(depth, name, sigma_w=0.9, weights=weights)
        law, limit = theory.jacobian_law(net), theory.limit_law(net)
        scaled = depth * np.log(law.s_transform(m) / limit.s_transform(m))
        deviations.append(np.abs(scaled - first_correction(net, m)).max())
    # what remains is the next order, another factor 1/L
    assert deviations[0] < 3e-3
    for coarse, fine in itertools.pairwise(deviations):
        assert coarse / fine == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("name", ["tanh", "elu"])
def test_first_correction_of_log_s_with_different_blocks(name):
    net = ResNet(1000, name, sigma_w=0.9)
    m = np.array([-0.6, -0.2, 0.03])
    scaled = 1000 * np.log(theory.jacobian_law(net).s_transform(m) / theory.limit_law(net).s_transform(m))
    np.testing.assert_allclose(scaled, first_correction(net, m), atol=1e-3)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_convergence_of_edges_and_moments(weights):
    deviations = []
    for depth in (100, 1000, 10_000):
        net = ResNet(depth, "relu", sigma_w=0.9, weights=weights)
        c = theory.effective_cumulant(net)
        law, limit = theory.jacobian_law(net), theory.limit_law(net)
        # at an edge of the limit 1/(m(1+m)) = 2c, and log z moves by minus the correction of log S there
        m = (-1 + np.array([-1, 1]) * math.sqrt(1 + 2 / c)) / 2
        moved = depth * (np.log(law.support().intervals[0]) - np.log(limit.support().intervals[0]))
        edges = np.abs(moved + first_correction(net, m)).max()
        # log S = -log m_1 - (m_2/m_1² - 1) m + …
        step = 1e-4
        slope = (first_correction(net, step) - first_correction(net, -step)) / (2 * step)
        relative = [float(r.var() / r.mean() ** 2) for r in (law, limit)]
        means = [math.log(r.mean()) for r in (law, limit)]
        moments = max(
            abs(depth * (means[0] - means[1]) + first_correction(net, 0.0)),
            abs(depth * (relative[0] - relative[1]) + slope),
        )
        deviations.append((edges, moments))
    for coarse, fine in itertools.pairwise(deviations):
        for before, after in zip(coarse, fine, strict=True):
            assert after < 0.13 * before
    assert max(deviations[-1]) < 1e-3
