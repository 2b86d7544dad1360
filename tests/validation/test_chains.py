"""Methods for chains with 0/1 slopes: the law of real networks, every singular value, whatever the range."""

import math

import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, polygamma

import theory
import validation
from theory import Activation, Chain, Dense, Dropout, LayerNorm, Repeat, Residual, Scale, Sequential
from validation import Experiment, log_norms
from validation.backend import get_backend
from validation.chunk import Chunk
from validation.kernels import chains
from validation.kernels.random import active_units, fill_above_diagonal, fill_chis, fill_normals, seed_replica
from validation.masked_chain import MaskedChain, masked_chain
from validation.methods.triangular import log_range
from validation.networks import Sampler, sample_jacobian
from validation.planner import METHODS
from validation.sampling import sample_chunk

FALSE_ALARM = 1e-6
RELU = Activation("relu")

NETS = {
    "relu": (Chain(4, "relu", 1.4), 9),
    "linear, widths that change": (Sequential([Dense(1.2, width_ratio=2), Dense(width_ratio=0.3), Dense(0.8)]), 8),
    "everything": (
        Sequential(
            [
                Scale(-1.5),
                Dense(1.1, width_ratio=1.5),
                Dropout(0.2),
                RELU,
                Scale(2.0),
                RELU,
                Repeat([Dense(0.9), Activation("leaky_relu", alpha=-1.0), RELU, Dropout(0.3)], 2),
                Dense(width_ratio=0.5),
                Activation("leaky_relu", alpha=1.0),
            ]
        ),
        8,
    ),
    "orthogonal": (Chain(3, "relu", 1.4, weights="orthogonal"), 9),
    "orthogonal, widths that change": (
        Sequential(
            [
                Dense(1.2, weights="orthogonal", width_ratio=1.5),
                RELU,
                Dense(weights="orthogonal", width_ratio=0.7),
                Dropout(0.2),
                Dense(0.9, width_ratio=1.2),
                RELU,
                Dense(1.1, weights="orthogonal"),
                Dropout(0.4),
            ]
        ),
        8,
    ),
}


def chunk(net, width, stop, method, start=0, seed=5, x=None):
    return Chunk(net, width, start, stop, seed, "numpy", x, 1.3, method)


def with_quiet_log(function):
    with np.errstate(divide="ignore", invalid="ignore"):
        return function()


def statistics(columns):
    """A few numbers a replica that see the whole spectrum, the rank and how the input lies in it."""
    logs, rank = columns["log_singular_values"], columns["rank"]
    counted = np.arange(logs.shape[1]) < rank[:, None]
    finite = np.where(counted, logs, 0.0)
    squares = np.where(counted, np.exp(2 * finite), 0.0)
    last = np.take_along_axis(logs, np.maximum(rank - 1, 0)[:, None], axis=1)[:, 0]
    alive = rank > 0
    gain = with_quiet_log(lambda: np.log(columns["output_square"] / columns["input_square"]))
    return {
        "rank": rank,
        "largest": logs[alive, 0],
        "second": logs[rank > 1, 1],
        "smallest": last[alive],
        "log-determinant": finite.sum(axis=1),
        "m_1": squares.sum(axis=1),
        "m_2": (squares**2).sum(axis=1),
        "gain": gain[alive],
        "gain against the largest": gain[alive] - 2 * logs[alive, 0],
        "input": columns["input_square"],
    }


def p_values(first, second):
    ours, theirs = statistics(first), statistics(second)
    return {name: stats.ks_2samp(ours[name], theirs[name], method="asymp").pvalue for name in ours}


def batched_forward(net, width, replicas, seed=1):
    """Many real networks at once, for chains of equal widths: weights, a forward pass, products, decompositions."""
    rng = np.random.default_rng(seed)
    x = start = rng.standard_normal((replicas, width, 1)) * math.sqrt(1.3)
    jacobian, rank = np.eye(width), np.full(replicas, width)
    for _ in range(net.depth):
        weights = rng.standard_normal((replicas, width, width)) * (net.sigma_w / math.sqrt(width))
        h = weights @ x
        slope = (h > 0) * 1.0
        x, jacobian = h * slope, slope * (weights @ jacobian)
        rank = np.minimum(rank, slope.sum(axis=(1, 2)).astype(int))
    singular = np.linalg.svd(jacobian, compute_uv=False)
    logs = np.where(np.arange(width) < rank[:, None], with_quiet_log(lambda: np.log(singular)), -np.inf)
    return {
        "log_singular_values": logs,
        "rank": rank,
        "input_square": (start**2).mean(axis=(1, 2)),
        "output_square": (x**2).mean(axis=(1, 2)),
    }


