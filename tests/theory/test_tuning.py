import math

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rmt.results import PreconditionError
from theory.activations import ACTIVATION_NAMES, get_activation
from theory.extremes import condition_number, largest_eigenvalue, spectral_norm
from theory.jacobian import jacobian_law
from theory.network import Activation, Chain, Dense, OrthogonalFilterNet, ResNet, Sequential
from theory.outlier import outlier
from theory.propagation import effective_cumulant, propagate
from theory.tuning import critical_sigma_w, tune


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", 1),
        ("relu", math.sqrt(2)),
        ("leaky_relu", math.sqrt(2 / (1 + 1e-4))),
        ("tanh", 1),
        ("hard_tanh", 1),
        ("erf", 1),
        ("sin", 1),
        ("gelu", 2),
        ("silu", 2),
    ],
)
def test_edge_of_chaos_without_biases(name, expected):
    assert critical_sigma_w(name) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("sigma_b", [1e-3, 0.05, 0.2, 1.0])
@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "erf", "sin", "sigmoid", "elu", "selu"])
def test_edge_of_chaos_is_the_fixed_point_of_a_deep_chain(name, sigma_b):
    sigma_w = critical_sigma_w(name, sigma_b)
    act = get_activation(name)
    q = 1.0
    for _ in range(200_000):  # iterate the length map itself
        previous, q = q, sigma_w**2 * act.second_moment(q) + sigma_b**2
        if abs(q - previous) < 1e-13 * q:
            break
    assert sigma_w**2 * act.gain(q) == pytest.approx(1, abs=2e-4 if name in ("elu", "selu") else 1e-8)


def test_edge_of_chaos_in_closed_form():
    # sin: σ_w² = 2/(1+e^{-2q}) with q - tanh q = σ_b²
    q = 0.8
    assert critical_sigma_w("sin", math.sqrt(q - math.tanh(q))) == pytest.approx(
        math.sqrt(2 / (1 + math.exp(-2 * q))), rel=1e-12
    )
    # erf: q = σ_b² + (2/π) asin(πq/(2+πq)) √(1+πq)
    bias = q - 2 / math.pi * math.asin(math.pi * q / (2 + math.pi * q)) * math.sqrt(1 + math.pi * q)
    assert critical_sigma_w("erf", math.sqrt(bias)) == pytest.approx((1 + math.pi * q) ** 0.25, rel=1e-12)
    # Schoenholz et al. (arXiv:1611.01232, figure 1): σ_w ≈ 1.39 for tanh at σ_b = 0.3
    assert critical_sigma_w(Activation("tanh"), 0.3) == pytest.approx(1.3956, abs=1e-4)


@pytest.mark.parametrize(
    "name", ["relu", "linear", *(Activation("leaky_relu", alpha=a) for a in (0.01, 0.1, 0.3, 0.7))]
)
@pytest.mark.parametrize("sigma_b", [1e-6, 0.1, 3.0])
def test_scale_invariant_activations_have_no_edge_with_biases(name, sigma_b):
    with pytest.raises(PreconditionError, match="only sigma_b = 0 has one"):
        critical_sigma_w(name, sigma_b)


def test_no_edge_at_all():
    with pytest.raises(PreconditionError, match="no sigma_b has one"):
        critical_sigma_w("softplus", 0.1)


@pytest.mark.parametrize("sigma_b", [-0.1, math.nan, math.inf])
def test_edge_of_chaos_bad_sigma_b(sigma_b):
    with pytest.raises(ValueError, match="sigma_b="):
        critical_sigma_w("tanh", sigma_b)


def test_edge_of_chaos_unknown_activation():
    with pytest.raises(ValueError, match="unknown activation"):
        critical_sigma_w("swish")


def test_tune_relu_in_closed_form():
    # c = σ_w²/2 whatever the depth
    net = ResNet(50, "relu", weights="orthogonal", skip=0.9)
    tuned = tune(net, c=0.25)
    assert tuned == ResNet(50, "relu", sigma_w=tuned.sigma_w, weights="orthogonal", skip=0.9)
    assert tuned.sigma_w == pytest.approx(math.sqrt(0.5), rel=4e-16)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
@given(c=st.floats(1e-3, 3), sigma_b=st.floats(0, 1), q0=st.floats(0.1, 5))
@settings(deadline=None, max_examples=5)
def test_tune_reaches_c(name, c, sigma_b, q0):
    tuned = tune(ResNet(6, name, sigma_w=0.3, sigma_b=sigma_b), c=c, q0=q0)
    assert effective_cumulant(tuned, q0) == pytest.approx(c, rel=1e-11)


@pytest.mark.parametrize("name", ["tanh", "relu", "hard_tanh", "gelu"])
@pytest.mark.parametrize("chi", [0.3, 1.0, 1.7])
def test_tune_reaches_chi(name, chi):
    tuned = tune(Chain(20, name, sigma_w=2.0, sigma_b=0.1), chi=chi, q0=0.7)
    assert propagate(tuned, 0.7).chi[-1] == pytest.approx(chi, rel=1e-10)


def test_chi_one_in_a_deep_chain_is_the_edge_of_chaos():
    tuned = tune(Chain(3000, "tanh", sigma_b=0.2), chi=1.0)
    assert tuned.sigma_w == pytest.approx(critical_sigma_w("tanh", 0.2), rel=1e-6)


def test_tune_from_zero_and_from_a_symbol():
    for sigma_w in (0.0, sp.Symbol("sigma_w")):
        assert tune(ResNet(5, "relu", sigma_w=sigma_w), c=0.5).sigma_w == pytest.approx(1, rel=1e-14)


