"""A process that sends one live stream and ends: PyAV waits for a server with Python's lock held, and would
stop all else in the process of the recording. It is told by a pipe: a command line is no place for a key."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection, Pipe
from typing import Literal

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from libacli.child_environment import environment_of

VIDEO_CLOCK, AUDIO_RATE, AUDIO_BITRATE = 90_000, 48_000, 96_000
_X264 = {
    **{"preset": "veryfast", "tune": "zerolatency", "crf": "23", "maxrate": "3M", "bufsize": "6M"},
    **{"g": "250", "sc_threshold": "0"},
}
_MUXER = {
    "flvflags": "no_duration_filesize",  # nothing can be put right afterwards
    "max_interleave_delta": "1500000",  # microseconds: sound comes a second after its picture
}

Answer = tuple[Literal["taken", "ended", "failed"], str]
"""What the process tells, and why."""


@dataclass(frozen=True)
class Piece:
    """A packet; times in ticks of its clock, from the beginning of the recording."""

    data: bytes
    pts: int
    dts: int
    is_key: bool
    is_picture: bool

    @property
    def clock(self) -> int:
        return VIDEO_CLOCK if self.is_picture else AUDIO_RATE

    @property
    def at_s(self) -> float:
        return self.pts / self.clock


def described(encoder: object, size: tuple[int, int]) -> VideoCodecContext:
    """The same for what encodes and for what tells a server of it."""
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, VIDEO_CLOCK)
    encoder.options = dict(_X264)
    encoder.thread_count = 2
    return encoder


def begin(url: str, format: str, size: tuple[int, int]) -> tuple[subprocess.Popen[bytes], Connection]:
    """A process that sends what is put into its pipe, up to None, and answers there. (0, 0): sound alone."""
    ours, its = Pipe()
    with its:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(its.fileno())],
            pass_fds=[its.fileno()],
            env=environment_of("python"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    ours.send((url, format, size))
    return process, ours


def _send(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began it ends it
    try:
        url, format, size = pipe.recv()
        with av.open(url, "w", format=format, container_options=_MUXER) as container:
            streams = _streams(container, size)
            container.start_encoding()
            pipe.send(("taken", ""))
            _mux(pipe, container, streams)
        pipe.send(("ended", ""))
    except EOFError:
        pass  # nobody is there any more
    except (OSError, av.FFmpegError) as error:  # its text quotes the address
        pipe.send(("failed", error.strerror or type(error).__name__))


def _streams(container: OutputContainer, size: tuple[int, int]) -> dict[bool, Stream]:
    """By whether it is of pictures. Their encoders only describe them."""
    streams: dict[bool, Stream] = {}
    if size[0]:
        pictures = container.add_stream("libx264")
        described(pictures.codec_context, size)
        streams[True] = pictures
    streams[False] = container.add_stream("aac", rate=AUDIO_RATE, layout="mono", bit_rate=AUDIO_BITRATE)
    return streams


def _mux(pipe: Connection, container: OutputContainer, streams: dict[bool, Stream]) -> None:
    began_at_s: float | None = None
    while (piece := pipe.recv()) is not None:
        began_at_s = piece.at_s if began_at_s is None else began_at_s
        if piece.at_s < began_at_s:  # sound comes a second after its picture
            continue
        packet, shift = Packet(piece.data), round(began_at_s * piece.clock)
        packet.pts, packet.dts = piece.pts - shift, piece.dts - shift
        packet.time_base, packet.is_keyframe = Fraction(1, piece.clock), piece.is_key
        packet.stream = streams[piece.is_picture]
        container.mux(packet)


if __name__ == "__main__":
    _send(Connection(int(sys.argv[1])))
