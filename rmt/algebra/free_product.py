"""Free multiplicative convolution."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import reduce
from typing import Any

from rmt.algebra.free_sum import heavy_atoms, joint_mass, nodes_of
from rmt.law import Law
from rmt.numeric.conjugate import ReflectedNode
from rmt.numeric.convolutions import ProductNode
from rmt.numeric.family import with_families
from rmt.numeric.leaves import DiscreteLeaf
from rmt.numeric.node import Node
from rmt.numeric.unary import PowerNode, ScaledNode
from rmt.parameters import is_symbolic
from rmt.results import PreconditionError
from rmt.series import moments_to_s_series, multiply, product_moments, s_series_to_moments
from rmt.series.power_series import divide, lowest_terms

__all__ = ["FreeProduct"]


@dataclass(frozen=True, repr=False)
class FreeProduct(Law):
    """Law of ``sqrt(a) b sqrt(a)``, … for free factors, all but at most one on [0, oo): S-transforms multiply.

    Nested products are flattened. A non-zero point x is an atom iff x = prod x_i with ``sum mu_i{x_i} > n - 1``; the
    mass at 0 is the largest of the factors' (Voiculescu 1987; Belinschi 2003).

    Raises
    ------
    PreconditionError
        When numbers are asked for and two factors leave [0, oo).
    """

    laws: tuple[Law, ...]

    def __init__(self, laws: tuple[Law, ...]) -> None:
        flat: list[Law] = []
        for law in laws:
            flat.extend(law.laws if isinstance(law, FreeProduct) else [law])
        if len(flat) < 2:
            raise ValueError(f"laws={laws!r}: expected at least two laws")
        object.__setattr__(self, "laws", tuple(flat))

    def _groups(self) -> dict[Law, int]:
        groups: dict[Law, int] = {}
        for law in self.laws:
            groups[law] = groups.get(law, 0) + 1
        return groups

    def _node(self) -> Node:
        groups = self._groups()
        # point masses are a scale of the others' product
        points = [law for law in groups if law.numeric.variance == 0]
        scale = math.prod(law.numeric.mean ** groups.pop(law) for law in points)
        if scale == 0:
            raise PreconditionError("free product: a factor is the point mass at 0, so the product is 0")
        if not groups:
            return DiscreteLeaf([scale], [1.0])
        general = [law for law, k in groups.items() for _ in range(k) if not law.numeric.positive]
        if len(general) > 1:
            raise PreconditionError(
                "free product: two factors have negative support, and their product is not self-adjoint; "
                "at most one factor may leave [0, oo)"
            )
        parts = zip(nodes_of(list(groups)), groups.values(), strict=True)
        nodes = [node if k == 1 else PowerNode(node, float(k)) for node, k in parts]
        nodes = with_families(nodes)
        node = nodes[0] if len(nodes) == 1 else ProductNode(nodes)
        if scale < 0:
            node = ReflectedNode(node)
        return node if abs(scale) == 1 else ScaledNode(node, abs(scale))

    def _atoms(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        atoms = [law._atoms() for law in self.laws]
        at_zero = [p for part in atoms for x, p in part.items() if not is_symbolic(x) and float(x) == 0]
        if at_zero:
            out[0] = max(at_zero)
        heavy = [[(x, p) for x, p in part.items() if is_symbolic(x) or float(x) != 0] for part in atoms]
        for choice in itertools.product(*heavy_atoms(heavy)):
            excess = joint_mass([p for _, p in choice])
            if excess > 0 and not (isinstance(excess, float) and excess < 1e-13):
                out[reduce(lambda a, b: a * b, (x for x, _ in choice))] = excess
        return out

    def _moments_series(self, n: int) -> list[Any]:
        means = [law.mean() for law in self.laws]
        centred = [law for law, mean in zip(self.laws, means, strict=True) if mean == 0]
        if len(centred) > 1:
            raise PreconditionError("free product: two factors have mean 0; at most one may leave [0, oo)")
        # each factor scaled to mean 1, so that deep products neither overflow nor vanish on the way
        scaled = [
            [divide(m, mean**k) for k, m in enumerate(law.moments(n), 1)]
            for law, mean in zip(self.laws, means, strict=True)
            if mean != 0
        ]
        series = reduce(multiply, [moments_to_s_series(m) for m in scaled])
        mean = reduce(lambda a, b: a * b, [mean for mean in means if mean != 0])
        moments = product_moments(centred[0].moments(n), series) if centred else s_series_to_moments(series)
        return [lowest_terms(m * mean**k) for k, m in enumerate(moments, 1)]

    def _log_moment(self) -> float:
        return math.fsum(k * law.log_moment() for law, k in self._groups().items())
