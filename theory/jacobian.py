"""From a network to the law of J Jᵀ at infinite width and finite depth, one rule a layer.

The Jacobian of a composition is a product of free factors, so the law of the network is a free product with one factor
a block. A block is a dense layer with the diagonal layers behind it (σ_w² φ'(h)² ⊠ the law of W Wᵀ; scales, dropout
masks and normalisations multiply the entries of the diagonal), diagonal layers alone, a gated layer
(`theory.gate_law`), or a residual block (`rmt.ResidualSum` of the branch, itself a network). Pre-activations are
Gaussian with the variance q_l
of signal propagation, and φ'(h) is free of the weights (Pennington, Schoenholz, Ganguli, arXiv:1711.04735; proved by
Pastur, arXiv:2001.06188); for uncentred activations this holds up to one outlier (`theory.outlier`).

The diagonals of a gated layer contain its input x. They are free of what stands before if x is the output of a dense
layer (or the input of the network), the input's law being Gaussian; behind an activation or another gate both diagonals
see the same component, ``tr D2² D² ≠ tr D2² tr D²``, and there is no such formula.

Where widths change, everything is brought to the smallest width n, at which J Jᵀ has no zeros for want of room. With
κ_l = n/N_l at the width N_l and S_B that of a block as if it were square, derived here from S at equal widths by
``m -> κ m`` (a free compression) and the common nonzero spectrum of W X Wᵀ and X Wᵀ W:

    S(m) = (n/N_L) (1 + m)/(1 + κ_0 m) Π_l S_B_l(κ_l m),

N_0 and N_L being the widths of input and output; for Gaussian weights this is the formula of Chhaibi, Daouda and Kahn
(NeurIPS 2022). A contraction by orthonormal rows from N to N' < N is a projection, hence
``(1 + κ m)/(1 + κ' m)``, an expansion a multiple of an isometry. The law of J Jᵀ has the rest of its mass at 0.

Equal blocks become a free power, so depth costs nothing. Blocks that differ by q_l only are a function of one number,
analytic in it. Beyond `_EXACT` different values those that are close to isometries become one law, a power series of
log S (`theory.near_isometries`), and the product over the others the Gauss rule of the measure sum_l delta(q_l), a
product of a few free powers (`theory.layer_quadrature`).

Precision of the theory: with the identity as skip, blocks share the basis in which the gates D_l are diagonal, and are
free only up to terms of order 1/L² that first show in the fourth moment (two gates that meet the same neuron twice);
with a Haar skip (`a O`) the law is exact at every depth.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rmt.algebra.affine import Affine
from rmt.algebra.compression import Compression
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.mixture import Mixture
from rmt.algebra.residual import ResidualSum
from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.results import PreconditionError
from theory.gain import gain_law
from theory.layer_quadrature import representatives
from theory.near_isometries import NearIsometries, near_isometries
from theory.network import (
    Activation,
    Architecture,
    BatchNorm,
    Dense,
    Dropout,
    Gate,
    Layer,
    LayerNorm,
    Repeat,
    Residual,
    Scale,
    Sequential,
    blocks,
)
from theory.propagation import preactivation_variances
from theory.weights import has_independent_entries, is_isometric, weights_law

__all__ = ["branch_laws", "check_gates", "jacobian_law"]

FloatArray = npt.NDArray[np.float64]

# Up to this many different blocks of one shape the product is taken block by block.
_EXACT = 16
# Pre-activation variances that differ by less than this share are the same.
_SAME = 1e-13


def jacobian_law(net: Layer, q0: float = 1.0) -> Law:
    """Law of J Jᵀ, J the input-output Jacobian, at infinite width and the network's depth.

    Parameters
    ----------
    net : layer or network
        Any composition of the layers and architectures of `theory.network`, widths that change included.
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
        If the signal cannot be propagated, a parameter is symbolic (use `theory.derive`), or a gated layer stands next
        to a layer of which it is not free.

    Examples
    --------
    >>> from theory.network import Chain
    >>> jacobian_law(Chain(depth=3, activation="linear")).moments(3)
    [1.0, 4.0, 22.0]
    """
    check_gates(net)
    return _product(_factors(net, q0))


Diagonal: TypeAlias = Activation | Scale | Dropout | LayerNorm | BatchNorm


def branch_laws(net: Layer, q0: float = 1.0) -> list[tuple[Law, int]]:
    """Laws of Y Yᵀ of the branches Y of a network's residual blocks, each with the number of blocks that have it.

    Raises
    ------
    ValueError, PreconditionError, NotImplementedError
        As `jacobian_law`.
    """
    check_gates(net)
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

    dense: Dense | None = None
    diagonal: tuple[Diagonal, ...] = ()
    residual: Residual | None = None
    gate: Gate | None = None

    @property
    def width_ratio(self) -> Fraction:
        """Outputs over inputs."""
        return Fraction(1) if self.dense is None else _exact_ratio(self.dense.width_ratio)

    def law(self, variances: Sequence[float]) -> Law:
        """The factor's law, given the variances met inside, in order; of the diagonal alone where the width changes."""
        if self.residual is not None:
            return _residual_law(self.residual, variances)
        if self.gate is not None:
            from theory.gate_law import GateLaw  # loads scipy.special, which other networks do without

            return GateLaw(self.gate, variances[0])
        return _layer_law(self.dense, self.diagonal, variances)


