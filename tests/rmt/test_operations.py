"""Free operations against algebra: transforms, polynomial equations solved to 30 digits, identities between nodes."""

import itertools
import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import rmt
from rmt import Discrete, FreeProduct, FreeSum, FussCatalan, MarchenkoPastur, ResidualSum, Semicircle, UniversalResNet

NARROW, TALL = MarchenkoPastur(0.4), MarchenkoPastur(2.5)
GATES = Discrete({0: 0.25, 1: 0.35, 3: 0.4})
SIGNED = Discrete({-1: 0.3, 2: 0.7})
Z = np.array([-0.8 + 0.6j, 0.7 + 1.1j, 3.2 + 0.4j])


def density_of_roots(coefficients, scale=1):
    """-Im/pi of the root in the lower half-plane of a real polynomial with one complex pair, to 30 digits."""
    roots = mp.polyroots(coefficients, maxsteps=200, extraprec=200)
    lower = [r for r in roots if r.imag < -(mp.mpf(10) ** -15)]
    assert len(lower) == 1, "the oracle needs a single complex pair"
    return float(-lower[0].imag / mp.pi * scale)


def inside(law, shares=(0.06, 0.31, 0.55, 0.9)):
    return [float(a) + s * (float(b) - float(a)) for a, b in law.support().intervals for s in shares]


# --- transforms add and multiply ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"), [(NARROW, TALL), (GATES, NARROW), (FussCatalan(2.5), GATES), (UniversalResNet(c=0.3), TALL)]
)
def test_s_transforms_multiply_and_r_transforms_add(first, second):
    m = np.array([-0.2, 0.15, 0.04 + 0.1j])
    np.testing.assert_allclose(
        (first @ second).s_transform(m), first.s_transform(m) * second.s_transform(m), rtol=1e-11
    )
    np.testing.assert_allclose(first.free_power(2.7).s_transform(m), first.s_transform(m) ** 2.7, rtol=1e-11)
    g = np.array([-0.1, 0.05, 0.06 - 0.1j])
    np.testing.assert_allclose(
        (first + second).r_transform(g), first.r_transform(g) + second.r_transform(g), rtol=1e-11
    )
    np.testing.assert_allclose(first.free_sum_power(2.7).r_transform(g), 2.7 * first.r_transform(g), rtol=1e-11)
    np.testing.assert_allclose(first.compress(0.3).r_transform(g), first.r_transform(0.3 * g), rtol=1e-11)


def test_known_transforms():
    g = np.array([-0.6, 0.2, 0.1 - 0.3j])
    np.testing.assert_allclose(Semicircle(0.7, 0.3).r_transform(g), 0.3 + 0.7 * g, rtol=1e-12)
    np.testing.assert_allclose(NARROW.r_transform(g), 1 / (1 - 0.4 * g), rtol=1e-12)
    m = np.array([-0.6, 0.2, 0.1 - 0.3j])
    # a mask of trace p: S = (1 + m)/(p + m)
    np.testing.assert_allclose(Discrete({0: 0.3, 1: 0.7}).s_transform(m), (1 + m) / (0.7 + m), rtol=1e-12)
    np.testing.assert_allclose(FussCatalan(3).s_transform(m), (1 + m) ** -3, rtol=1e-12)


# --- polynomial equations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variance", "p", "a", "b"), [("0.5", "0.3", -1, 2), ("1.7", "0.85", 0, 3), ("0.05", "0.5", -1, 1)]
)
def test_semicircle_plus_two_atoms_solves_its_cubic(variance, p, a, b):
    law = Semicircle(float(variance)) + Discrete({a: float(p), b: 1 - float(p)})
    with mp.workdps(30):
        v, q = mp.mpf(float(variance)), mp.mpf(float(p))
        for x in inside(law):
            # G = p/(z - vG - a) + q/(z - vG - b), cleared of denominators
            z = mp.mpf(x)
            u, w = z - a, z - b
            cubic = [v * v, -v * (u + w), u * w + v, -(q * w + (1 - q) * u)]
            assert law.pdf(x) == pytest.approx(density_of_roots(cubic), rel=1e-10)


