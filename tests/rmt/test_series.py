"""Power series and cumulants against independent oracles: partitions counted one by one, and closed forms."""

import cmath
import math
from fractions import Fraction
from itertools import pairwise

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rmt import series

fractions = st.fractions(min_value=-3, max_value=3, max_denominator=7)
nonzero = fractions.filter(bool)


def series_lists(first=fractions, max_size=7):
    return st.tuples(first, st.lists(fractions, min_size=1, max_size=max_size)).map(lambda t: [t[0], *t[1]])


def set_partitions(n):
    if n == 0:
        yield []
        return
    for partition in set_partitions(n - 1):
        for i in range(len(partition)):
            yield [*partition[:i], [*partition[i], n], *partition[i + 1 :]]
        yield [*partition, [n]]


def is_noncrossing(partition):
    block = {x: i for i, b in enumerate(partition) for x in b}
    n = len(block)
    return not any(
        block[a] == block[c] != block[b] == block[d]
        for a in range(1, n + 1)
        for b in range(a + 1, n + 1)
        for c in range(b + 1, n + 1)
        for d in range(c + 1, n + 1)
    )


def is_interval(partition):
    return all(y == x + 1 for b in partition for x, y in pairwise(b))


def moments_by_partitions(cumulants, keep):
    return [
        sum(math.prod(cumulants[len(b) - 1] for b in p) for p in set_partitions(n) if keep(p))
        for n in range(1, len(cumulants) + 1)
    ]


@settings(deadline=None, max_examples=8)
@given(st.lists(fractions, min_size=7, max_size=7))
def test_free_cumulants_sum_over_noncrossing_partitions(cumulants):
    moments = moments_by_partitions(cumulants, is_noncrossing)
    assert series.free_cumulants_to_moments(cumulants) == moments
    assert series.moments_to_free_cumulants(moments) == cumulants


@settings(deadline=None, max_examples=8)
@given(st.lists(fractions, min_size=7, max_size=7))
def test_boolean_cumulants_sum_over_interval_partitions(cumulants):
    moments = moments_by_partitions(cumulants, is_interval)
    assert series.boolean_cumulants_to_moments(cumulants) == moments
    assert series.moments_to_boolean_cumulants(moments) == cumulants


@settings(deadline=None)
@given(st.lists(fractions, min_size=1, max_size=8), nonzero)
def test_s_series_round_trip(tail, mean):
    moments = [mean, *tail]
    s = series.moments_to_s_series(moments)
    assert s[0] == 1 / mean
    assert s[1] == -(moments[1] - mean**2) / mean**3
    assert series.s_series_to_moments(s) == moments


@settings(deadline=None, max_examples=30)
@given(st.lists(fractions, min_size=5, max_size=5), st.lists(fractions, min_size=5, max_size=5), nonzero, nonzero)
def test_free_product_is_the_sum_over_kreweras_complements(a, b, a1, b1):
    """First three moments of the free product, written out (Nica, Speicher, lecture 14), against products of S."""
    k, m = [a1, *a], [b1, *b]
    kappa = series.moments_to_free_cumulants(k)
    product = series.multiply(series.moments_to_s_series(k), series.moments_to_s_series(m))
    # m_n(ab) = Σ over noncrossing π of κ_π[a] m_{K(π)}[b]
    expected = [
        kappa[0] * m[0],
        kappa[0] ** 2 * m[1] + kappa[1] * m[0] ** 2,
        kappa[0] ** 3 * m[2] + 3 * kappa[1] * kappa[0] * m[1] * m[0] + kappa[2] * m[0] ** 3,
    ]
    assert series.s_series_to_moments(product)[:3] == expected


@pytest.mark.parametrize("order", [1, 2, 3, 10, 1000])
def test_fuss_catalan_moments(order):
    s = series.power([1, -1, 1, -1, 1, -1, 1], order)  # S of Marchenko-Pastur, 1/(1+m), to the power of the depth
    moments = series.s_series_to_moments(s)
    assert moments == [Fraction(math.comb(k * (order + 1), k), k * order + 1) for k in range(1, 8)]
    assert all(isinstance(m, int | Fraction) for m in moments)


