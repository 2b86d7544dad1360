"""The random matrix of each operation on laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower, FreeSumPower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.gated import GatedLayer
from rmt.algebra.inverse import Inverse
from rmt.algebra.mixture import Mixture
from rmt.algebra.polynomial_image import PolynomialImage
from rmt.algebra.polynomial_law import PolynomialLaw
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.law import Law
from validation.matrices.model import (
    Draw,
    blocks,
    draw_eigenvalues,
    draw_matrix,
    gram,
    hermitian,
    matrix_rule,
    spectrum_rule,
)

FloatArray = npt.NDArray[np.float64]
Matrix = npt.NDArray[Any]


# --- free sums, products and powers -----------------------------------------------------------------------------------


@matrix_rule.register
def _free_sum(law: FreeSum, n: int, draw: Draw) -> Matrix:
    """A + Q B Q* + … with Haar rotations Q."""
    first, *others = law.laws
    total = draw_matrix(first, n, draw)
    for other in others:
        total = total + draw.rotated(draw_eigenvalues(other, n, draw))
    return total


@matrix_rule.register
def _free_product(law: FreeProduct, n: int, draw: Draw) -> Matrix:
    """The matrix sqrt(A) Q B Q* sqrt(A), …, with Haar rotations Q."""
    return _product(list(law.laws), n, draw)


@matrix_rule.register
def _free_power(law: FreePower, n: int, draw: Draw) -> Matrix:
    """The product of independent copies."""
    return _product([law.law] * _whole(law, law.exponent, "its fractional powers"), n, draw)


def _product(laws: list[Law], n: int, draw: Draw) -> Matrix:
    """The factor that leaves [0, oo), if there is one, stands in the middle of the others' roots."""
    spectra = sorted((draw_eigenvalues(law, n, draw) for law in laws), key=lambda spectrum: float(spectrum.min()))
    core: Matrix = np.diag(spectra[0])
    for spectrum in spectra[1:]:
        roots = np.sqrt(np.maximum(spectrum, 0.0))
        basis = draw.isometry(n, n)
        core = hermitian(roots[:, None] * (basis @ core @ basis.conj().T) * roots)
    return core


@matrix_rule.register
def _free_sum_power(law: FreeSumPower, n: int, draw: Draw) -> Matrix:
    """Exponent times the compression to a corner of relative size 1/exponent (Nica and Speicher 1996)."""
    exponent = float(law.exponent)
    if exponent < 1.0:
        raise NotImplementedError(
            f"random_matrix: FreeSumPower of exponent {law.exponent} < 1 has no general matrix; choose one of at least "
            "1, or the law itself where it has a name"
        )
    return _corner(law.law, n, draw.count(n * exponent), draw) * exponent


@matrix_rule.register
def _compression(law: Compression, n: int, draw: Draw) -> Matrix:
    """The corner of a rotated matrix of size n/ratio."""
    return _corner(law.law, n, draw.count(n / float(law.ratio)), draw)


def _corner(law: Law, n: int, size: int, draw: Draw) -> Matrix:
    size = max(size, n)
    isometry = draw.isometry(n, size)
    return hermitian((isometry * draw_eigenvalues(law, size, draw)) @ isometry.conj().T)


def _whole(law: Law, exponent: Any, what: str) -> int:
    if float(exponent) != int(float(exponent)):
        raise NotImplementedError(
            f"random_matrix: {type(law).__name__} of exponent {exponent}: {what} have no matrix; choose a whole one"
        )
    return int(float(exponent))


# --- rectangular and residual sums ------------------------------------------------------------------------------------


@matrix_rule.register
def _rectangular_sum(law: RectangularSum, n: int, draw: Draw) -> Matrix:
    """(A + B + …)(A + B + …)*, each n × n/ratio with singular bases of its own."""
    columns = max(n, draw.count(n / float(law.ratio)))
    total: Matrix = np.zeros((n, columns))
    for part in law.laws:
        total = total + _bi_invariant(part, n, columns, draw)
    return gram(total)


@matrix_rule.register
def _residual_sum(law: ResidualSum, n: int, draw: Draw) -> Matrix:
    """(a + Y)(a + Y)*, Y bi-invariant."""
    return gram(float(law.skip) * np.eye(n) + _bi_invariant(law.branch, n, n, draw))


def _bi_invariant(law: Law, rows: int, columns: int, draw: Draw) -> Matrix:
    """A matrix Y with Haar singular bases, Y Y* of that law."""
    roots = np.sqrt(np.maximum(draw_eigenvalues(law, rows, draw), 0.0))
    return (draw.isometry(rows, rows) * roots) @ draw.isometry(rows, columns)


