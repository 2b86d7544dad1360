"""Kernels against twins in plain Python and numpy, and the laws of their random numbers."""

import math

import mpmath
import numpy as np
import pytest
from scipy import stats

from validation.kernels.factors import draw_orthogonal
from validation.kernels.graded import graded_singular_values
from validation.kernels.lapack import multiply_triangular, singular_values
from validation.kernels.lockstep import LANES, bidiagonal_values, multiply_lanes, triangular_values
from validation.kernels.random import (
    active_units,
    fill_above_diagonal,
    fill_chis,
    fill_factors,
    fill_normals,
    seed_replica,
)

FALSE_ALARM = 1e-6
WORD = 2**64 - 1


def seeded(replica=0, seed=11):
    state = np.empty(4, np.uint64)
    seed_replica(np.random.SeedSequence(seed).generate_state(8, np.uint64), replica, state)
    return state


def normals(count, replica=0):
    out = np.empty(count)
    fill_normals(seeded(replica), out, count)
    return out


class Twin:
    """xoshiro256++ and the ziggurat on whole numbers, from their published descriptions."""

    EDGE = 3.6541528853610088

    def __init__(self, state):
        self.s = [int(word) for word in state]
        height = lambda x: math.exp(-0.5 * x * x)  # noqa: E731
        area = self.EDGE * height(self.EDGE) + math.sqrt(math.pi / 2) * math.erfc(self.EDGE / math.sqrt(2))
        self.x = [area / height(self.EDGE), self.EDGE]
        for _ in range(254):
            self.x.append(math.sqrt(-2 * math.log(height(self.x[-1]) + area / self.x[-1])))
        self.x.append(0.0)
        # the layers close: the last one reaches the top
        assert height(self.x[255]) + area / self.x[255] == pytest.approx(1.0, abs=1e-10)
        self.height = height
        self.tails = 0

    def word(self):
        rotated = lambda x, k: (x << k | x >> (64 - k)) & WORD  # noqa: E731
        s = self.s
        result = (rotated((s[0] + s[3]) & WORD, 23) + s[0]) & WORD
        shifted = s[1] << 17 & WORD
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= shifted
        s[3] = rotated(s[3], 45)
        return result

    def uniform(self):
        return ((self.word() >> 11) + 1) * 2.0**-53

    def normal(self):
        while True:
            word = self.word()
            layer = word & 255
            signed = word - 2**64 if word >> 63 else word
            z = (signed >> 11) * 2.0**-52 * self.x[layer]
            if abs(z) < self.x[layer + 1]:
                return z
            if layer == 0:
                self.tails += 1
                while True:
                    excess = -math.log(self.uniform()) / self.EDGE
                    if -2 * math.log(self.uniform()) > excess**2:
                        return math.copysign(self.EDGE + excess, z)
            low, high = self.height(self.x[layer]), self.height(self.x[layer + 1])
            if low + (high - low) * self.uniform() < self.height(z):
                return z

    def chi(self, freedom):
        """Few squares of normals; or Marsaglia and Tsang, by logarithms alone."""
        if freedom < 4:
            return math.sqrt(sum(self.normal() ** 2 for _ in range(freedom)))
        d = freedom / 2 - 1 / 3
        while True:
            x, u = self.normal(), self.uniform()
            v = (1 + x / math.sqrt(9 * d)) ** 3
            if v > 0 and math.log(u) < x * x / 2 + d * (1 - v + math.log(v)):
                return math.sqrt(2 * d * v)


def test_normals_are_those_of_the_published_generator():
    twin = Twin(seeded())
    np.testing.assert_allclose(normals(20_000), [twin.normal() for _ in range(20_000)], rtol=1e-14)
    assert twin.tails > 0


