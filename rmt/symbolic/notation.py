r"""Laws in the notation of the field, for notebooks: ``\mathrm{MP}_{1/2} \boxplus \mathrm{SC}``."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from functools import singledispatch
from typing import Any

import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower, FreeSumPower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.free_sum import FreeSum
from rmt.algebra.gated import GatedLayer
from rmt.algebra.inverse import Inverse
from rmt.algebra.mixture import Mixture
from rmt.algebra.polynomial_image import PolynomialImage
from rmt.algebra.polynomial_law import PolynomialLaw
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.empirical import Empirical
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.implicit import ImplicitLaw
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.universal_resnet import UniversalResNet

__all__ = ["law_to_latex"]

_MOST_TERMS = 4
_DOTS = r"\cdots"


def law_to_latex(law: Law) -> str:
    """LaTeX of the law's construction, between dollar signs."""
    return f"${_latex(law)}$"


@singledispatch
def _latex(law: Law) -> str:
    """The name with its parameters as an index: all families that have no symbol of their own in the field."""
    values = [getattr(law, f.name) for f in dataclasses.fields(law)]  # type: ignore[arg-type]
    shown = ",\\,".join(_value(value) for value in values if value is not None and value != ())
    return rf"\mathrm{{{type(law).__name__}}}" + (f"_{{{shown}}}" if shown else "")


def _value(value: Any) -> str:
    if isinstance(value, Law):
        return _latex(value)
    if callable(value) and hasattr(value, "__name__"):
        return rf"\mathtt{{{value.__name__}}}".replace("_", r"\_")
    if isinstance(value, str):
        return rf"\mathrm{{{value}}}".replace("_", r"\_")
    if isinstance(value, tuple):
        return ",\\,".join(_shortened([_value(item) for item in value], r"\ldots"))
    return _number(value)


def _shown(value: Any) -> Any:
    """The number as sympy writes it: six digits of floats, whole ones as such."""
    if isinstance(value, complex):
        return _shown(value.real) + sp.I * _shown(value.imag)
    if isinstance(value, float):
        return sp.Integer(int(value)) if value.is_integer() else sp.Float(value, 6)
    return sp.Rational(value.numerator, value.denominator) if isinstance(value, Fraction) else sp.sympify(value)


def _number(value: Any) -> str:
    return str(sp.latex(_shown(value)))


def _factor(value: Any) -> str:
    """A number in front of a law; 1 is left out."""
    text = _number(value)
    if text in ("1", "-1"):
        return text[:-1]
    return (rf"\left({text}\right)" if isinstance(value, sp.Add) else text) + r"\,"


def _summand(value: Any) -> str:
    """A number behind a law, with its sign; 0 is left out."""
    text = _number(value)
    if text == "0":
        return ""
    if isinstance(value, sp.Add):
        return rf" + \left({text}\right)"
    return f" - {text[1:].lstrip()}" if text.startswith("-") else f" + {text}"


def _shortened(parts: list[str], dots: str) -> list[str]:
    return parts if len(parts) <= _MOST_TERMS else [*parts[:2], dots, parts[-1]]


def _joined(laws: tuple[Law, ...], operator: str) -> str:
    return f" {operator} ".join(_shortened([_inside(law) for law in laws], _DOTS))


def _inside(law: Law) -> str:
    """The law as an operand of a sum or product."""
    text = _latex(law)
    composed = isinstance(law, FreeSum | FreeProduct | RectangularSum | Mixture | Affine | Symmetrized)
    return rf"\left({text}\right)" if composed else text


def _base(law: Law) -> str:
    """The law with an exponent to come: TeX refuses two in a row."""
    powers = FreePower | FreeSumPower | Square | Inverse | ResidualSum | GatedLayer
    return rf"\left({_latex(law)}\right)" if isinstance(law, powers) else _inside(law)


@_latex.register
def _(law: Semicircle) -> str:
    return rf"\mathrm{{SC}}_{{{_number(law.mean_value)},\,{_number(law.variance)}}}"


@_latex.register
def _(law: MarchenkoPastur) -> str:
    return rf"\mathrm{{MP}}_{{{_number(law.ratio)}}}"


@_latex.register
def _(law: Discrete) -> str:
    terms = [rf"{_number(p)}\,\delta_{{{_number(x)}}}" for x, p in law.masses]
    whole = " + ".join(_shortened(terms, _DOTS))
    return rf"\left({whole}\right)"


