"""Laws given by quadrature: Gauss rules of discrete measures, and the leaf of a law that is an integral over atoms."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet
from rmt.numeric.node import Leaf, Linearised, distance_in_log, log_like_w

__all__ = ["QuadratureLeaf", "gauss_rule"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Function = Callable[[FloatArray], FloatArray]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_TO_LEGENDRE = (np.arange(16)[:, np.newaxis] + 0.5) * np.polynomial.legendre.legvander(_NODES, 15).T * _WEIGHTS
# Sixteen nodes integrate 1/(z - x) to rounding when z is this many node spacings away from every value on a panel
# (Bernstein ellipse of parameter 3).
_CLEARANCE = 11.0
# How far off the real axis a bent panel runs: in its own half-widths in the middle, in those of the smaller neighbour
# at its ends. With neighbours of at most twice its size the pole beside it lies outside the ellipse of parameter 1.38.
_HEIGHT = 0.35
_BENT, _BENT_WEIGHTS = np.polynomial.legendre.leggauss(52)
_RAMP, _RAMP_WEIGHTS = np.polynomial.legendre.leggauss(24)
# A panel is cut in two until its last Legendre coefficients are this small; continued off the axis they grow 100 times.
_RESOLVED = 2e-15
_MOST_CUTS = 12
_MOST_LEVELS = 60
# Gauss rule of the law itself, used far from the support: error rho^(-2 n), rho the ellipse parameter of z.
_FAR_NODES = 16
_FAR_ELLIPSE = 3.4


def gauss_rule(x: npt.ArrayLike, weights: npt.ArrayLike, n: int) -> tuple[FloatArray, FloatArray]:
    """Gauss quadrature of the discrete measure ``sum weights_k delta_(x_k)``: n nodes, exact to degree 2n - 1.

    Lanczos with full reorthogonalisation (Gragg and Harrod 1984; Gautschi 2004, §2.2). Fewer nodes come back when
    the measure has fewer than n distinct points.
    """
    points = np.asarray(x, dtype=float)
    mass = np.asarray(weights, dtype=float)
    total = mass.sum()
    centre, scale = (points.max() + points.min()) / 2, (points.max() - points.min()) / 2
    if scale == 0 or n == 1:
        return np.array([np.sum(points * mass) / total]), np.array([total])
    t = (points - centre) / scale
    basis = [np.sqrt(mass / total)]
    diagonal: list[float] = []
    off: list[float] = []
    for _ in range(n):
        v = t * basis[-1]
        diagonal.append(float(v @ basis[-1]))
        for _repeat in range(2):
            for q in basis:
                v = v - (v @ q) * q
        norm = float(np.linalg.norm(v))
        if len(diagonal) == n or norm < 1e-13:
            break
        off.append(norm)
        basis.append(v / norm)
    k = len(diagonal)
    jacobi = np.diag(diagonal) + np.diag(off[: k - 1], 1) + np.diag(off[: k - 1], -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    return centre + scale * nodes, total * vectors[0] ** 2


class QuadratureLeaf(Leaf):
    """A law on [0, oo) carried by a function: that of x(t), t with density ``weight`` on the panels; unknown log z.

    ``x`` and ``weight`` are functions of t, analytic on every panel ``(left, right)``, and x is strictly monotone or
    constant there (a constant is an atom). The Cauchy transform is a sum over fixed nodes, its pole notwithstanding:
    where z comes near the values on a panel, the panel is bent off the real t-axis to the side on which x(t) moves away
    from the upper half-plane. So the cost does not depend on how close z is to the real axis, and the sum is the
    analytic continuation a little past it. The ends of each monotone branch cannot be moved: towards them panels
    shrink, and of those as many are used as z calls for. Far away a short Gauss rule of the whole law takes over.
    """

    positive = True

    def __init__(self, x: Function, weight: Function, panels: Sequence[tuple[float, float]]) -> None:
        table = _Table.of(x, weight, np.asarray(panels, dtype=float))
        self.tables: tuple[_Table, ...] = (table,)
        self.mean = float(np.sum(table.masses * table.values))
        self.variance = float(np.sum(table.masses * (table.values - self.mean) ** 2))
        self.log_ends = np.log(np.maximum(table.ends, 1e-300))[:, np.newaxis]

    @staticmethod
    def stacked(leaves: Sequence[QuadratureLeaf]) -> QuadratureLeaf:
        """Several laws as one node whose unknowns and jets have an axis for them before that of the points."""
        out = copy.copy(leaves[0])
        out.tables = tuple(table for leaf in leaves for table in leaf.tables)
        longest = max(leaf.log_ends.size for leaf in leaves)
        padded = [np.pad(leaf.log_ends[:, 0], (0, longest - leaf.log_ends.size), "edge") for leaf in leaves]
        out.log_ends = np.stack(padded, axis=1)[:, :, np.newaxis]
        return out

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return log_z[np.newaxis]

    def _sums(self, u: ComplexArray, potential: bool) -> ComplexArray:
        """Integrals of x/(z - x), z/(z - x), -z x/(z - x)**2 and, if asked for, log(1 - x/z), shape (4, n)."""
        from rmt.numeric.kernels import integrate_resolvent

        # past arg z = pi the law is met from below
        turned = u.imag > np.pi
        z = np.exp(np.where(turned, u.conj(), u))
        rows = np.ascontiguousarray(z.reshape(len(self.tables), -1))
        sums = np.empty((len(self.tables), 4, rows.shape[1]), dtype=complex)
        for row, table, own in zip(rows, self.tables, sums, strict=True):
            integrate_resolvent(row, potential, *table.kernel_arguments, own)
        out = sums.swapaxes(0, 1).reshape(4, *z.shape)
        return np.where(turned, out.conj(), out)

    def linearise(self, u: ComplexArray) -> Linearised:
        m, w, dm, _ = self._sums(u[0], potential=False)
        log = log_like_w(-u[0].imag)
        log_w = log(w)
        log_s = log_w - log(np.exp(u[0]) * m)
        return Linearised(Jet(m, w, log_s, dm, dm / w - dm / m - 1, -u[0] - log_s), log_w)

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        out: ComplexArray = self._sums(u[0], potential=True)[3] + lin.inner
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        # singular are the ends of branches only: the law continues analytically across its own density
        out: FloatArray = np.abs(du[0]) / distance_in_log(u[0], self.log_ends)
        return out


@dataclass(frozen=True)
class _Table:
    """Nodes of every panel, straight and bent.

    ``values`` and ``masses`` discretise the law away from its pole, ``ends`` are the images of the branch ends and the
    atoms. Panels of one branch follow each other in t, from the smallest at its left end to the smallest at its right
    end; the remainder beyond each of those shrinking panels is a panel too, and comes with the ends.
    """

    values: FloatArray
    masses: FloatArray
    ends: FloatArray
    kernel_arguments: tuple[object, ...]

    @staticmethod
    def of(x: Function, weight: Function, panels: FloatArray) -> _Table:
        cut = _resolved(x, weight, panels)
        values, masses = _sample(x, weight, cut)
        total = masses.sum()
        branches, atoms = _branches(cut, values)
        if atoms.size:
            atom_x, atom_p = values[atoms, 0], masses[atoms].sum(axis=1) / total
        else:
            atom_x = atom_p = np.empty(0)
        rows = _Rows(x, weight, total)
        layout = [rows.add(cut[first:last], rising) for first, last, rising in branches]
        flat_x, flat_p = rows.straight()
        smooth = np.concatenate([np.empty(0, dtype=np.intp), *(np.arange(a, b) for a, b, _ in branches)])
        all_x = np.concatenate([values[smooth].ravel(), atom_x])
        all_p = np.concatenate([masses[smooth].ravel() / total, atom_p])
        ends = np.concatenate([*rows.ends, atom_x])
        lower, upper = ends.min(), ends.max()
        far = gauss_rule(all_x, all_p, _FAR_NODES)
        spacing = np.maximum(np.abs(np.gradient(flat_x, axis=1)), 1e-150)
        straight = np.stack([flat_x, flat_p, 1 / (_CLEARANCE * spacing) ** 2], axis=1)
        return _Table(
            all_x,
            all_p,
            ends,
            (
                np.array([lower, upper, max((upper - lower) / 2, 1e-300) * (_FAR_ELLIPSE + 1 / _FAR_ELLIPSE)]),
                np.array(layout, dtype=np.int64).reshape(-1, 6),
                np.concatenate([straight, _in_rows(atom_x, atom_p), _in_rows(*far)]),
                *rows.bent(),
            ),
        )


def _in_rows(x: FloatArray, p: FloatArray) -> FloatArray:
    """Positions and masses in rows as long as a panel has nodes, filled up with nothing, that may be approached."""
    missing = -x.size % _NODES.size
    positions = np.pad(x, (0, missing), "edge") if missing else x
    rows = (positions, np.pad(p, (0, missing)), np.full(positions.shape, np.inf))
    return np.stack([row.reshape(-1, _NODES.size) for row in rows], axis=1)


class _Rows:
    """Collects the panels of all branches: their ends in t and how high their ends lie when bent."""

    def __init__(self, x: Function, weight: Function, total: float) -> None:
        self.x, self.weight, self.total = x, weight, total
        self.panels: list[tuple[float, float, float, float]] = []
        self.ends: list[FloatArray] = []

    def add(self, panels: FloatArray, rising: bool) -> tuple[int, int, int, int, int, int]:
        """Panels of one branch; where they start and end, and where the remainders of both ends are.

        Returns (first of the inner panels, one past the last of them, levels at the left, first left remainder, levels
        at the right, first right remainder).
        """
        if len(panels) == 1:
            left, right = panels[0]
            middle = (left + right) / 2
            panels = np.array([[left, middle], [middle, right]])
        side = -1.0 if rising else 1.0
        start, stop = panels[0, 0], panels[-1, 1]
        inner = panels[1:-1]
        at_left, at_start = self._levels(start, panels[0, 1])
        at_right, at_stop = self._levels(stop, panels[-1, 0])
        self.ends.append(np.array([at_start, at_stop]))
        marks = np.concatenate([at_left[::-1], inner[:, 1], at_right[1:]])
        widths = np.diff(marks)
        heights = np.empty(marks.size)
        heights[1:-1] = np.minimum(widths[1:], widths[:-1])
        # as if the shrinking went on: the height must not depend on how far it is followed
        heights[0], heights[-1] = widths[0] / 2, widths[-1] / 2
        heights *= side * _HEIGHT / 2
        first = len(self.panels)
        self.panels += list(zip(marks[:-1], marks[1:], heights[:-1], heights[1:], strict=True))
        n_left, n_right = at_left.size - 1, at_right.size - 1
        left_rest = len(self.panels)
        self.panels += [(start, marks[n_left - j], 0.0, heights[n_left - j]) for j in range(n_left + 1)]
        right_rest = len(self.panels)
        last = marks.size - 1
        self.panels += [(marks[last - n_right + j], stop, heights[last - n_right + j], 0.0) for j in range(n_right + 1)]
        return first + n_left, first + last - n_right, n_left, left_rest, n_right, right_rest

    def _levels(self, end: float, inside: float) -> tuple[FloatArray, float]:
        """Points that halve the distance from inside a branch to its end, from inside out, and x at the end."""
        eps = float(np.finfo(float).eps)
        points = np.asarray(end + (inside - end) * 0.5 ** np.arange(_MOST_LEVELS), dtype=np.float64)
        distinct = np.abs(points - end) > 4 * eps * abs(end)
        # at a kink the function may have the value of the other side
        here = float(self.x(points[distinct][-1:])[0])
        distinct &= np.abs(self.x(points) - here) > 4 * eps * abs(here)
        return points[: max(2, int(np.sum(np.cumprod(distinct))))], here

    def straight(self) -> tuple[FloatArray, FloatArray]:
        """Values and masses at 16 nodes a panel."""
        values, masses = _sample(self.x, self.weight, np.array(self.panels).reshape(-1, 4)[:, :2])
        return values, masses / self.total

    def bent(self) -> tuple[FloatArray, ...]:
        """Nodes of panels bent up at both ends, at the right and at the left, each (rows, 4, nodes).

        The four are the real and imaginary parts of values and masses.
        """
        table = np.array(self.panels).reshape(-1, 4)
        values, masses = _sample(self.x, self.weight, table[:, :2])
        half = (table[:, 1] - table[:, 0]) / 2
        density = masses / (half[:, np.newaxis] * _WEIGHTS * self.total)
        side = np.sign(table[:, 2] + table[:, 3])
        low, high = table[:, 2] / half, table[:, 3] / half
        none = np.zeros(half.shape)
        out: list[FloatArray] = []
        for nodes, weights, at_left, at_right in (
            (_BENT, _BENT_WEIGHTS, low, high),
            (_RAMP, _RAMP_WEIGHTS, none, high),
            (_RAMP, _RAMP_WEIGHTS, low, none),
        ):
            lift = ((1 - nodes) * at_left[:, np.newaxis] + (1 + nodes) * at_right[:, np.newaxis]) / 2
            bump = side[:, np.newaxis] * _HEIGHT - (at_left + at_right)[:, np.newaxis] / 2
            tau = nodes + 1j * (lift + bump * (1 - nodes**2))
            slope = 1 + 1j * ((at_right - at_left)[:, np.newaxis] / 2 - 2 * bump * nodes)
            mass = _off_axis(density, tau) * slope * weights * half[:, np.newaxis]
            at = _off_axis(values, tau)
            out.append(np.ascontiguousarray(np.stack([at.real, at.imag, mass.real, mass.imag], axis=1)))
        return tuple(out)


def _sample(x: Function, weight: Function, panels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values and masses at the nodes of panels, shapes (k, 16)."""
    half = (panels[:, 1:] - panels[:, :1]) / 2
    t = panels[:, :1] + half * (1 + _NODES)
    return x(t), half * _WEIGHTS * weight(t)