@pytest.mark.parametrize(("first", "second"), [(0.4, 0.7), (2.5, 0.3), (1.0, 1.6), (3.0, 4.0)])
def test_product_of_two_marchenko_pastur_laws_solves_its_cubic(first, second):
    law = MarchenkoPastur(first) @ MarchenkoPastur(second)
    with mp.workdps(30):
        c, d = mp.mpf(first), mp.mpf(second)
        for x in inside(law):
            # z m = (1 + m)(1 + c m)(1 + d m), and G = (1 + m)/z
            cubic = [c * d, c * d + c + d, 1 + c + d - mp.mpf(x), 1]
            assert law.pdf(x) == pytest.approx(density_of_roots(cubic, scale=1 / mp.mpf(x)), rel=1e-10)
    atom = 1 - 1 / max(first, second)
    assert law.support().atoms == ({0: pytest.approx(atom)} if atom > 0 else {})


def test_edges_are_zeros_of_the_discriminant():
    m, z = sp.symbols("m z")
    c, d = sp.Rational(2, 5), sp.Rational(7, 10)
    polynomial = (1 + m) * (1 + c * m) * (1 + d * m) - z * m
    zeros = [float(r) for r in sp.Poly(sp.discriminant(polynomial, m), z).nroots(n=25) if abs(sp.im(r)) < 1e-15]
    for end in (MarchenkoPastur(0.4) @ MarchenkoPastur(0.7)).support().intervals[0]:
        assert min(abs(end - zero) for zero in zeros) < 1e-10


def test_two_bernoulli_laws_sum_to_the_arcsine_law():
    for a in (0.8, 2.5):
        law = FreeSum((Discrete({-a: 0.5, a: 0.5}),) * 2)
        x = a * np.array([-1.9, -1.1, -0.2, 0.6, 1.7, 1.99])
        np.testing.assert_allclose(law.pdf(x), 1 / (np.pi * np.sqrt(4 * a * a - x * x)), rtol=1e-11)
        np.testing.assert_allclose(law.cdf(x), 0.5 + np.arcsin(x / (2 * a)) / np.pi, rtol=1e-12)
        assert law.support().intervals[0] == pytest.approx((-2 * a, 2 * a))
        assert [edge.exponent for edge in law.support().edges] == pytest.approx([-0.5, -0.5])
        # arcsine moments a^k C(k, k/2)
        assert [float(v) for v in law.moments(4)] == pytest.approx([0, 2 * a**2, 0, 6 * a**4])
        assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-9)


def test_a_sum_with_itself_many_times_tends_to_the_semicircle():
    # free central limit theorem, with its rate: the first correction is kappa_3/sqrt(n)
    for n in (10**2, 10**4, 10**6):
        law = Discrete({-1: 0.5, 1: 0.5}).free_sum_power(n) / math.sqrt(n)
        assert abs(law.pdf(0.7) - Semicircle().pdf(0.7)) < 0.5 / n
        assert law.support().upper == pytest.approx(2 * math.sqrt(1 - 1 / n), rel=1e-9)


