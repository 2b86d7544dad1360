"""Real torch modules: their Jacobians, what is read of them, and the verdict on the law of what was read."""

import contextlib
import io
import math
import re
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import theory
import validation
from theory.network import Activation, Dense, Dropout, LayerNorm, Residual, Scale, Sequential

torch = pytest.importorskip("torch")
nn = torch.nn

ALPHA = 1e-6
ROOT_THIRD = 1 / math.sqrt(3)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        yield


def mlp(width, depth, activation, initialise=None, bias=True):
    """A factory of multilayer perceptrons."""

    def make():
        layers = []
        for _ in range(depth):
            linear = nn.Linear(width, width, bias=bias)
            if initialise is not None:
                initialise(linear.weight)
            layers += [linear, activation()]
        return nn.Sequential(*layers)

    return make


class Block(nn.Module):
    """x -> x + factor W_2 relu(W_1 norm(x))."""

    def __init__(self, width, factor=0.5):
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.factor = factor

    def forward(self, x):
        return x + self.factor * self.outer(torch.relu(self.inner(self.norm(x))))


class TanhBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return torch.tanh(self.linear(x)) + 0.9 * x


class Body(nn.Module):
    """A module whose forward is a function of it and x."""

    def __init__(self, body, **parts):
        super().__init__()
        self.body = body
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.body(self, x)


def unit(width):
    """An input of mean square 1."""
    x = np.random.default_rng(5).standard_normal(width)
    return x / np.sqrt(np.mean(x**2))


# --- Jacobians --------------------------------------------------------------------------------------------------------


def test_jacobian_of_a_linear_map_is_its_matrix():
    layer = nn.Linear(7, 5)
    found = validation.jacobian_spectrum(layer, np.ones(7))
    expected = np.linalg.svd(layer.weight.detach().double().numpy(), compute_uv=False)
    np.testing.assert_allclose(found.values, np.log(expected), rtol=1e-12)
    assert found.rank == 5


def test_jacobian_agrees_with_differences_whatever_the_shape_and_the_rows():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.SiLU(), nn.Flatten(), nn.Linear(27, 4))
    x = torch.randn(2, 5, 5)
    double = torch.nn.Sequential(*module).double()
    columns = []
    for index in range(x.numel()):
        step = torch.zeros(x.numel(), dtype=torch.float64)
        step[index] = 1e-5
        step = step.reshape(x.shape)
        columns.append((double(x.double()[None] + step) - double(x.double()[None] - step)).detach().numpy()[0] / 2e-5)
    expected = np.log(np.linalg.svd(np.stack(columns, axis=1), compute_uv=False))
    for rows in (1, 3, 128):
        np.testing.assert_allclose(validation.jacobian_spectrum(module, x, rows=rows).values, expected, rtol=1e-6)


def test_dropout_is_drawn_once_and_the_module_stays_as_it_was():
    module = nn.Sequential(nn.Linear(40, 40), nn.Dropout(0.5), nn.Linear(40, 40))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = validation.jacobian_spectrum(module, np.ones(40), rows=3)
    assert 8 <= found.rank <= 32  # a mask drawn again for each block of rows would give full rank
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert validation.jacobian_spectrum(module.eval(), np.ones(40)).rank == 40


