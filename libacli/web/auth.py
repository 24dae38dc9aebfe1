"""Who calls, what he may do, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from libacli.config import Settings, is_loopback
from libacli.errors import ConfigError
from libacli.web.keys import find, parse_keys
from libacli.web.problems import Problem
from libacli.web.sessions import Sessions

WRONG_PER_MINUTE = 20
"""Wrong keys and codes from one address; after that nothing is compared for it any more."""


@dataclass(frozen=True)
class Caller:
    """Somebody who was let in."""

    name: str
    room: str | None
    """The one room he may ask for; None: any."""

    can_say: bool
    valid_for_s: float | None = None
    """How long he stays let in; None: as long as the server runs."""

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


class Callers:
    """Lets callers in: by key, by session, and on loopback without keys as who they are.

    Limits count by caller and by the address that the connection comes from. Behind a proxy on this machine
    that is the address which the proxy names, if `serve.public_url` is set; no other proxy is believed. Of
    both only what counts for the last minute is kept.
    """

    def __init__(self, settings: Settings, sessions: Sessions, *, host_is_loopback: bool) -> None:
        self._keys = parse_keys(settings.serve_keys)
        self._sessions = sessions
        self.needs_key = bool(self._keys) or not host_is_loopback
        # Not the moving window: to forget, its memory storage goes through a thread for every name it knows.
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        per_minute = settings.serve_rate_per_minute
        self._most = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._most_wrong = RateLimitItemPerMinute(WRONG_PER_MINUTE)

    async def let_in(self, authorization: str | None, address: str) -> Caller:
        """Who sent this header from there. Raises Problem."""
        await self.visit(address)
        if authorization is None and not self.needs_key:
            return Caller("local", None, True)
        await self.check_guesses(address)
        caller = self._known(authorization)
        if caller is None:
            await self.wrong(address)
            raise Problem(
                401,
                "unauthorized",
                "a key is needed" if authorization is None else "this key or session is not known",
                hint="send it as Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        await self._count("caller", caller.name)
        return caller

    async def visit(self, address: str) -> None:
        """A request came from there. Raises Problem when there were too many."""
        await self._count("address", address)

    async def check_guesses(self, address: str) -> None:
        """Raises Problem when too much that came from there was wrong."""
        if not await self._limiter.test(self._most_wrong, "wrong", address):
            detail = "too many wrong keys or codes came from this address"
            raise await self._too_many(detail, self._most_wrong, "wrong", address)

    async def wrong(self, address: str) -> None:
        """Something that came from there was wrong."""
        await self._limiter.hit(self._most_wrong, "wrong", address)

    def _known(self, authorization: str | None) -> Caller | None:
        scheme, _, presented = (authorization or "").partition(" ")
        presented = presented.strip()
        if scheme.lower() != "bearer" or not presented:
            return None
        if key := find(self._keys, presented):
            return Caller(f"key {key.name}", None, True)
        if session := self._sessions.find(presented):
            left_s = self._sessions.seconds_left(session)
            return Caller(session.name, session.room, session.can_say, left_s)
        return None

    async def _count(self, what: str, name: str) -> None:
        if self._most and not await self._limiter.hit(self._most, what, name):
            detail = f"more than {self._most.amount} requests a minute"
            raise await self._too_many(detail, self._most, what, name)

    async def _too_many(self, detail: str, limit: RateLimitItem, *names: str) -> Problem:
        window = await self._limiter.get_window_stats(limit, *names)
        left_s = window.reset_time - datetime.now(UTC).timestamp()
        return Problem(429, "rate_limited", detail, retry_in_s=max(1.0, left_s))


def address_of(request: Request) -> str:
    """The address that the connection comes from, as limits know it: of IPv6 the network, a /64.

    Whoever has one address of such a network has all of them.
    """
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:  # a socket that has no address
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))


_bearer = HTTPBearer(auto_error=False, description="A key of `liba serve --new-key`, or a session")


async def caller(
    request: Request, documented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """The caller of a request. Raises Problem."""
    callers: Callers = request.app.state.callers
    return await callers.let_in(request.headers.get("authorization"), address_of(request))


CallerDependency = Annotated[Caller, Depends(caller)]
