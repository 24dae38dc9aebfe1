"""A recording that is sent as it happens: H.264 and AAC, by RTMP or SRT. Implements `MediaFile`.

It is encoded once, whoever takes it. What waits to be sent is bounded; a server that has gone is tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE
from libacli.core.packet_groups import PacketGroups
from libacli.edges.viewer.media_file import Picture, frame_of
from libacli.edges.viewer.stream_target import FORMATS, StreamTarget

_VIDEO_CLOCK, _AUDIO_RATE = 90_000, 48_000
_KEY_EVERY_S = 2.0
"""What live services ask for: whoever tunes in waits no longer for a picture."""

_REPEAT_AFTER_S = 0.5
"""Where no picture comes the last one is sent again so often: without one players stop, sound and all."""

_X264 = {
    **{"preset": "veryfast", "tune": "zerolatency", "crf": "23", "maxrate": "3M", "bufsize": "6M"},
    **{"g": "250", "sc_threshold": "0"},
}
_MUXER = {
    "flvflags": "no_duration_filesize",  # nothing can be put right afterwards
    "max_interleave_delta": "1500000",  # microseconds: sound comes a second after its picture
}
_AUDIO_BITRATE = 96_000
_MOST_BYTES = 6_000_000
"""Of what waits: some 15 s of such a picture. A line that is slower for longer loses whole groups."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_CLOSE_TIMEOUT_S = 5.0
"""For what waits at the end."""


@dataclass(frozen=True)
class _Piece:
    """A packet, and when it is to be seen or heard."""

    packet: Packet
    is_picture: bool
    at_s: float


class LiveStream:
    """Sends to `target` from the first picture on, or from the first sound where it is `audio_only`.

    `tell` gets, on another thread, what a user may want to know. Nothing of it waits for the network.
    """

    def __init__(self, target: StreamTarget, *, audio_only: bool, tell: Callable[[str], None]) -> None:
        self.size = (0, 0)
        self._audio_only = audio_only
        self._samples = 0
        self._sound = _SoundEncoder()
        self._pictures: _PictureEncoder | None = None
        self._sender = Sender(target, tell)
        if audio_only:
            self._sender.start((0, 0))

    @property
    def connections(self) -> int:
        return self._sender.connections

    @property
    def dropped_groups(self) -> int:
        return self._sender.dropped

    def sound(self, pcm: bytes) -> None:
        pieces = self._sound.encode(pcm, self._samples)
        self._samples += len(pcm) // BYTES_PER_SAMPLE
        if not (self._pictures or self._audio_only):
            return  # a picture that comes later has its time still
        now_s = self._samples / SAMPLE_RATE
        if self._pictures and now_s - self._pictures.at_s > _REPEAT_AFTER_S:
            self._sender.put(self._pictures.repeat(now_s))
        self._sender.put(pieces, are_keys=self._audio_only)

    def picture(self, picture: Picture, at_s: float) -> None:
        if self._pictures is None:
            width, height = picture.full_size
            self.size = max(2, width - width % 2), max(2, height - height % 2)
            self._pictures = _PictureEncoder(self.size)
            self._sender.start(self.size)
        self._sender.put(self._pictures.encode(picture, at_s))

    def close(self) -> None:
        """Sends what waits, as long as that takes a moment, and says goodbye."""
        self._sender.close()


class _SoundEncoder:
    def __init__(self) -> None:
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=_AUDIO_RATE)
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(encoder, AudioCodecContext)
        encoder.sample_rate, encoder.layout, encoder.format = _AUDIO_RATE, "mono", "fltp"
        encoder.bit_rate, encoder.time_base = _AUDIO_BITRATE, Fraction(1, _AUDIO_RATE)
        self._encoder = encoder

    def encode(self, pcm: bytes, at: int) -> list[_Piece]:
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // BYTES_PER_SAMPLE)
        frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.time_base, frame.pts = SAMPLE_RATE, Fraction(1, SAMPLE_RATE), at
        packets = [packet for one in self._resampler.resample(frame) for packet in self._encoder.encode(one)]
        return [_Piece(packet, False, (packet.pts or 0) / _AUDIO_RATE) for packet in packets]


