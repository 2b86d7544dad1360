"""Polynomials in free variables: linearisation, density, moments, edges and atoms against independent computations."""

import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

import rmt
from rmt import Discrete, FussCatalan, GatedLayer, MarchenkoPastur, PolynomialLaw, Semicircle, Status, polynomial_law
from rmt.numeric.channels import RationalR
from rmt.numeric.continuation import solve
from rmt.numeric.linearisation import linearise_polynomial
from rmt.numeric.operator_valued import PencilNode
from rmt.series import free_cumulants_to_moments
from rmt.series.word_moments import polynomial_moments
from rmt.symbolic.words import words_of

x, y, z = sp.symbols("x y z", commutative=False)
SC, MP = Semicircle, MarchenkoPastur
ANTICOMMUTATOR = x * y + y * x
COMMUTATOR = sp.I * (x * y - y * x)


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


def exhaustive(*case):
    return pytest.param(*case, marks=pytest.mark.exhaustive)


def inside(law, n=5):
    return np.concatenate([lo + (hi - lo) * (np.arange(n) + 0.37) / n for lo, hi in law.support().intervals])


def assert_same_law(law, other, tol=1e-12):
    """Density, distribution function, edges and atoms; both are asked for numbers that they compute differently."""
    points = inside(other)
    peak = np.max(other.pdf(points))
    np.testing.assert_allclose(law.pdf(points), other.pdf(points), rtol=tol, atol=tol * peak)
    np.testing.assert_allclose(law.cdf(points), other.cdf(points), atol=10 * tol)
    ends = [[float(e.position) for e in part.support().edges] for part in (law, other)]
    np.testing.assert_allclose(*ends, atol=1e-9 * max(map(abs, ends[1])))
    atoms = [{float(a): float(p) for a, p in part.support().atoms.items()} for part in (law, other)]
    assert atoms[0] == pytest.approx(atoms[1], abs=1e-12)


# --- reading the expression ------------------------------------------------------------------------------------------


def test_words_and_coefficients_are_exact():
    expression = (x + y / 3) ** 2 * 2 + sp.I * (x * y - y * x) / 2 + sp.Rational(1, 7)
    assert words_of(expression, (x, y)) == {
        (): Fraction(1, 7),
        (0, 0): 2,
        (1, 1): Fraction(2, 9),
        (0, 1): complex(2 / 3, 0.5),
        (1, 0): complex(2 / 3, -0.5),
    }
    assert words_of(x * y**3 * x - 0.5 * x, (x, y)) == {(0, 1, 1, 1, 0): 1, (0,): -0.5}


@pytest.mark.parametrize(
    ("expression", "variables", "message"),
    [
        (x * y, {x: SC(), y: SC()}, r"self-adjoint: the monomial x\*y has the coefficient 1, its adjoint y\*x has 0"),
        (sp.I * x + y, {x: SC(), y: SC()}, r"monomial x has the coefficient 1j"),
        (sp.I * x**2, {x: SC()}, "not self-adjoint"),
        ("x*y + y*x", {x: SC(), y: SC()}, "text is not evaluated"),
        (x * y + y * x, {x: SC()}, "y"),
        (x ** sp.Rational(1, 2) + y, {x: SC(), y: SC()}, "not a positive power"),
        (1 / x + y, {x: SC(), y: SC()}, "not a positive power"),
        (sp.Symbol("a") * x, {x: SC()}, "coefficient a .* is not a number"),
        (sp.Symbol("c"), {sp.Symbol("c"): SC()}, "commutative=False"),
        (x - x + 3, {x: SC()}, "constant"),
        (x * y - y * x, {x: SC(), y: SC()}, "not self-adjoint"),
        (x + y, {x: SC(), y: 1}, "expected a law"),
    ],
)
def test_bad_expressions_are_refused(expression, variables, message):
    with pytest.raises(ValueError, match=message):
        polynomial_law(expression, variables)


