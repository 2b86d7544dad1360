"""The coordinate of the comparison, on a law with everything: atoms at zero, inside and above, a gap, two intervals."""

from types import SimpleNamespace

import numpy as np
import pytest

from validation.coordinate import BulkCoordinate, cosines


class PiecewiseUniform:
    """Uniform pieces (lo, hi, mass) and atoms, with its distribution function in closed form."""

    def __init__(self, pieces, atoms):
        self.pieces, self.atoms = pieces, atoms

    def cdf(self, x):
        x = np.asarray(x, dtype=float)
        parts = [mass * np.clip((x - lo) / (hi - lo), 0, 1) for lo, hi, mass in self.pieces]
        return sum(parts) + sum(mass * (x >= position) for position, mass in self.atoms.items())

    def support(self):
        return SimpleNamespace(intervals=[piece[:2] for piece in self.pieces], atoms=self.atoms, edges=())

    def draw(self, count, seed=0):
        rng = np.random.default_rng(seed)
        weights = [mass for *_, mass in self.pieces] + list(self.atoms.values())
        which = rng.choice(len(weights), size=count, p=weights)
        values = [rng.uniform(lo, hi, count) for lo, hi, _ in self.pieces]
        values += [np.full(count, position) for position in self.atoms]
        return np.choose(which, values)


LAWS = {
    "everything": PiecewiseUniform([(1, 2, 0.3), (3, 5, 0.2)], {0: 0.25, 1.5: 0.1, 2.5: 0.05, 7.0: 0.1}),
    "hard edge": PiecewiseUniform([(0, 2, 0.4)], {0: 0.6}),
    "one interval": PiecewiseUniform([(0.5, 0.75, 1.0)], {}),
    "atoms only": PiecewiseUniform([], {0: 0.5, 1.0: 0.25, 2.0: 0.25}),
}


@pytest.mark.parametrize("name", LAWS)
def test_coordinate_is_the_distribution_function_without_the_zero_atom(name):
    law = LAWS[name]
    coordinate = BulkCoordinate(law, smallest=1e-6)
    x = np.array([1e-5, 0.3, 0.55, 0.7, 0.9, 1.2, 1.7, 2.2, 2.7, 3.5, 4.9, 6.0, 8.0])
    zero = law.atoms.get(0, 0.0)
    np.testing.assert_allclose(coordinate(x), (law.cdf(x) - zero) / (1 - zero), atol=2e-6)
    assert coordinate(np.zeros(2)).tolist() == [0, 0]


def test_middle_of_the_step_at_atoms_whatever_the_rounding():
    law = LAWS["everything"]
    coordinate = BulkCoordinate(law, smallest=1.0)
    for position in (1.5, 2.5, 7.0):
        middle = (law.cdf(position) - law.atoms[position] / 2 - 0.25) / 0.75
        near = position * (1 + np.array([-3e-12, 0.0, 3e-12]))
        np.testing.assert_allclose(coordinate(near), middle, atol=2e-6)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("floor", [0.0, 0.6, 1.1])
def test_expected_cosines_by_quadrature(name, floor):
    law = LAWS[name]
    coordinate = BulkCoordinate(law, smallest=1e-6, floor=floor)
    expected = np.zeros(5)
    for position, mass in law.atoms.items():
        expected = expected + mass * cosines(coordinate(np.array(float(position))), 5)
    for lo, hi, mass in law.pieces:
        midpoints = lo + (hi - lo) * (np.arange(100_000) + 0.5) / 100_000
        expected = expected + mass * cosines(coordinate(midpoints), 5).mean(axis=1)
    np.testing.assert_allclose(coordinate.expected_cosines(5), expected, atol=3e-5)


@pytest.mark.parametrize("name", LAWS)
def test_sample_of_the_law_has_the_expected_cosines(name):
    law = LAWS[name]
    values = cosines(BulkCoordinate(law, smallest=1e-6)(law.draw(20000)), 6)
    deviation = values.mean(axis=1) - BulkCoordinate(law, smallest=1e-6).expected_cosines(6)
    assert np.all(np.abs(deviation) < 5 * values.std(axis=1) / np.sqrt(20000) + 1e-12)


def test_below_the_floor_nothing_is_distinguished():
    coordinate = BulkCoordinate(LAWS["hard edge"], smallest=1e-6, floor=0.1)
    assert np.ptp(coordinate(np.array([0.0, 1e-9, 0.05, 0.1]))) == 0.0
    assert coordinate(np.array(0.1)) == pytest.approx(0.05, abs=1e-7)


def test_quantile_inverts_the_coordinate():
    coordinate = BulkCoordinate(LAWS["everything"], smallest=1.0)
    levels = np.linspace(0.003, 0.997, 101)
    x = coordinate.quantile(levels)
    assert np.all(np.diff(x) >= 0)
    away = np.all(np.abs(x[:, None] - np.array([1.5, 2.5, 7.0])) > 1e-9, axis=1)
    assert 60 < away.sum() < 95
    np.testing.assert_allclose(coordinate(x[away]), levels[away], atol=1e-5)


def test_negative_support_is_refused():
    with pytest.raises(ValueError, match="mass on the negative axis; compare takes the law of J Jᵀ"):
        BulkCoordinate(PiecewiseUniform([(-1, 1, 1.0)], {}), smallest=1e-6)
