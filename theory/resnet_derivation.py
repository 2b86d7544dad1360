"""Derivation of the universal law of residual networks from the law at finite depth, with its corrections in 1/depth.

After Tarnowski, Warchoł, Jastrzębski, Tabor, Nowak, arXiv:1809.08848; the corrections are derived here. This module
loads sympy: import it inside functions only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

import rmt.symbolic
from rmt.laws.universal_resnet import UniversalResNet
from rmt.symbolic.derivation import Derivation, Step, m
from theory.activation_formulas import ActivationFormulas, activation_formulas, parameter
from theory.corrections import (
    TARNOWSKI,
    block_term,
    branch_definitions,
    c,
    correction_steps,
    gain_definitions,
    limit_steps,
    positive_skip,
    residual_expansion,
    v,
)
from theory.depth_expansion import DepthExpansion
from theory.limits import common_skip
from theory.network import Layer, ResNet
from theory.weights import Weights, describe_weights, is_isometric, is_standard

__all__ = ["block_expansion", "c", "derive_resnet", "expand_residual", "expand_resnet", "v"]

l = sp.Symbol("l", integer=True)


def derive_resnet(net: ResNet) -> Derivation:
    """Derivation of a residual network; see `theory.derive`."""
    expansion = expand_resnet(net, 2, equal_layers=True)
    universal = _universal(positive_skip(net.skip), expansion.depth)
    return replace(universal, subject=expansion.subject, steps=expansion.steps, definitions=expansion.definitions)


def _universal(a: Any, depth: Any) -> Derivation:
    return rmt.symbolic.derive(UniversalResNet(c=c, skip=a, depth=None if a == 1 else depth))


def expand_resnet(net: ResNet, order: int, equal_layers: bool) -> DepthExpansion:
    """Expansion of a residual network in 1/depth with its steps; see `theory.finite_depth_corrections`."""
    if not is_standard(net.weights):
        return expand_residual(net, order, equal_layers)
    kind = "orthogonal" if is_isometric(net.weights) else "gaussian"
    a, depth, sigma_w, sigma_b = (
        positive_skip(net.skip),
        *(parameter(x) for x in (net.depth, net.sigma_w, net.sigma_b)),
    )
    symbol = depth if depth.is_Symbol else sp.Symbol("L", positive=True)  # of the expansion, whatever the depth
    formulas = activation_formulas(net.nonlinearity)
    definitions = gain_definitions(formulas, sigma_w, order + 1)
    expansion = residual_expansion(repr(net), a, depth, kind, definitions, order, equal_layers)
    universal = _universal(a, depth)
    steps = (
        *_network_steps(a, depth, net.weights),
        *_signal_steps(formulas, sigma_w, sigma_b, a, depth, expansion.definitions),
        *_block_steps(a, kind),
        *limit_steps(a, kind, symbol),
        *universal.steps,
        *correction_steps(expansion, a, symbol),
        *_outlier_steps(formulas),
    )
    return replace(expansion, equation=universal.equation, steps=steps)


def expand_residual(net: Layer, order: int, equal_layers: bool) -> DepthExpansion:
    """The same for a network of residual blocks with branches of any kind."""
    skip, blocks = common_skip(net)
    a, depth, symbol = positive_skip(skip), parameter(blocks), sp.Symbol("L", positive=True)
    definitions = branch_definitions(depth, order + 1)
    expansion = residual_expansion(repr(net), a, depth, "any", definitions, order, equal_layers)
    universal = _universal(a, depth)
    branch = sp.IndexedBase("Y")
    steps = (
        Step(
            "The Jacobian",
            sp.Eq(sp.Symbol("J"), sp.Product(a + branch[l], (l, 1, depth)), evaluate=False),
            "$Y_l$ is the Jacobian of the branch of block $l$, bi-invariant because it begins or ends with weights.",
            TARNOWSKI,
        ),
        Step(
            "Cumulants of the branches",
            branch_definitions(symbol, order + 1),
            "The rectangular cumulants of $Y Y^T$ at ratio 1, with $m_{Y,k}$ its moments, averaged over the blocks. "
            "With $ε = 1/L$ they are $(1/k) [y^{k-1}] ((1+y) S_Y(y))^{-k}$ over $ε^k$.",
            "Benaych-Georges 2009; derived here",
        ),
        _hermitisation_step(a),
        *limit_steps(a, "any", symbol),
        *universal.steps,
        *correction_steps(expansion, a, symbol),
    )
    return replace(expansion, equation=universal.equation, steps=steps)


def block_expansion(a: Any, weights: str, epsilon: Any, order: int = 2) -> Any:
    """log(a² S(m)) of one block to the given order in epsilon = 1/depth; see `theory.corrections.block_term`."""
    return sp.Add(*((epsilon / a**2) ** n * sp.expand(block_term(n, weights)) for n in range(1, order + 1)))


def _network_steps(a: Any, depth: Any, weights: Weights) -> tuple[Step, ...]:
    x, pre, bias = (sp.IndexedBase(name) for name in ("x", "h", "b"))
    gates, matrices = (sp.IndexedBase(name) for name in ("D", "W"))
    product = sp.Product(a + gates[l] * matrices[l], (l, 1, depth))
    return (
        Step(
            "The network",
            (
                sp.Eq(x[l], sp.Function("phi")(pre[l]) + a * x[l - 1], evaluate=False),
                sp.Eq(pre[l], matrices[l] * x[l - 1] + bias[l], evaluate=False),
            ),
            f"Entries of the {describe_weights(weights)} have variance $σ_w^2/(N L)$ at width $N$ and depth $L$, "
            "biases $σ_b^2$.",
            TARNOWSKI,
        ),
        Step(
            "Its Jacobian",
            sp.Eq(sp.Symbol("J"), product, evaluate=False),
            "Chain rule; $D_l$ is the diagonal matrix of the slopes $φ'(h_l)$. The law sought is that of $J J^T$.",
            TARNOWSKI,
        ),
    )


def _signal_steps(
    formulas: ActivationFormulas, sigma_w: Any, sigma_b: Any, a: Any, depth: Any, definitions: tuple[Any, ...]
) -> tuple[Step, ...]:
    square, mean, variance = (sp.IndexedBase(name) for name in ("X", "mu", "q"))
    return (
        Step(
            "Signal propagation",
            (
                sp.Eq(square[l], formulas.second_moment + 2 * a * mean[l - 1] * formulas.mean + a**2 * square[l - 1]),
                sp.Eq(mean[l], formulas.mean + a * mean[l - 1]),
                sp.Eq(variance[l + 1], sigma_b**2 + sigma_w**2 * square[l] / depth, evaluate=False),
            ),
            "In a wide network the pre-activations of layer $l$ are N(0, q) with $q = q_l$; $X_l$ is the mean square "
            "and $μ_l$ the mean of $x_l$.",
            TARNOWSKI,
        ),
        Step(
            "Effective cumulant",
            definitions,
            "$c$ is the mean of $σ_w^2 φ'(h)^2$, $v$ its variance and $κ_3$ its third cumulant, averaged over the "
            "layers when $q$ varies from layer to layer. The activation enters the limit through $c$ alone, the first "
            "correction in 1/depth through $v$ too, the second through $κ_3$ too.",
            TARNOWSKI,
        ),
    )


def _block_steps(a: Any, weights: str) -> tuple[Step, ...]:
    weight_s = 1 / (1 + m) if weights == "gaussian" else sp.Integer(1)
    s_gain, s_weights, s_branch = (sp.Function(f"S_{name}") for name in ("D", "W", "Y"))
    return (
        Step(
            "Branch of one block",
            (
                sp.Eq(s_weights(m), weight_s, evaluate=False),
                sp.Eq(s_branch(m), s_gain(m) * s_weights(m), evaluate=False),
            ),
            "$Y = D W$ is bi-invariant; $D$ and $W$ are free in the limit of large width, so that S multiplies. $S_D$ "
            "is that of the gains $σ_w^2 D^2 / L$, $S_W$ that of $W W^T$ at unit variance.",
            "Pennington, Schoenholz, Ganguli 2018, arXiv:1802.09979",
        ),
        _hermitisation_step(a),
    )


def _hermitisation_step(a: Any) -> Step:
    m0, s_branch = sp.Symbol("m_0"), sp.Function("S_Y")
    return Step(
        "Hermitisation of the block",
        sp.Eq((m - m0) * (m - m0 + 1), a**2 * m0 * (1 + m0) * s_branch(m0), evaluate=False),
        "$a$ is free from the bi-invariant $Y$: the symmetrised singular law of $a + Y$ is the free sum of "
        "$(δ_a + δ_{-a})/2$ and that of $Y$. In terms of S: with $m_0$ the moment transform of the branch, this "
        "equation gives $m$, and $S(m) = m_0 (1 + m_0) S_Y(m_0) / (m (1 + m))$.",
        "Nica, Speicher 2006, lecture 15; derived here",
    )


def _outlier_steps(formulas: ActivationFormulas) -> tuple[Step, ...]:
    if formulas.mean == 0:
        return ()
    return (
        Step(
            "Outlier",
            sp.Ne(formulas.mean, 0, evaluate=False),
            "The law is that of the bulk. The activation has a mean, so that the weights see an average direction: J "
            "has one singular value outside the bulk, and an edge must not be read as the spectral norm; see "
            "theory.outlier.",
            "derived here",
        ),
    )
