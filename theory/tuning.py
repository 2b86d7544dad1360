"""Choose σ_w or another parameter: the edge of chaos, or a wanted cumulant, gain, largest eigenvalue or condition."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np

from rmt.results import PreconditionError
from theory.activations import Nonlinearity, get_activation
from theory.network import Activation, Chain, OrthogonalFilterNet, ResNet
from theory.propagation import effective_cumulant, propagate

__all__ = ["PARAMETERS", "Tunable", "critical_sigma_w", "measure", "tune"]

_LARGEST_LOG_SIGMA = math.log(1e8)
_TINY = 1e-300
_SHRINKINGS = 12


def critical_sigma_w(activation: str | Activation | Nonlinearity, sigma_b: float = 0.0) -> float:
    """Edge of chaos: the σ_w at which χ = σ_w²<φ'²> = 1 at the fixed point q* = σ_w²<φ²> + σ_b² of a chain.

    Both conditions hold along the curve σ_w² = 1/<φ'²>, σ_b² = q - <φ²>/<φ'²> with q* = q as parameter (averages over
    N(0, q); Poole et al., arXiv:1606.05340; Schoenholz et al., arXiv:1611.01232).  Where several q* fit, as for
    non-monotone activations, the smallest is taken; for sigma_b = 0 and φ(0) = 0 this is the limit q* -> 0.

    Raises
    ------
    ValueError
        Unknown activation, or sigma_b negative or not finite.
    PreconditionError
        If no finite fixed point has χ = 1 at this sigma_b; the message gives the reason.
    """
    function = activation.nonlinearity if isinstance(activation, Activation) else get_activation(activation)
    if not 0 <= sigma_b < math.inf:
        raise ValueError(f"sigma_b={sigma_b!r} must be a finite number >= 0")
    if sigma_b == 0 and function.value_at_zero == 0:
        return 1 / math.sqrt(function.gain(0.0))

    def bias_variance(q: float) -> float:
        _, second_moment, gain = function.averages(q)
        difference = q - second_moment / gain
        return difference if abs(difference) > 1e-14 * q else 0.0  # rounding must not look like a bias

    from scipy.optimize import brentq

    grid = np.geomspace(1e-12, 1e8, 641).tolist()
    variances = [bias_variance(q) for q in grid]
    wanted = sigma_b**2
    for left, right, below, above in zip(grid, grid[1:], variances, variances[1:], strict=False):
        if below < wanted <= above:
            q_star = brentq(lambda q: bias_variance(q) - wanted, left, right, xtol=1e-300, rtol=1e-14)
            return 1 / math.sqrt(function.gain(q_star))
    largest = max(variances)
    if largest > 0:
        reach = f"sigma_b up to {math.sqrt(largest):.6g} has one"
    elif function.value_at_zero == 0:
        reach = "only sigma_b = 0 has one"
    else:
        reach = "no sigma_b has one: use a bounded activation, or a ResNet"
    raise PreconditionError(
        f"{function.name} has no edge of chaos at sigma_b={sigma_b!r}: where chi = 1, the variance q grows from layer "
        f"to layer without a finite fixed point; {reach}"
    )


Tunable: TypeAlias = Chain | ResNet | OrthogonalFilterNet
_STEP: Final = 0.1
PARAMETERS: Final = ("sigma_w", "sigma_b", "skip", "filter_gain", "branch_gain")


def tune(
    net: Tunable,
    *,
    c: float | None = None,
    chi: float | None = None,
    lambda_max: float | None = None,
    condition: float | None = None,
    over: str = "sigma_w",
    q0: float = 1.0,
) -> Tunable:
    """The same network with one parameter solved for.

    Parameters
    ----------
    net : Chain, ResNet or OrthogonalFilterNet
        Its own value of the parameter is where the search starts (1 if it is 0 or a symbol).
    c : float
        Wanted effective cumulant of a residual network, `theory.effective_cumulant`; the variances q_l move with σ_w.
    chi : float
        Wanted χ of the last layer, the mean squared singular value of its Jacobian: in a deep chain, χ at the fixed
        point that the signal reaches from q0.
    lambda_max : float
        Wanted largest eigenvalue of J Jᵀ, `theory.largest_eigenvalue`: the upper end of the support of
        `theory.jacobian_law`, or the outlier where there is one above it.
    condition : float
        Wanted ratio of the largest to the smallest singular value of J, `theory.condition_number`.
    over : str
        The parameter to solve for: ``"sigma_w"``, ``"sigma_b"``, ``"skip"``, ``"filter_gain"`` or ``"branch_gain"``;
        the network must have it. Of several solutions the one closest to the start is taken.
    q0 : float
        Mean square of the input's components.

    Raises
    ------
    ValueError
        Not exactly one target, a target that is not a finite number > 0, an unknown parameter, or a bad q0.
    PreconditionError
        Another kind of network, `c` for a Chain, or a target that no value of the parameter reaches; the message gives
        the reachable range.

    Examples
    --------
    >>> from theory.network import Chain, ResNet
    >>> round(tune(ResNet(depth=50, activation="relu"), c=0.25).sigma_w, 6)
    0.707107
    >>> round(tune(Chain(depth=9, activation="tanh", sigma_w=2.0), chi=1.0, over="sigma_b").sigma_b, 6)
    1.279045
    """
    given = {"c": c, "chi": chi, "lambda_max": lambda_max, "condition": condition}
    targets = {name: value for name, value in given.items() if value is not None}
    if len(targets) != 1:
        raise ValueError(f"tune needs exactly one of {', '.join(given)}, and got {', '.join(targets) or 'none'}")
    if not isinstance(net, Tunable):
        raise PreconditionError(
            f"tune needs a Chain, a ResNet or an OrthogonalFilterNet, which have one sigma_w, not "
            f"{type(net).__name__}: scale the Dense layers yourself"
        )
    if over not in PARAMETERS or not hasattr(net, over):
        own = ", ".join(name for name in PARAMETERS if hasattr(net, name))
        raise ValueError(f"over={over!r}: {type(net).__name__} can be tuned over {own}")
    ((name, target),) = targets.items()
    if name == "c" and isinstance(net, Chain):
        raise PreconditionError("c is a property of residual networks: tune a Chain by chi or lambda_max")
    if not 0 < target < math.inf:
        raise ValueError(f"{name}={target!r} must be a finite number > 0")
    quantity = measure(name)

    def measured(value: float) -> float:
        changed: dict[str, Any] = {over: value}
        return quantity(replace(net, **changed), q0)

    own = getattr(net, over)
    guess = 1.0 if getattr(own, "free_symbols", ()) else abs(float(own)) or 1.0
    if over == "sigma_w" and name != "condition":
        found = _solve_increasing(measured, float(target), guess, name)
    else:
        found = _solve_nearest(measured, float(target), guess, name, over)
    changed: dict[str, Any] = {over: found}
    return replace(net, **changed)


def measure(name: str) -> Callable[[Tunable, float], float]:
    """The function of a network and q0 that a target of `tune` stands for."""
    if name == "c":
        return effective_cumulant
    if name == "chi":
        return lambda net, q0: float(propagate(net, q0).chi[-1])
    # these modules import siblings of this one; only these two targets need them
    from theory.extremes import condition_number, largest_eigenvalue

    return largest_eigenvalue if name == "lambda_max" else condition_number


def _solve_nearest(f: Callable[[float], float], target: float, guess: float, name: str, over: str) -> float:
    """Solve f(x) = target for a continuous f of x > 0, in logarithms of both.

    The guess is left in the direction in which f comes closer to its target, and if that does not help in the other.
    """
    from scipy.optimize import brentq

    @functools.cache
    def mismatch(log_x: float) -> float:
        try:
            value = f(math.exp(log_x))
        except PreconditionError:  # the signal overflows
            return math.nan
        return math.log(max(value, _TINY)) - math.log(target) if value < math.inf else math.inf

    centre = math.log(guess)
    start = mismatch(centre)
    seen = [start]
    if start == 0:
        return guess
    first = _STEP
    if abs(mismatch(centre + first)) > abs(start):
        first = -first
    for step in (first, -first):
        at, before, here = centre, start, centre + step
        while abs(here - centre) < _LARGEST_LOG_SIGMA:
            now = mismatch(here)
            seen.append(now)
            if not math.isfinite(now):
                break
            if now * before <= 0:
                return math.exp(brentq(mismatch, min(at, here), max(at, here), xtol=1e-12, rtol=1e-11))
            step *= 2
            at, before, here = here, now, here + step
    reached = [math.exp(value) * target for value in seen if math.isfinite(value)]
    reach = f"between {min(reached):.6g} and {max(reached):.6g}" if reached else "not finite"
    raise PreconditionError(
        f"{name}={target:g} cannot be reached: {name} is {reach} for all {over} > 0; choose another {name}, or tune "
        "over another parameter"
    )


def _solve_increasing(f: Callable[[float], float], target: float, guess: float, name: str) -> float:
    """Solve f(σ) = target for a continuous f that increases with σ, in logarithms of both."""
    from scipy.optimize import brentq

    seen: dict[float, float] = {}

    def mismatch(log_sigma: float) -> float:
        if log_sigma not in seen:
            value = f(math.exp(log_sigma))
            if not math.isfinite(value):
                raise PreconditionError(f"{name} overflows at sigma_w={math.exp(log_sigma)!r}: reduce sigma_w")
            seen[log_sigma] = value
        return math.log(max(seen[log_sigma], _TINY)) - math.log(target)

    here = math.log(guess)
    for _ in range(_SHRINKINGS):
        with contextlib.suppress(PreconditionError):  # the signal overflows at this σ: start from a smaller one
            mismatch(here)
            break
        here -= 0.7
    first = mismatch(here)
    # f = const σ² for homogeneous activations without biases: this is then the answer to the last digit
    start = guess if here == math.log(guess) else math.exp(here)
    square_law = start * math.sqrt(target / max(seen[here], _TINY))
    with contextlib.suppress(PreconditionError):  # it may lie where the signal overflows
        if abs(mismatch(math.log(square_law))) < 1e-15:
            return square_law
    upwards = first < 0
    step = 0.5
    while step > 1e-3:
        ahead = here + step if upwards else here - step
        if abs(ahead) > _LARGEST_LOG_SIGMA:
            break
        try:
            beyond = mismatch(ahead)
        except PreconditionError:  # the signal overflows there: approach more carefully
            step *= 0.25
            continue
        if (beyond >= 0) == upwards:
            root = brentq(mismatch, min(here, ahead), max(here, ahead), xtol=1e-15, rtol=1e-14)
            return math.exp(root)
        here, step = ahead, 2 * step
    reached = seen[here]
    bound = f"at most {reached:.6g}" if upwards else f"more than {reached:.6g}"
    raise PreconditionError(
        f"{name}={target:g} cannot be reached: {name} is {bound} (at sigma_w={math.exp(here):.3g}); "
        f"choose a {'smaller' if upwards else 'larger'} {name}"
    )
