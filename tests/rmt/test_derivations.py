"""Every law has a derivation, and its formula's own numbers are those of the law's engine."""

import ctypes
import importlib
import inspect
import pkgutil
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
import rmt.algebra
import rmt.laws
from rmt.law import Law
from rmt.results import ConvergenceError, PreconditionError
from rmt.series import moments_to_s_series
from rmt.symbolic import derive
from rmt.symbolic.dispatch import derive as registry
from rmt.symbolic.special import Faddeeva

HALF = Fraction(1, 2)
G, z, m, g, S, R, eta, w = sp.symbols("G z m g S R eta w")
c, p = sp.symbols("c p", positive=True)
x, y = sp.symbols("x y", commutative=False)
MP = rmt.MarchenkoPastur(HALF)
GATES = rmt.Discrete({0: 0.25, 1: 0.35, 3: 0.4})

LAWS = {
    "semicircle": rmt.Semicircle(variance=Fraction(7, 10), mean=Fraction(3, 10)),
    "marchenko-pastur": rmt.MarchenkoPastur(ratio=Fraction(2, 5)),
    "marchenko-pastur, atom": rmt.MarchenkoPastur(ratio=2.5),
    "fuss-catalan": rmt.FussCatalan(3),
    "fuss-catalan, real": rmt.FussCatalan(2.5),
    "fuss-catalan, deep": rmt.FussCatalan(50),
    "universal": rmt.UniversalResNet(c=0.6, skip=0.9, depth=7),
    "brownian": rmt.FreeMultiplicativeBrownian(Fraction(3, 2)),
    "multiplicative_poisson": rmt.FreeMultiplicativePoisson(Fraction(3, 2)),
    "uniform": rmt.Uniform(-1, 2),
    "arcsine": rmt.Arcsine(0, 3),
    "kesten-mckay": rmt.KestenMcKay(3),
    "cauchy": rmt.Cauchy(1, 2),
    "gaussian": rmt.Gaussian(2, 1),
    "stable": rmt.FreeStable(Fraction(3, 2), HALF),
    "stable, one-sided": rmt.FreeStable(HALF, 1, 2, 1),
    "jacobi": rmt.FreeJacobi(Fraction(1, 3), HALF),
    "free poisson": rmt.FreePoisson(2, rmt.Discrete({1: HALF, 3: HALF})),
    "free poisson of a law": rmt.FreePoisson(2, rmt.Uniform(1, 2)),
    "empirical": rmt.Empirical([1, 2, 2, 5], smoothing=0.5),
    "implicit S, Lambert": rmt.ImplicitLaw(s=sp.exp(-m / 2 / (1 + m))),
    "implicit R, cubic": rmt.ImplicitLaw(r=1 / (1 - m) + m),
    "affine": -2 * rmt.MarchenkoPastur(0.4) + 1,
    "sum, cubic": rmt.Semicircle() + MP,
    "sum of R": rmt.Semicircle() + rmt.Uniform(0, 1) + rmt.Arcsine(-1, 1),
    "sum of two without R": rmt.Gaussian(1) + rmt.Arcsine(0, 1),
    "sum, heavy": rmt.Cauchy(0, 1) + rmt.Discrete({-1: HALF, 1: HALF}),
    "sum power": GATES.free_sum_power(1.7),
    "compression": rmt.Arcsine(0, 1).compress(0.5),
    "product of two without S": rmt.Uniform(1, 2) @ rmt.Uniform(1, 3) @ MP,
    "product, centred factor": rmt.Semicircle(1.0) @ rmt.Uniform(1, 2),
    "product, signed": rmt.Semicircle(0.7, 0.3) @ rmt.MarchenkoPastur(0.4),
    "power": rmt.Uniform(1, 2).free_power(2.5),
    "power, deep": MP.free_power(30),
    "square": rmt.Uniform(-1, 2).square(),
    "square, symmetric": rmt.Gaussian(1).square(),
    "symmetrised": rmt.MarchenkoPastur(0.4).symmetrized(),
    "symmetrised root": rmt.MarchenkoPastur(0.4).sqrt().symmetrized(),
    "residual": rmt.ResidualSum(rmt.Uniform(0, 1), 0.8),
    "residual, nested": rmt.ResidualSum(rmt.ResidualSum(rmt.MarchenkoPastur(0.4), 0.8) @ GATES, 1.2),
    "rectangular": rmt.RectangularSum((rmt.Uniform(0, 1), 0.5 * MP), 0.5),
    "mixture": rmt.Mixture({rmt.FussCatalan(2): HALF, rmt.MarchenkoPastur(0.3) + rmt.Semicircle(): HALF}),
    "inverse": MP.inverse(),
    "inverse by its equation": rmt.Uniform(1, 2).inverse(),
    "image": rmt.PolynomialImage((0, 1, 0, 1), rmt.Semicircle(1, HALF)),
    "image, quadratic": rmt.PolynomialImage((1, 1, -2), rmt.MarchenkoPastur(0.4)),
    "gated": rmt.GatedLayer({(0.5, 1): 0.5, (1, 0.3): 0.5}, 0.7),
    "anticommutator": rmt.polynomial_law(x * y + y * x, {x: rmt.Semicircle(), y: rmt.MarchenkoPastur(1)}),
    "commutator": rmt.polynomial_law(sp.I * (x * y - y * x) + x, {x: rmt.Semicircle(), y: rmt.Semicircle(2)}),
}
LEVELS = (-0.61, -0.22, 0.37, 1.13)
UPPER = np.array([0.3 + 0.4j, -1 + 2j])


