"""Derivations of laws whose equation is one of matrices: gated layers, and polynomials in free variables."""

from __future__ import annotations

import itertools
from typing import Any

import sympy as sp

from rmt.algebra.affine import Affine
from rmt.algebra.gated import GatedLayer
from rmt.algebra.polynomial_law import PolynomialLaw
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.symbolic.derivation import Derivation, Step, to_sympy
from rmt.symbolic.dispatch import derive
from rmt.symbolic.letters import G, z
from rmt.symbolic.subordination import finish

__all__: list[str] = []

# Beyond so many pairs of gates the averages are written with an index.
_MOST_GATES = 16
SPEICHER = "Belinschi, Mai, Speicher 2017"


@derive.register
def _(law: GatedLayer) -> Derivation:
    s = to_sympy(law.variance)
    y, t = sp.symbols("y t")
    if len(law.gates) <= _MOST_GATES:
        gates = [(to_sympy(d1) ** 2, to_sympy(d2) ** 2, to_sympy(p)) for (d1, d2), p in law.gates]
        first = sp.Add(*(p / (y - a - t * b) for a, b, p in gates))
        second = sp.Add(*(p * b / (y - a - t * b) for a, b, p in gates))
    else:
        d1, d2, mass = (sp.IndexedBase(name) for name in ("D1", "D2", "p"))
        k = sp.Symbol("k", integer=True)
        den, span = y - d1[k] ** 2 - t * d2[k] ** 2, (k, 1, len(law.gates))
        first, second = sp.Sum(mass[k] / den, span), sp.Sum(mass[k] * d2[k] ** 2 / den, span)
    equation = sp.Eq(G * (1 + s * second), first, evaluate=False)
    constraints = (
        sp.Eq(z, y * (1 + s * second), evaluate=False),
        sp.Eq(t * (1 + s * second), s * y * first, evaluate=False),
    )
    w, a, b = sp.symbols("w D_1 D_2")
    steps = (
        Step(
            "Hermitisation",
            sp.Eq(sp.Symbol("H"), sp.Matrix([[0, a + b * w], [sp.Symbol("(D_1 + D_2 w)^*"), 0]]), evaluate=False),
            "$J = D_1 + D_2 W$; the diagonal entries of the resolvent of $H$ at $z^{1/2}$ are averages over the gates.",
            "derived here",
        ),
        Step(
            "Dyson equation",
            (equation, *constraints),
            "W is Gaussian of variance $s$: the self-energy is $s$ times the averages of the resolvent over the other "
            "half; with $y = z/(1 + s B)$, $A$ and $B$ the means of $1/(y - D_1^2 - t D_2^2)$ and of $D_2^2$ "
            "times it, $G = A/(1 + s B)$ and $t = s y A/(1 + s B)$.",
            "derived here",
            sp.Eq(sp.Symbol("H"), sp.Matrix([[0, a + b * w], [sp.Symbol("(D_1 + D_2 w)^*"), 0]]), evaluate=False),
        ),
    )
    return finish(law, equation, constraints, {y: z, t: s}, steps)


