"""Averages over activations, products of weights, norms and exponents: results about numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.activations import get_activation
from theory.catalogue.published import Entry
from theory.phases import fixed_point
from validation.suite.check import Check, Mean, Rng, Values

__all__ = ["CHECKS"]

FloatArray = npt.NDArray[np.float64]


# --- Gaussian averages of activations ---------------------------------------------------------------------------------


def _averages(name: str, q: float, **parameters: Any) -> Mean:
    function = get_activation(name, **parameters)

    def draw(rng: Rng, count: int) -> Values:
        h = math.sqrt(q) * rng.standard_normal(count)
        value = function.phi(h)
        return {"c_2": function.dphi(h) ** 2, "phi_2": value**2, "phi_1": value}

    return Mean({"q": q, **parameters}, draw)


def _erf_probit(rng: Rng, count: int) -> Values:
    from scipy.special import erf

    h = math.sqrt(0.8) * rng.standard_normal(count)
    value = erf(h / math.sqrt(2.0))
    return {"c_2": 2.0 / math.pi * np.exp(-(h**2)), "phi_2": value**2, "phi_1": value}


def _sigmoid_and_tanh(rng: Rng, count: int) -> Values:
    h = math.sqrt(2.6) * rng.standard_normal((2, count))
    return {
        "c_sigmoid": get_activation("sigmoid").dphi(h[0]) ** 2,
        "c_tanh": get_activation("tanh").dphi(0.5 * h[1]) ** 2,
    }


def _pair(rng: Rng, count: int, rho: float) -> tuple[FloatArray, FloatArray]:
    first, second = rng.standard_normal((2, count))
    return first, rho * first + math.sqrt(1.0 - rho * rho) * second


def _erf_kernel(rng: Rng, count: int) -> Values:
    phi = get_activation("erf").phi
    first, second = _pair(rng, count, 0.4)
    return {"K": phi(math.sqrt(0.7) * first) * phi(math.sqrt(0.7) * second)}


def _erf_slopes(rng: Rng, count: int) -> Values:
    return {"mu_k": get_activation("erf").dphi(math.sqrt(0.7) * rng.standard_normal(count)) ** 4}


def _erf_transform(rng: Rng, count: int) -> Values:
    square = get_activation("erf").dphi(math.sqrt(0.6) * rng.standard_normal(count)) ** 2
    return {"psi": square / (1.7 - square)}


def _feature_slope(rng: Rng, count: int) -> Values:
    h = rng.standard_normal(count)
    tanh = get_activation("tanh")
    return {"f_1": tanh.dphi(h), "f_h": h * tanh.phi(h)}


def _correlated_relu(rng: Rng, count: int) -> Values:
    first, second = _pair(rng, count, 0.3)
    return {"rho_next": 2.0 * np.maximum(first, 0.0) * np.maximum(second, 0.0)}


def _delta_orthogonal(rng: Rng, count: int) -> Values:
    """Overlap of two positions behind circular convolutions: kernels of 3 taps, the outer ones 0, few channels."""
    channels, positions, taps = 8, 4, 3
    pairs = np.array(_pair(rng, count * channels, 0.3)).reshape(2, count, channels)
    rest = rng.standard_normal((positions - 2, count, channels))
    signal = np.maximum(math.sqrt(0.8) * np.concatenate([pairs, rest]), 0.0)
    q, r = np.linalg.qr(rng.standard_normal((count, channels, channels)))
    kernel = np.zeros((taps, count, channels, channels))
    kernel[taps // 2] = 1.4 * q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, np.newaxis, :]
    bias = 0.2 * rng.standard_normal((count, channels))
    first, second = (
        sum(np.einsum("cij,cj->ci", kernel[tap], signal[(place + tap - taps // 2) % positions]) for tap in range(taps))
        + bias
        for place in (0, 1)
    )
    return {"C": np.mean(first * second, axis=1)}


def _kurtosis(rng: Rng, count: int) -> Values:
    """Fourth powers of entries of variance 1."""
    kept = rng.random(count) < 0.4
    return {
        "kappa_uniform": rng.uniform(-math.sqrt(3.0), math.sqrt(3.0), count) ** 4,
        "kappa_sparse": (kept * rng.standard_normal(count) / math.sqrt(0.4)) ** 4,
    }


def _batch_norm(rng: Rng, count: int) -> Values:
    """A normalised ReLU layer divides by the variance of relu(h) what half of the units let through."""
    return {"share over variance": 2.0 * np.var(np.maximum(rng.standard_normal(count), 0.0), ddof=1)}


def _batch_norm_expected(entry: Entry) -> Values:
    return {"share over variance": 1.0 / entry.statement[0].rhs}


# --- real layers of finite width --------------------------------------------------------------------------------------

_WIDTH = 30


def _layer(rng: Rng, count: int, x: FloatArray, sigma_w: float, sigma_b: float) -> FloatArray:
    """Pre-activations of independent layers at one signal, shape (count, width)."""
    weights = rng.standard_normal((count, _WIDTH, len(x))) * (sigma_w / math.sqrt(len(x)))
    return weights @ x + sigma_b * rng.standard_normal((count, _WIDTH))


def _critical_chain(rng: Rng, count: int) -> Values:
    """Two layers of tanh: q of the second by the averages over the first; chi by a differenced input."""
    tanh = get_activation("tanh")
    signal = tanh.phi(math.sqrt(0.6) * np.linspace(-1.9, 1.9, _WIDTH))
    hidden = _layer(rng, count, signal, 1.3, 0.2)
    value, slope = tanh.phi(hidden), tanh.dphi(hidden)
    weights = rng.standard_normal((count, _WIDTH, _WIDTH)) * (1.3 / math.sqrt(_WIDTH))
    after = (weights @ value[..., None])[..., 0] + 0.2 * rng.standard_normal((count, _WIDTH))
    moved = (weights @ (slope * rng.standard_normal((count, _WIDTH)))[..., None])[..., 0]
    return {
        "q": np.mean(after**2, axis=1),
        "phi_2": np.mean(value**2, axis=1),
        "chi": np.mean(moved**2, axis=1),
        "c_2": np.mean(slope**2, axis=1),
    }


def _depth_slopes(rng: Rng, count: int) -> Values:
    """Slopes of both maps of sin as means of the slopes of each draw: no second derivative, one φ' at most."""
    q, c, gain = _SINE.q, _SINE.correlation, _SINE.sigma_w**2
    first, second = rng.standard_normal((2, count))
    h, turned = math.sqrt(q) * first, c * first + math.sqrt(1.0 - c * c) * second
    other = math.sqrt(q) * turned
    return {
        "V_1": gain * np.sin(h) * np.cos(h) * h / q,
        "C_1": gain * np.sin(h) * np.cos(other) * (first - c / math.sqrt(1.0 - c * c) * second) / math.sqrt(q),
        "c_2": np.cos(h) ** 2,
        "f_02": -(np.sin(h) ** 2),
        "c_11": np.cos(h) * np.cos(other),
    }


