"""The law of 1/X, and with it the reciprocal moments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.pushforward import Square, Symmetrized, has_pushforward
from rmt.density import on_atoms
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.universal_resnet import UniversalResNet
from rmt.numeric.conjugate import InverseNode, SignedInverseNode
from rmt.numeric.continuation import solve
from rmt.numeric.node import Node
from rmt.parameters import is_symbolic
from rmt.results import PreconditionError
from rmt.series import s_series_to_moments
from rmt.series.power_series import divide
from rmt.support import Edge

__all__ = ["Inverse"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# 0 itself is the image of infinity: the density there is taken from a point whose square does not underflow.
_NEXT_TO_ZERO = 1e-140


@dataclass(frozen=True, repr=False)
class Inverse(Law):
    """Law of 1/X for X without an atom at 0; ``rho(y) = rho_x(1/y)/y**2``, ``S(m) = 1/S_x(-1 - m)``.

    Its moments are the reciprocal moments E X^-n: by the S-transform where that is explicit (then exact for exact
    parameters), by quadrature otherwise. Where 0 is an end of the support of X, or lies inside it, the support is
    unbounded and only some moments exist. The inverse of a product of free laws, or of a free power, is the product,
    or the power, of the inverses (Haagerup and Schultz, Brown measures of unbounded operators, 2007, for S).

    Raises
    ------
    PreconditionError
        When numbers are asked for and the law has an atom at 0, or a moment is infinite.
    """

    law: Law

    def _check(self) -> None:
        if any(not is_symbolic(x) and float(x) == 0 for x in self.law._atoms()):
            raise PreconditionError(
                f"inverse: {self.law!r} has an atom at 0, where 1/x is infinite; take the part away from 0 first, or "
                "invert a shifted law"
            )

    def _node(self) -> Node:
        self._check()
        child = self.law.numeric
        finite, reaches = _at_zero(self.law)
        if finite >= 2:
            first, second = (float(value) for value in self.moments(2))
            mean, variance = first, second - first**2
        else:
            size = math.exp(self.law.log_moment())
            # -G(i δ) = E (X + i δ)/(X² + δ²): location and scale of the part that is not far away
            g = complex(solve(child, np.array([1e-3j * size])).g[0])
            mean, variance = -g.real, abs(g) ** 2 + 1 / size**2
        edge = next((e for e in self.law.support().edges if e.position == 0), None)
        hard = finite < 1 and edge is not None and edge.exponent is not None
        return (InverseNode if child.positive else SignedInverseNode)(
            child,
            mean=mean,
            variance=variance,
            log_moment=self.law.log_moment(),
            above=1 - self._mass_below_zero,
            unbounded=reaches,
            order=min(1.0, 1 + float(edge.exponent)) if hard and edge is not None else 1.0,
        )

    @cached_property
    def _mass_below_zero(self) -> float:
        if self.law.support().lower >= 0:
            return 0.0
        return float(self.law.cdf(0.0))

    def _has(self, question: str, method: str) -> bool:
        if question == "cauchy" and method == "closed_form":
            return method in self.law.methods(question)
        return has_pushforward(question, method, "subordination" in self.law.methods(question))

    def _atoms(self) -> dict[Any, Any]:
        self._check()
        return {divide(1, x): p for x, p in self.law._atoms().items()}

    def _edges(self) -> tuple[Edge, ...]:
        self._check()
        below: list[Edge] = []
        above: list[Edge] = []
        edges = self.law.support().edges
        for lower, upper in zip(edges[::2], edges[1::2], strict=True):
            ends = [_inverted(upper, "lower"), _inverted(lower, "upper")]
            if float(lower.position) == -math.inf and float(upper.position) == math.inf:
                below, above = [Edge(-math.inf, None, "lower")], [Edge(math.inf, None, "upper")]
            elif float(lower.position) < 0 < float(upper.position):
                below = [Edge(-math.inf, None, "lower"), Edge(ends[1].position, ends[1].exponent, "upper"), *below]
                above = [*above, Edge(ends[0].position, ends[0].exponent, "lower"), Edge(math.inf, None, "upper")]
            elif float(upper.position) <= 0:
                below = [*ends, *below]
            else:
                above = [*ends, *above]
        return (*below, *above)

    def _moments_series(self, n: int) -> list[Any]:
        self._check()
        return _reciprocal_moments(self.law, n)

    def _pdf_pushforward(self, x: FloatArray) -> FloatArray:
        self._check()
        back = 1 / np.where(x == 0, _NEXT_TO_ZERO, x)
        density = self.law._density.pdf(back, self.law.methods("pdf")[0])
        return np.where(density > 0, density * back * back, density)

    def _cdf_pushforward(self, x: FloatArray) -> FloatArray:
        self._check()
        below = self._mass_below_zero
        out = np.full(x.shape, below)
        inside = x != 0
        y = x[inside]
        # the continuous part is mapped; atoms are counted at their images
        positions, masses = self.law._density.atoms
        back = on_atoms(1 / y, positions, np.abs(positions))
        heavy = np.array([masses[positions <= point].sum() for point in back], dtype=float)
        continuous = self.law._density.cdf(back, self.law.methods("cdf")[0]) - heavy
        own_below = below - masses[positions < 0].sum()
        total = 1 - masses.sum()
        mapped = np.where(y > 0, own_below + total - continuous, own_below - continuous)
        images, image_masses = self._density.atoms
        out[inside] = mapped + np.array([image_masses[images <= point].sum() for point in y], dtype=float)
        clipped: FloatArray = np.clip(out, 0.0, 1.0)
        return clipped

    def _ppf_pushforward(self, q: FloatArray) -> FloatArray:
        self._check()
        below = self._mass_below_zero
        level = np.where(q <= below, below - q, 1 + below - q)
        with np.errstate(divide="ignore"):
            out: FloatArray = 1 / self.law._density.ppf(np.clip(level, 0.0, 1.0))
        if self._atoms():
            # at the jumps the quantile is the smallest point, of the inverse: the far end of the level set
            out = self._snapped(q, out)
        # the levels of both ends are the same one, that of 0, of the law
        support = self.support()
        return np.where(q <= 0, float(support.lower), np.where(q >= 1, float(support.upper), out))

    def _snapped(self, q: FloatArray, guess: FloatArray) -> FloatArray:
        """Quantiles moved onto the atom whose jump contains the level."""
        images, masses = self._density.atoms
        upper = self.cdf(images)
        for position, mass, top in zip(images, masses, np.atleast_1d(upper), strict=True):
            guess = np.where((q > top - mass) & (q <= top), position, guess)
        return guess

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        # G(z) = (1 - G_x(1/z)/z)/z, and 1/z lies in the other half-plane
        g = self.law._cauchy_closed_form((1 / z).conj()).conj()
        return (1 - g / z) / z

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        x, w = self.law._quadrature_rule()
        return 1 / x, w

    def _log_moment(self) -> float:
        return -self.law.log_moment()


def _inverted(edge: Edge, side: str) -> Edge:
    """Image of an edge; one at 0 goes to the infinity of its side."""
    position = float(edge.position)
    if position == 0:
        return Edge(math.inf if edge.side == "lower" else -math.inf, None, side)
    return Edge(0 if math.isinf(position) else divide(1, edge.position), edge.exponent, side)


def _at_zero(law: Law) -> tuple[float, tuple[bool, bool]]:
    """Largest k such that E |X|^-j is finite for all j <= k, and whether the density reaches 0 from below, from above.

    Where the exponent at 0 is not known, no moment is taken for finite.
    """
    finite = math.inf
    below = above = False
    edges = law.support().edges
    for lower, upper in zip(edges[::2], edges[1::2], strict=True):
        if float(lower.position) < 0 < float(upper.position):
            return 0, (True, True)
        below |= float(upper.position) == 0
        above |= float(lower.position) == 0
        for edge in (lower, upper):
            if float(edge.position) == 0:
                # E x^-k converges iff exponent - k > -1
                finite = min(finite, 0 if edge.exponent is None else math.ceil(float(edge.exponent) + 1) - 1)
    return finite, (below, above)


@singledispatch
def _reciprocal_moments(law: Law, n: int) -> list[Any]:
    """[E X^-1, …, E X^-n] of a law without atom at 0."""
    finite, _ = _at_zero(law)
    if n > finite:
        raise PreconditionError(
            f"moments({n}) of the inverse of {law!r}: E X^-{int(finite) + 1} is infinite (the support reaches 0)"
            + ("" if finite < 1 else f"; ask for at most {int(finite)}")
        )
    x, w = law._quadrature_rule()
    return [float(np.sum(w * x ** (-float(k)))) for k in range(1, n + 1)]


@_reciprocal_moments.register
def _(law: Discrete, n: int) -> list[Any]:
    return [sum(p * divide(1, x) ** k for x, p in law.masses) for k in range(1, n + 1)]


@_reciprocal_moments.register
def _(law: MarchenkoPastur, n: int) -> list[Any]:
    if not is_symbolic(law.ratio) and law.ratio == 1:
        raise PreconditionError(f"moments({n}) of the inverse of {law!r}: E 1/X is infinite (the support reaches 0)")
    # 1/S(-1 - m) = 1 - ratio - ratio m is the reciprocal of the inverse's S
    denominator = [1 - law.ratio, -law.ratio] + [0] * n
    return s_series_to_moments(denominator[:n])


@_reciprocal_moments.register
def _(law: UniversalResNet, n: int) -> list[Any]:
    # 1/X has the law of X up to the scale
    scale = law._exponents()[0]
    return [moment * divide(1, scale) ** (2 * k) for k, moment in enumerate(law.moments(n), 1)]


@_reciprocal_moments.register
def _(law: Affine, n: int) -> list[Any]:
    if law.shift != 0:
        return _reciprocal_moments.dispatch(Law)(law, n)
    return [divide(1, law.scale) ** k * moment for k, moment in enumerate(_reciprocal_moments(law.law, n), 1)]


@_reciprocal_moments.register
def _(law: FreeProduct, n: int) -> list[Any]:
    return FreeProduct(tuple(Inverse(part) for part in law.laws)).moments(n)


@_reciprocal_moments.register
def _(law: FreePower, n: int) -> list[Any]:
    return FreePower(Inverse(law.law), law.exponent).moments(n)


@_reciprocal_moments.register
def _(law: Inverse, n: int) -> list[Any]:
    return law.law.moments(n)


@_reciprocal_moments.register
def _(law: Square, n: int) -> list[Any]:
    return _reciprocal_moments(law.law, 2 * n)[1::2]


@_reciprocal_moments.register
def _(law: Symmetrized, n: int) -> list[Any]:
    moments = _reciprocal_moments(law.law, n)
    return [0 if k % 2 else moment for k, moment in enumerate(moments, 1)]
