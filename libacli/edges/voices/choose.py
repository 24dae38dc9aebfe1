"""Which voice the settings ask for, and which speakers it has."""

from __future__ import annotations

from libacli.config import Settings
from libacli.errors import CredentialsError
from libacli.speech.breaker import BreakerVoice
from libacli.speech.ports import Voice

_SPEAKERS = ("alloy", "ash", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer")
"""Of all of OpenAI's speech models: https://developers.openai.com/api/docs/guides/text-to-speech"""

_NEWER_SPEAKERS = ("ballad", "cedar", "marin", "verse")
"""Of those besides that are not `tts-1` or `tts-1-hd`."""


def make_voice(settings: Settings) -> Voice:
    """The voice of `voice.provider`; `auto` is OpenAI where there is a key or address for it, else embedded.

    Raises CredentialsError when OpenAI is asked for without a key, ConfigError when the embedded voice is
    not installed. Needs no event loop. A service that fails time and again is left alone for a while.
    """
    if not uses_openai(settings):
        from libacli.edges.voices.embedded import embedded_voice

        return embedded_voice(
            speed=settings.voice_speed,
            first_pcm_timeout_s=settings.voice_first_pcm_timeout,
            stall_timeout_s=settings.voice_stall_timeout,
        )
    if not _has_openai(settings):
        raise CredentialsError(
            "OPENAI_API_KEY is not set", hint="set it, or speak without it: LIBA_VOICE_PROVIDER=embedded"
        )
    from libacli.edges.voices.openai import OpenAIVoice, open_client

    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    service = OpenAIVoice(
        open_client(key, settings.openai_base_url),
        model=settings.voice_model,
        voice=settings.voice_name,
        speed=settings.voice_speed,
        instructions=settings.voice_instructions,
        first_pcm_timeout_s=settings.voice_first_pcm_timeout,
        stall_timeout_s=settings.voice_stall_timeout,
    )
    return BreakerVoice(service)


def voice_names(settings: Settings) -> tuple[str, ...]:
    """Speakers to choose from, the one of `voice.name` first; another server's others are not known."""
    if not uses_openai(settings):
        from libacli.edges.voices.embedded import VOICE

        return (VOICE,)
    known: tuple[str, ...] = ()
    if not settings.openai_base_url and settings.voice_model.startswith("tts-1"):
        known = _SPEAKERS
    elif not settings.openai_base_url and settings.voice_model.startswith("gpt-"):
        known = tuple(sorted(_SPEAKERS + _NEWER_SPEAKERS))
    return (settings.voice_name, *(name for name in known if name != settings.voice_name))


def uses_openai(settings: Settings) -> bool:
    """Whether speech comes from OpenAI, or a server like it, and not from the embedded voice."""
    return settings.voice_provider == "openai" or (
        settings.voice_provider == "auto" and _has_openai(settings)
    )


def _has_openai(settings: Settings) -> bool:
    return bool(settings.openai_api_key or settings.openai_base_url)
