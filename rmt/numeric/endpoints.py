"""What transforms tell about atoms and about [0, oo): their behaviour at the ends of their domains.

- S on (-1, 0): positive and decreasing down to -q, where it has its pole; 1 - q is the mass at 0.
- R at infinity: ``R = x - (1 - p)/g + …`` at an atom of mass p at x, as ``G ~ p/(z - x)``.
- S at infinity: ``x S = 1 + (1 - p)/m + …`` in the same way.
- a law lives on [0, oo) iff z runs up to 0 when g runs down from 0 along the real axis.
- S or R like a power at 0, or psi at infinity: the law has a tail. From ``m ~ exp(b) z**-a`` follow
  ``S ~ exp(-b/a) m**(1/a - 1)`` and ``R ~ exp(b) g**(a - 1)``; a = 1 is a law with a mean, or one with tails like
  Cauchy's.

All derived here from ``z = R(g) + 1/g`` and ``z = (1 + m)/(m S(m))``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rmt.numeric.analytic import Analytic, taylor
from rmt.numeric.jet import ComplexArray, log_lower, log_upper

__all__ = [
    "Tail",
    "atom_of_r",
    "atom_of_s",
    "find_atoms",
    "find_edges",
    "mass_of_s",
    "psi_is_positive",
    "r_is_positive",
    "tail_of_psi",
    "tail_of_r",
    "tail_of_s",
]

FloatArray = npt.NDArray[np.float64]
Function = Callable[[ComplexArray], ComplexArray]

_REAL = 1e-9
# Masses below this are rounding.
_LIGHTEST = 1e-9
# Cells of the search along the real axis; a continuous part alone looks like a mass of about pi/_CELLS in each.
_CELLS = 4000
_SUSPECT = 4e-3
_FAR = 1e12
# Below this share the imaginary part of G on the axis is rounding.
_INSIDE = 1e-9
_EXPONENTS = (1 / 2, -1 / 2, 0.0, 1 / 3, -2 / 3, -1 / 3, 3 / 2, 1.0, -3 / 4, -4 / 5)

# Sizes of the argument between which the slope of a transform at 0 is measured, twice.
_SLOPES = (1e-20, 1e-24, 1e-36, 1e-40)
# |m| at a distance that is an eighth of the way to far away.
_NOT_FAR = 0.2
# Beyond this sine an argument is not one of a real number.
_TURNED = 1e-3
# |m| between which the slope of a moment transform far away is measured, twice: z G - 1 has few digits beyond.
_DECADES = (1e-2, 1e-4, 1e-6, 1e-8)


@dataclass(frozen=True)
class Tail:
    """Far away ``m ~ exp(log_scale) z**-order``; ``mean`` is None where it does not exist.

    ``size`` is a distance from the middle of the law of the order of its quartiles; ``unbounded`` says on which sides
    the tail is.
    """

    order: float
    log_scale: complex
    mean: float | None
    size: float
    unbounded: tuple[bool, bool]

    def m(self, z: ComplexArray) -> ComplexArray:
        """The m of the tail in the closed upper half-plane."""
        out: ComplexArray = np.exp(self.log_scale - self.order * log_upper(z))
        return out

    @property
    def shows(self) -> bool:
        """Whether the density far away is that of this power, and not of a smaller one behind a mean or a variance."""
        turns = np.array([0, np.pi]) * self.order - self.log_scale.imag
        return bool(np.any(np.abs(np.sin(turns)) > _TURNED))

    def distance(self, size: float) -> float:
        """How far away abs(m) is ``size``."""
        return float(np.exp((self.log_scale.real - np.log(size)) / self.order))


def tail_of_s(s: Function) -> Tail | None:
    """The tail of a law on [0, oo) whose S-transform is not analytic at 0, None if S is not like a power there."""
    with np.errstate(all="ignore"):
        value = s(-np.array([*_SLOPES, _NOT_FAR], dtype=complex))
    if not np.all((np.abs(value.imag) < _REAL * np.abs(value)) & (value.real > 0)):
        return None
    *near, inside = value.real.tolist()
    slope = _slope(near)
    if slope is None or slope < 0:
        return None
    order = 1 / (1 + slope)
    # S = c |m|**slope, and m = |m| exp(-i pi) on the negative axis
    log_scale = -order * complex(math.log(near[-1]) - slope * math.log(_SLOPES[-1]), math.pi * slope)
    size = (1 - _NOT_FAR) / (_NOT_FAR * inside) / 8
    return Tail(order, log_scale, 1 / near[-1] if slope == 0 else None, size, (False, True))


def tail_of_r(r: Function) -> Tail | None:
    """The tails of a law whose R-transform is not analytic and real at 0, None if R is not like a power there."""
    with np.errstate(all="ignore"):
        value = r(np.asarray(-1j * np.array(_SLOPES), dtype=complex))
        slope = _slope(np.abs(value).tolist())
        if slope is None or not -1 < slope <= 1:
            return None
        start = complex(value[-1]) / (-1j * _SLOPES[-1]) ** slope
        exists = slope > 0 or (slope == 0 and abs(start.imag) < _REAL * abs(start))
        mean = (0.0 if slope > 0 else start.real) if exists else None
        middle = start.real if slope == 0 else 0.0
        t = np.logspace(-40, 40, 8001)
        below = np.asarray(-1j * t, dtype=complex)
        spread = np.abs(t * (r(below) - middle))
        if not np.any(spread > _NOT_FAR):
            return None
        reach = float(t[np.argmax(spread > _NOT_FAR)])
        beside = r(np.asarray(reach * (np.array([-1e-2, 1e-2]) - 1e-16j), dtype=complex))
    # Im 1/g = -Im R(g) on the real axis, where g has a part below it in the support only
    tails = -beside.imag > _REAL * np.abs(beside - middle)
    return Tail(1 + slope, complex(log_lower(np.array(start))), mean, 1 / (8 * reach), (bool(tails[0]), bool(tails[1])))


def tail_of_psi(psi: Function) -> Tail | None:
    """The tails of a law whose moment transform is not analytic at infinity, None if it is not like a power there."""
    y = np.logspace(-40, 200, 24001)
    with np.errstate(all="ignore"):
        size = np.abs(psi(np.asarray(1j * y, dtype=complex)))
    beyond = [int(np.argmax(size < share)) for share in (_NOT_FAR, *_DECADES)]
    if min(beyond) == 0:
        return None
    reach, *far = y[beyond].tolist()
    near, slope = (
        math.log(size[beyond[k]] / size[beyond[k + 1]]) / math.log(y[beyond[k + 1]] / y[beyond[k]]) for k in (1, 3)
    )
    if abs(near - slope) > 0.2 or slope > 2.01:
        return None
    simple = float(Fraction(slope).limit_denominator(20))
    order = simple if abs(slope - simple) < 1e-3 else slope
    z = np.array([1j * far[-1]])
    m = psi(z)
    g = (1 + m) / z
    log_scale = complex((log_lower(g) + log_lower(m / g) + order * np.log(z))[0])
    if order == 1:
        start = complex(np.exp(log_scale))
        mean = start.real if abs(start.imag) < 1e-3 * abs(start) else None
    else:
        mean = 0.0 if order > 1 else None
    beside = psi(np.array([-far[1], far[1]], dtype=complex))
    tails = np.abs(beside.imag) > _REAL * np.abs(beside)
    return Tail(order, log_scale, mean, reach / 8, (bool(tails[0]), bool(tails[1])))


def _slope(values: list[float]) -> float | None:
    """The power with which values fall at `_SLOPES`, None if it has not settled, or they are not positive numbers."""
    if not all(0 < value < math.inf for value in values):
        return None
    first, second = (
        math.log(values[k] / values[k + 1]) / math.log(_SLOPES[k] / _SLOPES[k + 1]) for k in (0, 2)
    )
    if abs(first - second) > 1e-3:
        return None
    # a power is most often a simple fraction, and the slope has a part that vanishes slowly
    simple = float(Fraction(second).limit_denominator(100))
    return simple if abs(second - simple) < 1e-6 else second


def mass_of_s(s: Analytic) -> tuple[float, str | None]:
    """(q, what is wrong): q the mass away from 0 that an S-transform tells, 1 if it has no pole on (-1, 0)."""

    def falling(m: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether 1/S is positive and falls as m does."""
        with np.errstate(all="ignore"):
            value, slope = s.jet(m.astype(complex), 1e-2 * (1 + m))
            real = np.abs(value.imag) < _REAL * np.abs(value)
            # where S overflows next to an essential singularity 1/S is 0, and fine
            return np.isinf(value.real) | (real & (value.real > 0) & (slope.real < _REAL * value.real))

    grid = -np.linspace(0, 1, 402)[1:-1]
    fine = falling(grid)
    if np.all(fine):
        return 1.0, None
    first = int(np.argmin(fine))
    high, low = (grid[first - 1] if first else 0.0), grid[first]
    for _ in range(60):
        middle = (high + low) / 2
        high, low = (middle, low) if falling(np.array([middle]))[0] else (high, middle)
    mass = -float((high + low) / 2)
    with np.errstate(all="ignore"):
        beside = s(np.array([-mass * (1 - 1e-6) + 0j, 0j]))
    if abs(beside[0]) > 1e2 * abs(beside[1]):
        return mass, None
    return mass, f"S must be positive and decreasing from its pole to 0, and is not at m = {-mass:.6g}"