# --- linearisation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "size"),
    [
        (x + 2 * y - 1, 1),
        (ANTICOMMUTATOR, 3),
        (COMMUTATOR, 3),
        (x * y * x + z, 3),
        (x**2 + y**2, 3),
        ((x + y) ** 2, 2),
        ((x + 2 * y + z) ** 2 + x, 2),
        (x * y * z + z * y * x + 3 * x + sp.Rational(1, 2), 5),
        (x * y**2 * x + y * x**2 * y + x, 7),
        ((x * y + y * x) ** 2, 6),
        (x**5 - x, 5),
        (COMMUTATOR + x * y * x * y + y * x * y * x, None),
    ],
)
def test_the_pencil_is_minimal_and_its_corner_is_the_resolvent(expression, size):
    words = words_of(expression, (x, y, z))
    pencil = linearise_polynomial({word: complex(c) for word, c in words.items()}, [1.0, 3.0, 0.2])
    rng = np.random.default_rng(3)
    n = 4
    variables = [a + a.conj().T for a in rng.normal(size=(3, n, n)) + 1j * rng.normal(size=(3, n, n))]
    value = np.zeros((n, n), dtype=complex)
    for word, c in words.items():
        product = np.eye(n)
        for index in word:
            product = product @ variables[index]
        value += complex(c) * product
    total = np.kron(pencil.constant, np.eye(n))
    for a, matrix in zip(pencil.coefficients, variables, strict=True):
        np.testing.assert_array_equal(a, a.conj().T)
        total = total + np.kron(a, matrix)
    point = 0.3 + 0.9j
    corner = np.zeros_like(pencil.constant)
    corner[0, 0] = point
    resolvent = np.linalg.inv(np.kron(corner, np.eye(n)) - total)[:n, :n]
    np.testing.assert_allclose(resolvent, np.linalg.inv(point * np.eye(n) - value), rtol=1e-9, atol=1e-11)
    if size is not None:
        assert pencil.constant.shape == (size, size)


# --- moments ---------------------------------------------------------------------------------------------------------


def noncrossing(points):
    """All noncrossing partitions of a tuple, as lists of blocks."""
    if not points:
        yield []
        return
    first, rest = points[0], points[1:]
    for size in range(len(rest) + 1):
        for block in itertools.combinations(range(len(rest)), size):
            cuts = [-1, *block, len(rest)]
            gaps = [rest[a + 1 : b] for a, b in itertools.pairwise(cuts)]
            for parts in itertools.product(*(list(noncrossing(gap)) for gap in gaps)):
                yield [(first, *(rest[k] for k in block)), *itertools.chain.from_iterable(parts)]


def brute_force_moment(words, cumulants, k):
    """Sum over products of k monomials of the sum over noncrossing partitions with blocks of one letter."""
    total = 0
    for choice in itertools.product(words.items(), repeat=k):
        word = tuple(itertools.chain.from_iterable(w for w, _ in choice))
        coefficient = 1
        for _, c in choice:
            coefficient *= c
        for partition in noncrossing(tuple(range(len(word)))):
            term = coefficient
            for block in partition:
                letters = {word[i] for i in block}
                term = 0 if len(letters) > 1 or term == 0 else term * cumulants[letters.pop()][len(block) - 1]
            total += term
    return total


@pytest.mark.parametrize("expression", [ANTICOMMUTATOR, COMMUTATOR, x * y * x - y / 2 + 3, x**2 + 2 * x * y * x + y])
def test_moments_agree_with_the_sum_over_noncrossing_partitions(expression):
    words = words_of(expression, (x, y))
    half = Fraction(1, 2)
    cumulants = [[half, 1, -1, Fraction(1, 3), 2, 5, -2, 1, 3, 1, 1, 1], [0, half, 3, 0, -1, 1, 2, 7, 1, 1, 1, 1]]
    moments = polynomial_moments(words, cumulants, 3)
    for k, value in enumerate(moments, start=1):
        assert value == brute_force_moment(words, cumulants, k)
        assert isinstance(value, int | Fraction)


