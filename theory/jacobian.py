"""From a network to the law of J Jᵀ at infinite width and finite depth, one rule a layer.

The Jacobian of a composition is a product of free factors, so the law of the network is a free product with one factor
a block. A block is a dense layer with the activation behind it (σ_w² φ'(h)² ⊠ the law of W Wᵀ), a bare layer, or a
residual block (`rmt.ResidualSum` of the branch, itself a network). Pre-activations are Gaussian with the variance q_l
of signal propagation, and φ'(h) is free of the weights (Pennington, Schoenholz, Ganguli, arXiv:1711.04735; proved by
Pastur, arXiv:2001.06188); for uncentred activations this holds up to one outlier (`theory.outlier`).

Equal blocks become a free power, so depth costs nothing. Blocks that differ by q_l only are a function of one number,
analytic in it: beyond `_EXACT` different values the product over layers is replaced by the Gauss rule of the measure
sum_l delta(q_l), a product of a few free powers, after a check that the first three coefficients of the product's log S
agree to rounding.

Precision of the theory: with the identity as skip, blocks share the basis in which the gates D_l are diagonal, and are
free only up to terms of order 1/L² that first show in the fourth moment (two gates that meet the same neuron twice);
with a Haar skip (`a O`) the law is exact at every depth.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.algebra.affine import Affine
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.residual import ResidualSum
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.numeric.quadrature import gauss_rule
from rmt.series import log as log_series
from rmt.series import moments_to_s_series
from theory.gain import gain_law
from theory.network import Activation, Dense, Layer, Residual, blocks
from theory.propagation import preactivation_variances

__all__ = ["branch_laws", "jacobian_law"]

FloatArray = npt.NDArray[np.float64]

# Up to this many different blocks of one shape the product is taken block by block.
_EXACT = 16
_GAUSS_NODES = 12
_AGREEMENT = 1e-13
# Pre-activation variances that differ by less than this share are the same.
_SAME = 1e-13


def jacobian_law(net: Layer, q0: float = 1.0) -> Law:
    """Law of J Jᵀ, J the input-output Jacobian, at infinite width and the network's depth.

    Parameters
    ----------
    net : layer or network
        Any composition of `Dense`, `Activation`, `Residual`, `Repeat`, `Sequential`, `Chain`, `ResNet`.
    q0 : float
        Mean square of the input's components.

    Returns
    -------
    Law
        ``law.sqrt()`` is the law of the singular values.

    Raises
    ------
    ValueError
        Bad q0.
    PreconditionError
        If the signal cannot be propagated, or a parameter is symbolic (use `theory.derive`).
    NotImplementedError
        For layers that change the width.

    Examples
    --------
    >>> from theory.network import Chain
    >>> jacobian_law(Chain(depth=3, activation="linear")).moments(3)
    [1.0, 4.0, 22.0]
    """
    return _product(_factors(net, q0))


def branch_laws(net: Layer, q0: float = 1.0) -> list[tuple[Law, int]]:
    """Laws of Y Yᵀ of the branches Y of a network's residual blocks, each with the number of blocks that have it.

    Raises
    ------
    ValueError, PreconditionError, NotImplementedError
        As `jacobian_law`.
    """
    members: dict[_Block, list[tuple[float, ...]]] = {}
    for block, variances in _factors(net, q0):
        if block.residual is not None:
            members.setdefault(block, []).append(variances)
    return [
        (_with_variances(block.residual.branch, variances), int(count))
        for block, found in members.items()
        if block.residual is not None
        for variances, count in _counted(found)
    ]


@dataclass(frozen=True)
class _Block:
    """A factor of the Jacobian up to the variances of its pre-activations."""

    dense: Dense | None
    activation: Activation | None
    residual: Residual | None = None

    def law(self, variances: Sequence[float]) -> Law:
        """The factor's law, given the variance q of each activation inside, in order."""
        if self.residual is not None:
            return _residual_law(self.residual, variances)
        return _layer_law(self.dense, self.activation, variances)


def _layer_law(dense: Dense | None, activation: Activation | None, variances: Sequence[float]) -> Law:
    gain: Law | None = None if activation is None else gain_law(activation.nonlinearity, variances[0])
    if dense is None:
        assert gain is not None
        return gain
    if dense.width_ratio != 1:
        raise NotImplementedError(
            f"Dense(width_ratio={dense.width_ratio}): the spectrum of layers that change the width is not available; "
            "use width_ratio=1"
        )
    strength = dense.sigma_w**2
    if strength == 0:
        return Discrete({0: 1})
    # σ_w² goes into the gain, so that powers of a critical block stay of order one
    scaled = None if gain is None else _scaled(gain, strength)
    if dense.weights == "orthogonal":
        return Discrete({strength: 1}) if scaled is None else scaled
    wishart = MarchenkoPastur(1)
    return Affine(wishart, strength) if scaled is None else FreeProduct((wishart, scaled))


def _scaled(law: Law, factor: Any) -> Law:
    if isinstance(law, Discrete):
        return Discrete({factor * x: p for x, p in law.masses})
    return law if factor == 1 else Affine(law, factor)


def _residual_law(layer: Residual, variances: Sequence[float]) -> Law:
    branch = _with_variances(layer.branch, variances)
    if layer.skip == 0:
        return branch
    if isinstance(branch, Discrete) and branch.masses == ((0, 1),):
        return Discrete({layer.skip**2: 1})
    return ResidualSum(branch, abs(layer.skip))