def places(law):
    """Points across the law: at these numbers of standard deviations from the mean, where it has moments."""
    try:
        mean, second = (float(v) for v in law.moments(2))
    except PreconditionError:
        mean, second = 1.3, 3.3
    return mean + np.sqrt(second - mean**2) * np.array(LEVELS)


def density(law, points):
    """The density by the engine on the axis itself, which needs no support."""
    return -np.asarray(law.cauchy(points.astype(complex))).imag / np.pi


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_formula_and_the_law_have_the_same_curve(law):
    derivation = derive(law)
    points = places(law)
    expected = density(law, points)
    found = derivation.lambdify()(points)
    assert found == pytest.approx(expected, rel=0, abs=1e-10 * np.max(expected))
    cauchy = np.asarray(law.cauchy(UPPER))
    assert derivation.lambdify("cauchy")(UPPER) == pytest.approx(cauchy, rel=1e-11)
    if not derivation.unknowns:  # the equation that is shown, whatever was used for the numbers
        values = {G: cauchy[0], z: UPPER[0]}
        left, right = (complex(side.subs(values).evalf()) for side in derivation.equation.args)
        terms = [abs(complex(term.subs(values).evalf())) for term in derivation.equation.lhs.args or [G]]
        assert abs(left - right) < 1e-10 * max(*terms, abs(right), abs(left))


@pytest.mark.parametrize("name", ["sum of two without R", "residual, nested", "gated", "sum, cubic", "inverse"])
def test_the_root_is_found_without_the_closed_form(name):
    """The continuation agrees, whatever closed forms there are, and a wrong parameter is seen."""
    law = LAWS[name]
    derivation = derive(law)
    points = places(law).astype(complex)
    found = -derivation.system.cauchy(points, {}, 3.0).imag / np.pi
    assert found == pytest.approx(density(law, points.real), rel=1e-10)
    assert not np.allclose(found, density(law * 1.001, points.real), rtol=1e-5)


def test_every_law_has_a_rule():
    found = set()
    for package in (rmt.laws, rmt.algebra):
        for info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            found |= {k for k in vars(module).values() if inspect.isclass(k) and issubclass(k, Law) and k is not Law}
    assert len(found) > 30
    assert [kind.__name__ for kind in found if registry.dispatch(kind) is registry.dispatch(object)] == []


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (MP.sqrt(), "is no function of that of x"),
        (rmt.ImplicitLaw(s=lambda t: 1 / (1 + t)), "Python function is no formula"),
        (rmt.GUE(5), "derivation in closed form"),
    ],
)
def test_what_has_no_derivation_says_why(law, message):
    with pytest.raises(NotImplementedError, match=message):
        derive(law)


