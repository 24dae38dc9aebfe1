"""What one server keeps that shares nothing: codes, sessions, tokens, where utterances went."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from libacli.core.entry import MOST_GUESTS, MOST_KEPT, SENT_KEPT_S, EntryCode, Leaving, SentUtterance, Session

_MOST_SENT = 4096
"""As many as an agent remembers: of older ones it could not be asked anyway."""

_Kept = TypeVar("_Kept", Session, EntryCode)


class MemorySessions:
    """A SessionStore."""

    def __init__(self) -> None:
        self._codes: OrderedDict[str, EntryCode] = OrderedDict()
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        """Names that let in nobody any more."""

    async def put_code(self, digest: str, code: EntryCode, *, valid_for_s: float) -> None:
        if code.name not in self._ended:
            _keep(self._codes, digest, code)

    async def take_code(self, digest: str) -> EntryCode | None:
        return self._codes.pop(digest, None)

    async def put_session(self, session: Session, *, valid_for_s: float) -> list[Session] | None:
        if session.name in self._ended:
            return None
        return _keep(self._sessions, session.digest, session)

    async def find(self, digest: str) -> Session | None:
        return self._sessions.get(digest)

    async def kept(self, digests: Collection[str]) -> set[str]:
        return self._sessions.keys() & set(digests)

    async def all(self) -> list[Session]:
        return list(self._sessions.values())

    async def drop(self, digests: Collection[str]) -> list[Session]:
        return self._drop_those(lambda session: session.digest in digests)

    async def drop_named(self, name: str) -> list[Session]:
        self._ended[name] = None
        if len(self._ended) > MOST_KEPT:
            self._ended.popitem(last=False)
        self._codes = OrderedDict((key, code) for key, code in self._codes.items() if code.name != name)
        return self._drop_those(lambda session: session.name == name)

    async def drop_expired(self, now: float) -> list[Session]:
        return self._drop_those(lambda session: session.expires_at <= now)

    def _drop_those(self, goes: Callable[[Session], bool]) -> list[Session]:
        dropped = [session for session in self._sessions.values() if goes(session)]
        for session in dropped:
            del self._sessions[session.digest]
        return dropped


class MemoryTokens:
    """A TokenStore."""

    def __init__(self) -> None:
        self._expiries: dict[str, list[float]] = {}
        """Of the tokens of each identity that ever had one, as long as its session lasts."""

        self._leaving: dict[str, Leaving] = {}

    async def count(self, session: Session, until: float, *, most: int, now: float) -> float | None:
        live = [expiry for expiry in self._expiries.get(session.identity, []) if expiry > now]
        if len(live) >= most:
            return min(live)
        self._expiries[session.identity] = [*live, until]
        return None

    async def live(self, identity: str, now: float) -> int:
        return sum(expiry > now for expiry in self._expiries.get(identity, []))

    async def dismiss(self, session: Session, *, leeway_s: float) -> None:
        if expiries := self._expiries.pop(session.identity, None):
            until = max(expiries) + leeway_s
            self._leaving[session.identity] = Leaving(session.identity, session.room, until)

    async def leaving(self) -> list[Leaving]:
        return list(self._leaving.values())

    async def forget(self, identities: Iterable[str]) -> None:
        for identity in identities:
            self._leaving.pop(identity, None)  # another look may have been as quick

    async def take_turn(self, for_s: float) -> bool:
        return True


class MemorySentUtterances:
    """A SentStore of the newest 4096."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sent: OrderedDict[tuple[str, str], tuple[float, SentUtterance]] = OrderedDict()

    async def remember(self, caller: str, utterance_id: str, sent: SentUtterance) -> None:
        self._sent[caller, utterance_id] = self._now(), sent
        if len(self._sent) > _MOST_SENT:
            self._sent.popitem(last=False)

    async def find(self, caller: str, utterance_id: str) -> SentUtterance | None:
        at, sent = self._sent.get((caller, utterance_id), (-math.inf, None))
        return sent if self._now() - at < SENT_KEPT_S else None


class NothingShared:
    """A StoreWatch with nothing to watch."""

    state: str | None = None

    async def run(self) -> None:
        await asyncio.Event().wait()


def _keep(kept: OrderedDict[str, _Kept], digest: str, new: _Kept) -> list[_Kept]:
    """Keeps `new`; returns what had to go for it."""
    gone = []
    if new.is_guest:
        guests = [key for key, other in kept.items() if other.is_guest and other.name == new.name]
        if len(guests) >= MOST_GUESTS:
            gone.append(kept.pop(guests[0]))
    kept[digest] = new
    if len(kept) > MOST_KEPT:
        gone.append(kept.popitem(last=False)[1])
    return gone
