"""How often one may call: by the address that calls come from, and by caller."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from libacli.web.problems import Problem

WRONG_ATTEMPTS_PER_MINUTE = 20
"""Wrong keys and codes from one address; after that nothing is compared for it any more. Whoever mistypes
stays far below; and since a code has 128 random bits and a key 256, nobody finds one at this rate."""

_IPV6_HOST_BITS = 64
"""Of an address of IPv6: what its holder chooses as he likes (RFC 4291, section 2.5.4)."""

_LEAST_RETRY_S = 1.0
"""`Retry-After` has whole seconds, and 0 would ask for an attempt at once."""


class RateLimits:
    """Counts requests and wrong attempts; keeps no more than what counts for the last minute.

    With `requests_per_minute` 0 only wrong attempts are limited. Behind a proxy on this machine an address is
    the one that the proxy names, if `serve.public_url` is set; no other proxy is believed.
    """

    def __init__(self, requests_per_minute: int) -> None:
        # Not the moving window: to forget, its memory storage goes through a thread for every name it knows.
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests_per_minute) if requests_per_minute else None
        self._wrong_attempts = RateLimitItemPerMinute(WRONG_ATTEMPTS_PER_MINUTE)

    async def count_address_request(self, address: str) -> None:
        """A request came from there. Raises Problem when there were too many."""
        await self._count_request("address", address)

    async def count_caller_request(self, name: str) -> None:
        """The caller of that name sent a request. Raises Problem when there were too many."""
        await self._count_request("caller", name)

    async def check_wrong_attempts(self, address: str) -> None:
        """Raises Problem when too much that came from there was wrong."""
        if not await self._limiter.test(self._wrong_attempts, "wrong", address):
            detail = "too many wrong keys or codes came from this address"
            raise await self._rate_limited(detail, self._wrong_attempts, "wrong", address)

    async def count_wrong_attempt(self, address: str) -> None:
        """A key or code that came from there was wrong."""
        await self._limiter.hit(self._wrong_attempts, "wrong", address)

    async def _count_request(self, counted_by: str, name: str) -> None:
        if self._requests and not await self._limiter.hit(self._requests, counted_by, name):
            detail = f"more than {self._requests.amount} requests a minute"
            raise await self._rate_limited(detail, self._requests, counted_by, name)

    async def _rate_limited(self, detail: str, limit: RateLimitItem, *names: str) -> Problem:
        window = await self._limiter.get_window_stats(limit, *names)
        left_s = window.reset_time - datetime.now(UTC).timestamp()
        return Problem(429, "rate_limited", detail, retry_in_s=max(_LEAST_RETRY_S, left_s))


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
