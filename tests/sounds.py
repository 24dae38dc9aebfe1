"""Sound in all the formats in which servers send it: a tone of 440 Hz, as the reference encoders write it."""

from __future__ import annotations

import io
import math
import struct
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path

import av
import numpy
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream

from libacli.core.audio import SAMPLE_RATE, samples

HERTZ = 440
SECONDS = 1.0
_PEAK = 8_000
_LAYOUTS = {1: "mono", 2: "stereo"}

MP4_IN_PIECES = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "100000"}
"""As it is streamed: each piece has its own index."""


def wave(
    rate: int, *, seconds: float = SECONDS, channels: int = 1, hertz: float = HERTZ, peak: float = _PEAK
) -> array[int]:
    """Samples of s16, the channels taking turns."""
    step = 2 * math.pi * hertz / rate
    found = array("h")
    for position in range(round(seconds * rate)):
        found.extend([round(peak * math.sin(step * position))] * channels)
    return found


def s16(rate: int, *, seconds: float = SECONDS, channels: int = 1, hertz: float = HERTZ) -> bytes:
    return wave(rate, seconds=seconds, channels=channels, hertz=hertz).tobytes()


def as_width(values: Sequence[int], kind: str) -> bytes:
    """Samples of s16 as `u8`, `alaw`, `mulaw`, `s24le`, `s32le`, `f32le`, `f64le`, `s16be` or `s16le`."""
    if kind in ("alaw", "mulaw"):
        return _companded(values, f"pcm_{kind}")
    if kind == "u8":
        return bytes((value >> 8) + 128 for value in values)
    if kind == "s24le":
        return b"".join((value << 8).to_bytes(3, "little", signed=True) for value in values)
    form = {"s16le": "<h", "s16be": ">h", "s32le": "<i", "f32le": "<f", "f64le": "<d"}[kind]
    scale = {"s32le": 65536, "f32le": 1 / 32768, "f64le": 1 / 32768}.get(kind, 1)
    return b"".join(struct.pack(form, value * scale) for value in values)


def _companded(values: Sequence[int], codec: str) -> bytes:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 8_000, "mono", "s16"
    packets = encoder.encode(_frame(array("h", values).tobytes(), 8_000, 1))
    return b"".join(bytes(packet) for packet in packets)


_WAV_KINDS = {
    "u8": (1, 8),
    "s16le": (1, 16),
    "s24le": (1, 24),
    "s32le": (1, 32),
    "f32le": (3, 32),
    "f64le": (3, 64),
    "alaw": (6, 8),
    "mulaw": (7, 8),
}


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


LIST = chunk(b"LIST", b"INFOISFT\x0e\0\0\0Lavf60.16.100\0")


def wav(
    data: bytes,
    rate: int,
    *,
    kind: str = "s16le",
    channels: int = 1,
    is_extensible: bool = False,
    before: bytes = b"",
    behind: bytes = b"",
    told_bytes: int | None = None,
) -> bytes:
    """A WAV file; `told_bytes` stands in its header instead of the true length."""
    tag, bits = _WAV_KINDS[kind]
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", 0xFFFE if is_extensible else tag, channels, rate, rate * frame, frame, bits)
    if is_extensible:
        guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        head += struct.pack("<HHI", 22, bits, 0) + guid
    told = len(data) if told_bytes is None else told_bytes
    parts = chunk(b"fmt ", head) + before + b"data" + struct.pack("<I", told) + data
    parts += bytes(len(data) % 2) + behind
    size = 4 + len(parts) if told_bytes is None else min(told, 0xFFFFFFFF)
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + parts


def encoded(
    container: str,
    codec: str,
    rate: int,
    *,
    channels: int = 1,
    seconds: float = SECONDS,
    options: dict[str, str] | None = None,
) -> bytes:
    """A tone as FFmpeg writes it into `container`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sound"
        with av.open(str(file), "w", format=container, options=options or {}) as out:
            stream = out.add_stream(codec, rate=rate, layout=_LAYOUTS[channels])
            assert isinstance(stream, AudioStream)
            if codec == "vorbis":
                stream.codec_context.options = {"strict": "experimental"}
            if not codec.startswith("pcm") and codec != "flac":
                stream.bit_rate = 64_000
            pcm = s16(rate, seconds=seconds, channels=channels)
            size = 1024 * 2 * channels
            for start in range(0, len(pcm), size):
                frame = _frame(pcm[start : start + size], rate, channels)
                frame.pts = start // 2 // channels
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return file.read_bytes()


def _frame(pcm: bytes, rate: int, channels: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout=_LAYOUTS[channels], samples=len(pcm) // 2 // channels)
    frame.planes[0].update(pcm)
    frame.sample_rate = rate
    return frame


def kokoro_wav_with_junk(seconds: float = SECONDS) -> bytes:
    """What Kokoro-FastAPI sent before its PR 467: FFmpeg writes sizes over a header that has left already."""
    buffer = io.BytesIO()
    out = av.open(buffer, "w", format="wav")
    stream = out.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
    assert isinstance(stream, AudioStream)
    sent = b""
    pcm = s16(SAMPLE_RATE, seconds=seconds)
    for start in range(0, len(pcm), 9_600):
        frame = _frame(pcm[start : start + 9_600], SAMPLE_RATE, 1)
        frame.pts = start // 2
        out.mux(stream.encode(frame))
        sent += buffer.getvalue()
        buffer.seek(0)
        buffer.truncate(0)
    out.close()
    return sent + buffer.getvalue()


def hertz_of(pcm: bytes) -> float:
    """The pitch of what is loudest in 24 kHz s16le, to a hertz or so for a second of it."""
    values = numpy.frombuffer(pcm, numpy.int16).astype(float)
    power = numpy.abs(numpy.fft.rfft(values * numpy.hanning(len(values))))
    return float(power.argmax() * SAMPLE_RATE / len(values))


def peak_of(pcm: bytes) -> int:
    return max(map(abs, samples(pcm)), default=0)
