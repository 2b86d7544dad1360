"""Gaussian weights drawn in two steps: first what they make of the signal, then, given that, what else is needed.

With independent N(0, s²) entries of W and a unit vector u, the vector z = W u and the matrix G (1 - u uᵀ), G a fresh copy
of W, are independent, so that ``W = G - (G u - z) uᵀ`` given z (conditioning of a Gaussian vector on linear
functionals). The rank-one term is applied to the Jacobian, not to G. The rows of W are independent given z, so that
those behind a closed gate need not be drawn; nor need columns that meet rows of zeros: of these G u alone is seen, which
is Gaussian. Derived here; the same idea in the analysis of message passing is Bolthausen's conditioning
(arXiv:1201.2891).
"""

from __future__ import annotations

from typing import Any

from validation.jacobian import Jacobian, Weights

__all__ = ["ConditionedGaussian"]


class ConditionedGaussian(Weights):
    """Gaussian weights of one network with entries of variance ``scale**2 / n_in``, conditioned on their signal.

    Where nobody else holds the input space and J is the identity, it is turned so that the signal is its first axis, and
    the remaining columns of W become lower triangular by an LQ decomposition (Bartlett, Proc. R. Soc. Edinburgh 53,
    1933): for r rows the answer has ``r + 1`` columns.
    """

    partial = True

    def __init__(self, scale: float, n_out: int, n_in: int, generator: Any, xp: Any) -> None:
        self.n_out, self.rank = n_out, min(n_out, n_in)
        self._deviation = scale * n_in**-0.5
        self._generator, self._xp = generator, xp

    def image(self, x: Any) -> Any:
        """W x, a Gaussian vector."""
        self._norm = float(x @ x) ** 0.5
        self._direction = x / (self._norm or 1.0)
        self._image = self._generator.standard_normal((self.n_out,))
        return self._norm * self._deviation * self._image

    def images(self, batch: Any) -> Any:
        """Not here: weights that many inputs have met are drawn whole."""
        raise NotImplementedError("ConditionedGaussian meets one input only; use FormedWeights for a batch")

    def times(self, held: Jacobian, gate: Any, rows: Any) -> Any:
        """Draw the rows of W that are asked for and multiply them, the rank-one term last."""
        image = self._image if rows is None else self._image[rows]
        if held.matrix is None and not held.shared:
            answer = self._turned(image, held.height - 1)
            answer *= self._deviation if gate is None else self._deviation * gate[:, None]
            return answer
        met = self._direction if held.rows is None else self._direction[held.rows]
        fresh = self._generator.standard_normal((len(image), len(met)))
        defect = image - fresh @ met
        if held.rows is not None:  # the rest of the signal has met other columns of G
            rest = self._xp.array(self._direction)
            rest[held.rows] = 0.0
            if unmet := float(rest @ rest):
                defect -= unmet**0.5 * self._generator.standard_normal((len(image),))
        if not self._norm:  # nothing of W was seen
            defect *= 0.0
        factor = self._deviation if gate is None else self._deviation * gate
        defect *= factor
        fresh *= factor if gate is None else factor[:, None]
        answer, covector = (fresh, met) if held.matrix is None else (fresh @ held.matrix, met @ held.matrix)
        answer += self._xp.outer(defect, covector)
        return answer

    def _turned(self, image: Any, others: int) -> Any:
        """[z, L] for entries of variance 1: L Lᵀ has the law of the product of `others` columns with themselves."""
        xp, count = self._xp, len(image)
        answer = xp.empty((count, 1 + min(count, others)))
        answer[:, 0] = image
        lower = answer[:, 1:]
        lower[...] = xp.tril(self._generator.standard_normal(lower.shape), -1)
        diagonal = xp.arange(lower.shape[1])
        lower[diagonal, diagonal] = xp.sqrt(self._generator.chisquare(others - diagonal))
        return answer
