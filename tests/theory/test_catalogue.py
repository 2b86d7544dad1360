"""Every published result holds, is derived, and would be found out if one of its numbers were wrong."""

import subprocess
import sys
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt.law import Law
from rmt.references import cite
from rmt.symbolic.derivation import G, z
from theory import catalogue
from theory.catalogue.published import Entry, eq
from theory.network import Layer

ENTRIES = {entry.key: entry for entry in catalogue.entries()}

# --- the entries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ENTRIES)
def test_the_result_holds(key):
    agreements = ENTRIES[key].check()
    assert agreements
    assert [a for a in agreements if not a.passed] == []


@pytest.mark.parametrize("key", ENTRIES)
def test_what_an_entry_says_about_itself(key):
    entry = ENTRIES[key]
    assert all(entry.hypotheses)
    assert entry.title
    assert entry.witnessed_by
    assert entry.source
    for reference, place in entry.source:
        if reference:
            assert f"{{{reference}," in cite(reference)
        else:
            assert place == "derived here"


@pytest.mark.parametrize("key", ENTRIES)
def test_the_derivation_prints_and_ends_with_the_statement(key):
    entry = ENTRIES[key]
    derivation = entry.derivation()
    assert len(derivation.steps) > 1
    assert derivation.steps[-1].formula == entry.relations
    assert derivation.subject == entry.title
    latex = derivation.latex()
    for text in (latex, entry.title, *entry.hypotheses):
        plain = text.replace(r"\{", "").replace(r"\}", "")
        assert plain.count("{") == plain.count("}")
        assert text.count("$") % 2 == 0
    for relation in entry.relations:
        assert rf"\[ {sp.latex(relation)} \]" in latex
    assert derivation.to_markdown().count("$$") == 2 * sum(len(step.formulas) for step in derivation.steps)
    assert str(derivation).startswith(entry.title)


@pytest.mark.parametrize("key", ENTRIES)
def test_the_steps_hold_where_the_witnesses_name_their_symbols(key):
    entry = ENTRIES[key]
    for step in entry.derivation().steps:
        if step.title.startswith(("Critical", "Branch")):
            continue  # equations of special points, not of every point
        for relation in step.formulas:
            if isinstance(relation, sp.Eq) and not relation.atoms(sp.Order, sp.core.function.AppliedUndef):
                assert [a for a in entry.judge(relation) if not a.passed] == []


# --- a wrong number is found ------------------------------------------------------------------------------------------


def numbers(expression, path=()):
    """Paths to the numbers of an expression; limits of sums and conditions are left alone."""
    if isinstance(expression, sp.Number):
        yield path
    elif isinstance(expression, sp.Sum):
        yield from numbers(expression.function, (*path, 0))
    elif isinstance(expression, sp.Piecewise):
        for index, piece in enumerate(expression.args):
            yield from numbers(piece.args[0], (*path, index, 0))
    else:
        for index, argument in enumerate(expression.args):
            yield from numbers(argument, (*path, index))


def changed(expression, path, amount):
    """The expression with another number at the end of the path."""
    if not path:
        return expression + amount
    arguments = list(expression.args)
    arguments[path[0]] = changed(arguments[path[0]], path[1:], amount)
    return (
        expression.func(*arguments, evaluate=False) if isinstance(expression, sp.Rel) else expression.func(*arguments)
    )


def survives(entry, relation):
    """Whether the check of a relation passes; a relation that cannot be evaluated does not."""
    try:
        return all(agreement.passed for agreement in entry.judge(relation))
    except (TypeError, ValueError, ZeroDivisionError, NotImplementedError):
        return False


@pytest.mark.parametrize("key", ENTRIES)
def test_a_wrong_number_is_found(key):
    entry = ENTRIES[key]
    for relation in entry.statement:
        if not isinstance(relation, sp.Eq):
            continue  # a bound may hold with room to spare; see test_bounds_are_sharp
        for path in numbers(relation):
            # integer orders of special functions round a small change away
            assert not all(survives(entry, changed(relation, path, amount)) for amount in (sp.Rational(1, 50), 1)), (
                relation,
                path,
            )


