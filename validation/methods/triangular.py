"""Masked chains as products of triangular factors of the active rows, decomposed in double precision.

`validation.masked_chain` says which networks are chains of independent matrices with 0/1 masks. What the masks leave of
``D_l V_l D_{l-1}`` is a k_l x k_{l-1} block, k_l the number of active units (k_0 = n_0). Let k_j be the smallest of
them. From there to the left, the QR factors of a product with k_j columns: V_{j+1} = Q R, and V_{j+2} Q has the law of
V_{j+2} restricted to k_j columns, as the laws are invariant under rotations; and so on. To the right, LQ factors of k_j
rows likewise. So the non-zero singular values are jointly those of a product of L independent square matrices of size
k_j, one for each layer, each in law the square root of A'A, with A of k_l or k_{l-1} rows (k_j itself is dropped) and
k_j columns, times a Haar matrix on either side (Ipsen and Kieburg, Phys. Rev. E 89 (2014) 032106, section II). A QR
sweep from the right makes each of these upper triangular and keeps them independent:

- Gaussian: Bartlett's factor, chi variates of k, k - 1, ... degrees of freedom on the diagonal, N(0, 1) above it;
- orthogonal: k rows of an isometry of n rows and k_j columns, which is a Gaussian matrix (X; Y) times the inverse of
  its own triangular factor C; hence R_X C^-1 with R_X Bartlett's factor, and C that of the factors of X and Y together.
  With no mask the layer is a rotation and drops out.

Work and random numbers of relu chains fall by factors of tens. The product of triangular factors is graded, rows in
falling order of size, which is why a plain decomposition gives *every* singular value to nearly full relative
precision, whatever the condition number, as long as the range fits doubles; the dense product has lost all but the
largest there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from validation.chunk import Chunk
from validation.masked_chain import MaskedChain, masked_chain, obstacle
from validation.methods.method import Method
from validation.store import Columns

__all__ = ["METHOD", "log_range", "sample_chain"]

# Of the logarithm of the condition number; doubles span e^1416, and rounding needs some of it.
LARGEST_RANGE = 600.0


def log_range(chain: MaskedChain) -> float:
    """An upper estimate of the logarithm of the condition number: of the diagonals of the factors, and 8 deviations.

    The number of active units is taken to be the mean in each layer, the size the least of these; a smaller size, which
    fluctuations give, narrows the range.
    """
    from scipy.special import digamma

    freedom, size = chain.typical
    if size == 0:
        return 0.0
    total = np.maximum(chain.widths[1:], chain.widths[:-1])
    wide, narrow = 0.5 * freedom, 0.5 * (freedom - size + 1)
    mean = digamma(wide) - digamma(narrow)
    # of Beta variates, whose second parameter is the same at both ends
    rest = 0.5 * (total - freedom)
    beta = mean - digamma(wide + rest) + digamma(narrow + rest)
    widths: npt.NDArray[np.float64] = np.where(chain.orthogonal, beta, mean)
    return float(0.5 * widths.sum() + 8.0 * 1.2 * math.sqrt(len(widths)))


def sample_chain(chunk: Chunk, kernel: Callable[..., None], *arguments: Any) -> Columns:
    """A chunk of a masked chain by a kernel of `validation.kernels.chains`; `arguments` follow widths and masks."""
    began = time.perf_counter()
    chain = masked_chain(chunk.net, chunk.width)
    if isinstance(chain, str):
        raise ValueError(f"method={chunk.method!r} cannot sample this network: {chain}")
    count, n_out = chunk.stop - chunk.start, int(chain.widths[-1])
    key = np.random.SeedSequence(chunk.seed, spawn_key=(chunk.width,)).generate_state(8, np.uint64)
    fixed = -1.0
    if chunk.x is not None:
        x = np.asarray(chunk.x)
        fixed = float(x @ x) / len(x) * chunk.width
    values = np.full((count, n_out), -np.inf)
    rank = np.zeros(count, dtype=np.int64)
    squares = np.empty((count, 2))
    kernel(
        key, chunk.start, chain.widths, chain.keep, *arguments, chain.log_scale, fixed, chunk.q0, values, rank, squares
    )
    return {
        "log_singular_values": values,
        "rank": rank,
        "resolved": rank.copy(),
        "log_floor": np.full(count, -np.inf),
        "input_square": squares[:, 0] / chunk.width,
        "output_square": squares[:, 1] / n_out,
        "seconds": np.full(count, (time.perf_counter() - began) / max(count, 1)),
    }


def _obstacle(chunk: Chunk) -> str | None:
    if (clause := obstacle(chunk)) is not None:
        return clause
    chain = masked_chain(chunk.net, chunk.width)
    assert isinstance(chain, MaskedChain)
    reach = log_range(chain)
    if reach <= LARGEST_RANGE:
        return None
    return f"singular values may differ by a factor e^{reach:.0f} (needed: at most e^{LARGEST_RANGE:.0f})"


def _merit(_chunk: Chunk) -> str:
    return "a masked chain: the same law by triangular factors of the active rows, every singular value resolved"


def _sample(chunk: Chunk) -> Columns:
    from validation.kernels.chains import sample_triangular

    chain = masked_chain(chunk.net, chunk.width)
    assert isinstance(chain, MaskedChain)
    return sample_chain(chunk, sample_triangular, chain.haar_sizes)


METHOD = Method(
    name="triangular",
    summary="chains with 0/1 slopes: random masks, triangular factors of the active rows",
    obstacle=_obstacle,
    merit=_merit,
    sample=_sample,
)
