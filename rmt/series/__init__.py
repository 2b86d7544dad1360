"""Exact truncated power series, and the conversions between moments, cumulants and the S-transform."""

from rmt.series.cumulants import (
    boolean_cumulants_to_moments,
    classical_cumulants_to_moments,
    free_cumulants_to_moments,
    moments_to_boolean_cumulants,
    moments_to_classical_cumulants,
    moments_to_free_cumulants,
    moments_to_rectangular_cumulants,
    moments_to_s_series,
    product_moments,
    rectangular_cumulants_to_moments,
    s_series_to_moments,
)
from rmt.series.power_series import add, compose, exp, log, multiply, power, reciprocal, reversion

__all__ = [
    "add",
    "boolean_cumulants_to_moments",
    "classical_cumulants_to_moments",
    "compose",
    "exp",
    "free_cumulants_to_moments",
    "log",
    "moments_to_boolean_cumulants",
    "moments_to_classical_cumulants",
    "moments_to_free_cumulants",
    "moments_to_rectangular_cumulants",
    "moments_to_s_series",
    "multiply",
    "power",
    "product_moments",
    "reciprocal",
    "rectangular_cumulants_to_moments",
    "reversion",
    "s_series_to_moments",
]
