"""A self-adjoint polynomial in free variables as a node: operator-valued free probability on its linear pencil.

With the pencil ``A_0 + Σ A_i x_i`` of `rmt.numeric.linearisation` and ``b = z E_11``, the matrix-valued Cauchy
transform ``G = E (b - A_0 - Σ A_i ⊗ x_i)^{-1}`` solves

    G^{-1} + A_0 + Σ_i A_i R_i(G A_i) = b,

the matrix-valued R-transforms of ``A_i ⊗ x_i`` being the scalar ones at matrix arguments (the matrix-valued free
cumulants are ``κ_n A b A b … A``; Speicher 1998; Belinschi, Mai and Speicher 2017 solve the same equation by the fixed
point of the subordination functions). On the range of ``A_i = U M U*`` the argument is ``T = U* G U M``. In its
eigenbasis R needs the scalar curve of x_i at r = rank A_i points only. These are carried as unknowns of x_i's own
node, so that the whole is one flattened Newton system, and any node may be a variable. Where R is rational (semicircle,
Marchenko–Pastur and their affine images and sums) it is evaluated at T itself.

G is carried as ``G = Λ Ĝ Ρ`` with ``Ĝ = g ⊕ S`` and triangular ``Λ = [1, 0; l, 1]``, ``Ρ = [1, r; 0, 1]``. Next to
an atom or a hard edge G is large along one direction, and its entries lose what lies across; g, l, r and S do not. The
equation keeps its form with ``Ρ A Λ`` in place of each matrix A (and ``Ρ E_11 Λ = E_11``).

The potential is additive as in the scalar case (derived here): ``Ψ = E Tr log(b - pencil)`` has ``dΨ = Tr G db`` and
``Ψ = -log det G + Σ_i Σ_k Γ_i(g_ik)``, g_ik the eigenvalues of T_i, since ``d(Ψ + log det G) = Σ Tr T_i dR_i(T_i)``.
Congruence splits ``Ψ = Φ_p + log det K``, whose imaginary part is π times the number of negative eigenvalues of K.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.channels import Channel, Frame, NodeChannel, RationalChannel, RationalR, Term
from rmt.numeric.continuation import newton_to
from rmt.numeric.jet import ComplexArray, log_upper
from rmt.numeric.linearisation import Pencil, equilibrate
from rmt.numeric.matrices import Packing, eigenvalues_of_each, inverse_of_each, solve_each
from rmt.numeric.node import Linearised, Node, jet_of_g

__all__ = ["PencilNode"]

FloatArray = npt.NDArray[np.float64]

# The start lies this many standard deviations above the mean.
_HEIGHT = 20.0
# Factor between the distances of points to start from.
_RUNG = 4.0


@dataclass(frozen=True)
class _Step:
    """Increment of Ĝ, (n, N, N), and of the scalars' parameters, (number of scalars, n)."""

    g: ComplexArray
    scalars: ComplexArray


