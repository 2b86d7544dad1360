"""Thirty-digit references of densities and distribution functions, by formulas that the package does not use.

Run ``python tests/rmt/data/make_references.py`` to write ``accuracy.npz`` beside this file (some ten minutes); the
tests import `reference` from here to compute single points again.

Three formulations, none of which has to choose a branch by continuation:

- ``parametric``: the product of L square Gaussian matrices, x and density as functions of an angle
  (Haagerup and Möller, arXiv:1211.4457).
- ``boundary``: the subordination function omega maps the upper half-plane onto the region above the graph of a
  function v(u) >= 0. For each u, v is the only root of a decreasing function (free sum with a semicircle: Biane
  1997; free sum powers: Belinschi and Bercovici 2004, Huang 2015; Marchenko–Pastur products: the same argument,
  derived in `Boundary`), and x(u) is increasing. So a point on the support has one u, one v and no branch.
- ``polynomial``: where S is rational, m(x) is a root of a real polynomial. The roots are followed downwards from the
  largest edge, where exactly one complex pair is born.

Before a case is written, the branch is checked at spot points against its definition (continuation from far up in the
upper half-plane), and the distribution function (read off the potential) against quadrature of the density.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np

DIGITS = 40
PATH = Path(__file__).with_name("accuracy.npz")
DEPTHS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12)

Number = Any  # mpmath numbers
_WHOLE_LINE = (-6.0, 6.0)  # ends of a measure that has none


# --- measures met by the boundary formulation -------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """Closed forms in the upper half-plane: G, G', Phi = int log(w - t) dnu(t), and the real points to look between."""

    cauchy: Callable[[Number], Number]
    derivative: Callable[[Number], Number]
    potential: Callable[[Number], Number]
    ends: tuple[float, float]
    mean: Number
    mass_at_zero: Number = 0


def atoms(masses: dict[str, str]) -> Measure:
    """Finitely many atoms, positions and masses as decimal or a/b strings."""
    pairs = [(_exact(x), _exact(p)) for x, p in masses.items()]
    return Measure(
        lambda w: mp.fsum(p / (w - x) for x, p in pairs),
        lambda w: -mp.fsum(p / (w - x) ** 2 for x, p in pairs),
        lambda w: mp.fsum(p * mp.log(w - x) for x, p in pairs),
        (float(min(x for x, _ in pairs)), float(max(x for x, _ in pairs))),
        mp.fsum(p * x for x, p in pairs),
        mp.fsum(p for x, p in pairs if x == 0),
    )


def uniform(low: str, high: str) -> Measure:
    """Uniform law."""
    a, b = _exact(low), _exact(high)
    return Measure(
        lambda w: (mp.log(w - a) - mp.log(w - b)) / (b - a),
        lambda w: (1 / (w - a) - 1 / (w - b)) / (b - a),
        lambda w: ((w - a) * mp.log(w - a) - (w - b) * mp.log(w - b)) / (b - a) - 1,
        (float(a), float(b)),
        (a + b) / 2,
    )


def gaussian() -> Measure:
    """Standard normal law: G(w) = -i sqrt(pi/2) w(w/sqrt 2) with the Faddeeva function."""

    def cauchy(w: Number) -> Number:
        return -1j * mp.sqrt(mp.pi / 2) * mp.exp(-w * w / 2) * mp.erfc(-1j * w / mp.sqrt(2))

    def potential(w: Number) -> Number:
        # from 0, where E log(0 - t) = -(gamma + log 2)/2 + i pi/2; Dawson's integral is integrated as a 2F2
        half = w * w / 2
        even = half * mp.hyper([1, 1], [mp.mpf(3) / 2, 2], -half)
        return even - (mp.euler + mp.log(2)) / 2 + 1j * mp.pi / 2 * mp.erfc(w / mp.sqrt(2))

    return Measure(cauchy, lambda w: 1 - w * cauchy(w), potential, _WHOLE_LINE, mp.mpf(0))


