"""Activation functions that a user writes: a sympy expression, or two Python functions φ and φ'.

Their Gaussian averages are integrated by rules that are refined until they settle, split at the kinks; where φ' is
constant between kinks, the law of φ'(h)² is the discrete one.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from theory.gaussian import gaussian_average
from theory.nonlinearity import ClosedForms, Nonlinearity

__all__ = ["custom_nonlinearity"]

FloatArray = npt.NDArray[np.float64]
ArrayFunction = Callable[[FloatArray], FloatArray]

_FAR = 1e4  # where slopes are looked at for their range
_PROBES = np.concatenate([-np.geomspace(1e-3, 30, 40)[::-1], np.geomspace(1e-3, 30, 40)]) + 1.7e-4
_STEP = 1e-5
_SAFE = 60.0  # exp(-60) is below rounding, and exp(60) far from overflow, squared and cubed


@functools.lru_cache(maxsize=64)
def custom_nonlinearity(
    phi: Any, dphi: Any = None, kinks: tuple[float, ...] | None = None, periodic: bool = False
) -> Nonlinearity:
    """Nonlinearity of a user's function; see `theory.get_activation`, ``"custom"``.

    Raises
    ------
    ValueError
        A function that is not real and continuous with bounded slopes, a derivative that is not its derivative, or an
        expression whose kinks are not found.
    """
    given = (("phi", phi), ("dphi", dphi), ("kinks", kinks), ("periodic", periodic))
    if hasattr(phi, "free_symbols"):
        value, slope, found = _from_expression(phi, dphi)
        places = found if kinks is None else _sorted(kinks)
    elif callable(phi):
        if not callable(dphi):
            raise ValueError("activation 'custom': dphi is missing: give the derivative of phi as a second function")
        value, slope, places = _vectorised("phi", phi), _vectorised("dphi", dphi), _sorted(kinks or ())
    else:
        raise ValueError(f"activation 'custom': phi={phi!r} must be a function of an array or a sympy expression")
    _check(value, slope, places)
    value, slope = _continued(value, slope)
    pieces = _constant_slopes(slope, places)

    def average(f: ArrayFunction, q: float) -> float:
        return float(gaussian_average(f, q, kinks=places, entire=periodic))

    forms = ClosedForms(
        mean=functools.lru_cache(maxsize=4096)(lambda q: average(value, q)),
        second_moment=functools.lru_cache(maxsize=4096)(lambda q: average(lambda h: value(h) ** 2, q)),
        gain=functools.lru_cache(maxsize=4096)(lambda q: average(lambda h: slope(h) ** 2, q)),
        slope_masses=None if pieces is None else functools.partial(_masses, pieces, places),
    )
    at_zero = float(value(np.zeros(1))[0])
    used = tuple((key, item) for key, item in given if item is not None and item is not False)
    return Nonlinearity("custom", used, value, slope, forms, _slope_range(slope, places), at_zero, places, periodic)


def _sorted(kinks: Sequence[float]) -> tuple[float, ...]:
    return tuple(sorted(float(kink) for kink in kinks))


def _vectorised(name: str, function: Callable[..., Any]) -> ArrayFunction:
    def evaluate(h: FloatArray) -> FloatArray:
        points = np.asarray(h, dtype=np.float64)
        # far out an intermediate result may overflow, as exp(-h) of h/(1 + exp(-h)) does; what comes of it is checked
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            values = np.broadcast_to(np.asarray(function(points), dtype=np.float64), points.shape)
        return np.array(values)

    try:
        evaluate(np.array([-1.5, 0.5]))
    except Exception as error:
        raise ValueError(
            f"activation 'custom': {name} fails on an array ({error}); write it with numpy functions"
        ) from error
    return evaluate


def _from_expression(phi: Any, dphi: Any) -> tuple[ArrayFunction, ArrayFunction, tuple[float, ...]]:
    import sympy as sp

    if len(phi.free_symbols) != 1:
        raise ValueError(f"activation 'custom': phi={phi} must contain one symbol, the pre-activation")
    h = sp.Symbol("h", real=True)
    expression = phi.subs(next(iter(phi.free_symbols)), h)
    if dphi is None:
        derivative = sp.diff(expression, h)
    elif isinstance(dphi, sp.Basic):  # text, which a file may hold, is never parsed
        derivative = dphi.subs(next(iter(dphi.free_symbols), h), h)
    else:
        raise ValueError(f"activation 'custom': dphi={dphi!r} must be a sympy expression like phi; or leave it out")
    if derivative.has(sp.DiracDelta):
        raise ValueError(f"activation 'custom': phi={phi} jumps; signal propagation needs a continuous function")
    arguments = {node.args[0] for node in expression.atoms(sp.Abs, sp.sign, sp.Heaviside)}
    for node in expression.atoms(sp.Max, sp.Min):
        arguments |= {a - b for a, b in itertools.combinations(node.args, 2)}
    for node in expression.atoms(sp.core.relational.Relational):
        arguments.add(node.lhs - node.rhs)
    kinks: set[float] = set()
    for argument in arguments:
        roots = sp.solveset(argument, h, sp.S.Reals)
        if not isinstance(roots, sp.FiniteSet) and roots is not sp.S.EmptySet:
            raise ValueError(f"activation 'custom': the kinks {argument} = 0 of phi are not found: give kinks=(…)")
        kinks |= {float(root) for root in roots}
    modules = ["scipy", "numpy"]
    functions = [sp.lambdify(h, part, modules) for part in (expression, derivative)]
    return _vectorised("phi", functions[0]), _vectorised("dphi", functions[1]), _sorted(tuple(kinks))


def _check(value: ArrayFunction, slope: ArrayFunction, kinks: tuple[float, ...]) -> None:
    """Refuse what is not finite, not continuous, or not the derivative."""
    distance = np.min(np.abs(_PROBES[:, None] - np.array(kinks)), axis=1) if kinks else np.full(_PROBES.shape, np.inf)
    h = _PROBES[distance > 10 * _STEP]
    values, slopes = value(h), slope(h)
    if not np.all(np.isfinite(values) & np.isfinite(slopes)):
        bad = h[~(np.isfinite(values) & np.isfinite(slopes))][0]
        raise ValueError(f"activation 'custom': phi or its slope is not finite at h = {bad:.6g}")
    difference = (value(h + _STEP) - value(h - _STEP)) / (2 * _STEP)
    off = np.abs(difference - slopes) > 1e-5 * (1 + np.abs(slopes)) + 1e-9 * np.abs(values) / _STEP
    if np.any(off):
        raise ValueError(
            f"activation 'custom': at h = {h[off][0]:.6g} the slope of phi is {difference[off][0]:.6g}, and dphi gives "
            f"{slopes[off][0]:.6g}; correct dphi, or name the kinks of phi"
        )
    for kink in kinks:
        below, above = value(np.array([kink - 1e-9, kink + 1e-9]))
        if abs(above - below) > 1e-6 * (1 + abs(above)):
            raise ValueError(
                f"activation 'custom': phi jumps at {kink:.6g}; signal propagation needs a continuous function"
            )


def _continued(value: ArrayFunction, slope: ArrayFunction) -> tuple[ArrayFunction, ArrayFunction]:
    """The functions with a straight line in the place of what is not finite far out, as inf/inf is."""
    ends = np.array([-_SAFE, _SAFE])
    (low, high), (low_slope, high_slope) = value(ends), slope(ends)

    def continued_value(h: FloatArray) -> FloatArray:
        values = value(h)
        lines = np.where(h < 0, low + low_slope * (h + _SAFE), high + high_slope * (h - _SAFE))
        return np.where(np.isfinite(values) | (np.abs(h) < _SAFE), values, lines)

    def continued_slope(h: FloatArray) -> FloatArray:
        slopes = slope(h)
        return np.where(np.isfinite(slopes) | (np.abs(h) < _SAFE), slopes, np.where(h < 0, low_slope, high_slope))

    return continued_value, continued_slope


def _pieces(kinks: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(itertools.pairwise([-math.inf, *kinks, math.inf]))


def _inside(low: float, high: float) -> FloatArray:
    """Points of an interval between kinks, at its ends and far out included."""
    shares = np.linspace(1e-6, 1 - 1e-6, 801)
    if math.isfinite(low) and math.isfinite(high):
        return low + (high - low) * shares
    tail = np.concatenate([np.linspace(1e-7, 40, 4001), np.geomspace(41, _FAR, 60)])
    if math.isfinite(low):
        return low + tail
    return high - tail if math.isfinite(high) else np.concatenate([-tail[::-1], tail])


def _constant_slopes(slope: ArrayFunction, kinks: tuple[float, ...]) -> list[float] | None:
    """The slope on each piece if all are constant."""
    out = []
    for low, high in _pieces(kinks):
        slopes = slope(_inside(low, high))
        if np.ptp(slopes) != 0:
            return None
        out.append(float(slopes[0]))
    return out


def _masses(slopes: Sequence[float], kinks: tuple[float, ...], q: float) -> dict[Any, Any]:
    below = [0.0, *(0.5 * math.erfc(-kink / math.sqrt(2 * q)) for kink in kinks), 1.0]
    masses: dict[Any, Any] = {}
    for value, (low, high) in zip(slopes, itertools.pairwise(below), strict=True):
        square = value * value
        masses[square] = masses.get(square, 0.0) + high - low
    return masses


def _slope_range(slope: ArrayFunction, kinks: tuple[float, ...]) -> tuple[float, float]:
    """Infimum and supremum of the squared slope."""
    from scipy.optimize import minimize_scalar

    low, high = math.inf, -math.inf
    for left, right in _pieces(kinks):
        h = _inside(left, right)
        squares = slope(h) ** 2
        near = np.abs(h) <= 45 + max(map(abs, kinks), default=0.0)
        if squares.max() > 4 * squares[near].max() + 1e-300:
            raise ValueError("activation 'custom': its slope grows without bound: there is no law of squared slopes")
        for sign, best in ((1, int(np.argmin(squares))), (-1, int(np.argmax(squares)))):
            around = (h[max(best - 1, 0)], h[min(best + 1, len(h) - 1)])
            end = float(squares[best])
            if 0 < best < len(h) - 1:
                found = minimize_scalar(
                    lambda x, sign=sign: sign * float(slope(np.array([x]))[0]) ** 2,
                    bounds=(min(around), max(around)),
                    method="bounded",
                    options={"xatol": 1e-10},
                )
                end = sign * min(sign * end, float(found.fun))
            low, high = min(low, end), max(high, end)
    return low, high
