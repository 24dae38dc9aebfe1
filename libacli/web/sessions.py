"""How a browser is let in: by a code that works once, which it trades for a session. All in memory."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

PREFIX = "lss_"
CODE_VALID_S = 600.0
"""Long enough to walk over to another screen; one that is found later, in a chat, opens nothing."""

SESSION_VALID_S = 12 * 3600.0
"""A working day or an event: nobody is put out while it lasts, and whoever comes back tomorrow asks anew."""

_MOST_KEPT = 1000
"""As many as the server takes connections: more could not be there at once."""

_MOST_GUESTS = 50
"""Guests of one session, and codes that wait for some: a twentieth of all, so that one session that lets in
ever more pushes out none but its own guests."""


@dataclass(frozen=True)
class Session:
    """Leave to watch one room, with `can_say` to make its agent speak, with `can_control` to stop it."""

    name: str
    """For limits: its own, or that of the session whose link it came by; no secret."""

    room: str
    can_say: bool
    expires_at: float
    """On the clock that the sessions were given."""

    is_guest: bool = False
    """Whether it came by the link of a session."""

    can_control: bool = False
    identity: str = ""
    """Who it is in its room; a guest is another participant than its host."""


@dataclass(frozen=True)
class NewCode:
    """What stands in a link."""

    secret: str = field(repr=False)
    valid_for_s: float


@dataclass(frozen=True)
class _Code:
    name: str
    """That of the session which it gives."""

    room: str
    can_say: bool
    expires_at: float
    can_control: bool
    host: Session | None
    """The session whose link it is in; None: the link of somebody with a key."""

    @property
    def is_guest(self) -> bool:
        return self.host is not None


_Kept = TypeVar("_Kept", Session, _Code)


class Sessions:
    """Codes and sessions. There are never more than 1000 of each: the oldest go first.

    They are looked up by their hash, which takes as long however much of a guess is right. `on_end` is called
    with each session that has ended, in whatever way, once that is noticed: at the latest by `end_expired`.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        *,
        on_end: Callable[[Session], None] = lambda session: None,
    ) -> None:
        self._now = now
        self._on_end = on_end
        self._codes: OrderedDict[str, _Code] = OrderedDict()
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def new_code(self, room: str, *, can_say: bool, can_control: bool = False, maker: str = "") -> NewCode:
        """A code for a session in `room`; it works once, for 10 minutes.

        If `maker` is the name of a session, whoever comes in by the code is its guest: he shares its limits
        and its end, and the code works no longer than that.
        """
        secret, now = secrets.token_urlsafe(16), self._now()
        host = self._session_named(maker)
        name = host.name if host else f"session {secrets.token_hex(4)}"
        expires_at = min(now + CODE_VALID_S, host.expires_at) if host else now + CODE_VALID_S
        _keep(self._codes, secret, _Code(name, room, can_say, expires_at, can_control, host))
        return NewCode(secret, expires_at - now)

    def redeem_code(self, code: str) -> tuple[str, Session] | None:
        """The session, and the token it is known by from now on; None for a code that does not work."""
        known, now = self._codes.pop(_digest(code), None), self._now()
        if known is None or known.expires_at <= now:
            return None
        token = PREFIX + secrets.token_urlsafe(32)
        expires_at = known.host.expires_at if known.host else now + SESSION_VALID_S
        identity = f"viewer-{secrets.token_hex(4)}"
        session = Session(
            name=known.name,
            room=known.room,
            can_say=known.can_say,
            expires_at=expires_at,
            is_guest=known.is_guest,
            can_control=known.can_control,
            identity=identity,
        )
        for gone in _keep(self._sessions, token, session):
            self._on_end(gone)
        return token, session

    def find_session(self, token: str) -> Session | None:
        """The session of `token`, as long as it is valid."""
        session = self._sessions.get(_digest(token))
        return session if session and session.expires_at > self._now() else None

    def all(self) -> list[Session]:
        """Those that are valid now, the oldest first."""
        return [session for session in self._sessions.values() if session.expires_at > self._now()]

    def end(self, session: Session) -> list[Session]:
        """Ends a session, and with a host its guests; all that have ended by that."""
        if session.is_guest:
            return self._end_those(lambda other: other == session)
        return self.end_named(session.name)

    def end_named(self, name: str) -> list[Session]:
        """Ends all sessions of this name, and the codes that would let in more; those sessions."""
        self._codes = OrderedDict((key, code) for key, code in self._codes.items() if code.name != name)
        return self._end_those(lambda session: session.name == name)

    def end_expired(self) -> None:
        """Forgets the sessions whose time is over."""
        now = self._now()
        self._end_those(lambda session: session.expires_at <= now)

    def _end_those(self, goes: Callable[[Session], bool]) -> list[Session]:
        ended = {digest: session for digest, session in self._sessions.items() if goes(session)}
        for digest, session in ended.items():
            del self._sessions[digest]
            self._on_end(session)
        return list(ended.values())

    def seconds_left(self, session: Session) -> float:
        """How long `session` is still valid."""
        return session.expires_at - self._now()

    def _session_named(self, name: str) -> Session | None:
        return next((session for session in self._sessions.values() if session.name == name), None)


def _keep(kept: OrderedDict[str, _Kept], secret: str, new: _Kept) -> list[_Kept]:
    """Keeps `new`; where it is full, in the place of its host's oldest guest, or of the oldest of all.

    Returns what had to go for it.
    """
    gone = []
    if new.is_guest:
        guests = [digest for digest, other in kept.items() if other.is_guest and other.name == new.name]
        if len(guests) >= _MOST_GUESTS:
            gone.append(kept.pop(guests[0]))
    kept[_digest(secret)] = new
    if len(kept) > _MOST_KEPT:
        gone.append(kept.popitem(last=False)[1])
    return gone


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
