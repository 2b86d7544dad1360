"""The random generator of one replica on the processor: compiled, so that it is three times faster than numpy's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["CompiledGenerator"]

FloatArray = npt.NDArray[np.float64]


class CompiledGenerator:
    """What the sampling rules ask of `numpy.random.Generator`, and triangular matrices, by `validation.kernels`.

    Parameters
    ----------
    source : numpy.random.Generator
        Gives the 256 bits of the state.
    """

    def __init__(self, source: np.random.Generator) -> None:
        from validation.kernels import matrices, random

        self._random, self._matrices = random, matrices
        self._state = source.integers(0, 2**64 - 1, size=4, dtype=np.uint64, endpoint=True)

    def standard_normal(self, shape: tuple[int, ...]) -> FloatArray:
        """Independent N(0, 1)."""
        out = np.empty(shape)
        self._random.fill_normals(self._state, out.reshape(-1), out.size)
        return out

    def random(self, shape: tuple[int, ...]) -> FloatArray:
        """Independent uniform variates on (0, 1]."""
        out = np.empty(shape)
        self._random.fill_uniforms(self._state, out.reshape(-1), out.size)
        return out

    def upper(self, rows: int, columns: int) -> FloatArray:
        """Independent N(0, 1) on and above the diagonal, zeros below."""
        out = np.empty((rows, columns))
        self._matrices.fill_upper(self._state, out)
        return out

    def wishart_factor(self, rows: int, freedom: int) -> FloatArray:
        """Lower triangular L, for which L Lᵀ has the law of G Gᵀ, G of shape (rows, freedom) with N(0, 1) entries.

        Of shape (rows, min(rows, freedom)); diagonal entries are chi variates (Bartlett, Proc. R. Soc. Edinburgh 53,
        1933).
        """
        columns = min(rows, freedom)
        out, chis = np.empty((rows, columns)), np.empty(columns)
        self._matrices.fill_lower(self._state, out)
        self._random.fill_chis(self._state, float(freedom), chis, columns)
        diagonal = np.arange(columns)
        out[diagonal, diagonal] = chis
        return out
