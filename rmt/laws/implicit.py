"""A law given by a transform that the user writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.analytic import Analytic, power_series_end, taylor
from rmt.numeric.continuation import solve
from rmt.numeric.endpoints import (
    Tail,
    atom_of_r,
    atom_of_s,
    find_atoms,
    find_edges,
    mass_of_s,
    psi_is_positive,
    r_is_positive,
    tail_of_psi,
    tail_of_r,
    tail_of_s,
)
from rmt.numeric.implicit import RLeaf, SLeaf, psi_leaf
from rmt.numeric.node import Node
from rmt.numeric.resolvent import ResolventLeaf
from rmt.numeric.tracking import tracked
from rmt.numeric.validity import moment_violation, transform_violation
from rmt.parameters import check_number, normalised, parameter_repr
from rmt.results import PreconditionError
from rmt.series import free_cumulants_to_moments, s_series_to_moments
from rmt.support import Edge

__all__ = ["ImplicitLaw"]

ComplexArray = npt.NDArray[np.complex128]
Transform = Callable[[ComplexArray], Any]

_NAMES = {"s": "S-transform", "r": "R-transform", "psi": "moment transform"}
_ARGUMENTS = {"s": "m", "r": "g", "psi": "z"}
# Moments that are tested, and that the potential of a moment transform uses far away.
_MOMENTS = 24
_LARGEST_RADIUS = 1e12
_ATOM_HEIGHT = 1e-8
_ATOM_TOLERANCE = 1e-3


@dataclass(frozen=True, repr=False)
class ImplicitLaw(Law):
    """Law with a given transform: ``ImplicitLaw(s=...)``, ``ImplicitLaw(r=...)`` or ``ImplicitLaw(psi=...)``.

    The transform is a sympy expression with one free symbol (moments are then exact), or a Python function of a
    complex numpy array, real on the real axis and analytic where the law needs it:

    - ``s``: S(m) of a law on [0, oo) with mean > 0, on the values of the moment transform (in Im m < 0);
    - ``r``: R(g), on the values of the Cauchy transform (in Im g < 0);
    - ``psi``: z G(z) - 1 on Im z >= 0; real z means the limit from above.

    S and R need not be analytic at 0, nor R real there, nor psi at infinity: where they are like a power of their
    argument the law has a tail, ``psi ~ b z**-a``, ``S ~ m**(1/a - 1)`` or ``R ~ g**(a - 1)``, and of its moments only
    the mean may exist. That there is such a law is tested when it is
    made: normalisation, positivity of the Hankel determinants of the first moments, sign and analyticity of G on lines
    through the upper half-plane.

    Parameters
    ----------
    s, r, psi : sympy expression or function
        Exactly one of them.
    atoms : mapping position -> mass, optional
        The atoms where they are known exactly; tested. By default they are found: all of an S- or R-transform that is
        analytic at infinity, those of mass 0.01 and more of a moment transform.

    Raises
    ------
    ValueError
        If not exactly one transform is given, or it is neither an expression in one symbol nor a function.
    PreconditionError
        If no law has this transform; the message names the property that fails, and where.

    Examples
    --------
    >>> import numpy as np
    >>> law = ImplicitLaw(s=lambda m: np.exp(-m) / (1 + m))
    >>> round(law.mean(), 12), round(law.var(), 12)
    (1.0, 2.0)
    """

    s: Any = None
    r: Any = None
    psi: Any = None
    atoms: tuple[tuple[Any, Any], ...] | None = None

    def __init__(
        self, *, s: Any = None, r: Any = None, psi: Any = None, atoms: Mapping[Any, Any] | None = None
    ) -> None:
        given = {name: value for name, value in (("s", s), ("r", r), ("psi", psi)) if value is not None}
        if len(given) != 1:
            raise ValueError(
                f"ImplicitLaw({', '.join(f'{name}=...' for name in given)}): expected exactly one transform; "
                "give s=, r= or psi="
            )
        ((kind, transform),) = given.items()
        if not _is_expression(transform) and not callable(transform):
            raise ValueError(
                f"{kind}={transform!r}: expected a sympy expression in one symbol, or a function of a complex array"
            )
        for position, mass in (atoms or {}).items():
            check_number("position", position)
            check_number(f"mass at {position}", mass, above=0, at_most=1)
        pairs = None if atoms is None else tuple(sorted(atoms.items(), key=lambda item: float(item[0])))
        for name, value in {"s": s, "r": r, "psi": psi, "atoms": pairs}.items():
            object.__setattr__(self, name, value)
        if _is_expression(transform):
            from rmt.symbolic.transforms import variable

            variable(transform)
        _ = self.numeric  # tests that there is such a law

    def __repr__(self) -> str:
        text = f"{self._kind}={_transform_repr(self._transform)}"
        if self.atoms is not None:
            inside = ", ".join(f"{parameter_repr(x)}: {parameter_repr(p)}" for x, p in self.atoms)
            text += f", atoms={{{inside}}}"
        return f"ImplicitLaw({text})"

    @property
    def _kind(self) -> str:
        return next(name for name in _NAMES if getattr(self, name) is not None)

    @property
    def _transform(self) -> Any:
        return getattr(self, self._kind)

    def _refused(self, property_: str, advice: str = "correct the formula") -> PreconditionError:
        shown = self._transform if _is_expression(self._transform) else _transform_repr(self._transform)
        return PreconditionError(f"{self._kind}={shown}: no law has this {_NAMES[self._kind]}: {property_}; {advice}")

    # --- the transform as numbers ---------------------------------------------------------------------------------

    @cached_property
    def _function(self) -> Analytic:
        if not _is_expression(self._transform):
            return Analytic(_checked(self._kind, self._transform))
        from rmt.symbolic.transforms import analytic

        return analytic(self._transform)

    @cached_property
    def _tail(self) -> Tail | None:
        """What a transform tells of a law of unbounded support; None where it is analytic, S and R at 0, psi at oo."""
        try:
            start, *others = map(complex, self._coefficients(_MOMENTS))
            # S vanishes where the mean is infinite, R and psi are not real where it is not defined
            if start != 0 if self._kind == "s" else all(c.imag == 0 for c in (start, *others)):
                return None
            refused = None
        except PreconditionError as error:
            refused = error
        tail = {"s": tail_of_s, "r": tail_of_r, "psi": tail_of_psi}[self._kind](self._function)
        if refused is not None and (tail is None or not any(tail.unbounded)):
            raise refused
        return tail

    def _coefficients(self, n: int) -> list[Any]:
        """The first n Taylor coefficients: of S at m = 0, of R at g = 0, of psi at z = oo."""
        at = "oo" if self._kind == "psi" else "0"
        advice = "it is not like a power there either, as with a tail it would be; correct the formula"
        if _is_expression(self._transform):
            from rmt.symbolic.transforms import series_at_infinity, series_at_zero

            try:
                return (series_at_infinity if self._kind == "psi" else series_at_zero)(self._transform, n)
            except ValueError as error:
                raise self._refused(str(error), advice) from error
        function = self._function
        # psi is known above the real axis, where 1/z is below
        found = taylor(
            (lambda t: function(1 / t)) if self._kind == "psi" else function, n, _LARGEST_RADIUS
        )
        if found is None:
            raise self._refused(f"it is not analytic and real at {_ARGUMENTS[self._kind]} = {at}", advice)
        return found

    def _moments_series(self, n: int) -> list[Any]:
        if self._tail is not None:
            if n == 1 and self._tail.mean is not None:
                return [self._tail.mean]
            known = "none exists" if self._tail.mean is None else "only the mean is known"
            raise PreconditionError(
                f"moments of {self!r}: {known}, as the law has a tail; ask for quantiles, or for `expectation` of a "
                "bounded function"
            )
        if self._kind == "psi":
            first, *moments = self._coefficients(n + 1)
            if abs(complex(first)) > 1e-12:
                raise self._refused(f"psi(oo) = {complex(first).real:.6g}, and normalisation (z G -> 1) wants 0")
            return moments
        if self._kind == "r":
            return free_cumulants_to_moments(self._coefficients(n))
        coefficients = self._coefficients(n)
        if not complex(coefficients[0]).real > 0:
            raise self._refused(
                f"S(0) = {complex(coefficients[0]).real:.6g}, and 1/S(0) is the mean of a law on [0, oo), not a point "
                "mass at 0"
            )
        return [normalised(m) for m in s_series_to_moments(coefficients)]

    # --- the law ----------------------------------------------------------------------------------------------------

    def _node(self) -> Node:
        node = self._bounded() if self._tail is None else self._unbounded(self._tail)
        violation = transform_violation(node)
        if violation is not None:
            raise self._refused(violation, "correct the formula, or the branch of its roots and logarithms")
        self._test_atoms(node)
        return node

    def _unbounded(self, tail: Tail) -> Node:
        """The system of a law with a tail, which has no moments to be tested."""
        mean, variance = (0.0 if tail.mean is None else tail.mean), tail.size**2
        function = replace(self._function, below=True)
        if self._kind == "r":
            positive = not tail.unbounded[0] and r_is_positive(self._function, math.inf, tail.size)
            if positive and tail.mean is None:
                mean = tail.size
            return _r_node(RLeaf(function, self._far_end, mean, variance, positive, tail))
        if self._kind == "psi":
            if self._on_half_axis and tail.mean is None:
                mean = tail.size
            leaf = self._psi_leaf(tail, mean, variance)
            edges = [float(e.position) for e in self._psi_edges]
            leaf.full, leaf.gapless = edges == [-math.inf, math.inf], edges == [0, math.inf]
            return leaf
        _, violation = mass_of_s(self._function)
        if violation is not None:
            raise self._refused(violation)
        mean, variance = (mean, max(mean, tail.size) ** 2) if mean else (tail.size, variance)
        return SLeaf(function, self._near_end, mean, variance, float(self._mass), tail)

    def _bounded(self) -> Node:
        """The system of a law with moments of all orders, the first of which are tested."""
        moments = [float(m) for m in self._moments_series(_MOMENTS)]
        mean, variance = moments[0], moments[1] - moments[0] ** 2
        if abs(variance) <= 1e-13 * (moments[1] + mean**2):
            for k, m in enumerate(moments, 1):
                if abs(m - mean**k) > 1e-9 * (abs(m) + abs(mean) ** k):
                    raise self._refused(f"the variance is 0, but the moment of order {k} is {m:.6g}, not {mean**k:.6g}")
            raise self._refused("the variance is 0", f"for the point mass use Discrete({{{mean:.6g}: 1}})")
        violation = moment_violation(moments[:14], positive=self._kind == "s")
        if violation is None and self._kind == "s":
            _, violation = mass_of_s(self._function)
        if violation is not None:
            raise self._refused(violation)
        function = self._function
        if self._kind == "s":
            return SLeaf(function, self._near_end, mean, variance, float(self._mass))
        if self._kind == "r":
            positive = r_is_positive(function, mean, math.sqrt(variance))
            return _r_node(RLeaf(function, self._far_end, mean, variance, positive))
        return self._psi_leaf(moments, mean, variance)

    def _psi_leaf(self, far: Sequence[float] | Tail, mean: float, variance: float) -> ResolventLeaf:
        w = None  # 1 + psi as a function that loses no digits where it is small
        if _is_expression(self.psi):
            from rmt.symbolic.transforms import one_plus

            w = one_plus(self.psi)
        singular = [*map(float, self._found), *(float(e.position) for e in self._psi_edges)]
        return psi_leaf(
            self._function, w, far, mean=mean, variance=variance, positive=self._on_half_axis, singular=singular
        )

    @property
    def _near_end(self) -> tuple[Analytic, float] | None:
        """S as a function of w, where that is small (`SLeaf`)."""
        if _is_expression(self.s):
            from rmt.symbolic.transforms import near_the_end

            return near_the_end(self.s, self._mass), 0.5
        mass = float(self._mass)
        return power_series_end(lambda w: self._function(mass * (w - 1)))

    @property
    def _far_end(self) -> tuple[Analytic, float] | None:
        """1 + g R as a function of 1/g (`RLeaf`)."""
        if _is_expression(self.r):
            from rmt.symbolic.transforms import one_plus_at_infinity

            return one_plus_at_infinity(self.r), math.inf
        return power_series_end(lambda t: 1 + self._function(1 / t.conj()).conj() / t)

    @cached_property
    def _on_half_axis(self) -> bool:
        if self._tail is not None:
            return not self._tail.unbounded[0] and psi_is_positive(self._function, self._tail.size)
        mean, second = (float(m) for m in self._moments_series(2))
        return psi_is_positive(self._function, math.sqrt(second - mean**2))

    @cached_property
    def _reach(self) -> float:
        """A radius that holds the support, or of a law with a tail most of it."""
        if self._tail is not None:
            return (1e2 if self._kind == "psi" else 1e3) * self._tail.size
        moments = [float(m) for m in self._moments_series(_MOMENTS)]
        return float(1.5 * (moments[-1] ** (1 / _MOMENTS) + math.sqrt(moments[1])))

    def _cauchy_of_psi(self, z: ComplexArray) -> ComplexArray:
        out: ComplexArray = (1 + self._function(z)) / z
        return out

    @cached_property
    def _psi_edges(self) -> tuple[Edge, ...]:
        """Edges of a law given by its moment transform: where that ceases to be real."""
        found = find_edges(self._cauchy_of_psi, 0.0, self._reach, self._on_half_axis)
        if not found and sum(self._found.values()) < 1 - 1e-6:
            raise self._refused("it is real on the whole axis, but its atoms do not add up to 1", "give atoms=")
        return tuple(
            edge
            for lower, upper, down, up in found
            for edge in (Edge(lower, down, "lower"), Edge(upper, up, "upper"))
        )

    def _edges(self) -> tuple[Edge, ...] | None:
        # those of the others are critical points of z(m) and z(g), found by the solver
        return self._psi_edges if self._kind == "psi" else None

    @cached_property
    def _mass(self) -> Any:
        """Mass away from 0 of an S-transform, exact where it is a root of an exact expression."""
        mass, _ = mass_of_s(self._function)
        nearby = Fraction(mass).limit_denominator(1000)
        if mass < 1 and _is_expression(self.s) and abs(float(nearby) - mass) < 1e-13:
            from rmt.symbolic.transforms import has_pole

            if has_pole(self.s, -nearby):
                return nearby
        return 1 if mass > 1 - 1e-9 else mass

    @cached_property
    def _found(self) -> dict[Any, Any]:
        """Atoms as the transform tells them."""
        if self.atoms is not None:
            return dict(self.atoms)
        function = self._function
        out: dict[Any, Any] = {}
        if self._kind == "s":
            if self._mass != 1:
                out[0] = 1 - self._mass
            atom = atom_of_s(function)
        elif self._kind == "r":
            atom = atom_of_r(function)
        else:
            for x, p in find_atoms(self._cauchy_of_psi, 0.0, self._reach):
                out[x] = round(p, 12)
            return out
        # where the transform vanishes at infinity, rounding has told of an atom far away
        if atom is not None and abs(atom[0]) <= self._reach and atom[1] <= 1:
            out[0 if abs(atom[0]) < 1e-9 * self._reach else atom[0]] = atom[1]
        return out

    def _atoms(self) -> dict[Any, Any]:
        return dict(self._found)

    def _test_atoms(self, node: Node) -> None:
        """Compare the atoms with the residues of G."""
        size = math.sqrt(node.variance)
        for x, p in self._found.items():
            z = np.array([float(x) + 1j * _ATOM_HEIGHT * size])
            solution = solve(node, z)
            mass = -_ATOM_HEIGHT * size * float(solution.g.imag[0])
            if not solution.converged[0] or abs(mass - float(p)) > _ATOM_TOLERANCE:
                raise PreconditionError(
                    f"atoms: the mass at {float(x):.6g} is {mass:.4g} by the transform, not {float(p):.6g}; "
                    "correct it, or leave `atoms` out"
                )


def _r_node(leaf: RLeaf) -> Node:
    """The leaf; on [0, oo) with log z as an unknown: g tells nothing of z next to 0 in a gap."""
    return tracked(leaf) if leaf.positive else leaf


def _is_expression(transform: Any) -> bool:
    return hasattr(transform, "free_symbols")


def _transform_repr(transform: Any) -> str:
    if _is_expression(transform):
        return parameter_repr(transform)
    return str(getattr(transform, "__name__", repr(transform)))


def _checked(kind: str, function: Transform) -> Callable[[ComplexArray], ComplexArray]:
    """The function, with what it returns brought to a complex array of the right shape."""

    def call(x: ComplexArray) -> ComplexArray:
        with np.errstate(all="ignore"):
            try:
                value = np.asarray(function(x), dtype=complex)
                return np.broadcast_to(value, x.shape).copy()
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{kind}: the function failed on a complex array ({error}); write it with numpy operations"
                ) from error

    return call
