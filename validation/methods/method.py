"""What a sampling method is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from validation.chunk import Chunk
from validation.store import Columns

__all__ = ["Method"]


@dataclass(frozen=True)
class Method:
    """A way to sample the log singular values of a network's Jacobian.

    Attributes
    ----------
    name : str
        What ``method=`` takes.
    summary : str
        One line for tables: what is drawn, and what is not.
    obstacle : callable
        Why the method cannot sample this network at this width, in a clause that ends with what would be needed
        ("the activation tanh has slopes other than 0 and 1"), or None if it can. Looks at the description,
        draws nothing.
    merit : callable
        Why it is the one to take where it can be taken, or None if another one further down the ladder is better.
    sample : callable
        Replicas ``chunk.start`` to ``chunk.stop - 1`` as the columns of `validation.samples.WidthSample`, a row a
        replica. The bits of a row depend on ``(chunk.seed, chunk.width, replica)`` alone. Runs with one BLAS thread.
    precisions : tuple of str
        Values of ``dtype=`` that it computes in.
    """

    name: str
    summary: str
    obstacle: Callable[[Chunk], str | None]
    merit: Callable[[Chunk], str | None]
    sample: Callable[[Chunk], Columns]
    precisions: tuple[str, ...] = ("float64",)
