"""Training a chain of width one from a flat start: gradient flow against sign descent, RMSprop and Adam.

After Orvieto, Kohler, Pavllo, Hofmann, Lucchi, arXiv:2106.03763. All weights start at one small value, where gradient
and curvature vanish exponentially with depth. Gradient flow needs a time that is exponential in the depth, adaptive
methods a number of steps that does not depend on it; both as formulas, and as integrated trajectories.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rmt.parameters import check_number
from rmt.results import ConvergenceError, PreconditionError
from theory.log_law import check_count
from theory.width_one import chain_gradient

__all__ = ["descend", "escape_steps", "flow_time", "gradient_flow"]

FloatArray = npt.NDArray[np.float64]

_METHODS = ("gradient", "sign", "rmsprop", "adam")


def flow_time(depth: int, start: float, end: float, *, x: float = 1.0, y: float = 1.0) -> float:
    """Time that gradient flow takes from all weights equal to `start` to all equal to `end`.

    Equal weights stay equal, w' = x (y - x w^L) w^{L-1}. With v = w/w_*, x w_*^L = y, the time is

        w_*^{2-L}/(x y) ∫ (v^{1-L} + v/(1 - v^L)) dv,

    so that a flat start costs start^{-(L-2)}/((L-2) x y), exponential in the depth, and ln(1/start)/(x y) at L = 2.

    Parameters
    ----------
    depth : int
        Number L of weights.
    start, end : float
        0 < start <= end < w_*.
    x, y : float
        Input and target, both > 0.

    Raises
    ------
    ValueError
        If the arguments are out of range; the minimum w_* itself takes an infinite time.
    """
    depth = check_count("depth", depth)
    check_number("x", x, above=0)
    check_number("y", y, above=0)
    target = (y / x) ** (1 / depth)
    check_number("end", end, above=0, below=target)
    check_number("start", start, above=0, at_most=end)
    from scipy.integrate import quad

    first, last = start / target, end / target
    power = math.log(last / first) if depth == 2 else (first ** (2 - depth) - last ** (2 - depth)) / (depth - 2)
    # 1 - v^L without cancellation next to the minimum
    rest, _ = quad(lambda v: v / -math.expm1(depth * math.log(v)), first, last, epsabs=0, epsrel=1e-12, limit=500)
    return float(target ** (2 - depth) * (power + rest) / (x * y))


def escape_steps(
    start: float,
    end: float,
    step: float,
    method: str,
    *,
    depth: int,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> tuple[int, int]:
    """Bounds on the number of steps from all weights equal to `start` until they reach `end`, for x = y = 1, ε = 0.

    The depth enters by the hypothesis only. The gradient grows all the way while end^L <= (L-1)/(2L-1), the point where
    the negative curvature ends; there a step of RMSprop lies between η and η/√(1-β2), and one of Adam (with bias
    correction), the ratio of a mean of gradients to a root of a mean of squares, between η(1-β1)/(1-β1^t) and the
    bound of Cauchy and Schwarz (derived here). Sign descent makes exactly ⌈(end-start)/η⌉ steps.

    Parameters
    ----------
    start, end, step : float
        0 < start < end, and the learning rate η > 0.
    method : str
        ``"sign"``, ``"rmsprop"`` or ``"adam"``.
    depth : int
        Number L >= 2 of weights.
    beta1, beta2 : float
        Decays of the averages of gradients (Adam) and of their squares.

    Returns
    -------
    (int, int)
        Smallest and largest possible number of steps.

    Raises
    ------
    ValueError
        If an argument is out of range.
    PreconditionError
        If `end` lies beyond the point where the gradient begins to fall.
    """
    depth = check_count("depth", depth, 2)
    check_number("step", step, above=0)
    check_number("start", start, above=0)
    check_number("end", end, above=start)
    _check_betas(beta1, beta2)
    if method not in _METHODS[1:]:
        raise ValueError(f"method={method!r}: choose one of {', '.join(_METHODS[1:])}; for gradient flow ask flow_time")
    turn = ((depth - 1) / (2 * depth - 1)) ** (1 / depth)
    # the last step starts before `end`, so that the gradient need not grow beyond it
    if end > turn:
        raise PreconditionError(f"end={end!r}: the gradient grows up to {turn:.6g} only at depth {depth}; stop there")
    need = (end - start) / step * (1 - 1e-12)
    if method == "sign":
        return math.ceil(need), math.ceil(need)
    if method == "rmsprop":
        return math.ceil(need * math.sqrt(1 - beta2)), math.ceil(need)
    t = np.arange(1, 2 + math.ceil(need / (1 - beta1)))
    first = -np.expm1(t * math.log(beta1)) if beta1 else np.ones(len(t))
    smallest = (1 - beta1) / first
    ratio = beta1**2 / beta2
    series = t.astype(float) if ratio == 1 else (1 - ratio**t) / (1 - ratio)
    largest = (1 - beta1) / first * np.sqrt(-np.expm1(t * math.log(beta2)) / (1 - beta2) * series)
    fewest, most = (int(np.argmax(np.cumsum(sizes) >= need)) + 1 for sizes in (largest, smallest))
    return fewest, most


def _check_betas(beta1: float, beta2: float) -> None:
    check_number("beta1", beta1, at_least=0, below=1)
    check_number("beta2", beta2, above=0, below=1)


def gradient_flow(
    weights: npt.ArrayLike, times: npt.ArrayLike, *, x: float = 1.0, y: float = 1.0, residual: bool = False
) -> FloatArray:
    """Weights of a chain along gradient flow, w' = -∇loss, from any start.

    Integrated to 1e-10 by an implicit method: next to the minimum the flow is stiff. The differences w_k² - w_l² are
    conserved (residual: of the 1 + w_k).

    Parameters
    ----------
    weights : array of shape (L,)
        Start.
    times : array of shape (n,)
        Increasing times >= 0.
    x, y : float
        Input and target.
    residual : bool
        Factors 1 + w_k.

    Returns
    -------
    array of shape (n, L)

    Raises
    ------
    ValueError
        If the times do not increase from 0 or more, or the weights are no vector.
    ConvergenceError
        If the integration fails.
    """
    from scipy.integrate import solve_ivp

    from theory.width_one import chain_hessian

    start, moments = np.asarray(weights, dtype=float), np.asarray(times, dtype=float)
    if moments.ndim != 1 or not len(moments) or moments[0] < 0 or np.any(np.diff(moments) <= 0):
        raise ValueError(f"times={times!r}: expected increasing numbers >= 0")
    chain_gradient(start, x, y, residual=residual)  # refuses what is no vector of weights
    if moments[-1] == 0:
        return start[np.newaxis].copy()
    solution = solve_ivp(
        lambda _t, w: -chain_gradient(w, x, y, residual=residual),
        (0.0, float(moments[-1])),
        start,
        method="Radau",
        t_eval=moments,
        jac=lambda _t, w: -chain_hessian(w, x, y, residual=residual),
        rtol=1e-10,
        atol=1e-13 * max(1e-3, float(np.max(np.abs(start)))),
    )
    if not solution.success:
        raise ConvergenceError(f"gradient_flow: {solution.message}; ask for shorter times")
    return np.asarray(solution.y.T)


def descend(
    weights: npt.ArrayLike,
    method: str,
    step: float,
    steps: int,
    *,
    x: float = 1.0,
    y: float = 1.0,
    residual: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 0.0,
) -> FloatArray:
    """Weights of a chain under one of four optimisers, after every step.

    Parameters
    ----------
    weights : array of shape (L,)
        Start.
    method : str
        ``"gradient"`` (w -= η g), ``"sign"`` (w -= η sign g), ``"rmsprop"`` (v = β2 v + (1-β2) g², w -= η g/(√v + ε))
        or ``"adam"`` (with its mean of gradients and the bias correction of both means).
    step : float
        Learning rate η.
    steps : int
        How many.
    x, y : float
        Input and target.
    residual : bool
        Factors 1 + w_k.
    beta1, beta2, epsilon : float
        Parameters of RMSprop and Adam; ε = 0 shows the scale invariance, common libraries take 1e-8.

    Returns
    -------
    array of shape (steps + 1, L)

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if method not in _METHODS:
        raise ValueError(f"method={method!r}: choose one of {', '.join(_METHODS)}")
    check_number("step", step, above=0)
    check_number("epsilon", epsilon, at_least=0)
    _check_betas(beta1, beta2)
    steps = check_count("steps", steps, 0)
    w = np.array(weights, dtype=float)
    path = [w]
    mean, root = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, steps + 1):
        g = chain_gradient(w, x, y, residual=residual)
        if method == "gradient":
            move = g
        elif method == "sign":
            move = np.sign(g)
        else:
            # the root of the mean square: squares of the gradients of a flat start underflow
            root = np.hypot(math.sqrt(beta2) * root, math.sqrt(1 - beta2) * g)
            if method == "rmsprop":
                move = _ratio(g, root + epsilon)
            else:
                mean = beta1 * mean + (1 - beta1) * g
                move = _ratio(mean / (1 - beta1**t), root / math.sqrt(1 - beta2**t) + epsilon)
        w = w - step * move
        path.append(w)
    return np.array(path)


def _ratio(g: FloatArray, scale: FloatArray) -> FloatArray:
    """g/scale, 0 where the gradient has always been 0."""
    return np.divide(g, scale, out=np.zeros_like(g), where=scale > 0)