def test_normals_have_their_law_tails_included():
    z = normals(1_000_000)
    assert stats.kstest(z, "norm").pvalue > FALSE_ALARM
    moment = np.ones_like(z)
    for power in range(1, 9):
        moment *= z
        exact = 0.0 if power % 2 else float(np.prod(np.arange(power - 1, 0, -2)))
        error = math.sqrt((np.prod(np.arange(2.0 * power - 1, 0, -2)) - exact**2) / z.size)
        assert abs(moment.mean() - exact) < 5 * error
    for edge in (2.0, 3.654, 4.3):
        assert stats.binomtest(int((z > edge).sum()), z.size, stats.norm.sf(edge)).pvalue > FALSE_ALARM
        assert stats.binomtest(int((z < -edge).sum()), z.size, stats.norm.sf(edge)).pvalue > FALSE_ALARM
    # power: a scale wrong by 2 % is seen
    assert stats.kstest(1.02 * z[:500_000], "norm").pvalue < FALSE_ALARM
    pairs = z.reshape(-1, 2)
    for f in (np.sign, np.abs, np.square):
        assert abs(np.corrcoef(f(pairs).T)[0, 1]) < 5 / math.sqrt(len(pairs))


def test_replicas_have_streams_of_their_own():
    heads = np.array([normals(4, replica) for replica in range(20_000)])
    assert len(np.unique(heads)) == heads.size
    for column in heads.T:
        assert stats.kstest(column, "norm").pvalue > FALSE_ALARM
    correlations = np.corrcoef(np.hstack((heads[:-1], heads[1:])).T)
    assert np.abs(correlations - np.eye(8)).max() < 6 / math.sqrt(len(heads))
    # far apart in number, or of another seed, is another stream as well
    assert not np.array_equal(seeded(0), seeded(2**40))
    assert not np.array_equal(seeded(0, seed=11), seeded(0, seed=12))


@pytest.mark.parametrize("freedom", [1, 3, 4, 5, 9, 300])
def test_chi_variates_are_accepted_by_the_exact_condition(freedom):
    state, twin, draw = seeded(freedom), Twin(seeded(freedom)), np.empty(1)
    for _ in range(3000):
        fill_chis(state, freedom, draw, 1)
        assert draw[0] == pytest.approx(twin.chi(freedom), rel=1e-13)


@pytest.mark.parametrize("freedom", [7, 40])
def test_chi_variates_have_their_law(freedom):
    state, draws = seeded(3), 20_000
    count = freedom if freedom < 10 else 3
    table = np.empty((draws, count))
    for row in table:
        fill_chis(state, freedom, row, count)
    for i, column in enumerate(table.T):
        assert stats.kstest(column, stats.chi(freedom - i).cdf).pvalue > FALSE_ALARM
        # power: one degree of freedom more is seen
        assert stats.kstest(column, stats.chi(freedom - i + 1).cdf).pvalue < FALSE_ALARM


@pytest.mark.parametrize("units", [1, 63, 64, 65, 200])
def test_active_units_of_fair_masks_are_counted_bits(units):
    state, twin = seeded(units), Twin(seeded(units))
    for _ in range(50):
        words = [twin.word() for _ in range(0, units, 64)]
        words[-1] >>= -units % 64
        assert active_units(state, units, 0.5) == sum(word.bit_count() for word in words)


def test_active_units_of_other_masks():
    state = seeded(1)
    assert [active_units(state, 9, probability) for probability in (0.0, 1.0)] == [0, 9]
    counts = np.bincount([active_units(state, 12, 0.3) for _ in range(20_000)], minlength=13)
    expected = stats.binom(12, 0.3).pmf(np.arange(13)) * counts.sum()
    merged = np.append(counts[:8], counts[8:].sum()), np.append(expected[:8], expected[8:].sum())
    assert stats.chisquare(*merged).pvalue > FALSE_ALARM


def test_normals_above_the_diagonal():
    matrix = np.full((5, 8), np.nan)
    fill_above_diagonal(seeded(), matrix, 4, 6)
    places = np.zeros((5, 8), bool)
    places[:4, :6] = np.triu(np.ones((4, 6), bool), 1)
    np.testing.assert_array_equal(matrix[places], normals(places.sum()))
    assert np.isnan(matrix[~places]).all()


def test_factors_in_lanes_are_those_drawn_one_by_one():
    size, count = 5, 3
    states = np.array([seeded(replica) for replica in range(count)])
    freedoms, out = np.array([5, 9, 40]), np.full((6, 6, LANES), np.nan)
    fill_factors(states, freedoms, out, size, count)
    for lane, freedom in enumerate(freedoms):
        state, expected, chis = seeded(lane), np.full((6, 6), np.nan), np.empty(size)
        fill_chis(state, freedom, chis, size)
        fill_above_diagonal(state, expected, size, size)
        expected[range(size), range(size)] = chis
        np.testing.assert_array_equal(out[:, :, lane], expected)
        np.testing.assert_array_equal(states[lane], state)
    assert np.isnan(out[:, :, count:]).all()