def test_catalan_numbers():
    catalan = [math.comb(2 * n, n) // (n + 1) for n in range(1, 21)]
    assert series.free_cumulants_to_moments([1] * 20) == catalan
    assert series.moments_to_free_cumulants(catalan) == [1] * 20
    semicircle = [0 if n % 2 else catalan[n // 2 - 1] for n in range(1, 21)]
    assert series.moments_to_free_cumulants(semicircle) == [0, 1] + [0] * 18


@settings(deadline=None)
@given(series_lists(nonzero), series_lists(nonzero))
def test_ring_identities(a, b):
    n = min(len(a), len(b))
    one = [1] + [0] * (len(a) - 1)
    assert series.multiply(a, series.reciprocal(a)) == one
    assert series.multiply(a, b) == series.multiply(b, a)
    assert series.add(a, b) == [x + y for x, y in zip(a, b, strict=False)]
    assert series.power(a, -2) == series.reciprocal(series.multiply(a, a))
    assert series.power(a, 3)[:n] == series.multiply(a, series.multiply(a, a))[:n]


@settings(deadline=None)
@given(st.lists(fractions, min_size=1, max_size=6), fractions, fractions)
def test_exponents_add(tail, s, t):
    a = [Fraction(1), *tail]
    assert series.multiply(series.power(a, s), series.power(a, t)) == series.power(a, s + t)
    assert series.exp([t * x for x in series.log(a)]) == series.power(a, t)


@settings(deadline=None)
@given(st.lists(fractions, min_size=1, max_size=6), nonzero)
def test_reversion_is_the_compositional_inverse(tail, slope):
    a = [0, slope, *tail]
    inverse = series.reversion(a)
    identity = [0, 1] + [0] * len(tail)
    assert series.compose(a, inverse) == identity
    assert series.compose(inverse, a) == identity


def test_composition_written_out():
    # 3 + b + 2b² at b = 2x + x²
    assert series.compose([3, 1, 2], [0, 2, 1]) == [3, 2, 9]


def test_roots_of_rational_constant_terms():
    assert series.power([Fraction(9, 4), 1], Fraction(3, 2)) == [Fraction(27, 8), Fraction(9, 4)]
    assert series.power([(10**20 + 1) ** 3, 0], Fraction(1, 3)) == [10**20 + 1, 0]
    root = series.power([2, 1], Fraction(1, 2))
    assert root == pytest.approx([math.sqrt(2), 1 / math.sqrt(8)])
    assert series.power([-4, 0], Fraction(1, 2))[0] == pytest.approx(2j)


def test_floats_stay_floats_at_great_depth():
    depth, c = 1e5, 0.25
    # S = (1 - 2c m/L)^L and exp(-2cm) differ by O(1/L)
    s = series.power([1.0, -2 * c / depth, 0.0, 0.0], depth)
    limit = series.exp([0.0, -2 * c, 0.0, 0.0])
    assert s == pytest.approx(limit, rel=1e-4)
    assert s != pytest.approx(limit, rel=1e-7)
    assert all(isinstance(x, float) for x in s)
    by_logarithm = series.exp([depth * x for x in series.log([1.0, -2 * c / depth, 0.0, 0.0])])
    assert s == pytest.approx(by_logarithm, rel=1e-11)


def test_complex_and_float_constant_terms():
    a = [1 + 2j, 0.5, 3.0]
    assert series.exp(series.log(a)) == pytest.approx(a)
    assert series.log([-2.0, 1.0])[0] == cmath.log(-2.0)
    assert series.exp([0.5, 1.0]) == pytest.approx([math.exp(0.5)] * 2)


def test_symbolic_coefficients_are_in_lowest_terms():
    c, p = sp.symbols("c p", positive=True)
    moments = series.s_series_to_moments(series.exp([0, -2 * c, 0, 0]))
    assert [sp.expand(m) for m in moments[1:3]] == [1 + 2 * c, 1 + 6 * c + 6 * c**2]
    # p (m+p)^{-1} has a two-atom inverse: the numerators must not pile up
    s = series.reciprocal([p, 1, 0, 0])
    assert sp.simplify(s[3] + p**-4) == 0
    assert all(x.count_ops() < 6 for x in s)
    depth = sp.Symbol("L")
    assert sp.expand(series.power([1, 1, 0], depth)[2] - depth * (depth - 1) / 2) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: series.reciprocal([0, 1]), r"a\[0\]=0 in reciprocal"),
        (lambda: series.power([0, 1], 2), r"a\[0\]=0 in power"),
        (lambda: series.log([0, 1]), r"a\[0\]=0 in log"),
        (lambda: series.log([2, 1]), r"a\[0\]=2 in log"),
        (lambda: series.exp([1, 1]), r"a\[0\]=1 in exp"),
        (lambda: series.compose([1, 1], [1, 1]), r"b\[0\]=1 in compose"),
        (lambda: series.reversion([1, 1]), r"a\[0\]=1 in reversion"),
        (lambda: series.reversion([0, 0, 1]), r"a\[1\]=0 in reversion"),
        (lambda: series.moments_to_s_series([0, 1]), r"m\[0\]=0"),
        (lambda: series.s_series_to_moments([0, 1]), r"s\[0\]=0"),
    ],
)
def test_violated_preconditions_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_empty_series():
    for function in (series.reciprocal, series.log, series.exp, series.reversion, series.moments_to_free_cumulants):
        assert function([]) == []
    assert series.power([], 2) == series.compose([], [0]) == series.moments_to_s_series([]) == []
    assert series.s_series_to_moments([]) == []


def test_fifty_exact_moments_there_and_back():
    moments = [Fraction(i * i + 1, 1 + i % 11) for i in range(50)]
    cumulants = series.moments_to_free_cumulants(moments)
    s = series.moments_to_s_series(moments)
    assert series.free_cumulants_to_moments(cumulants) == moments
    assert series.s_series_to_moments(s) == moments
