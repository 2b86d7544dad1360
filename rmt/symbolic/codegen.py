"""C99 source of a derivation: the residual of its equations with the Jacobian, and an explicit density."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp
from sympy.printing.c import C99CodePrinter
from sympy.printing.codeprinter import PrintMethodNotImplementedError

if TYPE_CHECKING:
    from rmt.symbolic.derivation import Derivation

__all__ = ["c_source"]

_HEAD = """\
#include <complex.h>
#include <math.h>
"""
_POWER = """
static double complex rmt_power(double complex base, int n)
{
    double complex out = 1;
    int k = n < 0 ? -n : n;
    for (; k; k >>= 1, base *= base)
        if (k & 1) out *= base;
    return n < 0 ? 1/out : out;
}
"""


class _Printer(C99CodePrinter):  # type: ignore[misc]
    """C99 expressions of type ``double complex``."""

    functions: ClassVar[dict[str, str]] = {
        name: f"c{name}"
        for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "atanh")
    }

    def __init__(self) -> None:
        super().__init__({"strict": True, "allow_unknown_functions": False, "math_macros": {}})
        self.known_functions = dict(self.functions)

    def _print_Pow(self, expr: Any) -> str:
        base = self._print(expr.base)
        if expr.exp == sp.Rational(1, 2):
            return f"csqrt({base})"
        if expr.exp == -sp.Rational(1, 2):
            return f"(1.0/csqrt({base}))"
        if expr.exp.is_Integer:
            return f"(1.0/({base}))" if expr.exp == -1 else f"rmt_power({base}, {int(expr.exp)})"
        return f"cpow({base}, {self._print(expr.exp)})"

    def _print_ExpBase(self, expr: Any) -> str:
        return f"cexp({self._print(expr.exp)})"

    def _print_coth(self, expr: Any) -> str:
        return f"(1.0/ctanh({self._print(expr.args[0])}))"

    def _print_cot(self, expr: Any) -> str:
        return f"(1.0/ctan({self._print(expr.args[0])}))"

    def _print_ImaginaryUnit(self, _expr: Any) -> str:
        return "I"

    def _print_NumberSymbol(self, expr: Any) -> str:
        return repr(float(expr))


class _RealPrinter(C99CodePrinter):  # type: ignore[misc]
    """C99 expressions of type ``double``."""

    def _print_NumberSymbol(self, expr: Any) -> str:
        return repr(float(expr))


def c_source(derivation: Derivation, name: str) -> str:
    """See `Derivation.to_c`."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"name={name!r}: expected a C identifier")
    parameters = {p: sp.Symbol(f"p[{k}]") for k, p in enumerate(derivation.parameters)}
    parts: list[str] = []
    system = derivation.system
    swap = parameters | {u: sp.Symbol(f"u[{k}]") for k, u in enumerate(system.unknowns)}
    swap[derivation.z] = sp.Symbol("z")
    rows = [f.xreplace(swap) for f in system.residuals]
    entries = [entry.xreplace(swap) for row in system.jacobian for entry in row]
    targets = [*(f"f[{k}]" for k in range(len(rows))), *(f"jacobian[{k}]" for k in range(len(entries)))]
    parts += [
        f"void {name}_residual(const double complex *u, double complex z, const double *p,",
        "    double complex *f, double complex *jacobian)",
        "{",
        *_body([*rows, *entries], targets),
        "}",
        f"double complex {name}_cauchy(const double complex *u, double complex z, const double *p)",
        "{",
        f"    return {_printed(system.value.xreplace(swap))};",
        "}",
    ]
    parts += _density(derivation, name, parameters)
    helper = [_POWER] if any("rmt_power" in part for part in parts) else []
    head = [f"/* {derivation.subject.replace('*/', '* /')}", *_legend(derivation), "*/", _HEAD, *helper]
    return "\n".join([*head, *parts]) + "\n"


def _legend(derivation: Derivation) -> list[str]:
    unknowns = ", ".join(f"u[{k}] = {u}" for k, u in enumerate(derivation.system.unknowns))
    parameters = ", ".join(f"p[{k}] = {p}" for k, p in enumerate(derivation.parameters))
    return [f"   unknowns: {unknowns}", f"   parameters: {parameters or 'none'}"]


def _density(derivation: Derivation, name: str, parameters: dict[Any, Any]) -> list[str]:
    head = [f"double {name}_density(double x, const double *p)", "{"]
    explicit = [piece for piece in derivation.density if piece.position == piece.parameter]
    if explicit and len(explicit) == len(derivation.density):
        lines = ["    double out = 0;"]
        for piece in explicit:
            swap = parameters | {piece.parameter: sp.Symbol("x")}
            value, lower, upper = (_real(e.xreplace(swap)) for e in (piece.value, piece.lower, piece.upper))
            lines.append(f"    if (x >= {lower} && x <= {upper}) out += {value};")
        return [*head, *lines, "    return out;", "}"]
    if derivation.solution is None:
        return []
    value = derivation.solution.xreplace(parameters | {derivation.z: sp.Symbol("z")})
    return [
        *head,
        "    /* from above the axis: the height tells functions with cuts the side */",
        "    double complex z = CMPLX(x, 1e-290), g;",
        *_body([value], ["g"]),
        f"    double out = -cimag(g)/{float(sp.pi)!r};",
        "    return out > 0 ? out : 0;",
        "}",
    ]


def _body(expressions: list[Any], targets: list[str]) -> list[str]:
    shared, reduced = sp.cse(expressions, symbols=(sp.Symbol(f"t{k}") for k in range(10**6)))
    lines = [f"    double complex {symbol} = {_printed(value)};" for symbol, value in shared]
    return [*lines, *(f"    {target} = {_printed(value)};" for target, value in zip(targets, reduced, strict=True))]


def _real(expression: Any) -> str:
    """C99 of an expression with real values."""
    numbers = {root: sp.N(root, 17) for root in sp.sympify(expression).atoms(sp.CRootOf)}
    return str(_RealPrinter({"math_macros": {}}).doprint(expression.xreplace(numbers)))


def _printed(expression: Any) -> str:
    try:
        return str(_Printer().doprint(expression))
    except PrintMethodNotImplementedError as error:
        raise NotImplementedError(
            f"{expression}: C99 has no complex function for it ({error}); use derivation.lambdify()"
        ) from error
