"""Order and chaos: fixed points of signal propagation in chains, their stability, and the phase diagram.

Length map ``V(q) = σ_w² <φ²> + σ_b²``, correlation map ``C(c) = (σ_w² <φ(h₁)φ(h₂)> + σ_b²)/q*`` (Poole et al.,
arXiv:1606.05340), depth scales ``ξ_q = -1/log V'(q*)``, ``ξ_c = -1/log C'(c*)`` (Schoenholz et al.,
arXiv:1611.01232). Slopes of Gaussian averages need no second derivative of φ: ``d<f>/dq = <f (h²/q - 1)>/2q``, and
``C'(c) = σ_w² <φ'(h₁)φ'(h₂)>`` (Price's theorem).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmt.parameters import check_number
from rmt.results import PreconditionError
from theory.activations import Nonlinearity, get_activation
from theory.gaussian import pair_average
from theory.network import Activation, Dense, Residual, Scale, Sequential
from theory.tuning import critical_sigma_w
from theory.weights import Weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "FixedPoint",
    "PhaseDiagram",
    "ResidualGrowth",
    "fixed_point",
    "phase_diagram",
    "residual_growth",
    "stable_resnet",
]

FloatArray = npt.NDArray[np.float64]

_SMALLEST, _LARGEST = 1e-12, 1e10
_FACTOR = 1.25  # of the steps in which the first fixed point is looked for
_CRITICAL = 1e-9  # a slope closer to 1 is 1 within the accuracy of the averages


@dataclass(frozen=True)
class FixedPoint:
    """Fixed point of signal propagation in a deep chain.

    Attributes
    ----------
    q : float
        Variance q* of the pre-activations.
    q_slope : float
        V'(q*): below 1, the variance settles; its deviations shrink by this factor a layer.
    chi : float
        χ = C'(1) = σ_w²<φ'²>: above 1 two almost equal inputs move apart (chaos) and gradients explode.
    correlation : float
        Stable fixed point c* in [-1, 1] of the correlation of two inputs.
    correlation_slope : float
        C'(c*).
    sigma_w, sigma_b : float
        The network's.
    q_by_weight, q_by_bias, chi_by_weight, chi_by_bias : float
        Derivatives of q* and χ by σ_w² and σ_b².
    """

    q: float
    q_slope: float
    chi: float
    correlation: float
    correlation_slope: float
    sigma_w: float
    sigma_b: float
    q_by_weight: float
    q_by_bias: float
    chi_by_weight: float
    chi_by_bias: float

    @property
    def phase(self) -> str:
        """``"ordered"``, ``"critical"`` or ``"chaotic"`` as χ is below, at or above 1."""
        if abs(self.chi - 1) < _CRITICAL:
            return "critical"
        return "ordered" if self.chi < 1 else "chaotic"

    @property
    def xi_q(self) -> float:
        """Number of layers in which deviations from q* shrink by e; infinite at a slope of 1."""
        return _depth_scale(self.q_slope)

    @property
    def xi_c(self) -> float:
        """Number of layers in which deviations from c* shrink by e: how deep a signal is seen."""
        return _depth_scale(self.correlation_slope)


def _depth_scale(slope: float) -> float:
    size = abs(slope)
    if size == 0:
        return 0.0
    return math.inf if size >= 1 - _CRITICAL else -1 / math.log(size)


def fixed_point(
    activation: str | Activation | Nonlinearity, sigma_w: float, sigma_b: float = 0.0, *, q0: float = 1.0
) -> FixedPoint:
    """Fixed point that the signal of a deep chain settles at.

    Parameters
    ----------
    activation : str, Activation or Nonlinearity
    sigma_w, sigma_b : float
        Standard deviations: weights of variance sigma_w²/width, biases of sigma_b².
    q0 : float
        Variance of the first pre-activations, from which q moves monotonically to the fixed point.

    Raises
    ------
    ValueError
        Bad arguments.
    PreconditionError
        If q grows without bound (relu above sigma_w = √2, or at it with biases).

    Examples
    --------
    >>> point = fixed_point("tanh", 1.7609546**0.5, 0.05**0.5)
    >>> round(point.q, 5), round(point.chi, 5)
    (0.57005, 1.0)
    """
    function = activation.nonlinearity if isinstance(activation, Activation) else get_activation(activation)
    check_number("sigma_w", sigma_w, at_least=0)
    check_number("sigma_b", sigma_b, at_least=0)
    check_number("q0", q0, above=0)
    weight, bias = float(sigma_w) ** 2, float(sigma_b) ** 2
    q = _fixed_variance(function, weight, bias, float(q0))
    chi = weight * function.gain(q)
    if q == 0:
        # φ(0) = 0 and φ is linear there: V' = χ; at c = 1 and everywhere the correlation map is the identity or relu's
        q_slope, by_q = chi, 0.0
    else:
        q_slope = weight * _slope_in_q(function, lambda h: function.phi(h) ** 2, q)
        by_q = weight * _slope_in_q(function, lambda h: function.dphi(h) ** 2, q)
    response = math.inf if q_slope >= 1 - _CRITICAL else 1 / (1 - q_slope)
    second = function.second_moment(q)
    correlation = _fixed_correlation(function, weight, bias, q, chi)
    slope = chi if correlation == 1 or q == 0 else weight * _slope_average(function, q, correlation)
    by_bias = by_q * response if by_q else 0.0
    return FixedPoint(
        q=q,
        q_slope=q_slope,
        chi=chi,
        correlation=correlation,
        correlation_slope=slope,
        sigma_w=float(sigma_w),
        sigma_b=float(sigma_b),
        q_by_weight=second * response if second else 0.0,
        q_by_bias=response,
        chi_by_weight=function.gain(q) + (by_bias * second if by_bias else 0.0),
        chi_by_bias=by_bias,
    )


def _fixed_variance(function: Nonlinearity, weight: float, bias: float, q0: float) -> float:
    """The first fixed point on the way on which q sets out from q0."""
    from scipy.optimize import brentq

    def growth(q: float) -> float:
        return (weight * function.second_moment(q) + bias) / q - 1

    here = q0
    first = growth(here)
    if abs(first) < 1e-13:
        return here
    factor = _FACTOR if first > 0 else 1 / _FACTOR
    while _SMALLEST < here < _LARGEST:
        ahead = here * factor
        if growth(ahead) * first <= 0:
            low, high = min(here, ahead), max(here, ahead)
            return float(brentq(growth, low, high, xtol=1e-300, rtol=1e-14))
        here = ahead
    if first > 0:
        raise PreconditionError(
            f"the signal of a deep {function.name} chain grows without bound at sigma_w={math.sqrt(weight):.6g}, "
            f"sigma_b={math.sqrt(bias):.6g}: reduce them, or use a residual network"
        )
    return 0.0


def _slope_in_q(function: Nonlinearity, f: Any, q: float) -> float:
    return float(function.average(lambda h: f(h) * (h * h / q - 1), q)) / (2 * q)


def _slope_average(function: Nonlinearity, q: float, correlation: float) -> float:
    """<φ'(h₁)φ'(h₂)>."""
    masses = function.slope_masses(q)
    if masses is not None and len(masses) == 1:
        return float(next(iter(masses)))
    return pair_average(function.dphi, q, correlation, kinks=function.kinks)


def _fixed_correlation(function: Nonlinearity, weight: float, bias: float, q: float, chi: float) -> float:
    """The stable fixed point of the correlation map."""
    from scipy.optimize import brentq

    if chi <= 1 + _CRITICAL or q == 0:
        return 1.0

    @functools.cache
    def excess(c: float) -> float:
        return (weight * function.cross_moment(q, c) + bias) / q - c

    # C(c) > c at c = 0 unless biases and means vanish, where c = 0 is the fixed point; C(c) < c just below 1
    if excess(0.0) <= 1e-15:
        return 0.0
    below = 1 - 1e-3 * min(1.0, chi - 1)
    if excess(below) >= 0:
        return 1.0
    return float(brentq(excess, 0.0, below, xtol=1e-14, rtol=1e-13))


# --- the phase diagram ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class PhaseDiagram:
    """Fixed points on a grid of sigma_w (columns) and sigma_b (rows), and the edge of chaos.

    Attributes
    ----------
    activation : str
    sigma_w, sigma_b : arrays of shape (m,) and (n,)
    q, chi, correlation, xi_c : arrays of shape (n, m)
        Of `FixedPoint`; NaN where the signal grows without bound.
    edge : array of shape (n,)
        The critical sigma_w of each sigma_b; NaN without one.
    """

    activation: str
    sigma_w: FloatArray
    sigma_b: FloatArray
    q: FloatArray
    chi: FloatArray
    correlation: FloatArray
    xi_c: FloatArray
    edge: FloatArray

    def __repr__(self) -> str:
        shape = f"{len(self.sigma_b)} x {len(self.sigma_w)}"
        return f"<PhaseDiagram of {self.activation}: {shape} points, {int(np.sum(self.chi > 1))} of them chaotic>"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw log χ in colour with the edge of chaos into ``ax`` (new if None) and return it."""
        from rmt.plotting import plot_field

        return plot_field(
            self.sigma_w,
            self.sigma_b,
            np.log(self.chi),
            label="ln χ",
            line=(self.edge, self.sigma_b),
            names=("σ_w", "σ_b"),
            title=f"{self.activation}: order and chaos",
            ax=ax,
        )