def test_anticommutator_of_semicirculars_has_exact_moments():
    # free cumulants 2 at even orders (Nica and Speicher 1998)
    law = polynomial_law(ANTICOMMUTATOR, {x: SC(), y: SC()})
    assert law.moments(10) == free_cumulants_to_moments([0, 2] * 5)
    assert all(isinstance(m, int) for m in law.moments(8))
    assert polynomial_law(COMMUTATOR, {x: SC(), y: SC()}).moments(8) == law.moments(8)
    assert law.free_cumulants(6) == [0, 2, 0, 2, 0, 2]


def test_moments_stay_exact_for_rational_parameters():
    law = polynomial_law(x * y * x + y / 3, {x: SC(Fraction(1, 2)), y: MP(Fraction(3, 2))})
    m1, m2 = law.moments(2)
    assert m1 == Fraction(1, 2) + Fraction(1, 3)
    # E x^2 y x^2 y = m_4(x) m_1(y)^2 + m_2(x)^2 var(y), E x y x y = m_2(x) m_1(y)^2
    squares = [Fraction(1, 2) + Fraction(1, 4) * Fraction(3, 2), Fraction(5, 2)]
    assert m2 == squares[0] + 2 * Fraction(1, 3) * Fraction(1, 2) + squares[1] / 9


# --- density against closed forms and the engine ---------------------------------------------------------------------


def test_anticommutator_of_semicirculars_in_closed_form():
    law = polynomial_law(ANTICOMMUTATOR, {x: SC(), y: SC()})
    edge = float(sp.sqrt((11 + 5 * sp.sqrt(5)) / 2))
    assert [float(e.position) for e in law.support().edges] == pytest.approx([-edge, edge], rel=1e-14)
    points = np.array([-3.3, -1.2345, -1e-9, 0.0, 0.5, 2.75, 3.33])
    # z = 1/g + 2 g/(1 - g^2)
    expected = [max(-np.roots([t, 1, -t, 1]).imag) / np.pi for t in points]
    np.testing.assert_allclose(law.pdf(points), expected, rtol=1e-11)
    assert law.pdf(0.0) == pytest.approx(1 / np.pi, rel=1e-14)
    curve = law.curve(points=64)
    assert curve.status is Status.OK
    assert curve.metadata["density_against_cdf"] < 1e-12


@pytest.mark.slow
def test_the_commutator_has_the_law_of_the_anticommutator_of_semicirculars():
    laws = [polynomial_law(p, {x: SC(0.7), y: SC(2)}) for p in (COMMUTATOR, ANTICOMMUTATOR)]
    assert not laws[0].numeric.symmetric
    assert laws[1].numeric.symmetric
    assert_same_law(*laws)


@pytest.mark.parametrize(
    ("expression", "variables", "same"),
    [
        (x**2 + y**2, {x: SC(), y: SC(2)}, MP(1) + 2 * MP(1)),
        (x * y * x + z, {x: SC(), y: MP(0.5), z: SC(0.3)}, (MP(1) @ MP(0.5)) + SC(0.3)),
        slow(x - 2 * y + 1, {x: SC(0.5), y: MP(0.3)}, SC(0.5) - 2 * MP(0.3) + 1),
        slow((x + y) ** 2, {x: SC(0.5), y: SC(0.5)}, MP(1)),
        slow(x * y * x, {x: SC(2), y: MP(0.5)}, 2 * (MP(1) @ MP(0.5))),
        slow(x * y * x, {x: SC(), y: FussCatalan(2)}, MP(1) @ FussCatalan(2)),
        slow(ANTICOMMUTATOR, {x: SC(), y: SC()}, MP(1) - MP(1)),
        exhaustive(x * y * x + z, {x: Discrete({-1: 0.5, 1: 0.5}), y: MP(0.5), z: SC(0.3)}, MP(0.5) + SC(0.3)),
        exhaustive(x * y * x, {x: SC(), y: 2 * MP(0.5) + MP(1)}, MP(1) @ (2 * MP(0.5) + MP(1))),
    ],
)
def test_agreement_with_the_engine(expression, variables, same):
    law = polynomial_law(expression, variables)
    assert_same_law(law, same)


