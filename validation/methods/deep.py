"""Masked Gaussian chains of any depth: triangular factors multiplied with the rows' scales kept apart as logarithms.

The law is that of `validation.methods.triangular`. The product of the first l factors is diag(e^levels) X with X upper
triangular and 1 on its diagonal. A further factor R raises the levels by log R_ii and adds to row i of X the rows j > i
times ``R_ij/R_ii e^(levels_j - levels_i)``. Levels drift apart in proportion to the depth, so that soon most of these
terms are beyond rounding: those below e^-46 (1e-20) are neither drawn nor added. What remains of a deep chain is one
chi variate for each row and layer, and the cost per layer falls from cubic to linear in the width.

The singular values of diag(e^levels) X come from an LQ factorisation and one-sided Jacobi rotations with scales as
logarithms (`validation.kernels.graded`): all of them right to 1e-10, over a range without limits.
"""

from __future__ import annotations

from validation.chunk import Chunk
from validation.masked_chain import MaskedChain, masked_chain, obstacle
from validation.methods.method import Method
from validation.methods.triangular import LARGEST_RANGE, log_range, sample_chain
from validation.store import Columns

__all__ = ["METHOD"]

# Depths in units of the number of active units from which neglecting terms pays for the slower products.
_DEEP = 8


def _chain(chunk: Chunk) -> MaskedChain:
    chain = masked_chain(chunk.net, chunk.width)
    assert isinstance(chain, MaskedChain)
    return chain


def _obstacle(chunk: Chunk) -> str | None:
    if (clause := obstacle(chunk)) is not None:
        return clause
    if _chain(chunk).orthogonal.any():
        return "it has orthogonal weights (needed: Gaussian ones)"
    return None


def _merit(chunk: Chunk) -> str | None:
    chain = _chain(chunk)
    reach = log_range(chain)
    if reach > LARGEST_RANGE:
        return f"singular values may differ by a factor e^{reach:.0f}, beyond the range of doubles"
    depth, size = len(chain.keep), chain.typical[1]
    if depth > _DEEP * size:
        return f"depth {depth} is large against {size} active units: most terms of the product are negligible"
    return None


def _sample(chunk: Chunk) -> Columns:
    from validation.kernels.chains import sample_deep

    return sample_chain(chunk, sample_deep)


METHOD = Method(
    name="deep",
    summary="Gaussian chains with 0/1 slopes of any depth: triangular factors with scales, only terms that count",
    obstacle=_obstacle,
    merit=_merit,
    sample=_sample,
)