def phase_diagram(
    activation: str | Activation | Nonlinearity, sigma_w: npt.ArrayLike, sigma_b: npt.ArrayLike
) -> PhaseDiagram:
    """Fixed points of deep chains on a grid.

    Parameters
    ----------
    activation : str, Activation or Nonlinearity
    sigma_w, sigma_b : array-like
        Values along the two axes.

    Raises
    ------
    ValueError
        Bad arguments.
    """
    function = activation.nonlinearity if isinstance(activation, Activation) else get_activation(activation)
    weights, biases = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (sigma_w, sigma_b))
    columns = ("q", "chi", "correlation", "xi_c")
    fields = {name: np.full((len(biases), len(weights)), np.nan) for name in columns}
    for i, b in enumerate(biases):
        for j, w in enumerate(weights):
            try:
                point = fixed_point(function, float(w), float(b))
            except PreconditionError:
                continue
            for name in columns:
                fields[name][i, j] = getattr(point, name)
    edge = np.full(len(biases), np.nan)
    for i, b in enumerate(biases):
        try:
            edge[i] = critical_sigma_w(function, float(b))
        except PreconditionError:
            continue
    return PhaseDiagram(function.name, weights, biases, edge=edge, **fields)


# --- residual networks that are not scaled by their depth -------------------------------------------------------------


