"""The eigenvalue of J Jᵀ that stands outside the bulk, because the network's gates depend on its own signal.

Setting (infinite width, finite depth): blocks x_l = a_l x_{l-1} + φ(h_l), h_l = W_l x_{l-1} + b_l, entries of W_l of
variance s_l per input (or √s_l times Haar), J = Π (a_l + D_l W_l), D_l = diag φ'(h_l).  Averages <.> run over neurons,
X = <x²>, μ = <x>.  Derived here; the ingredients are the cavity (coherent potential) description of free products
(Neu and Speicher, J. Stat. Phys. 80 (1995) 1279), conditioning of Gaussian and Haar matrices on their action
(Bolthausen, Commun. Math. Phys. 325 (2014) 333), and outliers of low-rank perturbations (Benaych-Georges and
Nadakuditi, arXiv:0910.2120).

1. *Conditioning.* Given the signal, with h' = W x, one has ``W = h' xᵀ/|x|² + W~ P``, P the projection off x and W~
   fresh and independent of D (Haar: W~ also maps off h').  J is a bulk matrix plus one rank-one term a layer, whose
   vectors D h' and x are correlated over the layers: x_l contains a_l…a_{k+1} φ(h_k) of every earlier layer.
2. *Equations of the outlier.* y_l = J_l y_{l-1}, g_{l-1} = J_lᵀ g_l, g_L = y_L, λ y_0 = g_0.  With p = <x y>/X of
   layer l-1 and e = <h' D g>/X, the cavity response of W~ turns them into independent equations for every neuron,
   ``y_l = a y_{l-1} + D (α D g_l + h' π)``, ``g_{l-1} = a g_l + β y_{l-1} + x ε``, where ε = e - β p and π = p
   (Haar: p - α e/s).
3. *Bulk.* α, β are those of the free product.  If each gate D² is replaced by a constant d such that it scatters
   nothing on average (coherent potential), y_l = Λ_l g_l from the left and g_l = Γ_l y_l from the right, then
   Λ_l Γ_l = m/(1+m), m = λG(λ)-1, is the same for all layers, and each layer is solved by one number ζ > sup φ'²:
   ``ν = <D²/(ζ-D²)>``, ``d = ζν/(1+ν)``, ``f = s`` (Haar s/(1+ν)), ``t = ν/(f d)``, ``m = ν + (√(1+4a²t)-1)/2``,
   ``S = t/(m(1+m)) = Γ_l/Γ_{l-1}``.  This is the S-transform of a residual block, log λ = log (1+m)/m - Σ log S,
   and the bulk's edge is the minimum of λ(m) over m > 0.
4. *Outlier.* In that medium the response between layers is (1+m) or m times T = Π a√S/(1-v), v = ν/(1+m), in the
   scaling y√Γ, g/√Γ, in which nothing grows with depth.  Averaging over neurons the products of sources x, D h' with
   this response gives a symmetric 2L x 2L matrix K(m), and the outlier is where ``det(C⁻¹X - K) = 0``, C the relation
   between (p, e) and (ε, π).  Far above the bulk C⁻¹X - K has L eigenvalues of each sign, and one changes sign at
   each outlier, so the (L+1)-th eigenvalue brackets the largest one without ambiguity.

The correlation of a gate with the signal (φ(h) and φ'(h)² are not independent) enters through its scattering
``τ = v ξ/(1-ν ξ)``, ξ = D²/d - 1, to all orders in one gate and to first order over the gates.  Behind a Haar shortcut
(a O_l in the place of a_l) the signal of the skip has no mean over the neurons, and neither have products of sources of
different layers: the formulas are the same with all first moments 0.  What is neglected, two
different gates that scatter the same neuron, is of relative order c² m/L in a ResNet, m being about <bulk>/λ; without
skip connections nothing is neglected.  The largest mean |J v|² over fixed vectors v, a lower bound, falls short of the
outlier by a term that decays with depth only like L^(-1/2), because each layer's noise is amplified by all later ones.

A ResNet of more than 192 layers is treated in that many groups of neighbouring layers, extrapolated to groups of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rmt.results import ConvergenceError
from theory.activations import Nonlinearity, get_activation
from theory.gaussian import composite_legendre
from theory.network import Activation, Dense, Layer, OrthogonalFilterNet, Residual, ResNet, Scale, blocks
from theory.propagation import Signal, advance, start
from theory.weights import has_independent_entries, is_isometric

__all__ = ["outlier"]

FloatArray = npt.NDArray[np.float64]

_MOST_GROUPS: Final = 192  # deeper uniform networks are treated in this many groups of layers
_MAX_LAYERS: Final = 1024  # without grouping: the matrices have twice this size
_REACH: Final = 9.0  # the Gaussian weight at 9 standard deviations is 2.6e-18 of its peak
_LOG_ZERO: Final = -800.0  # exp of it is 0, and sums of it stay finite: log of a skip factor 0
_LOG_M: Final = (-25.0, 16.0)  # range in which the bulk's edge is looked for
_LOG_FARTHEST: Final = math.log(1e12)


def outlier(net: Layer, q0: float = 1.0) -> float | None:
    """Predict the eigenvalue of J Jᵀ (squared singular value of the Jacobian) that lies above the bulk.

    Parameters
    ----------
    net : layer or network
        `Chain`, `ResNet`, `OrthogonalFilterNet`, or any sequence of `Dense` + `Activation` layers of equal width and of
        `Residual` blocks around one such pair and possibly a `Scale`.
    q0 : float
        Mean square of the input's components.

    Returns
    -------
    float or None
        Position of the largest eigenvalue at infinite width and this depth, or None if it belongs to the bulk: the
        upper edge of ``theory.jacobian_law(net, q0)`` is then the squared spectral norm.

    Raises
    ------
    NotImplementedError
        A network of another form (unequal widths, several layers in a residual branch), or one of more than 1024 layers
        that is not a `ResNet` of positive skip.
    ConvergenceError
        An outlier of more than 10¹² times the bulk's edge.
    PreconditionError
        An activation whose input is not Gaussian, symbolic parameters, or a signal that overflows.
    ValueError
        Bad q0.

    Notes
    -----
    The derivation and its only approximation stand in the docstring of the module `theory.outlier`.

    Examples
    --------
    >>> from theory.network import ResNet
    >>> round(outlier(ResNet(depth=20, activation="relu", sigma_w=0.5**0.5)), 3)
    8.691
    >>> outlier(ResNet(depth=20, activation="tanh", sigma_w=0.5**0.5)) is None
    True
    """
    layers = list(_blocks(net, q0))
    if any(layer.variance == 0 or layer.factor == 0 for layer in layers):
        return None  # J is a multiple of the identity (or an orthogonal matrix), or 0
    if len({layer.rotated for layer in layers}) > 1:
        raise NotImplementedError(
            "outlier of a network in which some layers have an orthogonal shortcut and others have none is not "
            "available: use theory.jacobian_law(net), which has the bulk alone"
        )
    uniform = isinstance(net, ResNet | OrthogonalFilterNet) and layers[0].skip > 0
    if not uniform and len(layers) > _MAX_LAYERS:
        raise NotImplementedError(
            f"outlier of {len(layers)} layers that are not a ResNet of positive skip: at most {_MAX_LAYERS} are "
            "supported, reduce the depth"
        )
    sizes = _sizes(len(layers), _MOST_GROUPS if uniform else len(layers))
    found = _log_outlier(_Groups.build(layers, sizes))
    if found is None or len(sizes) == len(layers):
        return None if found is None else math.exp(found)
    coarse_sizes = _sizes(len(layers), _MOST_GROUPS // 2)
    coarse = _log_outlier(_Groups.build(layers, coarse_sizes))
    if coarse is not None:
        # the error of grouping is proportional to Σ (size³ - size)
        error, coarse_error = float(np.sum(sizes**3 - sizes)), float(np.sum(coarse_sizes**3 - coarse_sizes))
        found -= error / (coarse_error - error) * (coarse - found)
    return math.exp(found)


def _log_outlier(groups: _Groups) -> float | None:
    from scipy.optimize import brentq, minimize_scalar

    # the edge is the first minimum of λ(m) on the way from m = 0, where λ is infinite
    last = _LOG_M[0]
    while last < _LOG_M[1] and groups.log_position(last + 1) < groups.log_position(last):
        last += 1
    edge = minimize_scalar(groups.log_position, bounds=(last - 1, last + 1), method="bounded", options={"xatol": 1e-7})
    low = high = float(edge.x)
    while groups.crossing(low) < 0:
        low, high = low - 1, low
        if groups.log_position(low) > float(edge.fun) + _LOG_FARTHEST:
            raise ConvergenceError(
                f"the outlier lies more than {math.exp(_LOG_FARTHEST):.0e} times above the bulk's edge, too far to be "
                "resolved in double precision: reduce sigma_w or the depth"
            )
    if low == high:
        return None
    position = groups.log_position(float(brentq(groups.crossing, low, high, xtol=1e-12)))
    # an eigenvalue that has not left the edge within rounding is none
    return position if position > float(edge.fun) + 1e-9 else None


def _sizes(depth: int, most: int) -> FloatArray:
    """Sizes of at most `most` groups of neighbouring layers, all odd, so that each group has a layer in its middle."""
    if depth <= most:
        return np.ones(depth)
    count = most - (depth - most) % 2
    pairs = (depth - count) // 2
    return 1.0 + 2.0 * np.diff(np.arange(count + 1) * pairs // count)


@dataclass(frozen=True)
class _Block:
    """One layer x -> a x + φ(W x + b) and the statistics of its input."""

    skip: float
    rotated: bool  # whether a Haar matrix stands in the skip connection
    factor: float  # of φ
    variance: float  # s: N times the variance of a weight
    bias_variance: float
    haar: bool
    nonlinearity: Nonlinearity
    second_moment: float  # X of x_{l-1}
    mean: float  # μ of x_{l-1}


def _blocks(net: Layer, q0: float) -> Iterator[_Block]:
    """The layers of the network in order of application, each with the statistics of the signal that enters it."""
    signal = start(q0)
    pending: tuple[Dense, Signal] | None = None  # a dense layer that waits for its activation
    for layer in blocks(net):
        behind = advance(layer, signal)  # checks the parameters
        if pending is not None:
            nonlinearity = layer.nonlinearity if isinstance(layer, Activation) else get_activation("linear")
            yield _block(pending[0], nonlinearity, pending[1])
        match layer:
            case Residual(branch=(Dense() as dense, Activation() as activation)):
                yield _block(dense, activation.nonlinearity, signal, layer)
                pending = None
            case Residual(branch=(Dense() as dense, Activation() as activation, Scale() as scale)):
                yield _block(dense, activation.nonlinearity, signal, layer, scale.factor)
                pending = None
            case Dense():
                pending = layer, signal
            case Activation() if pending is not None:
                pending = None
            case _:
                raise NotImplementedError(
                    "outlier supports sequences of Dense + Activation pairs and of Residual blocks around one such "
                    "pair (and a Scale): rewrite the network in this form, or use theory.jacobian_law(net), which has "
                    "the bulk alone"
                )
        signal = behind
    if pending is not None:
        yield _block(pending[0], get_activation("linear"), pending[1])


def _block(
    dense: Dense, nonlinearity: Nonlinearity, signal: Signal, residual: Residual | None = None, factor: Any = 1
) -> _Block:
    if dense.width_ratio != 1:
        raise NotImplementedError(
            f"outlier with width_ratio={dense.width_ratio}: only layers of equal width are supported, set it to 1"
        )
    isometric = is_isometric(dense.weights)
    if not isometric and not has_independent_entries(dense.weights):
        raise NotImplementedError(
            f"outlier of weights with W Wᵀ of law {dense.weights!r}: only independent entries and orthogonal weights "
            "are supported; theory.jacobian_law(net) has the bulk"
        )
    return _Block(
        0.0 if residual is None else float(residual.skip),
        residual is not None and residual.shortcut == "orthogonal" and residual.skip != 0,
        float(factor),
        float(dense.sigma_w) ** 2,
        float(dense.sigma_b) ** 2,
        isometric,
        nonlinearity,
        signal.second_moment,
        signal.mean,
    )


def _rule(nonlinearity: Nonlinearity, q: float) -> tuple[FloatArray, FloatArray]:
    """Nodes h and weights for N(0, q): Legendre panels that end at the kinks of φ and resolve its scale 1 near them."""
    sigma = math.sqrt(q)
    reach = _REACH * sigma
    width = min(0.5, 1 / sigma) * sigma if nonlinearity.periodic else min(1.0, 1.5 * sigma)
    offsets = [0.0]
    while offsets[-1] < 2 * reach:
        offsets.append(offsets[-1] + width)
        width = width if nonlinearity.periodic else min(2 * width, 1.5 * sigma)
    steps = np.array(offsets)
    centres = np.array([k for k in (0.0, *nonlinearity.kinks) if abs(k) < reach])
    cuts = (centres[:, None] + np.concatenate((-steps, steps))).ravel()
    nodes, weights = composite_legendre(np.unique(np.concatenate((cuts[np.abs(cuts) < reach], [-reach, reach]))))
    weights = weights * np.exp(-0.5 * nodes * nodes / q)
    return nodes, weights / weights.sum()


@dataclass(frozen=True, eq=False)
class _Groups:
    """The layers as arrays of shape (n,), and their Gaussian nodes as arrays of shape (n, nodes).

    ``size`` layers each are represented by the one in the middle of their group.
    """

    size: FloatArray
    skip: FloatArray
    rotated: bool
    variance: FloatArray
    haar: npt.NDArray[np.bool_]
    second_moment: FloatArray
    mean: FloatArray
    weights: FloatArray
    gate: FloatArray  # φ'(h)²
    phi: FloatArray  # φ(h)
    kick: FloatArray  # φ'(h) E[h'|h]
    kick_square: FloatArray  # φ'(h)² E[h'²|h]

    @classmethod
    def build(cls, layers: list[_Block], size: FloatArray) -> _Groups:
        rows: list[tuple[FloatArray, ...]] = []
        layers = [layers[int(middle)] for middle in np.cumsum(size) - (size + 1) / 2]
        for layer in layers:
            signal_variance = layer.variance * layer.second_moment
            q = signal_variance + layer.bias_variance
            nodes, weights = _rule(layer.nonlinearity, q)
            slope = layer.factor * layer.nonlinearity.dphi(nodes)
            share = signal_variance / q  # h' given h is Gaussian of mean share h and variance q share (1 - share)
            kick_square = slope**2 * ((share * nodes) ** 2 + q * share * (1 - share))
            phi = layer.factor * layer.nonlinearity.phi(nodes)
            rows.append((weights, slope**2, phi, slope * share * nodes, kick_square))
        count = max(len(row[0]) for row in rows)
        # shorter rules are filled up with nodes of weight 0
        tables = [np.array([np.pad(row[i], (0, count - len(row[i]))) for row in rows]) for i in range(5)]

        def column(name: str) -> FloatArray:
            return np.array([getattr(layer, name) for layer in layers], dtype=np.float64)

        return cls(
            size,
            column("skip"),
            layers[0].rotated,
            column("variance"),
            np.array([layer.haar for layer in layers]),
            column("second_moment"),
            column("mean") * (not layers[0].rotated),
            *tables,
        )

    def average(self, values: FloatArray) -> FloatArray:
        """<values> in each layer."""
        averaged: FloatArray = np.einsum("ln,ln->l", values, self.weights)
        return averaged

    def log_position(self, log_m: float) -> float:
        """Log of λ(m)."""
        m = math.exp(log_m)
        return math.log1p(m) - log_m - float(self.size @ np.log(self.medium(m).s_transform))

    def medium(self, m: float) -> _Medium:
        """Solve every layer for ζ = sup φ'² (1 + e^u), by Newton in (u, log m), where the relation is nearly a line.

        log m is a decreasing function of u; a bracket is kept beside the Newton steps.
        """
        top = self.gate.max(axis=1)
        room = top[:, None] - self.gate
        low, high = np.full_like(top, -60.0), np.full_like(top, 60.0)
        u = np.zeros_like(top)
        for _ in range(200):
            excess = top * np.exp(u)
            zeta = top + excess
            distance = room + excess[:, None]
            nu = self.average(self.gate / distance)
            slope_nu = -excess * self.average(self.gate / distance**2)
            power = np.where(self.haar, 2.0, 1.0)
            t = (1 + nu) ** power / (self.variance * zeta)
            root = np.sqrt(1 + 4 * self.skip**2 * t)
            value = nu + 2 * self.skip**2 * t / (1 + root)
            slope_t = t * (power * slope_nu / (1 + nu) - excess / zeta)
            residual = np.log(value / m)
            low, high = np.where(residual > 0, u, low), np.where(residual > 0, high, u)
            step = u - residual * value / (slope_nu + self.skip**2 * slope_t / root)
            step = np.where((step > low) & (step < high), step, 0.5 * (low + high))
            if np.all(np.abs(step - u) <= 1e-13 * (1 + np.abs(u))):
                break
            u = step
        d = zeta * nu / (1 + nu)
        f = np.where(self.haar, self.variance / (1 + nu), self.variance)
        return _Medium(m, nu, d, f * d * (1 + m), t / (m * (1 + m)))

    def crossing(self, log_m: float) -> float:
        """Eigenvalue of C⁻¹X - K that is negative below the largest outlier and positive above it."""
        # a congruence does not change the signs, and makes the layers comparable where the signal grows
        scale = 1 / np.sqrt(np.tile(self.size * self.second_moment, 2))
        eigenvalues = np.linalg.eigvalsh(scale[:, None] * self.condition(self.medium(math.exp(log_m))) * scale)
        return float(eigenvalues[len(self.size)])

    def condition(self, medium: _Medium) -> FloatArray:
        """C⁻¹X - K of shape (2n, 2n), singular at an outlier."""
        n = len(self.size)
        matrix = -self.coupling(medium)
        # C = [[-τS, √S], [√S, -α/s Γ]]: (ε, π) in terms of (p, e), scaled
        s_transform = medium.s_transform
        tau, root = medium.tau, np.sqrt(s_transform)
        alpha = np.where(self.haar, medium.v / (self.variance * medium.d), 0.0)
        determinant = tau * s_transform * alpha - s_transform
        weight = self.size * self.second_moment / determinant
        diagonal = np.arange(n)
        matrix[diagonal, diagonal] -= weight * alpha
        matrix[n + diagonal, n + diagonal] -= weight * tau * s_transform
        matrix[diagonal, n + diagonal] -= weight * root
        matrix[n + diagonal, diagonal] -= weight * root
        return matrix

    def coupling(self, medium: _Medium) -> FloatArray:
        """K of shape (2n, 2n): sources ε (x at layer l-1) first, then sources π (D h' at layer l)."""
        m, size, mean, n = medium.m, self.size, self.mean, len(self.size)
        phi, kick = self.average(self.phi), self.average(self.kick)
        if self.rotated:  # sources of different layers, and what a layer adds, meet without means
            phi, kick = np.zeros(n), np.zeros(n)
        phi_kick, kick_square = self.average(self.phi * self.kick), self.average(self.kick_square)
        # pairs of layers l > k (above) and l <= k (below) of two groups, per layer of the second group
        above = np.tril(np.outer(size, np.ones(n)), -1) + np.diag((size - 1) / 2)
        below = np.triu(np.outer(size, np.ones(n)), 1) + np.diag((size + 1) / 2)
        pairs = np.outer(size, size)

        # T decays with distance in both directions; a product of skip factors is needed only from a layer to later ones
        source_sign, gate_sign = self._signs()
        sources, gates = self._logs(self.skip * np.sqrt(medium.s_transform) / (1 - medium.v))
        between_sources = np.outer(source_sign, source_sign) * np.exp(-np.abs(sources[:, None] - sources))
        between_gates = np.outer(gate_sign, gate_sign) * np.exp(-np.abs(gates[:, None] - gates))
        to_source = np.outer(source_sign, gate_sign) * np.exp(-np.abs(sources[:, None] - gates))
        sources, gates = self._logs(self.skip)
        from_source = np.outer(source_sign, source_sign) * np.exp(np.tril(sources[:, None] - sources))
        from_gate = np.outer(source_sign, gate_sign) * np.exp(np.tril(sources[:, None] - gates, -1))

        # <x x>, <x D h'>, <D h' D h'> of two layers, times the response of the medium
        overlap = np.tril(from_source * (self.second_moment - mean**2) + np.outer(mean, mean))
        overlap += np.tril(overlap, -1).T
        k = np.empty((2 * n, 2 * n))
        k[:n, :n] = m * pairs * between_sources * overlap
        upward = (1 + m) * (np.outer(mean, kick) + from_gate * (phi_kick - phi * kick))
        k[:n, n:] = size * to_source * (above * upward + below * m * np.outer(mean, kick))
        k[n:, :n] = k[:n, n:].T
        k[n:, n:] = (1 + m) * pairs * between_gates * np.outer(kick, kick)
        k[n:, n:] += np.diag((1 + m) * size * (kick_square - kick**2))

        # gates that scatter: sources with their part that depends on the gate's h (φ or D h') and the mean of the rest
        xi = self.gate / medium.d[:, None] - 1
        scattering = medium.v[:, None] * xi / (1 - medium.nu[:, None] * xi)
        through_phi = np.zeros((2 * n, n))
        through_phi[:n] = (1 + m) * above * to_source * from_gate
        through_kick = np.zeros((2 * n, n))
        through_kick[n:] = (1 + m) * np.eye(n)
        rest = np.empty((2 * n, n))
        rest[:n] = to_source * ((1 + m) * above * (mean[:, None] - from_gate * phi) + m * below * mean[:, None])
        rest[n:] = (1 + m) * between_gates * (size[:, None] - np.eye(n)) * kick[:, None]
        moved = through_phi * self.average(scattering * self.phi) + through_kick * self.average(scattering * self.kick)
        once = (rest * size) @ moved.T
        mixed = (through_phi * size * self.average(scattering * self.phi * self.kick)) @ through_kick.T
        k += once + once.T + mixed + mixed.T
        k += (through_phi * size * self.average(scattering * self.phi**2)) @ through_phi.T
        k += (through_kick * size * self.average(scattering * self.kick_square)) @ through_kick.T
        return k

    def _logs(self, factor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log of the product of one factor a layer, up to the sources (layer l-1) and the gates of each group."""
        rate = np.log(np.abs(factor), out=np.full_like(factor, _LOG_ZERO), where=factor != 0)
        gates = np.cumsum(self.size * rate) - 0.5 * (self.size - 1) * rate
        return gates - rate, gates

    def _signs(self) -> tuple[FloatArray, FloatArray]:
        """Sign of the product of skip factors, up to the sources and to the gates."""
        sign: FloatArray = np.where(self.skip < 0, -1.0, 1.0)
        gates: FloatArray = np.multiply.accumulate(sign)
        return gates * sign, gates


@dataclass(frozen=True, eq=False)
class _Medium:
    """The coherent medium at one m: arrays of shape (n,), in the symbols of the module docstring."""

    m: float
    nu: FloatArray
    d: FloatArray
    tau: FloatArray  # f d (1+m)
    s_transform: FloatArray

    @property
    def v(self) -> FloatArray:
        """ν/(1+m): what the branch itself takes of m/(1+m)."""
        return self.nu / (1 + self.m)
