"""Derivations against numbers obtained without them: series at infinity, critical points by search, known sequences."""

import math
import re
from fractions import Fraction

import mpmath as mp
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
from rmt.symbolic import derive
from rmt.symbolic.derivation import to_sympy

G, z, m = sp.symbols("G z m")
c, p, sigma = sp.symbols("c p sigma", positive=True)
L = sp.Symbol("L", positive=True, integer=True)
R = sp.Rational


def mask(probability):
    return Discrete({0: 1 - probability, 1: probability})


def mask_chain(probability, variance, depth, *, gaussian):
    layer = FreeProduct((MarchenkoPastur(ratio=1), mask(probability))) if gaussian else mask(probability)
    return FreePower(Affine(layer, variance, 0), depth)


def residual(equation, moments, scale="0.001"):
    """Relative residual of the equation on G = Σ m_k z^{-k-1} at z = 1/scale, without any closed form of G."""
    point = 1 / sp.Float(scale, 60)
    cauchy = sum((sp.N(x, 60) * point ** (-k - 1) for k, x in enumerate([1, *moments])), sp.Float(0, 60))
    sides = [sp.N(side.subs({G: cauchy, z: point}), 60) for side in (equation.lhs, equation.rhs)]
    # the equation's terms cancel to the order of G itself, so compare the effect of a change of G
    slope = sp.diff(equation.lhs - equation.rhs, G).subs({G: cauchy, z: point})
    return abs(complex((sides[0] - sides[1]) / sp.N(slope, 60) / cauchy))


def upper_critical_value(s_transform, start):
    """Smallest positive critical point of z(m) by a search on a grid and a root finder; its critical value."""
    position = sp.lambdify(m, (1 + m) / (m * s_transform), "mpmath")
    slope = lambda x: mp.diff(lambda t: mp.log(abs(position(t))), x)  # noqa: E731
    grid = [start * mp.mpf(1.2) ** k for k in range(120)]
    signs = [mp.sign(slope(x)) for x in grid]
    first = next(i for i in range(len(grid) - 1) if signs[i] != signs[i + 1])
    return position(mp.findroot(slope, (grid[first], grid[first + 1]), solver="anderson", tol=1e-20))


def laguerre_moments(value, n):
    """m_k = (e^{ck}/k) L^{(1)}_{k-1}(-2ck) (Tarnowski et al., arXiv:1809.08848)."""
    return [sp.exp(value * k) / k * sp.assoc_laguerre(k - 1, 1, -2 * value * k) for k in range(1, n + 1)]


# --- the universal law -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [sp.Symbol("c"), c, R(1, 4), 1, Fraction(3, 2), 0.25])
def test_universal_law_has_the_published_equation(value):
    derivation = derive(UniversalResNet(c=value))
    expected = sp.Eq(G, (z * G - 1) * sp.exp(to_sympy(value) * (1 - 2 * z * G)))
    assert derivation.equation == expected
    assert (derivation.G, derivation.z, derivation.m) == (G, z, m)


def test_universal_law_in_symbols():
    derivation = derive(UniversalResNet(c=c))
    root = sp.sqrt(c * (c + 2))
    for edge, sign in zip(derivation.edges, (-1, 1), strict=True):
        assert sp.simplify(edge - (1 + c + sign * root) * sp.exp(sign * root)) == 0
    assert [sp.simplify(x - y) for x, y in zip(derivation.moments(6), laguerre_moments(c, 6), strict=True)] == [0] * 6
    assert derivation.mean == sp.exp(c)
    assert sp.simplify(derivation.variance - 2 * c * sp.exp(2 * c)) == 0
    assert sp.simplify(derivation.s_transform - sp.exp(-c * (1 + 2 * m))) == 0
    assert derivation.parameters == (c,)


def test_universal_law_in_numbers():
    derivation = derive(UniversalResNet(c=R(1, 4)))
    assert [float(e) for e in derivation.edges] == pytest.approx([0.236183, 4.234000], abs=1e-6)
    assert [float(x) for x in derive(UniversalResNet(c=1)).moments(2)] == pytest.approx([2.718282, 22.167168], abs=1e-6)
    assert residual(derivation.equation, laguerre_moments(R(1, 4), 20)) < 1e-35
    assert residual(derivation.equation, laguerre_moments(R(26, 100), 20)) > 1e-6  # the test can fail


