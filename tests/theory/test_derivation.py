"""Derivations of networks: the universal law, its first correction, chains at finite depth, closed forms in q."""

import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from rmt import series
from rmt.results import PreconditionError
from rmt.symbolic import derive as derive_law
from theory.activation_formulas import activation_formulas, q
from theory.activations import ACTIVATION_NAMES, get_activation
from theory.derivation import derive
from theory.jacobian import jacobian_law
from theory.network import (
    Activation,
    Chain,
    Dense,
    Dropout,
    LayerNorm,
    OrthogonalFilterNet,
    Repeat,
    Residual,
    ResNet,
    Scale,
    Sequential,
)
from theory.resnet_derivation import block_expansion, c, v

G, z, m, w = sp.symbols("G z m w")
L = sp.Symbol("L", positive=True, integer=True)
p, sigma = sp.symbols("p sigma_w", positive=True)
a = sp.Symbol("a", positive=True)


def number(expression, value):
    """Numeric value of a closed form or Gaussian integral at q = value."""
    expression = expression.subs(q, value)
    reach = 12 * mp.sqrt(value)
    for integral in expression.atoms(sp.Integral):
        integrand = sp.lambdify(integral.variables[0], integral.function, "mpmath")
        expression = expression.subs(integral, sp.Float(mp.quad(integrand, [-reach, -1, 0, 1, reach])))
    return float(expression)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
@pytest.mark.parametrize("value", [0.3, 2.7])
def test_closed_forms_against_quadrature(name, value):
    function = get_activation(name)
    formulas = activation_formulas(function)
    assert number(formulas.mean, value) == pytest.approx(function.mean(value), rel=1e-8, abs=1e-12)
    assert number(formulas.second_moment, value) == pytest.approx(function.second_moment(value), rel=1e-8)
    for k in (1, 2, 3):
        assert number(formulas.moment(k), value) == pytest.approx(function.gain_moment(k, value), rel=1e-8)


@pytest.mark.parametrize("alpha", [0.25, 2.0])
@pytest.mark.parametrize("name", ["elu", "leaky_relu"])
def test_parameters_of_activations_reach_the_formulas(name, alpha):
    function = get_activation(name, alpha=alpha)
    assert number(activation_formulas(function).moment(2), 0.7) == pytest.approx(
        function.gain_moment(2, 0.7), rel=1e-10
    )


# --- residual networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_resnets_lead_to_the_universal_law(name, weights):
    derivation = derive(ResNet(depth=50, activation=name, sigma_w=1.3, weights=weights))
    assert derivation.equation == sp.Eq(G, (z * G - 1) * sp.exp(c * (1 - 2 * z * G)))
    assert [x.lhs for x in derivation.definitions] == [c, v, sp.Symbol("kappa_3", real=True)]
    gain, spread, _ = (number(x.rhs, 0.8) for x in derivation.definitions)
    function = get_activation(name)
    assert gain == pytest.approx(1.69 * function.gain(0.8), rel=1e-8)
    assert spread == pytest.approx(1.69**2 * (function.gain_moment(2, 0.8) - function.gain(0.8) ** 2), abs=1e-8)
    titles = [step.title for step in derivation.steps]
    assert (
        titles.index("Its Jacobian") < titles.index("Hermitisation of the block") < titles.index("Edges of the support")
    )
    assert ("Outlier" in titles) == (activation_formulas(get_activation(name)).mean != 0)


def test_resnet_in_symbols():
    derivation = derive(ResNet(depth=L, activation="relu", sigma_w=sigma, sigma_b=sp.Symbol("sigma_b"), skip=a))
    assert derivation.equation == sp.Eq(a ** (2 * L) * G, (z * G - 1) * sp.exp(c / a**2 * (1 - 2 * z * G)))
    assert derivation.definitions[0].rhs == sigma**2 / 2
    assert sp.simplify(derivation.mean - a ** (2 * L) * sp.exp(c / a**2)) == 0
    negative = derive(ResNet(depth=4, activation="relu", skip=sp.Rational(-1, 2)))
    assert negative.equation == derive(ResNet(depth=4, activation="relu", skip=sp.Rational(1, 2))).equation


