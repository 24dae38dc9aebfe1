"""A recording that is sent as it happens: H.264 and AAC, by RTMP or SRT. Implements `MediaFile`.

It is encoded once, whoever takes it. What waits to be sent is bounded; a server that has gone is tried again.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext
from av.packet import Packet
from av.video.frame import PictureType

from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE
from libacli.core.packet_groups import PacketGroups
from libacli.edges.viewer.media_file import Picture, frame_of
from libacli.edges.viewer.stream_child import (
    AUDIO_BITRATE,
    AUDIO_RATE,
    VIDEO_CLOCK,
    Answer,
    Piece,
    begin,
    described,
)
from libacli.edges.viewer.stream_target import FORMATS, StreamTarget

_KEY_EVERY_S = 2.0
"""What live services ask for: whoever tunes in waits no longer for a picture."""

_REPEAT_AFTER_S = 0.5
"""Where no picture comes the last one is sent again so often: without one players stop, sound and all."""

_MOST_BYTES = 6_000_000
"""Of what waits: some 15 s of such a picture. A line that is slower for longer loses whole groups."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_ANSWER_TIMEOUT_S = 20.0
"""Its process has to begin as well."""

_CLOSE_TIMEOUT_S = 5.0
"""For what waits at the end."""

_POLL_S = 1.0


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
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=AUDIO_RATE)
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(encoder, AudioCodecContext)
        encoder.sample_rate, encoder.layout, encoder.format = AUDIO_RATE, "mono", "fltp"
        encoder.bit_rate, encoder.time_base = AUDIO_BITRATE, Fraction(1, AUDIO_RATE)
        self._encoder = encoder

    def encode(self, pcm: bytes, at: int) -> list[Piece]:
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // BYTES_PER_SAMPLE)
        frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.time_base, frame.pts = SAMPLE_RATE, Fraction(1, SAMPLE_RATE), at
        packets = [packet for one in self._resampler.resample(frame) for packet in self._encoder.encode(one)]
        return [_piece(packet, is_picture=False) for packet in packets]


class _PictureEncoder:
    def __init__(self, size: tuple[int, int]) -> None:
        self.at_s = 0.0
        """When the last picture is to be seen."""

        self._encoder = described(av.CodecContext.create("libx264", "w"), size)
        self._size = size
        self._last: av.VideoFrame | None = None
        self._last_pts = -1
        self._key_at_s = float("-inf")

    def encode(self, picture: Picture, at_s: float) -> list[Piece]:
        frame = frame_of(picture)
        if (frame.width, frame.height) != self._size:
            frame = frame.reformat(*self._size, "yuv420p")
        self._last = frame
        return self._encode(frame, at_s)

    def repeat(self, at_s: float) -> list[Piece]:
        return self._encode(self._last, at_s) if self._last else []

    def _encode(self, frame: av.VideoFrame, at_s: float) -> list[Piece]:
        frame.pts = self._last_pts = max(round(at_s * VIDEO_CLOCK), self._last_pts + 1)
        frame.time_base = Fraction(1, VIDEO_CLOCK)
        self.at_s = frame.pts / VIDEO_CLOCK
        is_key = self.at_s - self._key_at_s >= _KEY_EVERY_S
        self._key_at_s = self.at_s if is_key else self._key_at_s
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        return [_piece(packet, is_picture=True) for packet in self._encoder.encode(frame)]


def _piece(packet: Packet[Any], *, is_picture: bool) -> Piece:
    return Piece(bytes(packet), packet.pts or 0, packet.dts or 0, packet.is_keyframe, is_picture)


class _RefusedError(Exception):
    """The server does not take it, or not any more."""


class Sender:
    """Sends packets on a thread of its own, and tries again, ever later, where the server has gone."""

    def __init__(self, target: StreamTarget, tell: Callable[[str], None]) -> None:
        self.connections = 0
        """How often a server has taken the stream."""

        self._target = target
        self._tell = tell
        self._size = (0, 0)
        self._waiting = PacketGroups[Piece](_MOST_BYTES, lambda piece: len(piece.data))
        self._wake = threading.Condition()
        self._is_closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._work, name="liba-stream", daemon=True)

    @property
    def dropped(self) -> int:
        return self._waiting.dropped

    def start(self, size: tuple[int, int]) -> None:
        """Begins to send pictures of that size; (0, 0): sound alone."""
        self._size = size
        self._thread.start()

    def put(self, pieces: list[Piece], *, are_keys: bool = False) -> None:
        with self._wake:
            for piece in pieces:
                is_key = are_keys or (piece.is_picture and piece.is_key)
                self._waiting.put(piece, is_key=is_key)
            self._wake.notify()

    def close(self) -> None:
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive() and self._process:  # it hangs in the middle of what it sends
            self._process.kill()
            self._thread.join(_POLL_S)

    def _work(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._is_closing:
            before = self.connections
            try:
                self._stay_connected()
            except (_RefusedError, EOFError, OSError) as error:
                pause_s = _FIRST_PAUSE_S if self.connections > before else pause_s
                self._pause(str(error) if isinstance(error, _RefusedError) else "its process died", pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _pause(self, reason: str, seconds: float) -> None:
        with self._wake:
            if self._is_closing:
                return
            self._tell(f"{self._target.shown} does not take the stream: {reason}; next try in {seconds:g} s")
            self._wake.wait_for(lambda: self._is_closing, seconds)

    def _stay_connected(self) -> None:
        """One connection, until the end. Raises _RefusedError; OSError, EOFError: its process died."""
        url = self._target.url.get_secret_value()
        self._process, pipe = begin(url, FORMATS[self._target.protocol], self._size)
        try:
            if not pipe.poll(_ANSWER_TIMEOUT_S):
                raise _RefusedError("no answer")
            _check(pipe.recv())
            with self._wake:
                self._waiting.begin_anew()
            self.connections += 1
            self._tell(f"{self._target.shown} takes the stream")
            self._send(pipe)
        finally:
            pipe.close()
            self._process.kill()
            self._process.wait()

    def _send(self, pipe: Connection) -> None:
        while piece := self._next():
            if pipe.poll():
                _check(pipe.recv())
            pipe.send(piece)
        pipe.send(None)
        if pipe.poll(_CLOSE_TIMEOUT_S):
            _check(pipe.recv())

    def _next(self) -> Piece | None:
        """The next one; None at the end."""
        with self._wake:
            while (piece := self._waiting.take()) is None:
                if self._is_closing:
                    return None
                self._wake.wait()
            return piece


def _check(answer: Answer) -> None:
    """Raises _RefusedError."""
    kind, reason = answer
    if kind == "failed":
        raise _RefusedError(reason)
