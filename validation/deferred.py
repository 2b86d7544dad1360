"""Random matrices that are never drawn: only their answers W v and Wᵀ u are, with the exact joint law.

The "Householder Dice" (Lu, IEEE Trans. Inf. Theory 67 (2021) 8269-8287), in a form without reflectors. Given the
answers ``A = W V`` and ``B = Wᵀ U`` to questions along the orthonormal vectors V and U, a matrix of N(0, s²) entries is
``W = A Vᵀ + U Bᵀ (1 - V Vᵀ) + (1 - U Uᵀ) G (1 - V Vᵀ)``, G a fresh copy: the conditional law of a Gaussian vector given
linear functionals. For a further unit vector v orthogonal to V this needs G v alone, a vector of N(0, s²). A Haar
orthogonal matrix that maps V to A maps the rest of the space by a Haar matrix too: v goes to a uniform direction
orthogonal to A, and back. A question after k others costs O(k (n_in + n_out)) instead of O(n_in n_out), and as much is
remembered.

A network's Jacobian is the linear map that it is: `Tape` records what the rules of `validation.networks` do to a
Jacobian, and plays it forward on a vector, backward on a covector. The forward pass of the input is the first question
that the weights are asked, so that slopes, biases and answers have the joint law of a real network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from validation.jacobian import Jacobian, Weights

__all__ = ["DeferredGaussian", "DeferredHaar", "Tape", "TapedJacobian"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Parts of a vector below this, relatively, are rounding: the vector lies in the space that has been asked about.
NOTHING_NEW = 1e-12


class _Rows:
    """Vectors in memory one behind the other, as many as come."""

    def __init__(self, length: int, capacity: int) -> None:
        self._memory = np.empty((capacity, length))
        self._count = 0

    @property
    def array(self) -> FloatArray:
        """Them, one a row."""
        return self._memory[: self._count]

    def append(self, vector: FloatArray) -> None:
        """One more."""
        if self._count == len(self._memory):
            self._memory = np.concatenate([self._memory, np.empty_like(self._memory)])
        self._memory[self._count] = vector
        self._count += 1

    def select(self, columns: IntArray) -> None:
        """Of all of them these components alone."""
        memory = np.empty((len(self._memory), len(columns)))
        memory[: self._count] = self.array[:, columns]
        self._memory = memory


def _split(vector: FloatArray, basis: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Coefficients along orthonormal rows, the unit vector of the rest, and its length, 0 if it is rounding."""
    norm = float(np.linalg.norm(vector))
    coefficients = basis @ vector
    rest = vector - coefficients @ basis
    length = float(np.linalg.norm(rest))
    if length < 0.7 * norm:  # cancellation has spoilt the orthogonality (Kahan's "twice is enough")
        again = basis @ rest
        rest -= again @ basis
        coefficients += again
        length = float(np.linalg.norm(rest))
    if length <= NOTHING_NEW * norm:
        return coefficients, rest, 0.0
    rest /= length
    return coefficients, rest, length


class _Deferred(Weights):
    """Weights that answer questions."""

    def times(self, held: Jacobian, gate: Any, rows: Any) -> Any:
        """Not here: a matrix that is not drawn is not multiplied."""
        raise NotImplementedError(f"{type(self).__name__} answers W v and Wᵀ u alone; use FormedWeights for products")

    def images(self, batch: Any) -> Any:
        """Answers to a batch, one by one."""
        return np.stack([self.image(x) for x in batch.T], axis=1)

    def image(self, x: FloatArray) -> FloatArray:
        """W x."""
        raise NotImplementedError

    def transposed(self, u: FloatArray) -> FloatArray:
        """Wᵀ u."""
        raise NotImplementedError


class DeferredGaussian(_Deferred):
    """Independent entries of variance ``scale**2 / n_in``.

    Parameters
    ----------
    scale : float
    n_out, n_in : int
    generator : object
        Has ``standard_normal(shape)``.
    questions : int
        How many questions of each kind to expect; more are answered too.
    """

    partial = True

    def __init__(self, scale: float, n_out: int, n_in: int, generator: Any, questions: int) -> None:
        self.n_out, self.rank = n_out, min(n_out, n_in)
        self._deviation = scale * n_in**-0.5
        self._normal = generator.standard_normal
        # W asked[i] = answers[i] and Wᵀ dual[j] = dual_answers[j]
        self._asked, self._answers = _Rows(n_in, questions), _Rows(n_out, questions)
        self._dual, self._dual_answers = _Rows(n_out, questions), _Rows(n_in, questions)

    def keep(self, rows: IntArray) -> None:
        """Forget all rows but these; before `transposed` is asked for the first time.

        Rows are independent given the answers W v. The vectors that W gives and Wᵀ takes are shorter from then on.
        """
        self._answers.select(rows)
        self._dual.select(rows)

    def image(self, x: FloatArray) -> FloatArray:
        """W x."""
        return self._answer(x, self._asked, self._answers, self._dual, self._dual_answers)

    def transposed(self, u: FloatArray) -> FloatArray:
        """Wᵀ u."""
        return self._answer(u, self._dual, self._dual_answers, self._asked, self._answers)

    def _answer(self, v: FloatArray, asked: _Rows, answers: _Rows, dual: _Rows, dual_answers: _Rows) -> FloatArray:
        coefficients, direction, length = _split(v, asked.array)
        total: FloatArray = coefficients @ answers.array
        if length:
            fresh = self._deviation * self._normal((total.size,))
            fresh += (dual_answers.array @ direction - dual.array @ fresh) @ dual.array
            asked.append(direction)
            answers.append(fresh)
            total += length * fresh
        return total


