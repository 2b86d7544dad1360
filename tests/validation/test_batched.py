"""Many replicas in one array: counters, equal results in every namespace of the array API, laws, single precision."""

import shutil
import subprocess
from types import ModuleType, SimpleNamespace

import array_api_strict
import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

import validation.networks
from theory.activations import ACTIVATION_NAMES, get_activation
from theory.network import (
    Activation,
    BatchNorm,
    Chain,
    Dense,
    Dropout,
    LayerNorm,
    OrthogonalFilterNet,
    Residual,
    ResNet,
    Scale,
    Sequential,
)
from validation import Experiment
from validation.backend import PRECISIONS, Backend, get_backend
from validation.chunk import Chunk
from validation.jacobian import FormedWeights
from validation.methods.batched import sample_batch
from validation.networks import Sampler, advance, initial_signal, sample_jacobian
from validation.philox import PhiloxGenerator, _pairs, cuda_source, philox
from validation.planner import METHODS

NETS = {
    "chain": Chain(3, "relu", 1.4, 0.3),
    "orthogonal chain": Chain(2, "hard_tanh", 1.4, 0.3, "orthogonal"),
    "resnet": ResNet(4, "tanh", 1.5, 0.1),
    "filters": OrthogonalFilterNet(3, "silu", 0.8, 0.5, 1.1, 0.1),
    "normalised": Sequential([Dense(1.2, 0.3), LayerNorm(), Activation("gelu"), Dropout(0.2), Scale(0.7)]),
    "rectangular": Sequential([Dense(width_ratio=2), Activation("erf"), Dense(0.7, 0, "orthogonal", 0.25)]),
    "batch": Residual([BatchNorm(), Dense(), Dropout(0.2), Activation("relu"), Scale(2.0)], 0.5),
    "activation alone": Activation("tanh"),
    "nothing": Dropout(0),
}


def strict(dtype="float64"):
    return Backend("strict", array_api_strict, dtype)


def chunk(net, start=0, stop=3, width=8):
    return Chunk(net, width, start, stop, 7, "numpy", None, 1.0, "batched")


# --- counters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_philox_gives_the_known_answers_of_its_authors(counter, key, words, xp):
    counter, key = (tuple(xp.asarray([word], dtype=xp.uint64) for word in part) for part in (counter, key))
    assert tuple(int(word[0]) for word in philox(counter, key)) == words


def test_numbers_depend_on_the_key_and_the_place_alone():
    keys = np.random.SeedSequence(3).generate_state(4, np.uint64)
    together, alone = PhiloxGenerator(keys, get_backend("numpy")), PhiloxGenerator(keys[2:3], get_backend("numpy"))
    for shape in ((3, 5), (7,), ()):
        np.testing.assert_array_equal(together.standard_normal(shape)[2], alone.standard_normal(shape)[0])
    np.testing.assert_array_equal(together.random((3,))[2], alone.random((3,))[0])


def test_numbers_have_their_laws():
    generator = PhiloxGenerator(np.array([1, 2, 3], dtype=np.uint64), get_backend("numpy"))
    normals, uniforms = generator.standard_normal((20_001,)), generator.random((20_001,))
    assert kstest(normals.ravel(), "norm").pvalue > 1e-6
    assert kstest(uniforms.ravel(), "uniform").pvalue > 1e-6
    # the two halves of a draw are the cosines and sines of the same angles
    half = normals.shape[1] // 2
    pairs = np.corrcoef([*normals, normals[0] ** 2, np.roll(normals[0], half) ** 2])
    np.testing.assert_allclose(pairs, np.eye(5), atol=5.0 / half**0.5)


def test_single_precision_numbers_are_those_of_double_precision_rounded():
    keys = np.array([5], dtype=np.uint64)
    double, single = (PhiloxGenerator(keys, get_backend("numpy", dtype)) for dtype in PRECISIONS)
    np.testing.assert_array_equal(double.standard_normal((9,)).astype(np.float32), single.standard_normal((9,)))


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler to run the kernel's source without a GPU")
@pytest.mark.parametrize(("law", "method"), [("normal", "standard_normal"), ("uniform", "random")])
def test_source_of_the_gpu_kernel_gives_the_numbers_of_the_generator(law, method, tmp_path):
    keys = np.random.SeedSequence(3).generate_state(2, np.uint64)
    first, count = 2**33 + 5, 7
    *_, body, preamble = cuda_source(law)
    (tmp_path / "kernel.c").write_text(
        f"""#include <math.h>
        #include <stdbool.h>
        #include <stdio.h>
        #define __device__ static
        {preamble}
        int main() {{
            unsigned long long keys[] = {{{keys[0]}ull, {keys[1]}ull}};
            unsigned long long first = {first}ull, count = {count}, blocks = {(count + 1) // 2};
            for (long i = 0; i < {2 * count}; i++) {{ double z; {body} printf("%.17g\\n", z); }}
        }}"""
    )
    command = ["cc", "-o", tmp_path / "kernel", tmp_path / "kernel.c", "-lm"]
    subprocess.run(command, check=True)
    printed = subprocess.run([tmp_path / "kernel"], capture_output=True, text=True, check=True).stdout
    generator = PhiloxGenerator(keys, get_backend("numpy"))
    generator._drawn = first
    expected = getattr(generator, method)((count,))
    np.testing.assert_allclose(np.array(printed.split(), dtype=float).reshape(2, count), expected, rtol=0, atol=1e-14)


