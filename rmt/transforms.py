"""Transforms of a law from its numeric system, and back: R and S along rays, the density by Stieltjes' inversion.

Conventions (one everywhere): ``G(z) = E 1/(z - X)``, ``m(z) = z G(z) - 1``, ``R(G(z)) + 1/G(z) = z``,
``S(m) = (1 + m)/(m z(m))``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.continuation import Solution, newton_to, solve
from rmt.numeric.jet import ComplexArray
from rmt.numeric.node import Linearised
from rmt.results import ConvergenceError, PreconditionError

if TYPE_CHECKING:
    from rmt.law import Law

__all__ = ["cauchy", "moment_transform", "r_transform", "s_transform", "stieltjes_density"]

FloatArray = npt.NDArray[np.float64]

# Stieltjes' inversion: heights over the axis, as shares of the distance to the nearest singularity that is tried.
_LEVELS = 9
_SHARES = (0.3, 0.03, 0.003, 0.0003)
_AGREEMENT = 1e-11
# Relative error from which a value next to an isolated atom is computed without the pole, from as many points around.
_ROUGH, _CIRCLE = 1e-10, 32


def cauchy(law: Law, z: npt.ArrayLike, strategy: str) -> Any:
    """See `Law.cauchy`."""
    points = np.asarray(z, dtype=complex)
    flat, lower = _upper(points)
    resolved = np.ones(flat.shape, dtype=bool)
    if strategy == "subordination":
        solution = solve(law.numeric, flat, insist=False)
        _beside_atoms(law, flat, solution)
        again = np.flatnonzero(~solution.converged)
        if again.size:
            solution.take(again, solve(law.numeric, flat[again]))
        values, resolved = solution.g, solution.converged
    else:
        with np.errstate(divide="ignore", invalid="ignore"):  # at an atom
            values = law._cauchy_closed_form(flat) if strategy == "closed_form" else law._density.cauchy(flat)
    bad = flat[~(resolved & np.isfinite(values))]
    if bad.size:
        raise ConvergenceError(
            f"Cauchy transform of {law!r} was not resolved at z = {bad[0]:.17g}: too close to an edge or atom; "
            "move the point off it"
        )
    return _shaped(np.where(lower, values.conj(), values), points)


def _beside_atoms(law: Law, z: ComplexArray, solution: Solution) -> None:
    """Fill in the Cauchy transform next to isolated atoms, where its pole leaves the solver few digits for the rest.

    What is left without the pole is analytic in a disc around the atom, and is taken from a circle in it by Cauchy's
    formula (trapezoidal rule: n points on a circle that is a quarter of the disc's radius leave errors of 4**-n).
    """
    poor = ~solution.converged | (solution.error > _ROUGH)
    if not law._atoms() or not np.any(poor):
        return
    support = law.support()
    ends = [float(x) for interval in support.intervals for x in interval]
    atoms = {float(x): float(p) for x, p in support.atoms.items()}
    for atom, mass in atoms.items():
        if any(float(low) <= atom <= float(high) for low, high in support.intervals):
            continue
        radius = min((abs(atom - x) for x in (*ends, *atoms) if x != atom), default=1.0) / 4
        close = np.flatnonzero(poor & (np.abs(z - atom) < radius / 4) & (z != atom))
        if close.size == 0:
            continue
        turn = radius * np.exp(1j * np.pi * (np.arange(_CIRCLE // 2) + 0.5) / (_CIRCLE // 2))
        around = solve(law.numeric, atom + turn)
        half = around.g - mass / turn
        ring, rest = np.concatenate([turn, turn.conj()]), np.concatenate([half, half.conj()])
        offset = z[close] - atom
        solution.g[close] = mass / offset + np.mean(rest * ring / (ring - offset[:, np.newaxis]), axis=1)
        solution.converged[close] = np.all(around.converged)


def moment_transform(law: Law, z: npt.ArrayLike) -> Any:
    """See `Law.moment_transform`."""
    points = np.asarray(z, dtype=complex)
    if "subordination" not in law.methods("cauchy"):
        return _shaped(points * np.asarray(law.cauchy(points)) - 1, points)
    flat, lower = _upper(points)
    solution = solve(law.numeric, flat)
    if not np.all(solution.converged):
        raise ConvergenceError(f"moment transform of {law!r} was not resolved at some z; move them off the edges")
    return _shaped(np.where(lower, solution.m.conj(), solution.m), points)


def s_transform(law: Law, m: npt.ArrayLike) -> Any:
    """See `Law.s_transform`."""
    node = law.numeric
    return _follow(
        law,
        m,
        "s_transform",
        coordinate=lambda lin: (np.log(lin.jet.m), lin.jet.dm / lin.jet.m),
        read=lambda lin: complex(np.exp(lin.jet.log_s[0])),
        at_zero=1 / node.mean,
        side=math.copysign(1, node.mean),  # far away m ~ mean/z
    )


def r_transform(law: Law, g: npt.ArrayLike) -> Any:
    """See `Law.r_transform`."""
    return _follow(
        law,
        g,
        "r_transform",
        coordinate=lambda lin: (np.log(lin.jet.g), lin.jet.dlog_g),
        read=lambda lin: complex(lin.jet.r[0]),
        at_zero=law.numeric.mean,
        side=1.0,  # far away g ~ 1/z
    )


def _upper(points: ComplexArray) -> tuple[ComplexArray, npt.NDArray[np.bool_]]:
    """The points, flat, mirrored into the closed upper half-plane, and which were mirrored."""
    flat = points.ravel()
    lower = flat.imag < 0
    return np.where(lower, flat.conj(), flat), lower


def _shaped(values: ComplexArray, points: ComplexArray) -> Any:
    out = values.reshape(points.shape)
    return complex(out) if points.ndim == 0 else out


def _follow(
    law: Law,
    value: npt.ArrayLike,
    name: str,
    *,
    coordinate: Callable[[Linearised], tuple[ComplexArray, ComplexArray]],
    read: Callable[[Linearised], complex],
    at_zero: float,
    side: float,
) -> Any:
    """Follow a coordinate of the system from 0 to each wanted value along a ray in its logarithm."""
    wanted = np.asarray(value, dtype=complex)
    out = np.empty(wanted.shape, dtype=complex)
    node = law.numeric
    spread = abs(node.mean) + math.sqrt(node.variance)
    for index, target in np.ndenumerate(wanted):
        above = bool((target.real > 0) == (side > 0))  # on which side of the support real arguments start
        if target.imag == 0 and (node.unbounded[above] or (target == 0 and any(node.unbounded))):
            raise PreconditionError(
                f"{name} of {law!r} at {target.real:.6g}: the law is unbounded on that side, where the transform has "
                "no real values; give an argument off the real axis"
            )
        if target == 0:
            out[index] = at_zero
            continue
        mirrored = target.imag * side > 0  # reached from below the axis
        upper = target.conjugate() if mirrored else target
        z = np.array([1e3 * spread * side * abs(upper) / upper])
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
                        f"{name} of {law!r} stops before {complex(target):.6g}: an edge of the support; "
                        "ask for smaller arguments"
                    )
        result = read(node.linearise(u))
        out[index] = result.conjugate() if mirrored else result
    if np.isrealobj(np.asarray(value)):
        real: FloatArray = out.real
        return float(real) if wanted.ndim == 0 else real
    return complex(out) if wanted.ndim == 0 else out


def stieltjes_density(law: Law, x: FloatArray) -> FloatArray:
    """Density by Stieltjes' inversion: -Im G(x + i eps)/pi, extrapolated to eps = 0 (Richardson); NaN where it fails.

    G is only asked for off the axis. Inside the support it continues analytically across it, as a power series in eps
    whose radius is the distance to the nearest edge, atom or other singularity; the atoms are subtracted first.
    """
    strategy = law.methods("cauchy")[0]
    support = law.support()
    edges = np.array([float(e.position) for e in support.edges if math.isfinite(e.position)])
    positions, masses = law._density.atoms
    out = np.zeros(x.shape)
    inside = np.zeros(x.shape, dtype=bool)
    for lower, upper in support.intervals:
        inside |= (x > float(lower)) & (x < float(upper))
    here = x[inside]
    places = np.concatenate([edges, positions])
    distance = np.min(np.abs(here[:, np.newaxis] - places), axis=1) if places.size else np.full(here.shape, 1.0)
    found = np.full(here.shape, np.nan)
    for share in _SHARES:  # there may be singularities that are no edges: then closer to the axis
        again = np.flatnonzero(np.isnan(found))
        if again.size == 0:
            break
        table: list[FloatArray] = []
        values, doubt = np.empty(0), np.empty(0)
        for level in range(_LEVELS):
            eps = share * distance[again] * 0.5**level
            z = here[again] + 1j * eps
            try:
                g = np.asarray(cauchy(law, z, strategy))
            except ConvergenceError:
                break
            g = g - np.sum(masses / (z[:, np.newaxis] - positions), axis=1)
            row = [-g.imag / np.pi]
            for k, previous in enumerate(table, 1):
                row.append(row[-1] + (row[-1] - previous) / (2.0**k - 1))
            values, doubt = row[-1], np.abs(row[-1] - row[-2]) if table else np.full(again.shape, np.inf)
            table = row
        if values.size:
            fine = doubt <= _AGREEMENT * np.maximum(1.0, np.abs(values))
            found[again[fine]] = values[fine]
    out[inside] = found
    return out
