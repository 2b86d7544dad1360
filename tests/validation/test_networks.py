"""Sampled networks: the Jacobian is the derivative of the forward map, and the weights have the stated law."""

import numpy as np
import pytest

import rmt
import theory.network
from theory.activations import ACTIVATION_NAMES
from theory.network import (
    Activation,
    BatchNorm,
    Chain,
    Dense,
    Dropout,
    LayerNorm,
    OrthogonalFilterNet,
    Repeat,
    Residual,
    ResNet,
    Scale,
    Sequential,
    Sparse,
)
from validation.backend import Backend, get_backend
from validation.ensembles import WEIGHTS, weight_matrix
from validation.networks import Sampler, Signal, advance, layer_types, sample_jacobian

NUMPY = get_backend("numpy")


def sampler(seed: int) -> Sampler:
    return Sampler(np.random.default_rng(seed), NUMPY)


def draw(net, x, seed: int = 0) -> Signal:
    return sample_jacobian(net, x, sampler(seed))


ARCHITECTURES = {
    "orthogonal chain": Chain(3, "tanh", sigma_w=1.3, sigma_b=0.4, weights="orthogonal"),
    "resnet": ResNet(4, "gelu", sigma_w=1.7, sigma_b=0.2, skip=0.8),
    "rectangular": Sequential(
        [Dense(1.1, width_ratio=2), Activation("erf"), Dense(0.7, 0.3, "orthogonal", 0.5), Activation("sin")]
    ),
    "nested": Repeat(
        Residual([Dense(0.6), Activation("silu"), Residual([Dense(0.5, 0.1), Activation("tanh")], skip=0.5)], skip=1.2),
        2,
    ),
    "activation first": Residual([Activation("softplus"), Dense(0.9, width_ratio=3), Dense(0.4, width_ratio=1 / 3)]),
    "activation first, later": Sequential([Dense(1.2), Residual([Activation("tanh"), Dense(0.8, 0.5)], skip=0.7)]),
    "orthogonal filters": OrthogonalFilterNet(3, "gelu", 0.8, 0.4, 1.2, 0.1),
    "normalised": Sequential([Dense(1.3, 0.2), LayerNorm(), Activation("tanh"), LayerNorm(), Dense(0.8)]),
    "normalised first": Residual([LayerNorm(), Scale(1.5), Dense(0.7), Activation("erf")], 0.6, "orthogonal"),
    "batch": Residual([BatchNorm(), Dense(1.3, 0.2), Dropout(0.2), BatchNorm(), Activation("tanh")], 0.5, "orthogonal"),
    "dropout": Sequential([Dropout(0.3), Dense(1.1), Activation("silu"), Dropout(0.4), Scale(-0.7)]),
    "sparse and uniform": Sequential([Chain(2, "tanh", 1.3, weights=Sparse(0.6)), Dense(0.8, 0.1, "uniform", 2)]),
    "a law of weights": ResNet(3, "gelu", 1.4, 0.2, weights=rmt.Discrete({0.5: 0.5, 1.5: 0.5})),
    "dense last": Sequential([Chain(2, "selu"), Dense(0.5, width_ratio=0.5)]),
}


