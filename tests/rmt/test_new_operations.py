"""Reflection, inversion, mixtures, squares of any law, rectangular sums; atoms against ranks of real matrices."""

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

import rmt
from rmt import (
    Discrete,
    FussCatalan,
    MarchenkoPastur,
    Mixture,
    PreconditionError,
    RectangularSum,
    ResidualSum,
    Semicircle,
    UniversalResNet,
)
from rmt.numeric.continuation import solve
from rmt.numeric.rectangular import RectangularNode

NARROW, TALL = MarchenkoPastur(0.4), MarchenkoPastur(2.5)
GATES = Discrete({0: 0.25, 1: 0.35, 3: 0.4})
SIGNED = Discrete({-1: 0.3, 2: 0.7})
BULK = Semicircle(0.7, 0.3)
half = Fraction(1, 2)


def inside(law, shares=(0.04, 0.31, 0.55, 0.9)):
    pairs = [(max(float(a), -50.0), min(float(b), 50.0)) for a, b in law.support().intervals]
    return np.array([a + s * (b - a) for a, b in pairs for s in shares])


def on_axis(law, x):
    """(density, distribution function) by the node alone."""
    solution = solve(law.numeric, x)
    assert np.all(solution.converged)
    return -solution.g.imag / np.pi, 1 - solution.potential.imag / np.pi


