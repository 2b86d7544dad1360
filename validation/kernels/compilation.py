"""How kernels are compiled; the options are the same for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["kernel"]

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reordered and products fused, which makes them four times faster; NaN and infinity keep their meaning.
_SUMS = {"contract", "nsz", "reassoc"}
_ORDERED = {"contract", "nsz"}


def kernel(inner: bool = False, inline: bool = False, ordered: bool = False) -> Callable[[Function], Function]:
    """A decorator that compiles at the first call and caches on disk.

    The cache looks at the function's own file alone: after a change in another one that it calls, delete the cache.

    Parameters
    ----------
    inner : bool
        Called by compiled code only: needs no other entry, which would take as long to compile as itself.
    inline : bool
        Copied into its callers, which are then compiled with it; implies `inner`.
    ordered : bool
        Sums and products are taken in the order written, where another one could overflow.
    """
    entries = {"no_cpython_wrapper": inner or inline, "no_cfunc_wrapper": True}
    decorate: Callable[[Function], Function] = numba.njit(
        cache=True, error_model="numpy", fastmath=_ORDERED if ordered else _SUMS, forceinline=inline, **entries
    )
    return decorate
