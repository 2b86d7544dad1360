"""Random weight matrices, one rule a kind of weights.

Normalisation (one for all kinds): entries of a matrix with `n_in` columns have mean 0 and variance ``1/n_in``, so that
``sigma_w`` times it keeps the mean square of a signal up to ``sigma_w**2``, whatever the shape. A generator that draws
for many replicas at once puts their axis before the matrix's two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from validation.backend import Backend

__all__ = ["WEIGHTS", "gaussian", "haar", "weight_matrix"]


def gaussian(n_out: int, n_in: int, generator: Any, _backend: Backend) -> Any:
    """Independent N(0, 1/n_in) entries (real Ginibre), shape (..., n_out, n_in)."""
    matrix = generator.standard_normal((n_out, n_in))
    matrix *= n_in**-0.5
    return matrix


def haar(n_out: int, n_in: int, generator: Any, backend: Backend) -> Any:
    """A Haar-distributed orthogonal matrix; a scaled Haar isometry or its transpose where the shape is rectangular.

    QR of a Ginibre matrix, with the signs of diag R moved into Q, without which Q is not Haar (Mezzadri,
    arXiv:math-ph/0609050, section 5). A tall matrix is scaled by ``sqrt(n_out/n_in)`` to give entries of variance
    ``1/n_in``; a wide one has it already.
    """
    tall, narrow = max(n_out, n_in), min(n_out, n_in)
    xp = backend.xp
    q, r = xp.linalg.qr(generator.standard_normal((tall, narrow)))
    diagonal = xp.sum(r * xp.eye(narrow, dtype=r.dtype), axis=-1)
    q *= xp.copysign(xp.ones_like(diagonal), diagonal)[..., None, :]
    if n_out < n_in:
        return xp.linalg.matrix_transpose(q)
    if n_out > n_in:
        q *= (n_out / n_in) ** 0.5
    return q


WEIGHTS: dict[str, Callable[[int, int, Any, Backend], Any]] = {"gaussian": gaussian, "orthogonal": haar}


def weight_matrix(kind: str, n_out: int, n_in: int, generator: Any, backend: Backend) -> Any:
    """A weight matrix of that kind at unit ``sigma_w``, shape (n_out, n_in).

    Raises
    ------
    ValueError
        If the kind of weights is unknown.
    """
    try:
        rule = WEIGHTS[kind]
    except KeyError:
        raise ValueError(f"weights={kind!r} is unknown; choose one of {', '.join(WEIGHTS)}") from None
    return rule(n_out, n_in, generator, backend)