def assert_same(one, other, moments=5):
    """Two nodes of one law: the same curve on the real axis, inside and outside the support, and the same moments."""
    mean, spread = float(other.mean()), math.sqrt(float(other.var()))
    x = mean + spread * np.array([-4.1, -1.33, -0.71, -0.23, 0.17, 0.64, 1.21, 1.87, 5.3])
    density, cdf = on_axis(one, x)
    expected, expected_cdf = on_axis(other, x)
    np.testing.assert_allclose(density, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(cdf, expected_cdf, rtol=0, atol=1e-11)
    assert np.max(expected) > 0.01 / spread, "no point inside the support"
    expected_moments = [float(v) for v in other.moments(moments)]
    np.testing.assert_allclose([float(v) for v in one.moments(moments)], expected_moments, rtol=1e-11, atol=1e-12)


# --- reflection -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "law",
    [
        pytest.param(BULK, id="leaf"),
        pytest.param(SIGNED + NARROW, id="sum"),
        pytest.param(SIGNED @ NARROW, id="product"),
        pytest.param(BULK @ GATES, id="product with an atom"),
        pytest.param((NARROW - TALL).compress(0.6), id="compression of a difference"),
        pytest.param(SIGNED.free_sum_power(1.7), id="power"),
        pytest.param((SIGNED + BULK).square(), id="square"),
        pytest.param(ResidualSum(NARROW, 0.8), id="residual"),
    ],
)
def test_reflection_of_any_law(law):
    mean, spread = float(law.mean()), math.sqrt(float(law.var()))
    x = mean + spread * np.array([-3.9, -1.33, -0.71, -0.23, 0.17, 0.64, 1.21, 1.87, 5.3])
    density, cdf = on_axis(law, x)
    mirrored, mirrored_cdf = on_axis(-law, -x)
    np.testing.assert_allclose(mirrored, density, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(mirrored_cdf, 1 - cdf, atol=1e-12)
    # inside an operation: -(law + other) = (-law) + (-other)
    density, cdf = on_axis(law + BULK, x)
    parts, parts_cdf = on_axis((-law) + (-BULK), -x)
    np.testing.assert_allclose(parts, density, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(parts_cdf, 1 - cdf, atol=1e-12)


def test_reflection_of_a_negative_law_is_one_on_the_positive_axis():
    below = Discrete({-3: 0.2, -1: 0.5, -0.5: 0.3}) + Discrete({0: 0.5, -1: 0.5})
    above = Discrete({3: 0.2, 1: 0.5, 0.5: 0.3}) + Discrete({0: 0.5, 1: 0.5})
    assert (-below).numeric.positive
    # met beyond arg z = pi: inside a symmetrised root, and beside a signed factor
    assert_same((-below).sqrt().symmetrized() + Semicircle(0.5), above.sqrt().symmetrized() + Semicircle(0.5))
    assert_same((-below) @ Semicircle(0.5, 0.2), above @ Semicircle(0.5, 0.2))


# --- inverse --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "law",
    [
        pytest.param(NARROW, id="soft edges"),
        pytest.param(NARROW @ Discrete({0.5: 0.3, 2: 0.7}), id="product"),
        pytest.param(SIGNED * 3 + Semicircle(0.2), id="gap around 0"),
        pytest.param(-NARROW, id="negative"),
        pytest.param(SIGNED.free_sum_power(1.2), id="atoms of both signs"),
        pytest.param(MarchenkoPastur(), id="hard edge at 0"),
        pytest.param(Semicircle(1, 0.3), id="0 inside"),
    ],
)
def test_inverse_by_change_of_variables_and_by_its_node(law):
    inverse = law.inverse()
    x = inside(law)
    x = x[np.abs(x) > 0.02]
    y = 1 / x
    expected = law.pdf(x) * x**2
    np.testing.assert_allclose(inverse.pdf(y), expected, rtol=1e-12)
    below = float(law.cdf(0.0))
    cdf = np.where(y > 0, below + 1 - law.cdf(x), below - law.cdf(x))
    np.testing.assert_allclose(inverse.cdf(y), cdf, atol=1e-13)
    solution = solve(inverse.numeric, y)
    assert np.all(solution.converged)
    np.testing.assert_allclose(-solution.g.imag / np.pi, expected, rtol=1e-9)
    np.testing.assert_allclose(1 - solution.potential.imag / np.pi, cdf, atol=1e-10)
    z = np.array([0.3 + 0.8j, -2 + 0.1j])
    np.testing.assert_allclose(inverse.cauchy(z), (1 - law.cauchy(1 / z) / z) / z, rtol=1e-10)


def test_support_and_edges_of_inverses():
    gap = (SIGNED * 3 + Semicircle(0.2)).inverse().support()
    outer = (SIGNED * 3 + Semicircle(0.2)).support().intervals
    assert gap.intervals == (
        (1 / outer[0][1], 1 / outer[0][0]),
        (1 / outer[1][1], 1 / outer[1][0]),
    )
    exact = MarchenkoPastur(Fraction(1, 4)).inverse().support()
    assert exact.intervals == ((Fraction(4, 9), 4),)
    tail = MarchenkoPastur().inverse().support()
    assert tail.intervals == ((Fraction(1, 4), math.inf),)
    assert [edge.exponent for edge in tail.edges] == [half, None]
    assert MarchenkoPastur().inverse().numeric.tail()[0] == 0.5  # m ~ z**(-1/2)
    both = Semicircle(1).inverse().support()
    assert both.intervals == ((-math.inf, -half), (half, math.inf))
    standard = rmt.Cauchy(0, 1).inverse()
    assert standard.support().intervals == ((-math.inf, math.inf),)
    np.testing.assert_allclose(standard.pdf([-2.0, 0.0, 0.3]), rmt.Cauchy(0, 1).pdf([-2.0, 0.0, 0.3]), rtol=1e-12)
    assert Discrete({-2: half, 4: half}).inverse().support().atoms == {-half: half, Fraction(1, 4): half}


def test_inverse_inside_a_free_sum_solves_its_quartic():
    c, v = 0.3, 0.4
    law = MarchenkoPastur(c).inverse() + Semicircle(v)
    with mp.workdps(30):
        c, v = mp.mpf(c), mp.mpf(v)
        for x in inside(law):
            # G of the inverse is m (1 - c - c m), so v g^2 - x g + 1 + m = 0 with g = m (1 - c - c m)
            a, b = 1 - c, -c
            roots = mp.polyroots([v * b * b, 2 * v * a * b, v * a * a - x * b, 1 - x * a, 1], extraprec=200)
            g = [r * (a + b * r) for r in roots]
            lower = [value for value in g if value.imag < -(mp.mpf(10) ** -12)]
            assert min(abs(law.pdf(x) + float(value.imag / mp.pi)) for value in lower) < 1e-11
    np.testing.assert_allclose(law.moments(4, method="quadrature"), law.moments(4), rtol=1e-10)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            (NARROW @ Discrete({0.5: 0.3, 2: 0.7})).inverse(),
            NARROW.inverse() @ Discrete({2: 0.3, 0.5: 0.7}),
            id="of a product",
        ),
        pytest.param(NARROW.free_power(2.5).inverse(), NARROW.inverse().free_power(2.5), id="of a power"),
        pytest.param((BULK + 4).inverse().inverse(), BULK + 4, id="twice"),
        pytest.param(UniversalResNet(c=0.4).inverse(), UniversalResNet(c=0.4), id="of the universal law"),
        pytest.param((-3 * NARROW).inverse(), NARROW.inverse() / -3, id="of a multiple"),
    ],
)
def test_identities_of_inverses(one, other):
    assert_same(one, other)


