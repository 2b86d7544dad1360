"""From a torch module to a network description: which layers, in which order, drawn from which distributions.

The module's graph is found by symbolic tracing (`torch.fx`), so that nested `Sequential`, modules of one's own and
residual blocks ``x + branch(x)`` are read alike. The scales of weights and biases come from the parameters themselves:
a layer whose entries are those of a known rule of initialisation gets that rule's exact variance, another one the
variance of its entries, with a warning that says how well it is known.

torch is imported when a module is read, not before.
"""

from __future__ import annotations

import functools
import importlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from rmt.results import PreconditionError
from theory.network import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Residual,
    Scale,
    Sequential,
)

__all__ = ["from_torch"]

FloatArray = npt.NDArray[np.float64]

# Squared gains of torch.nn.init.calculate_gain: linear and sigmoid, relu, tanh, selu.
_SQUARED_GAINS = (Fraction(1), Fraction(2), Fraction(25, 9), Fraction(9, 16))
# A statistic of the entries this many sampling errors away from a rule's does not belong to the rule.
_ERRORS = 4.0
# P(the largest of n uniform entries is below (1 - 30/n) of the bound) = exp(-30).
_TOP = 30.0
_ORTHOGONAL = 1e-4  # weights are float32


def from_torch(module: Any) -> Sequential:
    """Read a torch module at initialisation as a network description.

    Parameters
    ----------
    module : torch.nn.Module
        Any composition of `Linear`, activations, `Dropout`, `LayerNorm` over the whole layer, `BatchNorm1d`,
        multiplication by constants and residual blocks ``a x + branch(x)``. `Dropout` and `BatchNorm1d` are read in the
        mode they are in: call ``module.eval()`` first for what they do outside training.

    Returns
    -------
    Sequential
        For `jacobian_law`, `propagate` and the others. Widths enter as `width_ratio`; biases drawn by the default of
        `nn.Linear` have variance 1/(3 inputs), which is small but not 0. Weights are ``"uniform"``, ``"orthogonal"``,
        or else ``"gaussian"``: independent entries have the same law at large width whatever they are.

    Raises
    ------
    NotImplementedError
        If some part cannot be read; the message names it, says why, and what to do.
    ImportError
        If torch is not installed.

    Warns
    -----
    UserWarning
        Where weights or biases follow no rule of initialisation that is known here (the default of `nn.Linear`; uniform
        or normal entries with the gains and fans of `torch.nn.init`; orthogonal): their scale is then estimated.
    """
    try:
        fx, nn = importlib.import_module("torch.fx"), importlib.import_module("torch.nn")
    except ModuleNotFoundError as error:
        raise ImportError("from_torch needs torch: pip install 'rmt-toolkit[torch]'") from error
    if not isinstance(module, nn.Module):
        raise TypeError(f"module={module!r} is no torch.nn.Module; give one, as it is after initialisation")
    # a single layer has no graph of its own; as the only child of a Sequential it has
    single = type(module).__module__.startswith("torch.nn.") and not isinstance(module, nn.Sequential)
    root = nn.Sequential(module) if single else module
    try:
        graph = fx.Tracer().trace(root)
    except Exception as error:
        raise NotImplementedError(
            f"from_torch cannot trace {type(module).__name__} ({' '.join(str(error).split())[:200]}); "
            "take control flow that depends on the input out of forward"
        ) from error
    layers = _Reader(root, tuple(graph.nodes)).layers()
    if not layers:
        raise NotImplementedError("from_torch: the module does nothing to its input; give it a layer")
    return Sequential(layers)


def _cannot(where: str, why: str, instead: str) -> NoReturn:
    raise NotImplementedError(f"from_torch cannot read {where}: {why}; {instead}")