def test_tune_from_where_the_signal_overflows():
    tuned = tune(Chain(4000, "relu", sigma_w=9.0), chi=1.0)
    assert tuned.sigma_w == pytest.approx(math.sqrt(2), rel=1e-14)
    with pytest.raises(PreconditionError, match="symbolic"):
        tune(Chain(4, "relu", sigma_b=sp.Symbol("b")), chi=1.0)


def test_unreachable_targets_tell_the_range():
    # the last block of a ResNet with skip 1 has χ = 1 + c_2/L > 1
    with pytest.raises(PreconditionError, match=r"chi=0.5 cannot be reached: chi is more than 1 .*larger chi"):
        tune(ResNet(5, "tanh"), chi=0.5)
    with pytest.raises(PreconditionError, match=r"c=1e\+200 cannot be reached: c is at most .*smaller c"):
        tune(ResNet(5, "tanh"), c=1e200)


@pytest.mark.parametrize("target", [0.0, -0.25, math.nan, math.inf])
@pytest.mark.parametrize("name", ["c", "chi", "lambda_max", "condition"])
def test_bad_targets(name, target):
    with pytest.raises(ValueError, match=f"{name}="):
        tune(ResNet(5, "tanh"), **{name: target})


def test_tune_arguments():
    net = ResNet(5, "tanh")
    with pytest.raises(ValueError, match="exactly one of c, chi, lambda_max, condition, and got none"):
        tune(net)
    with pytest.raises(ValueError, match="got c, chi"):
        tune(net, c=1, chi=1)
    with pytest.raises(ValueError, match="q0="):
        tune(net, c=1, q0=0)
    with pytest.raises(PreconditionError, match="Chain"):
        tune(Chain(5, "tanh"), c=0.5)
    with pytest.raises(PreconditionError, match="Sequential"):
        tune(Sequential([Dense()]), c=0.5)


def test_tune_reaches_lambda_max():
    # linear Gaussian chain: upper edge σ_w^{2L} (L+1)^{L+1}/L^L (Fuss–Catalan)
    tuned = tune(Chain(3, "linear"), lambda_max=2.0)
    assert tuned.sigma_w == pytest.approx((2.0 * 27 / 256) ** (1 / 6), rel=1e-8)


@pytest.mark.exhaustive
def test_lambda_max_is_the_outlier_where_there_is_one():
    tuned = tune(ResNet(20, "relu"), lambda_max=6.0)
    assert outlier(tuned) == pytest.approx(6.0, rel=1e-6)
    assert float(jacobian_law(tuned).support().upper) < 5.0


# --- other targets and parameters -------------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_condition_number_in_closed_form():
    net = tune(ResNet(2, "linear", weights="orthogonal"), condition=5.0)
    support = jacobian_law(net).support()
    assert float(support.upper) / float(support.lower) == pytest.approx(25.0, rel=1e-8)
    assert condition_number(net) == pytest.approx(5.0, rel=1e-8)
    assert condition_number(Chain(2, "relu")) == math.inf
    assert condition_number(Chain(3, "linear", weights="orthogonal", sigma_w=1.3)) == pytest.approx(1)
    with pytest.raises(PreconditionError, match=r"condition=5 cannot be reached: condition is not finite"):
        tune(Chain(2, "relu"), condition=5.0)


def test_spectral_norm_is_that_of_the_outlier():
    relu = ResNet(20, "relu", sigma_w=0.7)
    assert spectral_norm(relu) == pytest.approx(math.sqrt(outlier(relu)), rel=1e-14)
    assert largest_eigenvalue(Chain(2, "hard_tanh", 0.8, weights="orthogonal")) == pytest.approx(0.8**4, rel=1e-12)


@pytest.mark.parametrize(
    ("net", "target", "over"),
    [
        pytest.param(ResNet(3, "linear", 0.6), {"lambda_max": 5.0}, "skip", marks=pytest.mark.exhaustive),
        (ResNet(6, "hard_tanh", 2.0, 0.3), {"c": 1.0}, "sigma_b"),
        (Chain(20, "tanh", 2.0, 0.1), {"chi": 0.8}, "sigma_b"),
        (OrthogonalFilterNet(10, "erf", 0.9, 0.2, 1.1), {"chi": 1.0}, "filter_gain"),
        (OrthogonalFilterNet(3, "linear", 0.9, 0.2, 1.1), {"condition": 3.0}, "branch_gain"),
        (OrthogonalFilterNet(10, "linear", 0.9, 0.2, 1.1), {"c": 0.4}, "sigma_w"),
    ],
)
def test_tune_over_other_parameters(net, target, over):
    tuned = tune(net, **target, over=over)
    ((name, wanted),) = target.items()
    measure = {
        "c": effective_cumulant,
        "chi": lambda n: propagate(n).chi[-1],
        "lambda_max": largest_eigenvalue,
        "condition": condition_number,
    }[name]
    assert measure(tuned) == pytest.approx(wanted, rel=1e-7)
    assert {f for f in net.__dataclass_fields__ if getattr(net, f) != getattr(tuned, f)} == {over}


def test_what_cannot_be_tuned_over():
    with pytest.raises(ValueError, match="over='skip': Chain can be tuned over sigma_w, sigma_b"):
        tune(Chain(3, "tanh"), chi=1.0, over="skip")
    with pytest.raises(PreconditionError, match=r"chi=3 cannot be reached: chi is between .* for all sigma_b > 0"):
        tune(Chain(8, "tanh", 1.2), chi=3.0, over="sigma_b")
