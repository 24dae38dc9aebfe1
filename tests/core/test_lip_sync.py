from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libacli.core.lip_sync import LONGEST_LAG_S, first_movement_at, lag_s

START, END = 1.0, 4.0
"""Of speech."""


def openness(seed: int) -> list[float]:
    """How wide somebody opens the mouth while speaking: one value each 10 ms, 0 before and after."""
    chance = random.Random(seed)
    values = [0.0] * 500
    at = START
    while at < END - 0.3:
        length, peak = chance.uniform(0.1, 0.3), chance.uniform(0.4, 1.0)
        for step in range(int(length * 100)):
            values[int(at * 100) + step] = peak * math.sin(math.pi * step / (length * 100))
        at += length + chance.choice((0.0, 0.05, 0.2))
    return values


def sound_of(values: list[float]) -> list[tuple[float, float]]:
    return [(step / 100, 4000 * value ** (1 / 0.6)) for step, value in enumerate(values)]


def motion_of(values: list[float], *, later_s: float, seed: int = 0) -> list[tuple[float, float]]:
    """What 25 pictures a second show of it, which arrive `later_s` after the sound, not quite evenly."""
    chance = random.Random(seed)
    motion, before = [], 0.0
    for number in range(120):
        at = number * 0.04 + chance.uniform(-0.005, 0.005)
        now = values[min(max(0, round((at - later_s) * 100)), len(values) - 1)]
        motion.append((at, 5 * abs(now - before) + chance.uniform(0, 0.3)))
        before = now
    return motion


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(-0.4, 0.4))
def test_a_picture_that_comes_later_by_so_much_is_told_so(seed: int, later_s: float) -> None:
    values = openness(seed)
    found = lag_s(sound_of(values), motion_of(values, later_s=later_s, seed=seed), start=START, end=END)
    assert found == pytest.approx(later_s, abs=0.03)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_a_mouth_that_moves_anyhow_has_no_lag(seed: int) -> None:
    chance = random.Random(seed)
    noise = [(number * 0.04, chance.uniform(0, 3)) for number in range(120)]
    assert lag_s(sound_of(openness(seed)), noise, start=START, end=END) is None


def test_a_mouth_that_does_not_move_has_no_lag() -> None:
    still = [(number * 0.04, 0.0) for number in range(120)]
    assert lag_s(sound_of(openness(1)), still, start=START, end=END) is None


def test_what_is_further_apart_than_is_looked_for_has_no_lag() -> None:
    values = openness(2)
    motion = motion_of(values, later_s=LONGEST_LAG_S + 0.3)
    assert lag_s(sound_of(values), motion, start=START, end=END) is None


@pytest.mark.parametrize("pictures", [0, 1, 20])
def test_too_few_pictures_have_no_lag(pictures: int) -> None:
    values = openness(3)
    motion = motion_of(values, later_s=0.0)[30 : 30 + pictures]
    assert lag_s(sound_of(values), motion, start=START, end=END) is None


def test_no_sound_has_no_lag() -> None:
    assert lag_s([], motion_of(openness(4), later_s=0.0), start=START, end=END) is None


def test_a_second_track_that_is_silent_changes_nothing() -> None:
    values = openness(5)
    both = sorted([*sound_of(values), *((step / 100 + 0.004, 0.0) for step in range(500))])
    motion = motion_of(values, later_s=0.1)
    assert lag_s(both, motion, start=START, end=END) == pytest.approx(0.1, abs=0.02)


def test_sound_that_arrives_in_bunches_changes_little() -> None:
    values = openness(6)
    bunched = [(math.ceil(at / 0.05) * 0.05, value) for at, value in sound_of(values)]
    found = lag_s(bunched, motion_of(values, later_s=0.1), start=START, end=END)
    assert found == pytest.approx(0.1, abs=0.06)


def pictures(*changes: float) -> list[tuple[float, float]]:
    return [(number * 0.04, change) for number, change in enumerate(changes)]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ((0.1, 0.2, 0.1, 0.1, 2.0, 2.0), 4),
        ((0.1, 0.2, 0.1, 0.1, 2.0, 0.1, 2.0), 4),
        ((0.1, 0.2, 2.0, 2.0), 2),
        ((0.1, 0.2, 2.0, 0.1, 0.1, 0.1), None),
        ((0.1, 0.2, 0.5, 0.5, 0.5), None),
        ((2.0, 1.5, 2.1, 2.2, 1.9), None),
        ((2.0, 1.5, 2.1, 2.6, 2.7), 3),
        ((), None),
    ],
    ids=["moves", "holds a sound", "at once", "codec", "sways", "restless", "restless, then moves", "nobody"],
)
def test_a_movement_is_more_than_what_the_mouth_does_at_rest(
    changes: tuple[float, ...], place: int | None
) -> None:
    found = first_movement_at(pictures(*changes), since=0.06, least=0.6)
    assert found == (None if place is None else place * 0.04)
