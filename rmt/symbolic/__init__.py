"""The formula reading of laws: equations, transforms, edges and derivations step by step. Alone imports sympy."""

from rmt.symbolic.derivation import Derivation, Step
from rmt.symbolic.notation import law_to_latex
from rmt.symbolic.polynomial import polynomial
from rmt.symbolic.rules import derive

__all__ = ["Derivation", "Step", "derive", "law_to_latex", "polynomial"]
