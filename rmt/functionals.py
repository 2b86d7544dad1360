"""Numbers that a whole law has: the log moment and the entropies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmt.numeric.continuation import solve
from rmt.results import ConvergenceError

if TYPE_CHECKING:
    from rmt.law import Law

__all__ = ["entropy", "log_energy", "log_moment"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
# The last panel at each end of an interval is halved this often towards the end, where log rho is singular.
_HALVINGS = 12
_NEGLIGIBLE = 1e-4


def log_moment(law: Law) -> float:
    """E log|X| for a law without atom at 0: Re Phi(z) = E log|z - X| at z = 0."""
    lower = law.support().lower
    if not law.numeric.positive:
        z, weights, step, exponent = np.zeros(1, dtype=complex), np.ones(1), 0.0, 0.0
    elif lower > 0:
        # 1 + m loses its digits at 0, and the mean over a circle of radius lower/2 is the value at its centre
        z = lower / 2 * np.exp(1j * np.pi * (np.arange(28) + 0.5) / 28)
        weights, step, exponent = np.full(28, 1 / 28), 0.0, 0.0
    else:
        # from a little below a hard edge by the derivative G, which grows there as |z|**exponent
        step, exponent = 1e-12 * law.numeric.mean, float(law.support().edges[0].exponent or 0)
        z, weights = np.array([-step + 0j]), np.ones(1)
    solution = solve(law.numeric, z)
    if not np.all(solution.converged):
        raise ConvergenceError(f"log_moment of {law!r} was not resolved; use `expectation` with log|x|")
    return float(weights @ (solution.potential.real + step * solution.g.real / (1 + exponent)))


def entropy(law: Law) -> float:
    """``-∫ rho log rho`` of a law without atoms, by the panels of the density.

    They are refined towards the ends, where log rho is singular.
    """
    density = law._density
    method = law.methods("pdf")[0]
    total = 0.0
    for piece, panels in zip(density.pieces, density.quadrature.panels, strict=True):
        borders = np.concatenate([panels.left, panels.right[-1:]])
        shares = 0.5 ** np.arange(_HALVINGS, 0, -1)
        first = borders[0] + (borders[1] - borders[0]) * shares
        last = borders[-1] - (borders[-1] - borders[-2]) * shares[::-1]
        borders = np.concatenate([borders[:1], first, borders[1:-1], last, borders[-1:]])
        half = np.diff(borders)[:, np.newaxis] / 2
        theta = (borders[:-1, np.newaxis] + half * (1 + _NODES)).ravel()
        _, points, factor = piece.at_angles(theta)
        _, rate = piece.grid(theta)
        per_angle = density.pdf(points, method) * factor
        if np.any(np.isnan(per_angle)):
            raise ConvergenceError(f"entropy of {law!r}: unresolved points in the density")
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(per_angle > 0, -per_angle * np.log(per_angle / rate), 0.0)
        total += float(np.sum(terms * (half * _WEIGHTS).ravel()))
    return total


def log_energy(law: Law) -> float:
    """``∬ log|x - y|`` of a law without atoms, as the integral of Re Phi over the law."""
    if "subordination" not in law.methods("cauchy"):
        raise NotImplementedError(
            f"free_entropy of {type(law).__name__}: the law has no potential of its own; symmetrise it, or ask the law "
            "that it is made from"
        )
    x, weights = law._quadrature_rule()
    solution = solve(law.numeric, x, insist=False)
    seen = solution.converged
    # nodes that round onto an edge weigh nothing, and Phi is continuous
    if float(weights[~seen].sum()) > _NEGLIGIBLE:
        raise ConvergenceError(f"free_entropy of {law!r} was not resolved at some points of the support")
    order = np.argsort(x[seen])
    potential = np.interp(x, x[seen][order], solution.potential.real[seen][order])
    return float(weights @ potential)
