"""The same numbers on every executor, and what a killed worker costs on a cluster: nothing."""

import importlib.util
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from theory.network import ResNet
from validation.experiment import Experiment
from validation.run import Run
from validation.runner import available_processors, expected_workers, map_unordered, one_blas_thread

EXPERIMENT = Experiment(ResNet(3, "tanh", sigma_w=1.1, sigma_b=0.2), width=40, replicas=24, seed=3)


@pytest.fixture(scope="module")
def reference() -> Run:
    return EXPERIMENT.run(workers=1)


def assert_same(run: Run, reference: Run) -> None:
    for a, b in zip(run.samples, reference.samples, strict=True):
        np.testing.assert_array_equal(a.log_singular_values, b.log_singular_values)
        np.testing.assert_array_equal(a.output_square, b.output_square)


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="dask.distributed is not installed")
def test_dask_survives_a_killed_worker_with_the_same_bits(reference, tmp_path):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        calls = []

        def kill_one(done, _total):
            if not calls:
                os.kill(pids[0], signal.SIGKILL)
            calls.append(done)

        executor = client.get_executor()
        assert expected_workers(executor) == 2
        run = EXPERIMENT.run(executor=executor, chunk_size=2, progress=kill_one, store=tmp_path)
        assert executor.submit(int).result() == 0  # it stays open
    assert pids[0] != pids[1]
    # every replica once: at two widths, two by two
    assert calls == list(range(2, 49, 2))
    assert len(list(tmp_path.glob("width-*.npz"))) == 24
    assert run.metadata["executor"] == "ClientExecutor"
    assert_same(run, reference)


MPI_SCRIPT = """
    import sys
    from mpi4py.futures import MPIPoolExecutor
    from theory.network import ResNet
    from validation.experiment import Experiment

    if __name__ == "__main__":
        experiment = Experiment(ResNet(3, "tanh", sigma_w=1.1, sigma_b=0.2), width=40, replicas=24, seed=3)
        with MPIPoolExecutor() as executor:
            run = experiment.run(executor=executor, chunk_size=5)
            print("workers", executor.num_workers)
        run.save(sys.argv[1])
    """


def mpiexec() -> str | None:
    """The launcher beside this interpreter, or in the path."""
    return shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or mpiexec() is None, reason="mpi4py and mpiexec are not installed"
)
def test_mpi_gives_the_same_bits(reference, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(MPI_SCRIPT))
    saved = tmp_path / "run.npz"
    command = [mpiexec(), "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script), str(saved)]
    # the three packages come from where this test has them, installed or not
    path = os.pathsep.join(entry for entry in (str(Path.cwd()), os.environ.get("PYTHONPATH")) if entry)
    outcome = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "workers 2" in outcome.stdout
    assert_same(Run.load(saved), reference)


class Backwards(Executor):
    """Runs what it is given when asked for a result, the last first."""

    def __init__(self) -> None:
        self.given: list[tuple[Future, object, tuple]] = []
        self.most = 0

    def submit(self, function, /, *arguments):
        future: Future = Future()
        self.given.append((future, function, arguments))
        self.most = max(self.most, len(self.given))
        threading.Timer(0.001, self.run_last).start()
        return future

    def run_last(self) -> None:
        future, function, arguments = self.given.pop()
        future.set_result(function(*arguments))


def test_any_order_gives_the_same_bits(reference):
    executor = Backwards()
    run = EXPERIMENT.run(executor=executor, chunk_size=1, workers=4)
    assert executor.most > 2
    assert_same(run, reference)


def test_how_many_workers_an_executor_has():
    with ThreadPoolExecutor(3) as threads:
        assert expected_workers(threads) == 3
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert expected_workers(processes) == 2
    assert expected_workers(Backwards()) == available_processors()


def test_a_failing_task_ends_the_run_with_its_error():
    with ThreadPoolExecutor(2) as threads, pytest.raises(ValueError, match="math domain error"):
        list(map_unordered(math.sqrt, [1.0, -1.0, 4.0], threads, 2))


def test_tasks_are_taken_as_workers_come_free():
    taken = []

    def tasks():
        for number in range(40):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as threads:
        results = map_unordered(abs, tasks(), threads, 2)
        next(results)
        assert len(taken) < 20
        assert len(list(results)) == 39


def test_one_blas_thread_holds_until_the_last_user_leaves():
    def threads():
        return {library["num_threads"] for library in threadpool_info()}

    with threadpool_limits(2):
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == {2}
