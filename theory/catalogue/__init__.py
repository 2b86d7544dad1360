"""The published results that the toolkit carries: formulas, hypotheses, sources, derivations, and checks.

The entries are built when they are first asked for, so that importing this package loads no sympy.

Examples
--------
>>> from theory import catalogue
>>> catalogue.entry("fuss-catalan-edge").statement[0]
Eq(x_max, (L + 1)**(L + 1)/L**L)
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from theory.catalogue.published import Entry

__all__ = ["TOPICS", "entries", "entry", "keys"]

# Title of each topic -> the module that holds its entries, in the order in which they are listed.
TOPICS: Mapping[str, str] = {
    "Free probability": "free_probability",
    "The polynomial method": "polynomial_method",
    "Explicit laws": "laws",
    "Gaussian averages of activations": "averages",
    "Plain chains": "chains",
    "Signals in deep chains": "signals",
    "Products and largest eigenvalues": "products",
    "Deep limits and rectangular chains": "classes",
    "Layers and ensembles of weights": "layers",
    "Residual blocks": "blocks",
    "The universal law of residual networks": "residual",
    "Sample variance and orthogonal filters": "correlations",
    "Random features": "features",
    "Loss surface at width one": "width_one",
    "Products of weights": "weights",
    "Norms at finite width": "finite_width",
    "Angles at finite width": "angles",
    "Gradients at finite width": "gradients",
    "Lyapunov exponents and deep products": "exponents",
}


@functools.cache
def _topic(title: str) -> tuple[Entry, ...]:
    found: tuple[Entry, ...] = import_module(f"theory.catalogue.{TOPICS[title]}").build()
    return found


def entries(topic: str | None = None) -> tuple[Entry, ...]:
    """All entries, or those of one topic, in the order of the list.

    Raises
    ------
    ValueError
        If there is no such topic.
    """
    if topic is None:
        return tuple(found for title in TOPICS for found in _topic(title))
    if topic not in TOPICS:
        raise ValueError(f"unknown topic {topic!r}: choose one of {', '.join(TOPICS)}")
    return _topic(topic)


def keys() -> tuple[str, ...]:
    """The keys of all entries."""
    return tuple(found.key for found in entries())


def entry(key: str) -> Entry:
    """The entry of a key.

    Raises
    ------
    ValueError
        If there is no such entry; the message names those that come close.
    """
    by_key = {found.key: found for found in entries()}
    if key in by_key:
        return by_key[key]
    from difflib import get_close_matches

    close = get_close_matches(key, by_key, n=4, cutoff=0.3)
    hint = f"did you mean {', '.join(close)}?" if close else "'rmt catalogue' lists the keys"
    raise ValueError(f"unknown entry {key!r}: {hint}")