def test_universal_law_with_a_skip_other_than_one():
    a = sp.Symbol("a", positive=True)
    derivation = derive(UniversalResNet(c=c, skip=a, depth=L))
    assert derivation.equation == sp.Eq(a ** (2 * L) * G, (z * G - 1) * sp.exp(c / a**2 * (1 - 2 * z * G)))
    numeric = derive(UniversalResNet(c=R(1, 5), skip=R(9, 10), depth=3))
    scaled = [R(9, 10) ** (6 * k) * x for k, x in enumerate(laguerre_moments(R(20, 81), 20), 1)]
    assert residual(numeric.equation, scaled) < 1e-35
    critical = upper_critical_value(numeric.s_transform, mp.mpf("0.01"))
    assert float(numeric.edges[1]) == pytest.approx(float(critical), rel=1e-12)
    values = {c: R(1, 5), a: R(9, 10), L: 3}
    assert [sp.N(e.subs(values)) for e in derivation.edges] == pytest.approx(
        [sp.N(e) for e in numeric.edges], rel=1e-12
    )


@pytest.mark.parametrize("skip", [1.0, 1, R(1)])
def test_a_skip_of_one_needs_no_depth(skip):
    assert derive(UniversalResNet(c=c, skip=skip, depth=7)).equation == derive(UniversalResNet(c=c)).equation


# --- single laws -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 5, 50])
def test_fuss_catalan(order):
    derivation = derive(FussCatalan(order=order))
    moments = [R(math.comb(k * (order + 1), k), k * order + 1) for k in range(1, 13)]
    assert derivation.equation == sp.Eq(z**order * G ** (order + 1) - z * G + 1, 0)
    assert derivation.moments(12) == moments
    assert derivation.edges == (0, R((order + 1) ** (order + 1), order**order))
    assert residual(derivation.equation, moments, "1e-6") < 1e-35
    critical = upper_critical_value(derivation.s_transform, mp.mpf("0.001"))
    assert float(derivation.edges[1]) == pytest.approx(float(critical), rel=1e-12)


def test_fuss_catalan_of_symbolic_order():
    derivation = derive(FussCatalan(order=L))
    assert derivation.equation == sp.Eq(z**L * G ** (L + 1) - z * G + 1, 0)
    assert [x.subs(L, 4) for x in derivation.moments(5)] == derive(FussCatalan(order=4)).moments(5)
    assert derivation.edges[1].subs(L, 4) == derive(FussCatalan(order=4)).edges[1]


