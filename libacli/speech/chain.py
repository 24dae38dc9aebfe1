"""Voices in the order in which they are asked: the next one speaks where the one before it cannot."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from libacli.core.audio import is_audible
from libacli.errors import RefusedError, VoiceError, VoiceRefusedError
from libacli.speech.breaker import BreakerVoice
from libacli.speech.cache import CachedVoice, is_remembered
from libacli.speech.ports import Style, Take, Voice

logger = logging.getLogger("liba.voice")


@dataclass(frozen=True)
class Link:
    """One voice of a chain."""

    voice: BreakerVoice
    speakers: frozenset[str] | None = None
    """All that it has; None: it may have any."""

    memory: CachedVoice | None = None
    """Says what `voice` has said before, also while that is left alone, and asks it for the rest."""

    @property
    def asked(self) -> Voice:
        return self.memory or self.voice

    def knows(self, speaker: str | None) -> bool:
        return speaker is None or self.speakers is None or speaker in self.speakers

    def styled(self, style: Style) -> Style:
        """`style`, without a speaker that this voice has not."""
        return style if self.knows(style.voice) else replace(style, voice=None)


class ChainVoice:
    """Has a text read by the first of `links` that can. Implements `Voice`.

    The next one is asked at once when one refuses, or fails before anything of the text but silence was
    heard; what was heard is never said again. A voice that is left alone (see `BreakerVoice`) is passed over,
    and tried again when its pause is over. Why it is not the first one is noted in the `Take`. In its turn
    each says what it has said before, also while it is left alone.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        if not links:
            raise ValueError("a chain needs a voice")
        self.links = tuple(links)

    @property
    def provider(self) -> str:
        return self._next.provider

    @property
    def model(self) -> str:
        return self._next.model

    @property
    def name(self) -> str:
        return self._next.name

    @property
    def reason(self) -> str:
        """Why it is not the first one that would speak now; empty when it is, or when none would."""
        ahead = self.links[: [link.voice for link in self.links].index(self._next)]
        return _told([(link.voice, link.voice.complaint()) for link in ahead])

    def objection(self, text: str) -> str | None:
        """See `Voice.objection`: what the first one that is there says, if none can say it."""
        objections: list[str] = []
        unavailable: list[tuple[Voice, str]] = []
        retries_in_s: list[float] = []
        for link in self.links:
            try:
                objection = link.asked.objection(text)
            except RefusedError as refused:
                unavailable.append((link.voice, str(refused)))
                retries_in_s += [] if refused.retry_in_s is None else [refused.retry_in_s]
                continue
            if objection is None:
                return None
            objections.append(objection)
        if objections:
            return objections[0]
        complaints = [complaint for _, complaint in unavailable]
        raise RefusedError(
            "voice_unavailable",
            complaints[0] if len(complaints) == 1 else _told(unavailable),
            retry_in_s=min(retries_in_s, default=None),
        )

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`. Raises what the last voice raised, or the one that broke off."""
        take = take or Take()
        passed_over: list[tuple[Voice, VoiceError]] = []
        for link in self._by_speaker(style.voice):
            if obstacle := _obstacle(link, text, style):
                passed_over.append((link.voice, obstacle))
                continue
            take.reason = _told(passed_over)
            has_sounded = False
            try:
                async with aclosing(link.asked.synthesize(text, link.styled(style), take)) as pieces:
                    async for piece in pieces:
                        has_sounded = has_sounded or is_audible(piece[: len(piece) & ~1])
                        yield piece
                return
            except VoiceError as error:
                if has_sounded:
                    raise
                passed_over.append((link.voice, error))
                logger.warning("the voice of %s is passed over: %s", link.voice.provider, error)
        raise passed_over[-1][1]

    def remembers(self, text: str, style: Style) -> bool:
        """Whether the one that would be asked first says it from memory. Implements `Rememberer`."""
        asked = (link for link in self._by_speaker(style.voice) if not _obstacle(link, text, style))
        link = next(asked, None)
        return link is not None and is_remembered(link.asked, text, link.styled(style))

    async def warm_up(self) -> None:
        """Makes the first voice ready that can be. Raises what the last one raised."""
        for link in self.links[:-1]:
            try:
                return await link.voice.warm_up()
            except VoiceError as error:
                logger.warning("the voice of %s is not ready: %s", link.voice.provider, error)
        return await self.links[-1].voice.warm_up()

    async def aclose(self) -> None:
        for link in self.links:
            await link.asked.aclose()

    @property
    def _next(self) -> BreakerVoice:
        """Who would be asked now."""
        voices = [link.voice for link in self.links]
        return next((voice for voice in voices if not voice.complaint()), voices[0])

    def _by_speaker(self, speaker: str | None) -> list[Link]:
        """Those first who have the speaker that is asked for."""
        return sorted(self.links, key=lambda link: not link.knows(speaker))


def has_another(voice: Voice) -> bool:
    """Whether another voice would speak where `voice` breaks off."""
    return isinstance(voice, ChainVoice) and len(voice.links) > 1


def unknown_speaker(voice: Voice, speaker: str | None) -> str | None:
    """What to say of a speaker that none of the voices has; None: one has it, or may have."""
    if not isinstance(voice, ChainVoice) or any(link.knows(speaker) for link in voice.links):
        return None
    there_are = sorted({name for link in voice.links for name in link.speakers or ()})
    return f"there is no voice {speaker!r}; there are {', '.join(there_are)}"


def _obstacle(link: Link, text: str, style: Style) -> VoiceError | None:
    """Why it need not be asked to say `text`."""
    if is_remembered(link.asked, text, link.styled(style)):
        return None
    try:
        objection = link.voice.objection(text)
    except RefusedError as refused:
        return VoiceError(str(refused), hint="try again in a while; `liba doctor` tries the voice")
    return VoiceRefusedError(objection) if objection else None


def _told(complaints: Sequence[tuple[Voice, VoiceError | str]]) -> str:
    return "; ".join(f"{voice.provider}: {complaint}" for voice, complaint in complaints)
