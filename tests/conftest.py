"""One BLAS thread a process, set before numpy loads: the suite runs in parallel processes, and theirs would compete."""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