@pytest.mark.parametrize("name", NETS)
def test_the_law_is_that_of_the_reference(name):
    net, width = NETS[name]
    reference = sample_chunk(chunk(net, width, 1000, "forward"))
    for method in ("triangular", "deep"):
        if METHODS[method].obstacle(chunk(net, width, 0, method)) is None:
            sample = sample_chunk(chunk(net, width, 10_000, method))
            assert min(p_values(sample, reference).values()) > FALSE_ALARM


@pytest.fixture(scope="module")
def many_relu_nets():
    net, width = NETS["relu"]
    return net, width, batched_forward(net, width, 20_000)


@pytest.mark.parametrize("method", ["triangular", "deep"])
def test_the_law_is_that_of_many_real_networks(method, many_relu_nets):
    net, width, reference = many_relu_nets
    assert min(p_values(sample_chunk(chunk(net, width, 20_000, method)), reference).values()) > FALSE_ALARM


def test_the_law_is_that_of_many_deeper_networks():
    net, width, replicas = Chain(10, "relu", 2**0.5), 16, 6000
    reference = batched_forward(net, width, replicas)
    assert min(p_values(sample_chunk(chunk(net, width, replicas, "triangular")), reference).values()) > FALSE_ALARM
    wrong = batched_forward(Chain(10, "relu", 1.03 * 2**0.5), width, replicas)
    assert min(p_values(wrong, reference).values()) < FALSE_ALARM


def kernel_columns(chain, replicas, keep=None, widths=None):
    """A chain through the kernel, with other masks or widths than its own."""
    n_out = int(chain.widths[-1])
    values, rank, squares = np.full((replicas, n_out), -np.inf), np.zeros(replicas, np.int64), np.empty((replicas, 2))
    key = np.random.SeedSequence(8).generate_state(8, np.uint64)
    keep = chain.keep if keep is None else keep
    widths = chain.widths if widths is None else widths
    chains.sample_triangular(key, 0, widths, keep, chain.haar_sizes, chain.log_scale, -1.0, 1.3, values, rank, squares)
    n_in = int(chain.widths[0])
    columns = {"input_square": squares[:, 0] / n_in, "output_square": squares[:, 1] / n_out}
    return {"log_singular_values": values, "rank": rank, **columns}


def test_wrong_masks_and_wrong_freedom_are_seen(many_relu_nets):
    net, width, reference = many_relu_nets
    chain = masked_chain(net, width)
    assert min(p_values(kernel_columns(chain, 20_000), reference).values()) > FALSE_ALARM
    seen = p_values(kernel_columns(chain, 20_000, keep=np.full(4, 0.45)), reference)
    assert max(seen[name] for name in ("rank", "m_1", "largest")) < FALSE_ALARM
    # a unit more in one layer, weights of the same variance: one degree of freedom
    linear = masked_chain(Chain(2, "linear"), 6)
    right = kernel_columns(linear, 20_000)
    wrong = kernel_columns(linear, 20_000, widths=np.array([6, 7, 6]))
    assert p_values(wrong, right)["log-determinant"] < FALSE_ALARM


def test_bits_do_not_depend_on_chunks():
    for name, method in (("everything", "triangular"), ("everything", "deep"), ("orthogonal", "triangular")):
        net, width = NETS[name]
        whole = sample_chunk(chunk(net, width, 12, method))
        part = sample_chunk(chunk(net, width, 9, method, start=4))
        for column in set(whole) - {"seconds"}:
            np.testing.assert_array_equal(part[column], whole[column][4:9])


