"""What the environment says of proxies and certificates: told by its variable's name where it cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from libacli.errors import ConfigError

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
_CERTIFICATES = "SSL_CERT_FILE"


def spell_out(environment: MutableMapping[str, str]) -> None:
    """Desktops write `socks://`: SOCKS 5, whose proxy looks names up, as curl's `socks5h://`."""
    for name in _names(environment):
        if environment[name].lower().startswith("socks://"):
            environment[name] = "socks5h://" + environment[name][len("socks://") :]


def check(environment: Mapping[str, str]) -> None:
    """Raises ConfigError that names the variable, and not its value, which may hold a password."""
    for name in _names(environment):
        if complaint := _complaint(environment[name]):
            raise ConfigError(
                f"{name} {complaint}",
                hint="write http://HOST:PORT or socks5://HOST:PORT, or unset it",
            )
    file = environment.get(_CERTIFICATES, "")
    if file:
        try:
            with Path(file).open("rb"):
                pass
        except OSError as error:
            raise _no_certificates(str(error.strerror)) from error


@contextmanager
def building() -> Iterator[None]:
    """For the making of a client that heeds the environment. Raises ConfigError that names the variable."""
    import ssl  # this and what is loaded below would make every command begin later

    check(os.environ)
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        if not os.environ.get(_CERTIFICATES):
            raise
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else str(error.strerror)
        raise _no_certificates(reason) from error


def proxy_variable(url: str) -> str:
    """Name of the variable whose proxy leads to `url`; empty: none does."""
    from urllib.request import getproxies_environment, proxy_bypass

    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or proxy_bypass(host):
        return ""
    proxies = getproxies_environment()
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    kind = next((kind for kind in (scheme, "all") if proxies.get(kind)), "")
    spelled = (f"{kind}_proxy", f"{kind}_proxy".upper())
    return next((name for name in spelled if kind and os.environ.get(name)), "")


def _names(environment: Mapping[str, str]) -> list[str]:
    return [name for name in environment if name.lower() in _PROXIES and environment[name]]


def _complaint(value: str) -> str:
    """What is wrong with a proxy's address; empty: nothing."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address of a proxy"
    if parts.scheme.lower() not in _SCHEMES:
        return f"names a proxy of a kind that is not known here: {parts.scheme}"
    return "" if host and value == value.strip() else "is no address of a proxy"


def _no_certificates(reason: str) -> ConfigError:
    return ConfigError(
        f"{_CERTIFICATES} names a file that cannot be used: {reason}",
        hint="correct it, or unset it: then the system's certificates count",
    )
