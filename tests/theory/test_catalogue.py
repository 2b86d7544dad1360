"""Every published result holds, is derived, and would be found out if one of its numbers were wrong."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import rmt
from rmt.law import Law
from rmt.references import cite
from rmt.symbolic.derivation import Derivation, G, z
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


@pytest.mark.parametrize("key", ["additive-filter-bounds", "relu-resnet-outlier", "adaptive-escape"])
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
        yield Derivation(entry.title, (), equation, None, None, (), law.moments)


# each law once for every different statement; closures are part of what an entry's law is
LAWS = {}
for _entry in ENTRIES.values():
    for _arguments in _entry.arguments:
        _cells = tuple(str(cell.cell_contents) for cell in _entry.law.__closure__ or ())
        LAWS.setdefault(
            (_entry.law.__code__.co_code, _entry.law.__code__.co_consts, _cells, str(_arguments)), (_entry, _arguments)
        )


@pytest.mark.parametrize(("entry", "arguments"), LAWS.values(), ids=[entry.key for entry, _ in LAWS.values()])
def test_curves_agree_with_the_formula(entry, arguments):
    """On the real axis the law's G, and its density, are those of the formulas on the branch from infinity.

    The formulas are the statement, where it is one about G or S, and what the toolkit derives for the law.
    """
    exact = {name: Fraction(str(value)) if isinstance(value, float) else value for name, value in arguments.items()}
    law = entry.law(**exact)
    assert isinstance(law, Law)
    formulas = [*stated(entry, exact, law), rmt.derive(law)]
    mean, square = (float(value) for value in law.moments(2))
    points = mean + np.array([-0.4, 0.6]) * (square - mean**2) ** 0.5
    for formula in formulas:
        found = formula.lambdify("cauchy")(points)
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