@dataclass(frozen=True)
class ResidualGrowth:
    """How the mean square X_l of the signal grows in x -> x + φ(W x + b) with the number of layers l.

    ``law`` is ``"linear"`` (X_l ~ rate l), ``"quadratic"`` (X_l ~ rate l²) or ``"exponential"`` (X_l ~ rate^l), after
    Yang and Schoenholz (arXiv:1712.08969); ``gain`` is the factor a layer by which the mean square of gradients grows
    in the end: 1 where activations saturate.
    """

    law: str
    rate: float
    gain: float


def residual_growth(activation: str | Activation | Nonlinearity, sigma_w: float) -> ResidualGrowth:
    """Growth of the signal and of gradients in a deep residual network whose branches are not scaled down.

    With the slopes α₊ and α₋ of φ at ±∞, r = (α₊² + α₋²)/2 and s = (α₊ - α₋)/√2π, the recursion of arXiv:1809.08848
    becomes ``X' = X + 2 μ s √q + r q``, ``μ' = μ + s √q``, q = σ_w² X: exponential growth with the rate ρ that solves
    ``ρ = 1 + 2 κ s σ_w + r σ_w²``, ``κ (√ρ - 1) = s σ_w`` (derived here). Of a bounded activation every unit ends at
    one of the two limits: X grows linearly, or quadratically where these have a mean.

    Raises
    ------
    ValueError
        Unknown activation or sigma_w <= 0.
    PreconditionError
        For an activation without limits at ±∞ (sin), whose signal keeps no rate.
    """
    from scipy.optimize import brentq

    function = activation.nonlinearity if isinstance(activation, Activation) else get_activation(activation)
    check_number("sigma_w", sigma_w, above=0)
    if function.periodic:
        raise PreconditionError(f"{function.name} has no limits at infinity: follow its signal by theory.propagate")
    far = np.array([-1e7, 1e7])
    below, above = function.dphi(far).tolist()
    strength = float(sigma_w)
    if below == above == 0:
        values = function.phi(far)
        # half the units at each limit; the mean adds up like l
        mean, square = float(values.mean()), float(np.mean(values**2))
        if mean != 0:
            return ResidualGrowth("quadratic", mean**2, 1.0)
        return ResidualGrowth("linear", square, 1.0)
    r: float = (above**2 + below**2) / 2
    push: float = (above - below) / math.sqrt(2 * math.pi) * strength

    def mismatch(root: float) -> float:
        return root * root - 1 - r * strength**2 - (2 * push * push / (root - 1) if push else 0.0)

    upper = 2 + r * strength**2 + 2 * abs(push)
    root = brentq(mismatch, 1 + 1e-14, upper, xtol=1e-15) if push else math.sqrt(1 + r * strength**2)
    return ResidualGrowth("exponential", root * root, 1 + r * strength**2)


