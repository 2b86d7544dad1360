"""The Cauchy law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.node import Node
from rmt.numeric.unary import ShiftedNode
from rmt.numeric.unbounded import StableLeaf
from rmt.parameters import as_float, check_number
from rmt.results import PreconditionError
from rmt.support import Edge

__all__ = ["Cauchy"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Cauchy(Law):
    """Cauchy law with density ``scale/(pi (scale**2 + (x - location)**2))``: R(g) = location - i scale.

    ``G(z) = 1/(z - location + i scale)`` in the upper half-plane, so that the free sum with any law mu is the classical
    one, ``G(z) = G_mu(z - location + i scale)`` (Voiculescu 1986; Bercovici and Voiculescu 1993). Free stable with
    index 1. No moment exists.

    Raises
    ------
    ValueError
        If ``scale`` is not positive, or a parameter is not a finite number.
    """

    location: Any = 0
    scale: Any = 1

    def __post_init__(self) -> None:
        check_number("location", self.location)
        check_number("scale", self.scale, above=0)

    def _numbers(self) -> tuple[float, float]:
        return as_float(self.location, "location"), as_float(self.scale, "scale")

    def _node(self) -> Node:
        location, scale = self._numbers()
        leaf = StableLeaf(1.0, complex(math.log(scale), -math.pi / 2), (True, True))
        return leaf if location == 0 else ShiftedNode(leaf, location, positive=False)

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        raise PreconditionError(
            f"moments up to {n} of {self!r}: none exists; ask for quantiles, or for `expectation` of a bounded function"
        )

    def _edges(self) -> tuple[Edge, ...]:
        return (Edge(-math.inf, None, "lower"), Edge(math.inf, None, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        location, scale = self._numbers()
        t = (x - location) / scale
        with np.errstate(over="ignore"):
            out: FloatArray = 1 / (np.pi * scale * (1 + t * t))
        return out

    def _cdf_closed_form(self, x: FloatArray) -> FloatArray:
        location, scale = self._numbers()
        # the angle under which the half-line is seen: no digits are lost in the lower tail
        out: FloatArray = np.arctan2(scale, location - x) / np.pi
        return out

    def _cauchy_closed_form(self, z: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        location, scale = self._numbers()
        return 1 / (z - complex(location, -scale))

    def s_transform(self, m: npt.ArrayLike) -> Any:
        """The constant ``1/(location - i scale)`` for z in the upper half-plane, its conjugate in the lower one.

        m in the lower half-plane comes from z in the upper one for location >= 0, from the lower one for location < 0;
        at location 0 it comes from both, and the value is the limit location -> 0 from above.

        Raises
        ------
        PreconditionError
            If m is real: there S has no real values.
        """
        points = np.asarray(m, dtype=complex)
        if np.any(points.imag == 0):
            raise PreconditionError(
                f"s_transform of {self!r} at real m: the law is unbounded on both sides, where the transform has no "
                "real values; give an argument off the real axis"
            )
        location, scale = self._numbers()
        from_above = (points.imag < 0) == (location >= 0)
        out = 1 / (location - 1j * scale * np.where(from_above, 1.0, -1.0))
        return complex(out) if points.ndim == 0 else out

    def _log_moment(self) -> float:
        return math.log(math.hypot(*self._numbers()))