@matrix_rule.register
def _gated(law: GatedLayer, n: int, draw: Draw) -> Matrix:
    """(D1 + D2 W)(D1 + D2 W)*, W Gaussian."""
    pairs = np.array([[float(gate) for gate in pair] for pair, _ in law.gates])
    ends = np.cumsum([float(mass) for _, mass in law.gates])
    chosen = np.minimum(np.searchsorted(ends, draw.levels(n), side="right"), len(ends) - 1)
    first, second = pairs[chosen].T
    weights = draw.gaussian(n, n) * np.sqrt(float(law.variance) / n)
    return gram(np.diag(first) + second[:, None] * weights)


# --- polynomials ------------------------------------------------------------------------------------------------------


@matrix_rule.register
def _polynomial_law(law: PolynomialLaw, n: int, draw: Draw) -> Matrix:
    """The polynomial in matrices of the variables' laws, each in a basis of its own."""
    variables = [draw.rotated(draw_eigenvalues(variable, n, draw)) for variable in law.laws]
    total: Matrix = np.zeros((n, n))
    for coefficient, word in law.terms:
        factor = complex(coefficient)
        term: Matrix = np.eye(n) * (factor.real if factor.imag == 0.0 else factor)
        for letter in word:
            term = term @ variables[letter]
        total = total + term
    return hermitian(total)


# --- functions of one law ---------------------------------------------------------------------------------------------


@matrix_rule.register
def _affine(law: Affine, n: int, draw: Draw) -> Matrix:
    return float(law.scale) * draw_matrix(law.law, n, draw) + float(law.shift) * np.eye(n)


@spectrum_rule.register
def _affine_spectrum(law: Affine, n: int, draw: Draw) -> FloatArray:
    return float(law.scale) * draw_eigenvalues(law.law, n, draw) + float(law.shift)


@matrix_rule.register
def _square(law: Square, n: int, draw: Draw) -> Matrix:
    return gram(draw_matrix(law.law, n, draw))


@spectrum_rule.register
def _square_spectrum(law: Square, n: int, draw: Draw) -> FloatArray:
    return draw_eigenvalues(law.law, n, draw) ** 2


@matrix_rule.register
def _sqrt(law: Sqrt, n: int, draw: Draw) -> Matrix:
    values, vectors = np.linalg.eigh(draw_matrix(law.law, n, draw))
    return hermitian((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.conj().T)


@spectrum_rule.register
def _sqrt_spectrum(law: Sqrt, n: int, draw: Draw) -> FloatArray:
    return np.sqrt(np.maximum(draw_eigenvalues(law.law, n, draw), 0.0))


@matrix_rule.register
def _inverse(law: Inverse, n: int, draw: Draw) -> Matrix:
    return hermitian(np.linalg.inv(draw_matrix(law.law, n, draw)))


@spectrum_rule.register
def _inverse_spectrum(law: Inverse, n: int, draw: Draw) -> FloatArray:
    return 1.0 / draw_eigenvalues(law.law, n, draw)


@matrix_rule.register
def _polynomial_image(law: PolynomialImage, n: int, draw: Draw) -> Matrix:
    """The polynomial in the matrix, by Horner's rule."""
    matrix = draw_matrix(law.law, n, draw)
    total: Matrix = np.zeros((n, n))
    for coefficient in reversed(law.coefficients):
        total = total @ matrix + float(coefficient) * np.eye(n)
    return hermitian(total)


@spectrum_rule.register
def _polynomial_image_spectrum(law: PolynomialImage, n: int, draw: Draw) -> FloatArray:
    coefficients = [float(coefficient) for coefficient in law.coefficients]
    values = np.polynomial.polynomial.polyval(draw_eigenvalues(law.law, n, draw), coefficients)
    return np.asarray(values, dtype=np.float64)


# --- direct sums ------------------------------------------------------------------------------------------------------


@matrix_rule.register
def _mixture(law: Mixture, n: int, draw: Draw) -> Matrix:
    """Block-diagonal."""
    from scipy.linalg import block_diag

    sizes = blocks(n, [float(weight) for _, weight in law.parts], draw)
    parts = zip(law.parts, sizes, strict=True)
    matrix: Matrix = block_diag(*(draw_matrix(part, size, draw) for (part, _), size in parts if size))
    return matrix


@spectrum_rule.register
def _mixture_spectrum(law: Mixture, n: int, draw: Draw) -> FloatArray:
    sizes = blocks(n, [float(weight) for _, weight in law.parts], draw)
    return np.concatenate(
        [draw_eigenvalues(part, size, draw) for (part, _), size in zip(law.parts, sizes, strict=True) if size]
    )


@matrix_rule.register
def _symmetrized(law: Symmetrized, n: int, draw: Draw) -> Matrix:
    """Blocks A and -B, A and B of the law."""
    return _mixture(_halves(law), n, draw)


@spectrum_rule.register
def _symmetrized_spectrum(law: Symmetrized, n: int, draw: Draw) -> FloatArray:
    return _mixture_spectrum(_halves(law), n, draw)


def _halves(law: Symmetrized) -> Mixture:
    return Mixture({law.law: 0.5, Affine(law.law, -1): 0.5})
