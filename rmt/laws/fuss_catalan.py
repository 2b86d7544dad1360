"""Fuss–Catalan laws: products of independent square Gaussian matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from rmt.numeric.jet import ComplexArray
from rmt.numeric.leaves import ExplicitSLeaf
from rmt.numeric.node import Node
from rmt.parameters import as_float, check_number, is_symbolic, normalised
from rmt.support import Edge

__all__ = ["FussCatalan"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class FussCatalan(Law):
    """Free product of ``order`` Marchenko–Pastur laws of ratio 1; ``order`` > 0 may be real.

    ``S(m) = (1 + m)**-order``, moments ``binom(k (order + 1), k)/(k order + 1)``, upper edge
    ``(order+1)**(order+1)/order**order``, density ``x**(-order/(order+1))`` at 0. Parametric density: Haagerup and
    Möller, arXiv:1302.4410; Forrester and Liu, arXiv:1404.5783.

    Raises
    ------
    ValueError
        If ``order`` is not a positive finite number.
    """

    order: Any = 1

    def __post_init__(self) -> None:
        check_number("order", self.order, above=0)

    def _node(self) -> Node:
        order = as_float(self.order, "order")

        def log_s(m: ComplexArray, w: ComplexArray, log: Any) -> tuple[ComplexArray, ComplexArray]:
            return -order * log(w), -order / w

        def gamma(m: ComplexArray, w: ComplexArray, log: Any) -> ComplexArray:
            out: ComplexArray = order * (m - log(w))
            return out

        return ExplicitSLeaf(log_s, gamma, mean=1.0, variance=order)

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        if isinstance(self.order, int):
            return [math.comb(k * (self.order + 1), k) // (k * self.order + 1) for k in range(1, n + 1)]
        out = []
        for k in range(1, n + 1):
            # binom(k s + k, k)/(k s + 1) = prod_(j=2..k) (k s + j) / k!
            value: Any = Fraction(1, math.factorial(k)) if not isinstance(self.order, float) else 1 / math.factorial(k)
            if hasattr(self.order, "free_symbols"):
                value = self.order**0 / math.factorial(k)
            for j in range(2, k + 1):
                value = value * (k * self.order + j)
            out.append(normalised(value))
        return out

    def _edges(self) -> tuple[Edge, ...]:
        s = self.order
        if isinstance(s, int):
            upper: Any = normalised(Fraction((s + 1) ** (s + 1), s**s))
            exponent: Any = Fraction(-s, s + 1)
        elif is_symbolic(s) or hasattr(s, "free_symbols"):
            upper, exponent = (s + 1) ** (s + 1) / s**s, -s / (s + 1)
        else:
            value = float(s)
            upper = math.exp((value + 1) * math.log1p(value) - value * math.log(value))
            exponent = -s / (s + 1)
        return (Edge(0, exponent, "lower"), Edge(upper, Fraction(1, 2), "upper"))

    def _angle(self, x: FloatArray) -> FloatArray:
        """The angle t in (0, pi/(order+1)) of the parametric density, by Newton steps kept inside a bracket."""
        s = as_float(self.order, "order")
        target = np.log(x)
        low, high = np.zeros(x.shape), np.full(x.shape, np.pi / (s + 1))
        t: FloatArray = (low + high) / 2
        for _ in range(200):
            value = (s + 1) * np.log(np.sin((s + 1) * t)) - np.log(np.sin(t)) - s * np.log(np.sin(s * t))
            slope = (s + 1) ** 2 / np.tan((s + 1) * t) - 1 / np.tan(t) - s**2 / np.tan(s * t)
            too_large = value > target  # log x falls as t grows
            low, high = np.where(too_large, t, low), np.where(too_large, high, t)
            new = t - (value - target) / slope
            new = np.where((new > low) & (new < high), new, (low + high) / 2)
            if np.all(np.abs(new - t) <= 2e-16 * t):
                break
            t = new
        return t

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        s = as_float(self.order, "order")
        with np.errstate(all="ignore"):
            t = self._angle(x)
            # rho = sin t * |1 + m| / (pi x |m|^...): with eta = exp(-i t') the form below follows from G = (1+m)/x
            out: FloatArray = (
                np.exp(2 * np.log(np.sin(t)) + (s - 1) * np.log(np.sin(s * t)) - s * np.log(np.sin((s + 1) * t)))
                / np.pi
            )
        return np.where(np.isfinite(out), out, 0.0)

    def _log_moment(self) -> float:
        return -as_float(self.order, "order")
