from __future__ import annotations

import functools
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.core.audio import SAMPLE_RATE
from libacli.core.mpeg_sync import mpeg_at
from libacli.core.sound_format import Content, recognise
from libacli.core.sound_label import SoundLabel
from libacli.speech.fakes import tone
from tests.sounds import MP4_IN_PIECES, as_width, encoded, s16, wav, wave

UNLABELLED = SoundLabel()
PCM = SoundLabel("audio/pcm")
MPEG = SoundLabel("audio/mpeg")
LABELS = [UNLABELLED, PCM, MPEG, SoundLabel("application/octet-stream"), SoundLabel("text/plain")]


@functools.cache
def sound(name: str) -> bytes:
    """One short sound of each kind."""
    make = functools.partial(encoded, seconds=0.5)
    return {
        "wav": lambda: wav(s16(22_050), 22_050),
        "mp3": lambda: make("mp3", "libmp3lame", 24_000),
        "mp3 bare": lambda: make(
            "mp3", "libmp3lame", 44_100, channels=2, options={"write_xing": "0", "id3v2_version": "0"}
        ),
        "mp2": lambda: make("mp2", "mp2", 48_000),
        "ogg": lambda: make("ogg", "libopus", 48_000),
        "webm": lambda: make("webm", "libopus", 48_000),
        "flac": lambda: make("flac", "flac", 24_000),
        "aac": lambda: make("adts", "aac", 24_000),
        "mp4": lambda: make("mp4", "aac", 24_000, options=MP4_IN_PIECES),
        "mp4 faststart": lambda: make("mp4", "aac", 24_000, options={"movflags": "faststart"}),
        "late mp4": lambda: make("mp4", "aac", 24_000),
        "aiff": lambda: make("aiff", "pcm_s16be", 24_000),
        "au": lambda: make("au", "pcm_s16be", 24_000),
        "caf": lambda: make("caf", "pcm_s16be", 24_000),
        "pcm": lambda: s16(SAMPLE_RATE, seconds=0.5),
    }[name]()


KINDS = {
    "wav": "wav",
    "mp3": "mp3",
    "mp3 bare": "mp3",
    "mp2": "mp3",
    "ogg": "ogg",
    "webm": "webm",
    "flac": "flac",
    "aac": "aac",
    "mp4": "mp4",
    "mp4 faststart": "mp4",
    "late mp4": "late mp4",
    "aiff": "aiff",
    "au": "au",
    "caf": "caf",
}


def decided_after(data: bytes, label: SoundLabel) -> tuple[Content, int]:
    """What `data` is, and how many bytes of it told, when they come one by one."""
    for length in range(1, len(data)):
        if content := recognise(data[:length], label):
            return content, length
    content = recognise(data, label, is_all=True)
    assert content
    return content, len(data)


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.media_type)
@pytest.mark.parametrize("name", KINDS)
def test_the_first_bytes_decide_whatever_the_label(name: str, label: SoundLabel) -> None:
    content, length = decided_after(sound(name), label)
    assert content == Content(KINDS[name])  # type: ignore[arg-type]
    assert length <= 4_096


@pytest.mark.parametrize("name", KINDS)
def test_more_bytes_do_not_change_it(name: str) -> None:
    _, length = decided_after(sound(name), UNLABELLED)
    assert recognise(sound(name), UNLABELLED) == recognise(sound(name)[:length], UNLABELLED)


@pytest.mark.parametrize("label", LABELS[:2] + LABELS[3:4], ids=lambda label: label.media_type)
@pytest.mark.parametrize(
    "data",
    [tone(500), s16(SAMPLE_RATE), bytes(9_600), b"\xff" * 9_600],
    ids=["burst", "tone", "silence", "-1"],
)
def test_samples_are_known_by_their_first_few(data: bytes, label: SoundLabel) -> None:
    content, length = decided_after(data, label)
    assert content == Content("pcm")
    assert length <= 24


def test_samples_that_are_called_mp3_are_samples() -> None:
    content, length = decided_after(s16(SAMPLE_RATE), MPEG)
    assert content == Content("pcm")
    assert length <= 4_096


def test_mp3_that_begins_within_a_frame_is_mp3_if_it_is_called_so() -> None:
    data = sound("mp3 bare")[100:]
    content, _ = decided_after(data, MPEG)
    assert content.kind == "mp3"
    assert mpeg_at(data, content.start) == "mp3"


@pytest.mark.parametrize("second", range(0xE0, 0x100))
def test_samples_that_begin_like_a_frame_are_samples(second: int) -> None:
    """Every first sample that could be the header of a frame, before a voice goes on."""
    data = bytes([0xFF, second]) + s16(SAMPLE_RATE)
    for label in (UNLABELLED, PCM):
        content, _ = decided_after(data, label)
        assert content == Content("pcm")


def test_hardly_any_beginning_of_a_hiss_is_taken_for_frames() -> None:
    chance = random.Random(7)
    for _ in range(2_000):
        noise = b"\xff\xfb" + chance.randbytes(3_000)
        content = recognise(noise, PCM, is_all=True)
        assert content == Content("pcm")