def test_published_first_correction():
    """log S = -c(1+2m) + (1/L)[c²(1+6m+6m²)/2 - v m(1+m)(1+2m)] for skip 1 and Gaussian weights."""
    expansion = block_expansion(sp.Integer(1), "gaussian", 1 / L)
    published = -c * (1 + 2 * m) / L + (c**2 * (1 + 6 * m + 6 * m**2) / 2 - v * m * (1 + m) * (1 + 2 * m)) / L**2
    assert sp.expand(expansion - published) == 0
    (step,) = [s for s in derive(ResNet(depth=L, activation="relu")).steps if s.title.startswith("First correction")]
    assert sp.expand(step.formula.rhs.removeO() - L * published) == 0


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("skip", [1.0, 0.8])
def test_first_correction_against_the_exact_relu_block(weights, skip):
    """The exact block of a ReLU net is a cubic in m0; its S at large depth must have the expansion's three terms."""
    variance, point = mp.mpf("1.3"), mp.mpf("0.37") + 1j * mp.mpf("0.2")
    values = {c: variance / 2, v: variance**2 / 4, m: sp.Float("0.37") + sp.I * sp.Float("0.2")}

    def error(depth):
        s_branch = lambda y: depth / variance / (y + 0.5) * (1 if weights == "gaussian" else 1 + y)  # noqa: E731
        t = lambda y: y * (1 + y) * s_branch(y)  # noqa: E731
        start = variance / 2 / skip**2 * point * (1 + point) / depth
        m0 = mp.findroot(lambda y: (point - y) * (point - y + 1) - skip**2 * t(y), start)
        exact = mp.log(skip**2 * t(m0) / (point * (1 + point)))
        return abs(
            depth * (exact - complex(block_expansion(sp.Float(skip), weights, sp.Float(1 / depth)).subs(values)))
        )

    coarse, fine = error(200.0), error(2000.0)
    assert coarse < 2e-3
    assert fine == pytest.approx(coarse / 100, rel=0.05)  # what is left is O(1/L²)


def test_resnet_needs_a_skip():
    with pytest.raises(PreconditionError, match=r"skip=0.*use Chain"):
        derive(ResNet(depth=5, activation="tanh", skip=0))


# --- chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("linear", "gaussian", sigma ** (-2 * L) * (1 + m) ** -L),
        ("linear", "orthogonal", sigma ** (-2 * L)),
        ("relu", "gaussian", sigma ** (-2 * L) * (m + sp.Rational(1, 2)) ** -L),
        ("hard_tanh", "gaussian", sigma ** (-2 * L) * (m + p) ** -L),
        ("relu", "orthogonal", sigma ** (-2 * L) * ((1 + m) / (m + sp.Rational(1, 2))) ** L),
        ("hard_tanh", "orthogonal", sigma ** (-2 * L) * ((1 + m) / (m + p)) ** L),
    ],
)
def test_piecewise_linear_chains(name, weights, expected):
    derivation = derive(Chain(depth=L, activation=name, sigma_w=sigma, weights=weights))
    values = {L: 5, p: sp.Rational(2, 3), sigma: sp.Rational(4, 3)}
    assert sp.simplify((derivation.s_transform - expected).subs(values)) == 0
    inverse = ((1 + m) / (m * expected)).subs(values)
    # the equation is the transform: at z(m) with G = (1+m)/z both sides agree
    position = inverse.subs(m, sp.Rational(1, 7))
    sides = [
        side.subs(values).subs({z: position, G: sp.Rational(8, 7) / position}) for side in derivation.equation.args
    ]
    assert sp.simplify(sides[0] - sides[1]) == 0
    assert derivation.mean.subs(values) == 1 / expected.subs(m, 0).subs(values)
    if name == "hard_tanh":
        assert derivation.definitions == (sp.Eq(p, sp.erf(1 / sp.sqrt(2 * q))),)
    variance = {"gaussian": L / p, "orthogonal": L * (1 - p) / p}[weights]
    slope_mass = {"linear": 1, "relu": sp.Rational(1, 2), "hard_tanh": p}[name]
    critical = derivation.variance.subs(sigma, 1 / sp.sqrt(slope_mass))
    assert sp.simplify((critical - variance.subs(p, slope_mass)).subs(values)) == 0


def test_leaky_relu_chain_by_series():
    derivation = derive(Chain(depth=3, activation=Activation("leaky_relu", alpha=0.5), sigma_w=1, weights="orthogonal"))
    slopes = [(1 + sp.Rational(1, 4) ** k) / 2 for k in range(1, 7)]
    expected = series.s_series_to_moments(series.power(series.moments_to_s_series(slopes), 3))
    assert [float(x) for x in derivation.moments(6)] == pytest.approx([float(x) for x in expected])
    point = 0.01
    s = sum(float(x) * point**k for k, x in enumerate(series.power(series.moments_to_s_series(slopes), 3)))
    assert float(derivation.s_transform.subs(m, point)) == pytest.approx(s, rel=1e-10)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["erf", "sin", "tanh", "gelu"])
