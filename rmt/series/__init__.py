"""Exact truncated power series; moments, cumulants of four kinds, transforms; noncrossing partitions.

Numbers are int, Fraction, float or sympy expressions; exact ones stay exact, and expressions come back in lowest terms.
"""

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
from rmt.series.monotone import moments_to_monotone_cumulants, monotone_cumulants_to_moments
from rmt.series.noncrossing import (
    interval_partitions,
    is_noncrossing,
    kreweras_complement,
    monotone_partitions,
    noncrossing_moebius,
    noncrossing_partitions,
    set_partitions,
    tree_factorial,
)
from rmt.series.power_series import (
    add,
    compose,
    exp,
    lagrange_inversion,
    log,
    multiply,
    power,
    reciprocal,
    reversion,
)
from rmt.series.transform_series import (
    centred_s_series_to_moments,
    convert_cumulants,
    moments_to_centred_s_series,
    moments_to_transform,
    multiply_centred_s_series,
    transform_to_moments,
)

__all__ = [
    "add",
    "boolean_cumulants_to_moments",
    "centred_s_series_to_moments",
    "classical_cumulants_to_moments",
    "compose",
    "convert_cumulants",
    "exp",
    "free_cumulants_to_moments",
    "interval_partitions",
    "is_noncrossing",
    "kreweras_complement",
    "lagrange_inversion",
    "log",
    "moments_to_boolean_cumulants",
    "moments_to_centred_s_series",
    "moments_to_classical_cumulants",
    "moments_to_free_cumulants",
    "moments_to_monotone_cumulants",
    "moments_to_rectangular_cumulants",
    "moments_to_s_series",
    "moments_to_transform",
    "monotone_cumulants_to_moments",
    "monotone_partitions",
    "multiply",
    "multiply_centred_s_series",
    "noncrossing_moebius",
    "noncrossing_partitions",
    "power",
    "product_moments",
    "reciprocal",
    "rectangular_cumulants_to_moments",
    "reversion",
    "s_series_to_moments",
    "set_partitions",
    "transform_to_moments",
    "tree_factorial",
]