@pytest.mark.parametrize(("name", "width"), [("everything", 8), ("orthogonal", 9), ("relu", 70)])
def test_bits_do_not_depend_on_what_is_sampled_together(name, width):
    net = NETS[name][0] if name != "relu" else Chain(2, "relu")
    whole = sample_chunk(chunk(net, width, 150, "triangular"))
    assert len(np.unique(whole["rank"])) > 3
    for start, stop in ((0, 149), (77, 150), (149, 150)):
        part = sample_chunk(chunk(net, width, stop, "triangular", start=start))
        for column in set(whole) - {"seconds"}:
            np.testing.assert_array_equal(part[column], whole[column][start:stop])


def drawn_factors(chain, replica, seed):
    """The triangular factors that both kernels draw for one replica, each with the state from which it is drawn."""
    state = np.empty(4, np.uint64)
    key = np.random.SeedSequence(seed, spawn_key=(int(chain.widths[0]),)).generate_state(8, np.uint64)
    seed_replica(key, replica, state)
    active = [chain.widths[0]]
    active += [active_units(state, n, p) for n, p in zip(chain.widths[1:], chain.keep, strict=True)]
    size = min(active)
    active.remove(size)
    return state, active, int(size)


def exact_logs(product):
    squares = mpmath.eigsy(product * product.T, eigvals_only=True)
    return np.array(sorted((float(mpmath.log(x) / 2) for x in squares), reverse=True))


@pytest.mark.parametrize(
    ("net", "width", "digits"),
    [(Chain(90, "linear"), 8, 250), (Chain(250, "linear"), 8, 500), (Chain(30, "relu", 1.4), 16, 250)],
)
def test_triangular_resolves_every_singular_value(net, width, digits):
    chain = masked_chain(net, width)
    state, freedoms, size = drawn_factors(chain, 3, 5)
    with mpmath.workdps(digits):
        product = mpmath.eye(size)
        for freedom in freedoms:
            factor, diagonal = np.zeros((size, size)), np.empty(size)
            fill_chis(state, int(freedom), diagonal, size)
            fill_above_diagonal(state, factor, size, size)
            product = mpmath.matrix(factor + np.diag(diagonal)) * product
        expected = exact_logs(product) + chain.log_scale
    columns = sample_chunk(chunk(net, width, 4, "triangular", start=3))
    assert columns["rank"][0] == columns["resolved"][0] == size
    if net.activation == "linear":
        assert expected[0] - expected[-1] > 60 * math.log(10)
    np.testing.assert_allclose(columns["log_singular_values"][0, :size], expected, atol=1e-10)
    assert np.all(columns["log_singular_values"][0, size:] == -np.inf)


def test_factors_of_many_sizes_give_their_singular_values():
    net, width, replicas = Chain(2, "relu"), 68, 12
    chain = masked_chain(net, width)
    columns = sample_chunk(chunk(net, width, replicas, "triangular"))
    # on either side of where replicas are no more treated together
    assert columns["rank"].min() < 30
    assert columns["rank"].max() > 32
    for replica in range(replicas):
        state, freedoms, size = drawn_factors(chain, replica, 5)
        product = np.eye(size)
        for freedom in freedoms:
            factor, diagonal = np.zeros((size, size)), np.empty(size)
            fill_chis(state, int(freedom), diagonal, size)
            fill_above_diagonal(state, factor, size, size)
            product = (factor + np.diag(diagonal)) @ product
        logs = columns["log_singular_values"][replica, :size]
        np.testing.assert_allclose(logs, np.log(np.linalg.svd(product)[1]) + chain.log_scale, atol=1e-9)


def test_deep_resolves_every_singular_value_beyond_the_range_of_doubles():
    net, width = Chain(500, "linear"), 9
    chain = masked_chain(net, width)
    state, freedoms, size = drawn_factors(chain, 0, 5)
    levels = np.zeros(size)
    neglected = np.random.default_rng(1)
    with mpmath.workdps(1500):
        product = mpmath.eye(size)
        for freedom in freedoms:
            factor, diagonal, drawn = np.zeros((size, size)), np.empty(size), np.empty(size)
            fill_chis(state, int(freedom), diagonal, size)
            for i in range(size):
                reach = i + 1
                while reach < size and levels[reach:].max() > levels[i] - 46.0:
                    reach += 1
                if reach > i + 1:
                    fill_normals(state, drawn, reach - i - 1)
                # what the kernel neglects is drawn here, and must not matter
                factor[i, i + 1 :] = neglected.standard_normal(size - i - 1)
                factor[i, i + 1 : reach] = drawn[: reach - i - 1]
                levels[i] += math.log(diagonal[i])
            product = mpmath.matrix(factor + np.diag(diagonal)) * product
        expected = exact_logs(product) + chain.log_scale
    assert expected[0] - expected[-1] > 800  # doubles end at e^709 and e^-745
    columns = sample_chunk(chunk(net, width, 1, "deep"))
    np.testing.assert_allclose(columns["log_singular_values"][0], expected, atol=1e-10)


