"""FLAC, in which a given sound travels: exactly its samples, in half the bytes (PyAV, FFmpeg)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import suppress

import av
from av.audio.frame import AudioFrame

from libacli.core.audio import BYTES_PER_SAMPLE, BYTES_PER_SECOND, SAMPLE_RATE
from libacli.errors import VoiceError

_FIRST_BYTES = BYTES_PER_SECOND // 10
_STEP_BYTES = BYTES_PER_SECOND // 2
"""Of samples at a time: the first sound waits for little, and the rest costs few changes of threads."""

_PACKET_SAMPLES = 4_608


def encode_flac(pieces: Iterable[bytes]) -> bytes:
    """A FLAC file of PCM (24 kHz mono s16le) in pieces of whole samples. Blocks."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16")
        given = 0
        for piece in _packets(pieces):
            frame = AudioFrame(format="s16", layout="mono", samples=len(piece) // BYTES_PER_SAMPLE)
            frame.planes[0].update(piece)
            frame.sample_rate, frame.pts = SAMPLE_RATE, given
            given += frame.samples
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


async def decode_flac(data: bytes) -> AsyncGenerator[bytes]:
    """PCM (24 kHz mono s16le) of such a file, in pieces that are not empty. Raises VoiceError."""
    frames = _frames(data)
    wanted = _FIRST_BYTES
    try:
        while piece := await asyncio.to_thread(_next_piece, frames, wanted):
            yield piece
            wanted = _STEP_BYTES
        if wanted == _FIRST_BYTES:
            raise VoiceError("the sound cannot be decoded: there is nothing in it")
    except av.error.FFmpegError as error:
        raise VoiceError(f"the sound cannot be decoded: {error.strerror}") from error
    finally:
        with suppress(ValueError):  # a thread is in it; it ends with that
            frames.close()


def _frames(data: bytes) -> Generator[bytes]:
    with av.open(io.BytesIO(data), "r", format="flac") as container:
        for frame in container.decode(audio=0):
            if (frame.format.name, frame.layout.nb_channels, frame.sample_rate) != ("s16", 1, SAMPLE_RATE):
                raise VoiceError("the sound is not of 24 kHz, mono, 16 bit")
            yield bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE]


def _next_piece(frames: Generator[bytes], wanted: int) -> bytes:
    piece = bytearray()
    for frame in frames:
        piece += frame
        if len(piece) >= wanted:
            break
    return bytes(piece)


def _packets(pieces: Iterable[bytes]) -> Iterable[bytes]:
    rest = bytearray()
    size = _PACKET_SAMPLES * BYTES_PER_SAMPLE
    for piece in pieces:
        rest += piece
        while len(rest) >= size:
            yield bytes(rest[:size])
            del rest[:size]
    if rest:
        yield bytes(rest)
