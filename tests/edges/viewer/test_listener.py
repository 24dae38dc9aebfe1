"""What a listener makes of the frames it gets."""

from __future__ import annotations

import pytest

from libacli.core.audio import silence
from libacli.edges.viewer.listener import Take
from libacli.speech.fakes import tone

SOUND, SILENCE = tone(20), silence(20)


def take_of(*frames: tuple[bytes, str]) -> Take:
    """Frames of 20 ms with their track, two tracks at a time."""
    take = Take()
    for number, (pcm, source) in enumerate(frames):
        take.add(pcm, number * 0.01, source)
    return take


def test_a_pause_is_a_gap_and_counts_into_the_span() -> None:
    take = take_of((SOUND, "a"), *[(SILENCE, "a")] * 5, (SOUND, "a"), (SILENCE, "a"))
    assert take.gaps_s == [pytest.approx(0.1)]
    assert take.span_s == pytest.approx(0.14)
    assert take.speech_s == pytest.approx(0.04)


def test_the_silence_of_another_track_is_neither_gap_nor_span() -> None:
    take = take_of(*[(SOUND, "a"), (SILENCE, "b")] * 10)
    assert not take.gaps_s
    assert take.span_s == take.speech_s == pytest.approx(0.2)
    assert bytes(take.pcm) == SOUND * 10


def test_the_wait_for_another_track_to_go_on_is_a_gap() -> None:
    take = take_of((SOUND, "a"), *[(SILENCE, "a"), (SILENCE, "b")] * 5, (SOUND, "b"))
    assert take.gaps_s == [pytest.approx(0.1)]
    assert take.span_s == pytest.approx(0.14)


def test_how_loud_it_was_is_kept_from_the_start() -> None:
    take = take_of((SILENCE, "a"), (SOUND, "a"))
    assert [at for at, _ in take.levels] == pytest.approx([-0.01, 0.0])
    assert take.levels[0][1] == 0 < take.levels[1][1]


def test_a_take_that_nobody_ends_does_not_keep_every_level() -> None:
    take = Take()
    for number in range(13_000):
        take.add(b"\0\0", number * 0.01)
    assert len(take.levels) == 12_000
