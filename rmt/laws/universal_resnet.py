"""The universal law of residual networks at infinite depth."""

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
from rmt.parameters import as_float, check_number, is_symbolic
from rmt.results import PreconditionError
from rmt.support import Edge

__all__ = ["UniversalResNet"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class UniversalResNet(Law):
    """Law of J Jᵀ of a ResNet at infinite depth, with effective cumulant ``c`` (Tarnowski et al., arXiv:1809.08848).

    ``a**(2 L) G = (zG - 1) exp((c/a**2) (1 - 2 z G))`` with skip a and depth L, that is
    ``S(m) = a**(-2 L) exp(-(c/a**2)(1 + 2 m))``. For a = 1 the edges are
    ``(1 + c ± sqrt(c (c + 2))) exp(± sqrt(c (c + 2)))`` and 1/X has the law of X.

    Parameters
    ----------
    c : number > 0
        ``(1/L) sum_l sigma_w**2 <phi'(h_l)**2>``.
    skip : number > 0
        The factor a of the identity path.
    depth : integer, optional
        L; needed only if ``skip`` is not 1 (it sets the scale ``a**(2 L)``).

    Raises
    ------
    ValueError
        If a parameter is out of range, or ``depth`` is missing where it is needed.
    """

    c: Any
    skip: Any = 1
    depth: Any = None

    def __post_init__(self) -> None:
        check_number("c", self.c, above=0)
        check_number("skip", self.skip, above=0)
        if self.depth is not None:
            check_number("depth", self.depth, at_least=1)
        elif is_symbolic(self.skip) or self.skip != 1:
            raise PreconditionError(f"depth=None: with skip={self.skip} the law's scale skip**(2 depth) needs a depth")

    def _exponents(self) -> tuple[Any, Any]:
        """(log of the scale a^(2L) as (base, power), c/a^2)."""
        ratio: Any
        if isinstance(self.c, int) and isinstance(self.skip, int):
            ratio = Fraction(self.c, self.skip**2)
        else:
            ratio = self.c / self.skip**2
        return (1 if self.depth is None else self.skip ** (2 * self.depth)), ratio

    def _numbers(self) -> tuple[float, float]:
        skip = as_float(self.skip, "skip")
        log_scale = 0.0 if self.depth is None else 2 * as_float(self.depth, "depth") * math.log(skip)
        return log_scale, as_float(self.c, "c") / skip**2

    def _node(self) -> Node:
        log_scale, c = self._numbers()

        def log_s(m: ComplexArray, w: ComplexArray, log: Any) -> tuple[ComplexArray, ComplexArray]:
            return -log_scale - c * (1 + 2 * m), np.full(m.shape, -2 * c, dtype=complex)

        def gamma(m: ComplexArray, w: ComplexArray, log: Any) -> ComplexArray:
            return c * m * m

        mean = math.exp(log_scale + c)
        return ExplicitSLeaf(log_s, gamma, mean=mean, variance=2 * c * mean**2)

    def _atoms(self) -> dict[Any, Any]:
        return {}

    def _moments_series(self, n: int) -> list[Any]:
        if hasattr(self.c, "free_symbols") or hasattr(self.skip, "free_symbols") or hasattr(self.depth, "free_symbols"):
            import sympy

            scale, c = self._exponents()
            return [
                scale**k * sympy.exp(c * k) / k * sympy.assoc_laguerre(k - 1, 1, -2 * c * k) for k in range(1, n + 1)
            ]
        log_scale, c = self._numbers()
        if log_scale > 700 / n or c > 700 / n:
            raise PreconditionError(f"moments({n}) of {self!r} exceed the range of floats; ask for fewer")
        # m_k = (e^{ck}/k) L^(1)_{k-1}(-2ck), all terms positive
        out = []
        for k in range(1, n + 1):
            laguerre = sum(math.comb(k, k - 1 - j) * (2 * c * k) ** j / math.factorial(j) for j in range(k))
            out.append(math.exp((log_scale + c) * k) * laguerre / k)
        return out

    def _edges(self) -> tuple[Edge, ...]:
        half = Fraction(1, 2)
        if hasattr(self.c, "free_symbols") or hasattr(self.skip, "free_symbols") or hasattr(self.depth, "free_symbols"):
            import sympy

            scale, c = self._exponents()
            root = sympy.sqrt(c * (c + 2))
            lower, upper = ((1 + c + sign * root) * sympy.exp(sign * root) * scale for sign in (-1, 1))
        else:
            log_scale, c = self._numbers()
            radius = math.sqrt(c * (c + 2))
            # 1 + c + r = exp(acosh(1 + c)), without cancellation for either sign
            exponent = 2 * math.asinh(math.sqrt(c / 2)) + radius
            lower, upper = math.exp(log_scale - exponent), math.exp(log_scale + exponent)
        return (Edge(lower, half, "lower"), Edge(upper, half, "upper"))

    def _pdf_closed_form(self, x: FloatArray) -> FloatArray:
        """Parametric form (derived here): m = u - i t, t = pi x rho, u = -1/2 ± sqrt(1/4 - t² + t cot 2ct).

        For each t, x = |(1+m)/m| exp(c (1 + 2u)); the branch + belongs to x > scale. t(x) is found by bisection and
        Newton steps in log x, which is monotone in u on each branch.
        """
        log_scale, c = self._numbers()
        target = np.abs(np.log(x) - log_scale)  # X and 1/X have the same law up to scale; density of log x is even
        top = _largest_t(c)
        low, high = np.zeros(x.shape), np.full(x.shape, top)
        edge = 2 * math.asinh(math.sqrt(c / 2)) + math.sqrt(c * (c + 2))
        inside = target < edge

        def log_x(t: FloatArray) -> FloatArray:
            v = np.sqrt(np.maximum(0.25 - t * t + t / np.tan(2 * c * t), 0.0))  # u + 1/2 >= 0
            upper = np.log(np.hypot(v + 0.5, t))
            lower = np.log(np.hypot(v - 0.5, t))
            out: FloatArray = upper - lower + 2 * c * v
            return out

        with np.errstate(all="ignore"):
            for _ in range(80):
                middle = (low + high) / 2
                beyond = log_x(middle) > target  # log x falls from the edge at t = 0 to 0 at the largest t
                low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        t = (low + high) / 2
        return np.where(inside, t / (np.pi * x), 0.0)

    def _log_moment(self) -> float:
        return self._numbers()[0]


def _largest_t(c: float) -> float:
    """The t at x = scale: root of 1/4 - t² + t cot 2ct in (0, pi/(2c))."""
    low, high = 0.0, math.pi / (2 * c)
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if 0.25 - middle * middle + middle / math.tan(2 * c * middle) > 0:
            low = middle
        else:
            high = middle
    return low