@pytest.mark.parametrize(
    ("net", "method"),
    [
        (Chain(3, "relu", 2**0.5), "triangular"),
        (Chain(3, "relu", 2**0.5, weights="orthogonal"), "triangular"),
        (Chain(4, "linear"), "deep"),
    ],
)
def test_experiments_use_the_method_and_agree_with_the_law(net, method):
    experiment = Experiment(net, width=80, replicas=48, seed=2, method=method if method == "deep" else None)
    assert [plan.method for plan in experiment.plan()] == [method, method]
    run = experiment.run(workers=1)
    assert run.metadata["methods"] == {"80": method, "40": method}
    assert validation.compare(run, theory.jacobian_law(net)).passed
    assert not validation.compare(run, theory.jacobian_law(Chain(net.depth, net.activation, 1.3 * net.sigma_w))).passed


def test_a_given_input_keeps_its_square():
    x = tuple(np.linspace(-1, 2, 9))
    columns = sample_chunk(chunk(NETS["relu"][0], 9, 3, "triangular", x=x))
    np.testing.assert_allclose(columns["input_square"], np.mean(np.square(x)), rtol=1e-14)


def test_dead_networks_have_rank_zero():
    columns = sample_chunk(chunk(Chain(12, "relu"), 2, 200, "deep"))
    dead = columns["rank"] == 0
    assert dead.any()
    assert np.all(columns["log_singular_values"][dead] == -np.inf)
    assert np.all(columns["output_square"][dead] == 0.0)
    # relu of what is never positive
    never = Sequential([Dense(), RELU, Scale(-1.0), RELU])
    assert sample_chunk(chunk(never, 4, 3, "triangular"))["rank"].max() == 0
    assert sample_chunk(chunk(never, 4, 3, "forward"))["rank"].max() == 0


@pytest.mark.parametrize(
    ("net", "clause"),
    [
        (Chain(2, "tanh"), r"the slopes of the activation tanh are not 0 and ±1 .* \(needed: linear, relu"),
        (Chain(2, Activation("leaky_relu", alpha=0.1)), "the slopes of the activation leaky_relu are not 0 and ±1"),
        (Chain(2, "relu", sigma_b=0.3), r"it has biases of sigma_b=0.3 \(needed: none\)"),
        (Residual([Dense()]), r"it has skip connections"),
        (Sequential([Dense(), Residual([Dense()])]), r"it has skip connections \(needed: a chain of"),
        (Sequential([Dense(), LayerNorm()]), "it has a LayerNorm layer"),
        (Sequential([RELU, Dense()]), r"the activation relu comes before the first weights \(needed: a Dense layer at"),
        (Sequential([Dense(), Scale(0.0)]), "it is multiplied by 0"),
        (Chain(2, "relu", 0.0), r"it has weights of sigma_w=0 \(needed: sigma_w > 0\)"),
        (Scale(2.0), "it has no weights"),
    ],
)
def test_what_cannot_be_sampled_says_why(net, clause):
    with pytest.raises(ValueError, match=rf"method='triangular' cannot sample this network: {clause}"):
        Experiment(net, width=8, method="triangular", companion=False)
    assert Experiment(net, width=8).plan()[0].method not in {"triangular", "deep"}


def test_the_range_decides_between_triangular_and_deep():
    assert Experiment(Chain(5, "relu"), width=40).plan()[0].method == "triangular"
    assert Experiment(Chain(3000, "relu"), width=40).plan()[0].method == "deep"
    with pytest.raises(ValueError, match=r"may differ by a factor e\^\d+ \(needed: at most e\^600\)"):
        Experiment(Chain(3000, "linear"), width=40, method="triangular")
    with pytest.raises(ValueError, match=r"it has orthogonal weights \(needed: Gaussian ones\)"):
        Experiment(Chain(3, "relu", weights="orthogonal"), width=40, method="deep")


