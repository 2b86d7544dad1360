"""The encodings of a bivariate polynomial: rational changes of the variables (m, z), and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ENCODINGS", "Encoding", "contracted_in_m", "encoding_of"]

Fractional = tuple[Any, Any]


@dataclass(frozen=True)
class Encoding:
    """Two quantities u, v in place of (m, z).

    Attributes
    ----------
    variables : tuple of str
        What they are called.
    to_m : callable
        (u, v, 1) -> m and z as fractions.
    from_m : callable
        (m, z, 1) -> u and v as fractions.
    lost : callable
        (u, v, 1) -> the curves that the map to (m, z) contracts to points: false factors after a substitution.
    """

    variables: tuple[str, str]
    to_m: Callable[[Any, Any, Any], tuple[Fractional, Fractional]]
    from_m: Callable[[Any, Any, Any], tuple[Fractional, Fractional]]
    lost: Callable[[Any, Any, Any], tuple[Any, ...]]


# m = -G and y = zG - 1, x = 1/z
ENCODINGS: Mapping[str, Encoding] = {
    "m": Encoding(("m", "z"), lambda m, z, e: ((m, e), (z, e)), lambda m, z, e: ((m, e), (z, e)), lambda m, z, e: ()),
    "G": Encoding(("G", "z"), lambda g, z, e: ((-g, e), (z, e)), lambda m, z, e: ((-m, e), (z, e)), lambda g, z, e: ()),
    "r": Encoding(
        ("r", "g"),
        lambda r, g, e: ((-g, e), (r * g + e, g)),
        lambda m, z, e: ((z * m + e, m), (-m, e)),
        lambda r, g, e: (g,),
    ),
    "s": Encoding(
        ("s", "y"),
        lambda s, y, e: ((-s * y, e), (y + e, s * y)),
        lambda m, z, e: ((m, z * m + e), (-z * m - e, e)),
        lambda s, y, e: (s, y, y + e),
    ),
    "T": Encoding(
        ("T", "y"),
        lambda t, y, e: ((-y, t), ((y + e) * t, y)),
        lambda m, z, e: ((z * m + e, m), (-z * m - e, e)),
        lambda t, y, e: (t, y, y + e),
    ),
    "psi": Encoding(
        ("psi", "z"),
        lambda p, z, e: ((-p - e, z), (z, e)),
        lambda m, z, e: ((-z * m - e, e), (z, e)),
        lambda p, z, e: (z,),
    ),
    "moment": Encoding(
        ("M", "x"),
        lambda y, x, e: ((-y * x, e), (e, x)),
        lambda m, z, e: ((-z * m, e), (e, z)),
        lambda y, x, e: (x,),
    ),
    "eta": Encoding(
        ("eta", "x"),
        lambda h, x, e: ((-x, e - h), (e, x)),
        lambda m, z, e: ((z * m + e, z * m), (e, z)),
        lambda h, x, e: (x, e - h),
    ),
    "tulino_verdu": Encoding(
        ("eta", "x"),
        lambda h, x, e: ((h * x, e), (-e, x)),
        lambda m, z, e: ((-z * m, e), (-e, z)),
        lambda h, x, e: (x,),
    ),
}


def encoding_of(name: str) -> Encoding:
    """The encoding with a name; ValueError listing the names for any other."""
    if name not in ENCODINGS:
        raise ValueError(f"encoding={name!r}: expected one of {', '.join(ENCODINGS)}")
    return ENCODINGS[name]


def contracted_in_m(encoding: str, m: Any, z: Any, one: Any) -> tuple[Any, ...]:
    """Curves in the plane of (m, z) that the map to an encoding contracts or sends to infinity."""
    if encoding in ("s", "T"):
        return (m, m * z + one)
    return {"r": (m,), "psi": (z,), "moment": (z,), "eta": (z,), "tulino_verdu": (z,)}.get(encoding, ())
