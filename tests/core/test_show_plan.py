from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.cue import Cue
from libacli.core.show_clock import ShowClock
from libacli.core.show_plan import estimate_s, plan_show, starts_s
from libacli.core.speaking_time import usual_s

CUES = [
    Cue(text="One."),
    Cue(text="Two."),
    Cue(pause_s=1.0),
    Cue(pause_s=2.0),
    Cue(text="Three."),
    Cue(text="Four.", room="lobby"),
    Cue(text="Five.", step=True),
    Cue(pause_s=3.0),
]


def test_what_does_not_simply_follow_is_held() -> None:
    plan = plan_show(CUES, room="demo")
    assert [
        (line.number, line.room, line.pause_s, line.waits, line.is_on_standby) for line in plan.lines
    ] == [
        (1, "demo", 0.0, False, False),
        (2, "demo", 0.0, False, False),
        (5, "demo", 3.0, False, True),
        (6, "lobby", 0.0, False, True),
        (7, "demo", 0.0, True, True),
    ]
    assert plan.lines[2].first[0] == 3
    assert [number for number, _ in plan.rest] == [8]


def test_with_steps_each_line_waits() -> None:
    assert all(line.waits and line.is_on_standby for line in plan_show(CUES, room="demo", steps=True).lines)


@given(st.lists(st.sampled_from(CUES)), st.integers(0, 5))
def test_each_cue_from_the_start_on_is_planned_once_and_in_order(cues: list[Cue], start: int) -> None:
    plan = plan_show(cues, room="demo", start=start)
    numbers = [number for line in plan.lines for number in (*(n for n, _ in line.pauses), line.number)]
    numbers += [number for number, _ in plan.rest]
    assert numbers == list(range(start + 1, len(cues) + 1))


def test_a_cue_is_estimated_by_its_letters_its_pace_and_its_pauses() -> None:
    assert estimate_s(Cue(text="abcde fghij")) == pytest.approx(0.7)
    assert estimate_s(Cue(text="abcde fghij", speed=2.0)) == pytest.approx(0.35)
    assert estimate_s(Cue(text="abcde [pause 2s] fghij")) == pytest.approx(2.7)
    assert usual_s("你好 42") == pytest.approx(0.9)
    assert starts_s([Cue(pause_s=2.0), Cue(text="abcde fghij"), Cue(pause_s=1.0)]) == pytest.approx(
        [0, 2, 2.7]
    )


def test_the_clock_learns_the_pace_of_the_voice_and_leaves_pauses_as_they_are() -> None:
    clock = ShowClock.of({1: 10.0, 3: 10.0}, {2: 4.0})
    assert clock.remaining_s(0.0) == 24
    clock.begin(1, 0.0)
    assert clock.remaining_s(3.0) == 21
    assert clock.remaining_s(30.0) == 14  # it takes longer than expected
    clock.end(1, 20.0)
    assert clock.remaining_s(30.0) == 24
    clock.end(2, 4.0)
    clock.end(3, None)
    assert clock.remaining_s(30.0) == 0
