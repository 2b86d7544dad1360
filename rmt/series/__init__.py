"""Exact truncated power series, and the conversions between moments, cumulants and the S-transform."""

from rmt.series.cumulants import (
    boolean_cumulants_to_moments,
    free_cumulants_to_moments,
    moments_to_boolean_cumulants,
    moments_to_free_cumulants,
    moments_to_s_series,
    s_series_to_moments,
)
from rmt.series.power_series import add, compose, exp, log, multiply, power, reciprocal, reversion

__all__ = [
    "add",
    "boolean_cumulants_to_moments",
    "compose",
    "exp",
    "free_cumulants_to_moments",
    "log",
    "moments_to_boolean_cumulants",
    "moments_to_free_cumulants",
    "moments_to_s_series",
    "multiply",
    "power",
    "reciprocal",
    "reversion",
    "s_series_to_moments",
]