def test_discrete_laws_have_formulas_without_a_density():
    derivation = derive(rmt.Empirical([3, 1, 1, 2]))
    assert derivation.moments(2) == [sp.Rational(7, 4), sp.Rational(15, 4)]
    assert derivation.lambdify("cauchy")(1j) == pytest.approx(0.5 / (1j - 1) + 0.25 / (1j - 2) + 0.25 / (1j - 3))
    assert np.all(derivation.lambdify()([0.5, 1.5]) == 0)
    many = derive(rmt.Empirical(range(100)))
    assert many.equation.has(sp.Sum)
    assert many.mean == sp.Rational(99, 2)
    with pytest.raises(NotImplementedError, match="no numpy function"):
        many.lambdify()


# --- symbolic parameters ---------------------------------------------------------------------------------------------

a, b, t = sp.symbols("a b t", positive=True)
SYMBOLIC = {
    "uniform": (rmt.Uniform(-a, b), rmt.Uniform(-2, 1), {a: 2, b: 1}),
    "arcsine": (rmt.Arcsine(-a, b), rmt.Arcsine(-2, 1), {a: 2, b: 1}),
    "kesten-mckay": (rmt.KestenMcKay(a), rmt.KestenMcKay(5), {a: 5}),
    "cauchy": (rmt.Cauchy(a, b), rmt.Cauchy(2, 1), {a: 2, b: 1}),
    "gaussian": (rmt.Gaussian(a, b), rmt.Gaussian(2, 1), {a: 2, b: 1}),
    "jacobi": (rmt.FreeJacobi(a, b), rmt.FreeJacobi(Fraction(1, 3), HALF), {a: Fraction(1, 3), b: HALF}),
    "brownian": (rmt.FreeMultiplicativeBrownian(t), rmt.FreeMultiplicativeBrownian(1), {t: 1}),
    "free poisson": (rmt.FreePoisson(a, b), rmt.FreePoisson(2, 3), {a: 2, b: 3}),
    "compressed coin": (
        rmt.Discrete({0: HALF, 1: HALF}).compress(c),
        rmt.Discrete({0: HALF, 1: HALF}).compress(Fraction(2, 3)),
        {c: Fraction(2, 3)},
    ),
    "sum power": (rmt.Uniform(0, 1).free_sum_power(t), rmt.Uniform(0, 1).free_sum_power(2.5), {t: 2.5}),
    "power": (MP.free_power(t), MP.free_power(2.5), {t: 2.5}),
    "mixture": (
        rmt.Mixture({rmt.Semicircle(): p, rmt.Uniform(0, 3): 1 - p}),
        rmt.Mixture({rmt.Semicircle(): HALF, rmt.Uniform(0, 3): HALF}),
        {p: HALF},
    ),
    "residual": (rmt.ResidualSum(rmt.MarchenkoPastur(c), a), rmt.ResidualSum(MP, 2), {c: HALF, a: 2}),
}


@pytest.mark.parametrize(("symbolic", "numeric", "values"), SYMBOLIC.values(), ids=SYMBOLIC.keys())
def test_symbols_and_numbers_agree(symbolic, numeric, values):
    derivation = derive(symbolic)
    assert set(derivation.parameters) == set(values)
    keywords = {str(symbol): float(value) for symbol, value in values.items()}
    points = places(numeric)
    expected = density(numeric, points)
    assert derivation.lambdify()(points, **keywords) == pytest.approx(expected, rel=1e-10)
    assert isinstance(derivation.lambdify()(points[-1], **keywords), float)
    with pytest.raises(TypeError, match="expected the keywords"):
        derivation.lambdify()(points, wrong=1)
    put = {symbol: sp.nsimplify(value) for symbol, value in values.items()}
    if "cauchy" not in repr(symbolic).lower():
        moments = [float(v.subs(put)) for v in derivation.moments(2)]
        assert moments == pytest.approx([float(v) for v in numeric.moments(2)])
        assert derivation.criticality == sp.Eq(derivation.mean, 1)


