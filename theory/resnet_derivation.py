"""Derivation of the universal law of residual networks, with the first correction in 1/depth.

After Tarnowski, Warchoł, Jastrzębski, Tabor, Nowak, arXiv:1809.08848; the correction is derived here. This module loads
sympy: import it inside functions only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

import rmt.symbolic
from rmt.laws.universal_resnet import UniversalResNet
from rmt.results import PreconditionError
from rmt.symbolic.derivation import Derivation, Step, m
from theory.activation_formulas import ActivationFormulas, activation_formulas, parameter
from theory.network import ResNet

__all__ = ["block_expansion", "derive_resnet"]

TARNOWSKI = "Tarnowski et al. 2018, arXiv:1809.08848"
c = sp.Symbol("c", positive=True)
l = sp.Symbol("l", integer=True)
v = sp.Symbol("v", nonnegative=True)


def derive_resnet(net: ResNet) -> Derivation:
    """Derivation of a residual network; see `theory.derive`."""
    if not getattr(net.skip, "free_symbols", None) and net.skip == 0:
        raise PreconditionError("skip=0: the universal law needs blocks close to the identity; use Chain for no skip")
    a, depth, sigma_w, sigma_b = (parameter(x) for x in (net.skip, net.depth, net.sigma_w, net.sigma_b))
    if a.is_negative:  # only a² enters, and a^(2L) reads better in |a|
        a = -a
    order = depth if depth.is_Symbol else sp.Symbol("L", positive=True)  # the expansion is in 1/L, whatever the depth
    formulas = activation_formulas(net.nonlinearity)
    universal = rmt.symbolic.derive(UniversalResNet(c=c, skip=a, depth=None if a == 1 else depth))
    definitions = (
        sp.Eq(c, sigma_w**2 * formulas.moment(1), evaluate=False),
        sp.Eq(v, sigma_w**4 * (formulas.moment(2) - formulas.moment(1) ** 2), evaluate=False),
    )
    steps = (
        *_network_steps(a, depth, net.weights),
        *_signal_steps(formulas, sigma_w, sigma_b, a, depth, definitions),
        *_block_steps(a, net.weights, order),
        *universal.steps,
        _correction_step(a, net.weights, order),
        *_outlier_steps(formulas),
    )
    return replace(universal, subject=repr(net), steps=steps, definitions=definitions)


def block_expansion(a: Any, weights: str, epsilon: Any) -> Any:
    """log(a² S(m)) of one block to second order in epsilon = 1/depth.

    The gains σ_w² φ'²/depth have mean c epsilon and variance v epsilon².
    The branch has S_Y(m) = (1 + σ m + …)/(c epsilon) with σ = -v/c² + s_1, s_1 = -1 for Gaussian weights and 0 for
    orthogonal ones. In (m - m0)(m - m0 + 1) = a² t = a² m0 (1+m0) S_Y(m0) put m0 = u1 epsilon + u2 epsilon² + …
    """
    slope = -v / c**2 + (-1 if weights == "gaussian" else 0)
    u1 = c * m * (1 + m) / a**2
    u2 = -c * u1 * (1 + 2 * m) / a**2 - (1 + slope) * u1**2
    first = -u1 * (1 + 2 * m) / (m * (1 + m))
    second = (u1**2 - u2 * (1 + 2 * m)) / (m * (1 + m))
    return epsilon * sp.factor(first) + epsilon**2 * sp.expand(sp.cancel(second - first**2 / 2))


def _network_steps(a: Any, depth: Any, weights: str) -> tuple[Step, ...]:
    x, pre, bias = (sp.IndexedBase(name) for name in ("x", "h", "b"))
    gates, matrices = (sp.IndexedBase(name) for name in ("D", "W"))
    product = sp.Product(a + gates[l] * matrices[l], (l, 1, depth))
    kind = "independent Gaussian entries" if weights == "gaussian" else "Haar orthogonal matrices, entries"
    return (
        Step(
            "The network",
            (
                sp.Eq(x[l], sp.Function("phi")(pre[l]) + a * x[l - 1], evaluate=False),
                sp.Eq(pre[l], matrices[l] * x[l - 1] + bias[l], evaluate=False),
            ),
            f"Weights: {kind} of variance $σ_w^2/(N L)$ at width $N$ and depth $L$; biases of variance $σ_b^2$.",
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
            "$c$ is the mean of $σ_w^2 φ'(h)^2$ and $v$ its variance, averaged over the layers when $q$ varies from "
            "layer to layer. The activation enters the limit through $c$ alone, the first correction through $v$ too.",
            TARNOWSKI,
        ),
    )


def _block_steps(a: Any, weights: str, depth: Any) -> tuple[Step, ...]:
    m0 = sp.Symbol("m_0")
    weight_s = 1 / (1 + m) if weights == "gaussian" else sp.Integer(1)
    s_gain, s_weights, s_branch = (sp.Function(f"S_{name}") for name in ("D", "W", "Y"))
    expansion = block_expansion(a, weights, 1 / depth)
    first = expansion.coeff(depth, -1)
    block = sp.Eq(
        sp.Function("S_block")(m), (1 + first / depth + sp.Order(depth**-2, (depth, sp.oo))) / a**2, evaluate=False
    )
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
        Step(
            "Hermitisation of the block",
            sp.Eq((m - m0) * (m - m0 + 1), a**2 * m0 * (1 + m0) * s_branch(m0), evaluate=False),
            "$a$ is free from the bi-invariant $Y$: the symmetrised singular law of $a + Y$ is the free sum of "
            "$(δ_a + δ_{-a})/2$ and that of $Y$. In terms of S: with $m_0$ the moment transform of the branch, this "
            "equation gives $m$, and $S(m) = m_0 (1 + m_0) S_Y(m_0) / (m (1 + m))$.",
            "Nica, Speicher 2006, lecture 15; derived here",
        ),
        Step(
            "S-transform of one block",
            block,
            "The gains are of order $1/L$, hence $S_Y$ of order $L$ and $m_0$ of order $1/L$: expand.",
            "derived here",
        ),
    )


def _correction_step(a: Any, weights: str, depth: Any) -> Step:
    expansion = block_expansion(a, weights, 1 / depth)
    leading, correction = expansion.coeff(depth, -1), expansion.coeff(depth, -2)
    vanishing = sp.collect(sp.factor_terms(sp.collect(sp.expand(correction), [c, v], sp.factor)), v)
    formula = sp.Eq(
        sp.Symbol("log S") + 2 * depth * sp.log(a),
        leading + vanishing / depth + sp.Order(depth**-2, (depth, sp.oo)),
        evaluate=False,
    )
    return Step(
        "First correction in 1/depth",
        formula,
        "The next order of the same expansion, for $L$ equal blocks; $v$ is the variance of the gains.",
        "derived here",
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
