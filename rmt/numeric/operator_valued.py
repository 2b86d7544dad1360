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

In the upper half-plane ``-Im G >= 0``, and with ``W = T^{-1} + R(T)`` the eigenvalues of W (the subordination points of
x_i) lie in the upper half-plane for each positive eigenvalue of M, in the lower one for each negative eigenvalue: the latter are met at the
conjugate point.

The potential is additive as in the scalar case (derived here): ``Ψ = E Tr log(b - pencil)`` has ``dΨ = Tr G db`` and
``Ψ = -log det G + Σ_i Σ_k Γ_i(g_ik)``, g_ik the eigenvalues of T_i, since ``d(Ψ + log det G) = Σ Tr T_i dR_i(T_i)``.
Congruence splits ``Ψ = Φ_p + log det K``, whose imaginary part is π times the number of negative eigenvalues of K.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.numeric.continuation import newton_to
from rmt.numeric.jet import ComplexArray, log_lower, log_upper
from rmt.numeric.linearisation import Pencil, equilibrate
from rmt.numeric.node import Linearised, Node, continued_log_z, jet_of_g

__all__ = ["PencilNode", "RationalR"]

FloatArray = npt.NDArray[np.float64]

# Closer arguments than this share take the derivative for the divided difference of R.
_CLOSE = 1e-5
# Eigenvalues of a coefficient matrix below this share of its largest are rounding.
_RANK_TOLERANCE = 1e-12
# The start lies this many standard deviations above the mean.
_HEIGHT = 20.0


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


# A derivative dG -> Σ X dG Y over pairs of stacks of matrices.
_Pairs = list[tuple[ComplexArray, ComplexArray]]


class _Channel:
    """One variable: the term ``A R(G A)`` at stacks G of shape (n, N, N), with its unknowns (``rows`` of them).

    ``A = U M U*`` with M invertible of rank r, and U made of coordinate vectors where that is possible: next to a hard
    edge the entries of G differ by orders of magnitude, and must not be mixed.
    """

    rows = 0

    def __init__(self, matrix: ComplexArray) -> None:
        self.matrix = matrix
        touched = np.flatnonzero(np.any(matrix != 0, axis=1))
        values, vectors = np.linalg.eigh(matrix)
        kept = np.abs(values) > _RANK_TOLERANCE * np.max(np.abs(values))
        if touched.size == np.sum(kept):
            self.u = np.eye(matrix.shape[0])[:, touched]
            self.middle = matrix[np.ix_(touched, touched)]
        else:
            self.u, self.middle = vectors[:, kept], np.diag(values[kept])
        self.d = np.linalg.eigvalsh(self.middle)

    def compressed(self, g: ComplexArray) -> ComplexArray:
        """U* G U, of shape (n, r, r)."""
        return self.u.conj().T @ g @ self.u


class _RationalChannel(_Channel):
    """A variable with rational R: no unknowns."""

    def __init__(self, matrix: ComplexArray, law: RationalR) -> None:
        super().__init__(matrix)
        self.law = law
        self.inverse = np.linalg.inv(self.middle)

    def start(self, g: ComplexArray) -> ComplexArray:
        return np.empty((0, g.shape[0]), dtype=complex)

    def linearise(self, g: ComplexArray, u: ComplexArray) -> tuple[ComplexArray, _Pairs, Any]:
        a, law = self.matrix, self.law
        term = np.broadcast_to(law.constant * a + 0j, g.shape)
        pairs: _Pairs = []
        if law.slope:
            term = term + law.slope * (a @ g @ a)
            whole = np.broadcast_to(a + 0j, g.shape)
            pairs.append((law.slope * whole, whole))
        for weight, c in law.poles:
            # S = A (1 - c G A)^-1 = U (M^-1 - c H)^-1 U*
            s = self.u @ _inverse(self.inverse - c * self.compressed(g)) @ self.u.conj().T
            term = term + weight * s
            pairs.append((weight * c * s, s))
        return term, pairs, None

    def spread(self, data: Any, dg: ComplexArray) -> ComplexArray:
        return np.empty((0, dg.shape[0]), dtype=complex)

    def strain(self, g: ComplexArray, dg: ComplexArray, u: ComplexArray, du: ComplexArray) -> FloatArray:
        out = np.zeros(g.shape[0])
        for _, c in self.law.poles:
            step = _relative(self.inverse - c * self.compressed(g), c * self.compressed(dg))
            out = np.maximum(out, np.linalg.norm(step, axis=(1, 2)))
        return out

    def potential(self, g: ComplexArray, u: ComplexArray, data: Any) -> ComplexArray:
        h = self.compressed(g)
        t = h @ self.middle
        total: ComplexArray = self.law.slope / 2 * np.trace(t @ t, axis1=1, axis2=2)
        for a, c in self.law.poles:
            # M^-1 - c H lies in the matrix half-plane that tells the branch of each eigenvalue's logarithm
            shifted = self.inverse - c * h
            log = log_upper if c > 0 else log_lower
            log_det = np.sum(log(np.linalg.eigvals(shifted)), axis=1)
            log_det = log_det + np.sum(np.log(np.abs(self.d))) - 1j * np.pi * np.sign(c) * np.sum(self.d < 0)
            trace = np.trace(_inverse(shifted) @ self.inverse, axis1=1, axis2=2)
            total = total + a / c * (trace - self.d.size + log_det)
        return total


