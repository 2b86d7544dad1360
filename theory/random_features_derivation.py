"""The quartic of random features. This module loads sympy: import it inside functions only."""

from __future__ import annotations

from typing import Any

import sympy as sp

from rmt.symbolic.derivation import G, to_sympy, z

__all__ = ["quartic"]


def quartic(eta: Any, zeta: Any, phi: Any, psi: Any) -> sp.Eq:
    """Pennington and Worah (NeurIPS 2017), Theorem 1, with the auxiliary function eliminated.

    G = (ψ/z) P(1/(zψ)) + (1-ψ)/z and P = 1 + (η-ζ) t P_φ P_ψ + t ζ P_φ P_ψ/(1 - t ζ P_φ P_ψ), P_φ = 1 + (P-1)φ,
    P_ψ = 1 + (P-1)ψ; with P - 1 = (zG-1)/ψ one has P_ψ = zG, and the denominator is cleared.
    """
    eta, zeta, phi, psi = (
        sp.Symbol(name, positive=True) if value is None else to_sympy(value)
        for name, value in (("eta", eta), ("zeta", zeta), ("phi", phi), ("psi", psi))
    )
    less = (z * G - 1) / psi
    # t P_φ P_ψ with t = 1/(zψ)
    product = (1 + less * phi) * G / psi
    cleared = (less - (eta - zeta) * product) * (1 - zeta * product) - zeta * product
    numerator = sp.expand(sp.together(cleared * psi**4))
    return sp.Eq(sp.collect(numerator, G), 0, evaluate=False)
