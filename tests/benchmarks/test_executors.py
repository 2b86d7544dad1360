"""What spreading an experiment costs: run with ``pytest tests/benchmarks/test_executors.py --benchmark-enable``.

Without that option each case runs once and small on threads, as a test that it runs. ``extra_info`` has what matters:
the time that a task costs beyond its own, and how much faster two workers are than one, which wants a quiet machine.
What the calling process does is measured on a busy one too with ``--benchmark-timer=time.process_time``.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

import theory
from validation import Experiment
from validation.runner import map_unordered, process_pool

WORKERS = 2


@contextmanager
def dask():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


EXECUTORS = {"processes": partial(process_pool, WORKERS), "dask": dask}


def warm_up(executor, enabled):
    """Wait until all workers have started: each gets a task while the others are busy."""
    seconds = 2.0 if enabled else 0.0
    list(map_unordered(time.sleep, [seconds + 1e-6 * i for i in range(WORKERS)], executor, WORKERS))


@pytest.mark.parametrize("kind", sorted(EXECUTORS))
def test_tasks_of_one_second(benchmark, kind):
    seconds, tasks = (1.0, 10) if benchmark.enabled else (0.01, 4)
    with EXECUTORS[kind]() if benchmark.enabled else ThreadPoolExecutor(WORKERS) as executor:
        warm_up(executor, benchmark.enabled)

        def run():
            # not twice the same: dask would give one result for both
            return list(map_unordered(time.sleep, [seconds + 1e-6 * i for i in range(tasks)], executor, WORKERS))

        results = benchmark.pedantic(run, rounds=1)
    assert len(results) == tasks
    if benchmark.enabled:
        ideal = seconds * tasks / WORKERS
        benchmark.extra_info["overhead in %"] = round(100 * (benchmark.stats["min"] / ideal - 1), 2)


def test_what_the_calling_process_does_for_a_chunk(benchmark, monkeypatch, tmp_path):
    # chunks of a second at width 400: 20 networks; what samples them is replaced by ready numbers
    replicas, chunk_size = (400, 20) if benchmark.enabled else (8, 4)
    logs = -np.sort(np.random.default_rng(0).exponential(size=(chunk_size, 400)), axis=1)
    ones = np.ones(chunk_size)
    columns = {"log_singular_values": logs, "rank": np.full(chunk_size, 400), "resolved": np.full(chunk_size, 400)}
    columns |= dict.fromkeys(("log_floor", "input_square", "output_square", "seconds"), ones)
    monkeypatch.setattr("validation.experiment.sample_chunk", lambda _chunk, **_keep: columns)
    experiment = Experiment(theory.ResNet(50, "relu"), width=400, replicas=replicas, companion=False)
    folders = iter(range(1000))

    def run():
        return experiment.run(
            workers=1, chunk_size=chunk_size, store=tmp_path / str(next(folders)), progress=lambda *_: None
        )

    assert benchmark(run).samples[0].replicas == replicas
    if benchmark.stats:
        benchmark.extra_info["ms a chunk"] = round(1e3 * benchmark.stats["min"] * chunk_size / replicas, 3)


@pytest.mark.skipif((os.cpu_count() or 1) < WORKERS, reason="needs two processors")
def test_two_workers_against_one(benchmark):
    # ten seconds of work: at the end one worker waits for the other, up to a fifth of a second
    width, replicas = (200, 400) if benchmark.enabled else (16, 4)
    experiment = Experiment(theory.ResNet(20, "tanh"), width=width, replicas=replicas)

    def run(workers, executor):
        began = time.perf_counter()
        result = experiment.run(executor=executor, workers=workers)
        return time.perf_counter() - began, result

    with process_pool(WORKERS) if benchmark.enabled else ThreadPoolExecutor(WORKERS) as pool:
        warm_up(pool, benchmark.enabled)
        run(WORKERS, pool)  # kernels are loaded
        alone, expected = run(1, None)
        (together, found), *_ = [benchmark.pedantic(run, args=(WORKERS, pool), rounds=1)]
    np.testing.assert_array_equal(found.log_singular_values, expected.log_singular_values)
    benchmark.extra_info["times as fast"] = round(alone / together, 2)
