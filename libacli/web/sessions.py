"""How a browser is let in: by a code that works once, which it trades for a session."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from libacli.core.entry import EntryCode, Session
from libacli.web.memory_stores import MemorySessions
from libacli.web.stores import SessionStore

PREFIX = "lss_"
CODE_VALID_S = 600.0
"""Long enough to walk over to another screen; one that is found later, in a chat, opens nothing."""

SESSION_VALID_S = 12 * 3600.0
"""A working day or an event: nobody is put out while it lasts, and whoever comes back tomorrow asks anew."""


@dataclass(frozen=True)
class NewCode:
    """What stands in a link."""

    secret: str = field(repr=False)
    valid_for_s: float


async def _tell_nobody(session: Session) -> None:
    pass


class Sessions:
    """Codes and sessions, kept in `store`, on the clock `now`.

    They are looked up by their hash, which takes as long however much of a guess is right. `on_end` is called
    with each session that has ended, in whatever way, once that is noticed: at the latest by `end_expired`.
    All but `seconds_left` raise StoreError when they are shared and cannot be reached.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        store: SessionStore | None = None,
        *,
        on_end: Callable[[Session], Awaitable[None]] = _tell_nobody,
    ) -> None:
        self._now = now
        self._store = store or MemorySessions()
        self._on_end = on_end

    async def new_code(
        self, room: str, *, can_say: bool, can_control: bool = False, host: Session | None = None
    ) -> NewCode:
        """A code for a session in `room`; it works once, for 10 minutes.

        With `host`, the session that asks for it, whoever comes in by the code is its guest: he shares its
        limits and its end, and the code works no longer than that.
        """
        secret, now = secrets.token_urlsafe(16), self._now()
        name = host.name if host else f"session {secrets.token_hex(4)}"
        ends_at = host.expires_at if host else None
        expires_at = now + CODE_VALID_S if ends_at is None else min(now + CODE_VALID_S, ends_at)
        code = EntryCode(name, room, can_say, expires_at, can_control, ends_at)
        await self._store.put_code(_digest(secret), code, valid_for_s=expires_at - now)
        return NewCode(secret, expires_at - now)

    async def redeem_code(self, code: str) -> tuple[str, Session] | None:
        """The session, and the token it is known by from now on; None for a code that does not work."""
        known, now = await self._store.take_code(_digest(code)), self._now()
        if known is None or known.expires_at <= now:
            return None
        token = PREFIX + secrets.token_urlsafe(32)
        session = Session(
            name=known.name,
            room=known.room,
            can_say=known.can_say,
            expires_at=now + SESSION_VALID_S if known.session_ends_at is None else known.session_ends_at,
            is_guest=known.is_guest,
            can_control=known.can_control,
            identity=f"viewer-{secrets.token_hex(4)}",
            digest=_digest(token),
        )
        gone = await self._store.put_session(session, valid_for_s=session.expires_at - now)
        if gone is None:
            return None
        await self._tell(gone)
        return token, session

    async def find_session(self, token: str) -> Session | None:
        """The session of `token`, as long as it is valid."""
        if not token.startswith(PREFIX):
            return None
        session = await self._store.find(_digest(token))
        return session if session and session.expires_at > self._now() else None

    async def all(self) -> list[Session]:
        """Those that are valid now, the oldest first."""
        return [session for session in await self._store.all() if session.expires_at > self._now()]

    async def ended(self, sessions: Iterable[Session]) -> list[Session]:
        """Those of `sessions` that are over, whoever has ended them."""
        asked = list(sessions)
        kept = await self._store.kept([session.digest for session in asked]) if asked else set()
        return [session for session in asked if session.digest not in kept]

    async def end(self, session: Session) -> list[Session]:
        """Ends a session, and with a host its guests; all that have ended by that."""
        if session.is_guest:
            return await self._tell(await self._store.drop([session.digest]))
        return await self.end_named(session.name)

    async def end_named(self, name: str) -> list[Session]:
        """Ends all sessions of this name, and the codes that would let in more; those sessions."""
        return await self._tell(await self._store.drop_named(name))

    async def end_expired(self) -> None:
        """Forgets the sessions whose time is over."""
        await self._tell(await self._store.drop_expired(self._now()))

    def seconds_left(self, session: Session) -> float:
        """How long `session` is still valid."""
        return session.expires_at - self._now()

    async def _tell(self, ended: list[Session]) -> list[Session]:
        for session in ended:
            await self._on_end(session)
        return ended


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