def test_semicircle():
    derivation = derive(Semicircle(variance=R(3, 2), mean=2))
    cumulants = [2, R(3, 2), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    moments = series.free_cumulants_to_moments([to_sympy(k) for k in cumulants])
    assert derivation.moments(12) == moments
    assert derivation.free_cumulants(4) == cumulants[:4]
    assert residual(derivation.equation, derivation.moments(20)) < 1e-30
    assert [sp.simplify(x) for x in derivation.edges] == [2 - sp.sqrt(6), 2 + sp.sqrt(6)]
    assert derivation.r_transform == 2 + R(3, 2) * derivation.g
    s_series = series.moments_to_s_series(moments)[:4]
    assert sp.series(derivation.s_transform, m, 0, 4).removeO() == sum(s * m**k for k, s in enumerate(s_series))


@pytest.mark.parametrize("ratio", [R(1, 2), 1, 3, Fraction(2, 5)])
def test_marchenko_pastur(ratio):
    derivation = derive(MarchenkoPastur(ratio=ratio))
    ratio = to_sympy(ratio)
    # Narayana polynomials count partitions by their blocks
    moments = [
        sum(R(math.comb(k, j) * math.comb(k, j - 1), k) * ratio ** (k - j) for j in range(1, k + 1))
        for k in range(1, 21)
    ]
    assert derivation.moments(20) == moments
    assert residual(derivation.equation, moments) < 1e-30
    assert [float(e) for e in derivation.edges] == pytest.approx(
        [float((1 + s * sp.sqrt(ratio)) ** 2) for s in (-1, 1)]
    )
    assert derivation.free_cumulants(4) == [ratio**k for k in range(4)]


def test_discrete():
    derivation = derive(Discrete({-1: R(1, 4), 2: R(3, 4)}))
    moments = [R(1, 4) * (-1) ** k + R(3, 4) * 2**k for k in range(1, 31)]
    assert derivation.moments(5) == moments[:5]
    assert derivation.edges == ()
    assert residual(derivation.equation, moments) < 1e-30
    s_series = series.moments_to_s_series(moments[:4])
    assert sp.series(derivation.s_transform, m, 0, 4).removeO() == sum(s * m**k for k, s in enumerate(s_series))
    g = derivation.g
    r_series = series.moments_to_free_cumulants(moments[:4])
    assert sp.series(derivation.r_transform, g, 0, 4).removeO() == sum(k * g**n for n, k in enumerate(r_series))


# --- operations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize(
    ("depth", "probability", "variance"),
    [(1, R(1, 3), 2), (2, R(1, 2), 2), (7, R(1, 2), R(19, 10)), (10, R(19, 20), 1)],
)
def test_mask_chains(gaussian, depth, probability, variance):
    derivation = derive(mask_chain(probability, variance, depth, gaussian=gaussian))
    # free products by series: moments of one factor are those of the mask, of the other Catalan numbers
    s = series.moments_to_s_series([probability] * 20)
    if gaussian:
        s = series.multiply(s, [(-1) ** k for k in range(20)])
    moments = series.s_series_to_moments([x / to_sympy(variance) ** depth for x in series.power(s, depth)])
    assert derivation.moments(6) == moments[:6]
    assert residual(derivation.equation, moments, "1e-6") < 1e-30
    expected = variance**-depth * ((1 + m) ** (0 if gaussian else 1) / (m + probability)) ** depth
    assert sp.simplify(derivation.s_transform - expected) == 0


@pytest.mark.parametrize("depth", [2, 3, 10, 10000])
def test_published_edges_of_critical_chains(depth):
    """The formulas of Pennington, Schoenholz, Ganguli (arXiv:1802.09979) at criticality, sigma² p = 1."""
    probability = R(1, 3)
    orthogonal = derive(mask_chain(probability, 3, depth, gaussian=False)).edges
    expected = (1 - probability) / probability * R(depth) ** depth / R(depth - 1) ** (depth - 1)
    assert orthogonal[0] == 0
    assert float(sp.log(orthogonal[1])) == pytest.approx(float(sp.log(expected)), rel=1e-12)
    gaussian = derive(mask_chain(probability, 3, depth, gaussian=True)).edges
    point = (-(depth - 1) + sp.sqrt((depth - 1) ** 2 + 4 * depth * probability)) / (2 * depth)
    expected = sp.N((1 + point) / point, 40) * sp.N((point + probability) / probability, 40) ** depth
    assert gaussian[0] == 0
    assert float(sp.N(gaussian[1] / expected, 20)) == pytest.approx(1, rel=1e-12)


def test_edge_below_an_atom():
    """For L(1-p) < 1 the orthogonal chain has an atom above the bulk, and no critical point at positive m."""
    derivation = derive(mask_chain(R(19, 20), 1, 10, gaussian=False))
    position = sp.lambdify(m, (1 + m) / (m * derivation.s_transform))
    # above the bulk m comes back from -infinity: z(m) falls to the edge and rises again
    values = [position(-1.0 - 0.001 * k) for k in range(1, 5000)]
    assert float(derivation.edges[1]) == pytest.approx(min(values), rel=1e-5)
    assert float(derivation.edges[1]) < 1.0
    at_infinity = derive(mask_chain(R(9, 10), 1, 10, gaussian=False)).edges
    assert at_infinity == (0, 1)


