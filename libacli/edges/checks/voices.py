"""Checks of the voices. None of them costs anything unless the user agrees."""

from __future__ import annotations

import time
from contextlib import aclosing
from datetime import date, datetime
from urllib.parse import urlsplit

from libacli.config import Settings, is_loopback
from libacli.core.audio import duration_s
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.edges.voices.choose import make_one_voice, provider_words
from libacli.errors import VoiceRefusedError
from libacli.speech.ports import Style

_WORD = "Ready."
_OF_OPENAI = ("speech", "realtime")


def check_name(settings: Settings, word: str) -> str:
    """What the check of one provider is called: the first one's is `voice`."""
    return "voice" if word == provider_words(settings)[0] else f"voice {word}"


async def one_word(settings: Settings, word: str, *, is_paid: bool) -> Finding:
    """Has one provider's voice say one word, unless that costs and `is_paid` is not set. Raises LibaError."""
    name = check_name(settings, word)
    if not is_paid and not is_free(settings, word):
        return await _unspoken(settings, word, name)
    voice = make_one_voice(settings, word)
    began_at, first_at, heard = time.monotonic(), 0.0, 0
    try:
        async with aclosing(voice.synthesize(_WORD, Style())) as pieces:
            async for piece in pieces:
                first_at = first_at or time.monotonic()
                heard += len(piece)
    except VoiceRefusedError as error:
        return _refused(name, error)
    finally:
        await voice.aclose()
    message = f"{voice.model} says one word: {duration_s(heard):.1f} s of sound, the first of it after "
    return Finding(name, "ok", f"{message}{(first_at - began_at) * 1000:.0f} ms")


async def _unspoken(settings: Settings, word: str, name: str) -> Finding:
    """What is known of a voice that is not to speak: the door of a realtime one opens at no cost."""
    message = "one word was not spoken, as that costs"
    if word == "realtime":
        voice = make_one_voice(settings, word)
        try:
            await voice.warm_up()
        except VoiceRefusedError as error:
            return _refused(name, error)
        finally:
            await voice.aclose()
        message = f"the service takes key, model and speaker; {message}"
    return Finding(name, "skip", message, "liba doctor --paid")


def is_free(settings: Settings, word: str) -> bool:
    """Whether a word of that provider costs nothing: it is made on this machine."""
    return word == "embedded" or (word == "speech" and is_loopback(settings.openai_base_url))


def after_the_first(settings: Settings) -> Finding:
    """What would happen if the first voice were gone."""
    first, *others = provider_words(settings)
    if others:
        return Finding("next voice", "ok", f"if {first} were gone: {', then '.join(others)} would speak")
    if first == "embedded":
        return Finding("next voice", "ok", "the voice is inside liba: no service can take it away")
    fix = f"pip install 'libacli[local]', LIBA_VOICE_PROVIDERS={first},embedded"
    return Finding("next voice", "warn", f"if {first} were gone every text would be refused", fix)


async def openai(settings: Settings) -> Finding:
    """Whether the key is taken and knows the model: a request that costs nothing. Raises LibaError."""
    from libacli.edges.voices.openai_client import client_of
    from libacli.edges.voices.openai_errors import translated

    words = [word for word in provider_words(settings) if word.partition(":")[0] in _OF_OPENAI]
    if not words:
        return Finding("openai", "skip", f"not configured: {provider_words(settings)[0]} speaks")
    where = urlsplit(settings.openai_base_url).netloc.rpartition("@")[2] or "OpenAI"
    name = make_one_voice(settings, words[0]).model
    async with client_of(settings) as client:
        try:
            with translated("", lambda: 0):
                model = await client.models.retrieve(name, timeout=8.0)
        except VoiceRefusedError as error:
            sends_elsewhere = 300 <= (error.status or 0) < 400
            is_openai = not settings.openai_base_url
            if error.status == 401 or sends_elsewhere or (error.status == 404 and is_openai):
                return _refused("openai", error)
            message = f"{where} does not tell its models ({error.status}): whether it speaks is not known"
            return Finding("openai", "skip", message, "liba doctor --paid")
    known = f"{where} takes the key and has {name}"
    if (end := model.shutdown_date) and (ends_on := _date(end)):
        return _shuts_down(settings, words[0], f"{known}, which shuts down on {ends_on}")
    return Finding("openai", "ok", known)


def _shuts_down(settings: Settings, word: str, message: str) -> Finding:
    words = provider_words(settings)
    if word != words[-1]:
        return Finding("openai", "warn", f"{message}: {words[words.index(word) + 1]} will speak then")
    fix = f"name another voice behind it: LIBA_VOICE_PROVIDERS={word},realtime,embedded"
    return Finding("openai", "warn", f"{message}: every text will be refused then", fix)


def _date(told: str) -> date | None:
    """The day that a service names, as a date or a time, or None for what is neither."""
    try:
        return datetime.fromisoformat(told).date()
    except ValueError:
        return None


def _refused(name: str, error: VoiceRefusedError) -> Finding:
    """A service's no: to a setting or key, unless it is about money."""
    code = 1 if error.status == 429 else WRONG_SETTING
    return Finding(name, "fail", str(error), error.hint, code)
