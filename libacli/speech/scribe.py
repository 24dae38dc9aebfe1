"""Writes down what a queue holds, beside the speaking, and finds what an agent before this one has left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from libacli.core.journal import MOST_BEGUN, Ended, Entry, Legacy, Line, decode_entry, encode_entry
from libacli.core.lifecycle import State
from libacli.core.utterance import Utterance
from libacli.errors import FencedError, ForgottenError, StoreError
from libacli.speech.journal import Journal, Seal

logger = logging.getLogger("liba.journal")

CONFIRM_S = 1.0
"""How long an answer waits for what it tells of to be written down."""

OPEN_S = 2.0
"""How long an agent that begins waits for what others have left; longer than one try takes."""

RELEASE_S = 1.0
_WRITE_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
"""Between two tries, while the journal cannot be written."""

UNREADABLE = "lost: it was written down with another key"
BEGUN_TOO_OFTEN = "lost: its agent died in the middle of it, twice"


class Heir(Protocol):
    """Who gets what another agent has left."""

    def take_up(self, entry: Entry, *, is_resumed: bool) -> None:
        """Queues it; `is_resumed`: it was begun, and cut off."""

    def give_up(self, utterance_id: str, reason: str) -> None:
        """It is lost."""

    def remember(self, ended: Ended) -> None:
        """It has ended before."""

    def pause(self, paused_at: float) -> None:
        """The queue is paused, since that POSIX second."""


class Scribe:
    """Keeps `journal` in step with the queue of a speaker, while `run` runs. Implements `Notes`.

    Only what changed is written, and as one: what happens while a write is under way is in the next one. A
    journal that cannot be written costs no word and no sound: the log says it once, `confirm` tells it, and
    it is tried again until all is written. `place` is the queue's name, which what is sealed is bound to;
    `wall_clock` tells the POSIX seconds of a moment of the loop's clock. `fenced` is set when another agent
    has taken the queue over: from then on nothing is written.
    """

    def __init__(
        self,
        journal: Journal,
        seal: Seal,
        *,
        place: str,
        heir: Callable[[], Heir],
        wall_clock: Callable[[float], float],
    ) -> None:
        self._journal = journal
        self._seal = seal
        self._place = place
        self._heir = heir
        self._wall_clock = wall_clock
        self.fenced = asyncio.Event()
        self._lines: dict[str, Line] = {}
        """What has not ended, as it is to be in the journal."""

        self._stored: set[str] = set()
        """Ids of lines that are in the journal."""

        self._pending: dict[str, Line | Ended] = {}
        """What is not written yet, by id."""

        self._paused_at: float | None = None
        """POSIX seconds, as it is to be in the journal; `_is_pause_news`: it is not there yet."""

        self._is_pause_news = False
        self._noted = 0
        """How many changes there were; `_written` of them are in the journal."""

        self._written = 0
        self._last_number = 0
        self._is_ours = False
        self._is_failing = False
        self._is_late = False
        self._work = asyncio.Event()
        self._progress = asyncio.Event()
        self._writing = asyncio.Lock()

    def accepted(self, utterance: Utterance) -> None:
        """See `Notes`."""
        if utterance.id not in self._lines:
            self._note_line(self._as_last(utterance))

    def begun(self, utterance: Utterance) -> None:
        """See `Notes`."""
        if line := self._lines.get(utterance.id):
            self._note_line(replace(line, begun=line.begun + 1))

    def arranged(self, waiting: Sequence[Utterance]) -> None:
        """See `Notes`."""
        for utterance in waiting:
            if line := self._lines.get(utterance.id):
                self._note_line(self._as_last(utterance, begun=line.begun))

    def paused(self, at: float | None) -> None:
        """See `Notes`."""
        self._paused_at = None if at is None else self._wall_clock(at)
        self._is_pause_news = True
        self._note()

    def over(self, utterance: Utterance) -> None:
        """See `Notes`."""
        self._note_end(utterance.id, utterance.state, utterance.reason)

    async def end(self, utterance: Utterance, state: State, reason: str) -> None:
        """See `Notes`."""
        self._note_end(utterance.id, state, reason)
        await self.confirm()

    def keeps(self, utterance: Utterance) -> bool:
        """See `Notes`."""
        return utterance.id in self._stored and utterance.id in self._lines

    async def confirm(self) -> bool | None:
        """See `Notes`."""
        wanted = self._noted
        try:
            async with asyncio.timeout(CONFIRM_S):
                while self._written < wanted and not (self._is_failing or self._is_late or self._is_fenced):
                    await self._progress.wait()
        except TimeoutError:
            self._is_late = True  # who comes next is not to wait as long for the same
        return self._written >= wanted

    async def open(self) -> None:
        """Takes over what is there; what cannot be reached is taken over once it can, by `run`."""
        try:
            async with asyncio.timeout(OPEN_S), self._writing:
                await self._take_over()
        except (StoreError, TimeoutError) as error:
            self._fail(error)
            self._work.set()

    async def run(self) -> None:
        """Writes until cancelled, or fenced."""
        pause_s = _FIRST_PAUSE_S
        while not self._is_fenced:
            await self._work.wait()
            self._work.clear()
            if await self._write():
                pause_s = _FIRST_PAUSE_S
            elif not self._is_fenced:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                self._work.set()

    async def aclose(self) -> None:
        """Writes what is left, and lets it be known that this agent is gone."""
        try:
            async with asyncio.timeout(RELEASE_S):
                if await self._write():
                    await self._journal.release()
        except (StoreError, TimeoutError) as error:
            logger.warning("the journal was not finished: %s", str(error) or "it takes too long")
        finally:
            await self._journal.aclose()

    @property
    def _is_fenced(self) -> bool:
        return self.fenced.is_set()

    def _as_last(self, utterance: Utterance, *, begun: int = 0) -> Line:
        """It, as it is now, behind all others."""
        entry = Entry(
            utterance.request,
            self._wall_clock(utterance.timeline.t0),
            utterance.account,
            utterance.is_owners,
            utterance.paused_s,
        )
        self._last_number += 1
        line = Line(utterance.id, self._last_number, "", begun)
        sealed = self._seal.close(encode_entry(entry), line.bound_to(self._place))
        return replace(line, sealed=sealed)

    def _note_line(self, line: Line) -> None:
        self._lines[line.id] = self._pending[line.id] = line
        self._note()

    def _note_end(self, utterance_id: str, state: State, reason: str) -> None:
        if self._lines.pop(utterance_id, None):
            now = self._wall_clock(asyncio.get_running_loop().time())
            self._pending[utterance_id] = Ended(utterance_id, state, reason, now)
            self._note()

    def _note(self) -> None:
        self._noted += 1
        self._work.set()

    async def _write(self) -> bool:
        """Whether all that was noted before is in the journal."""
        if self._is_fenced:
            return False
        try:
            async with self._writing, asyncio.timeout(_WRITE_S):
                await self._write_pending()
        except FencedError:
            self._fence()
        except ForgottenError:
            self._forget()
            return False
        except (StoreError, TimeoutError) as error:
            self._fail(error)
        else:
            if self._is_failing:
                logger.info("the journal is written again")
            self._is_failing = self._is_late = False
        self._tell()
        return not (self._is_failing or self._is_fenced)

    async def _write_pending(self) -> None:
        """Raises StoreError."""
        if not self._is_ours:
            await self._take_over()
        changes, upto = dict(self._pending), self._noted
        lines = [change for change in changes.values() if isinstance(change, Line)]
        ended = [change for change in changes.values() if isinstance(change, Ended)]
        paused_at = self._paused_at
        if changes or self._is_pause_news:
            await self._journal.write(lines, ended, paused_at=paused_at)
            self._is_pause_news = self._paused_at != paused_at
        self._stored.update(line.id for line in lines)
        self._stored.difference_update(end.id for end in ended)
        for utterance_id, change in changes.items():
            if self._pending.get(utterance_id) is change:
                del self._pending[utterance_id]
        self._written = upto

    async def _take_over(self) -> None:
        """Raises StoreError."""
        legacy = await self._journal.take_over()
        if not self._is_ours:
            self._is_ours = True
            self._inherit(legacy)

    def _inherit(self, legacy: Legacy) -> None:
        heir = self._heir()
        if legacy.paused_at is not None and not self._is_pause_news:
            self._paused_at = legacy.paused_at
            heir.pause(legacy.paused_at)
        for ended in legacy.ended:
            heir.remember(ended)
        news = [line for line in legacy.lines if line.id not in self._lines | self._pending]
        self._last_number = max([self._last_number, *(line.number for line in legacy.lines)])
        taken = 0
        for line in sorted(news, key=lambda line: line.number):
            self._lines[line.id] = line
            self._stored.add(line.id)
            taken += self._pass_on(line, heir)
        if taken:
            logger.info("%d lines of the agent before this one are taken over", taken)

    def _pass_on(self, line: Line, heir: Heir) -> bool:
        """Whether it is to be said."""
        try:
            entry = decode_entry(self._seal.open(line.sealed, line.bound_to(self._place)))
        except ValueError as error:
            logger.error("uid=%s is lost: its entry in the journal cannot be read: %s", line.id, error)
            heir.give_up(line.id, UNREADABLE)
            return False
        if line.begun >= MOST_BEGUN:
            logger.error("uid=%s is not begun a third time", line.id)
            heir.give_up(line.id, BEGUN_TOO_OFTEN)
            return False
        heir.take_up(entry, is_resumed=line.begun > 0)
        return True

    def _forget(self) -> None:
        """All that was written is gone: it is to be written anew."""
        if self._stored:
            logger.warning("what was in the journal is gone; what waits is written down anew")
        self._is_ours = False
        self._stored.clear()
        self._pending = {**self._lines, **self._pending}
        self._is_pause_news = True

    def _fence(self) -> None:
        if not self._is_fenced:
            logger.warning("another agent has taken over what this one was to say")
            self.fenced.set()

    def _fail(self, error: Exception) -> None:
        if not self._is_failing:
            logger.warning("what is accepted is not written down: %s", str(error) or "it takes too long")
        self._is_failing = True

    def _tell(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()
