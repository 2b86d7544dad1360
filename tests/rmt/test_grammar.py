"""The grammar of the shell: exact objects out, and no text that does anything else."""

from fractions import Fraction

import pytest
import sympy as sp

import rmt
from rmt.symbolic.grammar import FAMILIES, OPERATIONS, GrammarError, parse_law, parse_number

HALF = Fraction(1, 2)
L, c, sigma = sp.symbols("L c sigma", positive=True)
MP = rmt.MarchenkoPastur


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("3/4", Fraction(3, 4)),
        ("0.1", Fraction(1, 10)),
        ("-.5e-2", Fraction(-1, 200)),
        ("sqrt(2)*sigma", sp.sqrt(2) * sigma),
        ("2^-3", Fraction(1, 8)),
        ("-2^2", -4),
        ("2**3**2", 512),
        ("exp(-c) + pi", sp.exp(-c) + sp.pi),
        ("1 - 2 - 3", -4),
        ("8/2/2", 2),
        ("(1 + c)^L", (1 + c) ** L),
    ],
)
def test_numbers(text, value):
    found = parse_number(text)
    assert found == value
    assert type(found) is type(value)


def test_integers_and_symbols_for_them():
    assert parse_number("12", integer=True) == 12
    assert parse_number("2*L", integer=True).is_integer
    with pytest.raises(GrammarError, match="expected an integer"):
        parse_number("1/2", integer=True)


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("semicircle(1) + mp(1/2)", rmt.Semicircle(1) + MP(HALF)),
        ("mp(c) @ discrete(0: 1/2, 1: 1/2)", MP(c) @ rmt.Discrete({0: HALF, 1: HALF})),
        ("power(mp(1), L)", MP(1).free_power(L)),
        ("2*uniform(0, 1) - 1", 2 * rmt.Uniform(0, 1) - 1),
        ("1 - mp(2)", -1 * MP(2) + 1),
        ("-mp(2)/3", Fraction(-1, 3) * MP(2)),
        ("semicircle() - mp(1)", rmt.Semicircle() + -1 * MP(1)),
        ("mixture(mp(1): 1/4, semicircle(): 3/4)", rmt.Mixture({MP(1): HALF**2, rmt.Semicircle(): 1 - HALF**2})),
        ("rectangular(mp(1/2), uniform(), 1/2)", rmt.RectangularSum((MP(HALF), rmt.Uniform()), HALF)),
        ("sqrt(mp(1))", MP(1).sqrt()),
        ("free_poisson(2, uniform(1, 2))", rmt.FreePoisson(2, rmt.Uniform(1, 2))),
        ("residual(compress(mp(1), 1/2), 2)", rmt.ResidualSum(MP(1).compress(HALF), 2)),
    ],
)
def test_laws(text, law):
    assert parse_law(text) == law


def test_every_name_builds_a_law():
    for name, (_, least, _most) in FAMILIES.items():
        arguments = ["1/2"] * least
        assert isinstance(parse_law(f"{name}({', '.join(arguments)})"), rmt.Law)
    for name, (_, _least, most) in OPERATIONS.items():
        arguments = ["mp(1/2)"] * (most if name in ("inverse",) else 1 + (name == "rectangular"))
        arguments += ["1/2"] * (most - len(arguments))
        assert isinstance(parse_law(f"{name}({', '.join(arguments)})"), rmt.Law)


HOSTILE = {
    "__import__('os').system('id')": "'_' is no part",
    "mp(1).__class__": "'.' is no part",
    "mp(1).pdf(1)": "'.' is no part",
    "sin(1)": "there is no 'sin'",
    "eval(1)": "there is no 'eval'",
    "open(x)": "there is no 'open'",
    "lambda: 1": "expected an operator",
    "[1]": r"'\[' is no part",
    "'a'": "is no part",
    "1; 2": "';' is no part",
    "9^9^9": "exponents are at most",
    "2^(10^9)": "exponents are at most",
    "10^500*10^500*10^500": "too many digits",
    "99999^999": "too many digits",
    "1e999": "at most 40 digits",
    "1" * 60: "at most 40 digits",
    "(" * 100 + "1" + ")" * 100: "nested deeper",
    "2^" * 60 + "2": "nested deeper",
    "sqrt(" * 60 + "2" + ")" * 60: "nested deeper",
    "1+" * 300 + "1": "characters",
    "exp(exp(exp(9)))": "too large",
    "exp(10^9)": "too large",
    "1/0": "division by 0",
    "0^-1": "not a finite real number",
    "log(0)": "not a finite real number",
    "sqrt(-1)": "not a finite real number",
    "": "expected a number",
    "1 2": "expected an operator",
    "(1": r"expected '\)'",
    "mp": "write its arguments",
    "z + 1": "names a variable",
    "mp(1, 2)": "expected 1 argument, found 2",
    "mp(mp(1))": "must be a number",
    "power(2, 3)": "must be a law",
    "mp(1)*mp(2)": "write '@'",
    "mp(1)^2": "two powers",
    "2 @ 3": "free product of laws",
    "discrete(1)": "expected ':'",
    "mixture(1: 1)": "takes pairs",
    "mp(1)/0": "division by 0",
    "1/mp(1)": "between a law and a number",
}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:30])
def test_hostile_or_wrong_texts_are_refused_at_once(text):
    with pytest.raises(GrammarError, match=HOSTILE[text]):
        parse_number(text)
    with pytest.raises(GrammarError):
        parse_law(text)


def test_a_number_is_no_law_and_a_law_no_number():
    with pytest.raises(GrammarError, match="expected a law"):
        parse_law("1/2")
    with pytest.raises(GrammarError, match="not a law"):
        parse_number("mp(1)")
    with pytest.raises(ValueError, match="ratio=-1"):
        parse_law("mp(-1)")
