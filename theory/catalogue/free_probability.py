"""General free probability: transforms, subordination, single rings, explicit laws.

This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import mpmath
import numpy as np
import sympy as sp

import rmt
from rmt import series
from rmt.laws.discrete import Discrete
from rmt.laws.fuss_catalan import FussCatalan
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.uniform import Uniform
from rmt.symbolic.derivation import G, Step, g, m, z
from theory.catalogue.published import Entry, Witness, eq, symbols
from theory.catalogue.witnesses import free_product, gaussian_matrices, lowest

__all__ = ["build", "two_atoms"]

c, x, density = symbols("c x rho", positive=True)
S, R = symbols("S R")
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
    first, second, both = symbols("R_a R_b R_ab")

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
        source=(("Voiculescu1986", "theorem 4.5"),),
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
    first, second, both = symbols("S_a S_b S_ab")

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
    m_1, m_2, m_3, s_0, s_1, s_2 = symbols("m_1 m_2 m_3 s_0 s_1 s_2", real=True)

    def witnesses() -> Iterator[Witness]:
        # Narayana sums against the geometric series 1/(1 + c m), scaled by 2
        moments = [2, 4 * (1 + c), 8 * (1 + 3 * c + c**2)]
        yield {
            c: c,
            m_1: moments[0],
            m_2: moments[1],
            m_3: moments[2],
            s_0: sp.Rational(1, 2),
            s_1: -c / 2,
            s_2: c**2 / 2,
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


def _singular_values() -> Entry:
    singular, log_singular, log_value = symbols("rho_s rho_u u", real=True)
    value = sp.Symbol("s", positive=True)

    def witnesses() -> Iterator[Witness]:
        law = MarchenkoPastur(1)
        for point in (0.3, 1.7):
            squared = law.pdf(point**2, method="subordination")
            quarter = math.sqrt(4 - point**2) / math.pi
            yield {
                value: point,
                log_value: math.log(point),
                density: squared,
                singular: quarter,
                log_singular: point * quarter,
            }

    return Entry(
        key="singular-value-densities",
        title="Densities of singular values and of their logarithms",
        statement=(eq(singular, 2 * value * density), eq(log_singular, 2 * sp.exp(2 * log_value) * density)),
        hypotheses=("$ρ$ is the density of $J J^T$ at $x = s^2 = e^{2u}$.",),
        source=(("", "derived here"),),
        steps=(
            Step(
                "Change of variables", (eq(sp.Symbol("dx"), 2 * value * sp.Symbol("ds")),), "$x = s^2$.", "definition"
            ),
        ),
        law=lambda: MarchenkoPastur(1).sqrt(),
        arguments=({},),
        witnesses=witnesses,
        witnessed_by="the quarter circle, which is the law of singular values of a Gaussian matrix",
        tolerance=1e-9,
    )


def _marchenko_pastur() -> Entry:
    low, high, mass = symbols("x_min x_max mass_0", nonnegative=True)

    def witnesses() -> Iterator[Witness]:
        for ratio in (0.3, 2.5):
            place = lambda y: (1 + y) * (1 + ratio * y) / y
            slope = lambda y: mpmath.diff(place, y)
            top = mpmath.findroot(slope, (0.8 / ratio**0.5, 1.3 / ratio**0.5), tol=1e-15)
            bottom = mpmath.findroot(slope, (-0.8 / ratio**0.5, -1.3 / ratio**0.5), tol=1e-15)
            law = MarchenkoPastur(ratio)
            for point in (1.3 + 0.9j, -0.7 + 0.2j):
                yield {
                    c: ratio,
                    z: point,
                    G: law.cauchy(point, method="quadrature"),
                    low: place(bottom),
                    high: place(top),
                }
        # the rank of a real matrix
        rng = np.random.default_rng(1)
        for rows, columns in ((30, 12), (10, 20)):
            values = np.linalg.eigvalsh((lambda y: y @ y.T)(rng.normal(size=(rows, columns))))
            yield {c: Fraction(rows, columns), mass: Fraction(int(np.sum(values < 1e-9)), rows)}

    return Entry(
        key="marchenko-pastur",
        title="The Marchenko-Pastur law",
        statement=(
            eq(c * z * G**2 + (1 - c - z) * G + 1, sp.Integer(0)),
            eq(low, (1 - sp.sqrt(c)) ** 2),
            eq(high, (1 + sp.sqrt(c)) ** 2),
            eq(mass, sp.Max(0, 1 - 1 / c)),
        ),
        hypotheses=("$X X^T$ for $X$ of shape $p × n$ with entries of variance $1/n$, $c = p/n$, both infinite.",),
        source=(("MarchenkoPastur1967", "section 1"),),
        derivation_of=lambda: rmt.derive(MarchenkoPastur(c)),
        law=lambda c: MarchenkoPastur(c),
        arguments=({"c": 0.3}, {"c": 2.5}),
        witnesses=witnesses,
        witnessed_by="quadrature of the density, critical values of z(m), ranks of random matrices",
        tolerance=1e-8,
    )


def _subordination() -> Entry:
    first, second, product_1, product_2, psi = symbols("omega_1 omega_2 w_1 w_2 psi")

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
        source=(("BelinschiBercovici2007", "theorem 4.1"), ("Voiculescu1986", "section 4")),
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
    kappa, kappa_compressed, order = symbols("kappa_n kappa_nq n", real=True)

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
                "Nica, Speicher 2006, corollary 14.13",
            ),
        ),
        law=lambda q: _ATOMS.compress(q),
        arguments=({"q": 0.4},),
        witnesses=witnesses,
        witnessed_by="free cumulants of words in the law and the projection",
        tolerance=0,
    )


def _r_diagonal() -> Entry:
    a_1, a_2, b_1, b_2, m_1, m_2, m_3, a_3, b_3 = symbols("a_1 a_2 b_1 b_2 m_1 m_2 m_3 a_3 b_3", positive=True)

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
        source=(("NicaSpeicher2006", "lecture 15"), ("HaagerupLarsen2000", "section 3")),
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


def _single_ring() -> Entry:
    share, radius, inner, outer, mean, inverse = symbols("F r r_min r_max m_1 m_-1", positive=True)

    def witnesses() -> Iterator[Witness]:
        # products of L Ginibre matrices: the radial law is known from their determinantal process
        for depth, r in ((1, 0.4), (3, 0.7)):
            moment = r ** (2 / depth) - 1
            yield {radius: r, share: r ** (2 / depth), m: moment, S: FussCatalan(depth).s_transform(moment)}
        # truncated Haar matrices, a share q of rows and columns kept: P(|λ| <= r) = (1/q - 1) r²/(1 - r²)
        kept, r = 0.4, 0.5
        law = Discrete({0: 1 - kept, 1: kept}).compress(kept)
        disc = (1 / kept - 1) * r**2 / (1 - r**2)
        yield {radius: r, share: disc, m: disc - 1, S: law.s_transform(disc - 1)}
        # the ends, from S = G/m of two atoms far to the left of them and next to 0
        cauchy = lambda u: (1 / (u - 1) + 1 / (u - 4)) / 2
        with mpmath.workdps(40):
            ends = [mpmath.sqrt((u * cauchy(u) - 1) / cauchy(u)) for u in (mpmath.mpf("-1e-12"), mpmath.mpf("-1e12"))]
        yield {mean: Fraction(5, 2), inverse: Fraction(5, 8), inner: ends[0], outer: ends[1]}

    return Entry(
        key="single-ring",
        title="Eigenvalues of bi-invariant matrices: the single ring",
        statement=(
            eq(share, 1 + m),
            eq(S, radius ** (-2)),
            eq(inner, 1 / sp.sqrt(inverse)),
            eq(outer, sp.sqrt(mean)),
        ),
        hypotheses=(
            "$J$ is R-diagonal with law of $J J^*$ of S-transform $S$: $F$ is the share of eigenvalues "
            "in $|λ| ≤ r$, and $m$ "
            "solves $S(m) = r^{-2}$ in $(-1, 0)$. $m_{-1}$ is the mean of $1/x$.",
        ),
        source=(
            ("HaagerupLarsen2000", "theorem 4.4"),
            ("GuionnetKrishnapurZeitouni2011", "theorem 1"),
            ("ZyczkowskiSommers2000", "eq. 9"),
        ),
        steps=(
            Step(
                "Ends of the ring",
                (eq(sp.Symbol("S(0)"), 1 / mean), eq(sp.Symbol("S(-1)"), inverse)),
                "$F$ is 1 where $m = 0$ and 0 where $m = -1$.",
                "Haagerup, Larsen 2000",
            ),
        ),
        law=lambda order: FussCatalan(order),
        arguments=({"order": 3},),
        witnesses=witnesses,
        witnessed_by="the radial laws of products of Ginibre matrices and of truncated Haar matrices, known otherwise",
        tolerance=1e-8,
    )


def _uniform_edge() -> Entry:
    half, edge = symbols("m x_max", positive=True)

    def witnesses() -> Iterator[Witness]:
        for value in ("0.5", "2"):
            width = mpmath.mpf(value)
            # z = ω + G_U(ω) outside the interval, least where it has its minimum
            place = lambda y: width + y + mpmath.log((2 * width + y) / y) / (2 * width)
            yield {half: width, edge: lowest(place, mpmath.mpf("0.3"))}
        law = Semicircle(1) + Uniform(-1.3, 1.3)
        yield {half: 1.3, edge: float(law.support().upper)}

    return Entry(
        key="semicircle-plus-uniform-edge",
        title="Edge of a semicircle law plus a uniform law",
        statement=(eq(edge, sp.asinh(half) / half + sp.sqrt(1 + half**2)),),
        hypotheses=("Free sum of the semicircle law of variance 1 and the uniform law on $[-m, m]$.",),
        source=(("", "derived here"), ("Voiculescu1986", "theorem 4.5")),
        steps=(
            Step(
                "Subordination",
                (
                    eq(
                        z,
                        sp.Symbol("omega")
                        + sp.log((sp.Symbol("omega") + half) / (sp.Symbol("omega") - half)) / (2 * half),
                    ),
                ),
                "$G(z) = G_U(ω)$ and $z = ω + G$.",
                "Biane 1997",
            ),
            Step(
                "Critical point",
                (eq(sp.Symbol("omega") ** 2, 1 + half**2),),
                "$dz/dω = 1 - 1/(ω^2 - m^2)$.",
                "derived here",
            ),
        ),
        law=lambda m: Semicircle(1) + Uniform(-m, m),
        arguments=({"m": 1.3},),
        witnesses=witnesses,
        witnessed_by="a numeric minimum, and the support of the free sum",
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
        _singular_values(),
        _marchenko_pastur(),
        _uniform_edge(),
        _r_diagonal(),
        _single_ring(),
    )
