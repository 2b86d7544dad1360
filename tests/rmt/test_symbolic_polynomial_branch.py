"""The branch of an algebraic law: its density with proof, its edges, the recurrence of its moments."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt.algebra.mixture import Mixture
from rmt.algebra.residual import ResidualSum
from rmt.results import ConvergenceError
from rmt.symbolic import (
    algebraic_cauchy,
    algebraic_density,
    bivariate,
    branch_points,
    discriminant,
    elimination,
    moment_recurrence,
)
from rmt.symbolic.algebraic_density import BranchWalk

half, third, quarter = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)
MP, SC = rmt.MarchenkoPastur(half), rmt.Semicircle()


def fuss_catalan_density(order, x):
    """The parametric closed form of Haagerup and Möller, solved for its parameter by bisection."""
    low, high = np.zeros(x.shape), np.full(x.shape, np.pi / (order + 1))
    for _ in range(100):
        phi = (low + high) / 2
        first, last, inner = (np.log(np.sin(k * phi)) for k in (1, order + 1, order))
        log_x = (order + 1) * last - first - order * inner
        above = log_x > np.log(x)
        low, high = np.where(above, phi, low), np.where(above, high, phi)
    return np.exp(2 * first + (order - 1) * inner - order * last) / np.pi


@pytest.mark.parametrize("order", [4, 10, 50])
def test_deep_products_at_a_thousand_points(order):
    edge = float(Fraction((order + 1) ** (order + 1), order**order))
    x = edge * np.arange(1, 1001) / 1001
    found = algebraic_density(bivariate(rmt.MarchenkoPastur(1).free_power(order)), x)
    exact = fuss_catalan_density(order, x)
    assert np.all(np.abs(found.values - exact) <= found.radius + 1e-10 * exact)
    assert np.max(found.radius / exact) < 1e-7


@pytest.mark.parametrize(
    "law",
    [
        rmt.Discrete({1: Fraction(1, 6), 2: third, 5: half}) + MP,
        SC + rmt.Discrete({-3: half, 3: half}),
        rmt.FussCatalan(Fraction(3, 2)),  # branches that agree at infinity
        ResidualSum(MP @ rmt.Discrete({0: half, 1: half}), half).free_power(3),
        SC @ MP,
        (MP + SC).square(),
        rmt.Arcsine(-1, 3),
    ],
    ids=repr,
)
def test_density_on_and_off_the_support(law):
    found = bivariate(law)
    ends = [float(b.position) for b in branch_points(found) if b.kind != "inner"]
    x = np.linspace(ends[0] - 1, ends[-1] + 1, 14) + 0.0123
    density = algebraic_density(found, x)
    g = law.cauchy(x)  # by the law's own solver
    assert np.all(np.abs(density.values + g.imag / np.pi) <= density.radius + 1e-11)
    outside = np.all([(x < a) | (x > b) for a, b in zip(ends[::2], ends[1::2], strict=True)], axis=0)
    assert np.all(density.values[outside] == 0)
    assert np.all(density.radius[outside] == 0)
    assert np.all(density.values[~outside] > density.radius[~outside])
    z = np.array([[0.3 + 0.2j], [-1 + 2j]])
    off = algebraic_cauchy(found, z)
    assert off.values.shape == z.shape
    assert np.all(np.abs(off.values - law.cauchy(z)) <= off.radius + 1e-11)


def test_next_to_an_edge_more_digits_are_taken():
    x = 4 - np.array([1e-6, 1e-9, 1e-12])
    law = bivariate(rmt.MarchenkoPastur(1))
    found = algebraic_density(law, x)
    assert found.values == pytest.approx(np.sqrt((4 - x) * x) / (2 * np.pi * x), rel=1e-10)
    with pytest.raises(ConvergenceError, match="singular"):
        algebraic_density(law, 4.0)


def test_sums_of_point_masses():
    atoms = rmt.Discrete({k * k + 1: Fraction(k + 1, 10) for k in range(4)})
    law = atoms + rmt.Discrete({-1: half, 1: half})
    x = np.array([0.5, 1.7, 9.9])
    found = algebraic_density(bivariate(law), x)
    assert np.all(np.abs(found.values + law.cauchy(x).imag / np.pi) <= found.radius + 1e-10)


def test_density_without_flint(monkeypatch):
    monkeypatch.setattr(elimination, "flint", None)
    x = np.linspace(0.5, 12, 25)
    found = algebraic_density(bivariate(rmt.FussCatalan(4)), x)
    assert found.values == pytest.approx(fuss_catalan_density(4, x), rel=1e-10)
    assert [b.position for b in branch_points(bivariate(rmt.FussCatalan(4)))] == [0, sp.Rational(3125, 256)]


def test_the_bounds_are_bounds():
    """Exactly known values at 40 digits lie within the radius."""
    x = np.linspace(0.01, 3.99, 57)
    found = algebraic_density(bivariate(rmt.MarchenkoPastur(1)), x)
    exact = [sp.N(sp.sqrt((4 - r) / r) / (2 * sp.pi), 40) for r in map(sp.Rational, x.tolist())]
    errors = np.array([float(abs(sp.Float(v, 40) - e)) for v, e in zip(found.values.tolist(), exact, strict=True)])
    assert np.all(errors <= found.radius)
    assert np.all(found.radius < 1e-10)


def test_refusals_of_densities():
    c = sp.Symbol("c")
    with pytest.raises(ValueError, match="symbols"):
        algebraic_density(bivariate(rmt.MarchenkoPastur(c)), 1.0)
    with pytest.raises(ValueError, match="heavy tails"):
        algebraic_density(bivariate(rmt.Cauchy()), 1.0)
    with pytest.raises(ValueError, match="complex"):
        algebraic_density(bivariate(MP), 1j)
    with pytest.raises(ValueError, match="below"):
        algebraic_cauchy(bivariate(MP), -1j)


def critical_values(z, w):
    """Real critical values of a rational function z(w): the edges, in a parametrisation without branches."""
    numerator = sp.Poly(sp.numer(sp.together(sp.diff(z, w))), w).sqf_part()
    return sorted(float(sp.re(z.subs(w, r))) for r in numerator.nroots(n=30) if abs(sp.im(r)) < 1e-15)


W = sp.Symbol("w")
COINS = {1: rmt.Discrete({-1: half, 1: half}), 2: rmt.Discrete({-2: half, 2: half})}


@pytest.mark.parametrize(
    ("law", "kinds", "z"),
    [
        # free sums with a semicircle of variance v: z = w + v G(w)
        (SC + COINS[2], "lower upper lower upper", W + W / (W**2 - 4)),
        (SC + COINS[1], "lower inner upper", W + W / (W**2 - 1)),  # a cusp: the intervals touch
        (rmt.Semicircle(half) + COINS[1], "lower upper lower upper", W + W / (W**2 - 1) / 2),
        # Silverstein: z = -1/w + c E T/(1 + T w)
        (
            rmt.Discrete({1: half, 2: quarter, 5: quarter}) @ rmt.MarchenkoPastur(Fraction(1, 10)),
            "lower upper lower upper lower upper",
            -1 / W + sp.Rational(1, 10) * (1 / (2 * (1 + W)) + 1 / (2 * (1 + 2 * W)) + sp.Rational(5, 4) / (1 + 5 * W)),
        ),
        (rmt.MarchenkoPastur(3), "lower upper", -1 / W + 3 / (1 + W)),  # the atom at 0 is no edge
    ],
)
def test_edges(law, kinds, z):
    found = branch_points(bivariate(law))
    assert [b.kind for b in found] == kinds.split()
    assert [float(b.position) for b in found] == pytest.approx(critical_values(z, W), abs=1e-9)
    for b in found:
        assert abs(b.factor.eval(sp.N(b.position, 60))) < 1e-40


def test_edges_in_closed_form_and_folded():
    jacobi = rmt.FreeJacobi(half, third)
    found = branch_points(bivariate(jacobi))
    assert [float(b.position) for b in found] == pytest.approx([float(e.position) for e in jacobi.support().edges])
    inner = [b.position for b in branch_points(bivariate(MP + SC))]
    square = branch_points(bivariate((MP + SC).square()))
    assert [b.kind for b in square] == ["lower", "inner", "upper"]  # the lower edge, folded into the bulk
    assert [float(b.position) for b in square] == pytest.approx([0, *(float(x) ** 2 for x in inner)])


def test_zeros_of_the_discriminant_on_other_sheets_are_left_out():
    # of a mixture exactly the edges of its parts are branch points; at 0 another sheet has a pole, inside the bulk
    law = Mixture({MP: half, SC: half})
    found = branch_points(bivariate(law))
    assert [b.kind for b in found] == ["lower", "inner", "inner", "upper"]
    root = np.sqrt(0.5)
    assert [float(b.position) for b in found] == pytest.approx([-2, (1 - root) ** 2, 2, (1 + root) ** 2])
    assert any(factor.eval(0) == 0 for factor, _ in discriminant(bivariate(law)))


def test_discriminant_with_symbols():
    c, z = sp.symbols("c z")
    found = discriminant(bivariate(rmt.MarchenkoPastur(c)))
    expected = sp.expand((z - 1 - c) ** 2 - 4 * c)
    assert any(sp.expand(f.as_expr() - expected) == 0 for f, _ in found)


def test_continuation_around_a_branch_point():
    walk = BranchWalk(bivariate(SC))
    above, radius = walk.along(2.5, [2 + 0.5j, 1.5])
    below, _ = walk.along(2.5, [2 - 0.5j, 1.5])
    assert above == pytest.approx(below.conjugate(), abs=1e-12)
    assert abs(above - below) > 1
    assert above == pytest.approx(SC.cauchy(1.5), abs=radius + 1e-12)


@pytest.mark.parametrize(
    ("law", "order"),
    [(rmt.FussCatalan(4), 1), (SC + MP, 6), (SC @ MP, 6), (rmt.Discrete({0: third, 2: 1 - third}) + SC, None),
     (rmt.FussCatalan(Fraction(3, 2)), 2), (rmt.Discrete({1: half, 3: half}), None)],
)
def test_recurrence_agrees_with_newton_and_with_the_law(law, order):
    found = bivariate(law)
    recurrence = moment_recurrence(found)
    moments = recurrence.moments(40)
    assert moments == found.moments(40)
    assert moments[:12] == law.moments(12)
    assert order is None or recurrence.order == order
    every = [1, *moments]
    for n in range(recurrence.start, 41 - recurrence.order):
        assert sum(c.eval(n) * sp.Rational(every[n + k]) for k, c in enumerate(recurrence.coefficients)) == 0


def test_recurrence_with_symbols():
    c = sp.Symbol("c")
    recurrence = moment_recurrence(bivariate(rmt.MarchenkoPastur(c)))
    assert recurrence.order == 2
    assert [sp.expand(m) for m in recurrence.moments(5)] == [sp.expand(m) for m in rmt.MarchenkoPastur(c).moments(5)]
