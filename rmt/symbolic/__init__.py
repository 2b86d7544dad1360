"""The formula reading of laws: equations, transforms, edges and derivations step by step. Alone imports sympy."""

# the rules of `derive` register themselves
import rmt.symbolic.families
import rmt.symbolic.given
import rmt.symbolic.images
import rmt.symbolic.matrix_models
import rmt.symbolic.operations  # noqa: F401
from rmt.symbolic import polynomial_operations
from rmt.symbolic.algebraic_density import algebraic_cauchy, algebraic_density
from rmt.symbolic.bivariate import Bivariate
from rmt.symbolic.branch_points import branch_points, discriminant
from rmt.symbolic.derivation import Derivation, ParametricDensity, Step
from rmt.symbolic.dispatch import derive
from rmt.symbolic.holonomic import moment_recurrence
from rmt.symbolic.notation import law_to_latex
from rmt.symbolic.polynomial import bivariate, polynomial
from rmt.symbolic.recognition import recognise

__all__ = [
    "Bivariate",
    "Derivation",
    "ParametricDensity",
    "Step",
    "algebraic_cauchy",
    "algebraic_density",
    "bivariate",
    "branch_points",
    "derive",
    "discriminant",
    "law_to_latex",
    "moment_recurrence",
    "polynomial",
    "polynomial_operations",
    "recognise",
]
