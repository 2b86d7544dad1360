"""One interval of the support of a law and the angle in which its density is regular."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST", "SMALLEST", "Piece"]

FloatArray = npt.NDArray[np.float64]

# Inside this share of an interval's width next to an edge the density is scaled from the border of that zone by the
# edge's exponent: at the edge itself the system has a double root.
_EDGE_ZONE = 1e-11
_HARD_ZONE = 3e-8
# Intervals whose ends differ by more than this factor are gridded in log x.
_WIDE = 50.0
# A tail that falls faster than this power of x ends like that of a Gaussian law.
_STEEPEST = 10.0
# The outermost mass that a light tail is long by if it lies beyond this many widths of the bulk, and its place then.
_OUTER, _LONG, _OUTER_PLACE = 1e-4, 8.0, 7.0
# Mass of a tail that is rounding.
_DARK = 1e-14
# The share of its value at one point that a tail must have fallen to at the next, a multiple of the distance away.
_FALLS = 0.99
# Stretch of an edge where the density is 1/(x log(x)**2).
_STEEPEST_STRETCH = 100.0
# The ends of the places: tan(angle/2)**2 leaves the range of doubles; a tail in the logarithm reaches 2e5 sizes.
_PLACES, _LOGARITHMIC_PLACES = 345.0, 1e5
SMALLEST = 1e-300
LARGEST = 1e300
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Piece:
    """An interval (lower, upper), either end of which may be infinite, with the map from an angle in (0, pi) to x.

    ``lower_exponent`` and ``upper_exponent`` are those of the density at finite ends. ``centre`` (if both ends are
    infinite) and ``size`` set the scale of the map where an end is infinite, and ``lower_growth``, ``upper_growth``
    how fast x runs off there: as a power ``theta**(-2 growth)``, or as a logarithm for 0. A tail ``|x|**(-alpha - 1)``
    wants ``1/alpha``, one that falls faster than any power 0, unless it is long against the bulk. Of the latter two no
    more than rounding lies below ``dark_below`` and above ``dark_above``. ``cusp_at_zero`` says that an end at 0 is
    where the density of a law on both sides touches 0. Next to no mass lies between a lower end at 0 and ``tail_end``:
    rounding hides the density.
    """

    lower: float
    upper: float
    lower_exponent: float | None
    upper_exponent: float | None
    centre: float = 0.0
    size: float = 1.0
    lower_growth: float = 0.0
    upper_growth: float = 0.0
    cusp_at_zero: bool = False
    dark_below: float = -math.inf
    dark_above: float = math.inf
    tail_end: float = 0.0

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)

    @property
    def light(self) -> bool:
        """Whether all tails fall faster than any power."""
        tails = ((self.lower, self.lower_growth, self.dark_below), (self.upper, self.upper_growth, self.dark_above))
        return all(math.isfinite(end) or growth == 0 or math.isfinite(dark) for end, growth, dark in tails)

    @property
    def extent(self) -> float:
        """Width, or the width of the bulk where an end is infinite."""
        return self.upper - self.lower if self.bounded else 4 * self.size

    def grid(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """x(theta) and |dx/dtheta|, chosen such that density * dx/dtheta is smooth and periodic."""
        lo, hi = self.lower, self.upper
        if not self.bounded:
            with np.errstate(all="ignore"):  # at the ends themselves
                x, rate = self._unbounded_grid(np.log(np.tan(theta / 2)))
                return x, rate / np.sin(theta)
        down, up = stretch(self.lower_exponent), stretch(self.upper_exponent)
        if self._logarithmic:
            middle, half = (np.log(hi) + np.log(lo)) / 2, (np.log(hi) - np.log(lo)) / 2
            x = np.exp(middle - half * np.cos(theta))
            return x, x * half * np.sin(theta)
        s = np.sin(theta / 2) ** 2  # in (0, 1)
        rest = np.cos(theta / 2) ** 2
        rate = np.sin(theta) / 2
        if up == 1:
            with np.errstate(under="ignore"):
                return lo + (hi - lo) * s**down, (hi - lo) * down * s ** (down - 1) * rate
        if down == 1:
            with np.errstate(under="ignore"):
                return hi - (hi - lo) * rest**up, (hi - lo) * up * rest ** (up - 1) * rate
        # singular at both ends: each end in its half, joined by the incomplete-beta-like blend s^d/(s^d + r^u)
        a, b = s**down, rest**up
        slope = (down * s ** (down - 1) * b + a * up * rest ** (up - 1)) / (a + b) ** 2
        return lo + (hi - lo) * a / (a + b), (hi - lo) * slope * rate

    def _unbounded_grid(self, place: FloatArray) -> tuple[FloatArray, FloatArray]:
        """X and dx/dplace at the logarithms of tan(angle/2), which have all digits of the angle towards both ends."""
        log_cos2, log_sin2 = -np.logaddexp(0, 2 * place), -np.logaddexp(0, -2 * place)
        cos2, sin2 = np.exp(log_cos2), np.exp(log_sin2)
        with np.errstate(all="ignore"):  # at the ends themselves
            if self.lower == -math.inf and self.upper == math.inf:
                up, up_rate = _run_off(log_cos2, self.upper_growth)
                down, down_rate = _run_off(log_sin2, self.lower_growth)
                x = self.centre + self.size * (up - down)
                return np.clip(x, -LARGEST, LARGEST), 2 * self.size * (up_rate * sin2 + down_rate * cos2)
            if self.upper == math.inf:
                y, rate = _run_off(log_cos2, self.upper_growth)
                power, inwards, edge, rate = stretch(self.lower_exponent), 1.0, self.lower, 2 * rate * sin2
            else:
                y, rate = _run_off(log_sin2, self.lower_growth)
                power, inwards, edge, rate = stretch(self.upper_exponent), -1.0, self.upper, 2 * rate * cos2
            distance = np.minimum(self.size * y**power, LARGEST)
            return edge + inwards * distance, self.size * power * y ** (power - 1) * rate

    @property
    def _logarithmic(self) -> bool:
        soft = stretch(self.lower_exponent) == stretch(self.upper_exponent) == 1
        return self.bounded and self.lower > 0 and self.upper / self.lower > _WIDE and soft

    def distances(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distances of x(theta) from both ends, with all their digits."""
        if self._logarithmic or (self.lower == -math.inf and self.upper == math.inf):
            x, _ = self.grid(theta)
            return x - self.lower, self.upper - x
        if not self.bounded:
            from_zero = Piece(
                0.0 if math.isfinite(self.lower) else self.lower,
                0.0 if math.isfinite(self.upper) else self.upper,
                self.lower_exponent, self.upper_exponent, 0.0, self.size, self.lower_growth, self.upper_growth,
            )  # fmt: skip
            x, _ = from_zero.grid(theta)
            far = np.full(theta.shape, np.inf)
            return (x, far) if math.isfinite(self.lower) else (far, -x)
        a = np.sin(theta / 2) ** (2 * stretch(self.lower_exponent))
        b = np.cos(theta / 2) ** (2 * stretch(self.upper_exponent))
        if stretch(self.upper_exponent) == 1:
            b = 1 - a
        elif stretch(self.lower_exponent) == 1:
            a = 1 - b
        width = self.upper - self.lower
        return width * a / (a + b), width * b / (a + b)

    def angles(self, x: FloatArray) -> FloatArray:
        """The angles of points, by bisection (the map is monotone)."""
        low, high = np.zeros(x.shape), np.full(x.shape, np.pi)
        for _ in range(52):
            middle = (low + high) / 2
            below = self.grid(middle)[0] < x
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        out: FloatArray = (low + high) / 2
        return out

    def at_places(self, place: FloatArray) -> FloatArray:
        """The points at places, the logarithms of tan(angle/2): towards an end, x is exponential in them."""
        if not self.bounded:
            return self._unbounded_grid(place)[0]
        with np.errstate(over="ignore"):
            return self.grid(2 * np.arctan(np.exp(place)))[0]

    def along(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """X and dx/dt at a coordinate that resolves both ends: the angle, or its place where an end is infinite."""
        return self.grid(t) if self.bounded else self._unbounded_grid(t)

    def coordinates(self, count: int) -> FloatArray:
        """Points of that coordinate at equidistant angles, and its ends."""
        theta = np.linspace(0, np.pi, count)
        if self.bounded:
            return theta
        low, high = (
            _LOGARITHMIC_PLACES if math.isinf(end) and growth == 0 else _PLACES
            for end, growth in ((self.lower, self.lower_growth), (self.upper, self.upper_growth))
        )
        return np.concatenate([[-low], np.log(np.tan(theta[1:-1] / 2)), [high]])

    def places(self, x: FloatArray) -> FloatArray:
        """The places of points."""
        if not self.bounded:
            return self._places_by_bisection(x)
        below, above = x - self.lower, self.upper - x
        down, up = stretch(self.lower_exponent), stretch(self.upper_exponent)
        with np.errstate(divide="ignore"):  # at the ends themselves
            if self._logarithmic:
                rest = np.where(2 * above < self.upper, -np.log1p(-above / self.upper), np.log(self.upper / x))
                return (np.log(np.log1p(below / self.lower)) - np.log(rest)) / 2
            if up == 1 or down == 1:
                # the smaller of sin(angle/2)**2 and cos(angle/2)**2 from its own end
                power, near, far, way = (down, below, above, 1.0) if up == 1 else (up, above, below, -1.0)
                log_s = np.where(near < far, np.log(near / (near + far)), np.log1p(-far / (near + far))) / power
                return way * (log_s - np.log(-np.expm1(log_s))) / 2
            ratio = np.log(below / above)
            place = ratio / (down + up)
            if down != up:  # Newton on a function whose slope lies between 2 down and 2 up
                for _ in range(8):
                    log_s, log_rest = -np.logaddexp(0, -2 * place), -np.logaddexp(0, 2 * place)
                    gap = ratio - (down * log_s - up * log_rest)
                    place = place + gap / (2 * (down * np.exp(log_rest) + up * np.exp(log_s)))
            out: FloatArray = place
            return out

    def _places_by_bisection(self, x: FloatArray) -> FloatArray:
        """The places of points, to 1e-8 (the map is monotone)."""
        low, high = np.full(x.shape, -345.0), np.full(x.shape, 40.0)
        for _ in range(36):
            middle = (low + high) / 2
            below = self.at_places(middle) < x
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        out: FloatArray = (low + high) / 2
        return out

    def resolvable(self, tolerance: float) -> tuple[float, float]:
        """The angles between which x does not underflow and tells its distance from a hard edge well enough.

        Away from 0 the density at a hard edge changes with the rounding of x, here by less than a relative tolerance.
        """
        low, high = 0.0, np.pi
        bottom = self.underflow()
        if bottom is not None:
            angle = 2 * math.asin(math.sqrt(bottom[1]))
            low, high = (low, high - angle) if bottom[0] else (angle, high)
        if self.tail_end > 0:
            low = max(low, float(self.angles(np.array([self.tail_end]))[0]))
        ends = ((True, self.lower, self.lower_exponent), (False, self.upper, self.upper_exponent))
        for lower, edge, exponent in ends:
            if edge == 0 or not math.isfinite(edge) or exponent is None or exponent >= 0:
                continue
            closest = min(max(self.hard_border(edge), 16 * _EPS * abs(edge) / tolerance), 0.05 * self.extent)
            inner, outer = (0.0, np.pi) if lower else (np.pi, 0.0)
            for _ in range(60):
                middle = (inner + outer) / 2
                distance = self.distances(np.array([middle]))[0 if lower else 1][0]
                inner, outer = (middle, outer) if distance < closest else (inner, middle)
            low, high = (outer, high) if lower else (low, outer)
        return low, high

    def scaled(self, x: FloatArray, level: FloatArray) -> Piece:
        """The piece with the scale of its quartiles and the fall of its tails, from its distribution function at x."""
        level = np.maximum.accumulate(np.clip(level, 0.0, 1.0))
        first, median, last = np.interp([0.25, 0.5, 0.75], level, x)
        free_below, free_above = self.lower == -math.inf, self.upper == math.inf
        below = _growth(median - x[::-1], level[::-1]) if free_below else 0.0
        above = _growth(x - median, 1 - level) if free_above else 0.0
        dark_below = np.max(x[level < _DARK], initial=-math.inf) if free_below and below == 0 else -math.inf
        dark_above = np.min(x[1 - level < _DARK], initial=math.inf) if free_above and above == 0 else math.inf
        own = replace(self, dark_below=float(dark_below), dark_above=float(dark_above))
        # the levels are sparse in tails: the innermost place that the outermost mass may have
        lower_outer, upper_outer = np.min(x[level > _OUTER]), np.max(x[level < 1 - _OUTER])
        if free_below and free_above:
            below = below or _light_growth((median - lower_outer) / (last - first))
            above = above or _light_growth((upper_outer - median) / (last - first))
            unit = replace(own, lower_growth=below, upper_growth=above)
            left, right = unit.grid(np.array([np.pi / 3, 2 * np.pi / 3]))[0]
            return replace(unit, centre=float(median), size=float((last - first) / (right - left)))
        # at a finite end the angle is stretched, and all the way with it
        power = stretch(self.upper_exponent if free_below else self.lower_exponent)
        edge, outer = (self.upper, lower_outer) if free_below else (self.lower, upper_outer)
        light = _light_growth((abs(outer - edge) / abs(median - edge)) ** (1 / power))
        below, above = (below / power or light, 0.0) if free_below else (0.0, above / power or light)
        unit = replace(own, lower_growth=below, upper_growth=above)
        middle = min(unit.distances(np.array([np.pi / 2])))[0]
        return replace(unit, size=float(abs(median - edge) / middle))

    def beside_hard_edge(self, theta: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether points are so close to a hard edge away from 0 that the rounding of x shows in the density."""
        out = np.zeros(theta.shape, dtype=bool)
        ends = ((self.lower, self.lower_exponent), (self.upper, self.upper_exponent))
        for (edge, exponent), distance in zip(ends, self.distances(theta), strict=True):
            if edge != 0 and math.isfinite(edge) and exponent is not None and exponent < 0:
                out |= distance < 1e-4 * self.extent
        return out

    def hard_border(self, edge: float) -> float:
        """Distance from a hard edge away from 0 within which its density is scaled from this distance."""
        return _HARD_ZONE * self.extent + 4 * _EPS * abs(edge)

    def off_edges(self, x: FloatArray, wider: float = 1.0) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Points moved out of the edge zones, and how density and mass scale on the way back.

        ``wider`` is a factor of the widths of the zones. Returns the points, the factors of the density, and the shares
        of the mass beyond the lower and beyond the upper edge zone's border that remain (1 outside the zones).
        """
        moved, factor = x.copy(), np.ones(x.shape)
        shares = (np.ones(x.shape), np.ones(x.shape))
        ends = ((self.lower, self.lower_exponent, 1.0), (self.upper, self.upper_exponent, -1.0))
        for (edge, exponent, inwards), share in zip(ends, shares, strict=True):
            if (edge == 0 and not self.cusp_at_zero) or exponent is None or not math.isfinite(edge):
                continue  # near 0 the distance is x itself, which loses no digits
            distance = (x - edge) * inwards
            # an edge far below the others (deep chains: 1e-18 next to 10) has a neighbourhood of its own size
            size = min(self.extent, abs(edge)) if self.lower > 0 else self.extent
            width = wider * ((_EDGE_ZONE if exponent > 0 else _HARD_ZONE) * size + 4 * _EPS * abs(edge))
            close = (distance < width) & ((distance > 0) | (exponent == 0))
            moved[close] = edge + inwards * width
            factor[close] = (distance[close] / width) ** exponent
            share[close] = (distance[close] / width) ** (1 + exponent)
        return moved, factor, *shares

    def at_angles(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x(theta), where to ask for the density, and by what to multiply it to have the density per unit of angle."""
        x, rate = self.grid(theta)
        factor, points = np.ones(x.shape), x.copy()
        if self.lower == 0:
            points = np.maximum(x, SMALLEST)
        elif self.upper == 0:
            points = np.minimum(x, -SMALLEST)
        # next to a hard edge away from 0 the distance has no digits in x, but it has in the angle
        ends = ((self.lower, self.lower_exponent, 1.0), (self.upper, self.upper_exponent, -1.0))
        for (edge, exponent, inwards), distance in zip(ends, self.distances(theta), strict=True):
            if edge == 0 or not math.isfinite(edge) or exponent is None or exponent >= 0:
                continue
            border = self.hard_border(edge)
            close = distance < border
            points[close] = edge + inwards * border
            factor[close] = (distance[close] / abs(points[close] - edge)) ** exponent
        return x, points, factor * rate

    def underflow(self) -> tuple[bool, float, float] | None:
        """For a hard edge at 0: is it the upper end; s where |x| ~ s**power reaches `SMALLEST`; and d|x|/ds there.

        s is sin(theta/2)**2 at the lower end, cos(theta/2)**2 at the upper one.
        """
        ends = ((False, self.lower, self.lower_exponent), (True, self.upper, self.upper_exponent))
        for upper, edge, exponent in ends:
            if edge == 0 and exponent is not None and exponent < 0:
                power = stretch(exponent)
                size = self.upper - self.lower if self.bounded else self.size
                s = math.exp((math.log(SMALLEST) - math.log(size)) / power)
                return upper, s, SMALLEST * power / s
        return None


def stretch(exponent: float | None) -> float:
    """Power that makes an edge of density exponent e < 0 regular in the stretched variable.

    Exponent -1 stands for a density 1/(x log(x)**2), which no power makes regular: it gets `_STEEPEST_STRETCH`.
    """
    if exponent is None:
        return 4.0
    return 1.0 if exponent >= 0 else 1 / (1 + exponent) if exponent > -1 else _STEEPEST_STRETCH


def _growth(distance: FloatArray, tail: FloatArray) -> float:
    """How fast x should run off for a tail of the given masses: 1/alpha for a tail x**-alpha, 0 beyond `_STEEPEST`."""
    # where it no longer falls it is rounding
    falling = tail < _FALLS * np.concatenate([[1.0], tail[:-1]])
    seen = np.flatnonzero((tail > 1e-10) & (tail < 1e-4) & falling & (distance > 0))
    apart = seen[distance[seen] < distance[seen[-1]] / 3] if seen.size else seen
    if apart.size == 0:
        return 0.0
    a, b = apart[-1], seen[-1]
    alpha = float(np.log(tail[a] / tail[b]) / np.log(distance[b] / distance[a]))
    if alpha > _STEEPEST:
        return 0.0
    # a power law, of which a few per mille are corrections, has a plain index more often than not
    return 1 / (round(alpha, 2) if abs(alpha - round(alpha, 2)) < 2e-3 else alpha)


def _light_growth(reach: float) -> float:
    """How fast x should run off for a tail beyond powers whose outermost mass lies at ``reach`` widths of the bulk.

    A logarithm is too slow where that is far outside the bulk: all of the tail would share the angle's last digits.
    """
    return math.log(reach) / (2 * _OUTER_PLACE) if reach > _LONG else 0.0


def _run_off(log_y: FloatArray, growth: float) -> tuple[FloatArray, FloatArray]:
    """(y**-growth - 1)/growth (its limit -log y for 0) for y falling from 1 to 0, and y**-growth."""
    exponent = np.minimum(-growth * log_y, 680.0)
    return (np.expm1(exponent) / growth if growth else -log_y), np.exp(exponent)
