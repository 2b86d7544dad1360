"""Jacobians of real torch modules, and samples of them over initialisations.

Alone in `validation` to import torch, when it is first needed.
"""

from __future__ import annotations

import copy
import importlib
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from theory.network import Layer
from theory.torch_reader import from_torch
from validation.backend import get_backend
from validation.experiment import Experiment, versions
from validation.run import Run
from validation.samples import WidthSample
from validation.spectrum import LogSpectrum, log_singular_values

__all__ = ["ModuleExperiment", "jacobian_spectrum", "sample_module"]

FloatArray = npt.NDArray[np.float64]
Factory = Callable[[], Any]

# Rows of the Jacobian that one backward pass carries; more take memory and no less time.
ROWS = 128


def jacobian_spectrum(module: Any, x: Any, *, batch: Any = None, rows: int = ROWS) -> LogSpectrum:
    """Log singular values of the input-output Jacobian of a torch module, as it is.

    The module is copied, converted to double precision and run once on `x`; vector-Jacobian products give the Jacobian,
    `rows` rows at a time. Random parts (dropout in training) are drawn once, by torch's generator.

    Parameters
    ----------
    module : torch.nn.Module
        Takes a batch of inputs and returns a batch of outputs, one tensor each, of any shape; both are flattened.
    x : tensor or array
        One input, without the axis of the batch: the module is called on ``x[None]``.
    batch : tensor or array, optional
        Other inputs, along a first axis, that the module sees together with `x`. Needed where batch normalisation is in
        training mode; the derivative is that of the output at `x` by `x`, through the statistics too.
    rows : int
        At least 1.

    Returns
    -------
    LogSpectrum
        One value for each output component (each eigenvalue of J Jᵀ), decreasing, ``-inf`` for exact zeros.

    Raises
    ------
    ValueError
        If batch normalisation is in training mode and there is no `batch`, if the module does not return one tensor
        that depends on `x`, or if an argument is out of its range.
    """
    jacobian, _ = _jacobian(module, x, batch, rows)
    return log_singular_values(jacobian, get_backend("numpy"))


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise ImportError("torch modules need torch: pip install 'rmt-toolkit[torch]'") from error


def _jacobian(module: Any, x: Any, batch: Any, rows: int) -> tuple[FloatArray, FloatArray]:
    """Jacobian of shape (outputs, inputs), and the output."""
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module={module!r} is no torch.nn.Module")
    if rows < 1:
        raise ValueError(f"rows={rows!r} must be at least 1: the number of rows of the Jacobian in one backward pass")
    if batch is None:
        _refuse_batch_statistics(module)
    model = copy.deepcopy(module).double()
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    point = _tensor("x", x, device)
    others = None if batch is None else _tensor("batch", batch, device)
    if others is not None and others.shape[1:] != point.shape:
        raise ValueError(
            f"batch has inputs of shape {tuple(others.shape[1:])}; they must be shaped like x, {tuple(point.shape)}"
        )

    def output(inner: Any) -> Any:
        whole = inner[None] if others is None else torch.cat([inner[None], others])
        result = model(whole)
        if not isinstance(result, torch.Tensor):
            raise ValueError(f"module returns {type(result).__name__}; wrap it in a module that returns one tensor")
        if result.shape[:1] != whole.shape[:1]:
            raise ValueError(
                f"module maps a batch of {len(whole)} to shape {tuple(result.shape)}; it must keep the batch"
            )
        return result[0].reshape(-1)

    point.requires_grad_()
    value = output(point)
    if not value.requires_grad:
        raise ValueError("module's output does not depend on x by differentiable operations; its Jacobian is 0")
    unit = torch.eye(len(value), dtype=value.dtype, device=device)
    jacobian = np.empty((len(value), point.numel()))
    for start in range(0, len(value), rows):
        # several rows in one backward pass; an operation that cannot take them together is slower, not wrong
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")
            (block,) = torch.autograd.grad(
                value, point, unit[start : start + rows], is_grads_batched=True, retain_graph=True
            )
        jacobian[start : start + rows] = block.reshape(len(block), -1).cpu().numpy()
    return jacobian, value.detach().cpu().numpy()


def _refuse_batch_statistics(module: Any) -> None:
    torch = _torch()
    for name, inner in module.named_modules():
        if isinstance(inner, torch.nn.modules.batchnorm._BatchNorm) and (inner.training or inner.running_var is None):
            raise ValueError(
                f"module {name or type(inner).__name__!r} normalises over the batch, and one input has no statistics: "
                "give batch=, other inputs to normalise with, or call module.eval()"
            )


def _tensor(name: str, value: Any, device: Any) -> Any:
    torch = _torch()
    tensor = torch.as_tensor(np.asarray(value) if not isinstance(value, torch.Tensor) else value.detach())
    if tensor.is_complex() or not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name} must have finite real components")
    return tensor.to(device=device, dtype=torch.float64, copy=True)


