"""Largest and smallest singular values of a network's Jacobian, as its law and its outlier predict them."""

from __future__ import annotations

import math

from rmt.results import PreconditionError
from theory.jacobian import jacobian_law
from theory.network import Layer
from theory.outlier import outlier

__all__ = ["condition_number", "largest_eigenvalue", "spectral_norm"]


def largest_eigenvalue(net: Layer, q0: float = 1.0) -> float:
    """Largest eigenvalue of J Jᵀ in a wide network: the upper edge of its law, an atom above it, or the outlier.

    Raises
    ------
    ValueError, PreconditionError, ConvergenceError
        Those of `theory.jacobian_law` and `theory.outlier`.
    NotImplementedError
        If the outlier of the network is not known.
    """
    return _extremes(net, q0)[1]


def spectral_norm(net: Layer, q0: float = 1.0) -> float:
    """Largest singular value of J in a wide network, outlier included: the square root of `largest_eigenvalue`.

    Examples
    --------
    >>> from theory.network import ResNet
    >>> relu = ResNet(depth=20, activation="relu", sigma_w=0.5**0.5)
    >>> round(spectral_norm(relu), 3), round(float(jacobian_law(relu).support().upper) ** 0.5, 3)
    (2.948, 2.055)
    """
    return math.sqrt(largest_eigenvalue(net, q0))


def condition_number(net: Layer, q0: float = 1.0) -> float:
    """Largest over smallest singular value of J in a wide network; infinite where the law reaches 0.

    Raises
    ------
    PreconditionError
        If J is 0.
    ValueError, PreconditionError, ConvergenceError, NotImplementedError
        Those of `largest_eigenvalue`.
    """
    smallest, largest = _extremes(net, q0)
    if largest == 0:
        raise PreconditionError("the Jacobian is 0: choose sigma_w > 0")
    return math.inf if smallest <= 0 else math.sqrt(largest / smallest)


def _extremes(net: Layer, q0: float) -> tuple[float, float]:
    """Smallest and largest eigenvalue of J Jᵀ."""
    support = jacobian_law(net, q0).support()
    above = outlier(net, q0)
    return float(support.lower), float(support.upper) if above is None else max(float(support.upper), above)
