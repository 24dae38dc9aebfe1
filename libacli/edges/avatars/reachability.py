"""Whether the avatar's service, somewhere on the internet, can reach LiveKit, as far as can be told."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

logger = logging.getLogger("liba.avatar")

Reach = Literal["public", "private", "unknown"]

_CLOUD = ".livekit.cloud"
_RESOLVE_TIMEOUT_S = 4.5
"""Less than the 5 s after which resolvers ask again (resolv.conf)."""

_SAYS_NOTHING = (ipaddress.ip_network("198.18.0.0/15"), ipaddress.ip_network("100.64.0.0/10"))
"""What proxies on this machine make up (RFC 2544), and what carriers and overlay networks give (RFC 6598):
behind it may be any host."""

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
"""Between two looks at an address: networks, names and settings of both change."""


async def until_reachable(url: str, service: str, *, on_obstacle: Callable[[], None]) -> None:
    """Returns when `service` may be able to reach `url`: at once, unless it has private addresses alone.

    Those are looked at again and again; `on_obstacle` is called each time.
    """
    pause_s = _FIRST_PAUSE_S
    while (reach := await reach_of(url)) == "private":
        on_obstacle()
        if pause_s == _FIRST_PAUSE_S:
            logger.warning(
                "no avatar: %s cannot reach LiveKit at %s, which is a private address; looking again later - "
                "set livekit.public_url to one that it can reach, or avatar.check_public = false if it can",
                service,
                url,
            )
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    if reach == "unknown":
        logger.warning("whether %s can reach LiveKit at %s cannot be told from here; trying", service, url)


async def reach_of(url: str) -> Reach:
    """Whether the internet can reach the host of `url`; `private` only if that is sure, as seen from here."""
    if (urlsplit(url).hostname or "").endswith(_CLOUD):
        return "public"  # also where a company's own names lead to it another way
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            addresses = await addresses_of(url)
    except TimeoutError:
        return "unknown"
    except OSError as error:
        is_no_host = isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME
        return "private" if is_no_host and not _has_proxy() else "unknown"
    if any(address.is_global for address in addresses):
        return "public"
    if any(address in network for address in addresses for network in _SAYS_NOTHING):
        return "unknown"
    return "private"


async def addresses_of(url: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The addresses of the host of `url`. Raises OSError when they are not told."""
    host = urlsplit(url).hostname or ""
    found = await asyncio.get_running_loop().getaddrinfo(host, None)
    return {ipaddress.ip_address(str(address[4][0])) for address in found}


def _has_proxy() -> bool:
    """Whether names may be resolved elsewhere: then this machine need not know them."""
    return bool(getproxies().keys() - {"no"})
