"""The variables of a pencil: their terms ``A R(G A)`` in the equation of `rmt.numeric.operator_valued`.

In the upper half-plane ``-Im G >= 0``, and the eigenvalues of ``T^{-1} + R(T)`` (the subordination points of x_i) lie
in the upper half-plane for each positive eigenvalue of M, in the lower one for each negative eigenvalue: the latter
are met at the conjugate point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmt.numeric.jet import ComplexArray, log_lower, log_upper
from rmt.numeric.linearisation import equilibrate
from rmt.numeric.matrices import eigen_of_pairs, eigenvalues_of_each, inverse_of_each, matching, solve_each
from rmt.numeric.node import Linearised, Node, continued_log_z

__all__ = ["Channel", "Frame", "NodeChannel", "RationalChannel", "RationalR", "Scalar", "Term"]

FloatArray = npt.NDArray[np.float64]

# Closer arguments than this share take the derivative for the divided difference of R.
_CLOSE = 1e-5
# Eigenvalues of a coefficient matrix below this share of its largest are rounding.
_RANK_TOLERANCE = 1e-12


@dataclass(frozen=True)
class RationalR:
    """The R-transform ``constant + slope g + Σ a/(1 - c g)`` over the pairs (a, c) of ``poles``, c != 0."""

    constant: float
    slope: float
    poles: tuple[tuple[float, float], ...] = ()

    @property
    def mean(self) -> float:
        """First cumulant."""
        return self.constant + sum(a for a, _ in self.poles)

    @property
    def variance(self) -> float:
        """Second cumulant."""
        return self.slope + sum(a * c for a, c in self.poles)


@dataclass(frozen=True)
class Frame:
    """G at n points in its factors: ``Ĝ`` (block diagonal), ``Λ`` and ``Ρ``, each of shape (n, N, N)."""

    g: ComplexArray
    left: ComplexArray
    right: ComplexArray

    @property
    def whole(self) -> ComplexArray:
        """G itself."""
        return self.left @ self.g @ self.right


@dataclass(frozen=True)
class Scalar:
    """One eigenvalue g of T, with its part ``column row R(g)`` of the term.

    The point of the scalar curve has its own parameter e, by which R and g have the derivatives ``dr`` and ``dg`` (g
    itself would not do: R has a branch point where dg = 0). ``gap`` is how far g is from the eigenvalue, which moves as
    ``row dĜ column``. Arrays of shape (n,) and (n, N).
    """

    column: ComplexArray
    row: ComplexArray
    gap: ComplexArray
    dg: ComplexArray
    dr: ComplexArray


@dataclass(frozen=True)
class Term:
    """``A R(G A)`` in the frame: value, derivative dĜ -> Σ X dĜ Y over ``pairs``, and what moves with the scalars."""

    value: ComplexArray
    pairs: list[tuple[ComplexArray, ComplexArray]]
    scalars: list[Scalar]
    lin: Linearised | None = None  # of the variable's node at all of its points


class Channel(ABC):
    """One variable: the term ``A R(G A)``, with its unknowns (``rows`` of them).

    ``A = U M U*`` with M invertible of rank r, and U made of coordinate vectors where that is possible: next to a hard
    edge the entries of G differ by orders of magnitude, and must not be mixed.
    """

    rows = 0
    law: RationalR | Node

    def __init__(self, matrix: ComplexArray) -> None:
        touched = np.flatnonzero(np.any(matrix != 0, axis=1))
        values, vectors = np.linalg.eigh(matrix)
        kept = np.abs(values) > _RANK_TOLERANCE * np.max(np.abs(values))
        if touched.size == np.sum(kept):
            self.u = np.eye(matrix.shape[0])[:, touched]
            self.middle = matrix[np.ix_(touched, touched)]
        else:
            self.u, self.middle = vectors[:, kept], np.diag(values[kept])
        self.d = np.linalg.eigvalsh(self.middle)
        self.inverse = np.linalg.inv(self.middle)

    def ends(self, frame: Frame) -> tuple[ComplexArray, ComplexArray]:
        """``Ρ U`` (n, N, r) and ``U* Λ`` (n, r, N)."""
        return frame.right @ self.u, self.u.conj().T @ frame.left

    def compressed(self, g: ComplexArray) -> ComplexArray:
        """U* G U, of shape (n, r, r)."""
        return self.u.conj().T @ g @ self.u

    @abstractmethod
    def start(self, g: complex) -> ComplexArray:
        """Unknowns where G is nearly the multiple ``g`` of 1, shape (rows, 1)."""

    @abstractmethod
    def linearise(self, frame: Frame, u: ComplexArray) -> Term:
        """The term in the frame and how it moves."""

    @abstractmethod
    def spread(self, term: Term, eps: ComplexArray) -> ComplexArray:
        """Increments of the unknowns for those of the scalars' parameters, (r, n)."""

    @abstractmethod
    def strain(self, before: ComplexArray, after: ComplexArray, u: ComplexArray, du: ComplexArray) -> FloatArray:
        """Size of an increment, from G before and after it and the unknowns."""

    @abstractmethod
    def potential(self, g: ComplexArray, u: ComplexArray, term: Term) -> ComplexArray:
        """Sum of Γ over the eigenvalues of T."""


