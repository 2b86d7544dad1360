"""Network descriptions as JSON, for stores and saved runs: layer names and numbers, never code.

A law of weights is stored as the tree of its operations, by the names of `rmt` and with numbers as parameters. Of an
activation that a user wrote, a sympy expression is stored as the tree of its known functions, and a Python
function by its name alone: such a network cannot be made again from a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral
from typing import Any

import rmt
from rmt import Law
from theory.weights import Sparse
from validation.networks import layer_types

__all__ = ["network_from_json", "network_to_json"]


def network_to_json(net: Any) -> dict[str, Any]:
    """The description of a network as nested dicts and lists: ``{"type": "Dense", "sigma_w": 1.2, ...}``.

    Raises
    ------
    ValueError
        If a parameter is not a number (sampling needs numbers), or if a layer has no sampling rule.
    """
    described = _encode(net, "net")
    if not isinstance(described, dict):
        raise ValueError(
            f"net={net!r} is not a network; build one with theory.ResNet, theory.Chain or theory.Sequential"
        )
    return described


def network_from_json(description: Mapping[str, Any]) -> Any:
    """The network of a description written by `network_to_json`.

    Raises
    ------
    ValueError
        If the description names an unknown layer.
    """
    return _decode(description)


def _encode(value: Any, where: str) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, tuple | list):
        return [_encode(item, where) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        if isinstance(value, Law):
            if getattr(rmt, name, None) is not type(value):
                raise ValueError(f"{where}={value!r}: a law of type {name} cannot be stored in a file")
            return {"law": name, "arguments": [_encode(getattr(value, entry.name), where) for entry in fields(value)]}
        if type(value) not in (*layer_types(), Sparse):
            known = ", ".join(sorted(kind.__name__ for kind in layer_types()))
            raise ValueError(f"{where}: no sampling rule for {name}; use {known}")
        encoded = {entry.name: _encode(getattr(value, entry.name), f"{name}.{entry.name}") for entry in fields(value)}
        return {"type": name, **encoded}
    if isinstance(value, Integral):
        return int(value)
    if where.startswith("Activation.parameters"):
        if callable(getattr(value, "as_independent", None)) and not getattr(value, "is_number", True):
            return {"expression": _tree(value)}
        if callable(value):
            return {"function": f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', value)}"}
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}={value!r}: sampling needs a finite number; substitute one for the symbol")
    return number


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, Mapping):
        return value
    if "expression" in value:
        return _from_tree(value["expression"])
    if "law" in value:
        law = getattr(rmt, str(value["law"]), None)
        if not (isinstance(law, type) and issubclass(law, Law) and law is not Law):
            raise ValueError(f"the law {value['law']!r} of the weights is unknown: this file needs another version")
        return law(*map(_decode, value["arguments"]))
    if "function" in value:
        raise ValueError(
            f"the activation is the Python function {value['function']}, which a file cannot hold: describe the "
            "network again in Python"
        )
    types: dict[Any, Any] = {kind.__name__: kind for kind in (*layer_types(), Sparse)}
    if value.get("type") not in types:
        raise ValueError(f"layer type {value.get('type')!r} is unknown; this file needs another version of the toolkit")
    arguments = {name: _decode(item) for name, item in value.items() if name != "type"}
    arguments |= dict(arguments.pop("parameters", ()))  # an activation takes its parameters as keywords
    return types[value["type"]](**arguments)


# Everything that a stored expression may contain.
_FUNCTIONS = {
    *("Add", "Mul", "Pow", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan"),
    *("asinh", "acosh", "atanh", "erf", "erfc", "Abs", "Max", "Min", "sign", "Heaviside", "Piecewise"),
    *("ExprCondPair", "StrictGreaterThan", "GreaterThan", "StrictLessThan", "LessThan", "BooleanTrue", "Pi", "Exp1"),
}


def _tree(expression: Any) -> list[Any]:
    name = type(expression).__name__
    if expression.is_Symbol:
        return ["Symbol", expression.name]
    if getattr(expression, "is_Rational", False):
        return ["Rational", int(expression.p), int(expression.q)]
    if getattr(expression, "is_Float", False):
        return ["Float", repr(float(expression))]
    if name not in _FUNCTIONS:
        raise ValueError(f"phi: {name} cannot be stored in a file; write the activation with elementary functions")
    return [name, *map(_tree, expression.args)]


def _from_tree(tree: Any) -> Any:
    import sympy as sp

    name, *rest = tree
    if name == "Symbol":
        return sp.Symbol(str(rest[0]))
    if name == "Rational":
        return sp.Rational(int(rest[0]), int(rest[1]))
    if name == "Float":
        return sp.Float(float(rest[0]))
    if name not in _FUNCTIONS:
        raise ValueError(f"the function {name!r} of a stored activation is unknown: this file needs another version")
    constants = {"Pi": sp.pi, "Exp1": sp.E, "BooleanTrue": sp.true}
    if name in constants:
        return constants[name]
    arguments = [_from_tree(item) for item in rest]
    if name == "ExprCondPair":
        return tuple(arguments)
    return getattr(sp, name)(*arguments)
