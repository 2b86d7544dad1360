"""Transforms as series: definitions composed, both ways; S-transforms of centred laws; parameters; fifty moments."""

import math
from fractions import Fraction

import pytest
import sympy as sp

import rmt
from rmt import series

MOMENTS = [Fraction(1, 2), Fraction(5, 3), -1, 7, Fraction(2, 9), 30]
KINDS = ("cauchy", "psi", "eta", "self_energy", "log_potential", "chi", "s", "t", "r", "free_energy")
HALF = Fraction(1, 2)
FOUR = rmt.Discrete(
    {Fraction(1, 3): Fraction(1, 4), 1: Fraction(1, 3), 2: Fraction(1, 6), Fraction(7, 2): Fraction(1, 4)}
)


@pytest.mark.parametrize("kind", KINDS)
def test_round_trips(kind):
    assert series.transform_to_moments(series.moments_to_transform(MOMENTS, kind), kind) == MOMENTS
    c = sp.Symbol("c", positive=True)
    symbolic = [c, c**2 + 1, sp.exp(c), sp.Integer(2)]
    back = series.transform_to_moments(series.moments_to_transform(symbolic, kind), kind)
    assert [sp.simplify(a - b) for a, b in zip(back, symbolic, strict=True)] == [0] * 4


def test_transforms_satisfy_their_definitions():
    n = len(MOMENTS) + 1
    one, identity = [1] + [0] * (n - 1), [0, 1] + [0] * (n - 2)
    of = {kind: series.moments_to_transform(MOMENTS, kind) for kind in KINDS}
    assert series.multiply(of["eta"], series.add(one, of["psi"])) == of["psi"]  # eta (1 + psi) = psi
    assert series.compose(of["psi"], of["chi"]) == series.compose(of["chi"], of["psi"]) == identity
    assert series.multiply(series.add(one, identity), of["chi"]) == [0, *of["s"]]  # m S = (1 + m) chi
    assert series.multiply(of["s"], of["t"]) == one[:-1]
    assert series.compose([0, *of["r"]], of["cauchy"][:n]) == of["psi"]  # z G = 1 + G R(G)
    assert series.reciprocal(of["cauchy"][1:]) == [1, *(-x for x in of["self_energy"])]  # 1/G = z - K
    assert [k * c for k, c in enumerate(of["log_potential"])] == [-x for x in of["psi"]]  # derivatives
    assert [k * c for k, c in enumerate(of["free_energy"])][1:] == of["r"]


@pytest.mark.parametrize(
    ("law", "kind", "value", "at"),
    [
        (rmt.MarchenkoPastur(HALF), "s", 1 / (1 + HALF / 100), 100),
        (rmt.MarchenkoPastur(HALF), "r", 1 / (1 - HALF / 100), 100),
        (rmt.MarchenkoPastur(HALF), "free_energy", -2 * math.log1p(-1 / 200), 100),
        (rmt.Arcsine(-2, 2), "cauchy", 1 / math.sqrt(9999 - 3), math.sqrt(10000)),
        (rmt.Arcsine(-2, 2), "self_energy", 100 - math.sqrt(9996), 100),
        (FOUR, "log_potential", sum(float(p) * math.log1p(-float(x) / 100) for x, p in FOUR.masses), 100),
    ],
)
def test_closed_forms(law, kind, value, at):
    coefficients = series.moments_to_transform(law.moments(12), kind)
    assert sum(float(c) / at**k for k, c in enumerate(coefficients)) == pytest.approx(value, rel=1e-12)


def test_lagrange_inversion_is_composition_with_the_inverse():
    inner, outer = [0, Fraction(2, 3), 1, -4, Fraction(1, 7), 5], [3, 0, 1, Fraction(1, 2), -1, 2]
    assert series.lagrange_inversion(outer, inner) == series.compose(outer, series.reversion(inner))
    with pytest.raises(ValueError, match=r"inner\[0\]=1"):
        series.lagrange_inversion([1, 1], [1, 1])


CENTRED = [0, Fraction(3, 2), -2, 7, Fraction(1, 5), 40, 3, 300]


def test_s_of_a_centred_law_is_a_series_in_the_square_root():
    s = series.moments_to_centred_s_series(CENTRED)
    assert series.centred_s_series_to_moments(s) == CENTRED
    # numerically: S(m) m z = 1 + m at a large z
    x = 1e-3
    m = sum(float(v) * x**k for k, v in enumerate(CENTRED, 1))
    w = math.sqrt(m / 1.5)
    assert sum(float(c) * w**k for k, c in enumerate(s)) / w == pytest.approx((1 + m) * x / m, rel=1e-13)
    # the other branch is another series of the same law
    assert series.centred_s_series_to_moments([(-1) ** k * c for k, c in enumerate(s)]) == [
        (-1) ** k * c for k, c in enumerate(CENTRED, 1)
    ]


