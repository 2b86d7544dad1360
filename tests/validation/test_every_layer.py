"""Every kind of layer has its rule in every reading: signal, law, formula, sample, description and file."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
import theory
import theory.network
import theory.propagation
import validation.networks
from theory.network import (
    LAYER_TYPES,
    Activation,
    BatchNorm,
    Chain,
    DeltaOrthogonal,
    Dense,
    Dropout,
    Gate,
    LayerNorm,
    OrthogonalFilterNet,
    Repeat,
    Residual,
    ResNet,
    Scale,
    Sequential,
    Sparse,
    describe,
)
from validation.backend import get_backend
from validation.description import network_from_json, network_to_json
from validation.ensembles import weight_matrix
from validation.masked_chain import masked_chain
from validation.networks import Sampler, sample_jacobian

EXAMPLES = {
    Dense: Dense(1.2, 0.1),
    Activation: Activation("relu"),
    Scale: Scale(-0.7),
    Dropout: Dropout(0.25),
    LayerNorm: LayerNorm(),
    BatchNorm: BatchNorm(),
    Gate: Gate("erf", sigma_w=Fraction(5, 4), sigma_b=Fraction(1, 4), gate_bias=Fraction(1, 2)),
    Residual: Residual([Dense(0.5), Activation("relu")], 0.9),
    Repeat: Repeat([Dense(1.1), Activation("relu")], 2),
    Sequential: Sequential([Activation("relu"), Dense(0.8)]),
    Chain: Chain(2, "relu", 1.1),
    ResNet: ResNet(2, "relu", 0.8),
    OrthogonalFilterNet: OrthogonalFilterNet(2, "relu", 0.9, 0.1),
    DeltaOrthogonal: DeltaOrthogonal(3, 1.2, 0.1),
}
REGISTRIES = {
    "signal": theory.propagation.advance,
    "sample": validation.networks.advance,
    "description": theory.network.describe_lines,
}


@pytest.mark.parametrize("name", REGISTRIES)
def test_registries_have_the_same_keys(name):
    registry = REGISTRIES[name]
    known = {kind for kind in LAYER_TYPES if registry.dispatch(kind) is not registry.dispatch(object)}
    assert known == set(LAYER_TYPES) == set(EXAMPLES)
    assert all(any(issubclass(kind, key) for kind in LAYER_TYPES) for key in registry.registry)


@pytest.mark.parametrize("kind", LAYER_TYPES)
def test_every_reading_of_every_layer(kind):
    net = Sequential([Dense(1.1), EXAMPLES[kind]])
    mean = math.prod(theory.propagate(net, 0.8).chi.tolist())
    law = theory.jacobian_law(net, 0.8)
    assert float(law.mean()) == pytest.approx(mean, rel=1e-12)
    derivation = theory.derive(net)
    norms = {LayerNorm: 1.21 * 0.8, BatchNorm: 1.21 * 0.8}
    values = {symbol: norms.get(kind) for moment in derivation.moments(2) for symbol in moment.free_symbols}
    if kind is Gate:
        values = gate_averages(derivation, 1.21 * 0.8)
    formulas = [float(moment.subs(values)) for moment in derivation.moments(2)]
    assert formulas == pytest.approx([float(m) for m in law.moments(2)], rel=1e-12)
    sampler = Sampler(np.random.default_rng(5), get_backend("numpy"), 0.8)
    sample = sample_jacobian(net, np.random.default_rng(1).normal(size=300) * 0.8**0.5, sampler)
    singular = np.linalg.svd(sample.jacobian, compute_uv=False) ** 2
    # one network: its trace fluctuates like the share of open units, a few times 1/sqrt(300)
    assert singular.mean() == pytest.approx(mean, rel=0.3)
    assert len(describe(net).splitlines()) >= 3
    assert network_from_json(json.loads(json.dumps(network_to_json(net)))) == net


def gate_averages(derivation, second_moment):
    """The numbers of a derivation with one gated layer: its integrals over x and h, by a rule of equal steps."""
    known = {"X_g": second_moment}
    variance = next(f for step in derivation.steps for f in step.formulas if str(getattr(f, "lhs", "")) == "q_g")
    known["q_g"] = float(variance.rhs.subs(sp.Symbol("X_g", positive=True), second_moment))
    steps = np.linspace(-9, 9, 181)
    values = {}
    for definition in derivation.definitions:
        variables = [str(limit[0]) for limit in definition.rhs.limits]
        grids = np.meshgrid(*(known[{"x": "X_g", "h": "q_g"}[v]] ** 0.5 * steps for v in variables), indexing="ij")
        symbols = [*(limit[0] for limit in definition.rhs.limits), *sp.symbols("X_g q_g", positive=True)]
        density = sp.lambdify(symbols, definition.rhs.function, modules=["scipy", "numpy"])(*grids, *known.values())
        values[definition.lhs] = density.sum() * np.prod([grid.max() / 90 for grid in grids])
    return values


def test_an_unknown_layer_has_no_reading():
    for name, others in {"signal": 1, "sample": 2, "description": 0}.items():
        with pytest.raises(NotImplementedError, match="complex"):
            REGISTRIES[name](1j, *[None] * others)


@pytest.mark.parametrize("weights", ["uniform", Sparse(0.3), rmt.Discrete({0.5: 0.5, 1.5: 0.5})], ids=str)
def test_other_ensembles_are_not_sampled_as_gaussian_ones(weights):
    assert "needed: gaussian or orthogonal ones" in masked_chain(Chain(2, "relu", weights=weights), 8)
    convolution = Sequential([DeltaOrthogonal(2), Activation("relu")])
    assert "it has a convolution" in masked_chain(convolution, 8)
    assert not isinstance(masked_chain(Chain(2, "relu"), 8), str)


# --- delta-orthogonal convolutions ----------------------------------------------------------------------------------


def test_a_convolution_is_the_centre_of_a_kernel():
    # the full circular convolution with a kernel of size 3 whose outer taps are 0, written out
    positions, channels = 4, 5
    net = Sequential([DeltaOrthogonal(positions, 1.3, 0.2), Activation("tanh"), DeltaOrthogonal(positions, 0.9)])
    backend = get_backend("numpy")
    x = np.random.default_rng(2).normal(size=positions * channels)

    def draw(point):
        return sample_jacobian(net, point, Sampler(np.random.default_rng(7), backend))

    rng = np.random.default_rng(7)
    kernels = np.zeros((2, 3, channels, channels))
    kernels[0, 1] = 1.3 * weight_matrix("orthogonal", channels, channels, rng, backend)
    bias = 0.2 * rng.standard_normal(channels)
    kernels[1, 1] = 0.9 * weight_matrix("orthogonal", channels, channels, rng, backend)

    def convolve(kernel, signal):
        return sum(kernel[tap] @ np.roll(signal, 1 - tap, axis=1) for tap in range(3))

    expected = convolve(kernels[1], np.tanh(convolve(kernels[0], x.reshape(channels, positions)) + bias[:, None]))
    np.testing.assert_allclose(draw(x).x, expected.ravel(), rtol=1e-12, atol=1e-14)
    columns = [(draw(x + 1e-6 * e).x - draw(x - 1e-6 * e).x) / 2e-6 for e in np.eye(len(x))]
    np.testing.assert_allclose(draw(x).jacobian, np.array(columns).T, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="width 21 is no multiple of positions=4"):
        draw(np.ones(21))


def test_positions_keep_the_covariance_of_two_inputs():
    # one layer after the other, the covariance between two positions against that of two inputs
    positions, channels, rho = 2, 900, 0.4
    net = Sequential([DeltaOrthogonal(positions, 1.5, 0.3), Activation("relu"), DeltaOrthogonal(positions, 1.1)])
    rng = np.random.default_rng(4)
    first = rng.normal(size=channels)
    other = rho * first + math.sqrt(1 - rho**2) * rng.normal(size=channels)
    # Haar matrices of so many channels are costly: Gaussian ones have the same signal
    gaussian = [1.5 * rng.normal(size=(channels, channels)), 1.1 * rng.normal(size=(channels, channels))]
    h = gaussian[0] / math.sqrt(channels) @ np.stack([first, other], axis=1) + 0.3 * rng.normal(size=(channels, 1))
    h = gaussian[1] / math.sqrt(channels) @ np.maximum(h, 0)
    expected = theory.propagate(net, 1.0, rho).correlation[-1]
    assert np.corrcoef(h.T)[0, 1] == pytest.approx(expected, abs=6 / channels**0.5)


def test_a_convolution_has_the_law_of_the_connected_layer():
    convolution = Repeat([DeltaOrthogonal(8, 1.2, 0.1), Activation("erf")], 3)
    assert theory.jacobian_law(convolution) == theory.jacobian_law(Chain(3, "erf", 1.2, 0.1, "orthogonal"))
    block = Residual([DeltaOrthogonal(8, 0.5), Activation("relu")])
    connected = Residual([Dense(0.5, 0.0, "orthogonal"), Activation("relu")])
    assert theory.jacobian_law(block) == theory.jacobian_law(connected)
