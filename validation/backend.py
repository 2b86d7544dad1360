"""Array namespaces: numpy on the processor, cupy on a GPU, by one code path. The only module that imports cupy.

The sampling code receives a `Backend` and calls the functions that numpy and cupy share (``@``, ``xp.linalg.qr``,
``xp.linalg.svd``); what differs, the random generator and the copy back to the host, is here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BACKENDS", "Backend", "get_backend"]

FloatArray = npt.NDArray[np.float64]

BACKENDS = ("numpy", "cupy")


@dataclass(frozen=True)
class Backend:
    """An array namespace with its random generator.

    Attributes
    ----------
    name : str
        One of `BACKENDS`.
    xp : module
        The namespace: arrays live where it puts them.
    """

    name: str
    xp: Any

    def generator(self, seed: np.random.SeedSequence) -> Any:
        """A random generator with ``standard_normal``, seeded by `seed` alone.

        The numpy stream is SFC64, the fastest of numpy's for normals. The cupy stream is Philox on the device: another
        stream, so that the two backends agree in law and not in bits.
        """
        if self.name == "cupy":
            key = int(seed.generate_state(1, np.uint64)[0])
            return self.xp.random.Generator(self.xp.random.Philox4x3210(key))
        return np.random.Generator(np.random.SFC64(seed))

    def to_numpy(self, array: Any) -> npt.NDArray[Any]:
        """The array on the host."""
        return np.asarray(array.get() if self.name == "cupy" else array)

    def elementwise(self, function: Callable[[FloatArray], FloatArray], vector: Any) -> Any:
        """A numpy function of a vector; its round trip to the host is nothing beside a matrix product."""
        return self.xp.asarray(function(self.to_numpy(vector)))


def get_backend(name: str) -> Backend:
    """The backend of that name.

    Raises
    ------
    ValueError
        If the name is unknown, or if the backend's library or device is missing.
    """
    if name == "numpy":
        return Backend(name, np)
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
    return Backend(name, cupy)
