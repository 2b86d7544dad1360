"""Gaussian averages of activation functions: <φ'²>, <φ²> and <φ> over pre-activations h ~ N(0, q).

This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mpmath
import sympy as sp

from rmt.symbolic.derivation import Step
from theory.activation_formulas import activation_formulas, h, q
from theory.activations import get_activation
from theory.catalogue.published import Entry, Witness, eq
from theory.catalogue.witnesses import average
from theory.gaussian import pair_average

__all__ = ["build"]

gain, square, mean, alpha = sp.symbols("c_2 phi_2 phi_1 alpha", real=True)
rho = sp.Symbol("rho", real=True)
_VARIANCES = ("0.3", "2.7")
_CENTRED = "$h$ is N(0, q): the width is infinite, or the weights are Gaussian."


def _by_quadrature(
    value: Any, slope: Any, kinks: Sequence[Any] = (0,), parameters: Mapping[Any, Any] | None = None
) -> Iterator[Witness]:
    parameters = parameters or {}
    phi, dphi = (sp.lambdify(h, f.subs(parameters), "mpmath") for f in (value, slope))
    for text in _VARIANCES:
        variance = mpmath.mpf(text)
        yield {
            **parameters,
            q: variance,
            gain: average(lambda x: dphi(x) ** 2, variance, kinks),
            square: average(lambda x: phi(x) ** 2, variance, kinks),
            mean: average(phi, variance, kinks),
        }


def _averages(
    name: str,
    key: str,
    title: str,
    source: tuple[str, str],
    steps: tuple[Step, ...],
    kinks: Sequence[Any] = (0,),
    **parameters: Any,
) -> Entry:
    """The entry of an activation of the toolkit: its formulas are those that derivations use."""
    formulas = activation_formulas(get_activation(name, **parameters))
    return Entry(
        key=key,
        title=title,
        statement=(eq(gain, formulas.moment(1)), eq(square, formulas.second_moment), eq(mean, formulas.mean)),
        hypotheses=(_CENTRED,),
        source=(source,),
        steps=(Step("Activation", (eq(sp.Function("phi")(h), formulas.value),), "With the slope $φ'(h)$."), *steps),
        witnesses=lambda: _by_quadrature(formulas.value, formulas.slope, kinks),
        witnessed_by="adaptive quadrature of $φ'^2$, $φ^2$ and $φ$",
    )


_APPENDIX = ("Tarnowski2018", "appendix")
_HALF = Step(
    "Half a Gaussian",
    (eq(sp.Integral(h * sp.exp(-(h**2) / (2 * q)) / sp.sqrt(2 * sp.pi * q), (h, 0, sp.oo)), sp.sqrt(q / (2 * sp.pi))),),
    "Second moments are shared equally by the two sides of 0; the first moment of one side is elementary.",
    "derived here",
)


def _tail(k: int) -> Any:
    weight = sp.exp(k * h - h**2 / (2 * q)) / sp.sqrt(2 * sp.pi * q)
    return eq(sp.Integral(weight, (h, -sp.oo, 0)), sp.exp(sp.Integer(k) ** 2 * q / 2) * sp.erfc(k * sp.sqrt(q / 2)) / 2)


_EXPONENTIAL = Step(
    "Exponential tails",
    (_tail(1), _tail(2)),
    "Completing the square. $φ'^2$, $φ^2$ and $φ$ on $h < 0$ are combinations of $1$, $e^h$, $e^{2h}$.",
    "derived here",
)


def _leaky() -> Entry:
    """Leaky ReLU with a symbolic slope, which the toolkit's formulas allow and its activation does not."""
    value = sp.Piecewise((h, h > 0), (alpha * h, True))
    slope = sp.Piecewise((1, h > 0), (alpha, True))
    return Entry(
        key="averages-leaky-relu",
        title="Gaussian averages of the leaky ReLU",
        statement=(
            eq(gain, (1 + alpha**2) / 2),
            eq(square, q * (1 + alpha**2) / 2),
            eq(mean, (1 - alpha) * sp.sqrt(q / (2 * sp.pi))),
        ),
        hypotheses=(_CENTRED, "$φ(h) = h$ for $h > 0$ and $α h$ for $h < 0$."),
        source=(_APPENDIX,),
        steps=(_HALF,),
        witnesses=lambda: (
            witness for a in (sp.Rational(1, 5), -2) for witness in _by_quadrature(value, slope, (0,), {alpha: a})
        ),
        witnessed_by="adaptive quadrature of $φ'^2$, $φ^2$ and $φ$",
    )


