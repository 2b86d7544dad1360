"""Far away, where ``m ~ exp(b) z**-a``: the tails (a, b) of sums and products of laws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmt.numeric.jet import ComplexArray, log_lower

__all__ = ["added_tails", "multiplied_tails", "own_log_z"]


def added_tails(tails: Sequence[tuple[float, complex]], variance: float) -> tuple[float, complex]:
    """Tail of a free sum: R ~ exp(b) g**(a - 1) at small g, and the smallest a outweighs the others."""
    a = min(order for order, _ in tails)
    parts = np.array([np.exp(b) for order, b in tails if order == a])
    leading = parts.sum()
    if a == 1 and abs(leading) < 1e-14 * np.abs(parts).sum():  # means that cancel
        return 2.0, complex(np.log(variance))
    return a, complex(log_lower(np.array(leading, dtype=complex)))


def multiplied_tails(tails: Sequence[tuple[float, complex]], exponents: Sequence[float]) -> tuple[float, complex]:
    """Tail of a free product of powers: log S ~ (1/a - 1) log m - b/a, and these add."""
    a = 1 / (1 + sum(t * (1 / order - 1) for t, (order, _) in zip(exponents, tails, strict=True)))
    return a, a * sum(t * b / order for t, (order, b) in zip(exponents, tails, strict=True))


def own_log_z(whole: tuple[float, complex], own: tuple[float, complex], log_z: ComplexArray) -> ComplexArray:
    """Where a factor has, far away, the m of the whole product at z."""
    log_m = whole[1] - whole[0] * log_z
    out: ComplexArray = (own[1] - log_m) / own[0]
    return out
