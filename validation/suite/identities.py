"""Results that hold for every matrix, weight or network, and those that no sample can show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from validation.matrices import Draw
from validation.suite.check import Algebra, Check, Identity, Rng, Values

__all__ = ["CHECKS"]

FloatArray = npt.NDArray[np.float64]


# --- transforms of one matrix -----------------------------------------------------------------------------------------


def _transform(eigenvalues: npt.NDArray[Any], z: complex) -> complex:
    """-G(z), the mean of 1/(x - z)."""
    return complex(np.mean(1.0 / (eigenvalues - z)))


def _symmetric(rng: Rng, n: int = 20) -> FloatArray:
    matrix = rng.standard_normal((n, n))
    return matrix + matrix.T


_Z = 1.3 + 0.8j


def _moebius(rng: Rng) -> Values:
    """(p A + q)(r A + s)^-1 of a positive matrix, inverted as a matrix."""
    p, q, r, s = (float(value) for value in rng.uniform(0.3, 1.5, 4))
    root = rng.standard_normal((20, 20))
    matrix = root @ root.T / 20
    image = (p * matrix + q * np.eye(20)) @ np.linalg.inv(r * matrix + s * np.eye(20))
    inner = (s * _Z - q) / (p - r * _Z)
    found = np.linalg.eigvalsh((image + image.T) / 2)
    before = _transform(np.linalg.eigvalsh(matrix), inner)
    return {"p": p, "q": q, "r": r, "s": s, "z": _Z, "m": _transform(found, _Z), "m_A": before, "z_A": inner}


def _transpose(rng: Rng) -> Values:
    matrix = rng.standard_normal((12, 20)) / math.sqrt(20)
    after, before = (np.linalg.eigvalsh(gram) for gram in (matrix.T @ matrix, matrix @ matrix.T))
    return {"c": 0.6, "z": _Z, "z_A": _Z, "m": _transform(after, _Z), "m_A": _transform(before, _Z)}


def _square(rng: Rng) -> Values:
    matrix = _symmetric(rng)
    squares, values = np.linalg.eigvalsh(matrix @ matrix), np.linalg.eigvalsh(matrix)
    return {
        "z": _Z**2, "z_A": _Z, "m": _transform(squares, _Z**2), "m_A": _transform(values, _Z),
        "m_A-": _transform(values, -_Z),
    }  # fmt: skip


# --- bounds, ranks, outliers ------------------------------------------------------------------------------------------


def _filter_bounds(rng: Rng) -> Values:
    a, b = float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.1, 0.9))
    draw = Draw(rng)
    product = np.eye(10)
    norms = []
    for _ in range(2):
        branch = (rng.random((10, 1)) < 0.7) * rng.standard_normal((10, 10)) / math.sqrt(10)
        norms.append(float(np.linalg.norm(branch, 2)))
        product = (a * draw.isometry(10, 10) + b * branch) @ product
    values = np.linalg.svd(product, compute_uv=False)
    return {"a": a, "b": b, "s_1": norms[0], "s_2": norms[1], "s_min": values[-1], "s_max": values[0]}


def _rank(rng: Rng) -> Values:
    widths, kept = (24, 36, 48), (int(rng.integers(4, 37)), int(rng.integers(4, 49)))
    jacobian = np.eye(widths[0])
    for n_in, n_out, count in zip(widths, widths[1:], kept, strict=False):
        weights = rng.standard_normal((n_out, n_in))
        weights[count:] = 0.0
        jacobian = weights @ jacobian
    zeros = 1.0 - np.linalg.matrix_rank(jacobian) / widths[0]
    return {
        "mass_0": float(zeros), "Lambda_1": 24 / 36, "Lambda_2": 0.5, "p_1": kept[0] / 36, "p_2": kept[1] / 48,
    }  # fmt: skip


def _relu_outlier(rng: Rng) -> Values:
    from theory.network import ResNet
    from validation.backend import get_backend
    from validation.networks import Sampler, sample_jacobian

    x = rng.standard_normal(24)
    signal = sample_jacobian(ResNet(depth=6, activation="relu"), x, Sampler(rng, get_backend("numpy")))
    jacobian = np.asarray(signal.jacobian)
    output = float(np.sum(np.asarray(signal.x) ** 2))
    return {
        "Jx_2": float(np.sum((jacobian @ x) ** 2)), "f_2": output, "x_2": float(np.sum(x**2)),
        "x_top": float(np.linalg.norm(jacobian, 2)) ** 2,
    }  # fmt: skip


# --- chains of width one ----------------------------------------------------------------------------------------------


def _chain(rng: Rng, length: int = 5) -> tuple[FloatArray, float, float]:
    weights = rng.uniform(0.5, 1.6, length) * rng.choice((-1.0, 1.0), length)
    return weights, float(rng.uniform(0.5, 1.5)), float(rng.uniform(-2.0, 2.0))


def _slope(weights: Any, x: float, y: float, k: int) -> float:
    """Derivative of the loss by a weight, by a complex step: no difference is taken."""
    moved = weights.astype(complex)
    moved[k] += 1e-30j
    return float(np.imag(0.5 * (np.prod(moved) * x - y) ** 2) / 1e-30)


def _curvature(weights: FloatArray, x: float, y: float, k: int, l: int) -> float:
    """Second derivative of the loss: the central difference of an exact slope, of fourth order."""
    steps, factors = (-2, -1, 1, 2), (1 / 12, -2 / 3, 2 / 3, -1 / 12)
    slopes = []
    for step in steps:
        moved = weights.copy()
        moved[l] += step * 1e-3
        slopes.append(_slope(moved, x, y, k))
    return float(np.dot(factors, slopes) / 1e-3)


def _chain_gradient(rng: Rng) -> Values:
    weights, x, y = _chain(rng)
    return {
        "P": float(np.prod(weights)), "x": x, "y": y, "w_k": float(weights[2]), "g_k": _slope(weights, x, y, 2),
    }  # fmt: skip


def _chain_hessian(rng: Rng) -> Values:
    weights, x, y = _chain(rng)
    return {
        "P": float(np.prod(weights)), "x": x, "y": y, "w_k": float(weights[1]), "w_l": float(weights[3]),
        "H_kl": _curvature(weights, x, y, 1, 3), "H_kk": _curvature(weights, x, y, 1, 1),
    }  # fmt: skip


def _chain_inertia(rng: Rng) -> Values:
    weights, x, y = _chain(rng)
    length = len(weights)
    hessian = np.array([[_curvature(weights, x, y, k, l) for l in range(length)] for k in range(length)])
    inner = weights[:, None] * ((hessian + hessian.T) / 2) * weights
    uniform = np.full(length, 1.0)
    return {
        "L": length, "y": y, "rho": x * float(np.prod(weights)) / y,
        "eta": float(uniform @ inner @ uniform) / length,
        "n_minus": int(np.count_nonzero(np.linalg.eigvalsh(inner) < 0.0)),
    }  # fmt: skip


def _adaptive_steps(rng: Rng) -> Values:
    """One of the first steps of both methods on a chain of equal weights."""
    from theory.escape import descend

    count, decays, rate = int(rng.integers(1, 12)), (float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.9, 0.99))), 0.002
    start = np.full(int(rng.integers(2, 7)), float(rng.uniform(0.05, 0.2)))
    ends = {
        method: descend(start, method, rate, count, beta1=decays[0], beta2=decays[1])[-2:, 0]
        for method in ("rmsprop", "adam")
    }
    return {
        "t": count, "eta": rate, "beta_1": decays[0], "beta_2": decays[1],
        **{f"s_{method}": float(after - before) for method, (before, after) in ends.items()},
    }  # fmt: skip


def _hessian_block(rng: Rng) -> Values:
    """The output is linear in every weight matrix: a mixed difference of size 1 is the second derivative."""
    weights = [rng.standard_normal((4, 4)) for _ in range(5)]
    x, readout = rng.standard_normal(4), rng.standard_normal(4)

    def output(first: float, second: float) -> float:
        moved = [matrix.copy() for matrix in weights]
        moved[1][2, 0] += first
        moved[3][1, 3] += second
        signal = x
        for matrix in moved:
            signal = matrix @ signal
        return float(readout @ signal)

    mixed = output(1, 1) - output(1, 0) - output(0, 1) + output(0, 0)
    return {
        "H": mixed, "b_i": float((readout @ weights[4])[1]), "M_jp": float(weights[2][3, 2]),
        "a_q": float((weights[0] @ x)[0]),
    }  # fmt: skip


CHECKS: dict[str, Check] = {
    "polynomial-moebius": Identity(_moebius),
    "polynomial-transpose": Identity(_transpose),
    "polynomial-square": Identity(_square),
    "additive-filter-bounds": Identity(_filter_bounds),
    "rectangular-chain-rank": Identity(_rank),
    "relu-resnet-outlier": Identity(_relu_outlier),
    "width-one-gradient": Identity(_chain_gradient),
    "width-one-hessian": Identity(_chain_hessian),
    "width-one-inertia": Identity(_chain_inertia),
    "adaptive-escape": Identity(_adaptive_steps),
    "hessian-blocks": Identity(_hessian_block),
    **{
        key: Algebra(reason)
        for key, reason in {
            "moments-from-s": "identity of power series",
            "subordination": "identity of transforms of a law, in the complex plane",
            "singular-value-densities": "change of variables",
            "bernoulli-s-transform": "transform of a law of two atoms",
            "resnet-first-correction": "coefficient of an expansion in 1/depth",
            "sample-variance-decay": "limit of infinite depth of a deterministic map",
            "additive-filter-infinite-depth": "limits of bounds, not of a sampled quantity",
            "additive-filter-log-width": "leading order in 1/depth",
            "escape-from-flat-start": "deterministic optimisation",
            "log-norm-relu-asymptotics": "coefficients of an expansion in 1/width",
            "angle-step-relu": "coefficients of an expansion in 1/width and the angle",
            "hessian-rate": "leading order in 1/width",
            "log-normal-limit": "leading order in 1/width",
            "triangle-law": "limit of infinite width after infinite depth",
            "exponent-resolution": "leading order in 1/width",
        }.items()
    },
}