def _exact_ratio(value: Any) -> Fraction:
    """A ratio of widths as a fraction: that of small numbers which a float stands for, if there is one."""
    if isinstance(value, int | Fraction):
        return Fraction(value)
    number = float(value)
    simple = Fraction(number).limit_denominator(10**6)
    return simple if float(simple) == number else Fraction(number)


def _layer_law(dense: Dense | None, diagonal: tuple[Diagonal, ...], variances: Sequence[float]) -> Law:
    gain, factor, kept = _squared_diagonal(diagonal, variances)
    # σ_w² goes into the gain, so that powers of a critical block stay of order one
    strength = factor if dense is None else dense.sigma_w**2 * factor
    if strength == 0:
        return Discrete({0: 1})
    scaled = _thinned(_scaled(Discrete({1: 1}) if gain is None else gain, strength), kept)
    if dense is None or is_isometric(dense.weights) or dense.width_ratio != 1:
        return scaled
    weights = weights_law(dense.weights)
    if isinstance(scaled, Discrete) and len(scaled.masses) == 1:
        return Affine(weights, strength)
    return FreeProduct((weights, scaled))


def _squared_diagonal(diagonal: tuple[Diagonal, ...], variances: Sequence[float]) -> tuple[Law | None, Any, Any]:
    """Law of φ'², what scales and normalisations multiply it by, and the share that dropout leaves."""
    gain: Law | None = None
    factor: Any = 1
    kept: Any = 1
    met = iter(variances)
    for layer in diagonal:
        match layer:
            case Activation():
                gain = gain_law(layer.nonlinearity, next(met))
            case LayerNorm() | BatchNorm():
                factor = factor / next(met)
            case Scale():
                factor = factor * layer.factor**2
            case Dropout() if layer.rate != 0:
                kept = kept * (1 - layer.rate)
                factor = factor / (1 - layer.rate) ** 2
    return gain, factor, kept


def _thinned(law: Law, kept: Any) -> Law:
    """Law of X with probability ``kept``, of 0 otherwise."""
    if kept == 1:
        return law
    if isinstance(law, Discrete):
        masses = {x: kept * p for x, p in law.masses}
        masses[0] = masses.get(0, 0) + 1 - kept
        return Discrete(masses)
    return Mixture([(law, kept), (Discrete({0: 1}), 1 - kept)])


def _scaled(law: Law, factor: Any) -> Law:
    if factor == 1:
        return law
    if isinstance(law, Discrete):
        return Discrete({factor * x: p for x, p in law.masses})
    return Affine(law, factor)


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