_SINE = fixed_point("sin", 1.4, 0.3)


def _dropped(rng: Rng, count: int) -> Values:
    """Two signals through masks of their own and the same weights and biases; a tangent vector of unit mean square."""
    first, second, slopes = _SIGNALS
    masks = (rng.random((3, count, _WIDTH)) < 0.7) / 0.7
    weights = rng.standard_normal((count, 6, _WIDTH)) * (1.3 / math.sqrt(_WIDTH))
    bias = 0.2 * rng.standard_normal((count, 6))
    rows = (masks[0] * first, masks[1] * second, masks[2] * slopes * rng.standard_normal((count, _WIDTH)))
    h = [(weights @ row[..., None])[..., 0] for row in rows]
    return {
        "q": np.mean((h[0] + bias) ** 2, axis=1),
        "C": np.mean((h[0] + bias) * (h[1] + bias), axis=1),
        "chi": np.mean(h[2] ** 2, axis=1),
    }


_SIGNALS = (np.tanh(np.linspace(-1.9, 1.9, _WIDTH)), np.linspace(-0.4, 0.9, _WIDTH), np.linspace(0.2, 1.0, _WIDTH))


def _normalised_layers(rng: Rng, count: int) -> Values:
    """Squared tangents through one layer of sigmoids of width 400, normalised before or behind them."""
    width, scale, phi = 400, 1.5, get_activation("sigmoid")
    # a signal and a tangent behind Gaussian weights are Gaussian, of the same correlation in every neuron
    h, tangent = scale * rng.standard_normal((count, width)), rng.standard_normal((count, width))
    value, moved = phi.phi(h), phi.dphi(h) * tangent
    _, behind = _layer_normalised(value, scale * moved)
    norm, along = np.linalg.norm(value, axis=1, keepdims=True), np.sum(value * moved, axis=1, keepdims=True)
    along = along / norm
    rest = np.sqrt(np.maximum(np.sum(moved**2, axis=1, keepdims=True) - along**2, 0.0))
    first, second = rng.standard_normal((2, count, width))
    _, before = _layer_normalised(norm * first, along * first + rest * second)
    return {
        "g_before": scale**2 * np.mean(before**2, axis=1),
        "g_after": np.mean(behind**2, axis=1),
        "phi_1": np.mean(value, axis=1),
        "phi_2": np.mean(value**2, axis=1),
        "c_2": np.mean(phi.dphi(h) ** 2, axis=1),
    }


