"""How work is dealt: everything once, all widths alike, as long as takes a second."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.schedule import LEAST_TASK_SECONDS, TASK_SECONDS, TASK_VALUES, Schedule


def dealt(schedule, paces):
    """All spans, each observed at once as if a replica took ``paces[width]`` seconds."""
    spans = []
    for width, start, stop in schedule:
        spans.append((width, start, stop))
        schedule.observe(width, stop - start, (stop - start) * paces[width])
    return spans


@given(
    st.lists(st.booleans(), min_size=30, max_size=30),
    st.lists(st.booleans(), min_size=30, max_size=30),
    st.sampled_from([None, 1, 4, 100]),
    st.floats(1e-4, 3.0),
)
@settings(deadline=None, max_examples=30)
def test_what_is_missing_is_dealt_once(first, second, chunk_size, pace):
    done = {8: np.array(first), 16: np.array(second)}
    dealt_out = {width: flags.astype(int) for width, flags in done.items()}
    for width, start, stop in dealt(Schedule(done, 2, chunk_size), {8: pace / 8, 16: pace}):
        dealt_out[width][start:stop] += 1
    assert all((counts == 1).all() for counts in dealt_out.values())


def test_ranges_are_dealt_to_all_widths_in_turn():
    done = {width: np.zeros(5, dtype=bool) for width in (16, 4, 8)}
    spans = dealt(Schedule(done, 1, 3), dict.fromkeys(done, 1.0))
    assert spans == [(w, *span) for span in ((0, 3), (3, 5)) for w in (4, 8, 16)]


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_tasks_take_about_a_second_and_less_at_the_end(workers):
    pace = 0.01
    spans = dealt(Schedule({100: np.zeros(50_000, dtype=bool)}, workers), {100: pace})
    seconds = np.array([stop - start for _, start, stop in spans]) * pace
    assert seconds[0] == pytest.approx(pace)  # nothing is known yet
    assert np.median(seconds) == pytest.approx(TASK_SECONDS, rel=0.05)
    assert seconds.max() <= TASK_SECONDS + pace
    # when the last task is handed out the others are nearly done
    assert seconds[-1] <= LEAST_TASK_SECONDS + pace
    assert (seconds[1:-1] >= LEAST_TASK_SECONDS - pace).all()


def test_slow_replicas_are_dealt_one_by_one_and_fast_ones_within_memory():
    slow = dealt(Schedule({9: np.zeros(7, dtype=bool)}, 2), {9: 20.0})
    assert slow == [(9, i, i + 1) for i in range(7)]
    fast = dealt(Schedule({1024: np.zeros(100_000, dtype=bool)}, 1), {1024: 1e-9})
    assert max(stop - start for _, start, stop in fast) == TASK_VALUES // 1024


def test_the_last_observation_counts():
    # the first task of a worker contains compilation
    schedule = Schedule({10: np.zeros(1000, dtype=bool)}, 1)
    spans = iter(schedule)
    assert next(spans) == (10, 0, 1)
    schedule.observe(10, 1, 3.0)
    assert next(spans) == (10, 1, 2)
    schedule.observe(10, 1, 0.01)
    assert next(spans) == (10, 2, 102)


def test_time_left_is_scaled_from_the_width_that_is_known():
    schedule = Schedule({20: np.zeros(10, dtype=bool), 40: np.zeros(10, dtype=bool)}, 1)
    assert schedule.seconds_left() == 0.0
    schedule.observe(20, 2, 2.0)
    assert schedule.seconds_left() == pytest.approx(8 * 1.0 + 10 * 8.0)
    schedule.observe(40, 1, 3.0)
    assert schedule.seconds_left() == pytest.approx(8 * 1.0 + 9 * 3.0)
