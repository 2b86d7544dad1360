"""Ensembles of weight matrices.

What an ensemble contributes to a wide network is one law, that of W Wᵀ (`weights_law`): every formula takes the
ensemble through it, and ensembles with the same law are told apart at finite width only, by their kurtosis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rmt.law import Law
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.parameters import check_number, is_symbolic
from rmt.results import PreconditionError

__all__ = [
    "WEIGHTS",
    "Sparse",
    "Weights",
    "check_ensemble",
    "describe_weights",
    "has_independent_entries",
    "is_isometric",
    "is_standard",
    "weights_law",
]

WEIGHTS: Final = ("gaussian", "orthogonal", "uniform")


@dataclass(frozen=True)
class Sparse:
    """Gaussian weights of which each is kept with probability `density`, independently, and 0 otherwise.

    The kept ones are larger by 1/√density, so that the variance of an entry stays. A parameter of its own, and not of
    `Dense`, because no other ensemble has it.

    Parameters
    ----------
    density : number
        In (0, 1]; fixed as the width grows.

    Raises
    ------
    ValueError
        If the density is out of range.
    """

    density: Any

    def __post_init__(self) -> None:
        check_number("density", self.density, above=0, at_most=1)

    @property
    def kurtosis(self) -> Any:
        """Fourth moment of an entry over its squared variance, 3/density: what finite widths see."""
        return 3 / self.density


Weights: TypeAlias = str | Sparse | Law
_GINIBRE: Final = MarchenkoPastur(1)
_HAAR: Final = Discrete({1: 1})


def weights_law(weights: Weights) -> Law:
    """Law of W Wᵀ for a wide square W whose entries have variance 1/width.

    Independent entries of any symmetric law with finite moments lead to that of Gaussian ones (Marchenko and Pastur);
    such matrices are free from diagonal ones as Gaussian matrices are.
    """
    if isinstance(weights, Law):
        return weights
    return _HAAR if weights == "orthogonal" else _GINIBRE


def has_independent_entries(weights: Weights) -> bool:
    """Whether the ensemble is, at infinite width, that of Gaussian entries."""
    return weights_law(weights) == _GINIBRE


def is_isometric(weights: Weights) -> bool:
    """Whether all singular values are 1."""
    return weights_law(weights) == _HAAR


def is_standard(weights: Weights) -> bool:
    """Whether the ensemble is one of those two at infinite width, for which formulas are written out."""
    return has_independent_entries(weights) or is_isometric(weights)


def check_ensemble(weights: Any) -> None:
    """Refuse what is no ensemble.

    Raises
    ------
    ValueError
        For an unknown name, or a law that is not on [0, oo) or not of mean 1.
    """
    if isinstance(weights, Sparse) or (isinstance(weights, str) and weights in WEIGHTS):
        return
    if not isinstance(weights, Law):
        raise ValueError(
            f"unknown weights {weights!r}: choose one of {', '.join(WEIGHTS)}, Sparse(density), or the law of W Wᵀ as "
            "an rmt.Law of mean 1"
        )
    mean = weights.mean()
    if is_symbolic(mean):
        return
    if abs(float(mean) - 1) > 1e-9:
        raise ValueError(
            f"weights={weights!r}: the law of W Wᵀ has mean {float(mean):.9g}, expected 1, the variance of an entry "
            "times the width; divide it by its mean, and give sigma_w the rest"
        )
    try:
        positive = weights.numeric.positive
    except PreconditionError:  # it has symbols, which are taken as they are
        return
    if not positive:
        raise ValueError(f"weights={weights!r}: the law of W Wᵀ must live on [0, oo)")


def describe_weights(weights: Weights) -> str:
    """The ensemble in words."""
    match weights:
        case Sparse():
            return f"sparse gaussian weights (density {weights.density})"
        case Law():
            return f"bi-invariant weights (W Wᵀ of law {weights!r})"
        case _:
            return f"{weights} weights"