def atom_of_r(r: Function) -> tuple[float, float] | None:
    """(x, p) of the atom that R at infinity tells, or None."""
    limit = _at_infinity(r)
    if limit is None:
        return None
    x, slope = limit
    return (x, 1 + slope) if 1 + slope > _LIGHTEST else None


def atom_of_s(s: Function) -> tuple[float, float] | None:
    """(x, p) of the atom at x > 0 that S at infinity tells, or None."""
    limit = _at_infinity(s)
    if limit is None or limit[0] <= 0:
        return None
    p = 1 - limit[1] / limit[0]
    return (1 / limit[0], p) if p > _LIGHTEST else None


def _at_infinity(f: Function) -> tuple[float, float] | None:
    """(a, b) with f(x) = a + b/x + … where f is analytic at infinity."""
    coefficients = taylor(lambda t: f(1 / t.conj()).conj(), 2, _FAR)
    return None if coefficients is None else (coefficients[0], coefficients[1])


def r_is_positive(r: Function, mean: float, size: float) -> bool:
    """Whether the law of an R-transform lives on [0, oo)."""
    if mean <= 0:
        return False
    g = -np.logspace(-6, 12, 2000) / size
    with np.errstate(all="ignore"):
        value = r(g.astype(complex).conj())  # -0j: from below, where the values of G are
    z = value.real + 1 / g
    for k in range(g.size):
        if not abs(value.imag[k]) <= _REAL * abs(value[k]):
            return False
        if z[k] > -1e-9 * size:
            return True
        if k and z[k] < z[k - 1]:
            return False
    return bool(z[-1] > -1e-6 * size)


