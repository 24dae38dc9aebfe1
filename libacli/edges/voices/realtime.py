"""A voice over OpenAI's Realtime API: a model that talks, told to read, and checked against the text.

It gives no guarantee for its words, so its own transcript is held against the text while the sound waits a
little (`HeldSound`): what is said otherwise is said once more, and is then another voice's turn. What was
given out before the other words came cannot be taken back; it is noted (`Take.is_reworded`).
https://developers.openai.com/api/docs/guides/realtime-conversations
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from libacli.config import Settings
from libacli.config_values import pairs_of
from libacli.core.audio import duration_s
from libacli.core.verbatim import Proofreader
from libacli.edges.voices.openai_client import client_of
from libacli.edges.voices.realtime_errors import HiccupError
from libacli.edges.voices.realtime_events import Event
from libacli.edges.voices.realtime_reading import READ, Line, Reading, RewordedError
from libacli.edges.voices.realtime_session import Answer, RealtimeSession
from libacli.edges.voices.sound_check import SoundCheck
from libacli.edges.voices.waits import Waits
from libacli.errors import CredentialsError, VoiceError, VoiceRefusedError, VoiceTruncatedError
from libacli.speech.ports import Style, Take

if TYPE_CHECKING:
    import openai
    from openai.types.realtime import RealtimeSessionCreateRequestParam

logger = logging.getLogger("liba.voice")

MODEL = "gpt-realtime-2.1-mini"
SPEAKER = "marin"
SPEAKERS = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
"""OpenAI's own: https://developers.openai.com/api/docs/guides/realtime-conversations#voice-options"""

LANGUAGES: tuple[str, ...] = ()
"""Many; OpenAI gives no list."""

_SLOWEST, _FASTEST = 0.25, 1.5
_HOLD_S = 0.5
_MOST_SESSIONS = 4
"""A session keeps its speaker and its pace; so many pairs of both are kept open."""


def realtime_voice(settings: Settings) -> RealtimeVoice:
    """The voice of these settings. Raises CredentialsError without a key. Needs no loop."""
    if not (settings.openai_api_key or settings.openai_base_url):
        raise CredentialsError("OPENAI_API_KEY is not set", hint="set it, or leave out the voice `realtime`")
    return RealtimeVoice(
        client_of(settings),
        model=settings.voice_model or MODEL,
        voice=settings.voice_name,
        speed=settings.voice_speed,
        instructions=settings.voice_instructions,
        secrets=[*pairs_of(settings.openai_headers).values(), *pairs_of(settings.openai_query).values()],
        first_pcm_timeout_s=settings.voice_first_pcm_timeout,
        stall_timeout_s=settings.voice_stall_timeout,
    )


