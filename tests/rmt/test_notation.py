"""Laws in LaTeX: every public law and operation is valid, says what it is made of, and shows no Python."""

import re
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from matplotlib.mathtext import MathTextParser

import rmt
import theory
from rmt.symbolic import law_to_latex

MP = rmt.MarchenkoPastur(Fraction(1, 3))
SC = rmt.Semicircle(0.7, 0.3)
UNIFORM = rmt.Uniform(1, 2)
c = sp.Symbol("c", positive=True)
x, y = sp.symbols("x y_1", commutative=False)
m = sp.Symbol("m")


def reciprocal(m):
    return 1 / (1 + m)


# class -> laws, each with what its notation must contain besides the notation of the laws that it is made of
LAWS = {
    rmt.Affine: [(-2 * MP + 1, ["-2"]), (MP - Fraction(3, 2), [r"- \frac{3}{2}"]), (c * MP, ["c"])],
    rmt.Arcsine: [(rmt.Arcsine(-1, Fraction(3, 2)), ["Arcsine", "-1", r"\frac{3}{2}"])],
    rmt.Cauchy: [(rmt.Cauchy(0.5, 2), ["Cauchy", "0.5", "2"])],
    rmt.Compression: [(MP.compress(0.3), ["0.3"])],
    rmt.Discrete: [
        (rmt.Discrete({0: Fraction(1, 4), 1.5: Fraction(3, 4)}), [r"\frac{1}{4}", r"\delta_{0}", r"\delta_{1.5}"]),
        (rmt.Discrete({k: Fraction(1, 50) for k in range(50)}), [r"\delta_{0}", r"\cdots", r"\delta_{49}"]),
    ],
    rmt.Empirical: [
        (rmt.Empirical(np.arange(50.0)), ["Empirical", "50"]),
        (rmt.Empirical([1, 2, 3], smoothing=0.25), ["Empirical", "3", "0.25"]),
    ],
    rmt.FreeJacobi: [(rmt.FreeJacobi(Fraction(1, 5), 0.4), ["FreeJacobi", r"\frac{1}{5}", "0.4"])],
    rmt.FreeMultiplicativeBrownian: [(rmt.FreeMultiplicativeBrownian(0.6), ["FreeMultiplicativeBrownian", "0.6"])],
    rmt.FreeMultiplicativePoisson: [(rmt.FreeMultiplicativePoisson(0.6), ["FreeMultiplicativePoisson", "0.6"])],
    rmt.FreePoisson: [
        (rmt.FreePoisson(Fraction(1, 2), jump=UNIFORM), ["FreePoisson", r"\frac{1}{2}"]),
        (rmt.FreePoisson(2.5), ["FreePoisson", "2.5"]),
    ],
    rmt.FreePower: [(MP.free_power(2.5), [r"^{\boxtimes 2.5}"]), (UNIFORM.free_power(c), [r"^{\boxtimes c}"])],
    rmt.FreeProduct: [(MP @ UNIFORM, [r"\boxtimes"])],
    rmt.FreeStable: [(rmt.FreeStable(Fraction(3, 2), 0.4, 3), ["FreeStable", r"\frac{3}{2}", "0.4", "3"])],
    rmt.FreeSum: [
        (MP + UNIFORM, [r"\boxplus"]),
        (SC - MP, [r"\boxplus", "-"]),
        (rmt.FreeSum((SC,) * 9), [r"\boxplus", r"\cdots"]),
    ],
    rmt.FreeSumPower: [(MP.free_sum_power(Fraction(7, 2)), [r"^{\boxplus \frac{7}{2}}"])],
    rmt.FussCatalan: [(rmt.FussCatalan(2.5), ["FC", "2.5"])],
    rmt.GOE: [(rmt.GOE(7), ["GOE", "7"])],
    rmt.GUE: [(rmt.GUE(7), ["GUE", "7"])],
    rmt.GatedLayer: [
        (
            rmt.GatedLayer({(1, 0): Fraction(1, 4), (0.5, 2): Fraction(3, 4)}, 0.6),
            [r"\frac{1}{4}\,\delta_{(1,\,0)}", r"\delta_{(0.5,\,2)}", "0.6"],
        ),
        (rmt.GatedLayer({(k, 1): Fraction(1, 7) for k in range(7)}), [r"\delta_{(0,\,1)}", r"\cdots", "(6"]),
    ],
    rmt.Gaussian: [(rmt.Gaussian(2, 0.5), ["Gaussian", "2", "0.5"])],
    rmt.ImplicitLaw: [
        (rmt.ImplicitLaw(s=lambda m: 1 / (1 + m)), ["S"]),
        (rmt.ImplicitLaw(r=lambda g: g), ["R"]),
        (rmt.ImplicitLaw(s=reciprocal), ["S", r"\mathtt{reciprocal}"]),
        (rmt.ImplicitLaw(s=1 / (1 + m)), ["S", r"\frac{1}{m + 1}"]),
    ],
    rmt.Inverse: [(UNIFORM.inverse(), ["^{-1}"])],
    rmt.KestenMcKay: [(rmt.KestenMcKay(5), ["KestenMcKay", "5"])],
    rmt.LargestEigenvalue: [(rmt.GUE(5).largest(method="exact"), ["LargestEigenvalue", "GUE", "5"])],
    rmt.MarchenkoPastur: [(MP, ["MP", r"\frac{1}{3}"]), (rmt.MarchenkoPastur(c), ["MP", "c"])],
    rmt.Mixture: [(rmt.Mixture({MP: Fraction(1, 4), SC: Fraction(3, 4)}), [r"\frac{1}{4}", "+", r"\frac{3}{4}"])],
    rmt.PolynomialImage: [(rmt.polynomial_law(x**2 - x / 2, {x: SC}), [r"x^{2} - \frac{x}{2}"])],
    rmt.PolynomialLaw: [
        (rmt.polynomial_law(x * y + y * x, {x: SC, y: MP}), ["x y_{1} + y_{1} x"]),
        (rmt.polynomial_law(sp.I * (x * y - y * x) + x**2 / 2, {x: SC, y: MP}), [r"\frac{x^{2}}{2}", "i x y_{1}"]),
    ],
    rmt.RectangularSum: [(rmt.RectangularSum((MP, UNIFORM), Fraction(1, 2)), [r"\boxplus_{\frac{1}{2}}"])],
    rmt.ResidualSum: [(rmt.ResidualSum(MP, 0.9), ["0.9"])],
    rmt.Semicircle: [(SC, ["SC", "0.3", "0.7"])],
    rmt.Sqrt: [(MP.sqrt(), [r"\sqrt{"])],
    rmt.Square: [(SC.square(), ["^{2}"])],
    rmt.Symmetrized: [(UNIFORM.symmetrized(), [r"\pm"])],
    rmt.TracyWidom: [(rmt.TracyWidom(4), ["TracyWidom", "4"])],
    rmt.Uniform: [(rmt.Uniform(0, c), ["Uniform", "0", "c"])],
    rmt.UniversalResNet: [
        (rmt.UniversalResNet(c=0.25), ["ResNet", "0.25"]),
        (rmt.UniversalResNet(c=0.25, skip=0.9, depth=7), ["ResNet", "0.25", "0.9", "7"]),
    ],
    rmt.Wishart: [(rmt.Wishart(3, 5, 2), ["Wishart", "3", "5", "2"])],
}
CASES = [pytest.param(law, parts, id=f"{kind.__name__}-{k}") for kind, laws in LAWS.items()
         for k, (law, parts) in enumerate(laws)]