@dataclass(frozen=True, repr=False)
class UnreadModule:
    """A module that is no network of the theory; `text` is how torch prints it."""

    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class ModuleExperiment:
    """What `sample_module` did: the part of `validation.Experiment` that comparisons and reports ask for.

    Attributes
    ----------
    net : Layer or UnreadModule
        What `theory.from_torch` reads in the first module.
    module : str
        The module as torch prints it.
    width, replicas, seed, q0, companion
        As in `validation.Experiment`; `q0` is the mean square of the given input.
    """

    net: Layer | UnreadModule
    module: str
    width: int
    replicas: int
    seed: int
    q0: float
    companion: bool
    backend: str = field(default="torch", init=False)
    x: None = field(default=None, init=False)
    values: str = field(default="all", init=False)

    def to_json(self) -> dict[str, Any]:
        """The description as JSON values."""
        return {
            "module": self.module,
            "net": None if isinstance(self.net, UnreadModule) else repr(self.net),
            "width": self.width,
            "replicas": self.replicas,
            "seed": self.seed,
            "q0": self.q0,
            "companion": self.companion,
        }


def sample_module(
    factory: Factory,
    x: Any,
    replicas: int = 64,
    seed: int = 1,
    *,
    companion: tuple[Factory, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Jacobian spectra of a module over independent initialisations, for `validation.compare`.

    Parameters
    ----------
    factory : callable
        Makes the module afresh, by torch's generator: ``lambda: torch.nn.Sequential(...)``. Replica r at width n sees
        this generator seeded by ``(seed, n, r)`` alone; the caller's generator stays as it is.
    x : tensor or array
        One input for all replicas, without the axis of the batch.
    replicas : int
        At least 1; a verdict needs 8.
    seed : int
        Not negative.
    companion : (factory, x), optional
        The same network at half the width, with its input of the same mean square. With it `compare` removes the bias
        of finite width by extrapolation and sees more.
    progress : callable, optional
        Gets ``(done, total)`` modules.

    Returns
    -------
    Run
        With a `ModuleExperiment` for its experiment, which can be compared and reported but not stored.

    Raises
    ------
    ValueError
        As `jacobian_spectrum`; if `replicas` or `seed` is out of its range; if the inputs differ in mean square.
    """
    for name, value, least in (("replicas", replicas, 1), ("seed", seed, 0)):
        if value != int(value) or value < least:
            raise ValueError(f"{name}={value!r} must be an integer >= {least}")
    started = time.perf_counter()
    plans = [(factory, np.asarray(x, dtype=np.float64))]
    if companion is not None:
        plans.append((companion[0], np.asarray(companion[1], dtype=np.float64)))
    squares = [float(np.mean(point**2)) for _, point in plans]
    if abs(squares[-1] / squares[0] - 1.0) > 1e-6:
        raise ValueError(
            f"companion: its input has mean square {squares[-1]:.6g}; it must be that of x, {squares[0]:.6g}"
        )
    if len(plans) == 2 and plans[1][1].size >= plans[0][1].size:
        raise ValueError(f"companion: its input has {plans[1][1].size} components; it must have fewer than x")
    done, total = 0, replicas * len(plans)
    samples = []
    for make, point in plans:
        spectra = []
        for replica in range(replicas):
            spectra.append(_replica(make, point, seed, replica))
            done += 1
            if progress is not None:
                progress(done, total)
        samples.append(_width_sample(point, spectra))
    net, module = _description(factory, seed, plans[0][1].size)
    experiment = ModuleExperiment(net, module, samples[0].width, replicas, seed, squares[0], companion is not None)
    return Run(
        # comparisons and reports ask for the common attributes only
        experiment=cast(Experiment, experiment),
        samples=tuple(samples),
        metadata={
            "versions": {**versions(), "torch": _torch().__version__},
            "platform": platform.platform(),
            "wall_seconds": time.perf_counter() - started,
        },
    )


def _made(make: Factory, seed: int, width: int, replica: int) -> Any:
    """The module of a replica, its parameters drawn in double precision; leaves torch's generator where it got."""
    torch = _torch()
    state = np.random.SeedSequence((seed, width, replica)).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0] >> np.uint64(1)))
    usual = torch.get_default_dtype()
    # atoms of orthogonal networks must be atoms, which a QR decomposition in single precision blurs
    torch.set_default_dtype(torch.float64)
    try:
        return make()
    finally:
        torch.set_default_dtype(usual)


def _replica(make: Factory, point: FloatArray, seed: int, replica: int) -> tuple[LogSpectrum, float, float]:
    began = time.perf_counter()
    with _torch().random.fork_rng():
        jacobian, output = _jacobian(_made(make, seed, point.size, replica), point, None, ROWS)
    spectrum = log_singular_values(jacobian, get_backend("numpy"))
    return spectrum, float(np.mean(output**2)), time.perf_counter() - began


def _description(factory: Factory, seed: int, width: int) -> tuple[Layer | UnreadModule, str]:
    with _torch().random.fork_rng():
        module = _made(factory, seed, width, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # estimated scales: the caller's own from_torch says so
        try:
            return from_torch(module), str(module)
        except NotImplementedError:
            return UnreadModule(str(module)), str(module)


def _width_sample(point: FloatArray, spectra: list[tuple[LogSpectrum, float, float]]) -> WidthSample:
    found = [spectrum for spectrum, _, _ in spectra]
    return WidthSample(
        width=point.size,
        log_singular_values=np.stack([spectrum.values for spectrum in found]),
        rank=np.array([spectrum.rank for spectrum in found]),
        resolved=np.array([spectrum.resolved for spectrum in found]),
        log_floor=np.array([spectrum.log_floor for spectrum in found]),
        input_square=np.full(len(found), float(np.mean(point**2))),
        output_square=np.array([square for _, square, _ in spectra]),
        seconds=np.array([seconds for _, _, seconds in spectra]),
    )
