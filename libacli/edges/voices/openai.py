"""A voice over OpenAI's speech API, or over any server that speaks the same.

Protocol: `POST {base_url}/audio/speech` with `response_format` pcm, answered with a body that streams 24 kHz
mono s16le (https://platform.openai.com/docs/api-reference/audio/createSpeech).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Literal, NotRequired, TypedDict, TypeVar

import httpx2
import openai

from libacli.config import is_loopback
from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE, duration_s, is_audible
from libacli.edges.voices.openai_errors import pause_before_retry, translated
from libacli.errors import VoiceError, VoiceRefusedError, VoiceStalledError, VoiceTruncatedError
from libacli.speech.ports import Style

OPENAI_URL = "https://api.openai.com/v1"

_KEEPALIVE_S = 180.0
"""An idle connection is kept so long: a line after a quiet minute pays no new handshake. Well below the four
minutes after which common routers forget a connection without a word."""

_CONNECT_TIMEOUT_S = 5.0
_SHORTEST_S_PER_CHARACTER = 0.03
"""No voice says a letter or digit faster than this at normal speed; the usual is twice as long."""

_NOT_PCM = (
    "text/",
    "application/json",
    "application/xml",
    "audio/mpeg",
    "audio/wav",
    "audio/x-wav",
    "audio/ogg",
)
_FORMAT = re.compile(r";\s*(rate|channels)=\"?(\d{1,6})\b")
_WANTED = {"rate": str(SAMPLE_RATE), "channels": "1"}
_T = TypeVar("_T")


class _Request(TypedDict):
    """The body of a request, as `audio.speech.create` takes it."""

    input: str
    model: str
    voice: str
    response_format: Literal["pcm"]
    speed: NotRequired[float]
    instructions: NotRequired[str]


def open_client(
    api_key: str,
    base_url: str = "",
    *,
    http_client: httpx2.AsyncClient | None = None,
) -> openai.AsyncOpenAI:
    """A client for `OpenAIVoice`, with connections that stay open while nothing is said.

    Needs no loop, and should not be called in a busy one: it reads the system's certificates (40 ms).
    `base_url` is OpenAI's own when empty; a server that wants no key may be given an empty one.
    A proxy from the environment is passed by when the server is on this machine.
    """
    base_url = base_url or OPENAI_URL
    http_client = http_client or httpx2.AsyncClient(
        limits=httpx2.Limits(
            max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEEPALIVE_S
        ),
        # A proxy that compresses has to collect first; sound is wanted as it comes.
        headers={"Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S),
        trust_env=not is_loopback(base_url),
        follow_redirects=False,  # key and text belong to the address that the user gave
    )
    return openai.AsyncOpenAI(
        api_key=api_key or "none",
        base_url=base_url,
        max_retries=0,  # a retry after the first byte would repeat the beginning; OpenAIVoice knows when
        timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S),
        http_client=http_client,
    )


class OpenAIVoice:
    """Speaks through an `AsyncOpenAI` client, which it owns from here on. Implements `Voice`.

    Bounds, in seconds: `first_pcm_timeout_s` from the call to the first sound, a second try included;
    `stall_timeout_s` between two pieces; `total_timeout_s` for all the waiting that one text may cost,
    not counting the time in which the caller asks for nothing. A second try is made only while nothing
    was yielded, and only where it can help: after a lost connection, a 5xx, or a rate limit that ends soon.

    Whoever takes an iterator closes it: `async with contextlib.aclosing(voice.synthesize(...)) as pieces`.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        *,
        model: str,
        voice: str,
        speed: float = 1.0,
        instructions: str = "",
        first_pcm_timeout_s: float = 10.0,
        stall_timeout_s: float = 5.0,
        total_timeout_s: float = 60.0,
        objection: Callable[[str], str | None] | None = None,
    ) -> None:
        self.model = model
        self.name = voice
        self._client = client
        self._secrets = [client.api_key, client.base_url.password]
        self._voice = voice
        self._speed = speed
        self._instructions = instructions
        self._first_pcm_timeout_s = first_pcm_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._total_timeout_s = total_timeout_s
        self._objection = objection

    def objection(self, text: str) -> str | None:
        return self._objection(text) if self._objection else None

    async def synthesize(self, text: str, style: Style) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`; pieces come as the network brings them, no byte is held back."""
        request = self._request(text, style)
        sound = _Sound(text, request.get("speed", 1.0))
        clock = asyncio.get_running_loop().time
        left_s = self._total_timeout_s
        pieces: AsyncIterator[bytes] | None = None
        with translated(text, lambda: sound.bytes, self._secrets):
            async with AsyncExitStack() as answer:
                while True:
                    asked_at = clock()
                    if pieces is None:
                        first = self._first(answer, request)
                        pieces, piece = await self._within(self._first_pcm_timeout_s, left_s, first)
                    else:
                        piece = await self._within(self._stall_timeout_s, left_s, anext(pieces, b""))
                    left_s -= clock() - asked_at
                    if not piece:
                        break
                    sound.add(piece)
                    yield piece
        sound.check()

    async def warm_up(self) -> None:
        """Says one short word to nobody: connection, TLS and the service's own start are paid."""
        async with aclosing(self.synthesize("Hi.", Style())) as pieces:
            # To the end, for a connection that is left in the middle of an answer cannot be used again.
            async for _ in pieces:
                pass

    async def aclose(self) -> None:
        await self._client.close()

    async def _first(self, answer: AsyncExitStack, request: _Request) -> tuple[AsyncIterator[bytes], bytes]:
        """The stream of an answer and its first piece (b"" for none), after a second try if due."""
        try:
            pieces = await answer.enter_async_context(self._answer(request))
            return pieces, await anext(pieces, b"")
        except (openai.APIError, httpx2.TransportError) as error:
            pause_s = pause_before_retry(error)
            if pause_s is None:
                raise
        await answer.aclose()
        await asyncio.sleep(pause_s)
        pieces = await answer.enter_async_context(self._answer(request))
        return pieces, await anext(pieces, b"")

    @asynccontextmanager
    async def _answer(self, request: _Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        """One answer, open: its sound as it is received."""
        speech = self._client.audio.speech.with_streaming_response
        async with speech.create(**request) as response:
            if wrong := _what_else(response.headers.get("content-type", "")):
                raise VoiceError(
                    f"the speech service answered with {wrong} where 24 kHz mono PCM was asked for",
                    hint="check OPENAI_BASE_URL; it usually ends in /v1",
                )
            # The SDK's own iter_bytes, closed early, leaves the stream below it to the garbage collector.
            async with aclosing(response.http_response.aiter_bytes()) as pieces:
                yield pieces

    async def _within(self, limit_s: float, left_s: float, wait: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(min(limit_s, left_s)):
                return await wait
        except TimeoutError as error:
            if left_s < limit_s:
                complaint = f"the voice took longer than {self._total_timeout_s:g} s for one text"
            else:
                complaint = f"the voice sent nothing for {limit_s:g} s"
            raise VoiceStalledError(complaint, hint="try again; `liba doctor` times the voice") from error

    def _request(self, text: str, style: Style) -> _Request:
        """What to ask for; what is left at its default is left out, for servers that do not know it."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise VoiceRefusedError("the text holds half a character (a lone surrogate)") from error
        request = _Request(
            input=text, model=self.model, voice=style.voice or self._voice, response_format="pcm"
        )
        speed = self._speed if style.speed is None else style.speed
        if speed != 1.0:
            request["speed"] = speed
        instructions = self._instructions if style.instructions is None else style.instructions
        if instructions and not self.model.startswith("tts-1"):
            request["instructions"] = instructions
        return request


def _what_else(content_type: str) -> str:
    """What an answer of that type brings instead of 24 kHz mono PCM; empty when nothing says that it does."""
    if content_type.startswith(_NOT_PCM):
        return content_type.split(";")[0]
    return ", ".join(
        f"{name} {value}" for name, value in _FORMAT.findall(content_type) if value != _WANTED[name]
    )


class _Sound:
    """Keeps count of what came, to tell at the end whether it can have been all of the text."""

    def __init__(self, text: str, speed: float) -> None:
        self.bytes = 0
        self._is_audible = False
        self._odd_byte = b""
        # Only a raised speed counts: some models take no notice of it.
        characters = sum(character.isalnum() for character in text)
        self._shortest_s = characters * _SHORTEST_S_PER_CHARACTER / max(1.0, speed)

    def add(self, piece: bytes) -> None:
        self.bytes += len(piece)
        if not self._is_audible:
            piece = self._odd_byte + piece
            whole = len(piece) - len(piece) % BYTES_PER_SAMPLE
            self._odd_byte = piece[whole:]
            self._is_audible = is_audible(piece[:whole])

    def check(self) -> None:
        """Raises VoiceTruncatedError for sound that is too short, VoiceRefusedError for none at all."""
        seconds = duration_s(self.bytes)
        if not self.bytes:
            raise VoiceRefusedError("the voice made no sound of this text")
        if self.bytes % BYTES_PER_SAMPLE or seconds < self._shortest_s:
            raise VoiceTruncatedError(f"the sound ended after {seconds:.2f} s, before the text did")
        if not self._is_audible:
            raise VoiceRefusedError(f"the voice made {seconds:.2f} s of silence of this text")
