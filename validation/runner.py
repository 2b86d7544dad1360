"""Independent tasks on an executor: bounded submission, a broken pool rebuilt, results as they come.

Any `concurrent.futures.Executor` will do (processes, threads, ``dask.distributed.Client().get_executor()``,
``mpi4py.futures.MPIPoolExecutor``): the tasks carry all they need and their results do not depend on where they run.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

__all__ = ["available_processors", "expected_workers", "map_unordered", "one_blas_thread", "process_pool"]

Task = TypeVar("Task")
Result = TypeVar("Result")

# Tasks handed out ahead of the workers: enough that none waits for the parent, few enough that an interrupt is quick
# and that the sizes of tasks follow the times observed.
AHEAD = 3
POOL_REBUILDS = 1


def available_processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def expected_workers(executor: Executor) -> int:
    """How many tasks an executor runs at once, as far as it tells; else the processors of this machine."""
    # mpi4py says it publicly; the pools of the standard library and of loky, and dask's client, where one must look
    for attribute in ("num_workers", "_max_workers"):
        count = getattr(executor, attribute, None)
        if isinstance(count, int) and count > 0:
            return count
    threads_of_workers = getattr(getattr(executor, "_client", None), "nthreads", dict)
    return sum(threads_of_workers().values()) or available_processors()


class _BlasThreads:
    """The BLAS libraries of this process and how many threads they had before the first who wants one came.

    Workers may be threads of one process (dask's are): each restoring what it found would let one that ends give
    several threads to another that still works, whose last bits would then differ.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: dict[str, tuple[Any, int]] = {}

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
            # again for each user: a library may have been loaded since
            for library in ThreadpoolController().lib_controllers:
                self._before.setdefault(library.filepath, (library, library.num_threads))
                library.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    for library, threads in self._before.values():
                        library.set_num_threads(threads)
                    self._before.clear()


# What it counts is a property of the process, as the number of threads of its BLAS is.
one_blas_thread = _BlasThreads().one


class _WorkerProcess(SpawnProcess):
    """A spawned worker that does not import the caller's script.

    Spawned children import the parent's ``__main__`` by default, which starts an unguarded script a second time. Our
    tasks live in importable modules and need nothing of it; so the start sees an empty main module, and a plain script
    needs no ``if __name__ == "__main__"``.
    """

    _start_lock = threading.Lock()

    def start(self) -> None:
        """Start the process with an empty main module."""
        with self._start_lock:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = main


class _WorkerContext(SpawnContext):
    Process = _WorkerProcess


def _exit_with_parent() -> None:
    """Let a worker end when its parent is gone, killed or not: an orphan would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait_for_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()


def process_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of spawned processes: forking is unsafe once BLAS or the caller has threads."""
    return ProcessPoolExecutor(workers, mp_context=_WorkerContext(), initializer=_exit_with_parent)


def map_unordered(
    function: Callable[[Task], Result], tasks: Iterable[Task], executor: Executor | None, workers: int
) -> Iterator[tuple[Task, Result]]:
    """Yield ``(task, function(task))`` as the results come.

    Parameters
    ----------
    function : callable
        Importable, for executors that send it elsewhere.
    tasks : iterable
        Independent tasks, asked for one by one as workers come free: what is left to do may depend on results.
    executor : Executor or None
        Where to run; it stays open. None: a pool of `workers` processes of our own, or the calling thread if that is 1.
        If a process of our own pool dies, the pool is rebuilt once and the unfinished tasks run again.
    workers : int
        Size of our own pool, or how many workers to expect in `executor`.

    Raises
    ------
    RuntimeError
        If workers die again after the pool was rebuilt, or if the workers of the caller's `executor` die.
    """
    if executor is None and workers == 1:
        for task in tasks:
            yield task, function(task)
        return
    waiting = iter(tasks)
    again: list[Task] = []  # what a broken pool left unfinished
    rebuilds = POOL_REBUILDS if executor is None else 0
    while True:
        pool = process_pool(workers) if executor is None else executor
        pending: dict[Future[Any], Task] = {}
        try:
            while True:
                while len(pending) < AHEAD * workers:
                    again.extend([] if again else islice(waiting, 1))
                    if not again:
                        break
                    # it stays there until it is handed over: the pool may be broken already
                    pending[pool.submit(function, again[-1])] = again[-1]
                    again.pop()
                if not pending:
                    return
                finished, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    yield pending.pop(future), result
        except BrokenExecutor as error:
            if rebuilds == 0:
                raise RuntimeError(
                    "worker processes died (out of memory?); use fewer workers or a smaller width, and store= to keep "
                    "what is finished"
                ) from error
            rebuilds -= 1
            again.extend(pending.values())
        finally:
            for future in pending:
                future.cancel()
            if executor is None:
                pool.shutdown(wait=True)
