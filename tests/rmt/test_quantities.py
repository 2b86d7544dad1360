"""Quantities of laws: cumulants, exact moments of high order, entropies, Stieltjes' inversion, the single ring."""

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

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
    series,
)

NARROW, TALL = MarchenkoPastur(0.4), MarchenkoPastur(2.5)
GATES = Discrete({0: 0.25, 1: 0.35, 3: 0.4})
BULK = Semicircle(0.7, 0.3)
F = Fraction


# --- cumulants ------------------------------------------------------------------------------------------------------


def test_classical_cumulants_are_those_of_the_moment_generating_function():
    law = Discrete({-1: F(1, 4), F(1, 2): F(1, 2), 3: F(1, 4)})
    with mp.workdps(60):
        coefficients = mp.taylor(lambda t: mp.log(sum(mp.mpf(p.numerator) / p.denominator * mp.exp(t * (
            mp.mpf(F(x).numerator) / F(x).denominator)) for x, p in law.masses)), 0, 6)
        expected = [float(c * mp.factorial(k)) for k, c in enumerate(coefficients)][1:]
    exact = law.classical_cumulants(6)
    assert all(isinstance(value, Fraction) for value in exact)
    np.testing.assert_allclose([float(v) for v in exact], expected, rtol=1e-12)
    assert exact[1] == law.var()


def test_cumulants_of_the_three_kinds_agree_up_to_order_three_and_round_trip():
    law = MarchenkoPastur(F(2, 5)) + Semicircle(F(1, 3), F(1, 7))
    kinds = (law.free_cumulants(8), law.boolean_cumulants(8), law.classical_cumulants(8))
    # the partitions of 1 and 2 points are all of the three kinds; of 3 points one is no interval partition
    mean, variance = law.mean(), law.var()
    assert [kind[:2] for kind in kinds] == [[mean, variance]] * 3
    assert kinds[0][2] == kinds[2][2] == kinds[1][2] - mean * variance
    moments = law.moments(8)
    assert series.boolean_cumulants_to_moments(kinds[1]) == moments
    assert series.classical_cumulants_to_moments(kinds[2]) == moments
    assert series.free_cumulants_to_moments(kinds[0]) == moments


def test_classical_cumulants_of_the_normal_and_poisson_laws():
    normal = [math.prod(range(k - 1, 0, -2)) if k % 2 == 0 else 0 for k in range(1, 13)]
    assert series.moments_to_classical_cumulants(normal) == [0, 1, *[0] * 10]
    bell = [1, 2, 5, 15, 52, 203, 877]
    assert series.moments_to_classical_cumulants(bell) == [1] * 7
    assert series.classical_cumulants_to_moments([1] * 7) == bell


@pytest.mark.parametrize("ratio", [1, F(2, 5), 0.4])
def test_rectangular_cumulants(ratio):
    law = GATES @ NARROW if isinstance(ratio, float) else Discrete({0: F(1, 4), F(3, 2): F(3, 4)})
    moments = law.moments(8)
    cumulants = series.moments_to_rectangular_cumulants(moments, ratio)
    # by hand: c_1 = m_1, c_2 = m_2 - (1 + ratio) m_1^2
    assert cumulants[0] == moments[0]
    assert float(cumulants[1]) == pytest.approx(float(moments[1] - (1 + ratio) * moments[0] ** 2), rel=1e-13)
    again = series.rectangular_cumulants_to_moments(cumulants, ratio)
    if isinstance(ratio, float):
        np.testing.assert_allclose(again, moments, rtol=1e-12)
    else:
        assert again == moments
    # Gaussian matrices: only the first cumulant
    gaussian = series.moments_to_rectangular_cumulants(MarchenkoPastur(ratio).moments(6), ratio)
    np.testing.assert_allclose([float(v) for v in gaussian], [1, 0, 0, 0, 0, 0], atol=1e-11)


