"""Functions that sympy lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

__all__ = ["NUMERIC", "Faddeeva"]


class Faddeeva(sp.Function):  # type: ignore[misc]
    """Faddeeva's entire function ``w(x) = exp(-x²) erfc(-i x)`` (DLMF 7.2.3); ``w' = 2i/√π - 2 x w``."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        x = self.args[argindex - 1]
        return 2 * sp.I / sp.sqrt(sp.pi) - 2 * x * Faddeeva(x)

    def _eval_rewrite_as_erfc(self, x: Any, **_hints: Any) -> Any:
        return sp.exp(-(x**2)) * sp.erfc(-sp.I * x)

    def _eval_evalf(self, prec: int) -> Any:
        return self.rewrite(sp.erfc)._eval_evalf(prec)

    def _latex(self, printer: Any) -> str:
        return rf"w\left({printer._print(self.args[0])}\right)"


def _wofz(x: Any) -> Any:
    from scipy.special import wofz

    return wofz(x)


def _lambertw(x: Any, k: Any = 0) -> Any:
    from scipy.special import lambertw

    return lambertw(np.asarray(x, dtype=complex), k)


# what `sympy.lambdify` puts in their place
NUMERIC = {"Faddeeva": _wofz, "LambertW": _lambertw}