@pytest.mark.slow
def test_nodes_and_rational_transforms_give_the_same_curve():
    words = {(0, 1): 1.0, (1, 0): 1.0, (0, 0): 0.3, (1,): 0.5}
    pencil = linearise_polynomial(words, [1.0, 1.0])
    laws = [SC(0.8, 0.2), MP(0.6)]
    m1, m2 = PolynomialLaw(tuple((c, w) for w, c in words.items()), tuple(laws)).moments(2)
    rational = PencilNode(pencil, [RationalR(0.2, 0.8), RationalR(0.0, 0.0, ((1.0, 0.6),))], m1, m2 - m1 * m1)
    general = PencilNode(pencil, [law.numeric for law in laws], m1, m2 - m1 * m1)
    points = np.concatenate([np.linspace(-4, 6, 31), np.linspace(-4, 6, 7) + 0.4j])
    one, two = solve(rational, points), solve(general, points)
    assert np.all(one.converged & two.converged)
    np.testing.assert_allclose(one.g, two.g, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(one.potential.imag, two.potential.imag, atol=1e-11)


@pytest.mark.exhaustive
def test_a_polynomial_law_enters_further_free_operations():
    law = polynomial_law(ANTICOMMUTATOR, {x: SC(), y: MP(0.5)})
    grown = polynomial_law(ANTICOMMUTATOR + z, {x: SC(), y: MP(0.5), z: SC(0.4)})
    assert_same_law(law + SC(0.4), grown, tol=1e-11)
    nested = polynomial_law(x + 2 * y, {x: law, y: SC(0.1)})
    assert_same_law(nested, grown, tol=1e-11)


def matrix_fixed_point(point, matrices, transforms, steps=400):
    """G_11 of the equation G = (b - A_0 - Σ A R(G A))^-1 by the averaged fixed point, in 30 digits."""
    mp = mpmath.mp
    with mp.workdps(30):
        size = len(matrices[0])
        b = mp.zeros(size)
        b[0, 0] = mp.mpc(point)
        a = [mp.matrix(m) for m in matrices]
        g = -1j * mp.eye(size)
        for _ in range(steps):
            energy = a[0].copy()
            for matrix, transform in zip(a[1:], transforms, strict=True):
                energy = energy + matrix * transform(g * matrix)
            g = (g + mp.inverse(b - energy)) / 2
        return complex(g[0, 0]), float(mp.mnorm(g * (b - energy) - mp.eye(size)))


def test_thirty_digit_fixed_point_of_another_pencil():
    # the textbook linearisation of xy + yx, not the one that the code builds
    pencil = ([[0, 0, 0], [0, 0, -1], [0, -1, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 0], [1, 0, 0]])

    def semicircle(t):
        return t

    def marchenko_pastur(t):
        return mpmath.inverse(mpmath.eye(3) - t / 2)

    law = polynomial_law(ANTICOMMUTATOR, {x: SC(), y: MP(0.5)})
    for point in (1 + 1j, -2.5 + 0.7j):
        value, residual = matrix_fixed_point(point, pencil, [semicircle, marchenko_pastur])
        assert residual < 1e-16
        assert law.cauchy(point) == pytest.approx(value, rel=1e-13)


@pytest.mark.exhaustive
def test_distribution_function_is_the_integral_of_the_density():
    law = polynomial_law(x * y * x + y + z, {x: SC(), y: MP(0.5), z: Discrete({-3: 0.5, 3: 0.5})})
    points = inside(law, 4)
    np.testing.assert_allclose(law.cdf(points), law.cdf(points, method="quadrature"), atol=1e-10)
    assert law.expectation(np.ones_like) == pytest.approx(1, abs=1e-11)
    np.testing.assert_allclose(law.moments(4, method="quadrature"), [float(m) for m in law.moments(4)], rtol=1e-10)
    np.testing.assert_allclose(law.cdf(law.ppf([0.1, 0.5, 0.93])), [0.1, 0.5, 0.93], atol=1e-12)


# --- atoms and hard edges --------------------------------------------------------------------------------------------

HALF, QUARTER = Discrete({0: Fraction(1, 2), 1: Fraction(1, 2)}), Discrete({0: Fraction(1, 4), 1: Fraction(3, 4)})


@pytest.mark.parametrize(
    ("expression", "variables", "atoms"),
    [
        (x * y * x, {x: HALF, y: QUARTER}, {0: Fraction(1, 2), 1.0: Fraction(1, 4)}),
        (ANTICOMMUTATOR, {x: HALF, y: QUARTER}, {0: Fraction(1, 4), 2.0: Fraction(1, 4)}),
        (COMMUTATOR, {x: HALF, y: QUARTER}, {0: Fraction(1, 2)}),
        (x + y, {x: HALF, y: QUARTER}, {1.0: Fraction(1, 4), 2.0: Fraction(1, 4)}),
        (x * y * x + 3, {x: MP(Fraction(5, 2)), y: SC()}, {3: Fraction(3, 5)}),
        (x * y * x, {x: MP(2.5), y: Discrete({0: 0.7, 1: 0.3})}, {0: pytest.approx(0.7)}),
        (
            x * y * x + z,
            {x: MP(5), y: SC(), z: Discrete({2: 0.7, 5: 0.3})},
            {2: pytest.approx(0.5), 5: pytest.approx(0.1)},
        ),
        (x * y**3 * x + x, {x: MP(0.7), y: SC()}, {}),
        (x**2, {x: HALF}, {0: Fraction(1, 2), 1: Fraction(1, 2)}),
        (x * y + y * x, {x: Discrete({2: 1}), y: QUARTER}, {0: Fraction(1, 4), 4: Fraction(3, 4)}),
    ],
)
def test_atoms(expression, variables, atoms):
    law = polynomial_law(expression, variables)
    assert law._atoms() == atoms
    for position, mass in atoms.items():
        assert type(law._atoms()[position]) is (Fraction if isinstance(mass, Fraction) else float)


def test_projections_where_the_subordination_point_meets_a_critical_point():
    # at x = 1/2 the derivative of the Cauchy transform of the first projection vanishes at its subordination point
    law = polynomial_law(x * y * x, {x: HALF, y: QUARTER})
    points = np.array([0.1, 0.5, 0.9])
    other = HALF @ QUARTER
    one, two = solve(law.numeric, points), solve(other.numeric, points)
    np.testing.assert_allclose(one.g, two.g, rtol=1e-12)
    np.testing.assert_allclose(one.potential, two.potential, atol=1e-13)


@pytest.mark.exhaustive
def test_law_of_projections():
    assert_same_law(polynomial_law(x * y * x, {x: HALF, y: QUARTER}), HALF @ QUARTER)
    # pq + qp for projections in general position: the eigenvalues of a pair at angle t are c (c ± 1), c = cos t
    law = polynomial_law(ANTICOMMUTATOR, {x: HALF, y: QUARTER})
    angle = HALF @ QUARTER  # cos^2 t, with its atoms
    points = np.array([0.5, 1.0, 1.7])
    c = (np.sqrt(1 + 4 * points) - 1) / 2  # c^2 + c = point
    expected = 2 * c * angle.pdf(c * c) / (1 + 2 * c)
    np.testing.assert_allclose(-law.cauchy(points).imag / np.pi, expected, rtol=1e-10)


@pytest.mark.exhaustive
def test_hard_edge_at_the_constant_term_and_many_decades_next_to_it():
    law = polynomial_law(x * y * x - 2, {x: SC(), y: MP(0.5)})
    edge = law.support().edges[0]
    assert edge.position == -2
    assert edge.exponent == pytest.approx(-0.5)
    shifted = polynomial_law(x * y * x, {x: SC(), y: MP(0.5)})
    points = 10.0 ** np.arange(-9, 0, 2)
    np.testing.assert_allclose(shifted.pdf(points), (MP(1) @ MP(0.5)).pdf(points), rtol=1e-9)


# --- one variable ----------------------------------------------------------------------------------------------------


def test_image_of_the_semicircle_by_a_polynomial_with_overlapping_branches():
    law = polynomial_law(x**3 - x + 2, {x: SC()})
    assert law.moments(4) == [2, 4 + 5 - 4 + 1, *law.moments(4)[2:]]
    rng = np.linspace(-1, 1, 400001)[:-1] + 1 / 400000
    nodes = 2 * np.sin(np.pi / 2 * rng)
    weights = np.cos(np.pi / 2 * rng) ** 2 / np.sum(np.cos(np.pi / 2 * rng) ** 2)
    values = nodes**3 - nodes + 2
    for point in (-2.3, 1.8, 2.05, 6.0):
        assert law.cdf(point) == pytest.approx(np.sum(weights[values <= point]), abs=1e-5)
    assert law.cdf(law.ppf(0.3)) == pytest.approx(0.3, abs=1e-12)
    step = 1e-5
    for point in (-2.3, 1.8, 6.0):
        assert law.pdf(point) == pytest.approx((law.cdf(point + step) - law.cdf(point - step)) / (2 * step), rel=1e-7)
    np.testing.assert_allclose(law.moments(4, method="quadrature"), law.moments(4), rtol=1e-12)
    assert law.log_moment() == pytest.approx(np.sum(weights * np.log(np.abs(values))), abs=1e-4)
    assert [float(e.position) for e in law.support().edges] == pytest.approx([-4, 8])


def test_one_variable_agrees_with_the_engine_and_with_the_pencil():
    assert polynomial_law(2 * x - 1, {x: MP(0.5)}) == rmt.Affine(MP(0.5), 2, -1)
    law = polynomial_law(x**2 + x, {x: SC()})
    assert [(float(e.position), float(e.exponent)) for e in law.support().edges] == [(-0.25, -0.5), (6.0, 0.5)]
    points = np.array([-0.2, 0.1, 3.0, 5.5])
    np.testing.assert_allclose(-law.cauchy(points).imag / np.pi, law.pdf(points), rtol=1e-12)
    assert_same_law(polynomial_law(x**2, {x: SC(3)}), 3 * MP(1))


# --- random matrices -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sampled_matrices():
    rng = np.random.default_rng(11)
    n, replicas = 400, 6
    law = polynomial_law(x * y * x + sp.I * (y * x - x * y) + y, {x: SC(), y: MP(0.5)})
    rows = []
    for _ in range(replicas):
        a = (rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))) / np.sqrt(2 * n)
        w = (a + a.conj().T) / np.sqrt(2)
        b = (rng.normal(size=(n, 2 * n)) + 1j * rng.normal(size=(n, 2 * n))) / np.sqrt(4 * n)
        p = b @ b.conj().T
        matrix = w @ p @ w + 1j * (p @ w - w @ p) + p
        values = np.linalg.eigvalsh(matrix)
        rows.append([np.mean(values**k) for k in range(1, 5)] + [np.mean(values <= t) for t in (0.3, 1.0, 3.0)])
    mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(replicas)
    expected = [float(m) for m in law.moments(4)] + [law.cdf(t) for t in (0.3, 1.0, 3.0)]
    # five standard errors, and the bias of order 1/n^2 and one eigenvalue
    assert np.all(np.abs(mean - expected) < 5 * error + np.array(expected) * 1e-3)
    wrong = [float(m) for m in polynomial_law(x * y * x + y, {x: SC(), y: MP(0.5)}).moments(2)]
    assert abs(mean[1] - wrong[1]) > 50 * error[1]