@pytest.mark.parametrize("size", [1, 2, 7, 90])
def test_singular_values(size):
    matrix = np.zeros((size + 1, size + 3))
    matrix[:size, :size] = normals(size**2).reshape(size, size)
    expected = np.linalg.svd(matrix[:size, :size], compute_uv=False)
    values = np.empty(size)
    assert singular_values(matrix, size, values, np.empty(72 * size + 200))
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-14)


def test_singular_values_of_what_is_not_finite_are_refused():
    assert not singular_values(np.full((4, 4), np.nan), 4, np.empty(4), np.empty(500))


@pytest.mark.parametrize("size", [1, 41, 64, 130])
def test_triangular_products(size):
    factor, product = np.triu(normals(size * (size + 4)).reshape(size, -1)), np.triu(np.ones((size, size + 4)))
    expected = factor[:, :size] @ product[:, :size]
    multiply_triangular(factor, product, size)
    np.testing.assert_allclose(product[:, :size], expected, rtol=1e-11, atol=1e-12)


def triangles(size, gap):
    """Upper triangular matrices whose rows shrink by e^-gap each, in lanes of a larger array."""
    matrices = np.full((size + 1, size + 1, LANES), np.nan)
    scales = np.exp(-gap * np.arange(size))[:, None, None]
    matrices[:size, :size] = np.where(
        np.triu(np.ones((size, size), bool))[:, :, None], normals(size**2 * LANES).reshape(size, size, -1) * scales, 0.0
    )
    return matrices


@pytest.mark.parametrize("size", [1, 2, 5, 13])
def test_triangular_products_in_lanes(size):
    factor, product = triangles(size, 0.0), triangles(size, 0.5)[:, :, ::-1].copy()
    expected = np.einsum("ijl,jkl->ikl", factor[:size, :size], product[:size, :size])
    multiply_lanes(factor, product, size)
    np.testing.assert_allclose(product[:size, :size], expected, rtol=1e-11, atol=1e-12)


def exact_values(matrix, digits):
    with mpmath.workdps(digits):
        squares = mpmath.eigsy(mpmath.matrix(matrix) * mpmath.matrix(matrix).T, eigvals_only=True)
        return np.array(sorted((mpmath.sqrt(abs(x)) for x in squares), reverse=True))


def assert_every_digit(values, matrix, digits):
    expected = exact_values(matrix, digits)
    with mpmath.workdps(digits):
        errors = [float(abs(mpmath.mpf(x) / y - 1)) for x, y in zip(values.tolist(), expected, strict=True)]
    assert max(errors) < 1e-13