def marchenko_pastur(ratio: str) -> Measure:
    """Marchenko–Pastur law of ratio c <= 1, G = (w - 1 + c - sqrt((w - a)(w - b)))/(2 c w)."""
    c = _exact(ratio)
    a, b = (1 - mp.sqrt(c)) ** 2, (1 + mp.sqrt(c)) ** 2

    def cauchy(w: Number) -> Number:
        root = mp.sqrt(w - a) * mp.sqrt(w - b)
        # c w G^2 - (w + c - 1) G + 1 = 0, the root that decays, without cancellation far away
        return 2 / (w - 1 + c + root)

    def derivative(w: Number) -> Number:
        g = cauchy(w)
        return (g - c * g * g) / (2 * c * w * g - (w + c - 1))

    def potential(w: Number) -> Number:
        g = cauchy(w)
        # dPhi = g dw with w = 1/g + 1/(1 - c g), integrated from g = 0
        return -mp.log(g) + (1 / (1 - c * g) - 1 + mp.log(1 - c * g)) / c

    return Measure(cauchy, derivative, potential, (float(a), float(b)), mp.mpf(1))


def _exact(text: str) -> Number:
    top, _, bottom = text.partition("/")
    # decimal inputs are the doubles that the package is given
    return mp.mpf(int(top)) / int(bottom) if bottom else mp.mpf(float(text))


# --- the formulations -------------------------------------------------------------------------------------------------


class Reference:
    """Density and distribution function of a law at one real point."""

    mass_at_zero: Number = 0

    def at(self, x: float) -> tuple[Number, Number]:
        """(density, P(X <= x)) at a point inside the support."""
        raise NotImplementedError

    def grid(self, count: int) -> np.ndarray:
        """Points inside the support, crowded at the edges."""
        raise NotImplementedError

    def near_edges(self) -> np.ndarray:
        """Points at the shares `DEPTHS` of the width from each edge (inside)."""
        out = []
        for low, high in self.intervals():
            for share in DEPTHS:
                out += [float(low + (high - low) * mp.mpf(share)), float(high - (high - low) * mp.mpf(share))]
        return np.unique(out)

    def intervals(self) -> list[tuple[Number, Number]]:
        """Intervals of the support."""
        raise NotImplementedError


class Parametric(Reference):
    """Product of L Marchenko–Pastur laws of ratio 1."""

    def __init__(self, order: int) -> None:
        self.order = order

    def intervals(self) -> list[tuple[Number, Number]]:
        s = self.order
        return [(mp.mpf(0), mp.mpf(s + 1) ** (s + 1) / mp.mpf(s) ** s)]

    def grid(self, count: int) -> np.ndarray:
        top = float(self.intervals()[0][1])
        theta = (np.arange(count) + 0.5) * np.pi / count
        return top * np.sin(theta / 2) ** 2

    def log_grid(self, count: int) -> np.ndarray:
        """From 1e-6 of the edge upwards."""
        top = float(self.intervals()[0][1])
        return top * np.logspace(-6, np.log10(1 - 1e-6), count)

    def at(self, x: float) -> tuple[Number, Number]:
        s = self.order
        target = mp.log(mp.mpf(x))

        def log_x(t: Number) -> Number:
            return (s + 1) * mp.log(mp.sin((s + 1) * t)) - mp.log(mp.sin(t)) - s * mp.log(mp.sin(s * t))

        low, high = mp.mpf(0), mp.pi / (s + 1)
        t = (low + high) / 2
        for _ in range(400):
            gap = log_x(t) - target  # falls as t grows
            low, high = (t, high) if gap > 0 else (low, t)
            slope = (s + 1) ** 2 * mp.cot((s + 1) * t) - mp.cot(t) - s**2 * mp.cot(s * t)
            new = t - gap / slope
            if not low < new < high:
                new = (low + high) / 2
            if abs(new - t) < mp.mpf(10) ** (5 - mp.mp.dps) * min(t, mp.pi / (s + 1) - t):
                t = new
                break
            t = new
        density = mp.sin(t) ** 2 * mp.sin(s * t) ** (s - 1) / mp.sin((s + 1) * t) ** s / mp.pi
        # m + 1 = x G, G = sin^s(s t) .../..., eta = m/(1+m) has argument -t' ; Phi = s m - log m
        w = mp.sin((s + 1) * t) / mp.sin(s * t) * mp.expj(-t)
        cdf = 1 - mp.im(s * (w - 1) - _lower_log(w - 1)) / mp.pi
        return density, cdf


