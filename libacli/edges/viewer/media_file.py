"""Files that hold what was seen and heard: MP4 by FFmpeg's libraries (PyAV), WAV."""

from __future__ import annotations

import errno
import io
import os
import wave
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import av
import numpy
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE
from libacli.errors import FileError, LibaError
from libacli.private_files import replace_file

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_VIDEO_CLOCK = 90_000
"""Hertz, as RTP has it for video (RFC 6184): the usual frame rates divide it."""

_AUDIO_BITRATE = 64_000
"""Usual for one channel of speech in AAC."""

_KEY_FRAME_DISTANCE = 50
"""Two seconds at the usual rate: a player can jump to each of them."""

_USUAL_RATE = 25
"""Pictures per second, for the encoder to plan with; each picture has a time of its own."""

_X264 = {"preset": "veryfast", "crf": "23", "tune": "zerolatency"}
"""The encoder's usual quality, a speed that keeps up with a room, and no picture held back."""

_FRAGMENTED = {
    # What is there can be played at any moment; a file that is closed gets one index over all (FFmpeg 7.1).
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": "500000",
    "flush_packets": "1",
    # Sound comes a second after its picture (`recorder`). When no picture comes any more, FFmpeg would hold
    # ten seconds of sound back.
    "max_interleave_delta": "1500000",
}
"""Options of FFmpeg's muxer; times in microseconds."""

_LEAST_INDEX_BYTES = 256
"""What stands before a file's first fragment is shorter, with it every file is longer."""


@dataclass(frozen=True)
class Picture:
    width: int
    """In pixels, as all sizes."""

    height: int
    i420: bytes | memoryview
    """Planes Y, U, V, without padding; U and V half as wide and high, rounded up."""

    full_size: tuple[int, int]
    """Width and height of the track at its best, which a slow network may not give at once."""


class MediaFile(Protocol):
    """Takes sound without a gap, and pictures with their time; not for several threads at once.

    Every method raises LibaError when the file cannot be written.
    """

    size: tuple[int, int]
    """Width and height of its pictures in pixels, as the first one had them; 0 when there is none."""

    def sound(self, pcm: bytes) -> None:
        """More sound: 24 kHz mono s16le that follows what was given before."""

    def picture(self, picture: Picture, at_s: float) -> None:
        """The picture that is seen from `at_s` on, in seconds since the beginning of the sound."""

    def close(self) -> None:
        """Completes the file."""


class WavFile:
    """Sound alone. Its header is right after each write: a recording that is killed can be played."""

    def __init__(self, path: Path) -> None:
        self.size = (0, 0)
        self._path = path
        with _writing(path):
            self._raw = os.fdopen(replace_file(path), "wb")
            self._file = wave.open(self._raw)  # noqa: SIM115 - stays open: see close
            self._file.setnchannels(1)
            self._file.setsampwidth(BYTES_PER_SAMPLE)
            self._file.setframerate(SAMPLE_RATE)

    def sound(self, pcm: bytes) -> None:
        with _writing(self._path):
            self._file.writeframes(pcm)
            _check_there(self._raw.fileno())

    def picture(self, picture: Picture, at_s: float) -> None:
        raise NotImplementedError("a WAV file holds no pictures")

    def close(self) -> None:
        with _writing(self._path), self._raw:
            self._file.close()
            _check_there(self._raw.fileno())


class _Output(io.FileIO):
    """Where FFmpeg writes. What comes after an error goes nowhere: half an index would spoil the rest."""

    _error: OSError | None = None
    _whole = 0

    def write(self, data: ReadableBuffer) -> int:
        rest = memoryview(data).cast("B")
        length = len(rest)
        try:
            while rest and not self._error:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._error = error
        return length

    def check(self) -> None:
        """Between two fragments: all that was given is there. Raises OSError."""
        if self._error:
            raise self._error
        self._whole = self.tell()

    def close(self) -> None:
        """Takes away what is not a whole fragment."""
        if self._error and not self.closed:
            self.truncate(self._whole)
        super().close()


