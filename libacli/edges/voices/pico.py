"""A voice without a network for what hibari does not speak: PicoTTS, by py-nanotts (Apache-2.0).

Older and plainer than hibari, and quick: a hundred seconds of speech in one second of one core. It makes
16 kHz, which is resampled.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import re
import unicodedata
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import TYPE_CHECKING

from libacli.core.chunks import split_chunks
from libacli.edges.voices.embedded_sound import trimmed
from libacli.edges.voices.pico_process import PicoProcess
from libacli.edges.voices.sound_check import SoundCheck
from libacli.edges.voices.waits import Waits
from libacli.errors import ConfigError, VoiceRefusedError
from libacli.speech.ports import Style, Take

if TYPE_CHECKING:
    import numpy

MODEL = "pico"
SPEAKERS: Mapping[str, str] = {
    "british": "en-GB",
    "french": "fr-FR",
    "german": "de-DE",
    "italian": "it-IT",
    "spanish": "es-ES",
}
"""Name of a speaker → what PicoTTS calls it. There is one for each language."""

_SLOWEST, _FASTEST = 0.5, 2.0
_FIRST_CHARS, _PIECE_CHARS = 80, 200
"""Longer pieces without an end are what the engine hangs at."""

_LONGEST_WORD, _LONGEST_NUMBER = 40, 12
"""The engine fails at longer ones: they are said in pieces."""

_READ_ALOUD = str.maketrans(
    {
        **dict.fromkeys('*_`~^|\\<>"“”„«»‘‚‹›¿¡', " "),
        **dict.fromkeys("–—―•·", ", "),
        **dict.fromkeys("[{", "("),
        **dict.fromkeys("]}", ")"),
        "’": "'",
        "…": "...",
        "‐": "-",
        "‑": "-",
    }
)
"""Marks that the engine would read by their names, or take for its own, and those that it does not know."""

_LONG_WORD = re.compile(rf"(\w{{{_LONGEST_WORD}}})(?=\w)")
_LONG_NUMBER = re.compile(rf"(\d{{{_LONGEST_NUMBER}}})(?=\d)")
_AGAIN = re.compile(r"(\D)\1{3,}")
_QUOTE = re.compile(r"(?<!\w)'|'(?!\w)")


def is_installed() -> bool:
    """Whether there are these voices: on Linux, with the extra `local`."""
    return bool(importlib.util.find_spec("py_nanotts") and importlib.util.find_spec("numpy"))


class PicoVoice:
    """One speaker of each language in `SPEAKERS`. Implements `Voice`. Starts nothing yet.

    Bounds as in `SpeechApiVoice`. Raises ConfigError when it is not installed.
    """

    provider = "embedded"
    model = MODEL

    def __init__(
        self,
        *,
        voice: str = "british",
        speed: float = 1.0,
        first_pcm_timeout_s: float = 10.0,
        stall_timeout_s: float = 5.0,
        total_timeout_s: float = 60.0,
    ) -> None:
        if not is_installed():
            raise ConfigError("py-nanotts is not installed", hint="pip install 'libacli[local]'")
        self.name = voice
        self._speed = speed
        self._process = PicoProcess()
        self._new_waits = functools.partial(
            Waits, first_s=first_pcm_timeout_s, stall_s=stall_timeout_s, total_s=total_timeout_s
        )

    def objection(self, text: str) -> str | None:
        if not any(character.isalnum() for character in text):
            return "there is no letter or digit in it to speak"
        return None

    async def synthesize(
        self, text: str, style: Style, take: Take | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `Voice.synthesize`; a text comes piece by piece."""
        speaker = style.voice or self.name
        if speaker not in SPEAKERS:
            raise VoiceRefusedError(f"the embedded voice has no speaker {speaker!r}")
        if take:
            take.by(self, style)
        speed = min(max(self._speed if style.speed is None else style.speed, _SLOWEST), _FASTEST)
        waits, sound = self._new_waits(), SoundCheck(text, speed)
        for piece in pieces(text):
            pcm = await waits.on(self._said(piece, SPEAKERS[speaker], speed))
            if pcm:
                waits.sounds()
                sound.add(pcm)
                yield pcm
        sound.check()

    async def warm_up(self) -> None:
        await self._new_waits().on(self._said("Hi.", SPEAKERS[self.name], 1.0))

    async def aclose(self) -> None:
        await self._process.aclose()

    async def _said(self, piece: str, voice: str, speed: float) -> bytes:
        pcm = await self._process.say(piece, voice, None if speed == 1.0 else speed)
        return await asyncio.to_thread(_at_24_khz, pcm, piece)


def pieces(text: str) -> Iterator[str]:
    """`text` in pieces that the engine can take, in characters that it knows."""
    text = unicodedata.normalize("NFC", text).translate(_READ_ALOUD)
    text = _QUOTE.sub(" ", "".join(map(_known, text)))
    text = _AGAIN.sub(r"\1\1\1", _LONG_WORD.sub(r"\1 ", _LONG_NUMBER.sub(r"\1 ", text)))
    for piece in split_chunks(text, max_chars=_PIECE_CHARS, first_chars=_FIRST_CHARS):
        if any(character.isalnum() for character in piece):
            yield " ".join(piece.split())


def _known(character: str) -> str:
    """`character`, or what it is a form of: the engine has those of Western Europe only."""
    if unicodedata.category(character)[0] == "C":  # it would take a NUL for the end
        return " "
    if character <= "ÿ" or character in "€œŒ":
        return character
    base = unicodedata.normalize("NFKD", character)
    return "".join(char for char in base if char <= "ÿ") or " "


def _at_24_khz(pcm: bytes, text: str) -> bytes:
    import numpy

    wave = (numpy.frombuffer(pcm, dtype="<i2") / 32_768).astype(numpy.float32)
    return trimmed(_resampled(wave), text)


def _resampled(wave: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]:
    """16 kHz as 24 kHz: three times as many samples, smoothed, every second one of them."""
    import numpy

    spread = numpy.zeros(3 * len(wave), dtype=numpy.float32)
    spread[::3] = wave
    at = numpy.arange(-48, 49)
    low_pass = (numpy.sinc(at / 3) * numpy.hanning(len(at) + 2)[1:-1]).astype(numpy.float32)
    smooth = numpy.convolve(spread, low_pass, "same") if len(spread) else spread
    return smooth[::2]