def _dealt(layers: Layer | Iterable[Layer], variances: Sequence[float]) -> Iterable[tuple[_Block, tuple[float, ...]]]:
    """Each block of a composition with its share of the variances."""
    position = 0
    for block, count in _shapes(layers):
        yield block, tuple(variances[position : position + count])
        position += count


def _shapes(layers: Layer | Iterable[Layer]) -> Iterable[tuple[_Block, int]]:
    """Blocks of a composition, each with the number of variances that it meets."""
    dense: Dense | None = None
    diagonal: list[Diagonal] = []
    for item in blocks(layers):
        if isinstance(item, Dense | Residual | Gate):
            if dense is not None or diagonal:
                yield _Block(dense, tuple(diagonal)), sum(map(_meets_a_variance, diagonal))
            dense, diagonal = (item if isinstance(item, Dense) else None), []
        if isinstance(item, Residual):
            yield _Block(residual=item), _count_variances(item)
        elif isinstance(item, Gate):
            yield _Block(gate=item), 1
        elif not isinstance(item, Dense):
            diagonal.append(item)
    if dense is not None or diagonal:
        yield _Block(dense, tuple(diagonal)), sum(map(_meets_a_variance, diagonal))


_FRESH, _GATED = "fresh", "gated"


def check_gates(net: Layer | Iterable[Layer]) -> None:
    """Refuse networks with gates that are not free of their neighbours.

    Raises
    ------
    PreconditionError
        Which layer stands next to which, and what to put between.
    """
    _behind(net, _FRESH)


def _behind(layer: Layer | Iterable[Layer], state: str) -> str:
    """What the signal behind a layer is for a gate.

    "fresh": Gaussian, and no diagonal of the layers below depends on it component by component, as the input of the
    network and what a dense layer gives; "gated": the output of a gate; "": neither.
    """
    match layer:
        case Dense():
            return _FRESH
        case Gate() if state != _FRESH:
            raise PreconditionError(
                "a Gate directly behind an activation, a mask, a residual block or another Gate is not free of it, "
                "as both depend on the same component of x; put a Dense layer between"
            )
        case Gate():
            return _GATED
        case Dropout() if state == _GATED and layer.rate != 0:
            raise PreconditionError(
                "Dropout directly behind a Gate is not free of it, as both are diagonal; put a Dense layer between"
            )
        case Activation() | Dropout():
            return ""
        case Scale() | LayerNorm() | BatchNorm():
            return state
        case Residual():
            inside = _behind(layer.branch, state)
            # the sum with the same x is not fresh, with a rotated one it is
            return inside if inside == _FRESH and layer.shortcut == "orthogonal" else ""
        case Repeat():
            once = _behind(layer.layers, state)
            return once if layer.times == 1 else _behind(layer.layers, once)
        case Sequential():
            return _behind(layer.layers, state)
        case Architecture():
            return _behind(layer.expand(), state)
    for item in layer:
        state = _behind(item, state)
    return state


def _meets_a_variance(layer: Diagonal) -> bool:
    return isinstance(layer, Activation | LayerNorm | BatchNorm)


@functools.lru_cache(maxsize=1024)
def _count_variances(layer: Residual) -> int:
    return sum(count for _, count in _shapes(layer.branch))


def _factors(net: Layer, q0: float) -> list[tuple[_Block, tuple[float, ...]]]:
    """The blocks in order of application with the variances met in each."""
    return list(_dealt(net, preactivation_variances(net, q0).tolist()))


