"""The polynomial method of Rao and Edelman, row by row, and the laws that it leads to.

In these rows G_A and z_A belong to the law that is transformed, here ½(δ_1 + δ_3) where the row allows any; the point
(G_A, z_A) of its curve is found from the result's (G, z) by an invariant of the operation and the closed form of the
inverse. The literature writes m = -G. This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

import rmt
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.symbolic.derivation import G, Step, z
from theory.catalogue.free_probability import two_atoms
from theory.catalogue.published import Entry, Witness, eq

__all__ = ["build"]

RAO = "Rao, Edelman 2008"
mt, zt = sp.symbols("m_A z_A")
mb, zb = sp.symbols("m z")
c, s = sp.symbols("c s", real=True)
p, q, r, t = sp.symbols("p q r s", real=True)
_POINTS = (2.5 + 1.5j, -1.0 + 0.8j, 6.0 + 0.7j)
_ATOMS = Discrete({1: Fraction(1, 2), 3: Fraction(1, 2)})
_M = (
    "$m = -G$ is the transform of the result at $z$, $m_A$ that of $A$ at $z_A$: the polynomial of the "
    "result is that of "
)
_M += "$A$ at $(m_A, z_A)$, cleared of denominators."
_VOICULESCU = ("Voiculescu1986", "")


def _row(
    key: str, title: str, images: tuple[Any, Any], note: str, step: Step, witnesses: Any, witnessed_by: str, **more: Any
) -> Entry:
    return Entry(
        key=f"polynomial-{key}",
        title=title,
        statement=(eq(mt, images[0]), eq(zt, images[1])),
        hypotheses=(note, _M),
        source=(("RaoEdelman2008", ""),),
        steps=(step,),
        witnesses=witnesses,
        witnessed_by=witnessed_by,
        **more,
    )


_INVERTED = "the numeric system of the result, and the inverse transform of two atoms in closed form"


def _wigner() -> Entry:
    def witnesses() -> Iterator[Witness]:
        law = _ATOMS + Semicircle(Fraction(7, 10))
        for point in _POINTS:
            cauchy = law.cauchy(point)
            yield {mb: -cauchy, zb: point, s: 0.7, mt: -cauchy, zt: two_atoms(cauchy, of="G")}

    return _row(
        "plus-wigner",
        "Polynomial method: adding a Wigner matrix",
        (mb, zb + s * mb),
        "$A + W$, $W$ a free semicircular element of variance $s$.",
        Step("R-transform", (eq(sp.Symbol("R_W"), -s * mb),), "$R(g) = s g$; $ω_A = z - R_W(G)$.", "Voiculescu 1986"),
        witnesses,
        _INVERTED,
        derivation_of=lambda: rmt.derive(_ATOMS + Semicircle(sp.Symbol("s", positive=True))),
        law=lambda s: _ATOMS + Semicircle(s),
        arguments=({"s": 0.7},),
    )


def _plus_wishart() -> Entry:
    def witnesses() -> Iterator[Witness]:
        law = _ATOMS + MarchenkoPastur(Fraction(2, 5))
        for point in _POINTS:
            cauchy = law.cauchy(point)
            yield {mb: -cauchy, zb: point, c: 0.4, mt: -cauchy, zt: two_atoms(cauchy, of="G")}

    return _row(
        "plus-wishart",
        "Polynomial method: adding a Wishart matrix",
        (mb, zb - 1 / (1 + c * mb)),
        "$A + X X^T$, $X$ of ratio $c$ with entries of variance $1/n$.",
        Step(
            "R-transform", (eq(sp.Symbol("R_X"), 1 / (1 + c * mb)),), "$R(g) = 1/(1 - c g)$.", "Marchenko, Pastur 1967"
        ),
        witnesses,
        _INVERTED,
        derivation_of=lambda: rmt.derive(_ATOMS + MarchenkoPastur(sp.Symbol("c", positive=True))),
        law=lambda c: _ATOMS + MarchenkoPastur(c),
        arguments=({"c": 0.4},),
    )


def _times_wishart() -> Entry:
    def witnesses() -> Iterator[Witness]:
        law = _ATOMS @ MarchenkoPastur(Fraction(2, 5))
        for point in _POINTS:
            cauchy = law.cauchy(point)
            psi = point * cauchy - 1
            inner = two_atoms(psi, of="psi")
            yield {mb: -cauchy, zb: point, c: 0.4, mt: -(1 + psi) / inner, zt: inner}

    factor = 1 - c - c * zb * mb
    return _row(
        "times-wishart",
        "Polynomial method: multiplying by a Wishart matrix",
        (mb * factor, zb / factor),
        "$A^{1/2} X X^T A^{1/2}$, $X$ of ratio $c$.",
        Step(
            "S-transform",
            (eq(sp.Symbol("S_X"), 1 / factor),),
            "$S(ψ) = 1/(1 + c ψ)$ and $ψ = -z m - 1$: $z_A = z S_X$, with the same $ψ$.",
            "Voiculescu 1987",
        ),
        witnesses,
        _INVERTED,
        derivation_of=lambda: rmt.derive(_ATOMS @ MarchenkoPastur(sp.Symbol("c", positive=True))),
        law=lambda c: _ATOMS @ MarchenkoPastur(c),
        arguments=({"c": 0.4},),
    )


def _grammian() -> Entry:
    def witnesses() -> Iterator[Witness]:
        ratio, strength = 0.5, 0.3
        law = rmt.RectangularSum((_ATOMS, strength * MarchenkoPastur(Fraction(1, 2))), Fraction(1, 2))
        for point in _POINTS:
            value = -law.cauchy(point)
            # the invariant: rectangular R-transforms add at h = (1 + ψ)(1 + c ψ)/z, and ψ of the noise is s h
            psi = -point * value - 1
            h = (1 + psi) * (1 + ratio * psi) / point
            inner = psi - strength * h
            where = two_atoms(inner, of="psi")
            yield {mb: value, zb: point, c: ratio, s: strength, mt: -(1 + inner) / where, zt: where}

    factor = 1 + s * c * mb
    return _row(
        "grammian",
        "Polynomial method: information plus noise",
        (mb / factor, factor**2 * zb + factor * s * (c - 1)),
        "$(B + \\sqrt{s} X)(B + \\sqrt{s} X)^T$ with $A = B B^T$, $X$ of shape $p × n$, $c = p/n$, "
        "entries of variance $1/n$.",
        Step(
            "Equation of Dozier and Silverstein",
            (eq(mb, factor * mt),),
            "$m = \\int μ_A(dx) (x/(1+scm) - (1+scm) z + s(1-c))^{-1}$.",
            "Dozier, Silverstein 2007",
        ),
        witnesses,
        "the numeric system of a rectangular free sum",
        law=lambda s: rmt.RectangularSum((_ATOMS, s * MarchenkoPastur(Fraction(1, 2))), Fraction(1, 2)),
        arguments=({"s": 0.3},),
    )


def _moebius() -> Entry:
    def witnesses() -> Iterator[Witness]:
        for numbers in ((2.0, 1.0, 0.0, 1.0), (1.0, 0.0, 1.0, 2.0), (0.0, 1.0, 1.0, 0.0), (1.0, 3.0, 0.5, 1.0)):
            image = {(numbers[0] * x + numbers[1]) / (numbers[2] * x + numbers[3]): 0.5 for x in (1, 3)}
            for point in _POINTS[:2]:
                # the preimage of the point itself, from the fractions' inverse matrix
                inner = np.linalg.solve(np.array([[numbers[0], numbers[1]], [numbers[2], numbers[3]]]), [point, 1])
                where = complex(inner[0] / inner[1])
                yield {
                    p: numbers[0],
                    q: numbers[1],
                    r: numbers[2],
                    t: numbers[3],
                    zb: point,
                    mb: sum(w / (x - point) for x, w in image.items()),
                    mt: sum(0.5 / (x - where) for x in (1, 3)),
                    zt: where,
                }

    slope = p - r * zb
    return _row(
        "moebius",
        "Polynomial method: fractional linear maps",
        ((slope * mb - r) * slope / (p * t - q * r), (t * zb - q) / slope),
        "$(p A + q)(r A + s)^{-1}$; shifts, scales and inverses are special cases.",
        Step(
            "Partial fractions",
            (eq(sp.Symbol("1/(y - z)"), (r * sp.Symbol("x") + t) / (slope * (sp.Symbol("x") - zt))),),
            "$y = (p x + q)/(r x + s)$; average over $x$ and solve for $m_A$.",
            "derived here",
        ),
        witnesses,
        "atoms moved one by one, at four maps",
    )


def _transpose() -> Entry:
    def witnesses() -> Iterator[Witness]:
        rng = np.random.default_rng(6)
        matrix = rng.normal(size=(4, 6))
        for point in _POINTS[:2]:
            tall, wide = (np.linalg.eigvalsh(gram) for gram in (matrix.T @ matrix, matrix @ matrix.T))
            yield {
                mb: complex(np.mean(1 / (tall - point))),
                zb: point,
                c: Fraction(4, 6),
                mt: complex(np.mean(1 / (wide - point))),
                zt: point,
            }

    return _row(
        "transpose",
        "Polynomial method: transposition",
        (mb / c + (1 - c) / (c * zb), zb),
        "$A = X X^T$, the result $X^T X$, $X$ of shape $p × n$, $c = p/n$.",
        Step(
            "Zeros",
            (eq(mb, c * mt - (1 - c) / zb),),
            "The larger matrix has the same nonzero eigenvalues and $n - p$ zeros.",
            "definition",
        ),
        witnesses,
        "eigenvalues of a random matrix and its transpose",
    )


def _compression() -> Entry:
    def witnesses() -> Iterator[Witness]:
        kept = 0.4
        law = _ATOMS.compress(Fraction(2, 5))
        for point in _POINTS:
            value = -law.cauchy(point)
            # R_q(g) = R(q g) at g = -m: the same R belongs to q g
            inner = two_atoms(-kept * value, of="G")
            yield {mb: value, zb: point, c: kept, mt: kept * value, zt: inner}

    return _row(
        "compression",
        "Polynomial method: compression",
        (c * mb, zb + (1 - 1 / c) / mb),
        "The corner of $U A U^T$, $U$ Haar, of relative size $c$.",
        Step(
            "R-transform",
            (eq(sp.Symbol("R_c"), sp.Function("R")(-c * mb)),),
            "$z = R(c g) + 1/g$ and $z_A = R(c g) + 1/(c g)$, $g = -m$.",
            "Nica, Speicher 2006, lecture 14",
        ),
        witnesses,
        _INVERTED,
        law=lambda q: _ATOMS.compress(q),
        arguments=({"q": 0.4},),
    )


def _square() -> Entry:
    mirrored = sp.Symbol("m_A-")

    def witnesses() -> Iterator[Witness]:
        semicircle, square = Semicircle(1, Fraction(1, 2)), Semicircle(1, Fraction(1, 2)).square()
        for root in (1.3 + 0.9j, 0.4 + 1.2j):
            yield {
                zb: root**2,
                zt: root,
                mt: -semicircle.cauchy(root),
                mirrored: -semicircle.cauchy(-root.conjugate()).conjugate(),
                mb: -square.cauchy(root**2, method="quadrature"),
            }

    return Entry(
        key="polynomial-square",
        title="Polynomial method: squares",
        statement=(eq(zb, zt**2), eq(mb, (mt - mirrored) / (2 * zt))),
        hypotheses=("The law of $A^2$; $m_A$ and $m_{A-}$ are the transforms of $A$ at $z_A$ and at $-z_A$.",),
        source=(("RaoEdelman2008", ""),),
        steps=(
            Step(
                "Partial fractions",
                (
                    eq(
                        1 / (sp.Symbol("x") ** 2 - zb),
                        (1 / (sp.Symbol("x") - zt) - 1 / (sp.Symbol("x") + zt)) / (2 * zt),
                    ),
                ),
                "Average over $x$; eliminate one of the two transforms by a resultant.",
                RAO,
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature of the density of the squares of a shifted semicircle law",
        tolerance=1e-8,
    )


def _explicit(key: str, title: str, polynomial: Any, law: Any, moments: Any) -> Entry:
    def witnesses() -> Iterator[Witness]:
        for point in _POINTS:
            yield {G: law.cauchy(point), z: point}
        for point in (40 + 3j, -35 + 1j):
            values = [1.0, *(float(v) for v in moments(40))]
            yield {G: sum(v * point ** (-k - 1) for k, v in enumerate(values)), z: point}

    return Entry(
        key=key,
        title=title,
        statement=(eq(polynomial, sp.Integer(0)),),
        hypotheses=("The semicircle law has variance 1, the Marchenko-Pastur law ratio 1/2.",),
        source=(("RaoEdelman2008", ""),),
        derivation_of=lambda: rmt.derive(law),
        law=lambda: law,
        arguments=({},),
        witnesses=witnesses,
        witnessed_by="the numeric system of the law, and its moments far out",
        tolerance=1e-9,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    from rmt import series

    half = Fraction(1, 2)
    added, multiplied = Semicircle(1) + MarchenkoPastur(half), Semicircle(1) @ MarchenkoPastur(half)

    def sum_moments(n: int) -> Any:
        cumulants = [half**k for k in range(n)]
        cumulants[1] += 1
        return series.free_cumulants_to_moments(cumulants)

    def product_moments(n: int) -> Any:
        catalan = series.free_cumulants_to_moments([0, 1, *([0] * (n - 2))])
        return series.product_moments(catalan, [(-half) ** k for k in range(n)])

    return (
        _wigner(),
        _plus_wishart(),
        _times_wishart(),
        _grammian(),
        _moebius(),
        _transpose(),
        _compression(),
        _square(),
        _explicit(
            "semicircle-plus-marchenko-pastur",
            "Semicircle law plus Marchenko-Pastur law",
            -(G**3) + (z + 2) * G**2 - (2 * z - 1) * G + 2,
            added,
            sum_moments,
        ),
        _explicit(
            "semicircle-times-marchenko-pastur",
            "Semicircle law times Marchenko-Pastur law",
            G**4 * z**2 + 2 * G**3 * z + G**2 - 4 * G * z + 4,
            multiplied,
            product_moments,
        ),
    )