class PencilNode(Node):
    """The law of a self-adjoint polynomial in free variables, solved on its pencil.

    Unknowns: g, l, r and S of the factored G (r and the lower half of S only where the pencil is not real, hence G not
    symmetric), then those of each variable's node at the eigenvalues of T. The parameter is a fixed generic
    combination of the entries of the increment of Ĝ, which stays regular at the edges, where dz = 0.

    Parameters
    ----------
    pencil : Pencil
        Linearisation of the polynomial.
    laws : sequence of RationalR or Node
        One for each variable.
    mean, variance : float
        Of the polynomial.
    unbounded : pair of bool
        Whether its continuous part reaches -oo, and +oo.
    """

    positive = False

    def __init__(
        self,
        pencil: Pencil,
        laws: Sequence[RationalR | Node],
        mean: float,
        variance: float,
        unbounded: tuple[bool, bool] = (False, False),
    ) -> None:
        self.mean, self.variance, self.unbounded = mean, variance, unbounded
        self.symmetric = pencil.is_real
        self.constant = pencil.constant
        self.channels: list[Channel] = [
            RationalChannel(a, law) if isinstance(law, RationalR) else NodeChannel(a, law)
            for a, law in zip(map(_real_if_real, pencil.coefficients), laws, strict=True)
            if np.any(a)
        ]
        n = self.width = pencil.constant.shape[0]
        # entries of a matrix that are unknown, the others being their mirror images
        self.entries = Packing(n, self.symmetric)
        self.inner = Packing(n - 1, self.symmetric)
        self.border_rows = (n - 1) * (1 if self.symmetric else 2)
        self.own = 1 + self.border_rows + self.inner.size
        self.size = self.own + sum(channel.rows for channel in self.channels)
        eigenvalues = np.linalg.eigvalsh(-pencil.constant[1:, 1:])
        self.log_det = np.sum(np.log(np.abs(eigenvalues))) + 1j * np.pi * np.sum(eigenvalues < 0)
        generic = np.random.default_rng(0).normal(size=(2, self.entries.size))
        self.generic = generic[0] + 1j * generic[1]
        self.direction = np.zeros((n, n))
        self.direction[0, 0] = 1.0
        self.offset = np.zeros((n, n), dtype=complex)

    # --- packing ------------------------------------------------------------------------------------------------------

    def _factors(self, u: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]:
        """The factors g (n,), l (n, N-1), r (n, N-1) and S (n, N-1, N-1), or increments of them."""
        left = u[1 : self.width].T
        right = left if self.symmetric else u[self.width : 2 * self.width - 1].T
        return u[0], left, right, self.inner.matrices(u[1 + self.border_rows : self.own].T)

    def _frame(self, u: ComplexArray) -> Frame:
        corner, left, right, rest = self._factors(u)
        count, n = corner.size, self.width
        g = np.zeros((count, n, n), dtype=complex)
        g[:, 0, 0], g[:, 1:, 1:] = corner, rest
        identity = np.broadcast_to(np.eye(n) + 0j, g.shape)
        lower, upper = identity.copy(), identity.copy()
        lower[:, 1:, 0], upper[:, 0, 1:] = left, right
        return Frame(g, lower, upper)

    def _packed(
        self, corner: ComplexArray, left: ComplexArray, right: ComplexArray, rest: ComplexArray
    ) -> ComplexArray:
        borders = [left] if self.symmetric else [left, right]
        return np.concatenate([corner[:, np.newaxis], *borders, self.inner.vectors(rest)], axis=1).T

    def _parts(self, u: ComplexArray) -> list[ComplexArray]:
        return np.split(u[self.own :], np.cumsum([channel.rows for channel in self.channels])[:-1])

    # --- node -------------------------------------------------------------------------------------------------------

    @cached_property
    def _anchor(self) -> tuple[complex, ComplexArray]:
        """A point far above the support and the unknowns there.

        Reached through the matrix upper half-plane, in which the solution is unique: from ``b = i s`` for large s,
        where every variable looks like its mean, to ``b = z E_11``.
        """
        z = self.mean + 1j * _HEIGHT * np.sqrt(self.variance)
        above = copy.copy(self)
        above.direction, above.offset = np.eye(self.width), z * self.direction
        size = np.linalg.norm(self.constant, 2) + sum(
            np.max(np.abs(c.d)) * (abs(c.law.mean) + 3 * np.sqrt(c.law.variance)) for c in self.channels
        )
        top = 20 * (size + abs(z))
        b = z * self.direction + 1j * top * np.eye(self.width) - self.constant
        g = inverse_of_each(b[np.newaxis])
        left, right = g[:, 1:, 0] / g[:, 0, :1], g[:, 0, 1:] / g[:, 0, :1]
        start = self._packed(g[:, 0, 0], left, right, g[:, 1:, 1:] - left[:, :, np.newaxis] * g[:, :1, 1:])
        u = np.concatenate([start, *(channel.start(1 / (1j * top)) for channel in self.channels)])
        heights = np.concatenate([top * 2.0 ** -np.arange(0.0, 12.0), [0.0]])
        u = _march(above, u, lambda t: np.array([1j * np.interp(t, np.linspace(0, 1, heights.size), heights)]))
        return z, u

    @cached_property
    def _rungs(self) -> list[tuple[complex, ComplexArray]]:
        """Points above the mean, each `_RUNG` times as far from it as the one before, and the unknowns there."""
        return [self._anchor]

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        first = self._anchor[0]
        rung = np.rint(np.log(np.abs((z - self.mean) / (first - self.mean))) / np.log(_RUNG)).clip(0).astype(int)
        while len(self._rungs) <= np.max(rung):
            origin, u = self._rungs[-1]
            above = self.mean + _RUNG * (origin - self.mean)
            self._rungs.append((above, self._between(np.array([origin]), np.array([above]), u)))
        origins = np.array([self._rungs[k][0] for k in rung])
        return self._between(origins, z, np.concatenate([self._rungs[k][1] for k in rung], axis=1))

    def _between(self, origin: ComplexArray, z: ComplexArray, u: ComplexArray) -> ComplexArray:
        """Unknowns at ``z`` from those at ``origin``, straight in the logarithm of the distance from the mean."""
        near, far = np.log(-1j * (origin - self.mean)), np.log(-1j * (z - self.mean))
        return _march(self, u, lambda t: self.mean + 1j * np.exp(near + t * (far - near)))

    def linearise(self, u: ComplexArray) -> Linearised:
        frame = self._frame(u)
        g = frame.g
        count, k = g.shape[0], self.entries.size
        terms = [channel.linearise(frame, part) for channel, part in zip(self.channels, self._parts(u), strict=True)]
        scalars = [scalar for term in terms for scalar in term.scalars]
        energy = frame.right @ self.constant @ frame.left  # A_0 + Σ A_i R_i(G A_i), in the frame
        for term in terms:
            energy = energy + term.value
        # multiplied by Ĝ from both sides the condition is dĜ - Ĝ C[dĜ] Ĝ + z Ĝ E Ĝ = Ĝ + Ĝ (energy - offset) Ĝ
        weight = equilibrate(g)
        outer = weight[:, :, np.newaxis] * weight[:, np.newaxis, :]
        scale = self.entries.vectors(outer)
        size = k + len(scalars) + 1
        matrix = np.zeros((count, size, size), dtype=complex)
        right = np.zeros((count, size, 2), dtype=complex)
        matrix[:, :k, :k] = -self._response(g, terms) * (scale[:, np.newaxis, :] / scale[:, :, np.newaxis])
        matrix[:, np.arange(k), np.arange(k)] += 1
        for j, scalar in enumerate(scalars, start=k):
            moved = (g @ scalar.column[:, :, np.newaxis]) @ (scalar.row[:, np.newaxis, :] @ g)
            matrix[:, :k, j] = -self.entries.vectors(moved) * scalar.dr[:, np.newaxis] / scale
            by_entry = scalar.row[:, :, np.newaxis] * scalar.column[:, np.newaxis, :]
            norm = np.abs(scalar.dg) + np.linalg.norm(by_entry * outer, axis=(1, 2))
            matrix[:, j, :k] = -self.entries.adjoint(by_entry) * scale / norm[:, np.newaxis]
            matrix[:, j, j] = scalar.dg / norm
            right[:, j, 0] = scalar.gap / norm
        push = self.entries.vectors(g @ (frame.right @ self.direction @ frame.left) @ g) / scale
        size_of_push = np.linalg.norm(push, axis=1)
        matrix[:, :k, -1] = push / size_of_push[:, np.newaxis]
        matrix[:, -1, :k] = self.generic
        mismatch = g + g @ (energy - frame.right @ self.offset @ frame.left) @ g
        right[:, :k, 0] = self.entries.vectors(mismatch) / scale
        right[:, -1, 1] = 1
        answer = solve_each(matrix, right)
        inner, along = (
            _Step(self.entries.matrices(answer[:, :k, side] * scale), answer[:, k:-1, side].T) for side in (0, 1)
        )
        z, dz = answer[:, -1, 0] / size_of_push, answer[:, -1, 1] / size_of_push
        # m = z g - 1 = (G energy)_11 without the cancellation, to first order
        column = energy @ _first(frame)
        m = _corner(g, column) + _corner(inner.g, column) + _moved(g, inner, terms, frame)
        dm = _corner(along.g, column) + _moved(g, along, terms, frame)
        jet = jet_of_g(g[:, 0, 0] + inner.g[:, 0, 0], along.g[:, 0, 0], m, dm, positive=False)
        return Linearised(jet, (z, dz, frame, inner, along, terms))

    def _response(self, g: ComplexArray, terms: list[Term]) -> ComplexArray:
        """Matrix of dĜ -> Ĝ C[dĜ] Ĝ on the unknown entries, the scalars held fixed."""
        count, n = g.shape[0], self.width
        total = np.zeros((count, n, n, n, n), dtype=complex)  # [row, column] of the image, [row, column] of dĜ
        for x, y in itertools.chain.from_iterable(term.pairs for term in terms):
            total += (g @ x)[:, :, np.newaxis, :, np.newaxis] * (y @ g).swapaxes(1, 2)[:, np.newaxis, :, np.newaxis, :]
        out: ComplexArray = self.entries.adjoint(total.reshape(count, n * n, n, n)[:, self.entries.rows])
        return out

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        _, _, frame, inner, along, terms = lin.inner
        dg = inner.g + along.g * eps[:, np.newaxis, np.newaxis]
        # the step (1 - E/2)^-1 (1 + E/2) Ĝ, E = dĜ Ĝ^-1, which is exact where G scales
        weight = equilibrate(frame.g)
        scale = weight[:, :, np.newaxis] * weight[:, np.newaxis, :]
        g, d = frame.g / scale, dg / scale
        moved = (g + solve_each((g - d / 2).swapaxes(1, 2), d.swapaxes(1, 2)).swapaxes(1, 2) @ g) * scale
        corner = moved[:, 0, 0]
        left, right = moved[:, 1:, 0] / corner[:, np.newaxis], moved[:, 0, 1:] / corner[:, np.newaxis]
        rest = moved[:, 1:, 1:] - left[:, :, np.newaxis] * moved[:, 0, np.newaxis, 1:] - frame.g[:, 1:, 1:]
        own = self._packed(corner - frame.g[:, 0, 0], left, right, rest)
        points = np.split(inner.scalars + along.scalars * eps, np.cumsum([len(term.scalars) for term in terms])[:-1])
        others = [c.spread(term, part) for c, term, part in zip(self.channels, terms, points, strict=True)]
        return np.concatenate([own, *others])

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        frame, after = self._frame(u), self._frame(u + du)
        corner, left, right, rest = self._factors(du)
        weight = equilibrate(frame.g)
        inner = weight[:, 1:, np.newaxis] * weight[:, np.newaxis, 1:]
        relative = solve_each(frame.g[:, 1:, 1:] / inner, rest / inner)
        parts = [
            np.abs(corner / u[0]),
            np.linalg.norm(relative, axis=(1, 2)),
            *(np.linalg.norm(side * weight[:, :1] / weight[:, 1:], axis=1) for side in (left, right)),
        ]
        own = np.linalg.norm(parts, axis=0)
        others = [
            channel.strain(frame.whole, after.whole, part, step)
            for channel, part, step in zip(self.channels, self._parts(u), self._parts(du), strict=True)
        ]
        out: FloatArray = np.max([own, *others], axis=0)
        return out

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        frame = self._frame(u)
        whole = frame.whole
        # b - energy = G^-1 lies in the matrix upper half-plane, where the logarithm has one branch
        turns = np.sum(log_upper(eigenvalues_of_each(inverse_of_each(whole))), axis=1)
        phi: ComplexArray = -np.log(frame.g[:, 0, 0]) - np.log(np.linalg.det(frame.g[:, 1:, 1:]))
        phi = phi + 2j * np.pi * np.round((turns - phi).imag / (2 * np.pi)) - self.log_det
        for channel, part, own in zip(self.channels, self._parts(u), lin.inner[-1], strict=True):
            phi = phi + channel.potential(whole, part, own)
        return phi + lin.jet.log_g


