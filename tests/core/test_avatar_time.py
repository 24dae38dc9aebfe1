from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.avatar_time import AvatarTime

DAY_S = 86_400
NONE = AvatarTime(-math.inf, -math.inf, 0.0, "demo", "tavus")


def test_it_begins_as_long_ago_as_it_is_told_of_first_and_goes_on() -> None:
    first = NONE.after(5.0, now=1000.0)
    assert first == AvatarTime(995.0, 1000.0, 5.0, "demo", "tavus")
    assert first.after(5.0, now=1005.0) == AvatarTime(995.0, 1005.0, 10.0, "demo", "tavus")


def test_with_another_day_another_one_begins() -> None:
    evening = NONE.after(5.0, now=DAY_S - 1.0)
    assert evening.after(5.0, now=DAY_S + 4.0) == AvatarTime(DAY_S - 1.0, DAY_S + 4.0, 5.0, "demo", "tavus")


@pytest.mark.parametrize(
    ("since", "until", "seconds"),
    [
        (0, 1000, 20.0),
        (105, 1000, 10.0),
        (0, 105, 10.0),
        (102.5, 107.5, 10.0),
        (0, 100, 0.0),
        (110, 200, 0.0),
    ],
)
def test_of_a_time_that_reaches_further_a_part_counts(since: float, until: float, seconds: float) -> None:
    assert AvatarTime(100.0, 110.0, 20.0).seconds_in(since, until) == seconds


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=50), st.floats(0, DAY_S))
def test_however_it_is_divided_its_parts_are_the_whole(steps: list[float], cut: float) -> None:
    times: dict[float, AvatarTime] = {}
    now, time = DAY_S - 1000.0, NONE
    for seconds in steps:
        now += seconds
        time = time.after(seconds, now)
        times[time.began] = time
    assert sum(one.seconds for one in times.values()) == pytest.approx(sum(steps))
    before = sum(one.seconds_in(until=DAY_S - 1000 + cut) for one in times.values())
    after = sum(one.seconds_in(since=DAY_S - 1000 + cut) for one in times.values())
    assert before + after == pytest.approx(sum(steps))
