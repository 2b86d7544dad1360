"""The formula reading of laws: equations, transforms, edges and derivations step by step. Alone imports sympy."""

from rmt.symbolic import polynomial_operations
from rmt.symbolic.bivariate import Bivariate
from rmt.symbolic.derivation import Derivation, Step
from rmt.symbolic.notation import law_to_latex
from rmt.symbolic.polynomial import bivariate, polynomial
from rmt.symbolic.rules import derive

__all__ = ["Bivariate", "Derivation", "Step", "bivariate", "derive", "law_to_latex", "polynomial",
           "polynomial_operations"]