def psi_is_positive(psi: Function, size: float) -> bool:
    """Whether the law of a moment transform lives on [0, oo): psi falls from 0 to no less than -1 on z < 0."""
    z = -np.logspace(4, -9, 2000) * size
    with np.errstate(all="ignore"):
        value = psi(np.asarray(z, dtype=complex))
    if not np.all(np.abs(value.imag) < _REAL):  # also where it is not finite
        return False
    return bool(np.all(np.diff(value.real) < _REAL) and np.all(value.real > -1 - _REAL))


def find_atoms(cauchy: Function, centre: float, reach: float, cells: int = _CELLS) -> list[tuple[float, float]]:
    """Atoms (x, p) of mass 0.01 and more of a law within ``centre ± reach``, from its Cauchy transform above the axis.

    Peaks on a line close to the axis, followed down to it: near an atom ``z - x = -G/G'``.
    """
    step = 2 * reach / cells
    # off the axis of symmetry by an irrational share of a cell
    x = centre + reach * np.linspace(-1, 1, cells + 1) + 0.382 * step
    mass = -step * cauchy(np.asarray(x + 1j * step, dtype=complex)).imag
    inner, neighbours = mass[3:-3], np.maximum(mass[2:-4], mass[4:-2])
    # an atom looks 1/(1 + 9) as heavy three cells away
    peaks = 3 + np.flatnonzero(
        (inner > _SUSPECT) & (inner >= neighbours) & (inner > 2 * np.maximum(mass[:-6], mass[6:]))
    )
    found: list[tuple[float, float]] = []
    for place in x[peaks]:
        height = step
        seen = []
        for _ in range(5):
            for _ in range(3):
                z = np.array([place + 1j * height, place + 1.01j * height])
                g = cauchy(z)
                place = float((z[0] + g[0] * (z[1] - z[0]) / (g[1] - g[0])).real)
            seen.append(-height * float(cauchy(np.array([place + 1j * height])).imag[0]))
            height /= 10
        is_atom = seen[-1] > _SUSPECT and abs(seen[-1] - seen[-2]) < 1e-3 * seen[-1]
        if is_atom and not any(abs(place - other) < 1e-6 * reach for other, _ in found):
            # what the continuous part adds falls like a power of the height (Aitken)
            first, second, third = seen[-3:]
            bend = first - 2 * second + third
            mass_there = third - (third - second) ** 2 / bend if abs(bend) > 1e-13 else third
            found.append((0.0 if abs(place) < 1e-9 * reach else place, mass_there))
    return found