def test_product_of_a_centred_and_a_positive_law_three_ways():
    positive = [Fraction(1, 3), 2, 5, Fraction(29, 2), 70, 400, 2500, 17000]
    t = series.moments_to_s_series(positive)
    by_puiseux = series.centred_s_series_to_moments(
        series.multiply_centred_s_series(series.moments_to_centred_s_series(CENTRED), t)
    )
    assert by_puiseux == series.product_moments(CENTRED, t)
    kappa = series.moments_to_free_cumulants(CENTRED[:6])
    for n in range(1, 7):  # and the sum over Kreweras complements
        assert by_puiseux[n - 1] == sum(
            math.prod(kappa[len(b) - 1] for b in p)
            * math.prod(positive[len(b) - 1] for b in series.kreweras_complement(p))
            for p in series.noncrossing_partitions(n)
        )


@pytest.mark.parametrize(
    "third",
    [
        rmt.FreePoisson(rate=Fraction(3, 2), jump=rmt.Discrete({1: HALF, 3: HALF})),
        rmt.Semicircle(variance=Fraction(2, 3)).square(),
        rmt.Semicircle(variance=Fraction(2, 3)),
    ],
    ids=["free_poisson", "squared_semicircle", "semicircle"],
)
def test_fifty_exact_moments_of_a_product_of_three_laws(third):
    factors = [rmt.MarchenkoPastur(HALF), FOUR, third]
    moments = (factors[0] @ factors[1] @ third).moments(50)
    assert all(isinstance(m, int | Fraction) for m in moments)
    # the sum over noncrossing partitions, for the third factor and the product of the others
    kappa, m = third.free_cumulants(6), (factors[0] @ factors[1]).moments(6)
    for n in range(1, 7):
        assert moments[n - 1] == sum(
            math.prod(kappa[len(b) - 1] for b in p) * math.prod(m[len(b) - 1] for b in series.kreweras_complement(p))
            for p in series.noncrossing_partitions(n)
        )
    # MP(1) ⊠ nu is compound Poisson: its free cumulants are the moments of nu, all fifty of them
    whole = rmt.MarchenkoPastur(1) @ FOUR @ third
    assert whole.free_cumulants(50) == (FOUR @ third).moments(50)


def test_parameters_give_what_numbers_give():
    c, p, depth = sp.symbols("c p L", positive=True)
    law = (rmt.MarchenkoPastur(c) @ rmt.Discrete({0: 1 - p, 1: p})).free_power(depth)
    numbers = (rmt.MarchenkoPastur(Fraction(1, 3)) @ rmt.Discrete({0: Fraction(2, 5), 1: Fraction(3, 5)})).free_power(4)
    values = {c: sp.Rational(1, 3), p: sp.Rational(3, 5), depth: 4}
    assert [m.subs(values) for m in law.moments(5)] == [sp.Rational(m) for m in numbers.moments(5)]
    assert [m.subs(values) for m in law.monotone_cumulants(4)] == [
        sp.Rational(m) for m in numbers.monotone_cumulants(4)
    ]


def test_coefficients_that_have_no_field_still_work():
    c = sp.Symbol("c")
    moments = series.free_cumulants_to_moments([1.5, c, 0.25 * c])[1:]
    assert [float(m.subs(c, 2)) for m in moments] == pytest.approx(series.free_cumulants_to_moments([1.5, 2, 0.5])[1:])
    root = series.power([sp.sqrt(2), c, sp.Integer(1)], Fraction(1, 2))
    assert sp.simplify(series.multiply(root, root)[2] - 1) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: series.moments_to_transform([0, 1], "s"), r"m\[0\]=0.*moments_to_centred_s_series"),
        (lambda: series.moments_to_centred_s_series([1, 2]), r"m\[0\]=1.*moments_to_s_series"),
        (lambda: series.moments_to_centred_s_series([0, 0]), r"m\[1\]=0"),
        (lambda: series.centred_s_series_to_moments([0, 1]), r"s\[0\]=0"),
        (lambda: series.moments_to_transform([1], "fourier"), "kind='fourier': expected one of cauchy"),
    ],
)
def test_violated_preconditions_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
