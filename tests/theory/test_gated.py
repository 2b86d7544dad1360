"""Gated layers: against the residual block where the skip is constant, and against sampled layers."""

import numpy as np
import pytest

import rmt
import theory


def sigmoid(h):
    return 1 / (1 + np.exp(-h))


def test_a_constant_skip_gives_the_residual_block():
    q, sigma_w, skip = 1.3, 0.9, 0.7
    law = theory.gated_layer_law(lambda h: skip + 0 * h, lambda h: 1 / np.cosh(h) ** 2, q, sigma_w)
    branch = sigma_w**2 * (theory.gain_law(theory.get_activation("tanh"), q) @ rmt.MarchenkoPastur(1))
    other = rmt.ResidualSum(branch, skip)
    points = np.array([0.05, 0.2, 0.5, 0.9, 1.5]) * float(other.mean())
    np.testing.assert_allclose(law.cauchy(points + 0.02j), other.cauchy(points + 0.02j), rtol=1e-9)
    np.testing.assert_allclose(law.moments(3), [float(m) for m in other.moments(3)], rtol=1e-10)


@pytest.mark.exhaustive
def test_a_correlated_gate_against_sampled_layers():
    q = 2.0
    law = theory.gated_layer_law(lambda h: 1 - sigmoid(h), lambda h: sigmoid(h) * (h > 0), q, 1.4, kinks=(0.0,))
    rng = np.random.default_rng(2)
    n, points = 500, np.array([0.02, 0.2, 0.7, 2.0])
    rows = []
    for _ in range(4):
        h = rng.normal(size=n) * np.sqrt(q)
        j = np.diag(1 - sigmoid(h)) + (sigmoid(h) * (h > 0))[:, np.newaxis] * rng.normal(size=(n, n)) * 1.4 / np.sqrt(n)
        values = np.linalg.eigvalsh(j @ j.T)
        rows.append(np.mean(values[:, np.newaxis] <= points, axis=0))
    # the gates fluctuate by 1/sqrt(n) between samples
    np.testing.assert_allclose(np.mean(rows, axis=0), law.cdf(points), atol=4 * 0.5 / np.sqrt(4 * n))


def test_an_unnamed_kink_is_an_error():
    with pytest.raises(rmt.ConvergenceError, match="name the kinks"):
        theory.gated_layer_law(lambda h: 1 - sigmoid(h), lambda h: 1.0 * (h > 0.3), 1.0)
