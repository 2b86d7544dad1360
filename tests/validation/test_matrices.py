"""Random matrices of laws: every law and operation has one, and the matrices have the law."""

import importlib
import inspect
import pkgutil
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt import MarchenkoPastur, Semicircle, Uniform
from rmt.law import Law
from validation.matrices import eigenvalues, law_agreement, random_matrix
from validation.matrices.beta_ensembles import gaussian_eigenvalues, jacobi_eigenvalues, wishart_eigenvalues
from validation.matrices.model import REFUSALS, Draw, blocks, matrix_rule, spectrum_rule

ALPHA = 1e-6
HALF = Fraction(1, 2)
X, Y = sp.symbols("x y", commutative=False)
BRANCH = MarchenkoPastur(1) @ rmt.Discrete({0: HALF, Fraction(7, 5): HALF})

# Off default parameters, atoms and complex polynomials included.
LAWS = [
    Semicircle(1.7, 0.3),
    MarchenkoPastur(0.37),
    MarchenkoPastur(2.5),
    rmt.FreePoisson(2, rmt.Discrete({-1: 0.5, 2: 0.5})),
    rmt.FussCatalan(3),
    rmt.FreeMultiplicativeBrownian(0.8),
    rmt.UniversalResNet(0.5, skip=0.9, depth=3),
    rmt.FreeJacobi(0.4, 0.3),
    rmt.FreeJacobi(0.4, 0.7),
    rmt.FreeJacobi(0.3, 0.5),
    rmt.FreeMultiplicativePoisson(0.6),
    rmt.KestenMcKay(2.5),
    rmt.Arcsine(0, 3),
    rmt.Cauchy(1, 2),
    rmt.Discrete({0: 0.3, 1: 0.7}),
    rmt.FreeStable(Fraction(1, 2), 1),
    rmt.Gaussian(2, 1),
    Uniform(1, 2),
    rmt.Empirical([1, 2, 2.5, 4], smoothing=0.3),
    rmt.GOE(8),
    rmt.GUE(8),
    rmt.Wishart(8, 16),
    rmt.LargestEigenvalue(rmt.GUE(4)),
    MarchenkoPastur(0.5) + Uniform(0, 1),
    Semicircle(1) @ MarchenkoPastur(0.5),
    MarchenkoPastur(0.5).free_power(3),
    Uniform(1, 2).free_sum_power(2.5),
    Uniform(0, 1).compress(0.3),
    MarchenkoPastur(0.5).sqrt(),
    Semicircle(1, 1).square(),
    (MarchenkoPastur(0.25) + 1).inverse(),
    MarchenkoPastur(0.5).symmetrized(),
    2 * MarchenkoPastur(0.5) + 1,
    rmt.PolynomialImage((1, 0, 2, 1), Semicircle(0.5)),
    rmt.Mixture({MarchenkoPastur(0.5): 0.3, Semicircle(1): 0.7}),
    rmt.RectangularSum((MarchenkoPastur(0.5), rmt.Discrete({1: 0.5, 4: 0.5})), HALF),
    rmt.ResidualSum(BRANCH, 0.9),
    rmt.GatedLayer({(1, 0): 0.4, (0.5, 1): 0.6}, 0.7),
    rmt.polynomial_law(sp.I * (X * Y - Y * X), {X: Semicircle(1), Y: MarchenkoPastur(0.5)}),
]


def concrete_laws():
    """Every law and operation that the package defines."""
    for module in pkgutil.walk_packages(rmt.__path__, "rmt."):
        importlib.import_module(module.name)
    pending, found = [Law], set()
    while pending:
        for kind in pending.pop().__subclasses__():
            pending.append(kind)
            if kind.__module__.startswith("rmt.") and not inspect.isabstract(kind):
                found.add(kind)
    return found


