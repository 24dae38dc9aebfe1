"""Where a server listens: its socket, and the address that others reach it at."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from libacli.errors import UsageError

_EVERYWHERE = ("0.0.0.0", "::")


def address_of(host: str, port: int, *, is_encrypted: bool) -> str:
    """The URL of whatever listens on `host`, as others write it."""
    host = _own_address() if host in _EVERYWHERE else host
    return f"{'https' if is_encrypted else 'http'}://{_in_url(host)}:{port}"


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens there. Raises UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {host} is taken", hint="choose another one, or any free one: --port 0"
            ) from error
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}",
            hint="--host is an address of this machine; ports below 1024 may need root",
        ) from error
    with listening:
        yield listening


def _own_address() -> str:
    """The address by which this machine reaches others, and they most likely reach it; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:  # no network
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
