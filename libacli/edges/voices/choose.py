"""Which voices the settings ask for, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from libacli.config import Settings
from libacli.edges.voices.livekit import has_inference, load_plugin
from libacli.edges.voices.memory import memory_of, sound_stores
from libacli.edges.voices.providers import provider_of
from libacli.speech.breaker import BreakerVoice
from libacli.speech.chain import ChainVoice, Link
from libacli.speech.hedge import HedgedVoice
from libacli.speech.ports import Voice
from libacli.speech.sound_store import SoundStore

_TRIAL_S = 2.0
"""A voice that was left alone gets so long for its first sound while another one could speak instead."""

_OF_OPENAI = ("speech", "realtime")


def make_voice(settings: Settings, stores: Sequence[SoundStore] | None = None) -> ChainVoice:
    """The voices of `voice.providers` as one, which goes on to the next where one fails.

    What was said before is said from `stores`; None: from those of the settings. Raises CredentialsError or
    ConfigError for one that cannot be had. Needs no event loop. `voice.model` and `voice.name` belong to the
    first one.
    """
    words = provider_words(settings)
    stores = sound_stores(settings) if stores is None else stores
    links = []
    for word in words:
        voice = make_one_voice(settings, word)
        speakers = speakers_of(settings, word)
        known = frozenset((voice.name, *speakers)) if speakers else None
        if is_hedged(settings, word):
            voice = HedgedVoice(voice)
        breaker = BreakerVoice(voice, trial_s=None if word == words[-1] else _TRIAL_S)
        links.append(Link(breaker, known, memory_of(breaker, settings, stores)))
    return ChainVoice(links)


def is_hedged(settings: Settings, word: str) -> bool:
    """Whether one of `provider_words` is asked a second time when it is late.

    Unless the settings say so, no server of one's own is: many work on one request at a time, and go on with
    one that nobody waits for any more. The embedded voice is never late.
    """
    name = word.partition(":")[0]
    if name == "embedded" or settings.voice_hedge is not None:
        return name != "embedded" and bool(settings.voice_hedge)
    return name == "livekit" or (name in _OF_OPENAI and not settings.openai_base_url)


def make_one_voice(settings: Settings, word: str) -> Voice:
    """The voice of one of `provider_words`, with nothing around it. Raises what `make_voice` raises."""
    provider, argument = provider_of(word)
    return provider.make(_own(settings, word), argument)


def speakers_of(settings: Settings, word: str) -> tuple[str, ...]:
    """All speakers of one of `provider_words`; empty: they are not known, and there may be any."""
    return provider_of(word)[0].speakers(_own(settings, word))


def load_plugins(settings: Settings) -> None:
    """Loads the plugins of livekit-agents that are asked for, which can be done in the main thread alone.

    Raises ConfigError.
    """
    for word in provider_words(settings):
        name, _, argument = word.partition(":")
        if name == "livekit" and argument and "/" not in argument:
            load_plugin(argument)


def provider_words(settings: Settings) -> tuple[str, ...]:
    """`voice.providers`, each once, with what `auto` stands for: all that need nothing more than is there.

    A server with OpenAI's speech API where an address is set; LiveKit's own voices where LiveKit is its
    Cloud; OpenAI where there is a key; the embedded voice where it is installed, or nothing else is there.
    """
    words: list[str] = []
    for word in settings.voice_providers:
        words += _automatic(settings) if word == "auto" else [_ALIASES.get(word, word)]
    return tuple(dict.fromkeys(words))


def to_preload(settings: Settings) -> tuple[str, ...]:
    """Modules of these voices that a process may load for all that are forked from it."""
    modules = ["libacli.edges.voices.speech"]
    if "embedded" in provider_words(settings) and find_spec("hibari"):
        modules.append("libacli.edges.voices.embedded_dictionaries")
    return tuple(modules)


def voice_names(settings: Settings) -> tuple[str, ...]:
    """Speakers to choose from, the one that speaks unless told otherwise first; others may exist."""
    names = [usual_speaker(settings)]
    for word in provider_words(settings):
        names += speakers_of(settings, word)
    return tuple(dict.fromkeys(name for name in names if name))


def usual_speaker(settings: Settings) -> str:
    """Who speaks unless told otherwise; empty: that is not known before the voice is made."""
    return settings.voice_name or provider_of(provider_words(settings)[0])[0].speaker


def _automatic(settings: Settings) -> list[str]:
    words = []
    if settings.openai_base_url:
        words.append("speech")
    if settings.livekit_api_key and has_inference(settings):
        words.append("livekit")
    if settings.openai_api_key and not settings.openai_base_url:
        words += ["speech", "realtime"]
    if not words or find_spec("hibari"):
        words.append("embedded")
    return words


def _own(settings: Settings, word: str) -> Settings:
    """What the settings are for one provider: the model and speaker that they name are the first one's."""
    is_first = word == provider_words(settings)[0]
    return settings if is_first else settings.model_copy(update={"voice_model": "", "voice_name": ""})


_ALIASES = {"openai": "speech"}
"""How earlier versions called it."""