# operations on operations, where brackets are due
NESTED = {
    "square of a square": SC.square().square(),
    "power of a sum": (MP + UNIFORM).free_power(2),
    "power of a power": MP.free_power(2).free_sum_power(3),
    "power of a product": (MP @ UNIFORM).free_sum_power(3),
    "inverse of an inverse": rmt.Inverse(rmt.Inverse(MP)),
    "inverse of a power": MP.free_power(3).inverse(),
    "square of a mixture": rmt.Mixture({MP: Fraction(1, 4), SC: Fraction(3, 4)}).square(),
    "square of a symmetrised law": UNIFORM.symmetrized().square(),
    "square of an affine law": (2 * MP + 1).square(),
    "square of a root": rmt.Square(MP.sqrt()),
    "power of a residual sum": rmt.ResidualSum(MP, 0.9).free_power(3),
    "power of a polynomial": rmt.polynomial_law(x * y * x, {x: SC, y: MP}).free_sum_power(2),
    "power of a gated layer": rmt.GatedLayer({(1, 0): 0.25, (0.5, 2): 0.75}).free_power(2),
    "affine of a sum": 2 * (MP + SC) - 1,
    "sum with a rectangular sum": rmt.RectangularSum((MP, UNIFORM), Fraction(1, 2)) + SC,
    "product of sums": (MP + UNIFORM) @ (MP + MP),
    "symmetrised root in a sum": MP.sqrt().symmetrized() + SC,
    "residual of a residual": rmt.ResidualSum(rmt.ResidualSum(MP, 0.9) @ UNIFORM, 1.2),
    "compression of a sum": (MP + UNIFORM).compress(0.5),
    "poisson of a sum": rmt.FreePoisson(2, jump=MP + UNIFORM),
    "largest eigenvalue": rmt.Wishart(30, 50).largest(),
}

