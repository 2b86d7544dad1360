"""What other packages were measured to get wrong, or never to finish: each must come out right here.

The comment of each test says which failure it stands for.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt import (
    ConvergenceError,
    Discrete,
    FussCatalan,
    MarchenkoPastur,
    PreconditionError,
    ResidualSum,
    Semicircle,
    Status,
)
from rmt.series import free_cumulants_to_moments, moments_to_free_cumulants
from theory import Chain, get_activation, jacobian_law

EULER = 0.57721566490153286


def fuss_catalan(order, t):
    """(x, density) at angles t in (0, pi/(order + 1)): no equation is solved."""
    s = order
    x = np.exp((s + 1) * np.log(np.sin((s + 1) * t)) - np.log(np.sin(t)) - s * np.log(np.sin(s * t)))
    density = np.exp(2 * np.log(np.sin(t)) + (s - 1) * np.log(np.sin(s * t)) - s * np.log(np.sin((s + 1) * t))) / np.pi
    return x, density


def fuss_catalan_near(order, targets):
    """(x, density) next to the wanted points, by halving the angle."""
    low, high = np.zeros(targets.shape), np.full(targets.shape, np.pi / (order + 1))
    with np.errstate(all="ignore"):
        for _ in range(60):
            middle = (low + high) / 2
            beyond = fuss_catalan(order, middle)[0] > targets  # x falls with the angle
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    return fuss_catalan(order, (low + high) / 2)


def product_of(order):
    law = MarchenkoPastur()
    for _ in range(order - 1):
        law = law @ MarchenkoPastur()
    return law


def semicircle_plus_atoms(x, masses):
    """Density of Semicircle() + Discrete(masses): the polynomial in g at real x, which has one complex pair at most."""
    out = []
    for point in x:
        # (x - g - a) for each atom; g prod(x - g - a) - sum p prod over the others = 0
        factors = [np.poly1d([-1.0, point - a]) for a in masses]
        whole = np.poly1d([1.0, 0.0])
        rest = np.poly1d([0.0])
        for k, p in enumerate(masses.values()):
            others = np.poly1d([1.0])
            for j, factor in enumerate(factors):
                others = others * factor if j != k else others
            whole, rest = whole * factors[k], rest + p * others
        out.append(max(0.0, -min((whole - rest).roots.imag)) / np.pi)
    return np.array(out)


# --- Fuss–Catalan: wrong branches, lost hard edges -------------------------------------------------------------------


@pytest.mark.parametrize("order", [4, 10])
def test_rmtool_largest_imaginary_part_is_not_the_branch(order):
    # rmtool, best_density: wrong at 1000 of 1000 points for the products of 4 and of 10
    edge = (order + 1) ** (order + 1) / order**order
    x, density = fuss_catalan_near(order, edge * (np.arange(1000) + 0.5) / 1000)
    np.testing.assert_allclose(product_of(order).pdf(x), density, rtol=1e-9)


@pytest.mark.parametrize("order", [2, 4, 10, 50])
def test_freealg_fuss_catalan_loses_its_branch_on_a_uniform_grid(order):
    # freealg, FussCatalan(L).density: 33/451/358/317 of 1000 points more than 50 % off; 1000 of 1000 with eta = 0
    edge = (order + 1) ** (order + 1) / order**order
    x, density = fuss_catalan_near(order, edge * (np.arange(1000) + 0.5) / 1000)
    for law in (FussCatalan(order), MarchenkoPastur().free_power(order)):
        np.testing.assert_allclose(law.pdf(x), density, rtol=1e-9)


@pytest.mark.parametrize("order", [2, 4, 10, 50])
def test_freenn_and_freealg_at_the_hard_edge(order):
    # FreeNN: no answer in 60 s on a log grid (L = 2, 4, 50), 199 bad points (L = 10); freealg: 183 to 635 bad points
    edge = (order + 1) ** (order + 1) / order**order
    x, density = fuss_catalan_near(order, edge * np.logspace(-6, -0.01, 400))
    np.testing.assert_allclose(product_of(order).pdf(x), density, rtol=1e-9)


def test_freealg_fitted_form_loses_the_mass_next_to_zero():
    # freealg, AlgebraicForm fitted to eigenvalues: mass .76 (L = 2) and .60 (L = 4), the hard edge is lost
    for order in (2, 4):
        law = product_of(order)
        assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-10)
        # the mass below x is (L + 1) sin(pi/(L + 1))/pi x^(1/(L + 1)) to leading order
        x = 1e-12
        leading = (order + 1) * math.sin(math.pi / (order + 1)) / math.pi * x ** (1 / (order + 1))
        assert law.cdf(x) == pytest.approx(leading, rel=0.02)


def test_freealg_fuss_catalan_without_arguments():
    # freealg, FussCatalan().density(): AttributeError, a misspelt bound
    curve = FussCatalan().curve(points=60)
    assert curve.status is Status.OK
    assert FussCatalan(2).curve(points=60).status is Status.OK


def test_rmtool_discriminant_clutters_the_edges_with_zeros():
    # rmtool: zeros repeated L² times among the "edges"; the top edge right to 10 digits
    for order in (4, 10, 20):
        edges = [float(e.position) for e in product_of(order).support().edges]
        assert edges == pytest.approx([0, (order + 1) ** (order + 1) / order**order], rel=1e-13, abs=1e-300)


def test_free_probability_crate_moments_of_a_product():
    # free-probability (Rust): moments of MP x MP [1, 3, 10, 0, 0, 0]
    moments = (MarchenkoPastur() @ MarchenkoPastur()).moments(6)
    assert moments == [1, 3, 12, 55, 273, 1428]
    assert not any(isinstance(m, float) for m in moments)
    assert product_of(3).moments(4) == [1, 4, 22, 140]


def test_finitefree_moments_at_finite_dimension_are_not_those_of_the_limit():
    # finitefree: m_2 = limit (1 - O(1/d)) at d = 400; the limit itself is exact here, order 50 included
    fifty = product_of(10).moments(50)
    assert fifty[1] == 11
    assert fifty[49] == math.comb(550, 50) // 501


def test_cumulants_of_order_twelve_are_exact():
    # free-probability (Rust): enumerates the noncrossing partitions, a second at order 12
    moments = MarchenkoPastur(Fraction(1, 3)).moments(24)
    cumulants = moments_to_free_cumulants(moments)
    assert cumulants == [Fraction(1, 3) ** k for k in range(24)]
    assert free_cumulants_to_moments(cumulants) == moments


# --- semicircle plus atoms: wrong branches, negative densities -------------------------------------------------------


@pytest.mark.parametrize(
    "masses",
    [{-0.5: 0.5, 0.5: 0.5}, {-1.0: 0.5, 1.0: 0.5}, {-2.0: 0.5, 2.0: 0.5}, {-1.0: 1 / 3, 2.0: 2 / 3}],
    ids=["one interval", "cusp", "two intervals", "asymmetric"],
)
def test_freealg_deformed_wigner_and_freeconvolutioncode_two_atoms(masses):
    # freealg, DeformedWigner: 6 points of 1000 on the wrong branch at ±2, 1 at the asymmetric pair, 3e-3 off at the
    # cusp; FreeConvolutionCode: densities of 1e5 to 1e8, hundreds of negative values
    law = Semicircle() + Discrete(masses)
    x = np.linspace(law.support().lower - 0.2, law.support().upper + 0.2, 1000)
    density = law.pdf(x)
    assert np.all(density >= 0)
    assert density.max() <= 1 / math.pi  # Biane: the density of a sum with Semicircle(v) is at most 1/(pi sqrt v)
    np.testing.assert_allclose(density, semicircle_plus_atoms(x, masses), atol=2e-8)  # np.roots at double roots
    inside = density > 0.02
    np.testing.assert_allclose(density[inside], semicircle_plus_atoms(x[inside], masses), rtol=1e-10)


def test_mpmath_and_sympy_roots_do_not_converge_at_the_cusp():
    # mpmath.polyroots, sympy.nroots: NoConvergence after 70 s at the exact cusp of ±1
    law = Semicircle() + Discrete({-1: 0.5, 1: 0.5})
    assert law.pdf(0.0) == pytest.approx(0, abs=1e-4)
    assert law.cdf(0.0) == pytest.approx(0.5, abs=1e-12)
    x = np.array([1e-9, 1e-6, 1e-3])
    np.testing.assert_allclose(law.pdf(x), semicircle_plus_cusp(x), rtol=1e-6)
    assert [float(e.exponent) for e in law.support().edges] == pytest.approx([0.5, 1 / 3, 1 / 3, 0.5], abs=1e-3)
    assert law.curve(points=80).status is Status.OK


def semicircle_plus_cusp(x):
    """Density of Semicircle() + (delta_1 + delta_-1)/2 for small x > 0, scaled so that np.roots keeps its digits."""
    out = []
    for point in x:
        # (x - g)/((x - g)^2 - 1) = g, or g^3 - 2 x g^2 + x^2 g - x = 0; with g = x^(1/3) h
        s = point ** (2 / 3)
        h = np.roots([1.0, -2 * s, s * s, -1.0])
        out.append(-min(h.imag) * point ** (1 / 3) / np.pi)
    return np.array(out)


@pytest.mark.parametrize("ratio", [0.2, 0.25, 0.5])
def test_freeconvolutioncode_products_of_marchenko_pastur_laws(ratio):
    # FreeConvolutionCode: with m = 60 coefficients 199 of 400 values negative, errors of 3 to 1e5; "Problem" at ratio
    # 1/2
    law = MarchenkoPastur(ratio) @ MarchenkoPastur(ratio)
    support = law.support()
    x = np.linspace(support.lower, support.upper, 402)[1:-1]
    density = law.pdf(x)
    assert np.all(density > 0)
    for point, value in zip(x[::40], density[::40], strict=True):
        # m z = (1 + m)(1 + c m)^2: a real cubic, one complex pair inside the support
        roots = np.roots([ratio**2, 2 * ratio + ratio**2, 1 + 2 * ratio - point, 1.0])
        assert value == pytest.approx(-min(roots.imag) / (np.pi * point), rel=1e-10)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-11)


def test_freeconvolutioncode_outside_its_hypotheses():
    # FreeConvolutionCode: the top edge of MP x MP off by 1e-3, density off by .59 (hard edges are excluded there)
    law = MarchenkoPastur() @ MarchenkoPastur()
    assert float(law.support().upper) == pytest.approx(6.75, rel=1e-14)
    x, density = fuss_catalan(2, np.linspace(0.02, 1.02, 50))
    np.testing.assert_allclose(law.pdf(x), density, rtol=1e-11)


# --- atoms -----------------------------------------------------------------------------------------------------------


def test_scikit_rmt_drops_the_atom_of_a_tall_wishart():
    # scikit-rmt, MarchenkoPastur(ratio=2): mass of the pdf .4999, cdf 0 in the gap, rvs never 0
    law = MarchenkoPastur(2)
    assert law.support().atoms == {0: Fraction(1, 2)}
    low, _ = (float(x) for x in law.support().intervals[0])
    assert law.cdf([-1e-12, 0, low / 2, low]) == pytest.approx([0, 0.5, 0.5, 0.5], abs=1e-14)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-12)
    draws = law.rvs(2000, rng=3)
    assert abs(np.mean(draws == 0) - 0.5) < 5 * math.sqrt(0.25 / 2000)
    assert np.all((draws == 0) | (draws >= low))
    assert law.mean() == 1


def test_rmtool_density_of_a_tall_wishart_has_mass_one_half():
    # rmtool: the density of MP(2) has mass .5, and its atom shows as a pole at 0 without a mass
    law = MarchenkoPastur(2)
    x = np.linspace(*(float(v) for v in law.support().intervals[0]), 2001)
    assert np.trapezoid(law.pdf(x), x) + law.support().atoms[0] == pytest.approx(1, abs=1e-4)


def test_freenn_quantiles_of_a_relu_chain():
    # FreeNN: the exact law of a two-layer ReLU chain has half its mass at 0; its .3 quantile came out as 2.51, or as a
    # cell of the grid; |x| < 0.02 is skipped; the density is 1e-2 off at Im z = 1e-4
    law = jacobian_law(Chain(depth=2, activation="relu", sigma_w=math.sqrt(2)), q0=1.0)
    assert {float(x): float(p) for x, p in law.support().atoms.items()} == {0.0: 0.5}
    assert np.all(law.ppf([0.0, 0.1, 0.3, 0.5]) == 0)
    assert law.ppf(0.6) > 0
    assert law.cdf(0) == pytest.approx(0.5, abs=1e-14)
    x = np.array([1e-8, 1e-3, 0.019, 0.1, 1, 4, 11])
    # m z = (1 + m)(1 + 2 m)^2
    roots = [np.roots([4.0, 8.0, 5.0 - v, 1.0]) for v in x]
    expected = [-min(r.imag) / (np.pi * v) for r, v in zip(roots, x, strict=True)]
    np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-7)  # np.roots next to the double root at 0
    np.testing.assert_allclose(law.pdf(x[1:]), expected[1:], rtol=1e-10)
    assert law.cdf(1.0) - law.cdf(0.1) == pytest.approx(0.160628248316393, abs=1e-13)


def test_freenn_pennington_loop_leaves_out_the_last_layer():
    # FreeNN, its "Pennington" baseline: the loop ends one layer early (errors of .2 to 1.8)
    for depth in (1, 2, 3, 7):
        law = jacobian_law(Chain(depth=depth, activation="linear", sigma_w=1.0), q0=1.0)
        assert [float(m) for m in law.moments(2)] == pytest.approx([1, depth + 1], rel=1e-12)


def test_freenn_other_activations_than_relu():
    # FreeNN: compute_M_Linear raises NameError, run_as_module computes ReLU whatever it is asked
    at_one = [
        float(jacobian_law(Chain(depth=2, activation=name, sigma_w=1.2), q0=1.0).mean())
        for name in ("linear", "relu", "hard_tanh")
    ]
    assert at_one[0] == pytest.approx(1.2**4)
    assert at_one[1] == pytest.approx(0.72**2)
    assert at_one[0] > at_one[2] > at_one[1]


def test_freenn_hard_tanh_constants():
    # FreeNN: compute_C(1) = .3413 is half of P(|h| < 1) = .6827; compute_g(1) = .1987 misses the saturated part of
    # E phi² = .5161
    hard_tanh = get_activation("hard_tanh")
    assert hard_tanh.gain(1.0) == pytest.approx(math.erf(math.sqrt(0.5)), rel=1e-14)
    assert hard_tanh.gain(1.0) == pytest.approx(0.6826894921, abs=1e-10)
    assert hard_tanh.second_moment(1.0) == pytest.approx(0.5160585509, abs=1e-9)
    for q in (0.3, 3.0):
        share = math.erf(1 / math.sqrt(2 * q))
        inside = q * share - math.sqrt(2 * q / math.pi) * math.exp(-1 / (2 * q))
        assert hard_tanh.gain(q) == pytest.approx(share, rel=1e-13)
        assert hard_tanh.second_moment(q) == pytest.approx(inside + 1 - share, rel=1e-13)


def test_freealg_readme_decompression_of_a_thin_wishart():
    # freealg, README: a spectrum of 1000 "decompressed" to 100000 (MP(1/50) to MP(2)): no zeros (the truth has half its
    # mass there), mean 2.32 (the part away from 0 has 2.00), largest value 19.8 (the edge is 5.83)
    law = MarchenkoPastur(2)
    corner = law.compress(Fraction(1, 100))
    thin = MarchenkoPastur(Fraction(1, 50))
    low, high = (float(x) for x in thin.support().intervals[0])
    x = np.linspace(low, high, 9)[1:-1]
    np.testing.assert_allclose(corner.pdf(x), thin.pdf(x), rtol=1e-11)
    assert corner.moments(6) == thin.moments(6)
    assert dict(corner.support().atoms) == {}
    assert law.support().atoms[0] == Fraction(1, 2)
    assert law.expectation(lambda v: np.where(v > 0, v, 0)) / 0.5 == pytest.approx(2, rel=1e-12)
    assert law.support().upper == pytest.approx(3 + 2 * math.sqrt(2), rel=1e-15)


def test_spectrode_mass_at_zero():
    # Spectrode has it right for gamma = 2, and so must any other: population {1, 8}, twice as many variables as samples
    law = Discrete({1: 0.5, 8: 0.5}) @ MarchenkoPastur(2)
    assert {float(x): float(p) for x, p in law.support().atoms.items()} == {0.0: 0.5}
    assert law.cdf(0) == pytest.approx(0.5, abs=1e-14)


def test_freeprobability_atoms_of_sums_and_products():
    # half the packages know atoms of leaves only; Bercovici and Voiculescu: mu{a} + nu{b} - 1
    a, b = Discrete({0: 0.7, 1: 0.3}), Discrete({0: 0.8, 2: 0.2})
    assert {float(x): float(p) for x, p in (a + b).support().atoms.items()} == pytest.approx({0.0: 0.5, 1.0: 0.1})
    product = Discrete({1: 0.7, 3: 0.3}) @ Discrete({2: 0.8, 0: 0.2})
    assert {float(x): float(p) for x, p in product.support().atoms.items()} == pytest.approx(
        {0.0: 0.2, 2.0: 0.5, 6.0: 0.1}
    )
    for law in (a + b, product):
        assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-9)


# --- points that never return, edges that blow up --------------------------------------------------------------------


def test_spectrode_never_returns_at_gamma_one():
    # Spectrode, t = {1, 8}, gamma = 1: no answer in 300 s
    law = Discrete({1: 0.5, 8: 0.5}) @ MarchenkoPastur()
    curve = law.curve(points=100)
    assert curve.status is Status.OK
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-10)
    assert float(law.support().edges[0].exponent) == pytest.approx(-0.5)
    assert law.moments(2) == pytest.approx([4.5, 32.5 + 4.5**2])


def test_spectrode_accuracy_of_two_bumps():
    # Spectrode, t = {1, 8}, gamma = .1: edges off by 2.4e-3 to 7e-8, density by .22 to 8e-7
    law = Discrete({1: Fraction(1, 2), 8: Fraction(1, 2)}) @ MarchenkoPastur(Fraction(1, 10))
    # Silverstein: x = -1/s + c/2 (1/(1 + s) + 8/(1 + 8 s)), edges where dx/ds = 0
    slope = sp.Symbol("s")
    value = -1 / slope + sp.Rational(1, 20) * (1 / (1 + slope) + 8 / (1 + 8 * slope))
    critical = sp.Poly(sp.numer(sp.together(sp.diff(value, slope))), slope).nroots(n=30)
    edges = sorted(float(value.subs(slope, r)) for r in critical if abs(sp.im(r)) < 1e-20)
    found = [float(x) for pair in law.support().intervals for x in pair]
    assert len(found) == 4
    np.testing.assert_allclose(found, edges, rtol=1e-13)


def test_ncdist_poisson_transform():
    # NCDist.jl, poisson: a square is missing under the root; at z = -1 + .2i Im G = +1.45 (true -.087)
    z = -1 + 0.2j
    g = MarchenkoPastur().cauchy(z)
    assert g.imag == pytest.approx(-0.087, abs=5e-4)
    assert z * g * g - z * g + 1 == pytest.approx(0, abs=1e-14)
    for ratio in (0.3, 1, 2.5):
        for point in (-1 + 0.2j, -0.01 + 1e-3j, 5 + 1e-6j, -3 - 0.4j):
            g = MarchenkoPastur(ratio).cauchy(point)
            assert g.imag * point.imag < 0
            assert ratio * point * g * g - (point + ratio - 1) * g + 1 == pytest.approx(0, abs=1e-12)


def test_ncdist_arcsine_left_of_its_centre():
    # NCDist.jl, arcsine: wrong sign for Re z < 0
    law = rmt.Arcsine(-2, 2)
    z = np.array([-3 + 0.1j, -0.3 + 1e-3j, -2.5 + 1e-9j, 0.3 + 1e-3j, -1 - 0.5j])
    g = law.cauchy(z)
    assert np.all(g.imag * z.imag < 0)
    np.testing.assert_allclose(g**2 * (z**2 - 4), 1, rtol=1e-12)
    assert g[0].real < 0


def test_principal_square_root_in_marchenko_pastur():
    # a numpy class: S-transforms with the principal root, wrong for small Re z
    law = MarchenkoPastur(0.5)
    z = 0.02 + 1j * np.logspace(-9, 1, 30)
    assert np.all(law.cauchy(z).imag < 0)
    np.testing.assert_allclose(0.5 * z * law.cauchy(z) ** 2 - (z - 0.5) * law.cauchy(z), -1, rtol=1e-10)


def test_marchenko_pastur_at_zero():
    # WeightWatcher: division by zero at x = 0; the discussion of Distributions.jl: pdf at 0 indeterminate, cdf
    # disagrees
    assert MarchenkoPastur(0.5).pdf(0) == 0
    assert MarchenkoPastur(2).pdf(0) == 0
    assert MarchenkoPastur().pdf(0) == math.inf
    assert MarchenkoPastur().cdf(0) == 0
    # P(X <= x) at ratio 1 is that of a squared semicircular variable
    x = np.array([1e-6, 0.3, 2, 3.9])
    expected = 2 / np.pi * (np.sqrt(x / 4 * (1 - x / 4)) + np.arcsin(np.sqrt(x / 4)))
    np.testing.assert_allclose(MarchenkoPastur().cdf(x), expected, rtol=1e-12)


def test_finitefree_and_freenn_smooth_at_the_edge():
    # densities by z = x + i y smear the edges: here the support ends where it ends
    law = Semicircle() + Discrete({-2: 0.5, 2: 0.5})
    for edge in law.support().edges:
        outside = float(edge.position) + (1 if edge.side == "upper" else -1) * 1e-9
        inside = float(edge.position) - (1 if edge.side == "upper" else -1) * 1e-9
        assert law.pdf(outside) == 0
        assert 1e-6 < law.pdf(inside) < 1e-4


# --- zero means, operator-valued sums, jumps -------------------------------------------------------------------------


def test_rmtool_product_of_two_wigner_laws():
    # rmtool, AtimesB(wigner, wigner): returns m + 1 without a word
    with pytest.raises(PreconditionError, match="negative support"):
        (Semicircle() @ Semicircle()).pdf(0.5)


def test_zero_mean_times_wishart():
    # the S-transform of a law of mean 0 does not exist as a series; the product does: with m = -G,
    # m⁴z² - 2m³z + m² + 4mz + 4 = 0 for ratio 1/2 (Rao and Edelman)
    law = Semicircle() @ MarchenkoPastur(Fraction(1, 2))
    z = np.array([0.4 + 0.3j, -1.7 + 0.02j, 3j, 0.9 + 1e-7j])
    g = law.cauchy(z)
    assert np.all(g.imag < 0)
    m = -g
    np.testing.assert_allclose(m**4 * z**2 - 2 * m**3 * z + m**2 + 4 * m * z + 4, 0, atol=1e-10)
    assert law.moments(4) == [0, 1, 0, 3]  # 2 E[b]² E[b²]
    x = np.array([0.2, 0.9, 1.8])
    np.testing.assert_allclose(law.pdf(-x), law.pdf(x), rtol=1e-11)


def test_free_matrix_laws_anticommutator():
    # free-matrix-laws: 3e-3 off at its default eps, 77 iterations a point; x y + y x = a² - b² for free semicirculars
    x, y = sp.symbols("x y", commutative=False)
    law = rmt.polynomial_law(x * y + y * x, {x: Semicircle(), y: Semicircle()})
    other = MarchenkoPastur() - MarchenkoPastur()
    edge = math.sqrt((11 + 5 * math.sqrt(5)) / 2)
    for one in (law, other):
        assert [one.support().lower, one.support().upper] == pytest.approx([-edge, edge], rel=1e-12)
        for point in (0.1, 1.3, 3.2):
            # z = 1/g + 2g/(1 - g²)
            roots = np.roots([point, 1.0, -point, 1.0])
            assert one.pdf(point) == pytest.approx(-min(roots.imag) / np.pi, rel=1e-10)
        assert one.moments(4) == [0, 2, 0, 10]


def test_numericalfreeprobability_multiplies_nothing_and_ncdist_smooths():
    # additive only, or by Im z = 1e-6: a product with a continuous law, on the axis
    law = MarchenkoPastur(0.25) @ rmt.Uniform(1, 3)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-11)
    exact = [float(m) for m in law.moments(3)]
    assert law.moments(3, method="quadrature") == pytest.approx(exact, rel=1e-10)


def test_randommatrices_jl_jacobi_misses_a_square():
    # RandomMatrices.jl: eigenvalues of its Jacobi ensemble are off by a square
    law = rmt.FreeJacobi(Fraction(1, 4), Fraction(2, 5))
    s, t = 0.25, 0.4
    expected = [(math.sqrt(s * (1 - t)) + sign * math.sqrt(t * (1 - s))) ** 2 for sign in (-1, 1)]
    assert [float(x) for x in law.support().intervals[0]] == pytest.approx(expected, rel=1e-14)
    assert float(law.mean()) == pytest.approx(t)


def test_resnet_chains_that_factor():
    # rmtool: AtimesB over residual layers gives reducible polynomials from three layers on and stops at six (16.8 s)
    law = ResidualSum(Fraction(1, 6) * MarchenkoPastur(), 1).free_power(6)
    assert law.curve(points=60).status is Status.OK
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-10)
    assert law.moments(1) == [Fraction(7, 6) ** 6]
    assert law.moments(2, method="quadrature") == pytest.approx([float(m) for m in law.moments(2)], rel=1e-10)


# --- normalisations, Tracy–Widom -------------------------------------------------------------------------------------


def test_samplers_normalise_differently_and_say_nothing():
    # E x² of "the" GUE is 2N in scikit-rmt and DPPy, 1 elsewhere
    law = rmt.GUE(20)
    assert float(law.moments(2)[1]) == pytest.approx(1)
    assert float(Semicircle().moments(2)[1]) == 1


@pytest.mark.parametrize(
    ("beta", "mean", "variance"),
    [
        (1, -1.2065335745820, 1.607781034581),
        (2, -1.7710868074116, 0.8131947928329),
        (4, -2.3068848932410, 0.5177237207726),
    ],
)
def test_tracywidom_tables_are_four_digits(beta, mean, variance):
    # TracyWidom, scikit-rmt: cdf off by 4e-5, beta = 4 at another scale than stated, the left tail cut to 0; DPPy: 1e-6
    # off, negative at s = -8. Means and variances: Bornemann, arXiv:0904.1581, table 6
    law = rmt.TracyWidom(beta)
    assert float(law.mean()) == pytest.approx(mean, abs=1e-11)
    assert float(law.var()) == pytest.approx(variance, abs=1e-11)
    x = np.array([-9.0, -8.0, -7.0, -6.0])
    assert np.all(law.cdf(x) > 0)
    assert np.all(np.diff(law.cdf(x)) > 0)
    assert np.all(law.pdf(x) > 0)


def test_dppy_tracy_widom_in_the_left_tail():
    # DPPy: slightly negative at s = -8; TracyWidom: 0. log F_2(s) = -|s|³/12 - log|s|/8 + log 2/24 + zeta'(-1) + o(1)
    s, zeta = 8.0, -0.1654211437004509
    expected = -(s**3) / 12 - math.log(s) / 8 + math.log(2) / 24 + zeta + 3 / (64 * s**3)
    assert math.log(rmt.TracyWidom(2).cdf(-s)) == pytest.approx(expected, abs=1e-6)


# --- errors that say so ----------------------------------------------------------------------------------------------


def test_freenn_and_freealg_return_numbers_where_nothing_was_resolved():
    # no package says at which points it failed: a curve carries a status, and unresolved points raise
    law = Semicircle() + Discrete({-1: 0.5, 1: 0.5})
    curve = law.curve(points=200, tol=1e-15)
    assert curve.status is Status.UNRESOLVED
    assert np.all(np.isnan(curve.density) | (curve.error <= 1e-15 * np.maximum(curve.density, 1)))
    assert issubclass(ConvergenceError, RuntimeError)
