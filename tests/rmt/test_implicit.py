"""Laws given by a transform or by eigenvalues, powers below 1, and the test whether something is a law at all."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import sympy as sp

import rmt
from rmt import (
    Cauchy,
    Discrete,
    Empirical,
    FreePoisson,
    FreeStable,
    FussCatalan,
    ImplicitLaw,
    MarchenkoPastur,
    Mixture,
    PreconditionError,
    Semicircle,
    UniversalResNet,
)
from rmt.numeric.analytic import Analytic, gauss_panel, path_integral, power_series_end, taylor, upper_jet
from rmt.numeric.continuation import solve
from rmt.numeric.implicit import RLeaf, SLeaf
from rmt.numeric.unary import PowerNode
from rmt.numeric.validity import moment_violation, transform_violation

t = sp.Symbol("t")


def marchenko_pastur_psi(c):
    lower, upper = (1 - np.sqrt(c)) ** 2, (1 + np.sqrt(c)) ** 2
    return lambda z: (z - 1 - c - np.sqrt(z - lower) * np.sqrt(z - upper)) / (2 * c)


def psi_of_two_intervals(z):
    # a root of a quartic: G = (G_1(z-2) + G_1(z+2))/2 for two semicircles of variance 1/4
    def semicircle(y):
        return 2 / (y + np.sqrt(y - 1) * np.sqrt(y + 1))

    return z * (semicircle(z - 2) + semicircle(z + 2)) / 2 - 1


# name: (transform as a function, as an expression, the law)
RECREATED = {
    "S, hard edge": (
        {"s": lambda m: (1 + m) ** -2},
        {"s": (1 + t) ** -2},
        FussCatalan(2),
    ),
    "S, real power": ({"s": lambda m: (1 + m) ** -2.5}, {"s": (1 + t) ** sp.Rational(-5, 2)}, FussCatalan(2.5)),
    "S, atom at 0": (
        {"s": lambda m: 1 / (1 + 2.5 * m)},
        {"s": 1 / (1 + sp.Rational(5, 2) * t)},
        MarchenkoPastur(Fraction(5, 2)),
    ),
    "S, entire": (
        {"s": lambda m: np.exp(-0.6 * (1 + 2 * m))},
        {"s": sp.exp(-sp.Rational(3, 5) * (1 + 2 * t))},
        UniversalResNet(c=0.6),
    ),
    "R, signed": (
        {"r": lambda g: 0.3 + 0.7 * g},
        {"r": sp.Rational(3, 10) + sp.Rational(7, 10) * t},
        Semicircle(variance=0.7, mean=0.3),
    ),
    "R, atom at 0": (
        {"r": lambda g: 1 / (1 - 2.5 * g)},
        {"r": 1 / (1 - sp.Rational(5, 2) * t)},
        MarchenkoPastur(Fraction(5, 2)),
    ),
    "R, hard edge": ({"r": lambda g: 1 / (1 - g)}, {"r": 1 / (1 - t)}, MarchenkoPastur(1)),
    "psi, atom at 0": ({"psi": marchenko_pastur_psi(2.5)}, None, MarchenkoPastur(2.5)),
    "psi, signed": (
        {"psi": lambda z: z * (z - np.sqrt(z - 2) * np.sqrt(z + 2)) / 2 - 1},
        {"psi": t * (t - sp.sqrt(t - 2) * sp.sqrt(t + 2)) / 2 - 1},
        Semicircle(),
    ),
}
# the functions of these need a support found step by step, each step with circles of twelve points
LONG = ("S, hard edge", "S, real power", "R, hard edge")
BOTH = [
    pytest.param(
        transforms[kind],
        transforms[2],
        id=f"{name}, {'sympy' if kind else 'python'}",
        marks=[pytest.mark.slow] if name in LONG and not kind else [],
    )
    for name, transforms in RECREATED.items()
    for kind in (0, 1)
    if transforms[kind] is not None
]


@pytest.mark.parametrize(("transform", "law"), BOTH)
def test_laws_are_recreated_from_their_transforms(transform, law):
    again = ImplicitLaw(**transform)
    lower, upper = (float(x) for x in law.support().intervals[0])
    np.testing.assert_allclose(again.support().intervals, [(lower, upper)], rtol=0, atol=1e-13 * upper)
    assert [float(e.exponent) for e in again.support().edges] == pytest.approx(
        [float(e.exponent) for e in law.support().edges], abs=1e-9
    )
    assert {float(x): float(p) for x, p in again.support().atoms.items()} == pytest.approx(
        {float(x): float(p) for x, p in law.support().atoms.items()}, abs=1e-12
    )
    x = np.concatenate([np.linspace(lower, upper, 22)[1:-1], [lower - 0.1, upper + 0.1]])
    peak = np.max(law.pdf(x))
    np.testing.assert_allclose(again.pdf(x), law.pdf(x), rtol=0, atol=1e-12 * peak)
    np.testing.assert_allclose(again.cdf(x), law.cdf(x), rtol=0, atol=1e-12)
    assert [float(m) for m in again.moments(8)] == pytest.approx([float(m) for m in law.moments(8)], rel=1e-11)
    z = np.array([lower - 0.3 + 0.4j, upper + 1j, (lower + upper) / 2 + 0.01j])
    np.testing.assert_allclose(again.cauchy(z), law.cauchy(z), rtol=1e-12)


@pytest.mark.parametrize(
    "transform",
    [{"s": (1 + t) ** -3}, {"s": lambda m: (1 + m) ** -3}],
    ids=["sympy", "python"],
)
def test_hard_edges_keep_their_digits(transform):
    # 1 + m is as small as 1e-4 to 1e-10 here, which a function of m cannot see
    x = np.logspace(-40, -6, 9)
    solution, expected = (solve(law.numeric, x) for law in (ImplicitLaw(**transform), FussCatalan(3)))
    np.testing.assert_allclose(solution.g, expected.g, rtol=1e-11)


def test_exact_expressions_have_exact_moments_and_atoms():
    law = ImplicitLaw(s=1 / (1 + sp.Rational(5, 2) * t))
    assert law.moments(5) == MarchenkoPastur(Fraction(5, 2)).moments(5)
    assert law.support().atoms == {0: Fraction(3, 5)}
    assert ImplicitLaw(r=t + sp.Rational(1, 10)).moments(4) == Semicircle(1, Fraction(1, 10)).moments(4)
    assert ImplicitLaw(psi=t * (t - sp.sqrt(t - 2) * sp.sqrt(t + 2)) / 2 - 1).moments(6) == [0, 1, 0, 2, 0, 5]


@pytest.mark.slow
def test_a_law_without_a_name():
    # S = exp(-m)/(1 + m): the free product of Marchenko–Pastur(1) and free multiplicative Brownian motion
    law = ImplicitLaw(s=lambda m: np.exp(-m) / (1 + m))
    twin = MarchenkoPastur(1) @ (math.exp(-0.5) * UniversalResNet(c=0.5))
    x = np.array([0.01, 0.4, 1.3, 3.3, 6.9])
    np.testing.assert_allclose(law.pdf(x), twin.pdf(x), rtol=1e-12)
    np.testing.assert_allclose(law.moments(6), [float(m) for m in twin.moments(6)], rtol=1e-12)


def test_an_atom_at_the_upper_end_is_found():
    # the Bernoulli limit of deep orthogonal chains (arXiv:1802.09979): atom 1 - v at e**v
    law = ImplicitLaw(s=lambda m: np.exp(-0.3 * m / (1 + m)))
    ((position, mass),) = law.support().atoms.items()
    assert (position, mass) == (pytest.approx(math.exp(0.3), abs=1e-12), pytest.approx(0.7, abs=1e-12))


def test_moment_transforms_with_several_intervals_and_atoms():
    law = ImplicitLaw(psi=psi_of_two_intervals)
    np.testing.assert_allclose(law.support().intervals, [(-3, -1), (1, 3)], atol=1e-14)
    x = np.array([-2.9, -1.7, 1.2, 2.0])
    half = Semicircle(0.25)
    np.testing.assert_allclose(law.pdf(x), (half.pdf(x - 2) + half.pdf(x + 2)) / 2, atol=1e-13)
    np.testing.assert_allclose(law.cdf([-0.5, 2.0]), [0.5, 0.75], atol=1e-13)
    atoms = ImplicitLaw(psi=lambda z: 0.3 * z / (z + 1) + 0.7 * z / (z - 2) - 1)
    assert atoms.support().intervals == ()
    assert {round(x, 12): p for x, p in atoms.support().atoms.items()} == pytest.approx({-1.0: 0.3, 2.0: 0.7})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("implicit", "explicit"),
    [
        (lambda: ImplicitLaw(r=lambda g: g) + Discrete({-1: 0.3, 2: 0.7}), Semicircle() + Discrete({-1: 0.3, 2: 0.7})),
        pytest.param(
            lambda: ImplicitLaw(r=1 / (1 - t)) @ Semicircle(1, 0.5),
            MarchenkoPastur(1) @ Semicircle(1, 0.5),
            marks=pytest.mark.exhaustive,
        ),
        (
            lambda: ImplicitLaw(s=lambda m: 1 / (1 + 2.5 * m)) @ Discrete({1: 0.4, 3: 0.6}),
            MarchenkoPastur(2.5) @ Discrete({1: 0.4, 3: 0.6}),
        ),
        (
            lambda: ImplicitLaw(r=lambda g: 1 / (1 - 0.4 * g)).sqrt().symmetrized() + Semicircle(0.3),
            MarchenkoPastur(0.4).sqrt().symmetrized() + Semicircle(0.3),
        ),
        (lambda: ImplicitLaw(psi=marchenko_pastur_psi(0.4)) + Semicircle(0.3), MarchenkoPastur(0.4) + Semicircle(0.3)),
        (lambda: ImplicitLaw(psi=marchenko_pastur_psi(0.4)).free_power(2.5), MarchenkoPastur(0.4).free_power(2.5)),
        (lambda: -2 * ImplicitLaw(r=lambda g: 1 / (1 - 0.4 * g)) + 1, -2 * MarchenkoPastur(0.4) + 1),
    ],
    ids=["R in a sum", "R in a product", "S in a product", "R, root", "psi in a sum", "psi, power", "R, affine"],
)
def test_implicit_laws_take_part_in_every_operation(implicit, explicit):
    law = implicit()
    x = np.concatenate([np.linspace(float(a), float(b), 9)[1:-1] for a, b in explicit.support().intervals])
    np.testing.assert_allclose(
        np.array(law.support().intervals, dtype=float), np.array(explicit.support().intervals, dtype=float), atol=1e-10
    )
    np.testing.assert_allclose(law.pdf(x), explicit.pdf(x), rtol=1e-10)
    np.testing.assert_allclose(law.cdf(x), explicit.cdf(x), atol=1e-11)


def test_an_implicit_law_in_a_product():
    law, twin = ImplicitLaw(s=lambda m: 1 / (1 + 2.5 * m)) @ Discrete({1: 0.4, 3: 0.6}), MarchenkoPastur(2.5)
    z = np.array([1.2 + 0j, 3.0 + 0j, 1 + 1j])  # without the support, which the slow tests look for
    solution, expected = solve(law.numeric, z), solve((twin @ Discrete({1: 0.4, 3: 0.6})).numeric, z)
    np.testing.assert_allclose(solution.g, expected.g, rtol=1e-12)
    np.testing.assert_allclose(solution.potential, expected.potential, rtol=1e-12)


def test_repr_evaluates_to_the_law():
    names = vars(rmt) | vars(sp) | {name: getattr(rmt, name) for name in rmt.__all__}
    for law in (
        ImplicitLaw(s=sp.exp(-t) / (1 + t)),
        ImplicitLaw(r=sp.Rational(1, 3) + t),
        ImplicitLaw(s=1 / (1 + sp.Rational(5, 2) * t), atoms={0: Fraction(3, 5)}),
        Empirical([Fraction(1, 3), 2, 0.1, 2]),
        Empirical([1.0, 0.1, 3.5], smoothing="auto"),
    ):
        again = eval(repr(law), names | {"Fraction": Fraction})
        assert again == law
        assert hash(again) == hash(law)

    def wigner(g):
        return g

    assert repr(ImplicitLaw(r=wigner)) == "ImplicitLaw(r=wigner)"


# --- laws with tails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "law"),
    [
        ({"s": -t}, FreeStable(0.5, rho=1)),
        ({"s": lambda m: 2 * (-m) ** 1.5}, FreeStable(0.4, rho=1, scale=0.5)),
        ({"s": (-t) ** sp.Rational(1, 2) / (1 + t)}, FreeStable(sp.Rational(2, 3), rho=1) @ MarchenkoPastur()),
        ({"s": lambda m: (-m) ** 0.5 / (1 + 2 * m)}, FreeStable(2 / 3, rho=1) @ MarchenkoPastur(2)),
        ({"r": lambda g: 5 - 1j + 0 * g}, Cauchy(5, 1)),
        ({"r": 5 - sp.I + t}, Cauchy(5, 1) + Semicircle()),
        ({"r": lambda g: 2 - np.exp(0.6j * np.pi) * g**0.5}, FreeStable(1.5, 0.4, location=2)),
        # on negative g, where this R is real, the principal power is that from above
        ({"r": lambda g: -np.exp(0.6j * np.pi) * g**-0.4}, FreeStable(0.6, 1)),
    ],
    ids=lambda value: "" if isinstance(value, dict) else repr(value)[:40],
)
def test_transforms_like_a_power_at_zero_give_laws_with_tails(transform, law):
    own = ImplicitLaw(**transform)
    x = np.asarray(law.ppf([0.52, 0.7, 0.9, 0.99, 0.999]))
    x = np.concatenate([x, x[-1] * np.array([10, 1e4, 1e8])])
    assert own.pdf(x) == pytest.approx(law.pdf(x), rel=1e-11)
    assert own.cdf(x) == pytest.approx(law.cdf(x), abs=1e-13)
    assert own.support().upper == math.inf
    assert own.support().atoms == law.support().atoms
    assert float(own.support().lower) == pytest.approx(float(law.support().lower), rel=1e-12)


def inverse_marchenko_pastur_psi(z):
    """That of 1/X, X of Marchenko-Pastur: psi = -G_X(1/z)/z, written without cancellation."""
    return -2 / (1 - 1j * np.sqrt(4 * z - 1))


STUDENT = 3  # degrees of freedom; psi of the law of t: a**2/(z + i a)**2, a**2 = 3, by residues


@pytest.mark.parametrize(
    ("psi", "law"),
    [
        (lambda z: z / (z - 0.3 + 0.7j) - 1, Cauchy(0.3, 0.7)),
        (t / (t - sp.Rational(3, 10) + sp.I * sp.Rational(7, 10)) - 1, Cauchy(0.3, 0.7)),
        pytest.param(inverse_marchenko_pastur_psi, MarchenkoPastur(1).inverse(), marks=pytest.mark.exhaustive),
        (-2 / (1 - sp.I * sp.sqrt(4 * t - 1)), MarchenkoPastur(1).inverse()),
        (
            lambda z: 0.6 * z / (z - 0.3 + 0.7j) + 0.4 * z / (z - 2) - 1,
            Mixture({Cauchy(0.3, 0.7): 0.6, Discrete({2: 1}): 0.4}),
        ),
    ],
    ids=["Cauchy, python", "Cauchy, sympy", "inverse, python", "inverse, sympy", "Cauchy and an atom"],
)
def test_moment_transforms_of_laws_with_tails(psi, law):
    own = ImplicitLaw(psi=psi)
    intervals = [np.array(a.support().intervals, dtype=float) for a in (own, law)]
    np.testing.assert_allclose(*intervals, rtol=1e-12)
    assert [e.exponent for e in own.support().edges] == [e.exponent for e in law.support().edges]
    atoms = [np.array([*a.support().atoms.items()], dtype=float) for a in (own, law)]
    np.testing.assert_allclose(*atoms, atol=1e-9)
    q = np.array([1e-4, 0.1, 0.3, 0.52, 0.9, 0.9999])
    x = np.asarray(law.ppf(q))
    np.testing.assert_allclose(own.ppf(q), x, rtol=1e-8)
    x = np.concatenate([x[x != 2], x[-1] * np.array([10.0, 1e3])])
    np.testing.assert_allclose(own.pdf(x), law.pdf(x), rtol=1e-9)
    np.testing.assert_allclose(own.cdf(x), law.cdf(x), atol=1e-12)
    # farther out a user's z G - 1 has no digits, and the tail stands for it
    np.testing.assert_allclose(own.pdf(1e12), law.pdf(1e12), rtol=1e-6)
    assert own.curve(points=30).status is rmt.Status.OK
    # the free sum with a semicircle of variance v solves g = G(z - v g) (Pastur 1972)
    z = np.array([0.3 + 0.1j, 1.7 + 1e-2j, 30 + 1j])
    g = (own + Semicircle(0.6)).cauchy(z)
    np.testing.assert_allclose(law.cauchy(z - 0.6 * g), g, rtol=1e-10)


def test_a_moment_transform_whose_tail_hides_behind_a_variance():
    a = math.sqrt(STUDENT)
    law, student = ImplicitLaw(psi=lambda z: a**2 / (z + 1j * a) ** 2), scipy.stats.t(STUDENT)
    assert law.mean() == 0
    x = np.array([-1e4, -20, -1, 0, 0.01, 3, 50, 1e6])
    np.testing.assert_allclose(law.pdf(x), student.pdf(x), rtol=1e-10)
    np.testing.assert_allclose(law.cdf(x), student.cdf(x), atol=1e-12)
    z = np.array([0.3 + 0.1j, -2 + 1e-3j, 40 + 1j])
    g = (law + Semicircle(0.6)).cauchy(z)
    w = z - 0.6 * g
    np.testing.assert_allclose((w + 2j * a) / (w + 1j * a) ** 2, g, rtol=1e-12)


def test_laws_with_tails_take_part_in_free_operations():
    own, law = ImplicitLaw(s=-t), FreeStable(0.5, rho=1)
    x = np.array([0.5, 3.0, 40.0])
    for operation in (
        lambda a: a + Semicircle(0.3),
        lambda a: a @ Discrete({1: 0.25, 2: 0.75}),
        lambda a: a.free_sum_power(2.5),
        lambda a: 0.5 * a + 1,
    ):
        assert operation(own).pdf(x) == pytest.approx(operation(law).pdf(x), rel=1e-10)
    # the sum of n of them is n**2 times one of them
    assert own.free_sum_power(2).pdf(x) == pytest.approx(own.pdf(x / 4) / 4, rel=1e-10)


def test_of_the_moments_of_a_law_with_a_tail_at_most_the_mean_is_told():
    with pytest.raises(PreconditionError, match=r"none exists.*quantiles"):
        ImplicitLaw(s=t**2).mean()
    # S = 1 + sqrt(-m): the tail of P(X > x) like x**-(3/2) leaves the mean, 1/S(0)
    law = ImplicitLaw(s=1 + sp.sqrt(-t))
    assert law.moments(1) == [1]
    with pytest.raises(PreconditionError, match="only the mean is known"):
        law.var()
    far = np.array([1e6, 1e8])
    falls = np.diff(np.log(1 - np.asarray(law.cdf(far)))) / np.diff(np.log(far))
    assert falls[0] == pytest.approx(-1.5, abs=0.01)
    weighted = scipy.integrate.quad(lambda u: float(law.pdf(math.exp(u))) * math.exp(2 * u), math.log(0.25), 35)
    assert weighted[0] == pytest.approx(1, abs=1e-6)


# --- what is no law ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "property_"),
    [
        ({"s": lambda m: np.exp(m)}, "the variance is -1"),
        ({"s": sp.exp(t)}, "the variance is -1"),
        ({"s": lambda m: -1 / (1 + m)}, r"S\(0\) = -1"),
        ({"s": lambda m: np.exp(m) / (1 + 2 * m)}, "G jumps|Hankel|Im G"),
        ({"s": lambda m: (2 + m) ** -1 + m**2}, "Hankel|must be positive and decreasing"),
        ({"r": t**3}, "the variance is 0, but the moment of order 4 is 1"),
        ({"r": t + t**3 / 2}, "followed to z = "),
        ({"r": t - sp.Rational(3, 10) * t**3}, "near z = |Hankel"),
        ({"r": lambda g: -g}, "the variance is -1"),
        ({"r": lambda g: 1j + g}, "not analytic and real at g = 0"),
        ({"r": (sp.sqrt(1 + 4 * t**2) - 1) / (2 * t)}, "z = "),
        ({"psi": lambda z: 1 / (z - 1) + 0.5}, r"psi\(oo\) = 0.5"),
        ({"psi": lambda z: 1.2 * z / (z - 1) - 0.2 * z / (z + 1) - 1}, "variance|Hankel"),
        ({"psi": (t - 3 - sp.sqrt((t - 3) ** 2 - 8)) / 4}, "Im G|jumps"),
        ({"s": 1 - sp.sqrt(-t) / 2}, "positive and decreasing"),
        ({"s": -t - t**2}, "followed to z = "),
        ({"s": 1 / (1 - sp.log(-t))}, "not like a power there either"),
        ({"s": sp.I * t}, r"S\(0\) = 0"),
        ({"r": sp.I + t}, "Im G|followed to z = "),
        ({"r": lambda g: (1 + 1j) * g**0.5}, "Im G"),
        ({"psi": sp.sqrt(-1 / t)}, "atoms do not add up to 1"),
        ({"psi": -sp.sqrt(-1 / t)}, "Im G"),
        ({"psi": lambda z: 1 / np.log(z + 2j)}, "not like a power there either"),
        ({"r": lambda g: 3 + 0 * g}, r"use Discrete\(\{3: 1\}\)"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else None,
)
def test_what_is_no_law_is_refused_by_the_property_that_fails(transform, property_):
    with pytest.raises(PreconditionError, match=property_) as caught:
        ImplicitLaw(**transform)
    assert "no law has this" in str(caught.value)


def test_the_test_of_laws_lets_perturbations_pass_that_are_laws():
    # kappa_4 = 0.1 beside kappa_2 = 1: the one-cut quartic matrix model has such laws
    law = ImplicitLaw(r=lambda g: g + 0.1 * g**3)
    assert law.free_cumulants(4) == pytest.approx([0, 1, 0, 0.1])
    assert law.moments(4, method="quadrature") == pytest.approx([0, 1, 0, 2.1], abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one transform"),
        ({"s": t, "r": t}, "exactly one transform"),
        ({"s": "1/(1+m)"}, "expected a sympy expression"),
        ({"r": t * sp.Symbol("c")}, "found c, t"),
        ({"r": sp.Integer(1)}, "found none"),
        ({"s": lambda m: math.exp(-m)}, "numpy"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImplicitLaw(**arguments)


def test_given_atoms_are_compared_with_the_transform():
    with pytest.raises(PreconditionError, match=r"the mass at 0 is 0.6 by the transform, not 0.5"):
        ImplicitLaw(s=1 / (1 + sp.Rational(5, 2) * t), atoms={0: 0.5})


def test_moment_violations_name_the_determinant():
    assert moment_violation([0, 1, 0, 1], positive=False) is None  # two atoms
    assert "variance is -1" in moment_violation([1, 0], positive=False)
    assert "m_0 … m_4" in moment_violation([0, 1, 0, 0.9], positive=False)
    assert moment_violation([1, 2, 5, 14, 42, 132], positive=True) is None
    # symmetric about 1 with variance 4: not on [0, oo)
    moments = [float(m) for m in Semicircle(4, 1).moments(8)]
    assert moment_violation(moments, positive=False) is None
    assert "[0, oo)" in moment_violation(moments, positive=True)


def test_transform_violations_name_the_place():
    # z = g - 0.3 g**3 + 1/g has branch points above the axis
    leaf = RLeaf(Analytic(lambda g: g - 0.3 * g**3), None, 0.0, 1.0, positive=False)
    assert "G jumps near z = " in transform_violation(leaf)
    leaf = RLeaf(Analytic(lambda g: g + 0.5 * g**3), None, 0.0, 1.0, positive=False)
    assert "no solution could be followed to z = " in transform_violation(leaf)
    assert "Im G(z) = " in transform_violation(SLeaf(Analytic(np.exp), None, 1.0, 1.0, 1.0))
    assert "jumps" in transform_violation(PowerNode(Discrete({1: 0.5, 2: 0.5}).numeric, 0.5))
    assert transform_violation(RLeaf(Analytic(lambda g: g), None, 0.0, 1.0, positive=False)) is None


@pytest.mark.parametrize(
    "law",
    [
        FussCatalan(40),
        MarchenkoPastur(0.01),
        rmt.Arcsine(-1, 2),
        rmt.Uniform(0, 1),
        Discrete({-1: 0.3, 0: 0.2, 2: 0.5}),
        Semicircle(0.01) + Discrete({0: 0.99, 1: 0.01}),
        UniversalResNet(c=3),
    ],
    ids=lambda law: type(law).__name__,
)
def test_laws_pass_the_test_of_transforms(law):
    assert transform_violation(law.numeric) is None


# --- powers below 1 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "law"),
    [
        (MarchenkoPastur(1).free_power(0.5), FussCatalan(0.5)),
        (MarchenkoPastur(1).free_power(Fraction(1, 10)), FussCatalan(0.1)),
        (FussCatalan(3).free_power(0.25).free_power(6), FussCatalan(4.5)),
        (UniversalResNet(c=3).free_power(0.4), UniversalResNet(c=1.2)),
        (Semicircle(1, 2).free_sum_power(0.3), Semicircle(0.3, 0.6)),
        (
            FreePoisson(0.5, jump=Discrete({1: 0.5, 3: 0.5})).free_sum_power(0.5),
            FreePoisson(0.25, jump=Discrete({1: 0.5, 3: 0.5})),
        ),
        ((MarchenkoPastur(0.4) @ MarchenkoPastur(0.4)).free_power(0.5), MarchenkoPastur(0.4)),
    ],
    ids=["Fuss-Catalan 1/2", "Fuss-Catalan 1/10", "of a power", "ResNet", "semicircle", "compound", "undone"],
)
def test_powers_below_one_of_infinitely_divisible_laws(power, law):
    intervals = np.array(law.support().intervals, dtype=float)
    np.testing.assert_allclose(np.array(power.support().intervals, dtype=float), intervals, rtol=1e-11, atol=1e-13)
    x = np.concatenate([a + (b - a) * np.array([0.02, 0.3, 0.71, 0.97]) for a, b in intervals])
    np.testing.assert_allclose(power.pdf(x), law.pdf(x), rtol=1e-11)
    np.testing.assert_allclose(power.cdf(x), law.cdf(x), atol=1e-12)
    np.testing.assert_allclose(
        [float(m) for m in power.moments(5)], [float(m) for m in law.moments(5)], rtol=1e-12
    )
    assert power.numeric.positive == (law.support().lower >= 0)


def test_powers_below_one_get_back_the_atoms_that_a_sum_has_lost():
    two = Discrete({-1: Fraction(3, 10), 1: Fraction(7, 10)})
    half = (two + two).free_sum_power(Fraction(1, 2))
    assert half.support().intervals == ()
    assert {round(x, 9): p for x, p in half.support().atoms.items()} == pytest.approx({-1.0: 0.3, 1.0: 0.7})
    # the free power of a free power is exact
    assert two.free_sum_power(4).free_sum_power(Fraction(1, 4)).support().atoms == two.support().atoms


def test_a_power_below_one_has_the_atom_of_its_rate():
    law = MarchenkoPastur(1).free_sum_power(0.3)  # the free Poisson law of rate 0.3
    assert {float(x): p for x, p in law.support().atoms.items()} == pytest.approx({0.0: 0.7})
    np.testing.assert_allclose(
        law.support().intervals, [((1 - math.sqrt(0.3)) ** 2, (1 + math.sqrt(0.3)) ** 2)], atol=1e-12
    )


@pytest.mark.parametrize(
    ("power", "property_"),
    [
        (Discrete({1: 0.5, 2: 0.5}).free_power(0.5), "Hankel"),
        (Discrete({-1: 0.5, 1: 0.5}).free_sum_power(0.9), "Hankel"),
        (MarchenkoPastur(2.5).free_power(0.3), "Hankel"),
        (rmt.Uniform(1, 2).free_power(0.9), "steps by"),
        (rmt.Arcsine(-1, 1).free_sum_power(0.4), "Hankel"),
    ],
    ids=["two atoms", "signs", "atom at 0", "uniform", "arcsine"],
)
def test_powers_that_are_no_laws_are_refused(power, property_):
    with pytest.raises(PreconditionError, match=property_) as caught:
        power.pdf(0.5)
    assert "is no law" in str(caught.value)


@pytest.mark.slow
def test_powers_below_one_of_the_arcsine_law_are_powers_of_signs():
    # the arcsine law on (-1, 1) is the free square of signs of size 1/2
    law = rmt.Arcsine(-1, 1).free_sum_power(0.8)
    twin = Discrete({-0.5: 0.5, 0.5: 0.5}).free_sum_power(1.6)
    assert {round(float(x), 9): p for x, p in law.support().atoms.items()} == pytest.approx(
        {round(x, 9): p for x, p in twin.support().atoms.items()}, abs=1e-7
    )
    x = np.array([-0.7, -0.1, 0.3, 0.65])
    np.testing.assert_allclose(law.pdf(x), twin.pdf(x), rtol=1e-10)


def test_exponents_must_be_positive():
    for build in (MarchenkoPastur(1).free_power, Semicircle().free_sum_power):
        with pytest.raises(ValueError, match="exponent=0"):
            build(0)


# --- eigenvalues ------------------------------------------------------------------------------------------------------


def eigenvalues(n, seed):
    a = np.random.default_rng(seed).standard_normal((n, n))
    return np.linalg.eigvalsh((a + a.T) / math.sqrt(2 * n))


def test_empirical_against_numpy():
    x = eigenvalues(150, seed=3)
    law = Empirical(x)
    assert law.mean() == pytest.approx(x.mean(), abs=1e-15)
    assert law.var() == pytest.approx(x.var(), rel=1e-13)
    assert law.moment(5) == pytest.approx(np.mean(x**5), rel=1e-12)
    at = np.linspace(-2.5, 2.5, 77)
    np.testing.assert_array_equal(law.cdf(at), np.searchsorted(x, at, side="right") / x.size)
    np.testing.assert_array_equal(law.pdf(at), 0)
    assert law.ppf(0.5001) == x[75]
    assert law.log_moment() == pytest.approx(np.mean(np.log(np.abs(x))), rel=1e-12)
    z = 0.3 + 0.1j
    for method in ("closed_form", "subordination"):
        assert law.cauchy(z, method=method) == pytest.approx(np.mean(1 / (z - x)), rel=1e-13)


def test_equal_samples_are_merged_and_exact_ones_stay_exact():
    law = Empirical([3, 1, Fraction(1, 2), 1])
    assert law.support().atoms == {Fraction(1, 2): Fraction(1, 4), 1: Fraction(1, 2), 3: Fraction(1, 4)}
    assert law.moments(2) == [Fraction(11, 8), Fraction(45, 16)]
    assert law == Empirical((1, 1, 3, Fraction(1, 2)))
    assert Empirical(np.eye(3)).support().atoms == pytest.approx({0.0: 2 / 3, 1.0: 1 / 3})


@pytest.mark.parametrize(
    ("samples", "smoothing", "message"),
    [
        ([], None, "empty"),
        ([1.0, math.nan], None, r"samples\[1\]"),
        ([1, 2], 0, "smoothing=0"),
        ([1, 2], "auto!", "smoothing="),
    ],
)
def test_samples_are_checked(samples, smoothing, message):
    with pytest.raises(ValueError, match=message):
        Empirical(samples, smoothing=smoothing)


def test_automatic_smoothing_needs_a_scale():
    with pytest.raises(PreconditionError, match="give a number"):
        Empirical([1, 1, 1, 1, 2], smoothing="auto").support()


def test_few_atoms_agree_with_the_discrete_law_in_operations():
    masses = {0: Fraction(1, 4), 1: Fraction(1, 4), 3: Fraction(1, 2)}
    few, discrete = Empirical([0, 1, 3, 3]), Discrete(masses)
    x = np.array([0.2, 0.9, 2.1, 4.0])
    for one, other in (
        (few + Semicircle(0.3), discrete + Semicircle(0.3)),
        (few @ MarchenkoPastur(0.5), discrete @ MarchenkoPastur(0.5)),
        (few.free_power(1.5), discrete.free_power(1.5)),
        ((few - 1) + MarchenkoPastur(0.5), (discrete - 1) + MarchenkoPastur(0.5)),
    ):
        assert one._atoms() == other._atoms()
        solution, expected = solve(one.numeric, x), solve(other.numeric, x)
        np.testing.assert_allclose(solution.g, expected.g, rtol=1e-12)
        np.testing.assert_allclose(solution.potential, expected.potential, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.03, 0.3, "auto"])
def test_smoothing_is_the_free_sum_with_a_semicircle(smoothing):
    x = eigenvalues(60, seed=5)
    law = Empirical(x, smoothing=smoothing)
    width = law.bandwidth
    assert law.moments(4) == pytest.approx((Empirical(x) + Semicircle(width**2)).moments(4), rel=1e-12)
    intervals = law.support().intervals[::12]
    at = np.concatenate([a + (b - a) * np.array([0.01, 0.3, 0.8]) for a, b in intervals])
    system = solve(law.numeric, at)  # the general solver, which shares only the sums over atoms
    assert np.all(system.converged)
    np.testing.assert_allclose(law.pdf(at), -system.g.imag / np.pi, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(law.cdf(at), 1 - system.potential.imag / np.pi, atol=1e-11)
    # the ends of the intervals: the density is real outside and not inside
    for a, b in intervals:
        step = 1e-4 * (b - a)
        outside = solve(law.numeric, np.array([a - step, b + step]))
        assert np.all(np.abs(outside.g.imag) < 1e-6)
        assert np.all(solve(law.numeric, np.array([a + step, b - step])).g.imag < -1e-6)
    assert law.cdf(law.support().upper) == pytest.approx(1, abs=1e-14)


def test_many_eigenvalues_approach_their_limit():
    x = eigenvalues(400, seed=7)
    at = np.linspace(-1.2, 1.2, 40)
    # the smoothing adds its variance; at a distance from the edges what remains is the fluctuation of the matrix
    law = Empirical(x, smoothing="auto")
    np.testing.assert_allclose(law.pdf(at), Semicircle(1 + law.bandwidth**2).pdf(at), atol=0.03)
    total = Empirical(x) + MarchenkoPastur(0.5)
    at = np.linspace(-1.0, 3.0, 20)
    np.testing.assert_allclose(total.pdf(at), (Semicircle() + MarchenkoPastur(0.5)).pdf(at), atol=0.01)


@pytest.mark.slow
def test_ten_thousand_samples():
    x = np.sort(np.random.default_rng(1).standard_normal(10_000))
    law = Empirical(x, smoothing=0.4)
    assert law.moments(2)[1] == pytest.approx(np.mean(x**2) + 0.16, rel=1e-12)
    at = np.linspace(-2, 2, 50)
    np.testing.assert_allclose(law.pdf(at), (Semicircle(0.16) + rmt.Gaussian()).pdf(at), atol=0.02)


# --- the tools behind -------------------------------------------------------------------------------------------------


def test_circles_give_derivatives_and_series_to_machine_precision():
    f = Analytic(lambda m: np.exp(-m) / (1 + m))
    m = np.array([0.3 - 0.2j, -0.999999 - 1e-7j, 100 - 3j])
    value, slope = f.jet(m, 0.05 * np.abs(1 + m))
    np.testing.assert_allclose(slope, -value * (1 + 1 / (1 + m)), rtol=1e-10)
    assert taylor(lambda m: np.exp(5 * m), 8, 1e3) == pytest.approx([5**k / math.factorial(k) for k in range(8)])
    assert taylor(np.sqrt, 3, 10.0) is None
    assert taylor(lambda x: 1j + x, 3, 10.0) is None


def test_a_branch_is_continued_below_the_axis():
    def g(z):
        return (z - np.sqrt(z - 2) * np.sqrt(z + 2)) / 2

    z = np.array([0.5 + 0j, 1.9 + 0j, 0.3 - 0.02j])
    value, slope, _ = upper_jet(g, z, np.full(3, 0.3))
    root = 1j * np.sqrt(4 - z * z)
    np.testing.assert_allclose(value, (z - root) / 2, rtol=1e-9)
    np.testing.assert_allclose(slope, (1 - 1j * -z / np.sqrt(4 - z * z)) / 2, rtol=1e-7)


def test_ends_that_are_powers_are_recognised():
    near, radius = power_series_end(lambda w: w**-2.5 * np.exp(w) * (1 + 3 * w))
    w = np.array([1e-30 + 0j, 0.5 * radius])
    np.testing.assert_allclose(near(w), w**-2.5 * np.exp(w) * (1 + 3 * w), rtol=1e-12)
    assert power_series_end(lambda w: np.exp(1 / w)) is None


def test_path_integrals_refine_where_they_must():
    pole = np.array([1.0, 1e-4])
    got = path_integral(gauss_panel(lambda index, s: pole[index] / (s + pole[index]) + 0j), 2)
    np.testing.assert_allclose(got.real, [math.log(2), 1e-4 * math.log(1e4 + 1)], rtol=1e-11)
