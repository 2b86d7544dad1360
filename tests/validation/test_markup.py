"""The pieces of a report's page: escaping, MathML that a strict parser accepts, prose with formulas."""

import xml.etree.ElementTree as ET

import pytest
import sympy as sp

from validation.inline_math import prose
from validation.mathml import mathml
from validation.page import Html, definitions, details, element, page, table

m, c, z, G = sp.symbols("m c z G")
S = sp.Function("S")


def text_of(markup):
    """The text of a well-formed piece of markup, without invisible operators."""
    return "".join(ET.fromstring(f"<p>{markup}</p>").itertext()).replace("\u2062", "").replace("\u2061", "")


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (sp.Eq(S(m), sp.exp(-c * (1 + 2 * m))), "S(m)=e−c(2m+1)"),
        (sp.Eq(G, (z * G - 1) * sp.exp(c)), "G=(Gz−1)ec"),
        (sp.Symbol("sigma_w") ** 2, "σw2"),
        (sp.Piecewise((c, m > 0), (m, True)), "{cm>0motherwise"),
        (sp.Product(S(m), (m, 1, c)), "∏m=1cS(m)"),
        (sp.Product(1 + S(m), (m, 1, c)), "∏m=1c(S(m)+1)"),
        (1 + sp.Order(1 / c, (c, sp.oo)), "1+O(1c)"),
        (sp.Rational(3, 7), "37"),
        (2, "2"),
        (sp.Symbol("<script>alert(1)</script>"), "<script>alert(1)</script>"),
    ],
)
def test_mathml_is_well_formed_and_says_the_formula(expression, shown):
    assert text_of(mathml(expression)) == shown


def test_mathml_never_parses_text():
    with pytest.raises(sp.SympifyError):
        mathml("__import__('os')")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("plain & <b>", "plain & <b>"),
        (r"scale: $S_{aX}(m) = S_X(m)/a$ for $a \ne 0$", "scale: SaX(m)=SX(m)/a for a≠0"),
        (r"$\langle\varphi'^2\rangle$", "⟨φ′2⟩"),
        (r"$\frac{1}{\sqrt{2}} \boxplus \hat D_l^{-1}$", "12⊞D^l−1"),
        (r"$\operatorname{Im} G < 0$", "ImG<0"),
        (r"${\binom{n}{k}} + \sum_{\substack{0 \leq j\\j \leq k}} x$", "(nk)+∑0≤jj≤kx"),
        (r"$\begin{cases} L & \text{for}\: x > 1 \\0 & \text{otherwise} \end{cases} + c$", "{Lforx>10otherwise+c"),
        (r"${{}_{2}F_{2}\left(\begin{matrix} 1, 1 \\ 3, 2 \end{matrix}\middle| {z} \right)}$", "2F2(1,13,2|z)"),
        (r"$\begin{cases} a & b$", "{ab"),
        ("it costs $5", "it costs $5"),
        (r"$\unheardof{x} \in \mathbb{R}$", "unheardofx∈R"),
        ("$<script>$", "<script>"),
        ("$x_$ $^2$ $}$", "x 2 "),
    ],
)
def test_prose(source, shown):
    assert text_of(prose(source)) == shown


def test_scripts_are_structure():
    assert "<msubsup><mi>q</mi><mi>l</mi><mn>2</mn></msubsup>" in prose("$q_l^2$")
    assert "<mfrac><mn>1</mn><mn>2</mn></mfrac><mn>3</mn>" in prose(r"$\frac123$")


def test_text_is_escaped_once_and_markup_is_not():
    assert element("p", "a < b", Html("<i>c</i>"), title='"quoted"') == (
        '<p title="&quot;quoted&quot;">a &lt; b<i>c</i></p>'
    )
    assert "&lt;b&gt;" in table(["x", "y"], [["<b>", "1"]])
    assert "&lt;" in details("<s>", "x")
    assert definitions([("<n>", Html("<b>v</b>"))]) == "<dl><dt>&lt;n&gt;</dt><dd><b>v</b></dd></dl>"
    assert "<title>&lt;t&gt;</title>" in page("<t>", "body")


def test_numbers_in_tables_are_aligned():
    written = table(["what", "value", "note"], [["1st", "-1.5", "n/a"], ["2nd", "", "-"]])
    assert '<th scope="col" class="number">value</th>' in written
    assert '<td class="number">-1.5</td>' in written
    assert "<td>n/a</td>" in written
    assert '<th scope="row">1st</th>' in written
