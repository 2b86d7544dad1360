"""Laws at infinite depth."""

from __future__ import annotations

from rmt.law import Law
from rmt.laws.universal_resnet import UniversalResNet
from rmt.results import PreconditionError
from theory.network import Layer, Residual, ResNet, blocks
from theory.propagation import effective_cumulant

__all__ = ["limit_law"]


def limit_law(net: Layer, q0: float = 1.0) -> Law:
    """The law of J Jᵀ when depth and width go to infinity, with the effective cumulant of ``net`` kept.

    For residual networks this is the universal law of arXiv:1809.08848 (eq. 16), for Gaussian and orthogonal weights
    alike; it does not depend on the activation but through c.

    Raises
    ------
    ValueError
        Bad q0.
    PreconditionError
        For networks without such a limit: plain chains (their spectrum spreads without bound with depth), and networks
        whose residual blocks have different skips.
    """
    if isinstance(net, ResNet):
        skip, depth = net.skip, net.depth
    else:
        items = list(blocks(net))
        skips = {item.skip for item in items if isinstance(item, Residual)}
        if len(skips) != 1 or not all(isinstance(item, Residual) for item in items):
            raise PreconditionError(
                "limit_law needs a network of residual blocks with one common skip: "
                "for a plain chain use theory.jacobian_law(net) at its depth"
            )
        skip, depth = skips.pop(), len(items)
    if skip == 0:
        raise PreconditionError("skip=0: without the identity path this is a chain; use theory.jacobian_law(net)")
    c = effective_cumulant(net, q0)
    if c == 0:
        raise PreconditionError("the branches carry no gain (sigma_w=0): the law is a point mass; choose sigma_w > 0")
    return UniversalResNet(c) if abs(skip) == 1 else UniversalResNet(c, abs(skip), depth)