def test_smooth_chains(name, weights):
    derivation = derive(Chain(depth=4, activation=name, sigma_w=sigma, weights=weights))
    function = get_activation(name)
    slopes = [function.gain_moment(k, 0.6) for k in range(1, 7)]
    s = series.moments_to_s_series(slopes)
    if weights == "gaussian":
        s = series.multiply(s, [(-1) ** k for k in range(6)])
    expected = series.s_series_to_moments([x / 1.1**8 for x in series.power(s, 4)])
    names = {sp.Symbol(f"mu_{k}", positive=True): x for k, x in enumerate(slopes, 1)}
    values = {**names, sigma: 1.1, q: 0.6}
    assert [float(x.subs(values)) for x in derivation.moments(4)] == pytest.approx(expected[:4], rel=1e-9)
    (step,) = [x for x in derivation.steps if x.title == "Variance at criticality"]
    assert float(step.formula.rhs.subs(values)) == pytest.approx(expected[1] / expected[0] ** 2 - 1, rel=1e-9)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["erf", "tanh"])
def test_parametric_equation_of_smooth_chains(name, weights):
    """At a chosen w the constraint gives m, the equation gives z; the moments of the law must give the same G."""
    derivation = derive(Chain(depth=3, activation=name, sigma_w=sp.Rational(11, 10), weights=weights))
    (constraint,) = derivation.constraints
    psi = constraint.rhs.subs(q, sp.Rational(3, 5))
    if psi.has(sp.Integral):
        (integral,) = psi.atoms(sp.Integral)
        integrand = sp.lambdify((integral.variables[0], w), integral.function, "mpmath")
        psi_at = lambda x: mp.quad(lambda t: integrand(t, x), [-9, -1, 0, 1, 9])  # noqa: E731
    else:
        psi_at = sp.lambdify(w, psi, "mpmath")
    spectral = mp.mpf(400)
    moment = mp.re(psi_at(spectral))
    slopes = [get_activation(name).gain_moment(k, 0.6) for k in range(1, 13)]
    assert float(moment) == pytest.approx(sum(x / 400.0**k for k, x in enumerate(slopes, 1)), rel=1e-9)
    # with G = (1+m)/z the equation is one for z
    right = derivation.equation.rhs.subs({w: 400, G: (1 + sp.Float(moment, 15)) / z})
    assert float(right.subs(z, 3)) == pytest.approx(float(right.subs(z, 50)))
    position = (1 + float(moment)) / float(right.subs(z, 3))
    values = {sp.Symbol(f"mu_{k}", positive=True): x for k, x in enumerate(slopes, 1)} | {q: 0.6}
    cauchy = sum(
        float(sp.sympify(x).subs(values)) * position ** (-k - 1) for k, x in enumerate([1, *derivation.moments(4)])
    )
    assert (1 + float(moment)) / position == pytest.approx(cauchy, rel=1e-6)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_every_chain_derives_and_prints(name, weights):
    derivation = derive(Chain(depth=L, activation=name, sigma_w=sigma, sigma_b=sp.Symbol("sigma_b"), weights=weights))
    assert derivation.equation.has(G)
    latex = derivation.latex()
    assert latex.replace(r"\{", "").count("{") == latex.replace(r"\}", "").count("}")
    assert str(derivation).startswith("Chain(")
    assert derivation.to_markdown().count("$$") == 2 * sum(len(step.formulas) for step in derivation.steps)


def test_atoms_of_orthogonal_chains_are_stated():
    steps = {x.title: x for x in derive(Chain(depth=3, activation="hard_tanh", weights="orthogonal")).steps}
    assert steps["Atom at 0"].formula.rhs == 1 - p
    assert sp.simplify(steps["Atom at the top"].formula.rhs.subs(p, sp.Rational(9, 10))) == sp.Rational(7, 10)
    assert "Atom at the top" not in {x.title for x in derive(Chain(depth=3, activation="hard_tanh")).steps}


def test_chains_with_a_double_scaling_limit_derive_it():
    titles = {
        name: [step.title for step in derive(Chain(9, name, weights="orthogonal")).steps]
        for name in ("hard_tanh", "tanh", "relu")
    }
    assert "The Bernoulli class" in titles["hard_tanh"]
    assert "The smooth class" in titles["tanh"]
    assert all("Corrections of log S" in titles[name] for name in ("hard_tanh", "tanh"))
    assert "Double scaling" not in titles["relu"]
    gaussian = derive(Chain(9, "tanh"))
    assert "Double scaling" not in [step.title for step in gaussian.steps]


def test_linear_gaussian_chain_is_fuss_catalan():
    from rmt.laws.fuss_catalan import FussCatalan

    chain, law = derive(Chain(depth=6, activation="linear")), derive_law(FussCatalan(order=6))
    assert chain.moments(6) == law.moments(6)
    assert chain.edges == law.edges


# --- surface ---------------------------------------------------------------------------------------------------------


