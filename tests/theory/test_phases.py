"""Fixed points of deep chains: against iteration, finite differences, published values; growth of residual networks."""

import math

import numpy as np
import pytest
import sympy as sp
from matplotlib.axes import Axes

from rmt.results import PreconditionError
from theory.activations import get_activation
from theory.network import Activation, Chain, Dense, Repeat, Residual
from theory.phases import fixed_point, phase_diagram, residual_growth, stable_resnet
from theory.propagation import effective_cumulant, propagate
from theory.tuning import critical_sigma_w

POINTS = [("tanh", 2.0, 0.3), ("tanh", 0.7, 0.3), ("hard_tanh", 1.6, 0.2), ("erf", 1.5, 0.0), ("sin", 1.5, 0.1),
          ("relu", 1.2, 0.4), ("selu", 0.8, 0.3), ("sigmoid", 3.0, 0.5)]  # fmt: skip


@pytest.mark.parametrize(("name", "sigma_w", "sigma_b"), POINTS)
def test_fixed_point_is_where_a_deep_chain_ends(name, sigma_w, sigma_b):
    point = fixed_point(name, sigma_w, sigma_b)
    table = propagate(Chain(300, name, sigma_w, sigma_b), q0=1.0, correlation=0.5)
    assert table.q[-1] == pytest.approx(point.q, rel=1e-9)
    assert table.chi[-1] == pytest.approx(point.chi, rel=1e-9)
    assert table.correlation[-1] == pytest.approx(point.correlation, abs=1e-6)
    assert point.phase == ("chaotic" if point.chi > 1 else "ordered")
    assert (point.correlation < 1) == (point.chi > 1)


@pytest.mark.parametrize(("name", "sigma_w", "sigma_b"), POINTS)
def test_slopes_by_finite_differences(name, sigma_w, sigma_b):
    point, function = fixed_point(name, sigma_w, sigma_b), get_activation(name)
    h = 1e-4 * point.q
    slope = sigma_w**2 * (function.second_moment(point.q + h) - function.second_moment(point.q - h)) / (2 * h)
    assert point.q_slope == pytest.approx(slope, rel=1e-6)
    if 0 < point.correlation < 1:
        d = 1e-4 * (1 - point.correlation)
        above, below = (function.cross_moment(point.q, point.correlation + e) for e in (d, -d))
        assert point.correlation_slope == pytest.approx(sigma_w**2 * (above - below) / (2 * d * point.q), rel=1e-5)
    w, b = sigma_w**2, sigma_b**2
    for field, by, moved in (
        ("q", "q_by_weight", lambda e: fixed_point(name, math.sqrt(w + e), sigma_b)),
        ("q", "q_by_bias", lambda e: fixed_point(name, sigma_w, math.sqrt(b + e))),
        ("chi", "chi_by_weight", lambda e: fixed_point(name, math.sqrt(w + e), sigma_b)),
        ("chi", "chi_by_bias", lambda e: fixed_point(name, sigma_w, math.sqrt(b + e))),
    ):
        e = 1e-5
        if b == 0 and by.endswith("bias"):
            once, twice = (getattr(moved(k * e), field) for k in (1, 2))
            difference = (-1.5 * getattr(point, field) + 2 * once - 0.5 * twice) / e
        else:
            difference = (getattr(moved(e), field) - getattr(moved(-e), field)) / (2 * e)
        assert getattr(point, by) == pytest.approx(difference, rel=1e-4, abs=1e-8)


def test_depth_scales_are_rates_of_decay():
    point = fixed_point("tanh", 2.0, 0.3)
    table = propagate(Chain(50, "tanh", 2.0, 0.3), q0=0.5, correlation=0.7)
    error = np.abs(table.q - point.q)
    assert math.log(error[8] / error[12]) == pytest.approx(4 / point.xi_q, rel=0.02)
    error = np.abs(table.correlation - point.correlation)
    assert math.log(error[40] / error[44]) == pytest.approx(4 / point.xi_c, rel=0.02)


