"""The planner: what it chooses, what it says, what it refuses."""

import numpy as np
import pytest

from theory import Chain, DeltaOrthogonal
from validation import Experiment
from validation.planner import LADDER, METHODS


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_are_named_once_and_say_what_they_do(name):
    assert METHODS[name].name == name
    assert sum(method.name == name for method in LADDER) == 1
    assert "\n" not in METHODS[name].summary


def test_the_reference_closes_the_ladder():
    assert LADDER[-1].name == "forward"


def test_plan_names_one_method_and_a_reason_against_every_other():
    plans = Experiment(Chain(3, "tanh"), width=20, replicas=1).plan()
    assert [plan.width for plan in plans] == [20, 10]
    for plan in plans:
        assert {plan.method, *plan.rejected} == set(METHODS)
        assert plan.method not in plan.rejected
        assert plan.method in str(plan)
        assert all(plan.rejected.values())


def test_a_forced_method_is_taken_and_recorded():
    experiment = Experiment(Chain(2, "relu"), width=8, replicas=2, method="forward", companion=False)
    assert experiment.plan()[0].reason == "asked for"
    run = experiment.run(workers=1)
    assert run.metadata["methods"] == {"8": "forward"}
    assert Experiment.from_json(experiment.to_json()) == experiment
    assert np.isfinite(run.log_singular_values[:, 0]).all()


def test_unknown_methods_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"method='fast' is unknown; choose one of .*forward.*, or None"):
        Experiment(Chain(2, "relu"), width=8, method="fast")


def test_a_convolution_has_no_quadrature():
    net = DeltaOrthogonal(positions=4)
    with pytest.raises(ValueError, match="method='lanczos' cannot sample this network: a convolution has no answers"):
        Experiment(net, width=40, method="lanczos")
    assert Experiment(net, width=40).plan()[0].rejected["lanczos"].startswith("a convolution")
