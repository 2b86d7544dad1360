"""Corrections in 1/depth against the exact law at finite depth: what remains must be of the next order."""

from fractions import Fraction
from itertools import pairwise

import mpmath as mp
import pytest
import sympy as sp

import rmt
import theory
from rmt.results import PreconditionError
from theory.corrections import block_term, gain_cumulants
from theory.network import Chain, ResNet, Sequential

m, c, v, k3, L = sp.Symbol("m"), *gain_cumulants(3), sp.Symbol("L", positive=True)
POSITIONS, MASSES = (Fraction(3, 10), Fraction(11, 10), 2), (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))
MOMENTS = [sum(p * x**k for x, p in zip(POSITIONS, MASSES, strict=True)) for k in range(1, 5)]
VALUES = dict(zip(gain_cumulants(4), (sp.Rational(k) for k in rmt.series.moments_to_free_cumulants(MOMENTS)), strict=True))
BOTH = pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])


def network(weights, skip, depth=L):
    return ResNet(depth=depth, activation="tanh", skip=skip, weights=weights)


def exact_block(gain, depth, a, weights):
    """(m, log(a² S)) of the exact block of gains x/depth, at the spectral variable of the gains."""
    m0 = sum(mp.mpf(p) * x / (gain * depth - x) for x, p in zip(map(mp.mpf, map(float, POSITIONS)), MASSES, strict=True))
    t = (1 + m0) ** 2 * (1 / (1 + m0) if weights == "gaussian" else 1) / gain
    m = m0 + (mp.sqrt(1 + 4 * a**2 * t) - 1) / 2
    return m, mp.log((m - m0) * (m + 1 - m0) / (m * (1 + m)))


@BOTH
@pytest.mark.parametrize("order", [2, 3])
def test_log_s_of_a_block_to_its_order(weights, order):
    a, known = mp.mpf("0.9"), []
    with mp.workdps(40):
        errors = []
        for depth in (200, 2000):
            point, exact = exact_block(mp.mpf("2.1") + mp.mpc(0, "0.4"), depth, a, weights)
            known = [block_term(n, sp.Float(a, 40), weights).subs(VALUES) for n in range(1, order + 2)]
            value = sum(mp.mpmathify(sp.N(x.subs(m, sp.sympify(point)), 35)) / mp.mpf(depth) ** n for n, x in enumerate(known, 1))
            errors.append(abs(exact - value))
    assert errors[0] / errors[1] == pytest.approx(10 ** (order + 2), rel=0.05)
