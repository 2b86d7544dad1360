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

from rmt.density import Density
from rmt.numeric.continuation import newton_to, solve
from rmt.numeric.edges import find_intervals
from rmt.numeric.explicit import ExplicitCurve, explicit_s
from rmt.numeric.node import Linearised, Node
from rmt.parameters import parameter_repr
from rmt.results import ConvergenceError, Curve, PreconditionError
from rmt.series import moments_to_free_cumulants
from rmt.support import Edge, Support

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LADDER", "Law"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Strategies of each question, best first; `Law.methods` lists those that a law has.
LADDER: Mapping[str, tuple[str, ...]] = {
    "pdf": ("closed_form", "pushforward", "explicit", "subordination"),
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
        return self._log_moment_at_zero()

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
            try:
                intervals = find_intervals(self.numeric, {float(x): float(p) for x, p in atoms.items()})
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
        ``subordination`` (the flattened system, solved by continuation and landed on the real axis exactly).

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

    def log_moment(self) -> float:
        """E log|X|; -inf with an atom at 0."""
        if any(float(x) == 0 for x in self._atoms()):
            return -math.inf
        return self._log_moment()

    def expectation(self, f: Callable[[FloatArray], npt.ArrayLike]) -> float:
        """E f(X) by quadrature adapted to the edges, atoms included."""
        return self._density.expectation(f)

    def _log_moment_at_zero(self) -> float:
        # Re Phi(z) = E log|z - X| at z = 0
        lower = self.support().lower
        if not self.numeric.positive:
            z, weights, step, exponent = np.zeros(1, dtype=complex), np.ones(1), 0.0, 0.0
        elif lower > 0:
            # 1 + m loses its digits at 0, and the mean over a circle of radius lower/2 is the value at its centre
            z = lower / 2 * np.exp(1j * np.pi * (np.arange(28) + 0.5) / 28)
            weights, step, exponent = np.full(28, 1 / 28), 0.0, 0.0
        else:
            # from a little below a hard edge by the derivative G, which grows there as |z|**exponent
            step, exponent = 1e-12 * self.numeric.mean, float(self.support().edges[0].exponent or 0)
            z, weights = np.array([-step + 0j]), np.ones(1)
        solution = solve(self.numeric, z)
        if not np.all(solution.converged):
            raise ConvergenceError(f"log_moment of {self!r} was not resolved; use `expectation` with log|x|")
        return float(weights @ (solution.potential.real + step * solution.g.real / (1 + exponent)))

    # --- transforms ---------------------------------------------------------------------------------------------

    def cauchy(self, z: npt.ArrayLike, *, method: str | None = None) -> Any:
        """G(z) = E 1/(z - X) (same shape, complex). Real ``z`` means the limit from the upper half-plane."""
        points = np.asarray(z, dtype=complex)
        flat = points.ravel()
        lower = flat.imag < 0
        flat = np.where(lower, flat.conj(), flat)
        strategy = self._choose("cauchy", method)
        resolved = np.ones(flat.shape, dtype=bool)
        if strategy == "subordination":
            solution = solve(self.numeric, flat)
            values, resolved = solution.g, solution.converged
        else:
            with np.errstate(divide="ignore", invalid="ignore"):  # at an atom
                values = self._cauchy_closed_form(flat) if strategy == "closed_form" else self._density.cauchy(flat)
        bad = flat[~(resolved & np.isfinite(values))]
        if bad.size:
            raise ConvergenceError(
                f"Cauchy transform of {self!r} was not resolved at z = {bad[0]:.17g}: too close to an edge or atom; "
                "move the point off it"
            )
        values = np.where(lower, values.conj(), values).reshape(points.shape)
        return complex(values) if points.ndim == 0 else values

    def _cauchy_closed_form(self, z: ComplexArray) -> ComplexArray:
        raise NotImplementedError

    def moment_transform(self, z: npt.ArrayLike) -> Any:
        """m(z) = z G(z) - 1 = sum m_k z^-k (same shape, complex)."""
        points = np.asarray(z, dtype=complex)
        if "subordination" not in self.methods("cauchy"):
            out = points * np.asarray(self.cauchy(points)) - 1
            return complex(out) if points.ndim == 0 else out
        flat = points.ravel()
        lower = flat.imag < 0
        solution = solve(self.numeric, np.where(lower, flat.conj(), flat))
        if not np.all(solution.converged):
            raise ConvergenceError(f"moment transform of {self!r} was not resolved at some z; move them off the edges")
        values = np.where(lower, solution.m.conj(), solution.m).reshape(points.shape)
        return complex(values) if points.ndim == 0 else values

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
        return self._inverse(m, "s_transform", lambda lin: (np.log(lin.jet.m), lin.jet.dm / lin.jet.m), self._s_at)

    def r_transform(self, g: npt.ArrayLike) -> Any:
        """R(g) with R(G(z)) + 1/G(z) = z, for g reached from 0 along a ray (same shape)."""
        return self._inverse(g, "r_transform", lambda lin: (np.log(lin.jet.g), lin.jet.dlog_g), self._r_at)

    @staticmethod
    def _s_at(lin: Linearised) -> complex:
        return complex(np.exp(lin.jet.log_s[0]))

    @staticmethod
    def _r_at(lin: Linearised) -> complex:
        # z - 1/g = m/g
        return complex(lin.jet.m[0] / lin.jet.g[0])

    def _inverse(
        self,
        value: npt.ArrayLike,
        name: str,
        coordinate: Callable[[Linearised], tuple[ComplexArray, ComplexArray]],
        read: Callable[[Linearised], complex],
    ) -> Any:
        """Follow a coordinate of the system from 0 to each wanted value along a ray in its logarithm."""
        wanted = np.asarray(value, dtype=complex)
        out = np.empty(wanted.shape, dtype=complex)
        node = self.numeric
        spread = abs(node.mean) + math.sqrt(node.variance)
        for index, target in np.ndenumerate(wanted):
            if target == 0:
                at_zero = 1 / node.mean if name == "s_transform" else node.mean
                out[index] = at_zero
                continue
            upper = target if target.imag <= 0 else target.conjugate()
            phase = upper / abs(upper)
            # far away m ~ mean/z and g ~ 1/z
            z = np.array([1e3 * spread / phase * (math.copysign(1, node.mean) if name == "s_transform" else 1)])
            u = solve(node, np.where(np.abs(z.imag) < 1e-9 * np.abs(z), z.real, z)).unknowns
            here = coordinate(node.linearise(u))[0]
            end = here.real * 0 + np.log(np.array([upper + 0j]))
            end = end + 2j * np.pi * np.round((here.imag - end.imag) / (2 * np.pi))

            # the argument is constant on the ray: no side of the cut of the logarithm must be chosen by rounding
            def unwrapped(lin: Linearised, end: ComplexArray = end) -> tuple[ComplexArray, ComplexArray]:
                here, slope = coordinate(lin)
                return here + 2j * np.pi * np.round((end.imag - here.imag) / (2 * np.pi)), slope

            step = (end - here) / max(1, math.ceil(abs((end - here)[0]) / 0.2))
            while abs((end - here)[0]) > 1e-13:
                move = step if abs((end - here)[0]) > abs(step[0]) else end - here
                trial, _, ok = newton_to(node, u, unwrapped, here + move)
                if ok[0]:
                    u, here = trial, here + move
                else:
                    step = step / 2
                    if abs(step[0]) < 1e-8:
                        raise ConvergenceError(
                            f"{name} of {self!r} stops before {complex(target):.6g}: an edge of the support; "
                            "ask for smaller arguments"
                        )
            result = read(node.linearise(u))
            out[index] = result if target.imag <= 0 else result.conjugate()
        if np.isrealobj(np.asarray(value)):
            real: FloatArray = out.real
            return float(real) if wanted.ndim == 0 else real
        return complex(out) if wanted.ndim == 0 else out

    # --- strategies -----------------------------------------------------------------------------------------------

    def methods(self, question: str) -> tuple[str, ...]:
        """Strategies that this law has for ``"pdf"``, ``"cdf"``, ``"cauchy"`` or ``"moments"``, best first."""
        if question not in LADDER:
            raise ValueError(f"question={question!r}: expected one of {', '.join(LADDER)}")
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

        Points are the images of equidistant angles, so that they crowd at the edges (logarithmically at a hard edge
        or over many decades); mass and mean of the curve are checked against the series.

        Parameters
        ----------
        points : int
            Number of points, shared among the intervals of the support.
        tol : float
            Requested error of the density relative to its largest value; points worse than that are NaN and the
            status says so.
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
        """Multiplicative free power: the law with S-transform S**exponent (exponent >= 1, real)."""
        from rmt.algebra.free_power import FreePower

        return FreePower(self, exponent)

    def free_sum_power(self, exponent: Any) -> Law:
        """Additive free power: the law with R-transform exponent * R (exponent >= 1, real)."""
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
