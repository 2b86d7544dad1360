"""Corrections of infinite-depth laws at finite depth, as formulas and as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from theory.network import Chain, Layer, ResNet

if TYPE_CHECKING:
    from theory.depth_expansion import DepthExpansion

__all__ = ["finite_depth_corrections", "layer_averages"]


def finite_depth_corrections(net: Layer, order: int = 2, *, equal_layers: bool = True) -> DepthExpansion:
    """The law of J Jᵀ as an expansion in its depth L: log S, edges and moments, with the derivation.

    For a `ResNet` in powers of 1/L around the universal law, to any order: the first correction depends on the variance
    v of the gains ``σ_w² φ'(h)²`` and the kind of the weights, the second on their third cumulant too. For a `Chain` of
    orthogonal weights around its double-scaling limit (see `theory.limit_law`), in powers of 1/L for hard tanh and of
    1/sqrt(L) for smooth activations.

    The corrections are those of the free law. Networks with a Haar skip converge to it at every depth; with the
    identity as skip the gates of all blocks are diagonal in one basis, m_1 to m_3 are still exact, and from m_4 on the
    network deviates from the free law by O(1/L²), the order of the second correction.

    Parameters
    ----------
    net : ResNet, Chain, or network of residual blocks of one skip
        Parameters of a ResNet or Chain may be sympy symbols; the activation matters to the ``definitions`` only. For
        branches of any kind c, v, κ_3, … are the rectangular cumulants of Y Yᵀ, Y the Jacobian of a branch, times L^k.
    order : int
        Number of corrections, at least 1.
    equal_layers : bool
        Whether all layers have the same gains, so that averages over the layers of products such as c² are products of
        averages. Otherwise they get symbols of their own. `layer_averages` has the numbers.

    Returns
    -------
    DepthExpansion
        ``.log_s``, ``.edges``, ``.moments(n)``, their coefficients ``.terms``, ``.log_edges``,
        ``.moment_coefficients(n)``, and ``.derivation``.

    Raises
    ------
    ValueError
        If ``order`` is below 1.
    PreconditionError
        For skip 0, for a chain without a double-scaling limit, and for networks without a common skip.

    Examples
    --------
    >>> expansion = finite_depth_corrections(ResNet(depth=50, activation="relu"))
    >>> print(expansion.terms[1])
    c**2*(6*m**2 + 6*m + 1)/2 - m*v*(m + 1)*(2*m + 1)
    >>> print(expansion.log_edges[1][1])
    -c*(c + 3)/2 + v*sqrt(c + 2)/(2*c**(3/2))
    """
    if order < 1:
        raise ValueError(f"order={order!r}: expected an integer >= 1, the number of corrections")
    if isinstance(net, ResNet):
        from theory.resnet_derivation import expand_resnet

        return expand_resnet(net, order, equal_layers)
    if isinstance(net, Chain):
        from theory.chain_expansion import expand_chain

        return expand_chain(net, order, equal_layers)
    from theory.resnet_derivation import expand_residual

    return expand_residual(net, order, equal_layers)


def layer_averages(net: Layer, q0: float = 1.0, order: int = 2) -> dict[Any, float]:
    """Numbers for the symbols of ``finite_depth_corrections(net, order)``: a mapping for ``subs``.

    They are averages over the layers, by signal propagation: of c, v, κ_3, … and of their products
    (``equal_layers=False``); of a chain χ (geometric), σ_0, γ_3, … and the products.

    Parameters
    ----------
    net : ResNet, Chain, or network of residual blocks
        With numbers as parameters.
    q0 : float
        Mean square of the input's components.
    order : int
        The number of corrections.

    Raises
    ------
    ValueError
        Bad q0.
    PreconditionError
        If the signal cannot be propagated, or a parameter is symbolic.

    Examples
    --------
    >>> net = ResNet(depth=50, activation="relu", sigma_w=0.5)
    >>> expansion = finite_depth_corrections(net)
    >>> round(float(expansion.edges[1].subs(layer_averages(net))), 4)  # the law itself has 2.7496, the limit 2.7465
    2.7496
    """
    if isinstance(net, Chain):
        from theory.chain_expansion import chain_averages

        return chain_averages(net, q0, order)
    from theory.corrections import averages

    return averages(net, q0, order)
