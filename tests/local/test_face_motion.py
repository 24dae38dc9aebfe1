from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.local.face_motion import GAZES, Motion

MINUTES = [step / 100 for step in range(5 * 60 * 100)]
times = st.floats(min_value=0, max_value=1e7)


@given(st.integers(), times)
def test_everything_stays_within_its_bounds(seed: int, at_s: float) -> None:
    motion = Motion(seed)
    assert 0 <= motion.lids(at_s) <= 1
    assert 0 <= motion.brows(at_s) <= 1
    assert 0 <= motion.breath(at_s) <= 1
    assert -1 <= motion.sway(at_s) <= 1
    assert -1 <= motion.nod(at_s) <= 1
    assert motion.gaze(at_s) in range(len(GAZES))


@given(st.integers(), times)
def test_the_same_seed_does_the_same_at_the_same_time(seed: int, at_s: float) -> None:
    one, other = Motion(seed), Motion(seed)
    assert (one.lids(at_s), one.gaze(at_s), one.sway(at_s)) == (
        other.lids(at_s),
        other.gaze(at_s),
        other.sway(at_s),
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_blink_lasts_120_to_180_ms_and_comes_every_2_5_to_6_s(seed: int) -> None:
    motion = Motion(seed)
    shut = [motion.lids(at_s) > 0 for at_s in MINUTES]
    starts = [index for index, (a, b) in enumerate(itertools.pairwise(shut)) if b and not a]
    ends = [index for index, (a, b) in enumerate(itertools.pairwise(shut)) if a and not b]
    assert all(0.12 <= (end - start) / 100 <= 0.19 for start, end in zip(starts, ends, strict=True))
    pauses = [(after - before) / 100 for before, after in itertools.pairwise(starts)]
    assert all(2.5 <= pause <= 6.0 for pause in pauses)
    assert max(pauses) - min(pauses) > 1


@pytest.mark.parametrize("offset_s", [0.0, 0.013, 0.027, 0.039])
def test_25_pictures_a_second_see_every_blink_closed(offset_s: float) -> None:
    motion = Motion(0)
    lids = [motion.lids(offset_s + step / 25) for step in range(60 * 25)]
    blinks = sum(b > 0 and a == 0 for a, b in itertools.pairwise(lids))
    closed = sum(b == 1 and a < 1 for a, b in itertools.pairwise(lids))
    assert blinks == closed > 9


def test_a_glance_aside_goes_elsewhere_than_the_one_before() -> None:
    motion = Motion(0)
    gazes = [motion.gaze(step / 25) for step in range(600 * 25)]
    asides = [gaze for gaze, _ in itertools.groupby(gazes) if gaze]
    assert len(asides) > 60
    assert all(before != after for before, after in itertools.pairwise(asides))


def test_what_it_does_does_not_begin_anew() -> None:
    motion = Motion(0)
    lids = [[motion.lids(start + step / 25) for step in range(60 * 25)] for start in (0.0, 600.0, 1200.0)]
    assert lids[0] != lids[1] != lids[2] != lids[0]


def test_the_head_goes_no_further_than_a_sixteenth_of_its_way_from_picture_to_picture() -> None:
    motion = Motion(0)
    sway = [motion.sway(step / 25) for step in range(60 * 25)]
    assert max(abs(b - a) for a, b in itertools.pairwise(sway)) < 1 / 16
    assert max(sway) - min(sway) > 1


def test_the_eyes_look_straight_ahead_most_of_the_time_and_elsewhere_too() -> None:
    motion = Motion(0)
    gazes = [motion.gaze(at_s) for at_s in MINUTES]
    assert 0.4 < gazes.count(0) / len(gazes) < 0.8
    assert set(gazes) == set(range(len(GAZES)))
