"""Monte Carlo: real finite-width networks, their spectra, comparison with a law, verdicts and reports.

Replicas are independent and seeded; every error is over replicas; every verdict has a stated false-alarm rate.
"""

from validation.compare import compare
from validation.comparison import Comparison, Row, Table
from validation.experiment import Experiment
from validation.hessians import HessianDecay, SampledLoss, hessian_decay
from validation.matrices import eigenvalues, random_matrix
from validation.norms import log_norms
from validation.quadrature import WidthQuadrature
from validation.report import report
from validation.run import Run
from validation.samples import WidthSample
from validation.summary import WidthSummary
from validation.torch_models import jacobian_spectrum, sample_module

__all__ = [
    "Comparison",
    "Experiment",
    "HessianDecay",
    "Row",
    "Run",
    "SampledLoss",
    "Table",
    "WidthQuadrature",
    "WidthSample",
    "WidthSummary",
    "compare",
    "eigenvalues",
    "hessian_decay",
    "jacobian_spectrum",
    "log_norms",
    "random_matrix",
    "report",
    "sample_module",
]
