"""Activations that a user writes: against the built-in ones, and refused where they make no sense."""

import json
import math
import pickle

import numpy as np
import pytest
import sympy as sp

import rmt
from theory.activations import get_activation
from theory.jacobian import jacobian_law
from theory.network import Activation, Chain, ResNet, Sparse
from theory.propagation import propagate
from validation.description import network_from_json, network_to_json

x = sp.Symbol("x")
EXPRESSIONS = {
    "tanh": sp.tanh(x),
    "relu": sp.Max(x, 0),
    "hard_tanh": sp.Max(-1, sp.Min(x, 1)),
    "gelu": x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
    "silu": x / (1 + sp.exp(-x)),
    "sin": sp.sin(x),
    "elu": sp.Piecewise((x, x > 0), (sp.exp(x) - 1, True)),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expression_against_the_built_in_function(name):
    built_in = get_activation(name)
    custom = get_activation("custom", phi=EXPRESSIONS[name], periodic=name == "sin")
    assert custom.kinks == built_in.kinks
    np.testing.assert_allclose(custom.slope_range, built_in.slope_range, atol=1e-9)
    for q in (1e-3, 0.7, 40.0):
        np.testing.assert_allclose(custom.averages(q), built_in.averages(q), rtol=2e-12, atol=1e-14)
        assert custom.gain_moment(3, q) == pytest.approx(built_in.gain_moment(3, q), rel=1e-11)
    for q, rho in ((0.8, 0.3), (3.0, -0.9), (0.5, 0.999), (1.3, -1.0)):
        assert custom.cross_moment(q, rho) == pytest.approx(built_in.cross_moment(q, rho), rel=1e-10, abs=1e-14)
    assert custom.piecewise_linear == built_in.piecewise_linear


def test_law_of_a_network():
    for name in ("hard_tanh", "silu"):
        custom = Activation("custom", phi=EXPRESSIONS[name])
        law, expected = (jacobian_law(Chain(2, act, sigma_w=1.2, sigma_b=0.2)) for act in (custom, name))
        assert law.moments(4) == pytest.approx(expected.moments(4), rel=1e-11)
        if name == "hard_tanh":
            np.testing.assert_allclose(law.pdf([0.3, 1.0, 3.0]), expected.pdf([0.3, 1.0, 3.0]), rtol=1e-9)


def _swish(h):
    return h / (1 + np.exp(-1.7 * h))


def _swish_slope(h):
    s = 1 / (1 + np.exp(-1.7 * h))
    return s + 1.7 * h * s * (1 - s)


def _bent(h):
    return np.where(h > 0.5, 2 * h - 0.5, h)


def _bent_slope(h):
    return np.where(h > 0.5, 2.0, 1.0)


def test_python_functions():
    net = Chain(4, Activation("custom", phi=_swish, dphi=_swish_slope), sigma_w=1.1)
    formula = Chain(4, Activation("custom", phi=x / (1 + sp.exp(-sp.Rational(17, 10) * x))), sigma_w=1.1)
    np.testing.assert_allclose(propagate(net, 0.6, 0.4).chi, propagate(formula, 0.6, 0.4).chi, rtol=1e-12)
    bent = get_activation("custom", phi=_bent, dphi=_bent_slope, kinks=(0.5,))
    above = 0.5 * math.erfc(0.5 / math.sqrt(2 * 0.9))
    assert bent.slope_masses(0.9) == pytest.approx({1.0: 1 - above, 4.0: above})
    assert bent.gain(0.9) == pytest.approx(1 - above + 4 * above, rel=1e-12)


def test_copies_in_other_processes_and_files():
    net = Chain(2, Activation("custom", phi=sp.tanh(x) + sp.Max(x, 0) / 3), sigma_w=1.1)
    assert pickle.loads(pickle.dumps(net)) == net
    assert propagate(pickle.loads(pickle.dumps(net))).chi.tolist() == propagate(net).chi.tolist()
    again = network_from_json(network_to_json(net))
    assert again.nonlinearity.phi(0.7) == net.nonlinearity.phi(0.7)
    described = network_to_json(Chain(2, Activation("custom", phi=_swish, dphi=_swish_slope)))
    with pytest.raises(ValueError, match=r"the Python function .*_swish, which a file cannot hold"):
        network_from_json(described)
    law = rmt.FussCatalan(2) @ rmt.Discrete({0.5: 0.5, 1.5: 0.5})
    for net in (Chain(2, "relu", weights=Sparse(0.25)), ResNet(3, "tanh", weights=law)):
        assert network_from_json(json.loads(json.dumps(network_to_json(net)))) == net
    with pytest.raises(ValueError, match="the law 'cite' of the weights is unknown"):
        network_from_json({"type": "Dense", "weights": {"law": "cite", "arguments": []}})
    hostile = {"type": "Chain", "depth": 1, "activation": {"expression": ["sympify", ["Symbol", "x"]]}}
    with pytest.raises(ValueError, match="'sympify' of a stored activation is unknown"):
        network_from_json(hostile)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phi": 3}, "must be a function of an array or a sympy expression"),
        ({"phi": sp.Symbol("y") * x}, "must contain one symbol"),
        ({"phi": _swish}, "dphi is missing"),
        ({"phi": _swish, "dphi": _bent_slope}, "at h = .* the slope of phi is .*, and dphi gives"),
        ({"phi": sp.tanh(x), "dphi": "__import__('os').getcwd()"}, "dphi=.* must be a sympy expression"),
        ({"phi": sp.Heaviside(x)}, "phi=.* jumps"),
        ({"phi": x**3}, "its slope grows without bound"),
        ({"phi": sp.log(x)}, "not finite at h"),
        ({"phi": _bent, "dphi": _bent_slope, "kinks": (0.5,), "alpha": 1}, "takes phi and possibly dphi"),
        ({}, "takes phi"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Activation("custom", **arguments)
