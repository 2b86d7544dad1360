"""Scales, dropout, layer normalisation and orthogonal shortcuts: signal and law, each computed a second way."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt.results import PreconditionError
from theory.activations import get_activation
from theory.gain import gain_law
from theory.jacobian import jacobian_law
from theory.network import (
    Activation,
    BatchNorm,
    Chain,
    Dense,
    Dropout,
    LayerNorm,
    OrthogonalFilterNet,
    Residual,
    ResNet,
    Scale,
    Sequential,
)
from theory.propagation import advance, preactivation_variances, propagate, start

Z = np.random.default_rng(3).standard_normal((2, 400_000))


# --- signal ---------------------------------------------------------------------------------------------------------


def test_scale_is_exact_in_all_columns():
    signal = advance(Sequential([Dense(1.5, 0.3), Activation("relu")]), start(0.8, 0.4))
    scaled = advance(Scale(-0.7), signal)
    assert scaled.second_moment == pytest.approx(0.49 * signal.second_moment, rel=1e-15)
    assert scaled.mean == pytest.approx(-0.7 * signal.mean, rel=1e-15)
    assert scaled.covariance == pytest.approx(0.49 * signal.covariance, rel=1e-15)
    assert scaled.gain == pytest.approx(0.49 * signal.gain, rel=1e-15)


@pytest.mark.parametrize("layer", [Dropout(0.3), LayerNorm(), Sequential([Dropout(0.2), LayerNorm(), Scale(1.7)])])
def test_signal_of_a_layer_by_sampling(layer):
    rho, rng = 0.6, np.random.default_rng(4)
    h = np.array([Z[0], rho * Z[0] + math.sqrt(1 - rho**2) * Z[1]]) * 1.3
    signal = advance(Activation("softplus"), dataclasses.replace(start(1.69, rho), covariance=1.69 * rho))
    x = np.logaddexp(0, h)
    for part in layer.layers if isinstance(layer, Sequential) else (layer,):
        match part:
            case Dropout():
                x = x * (rng.random(x.shape) > part.rate) / (1 - part.rate)
            case LayerNorm():
                x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
            case Scale():
                x = part.factor * x
    behind = advance(layer, signal)
    noise = 6 / math.sqrt(x.shape[1])
    assert behind.mean == pytest.approx(x[0].mean(), abs=noise * max(1, behind.second_moment))
    assert behind.second_moment == pytest.approx(np.mean(x[0] ** 2), abs=4 * noise * behind.second_moment)
    assert behind.covariance == pytest.approx(np.mean(x[0] * x[1]), abs=4 * noise * behind.second_moment)


def test_orthogonal_shortcut_leaves_no_mean():
    relu = [Dense(0.8), Activation("relu")]
    signal = advance(Sequential([Dense(1.2), Activation("softplus")]), start(1.0))
    identity, haar = (advance(Residual(relu, 0.9, kind), signal) for kind in ("identity", "orthogonal"))
    phi = math.sqrt(0.64 * signal.second_moment / (2 * math.pi))
    assert haar.mean == pytest.approx(phi, rel=1e-13)
    assert identity.mean == pytest.approx(phi + 0.9 * signal.mean, rel=1e-13)
    assert haar.second_moment == pytest.approx(0.32 * signal.second_moment + 0.81 * signal.second_moment, rel=1e-13)
    assert identity.second_moment - haar.second_moment == pytest.approx(2 * 0.9 * phi * signal.mean, rel=1e-12)


def test_normalised_signal_does_not_depend_on_its_scale():
    net = [Dense(1.0), LayerNorm(), Activation("tanh")]
    variances = preactivation_variances(Sequential([Scale(1e3), *net]), 2.0)
    np.testing.assert_allclose(variances, [2e6, 1.0], rtol=1e-13)
    table = propagate(Sequential([*net, *net]))
    assert len(table) == 2
    assert table.q.tolist() == pytest.approx([1.0, 1.0])
    gain, square = get_activation("tanh").gain(1.0), get_activation("tanh").second_moment(1.0)
    assert table.chi.tolist() == pytest.approx([gain, gain / square], rel=1e-13)


def test_a_layer_ends_where_the_next_begins():
    table = propagate(Sequential([Dense(), Dense(), Activation("relu"), Dropout(0.25), Dense(), LayerNorm()]))
    # slopes 1/2 over 1 - p, and one over the variance, which is the same number
    assert table.chi.tolist() == pytest.approx([2 / 3, 3 / 2])
    assert table.q.tolist() == pytest.approx([1.0, 2 / 3])


def test_errors():
    for bad in (1, 1.0, -0.1, 2):
        with pytest.raises(ValueError, match=r"rate=.* must be in \[0, 1\)"):
            Dropout(bad)
    with pytest.raises(ValueError, match="factor='2' is not a finite real number"):
        Scale("2")
    with pytest.raises(ValueError, match="unknown shortcut 'haar': choose one of identity, orthogonal"):
        Residual([Dense()], 1, "haar")
    with pytest.raises(ValueError, match="filter_gain=nan"):
        OrthogonalFilterNet(2, "tanh", math.nan, 0.1)
    with pytest.raises(PreconditionError, match="is not Gaussian: add a Dense layer"):
        jacobian_law(Sequential([Dropout(0.1), Activation("relu")]))
    with pytest.raises(PreconditionError, match="LayerNorm of a signal without variance"):
        propagate(Sequential([Dense(0), LayerNorm()]))
    assert sp.Symbol("s", positive=True) in Scale(sp.Symbol("s", positive=True)).factor.free_symbols


# --- law ------------------------------------------------------------------------------------------------------------


def test_dropout_thins_the_gates():
    p = Fraction(1, 4)
    net = Sequential([Dense(1, weights="orthogonal"), Activation("relu"), Dropout(p)])
    kept = (1 - p) / 2
    assert jacobian_law(net) == rmt.Discrete({0: 1 - kept, Fraction(16, 9): kept})
    smooth = jacobian_law(Sequential([Dense(0.9, weights="orthogonal"), Activation("tanh"), Dropout(0.25)]))
    gate = 0.81 / 0.75**2 * gain_law(get_activation("tanh"), 0.81)
    assert smooth.moments(4) == pytest.approx([0.75 * m for m in gate.moments(4)], rel=1e-13)
    assert smooth.support().atoms == {0: 0.25}


def test_scales_and_normalisations_scale_the_law():
    plain = Sequential([Dense(1.3), Activation("erf")])
    law = jacobian_law(plain, 0.7)
    scaled = jacobian_law(Sequential([*plain.layers, Scale(-0.5)]), 0.7)
    assert scaled.moments(4) == pytest.approx([m / 4**k for k, m in enumerate(law.moments(4), 1)], rel=1e-12)
    variance = 1.69 * 0.7
    normalised = jacobian_law(Sequential([Dense(1.3), LayerNorm(), Activation("erf")]), 0.7)
    at_one = jacobian_law(Sequential([Dense(1.0), Activation("erf")]), 1.0)
    factors = [(1.69 / variance) ** k for k in range(1, 5)]
    expected = [m * f for m, f in zip(at_one.moments(4), factors, strict=True)]
    assert normalised.moments(4) == pytest.approx(expected, rel=1e-12)
    assert jacobian_law(Scale(3)) == rmt.Discrete({9: 1})


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_filter_net_of_an_even_activation_is_a_scaled_resnet(weights):
    # the filter changes the signal through the mean alone, and tanh has none
    depth, a, b, sigma_w = 9, 0.95, 0.3, 1.4
    filters = OrthogonalFilterNet(depth, "tanh", a, b, sigma_w, weights=weights)
    by_hand = Sequential(
        [Residual([Dense(sigma_w, weights=weights), Activation("tanh"), Scale(b)], a) for _ in range(depth)]
    )
    assert jacobian_law(filters) == jacobian_law(by_hand)
    linear = OrthogonalFilterNet(depth, "linear", a, b, sigma_w, weights=weights)
    resnet = ResNet(depth, "linear", sigma_w=sigma_w * b * math.sqrt(depth), skip=a, weights=weights)
    one, other = jacobian_law(linear), jacobian_law(resnet)
    assert one.moments(5) == pytest.approx(other.moments(5), rel=1e-12)
    assert float(one.support().upper) == pytest.approx(float(other.support().upper), rel=1e-12)


def test_filter_net_in_the_limit_of_many_filters():
    # b = sqrt(t/L), a² + b² = 1, χ = 1: S -> exp(-2 t m)   (Ceni, arXiv:2210.01245; mean 1 exactly at every depth)
    t, depth = 0.3, 4000
    b = math.sqrt(t / depth)
    net = OrthogonalFilterNet(depth, "linear", math.sqrt(1 - b * b), b)
    law, limit = jacobian_law(net), math.exp(-t) * rmt.FreeMultiplicativeBrownian(2 * t)
    assert law.mean() == pytest.approx(1, rel=1e-12)
    assert limit.mean() == pytest.approx(1, rel=1e-12)
    assert law.moments(3) == pytest.approx(limit.moments(3), rel=5 * t / depth * 10)
    assert float(law.support().upper) == pytest.approx(float(limit.support().upper), rel=1e-3)


@pytest.mark.parametrize(("activation", "depth"), [("erf", 1), ("relu", 30), ("relu", 3000)])
def test_bounds_of_convex_filters(activation, depth):
    # a = 1 - b, b = c/L: exp(-c (1+s)) <= σ <= exp(c (s-1)) at every depth, s the norm of D W   (Ceni)
    sigma_w = 0.4
    b = 1 / (depth + 1)
    net = OrthogonalFilterNet(depth, activation, 1 - b, b, sigma_w)
    support = jacobian_law(net).sqrt().support()
    strength = 2 * sigma_w  # the norm of W is 2 sigma_w, slopes are at most 1
    lower = (net.filter_gain - net.branch_gain * strength) ** depth
    upper = (net.filter_gain + net.branch_gain * strength) ** depth
    assert lower <= float(support.lower) < float(support.upper) <= upper


def test_normalised_chain_is_at_its_own_edge_of_chaos():
    # behind LayerNorm q = 1 whatever sigma_w: the law of a chain of critical q = 1 up to the scale 1/<φ²> a layer
    depth = 3
    layer = [Dense(7.0, weights="orthogonal"), LayerNorm(), Activation("relu")]
    law = jacobian_law(Sequential(layer * depth), 5.0)
    # the input has mean square 5, later ones 1/2 and mean 1/√2π, which LayerNorm does not see behind W
    scale = 1 / 5 * (1 / 0.5) ** (depth - 1)
    relu = jacobian_law(Chain(depth, "relu", weights="orthogonal"))
    assert law.moments(4) == pytest.approx([m * scale**k for k, m in enumerate(relu.moments(4), 1)], rel=1e-12)


# --- batch normalisation --------------------------------------------------------------------------------------------


def test_batch_norm_of_relu_layers_multiplies_squared_gradients():
    # π/(π-1) a layer (Luther and Seung, arXiv:1902.04942): <φ'²> over the variance of relu(h) between inputs
    net = Sequential([Dense(1.7, 0.3), BatchNorm(), Activation("relu")] * 6)
    table = propagate(net)
    assert table.chi[1:].tolist() == pytest.approx([math.pi / (math.pi - 1)] * 5, rel=1e-13)
    assert table.q.tolist() == pytest.approx([1.0] * 6, rel=1e-13)
    law = jacobian_law(net)
    assert law.mean() == pytest.approx(np.prod(table.chi), rel=1e-12)
    # up to that scale it is the law of the chain without normalisation
    plain = jacobian_law(Chain(6, "relu", sigma_w=math.sqrt(2)))
    ratios = [m / law.mean() ** k for k, m in enumerate(law.moments(4), 1)]
    assert ratios == pytest.approx(plain.moments(4), rel=1e-11)


def test_inputs_of_a_batch_that_are_alike():
    net = Sequential([Dense(), BatchNorm(), Activation("tanh")])
    close = propagate(net, correlation=0.99)
    assert close.chi[0] == pytest.approx(100 * propagate(net, correlation=0.0).chi[0], rel=1e-12)
    with pytest.raises(PreconditionError, match="does not vary over the batch"):
        propagate(net, correlation=1.0)
    assert propagate(net).chi[0] == propagate(net, correlation=0.0).chi[0]
