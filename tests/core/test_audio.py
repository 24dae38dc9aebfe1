from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import (
    AUDIBLE_PEAK,
    FRAME_BYTES,
    FrameSlicer,
    duration_s,
    first_audible_s,
    frames_of,
    is_audible,
    level_dbfs,
    reaches,
    silence,
)


@given(st.lists(st.binary(max_size=3000)))
def test_fault_41_frames_are_the_bytes_that_went_in_however_they_were_cut(pieces: list[bytes]) -> None:
    slicer = FrameSlicer()
    frames = [frame for piece in pieces for frame in slicer.push(piece)] + list(slicer.flush())
    given_bytes = b"".join(pieces)
    whole_samples = given_bytes[: len(given_bytes) // 2 * 2]
    assert all(len(frame) == FRAME_BYTES for frame in frames)
    assert b"".join(frames).startswith(whole_samples)
    assert 0 <= len(b"".join(frames)) - len(whole_samples) < FRAME_BYTES
    assert not any(b"".join(frames)[len(whole_samples) :])


@given(st.lists(st.binary(max_size=30_000)), st.integers(0, 12), st.integers(1, 6))
def test_frames_that_come_together_are_the_same_bytes_and_the_first_come_alone(
    pieces: list[bytes], singly: int, at_once: int
) -> None:
    alone, joining = FrameSlicer(), FrameSlicer(singly=singly, at_once=at_once)
    expected = [frame for piece in pieces for frame in alone.push(piece)]
    joined = [frames for piece in pieces for frames in joining.push(piece)]
    assert [frame for frames in joined for frame in frames_of(frames)] == expected
    assert all(len(frames) == FRAME_BYTES for frames in joined[:singly])
    assert all(len(frames) <= at_once * FRAME_BYTES for frames in joined)
    assert list(joining.flush()) == list(alone.flush())


def test_a_flushed_slicer_is_empty() -> None:
    slicer = FrameSlicer()
    assert list(slicer.push(b"ab")) == []
    assert len(list(slicer.flush())) == 1
    assert list(slicer.flush()) == []


@pytest.mark.parametrize(("milliseconds", "frames"), [(0, 0), (1, 1), (20, 1), (120, 6), (130, 7)])
def test_silence_is_whole_frames_and_not_too_short(milliseconds: int, frames: int) -> None:
    assert silence(milliseconds) == bytes(frames * FRAME_BYTES)


def test_one_second_is_48_000_bytes() -> None:
    assert duration_s(48_000) == 1.0


def test_the_first_sample_that_can_be_heard_is_found_to_the_sample() -> None:
    pcm = struct.pack("<480h", *[0] * 240, *[-4000] * 240)
    assert first_audible_s(pcm) == 0.01
    assert is_audible(pcm)


def test_silence_and_codec_noise_cannot_be_heard() -> None:
    assert first_audible_s(b"") is None
    assert first_audible_s(struct.pack("<4h", 0, 300, -300, 0)) is None
    assert not is_audible(b"")
    assert not is_audible(bytes(960))


def test_the_level_of_a_full_scale_square_wave_is_zero() -> None:
    assert level_dbfs(struct.pack("<4h", 32767, -32768, 32767, -32768)) == pytest.approx(0, abs=0.001)
    assert level_dbfs(bytes(4)) == -math.inf
    assert level_dbfs(b"") == -math.inf


LEVELS = st.integers(0, 32_768)
NEAR = st.tuples(LEVELS, st.integers(-2, 2), st.booleans())


@given(NEAR, st.lists(st.integers(-32_768, 32_767), max_size=20))
def test_whether_a_sound_reaches_a_level_is_known_to_the_sample(
    near: tuple[int, int, bool], others: list[int]
) -> None:
    level, beside, is_negative = near
    sample = max(-32_768, min(32_767, -(level + beside) if is_negative else level + beside))
    below = [other for other in others if abs(other) < level]
    for values in (below, others, [*below, sample]):
        pcm = struct.pack(f"<{len(values)}h", *values)
        assert reaches(pcm, level) == any(abs(value) >= level for value in values)
        assert is_audible(pcm) == any(abs(value) >= AUDIBLE_PEAK for value in values)