@pytest.mark.parametrize("key", [key for key, entry in ENTRIES.items() if entry.quoted])
def test_published_decimals_hold_to_their_last_digit(key):
    entry = ENTRIES[key]
    for symbol, text in entry.quoted.items():
        assert survives(entry, eq(symbol, sp.Float(text)))
        unit = sp.Float(f"1e-{len(text.partition('.')[2])}")
        for wrong in (sp.Float(text) + 2 * unit, sp.Float(text) - 2 * unit):
            assert not survives(entry, eq(symbol, wrong))


@pytest.mark.parametrize("key", ["additive-filter-bounds", "relu-resnet-outlier"])
def test_bounds_are_sharp(key):
    entry = ENTRIES[key]
    bounds = [relation for relation in entry.statement if not isinstance(relation, sp.Eq)]
    assert bounds
    for relation in bounds:
        tighter = relation.func(
            relation.lhs, relation.rhs * sp.Rational(99 if isinstance(relation, sp.Le) else 101, 100)
        )
        assert survives(entry, relation)
        assert not survives(entry, tighter)


def test_a_statement_without_witness_is_an_error():
    entry = Entry("k", "t", (eq(sp.Symbol("a"), 1),), ("h",), (("", "derived here"),), lambda: [{}], "nothing")
    with pytest.raises(ValueError, match="k: no witness names all symbols of Eq"):
        entry.check()


# --- laws -------------------------------------------------------------------------------------------------------------


def far_out(derivation, relations, unknowns, point):
    """The unknowns outside the support: m = zG - 1 by its moments, another one as the root that fits best."""
    moment = complex(sum(sp.N(mu) * point**-k for k, mu in enumerate(derivation.moments(14), 1)))
    if len(unknowns) == 1:
        return np.array([moment])
    main, other = (relation.subs({z: point, unknowns[0]: moment}) for relation in relations)
    roots = np.roots(
        [complex(c) for c in sp.Poly(sp.numer(sp.together(other.lhs - other.rhs)), unknowns[1]).all_coeffs()]
    )
    fits = [abs(complex(sp.log(main.lhs / main.rhs).subs(unknowns[1], root))) for root in roots]
    return np.array([moment, roots[np.argmin(fits)]])


def branch_from_infinity(derivation, points, scale):
    """G of the derived equation, continued from outside the support to each real point.

    The unknowns are m = zG - 1 and that of the constraint, if there is one: Newton steps with exact derivatives from a
    geometric extrapolation along heights that shrink by a constant factor.
    """
    m = sp.Dummy("m")
    relations = [r.subs(G, (1 + m) / z) for r in (derivation.equation, *derivation.constraints)]
    unknowns = [m, *sorted(set().union(*(r.free_symbols for r in relations)) - {m, z}, key=str)]
    assert len(unknowns) == len(relations) <= 2
    # in logarithms, for the sake of powers of small quantities
    system = sp.Matrix([sp.log(r.lhs / r.rhs) if r.rhs != 0 else r.lhs for r in relations])
    function = sp.lambdify((z, *unknowns), system, "numpy")
    jacobian = sp.lambdify((z, *unknowns), system.jacobian(unknowns), "numpy")
    out = []
    for x in points:
        height, shrink = 8.0 * scale, 0.85
        before, values = (far_out(derivation, relations, unknowns, x + 1j * h) for h in (height / shrink, height))
        while height > 0:
            before, values, height = values, values**2 / before, shrink * height
            if height < 1e-3 * scale:
                values, height = before, 0.0
            for _ in range(6):
                slopes = np.array(jacobian(x + 1j * height, *values), dtype=complex)
                right = np.array(function(x + 1j * height, *values), dtype=complex)[:, 0]
                values = values - np.linalg.solve(slopes, right)
        out.append((1 + values[0]) / x)
    return np.array(out)


SYMBOLS = {"depth": "L", "order": "L", "skip": "a"}  # where an argument is not called like its symbol


