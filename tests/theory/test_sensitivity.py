import math

import mpmath as mp
import pytest

import theory
from rmt.results import ConvergenceError, PreconditionError
from theory import Chain, OrthogonalFilterNet, ResNet, derivative
from theory.network import Dense
from theory.sensitivity import _romberg


def test_closed_forms():
    # c = σ_w²/2 and the gain of a block a² + c/L
    net = ResNet(depth=12, activation="relu", sigma_w=0.7, skip=0.9)
    assert derivative(net, "c") == pytest.approx(0.7, rel=1e-10)
    assert derivative(net, "chi") == pytest.approx(0.7 / 12, rel=1e-10)
    assert derivative(net, "chi", over="skip") == pytest.approx(1.8, rel=1e-10)
    # Fuss–Catalan: the largest eigenvalue σ_w^(2L) (L+1)^(L+1)/L^L
    chain = Chain(depth=3, activation="linear", sigma_w=1.1)
    assert derivative(chain, "lambda_max") == pytest.approx(6 * 1.1**5 * 4**4 / 3**3, rel=1e-9)
    assert derivative(chain, "q", over="sigma_b", q0=2.0) == 0
    biased = Chain(depth=2, activation="linear", sigma_w=1.1, sigma_b=0.3)
    assert derivative(biased, "q", over="sigma_b") == pytest.approx(2 * 0.3 * (1 + 1.1**2), rel=1e-10)
    filters = OrthogonalFilterNet(5, "linear", 0.9, 0.1, 1.0)
    assert derivative(filters, "c", over="branch_gain") == pytest.approx(5 * 2 * 0.1, rel=1e-9)


@pytest.mark.parametrize("over", ["sigma_w", "sigma_b"])
def test_deep_chains_against_the_formulas_of_the_fixed_point(over):
    net = Chain(depth=300, activation="tanh", sigma_w=1.6, sigma_b=0.3)
    point = theory.fixed_point("tanh", 1.6, 0.3)
    by_square = "weight" if over == "sigma_w" else "bias"
    for of in ("q", "chi"):
        expected = 2 * getattr(net, over) * getattr(point, f"{of}_by_{by_square}")
        assert derivative(net, of, over=over) == pytest.approx(expected, rel=1e-8)


def test_second_layer_by_mpmath():
    net = Chain(depth=2, activation="tanh", sigma_w=1.3, sigma_b=0.4)

    def average(f, q):
        return mp.quad(lambda z: f(mp.sqrt(q) * z) * mp.npdf(z), mp.linspace(-10, 10, 9))

    def chi(w):
        first = w**2 + mp.mpf("0.16")
        second = w**2 * average(lambda h: mp.tanh(h) ** 2, first) + mp.mpf("0.16")
        return w**2 * average(lambda h: mp.sech(h) ** 4, second)

    with mp.workdps(20):
        expected = float(mp.diff(chi, mp.mpf("1.3"), h=mp.mpf(10) ** -6))
    assert derivative(net, "chi") == pytest.approx(expected, rel=1e-9)


@pytest.mark.exhaustive
def test_edges_move_as_log_s_changes():
    # at an edge log z is stationary in m: d log x_+ = -d log S at fixed m
    net = Chain(depth=4, activation="erf", sigma_w=1.2, sigma_b=0.2)
    law = theory.jacobian_law(net)
    upper = law.support().upper
    outside = upper * (1 + 1e-6)
    m = outside * float(law.cauchy(outside).real) - 1
    low, high = (math.log(float(theory.jacobian_law(Chain(4, "erf", w, 0.2)).s_transform(m))) for w in (1.199, 1.201))
    assert derivative(net, "lambda_max") == pytest.approx(-upper * (high - low) / 0.002, rel=1e-3)


def test_kinks_are_found_out():
    with pytest.raises(ConvergenceError, match="kink or a jump"):
        _romberg(lambda x: abs(x - 1.001), 1.0, 0.04, "test")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: derivative(Chain(2, "tanh"), "lambda"), ValueError, "of='lambda'"),
        (lambda: derivative(Chain(2, "tanh"), "chi", over="skip"), ValueError, "Chain has sigma_w, sigma_b"),
        (lambda: derivative(Chain(2, "tanh"), "c"), PreconditionError, "ask a Chain for"),
        (lambda: derivative(Dense(), "chi"), PreconditionError, "not Dense"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