def _erf_probit() -> Entry:
    value = sp.erf(h / sp.sqrt(2))
    return Entry(
        key="averages-erf-probit",
        title="Gaussian averages of erf(h/√2)",
        statement=(
            eq(gain, 2 / (sp.pi * sp.sqrt(1 + 2 * q))),
            eq(square, 2 / sp.pi * sp.asin(q / (1 + q))),
            eq(mean, sp.Integer(0)),
        ),
        hypotheses=(_CENTRED,),
        source=(("Williams1997", ""),),
        steps=(
            Step(
                "Gaussian integral",
                (
                    eq(
                        gain,
                        sp.Integral(
                            2 / sp.pi * sp.exp(-(h**2) - h**2 / (2 * q)) / sp.sqrt(2 * sp.pi * q), (h, -sp.oo, sp.oo)
                        ),
                    ),
                ),
                "$φ'(h)^2 = (2/π) e^{-h^2}$.",
                "derived here",
            ),
            _PRICE,
        ),
        witnesses=lambda: _by_quadrature(value, sp.diff(value, h)),
        witnessed_by="adaptive quadrature of $φ'^2$, $φ^2$ and $φ$",
    )


_PRICE = Step(
    "Price's theorem",
    (eq(sp.Derivative(sp.Function("K")(rho), rho), q * sp.Function("A")(rho)),),
    "$K(ρ)$ is the average of $φ(h) φ(h')$ for correlation $ρ$, $A(ρ)$ that of $φ'(h) φ'(h')$, here a Gaussian "
    "integral. Integrate from 0 to 1.",
    "Williams 1997",
)


def _erf_kernel() -> Entry:
    covariance = sp.Symbol("K", real=True)

    def witnesses() -> Iterator[Witness]:
        value = get_activation("erf").value
        for variance, correlation in ((0.7, 0.4), (2.5, -0.8)):
            yield {q: variance, rho: correlation, covariance: pair_average(value, variance, correlation)}

    return Entry(
        key="kernel-erf",
        title="Correlation map of erf(√π h/2)",
        statement=(eq(covariance, 2 / sp.pi * sp.asin(sp.pi * q * rho / (2 + sp.pi * q))),),
        hypotheses=("$K$ is the average of $φ(h) φ(h')$ over two Gaussians of variance $q$ and correlation $ρ$.",),
        source=(("Williams1997", ""),),
        steps=(_PRICE,),
        witnesses=witnesses,
        witnessed_by="nested quadrature over the bivariate Gaussian",
        tolerance=1e-10,
    )


def _sigmoid_from_tanh() -> Entry:
    wide, narrow = sp.symbols("c_sigmoid c_tanh", positive=True)

    def witnesses() -> Iterator[Witness]:
        for text in _VARIANCES:
            variance = mpmath.mpf(text)
            logistic = lambda x: 1 / (2 + 2 * mpmath.cosh(x))
            yield {
                wide: average(lambda x: logistic(x) ** 2, variance),
                narrow: average(lambda x: mpmath.sech(x) ** 4, variance / 4),
            }

    return Entry(
        key="averages-sigmoid-tanh",
        title="The gain of sigmoid from that of tanh",
        statement=(eq(wide, narrow / 16),),
        hypotheses=("The gain of sigmoid is at variance $q$, that of tanh at $q/4$.",),
        source=(_APPENDIX,),
        steps=(
            Step(
                "Half the argument",
                (eq(1 / (1 + sp.exp(-h)), (1 + sp.tanh(h / 2)) / 2),),
                "The slope of sigmoid at $h$ is a quarter of that of tanh at $h/2$.",
                "derived here",
            ),
        ),
        witnesses=witnesses,
        witnessed_by="adaptive quadrature of both slopes",
    )


