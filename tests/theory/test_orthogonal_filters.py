"""Orthogonal filters: bounds that samples and exact matrices respect, and the law in between."""

import math

import numpy as np
import pytest

import rmt
from theory.activations import get_activation
from theory.jacobian import jacobian_law
from theory.network import Activation, Dense, Repeat, Residual, Sequential
from theory.orthogonal_filters import (
    balanced_filter_law,
    branch_norm,
    compare_filter_with_resnet,
    filter_bounds,
    filter_law,
    filter_limit_bounds,
    log_spread,
)


def haar(rng, n):
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


@pytest.mark.parametrize("shared", [False, True])
def test_all_singular_values_lie_between_the_bounds(shared):
    n, depth, a, b = 40, 12, 0.9, 0.2
    rng = np.random.default_rng(17)
    phi = get_activation("tanh")
    o, w = haar(rng, n), rng.standard_normal((n, n)) / math.sqrt(n)
    x, product, norms = rng.standard_normal(n), np.eye(n), []
    for _ in range(depth):
        if not shared:
            o, w = haar(rng, n), rng.standard_normal((n, n)) / math.sqrt(n)
        h = w @ x
        branch = phi.dphi(h)[:, None] * w
        norms.append(np.linalg.norm(branch, 2))
        product = (a * o + b * branch) @ product
        x = a * o @ x + b * phi.phi(h)
    values = np.linalg.svd(product, compute_uv=False)
    low, high = filter_bounds(depth, a, b, norms)
    assert low <= values[-1]
    assert values[0] <= high
    # a recurrent network: max φ' ‖W‖ for all steps
    if shared:
        low, high = filter_bounds(depth, a, b, float(np.linalg.norm(w, 2)))
        assert low <= values[-1] < values[0] <= high
    # power: with too small norms a bound fails
    tight = filter_bounds(depth, a, b, 0.05 * np.array(norms))
    assert not (tight[0] <= values[-1] and values[0] <= tight[1])


def test_bounds_are_attained():
    # O = 1, D W = ± s
    low, high = filter_bounds(5, 0.8, 0.2, 1.3)
    assert low == pytest.approx((0.8 - 0.26) ** 5, rel=1e-14)
    assert high == pytest.approx((0.8 + 0.26) ** 5, rel=1e-14)
    assert filter_bounds(2, 0.5, 0.5, [1.5, 0.2]) == (0, pytest.approx(1.25 * 0.6, rel=1e-14))
    with pytest.raises(ValueError, match="2 of them"):
        filter_bounds(2, 0.5, 0.5, [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="filter_gain=0"):
        filter_bounds(2, 0, 0.5, 1.0)


def test_limit_of_the_bounds_and_on_which_side_it_lies():
    c, s = 1.2, 1.4
    limit = filter_limit_bounds(c, s)
    lower, upper = [], []
    for depth in (4, 16, 256, 10**6):
        low, high = filter_bounds(depth, 1 - c / depth, c / depth, s)
        lower.append(low)
        upper.append(high)
    assert lower[-1] == pytest.approx(limit[0], rel=1e-5)
    assert upper[-1] == pytest.approx(limit[1], rel=1e-5)
    assert np.all(np.diff(lower) > 0)
    assert lower[-2] < limit[0]  # at finite depth singular values can lie below e^{-c(1+s)}
    assert all(high < limit[1] for high in upper)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["relu", "linear"])
def test_branch_norm_of_a_wide_layer(name, weights):
    n = 500
    rng = np.random.default_rng(18)
    w = 1.3 * (rng.standard_normal((n, n)) / math.sqrt(n) if weights == "gaussian" else haar(rng, n))
    slope = get_activation(name).dphi(math.sqrt(0.6) * rng.standard_normal(n))
    sampled = np.linalg.norm(slope[:, None] * w, 2)
    assert branch_norm(name, 1.3, 0.6, weights=weights) == pytest.approx(sampled, rel=0.02)
    if weights == "gaussian" and name == "linear":
        assert branch_norm(name, 1.3) == pytest.approx(2.6, rel=1e-12)


