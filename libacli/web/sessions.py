"""How a browser is let in: by a code that works once, which it trades for a session. All in memory."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

PREFIX = "lss_"
CODE_VALID_S = 600.0
SESSION_VALID_S = 12 * 3600.0

_MOST = 1000
_MOST_OF_ONE = 50
"""So many of them may go back to one session: its guests push nobody else out."""


@dataclass(frozen=True)
class Session:
    """Leave to watch one room, and with `can_say` to make its agent speak."""

    name: str
    """For limits: its own, or that of the session whose link it came by; no secret."""

    room: str
    can_say: bool
    expires_at: float
    """On the clock that the sessions were given."""


class Sessions:
    """Codes and sessions. There are never more than 1000 of each: the oldest go first.

    They are looked up by their hash, which takes as long however much of a guess is right.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._codes: OrderedDict[str, Session] = OrderedDict()
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def new_code(self, room: str, *, can_say: bool, maker: str = "") -> str:
        """A code for a session in `room`; it works once, for 10 minutes.

        If `maker` is the name of a session, whoever comes in by the code shares its limits and its end.
        """
        code = secrets.token_urlsafe(16)
        name = maker if self._made_by(maker) else f"session {secrets.token_hex(4)}"
        _store(self._codes, code, Session(name, room, can_say, self._now() + CODE_VALID_S))
        return code

    def redeem_code(self, code: str) -> tuple[str, Session] | None:
        """The session, and the token it is known by from now on; None for a code that does not work."""
        leave = self._codes.pop(_digest(code), None)
        if leave is None or leave.expires_at <= self._now():
            return None
        token = PREFIX + secrets.token_urlsafe(32)
        maker = self._made_by(leave.name)
        expires_at = maker.expires_at if maker else self._now() + SESSION_VALID_S
        session = Session(leave.name, leave.room, leave.can_say, expires_at)
        _store(self._sessions, token, session)
        return token, session

    def find_session(self, token: str) -> Session | None:
        """The session of `token`, as long as it is valid."""
        session = self._sessions.get(_digest(token))
        return session if session and session.expires_at > self._now() else None

    def seconds_left(self, session: Session) -> float:
        """How long `session` is still valid."""
        return session.expires_at - self._now()

    def _made_by(self, name: str) -> Session | None:
        return next((session for session in self._sessions.values() if session.name == name), None)


def _store(kept: OrderedDict[str, Session], secret: str, session: Session) -> None:
    related = [key for key, other in kept.items() if other.name == session.name]
    if len(related) >= _MOST_OF_ONE:
        del kept[related[0]]
    kept[_digest(secret)] = session
    if len(kept) > _MOST:
        kept.popitem(last=False)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
