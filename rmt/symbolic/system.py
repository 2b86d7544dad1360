"""The numbers of a formula: the root of its equations with G ~ 1/z at infinity, followed down to the real axis.

The engine of `rmt.numeric` is not used, so that the two readings of a law check each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from rmt.results import ConvergenceError, PreconditionError
from rmt.symbolic.letters import G, z
from rmt.symbolic.special import NUMERIC

if TYPE_CHECKING:
    from rmt.symbolic.derivation import Derivation

__all__ = ["System", "compiled", "evaluator"]

ComplexArray = npt.NDArray[np.complex128]
Values = Mapping[Any, float]

# A height over the axis that tells functions with cuts on which side they are, and moves nothing.
_SIDE = 1e-290
# Paths start this many scales up; there G = 1/z to the accuracy that Newton needs.
_FAR = 300.0
_MOST_STEPS = 300
_NEWTON = 12
_FIRST, _CONTRACTION, _FLOOR = 0.3, 0.5, 1e-9
# Paths come down obliquely: on a vertical one a symmetric law may meet a branch point of an auxiliary unknown.
_UP = 0.17 + 1j


@dataclass(frozen=True)
class System:
    """F(u, z) = 0, as many equations as unknowns u.

    Attributes
    ----------
    unknowns : tuple of sympy.Symbol
    residuals : tuple of sympy expression
        F.
    start : tuple of sympy expression in z
        The unknowns as z tends to infinity, to leading order.
    value : sympy expression
        G in terms of the unknowns and z.
    """

    unknowns: tuple[Any, ...]
    residuals: tuple[Any, ...]
    start: tuple[Any, ...]
    value: Any

    @cached_property
    def jacobian(self) -> tuple[tuple[Any, ...], ...]:
        """dF/du, row by row."""
        return tuple(tuple(sp.diff(f, u) for u in self.unknowns) for f in self.residuals)

    @cached_property
    def parameters(self) -> tuple[Any, ...]:
        """Free symbols beside z and the unknowns, by name."""
        symbols = set().union(*(f.free_symbols for f in (*self.residuals, *self.start)))
        return tuple(sorted(symbols - {z, *self.unknowns}, key=str))

    @cached_property
    def _functions(self) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
        arguments = (z, *self.unknowns, *self.parameters)
        slopes = [sp.diff(f, z) for f in self.residuals]
        flat = [*self.residuals, *(entry for row in self.jacobian for entry in row), *slopes]
        begin = compiled((z, *self.parameters), list(self.start))
        return compiled(arguments, flat), begin, compiled(arguments, self.value)

    def cauchy(self, points: ComplexArray, values: Values, scale: float) -> ComplexArray:
        """G at points of the closed upper half-plane, NaN where the root was lost.

        Parameters
        ----------
        points : complex array, one-dimensional
        values : mapping
            Symbol -> number, for `parameters`.
        scale : float
            Size of the support.
        """
        given = [float(values[p]) for p in self.parameters]
        whole, begin, read = self._functions
        n, count = len(self.unknowns), points.size
        vanishing = np.array([[s == 0] for s in self.start])

        def evaluate(u: ComplexArray, at: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
            rows = np.array([np.broadcast_to(v, at.shape) for v in whole(at, *u, *given)], dtype=complex)
            return rows[:n], rows[n : n + n * n].reshape(n, n, -1), rows[n + n * n :]

        def newton(u: ComplexArray, at: ComplexArray, size: ComplexArray, first: float) -> tuple[ComplexArray, Any]:
            """Newton's method; a root counts as reached where the corrections are small and shrink from the first."""
            before = np.full(at.shape, first)
            done = np.zeros(at.shape, dtype=bool)
            lost = np.zeros(at.shape, dtype=bool)
            for _ in range(_NEWTON if first < 1 else 5 * _NEWTON):
                f, j, _ = evaluate(u, at)
                step = -_solve(j, f)
                # unknowns that start at 0, and may stay there, are measured by the others
                floor = np.where(vanishing, 1e-3 * np.max(np.abs(u), axis=0), 0)
                norm = np.max(np.abs(step) / np.maximum(np.maximum(np.abs(u), np.abs(size)), floor), axis=0)
                settled = norm < 4e-16
                stalled = (norm > _CONTRACTION * before) & ~settled
                done |= settled | (stalled & (before < _FLOOR))
                lost |= (stalled & ~done & (first < 1)) | ~np.isfinite(norm)
                u = np.where(done | lost, u, u + step)
                before = norm
                if np.all(done | lost):
                    break
            return u, (done | (before < _FLOOR)) & ~lost

        with np.errstate(all="ignore"):
            height = _FAR * (scale + np.abs(points))
            here = points + _UP * height
            u = np.array([np.broadcast_to(v, here.shape) for v in begin(here, *given)], dtype=complex)
            u, good = newton(u, here, u, np.inf)
            good &= np.abs(here * read(here, *u, *given) - 1) < 0.5
            rate = np.full(count, 0.3)
            for _ in range(_MOST_STEPS):
                moving = np.flatnonzero(good & (height > 0))
                if moving.size == 0:
                    break
                start, at, x = u[:, moving], here[moving], points[moving]
                lower = np.where(rate[moving] < 1e-2, 0.0, height[moving] * rate[moving])
                to = np.where(lower == 0, x + 1j * _SIDE * (x.imag == 0), x + _UP * lower)
                _, j, by_z = evaluate(start, at)
                slope = -_solve(j, by_z)
                turn = slope * at / start * (np.log(to) - np.log(at))
                # powers of z far away, straight lines next to the support
                far = np.isfinite(turn) & (np.abs(turn) < 3) & (np.abs(to) > 3 * scale)
                guess = np.where(far, start * np.exp(turn), start + slope * (to - at))
                found, reached = newton(guess, to, start, _FIRST)
                g = read(to, *found, *given)
                reached &= g.imag <= 1e-9 * np.abs(g)
                u[:, moving] = np.where(reached, found, start)
                here[moving] = np.where(reached, to, at)
                height[moving] = np.where(reached, lower, height[moving])
                slower = np.where(lower == 0, 0.3, np.sqrt(rate[moving]))
                rate[moving] = np.where(reached, rate[moving] ** 1.7, slower)
                good[moving] &= rate[moving] < 0.99
            out: ComplexArray = np.where(good & (height == 0), read(here, *u, *given), np.nan)
        return out