def test_every_law_has_a_matrix_or_a_reason():
    with pytest.raises(NotImplementedError):  # loads the rules
        random_matrix(rmt.TracyWidom(2), 4)
    laws = concrete_laws()
    refused = {kind for kind in laws if kind.__name__ in REFUSALS}
    ruled = set(matrix_rule.registry) - {object}
    assert ruled | refused == laws
    assert not ruled & refused
    assert len(refused) == len(REFUSALS)
    assert {type(law) for law in LAWS} == ruled
    assert set(spectrum_rule.registry) - {object} <= ruled


@pytest.mark.parametrize("law", LAWS, ids=lambda law: repr(law)[:40])
def test_matrices_have_the_law(law):
    assert law_agreement(law, n=64, replicas=20).p_value > ALPHA


@pytest.mark.parametrize("law", [LAWS[i] for i in (1, 3, 4, 7, 24, 32)], ids=lambda law: repr(law)[:40])
def test_a_law_wrong_by_a_fifth_is_found(law):
    assert law_agreement(law, 1.2 * law, n=96, replicas=40, beta=2).p_value < ALPHA


@pytest.mark.parametrize("law", LAWS, ids=lambda law: repr(law)[:40])
@pytest.mark.parametrize("beta", [1, 2])
def test_matrices_are_hermitian_and_have_the_eigenvalues(law, beta):
    dense = random_matrix(law, 24, 3, beta=beta)
    assert dense.shape == (24, 24)
    np.testing.assert_array_equal(dense, dense.conj().T)
    np.testing.assert_array_equal(dense, random_matrix(law, 24, 3, beta=beta))
    found = eigenvalues(law, 24, np.random.default_rng(4), beta=beta)
    assert found.shape == (24,)
    assert np.all(np.diff(found) >= 0)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("law", [LAWS[0], LAWS[2], LAWS[7], LAWS[30], LAWS[31], LAWS[33], LAWS[34]], ids=repr)
def test_dense_matrices_have_the_law_too(law):
    assert law_agreement(law, n=48, replicas=20, dense=True).p_value > ALPHA


def test_complex_entries_have_the_law_without_bias():
    for law in (Semicircle(2), MarchenkoPastur(0.5) @ Uniform(1, 2)):
        assert law_agreement(law, n=48, replicas=20, beta=2).p_value > ALPHA
    # E tr H^4 / n = 2 + 1/n² for the GUE, 2 + 5/n + … for the GOE
    for beta, bias in ((1, 5 / 20 + 5 / 400), (2, 1 / 400)):
        quartic = [np.mean(eigenvalues(Semicircle(1), 20, seed, beta=beta) ** 4) for seed in range(400)]
        assert abs(np.mean(quartic) - 2 - bias) < 5 * np.std(quartic) / 20


@pytest.mark.parametrize(
    ("p", "q", "n", "count"), [(3, 3, 7, 2500), (6, 4, 20, 300), (9, 14, 20, 300), (9, 5, 12, 300)]
)
@pytest.mark.parametrize("beta", [1, 2])
def test_jacobi_model_is_the_corner_of_a_rotated_projection(p, q, n, count, beta):
    """First three moments of either; a different formula in each case of sizes, and parameters matter at small ones."""
    moments = []
    for seed in range(count):
        generator = np.random.default_rng((seed, p, q, n))
        corner = Draw(generator, beta).isometry(q, n)[:, :p]
        dense = np.linalg.eigvalsh(corner.conj().T @ corner)
        model = jacobi_eigenvalues(p, q, n, beta, generator)
        assert model.shape == (p,)
        assert (dense > 1 - 1e-12).sum() == (model > 1 - 1e-12).sum() == max(0, p + q - n)
        assert (dense < 1e-12).sum() == (model < 1e-12).sum() == max(0, p - q)
        moments.append([np.mean(dense**k) - np.mean(model**k) for k in (1, 2, 3)])
    errors = np.std(moments, axis=0) / np.sqrt(count)
    assert np.all(np.abs(np.mean(moments, axis=0)) < 5 * errors + 1e-14)


