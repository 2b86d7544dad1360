"""Laws at finite size, against which the limit laws and the edges of samples are judged.

Mean level densities of the Gaussian and Wishart ensembles, normalised as their limits `Semicircle` and
`MarchenkoPastur`; the Tracy–Widom laws; the largest eigenvalue. They take no part in free operations.
"""

from rmt.finite.gaussian import GOE, GUE
from rmt.finite.largest import EdgeScaling, LargestEigenvalue, edge_scaling
from rmt.finite.tracy_widom import TracyWidom
from rmt.finite.wishart import Wishart

__all__ = ["GOE", "GUE", "EdgeScaling", "LargestEigenvalue", "TracyWidom", "Wishart", "edge_scaling"]
