"""Array namespaces: numpy on the processor, cupy on a GPU, by one code path. The only module that imports cupy.

The sampling code receives a `Backend` and calls the functions of the array API standard, which numpy and cupy share;
what differs, or is missing in the standard, is here.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BACKENDS", "PRECISIONS", "Backend", "describe_gpu", "get_backend"]

FloatArray = npt.NDArray[np.float64]

BACKENDS = ("numpy", "cupy")
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Backend:
    """An array namespace.

    Attributes
    ----------
    name : str
        One of `BACKENDS`; of another name, a namespace of the array API standard on the processor.
    xp : module
        The namespace: arrays live where it puts them.
    dtype : str
        Precision of signals, weights and Jacobians, one of `PRECISIONS`.
    """

    name: str
    xp: Any
    dtype: str = "float64"

    @property
    def real(self) -> Any:
        """The namespace's own name of `dtype`."""
        return getattr(self.xp, self.dtype)

    def generator(self, seed: np.random.SeedSequence) -> Any:
        """A random generator of one replica with ``standard_normal`` and ``random``, seeded by `seed` alone.

        On the processor SFC64, the fastest of numpy's for normals; on a GPU cupy's Philox, which gives other numbers.
        """
        if self.name == "cupy":
            key = int(seed.generate_state(1, np.uint64)[0])
            return self.xp.random.Generator(self.xp.random.Philox4x3210(key))
        return np.random.Generator(np.random.SFC64(seed))

    def to_numpy(self, array: Any) -> npt.NDArray[Any]:
        """The array on the host."""
        return np.asarray(array.get() if self.name == "cupy" else array)

    def elementwise(self, function: Callable[[Any], Any], array: Any) -> Any:
        """A function written for numpy, applied to an array of the namespace, in double precision.

        numpy's functions hand arrays of a GPU to their cupy namesakes by themselves (NEP 13 and NEP 18). A function
        that insists on numpy's arrays raises a TypeError there, and gets a copy on the host: that is little beside a
        matrix product.
        """
        if self.name == "cupy":
            try:
                return self.xp.asarray(function(self.xp.asarray(array, dtype=self.xp.float64)), dtype=self.real)
            except TypeError:
                pass
        return self.xp.asarray(function(np.asarray(self.to_numpy(array), dtype=np.float64)), dtype=self.real)

    def singular_values(self, matrices: Any) -> FloatArray:
        """Singular values on the host, decreasing, of a matrix or of each of a stack."""
        if self.name == "cupy":
            return self.to_numpy(self.xp.linalg.svd(matrices, compute_uv=False))
        return self.to_numpy(self.xp.linalg.svdvals(matrices))

    def eigenvalues(self, matrices: Any) -> FloatArray:
        """Eigenvalues on the host, increasing, of a symmetric matrix or of each of a stack."""
        solve = self.xp.linalg.eigvalsh
        if self.name == "cupy" and matrices.ndim > 2 and matrices.shape[-1] > _JACOBI:
            return np.stack([self.to_numpy(solve(matrix)) for matrix in matrices])
        return self.to_numpy(solve(matrices))

    def kernel(self, name: str, source: tuple[str, str, str, str]) -> Any:
        """An elementwise GPU kernel, compiled once: inputs, outputs, body and preamble."""
        return _kernel(self.xp, name, source)


# cuSOLVER's solver for stacks, a Jacobi iteration, is the faster one for small matrices alone.
_JACOBI = 32


@functools.lru_cache(maxsize=8)
def _kernel(cupy: Any, name: str, source: tuple[str, str, str, str]) -> Any:
    inputs, outputs, body, preamble = source
    return cupy.ElementwiseKernel(inputs, outputs, body, name, preamble=preamble)


def get_backend(name: str, dtype: str = "float64") -> Backend:
    """The backend of that name and precision.

    Raises
    ------
    ValueError
        If name or precision are unknown, or if the backend's library or device is missing.
    """
    if dtype not in PRECISIONS:
        raise ValueError(f"dtype={dtype!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if name == "numpy":
        return Backend(name, np, dtype)
    if name != "cupy":
        raise ValueError(f"backend={name!r} is unknown; choose one of {', '.join(BACKENDS)}")
    try:
        cupy = importlib.import_module("cupy")
        device_count = int(cupy.cuda.runtime.getDeviceCount())
    except (ImportError, RuntimeError) as error:  # cupy raises a RuntimeError where the driver is missing
        raise ValueError(
            f"backend='cupy' needs cupy and a CUDA device ({error}); install rmt-toolkit[gpu], or use backend='numpy'"
        ) from error
    if device_count == 0:
        raise ValueError("backend='cupy' found no CUDA device; use backend='numpy'")
    return Backend(name, cupy, dtype)


def describe_gpu() -> dict[str, Any]:
    """Version of cupy (None where it is missing), the devices it finds, and what keeps it from them."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return {"cupy": None, "devices": [], "problem": str(error)}
    found: dict[str, Any] = {"cupy": str(cupy.__version__), "devices": [], "problem": None}
    try:
        for number in range(int(cupy.cuda.runtime.getDeviceCount())):
            properties = cupy.cuda.runtime.getDeviceProperties(number)
            found["devices"].append(f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 2**30:.0f} GiB")
    except RuntimeError as error:
        found["problem"] = str(error)
    return found