def bidiagonals(kind, size):
    """Diagonals and what is above them, hard in one way or another; lanes differ."""
    rng = np.random.default_rng(size)
    signs, free = rng.choice([-1.0, 1.0], (size, LANES)), rng.uniform(-2, 2, (size, LANES))
    if kind in ("falling", "rising", "shuffled"):
        span = 580.0 if kind == "falling" else 330.0
        logs = -np.sort(rng.uniform(0, span, (size, LANES)), axis=0)
        logs[0], logs[-1] = 0.0, -span
        logs = {"falling": logs, "rising": logs[::-1], "shuffled": rng.permuted(logs, axis=0)}[kind]
        if kind == "falling":
            return signs * np.exp(logs), free * np.exp(logs)
        return signs * np.exp(logs), free * np.exp(0.5 * (logs + np.roll(logs, -1, axis=0)))
    ones = np.ones((size, LANES))
    return {
        "random": (signs * rng.exponential(size=(size, LANES)), free),
        "diagonal": (free, 0.0 * ones),
        "equal": (ones, 10.0 ** rng.uniform(-12, 0, (1, LANES)) * ones),
        "clusters": (np.exp(-75.0 * (np.arange(size) % 2))[:, None] * (1 + 1e-9 * free), 1e-3 * free),
        "nearly singular": (ones, 50.0 * ones + free),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "digits"),
    [
        ("falling", 560), ("rising", 340), ("shuffled", 340), ("random", 60), ("diagonal", 40), ("equal", 60),
        ("clusters", 340), ("nearly singular", 80),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_values_of_bidiagonal_matrices_have_every_digit(kind, digits, size):
    diagonal, above = bidiagonals(kind, size)
    values = np.empty((size, LANES))
    bidiagonal_values(diagonal, above, size, values)
    for lane in (0, LANES - 1):
        assert_every_digit(values[:, lane], np.diag(diagonal[:, lane]) + np.diag(above[: size - 1, lane], 1), digits)


@pytest.mark.parametrize(("size", "gap"), [(1, 0.0), (2, 1.0), (6, 0.0), (6, 1.0), (8, 75.0), (14, 3.0)])
def test_values_of_triangular_matrices_with_falling_rows_have_every_digit(size, gap):
    matrices = triangles(size, gap)
    matrices[range(size), range(size)] = np.exp(-gap * np.arange(size))[:, None]  # rows well conditioned
    values = np.empty((size, LANES))
    triangular_values(matrices.copy(), size, values)
    for lane in (0, LANES - 1):
        assert_every_digit(values[:, lane], matrices[:size, :size, lane], 60 + int(2 * gap * size / math.log(10)))


def test_lanes_do_not_know_of_each_other():
    size = 7
    matrices, others = triangles(size, 0.7), triangles(size, 0.1)[:, :, ::-1].copy()
    others[:, :, 3:9], others[:, :, 20], others[0, 0, 25] = 0.0, np.nan, np.inf
    others[:size, :size, 12] = np.eye(size) + 1e-9 * others[:size, :size, 12]
    mixed = np.where(np.arange(LANES) % 2 == 0, matrices, others)
    alone, together = np.empty((size, LANES)), np.empty((size, LANES))
    triangular_values(matrices, size, alone)
    triangular_values(mixed, size, together)
    np.testing.assert_array_equal(together[:, ::2], alone[:, ::2])
    refused = [lane for lane in range(1, LANES, 2) if 3 <= lane < 9 or lane == 25]
    assert np.isnan(together[:, refused]).all()
    assert np.isfinite(np.delete(together, refused, axis=1)).all()


def exact_logs(matrix):
    """Log singular values of an mpmath matrix by its Gram matrix, decreasing."""
    squares = mpmath.eigsy(matrix.T * matrix, eigvals_only=True)
    return np.array(sorted((float(mpmath.log(x) / 2) for x in squares), reverse=True))


@pytest.mark.parametrize("gap", [0.0, 0.3, 5.0, 150.0])
def test_graded_singular_values_of_any_range(gap):
    size = 9
    x = np.eye(size) + np.triu(normals(size**2).reshape(size, size), 1)
    # not quite in order
    levels = -gap * np.arange(size) + normals(size, 1)
    with mpmath.workdps(60 + int(2 * gap * size / math.log(10))):
        expected = exact_logs(mpmath.diag([mpmath.exp(level) for level in levels]) * mpmath.matrix(x))
    logs = np.empty(size)
    graded_singular_values(x.copy(), levels.copy(), logs, np.empty(size))
    np.testing.assert_allclose(logs, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("freedom", "others", "size"), [(9, 7, 6), (9, 2, 6), (6, 9, 6), (4, 1, 4), (3, 5, 1), (90, 80, 75), (200, 40, 130)]
)
def test_factor_of_a_truncated_rotation(freedom, others, size):
    rows = min(others, size)
    state, upper, lower = seeded(), np.zeros((size, size)), np.zeros((rows, size))
    work = np.empty(size)
    for matrix, count, degrees in ((upper, size, freedom), (lower, rows, others)):
        fill_chis(state, degrees, work, count)
        fill_above_diagonal(state, matrix, count, size)
        matrix[range(count), range(count)] = work[:count]
    expected = upper @ np.linalg.inv(np.linalg.cholesky(upper.T @ upper + lower.T @ lower).T)
    factor = np.zeros((size, size))
    draw_orthogonal(seeded(), freedom, others, size, factor, np.zeros((size, size)), work)
    np.testing.assert_allclose(factor, expected, rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(factor, 2) < 1 + 1e-12
