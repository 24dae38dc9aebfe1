"""Attackers meet the real server, worker and listener of the live tests."""

from tests.live.conftest import (
    agent_name,
    anyio_backend,
    bare_shell,
    credentials,
    garbage_is_taken_away,
    listen,
    native_log_is_dropped,
    no_sound_source_is_left_open,
    ready_room,
    room,
    shell,
    worker,
)

__all__ = [
    "agent_name",
    "anyio_backend",
    "bare_shell",
    "credentials",
    "garbage_is_taken_away",
    "listen",
    "native_log_is_dropped",
    "no_sound_source_is_left_open",
    "ready_room",
    "room",
    "shell",
    "worker",
]