# --- forms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["semicircle", "sum, cubic", "jacobi", "fuss-catalan", "kesten-mckay"])
def test_every_form_of_the_equation_holds(name):
    law = LAWS[name]
    derivation = derive(law)
    point = 0.4 + 0.9j
    cauchy = complex(law.cauchy(point))
    moment = point * cauchy - 1
    forms = {
        derivation.equation: {G: cauchy, z: point},
        derivation.equation_in_m: {m: moment, z: point},
        derivation.s_equation: {S: (1 + moment) / (moment * point), m: moment},
        derivation.r_equation: {R: point - 1 / cauchy, g: cauchy},
        derivation.eta_equation: {eta: moment / (1 + moment), w: 1 / point},
    }
    for equation, values in forms.items():
        left, right = (complex(sp.N(side.subs(values))) for side in equation.args)
        size = max(abs(complex(sp.N(term.subs(values)))) for term in sp.Add.make_args(sp.expand(equation.lhs)))
        assert abs(left - right) < 1e-11 * size
        off = {symbol: value * (1 + 1e-4) for symbol, value in values.items()}
        assert abs(complex(sp.N((equation.lhs - equation.rhs).subs(off)))) > 1e-8 * size


@pytest.mark.parametrize("name", ["semicircle", "marchenko-pastur", "jacobi", "arcsine", "kesten-mckay", "uniform"])
def test_transforms_have_the_series_of_the_moments(name):
    law = LAWS[name]
    derivation = derive(law)
    small = 1e-3
    cumulants = law.free_cumulants(6)
    series = sum(float(k) * small**n for n, k in enumerate(cumulants))
    assert float(derivation.r_transform.subs(g, sp.Rational(1, 1000)).evalf(30)) == pytest.approx(series, rel=1e-13)
    if derivation.s_transform is not None:
        s = float(sp.N(derivation.s_transform.subs(m, sp.Rational(1, 1000)), 30))
        coefficients = moments_to_s_series([float(v) for v in law.moments(6)])
        assert s == pytest.approx(sum(v * small**n for n, v in enumerate(coefficients)), rel=1e-10)
        assert sp.simplify(derivation.t_transform * derivation.s_transform) == 1
    value = complex(derivation.eta_transform.subs(w, 0.05 - 0.1j))
    cauchy = complex(law.cauchy(1 / (0.05 - 0.1j)))
    assert value == pytest.approx(1 - (0.05 - 0.1j) / cauchy, rel=1e-9)


def test_bernoulli_class_by_lamberts_function():
    """S = exp(-s m/(1+m)) is the double-scaling limit of Bernoulli gates: atom 1 - s at exp(s)."""
    derivation = derive(rmt.ImplicitLaw(s=sp.exp(-m / 2 / (1 + m))))
    assert derivation.solution.has(sp.LambertW)
    point = sp.Rational(7, 5) + sp.I
    value = complex(derivation.solution.subs(z, point))
    left, right = (complex(side.subs({z: point, G: value})) for side in derivation.equation.args)
    assert left == pytest.approx(right)
    # the chain of L gates 1 - s/L at unit mean approaches it
    deep = rmt.Discrete({0: 0.5 / 4000, 1 / (1 - 0.5 / 4000): 1 - 0.5 / 4000}).free_power(4000)
    assert complex(deep.cauchy(1.4 + 1j)) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("name", ["universal", "brownian", "fuss-catalan", "fuss-catalan, real", "stable"])
def test_parametric_densities(name):
    law = LAWS[name]
    pieces = derive(law).density
    for piece in pieces:
        upper = piece.upper
        if isinstance(upper, sp.Eq):  # an end that solves an equation
            function = sp.lambdify(piece.parameter, upper.lhs)
            from scipy.optimize import brentq

            upper = brentq(function, 1e-6, float(np.pi / 2 / _rate(upper)) * 0.999999)
        at = np.array([0.2, 0.5, 0.8]) * float(upper)
        position, value = (sp.lambdify(piece.parameter, e)(at) for e in (piece.position, piece.value))
        assert value == pytest.approx(law.pdf(position), rel=1e-9)


def _rate(end):
    """The k of cot(2 k t)."""
    (cot,) = end.atoms(sp.cot)
    return sp.diff(cot.args[0], *cot.free_symbols) / 2


