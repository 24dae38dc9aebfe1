"""Every format in which servers send sound, in pieces of every length, is heard as it was meant."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

import pytest

from libacli.core.audio import SAMPLE_RATE, duration_s, samples
from libacli.core.sound_label import SoundLabel, read_label
from libacli.edges.voices.sound_stream import SoundStream
from libacli.errors import VoiceError, VoiceRefusedError, VoiceTruncatedError
from libacli.speech.fakes import tone
from tests.sounds import (
    HERTZ,
    LIST,
    MP4_IN_PIECES,
    SECONDS,
    as_width,
    encoded,
    hertz_of,
    kokoro_wav_with_junk,
    peak_of,
    s16,
    wav,
    wave,
)

OPUS_PAGES = {"page_duration": "20000"}
NO_TAGS = {"write_xing": "0", "id3v2_version": "0"}

FILES: dict[str, Callable[[], bytes]] = {
    **{
        f"wav {kind} {rate} {channels}": functools.partial(
            lambda kind, rate, channels: wav(
                as_width(wave(rate, channels=channels), kind), rate, kind=kind, channels=channels
            ),
            kind,
            rate,
            channels,
        )
        for kind in ("u8", "s16le", "s24le", "s32le", "f32le", "f64le")
        for rate, channels in ((8_000, 1), (22_050, 1), (24_000, 1), (44_100, 2), (48_000, 1))
    },
    "wav extensible": lambda: wav(
        as_width(wave(48_000, channels=2), "s24le"), 48_000, kind="s24le", channels=2, is_extensible=True
    ),
    "wav endless": lambda: wav(s16(22_050), 22_050, before=LIST, behind=LIST, told_bytes=0xFFFFFFFF),
    "wav of length 0": lambda: wav(s16(16_000), 16_000, behind=LIST, told_bytes=0),
    "wav, plain, with tags": lambda: wav(s16(24_000), 24_000, before=LIST, behind=LIST),
    "wav with junk": kokoro_wav_with_junk,
    "wav in several files": lambda: wav(s16(22_050, seconds=SECONDS / 2), 22_050, behind=LIST) * 2,
    "wav mu-law": lambda: encoded("wav", "pcm_mulaw", 8_000),
    "wav A-law": lambda: encoded("wav", "pcm_alaw", 8_000),
    "mp3": lambda: encoded("mp3", "libmp3lame", 24_000),
    "mp3 stereo": lambda: encoded("mp3", "libmp3lame", 44_100, channels=2),
    "mp3 without tags": lambda: encoded("mp3", "libmp3lame", 22_050, options=NO_TAGS),
    "mp3 of 8 kHz": lambda: encoded("mp3", "libmp3lame", 8_000, options=NO_TAGS),
    "mp3 with old tag": lambda: encoded("mp3", "libmp3lame", 24_000) + b"TAG" + bytes(125),
    "mp2": lambda: encoded("mp2", "mp2", 48_000),
    "ogg opus": lambda: encoded("ogg", "libopus", 48_000, options=OPUS_PAGES),
    "ogg opus stereo": lambda: encoded("ogg", "libopus", 48_000, channels=2),
    "ogg vorbis": lambda: encoded("ogg", "vorbis", 44_100, channels=2),
    "ogg flac": lambda: encoded("ogg", "flac", 24_000),
    "webm opus": lambda: encoded("webm", "libopus", 48_000),
    "flac": lambda: encoded("flac", "flac", 24_000),
    "flac stereo": lambda: encoded("flac", "flac", 44_100, channels=2),
    "flac, odd": lambda: encoded("flac", "flac", 22_060, options={"compression_level": "12"}),
    "aac": lambda: encoded("adts", "aac", 24_000),
    "aac stereo": lambda: encoded("adts", "aac", 44_100, channels=2),
    "mp4 in pieces": lambda: encoded("mp4", "aac", 24_000, options=MP4_IN_PIECES),
    "mp4 faststart": lambda: encoded("mp4", "aac", 44_100, options={"movflags": "faststart"}),
    "m4a": lambda: encoded("ipod", "aac", 24_000),
    "aiff": lambda: encoded("aiff", "pcm_s16be", 22_050),
    "au": lambda: encoded("au", "pcm_s16be", 16_000),
    "caf": lambda: encoded("caf", "pcm_s16be", 44_100),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a decoder has a thread of its own


_TINY_FOR, _LARGER = 2_000, 100


@functools.cache
def file(name: str) -> bytes:
    return FILES[name]()


async def pieces_of(data: bytes, size: int) -> AsyncGenerator[bytes]:
    """Tiny ones at the beginning and at the end; between them some that are larger, and cut as oddly."""
    start = 0
    while start < len(data):
        is_between = _TINY_FOR < start < len(data) - _TINY_FOR
        end = start + (_LARGER + size if is_between and size < _LARGER else size)
        yield data[start:end]
        start = end


async def heard(
    data: bytes, *, size: int = 1_000, label: SoundLabel | None = None, sample_rate: int = 0
) -> bytes:
    """What comes of `data` in pieces of `size` bytes."""
    async with aclosing(pieces_of(data, size)) as pieces:
        stream = SoundStream(pieces, label or SoundLabel(), sample_rate=sample_rate)
        async with aclosing(stream.pcm()) as pcm:
            found = [piece async for piece in pcm]
    assert all(found), "a piece was empty"
    return b"".join(found)


_AT_ONCE: dict[str, bytes] = {}


async def heard_at_once(name: str) -> bytes:
    if name not in _AT_ONCE:
        _AT_ONCE[name] = await heard(file(name), size=1_000_000)
    return _AT_ONCE[name]


def assert_is_the_tone(pcm: bytes, *, seconds: float = SECONDS) -> None:
    assert hertz_of(pcm) == pytest.approx(HERTZ, rel=0.01)
    assert duration_s(len(pcm)) == pytest.approx(seconds, abs=0.16)  # what encoders put before and behind
    assert 7_000 < peak_of(pcm) < 13_000  # a tone that ends at once rings


@pytest.mark.parametrize("name", FILES)
async def test_every_format_is_heard_at_its_pitch_and_length(name: str) -> None:
    assert_is_the_tone(await heard(file(name)))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 509, 4_097, 100_000])
@pytest.mark.parametrize(
    "name",
    ["wav s24le 44100 2", "wav endless", "mp3 without tags", "ogg opus", "webm opus", "flac", "aac", "m4a"],
)
async def test_it_does_not_matter_where_the_pieces_are_cut(name: str, size: int) -> None:
    assert await heard(file(name), size=size) == await heard_at_once(name)


@pytest.mark.parametrize("name", ["wav s16le 22050 1", "mp3", "ogg opus", "flac", "aac", "webm opus"])
@pytest.mark.parametrize(
    "media_type", ["audio/pcm", "application/octet-stream", "Audio/MPEG", "text/plain", ""]
)
async def test_the_label_does_not_matter(name: str, media_type: str) -> None:
    assert_is_the_tone(await heard(file(name), label=SoundLabel(media_type.lower())))


async def test_liba_s_own_samples_pass_untouched() -> None:
    data = tone(2_000)
    pieces = [data[start : start + 4_801] for start in range(0, len(data), 4_801)]

    async def given() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    async with aclosing(SoundStream(given(), SoundLabel("audio/pcm")).pcm()) as pcm:
        found = [piece async for piece in pcm]
    assert all(one is other for one, other in zip(found, pieces, strict=True))


@pytest.mark.parametrize("told", [{"content-type": "audio/pcm;rate=22050"}, {"x-sample-rate": "22050"}])
async def test_samples_of_another_rate_are_heard_right_where_the_answer_tells_it(
    told: dict[str, str],
) -> None:
    label = read_label(told)
    assert_is_the_tone(await heard(s16(22_050), label=label))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("size", [1, 999, 1_000_000])
async def test_samples_of_another_rate_are_heard_right_where_it_is_set(rate: int, size: int) -> None:
    data = s16(rate)
    pcm = await heard(data, size=size, sample_rate=rate)
    assert_is_the_tone(pcm)
    assert len(samples(pcm)) == pytest.approx(SAMPLE_RATE * SECONDS, abs=2)


async def test_a_header_goes_before_the_rate_that_is_set() -> None:
    assert_is_the_tone(await heard(file("wav s16le 8000 1"), sample_rate=48_000))


@pytest.mark.parametrize(
    ("label", "data"),
    [
        ({"content-type": "audio/pcm;channels=2;rate=48000"}, s16(48_000, channels=2)),
        ({"content-type": "audio/x-raw;format=f32le"}, as_width(wave(24_000), "f32le")),
        ({"content-type": "audio/l16;endianness=big-endian"}, as_width(wave(24_000), "s16be")),
        ({"content-type": "audio/basic"}, encoded("mulaw", "pcm_mulaw", 8_000)),
        ({"content-type": "audio/pcma"}, encoded("alaw", "pcm_alaw", 8_000)),
    ],
    ids=["stereo", "float", "big-endian", "mu-law", "A-law"],
)
async def test_samples_are_read_as_the_label_says(label: dict[str, str], data: bytes) -> None:
    assert_is_the_tone(await heard(data, label=read_label(label), size=333))


@pytest.mark.parametrize(
    ("label", "sample_rate", "data", "is_guessed"),
    [
        (SoundLabel("audio/pcm"), 0, tone(100), True),
        (SoundLabel("audio/pcm", rate=24_000), 0, tone(100), False),
        (SoundLabel("audio/pcm"), 24_000, tone(100), False),
        (SoundLabel("audio/pcm"), 0, wav(tone(100), 24_000), False),
    ],
)
async def test_it_is_known_whether_the_rate_was_guessed(
    label: SoundLabel, sample_rate: int, data: bytes, is_guessed: bool
) -> None:
    stream = SoundStream(pieces_of(data, 100), label, sample_rate=sample_rate)
    async with aclosing(stream.pcm()) as pcm:
        assert await anext(pcm)
    assert stream.is_rate_guessed is is_guessed


MOST_SECONDS_BEFORE = {
    "wav s16le 22050 1": 0.02,
    "wav endless": 0.02,
    "mp3": 0.2,
    "mp3 without tags": 0.2,
    "ogg opus": 0.1,
    "webm opus": 0.15,
    "aac": 0.1,
    "mp4 in pieces": 0.3,
    "flac": 0.6,  # the first half of the file is room for tags
}


@pytest.mark.parametrize("name", MOST_SECONDS_BEFORE)
async def test_the_first_sound_comes_with_the_first_bytes_of_it(name: str) -> None:
    data = file(name)
    asked = 0

    async def given() -> AsyncGenerator[bytes]:
        nonlocal asked
        async for piece in pieces_of(data, 256):
            asked += len(piece)
            yield piece

    async with aclosing(SoundStream(given(), SoundLabel()).pcm()) as pcm:
        await anext(pcm)
    assert asked / len(data) * SECONDS <= MOST_SECONDS_BEFORE[name]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"error": {"message": "The model is loading"}}', "JSON instead of sound: The model is loading"),
        (b'{"detail": "no voice bob"}' + b" " * 10_000, "JSON instead of sound: no voice bob"),
        (b"<!doctype html><title>Welcome</title>" * 20, "a web page instead of sound"),
        (b"Bad\x0bgateway" * 20, "text instead of sound: Bad gateway"),
        ("Ungültige Stimme".encode("latin-1") * 20, "text instead of sound: Ung"),
        (b"Service\r\nUnavailable", "text instead of sound: Service Unavailable"),
        (b"\x89PNG\r\n\x1a\n" + bytes(5_000), "a PNG image instead of sound"),
    ],
)
async def test_what_is_no_sound_is_refused_in_the_server_s_words(data: bytes, told: str) -> None:
    for size in (1, 1_000):
        with pytest.raises(VoiceRefusedError) as caught:
            await heard_checked(data, size)
        assert told in str(caught.value)


async def heard_checked(data: bytes, size: int) -> None:
    """As a voice does it: what is played is looked at once more."""
    from libacli.edges.voices.sound_check import SoundCheck

    check = SoundCheck("Hello.", 1.0)
    async with aclosing(SoundStream(pieces_of(data, size), SoundLabel()).pcm()) as pcm:
        async for piece in pcm:
            check.add(piece)
    check.check()


async def test_a_file_that_ends_before_its_header_says_is_cut() -> None:
    with pytest.raises(VoiceTruncatedError, match=r"0\.25 s before"):
        await heard(wav(s16(24_000), 24_000)[: 44 + 36_000])


@pytest.mark.parametrize("size", [1, 999, 100_000])
async def test_a_file_that_goes_on_behind_the_end_that_its_header_names_is_not_taken_for_whole(
    size: int,
) -> None:
    with pytest.raises(VoiceTruncatedError, match=r"0\.[45]\d s of data came behind"):
        await heard(wav(s16(24_000), 24_000, told_bytes=24_000), size=size)


async def test_an_end_within_a_sample_is_told() -> None:
    with pytest.raises(VoiceError, match="the last is cut"):
        await heard(s16(22_050)[:-1], sample_rate=22_050)


@pytest.mark.parametrize("name", ["mp3", "ogg opus", "flac", "m4a", "webm opus", "mp4 faststart"])
async def test_broken_sound_ends_with_an_error_or_with_less_of_it_and_never_with_noise(name: str) -> None:
    data = bytearray(file(name))
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    try:
        assert peak_of(await heard(bytes(data))) < 20_000
    except VoiceError as error:
        assert "cannot be decoded" in str(error)


@pytest.mark.parametrize("name", ["mp3", "ogg opus", "flac", "m4a", "webm opus"])
async def test_a_header_without_anything_behind_it_is_an_error_or_silence(name: str) -> None:
    try:
        assert await heard(file(name)[:60]) == b""
    except VoiceError as error:
        assert "that cannot be decoded" in str(error) or "without sound" in str(error)


async def test_a_stream_without_sound_is_told() -> None:
    import io

    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        out.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        out.mux(stream.encode(None))
    with pytest.raises(VoiceError, match="MATROSKA without sound"):
        await heard(buffer.getvalue())


def decoders() -> Iterable[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "decoder"]


@pytest.mark.parametrize("name", ["mp3", "ogg opus", "webm opus", "m4a"])
async def test_whoever_closes_it_in_the_middle_leaves_no_thread_behind(name: str) -> None:
    before = len(list(decoders()))
    data = file(name)
    stream = SoundStream(pieces_of(data, 300), SoundLabel())
    async with aclosing(stream.pcm()) as pcm:
        await anext(pcm)
    async with asyncio.timeout(5):
        while len(list(decoders())) > before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_whoever_is_cancelled_while_bytes_are_awaited_leaves_no_thread_behind() -> None:
    before = len(list(decoders()))

    async def given() -> AsyncGenerator[bytes]:
        yield file("mp3")[:4_000]
        await asyncio.Event().wait()

    async def listen() -> None:
        async with aclosing(SoundStream(given(), SoundLabel()).pcm()) as pcm:
            async for _ in pcm:
                pass

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await listen()
    async with asyncio.timeout(5):
        while len(list(decoders())) > before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_liba_s_own_samples_load_no_decoder() -> None:
    code = """
import asyncio, sys
from libacli.core.sound_label import SoundLabel
from libacli.edges.voices.sound_stream import SoundStream
from libacli.speech.fakes import tone
from tests.sounds import wav
before = set(sys.modules)
async def given(data):
    yield data
async def listen(data):
    return b"".join([piece async for piece in SoundStream(given(data), SoundLabel()).pcm()])
sys.modules["av"] = None
assert asyncio.run(listen(tone(100))) == tone(100)
assert asyncio.run(listen(wav(tone(100), 24_000))) == tone(100)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
