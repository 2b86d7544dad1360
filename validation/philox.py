"""Normals for many replicas at once, by a counter: the same numbers on the processor and on a GPU, however batched.

Philox4x32-10 of Salmon, Moraes, Dror and Shaw ("Parallel random numbers: as easy as 1, 2, 3", SC 2011) maps a key of 64
bits, here a replica's, and a counter of 128 bits, here the place in the replica's stream, to 128 random bits. Box and
Muller's map makes two normals of them. It is written once, in the array API; `cuda_source` says the same in one kernel
for a GPU, where some hundred passes over memory would cost more than the matrix products.
"""

from __future__ import annotations

import math
from typing import Any

from validation.backend import Backend

__all__ = ["PhiloxGenerator", "philox"]

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_UNIT = 2.0**-53


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    """128 random bits as four words of 32 bits, each in an array of uint64; so are counter and key, whose shapes agree.

    The words x_0, ..., x_3 are in the order of the authors' library Random123, low word first.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        low, high = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (high >> 32) ^ c1 ^ k0, high & _MASK, (low >> 32) ^ c3 ^ k1, low & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


class PhiloxGenerator:
    """Draws for all replicas of a batch at once; has the methods that `validation.networks.Sampler` asks for.

    Replica r's numbers are a function of its key and of what has been drawn before, not of the other replicas.

    Parameters
    ----------
    keys : array of uint64 of shape (replicas,)
        In the backend's namespace.
    backend : Backend
        Numbers are of its precision: those of single precision are those of double precision, rounded.
    """

    def __init__(self, keys: Any, backend: Backend) -> None:
        self._keys, self._backend = keys, backend
        self._drawn = 0

    def standard_normal(self, shape: tuple[int, ...]) -> Any:
        """Independent N(0, 1), of shape (replicas, *shape)."""
        return self._draw(shape, "normal")

    def random(self, shape: tuple[int, ...]) -> Any:
        """Independent uniform variates on (0, 1], of shape (replicas, *shape)."""
        return self._draw(shape, "uniform")

    def _draw(self, shape: tuple[int, ...], law: str) -> Any:
        xp, replicas = self._backend.xp, self._keys.shape[0]
        count = math.prod(shape)
        blocks = (count + 1) // 2
        first, self._drawn = self._drawn, self._drawn + blocks
        if self._backend.name == "cupy":
            numbers = self._backend.kernel(f"philox_{law}", cuda_source(law))(
                self._keys, first, count, blocks, size=replicas * count
            )
            numbers = xp.reshape(numbers, (replicas, count))
        else:
            numbers = xp.concat(_pairs(self._keys, first, blocks, law, xp), axis=-1)[:, :count]
        return xp.reshape(xp.asarray(numbers, dtype=self._backend.real), (replicas, *shape))


def _pairs(keys: Any, first: int, blocks: int, law: str, xp: Any) -> list[Any]:
    """The two halves of the numbers of blocks ``first`` to ``first + blocks - 1``, each of shape (replicas, blocks)."""
    place = xp.arange(first, first + blocks, dtype=xp.uint64)[None, :] + xp.zeros_like(keys)[:, None]
    key, zero = keys[:, None] + xp.zeros_like(place), xp.zeros_like(place)
    x0, x1, x2, x3 = philox((place & _MASK, place >> 32, zero, zero), (key & _MASK, key >> 32))
    one, other = (
        (xp.asarray(((high << 32) | low) >> 11, dtype=xp.float64) + 1.0) * _UNIT for low, high in ((x0, x1), (x2, x3))
    )
    if law == "uniform":
        return [one, other]
    radius, angle = xp.sqrt(-2.0 * xp.log(one)), (2.0 * math.pi) * other
    return [radius * xp.cos(angle), radius * xp.sin(angle)]


def cuda_source(law: str) -> tuple[str, str, str, str]:
    """Inputs, output, body and preamble of an elementwise kernel that does what `_pairs` does; ``i`` is the place."""
    box_muller = """
        double radius = sqrt(-2.0 * log(u[0])), angle = 6.283185307179586 * u[1];
        z = radius * (second ? sin(angle) : cos(angle));
    """
    last = {"normal": box_muller, "uniform": "z = second ? u[1] : u[0];"}[law]
    body = f"""
        unsigned long long replica = i / count, k = i % count;
        bool second = k >= blocks;
        double u[2];
        philox_uniforms(keys[replica], first + (second ? k - blocks : k), u);
        {last}
    """
    preamble = f"""
        __device__ void philox_uniforms(unsigned long long key, unsigned long long place, double* u) {{
            unsigned int c0 = (unsigned int)place, c1 = (unsigned int)(place >> 32), c2 = 0u, c3 = 0u;
            unsigned int k0 = (unsigned int)key, k1 = (unsigned int)(key >> 32);
            for (int round = 0; round < {_ROUNDS}; ++round) {{
                unsigned long long low = {_MULTIPLIERS[0]}ull * c0, high = {_MULTIPLIERS[1]}ull * c2;
                c0 = (unsigned int)(high >> 32) ^ c1 ^ k0;
                c1 = (unsigned int)high;
                c2 = (unsigned int)(low >> 32) ^ c3 ^ k1;
                c3 = (unsigned int)low;
                k0 += {_WEYL[0]}u;
                k1 += {_WEYL[1]}u;
            }}
            u[0] = ((double)((((unsigned long long)c1 << 32) | c0) >> 11) + 1.0) * {_UNIT!r};
            u[1] = ((double)((((unsigned long long)c3 << 32) | c2) >> 11) + 1.0) * {_UNIT!r};
        }}
    """
    return "raw uint64 keys, uint64 first, uint64 count, uint64 blocks", "float64 z", body, preamble