@dataclass(frozen=True, eq=False)
class _Reader:
    """The graph of a module, read backwards from its output."""

    root: Any
    nodes: tuple[Any, ...]

    def layers(self) -> tuple[Layer, ...]:
        inputs = [node for node in self.nodes if node.op == "placeholder" and node.users]
        if len(inputs) != 1:
            _cannot(type(self.root).__name__, f"it has {len(inputs)} inputs", "wrap it in a module of one input")
        (output,) = (node for node in self.nodes if node.op == "output")
        if not hasattr(output.args[0], "op"):
            _cannot(type(self.root).__name__, "it returns more than one tensor", "wrap it in a module that returns one")
        self._refuse_shared_weights()
        return tuple(self._between(inputs[0], output.args[0]))

    def _refuse_shared_weights(self) -> None:
        seen: dict[int, str] = {}
        for node in self.nodes:
            if node.op == "call_module":
                for parameter in self.root.get_submodule(node.target).parameters():
                    if id(parameter) in seen:
                        _cannot(
                            f"submodule {node.target!r}", f"its weights are also those of {seen[id(parameter)]!r}, and "
                            "the law needs independent ones", "give each layer a module of its own",
                        )  # fmt: skip
                for parameter in self.root.get_submodule(node.target).parameters():
                    seen[id(parameter)] = node.target

    def _between(self, source: Any, node: Any) -> list[Layer]:
        """The layers from one node's value to that of a later one."""
        found: list[list[Layer]] = []
        while node is not source:
            before = self._before(node)
            found.append(self._residual(before, node) if _is_sum(node) else self._layer(node))
            node = before
        return [layer for part in reversed(found) for layer in part]

    def _before(self, node: Any) -> Any:
        """The last node that all paths from the input to this node pass: its argument, or where a sum's terms part."""
        operands = [argument for argument in node.args if hasattr(argument, "op")]
        if _is_sum(node) and len(operands) == 2:
            passed = list(self._passed(operands[0]))
            return next(other for other in self._passed(operands[1]) if other in passed)
        for operand in operands:
            if operand.op == "get_attr":
                _cannot(f"parameter {operand.target!r}", "it is used outside a layer of torch.nn", "use nn.Linear")
        if len(operands) != 1 or any(hasattr(value, "op") for value in node.kwargs.values()):
            _cannot(_place(node), "it combines several values", "only sums of two values can be read")
        return operands[0]

    def _passed(self, node: Any) -> Iterator[Any]:
        while node.op != "placeholder":
            yield node
            node = self._before(node)
        yield node

    def _residual(self, fork: Any, node: Any) -> list[Layer]:
        terms = [self._between(fork, operand) for operand in node.args]
        skips = [all(isinstance(layer, Scale) for layer in term) for term in terms]
        if not any(skips):
            _cannot(
                _place(node), "it adds two branches of which neither is a multiple of what both start from",
                "such a sum has no rule; shortcuts must be the identity or a constant factor",
            )  # fmt: skip
        shortcut = terms[skips.index(True)]
        branch = terms[1 - skips.index(True)]
        factor = math.prod(float(layer.factor) for layer in shortcut if isinstance(layer, Scale))
        if all(skips):
            other = math.prod(float(layer.factor) for layer in branch if isinstance(layer, Scale))
            return [Scale(factor + other)]
        try:
            return [Residual(branch, factor)]
        except PreconditionError as error:
            _cannot(_place(node), str(error).partition(":")[0], "the branch needs an nn.Linear and must keep the width")

    def _layer(self, node: Any) -> list[Layer]:
        place = _place(node)
        if node.op == "call_module":
            module = self.root.get_submodule(node.target)
            kind = type(module)
            rule = _MODULES.get(kind.__name__) if kind.__module__.startswith("torch.nn.modules.") else None
            if rule is None:
                readable = ", ".join(sorted(_MODULES))
                _cannot(f"{place} ({kind.__name__})", "it has no rule in the theory", f"what can be read is {readable}")
            return rule(place, module)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](place, *_constants(node))
        return _cannot(place, f"{name} has no rule in the theory", "what can be read is " + ", ".join(_FUNCTIONS))


def _is_sum(node: Any) -> bool:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    both = len(node.args) == 2 and all(hasattr(argument, "op") for argument in node.args)
    return node.op in ("call_function", "call_method") and name in ("add", "iadd", "add_") and both


def _place(node: Any) -> str:
    return f"submodule {node.target!r}" if node.op == "call_module" else f"operation {node.name!r}"


def _constants(node: Any) -> tuple[list[Any], Mapping[str, Any]]:
    return [argument for argument in node.args if not hasattr(argument, "op")], node.kwargs


# --- layers -----------------------------------------------------------------------------------------------------------


def _linear(place: str, module: Any) -> list[Layer]:
    weight = module.weight.detach().cpu().double().numpy()
    n_out, n_in = weight.shape
    sigma_w, kind = _weights(place, weight)
    sigma_b = 0.0 if module.bias is None else _biases(place, module.bias.detach().cpu().double().numpy(), n_in)
    ratio = Fraction(n_out, n_in)
    return [Dense(sigma_w, sigma_b, kind, int(ratio) if ratio.denominator == 1 else ratio)]


