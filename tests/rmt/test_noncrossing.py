"""Partitions counted and filtered by brute force, and the cumulants of four kinds as sums over them."""

import math
from fractions import Fraction
from itertools import combinations, pairwise

import pytest
import sympy as sp

from rmt import series

CUMULANTS = [Fraction(1, 2), Fraction(-2, 3), 3, Fraction(5, 7), -1, Fraction(1, 9), 2]


def crosses(partition):
    block = {x: i for i, b in enumerate(partition) for x in b}
    return any(block[a] == block[c] != block[b] == block[d] for a, b, c, d in combinations(sorted(block), 4))


def is_interval(partition):
    return all(y == x + 1 for b in partition for x, y in pairwise(b))


def refines(fine, coarse):
    return all(any(set(b) <= set(c) for c in coarse) for b in fine)


def sum_over(partitions, values, weight=lambda _: 1):
    return sum(weight(p) * math.prod(values[len(b) - 1] for b in p) for p in partitions)


@pytest.mark.parametrize("n", range(8))
def test_generators_against_filters_and_counts(n):
    everything = list(series.set_partitions(n))
    assert len(everything) == len(set(everything)) == [1, 1, 2, 5, 15, 52, 203, 877][n]
    assert all(sorted(x for b in p for x in b) == list(range(1, n + 1)) for p in everything)
    noncrossing = list(series.noncrossing_partitions(n))
    assert noncrossing == [p for p in everything if not crosses(p)]
    assert len(noncrossing) == math.comb(2 * n, n) // (n + 1)
    assert all(series.is_noncrossing(p) != crosses(p) for p in everything)
    assert list(series.interval_partitions(n)) == [p for p in everything if is_interval(p)]


@pytest.mark.parametrize("n", range(1, 6))
def test_monotone_partitions(n):
    ordered = list(series.monotone_partitions(n))
    assert len(ordered) == len(set(ordered)) == math.factorial(n + 1) // 2
    for partition in series.noncrossing_partitions(n):
        orders = sum(tuple(sorted(p)) == partition for p in ordered)
        assert orders * series.tree_factorial(partition) == math.factorial(len(partition))


@pytest.mark.parametrize("n", [3, 5])
def test_kreweras_complement_is_the_largest_noncrossing_partner(n):
    everything = list(series.noncrossing_partitions(n))
    for partition in everything:
        doubled = tuple(tuple(2 * x - 1 for x in b) for b in partition)
        partners = [k for k in everything if not crosses((*doubled, *(tuple(2 * x for x in b) for b in k)))]
        complement = series.kreweras_complement(partition)
        assert complement in partners
        assert all(refines(k, complement) for k in partners)
        assert len(partition) + len(complement) == n + 1
    assert len({series.kreweras_complement(p) for p in everything}) == len(everything)


def test_moebius_function_by_its_defining_sum():
    everything = list(series.noncrossing_partitions(5))
    top = ((1, 2, 3, 4, 5),)
    for fine in everything:
        total = sum(series.noncrossing_moebius(p) for p in everything if refines(fine, p))
        assert total == (fine == top)


def test_cumulants_of_four_kinds_are_sums_over_partitions():
    orders = range(1, len(CUMULANTS) + 1)
    free = [sum_over(series.noncrossing_partitions(n), CUMULANTS) for n in orders]
    assert series.free_cumulants_to_moments(CUMULANTS) == free
    inverted = [sum_over(series.noncrossing_partitions(n), free, series.noncrossing_moebius) for n in orders]
    assert inverted == CUMULANTS == series.moments_to_free_cumulants(free)
    classical = [sum_over(series.set_partitions(n), CUMULANTS) for n in orders]
    assert series.classical_cumulants_to_moments(CUMULANTS) == classical
    boolean = [sum_over(series.interval_partitions(n), CUMULANTS) for n in orders]
    assert series.boolean_cumulants_to_moments(CUMULANTS) == boolean
    monotone = [
        sum_over(series.noncrossing_partitions(n), CUMULANTS, lambda p: Fraction(1, series.tree_factorial(p)))
        for n in orders
    ]
    assert series.monotone_cumulants_to_moments(CUMULANTS) == monotone
    assert series.moments_to_monotone_cumulants(monotone) == CUMULANTS


def test_moments_of_a_free_product_are_a_sum_over_complements():
    kappa, m = CUMULANTS[:6], [Fraction(2, 3), 1, Fraction(7, 4), -2, 5, Fraction(1, 3)]
    complement = series.kreweras_complement
    expected = [
        sum(sum_over([p], kappa) * sum_over([complement(p)], m) for p in series.noncrossing_partitions(n))
        for n in range(1, 7)
    ]
    first = series.moments_to_s_series(series.free_cumulants_to_moments(kappa))
    assert series.s_series_to_moments(series.multiply(first, series.moments_to_s_series(m))) == expected


@pytest.mark.parametrize("kind", ["free", "boolean", "classical", "monotone"])
def test_conversions_between_kinds_over_a_field_of_parameters(kind):
    p, c = sp.symbols("p c")
    values = [p, c / p, sp.Integer(1), p - c, sp.Rational(1, 2)]
    numbers = {p: Fraction(3, 2), c: Fraction(-2, 5)}

    def at(expressions):
        return [sp.sympify(x).subs({k: sp.Rational(v) for k, v in numbers.items()}) for x in expressions]

    for target in ("free", "boolean", "classical", "monotone", "moments"):
        there = series.convert_cumulants(values, kind, target)
        back = series.convert_cumulants(there, target, kind)
        assert [sp.simplify(a - b) for a, b in zip(back, values, strict=True)] == [0] * 5
        through = series.convert_cumulants([Fraction(int(x.p), int(x.q)) for x in at(values)], kind, target)
        assert at(there) == [sp.Rational(x) for x in through]


def test_boolean_and_free_cumulants_directly_and_through_moments():
    moments = series.free_cumulants_to_moments(CUMULANTS)
    boolean = series.moments_to_boolean_cumulants(moments)
    assert series.convert_cumulants(CUMULANTS, "free", "boolean") == boolean
    assert series.convert_cumulants(boolean, "boolean", "free") == CUMULANTS


def test_crossing_blocks_and_bad_kinds_are_refused():
    with pytest.raises(ValueError, match="two blocks cross"):
        series.kreweras_complement(((1, 3), (2, 4)))
    with pytest.raises(ValueError, match="n=-1"):
        series.set_partitions(-1)
    with pytest.raises(ValueError, match="target='tensor': expected one of moments, free"):
        series.convert_cumulants([1], "free", "tensor")