def _resolved(x: Function, weight: Function, panels: FloatArray) -> FloatArray:
    """The panels, cut until both functions are polynomials of degree 15 on each to rounding."""
    before = np.full(len(panels), np.inf)
    for _ in range(_MOST_CUTS):
        values, masses = _sample(x, weight, panels)
        widths = panels[:, 1] - panels[:, 0]
        density = masses / (_WEIGHTS * widths[:, np.newaxis])
        # where hardly any mass lies its digits do not count
        with np.errstate(invalid="ignore"):
            tail = np.maximum(_tail(values) / values.max(axis=1), _tail(density) / density.max())
        rough = (tail > _RESOLVED) & (tail < 0.1 * before)  # what does not fall is rounding
        # neighbours of at most twice the size
        smallest = np.minimum(np.append(widths[1:], np.inf), np.append(np.inf, widths[:-1]))
        rough |= widths > 2.1 * smallest
        if not np.any(rough):
            break
        middle = panels.mean(axis=1)
        pieces = [
            piece
            for (left, right), centre, cut in zip(panels, middle, rough, strict=True)
            for piece in ([(left, centre), (centre, right)] if cut else [(left, right)])
        ]
        panels = np.array(pieces)
        before = np.repeat(tail, np.where(rough, 2, 1))
    return panels