class _PictureEncoder:
    def __init__(self, size: tuple[int, int]) -> None:
        self.at_s = 0.0
        """When the last picture is to be seen."""

        self._encoder = _described(av.CodecContext.create("libx264", "w"), size)
        self._size = size
        self._last: av.VideoFrame | None = None
        self._last_pts = -1
        self._key_at_s = float("-inf")

    def encode(self, picture: Picture, at_s: float) -> list[_Piece]:
        frame = frame_of(picture)
        if (frame.width, frame.height) != self._size:
            frame = frame.reformat(*self._size, "yuv420p")
        self._last = frame
        return self._encode(frame, at_s)

    def repeat(self, at_s: float) -> list[_Piece]:
        return self._encode(self._last, at_s) if self._last else []

    def _encode(self, frame: av.VideoFrame, at_s: float) -> list[_Piece]:
        frame.pts = self._last_pts = max(round(at_s * _VIDEO_CLOCK), self._last_pts + 1)
        frame.time_base = Fraction(1, _VIDEO_CLOCK)
        self.at_s = frame.pts / _VIDEO_CLOCK
        is_key = self.at_s - self._key_at_s >= _KEY_EVERY_S
        self._key_at_s = self.at_s if is_key else self._key_at_s
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        return [_Piece(packet, True, self.at_s) for packet in self._encoder.encode(frame)]


def _described(encoder: object, size: tuple[int, int]) -> VideoCodecContext:
    """The same for what encodes and for what tells a server of it."""
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, _VIDEO_CLOCK)
    encoder.options = dict(_X264)
    encoder.thread_count = 2
    return encoder


class Sender:
    """Sends packets on a thread of its own, and tries again, ever later, where the server has gone."""

    def __init__(self, target: StreamTarget, tell: Callable[[str], None]) -> None:
        self.connections = 0
        """How often a server has taken the stream."""

        self._target = target
        self._tell = tell
        self._size = (0, 0)
        self._waiting = PacketGroups[_Piece](_MOST_BYTES, lambda piece: piece.packet.size)
        self._wake = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="liba-stream", daemon=True)

    @property
    def dropped(self) -> int:
        return self._waiting.dropped

    def start(self, size: tuple[int, int]) -> None:
        """Begins to send pictures of that size; (0, 0): sound alone."""
        self._size = size
        self._thread.start()

    def put(self, pieces: list[_Piece], *, are_keys: bool = False) -> None:
        with self._wake:
            for piece in pieces:
                is_key = are_keys or (piece.is_picture and piece.packet.is_keyframe)
                self._waiting.put(piece, is_key=is_key)
            self._wake.notify()

    def close(self) -> None:
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _work(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._is_closing:
            before = self.connections
            try:
                self._stay_connected()
            except (OSError, av.FFmpegError, ValueError) as error:  # its text quotes the address
                pause_s = _FIRST_PAUSE_S if self.connections > before else pause_s
                self._pause(getattr(error, "strerror", None) or type(error).__name__, pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _pause(self, reason: str, seconds: float) -> None:
        with self._wake:
            if self._is_closing:
                return
            self._tell(f"{self._target.shown} does not take the stream: {reason}; next try in {seconds:g} s")
            self._wake.wait_for(lambda: self._is_closing, seconds)
            self._waiting.begin_anew()

    def _stay_connected(self) -> None:
        """One connection, until the end. Raises what FFmpeg raises."""
        url = self._target.url.get_secret_value()
        container = av.open(url, "w", format=FORMATS[self._target.protocol], container_options=_MUXER)
        try:
            streams = self._streams(container)
            container.start_encoding()
            self.connections += 1
            self._tell(f"{self._target.shown} takes the stream")
            self._send(container, streams)
        finally:
            container.close()

    def _streams(self, container: OutputContainer) -> dict[bool, Stream]:
        """By whether it is of pictures. Their encoders only describe them: ours outlive the connection."""
        streams: dict[bool, Stream] = {}
        if self._size[0]:
            pictures = container.add_stream("libx264")
            _described(pictures.codec_context, self._size)
            streams[True] = pictures
        streams[False] = container.add_stream("aac", rate=_AUDIO_RATE, layout="mono", bit_rate=_AUDIO_BITRATE)
        return streams

    def _send(self, container: OutputContainer, streams: dict[bool, Stream]) -> None:
        began_at_s: float | None = None
        while piece := self._next():
            began_at_s = piece.at_s if began_at_s is None else began_at_s
            if piece.at_s >= began_at_s:  # sound comes a second after its picture
                packet = piece.packet
                shift = round(began_at_s / packet.time_base)
                packet.pts, packet.dts = (packet.pts or 0) - shift, (packet.dts or 0) - shift
                packet.stream = streams[piece.is_picture]
                container.mux(packet)

    def _next(self) -> _Piece | None:
        """The next one; None at the end."""
        with self._wake:
            while (piece := self._waiting.take()) is None:
                if self._is_closing:
                    return None
                self._wake.wait()
            return piece