def _weights(place: str, weight: FloatArray) -> tuple[float, str]:
    """sigma_w and the kind of weights."""
    n_out, n_in = weight.shape
    gain = _orthogonal_gain(place, weight)
    if gain is not None:
        # float32 knows a gain to seven digits, an atom of the law must sit where the gain was meant to be
        gain = next((g for g in map(math.sqrt, _SQUARED_GAINS) if abs(gain / g - 1.0) < 1e-6), float(f"{gain:.6g}"))
        # entries of variance sigma_w²/n_in, also where the columns are orthonormal
        return gain * min(1.0, math.sqrt(n_in / n_out)), "orthogonal"
    if not weight.any():
        return 0.0, "gaussian"
    _refuse_mean(place, "weights", weight)
    fans = (Fraction(n_in), Fraction(n_out), Fraction(n_in + n_out, 2))
    rules = [Fraction(1, 3 * n_in), *(gain / fan for gain in _SQUARED_GAINS for fan in fans)]
    found = _known_rule(weight.ravel(), rules)
    if found is not None:
        variance, uniform = found
        return math.sqrt(variance * n_in), "uniform" if uniform else "gaussian"
    variance = float(np.mean(weight**2))
    _say_estimated(place, "weights", f"sigma_w = {math.sqrt(variance * n_in):.5g}", weight.size)
    return math.sqrt(variance * n_in), "gaussian"


def _orthogonal_gain(place: str, weight: FloatArray) -> float | None:
    """Factor g where the rows or columns, whichever are fewer, are g times orthonormal vectors."""
    gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    square = float(np.trace(gram)) / len(gram)
    if len(gram) < 2 or square == 0.0 or np.abs(gram - square * np.eye(len(gram))).max() > _ORTHOGONAL * square:
        return None
    rows = weight if weight.shape[0] <= weight.shape[1] else weight.T
    if np.all(np.abs(rows).max(axis=1) > 0.999 * math.sqrt(square)):
        _cannot(place, "its weights are a permutation matrix or the identity, not a random one",
                "leave the layer out, or initialise it by torch.nn.init.orthogonal_")  # fmt: skip
    return math.sqrt(square)


def _biases(place: str, bias: FloatArray, n_in: int) -> float:
    """sigma_b."""
    if not bias.any():
        return 0.0
    if len(bias) > 1:
        _refuse_mean(place, "biases", bias)
    found = _known_rule(bias, [Fraction(1, 3 * n_in)])
    if found is not None:
        return math.sqrt(found[0])
    sigma_b = math.sqrt(float(np.mean(bias**2)))
    _say_estimated(place, "biases", f"sigma_b = {sigma_b:.5g}", bias.size)
    return sigma_b


def _refuse_mean(place: str, what: str, entries: FloatArray) -> None:
    mean, spread = float(entries.mean()), float(entries.std())
    if abs(mean) > _ERRORS * spread / math.sqrt(entries.size):
        _cannot(place, f"its {what} have mean {mean:.3g}, and the theory takes centred ones",
                "initialise them with mean 0")  # fmt: skip


def _known_rule(entries: FloatArray, rules: list[Fraction]) -> tuple[float, bool] | None:
    """The nearest of the variances whose uniform or normal law the entries have, and whether it is the uniform one."""
    n = entries.size
    square = float(np.mean(entries**2))
    largest = float(np.abs(entries).max())
    near: list[tuple[float, float, bool]] = []
    for rule in map(float, rules):
        bound = math.sqrt(3.0 * rule)
        # the square of a uniform entry has relative variance 4/5, that of a normal one 2
        uniform = bound * (1.0 - _TOP / n) <= largest <= bound * (1.0 + 1e-6)
        error = math.sqrt((0.8 if uniform else 2.0) / n)
        if not uniform and abs(_kurtosis(entries) - 3.0) > _ERRORS * math.sqrt(24.0 / n):
            continue
        deviation = abs(square / rule - 1.0) / error
        if deviation < _ERRORS:
            near.append((deviation, rule, uniform))
    return min(near)[1:] if near else None


def _kurtosis(entries: FloatArray) -> float:
    return float(np.mean(entries**4) / np.mean(entries**2) ** 2)


def _say_estimated(place: str, what: str, value: str, count: int) -> None:
    warnings.warn(
        f"from_torch: the {what} of {place} follow no known rule of initialisation; {value} was estimated from the "
        f"{count} entries, to about {100 / math.sqrt(2 * count):.2g} %",
        UserWarning,
        stacklevel=2,
    )


def _named(name: str) -> Callable[..., list[Layer]]:
    return lambda _place, *_ignored: [Activation(name)]


def _nothing(_place: str, *_ignored: Any) -> list[Layer]:
    return []


def _leaky_relu(_place: str, slope: float) -> list[Layer]:
    return [Activation("leaky_relu", alpha=float(slope))]


def _elu(_place: str, alpha: float) -> list[Layer]:
    return [Activation("elu", alpha=float(alpha))]


def _hard_tanh(place: str, lower: float, upper: float) -> list[Layer]:
    if (lower, upper) != (-1.0, 1.0):
        _cannot(place, f"a hard tanh between {lower} and {upper} has no rule", "only -1 and 1 can be read")
    return [Activation("hard_tanh")]