def _tail(samples: FloatArray) -> FloatArray:
    """The larger of the last two Legendre coefficients of each panel."""
    out: FloatArray = np.max(np.abs(samples @ _TO_LEGENDRE[-2:].T), axis=1)
    return out


def _branches(panels: FloatArray, values: FloatArray) -> tuple[list[tuple[int, int, bool]], IntArray]:
    """Runs of adjacent panels on which x rises or falls throughout, (first, one past last, rising); constant panels."""
    span = np.ptp(values, axis=1)
    constant = span <= 4 * np.finfo(float).eps * np.abs(values).max(axis=1)
    rising = values[:, -1] > values[:, 0]
    branches: list[tuple[int, int, bool]] = []
    for k in np.flatnonzero(~constant).tolist():
        joins = branches and branches[-1][1] == k and branches[-1][2] == rising[k] and panels[k - 1, 1] == panels[k, 0]
        if joins:
            branches[-1] = (branches[-1][0], k + 1, branches[-1][2])
        else:
            branches.append((k, k + 1, bool(rising[k])))
    return branches, np.flatnonzero(constant)


def _off_axis(samples: FloatArray, tau: ComplexArray) -> ComplexArray:
    """The polynomials through samples (k, 16) at the Gauss nodes, at complex points (k, n) beside [-1, 1]."""
    level = samples[:, 7:8]
    coefficients = (samples - level) @ _TO_LEGENDRE.T
    # coefficients at the level of rounding would only grow off the axis
    floor = 12 * np.finfo(float).eps * np.abs(samples).max(axis=1, keepdims=True)
    significant = np.cumsum(np.abs(coefficients[:, ::-1]) > floor, axis=1)[:, ::-1] > 0
    coefficients = np.where(significant, coefficients, 0.0)
    before, here = np.ones_like(tau), tau
    out = level + coefficients[:, :1] * before + coefficients[:, 1:2] * here
    for k in range(2, 16):
        before, here = here, ((2 * k - 1) * tau * here - (k - 1) * before) / k
        out = out + coefficients[:, k : k + 1] * here
    return out
