"""Networks with gated layers: real networks against their predicted law, by every method that samples them."""

import numpy as np
import pytest

import theory
import validation
from theory import Activation, Dense, Gate, Residual, Sequential
from validation.backend import get_backend
from validation.chunk import Chunk
from validation.networks import Sampler, sample_jacobian
from validation.planner import METHODS, make_plan

NETS = {
    "shared": Sequential([Dense(1.2), Gate("tanh", sigma_w=1.3, sigma_b=0.4, gate_bias=0.5), Dense(1.1)]),
    "own": Sequential([Gate("relu", sigma_w=1.3, gate_dense=Dense(0.9, 0.2)), Dense(1.1, width_ratio=2)]),
    "orthogonal": Gate("erf", sigma_w=1.5, gate_bias=-0.5, weights="orthogonal"),
    "block": Residual([Gate("hard_tanh", Activation("hard_tanh"), gate_bias=1.0), Dense()], 0.8),
    "stack": Sequential([Gate("tanh"), Gate("relu", gate_bias=1.0)]),
}


@pytest.mark.parametrize("name", NETS)
def test_the_jacobian_is_the_derivative(name):
    x, backend = np.random.default_rng(1).normal(size=10), get_backend("numpy")

    def draw(point):
        return sample_jacobian(NETS[name], point, Sampler(np.random.default_rng(7), backend))

    columns = [(draw(x + 1e-6 * e).x - draw(x - 1e-6 * e).x) / 2e-6 for e in np.eye(10)]
    here = draw(x)
    np.testing.assert_allclose(here.jacobian, np.array(columns).T, atol=1e-8)
    assert here.rank == np.linalg.matrix_rank(here.jacobian)


def moments(net, method, replicas, seed=3):
    sample = validation.Experiment(net, width=24, replicas=replicas, seed=seed, method=method).run().samples[0]
    if method == "lanczos":
        columns = [(sample.weights * sample.nodes**k).sum(axis=1) for k in (1, 2)]
    else:
        columns = [np.exp(2 * k * sample.log_singular_values).mean(axis=1) for k in (1, 2)]
    columns.append(sample.output_square)
    return [(float(c.mean()), float(c.std()) / replicas**0.5) for c in columns]


@pytest.mark.parametrize(
    "name", ["shared", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("own", "block"))]
)
def test_methods_draw_from_one_law(name):
    reference = moments(NETS[name], "forward", 40)
    chunk = Chunk(NETS[name], 24, 0, 1, 1, "numpy", None, 1.0)
    refused = {m for m in METHODS if METHODS[m].obstacle(chunk) is not None}
    assert {"deep", "triangular"} <= refused
    for method in sorted(set(METHODS) - refused - {"forward"}):
        for (value, error), (other, noise) in zip(moments(NETS[name], method, 40, 5), reference, strict=True):
            assert abs(value - other) < 5 * np.hypot(error, noise), method


def test_the_planner_says_why_not():
    plan = make_plan(Chunk(NETS["shared"], 24, 0, 1, 1, "numpy", None, 1.0), None)
    assert "Gate" in plan.rejected["triangular"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["shared", "own", "block"])
def test_moments_of_real_networks(name):
    width, replicas = 200, 60
    values = validation.Experiment(NETS[name], width=width, replicas=replicas, seed=1).run().eigenvalues
    for k, predicted in enumerate(theory.jacobian_law(NETS[name]).moments(3), 1):
        found = (values**k).mean(axis=1)
        # of finite width a few parts in its own number
        slack = 5 * float(found.std()) / replicas**0.5 + 3 * k * float(predicted) / width
        assert float(found.mean()) == pytest.approx(float(predicted), abs=slack)


@pytest.mark.exhaustive
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_a_gate_of_real_width_has_the_predicted_law(weights):
    gate = Gate("erf", sigma_w=1.5, gate_bias=-0.5, weights=weights)
    run = validation.Experiment(gate, width=160, replicas=48, seed=1).run()
    assert validation.compare(run, theory.jacobian_law(gate)).passed
    wrong = Gate("erf", sigma_w=1.5, gate_bias=0.5, weights=weights)
    assert not validation.compare(run, theory.jacobian_law(wrong)).passed