def test_batch_statistics_need_a_batch():
    module = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6))
    with pytest.raises(ValueError, match=r"module '1' normalises over the batch.*give batch=.*or call module.eval"):
        validation.jacobian_spectrum(module, np.ones(6))
    batch = np.random.default_rng(0).standard_normal((4000, 6))
    found = validation.jacobian_spectrum(module, np.ones(6), batch=batch)
    weight = module[0].weight.detach().double().numpy()
    expected = weight / np.sqrt((weight**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(np.exp(found.values), np.linalg.svd(expected, compute_uv=False), rtol=0.05)


def test_bad_calls_are_answered_in_one_line():
    linear = nn.Linear(3, 3)
    with pytest.raises(TypeError, match=r"is no torch\.nn\.Module"):
        validation.jacobian_spectrum(len, np.ones(3))
    with pytest.raises(ValueError, match="x must have finite real components"):
        validation.jacobian_spectrum(linear, [1.0, math.nan, 0.0])
    with pytest.raises(ValueError, match=r"batch has inputs of shape \(2,\)"):
        validation.jacobian_spectrum(linear, np.ones(3), batch=np.ones((4, 2)))
    with pytest.raises(ValueError, match="rows=0 must be at least 1"):
        validation.jacobian_spectrum(linear, np.ones(3), rows=0)
    with pytest.raises(ValueError, match="module returns tuple"):
        validation.jacobian_spectrum(Body(lambda _self, x: (x, x)), np.ones(3))
    with pytest.raises(ValueError, match="output does not depend on x"):
        validation.jacobian_spectrum(Body(lambda _self, x: torch.ones(1, 2) * len(x)), np.ones(3))
    with pytest.raises(ValueError, match="it must keep the batch"):
        validation.jacobian_spectrum(Body(lambda _self, x: x.sum()), np.ones(3))


def test_samples_depend_on_seed_width_and_replica_alone():
    make = mlp(12, 2, nn.Tanh)
    state = torch.random.get_rng_state()
    run = validation.sample_module(make, unit(12), replicas=3, seed=4)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(99)
    again = validation.sample_module(make, unit(12), replicas=5, seed=4)
    np.testing.assert_array_equal(run.log_singular_values, again.log_singular_values[:3])
    other = validation.sample_module(make, unit(12), replicas=3, seed=5)
    assert not np.any(run.log_singular_values == other.log_singular_values)


def test_samples_check_their_arguments():
    make = mlp(8, 1, nn.Tanh)
    for changed, message in (
        ({"replicas": 0}, "replicas=0 must be an integer >= 1"),
        ({"seed": -1}, "seed=-1 must be an integer >= 0"),
        ({"companion": (mlp(4, 1, nn.Tanh), 2 * unit(4))}, "its input has mean square 4; it must be that of x, 1"),
        ({"companion": (make, unit(8))}, "its input has 8 components; it must have fewer"),
    ):
        with pytest.raises(ValueError, match=message):
            validation.sample_module(make, unit(8), **changed)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_default_linear_layers_are_read_exactly():
    net = theory.from_torch(nn.Sequential(nn.Linear(50, 100), nn.Tanh(), nn.Sequential(nn.Linear(100, 30, bias=False))))
    first, activation, second = net.layers
    assert first.sigma_w == pytest.approx(ROOT_THIRD, rel=1e-15)
    assert first.sigma_b == pytest.approx(1 / math.sqrt(150), rel=1e-15)
    assert (first.width_ratio, first.weights, activation) == (2, "uniform", Activation("tanh"))
    assert (second.sigma_b, second.width_ratio) == (0.0, Fraction(3, 10))


@pytest.mark.parametrize(
    ("initialise", "square", "weights"),
    [
        (lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), 2.0, "gaussian"),
        (lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu", mode="fan_out"), 2.0 * 80 / 60, "uniform"),
        (nn.init.xavier_normal_, 2 * 80 / 140, "gaussian"),
        (lambda w: nn.init.xavier_uniform_(w, gain=5 / 3), 25 / 9 * 2 * 80 / 140, "uniform"),
        (nn.init.zeros_, 0.0, "gaussian"),
    ],
)
def test_known_initialisations_are_read_exactly(initialise, square, weights):
    layer = nn.Linear(80, 60, bias=False)
    initialise(layer.weight)
    (read,) = theory.from_torch(layer).layers
    assert (read.sigma_w**2, read.weights) == (pytest.approx(square, rel=1e-13), weights)


@pytest.mark.parametrize(("n_in", "n_out"), [(40, 40), (40, 20), (20, 40)])
def test_orthogonal_weights_are_read_with_the_scale_of_their_entries(n_in, n_out):
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.orthogonal_(layer.weight, gain=1.3)
    (read,) = theory.from_torch(layer).layers
    assert read.weights == "orthogonal"
    # Dense has entries of variance sigma_w²/n_in for every shape
    assert read.sigma_w**2 == pytest.approx(n_in * float((layer.weight.detach() ** 2).mean()), rel=1e-5)
    values = np.exp(validation.jacobian_spectrum(layer, np.ones(n_in)).values)
    law = theory.jacobian_law(theory.from_torch(layer))
    assert law.moment(1) == pytest.approx(np.sum(values**2) / n_out, rel=1e-5)


def test_unknown_scales_are_estimated_with_a_warning():
    layer = nn.Linear(100, 100)
    nn.init.normal_(layer.weight, std=0.2)
    nn.init.normal_(layer.bias, std=0.3)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        (read,) = theory.from_torch(layer).layers
    weights, biases = (str(warning.message) for warning in found)
    assert "the weights of submodule '0' follow no known rule of initialisation; sigma_w = " in weights
    assert "sigma_b = " in biases
    assert read.sigma_w == pytest.approx(2.0, rel=0.05)
    assert read.sigma_b == pytest.approx(0.3, rel=0.5)


def test_residual_blocks_are_read_from_their_forward():
    net = theory.from_torch(nn.Sequential(nn.Linear(30, 20), Block(20, 0.25), TanhBlock(20)))
    _, first, second = net.layers
    assert isinstance(first, Residual)
    kinds = [type(layer) for layer in first.branch]
    assert kinds == [LayerNorm, Dense, Activation, Dense, Scale]
    assert first.branch[-1] == Scale(0.25)
    assert (second.skip, second.branch[-1]) == (0.9, Activation("tanh"))


def test_blocks_nest():
    inner = Body(lambda self, x: x + self.linear(x), linear=nn.Linear(10, 10))
    outer = Body(lambda self, x: x + torch.tanh(self.linear(self.inner(x))), inner=inner, linear=nn.Linear(10, 10))
    (block,) = theory.from_torch(outer).layers
    assert [type(layer) for layer in block.branch] == [Residual, Dense, Activation]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.LeakyReLU(0.2), Activation("leaky_relu", alpha=0.2)),
        (nn.PReLU(), Activation("leaky_relu", alpha=0.25)),
        (nn.Hardtanh(), Activation("hard_tanh")),
        (nn.ELU(), Activation("elu", alpha=1.0)),
        (nn.GELU(), Activation("gelu")),
        (nn.SELU(), Activation("selu")),
        (nn.Softplus(), Activation("softplus")),
        (nn.Dropout(0.3), Dropout(0.3)),
        (Body(lambda _self, x: nn.functional.leaky_relu(x, 0.2)), Activation("leaky_relu", alpha=0.2)),
        (Body(lambda _self, x: nn.functional.elu(x, alpha=2.0)), Activation("elu", alpha=2.0)),
        (Body(lambda _self, x: torch.sin(x / 2)), Sequential([Scale(0.5), Activation("sin")])),
        (Body(lambda _self, x: x + 2 * x), Scale(3.0)),
        (nn.BatchNorm1d(4).eval(), Scale(1 / math.sqrt(1 + 1e-5))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_are_those_of_torch(module, expected):
    read = theory.from_torch(module)
    assert read.layers == (expected.layers if isinstance(expected, Sequential) else (expected,))
    for layer in read.layers:
        if isinstance(layer, Activation) and len(read.layers) == 1:
            h = np.linspace(-2.5, 2.5, 11)
            values = module(torch.tensor(h, dtype=torch.float32)).detach().numpy()
            np.testing.assert_allclose(layer.nonlinearity.phi(h), values, rtol=1e-5, atol=1e-6)


def shifted():
    layer = nn.Linear(20, 20)
    nn.init.uniform_(layer.weight, 0.0, 1.0)
    return layer


def identity():
    layer = nn.Linear(20, 20)
    nn.init.eye_(layer.weight)
    return layer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.Conv1d(1, 1, 1)), r"submodule '1' \(Conv1d\): it has no rule"),
        (lambda: nn.Hardtanh(0, 6), "hard tanh between 0 and 6"),
        (lambda: nn.GELU(approximate="tanh"), "approximation 'tanh'"),
        (lambda: nn.Softplus(beta=2), "beta = 2"),
        (lambda: nn.LayerNorm((3, 4)), "more than one axis"),
        (shifted, "weights have mean "),
        (identity, "identity, not a random one"),
        (lambda: Body(lambda s, x: s.a(torch.tanh(s.a(x))), a=nn.Linear(3, 3)), "its weights are also those of 'a'"),
        (lambda: Body(lambda s, x: s.a(x) + s.b(x), a=nn.Linear(3, 3), b=nn.Linear(3, 3)), "adds two branches"),
        (lambda: Body(lambda _s, x: x + torch.tanh(x)), "'add': the branch of Residual has no Dense"),
        (lambda: Body(lambda _s, x: x * torch.tanh(x)), "'mul': it combines several values"),
        (lambda: Body(lambda _s, x: torch.cat([x, x])), "'cat': it combines several values"),
        (lambda: Body(lambda _s, x: torch.cumsum(x, 0)), "cumsum has no rule"),
        (lambda: Body(lambda s, x: s.a(x) * s.g, a=nn.Linear(3, 3), g=nn.Parameter(torch.ones(3))), "parameter 'g'"),
        (lambda: nn.MultiheadAttention(4, 2), "MultiheadAttention"),
        (lambda: Body(lambda _s, x: x if x.sum() > 0 else -x), "trace Body .* take control flow"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(make, message):
    with pytest.raises(NotImplementedError, match=f"from_torch cannot .*{message}") as refused:
        theory.from_torch(make())
    assert "\n" not in str(refused.value)


# --- the law of what was read, against the real module ----------------------------------------------------------------

WIDTH, REPLICAS = 128, 32

CASES = {
    "tanh, default": lambda n: mlp(n, 3, nn.Tanh),
    "relu, kaiming": lambda n: mlp(n, 3, nn.ReLU, nn.init.kaiming_normal_, bias=False),
    "residual": lambda n: lambda: nn.Sequential(*(TanhBlock(n) for _ in range(4))),
    "pre-norm residual": lambda n: lambda: nn.Sequential(*(Block(n, 1.0) for _ in range(3))),
    "orthogonal": lambda n: mlp(n, 3, nn.Hardtanh, nn.init.orthogonal_),
    "widths": lambda n: lambda: nn.Sequential(nn.Linear(n, n // 2), nn.ReLU(), nn.Linear(n // 2, 3 * n // 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_modules_follow_the_law_of_their_description_and_no_other(case):
    make = CASES[case]
    half = WIDTH // 2
    run = validation.sample_module(make(WIDTH), unit(WIDTH), REPLICAS, seed=11, companion=(make(half), unit(half)))
    law = theory.jacobian_law(theory.from_torch(make(WIDTH)()), q0=1.0)
    assert validation.compare(run, law, alpha=ALPHA).passed
    assert not validation.compare(run, 1.6 * law, outlier=None, alpha=ALPHA).passed


def test_runs_of_modules_are_reported(tmp_path):
    run = validation.sample_module(mlp(24, 2, nn.Tanh), unit(24), replicas=8, seed=2)
    law = theory.jacobian_law(run.experiment.net)
    comparison = validation.compare(run, law)
    assert comparison.passed
    assert comparison.to_json()["experiment"]["module"].startswith("Sequential(")
    text = validation.report([comparison], tmp_path / "report.html").read_text()
    assert "sample_module(" in text


def test_modules_that_cannot_be_read_are_sampled_all_the_same(tmp_path):
    run = validation.sample_module(
        lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.Tanh(), nn.Flatten()), np.ones((1, 10)), replicas=8
    )
    assert run.log_singular_values.shape == (8, 16)
    comparison = validation.compare(run, theory.jacobian_law(theory.from_torch(nn.Linear(10, 16))))
    assert any("could not be read" in note for note in comparison.notes)
    assert comparison.name.startswith("Sequential(\n  (0): Conv1d")
    assert comparison.to_json()["experiment"]["net"] is None
    assert "could not be read" in validation.report([comparison], tmp_path / "report.html").read_text()


def test_the_page_of_the_documentation_runs():
    page = Path(__file__).parents[2] / "docs" / "torch.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    names = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in blocks:
            exec(block, names)
    assert "passed: the sample is compatible" in printed.getvalue()


def test_torch_is_loaded_by_what_needs_it():
    code = "import sys, validation, theory; theory.from_torch; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
