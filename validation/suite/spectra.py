"""Results about the spectra of large random matrices."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.laws.free_multiplicative_poisson import FreeMultiplicativePoisson
from theory.catalogue.published import Entry
from validation.matrices import Draw
from validation.suite.check import Check, Mean, Rng, Spectrum, Values

__all__ = ["CHECKS"]

FloatArray = npt.NDArray[np.float64]
# Complex matrices of this size: averages over their spectra are off by O(1/n²).
_N = 48
_BIAS = 4.0 / _N**2


def _gram(matrix: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    return matrix @ matrix.conj().T


def _moments(matrices: list[npt.NDArray[np.complex128]], count: int) -> FloatArray:
    """Mean normalised traces of the first powers of X X*."""
    rows = []
    for matrix in matrices:
        values = np.linalg.svd(matrix, compute_uv=False) ** 2
        rows.append([float(np.sum(values**k)) / matrix.shape[0] for k in range(1, count + 1)])
    return np.asarray(np.mean(rows, axis=0), dtype=np.float64)


def _ginibre(draw: Draw, n: int) -> npt.NDArray[np.complex128]:
    return np.asarray(draw.gaussian(n, n) / math.sqrt(n), dtype=np.complex128)


def _r_diagonal(rng: Rng, count: int) -> Values:
    """A + U B V with Haar unitaries; A and B diagonal of known moments."""
    draw = Draw(rng, 2)
    first = np.sqrt(np.repeat([0.5, 2.0], _N // 2))
    second = np.sqrt(np.repeat([0.0, 0.3, 1.5], _N // 3))
    found = [np.diag(first) + (draw.isometry(_N, _N) * second) @ draw.isometry(_N, _N) for _ in range(max(1, count))]
    return dict(zip(("m_1", "m_2", "m_3"), _moments(found, 3), strict=True))


_R_DIAGONAL = {
    **{f"a_{k}": (0.5**k + 2.0**k) / 2 for k in (1, 2, 3)},
    **{f"b_{k}": (0.3**k + 1.5**k) / 3 for k in (1, 2, 3)},
}


def _ring(rng: Rng, count: int) -> Values:
    """Share of the eigenvalues of a product of three Ginibre matrices within a radius."""
    draw = Draw(rng, 2)
    shares = []
    for _ in range(max(1, count)):
        product = _ginibre(draw, _N) @ _ginibre(draw, _N) @ _ginibre(draw, _N)
        shares.append(float(np.mean(np.abs(np.linalg.eigvals(product)) <= 0.5)))
    return {"F": np.array(shares)}


def _critical_variance(rng: Rng, count: int) -> Values:
    """Two layers with slopes of two sizes, at criticality; the mean of the spectrum is 1."""
    draw = Draw(rng, 2)
    slopes = np.sqrt(np.repeat([0.5, 1.5], _N // 2))[:, None]
    found = [(slopes * _ginibre(draw, _N)) @ (slopes * _ginibre(draw, _N)) for _ in range(max(1, count))]
    first, second = _moments(found, 2)
    return {"mean": first, "mean square": second}


def _critical_variance_expected(entry: Entry) -> Values:
    values = {"L": 2, "s_1": -1, "mu_1": 1, "mu_2": 1.25}
    variance = entry.statement[0].rhs.subs({s: values[str(s)] for s in entry.statement[0].rhs.free_symbols})
    return {"mean": 1.0, "mean square": 1.0 + float(variance)}


def _any_weights(rng: Rng, count: int) -> Values:
    """D W with W of singular values in two sizes and Haar bases, D of slopes in two sizes."""
    draw = Draw(rng, 2)
    roots, slopes = np.sqrt(np.repeat([0.5, 1.5], _N // 2)), np.sqrt(np.repeat([0.2, 1.2], _N // 2))[:, None]
    found = [slopes * (draw.isometry(_N, _N) * roots) @ draw.isometry(_N, _N) for _ in range(max(1, count))]
    return {"m_2": _moments(found, 2)[1]}


def _fuss_catalan(rng: Rng, count: int) -> Values:
    draw = Draw(rng, 2)
    found = [_ginibre(draw, _N) @ _ginibre(draw, _N) for _ in range(max(1, count))]
    return {"m_k": _moments(found, 3)[2]}


def _rectangular(rng: Rng, count: int) -> Values:
    """Moments of JᵀJ, J = D W D W, widths 32, 48, 64; gates open with probability 0.75 and 0.5."""
    draw = Draw(rng, 2)
    widths, open_ = (32, 48, 64), (36, 32)
    found = []
    for _ in range(max(1, count)):
        jacobian: npt.NDArray[np.complex128] = np.eye(widths[0], dtype=np.complex128)
        for (n_in, n_out), kept, sigma in zip(pairwise(widths), open_, (1.5, 0.8), strict=True):
            weights = draw.gaussian(n_out, n_in) * (sigma / math.sqrt(n_out))
            weights[kept:] = 0.0
            jacobian = weights @ jacobian
        found.append(jacobian.conj().T)
    return dict(zip(("m_1", "m_2"), _moments(found, 2), strict=True))


def _rectangular_expected(entry: Entry) -> Values:
    """Moments from the first two terms of the stated S, ``s_0 + s_1 m``."""
    import sympy as sp

    values = {"sigma_1": 1.5, "sigma_2": 0.8, "p_1": 0.75, "p_2": 0.5, "Lambda_1": 32 / 48, "Lambda_2": 0.5}
    right = entry.statement[0].rhs
    right = right.subs({s: values[str(s)] for s in right.free_symbols if str(s) in values})
    (m,) = right.free_symbols
    s_0, s_1 = float(right.subs(m, 0)), float(sp.diff(right, m).subs(m, 0))
    return {"m_1": 1 / s_0, "m_2": (s_0 - s_1) / s_0**3}


def _three_blocks(rng: Rng, count: int) -> Values:
    """First two moments of three blocks 1 + D W, exactly half of the gates open, in bases of their own."""
    draw = Draw(rng, 2)
    gates = np.repeat([0.0, math.sqrt(0.7)], _N // 2)[:, None]
    values: dict[str, Any] = {}
    for name in ("gaussian", "haar"):
        found = []
        for _ in range(max(1, count)):
            product: npt.NDArray[np.complex128] = np.eye(_N, dtype=np.complex128)
            for _ in range(3):
                weights = _ginibre(draw, _N) if name == "gaussian" else draw.isometry(_N, _N)
                # a new basis: the gates of two blocks are free
                product = draw.isometry(_N, _N) @ ((np.eye(_N) + gates * weights) @ product)
            found.append(product)
        first, second = _moments(found, 2)
        values |= {f"m_1_{name}": first, f"m_2_{name}": second}
    return values


def _random_features(rng: Rng, n: int) -> FloatArray:
    """Y Yᵀ/m of features sign(h) of Gaussian data, sizes n_0, m, n_1 = 1.5 n, 3 n, n.

    The sign does not see the norms of weights and data, whose fluctuations bias other features at finite size.
    """
    inner, samples = 3 * n // 2, 3 * n
    hidden = rng.standard_normal((n, inner)) @ rng.standard_normal((inner, samples)) / math.sqrt(inner)
    features = np.sign(hidden)
    return np.asarray(np.linalg.eigvalsh(features @ features.T / samples), dtype=np.float64)


def _inverse(law: Law) -> Law:
    return law.inverse()


def _cuts(_law: Law) -> Law:
    """A product of projections, one direction each, scaled to mean 1."""
    return math.exp(2.0) * FreeMultiplicativePoisson(2)


CHECKS: dict[str, Check] = {
    "free-sum": Spectrum({"c": 0.5}),
    "free-product": Spectrum({"c": 0.5}),
    "compression": Spectrum({"q": 0.4}),
    "r-diagonal-sum": Mean(_R_DIAGONAL, _r_diagonal, bias=_BIAS, share=0.001),
    "polynomial-plus-wigner": Spectrum({"s": 0.7}),
    "polynomial-plus-wishart": Spectrum({"c": 0.4}),
    "polynomial-times-wishart": Spectrum({"c": 0.4}),
    "polynomial-grammian": Spectrum({"s": 0.3}),
    "polynomial-compression": Spectrum({"q": 0.4}),
    "semicircle-plus-marchenko-pastur": Spectrum({}),
    "semicircle-times-marchenko-pastur": Spectrum({}),
    "marchenko-pastur": Spectrum({"c": 0.3}, edges={"x_min": 0, "x_max": -1}),
    "single-ring": Mean({"m": 0.5 ** (2 / 3) - 1}, _ring, bias=1.0 / _N, share=0.001),
    "semicircle-plus-uniform-edge": Spectrum({"m": 1.3}, edges={"x_max": -1}),
    "chain-gaussian": Spectrum({"depth": 3, "p": 0.7, "sigma_w": 1.1}),
    "chain-orthogonal": Spectrum({"depth": 3, "p": 0.7, "sigma_w": 1.1}),
    "variance-at-criticality": Mean(
        {}, _critical_variance, expected=_critical_variance_expected, bias=_BIAS, share=0.001
    ),
    "weights-of-any-law": Mean({"mu_1": 0.7, "mu_2": 0.74, "w_2": 1.25}, _any_weights, bias=_BIAS, share=0.001),
    "fuss-catalan-moments": Mean({"L": 2, "k": 3}, _fuss_catalan, bias=2 * _BIAS, share=0.001),
    "fuss-catalan-edge": Spectrum({"order": 3}, edges={"x_max": -1}, given={"L": 3}),
    "fuss-catalan-density": Spectrum({"order": 3}),
    "largest-eigenvalue-orthogonal": Spectrum({"depth": 4, "p": 0.6}, edges={"x_max": -1}, given={"L": 4, "p": 0.6}),
    "largest-eigenvalue-gaussian": Spectrum({"depth": 4, "p": 0.5}, edges={"x_max": -1}, given={"L": 4, "p": 0.5}),
    "smooth-class": Spectrum({"s_0": 2.0}, edges={"x_max": -1}),
    "bernoulli-class": Spectrum({"s_0": 2.0}, edges={"x_max": -1}, sampled=_cuts),
    "universal-resnet-is-smooth": Spectrum({"c": 0.7}),
    "rectangular-chain": Mean({}, _rectangular, expected=_rectangular_expected, bias=2 * _BIAS, share=0.001),
    "residual-block": Spectrum({"skip": 1.0, "s": 0.7}),
    "three-relu-blocks": Mean({}, _three_blocks, bias=_BIAS, share=0.001),
    "gated-layer-moments": Spectrum({"s": 0.7}),
    "universal-resnet-law": Spectrum({"c": 1.7, "skip": 0.9, "depth": 3}),
    "universal-resnet-moments": Spectrum({"c": 0.4}),
    "universal-resnet-edges": Spectrum({"c": 1.2}, edges={"x_min": 0, "x_max": -1}),
    "universal-resnet-inversion": Spectrum({"c": 0.6}, sampled=_inverse),
    "universal-resnet-density": Spectrum({"c": 0.25}),
    "additive-filter-law": Spectrum({"a": 0.9, "b": 0.4, "L": 3}),
    "additive-filter-critical": Spectrum({"t": 0.7}),
    "random-features": Spectrum({"eta": 1.0, "zeta": 2 / math.pi, "phi": 0.5, "psi": 1.5}, spectrum=_random_features),
}