# --- value semantics -------------------------------------------------------------------------------------------------


def test_repr_equality_and_citations():
    names = {name: getattr(rmt, name) for name in rmt.__all__} | {"Fraction": Fraction}
    for expression in (ANTICOMMUTATOR, COMMUTATOR / 3 + x * y * x / 7, x**2 / 3 + x):
        law = polynomial_law(expression, {x: SC(), y: MP(Fraction(1, 2))})
        assert eval(repr(law), names) == law
        assert hash(eval(repr(law), names)) == hash(law)
        assert law._repr_latex_().startswith("$")
    assert "BelinschiMaiSpeicher2017" in rmt.cite(polynomial_law(ANTICOMMUTATOR, {x: SC(), y: SC()}))
    law = PolynomialLaw(((1, (0, 1)), (1, (1, 0))), (SC(), SC()))
    assert law.names == ("x_1", "x_2")


# --- gated layers ----------------------------------------------------------------------------------------------------

THIRD = Fraction(1, 3)
GATES = GatedLayer({(Fraction(1, 2), 1): THIRD, (1, 0): THIRD, (0, 2): THIRD}, Fraction(1, 2))


def test_moments_of_a_gated_layer():
    s = GATES.variance

    def mean(i, j):
        return sum(p * a**i * b**j for (a, b), p in GATES.gates)

    m1 = mean(2, 0) + s * mean(0, 2)
    m2 = mean(4, 0) + 2 * s * (mean(2, 2) + mean(2, 0) * mean(0, 2)) + s * s * (mean(0, 2) ** 2 + mean(0, 4))
    assert GATES.moments(2) == [m1, m2]
    np.testing.assert_allclose(GATES.moments(5, method="quadrature"), [float(m) for m in GATES.moments(5)], rtol=1e-12)
    assert GATES.expectation(np.ones_like) == pytest.approx(1, abs=1e-13)
    assert GATES.numeric.variance == pytest.approx(float(m2 - m1 * m1))


