"""Files of all kinds as sounds that can be sent, and what is none."""

from __future__ import annotations

import asyncio
import functools
import io
import math
import wave as wave_files
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from av.audio.stream import AudioStream

from libacli.core.audio import BYTES_PER_SECOND, level_dbfs, samples
from libacli.core.caption_cue import CaptionCue
from libacli.core.flac_info import read_flac_info
from libacli.edges.sounds.flac import decode_flac, encode_flac
from libacli.edges.sounds.sound_file import PreparedSound, prepare_sound
from libacli.errors import RefusedError, UsageError, VoiceError
from tests import sounds
from tests.sounds import wave

pytestmark = pytest.mark.anyio

s16 = functools.cache(sounds.s16)
KINDS = {
    "wav": "pcm_s16le",
    "mp3": "libmp3lame",
    "flac": "flac",
    "ogg": "libopus",
    "opus": "libopus",
    "m4a": "aac",
    "webm": "libopus",
    "aiff": "pcm_s16be",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # decoding is in a thread


def written(
    path: Path, codec: str, *, rate: int = 48_000, layout: str = "stereo", seconds: float = 1.0
) -> Path:
    """A file with a tone, its kind that of the name."""
    channels = 2 if layout == "stereo" else 1
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame(format="s16", layout=layout, samples=round(rate * seconds))
        frame.planes[0].update(s16(rate, seconds=seconds, channels=channels))
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=960)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def with_picture(path: Path, *, audio: bool) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        if audio:
            sound = container.add_stream("aac", rate=48_000, layout="mono")
            frame = av.AudioFrame(format="fltp", layout="mono", samples=48_000)
            frame.planes[0].update(array("f", (value / 32768 for value in wave(48_000))).tobytes())
            frame.sample_rate = 48_000
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        for _ in range(10):
            container.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(video.encode(None))
    return path


