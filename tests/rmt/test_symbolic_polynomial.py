"""Bivariate polynomials: published ones, and the moments that they imply."""

import math
from fractions import Fraction

import pytest
import sympy as sp

from rmt import series
from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic import derive, polynomial
from rmt.symbolic.polynomial import moments_from_polynomial

m, z = sp.symbols("m z")
half = sp.Rational(1, 2)
MP = MarchenkoPastur(ratio=half)


def test_published_polynomials():
    """Rao and Edelman, The Polynomial Method for Random Matrices, section 6."""
    assert polynomial(FreeSum((Semicircle(), MP))).as_expr() == sp.expand(m**3 + (z + 2) * m**2 + (2 * z - 1) * m + 2)
    product = polynomial(FreeProduct((Semicircle(), MP)))
    assert product.as_expr() == m**4 * z**2 - 2 * m**3 * z + m**2 + 4 * m * z + 4
    assert product.gens == (m, z)


@pytest.mark.parametrize(
    ("law", "moments"),
    [
        (Semicircle(variance=2, mean=3), series.free_cumulants_to_moments([3, 2, 0, 0, 0, 0])),
        (MarchenkoPastur(ratio=3), series.free_cumulants_to_moments([1, 3, 9, 27, 81, 243])),
        (FussCatalan(order=3), [1, 4, 22, 140, 969, 7084]),
        (
            Affine(MP, 2, 0),
            [2**k * x for k, x in enumerate(series.free_cumulants_to_moments([half**k for k in range(6)]), 1)],
        ),
        (FreeSum((MP, MP)), series.free_cumulants_to_moments([2 * half**k for k in range(6)])),
        (FreeProduct((MarchenkoPastur(ratio=1), MarchenkoPastur(ratio=1))), [1, 3, 12, 55, 273, 1428]),
        (FreePower(MarchenkoPastur(ratio=1), 2), [1, 3, 12, 55, 273, 1428]),
        (FreePower(FussCatalan(order=2), 3 * half), [math.comb(4 * k, k) // (3 * k + 1) for k in range(1, 7)]),
        (Square(Semicircle(variance=3)), [3**k * x for k, x in enumerate((1, 2, 5, 14, 42, 132), 1)]),
        (Symmetrized(Sqrt(FussCatalan(order=2))), [0, 1, 0, 3, 0, 12]),
    ],
)
def test_implied_moments(law, moments):
    poly = polynomial(law)
    assert moments_from_polynomial(poly, 6) == list(moments)
    assert poly.is_irreducible
    assert poly.LC() > 0
    assert poly.primitive()[0] == 1


def test_discrete_and_its_sum():
    law = Discrete({0: Fraction(1, 3), 1: Fraction(1, 3), 3: Fraction(1, 3)})
    raw = [sp.Rational(1 + 3**k, 3) for k in range(1, 7)]
    assert moments_from_polynomial(polynomial(law), 6) == raw
    cumulants = series.moments_to_free_cumulants(raw)
    cumulants[1] += 1
    total = FreeSum((Semicircle(), law))
    assert moments_from_polynomial(polynomial(total), 6) == series.free_cumulants_to_moments(cumulants)
    assert derive(total).moments(6) == series.free_cumulants_to_moments(cumulants)


def test_residual_block_agrees_with_its_series():
    branch = Affine(FreeProduct((MarchenkoPastur(ratio=1), Discrete({0: half, 1: half}))), sp.Rational(7, 10), 0)
    block = ResidualSum(branch, 1)
    assert moments_from_polynomial(polynomial(block), 6) == derive(block).moments(6)


def compound_moments(n):
    """Moments of SC ⊠ MP(1/2): Xᵀ W X is a free compound Poisson matrix of rate 1/2 and jumps W, half of it zeros."""
    semicircle = series.free_cumulants_to_moments(([0, 1] + [0] * n)[:n])
    return [2 * x for x in series.free_cumulants_to_moments([Fraction(x, 2) for x in semicircle])]


def test_product_with_a_centred_law():
    poly = polynomial(FreeProduct((Semicircle(), MP)))
    assert moments_from_polynomial(poly, 10) == compound_moments(10)


def test_branch_points_of_the_polynomial_contain_the_edge():
    (equation,) = derive(FreeProduct((Semicircle(), MP))).edges
    zeros = [float(sp.re(x)) for x in sp.Poly(equation.lhs, z).nroots() if abs(sp.im(x)) < 1e-12]
    moments = compound_moments(120)
    # at a square-root edge m_{2k+2}/m_{2k} = edge² (1 - 3/(2k) + O(1/k²)); take out the 1/k term
    ratios = [float(moments[2 * k + 1] / moments[2 * k - 1]) for k in (58, 59)]
    assert max(zeros) ** 2 == pytest.approx(59 * ratios[1] - 58 * ratios[0], rel=2e-3)


def test_symbolic_parameters():
    c = sp.Symbol("c", positive=True)
    assert sp.expand(polynomial(MarchenkoPastur(ratio=c)).as_expr() - (c * z * m**2 + (z + c - 1) * m + 1)) == 0


def test_refusals_name_the_next_step():
    with pytest.raises(NotImplementedError, match=r"UniversalResNet has no polynomial.*rmt\.derive"):
        polynomial(UniversalResNet(c=1))
    with pytest.raises(ValueError, match="exact parameters"):
        polynomial(MarchenkoPastur(ratio=0.5))
    with pytest.raises(NotImplementedError, match="rational"):
        polynomial(FreePower(MP, sp.sqrt(2)))
