"""The formula reading against the numerical one: equation, edges and moments of the same law, node by node."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import rmt

G, z, m = sp.symbols("G z m")
half = sp.Rational(1, 2)
MP = rmt.MarchenkoPastur(ratio=half)
MASK = rmt.Discrete({0: half, 1: half})
TWO_ATOMS = rmt.Discrete({1: half, 2: half})
GAIN = sp.Rational(7, 10)
POINTS = (0.7 + 0.4j, 3 + 1j, -1 + 2j)

LAWS = [
    rmt.Semicircle(variance=2, mean=1),
    MP,
    rmt.MarchenkoPastur(ratio=3),
    rmt.FussCatalan(order=3),
    rmt.UniversalResNet(c=half / 2),
    rmt.UniversalResNet(c=half / 2, skip=sp.Rational(9, 10), depth=4),
    ((2 * rmt.MarchenkoPastur(ratio=1)) @ MASK).free_power(5),
    (2 * MASK).free_power(3),
    rmt.Discrete({0: sp.Rational(1, 10), sp.Rational(10, 9): sp.Rational(9, 10)}).free_power(3),
    rmt.Semicircle() + MP,
    MP + rmt.MarchenkoPastur(ratio=2),
    rmt.Semicircle() + rmt.Discrete({-2: half, 2: half}),
    rmt.Semicircle() + rmt.Discrete({-2: 0.25, 0.5: 0.25, 2: 0.5}),
    -2 * MP + 5,
    rmt.FussCatalan(order=2).sqrt().symmetrized(),
    rmt.Semicircle(variance=3).square(),
    rmt.ResidualSum(GAIN * rmt.MarchenkoPastur(ratio=1), 1),
    rmt.ResidualSum(GAIN * (rmt.MarchenkoPastur(ratio=1) @ MASK), sp.Rational(4, 5)).free_power(3),
    rmt.ResidualSum(GAIN * MASK, 1).free_power(3),
    MP.compress(sp.Rational(1, 3)),
    MP.free_sum_power(5 * half),
    TWO_ATOMS @ MP,
    rmt.Discrete({1: 0.25, 2: 0.25, 5: 0.5}) @ MP,
    TWO_ATOMS.free_power(2),
]


def smallest_residual(derivation, cauchy, point):
    """Residual of the equation at a numerical G; over the solutions of the constraint where there is an unknown."""
    values = {G: cauchy, z: point}
    equation = derivation.equation.lhs - derivation.equation.rhs
    if not derivation.constraints:
        return abs(complex(equation.subs(values)))
    (constraint,) = derivation.constraints
    (unknown,) = derivation.unknowns
    polynomial = sp.numer(sp.together((constraint.lhs - constraint.rhs).subs(values)))
    roots = np.roots([complex(x) for x in sp.Poly(polynomial, unknown).all_coeffs()])
    return min(abs(complex(equation.subs({**values, unknown: complex(root)}))) for root in roots)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: str(law)[:60])
def test_numerical_cauchy_transform_solves_the_equation(law):
    derivation = rmt.derive(law)
    for point in POINTS:
        cauchy = complex(law.cauchy(point))
        assert smallest_residual(derivation, cauchy, point) < 1e-11
        assert smallest_residual(derivation, 1.001 * cauchy, point) > 1e-7


@pytest.mark.parametrize("law", LAWS, ids=lambda law: str(law)[:60])
def test_moments_agree(law):
    mine, theirs = rmt.derive(law).moments(5), law.moments(5)
    assert [float(x) for x in mine] == pytest.approx([float(x) for x in theirs], rel=1e-12, abs=1e-14)


# the last law has inverse-square-root edges, where m is infinite
@pytest.mark.parametrize("law", LAWS[:-1], ids=lambda law: str(law)[:60])
def test_edges_agree(law):
    edges, intervals = rmt.derive(law).edges, law.support().intervals
    numeric = [float(x) for interval in intervals for x in interval]
    if edges and not isinstance(edges[0], sp.Eq):
        assert [float(edges[0]), float(edges[-1])] == pytest.approx([numeric[0], numeric[-1]], rel=1e-9, abs=1e-12)
    elif edges and edges[0].free_symbols == {z}:
        roots = np.roots([float(x) for x in sp.Poly(edges[0].lhs, z).all_coeffs()])
        for edge in numeric:
            assert min(abs(roots - edge)) < 1e-8
    elif edges and edges[0].free_symbols == {sp.Symbol("g")}:
        (variable,) = edges[0].free_symbols
        derivation = rmt.derive(law)
        roots = np.roots([float(x) for x in sp.Poly(edges[0].lhs, variable).all_coeffs()])
        position = sp.lambdify(variable, derivation.r_transform + 1 / variable)
        values = np.array([position(root) for root in roots])
        for edge in numeric:
            assert min(abs(values - edge)) < 1e-8
    elif edges:  # critical points in m and an unknown, with the constraint
        derivation = rmt.derive(law)
        (constraint,) = derivation.constraints
        (unknown,) = derivation.unknowns
        in_m = (constraint.lhs - constraint.rhs).subs(G, (1 + m) / z)
        system = sp.lambdify((m, unknown), [edges[0].lhs, in_m], "mpmath")
        position = sp.lambdify((m, unknown), (1 + m) / (m * critical_s(derivation)), "mpmath")
        for edge in numeric:
            nearby = edge * (1 + 0.01j)
            start = nearby * complex(law.cauchy(nearby)) - 1
            polynomial = sp.numer(sp.together(in_m.subs(m, start)))
            roots = np.roots([complex(x) for x in sp.Poly(polynomial, unknown).all_coeffs()])
            starts = min(roots, key=lambda root, at=start: abs(position(at, root) / edge - 1))
            solution = mp.findroot(system, (start.real, starts.real), tol=1e-14)
            assert float(position(*solution)) == pytest.approx(edge, rel=1e-8)


def critical_s(derivation):
    """S in m and the unknown, from the equation G = m S(m) rather than from `s_transform`, which may show radicals."""
    ratio = sp.solve(derivation.equation.subs(G, (1 + m) / z), z)[0]
    return (1 + m) / (m * ratio)