# --- identities between nodes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(NARROW + GATES, GATES + NARROW, id="sums commute"),
        pytest.param(NARROW @ GATES, GATES @ NARROW, id="products commute"),
        pytest.param(NARROW + NARROW, NARROW.free_sum_power(2), id="sum power"),
        pytest.param(NARROW @ NARROW, NARROW.free_power(2), id="power"),
        pytest.param(GATES.free_power(1.5).free_power(2), GATES.free_power(3), id="power of a power"),
        pytest.param(
            (GATES @ NARROW).free_power(2.5), GATES.free_power(2.5) @ NARROW.free_power(2.5), id="power of a product"
        ),
        pytest.param(GATES.compress(1 / 1.7), GATES.free_sum_power(1.7) / 1.7, id="compression is a sum power"),
        pytest.param(NARROW.compress(0.5), MarchenkoPastur(0.2), id="compressed Marchenko-Pastur"),
        pytest.param(Semicircle(0.4, 1) + Semicircle(0.3, -0.7), Semicircle(0.7, 0.3), id="semicircles add"),
        pytest.param(MarchenkoPastur().free_power(3.5), FussCatalan(3.5), id="Fuss-Catalan"),
        pytest.param(FussCatalan(1) @ FussCatalan(2), FussCatalan(3), id="Fuss-Catalan product"),
        pytest.param(
            UniversalResNet(c=0.2) @ UniversalResNet(c=0.4), UniversalResNet(c=0.6), id="universal laws multiply"
        ),
        pytest.param(UniversalResNet(c=0.2).free_power(3), UniversalResNet(c=0.6), id="universal power"),
        pytest.param((2 * NARROW) @ (3 * GATES), 6 * (NARROW @ GATES), id="scales leave a product"),
        pytest.param(MarchenkoPastur().sqrt().symmetrized(), Semicircle(), id="quarter circle"),
        pytest.param(NARROW.sqrt().square(), NARROW, id="square of the root"),
        pytest.param(Semicircle(0.7).square(), 0.7 * MarchenkoPastur(), id="square of the semicircle"),
        pytest.param(Semicircle(0.7).square().sqrt().symmetrized(), Semicircle(0.7), id="root of the square"),
    ],
)
def test_two_expressions_of_one_law(one, other):
    np.testing.assert_allclose(one.cauchy(Z), other.cauchy(Z), rtol=1e-11)
    x = np.array(inside(other))
    x = x[np.abs(x) > 1e-6]
    np.testing.assert_allclose(one.pdf(x), other.pdf(x), rtol=1e-10)
    np.testing.assert_allclose(one.cdf(x), other.cdf(x), rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.support().intervals, np.array(other.support().intervals, dtype=float), atol=1e-9)
    np.testing.assert_allclose(
        [float(v) for v in one.moments(5)], [float(v) for v in other.moments(5)], rtol=1e-11, atol=1e-12
    )


def test_expressions_flatten_and_compute_nothing():
    a, b, c = NARROW, GATES, TALL
    assert (a + b) + c == a + (b + c) == FreeSum((a, b, c))
    assert (a @ b) @ c == a @ (b @ c) == FreeProduct((a, b, c))
    assert "numeric" not in vars((a @ b).free_power(3))


# --- atoms ----------------------------------------------------------------------------------------------------------

half = Fraction(1, 2)


@pytest.mark.parametrize(
    ("law", "atoms"),
    [
        (
            Discrete({0: Fraction(1, 5), 1: Fraction(4, 5)}) + Discrete({2: Fraction(2, 3), 3: Fraction(1, 3)}),
            {3: Fraction(7, 15), 4: Fraction(2, 15)},
        ),
        (Discrete({0: half, 1: half}) + Discrete({0: half, 1: half}), {}),
        (
            Discrete({0: Fraction(1, 5), 2: Fraction(4, 5)}) @ Discrete({0: Fraction(1, 3), 3: Fraction(2, 3)}),
            {0: Fraction(1, 3), 6: Fraction(7, 15)},
        ),
        (Discrete({0: Fraction(1, 5), 2: Fraction(4, 5)}) @ MarchenkoPastur(Fraction(3, 2)), {0: Fraction(1, 3)}),
        (Discrete({0: Fraction(1, 5), 2: Fraction(4, 5)}).free_power(3), {0: Fraction(1, 5), 8: Fraction(2, 5)}),
        (Discrete({0: Fraction(1, 5), 2: Fraction(4, 5)}).free_power(5), {0: Fraction(1, 5)}),
        (Discrete({-1: Fraction(1, 5), 2: Fraction(4, 5)}).free_sum_power(3), {6: Fraction(2, 5)}),
        (Discrete({-1: Fraction(1, 5), 2: Fraction(4, 5)}).compress(Fraction(1, 2)), {2: Fraction(3, 5)}),
        (MarchenkoPastur(4) * 2 - 3, {-3: Fraction(3, 4)}),
        (MarchenkoPastur(4).sqrt().symmetrized(), {0: Fraction(3, 4)}),
        (Discrete({-2: Fraction(1, 4), 2: Fraction(1, 4), 1: half}).square(), {1: half, 4: half}),
        (
            ResidualSum(Discrete({0: Fraction(4, 5), 1: Fraction(1, 5)}), Fraction(3, 2)),
            {Fraction(9, 4): Fraction(3, 5)},
        ),
        (ResidualSum(Discrete({0: half, 1: half}), 1), {}),
    ],
)
def test_atoms_exactly(law, atoms):
    found = law.support().atoms if law.support().edges or law.support().atoms else {}
    assert dict(found) == atoms
    assert all(isinstance(mass, Fraction) for mass in found.values())


