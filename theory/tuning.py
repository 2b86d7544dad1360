"""Choose the weight scale σ_w: the edge of chaos, or a wanted cumulant, gain or largest eigenvalue."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rmt.results import PreconditionError
from theory.activations import Nonlinearity, get_activation
from theory.network import Activation, Chain, ResNet
from theory.propagation import effective_cumulant, propagate

__all__ = ["critical_sigma_w", "tune"]

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


def tune(
    net: Chain | ResNet,
    *,
    c: float | None = None,
    chi: float | None = None,
    lambda_max: float | None = None,
    q0: float = 1.0,
) -> Chain | ResNet:
    """The same network with σ_w solved for.

    Parameters
    ----------
    net : Chain or ResNet
        Its own sigma_w is where the search starts (1 if it is 0 or a symbol).
    c : float
        Wanted effective cumulant of a ResNet, `theory.effective_cumulant`; the variances q_l move with σ_w.
    chi : float
        Wanted χ of the last layer, the mean squared singular value of its Jacobian: in a deep chain, χ at the fixed
        point that the signal reaches from q0.
    lambda_max : float
        Wanted largest eigenvalue of J Jᵀ: the upper end of the support of `theory.jacobian_law`, or the outlier where
        there is one above it.
    q0 : float
        Mean square of the input's components.

    Raises
    ------
    ValueError
        Not exactly one target, or a target that is not a finite number > 0, or a bad q0.
    PreconditionError
        Neither Chain nor ResNet, `c` for a Chain, or a target that no σ_w reaches; the message gives the reachable
        range.

    Examples
    --------
    >>> from theory.network import ResNet
    >>> round(tune(ResNet(depth=50, activation="relu"), c=0.25).sigma_w, 6)
    0.707107
    """
    targets = {name: value for name, value in (("c", c), ("chi", chi), ("lambda_max", lambda_max)) if value is not None}
    if len(targets) != 1:
        raise ValueError(f"tune needs exactly one of c, chi, lambda_max, and got {', '.join(targets) or 'none'}")
    if not isinstance(net, Chain | ResNet):
        raise PreconditionError(
            f"tune needs a Chain or a ResNet, which have one sigma_w, not {type(net).__name__}: "
            "scale the Dense layers yourself"
        )
    ((name, target),) = targets.items()
    if name == "c" and isinstance(net, Chain):
        raise PreconditionError("c is a property of residual networks: tune a Chain by chi or lambda_max")
    if not 0 < target < math.inf:
        raise ValueError(f"{name}={target!r} must be a finite number > 0")
    measure = {"c": effective_cumulant, "chi": _last_chi, "lambda_max": _largest_eigenvalue}[name]

    def measured(sigma_w: float) -> float:
        return measure(replace(net, sigma_w=sigma_w), q0)

    guess = 1.0 if getattr(net.sigma_w, "free_symbols", ()) else float(net.sigma_w) or 1.0
    return replace(net, sigma_w=_solve_increasing(measured, float(target), guess, name))


def _last_chi(net: Chain | ResNet, q0: float) -> float:
    return float(propagate(net, q0).chi[-1])


def _largest_eigenvalue(net: Chain | ResNet, q0: float) -> float:
    # later modules of the package import this one's siblings; only this target needs them
    from theory.jacobian import jacobian_law
    from theory.outlier import outlier

    edge = float(jacobian_law(net, q0=q0).support().upper)
    above = outlier(net, q0=q0)
    return edge if above is None else max(edge, above)


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