def test_quadratic_and_cubic_branches():
    coins = derive(rmt.Discrete({0: HALF, 1: HALF}) + rmt.Discrete({-1: HALF, 2: HALF}))
    assert coins.solution is not None  # a quartic discriminant with four real zeros
    law = rmt.Discrete({0: HALF, 1: HALF}) + rmt.Discrete({-1: HALF, 2: HALF})
    assert coins.lambdify()(places(law)) == pytest.approx(density(law, places(law)), abs=1e-10)
    cubic = derive(LAWS["sum, cubic"])
    ((piece,), edges) = cubic.density, LAWS["sum, cubic"].support().edges
    assert [float(piece.lower), float(piece.upper)] == pytest.approx([float(e.position) for e in edges], rel=1e-9)


def test_faddeeva_is_plain_sympy():
    t = sp.Symbol("t")
    assert sp.diff(Faddeeva(t), t) == 2 * sp.I / sp.sqrt(sp.pi) - 2 * t * Faddeeva(t)
    at = sp.Rational(1, 3) + sp.I / 2
    assert complex(Faddeeva(at).evalf()) == pytest.approx(complex((sp.exp(-(at**2)) * sp.erfc(-sp.I * at)).evalf()))


# --- steps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAWS)
def test_steps_are_readable(name):
    derivation = derive(LAWS[name])
    assert all(step.title and step.reason and step.source and step.formulas for step in derivation.steps)
    # what is not a starting point says what it starts from
    assert all(step.premises for step in derivation.steps if step.title in ("Critical points", "Subordination"))
    latex, markdown = derivation.latex(), derivation.to_markdown()
    assert latex.count(r"\[") == latex.count(r"\]") == markdown.count("$$") // 2
    assert derivation._repr_markdown_() == markdown
    assert derivation._repr_latex_().startswith("$")


def test_before_and_after():
    steps = {step.title: step for step in derive(2 * MP.free_power(3)).steps}
    assert steps["Free power"].before == sp.Eq(sp.Function("S")(m), 1 / (1 + m / 2))
    assert "From $S{\\left(m \\right)} = \\frac{1}{\\frac{m}{2} + 1}$:" in derive(2 * MP.free_power(3)).to_markdown()


# --- code ------------------------------------------------------------------------------------------------------------

