"""Whatever a speech server answers, what is heard is the sound that it meant, or nothing and a reason.

Answers are made with seeds, sent by a socket as they are: real servers keep to HTTP less than libraries do.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import pytest

from libacli.core.audio import duration_s
from libacli.edges.voices.speech import SpeechApiVoice, open_client
from libacli.errors import VoiceError
from tests.contracts import speak
from tests.sounds import HERTZ, LIST, as_width, encoded, hertz_of, peak_of, s16, wav, wave

TEXT = "Just a few words."
SECONDS = 1.5
ANSWERS_PER_SEED = 20
MOST_BYTES_HEARD = 600
"""10 ms, after which it is known that a sound is none."""

SOUNDS: dict[str, Callable[[], bytes]] = {
    "pcm": lambda: s16(24_000, seconds=SECONDS),
    "padded pcm": lambda: bytes(9_600) + s16(24_000, seconds=SECONDS) + bytes(9_600),
    "wav": lambda: wav(s16(22_050, seconds=SECONDS), 22_050, before=LIST, behind=LIST),
    "wav endless": lambda: wav(s16(44_100, seconds=SECONDS), 44_100, told_bytes=0xFFFFFFFF),
    "wav float": lambda: wav(as_width(wave(16_000, seconds=SECONDS), "f32le"), 16_000, kind="f32le"),
    "wav behind blanks": lambda: b"\r\n\r\n" + wav(s16(22_050, seconds=SECONDS), 22_050),
    "mp3": lambda: encoded("mp3", "libmp3lame", 24_000, seconds=SECONDS),
    "aac": lambda: encoded("adts", "aac", 44_100, channels=2, seconds=SECONDS),
    "flac": lambda: encoded("flac", "flac", 24_000, seconds=SECONDS),
    "opus": lambda: encoded("ogg", "libopus", 48_000, seconds=SECONDS),
    "m4a": lambda: encoded("ipod", "aac", 24_000, seconds=SECONDS),
}
NO_SOUNDS: dict[str, Callable[[], bytes]] = {
    "nothing": bytes,
    "json": lambda: b'{"error": {"message": "no such voice"}}',
    "base64 in json": lambda: json.dumps({"audio": base64.b64encode(SOUNDS["wav"]()).decode()}).encode(),
    "base64": lambda: base64.b64encode(SOUNDS["pcm"]()),
    "events": lambda: b'data: {"type": "speech.audio.delta", "audio": "UklGRg=="}\n\n' * 50,
    "a page": lambda: b"<!doctype html><title>Welcome</title>" * 50,
    "silence": lambda: bytes(96_000),
    "random bytes": lambda: random.Random(1).randbytes(90_000),
    "unsigned bytes": lambda: as_width(wave(48_000, seconds=SECONDS), "u8"),
    "mu-law": lambda: as_width(wave(48_000, seconds=SECONDS), "mulaw"),
    "big-endian": lambda: as_width(wave(24_000, seconds=SECONDS), "s16be"),
    "floats": lambda: as_width(wave(24_000, seconds=SECONDS), "f32le"),
    "an archive": lambda: b"PK\x03\x04" + random.Random(2).randbytes(60_000),
}
LABELS = [
    *(
        "audio/pcm",
        "Audio/PCM",
        "audio/mpeg",
        "AUDIO/WAV",
        "application/octet-stream",
        "audio/ogg; codecs=opus",
    ),
    *("", "audio/pcm;rate=24000;channels=1", "binary/octet-stream"),
]
FRAMINGS = ["length", "chunked", "close", "length too long", "length too short", "chunked, cut", "reset"]
_WHOLE = ("length", "chunked", "close")


@functools.cache
def made(name: str) -> bytes:
    return (SOUNDS | NO_SOUNDS)[name]()


@dataclass
class Answer:
    body: bytes
    label: str
    framing: str
    piece: int

    def lines(self) -> bytes:
        told = {"length": 0, "length too long": 5_000, "length too short": -len(self.body) // 2, "reset": 0}
        size = f"Content-Length: {len(self.body) + told[self.framing]}\r\n" if self.framing in told else ""
        chunked = "Transfer-Encoding: chunked\r\n" if self.framing.startswith("chunked") else ""
        label = f"Content-Type: {self.label}\r\n" if self.label else ""
        return f"HTTP/1.1 200 OK\r\n{label}{size}{chunked}Connection: close\r\n\r\n".encode()

    async def send(self, writer: asyncio.StreamWriter) -> None:
        writer.write(self.lines())
        data = self.body[: len(self.body) // 2] if self.framing in ("chunked, cut", "reset") else self.body
        for start in range(0, len(data), self.piece):
            piece = data[start : start + self.piece]
            if self.framing.startswith("chunked"):
                piece = b"%x\r\n%s\r\n" % (len(piece), piece)
            writer.write(piece)
            await writer.drain()
        if self.framing == "chunked":
            writer.write(b"0\r\n\r\n")
        if self.framing == "reset":
            await writer.drain()
            writer.transport.abort()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def voice_of(answers: list[Answer]) -> AsyncGenerator[SpeechApiVoice]:
    """A voice whose server gives these answers, and the last one again where it is asked once more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            await answers[0].send(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = await asyncio.to_thread(open_client, "", f"http://127.0.0.1:{port}/v1")
    voice = SpeechApiVoice(client, model="m", voice="v")
    try:
        yield voice
    finally:
        await voice.aclose()
        server.close()
        await server.wait_closed()


async def heard(voice: SpeechApiVoice) -> tuple[bytes, VoiceError | None]:
    sound = bytearray()
    try:
        async with aclosing(speak(voice, TEXT)) as pieces:
            async for piece in pieces:
                sound += piece
    except VoiceError as error:
        return bytes(sound), error
    return bytes(sound), None


def is_the_tone(pcm: bytes) -> bool:
    return abs(hertz_of(pcm) - HERTZ) < 15 and peak_of(pcm) < 13_000


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_a_server_answers_is_heard_right_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    answers: list[Answer] = []
    async with voice_of(answers) as voice:
        for _ in range(ANSWERS_PER_SEED):
            name = chance.choice([*SOUNDS, *SOUNDS, *NO_SOUNDS])
            answer = Answer(
                made(name), chance.choice(LABELS), chance.choice(FRAMINGS), chance.choice([97, 1_460, 65_536])
            )
            answers[:] = [answer]
            case = f"{name} as {answer.label!r}, {answer.framing}, in pieces of {answer.piece}"
            async with asyncio.timeout(30):
                sound, error = await heard(voice)
            if name in NO_SOUNDS:
                assert error and len(sound.lstrip(b"\0")) <= MOST_BYTES_HEARD, case
                continue
            if answer.framing in _WHOLE:
                assert error is None, f"{case}: {error}"
                length_s = SECONDS + 0.4 * (name == "padded pcm")
                assert duration_s(len(sound)) == pytest.approx(length_s, abs=0.16), case
            elif name != "m4a" and answer.framing != "length too short":
                assert error, f"{case}: cut, and not told"
            if len(sound) > 9_600:
                assert is_the_tone(sound), case
            elif sound:
                assert peak_of(sound) < 13_000, case
