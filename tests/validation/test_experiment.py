"""Experiments: the same numbers anywhere, checkpoints, killed workers and killed runs."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from theory.network import Activation, Chain, Dense, Residual, ResNet, Sequential
from validation.chunk import Chunk, sample_input
from validation.experiment import Experiment
from validation.run import Run
from validation.sampling import sample_chunk
from validation.store import CHUNK_NAME

NET = ResNet(3, "tanh", sigma_w=1.1, sigma_b=0.2)
COLUMNS = ("log_singular_values", "rank", "resolved", "log_floor", "input_square", "output_square")


def experiment(**changes) -> Experiment:
    return Experiment(**{"net": NET, "width": 16, "replicas": 10, "seed": 3, **changes})


def assert_same(first: Run, second: Run) -> None:
    for a, b in zip(first.samples, second.samples, strict=True):
        assert a.width == b.width
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width=0 must be an integer >= 4"),
        ({"width": 10.5}, "width=10.5 must be an integer"),
        ({"companion": 8}, "companion=8 must be True, False, or widths smaller than width=16"),
        ({"companion": (8, 16)}, r"companion=\(8, 16\) must be different widths, all smaller than width=16"),
        ({"companion": [4, 4]}, r"companion=\(4, 4\) must be different widths"),
        ({"companion": [0]}, "companion=0 must be an integer >= 1"),
        ({"companion": [4.5]}, "companion=4.5 must be an integer >= 1"),
        ({"replicas": 0}, "replicas=0 must be an integer >= 1"),
        ({"seed": -1}, "seed=-1 must be an integer >= 0"),
        ({"seed": True}, "seed=True must be an integer"),
        ({"q0": 0.0}, "q0=0.0 must be a finite number > 0"),
        ({"q0": float("nan")}, "q0=nan must be a finite number > 0"),
        ({"q0": "large"}, "q0='large' must be a finite number > 0"),
        ({"backend": "jax"}, "backend='jax' is unknown"),
        ({"x": np.ones(5)}, r"x has shape \(5,\); it must have shape \(16,\)"),
        ({"x": np.zeros(16)}, "x must have finite components, not all of them zero"),
        ({"x": np.full(16, np.nan)}, "x must have finite components"),
        ({"net": "resnet"}, "is not a network; build one with theory.ResNet"),
        ({"net": ResNet(3, "tanh", sigma_w=sp.Symbol("s"))}, "sigma_w=s: sampling needs a finite number"),
    ],
)
def test_bad_arguments_get_one_clear_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        experiment(**changes)
    assert "\n" not in str(error.value)


def test_shapes_and_columns():
    net = Sequential([Dense(width_ratio=1.5), Activation("relu"), Dense(weights="orthogonal")])
    run = experiment(net=net).run(workers=1)
    assert [sample.width for sample in run.samples] == [16, 8]
    assert run.log_singular_values.shape == (10, 24)
    assert run.samples[1].log_singular_values.shape == (10, 12)
    # J J^T is 24 x 24 of rank at most 16
    assert np.all(run.log_singular_values[:, 16:] == -np.inf)
    np.testing.assert_array_equal((run.eigenvalues > 0).sum(axis=1), run.samples[0].rank)
    assert np.all(np.diff(run.eigenvalues, axis=1) <= 0)
    assert run.samples[0].replicas == 10
    assert set(run.metadata) == {"versions", "platform", "wall_seconds", "resumed_replicas", "executor", "methods"}


def test_spectrum_is_that_of_the_jacobian():
    # the mean of J Jᵀ's eigenvalues at one width, against the exact mean (0.7² + 0.9²/5)^5 of a linear residual net
    net = ResNet(5, "linear", sigma_w=0.9, skip=0.7)
    run = Experiment(net, width=8, replicas=400, companion=False).run(workers=1)
    means = run.eigenvalues.mean(axis=1)
    assert means.mean() == pytest.approx((0.49 + 0.162) ** 5, abs=5 * means.std() / 20)


def test_no_companion():
    assert [sample.width for sample in experiment(companion=False, width=3).run(workers=1).samples] == [3]


def test_companions_of_ones_choice():
    several = experiment(companion=[4, 11, 8])
    assert several.widths == (16, 11, 8, 4)
    assert several == Experiment.from_json(json.loads(json.dumps(several.to_json()))) == eval(repr(several))
    assert [plan.width for plan in several.plan()] == [16, 11, 8, 4]
    run = several.run(workers=1)
    assert [sample.width for sample in run.samples] == [16, 11, 8, 4]
    # the widths have streams of their own: the same numbers as with another choice
    half = experiment().run(workers=1)
    assert_same(Run(several, (run.samples[0], run.samples[2]), {}), half)
    assert experiment(companion=()).widths == (16,)


def test_stream_gives_the_runs_of_fewer_replicas():
    runs = list(experiment().stream(workers=1, chunk_size=3, every=0.0))
    assert [run.experiment.replicas for run in runs] == [3, 6, 9, 10]
    for run in runs:
        assert_same(run, run.experiment.run(workers=1))
    assert runs[-1].experiment == experiment()
    first, *_ = experiment().stream(workers=1, chunk_size=3, every=0.0)  # what was given out does not change
    assert_same(first, runs[0])
    assert len(list(experiment().stream(workers=1, chunk_size=1, every=1e9))) == 1
    with pytest.raises(ValueError, match="every=-1 must be a number of seconds >= 0"):
        next(experiment().stream(every=-1))


def test_stream_of_summaries_after_a_resume_at_other_places(tmp_path):
    widest_only = experiment(companion=False)
    widest_only.run(workers=1, store=tmp_path, chunk_size=4, keep="summary")
    for run in experiment().stream(workers=1, store=tmp_path, chunk_size=3, keep="summary", every=0.0):
        alone = run.experiment.run(workers=1, keep="summary")
        for a, b in zip(run.samples, alone.samples, strict=True):
            np.testing.assert_array_equal(a.histogram.counts, b.histogram.counts)
            np.testing.assert_array_equal(a.log_sum, b.log_sum)
    assert run.experiment.replicas == 10


def test_leaving_a_stream_ends_the_sampling_and_keeps_what_is_finished(tmp_path):
    for run in experiment().stream(workers=1, store=tmp_path, chunk_size=1, every=0.0):
        if run.experiment.replicas == 4:
            break
    assert stored_replicas(tmp_path) == 8
    assert experiment().run(workers=1, store=tmp_path).metadata["resumed_replicas"] == 8


def test_numbers_do_not_depend_on_chunks_workers_or_executors():
    reference = experiment().run(workers=1)
    assert_same(experiment().run(), reference)
    assert_same(experiment().run(workers=1, chunk_size=3), reference)
    with ThreadPoolExecutor(3) as threads:
        assert_same(experiment().run(executor=threads, chunk_size=1), reference)
        assert threads.submit(int).result() == 0  # it stays open
    fewer = experiment(replicas=4).run(workers=1)
    np.testing.assert_array_equal(fewer.log_singular_values, reference.log_singular_values[:4])


@pytest.mark.slow
def test_numbers_do_not_depend_on_processes():
    # a width at which BLAS would use several threads, whose sums differ in the last bit
    large = experiment(width=300, replicas=3)
    reference = large.run(workers=1)
    assert_same(large.run(workers=2), reference)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert_same(large.run(executor=processes, chunk_size=2), reference)


def test_replicas_and_widths_and_seeds_are_independent():
    run = experiment().run(workers=1)
    values = [tuple(row) for sample in run.samples for row in sample.log_singular_values]
    values += [tuple(row) for row in experiment(seed=4).run(workers=1).log_singular_values]
    assert len(set(values)) == len(values)


def test_widths_have_streams_of_their_own():
    # with a stream shared by the widths, the input at width 8 would be the first part of that at width 9
    square = {n: sample_chunk(chunk(width=n, stop=20))["input_square"] * n for n in (8, 9)}
    assert (square[9] < square[8]).any()


def chunk(**changes) -> Chunk:
    fields = {"net": NET, "width": 400, "start": 0, "stop": 1, "seed": 1, "backend": "numpy", "x": None, "q0": 2.5}
    return Chunk(**{**fields, **changes})


def test_default_input_is_gaussian_of_variance_q0():
    x = np.array([sample_input(chunk(), np.random.SeedSequence(seed)) for seed in range(50)])
    assert np.mean(x**2) == pytest.approx(2.5, abs=6 * 2.5 * np.sqrt(2 / x.size))
    assert np.mean(x**4) / np.mean(x**2) ** 2 == pytest.approx(3.0, abs=6 * np.sqrt(96 / x.size))


def test_given_input_is_used_and_thinned_for_the_companion():
    x = tuple(np.linspace(-1, 2, 400))
    seed = np.random.SeedSequence(0)
    np.testing.assert_array_equal(sample_input(chunk(x=x), seed), x)
    half = sample_input(chunk(x=x, width=200), seed)
    assert np.mean(half**2) == pytest.approx(np.mean(np.square(x)), rel=1e-14)
    assert np.corrcoef(half, np.linspace(-1, 2, 200))[0, 1] > 0.9999
    one_hot = (0.0, 3.0) + 398 * (0.0,)
    assert np.mean(sample_input(chunk(x=one_hot, width=100), seed) ** 2) == pytest.approx(9 / 400, rel=1e-14)
    run = experiment(x=np.linspace(-1, 2, 16)).run(workers=1)
    np.testing.assert_allclose(run.samples[0].input_square, np.mean(np.linspace(-1, 2, 16) ** 2), rtol=1e-14)


def test_output_square_follows_signal_propagation():
    # linear layer: <x²> -> sigma_w² <x²> + sigma_b²
    run = Experiment(Dense(1.5, 0.5), width=100, replicas=50, q0=0.3, companion=False).run(workers=1)
    square = run.samples[0].output_square
    assert square.mean() == pytest.approx(1.5**2 * 0.3 + 0.25, abs=5 * square.std() / np.sqrt(50))


def test_progress_counts_replicas():
    calls = []
    experiment().run(workers=1, chunk_size=4, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(4, 20), (8, 20), (12, 20), (16, 20), (18, 20), (20, 20)]


def test_progress_bar_is_drawn_on_stderr(capsys):
    experiment(replicas=2).run(workers=1, progress=True)
    drawn = capsys.readouterr().err
    assert "4/4" in drawn
    # the running mean of the eigenvalues and its error, as of the finished run
    values = experiment(replicas=2).run(workers=1).eigenvalues.mean(axis=1)
    assert f"m_1 = {values.mean():.4g} ± {values.std(ddof=1) / np.sqrt(2):.1g}" in drawn
    experiment(replicas=2).run(workers=1)
    assert capsys.readouterr().err == ""


def test_save_and_load(tmp_path):
    net = Sequential([Chain(2, Activation("leaky_relu", alpha=0.1)), Residual([Dense(sp.Rational(1, 2))], skip=2)])
    run = experiment(net=net, x=np.arange(16)).run(workers=1)
    loaded = Run.load(run.save(tmp_path / "run.npz"))
    assert_same(loaded, run)
    assert loaded.metadata == run.metadata
    assert loaded.experiment.to_json() == run.experiment.to_json()
    # the description read back is the same experiment, not only the same text
    assert_same(loaded.experiment.run(workers=1), run)
    with pytest.raises(ValueError, match="suffix must be"):
        run.save(tmp_path / "run.csv")
    with pytest.raises(ValueError, match="cannot be written"):
        run.save(tmp_path / "missing" / "run.npz")


class Stop(Exception):
    pass


def stop_after(count):
    def progress(done, _total):
        if done >= count:
            raise Stop

    return progress


def stored_replicas(folder):
    spans = [CHUNK_NAME.fullmatch(path.name).groups() for path in folder.glob("width-*.npz")]
    return sum(int(stop) - int(start) for _, _, start, stop in spans)


def test_store_resumes_with_any_chunk_size(tmp_path):
    folder = tmp_path / "runs" / "demo"
    with pytest.raises(Stop):
        experiment().run(workers=1, store=folder, chunk_size=2, progress=stop_after(9))
    assert stored_replicas(folder) == 10
    calls = []
    run = experiment().run(workers=1, store=folder, chunk_size=3, progress=lambda *call: calls.append(call))
    assert_same(run, experiment().run(workers=1))
    assert run.metadata["resumed_replicas"] == 10
    assert calls[0] == (11, 20)
    assert stored_replicas(folder) == 20
    assert not list(folder.glob("*.tmp"))
    again = experiment().run(store=folder, progress=lambda *_: pytest.fail("nothing is left to do"))
    assert_same(again, run)


def test_store_can_be_continued_with_more_replicas_and_companions(tmp_path):
    experiment(replicas=4).run(workers=1, store=tmp_path, chunk_size=3)
    run = experiment().run(workers=1, store=tmp_path)
    assert run.metadata["resumed_replicas"] == 8
    assert_same(run, experiment().run(workers=1))
    run = experiment(companion=(8, 5)).run(workers=1, store=tmp_path)
    assert run.metadata["resumed_replicas"] == 20
    assert_same(run, experiment(companion=(8, 5)).run(workers=1))


def test_store_of_another_method_is_refused(tmp_path):
    experiment(replicas=2).run(workers=1, store=tmp_path, chunk_size=2)
    stored = tmp_path / "width-00008_forward_replicas-000000-000002.npz"
    stored.rename(tmp_path / "width-00008_other_replicas-000000-000002.npz")
    with pytest.raises(ValueError, match="was sampled by method='other' at width 8, not by 'forward'"):
        experiment(replicas=2).run(workers=1, store=tmp_path)
    assert experiment(replicas=2, companion=False).run(workers=1, store=tmp_path).metadata["resumed_replicas"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "seed=3 there, 4 here"),
        ({"q0": 2.0}, "q0=1.0 there, 2.0 here"),
        ({"net": Chain(1, "relu")}, "net="),
    ],
)
def test_store_of_another_experiment_is_refused(tmp_path, changes, message):
    experiment(replicas=1).run(workers=1, store=tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        experiment(**changes).run(workers=1, store=tmp_path)
    assert "belongs to another experiment" in str(error.value)
    assert "\n" not in str(error.value)


def test_store_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be used"):
        experiment().run(workers=1, store=tmp_path / "file" / "store")
    experiment(replicas=2).run(workers=1, store=tmp_path, chunk_size=1)
    (tmp_path / "width-00016_forward_replicas-000000-000001.npz").write_bytes(b"PK broken")
    with pytest.raises(ValueError, match=r"000000-000001.npz is damaged .*delete this file"):
        experiment(replicas=2).run(workers=1, store=tmp_path)
    good = tmp_path / "width-00016_forward_replicas-000001-000002.npz"
    (tmp_path / "width-00016_forward_replicas-000000-000001.npz").unlink()
    good.rename(tmp_path / "width-00016_forward_replicas-000000-000002.npz")
    with pytest.raises(ValueError, match="does not hold 2 replicas"):
        experiment(replicas=2).run(workers=1, store=tmp_path)
    (tmp_path / "experiment.json").write_text("[")
    with pytest.raises(ValueError, match="belongs to another experiment"):
        experiment().run(workers=1, store=tmp_path)


def test_store_card_is_readable(tmp_path):
    experiment(replicas=1).run(workers=1, store=tmp_path)
    card = json.loads((tmp_path / "experiment.json").read_text())
    assert (card["width"], card["seed"], card["net"]["type"]) == (16, 3, "ResNet")


@pytest.mark.slow
def test_killed_worker_is_survived():
    killed = []

    def kill_one(_done, _total):
        children = [child for child in multiprocessing.active_children() if child.pid not in killed]
        if not killed and children:
            killed.append(children[0].pid)
            os.kill(children[0].pid, signal.SIGKILL)

    run = experiment(width=60, replicas=40).run(workers=2, progress=kill_one)
    assert killed
    assert_same(run, experiment(width=60, replicas=40).run(workers=1))


@pytest.mark.slow
def test_workers_that_keep_dying_end_in_one_clear_error():
    def kill_all(_done, _total):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(RuntimeError, match="worker processes died"):
        experiment(width=60, replicas=400).run(workers=2, progress=kill_all)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to see whether processes are alive")
def test_killed_run_resumes_and_a_script_needs_no_main_guard(tmp_path):
    # a plain script, without `if __name__ == "__main__"`, killed while its worker processes are busy
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing
            import sys
            from theory.network import ResNet
            from validation.experiment import Experiment

            def progress(done, total):
                print(done, *(child.pid for child in multiprocessing.active_children()), flush=True)

            Experiment(ResNet(20, "tanh"), width=100, replicas=60, seed=3).run(workers=2, store=sys.argv[1],
                                                                               progress=progress)
            """
        )
    )
    store = tmp_path / "store"
    # the packages come from where this test has them, installed or not
    path = os.pathsep.join(entry for entry in (str(Path.cwd()), os.environ.get("PYTHONPATH")) if entry)
    process = subprocess.Popen(
        [sys.executable, str(script), str(store)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    with process:
        for line in process.stdout:
            done, *workers = (int(word) for word in line.split())
            if done >= 70:
                process.kill()
                break
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in workers):  # workers must not outlive the run
        assert time.monotonic() < deadline
        time.sleep(0.05)
    wanted = Experiment(ResNet(20, "tanh"), width=100, replicas=60, seed=3)
    finished = stored_replicas(store)
    assert 70 <= finished < 120
    run = wanted.run(workers=1, store=store)
    assert run.metadata["resumed_replicas"] >= finished
    assert_same(run, wanted.run(workers=1))


def test_chunk_can_be_sent_to_another_process():
    task = chunk(width=5, net=Chain(2, Activation("leaky_relu", alpha=0.3)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        sent = pool.apply(sample_chunk, (task,))
    np.testing.assert_array_equal(sent["log_singular_values"], sample_chunk(task)["log_singular_values"])
