"""Products of matrices whose condition number exceeds 1e16, and all their singular values, as logarithms.

The product is kept as ``J = Q diag(exp(t)) X``, Q with orthonormal columns, X with rows of size about 1 (D. E. Stewart,
ETNA 5 (1997) 29-47; Oliveira and Stewart, Linear Algebra Appl. 309 (2000) 137-151). A factor A is taken in by the QR
decomposition ``A Q = Q' R``: then ``R diag(exp(t)) X = diag(exp(t')) X'`` with ``exp(t'_i) = R_ii exp(t_i)``, and the
rows of X' are sums of rows of X with coefficients ``R_ij/R_ii exp(t_j - t_i)``, j >= i, which do not grow as the scales
are kept in decreasing order. No number of the size of J's small singular values is ever added to one of the size of the
large ones, and what the exponent of a double cannot hold is in t.

Error. Rounding perturbs a factor to ``(1 + E) R`` with ``|E| <= eps cond(R)``, which moves each log singular value by
as much (multiplicative perturbations: Eisenstat and Ipsen, SIAM J. Numer. Anal. 32 (1995) 1972-1988). The errors of
the factors add up like independent ones. Several factors are multiplied before a decomposition where the condition
number of their product stays below `MAX_CONDITION`; it is measured, and where it is exceeded they are taken in by
halves. A single factor of a larger condition leaves no choice: its smallest singular value is known to eps cond(R).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from validation.spectrum import LogSpectrum

__all__ = ["GradedProduct", "log_singular_values_of_rows"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Each decomposition then contributes about 1e-14 to the error of a log singular value, 1e-13 where factors amplify.
MAX_CONDITION = 1e2
# Factors that are kept until a decomposition: the memory they take.
MAX_FACTORS = 16
# Singular values are computed from blocks of that many e-folds, with a margin on either side. Entries of a graded
# factor across a margin are below exp(-2 MARGIN) of the diagonal; squares of the scales of a block, which LAPACK forms,
# are far from overflow.
CORE = 200.0
MARGIN = 40.0


@dataclass(frozen=True, eq=False)
class _Factor:
    """Rows of a matrix that are not zero, which they are, and the rank of the product up to it."""

    matrix: FloatArray
    rows: IntArray
    rank: int


class GradedProduct:
    """A product ``A_m ... A_2 A_1`` under construction.

    Examples
    --------
    >>> import numpy as np
    >>> product = GradedProduct()
    >>> for _ in range(400):
    ...     product.multiply(np.diag([10.0, 1.0, 0.1]), rank=3)
    >>> (product.log_singular_values(rows=3).values / np.log(10.0)).round(9).tolist()
    [400.0, 0.0, -400.0]
    """

    def __init__(self) -> None:
        self._pending: list[_Factor] = []
        self._count = 1
        # J = Q diag(exp(t)) X, t decreasing; None stands for the identity. Rows of Q off the support are zero, left out
        self._support: IntArray | None = None
        self._q = self._x = np.empty((0, 0))
        self._log_scale = np.empty(0)

    def multiply(self, matrix: FloatArray, rank: int, rows: IntArray | None = None) -> None:
        """Multiply by a factor from the left.

        Parameters
        ----------
        matrix : array of shape (len(rows), n)
            The rows of the factor that are not zero. Kept, not copied: it must not be written into any more.
        rank : int
            Rank of the product up to and including this factor: of a matrix that is singular in other ways than by
            rows of zeros, floating point does not tell it.
        rows : integer array, optional
            Which rows those are. Default: all of them.

        Raises
        ------
        ValueError
            If squares of the entries are not finite.
        """
        if not np.isfinite(np.vdot(matrix, matrix)):
            raise ValueError(
                "the Jacobian of a layer has entries that are not finite, or whose squares are not: the network's gain "
                "exceeds the range of doubles; reduce sigma_w"
            )
        alive = np.flatnonzero(matrix.any(axis=1))
        if len(alive) < len(matrix):
            matrix = matrix[alive]
        self._pending.append(_Factor(matrix, alive if rows is None else rows[alive], rank))
        if len(self._pending) >= self._count:
            self._absorb_pending()

    def log_singular_values(self, rows: int) -> LogSpectrum:
        """All log singular values of the product, which has `rows` rows; beyond the rank ``-inf``, none unresolved."""
        self._absorb_pending()
        values = np.full(rows, -np.inf)
        rank = len(self._log_scale)
        values[:rank] = log_singular_values_of_rows(self._log_scale, self._x)
        return LogSpectrum(values=values, rank=rank, resolved=rank, log_floor=-np.inf)

    def _absorb_pending(self) -> None:
        pending, self._pending = self._pending, []
        if pending:
            self._absorb(pending)

    def _absorb(self, factors: list[_Factor]) -> None:
        support, y, common = self._support, self._q, 0.0
        for factor in factors:
            y = factor.matrix.copy() if support is None else factor.matrix[:, support] @ y
            support = factor.rows
            if largest := float(np.abs(y).max(initial=0.0)):  # gains far from 1 add up
                y /= largest
                common += math.log(largest)
        first = self._support is None
        log_size = _log_norms(y, axis=0)
        log_scale = log_size + common if first else log_size + common + self._log_scale
        # columns by decreasing size ("pre-pivoting"); one of zeros contributes nothing
        order = np.argsort(-log_scale, kind="stable")[: np.count_nonzero(log_size > -np.inf)]
        log_scale = log_scale[order]
        y = y[:, order] * np.exp(-log_size[order])
        # rows likewise, without which small slopes are lost beside large ones
        rows = np.argsort(-_log_norms(y, axis=1), kind="stable")
        q, r = np.linalg.qr(y[rows])
        # rows beyond the rank are rounding
        rank = min(factors[-1].rank, len(r))
        q, r = q[:, :rank], r[:rank]
        condition = _condition(r[:, :rank])
        if condition > MAX_CONDITION and len(factors) > 1:
            half = len(factors) // 2
            self._absorb(factors[:half])
            self._absorb(factors[half:])
            return
        self._count = _next_count(condition, len(factors))
        graded = np.triu(r) * np.exp(np.minimum(log_scale - log_scale[:rank, None], 0.0))
        log_row = _log_norms(graded, axis=1)
        graded *= np.exp(-log_row)[:, None]
        if first:
            self._x = np.zeros((rank, len(log_size)))
            self._x[:, order] = graded
        else:
            self._x = graded @ self._x[order]
        self._support, self._q, self._log_scale = factors[-1].rows[rows], q, log_scale[:rank] + log_row


def log_singular_values_of_rows(log_scale: FloatArray, x: FloatArray) -> FloatArray:
    """Log singular values, decreasing, of ``diag(exp(log_scale)) x``, whatever the range of the scales.

    One step of the QR iteration, LQ and QR, gives a triangular matrix whose rows and columns decouple as the square of
    the ratio of their scales. Blocks of it that fit the range of doubles, with margins, then have the right singular
    values inside, which LAPACK finds to high relative accuracy as the rows decrease.
    (`validation.kernels.graded` says when rotations are the faster way.)

    Parameters
    ----------
    log_scale : array of shape (r,)
        Of any range.
    x : array of shape (r, n)
        Of rank r <= n and moderate condition.
    """
    log_row = _log_norms(x, axis=1)
    order = np.argsort(-(log_scale + log_row), kind="stable")
    t = (log_scale + log_row)[order]
    if t.size == 0:
        return t
    ratios = np.exp(np.minimum(t - t[:, None], 0.0))  # exp(t_j - t_i) for j > i
    unit_rows: FloatArray = x[order] * np.exp(-log_row[order])[:, None]
    upper = _triangle(_triangle(unit_rows.T).T * ratios.T) * ratios
    values = np.empty_like(t)
    start = 0
    while start < len(t):
        stop = int(np.searchsorted(-t, -(t[start] - CORE), side="right"))
        above = int(np.searchsorted(-t, -(t[start] + MARGIN)))
        below = int(np.searchsorted(-t, -(t[stop - 1] - MARGIN), side="right"))
        middle = 0.5 * (t[start] + t[stop - 1])
        block = upper[above:below, above:below] * np.exp(t[above:below] - middle)[:, None]
        singular = np.linalg.svd(block, compute_uv=False)[start - above : stop - above]
        values[start:stop] = np.log(singular) + middle
        start = stop
    return values


def _triangle(matrix: FloatArray) -> FloatArray:
    """The factor R of a QR decomposition."""
    r: FloatArray = np.asarray(np.linalg.qr(matrix, mode="r"), dtype=np.float64)
    return r


def _log_norms(matrix: FloatArray, axis: int) -> FloatArray:
    """Logarithms of the Euclidean norms along an axis, ``-inf`` for zeros."""
    norms: FloatArray = np.linalg.norm(matrix, axis=axis)
    logs: FloatArray = np.log(norms, out=np.full_like(norms, -np.inf), where=norms > 0.0)
    return logs


def _condition(triangle: FloatArray) -> float:
    """Estimate of the condition number of an upper triangle, in the 1-norm (LAPACK's, at the cost of some products)."""
    from scipy.linalg.lapack import dtrcon

    if triangle.size == 0:
        return 1.0
    reciprocal = float(dtrcon(triangle)[0])
    return 1.0 / reciprocal if reciprocal > 0.0 else np.inf


def _next_count(condition: float, count: int) -> int:
    """How many factors the next decomposition may take, from the condition of the last one's product."""
    growth = max(math.log(condition), 1e-3) / count
    return min(max(int(math.log(MAX_CONDITION) / growth), 1), MAX_FACTORS)