# --- namespaces ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_strict_array_api_gives_the_results_of_numpy(name):
    expected, found = (sample_batch(chunk(NETS[name]), backend) for backend in (get_backend("numpy"), strict()))
    for column in set(expected) - {"seconds"}:
        np.testing.assert_allclose(found[column], expected[column], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_bits_of_a_replica_do_not_depend_on_the_batch(name):
    together, alone = (sample_batch(chunk(NETS[name], start, 3), get_backend("numpy")) for start in (0, 2))
    np.testing.assert_array_equal(together["log_singular_values"][2], alone["log_singular_values"][0])


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_equal_matrices_give_the_results_of_single_networks(activation):
    net = Sequential([ResNet(2, activation, 1.2), Dense(width_ratio=2), Activation(activation)])
    x = np.random.default_rng(1).standard_normal((3, 6))
    matrices = iter([])

    def injected(_ensemble, scale, n_out, n_in, _signal, sampler):
        matrix = next(matrices)
        assert matrix.shape[-2:] == (n_out, n_in)
        return FormedWeights(sampler.backend.xp.asarray(scale * matrix), n_in)

    drawn = [np.random.default_rng(n).standard_normal((3, n, 6)) / 6**0.5 for n in (6, 6, 12)]
    for backend in (get_backend("numpy"), strict()):
        matrices = iter(drawn)
        sampler = Sampler(None, backend, weights=injected)
        many = advance(net, initial_signal(net, x, sampler), sampler)
        for i in range(3):
            matrices = iter([matrix[i] for matrix in drawn])
            one = sample_jacobian(net, x[i], Sampler(None, get_backend("numpy"), weights=injected))
            np.testing.assert_allclose(np.asarray(many.x)[i], one.x, rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(np.asarray(many.jacobian.array())[i], one.jacobian, rtol=1e-12, atol=1e-13)
            assert int(np.broadcast_to(np.asarray(many.rank), 3)[i]) == one.rank


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """What numpy sees of an array on a GPU: its functions are handed over, implicit copies to the host are refused."""

    def __init__(self, values):
        self.values = values

    def __array__(self, *_args, **_kwargs):
        raise TypeError("implicit conversion to a numpy array is not allowed")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return DeviceArray(getattr(ufunc, method)(*map(on_host, inputs), **kwargs))

    def __array_function__(self, function, _types, args, kwargs):
        return DeviceArray(function(*map(on_host, args), **kwargs))

    def get(self):
        return self.values

    def copy(self):
        return DeviceArray(self.values.copy())


def on_host(value):
    return value.values if isinstance(value, DeviceArray) else value


class DeviceNamespace:
    """As much of cupy as activations need."""

    float64 = np.float64

    @staticmethod
    def asarray(value, dtype):
        return DeviceArray(np.asarray(on_host(value), dtype=dtype))


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_activations_are_computed_on_the_device(name, monkeypatch):
    backend, function, h = Backend("cupy", DeviceNamespace), get_activation(name), np.linspace(-3, 3, 7)
    with monkeypatch.context() as patch:
        patch.setattr(Backend, "to_numpy", None)
        found = [backend.elementwise(part, DeviceArray(h)) for part in (function.value, function.slope)]
    for array, expected in zip(found, (function.phi(h), function.dphi(h)), strict=True):
        np.testing.assert_array_equal(array.get(), expected)


def test_an_activation_that_insists_on_numpy_gets_a_copy():
    backend = Backend("cupy", DeviceNamespace)
    found = backend.elementwise(lambda h: np.asarray(h) + 1.0, DeviceArray(np.ones(2)))
    np.testing.assert_array_equal(found.get(), [2.0, 2.0])


class HostArray(np.ndarray):
    """An array of numpy that is fetched as one of cupy."""

    def get(self):
        return np.asarray(self)


def fetched(function):
    return lambda *args, **kwargs: function(*args, **kwargs).view(HostArray)


def fake_cupy():
    """What cupy 14 offers of what the sampler asks: numpy's functions, no `svdvals`, kernels by their numpy twin."""

    def elementwise_kernel(inputs, outputs, _body, name, **_preamble):
        assert (inputs.count(","), outputs) == (3, "float64 z")

        def kernel(keys, first, count, blocks, size):
            halves = _pairs(keys, first, blocks, name.removeprefix("philox_"), np)
            numbers = np.concatenate(halves, axis=-1)[:, :count]
            assert numbers.size == size
            return numbers.ravel().view(HostArray)

        return kernel

    cupy = ModuleType("cupy")
    cupy.ElementwiseKernel, cupy.asarray = elementwise_kernel, fetched(np.asarray)
    for name in (
        *("arange", "zeros_like", "zeros", "ones_like", "eye", "full_like", "sqrt", "sum", "mean", "all", "isfinite"),
        *("minimum", "copysign", "count_nonzero", "reshape", "uint64", "float64", "float32"),
    ):
        setattr(cupy, name, getattr(np, name))
    cupy.linalg = SimpleNamespace(
        qr=np.linalg.qr,
        svd=fetched(np.linalg.svd),
        eigvalsh=fetched(np.linalg.eigvalsh),
        matrix_transpose=np.linalg.matrix_transpose,
    )
    return cupy


@pytest.mark.parametrize("name", NETS)
def test_gpu_path_gives_the_results_of_numpy(name):
    width = 40 if name == "resnet" else 8  # eigenvalues of stacks, or one matrix after the other
    expected, found = (
        sample_batch(chunk(NETS[name], width=width), backend)
        for backend in (get_backend("numpy"), Backend("cupy", fake_cupy()))
    )
    for column in set(expected) - {"seconds"}:
        np.testing.assert_allclose(found[column], expected[column], rtol=0, atol=1e-12)


def test_law_is_that_of_single_networks():
    net = Sequential([Residual([Dense(1.5, 0.3), Activation("relu")], 0.5, "orthogonal"), Chain(2, "tanh", 1.3)])
    runs = [
        Experiment(net, 5, 400, seed, companion=False, method=method).run(workers=1)
        for method, seed in (("forward", 1), ("batched", 2))
    ]
    for statistic in (lambda e: e[:, 0], lambda e: e[:, 2], lambda e: e.sum(axis=1), lambda e: e[:, -1]):
        assert ks_2samp(*(statistic(run.eigenvalues) for run in runs), method="asymp").pvalue > 1e-6


# --- single precision ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["batched", "conditioned"])
@pytest.mark.parametrize("net", [NETS["resnet"], NETS["filters"], NETS["orthogonal chain"], Chain(2, "relu", 1.4, 0.3)])
def test_single_precision_is_the_same_network_rounded(net, method):
    double, single = (
        Experiment(net, 12, 2, companion=False, method=method, dtype=dtype).run(workers=1).samples[0]
        for dtype in PRECISIONS
    )
    assert not np.array_equal(double.log_singular_values, single.log_singular_values)
    np.testing.assert_allclose(single.eigenvalues, double.eigenvalues, rtol=0, atol=3e-5 * double.eigenvalues.max())
    np.testing.assert_array_equal(single.rank, double.rank)
    np.testing.assert_allclose(single.log_floor - double.log_floor, np.log(2.0**29), atol=1e-4)


def test_single_precision_is_refused_where_it_loses_the_spectrum():
    with pytest.raises(ValueError, match=r"dtype='float32' loses the spectrum of more than 3 layers.*dtype='float64'"):
        Experiment(Chain(4, "tanh"), width=8, dtype="float32")
    with pytest.raises(ValueError, match="dtype='half' is unknown; choose one of float64, float32"):
        Experiment(Chain(2, "tanh"), width=8, dtype="half")
    with pytest.raises(ValueError, match="method='forward' cannot sample this network: it computes in float64 only"):
        Experiment(Chain(2, "tanh"), width=8, dtype="float32", method="forward")


def test_precision_is_stored():
    experiment = Experiment(ResNet(2, "tanh"), width=8, dtype="float32")
    assert Experiment.from_json(experiment.to_json()) == experiment


# --- planning --------------------------------------------------------------------------------------------------------


def test_plan_takes_it_on_a_gpu_alone():
    on_gpu = Chunk(NETS["resnet"], 8, 0, 1, 1, "cupy", None, 1.0)
    assert METHODS["batched"].merit(on_gpu)
    assert METHODS["batched"].merit(chunk(NETS["resnet"])) is None
    assert METHODS["batched"].obstacle(on_gpu) is None
    obstacle = METHODS["batched"].obstacle(chunk(Dense(weights="uniform")))
    assert obstacle == "it draws Gaussian and orthogonal weights only"


def test_large_chunks_are_split_within_memory(monkeypatch):
    monkeypatch.setattr(validation.methods.batched, "_BYTES", 8 * 8 * 64 * 2)
    split = METHODS["batched"].sample(chunk(NETS["resnet"], 0, 5))
    whole = sample_batch(chunk(NETS["resnet"], 0, 5), get_backend("numpy"))
    np.testing.assert_array_equal(split["log_singular_values"], whole["log_singular_values"])
