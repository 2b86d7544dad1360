"""The symbols of every derivation, without assumptions, so that a user's ``sympy.symbols("G z m")`` are the same."""

from __future__ import annotations

import sympy as sp

__all__ = ["G", "R", "S", "eta", "g", "m", "w", "z"]

G, z, m, g = sp.symbols("G z m g")
# of the other encodings: S(m), R(g), and eta at w = 1/z
S, R, eta, w = sp.symbols("S R eta w")
