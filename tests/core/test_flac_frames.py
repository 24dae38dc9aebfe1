from __future__ import annotations

import pytest

from libacli.core.flac_frames import FlacSplitter
from libacli.core.sound_format import BrokenSoundError
from tests.sounds import encoded


def frames_of(data: bytes, size: int) -> list[bytes]:
    splitter = FlacSplitter()
    frames = [
        frame for start in range(0, len(data), size) for frame in splitter.push(data[start : start + size])
    ]
    return [*frames, splitter.finish()]


@pytest.mark.parametrize("rate", [8_000, 22_050, 22_060, 24_000, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_frame_comes_out_whole_wherever_the_pieces_are_cut(rate: int, channels: int) -> None:
    data = encoded("flac", "flac", rate, channels=channels, seconds=0.7)
    frames = frames_of(data, len(data))
    assert len(frames) > 2 and all(frame[:2] == b"\xff\xf8" for frame in frames)
    assert data.endswith(b"".join(frames))
    for size in (1, 13, 1_000):
        assert frames_of(data, size) == frames


def test_a_frame_is_out_when_the_next_one_begins() -> None:
    data = encoded("flac", "flac", 24_000)
    frames = frames_of(data, len(data))
    head = data.index(frames[0])
    splitter = FlacSplitter()
    assert list(splitter.push(data[: head + len(frames[0]) + 16])) == frames[:1]


def test_the_header_of_a_frame_within_another_one_is_no_end() -> None:
    data = bytearray(encoded("flac", "flac", 24_000))
    frames = frames_of(bytes(data), len(data))
    head = data.index(frames[0])
    data[head + 100 : head + 116] = frames[1][:16]
    broken = frames_of(bytes(data), len(data))
    assert len(broken[0]) >= len(frames[0]), "it is not cut where it only seems to end"


@pytest.mark.parametrize("data", [b"fLaC\x81\0\0\0" + bytes(50), b"fLaC\x80\0\0\4abcd" + bytes(50)])
def test_what_does_not_say_what_it_is_is_told(data: bytes) -> None:
    with pytest.raises(BrokenSoundError, match="does not say"):
        frames_of(data, 7)