def stable_resnet(
    depth: int,
    activation: str | Activation,
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
    *,
    scaling: str = "uniform",
    weights: Weights = "gaussian",
) -> Sequential:
    """Residual network x -> x + λ_l φ(W x + b) whose branch scales λ_l keep gradients finite at any depth.

    The signal stays finite too where <φ> = 0 (tanh, erf). Elsewhere the means of the branches add up: behind ReLU and
    uniform scales the logarithm of the mean square grows like σ_w √(2 depth/π), derived here. The blocks of the source,
    x + λ_l (W φ(x) + b), have no mean: write them as ``Residual([phi, Dense(sigma_w, sigma_b), Scale(λ_l)])`` behind a
    first `Dense`.

    Parameters
    ----------
    depth : int
    activation : str or Activation
    sigma_w, sigma_b : float
        Weights of variance sigma_w²/width, biases of sigma_b².
    scaling : str
        ``"uniform"``: λ_l = 1/√depth; ``"decreasing"``: λ_l = 1/(√l log(l+1)), whose squares have a finite sum and do
        not refer to the depth (Hayou et al., Stable ResNet, arXiv:2010.12859).
    weights : str, Sparse or Law
        As for `Dense`.

    Raises
    ------
    ValueError
        Bad arguments.
    """
    if scaling not in ("uniform", "decreasing"):
        raise ValueError(f"scaling={scaling!r}: choose one of uniform, decreasing")
    check_number("depth", depth, at_least=1)
    phi = activation if isinstance(activation, Activation) else Activation(activation)

    def scales() -> Iterator[float]:
        for layer in range(1, int(depth) + 1):
            yield 1 / math.sqrt(depth) if scaling == "uniform" else 1 / (math.sqrt(layer) * math.log(layer + 1))

    return Sequential([Residual([Dense(sigma_w, sigma_b, weights), phi, Scale(scale)]) for scale in scales()])
