"""Operations on bivariate polynomials: RMTool's table row by row, each checked a second way, by FLINT and by sympy."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt import series
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.symbolic import Bivariate, bivariate, elimination, polynomial
from rmt.symbolic import polynomial_operations as op
from rmt.symbolic.encodings import ENCODINGS

half, third = Fraction(1, 2), Fraction(1, 3)
Z = np.array([0.7 + 0.8j, -1.1 + 0.4j])
BACKENDS = [
    "sympy",
    pytest.param("flint", marks=pytest.mark.skipif(not elimination.has_flint(), reason="python-flint is missing")),
]
A = rmt.Discrete({1: half, 2: third, 5: Fraction(1, 6)})
B = rmt.MarchenkoPastur(third)
LAWS = {"A": A, "B": B, "SC": rmt.Semicircle(2, 1), "coin": rmt.Discrete({-1: half, 1: half})}


@pytest.fixture(scope="module", params=BACKENDS)
def given(request):
    """Name -> polynomial of the law, in one backend."""
    return {name: Bivariate.from_expression(polynomial(law), backend=request.param) for name, law in LAWS.items()}


def g_of(law):
    return lambda z: law.cauchy(z)


def mean_of(law, f):
    """G of f(X) by quadrature of the law itself."""

    def g(z):
        real, imag = (
            [law.expectation(lambda x, w=w, part=part: part(1 / (w - f(x)))) for w in z] for part in (np.real, np.imag)
        )
        return np.array(real) + 1j * np.array(imag)

    return g


def correlated(n):
    """Moments of A^(1/2) N B Nᵀ A^(1/2), ratio 1/2: S = S_A(m) S_B(m/2)/(1 + m/2)."""
    s_b = [c * half**k for k, c in enumerate(series.moments_to_s_series(B.moments(n)))]
    s = series.multiply(s_b, [(-half) ** k for k in range(n)])
    return series.s_series_to_moments(series.multiply(s, series.moments_to_s_series(A.moments(n))))


# row: operation on polynomials, and G or the moments of the result found without them
ROWS = {
    "shiftA": (lambda p: op.shift(p["B"], -half), g_of(B - half)),
    "scaleA": (lambda p: op.scale(p["B"], -3), g_of(-3 * B)),
    "invA": (lambda p: op.inverse(p["B"]), mean_of(B, lambda x: 1 / x)),
    "mobiusA": (lambda p: op.moebius(p["A"], 1, 2, 3, 4), mean_of(A, lambda x: (x + 2) / (3 * x + 4))),
    "mobiusA, heavy side": (lambda p: op.moebius(p["B"], 2, 1, 1, 1), mean_of(B, lambda x: (2 * x + 1) / (x + 1))),
    "transposeA": (lambda p: op.transpose(p["B"], third), g_of(third * rmt.MarchenkoPastur(3))),
    "AblockB": (
        lambda p: op.block(p["A"], p["SC"], third),
        lambda z: A.cauchy(z) / 3 + 2 * rmt.Semicircle(2, 1).cauchy(z) / 3,
    ),
    "augmented": (lambda p: op.augment(p["B"], half, 2), lambda z: B.cauchy(z) / 2 + half / (z - 2)),
    "AtimesWish": (lambda p: op.times_wishart(p["A"], half), g_of(A @ rmt.MarchenkoPastur(half))),
    "AplusWish": (lambda p: op.plus_wishart(p["A"], 2), g_of(A + rmt.MarchenkoPastur(2))),
    "AplusWigner": (lambda p: op.plus_wigner(p["A"], half), g_of(A + rmt.Semicircle(half))),
    "AgramWish": (
        lambda p: op.signal_plus_noise(p["A"], third, half),
        g_of(RectangularSum((A, half * rmt.MarchenkoPastur(third)), third)),
    ),
    "corrWish": (lambda p: op.correlated_wishart(p["A"], p["B"], half), correlated),
    "compressA": (lambda p: op.compress(p["A"], third), g_of(A.compress(third))),
    "squareA": (lambda p: op.square(p["SC"]), mean_of(rmt.Semicircle(2, 1), lambda x: x * x)),
    "squareA, symmetric": (lambda p: op.square(op.free_sum_power(p["coin"], 3)), g_of(rmt.KestenMcKay(3).square())),
    "AplusB": (lambda p: op.free_sum(p["A"], p["B"]), g_of(A + B)),
    "AtimesB": (lambda p: op.free_product(p["A"], p["B"]), g_of(A @ B)),
    "AtimesB, centred": (
        lambda p: op.free_product(op.shift(p["SC"], -1), p["A"]),
        lambda n: series.product_moments(rmt.Semicircle(2).moments(n), series.moments_to_s_series(A.moments(n))),
    ),
    "addA": (lambda p: op.free_sum_power(p["A"], Fraction(5, 2)), g_of(A.free_sum_power(Fraction(5, 2)))),
    "multiplyA": (lambda p: op.free_power(p["B"], Fraction(5, 2)), g_of(B.free_power(Fraction(5, 2)))),
    "compound Poisson": (lambda p: op.free_poisson(p["A"], third), g_of(rmt.FreePoisson(third, A))),
    "mixture": (
        lambda p: op.mixture([(p["A"], half), (p["B"], third), (p["coin"], Fraction(1, 6))]),
        lambda z: A.cauchy(z) / 2 + B.cauchy(z) / 3 + LAWS["coin"].cauchy(z) / 6,
    ),
    "symmetrised": (lambda p: op.symmetrize(p["B"]), lambda z: (B.cauchy(z) - B.cauchy(-z.conj()).conj()) / 2),
    "symmetric root": (lambda p: op.symmetric_root(p["A"]), lambda z: z * A.cauchy(z * z * (1 + 0j))),
    "rectangular sum": (
        lambda p: op.rectangular_sum(p["A"], p["B"], third), g_of(RectangularSum((A, B), third))
    ),
    "residual sum": (lambda p: op.residual_sum(p["B"], third), g_of(ResidualSum(B, third))),
    "plus Cauchy": (lambda p: op.plus_cauchy(p["A"], 1, 2), lambda z: A.cauchy(z - 1 + 2j)),
}


@pytest.mark.parametrize("row", ROWS)
def test_table_of_operations(given, row):
    operation, reference = ROWS[row]
    found = operation(given).to("m")
    assert len(found.ring.factor(found.element)) == 1  # irreducible
    assert found.ring.factor(found.element)[0][1] == 1
    if row in ("corrWish", "AtimesB, centred"):
        assert found.moments(8) == reference(8)
        return
    z = np.array([0.7 + 0.8j, 1.1 + 0.4j]) if row == "symmetric root" else Z  # z² stays in the upper half-plane
    value = -np.asarray(reference(z))
    m, variable = found.variables
    p = sp.lambdify((m, variable), found.expression)
    slope = sp.lambdify((m, variable), sp.diff(found.expression, m))
    assert np.max(np.abs(p(value, z) / slope(value, z))) < 1e-9
    assert abs(p(value + 0.01, z[0:1] if value.size == 1 else z)).min() > 1e-9  # the check can fail


def test_both_backends_agree():
    pytest.importorskip("flint")
    both = [
        {name: Bivariate.from_expression(polynomial(law), backend=backend) for name, law in LAWS.items()}
        for backend in ("flint", "sympy")
    ]
    for row, (operation, _) in ROWS.items():
        first, second = (operation(laws) for laws in both)
        assert first == second, row


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_there_and_back(given, encoding):
    for law in (op.free_sum(given["A"], given["B"]), given["SC"], op.free_product(given["SC"], given["B"])):
        there = law.to(encoding)
        assert there.encoding == encoding
        assert Bivariate.from_expression(there.poly, encoding, variables=there.variables) == law
        for other in ENCODINGS:
            assert there.to(other).to("m") == law.to("m")


def test_encodings_mean_what_they_say():
    law = rmt.MarchenkoPastur(half)
    found = bivariate(law)
    names = {e: found.to(e).variables for e in ENCODINGS}
    z, g = 0.3 + 0.9j, law.cauchy(0.3 + 0.9j)
    y = z * g - 1
    places = {
        "m": (-g, z), "G": (g, z), "r": (z - 1 / g, g), "s": (g / y, y), "T": (y / g, y), "psi": (y, z),
        "moment": (z * g, 1 / z), "eta": (1 - 1 / (z * g), 1 / z), "tulino_verdu": (z * g, -1 / z),
    }
    for encoding, place in places.items():
        value = found.to(encoding).expression.subs(dict(zip(names[encoding], place, strict=True)))
        assert abs(complex(value)) < 1e-12, encoding
    # R = 1/(1 - c g), S = 1/(1 + c y)
    r, gg = names["r"]
    assert sp.expand(found.to("r").expression - (r * (gg - 2) + 2)) == 0
    boolean = sp.series(sp.solve(found.to("eta").expression, names["eta"][0])[0], names["eta"][1], 0, 4).removeO()
    expected = sum(b * names["eta"][1] ** k for k, b in enumerate(map(sp.Rational, law.boolean_cumulants(3)), 1))
    assert any(
        sp.expand(sp.series(root, names["eta"][1], 0, 4).removeO() - expected) == 0
        for root in sp.solve(found.to("eta").expression, names["eta"][0])
    ) or sp.expand(boolean - expected) == 0


def test_symbolic_parameters_specialise():
    c, s = sp.symbols("c s", positive=True)
    point = {c: sp.Rational(1, 3), s: sp.Integer(2)}
    coin = bivariate(rmt.Discrete({0: half, 1: half}))
    compressed = op.compress(coin, c)
    assert compressed == bivariate(rmt.FreeJacobi(c, half))
    for build in (
        lambda c, s: op.free_product(bivariate(rmt.Semicircle(s)), bivariate(rmt.MarchenkoPastur(c))),
        lambda c, s: op.free_sum(bivariate(rmt.Semicircle(s)), bivariate(rmt.FreePoisson(c, A))),
        lambda c, s: op.residual_sum(bivariate(s * rmt.MarchenkoPastur(c)), 1),
        lambda c, s: op.signal_plus_noise(coin, c, s),
        lambda c, s: op.free_power(bivariate(s * rmt.MarchenkoPastur(c)), 3),
        lambda c, s: op.square(op.shift(bivariate(rmt.MarchenkoPastur(c)), s)),
    ):
        general, special = build(c, s), build(third, 2)
        at = general.at({p: point[p] for p in general.parameters})
        assert at.to("m").poly == special.to("m").poly
        assert [sp.cancel(x.subs(point)) for x in general.moments(4)] == [sp.Rational(x) for x in special.moments(4)]


def test_irrational_numbers_count_as_symbols():
    root = sp.sqrt(2)
    found = polynomial(rmt.Semicircle(variance=root))
    assert found.as_expr() == root * sp.Symbol("m") ** 2 + sp.Symbol("m") * sp.Symbol("z") + 1
    law = rmt.Discrete({0: half, 2: half}) @ rmt.MarchenkoPastur(half)
    # E X = 1, and of the power 1; of twice it 2^(3/2)
    power = bivariate((2 * law).free_power(Fraction(3, 2)))
    assert power.moments(2)[0] == 2 * root


def test_spurious_factors_are_refuted_not_guessed():
    # three factors that all begin like a law
    m, z = sp.symbols("m z")
    laws = [rmt.Semicircle(1, 1), rmt.MarchenkoPastur(1), rmt.Semicircle(1, 1) + rmt.Discrete({-1: half, 1: half})]
    product = sp.Mul(*(polynomial(law).as_expr() for law in laws))
    for law in laws:
        assert Bivariate.from_expression(product, moments=law.moments) == bivariate(law)
    with pytest.raises(ValueError, match="give more of `moments`"):
        Bivariate.from_expression(product)
    with pytest.raises(ValueError, match="no factors"):
        Bivariate.from_expression(product, moments=rmt.FussCatalan(2).moments(6))
    with pytest.raises(ValueError, match="no factors"):
        Bivariate.from_expression(m**2 + z)


def test_two_equal_branches_at_infinity_are_told_apart_by_moments():
    found = bivariate(rmt.FussCatalan(Fraction(3, 2)))
    assert found.seeds == (1,)
    assert found.moments(6) == rmt.FussCatalan(Fraction(3, 2)).moments(6)
    with pytest.raises(ValueError, match="moments"):
        Bivariate.from_expression(found.poly)


def test_refusals():
    a = bivariate(rmt.MarchenkoPastur(2))
    with pytest.raises(ValueError, match="factor=0"):
        op.scale(a, 0)
    with pytest.raises(ValueError, match="constant"):
        op.moebius(a, 1, 2, 2, 4)
    with pytest.raises(ValueError, match="rational"):
        op.free_power(a, sp.sqrt(2))
    with pytest.raises(ValueError, match="atom at 0"):
        op.inverse(a)
    assert op.inverse(bivariate(rmt.MarchenkoPastur(1))).seeds is None  # heavy tails
    with pytest.raises(ValueError, match="exact"):
        op.shift(a, 0.5)
    with pytest.raises(ValueError, match="encoding='q'"):
        a.to("q")
    with pytest.raises(ValueError, match="S-transform"):
        bivariate(rmt.Discrete({0: 1})).to("s")
    with pytest.raises(ArithmeticError, match="heavy tails"):
        bivariate(rmt.Cauchy()).moments(1)