def test_reciprocal_moments():
    c = Fraction(2, 7)
    exact = MarchenkoPastur(c).inverse().moments(3)
    assert exact[:2] == [1 / (1 - c), 1 / (1 - c) ** 3]
    assert all(isinstance(value, Fraction) for value in exact)
    jump = Discrete({half: Fraction(1, 3), 2: Fraction(2, 3)})
    product = MarchenkoPastur(c) @ jump
    assert product.inverse().moments(2)[0] == exact[0] * jump.inverse().moment(1)
    assert all(isinstance(value, Fraction) for value in product.inverse().moments(4))
    for law in (
        product,
        NARROW.free_power(1.5),
        -2 * NARROW,
        UniversalResNet(c=0.3, skip=0.9, depth=4),
        (NARROW + 1).square(),
        NARROW.symmetrized(),
        NARROW.sqrt(),
        NARROW + GATES,
    ):
        quadrature = [law.expectation(lambda x, k=k: x ** -float(k)) for k in (1, 2, 3)]
        np.testing.assert_allclose([float(v) for v in law.inverse().moments(3)], quadrature, rtol=1e-9, atol=1e-12)


def test_inverses_that_do_not_exist_say_why():
    with pytest.raises(PreconditionError, match="atom at 0"):
        TALL.inverse().pdf(1.0)
    with pytest.raises(PreconditionError, match="is infinite"):
        MarchenkoPastur().inverse().moments(1)
    with pytest.raises(PreconditionError, match="is infinite"):
        BULK.inverse().moments(1)
    # E X^-1 exists for a density that vanishes at 0, the second reciprocal moment does not
    touching = (Semicircle(1) + 2).inverse()
    assert touching.moment(1) == pytest.approx(1.0, rel=1e-7)
    with pytest.raises(PreconditionError, match="at most 1"):
        touching.moments(2)


def test_free_ratio_of_square_wishart_matrices():
    # MP ⊠ 1/MP at ratio 1 is the law of t^2, t Cauchy: density 1/(pi sqrt(x) (1 + x))
    law = MarchenkoPastur() @ MarchenkoPastur().inverse()
    x = np.array([1e-3, 0.2, 1.0, 7.0, 300.0])
    solution = solve(law.numeric, x)
    assert np.all(solution.converged)
    np.testing.assert_allclose(-solution.g.imag / np.pi, 1 / (np.pi * np.sqrt(x) * (1 + x)), rtol=1e-10)
    np.testing.assert_allclose(1 - solution.potential.imag / np.pi, 2 * np.arctan(np.sqrt(x)) / np.pi, atol=1e-10)


# --- mixtures -------------------------------------------------------------------------------------------------------

MIXTURES = {
    "signed": Mixture({NARROW: 0.3, Semicircle(0.5, -0.2): 0.7}),
    "positive": Mixture({NARROW: 0.25, 2 * MarchenkoPastur(): 0.75}),
    "two intervals": Mixture({NARROW + 3: 0.6, NARROW: 0.4}),
    "atom inside": Mixture({TALL: 0.3, Discrete({0: 0.1, 2: 0.9}): 0.7}),
}


@pytest.mark.parametrize("law", [pytest.param(law, id=name) for name, law in MIXTURES.items()])
def test_mixture_by_its_parts_and_by_its_node(law):
    x = inside(law)
    np.testing.assert_allclose(law.pdf(x), sum(p * part.pdf(x) for part, p in law.parts), rtol=1e-14)
    np.testing.assert_allclose(law.pdf(x, method="subordination"), law.pdf(x), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(law.cdf(x, method="subordination"), law.cdf(x), atol=1e-10)
    np.testing.assert_allclose(law.moments(4, method="quadrature"), law.moments(4), rtol=1e-9)
    q = np.array([0.05, 0.4, 0.93])
    reached = law.cdf(law.ppf(q))
    assert np.all(reached >= q - 1e-9)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-9)
    assert eval(repr(law), {name: getattr(rmt, name) for name in rmt.__all__}) == law


