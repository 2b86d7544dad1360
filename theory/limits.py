"""Laws at infinite depth: the universal law of residual networks, the smooth and Bernoulli classes of plain chains."""

from __future__ import annotations

import math
from typing import Any

from rmt.algebra.affine import Affine
from rmt.law import Law
from rmt.laws.free_multiplicative_brownian import FreeMultiplicativeBrownian
from rmt.laws.free_multiplicative_poisson import FreeMultiplicativePoisson
from rmt.laws.universal_resnet import UniversalResNet
from rmt.results import PreconditionError
from theory.network import Activation, Dense, Layer, Residual, ResNet, blocks
from theory.nonlinearity import Nonlinearity
from theory.propagation import effective_cumulant, preactivation_variances
from theory.weights import Weights, weights_law

__all__ = ["chain_class", "common_skip", "limit_law"]

# At this variance of the pre-activations the spread of the gains of a class that has a limit is below 1/1000.
_SMALL = 1e-8


def limit_law(net: Layer, q0: float = 1.0) -> Law:
    """The law of J Jᵀ when depth and width go to infinity, with what the limit depends on kept at that of ``net``.

    Residual networks: the effective cumulant c is kept. The universal law of arXiv:1809.08848 (eq. 16), for Gaussian
    and orthogonal weights alike; it does not depend on the activation but through c.

    Plain chains of orthogonal weights: the mean and ``σ_0² = Σ_l (μ_2/μ_1² - 1)``, μ_k = <φ'^(2k)> in layer l, are kept
    (Pennington, Schoenholz, Ganguli, arXiv:1802.09979), while each layer comes close to an isometry. Smooth activations
    lead to ``S = exp(-σ_0² m)``, a free multiplicative Brownian motion; hard tanh to the Bernoulli class
    ``S = exp(-σ_0² m/(1 + m))``, a free multiplicative Poisson law with an atom of mass 1 - σ_0² at the top. The limit
    says something about a net whose depth is large and σ_0² is not.

    Raises
    ------
    ValueError
        Bad q0.
    PreconditionError
        For networks without such a limit: chains of Gaussian weights (whose own spread adds 1 a layer to σ_0²), of
        linear or of ReLU-like activations (whose gains do not depend on q), of several activations; networks whose
        residual blocks have different skips or stand between plain layers.

    Examples
    --------
    >>> from theory.network import Chain
    >>> limit_law(Chain(depth=100, activation="hard_tanh", weights="orthogonal"), q0=0.1).support().atoms != {}
    True
    """
    items = [] if isinstance(net, ResNet) else list(blocks(net))
    if items and not any(isinstance(item, Residual) for item in items):
        return _chain_limit(net, items, q0)
    skip, depth = common_skip(net)
    if skip == 0:
        raise PreconditionError("skip=0: without the identity path this is a chain; use theory.jacobian_law(net)")
    c = effective_cumulant(net, q0)
    if c == 0:
        raise PreconditionError("the branches carry no gain (sigma_w=0): the law is a point mass; choose sigma_w > 0")
    return UniversalResNet(c) if abs(skip) == 1 else UniversalResNet(c, abs(skip), depth)


def common_skip(net: Layer) -> tuple[Any, Any]:
    """(skip, number of blocks) of a network of residual blocks.

    Raises
    ------
    PreconditionError
        If it has other layers between its blocks, or blocks of different skips.
    """
    if isinstance(net, ResNet):
        return net.skip, net.depth
    items = list(blocks(net))
    skips = {item.skip for item in items if isinstance(item, Residual)}
    if len(skips) != 1 or not all(isinstance(item, Residual) for item in items):
        raise PreconditionError(
            "the limit of infinite depth needs a network of residual blocks with one common skip, or a plain chain: "
            "use theory.jacobian_law(net) at its depth"
        )
    return skips.pop(), len(items)


def _chain_limit(net: Layer, items: list[Any], q0: float) -> Law:
    """See `limit_law`."""
    layers = list(zip(items[::2], items[1::2], strict=False))
    if len(items) % 2 or not all(isinstance(d, Dense) and isinstance(a, Activation) for d, a in layers):
        raise PreconditionError(
            "limit_law of a plain chain needs a Dense layer before and an Activation behind every one: "
            "use theory.jacobian_law(net) at its depth"
        )
    functions = {activation.nonlinearity for _, activation in layers}
    if len(functions) > 1:
        raise PreconditionError("limit_law needs one activation in all layers: use theory.jacobian_law(net)")
    function = functions.pop()
    if any(dense.width_ratio != 1 for dense, _ in layers):
        raise PreconditionError("limit_law needs layers of equal width: use width_ratio=1")
    kind = chain_class(function, {dense.weights for dense, _ in layers})
    log_scale, spread = 0.0, 0.0
    for (dense, _), q in zip(layers, preactivation_variances(net, q0), strict=True):
        mean, square = (function.gain_moment(k, float(q)) for k in (1, 2))
        spread += square / mean**2 - 1
        log_scale += 2 * math.log(dense.sigma_w) + math.log(mean) if dense.sigma_w > 0 else -math.inf
    if log_scale == -math.inf:
        raise PreconditionError("a layer carries no gain (sigma_w=0): the law is a point mass at 0; choose sigma_w > 0")
    if kind == "smooth":
        return Affine(FreeMultiplicativeBrownian(spread), math.exp(log_scale - spread / 2), 0)
    return Affine(FreeMultiplicativePoisson(spread), math.exp(log_scale + spread), 0)


def chain_class(function: Nonlinearity, ensembles: set[Weights]) -> str:
    """``"smooth"`` or ``"bernoulli"``: the double-scaling limit of a chain of that activation.

    What decides is the spread of the gains φ'(h)² as the variance q of h goes to 0, on which a deep net that keeps σ_0²
    must lie: it must vanish; for the Bernoulli class because fewer and fewer gains are 0, all others being equal.

    Raises
    ------
    PreconditionError
        If there is no such limit.
    """
    spread = max(weights_law(weights).var() for weights in ensembles)
    if spread > 0:
        raise PreconditionError(
            "a chain of weights that are not orthogonal has no limit at infinite depth: each layer adds the variance "
            f"{float(spread):.6g} of W Wᵀ to the relative variance; use weights='orthogonal', or "
            "theory.jacobian_law(net) at its depth"
        )
    if function.name == "linear":
        raise PreconditionError(
            "an orthogonal linear chain is a multiple of an isometry at every depth: theory.jacobian_law(net) is exact"
        )
    mean, square = (function.gain_moment(k, _SMALL) for k in (1, 2))
    masses, wide = function.slope_masses(_SMALL), function.slope_masses(1.0)
    if square / mean**2 - 1 > 1e-3 or (masses is not None and masses == wide):
        raise PreconditionError(
            f"a chain of {function.name!r} has no limit at infinite depth: its gains do not come close to a constant "
            "and still differ as the pre-activations shrink; use theory.jacobian_law(net) at its depth"
        )
    return "smooth" if masses is None else "bernoulli"
