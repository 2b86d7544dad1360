"""Which method samples which network: a ladder that can be asked and overridden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from validation.chunk import Chunk
from validation.methods import batched, conditioned, deep, forward, graded, lanczos, triangular
from validation.methods.method import Method
from validation.tables import text_table

__all__ = ["METHODS", "Plan", "make_plan"]

# The first that has no obstacle and some merit is taken.
LADDER = (
    batched.METHOD,
    deep.METHOD,
    triangular.METHOD,
    lanczos.METHOD,
    graded.METHOD,
    conditioned.METHOD,
    forward.METHOD,
)

METHODS: Mapping[str, Method] = {method.name: method for method in LADDER}


@dataclass(frozen=True)
class Plan:
    """The method chosen for a network at one width, and why not the others.

    Attributes
    ----------
    width : int
    method : str
        Name of the method.
    reason : str
        Why it was taken.
    rejected : mapping
        Of every other method, why it was not.
    """

    width: int
    method: str
    reason: str
    rejected: Mapping[str, str]

    def __str__(self) -> str:
        rows = [(self.method, METHODS[self.method].summary, f"taken: {self.reason}")]
        rows += [(name, METHODS[name].summary, why) for name, why in self.rejected.items()]
        return f"width {self.width}\n" + text_table(rows, ("method", "what it does", "choice"))


def make_plan(chunk: Chunk, method: str | None) -> Plan:
    """Choose the method of a chunk, or check the one asked for.

    Parameters
    ----------
    chunk : Chunk
        Its network, width, input and backend are looked at.
    method : str or None
        A name of `METHODS` to force, or None for the first of the ladder that can and should be taken.

    Raises
    ------
    ValueError
        If the method is unknown, or cannot sample this network.
    """
    if method is not None and method not in METHODS:
        known = ", ".join(METHODS)
        raise ValueError(f"method={method!r} is unknown; choose one of {known}, or None to let it be planned")
    rejected: dict[str, str] = {}
    taken: tuple[str, str] | None = None
    for candidate in LADDER:
        asked = replace(chunk, method=candidate.name)
        obstacle = candidate.obstacle(asked)
        if chunk.dtype not in candidate.precisions:
            obstacle = f"it computes in {' and '.join(candidate.precisions)} only"
        if candidate.name == method:
            if obstacle is not None:
                raise ValueError(f"method={method!r} cannot sample this network: {obstacle}")
            taken = (candidate.name, "asked for")
        elif obstacle is not None:
            rejected[candidate.name] = obstacle
        elif method is not None:
            rejected[candidate.name] = f"{method} was asked for"
        elif taken is not None:
            rejected[candidate.name] = f"{taken[0]} comes first"
        elif (merit := candidate.merit(asked)) is None:
            rejected[candidate.name] = "possible, but another method is better here"
        else:
            taken = (candidate.name, merit)
    assert taken is not None  # the reference has neither obstacle nor lack of merit
    return Plan(chunk.width, *taken, rejected)
