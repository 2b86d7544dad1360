"""Gated layers with a Gaussian second diagonal: against high precision, fine discretisations and free sums."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

import rmt
from rmt.algebra.gated import gated_moments
from rmt.numeric.continuation import solve
from rmt.numeric.gated import GatedNode
from rmt.numeric.gates import DiscreteGates, GaussianGates

# u, floor, mean, deviation, mass: wide, narrow and shifted Gaussians, and one that is a point
CASES = np.array(
    [
        [0.9, 0.0, 0.1, 0.7, 0.35],
        [0.4, 0.3, -0.8, 0.25, 0.3],
        [0.05, 0.1, 0.5, 0.01, 0.2],
        [1.2, 0.6, 0.0, 0.0, 0.15],
    ]
)


def gaussian_node(strength=1.3, haar=False, cases=CASES):
    return GatedNode(GaussianGates(*cases.T), strength, haar)


def average(case, y, t, f, direct):
    """Mean of f(D2², 1/den) in one case; by an integral over the Gaussian, or by the error function."""
    u, c, mean, sigma, _ = (mp.mpf(float(v)) for v in case)
    if sigma == 0:
        d = c + mean**2
        return f(d, 1 / (y - u**2 - t * d))
    if direct:
        # the trapezoidal rule converges geometrically, as the poles are half a deviation off the axis
        step, total = mp.mpf(1) / 16, mp.mpc(0)
        for k in range(-160, 161):
            x = k * step
            d = c + (mean + sigma * x) ** 2
            total += f(d, 1 / (y - u**2 - t * d)) * mp.exp(-x * x / 2)
        return total * step / mp.sqrt(2 * mp.pi)
    zeta = (y - u**2) / t - c
    w = mp.sqrt(zeta)
    w = w if w.imag > 0 or (w.imag == 0 and w.real > 0) else -w
    # from above the axis
    halves = [
        -1j * mp.sqrt(mp.pi / 2) * mp.exp(-(s**2) / 2) * mp.erfc(-1j * s / mp.sqrt(2)) / sigma
        for s in ((w - mean) / sigma, (w + mean) / sigma)
    ]
    first = sum(halves) / (2 * w)
    return f(None, None, first / t, (c * first + zeta * first - 1) / t)


def equations(strength, haar, direct):
    def both(y, t):
        a = b = mp.mpc(0)
        for case in CASES:
            p = mp.mpf(float(case[-1]))
            if direct or case[3] == 0:
                a += p * average(case, y, t, lambda _d, k: k, direct)
                b += p * average(case, y, t, lambda d, k: d * k, direct)
            else:
                a += p * average(case, y, t, lambda _d, _k, first, _: first, direct)
                b += p * average(case, y, t, lambda _d, _k, _, second: second, direct)
        s = strength / (1 + t * b) if haar else strength
        return a, b, s

    return both


@pytest.mark.parametrize("haar", [False, True], ids=["gaussian", "haar"])
@pytest.mark.parametrize(
    ("z", "direct"),
    [
        pytest.param(0.4 + 0.3j, True, marks=pytest.mark.exhaustive),
        *((x, False) for x in (1e-12, 0.05, 0.7, 25.0)),
    ],
)
def test_a_solution_in_high_precision(haar, z, direct):
    strength = 1.3
    solution = solve(gaussian_node(strength, haar), np.array([z]))
    assert solution.converged[0]
    both = equations(mp.mpf(strength), haar, direct)
    with mp.workdps(22):

        def gap(y, t):
            a, b, s = both(y, t)
            return [t * (1 + s * b) - s * y * a, y * (1 + s * b) / mp.mpmathify(z) - 1]

        start = [mp.mpc(complex(v)) for v in np.exp(solution.unknowns[:, 0])]
        y, t = mp.findroot(gap, start, tol=1e-34, maxsteps=20)
        a, b, s = both(y, t)
        g = a / (1 + s * b)
        # the branch of a law
        assert complex(y).imag >= 0 >= complex(g).imag
        assert complex(solution.g[0]) == pytest.approx(complex(g), rel=2e-13)
        if z == 25.0:  # of the density itself, which is small there
            assert float(g.imag) > -1e-5
            assert solution.g[0].imag == pytest.approx(float(g.imag), rel=1e-9)


@pytest.mark.parametrize("haar", [False, True], ids=["gaussian", "haar"])
def test_a_fine_discretisation_is_the_same_law(haar):
    nodes = np.linspace(-9, 9, 451)
    weights = np.exp(-(nodes**2) / 2)
    weights /= weights.sum()
    u, c, mean, sigma, p = (column[:, np.newaxis] for column in CASES.T)
    squares = c + (mean + sigma * nodes) ** 2
    skips, masses = (np.broadcast_to(v, squares.shape).ravel() for v in (u, p * weights))
    fine = GatedNode(DiscreteGates(skips, np.sqrt(squares.ravel()), masses), 1.3, haar)
    node = gaussian_node(1.3, haar)
    assert [node.mean, node.variance] == pytest.approx([fine.mean, fine.variance], rel=1e-13)
    z = np.array([0.3 + 0.3j, 1 + 0.2j, -0.2, 3 + 0.3j, -1e-3, 1e-2j, 1.0])
    a, b = solve(node, z), solve(fine, z)
    np.testing.assert_allclose(a.g, b.g, rtol=1e-9)
    np.testing.assert_allclose(a.potential, b.potential, rtol=1e-9, atol=1e-10)


def test_the_potential_is_the_integral_of_the_transform():
    for haar in (False, True):
        node = gaussian_node(0.9, haar)
        x, step = np.array([0.02, 0.5, 2.0, 5.0]), 1e-5
        up, down, here = (solve(node, x * (1 + k * step)) for k in (1, -1, 0))
        np.testing.assert_allclose((up.potential - down.potential) / (2 * step * x), here.g, rtol=1e-8)
        # and far away Phi ~ log z: the distribution function runs from 0 to 1
        ends = 1 - solve(node, np.array([1e-24, 40.0])).potential.imag / np.pi
        np.testing.assert_allclose(ends, [0, 1], atol=1e-11)


@pytest.mark.parametrize("haar", [False, True], ids=["gaussian", "haar"])
def test_a_constant_diagonal_is_a_free_sum(haar):
    skip, strength = Fraction(4, 5), Fraction(13, 10)
    slopes = {Fraction(1, 2): Fraction(1, 5), Fraction(1): Fraction(1, 2), Fraction(3, 2): Fraction(3, 10)}
    branch = strength * rmt.Discrete({x * x: p for x, p in slopes.items()})
    law = rmt.ResidualSum(branch if haar else branch @ rmt.MarchenkoPastur(1), skip)

    def joint(i, j):
        return sum(p * skip ** (2 * i) * x ** (2 * j) for x, p in slopes.items())

    assert gated_moments(joint, strength, 6, haar) == law.moments(6)
    columns = [
        np.full(3, float(skip)),
        np.array(list(slopes), dtype=float),
        np.array(list(slopes.values()), dtype=float),
    ]
    node = GatedNode(DiscreteGates(*columns), float(strength), haar)
    points = np.array([0.05 + 0.1j, 0.2, 1.0, 2.0, 1 + 1j, -0.3])
    np.testing.assert_allclose(solve(node, points).g, solve(law.numeric, points).g, rtol=1e-11)
    np.testing.assert_allclose(solve(node, points).potential, solve(law.numeric, points).potential, rtol=1e-11)


def test_moments_are_those_of_the_transform():
    # exact joint moments against the expansion of G at infinity
    _, c, mean, sigma, _ = CASES.T
    for haar in (False, True):
        fourth = mean**4 + 6 * mean**2 * sigma**2 + 3 * sigma**4
        branch = [np.ones(4), c + mean**2 + sigma**2, c**2 + 2 * c * (mean**2 + sigma**2) + fourth]

        def joint(i, j, branch=branch):
            return float(np.sum(CASES[:, 4] * CASES[:, 0] ** (2 * i) * branch[j]))

        m1, m2 = gated_moments(joint, 1.3, 2, haar)
        node = gaussian_node(1.3, haar)
        assert [node.mean, node.variance + node.mean**2] == pytest.approx([m1, m2], rel=1e-13)
        z = 200 * np.exp(2j * np.pi * (np.arange(8) + 0.5) / 16)  # the upper half circle; the lower is its conjugate
        s = solve(node, z)
        coefficients = [float(np.mean((s.m * z**k).real)) for k in (1, 2)]
        assert coefficients == pytest.approx([m1, m2], rel=1e-6)


def test_a_hard_edge_keeps_its_digits():
    # at 0 the density is c/sqrt(x) where the diagonal does not keep the spectrum off
    node = gaussian_node()
    x = 10.0 ** -np.arange(12, 31, 6)
    s = solve(node, x)
    assert np.all(s.converged)
    heights = -s.g.imag * np.sqrt(x)
    np.testing.assert_allclose(heights, heights[-1], rtol=1e-5)
    # the distribution function is 2/pi of that times sqrt(x)
    np.testing.assert_allclose(1 - s.potential.imag[0] / np.pi, 2 / np.pi * heights[-1] * np.sqrt(x[0]), rtol=1e-6)