def test_law_of_the_filter_against_the_exact_one_at_finite_depth():
    c, sigma = 0.8, 1.2
    distances = []
    for depth in (10, 20):
        block = Residual([Dense(sigma * c / depth, 0.0), Activation("relu")], 1 - c / depth)
        exact = jacobian_law(Sequential([Repeat(block, depth)]))
        law = filter_law(depth, c, sigma**2 / 2)
        x = law.ppf(np.array([0.1, 0.5, 0.9]))
        distances.append(np.max(np.abs(exact.cdf(x) - law.cdf(x))))
        # the mean is exact: (a² + b²χ)^L
        mean = compare_filter_with_resnet(depth, c, sigma**2 / 2).filter_mean
        assert float(exact.mean()) == pytest.approx(mean, rel=1e-11)
        low, high = filter_bounds(depth, 1 - c / depth, c / depth, branch_norm("relu", sigma))
        support = exact.support()
        assert low**2 < float(support.lower) < float(support.upper) < high**2
    assert distances[1] < 0.75 * distances[0] < 0.04


def test_spread_of_the_logarithm():
    for depth, strength, chi in ((400, 1.0, 0.7), (900, 2.0, 0.4)):
        law = filter_law(depth, strength, chi)
        first, second = (law.expectation(lambda x, k=k: (0.5 * np.log(x)) ** k) for k in (1, 2))
        assert math.sqrt(second - first**2) == pytest.approx(log_spread(depth, strength, chi), rel=2e-3)
        assert log_spread(depth, strength, chi) == pytest.approx(strength * math.sqrt(chi / (2 * depth)), rel=5e-3)


def test_comparison_with_plain_resnets():
    found = compare_filter_with_resnet(200, 1.0, 0.5)
    assert found.filter_spread == pytest.approx(found.resnet_spread, rel=0.01)
    assert found.root_resnet_spread == pytest.approx(0.5, rel=1e-12)
    assert found.filter_mean == pytest.approx(math.exp(-2), rel=0.01)
    assert found.root_resnet_mean == pytest.approx(math.exp(0.5), rel=0.01)
    # the universal law has this variance of ln σ, to leading order in c
    law = rmt.UniversalResNet(0.01)
    first, second = (law.expectation(lambda x, k=k: (0.5 * np.log(x)) ** k) for k in (1, 2))
    assert second - first**2 == pytest.approx(0.01 / 2, rel=5e-3)


def test_balanced_filter():
    law = balanced_filter_law(0.6)
    m = np.array([-0.4, 0.2])
    np.testing.assert_allclose(law.s_transform(m), np.exp(-1.2 * m), rtol=1e-12)
    np.testing.assert_allclose(
        balanced_filter_law(0.6, 0.5).s_transform(m), np.exp(0.3 - 0.6 * m), rtol=1e-12
    )


def test_recurrent_linear_network_has_the_law_of_the_feedforward_one():
    # powers of an R-diagonal matrix: moments of (a O + b W)^L with one O, one W
    n, depth, c = 100, 4, 1.0
    rng = np.random.default_rng(19)
    block = Residual([Dense(c / depth, 0.0), Activation("linear")], 1 - c / depth)
    law = jacobian_law(Sequential([Repeat(block, depth)]))
    moments = []
    for _ in range(30):
        step = (1 - c / depth) * haar(rng, n) + c / depth * rng.standard_normal((n, n)) / math.sqrt(n)
        x = np.linalg.svd(np.linalg.matrix_power(step, depth), compute_uv=False) ** 2
        moments.append([np.mean(x), np.mean(x**2)])
    moments = np.array(moments)
    error = moments.std(axis=0, ddof=1) / math.sqrt(30)
    np.testing.assert_array_less(np.abs(moments.mean(axis=0) - np.array(law.moments(2), float)), 6.2 * error + 2e-4)
    assert abs(moments.mean(axis=0)[1] - 1.12 * float(law.moment(2))) > 6.2 * error[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: filter_law(5, 6.0), "strength=6"),
        (lambda: balanced_filter_law(0.0), "time=0"),
        (lambda: branch_norm("relu", weights="haar"), "choose one of gaussian, orthogonal"),
        (lambda: filter_limit_bounds(1.0, -1.0), "norm=-1"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
