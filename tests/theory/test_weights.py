"""Ensembles of weights enter through the law of W Wᵀ alone: every reading, against a second way."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
import theory
from rmt import series
from rmt.results import PreconditionError
from theory.network import Activation, Chain, Dense, Residual, ResNet, Sequential, Sparse
from theory.weights import describe_weights, weights_law

TWO_POINTS = rmt.Discrete({Fraction(1, 2): Fraction(1, 2), Fraction(3, 2): Fraction(1, 2)})
LIKE_GAUSSIAN = ["uniform", Sparse(Fraction(1, 10)), rmt.MarchenkoPastur(1)]


@pytest.mark.parametrize("weights", LIKE_GAUSSIAN, ids=str)
def test_independent_entries_have_the_law_of_gaussian_ones(weights):
    def nets(kind):
        yield Chain(3, "tanh", 1.2, 0.1, kind)
        yield ResNet(4, "relu", 0.7, weights=kind)
        yield Sequential([Dense(1.1, 0.2, kind), Residual([Dense(0.4, weights=kind), Activation("erf"), Dense()])])

    for one, other in zip(nets(weights), nets("gaussian"), strict=True):
        assert theory.jacobian_law(one, 0.8) == theory.jacobian_law(other, 0.8)
        assert theory.propagate(one).chi.tolist() == theory.propagate(other).chi.tolist()
    assert theory.limit_law(ResNet(4, "relu", weights=weights)) == theory.limit_law(ResNet(4, "relu"))
    with pytest.raises(PreconditionError, match=r"not orthogonal has no limit.*adds the variance 1 of"):
        theory.limit_law(Chain(3, "tanh", weights=weights))


def test_other_readings_of_independent_entries():
    resnet, gaussian = ResNet(4, "relu", 0.7, weights=Sparse(0.3)), ResNet(4, "relu", 0.7)
    assert theory.outlier(resnet) == theory.outlier(gaussian)
    assert theory.finite_depth_corrections(resnet, 1).terms == theory.finite_depth_corrections(gaussian, 1).terms
    assert theory.derive(Chain(2, "relu", weights="uniform")).equation == theory.derive(Chain(2, "relu")).equation
    assert theory.branch_norm("relu", 1.3, weights="uniform") == theory.branch_norm("relu", 1.3)


def test_widths_of_independent_entries():
    def net(kind):
        return Sequential([Dense(width_ratio=Fraction(1, 2), weights=kind), Activation("relu"), Dense(width_ratio=3)])

    assert theory.jacobian_law(net(Sparse(0.2))) == theory.jacobian_law(net("gaussian"))
    assert theory.derive(net("uniform")).equation == theory.derive(net("gaussian")).equation


@pytest.mark.parametrize("law", [TWO_POINTS, rmt.FussCatalan(2), 0.5 * rmt.MarchenkoPastur(0.5) + 0.5], ids=str)
def test_a_law_of_weights_multiplies_s(law):
    depth, sigma_w, q = 3, 1.3, 1.69
    net = Chain(depth, "erf", sigma_w, weights=law)
    gains = theory.gain_law(theory.get_activation("erf"), q).moments(4)
    first = Sequential([Dense(sigma_w, weights=law), Activation("erf")])
    s = series.multiply(
        series.moments_to_s_series([sigma_w ** (2 * k) * x for k, x in enumerate(gains, 1)]),
        series.moments_to_s_series(law.moments(4)),
    )
    expected = [float(x) for x in series.s_series_to_moments(s)]
    assert [float(x) for x in theory.jacobian_law(first).moments(4)] == pytest.approx(expected, rel=1e-11)
    # the pre-activations do not see the law: only the signal's norm, which has mean 1
    assert theory.propagate(net).q.tolist() == theory.propagate(Chain(depth, "erf", sigma_w)).q.tolist()


def test_laws_of_weights_that_add_up_to_known_ones():
    deep = theory.jacobian_law(Chain(3, "linear", weights=rmt.FussCatalan(2)))
    assert deep.moments(5) == rmt.FussCatalan(6).moments(5)
    upper = float(rmt.FussCatalan(6).support().upper)
    assert float(deep.support().upper) == pytest.approx(upper, rel=1e-12)
    orthogonal = ResNet(5, "relu", weights=rmt.Discrete({1: 1}))
    assert theory.jacobian_law(orthogonal) == theory.jacobian_law(ResNet(5, "relu", weights="orthogonal"))


def test_formulas_of_a_law_of_weights():
    net = Chain(3, "relu", 1.2, weights=TWO_POINTS)
    derivation, law = theory.derive(net), theory.jacobian_law(net)
    assert [float(x) for x in derivation.moments(4)] == pytest.approx([float(x) for x in law.moments(4)], rel=1e-12)
    z = 3.0 + 2.0j
    residual = (derivation.equation.lhs - derivation.equation.rhs).subs(sp.Symbol("z"), z)
    constraint = derivation.constraints[0]
    g = complex(law.cauchy(z))
    at_g = residual.subs(sp.Symbol("G"), g)
    (unknown,) = [x for x in constraint.free_symbols if str(x) not in ("G", "z", "m")]
    m = z * g - 1
    # S of the two points from its definition: m = ψ(w)
    w = np.roots(np.polysub(np.polymul([m], [1, -2, 0.75]), [1, -0.75]))
    assert min(abs(complex(at_g.subs(unknown, value))) for value in w) < 1e-9 * abs(g * z) ** 6
    with pytest.raises(NotImplementedError, match="Uniform has no S-transform"):
        theory.derive(Chain(3, "relu", weights=rmt.Uniform(0, 2)))


def test_corrections_of_a_law_of_weights():
    net = ResNet(60, "tanh", 0.8, 0.1, weights=TWO_POINTS)
    law, c = theory.jacobian_law(net), theory.effective_cumulant(net)
    expansion = theory.finite_depth_corrections(net, 2)
    values = theory.layer_averages(net)
    assert float(expansion.edges[1].subs(values)) == pytest.approx(float(law.support().upper), rel=2e-5)
    assert float(theory.limit_law(net).support().upper) == pytest.approx(float(law.support().upper), rel=0.05)
    assert theory.limit_law(net) == rmt.UniversalResNet(c)
    # the first correction tells ensembles apart
    gaussian = theory.jacobian_law(ResNet(60, "tanh", 0.8, 0.1)).support().upper
    assert abs(float(law.support().upper) - float(gaussian)) > 1e-3


def test_what_is_refused():
    with pytest.raises(ValueError, match="unknown weights 'haar': choose one of gaussian, orthogonal, uniform, Sparse"):
        Dense(weights="haar")
    with pytest.raises(ValueError, match=r"has mean 2, expected 1.*divide it by its mean"):
        Chain(3, "relu", weights=2 * rmt.MarchenkoPastur(1))
    with pytest.raises(ValueError, match=r"must live on \[0, oo\)"):
        Dense(weights=rmt.Semicircle(variance=1, mean=1))
    with pytest.raises(PreconditionError, match="width_ratio=2 with a law as weights"):
        Dense(weights=TWO_POINTS, width_ratio=2)
    for density in (0, -1, 1.5, math.nan):
        with pytest.raises(ValueError, match=r"density=.*> 0 and <= 1"):
            Sparse(density)
    with pytest.raises(NotImplementedError, match="outlier of weights with W Wᵀ of law Discrete"):
        theory.outlier(ResNet(3, "relu", weights=TWO_POINTS))


def test_symbols_in_a_law_of_weights():
    c = sp.Symbol("c", positive=True)
    derivation = theory.derive(Chain(2, "linear", weights=rmt.MarchenkoPastur(c)))
    assert sp.simplify(derivation.s_transform - (1 + c * sp.Symbol("m")) ** -2) == 0


def test_descriptions_and_kurtosis():
    assert describe_weights("uniform") == "uniform weights"
    sparse = Sparse(Fraction(1, 10))
    assert "sparse gaussian weights (density 1/10)" in theory.describe(Chain(2, "relu", weights=sparse))
    assert "of law Discrete" in theory.describe(Dense(weights=TWO_POINTS))
    assert sparse.kurtosis == 30
    assert weights_law("orthogonal") == rmt.Discrete({1: 1})
