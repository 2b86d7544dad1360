"""Network descriptions as JSON, for stores and saved runs: layer names and numbers, never code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral
from typing import Any

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
        if type(value) not in layer_types():
            known = ", ".join(sorted(kind.__name__ for kind in layer_types()))
            raise ValueError(f"{where}: no sampling rule for {name}; use {known}")
        encoded = {entry.name: _encode(getattr(value, entry.name), f"{name}.{entry.name}") for entry in fields(value)}
        return {"type": name, **encoded}
    if isinstance(value, Integral):
        return int(value)
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
    types = {kind.__name__: kind for kind in layer_types()}
    if value.get("type") not in types:
        raise ValueError(f"layer type {value.get('type')!r} is unknown; this file needs another version of the toolkit")
    arguments = {name: _decode(item) for name, item in value.items() if name != "type"}
    arguments |= dict(arguments.pop("parameters", ()))  # an activation takes its parameters as keywords
    return types[value["type"]](**arguments)