def stated(entry, arguments, law):
    """The equations of G that the statement itself makes for this law: relations of G and z, or S = f(m)."""
    values = {SYMBOLS.get(name, name): sp.sympify(number) for name, number in arguments.items()}
    for relation in entry.statement:
        here = relation.subs({symbol: values[str(symbol)] for symbol in relation.free_symbols if str(symbol) in values})
        if not isinstance(here, sp.Eq):
            continue  # nothing is left open
        names = {str(symbol): symbol for symbol in here.free_symbols}
        if names.keys() == {"G", "z"}:
            equation = here
        elif names.keys() <= {"S", "m"} and here.lhs == names.get("S"):
            equation = eq(G, (names["m"] * here.rhs).subs(names["m"], z * G - 1))
        else:
            continue
        yield SimpleNamespace(equation=equation, constraints=(), moments=law.moments)


def derived(law):
    """The toolkit's derivation of the law, if there is one yet."""
    try:
        yield rmt.derive(law)
    except NotImplementedError:
        return


LAWS = {}
for _entry in ENTRIES.values():
    for _arguments in _entry.arguments:
        LAWS.setdefault(
            (_entry.law.__code__.co_code, _entry.law.__code__.co_consts, str(_arguments)), (_entry, _arguments)
        )


@pytest.mark.parametrize(("entry", "arguments"), LAWS.values(), ids=[entry.key for entry, _ in LAWS.values()])
def test_curves_agree_with_the_formula(entry, arguments):
    """On the real axis the law's G, and its density, are those of the formulas on the branch from infinity.

    The formulas are the statement, where it is one about G or S, and what the toolkit derives for the law.
    """
    exact = {name: Fraction(str(value)) if isinstance(value, float) else value for name, value in arguments.items()}
    law = entry.law(**exact)
    assert isinstance(law, Law)
    formulas = [*stated(entry, exact, law), *derived(law)]
    if not formulas:
        pytest.skip(f"{law!r} has no formula to compare with")
    moments = [float(value) for value in law.moments(8)]
    spread = (moments[1] - moments[0] ** 2) ** 0.5
    points = np.array([moments[0] - 0.4 * spread, moments[0] + 0.6 * spread])
    for formula in formulas:
        found = branch_from_infinity(formula, points, 1.5 * moments[7] ** 0.125)
        np.testing.assert_allclose(found, law.cauchy(points), rtol=1e-8)
        if law.methods("pdf")[0] in ("closed_form", "explicit"):  # another way than G
            np.testing.assert_allclose(-found.imag / np.pi, law.pdf(points), rtol=1e-8, atol=1e-12)


def test_laws_of_statements_are_compared_with_the_statements():
    counted = {
        entry.key for entry, arguments in LAWS.values() if list(stated(entry, arguments, entry.law(**arguments)))
    }
    assert counted >= {
        "marchenko-pastur", "chain-gaussian", "chain-orthogonal", "smooth-class", "bernoulli-class",
        "universal-resnet-law", "additive-filter-critical", "semicircle-plus-marchenko-pastur",
        "semicircle-times-marchenko-pastur",
    }  # fmt: skip


@pytest.mark.parametrize("key", [key for key, entry in ENTRIES.items() if entry.network])
def test_networks_are_networks(key):
    entry = ENTRIES[key]
    wanted = entry.network.__code__.co_varnames[: entry.network.__code__.co_argcount]
    assert isinstance(entry.network(**{name: 3 if name == "depth" else 0.9 for name in wanted}), Layer)


# --- the door ---------------------------------------------------------------------------------------------------------


def test_keys_are_unique_slugs_in_the_order_of_the_topics():
    keys = catalogue.keys()
    assert len(set(keys)) == len(keys) == sum(len(catalogue.entries(topic)) for topic in catalogue.TOPICS)
    assert all(key == key.lower() and set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for key in keys)
    assert catalogue.entry("fuss-catalan-edge") is ENTRIES["fuss-catalan-edge"]


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown entry 'fuss-catalan': did you mean .*fuss-catalan-edge"):
        catalogue.entry("fuss-catalan")
    with pytest.raises(ValueError, match="unknown topic 'chains': choose one of Free probability"):
        catalogue.entries("chains")


def test_the_package_loads_without_sympy():
    code = "import sys, theory.catalogue; print('sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_is_no_law_has_no_moments():
    with pytest.raises(NotImplementedError, match="width-one-gradient is no law"):
        catalogue.entry("width-one-gradient").derivation().moments(2)
    assert catalogue.entry("fuss-catalan-moments").derivation().moments(1) == [1]