# --- chains of layers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [2, 3, 10, 100, 1000, 10_000])
def test_edges_of_critical_relu_chains(depth):
    gate = Discrete({0: half, 2: half})
    gaussian = (gate @ MarchenkoPastur()).free_power(depth)
    z = (-(depth - 1) + math.sqrt((depth - 1) ** 2 + 2 * depth)) / (2 * depth)
    upper = math.exp(math.log1p(z) - math.log(z) + depth * math.log((z + 0.5) / 0.5))
    assert gaussian.support().upper == pytest.approx(upper, rel=1e-8)
    orthogonal = gate.free_power(depth)
    # (1-p)/p L^L/(L-1)^(L-1) once L (1-p) > 1
    if depth > 2:
        peak = math.exp(depth * math.log(depth) - (depth - 1) * math.log(depth - 1))
        assert orthogonal.support().upper == pytest.approx(peak, rel=1e-8)
    assert gaussian.support().atoms == orthogonal.support().atoms == {0: half}


@pytest.mark.parametrize(("p", "depth"), [(Fraction(9, 10), 4), (Fraction(9, 10), 40), (Fraction(99, 100), 30)])
def test_orthogonal_hard_tanh_chain_keeps_an_atom_until_it_is_used_up(p, depth):
    law = Discrete({0: 1 - p, 1 / p: p}).free_power(depth)
    surviving = 1 - depth * (1 - p)
    expected = {0: 1 - p} | ({(1 / p) ** depth: surviving} if surviving > 0 else {})
    assert law.support().atoms == expected
    # criticality: mean 1, variance L (1-p)/p
    assert law.moments(2) == [1, 1 + depth * (1 - p) / p]
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-7)
    if surviving <= 0:
        upper = float((1 - p) / p) * depth**depth / (depth - 1) ** (depth - 1)
        assert law.support().upper == pytest.approx(upper, rel=1e-9)


@pytest.mark.parametrize("depth", [1e3, 12345.6, 1e5])
def test_real_and_huge_powers_reach_the_limit_at_rate_one_over_depth(depth):
    # variance c/depth in each factor: S -> exp(-c m), the universal law with 2c' = c without its mean
    c = 0.5
    step = math.sqrt(c / depth)
    law = Discrete({1 - step: 0.5, 1 + step: 0.5}).free_power(depth)
    limit = math.exp(-c / 2) * UniversalResNet(c=c / 2)
    assert law.mean() == pytest.approx(1, rel=1e-9)
    assert law.var() == pytest.approx(c, rel=1e-9)
    assert limit.var() == pytest.approx(c, rel=1e-12)
    x = limit.ppf([0.1, 0.4, 0.8])
    assert np.max(np.abs(law.cdf(x) - limit.cdf(x))) < 0.5 / depth + 1e-9
    assert law.s_transform(-0.3) == pytest.approx(
        Discrete({1 - step: 0.5, 1 + step: 0.5}).s_transform(-0.3) ** depth, rel=1e-8
    )


# --- residual sums --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaussian", [True, False])
def test_moments_of_three_residual_relu_blocks(gaussian):
    gate = Discrete({0: half, Fraction(7, 10): half})
    branch = gate @ MarchenkoPastur() if gaussian else gate
    law = ResidualSum(branch, 1).free_power(3)
    moments = law.moments(3)
    assert all(isinstance(m, Fraction) for m in moments)
    assert float(moments[0]) == pytest.approx(1.35**3)
    if gaussian:
        assert float(moments[1]) == pytest.approx(15.469915, abs=5e-7)
        assert moments[2] == Fraction(70092502290369, 512000000000)
    else:
        assert [float(m) for m in moments[1:]] == pytest.approx([14.249262, 109.363305], abs=5e-7)
    np.testing.assert_allclose(law.moments(3, method="quadrature"), [float(m) for m in moments], rtol=1e-10)


