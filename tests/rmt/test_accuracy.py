"""Densities and distribution functions against thirty-digit references on a thousand points and next to the edges.

The references are in ``data/accuracy.npz``; ``data/make_references.py`` says by which formulas, none of them ours.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import ModuleType

import mpmath
import numpy as np
import pytest

import rmt
from rmt import Discrete, FussCatalan, Law, MarchenkoPastur, Semicircle

DATA = Path(__file__).with_name("data")
FOUR = Discrete({0.2: Fraction(1, 10), 1: Fraction(2, 5), 3: Fraction(3, 10), 7: Fraction(1, 5)})
THREE = Discrete({-1: Fraction(1, 5), 0.5: Fraction(9, 20), 2: Fraction(7, 20)})
MASKS = Discrete({0.5: Fraction(3, 10), 1: Fraction(1, 5), 2: Fraction(1, 2)})


def _coin(half: float) -> Law:
    return Discrete({-half: 0.5, half: 0.5})


def _power_of(law: Law, order: int) -> Law:
    out = law
    for _ in range(order - 1):
        out = out @ law
    return out


# reference -> the laws that it is of; several where the package has several ways to the same law
LAWS: dict[str, dict[str, Callable[[], Law]]] = {
    **{
        f"product of {order}": {
            "product": lambda order=order: _power_of(MarchenkoPastur(), order),
            "closed form": lambda order=order: FussCatalan(order),
            "power": lambda order=order: MarchenkoPastur().free_power(order),
        }
        for order in (2, 4, 10, 50)
    },
    "product, ratios .3 .7": {"product": lambda: MarchenkoPastur(0.3) @ MarchenkoPastur(0.7)},
    "product, ratios .5 .8 1.5 2": {
        "product": lambda: MarchenkoPastur(0.5) @ MarchenkoPastur(0.8) @ MarchenkoPastur(1.5) @ MarchenkoPastur(2)
    },
    "semicircle + two points, one interval": {"sum": lambda: Semicircle() + _coin(0.5)},
    "semicircle + two points, cusp": {"sum": lambda: Semicircle() + _coin(1)},
    "semicircle + two points, two intervals": {"sum": lambda: Semicircle() + _coin(2)},
    "semicircle + two points, asymmetric": {
        "sum": lambda: Semicircle() + Discrete({-1: Fraction(1, 3), 2: Fraction(2, 3)})
    },
    "semicircle + uniform": {"sum": lambda: Semicircle(0.4) + rmt.Uniform(-2, 1)},
    "semicircle + gaussian": {"sum": lambda: Semicircle() + rmt.Gaussian()},
    "marchenko-pastur x uniform": {
        "product": lambda: MarchenkoPastur(Fraction(1, 10)) @ rmt.Uniform(1, 2),
    },
    "marchenko-pastur x four atoms": {"product": lambda: MarchenkoPastur(0.4) @ FOUR},
    "marchenko-pastur x four atoms, narrow": {"product": lambda: MarchenkoPastur(0.02) @ FOUR},
    "compression, discrete": {
        "compression": lambda: THREE.compress(0.35),
        "sum power": lambda: 0.35 * THREE.free_sum_power(1 / 0.35),
    },
    "compression, discrete, atom": {"compression": lambda: THREE.compress(0.7)},
    "compression, uniform": {"compression": lambda: rmt.Uniform(-2, 1).compress(0.6)},
    **{f"sum power {t}": {"sum power": lambda t=t: THREE.free_sum_power(t)} for t in (1.1, 7.3)},
    **{f"power {t}": {"power": lambda t=t: MASKS.free_power(t)} for t in (1.1, 7.3)},
    **{
        f"power {t}, marchenko-pastur": {"power": lambda t=t: MarchenkoPastur(Fraction(1, 2)).free_power(t)}
        for t in (1.1, 7.3)
    },
    "two projections": {
        "product": lambda: Discrete({0: 0.6, 1: 0.4}) @ Discrete({0: 1 - 0.8, 1: 0.8}),
    },
}
CASES = [pytest.param(name, way, id=f"{name}: {way}") for name, ways in LAWS.items() for way in ways]


@cache
def _stored(name: str) -> np.ndarray:
    with np.load(DATA / "accuracy.npz", allow_pickle=False) as file:
        return file[name]


@cache
def _law(name: str, way: str) -> Law:
    return LAWS[name][way]()


@cache
def _answers(name: str, way: str) -> tuple[np.ndarray, np.ndarray]:
    """Density and distribution function by the first method, at all points."""
    law, x = _law(name, way), _stored(name)[0]
    return law.pdf(x), law.cdf(x)


def _each(question: str, name: str, way: str) -> Iterator[tuple[str, np.ndarray, slice | np.ndarray]]:
    """Every method's values: the first on all points, the others on every twentieth."""
    law, x = _law(name, way), _stored(name)[0]
    first, *others = law.methods(question)
    yield first, _answers(name, way)[("pdf", "cdf").index(question)], slice(None)
    for method in others:
        if method == "stieltjes":  # an extrapolation from above the axis, as far from it as the nearest edge
            edges = np.array([float(edge.position) for edge in law.support().edges])
            far = np.min(np.abs(x[:, np.newaxis] - edges), axis=1) > 1e-3 * (x[-1] - x[0])
            part = np.flatnonzero(far)[::20]
            yield method, getattr(law, question)(x[part], method=method), part
        elif method != "quadrature":
            yield method, getattr(law, question)(x[::20], method=method), slice(None, None, 20)