def test_single_layer_has_a_gap_at_zero():
    edges = derive(mask_chain(R(1, 4), 1, 1, gaussian=True)).edges
    assert [float(e) for e in edges] == pytest.approx([0.25, 2.25])  # (1 ± √p)²
    assert derive(mask_chain(R(1, 4), 1, 1, gaussian=False)).edges == ()


def test_chain_in_symbols_agrees_with_numbers():
    values = {p: R(2, 5), sigma: R(3, 2), L: 6}
    for gaussian in (True, False):
        symbolic = derive(mask_chain(p, sigma**2, L, gaussian=gaussian))
        numeric = derive(mask_chain(R(2, 5), R(9, 4), 6, gaussian=gaussian))
        assert [
            sp.simplify(x.subs(values) - y) for x, y in zip(symbolic.moments(4), numeric.moments(4), strict=True)
        ] == [0] * 4
        assert float(symbolic.edges[1].subs(values)) == pytest.approx(float(numeric.edges[1]), rel=1e-12)
        assert sp.simplify(symbolic.variance.subs(values) - numeric.variance) == 0
        assert symbolic.parameters == (L, p, sigma)


def test_free_sum_by_cumulants():
    derivation = derive(FreeSum((Semicircle(variance=2), MarchenkoPastur(ratio=R(1, 2)), Discrete({3: 1}))))
    cumulants = [R(1, 2) ** (k - 1) for k in range(1, 26)]
    cumulants[0] += 3
    cumulants[1] += 2
    moments = series.free_cumulants_to_moments(cumulants)
    assert derivation.moments(6) == moments[:6]
    assert residual(derivation.equation, moments) < 1e-30


def test_free_sum_of_marchenko_pastur_laws():
    derivation = derive(FreeSum((MarchenkoPastur(ratio=R(1, 2)), MarchenkoPastur(ratio=R(1, 2)))))
    # a free Poisson law of rate 4 and jumps 1/2: (1 ± √4)²/2
    assert derivation.edges == (R(1, 2), R(9, 2))


def test_affine_with_a_shift():
    derivation = derive(Affine(MarchenkoPastur(ratio=R(1, 4)), -2, 5))
    moments = derive(MarchenkoPastur(ratio=R(1, 4))).moments(25)
    shifted = [
        sum(math.comb(k, j) * (-2) ** j * 5 ** (k - j) * x for j, x in enumerate([1, *moments[:k]]))
        for k in range(1, 26)
    ]
    assert derivation.moments(5) == shifted[:5]
    assert residual(derivation.equation, shifted) < 1e-30
    assert derivation.edges == (5 - 2 * R(9, 4), 5 - 2 * R(1, 4))