def _with_variances(layers: Iterable[Layer], variances: Sequence[float]) -> Law:
    """Law of a composition whose activations have the given variances, consumed in order."""
    return _product(list(_dealt(layers, variances)))


def _dealt(
    layers: Layer | Iterable[Layer], variances: Sequence[float]
) -> Iterable[tuple[_Block, tuple[float, ...]]]:
    """Each block of a composition with its share of the variances."""
    position = 0
    for block, count in _shapes(layers):
        yield block, tuple(variances[position : position + count])
        position += count


def _shapes(layers: Layer | Iterable[Layer]) -> Iterable[tuple[_Block, int]]:
    """Blocks of a composition, each with the number of activations inside."""
    waiting: Dense | None = None
    for item in blocks(layers):
        match item:
            case Dense():
                if waiting is not None:
                    yield _Block(waiting, None), 0
                waiting = item
            case Activation():
                yield _Block(waiting, item), 1
                waiting = None
            case Residual():
                if waiting is not None:
                    yield _Block(waiting, None), 0
                    waiting = None
                yield _Block(None, None, item), _count_activations(item)
    if waiting is not None:
        yield _Block(waiting, None), 0


@functools.lru_cache(maxsize=1024)
def _count_activations(layer: Residual) -> int:
    return sum(count for _, count in _shapes(layer.branch))


def _factors(net: Layer, q0: float) -> list[tuple[_Block, tuple[float, ...]]]:
    """The blocks in order of application with the variances met in each."""
    return list(_dealt(net, preactivation_variances(net, q0).tolist()))


def _product(factors: Sequence[tuple[_Block, tuple[float, ...]]]) -> Law:
    """Free product of the factors, equal ones as powers, families in one variance by their Gauss rule."""
    families: dict[_Block, list[tuple[float, ...]]] = {}
    for block, variances in factors:
        families.setdefault(block, []).append(variances)
    powers: list[tuple[Law, float]] = []
    for block, members in families.items():
        counted = _counted(members)
        if len(counted) > _EXACT:
            if _indifferent(block, counted):
                counted = [(counted[0][0], len(members))]
            elif len(members[0]) == 1:
                counted = _compressed(block, counted)
        laws: dict[Law, float] = {}
        for variances, count in counted:
            law = block.law(variances)
            laws[law] = laws.get(law, 0) + count
        powers += laws.items()
    dead = next((law for law, _ in powers if isinstance(law, Discrete) and law.masses == ((0, 1),)), None)
    if dead is not None:
        return dead
    parts = [law if count == 1 else FreePower(law, count) for law, count in powers]
    return parts[0] if len(parts) == 1 else FreeProduct(tuple(parts))


Counted = list[tuple[tuple[float, ...], float]]


def _counted(members: Sequence[tuple[float, ...]]) -> Counted:
    """Different tuples of variances with their multiplicities (an int where nothing was merged by a rule)."""
    out: Counted = []
    for member in sorted(members):
        if out and all(abs(a - b) <= _SAME * abs(b) for a, b in zip(member, out[-1][0], strict=True)):
            out[-1] = (out[-1][0], out[-1][1] + 1)
        else:
            out.append((member, 1))
    return out


def _indifferent(block: _Block, counted: Counted) -> bool:
    """Whether the law does not depend on the variances (slopes that only look at the sign of h)."""
    ends = (counted[0][0], counted[len(counted) // 2][0], counted[-1][0])
    return len({block.law(variances) for variances in ends}) == 1


def _compressed(block: _Block, counted: Counted) -> Counted:
    """Fewer blocks with real multiplicities and the same product: Gauss rules in a function of q, checked.

    The S-transform of a block is analytic in q; in which variable it is closest to a polynomial depends on whether
    the spread of q lies in the linear or the saturated range of the activation, so several are tried. A family that
    needs more nodes than a rule may have is cut in two.
    """
    q = np.array([variances[0] for variances, _ in counted])
    if len(counted) <= _GAUSS_NODES or np.any(q <= 0):
        return counted
    weights = np.array([float(count) for _, count in counted])
    exact = _log_moments(block, q, weights)
    for n in range(6, _GAUSS_NODES + 1, 2):
        for variable, inverse in _VARIABLES:
            nodes, masses = gauss_rule(variable(q), weights, n)
            if np.any(masses < 1):  # free powers below 1 need not exist
                continue
            found = _log_moments(block, inverse(nodes), masses)
            if np.all(np.abs(found - exact) <= _AGREEMENT * (1 + np.abs(exact))):
                return [((float(x),), float(p)) for x, p in zip(inverse(nodes), masses, strict=True)]
    half = len(counted) // 2
    return _compressed(block, counted[:half]) + _compressed(block, counted[half:])


_VARIABLES: tuple[tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]], ...] = (
    (lambda q: q, lambda x: x),
    (np.log, np.exp),
    (np.sqrt, np.square),
    (np.log1p, np.expm1),
)


def _log_moments(block: _Block, q: FloatArray, weights: FloatArray) -> FloatArray:
    """(log mean, relative variance, relative third cumulant) of the product of blocks: all three add.

    They are the first coefficients of log S in m.
    """
    sums = np.zeros(3)
    for variance, weight in zip(q, weights, strict=True):
        s = log_series(moments_to_s_series(block.law((float(variance),)).moments(3)))
        sums += weight * np.array(s, dtype=float)
    return sums