def _softplus(place: str, beta: float) -> list[Layer]:
    if beta != 1:
        _cannot(place, f"softplus of beta = {beta} has no rule", "only beta = 1 can be read")
    return [Activation("softplus")]


def _gelu(place: str, approximate: str) -> list[Layer]:
    if approximate != "none":
        _cannot(place, f"gelu by the approximation {approximate!r} has no rule", "use approximate='none'")
    return [Activation("gelu")]


def _prelu(place: str, module: Any) -> list[Layer]:
    slopes = module.weight.detach().cpu().double().numpy()
    if np.ptp(slopes) > 0.0:
        _cannot(place, "its slopes differ from unit to unit", "use one slope")
    return _leaky_relu(place, float(slopes[0]))


def _dropout(_place: str, rate: float, training: bool) -> list[Layer]:
    return [Dropout(float(rate))] if training and rate else []


def _layer_norm(place: str, module: Any) -> list[Layer]:
    if len(module.normalized_shape) != 1:
        _cannot(place, "it normalises over more than one axis", "normalise over the features of the layer")
    _refuse_affine(place, module)
    return [LayerNorm()]


def _batch_norm(place: str, module: Any) -> list[Layer]:
    _refuse_affine(place, module)
    if module.training or module.running_var is None:
        return [BatchNorm()]
    mean, variance = (x.detach().cpu().double().numpy() for x in (module.running_mean, module.running_var))
    if mean.any() or np.ptp(variance) > 0.0:
        _cannot(place, "its running statistics are not those of initialisation", "read the module before training")
    return [Scale(1.0 / math.sqrt(float(variance[0]) + module.eps))]


def _refuse_affine(place: str, module: Any) -> None:
    for name, value in (("weight", 1.0), ("bias", 0.0)):
        parameter = getattr(module, name)
        if parameter is not None and not bool((parameter.detach() == value).all()):
            _cannot(place, f"its {name} is not {value:g} throughout, as at initialisation", "leave it as it was made")


def _of_attributes(rule: Callable[..., list[Layer]], *names: str) -> Callable[[str, Any], list[Layer]]:
    return lambda place, module: rule(place, *(getattr(module, name) for name in names))


_MODULES: dict[str, Callable[[str, Any], list[Layer]]] = {
    "Linear": _linear,
    "Identity": _nothing,
    "Flatten": _nothing,
    "ReLU": _named("relu"),
    "LeakyReLU": _of_attributes(_leaky_relu, "negative_slope"),
    "PReLU": _prelu,
    "Hardtanh": _of_attributes(_hard_tanh, "min_val", "max_val"),
    "Tanh": _named("tanh"),
    "Sigmoid": _named("sigmoid"),
    "SiLU": _named("silu"),
    "GELU": _of_attributes(_gelu, "approximate"),
    "ELU": _of_attributes(_elu, "alpha"),
    "SELU": _named("selu"),
    "Softplus": _of_attributes(_softplus, "beta"),
    "Dropout": _of_attributes(_dropout, "p", "training"),
    "LayerNorm": _layer_norm,
    "BatchNorm1d": _batch_norm,
}


# --- functions in forward ---------------------------------------------------------------------------------------------


def _with_arguments(rule: Callable[..., list[Layer]], **defaults: Any) -> Callable[..., list[Layer]]:
    """A rule for a function of torch: its constant arguments by position or name, for the others their defaults."""

    def read(place: str, positional: list[Any], named: Mapping[str, Any]) -> list[Layer]:
        values = defaults | dict(zip(defaults, positional, strict=False))
        values |= {name: value for name, value in named.items() if name in defaults}
        return rule(place, *values.values())

    return read


def _scaled(place: str, positional: list[Any], _named: Mapping[str, Any], *, inverse: bool = False) -> list[Layer]:
    if len(positional) != 1 or isinstance(positional[0], bool) or not isinstance(positional[0], int | float):
        _cannot(place, "it multiplies by something else than a constant number", "only constant factors can be read")
    return [Scale(1.0 / positional[0] if inverse else float(positional[0]))]


_FUNCTIONS: dict[str, Callable[[str, list[Any], Mapping[str, Any]], list[Layer]]] = {
    **{name: _named(name) for name in ("relu", "tanh", "sigmoid", "silu", "selu", "sin")},
    "leaky_relu": _with_arguments(_leaky_relu, negative_slope=0.01),
    "hardtanh": _with_arguments(_hard_tanh, min_val=-1.0, max_val=1.0),
    "elu": _with_arguments(_elu, alpha=1.0),
    "gelu": _with_arguments(_gelu, approximate="none"),
    "softplus": _with_arguments(_softplus, beta=1),
    "dropout": _with_arguments(_dropout, p=0.5, training=True),
    "mul": _scaled,
    "truediv": functools.partial(_scaled, inverse=True),
    "flatten": _nothing,
}
