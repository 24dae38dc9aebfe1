"""Turns samples of another kind, and compressed sound, into liba's own PCM: PyAV (FFmpeg), as it comes.

This file is loaded when such sound comes, and not before.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from libacli.core.audio import SAMPLE_RATE
from libacli.core.flac_frames import FlacSplitter
from libacli.core.pcm_format import PcmFormat
from libacli.core.sound_format import BrokenSoundError, SoundKind

_CONTAINERS: dict[SoundKind, str] = {
    "mp3": "mp3",
    "aac": "aac",
    "ogg": "ogg",
    "webm": "matroska",
    "mp4": "mp4",
    "late mp4": "mp4",
    "aiff": "aiff",
    "au": "au",
    "caf": "caf",
}
"""FFmpeg's names: https://ffmpeg.org/ffmpeg-formats.html#Demuxers."""

_OPTIONS = {"probesize": "32", "analyzeduration": "0"}
"""FFmpeg would read a second of sound ahead to learn what each frame tells anyway."""

_LAYOUTS = ("", "mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
_MOST_BYTES = 64 << 20
"""From one piece; of sound 23 minutes. What makes more of it is made to fill the memory."""


class PcmDecoder:
    """For samples in `source`. Takes 0.2 ms for a second of them."""

    is_slow = False

    def __init__(self, source: PcmFormat) -> None:
        self._codec = _codec(f"pcm_{source.encoding}")
        self._codec.sample_rate = source.rate
        self._codec.layout = _LAYOUTS[source.channels]
        self._frame_bytes = source.frame_bytes
        self._rest = b""
        self._resampler = _Resampler()

    def push(self, piece: bytes) -> bytes:
        """The PCM that is complete with `piece`."""
        data = self._rest + piece
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        if not whole:
            return b""
        frames = self._codec.decode(av.Packet(data[:whole]))
        return b"".join(self._resampler.push(frame) for frame in frames)

    def finish(self) -> bytes:
        """The rest of the PCM. Raises BrokenSoundError when it ended within a sample."""
        if self._rest:
            raise BrokenSoundError("samples of which the last is cut")
        return self._resampler.finish()

    def close(self) -> None:
        """Nothing is held."""


class FlacDecoder:
    """For FLAC, frame by frame."""

    is_slow = True

    def __init__(self) -> None:
        self._splitter = FlacSplitter()
        self._codec: AudioCodecContext | None = None
        self._resampler = _Resampler()

    def push(self, piece: bytes) -> bytes:
        """The PCM that is complete with `piece`. Raises BrokenSoundError."""
        return b"".join(map(self._decoded, self._splitter.push(piece)))

    def finish(self) -> bytes:
        """The rest of the PCM."""
        last = self._splitter.finish()
        return (self._decoded(last) if last else b"") + self._resampler.finish()

    def close(self) -> None:
        """Nothing is held."""

    def _decoded(self, frame: bytes) -> bytes:
        if not self._codec:
            self._codec = _codec("flac")
            self._codec.extradata = self._splitter.streaminfo
        with suppress(av.error.InvalidDataError):  # a frame that is cut, or something behind the last one
            return b"".join(map(self._resampler.push, self._codec.decode(av.Packet(frame))))
        return b""


class StreamDecoder:
    """For compressed sound. FFmpeg pulls and a network pushes, so FFmpeg has a thread; only one of them runs.

    `push` and `finish` block while that thread decodes: a millisecond for a second of sound. They may be
    called from any thread, by one at a time. Whoever is done calls `close`, from anywhere.
    """

    is_slow = True

    def __init__(self, kind: SoundKind) -> None:
        self._kind = _CONTAINERS[kind]
        self._is_late = kind == "late mp4"
        self._given: SimpleQueue[bytes] = SimpleQueue()
        self._made: SimpleQueue[bytes | Exception] = SimpleQueue()
        self._input = b""
        self._is_hungry = False
        self._is_at_end = False
        self._is_over = False
        self._pcm = bytearray()
        self._thread = threading.Thread(target=self._run, name="decoder", daemon=True)

    def push(self, piece: bytes) -> bytes:
        """The PCM that is complete with `piece`, which is not empty. Raises BrokenSoundError."""
        return self._exchange(piece)

    def finish(self) -> bytes:
        """The rest of the PCM. Raises BrokenSoundError."""
        return self._exchange(b"")

    def close(self) -> None:
        """Ends the thread, as the end of the sound does; it is not waited for."""
        self._given.put(b"")

    def _exchange(self, piece: bytes) -> bytes:
        if self._is_over:
            return b""
        if not self._thread.ident:
            self._thread.start()
        self._given.put(piece)
        made = self._made.get()
        if isinstance(made, Exception):
            if isinstance(made, BrokenSoundError):
                raise made
            raise BrokenSoundError(f"{self._kind.upper()} that cannot be decoded") from made
        return made

    def _run(self) -> None:
        """Decodes to the end; in the decoder's own thread."""
        failure: Exception | None = None
        try:
            for frame_pcm in self._decoded(self._whole() if self._is_late else self):
                self._pcm += frame_pcm
                if len(self._pcm) > _MOST_BYTES:
                    raise BrokenSoundError("more sound than any text has")
        except Exception as error:  # FFmpeg's, of many classes; or of what it was given
            failure = error
        self._is_over = True
        self._made.put(failure or bytes(self._pcm))

    def _decoded(self, source: object) -> Iterator[bytes]:
        resampler = _Resampler()
        with av.open(source, "r", format=self._kind, options=_OPTIONS) as container:
            if not container.streams.audio:
                raise BrokenSoundError(f"{self._kind.upper()} without sound")
            for packet in container.demux(container.streams.audio[0]):
                with suppress(av.error.InvalidDataError):  # tags between frames, a frame that is cut
                    for frame in packet.decode():
                        yield resampler.push(frame)
        yield resampler.finish()

    def _whole(self) -> io.BytesIO:
        """All that comes, to its end."""
        whole = io.BytesIO()
        while piece := self.read(1 << 16):
            if whole.tell() > _MOST_BYTES:
                raise BrokenSoundError("more sound than any text has")
            whole.write(piece)
        whole.seek(0)
        return whole

    def read(self, size: int) -> bytes:
        """For FFmpeg, in its thread: the next bytes, once there are some; none at the end."""
        while not self._input and not self._is_at_end:
            if self._is_hungry:
                made, self._pcm = bytes(self._pcm), bytearray()
                self._made.put(made)
            self._is_hungry = True
            self._input = self._given.get()
            self._is_at_end = not self._input
        piece, self._input = self._input[:size], self._input[size:]
        return piece


class _Resampler:
    """Frames of any kind, which may change on the way, as liba's own PCM."""

    def __init__(self) -> None:
        self._kind: tuple[str, str, int] | None = None
        self._resampler: av.AudioResampler | None = None

    def push(self, frame: AudioFrame) -> bytes:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        before = self.finish() if kind != self._kind else b""
        if not self._resampler:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            self._kind = kind
        frame.pts = None
        return before + _pcm(self._resampler.resample(frame))

    def finish(self) -> bytes:
        resampler, self._resampler, self._kind = self._resampler, None, None
        return _pcm(resampler.resample(None)) if resampler else b""


def _codec(name: str) -> AudioCodecContext:
    codec = av.CodecContext.create(name, "r")
    assert isinstance(codec, AudioCodecContext)
    return codec


def _pcm(frames: list[AudioFrame]) -> bytes:
    return b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames)
