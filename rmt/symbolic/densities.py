"""Closed forms of densities as curves in a parameter, and of G by Lambert's function."""

from __future__ import annotations

from typing import Any

import sympy as sp

from rmt.symbolic.derivation import ParametricDensity, Step
from rmt.symbolic.letters import m, z
from rmt.symbolic.products import Factors

__all__ = ["exponential", "free_stable", "fuss_catalan", "lambert", "step"]

t = sp.Symbol("t", real=True)


def exponential(c: Any, scale: Any) -> tuple[ParametricDensity, ...]:
    """S(m) = exp(-c (1 + 2m)) up to scale: with m = u - i t, Im z = 0 gives u(t) on each side of the scale.

    ``Im log z = 0`` is ``arg(1+m) - arg m - 2 c t = 0``, a quadratic equation for u (derived here).
    """
    out = []
    root = sp.sqrt(sp.Rational(1, 4) - t**2 + t * sp.cot(2 * c * t))
    end = sp.Eq(sp.Rational(1, 4) - t**2 + t * sp.cot(2 * c * t), 0, evaluate=False)
    for sign in (-1, 1):
        u = sign * root - sp.Rational(1, 2)
        ratio = sp.sqrt(((sp.Rational(1, 2) + sign * root) ** 2 + t**2) / (u**2 + t**2))
        x = scale * ratio * sp.exp(2 * c * sign * root)
        out.append(ParametricDensity(t, x, t / (sp.pi * x), sp.Integer(0), end))
    return tuple(out)


def fuss_catalan(order: Any) -> tuple[ParametricDensity, ...]:
    """Haagerup and Möller, arXiv:1302.4410; Forrester and Liu, arXiv:1404.5783."""
    top = sp.sin((order + 1) * t)
    x = top ** (order + 1) / (sp.sin(t) * sp.sin(order * t) ** order)
    value = sp.sin(t) ** 2 * sp.sin(order * t) ** (order - 1) / (sp.pi * top**order)
    return (ParametricDensity(t, x, value, sp.Integer(0), sp.pi / (order + 1)),)


def free_stable(alpha: Any, rho: Any, scale: Any, location: Any) -> tuple[ParametricDensity, ...]:
    """With 1/g = r exp(i t), Im z = 0 gives r(t) (derived here; cf. Hasebe and Kuznetsov, arXiv:1404.2981)."""
    f = sp.pi * alpha * rho + (1 - alpha) * t
    r = (sp.sin(f) / sp.sin(t)) ** (1 / alpha)
    x = location + scale * r * sp.sin(alpha * (sp.pi * rho - t)) / sp.sin(f)
    return (ParametricDensity(t, x, sp.sin(t) / (sp.pi * r * scale), sp.Integer(0), sp.pi),)


def lambert(s_factors: Factors) -> Any:
    """G(z) for S(m) = K exp(-σ m/(1+m)), solved for y = m/(1+m): y exp(-σ y) = 1/(K z); None for other S."""
    constant, rate = sp.Integer(1), sp.Integer(0)
    for base, exponent in s_factors:
        if base == sp.E:
            rate = sp.cancel(-sp.together(exponent) * (1 + m) / m)
        elif base.has(m) or exponent.has(m):
            return None
        else:
            constant *= base**exponent
    if rate == 0 or rate.has(m):
        return None
    y = -sp.LambertW(-rate / (constant * z)) / rate
    return 1 / (z * (1 - y))


def step(pieces: tuple[ParametricDensity, ...]) -> Step:
    """The step of a derivation that states a parametric density."""
    x, rho = sp.Symbol("x"), sp.Function("rho")
    formulas: list[Any] = []
    for piece in pieces:
        formulas += [sp.Eq(x, piece.position, evaluate=False), sp.Eq(rho(x), piece.value, evaluate=False)]
    return Step(
        "Density in closed form",
        tuple(formulas),
        "The curve on which $z$ is real, in a parameter $t$; the imaginary part of $G$ there is the density.",
        "derived here",
    )
