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
    from theory.angles import AngleStep, angle_step, norm_spread_step, small_angle_step
    from theory.derivation import derive
    from theory.escape import descend, escape_steps, flow_time, gradient_flow
    from theory.extremes import condition_number, largest_eigenvalue, spectral_norm
    from theory.finite_depth import finite_depth_corrections, layer_averages
    from theory.finite_width import LogNormLaw
    from theory.gain import GainLaw, gain_law
    from theory.gate_law import GateLaw
    from theory.gated import gated_layer_law
    from theory.ginibre_products import GinibreProduct
    from theory.hessian import (
        BlockMeans,
        block_means,
        directional_hessian_law,
        extreme_hessian_eigenvalues,
        hessian_rate,
        hessian_vector_product,
    )
    from theory.jacobian import jacobian_law
    from theory.limits import limit_law
    from theory.log_law import LogLaw
    from theory.lyapunov import LyapunovSpectrum, lyapunov_spectrum
    from theory.network import (
        Activation,
        BatchNorm,
        Chain,
        DeltaOrthogonal,
        Dense,
        Dropout,
        Gate,
        LayerNorm,
        OrthogonalFilterNet,
        Repeat,
        Residual,
        ResNet,
        Scale,
        Sequential,
        Sparse,
        describe,
    )
    from theory.norm_growth import (
        fourth_moments,
        log_normal_norm,
        minimum_width,
        resnet_fourth_moments,
        resnet_log_normal_norm,
        vanishing_bound,
    )
    from theory.orthogonal_filters import (
        FilterComparison,
        balanced_filter_law,
        branch_norm,
        compare_filter_with_resnet,
        filter_bounds,
        filter_law,
        filter_limit_bounds,
        log_spread,
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
    from theory.random_features import FeatureMoments, feature_moments, random_features_equation, random_features_law
    from theory.sample_variance import (
        SampleVariance,
        batch_norm_correlation,
        batch_norm_gain,
        decay_constant,
        finite_width_ratio,
        layer_norm_gain,
        rms_ratio,
        split_variance,
    )
    from theory.sensitivity import derivative
    from theory.torch_reader import from_torch
    from theory.tuning import critical_sigma_w, tune
    from theory.width_one import (
        ChainProduct,
        chain_gradient,
        chain_hessian,
        critical_scale,
        decay_rate,
        hessian_inertia,
    )

__all__ = [
    "ACTIVATION_NAMES",
    "Activation",
    "AngleStep",
    "BatchNorm",
    "BlockMeans",
    "Chain",
    "ChainProduct",
    "DeltaOrthogonal",
    "Dense",
    "Dropout",
    "FeatureMoments",
    "FilterComparison",
    "FixedPoint",
    "GainLaw",
    "Gate",
    "GateLaw",
    "GinibreProduct",
    "LayerNorm",
    "LogLaw",
    "LogNormLaw",
    "LyapunovSpectrum",
    "OrthogonalFilterNet",
    "PhaseDiagram",
    "Propagation",
    "Repeat",
    "ResNet",
    "Residual",
    "ResidualGrowth",
    "SampleVariance",
    "Scale",
    "Sequential",
    "Sparse",
    "angle_step",
    "balanced_filter_law",
    "batch_norm_correlation",
    "batch_norm_gain",
    "block_means",
    "branch_norm",
    "catalogue",
    "chain_gradient",
    "chain_hessian",
    "compare_filter_with_resnet",
    "condition_number",
    "critical_scale",
    "critical_sigma_w",
    "decay_constant",
    "decay_rate",
    "derivative",
    "derive",
    "descend",
    "describe",
    "directional_hessian_law",
    "effective_cumulant",
    "escape_steps",
    "extreme_hessian_eigenvalues",
    "feature_moments",
    "filter_bounds",
    "filter_law",
    "filter_limit_bounds",
    "finite_depth_corrections",
    "finite_width_ratio",
    "fixed_point",
    "flow_time",
    "fourth_moments",
    "from_torch",
    "gain_law",
    "gated_layer_law",
    "get_activation",
    "gradient_flow",
    "hessian_inertia",
    "hessian_rate",
    "hessian_vector_product",
    "jacobian_law",
    "largest_eigenvalue",
    "layer_averages",
    "layer_norm_gain",
    "limit_law",
    "log_normal_norm",
    "log_spread",
    "lyapunov_spectrum",
    "minimum_width",
    "norm_spread_step",
    "outlier",
    "phase_diagram",
    "propagate",
    "random_features_equation",
    "random_features_law",
    "residual_growth",
    "resnet_fourth_moments",
    "resnet_log_normal_norm",
    "rms_ratio",
    "small_angle_step",
    "spectral_norm",
    "split_variance",
    "stable_resnet",
    "tune",
    "vanishing_bound",
]

_HOMES = {
    "ACTIVATION_NAMES": "theory.activations",
    "Activation": "theory.network",
    "AngleStep": "theory.angles",
    "BatchNorm": "theory.network",
    "BlockMeans": "theory.hessian",
    "Chain": "theory.network",
    "ChainProduct": "theory.width_one",
    "DeltaOrthogonal": "theory.network",
    "Dense": "theory.network",
    "Dropout": "theory.network",
    "FeatureMoments": "theory.random_features",
    "FilterComparison": "theory.orthogonal_filters",
    "FixedPoint": "theory.phases",
    "GainLaw": "theory.gain",
    "Gate": "theory.network",
    "GateLaw": "theory.gate_law",
    "GinibreProduct": "theory.ginibre_products",
    "LayerNorm": "theory.network",
    "LogLaw": "theory.log_law",
    "LogNormLaw": "theory.finite_width",
    "LyapunovSpectrum": "theory.lyapunov",
    "OrthogonalFilterNet": "theory.network",
    "PhaseDiagram": "theory.phases",
    "Propagation": "theory.propagation",
    "Repeat": "theory.network",
    "ResNet": "theory.network",
    "Residual": "theory.network",
    "ResidualGrowth": "theory.phases",
    "SampleVariance": "theory.sample_variance",
    "Scale": "theory.network",
    "Sequential": "theory.network",
    "Sparse": "theory.network",
    "angle_step": "theory.angles",
    "balanced_filter_law": "theory.orthogonal_filters",
    "batch_norm_correlation": "theory.sample_variance",
    "batch_norm_gain": "theory.sample_variance",
    "block_means": "theory.hessian",
    "branch_norm": "theory.orthogonal_filters",
    "chain_gradient": "theory.width_one",
    "chain_hessian": "theory.width_one",
    "compare_filter_with_resnet": "theory.orthogonal_filters",
    "condition_number": "theory.extremes",
    "critical_scale": "theory.width_one",
    "critical_sigma_w": "theory.tuning",
    "decay_constant": "theory.sample_variance",
    "decay_rate": "theory.width_one",
    "derivative": "theory.sensitivity",
    "derive": "theory.derivation",
    "descend": "theory.escape",
    "describe": "theory.network",
    "directional_hessian_law": "theory.hessian",
    "effective_cumulant": "theory.propagation",
    "escape_steps": "theory.escape",
    "extreme_hessian_eigenvalues": "theory.hessian",
    "feature_moments": "theory.random_features",
    "filter_bounds": "theory.orthogonal_filters",
    "filter_law": "theory.orthogonal_filters",
    "filter_limit_bounds": "theory.orthogonal_filters",
    "finite_depth_corrections": "theory.finite_depth",
    "finite_width_ratio": "theory.sample_variance",
    "fixed_point": "theory.phases",
    "flow_time": "theory.escape",
    "fourth_moments": "theory.norm_growth",
    "from_torch": "theory.torch_reader",
    "gain_law": "theory.gain",
    "gated_layer_law": "theory.gated",
    "get_activation": "theory.activations",
    "gradient_flow": "theory.escape",
    "hessian_rate": "theory.hessian",
    "hessian_inertia": "theory.width_one",
    "hessian_vector_product": "theory.hessian",
    "jacobian_law": "theory.jacobian",
    "largest_eigenvalue": "theory.extremes",
    "layer_averages": "theory.finite_depth",
    "layer_norm_gain": "theory.sample_variance",
    "limit_law": "theory.limits",
    "log_normal_norm": "theory.norm_growth",
    "log_spread": "theory.orthogonal_filters",
    "lyapunov_spectrum": "theory.lyapunov",
    "minimum_width": "theory.norm_growth",
    "norm_spread_step": "theory.angles",
    "phase_diagram": "theory.phases",
    "propagate": "theory.propagation",
    "random_features_equation": "theory.random_features",
    "random_features_law": "theory.random_features",
    "residual_growth": "theory.phases",
    "resnet_fourth_moments": "theory.norm_growth",
    "resnet_log_normal_norm": "theory.norm_growth",
    "rms_ratio": "theory.sample_variance",
    "small_angle_step": "theory.angles",
    "spectral_norm": "theory.extremes",
    "split_variance": "theory.sample_variance",
    "stable_resnet": "theory.phases",
    "tune": "theory.tuning",
    "vanishing_bound": "theory.norm_growth",
}


def __getattr__(name: str) -> Any:
    if name == "catalogue":
        return import_module("theory.catalogue")
    if name not in _HOMES:
        raise AttributeError(f"module 'theory' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
