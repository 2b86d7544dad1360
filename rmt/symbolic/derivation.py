"""A derivation: the equation of a law with the steps that lead to it, ready to be read, printed or computed with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from rmt import series
from rmt.symbolic import codegen, forms
from rmt.symbolic.letters import G, g, m, z
from rmt.symbolic.solutions import cubic_density, explicit_solution
from rmt.symbolic.system import System, evaluator

__all__ = ["Derivation", "G", "ParametricDensity", "Step", "g", "m", "to_sympy", "z"]


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
    if isinstance(value, complex):
        real, imaginary = (int(v) if v.is_integer() else v for v in (value.real, value.imag))
        return to_sympy(real) + sp.I * to_sympy(imaginary)
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
    before : sympy object, or a tuple of them
        What it starts from; empty for a starting point: a definition, or a known law.
    """

    title: str
    formula: Any
    reason: str
    source: str = ""
    before: Any = ()

    @property
    def formulas(self) -> tuple[Any, ...]:
        """The formulas one by one, also where there is only one."""
        return self.formula if isinstance(self.formula, tuple) else (self.formula,)

    @property
    def premises(self) -> tuple[Any, ...]:
        """What `before` holds, one by one."""
        return self.before if isinstance(self.before, tuple) else (self.before,)


@dataclass(frozen=True)
class ParametricDensity:
    """A piece of the density in closed form, as a curve: at x = `position` the density is `value`.

    Attributes
    ----------
    parameter : sympy.Symbol
        The parameter of the curve; x itself where the density is a function of x in closed form.
    position, value : sympy expression
        x and the density, in the parameter.
    lower, upper : sympy expression or sympy.Eq
        The interval of the parameter; an equation where its end solves one, as the smallest positive root.
    """

    parameter: Any
    position: Any
    value: Any
    lower: Any
    upper: Any


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
    starts : mapping of symbol to expression in z
        The auxiliary unknowns, each with its behaviour as z tends to infinity, which selects the solution.
    residual : tuple (expression in m and z, expression in z), or None
        What vanishes with `equation` and is better behaved on the way from infinity, the logarithm of a product, with
        the behaviour of m at infinity.
    closed_form : sympy expression in z, or None
        G(z) on the upper half-plane where a rule knows it; `solution` has also what follows from the equation.
    pieces : tuple of ParametricDensity
        The density in closed form where a rule knows it; `density` has also what follows from the equation.
    criterion : sympy.Eq, or None
        When the law is critical, where that is not "mean 1".
    image : tuple (Derivation, expression, expression), or None
        The law that this one is an image of, its spectral variable in terms of z, and G in terms of that law's G and z,
        where the equation is solved by way of that law.
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
    starts: Mapping[Any, Any] = field(default_factory=dict)
    residual: Any = None
    closed_form: Any = None
    pieces: tuple[ParametricDensity, ...] = ()
    criterion: Any = None
    image: tuple[Derivation, Any, Any] | None = None
    G: Any = G
    z: Any = z
    m: Any = m
    g: Any = g

    @property
    def unknowns(self) -> tuple[Any, ...]:
        """The auxiliary unknowns, which `constraints` determine."""
        return tuple(self.starts)

    @property
    def parameters(self) -> tuple[Any, ...]:
        """Free symbols of the equations beside G, z and the auxiliary unknowns, by name."""
        symbols = self.equation.free_symbols.union(*(c.free_symbols for c in self.constraints))
        return tuple(sorted(symbols - {self.G, self.z, self.m, self.g, *self.unknowns}, key=str))

    # --- the equation in other forms ------------------------------------------------------------------------------

    @cached_property
    def solution(self) -> Any:
        """G(z) in closed form, valid on the upper half-plane and on the real axis as a limit from above; None without.

        Roots of quadratic and cubic equations are given with the physical branch: that of the quadratic is proved by
        the expansion at infinity, that of the cubic is checked along paths from infinity.
        """
        if self.closed_form is not None:
            return self.closed_form
        return None if self.constraints else explicit_solution(self.equation)

    @cached_property
    def density(self) -> tuple[ParametricDensity, ...]:
        """Pieces of the density of the continuous part in closed form; empty where it has none.

        For a cubic equation with numbers for coefficients, by Cardano's formula on the real axis.
        """
        if self.pieces or self.constraints:
            return self.pieces
        return tuple(ParametricDensity(x, x, *piece) for x, *piece in cubic_density(self.equation))

    @cached_property
    def equation_in_m(self) -> Any:
        """The equation in (m, z), m = zG - 1; `constraints_in_m` are those of the auxiliary unknowns."""
        return forms.in_m(self.equation)

    @cached_property
    def constraints_in_m(self) -> tuple[Any, ...]:
        """`constraints` in (m, z)."""
        return tuple(forms.in_m(c) for c in self.constraints)

    @cached_property
    def s_equation(self) -> Any:
        """What S(m) satisfies: the equation in the symbols (S, m), also where S has no closed form."""
        return forms.in_s(self.equation)

    @cached_property
    def r_equation(self) -> Any:
        """What R(g) satisfies: the equation in the symbols (R, g), also where R has no closed form."""
        return forms.in_r(self.equation)

    @property
    def t_transform(self) -> Any:
        """T(m) = 1/S(m) (Dykema's convention), or None."""
        return None if self.s_transform is None else 1 / self.s_transform

    @cached_property
    def eta_transform(self) -> Any:
        """eta(w) = psi/(1 + psi) = 1 - w/G(1/w) at w = 1/z, in the symbol w, or None without a closed form of G."""
        return None if self.solution is None else forms.eta_of(self.solution)

    @cached_property
    def eta_equation(self) -> Any:
        """What eta(w) satisfies: the equation in the symbols (eta, w), w = 1/z."""
        return forms.in_eta(self.equation)

    @property
    def criticality(self) -> Any:
        """The condition that the law is critical: mean 1, for a network mean squared singular value of a layer 1."""
        return sp.Eq(self.mean, 1) if self.criterion is None else self.criterion

    # --- numbers and code -----------------------------------------------------------------------------------------

    @cached_property
    def system(self) -> System:
        """The equations as a square system F(u, z) = 0 with the behaviour of u at infinity."""
        if len(self.starts) != len(self.constraints) or not self.equation.has(self.G):
            raise NotImplementedError(
                f"{self.subject}: its equation is written with objects that are no numbers; ask the law for its curve"
            )
        rest = [c.lhs - c.rhs for c in self.constraints]
        if self.residual is None:
            lead, first, start, value = self.G, self.equation.lhs - self.equation.rhs, 1 / self.z, self.G
        else:
            lead, (first, start), value = self.m, self.residual, (1 + self.m) / self.z
            rest = [c.subs(self.G, value) for c in rest]
        return System((lead, *self.starts), (first, *rest), (start, *self.starts.values()), value)

    def lambdify(self, quantity: str = "density") -> Callable[..., Any]:
        """A numpy function of the formula: ``density(x, **parameters)`` or ``cauchy(z, **parameters)``.

        It knows nothing of the numeric engine of the law: it evaluates the density or `solution` where there is one in
        closed form, and otherwise follows the root of `equation` with G ~ 1/z from far up the imaginary direction down
        to the point, by Newton steps whose size adapts, and lands on the real axis exactly. The density is that of the
        continuous part, 0 outside the support.

        Parameters
        ----------
        quantity : str
            ``"density"`` of real x, or ``"cauchy"``, G(z) for Im z >= 0.

        Returns
        -------
        callable
            Array in, array of the same shape out; scalar in, scalar out. Parameters are keywords with the names of
            `parameters`; a missing or unknown one raises TypeError. Points where the root was not resolved (edges,
            atoms) raise `rmt.ConvergenceError`.

        Raises
        ------
        ValueError
            For another quantity.
        NotImplementedError
            If the equation contains what has no numeric function.
        """
        return evaluator(self, quantity)

    def to_c(self, name: str = "law") -> str:
        """C99 source: ``<name>_density`` for an explicit density or solution, ``<name>_residual`` of the system always.

        ``void <name>_residual(const double complex *u, double complex z, const double *p, double complex *f,
        double complex *jacobian)`` evaluates F(u, z) of `system` and its derivatives by u, row by row; u[0] is G, or m
        where the system is written in m, the rest the auxiliary unknowns. ``double complex <name>_cauchy(const double
        complex *u, double complex z, const double *p)`` is G of a solution. ``double <name>_density(double x, const
        double *p)`` is there where `density` or `solution` is explicit.
        p holds the parameters in the order of `parameters`, which a comment repeats.

        Raises
        ------
        ValueError
            If `name` is no C identifier.
        NotImplementedError
            If a function of the equation does not exist in C99 for complex arguments.
        """
        return codegen.c_source(self, name)

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
            if step.premises:
                lines.append(f"From ${_joined(step.premises)}$:")
            lines.extend(rf"\[ {sp.latex(formula)} \]" for formula in step.formulas)
        return "\n".join([*lines, r"\end{enumerate}"])

    def to_markdown(self) -> str:
        """The steps as numbered Markdown paragraphs, formulas in ``$$`` blocks."""
        blocks = [f"## {self.subject}"]
        for number, step in enumerate(self.steps, 1):
            source = f" *({step.source})*" if step.source else ""
            blocks.append(f"**{number}. {step.title}.** {step.reason}{source}")
            if step.premises:
                blocks.append(f"From ${_joined(step.premises)}$:")
            blocks.extend(f"$$\n{sp.latex(formula)}\n$$" for formula in step.formulas)
        return "\n\n".join(blocks) + "\n"

    def _repr_latex_(self) -> str:
        equations = r" \\ ".join(sp.latex(e) for e in (self.equation, *self.constraints))
        return rf"$\displaystyle \begin{{gathered}} {equations} \end{{gathered}}$"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return f"<Derivation of {self.subject} in {len(self.steps)} steps: {_plain(self.equation)}>"

    def __str__(self) -> str:
        lines = [self.subject]
        for number, step in enumerate(self.steps, 1):
            source = f" ({step.source})" if step.source else ""
            lines.append(f"{number}. {step.title}. {_prose(step.reason)}{source}")
            lines.extend(f"     from {_plain(formula)}" for formula in step.premises)
            lines.extend(f"     {_plain(formula)}" for formula in step.formulas)
        return "\n".join(lines)


def _joined(formulas: tuple[Any, ...]) -> str:
    return r",\quad ".join(str(sp.latex(formula)) for formula in formulas)


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
