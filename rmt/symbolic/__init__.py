"""The formula reading of laws: equations, transforms, edges and derivations step by step. Alone imports sympy."""

# the rules of `derive` register themselves
import rmt.symbolic.families
import rmt.symbolic.given
import rmt.symbolic.images
import rmt.symbolic.matrix_models
import rmt.symbolic.operations  # noqa: F401
from rmt.symbolic.derivation import Derivation, ParametricDensity, Step
from rmt.symbolic.dispatch import derive
from rmt.symbolic.notation import law_to_latex
from rmt.symbolic.polynomial import polynomial

__all__ = ["Derivation", "ParametricDensity", "Step", "derive", "law_to_latex", "polynomial"]
