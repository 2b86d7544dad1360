import dataclasses
import itertools
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from rmt.results import PreconditionError
from theory.activations import ACTIVATION_NAMES, get_activation
from theory.network import (
    Activation,
    BatchNorm,
    Chain,
    DeltaOrthogonal,
    Dense,
    Dropout,
    LayerNorm,
    OrthogonalFilterNet,
    Repeat,
    Residual,
    ResNet,
    Scale,
    Sequential,
    blocks,
    describe,
)

BLOCK = Residual([Dense(0.3, 0.1), Activation("gelu"), Dense(0.2, weights="orthogonal")], skip=0.9)
NETWORKS = [
    Dense(1.2, 0.1, "orthogonal", width_ratio=Fraction(1, 2)),
    Activation("leaky_relu", alpha=0.2),
    BLOCK,
    Repeat(BLOCK, 24),
    Sequential([Dense(), Activation("tanh"), Repeat([Dense(), Activation("relu")], 3)]),
    Chain(10, "hard_tanh", 1.1, 0.3, "orthogonal"),
    Chain(4, Activation("elu", alpha=0.5)),
    ResNet(depth=50, activation="relu", sigma_w=0.7, sigma_b=0.1, skip=0.99),
    Residual([LayerNorm(), Dense(0.3), Dropout(Fraction(1, 10)), Scale(2)], 0.9, "orthogonal"),
    Sequential([Dense(), BatchNorm(), Activation("tanh")]),
    DeltaOrthogonal(4, 1.2, 0.3),
    OrthogonalFilterNet(7, "erf", 0.9, 0.1, 1.1, 0.2, "orthogonal"),
]


@pytest.mark.parametrize("net", NETWORKS)
def test_value_semantics(net):
    copy = eval(repr(net))
    assert copy == net
    assert hash(copy) == hash(net)
    assert pickle.loads(pickle.dumps(net)) == net
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.sigma_w = 2.0


@pytest.mark.parametrize("net", NETWORKS)
def test_description_names_every_part(net):
    text = describe(net)
    activations = {item.name for item in blocks(net) if isinstance(item, Activation)}
    assert all(name in text for name in activations)
    assert all(not line or line.strip() for line in text.splitlines())


def test_description_in_full():
    assert describe(Sequential([Dense(1.5, 0.2, width_ratio=2), Repeat(BLOCK, 3)])).splitlines() == [
        "in sequence:",
        "  dense, gaussian weights of variance 1.5²/inputs, bias variance 0.2², outputs/inputs = 2",
        "  3 times:",
        "    residual block, skip 0.9, branch:",
        "      dense, gaussian weights of variance 0.3²/inputs, bias variance 0.1²",
        "      activation gelu",
        "      dense, orthogonal weights of variance 0.2²/inputs, no bias",
    ]


def test_branch_and_layers_accept_one_layer_or_many():
    dense = Dense(0.5)
    assert Residual(dense) == Residual([dense]) == Residual((dense,), 1.0)
    assert Repeat(dense, 2) == Repeat([dense], times=2)
    assert Sequential(iter([dense, dense])).layers == (dense, dense)
    assert dataclasses.replace(Residual(dense), skip=0.5) == Residual([dense], 0.5)
    assert dataclasses.replace(Repeat(dense, 2), times=5) == Repeat(dense, 5)


def test_blocks_expand_in_order():
    net = Sequential([Dense(2.0), Repeat([Dense(3.0), Activation("tanh"), Sequential([BLOCK])], 2), ResNet(2, "relu")])
    items = list(blocks(net))
    pair = [Dense(3.0), Activation("tanh"), BLOCK]
    relu_block = Residual([Dense(1 / math.sqrt(2)), Activation("relu")])
    assert items == [Dense(2.0), *pair, *pair, relu_block, relu_block]


def test_blocks_are_lazy():
    assert len(list(itertools.islice(blocks(Repeat(BLOCK, 10**12)), 5))) == 5


def test_expansion_of_the_architectures():
    chain = Chain(3, "erf", 1.3, 0.2, "orthogonal")
    assert list(blocks(chain)) == [Dense(1.3, 0.2, "orthogonal"), Activation("erf")] * 3
    resnet = ResNet(9, "erf", 1.2, 0.2, 0.8, "orthogonal")
    (block,) = set(blocks(resnet))
    dense, activation = block.branch
    assert dense == Dense(dense.sigma_w, 0.2, "orthogonal")
    assert dense.sigma_w == pytest.approx(0.4, rel=1e-15)
    assert activation == Activation("erf")
    assert block.skip == 0.8
    assert len(list(blocks(resnet))) == 9


def test_activation_layer():
    assert Activation("leaky_relu") == Activation("leaky_relu", alpha=0.01)
    assert Activation("leaky_relu").nonlinearity is get_activation("leaky_relu")
    function = get_activation("elu", alpha=0.3)
    assert Activation(function) == Activation("elu", alpha=0.3)
    assert Chain(2, function).activation == Activation("elu", alpha=0.3)
    assert Chain(2, "tanh").nonlinearity == ResNet(2, "tanh").nonlinearity == get_activation("tanh")


