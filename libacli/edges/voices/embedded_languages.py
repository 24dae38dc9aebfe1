"""The embedded voice in six languages: hibari speaks American English, PicoTTS the others.

Who speaks: the speaker that is named, else the one of the language of `voice.language`, else of the text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from libacli.config import Settings
from libacli.core.language import language_of
from libacli.edges.voices import embedded, pico
from libacli.speech.ports import Style, Take, Voice

SPEAKER = embedded.VOICE
SPEAKER_OF: Mapping[str, str] = {
    "en": SPEAKER,
    "en-gb": "british",
    "de": "german",
    "fr": "french",
    "es": "spanish",
    "it": "italian",
}
"""Language, as in `voice.language` → who speaks it."""

LANGUAGES = tuple(SPEAKER_OF)

_LATIN_ONLY = "the embedded voice speaks English, German, French, Spanish and Italian only"
_TEXTS_REMEMBERED = 32


def embedded_voices(settings: Settings) -> Voice:
    """The voice that needs no network, account or key. Loads nothing yet, and needs no loop.

    Without py-nanotts, which is not for every system, it speaks American English only. Raises ConfigError
    when the extra `local` is not installed.
    """
    english = embedded.embedded_voice(
        speed=settings.voice_speed,
        first_pcm_timeout_s=settings.voice_first_pcm_timeout,
        stall_timeout_s=settings.voice_stall_timeout,
    )
    if not pico.is_installed():
        return english
    others = pico.PicoVoice(
        speed=settings.voice_speed,
        first_pcm_timeout_s=settings.voice_first_pcm_timeout,
        stall_timeout_s=settings.voice_stall_timeout,
    )
    return EmbeddedVoice(english, others, voice=settings.voice_name, language=settings.voice_language)


def speakers() -> tuple[str, ...]:
    """Who can be named with `--voice` here."""
    return (SPEAKER, *(pico.SPEAKERS if pico.is_installed() else ()))


class EmbeddedVoice:
    """`english` for its one speaker, `others` for theirs; both are owned from here on. Implements `Voice`.

    A name that is nobody's is passed over: the language decides. Of a text that is spoken piece by piece each
    piece has the speaker of the whole, if `objection` has seen that: "OK." says little by itself.
    """

    provider = "embedded"

    def __init__(self, english: Voice, others: Voice, *, voice: str = "", language: str = "auto") -> None:
        self._english = english
        self._others = others
        self._voice = voice if voice in speakers() else SPEAKER_OF.get(language, "")
        self._seen: deque[tuple[str, str]] = deque(maxlen=_TEXTS_REMEMBERED)
        """Words of a text, and who speaks it; the last one first."""

        self.name = self._voice or SPEAKER
        self.model = self._of(self.name).model

    def objection(self, text: str) -> str | None:
        complaint = self._english.objection(text)
        if complaint:
            return _LATIN_ONLY if any(character.isalnum() for character in text) else complaint
        if not (self._voice or self._seen_in(text)):  # a piece of what was seen is asked about, too
            self._seen.appendleft((_words(text), SPEAKER_OF[language_of(text)]))
        return None

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`; `take` tells the engine as the model."""
        speaker = style.voice if style.voice in speakers() else self._voice
        speaker = speaker or self._seen_in(text) or SPEAKER_OF[language_of(text)]
        async with aclosing(
            self._of(speaker).synthesize(text, replace(style, voice=speaker), take)
        ) as pieces:
            async for piece in pieces:
                yield piece

    async def warm_up(self) -> None:
        await self._of(self.name).warm_up()

    async def aclose(self) -> None:
        await self._english.aclose()
        await self._others.aclose()

    def _of(self, speaker: str) -> Voice:
        return self._english if speaker == SPEAKER else self._others

    def _seen_in(self, text: str) -> str:
        """Who speaks the text that `text` is of; empty when that was not seen."""
        words = _words(text)
        return next((speaker for whole, speaker in self._seen if words in whole), "")


def _words(text: str) -> str:
    """The words of `text` with a space around each: those of a piece are found in those of the whole."""
    words = "".join(char if char.isalnum() else " " for char in text.casefold()).split()
    return f" {' '.join(words)} "