def _lower_log(value: Number) -> Number:
    """Logarithm of a number of the lower half-plane, argument in [-pi, 0]."""
    out = mp.log(value)
    return out - 2j * mp.pi if mp.im(out) > 0 else out


class Boundary(Reference):
    """Laws whose density is read off a subordination function omega = u + i v(u) on a curve.

    ``kind`` and ``parameter`` select z(omega):

    - ``semicircle``, variance s: z = omega + s G(omega); Im z = 0 iff int dnu/|omega - t|^2 = 1/s.
    - ``sum power``, exponent t: z = t omega - (t - 1)/G(omega), g = G(omega); Im z = 0 iff Im(1/G)/v = t/(t - 1).
    - ``compression``, ratio r: z = omega - (1 - r)/G(omega), g = G(omega)/r: the sum power 1/r, scaled by r.
    - ``marchenko-pastur``, ratio c: z = omega (1 + c psi(omega)), m = psi(omega); Im z = 0 iff
      int t^2 dnu/|omega - t|^2 = 1/c. (Im(omega t/(omega - t)) = -v t^2/|omega - t|^2.)
    - ``power``, exponent t, for laws on [0, oo): z = omega (omega eta(omega))^(t - 1), eta = psi/(1 + psi), m = psi;
      here omega = e^(u + i v), and arg z = 0 iff -arg(eta)/v = t/(t - 1), v in (0, pi).
    """

    def __init__(self, kind: str, parameter: str, measure: Measure, *, cusp: bool = False) -> None:
        self.kind, self.parameter, self.measure = kind, _exact(parameter), measure
        self.square_root_edges = measure.ends != _WHOLE_LINE and not cusp
        self.mass_at_zero = mp.mpf(0)
        self._edges: list[tuple[Number, Number]] | None = None

    @property
    def bounded(self) -> bool:
        """Whether the support is."""
        return self.measure.ends != _WHOLE_LINE

    # omega from the plane of (u, v)
    def omega(self, u: Number, v: Number) -> Number:
        return mp.exp(mp.mpc(u, v)) if self.kind == "power" else mp.mpc(u, v)

    def balance(self, u: Number, v: Number) -> Number:
        """Falls with v > 0 from positive (inside) to negative."""
        w, p, nu = self.omega(u, v), self.parameter, self.measure
        g = nu.cauchy(w)
        if self.kind == "semicircle":
            return -mp.im(g) / v - 1 / p
        if self.kind == "sum power":
            return mp.im(1 / g) / v - p / (p - 1)
        if self.kind == "compression":
            return mp.im(1 / g) / v - 1 / (1 - p)
        if self.kind == "marchenko-pastur":
            return -mp.im(w * (w * g - 1)) / v - 1 / p
        eta = 1 - 1 / (w * g)
        return -_lower_arg(eta) / v - p / (p - 1)

    def height(self, u: Number) -> Number:
        """v(u), 0 outside."""
        tiny = mp.mpf(10) ** (-12)
        if self.balance(u, tiny) <= 0:
            return mp.mpf(0)
        low = tiny
        high = mp.pi if self.kind == "power" else mp.mpf(1)
        if self.kind != "power":
            while self.balance(u, high) > 0:
                high *= 2
        low, high = mp.log(low), mp.log(high)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.balance(u, mp.exp(middle)) > 0 else (low, middle)
        return mp.exp((low + high) / 2)

    def z(self, w: Number) -> tuple[Number, Number]:
        """z(omega) and its derivative."""
        p, nu = self.parameter, self.measure
        g, dg = nu.cauchy(w), nu.derivative(w)
        if self.kind == "semicircle":
            return w + p * g, 1 + p * dg
        if self.kind == "sum power":
            return p * w - (p - 1) / g, p + (p - 1) * dg / g**2
        if self.kind == "compression":
            return w - (1 - p) / g, 1 + (1 - p) * dg / g**2
        psi, dpsi = w * g - 1, g + w * dg
        if self.kind == "marchenko-pastur":
            return w * (1 + p * psi), 1 + p * psi + p * w * dpsi
        log_z = p * mp.log(w) + (p - 1) * _lower_log(psi / (1 + psi))
        z = mp.exp(log_z)
        return z, z * (p / w + (p - 1) * dpsi / (psi * (1 + psi)))

    def read(self, x: Number, w: Number) -> tuple[Number, Number]:
        """Density and distribution function at x = z(omega)."""
        p, nu = self.parameter, self.measure
        g = nu.cauchy(w)
        if self.kind == "semicircle":
            out, phi = g, nu.potential(w) + p * g * g / 2
        elif self.kind == "sum power":
            out, phi = g, p * nu.potential(w) + (p - 1) * _lower_log(g)
        elif self.kind == "compression":
            out, phi = g / p, (nu.potential(w) + (1 - p) * _lower_log(g)) / p
        else:
            psi = w * g - 1
            out = (1 + psi) / x
            if self.kind == "marchenko-pastur":
                phi = nu.potential(w) + psi + (p - 1) / p * _lower_log_of_s(1 + p * psi)
            else:
                # log m runs over (-pi, 0) below, or further round if there is an atom at 0
                phi = p * nu.potential(w) + (p - 1) * _lower_log(psi)
        return -mp.im(out) / mp.pi, 1 - mp.im(phi) / mp.pi

    def _range(self) -> tuple[float, float]:
        """Where u may lie."""
        low, high = self.measure.ends
        p = float(self.parameter)
        if self.kind == "power":
            return np.log(max(low, 1e-3)) - 3.0, np.log(high) + 3.0
        reach = {"semicircle": 2 * np.sqrt(p), "marchenko-pastur": 2 * high * np.sqrt(p)}.get(self.kind, high - low)
        return low - reach - 0.1, high + reach + 0.1

    def spans(self) -> list[tuple[Number, Number]]:
        """Intervals of u on which v > 0."""
        if not self.bounded:
            return [(mp.mpf("-6.5"), mp.mpf("6.5"))]
        if self._edges is None:
            low, high = self._range()
            u = np.linspace(low, high, 1201)
            inside = [self.balance(mp.mpf(float(a)), mp.mpf(10) ** (-12)) > 0 for a in u]
            out: list[Number] = []
            for k in range(len(u) - 1):
                if inside[k] != inside[k + 1]:
                    a, b = mp.mpf(float(u[k])), mp.mpf(float(u[k + 1]))
                    for _ in range(100):
                        middle = (a + b) / 2
                        same = (self.balance(middle, mp.mpf(10) ** (-18)) > 0) == inside[k]
                        a, b = (middle, b) if same else (a, middle)
                    out.append((a + b) / 2)
            if inside[0] or inside[-1]:
                raise ArithmeticError("the range of u is too small")
            self._edges = list(zip(out[::2], out[1::2], strict=True))
        return self._edges

    def intervals(self) -> list[tuple[Number, Number]]:
        out = []
        if not self.bounded:
            return [(-mp.inf, mp.inf)]
        for span in self.spans():
            out.append(tuple(mp.re(self.z(self._edge(u))[0]) for u in span))
        return out

    def _edge(self, u: Number) -> Number:
        """The real critical point of z next to u."""
        w = mp.exp(u) if self.kind == "power" else u
        return mp.re(mp.findroot(lambda t: mp.re(self._real_slope(t)), (w * (1 + mp.mpf(10) ** -9), w), tol=1e-50))

    def _real_slope(self, t: Number) -> Number:
        return self.z(mp.mpc(t, 0) + 0j)[1]

    def start(self, x: float) -> Number:
        """omega at x to about ten digits: x(u) increases on each span."""
        for (a, b), (low, high) in zip(self.spans(), self.intervals(), strict=True):
            if not low < x < high:
                continue
            if self.square_root_edges and min(x - low, high - x) < 1e-5 * (high - low):
                return self._from_edge(x, a if x - low < high - x else b)
            for _ in range(50):
                middle = (a + b) / 2
                v = self.height(middle)
                beyond = mp.re(self.z(self.omega(middle, v))[0]) > x
                a, b = (a, middle) if beyond else (middle, b)
            return self.omega((a + b) / 2, self.height((a + b) / 2))
        raise ValueError(f"x={x}: outside the support")

    def _from_edge(self, x: float, u: Number) -> Number:
        """Square-root expansion about an edge, the root above the real axis."""
        w = self._edge(u)
        step = mp.mpf(10) ** (-mp.mp.dps // 3)
        second = mp.re(self._real_slope(w + step) - self._real_slope(w - step)) / (2 * step)
        root = mp.sqrt(mp.mpc(2 * (mp.mpf(x) - mp.re(self.z(w)[0])) / second))
        return w + (root if mp.im(root) > 0 else -root)

    def at(self, x: float, start: Number | None = None) -> tuple[Number, Number]:
        first = w = self.start(x) if start is None else start
        settled = False
        for _ in range(40):
            value, slope = self.z(w)
            step = (mp.mpf(x) - value) / slope
            w += step
            if settled or step == 0:
                break
            settled = abs(step) < mp.mpf(10) ** (-0.45 * mp.mp.dps) * mp.im(w)  # one more doubles the digits
        else:
            raise ArithmeticError(f"x={x}: Newton did not settle")
        if mp.im(w) <= 0 or abs(w - first) > 0.3 * mp.im(w):
            raise ArithmeticError(f"x={x}: the start was not next to the root: {first} -> {w}")
        return self.read(mp.mpf(x), w)

    def from_above(self, x: float) -> Number:
        """omega at x followed down from far up in the upper half-plane: the definition of the branch."""
        height = mp.mpf(2000)
        w = mp.mpc(x, height)
        if self.kind == "power":
            w /= self.measure.mean ** (self.parameter - 1)
        while True:
            target = mp.mpc(x, height)
            for _ in range(40):
                value, slope = self.z(w)
                step = (target - value) / slope
                w += step
                if abs(step) < mp.mpf(10) ** (-0.6 * mp.mp.dps) * mp.im(w):
                    break
            else:
                raise ArithmeticError(f"x={x}: the continuation stopped at height {mp.nstr(height, 5)}")
            if height == 0:
                return w
            height = height * mp.mpf("0.9") if height > mp.mpf(10) ** -12 else mp.mpf(0)

    def points(self, count: int) -> list[tuple[float, Number]]:
        """(x, omega next to it) for u on a grid that crowds at the edges."""
        spans = self.spans()
        out = []
        for a, b in spans:
            n = count // len(spans) + (1 if (a, b) == spans[0] else 0) * (count % len(spans))
            for k in range(n):
                u = a + (b - a) * mp.sin(mp.pi * (k + mp.mpf(1) / 2) / (2 * n)) ** 2
                w = self.omega(u, self.height(u))
                out.append((float(mp.re(self.z(w)[0])), w))
        return out


def _lower_arg(value: Number) -> Number:
    return mp.im(_lower_log(value))


def _lower_log_of_s(value: Number) -> Number:
    """log(1 + c m), m below the axis: argument in [-pi, 0]."""
    return _lower_log(value)


class Polynomial(Reference):
    """Free product of Marchenko–Pastur laws of ratios c_i: m z = (1 + m) prod (1 + c_i m)."""

    def __init__(self, ratios: tuple[str, ...]) -> None:
        self.ratios = [_exact(c) for c in ratios]
        self.mass_at_zero = max([mp.mpf(0)] + [1 - 1 / c for c in self.ratios])
        factors = [mp.mpf(1)]
        for c in [mp.mpf(1), *self.ratios]:
            factors = [  # times (1 + c m), lowest order first
                (factors[k] if k < len(factors) else 0) + (c * factors[k - 1] if k else 0)
                for k in range(len(factors) + 1)
            ]
        self.factors = factors

    def _slope(self, m: Number) -> Number:
        """d log z/dm."""
        return 1 / (1 + m) - 1 / m + mp.fsum(c / (1 + c * m) for c in self.ratios)

    def _z(self, m: Number) -> Number:
        return (1 + m) / m * mp.fprod(1 + c * m for c in self.ratios)

    def intervals(self) -> list[tuple[Number, Number]]:
        # critical points of z: the upper edge at m > 0; the lower one between the two zeros of z nearest to 0
        zeros = sorted(-1 / c for c in [mp.mpf(1), *self.ratios])
        if zeros[-1] == zeros[-2]:
            raise ArithmeticError("a hard edge: use another formulation")
        lower = self._critical(zeros[-2], zeros[-1])
        return [(self._z(lower), self._z(self._critical(mp.mpf(0), mp.mpf(1000))))]

    def _critical(self, low: Number, high: Number) -> Number:
        rising = self._slope(low + (high - low) / 10**6) > 0
        for _ in range(160):
            middle = (low + high) / 2
            low, high = (middle, high) if (self._slope(middle) > 0) == rising else (low, middle)
        return (low + high) / 2

    def grid(self, count: int) -> np.ndarray:
        low, high = (float(x) for x in self.intervals()[0])
        theta = (np.arange(count) + 0.5) * np.pi / count
        return low + (high - low) * np.sin(theta / 2) ** 2

    def roots(self, x: float) -> list[Number]:
        """All m with z(m) = x."""
        coefficients = list(self.factors)
        coefficients[1] -= mp.mpf(x)
        return mp.polyroots(coefficients[::-1], maxsteps=500, extraprec=200)

    def follow(self, xs: np.ndarray) -> list[Number]:
        """m at decreasing points, the first next to the upper edge, by steps small against the gap between roots."""
        out = []
        here: Number | None = None
        position = None
        for x in xs:
            below = [m for m in self.roots(float(x)) if mp.im(m) < -mp.mpf(10) ** (-25)]
            if here is None:
                edge = self._critical(mp.mpf(0), mp.mpf(1000))
                here = min(below, key=lambda m: abs(m - edge))
                if abs(here - edge) > 1e-4:
                    raise ArithmeticError("no pair next to the upper edge")
            else:
                here = self._step(position, here, float(x))
            position = float(x)
            out.append(here)
        return out

    def _step(self, start: float, m: Number, end: float) -> Number:
        """One step along the real line, halved until the nearest root is nearer by far than any other."""
        roots = sorted(self.roots(end), key=lambda r: abs(r - m))
        if abs(roots[0] - m) < 0.1 * abs(roots[1] - m) and abs(roots[0] - m) < 0.1 * abs(mp.im(m)):
            return roots[0]
        middle = (start + end) / 2
        return self._step(middle, self._step(start, m, middle), end)

    def from_above(self, x: float) -> Number:
        """m at x followed down from far up in the upper half-plane: the definition of the branch."""
        path = [mp.mpc(x, 4000 * mp.mpf("0.93") ** k) for k in range(600)] + [mp.mpc(x)]
        m = 1 / path[0]
        for z in path:
            for _ in range(30):
                step = (mp.log(z) - mp.log(self._z(m))) / self._slope(m)
                m += step
                if abs(step) < mp.mpf(10) ** (8 - mp.mp.dps) * abs(m):
                    break
        return m

    def read(self, x: Number, m: Number) -> tuple[Number, Number]:
        """Density and distribution function."""
        phi = -_lower_log(m) + mp.fsum(m + (c - 1) / c * mp.log(1 + c * m) for c in self.ratios)
        return -mp.im(m) / (mp.pi * x), 1 - mp.im(phi) / mp.pi

    def at(self, x: float) -> tuple[Number, Number]:
        return self.read(mp.mpf(x), self.from_above(x))


class TwoProjections(Reference):
    """Product of free projections of traces a and b: closed form (Voiculescu, Dykema, Nica 1992)."""

    def __init__(self, first: str, second: str) -> None:
        self.a, self.b = _exact(first), _exact(second)
        self.mass_at_zero = 1 - min(self.a, self.b)

    def intervals(self) -> list[tuple[Number, Number]]:
        a, b = self.a, self.b
        middle, half = a + b - 2 * a * b, 2 * mp.sqrt(a * b * (1 - a) * (1 - b))
        return [(middle - half, middle + half)]

    def grid(self, count: int) -> np.ndarray:
        low, high = (float(x) for x in self.intervals()[0])
        theta = (np.arange(count) + 0.5) * np.pi / count
        return low + (high - low) * np.sin(theta / 2) ** 2

    def density(self, x: Number) -> Number:
        """sqrt((x - r)(s - x))/(2 pi x (1 - x))."""
        low, high = self.intervals()[0]
        return mp.sqrt((x - low) * (high - x)) / (2 * mp.pi * x * (1 - x))

    def at(self, x: float) -> tuple[Number, Number]:
        low, high = self.intervals()[0]
        x = mp.mpf(x)
        # int of the density in the angle x = low + (high - low) sin(t)^2, where it is smooth
        end = mp.asin(mp.sqrt((x - low) / (high - low)))

        def per_angle(t: Number) -> Number:
            y = low + (high - low) * mp.sin(t) ** 2
            return (high - low) ** 2 * 2 * (mp.sin(t) * mp.cos(t)) ** 2 / (2 * mp.pi * y * (1 - y))

        return self.density(x), self.mass_at_zero + mp.quad(per_angle, [0, end / 2, end])


# --- the cases --------------------------------------------------------------------------------------------------------

FOUR = {"0.2": "1/10", "1": "2/5", "3": "3/10", "7": "1/5"}
THREE = {"-1": "1/5", "0.5": "9/20", "2": "7/20"}
MASKS = {"0.5": "3/10", "1": "1/5", "2": "1/2"}


def cases() -> dict[str, Reference]:
    """All references by name."""
    out: dict[str, Reference] = {}
    for order in (2, 4, 10, 50):
        out[f"product of {order}"] = Parametric(order)
    out["product, ratios .3 .7"] = Boundary("marchenko-pastur", "0.3", marchenko_pastur("0.7"))
    out["product, ratios .5 .8 1.5 2"] = Polynomial(("1/2", "0.8", "3/2", "2"))
    for name, half in (("one interval", "1/2"), ("cusp", "1"), ("two intervals", "2")):
        out[f"semicircle + two points, {name}"] = Boundary(
            "semicircle", "1", atoms({f"-{half}": "1/2", half: "1/2"}), cusp=name == "cusp"
        )
    out["semicircle + two points, asymmetric"] = Boundary("semicircle", "1", atoms({"-1": "1/3", "2": "2/3"}))
    out["semicircle + uniform"] = Boundary("semicircle", "0.4", uniform("-2", "1"))
    out["semicircle + gaussian"] = Boundary("semicircle", "1", gaussian())
    out["marchenko-pastur x uniform"] = Boundary("marchenko-pastur", "1/10", uniform("1", "2"))
    out["marchenko-pastur x four atoms"] = Boundary("marchenko-pastur", "0.4", atoms(FOUR))
    out["marchenko-pastur x four atoms, narrow"] = Boundary("marchenko-pastur", "0.02", atoms(FOUR))
    out["compression, discrete"] = Boundary("compression", "0.35", atoms(THREE))
    out["compression, discrete, atom"] = Boundary("compression", "0.7", atoms(THREE))
    out["compression, uniform"] = Boundary("compression", "0.6", uniform("-2", "1"))
    for t in ("1.1", "7.3"):
        out[f"sum power {t}"] = Boundary("sum power", t, atoms(THREE))
        out[f"power {t}"] = Boundary("power", t, atoms(MASKS))
        out[f"power {t}, marchenko-pastur"] = Boundary("power", t, marchenko_pastur("1/2"))
    out["two projections"] = TwoProjections("0.4", "0.8")
    return out


def reference(name: str, x: float, digits: int = DIGITS) -> tuple[str, str]:
    """(density, cdf) of a case at a point, to `digits` working digits, computed anew."""
    with mp.workdps(digits):
        return tuple(mp.nstr(v, 30) for v in cases()[name].at(float(x)))  # type: ignore[return-value]


def _same_branch(name: str, x: float, one: Number, other: Number) -> None:
    # the other may be at x before x was rounded to a double
    if abs(one - other) > 1e-6 * abs(mp.im(other)):
        raise ArithmeticError(f"{name}: another branch at {x}")


def _rows(case: Reference, name: str, count: int) -> list[tuple[float, Number, Number]]:
    if isinstance(case, Boundary):
        found = case.points(count)
        for x, w in found[count // 7 :: count // 3]:
            _same_branch(name, x, case.from_above(x), w)
        rows = [(x, *case.at(x, w)) for x, w in found]
        if case.square_root_edges:
            rows += [(float(x), *case.at(float(x))) for x in case.near_edges()]
        return rows
    if isinstance(case, Polynomial):
        xs = np.unique(np.concatenate([case.grid(count), case.near_edges()]))[::-1]
        found = case.follow(xs)
        for k in range(5, len(xs), 200):
            _same_branch(name, float(xs[k]), case.from_above(float(xs[k])), found[k])
        return [(float(x), *case.read(mp.mpf(float(x)), m)) for x, m in zip(xs, found, strict=True)]
    xs = np.concatenate([case.grid(count), case.near_edges()])
    if isinstance(case, Parametric):
        xs = np.concatenate([xs, case.log_grid(300)])
    return [(float(x), *case.at(float(x))) for x in np.unique(xs)]


def _check_cdf(case: Reference, x: np.ndarray) -> float:
    """Largest difference between rises of the distribution function and the quadrature of the density."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    worst = 0.0
    for k in (len(x) // 5, len(x) // 2 + 7, 4 * len(x) // 5):
        low, high = float(x[k]), float(x[k + 1])
        inside = [float(case.at(low + (high - low) * (1 + t) / 2)[0]) for t in nodes]
        integral = float(np.sum(np.array(inside) * weights)) * (high - low) / 2
        worst = max(worst, abs(integral - float(case.at(high)[1] - case.at(low)[1])))
    if worst > 1e-15:
        raise ArithmeticError(f"distribution function and density disagree by {worst:.1e}")
    return worst


def main(names: list[str]) -> None:
    """Compute the named cases (all if none) and write them."""
    mp.mp.dps = DIGITS
    stored = dict(np.load(PATH)) if PATH.exists() else {}
    for name, case in cases().items():
        if names and not any(name.startswith(n) for n in names):
            continue
        rows = sorted(_rows(case, name, 1000))
        x = np.array([row[0] for row in rows])
        rises = np.diff([float(row[2]) for row in rows])
        if np.any(rises < 0) or any(row[1] <= 0 for row in rows):
            raise ArithmeticError(f"{name}: the distribution function falls or the density is not positive")
        high = np.array([float(row[1]) for row in rows])
        low = np.array([float(row[1] - mp.mpf(h)) for row, h in zip(rows, high, strict=True)])
        cdf = np.array([float(row[2]) for row in rows])
        stored[name] = np.array([x, high, low, cdf])
        print(name, len(x), [tuple(mp.nstr(e, 16) for e in pair) for pair in case.intervals()],
              f"cdf from {cdf[0]:.15g} to {cdf[-1]:.15g}, against quadrature {_check_cdf(case, x):.1e}", flush=True)
        np.savez_compressed(PATH, **stored)


if __name__ == "__main__":
    main(sys.argv[1:])
