from __future__ import annotations

import math
import statistics
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import FRAME_BYTES, SAMPLE_RATE, level_dbfs
from libacli.core.mouth import MouthShape, MouthTracker

SILENCE = bytes(FRAME_BYTES)


def frame(frequency: float, peak: float) -> bytes:
    count = FRAME_BYTES // 2
    wave = (peak * math.sin(2 * math.pi * frequency * position / SAMPLE_RATE) for position in range(count))
    return struct.pack(f"<{count}h", *(int(sample) for sample in wave))


@given(st.lists(st.binary(min_size=FRAME_BYTES, max_size=FRAME_BYTES), max_size=5))
def test_a_shape_is_always_within_its_bounds(frames: list[bytes]) -> None:
    tracker = MouthTracker()
    for one in frames:
        shape = tracker.push(one)
        assert 0 <= shape.openness <= 1
        assert 0 <= shape.width <= 1


def test_silence_keeps_the_mouth_closed() -> None:
    tracker = MouthTracker()
    assert all(tracker.push(SILENCE).openness == 0 for _ in range(50))


def test_it_opens_with_the_first_loud_frame() -> None:
    assert MouthTracker().push(frame(300, 8000)).openness > 0.5


def test_it_is_closed_within_120_ms_of_silence() -> None:
    tracker = MouthTracker()
    for _ in range(20):
        tracker.push(frame(300, 8000))
    shapes = [tracker.push(SILENCE) for _ in range(6)]
    assert shapes[-1].openness == 0


def test_it_follows_the_energy_of_the_sound() -> None:
    tracker = MouthTracker()
    peaks = [4000 + 3900 * math.sin(position / 6) for position in range(200)]
    frames = [frame(250, peak) for peak in peaks]
    opened = [tracker.push(one).openness for one in frames]
    levels = [10 ** (level_dbfs(one) / 20) for one in frames]
    assert statistics.correlation(opened, levels) > 0.85


def test_a_quiet_voice_opens_it_too_after_a_while() -> None:
    tracker = MouthTracker()
    shapes = [tracker.push(frame(250, 1200)) for _ in range(400)]
    assert shapes[-1].openness > 0.5


@pytest.mark.parametrize(("frequency", "is_wide"), [(150, False), (3500, True)])
def test_bright_sounds_widen_it_and_dark_ones_round_it(frequency: float, is_wide: bool) -> None:
    tracker = MouthTracker()
    shape = MouthShape()
    for _ in range(10):
        shape = tracker.push(frame(frequency, 8000))
    assert (shape.width > 0.5) is is_wide