def test_a_gated_layer_solves_the_equations_of_the_hermitised_matrix():
    s = float(GATES.variance)
    point = 0.8 + 0.3j
    omega = np.sqrt(point)
    pairs = np.array([[float(a), float(b), float(p)] for (a, b), p in GATES.gates]).T
    h = g = 0j
    for _ in range(4000):
        den = (omega - s * pairs[1] ** 2 * g) * (omega - s * h) - pairs[0] ** 2
        g1, g2 = (omega - s * h) / den, (omega - s * pairs[1] ** 2 * g) / den
        h, g = (h + np.sum(pairs[2] * pairs[1] ** 2 * g1)) / 2, (g + np.sum(pairs[2] * g2)) / 2
    assert GATES.cauchy(point) == pytest.approx(np.sum(pairs[2] * g1) / omega, rel=1e-12)


@pytest.mark.parametrize("open_gates", [slow(0.5), 0.8, slow(0.3)])
def test_a_gated_layer_with_constant_skip_is_a_residual_sum(open_gates):
    mask = Discrete({0: 1 - open_gates, 1: open_gates})
    assert_same_law(
        GatedLayer({(1.2, 0): 1 - open_gates, (1.2, 1): open_gates}, 0.8), rmt.ResidualSum(mask @ MP(1) * 0.8, 1.2)
    )


