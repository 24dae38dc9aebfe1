"""What servers behind one address have to know together. Each port has an implementation in memory, for one
server alone; another one is of whatever they share."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from limits.aio.storage import MemoryStorage, Storage

from libacli.core.entry import EntryCode, Leaving, SentUtterance, Session
from libacli.web.memory_stores import MemorySentUtterances, MemorySessions, MemoryTokens, NothingShared


class SessionStore(Protocol):
    """Codes and sessions by the digest of their secret; at most 1000 of each, and 50 guests of one session.

    Where it is full a guest takes the place of the oldest one of its name, anybody else that of the oldest of
    all. Each method does its work in one step, whoever else is at it. All raise StoreError.
    """

    async def put_code(self, digest: str, code: EntryCode, *, valid_for_s: float) -> None:
        """Keeps it; not when all of its name have been ended."""

    async def take_code(self, digest: str) -> EntryCode | None:
        """Takes it out: of all who ask, one gets it."""

    async def put_session(self, session: Session, *, valid_for_s: float) -> list[Session] | None:
        """Keeps it; those that had to make room. None: it is not kept, its name has been ended."""

    async def find(self, digest: str) -> Session | None:
        """The session of this digest, or one that has expired a while ago."""

    async def kept(self, digests: Collection[str]) -> set[str]:
        """Those of them that are of sessions."""

    async def all(self) -> list[Session]:
        """The oldest first."""

    async def drop(self, digests: Collection[str]) -> list[Session]:
        """Takes sessions out; those that this call has taken out."""

    async def drop_named(self, name: str) -> list[Session]:
        """Takes out the codes and sessions of this name, and lets in no other one; the sessions."""

    async def drop_expired(self, now: float) -> list[Session]:
        """Takes out the sessions whose time is over; those that this call has taken out."""


class TokenStore(Protocol):
    """The tokens of sessions' viewers, and who of these has to leave. All raise StoreError."""

    async def count(self, session: Session, until: float, *, most: int, now: float) -> float | None:
        """A token of `session` is valid `until` then; or when the first expires of as many as may be."""

    async def live(self, identity: str, now: float) -> int:
        """How many tokens of it are valid."""

    async def dismiss(self, session: Session, *, leeway_s: float) -> None:
        """It has ended: its viewer has to leave, if it ever had a token, until so long after the last one."""

    async def leaving(self) -> list[Leaving]:
        """Who has to leave."""

    async def forget(self, identities: Iterable[str]) -> None:
        """They have left for good."""

    async def take_turn(self, for_s: float) -> bool:
        """Whether it is this server's turn to look for them; then it is nobody else's for so long."""


class SentStore(Protocol):
    """Where the newest utterances went, by caller and id, for an hour. All raise StoreError."""

    async def remember(self, caller: str, utterance_id: str, sent: SentUtterance) -> None: ...

    async def find(self, caller: str, utterance_id: str) -> SentUtterance | None: ...


class StoreWatch(Protocol):
    """Whether what is shared can be reached."""

    @property
    def state(self) -> str | None:
        """`ok` or `unreachable`; None: nothing is shared."""

    async def run(self) -> None:
        """Looks after that until cancelled."""


@dataclass(frozen=True)
class Stores:
    """All of them; as they are, those of a server that is alone."""

    sessions: SessionStore = field(default_factory=MemorySessions)
    tokens: TokenStore = field(default_factory=MemoryTokens)
    sent: SentStore = field(default_factory=MemorySentUtterances)
    counts: Storage = field(default_factory=MemoryStorage)
    """Of requests and wrong attempts; one that is shared raises StoreError."""

    watch: StoreWatch = field(default_factory=NothingShared)
    now: Callable[[], float] = time.monotonic
    """The clock that all who share them have in common."""
