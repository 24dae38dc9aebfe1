from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.pcm_format import PcmFormat
from libacli.core.sound_format import BrokenSoundError
from libacli.core.wav import WavReader
from tests.sounds import LIST, chunk, kokoro_wav_with_junk, s16, wav

DATA = bytes(range(1, 251)) * 8


def read(reader: WavReader, data: bytes, size: int = 7) -> bytes:
    """What comes of `data` in pieces of `size`."""
    sound = b"".join(reader.push(data[start : start + size]) for start in range(0, len(data), size))
    return sound + reader.finish()


@pytest.mark.parametrize("told_bytes", [None, 0, 0xFFFFFFFF, 0x7FFFFFFF, 2_000_000_000, 0x7FFFF000])
@pytest.mark.parametrize("before", [b"", LIST, chunk(b"fact", bytes(4)) + LIST])
@pytest.mark.parametrize("behind", [b"", LIST, LIST + chunk(b"id3 ", bytes(21))])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_samples_come_out_and_nothing_else(
    told_bytes: int | None, before: bytes, behind: bytes, size: int
) -> None:
    reader = WavReader()
    file = wav(DATA, 22_050, before=before, behind=behind, told_bytes=told_bytes)
    assert read(reader, file, size) == DATA
    assert (reader.format, reader.missing_bytes) == (PcmFormat(22_050), 0)


@given(st.binary(max_size=600), st.sampled_from([None, 0, 0xFFFFFFFF]), st.integers(1, 40))
def test_any_bytes_are_samples(data: bytes, told_bytes: int | None, size: int) -> None:
    # A length of 0 that is true is the same as an unknown one; what follows it then is a chunk or a sample.
    assert read(WavReader(), wav(data, 8_000, kind="u8", told_bytes=told_bytes), size)[: len(data)] == data


@pytest.mark.parametrize(
    ("kind", "channels"),
    [
        ("u8", 1),
        ("s16le", 2),
        ("s24le", 1),
        ("s32le", 2),
        ("f32le", 1),
        ("f64le", 1),
        ("alaw", 1),
        ("mulaw", 1),
    ],
)
@pytest.mark.parametrize("is_extensible", [False, True])
def test_the_format_is_known_with_the_first_samples(kind: str, channels: int, is_extensible: bool) -> None:
    reader = WavReader()
    file = wav(DATA, 48_000, kind=kind, channels=channels, is_extensible=is_extensible)
    for start in range(len(file)):
        if reader.push(file[start : start + 1]):
            break
    assert reader.format == PcmFormat(48_000, channels, kind)  # type: ignore[arg-type]


def test_files_one_after_the_other_are_one_sound() -> None:
    file = wav(DATA, 24_000, behind=LIST)
    assert read(WavReader(), file * 3) == DATA * 3
    endless = wav(DATA, 24_000, told_bytes=0xFFFFFFFF)
    assert read(WavReader(), endless * 3) == DATA * 3


def test_sizes_for_a_header_that_has_left_are_no_sound() -> None:
    assert read(WavReader(), kokoro_wav_with_junk(0.5)) == s16(24_000, seconds=0.5)


def test_the_pad_byte_behind_an_odd_number_of_samples_is_none() -> None:
    assert read(WavReader(), wav(b"\x81\x82\x83", 8_000, kind="u8", behind=LIST)) == b"\x81\x82\x83"


def test_what_was_promised_and_did_not_come_is_known() -> None:
    reader = WavReader()
    assert read(reader, wav(DATA, 24_000)[:-500]) == DATA[:-500]
    assert reader.missing_bytes == 500


def test_bytes_behind_the_samples_that_are_no_chunk_are_no_sound() -> None:
    assert read(WavReader(), wav(DATA, 24_000, behind=b"\0\x01\x02\x03" * 20)) == DATA


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (b"RIFF\x24\0\0\0AVI LIST", "RIFF that is not WAV"),
        (wav(b"", 24_000)[:40].replace(b"\x01\0\x01\0", b"\x55\0\x01\0", 1) + bytes(20), "WAV of format 85"),
        (wav(DATA, 24_000, channels=9), "9 channels"),
        (wav(DATA, 7), "7 Hz"),
        (b"RIFF\0\0\0\0WAVEdata\x10\0\0\0" + DATA, "without a format"),
        (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0\x01\0\x01\0data", "broken header"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f" + DATA, "no end"),
        (wav(DATA, 24_000) + wav(DATA, 22_050), "changes its format"),
        (b"RIFF\0\0\0\0WAVE", "before its samples begin"),
    ],
)
def test_what_is_no_wav_that_can_be_read_is_told(file: bytes, told: str) -> None:
    with pytest.raises(BrokenSoundError, match=told):
        read(WavReader(), file)
