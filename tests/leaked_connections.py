"""Connections that a test leaves open: garbage collection would complain of them, in whatever test it is."""

from __future__ import annotations

import asyncio
from collections.abc import Set

_LOOK_EVERY_S = 0.05
_GRACE_S = 1.0
"""On a real clock, for an end that hears of it when the other one has closed."""


def connections() -> set[asyncio.Transport]:
    """Those of the running loop that nobody has begun to close."""
    known: dict[int, asyncio.Transport] = getattr(asyncio.get_running_loop(), "_transports", {})
    return {transport for transport in known.values() if not transport.is_closing()}


async def left_open(before: Set[asyncio.Transport]) -> set[asyncio.Transport]:
    """Connections that were not there before and do not close by themselves at once."""
    waited_s = 0.0
    while (left := connections() - before) and waited_s < _GRACE_S:
        await asyncio.sleep(_LOOK_EVERY_S)
        waited_s += _LOOK_EVERY_S
    return left
