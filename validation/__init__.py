"""Monte Carlo: real finite-width networks, their spectra, comparison with a law, verdicts and reports.

Replicas are independent and seeded; every error is over replicas; every verdict has a stated false-alarm rate.
"""

from validation.compare import compare
from validation.comparison import Comparison, Row, Table
from validation.experiment import Experiment, Run, WidthSample
from validation.norms import log_norms
from validation.report import report

__all__ = ["Comparison", "Experiment", "Row", "Run", "Table", "WidthSample", "compare", "log_norms", "report"]
