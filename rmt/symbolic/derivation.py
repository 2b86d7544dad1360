"""A derivation: the equation of a law with the steps that lead to it, ready to be read, printed or computed with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from rmt import series

__all__ = ["Derivation", "G", "Step", "g", "m", "to_sympy", "z"]

# The symbols of every derivation, without assumptions, so that a user's sympy.symbols("G z m") are the same.
G, z, m, g = sp.symbols("G z m g")


def to_sympy(value: Any) -> Any:
    """Sympy number or expression of a parameter: int and Fraction exactly, a float as a sympy Float.

    Raises
    ------
    TypeError
        If `value` is neither a number nor a sympy expression; text is never parsed.
    """
    if isinstance(value, sp.Basic):
        return value
    if isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    if isinstance(value, int):
        return sp.Integer(value)
    if isinstance(value, float):
        return sp.Float(value)
    raise TypeError(f"parameter {value!r}: give an int, a Fraction, a float or a sympy expression")


@dataclass(frozen=True)
class Step:
    """One step of a derivation.

    Attributes
    ----------
    title : str
        What is done.
    formula : sympy object, or a tuple of them
        What it gives.
    reason : str
        Why it holds; inline mathematics stands between dollar signs.
    source : str
        Paper and equation, or "derived here".
    """

    title: str
    formula: Any
    reason: str
    source: str = ""

    @property
    def formulas(self) -> tuple[Any, ...]:
        """The formulas one by one, also where there is only one."""
        return self.formula if isinstance(self.formula, tuple) else (self.formula,)


@dataclass(frozen=True, eq=False, repr=False)
class Derivation:
    """The formula reading of a law: equation, transforms, edges, moments, and the steps that lead to them.

    Attributes
    ----------
    subject : str
        What was derived.
    steps : tuple of Step
        The derivation in order.
    equation : sympy.Eq
        What the Cauchy transform ``G(z) = ∫ mu(dx)/(z-x)`` satisfies; the law is the solution with G ~ 1/z at infinity.
    s_transform : sympy expression in m, or None
        Closed form of S(m), m = zG - 1, possibly in the unknowns that `constraints` determine; None without one.
    r_transform : sympy expression in g, or None
        Closed form of R(g) = G^{-1}(g) - 1/g; None without one.
    edges : tuple
        Edges of the continuous part in increasing order; where they have no closed form, the one equation
        (sympy.Eq) that the critical points of z solve, in the variable it contains (m, g, an unknown of `constraints`
        or z itself); empty where there is no continuous part or no equation.
    constraints : tuple of sympy.Eq
        Equations of the auxiliary unknowns of `equation` and `s_transform`; empty where there are none.
    definitions : tuple of sympy.Eq
        What the symbols of the equation stand for in the object that was derived, such as c for a network.
    moment_rule : callable
        n -> [m_1, ..., m_n].
    G, z, m, g : sympy.Symbol
        The symbols of the formulas: Cauchy transform, spectral variable, m = zG - 1, argument of R.
    """

    subject: str
    steps: tuple[Step, ...]
    equation: Any
    s_transform: Any
    r_transform: Any
    edges: tuple[Any, ...]
    moment_rule: Callable[[int], list[Any]]
    constraints: tuple[Any, ...] = ()
    definitions: tuple[Any, ...] = ()
    G: Any = G
    z: Any = z
    m: Any = m
    g: Any = g

    @property
    def parameters(self) -> tuple[Any, ...]:
        """Free symbols of the equation beside G and z, by name; auxiliary unknowns are among them."""
        symbols = self.equation.free_symbols.union(*(c.free_symbols for c in self.constraints))
        return tuple(sorted(symbols - {self.G, self.z, self.m, self.g}, key=str))

    def moments(self, n: int) -> list[Any]:
        """Moments m_1 … m_n as sympy expressions, exact where the parameters are."""
        return self.moment_rule(n)

    @property
    def mean(self) -> Any:
        """First moment."""
        return self.moments(1)[0]

    @property
    def variance(self) -> Any:
        """Second central moment."""
        m1, m2 = self.moments(2)
        return sp.factor_terms(sp.expand(m2 - m1**2))

    def free_cumulants(self, n: int) -> list[Any]:
        """Free cumulants κ_1 … κ_n as sympy expressions."""
        return [sp.factor_terms(sp.expand(to_sympy(k))) for k in series.moments_to_free_cumulants(self.moments(n))]

    def latex(self) -> str:
        r"""The steps as a LaTeX ``enumerate`` environment with displayed formulas."""
        lines = [r"\begin{enumerate}"]
        for step in self.steps:
            source = f" ({_escape(step.source)})" if step.source else ""
            lines.append(rf"\item \textbf{{{_escape(step.title)}.}} {_commands(step.reason)}{source}")
            lines.extend(rf"\[ {sp.latex(formula)} \]" for formula in step.formulas)
        return "\n".join([*lines, r"\end{enumerate}"])

    def to_markdown(self) -> str:
        """The steps as numbered Markdown paragraphs, formulas in ``$$`` blocks."""
        blocks = [f"## {self.subject}"]
        for number, step in enumerate(self.steps, 1):
            source = f" *({step.source})*" if step.source else ""
            blocks.append(f"**{number}. {step.title}.** {step.reason}{source}")
            blocks.extend(f"$$\n{sp.latex(formula)}\n$$" for formula in step.formulas)
        return "\n\n".join(blocks) + "\n"

    def _repr_latex_(self) -> str:
        equations = r" \\ ".join(sp.latex(e) for e in (self.equation, *self.constraints))
        return rf"$\displaystyle \begin{{gathered}} {equations} \end{{gathered}}$"

    def __repr__(self) -> str:
        return f"<Derivation of {self.subject} in {len(self.steps)} steps: {_plain(self.equation)}>"

    def __str__(self) -> str:
        lines = [self.subject]
        for number, step in enumerate(self.steps, 1):
            source = f" ({step.source})" if step.source else ""
            lines.append(f"{number}. {step.title}. {_prose(step.reason)}{source}")
            lines.extend(f"     {_plain(formula)}" for formula in step.formulas)
        return "\n".join(lines)


def _prose(text: str) -> str:
    """Reasons as plain text: no dollar signs, and the names of LaTeX's commands as words."""
    return re.sub(r"\\([A-Za-z]+)", r"\1", text.replace("$", ""))


def _plain(formula: Any) -> str:
    if isinstance(formula, sp.Eq):
        return f"{sp.sstr(formula.lhs)} = {sp.sstr(formula.rhs)}"
    return str(sp.sstr(formula))


# Reasons are written with Greek letters, which read well as plain text; LaTeX wants their commands.
_COMMANDS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Λ": "Lambda", "Φ": "Phi", "±": "pm", "≤": "le",
    "≥": "ge", "≠": "ne", "→": "to", "∞": "infty", "⋯": "cdots", "…": "dots", "⟨": "langle", "⟩": "rangle", "·": "cdot",
    "×": "times",
}  # fmt: skip
_LETTERS = re.compile("|".join(_COMMANDS))


def _commands(text: str) -> str:
    """Letters as commands, in formulas of their own where they stand in the prose."""
    pieces = text.split("$")
    pieces[::2] = [_LETTERS.sub(lambda match: rf"$\{_COMMANDS[match[0]]}$", piece) for piece in pieces[::2]]
    pieces[1::2] = [_LETTERS.sub(lambda match: rf"\{_COMMANDS[match[0]]} ", piece) for piece in pieces[1::2]]
    return "$".join(pieces)


def _escape(text: str) -> str:
    return re.sub(r"([&%#_])", r"\\\1", text)
