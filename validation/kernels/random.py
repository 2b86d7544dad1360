"""Random numbers inside kernels: xoshiro256++ seeded by replica, normals by ziggurat, chi variates, masks.

A generator's state is an array of four words. `seed_replica` makes it from a key of the experiment and the number of
the replica, so that the bits of a replica depend on nothing else: not on chunks, threads or order.

Sources: Blackman and Vigna, ACM Trans. Math. Softw. 47 (2021) 36 (xoshiro256++); Steele, Lea and Flood, OOPSLA 2014
(the mixing function of SplitMix64); Marsaglia and Tsang, J. Stat. Softw. 5 (2000) 8 (ziggurat, here of 256 layers and
53 bits) and ACM Trans. Math. Softw. 26 (2000) 363 (gamma variates).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from validation.kernels.compilation import kernel

__all__ = [
    "active_units",
    "fill_above_diagonal",
    "fill_chis",
    "fill_factors",
    "fill_normals",
    "fill_uniforms",
    "seed_replica",
]

# The ziggurat: 256 layers of equal area, the lowest with the tail beyond _EDGE.
_LAYERS = 256
_EDGE = 3.6541528853610088
_UNIT = 2.0**-53
# Below so many degrees of freedom a chi variate is the length of a vector that is drawn.
_FEW = 4
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _ziggurat() -> tuple[Any, Any, Any]:
    """Widths x_i of the layers in units of 2^-52, the x_{i+1} below which a layer is under the curve, and heights."""

    def height(x: float) -> float:
        return math.exp(-0.5 * x * x)

    tail = math.sqrt(math.pi / 2.0) * math.erfc(_EDGE / math.sqrt(2.0))
    area = _EDGE * height(_EDGE) + tail
    x = [area / height(_EDGE), _EDGE]
    while len(x) < _LAYERS:
        x.append(math.sqrt(-2.0 * math.log(height(x[-1]) + area / x[-1])))
    x.append(0.0)
    edges = np.array(x)
    return edges[:-1] * 2.0**-52, edges[1:].copy(), np.exp(-0.5 * edges * edges)


_WIDTHS, _INNER_EDGES, _HEIGHTS = _ziggurat()


@kernel(inline=True)
def _rotated(word: Any, bits: int) -> Any:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@kernel(inline=True)
def _advanced(s0: Any, s1: Any, s2: Any, s3: Any) -> Any:
    """The next word and the state after it."""
    word = _rotated(s0 + s3, 23) + s0
    shifted = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3 = _rotated(s3, 45)
    return word, s0, s1, s2, s3


@kernel(inner=True)
def _mixed(word: Any) -> Any:
    """A bijection of 64-bit words in which every bit of the result depends on all bits of the argument."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@kernel()
def seed_replica(key: Any, replica: int, state: Any) -> None:
    """Set `state` (4 words) to that of a replica; `key` has 8 random words.

    Each word of the state is a bijection of the replica's number, another one for each key: no two replicas share a
    word at the same place.
    """
    for i in range(4):
        word = _mixed(np.uint64(replica) * _GOLDEN + key[i])
        state[i] = _mixed(word ^ key[4 + i])


@kernel(inline=True)
def _uniform(s0: Any, s1: Any, s2: Any, s3: Any) -> Any:
    """Uniform on (0, 1], whose logarithm is finite, and the state after it."""
    word, s0, s1, s2, s3 = _advanced(s0, s1, s2, s3)
    return (np.float64(word >> np.uint64(11)) + 1.0) * _UNIT, s0, s1, s2, s3


@kernel(inner=True)
def _beyond(layer: Any, z: float, s0: Any, s1: Any, s2: Any, s3: Any) -> Any:
    """What the ziggurat does with a point that is not under the curve for sure, one of 90; and the state after it."""
    while True:
        if layer == 0:
            while True:
                u, s0, s1, s2, s3 = _uniform(s0, s1, s2, s3)
                excess = -math.log(u) / _EDGE
                u, s0, s1, s2, s3 = _uniform(s0, s1, s2, s3)
                if -2.0 * math.log(u) > excess * excess:
                    return math.copysign(_EDGE + excess, z), s0, s1, s2, s3
        low, high = _HEIGHTS[layer], _HEIGHTS[layer + 1]
        u, s0, s1, s2, s3 = _uniform(s0, s1, s2, s3)
        if low + (high - low) * u < math.exp(-0.5 * z * z):
            return z, s0, s1, s2, s3
        word, s0, s1, s2, s3 = _advanced(s0, s1, s2, s3)
        layer = np.int64(word & np.uint64(255))
        z = np.float64(np.int64(word) >> np.int64(11)) * _WIDTHS[layer]
        if abs(z) < _INNER_EDGES[layer]:
            return z, s0, s1, s2, s3


