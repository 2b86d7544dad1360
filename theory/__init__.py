"""Limit laws of networks: descriptions of networks, signal propagation, and the laws of their Jacobians.

Every name is loaded when it is first used, so that ``import theory`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# not lazily: once loaded, the module of the same name would stand in the place of the function
from theory.outlier import outlier

if TYPE_CHECKING:
    from theory import catalogue
    from theory.activations import ACTIVATION_NAMES, get_activation
    from theory.derivation import derive
    from theory.extremes import condition_number, largest_eigenvalue, spectral_norm
    from theory.gain import GainLaw, gain_law
    from theory.gated import gated_layer_law
    from theory.jacobian import jacobian_law
    from theory.limits import limit_law
    from theory.network import (
        Activation,
        BatchNorm,
        Chain,
        Dense,
        Dropout,
        LayerNorm,
        OrthogonalFilterNet,
        Repeat,
        Residual,
        ResNet,
        Scale,
        Sequential,
        describe,
    )
    from theory.phases import (
        FixedPoint,
        PhaseDiagram,
        ResidualGrowth,
        fixed_point,
        phase_diagram,
        residual_growth,
        stable_resnet,
    )
    from theory.propagation import Propagation, effective_cumulant, propagate
    from theory.tuning import critical_sigma_w, tune

__all__ = [
    "ACTIVATION_NAMES",
    "Activation",
    "BatchNorm",
    "Chain",
    "Dense",
    "Dropout",
    "FixedPoint",
    "GainLaw",
    "LayerNorm",
    "OrthogonalFilterNet",
    "PhaseDiagram",
    "Propagation",
    "Repeat",
    "ResNet",
    "Residual",
    "ResidualGrowth",
    "Scale",
    "Sequential",
    "catalogue",
    "condition_number",
    "critical_sigma_w",
    "derive",
    "describe",
    "effective_cumulant",
    "fixed_point",
    "gain_law",
    "gated_layer_law",
    "get_activation",
    "jacobian_law",
    "largest_eigenvalue",
    "limit_law",
    "outlier",
    "phase_diagram",
    "propagate",
    "residual_growth",
    "spectral_norm",
    "stable_resnet",
    "tune",
]

_HOMES = {
    "ACTIVATION_NAMES": "theory.activations",
    "Activation": "theory.network",
    "BatchNorm": "theory.network",
    "Chain": "theory.network",
    "Dense": "theory.network",
    "Dropout": "theory.network",
    "FixedPoint": "theory.phases",
    "GainLaw": "theory.gain",
    "LayerNorm": "theory.network",
    "OrthogonalFilterNet": "theory.network",
    "PhaseDiagram": "theory.phases",
    "Propagation": "theory.propagation",
    "Repeat": "theory.network",
    "ResNet": "theory.network",
    "Residual": "theory.network",
    "ResidualGrowth": "theory.phases",
    "Scale": "theory.network",
    "Sequential": "theory.network",
    "condition_number": "theory.extremes",
    "critical_sigma_w": "theory.tuning",
    "derive": "theory.derivation",
    "describe": "theory.network",
    "effective_cumulant": "theory.propagation",
    "fixed_point": "theory.phases",
    "gain_law": "theory.gain",
    "gated_layer_law": "theory.gated",
    "get_activation": "theory.activations",
    "jacobian_law": "theory.jacobian",
    "largest_eigenvalue": "theory.extremes",
    "limit_law": "theory.limits",
    "phase_diagram": "theory.phases",
    "propagate": "theory.propagation",
    "residual_growth": "theory.phases",
    "spectral_norm": "theory.extremes",
    "stable_resnet": "theory.phases",
    "tune": "theory.tuning",
}


def __getattr__(name: str) -> Any:
    if name == "catalogue":
        return import_module("theory.catalogue")
    if name not in _HOMES:
        raise AttributeError(f"module 'theory' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