@pytest.mark.parametrize(
    ("branch", "skip"),
    [
        (NARROW @ GATES, 0.8),
        (MarchenkoPastur() @ Discrete({0: 0.5, 0.7: 0.5}), 1),
        (Discrete({0: 0.2, 0.7: 0.8}), 1.5),
        (MarchenkoPastur(0.5), 1.5),
    ],
)
def test_residual_sum_is_the_square_of_a_sum_of_symmetrised_singular_laws(branch, skip):
    law = ResidualSum(branch, skip)
    symmetric = Discrete({-skip: 0.5, skip: 0.5}) + branch.sqrt().symmetrized()
    other = symmetric.square()
    np.testing.assert_allclose(law.cauchy(Z), other.cauchy(Z, method="subordination"), rtol=1e-10)
    x = np.array(inside(law, shares=(0.2, 0.5, 0.8)))
    np.testing.assert_allclose(law.pdf(x), other.pdf(x), rtol=1e-9)
    np.testing.assert_allclose(law.cdf(x), other.cdf(x), atol=1e-11)
    moments = [float(v) for v in law.moments(4)]
    assert [float(v) for v in other.moments(4)] == pytest.approx(moments, rel=1e-11)
    # m_1 and m_2 by hand, from the R-diagonal rules: a² + b_1, and var = var_b + 2 a² b_1
    b1, b2 = (float(v) for v in branch.moments(2))
    assert moments[:2] == pytest.approx(
        [skip**2 + b1, (skip**2 + b1) ** 2 + (b2 - b1**2) + 2 * skip**2 * b1], rel=1e-12
    )


def test_residual_sum_without_much_branch_is_the_skip():
    law = ResidualSum(1e-8 * MarchenkoPastur(), 1.3)
    assert law.support().lower == pytest.approx(1.69, abs=2e-3)
    assert law.support().upper == pytest.approx(1.69, abs=2e-3)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-8)


# --- moments by words -----------------------------------------------------------------------------------------------


def test_product_with_a_centred_factor_has_its_moments():
    law = Semicircle(Fraction(3, 10)) @ MarchenkoPastur(Fraction(2, 5))
    # tau((s w)^2) = v m_1(w)^2; tau((s w)^4) = v² (2 m_1² m_2 - ... ) from the non-crossing pairings of s
    w = MarchenkoPastur(Fraction(2, 5)).moments(4)
    v = Fraction(3, 10)
    assert law.moments(3) == [0, v * w[0] ** 2, 0]
    assert law.moment(4) == 2 * v**2 * w[0] ** 2 * w[1] - 0
    np.testing.assert_allclose(law.moments(4, method="quadrature"), [float(m) for m in law.moments(4)], atol=1e-10)


def test_moments_of_mixed_words_of_free_variables():
    # tau(abab) = tau(a²) tau(b)² + tau(a)² tau(b²) - tau(a)² tau(b)² (Voiculescu 1985)
    for a, b in itertools.combinations([NARROW, TALL, GATES, FussCatalan(2)], 2):
        (a1, a2), (b1, b2) = ([float(m) for m in law.moments(2)] for law in (a, b))
        assert float((a @ b).moment(2)) == pytest.approx(a2 * b1**2 + a1**2 * b2 - a1**2 * b1**2, rel=1e-13)
        # tau((a + b)^4) has 4 a1 b-words and the crossing word abab twice
        a3, a4, b3, b4 = (float(m) for law in (a, b) for m in law.moments(4)[2:])
        crossing = a2 * b1**2 + a1**2 * b2 - a1**2 * b1**2
        assert float((a + b).moment(4)) == pytest.approx(
            a4 + 4 * a3 * b1 + 4 * a2 * b2 + 2 * crossing + 4 * a1 * b3 + b4
        )


def test_ends_of_a_scaled_law_with_hard_edges():
    # (x - shift)/scale rounds to a point inside, and the mass beside a hard edge is the root of the distance
    for scale, shift in ((2.25, 1.7), (-0.3, 0.9), (1 / 3, -1e-3)):
        law = scale * rmt.Arcsine(1, 1.8451943271511957) + shift
        low, high = law.support().intervals[0]
        assert law.cdf([float(low), float(high)]).tolist() == [0.0, 1.0]
