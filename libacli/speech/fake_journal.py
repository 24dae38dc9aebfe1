"""Stand-ins for the ports of a queue that outlives its agent, on the loop's clock alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from libacli.core.journal import Ended, Entry, Legacy, Line
from libacli.errors import FencedError, ForgottenError, StoreError

T = TypeVar("T")


@dataclass
class JournalShelf:
    """What fake journals of one queue share, as agents share a file or a server."""

    holder: str | None = None
    """Epoch of the agent that may write; empty: it is gone; None: there never was one."""

    lines: dict[str, Line] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    paused_at: float | None = None

    def forget(self) -> None:
        """All that was written is lost."""
        self.holder = self.paused_at = None
        self.lines.clear()
        self.ended.clear()


class FakeJournal:
    """A journal in memory, in front of `shelf`. Implements `Journal`."""

    def __init__(self, shelf: JournalShelf | None = None, *, epoch: str = "epoch") -> None:
        self.shelf = shelf or JournalShelf()
        self.is_closed = False
        self.calls = 0
        """How often it was asked for something."""

        self.takes_s = 0.0
        """How long each call takes; half of it before it is done."""

        self.failure = ""
        """Why each call fails; empty: it does not."""

        self._epoch = epoch

    async def take_over(self) -> Legacy:
        def step() -> Legacy:
            self.shelf.holder = self._epoch
            lines = sorted(self.shelf.lines.values(), key=lambda line: line.number)
            return Legacy(tuple(lines), tuple(self.shelf.ended.values()), self.shelf.paused_at)

        return await self._do(step)

    async def write(
        self, lines: Sequence[Line], ended: Sequence[Ended], *, paused_at: float | None = None
    ) -> None:
        def step() -> None:
            self._check_held()
            self.shelf.lines |= {line.id: line for line in lines}
            for end in ended:
                self.shelf.lines.pop(end.id, None)
                self.shelf.ended[end.id] = end
            self.shelf.paused_at = paused_at

        await self._do(step)

    async def release(self) -> None:
        def step() -> None:
            self._check_held()
            self.shelf.holder = ""

        await self._do(step)

    async def remove(self) -> None:
        await self._do(self.shelf.forget)

    async def aclose(self) -> None:
        self.is_closed = True

    def _check_held(self) -> None:
        if self.shelf.holder is None:
            raise ForgottenError("the journal is gone")
        if self.shelf.holder != self._epoch:
            raise FencedError("another agent has taken the journal over")

    async def _do(self, step: Callable[[], T]) -> T:
        self.calls += 1
        await asyncio.sleep(self.takes_s / 2)
        if self.failure:
            raise StoreError(self.failure)
        done = step()
        await asyncio.sleep(self.takes_s / 2)
        return done


class PlainSeal:
    """Hides nothing, but opens only what was closed with its key, in the same place. Implements `Seal`."""

    def __init__(self, key: str = "key") -> None:
        self._key = key

    def close(self, plain: bytes, bound_to: bytes) -> str:
        return json.dumps([self._key, bound_to.decode(), plain.decode()])

    def open(self, sealed: str, bound_to: bytes) -> bytes:
        match json.loads(sealed):
            case [self._key, str(place), str(plain)] if place == bound_to.decode():
                return plain.encode()
        raise ValueError("no key that is set opens it")


class NoHeir:
    """Takes nothing. Implements `Heir`."""

    def take_up(self, entry: Entry, *, is_resumed: bool) -> None:
        pass

    def give_up(self, utterance_id: str, reason: str) -> None:
        pass

    def remember(self, ended: Ended) -> None:
        pass

    def pause(self, paused_at: float) -> None:
        pass
