"""Summaries: what they keep is exact or binned without bias, in a memory that does not grow, counted once."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rmt
from theory.network import Chain, Dense
from validation import Experiment, compare
from validation.coordinate import BulkCoordinate, binned_cosines
from validation.run import Run
from validation.sampling import Collector, common_end
from validation.summary import BIN, GROUPS, LogHistogram, WidthSummary, bin_of, summarize, upper_edge

CHAIN = Experiment(Chain(3, "linear"), width=24, replicas=150, seed=2)


@pytest.fixture(scope="module")
def both() -> tuple[Run, Run]:
    return CHAIN.run(workers=1), CHAIN.run(workers=1, keep="summary", chunk_size=37)


def test_numbers_of_a_replica_are_exact(both):
    for full, summary in zip(both[0].samples, both[1].samples, strict=True):
        assert isinstance(summary, WidthSummary)
        assert (summary.width, summary.replicas, summary.n_out) == (full.width, full.replicas, full.n_out)
        np.testing.assert_array_equal(summary.largest(3), full.largest(3))
        np.testing.assert_array_equal(summary.smallest_positive(), full.smallest_positive())
        np.testing.assert_array_equal(summary.rank, full.rank)
        np.testing.assert_allclose(summary.log_determinants(), full.log_determinants(), rtol=1e-12)
        for without in (True, False):
            expected = full.moments(4, without_largest=without)
            np.testing.assert_allclose(summary.moments(4, without_largest=without), expected, rtol=1e-12)


def test_histogram_counts_what_the_spectra_hold(both):
    for full, summary in zip(both[0].samples, both[1].samples, strict=True):
        edges = summary.histogram.log_edges
        assert summary.histogram.counts.sum() == full.replicas * full.n_out
        assert summary.group_sizes.tolist() == [3] * (150 - 2 * GROUPS) + [2] * (3 * GROUPS - 150)
        for group in (0, 40):
            expected, _ = np.histogram(full.log_singular_values[group::GROUPS], bins=edges)
            np.testing.assert_array_equal(summary.histogram.counts[group], expected)
        x = summary.grid(np.array([0.01, 0.5, 2.0, 7.0]))
        np.testing.assert_allclose(x, [0.01, 0.5, 2.0, 7.0], rtol=1.1 * BIN)
        by_group = np.stack([full.distribution_functions(x)[group::GROUPS].mean(axis=0) for group in range(GROUPS)])
        np.testing.assert_allclose(summary.distribution_functions(x), by_group, atol=1e-12)


def test_chunks_workers_and_order_leave_no_trace(both):
    for run in (CHAIN.run(workers=1, keep="summary", chunk_size=1), CHAIN.run(workers=1, keep="summary")):
        for a, b in zip(run.samples, both[1].samples, strict=True):
            assert a.histogram.first == b.histogram.first
            np.testing.assert_array_equal(a.histogram.counts, b.histogram.counts)
            np.testing.assert_array_equal(a.power_sums, b.power_sums)


@pytest.mark.parametrize(
    ("net", "law"),
    [
        (Chain(3, "linear"), lambda: rmt.FussCatalan(order=3)),
        # an atom at zero by a fluctuating rank; one away from zero; eigenvalues below the floor; an exact rank
        (
            Chain(2, "relu", sigma_w=math.sqrt(2), weights="orthogonal"),
            lambda: rmt.Discrete({0: 0.5, 2: 0.5}) @ rmt.Discrete({0: 0.5, 2: 0.5}),
        ),
        (Chain(2, "linear", sigma_w=1.5, weights="orthogonal"), lambda: rmt.Discrete({1.5**4: 1})),
        (Chain(25, "linear"), lambda: rmt.FussCatalan(order=25)),
        (Dense(width_ratio=2), lambda: rmt.MarchenkoPastur(ratio=2)),
    ],
)
def test_verdict_agrees_with_that_of_the_spectra(net, law):
    experiment = Experiment(net, width=60, replicas=48, seed=5, method="forward")
    right = law()
    full = compare(experiment.run(workers=1), right)
    summary = compare(experiment.run(workers=1, keep="summary"), right)
    assert full.passed
    assert summary.passed
    # 48 replicas are 48 groups: the same test of nearly the same numbers
    assert summary.bulk.statistic == pytest.approx(full.bulk.statistic, rel=0.1, abs=0.3)
    assert [row.quantity for row in summary.table()] == [row.quantity for row in full.table()]
    for binned, row in zip(summary.table(), full.table(), strict=True):
        exact = not row.quantity.startswith(("KS", "W1"))
        assert binned.sample == pytest.approx(row.sample, rel=1e-9 if exact else 0.1, abs=1e-9 if exact else 0.02)


def test_wrong_law_fails_by_summary(both):
    comparisons = [compare(run, rmt.FussCatalan(order=4)) for run in both]
    assert not any(comparison.passed for comparison in comparisons)


def test_binning_makes_no_bias():
    # the expectation of the binned cosines under the law, by quadrature over the bins, whatever the grid
    law = rmt.MarchenkoPastur(ratio=2)  # half of the mass at zero
    coordinate = BulkCoordinate(law, smallest=0.1)
    for edges in (np.array([0.05, 1.0, 1.1, 9.0]), np.geomspace(0.1, 6.0, 500)):
        binned, at_zero, expected = binned_cosines(coordinate, edges, 4)
        mass = np.diff(law.cdf(edges))
        np.testing.assert_allclose(binned @ mass + 0.5 * at_zero, expected, atol=1e-5)
        np.testing.assert_allclose(expected, coordinate.expected_cosines(4), atol=1e-12)


@given(st.floats(-1e5, 1e5))
def test_grid_covers_everything(log_s):
    number = bin_of(np.array([log_s]))
    lower, upper = upper_edge(number - 1)[0], upper_edge(number)[0]
    slack = 1e-9 * max(1.0, abs(log_s))
    assert lower - slack <= log_s <= upper + slack
    assert abs(int(number[0])) < 50_000


def test_grid_is_fine_where_spectra_are():
    edges = upper_edge(bin_of(np.linspace(-8, 8, 9999)))
    assert np.diff(np.unique(edges)).max() < 1.2 * BIN


@given(st.permutations(range(6)), st.lists(st.integers(1, 30), min_size=6, max_size=6), st.data())
@settings(deadline=None, max_examples=40)
def test_pieces_are_counted_once_in_any_order(order, lengths, data):
    ends = np.cumsum(lengths)
    replicas = int(ends[-1])
    logs = -np.sort(np.random.default_rng(replicas).standard_normal((replicas, 3)), axis=1)

    def columns(start, stop):
        rows = np.arange(start, stop)
        return {
            "log_singular_values": logs[start:stop],
            **dict.fromkeys(("rank", "resolved"), np.full(len(rows), 3)),
            **dict.fromkeys(("log_floor", "input_square", "output_square", "seconds"), rows * 1.0),
        }

    collector = Collector(3, replicas, summaries=True)
    for index in order:
        start, stop = int(ends[index]) - lengths[index], int(ends[index])
        collector.fill(start, stop, columns(start, stop))
        # written twice, or again by another chunk that overlaps
        other = data.draw(st.integers(start, stop - 1))
        collector.fill(other, stop, columns(other, stop))
        complete = common_end([collector])
        assert complete <= collector.done.sum()
        sample = collector.sample()
        assert sample.replicas == complete
        assert sample.histogram.counts.sum() == 3 * complete
    np.testing.assert_array_equal(collector.sample().seconds, np.arange(replicas))
    whole = LogHistogram.empty().plus(*(summarize(columns(0, replicas), 0)[f"histogram_{name}"] for name in HISTOGRAM))
    np.testing.assert_array_equal(collector.sample().histogram.counts, whole.counts)


HISTOGRAM = ("group", "bin", "count")


class Stop(Exception):
    pass


def test_store_of_a_killed_run_counts_nothing_twice(both, tmp_path):
    calls = []

    def stop(done, _total):
        calls.append(done)
        if done > 120:
            raise Stop

    with pytest.raises(Stop):
        CHAIN.run(workers=1, keep="summary", chunk_size=20, store=tmp_path, progress=stop)
    run = CHAIN.run(workers=1, keep="summary", chunk_size=7, store=tmp_path)
    assert run.metadata["resumed_replicas"] == calls[-1]
    for a, b in zip(run.samples, both[1].samples, strict=True):
        np.testing.assert_array_equal(a.histogram.counts, b.histogram.counts)
        np.testing.assert_array_equal(a.power_sums, b.power_sums)
    with pytest.raises(ValueError, match="holds summaries, not spectra; run with keep='summary'"):
        CHAIN.run(workers=1, store=tmp_path)


@pytest.mark.parametrize("keep", ["spectra", "summary"])
def test_overlapping_chunks_of_two_runs_are_counted_once(both, tmp_path, keep):
    # two runs with tasks of different lengths that wrote into one folder, as far as they got
    for size in (40, 50):
        CHAIN.run(workers=1, keep=keep, chunk_size=size, store=tmp_path / str(size))
    for span in ("000000-000040", "000080-000120"):
        name = f"width-00024_triangular_replicas-{span}.npz"
        (tmp_path / "40" / name).rename(tmp_path / "50" / name)
    for first in ("000000", "000100"):
        next((tmp_path / "50").glob(f"width-00024_*_replicas-{first}-*50.npz")).unlink()
    run = CHAIN.run(workers=1, keep=keep, store=tmp_path / "50")
    assert 150 < run.metadata["resumed_replicas"] < 300
    for a, b in zip(run.samples, both[keep == "summary"].samples, strict=True):
        assert a.replicas == 150
        np.testing.assert_array_equal(a.largest(3), b.largest(3))
        if keep == "summary":
            np.testing.assert_array_equal(a.histogram.counts, b.histogram.counts)


def test_spectra_in_the_store_and_summaries_in_memory(both, tmp_path):
    run = CHAIN.run(workers=1, keep="stored", store=tmp_path)
    for a, b in zip(run.samples, both[1].samples, strict=True):
        np.testing.assert_array_equal(a.histogram.counts, b.histogram.counts)
    full = CHAIN.run(workers=1, store=tmp_path)
    assert full.metadata["resumed_replicas"] == 300
    np.testing.assert_array_equal(full.log_singular_values, both[0].log_singular_values)
    with pytest.raises(ValueError, match="keep='stored' puts the spectra into store="):
        CHAIN.run(keep="stored")
    with pytest.raises(ValueError, match="keep='all' is unknown; choose 'spectra', 'summary' or 'stored'"):
        CHAIN.run(keep="all")


def test_a_store_of_spectra_gives_summaries(both, tmp_path):
    CHAIN.run(workers=1, store=tmp_path, chunk_size=40)
    run = CHAIN.run(workers=1, store=tmp_path, keep="summary")
    assert run.metadata["resumed_replicas"] == 300
    for a, b in zip(run.samples, both[1].samples, strict=True):
        np.testing.assert_array_equal(a.histogram.counts, b.histogram.counts)


def test_save_load_and_picture(both, tmp_path):
    law = rmt.FussCatalan(order=3)
    loaded = Run.load(both[1].save(tmp_path / "run.npz"))
    comparison = compare(loaded, law)
    assert comparison.to_json() == compare(both[1], law).to_json()
    with pytest.raises(ValueError, match=r"this run kept summaries, not spectra; run\(keep='spectra'\)"):
        _ = loaded.eigenvalues
    values, total = comparison.continuous_part()
    exact, count = compare(both[0], law).continuous_part()
    assert len(values) / total == pytest.approx(len(exact) / count)
    levels = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(np.quantile(values, levels), np.quantile(exact, levels), rtol=2.5 * BIN)
    assert comparison.plot().patches


def test_memory_does_not_grow_with_the_width(monkeypatch):
    # spectra of a width that are not sampled but invented: 40 MB in all, 1 MB a chunk
    width, replicas = 2500, 2000

    def invent(chunk, keep):
        rows = chunk.stop - chunk.start
        generator = np.random.default_rng(chunk.start)
        logs = -np.sort(-generator.normal(size=(rows, chunk.width)), axis=1)
        full = np.full(rows, chunk.width)
        columns = {"log_singular_values": logs, "rank": full, "resolved": full}
        columns |= dict.fromkeys(("log_floor", "input_square", "output_square", "seconds"), np.ones(rows))
        return columns if keep == "spectra" else summarize(columns, chunk.start)

    monkeypatch.setattr("validation.experiment.sample_chunk", invent)
    experiment = Experiment(Chain(1, "tanh"), width=width, replicas=replicas, companion=False)
    tracemalloc.start()
    try:
        run = experiment.run(workers=1, keep="summary", chunk_size=50)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.samples[0].histogram.counts.sum() == width * replicas
    spectra = 8 * width * replicas
    assert kept < 0.1 * spectra
    assert peak < 0.5 * spectra


def test_powers_beyond_the_range_of_doubles_are_no_accident():
    columns = {"log_singular_values": np.array([[400.0, 350.0]]), "rank": np.array([2])}
    summary = summarize(columns, 0)
    assert np.isinf(summary["power_sums"][0, 1])
    assert np.isfinite(summary["log_sum"])
