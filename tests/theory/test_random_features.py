"""Random features: the free convolution against the quartic of the paper, and against sampled features."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.stats import t as student

import rmt
from rmt.results import PreconditionError
from theory.activations import get_activation
from theory.random_features import feature_moments, random_features_equation, random_features_law

FALSE_ALARM = 1e-6


def agrees(samples, expected):
    """Two-sided t-test of independent replicas at the false-alarm rate."""
    z = (samples.mean() - expected) / (samples.std(ddof=1) / math.sqrt(len(samples)))
    return abs(z) < student.isf(FALSE_ALARM / 2, len(samples) - 1)


def quadratic(h):
    return h * h - 1 + 0.5 * h


SHAPES = [("relu", 0.5, 1.0), ("erf", 2.0, 0.7), ("linear", 0.5, 1.5), (quadratic, 1.5, 3.0)]


@pytest.mark.parametrize(("activation", "phi", "psi"), SHAPES)
def test_law_solves_the_equation_of_the_paper(activation, phi, psi):
    law = random_features_law(activation, phi, psi, q=0.8)
    eta, zeta = feature_moments(activation, 0.8)
    z = np.array([0.3 + 0.2j, 1 + 0.05j, -0.5 + 0.3j, 4 + 1e-3j])
    g = law.cauchy(z)
    # as printed: P and t, nothing eliminated
    t, p = 1 / (z * psi), (z * g - 1 + psi) / psi
    product = (1 + (p - 1) * phi) * (1 + (p - 1) * psi) * t
    np.testing.assert_allclose(p, 1 + (eta - zeta) * product + product * zeta / (1 - product * zeta), rtol=1e-11)
    # the quartic with the parameters as numbers, and with symbols
    equation = random_features_equation(eta, zeta, phi, psi)
    symbolic = random_features_equation()
    names = {str(s): s for s in symbolic.lhs.free_symbols}
    assert set(names) == {"G", "z", "eta", "zeta", "phi", "psi"}
    assert sp.degree(symbolic.lhs, names["G"]) == 4
    values = sp.lambdify([names[k] for k in ("G", "z", "eta", "zeta", "phi", "psi")], symbolic.lhs)
    direct = sp.lambdify([names["G"], names["z"]], equation.lhs)
    size = np.abs(g) ** 4 * (1 + np.abs(z)) ** 2 + 1
    assert np.max(np.abs(values(g, z, eta, zeta, phi, psi)) / size) < 1e-11
    assert np.max(np.abs(direct(g, z)) / size) < 1e-11
    # power: another zeta is not a solution
    assert np.max(np.abs(values(g, z, 1.1 * eta, zeta, phi, psi)) / size) > 1e-3


def test_moments_by_counting():
    # E tr M = η; E tr M² from the linear part (two Wishart factors) and the noise
    phi, psi = 0.5, 0.8
    eta, zeta = feature_moments("tanh")
    ratio = phi / psi  # n1/m
    m1, m2 = random_features_law("tanh", phi, psi).moments(2)
    assert m1 == pytest.approx(eta, rel=1e-12)
    # pairs of equal rows or columns give η² (1 + n1/m), the path over one input ζ² n1/n0 · …: (1/n1) Σ E Y Y Y Y/m²
    assert m2 == pytest.approx(eta**2 * (1 + ratio) + zeta**2 / psi, rel=1e-11)
    assert random_features_law("linear", phi, psi).moment(2) == pytest.approx(1 + ratio + 1 / psi, rel=1e-12)


def test_feature_moments():
    assert feature_moments("relu", 3.0) == pytest.approx((3 * (0.5 - 0.5 / math.pi), 3 / 4), rel=1e-12)
    assert feature_moments("linear", 2.0) == pytest.approx((2, 2), rel=1e-12)
    assert feature_moments("erf", 0.5)[1] == pytest.approx(0.5 / (1 + math.pi * 0.5 / 2), rel=1e-12)
    assert feature_moments(quadratic) == pytest.approx((2.25, 0.25), rel=1e-12)
    assert feature_moments(np.abs, kinks=(0.0,))[1] == pytest.approx(0, abs=1e-25)
    # Stein: E h f = q E f'
    for name in ("gelu", "selu", "sin"):
        phi = get_activation(name)
        slope = float(phi.average(phi.slope, 0.7))
        assert feature_moments(name, 0.7)[1] == pytest.approx(0.7 * slope**2, rel=1e-10)
    with pytest.raises(ValueError, match="constant"):
        feature_moments(np.ones_like)
    with pytest.raises(ValueError, match="q=0"):
        feature_moments("relu", 0)


def test_special_cases():
    # ζ = 0: as good as independent features
    law = random_features_law(np.abs, 0.5, 1.0, kinks=(0.0,))
    x = np.array([0.05, 0.3, 0.9])
    same = (1 - 2 / math.pi) * rmt.MarchenkoPastur(ratio=0.5)
    np.testing.assert_allclose(law.cdf(x), same.cdf(x), rtol=1e-10)
    # linear at φ = ψ: the square of a product of two square matrices and one ratio: Fuss–Catalan at 1
    linear = random_features_law("linear", 1.0, 1.0)
    assert linear.moments(4) == pytest.approx([float(m) for m in rmt.FussCatalan(2).moments(4)], rel=1e-11)
    # more features than samples: zeros, and the same positive eigenvalues with the roles exchanged
    tall, wide = random_features_law("linear", 2.0, 0.5), random_features_law("linear", 0.5, 2.0)
    assert tall.support().atoms == {0: pytest.approx(0.75)}
    x = np.array([0.5, 3.0])
    np.testing.assert_allclose(tall.cdf(4 * x), 0.75 + 0.25 * wide.cdf(x), rtol=1e-10)


def test_equation_refuses_impossible_numbers():
    with pytest.raises(PreconditionError, match="holds for every f"):
        random_features_equation(0.2, 0.3, 1, 1)
    with pytest.raises(ValueError, match="phi=0"):
        random_features_law("relu", 0, 1)


def test_sampled_features():
    n1, n0, m = 120, 96, 192
    law = random_features_law("relu", n0 / m, n0 / n1)
    rng = np.random.default_rng(16)
    shares, squares = [], []
    x = law.ppf(np.array([0.3, 0.85]))
    for _ in range(24):
        h = rng.standard_normal((n1, n0)) @ rng.standard_normal((n0, m)) / math.sqrt(n0)
        y = np.maximum(h, 0) - 1 / math.sqrt(2 * math.pi)
        levels = np.linalg.eigvalsh(y @ y.T / m)
        shares.append([np.mean(levels <= point) for point in x])
        squares.append(np.mean(levels))
    # the bias is O(1/n): under two hundredths here
    shares = np.array(shares)
    np.testing.assert_allclose(shares.mean(axis=0), [0.3, 0.85], atol=0.012)
    assert agrees(np.array(squares), law.mean())
    # power: as if features were independent
    independent = feature_moments("relu")[0] * rmt.MarchenkoPastur(ratio=n1 / m)
    assert np.max(np.abs(shares.mean(axis=0) - independent.cdf(x))) > 0.05
