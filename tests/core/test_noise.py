from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import samples
from libacli.core.noise import ENOUGH_BYTES, is_noise
from libacli.speech.fakes import tone
from tests.sounds import as_width, encoded, wave

CHANCE = random.Random(3)


@given(st.binary(min_size=ENOUGH_BYTES, max_size=ENOUGH_BYTES).filter(lambda data: len(set(data)) > 150))
def test_hypothesis_finds_no_random_bytes_that_are_no_noise(data: bytes) -> None:
    assert is_noise(data) or sum(map(abs, samples(data))) / 256 < 12_000


@pytest.mark.parametrize("seed", range(50))
def test_random_bytes_are_noise(seed: int) -> None:
    assert is_noise(random.Random(seed).randbytes(ENOUGH_BYTES))


def test_compressed_bytes_are_noise() -> None:
    text = " ".join(str(CHANCE.random()) for _ in range(2_000)).encode()
    assert is_noise(zlib.compress(text)[100:])
    assert is_noise(encoded("ogg", "libopus", 48_000, seconds=2)[3_000:])


@pytest.mark.parametrize("hertz", [80, 440, 1_000, 3_000])
@pytest.mark.parametrize("peak", [300, 8_000, 32_000])
def test_a_tone_is_none(hertz: int, peak: int) -> None:
    assert not is_noise(wave(24_000, seconds=0.1, hertz=hertz, peak=peak).tobytes())


@pytest.mark.parametrize("kind", ["u8", "alaw", "mulaw"])
@pytest.mark.parametrize("hertz", [200, 440, 1_500])
@pytest.mark.parametrize("peak", [1_000, 8_000, 30_000])
def test_samples_of_8_bits_read_as_16_are_noise(kind: str, hertz: int, peak: int) -> None:
    data = as_width(wave(24_000, seconds=0.5, hertz=hertz, peak=peak), kind)
    windows = [
        data[start : start + ENOUGH_BYTES] for start in range(0, len(data) - ENOUGH_BYTES, ENOUGH_BYTES)
    ]
    assert sum(map(is_noise, windows)) > len(windows) / 2


def test_a_hiss_of_speech_is_none() -> None:
    hiss = [int(CHANCE.gauss(0, 5_000)) for _ in range(300)]  # -16 dBFS
    assert not is_noise(b"".join(value.to_bytes(2, "little", signed=True) for value in hiss))


@pytest.mark.parametrize("data", [b"", b"\1\2", bytes(600), tone(50), b"\xff\x7f\x01\x80" * 3])
def test_what_is_too_short_or_quiet_is_none(data: bytes) -> None:
    assert not is_noise(data) or len(data) == 12
