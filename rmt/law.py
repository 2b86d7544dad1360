"""The `Law`: an immutable probability law on the real line, and every quantity that can be asked of it.

A concrete law is a frozen dataclass that answers a few primitives (underscored methods): its node in the numeric
system, its atoms, its exact moments, and closed forms where it has them. Everything else is written once, here.
Concrete laws are final; operators build new laws and compute nothing.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmt import functionals, transforms
from rmt.density import Density
from rmt.numeric.explicit import ExplicitCurve, explicit_interval, explicit_s
from rmt.numeric.intervals import find_intervals
from rmt.numeric.node import Node
from rmt.parameters import parameter_repr
from rmt.results import ConvergenceError, Curve, PreconditionError
from rmt.series import (
    moments_to_boolean_cumulants,
    moments_to_classical_cumulants,
    moments_to_free_cumulants,
    moments_to_monotone_cumulants,
)
from rmt.support import Edge, Support

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rmt.single_ring import SingleRing

__all__ = ["LADDER", "Law"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Strategies of each question, best first; `Law.methods` lists those that a law has.
LADDER: Mapping[str, tuple[str, ...]] = {
    "pdf": ("closed_form", "pushforward", "explicit", "subordination", "stieltjes"),
    "cdf": ("closed_form", "pushforward", "explicit", "subordination", "quadrature"),
    "cauchy": ("closed_form", "subordination", "quadrature"),
    "moments": ("series", "quadrature"),
}


class Law(ABC):
    """A probability law: intervals with a density, atoms, and transforms.

    Conventions (one everywhere): ``G(z) = E 1/(z - X)``, density ``-Im G(x + i0)/pi``, ``m(z) = z G(z) - 1``,
    ``R(G(z)) + 1/G(z) = z``, ``S(m) = (1 + m)/(m z(m))``.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__bases__:
            if base is not Law and issubclass(base, Law):
                raise TypeError(f"{base.__name__} is final: wrap a law instead of subclassing it")

    def __repr__(self) -> str:
        fields = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{name}={parameter_repr(value)}' for name, value in fields)})"

    # --- primitives -------------------------------------------------------------------------------------------

    @abstractmethod
    def _node(self) -> Node:
        """The law's node of the numeric system; NotImplementedError where the law is no single analytic curve."""

    @abstractmethod
    def _atoms(self) -> dict[Any, Any]:
        """Position -> mass of each atom, exact where the parameters are."""

    @abstractmethod
    def _moments_series(self, n: int) -> list[Any]:
        """m_1 … m_n, exact where the parameters are."""

    def _edges(self) -> tuple[Edge, ...] | None:
        """Edges in closed form, in increasing order, or None: they are then found numerically."""
        return None

    def _quadrature_rule(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights of expectations, atoms included."""
        return self._density.rule

    def _log_moment(self) -> float:
        """E log|X| for a law without atom at 0."""
        return functionals.log_moment(self)

    def _entropy(self) -> float:
        """``-∫ rho log rho`` of a law without atoms."""
        return functionals.entropy(self)

    def _log_energy(self) -> float:
        """``∬ log|x - y|`` of a law without atoms."""
        return functionals.log_energy(self)

    # --- support ----------------------------------------------------------------------------------------------

    @cached_property
    def numeric(self) -> Node:
        """The flattened numeric system of the law (built once)."""
        return self._node()

    @cached_property
    def _explicit(self) -> ExplicitCurve | None:
        """The curve of a law whose S-transform is explicit (None for others, and where a parameter is no number)."""
        try:
            s = explicit_s(self.numeric)
        except (PreconditionError, NotImplementedError):
            return None
        return None if s is None else ExplicitCurve(self.numeric, s)

    @cached_property
    def _support(self) -> Support:
        atoms = self._atoms()
        edges = self._edges()
        if edges is None:
            explicit = None if self._explicit is None else explicit_interval(self._explicit.s)
            try:
                intervals = [explicit] if explicit else find_intervals(
                    self.numeric, {float(x): float(p) for x, p in atoms.items()}
                )
            except ArithmeticError as error:
                raise ConvergenceError(
                    f"support of {self!r}: {error}; change the parameters slightly (a critical case), "
                    "or report this law"
                ) from error
            edges = tuple(
                edge
                for piece in intervals
                for edge in (
                    Edge(piece.lower, piece.lower_exponent, "lower"),
                    Edge(piece.upper, piece.upper_exponent, "upper"),
                )
            )
        return Support.from_edges(edges, dict(sorted(atoms.items(), key=lambda item: float(item[0]))))

    def support(self) -> Support:
        """Intervals, edges (with exponents) and atoms.

        Raises
        ------
        ConvergenceError
            If an edge could not be located.
        """
        return self._support

    @cached_property
    def _density(self) -> Density:
        return Density(self)

    # --- density and distribution function ----------------------------------------------------------------------

    def pdf(self, x: npt.ArrayLike, *, method: str | None = None) -> Any:
        """Density of the continuous part at ``x`` (same shape; 0 outside the support, inf at a hard edge).

        Without ``method`` the first of `methods("pdf")` is taken: ``closed_form``; ``pushforward`` (change of
        variables); ``explicit`` (a compiled walk along the real axis, for laws with an explicit S-transform);
        ``subordination`` (the flattened system, solved by continuation and landed on the real axis exactly);
        ``stieltjes`` (extrapolated from the Cauchy transform off the axis: an independent check, slower).

        Raises
        ------
        ConvergenceError
            If a point was not resolved; `curve` returns NaN and a status instead.
        """
        return self._pointwise(self._density.pdf, "pdf", x, method)

    def cdf(self, x: npt.ArrayLike, *, method: str | None = None) -> Any:
        """P(X <= x), right-continuous, atoms included (same shape as ``x``).

        ``explicit`` and ``subordination`` read it off the potential of the solved system without quadrature;
        ``quadrature`` integrates the density (an independent check, slower).
        """
        return self._pointwise(self._density.cdf, "cdf", x, method)

    def _pointwise(
        self, rule: Callable[[FloatArray, str], FloatArray], question: str, x: npt.ArrayLike, method: str | None
    ) -> Any:
        points = np.asarray(x, dtype=float)
        if np.any(np.isnan(points)):
            raise ValueError("x: contains NaN; remove these points")
        values = rule(points.ravel(), self._choose(question, method)).reshape(points.shape)
        if np.any(np.isnan(values)):
            bad = points[np.isnan(values)].ravel()[0]
            raise ConvergenceError(
                f"{question} of {self!r} was not resolved at x = {bad:.17g}, which is close to an edge or a "
                "singularity; move the point, or use `curve`, which marks it"
            )
        return float(values) if points.ndim == 0 else values

    def ppf(self, q: npt.ArrayLike) -> Any:
        """Quantile function: the smallest x with cdf(x) >= q, for q in [0, 1] (same shape).

        Raises
        ------
        ValueError
            For q outside [0, 1].
        ConvergenceError
            If a quantile was not resolved.
        """
        levels = np.asarray(q, dtype=float)
        if not np.all((levels >= 0) & (levels <= 1)):
            raise ValueError("q: probabilities must lie in [0, 1]")
        values = self._density.ppf(levels.ravel()).reshape(levels.shape)
        if np.any(np.isnan(values)):
            raise ConvergenceError(
                f"ppf of {self!r} was not resolved at q = {levels[np.isnan(values)].ravel()[0]:.17g}, which falls next "
                "to a singularity of the density; change q slightly"
            )
        return float(values) if levels.ndim == 0 else values

    def rvs(
        self, size: int | tuple[int, ...] | None = None, *, rng: np.random.Generator | int | None = None
    ) -> Any:
        """Independent numbers with this law (not eigenvalues of a matrix: those repel), by inversion."""
        return self.ppf(np.random.default_rng(rng).random(size))

    # --- moments ----------------------------------------------------------------------------------------------

    def moments(self, n: int, *, method: str | None = None) -> list[Any]:
        """[m_1, …, m_n]; exact for exact parameters (``series``), or by ``quadrature`` of the density."""
        if n < 1:
            raise ValueError(f"n={n!r}: expected an integer >= 1")
        if self._choose("moments", method) == "series":
            return self._moments_series(n)
        x, w = self._quadrature_rule()
        return [float(np.sum(w * x**k)) for k in range(1, n + 1)]

    def moment(self, k: int) -> Any:
        """E X^k, k >= 0."""
        return 1 if k == 0 else self.moments(k)[-1]

    def mean(self) -> Any:
        """E X."""
        return self.moment(1)

    def var(self) -> Any:
        """E (X - E X)^2."""
        m1, m2 = self.moments(2)
        return m2 - m1 * m1

    def free_cumulants(self, n: int) -> list[Any]:
        """[kappa_1, …, kappa_n]: the coefficients of R(g) = sum kappa_k g^(k-1)."""
        return moments_to_free_cumulants(self.moments(n))

    def boolean_cumulants(self, n: int) -> list[Any]:
        """[b_1, …, b_n]: ``1 - 1/M(x) = sum b_k x^k`` with M the moment series."""
        return moments_to_boolean_cumulants(self.moments(n))

    def classical_cumulants(self, n: int) -> list[Any]:
        """[c_1, …, c_n]: ``log E exp(t X) = sum c_k t^k/k!``."""
        return moments_to_classical_cumulants(self.moments(n))

    def monotone_cumulants(self, n: int) -> list[Any]:
        """[h_1, …, h_n]: they are multiplied by t in the t-fold monotone convolution of the law with itself."""
        return moments_to_monotone_cumulants(self.moments(n))

    def log_moment(self) -> float:
        """E log|X|; -inf with an atom at 0."""
        if any(float(x) == 0 for x in self._atoms()):
            return -math.inf
        return self._log_moment()

    def expectation(self, f: Callable[[FloatArray], npt.ArrayLike]) -> float:
        """E f(X) by quadrature adapted to the edges, atoms included."""
        return self._density.expectation(f)

    def entropy(self) -> float:
        """Differential entropy ``-∫ rho log rho``; -inf with atoms."""
        return -math.inf if self.support().atoms else self._entropy()

    def free_entropy(self) -> float:
        """Voiculescu's free entropy ``∬ log|x - y| + 3/4 + log(2 pi)/2``; -inf with atoms.

        The semicircle law has the largest of all laws of its variance, ``log(2 pi e variance)/2`` (Voiculescu 1993).

        Raises
        ------
        NotImplementedError
            For laws without a node (square roots).
        """
        return -math.inf if self.support().atoms else self._log_energy() + 0.75 + math.log(2 * math.pi) / 2

    def single_ring(self) -> SingleRing:
        """Radial law of the eigenvalues of an R-diagonal J, this law being that of J Jᵀ.

        Raises
        ------
        PreconditionError
            If the law leaves [0, oo).
        """
        from rmt.single_ring import SingleRing

        return SingleRing(self)

    # --- transforms ---------------------------------------------------------------------------------------------

    def cauchy(self, z: npt.ArrayLike, *, method: str | None = None) -> Any:
        """G(z) = E 1/(z - X) (same shape, complex). Real ``z`` means the limit from the upper half-plane."""
        return transforms.cauchy(self, z, self._choose("cauchy", method))

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        raise NotImplementedError

    def moment_transform(self, z: npt.ArrayLike) -> Any:
        """m(z) = z G(z) - 1 = sum m_k z^-k (same shape, complex)."""
        return transforms.moment_transform(self, z)

    def s_transform(self, m: npt.ArrayLike) -> Any:
        """S(m) = (1 + m)/(m z(m)), for m reached from 0 along a ray (same shape; real for real m outside).

        Raises
        ------
        PreconditionError
            If the mean is 0, where S has no analytic branch at m = 0.
        ConvergenceError
            If m is not in the range of the moment transform.
        """
        if self.numeric.mean == 0:
            raise PreconditionError(f"s_transform of {self!r}: the mean is 0; use `r_transform`, or square the law")
        return transforms.s_transform(self, m)

    def r_transform(self, g: npt.ArrayLike) -> Any:
        """R(g) with R(G(z)) + 1/G(z) = z, for g reached from 0 along a ray (same shape)."""
        return transforms.r_transform(self, g)

    # --- strategies -----------------------------------------------------------------------------------------------

    def methods(self, question: str) -> tuple[str, ...]:
        """Strategies that this law has for ``"pdf"``, ``"cdf"``, ``"cauchy"`` or ``"moments"``, best first."""
        if question not in LADDER:
            raise ValueError(f"question={question!r}: expected one of {', '.join(LADDER)}")
        if question == "pdf":
            # quadrature next to its own poles would be no check of anything
            inverts = self.methods("cauchy")[0] != "quadrature"
            return tuple(name for name in LADDER["pdf"] if (inverts if name == "stieltjes" else self._has("pdf", name)))
        return tuple(name for name in LADDER[question] if self._has(question, name))

    def _has(self, question: str, method: str) -> bool:
        if method == "subordination":
            return type(self)._pdf_pushforward is Law._pdf_pushforward
        if method == "explicit":
            return self._has(question, "subordination") and self._explicit is not None
        if method in ("quadrature", "series"):
            return True
        own = getattr(type(self), f"_{question}_{method}", None)
        return own is not None and own is not getattr(Law, f"_{question}_{method}")

    def _choose(self, question: str, method: str | None) -> str:
        available = self.methods(question)
        if method is None:
            return available[0]
        if method not in available:
            raise NotImplementedError(
                f"{type(self).__name__} has no method {method!r} for {question}; available: {', '.join(available)}"
            )
        return method

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _pdf_pushforward(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _cdf_pushforward(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    # --- curves ---------------------------------------------------------------------------------------------------

    def curve(self, points: int = 400, tol: float = 1e-10) -> Curve:
        """Density and distribution function on a grid that resolves the edges.

        Half of the points are the images of equidistant angles, so that they crowd at the edges (logarithmically at a
        hard edge or over many decades); the others are placed where a straight line between neighbours would miss most
        mass: at narrow peaks and cusps. Mass, mean and second moment are checked against the distribution function
        and the series.

        Parameters
        ----------
        points : int
            Number of points, shared among the intervals of the support.
        tol : float
            Requested error of the density relative to itself, or to its mean height where that is larger; points worse
            than that are NaN and the status says so.

        Raises
        ------
        ConvergenceError
            If the checks fail; the message names the region.
        """
        if points < 8:
            raise ValueError(f"points={points!r}: expected an integer >= 8")
        if not (0 < tol < 1):
            raise ValueError(f"tol={tol!r}: expected a number in (0, 1)")
        return self._density.curve(points, tol)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw the density (atoms as stems) into ``ax`` (new if None) and return it; nothing is shown or saved."""
        from rmt.plotting import plot_law

        return plot_law(self, ax=ax, **kwargs)

    # --- operations: build, compute nothing -----------------------------------------------------------------------

    def __add__(self, other: Any) -> Law:
        from rmt.algebra.affine import Affine
        from rmt.algebra.free_sum import FreeSum

        if isinstance(other, Law):
            return FreeSum((self, other))
        if _is_scalar(other):
            return Affine(self, 1, other)
        return NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Any) -> Law:
        if isinstance(other, Law) or _is_scalar(other):
            out: Law = self + (-other)
            return out
        return NotImplemented

    def __mul__(self, other: Any) -> Law:
        from rmt.algebra.affine import Affine

        if isinstance(other, Law):
            raise TypeError("law * law is ambiguous: use `@` for the free product, `+` for the free sum")
        if _is_scalar(other):
            return Affine(self, other, 0)
        return NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Law:
        return self * -1

    def __truediv__(self, other: Any) -> Law:
        if not _is_scalar(other):
            return NotImplemented
        from fractions import Fraction

        return self * (Fraction(1, other) if isinstance(other, int) else 1 / other)

    def __matmul__(self, other: Any) -> Law:
        from rmt.algebra.free_product import FreeProduct

        if isinstance(other, Law):
            return FreeProduct((self, other))
        return NotImplemented

    def free_power(self, exponent: Any) -> Law:
        """Multiplicative free power: S-transform S**exponent, real exponent >= 1, or below where that is a law."""
        from rmt.algebra.free_power import FreePower

        return FreePower(self, exponent)

    def free_sum_power(self, exponent: Any) -> Law:
        """Additive free power: R-transform exponent * R, real exponent >= 1, or below where that is a law."""
        from rmt.algebra.free_power import FreeSumPower

        return FreeSumPower(self, exponent)

    def compress(self, ratio: Any) -> Law:
        """Law of the compression by a free projection of trace ``ratio`` in (0, 1]: R(g) -> R(ratio g)."""
        from rmt.algebra.compression import Compression

        return Compression(self, ratio)

    def sqrt(self) -> Law:
        """Law of sqrt(X), X >= 0: singular values from eigenvalues of J Jᵀ."""
        from rmt.algebra.pushforward import Sqrt

        return Sqrt(self)

    def square(self) -> Law:
        """Law of X**2."""
        from rmt.algebra.pushforward import Square

        return Square(self)

    def inverse(self) -> Law:
        """Law of 1/X, X without an atom at 0; its moments are the reciprocal moments."""
        from rmt.algebra.inverse import Inverse

        return Inverse(self)

    def symmetrized(self) -> Law:
        """Law of X with an independent random sign."""
        from rmt.algebra.pushforward import Symmetrized

        return Symmetrized(self)

    def _repr_latex_(self) -> str:
        from rmt.symbolic import law_to_latex

        return law_to_latex(self)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, int | float) or hasattr(value, "numerator") or hasattr(value, "free_symbols")