def _distance(law: Law, x: np.ndarray) -> np.ndarray:
    """Distance from the nearest edge of the support."""
    ends = np.array([float(e) for pair in law.support().intervals for e in pair])
    return np.min(np.abs(x[:, np.newaxis] - ends), axis=1)


def _rounding(law: Law, x: np.ndarray, density: np.ndarray) -> np.ndarray:
    """What a few roundings of x next to an edge do to a density that rises there as a root."""
    size = max(abs(law.support().lower), abs(law.support().upper))
    size = 1.0 if not np.isfinite(size) else size
    return 8 * np.finfo(float).eps * size * density / _distance(law, x)


def test_reference_of_every_case_is_stored():
    with np.load(DATA / "accuracy.npz", allow_pickle=False) as file:
        assert sorted(file) == sorted(LAWS)
        for name in file:
            x, density, low, cdf = file[name]
            assert x.size >= 1000
            assert np.all(np.diff(x) >= 0)
            assert np.all(density > 0)
            assert np.all(np.abs(low) <= 2e-16 * density)
            assert np.all(np.diff(cdf) >= 0)


@pytest.mark.parametrize(("name", "way"), CASES)
def test_density_on_a_thousand_points(name, way):
    x, density, _, _ = _stored(name)
    law = _law(name, way)
    # hard edges have no largest density: those points are judged by the relative error below
    linear = x > 1e-3 * x[-1] if name.startswith("product of") else np.ones(x.shape, dtype=bool)
    peak = density[linear].max()
    allowed = np.where(linear, 1e-12 * peak + _rounding(law, x, density), np.inf)
    for method, values, part in _each("pdf", name, way):
        error = np.abs(values - density[part])
        if method == "stieltjes":
            error = np.maximum(error - 1e-9 * peak, 0)  # an extrapolation from above the axis
        worst = np.argmax(error / allowed[part])
        assert error[worst] <= allowed[part][worst], (
            f"{method}: off by {error[worst] / peak:.1e} of the peak at {x[part][worst]!r}"
        )


@pytest.mark.parametrize(("name", "way"), CASES)
def test_distribution_function_on_a_thousand_points(name, way):
    x, _, _, cdf = _stored(name)
    for method, values, part in _each("cdf", name, way):
        error = np.abs(values - cdf[part])
        assert error.max() <= 1e-12, f"{method}: off by {error.max():.1e} at {x[part][np.argmax(error)]!r}"


