"""What the settings say of a voice's memory: where sounds are kept, and for which voice."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from libacli.config import Settings
from libacli.config_values import tables_of
from libacli.edges.voices.cache_files import SoundFiles, sounds_path
from libacli.speech.cache import CachedVoice
from libacli.speech.ports import Style, Voice
from libacli.speech.sound_store import SoundMemory, SoundStore

logger = logging.getLogger("liba.voice")

_MB = 1_000_000

_NOT_HEARD = frozenset(
    {
        "voice_provider",
        "voice_providers",
        "voice_first_pcm_timeout",
        "voice_stall_timeout",
        "voice_hedge",
        "voice_cache_memory_mb",
        "voice_cache_mb",
        # These are part of what a sound is kept under anyway, as they are in each request.
        "voice_model",
        "voice_name",
        "voice_speed",
        "voice_instructions",
    }
)
"""Settings of the voice that make no difference to its sound. A new one does until it stands here."""


def sound_stores(settings: Settings) -> list[SoundStore]:
    """Where the voices of one process keep what they have said, all of them together; the quickest first.

    Reads a file where there is a cache on disk: it belongs before a loop, or into a thread. A disk that
    cannot be used costs that cache, and is told.
    """
    stores: list[SoundStore] = []
    if settings.voice_cache_memory_mb:
        stores.append(SoundMemory(settings.voice_cache_memory_mb * _MB))
    if settings.voice_cache_mb:
        try:
            stores.append(sound_files(settings))
        except OSError as error:
            logger.warning("what is said is not kept on disk: %s", error)
    return stores


def sound_files(settings: Settings) -> SoundFiles:
    """The cache on disk. Raises OSError."""
    return SoundFiles(sounds_path(), settings.voice_cache_mb * _MB)


def memory_of(voice: Voice, settings: Settings, stores: Sequence[SoundStore]) -> CachedVoice | None:
    """`voice`, which says from `stores` what it has said before; None where there are none."""
    if not stores:
        return None
    own = Style(speed=settings.voice_speed, instructions=settings.voice_instructions)
    return CachedVoice(voice, stores, own=own, variety=_variety(settings))


def _variety(settings: Settings) -> str:
    """What else of the settings makes the sound; it is kept nowhere, only a digest of it."""
    heard = {
        name: value
        for name, value in settings.model_dump(mode="json").items()
        if name == "openai_base_url" or (name.startswith("voice_") and name not in _NOT_HEARD)
    }
    heard["voice_options"] = tables_of(settings.voice_options)  # which a dump hides
    return json.dumps(heard, sort_keys=True)
