"""A voice over any text-to-speech of livekit-agents (https://docs.livekit.io/agents/models/tts/)."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from livekit import rtc
from livekit.agents import APIConnectOptions

from libacli.core.audio import SAMPLE_RATE
from libacli.edges.no_redirects import no_redirects
from libacli.edges.voices.livekit_errors import translated
from libacli.edges.voices.sound_check import SoundCheck
from libacli.edges.voices.waits import Waits
from libacli.errors import (
    VoiceBusyError,
    VoiceError,
    VoiceRefusedError,
    VoiceStalledError,
    VoiceTruncatedError,
)
from libacli.speech.ports import Style, Take

if TYPE_CHECKING:
    from livekit.agents.tts import TTS, ChunkedStream, SynthesizeStream

logger = logging.getLogger("liba.voice")

_RETRY_PAUSE_S = 0.1
_KEEPALIVE_S = 120.0
_CLOSE_TIMEOUT_S = 2.0
_MOST_TTS = 4
"""A TTS keeps its speaker and its pace; so many are kept."""

_FINAL = (VoiceBusyError, VoiceRefusedError, VoiceStalledError, VoiceTruncatedError)
"""Errors after which asking again at once does not help."""

_Key = tuple[str, float | None, str]


@dataclass(frozen=True)
class TTSKind:
    """A text-to-speech of livekit-agents, to be made."""

    make: Callable[..., TTS[Any]]
    """Makes one for `voice`, `speed` and `instructions`, or some of them; leaves out what its TTS has not."""

    takes_session: bool = False
    """It takes `http_session`, too."""

    speaker: str = ""
    """Who speaks where nobody is named; empty: that is not known."""


class _Kept:
    """A TTS that was made, and how many requests use it."""

    def __init__(self, tts: TTS[Any]) -> None:
        self.tts = tts
        self.users = 0


class LiveKitVoice:
    """Speaks with TTSs of one kind, one for each speaker, pace and manner. Implements `Voice`.

    One is made at once, so that what is missing is told at once. `secrets` are not repeated in errors. Bounds
    as in `SpeechApiVoice`. Those that take an HTTP session share one of ours, inside a job and outside: it
    follows no redirect.
    """

    def __init__(
        self,
        kind: TTSKind,
        *,
        provider: str,
        voice: str = "",
        speed: float = 1.0,
        instructions: str = "",
        secrets: Sequence[str] = (),
        first_pcm_timeout_s: float = 10.0,
        stall_timeout_s: float = 5.0,
        total_timeout_s: float = 60.0,
    ) -> None:
        self.provider = provider
        self._kind = kind
        self._voice = voice
        self._speed = speed
        self._instructions = instructions
        self._secrets = secrets
        self._options = APIConnectOptions(max_retry=0, timeout=first_pcm_timeout_s)
        self._new_waits = functools.partial(
            Waits, first_s=first_pcm_timeout_s, stall_s=stall_timeout_s, total_s=total_timeout_s
        )
        self._early: TTS[Any] | None = self._made(self._key(Style()))
        model = self._early.model
        self.model = model if model != "unknown" else provider.removeprefix("livekit:")
        self.name = voice or kind.speaker or "default"
        self._kept: dict[_Key, _Kept] = {}
        self._session: aiohttp.ClientSession | None = None

    def objection(self, text: str) -> str | None:
        return None

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`; sound of any rate is resampled."""
        if not any(character.isalnum() for character in text):
            raise VoiceRefusedError("there is no letter or digit in it to speak")
        if take:
            take.by(self, style)
        speed = self._speed if style.speed is None else style.speed
        waits, sound, tries = self._new_waits(), SoundCheck(text, speed), 2
        while tries:
            tries -= 1
            try:
                with translated(self.provider, text, lambda: sound.bytes, self._secrets):
                    async with aclosing(self._attempt(text, style)) as pieces:
                        while piece := await waits.on(anext(pieces, b"")):
                            waits.sounds()
                            sound.add(piece)
                            yield piece
                break
            except _FINAL:
                raise
            except VoiceError as error:
                if not tries:
                    raise
                logger.debug("the voice is asked once more: %s", error)
                await waits.on(asyncio.sleep(_RETRY_PAUSE_S))
        sound.check()

    async def warm_up(self) -> None:
        """Says one short word to nobody: connections and the service's own start are paid."""
        async with aclosing(self.synthesize("Hi.", Style())) as pieces:
            async for _ in pieces:
                pass

    async def aclose(self) -> None:
        kept, self._kept = self._kept, {}
        for tts in (*(one.tts for one in kept.values()), self._early):
            if tts:
                await tts.aclose()
        self._early = None
        if self._session:
            await self._session.close()

    async def _attempt(self, text: str, style: Style) -> AsyncGenerator[bytes, None]:
        converter = _Converter()
        kept = await self._of(style)
        kept.users += 1
        try:
            async with self._answer(kept.tts, text) as stream:
                async for audio in stream:
                    for pcm in converter.push(audio.frame):
                        yield pcm
        finally:
            kept.users -= 1
        for pcm in converter.flush():
            yield pcm

    @asynccontextmanager
    async def _answer(self, tts: TTS[Any], text: str) -> AsyncGenerator[ChunkedStream | SynthesizeStream]:
        """What the TTS makes of `text`; given up early it is cancelled."""
        stream: ChunkedStream | SynthesizeStream
        try:
            stream = tts.synthesize(text, conn_options=self._options)
        except NotImplementedError:  # it streams only
            stream = tts.stream(conn_options=self._options)
            stream.push_text(text)
            stream.end_input()
        try:
            yield stream
        finally:
            await self._closed(stream)

    async def _closed(self, stream: ChunkedStream | SynthesizeStream) -> None:
        """Closes it within a bound: what was heard of it was heard, however long that takes."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await stream.aclose()
        except TimeoutError:
            logger.warning("an answer of %s was not closed within %g s", self.provider, _CLOSE_TIMEOUT_S)

    async def _of(self, style: Style) -> _Kept:
        """The TTS of a style, made where there is none yet."""
        key = self._key(style)
        kept = self._kept.pop(key, None) or _Kept(await self._made_here(key))
        self._kept[key] = kept  # the last used stands last
        idle = [other for other, one in self._kept.items() if not one.users and one is not kept]
        for other in idle[: max(0, len(self._kept) - _MOST_TTS)]:
            await self._kept.pop(other).tts.aclose()
        return kept

    async def _made_here(self, key: _Key) -> TTS[Any]:
        """One for this loop, with an HTTP session of ours."""
        http = self._http_session()
        early, self._early = self._early, None
        if early and key == self._key(Style()) and not http:
            return early
        if early:
            await early.aclose()
        return self._made(key, **http)

    def _http_session(self) -> dict[str, aiohttp.ClientSession]:
        if not self._kind.takes_session:
            return {}
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_S),
                trust_env=True,
                middlewares=(no_redirects,),
            )
        return {"http_session": self._session}

    def _made(self, key: _Key, **more: Any) -> TTS[Any]:
        voice, speed, instructions = key
        given = {"voice": voice or None, "speed": speed, "instructions": instructions or None}
        return self._kind.make(**{name: value for name, value in given.items() if value is not None}, **more)

    def _key(self, style: Style) -> _Key:
        speed = self._speed if style.speed is None else style.speed
        instructions = self._instructions if style.instructions is None else style.instructions
        return style.voice or self._voice, None if speed == 1.0 else speed, instructions


class _Converter:
    """Turns frames of any rate and any number of channels into PCM as everywhere inside."""

    def __init__(self) -> None:
        self._resampler: rtc.AudioResampler | None = None
        self._rate = SAMPLE_RATE

    def push(self, frame: rtc.AudioFrame) -> Iterator[bytes]:
        """Yields what has become of the frames so far; nothing that is empty."""
        if frame.sample_rate != self._rate:
            yield from self.flush()
            self._rate = frame.sample_rate
            if self._rate != SAMPLE_RATE:
                self._resampler = rtc.AudioResampler(self._rate, SAMPLE_RATE, num_channels=1)
        mono = _mono(frame)
        if self._resampler:
            yield from map(bytes, (one.data.cast("b") for one in self._resampler.push(bytearray(mono))))
        elif mono:
            yield mono

    def flush(self) -> Iterator[bytes]:
        """Yields what is still inside."""
        if self._resampler:
            yield from map(bytes, (one.data.cast("b") for one in self._resampler.flush()))
        self._resampler, self._rate = None, SAMPLE_RATE


def _mono(frame: rtc.AudioFrame) -> bytes:
    if frame.num_channels == 1:
        return bytes(frame.data.cast("b"))
    import numpy

    channels = numpy.frombuffer(frame.data, dtype="<i2").reshape(-1, frame.num_channels)
    return bytes(channels.mean(axis=1).astype("<i2").tobytes())
