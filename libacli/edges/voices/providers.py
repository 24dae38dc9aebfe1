"""The providers of voices: by which word each is asked for, how it is made, who its speakers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from libacli.config import Settings
from libacli.config_values import tables_of
from libacli.errors import ConfigError, CredentialsError
from libacli.speech.ports import Voice


@dataclass(frozen=True)
class Provider:
    """Whose voice speaks. What it needs is loaded when it is made."""

    make: Callable[[Settings, str], Voice]
    """Of the settings, whose model and speaker are its own, and what stands behind its colon.

    Raises CredentialsError, ConfigError."""

    speaker: str = ""
    """Who speaks unless told otherwise; empty: that is not known before it is made."""

    speakers: Callable[[Settings], tuple[str, ...]] = lambda settings: ()
    """All that it has; empty: it may have any."""


def provider_of(word: str) -> tuple[Provider, str]:
    """Which one a word of `voice.providers` means, and what is behind its colon. Raises ConfigError."""
    from libacli.edges.voices.entry_points import entry_point_names, entry_point_voice

    name, _, argument = word.partition(":")
    if name in PROVIDERS:
        return PROVIDERS[name], argument
    others = entry_point_names()
    if name in others:
        return Provider(lambda settings, argument: entry_point_voice(settings, name)), argument
    known = ", ".join(("auto", *PROVIDERS, *others))
    raise ConfigError(f"voice.providers: there is no {word!r}", hint=f"it knows {known}")


def _speech(settings: Settings, argument: str) -> Voice:
    from libacli.edges.voices.speech import speech_voice

    if not (settings.openai_api_key or settings.openai_base_url):
        raise CredentialsError(
            "OPENAI_API_KEY is not set", hint="set it, or speak without it: LIBA_VOICE_PROVIDERS=embedded"
        )
    return speech_voice(settings.model_copy(update={"voice_model": argument or settings.voice_model}))


def _speech_speakers(settings: Settings) -> tuple[str, ...]:
    if settings.openai_base_url:
        return ()
    if settings.voice_model.startswith("tts-1"):
        return _SPEAKERS
    is_newer = not settings.voice_model or settings.voice_model.startswith("gpt-")
    return (*_SPEAKERS, *_NEWER_SPEAKERS) if is_newer else ()


def _realtime(settings: Settings, argument: str) -> Voice:
    from libacli.edges.voices.realtime import realtime_voice

    return realtime_voice(settings.model_copy(update={"voice_model": argument or settings.voice_model}))


def _realtime_speakers(settings: Settings) -> tuple[str, ...]:
    from libacli.edges.voices.realtime import SPEAKERS

    return SPEAKERS


def _livekit(settings: Settings, argument: str) -> Voice:
    from libacli.edges.voices.livekit import livekit_voice

    word = f"livekit:{argument}" if argument else "livekit"
    return livekit_voice(settings, argument, tables_of(settings.voice_options).get(word))


def _embedded(settings: Settings, argument: str) -> Voice:
    from libacli.edges.voices.embedded_languages import embedded_voices

    return embedded_voices(settings)


def _embedded_speakers(settings: Settings) -> tuple[str, ...]:
    from libacli.edges.voices.embedded_languages import speakers

    return speakers()


PROVIDERS: Mapping[str, Provider] = {
    "speech": Provider(_speech, "alloy", _speech_speakers),
    "realtime": Provider(_realtime, "marin", _realtime_speakers),
    "livekit": Provider(_livekit),
    "embedded": Provider(_embedded, "heart", _embedded_speakers),
}

_SPEAKERS = ("alloy", "ash", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer")
"""Of all of OpenAI's speech models: https://developers.openai.com/api/docs/guides/text-to-speech"""

_NEWER_SPEAKERS = ("ballad", "cedar", "marin", "verse")
"""Of those besides that are not `tts-1` or `tts-1-hd`."""
