import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rmt.results import PreconditionError
from theory.activations import ACTIVATION_NAMES, get_activation
from theory.network import Activation, Chain, Dense, Repeat, Residual, ResNet, Sequential
from theory.propagation import advance, effective_cumulant, preactivation_variances, propagate, start


def resnet_by_hand(net, q0):
    """Recursion of mathematics §2, written out: rows (q, μ, X, c_2)."""
    act, a = net.nonlinearity, net.skip
    x, mu, rows = q0, 0.0, []
    for _ in range(net.depth):
        q = net.sigma_b**2 + net.sigma_w**2 / net.depth * x
        x = act.second_moment(q) + 2 * a * mu * act.mean(q) + a**2 * x
        mu = act.mean(q) + a * mu
        rows.append((q, mu, x, net.sigma_w**2 * act.gain(q)))
    return np.array(rows).T


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_resnet_recursion(name):
    net = ResNet(depth=7, activation=name, sigma_w=1.3, sigma_b=0.4, skip=0.9)
    table = propagate(net, q0=1.7)
    q, mu, x, c_2 = resnet_by_hand(net, 1.7)
    np.testing.assert_allclose(table.q, q, rtol=1e-13)
    np.testing.assert_allclose(table.mean, mu, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(table.second_moment, x, rtol=1e-13)
    np.testing.assert_allclose(table.c_2, c_2, rtol=1e-13)
    np.testing.assert_allclose(table.chi, 0.81 + c_2 / 7, rtol=1e-13)
    assert effective_cumulant(net, q0=1.7) == pytest.approx(c_2.mean(), rel=1e-13)
    assert table.residual.all()
    np.testing.assert_array_equal(preactivation_variances(net, 1.7), table.q)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_chain_recursion(name):
    net = Chain(depth=5, activation=name, sigma_w=0.9, sigma_b=0.3, weights="orthogonal")
    act, x = net.nonlinearity, 0.6
    table = propagate(net, q0=0.6)
    for row in range(5):
        q = 0.81 * x + 0.09
        x = act.second_moment(q)
        assert table.q[row] == pytest.approx(q, rel=1e-13)
        assert table.second_moment[row] == pytest.approx(x, rel=1e-13)
        assert table.mean[row] == pytest.approx(act.mean(q), rel=1e-13)
        assert table.chi[row] == table.c_2[row] == pytest.approx(0.81 * act.gain(q), rel=1e-13)
    assert not table.residual.any()


@pytest.mark.parametrize("name", ["relu", "selu", "tanh", "gelu"])
def test_against_a_wide_network(name):
    """The recursion against one real network of width 4000: fluctuations are of order 1/√4000 = 1.6 %."""
    rng = np.random.default_rng(5)
    n, depth, sigma_w, sigma_b, skip = 4000, 3, 1.4, 0.3, 0.8
    act = get_activation(name)
    x = np.stack([rng.standard_normal(n)] * 2)
    x[1] = 0.6 * x[0] + 0.8 * rng.standard_normal(n)
    table = propagate(ResNet(depth, name, sigma_w, sigma_b, skip), q0=1.0, correlation=0.6)
    for row in range(depth):
        w = rng.standard_normal((n, n), dtype=np.float32) * np.float32(sigma_w / math.sqrt(n * depth))
        h = x @ w.T.astype(np.float64) + sigma_b * rng.standard_normal(n)
        x = act.phi(h) + skip * x
        assert np.mean(h[0] ** 2) == pytest.approx(table.q[row], rel=0.12)
        assert np.mean(x[0]) == pytest.approx(table.mean[row], abs=0.12)
        assert np.mean(x[0] ** 2) == pytest.approx(table.second_moment[row], rel=0.12)
        assert np.corrcoef(h)[0, 1] == pytest.approx(table.correlation[row], abs=0.06)


def test_general_network_rows():
    # stem (two dense layers and one activation), two residual blocks with two dense layers each, linear readout
    branch = [Dense(0.7, 0.2), Activation("tanh"), Dense(0.6)]
    net = Sequential(
        [
            Dense(1.1),
            Dense(1.2, 0.1),
            Activation("gelu"),
            Repeat(Residual(branch, skip=0.5), 2),
            Dense(2.0, width_ratio=3),
        ]
    )
    table = propagate(net, q0=2.0)
    gelu, tanh = get_activation("gelu"), get_activation("tanh")
    assert len(table) == 4
    assert table.residual.tolist() == [False, True, True, False]
    q1 = 1.44 * 1.21 * 2.0 + 0.01
    x1, mu1 = gelu.second_moment(q1), gelu.mean(q1)
    assert table.q[0] == pytest.approx(q1)
    assert table.chi[0] == pytest.approx(1.21 * 1.44 * gelu.gain(q1))
    # the branch ends with a dense layer: its mean is 0, and it adds 0.36 <tanh²> to a²X
    q2 = 0.49 * x1 + 0.04
    x2 = 0.36 * tanh.second_moment(q2) + 0.25 * x1
    assert table.second_moment[1] == pytest.approx(x2)
    assert table.mean[1] == pytest.approx(0.5 * mu1)
    assert table.c_2[1] == pytest.approx(2 * 0.49 * tanh.gain(q2) * 0.36)
    assert table.chi[1] == pytest.approx(0.25 + table.c_2[1] / 2)
    assert table.second_moment[3] == table.q[3] == pytest.approx(4 * table.second_moment[2])
    assert table.chi[3] == 4
    assert effective_cumulant(net, 2.0) == pytest.approx(table.c_2[1:3].mean())
    q3 = 0.49 * x2 + 0.04
    np.testing.assert_allclose(preactivation_variances(net, 2.0), [q1, q2, q3])
    # the mean of the law of J Jᵀ is the product of chi
    assert advance(net, start(2.0)).gain == pytest.approx(np.prod(table.chi))


def test_dense_layers_in_front_of_a_residual_block_make_a_row():
    table = propagate(Sequential([Dense(1.5, 0.5), ResNet(2, "relu")]), q0=1.0)
    assert table.residual.tolist() == [False, True, True]
    assert table.q[0] == table.second_moment[0] == pytest.approx(2.5)
    np.testing.assert_allclose(table.second_moment[1:], propagate(ResNet(2, "relu"), q0=2.5).second_moment)


def test_nested_residual_blocks():
    inner = Residual([Dense(0.5), Activation("relu")], skip=0.7)
    net = Residual([Dense(1.1), Activation("tanh"), inner], skip=0.9)
    relu, tanh = get_activation("relu"), get_activation("tanh")
    table = propagate(net, q0=1.3)
    q1 = 1.21 * 1.3
    x1 = tanh.second_moment(q1)
    q2 = 0.25 * x1
    x2 = relu.second_moment(q2) + 0.49 * x1  # tanh is centred: no cross term
    branch = 1.21 * tanh.gain(q1) * (0.49 + 0.25 * 0.5)
    assert table.second_moment[0] == pytest.approx(x2 + 0.81 * 1.3)
    assert table.mean[0] == pytest.approx(relu.mean(q2))
    assert table.chi[0] == pytest.approx(0.81 + branch)
    assert effective_cumulant(net, 1.3) == pytest.approx(branch)
    np.testing.assert_allclose(preactivation_variances(net, 1.3), [q1, q2])


def test_pre_activation_residual_blocks_see_a_gaussian_sum():
    net = Repeat(Residual([Activation("tanh"), Dense(0.8)], skip=1.0), 3)
    x, tanh = 1.5, get_activation("tanh")
    table = propagate(net, q0=1.5)
    for row in range(3):
        assert table.q[row] == pytest.approx(0.64 * tanh.second_moment(x))
        x = x + 0.64 * tanh.second_moment(x)
        assert table.second_moment[row] == pytest.approx(x)


def test_means_add_up_in_an_uncentred_resnet():
    # without the cross term 2 a μ <φ> the second moment of a ReLU network is too small
    table = propagate(ResNet(2, "relu", sigma_w=2.0), q0=1.0)
    q1 = 2.0
    x1 = q1 / 2 + 1
    mu1 = math.sqrt(q1 / (2 * math.pi))
    q2 = 2 * x1
    assert table.second_moment[1] == pytest.approx(q2 / 2 + 2 * mu1 * math.sqrt(q2 / (2 * math.pi)) + x1)


def test_width_ratio_does_not_matter_for_the_signal():
    wide = Sequential([Dense(1.2, 0.1, width_ratio=5), Activation("silu")])
    square = Sequential([Dense(1.2, 0.1), Activation("silu")])
    assert propagate(wide).second_moment[0] == propagate(square).second_moment[0]


@given(correlation=st.floats(-1, 1), sigma_b=st.floats(0, 1))
@settings(deadline=None, max_examples=20)
def test_correlation_of_linear_networks_is_the_cosine(correlation, sigma_b):
    table = propagate(ResNet(3, "linear", 1.2, sigma_b, 0.7), q0=1.4, correlation=correlation)
    x, c = 1.4, 1.4 * correlation
    for row in range(3):
        q, qc = 0.48 * x + sigma_b**2, 0.48 * c + sigma_b**2
        assert table.correlation[row] == pytest.approx(qc / q, abs=1e-12)
        x, c = q + 0.49 * x, qc + 0.49 * c


def test_correlation_of_a_relu_chain_follows_the_arc_cosine_map():
    table = propagate(Chain(6, "relu", math.sqrt(2)), correlation=0.1)
    rho = 0.1
    for value in table.correlation:
        assert value == pytest.approx(rho, abs=1e-13)
        rho = (math.sqrt(1 - rho**2) + rho * (math.pi - math.acos(rho))) / math.pi


def test_equal_inputs_stay_equal():
    for name in ACTIVATION_NAMES:
        table = propagate(ResNet(4, name, 1.5, 0.2), correlation=1.0)
        np.testing.assert_allclose(table.correlation, 1.0, rtol=1e-12)
    assert propagate(Chain(2, "relu")).correlation is None


def test_table():
    net = ResNet(4, "relu")
    table = propagate(net, correlation=0.5)
    columns = table.to_dict()
    assert set(columns) == {"layer", "q", "mean", "second_moment", "chi", "c_2", "residual", "correlation"}
    assert all(len(column) == len(table) == 4 for column in columns.values())
    assert columns["layer"] == [1, 2, 3, 4]
    assert "correlation" not in propagate(net).to_dict()
    lines = str(table).splitlines()
    assert len(lines) == 5
    assert lines[0].split() == ["layer", "q", "mean", "second_moment", "chi", "c_2", "correlation"]
    assert float(lines[2].split()[1]) == pytest.approx(table.q[1], rel=1e-7)
    long = str(propagate(Chain(1000, "tanh"))).splitlines()
    assert len(long) == 18
    assert long[-1].split()[0] == "1000"


@pytest.mark.parametrize("q0", [0, -1.0, math.nan, math.inf])
def test_bad_q0(q0):
    net = ResNet(3, "relu")
    for ask in (propagate, effective_cumulant, preactivation_variances):
        with pytest.raises(ValueError, match="q0="):
            ask(net, q0=q0)


@pytest.mark.parametrize("correlation", [-1.1, 2, math.nan])
def test_bad_correlation(correlation):
    with pytest.raises(ValueError, match="correlation="):
        propagate(Chain(3, "relu"), correlation=correlation)


def test_preconditions():
    twice = Sequential([Dense(), Activation("relu"), Activation("tanh")])
    behind_a_block = Sequential([ResNet(2, "relu"), Activation("tanh")])
    # the branch is Gaussian, the signal around it is not
    around = Sequential([Dense(), Activation("relu"), Residual(Dense()), Activation("tanh")])
    for net in (twice, behind_a_block, around):
        with pytest.raises(PreconditionError, match="add a Dense layer before"):
            propagate(net)
    with pytest.raises(PreconditionError, match="symbolic"):
        propagate(Chain(3, "relu", sigma_w=sp.Symbol("s")))
    with pytest.raises(PreconditionError, match="symbolic"):
        propagate(ResNet(3, "relu", skip=sp.Symbol("a")))
    with pytest.raises(PreconditionError, match=r"theory\.propagate"):
        effective_cumulant(Chain(3, "relu"))
    with pytest.raises(PreconditionError, match=r"overflows.*reduce sigma_w"):
        propagate(Chain(4000, "relu", sigma_w=2.0))
    with pytest.raises(NotImplementedError, match="str has no rule"):
        advance("relu", start(1.0))


def test_exact_parameters_are_accepted():
    exact = propagate(ResNet(3, "relu", sigma_w=sp.Rational(1, 2), skip=1))
    np.testing.assert_allclose(exact.q, propagate(ResNet(3, "relu", sigma_w=0.5)).q, rtol=1e-14)


def test_vanishing_signal():
    table = propagate(Chain(3, "tanh", sigma_w=0.0), correlation=0.3)
    assert table.q.tolist() == [0, 0, 0]
    assert table.second_moment.tolist() == [0, 0, 0]


def test_depth_a_hundred_thousand():
    table = propagate(ResNet(100_000, "tanh", sigma_w=0.5))
    assert len(table) == 100_000
    # blocks become continuous in the limit: X(t) of the ODE dX/dt = σ² X (φ'(0) = 1), q -> 0
    assert table.second_moment[-1] == pytest.approx(math.exp(0.25), rel=1e-4)
    assert effective_cumulant(ResNet(1000, "tanh", sigma_w=0.5)) == pytest.approx(table.c_2.mean(), rel=2e-3)
