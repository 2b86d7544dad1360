"""Networks that are a product of random matrices with independent 0/1 masks between them, read from their description.

Why masks. Let W_1, ..., W_L have laws that do not change when rows or columns change sign, and let every activation be
positively homogeneous with slopes 0 and 1 (relu), 1 (linear), or ±1 (absolute value), with no biases. Write
``W_l = S_l V_l`` with S_l a diagonal matrix of independent random signs, independent of V_l, which has the law of W_l.
Given everything before layer l, and V_l, the slopes of relu are ``1[S_l V_l x_{l-1} > 0]``: independent, 1 with
probability 1/2, and on the rows where they are 1, S_l is T_l = sign(V_l x_{l-1}). So ``D_l W_l = D_l T_l V_l`` and
``x_l = T_l D_l V_l x_{l-1}``, where D_l is independent of all V. The signs T_l, which depend on the layers up to l,
commute with D_l and go into V_{l+1}, whose law given the past does not change. With y_l = T_l x_l,

    J = T_L J',  J' = D_L V_L ... D_1 V_1,  |J x| = |J' x|,

all factors of J' independent: singular values, rank and gain are jointly those of a chain with masks drawn at random,
whatever the input (cf. Hanin and Nica, arXiv:1812.05994, Proposition 2, for the gain). Dropout masks are independent to
start with. J' has a right-invariant law, so given its singular values the gain of any input is
``|J' x|^2/|x|^2 = sum s_i^2 v_i^2`` with v uniform on the sphere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from theory.network import Activation, DeltaOrthogonal, Dense, Dropout, Layer, Residual, Scale, blocks, parts
from theory.weights import describe_weights
from validation.chunk import Chunk

__all__ = ["MaskedChain", "masked_chain", "obstacle"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Descriptions whose reading is kept: each is read when planned and for each chunk.
_KEPT = 32


@dataclass(frozen=True, eq=False)
class MaskedChain:
    """``J' = e^log_scale D_L V_L ... D_1 V_1``, of independent factors.

    Attributes
    ----------
    widths : integer array of shape (L + 1,)
        n_0, ..., n_L; V_l has shape (n_l, n_{l-1}).
    keep : array of shape (L,)
        Probability that an entry of the diagonal of D_l is 1; it is 0 otherwise.
    orthogonal : boolean array of shape (L,)
        Whether V_l consists of n_l rows and n_{l-1} columns of a Haar orthogonal matrix of size max(n_l, n_{l-1}), or
        of independent N(0, 1).
    log_scale : float
    """

    widths: IntArray
    keep: FloatArray
    orthogonal: npt.NDArray[np.bool_]
    log_scale: float

    @property
    def haar_sizes(self) -> IntArray:
        """The sizes of the Haar matrices, 0 for layers of independent entries."""
        return np.where(self.orthogonal, np.maximum(self.widths[1:], self.widths[:-1]), 0)

    @property
    def typical(self) -> tuple[IntArray, int]:
        """Degrees of freedom and size of the triangular factors if each layer has its mean number of active units."""
        active = np.concatenate((self.widths[:1], np.round(self.widths[1:] * self.keep).astype(np.int64)))
        place = int(active.argmin())
        return np.delete(active, place), int(active[place])


def obstacle(chunk: Chunk) -> str | None:
    """Why the chunk's network is not a masked chain, or None if it is."""
    if chunk.backend != "numpy":
        return f"it runs on the processor, not on {chunk.backend} (needed: backend='numpy')"
    read = masked_chain(chunk.net, chunk.width)
    return read if isinstance(read, str) else None


@lru_cache(maxsize=_KEPT)
def masked_chain(net: Layer, width: int) -> MaskedChain | str:
    """The network as a masked chain, or why it is none: a clause that ends with what would be needed."""
    widths, keep, orthogonal = [width], list[float](), list[bool]()
    log_scale = 0.0
    # the sign that all active units have, 0 if signs are symmetric
    sign = 0
    if any(isinstance(part, DeltaOrthogonal) for part in parts(net)):
        return "it has a convolution (needed: a chain of Dense, Activation, Scale and Dropout)"
    for block in blocks(net):
        if isinstance(block, Residual):
            return "it has skip connections (needed: a chain of Dense, Activation, Scale and Dropout)"
        if not keep and not isinstance(block, Dense | Scale) and not _is_linear(block):
            return f"{_name(block)} comes before the first weights (needed: a Dense layer at the start)"
        match block:
            case Dense():
                if float(block.sigma_b) != 0.0:
                    return f"it has biases of sigma_b={float(block.sigma_b):g} (needed: none)"
                if float(block.sigma_w) == 0.0:
                    return "it has weights of sigma_w=0 (needed: sigma_w > 0)"
                n_in, n_out = widths[-1], max(1, round(widths[-1] * float(block.width_ratio)))
                if block.weights not in ("gaussian", "orthogonal"):
                    return f"it has {describe_weights(block.weights)} (needed: gaussian or orthogonal ones)"
                haar = block.weights == "orthogonal"
                variance = max(1.0, n_out / n_in) if haar else 1.0 / n_in
                log_scale += math.log(float(block.sigma_w)) + 0.5 * math.log(variance)
                widths.append(n_out)
                keep.append(1.0)
                orthogonal.append(haar)
                sign = 0
            case Scale():
                factor = float(block.factor)
                if factor == 0.0:
                    return "it is multiplied by 0 (needed: Scale factors other than 0)"
                log_scale += math.log(abs(factor))
                sign *= 1 if factor > 0.0 else -1
            case Dropout():
                kept = 1.0 - float(block.rate)
                keep[-1] *= kept
                log_scale -= math.log(kept)
            case Activation() if (slope := _negative_slope(block)) is not None:
                if slope == 0.0:
                    # of units that have one sign, all or none are active
                    keep[-1] *= {0: 0.5, 1: 1.0, -1: 0.0}[sign]
                if slope != 1.0:
                    sign = 1
            case Activation():
                return (
                    f"the slopes of the activation {block.name} are not 0 and ±1 by the sign of the pre-activation "
                    "alone (needed: linear, relu, or leaky_relu with alpha 0, 1 or -1)"
                )
            case _:
                return f"it has {_name(block)} (needed: a chain of Dense, Activation, Scale and Dropout)"
    if not keep:
        return "it has no weights (needed: a Dense layer)"
    return MaskedChain(np.array(widths), np.array(keep), np.array(orthogonal), log_scale)


def _negative_slope(activation: Activation) -> float | None:
    """The slope on h < 0 of an activation of slope 1 on h > 0, if it is 0 or ±1."""
    slope = {"linear": 1.0, "relu": 0.0}.get(activation.name)
    if activation.name == "leaky_relu":
        slope = float(dict(activation.parameters)["alpha"])
    return slope if slope in (0.0, 1.0, -1.0) else None


def _is_linear(block: object) -> bool:
    return isinstance(block, Activation) and _negative_slope(block) == 1.0


def _name(block: object) -> str:
    return f"the activation {block.name}" if isinstance(block, Activation) else f"a {type(block).__name__} layer"
