"""Gated layers in networks: their law in corners where it is known otherwise, signal propagation, what is refused."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
import theory
from theory import (
    Activation,
    Dense,
    Dropout,
    Gate,
    GateLaw,
    LayerNorm,
    Repeat,
    Residual,
    Scale,
    Sequential,
    jacobian_law,
)
from theory.gates import GateOnGaussians
from theory.propagation import advance, start

SHARED = Gate("tanh", sigma_w=1.3, sigma_b=0.4, gate_bias=0.5)
OWN = Gate("relu", sigma_w=1.3, sigma_b=0.4, gate_bias=-0.5, gate_dense=Dense(0.9, 0.2))
POINTS = np.array([0.05 + 0.05j, 0.3, 1.0, 1 + 0.5j, -0.2])


def sigmoid(h):
    return 1 / (1 + np.exp(-h))


def equal_laws(law, other, tolerance=1e-9):
    points = POINTS * float(other.mean())
    np.testing.assert_allclose(law.cauchy(points), other.cauchy(points), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(law.moments(3), [float(m) for m in other.moments(3)], rtol=tolerance)


# --- the law in its corners -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_gate_that_sees_nothing_is_a_residual_block(activation):
    # its own weights vanish: u is a constant, and (1 - u) φ(W x + b) the branch
    gate = Gate(activation, sigma_w=1.2, sigma_b=0.3, gate_bias=0.4, gate_dense=Dense(0.0))
    u = float(sigmoid(0.4))
    block = Residual([Dense(1.2, 0.3), Activation(activation), Scale(1 - u)], u)
    equal_laws(jacobian_law(gate, 0.7), jacobian_law(block, 0.7), 1e-7)
    assert theory.propagate(gate, 0.7, 0.2).to_dict()["second_moment"] == pytest.approx(
        theory.propagate(block, 0.7, 0.2).to_dict()["second_moment"], rel=1e-12
    )


def test_a_gate_without_input_is_a_gated_layer_of_two_functions():
    # x = 0: h is the bias
    gate = Gate("tanh", sigma_w=1.2, sigma_b=0.8, gate_bias=0.3)

    def branch(h):
        u = sigmoid(h + 0.3)
        return (1 - u) / np.cosh(h) ** 2 - u * (1 - u) * np.tanh(h)

    other = theory.gated_layer_law(lambda h: sigmoid(h + 0.3), branch, 0.64, 1.2)
    equal_laws(GateLaw(gate, 0.0), other)
    # and a little input changes little
    equal_laws(GateLaw(gate, 1e-12), other, 1e-5)
    assert GateLaw(gate, 0.0).numeric.unbounded == (False, False)
    assert GateLaw(gate, 1e-12).numeric.unbounded == (False, True)


def test_a_closed_gate_is_a_plain_layer_and_an_open_one_the_identity():
    plain = Sequential([Dense(1.2, 0.3), Activation("tanh")])
    equal_laws(jacobian_law(Gate("tanh", sigma_w=1.2, sigma_b=0.3, gate_bias=-40.0)), jacobian_law(plain), 1e-8)
    opened = jacobian_law(Gate("tanh", sigma_w=1.2, sigma_b=0.3, gate_bias=12.0))
    assert float(opened.mean()) == pytest.approx(1, abs=1e-4)
    assert float(opened.var()) == pytest.approx(0, abs=1e-8)
    haar = Sequential([Dense(1.2, 0.3, "orthogonal"), Activation("tanh")])
    closed = Gate("tanh", sigma_w=1.2, sigma_b=0.3, weights="orthogonal", gate_bias=-40.0)
    np.testing.assert_allclose(jacobian_law(closed).moments(3), [float(m) for m in jacobian_law(haar).moments(3)])


def test_the_input_by_a_fine_grid_of_pairs():
    # the same layer with x and h on a grid, D2 = u'(x - φ) + (1 - u) φ'
    gate, x2 = Gate("erf", sigma_w=1.1, sigma_b=0.5, gate_bias=-0.4), 0.8
    z = np.linspace(-8.5, 8.5, 103)
    p = np.exp(-z * z / 2)
    p /= p.sum()
    h, x = np.meshgrid(z * math.sqrt(1.21 * x2 + 0.25), z * math.sqrt(x2), indexing="ij")
    u, phi = sigmoid(h - 0.4), gate.activation.nonlinearity
    d2 = u * (1 - u) * (x - phi.phi(h)) + (1 - u) * phi.dphi(h)
    pairs = {}
    for a, b, mass in zip(u.ravel().tolist(), d2.ravel().tolist(), np.outer(p, p).ravel().tolist(), strict=True):
        if mass > 1e-14:
            pairs[a, b] = pairs.get((a, b), 0.0) + mass
    total = sum(pairs.values())
    grid = rmt.GatedLayer({pair: mass / total for pair, mass in pairs.items()}, 1.21)
    law = GateLaw(gate, x2)
    points = np.array([0.3 + 0.2j, 1 + 0.2j, -0.1, 2 + 0.5j]) * float(law.mean())
    np.testing.assert_allclose(law.cauchy(points), grid.cauchy(points), rtol=2e-8)
    assert law.mean() == pytest.approx(float(grid.numeric.mean), rel=1e-12)


@pytest.mark.parametrize("weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.exhaustive)])
def test_curve_and_moments_agree(weights):
    law = GateLaw(Gate("tanh", sigma_b=0.2, weights=weights), 0.9)
    np.testing.assert_allclose(law.moments(4, method="quadrature"), law.moments(4), rtol=1e-9)
    assert law.cdf(0.0) == 0
    assert law.cdf(40.0) == pytest.approx(1, abs=1e-12)
    lower, upper = law.support().edges
    assert (lower.position, lower.exponent, upper.position) == (0, -0.5, math.inf)
    x = np.array([1e-28, 1e-24])
    heights = law.pdf(x) * np.sqrt(x)
    np.testing.assert_allclose(heights, heights[0], rtol=1e-3)


@pytest.mark.exhaustive
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_an_open_gate_keeps_the_spectrum_off_zero(weights):
    # <D2²/D1²> < 1: no hard edge, yet no gap, as D2 takes all values
    law = GateLaw(Gate("tanh", sigma_w=0.8, gate_bias=1.5, weights=weights), 1.0)
    assert law.support().edges[0].exponent is None
    density = law.pdf(np.array([1e-8, 1e-3, 0.1, 0.5]))
    assert density[0] < 1e-8 < density[2] < density[3]


@pytest.mark.exhaustive
def test_a_tail_like_that_of_a_squared_gaussian():
    # P(D2² > x): only the widest of the Gaussians is left far out
    law = GateLaw(Gate("linear", sigma_w=1.0, gate_bias=0.0), 1.0)
    x = np.array([4.0, 5.0, 6.0])
    rate = -np.diff(np.log(law.pdf(x)))
    assert np.all(rate > 4)
    assert np.all(np.diff(rate) > -0.5)  # towards 1/(2 max u'^2) = 8 and no faster
    assert np.all(rate < 8)


@pytest.mark.exhaustive
def test_a_hard_sigmoid_leaves_atoms():
    # where u = 1, J is the identity on rows that no weights reach
    step = sp.Symbol("h", real=True)
    ramp = Activation("custom", phi=sp.Max(0, sp.Min(1, step + sp.Rational(1, 2))))
    law = GateLaw(Gate("tanh", ramp, sigma_w=0.6, gate_bias=1.0), 1.0)
    share = float((1 + math.erf(0.5 / 0.6 / math.sqrt(2))) / 2)  # P(h > -1/2)
    assert law.support().atoms == pytest.approx({1.0: 2 * share - 1})
    # the residue of G
    np.testing.assert_allclose(1e-6j * law.cauchy(1 + 1e-6j), 2 * share - 1, atol=1e-2)


# --- signal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", [SHARED, OWN], ids=["shared", "own"])
def test_signal_by_brute_force(gate):
    # averages over x, x' and the pre-activations by Monte Carlo in one dimension each: components are independent
    rng = np.random.default_rng(3)
    n, x2, mean, covariance = 400_000, 0.9, 0.3, 0.5
    gaussians = np.linalg.cholesky([[x2 - mean**2, covariance - mean**2], [covariance - mean**2, x2 - mean**2]])
    x = mean + gaussians @ rng.normal(size=(2, n))

    def pre_activations(dense):
        q, common = (dense.sigma_w**2 * v + dense.sigma_b**2 for v in (x2, covariance))
        return np.linalg.cholesky([[q, common], [common, q]]) @ rng.normal(size=(2, n))

    h = pre_activations(gate.denses[0])
    seen = h if gate.gate_dense is None else pre_activations(gate.gate_dense)
    u = sigmoid(seen + gate.gate_bias)
    phi = gate.activation.nonlinearity
    out = u * x + (1 - u) * phi.phi(h)
    by_gate, by_h = u * (1 - u) * (x - phi.phi(h)), (1 - u) * phi.dphi(h)
    slopes = (gate.sigma_w * (by_gate + by_h)) ** 2
    if gate.gate_dense is not None:
        slopes = (gate.gate_dense.sigma_w * by_gate) ** 2 + (gate.sigma_w * by_h) ** 2
    here = GateOnGaussians(gate, x2)
    expected = [*here.signal(mean), here.covariance(mean, covariance)]
    for value, sample in zip(expected, [out[0], out[0] ** 2, (u**2 + slopes)[0], out[0] * out[1]], strict=True):
        assert value == pytest.approx(float(sample.mean()), abs=5 * float(sample.std()) / math.sqrt(n))


def test_two_inputs_that_are_the_same():
    for gate in (SHARED, OWN, Gate("relu", gate_dense=Dense(0.0))):
        signal = advance(gate, start(0.8, 1.0))
        assert signal.covariance == pytest.approx(signal.second_moment, rel=1e-10)


def test_rows_of_the_table():
    net = Sequential([Dense(1.2), SHARED, LayerNorm(), SHARED, Dense(0.9), Activation("tanh")])
    table = theory.propagate(net, 1.0, 0.3)
    assert len(table) == 4
    # <J J'> of a whole network of gates is the product, freeness or not
    assert float(jacobian_law(Sequential([Dense(1.2), SHARED, LayerNorm()])).mean()) == pytest.approx(
        float(np.prod(table.chi[:2])), rel=1e-12
    )


# --- networks -------------------------------------------------------------------------------------------------------


def test_a_deep_network_is_a_power():
    net = Repeat([Dense(1.1), SHARED], 12)
    law = jacobian_law(net, 1.0)
    assert float(law.mean()) == pytest.approx(float(np.prod(theory.propagate(net, 1.0).chi)), rel=1e-11)
    long = Repeat([Dense(1.1), SHARED], 60)
    assert float(jacobian_law(long).mean()) == pytest.approx(float(np.prod(theory.propagate(long).chi)), rel=1e-9)


def test_the_law_of_a_chain_by_its_moments():
    net = Sequential([SHARED, Dense(1.2), OWN])
    law = jacobian_law(net, 0.8)
    first, second = (
        GateLaw(SHARED, 0.8).moments(2),
        GateLaw(OWN, 1.44 * float(theory.propagate(net, 0.8).second_moment[0])).moments(2),
    )
    m1 = first[0] * 1.44 * second[0]
    # m_2 of a free product of three: the variances relative to the squared means add up
    spread = sum(m[1] / m[0] ** 2 - 1 for m in (first, [1.0, 2.0], second))
    m2 = m1**2 * (1 + spread)
    np.testing.assert_allclose(law.moments(2), [m1, m2], rtol=1e-11)


def test_a_chain_with_unbounded_gates_has_no_gap_and_the_edges_of_its_factors():
    law = jacobian_law(Repeat([Dense(), Gate("tanh", sigma_w=1.2)], 2))
    lower, upper = law.support().edges
    assert upper.position == math.inf
    # densities like x**-1/2 and 1/S like 1 + m in each of the four factors
    assert lower.exponent == pytest.approx(-4 / 5)
    x = np.array([1e-40, 1e-44])
    assert np.diff(np.log(law.pdf(x)))[0] / np.diff(np.log(x))[0] == pytest.approx(-4 / 5, abs=1e-6)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Repeat(SHARED, 2), "put a Dense layer between"),
        (Sequential([Dense(), Activation("tanh"), SHARED]), "put a Dense layer between"),
        (Sequential([Dense(), Dropout(0.1), SHARED]), "put a Dense layer between"),
        (Sequential([Residual(Dense()), SHARED]), "put a Dense layer between"),
        (Repeat([Dense(), SHARED, Residual([SHARED, Dense()])], 2), "put a Dense layer between"),
        (Sequential([SHARED, Dropout(0.1)]), "put a Dense layer between"),
        (Sequential([SHARED, Activation("tanh")]), "not Gaussian: add a Dense layer"),
        (Gate("tanh", weights="orthogonal", gate_dense=Dense()), "orthogonal ones without gate_dense"),
        (Gate("tanh", weights=rmt.MarchenkoPastur(Fraction(1, 2))), "is not known here"),
        (Gate("tanh", gate_bias=sp.Symbol("b")), "b in a Gate is symbolic"),
    ],
)
def test_what_has_no_law(net, message):
    with pytest.raises(rmt.PreconditionError, match=message):
        jacobian_law(net)
    if "Dense layer between" in message:
        theory.propagate(net)  # the signal needs no freeness
        with pytest.raises(rmt.PreconditionError, match=message):
            theory.derive(net)


def test_a_rotated_shortcut_makes_the_input_fresh():
    net = Sequential([Dense(), SHARED, Residual(Dense(0.5), 0.9, "orthogonal"), SHARED])
    table = theory.propagate(net)
    assert float(jacobian_law(net).mean()) == pytest.approx(float(np.prod(table.chi)), rel=1e-11)


def test_outlier_says_what_it_supports():
    with pytest.raises(NotImplementedError, match="outlier supports sequences"):
        theory.outlier(Sequential([Dense(), SHARED]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma_w": 0.0}, "sigma_w=0.0 must be > 0"),
        ({"gate_bias": math.inf}, "gate_bias=inf is not a finite"),
        ({"gate_dense": Dense(width_ratio=2)}, "width_ratio 1, or None"),
        ({"gate": "nothing"}, "unknown activation"),
    ],
)
def test_bad_layers(arguments, message):
    with pytest.raises(ValueError, match=message):
        Gate("tanh", **arguments)
    assert eval(repr(OWN)) == OWN


@pytest.mark.exhaustive
def test_two_gates_without_a_layer_between_are_not_free():
    # why these are refused: both slopes contain the component of x. The mean is a product, the second moment is not
    gate, n = Gate("linear", sigma_w=1.5), 200
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(150):
        x, product, row = rng.normal(size=n), np.eye(n), []
        for _layer in range(2):
            w = 1.5 * rng.normal(size=(n, n)) / math.sqrt(n)
            h = w @ x
            u = sigmoid(h)
            jacobian = np.diag(u) + (u * (1 - u) * (x - h) + 1 - u)[:, None] * w
            product = jacobian @ product
            x = u * x + (1 - u) * h
            row += _two_moments(jacobian)
        rows.append(row + _two_moments(product))
    a1, a2, b1, b2, m1, m2 = np.array(rows).T
    chi = theory.propagate(Repeat(gate, 2)).chi
    for sample, value in ((a1, chi[0]), (b1, chi[1]), (m1, chi[0] * chi[1])):
        assert sample.mean() == pytest.approx(value, abs=4 * sample.std() / math.sqrt(len(rows)) + 3 / n)
    # of a free product: relative variances add up; the groups give the error of what is not linear
    groups = np.array_split(np.arange(len(rows)), 15)
    excess = [
        m2[g].mean() / m1[g].mean() ** 2 - a2[g].mean() / a1[g].mean() ** 2 - b2[g].mean() / b1[g].mean() ** 2 + 1
        for g in groups
    ]
    assert abs(np.mean(excess)) > 5 * np.std(excess) / math.sqrt(len(groups))


def _two_moments(matrix):
    gram = matrix @ matrix.T
    return [float(np.trace(gram)) / len(gram), float(np.sum(gram * gram)) / len(gram)]