# --- exact moments of high order ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(MarchenkoPastur() @ FussCatalan(2), FussCatalan(3), id="product"),
        pytest.param(MarchenkoPastur().free_power(F(5, 2)), FussCatalan(F(5, 2)), id="real power"),
        pytest.param(MarchenkoPastur(F(2, 5)).compress(F(1, 3)), MarchenkoPastur(F(2, 15)), id="compression"),
        pytest.param(
            MarchenkoPastur(F(2, 5)).free_sum_power(F(7, 3)) * F(3, 7), MarchenkoPastur(F(6, 35)), id="sum power"
        ),
        pytest.param(
            Semicircle(F(1, 3)) + Semicircle(F(1, 6), F(1, 2)), Semicircle(F(1, 2), F(1, 2)), id="sum"
        ),
        pytest.param(
            RectangularSum((F(1, 3) * MarchenkoPastur(F(3, 5)), F(1, 6) * MarchenkoPastur(F(3, 5))), F(3, 5)),
            F(1, 2) * MarchenkoPastur(F(3, 5)),
            id="rectangular sum",
        ),
        pytest.param(Semicircle(F(1, 2)).square(), F(1, 2) * MarchenkoPastur(), id="square"),
        pytest.param(
            Mixture({Discrete({0: 1}): F(1, 3), Discrete({2: 1}): F(2, 3)}) @ MarchenkoPastur(F(1, 2)),
            Discrete({0: F(1, 3), 2: F(2, 3)}) @ MarchenkoPastur(F(1, 2)),
            id="mixture",
        ),
        pytest.param(
            ResidualSum(MarchenkoPastur(F(2, 5)), F(1, 2)),
            RectangularSum((Discrete({F(1, 4): 1}), MarchenkoPastur(F(2, 5))), 1),
            id="residual",
        ),
    ],
)
def test_fifty_exact_moments(one, other):
    moments = one.moments(50)
    assert moments == other.moments(50)
    assert all(isinstance(value, int | Fraction) for value in moments)


def test_fifty_moments_of_a_product_with_a_centred_factor():
    # tau((s w)^4) = 2 v^2 m_1^2 m_2 for a semicircular s; odd moments vanish; the rest against floating quadrature
    law = Semicircle(F(3, 10)) @ MarchenkoPastur(F(2, 5))
    moments = law.moments(50)
    assert all(value == 0 for value in moments[::2])
    first, second = MarchenkoPastur(F(2, 5)).moments(2)
    assert moments[3] == 2 * F(3, 10) ** 2 * first**2 * second
    x, w = law._quadrature_rule()
    for k in (10, 30, 50):
        assert float(np.sum(w * x**k)) == pytest.approx(float(moments[k - 1]), rel=1e-8)


# --- entropies ------------------------------------------------------------------------------------------------------


def test_entropy_of_the_semicircle_and_of_marchenko_pastur_laws():
    for variance, mean in ((1, 0), (0.37, -2.0)):
        law = Semicircle(variance, mean)
        assert law.entropy() == pytest.approx(math.log(2 * math.pi * math.sqrt(variance)) - 0.5, rel=1e-11)
        assert law.free_entropy() == pytest.approx(math.log(2 * math.pi * math.e * variance) / 2, rel=1e-12)
    for ratio in (0.4, 1.0):
        law = MarchenkoPastur(ratio)
        lower, upper = (float(v) for v in law.support().intervals[0])
        with mp.workdps(25):
            def integrand(t, ratio=ratio, lower=lower, upper=upper):
                # x = lower + width s^4, with both distances to the ends written without cancellation
                s2, width = mp.sin(t / 2) ** 2, upper - lower
                below, above = width * s2**2, width * mp.cos(t / 2) ** 2 * (1 + s2)
                rho = mp.sqrt(below * above) / (2 * mp.pi * ratio * (lower + below))
                return -rho * mp.log(rho) * width * s2 * mp.sin(t)

            expected = float(mp.quad(integrand, [0, 1, 2, mp.pi]))
        assert law.entropy() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    "law",
    [
        pytest.param(NARROW, id="one interval"),
        pytest.param(BULK + Discrete({-3: 0.4, 3: 0.6}), id="two intervals"),
        pytest.param(FussCatalan(2), id="hard edge"),
    ],
)
def test_free_entropy_is_the_double_integral(law):
    # log|x - y| on a product grid whose nodes interlace: the rule's points against midpoints of quantiles
    levels = (np.arange(20_000) + 0.5) / 20_000
    x = law.ppf(levels[::20])
    y = law.ppf(levels)
    energy = np.mean([np.mean(np.log(np.abs(point - y[y != point]))) for point in x])
    expected = energy + 0.75 + math.log(2 * math.pi) / 2
    assert law.free_entropy() == pytest.approx(expected, abs=3e-3)
    moved = 2.5 * law + 1
    assert moved.free_entropy() == pytest.approx(law.free_entropy() + math.log(2.5), rel=1e-9)
    assert moved.entropy() == pytest.approx(law.entropy() + math.log(2.5), rel=1e-9)


