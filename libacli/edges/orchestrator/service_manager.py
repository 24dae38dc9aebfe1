"""Tells systemd, or whoever else has set NOTIFY_SOCKET, how a service is doing.

The protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, MutableMapping

logger = logging.getLogger("liba")

_LOOK_S = 5.0
"""Between two looks at the status, where no watchdog wants to hear more often."""

_MORE_TIME_S = 60
"""What a start asks for at each look: it has bounds of its own, which may add up to minutes."""


class ServiceManager:
    """Speaks to the socket that `environment` names, and takes it out: children are not to speak there.

    Without one all of it does nothing.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        watched_us = environment.pop("WATCHDOG_USEC", "")
        watched_pid = environment.pop("WATCHDOG_PID", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        is_watched = watched_us.isdecimal() and watched_pid in ("", str(os.getpid()))
        self._watchdog_s = int(watched_us) / 2_000_000 if is_watched else 0.0
        """At half of the time after which it takes the service for dead; 0: it does not watch."""

        self._status = ""
        self._is_ready = False

    def ready(self) -> None:
        """The service does its work from now on."""
        self._is_ready = True
        self._tell("READY=1")

    def stopping(self) -> None:
        """It has begun to end."""
        self._is_ready = True  # no time for a start is asked for any more
        self._tell("STOPPING=1")

    async def keep_told(self, status: Callable[[], str]) -> None:
        """Tells `status`, a line, when it is a new one, and that this loop goes round; until cancelled."""
        if not self._address:
            return
        while True:
            told = ["WATCHDOG=1"] if self._watchdog_s else []
            if not self._is_ready:
                told.append(f"EXTEND_TIMEOUT_USEC={_MORE_TIME_S * 1_000_000}")
            if (now := status()) != self._status:
                self._status = now
                told.append(f"STATUS={now}")
            if told:
                self._tell(*told)
            await asyncio.sleep(min(self._watchdog_s or _LOOK_S, _LOOK_S))

    def _tell(self, *assignments: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            logger.warning("the service manager was not told %s: %s", assignments[0], error.strerror or error)
