"""Norms of the image of a few directions under a masked chain: a sum of one logarithm a layer, no matrix.

By `validation.masked_chain` the Jacobian is, up to signs, a product of independent invariant matrices and masks. A
unit vector's image under N(0, 1) entries has independent N(0, 1) components; the mask leaves k of these, of square
a chi-squared variate of k degrees of freedom, independent of the past. So the logarithm of the square is a sum over the
layers. Of m orthonormal vectors, only their m x m triangular factor is needed, which is multiplied by Bartlett's factor
of a k x m Gaussian matrix in each layer. Under a Haar matrix of size n, the k components of a unit vector's image have
as square a Beta(k/2, (n-k)/2) variate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from theory.network import Layer
from validation.masked_chain import masked_chain

__all__ = ["log_norms"]

FloatArray = npt.NDArray[np.float64]


def log_norms(net: Layer, width: int, replicas: int, *, directions: int = 1, seed: int = 1) -> FloatArray:
    """Sample log |J e_1|², ..., log |J e_m|² for orthonormal e_i, at the cost of a chi variate a layer and direction.

    Parameters
    ----------
    net : Layer
        A chain with slopes 0 and 1 or ±1 and no biases, such as ``Chain(depth, "relu")``: those that the method
        ``triangular`` of `Experiment` takes.
    width : int
        Length of the input.
    replicas : int
        Independent networks.
    directions : int
        m <= width; 1 if the network has orthogonal weights.
    seed : int
        Not negative. Replica r depends on ``(seed, width, r)`` alone.

    Returns
    -------
    array of shape (replicas, directions)
        ``-inf`` where the network died, all units of a layer being off.

    Raises
    ------
    ValueError
        If an argument is out of its range, or if the network is not such a chain.

    Examples
    --------
    >>> from theory import Chain
    >>> logs = log_norms(Chain(100, "linear"), width=50, replicas=1000)
    >>> logs.shape
    (1000, 1)
    >>> round(float(logs.mean()))  # -L/N
    -2
    """
    _integer("width", width, 1)
    _integer("replicas", replicas, 1)
    _integer("seed", seed, 0)
    _integer("directions", directions, 1)
    if directions > width:
        raise ValueError(f"directions={directions} must be at most width={width}: orthonormal vectors")
    chain = masked_chain(net, width)
    if isinstance(chain, str):
        raise ValueError(f"net={net!r} has no sum of logarithms for its norms: {chain}")
    if directions > 1 and chain.orthogonal.any():
        raise ValueError(f"directions={directions}: a network with orthogonal weights takes one direction; use 1")
    from validation.kernels.chains import sample_norms

    key = np.random.SeedSequence(seed, spawn_key=(width,)).generate_state(8, np.uint64)
    values = np.empty((replicas, directions))
    sample_norms(key, 0, chain.widths, chain.keep, chain.haar_sizes, chain.log_scale, values)
    return values


def _integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}={value!r} must be an integer >= {least}")
