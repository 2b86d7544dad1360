"""Ways to sample the spectrum of a random network, one a module; `validation.planner` chooses among them.

A module ends in ``METHOD``, a `validation.methods.method.Method`. All of them draw from the same law; those that draw
less to get it say in their docstring why they may, and are tested in law against `validation.methods.forward`.
"""