@derive.register
def _(law: PolynomialLaw) -> Derivation:
    constant, matrices = _pencil(law)
    size = constant.shape[0]
    corner = sp.zeros(size)
    corner[0, 0] = z
    B = sp.MatrixSymbol("B", size, size)
    names = [sp.MatrixSymbol(f"A_{name}", size, size) for name in ("0", *law.names)]
    variables = [sp.Symbol(name, commutative=False) for name in law.names]
    p = sp.Add(*(to_sympy(c) * sp.Mul(*(variables[k] for k in word)) for c, word in law.terms))
    pencil = tuple(sp.Eq(name, value, evaluate=False) for name, value in zip(names, (constant, *matrices), strict=True))
    linearised = Step(
        "Linearisation",
        pencil,
        "$z - p(x)$ is a Schur complement of $z E_{11} - A_0$ minus the sum of the $A_i x_i$, so that the Cauchy "
        "transform of $p$ is the corner of that of the pencil; the matrices are minimal, from the Hankel matrix of the "
        "coefficients.",
        "Anderson 2013; derived here",
        p,
    )
    entries = sp.Matrix(size, size, lambda i, j: G if i == j == 0 else sp.Symbol(f"b_{i + 1}{j + 1}"))
    extra: list[Any] = []
    starts: dict[Any, Any] = {}
    total = sp.zeros(size)
    symbolic: list[Any] = []
    for k, (part, matrix) in enumerate(zip(law.laws, matrices, strict=True), 1):
        known = _matrix_r(part, matrix, entries, k)
        if known is None:
            symbolic.append(k)
            continue
        value, equations, begin = known
        total += value
        extra += equations
        starts |= begin
    inner = sp.eye(size)
    # without words of three letters the lower block tends to the inverse of K, which is -A_0 there
    simple = all(matrix[1:, 1:].is_zero_matrix for matrix in matrices)
    if symbolic or not simple:
        omega = [sp.MatrixSymbol(f"Omega_{name}", size, size) for name in law.names]
        z_matrix = sp.ImmutableDenseMatrix(corner - constant)
        balance = sp.Eq(sp.MatAdd(*omega), z_matrix + (len(law.laws) - 1) * B.inv(), evaluate=False)
        means = tuple(
            sp.Eq(B, sp.Function("E")((omega[k] - names[k + 1] * sp.Symbol(law.names[k])).inv()), evaluate=False)
            for k in range(len(law.laws))
        )
        equation: Any = sp.Eq(G, B[0, 0], evaluate=False)
        step = Step(
            "Matrix-valued subordination",
            (equation, balance, *means),
            "Each variable is taken at its own matrix $Omega_k$, where the pencil's resolvent has the mean $B$ of the "
            "whole; matrix-valued R-transforms add.",
            SPEICHER,
            pencil,
        )
        return finish(law, equation, (balance, *means), {}, (linearised, step))
    system = entries * (corner - constant - total) - inner
    flat = [sp.Eq(sp.expand(entry), 0, evaluate=False) for entry in system]
    lower = (-constant[1:, 1:]).inv()
    for i, j in itertools.product(range(size), repeat=2):
        if (i, j) != (0, 0):
            starts = {entries[i, j]: lower[i - 1, j - 1] if i and j else sp.Integer(0)} | starts
    step = Step(
        "Matrix-valued R-transform",
        (*flat, *extra),
        "With $B$ the mean of the pencil's resolvent, $G = b_{11}$: $B (z E_{11} - A_0 - R(B)) = 1$, entry by entry; R "
        "adds over the free variables.",
        SPEICHER,
        pencil,
    )
    return finish(law, flat[0], (*flat[1:], *extra), starts, (linearised, step))


def _matrix_r(law: Any, matrix: Any, b: Any, index: int) -> tuple[Any, list[Any], dict[Any, Any]] | None:
    """Matrix-valued R of A x at B, with auxiliary equations and their starts; None for laws that have none here."""
    scale, shift = sp.Integer(1), sp.Integer(0)
    if isinstance(law, Affine):
        scale, shift, law = to_sympy(law.scale), to_sympy(law.shift), law.law
    scaled = scale * matrix
    if isinstance(law, Semicircle):
        mean = to_sympy(law.mean_value)
        return shift * matrix + mean * scaled + to_sympy(law.variance) * scaled * b * scaled, [], {}
    if isinstance(law, MarchenkoPastur):
        size = matrix.shape[0]
        inverse = sp.Matrix(size, size, lambda i, j: sp.Symbol(f"c{index}_{i + 1}{j + 1}"))
        system = (sp.eye(size) - to_sympy(law.ratio) * b * scaled) * inverse - sp.eye(size)
        equations = [sp.Eq(sp.expand(entry), 0, evaluate=False) for entry in system]
        starts = {inverse[i, j]: sp.Integer(int(i == j)) for i in range(size) for j in range(size)}
        return shift * matrix + scaled * inverse, equations, starts
    return None


def _pencil(law: PolynomialLaw) -> tuple[Any, list[Any]]:
    """(A_0, [A_i]), exact: the Hankel construction of `rmt.numeric.linearisation` without its scaling."""
    terms = {word: to_sympy(c) for c, word in law.terms}
    words = sorted({word[k:] for word in terms for k in range(1, len(word))}, key=lambda word: (len(word), word))

    def hankel(middle: tuple[int, ...], rows: list[Any], columns: list[Any]) -> Any:
        return sp.Matrix(
            len(rows), len(columns), lambda i, j: terms.get(rows[i][::-1] + middle + columns[j], sp.Integer(0))
        )

    whole = hankel((), words, words)
    rank = whole.rank()
    kept = next(
        [words[k] for k in choice]
        for choice in itertools.combinations(range(len(words)), rank)
        if hankel((), [words[k] for k in choice], [words[k] for k in choice]).det() != 0
    )
    constant = sp.diag(sp.Matrix([[terms.get((), sp.Integer(0))]]), -hankel((), kept, kept))
    matrices = []
    for i in range(len(law.laws)):
        border = hankel((), kept, [(i,)])
        top = sp.Matrix([[terms.get((i,), sp.Integer(0))]]).row_join(-border.H)
        matrices.append(top.col_join((-border).row_join(hankel((i,), kept, kept))))
    return constant, matrices
