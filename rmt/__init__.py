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
    from rmt.algebra.pushforward import Sqrt, Square, Symmetrized
    from rmt.algebra.residual import ResidualSum
    from rmt.law import Law
    from rmt.laws.discrete import Discrete
    from rmt.laws.fuss_catalan import FussCatalan
    from rmt.laws.marchenko_pastur import MarchenkoPastur
    from rmt.laws.semicircle import Semicircle
    from rmt.laws.universal_resnet import UniversalResNet
    from rmt.references import cite
    from rmt.symbolic import Derivation, derive

__all__ = [
    "Affine",
    "Compression",
    "ConvergenceError",
    "Curve",
    "Derivation",
    "Discrete",
    "Edge",
    "FreePower",
    "FreeProduct",
    "FreeSum",
    "FreeSumPower",
    "FussCatalan",
    "Law",
    "MarchenkoPastur",
    "PreconditionError",
    "ResidualSum",
    "Semicircle",
    "Sqrt",
    "Square",
    "Status",
    "Support",
    "Symmetrized",
    "UniversalResNet",
    "cite",
    "derive",
    "load_curve",
    "symbolic",
]

# sympy (behind `derive`) takes half a second to load; a law must not wait for it
_HOMES = {
    "Affine": "rmt.algebra.affine",
    "Compression": "rmt.algebra.compression",
    "Derivation": "rmt.symbolic",
    "Discrete": "rmt.laws.discrete",
    "FreePower": "rmt.algebra.free_power",
    "FreeProduct": "rmt.algebra.free_product",
    "FreeSum": "rmt.algebra.free_sum",
    "FreeSumPower": "rmt.algebra.free_power",
    "FussCatalan": "rmt.laws.fuss_catalan",
    "Law": "rmt.law",
    "MarchenkoPastur": "rmt.laws.marchenko_pastur",
    "ResidualSum": "rmt.algebra.residual",
    "Semicircle": "rmt.laws.semicircle",
    "Sqrt": "rmt.algebra.pushforward",
    "Square": "rmt.algebra.pushforward",
    "Symmetrized": "rmt.algebra.pushforward",
    "UniversalResNet": "rmt.laws.universal_resnet",
    "cite": "rmt.references",
    "derive": "rmt.symbolic",
}


def __getattr__(name: str) -> Any:
    if name == "symbolic":
        return import_module("rmt.symbolic")
    if name not in _HOMES:
        raise AttributeError(f"module 'rmt' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
