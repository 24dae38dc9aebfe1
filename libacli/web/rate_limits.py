"""How often one may call: by the address that calls come from, and by caller."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from libacli.errors import StoreError
from libacli.web.problems import Problem

WRONG_ATTEMPTS_PER_MINUTE = 20
"""Wrong keys and codes from one address; whoever mistypes stays far below. A right one is let in all the
same: others may come from the same address, and nobody guesses 128 random bits (a code) or 256 (a key)."""

_IPV6_HOST_BITS = 64
"""Of an address of IPv6: what its holder chooses as he likes (RFC 4291, section 2.5.4)."""

_LEAST_RETRY_S = 1.0
"""`Retry-After` has whole seconds, and 0 would ask for an attempt at once."""


class RateLimits:
    """Counts requests and wrong attempts in `counts`; keeps no more than what counts for the last minute.

    With `requests_per_minute` 0 only wrong attempts are limited. While `counts` raises StoreError, those of
    this server alone count. Who is let in is counted by his name, who is not by his address.
    """

    def __init__(self, requests_per_minute: int, counts: Storage | None = None) -> None:
        # Not the moving window: to forget, its memory storage goes through a thread for every name it knows.
        self._limiter = SlidingWindowCounterRateLimiter(counts or MemoryStorage())
        self._own_limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests_per_minute) if requests_per_minute else None
        self._wrong_attempts = RateLimitItemPerMinute(WRONG_ATTEMPTS_PER_MINUTE)

    async def count_address_request(self, address: str) -> None:
        """A request came from there. Raises Problem when there were too many."""
        await self._count_request("address", address)

    async def count_caller_request(self, name: str) -> None:
        """The caller of that name sent a request. Raises Problem when there were too many."""
        await self._count_request("caller", name)

    async def count_wrong_attempt(self, address: str) -> None:
        """A key or code that came from there was wrong. Raises Problem when there were too many."""
        await self.count_address_request(address)
        detail = "too many wrong keys or codes came from this address"
        await self._hit(self._wrong_attempts, detail, "wrong", address)

    async def _count_request(self, counted_by: str, name: str) -> None:
        if self._requests:
            detail = f"more than {self._requests.amount} requests a minute"
            await self._hit(self._requests, detail, counted_by, name)

    async def _hit(self, limit: RateLimitItem, detail: str, *names: str) -> None:
        try:
            left_s = await _seconds_to_wait(self._limiter, limit, *names)
        except StoreError:
            left_s = await _seconds_to_wait(self._own_limiter, limit, *names)
        if left_s is not None:
            raise Problem(429, "rate_limited", detail, retry_in_s=max(_LEAST_RETRY_S, left_s))


async def _seconds_to_wait(
    limiter: SlidingWindowCounterRateLimiter, limit: RateLimitItem, *names: str
) -> float | None:
    """Counts one; None: it may be. Else, when one may again."""
    if await limiter.hit(limit, *names):
        return None
    window = await limiter.get_window_stats(limit, *names)
    return window.reset_time - datetime.now(UTC).timestamp()


def client_address(request: Request) -> str:
    """The address that the connection comes from, as limits know it."""
    return network_of(request.client.host if request.client else "")


def network_of(host: str) -> str:
    """What counts as one address: of IPv6 the network, a /64. Who has one of its addresses has them all."""
    try:
        address = ip_address(host)
    except ValueError:  # a socket that has no address
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or IPv6Address(int(address) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS))
