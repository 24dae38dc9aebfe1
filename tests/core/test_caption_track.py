"""Captions of a recording: where they begin, by what an agent told and by what was heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.caption_cue import CaptionCue
from libacli.core.caption_track import CaptionTrack
from libacli.core.room_update import CaptionPart

BEGAN = 100.0


def track_of(*sounds: tuple[float, float], length_s: float = 20.0) -> CaptionTrack:
    """One that has heard a recording with sounds from so many seconds to so many."""
    track = CaptionTrack()
    for frame in range(round(length_s * 50)):
        track.hear(is_audible=any(start <= frame / 50 + 0.0001 < end for start, end in sounds))
    return track


def begins(track: CaptionTrack, text: str, offset_ms: int | None, at_s: float, number: int = 1) -> None:
    track.take(CaptionPart("u1", number, text, offset_ms), BEGAN + at_s)


def ends(track: CaptionTrack, text: str, at_s: float, number: int = 1) -> None:
    track.take(CaptionPart("u1", number, text, 0, is_over=True), BEGAN + at_s)


def starts(track: CaptionTrack) -> list[tuple[int, str]]:
    return [(cue.start_ms, cue.text) for cue in track.cues(began_at=BEGAN)]


@pytest.mark.parametrize("told_s", [2.6, 3.0, 3.4], ids=["before", "at once", "late"])
def test_a_line_begins_with_its_sound_and_not_when_it_was_told(told_s: float) -> None:
    track = track_of((0.5, 1.5), (3.0, 6.0), (9.0, 10.0))
    track.audible("u1", BEGAN + told_s)
    begins(track, "Hello.", 0, told_s + 0.25)
    ends(track, "Hello.", 6.2)
    assert track.cues(began_at=BEGAN) == [CaptionCue(3000, 6200, "Hello.")]


def test_each_part_begins_as_much_later_as_there_is_sound_before_it() -> None:
    track = track_of((3.0, 6.0))
    track.audible("u1", BEGAN + 3.1)
    begins(track, "Hello.", 0, 3.3)
    begins(track, "You there.", 1500, 4.6, number=2)
    ends(track, "Hello.", 4.7)
    ends(track, "You there.", 6.0, number=2)
    assert track.cues(began_at=BEGAN) == [
        CaptionCue(3000, 4500, "Hello."),
        CaptionCue(4500, 6000, "You there."),
    ]


def test_a_part_behind_a_pause_that_was_longer_than_meant_begins_where_it_is_heard() -> None:
    track = track_of((3.0, 4.0), (4.7, 6.0))
    track.audible("u1", BEGAN + 3.1)
    begins(track, "Hello.", 0, 3.3)
    begins(track, "You there.", 1500, 4.6, number=2)
    assert starts(track) == [(3000, "Hello."), (4700, "You there.")]


def test_of_what_was_cut_off_only_what_was_heard_is_shown() -> None:
    track = track_of((3.0, 4.0))
    track.audible("u1", BEGAN + 3.0)
    begins(track, "Hello, you there.", 0, 3.2)
    ends(track, "Hello,", 4.0)
    assert starts(track) == [(3000, "Hello,")]


@pytest.mark.parametrize("told_s", [5.4, 5.9, 6.3])
def test_a_line_that_another_one_cuts_off_is_not_shown_beside_it(told_s: float) -> None:
    """It began without a pause before it: there is no sound that begins but the other one's."""
    track = track_of((3.0, 6.2), (6.5, 8.0))
    for name, at_s, end_s in (("u1", 3.0, 5.3), ("u2", told_s, 6.4), ("u3", 6.5, 8.0)):
        track.audible(name, BEGAN + at_s)
        track.take(CaptionPart(name, 1, name, 0), BEGAN + at_s + 0.2)
        track.take(CaptionPart(name, 1, name, 0, is_over=True), BEGAN + end_s)
    assert starts(track) == [(3000, "u1"), (round(told_s * 1000), "u2"), (6500, "u3")]
    first, second, third = track.cues(began_at=BEGAN)
    assert first.end_ms <= second.start_ms < second.end_ms <= third.start_ms


def test_captions_of_a_given_sound_overlap_as_they_are_meant_to() -> None:
    track = track_of((3.0, 7.0))
    track.audible("u1", BEGAN + 3.0)
    for number, text, offset_ms, end_s in ((1, "All the time", 0, 6.8), (2, "Over it", 1000, 5.0)):
        begins(track, text, offset_ms, 3.1 + offset_ms / 1000, number)
        ends(track, text, end_s, number)
    assert track.cues(began_at=BEGAN) == [
        CaptionCue(3000, 6800, "All the time"),
        CaptionCue(4000, 5000, "Over it"),
    ]


def test_a_part_that_waited_for_its_voice_begins_with_its_own_sound() -> None:
    track = track_of((3.0, 4.0), (8.0, 9.0))
    track.audible("u1", BEGAN + 3.0)
    begins(track, "Hello.", 0, 3.2)
    begins(track, "You there.", 1000, 8.2, number=2)
    assert starts(track) == [(3000, "Hello."), (8000, "You there.")]


def test_an_agent_that_tells_no_offsets_is_believed_by_when_it_tells() -> None:
    track = track_of((3.0, 6.0))
    begins(track, "Hello.", None, 3.4)
    assert starts(track) == [(3400, "Hello.")]


def test_a_line_within_a_part_begins_with_the_sound_behind_a_pause() -> None:
    track = track_of((3.0, 5.0), (5.4, 8.0))
    track.audible("u1", BEGAN + 3.0)
    text = "This is the first sentence of it all. And here is the second one, which goes on for longer."
    begins(track, text, 0, 3.2)
    ends(track, text, 8.0)
    assert [start for start, _ in starts(track)] == [3000, 5400]


def test_where_nothing_is_heard_nearby_the_moment_that_was_told_counts() -> None:
    track = track_of((15.0, 16.0))
    track.audible("u1", BEGAN + 3.0)
    begins(track, "Hello.", 0, 3.1)
    assert starts(track) == [(3000, "Hello.")]


def test_what_was_told_before_the_recording_began_is_at_its_beginning() -> None:
    track = track_of((0.0, 2.0))
    track.audible("u1", BEGAN - 0.1)
    begins(track, "Hello.", 0, -0.05)
    assert starts(track) == [(0, "Hello.")]


def test_of_very_many_lines_the_oldest_are_forgotten() -> None:
    track = CaptionTrack(most_utterances=2)
    for number in range(3):
        track.take(CaptionPart(f"u{number}", 1, f"Line {number}", None), BEGAN + number)
    assert [text for _, text in starts(track)] == ["Line 1", "Line 2"]


TOLD = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 3),
        st.text(max_size=200),
        st.none() | st.integers(0, 9_999_999),
        st.floats(-5, 60, allow_nan=False),
        st.booleans(),
    ),
    max_size=12,
)


@given(TOLD, st.lists(st.booleans(), max_size=60))
def test_whatever_is_told_the_captions_are_in_order_of_time(
    told: list[tuple[str, int, str, int | None, float, bool]], frames: list[bool]
) -> None:
    track = CaptionTrack()
    for is_audible in frames:
        track.hear(is_audible=is_audible)
    for utterance_id, number, text, offset_ms, at_s, is_over in told:
        track.audible(utterance_id, at_s)
        track.take(CaptionPart(utterance_id, number, text, offset_ms, is_over), at_s)
    cues = track.cues(began_at=0.0)
    assert cues == sorted(cues, key=lambda cue: cue.start_ms)
    assert all(0 <= cue.start_ms < cue.end_ms for cue in cues)
