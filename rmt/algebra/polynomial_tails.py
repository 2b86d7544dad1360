"""Which ends of the support of a polynomial in free variables are infinite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["unbounded_sides"]

Word = tuple[int, ...]
# Sizes at which an unbounded variable is looked at, in standard deviations, and by what an eigenvalue must grow between
# them.
_NEAR, _FAR = 1e3, 1e5
_GROWS = 3.0
# Eigenvalues below this share of the largest are rounding.
_ROUNDING = 1e-9


def unbounded_sides(
    terms: Mapping[Word, Any],
    unbounded: Sequence[tuple[bool, bool]],
    sizes: Sequence[float],
    tau: Callable[[Word], Any],
) -> tuple[bool, bool]:
    """Whether the law of a polynomial reaches -oo, and +oo.

    Where a variable x is large, it is N times a projection e of tiny trace (derived here). The others are free from e:
    ``e u e`` tends to tau(u) e for every word u in them. So ``u_0 x u_1 x … x u_d`` becomes
    ``N**d tau(u_1) … tau(u_(d-1)) u_0 e u_d``, and their sum has the eigenvalues of a matrix C times the Gram matrix
    ``tau(a* b)`` of the outer words: the sides on which these grow with N are those that the tail of x reaches.

    Parameters
    ----------
    terms : mapping
        Word (tuple of indices of variables) -> coefficient.
    unbounded : sequence of pairs of bool
        The same question answered for the variables.
    sizes : sequence of float
        Their standard deviations, or what else scales them.
    tau : function
        Expectation of a word.
    """
    sides = np.zeros(2, dtype=bool)
    for index, ends in enumerate(unbounded):
        for sign, reached in zip((-1, 1), ends, strict=True):
            if reached:
                sides |= _growth(terms, index, sign * sizes[index], tau)
    return bool(sides[0]), bool(sides[1])


def _growth(terms: Mapping[Word, Any], index: int, size: float, tau: Callable[[Word], Any]) -> npt.NDArray[np.bool_]:
    """Whether there are eigenvalues that run off to -oo, and to +oo, as variable ``index`` does."""
    split = {word: _split(word, index) for word in terms if index in word}
    outer = sorted({end for parts in split.values() for end in (parts[0], parts[-1][::-1])})
    gram = np.array([[complex(tau(a[::-1] + b)) for b in outer] for a in outer])
    levels = []
    for scale in (_NEAR, _FAR):
        matrix = np.zeros(gram.shape, dtype=complex)
        for word, parts in split.items():
            weight = complex(terms[word]) * (scale * size) ** (len(parts) - 1)
            for inner in parts[1:-1]:
                weight *= complex(tau(inner))
            matrix[outer.index(parts[0]), outer.index(parts[-1][::-1])] += weight
        values = np.linalg.eigvals(matrix @ gram).real
        values[np.abs(values) < _ROUNDING * np.max(np.abs(values), initial=0.0)] = 0.0
        levels.append([max(0.0, -values.min()), max(0.0, values.max())])
    grows: npt.NDArray[np.bool_] = np.array(levels[1]) > _GROWS * np.array(levels[0])
    # where all inner expectations vanish, as of x y x with y centred, both signs occur at every size
    return grows if np.any(grows) else np.ones(2, dtype=bool)


def _split(word: Word, index: int) -> list[Word]:
    """The words between the occurrences of a variable."""
    places = [-1, *(k for k, letter in enumerate(word) if letter == index), len(word)]
    return [word[a + 1 : b] for a, b in itertools.pairwise(places)]
