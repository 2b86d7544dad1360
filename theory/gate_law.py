"""The law of J Jᵀ for one gated layer on Gaussian inputs."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.algebra.gated import atoms_of_closed_rows, gated_moments
from rmt.law import Law
from rmt.numeric.continuation import solve
from rmt.numeric.gated import GatedNode
from rmt.numeric.gates import Averages, DiscreteGates, Gates, GaussianGates
from rmt.numeric.node import Node
from rmt.numeric.quadrature import gauss_rule
from rmt.parameters import check_number
from rmt.results import ConvergenceError
from rmt.support import Edge
from theory.gates import GateOnGaussians, check_gate_weights
from theory.gaussian import panel_rule
from theory.layers import Gate
from theory.weights import is_isometric

__all__ = ["GateLaw"]

FloatArray = npt.NDArray[np.float64]

# Nodes a piece of the averages between kinks, tried one after the other until the averages agree with those before.
_NODES = (12, 18, 26, 38, 56, 80, 115, 165, 235, 340)
# The differences fall geometrically, so that those of the next rule are some 3/2 power of these. Over two
# pre-activations, where rules are products, less is asked for.
_AGREEMENT, _AGREEMENT_OF_TWO = 1e-7, 1e-5
# Scale of h on which gates and activations vary, as in `theory.gaussian`.
_SCALE = 1.5
_NO_MASS = 1e-18
# Where the averages of two rules are compared, in units of the mean: at points of the real axis with a density that is
# not small, where they may be, and off it, where they must be the same.
_PROBES = np.array([0.1, 0.3, 0.6, 1.0, 1.5, 2.5, 0.05 + 0.05j, 0.3 + 0.1j, 1 + 0.1j, 2 + 0.2j, -0.1 + 0.1j])
_OFF_AXIS = _PROBES.imag > 0
_SMALL_DENSITY = 0.05
_DIED_OUT = 1e-280


@dataclass(frozen=True)
class _Cases:
    """The rows of the Jacobian by the pre-activations, arrays of shape (n,).

    The diagonal ``skip``, and weights of variance ``floor + X²`` per column, X normal of that mean and deviation, which
    the input decides.
    """

    skip: FloatArray
    floor: FloatArray
    mean: FloatArray
    deviation: FloatArray
    mass: FloatArray

    @property
    def gates(self) -> Gates:
        """The same for the solver."""
        if not np.any(self.deviation > 0):
            return DiscreteGates(self.skip, np.sqrt(self.floor + self.mean**2), self.mass)
        return GaussianGates(self.skip, self.floor, self.mean, self.deviation, self.mass)

    @property
    def square(self) -> FloatArray:
        """<D2²> in each case."""
        return self.floor + self.mean**2 + self.deviation**2


@dataclass(frozen=True, repr=False)
class GateLaw(Law):
    """Law of J Jᵀ, J the Jacobian of a gated layer whose inputs are independent centred Gaussians.

    ``J = D1 + D2 W`` with D1 = u and, given the pre-activations, D2 Gaussian in the input (`theory.gates`); its tail
    falls like that of D2², as the square of a Gaussian. Two averages remain over the pre-activations; that over the
    input is in closed form (`rmt.numeric.gates`). It is that of the layer in a network where what enters is the output
    of a `Dense` layer: x is then independent of the diagonals of the layers below.

    Parameters
    ----------
    gate : Gate
        With weights of independent entries, or orthogonal ones that the gate shares.
    second_moment : float
        Variance of the inputs.

    Raises
    ------
    ValueError
        If the variance is negative.
    PreconditionError
        For other weights or symbolic parameters.
    """

    gate: Gate
    second_moment: float

    def __post_init__(self) -> None:
        check_number("second_moment", self.second_moment, at_least=0)
        check_gate_weights(self.gate)

    @cached_property
    def _layer(self) -> GateOnGaussians:
        return GateOnGaussians(self.gate, float(self.second_moment))

    @property
    def _haar(self) -> bool:
        return is_isometric(self.gate.weights)

    @cached_property
    def _cases(self) -> _Cases:
        """The averages over the pre-activations, by the first rule with which they do not change any more."""
        shared = self._layer.shared
        tolerance = _AGREEMENT if shared else _AGREEMENT_OF_TWO
        sizes = [_NODES[0]] * (1 if shared else 2)
        cases = self._with_nodes(*sizes)
        node = GatedNode(cases.gates, 1.0, self._haar)
        # y and t of the law itself, to the accuracy of the first rule
        solution = solve(node, _PROBES * node.mean, insist=False)
        used = solution.converged & (_OFF_AXIS | (-solution.g.imag * node.mean > _SMALL_DENSITY))
        log_y, log_t = solution.unknowns[:, used]
        before = cases.gates.averages(log_y, log_t)
        for k in range(len(sizes)):
            for n in _NODES[1:]:
                sizes[k] = n
                cases = self._with_nodes(*sizes)
                values = cases.gates.averages(log_y, log_t)
                change = _change(values, before)
                before = values
                if np.all(change < tolerance):
                    break
            if np.any(change[_OFF_AXIS[used]] > tolerance):
                raise ConvergenceError(
                    f"the averages over the gates of {self!r} did not settle: name the kinks of a custom activation, "
                    "or reduce sigma_w"
                )
        return cases

    def _with_nodes(self, n: int, gate_n: int = 0) -> _Cases:
        here = self._layer
        activation, strength = here.activation, float(self.gate.sigma_w)
        root = math.sqrt(float(self.second_moment))
        if here.shared:
            h, mass = _rule(here.variance, here.common_kinks, n)
            u, du = here.u(h), strength * here.du(h)
            mean = strength * (1 - u) * activation.slope(h) - du * activation.value(h)
            return _Cases(u, np.zeros_like(h), mean, np.abs(du) * root, mass)
        h, own_mass = _rule(here.variance, here.kinks, n)
        phi, slope, own_mass = _merged(activation.value(h), activation.slope(h), own_mass)
        h, gate_mass = _rule(here.gate_variance, here.gate_kinks, gate_n)
        u, du, gate_mass = _merged(here.u(h), here.du(h), gate_mass)
        du = float(self.gate.denses[-1].sigma_w) * du
        u, du, gate_mass = (v[:, np.newaxis] for v in (u, du, gate_mass))
        parts = (u, (strength * (1 - u) * slope) ** 2, -du * phi, np.abs(du) * root, gate_mass * own_mass)
        columns = [part.ravel() for part in np.broadcast_arrays(*parts)]
        skip, floor, mean, deviation, mass = (part[columns[-1] > _NO_MASS] for part in columns)
        return _Cases(skip, floor, mean, deviation, mass / mass.sum())

    def _node(self) -> Node:
        node = GatedNode(self._cases.gates, 1.0, self._haar)
        if node.gapless and 0.0 not in self._atoms():
            # the density like x**-1/2, or all negative moments
            node.hard = 1.0 if self._hard else 0.0
        return node

    @property
    def _hard(self) -> bool:
        """Whether the density of a law without gap and atom is infinite at 0; if not, it vanishes there.

        It is infinite where 1 + s B = 0 for a t > 0 at y = 0, which is the case for <D2²/D1²> > 1, and for Haar weights
        1/<D2²/D1²> < 1 < <D1²/D2²>; otherwise it vanishes faster than any power.
        """
        c = self._cases
        square = c.square
        with np.errstate(divide="ignore"):
            hard = float(np.sum(c.mass * square / c.skip**2)) > 1
        if self._haar:
            # <1/X²> of a Gaussian X diverges
            spread = bool(np.any((c.floor == 0) & (c.deviation > 0)))
            hard = hard and (spread or float(np.sum(c.mass * c.skip**2 / square)) > 1)
        return hard

    def _atoms(self) -> dict[Any, Any]:
        c = self._cases
        rows = (c.floor == 0) & (c.mean == 0) & (c.deviation == 0)
        return atoms_of_closed_rows(zip((c.skip[rows] ** 2).tolist(), c.mass[rows].tolist(), strict=True))

    def _edges(self) -> tuple[Edge, ...] | None:
        c = self._cases
        if not np.any(c.deviation > 0) or 0.0 in self._atoms():
            return None
        # no gap: `rmt.numeric.gated`
        return (Edge(0.0, -0.5 if self._hard else None, "lower"), Edge(math.inf, None, "upper"))

    def _moments_series(self, n: int) -> list[Any]:
        joint = self._layer.joint_moments(n)
        return gated_moments(lambda i, j: joint[i, j], 1.0, n, self._haar)


def _change(values: Averages, others: Averages) -> FloatArray:
    """Relative differences at each point."""
    pairs = zip(vars(values).values(), vars(others).values(), strict=True)
    out: FloatArray = np.max([np.abs(x - y) / np.abs(x) for x, y in pairs], axis=0)
    return out


def _rule(q: float, kinks: tuple[float, ...], n: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of E f(√q Z) for f analytic between the kinks, n nodes at most in each piece.

    A Gauss rule of each piece in the variable asinh(h/1.5), in which functions that vary on the scale 1 of h and the
    Gaussian, however wide it is, are resolved alike.
    """
    if q < _DIED_OUT:
        sides = np.array([-1e-150, 1e-150]) if 0.0 in kinks else np.zeros(1)
        return sides, np.full(sides.size, 1 / sides.size)
    h, weights = panel_rule(q, kinks, 1 if n > 40 else 0)
    cuts = [-math.inf, *(k for k in kinks), math.inf]
    nodes, masses = [], []
    for left, right in itertools.pairwise(cuts):
        inside = (h > left) & (h < right)
        if np.sum(weights[inside]) > _NO_MASS:
            t, mass = gauss_rule(np.arcsinh(h[inside] / _SCALE), weights[inside], n)
            nodes.append(_SCALE * np.sinh(t))
            masses.append(mass)
    h, weights = np.concatenate(nodes), np.concatenate(masses)
    kept = weights > _NO_MASS
    return h[kept], weights[kept] / weights[kept].sum()


def _merged(value: FloatArray, slope: FloatArray, mass: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Different pairs of value and slope with their masses: saturated pieces are one case."""
    pairs, index = np.unique(np.stack([value, slope]), axis=1, return_inverse=True)
    return pairs[0], pairs[1], np.asarray(np.bincount(index.ravel(), weights=mass), dtype=np.float64)
