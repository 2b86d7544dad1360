"""Gaussian weights drawn in two steps: first what they make of the signal, then, given that, what else is needed.

With independent N(0, s²) entries of W and a unit vector u, the vector z = W u is independent of W (1 - u uᵀ), so that
given z, ``W = G - (G u - z) uᵀ`` with a fresh copy G of W (a Gaussian vector conditioned on linear functionals). The
rank-one term is applied to the Jacobian, not to G. The rows of W are independent given z, so that those behind a closed
gate need not be drawn; nor need columns that meet rows of zeros: of these G u alone is seen, which is Gaussian. Derived
here; Bolthausen conditions the matrix of message passing in this way (arXiv:1201.2891).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from validation.generator import CompiledGenerator
from validation.jacobian import Jacobian, Weights

__all__ = ["ConditionedGaussian"]

FloatArray = npt.NDArray[np.float64]


class ConditionedGaussian(Weights):
    """Gaussian weights of one network with entries of variance ``scale**2 / n_in``, conditioned on their signal.

    Where nobody else holds the input space and J is the identity, it is turned so that the signal is its first axis,
    and the others so that their columns of W are lower triangular: for r rows the answer has ``r + 1`` columns.
    """

    partial = True

    def __init__(self, scale: float, n_out: int, n_in: int, generator: CompiledGenerator) -> None:
        self.n_out, self.rank = n_out, min(n_out, n_in)
        self._deviation = scale / math.sqrt(n_in)
        self._generator = generator

    def image(self, x: FloatArray) -> FloatArray:
        """W x, a Gaussian vector."""
        self._norm = math.sqrt(x @ x)
        self._direction = x / (self._norm or 1.0)
        self._image = self._generator.standard_normal((self.n_out,))
        return (self._norm * self._deviation) * self._image

    def images(self, batch: FloatArray) -> FloatArray:
        """Not here: weights that many inputs have met are drawn whole."""
        raise NotImplementedError("ConditionedGaussian meets one input only; use FormedWeights for a batch")

    def times(self, held: Jacobian, gate: FloatArray | None, rows: npt.NDArray[Any] | None) -> FloatArray:
        """Draw the rows of W that are asked for and multiply them, the rank-one term last."""
        image = self._image if rows is None else self._image[rows]
        factor = self._deviation * (np.ones_like(image) if gate is None else gate)
        if held.matrix is None and not held.shared:
            lower = self._generator.wishart_factor(len(image), held.height - 1)
            return np.concatenate([image[:, None], lower], axis=1) * factor[:, None]
        met = self._direction if held.rows is None else self._direction[held.rows]
        fresh = self._generator.standard_normal((len(image), len(met)))
        defect = image - fresh @ met
        if held.rows is not None:  # the rest of the signal has met other columns of G
            rest = self._direction.copy()
            rest[held.rows] = 0.0
            if unmet := float(rest @ rest):
                defect -= unmet**0.5 * self._generator.standard_normal(defect.shape)
        if not self._norm:  # nothing of W was seen
            defect[:] = 0.0
        defect *= factor
        fresh *= factor[:, None]
        if held.matrix is None:
            return _plus_outer(fresh, defect, met)
        return _plus_outer(fresh @ held.matrix, defect, met @ held.matrix)


def _plus_outer(matrix: FloatArray, column: FloatArray, row: FloatArray) -> FloatArray:
    """``matrix + outer(column, row)``, written into `matrix`."""
    from scipy.linalg.blas import dger, sger

    if matrix.size:  # BLAS knows no empty matrices
        (dger if matrix.dtype == np.float64 else sger)(1.0, row, column, a=matrix.T, overwrite_a=1)
    return matrix
