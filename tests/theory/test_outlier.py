"""The outlier: bounds and symmetries that hold exactly, and real networks at several widths."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from rmt.results import ConvergenceError, PreconditionError
from theory.activations import get_activation
from theory.jacobian import jacobian_law
from theory.network import (
    Activation,
    Chain,
    Dense,
    OrthogonalFilterNet,
    Repeat,
    Residual,
    ResNet,
    Scale,
    Sequential,
)
from theory.outlier import _blocks, _Groups, _sizes, outlier
from theory.propagation import propagate
from validation.backend import get_backend
from validation.networks import Sampler, sample_jacobian


def rayleigh(net, q0=1.0):
    """Largest E|J v|² over unit vectors v in the span of the input and the all-ones vector: a lower bound.

    Independent of the module's linear algebra: the overlaps of J v with the signal and with the mean, layer by layer.
    """
    table = propagate(net, q0)
    second = [q0, *table.second_moment]
    mean = [0.0, *table.mean]
    function, skip = net.nonlinearity, getattr(net, "skip", 0.0)
    s = net.sigma_w**2 / (net.depth if isinstance(net, ResNet) else 1)
    starts = ((1 / math.sqrt(q0), 0.0), (0.0, 1.0), (math.sqrt(0.5 / q0), math.sqrt(0.5)))
    forms = []
    for p, total in starts:
        norm = 1.0
        for x2, mu, x2_next, q in zip(second, mean, second[1:], table.q, strict=False):
            share = s * x2 / q

            def average(f, q=q):
                return float(function.average(f, q))

            kick = share * average(lambda h: function.dphi(h) * h)
            phi_kick = share * average(lambda h: function.phi(h) * function.dphi(h) * h)
            kick2 = average(lambda h, r=share, q=q: function.dphi(h) ** 2 * ((r * h) ** 2 + q * r * (1 - r)))
            overlap = skip**2 * x2 * p + skip * mu * kick * p + skip * function.mean(q) * total + phi_kick * p
            norm = (
                skip**2 * norm
                + s * function.gain(q) * (norm - x2 * p * p)
                + kick2 * p * p
                + 2 * skip * kick * p * total
            )
            total = skip * total + kick * p
            p = overlap / x2_next
        forms.append(norm)
    off_diagonal = forms[2] - 0.5 * (forms[0] + forms[1])
    return float(np.linalg.eigvalsh([[forms[0], off_diagonal], [off_diagonal, forms[1]]])[1])


def medium_of(net, q0=1.0):
    layers = list(_blocks(net, q0))
    return _Groups.build(layers, np.ones(len(layers)))


def bulk_edge(net, q0=1.0):
    """Upper edge from the S-transform of the medium: the smallest λ(m), around the best point of a grid over log m."""
    groups = medium_of(net, q0)
    grid = np.linspace(-8.0, 4.0, 61)
    best = grid[np.argmin([groups.log_position(float(log_m)) for log_m in grid])]
    found = minimize_scalar(groups.log_position, bounds=(best - 0.2, best + 0.2), method="bounded")
    return math.exp(found.fun)


@pytest.mark.parametrize("name", ["linear", "hard_tanh", "tanh", "erf", "sin"])
@pytest.mark.parametrize("sigma_b", [0.0, 0.3])
def test_no_outlier_for_odd_activations(name, sigma_b):
    assert outlier(ResNet(depth=12, activation=name, sigma_w=0.8, sigma_b=sigma_b)) is None
    assert outlier(Chain(depth=4, activation=name, sigma_w=1.1, sigma_b=sigma_b)) is None
    assert outlier(ResNet(depth=7, activation=name, sigma_w=1.1, sigma_b=sigma_b, weights="orthogonal")) is None


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("log_m", [-6.0, -2.0, -1.0])
def test_linear_networks_do_not_know_their_input(weights, log_m):
    # J is independent of x, so that <x, (λ - JᵀJ)⁻¹ x> = q0 G(λ); λG - 1 = m is Γ_0 G in the scaling of the matrices
    for net in (
        ResNet(depth=6, activation="linear", sigma_w=1.1, sigma_b=0.4, skip=0.9, weights=weights),
        Chain(depth=3, activation="linear", sigma_w=0.8, sigma_b=0.7, weights=weights),
    ):
        groups = medium_of(net, 1.3)
        medium = groups.medium(math.exp(log_m))
        coupling = groups.coupling(medium)
        response = coupling + coupling @ np.linalg.solve(groups.condition(medium), coupling)
        assert response[0, 0] == pytest.approx(1.3 * math.exp(log_m), rel=1e-10)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_no_outlier_in_homogeneous_chains(weights):
    # a zero-bias relu chain has J x = f(x), and |f(x)|²/|x|² is the mean of the bulk, whatever the depth
    assert outlier(Chain(depth=5, activation="relu", sigma_w=1.4, weights=weights)) is None
    assert outlier(Chain(depth=30, activation="relu", sigma_w=1.4, weights=weights)) is None


@pytest.mark.parametrize("net", [
    ResNet(depth=20, activation="relu", sigma_w=0.5),
    ResNet(depth=50, activation="relu", sigma_w=1.4),
    ResNet(depth=50, activation="leaky_relu", sigma_w=1.2, skip=0.95),
    ResNet(depth=30, activation="relu", sigma_w=1.1, weights="orthogonal"),
])  # fmt: skip
def test_above_the_norm_of_a_homogeneous_network(net):
    table = propagate(net, 1.7)
    position = outlier(net, q0=1.7)
    assert position is not None
    assert position > table.second_moment[-1] / 1.7
    assert position > 1.05 * bulk_edge(net, 1.7)


@pytest.mark.parametrize("net", [
    ResNet(depth=30, activation="softplus", sigma_w=0.9, sigma_b=0.2),
    ResNet(depth=40, activation="relu", sigma_w=1.0, sigma_b=0.6, skip=1.02),
    ResNet(depth=60, activation="gelu", sigma_w=1.6, sigma_b=0.4),
    ResNet(depth=30, activation="elu", sigma_w=1.5, sigma_b=0.5, weights="orthogonal"),
])  # fmt: skip
def test_above_the_rayleigh_quotients(net):
    bound, position = rayleigh(net, 0.8), outlier(net, q0=0.8)
    if position is None:
        assert bound < bulk_edge(net, 0.8)
    else:
        assert position > max(bound, bulk_edge(net, 0.8))


def test_distance_to_the_rayleigh_quotient_falls_slowly_with_depth():
    nets = [ResNet(depth=depth, activation="relu", sigma_w=0.8) for depth in (40, 160)]
    excess = [outlier(net) / rayleigh(net) - 1 for net in nets]
    # like depth^(-1/2)
    assert 0.4 < excess[1] / excess[0] < 0.6


def test_scale_of_the_input_is_immaterial_without_bias():
    net = ResNet(depth=60, activation="relu", sigma_w=1.3)
    assert outlier(net, q0=1e-4) == pytest.approx(outlier(net, q0=30.0), rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(
    skip=st.floats(0.7, 1.4),
    sigma_w=st.floats(0.4, 1.6),
    depth=st.integers(10, 40),
    weights=st.sampled_from(["gaussian", "orthogonal"]),
)
def test_skip_scales_homogeneous_networks(skip, sigma_w, depth, weights):
    # x -> a x + relu(W x) is a times the block of skip 1 and sigma_w/a
    position = outlier(ResNet(depth, "relu", skip * sigma_w, skip=skip, weights=weights))
    reference = outlier(ResNet(depth, "relu", sigma_w, weights=weights))
    if reference is None:
        assert position is None
    else:
        assert position == pytest.approx(skip ** (2 * depth) * reference, rel=1e-8)


@settings(max_examples=6, deadline=None)
@given(c=st.floats(0.02, 1.2), depth=st.integers(5, 40))
def test_monotonic_in_c_and_depth(c, depth):
    def position(c, depth):
        net = ResNet(depth=depth, activation="relu", sigma_w=math.sqrt(2 * c))
        return outlier(net) or bulk_edge(net)

    assert position(c, depth) < position(1.05 * c, depth)
    detached = outlier(ResNet(depth=depth, activation="relu", sigma_w=math.sqrt(2 * c)))
    if detached is not None:
        assert detached < position(c, depth + 5)


def test_leaves_the_edge_continuously():
    def excess(sigma_w):
        net = ResNet(depth=5, activation="relu", sigma_w=sigma_w)
        position = outlier(net)
        return None if position is None else position / bulk_edge(net) - 1

    assert excess(math.sqrt(0.2)) is None
    close, far = excess(math.sqrt(0.5)), excess(math.sqrt(2.0))
    assert 0 < close < 0.01 < far < 0.1


def test_bulk_edge_of_relu_chains_in_closed_form():
    # arXiv:1802.09979: gaussian weights, critical sigma_w² = 2, p = 1/2
    depth, p = 6, 0.5
    z = (1 - depth + math.sqrt((depth - 1) ** 2 + 4 * depth * p)) / (2 * depth)
    expected = (1 + z) / z * ((z + p) / p) ** depth
    assert bulk_edge(Chain(depth=depth, activation="relu", sigma_w=math.sqrt(2))) == pytest.approx(expected, rel=1e-5)


def test_bulk_edge_is_that_of_the_jacobian_law():
    for net in (
        ResNet(depth=10, activation="gelu", sigma_w=1.2, sigma_b=0.2, skip=0.9),
        ResNet(depth=4, activation="relu", sigma_w=1.0, weights="orthogonal"),
    ):
        assert bulk_edge(net) == pytest.approx(jacobian_law(net, 1.0).support().upper, rel=1e-5)


def test_grammar_of_layers():
    net = ResNet(depth=25, activation="relu", sigma_w=0.9, sigma_b=0.3)
    assert outlier(net.expand(), q0=2.0) == pytest.approx(outlier(net, q0=2.0), rel=1e-12)
    chain = Chain(depth=5, activation="softplus", sigma_w=1.4)
    assert outlier(chain.expand()) == pytest.approx(outlier(chain), rel=1e-12)


def test_negative_skip():
    # with (-1)^l x_l for x_l, a net of skip -1 and activations of alternating sign becomes one of skip 1, and
    # -leaky_relu of slope α is leaky_relu of slope 1/α and weights times α
    alpha = 0.25
    pair = [
        Residual((Dense(sigma, sigma / 4), Activation("leaky_relu", alpha=slope)), skip=-1.0)
        for sigma, slope in ((0.3 * alpha, 1 / alpha), (0.3, alpha))
    ]
    plain = Residual((Dense(0.3, 0.3 / 4), Activation("leaky_relu", alpha=alpha)))
    position = outlier(Repeat(plain, 20))
    assert position is not None
    assert outlier(Repeat(tuple(pair), 10)) == pytest.approx(position, rel=1e-9)


def test_dense_layers_without_activation():
    net = ResNet(depth=25, activation="relu", sigma_w=0.9, sigma_b=0.3)
    head = (Dense(1.3), Dense(0.9), net)
    assert outlier(Sequential(head)) == pytest.approx(
        outlier(Sequential((Dense(1.3), Activation("linear"), Dense(0.9), Activation("linear"), net))), rel=1e-12
    )


def test_no_weights_no_outlier():
    assert outlier(ResNet(depth=10, activation="relu", sigma_w=0.0)) is None


def test_grouping_of_layers():
    net = ResNet(depth=230, activation="relu", sigma_w=0.6, sigma_b=0.1)
    # a Sequential is not grouped
    assert outlier(net) == pytest.approx(outlier(net.expand()), rel=1e-4)
    for depth, most in ((193, 192), (194, 192), (1001, 192), (10**5, 96)):
        sizes = _sizes(depth, most)
        assert sizes.sum() == depth
        assert len(sizes) in (most - 1, most)
        assert np.all(sizes % 2 == 1)


@pytest.mark.exhaustive
def test_great_depth():
    assert outlier(ResNet(depth=3000, activation="tanh", sigma_w=1.0, sigma_b=0.1)) is None
    at_2000, at_4000 = (outlier(ResNet(depth=depth, activation="gelu", sigma_w=1.0)) for depth in (2000, 4000))
    assert at_4000 == pytest.approx(at_2000, rel=2e-3)  # q ~ 1/depth: gelu becomes quadratic, and the limit is finite


@pytest.mark.parametrize(("net", "error", "message"), [
    (Sequential((Dense(width_ratio=2), Activation("relu"))), NotImplementedError, "width_ratio=2"),
    (Residual((Dense(), Activation("relu"), Dense())), NotImplementedError, "one such pair"),
    (Sequential((ResNet(2, "relu"), Residual((ResNet(2, "relu"), Dense())))), NotImplementedError, "one such pair"),
    (Chain(depth=1025, activation="sigmoid"), NotImplementedError, "1024"),
    (Sequential((Dense(), Activation("relu"), Activation("relu"))), PreconditionError, "not Gaussian"),
])  # fmt: skip
def test_errors(net, error, message):
    with pytest.raises(error, match=message):
        outlier(net)


def test_too_far_to_be_resolved(monkeypatch):
    net = ResNet(depth=40, activation="relu", sigma_w=2.0)
    assert outlier(net) > 50 * bulk_edge(net)
    monkeypatch.setitem(outlier.__globals__, "_LOG_FARTHEST", math.log(10))  # the package shadows the module
    with pytest.raises(ConvergenceError, match=r"1e\+01 times above .* reduce sigma_w"):
        outlier(net)


def test_bad_q0():
    with pytest.raises(ValueError, match="q0=-1"):
        outlier(ResNet(depth=3, activation="relu"), q0=-1.0)


# ---------------------------------------------------------------------------------------------------------------------
# real networks
# ---------------------------------------------------------------------------------------------------------------------
def top_eigenvalue(steps, width, rng):
    """Largest squared singular value of one network's Jacobian at an input of mean square 1.

    `steps` holds (skip, s, sigma_b, orthogonal, activation) for each layer.
    """
    x = rng.standard_normal(width)
    x *= math.sqrt(width) / np.linalg.norm(x)
    jacobian = np.eye(width)
    for skip, s, sigma_b, orthogonal, name in steps:
        weights = rng.standard_normal((width, width)) / math.sqrt(width)
        if orthogonal:
            q, r = np.linalg.qr(weights)
            weights = q * np.sign(np.diag(r))
        h = math.sqrt(s) * (weights @ x) + sigma_b * rng.standard_normal(width)
        function = get_activation(name)
        jacobian = skip * jacobian + (math.sqrt(s) * function.dphi(h))[:, None] * (weights @ jacobian)
        x = skip * x + function.phi(h)
    v = jacobian.T @ (jacobian @ rng.standard_normal(width))
    for _ in range(60):  # the outliers tested are at least 1.5 times the bulk's edge
        v = jacobian.T @ (jacobian @ (v / np.linalg.norm(v)))
    return float(np.linalg.norm(jacobian @ v) ** 2 / np.linalg.norm(v) ** 2)


def at_infinite_width(steps, replicas, seed):
    """Weighted fit of A + B/width to replica means at three widths: A and its standard error."""
    widths = (60, 120, 240)
    samples = [
        [top_eigenvalue(steps, width, rng) for rng in np.random.default_rng([seed, width]).spawn(count)]
        for width, count in zip(widths, (4 * replicas, 2 * replicas, replicas), strict=True)
    ]
    means = np.array([np.mean(sample) for sample in samples])
    errors = np.array([np.std(sample, ddof=1) / math.sqrt(len(sample)) for sample in samples])
    design = np.column_stack((np.ones(3), 1 / np.array(widths))) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    return float((covariance @ design.T @ (means / errors))[0]), math.sqrt(covariance[0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("net", [
    ResNet(depth=20, activation="relu", sigma_w=math.sqrt(0.5)),
    pytest.param(ResNet(depth=20, activation="softplus", sigma_w=1.0), marks=pytest.mark.exhaustive),
    ResNet(depth=16, activation="relu", sigma_w=1.2, sigma_b=0.3, skip=0.9),
    pytest.param(ResNet(depth=16, activation="relu", sigma_w=1.2, weights="orthogonal"), marks=pytest.mark.exhaustive),
])  # fmt: skip
def test_real_networks(net):
    step = (net.skip, net.sigma_w**2 / net.depth, net.sigma_b, net.weights == "orthogonal", net.activation)
    predicted = outlier(net)
    if predicted is None:
        pytest.fail("no outlier predicted")
    assert predicted > 1.5 * bulk_edge(net)
    found, error = at_infinite_width([step] * net.depth, 60, seed=7)
    assert error < 0.025 * predicted
    assert abs(found - predicted) < 4 * error
    # power: the Rayleigh quotient, which forgets the noise that later layers amplify, is rejected
    assert found - rayleigh(net) > 4 * error


@pytest.mark.slow
def test_real_network_of_mixed_layers():
    blocks = Repeat(Residual((Dense(0.4, 0.2), Activation("softplus")), skip=0.9), 8)
    net = Sequential((Dense(1.2, 0.1, "orthogonal"), Activation("elu"), blocks, Dense(0.8)))
    head, tail = (0.0, 1.44, 0.1, True, "elu"), (0.0, 0.64, 0.0, False, "linear")
    steps = [head, *[(0.9, 0.16, 0.2, False, "softplus")] * 8, tail]
    predicted = outlier(net)
    found, error = at_infinite_width(steps, 60, seed=11)
    assert predicted is not None
    assert error < 0.025 * predicted
    assert abs(found - predicted) < 4 * error


def test_scale_inside_the_branch():
    dense, relu = Dense(0.5), Activation("relu")
    plain = Repeat(Residual([dense, relu], skip=0.9), 12)
    scaled = Repeat(Residual([Dense(1.0), relu, Scale(0.5)], skip=0.9), 12)
    assert outlier(scaled) == pytest.approx(outlier(plain), rel=1e-12)
    assert outlier(Repeat(Residual([dense, relu, Scale(0)]), 3)) is None


def test_orthogonal_filters_leave_no_outlier():
    depth, a, b, sigma_w, width = 12, 0.95, 0.5, 1.2, 200
    filters = OrthogonalFilterNet(depth, "relu", a, b, sigma_w)
    skips = Repeat(Residual([Dense(sigma_w), Activation("relu"), Scale(b)], skip=a), depth)
    assert outlier(filters) is None
    edge = float(jacobian_law(filters).support().upper)
    assert outlier(skips) > 1.3 * edge

    def largest(net, seed):
        sampler = Sampler(np.random.default_rng(seed), get_backend("numpy"))
        jacobian = sample_jacobian(net, np.random.default_rng(seed + 100).standard_normal(width), sampler).jacobian
        return np.linalg.norm(jacobian, 2) ** 2

    assert max(largest(filters, seed) for seed in range(6)) < 1.1 * edge
    assert min(largest(skips, seed) for seed in range(6)) > 1.1 * edge
    with pytest.raises(NotImplementedError, match="some layers have an orthogonal shortcut"):
        outlier(Sequential([filters, skips]))
