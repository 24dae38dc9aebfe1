"""A voice that is left alone for a while when it fails time and again: nobody waits for it in vain."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from libacli.errors import (
    RefusedError,
    VoiceError,
    VoiceLoadingError,
    VoiceRefusedError,
    VoiceStalledError,
    VoiceTruncatedError,
)
from libacli.speech.ports import Style, Take, Voice

logger = logging.getLogger("liba.voice")

_ANSWERED = (VoiceRefusedError, VoiceTruncatedError, VoiceLoadingError)
"""Errors of a voice that is there: another text may fare better, or the same one soon."""


class BreakerVoice:
    """Passes on what `voice` says, until it has failed `failures_allowed` times in a row. Implements `Voice`.

    Then nothing is asked of it for `pause_s` seconds: what is new is refused, what waits fails at once. After
    that one request is let through; its first sound ends the pause for all, its failure begins another one,
    twice as long, up to `longest_pause_s`. A failure is an outage (no connection, 5xx, a rate limit, a
    stall), not a complaint about a text, nor a model that is being loaded; of refusals that would meet every
    text (key, quota, model) one is enough.
    `trial_s` is how long that request may wait for its first sound, where another voice could speak instead.
    The clock is the event loop's.
    """

    def __init__(
        self,
        voice: Voice,
        *,
        failures_allowed: int = 3,
        pause_s: float = 30.0,
        longest_pause_s: float = 600.0,
        trial_s: float | None = None,
    ) -> None:
        self.provider = voice.provider
        self.model = voice.model
        self.name = voice.name
        self._voice = voice
        self._failures_allowed = failures_allowed
        self._first_pause_s = self._pause_s = pause_s
        self._longest_pause_s = longest_pause_s
        self._trial_s = trial_s
        self._failures = 0
        self._paused_until = -math.inf
        self._refusal = ""
        """Why every text is refused; empty when outages are what it is left alone for."""

        self._is_trying = False
        """The one request after a pause is under way."""

    def objection(self, text: str) -> str | None:
        """See `Voice.objection`. Raises RefusedError (`voice_unavailable`) during a pause."""
        if complaint := self.complaint():
            raise RefusedError("voice_unavailable", complaint, retry_in_s=math.ceil(self._left_s) or None)
        return self._voice.objection(text)

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`. Raises VoiceError at once during a pause."""
        with self._judged():
            async with aclosing(self._voice.synthesize(text, style, take)) as pieces:
                first = await self._first(pieces)
                self._sounds()
                yield first
                async for piece in pieces:
                    yield piece

    async def warm_up(self) -> None:
        with self._judged():
            await self._voice.warm_up()

    async def aclose(self) -> None:
        await self._voice.aclose()

    def complaint(self) -> str:
        """Why nothing may be asked for now, in one clause; empty when it may."""
        if not self._is_tripped:
            return ""
        story = self._refusal or f"the voice failed {self._failures_allowed} times in a row"
        if self._left_s:
            return f"{story} and is tried again in {math.ceil(self._left_s)} s"
        return f"{story} and is being tried again" if self._is_trying else ""

    async def _first(self, pieces: AsyncGenerator[bytes]) -> bytes:
        if self._trial_s is None or not self._is_tripped:
            return await anext(pieces)
        try:
            async with asyncio.timeout(self._trial_s):
                return await anext(pieces)
        except TimeoutError as error:
            raise VoiceStalledError(f"the voice sent nothing for {self._trial_s:g} s") from error

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Lets one request through, and learns from its end; being cancelled says nothing of the voice."""
        if complaint := self.complaint():
            raise VoiceError(complaint, hint="try again in a while; `liba doctor` tries the voice")
        self._is_trying = is_trial = self._is_tripped
        try:
            yield
        except _ANSWERED as error:
            if isinstance(error, VoiceRefusedError) and error.is_for_good:
                self._fail(for_good=str(error))
            else:
                self._is_well()
            raise
        except VoiceError:
            self._fail()
            raise
        else:
            self._is_well()
        finally:
            if is_trial:
                self._is_trying = False

    @property
    def _left_s(self) -> float:
        """Of its pause; 0: it is over."""
        return max(0.0, self._paused_until - asyncio.get_running_loop().time())

    @property
    def _is_tripped(self) -> bool:
        return self._failures >= self._failures_allowed

    def _is_well(self) -> None:
        self._failures = 0
        self._pause_s = self._first_pause_s

    def _fail(self, *, for_good: str = "") -> None:
        self._refusal = for_good
        self._failures = self._failures_allowed if for_good else self._failures + 1
        now = asyncio.get_running_loop().time()
        if self._is_tripped and now >= self._paused_until:
            self._paused_until = now + self._pause_s
            why = for_good or "it does not answer"
            logger.error("the voice of %s is left alone for %g s: %s", self.provider, self._pause_s, why)
            self._pause_s = min(2 * self._pause_s, self._longest_pause_s)

    def _sounds(self) -> None:
        if self._is_tripped:
            logger.info("the voice of %s answers again", self.provider)
            self._failures = self._failures_allowed - 1  # forgotten when the sound is whole