def _product(factors: Sequence[tuple[_Block, tuple[float, ...]]]) -> Law:
    """Law of a composition: free product of the factors, equal ones as powers, families in one variance by a rule."""
    widths = [Fraction(1)]
    families: dict[tuple[_Block, Fraction], list[tuple[float, ...]]] = {}
    for block, variances in factors:
        widths.append(widths[-1] * block.width_ratio)
        families.setdefault((block, widths[-1]), []).append(variances)
    smallest = min(widths)
    powers: list[tuple[Law, float]] = []
    for (block, width), members in families.items():
        counted = _counted(members)
        if len(counted) > _EXACT:
            if _indifferent(block, counted):
                counted = [(counted[0][0], len(members))]
            elif len(members[0]) == 1:
                q, counts = (np.array(column, dtype=float).ravel() for column in zip(*counted, strict=True))
                block, weights = _without_weights(block)
                law_of = functools.partial(_law_at, block)
                others = [] if weights is None else [(weights, len(members))]
                near, size = near_isometries(law_of, q, counts, others), 0
                if near is not None:
                    together, size = near
                    powers.append((_compress(together, smallest / width), 1))
                powers += [(_compress(other, smallest / width), count) for other, count in others]
                counted = [((x,), count) for x, count in representatives(law_of, q[size:], counts[size:])]
        laws: dict[Law, float] = {}
        for variances, count in counted:
            law = _compress(block.law(variances), smallest / width)
            laws[law] = laws.get(law, 0) + count
        powers += laws.items()
    powers += [(law, 1) for law in _changes_of_width([block for block, _ in factors], widths)]
    dead = next((law for law, _ in powers if _is_point(law, 0)), None)
    if dead is not None:
        return dead
    parts = [law if count == 1 else FreePower(law, count) for law, count in powers if not _is_point(law, 1)]
    law = Discrete({1: 1}) if not parts else parts[0] if len(parts) == 1 else FreeProduct(tuple(parts))
    law = _scaled(law, widths[-1] / smallest)
    return _thinned(law, smallest / widths[-1])


def _without_weights(block: _Block) -> tuple[_Block, Law | None]:
    """A block of the same gains whose weights are isometric, and the law of W Wᵀ that this leaves out, if any."""
    if block.dense is None or is_isometric(block.dense.weights) or block.dense.width_ratio != 1:
        return block, None
    return replace(block, dense=replace(block.dense, weights="orthogonal")), weights_law(block.dense.weights)


def _law_at(block: _Block, q: float) -> Law:
    return block.law((q,))


def _is_point(law: Law, position: float) -> bool:
    return isinstance(law, Discrete) and law.masses == ((position, 1),)


def _compress(law: Law, ratio: Fraction) -> Law:
    """The law cut down to a corner; products factor by factor, which keeps S-transforms explicit."""
    if ratio == 1 or (isinstance(law, Discrete) and len(law.masses) == 1):
        return law
    match law:
        case MarchenkoPastur():
            return MarchenkoPastur(law.ratio * ratio)
        case NearIsometries():
            return law.compressed(float(ratio))
        case Affine(shift=0):
            return Affine(_compress(law.law, ratio), law.scale)
        case FreeProduct():
            return FreeProduct(tuple(_compress(factor, ratio) for factor in law.laws))
        case FreePower():
            return FreePower(_compress(law.law, ratio), law.exponent)
    return Compression(law, ratio)


def _changes_of_width(chain: Sequence[_Block], widths: Sequence[Fraction]) -> list[Law]:
    """Laws whose S-transforms multiply to what changes of width bring, see the module's docstring.

    It is a product of ``1 + κ m`` over some κ, divided by such a product over others. A pair of one above and a larger
    one below is a projection, what remains below are Wishart matrices; larger ones are matched first, as they have
    the smallest choice.
    """
    smallest = min(widths)
    shares = [smallest / width for width in widths]
    above, below = [Fraction(1)], [shares[0]]
    for block, before, after in zip(chain, shares, shares[1:], strict=False):
        if block.dense is None or before == after:
            continue
        if has_independent_entries(block.dense.weights):
            below.append(after)
        elif after > before:
            above.append(before)
            below.append(after)
    for share in [share for share in above if share in below]:
        if share in below:
            above.remove(share)
            below.remove(share)
    laws: list[Law] = []
    for share in sorted(above, reverse=True):
        partner = min(other for other in below if other >= share)
        below.remove(partner)
        mask = Discrete({partner / share: share / partner, 0: 1 - share / partner})
        laws.append(_compress(mask, share))
    return [*laws, *(MarchenkoPastur(share) for share in below)]


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