def test_symbols_pass_and_stay_exact():
    depth = sp.Symbol("L", positive=True, integer=True)
    sigma, a = sp.symbols("sigma_w a", positive=True)
    net = ResNet(depth, "relu", sigma_w=sigma, sigma_b=sp.Symbol("sigma_b"), skip=a)
    (repeat,) = net.expand().layers
    assert repeat.times == depth
    dense = repeat.layers[0].branch[0]
    assert dense.sigma_w**2 == sigma**2 / depth
    (block,) = set(blocks(ResNet(50, "relu", sigma_w=sigma)))
    assert block.branch[0].sigma_w ** 2 == sigma**2 / 50
    assert block.branch[0].sigma_w.is_Mul  # no floating-point square root crept in
    assert not block.branch[0].sigma_w.atoms(sp.Float)
    assert "sigma_w" in describe(net)
    with pytest.raises(PreconditionError, match="symbolic"):
        list(blocks(net))
    # numbers of sympy are checked like others
    assert Dense(sp.Rational(1, 2)).sigma_w == sp.Rational(1, 2)
    with pytest.raises(ValueError, match="sigma_w"):
        Dense(sp.Integer(-1))
    with pytest.raises(ValueError, match="finite"):
        Dense(sp.nan)
    assert Chain(sp.Integer(3), "relu").depth == Chain(np.int64(3), "relu").depth == 3


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Activation("swish"), "unknown activation 'swish'.*relu.*tanh"),
        (lambda: ResNet(5, "swish"), "unknown activation"),
        (lambda: Chain(5, 3), "activation=3"),
        (lambda: Chain(0, "relu"), "depth=0"),
        (lambda: ResNet(-2, "relu"), "depth=-2"),
        (lambda: ResNet(2.0, "relu"), "depth=2.0"),
        (lambda: ResNet(True, "relu"), "depth=True"),
        (lambda: ResNet("5", "relu"), "depth='5'"),
        (lambda: ResNet(5, "relu", sigma_w=-0.1), "sigma_w=-0.1"),
        (lambda: ResNet(5, "relu", sigma_w=math.nan), "sigma_w=nan"),
        (lambda: ResNet(5, "relu", sigma_b=math.inf), "sigma_b=inf"),
        (lambda: ResNet(5, "relu", sigma_b=-1), "sigma_b=-1"),
        (lambda: ResNet(5, "relu", skip=math.nan), "skip=nan"),
        (lambda: ResNet(5, "relu", weights="sparse"), "unknown weights 'sparse'.*gaussian, orthogonal"),
        (lambda: Chain(5, "relu", sigma_w="1"), "sigma_w='1'"),
        (lambda: Chain(5, "relu", sigma_w=None), "sigma_w=None"),
        (lambda: Chain(5, "relu", sigma_w=1j), "sigma_w=1j"),
        (lambda: Dense(weights="haar"), "unknown weights"),
        (lambda: Dense(width_ratio=0), "width_ratio=0"),
        (lambda: Dense(width_ratio=-1.0), "width_ratio=-1.0"),
        (lambda: Repeat(Dense(), 0), "times=0"),
        (lambda: Repeat(Dense(), 1.5), "times=1.5"),
        (lambda: Repeat([], 2), "layers is empty"),
        (lambda: Sequential([]), "layers is empty"),
        (lambda: Sequential([Dense(), "relu"]), "layers="),
        (lambda: Sequential("relu"), "layers='relu'"),
        (lambda: Sequential(3), "layers=3"),
        (lambda: Residual([]), "branch is empty"),
        (lambda: Residual(Dense(), skip=math.inf), "skip=inf"),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "branch",
    [
        Dense(width_ratio=2),
        [Dense(width_ratio=2), Activation("relu"), Dense(width_ratio=0.25)],
        Repeat(Dense(width_ratio=Fraction(1, 2)), 3),
        Sequential([Dense(), Dense(width_ratio=3)]),
    ],
)
def test_skip_needs_equal_widths(branch):
    with pytest.raises(PreconditionError, match="skip with unequal widths"):
        Residual(branch)


def test_bottleneck_branch_is_allowed():
    narrow, wide = Dense(width_ratio=1 / 49), Dense(width_ratio=49)
    assert narrow.width_ratio * wide.width_ratio != 1  # by one rounding only
    block = Residual([narrow, Activation("relu"), wide])
    assert block.branch == (narrow, Activation("relu"), wide)
    assert describe(block).splitlines()[-1].endswith("outputs/inputs = 49")


def test_symbolic_widths_are_refused_only_where_they_surely_differ():
    r = sp.Symbol("r", positive=True)
    assert Residual(Dense(width_ratio=r)).branch == (Dense(width_ratio=r),)
    assert Residual([Dense(width_ratio=r), Dense(width_ratio=1 / r)]).branch[1].width_ratio == 1 / r
    with pytest.raises(PreconditionError, match="multiplies the width by 2"):
        Residual([Dense(width_ratio=r), Dense(width_ratio=2 / r)])


@pytest.mark.parametrize("branch", [Activation("relu"), [BLOCK], [ResNet(3, "relu"), Activation("tanh")]])
def test_branch_needs_weights_of_its_own(branch):
    with pytest.raises(PreconditionError, match="no Dense layer"):
        Residual(branch)


@pytest.mark.parametrize("first", [Dense(0.7), Chain(2, "tanh"), Repeat([Dense(0.7), Activation("erf")], 3)])
def test_nested_residual_is_allowed_beside_a_dense_layer(first):
    block = Residual([first, BLOCK], skip=0.6)
    assert list(blocks(block)) == [block]
    assert list(blocks(block.branch)) == [*blocks(first), BLOCK]
    # the inner block keeps its own skip, one level deeper
    lines = describe(block).splitlines()
    skips = [(len(line) - len(line.lstrip()), line.split("skip ")[1].split(",")[0]) for line in lines if "skip" in line]
    assert skips == [(0, "0.6"), (2, "0.9")]


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_every_activation_builds(name):
    assert Chain(2, name).nonlinearity.name == name
