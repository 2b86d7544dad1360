"""Points where a law is hard to solve: no points at all, quantiles next to a hard edge of an image, …"""

from __future__ import annotations

import numpy as np
import sympy as sp

import rmt
from rmt import FussCatalan, MarchenkoPastur, Mixture, UniversalResNet
from rmt.numeric.continuation import solve


def test_no_points():
    x, y = sp.symbols("x y", commutative=False)
    law = rmt.polynomial_law(x * y + y * x, {x: MarchenkoPastur(1), y: UniversalResNet(c=0.5)})
    for node in (law.numeric, MarchenkoPastur(2).numeric, (law.free_sum_power(2) + rmt.Cauchy()).numeric):
        answer = solve(node, [])
        assert answer.unknowns.shape == (node.size, 0)
        assert answer.g.shape == answer.converged.shape == (0,)


def test_quantiles_of_an_image_keep_their_digits_next_to_a_hard_edge():
    # the density is x**(-5/6): the level 1e-9 is reached at 1e-53, the width of the support is 14
    one, other = MarchenkoPastur(1), FussCatalan(5)
    law = Mixture({one: 0.5, other: 0.5})
    q = np.array([1e-9, 1e-5, 0.3, 0.9])
    x = law.ppf(q)
    np.testing.assert_allclose((one.cdf(x) + other.cdf(x)) / 2, q, rtol=1e-8)
    assert 1e-54 < x[0] < 1e-51
    # both sides of 0 overlap with different weights: X**2 for X on [-1, 2]
    square = rmt.Uniform(-1, 2).square()
    q = np.array([0, 1e-5, 0.1, 2 / 3, 0.7, 1])
    np.testing.assert_allclose(square.ppf(q), np.where(q <= 2 / 3, 1.5 * q, 3 * q - 1) ** 2, rtol=1e-9)