@kernel(inline=True)
def _normal(s0: Any, s1: Any, s2: Any, s3: Any) -> Any:
    """N(0, 1) and the state after it."""
    word, s0, s1, s2, s3 = _advanced(s0, s1, s2, s3)
    layer = np.int64(word & np.uint64(255))
    z = np.float64(np.int64(word) >> np.int64(11)) * _WIDTHS[layer]
    if abs(z) < _INNER_EDGES[layer]:
        return z, s0, s1, s2, s3
    return _beyond(layer, z, s0, s1, s2, s3)


# The state is carried as four numbers, in registers: in an array each would wait for the one before to be stored.
@kernel()
def fill_normals(state: Any, out: Any, count: int) -> None:
    """Independent N(0, 1) into ``out[:count]``."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for i in range(count):
        out[i], s0, s1, s2, s3 = _normal(s0, s1, s2, s3)
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@kernel()
def fill_uniforms(state: Any, out: Any, count: int) -> None:
    """Independent uniform variates on (0, 1] into ``out[:count]``."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for i in range(count):
        out[i], s0, s1, s2, s3 = _uniform(s0, s1, s2, s3)
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@kernel()
def fill_above_diagonal(state: Any, out: Any, rows: int, columns: int) -> None:
    """Independent N(0, 1) above the diagonal of ``out[:rows, :columns]``."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for i in range(rows):
        for c in range(i + 1, columns):
            out[i, c], s0, s1, s2, s3 = _normal(s0, s1, s2, s3)
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@kernel(inline=True)
def _chi(freedom: int, s0: Any, s1: Any, s2: Any, s3: Any) -> Any:
    """The length of a vector of `freedom` > 0 independent N(0, 1), which is > 0; and the state after it."""
    if freedom < _FEW:
        square = 0.0
        while square == 0.0:
            for _ in range(freedom):
                x, s0, s1, s2, s3 = _normal(s0, s1, s2, s3)
                square += x * x
        return math.sqrt(square), s0, s1, s2, s3
    d = 0.5 * freedom - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x, s0, s1, s2, s3 = _normal(s0, s1, s2, s3)
        u, s0, s1, s2, s3 = _uniform(s0, s1, s2, s3)
        y = c * x
        cube = (1.0 + y) * (1.0 + y) * (1.0 + y)
        # the condition below is log u < 3d (log(1 + y) - y + y^2/2 - y^3/3); this is > -1.272 d y^4 for y > -1/2
        if y > -0.5 and u < 1.0 - 1.272 * d * (y * y) * (y * y):
            break
        if y > -1.0 and math.log(u) < 0.5 * x * x + d * (1.0 - cube + math.log(cube)):
            break
    return math.sqrt(2.0 * d * cube), s0, s1, s2, s3


@kernel()
def fill_chis(state: Any, freedom: int, out: Any, count: int) -> None:
    """Chi variates into ``out[:count]``, of `freedom`, `freedom` - 1, ... degrees of freedom, all > 0."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for i in range(count):
        out[i], s0, s1, s2, s3 = _chi(freedom - i, s0, s1, s2, s3)
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@kernel()
def fill_factors(states: Any, freedoms: Any, out: Any, size: int, count: int) -> None:
    """Bartlett's factors of (freedom x size) matrices of independent N(0, 1), into ``out[:size, :size, :count]``.

    Each lane has its own of the `states`, of shape (count, 4) or longer, and `freedoms`. The numbers are those of
    `fill_chis` and `fill_above_diagonal`, one after the other.
    """
    for lane in range(count):
        s0, s1, s2, s3 = states[lane, 0], states[lane, 1], states[lane, 2], states[lane, 3]
        for i in range(size):
            out[i, i, lane], s0, s1, s2, s3 = _chi(freedoms[lane] - i, s0, s1, s2, s3)
        for i in range(size):
            for c in range(i + 1, size):
                out[i, c, lane], s0, s1, s2, s3 = _normal(s0, s1, s2, s3)
        states[lane, 0], states[lane, 1], states[lane, 2], states[lane, 3] = s0, s1, s2, s3


@kernel()
def active_units(state: Any, units: int, probability: float) -> Any:
    """How many of independent units are on: binomial, by the bits themselves where the probability is one half."""
    if probability >= 1.0:
        return units
    if probability <= 0.0:
        return 0
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    count: Any = 0
    if probability != 0.5:
        for _ in range(units):
            u, s0, s1, s2, s3 = _uniform(s0, s1, s2, s3)
            count += u <= probability
    else:
        for first in range(0, units, 64):
            word, s0, s1, s2, s3 = _advanced(s0, s1, s2, s3)
            if units - first < 64:
                word >>= np.uint64(64 - (units - first))
            # the bits of a word are counted in pairs, fours, bytes, and all together
            word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
            word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
            word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
            count += np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3
    return count