@_latex.register
def _(law: Empirical) -> str:
    smoothing = "" if law.bandwidth is None else rf",\,\sigma={_number(law.bandwidth)}"
    return rf"\mathrm{{Empirical}}_{{n={len(law.samples)}{smoothing}}}"


@_latex.register
def _(law: ImplicitLaw) -> str:
    transforms = {"S": law.s, "R": law.r, r"\psi": law.psi}
    name, transform = next((name, given) for name, given in transforms.items() if given is not None)
    if callable(transform):
        # a lambda has no name
        written = getattr(transform, "__name__", "")
        shown = rf"={_value(transform)}" if written.isidentifier() else ""
    else:
        shown = f"={sp.latex(transform)}"
    return rf"\mathrm{{ImplicitLaw}}_{{{name}{shown}}}"


@_latex.register
def _(law: FussCatalan) -> str:
    return rf"\mathrm{{FC}}_{{{_number(law.order)}}}"


@_latex.register
def _(law: UniversalResNet) -> str:
    rest = "" if law.depth is None else rf",\,a={_number(law.skip)},\,L={_number(law.depth)}"
    return rf"\mathrm{{ResNet}}_{{c={_number(law.c)}{rest}}}"


@_latex.register
def _(law: Affine) -> str:
    return f"{_factor(law.scale)}{_inside(law.law)}{_summand(law.shift)}"


@_latex.register
def _(law: FreeSum) -> str:
    return _joined(law.laws, r"\boxplus")


@_latex.register
def _(law: FreeProduct) -> str:
    return _joined(law.laws, r"\boxtimes")


@_latex.register
def _(law: FreePower) -> str:
    return rf"{_base(law.law)}^{{\boxtimes {_number(law.exponent)}}}"


@_latex.register
def _(law: FreeSumPower) -> str:
    return rf"{_base(law.law)}^{{\boxplus {_number(law.exponent)}}}"


@_latex.register
def _(law: Compression) -> str:
    return rf"\left[{_latex(law.law)}\right]_{{{_number(law.ratio)}}}"


@_latex.register
def _(law: ResidualSum) -> str:
    return rf"\left|{_number(law.skip)}\,O + Y\right|^2_{{\,YY^\top \sim {_latex(law.branch)}}}"


@_latex.register
def _(law: RectangularSum) -> str:
    return _joined(law.laws, rf"\boxplus_{{{_number(law.ratio)}}}")


@_latex.register
def _(law: Mixture) -> str:
    terms = [f"{_factor(weight)}{_inside(part)}" for part, weight in law.parts]
    return " + ".join(_shortened(terms, _DOTS))


@_latex.register
def _(law: PolynomialLaw) -> str:
    symbols = [sp.Symbol(name, commutative=False) for name in law.names]
    polynomial = sp.Add(*(_shown(coefficient) * sp.Mul(*(symbols[k] for k in word)) for coefficient, word in law.terms))
    free = [rf"{sp.latex(symbol)} \sim {_latex(part)}" for symbol, part in zip(symbols, law.laws, strict=True)]
    where = ",\\,".join(_shortened(free, r"\ldots"))
    return rf"\left({sp.latex(polynomial)}\right)_{{{where}}}"


@_latex.register
def _(law: PolynomialImage) -> str:
    x = sp.Symbol("x")
    polynomial = sp.Add(*(_shown(coefficient) * x**k for k, coefficient in enumerate(law.coefficients)))
    return rf"\left({sp.latex(polynomial)}\right)_{{x \sim {_latex(law.law)}}}"


@_latex.register
def _(law: GatedLayer) -> str:
    terms = [
        rf"{_factor(mass)}\delta_{{({_number(skip)},\,{_number(branch)})}}" for (skip, branch), mass in law.gates
    ]
    gates = rf"(D_1, D_2) \sim {' + '.join(_shortened(terms, _DOTS))}"
    return rf"\left|D_1 + D_2\,W\right|^2_{{\,{gates},\,\sigma_w^2={_number(law.variance)}}}"


@_latex.register
def _(law: Inverse) -> str:
    return rf"{_base(law.law)}^{{-1}}"


@_latex.register
def _(law: Sqrt) -> str:
    return rf"\sqrt{{{_latex(law.law)}}}"


@_latex.register
def _(law: Square) -> str:
    return rf"{_base(law.law)}^{{2}}"


@_latex.register
def _(law: Symmetrized) -> str:
    return rf"\pm {_inside(law.law)}"