def agrees(net, q0=1.0, **parameters):
    """The density of the formula is that of the law, at points on both sides of the mean."""
    derivation, law = derive(net, exact=True), jacobian_law(net, q0=q0)
    mean, second = (float(x) for x in law.moments(2))
    points = mean + np.sqrt(second - mean**2) * np.array([-0.4, 0.3, 1.2])
    expected = -np.asarray(law.cauchy(points.astype(complex))).imag / np.pi
    assert derivation.lambdify()(points, **parameters) == pytest.approx(expected, rel=1e-10)
    assert float(derivation.mean) == pytest.approx(mean)
    assert float(derivation.criticality.lhs) == pytest.approx(mean)
    return derivation


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_resnets_at_their_own_depth(weights):
    derivation = agrees(ResNet(depth=20, activation="leaky_relu", sigma_w=1.2, skip=0.9, weights=weights))
    assert [step.title for step in derivation.steps].count("Residual sum") == 1  # depth is a power
    assert isinstance(derivation.edges[0], sp.Eq)


def test_a_symbolic_block_at_finite_depth():
    derivation = derive(ResNet(depth=L, activation="relu", sigma_w=sigma, skip=a), exact=True)
    assert derivation.parameters == (L, a, sigma)
    assert len(derivation.unknowns) == 1
    assert sp.simplify(derivation.mean - (a**2 + sigma**2 / (2 * L)) ** L) == 0
    # one block of unit skip, p = 1/2: m_2 by the gated-layer formula of the second moment
    one = {L: 1, a: 1, sigma: sp.sqrt(sp.Rational(7, 10))}
    d, s = sp.Rational(1, 2), sp.Rational(7, 10)
    assert sp.simplify(derivation.moments(2)[1].subs(one) - (1 + 2 * s * (d + d) + s**2 * (d**2 + d))) == 0


def test_any_composition_is_derived():
    branch = Residual([Dense(0.5), Activation("relu"), Dense(0.7, weights="orthogonal")], skip=1.0)
    agrees(Sequential([Dense(1.2, weights="orthogonal"), Activation("leaky_relu", alpha=0.3), Repeat(branch, 4)]))
    nested = Residual([Dense(0.9), Residual([Dense(0.8), Activation("leaky_relu", alpha=0.5)], skip=0.5)], skip=1.1)
    assert len(agrees(nested).unknowns) == 3  # two residual sums, and the slopes of one activation


def test_smooth_activations_have_their_own_unknowns():
    layers = [Dense(1.2), Activation("tanh"), Repeat(Residual([Dense(0.5), Activation("gelu")], skip=1), L)]
    derivation = derive(Sequential(layers))
    assert [str(unknown) for unknown in derivation.unknowns] == ["w_1", "m_0", "w_2"]
    names = {str(x.lhs): x.rhs for x in derivation.definitions}
    assert {"mu_1_1", "mu_1_2"} <= set(names)
    values = {"mu_1_1": 0.8, "mu_1_2": 0.5, "L": 3}
    mean = derivation.mean.subs({symbol: values[str(symbol)] for symbol in derivation.mean.free_symbols})
    assert float(mean) == pytest.approx(1.44 * 0.8 * 1.125**3)
    with pytest.raises(NotImplementedError, match="ask the law"):
        derivation.lambdify()


def test_filters_scales_and_dropout():
    filters = OrthogonalFilterNet(10, "leaky_relu", filter_gain=0.9, branch_gain=0.4, sigma_w=1.1)
    assert len(agrees(filters).unknowns) == 2
    agrees(Sequential([Dense(1.2), Activation("leaky_relu", alpha=0.5), Dropout(0.2), Dense(0.7), Scale(0.5)]))
    with pytest.raises(NotImplementedError, match="commute and are not free"):
        derive(Sequential([Repeat([Dense(), Activation("relu")], 2), Dropout(0.1)]))
    rate = sp.Symbol("r", positive=True)
    smooth = derive(Sequential([Dense(1), Activation("tanh"), Dropout(rate), LayerNorm()]))
    names = {str(s): s for s in smooth.mean.free_symbols}
    assert sp.simplify(smooth.mean - names["mu_1"] / (1 - rate) / names["v_1"]) == 0


def test_chains_by_either_way_are_one():
    chain = Chain(depth=3, activation="hard_tanh", sigma_w=sigma)
    layers = Repeat([Dense(sigma), Activation("hard_tanh")], 3)
    assert sp.simplify(derive(layers).s_transform - derive(chain).s_transform) == 0


def test_networks_without_a_formula_are_refused_with_the_next_step():
    ratio = sp.Symbol("r", positive=True)
    with pytest.raises(NotImplementedError, match=r"width_ratio=r of orthogonal weights.*give a number"):
        derive(Sequential([Dense(weights="orthogonal", width_ratio=ratio), Activation("tanh")]))
    with pytest.raises(PreconditionError, match="point mass at 0"):
        derive(Sequential([Dense(sigma_w=0), Activation("tanh")]))


def test_module_loads_without_sympy():
    code = "import sys, theory.derivation; print('sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