class Mp4File:
    """H.264 and AAC, in fragments: a recording that is killed can be played up to the last of them.

    Begins with the sound; when the first picture comes the file is begun again with both, as a track cannot
    be added to an MP4 file. What was encoded by then is copied, which takes milliseconds, and stays in its
    place until the new file can be played.
    """

    def __init__(self, path: Path) -> None:
        self.size = (0, 0)
        self._path = path
        self._samples = 0
        self._last_pts = -1
        self._sound_encoder = _sound_encoder()
        self._pictures: VideoStream | None = None
        self._new: Path | None = None
        """Where the file with pictures is, while it cannot be played yet."""

        with _writing(path):
            self._open(path)
            self._container.start_encoding()

    def sound(self, pcm: bytes) -> None:
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // BYTES_PER_SAMPLE)
        frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = self._samples
        self._samples += frame.samples
        with _writing(self._path):
            self._encode_sound(frame)
            self._flush()

    def picture(self, picture: Picture, at_s: float) -> None:
        with _writing(self._path):
            if self._pictures is None:
                width, height = picture.full_size
                self._begin_again((max(2, width - width % 2), max(2, height - height % 2)))
            assert self._pictures is not None
            frame = frame_of(picture)
            if (frame.width, frame.height) != self.size:
                frame = frame.reformat(*self.size, "yuv420p")
            frame.pts = self._last_pts = max(round(at_s * _VIDEO_CLOCK), self._last_pts + 1)
            frame.time_base = Fraction(1, _VIDEO_CLOCK)
            self._container.mux(self._pictures.encode(frame))
            self._flush()

    def close(self) -> None:
        if self._file.closed:  # the one with pictures could not be begun
            return
        with _writing(self._path), self._or_what_was_there():
            try:
                self._encode_sound(None)
                if self._pictures:
                    self._container.mux(self._pictures.encode(None))
            finally:
                self._close()
            self._put_in_place()

    def _open(self, path: Path) -> None:
        self._file = _Output(replace_file(path), "wb")
        self._container = av.open(self._file, "w", format="mp4", container_options=_FRAGMENTED)
        # This stream's own encoder only describes the track: the one that encodes outlives the container.
        self._sound = self._container.add_stream(
            "aac", rate=SAMPLE_RATE, layout="mono", bit_rate=_AUDIO_BITRATE
        )

    def _close(self) -> None:
        with closing(self._file):
            self._container.close()
            self._file.check()
            _check_there(self._file.fileno())

    def _flush(self) -> None:
        self._file.check()
        _check_there(self._file.fileno())
        if self._file.tell() > _LEAST_INDEX_BYTES:
            self._put_in_place()

    def _put_in_place(self) -> None:
        if self._new:
            os.replace(self._new, self._path)
            self._new = None

    def _encode_sound(self, frame: av.AudioFrame | None) -> None:
        for packet in self._sound_encoder.encode(frame):
            packet.stream = self._sound
            self._container.mux(packet)

    def _begin_again(self, size: tuple[int, int]) -> None:
        self._close()
        self._new = self._path.with_name(f".{self._path.name}.new")
        with self._or_what_was_there():
            self._open(self._new)
            self._pictures = _add_pictures(self._container, size)
            self._container.start_encoding()
            self.size = size
            _copy_sound(self._path, self._container, self._sound)

    @contextmanager
    def _or_what_was_there(self) -> Iterator[None]:
        """Leaves nothing of a new file that cannot be completed."""
        try:
            yield
        except Exception:
            if self._new:
                with suppress(OSError, av.FFmpegError):
                    if not self._file.closed:
                        self._close()
                with suppress(OSError):
                    self._new.unlink()
            raise


def _sound_encoder() -> AudioCodecContext:
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate = SAMPLE_RATE
    encoder.layout = "mono"
    encoder.format = "fltp"
    encoder.bit_rate = _AUDIO_BITRATE
    encoder.time_base = Fraction(1, SAMPLE_RATE)
    return encoder


def _add_pictures(container: OutputContainer, size: tuple[int, int]) -> VideoStream:
    name = _first_there("libx264", "h264", "mpeg4")
    stream = container.add_stream(name, rate=_USUAL_RATE, options=_X264 if name == "libx264" else None)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, _VIDEO_CLOCK)
    stream.codec_context.gop_size = _KEY_FRAME_DISTANCE
    stream.codec_context.thread_count = 2
    return stream


def _first_there(*names: str) -> str:
    for name in names:
        with suppress(av.codec.codec.UnknownCodecError):
            return av.codec.Codec(name, "w").name
    raise LibaError("this PyAV cannot encode pictures", hint="record the sound alone: --audio-only")


def _copy_sound(source: Path, container: OutputContainer, stream: AudioStream) -> None:
    with av.open(str(source)) as old:
        for packet in old.demux(*old.streams.audio[:1]):  # a file without a sound lists no track
            if packet.dts is not None:  # the last one is a mark of the end
                packet.stream = stream
                container.mux(packet)


def frame_of(picture: Picture) -> av.VideoFrame:
    """The picture as FFmpeg takes it."""
    frame = av.VideoFrame(picture.width, picture.height, "yuv420p")
    pixels = numpy.frombuffer(picture.i420, numpy.uint8)
    for plane in frame.planes:
        size = plane.width * plane.height
        rows = numpy.frombuffer(memoryview(plane), numpy.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = pixels[:size].reshape(plane.height, plane.width)
        pixels = pixels[size:]
    return frame


def _check_there(descriptor: int) -> None:
    """Raises OSError when nobody will find what is written: the file was removed. It may be renamed."""
    if not os.fstat(descriptor).st_nlink:
        raise FileNotFoundError(errno.ENOENT, "somebody has removed it meanwhile")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, av.FFmpegError, wave.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"cannot write {path}: {reason}", hint="choose another place") from error
