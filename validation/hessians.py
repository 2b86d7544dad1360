"""Hessians of the loss of sampled deep networks at initialisation, without the matrix.

The network is f(x) = v·z^L, z^l = a z^{l-1} + b s_l φ(N(W_l z^{l-1})), N nothing or layer normalisation, s_l
independent signs, with weights of variance 1/(p n), p = <φ'²>, so that a block of a homogeneous activation multiplies
the mean square of the signal by a² + b². Smooth activations take weights of variance σ_w²/n, and an input of the size
that the signal of the plain network settles at. The loss is (f - y)²/2 for one input, the parameters are the W_l. a = 0
is the plain network, in which the signs change nothing; beside a skip they keep the means of relu from adding up
("balanced", Li, Nica and Roy, arXiv:2106.04013).

A product of the Hessian with a direction is the derivative of the gradient along it, taken by a complex step: one
gradient in complex numbers, exact to rounding. Traces with normalisation are estimated with random signs (Hutchinson
1990), extreme eigenvalues found by Lanczos iterations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmt.results import PreconditionError
from theory.activations import Nonlinearity, get_activation
from theory.hessian import hessian_rate
from theory.phases import fixed_point

__all__ = ["HessianDecay", "SampledLoss", "hessian_decay"]

FloatArray = npt.NDArray[np.float64]
_STEP = 1e-30
_DIFFERENCE = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
_SPACING = 0.02


@dataclass(frozen=True, eq=False)
class SampledLoss:
    """The loss of a network with drawn weights, as a function of them; see the module for the network.

    Attributes
    ----------
    weights : array of shape (L, n, n)
    signs : array of shape (L, n)
        Of the branches.
    readout, x : arrays of shape (n,)
    y : float
    activation : str
        Piecewise linear, or smooth everywhere.
    skip, branch : float
        a and b.
    normalise : bool
        Whether pre-activations pass layer normalisation.
    """

    weights: FloatArray
    signs: FloatArray
    readout: FloatArray
    x: FloatArray
    y: float = 1.0
    activation: str = "relu"
    skip: float = 0.0
    branch: float = 1.0
    normalise: bool = False

    @classmethod
    def draw(
        cls,
        depth: int,
        width: int,
        rng: np.random.Generator,
        *,
        activation: str = "relu",
        sigma_w: float | None = None,
        skip: float = 0.0,
        branch: float = 1.0,
        normalise: bool = False,
    ) -> SampledLoss:
        """Gaussian weights, readout of norm 1, target 1, and an input of norm 1 (smooth activations: see the module).

        Raises
        ------
        PreconditionError
            For an activation with kinks that is not piecewise linear, or whose signal grows without bound.
        ValueError
            If the activation is unknown, and unless sigma_w is given for smooth ones, and for them only.
        """
        phi = get_activation(activation)
        if not phi.piecewise_linear and phi.kinks:
            raise PreconditionError(
                f"activation={activation!r}: Hessians are sampled for piecewise linear and for smooth ones, not for "
                "those that are smooth on both sides of a kink"
            )
        if phi.piecewise_linear == (sigma_w is not None):
            wanted = "leave it out: the weights have variance 1/(p n)" if phi.piecewise_linear else "give a number"
            raise ValueError(f"sigma_w={sigma_w!r} with activation={activation!r}: {wanted}")
        size, scale = 1.0, (phi.gain(1.0) * width) ** -0.5
        if sigma_w is not None:
            scale = sigma_w * width**-0.5
            settled = fixed_point(phi, sigma_w).q
            size = (width * settled) ** 0.5 / sigma_w if settled > 0 else 1.0
        weights = scale * rng.standard_normal((depth, width, width))
        signs = rng.choice([-1.0, 1.0], (depth, width))
        x = rng.standard_normal(width)
        readout = rng.choice([-1.0, 1.0], width) / width**0.5
        x *= size / np.linalg.norm(x)
        return cls(weights, signs, readout, x, 1.0, activation, skip, branch, normalise)

    def gradient(self) -> FloatArray:
        """Derivative of the loss by the weights, shape (L, n, n)."""
        return self._gradient(self.weights)

    def block_norms(self) -> FloatArray:
        """|∂f/∂W_l|² of every layer, shape (L,)."""
        error = self._forward(self.weights)[0] - self.y
        return np.asarray(np.sum((self.gradient() / error) ** 2, axis=(1, 2)))

    def hessian_product(self, direction: npt.ArrayLike) -> FloatArray:
        """Hessian of the loss times a direction in the weights, shape (L, n, n)."""
        moved = self.weights + 1j * _STEP * np.asarray(direction, dtype=float).reshape(self.weights.shape)
        return np.asarray(self._gradient(moved).imag / _STEP)

    def trace(self, probes: int, rng: np.random.Generator) -> float:
        """Trace of the Hessian: Σ |∂f/∂W_l|² where f is linear in every W_l, otherwise an unbiased estimate.

        The estimate, with normalisation or a smooth activation, takes so many products with random signs; its variance
        falls like one over their number.
        """
        if not self.normalise and get_activation(self.activation).piecewise_linear:
            return float(self.block_norms().sum())
        total = 0.0
        for _ in range(probes):
            signs = rng.choice([-1.0, 1.0], self.weights.shape)
            total += float(np.sum(signs * self.hessian_product(signs)))
        return total / probes

    def extreme_eigenvalues(self, rng: np.random.Generator) -> tuple[float, float]:
        """Smallest and largest eigenvalue of the Hessian."""
        from scipy.sparse.linalg import LinearOperator, eigsh

        size = self.weights.size
        operator = LinearOperator((size, size), matvec=lambda v: self.hessian_product(v).ravel(), dtype=np.float64)
        start = rng.standard_normal(size)
        if not np.any(self.hessian_product(start)):  # the signal has died: every derivative is 0
            return 0.0, 0.0
        low, high = eigsh(operator, k=2, which="BE", v0=start, return_eigenvectors=False, tol=1e-6)
        return float(low), float(high)

    def _forward(self, weights: npt.NDArray[Any]) -> tuple[Any, list[tuple[Any, ...]]]:
        """f, and (signal, pre-activation behind N, its scale, slope) of every layer; gates look at real parts."""
        phi = get_activation(self.activation)
        z: npt.NDArray[Any] = self.x
        tape: list[tuple[Any, ...]] = []
        for w, signs in zip(weights, self.signs, strict=True):
            h = w @ z
            scale: Any = 1.0
            if self.normalise:
                h = h - h.mean()
                scale = ((h * h).mean()) ** 0.5
                h = h / scale
            real = np.ascontiguousarray(h.real)
            value: npt.NDArray[Any] = phi.phi(real)
            slope: npt.NDArray[Any] = phi.dphi(real)
            if np.iscomplexobj(h):
                value = value + 1j * slope * h.imag
                if not phi.piecewise_linear:
                    slope = slope + 1j * _bend(phi, real) * h.imag
            tape.append((z, h, scale, slope))
            z = self.skip * z + self.branch * signs * value
        return self.readout @ z, tape

    def _gradient(self, weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
        value, tape = self._forward(weights)
        back: npt.NDArray[Any] = (value - self.y) * self.readout
        out = np.empty_like(weights)
        for k in reversed(range(len(weights))):
            z, h, scale, slope = tape[k]
            pulled = self.branch * self.signs[k] * slope * back
            if self.normalise:
                pulled = (pulled - pulled.mean() - h * (pulled * h).mean()) / scale
            out[k] = np.outer(pulled, z)
            back = self.skip * back + weights[k].T @ pulled
        return out


def _bend(phi: Nonlinearity, h: FloatArray) -> FloatArray:
    """φ'' of a smooth activation, by differences of eighth order of φ'."""
    values = np.array([phi.dphi(h + _SPACING * k) for k in range(-4, 5)])
    return np.asarray(_DIFFERENCE @ values / _SPACING, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class HessianDecay:
    """How the Hessian at initialisation shrinks with depth: medians over networks, arrays of shape (depths,).

    Attributes
    ----------
    depth : array of int
    gradient : array
        Median of |∂f/∂W_1|².
    trace : array
        Median of the trace of the Hessian.
    low, high : array
        Medians of the extreme eigenvalues.
    predicted_gradient, predicted_high : array
        exp of `theory.hessian_rate` times depth, and of half of it, through the first depth's values; NaN with
        normalisation, beside a smooth activation with a skip, and for the eigenvalue where the signal settles at a
        size that keeps the last layers' blocks.
    """

    depth: npt.NDArray[np.int64]
    gradient: FloatArray
    trace: FloatArray
    low: FloatArray
    high: FloatArray
    predicted_gradient: FloatArray
    predicted_high: FloatArray


def hessian_decay(
    depths: Sequence[int],
    width: int,
    *,
    activation: str = "relu",
    sigma_w: float | None = None,
    skip: float = 0.0,
    branch: float = 1.0,
    normalise: bool = False,
    replicas: int = 16,
    probes: int = 8,
    seed: int = 0,
) -> HessianDecay:
    """Medians of gradient, trace and extreme eigenvalues over sampled networks, beside the predicted decay.

    Parameters
    ----------
    depths : sequence of int
    width : int
    activation, sigma_w, skip, branch, normalise
        See `SampledLoss`.
    replicas : int
        Networks a depth.
    probes : int
        Random directions of an estimate of the trace.
    seed : int
        Replica r at depth L draws from a generator seeded by (seed, width, L, r) alone.

    Examples
    --------
    >>> plain = hessian_decay([4, 48], width=8, replicas=8)
    >>> bool(plain.high[1] < 0.01 * plain.high[0])
    True
    """
    rows = []
    for depth in depths:
        found = []
        for replica in range(replicas):
            rng = np.random.default_rng([seed, width, depth, replica])
            loss = SampledLoss.draw(
                depth, width, rng,
                activation=activation, sigma_w=sigma_w, skip=skip, branch=branch, normalise=normalise,
            )  # fmt: skip
            found.append((loss.block_norms()[0], loss.trace(probes, rng), *loss.extreme_eigenvalues(rng)))
        rows.append(np.median(found, axis=0))
    gradient, trace, low, high = np.array(rows).T
    depth_array = np.array(depths, dtype=np.int64)
    rate = np.nan
    if not normalise and (sigma_w is None or skip == 0):
        rate = hessian_rate(width, activation=activation, sigma_w=sigma_w, skip=skip, branch=branch)
    growth = rate * (depth_array - depth_array[0])
    stays = sigma_w is not None and fixed_point(activation, sigma_w).q > 0
    return HessianDecay(
        depth_array, gradient, trace, low, high,
        gradient[0] * np.exp(growth), high[0] * np.exp(np.full(growth.shape, np.nan) if stays else growth / 2),
    )  # fmt: skip
