from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import FRAME_BYTES, SAMPLE_RATE, samples, silence
from libacli.core.mixer import Mixer

FRAME_S = 0.02
START = 100.0


def frame(value: int) -> bytes:
    """20 ms in which every sample is `value`."""
    return array("h", [value] * (FRAME_BYTES // 2)).tobytes()


def runs(pcm: bytes) -> list[tuple[int, int]]:
    """The sound as pairs: a value, and for how many milliseconds it lasts."""
    found: list[tuple[int, int]] = []
    for value in samples(pcm):
        if found and found[-1][0] == value:
            found[-1] = (value, found[-1][1] + 1)
        else:
            found.append((value, 1))
    return [(value, count * 1000 // SAMPLE_RATE) for value, count in found]


def test_a_track_is_taken_as_it_came() -> None:
    mixer = Mixer(START)
    for number in range(1, 6):
        mixer.add("a", frame(number * 1000), START + number * FRAME_S)
    assert runs(mixer.mixed_until(START + 5 * FRAME_S)) == [(number * 1000, 20) for number in range(1, 6)]


def test_two_tracks_that_sound_at_once_are_added_without_overflow() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(20_000) + frame(-20_000) + frame(300), START + 3 * FRAME_S)
    mixer.add("b", frame(20_000) + frame(-20_000) + frame(-100), START + 3 * FRAME_S)
    assert runs(mixer.mixed_until(START + 3 * FRAME_S)) == [(32_767, 20), (-32_768, 20), (200, 20)]


def test_a_silent_track_leaves_the_other_one_as_it_is() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(7), START + FRAME_S)
    mixer.add("b", silence(20), START + FRAME_S)
    assert mixer.mixed_until(START + FRAME_S) == frame(7)


def test_where_no_track_is_there_is_silence() -> None:
    mixer = Mixer(START)
    assert runs(mixer.mixed_until(START + 1)) == [(0, 1000)]
    mixer.add("a", frame(5), START + 1.5)
    mixer.drop("a")
    assert runs(mixer.mixed_until(START + 2)) == [(0, 480), (5, 20), (0, 500)]


def test_sound_waits_for_a_track_that_is_a_little_behind() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(5), START + FRAME_S)
    mixer.add("b", frame(6) + frame(6), START + 2 * FRAME_S)
    assert len(mixer.mixed_until(START + 1)) == FRAME_BYTES


def test_a_track_that_has_stopped_is_not_waited_for_and_is_put_right_when_it_comes_back() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(5), START + FRAME_S)
    assert runs(mixer.mixed_until(START + 6)) == [(5, 20), (0, 5980)]
    mixer.add("a", frame(7), START + 6.5)
    assert runs(mixer.mixed_until(START + 6.5)) == [(0, 480), (7, 20)]


def test_pieces_that_are_handed_over_in_a_bunch_lose_nothing() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(1), START + FRAME_S)
    for number in range(2, 101):
        mixer.add("a", frame(number), START + 2)  # the loop was busy for two seconds
    assert runs(mixer.mixed_until(START + 2)) == [(number, 20) for number in range(1, 101)]


def test_a_hole_in_a_track_becomes_silence_within_a_second() -> None:
    mixer = Mixer(START)
    for number in range(200):
        hole_s = 0.5 if number >= 50 else 0
        mixer.add("a", frame(1000), START + hole_s + (number + 1) * FRAME_S)
    (_, before_ms), hole, (_, after_ms) = runs(mixer.mixed_until(START + 4.5))
    assert hole == (0, 500)
    assert before_ms <= 1000 + 1000 + 40
    assert before_ms + after_ms == 200 * 20


def test_a_track_that_was_begun_too_late_is_moved_back_at_once() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(1000), START + 0.1 + FRAME_S)  # it was on its way for 100 ms
    for number in range(2, 12):
        mixer.add("a", frame(1000), START + number * FRAME_S)
    assert runs(mixer.mixed_until(START + 11 * FRAME_S)) == [(1000, 220)]


def test_a_track_that_begins_with_a_bunch_loses_nothing_and_ends_where_it_should() -> None:
    mixer = Mixer(START)
    for number in range(1, 31):
        mixer.add("a", frame(number * 1000), START + 0.6)  # the loop was busy from its first piece on
    heard = runs(mixer.mixed_until(START + 1))
    assert [value for value, _ in heard if value] == [number * 1000 for number in range(1, 31)]
    assert sum(ms for value, ms in heard if value) == 600
    assert 600 <= sum(ms for _, ms in heard) <= 640  # it ends where it should but for 40 ms


def test_a_track_is_moved_back_no_further_than_to_what_was_given_out() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(1000), START + 0.5 + FRAME_S)
    assert runs(mixer.mixed_until(START + 0.4)) == [(0, 400)]
    for number in range(2, 22):
        mixer.add("a", frame(1000), START + number * FRAME_S)
    assert runs(mixer.mixed_until(START + 0.42)) == [(1000, 20)]


def test_what_one_track_has_given_stays_when_it_goes() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(5), START + FRAME_S)
    mixer.drop("a")
    assert runs(mixer.mixed_until(START + 2 * FRAME_S)) == [(5, 20), (0, 20)]


def test_a_small_shift_waits_for_a_silence() -> None:
    mixer = Mixer(START)
    mixer.add("a", frame(1000), START + 0.02 + FRAME_S)  # 20 ms late
    mixer.add("a", frame(1000), START + 2 * FRAME_S)
    mixer.add("a", frame(100), START + 3 * FRAME_S)
    mixer.add("a", frame(1000), START + 4 * FRAME_S)
    assert runs(mixer.mixed_until(START + 1)) == [(1000, 40), (100, 20), (1000, 20)]


@given(
    arrivals=st.lists(st.floats(0, 0.15), min_size=1, max_size=200),
    takes=st.lists(st.floats(0, 0.2), max_size=40),
)
def test_what_is_taken_has_no_gap_and_is_never_longer_than_the_time_that_passed(
    arrivals: list[float], takes: list[float]
) -> None:
    mixer = Mixer(START)
    for number, late_s in enumerate(arrivals):
        mixer.add("a", frame(9), START + (number + 1) * FRAME_S + late_s)
    now, total = START, 0
    for step in takes:
        now += step
        total += len(mixer.mixed_until(now))
        assert total <= round((now - START) * SAMPLE_RATE) * 2
    rest = len(mixer.mixed_until(START + 60))
    assert total + rest == 60 * SAMPLE_RATE * 2


@given(st.lists(st.floats(0, 0.03), min_size=60, max_size=300))
def test_a_track_whose_pieces_are_late_by_chance_stays_near_where_the_earliest_belong(
    late: list[float],
) -> None:
    mixer = Mixer(START)
    for number, late_s in enumerate(late):
        value = 20_000 if number == len(late) - 1 else 0
        mixer.add("a", frame(value), START + (number + 1) * FRAME_S + late_s)
    ends_ms = len(mixer.mixed_until(START + 60).rstrip(b"\0")) // 48
    due_ms = len(late) * 20
    earliest_ms = min(late[-50:-1]) * 1000
    assert due_ms - 1 <= ends_ms <= due_ms + earliest_ms + 5 + 1