@given(st.binary(min_size=1, max_size=300), st.sampled_from(LABELS), st.booleans())
def test_any_bytes_have_an_answer(data: bytes, label: SoundLabel, is_all: bool) -> None:
    content = recognise(data, label, is_all=is_all)
    assert content or not is_all
    assert not content or bool(content.words) == (content.kind is None)


TEXTS = {
    '{"error": {"message": "The engine is overloaded."}}': "JSON",
    '\n  [{"loc": ["body"]}]': "JSON",
    "<!DOCTYPE html><html><body>Bad gateway</body></html>": "a web page",
    "<html>": "a web page",
    '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>': "XML",
    "upstream connect error or disconnect/reset before headers": "text",
    "Internal Server Error": "text",
    "\ufeffZu viele Anfragen, später noch einmal versuchen": "text",
    "请求过多，请稍后再试": "text",
    'event: speech.audio.delta\ndata: {"type": "speech.audio.delta"}\n\n': "a stream of events",
    'data: {"audio": "UklGRg=="}\n\n': "a stream of events",
    "OK": "text",
    "UklGRmisAABXQVZFZm10IBAAAAABAAEAIlYAAESsAAACABAAZGF0YUSsAAAAAOgD": "base64",
    "data:audio/wav;base64,UklGRmisAABXQVZFZm10IBAAAAABAAEAIlYAAESsAAAC": "base64",
    "\x1b[31mError:\x1b[0m the model could not be loaded: out of memory on device 0": "text",
}


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.media_type)
@pytest.mark.parametrize("text", TEXTS)
def test_text_is_no_sound_whatever_its_label(text: str, label: SoundLabel) -> None:
    for data in (text.encode(), text.encode() * 50):
        content, length = decided_after(data, label)
        assert content == Content(None, words=TEXTS[text])
        assert length <= 64 or len(data) == length


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(50), "a JPEG image"),
        (b"GIF89a" + bytes(50), "a GIF image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP image"),
        (b"%PDF-1.7\n" + bytes(50), "a PDF document"),
        (b"PK\x03\x04" + bytes(50), "a ZIP archive"),
        (b"\x1f\x8b\x08\0" + bytes(50), "compressed data"),
        (b"RIFX\0\0\0\x24WAVEfmt ", "big-endian WAV"),
        (b"riff\x2e\x91\xcf\x11" + bytes(50), "Wave64"),
        (b"wvpk" + bytes(50), "WavPack"),
        (b"TTA1" + bytes(50), "True Audio"),
        (b".SoX" + bytes(50), "SoX's own format"),
        (b"Creative Voice File\x1a\x1a\0" + bytes(50), "a Creative Voice file"),
        (b"FLV\x01" + bytes(50), "Flash video"),
    ],
)
def test_other_files_are_no_sound(data: bytes, words: str) -> None:
    for label in LABELS:
        assert decided_after(data, label)[0] == Content(None, words=words)


@pytest.mark.parametrize("name", ["wav", "ogg", "flac"])
@pytest.mark.parametrize("blanks", [b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_blanks_that_slipped_in_before_a_sound_are_passed_over(name: str, blanks: bytes) -> None:
    content, length = decided_after(blanks + sound(name), PCM)
    assert content == Content(KINDS[name], start=len(blanks))  # type: ignore[arg-type]
    assert length <= 64


def test_samples_that_begin_with_blanks_are_samples() -> None:
    assert decided_after(b"\r\n\r\n" + s16(SAMPLE_RATE), PCM)[0] == Content("pcm")


def test_samples_that_are_called_text_are_not_believed() -> None:
    assert recognise(tone(500), SoundLabel("text/html")) == Content(None, words="text/html")


def test_an_answer_without_a_byte_is_samples_without_one() -> None:
    assert recognise(b"", PCM) is None
    assert recognise(b"", PCM, is_all=True) == Content("pcm")


@given(st.lists(st.integers(-32768, 32767), min_size=40, max_size=40), st.sampled_from([UNLABELLED, PCM]))
def test_a_voice_is_hardly_ever_taken_for_anything_else(values: list[int], label: SoundLabel) -> None:
    data = struct.pack("<40h", *values)
    content = recognise(data, label, is_all=True)
    assert content and (content.kind == "pcm" or any(abs(value) > 0x2020 for value in values))


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_of_every_rate_has_its_frames_where_the_headers_say(rate: int, channels: int) -> None:
    bare = {"write_xing": "0", "id3v2_version": "0"}
    data = encoded("mp3", "libmp3lame", rate, channels=channels, seconds=0.4, options=bare)
    assert mpeg_at(data, frames=4) == "mp3"


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_aac_of_every_rate_has_its_frames_where_the_headers_say(rate: int) -> None:
    assert mpeg_at(encoded("adts", "aac", rate, seconds=0.5), frames=4) == "aac"


def test_the_samples_of_a_wave_are_what_the_tests_take_them_for() -> None:
    values = wave(24_000, seconds=0.01)
    assert as_width(values, "s16le") == s16(24_000, seconds=0.01)