@pytest.mark.parametrize("order", [2, 4, 10, 50])
@pytest.mark.parametrize("way", ["product", "closed form", "power"])
def test_hard_edge_on_a_log_grid(order, way):
    name = f"product of {order}"
    x, density, _, _ = _stored(name)
    law = _law(name, way)
    edge = (order + 1) ** (order + 1) / order**order
    log_grid = (x >= 0.999e-6 * edge) & (x <= (1 - 0.99e-6) * edge)
    assert np.sum(log_grid) >= 1000
    for method, values, part in _each("pdf", name, way):
        here = log_grid[part]
        error = np.abs(values / density[part] - 1)[here]
        assert error.max() <= 1e-9, f"{method}: relative error {error.max():.1e} at {x[part][here][np.argmax(error)]!r}"
    lower, upper = law.support().edges
    assert float(lower.position) == 0
    assert float(lower.exponent) == pytest.approx(-order / (order + 1), rel=1e-12)
    assert float(upper.position) == pytest.approx(edge, rel=1e-13)
    assert float(upper.exponent) == 0.5


@pytest.mark.parametrize(("name", "way"), CASES)
def test_density_and_distribution_function_right_beside_the_edges(name, way):
    x, density, _, cdf = _stored(name)
    law = _law(name, way)
    pdf, own_cdf = _answers(name, way)
    for low, high in law.support().intervals:
        if not np.isfinite(float(low)):
            continue
        width = float(high) - float(low)
        for edge in (float(low), float(high)):
            share = np.abs(x - edge) / width
            beside = (share < 1.01e-3) & (share > 0)
            if edge == 0 or "cusp" in name:
                continue  # the log grid above; at the cusp the distance is x itself
            assert share[beside].min() < 1.01e-12  # the data reach down to there
            error = np.abs(pdf - density)[beside]
            # the rounding of x, and the last digit of the edge itself
            allowed = 1e-11 * density[beside] + 2 * _rounding(law, x[beside], density[beside])
            assert np.all(error <= allowed), (edge, share[beside][np.argmax(error / allowed)], (error / allowed).max())
            assert np.all(np.abs(own_cdf - cdf)[beside] <= 1e-13)


# --- numbers that others have published ------------------------------------------------------------------------------


def test_semicircle_plus_gaussian_at_the_centre():
    assert (Semicircle() + rmt.Gaussian()).pdf(0) == pytest.approx(0.239302674659, abs=6e-13)


def test_edges_of_marchenko_pastur_times_uniform():
    ((low, high),) = (MarchenkoPastur(Fraction(1, 10)) @ rmt.Uniform(1, 2)).support().intervals
    assert low == pytest.approx(0.6193299929159, abs=6e-14)
    assert high == pytest.approx(2.8397762188129, abs=6e-14)


def test_edges_of_the_stored_cases():
    edges = {
        "marchenko-pastur x four atoms": [
            0.06667762123697641, 0.182649371729434, 0.2393175932568992, 12.24810219293724,
        ],
        "semicircle + two points, asymmetric": [
            -2.340659485384156, -0.122519788037969, 0.5207313593945906, 3.720225691805312,
        ],
        "power 1.1": [0.5026188377690081, 0.8975215237560088, 1.043278110523453, 1.755897991411584],
        "sum power 1.1": [-1.048530885708253, -0.1205476959193999, 0.9974166867197481, 2.002464364043707],
        "semicircle + uniform": [-2.554149121791579, 1.554149121791579],
    }
    for name, expected in edges.items():
        (way,) = LAWS[name]
        found = [float(x) for pair in _law(name, way).support().intervals for x in pair]
        np.testing.assert_allclose(found, expected, rtol=1e-13, err_msg=name)


