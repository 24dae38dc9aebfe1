"""The proxy of a room's own connection, which the SDK's native part looks for by rules of its own.

At each connect it reads HTTPS_PROXY for wss:// and HTTP_PROXY for ws://, in capitals first, and neither
NO_PROXY nor ALL_PROXY. It wants a scheme, asks by plain HTTP, and sends a login as it is written:
https://github.com/livekit/rust-sdks/blob/main/livekit-net/src/native/proxy.rs
"""

from __future__ import annotations

import os

from libacli.config import is_loopback
from libacli.errors import ConfigError
from libacli.network_environment import check_certificates, proxy_for

_HINT = "name an HTTP proxy in HTTPS_PROXY, or LiveKit's host in NO_PROXY"


def room_proxy(url: str) -> str | None:
    """Address of the proxy by which rooms at `url` are reached, and workers registered; None: by none.

    Raises ConfigError for one that the SDK cannot use.
    """
    if not (proxy := proxy_for(url)):
        return None
    if proxy.scheme != "http":
        kind = "a SOCKS proxy" if proxy.is_socks else "a proxy that wants TLS itself"
        raise ConfigError(
            f"{proxy.variable} is {kind}, and a connection to a room cannot go through one", hint=_HINT
        )
    if not proxy.has_plain_login:
        raise ConfigError(
            f"the login in {proxy.variable} holds what a connection to a room cannot pass on",
            hint="letters, digits and !$&'()*+,-._~ it can",
        )
    return proxy.url


def settle_room_proxy(url: str) -> None:
    """Has the SDK reach rooms at `url` by the proxy that counts for them, or by none.

    Raises ConfigError as `room_proxy`, and for certificates that are not there.
    """
    if not is_loopback(url):
        check_certificates(os.environ)
    # Not in os.environ: that is a copy, by which all that is written in Python goes on finding its own proxy.
    os.putenv("HTTPS_PROXY" if url.startswith("wss:") else "HTTP_PROXY", room_proxy(url) or "")
