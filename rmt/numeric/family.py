"""Free products of many laws of one shape: the layers of a network, which differ in numbers only.

Every method of a node works point by point, so laws whose trees differ in numbers alone are one tree whose numbers have
an axis for the laws before that of the points, and a product of fifty costs as many calls as a product of two. What is
stacked are products, powers and scales of laws given by quadrature or by atoms, and residual blocks of them, unless
their S-transforms are explicit; other factors are left as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.convolutions import ProductNode, leading_child
from rmt.numeric.explicit import explicit_s
from rmt.numeric.jet import ComplexArray, Jet
from rmt.numeric.leaves import DiscreteLeaf, ExplicitSLeaf
from rmt.numeric.node import Linearised, Node
from rmt.numeric.quadrature import QuadratureLeaf
from rmt.numeric.residual import ResidualNode
from rmt.numeric.unary import PowerNode, ScaledNode

__all__ = ["FamilyNode", "with_families"]

FloatArray = npt.NDArray[np.float64]

# The nodes all of whose operations are elementwise, with the numbers in which laws of one shape may differ.
_NUMBERS: dict[type[Node], tuple[str, ...]] = {
    ScaledNode: ("scale",),
    PowerNode: ("exponent",),
    ProductNode: (),
    ResidualNode: ("log_a2",),
}


class FamilyNode(Node):
    """Free product of laws of one shape (see `with_families`); the unknowns of the laws follow each other."""

    positive = tracked = True

    def __init__(self, members: Sequence[Node]) -> None:
        self.count = len(members)
        self.stack = _stacked(members)
        self.product = ProductNode(members)  # how the laws start, and the moments of their product
        self.size = self.product.size
        self.mean, self.variance, self.unbounded = self.product.mean, self.product.variance, self.product.unbounded
        self.hard, self.reach, self.gapless = self.product.hard, self.product.reach, self.product.gapless

    def tail(self) -> tuple[float, complex]:
        return self.product.tail()

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        return self.product.start(z, log_z)

    def _apart(self, u: ComplexArray) -> ComplexArray:
        """Rows of all unknowns as (unknown, law, point)."""
        return u.reshape(self.count, self.size // self.count, u.shape[-1]).swapaxes(0, 1)

    def linearise(self, u: ComplexArray) -> Linearised:
        lin = self.stack.linearise(self._apart(u))
        j = lin.jet
        leading = leading_child(j.dlog_eta)
        log_eta, dlog_eta = leading(j.log_eta), leading(j.dlog_eta)
        rate = dlog_eta / j.dlog_eta
        shift = (log_eta - j.log_eta) / j.dlog_eta
        log_s, dlog_s = np.sum(j.log_s + j.dlog_s * shift, axis=0), np.sum(j.dlog_s * rate, axis=0)
        return Linearised(Jet(leading(j.m), leading(j.w), log_s, leading(j.dm), dlog_s, log_eta), (lin, shift, rate))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        inner, shift, rate = lin.inner
        out: ComplexArray = self.stack.spread(inner, shift + eps * rate).swapaxes(0, 1).reshape(self.size, -1)
        return out

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        out: ComplexArray = np.sum(self.stack.potential(self._apart(u), lin.inner[0]), axis=0)
        return out

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        out: FloatArray = np.max(self.stack.strain(self._apart(u), self._apart(du)), axis=0)
        return out


def with_families(factors: Sequence[Node]) -> list[Node]:
    """The factors of a free product, those of one shape brought together as one `FamilyNode`."""
    groups: dict[Any, list[Node]] = {}
    for k, node in enumerate(factors):
        shape = _shape(node) if explicit_s(node) is None else None
        groups.setdefault(k if shape is None else shape, []).append(node)
    return [members[0] if len(members) == 1 else FamilyNode(members) for members in groups.values()]


def _shape(node: Node) -> tuple[Any, ...] | None:
    """What must be equal in laws that are stacked; None for a law that cannot be, or has nothing to share."""
    if isinstance(node, QuadratureLeaf):
        return (QuadratureLeaf,)
    if isinstance(node, DiscreteLeaf):
        return (DiscreteLeaf, node.x.size) if node.positive else None
    children = _children(node)
    if children is None:
        return None
    shapes = [(child.s,) if isinstance(child, ExplicitSLeaf) else _shape(child) for child in children]
    if None in shapes or all(isinstance(child, ExplicitSLeaf) for child in children):
        return None
    return (type(node), getattr(node, "branch_leads", None), *shapes)


def _children(node: Node) -> tuple[Node, ...] | None:
    if isinstance(node, ProductNode):
        return node.children if node.positive else None
    return (node.child,) if isinstance(node, (ScaledNode, PowerNode, ResidualNode)) else None


def _stacked(nodes: Sequence[Any]) -> Any:
    """One node for nodes of one shape, its numbers of shape (nodes, 1); only the elementwise methods make sense."""
    first = nodes[0]
    if isinstance(first, ExplicitSLeaf):
        return first
    if isinstance(first, (QuadratureLeaf, DiscreteLeaf)):
        return type(first).stacked(nodes)
    out = copy.copy(first)
    for name in _NUMBERS[type(first)]:
        setattr(out, name, np.array([[getattr(node, name)] for node in nodes]))
    if isinstance(first, ProductNode):
        out.children = tuple(_stacked(members) for members in zip(*(node.children for node in nodes), strict=True))
    else:
        out.child = _stacked([node.child for node in nodes])
    return out
