"""How much a worker needs: as `tests/bench/memory.py` and `rooms` measured it, with a margin."""

from __future__ import annotations

from dataclasses import dataclass

GRACE_S = 30
"""From SIGTERM to SIGKILL. `liba agent run` is out within 15 s, `liba serve` within 10: twice that, for a
machine that is busy with everybody's end."""

START_S = 300
"""Until a worker must have answered for the first time: on a small CPU it loads for a minute."""

_IDLE_MB = 273
_ROOM_MB = 37
"""PSS, with a process for each room and a voice in the cloud."""

_DICTIONARIES_MB = 100
_ROOM_MOST_MB = 90
"""The same with the embedded voice: all rooms share its dictionaries, each has its model."""

_ROOM_MILLICORES = 125
"""2.5 ms of Python for each frame of 20 ms, while the room speaks."""

_STEP_MB = 64


@dataclass(frozen=True)
class Sizes:
    """What to ask for a worker."""

    memory_mb: int
    """What it uses with all its rooms, in MiB."""

    memory_most_mb: int
    """Where something is wrong, in MiB. There is no such bound for the CPU: who is throttled stutters."""

    millicores: int
    """So much CPU it uses while all its rooms speak."""


def sizes(max_rooms: int) -> Sizes:
    """What a worker with so many rooms needs."""
    return Sizes(
        memory_mb=_rounded(_IDLE_MB + _ROOM_MB * max_rooms),
        memory_most_mb=_rounded(1.5 * (_IDLE_MB + _DICTIONARIES_MB + _ROOM_MOST_MB * max_rooms)),
        millicores=100 + _ROOM_MILLICORES * max_rooms,
    )


def _rounded(megabytes: float) -> int:
    return -(-int(megabytes) // _STEP_MB) * _STEP_MB