class RationalChannel(Channel):
    """A variable with rational R: no unknowns."""

    law: RationalR

    def __init__(self, matrix: ComplexArray, law: RationalR) -> None:
        super().__init__(matrix)
        self.law = law

    def start(self, g: complex) -> ComplexArray:
        return np.empty((0, 1), dtype=complex)

    def linearise(self, frame: Frame, u: ComplexArray) -> Term:
        law = self.law
        first, last = self.ends(frame)
        a = first @ self.middle @ last
        term = law.constant * a
        pairs: list[tuple[ComplexArray, ComplexArray]] = []
        if law.slope:
            term = term + law.slope * (a @ frame.g @ a)
            pairs.append((law.slope * a, a))
        for weight, c in law.poles:
            # A (1 - c G A)^-1 = U (M^-1 - c U* G U)^-1 U*
            s = first @ inverse_of_each(self.inverse - c * (last @ frame.g @ first)) @ last
            term = term + weight * s
            pairs.append((weight * c * s, s))
        return Term(term, pairs, [])

    def spread(self, term: Term, eps: ComplexArray) -> ComplexArray:
        return eps

    def strain(self, before: ComplexArray, after: ComplexArray, u: ComplexArray, du: ComplexArray) -> FloatArray:
        out = np.zeros(before.shape[0])
        for _, c in self.law.poles:
            shifted = self.inverse - c * self.compressed(before)
            weight = equilibrate(shifted)
            scale = weight[:, :, np.newaxis] * weight[:, np.newaxis, :]
            step = solve_each(shifted / scale, c * self.compressed(before - after) / scale)
            out = np.maximum(out, np.linalg.norm(step, axis=(1, 2)))
        return out

    def potential(self, g: ComplexArray, u: ComplexArray, term: Term) -> ComplexArray:
        h = self.compressed(g)
        t = h @ self.middle
        total: ComplexArray = self.law.slope / 2 * np.trace(t @ t, axis1=1, axis2=2)
        for a, c in self.law.poles:
            # M^-1 - c H lies in the matrix half-plane that tells the branch of each eigenvalue's logarithm
            shifted = self.inverse - c * h
            log = log_upper if c > 0 else log_lower
            log_det = np.sum(log(eigenvalues_of_each(shifted)), axis=1)
            log_det = log_det + np.sum(np.log(np.abs(self.d))) - 1j * np.pi * np.sign(c) * np.sum(self.d < 0)
            trace = np.trace(inverse_of_each(shifted) @ self.inverse, axis1=1, axis2=2)
            total = total + a / c * (trace - self.d.size + log_det)
        return total


