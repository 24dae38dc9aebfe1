from __future__ import annotations

import pytest

from libacli.edges.voices.sound_check import SoundCheck
from libacli.errors import VoiceRefusedError, VoiceTruncatedError
from libacli.speech.fakes import tone

TEXT = "The quick brown fox."


def checked(*pieces: bytes, speed: float = 1.0) -> SoundCheck:
    check = SoundCheck(TEXT, speed)
    for piece in pieces:
        check.add(piece)
    return check


@pytest.mark.parametrize(("ms", "speed"), [(1_000, 1.0), (1_000, 0.25), (260, 2.0)])
def test_sound_that_can_be_all_of_the_text_passes(ms: float, speed: float) -> None:
    checked(tone(ms), speed=speed).check()


def test_sound_that_is_too_short_for_the_text_was_cut_off() -> None:
    with pytest.raises(VoiceTruncatedError, match=r"after 0\.40 s"):
        checked(tone(400)).check()


def test_half_a_sample_at_the_end_was_cut_off() -> None:
    with pytest.raises(VoiceTruncatedError):
        checked(tone(1_000), b"\0").check()


def test_no_sound_at_all_is_a_refusal() -> None:
    with pytest.raises(VoiceRefusedError, match="no sound"):
        checked().check()


def test_silence_is_a_refusal_also_when_it_comes_in_odd_pieces() -> None:
    with pytest.raises(VoiceRefusedError, match="silence"):
        checked(bytes(47_999), bytes(1)).check()


def test_sound_in_odd_pieces_is_heard() -> None:
    pcm = tone(1_000)
    checked(*(pcm[at : at + 1] for at in range(len(pcm)))).check()


def test_silence_in_front_tells_nothing_of_the_pace() -> None:
    for lead_s, sound_s, oddity in ((10, 6, ""), (0, 60, "slow"), (10, 60, "slow")):
        check = SoundCheck(TEXT * 5, 1.0)
        check.add(bytes(48_000 * lead_s))
        check.add(tone(1_000 * sound_s))
        assert check.oddity() == oddity
