"""General free probability: transforms, subordination, compression, bi-invariant matrices.

This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import sympy as sp

import rmt
from rmt import series
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.symbolic.derivation import G, Step, g, m, z
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import free_product, gaussian_matrices

__all__ = ["build", "two_atoms"]

c = sp.Symbol("c", positive=True)
S, R = sp.symbols("S R")
_FREE = "$a$ and $b$ are free."


def two_atoms(value: complex, *, of: str) -> complex:
    """The point of C⁺ at which ½(δ_1 + δ_3) has G = value (`of` "G") or z G - 1 = value (`of` "psi")."""
    # G = (z-2)/((z-1)(z-3)), ψ = (2z-3)/((z-1)(z-3)): quadratics in z
    shift, constant = (1, 2) if of == "G" else (2, 3)
    coefficients = [value, -4 * value - shift, 3 * value + constant]
    roots = [complex(root) for root in np.roots(coefficients)]
    return max(roots, key=lambda root: root.imag)


_ATOMS = Discrete({1: Fraction(1, 2), 3: Fraction(1, 2)})
_POINTS = (2.5 + 1.5j, -1.0 + 0.8j, 6.0 + 0.7j)


def _free_sum() -> Entry:
    first, second, both = sp.symbols("R_a R_b R_ab")

    def witnesses() -> Iterator[Witness]:
        law = _ATOMS + MarchenkoPastur(Fraction(1, 2))
        for point in _POINTS:
            cauchy = law.cauchy(point)
            yield {
                g: cauchy,
                both: point - 1 / cauchy,
                first: two_atoms(cauchy, of="G") - 1 / cauchy,
                second: 1 / (1 - cauchy / 2),
            }

    return Entry(
        key="free-sum",
        title="R-transforms add",
        statement=(eq(both, first + second),),
        hypotheses=(_FREE, "$R(g) = G^{-1}(g) - 1/g$ at one $g$."),
        source=(("Voiculescu1986", ""),),
        steps=(
            Step(
                "Free cumulants",
                (eq(R, sp.Sum(sp.Symbol("kappa_n") * g ** (sp.Symbol("n") - 1), (sp.Symbol("n"), 1, sp.oo))),),
                "Mixed free cumulants of free variables vanish, so that those of a sum add.",
                "Nica, Speicher 2006, lecture 12",
            ),
        ),
        derivation_of=lambda: rmt.derive(_ATOMS + MarchenkoPastur(c)),
        law=lambda c: _ATOMS + MarchenkoPastur(c),
        arguments=({"c": 0.5},),
        witnesses=witnesses,
        witnessed_by="the numeric system of a free sum, and inverses of both transforms in closed form",
    )


def _free_product() -> Entry:
    first, second, both = sp.symbols("S_a S_b S_ab")

    def witnesses() -> Iterator[Witness]:
        wishart = [
            sum(math.comb(k, j) * math.comb(k - 1, j) // (j + 1) * Fraction(1, 3) ** j for j in range(k))
            for k in range(1, 9)
        ]
        point = Fraction(1, 900)
        value = lambda moments: sum(s * point**k for k, s in enumerate(series.moments_to_s_series(moments)))
        atoms = [Fraction(1 + 3**k, 2) for k in range(1, 9)]
        yield {m: point, first: value(atoms), second: 1 / (1 + point / 3), both: value(free_product(atoms, wishart))}

    return Entry(
        key="free-product",
        title="S-transforms multiply",
        statement=(eq(both, first * second),),
        hypotheses=(_FREE, "$S(m) = (1+m)/(m z(m))$ at one $m$; one of the two lives on $[0, ∞)$, means are not 0."),
        source=(("Voiculescu1987", "theorem 2.6"),),
        steps=(
            Step(
                "Kreweras complement",
                (eq(sp.Symbol("m_k"), sp.Symbol("sum_pi") * sp.Symbol("kappa_pi(a)") * sp.Symbol("m_K(pi)(b)")),),
                "Moments of a product sum over noncrossing partitions; the S-transform turns that into a product.",
                "Nica, Speicher 2006, lectures 14 and 18",
            ),
        ),
        derivation_of=lambda: rmt.derive(_ATOMS @ MarchenkoPastur(c)),
        law=lambda c: _ATOMS @ MarchenkoPastur(c),
        arguments=({"c": 0.5},),
        witnesses=witnesses,
        witnessed_by="free cumulants of words, 8 moments",
    )


def _moments_from_s() -> Entry:
    m_1, m_2, m_3, s_0, s_1, s_2 = sp.symbols("m_1 m_2 m_3 s_0 s_1 s_2", real=True)

    def witnesses() -> Iterator[Witness]:
        # Narayana sums against the geometric series 1/(1 + c m), scaled by 2
        ratio = Fraction(3, 7)
        moments = [2, 4 * (1 + ratio), 8 * (1 + 3 * ratio + ratio**2)]
        yield {
            m_1: moments[0],
            m_2: moments[1],
            m_3: moments[2],
            s_0: Fraction(1, 2),
            s_1: -ratio / 2,
            s_2: ratio**2 / 2,
        }

    return Entry(
        key="moments-from-s",
        title="Moments from the S-transform",
        statement=(
            eq(m_1, 1 / s_0),
            eq(s_1, -(m_2 - m_1**2) / m_1**3),
            eq(m_2, (s_0 - s_1) / s_0**3),
            eq(m_3, (s_0**2 - 3 * s_0 * s_1 + 2 * s_1**2 - s_0 * s_2) / s_0**5),
        ),
        hypotheses=("$S(m) = s_0 + s_1 m + s_2 m^2 + …$; in general $m_k = (1/k) [m^{k-1}] ((1+m)/S(m))^k$.",),
        source=(("NicaSpeicher2006", "lecture 18"),),
        steps=(
            Step(
                "Lagrange inversion",
                (eq(1 / z, sp.Symbol("psi") * sp.Function("S")(sp.Symbol("psi")) / (1 + sp.Symbol("psi"))),),
                "$ψ$ as a power series in $1/z$.",
                "Nica, Speicher 2006, lecture 18",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the Marchenko-Pastur law, whose moments are Narayana polynomials",
        tolerance=0,
    )


def _subordination() -> Entry:
    first, second, product_1, product_2, psi = sp.symbols("omega_1 omega_2 w_1 w_2 psi")

    def witnesses() -> Iterator[Witness]:
        other = Discrete({0: Fraction(1, 2), 2: Fraction(1, 2)})
        added, multiplied = _ATOMS + other, _ATOMS @ MarchenkoPastur(Fraction(1, 3))
        for point in _POINTS:
            cauchy = added.cauchy(point)
            # the other law is the same one, shifted by 1 and with an atom distance of 2 as well
            yield {z: point, G: cauchy, first: two_atoms(cauchy, of="G"), second: two_atoms(cauchy, of="G") - 1}
            moment = point * multiplied.cauchy(point) - 1
            wishart = (1 + moment) * (1 + moment / 3) / moment
            yield {z: point, psi: moment, product_1: two_atoms(moment, of="psi"), product_2: wishart}

    return Entry(
        key="subordination",
        title="Subordination",
        statement=(eq(first + second, z + 1 / G), eq(product_1 * product_2, z * (1 + psi) / psi)),
        hypotheses=(
            "$G(z) = G_a(ω_1) = G_b(ω_2)$ for the free sum, $ψ(z) = ψ_a(w_1) = ψ_b(w_2)$ with $ψ = z G "
            "- 1$ for the free "
            "product; $ω$ and $w$ map the upper half-plane to itself.",
        ),
        source=(("BelinschiBercovici2007", ""), ("Voiculescu1986", "")),
        steps=(
            Step(
                "Inverse functions",
                (
                    eq(sp.Symbol("R_a") + sp.Symbol("R_b") + 1 / G, z),
                    eq(first, sp.Symbol("R_a") + 1 / G),
                    eq(sp.Symbol("w_i"), (1 + psi) / (psi * sp.Symbol("S_i"))),
                ),
                "R adds and S multiplies.",
                "Voiculescu 1986, 1987",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="the numeric systems of a free sum and a free product, and inverses in closed form",
    )


def _compression() -> Entry:
    share = sp.Symbol("q", positive=True)
    kappa, kappa_compressed, order = sp.symbols("kappa_n kappa_nq n", real=True)

    def witnesses() -> Iterator[Witness]:
        moments = [Fraction(1 + 3**k, 2) for k in range(1, 6)]
        plain = series.moments_to_free_cumulants(moments)
        for kept in (Fraction(1, 2), Fraction(2, 7)):
            corner = [value / kept for value in free_product(moments, [kept] * 5)]
            for k, value in enumerate(series.moments_to_free_cumulants(corner), 1):
                yield {share: kept, order: k, kappa: plain[k - 1], kappa_compressed: value}

    return Entry(
        key="compression",
        title="Compression by a free projection",
        statement=(eq(kappa_compressed, share ** (order - 1) * kappa),),
        hypotheses=(
            "$P a P$ in the range of a free projection of trace $q$: $R_q(g) = R(q g)$ on free cumulants $κ_n$.",
        ),
        source=(("NicaSpeicher2006", "lecture 14"),),
        steps=(
            Step(
                "R-transform",
                (eq(sp.Function("R_q")(g), sp.Function("R")(share * g)),),
                "Free cumulants of $P a P$, in a trace normalised on the range.",
                "Nica, Speicher 2006, lecture 14",
            ),
        ),
        law=lambda q: _ATOMS.compress(q),
        arguments=({"q": 0.4},),
        witnesses=witnesses,
        witnessed_by="free cumulants of words in the law and the projection",
        tolerance=0,
    )


def _r_diagonal() -> Entry:
    a_1, a_2, b_1, b_2, m_1, m_2, m_3, a_3, b_3 = sp.symbols("a_1 a_2 b_1 b_2 m_1 m_2 m_3 a_3 b_3", positive=True)

    def witnesses() -> Iterator[Witness]:
        # a fixed matrix with two singular values and a Gaussian one: exact averages at sizes 1, 2, 3 for two moments
        strength, values = 0.6, (0.5, 1.5)
        found = []
        for n in (1, 2, 3):
            matrices, weights = gaussian_matrices(n)
            traces = np.zeros(2)
            for mask in range(2**n):
                diagonal = np.array([values[mask >> k & 1] for k in range(n)])
                total = np.diag(diagonal) + matrices * math.sqrt(strength / n)
                gram = total @ total.swapaxes(1, 2)
                traces += [weights @ np.trace(gram, axis1=1, axis2=2), weights @ np.sum(gram**2, axis=(1, 2))]
            found.append(traces / 2**n / n)
        limit = (found[0] - 8 * found[1] + 9 * found[2]) / 2
        moments = [sum(v ** (2 * k) for v in values) / 2 for k in (1, 2)]
        yield {
            a_1: moments[0],
            a_2: moments[1],
            b_1: strength,
            b_2: 2 * strength**2,
            m_1: float(limit[0]),
            m_2: float(limit[1]),
        }
        # the third by the gated-layer fixed point, which knows nothing of R-diagonal elements
        law = rmt.GatedLayer({(0.5, 1): 0.5, (1.5, 1): 0.5}, strength)
        yield {
            a_1: moments[0],
            a_2: moments[1],
            a_3: sum(v**6 for v in values) / 2,
            b_1: strength,
            b_2: 2 * strength**2,
            b_3: 5 * strength**3,
            m_3: law.moments(3)[2],
        }

    return Entry(
        key="r-diagonal-sum",
        title="Singular values of sums of bi-invariant matrices",
        statement=(
            eq(m_1, a_1 + b_1),
            eq(m_2, a_2 + b_2 + 4 * a_1 * b_1),
            eq(m_3, a_3 + b_3 + 6 * (a_1 * b_2 + a_2 * b_1) + 3 * a_1 * b_1 * (a_1 + b_1)),
        ),
        hypotheses=(
            "$a$ and $b$ free, one of them R-diagonal (bi-invariant); $a_k$, $b_k$, $m_k$ are the moments of $a a^*$, "
            "$b b^*$ and $(a+b)(a+b)^*$. In general the symmetrised singular laws add freely.",
        ),
        source=(("NicaSpeicher2006", "lecture 15"), ("HaagerupLarsen2000", "")),
        steps=(
            Step(
                "Free cumulants of the symmetrised laws",
                (
                    eq(sp.Symbol("kappa_2"), a_1),
                    eq(sp.Symbol("kappa_4"), a_2 - 2 * a_1**2),
                    eq(sp.Symbol("kappa_6"), a_3 - 6 * a_1 * a_2 + 7 * a_1**3),
                ),
                "They add; turn them back into moments.",
                "Nica, Speicher 2006, lecture 15",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="exact averages over Gaussian matrices of size 1, 2, 3, and the gated-layer fixed point",
        tolerance=1e-9,
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _free_sum(),
        _free_product(),
        _moments_from_s(),
        _subordination(),
        _compression(),
        _r_diagonal(),
    )
