"""A voice that is left alone for a while when it fails time and again: nobody waits for it in vain."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from libacli.errors import RefusedError, VoiceError, VoiceRefusedError, VoiceTruncatedError
from libacli.speech.ports import Style, Voice

logger = logging.getLogger("liba.voice")

_ANSWERED = (VoiceRefusedError, VoiceTruncatedError)
"""Errors of a voice that is there: another text may fare better."""


class BreakerVoice:
    """Passes on what `voice` says, until it has failed `failures_allowed` times in a row. Implements `Voice`.

    Then nothing is asked of it for `pause_s` seconds: what is new is refused, what waits fails at once. After
    that one request is let through; its first sound ends the pause for all, its failure begins another one.
    A failure is an outage (no connection, 5xx, a rate limit, a stall), not a complaint about a text.
    The clock is the event loop's.
    """

    def __init__(self, voice: Voice, *, failures_allowed: int = 3, pause_s: float = 30.0) -> None:
        self.model = voice.model
        self.name = voice.name
        self._voice = voice
        self._failures_allowed = failures_allowed
        self._pause_s = pause_s
        self._failures = 0
        self._paused_until = -math.inf
        self._is_trying = False
        """The one request after a pause is under way."""

    def objection(self, text: str) -> str | None:
        """See `Voice.objection`. Raises RefusedError (`voice_unavailable`) during a pause."""
        if complaint := self._complaint():
            raise RefusedError("voice_unavailable", complaint)
        return self._voice.objection(text)

    async def synthesize(self, text: str, style: Style) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`. Raises VoiceError at once during a pause."""
        with self._judged():
            async with aclosing(self._voice.synthesize(text, style)) as pieces:
                async for piece in pieces:
                    self._sounds()
                    yield piece

    async def warm_up(self) -> None:
        with self._judged():
            await self._voice.warm_up()

    async def aclose(self) -> None:
        await self._voice.aclose()

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Lets one request through, and learns from its end; being cancelled says nothing of the voice."""
        if complaint := self._complaint():
            raise VoiceError(complaint, hint="try again in a while; `liba doctor` tries the voice")
        self._is_trying = is_trial = self._is_tripped
        try:
            yield
        except _ANSWERED:
            self._failures = 0
            raise
        except VoiceError:
            self._fail()
            raise
        else:
            self._failures = 0
        finally:
            if is_trial:
                self._is_trying = False

    @property
    def _is_tripped(self) -> bool:
        return self._failures >= self._failures_allowed

    def _complaint(self) -> str:
        """Why nothing may be asked for now, in one clause; empty when it may."""
        if not self._is_tripped:
            return ""
        story = f"the voice failed {self._failures_allowed} times in a row and is"
        left_s = self._paused_until - asyncio.get_running_loop().time()
        if left_s > 0:
            return f"{story} tried again in {math.ceil(left_s)} s"
        return f"{story} being tried again" if self._is_trying else ""

    def _fail(self) -> None:
        self._failures += 1
        now = asyncio.get_running_loop().time()
        if self._is_tripped and now >= self._paused_until:
            self._paused_until = now + self._pause_s
            logger.error("the voice does not answer: it is left alone for %g s", self._pause_s)

    def _sounds(self) -> None:
        if self._is_tripped:
            logger.info("the voice answers again")
            self._failures = self._failures_allowed - 1  # forgotten when the sound is whole