def test_a_mixture_of_point_masses_is_a_discrete_law():
    first, second = Discrete({0: half, 2: half}), Discrete({1: Fraction(1, 4), 2: Fraction(3, 4)})
    mixture = Mixture({first: Fraction(1, 3), second: Fraction(2, 3)})
    joined = Discrete({0: Fraction(1, 6), 1: Fraction(1, 6), 2: Fraction(2, 3)})
    assert mixture.support().atoms == dict(joined.masses)
    assert mixture.moments(6) == joined.moments(6)
    assert_same(mixture + BULK, joined + BULK)
    assert_same(mixture @ NARROW, joined @ NARROW)
    signed, other = Discrete({-1: 0.3, 2: 0.7}), Discrete({0.5: 0.4, 4: 0.6})
    both = Discrete({-1: 0.15, 2: 0.35, 0.5: 0.2, 4: 0.3})
    assert_same(Mixture({signed: 0.5, other: 0.5}) + Semicircle(0.1), both + Semicircle(0.1))
    assert_same(Mixture({signed: 0.5, other: 0.5}) @ NARROW, both @ NARROW)


@pytest.mark.exhaustive
def test_mixture_of_semicircles_plus_a_semicircle():
    # G = sum p_i G_i(x - v G), with the resolvents of the parts to 30 digits
    law = Mixture({Semicircle(0.5, -1): 0.4, Semicircle(0.2, 2): 0.6}) + Semicircle(0.3)
    with mp.workdps(30):
        for x in inside(law):
            def equation(g, x=x):
                z = mp.mpf(x) - mp.mpf(0.3) * g
                total = mp.mpf(0)
                for p, v, mean in ((0.4, 0.5, -1), (0.6, 0.2, 2)):
                    t = z - mean
                    r = 2 * mp.sqrt(mp.mpf(v))
                    total += mp.mpf(p) * 2 / (t + mp.sqrt(t - r) * mp.sqrt(t + r))
                return total - g

            g = mp.findroot(equation, mp.mpc(complex(law.cauchy(x + 1e-3j))))
            assert g.imag < 0
            assert law.pdf(x) == pytest.approx(float(-g.imag / mp.pi), rel=1e-11)


@pytest.mark.parametrize("weights", [(0.5, 0.6), (-0.5, 1.5)])
def test_weights_of_a_mixture_are_probabilities(weights):
    with pytest.raises(ValueError, match=r"add up|expected"):
        Mixture({NARROW: weights[0], BULK: weights[1]})


# --- symmetrisation and squares of any law --------------------------------------------------------------------------


