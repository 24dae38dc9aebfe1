"""How clients of both HTTP libraries are made that go through the proxy of the environment, or past it.

`trust_env` of these libraries would read the same variables by rules of their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from libacli.config import is_loopback
from libacli.network_environment import CERTIFICATES, certified, proxy_for

if TYPE_CHECKING:  # most commands need one of the two
    import ssl

    import aiohttp
    import httpx2


T = TypeVar("T")


def transport_to(url: str, **options: Any) -> httpx2.AsyncHTTPTransport:
    """What an `httpx2.AsyncClient` of `url` sends by. Raises ConfigError for a variable that is of no use."""
    import httpx2

    return _made(httpx2.AsyncHTTPTransport, url, options)


def blocking_transport_to(url: str, **options: Any) -> httpx2.HTTPTransport:
    """The same for an `httpx2.Client`."""
    import httpx2

    return _made(httpx2.HTTPTransport, url, options)


def session_to(url: str, **options: Any) -> aiohttp.ClientSession:
    """A session for `url` and no other address. Raises ConfigError for a variable that cannot be used."""
    import aiohttp

    proxy = proxy_for(url)
    with nullcontext() if is_loopback(url) else certified():
        if proxy and proxy.is_socks:
            from aiohttp_socks import ProxyConnector, ProxyType

            options["connector"] = ProxyConnector(
                proxy.host, proxy.port, ProxyType.SOCKS5, proxy.user, proxy.password, rdns=True
            )
            options["middlewares"] = (*options.get("middlewares", ()), _as_without_socks)
        elif proxy:
            options["proxy"] = proxy.url
        return aiohttp.ClientSession(**options)


async def _as_without_socks(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Middleware: raises aiohttp's own error where a SOCKS proxy is not there, or does not get through."""
    import aiohttp
    from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

    try:
        return await handler(request)
    except (ProxyConnectionError, ProxyError, ProxyTimeoutError) as error:
        raise aiohttp.ClientProxyConnectionError(request.connection_key, OSError(str(error))) from error


def _made(kind: Callable[..., T], url: str, options: dict[str, Any]) -> T:
    proxy, is_here = proxy_for(url), is_loopback(url)
    with nullcontext() if is_here else certified():
        variables = () if is_here else tuple(map(os.environ.get, CERTIFICATES))
        # A proxy of None is none.
        return kind(
            proxy=proxy.url if proxy else None, trust_env=False, verify=_trusting(variables), **options
        )


@lru_cache(maxsize=4)
def _trusting(variables: tuple[str | None, ...]) -> ssl.SSLContext:
    """The certificates that count where the environment has these values; none: those of the system.

    They are read once a process: it takes longer than a frame of sound lasts, on the loop that speaks.
    """
    import httpx2

    return httpx2.create_ssl_context(trust_env=any(variables))