def plain_wav(path: Path, pcm: bytes) -> Path:
    with wave_files.open(str(path), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(pcm)
    return path


async def prepared(write: Callable[..., Path], *how: Any) -> PreparedSound:
    """What becomes of a file that is written so."""
    return await asyncio.to_thread(lambda: prepare_sound(write(*how), max_s=10))


async def pcm_of(sound: PreparedSound) -> bytes:
    return b"".join([piece async for piece in decode_flac(sound.flac)])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_of_any_kind_becomes_the_same_sound(kind: str, tmp_path: Path) -> None:
    sound = await prepared(written, tmp_path / f"tone.{kind}", KINDS[kind])
    pcm = await pcm_of(sound)
    assert sound.given.ms == pytest.approx(1000, abs=60)
    assert len(pcm) * 1000 / BYTES_PER_SECOND == pytest.approx(sound.given.ms, abs=1)
    assert level_dbfs(pcm[4_800:-4_800]) == pytest.approx(20 * math.log10(8_000 / 32_768 / 2**0.5), abs=1.5)
    info = read_flac_info(sound.flac)
    assert (info.rate, info.channels, info.bits) == (24_000, 1, 16)


async def test_what_is_of_24_khz_mono_arrives_sample_for_sample(tmp_path: Path) -> None:
    sound = await prepared(plain_wav, tmp_path / "tone.wav", s16(24_000, seconds=1.2345))
    assert await pcm_of(sound) == s16(24_000, seconds=1.2345)


def test_a_video_is_heard(tmp_path: Path) -> None:
    sound = prepare_sound(with_picture(tmp_path / "film.mp4", audio=True), max_s=10)
    assert sound.given.ms == pytest.approx(1000, abs=60)


def test_what_is_open_for_reading_is_read_to_its_end(tmp_path: Path) -> None:
    content = written(tmp_path / "tone.m4a", "aac").read_bytes()
    assert prepare_sound(io.BytesIO(content), max_s=10).given.ms == pytest.approx(1000, abs=60)


def test_the_same_file_is_the_same_sound(tmp_path: Path) -> None:
    path = written(tmp_path / "tone.mp3", "libmp3lame")
    first, second = (prepare_sound(path, max_s=10) for _ in range(2))
    assert first == second
    assert "flac" not in repr(first)


def test_captions_end_with_the_sound_and_a_text_lasts_as_long_as_it(tmp_path: Path) -> None:
    path = written(tmp_path / "tone.wav", "pcm_s16le")
    captions = [CaptionCue(0, 400, "One"), CaptionCue(500, 5_000, "two"), CaptionCue(2_000, 3_000, "never")]
    assert prepare_sound(path, max_s=10, captions=captions).given.captions == (
        CaptionCue(0, 400, "One"),
        CaptionCue(500, 1_000, "two"),
    )
    assert prepare_sound(path, max_s=10, text=" Hello ").given.captions == (CaptionCue(0, 1_000, "Hello"),)
    assert prepare_sound(path, max_s=10).given.captions == ()


def test_one_that_is_too_long_is_refused_before_it_is_read_on(tmp_path: Path) -> None:
    path = written(tmp_path / "tone.wav", "pcm_s16le", seconds=3)
    with pytest.raises(RefusedError, match="longer than 2 s") as caught:
        prepare_sound(path, max_s=2)
    assert caught.value.reason == "sound_too_long"


@pytest.mark.parametrize(("samples_", "told"), [(24_000, "silent"), (0, "empty")], ids=["silent", "empty"])
def test_where_there_is_nothing_to_hear_that_is_said(samples_: int, told: str, tmp_path: Path) -> None:
    path = plain_wav(tmp_path / "quiet.wav", bytes(2 * samples_))
    with pytest.raises(RefusedError, match=f"nothing to hear in .*quiet.wav: it is {told}") as caught:
        prepare_sound(path, max_s=10)
    assert caught.value.reason == "silent_sound"


def _no_sounds(folder: Path) -> dict[str, Path]:
    def put(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    good = written(folder / "good.wav", "pcm_s16le")
    return {
        "noise": put("noise.mp3", bytes(range(1, 256)) * 50),
        "text": put("text.wav", b"hello there " * 40),
        "nothing": put("nothing.mp3", b""),
        "a picture without sound": with_picture(folder / "film.mp4", audio=False),
        "a playlist": put("list.m3u8", f"#EXTM3U\n#EXTINF:1,\n{good}\n#EXT-X-ENDLIST\n".encode()),
        "a list of files": put("list.wav", f"ffconcat version 1.0\nfile '{good}'\n".encode()),
        "a folder": folder,
        "nowhere": folder / "missing.wav",
    }


@pytest.mark.parametrize(
    "what",
    [
        *("noise", "text", "nothing", "a picture without sound"),
        *("a playlist", "a list of files", "a folder", "nowhere"),
    ],
)
def test_what_is_no_sound_is_named_in_one_line(what: str, tmp_path: Path) -> None:
    path = _no_sounds(tmp_path)[what]
    with pytest.raises(UsageError) as caught:
        prepare_sound(path, max_s=10)
    assert str(path) in str(caught.value)
    assert "WAV, MP3" in caught.value.hint


async def test_what_is_sent_is_exactly_the_samples_and_smaller() -> None:
    pcm = s16(24_000, seconds=2.01)
    pieces = (pcm[start : start + 1_002] for start in range(0, len(pcm), 1_002))
    flac = await asyncio.to_thread(encode_flac, pieces)
    assert b"".join([piece async for piece in decode_flac(flac)]) == pcm
    assert len(flac) < len(pcm) * 0.7
    assert read_flac_info(flac).samples == len(samples(pcm))


@pytest.mark.parametrize("flac", [b"", b"no flac at all", b"fLaC"], ids=["empty", "text", "cut"])
async def test_what_cannot_be_decoded_says_so(flac: bytes) -> None:
    with pytest.raises(VoiceError, match="cannot be decoded"):
        assert [piece async for piece in decode_flac(flac)] == []


async def test_flac_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = await asyncio.to_thread(written, tmp_path / "tone.flac", "flac")
    flac = await asyncio.to_thread(path.read_bytes)
    with pytest.raises(VoiceError, match="24 kHz"):
        assert [piece async for piece in decode_flac(flac)] == []


@pytest.mark.parametrize(("kind", "tells"), [("wav", True), ("flac", True), ("mp3", False)])
def test_a_file_that_is_a_part_of_a_longer_one_is_told_if_its_beginning_tells(
    tmp_path: Path, kind: str, tells: bool
) -> None:
    file = written(tmp_path / f"a.{kind}", KINDS[kind], seconds=3.0)
    assert prepare_sound(file, max_s=10).missing_s == 0.0
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 3])
    part = prepare_sound(file, max_s=10)
    assert 0.5 < part.given.seconds < 2.0
    missing_s = 3.0 - part.given.seconds if tells else 0.0
    assert part.missing_s == pytest.approx(missing_s, abs=0.01)
    with file.open("rb") as opened:
        assert prepare_sound(io.BytesIO(opened.read()), max_s=10).missing_s == part.missing_s


def test_a_length_that_was_not_known_when_it_was_written_is_none(tmp_path: Path) -> None:
    whole = sounds.wav(s16(24_000, seconds=1.0), 24_000)
    for size in (0, 0xFFFFFFFF, 0x7FFFFFFF, 2_000_000_000):
        streamed = io.BytesIO(whole[:40] + size.to_bytes(4, "little") + whole[44:])
        assert prepare_sound(streamed, max_s=10).missing_s == 0.0
