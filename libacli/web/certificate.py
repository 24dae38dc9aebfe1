"""The certificate that a server shows, read anew when its files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from libacli.errors import ConfigError

logger = logging.getLogger("liba.web")

LOOK_S = 10.0
"""Who renews a certificate does so days before the old one ends."""


class Certificate:
    """A chain and its key, two PEM files. Raises ConfigError when they are none or do not fit."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._seen = self._stamp()
        self.context = self._read()
        """For connections that begin now; those that are open keep what they began with."""

    async def run(self) -> None:
        """Looks after the files until cancelled; what cannot be read is told once, and the old one kept."""
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Reads the files if they have changed since they were looked at."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self.context = self._read()
        except ConfigError as error:
            logger.warning("the certificate is not renewed, and the old one is kept: %s", error)
        else:
            logger.info("the certificate was renewed: %s", self._chain)

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self._chain, self._key, password="")  # else it asks a terminal for one
        except OSError as error:
            raise ConfigError(
                f"cannot use {self._chain} with {self._key}: {error.strerror or error}",
                hint="both must be PEM files, the key without a password: serve.tls_cert and serve.tls_key",
            ) from error
        return context

    def _stamp(self) -> list[tuple[int, int, int]]:
        """Another one whenever one of the files is another one."""
        return [_stamp_of(path) for path in (self._chain, self._key)]


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:  # it is being replaced
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_ino, found.st_size)