class RealtimeVoice:
    """Speaks through an `AsyncOpenAI` client, which it owns from here on. Implements `Voice`.

    Bounds as in `SpeechApiVoice`; `hold_s` is how long sound waits for its transcript; `secrets` are not
    repeated in errors. A speaker that the service does not have is replaced by `SPEAKER`. Sockets stay open
    between lines, one for each speaker and pace, and are opened anew when they were closed.
    """

    provider = "realtime"

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        *,
        model: str = MODEL,
        voice: str = SPEAKER,
        speed: float = 1.0,
        instructions: str = "",
        secrets: Sequence[str] = (),
        first_pcm_timeout_s: float = 10.0,
        stall_timeout_s: float = 5.0,
        total_timeout_s: float = 60.0,
        hold_s: float = _HOLD_S,
    ) -> None:
        self.model = model
        self.name = _speaker(voice)
        self._client = client
        self._secrets = [client.api_key, client.base_url.password, *secrets]
        self._speed = speed
        self._instructions = instructions
        self._new_waits = functools.partial(
            Waits, first_s=first_pcm_timeout_s, stall_s=stall_timeout_s, total_s=total_timeout_s
        )
        self._hold_s = hold_s
        self._sessions: dict[tuple[str, float], RealtimeSession] = {}
        self._opening = asyncio.Lock()
        self._tls: ssl.SSLContext | None = None
        self._is_closed = False

    def objection(self, text: str) -> str | None:
        return None

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`. Raises VoiceRefusedError when it was said in other words twice."""
        line = self._line(text, style)
        take = take or Take()
        take.by(self, replace(style, voice=line.speaker))
        waits, sound, tries = self._new_waits(), SoundCheck(text, line.speed), 2
        while tries:
            tries -= 1
            try:
                async with aclosing(self._attempt(line, take)) as pieces:
                    while piece := await waits.on(anext(pieces, b"")):
                        waits.sounds()
                        sound.add(piece)
                        yield piece
                break
            except HiccupError as error:
                if sound.bytes:
                    heard_s = duration_s(sound.bytes)
                    raise VoiceTruncatedError(
                        f"the voice's connection broke after {heard_s:.2f} s of sound"
                    ) from error
                if not tries:
                    raise error.last from error.__cause__
                logger.debug("the voice is asked once more: %s", error)
                await waits.on(asyncio.sleep(error.pause_s))
            except RewordedError as error:
                if not tries:
                    raise VoiceRefusedError(
                        "the voice said it in other words, twice",
                        hint="put another voice first in voice.providers",
                    ) from error
                logger.info("the voice began to say it in other words: it is asked once more")
        sound.check()

    async def warm_up(self) -> None:
        """Opens the socket of the usual speaker, which costs nothing, and waits until it is configured."""
        session = await self._new_waits().on(self._session(self.name, self._pace(None)))
        await self._new_waits().on(session.read_until(session.is_ready))

    async def aclose(self) -> None:
        self._is_closed = True
        for session in self._sessions.values():
            await session.aclose()
        self._sessions.clear()
        await self._client.close()

    async def _attempt(self, line: Line, take: Take) -> AsyncGenerator[bytes, None]:
        """One response's sound, as it is vouched for. Raises HiccupError, RewordedError before any sound."""
        session, answer = await self._ask(line)
        reading = Reading(line, take, hold_s=self._hold_s, secrets=self._secrets)
        clock = asyncio.get_running_loop().time
        try:
            while not (answer.is_over or reading.is_astray):
                if event := await _next(answer, reading):
                    reading.hear(event, clock())
                elif reading.is_whole:
                    break
                while not reading.is_astray and (piece := reading.sound.take(clock())):
                    yield piece
        finally:
            await session.leave(answer)
        reading.end()

    async def _ask(self, line: Line) -> tuple[RealtimeSession, Answer]:
        """A response under way. A socket that was closed while nothing was said is opened anew."""
        session = await self._session(line.speaker, line.speed)
        try:
            return session, await session.ask(line.response())
        except HiccupError:
            session = await self._session(line.speaker, line.speed)
            return session, await session.ask(line.response())

    async def _session(self, speaker: str, speed: float) -> RealtimeSession:
        """The open socket of a speaker at a pace."""
        async with self._opening:
            if self._is_closed:
                raise VoiceRefusedError("the voice was closed")
            session = self._sessions.pop((speaker, speed), None)
            if session and not session.is_usable:
                await session.retire()
                session = None
            if session is None:
                await self._make_room()
                session = await self._open(speaker, speed)
            self._sessions[speaker, speed] = session  # the last used stands last
            return session

    async def _open(self, speaker: str, speed: float) -> RealtimeSession:
        if self._client.base_url.scheme in ("https", "wss") and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        configured: RealtimeSessionCreateRequestParam = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": READ,
            "audio": {
                # Nothing is ever heard here: without this the service would look for the end of speech.
                "input": {"turn_detection": None},
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "voice": {"id": speaker} if speaker.startswith("voice_") else speaker,
                    "speed": speed,
                },
            },
        }
        return await RealtimeSession.open(
            self._client, self.model, configured, secrets=self._secrets, tls=self._tls
        )

    async def _make_room(self) -> None:
        while len(self._sessions) >= _MOST_SESSIONS:
            await self._sessions.pop(next(iter(self._sessions))).retire()

    def _line(self, text: str, style: Style) -> Line:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise VoiceRefusedError("the text holds half a character (a lone surrogate)") from error
        if not Proofreader(text).length:
            raise VoiceRefusedError("there is no word in the text")
        instructions = self._instructions if style.instructions is None else style.instructions
        return Line(text, _speaker(style.voice or self.name), self._pace(style.speed), instructions)

    def _pace(self, speed: float | None) -> float:
        return min(max(self._speed if speed is None else speed, _SLOWEST), _FASTEST)


async def _next(answer: Answer, reading: Reading) -> Event | None:
    """What comes of a response; None when sound is due, or nothing more is needed. Raises VoiceError."""
    try:
        return await answer.next(until=reading.over_at or reading.sound.due_at)
    except VoiceError:
        if reading.is_whole:
            return None
        raise


def _speaker(name: str) -> str:
    """The speaker of that name, or `SPEAKER`; "voice_…" is the id of a custom one."""
    return name if name in SPEAKERS or name.startswith("voice_") else SPEAKER
