"""Discriminant and edges of an algebraic law: exact numbers, and of all candidates those on the law's own branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from rmt.symbolic.algebraic_density import BranchWalk
from rmt.symbolic.bivariate import Bivariate

__all__ = ["BranchPoint", "branch_points", "discriminant"]


@dataclass(frozen=True)
class BranchPoint:
    """A real point where the law's own Cauchy transform is branched.

    Attributes
    ----------
    position : sympy number
        Exact: rational, or a root of `factor` (CRootOf).
    factor : sympy.Poly in z
        The irreducible factor of the discriminant that vanishes there.
    kind : {"lower", "upper", "inner"}
        A lower or upper end of an interval of the support, or a singular point inside (as where intervals touch).
    """

    position: Any
    factor: Any
    kind: str


def discriminant(law: Bivariate) -> list[tuple[Any, int]]:
    """Irreducible factors in z of the discriminant of P(m, z) in m times its leading coefficient, with multiplicities.

    All edges, and all atoms, are among their zeros. Parameters may be symbols.

    Examples
    --------
    >>> import rmt
    >>> from rmt.symbolic import bivariate
    >>> [(f.as_expr(), k) for f, k in discriminant(bivariate(rmt.FussCatalan(order=4)))]
    [(256*z - 3125, 1), (z, 20)]
    """
    inner = law.to("m")
    ring = inner.ring
    found = []
    for factor, multiplicity in ring.factor(ring.discriminant(inner.element, 0)):
        if ring.degree(factor, 1):
            part = Bivariate(ring, factor, "m", law.parameters)
            found.append((sp.Poly(part.expression, part.variables[1]), multiplicity))
    return sorted(found, key=lambda pair: (pair[1], pair[0].degree(), str(pair[0])))


def branch_points(law: Bivariate) -> tuple[BranchPoint, ...]:
    """The real branch points of the law's own branch, in increasing order: the edges of its support.

    Between two real zeros of the discriminant the branch is analytic, and its density vanishes or not; both are proved
    (`rmt.symbolic.algebraic_density`). A zero with a density on one side only is an edge. One with density on both
    sides is a branch point if the two continuations around it, above and below, differ.

    Raises
    ------
    ValueError
        If the polynomial has symbols, or the law no power series at infinity.
    ConvergenceError
        If two candidates are too close to each other to be told apart.

    Examples
    --------
    >>> import rmt
    >>> from rmt.symbolic import bivariate
    >>> [(b.position, b.kind) for b in branch_points(bivariate(rmt.FussCatalan(order=4)))]
    [(0, 'lower'), (3125/256, 'upper')]
    """
    walk = BranchWalk(law)
    candidates: list[tuple[float, Any, Any]] = []
    others: list[complex] = []
    for factor, _ in discriminant(law):
        candidates += [(float(root), root, factor) for root in factor.real_roots(radicals=factor.degree() <= 2)]
        others += [complex(root) for root in np.roots([float(c) for c in factor.all_coeffs()])]
    candidates.sort(key=lambda candidate: candidate[0])
    if not candidates:
        return ()
    x = np.array([position for position, _, _ in candidates])
    span = max(x[-1] - x[0], 1.0)
    between = np.concatenate([[x[0] - span], (x[1:] + x[:-1]) / 2, [x[-1] + span]])
    inside = [walk.value(complex(point))[0].imag != 0 for point in between]
    out = []
    for k, (position, exact, factor) in enumerate(candidates):
        before, after = inside[k], inside[k + 1]
        if before != after:
            out.append(BranchPoint(exact, factor, "lower" if after else "upper"))
        elif before and _is_branched(walk, position, others):
            out.append(BranchPoint(exact, factor, "inner"))
    return tuple(out)


def _is_branched(walk: BranchWalk, position: float, others: list[complex]) -> bool:
    """Whether the continuations of the branch around a point, above and below, differ."""
    distances = np.abs(np.array(others) - position)
    far = distances[distances > 1e-9 * max(1.0, abs(position))]
    radius = 0.4 * float(far.min()) if far.size else 1.0
    start = complex(position + radius)
    above, below = (
        walk.along(start, [position + side * 1j * radius, complex(position - radius)]) for side in (1, -1)
    )
    return abs(above[0] - below[0]) > above[1] + below[1]