def test_free_poisson_with_uniform_jumps():
    # m = rate m' at equal z, m' that of MarchenkoPastur(rate) @ jump
    x, density, _, cdf = _stored("marchenko-pastur x uniform")
    law = rmt.FreePoisson(Fraction(1, 10), jump=rmt.Uniform(1, 2))
    assert dict(law.support().atoms) == {0: Fraction(9, 10)}
    sample = slice(3, None, 7)
    error = np.abs(law.pdf(x[sample]) - density[sample] / 10)
    assert np.all(error <= 1e-13 * density.max() + _rounding(law, x, density)[sample])
    np.testing.assert_allclose(law.cdf(x[sample]), 0.9 + cdf[sample] / 10, atol=1e-13)


def test_free_jacobi_with_atoms_at_both_ends():
    x, density, _, cdf = _stored("two projections")
    law = rmt.FreeJacobi(0.8, 0.4)  # the product of the projections, cut down by the larger
    assert {float(a): float(p) for a, p in law.support().atoms.items()} == pytest.approx({0.0: 0.5, 1.0: 0.25})
    for method in law.methods("pdf"):
        error = np.abs(law.pdf(x, method=method) - density / 0.8)
        assert np.all(error <= 1e-12 * density.max() + _rounding(law, x, density)), method
    for method in law.methods("cdf"):
        if method != "quadrature":
            np.testing.assert_allclose(law.cdf(x, method=method), (cdf - 0.2) / 0.8, atol=1e-12, err_msg=method)
    assert law.cdf(-1e-9) == 0
    assert law.cdf(0) == pytest.approx(0.5, abs=1e-15)
    assert law.cdf(1 - 1e-9) == pytest.approx(0.75, abs=1e-13)
    assert law.cdf(1) == pytest.approx(1, abs=1e-15)


def test_the_same_law_by_other_routes():
    """Identities between laws of different trees, at points of no special kind."""
    pairs = [
        (MarchenkoPastur(0.4).compress(0.5), MarchenkoPastur(0.2)),
        (MarchenkoPastur(0.4).free_sum_power(2.5) / 2.5, MarchenkoPastur(0.16)),
        (Semicircle(0.7, 0.3).free_sum_power(3.5), Semicircle(2.45, 1.05)),
        (MarchenkoPastur(0.4).sqrt().symmetrized().square(), MarchenkoPastur(0.4)),
        (Semicircle(0.6).square(), 0.6 * MarchenkoPastur()),
        (FussCatalan(1.3) @ FussCatalan(2.2), FussCatalan(3.5)),
    ]
    for one, other in pairs:
        ((low, high),) = other.support().intervals
        x = float(low) + (float(high) - float(low)) * np.array([0.01, 0.23, 0.5, 0.81, 0.99])
        np.testing.assert_allclose(one.pdf(x), other.pdf(x), rtol=1e-11, err_msg=repr(one))
        np.testing.assert_allclose(one.cdf(x), other.cdf(x), atol=1e-12, err_msg=repr(one))


# --- the data themselves ---------------------------------------------------------------------------------------------


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_references", DATA / "make_references.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_references"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", list(LAWS))
def test_branch_of_the_references_is_the_one_from_infinity(name):
    module = _generator()
    case = module.cases()[name]
    if not hasattr(case, "from_above"):
        return  # in closed form
    x, density, _, _ = _stored(name)
    with mpmath.workdps(40):
        for k in (211, 640, 877):
            found = case.read(mpmath.mpf(float(x[k])), case.from_above(float(x[k])))[0]
            assert abs(found / float(density[k]) - 1) < 1e-14


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", list(LAWS))
def test_references_are_computed_again(name):
    module = _generator()
    x, density, low, cdf = _stored(name)
    for k in (7, 411, 903):
        fresh, fresh_cdf = module.reference(name, x[k], digits=50)
        with mpmath.workdps(40):
            stored = mpmath.mpf(float(density[k])) + mpmath.mpf(float(low[k]))
            assert abs(mpmath.mpf(fresh) / stored - 1) < 1e-24
            assert abs(mpmath.mpf(fresh_cdf) - cdf[k]) < 1e-15
