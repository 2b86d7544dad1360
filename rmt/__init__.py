"""Free-probability engine: laws, operations on them, and everything that can be asked of a law.

Every name is loaded when it is first used, so that ``import rmt`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rmt.results import ConvergenceError, Curve, PreconditionError, Status, load_curve
from rmt.support import Edge, Support

if TYPE_CHECKING:
    from rmt import symbolic
    from rmt.algebra.affine import Affine
    from rmt.algebra.compression import Compression
    from rmt.algebra.free_power import FreePower, FreeSumPower
    from rmt.algebra.free_product import FreeProduct
    from rmt.algebra.free_sum import FreeSum
    from rmt.algebra.gated import GatedLayer
    from rmt.algebra.inverse import Inverse
    from rmt.algebra.mixture import Mixture
    from rmt.algebra.polynomial_image import PolynomialImage
    from rmt.algebra.polynomial_law import PolynomialLaw, polynomial_law
    from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
    from rmt.algebra.rectangular import RectangularSum
    from rmt.algebra.residual import ResidualSum
    from rmt.finite.gaussian import GOE, GUE
    from rmt.finite.largest import EdgeScaling, LargestEigenvalue, edge_scaling
    from rmt.finite.tracy_widom import TracyWidom
    from rmt.finite.wishart import Wishart
    from rmt.law import Law
    from rmt.laws.arcsine import Arcsine
    from rmt.laws.cauchy import Cauchy
    from rmt.laws.discrete import Discrete
    from rmt.laws.empirical import Empirical
    from rmt.laws.free_jacobi import FreeJacobi
    from rmt.laws.free_multiplicative_brownian import FreeMultiplicativeBrownian
    from rmt.laws.free_multiplicative_poisson import FreeMultiplicativePoisson
    from rmt.laws.free_poisson import FreePoisson
    from rmt.laws.free_stable import FreeStable
    from rmt.laws.fuss_catalan import FussCatalan
    from rmt.laws.gaussian import Gaussian
    from rmt.laws.implicit import ImplicitLaw
    from rmt.laws.kesten_mckay import KestenMcKay
    from rmt.laws.marchenko_pastur import MarchenkoPastur
    from rmt.laws.semicircle import Semicircle
    from rmt.laws.uniform import Uniform
    from rmt.laws.universal_resnet import UniversalResNet
    from rmt.references import cite
    from rmt.symbolic import Derivation, derive

__all__ = [
    "GOE",
    "GUE",
    "Affine",
    "Arcsine",
    "Cauchy",
    "Compression",
    "ConvergenceError",
    "Curve",
    "Derivation",
    "Discrete",
    "Edge",
    "EdgeScaling",
    "Empirical",
    "FreeJacobi",
    "FreeMultiplicativeBrownian",
    "FreeMultiplicativePoisson",
    "FreePoisson",
    "FreePower",
    "FreeProduct",
    "FreeStable",
    "FreeSum",
    "FreeSumPower",
    "FussCatalan",
    "GatedLayer",
    "Gaussian",
    "ImplicitLaw",
    "Inverse",
    "KestenMcKay",
    "LargestEigenvalue",
    "Law",
    "MarchenkoPastur",
    "Mixture",
    "PolynomialImage",
    "PolynomialLaw",
    "PreconditionError",
    "RectangularSum",
    "ResidualSum",
    "Semicircle",
    "Sqrt",
    "Square",
    "Status",
    "Support",
    "Symmetrized",
    "TracyWidom",
    "Uniform",
    "UniversalResNet",
    "Wishart",
    "cite",
    "derive",
    "edge_scaling",
    "load_curve",
    "polynomial_law",
    "symbolic",
]

# sympy (behind `derive`) takes half a second to load; a law must not wait for it
_HOMES = {
    "Affine": "rmt.algebra.affine",
    "Arcsine": "rmt.laws.arcsine",
    "Cauchy": "rmt.laws.cauchy",
    "Compression": "rmt.algebra.compression",
    "Derivation": "rmt.symbolic",
    "Discrete": "rmt.laws.discrete",
    "EdgeScaling": "rmt.finite.largest",
    "Empirical": "rmt.laws.empirical",
    "FreeJacobi": "rmt.laws.free_jacobi",
    "FreeMultiplicativeBrownian": "rmt.laws.free_multiplicative_brownian",
    "FreeMultiplicativePoisson": "rmt.laws.free_multiplicative_poisson",
    "FreePoisson": "rmt.laws.free_poisson",
    "FreePower": "rmt.algebra.free_power",
    "FreeProduct": "rmt.algebra.free_product",
    "FreeStable": "rmt.laws.free_stable",
    "FreeSum": "rmt.algebra.free_sum",
    "FreeSumPower": "rmt.algebra.free_power",
    "FussCatalan": "rmt.laws.fuss_catalan",
    "GOE": "rmt.finite.gaussian",
    "GUE": "rmt.finite.gaussian",
    "GatedLayer": "rmt.algebra.gated",
    "Gaussian": "rmt.laws.gaussian",
    "ImplicitLaw": "rmt.laws.implicit",
    "Inverse": "rmt.algebra.inverse",
    "KestenMcKay": "rmt.laws.kesten_mckay",
    "LargestEigenvalue": "rmt.finite.largest",
    "Law": "rmt.law",
    "MarchenkoPastur": "rmt.laws.marchenko_pastur",
    "Mixture": "rmt.algebra.mixture",
    "PolynomialImage": "rmt.algebra.polynomial_image",
    "PolynomialLaw": "rmt.algebra.polynomial_law",
    "RectangularSum": "rmt.algebra.rectangular",
    "ResidualSum": "rmt.algebra.residual",
    "Semicircle": "rmt.laws.semicircle",
    "Sqrt": "rmt.algebra.pushforward",
    "Square": "rmt.algebra.pushforward",
    "Symmetrized": "rmt.algebra.pushforward",
    "TracyWidom": "rmt.finite.tracy_widom",
    "Uniform": "rmt.laws.uniform",
    "UniversalResNet": "rmt.laws.universal_resnet",
    "Wishart": "rmt.finite.wishart",
    "cite": "rmt.references",
    "derive": "rmt.symbolic",
    "edge_scaling": "rmt.finite.largest",
    "polynomial_law": "rmt.algebra.polynomial_law",
}


def __getattr__(name: str) -> Any:
    if name == "symbolic":
        return import_module("rmt.symbolic")
    if name not in _HOMES:
        raise AttributeError(f"module 'rmt' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