def assert_jacobian_is_derivative(net) -> None:
    x = np.random.default_rng(9).standard_normal(6) * 1.3
    signal = draw(net, x)
    h = 1e-6
    columns = [(draw(net, x + h * e).x - draw(net, x - h * e).x) / (2 * h) for e in np.eye(6)]
    np.testing.assert_allclose(signal.jacobian, np.array(columns).T, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_jacobian_is_derivative_of_forward_map_for_activation(name):
    assert_jacobian_is_derivative(ResNet(3, name, sigma_w=1.4, sigma_b=0.3, skip=0.9))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_jacobian_is_derivative_of_forward_map_for_architecture(name):
    assert_jacobian_is_derivative(ARCHITECTURES[name])


def test_activation_parameters_are_used():
    assert_jacobian_is_derivative(Chain(2, Activation("leaky_relu", alpha=0.4), sigma_w=1.2))


def test_network_without_weights():
    signal = draw(Activation("tanh"), np.array([0.3, -1.0]))
    np.testing.assert_allclose(signal.jacobian, np.diag(1 - np.tanh([0.3, -1.0]) ** 2), rtol=1e-14)


def test_every_layer_type_and_kind_of_weights_has_a_rule():
    assert set(layer_types()) == set(theory.network.LAYER_TYPES)
    assert tuple(WEIGHTS) == theory.network.WEIGHTS


def test_unknown_layer_and_weights_say_what_there_is():
    with pytest.raises(NotImplementedError, match=r"no rule for the layer type complex.*Dense"):
        advance(1j, Signal(np.ones(2), None, 2), sampler(0))
    with pytest.raises(ValueError, match="'sparse' is unknown; choose one of gaussian, orthogonal, uniform"):
        weight_matrix("sparse", 2, 2, np.random.default_rng(0), NUMPY)


def test_skip_connection_needs_equal_widths_after_rounding():
    net = Residual([Dense(width_ratio=1 / 3), Dense(width_ratio=3)])
    with pytest.raises(ValueError, match="at width 7 the branch returns width 6"):
        draw(net, np.ones(7))


def test_draws_do_not_depend_on_the_input():
    net = Sequential([Chain(3, "linear", sigma_b=0.5), ResNet(2, "linear")])
    first, second = draw(net, np.ones(5), seed=3), draw(net, np.linspace(-1, 4, 5), seed=3)
    np.testing.assert_array_equal(first.jacobian, second.jacobian)
    assert not np.array_equal(first.x, second.x)


def test_same_seed_same_network_other_seed_other():
    net, x = ResNet(3, "tanh", sigma_b=0.1), np.ones(5)
    np.testing.assert_array_equal(draw(net, x, 1).jacobian, draw(net, x, 1).jacobian)
    assert not np.array_equal(draw(net, x, 1).jacobian, draw(net, x, 2).jacobian)


@pytest.mark.parametrize(
    "net",
    [
        Chain(4, "relu", sigma_w=1.5),
        Chain(3, "hard_tanh", sigma_w=2.5, weights="orthogonal"),
        Sequential([Dense(width_ratio=0.3), Dense(width_ratio=3)]),
        Sequential([Dense(width_ratio=2), Dense(width_ratio=0.25)]),
        ResNet(3, "relu"),
        Repeat(Residual([Dense(), Activation("relu")], skip=0), 2),
        Chain(2, "relu", weights=Sparse(0.5)),
        Dense(weights=Sparse(0.08)),
        Sequential([Dense(weights=rmt.Discrete({0: 0.2, 1.25: 0.8})), Activation("relu")]),
        Sequential([Chain(1, "relu"), Repeat(Residual([Dense(), Activation("relu")], skip=0.5), 2)]),
    ],
)
def test_rank_is_exact(net):
    for seed in range(5):
        signal = draw(net, np.random.default_rng(seed).standard_normal(20), seed)
        assert signal.rank == np.linalg.matrix_rank(signal.jacobian)


@pytest.mark.parametrize("kind", [*WEIGHTS, Sparse(0.4)], ids=str)
@pytest.mark.parametrize(("n_out", "n_in"), [(30, 30), (45, 15), (10, 40)])
def test_entries_have_variance_one_over_inputs(kind, n_out, n_in):
    rng = np.random.default_rng(5)
    draws = np.array([weight_matrix(kind, n_out, n_in, rng, NUMPY) for _ in range(200)])
    squares = (draws**2).mean(axis=0) * n_in
    # entry by entry, so that no row or column is favoured: chi-square with 200 degrees of freedom over 200
    kurtosis = kind.kurtosis if isinstance(kind, Sparse) else 3
    assert np.abs(squares - 1.0).max() < 7 * np.sqrt((kurtosis - 1) / 200)
    assert squares.mean() == pytest.approx(1.0, abs=6 * np.sqrt((kurtosis - 1) / draws.size))
    assert abs(draws.mean()) < 6 / np.sqrt(n_in * draws.size)


@pytest.mark.parametrize(("kind", "kurtosis"), [("gaussian", 3.0), ("uniform", 1.8), (Sparse(0.25), 12.0)], ids=str)
def test_entries_have_their_kurtosis(kind, kurtosis):
    draws = weight_matrix(kind, 700, 700, np.random.default_rng(6), NUMPY) * 700**0.5
    fourth = draws**4
    assert fourth.mean() == pytest.approx(kurtosis, abs=5 * fourth.std() / 700)


def test_a_law_of_weights_has_its_quantiles_as_eigenvalues():
    law = rmt.MarchenkoPastur(0.5)
    w = weight_matrix(law, 40, 40, np.random.default_rng(1), NUMPY)
    found = np.linalg.svd(w, compute_uv=False)[::-1] ** 2
    np.testing.assert_allclose(found, law.ppf((np.arange(40) + 0.5) / 40), rtol=1e-10)


@pytest.mark.parametrize(("n_out", "n_in"), [(8, 8), (12, 4), (3, 9)])
def test_orthogonal_weights_are_isometries(n_out, n_in):
    w = weight_matrix("orthogonal", n_out, n_in, np.random.default_rng(2), NUMPY)
    small = w.T @ w * (n_in / n_out) if n_out > n_in else w @ w.T
    np.testing.assert_allclose(small, np.eye(min(n_out, n_in)), atol=1e-13)


def test_orthogonal_weights_are_haar():
    # moments of Haar measure on O(n): E tr O = 0, E (tr O)² = 1, E tr O² = 1, E (tr O)⁴ = 3 (Diaconis and Shahshahani)
    # of O, and of A O for a fixed rotation A (invariance). QR without the sign fix has E tr O far from 0.
    rng, count, n = np.random.default_rng(8), 6000, 6
    fixed = np.linalg.qr(np.arange(36.0).reshape(6, 6) ** 1.5 + np.eye(6))[0]
    draws = np.array([weight_matrix("orthogonal", n, n, rng, NUMPY) for _ in range(count)])
    for matrices in (draws, fixed @ draws, draws @ fixed):
        trace = np.trace(matrices, axis1=1, axis2=2)
        trace_of_square = np.trace(matrices @ matrices, axis1=1, axis2=2)
        for values, expected in ((trace, 0), (trace**2, 1), (trace_of_square, 1), (trace**4, 3)):
            assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(count)
    assert (np.linalg.det(draws) > 0).mean() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(count))


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        # exact at every width: E tr J Jᵀ/N is multiplied by sigma_w² <phi'²> (bias-free relu masks are fair coins)
        (Chain(3, "linear", sigma_w=1.2), 1.2**6),
        (Chain(4, "relu", sigma_w=1.6), (1.6**2 / 2) ** 4),
        (ResNet(5, "linear", sigma_w=0.9, skip=0.7), (0.7**2 + 0.9**2 / 5) ** 5),
        (Chain(3, "relu", sigma_w=1.5, weights="orthogonal"), (1.5**2 / 2) ** 3),
        (Sequential([Dense(1.3, width_ratio=2), Dense(0.8, 0.4, width_ratio=0.25)]), 1.3**2 * 0.8**2),
    ],
)
def test_mean_square_singular_value(net, expected):
    rng = np.random.default_rng(4)
    values = []
    for _ in range(600):
        signal = sample_jacobian(net, rng.standard_normal(8), Sampler(rng, NUMPY))
        values.append((signal.jacobian**2).sum() / len(signal.x))
    assert np.mean(values) == pytest.approx(expected, abs=5 * np.std(values) / np.sqrt(600))


def test_biases_have_their_variance():
    rng = np.random.default_rng(4)
    outputs = [sample_jacobian(Dense(0.0, 0.3), np.ones(50), Sampler(rng, NUMPY)).x for _ in range(100)]
    assert np.mean(np.square(outputs)) == pytest.approx(0.09, abs=6 * 0.09 * np.sqrt(2 / 5000))


def test_backends():
    assert isinstance(get_backend("numpy"), Backend)
    with pytest.raises(ValueError, match="backend='torch' is unknown; choose one of numpy, cupy"):
        get_backend("torch")


def test_missing_cupy_is_one_clear_line(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("validation.backend.importlib.import_module", missing)
    with pytest.raises(ValueError, match=r"needs cupy and a CUDA device .*rmt-toolkit\[gpu\], or use backend='numpy'"):
        get_backend("cupy")
