"""Formulas as presentation MathML, which a browser draws without a script, a font or the network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any
from xml.dom.minidom import Element, Node, Text

import sympy as sp
from sympy.printing.mathml import MathMLPresentationPrinter

__all__ = ["mathml"]


class _Printer(MathMLPresentationPrinter):  # type: ignore[misc]  # sympy has no types
    """sympy's printer, with the mendings that a spectral law's formulas need."""

    def _print_AppliedUndef(self, expr: Any) -> Element:
        # sympy writes the names of functions in lower case: S(m) would read s(m)
        return self._call(expr.func.__name__, expr.args)

    def _print_Order(self, expr: Any) -> Element:
        # sympy writes it as a function of that name, and with the point: order(1/L, (L, ∞))
        return self._call("O", (expr.expr,))

    def _call(self, name: str, arguments: Sequence[Any]) -> Element:
        row: Element = self.dom.createElement("mrow")
        row.appendChild(self._print(sp.Symbol(name)))
        row.appendChild(self._operator("("))
        for position, argument in enumerate(arguments):
            if position:
                row.appendChild(self._operator(","))
            row.appendChild(self._print(argument))
        row.appendChild(self._operator(")"))
        return row

    def _print_Piecewise(self, expr: Any) -> Element:
        # sympy writes it as a function call: piecewise((c, m > 0), ...)
        row: Element = self.dom.createElement("mrow")
        row.appendChild(self._operator("{"))
        table = self.dom.createElement("mtable")
        for value, condition in expr.args:
            line = self.dom.createElement("mtr")
            for cell in (self._print(value), self._condition(condition)):
                holder = self.dom.createElement("mtd")
                holder.appendChild(cell)
                line.appendChild(holder)
            table.appendChild(line)
        row.appendChild(table)
        return row

    def _print_Product(self, expr: Any) -> Element:
        # sympy writes it as a function call too
        row: Element = self.dom.createElement("mrow")
        limits = self.dom.createElement("munderover")
        limits.appendChild(self._operator("∏"))
        (index, lower, upper), *_ = expr.limits
        start = self.dom.createElement("mrow")
        for element in (self._print(index), self._operator("="), self._print(lower)):
            start.appendChild(element)
        limits.appendChild(start)
        limits.appendChild(self._print(upper))
        row.appendChild(limits)
        factors = [self._print(expr.function)]
        if expr.function.is_Add:
            factors = [self._operator("("), *factors, self._operator(")")]
        for element in factors:
            row.appendChild(element)
        return row

    def _condition(self, condition: Any) -> Element:
        if condition is sp.true:
            text: Element = self.dom.createElement("mtext")
            text.appendChild(self.dom.createTextNode("otherwise"))
            return text
        element: Element = self._print(condition)
        return element

    def _operator(self, text: str) -> Element:
        operator: Element = self.dom.createElement("mo")
        operator.appendChild(self.dom.createTextNode(text))
        return operator


def mathml(expression: Any, *, block: bool = True) -> str:
    """Return a sympy expression as a ``<math>`` element.

    Parameters
    ----------
    expression : sympy object or number
        Equations, expressions, numbers.
    block : bool
        Display style, on a line of its own; otherwise inline.

    Returns
    -------
    str
        HTML. Names and text inside are escaped.
    """
    display = ' display="block"' if block else ""
    return f"<math{display}>{_serialise(_Printer()._print(sp.sympify(expression, strict=True)))}</math>"


# The double-struck letters that MathML defines for these constants are drawn as such by browsers; a minus is no hyphen.
_PLAIN_LETTERS = str.maketrans({"\u2147": "e", "\u2148": "i", "\u2146": "d", "-": "−"})


def _serialise(node: Node) -> str:
    # minidom's own writer is replaced by sympy with one that escapes nothing, for the sake of its named entities
    if isinstance(node, Text):
        return html.escape(html.unescape(node.data).translate(_PLAIN_LETTERS))
    assert isinstance(node, Element)
    attributes = "".join(f' {name}="{html.escape(value)}"' for name, value in node.attributes.items())
    return f"<{node.tagName}{attributes}>{''.join(map(_serialise, node.childNodes))}</{node.tagName}>"
