"""Gated layers as formulas: the two diagonals of the Jacobian and their averages, as sympy expressions.

This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory.activation_formulas import activation_formulas, h, parameter
from theory.gates import check_gate_weights
from theory.layers import Gate
from theory.weights import is_isometric

__all__ = ["GateFormulas"]


class GateFormulas:
    """The gated layer number ``label``: its Jacobian is ``D1 + D2 W`` with entries of W of variance ``strength``/width.

    Attributes
    ----------
    skip, square : sympy expression
        D1 and D2², functions of the input x and the pre-activations.
    strength : sympy expression
        Where the gate has weights of its own, D2² contains both variances, and this is 1.
    haar : bool
        Whether W is a multiple of a Haar matrix.
    x_variance : sympy.Symbol
        Mean square of the inputs.
    signal : tuple of sympy.Eq
        Variances of the pre-activations.
    jacobian : tuple of sympy.Eq
        D1 and D2 in words of u and φ.
    """

    def __init__(self, layer: Gate, label: str) -> None:
        self.haar = is_isometric(layer.weights)
        own = layer.gate_dense
        check_gate_weights(layer)
        self.x_variance = sp.Symbol(f"X_g{label}", positive=True)
        x = sp.Symbol("x", real=True)
        act, gate = activation_formulas(layer.activation.nonlinearity), activation_formulas(layer.gate.nonlinearity)
        variances = [
            parameter(dense.sigma_b) ** 2 + parameter(dense.sigma_w) ** 2 * self.x_variance for dense in layer.denses
        ]
        q = [sp.Symbol(f"q_g{label}" if k == 0 else f"q_u{label}", positive=True) for k in range(len(variances))]
        seen = h if own is None else sp.Symbol("h_u", real=True)
        shifted = seen + parameter(layer.gate_bias)
        u, slope = gate.value.subs(h, shifted), gate.slope.subs(h, shifted)
        by_gate, by_h = slope * (x - act.value), (1 - u) * act.slope
        self.skip = u
        self.signal = tuple(sp.Eq(symbol, value, evaluate=False) for symbol, value in zip(q, variances, strict=True))
        first, second, gate_u, phi = (sp.Symbol(name) for name in ("D_1", "D_2", "u", "varphi"))
        du, dphi = sp.Symbol("uprime"), sp.Symbol("varphiprime")
        strength = parameter(layer.sigma_w) ** 2
        if own is None:
            self.strength, self.square = strength, (by_gate + by_h) ** 2
            formula = sp.Eq(second, du * (x - phi) + (1 - gate_u) * dphi, evaluate=False)
        else:
            gate_strength = parameter(own.sigma_w) ** 2
            self.strength, self.square = sp.Integer(1), gate_strength * by_gate**2 + strength * by_h**2
            terms = (gate_strength * du**2 * (x - phi) ** 2, strength * (1 - gate_u) ** 2 * dphi**2)
            formula = sp.Eq(second**2, sp.Add(*terms), evaluate=False)
        self.jacobian = (sp.Eq(first, gate_u, evaluate=False), formula)
        self._over = [(x, self.x_variance), (h, q[0])] + ([] if own is None else [(seen, q[1])])

    def average(self, function: Any) -> Any:
        """Average of a function of x and the pre-activations, as an unevaluated integral."""
        present = [(symbol, variance) for symbol, variance in self._over if function.has(symbol)]
        density = sp.Mul(*(sp.exp(-(symbol**2) / (2 * v)) / sp.sqrt(2 * sp.pi * v) for symbol, v in present))
        return sp.Integral(density * function, *((symbol, -sp.oo, sp.oo) for symbol, _ in present))