@pytest.mark.parametrize("name", NETS)
def test_the_range_is_an_upper_estimate(name):
    net, width = NETS[name]
    chain = masked_chain(Repeat(net, 5), 2 * width)
    assert isinstance(chain, MaskedChain)
    columns = kernel_columns(chain, 300)
    alive = columns["rank"] > 0
    last = columns["log_singular_values"][np.flatnonzero(alive), columns["rank"][alive] - 1]
    widest = (columns["log_singular_values"][alive, 0] - last).max()
    assert 0 <= widest < log_range(chain)


class TestLogNorms:
    def test_moments_are_those_of_the_exact_laws(self):
        depth, width = 7, 10
        for activation, sigma, factor in (("linear", 1.0, "linear"), ("relu", 2**0.5, "relu")):
            logs = log_norms(Chain(depth, activation, sigma), width, 40_000, seed=3)[:, 0]
            active = np.arange(1, width + 1)
            law = stats.binom(width, 0.5 if factor == "relu" else 1.0).pmf(active)
            mean = digamma(active / 2) + math.log(2 * sigma**2 / width)
            first = law @ mean / law.sum()
            variance = law @ (polygamma(1, active / 2) + mean**2) / law.sum() - first**2
            alive = logs[np.isfinite(logs)]
            assert abs(alive.mean() - depth * first) < 5 * math.sqrt(depth * variance / alive.size)
            assert alive.var() == pytest.approx(depth * variance, rel=0.05)
            assert stats.binomtest(alive.size, logs.size, law.sum() ** depth).pvalue > FALSE_ALARM

    @pytest.mark.parametrize("name", ["relu", "everything", "orthogonal"])
    def test_law_is_that_of_columns_of_real_jacobians(self, name):
        net, width = NETS[name]
        directions = 1 if name == "orthogonal" else 3
        ours = log_norms(net, width, 10_000, directions=directions, seed=4)
        rng = np.random.default_rng(2)
        sampler = Sampler(rng, get_backend("numpy"))
        jacobians = [sample_jacobian(net, rng.standard_normal(width), sampler).jacobian for _ in range(1000)]
        squares = np.array([(jacobian[:, :directions] ** 2).sum(axis=0) for jacobian in jacobians])
        theirs = with_quiet_log(lambda: np.log(squares))
        statistics = [lambda logs: logs[:, 0], lambda logs: logs[:, -1]]
        if directions > 1:
            statistics += [lambda logs: with_quiet_log(lambda: logs[:, 0] - logs[:, 2]), lambda logs: logs.max(axis=1)]
        for statistic in statistics:
            first, second = statistic(ours), statistic(theirs)
            assert stats.ks_2samp(np.nan_to_num(first, neginf=-99.0), np.nan_to_num(second, neginf=-99.0)).pvalue > 1e-6
        # power: another variance of the weights by a tenth
        assert stats.ks_2samp(ours[:, 0] + 2 * math.log(1.1) * 4, theirs[:, 0]).pvalue < FALSE_ALARM

    def test_depth_has_no_limit_and_replicas_no_order(self):
        logs = log_norms(Chain(20_000, "linear"), 6, 20, seed=1)
        assert np.isfinite(logs).all()
        assert logs.mean() < -2_000
        np.testing.assert_array_equal(logs[:5], log_norms(Chain(20_000, "linear"), 6, 5, seed=1))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"width": 0}, "width=0 must be an integer >= 1"),
            ({"replicas": 2.5}, "replicas=2.5 must be an integer >= 1"),
            ({"seed": -1}, "seed=-1 must be an integer >= 0"),
            ({"directions": 9}, "directions=9 must be at most width=8"),
            ({"net": Chain(2, "tanh")}, "has no sum of logarithms for its norms: the slopes of the activation tanh"),
            ({"net": Chain(2, "relu", weights="orthogonal"), "directions": 2}, "takes one direction; use 1"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            log_norms(**{"net": Chain(2, "relu"), "width": 8, "replicas": 3, **arguments})