def build() -> tuple[Entry, ...]:
    """The entries of this topic."""
    gaussian = Step(
        "Gaussian integral",
        (
            eq(
                gain,
                sp.Integral(sp.exp(-sp.pi * h**2 / 2 - h**2 / (2 * q)) / sp.sqrt(2 * sp.pi * q), (h, -sp.oo, sp.oo)),
            ),
        ),
        "$φ'(h)^2 = e^{-π h^2/2}$.",
        "derived here",
    )
    cosine = Step(
        "Characteristic function",
        (
            eq(
                sp.Integral(sp.cos(2 * h) * sp.exp(-(h**2) / (2 * q)) / sp.sqrt(2 * sp.pi * q), (h, -sp.oo, sp.oo)),
                sp.exp(-2 * q),
            ),
        ),
        "$2 \\cos^2 h = 1 + \\cos 2h$ and $2 \\sin^2 h = 1 - \\cos 2h$.",
        "derived here",
    )
    by_parts = Step(
        "Inside and outside",
        (
            eq(sp.Integral(sp.exp(-(h**2) / (2 * q)) / sp.sqrt(2 * sp.pi * q), (h, -1, 1)), sp.erf(1 / sp.sqrt(2 * q))),
            eq(
                sp.Integral(h**2 * sp.exp(-(h**2) / (2 * q)) / sp.sqrt(2 * sp.pi * q), (h, -1, 1)),
                q * sp.erf(1 / sp.sqrt(2 * q)) - sp.sqrt(2 * q / sp.pi) * sp.exp(-1 / (2 * q)),
            ),
        ),
        "By parts; outside $(-1, 1)$ the square of $φ$ is 1.",
        "derived here",
    )
    quadrants = Step(
        "Quadrants of a Gaussian",
        (
            eq(
                sp.Function("P")(sp.Symbol("u") < h, sp.Symbol("v") < h),
                sp.Rational(1, 4) + sp.asin(q / (1 + q)) / (2 * sp.pi),
            ),
        ),
        "$Φ(h)$ is the probability that an independent standard Gaussian is below $h$: $Φ(h)^2$ averages to a quadrant "
        "of correlation $q/(1+q)$. The terms with $h$ follow by parts.",
        "derived here",
    )
    linear = Step("Moments of the Gaussian", (eq(square, q),), "$φ(h) = h$.", "definition")
    return (
        _averages("linear", "averages-linear", "Gaussian averages of the identity", _APPENDIX, (linear,)),
        _averages("relu", "averages-relu", "Gaussian averages of ReLU", _APPENDIX, (_HALF,)),
        _leaky(),
        _averages("hard_tanh", "averages-hard-tanh", "Gaussian averages of the hard tanh", _APPENDIX, (by_parts,)),
        _averages(
            "erf",
            "averages-erf",
            "Gaussian averages of erf(√π h/2)",
            ("Pennington2017", ""),
            (gaussian, _PRICE),
        ),
        _erf_probit(),
        _averages("sin", "averages-sin", "Gaussian averages of the sine", _APPENDIX, (cosine,)),
        _averages("selu", "averages-selu", "Gaussian averages of SELU", _APPENDIX, (_HALF, _EXPONENTIAL)),
        _averages("elu", "averages-elu", "Gaussian averages of ELU", ("", "derived here"), (_HALF, _EXPONENTIAL)),
        _averages("gelu", "averages-gelu", "Gaussian averages of GELU", ("", "derived here"), (quadrants,)),
        _sigmoid_from_tanh(),
        _erf_kernel(),
    )
