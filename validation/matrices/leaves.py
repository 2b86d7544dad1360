"""The random matrix of each law that is no operation on others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.finite.gaussian import GOE, GUE
from rmt.finite.largest import LargestEigenvalue
from rmt.finite.wishart import Wishart
from rmt.laws.arcsine import Arcsine
from rmt.laws.cauchy import Cauchy
from rmt.laws.discrete import Discrete
from rmt.laws.empirical import Empirical
from rmt.laws.free_jacobi import FreeJacobi
from rmt.laws.free_multiplicative_brownian import FreeMultiplicativeBrownian
from rmt.laws.free_multiplicative_poisson import FreeMultiplicativePoisson
from rmt.laws.free_poisson import FreePoisson
from rmt.laws.free_stable import FreeStable
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.gaussian import Gaussian
from rmt.laws.kesten_mckay import KestenMcKay
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.uniform import Uniform
from rmt.laws.universal_resnet import UniversalResNet
from validation.matrices.beta_ensembles import gaussian_eigenvalues, jacobi_eigenvalues, wishart_eigenvalues
from validation.matrices.model import (
    Draw,
    draw_eigenvalues,
    draw_matrix,
    gram,
    hermitian,
    matrix_rule,
    spectrum_rule,
)

FloatArray = npt.NDArray[np.float64]
Matrix = npt.NDArray[Any]

# Increments of the free multiplicative Brownian motion for each unit of c = time/2; the error falls with their square.
INCREMENTS = 8


# --- Gaussian matrices ------------------------------------------------------------------------------------------------


@matrix_rule.register
def _semicircle(law: Semicircle, n: int, draw: Draw) -> Matrix:
    """GOE or GUE, shifted."""
    gaussian = draw.gaussian(n, n)
    wigner: Matrix = (gaussian + gaussian.conj().T) * np.sqrt(float(law.variance) / (2.0 * n))
    return wigner + float(law.mean_value) * np.eye(n)


@spectrum_rule.register
def _semicircle_spectrum(law: Semicircle, n: int, draw: Draw) -> FloatArray:
    found = gaussian_eigenvalues(n, draw.beta, draw.generator)
    return float(law.mean_value) + math.sqrt(law.variance) * found


@matrix_rule.register
def _marchenko_pastur(law: MarchenkoPastur, n: int, draw: Draw) -> Matrix:
    """Wishart: X X*, X of shape (n, n/ratio)."""
    columns = draw.count(n / float(law.ratio))
    return gram(draw.gaussian(n, columns)) / columns


@spectrum_rule.register
def _marchenko_pastur_spectrum(law: MarchenkoPastur, n: int, draw: Draw) -> FloatArray:
    return wishart_eigenvalues(n, draw.count(n / float(law.ratio)), draw.beta, draw.generator)


@matrix_rule.register
def _free_poisson(law: FreePoisson, n: int, draw: Draw) -> Matrix:
    """X T X*, X of shape (n, rate n) with entries of variance 1/n, T a matrix of the jumps."""
    columns = draw.count(n * float(law.rate))
    jumps = draw_eigenvalues(law.jump, columns, draw)
    gaussian = draw.gaussian(n, columns)
    return hermitian((gaussian * jumps) @ gaussian.conj().T) / n


@matrix_rule.register
def _fuss_catalan(law: FussCatalan, n: int, draw: Draw) -> Matrix:
    """J J* of the product of `order` square Gaussian matrices."""
    order = float(law.order)
    if order != int(order):
        raise NotImplementedError(
            f"random_matrix: FussCatalan of order {law.order} is no product of Gaussian matrices; choose a whole order"
        )
    product = draw.gaussian(n, n) / np.sqrt(n)
    for _ in range(int(order) - 1):
        product = product @ (draw.gaussian(n, n) / np.sqrt(n))
    return gram(product)


@matrix_rule.register
def _brownian(law: FreeMultiplicativeBrownian, n: int, draw: Draw) -> Matrix:
    return _brownian_motion(float(law.time), n, draw)


@matrix_rule.register
def _universal_resnet(law: UniversalResNet, n: int, draw: Draw) -> Matrix:
    """Free multiplicative Brownian motion at time 2c/a², scaled by a^(2L)."""
    skip = float(law.skip)
    scale = 1.0 if skip == 1.0 else skip ** (2.0 * float(law.depth))
    return scale * _brownian_motion(2.0 * float(law.c) / skip**2, n, draw)


def _brownian_motion(time: float, n: int, draw: Draw) -> Matrix:
    """B B*, B a product of increments ``1 + X + X²/2 + s X'/2``, X and X' Ginibre of variance s = time/(2 steps) and 1.

    The increment of dB = B dX over a step is 1 + X + ∫ X dX + …; the double integral has variance s²/2, half of it
    along X²/2 and half free of it (derived here). Without the two last terms the error would be O(1/steps), with them
    it is O(1/steps²).
    """
    steps = max(4, int(np.ceil(INCREMENTS * time / 2.0)))
    step = time / (2.0 * steps)
    product: Matrix = np.eye(n)
    for _ in range(steps):
        increment = draw.gaussian(n, n) * np.sqrt(step / n)
        increment = increment + 0.5 * increment @ increment + draw.gaussian(n, n) * (0.5 * step / np.sqrt(n))
        product = product + increment @ product
    return gram(product)


# --- projections ------------------------------------------------------------------------------------------------------


@matrix_rule.register
def _free_jacobi(law: FreeJacobi, n: int, draw: Draw) -> Matrix:
    """Corner of a randomly rotated projection (MANOVA)."""
    dimension, rank = _jacobi_sizes(law, n, draw)
    if rank == dimension:
        return np.eye(n)
    corner = draw.isometry(rank, dimension)[:, :n]
    return gram(corner.conj().T)


@spectrum_rule.register
def _free_jacobi_spectrum(law: FreeJacobi, n: int, draw: Draw) -> FloatArray:
    dimension, rank = _jacobi_sizes(law, n, draw)
    return jacobi_eigenvalues(n, rank, dimension, draw.beta, draw.generator)


def _jacobi_sizes(law: FreeJacobi, n: int, draw: Draw) -> tuple[int, int]:
    dimension = max(n + 1, draw.count(n / float(law.trace_p)))
    return dimension, min(dimension - 1, draw.count(dimension * float(law.trace_q)))


@matrix_rule.register
def _multiplicative_poisson(law: FreeMultiplicativePoisson, n: int, draw: Draw) -> Matrix:
    """J J* of a product of rate n projections, each of which cuts one random direction."""
    product: Matrix = np.eye(n)
    for _ in range(draw.count(n * float(law.rate))):
        direction = draw.gaussian(n, 1)
        direction /= np.linalg.norm(direction)
        product = product - (product @ direction) @ direction.conj().T
    return gram(product)


@matrix_rule.register
def _kesten_mckay(law: KestenMcKay, n: int, draw: Draw) -> Matrix:
    """Free sum power of a coin on ±1: a corner, of relative size 1/degree, of a rotated reflection, times degree."""
    degree = float(law.degree)
    isometry = draw.isometry(n, draw.count(n * degree))
    signs = np.where(draw.levels(isometry.shape[1]) < 0.5, -1.0, 1.0)
    return degree * hermitian((isometry * signs) @ isometry.conj().T)


# --- quantiles on the diagonal: laws that are but laws ----------------------------------------------------------------


def _quantiles(law: Any, n: int, draw: Draw) -> FloatArray:
    return np.asarray(law.ppf(draw.levels(n)), dtype=np.float64).reshape(n)


@spectrum_rule.register
def _uniform(law: Uniform, n: int, draw: Draw) -> FloatArray:
    return float(law.a) + float(law.b - law.a) * draw.levels(n)


@spectrum_rule.register
def _arcsine(law: Arcsine, n: int, draw: Draw) -> FloatArray:
    return float(law.a) + float(law.b - law.a) * np.sin(0.5 * np.pi * draw.levels(n)) ** 2


@spectrum_rule.register
def _cauchy(law: Cauchy, n: int, draw: Draw) -> FloatArray:
    return float(law.location) + float(law.scale) * np.tan(np.pi * (draw.levels(n) - 0.5))


@spectrum_rule.register
def _gaussian(law: Gaussian, n: int, draw: Draw) -> FloatArray:
    from scipy.special import ndtri

    found: FloatArray = float(law.mean_value) + np.sqrt(float(law.variance)) * ndtri(draw.levels(n))
    return found


def _empirical_spectrum(law: Empirical, n: int, draw: Draw) -> FloatArray:
    samples: FloatArray = np.sort(np.array([float(sample) for sample in law.samples]))
    chosen: FloatArray = samples[np.floor(draw.levels(n) * len(samples)).astype(int)]
    return chosen


spectrum_rule.register(Discrete, _quantiles)
spectrum_rule.register(FreeStable, _quantiles)
for _law in (Arcsine, Cauchy, Discrete, FreeStable, Gaussian, Uniform):
    matrix_rule.register(_law, lambda law, n, draw: np.diag(spectrum_rule(law, n, draw)))


@matrix_rule.register
def _empirical(law: Empirical, n: int, draw: Draw) -> Matrix:
    """The samples on the diagonal, and a Gaussian matrix of the smoothing."""
    matrix = np.diag(_empirical_spectrum(law, n, draw))
    if law.smoothing is None:
        return matrix
    return matrix + draw_matrix(Semicircle(float(law.smoothing) ** 2), n, draw)


# --- matrices of finite size ------------------------------------------------------------------------------------------


def _ensemble_spectrum(law: GOE | GUE | Wishart, draw: Draw) -> FloatArray:
    match law:
        case Wishart():
            return wishart_eigenvalues(int(law.p), int(law.n), int(law.beta), draw.generator)
        case GOE():
            return gaussian_eigenvalues(int(law.n), 1, draw.generator)
        case GUE():
            return gaussian_eigenvalues(int(law.n), 2, draw.generator)


def _repeated(law: GOE | GUE | Wishart, n: int, draw: Draw) -> FloatArray:
    """Independent matrices of the law's own size, as many as fill n rows."""
    size = int(law.p if isinstance(law, Wishart) else law.n)
    if n % size:
        raise ValueError(f"n={n} must be a multiple of {size}, the size of the matrices of {law!r}")
    return np.concatenate([_ensemble_spectrum(law, draw) for _ in range(n // size)])


for _ensemble in (GOE, GUE, Wishart):
    spectrum_rule.register(_ensemble, _repeated)
    matrix_rule.register(_ensemble, lambda law, n, draw: np.diag(_repeated(law, n, draw)))


@spectrum_rule.register
def _largest(law: LargestEigenvalue, n: int, draw: Draw) -> FloatArray:
    """The largest eigenvalues of n independent matrices."""
    return np.array([_ensemble_spectrum(law.ensemble, draw).max() for _ in range(n)])


@matrix_rule.register
def _largest_matrix(law: LargestEigenvalue, n: int, draw: Draw) -> Matrix:
    return np.diag(_largest(law, n, draw))
