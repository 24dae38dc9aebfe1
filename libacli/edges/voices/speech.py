"""A voice over OpenAI's speech API, or over any server that speaks the same.

Protocol: `POST {base_url}/audio/speech` with `response_format` pcm, answered with a body that streams 24 kHz
mono s16le (https://platform.openai.com/docs/api-reference/audio/createSpeech); or, as servers are, with
something else: `SoundStream`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict, TypeVar

import httpx2
import openai

from libacli.config import Settings
from libacli.config_values import pairs_of
from libacli.core.sound_label import read_label
from libacli.edges.voices.openai_address import OPENAI_URL as OPENAI_URL
from libacli.edges.voices.openai_client import client_of
from libacli.edges.voices.openai_client import open_client as open_client
from libacli.edges.voices.openai_errors import pause_before_retry, safe_words, translated
from libacli.edges.voices.sound_check import SoundCheck
from libacli.edges.voices.sound_stream import SoundStream
from libacli.errors import ConfigError, VoiceLoadingError, VoiceRefusedError, VoiceStalledError
from libacli.speech.ports import Style, Take

logger = logging.getLogger("liba.voice")

DEFAULT_MODEL = "gpt-4o-mini-tts"
DEFAULT_SPEAKER = "alloy"

_MOST_AT_ONCE = 2
"""Requests that are being answered: what is spoken, and one ahead. Many servers work on one at a time, and go
on with what nobody waits for any more."""

_MOST_AT_ONCE_IN_THE_CLOUD = 4
"""There a late one may be asked for a second time."""

_LOADING_S = 1.0
_SLOW_START = (
    "if the server was loading its model, give it longer: LIBA_VOICE_FIRST_PCM_TIMEOUT, and "
    "LIBA_VOICE_LOAD_TIMEOUT at the start; `liba doctor` times the voice"
)
_OPTIONAL: tuple[Literal["response_format", "speed", "instructions"], ...] = (
    "response_format",
    "speed",
    "instructions",
)
_T = TypeVar("_T")


class _Request(TypedDict):
    """The body of a request, as `audio.speech.create` takes it."""

    input: str
    model: str
    voice: str
    response_format: NotRequired[Literal["pcm"]]
    speed: NotRequired[float]
    instructions: NotRequired[str]


def speech_voice(settings: Settings) -> SpeechApiVoice:
    """The voice that the settings `openai.…` and `voice.…` describe. Raises ConfigError. Needs no loop."""
    if "input" in settings.voice_extra:
        raise ConfigError(
            "voice.extra holds the text (input)", hint="leave it out: liba says what it is told"
        )
    return SpeechApiVoice(
        client_of(settings),
        model=settings.voice_model or DEFAULT_MODEL,
        voice=settings.voice_name or DEFAULT_SPEAKER,
        speed=settings.voice_speed,
        instructions=settings.voice_instructions,
        extra=settings.voice_extra,
        sample_rate=settings.voice_sample_rate,
        secrets=[*pairs_of(settings.openai_headers).values(), *pairs_of(settings.openai_query).values()],
        first_pcm_timeout_s=settings.voice_first_pcm_timeout,
        load_timeout_s=settings.voice_load_timeout,
        most_at_once=_MOST_AT_ONCE if settings.openai_base_url else _MOST_AT_ONCE_IN_THE_CLOUD,
        stall_timeout_s=settings.voice_stall_timeout,
    )


class SpeechApiVoice:
    """Speaks through an `AsyncOpenAI` client, which it owns from here on. Implements `Voice`.

    Bounds, in seconds: `first_pcm_timeout_s` from the call to the first sound, a second try included;
    `stall_timeout_s` between two pieces; `total_timeout_s` for all the waiting that one text may cost,
    not counting the time in which the caller asks for nothing. A second try is made only while nothing
    was yielded, and only where it can help: after a lost connection, a 5xx, or a rate limit that ends soon.

    `warm_up` may take `load_timeout_s`, for a server that loads its model then. What is asked for meanwhile
    waits for it, within its own bound: some begin to load anew with each request that is given up.

    `extra` are fields of the request's body, None for one that is left out; `sample_rate` is that of samples
    without a header, 0 where the answer tells it; `secrets` are not to be repeated in an error.

    Whoever takes an iterator closes it: `async with contextlib.aclosing(voice.synthesize(...)) as pieces`.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        *,
        model: str,
        voice: str,
        provider: str = "speech",
        speed: float = 1.0,
        instructions: str = "",
        extra: Mapping[str, Any] | None = None,
        sample_rate: int = 0,
        secrets: Sequence[str] = (),
        first_pcm_timeout_s: float = 10.0,
        load_timeout_s: float = 60.0,
        most_at_once: int = _MOST_AT_ONCE,
        stall_timeout_s: float = 5.0,
        total_timeout_s: float = 60.0,
        objection: Callable[[str], str | None] | None = None,
    ) -> None:
        self.provider = provider
        self.model = model
        self.name = voice
        self._client = client
        self._secrets = [client.api_key, client.base_url.password, *secrets]
        self._voice = voice
        self._speed = speed
        self._instructions = instructions
        self._extra = dict(extra or {})
        self._sample_rate = sample_rate
        self._first_pcm_timeout_s = first_pcm_timeout_s
        self._load_timeout_s = load_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._total_timeout_s = total_timeout_s
        self._objection = objection
        self._places = asyncio.Semaphore(most_at_once)
        self._loading = asyncio.Lock()
        """Held until the first sound of `warm_up`."""

        self._is_odd = False

    def objection(self, text: str) -> str | None:
        return self._objection(text) if self._objection else None

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`; pieces come as the network brings them. Raises VoiceBusyError, too."""
        request = self._request(text, style)
        take = take or Take()
        take.by(self, style)
        take.is_held = True
        await self._until_loaded()
        async with self._places, aclosing(self._sound(request, self._first_pcm_timeout_s, take)) as pieces:
            take.is_held = False
            async for piece in pieces:
                yield piece

    async def warm_up(self) -> None:
        """Says one short word to nobody: connection, TLS and the service's own start are paid."""
        async with AsyncExitStack() as loading:
            await loading.enter_async_context(self._loading)
            request = self._request("Hi.", Style())
            # To the end, for a connection that is left in the middle of an answer cannot be used again.
            async with self._places, aclosing(self._sound(request, self._load_timeout_s, Take())) as pieces:
                async for _ in pieces:
                    await loading.aclose()

    async def aclose(self) -> None:
        await self._client.close()

    async def _until_loaded(self) -> None:
        """Waits while `warm_up` waits for its first sound. Raises VoiceLoadingError when that takes long."""
        if not self._loading.locked():
            return
        try:
            async with asyncio.timeout(self._first_pcm_timeout_s), self._loading:
                return
        except TimeoutError as error:
            raise VoiceLoadingError(
                "the speech service has not said its first word yet",
                retry_after_s=_LOADING_S,
                hint="it may be loading its model: LIBA_VOICE_LOAD_TIMEOUT and LIBA_VOICE_PATIENCE say how "
                "long that is waited for",
            ) from error

    async def _sound(
        self, request: _Request, first_pcm_timeout_s: float, take: Take
    ) -> AsyncGenerator[bytes]:
        """The sound of one request, each piece within its bound."""
        check = SoundCheck(request["input"], request.get("speed", 1.0))
        clock = asyncio.get_running_loop().time
        left_s = max(self._total_timeout_s, first_pcm_timeout_s)
        answer: _Answer | None = None
        with translated(request["input"], lambda: check.bytes, self._secrets):
            async with AsyncExitStack() as opened:
                while True:
                    asked_at = clock()
                    if answer is None:
                        first = self._first(opened, request, take)
                        answer, piece = await self._within(first_pcm_timeout_s, left_s, first, _SLOW_START)
                    else:
                        next_piece = anext(answer.pcm, b"")
                        piece = await self._within(self._stall_timeout_s, left_s, next_piece)
                    left_s -= clock() - asked_at
                    if not piece:
                        break
                    check.add(piece)
                    yield piece
        check.check()
        if answer and answer.stream.is_rate_guessed and (oddity := check.oddity()):
            self._warn_once(oddity)

    async def _first(self, opened: AsyncExitStack, request: _Request, take: Take) -> tuple[_Answer, bytes]:
        """An answer and its first piece (b"" for none), after a second try if due."""
        try:
            answer = await opened.enter_async_context(self._answer(request))
            return answer, await anext(answer.pcm, b"")
        except (openai.APIError, httpx2.TransportError) as error:
            pause_s = pause_before_retry(error)
            if pause_s is None:
                raise
        await opened.aclose()
        take.is_held = True
        await asyncio.sleep(pause_s)
        take.is_held = False
        answer = await opened.enter_async_context(self._answer(request))
        return answer, await anext(answer.pcm, b"")

    @asynccontextmanager
    async def _answer(self, request: _Request) -> AsyncGenerator[_Answer]:
        """One answer, open: its sound as it is received."""
        fields = {name: value for name, value in self._extra.items() if value is not None}
        speech = self._client.audio.speech.with_streaming_response
        async with AsyncExitStack() as opened:
            response = await opened.enter_async_context(speech.create(**request, extra_body=fields))
            # The SDK's own iter_bytes, closed early, leaves the stream below it to the garbage collector.
            body = await opened.enter_async_context(aclosing(response.http_response.aiter_bytes()))
            stream = SoundStream(
                body,
                read_label(response.headers),
                sample_rate=self._sample_rate,
                presented=lambda words: safe_words(words, request["input"], self._secrets),
            )
            yield _Answer(stream, await opened.enter_async_context(aclosing(stream.pcm())))

    async def _within(self, limit_s: float, left_s: float, wait: Awaitable[_T], hint: str = "") -> _T:
        try:
            async with asyncio.timeout(min(limit_s, left_s)):
                return await wait
        except TimeoutError as error:
            if left_s < limit_s:
                complaint = f"the voice took longer than {self._total_timeout_s:g} s for one text"
            else:
                complaint = f"the voice sent nothing for {limit_s:g} s"
            hint = hint or "try again; `liba doctor` times the voice"
            raise VoiceStalledError(complaint, hint=hint) from error

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
        for name in _OPTIONAL:
            if self._extra.get(name, "") is None:
                request.pop(name, None)
        return request

    def _warn_once(self, oddity: Literal["fast", "slow"]) -> None:
        if self._is_odd:
            return
        self._is_odd = True
        logger.warning(
            "the voice speaks far too %s: if it sounds too %s, its samples are not 24000 a second; "
            "set voice.sample_rate (LIBA_VOICE_SAMPLE_RATE) to what they are",
            oddity,
            "high" if oddity == "fast" else "low",
        )


@dataclass(frozen=True)
class _Answer:
    stream: SoundStream
    pcm: AsyncGenerator[bytes]
