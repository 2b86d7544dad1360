"""Random matrices whose spectra tend to a law of `rmt`: one rule for each law and each operation."""

from validation.matrices.agreement import law_agreement
from validation.matrices.model import Draw, eigenvalues, random_matrix

__all__ = ["Draw", "eigenvalues", "law_agreement", "random_matrix"]
