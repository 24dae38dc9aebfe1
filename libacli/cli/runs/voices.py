"""Runs `liba voices`: who can speak here, how they have done, and how they sound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from libacli.cli.output import output
from libacli.cli.screens.voices import Listed, Trial, show_trials, show_voices
from libacli.config import Settings
from libacli.core.audio import duration_s, silence
from libacli.core.script import Pause, Script
from libacli.core.text import clean, is_speakable
from libacli.core.voice_history import VoiceHistory, histories
from libacli.edges.metrics.reader import MetricsReader
from libacli.edges.metrics.schema import metrics_path
from libacli.edges.viewer.media_file import WavFile
from libacli.edges.voices.choose import make_one_voice, provider_words, speakers_of
from libacli.edges.voices.pronunciations import pronunciations
from libacli.errors import ConfigError, LibaError, UsageError, VoiceError
from libacli.speech.ports import Style, Take, Voice

_OF_LATE = timedelta(days=7)


@dataclass(frozen=True)
class VoicesRun:
    """One run of `liba voices`."""

    settings: Settings
    as_json: bool

    def show(self) -> None:
        """Prints all providers of the chain. Raises ConfigError for one that nobody knows."""
        since = (datetime.now(UTC) - _OF_LATE).timestamp()
        with MetricsReader(metrics_path()) as reader:
            past = histories(reader.records(since=since))
        listed = [self._listed(word, past) for word in provider_words(self.settings)]
        if self.as_json:
            output.json({"voices": [one.encode() for one in listed]})
        else:
            show_voices(listed)

    def try_out(self, text: str, voices: Sequence[str], out: Path | None, *, force: bool) -> None:
        """Has each of `voices` say `text`, one after the other, and prints how that went.

        Raises UsageError for what cannot be said or asked for, RefusedError for markup that nobody performs,
        and VoiceError when none spoke, with what helps the last one.
        """
        script = pronunciations(self.settings).script_of(clean(text))
        if not is_speakable(" ".join(item for item in script if isinstance(item, str))):
            raise UsageError("there is nothing to say", hint='liba voices try "Hello there."')
        wanted = [self._wanted(voice) for voice in voices] or [(word, "") for word in self._words]
        # Before there is a loop: what is loaded for them takes time, and some of it the main thread.
        heard = asyncio.run(_listen(script, [(self._made(word), word, speaker) for word, speaker in wanted]))
        trials = [_kept(one.trial, one.pcm, out, is_alone=len(heard) == 1, force=force) for one in heard]
        if self.as_json:
            output.json({"trials": [asdict(trial) for trial in trials]})
        else:
            show_trials(trials)
        if all(trial.error for trial in trials):
            raise VoiceError("no voice said it", hint=heard[-1].hint or "liba doctor --paid tells why")

    @property
    def _words(self) -> tuple[str, ...]:
        return provider_words(self.settings)

    def _listed(self, word: str, past: dict[str, VoiceHistory]) -> Listed:
        speakers = speakers_of(self.settings, word)
        try:
            voice = make_one_voice(self.settings, word)
        except ConfigError as error:
            return Listed(word, "", "", speakers, past.get(word, VoiceHistory()), missing=str(error))
        asyncio.run(voice.aclose())
        return Listed(word, voice.model, voice.name, speakers, past.get(voice.provider, VoiceHistory()))

    def _wanted(self, voice: str) -> tuple[str, str]:
        """Provider and speaker that `voice` names. Raises UsageError."""
        provider, slash, speaker = voice.rpartition("/")
        if slash and provider not in self._words:
            raise UsageError(
                f"{provider!r} does not speak here", hint=f"it is one of {', '.join(self._words)}"
            )
        if slash:
            return provider, speaker
        if voice in self._words:
            return voice, ""
        of_speakers = [word for word in self._words if voice in speakers_of(self.settings, word)]
        return (of_speakers or [self._words[0]])[0], voice

    def _made(self, word: str) -> Voice | ConfigError:
        try:
            return make_one_voice(self.settings, word)
        except ConfigError as error:
            return error


@dataclass(frozen=True)
class _Heard:
    """What came of one voice."""

    trial: Trial
    pcm: bytes = b""
    hint: str = ""
    """What helps, where it failed."""


async def _listen(script: Script, wanted: Sequence[tuple[Voice | ConfigError, str, str]]) -> list[_Heard]:
    """What came of each."""
    heard = []
    for number, (voice, word, speaker) in enumerate(wanted, 1):
        output.status(f"{number} of {len(wanted)}: {word} {speaker}".rstrip())
        if isinstance(voice, ConfigError):
            heard.append(_Heard(Trial(word, "", speaker, error=str(voice)), hint=voice.hint))
            continue
        try:
            heard.append(await _trial(voice, script, speaker))
        finally:
            await voice.aclose()
    return heard


async def _trial(voice: Voice, script: Script, speaker: str) -> _Heard:
    take = Take(voice.provider, voice.model, speaker or voice.name)
    began_at, first_ms, pcm = time.monotonic(), None, bytearray()
    error, hint = "", ""
    try:
        for item in script:
            if isinstance(item, Pause):
                pcm += silence(round(item.seconds * 1000))
            elif is_speakable(item):
                async with aclosing(_said(voice, item, speaker, take)) as pieces:
                    async for piece in pieces:
                        if first_ms is None:
                            first_ms = (time.monotonic() - began_at) * 1000
                        pcm += piece
    except LibaError as failed:
        error, hint = str(failed), failed.hint
    trial = Trial(take.provider, take.model, take.voice, first_ms, duration_s(len(pcm)), error=error)
    return _Heard(trial, bytes(pcm), hint)


async def _said(voice: Voice, words: str, speaker: str, take: Take) -> AsyncGenerator[bytes]:
    """The sound of `words`. Raises VoiceError."""
    if objection := voice.objection(words):
        raise VoiceError(objection, hint="`liba voices` tells who speaks what")
    async with aclosing(voice.synthesize(words, Style(voice=speaker or None), take)) as pieces:
        async for piece in pieces:
            yield piece


def _kept(trial: Trial, pcm: bytes, out: Path | None, *, is_alone: bool, force: bool) -> Trial:
    """Has its sound written, if that was asked for."""
    if out is None or not pcm:
        return trial
    file = out if is_alone else out.with_stem(f"{out.stem}-{trial.provider}-{trial.speaker}")
    _write(file, pcm, force=force)
    return replace(trial, file=str(file))


def _write(path: Path, pcm: bytes, *, force: bool) -> None:
    if not force and path.exists():
        raise UsageError(f"{path} is there already", hint="choose another name, or --force")
    file = WavFile(path)
    file.sound(pcm)
    file.close()