def _solve(matrices: ComplexArray, right: ComplexArray) -> ComplexArray:
    """Solutions of linear systems, shapes (n, n, N) and (n, N); NaN where the matrix is singular."""
    if matrices.shape[0] == 1:
        return np.asarray(right / matrices[0])
    stacked, columns = np.moveaxis(matrices, -1, 0), right.T[:, :, np.newaxis]
    fine = np.all(np.isfinite(stacked), axis=(1, 2))
    stacked = np.where(fine[:, np.newaxis, np.newaxis], stacked, np.eye(matrices.shape[0]))
    try:
        out = np.linalg.solve(stacked, columns)
    except np.linalg.LinAlgError:
        fine &= np.linalg.matrix_rank(stacked) == matrices.shape[0]
        out = np.linalg.solve(np.where(fine[:, np.newaxis, np.newaxis], stacked, np.eye(matrices.shape[0])), columns)
    return np.asarray(np.where(fine, out[:, :, 0].T, np.nan))


def compiled(arguments: tuple[Any, ...], expression: Any) -> Callable[..., Any]:
    """Numpy function of an expression, or of a list of them.

    Raises
    ------
    NotImplementedError
        If it contains integrals, sums or matrices, or a function without a numeric counterpart.
    """
    for part in expression if isinstance(expression, list) else [expression]:
        objects = part.atoms(sp.Integral, sp.Sum, sp.MatrixSymbol, sp.lerchphi, sp.core.function.AppliedUndef)
        if objects:
            raise NotImplementedError(
                f"{next(iter(objects))} has no numpy function here: ask the law for its curve (law.curve, law.cauchy)"
            )
    expression = [_numbered(part) for part in expression] if isinstance(expression, list) else _numbered(expression)
    dummies = [sp.Dummy(f"a{k}") for k, _ in enumerate(arguments)]
    swap = dict(zip(arguments, dummies, strict=True))
    replaced = (
        [part.xreplace(swap) for part in expression] if isinstance(expression, list) else expression.xreplace(swap)
    )
    function: Callable[..., Any] = sp.lambdify(dummies, replaced, modules=[NUMERIC, "scipy", "numpy"], cse=True)
    return function


def _numbered(expression: Any) -> Any:
    """Roots of polynomials as numbers."""
    expression = sp.sympify(expression)
    return expression.xreplace({root: sp.N(root, 17) for root in expression.atoms(sp.CRootOf)})