def test_edge_of_chaos():
    sigma_b = math.sqrt(0.05)
    sigma_w = critical_sigma_w("tanh", sigma_b)
    assert sigma_w**2 == pytest.approx(1.7609546, abs=5e-8)
    point = fixed_point("tanh", sigma_w, sigma_b)
    assert point.q == pytest.approx(0.5700479, abs=5e-8)
    assert point.phase == "critical"
    assert point.xi_c == math.inf
    assert fixed_point("relu", math.sqrt(2)).phase == "critical"
    assert fixed_point("relu", math.sqrt(2), q0=3.0).q == 3.0
    vanishing = fixed_point("tanh", 0.9)
    assert (vanishing.q, vanishing.chi, vanishing.phase) == (0.0, pytest.approx(0.81), "ordered")
    with pytest.raises(PreconditionError, match=r"grows without bound at sigma_w=1\.5"):
        fixed_point("relu", 1.5)
    with pytest.raises(ValueError, match="sigma_w=-1"):
        fixed_point("relu", -1)


def test_phase_diagram():
    diagram = phase_diagram("tanh", [0.8, 1.5, 2.5], [0.05, 0.4])
    assert diagram.chi.shape == (2, 3)
    for i, edge in enumerate(diagram.edge):
        np.testing.assert_array_equal(diagram.chi[i] > 1, diagram.sigma_w > edge)
    assert diagram.q[1, 2] == fixed_point("tanh", 2.5, 0.4).q
    relu = phase_diagram(Activation("relu"), [1.0, 2.0], [0.1])
    assert np.isnan(relu.chi[0, 1]), "unbounded signals have no fixed point"
    assert "3 points" in repr(diagram)
    axes = diagram.plot()
    assert isinstance(axes, Axes)
    assert len(axes.collections) == len(axes.lines) == 1


def test_a_function_of_ones_own():
    x = sp.Symbol("x")
    own = fixed_point(Activation("custom", phi=sp.Max(-1, sp.Min(1, x))), 1.6, 0.2)
    built_in = fixed_point("hard_tanh", 1.6, 0.2)
    for field in ("q", "q_slope", "chi", "correlation", "correlation_slope", "chi_by_weight"):
        assert getattr(own, field) == pytest.approx(getattr(built_in, field), rel=1e-8)


# --- residual networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "sigma_w"), [("relu", 0.8), ("linear", 0.5), ("selu", 0.7), ("gelu", 1.1)])
def test_exponential_growth(name, sigma_w):
    growth = residual_growth(name, sigma_w)
    table = propagate(Repeat(Residual([Dense(sigma_w), Activation(name)]), 80))
    assert growth.law == "exponential"
    assert table.second_moment[-1] / table.second_moment[-2] == pytest.approx(growth.rate, rel=1e-6)
    assert table.chi[-1] == pytest.approx(growth.gain, rel=1e-6)


@pytest.mark.parametrize(("name", "power"), [("tanh", 1), ("hard_tanh", 1), ("sigmoid", 2)])
def test_growth_of_saturated_activations(name, power):
    growth = residual_growth(name, 1.5)
    x = propagate(Repeat(Residual([Dense(1.5), Activation(name)]), 4000)).second_moment
    assert growth.law == ("linear", "quadratic")[power - 1]
    assert (x[-1] - x[1999]) / (4000**power - 2000**power) == pytest.approx(growth.rate, rel=0.03)


def test_stable_scalings():
    for scaling in ("uniform", "decreasing"):
        shallow, deep = (effective_cumulant(stable_resnet(depth, "relu", 1.2, scaling=scaling)) for depth in (100, 400))
        assert deep == pytest.approx(shallow, rel=0.15)
    net = stable_resnet(3, "tanh", 0.9, 0.1, scaling="decreasing", weights="orthogonal")
    assert [layer.branch[2].factor for layer in net.layers] == pytest.approx(
        [1 / math.log(2), 1 / (math.sqrt(2) * math.log(3)), 1 / (math.sqrt(3) * math.log(4))]
    )
    uniform = stable_resnet(50, "relu", 0.7)
    assert effective_cumulant(uniform) == pytest.approx(0.49 / 2, rel=1e-12)
    # the signal settles without a mean, and adds up with one
    tanh, relu = (
        [math.log(propagate(stable_resnet(depth, name, 1.2)).second_moment[-1]) for depth in (400, 1600)]
        for name in ("tanh", "relu")
    )
    assert tanh[1] == pytest.approx(tanh[0], abs=2e-3)
    assert (relu[1] - relu[0]) / 20 == pytest.approx(1.2 * math.sqrt(2 / math.pi), rel=1e-3)
    with pytest.raises(ValueError, match="scaling='none': choose one of uniform, decreasing"):
        stable_resnet(3, "tanh", scaling="none")
    with pytest.raises(PreconditionError, match="sin has no limits"):
        residual_growth("sin", 1.0)
