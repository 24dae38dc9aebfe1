"""Who calls, and what he may do."""

from __future__ import annotations

from dataclasses import dataclass

from libacli.config import Settings, is_loopback
from libacli.core.entry import Session
from libacli.errors import ConfigError
from libacli.web.keys import find_key, parse_keys
from libacli.web.problems import Problem
from libacli.web.rate_limits import RateLimits
from libacli.web.sessions import Sessions

_LOCAL = "local"
"""The name of whoever calls from this machine, where that is enough."""


@dataclass(frozen=True)
class Caller:
    """Somebody who was let in."""

    name: str
    room: str | None
    """The one room he may ask for; None: any."""

    can_say: bool
    can_control: bool = False
    valid_for_s: float | None = None
    """How long he stays let in; None: as long as the server runs."""

    session: Session | None = None
    """What let him in; None: a key, or that he is on this machine."""

    @property
    def seat(self) -> str:
        """Whose connections count together: those of one key, of one browser's session, of this machine."""
        return f"{self.name} {self.session.identity}" if self.session else self.name

    @property
    def on_behalf(self) -> str:
        """On whose account the agent speaks for him. Empty: the owner's, as who is on his machine."""
        return "" if self.name == _LOCAL else self.name

    def room_or(self, default: str, wanted: str | None) -> str:
        """The room that he means. Raises Problem when it is not his."""
        if self.room is None:
            return default if wanted is None else wanted
        if wanted is not None and wanted != self.room:
            raise Problem(403, "other_room", "this session is for another room")
        return self.room

    def check_can_say(self) -> None:
        """Raises Problem when he may only watch."""
        if not self.can_say:
            raise Problem(403, "watch_only", "this session may watch, not speak")

    def check_can_control(self) -> None:
        """Raises Problem when he may not stop, interrupt, or go before others."""
        if not self.can_control:
            raise Problem(403, "no_control", "this session may not stop, interrupt or go before others")

    def check_owner(self) -> None:
        """Raises Problem when somebody else has let him in."""
        if self.session:
            raise Problem(403, "owner_only", "this is for who has a key, not for a session")


def check_bind(settings: Settings) -> bool:
    """Whether it is for this machine alone: `serve.host` is, and `serve.public_url` if there is one.

    Raises ConfigError when others could come in and there is no key, and for an entry that is none.
    """
    keys = parse_keys(settings.serve_keys)
    host, public = settings.serve_host, settings.serve_public_url
    binds_loopback = is_loopback(f"http://[{host}]" if ":" in host else f"http://{host}")
    is_private = binds_loopback and (not public or is_loopback(public))
    if not is_private and not keys:
        raise ConfigError(
            f"whoever reaches {public if binds_loopback else host} could speak: there is no API key",
            hint="make one: liba serve --new-key NAME; or stay on 127.0.0.1, without a public address",
        )
    return is_private


class Authenticator:
    """Lets callers in: by key, by session, and on loopback without keys as who they are."""

    def __init__(
        self, settings: Settings, sessions: Sessions, rate_limits: RateLimits, *, host_is_loopback: bool
    ) -> None:
        self._keys = parse_keys(settings.serve_keys)
        self._sessions = sessions
        self._rate_limits = rate_limits
        self.needs_key = bool(self._keys) or not host_is_loopback

    async def authenticate(self, authorization: str | None, address: str) -> Caller:
        """Who sent this header from there. Raises Problem, and StoreError for what may be a session.

        What is right is let in whatever else came from there: behind one address there may be many.
        """
        if authorization is None and not self.needs_key:
            await self._rate_limits.count_address_request(address)
            return Caller(_LOCAL, None, True, True)
        caller = await self._known_caller(authorization)
        if caller is None:
            await self._rate_limits.count_wrong_attempt(address)
            raise Problem(
                401,
                "unauthorized",
                "a key is needed" if authorization is None else "this key or session is not known",
                hint="send it as Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        await self._rate_limits.count_caller_request(caller.name)
        return caller

    async def _known_caller(self, authorization: str | None) -> Caller | None:
        scheme, _, presented = (authorization or "").partition(" ")
        presented = presented.strip()
        if scheme.lower() != "bearer" or not presented:
            return None
        if key := find_key(self._keys, presented):
            return Caller(f"key {key.name}", None, True, True)
        if session := await self._sessions.find_session(presented):
            left_s = self._sessions.seconds_left(session)
            return Caller(session.name, session.room, session.can_say, session.can_control, left_s, session)
        return None
