"""`derive`: from a law to its derivation, one rule a class; the rules are in `families` and `operations`."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from rmt.symbolic.derivation import Derivation
from rmt.symbolic.s_algebra import unavailable

__all__ = ["derive"]


@singledispatch
def derive(law: Any) -> Derivation:
    """Derivation of a law: equation of its Cauchy transform, transforms, edges and moments, step by step.

    Parameters of the law may be sympy symbols or numbers; exact parameters give exact formulas.

    Raises
    ------
    NotImplementedError
        If there is no equation to derive; the message says why, and what to do instead.

    Examples
    --------
    >>> import rmt
    >>> print(derive(rmt.Semicircle(variance=2)).equation)
    Eq(2*G**2 - G*z + 1, 0)
    """
    raise unavailable(law, "derivation", "its numbers are there (cauchy, …); for a network use theory.derive(net)")
