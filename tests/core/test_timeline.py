from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.timeline import Timeline, percentile


def test_durations_are_known_as_far_as_both_ends_are() -> None:
    timeline = Timeline(t0=10.0)
    timeline.mark("t1", 10.3)
    timeline.mark("t2", 10.301)
    assert timeline.durations_ms() == {"d01": 300.0, "d12": 1.0}
    timeline.mark("ta", 10.35)
    timeline.mark("t3", 12.0)
    assert timeline.durations_ms()["d2a"] == 49.0
    assert timeline.durations_ms()["total"] == 2000.0


def test_the_parts_from_the_request_until_it_is_heard_follow_each_other() -> None:
    timeline = Timeline(t0=10.0, turn=13.0, t1=13.3, t2=13.31, ta=13.4, t3=15.0)
    told = timeline.durations_ms()
    assert told == {"waited": 3000.0, "d01": 300.0, "d12": 10.0, "d2a": 90.0, "d23": 1690.0, "total": 5000.0}


def test_a_mark_that_is_set_does_not_move() -> None:
    timeline = Timeline(t0=0.0)
    timeline.mark("t2", 1.0)
    timeline.mark("t2", 2.0)
    assert timeline.t2 == 1.0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.floats(0, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-6


def test_percentiles_of_a_hundred_values_are_their_ranks() -> None:
    assert [percentile(range(1, 101), percent) for percent in (0, 50, 95, 100)] == [1, 50, 95, 100]


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)