class _NodeChannel(_Channel):
    """A variable given by its node, whose unknowns at each eigenvalue of T are met in the upper half-plane."""

    def __init__(self, matrix: ComplexArray, node: Node) -> None:
        super().__init__(matrix)
        self.law = node
        self.rows = self.d.size * node.size

    def _side(self, k: int, value: ComplexArray) -> ComplexArray:
        """From the upper half-plane to that of the k-th subordination point, and back."""
        return value if self.d[k] > 0 else value.conj()

    def _stacked(self, values: list[ComplexArray]) -> ComplexArray:
        return np.stack([self._side(k, value) for k, value in enumerate(values)], axis=1)

    def start(self, g: ComplexArray) -> ComplexArray:
        out = []
        far = np.trace(g, axis1=1, axis2=2) / g.shape[1]  # G is nearly this multiple of 1
        for k, d in enumerate(self.d):
            gk = self._side(k, d * far)
            z = 1 / gk + self.law.mean + self.law.variance * gk
            out.append(self.law.start(z, continued_log_z(z)))
        return np.concatenate(out)

    def linearise(self, g: ComplexArray, u: ComplexArray) -> tuple[ComplexArray, _Pairs, Any]:
        lins = [self.law.linearise(part) for part in np.split(u, self.d.size)]
        jets = [lin.jet for lin in lins]
        own = self._stacked([jet.g for jet in jets])
        rate = self._stacked([jet.g * jet.dlog_g for jet in jets])
        values, vectors, inverse = self._eigen(self.compressed(g) @ self.middle, own)
        slope = self._stacked([(jet.dm - jet.m * jet.dlog_g) / jet.g for jet in jets]) / rate
        r = self._stacked([jet.m / jet.g for jet in jets]) + slope * (values - own)
        left = (self.u @ self.middle) @ vectors  # A R(G A) = U M V R(g) V^-1 U*
        right = inverse @ self.u.conj().T
        pairs: _Pairs = []
        for j in range(self.d.size):
            distance = values - values[:, j : j + 1]
            close = np.abs(distance) <= _CLOSE * (np.abs(values) + np.abs(values[:, j : j + 1]))
            quotient = (r - r[:, j : j + 1]) / np.where(close, 1, distance)
            quotient = np.where(close, (slope + slope[:, j : j + 1]) / 2, quotient)
            x = (left * quotient[:, np.newaxis, :]) @ right
            pairs.append((x, left[:, :, j, np.newaxis] * right[:, j, np.newaxis, :]))
        return (left * r[:, np.newaxis, :]) @ right, pairs, (lins, values - own, rate, left, right)

    def _eigen(self, t: ComplexArray, wanted: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        """Eigenvalues of T in the order of ``wanted`` (n, r), eigenvectors and their inverse."""
        rank = self.d.size
        if rank == 1:
            one = np.ones_like(t)
            return t[:, :, 0], one, one
        lost = ~np.all(np.isfinite(t), axis=(1, 2))
        values, vectors = np.linalg.eig(np.where(lost[:, np.newaxis, np.newaxis], np.diag(np.arange(rank) + 0j), t))
        order = _matching(values, wanted)
        values = np.take_along_axis(values, order, axis=1)
        values[lost] = np.nan
        vectors = np.take_along_axis(vectors, order[:, np.newaxis, :], axis=2)
        return values, vectors, _inverse(vectors)

    def spread(self, data: Any, dg: ComplexArray) -> ComplexArray:
        lins, gap, rate, left, right = data
        eps = (np.einsum("nka,nab,nbk->nk", right, dg, left) + gap) / rate
        return np.concatenate([self.law.spread(lin, self._side(k, eps[:, k])) for k, lin in enumerate(lins)])

    def strain(self, g: ComplexArray, dg: ComplexArray, u: ComplexArray, du: ComplexArray) -> FloatArray:
        parts = zip(np.split(u, self.d.size), np.split(du, self.d.size), strict=True)
        out: FloatArray = np.max([self.law.strain(a, b) for a, b in parts], axis=0)
        return out

    def potential(self, g: ComplexArray, u: ComplexArray, data: Any) -> ComplexArray:
        parts = zip(np.split(u, self.d.size), data[0], strict=True)
        out: ComplexArray = np.sum(
            [self._side(k, self.law.potential(part, lin)) for k, (part, lin) in enumerate(parts)], axis=0
        )
        return out


def _matching(values: ComplexArray, wanted: ComplexArray) -> npt.NDArray[np.intp]:
    """Order (n, r) in which ``values`` come closest to ``wanted``: exhaustive up to three, greedy beyond."""
    rank = values.shape[1]
    distance = np.abs(values[:, np.newaxis, :] - wanted[:, :, np.newaxis])  # [wanted, value]
    distance = np.where(np.isfinite(distance), distance, 0.0)
    if rank <= 3:
        orders = np.array(list(itertools.permutations(range(rank))))
        cost = np.stack([np.sum(distance[:, np.arange(rank), order] ** 2, axis=1) for order in orders])
        best: npt.NDArray[np.intp] = orders[np.argmin(cost, axis=0)]
        return best
    order = np.empty(values.shape, dtype=np.intp)
    points = np.arange(values.shape[0])
    for _ in range(rank):
        flat = np.argmin(distance.reshape(points.size, -1), axis=1)
        row, column = np.divmod(flat, rank)
        order[points, row] = column
        distance[points, row, :] = np.inf
        distance[points, :, column] = np.inf
    return order


class PencilNode(Node):
    """The law of a self-adjoint polynomial in free variables, solved on its pencil.

    Unknowns: the entries of G (those on and above the diagonal where the pencil is real, so that G is symmetric), then
    those of each variable's node at the eigenvalues of T. The parameter is a fixed generic combination of the
    entries, which stays regular at the edges, where dz = 0.

    Parameters
    ----------
    pencil : Pencil
        Linearisation of the polynomial.
    laws : sequence of RationalR or Node
        One for each variable.
    mean, variance : float
        Of the polynomial.
    """

    positive = False

    def __init__(self, pencil: Pencil, laws: Sequence[RationalR | Node], mean: float, variance: float) -> None:
        self.pencil, self.mean, self.variance = pencil, mean, variance
        self.channels: list[_RationalChannel | _NodeChannel] = [
            _RationalChannel(_real_part(a), law) if isinstance(law, RationalR) else _NodeChannel(_real_part(a), law)
            for a, law in zip(pencil.coefficients, laws, strict=True)
            if np.any(a)
        ]
        n = pencil.constant.shape[0]
        grid = np.arange(n * n).reshape(n, n)
        # entry of G -> row of unknowns
        self.rows = grid[np.triu_indices(n)] if pencil.is_real else grid.ravel()
        self.mirror = grid.T.ravel()[self.rows]
        self.unpacking = np.empty(n * n, dtype=np.intp)
        self.unpacking[self.rows] = np.arange(self.rows.size)
        if pencil.is_real:
            self.unpacking[self.mirror] = np.arange(self.rows.size)
        self.width = n
        self.size = self.rows.size + sum(channel.rows for channel in self.channels)
        generic = np.random.default_rng(0).normal(size=(2, self.rows.size))
        self.border = generic[0] + 1j * generic[1]
        inner = np.linalg.eigvalsh(-pencil.constant[1:, 1:])
        self.log_det = np.sum(np.log(np.abs(inner))) + 1j * np.pi * np.sum(inner < 0)
        self.direction = np.zeros((n, n))
        self.direction[0, 0] = 1.0
        self.offset = np.zeros((n, n), dtype=complex)

    # --- packing ------------------------------------------------------------------------------------------------------

    def _matrices(self, u: ComplexArray) -> ComplexArray:
        """G or an increment of it, of shape (n, N, N)."""
        return u[self.unpacking].T.reshape(u.shape[1], self.width, self.width)

    def _parts(self, u: ComplexArray) -> list[ComplexArray]:
        return np.split(u[self.rows.size :], np.cumsum([channel.rows for channel in self.channels])[:-1])

    # --- node -------------------------------------------------------------------------------------------------------

    @cached_property
    def _anchor(self) -> tuple[complex, ComplexArray]:
        """A point far above the support and the unknowns there.

        Reached through the matrix upper half-plane, in which the solution is unique: from ``b = i s`` for large s, where
        every variable looks like its mean, to ``b = z E_11``.
        """
        z = self.mean + 1j * _HEIGHT * np.sqrt(self.variance)
        above = object.__new__(PencilNode)
        above.__dict__.update({key: value for key, value in self.__dict__.items() if key != "_anchor"})
        above.direction, above.offset = np.eye(self.width), z * self.direction
        size = np.linalg.norm(self.pencil.constant, 2) + sum(
            np.max(np.abs(c.d)) * (abs(c.law.mean) + 3 * np.sqrt(c.law.variance)) for c in self.channels
        )
        top = 20 * (size + abs(z))
        g = np.linalg.inv(z * self.direction + 1j * top * np.eye(self.width) - self.pencil.constant)[np.newaxis]
        start = g.reshape(1, self.width**2).T[self.rows]
        u = np.concatenate([start, *(channel.start(g) for channel in self.channels)])
        heights = np.concatenate([top * 2.0 ** -np.arange(0.0, 12.0), [0.0]])
        u = _march(above, u, lambda t: np.array([1j * np.interp(t, np.linspace(0, 1, heights.size), heights)]))
        return z, u

    def start(self, z: ComplexArray, log_z: ComplexArray) -> ComplexArray:
        origin, u = self._anchor
        near, far = np.log(-1j * (origin - self.mean)), np.log(-1j * (z - self.mean))
        u = np.repeat(u, z.size, axis=1)
        return _march(self, u, lambda t: self.mean + 1j * np.exp(near + t * (far - near)))

    def linearise(self, u: ComplexArray) -> Linearised:
        g = self._matrices(u)
        count, n, k = g.shape[0], self.width, self.rows.size
        energy = np.broadcast_to(self.pencil.constant, g.shape)  # A_0 + Σ A_i R_i(G A_i)
        pairs: _Pairs = []
        data = []
        for channel, part in zip(self.channels, self._parts(u), strict=True):
            term, terms, own = channel.linearise(g, part)
            energy = energy + term
            pairs += terms
            data.append(own)
        # multiplied by G from both sides the condition is dG - G C[dG] G + z G E G = G + G energy G - G offset G
        total = np.zeros((count, n, n, n, n), dtype=complex)
        for x, y in pairs:
            total += (g @ x)[:, :, np.newaxis, :, np.newaxis] * (y @ g).swapaxes(1, 2)[:, np.newaxis, :, np.newaxis, :]
        flat = total.reshape(count, n * n, n * n)
        columns = flat[:, self.rows[:, np.newaxis], self.rows]
        if self.pencil.is_real:
            off = self.rows != self.mirror
            columns[:, :, off] += flat[:, self.rows[:, np.newaxis], self.mirror[off]]
        # the entries of G are of very different size far away (the corner is 1/z) and next to hard edges
        weight = equilibrate(g)
        scale = (weight[:, :, np.newaxis] * weight[:, np.newaxis, :]).reshape(count, n * n)[:, self.rows]
        matrix = np.empty((count, k + 1, k + 1), dtype=complex)
        matrix[:, :k, :k] = np.eye(k) - columns * (scale[:, np.newaxis, :] / scale[:, :, np.newaxis])
        push = (g @ self.direction @ g).reshape(count, n * n)[:, self.rows] / scale
        size = np.linalg.norm(push, axis=1)
        matrix[:, :k, k] = push / size[:, np.newaxis]
        matrix[:, k, :k] = self.border
        matrix[:, k, k] = 0
        right = np.zeros((count, k + 1, 2), dtype=complex)
        mismatch = g + g @ (energy - self.offset) @ g
        right[:, :k, 0] = mismatch.reshape(count, n * n)[:, self.rows] / scale
        right[:, k, 1] = 1
        answer = _solve(matrix, right)
        steps = (answer[:, :k] * scale[:, :, np.newaxis])[:, self.unpacking].reshape(count, n, n, 2)
        inner, along = steps[..., 0], steps[..., 1]
        z, dz = (answer[:, k] / size[:, np.newaxis]).T
        # m = z G_11 - 1 without the cancellation: the corner of G times the energy, to first order
        responses = [sum((x[:, :, :] @ d @ y)[:, :, 0] for x, y in pairs) if pairs else 0 for d in (inner, along)]
        row, column = g[:, 0, :], energy[:, :, 0]
        m = _dot(row, column) + _dot(inner[:, 0], column) + _dot(row, responses[0])
        dm = _dot(along[:, 0], column) + _dot(row, responses[1])
        jet = jet_of_g(g[:, 0, 0] + inner[:, 0, 0], along[:, 0, 0], m, dm, positive=False)
        return Linearised(jet, (z, dz, g, inner, along, data))

    def spread(self, lin: Linearised, eps: ComplexArray) -> ComplexArray:
        _, _, g, inner, along, data = lin.inner
        dg = inner + along * eps[:, np.newaxis, np.newaxis]
        # the step (1 - E/2)^-1 (1 + E/2) G, E = dG G^-1: next to a hard edge G grows along one direction that turns
        weight = equilibrate(g)
        scale = weight[:, :, np.newaxis] * weight[:, np.newaxis, :]
        g, dg = g / scale, dg / scale
        whole = _solve(np.swapaxes(g - dg / 2, 1, 2), np.swapaxes(dg, 1, 2)).swapaxes(1, 2) @ g * scale
        moved = whole.reshape(eps.size, self.width**2).T[self.rows]
        dg = dg * scale
        return np.concatenate([moved, *(c.spread(own, dg) for c, own in zip(self.channels, data, strict=True))])

    def strain(self, u: ComplexArray, du: ComplexArray) -> FloatArray:
        g, dg = self._matrices(u), self._matrices(du)
        # G^-1 dG in the basis in which it is balanced: next to a hard edge G is nearly of rank one and large
        parts = [np.linalg.norm(_relative(g, dg), axis=(1, 2))]
        for channel, part, step in zip(self.channels, self._parts(u), self._parts(du), strict=True):
            parts.append(channel.strain(g, dg, part, step))
        out: FloatArray = np.max(parts, axis=0)
        return out

    def potential(self, u: ComplexArray, lin: Linearised) -> ComplexArray:
        g = self._matrices(u)
        # b - energy lies in the matrix upper half-plane, where the logarithm has one branch
        phi: ComplexArray = np.sum(log_upper(np.linalg.eigvals(_inverse(g))), axis=1) - self.log_det
        for channel, part, own in zip(self.channels, self._parts(u), lin.inner[-1], strict=True):
            phi = phi + channel.potential(g, part, own)
        return phi + lin.jet.log_g


def _real_part(matrix: ComplexArray) -> Any:
    return matrix if np.any(matrix.imag) else matrix.real


def _dot(a: ComplexArray, b: ComplexArray) -> ComplexArray:
    out: ComplexArray = np.einsum("ni,ni->n", a, b)
    return out


def _solve(matrix: ComplexArray, right: ComplexArray) -> ComplexArray:
    """Batched solve; NaN where it fails, so that a refused trial step does not stop the others."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        out = np.full(right.shape, np.nan, dtype=complex)
        for k in range(matrix.shape[0]):
            try:
                out[k] = np.linalg.solve(matrix[k], right[k])
            except np.linalg.LinAlgError:
                continue
        return out


def _inverse(matrix: ComplexArray) -> ComplexArray:
    """Batched inverse, rows and columns scaled first."""
    rows = 1 / np.maximum(np.max(np.abs(matrix), axis=2, keepdims=True), 1e-150)
    columns = 1 / np.maximum(np.max(np.abs(matrix * rows), axis=1, keepdims=True), 1e-150)
    identity = np.broadcast_to(np.eye(matrix.shape[1]) + 0j, matrix.shape)
    return columns.swapaxes(1, 2) * _solve(matrix * rows * columns, identity) * rows.swapaxes(1, 2)


def _relative(g: ComplexArray, dg: ComplexArray) -> ComplexArray:
    """``s^-1/2 U* dG V s^-1/2`` for ``G = U s V*``: similar to G^-1 dG, and as small as its size allows."""
    weight = equilibrate(g)
    scale = weight[:, :, np.newaxis] * weight[:, np.newaxis, :]
    g, dg = g / scale, dg / scale
    usable = np.all(np.isfinite(g), axis=(1, 2))[:, np.newaxis, np.newaxis]
    left, size, right = np.linalg.svd(np.where(usable, g, np.eye(g.shape[1])))
    root = np.sqrt(size)
    inner = left.conj().swapaxes(1, 2) @ dg @ right.conj().swapaxes(1, 2)
    out: ComplexArray = np.where(usable, inner / (root[:, :, np.newaxis] * root[:, np.newaxis, :]), np.nan)
    return out


def _march(
    node: PencilNode, u: ComplexArray, path: Callable[[float], ComplexArray]
) -> ComplexArray:
    """Unknowns at path(1) from those near path(0), all points with the same steps in [0, 1]."""

    def coordinate(lin: Linearised) -> tuple[ComplexArray, ComplexArray]:
        return lin.inner[0], lin.inner[1]

    here, step = 0.0, 0.25
    u, _, ok = newton_to(node, u, coordinate, path(0.0))
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