def _layer_normalised(values: FloatArray, tangents: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Layer normalisation of each row, and its derivative along a tangent."""
    centred = values - values.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.mean(centred**2, axis=1, keepdims=True))
    normal = centred / deviation
    moved = tangents - tangents.mean(axis=1, keepdims=True)
    return normal, (moved - normal * np.mean(normal * moved, axis=1, keepdims=True)) / deviation


def _tanh_point(rng: Rng, count: int) -> Values:
    h = math.sqrt(float(_TANH["q"])) * rng.standard_normal(count)
    tanh = get_activation("tanh")
    return {"c_2": tanh.dphi(h) ** 2, "phi_2": tanh.phi(h) ** 2}


# Pennington, Schoenholz and Ganguli 2017: the critical point at sigma_b² = 0.05
_TANH = {"q": "0.57004788", "sigma_w2": "1.76095464"}


def _residual_layer(rng: Rng, count: int) -> Values:
    x = np.linspace(-0.8, 2.9, _WIDTH)
    hidden = _layer(rng, count, x, 1.4 / math.sqrt(5.0), 0.3)
    value = np.maximum(hidden, 0.0)
    after = value + 0.8 * x
    return {
        "q": np.mean(hidden**2, axis=1),
        "X_next": np.mean(after**2, axis=1),
        "mu_next": np.mean(after, axis=1),
        "phi_2": np.mean(value**2, axis=1),
        "phi_1": np.mean(value, axis=1),
    }


def _gate_layer(rng: Rng, count: int) -> Values:
    """Components x of two sizes and their pre-activations, and the squared norms of the Jacobian's rows."""
    x = np.where(rng.random(count) < 0.5, 0.3, 1.9)
    h = math.sqrt(1.3) * rng.standard_normal(count)
    u, phi = 1.0 / (1.0 + np.exp(-h - 0.5)), np.tanh(h)
    du, kept = u * (1.0 - u), (1.0 - u) * phi
    rest = (1.0 - u) * (1.0 - phi**2) - du * phi
    return {
        "X_next": (u * x + kept) ** 2,
        "mu_next": u * x + kept,
        "chi": u**2 + 0.8 * (du * x + rest) ** 2,
        **{"u_1": u, "u_2": u**2, "k_1": kept, "k_2": kept**2, "c": u * kept},
        **{"v_2": du**2, "e": du * rest, "f_2": rest**2},
    }


_RESIDUAL_INPUT = np.linspace(-0.8, 2.9, _WIDTH)


def _fourth_moments(rng: Rng, count: int) -> Values:
    """A ReLU layer of uniform weights at a fixed signal."""
    x = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    weights = rng.uniform(-1.0, 1.0, (count, 5, 5)) * math.sqrt(3.0 * 2.0 / 5.0)
    after = np.maximum(weights @ x, 0.0)
    return {"S_next": np.sum(after**2, axis=1) ** 2, "Q_next": np.sum(after**4, axis=1)}


_SIGNAL_4 = {"S": 14.25**2, "Q": 1.0 + 16.0 + 0.5**4 + 81.0}


def _log_moments(log: FloatArray) -> Values:
    return {"E_log": log, "Var_log": float(np.var(log, ddof=1))}


def _linear_norm(rng: Rng, count: int) -> Values:
    x = np.array([1.0, 2.0, -1.0, 0.5, 0.0, 1.5])
    after = rng.standard_normal((count, 6, 6)) @ x / math.sqrt(6.0)
    return _log_moments(np.log(np.sum(after**2, axis=1) / np.sum(x**2)))


def _relu_norm(rng: Rng, count: int) -> Values:
    x = np.array([1.0, 2.0, -1.0, 0.5])
    after = np.maximum(rng.standard_normal((count, 4, 4)) @ x * math.sqrt(2.0 / 4.0), 0.0)
    square = np.sum(after**2, axis=1)
    return _log_moments(np.log(square[square > 0.0] / np.sum(x**2)))


def _mean_norm(rng: Rng, count: int) -> Values:
    after = rng.standard_normal((count, 5, 5)) @ np.ones(5) / 5.0
    return {"m": np.linalg.norm(after, axis=1)}


def _balanced(rng: Rng, count: int) -> Values:
    n, alpha, lam = 6, 0.8, 0.6
    z = rng.standard_normal((count, n))
    signs = rng.choice((-1.0, 1.0), (count, n))
    branch = rng.standard_normal((count, n, n)) @ np.maximum(signs * z, 0.0)[..., None]
    after = alpha * z + lam * math.sqrt(2.0 / n) * branch[..., 0]
    return {"growth": np.sum(after**2, axis=1) ** 2 / (n * (n + 2))}


def _small_angle(rng: Rng, count: int) -> Values:
    """Change of ln sin² of an angle of 1e-6 in a ReLU layer of width 5, where two neurons or more are open."""
    size, angle = 5, 1e-6
    first, second = rng.standard_normal((2, count, size))
    signal, difference = np.maximum(first, 0.0), (first > 0.0) * second
    kept = np.count_nonzero(first > 0.0, axis=1) > 1
    signal, difference = signal[kept], difference[kept]
    # the wedge of a and a cos θ + b sin θ is that of a and b sin θ
    square, other = np.sum(signal**2, axis=1), np.sum(difference**2, axis=1)
    wedge = math.sin(angle) ** 2 * (square * other - np.sum(signal * difference, axis=1) ** 2)
    turned = math.cos(angle) * signal + math.sin(angle) * difference
    return _log_moments(np.log(wedge / (square * np.sum(turned**2, axis=1))) - math.log(math.sin(angle) ** 2))


def _gradient_norm(rng: Rng, count: int) -> Values:
    """Squared norm of the gradient by the second of four matrices of width 4."""
    weights = rng.standard_normal((4, count, 4, 4)) / 2.0
    x, readout = np.array([1.0, -0.5, 2.0, 1.0]), np.array([0.3, 1.0, -1.0, 2.0])
    forward = (weights[0] @ x)[..., None]
    backward = (readout @ weights[3])[:, None, :] @ weights[2]
    square = np.sum(forward**2, axis=(1, 2)) * np.sum(backward**2, axis=(1, 2))
    return {"E_logG": np.log(square / (np.sum(x**2) * np.sum(readout**2)))}


# --- products of weights ----------------------------------------------------------------------------------------------


def _log_gaussian(rng: Rng, count: int) -> Values:
    return _log_moments(np.log(np.abs(rng.standard_normal(count))))


def _log_uniform(rng: Rng, count: int) -> Values:
    return _log_moments(np.log(np.abs(rng.uniform(-1.7, 1.7, count))))


def _uniform_chain(rng: Rng, count: int) -> Values:
    product = np.abs(np.prod(rng.uniform(-1.3, 1.3, (count, 4)), axis=1))
    return {"F": product <= 1.3**4 * math.exp(-3.1)}


def _width_one(rng: Rng, count: int) -> Values:
    square = np.prod(rng.standard_normal((count, 2)) ** 2, axis=1)
    return {"E_P2": square, "E_logP2": np.log(square)}


def _residual_gaussian(rng: Rng, count: int) -> Values:
    return {"E_log": np.log(np.abs(1.0 + 0.9 * rng.standard_normal(count)))}


def _residual_uniform(rng: Rng, count: int) -> Values:
    w = rng.uniform(-1.0, 1.0, count)
    return {"E_log": np.log(np.abs(1.0 + 1.4 * w)), "E_log_1": np.log(np.abs(1.0 + w))}


# --- exponents and finite matrices ------------------------------------------------------------------------------------


def _residual_growth(rng: Rng, count: int) -> Values:
    """Growth in the last of sixteen layers of ReLU residual networks, when the mean has settled beside the signal."""
    width, growth = 128, []
    for _ in range(count):
        x = rng.standard_normal(width)
        before = 0.0
        for _ in range(16):
            before = float(x @ x)
            x = x + np.maximum(rng.standard_normal((width, width)) @ x / math.sqrt(width), 0.0)
        growth.append(float(x @ x) / before)
    return {"rho": np.array(growth)}


def _stable_growth(rng: Rng, count: int) -> Values:
    """Mean square behind six blocks x + λ_l W relu(x) of width 200; fresh weights turn a signal into Gaussians."""
    width = 200
    x = rng.standard_normal((count, width))
    for l in range(1, 7):
        norm = np.linalg.norm(np.maximum(x, 0.0), axis=1, keepdims=True) / math.sqrt(width)
        x = x + 1.2 * norm * rng.standard_normal((count, width)) / (math.sqrt(l) * math.log(l + 1))
    return {"growth": np.mean(x**2, axis=1)}


def _log_stretch(rng: Rng, count: int) -> Values:
    """Logarithm of the second diagonal entry of R in the QR decomposition of a Gaussian matrix of size 5."""
    matrices = rng.standard_normal((count, 5, 5)) / math.sqrt(5.0)
    return _second_stretch(matrices)


def _log_stretch_relu(rng: Rng, count: int) -> Values:
    """The same of a layer whose gates are open with probability 1/2, given that at least two are."""
    gates = rng.random((count, 5, 1)) < 0.5
    gates = gates[gates.sum(axis=(1, 2)) >= 2]
    matrices = gates * rng.standard_normal((len(gates), 5, 5)) * math.sqrt(2.0 / 5.0)
    return _second_stretch(matrices)


def _second_stretch(matrices: FloatArray) -> Values:
    upper: FloatArray = np.asarray(np.linalg.qr(matrices, mode="r"))
    return {"lambda_k": np.log(np.abs(upper[:, 1, 1]))}


def _ginibre(rng: Rng, count: int) -> Values:
    """Mean of tr (X X*)² of a product of two complex Ginibre matrices of size 3."""
    parts = rng.standard_normal((2, 2, count, 3, 3)) / math.sqrt(2.0)
    product = (parts[0, 0] + 1j * parts[0, 1]) @ (parts[1, 0] + 1j * parts[1, 1])
    gram = product @ product.conj().transpose(0, 2, 1)
    return {"I_r": np.sum(np.abs(gram) ** 2, axis=(1, 2))}


CHECKS: dict[str, Check] = {
    **{
        f"averages-{name.replace('_', '-')}": _averages(name, q)
        for name, q in (
            ("linear", 1.3),
            ("relu", 0.7),
            ("hard_tanh", 0.8),
            ("erf", 0.6),
            ("sin", 0.5),
            ("selu", 1.2),
            ("elu", 0.9),
            ("gelu", 1.4),
        )
    },
    "averages-leaky-relu": _averages("leaky_relu", 1.1, alpha=0.2),
    "averages-erf-probit": Mean({"q": 0.8}, _erf_probit),
    "averages-sigmoid-tanh": Mean({}, _sigmoid_and_tanh),
    "kernel-erf": Mean({"q": 0.7, "rho": 0.4}, _erf_kernel),
    "erf-slope-moments": Mean({"q": 0.7, "k": 2}, _erf_slopes),
    "erf-moment-transform": Mean({"q": 0.6, "z": 1.7}, _erf_transform),
    "random-features-slope": Mean({}, _feature_slope),
    "sample-correlation-map": Mean({"rho": 0.3}, _correlated_relu),
    "delta-orthogonal-covariance": Mean({"q": 0.8, "rho": 0.3, "sigma_w": 1.4, "sigma_b": 0.2}, _delta_orthogonal),
    "weights-kurtosis": Mean({"p": 0.4}, _kurtosis),
    "residual-growth-relu": Mean({"sigma_w": 1.0}, _residual_growth, bias=0.03, share=0.002),
    "stable-resnet": Mean({"sigma_w": 1.2, "L": 6}, _stable_growth, bias=0.01, share=0.02),
    "batch-norm-gradient": Mean({}, _batch_norm, expected=_batch_norm_expected),
    "chain-criticality": Mean({"sigma_w": 1.3, "sigma_b": 0.2}, _critical_chain, share=0.1),
    "depth-scales": Mean({"sigma_w": 1.4}, _depth_slopes),
    "dropout": Mean(
        {
            "sigma_w": 1.3,
            "sigma_b": 0.2,
            "p": 0.7,
            "phi_2": float(np.mean(_SIGNALS[0] ** 2)),
            "phi_11": float(np.mean(_SIGNALS[0] * _SIGNALS[1])),
            "c_2": float(np.mean(_SIGNALS[2] ** 2)),
        },
        _dropped,
        share=0.1,
    ),
    "layer-norm-gradient": Mean({"s": 1.5}, _normalised_layers, bias=0.01, share=0.02),
    "tanh-critical-point": Mean({name: float(text) for name, text in _TANH.items()}, _tanh_point),
    "resnet-propagation": Mean(
        {
            "a": 0.8,
            "L": 5,
            "sigma_w": 1.4,
            "sigma_b": 0.3,
            "X": float(np.mean(_RESIDUAL_INPUT**2)),
            "mu": float(np.mean(_RESIDUAL_INPUT)),
        },
        _residual_layer,
        share=0.1,
    ),
    "gate-layer": Mean({"s": 0.8, "X": (0.3**2 + 1.9**2) / 2, "mu": 1.1}, _gate_layer),
    "fourth-moment-recursion": Mean({"n": 5, "p": 0.5, "kappa": 1.8, **_SIGNAL_4}, _fourth_moments),
    "log-norm-linear": Mean({"n": 6}, _linear_norm),
    "small-angles-relu": Mean({"n": 5}, _small_angle),
    "log-norm-relu": Mean({"n": 4}, _relu_norm),
    "norm-tail-bound": Mean({"n": 5}, _mean_norm),
    "balanced-relu-resnet": Mean({"n": 6, "alpha": 0.8, "lambda": 0.6}, _balanced),
    "weight-gradient-law": Mean({"n": 4, "L": 4}, _gradient_norm),
    "log-weight-gaussian": Mean({}, _log_gaussian),
    "log-weight-uniform": Mean({"tau": 1.7}, _log_uniform),
    "uniform-chain-gamma-law": Mean({"L": 4, "t": 3.1}, _uniform_chain),
    "width-one-vanishing": Mean({"L": 2}, _width_one),
    "residual-width-one-gaussian": Mean({"sigma": 0.9}, _residual_gaussian),
    "residual-width-one-uniform": Mean({"tau": 1.4}, _residual_uniform),
    "lyapunov-gaussian": Mean({"N": 5, "k": 2}, _log_stretch),
    "lyapunov-relu": Mean({"N": 5, "k": 2}, _log_stretch_relu, share=0.5),
    "ginibre-products": Mean({"N": 3, "M": 2, "r": 2}, _ginibre),
}
