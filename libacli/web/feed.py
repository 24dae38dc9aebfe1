"""What happens in rooms, for many readers: one follower for each room, and what it heard kept for a while."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from libacli.complaint_log import ComplaintLog
from libacli.core.agent_status import AgentStatus
from libacli.core.caption_cue import CaptionCue
from libacli.core.caption_track import CaptionTrack
from libacli.core.event import Event, Rejection
from libacli.core.room_update import Caption, CaptionPart, ConnectionState, NoAgent, RoomUpdate
from libacli.errors import LibaError
from libacli.web.models.room_state import room_state
from libacli.web.ports import Gateway
from libacli.web.problems import Problem

logger = logging.getLogger("liba.web")

PING_S = 15.0
KEEP_S = 30.0
"""How long a room is followed after its last reader has gone: for so long he misses nothing."""

_ITEMS_KEPT = 1000
_FEEDS = 16
_UTTERANCES_KEPT = 500
"""Whose captions are kept, of each room."""


@dataclass(frozen=True)
class Item:
    """One thing that a reader is told."""

    id: str
    """With it a reader resumes after this item; empty: it changes nothing about where he is."""

    kind: str
    """`status`, `utterance`, `caption`, `link`, `gap`, or `ping`: nothing has happened for 15 s."""

    data: dict[str, Any]


@dataclass(frozen=True)
class RoomCaptions:
    """What was said in a room."""

    began_at: datetime
    """When it began to be followed: times count from there."""

    cues: list[CaptionCue]


class Feeds:
    """The feeds of all rooms that somebody reads. Belongs to one event loop; `aclose` ends it."""

    def __init__(self, gateway: Gateway, *, limit: int = _FEEDS, items_kept: int = _ITEMS_KEPT) -> None:
        self._gateway = gateway
        self._limit = limit
        self._items_kept = items_kept
        self._feeds: dict[str, _Feed] = {}
        self._followers: set[asyncio.Task[None]] = set()
        self._is_over = False

    def read(self, room: str, *, last_id: str = "", captions: bool = False) -> AsyncGenerator[Item]:
        """What happens in `room`: after the item `last_id` if that is still known, else from now on.

        It begins with `status`, or where it resumes, with what was missed; `gap` comes first if something
        was missed for good. It goes on until it is closed, `end` is called, or the reader is too slow.
        Raises Problem at once when too many rooms are followed or it is over, UsageError for a room that
        is no name.
        """
        if self._is_over:
            raise _draining()
        feed = self._feeds.get(room) or self._open(room)
        return feed.read(last_id, with_captions=captions)

    def captions(self, room: str) -> RoomCaptions:
        """What was said in `room` since it is followed, which is from now on if it was not.

        Raises what `read` raises.
        """
        if self._is_over:
            raise _draining()
        return (self._feeds.get(room) or self._open(room)).captions()

    def end(self) -> None:
        """Every reader gets what he has not read yet, and then the end."""
        self._is_over = True
        for feed in self._feeds.values():
            feed.end()

    async def aclose(self) -> None:
        """Ends all readers and leaves all rooms."""
        self.end()
        for feed in list(self._feeds.values()):
            self._close(feed)
        if self._followers:
            await asyncio.wait(self._followers)

    def _open(self, room: str) -> _Feed:
        updates = self._gateway.updates(room)
        if len(self._feeds) >= self._limit:
            idle = next((feed for feed in self._feeds.values() if not feed.readers), None)
            if not idle:
                raise Problem(
                    503,
                    "too_many_rooms",
                    f"{self._limit} rooms are followed already",
                    hint="close a page that watches another room",
                )
            self._close(idle)
        feed = _Feed(self._gateway, room, self._items_kept, self._close)
        self._feeds[room] = feed
        feed.follower = asyncio.get_running_loop().create_task(feed.follow(updates))
        self._followers.add(feed.follower)
        feed.follower.add_done_callback(self._followers.discard)
        return feed

    def _close(self, feed: _Feed) -> None:
        feed.end()
        del self._feeds[feed.room]
        assert feed.follower
        feed.follower.cancel()


class _Feed:
    """One room: what its follower hears, numbered, the newest `items_kept` of it."""

    def __init__(
        self, gateway: Gateway, room: str, items_kept: int, on_idle: Callable[[_Feed], None]
    ) -> None:
        self.room = room
        self.readers = 0
        self.follower: asyncio.Task[None] | None = None
        self._gateway = gateway
        self._on_idle = on_idle
        self._name = os.urandom(4).hex()
        self._items: deque[Item] = deque(maxlen=items_kept)
        self._last = 0
        """Number of the newest item."""

        self._status: dict[str, Any] | None = None
        self._connection_words: str | None = None
        self._changed = asyncio.Event()
        self._is_over = False
        self._log = ComplaintLog(logger)
        self._captions = CaptionTrack(most_utterances=_UTTERANCES_KEPT)
        self._began_at, self._began = _now(), datetime.now(UTC)
        self._idle = asyncio.get_running_loop().call_later(KEEP_S, on_idle, self)

    async def follow(self, updates: AsyncGenerator[RoomUpdate]) -> None:
        """Listens until cancelled."""
        try:
            async with aclosing(updates):
                async for update in updates:
                    with self._log.net(self.room, "update"):
                        self._take(update)
        except Exception:  # a defect: readers are let go, and come again to a new follower
            logger.exception("following a room failed")
            self._on_idle(self)

    async def read(self, last_id: str, *, with_captions: bool) -> AsyncGenerator[Item]:
        """See Feeds.read."""
        self._idle.cancel()
        self.readers += 1
        try:
            position = self._position(last_id)
            if position is None:
                position = self._last
                for item in await self._beginning(position, is_gap=bool(last_id)):
                    yield item
            while position >= self._last - len(self._items):  # else he is too slow: what comes next is gone
                changed = self._changed
                for item in self._after(position):
                    if with_captions or item.kind != "caption":
                        yield item
                    position += 1
                if changed is not self._changed:
                    continue
                if self._is_over:
                    return
                try:
                    async with asyncio.timeout(PING_S):
                        await changed.wait()
                except TimeoutError:
                    yield Item("", "ping", {})
        finally:
            self.readers -= 1
            if not self.readers and not self._is_over:
                self._idle = asyncio.get_running_loop().call_later(KEEP_S, self._on_idle, self)

    def captions(self) -> RoomCaptions:
        """See Feeds.captions. Who asks is a reader for a moment: it is followed for a while."""
        if not self.readers and not self._is_over:
            self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(KEEP_S, self._on_idle, self)
        return RoomCaptions(self._began, self._captions.cues(began_at=self._began_at))

    def end(self) -> None:
        self._idle.cancel()
        self._is_over = True
        self._wake()

    async def _beginning(self, position: int, *, is_gap: bool) -> list[Item]:
        """What one is told who knows nothing yet. A new feed's status comes from its follower."""
        items = [Item(self._id(position), "gap", {})] if is_gap else []
        if self._connection_words:
            items.append(Item(self._id(position), "link", {"state": self._connection_words}))
        if self._status is not None:
            status = await self._status_now()
            items.append(Item(self._id(position), "status", status))
        return items

    async def _status_now(self) -> dict[str, Any]:
        try:
            self._status = room_state(self.room, await self._gateway.status(self.room)).model_dump()
        except LibaError as error:
            logger.debug("no status: %s", error)
        return self._status or {}

    def _take(self, update: RoomUpdate) -> None:
        match update:
            case AgentStatus() | NoAgent():
                status = update if isinstance(update, AgentStatus) else None
                self._status = room_state(self.room, status).model_dump()
                self._put("status", self._status)
            case CaptionPart():
                self._captions.take(update, _now())
            case Event() | Rejection():
                if isinstance(update, Event) and update.report.state == "audible":
                    self._captions.audible(update.report.id, _now())
                self._put("utterance", update.encode())
            case Caption(utterance_id, text):
                self._put("caption", {"id": utterance_id, "text": text})
            case ConnectionState(words) if words != self._connection_words:
                self._connection_words = words
                self._put("link", {"state": words})

    def _put(self, kind: str, data: dict[str, Any]) -> None:
        self._last += 1
        self._items.append(Item(self._id(self._last), kind, data))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _after(self, position: int) -> list[Item]:
        return list(islice(self._items, len(self._items) - (self._last - position), None))

    def _position(self, last_id: str) -> int | None:
        """Number of the item `last_id`; None when what came after it is not known any more."""
        name, _, number = last_id.rpartition("-")
        if name != self._name or not number.isdecimal() or len(number) > 15:
            return None
        oldest = self._last - len(self._items)
        return int(number) if oldest <= int(number) <= self._last else None

    def _id(self, number: int) -> str:
        return f"{self._name}-{number}"


def _draining() -> Problem:
    return Problem(503, "draining", "the server is stopping", hint="try again in a moment")


def _now() -> float:
    return asyncio.get_running_loop().time()
