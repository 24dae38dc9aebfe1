"""What the utterances of a speaker sound like: the one being spoken, and the next one ahead of its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from libacli.core.acquaintance import Acquaintances
from libacli.core.backlog import Backlog
from libacli.core.given_sound import GIVEN
from libacli.core.messages import SayRequest
from libacli.core.pronunciation import Pronunciations
from libacli.core.reasons import refusal
from libacli.core.utterance import Utterance
from libacli.errors import RefusedError
from libacli.log_context import about
from libacli.speech.cache import is_remembered
from libacli.speech.chain import unknown_speaker
from libacli.speech.given import GivenSounds, Readable
from libacli.speech.pace import Pace
from libacli.speech.ports import Style, Take, Voice
from libacli.speech.reading import Reading
from libacli.speech.reading_events import ReadingEvents


class ReadAhead:
    """Has the utterances of a queue read by a voice, or by who plays the sounds that were `given`.

    The first request of the next utterance is made while the last of the current one plays. Nothing is read
    but `within` tasks. `on_ask` is called each time that the voice is asked for so many characters of one.
    """

    def __init__(
        self,
        voice: Voice,
        backlog: Backlog,
        *,
        pace: Pace,
        known: Acquaintances,
        pronunciations: Pronunciations,
        given: GivenSounds | None,
        on_ask: Callable[[Utterance, int], None],
    ) -> None:
        self._voice = voice
        self._backlog = backlog
        self._pace = pace
        self._known = known
        self._pronunciations = pronunciations
        self._given = given
        self._on_ask = on_ask
        self._tasks: asyncio.TaskGroup | None = None
        self._current: Readable | None = None
        self._next: tuple[Utterance, Readable] | None = None

    def check(self, request: SayRequest, now: float) -> None:
        """Raises RefusedError when it cannot be read."""
        if request.sound:
            if not self._given:
                raise refusal("unknown_sound", "this agent takes no sounds")
            self._given.check(request.sound, now)
            return
        script = self._pronunciations.script_of(request.text)
        words = " ".join(item for item in script if isinstance(item, str))
        if objection := self._voice.objection(words):
            raise RefusedError("unsupported_text", objection)
        if complaint := unknown_speaker(self._voice, request.voice):
            raise RefusedError("unknown_voice", complaint)

    def expect(self, utterance: Utterance) -> None:
        """It was queued: says who is to speak it, and keeps the sound that it needs."""
        if (sound := utterance.request.sound) and self._given:
            utterance.voice = GIVEN
            self._given.shelf.hold(sound.sha256, utterance.id)
        else:
            utterance.voice = utterance.request.voice or self._voice.name

    def forget(self, utterance: Utterance, now: float) -> None:
        """It is over: its sound may be forgotten."""
        if (sound := utterance.request.sound) and self._given:
            self._given.shelf.release(sound.sha256, utterance.id, now)

    @contextmanager
    def within(self, tasks: asyncio.TaskGroup) -> Iterator[None]:
        """Reads in tasks of that group, for as long as the context lasts."""
        self._tasks = tasks
        try:
            self.look()
            yield
        finally:
            self.give_back()
            self._drop_next()
            self._tasks = None

    def take(self, utterance: Utterance) -> Readable:
        """What is spoken now: as far as it was read ahead."""
        if self._next and self._next[0] is utterance:
            (_, self._current), self._next = self._next, None
        else:
            self._drop_next()
            self._current = self._read(utterance)
        return self._current

    def take_again(self, utterance: Utterance) -> Readable:
        """The one that is spoken now, from its beginning."""
        self.give_back()
        self._current = self._read(utterance)
        return self._current

    def give_back(self) -> None:
        """It is not spoken any more."""
        if self._current:
            self._current.cancel()
            self._current = None

    def look(self) -> None:
        """Asks for the beginning of the next utterance, once nothing more is asked for of this one.

        Where none is next, of the one on standby: it is to be heard at once when it gets its go-ahead.
        """
        upcoming = self._backlog.peek() or (self._backlog.peek_standby() if self._tasks else None)
        if self._next and self._next[0] is not upcoming:
            self._drop_next()
        is_due = self._current.is_all_asked if self._current else bool(upcoming and upcoming.is_on_standby)
        if upcoming and not self._next and is_due:
            self._next = (upcoming, self._read(upcoming))

    def drop_barren(self, utterance: Utterance) -> None:
        """Forgets what was read ahead of this one where the voice failed then: now it may not."""
        if self._next and self._next[0] is utterance and self._next[1].is_barren:
            self._drop_next()

    def _drop_next(self) -> None:
        if self._next:
            self._next[1].cancel()
            self._next = None

    def _read(self, utterance: Utterance) -> Readable:
        assert self._tasks is not None, "nothing is read but within tasks"
        request = utterance.request
        if request.sound and self._given:
            return self._given.read(
                request.sound,
                on_take=lambda take: _note(utterance, take),
                on_all_asked=self.look,
            )
        script = self._pronunciations.script_of(request.text)
        style = Style(request.voice, request.speed, request.instructions)
        is_at_once = all(is_remembered(self._voice, item, style) for item in script if isinstance(item, str))
        with about(uid=utterance.id):
            return Reading(
                self._tasks,
                self._voice,
                script,
                style,
                pace=self._pace,
                known=self._known,
                events=self._events_of(utterance, is_at_once=is_at_once),
                is_at_once=is_at_once,
            )

    def _events_of(self, utterance: Utterance, *, is_at_once: bool) -> ReadingEvents:
        def on_ask(chars: int) -> None:
            if not is_at_once:  # what is remembered costs nothing
                utterance.asked_chars += chars
                self._on_ask(utterance, chars)

        def on_sound(seconds: float) -> None:
            utterance.asked_s += seconds

        return ReadingEvents(
            on_ask=on_ask,
            on_last_request=self.look,
            on_take=lambda take: _note(utterance, take),
            on_sound=on_sound,
        )


def _note(utterance: Utterance, take: Take) -> None:
    """Notes down who is about to be heard: who speaks first, and why another one does, if for a part only."""
    if not utterance.provider:
        utterance.provider, utterance.model, utterance.voice = take.provider, take.model, take.voice
        utterance.cached = True
    utterance.voice_reason = utterance.voice_reason or take.reason
    utterance.cached &= take.is_cached
    utterance.hedged |= take.is_hedged
    utterance.reworded |= take.is_reworded