WRAPPER = """
void residual_(const double *u, const double *z, const double *p, double *f, double *j) {
    law_residual((const double complex *)u, z[0] + z[1]*I, p, (double complex *)f, (double complex *)j);
}
void cauchy_(const double *u, const double *z, const double *p, double *g) {
    *(double complex *)g = law_cauchy((const double complex *)u, z[0] + z[1]*I, p);
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    ("law", "keywords"),
    [
        (rmt.MarchenkoPastur(c), {"c": 0.4}),
        (rmt.Semicircle() + MP, {}),
        (rmt.Arcsine(0, 1).compress(0.5), {}),
        (rmt.ResidualSum(rmt.MarchenkoPastur(c), 1), {"c": 0.4}),
        (rmt.UniversalResNet(c=c), {"c": 0.6}),
        (rmt.Semicircle() + rmt.Uniform(0, 1) + rmt.Arcsine(-1, 1), {}),
    ],
    ids=lambda value: "" if isinstance(value, dict) else repr(value)[:30],
)
def test_c_source(law, keywords, tmp_path):
    derivation = derive(law)
    source = derivation.to_c()
    (tmp_path / "law.c").write_text(source + WRAPPER)
    subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Werror", "-shared", "-fPIC", "law.c", "-o", "law.so", "-lm"],
        cwd=tmp_path,
        check=True,
    )
    library = ctypes.CDLL(str(tmp_path / "law.so"))
    arrays = np.array([keywords[str(s)] for s in derivation.parameters] or [0.0])
    numeric = law if not keywords else _numeric(law)
    if "law_density" in source:
        library.law_density.restype = ctypes.c_double
        for point in places(numeric):
            value = library.law_density(ctypes.c_double(point), arrays.ctypes.data_as(ctypes.c_void_p))
            assert value == pytest.approx(density(numeric, np.array([point]))[0], rel=1e-10, abs=1e-12)
    # the solution makes the residual vanish, and the Jacobian is the derivative
    system = derivation.system
    n = len(system.unknowns)
    point = np.array([0.7 + 0.5j])
    values = dict(zip(derivation.parameters, arrays, strict=False))
    cauchy = system.cauchy(point, values, 2.0)[0]
    unknowns = _unknowns(derivation, cauchy, point[0], values)

    def residual(u):
        f, jacobian = np.empty(n, dtype=complex), np.empty(n * n, dtype=complex)
        library.residual_(*(v.ctypes.data_as(ctypes.c_void_p) for v in (u, point, arrays, f, jacobian)))
        return f, jacobian.reshape(n, n)

    value, slope = residual(unknowns)
    assert np.max(np.abs(value)) < 1e-9
    step = np.zeros(n, dtype=complex)
    step[0] = 1e-6
    assert (residual(unknowns + step)[0] - residual(unknowns - step)[0]) / 2e-6 == pytest.approx(slope[:, 0], rel=1e-5)
    out = np.empty(1, dtype=complex)
    library.cauchy_(*(v.ctypes.data_as(ctypes.c_void_p) for v in (unknowns, point, arrays, out)))
    assert out[0] == pytest.approx(cauchy)


def _numeric(law):
    if isinstance(law, rmt.ResidualSum):
        return replace(law, branch=rmt.MarchenkoPastur(0.4))
    return rmt.MarchenkoPastur(0.4) if isinstance(law, rmt.MarchenkoPastur) else rmt.UniversalResNet(c=0.6)


def _unknowns(derivation, cauchy, point, values):
    """The unknowns of the system at a solution, the auxiliary one as the root of its constraint next to its start."""
    system = derivation.system
    lead = cauchy if system.unknowns[0] == derivation.G else point * cauchy - 1
    found = [lead]
    if len(system.unknowns) == 2:
        put = {system.unknowns[0]: lead, z: point, **values}
        relation = system.residuals[1].subs(put)
        roots = sp.Poly(sp.numer(sp.together(relation)), system.unknowns[1]).nroots()
        first = sp.lambdify(system.unknowns[1], system.residuals[0].subs(put))
        found.append(min((complex(root) for root in roots), key=lambda root: abs(first(root))))
    return np.array(found, dtype=complex)


def test_code_refuses_what_it_cannot_do():
    with pytest.raises(NotImplementedError, match="C99 has no complex function"):
        derive(rmt.Gaussian(1)).to_c()
    with pytest.raises(ValueError, match="expected a C identifier"):
        derive(MP).to_c("a b")
    with pytest.raises(ValueError, match="expected 'density' or 'cauchy'"):
        derive(MP).lambdify("pdf")
    with pytest.raises(ValueError, match="Im z >= 0"):
        derive(MP).lambdify("cauchy")(-1j)
    with pytest.raises(ConvergenceError, match="the root was lost"):
        derive(rmt.FussCatalan(3)).lambdify()(float("inf"))
    with pytest.raises(PreconditionError, match="none exists"):
        derive(rmt.Cauchy()).moments(1)


def test_edges_of_mixtures():
    half, mp = sp.Rational(1, 2), rmt.MarchenkoPastur(sp.Rational(1, 2))
    overlapping = rmt.Mixture([(mp, half), (rmt.Semicircle(), half)])
    assert derive(overlapping).edges == (-2, (1 + sp.sqrt(2) / 2) ** 2)
    apart = rmt.Mixture([(mp, half), (rmt.Semicircle(half, 10), half)])
    numeric = [float(edge.position) for edge in apart.support().edges]
    assert [float(edge) for edge in derive(apart).edges] == pytest.approx(numeric, rel=1e-14)
    # symbols leave the order open, and supports that touch need not have an edge there
    assert derive(rmt.Mixture([(rmt.MarchenkoPastur(sp.Symbol("c", positive=True)), half), (mp, half)])).edges == ()
    assert derive(rmt.Uniform(0, 1).symmetrized()).edges == ()