class DeferredHaar(_Deferred):
    """A Haar orthogonal matrix times `scale`; of another shape than square with the law of `validation.ensembles.haar`.

    A rectangular one is a corner of a square one, ``max(n_out, n_in)`` wide.
    """

    partial = False

    def __init__(self, scale: float, n_out: int, n_in: int, generator: Any, questions: int) -> None:
        self.n_out, self.rank = n_out, min(n_out, n_in)
        self._n_in, self._size = n_in, max(n_out, n_in)
        self._scale = scale * max(n_out / n_in, 1.0) ** 0.5
        self._normal = generator.standard_normal
        self._left, self._right = _Rows(self._size, 2 * questions), _Rows(self._size, 2 * questions)

    def image(self, x: FloatArray) -> FloatArray:
        """W x."""
        return self._answer(x, self._right, self._left)[: self.n_out]

    def transposed(self, u: FloatArray) -> FloatArray:
        """Wᵀ u."""
        return self._answer(u, self._left, self._right)[: self._n_in]

    def _answer(self, v: FloatArray, asked: _Rows, answers: _Rows) -> FloatArray:
        padded = np.zeros(self._size)
        padded[: len(v)] = v
        coefficients, direction, length = _split(padded, asked.array)
        total: FloatArray = coefficients @ answers.array
        if length and len(asked.array) < self._size:
            fresh = _split(self._normal((self._size,)), answers.array)[1]
            asked.append(direction)
            answers.append(fresh)
            total += length * fresh
        total *= self._scale
        return total


@dataclass(frozen=True, eq=False)
class _Step:
    """A linear map of some earlier values; `adjoint` maps a covector to one for each of them."""

    parents: tuple[int, ...]
    forward: Callable[..., FloatArray]
    adjoint: Callable[[FloatArray], tuple[FloatArray, ...]]


class Tape:
    """Linear steps in order; value 0 is the vector that they are played on."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def record(
        self, parents: tuple[int, ...], forward: Callable[..., FloatArray], adjoint: Callable[..., tuple[Any, ...]]
    ) -> int:
        """Add a step; the number of its value."""
        self._steps.append(_Step(parents, forward, adjoint))
        return len(self._steps)

    def apply(self, v: FloatArray, value: int) -> FloatArray:
        """The value of that number, as a linear function of value 0."""
        values = [v]
        for step in self._steps[:value]:
            values.append(step.forward(*(values[parent] for parent in step.parents)))
        return values[value]

    def transposed(self, u: FloatArray, value: int) -> FloatArray:
        """The transposed map."""
        covectors: dict[int, FloatArray] = {value: u}
        for number in range(value, 0, -1):
            if number not in covectors:
                continue
            step = self._steps[number - 1]
            for parent, part in zip(step.parents, step.adjoint(covectors.pop(number)), strict=True):
                covectors[parent] = covectors[parent] + part if parent in covectors else part
        return covectors[0]


@dataclass(frozen=True, eq=False)
class TapedJacobian:
    """A Jacobian of which the steps are recorded, with the operations that the rules of a network ask of a `Jacobian`.

    Attributes
    ----------
    tape : Tape
        The steps so far, of all Jacobians of a network.
    value : int
        Which value of the tape this Jacobian gives.
    weights : DeferredGaussian or DeferredHaar, optional
        Weights that wait for the gate behind them, as those of a `Jacobian` do.
    shared : bool
        Without a meaning here: nothing is written into.
    """

    tape: Tape
    value: int = 0
    weights: Any = None
    shared: bool = False

    def apply(self, v: FloatArray) -> FloatArray:
        """J v."""
        return self.tape.apply(v, self.value)

    def transposed(self, u: FloatArray) -> FloatArray:
        """Jᵀ u."""
        return self.tape.transposed(u, self.value)

    def weighted(self, weights: Any) -> TapedJacobian:
        """W J, not yet recorded."""
        return replace(self.formed(), weights=weights)

    def formed(self) -> TapedJacobian:
        """The same without waiting weights."""
        if self.weights is None:
            return self
        weights = self.weights
        return self._behind(weights.image, lambda u: (weights.transposed(u),))

    def gated(self, gate: FloatArray) -> TapedJacobian:
        """diag(gate) J."""
        weights = self.weights
        if weights is None:
            return self._behind(lambda v: gate * v, lambda u: (gate * u,))
        if not weights.partial or gate.all():
            return self._behind(lambda v: gate * weights.image(v), lambda u: (weights.transposed(gate * u),))
        rows = np.flatnonzero(gate)
        weights.keep(rows)
        is_open, height = gate[rows], len(gate)

        def forward(v: FloatArray) -> FloatArray:
            answer = np.zeros(height)
            answer[rows] = is_open * weights.image(v)
            return answer

        return self._behind(forward, lambda u: (weights.transposed(is_open * u[rows]),))

    def normalised(self, x: FloatArray, std: FloatArray) -> TapedJacobian:
        """The Jacobian behind a normalisation over the components, as `Jacobian.normalised`; a symmetric step."""

        def step(v: FloatArray) -> FloatArray:
            result: FloatArray = (v - v.mean() - x * (x @ v / len(x))) / std
            return result

        return self.formed()._behind(step, lambda u: (step(u),))

    def plus(self, skip: float, held: TapedJacobian) -> TapedJacobian:
        """J + skip H."""
        value = self.formed().value
        number = self.tape.record((value, held.value), lambda v, w: v + skip * w, lambda u: (u, skip * u))
        return TapedJacobian(self.tape, number)

    def _behind(
        self, forward: Callable[..., FloatArray], adjoint: Callable[..., tuple[FloatArray, ...]]
    ) -> TapedJacobian:
        return TapedJacobian(self.tape, self.tape.record((self.value,), forward, adjoint))