def _first(frame: Frame) -> ComplexArray:
    """The first column of Λ^-1, (n, N, 1)."""
    out = -frame.left[:, :, :1]
    out[:, 0] = 1
    return out


def _corner(g: ComplexArray, column: ComplexArray) -> ComplexArray:
    out: ComplexArray = (g[:, :1, :] @ column)[:, 0, 0]
    return out


def _moved(g: ComplexArray, step: _Step, terms: list[Term], frame: Frame) -> ComplexArray:
    """The corner of ``Ĝ (change of the energy) Λ^-1`` for a step."""
    first = _first(frame)
    corner = g[:, :1, :]
    out: ComplexArray = np.zeros(g.shape[0], dtype=complex)
    scalars = [scalar for term in terms for scalar in term.scalars]
    for x, y in itertools.chain.from_iterable(term.pairs for term in terms):
        out = out + (corner @ x @ (step.g @ (y @ first)))[:, 0, 0]
    for scalar, eps in zip(scalars, step.scalars, strict=True):
        part = (corner @ scalar.column[:, :, np.newaxis]) * (scalar.row[:, np.newaxis, :] @ first)
        out = out + part[:, 0, 0] * scalar.dr * eps
    return out


def _real_if_real(matrix: ComplexArray) -> Any:
    return matrix if np.any(matrix.imag) else matrix.real


def _march(node: PencilNode, u: ComplexArray, path: Callable[[float], ComplexArray]) -> ComplexArray:
    """Unknowns at path(1) from those near path(0), all points with the same steps in [0, 1]."""

    def coordinate(lin: Linearised) -> tuple[ComplexArray, ComplexArray]:
        return lin.inner[0], lin.inner[1]

    here, step = 0.0, 1.0
    while here < 1:
        there = min(here + step, 1.0)
        trial, _, ok = newton_to(node, u, coordinate, path(there))
        if np.all(ok):
            u, here, step = trial, there, 2 * step
        else:
            step /= 3
            if step < 1e-6:
                return u
    return u
