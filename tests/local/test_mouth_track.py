from __future__ import annotations

import statistics

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libacli.core.audio import FRAME_BYTES, FRAME_MS
from libacli.core.mouth import MouthShape
from libacli.local.mouth_track import MouthTrack
from tests.lip_closure import (
    ORDINARY,
    SENTENCES,
    Closures,
    loudness,
    openness_and_loudness,
    pcm_of,
    pictured,
    shapes_of,
)
from tests.timed_phonemes import say

SILENCE = bytes(FRAME_BYTES)


@pytest.fixture(scope="module")
def ordinary() -> list[bytes]:
    return [pcm_of(say(text)[0]) for text in ORDINARY]


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=FRAME_BYTES, max_size=FRAME_BYTES), min_size=1, max_size=5))
def test_a_shape_is_always_within_its_bounds(frames: list[bytes]) -> None:
    track = MouthTrack()
    for shape in [shape for frame in frames for shape in track.push(frame)]:
        assert 0 <= shape.openness <= 1
        assert 0 <= shape.width <= 1
        assert 0 <= shape.stress <= 1


def test_silence_keeps_the_mouth_closed() -> None:
    track = MouthTrack()
    assert all(shape.openness == 0 for _ in range(50) for shape in track.push(SILENCE))


def test_lips_meet_at_nine_of_ten_m_b_and_p_and_hardly_elsewhere() -> None:
    closures = Closures()
    for samples, sounds in map(say, SENTENCES):
        times, mouths = pictured(shapes_of(pcm_of(samples)))
        closures.count(sounds, times, [mouth.openness for mouth in mouths])
    assert closures.asked > 200
    assert closures.share >= 0.9
    assert closures.wrong_share < 0.15


def test_the_lower_lip_meets_the_teeth_at_f() -> None:
    """A "v" after a vowel cannot be told from a "b" in this voice: lips meet there."""
    bitten, asked = 0, 0
    for samples, sounds in map(
        say, ("Fifty fine films for free.", "If it is safe, the staff feel fit enough.")
    ):
        times, mouths = pictured(shapes_of(pcm_of(samples)))
        bites = [at for at, mouth in zip(times, mouths, strict=True) if mouth.contact == "bite"]
        lips = [sound for sound in sounds if sound.viseme == "FF"]
        asked += len(lips)
        bitten += sum(any(lip.start - 0.06 <= at <= lip.end + 0.06 for at in bites) for lip in lips)
    assert asked >= 10
    assert bitten / asked >= 0.9


def test_an_ee_is_wide_and_an_oo_is_round() -> None:
    def width(text: str, viseme: str) -> float:
        samples, sounds = say(text)
        times, mouths = pictured(shapes_of(pcm_of(samples)))
        vowels = [sound for sound in sounds if sound.viseme == viseme]
        seen = zip(times, mouths, strict=True)
        return statistics.fmean(
            mouth.width for at, mouth in seen if any(vowel.start < at < vowel.end for vowel in vowels)
        )

    assert width("She sees me leave.", "ih") > 0.5 > width("Two new blue shoes.", "ou") + 0.1


def test_openness_goes_with_the_sound(ordinary: list[bytes]) -> None:
    assert statistics.fmean(openness_and_loudness(pcm, shapes_of(pcm)) for pcm in ordinary) >= 0.8


def test_openness_is_neither_early_nor_late(ordinary: list[bytes]) -> None:
    for pcm in ordinary:
        open_by, loud = [shape.openness for shape in shapes_of(pcm)], loudness(pcm)
        most = 10
        middle = loud[most:-most]
        fits = [
            (statistics.correlation(open_by[most + lag : len(loud) - most + lag], middle), lag)
            for lag in range(-most, most)
        ]
        _, lag = max(fits)
        assert abs(lag) * FRAME_MS <= 40


def test_the_mouth_is_closed_within_120_ms_of_silence(ordinary: list[bytes]) -> None:
    pcm = ordinary[1]
    loud = max(range(100), key=lambda frame: loudness(pcm)[frame])
    shapes = shapes_of(pcm[: (loud + 1) * FRAME_BYTES] + 30 * SILENCE)
    assert shapes[loud].openness > 0.3
    assert all(shape.openness == 0 for shape in shapes[loud + 1 + 120 // FRAME_MS :])


@pytest.mark.parametrize("batch_frames", [1, 3, 25, 1000])
def test_it_is_all_one_in_which_pieces_the_sound_comes(ordinary: list[bytes], batch_frames: int) -> None:
    usual = shapes_of(ordinary[0] + 20 * SILENCE)
    other = shapes_of(ordinary[0] + 20 * SILENCE, batch_frames=batch_frames)
    assert [shape.openness for shape in other] == pytest.approx([shape.openness for shape in usual], abs=0.02)


def test_a_soft_voice_opens_the_mouth_too_from_its_second_utterance_on() -> None:
    soft = pcm_of(say(ORDINARY[6])[0], peak=0.05)
    first = MouthTrack()
    first.push(soft)
    again = first.following().push(soft)
    assert max(shape.openness for shape in again) > 0.35


def test_the_loudest_syllables_are_stressed_and_most_are_not(ordinary: list[bytes]) -> None:
    stress = [shape.stress for pcm in ordinary for shape in shapes_of(pcm)]
    assert max(stress) > 0.5
    assert statistics.median(stress) < 0.15


def test_long_speech_is_forgotten_but_for_what_the_next_frames_need() -> None:
    track, noise = MouthTrack(), numpy.random.default_rng(0).integers(-9000, 9000, FRAME_BYTES // 2)
    frame = noise.astype("<i2").tobytes()
    shapes: list[MouthShape] = []
    for _ in range(200):
        shapes = track.push(frame)
    assert len(shapes) < 10
    assert len(track._samples) < 30 * FRAME_BYTES