def test_symmetrised_singular_values():
    derivation = derive(Symmetrized(Sqrt(FussCatalan(order=2))))
    moments = [0 if k % 2 else x for k in range(1, 41) for x in [derive(FussCatalan(order=2)).moments(20)[k // 2 - 1]]]
    assert derivation.moments(6) == moments[:6]
    assert residual(derivation.equation, moments) < 1e-30
    assert derivation.edges == (-sp.sqrt(R(27, 4)), sp.sqrt(R(27, 4)))


def test_square_of_a_semicircle():
    assert derive(Square(Semicircle(variance=3))).moments(5) == [3**k * x for k, x in enumerate((1, 2, 5, 14, 42), 1)]


# --- residual blocks -------------------------------------------------------------------------------------------------


def gated_cauchy(position, variance):
    """G of J Jᵀ for J = 1 + D W, W Gaussian, D² = 0 or 1 with probability 1/2, by its fixed point at large |z|.

    h = <D² G1> and g = <G2> are averages of the diagonal resolvents of the Hermitisation.
    """
    omega = mp.sqrt(position)
    h = g = 1 / omega
    for _ in range(60):
        diagonal = {d: (omega - variance * d * g) * (omega - variance * h) - 1 for d in (0, 1)}
        h, g = (
            sum(d * (omega - variance * h) / diagonal[d] for d in (0, 1)) / 2,
            sum((omega - variance * d * g) / diagonal[d] for d in (0, 1)) / 2,
        )
    return (
        sum((omega - variance * h) / ((omega - variance * d * g) * (omega - variance * h) - 1) for d in (0, 1))
        / 2
        / omega
    )


def test_residual_block_against_its_matrix_fixed_point():
    block = derive(ResidualSum(Affine(FreeProduct((MarchenkoPastur(ratio=1), mask(R(1, 2)))), R(7, 10), 0), 1))
    position = mp.mpf(40)
    cauchy = gated_cauchy(position, mp.mpf("0.7"))
    ((unknown,),) = [tuple(block.constraints[0].free_symbols - {G, z})]
    values = {G: sp.Float(cauchy, 15), z: sp.Float(position, 15)}
    constraint, equation = (
        sp.lambdify(unknown, (e.lhs - e.rhs).subs(values), "mpmath") for e in (block.constraints[0], block.equation)
    )
    # m0 ≈ m (branch mean)/(total mean) at large z
    solution = mp.findroot(constraint, (position * cauchy - 1) * mp.mpf("0.35") / mp.mpf("1.35"))
    assert abs(equation(solution)) < 1e-12 * abs(equation(2 * solution))
    expansion = sum(mp.mpf(str(sp.N(x, 20))) * position ** (-k - 1) for k, x in enumerate([1, *block.moments(14)]))
    assert float(abs(expansion / cauchy - 1)) < 1e-9


@pytest.mark.parametrize(
    ("gaussian", "expected"), [(True, [2.460375, 15.469915, 136.899419]), (False, [2.460375, 14.249262, 109.363305])]
)
def test_three_residual_blocks(gaussian, expected):
    branch = FreeProduct((MarchenkoPastur(ratio=1), mask(R(1, 2)))) if gaussian else mask(R(1, 2))
    derivation = derive(FreePower(ResidualSum(Affine(branch, R(7, 10), 0), 1), 3))
    assert [float(x) for x in derivation.moments(3)] == pytest.approx(expected, abs=1e-6)


def test_residual_block_in_symbols():
    a = sp.Symbol("a", positive=True)
    branch = Affine(FreeProduct((MarchenkoPastur(ratio=1), mask(p))), sigma**2, 0)
    derivation = derive(ResidualSum(branch, a))
    s = sigma**2
    # m_2 of a + D W by Wick's formula
    expected = [a**2 + s * p, a**4 + 4 * a**2 * s * p + s**2 * (p**2 + p)]
    assert [sp.expand(x - y) for x, y in zip(derivation.moments(2), expected, strict=True)] == [0, 0]


# --- text ------------------------------------------------------------------------------------------------------------


def balanced(text):
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth == 0


@pytest.mark.parametrize(
    "law",
    [
        UniversalResNet(c=c),
        mask_chain(p, sigma**2, L, gaussian=True),
        FreeSum((Semicircle(), MarchenkoPastur(ratio=2))),
    ],
)
def test_texts(law):
    derivation = derive(law)
    latex, markdown = derivation.latex(), derivation.to_markdown()
    assert balanced(latex)
    assert latex.count(r"\[") == latex.count(r"\]") == sum(len(step.formulas) for step in derivation.steps)
    assert latex.count(r"\item") == len(derivation.steps)
    assert markdown.count("$$") == 2 * latex.count(r"\[")
    assert all(step.reason and step.source for step in derivation.steps)
    assert sp.latex(derivation.equation) in markdown
    assert derivation._repr_latex_().startswith("$")
    assert repr(derivation).startswith(f"<Derivation of {law!r} in {len(derivation.steps)} steps")
    assert latex.isascii()
    text = str(derivation)
    assert text.startswith(repr(law))
    assert "$" not in text


def test_what_is_missing_is_named():
    with pytest.raises(NotImplementedError, match=r"Sqrt has no derivation.*law\.symmetrized\(\)"):
        derive(Sqrt(MarchenkoPastur(ratio=1)))
    with pytest.raises(NotImplementedError, match=r"str has no derivation.*theory\.derive"):
        derive("relu")
    with pytest.raises(TypeError, match="give an int"):
        to_sympy("c")