def test_symmetrised_laws_inside_free_operations():
    lopsided = Discrete({-1: 0.3, 2: 0.7})
    spread = Discrete({-2: 0.35, -1: 0.15, 1: 0.15, 2: 0.35})
    assert_same(lopsided.symmetrized() + Semicircle(0.3), spread + Semicircle(0.3))
    assert_same(lopsided.symmetrized() @ NARROW, spread @ NARROW)
    law = NARROW.symmetrized()
    x = np.array([-2.3, -0.4, 0.2, 1.1])
    density, cdf = on_axis(law, x)
    np.testing.assert_allclose(density, (NARROW.pdf(x) + NARROW.pdf(-x)) / 2, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(cdf, law.cdf(x), atol=1e-12)


def test_squares_of_any_law_inside_free_operations():
    lopsided = Discrete({-1: 0.3, 2: 0.7})
    squared = Discrete({1: 0.3, 4: 0.7})
    assert_same(lopsided.square() + Semicircle(0.3), squared + Semicircle(0.3))
    assert_same(lopsided.square() @ NARROW, squared @ NARROW)
    assert_same((NARROW.sqrt().symmetrized() * -1).square() @ GATES, NARROW @ GATES)
    for inner in (BULK, NARROW, BULK - NARROW):
        law = inner.square()
        x = np.array([0.02, 0.3, 0.9, 2.5])
        density, cdf = on_axis(law, x)
        np.testing.assert_allclose(density, law.pdf(x), rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(cdf, law.cdf(x), atol=1e-11)


@pytest.mark.parametrize("law", [BULK.square(), (BULK - NARROW).square()])
def test_squares_near_their_hard_edge(law):
    # next to 0 the density is that of the inner law at 0, over sqrt(x), to all digits
    x = 10.0 ** -np.array([20.0, 60.0, 150.0])
    density, cdf = on_axis(law, x)
    inner = float((law.law.pdf(0.0) + law.law.pdf(-0.0)) / 2)
    np.testing.assert_allclose(density * np.sqrt(x), inner, rtol=1e-9, atol=1e-14)
    assert np.all(np.abs(cdf) < 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("law", [BULK.square() @ NARROW, (BULK - NARROW).square() @ NARROW, NARROW.square() + BULK])
def test_moments_of_compositions_with_squares(law):
    expected = [float(m) for m in law.moments(3)]
    np.testing.assert_allclose(law.moments(3, method="quadrature"), expected, rtol=1e-8)


def test_square_root_inside_a_free_sum_is_refused_with_the_next_step():
    with pytest.raises(NotImplementedError, match="symmetrized"):
        (NARROW.sqrt() + BULK).pdf(0.5)


# --- rectangular sums -----------------------------------------------------------------------------------------------


def test_gaussian_rectangular_matrices_add_their_variances():
    c = Fraction(3, 5)
    law = RectangularSum((Fraction(7, 10) * MarchenkoPastur(c), half * MarchenkoPastur(c)), c)
    one = Fraction(6, 5) * MarchenkoPastur(c)
    assert_same(law, one)
    assert law.moments(20) == one.moments(20)
    assert law.log_moment() == pytest.approx(one.log_moment(), rel=1e-12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (NARROW, Discrete({0: 0.2, 2: 0.8})),
        (Discrete({1.44: 1}), GATES @ MarchenkoPastur(0.5)),
        (TALL, FussCatalan(2)),
    ],
)
def test_square_matrices_are_the_square_of_a_sum_of_symmetrised_laws(first, second):
    other = (first.sqrt().symmetrized() + second.sqrt().symmetrized()).square()
    node = RectangularNode([first.numeric, second.numeric], 1.0)
    x = inside(other)
    solution = solve(node, x)
    assert np.all(solution.converged)
    np.testing.assert_allclose(-solution.g.imag / np.pi, other.pdf(x), rtol=1e-9)
    np.testing.assert_allclose(1 - solution.potential.imag / np.pi, other.cdf(x), atol=1e-11)
    law = RectangularSum((first, second), 1)
    assert_same(law, other)
    if isinstance(first, Discrete):
        assert_same(law, ResidualSum(second, 1.2))


def test_information_plus_noise_solves_its_equation():
    # G's rectangular R-transform is sigma^2 h; A's is that of its two singular values, at its own argument omega
    c, noise, values = 0.6, 0.64, ((0.2, 0.3), (2.0, 0.7))
    law = RectangularSum((Discrete(dict(values)), noise * MarchenkoPastur(c)), c)
    assert len(law.support().intervals) == 2
    x = inside(law)
    lin = law.numeric.linearise(solve(law.numeric, x).unknowns)
    omegas = lin.inner[0][0][0].jet.z
    with mp.workdps(30):
        def curve(omega):
            m = sum(mp.mpf(p) * a / (omega - a) for a, p in values)
            h = (1 + m) * (1 + mp.mpf(c) * m) / omega
            whole = m + mp.mpf(noise) * h
            return whole, (1 + whole) * (1 + mp.mpf(c) * whole) / h

        for point, start in zip(x, omegas, strict=True):
            omega = mp.findroot(lambda w, point=point: curve(w)[1] - mp.mpf(point), mp.mpc(complex(start)))
            g = (1 + curve(omega)[0]) / mp.mpf(point)
            assert law.pdf(point) == pytest.approx(float(-g.imag / mp.pi), rel=1e-11)
    np.testing.assert_allclose(law.moments(4, method="quadrature"), [float(m) for m in law.moments(4)], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_rectangular_sums_of_random_matrices(seed):
    rng = np.random.default_rng(seed)
    p, n = 600, 900
    a = np.zeros((p, n))
    singular = np.sqrt(np.where(np.arange(p) < 0.3 * p, 0.2, 2.0))
    a[np.arange(p), np.arange(p)] = singular
    b = np.zeros((p, n))
    b[np.arange(p), np.arange(p)] = np.where(np.arange(p) < 0.5 * p, 0.0, 1.3)
    left = np.linalg.qr(rng.standard_normal((p, p)))[0]
    right = np.linalg.qr(rng.standard_normal((n, n)))[0]
    total = a + left @ b @ right
    law = RectangularSum(
        (Discrete({0.2: 0.3, 2.0: 0.7}), Discrete({0: 0.5, 1.69: 0.5})), Fraction(p, n)
    )
    eigenvalues = np.linalg.eigvalsh(total @ total.T)
    # linear statistics fluctuate by O(1/p); four standard deviations of such tests stay below 0.01
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    assert np.max(np.abs(law.cdf(np.quantile(eigenvalues, levels)) - levels)) < 0.01
    np.testing.assert_allclose([np.mean(eigenvalues**k) for k in (1, 2, 3)], law.moments(3), rtol=0.01)
    # the wrong ratio is seen
    wrong = RectangularSum(law.laws, 1)
    assert np.max(np.abs(wrong.cdf(np.quantile(eigenvalues, levels)) - levels)) > 0.02


def test_rectangular_sums_inside_other_operations():
    law = RectangularSum((Discrete({0: 0.8, 1: 0.2}), MarchenkoPastur(0.6)), 0.6) @ NARROW + Semicircle(0.1)
    np.testing.assert_allclose(law.moments(3, method="quadrature"), law.moments(3), rtol=1e-9)
    # met beyond arg z = pi, in a gap where both subordination functions are negative
    gaps = RectangularSum((Discrete({1: 0.5, 2: 0.5}), MarchenkoPastur(0.6)), 0.6)
    symmetric = gaps.sqrt().symmetrized()
    x = np.array([0.003, 0.1, 0.3, 0.8, 1.7, 3.0])
    density, cdf = on_axis(symmetric, x)
    mirrored, mirrored_cdf = on_axis(symmetric, -x)
    np.testing.assert_allclose(density, x * gaps.pdf(x**2), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(mirrored, density, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(mirrored_cdf, 1 - cdf, atol=1e-12)
    nested = RectangularSum((RectangularSum((NARROW, GATES), 0.5), TALL), 0.5)
    assert nested == RectangularSum((NARROW, GATES, TALL), 0.5)
    with pytest.raises(ValueError, match=r"ratio=1\.5"):
        RectangularSum((NARROW, GATES), 1.5)
    with pytest.raises(PreconditionError, match="negative support"):
        RectangularSum((NARROW, BULK), 0.5).pdf(1.0)


# --- atoms against ranks --------------------------------------------------------------------------------------------

SIZE = 60


def haar(rng, n=SIZE):
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def diagonal(law, n=SIZE):
    values = [float(x) for x, p in law.masses for _ in range(int(p * n))]
    assert len(values) == n, "the masses must be multiples of 1/n"
    return np.diag(values)


def rotated(law, rng, n=SIZE):
    u = haar(rng, n)
    return u @ diagonal(law, n) @ u.T


def assert_atoms(law, eigenvalues):
    """The share of equal eigenvalues is the mass of the atom, exactly, at every size: dimensions of intersections."""
    left = np.asarray(eigenvalues)
    for x, mass in law._atoms().items():
        equal = np.abs(left - float(x)) < 1e-8
        assert Fraction(int(equal.sum()), len(eigenvalues)) == mass
        left = left[~equal]
    spread = np.sort(left)
    assert np.all(np.diff(spread) > 1e-9), "a multiple eigenvalue that is no atom of the law"


F = Fraction
TWO = Discrete({-1: F(1, 4), 2: F(3, 4)})
THREE = Discrete({0: F(1, 3), 1: F(3, 5), 5: F(1, 15)})
HEAVY = Discrete({0: F(3, 4), 3: F(1, 4)})
CRITICAL = Discrete({0: F(1, 4), 1: F(3, 4)})


@pytest.mark.parametrize(
    ("first", "second"),
    [(TWO, THREE), (TWO, HEAVY), (THREE, HEAVY), (HEAVY, CRITICAL), (TWO, Discrete({1: F(1, 4), 3: F(3, 4)}))],
)
def test_atoms_of_sums_are_those_of_random_matrices(first, second):
    rng = np.random.default_rng(0)
    law = first + second
    total = diagonal(first) + rotated(second, rng)
    assert_atoms(law, np.linalg.eigvalsh(total))


@pytest.mark.parametrize(("first", "second"), [(THREE, HEAVY), (CRITICAL, THREE), (CRITICAL, HEAVY), (TWO, THREE)])
def test_atoms_of_products_are_those_of_random_matrices(first, second):
    rng = np.random.default_rng(1)
    # the second factor lives on [0, oo)
    u = haar(rng)
    root = u @ np.sqrt(diagonal(second)) @ u.T
    law = first @ second
    assert_atoms(law, np.linalg.eigvalsh(root @ diagonal(first) @ root))


def test_atoms_of_powers_and_compressions_are_those_of_random_matrices():
    rng = np.random.default_rng(2)
    law = Discrete({-1: F(1, 10), 2: F(9, 10)})
    total = sum(rotated(law, rng) for _ in range(3))
    assert_atoms(law.free_sum_power(3), np.linalg.eigvalsh(total))
    gate = Discrete({0: F(1, 10), 2: F(9, 10)})
    product = np.eye(SIZE)
    for _ in range(3):
        u = haar(rng)
        product = u @ np.sqrt(diagonal(gate)) @ u.T @ product
    assert_atoms(gate.free_power(3), np.linalg.eigvalsh(product @ product.T))
    corner = rotated(TWO, rng)[: 2 * SIZE // 3, : 2 * SIZE // 3]
    assert_atoms(TWO.compress(F(2, 3)), np.linalg.eigvalsh(corner))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Discrete({0: F(3, 4), 1: F(1, 4)}), Discrete({0: F(1, 10), 2: F(7, 10), 5: F(1, 5)})),
        (Discrete({0: F(3, 4), 1: F(1, 4)}), Discrete({0: F(2, 3), 3: F(1, 3)})),
        (Discrete({0: F(5, 6), 1: F(1, 6)}), Discrete({2: F(1, 2), 5: F(1, 2)})),
    ],
)
@pytest.mark.parametrize("columns", [SIZE, 100])
def test_atoms_of_rectangular_sums_are_those_of_random_matrices(first, second, columns):
    rng = np.random.default_rng(3)
    a, b = (np.zeros((SIZE, columns)) for _ in range(2))
    a[:, :SIZE], b[:, :SIZE] = np.sqrt(diagonal(first)), np.sqrt(diagonal(second))
    total = a + haar(rng) @ b @ haar(rng, columns)
    law = RectangularSum((first, second), F(SIZE, columns))
    assert_atoms(law, np.linalg.svd(total, compute_uv=False) ** 2)


def test_critical_masses_leave_no_atom_and_no_jump():
    law = Discrete({0: half, 1: half}) + Discrete({0: F(1, 2), 3: F(1, 2)})
    assert law._atoms() == {}
    for x in (0, 1, 3, 4):  # the edges, where the density is infinite
        _, cdf = on_axis(law, np.array([x - 1e-6, x + 1e-6]))
        assert -1e-12 <= cdf[1] - cdf[0] < 0.01
    mixture = Mixture({Discrete({0: 1}): F(1, 3), NARROW: F(2, 3)})
    assert mixture._atoms() == {0: F(1, 3)}
    critical = mixture + Discrete({0: F(1, 3), 1: F(2, 3)})
    assert critical._atoms() == {}
    _, cdf = on_axis(critical, np.array([1 - 1e-5, 1 + 1e-5]))
    assert -1e-12 <= cdf[1] - cdf[0] < 0.01
    beyond = mixture + Discrete({0: F(1, 5), 1: F(4, 5)})
    assert beyond._atoms() == {1: F(2, 15)}
    _, cdf = on_axis(beyond, np.array([1 - 1e-5, 1 + 1e-5]))
    assert cdf[1] - cdf[0] == pytest.approx(2 / 15, abs=0.01)


def test_whole_moments_and_a_float_ratio_do_not_stay_whole():
    laws = (MarchenkoPastur(1), MarchenkoPastur(1))
    exact = RectangularSum(laws, Fraction(3, 10)).moments(6)
    inexact = [float(m) for m in RectangularSum(laws, 0.3).moments(6)]
    np.testing.assert_allclose(inexact, [float(m) for m in exact], rtol=1e-13)
    assert exact[1] == Fraction(33, 5)
