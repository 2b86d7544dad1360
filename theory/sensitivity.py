"""Derivatives of what `theory.tune` solves for, by a parameter of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rmt.results import ConvergenceError, PreconditionError
from theory.network import Chain
from theory.propagation import propagate
from theory.tuning import PARAMETERS, Tunable, measure

__all__ = ["derivative"]

_QUANTITIES = ("q", "chi", "c", "lambda_max", "condition")
# The first step, relative, and how often it is halved.
_STEP, _HALVINGS = 0.04, 4
# What the last two orders of the extrapolation may differ by, relative to the size of quantity over parameter.
_AGREEMENT = 1e-7


def derivative(net: Tunable, of: str, *, over: str = "sigma_w", q0: float = 1.0) -> float:
    """Derivative of a quantity of a network by one of its parameters, the variances q_l of all layers moving with it.

    By central differences, extrapolated to step 0 (Romberg): about ten digits. In the limit of infinite depth
    `theory.fixed_point` has the derivatives of q* and χ, by formulas.

    Parameters
    ----------
    net : Chain, ResNet or OrthogonalFilterNet
        With numbers as parameters.
    of : str
        ``"q"`` or ``"chi"``, of the last layer as `theory.propagate` counts them; ``"c"``, `theory.effective_cumulant`
        of a residual network; ``"lambda_max"``, `theory.largest_eigenvalue`; ``"condition"``,
        `theory.condition_number`.
    over : str
        ``"sigma_w"``, ``"sigma_b"``, ``"skip"``, ``"filter_gain"`` or ``"branch_gain"``; the network must have it. The
        derivative is by the parameter itself, not by its square: 0 at sigma_b = 0.
    q0 : float
        Mean square of the input's components.

    Raises
    ------
    ValueError
        An unknown quantity or parameter, or a bad q0.
    PreconditionError
        Another kind of network, or `c` of a Chain.
    ConvergenceError
        If the quantity is not smooth there (an outlier that leaves the bulk, an edge that jumps).

    Examples
    --------
    >>> from theory.network import ResNet
    >>> round(derivative(ResNet(depth=50, activation="relu", sigma_w=0.5), "c"), 9)  # c = sigma_w**2/2
    0.5
    """
    if of not in _QUANTITIES:
        raise ValueError(f"of={of!r}: choose one of {', '.join(_QUANTITIES)}")
    if not isinstance(net, Tunable):
        raise PreconditionError(
            f"derivative needs a Chain, a ResNet or an OrthogonalFilterNet, not {type(net).__name__}: take differences "
            "of networks built with the values that you need"
        )
    if over not in PARAMETERS or not hasattr(net, over):
        own = ", ".join(name for name in PARAMETERS if hasattr(net, name))
        raise ValueError(f"over={over!r}: {type(net).__name__} has {own}")
    if of == "c" and isinstance(net, Chain):
        raise PreconditionError("c is a property of residual networks: ask a Chain for 'chi' or 'lambda_max'")
    own_value = getattr(net, over)
    if getattr(own_value, "free_symbols", ()):
        raise PreconditionError(f"{over}={own_value} is symbolic: substitute a number")
    at, quantity = float(own_value), _last_variance if of == "q" else measure(of)

    def value(x: float) -> float:
        changed: dict[str, Any] = {over: x}
        return quantity(replace(net, **changed), q0)

    if at == 0 and over in ("sigma_w", "sigma_b"):  # only the square enters
        return 0.0
    return _romberg(value, at, _STEP * (abs(at) or 1.0), f"{of} by {over}")


def _last_variance(net: Tunable, q0: float) -> float:
    return float(propagate(net, q0).q[-1])


def _romberg(f: Callable[[float], float], x: float, step: float, name: str) -> float:
    rows: list[list[float]] = []
    for k in range(_HALVINGS):
        h = step / 2**k
        row = [(f(x + h) - f(x - h)) / (2 * h)]
        for j, before in enumerate(rows[-1] if rows else [], 1):
            row.append(row[-1] + (row[-1] - before) / (4**j - 1))
        rows.append(row)
    found, doubt = rows[-1][-1], abs(rows[-1][-1] - rows[-2][-1])
    scale = abs(found) + abs(f(x)) / (abs(x) or 1.0)
    if not doubt <= _AGREEMENT * scale:
        raise ConvergenceError(
            f"derivative of {name} at {x:g}: differences do not settle ({found:.9g} and {rows[-2][-1]:.9g}); the "
            "quantity has a kink or a jump there: move the parameter a little"
        )
    return found
