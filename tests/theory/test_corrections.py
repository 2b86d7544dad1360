"""Corrections in the depth against the exact law at finite depth: what remains must be of the next order."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath as mp
import pytest
import sympy as sp

import rmt
import theory
from rmt.results import PreconditionError
from theory.chain_expansion import s as sigma_0
from theory.corrections import block_term, gain_cumulants
from theory.network import Chain, ResNet, Sequential

m, c, v, k3, L = sp.Symbol("m"), *gain_cumulants(3), sp.Symbol("L", positive=True)
GAINS = {Fraction(3, 10): Fraction(1, 2), Fraction(11, 10): Fraction(3, 10), Fraction(2): Fraction(1, 5)}
FREE = rmt.series.moments_to_free_cumulants([sum(p * x**k for x, p in GAINS.items()) for k in range(1, 5)])
VALUES = dict(zip(gain_cumulants(4), map(sp.Rational, FREE), strict=True))
SKIP = sp.Rational(9, 10)
BOTH = pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])


def network(weights, depth=L):
    return ResNet(depth=depth, activation="tanh", skip=SKIP, weights=weights)


def exact_block(w, depth, weights, side=1):
    """(m, log(a² S)) of a block with gains x/depth, w their spectral variable; side -1 leads to m < -1."""
    a = mp.mpf(9) / 10
    m0 = sum(
        mp.mpf(p.numerator) / p.denominator * x.numerator / (w * depth * x.denominator - x.numerator)
        for x, p in GAINS.items()
    )
    t = (1 + m0) ** 2 * (1 / (1 + m0) if weights == "gaussian" else 1) / w
    point = m0 + (side * mp.sqrt(1 + 4 * a**2 * t) - 1) / 2
    return point, mp.log(a**2 * t / (point * (1 + point)))


@BOTH
@pytest.mark.parametrize("order", [2, 3])
def test_log_s_of_a_block_to_its_order(weights, order):
    terms = [
        sp.lambdify(m, (block_term(n, weights) / SKIP ** (2 * n)).subs(VALUES), "mpmath") for n in range(1, order + 2)
    ]
    errors = []
    with mp.workdps(40):
        for depth in (200, 2000):
            point, exact = exact_block(mp.mpc(2, "0.4"), depth, weights)
            errors.append(abs(exact - sum(f(point) / mp.mpf(depth) ** n for n, f in enumerate(terms, 1))))
    assert errors[0] / errors[1] == pytest.approx(10 ** (order + 2), rel=0.05)


@BOTH
@pytest.mark.parametrize("side", [-1, 1])
def test_edges_are_critical_values_of_the_exact_inverse(weights, side):
    edge = theory.finite_depth_corrections(network(weights)).log_edges[(side + 1) // 2]
    errors = {1: [], 2: []}
    with mp.workdps(40):
        coefficients = [mp.mpmathify(sp.N(x.subs(VALUES), 35)) for x in edge]
        for depth in (300, 3000):

            def log_z(w, depth=depth):
                point, log_s = exact_block(w, depth, weights, side)
                return mp.log((1 + point) / point) - depth * log_s

            exact = log_z(mp.findroot(lambda w: mp.diff(log_z, w), 2 * mp.mpmathify(sp.N(VALUES[c]))))
            for order in errors:
                known = sum(x / mp.mpf(depth) ** k for k, x in enumerate(coefficients[: order + 1]))
                errors[order].append(abs(exact - known))
    assert errors[1][0] / errors[1][1] == pytest.approx(100, rel=0.05)
    assert errors[2][0] / errors[2][1] == pytest.approx(1000, rel=0.05)


@BOTH
def test_moments_against_exact_fractions(weights):
    """FreePower of a ResidualSum in exact arithmetic, moments 1 to 4 at depths 50, 100, 200."""
    expansion = theory.finite_depth_corrections(network(weights))
    coefficients = expansion.moment_coefficients(4)
    rows = []
    for depth in (50, 100, 200):
        gains = rmt.Discrete({x / depth: p for x, p in GAINS.items()})
        branch = rmt.MarchenkoPastur(1) @ gains if weights == "gaussian" else gains
        exact = rmt.ResidualSum(branch, Fraction(9, 10)).free_power(depth).moments(4)
        row = []
        for k, (moment, row_of) in enumerate(zip(exact, coefficients, strict=True), 1):
            leading = sp.Rational(81, 100) ** (depth * k) * sp.exp(k * VALUES[c] / SKIP**2)
            known = sum(x.subs(VALUES) / sp.Integer(depth) ** j for j, x in enumerate(row_of))
            row.append(abs(sp.N(sp.Rational(moment) / leading - known, 30)))
        rows.append(row)
    for coarse, fine in pairwise(rows):
        assert [float(a / b) for a, b in zip(coarse, fine, strict=True)] == pytest.approx([8] * 4, rel=0.06)


@BOTH
def test_layers_that_differ(weights):
    """A tanh net whose q grows from layer to layer: averages over the layers, against the law of the toolkit."""
    errors = []
    for depth in (20, 40):
        net = ResNet(depth=depth, activation="tanh", sigma_w=1.1, sigma_b=0.4, skip=0.99, weights=weights)
        expansion = theory.finite_depth_corrections(net, equal_layers=False)
        values = theory.layer_averages(net, 0.5)
        exact = theory.jacobian_law(net, 0.5)
        assert float(expansion.derivation.s_transform.subs(values).subs(m, 0.1)) == pytest.approx(
            exact.s_transform(0.1), rel=3 / depth**3
        )
        errors.append(
            [abs(float(x.subs(values)) / y - 1) for x, y in zip(expansion.moments(3), exact.moments(3), strict=True)]
        )
    assert [a / b for a, b in zip(*errors, strict=True)] == pytest.approx([8] * 3, rel=0.2)
    assert values[c] == pytest.approx(theory.effective_cumulant(net, 0.5), rel=1e-12)
    # products of averages are not averages of products here
    assert sp.Symbol(r"\overline{c^{2}}", positive=True) in expansion.terms[1].free_symbols
    equal = theory.finite_depth_corrections(net)
    assert abs(float(equal.moments(2)[1].subs(values)) / exact.moments(2)[1] - 1) > 1.5 * errors[-1][1]


def test_edges_of_a_real_network():
    errors = []
    for depth in (25, 50):
        net = ResNet(depth=depth, activation="leaky_relu", sigma_w=0.9, skip=0.98, weights="orthogonal")
        values = theory.layer_averages(net)
        edges = theory.finite_depth_corrections(net).edges
        ((lower, upper),) = theory.jacobian_law(net).support().intervals
        errors.append([float(edges[0].subs(values)) / lower - 1, float(edges[1].subs(values)) / upper - 1])
    assert [a / b for a, b in zip(*errors, strict=True)] == pytest.approx([8, 8], rel=0.1)


def test_branches_of_several_layers():
    """Transformer-like branches W_2 D W_1: their rectangular cumulants take the place of those of the gains."""
    errors = []
    for depth in (20, 40):
        scale = depth**-0.5
        branch = [theory.Dense(0.8), theory.Activation("relu"), theory.Dense(1.1 * scale, weights="orthogonal")]
        net = Sequential([theory.Repeat(theory.Residual(branch, 0.97), depth)])
        values = theory.layer_averages(net)
        expansion = theory.finite_depth_corrections(net, equal_layers=False)
        exact = theory.jacobian_law(net).moments(3)
        errors.append([abs(float(x.subs(values)) / y - 1) for x, y in zip(expansion.moments(3), exact, strict=True)])
    assert [a / b for a, b in zip(*errors, strict=True)] == pytest.approx([8] * 3, rel=0.2)
    assert values[c] == pytest.approx(theory.effective_cumulant(net), rel=1e-12)
    # a ResNet written out has the same law in other symbols
    net = ResNet(depth=30, activation="hard_tanh", sigma_w=0.9, weights="orthogonal")
    same = net.expand()
    one, other = (
        [float(x.subs(theory.layer_averages(n))) for x in theory.finite_depth_corrections(n, equal_layers=False).edges]
        for n in (net, same)
    )
    assert one == pytest.approx(other, rel=1e-10)


def test_formulas():
    """The second correction for skip 1 and Gaussian weights, written out, and what its edges say."""
    expansion = theory.finite_depth_corrections(ResNet(depth=L, activation="relu"))
    p, odd = m * (1 + m), 1 + 2 * m
    second = -(c**3) * odd * (1 + 10 * p) / 3 + 2 * c * v * p * (1 + 5 * p) - k3 * p**2 * odd
    assert sp.expand(expansion.terms[2] - second) == 0
    # m_1 = (1 + c/L)^L
    exact = sp.series(sp.exp(sp.log(1 + c * L) / L - c), L, 0, 3).removeO()
    (first,) = expansion.moment_coefficients(1)
    assert sp.expand(sum(x * L**k for k, x in enumerate(first)) - exact) == 0
    # orthogonal weights are Gaussian ones with v - c² for v to first order
    other = theory.finite_depth_corrections(ResNet(depth=L, activation="relu", weights="orthogonal"))
    assert sp.expand(other.terms[1] - expansion.terms[1].subs(v, v - c**2)) == 0


def test_derivation_prints_limit_and_corrections():
    net = ResNet(depth=L, activation="hard_tanh", sigma_w=sp.Symbol("sigma_w"))
    expansion = theory.finite_depth_corrections(net, 3)
    titles = [step.title for step in expansion.derivation.steps]
    order = ["The network at finite depth", "The limit of infinite depth", "First correction in 1/depth"]
    assert [titles.index(x) for x in order] == sorted(titles.index(x) for x in order)
    assert "Third correction in 1/depth" in titles
    (caveat,) = [x for x in expansion.derivation.steps if x.title.startswith("What the corrections")]
    assert "identity" in caveat.reason
    assert [x.lhs for x in expansion.definitions] == gain_cumulants(4)
    assert r"\kappa_{3}" in expansion.derivation.latex()


@pytest.mark.parametrize(
    "net",
    [
        ResNet(depth=L, activation="tanh", skip=sp.Symbol("a", positive=True), weights="orthogonal"),
        Sequential([theory.Residual([theory.Dense(0.1), theory.Activation("tanh")], 0.9)] * 8),
        Chain(depth=L, activation="erf", weights="orthogonal"),
        Chain(depth=7, activation="hard_tanh", weights="orthogonal"),
    ],
    ids=["resnet", "blocks", "smooth", "bernoulli"],
)
def test_every_step_can_be_shown(net):
    derivation = theory.finite_depth_corrections(net).derivation
    for formula in [x for step in derivation.steps for x in step.formulas]:
        assert sp.mathml(formula, printer="presentation")
    assert derivation.latex().count(r"\item") == len(derivation.steps)
    assert str(derivation).startswith(derivation.subject)
    m1, m2 = derivation.moments(2)
    assert m1 != 0
    assert m2 != 0


# --- plain chains ----------------------------------------------------------------------------------------------------


def test_bernoulli_class_against_exact_fractions():
    square = Fraction(3, 2)
    expansion = theory.finite_depth_corrections(Chain(depth=L, activation="hard_tanh", weights="orthogonal"))
    values, rows = {sigma_0: sp.sqrt(sp.Rational(3, 2))}, []
    for depth in (40, 80, 160):
        p = 1 / (1 + square / depth)
        law = rmt.Discrete({0: 1 - p, 1 / p: p}).free_power(depth)
        known = [sum(x.subs(values) / depth**j for j, x in enumerate(row)) for row in expansion.moment_coefficients(6)]
        row = [abs(sp.Rational(x) - y) for x, y in zip(law.moments(6), known, strict=True)]
        edge = law.support().intervals[-1][1]
        upper = math.exp(sum(float(x.subs(values)) / depth**k for k, x in enumerate(expansion.log_edges[0])))
        rows.append([float(row[4]), float(row[5]), abs(upper - float(edge))])
        assert row[:4] == [0] * 4  # their corrections end with 1/L²
        point = sp.Rational(1, 3)
        exact = -depth * sp.log(1 + sp.Rational(3, 2) / 4 / depth)
        log_s = sum(t.subs(values).subs(m, point) / depth**k for k, t in enumerate(expansion.terms))
        assert 0 < abs(log_s - exact) < 1 / depth**3
    for coarse, fine in pairwise(rows):
        assert [a / b for a, b in zip(coarse, fine, strict=True)] == pytest.approx([8] * 3, rel=0.1)


def test_smooth_class_against_exact_fractions():
    """Gains 1 + sqrt(V) Y of three atoms, V = σ_0²/L: skewness and fourth cumulant at 1/sqrt(L) and 1/L."""
    noise = {Fraction(-1, 2): Fraction(4, 5), Fraction(2): Fraction(1, 5)}  # mean 0, variance 1, skewed
    gammas = rmt.series.moments_to_free_cumulants([sum(p * x**k for x, p in noise.items()) for k in range(1, 5)])
    shapes = {sp.Symbol(f"gamma_{k}", real=True): gammas[k - 1] for k in (3, 4)}
    values = {k: sp.Rational(x) for k, x in ({sigma_0: Fraction(4, 5)} | shapes).items()}
    expansion = theory.finite_depth_corrections(Chain(depth=L, activation="tanh", weights="orthogonal"))
    rows = []
    for root in (20, 40, 80):
        gains = rmt.Discrete({1 + Fraction(4, 5) * x / root: p for x, p in noise.items()})
        law = gains.free_power(root**2)
        known = [sum(x.subs(values) / root**j for j, x in enumerate(row)) for row in expansion.moment_coefficients(4)]
        ((lower, upper),) = law.support().intervals
        edges = [math.exp(sum(float(x.subs(values)) / root**k for k, x in enumerate(e))) for e in expansion.log_edges]
        fourth = abs(float(sp.Rational(law.moments(4)[3]) - known[3]))
        rows.append([fourth, abs(edges[0] - lower), abs(edges[1] - upper)])
        assert sp.Rational(law.moments(3)[2]) == known[2]  # exact: κ_3 and κ_2² are all there is
    for coarse, fine in pairwise(rows):
        assert [a / b for a, b in zip(coarse, fine, strict=True)] == pytest.approx([8] * 3, rel=0.15)


def test_smooth_chains_of_two_kinds_of_layers_against_exact_fractions():
    """Half of the layers have gains of another spread, skewness and fourth cumulant: products become averages."""
    noises = [
        {Fraction(-1, 2): Fraction(4, 5), Fraction(2): Fraction(1, 5)},
        {Fraction(-1): Fraction(1, 2), Fraction(1): Fraction(1, 2)},
    ]
    spreads = [Fraction(4, 5), Fraction(7, 5)]
    shapes = [sp.Symbol(f"gamma_{k}", real=True) for k in (3, 4)]
    rows = []
    for noise, spread in zip(noises, spreads, strict=True):
        cumulants = rmt.series.moments_to_free_cumulants([sum(p * x**k for x, p in noise.items()) for k in range(1, 5)])
        rows.append({sigma_0: spread, shapes[0]: cumulants[2], shapes[1]: cumulants[3]})
    net = Chain(depth=L, activation="tanh", weights="orthogonal")
    equal, expansion = (theory.finite_depth_corrections(net, equal_layers=x) for x in (True, False))
    values = {sigma_0: sp.sqrt(sum(sp.Rational(s) ** 2 for s in spreads) / 2)}
    for monomial in (sigma_0**3 * shapes[0], sigma_0**4 * shapes[1], sigma_0**4):
        mean = sum(monomial.subs({k: sp.Rational(x) for k, x in row.items()}) for row in rows) / 2
        values[sp.Symbol(rf"\overline{{{sp.latex(monomial)}}}", real=True)] = mean
    assert set().union(*(t.free_symbols for t in expansion.terms)) == {m, *values}
    errors = []
    for root in (40, 80, 160):
        kinds = [
            rmt.Discrete({1 + spread * x / root: p for x, p in noise.items()}).free_power(root**2 // 2)
            for noise, spread in zip(noises, spreads, strict=True)
        ]
        law = kinds[0] @ kinds[1]
        known = [sum(x.subs(values) / root**j for j, x in enumerate(row)) for row in expansion.moment_coefficients(4)]
        ((lower, upper),) = law.support().intervals
        edges = [math.exp(sum(float(x.subs(values)) / root**k for k, x in enumerate(e))) for e in expansion.log_edges]
        fourth = abs(float(sp.Rational(law.moments(4)[3]) - known[3]))
        errors.append([fourth, abs(edges[0] - lower), abs(edges[1] - upper)])
        assert sp.Rational(law.moments(3)[2]) == known[2]
    for coarse, fine in pairwise(errors):
        assert [a / b for a, b in zip(coarse, fine, strict=True)] == pytest.approx([8] * 3, rel=0.25)
    # an expansion for equal layers of the same averages misses the second correction
    skewness = values[sp.Symbol(rf"\overline{{{sp.latex(sigma_0**3 * shapes[0])}}}", real=True)]
    alike = {sigma_0: values[sigma_0], shapes[0]: skewness / values[sigma_0] ** 3, shapes[1]: 0}
    third = sum(x.subs(alike) / 160**j for j, x in enumerate(equal.moment_coefficients(3)[2]))
    assert abs(float(third - sp.Rational(law.moments(3)[2]))) > 1e-5


def test_bernoulli_chains_of_two_kinds_of_layers_against_exact_fractions():
    squares = [Fraction(1, 2), Fraction(5, 2)]
    net = Chain(depth=L, activation="hard_tanh", weights="orthogonal")
    expansion = theory.finite_depth_corrections(net, equal_layers=False)
    values = {sigma_0: sp.sqrt(sp.Rational(3, 2))}
    for k in (2, 3):
        mean = sum(sp.Rational(x) ** k for x in squares) / 2
        values[sp.Symbol(rf"\overline{{{sp.latex(sigma_0 ** (2 * k))}}}", real=True)] = mean
    errors = []
    for depth in (40, 80, 160):
        kept = [1 / (1 + x / depth) for x in squares]
        laws = [rmt.Discrete({0: 1 - p, 1 / p: p}).free_power(depth // 2) for p in kept]
        law = laws[0] @ laws[1]
        known = [sum(x.subs(values) / depth**j for j, x in enumerate(row)) for row in expansion.moment_coefficients(5)]
        fifth = abs(float(sp.Rational(law.moments(5)[4]) - known[4]))
        upper = math.exp(sum(float(x.subs(values)) / depth**k for k, x in enumerate(expansion.log_edges[0])))
        errors.append([fifth, abs(upper - float(law.support().intervals[-1][1]))])
    for coarse, fine in pairwise(errors):
        assert [a / b for a, b in zip(coarse, fine, strict=True)] == pytest.approx([8] * 2, rel=0.1)


@pytest.mark.parametrize(
    ("activation", "ratio"), [("tanh", 8), pytest.param("hard_tanh", 64, marks=pytest.mark.exhaustive)]
)
def test_chains_whose_q_changes_against_their_exact_law(activation, ratio):
    """Real networks next to the edge of chaos, the input far from the fixed point: numbers by `layer_averages`."""
    errors, alike = [], []
    for root in (10, 20):  # depth = root², and sigma_b such that the spread of all layers together stays
        if activation == "tanh":
            net, q0 = Chain(root**2, activation, 1.0, 0.4 / root, "orthogonal"), 1.2 / root
        else:
            # P(h > 1) ~ 1/L
            q = 1 / (2 * math.log(root**2))
            net, q0 = Chain(root**2, activation, 1.0, 0.0, "orthogonal"), 1.2 * q
        equal, expansion = (theory.finite_depth_corrections(net, equal_layers=x) for x in (True, False))
        values = theory.layer_averages(net, q0)
        law = theory.jacobian_law(net, q0)
        at = sp.Rational(1, 3)
        exact = math.log(law.s_transform(float(at)))
        for found, of in ((errors, expansion), (alike, equal)):
            found.append(abs(float(of.log_s.subs(values).subs(m, at)) - exact))
        if activation == "tanh" and root == 10:
            upper = float(expansion.edges[-1].subs(values))
            assert upper == pytest.approx(law.support().upper, rel=0.02)
            assert upper == pytest.approx(float(equal.edges[-1].subs(values)), rel=0.1)
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] > ratio / 4
    assert alike[1] > 10 * errors[1]


def test_definitions_of_the_smooth_class():
    net = Chain(depth=30, activation="erf", sigma_w=1.2, weights="orthogonal")
    definitions = {x.lhs: x.rhs for x in theory.finite_depth_corrections(net).definitions}
    q = sp.Symbol("q", positive=True)
    symbols = {x: definitions[x].subs(q, 0.01) for x in definitions if str(x).startswith("mu")}
    third = definitions[sp.Symbol("gamma_3", real=True)].subs(symbols)
    assert float(third) == pytest.approx(-2 * math.sqrt(2), rel=0.1)  # minus chi squared, as q -> 0
    law = theory.gain_law(net.nonlinearity, 0.01)
    assert float(definitions[sigma_0**2].subs(symbols)) == pytest.approx(30 * law.var() / law.mean() ** 2, rel=1e-8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: theory.finite_depth_corrections(ResNet(5, "relu"), 0), ValueError, "order=0"),
        (lambda: theory.finite_depth_corrections(ResNet(5, "relu", skip=0)), PreconditionError, "skip=0"),
        (lambda: theory.finite_depth_corrections(Sequential([theory.Dense()])), PreconditionError, "one common skip"),
        (lambda: theory.finite_depth_corrections(Chain(5, "tanh")), PreconditionError, "weights='orthogonal'"),
        (
            lambda: theory.finite_depth_corrections(Chain(5, "relu", weights="orthogonal")),
            PreconditionError,
            "'relu' has",
        ),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
