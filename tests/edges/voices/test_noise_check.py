from __future__ import annotations

import random

import pytest

from libacli.edges.voices.sound_check import SoundCheck
from libacli.errors import VoiceRefusedError
from libacli.speech.fakes import tone
from tests.sounds import encoded

TEXT = "Just a few words."


def checked(pcm: bytes, size: int) -> int:
    """How many bytes pass before the check raises."""
    check, passed = SoundCheck(TEXT, 1.0), 0
    for start in range(0, len(pcm), size):
        check.add(pcm[start : start + size])
        passed += size
    check.check()
    return passed


@pytest.mark.parametrize("size", [1, 99, 4_800])
@pytest.mark.parametrize("lead", [b"", bytes(24_000), bytes(24_001)])
def test_bytes_of_something_else_are_found_out_before_they_are_heard(size: int, lead: bytes) -> None:
    check, passed = SoundCheck(TEXT, 1.0), 0
    data = lead + random.Random(1).randbytes(40_000)
    with pytest.raises(VoiceRefusedError, match="no sound"):
        for start in range(0, len(data), size):
            check.add(data[start : start + size])
            passed += size
    assert passed <= len(lead) + 600


def test_what_begins_with_a_tag_is_found_out_as_well() -> None:
    data = encoded("ogg", "libopus", 48_000, seconds=3)[200:]
    with pytest.raises(VoiceRefusedError, match="no sound"):
        checked(data, 4_800)


@pytest.mark.parametrize("size", [1, 99, 4_800])
def test_a_sound_passes(size: int) -> None:
    assert checked(tone(1_000), size) >= 48_000


@pytest.mark.parametrize("size", [1, 99, 4_800, 1_000_000])
@pytest.mark.parametrize("begin", [tone(1_000), tone(1_000)[:-1]], ids=["whole", "a byte is missing"])
def test_a_sound_that_turns_into_something_else_is_found_out_within_half_a_second(
    size: int, begin: bytes
) -> None:
    data = begin + random.Random(1).randbytes(48_000)
    check, passed = SoundCheck(TEXT, 1.0), 0
    with pytest.raises(VoiceRefusedError, match="is no sound any more") as caught:
        for start in range(0, len(data), size):
            check.add(data[start : start + size])
            passed += size
    assert "response_format" in caught.value.hint
    assert passed <= len(begin) + 24_000


def test_a_voice_that_is_clipped_or_hisses_now_and_then_passes() -> None:
    hiss = random.Random(1).randbytes(9_600)
    assert checked(tone(300) + (hiss + tone(100)) * 10, 4_800)
