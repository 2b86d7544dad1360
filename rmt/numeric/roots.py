"""A root of a function of one real variable, without the price of importing an optimisation library for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["bracketed_root"]

_EPS = float(np.finfo(float).eps)


def bracketed_root(f: Callable[[float], float], low: float, high: float, tolerance: float = 0.0) -> float:
    """Root of a continuous ``f`` between two points at which its signs differ, to ``tolerance`` and a rounding.

    Inverse quadratic interpolation where three points promise that it is monotone between them, halving elsewhere
    (Chandrupatla, Advances in Engineering Software 28 (1997) 145).

    Raises
    ------
    ValueError
        If the signs do not differ.
    """
    a, b = low, high
    fa, fb = f(a), f(b)
    if not np.sign(fa) * np.sign(fb) <= 0:
        raise ValueError(f"f({low}) = {fa:.6g} and f({high}) = {fb:.6g}: no change of sign")
    share = 0.5
    while True:
        x = a + share * (b - a)
        fx = f(x)
        # the root lies between a and b; c is the point that one of them replaced
        if np.sign(fx) == np.sign(fa):
            c, fc = a, fa
        else:
            c, fc, b, fb = b, fb, a, fa
        a, fa = x, fx
        best, smallest = (a, fa) if abs(fa) < abs(fb) else (b, fb)
        least = (2 * _EPS * abs(best) + tolerance) / abs(b - a) if a != b else 1.0
        if least > 0.5 or smallest == 0:
            return best
        place, level = (a - b) / (c - b), (fa - fb) / (fc - fb)
        share = 0.5
        if level**2 < place and (1 - level) ** 2 < 1 - place:
            share = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        share = min(max(share, least), 1 - least)
