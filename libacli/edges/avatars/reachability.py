"""Which hosts the internet can reach, as far as their addresses tell."""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit


async def private_addresses(url: str) -> set[str]:
    """The addresses of the host of `url` that only its own network, or machine, can reach.

    Raises OSError when there is no such host.
    """
    host = urlsplit(url).hostname or ""
    found = await asyncio.get_running_loop().getaddrinfo(host, None)
    addresses = {str(address[4][0]) for address in found}
    return {address for address in addresses if not ipaddress.ip_address(address).is_global}
