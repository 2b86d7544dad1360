"""Which routes a law has: explicit transforms, a polynomial, or the equations of its parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sympy as sp

from rmt.law import Law
from rmt.results import PreconditionError
from rmt.symbolic.derivation import Derivation
from rmt.symbolic.dispatch import derive
from rmt.symbolic.r_transforms import RTransform, r_transform
from rmt.symbolic.routes import derive_from_polynomial, derive_from_s
from rmt.symbolic.s_algebra import STransform
from rmt.symbolic.s_transforms import s_transform
from rmt.symbolic.subordination import Part, part_of

__all__ = ["algebraic", "by_one_equation", "has_moments", "parts_of", "r_or_none", "s_or_none"]


def parts_of(laws: Sequence[Law]) -> list[Part]:
    """The equations of several laws, their unknowns labelled 1, 2, ...."""
    return [part_of(derive(law), str(k)) for k, law in enumerate(laws, 1)]


def algebraic(law: Law) -> Derivation | None:
    """The polynomial route, where the law is algebraic and its parameters are exact."""
    if _has_floats(law) or not has_moments(law):  # the physical factor is told by its moments
        return None
    try:
        return derive_from_polynomial(law)
    except NotImplementedError:
        return None


def by_one_equation(law: Law) -> Derivation | None:
    """The route by S in closed form, or else by elimination; None where the law needs the equations of its parts."""
    transform = s_or_none(law)
    return algebraic(law) if transform is None else derive_from_s(repr(law), transform)


def _has_floats(value: Any) -> bool:
    if isinstance(value, float):
        return True
    if isinstance(value, sp.Basic):
        return bool(value.has(sp.Float))
    if isinstance(value, tuple):
        return any(_has_floats(item) for item in value)
    if isinstance(value, Law):
        return any(_has_floats(getattr(value, f.name)) for f in dataclasses.fields(value))  # type: ignore[arg-type]
    return False


def has_moments(law: Law) -> bool:
    """Whether the law has a mean."""
    try:
        law.moments(1)
    except PreconditionError:
        return False
    return True


def s_or_none(law: Any) -> STransform | None:
    """S-transform of a law where it has a closed form."""
    try:
        return s_transform(law)
    except NotImplementedError:
        return None


def r_or_none(law: Any) -> RTransform | None:
    """R-transform of a law where its formula holds for all values of G, which one with square roots does not."""
    try:
        transform = r_transform(law)
    except NotImplementedError:
        return None
    return transform if transform.everywhere else None
