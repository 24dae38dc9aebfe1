"""Attackers meet the real server, worker and listener of the live tests."""

from tests.live.conftest import (
    anyio_backend,
    bare_shell,
    credentials,
    listen,
    ready_room,
    room,
    shell,
    worker,
)

__all__ = ["anyio_backend", "bare_shell", "credentials", "listen", "ready_room", "room", "shell", "worker"]
