"""The polynomial of every algebraic law: its own G is a root, its own moments are the expansion."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt.algebra.gated import GatedLayer
from rmt.algebra.inverse import Inverse
from rmt.algebra.mixture import Mixture
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.symbolic import bivariate, elimination, polynomial, polynomial_operations, recognise

half, third, quarter = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)
MP, SC = rmt.MarchenkoPastur(half), rmt.Semicircle()
t = sp.Symbol("t")
X = sp.Symbol("X", commutative=False)
relu = ResidualSum(MP @ rmt.Discrete({0: half, 1: half}), half)

LAWS = [
    rmt.Arcsine(-1, 3),
    rmt.KestenMcKay(3),
    rmt.KestenMcKay(Fraction(7, 2)),
    rmt.FreeJacobi(third, quarter),
    rmt.FussCatalan(Fraction(3, 2)),
    rmt.FussCatalan(half),
    rmt.FreePoisson(Fraction(2, 3), rmt.Discrete({0: quarter, 1: quarter, 3: half})),
    rmt.FreePoisson(2, rmt.FreeJacobi(third, quarter)),
    rmt.FreePoisson(2, -3),
    Inverse(MP),
    Mixture({MP: half, SC: third, rmt.Discrete({2: 1}): Fraction(1, 6)}),
    RectangularSum((rmt.Discrete({1: half, 2: half}), rmt.MarchenkoPastur(third), 2 * MP), third),
    relu.free_power(3),
    MP.free_power(Fraction(3, 2)),
    MP.free_sum_power(Fraction(5, 3)),
    (MP + SC).square(),
    (MP + 1).sqrt().symmetrized(),
    MP.symmetrized(),
    MP + MP + SC + rmt.Discrete({1: 1}),
    MP @ MP @ rmt.Discrete({2: 1}) @ rmt.Discrete({1: half, 2: half}),
    (SC - third) @ rmt.FussCatalan(2),
    SC @ MP,
    rmt.ImplicitLaw(r=2 * t + 1),
    rmt.ImplicitLaw(s=1 / sp.sqrt(1 + t)),
    rmt.ImplicitLaw(r=(1 - sp.sqrt(1 - 4 * t)) / (2 * t)),
    GatedLayer({(half, 1): half, (1, 0): quarter, (2, 3): quarter}, third),
    rmt.Discrete({0: half, 1: half}).compress(third),
    rmt.Arcsine() + SC,
    rmt.polynomial_law(X**2 - 3 * X + 1, {X: MP}),
    rmt.polynomial_law(X**3, {X: rmt.Discrete({1: half, 2: half})}) + SC,
]
# no moments: only G is compared
HEAVY = [
    rmt.Cauchy(1, 2),
    rmt.FreeStable(Fraction(3, 2), Fraction(2, 3)),
    rmt.FreeStable(half, 1),
    rmt.FreeStable(Fraction(4, 3), half, 2, 1),
    SC + rmt.Cauchy(1, 1),
    MP + rmt.Cauchy(0, 1) + rmt.Cauchy(0, 1),
    rmt.MarchenkoPastur(1).inverse(),
]


def distance(law, z):
    """Relative distance of G to the root of the polynomial."""
    poly = polynomial(law)
    value = -law.cauchy(z)
    p = sp.lambdify(poly.gens, poly.as_expr())
    slope = sp.lambdify(poly.gens, poly.diff(poly.gens[0]).as_expr())
    return np.max(np.abs(p(value, z) / slope(value, z) / value))


@pytest.mark.parametrize("law", [*LAWS, *HEAVY], ids=lambda law: repr(law)[:60])
def test_polynomial_of_a_law(law):
    assert distance(law, np.array([0.7 + 0.8j, -1 + 0.3j])) < 1e-9
    found = bivariate(law)
    assert [e for _, e in found.ring.factor(found.element)] == [1]  # irreducible
    if law in HEAVY:
        assert found.seeds is None
        return
    assert found.moments(6) == law.moments(6)


def test_without_flint(monkeypatch):
    """The same polynomials by sympy alone."""
    laws = [law for k, law in enumerate(LAWS) if k % 3 == 0]
    expected = [polynomial(law) for law in laws]
    monkeypatch.setattr(elimination, "flint", None)
    assert not elimination.has_flint()
    assert bivariate(MP).ring.backend == "sympy"
    assert [polynomial(law) for law in laws] == expected
    with pytest.raises(ModuleNotFoundError, match="exact"):
        elimination.make_ring(0, "flint")


@pytest.mark.parametrize(
    ("branch", "degree"),
    [(rmt.MarchenkoPastur(1), 2), (rmt.MarchenkoPastur(1) @ rmt.Discrete({0: half, 1: half}), 3)],
)
def test_deep_networks_keep_the_degree_of_a_block(branch, degree):
    """Twenty residual blocks, linear and ReLU: one irreducible polynomial."""
    block = ResidualSum(Fraction(1, 20) * branch, 1)
    assert bivariate(block, "s").degrees[0] == degree
    net = block.free_power(20)
    found = bivariate(net, "s")
    assert found.degrees == (degree, 20 * bivariate(block, "s").degrees[1])
    assert [e for _, e in found.ring.factor(found.element)] == [1]
    assert found.moments(5) == net.moments(5)
    # products of pairs end at the same polynomial, through factors that must be refuted
    twice = polynomial_operations.free_product(bivariate(block), bivariate(block))
    assert twice == bivariate(block.free_power(2))


def test_symbolic_network():
    a, s = sp.symbols("a sigma", positive=True)
    block = ResidualSum(s**2 * rmt.MarchenkoPastur(1), a)
    net = bivariate(block.free_power(4), "s")
    assert net.degrees[0] == 2
    assert sp.expand(net.moments(1)[0] - (a**2 + s**2) ** 4) == 0
    special = bivariate(ResidualSum(Fraction(1, 4) * rmt.MarchenkoPastur(1), 1).free_power(4), "s")
    assert net.at({a: 1, s: half}).poly == special.poly


def test_refusals_say_what_to_do():
    for law, text in [
        (rmt.Uniform(0, 1), "rmt.derive"),
        (MP.sqrt(), "symmetrized"),
        (rmt.FussCatalan(sp.Symbol("L")), "rational"),
        (rmt.FreeStable(half, quarter), "2 p rho"),
        (rmt.ImplicitLaw(s=lambda m: 1 / (1 + m)), "sympy expression"),
        (rmt.ImplicitLaw(s=sp.exp(-t)), "not algebraic"),
        (rmt.polynomial_law(X**3, {X: MP}), "degree 3"),
    ]:
        with pytest.raises(NotImplementedError, match=text):
            polynomial(law)
    with pytest.raises(ValueError, match="atom at 0"):
        polynomial(rmt.MarchenkoPastur(2).inverse())
    with pytest.raises(ValueError, match="exact"):
        polynomial(rmt.Semicircle() + 0.5)


c, v = sp.symbols("c v", positive=True)
COIN = rmt.Discrete({-1: half, 1: half})


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (SC + rmt.Semicircle(2, 1), rmt.Semicircle(3, 1)),
        (rmt.Semicircle(v, c), rmt.Semicircle(v, c)),
        (SC.square(), rmt.MarchenkoPastur(1)),
        (MP + MP + 1, 2 * rmt.MarchenkoPastur(quarter) + 1),
        (rmt.FreePoisson(2, -3), -6 * MP),
        (v * rmt.MarchenkoPastur(c) + 2, v * rmt.MarchenkoPastur(c) + 2),
        (rmt.MarchenkoPastur(1).free_power(4), rmt.FussCatalan(4)),
        (rmt.MarchenkoPastur(1).free_power(Fraction(5, 2)) * -2 + 1, -2 * rmt.FussCatalan(Fraction(5, 2)) + 1),
        (rmt.FussCatalan(third), rmt.FussCatalan(third)),
        (COIN + COIN, rmt.Arcsine(-2, 2)),
        (rmt.Arcsine(1, 5), rmt.Arcsine(1, 5)),
        (COIN.free_sum_power(5), rmt.KestenMcKay(5)),
        (rmt.Discrete({0: half, 1: half}).compress(c), rmt.FreeJacobi(c, half)),
        (3 * rmt.FreeJacobi(third, quarter) + 1, 3 * rmt.FreeJacobi(third, quarter) + 1),
        (COIN.compress(Fraction(4, 5)) * 1, None),
        (
            rmt.Discrete({sp.sqrt(2): third, -sp.sqrt(2): 1 - third}),
            rmt.Discrete({-sp.sqrt(2): 1 - third, sp.sqrt(2): third}),
        ),
        (SC + MP, None),
        (SC @ MP, None),
        (rmt.Cauchy(), None),
        (MP.inverse(), None),
    ],
)
def test_recognition(law, expected):
    found = recognise(bivariate(law))
    if expected is None and found is not None:  # whatever is returned is the law
        assert found.moments(6) == law.moments(6)
    else:
        assert found == expected


def test_parameters_may_have_the_names_of_the_variables():
    m, s = sp.symbols("m s")
    found = bivariate(rmt.Semicircle(m) + rmt.MarchenkoPastur(s))
    assert found.at({m: 1, s: half}).to("m").poly == polynomial(SC + MP)
    assert [sp.expand(x) for x in found.moments(3)] == [1, 1 + m + s, 1 + 3 * s + s**2 + 3 * m]
    assert recognise(bivariate(m * rmt.MarchenkoPastur(s) + 1)) == m * rmt.MarchenkoPastur(s) + 1
    for encoding in ("s", "m"):
        assert not set(found.to(encoding).variables) & {m, s}


def test_recognition_of_an_expression():
    assert recognise(polynomial(rmt.Semicircle(2, 3))) == rmt.Semicircle(2, 3)
