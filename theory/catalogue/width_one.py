"""Chains of width one: gradients, Hessians, escape from flat starts.

After Orvieto, Kohler, Pavllo, Hofmann, Lucchi, arXiv:2106.03763, with exact laws derived here. This module loads sympy:
import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.catalogue.published import Entry, Witness, eq

__all__ = ["build"]

L, n = sp.symbols("L n", positive=True, integer=True)
x, y, P, w, w_k, w_l = sp.symbols("x y P w w_k w_l", real=True)
_CHAIN = "$f = w_L ⋯ w_1 x$ with loss $(f - y)^2/2$; $P$ is the product of the weights, none of them 0."


def _loss(weights: tuple[Any, ...], signal: Any, target: Any) -> Any:
    return (sp.prod(weights) * signal - target) ** 2 / 2


def _chains() -> Iterator[tuple[tuple[Any, ...], dict[Any, Any], Any, Any]]:
    """Symbols of the weights, their rational values, x, y."""
    for depth, signal, target in ((3, Fraction(2), Fraction(1, 3)), (5, Fraction(-1, 2), Fraction(2))):
        names = sp.symbols(f"w1:{depth + 1}")
        values = [sp.Rational((-1) ** j * (j + 2), j + 1) for j in range(depth)]
        yield names, dict(zip(names, values, strict=True)), signal, target


def _gradient() -> Entry:
    slope = sp.Symbol("g_k", real=True)

    def witnesses() -> Iterator[Witness]:
        for names, values, signal, target in _chains():
            loss = _loss(names, sp.Rational(signal), sp.Rational(target))
            product = sp.prod(values.values())
            for name in names[:2]:
                yield {
                    w_k: values[name],
                    P: product,
                    x: signal,
                    y: target,
                    slope: sp.diff(loss, name).subs(values),
                }

    return Entry(
        key="width-one-gradient",
        title="Gradient of a chain of width one",
        statement=(eq(slope, (x * P - y) * x * P / w_k),),
        hypotheses=(_CHAIN,),
        source=(("Orvieto2021", ""),),
        steps=(
            Step("Chain rule", (eq(sp.Symbol("dP/dw_k"), P / w_k),), "$P$ is linear in each weight.", "definition"),
        ),
        witnesses=witnesses,
        witnessed_by="symbolic derivatives of the loss at rational weights",
        tolerance=0,
    )


def _hessian() -> Entry:
    mixed, diagonal = sp.symbols("H_kl H_kk", real=True)

    def witnesses() -> Iterator[Witness]:
        for names, values, signal, target in _chains():
            loss = _loss(names, sp.Rational(signal), sp.Rational(target))
            first, second = names[0], names[2]
            yield {
                w_k: values[first],
                w_l: values[second],
                P: sp.prod(values.values()),
                x: signal,
                y: target,
                mixed: sp.diff(loss, first, second).subs(values),
                diagonal: sp.diff(loss, first, 2).subs(values),
            }

    c = (x * P - y) * x * P
    return Entry(
        key="width-one-hessian",
        title="Hessian of a chain of width one",
        statement=(eq(mixed, (x**2 * P**2 + c) / (w_k * w_l)), eq(diagonal, x**2 * P**2 / w_k**2)),
        hypotheses=(
            _CHAIN,
            "$k ≠ l$. As a matrix: $diag(1/w) ((x^2 P^2 + c) 1 1^T - c I) diag(1/w)$, $c = (x P - y) x P$.",
        ),
        source=(("Orvieto2021", ""),),
        steps=(
            Step(
                "Second derivatives",
                (eq(sp.Symbol("d^2P/dw_k dw_l"), P / (w_k * w_l)), eq(sp.Symbol("d^2P/dw_k^2"), sp.Integer(0))),
                "The product is linear in each weight.",
                "definition",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="symbolic derivatives of the loss at rational weights",
        tolerance=0,
    )


def _inertia() -> Entry:
    rho, negative, threshold = sp.symbols("rho n_minus rho_0", real=True)
    special = sp.Symbol("eta", real=True)

    def witnesses() -> Iterator[Witness]:
        rng = np.random.default_rng(5)
        for depth in (2, 3, 7):
            edge = (depth - 1) / (2 * depth - 1)
            for ratio in (-0.7, edge - 0.02, edge + 0.02, 0.97, 1.4):
                weights = rng.normal(size=depth) + np.sign(rng.normal(size=depth))
                signal = 1.3
                product = float(np.prod(weights))
                target = signal * product / ratio
                c = (signal * product - target) * signal * product
                inside = ((signal * product) ** 2 + c) * np.ones((depth, depth)) - c * np.eye(depth)
                hessian = inside / np.outer(weights, weights)
                values = np.linalg.eigvalsh(inside)
                yield {
                    L: depth,
                    rho: ratio,
                    negative: int(np.sum(np.linalg.eigvalsh(hessian) < 0)),
                    y: target,
                    special: float(max(values, key=lambda v: abs(v + c))),
                }
            # where the determinant changes its sign
            determinant = lambda r: np.linalg.det(
                (2 * r - 1) * r * np.ones((depth, depth)) - r * (r - 1) * np.eye(depth)
            )
            low, high = 0.05, 0.95
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if determinant(middle) * determinant(low) > 0 else (low, middle)
            yield {L: depth, threshold: low}

    return Entry(
        key="width-one-inertia",
        title="Signs of the curvatures of a chain of width one",
        statement=(
            eq(special, y**2 * rho * ((2 * L - 1) * rho - (L - 1))),
            eq(negative, sp.Piecewise((L - 1, sp.Or(rho > 1, rho < 0)), (1, rho < (L - 1) / (2 * L - 1)), (0, True))),
            eq(threshold, (L - 1) / (2 * L - 1)),
        ),
        hypotheses=(
            _CHAIN,
            "$ρ = x P/y$ is neither 0 nor 1. $n_-$ is the number of negative eigenvalues; $η$ is the eigenvalue of "
            "$(x^2 P^2 + c) 1 1^T - c I$ in the direction of $1$.",
        ),
        source=(("Orvieto2021", ""), ("", "derived here")),
        steps=(
            Step(
                "Sylvester's law of inertia",
                (eq(sp.Symbol("c"), y**2 * rho * (rho - 1)), eq(special, L * (x * P) ** 2 + (L - 1) * sp.Symbol("c"))),
                "$diag(1/w)$ changes no sign. The inner matrix has $-c$ with multiplicity $L - 1$, and $η$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="eigenvalues of Hessians at random weights, and the sign of the determinant",
        tolerance=1e-9,
    )


def _escape() -> Entry:
    ratio, steps, rate, start = sp.symbols("r n eta w_0", positive=True)

    def witnesses() -> Iterator[Witness]:
        with mpmath.workdps(40):
            for depth, first in ((4, "1e-9"), (7, "1e-5")):
                w0 = mpmath.mpf(first)
                # dt = dw/(w^(L-1) (1 - w^L)), in the variable u = log(w/w0)
                speed = lambda u: (w0 * mpmath.exp(u)) ** (2 - depth) / (1 - (w0 * mpmath.exp(u)) ** depth)
                end = mpmath.log(mpmath.mpf("0.5") / w0)
                cuts = [end * j / 12 for j in range(13)]
                yield {L: depth, start: w0, ratio: mpmath.quad(speed, cuts) * w0 ** (depth - 2)}
        for w0, eta in ((Fraction(1, 10), Fraction(1, 100)), (Fraction(1, 4), Fraction(1, 8))):
            weight, count = w0, 0
            while weight < 1:  # the sign of -(w^L - 1) w^(L-1) is 1
                weight += eta
                count += 1
            yield {start: w0, rate: eta, steps: count}

    return Entry(
        key="escape-from-flat-start",
        title="Time to leave a flat start",
        statement=(eq(ratio, 1 / (L - 2)), eq(steps, (1 - start) / rate)),
        hypotheses=(
            "All weights equal $w_0$ at the start, $x = y = 1$, $L > 2$. $r w_0^{-(L-2)}$ is the time "
            "of gradient flow to "
            "$w = 1/2$ as $w_0 → 0$: exponential in the depth.",
            "$n$ is the number of steps of size $η$ of sign descent, whatever $L$; those of RMSprop and Adam lie "
            "within the bounds of `adaptive-escape`.",
        ),
        source=(("Orvieto2021", ""), ("", "derived here")),
        steps=(
            Step(
                "Gradient flow",
                (eq(sp.Symbol("dw/dt"), w ** (L - 1) * (1 - w**L)),),
                "By symmetry the weights stay equal. The time is dominated by small $w$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="quadrature of the flow, and iteration of sign descent in fractions",
    )


def _adaptive() -> Entry:
    by_rmsprop, by_adam, rate, turn = sp.symbols("s_rmsprop s_adam eta w_turn", positive=True)
    first, second = sp.symbols("beta_1 beta_2", positive=True)
    t = sp.Symbol("t", positive=True, integer=True)

    def moves(gradients: list[Any], decays: tuple[Any, Any], step: Any) -> Witness:
        """The last moves of both methods behind a history of gradients, as weighted means of the whole history."""
        count, latest = len(gradients), gradients[-1]
        weighted = [[(1 - b) * b ** (count - j) for j in range(1, count + 1)] for b in decays]
        mean = sum(c * g for c, g in zip(weighted[0], gradients, strict=True))
        square = sum(c * g * g for c, g in zip(weighted[1], gradients, strict=True))
        corrected = mean / (1 - decays[0] ** count) / mpmath.sqrt(square / (1 - decays[1] ** count))
        named = {first: decays[0], second: decays[1], rate: step, t: count}
        return {**named, by_rmsprop: step * latest / mpmath.sqrt(square), by_adam: step * corrected}

    def witnesses() -> Iterator[Witness]:
        with mpmath.workdps(30):
            decays, step = (mpmath.mpf("0.9"), mpmath.mpf("0.99")), mpmath.mpf("0.01")
            # constant gradients, and those that grow by β2/β1, where Cauchy and Schwarz are sharp
            yield moves([mpmath.mpf(2)], decays, step)
            yield moves([mpmath.mpf(2)] * 7, decays, step)
            yield moves([(decays[1] / decays[0]) ** j for j in range(12)], decays, step)
            for depth, start in ((3, "0.02"), (8, "0.3")):
                weight, gradients = mpmath.mpf(start), []
                for _ in range(9):
                    gradients.append(weight ** (depth - 1) * (1 - weight**depth))
                    found = moves(gradients, decays, step)
                    yield found
                    weight += found[by_adam]
                slope = lambda v, d=depth: mpmath.diff(lambda u: u ** (d - 1) * (1 - u**d), v)
                yield {L: depth, turn: mpmath.findroot(slope, (0.4, 0.98), solver="anderson")}

    largest = (1 - second**t) / (1 - second) * (1 - (first**2 / second) ** t) / (1 - first**2 / second)
    return Entry(
        key="adaptive-escape",
        title="Steps of RMSprop and Adam on the way out of a flat start",
        statement=(
            sp.Ge(by_rmsprop, rate / sp.sqrt(1 - second**t)),
            sp.Le(by_rmsprop, rate / sp.sqrt(1 - second)),
            sp.Ge(by_adam, rate * (1 - first) / (1 - first**t)),
            sp.Le(by_adam, rate * (1 - first) / (1 - first**t) * sp.sqrt(largest)),
            eq(turn**L, (L - 1) / (2 * L - 1)),
        ),
        hypotheses=(
            "Step $t$ at the rate $η$ with the decays $β_1$ of gradients and $β_2$ of their squares, $ε = 0$; RMSprop "
            "without, Adam with bias correction. The gradient has not fallen so far.",
            "That is so while all weights are equal and below $w_{turn}$, for $x = y = 1$: the number of steps has "
            "bounds without $L$.",
        ),
        source=(("Orvieto2021", ""), ("", "derived here")),
        steps=(
            Step(
                "The largest gradient is the last",
                (sp.Le(sp.Symbol("v_t"), (1 - second**t) * sp.Symbol("g_t") ** 2),),
                "The mean of squares lies between $(1 - β_2) g_t^2$ and this. The mean of gradients is at least "
                "$(1 - β_1) g_t$, and at most what the inequality of Cauchy and Schwarz leaves it.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="both methods at 30 digits, on a chain, on constant and on growing gradients",
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    return (
        _gradient(),
        _hessian(),
        _inertia(),
        _escape(),
        _adaptive(),
    )
