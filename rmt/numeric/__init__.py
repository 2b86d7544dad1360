"""Solvers: arrays in, arrays out. Nothing here knows of `Law` or of sympy."""
