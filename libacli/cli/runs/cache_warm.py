"""Runs `liba cache warm`: has lines spoken to nobody, so that they are kept."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libacli.cli.output import output
from libacli.cli.runs.cache import in_cache, lines_in_words
from libacli.cli.runs.text_file import text_of
from libacli.cli.screens.progress import progress
from libacli.config import Settings
from libacli.core.acquaintance import Acquaintances
from libacli.core.audio import duration_s
from libacli.core.messages import read_say
from libacli.core.reasons import refusal
from libacli.edges.voices.cache_files import SoundFiles, sounds_path
from libacli.edges.voices.choose import make_voice
from libacli.edges.voices.memory import sound_files
from libacli.edges.voices.pronunciations import pronunciations
from libacli.errors import ConfigError, FileError, LibaError, RefusedError, UsageError, VoiceError
from libacli.speech.cache import is_remembered
from libacli.speech.chain import unknown_speaker
from libacli.speech.pace import Pace
from libacli.speech.ports import Style, Take, Voice
from libacli.speech.reading import Reading
from libacli.speech.reading_events import ReadingEvents


def lines_of(file: str) -> list[str]:
    """The lines of a file, or of standard input for `-`. Raises UsageError."""
    if file != "-":
        return text_of(Path(file)).splitlines()
    try:
        return sys.stdin.buffer.read().decode().splitlines()
    except UnicodeDecodeError as error:
        raise UsageError("standard input is not UTF-8", hint="it must be a text on each line") from error


@dataclass(frozen=True)
class _Line:
    """A text to be kept."""

    number: int
    """Of its line, from 1: the text itself is told nobody."""

    text: str
    style: Style


@dataclass
class WarmRun:
    """One run of `liba cache warm`."""

    settings: Settings
    texts: Sequence[str]
    members: Mapping[str, Any]
    """What a say request of each would hold besides its text; None: nothing."""

    as_json: bool
    _made: list[_Line] = field(default_factory=list)
    _there: int = 0
    _sound_s: float = 0.0

    def run(self) -> None:
        """Raises ConfigError, RefusedError for a line that cannot be said, and VoiceError, which ends it."""
        files = _open_files(self.settings)
        voice = make_voice(self.settings, [files])
        asyncio.run(self._warm(list(self._lines(voice)), voice, files))

    def _lines(self, voice: Voice) -> Iterator[_Line]:
        """Those with a text in them, as a say request would be read. Raises RefusedError."""
        if complaint := unknown_speaker(voice, self.members.get("voice")):
            raise refusal("unknown_voice", complaint)
        pronounced = pronunciations(self.settings)
        for number, text in enumerate(self.texts, 1):
            if not text.strip():
                continue
            try:
                request = read_say(
                    {**self.members, "text": text}, max_text_chars=self.settings.say_max_text_chars
                )
                script = pronounced.script_of(request.text)
                words = [item for item in script if isinstance(item, str)]
                if objection := voice.objection(" ".join(words)):
                    raise RefusedError("unsupported_text", objection)
            except RefusedError as error:
                raise RefusedError(error.reason, f"line {number}: {error}", hint=error.hint) from error
            style = Style(request.voice, request.speed, request.instructions)
            yield from (_Line(number, item, style) for item in words)

    async def _warm(self, lines: Sequence[_Line], voice: Voice, files: SoundFiles) -> None:
        try:
            with progress(len(lines)) as advance:
                for line in lines:
                    if is_remembered(voice, line.text, line.style):
                        self._there += 1
                    else:
                        await self._make(line, voice, files)
                    advance()
        finally:
            await voice.aclose()
            self._tell()
        if lost := sum(not is_remembered(voice, line.text, line.style) for line in lines):
            raise ConfigError(
                f"voice.cache_mb is too small: of {len(lines)} lines {lost} are not kept",
                hint="raise it, and warm them again",
            )

    async def _make(self, line: _Line, voice: Voice, files: SoundFiles) -> None:
        sound_s = await _say(line, voice, self.settings)
        await files.flush()
        if files.failure:
            reason = files.failure.strerror or files.failure
            raise FileError(f"cannot write to {sounds_path()}: {reason}", hint="make room on its disk")
        if not is_remembered(voice, line.text, line.style):
            raise LibaError(
                f"line {line.number} is not kept: it is longer than a quarter of voice.cache_mb, or was said "
                "in other words",
                hint="raise voice.cache_mb, or leave the line out",
            )
        self._made.append(line)
        self._sound_s += sound_s

    def _tell(self) -> None:
        chars = sum(len(line.text) for line in self._made)
        told = {"made": len(self._made), "there": self._there, "chars": chars, "sound_s": self._sound_s}
        if self.as_json:
            output.json(told | {"sound_s": round(self._sound_s, 2)})
        else:
            sound = f", {chars} characters, {self._sound_s:.1f} s of sound" if self._made else ""
            output.result(f"made {lines_in_words(len(self._made))}{sound}; {self._there} were there")


async def _say(line: _Line, voice: Voice, settings: Settings) -> float:
    """Has a line read to its end, as a speaker would in no hurry; seconds of its sound. Raises VoiceError."""
    most_chars = settings.speech_max_chunk_chars
    pace = Pace(max_chunk_chars=most_chars, first_chunk_chars=most_chars, max_hold_s=0.0)
    heard, failure = 0, None
    takes: list[Take] = []
    async with asyncio.TaskGroup() as tasks:
        known = Acquaintances()
        events = ReadingEvents(on_take=takes.append)
        reading = Reading(tasks, voice, [line.text], line.style, pace=pace, known=known, events=events)
        try:
            async with aclosing(reading.pcm()) as pcm:
                async for piece in pcm:
                    heard += len(piece)
        except VoiceError as error:  # a group would wrap it
            failure = error
            reading.cancel()
    if failure:
        raise failure
    if reasons := [take.reason for take in takes if take.reason]:
        raise VoiceError(
            f"line {line.number} was said by another voice: {reasons[0]}",
            hint="`liba doctor --paid` tries the first one",
        )
    return duration_s(heard)


def _open_files(settings: Settings) -> SoundFiles:
    if not settings.voice_cache_mb:
        raise ConfigError(
            "voice.cache_mb is 0: nothing is kept on disk",
            hint="set it, in your settings and for the agents: LIBA_VOICE_CACHE_MB=200",
        )
    return in_cache(lambda folder: sound_files(settings))
