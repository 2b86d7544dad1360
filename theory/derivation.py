"""From a network to the formulas of its law, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theory.network import Chain, Layer, ResNet
from theory.weights import is_standard

if TYPE_CHECKING:
    from rmt.symbolic import Derivation

__all__ = ["derive"]


def derive(net: Layer, *, exact: bool = False) -> Derivation:
    """Derive the law of J Jᵀ of a network, J its input-output Jacobian: equation, S-transform, edges, moments, steps.

    Parameters
    ----------
    net : layer or network
        Its sigma_w, sigma_b, skip, depth and repetitions may be numbers (exact ones stay exact) or sympy symbols, which
        should be declared positive. A ResNet leads to the universal law of infinite depth in terms of its effective
        cumulant c, with its corrections in 1/depth; a Chain, and every other composition of layers, to the law at its
        own finite depth, repeated layers at a fixed point of the variance q of their pre-activations.
    exact : bool
        A ResNet, too, at its own depth: the block formula to the power L instead of the universal law.

    Returns
    -------
    rmt.symbolic.Derivation
        Its `definitions` say what the symbols c, p, q of the formulas are for this network.

    Raises
    ------
    NotImplementedError
        For layers without a formula: `theory.jacobian_law(net)` has their law as numbers.
    PreconditionError
        For a ResNet of skip 0: its blocks do not tend to the identity, so that there is no universal limit.

    Examples
    --------
    >>> print(derive(ResNet(depth=50, activation="relu")).equation)
    Eq(G, (G*z - 1)*exp(c*(-2*G*z + 1)))
    """
    if isinstance(net, ResNet) and not exact:
        from theory.resnet_derivation import derive_resnet

        return derive_resnet(net)
    if isinstance(net, Chain) and is_standard(net.weights):
        from theory.chain_derivation import derive_chain

        return derive_chain(net)
    from theory.network_derivation import derive_network

    return derive_network(net)
