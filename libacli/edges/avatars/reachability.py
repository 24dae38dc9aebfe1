"""Which hosts the internet can reach, as far as their addresses tell."""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit

_RESOLVE_TIMEOUT_S = 4.5
"""Less than the 5 s after which resolvers ask again (resolv.conf): a server that is silent has no address."""


async def is_public(url: str) -> bool:
    """Whether the internet can reach the host of `url`, as far as its addresses tell."""
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            return not await private_addresses(url)
    except (OSError, TimeoutError):
        return False


async def private_addresses(url: str) -> set[str]:
    """The addresses of the host of `url` that only its own network, or machine, can reach.

    Raises OSError when there is no such host.
    """
    host = urlsplit(url).hostname or ""
    found = await asyncio.get_running_loop().getaddrinfo(host, None)
    addresses = {str(address[4][0]) for address in found}
    return {address for address in addresses if not ipaddress.ip_address(address).is_global}