# a name, an equals sign of a keyword, a call, a container or None: what a repr would leave in the formula
PYTHON = re.compile(r"[a-z_]{3,}\s*=|[A-Za-z]\(|[<>*'\"]|None|Fraction|Symbol|lambda|array|\d+j|0x|e[-+]\d")


def balanced(text):
    """Whether braces, and \\left with \\right, close in the right order."""
    depth, fences = 0, 0
    for token in re.findall(r"\\left\b|\\right\b|\\[{}]|[{}]", text):
        depth += {"{": 1, "}": -1}.get(token, 0)
        fences += {r"\left": 1, r"\right": -1}.get(token, 0)
        if depth < 0 or fences < 0:
            return False
    return depth == fences == 0


def check(text):
    assert text.startswith("$")
    assert text.endswith("$")
    assert text.count("$") == 2
    assert balanced(text)
    assert not re.search(r"\^\{[^{}]*\}\s*\^|\^\w\s*\^|_\{[^{}]*\}\s*_", text), "a double script is no LaTeX"
    assert not PYTHON.search(re.sub(r"\\[A-Za-z]+", " ", text)), text
    assert text.isascii()
    # a parser of a part of TeX, which refuses what it does not know and double scripts
    MathTextParser("path").parse(text.replace(r"\top", "T").replace(r"\,", " "))


def parts_of(law):
    """Laws that a law is made of directly."""
    fields = [getattr(law, name) for name in law.__dataclass_fields__]
    return [part for part in flat(fields) if isinstance(part, rmt.Law)]


def flat(value):
    if isinstance(value, tuple | list):
        for item in value:
            yield from flat(item)
    else:
        yield value


def test_every_public_law_is_listed():
    public = {getattr(rmt, name) for name in rmt.__all__}
    laws = {item for item in public if isinstance(item, type) and issubclass(item, rmt.Law)} - {rmt.Law}
    assert laws == set(LAWS)
    assert all(type(law) is kind for kind, cases in LAWS.items() for law, _ in cases)


@pytest.mark.parametrize(("law", "expected"), CASES)
def test_notation_of_every_law_and_operation(law, expected):
    text = law_to_latex(law)
    check(text)
    assert law._repr_latex_() == text
    for part in expected:
        assert part in text, (part, text)
    for part in parts_of(law):
        if not (isinstance(part, rmt.Affine) and isinstance(law, rmt.FreeSum)):
            assert law_to_latex(part).strip("$") in text


@pytest.mark.parametrize("name", NESTED)
def test_notation_of_nested_operations(name):
    law = NESTED[name]
    text = law_to_latex(law)
    check(text)
    for part in parts_of(law):
        assert law_to_latex(part).strip("$") in text


def test_brackets_tell_constructions_apart():
    """Different laws, different notations."""
    laws = [
        *(law for cases in LAWS.values() for law, _ in cases),
        *NESTED.values(),
        MP.free_sum_power(3).free_power(2),
        MP + UNIFORM.free_power(2),
        UNIFORM.square().symmetrized(),
        2 * MP.square() + 1,
        MP.square().sqrt(),
        2 * MP + SC - 1,
        MP + UNIFORM @ (MP + MP),
        (MP + SC.sqrt()).symmetrized(),
        MP.inverse().free_power(3),
        rmt.FreeMultiplicativeBrownian(0.25),
        rmt.UniversalResNet(c=0.25, skip=0.9, depth=8),
    ]
    texts = [law_to_latex(law) for law in laws]
    repeated = {text for text in texts if texts.count(text) > 1}
    assert not repeated


def test_laws_of_networks():
    text = law_to_latex(theory.gain_law(theory.get_activation("elu", alpha=0.3), 0.7))
    check(text)
    assert text == r"$\mathrm{GainLaw}_{\mathrm{elu},\,0.7,\,\mathrm{alpha},\,0.3}$"
    law = theory.jacobian_law(theory.Chain(3, "tanh", sigma_w=1.2))
    check(law_to_latex(law))
    assert r"\mathrm{GainLaw}_{\mathrm{tanh},\,1.44}" in law_to_latex(law)


def test_unary_minus():
    assert law_to_latex(-MP) == f"$-{law_to_latex(MP).strip('$')}$"
    assert "--" not in law_to_latex(SC - (MP - 1))
    assert law_to_latex((c + 1) * MP + (c - 1)).strip("$") == (
        r"\left(c + 1\right)\," + law_to_latex(MP).strip("$") + r" + \left(c - 1\right)"
    )