def test_entropies_with_atoms_and_without_a_potential():
    assert TALL.entropy() == TALL.free_entropy() == GATES.entropy() == -math.inf
    # of all laws with its variance, the semicircle has the largest free entropy
    law = (NARROW - 1) / math.sqrt(0.4)
    assert law.free_entropy() < Semicircle(1).free_entropy()
    with pytest.raises(NotImplementedError, match="symmetrise"):
        NARROW.sqrt().free_entropy()
    assert NARROW.sqrt().entropy() == pytest.approx(
        NARROW.entropy() - math.log(2) - 0.5 * NARROW.log_moment(), rel=1e-10
    )


def test_log_determinants():
    assert (NARROW @ FussCatalan(2)).log_moment() == pytest.approx(NARROW.log_moment() - 2, rel=1e-12)
    assert (NARROW @ TALL).log_moment() == -math.inf
    law = BULK + Discrete({-3: 0.4, 3: 0.6})
    assert law.log_moment() == pytest.approx(law.expectation(lambda x: np.log(np.abs(x))), abs=1e-9)
    rng = np.random.default_rng(5)
    w = rng.standard_normal((400, 1000)) / math.sqrt(1000)
    assert np.linalg.slogdet(w @ w.T)[1] / 400 == pytest.approx(NARROW.log_moment(), abs=0.01)


# --- every strategy of every quantity -------------------------------------------------------------------------------

STRATEGIES = {
    "semicircle": BULK,
    "marchenko-pastur": NARROW,
    "atom": TALL @ NARROW,
    "hard edge": FussCatalan(2.5),
    "two intervals": BULK + Discrete({-3: 0.4, 3: 0.6}),
    "reflected": -2 * NARROW + 1,
    "inverse": NARROW.inverse(),
    "mixture": Mixture({NARROW: 0.3, Semicircle(0.5, -0.2): 0.7}),
    "symmetrised": NARROW.symmetrized(),
    "square": BULK.square(),
    "rectangular": RectangularSum((Discrete({0.5: 0.5, 2: 0.5}), NARROW), 0.5),
    "root": NARROW.sqrt(),
    "universal": UniversalResNet(c=0.4),
}