def test_brownian_motion_is_right_to_second_order_in_the_step():
    """Mean and mean square at time 2, where increments without their double integral would be 6 % and 15 % short."""
    law = rmt.FreeMultiplicativeBrownian(2)
    found = []
    for seed in range(40):
        values = eigenvalues(law, 48, seed, beta=2)
        found.append([np.mean(values), np.mean(values**2)])
    exact = [float(law.moment(k)) for k in (1, 2)]
    error = np.std(found, axis=0) / np.sqrt(40)
    assert np.all(np.abs(np.mean(found, axis=0) - exact) < 4 * error)
    assert np.all(error < 0.012 * np.array(exact) * [1, 2])


def test_tridiagonal_models_have_the_moments_of_their_size():
    rng = np.random.default_rng(1)
    for beta, law in ((1, rmt.GOE(6)), (2, rmt.GUE(6))):
        powers = [[np.mean(gaussian_eigenvalues(6, beta, rng) ** k) for k in (2, 4)] for _ in range(500)]
        exact = [float(law.moment(k)) for k in (2, 4)]
        assert np.all(np.abs(np.mean(powers, axis=0) - exact) < 5 * np.std(powers, axis=0) / np.sqrt(500))
    for beta, p, n in ((1, 4, 7), (2, 7, 4)):
        powers = []
        for _ in range(500):
            found = wishart_eigenvalues(p, n, beta, rng)
            powers.append([np.mean(found**k) for k in (1, 2)])
        exact = [float(rmt.Wishart(p, n, beta).moment(k)) for k in (1, 2)]
        assert np.all(np.abs(np.mean(powers, axis=0) - exact) < 5 * np.std(powers, axis=0) / np.sqrt(500))


def test_shares_of_blocks_are_right_in_the_mean():
    draw = Draw(np.random.default_rng(0))
    sizes = np.array([blocks(10, [0.13, 0.44, 0.43], draw) for _ in range(4000)])
    assert (sizes.sum(axis=1) == 10).all()
    np.testing.assert_allclose(sizes.mean(axis=0), [1.3, 4.4, 4.3], atol=0.05)
    counts = [draw.count(2.25) for _ in range(4000)]
    assert set(counts) == {2, 3}
    assert np.mean(counts) == pytest.approx(2.25, abs=0.04)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (rmt.TracyWidom(2), "TracyWidom: it is the limit law of one eigenvalue"),
        (2 * rmt.ImplicitLaw(s=1 / (1 + sp.Symbol("m"))), "ImplicitLaw: a law known by a transform alone"),
        (rmt.FussCatalan(2.5), "FussCatalan of order 2.5 .* choose a whole order"),
        (MarchenkoPastur(1).free_power(1.5), "exponent 1.5: its fractional powers have no matrix"),
        (MarchenkoPastur(1).free_sum_power(0.5), "FreeSumPower of exponent 0.5 < 1"),
    ],
    ids=repr,
)
def test_what_has_no_matrix_is_named(law, message):
    for question in (random_matrix, eigenvalues):
        with pytest.raises(NotImplementedError, match=f"^random_matrix: .*{message}") as refused:
            question(law, 8, 1)
        assert "\n" not in str(refused.value)


def test_bad_arguments_are_answered():
    law = Semicircle(1)
    for arguments, message in (
        ({"n": 1}, "n=1 must be an integer >= 2"),
        ({"n": 2.5}, "n=2.5 must be an integer >= 2"),
        ({"n": 4, "beta": 4}, r"beta=4 must be 1 \(real entries\) or 2"),
    ):
        with pytest.raises(ValueError, match=message):
            random_matrix(law, **arguments)
    with pytest.raises(ValueError, match="n=9 must be a multiple of 4"):
        eigenvalues(rmt.GOE(4), 9)
    with pytest.raises(ValueError, match="n must be even"):
        law_agreement(law, n=9)