def evaluator(derivation: Derivation, quantity: str) -> Callable[..., Any]:
    """See `Derivation.lambdify`."""
    if quantity not in ("density", "cauchy"):
        raise ValueError(f"quantity={quantity!r}: expected 'density' or 'cauchy'")
    symbols = derivation.parameters
    names = [str(symbol) for symbol in symbols]
    explicit = _explicit_density(derivation) if quantity == "density" else None
    follow = _cauchy(derivation) if explicit is None else None

    def function(x: npt.ArrayLike, /, **parameters: float) -> Any:
        if set(parameters) != set(names):
            raise TypeError(
                f"{quantity} of {derivation.subject}: expected the keywords {', '.join(names) or '(none)'}; "
                f"got {', '.join(parameters) or '(none)'}"
            )
        values = {symbol: float(parameters[name]) for symbol, name in zip(symbols, names, strict=True)}
        points = np.asarray(x, dtype=float if quantity == "density" else complex)
        flat = points.ravel()
        if explicit is not None:
            result = explicit(flat, values)
        else:
            assert follow is not None
            if np.any(flat.imag < 0):
                raise ValueError("z: expected Im z >= 0; below the axis G takes conjugate values")
            found = follow(flat.astype(complex), values)
            if np.any(np.isnan(found)):
                bad = flat[np.isnan(found)][0]
                raise ConvergenceError(
                    f"{quantity} of {derivation.subject}: the root was lost on the way to {bad:.17g}, next to an edge "
                    "or an atom; move the point"
                )
            result = np.where(found.imag < -1e-100, -found.imag / np.pi, 0.0) if quantity == "density" else found
        result = np.asarray(result).reshape(points.shape)
        return result.item() if points.ndim == 0 else result

    function.__name__ = function.__qualname__ = quantity
    function.__doc__ = f"{quantity} of {derivation.subject}; keywords: {', '.join(names) or 'none'}."
    return function


def _explicit_density(derivation: Derivation) -> Callable[[Any, Values], Any] | None:
    pieces = derivation.density
    if not pieces or any(piece.position != piece.parameter for piece in pieces):
        return None
    symbols = derivation.parameters
    parts = [compiled((p.parameter, *symbols), [p.value + 0 * p.parameter, p.lower, p.upper]) for p in pieces]

    def density(x: Any, values: Values) -> Any:
        out = np.zeros(x.shape)
        for part in parts:
            with np.errstate(all="ignore"):
                value, lower, upper = part(x.astype(complex), *values.values())
            inside = (x >= np.real(lower)) & (x <= np.real(upper))
            out = np.where(inside, out + np.real(value), out)
        return out

    return density


def _cauchy(derivation: Derivation) -> Callable[[ComplexArray, Values], ComplexArray]:
    """G on the closed upper half-plane: the explicit solution, by way of another law, or by continuation."""
    if derivation.image is not None and derivation.solution is None:
        return _image(*derivation.image)
    if derivation.solution is not None:
        explicit = compiled((z, *derivation.parameters), derivation.solution)

        def closed(points: ComplexArray, values: Values) -> ComplexArray:
            above = points + 1j * _SIDE * (points.imag == 0)
            with np.errstate(all="ignore"):
                value = explicit(above, *(values[p] for p in derivation.parameters))
            return np.asarray(np.broadcast_to(value, points.shape), dtype=complex)

        return closed
    system = derivation.system
    _ = system._functions  # what has no numeric function is told now

    def continued(points: ComplexArray, values: Values) -> ComplexArray:
        return system.cauchy(points, values, _scale(derivation, values))

    return continued


def _image(inner: Derivation, argument: Any, value: Any) -> Callable[[ComplexArray, Values], ComplexArray]:
    """G of an image: that of the inner law at another point, mirrored where the point lies below the axis."""
    own = _cauchy(inner)
    symbols = sorted((argument.free_symbols | value.free_symbols) - {z, G}, key=str)
    moved, read = compiled((z, *symbols), argument), compiled((G, z, *symbols), value)

    def mapped(points: ComplexArray, values: Values) -> ComplexArray:
        given = [values[s] for s in symbols]
        above = points + 1j * _SIDE * (points.imag == 0)
        with np.errstate(all="ignore"):
            at = np.asarray(moved(above, *given)) + 0 * above
        below = at.imag < 0
        at = np.where(below, at.conj(), at)
        at = np.where(points.imag == 0, at.real + 0j, at)
        g = own(at, values)
        return np.asarray(read(np.where(below, g.conj(), g), points, *given))

    return mapped


def _scale(derivation: Derivation, values: Values) -> float:
    """Size of the support, from the second moment where there is one."""
    try:
        second = complex(sp.N(sp.sympify(derivation.moments(2)[1]).subs(values)))
        if np.isfinite(second) and abs(second) > 0:
            return float(np.sqrt(abs(second)))
    except (PreconditionError, NotImplementedError, ArithmeticError, TypeError):
        pass
    return 1.0 + sum(abs(v) for v in values.values())
