"""What is spoken in a room, and what is shown of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from livekit import rtc

from libacli.complaint_log import ComplaintLog
from libacli.config import Settings
from libacli.core.acquaintance import Acquaintances
from libacli.core.bounds import Bounds
from libacli.core.caps import SayCaps
from libacli.core.pronunciation import Pronunciations
from libacli.core.utterance import Utterance
from libacli.edges.livekit.caption_writer import CaptionWriter
from libacli.edges.voices.pronunciations import pronunciations as read_pronunciations
from libacli.errors import ConfigError
from libacli.speech.announcer import Announcer
from libacli.speech.given import GivenSounds
from libacli.speech.notes import Notes
from libacli.speech.pace import Pace
from libacli.speech.ports import Sink, Voice
from libacli.speech.speaker import Speaker

logger = logging.getLogger("liba.room")


def room_speaker(
    settings: Settings,
    voice: Voice,
    known: Acquaintances | None,
    sink: Sink,
    announcer: Announcer,
    caps: SayCaps,
    bounds: Bounds,
    pronunciations: Pronunciations | None,
    notes: Notes,
    given: GivenSounds,
) -> Speaker:
    """One whose utterances are announced, paid for, and noted down."""

    def on_change(utterance: Utterance) -> None:
        if utterance.is_over:
            caps.end(utterance.id)
        announcer.announce(utterance)

    def on_ask(utterance: Utterance, chars: int) -> None:
        caps.ask(utterance.id, chars, asyncio.get_running_loop().time())

    return Speaker(
        voice,
        sink,
        on_change=on_change,
        on_ask=on_ask,
        pace=_pace(settings),
        bounds=bounds,
        queue_limit=settings.say_queue_limit,
        known=known,
        pronunciations=pronunciations,
        notes=notes,
        given=given,
    )


def room_pronunciations(settings: Settings) -> Pronunciations | None:
    """None for a file that became unreadable since the worker began: words said wrong beat none."""
    try:
        return read_pronunciations(settings)
    except ConfigError as error:
        logger.error("no word is respelled: %s", error)
        return None


def room_captions(
    settings: Settings,
    room: rtc.Room,
    pronunciations: Pronunciations | None,
    track_sid: Callable[[Utterance], str],
    log: ComplaintLog,
) -> CaptionWriter | None:
    """What writes the captions; None: the settings have it that there are none."""
    if not settings.speech_captions:
        return None
    words = pronunciations or Pronunciations()

    def spoken(text: str) -> list[str]:
        return [item for item in words.script_of(text) if isinstance(item, str)]

    return CaptionWriter(room, settings.livekit(), spoken=spoken, track_sid=track_sid, log=log)


def _pace(settings: Settings) -> Pace:
    return Pace(
        max_chunk_chars=settings.speech_max_chunk_chars,
        first_chunk_chars=settings.speech_first_chunk_chars,
        max_hold_s=settings.speech_max_hold,
        silence_tail_ms=settings.speech_silence_tail_ms,
        patience_s=settings.voice_patience,
    )
