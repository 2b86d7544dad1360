"""Networks of very many layers that all differ: the laws against layer-by-layer solutions, in doubles and by mpmath."""

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

import rmt
import theory.near_isometries
from rmt import series
from rmt.algebra.free_power import FreePower
from rmt.algebra.free_product import FreeProduct
from rmt.algebra.residual import ResidualSum
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from theory import Chain, ResNet, jacobian_law, propagate
from theory.activations import get_activation
from theory.gain import gain_law
from theory.near_isometries import NearIsometries, log_s_series, near_isometries


def log_s_of_layers(q, m, step):
    """log S(m) of the gains of tanh at each q, by Newton's method on the trapezoidal rule of the given step."""
    nodes = np.arange(-10.8, 10.81, step)
    weights = np.exp(-(nodes**2) / 2)
    weights /= weights.sum()
    gains = 1 / np.cosh(np.sqrt(q)[:, np.newaxis] * nodes) ** 4
    w = gains @ weights * (1 + m) / m
    for _ in range(12):
        kernel = gains / (w[:, np.newaxis] - gains)
        value, slope = kernel @ weights, -(kernel / (w[:, np.newaxis] - gains)) @ weights
        w = 1 / (1 / w + (value - m) / (slope * w * w))  # in 1/w, of which m is nearly a linear function
    assert np.abs(value - m).max() < 1e-12 * abs(m)
    return np.log((1 + m) / m / w)


def direct_log_z(net, q0, m):
    """log z(m) = log((1 + m)/m) - sum_l log S_l(m) of a tanh chain of sigma_w = 1, solved layer by layer."""
    q = propagate(net, q0).q
    strong = q > 0.02  # poles come close to the nodes
    log_s = log_s_of_layers(q[strong], m, 0.004).sum() + log_s_of_layers(q[~strong], m, 0.1).sum()
    if net.weights == "gaussian":
        log_s -= net.depth * np.log(1 + m)
    return np.log((1 + m) / m) - log_s


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_deep_chains_against_layer_by_layer(weights):
    net = Chain(800, "tanh", weights=weights)
    law = jacobian_law(net, 2.0)
    assert any(isinstance(part, NearIsometries) for part in law.laws)
    scale = float(law.mean())
    for z in scale * np.array([1.2 + 0.2j, 0.02 + 0.002j]):
        m = z * complex(law.cauchy(z)) - 1
        difference = (direct_log_z(net, 2.0, m) - np.log(z)) / (2j * math.pi)
        assert abs(difference.imag) < 1e-11
        assert abs(difference.real - round(difference.real)) < 1e-11


@pytest.mark.exhaustive
def test_density_of_a_deep_chain_by_mpmath():
    net = Chain(200, "tanh", weights="gaussian")
    law = jacobian_law(net, 0.5)
    assert any(isinstance(part, NearIsometries) for part in law.laws)
    with mp.workdps(20):
        nodes = [mp.mpf(k) / 6 for k in range(-60, 61)]
        total = mp.fsum(mp.exp(-(t**2) / 2) for t in nodes)
        weights = [mp.exp(-(t**2) / 2) / total for t in nodes if t >= 0]
        weights = [weights[0], *(2 * w for w in weights[1:])]
        nodes = [t for t in nodes if t >= 0]
        gains, q = [], mp.mpf("0.5")
        known = {}  # S of each layer at the m before
        for _ in range(net.depth):
            phi = [mp.tanh(mp.sqrt(q) * t) for t in nodes]
            gains.append([(1 - f * f) ** 2 for f in phi])
            q = mp.fsum(w * f * f for w, f in zip(weights, phi, strict=True))

        def log_z(m):
            out = (net.depth + 1) * mp.log(1 + m) - mp.log(m)
            for layer, row in enumerate(gains):
                s = known.get(layer, 1 / mp.fsum(w * g for w, g in zip(weights, row, strict=True)))
                for _ in range(60):
                    y = (1 + m) / m / s
                    value = mp.fsum(w * g / (y - g) for w, g in zip(weights, row, strict=True))
                    slope = mp.fsum(w * g / (y - g) ** 2 for w, g in zip(weights, row, strict=True)) * y / s
                    step = (value - m) / slope
                    s -= step
                    if abs(step) < mp.mpf(10) ** -17 * abs(s):
                        break
                known[layer] = s
                out -= mp.log(s)
            return out

        for x in (1e-60, 0.02):
            guess = x * complex(law.cauchy(x * (1 + 1e-9j))) - 1
            ends = (guess, guess * (1 + 1e-7))
            root = mp.findroot(lambda m, x=x: log_z(m) - mp.log(x), ends, solver="secant", tol=1e-26)
            density = float(-root.imag / mp.pi / x)
            assert float(law.pdf(x)) == pytest.approx(density, rel=1e-11)