@pytest.mark.parametrize("law", [pytest.param(law, id=name) for name, law in STRATEGIES.items()])
def test_all_strategies_agree(law):
    x = np.array([float(a) + s * (float(b) - float(a)) for a, b in law.support().intervals for s in (0.07, 0.42, 0.88)])
    z = np.array([float(law.support().upper) + 1.1, -3.7 + 0.8j, 0.4 + 2j])
    points = {"pdf": x, "cdf": x, "cauchy": z}
    for question, where in points.items():
        values = {name: getattr(law, question)(where, method=name) for name in law.methods(question)}
        best = values[law.methods(question)[0]]
        for value in values.values():
            np.testing.assert_allclose(value, best, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(
        [float(v) for v in law.moments(4)], law.moments(4, method="quadrature"), rtol=1e-9, atol=1e-11
    )
    assert ("stieltjes" in law.methods("pdf")) == ("subordination" in law.methods("cauchy"))


def test_stieltjes_inversion_knows_atoms_and_the_outside():
    law = (TALL @ NARROW) + 1
    x = np.array([1.2, 2.0, 4.5])
    np.testing.assert_allclose(law.pdf(x, method="stieltjes"), law.pdf(x), rtol=1e-9)
    assert law.pdf(40.0, method="stieltjes") == 0
    # a mixture's density has kinks where a part ends
    mixture = Mixture({NARROW: 0.3, Semicircle(0.5, -0.2): 0.7})
    edge = -0.2 + 2 * math.sqrt(0.5)
    near = np.array([edge - 1e-3, edge + 1e-3])
    np.testing.assert_allclose(mixture.pdf(near, method="stieltjes"), mixture.pdf(near), rtol=1e-7)


# --- single ring ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3.5])
def test_single_ring_of_products_of_ginibre_matrices(depth):
    # P(|lambda| <= r) = r^(2/depth) (Burda, Janik and Waclaw 2010)
    ring = FussCatalan(depth).single_ring()
    assert (ring.inner, ring.outer, ring.atom) == (0.0, pytest.approx(1.0), 0.0)
    r = np.array([1e-3, 0.1, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(ring.cdf(r), r ** (2 / depth), rtol=1e-10)
    np.testing.assert_allclose(ring.pdf(r), 2 / depth * r ** (2 / depth - 1), rtol=1e-9)
    np.testing.assert_allclose(ring.ppf(r), r ** (depth / 2), rtol=1e-9)
    assert ring.cdf(1.5) == 1.0
    assert ring.cdf(-0.1) == ring.pdf(1.5) == 0.0


def test_single_ring_of_haar_times_a_diagonal():
    rng = np.random.default_rng(7)
    n = 500
    law = Discrete({0.25: 0.4, 4: 0.6})
    ring = law.single_ring()
    assert ring.inner == pytest.approx((0.4 * 4 + 0.6 / 4) ** -0.5, rel=1e-12)
    assert ring.outer == pytest.approx(math.sqrt(0.1 + 2.4), rel=1e-12)
    q, r = np.linalg.qr(rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n)))
    haar = q * (np.diag(r) / np.abs(np.diag(r)))
    moduli = np.sort(np.abs(np.linalg.eigvals(haar * np.repeat([0.5, 2.0], [n * 2 // 5, n * 3 // 5]))))
    levels = np.arange(1, n + 1) / n
    # moduli of one matrix are rigid: an independent sample would deviate by 1/sqrt(n) = 0.045
    assert np.max(np.abs(ring.cdf(moduli) - levels)) < 0.025
    wrong = Discrete({0.25: 0.45, 4: 0.55}).single_ring()
    assert np.max(np.abs(wrong.cdf(moduli) - levels)) > 0.025


def test_single_ring_with_atoms_and_its_samples():
    law = NARROW @ Discrete({0: 0.4, 2: 0.6})
    ring = law.single_ring()
    assert (ring.inner, ring.atom) == (0.0, pytest.approx(0.4))
    r = np.array([0.05, 0.3, 0.7, 1.05])
    # the S-transform by hand: S = (1 + m)/((0.6 + m) 2 (1 + 0.4 m)) = 1/r^2
    m = ring.cdf(r) - 1
    np.testing.assert_allclose((1 + m) / ((0.6 + m) * 2 * (1 + 0.4 * m)), 1 / r**2, rtol=1e-9)
    step = 1e-5
    np.testing.assert_allclose(ring.pdf(r), (ring.cdf(r + step) - ring.cdf(r - step)) / (2 * step), rtol=1e-6)
    assert ring.ppf(0.2) == 0.0
    np.testing.assert_allclose(ring.cdf(ring.ppf([0.5, 0.9])), [0.5, 0.9], rtol=1e-10)
    sample = ring.rvs(4000, rng=1)
    assert np.iscomplexobj(sample)
    assert np.mean(sample == 0) == pytest.approx(0.4, abs=0.03)
    assert abs(np.mean(sample)) < 0.04
    circle = Discrete({2: 1}).single_ring()
    np.testing.assert_allclose(circle.cdf([1.0, 1.4, 1.5]), [0, 0, 1])
    np.testing.assert_allclose(np.abs(circle.rvs(3, rng=0)), math.sqrt(2))
    with pytest.raises(PreconditionError, match="negative support"):
        BULK.single_ring()
