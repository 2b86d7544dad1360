"""Compiled loops of the samplers; the only modules of this package that import numba, themselves imported at first use.

Every kernel works on arrays that its caller allocates or that live as long as the call, has one signature, and is
cached on disk. Sums may be reordered and products fused; NaN and infinity keep their meaning.
"""
