"""Nodes of the flattened system of a law: one unknown per leaf, one matching condition per operation.

A node holds ``size`` complex unknowns (rows of an array of shape (size, n)). It answers

    start(z)          unknowns at large |z|, from the first moments;
    linearise(u)      the Jet of its law after one elimination of its inner conditions, and what `spread` needs;
    spread(lin, eps)  the Newton increments of all its unknowns when its own parameter moves by eps;
    potential(u)      Gamma = Phi + log g, Phi(z) = integral of log(z - x) over the law.

Each operation is one line in the right coordinates (Voiculescu's R and S):

    free sum       g common, R adds
    free product   m common, log S adds
    free powers    the same with a real factor,

and Gamma adds in all of them (derived here: dPhi = g dz, integrated along the curve). The distribution function is
read off it, F(x) = 1 - Im Phi(x + i0)/pi, atoms included, with no quadrature; Re Phi is the log moment.

Because `linearise` eliminates upwards and `spread` substitutes downwards, a Newton step for the whole expression costs
one pass over the tree; there are no nested fixed points.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, Jet, continued_log, log1p, log_lower, log_of_w
from rmt.numeric.waypoints import Waypoints

__all__ = [
    "Leaf",
    "Linearised",
    "Node",
    "continued_log_z",
    "distance_in_log",
    "jet_of_g",
    "jet_of_r",
    "log1p_like_1_over_w",
    "log_like_w",
    "logs_of_m_and_eta",
]

FloatArray = npt.NDArray[np.float64]

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Linearised:
    """A Jet and the data for the substitution back (inner mismatches and the children's linearisations)."""

    jet: Jet
    inner: Any = None


class Node(ABC):
    """A law as seen by the solver; see the module's docstring for the protocol.

    ``mean`` and ``variance`` are floats (used only to start far away, and as scales: a location and a squared scale
    where moments do not exist); ``positive`` says that the law lives on [0, oo); ``unbounded`` says whether its
    continuous part reaches -oo and +oo, ``full`` that its density is known to be positive on the whole line.
    """

    size: int
    mean: float
    variance: float
    positive: bool
    unbounded: tuple[bool, bool] = (False, False)
    full: bool = False
    #: whether it knows all digits of z next to 0 and, if the law is one on [0, oo), the arguments of its transforms for
    #: arg z in [0, 2 pi); see `rmt.numeric.tracking`
    tracked: bool = False
    #: whether the density of a law on [0, oo) is known to be positive on all of (0, oo)
    gapless: bool = False
    #: for a law on [0, oo) without atom at 0, the r of S ~ (1 + m)**-r at m -> -1; None if not known
    hard: float | None = None
    #: abs(m) up to which the node stands for its law
    reach: float = np.inf
    #: points that `rmt.numeric.continuation` has met, once it has
    waypoints: Waypoints | None = None

    def tail(self) -> tuple[float, complex]:
        """(a, b) such that m ~ exp(b) z**-a far away: the mean, or the variance of a centred law."""
        if self.mean == 0:
            return 2.0, complex(np.log(self.variance))
        return 1.0, complex(np.log(abs(self.mean)), -np.pi if self.mean < 0 else 0.0)

    @property
    def radius(self) -> float:
        """Distance from the mean, up to a factor, beyond which the first moments tell everything.

        Not the spread alone: a product, or a law that was shifted after one, is far only where z is against its mean.
        """
        return float(np.sqrt(self.variance)) + abs(self.mean)

    @abstractmethod
    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        """Unknowns, shape (size, n), to first order at large |z| (``log_z`` is the continued logarithm)."""

    @abstractmethod
    def linearise(self, u: ComplexArray) -> Linearised:
        """Jet at the unknowns ``u``, inner conditions eliminated to first order."""

    @abstractmethod
    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        """Increments of all unknowns, shape (size, n), for the parameter increment ``eps``."""

    @abstractmethod
    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        """Gamma = Phi + log g at a solution."""

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        """Size of an increment in units of the distance over which the node is close to linear, shape (n,)."""
        out: FloatArray = np.max(np.abs(du), axis=0)
        return out


class Leaf(Node):
    """One unknown, which is also the parameter of the jet."""

    size = 1
    tracked = True

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        return eps[np.newaxis]


def continued_log_z(z: ComplexArray) -> ComplexArray:
    """Logarithm of a spectral argument, arg in [0, 2 pi)."""
    inverse: ComplexArray = np.asarray(1 / z, dtype=complex)
    return -continued_log(inverse)


def log_like_w(arg_eta: FloatArray) -> Callable[[ComplexArray], ComplexArray]:
    """The logarithm for quantities that turn as w does, on the side that the argument of eta tells."""
    return lambda value: log_of_w(value, arg_eta)


def log1p_like_1_over_w(x: ComplexArray, arg_z: FloatArray) -> ComplexArray:
    """log(1 + x) for x = -a/z, a > 0: continued across the negative axis from the side of arg z (cf. `log_of_w`)."""
    out = log1p(x)
    upper = arg_z < np.pi
    turns = np.where(upper & (out.imag < -np.pi / 2), 1.0, np.where(~upper & (out.imag > np.pi / 2), -1.0, 0.0))
    return out + 2j * np.pi * turns


def distance_in_log(log_z: ComplexArray, log_ends: FloatArray) -> FloatArray:
    """Distance of log z from the singularities of a law on [0, oo), which that plane repeats every 2 pi i.

    The logarithms of its transforms are analytic as far as that, and nearly linear far below and above all of them;
    ``log_ends`` has an axis for the singularities before those of ``log_z``.
    """
    apart = log_z - log_ends
    apart.imag -= 2 * np.pi * (apart.imag > np.pi)  # arg z runs over [0, 2 pi): both borders are near
    out: FloatArray = np.maximum(np.min(np.abs(apart), axis=0), 1e-14)
    return out


def jet_of_r(
    g: ComplexArray,
    dlog_g: ComplexArray,
    r: ComplexArray,
    dr: ComplexArray,
    positive: bool,
    z: ComplexArray | None = None,
    dz: ComplexArray | None = None,
) -> Jet:
    """Jet of a law known by its g and R = z - 1/g = m/g, which stays regular next to atoms, where g and m are large.

    z and dz, where they are known by themselves, keep the digits of w = z g where g is nearly 0 inside a support.
    """
    m = g * r
    w = 1 + m if z is None else z * g
    dm = m * dlog_g + g * dr
    if dz is not None:
        dm = np.where(np.abs(w) < np.abs(m), w * dlog_g + g * dz, dm)
    if not positive:
        return Jet(m, w, -log_lower(r), dm, -dr / r)
    log_m, log_eta = logs_of_m_and_eta(m, w)
    return Jet(m, w, continued_log(g) - log_m, dm, -dr / r, log_eta)


def logs_of_m_and_eta(m: ComplexArray, w: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Continued logarithms of m and of m/w of a law on [0, oo) that knows only these values.

    The sign of Im m tells on which side of the axis z is; where m is real, z came from above.
    """
    log_m = continued_log(m)
    return log_m, log_m - log_of_w(w, log_m.imag + _ROUNDING)


def jet_of_g(g: ComplexArray, dg: ComplexArray, m: ComplexArray, dm: ComplexArray, positive: bool) -> Jet:
    """Jet of a law known by its g and m."""
    dlog_g = dg / g
    return jet_of_r(g, dlog_g, m / g, (dm - m * dlog_g) / g, positive)
