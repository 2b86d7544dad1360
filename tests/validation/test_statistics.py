"""Errors, extrapolation, tests of means: against closed forms and simulation."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.statistics import (
    Estimate,
    estimate,
    extrapolation_weights,
    mean_test,
    multiplier_norms,
    student_p_value,
)


@given(
    st.integers(10, 1000),
    st.integers(10, 1000),
    st.sampled_from([0.5, 2 / 3, 1.0]),
    st.floats(-3, 3),
    st.floats(-50, 50),
)
@settings(deadline=None)
def test_extrapolation_is_exact_for_its_power(first, second, exponent, limit, slope):
    if first == second:
        with pytest.raises(ValueError, match="different widths"):
            extrapolation_weights((first, second), exponent)
        return
    weights = extrapolation_weights((first, second), exponent)
    values = np.array([limit + slope * n**-exponent for n in (first, second)])
    assert weights @ values == pytest.approx(
        limit, abs=1e-9 * np.abs(weights).max() * (abs(limit) + abs(slope)) + 1e-12
    )


def test_extrapolation_weights():
    np.testing.assert_allclose(extrapolation_weights((400, 200)), [2, -1], rtol=1e-13)
    np.testing.assert_array_equal(extrapolation_weights((400,)), [1])
    with pytest.raises(ValueError, match="takes different widths"):
        extrapolation_weights((4, 2, 4))


def test_estimate_and_z():
    sample = estimate(np.array([1.0, 2.0, 6.0]))
    assert sample == Estimate(3.0, pytest.approx(np.sqrt(7 / 3)), 3)
    assert Estimate(3.0, 0.5, 9).z(1.0) == pytest.approx(4.0)
    assert Estimate(3.0, 0.5, 9).z(1.0, allowance=1.5) == pytest.approx(1.0)
    assert Estimate(-1.0, 0.5, 9).z(1.0, allowance=1.5) == pytest.approx(-1.0)
    assert Estimate(3.0, 0.5, 9).z(2.5, allowance=1.0) == 0.0
    assert Estimate(3.0, 0.0, 9).z(3.0) == 0.0
    assert Estimate(3.0, 0.0, 9).z(3.5) == -np.inf
    assert Estimate(3.0, 1e-15, 9).z(3.0 + 1e-12) == 0.0  # rounding


@pytest.mark.parametrize("z", [0.0, 0.7, -2.5, 9.0])
def test_student_p_value(z):
    assert student_p_value(z, 12) == pytest.approx(2 * scipy.stats.t.sf(abs(z), 11), rel=1e-12)
    assert student_p_value(np.inf, 12) == 0.0
    assert np.isnan(student_p_value(z, 1))


def test_mean_test_is_hotelling():
    # against the definition, by an explicit inverse and scipy's F distribution; for one component, the t-test
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((15, 3)) @ rng.standard_normal((3, 3)) + 0.4
    expected = np.array([0.1, 0.5, 0.2])
    outcome = mean_test(vectors, expected, np.zeros(3))
    d = vectors.mean(axis=0) - expected
    statistic = 15 * d @ np.linalg.inv(np.cov(vectors.T)) @ d
    assert outcome.statistic == pytest.approx(statistic, rel=1e-8)
    assert outcome.p_value == pytest.approx(scipy.stats.f.sf(statistic * 12 / (3 * 14), 3, 12), rel=1e-8)
    single = mean_test(vectors[:, :1], expected[:1], np.zeros(1))
    assert single.p_value == pytest.approx(scipy.stats.ttest_1samp(vectors[:, 0], 0.1).pvalue, rel=1e-8)


def test_allowance_only_lowers_the_statistic():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((20, 4)) + 3.0
    statistics = [mean_test(vectors, np.zeros(4), np.full(4, size)).statistic for size in (0.0, 0.1, 1.0, 10.0)]
    assert statistics == sorted(statistics, reverse=True)
    # far beyond the noise, T² is the deviation over the allowance
    assert statistics[-1] == pytest.approx(np.sum(vectors.mean(axis=0) ** 2) / 100, rel=0.02)


def test_vectors_that_do_not_fluctuate():
    constant = np.full((10, 3), 0.25)
    assert mean_test(constant, np.full(3, 0.25), np.zeros(3)).p_value == 1.0
    assert mean_test(constant, np.full(3, 0.26), np.zeros(3)).p_value < 1e-30


def test_mean_test_holds_its_level_at_few_replicas():
    rng = np.random.default_rng(3)
    p_values = np.array([mean_test(rng.standard_normal((9, 3)), np.zeros(3), np.zeros(3)).p_value for _ in range(4000)])
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 1e-6


def test_groups_of_different_sizes_hold_the_level():
    # means over 1 or 2 replicas, as groups of 80 replicas in 64: the same law with the number of groups
    rng = np.random.default_rng(6)
    sizes = np.array([2] * 5 + [1] * 9)
    scale = 1 / np.sqrt(sizes)[:, None]
    outcomes = [
        (mean_test(x, np.zeros(3), np.zeros(3), sizes), estimate(x[:, 0], sizes))
        for x in (scale * rng.standard_normal((14, 3)) for _ in range(4000))
    ]
    assert scipy.stats.kstest([test.p_value for test, _ in outcomes], "uniform").pvalue > 1e-6
    t = [estimate.value / estimate.error for _, estimate in outcomes]
    assert scipy.stats.kstest(t, scipy.stats.t(13).cdf).pvalue > 1e-6


def test_groups_of_equal_sizes_are_replicas():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((20, 4)) + 0.2
    three = np.full(20, 3)
    plain, grouped = estimate(x[:, 0]), estimate(x[:, 0], three)
    assert (grouped.value, grouped.error) == pytest.approx((plain.value, plain.error))
    plain, grouped = (mean_test(x, np.zeros(4), np.zeros(4), sizes) for sizes in (None, three))
    assert grouped.p_value == pytest.approx(plain.p_value)
    for one, other in zip(multiplier_norms(x, np.ones(4)), multiplier_norms(x, np.ones(4), three), strict=True):
        np.testing.assert_allclose(one, other)


@given(st.lists(st.integers(10, 1000), min_size=3, max_size=6, unique=True), st.sampled_from([0.5, 2 / 3, 1.0]))
@settings(deadline=None)
def test_three_widths_and_more_remove_the_second_order(widths, exponent):
    weights = extrapolation_weights(widths, exponent)
    relative = np.array(widths) / max(widths)
    values = 0.7 - 1.3 * relative**-exponent + 0.4 * relative ** (-2 * exponent)
    assert weights @ values == pytest.approx(0.7, abs=1e-12 * np.abs(weights).max() * np.abs(values).max() + 1e-9)
    # of the linear functionals that do so, the one of least variance where errors are in proportion to 1/width
    free = np.linalg.svd(np.stack([relative ** (-k * exponent) for k in range(3)]))[2][3:]
    np.testing.assert_allclose(free @ (weights / relative**2), 0.0, atol=1e-6 * np.abs(weights / relative**2).max())


def test_weights_of_richardson():
    np.testing.assert_allclose(extrapolation_weights((400, 200, 100)), [8 / 3, -2, 1 / 3], rtol=1e-12)


def test_multiplier_norms_have_the_scale_of_the_noise():
    # mean of R Brownian-bridge-like curves with expectation zero: the norms of many simulated means
    rng = np.random.default_rng(4)
    steps = np.full(50, 0.02)
    curves = rng.standard_normal((40, 400, 50)).cumsum(axis=2) * 0.1
    simulated = np.abs(curves.mean(axis=0))
    means = np.abs(np.array([rng.standard_normal((40, 50)).cumsum(axis=1).mean(axis=0) * 0.1 for _ in range(400)]))
    sup, l1 = multiplier_norms(curves[:, 0], steps, draws=400)
    assert simulated.shape == (400, 50)
    assert sup.mean() == pytest.approx(means.max(axis=1).mean(), rel=0.25)
    assert l1.mean() == pytest.approx((means @ steps).mean(), rel=0.25)
