"""What the environment says of proxies and certificates, by one rule for every client.

Libraries differ in which variables they read, and in what NO_PROXY may hold: `proxy_for` tells them instead.
What cannot be is told by its variable's name, and not by its value, which may hold a password.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from libacli.errors import ConfigError

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_KINDS = {
    "http": ("http", 80),
    "https": ("https", 443),
    "socks": ("socks5h", 1080),
    "socks5": ("socks5h", 1080),
    "socks5h": ("socks5h", 1080),
}
"""How a proxy is spoken to, and at which port where none is named. Names are the proxy's to look up."""

_NAME = re.compile(r"[^\s/@\\]+")
_LISTED = re.compile(r"(?:\[(?P<number>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>\d+))?")
_PLAIN = "!$&'()*+,-._~"
"""What a login may hold beside letters and digits for who does not decode it: sub-delims of RFC 3986."""

CERTIFICATES = _FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"
"""Variables that say which certificates count."""


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable that names it. `scheme` is http, https or socks5h."""

    variable: str
    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Its address, with the login."""
        login = f"{quote(self.user, safe=_PLAIN)}:{quote(self.password, safe=_PLAIN)}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{login}{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        return self.scheme == "socks5h"

    @property
    def has_plain_login(self) -> bool:
        """Whether the login reads the same for who does not decode `%40` in an address."""
        return "%" not in self.url


def spell_out(environment: MutableMapping[str, str]) -> None:
    """Desktops write `socks://`: SOCKS 5, whose proxy looks names up, as curl's `socks5h://`."""
    for name in [name for name in environment if name.lower() in _PROXIES]:
        if environment[name].lower().startswith("socks://"):
            environment[name] = "socks5h://" + environment[name][len("socks://") :]


def proxy_for(url: str) -> Proxy | None:
    """The proxy that leads to `url`; None: there is none, or it is reached without.

    Raises ConfigError for one that cannot be used.
    """
    variable = proxy_variable(url)
    return _parsed(variable, os.environ[variable].strip()) if variable else None


def proxy_variable(url: str) -> str:
    """Name of the variable whose proxy leads to `url`; empty: none does, as none can to this machine."""
    from libacli.config import is_loopback

    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "ws": 80}.get(parts.scheme, 443)
    except ValueError:
        return ""
    if not (host := _host(parts)) or is_loopback(url):
        return ""
    if _is_excepted(host, port, os.environ.get(_spelled("no_proxy"), "")):
        return ""
    scheme = "http" if parts.scheme in ("http", "ws") else "https"
    names = (_spelled(f"{scheme}_proxy"), _spelled("all_proxy"))
    return next((name for name in names if os.environ.get(name, "").strip()), "")


def proxy_hint(url: str) -> str:
    """The next step where `url` cannot be reached and a proxy is on the way; empty: there is none."""
    variable = proxy_variable(url)
    return f"check {variable}; NO_PROXY names hosts that are reached without" if variable else ""


def check_certificates(environment: Mapping[str, str]) -> None:
    """Raises ConfigError that names the variable whose certificates are not there."""
    if file := environment.get(_FILE, ""):
        try:
            with Path(file).open("rb"):
                pass
        except (OSError, ValueError) as error:
            raise _no_certificates(_FILE, "a file", _reason(error)) from error
        return
    folders = environment.get(_FOLDER, "").split(os.pathsep)
    if any(folders) and not any(map(os.path.isdir, folders)):
        raise _no_certificates(_FOLDER, "a folder", "there is none")


@contextmanager
def certified() -> Iterator[None]:
    """For the making of a client that reads certificates. Raises ConfigError that names the variable."""
    import ssl  # it would make every command begin later

    check_certificates(os.environ)
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        if not os.environ.get(_FILE):
            raise
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else _reason(error)
        raise _no_certificates(_FILE, "a file", reason) from error


def _spelled(name: str) -> str:
    """As curl has it, the name in small letters goes before that in capitals."""
    return name if name in os.environ else name.upper()


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")


def _is_excepted(host: str, port: int, listed: str) -> bool:
    """Whether NO_PROXY holds it: hosts, suffixes as `.x` or `*.x`, networks, with a port or without."""
    return any(_is_meant(entry, host, port) for entry in re.split(r"[\s,;]+", listed.lower()) if entry)


def _is_meant(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, wanted = entry.rpartition("://")[2], None
    if found := _LISTED.fullmatch(name):  # else an address of IPv6 without brackets
        name, wanted = found["number"] or found["name"] or "", found["port"]
    if wanted and int(wanted) != port:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = name.removeprefix("*").strip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _parsed(variable: str, value: str) -> Proxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _no_proxy(variable, "is no address of a proxy") from None
    if parts.scheme not in _KINDS:
        raise _no_proxy(variable, f"names a proxy of a kind that is not known here: {parts.scheme}")
    if not _NAME.fullmatch(host) or port == 0:
        raise _no_proxy(variable, "is no address of a proxy")
    scheme, usual = _KINDS[parts.scheme]
    login = unquote(parts.username or ""), unquote(parts.password or "")
    return Proxy(variable, scheme, host, port or usual, *login)


def _no_proxy(variable: str, complaint: str) -> ConfigError:
    return ConfigError(
        f"{variable} {complaint}", hint="write http://HOST:PORT or socks5://HOST:PORT, or unset it"
    )


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _no_certificates(variable: str, what: str, reason: str) -> ConfigError:
    return ConfigError(
        f"{variable} names {what} that cannot be used: {reason}",
        hint="correct it, or unset it: then the system's certificates count",
    )