@pytest.mark.parametrize("spread", [Fraction(1, 1000), Fraction(1, 20)])
def test_series_of_log_s_against_exact_fractions(spread):
    order = 8
    two = {1: Fraction(1, 3), 1 + spread: Fraction(2, 3)}
    branch = {spread**2 * k: p for k, p in ((1, Fraction(1, 3)), (2, Fraction(2, 3)))}
    cases = [
        Discrete(two),
        FreePower(Discrete(two), 3) * 2,
        FreeProduct((MarchenkoPastur(Fraction(1, 2)), Discrete(two))),
    ]
    if spread < Fraction(1, 100):
        cases.append(ResidualSum(FreeProduct((MarchenkoPastur(1), Discrete(branch))), 2))
    for law in cases:
        moments = law.moments(order + 1)
        exact = series.log([c * moments[0] for c in series.moments_to_s_series(moments)])
        ours = log_s_series([law], order)[0]
        assert ours[0] == pytest.approx(-math.log(moments[0]), rel=1e-14)
        allowed = 1e-9 * np.abs(np.array(exact[1:], dtype=float)) + 1e-15 * float(spread**2) / 8.0 ** np.arange(
            1, order + 1
        )
        assert np.all(np.abs(ours[1:] - np.array(exact[1:], dtype=float)) <= allowed)


def test_layers_that_differ_too_much_have_no_series():
    # masks: log S has a singularity at m = -1, which no number of terms reaches
    q = np.linspace(0.1, 0.2, 200)
    assert near_isometries(lambda x: gain_law(get_activation("hard_tanh"), x), q, np.ones(200)) is None
    assert near_isometries(lambda x: gain_law(get_activation("tanh"), x), 10 * q, np.ones(200)) is None
    near = near_isometries(lambda x: gain_law(get_activation("tanh"), x), q / 200, np.full(200, 1e4))
    assert near is not None
    assert near[1] == 200


def test_powers_narrower_than_the_series_reaches_are_refused():
    law = NearIsometries((0.0, -0.5, 0.001), reach=3.0)
    with pytest.raises(rmt.PreconditionError, match=r"to abs\(m\) <= 3"):
        law.free_power(0.1).support()
    assert law.free_power(0.9).support().lower > 0


def test_gaussian_chain_whose_mass_lies_below_all_numbers():
    curve = jacobian_law(Chain(700, "tanh", weights="gaussian"), 2.0).curve(points=150)
    assert not np.any(np.isnan(curve.density))
    assert np.all(curve.error <= 1e-10 * curve.density)
    assert curve.metadata["edge_exponents"][0] == pytest.approx(1 / 701 - 1, abs=1e-9)
    assert 0.3 < curve.metadata["mass_below_grid"] < 0.5
    # the distribution function rises by the density: in log x, where both are smooth
    inner = (curve.x > 1e-250) & (curve.x < 1e-3)
    x, density, cdf = (column[inner] for column in (curve.x, curve.density, curve.cdf))
    risen = np.sum(np.diff(np.log(x)) * (x * density)[:-1] + np.diff(np.log(x)) * np.diff(x * density) / 2)
    assert risen == pytest.approx(cdf[-1] - cdf[0], rel=1e-3)


@pytest.mark.exhaustive
@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_curves_of_ten_thousand_layers_are_resolved(weights):
    curve = jacobian_law(Chain(10_000, "tanh", weights=weights), 2.0).curve(points=1000)
    typical = 1 / (curve.metadata["intervals"][0][1])
    assert len(curve.x) >= 990
    assert not np.any(np.isnan(curve.density))
    assert np.all(curve.error <= 1e-10 * np.maximum(curve.density, typical))
    below = curve.metadata["mass_below_grid"]
    assert below < 1e-11 if weights == "orthogonal" else below == pytest.approx(0.933961, abs=1e-6)


def test_the_resnet_of_many_layers_is_one_law():
    law = jacobian_law(ResNet(2000, "tanh", sigma_w=1.3), 2.0)
    assert isinstance(law, NearIsometries)
    assert law == eval(repr(law), {"NearIsometries": theory.near_isometries.NearIsometries})
    # the mean is multiplicative, layer by layer
    table = propagate(ResNet(2000, "tanh", sigma_w=1.3), 2.0)
    assert float(law.mean()) == pytest.approx(np.prod(1 + table.c_2 / 2000), rel=1e-12)


def test_masks_whose_exponents_add_up_to_none_but_for_rounding():
    # gains 0 or 1, of probabilities that differ; multiplicities of a rule add up to 400 but for rounding
    q = 1 / (2 * math.log(400))
    law = jacobian_law(Chain(400, "hard_tanh", weights="orthogonal"), 1.2 * q)
    ((lower, upper),) = law.support().intervals
    assert lower == 0
    assert 0.4 < upper < 0.43
    kept = [get_activation("hard_tanh").gain(x) for x in propagate(Chain(400, "hard_tanh"), 1.2 * q).q]
    assert law.support().atoms[1.0] == pytest.approx(1 - sum(1 - p for p in kept), abs=1e-12)
    assert law.curve(points=60).metadata["moments_against_series"] < 1e-10