@pytest.mark.slow
def test_sampled_gated_layers():
    rng = np.random.default_rng(5)
    n, replicas = 600, 6
    index = np.arange(n) * 3 // n
    first, second = np.array([0.5, 1, 0])[index], np.array([1, 0, 2])[index]
    rows = []
    for _ in range(replicas):
        j = np.diag(first) + second[:, np.newaxis] * rng.normal(size=(n, n)) * np.sqrt(0.5 / n)
        values = np.linalg.eigvalsh(j @ j.T)
        rows.append([np.mean(values <= t) for t in (0.05, 0.5, 1.0, 2.0, 4.0)])
    mean = np.mean(rows, axis=0)
    assert np.all(np.abs(mean - GATES.cdf([0.05, 0.5, 1.0, 2.0, 4.0])) < 4 / n)
    # gates that were independent of the skips would be told apart
    independent = GatedLayer(
        {(a, b): Fraction(1, 9) for a in (Fraction(1, 2), 1, 0) for b in (1, 0, 2)}, Fraction(1, 2)
    )
    assert np.max(np.abs(mean - independent.cdf([0.05, 0.5, 1.0, 2.0, 4.0]))) > 10 / n


@pytest.mark.parametrize(
    ("gates", "variance", "message"),
    [
        ({(1, 1): 0.5}, 1, "add up to 0.5"),
        ({(1, 0): 1}, 1, "D2 is 0 everywhere"),
        ({(1, 1): 1}, 0, "variance=0"),
        ({(1, 1, 1): 1}, 1, "not a pair"),
    ],
)
def test_bad_gates_are_refused(gates, variance, message):
    with pytest.raises(ValueError, match=message):
        GatedLayer(gates, variance)