def find_edges(
    cauchy: Function, centre: float, reach: float, positive: bool
) -> list[tuple[float, float, float | None, float | None]]:
    """Intervals (lower, upper, exponents of the density at both) on which an explicit Cauchy transform is not real."""

    def inside(x: FloatArray) -> npt.NDArray[np.bool_]:
        g = cauchy(x.astype(complex))
        out: npt.NDArray[np.bool_] = -g.imag > _INSIDE * np.abs(g)
        return out

    # off the axis of symmetry by an irrational share of a cell
    grid = centre + reach * (np.linspace(-1, 1, _CELLS + 1) + 0.382 / _CELLS)
    if positive:
        grid = np.concatenate([np.exp(np.linspace(np.log(1e-12 * reach), np.log(reach), _CELLS)), grid[grid > 0]])
        grid = np.unique(grid)
    here = inside(grid)
    changes = np.flatnonzero(here[1:] != here[:-1])
    low, high, within = grid[changes], grid[changes + 1], here[changes]
    for _ in range(80):
        middle = (low + high) / 2
        same = inside(middle) == within
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    ends = ((low + high) / 2).tolist()
    if here[0]:
        ends.insert(0, 0.0 if positive else -math.inf)
    if here[-1]:
        ends.append(math.inf)
    out = []
    for lower, upper in zip(ends[::2], ends[1::2], strict=True):
        step = 1e-4 * (upper - lower) if upper - lower < math.inf else 1e-6 * reach
        exponents = [_exponent(cauchy, edge, inwards * step) for edge, inwards in ((lower, 1), (upper, -1))]
        out.append((lower, upper, *exponents))
    return out


def _exponent(cauchy: Function, edge: float, step: float) -> float | None:
    """Exponent of the density at an edge, measured at a step inside it; None at infinity."""
    if math.isinf(edge):
        return None
    density: FloatArray = -cauchy(np.asarray(edge + step * np.array([1, 1e-2]), dtype=complex)).imag
    return _simple(float(np.log(density[0] / density[1]) / np.log(100.0)))


def _simple(exponent: float) -> float | None:
    """The exponent of an edge k/n - 1 or k/n to which a measured slope comes close, or None."""
    for candidate in _EXPONENTS:
        if abs(exponent - candidate) < 0.02:
            return candidate
    return None
