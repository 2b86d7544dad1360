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
from rmt.algebra.inverse import Inverse
from rmt.algebra.mixture import Mixture
from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
from rmt.algebra.rectangular import RectangularSum
from rmt.algebra.residual import ResidualSum
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.universal_resnet import UniversalResNet

__all__ = ["law_to_latex"]

_MOST_TERMS = 4


def law_to_latex(law: Law) -> str:
    """LaTeX of the law's construction, between dollar signs."""
    return f"${_latex(law)}$"


@singledispatch
def _latex(law: Law) -> str:
    """The name with its parameters as an index: all families that have no symbol of their own in the field."""
    values = [getattr(law, f.name) for f in dataclasses.fields(law)]  # type: ignore[arg-type]
    shown = ",\\,".join(_value(value) for value in values if value is not None)
    return rf"\mathrm{{{type(law).__name__}}}" + (f"_{{{shown}}}" if shown else "")


def _value(value: Any) -> str:
    if isinstance(value, Law):
        return _latex(value)
    if callable(value) and hasattr(value, "__name__"):
        return rf"\mathtt{{{value.__name__}}}".replace("_", r"\_")
    if isinstance(value, tuple):
        parts = [_value(item) for item in value]
        return ",\\,".join(parts if len(parts) <= _MOST_TERMS else [*parts[:2], r"\ldots", parts[-1]])
    return _number(value)


def _number(value: Any) -> str:
    if isinstance(value, Fraction):
        value = sp.Rational(value.numerator, value.denominator)
    return str(sp.latex(sp.Float(value, 6) if isinstance(value, float) else value))


def _joined(laws: tuple[Law, ...], operator: str) -> str:
    parts = [_inside(law) for law in laws]
    if len(parts) > _MOST_TERMS:
        parts = [*parts[:2], r"\cdots", parts[-1]]
    return f" {operator} ".join(parts)


def _inside(law: Law) -> str:
    text = _latex(law)
    composed = isinstance(law, FreeSum | FreeProduct | RectangularSum | Mixture | Affine)
    return rf"\left({text}\right)" if composed else text


@_latex.register
def _(law: Semicircle) -> str:
    return rf"\mathrm{{SC}}_{{{_number(law.mean_value)},\,{_number(law.variance)}}}"


@_latex.register
def _(law: MarchenkoPastur) -> str:
    return rf"\mathrm{{MP}}_{{{_number(law.ratio)}}}"


@_latex.register
def _(law: Discrete) -> str:
    terms = [rf"{_number(p)}\,\delta_{{{_number(x)}}}" for x, p in law.masses]
    return rf"\left({' + '.join(terms)}\right)"


@_latex.register
def _(law: FussCatalan) -> str:
    return rf"\mathrm{{FC}}_{{{_number(law.order)}}}"


@_latex.register
def _(law: UniversalResNet) -> str:
    return rf"\mathrm{{ResNet}}_{{c={_number(law.c)}}}"


@_latex.register
def _(law: Affine) -> str:
    scale = "" if law.scale == 1 else rf"{_number(law.scale)}\,"
    shift = "" if law.shift == 0 else f" + {_number(law.shift)}"
    return f"{scale}{_inside(law.law)}{shift}"


@_latex.register
def _(law: FreeSum) -> str:
    return _joined(law.laws, r"\boxplus")


@_latex.register
def _(law: FreeProduct) -> str:
    return _joined(law.laws, r"\boxtimes")


@_latex.register
def _(law: FreePower) -> str:
    return rf"{_inside(law.law)}^{{\boxtimes {_number(law.exponent)}}}"


@_latex.register
def _(law: FreeSumPower) -> str:
    return rf"{_inside(law.law)}^{{\boxplus {_number(law.exponent)}}}"


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
    return " + ".join(rf"{_number(weight)}\,{_inside(part)}" for part, weight in law.parts)


@_latex.register
def _(law: Inverse) -> str:
    return rf"{_inside(law.law)}^{{-1}}"


@_latex.register
def _(law: Sqrt) -> str:
    return rf"\sqrt{{{_latex(law.law)}}}"


@_latex.register
def _(law: Square) -> str:
    return rf"{_inside(law.law)}^2"


@_latex.register
def _(law: Symmetrized) -> str:
    return rf"\pm {_inside(law.law)}"
