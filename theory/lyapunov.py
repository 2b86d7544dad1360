"""Lyapunov exponents of products of Gaussian matrices at finite width: real, complex, and masked by a ReLU.

A new Gaussian factor acts on the k-volume spanned by the first k directions of the product so far as a Wishart matrix
that does not depend on the past, so that the logarithms of the diagonal of the QR decomposition are sums of independent
terms with a known law (Newman 1986 for real matrices; the masked case is derived here).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln, polygamma

from rmt.parameters import check_number
from theory.log_law import check_count

__all__ = ["LyapunovSpectrum", "lyapunov_spectrum"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """Lyapunov exponents of a product of independent N × N factors.

    Attributes
    ----------
    exponents : array of shape (N,)
        lim (1/L) ln s_k of the singular values, decreasing in k.
    variances : array of shape (N,)
        Variance that a layer adds to ln of the k-th diagonal element of the QR decomposition: ln s_k of L factors is
        near N(L exponent, L variance) once the exponents are resolved.
    rank : array of shape (N,)
        Probability that a factor has at least k rows that are not masked. Exponent and variance are those given that
        all factors have; where it is below 1, the k-th singular value is 0 from some depth on.
    """

    exponents: FloatArray
    variances: FloatArray
    rank: FloatArray

    def resolution(self, depth: int) -> FloatArray:
        """Standard deviation of ln s_k over its distance to the next exponent, after `depth` factors, shape (N-1,).

        Small when single singular values are told apart, which takes a depth well above the width:
        √(2(N-k+1)/L) for real, √((N-k+1)/L) for complex matrices, to leading order (derived here).

        Raises
        ------
        ValueError
            If depth is not an integer >= 1.
        """
        depth = check_count("depth", depth)
        return np.sqrt(self.variances[:-1] / depth) / -np.diff(self.exponents)


def lyapunov_spectrum(width: int, ensemble: str = "real", *, open_probability: float = 1.0) -> LyapunovSpectrum:
    """Exponents of products of N × N Gaussian matrices, whose rows are kept with a probability p (ReLU: 1/2).

    The entries have variance 1/(p N), which keeps the mean square of a signal. Real: ½[ψ((K-k+1)/2) + ln(2/(pN))],
    complex: ½[ψ(K-k+1) - ln(pN)], averaged over the number K ~ Bin(N, p) of rows that are kept, given K >= k. The masks
    of a ReLU network are of this kind, as the sign of a Gaussian pre-activation tells nothing of its size. For p = 1
    and large N, e^{2 exponent} is uniform on [0, 1].

    Parameters
    ----------
    width : int
        N.
    ensemble : str
        ``"real"`` or ``"complex"``.
    open_probability : float
        p in (0, 1].

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> lyapunov_spectrum(2).exponents.round(6)
    array([-0.288608, -0.981755])
    """
    n = check_count("width", width)
    p = float(check_number("open_probability", open_probability, above=0, at_most=1))
    if ensemble not in ("real", "complex"):
        raise ValueError(f"ensemble={ensemble!r}: choose real or complex")
    half = 0.5 if ensemble == "real" else 1.0  # degrees of freedom of |entry|², over 2
    rows = np.arange(n + 1)
    if p == 1:
        log_mass = np.where(rows == n, 0.0, -np.inf)
    else:
        log_mass = gammaln(n + 1) - gammaln(rows + 1) - gammaln(n - rows + 1)
        log_mass += rows * math.log(p) + (n - rows) * math.log1p(-p)
    exponents, variances, rank = np.empty(n), np.empty(n), np.empty(n)
    for k in range(1, n + 1):
        order = half * (rows[k:] - k + 1)
        top = log_mass[k:].max()  # given K >= k, however unlikely that is
        weight = np.exp(log_mass[k:] - top)
        total = float(weight.sum())
        rank[k - 1] = math.exp(top) * total
        weight /= total
        means = digamma(order)
        centre = float(weight @ means)
        exponents[k - 1] = 0.5 * (centre - math.log(half * p * n))
        variances[k - 1] = 0.25 * float(weight @ (polygamma(1, order) + (means - centre) ** 2))
    return LyapunovSpectrum(exponents, variances, np.minimum(rank, 1.0))
