"""A file with sound in it, of whatever kind, made ready to be said (PyAV, FFmpeg)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import av
from av.audio.frame import AudioFrame

from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE, is_audible
from libacli.core.caption_cue import CaptionCue, clipped
from libacli.core.given_sound import GivenSound, check_captions
from libacli.core.reasons import refusal
from libacli.core.told_length import told_length_s
from libacli.edges.sounds.flac import encode_flac
from libacli.errors import UsageError

_OPTIONS = {"protocol_whitelist": "none"}
"""A playlist could have FFmpeg read other files, or fetch them."""

_KINDS = "WAV, MP3, FLAC, OGG, M4A and the like, or the sound of a video"
_MOST_BYTES_OF_STREAM = 1 << 30
_HEAD_BYTES = 64 * 1024
_UNNOTICED_S = 0.1
"""What resampling, and a last frame that is not full, may take."""


@dataclass(frozen=True)
class PreparedSound:
    """A sound that can be sent."""

    given: GivenSound
    """What the say request tells of it."""

    flac: bytes = field(repr=False)
    """24 kHz, mono, 16 bit."""

    missing_s: float = 0.0
    """How much of it was not there: its file is a part of a longer one. 0.0: nothing, or it does not tell."""


def prepare_sound(
    source: Path | IO[bytes],
    *,
    max_s: float,
    captions: Sequence[CaptionCue] = (),
    text: str = "",
    named: str = "",
) -> PreparedSound:
    """Reads `source`, a file, or what is open for reading in bytes, and makes it ready. Blocks.

    `captions` are shown in their time, `text` instead of them as long as the sound lasts;
    `named` is what errors call it, if not by its name. Raises UsageError when there is no sound in it;
    RefusedError: `sound_too_long`, which is found without reading on,
    `silent_sound`, `too_large` for the captions.
    """
    name = named or (str(source) if isinstance(source, Path) else "standard input")
    with _opened(source) as file:
        told_s = told_length_s(_beginning_of(file))
        pcm = _Counted(_decoded(file, name), max_s)
        flac = encode_flac(pcm.pieces())
    if not pcm.is_heard:
        raise refusal("silent_sound", f"there is nothing to hear in {name}: it is {pcm.told}")
    ms = max(1, pcm.ms)
    cues = clipped(captions, ms) or ([CaptionCue(0, ms, text.strip())] if text.strip() else [])
    check_captions(cues)
    missing_s = told_s - ms / 1000
    return PreparedSound(
        GivenSound(hashlib.sha256(flac).hexdigest(), ms, tuple(cues)),
        flac,
        missing_s=missing_s if missing_s > _UNNOTICED_S else 0.0,
    )


class _Counted:
    """PCM, how much of it there is, and whether any of it can be heard."""

    def __init__(self, source: Generator[bytes], max_s: float) -> None:
        self.is_heard = False
        self._source = source
        self._max_s = max_s
        self._bytes = 0

    @property
    def ms(self) -> int:
        return round(self._bytes * 1000 / (SAMPLE_RATE * BYTES_PER_SAMPLE))

    @property
    def told(self) -> str:
        return "silent" if self._bytes else "empty"

    def pieces(self) -> Generator[bytes]:
        """Raises RefusedError, `sound_too_long`."""
        for piece in self._source:
            self._bytes += len(piece)
            if self.ms > self._max_s * 1000:
                raise refusal("sound_too_long", f"the sound is longer than {self._max_s:g} s")
            self.is_heard = self.is_heard or is_audible(piece)
            yield piece


def _opened(source: Path | IO[bytes]) -> IO[bytes]:
    """Raises UsageError."""
    if not isinstance(source, Path):
        content = source.read(_MOST_BYTES_OF_STREAM + 1)  # some kinds are not read from front to back
        if len(content) > _MOST_BYTES_OF_STREAM:
            raise UsageError(f"more than {_MOST_BYTES_OF_STREAM} bytes come", hint="give a file")
        return io.BytesIO(content)
    try:
        return source.open("rb")
    except OSError as error:
        reason = "it is a folder" if isinstance(error, IsADirectoryError) else error.strerror
        raise UsageError(f"cannot read {source}: {reason}", hint=f"it must be a file: {_KINDS}") from error


def _beginning_of(file: IO[bytes]) -> bytes:
    """What can be looked at beforehand: nothing of a pipe."""
    if not file.seekable():
        return b""
    begin = file.read(_HEAD_BYTES)
    file.seek(0)
    return begin


def _decoded(file: IO[bytes], name: str) -> Generator[bytes]:
    """24 kHz mono s16le. Raises UsageError."""
    try:
        with av.open(file, "r", options=_OPTIONS) as container:
            if not container.streams.audio:
                raise UsageError(f"there is no sound in {name}", hint=f"it can be {_KINDS}")
            yield from _resampled(container)
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise UsageError(f"{name} is not a sound that can be read", hint=f"it can be {_KINDS}") from error


def _resampled(container: Any) -> Generator[bytes]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    for packet in container.demux(container.streams.audio[0]):
        with suppress(av.error.InvalidDataError):  # tags between frames, a frame that is cut
            for frame in packet.decode():
                frame.pts = None
                yield from _samples(resampler.resample(frame))
    yield from _samples(resampler.resample(None))


def _samples(frames: list[AudioFrame]) -> Generator[bytes]:
    for frame in frames:
        if frame.samples:
            yield bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE]