class NodeChannel(Channel):
    """A variable given by its node, whose unknowns at each eigenvalue of T are met in the upper half-plane."""

    law: Node

    def __init__(self, matrix: ComplexArray, node: Node) -> None:
        super().__init__(matrix)
        self.law = node
        self.rows = self.d.size * node.size

    def _side(self, values: ComplexArray) -> ComplexArray:
        """From the upper half-plane to that of each subordination point, and back; shape (r, n)."""
        return np.where(self.d[:, np.newaxis] > 0, values, values.conj())

    def _points(self, u: ComplexArray) -> ComplexArray:
        """Unknowns (rows, n) as those of the node at r n points, those of one eigenvalue after those of another."""
        return u.reshape(self.d.size, self.law.size, -1).swapaxes(0, 1).reshape(self.law.size, -1)

    def _rows(self, points: ComplexArray) -> ComplexArray:
        """Back from `_points`."""
        return points.reshape(self.law.size, self.d.size, -1).swapaxes(0, 1).reshape(self.rows, -1)

    def _at_eigenvalues(self, values: ComplexArray) -> ComplexArray:
        """Values of the node at the r n points, as (n, r) and on the sides of the subordination points."""
        return self._side(values.reshape(self.d.size, -1)).T

    def start(self, g: complex) -> ComplexArray:
        own = self._side(np.array(self.d[:, np.newaxis] * g, dtype=np.complex128))[:, 0]
        z = 1 / own + self.law.mean + self.law.variance * own
        return self._rows(self.law.start(z, continued_log_z(z)))

    def linearise(self, frame: Frame, u: ComplexArray) -> Term:
        lin = self.law.linearise(self._points(u))
        jet = lin.jet
        own = self._at_eigenvalues(jet.g)
        first, last = self.ends(frame)
        values, vectors, inverse = self._eigen(last @ frame.g @ first @ self.middle, own)
        r = self._at_eigenvalues(jet.m / jet.g)
        dg = self._at_eigenvalues(jet.g * jet.dlog_g)
        dr = self._at_eigenvalues((jet.dm - jet.m * jet.dlog_g) / jet.g)
        left = first @ self.middle @ vectors  # A R(G A) = U M V R(g) V^-1 U*
        right = inverse @ last
        pairs = []
        for j in range(self.d.size):
            distance = own - own[:, j : j + 1]
            close = np.abs(distance) <= _CLOSE * (np.abs(own) + np.abs(own[:, j : j + 1]))
            quotient = (r - r[:, j : j + 1]) / np.where(close, 1, distance)
            quotient = np.where(close, dr / dg, quotient)
            quotient[:, j] = 0
            x = (left * quotient[:, np.newaxis, :]) @ right
            pairs.append((x, left[:, :, j, np.newaxis] * right[:, j, np.newaxis, :]))
        scalars = [
            Scalar(left[:, :, k], right[:, k], (values - own)[:, k], dg[:, k], dr[:, k]) for k in range(self.d.size)
        ]
        value = (left * r[:, np.newaxis, :]) @ right
        return Term(value, pairs if self.d.size > 1 else [], scalars, lin)

    def _eigen(self, t: ComplexArray, wanted: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        """Eigenvalues of T in the order of ``wanted`` (n, r), eigenvectors and their inverse."""
        rank = self.d.size
        if rank == 1:
            one = np.ones_like(t)
            return t[:, :, 0], one, one
        lost = ~np.all(np.isfinite(t), axis=(1, 2))
        usable = np.where(lost[:, np.newaxis, np.newaxis], np.diag(np.arange(rank) + 0j), t)
        values, vectors = eigen_of_pairs(usable) if rank == 2 else np.linalg.eig(usable)
        order = matching(values, wanted)
        values = np.take_along_axis(values, order, axis=1)
        values[lost] = np.nan
        vectors = np.take_along_axis(vectors, order[:, np.newaxis, :], axis=2)
        return values, vectors, inverse_of_each(vectors)

    def spread(self, term: Term, eps: ComplexArray) -> ComplexArray:
        assert term.lin is not None
        return self._rows(self.law.spread(term.lin, self._side(eps).ravel()))

    def strain(self, before: ComplexArray, after: ComplexArray, u: ComplexArray, du: ComplexArray) -> FloatArray:
        own = self.law.strain(self._points(u), self._points(du))
        out: FloatArray = np.max(own.reshape(self.d.size, -1), axis=0)
        return out

    def potential(self, g: ComplexArray, u: ComplexArray, term: Term) -> ComplexArray:
        assert term.lin is not None
        out: ComplexArray = np.sum(self._at_eigenvalues(self.law.potential(self._points(u), term.lin)), axis=1)
        return out
